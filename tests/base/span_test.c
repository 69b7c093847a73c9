#include "test.h"

static const struct span nothing = {NULL, 0};

static void
test_equal_and_compare(void **state)
{
	(void)state;
	static const struct {
		struct span a, b;
		int order;
	} table[] = {
	    {SPAN(""), SPAN(""), 0},          {{NULL, 0}, SPAN(""), 0},
	    {SPAN("a"), SPAN("a"), 0},        {SPAN(""), SPAN("a"), -1},
	    {SPAN("a"), SPAN("b"), -1},       {SPAN("a"), SPAN("ab"), -1},
	    {SPAN("ab"), SPAN("b"), -1},      {SPAN("a\0"), SPAN("a"), 1},
	    {SPAN("a\0b"), SPAN("a\0c"), -1}, {SPAN("\xff"), SPAN("\x7f"), 1},
	    {SPAN("10"), SPAN("2"), -1},
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		int order = span_compare(table[i].a, table[i].b);
		assert_int_equal((order > 0) - (order < 0), table[i].order);
		order = span_compare(table[i].b, table[i].a);
		assert_int_equal((order > 0) - (order < 0), -table[i].order);
		assert_int_equal(span_equal(table[i].a, table[i].b), table[i].order == 0);
	}
}

static void
test_starts_and_ends(void **state)
{
	(void)state;
	static const struct {
		struct span s, part;
		bool starts, ends;
	} table[] = {
	    {SPAN(""), SPAN(""), true, true},          {{NULL, 0}, SPAN(""), true, true},
	    {SPAN(""), {NULL, 0}, true, true},         {{NULL, 0}, {NULL, 0}, true, true},
	    {{NULL, 0}, SPAN("a"), false, false},      {SPAN("a"), SPAN("a"), true, true},
	    {SPAN("abc"), SPAN("ab"), true, false},    {SPAN("abc"), SPAN("bc"), false, true},
	    {SPAN("abc"), SPAN("abcd"), false, false}, {SPAN("aba"), SPAN("a"), true, true},
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		assert_int_equal(span_starts(table[i].s, table[i].part), table[i].starts);
		assert_int_equal(span_ends(table[i].s, table[i].part), table[i].ends);
	}
}

static void
test_equal_ignoring_case(void **state)
{
	(void)state;
	static const struct {
		struct span a, b;
		bool want;
	} table[] = {
	    {SPAN(""), {NULL, 0}, true},        {SPAN("aZ-9"), SPAN("Az-9"), true},
	    {SPAN("a"), SPAN("b"), false},      {SPAN("a"), SPAN("ab"), false},
	    {SPAN("@["), SPAN("`{"), false},    {SPAN("\xc3\x84"), SPAN("\xc3\xa4"), false},
	    {SPAN("a\0b"), SPAN("A\0B"), true}, {SPAN("a\0b"), SPAN("a\0c"), false},
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		assert_int_equal(span_equal_ignoring_case(table[i].a, table[i].b), table[i].want);
}

static void
test_find_and_cut(void **state)
{
	(void)state;
	struct span s = SPAN("a:b\0:c");
	assert_ptr_equal(span_find(s, ':'), s.ptr + 1);
	assert_ptr_equal(span_find(s, '\0'), s.ptr + 3);
	assert_null(span_find(s, 'x'));
	assert_null(span_find(span_first(s, 1), ':'));
	assert_null(span_find(nothing, ':'));
	assert_span_equal(span_first(s, 3), "a:b");
	assert_span_equal(span_from(s, 5), "c");
	assert_span_equal(span_from(s, s.len), "");
	assert_span_equal(span_text("text"), "text");
	assert_int_equal(SPAN("a\0b").len, 3);
}

static void
test_trim(void **state)
{
	(void)state;
	assert_span_equal(span_trim(SPAN(" \t a b\r\n")), "a b");
	assert_span_equal(span_trim(SPAN("a")), "a");
	assert_span_equal(span_trim(SPAN(" \n ")), "");
	assert_span_equal(span_trim(SPAN("")), "");
	assert_int_equal(span_trim(SPAN(" \0 ")).len, 1);
}

/* Every length around those of the blocks it goes by, and a difference anywhere. */
static void
test_common(void **state)
{
	(void)state;
	char a[600], b[600];
	memset(a, 'x', sizeof(a));
	memset(b, 'x', sizeof(b));
	for (size_t len = 0; len <= sizeof(a); len++) {
		struct span left = span_of(a, len), right = span_of(b, sizeof(b));
		assert_int_equal(span_common(left, right), len);
		assert_int_equal(span_common(right, left), len);
		if (!len)
			continue;
		b[len - 1] = '\xf8';
		assert_int_equal(span_common(left, right), len - 1);
		assert_int_equal(span_common(span_of(a, sizeof(a)), right), len - 1);
		b[len - 1] = 'x';
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_equal_and_compare),
	    cmocka_unit_test(test_starts_and_ends),
	    cmocka_unit_test(test_common),
	    cmocka_unit_test(test_equal_ignoring_case),
	    cmocka_unit_test(test_find_and_cut),
	    cmocka_unit_test(test_trim),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
