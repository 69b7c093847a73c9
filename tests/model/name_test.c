#include "test.h"

#include "model/name.h"

static void
test_escape__table(void **state)
{
	(void)state;
	static const struct {
		struct span raw;
		const char *want;
	} table[] = {
	    {SPAN(""), ""},
	    {SPAN("abc_XYZ_09"), "abc_XYZ_09"},
	    {SPAN("1abc"), "_1abc"},
	    {SPAN("1"), "_1"},
	    {SPAN("a.b"), "a_b"},
	    {SPAN("a:b"), "a_b"},
	    {SPAN("a---b"), "a_b"},
	    {SPAN("a.-.b"), "a___b"},
	    {SPAN("a-.-b"), "a___b"},
	    {SPAN("a.*.b"), "a___b"},
	    {SPAN("\xf0\x9f\x98\xb1x"), "_x"},
	    {SPAN("-1"), "_1"},
	    {SPAN("--1"), "_1"},
	    {SPAN("--"), "_"},
	    {SPAN("-"), "_"},
	    {SPAN("a--"), "a_"},
	    {SPAN("\xc3\xa9--\xc3\xa9"), "___"},
	    {SPAN("-_-"), "___"},
	    {SPAN("\xff\xfe"
		  "a"),
	     "__a"},
	    {SPAN("\xe2\x82"), "__"},
	    {SPAN("\xed\xa0\x80"), "___"},
	    {SPAN("a\0b"), "a_b"},
	    {SPAN("a b\tc"), "a_b_c"},
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		char out[64];
		memset(out, '#', sizeof(out));
		size_t len = name_escape(table[i].raw, out);
		assert_true(len <= table[i].raw.len + 1);
		assert_int_equal(out[len], '#');
		assert_span_equal(span_of(out, len), table[i].want);
		assert_int_equal(name_is_legal(span_of(out, len)), table[i].raw.len != 0);
	}
}

static void
test_escape__each_byte(void **state)
{
	(void)state;
	static const char legal[] =
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
	for (unsigned byte = 0; byte < 256; byte++) {
		char raw[] = {'a', (char)byte, 'b'}, out[4];
		char want[] = {'a', '_', 'b', '\0'};
		bool is_legal = memchr(legal, (char)byte, sizeof(legal) - 1);
		if (is_legal)
			want[1] = (char)byte;
		size_t len = name_escape(span_of(raw, sizeof(raw)), out);
		assert_span_equal(span_of(out, len), want);
		assert_int_equal(name_is_legal(span_of(raw, sizeof(raw))), is_legal);
		assert_int_equal(name_legal_length(span_of(raw, sizeof(raw))),
				 is_legal ? sizeof(raw) : 1);
	}
	assert_int_equal(name_legal_length(SPAN("")), 0);
	assert_int_equal(name_legal_length(SPAN("1a")), 0);
	assert_int_equal(name_legal_length(SPAN(":a")), 0);
}

static void
test_is_legal__table(void **state)
{
	(void)state;
	static const struct {
		struct span name;
		bool is_legal;
	} table[] = {
	    {SPAN("a"), true},     {SPAN("_"), true},         {SPAN("_1"), true},
	    {SPAN("aZ09_"), true}, {SPAN(""), false},         {SPAN("1a"), false},
	    {SPAN("a-b"), false},  {SPAN("a:b"), false},      {SPAN("a.b"), false},
	    {SPAN("a\0"), false},  {SPAN("\xc3\xa9"), false}, {SPAN("a "), false},
	    {SPAN("a@"), false},   {SPAN("a["), false},       {SPAN("a`"), false},
	    {SPAN("a{"), false},   {SPAN("a/"), false},
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		assert_int_equal(name_is_legal(table[i].name), table[i].is_legal);
}

static void
test_reserved_labels__table(void **state)
{
	(void)state;
	assert_true(label_name_is_reserved(SPAN("__")));
	assert_true(label_name_is_reserved(SPAN("__name__")));
	assert_true(label_name_is_reserved(SPAN("___")));
	assert_false(label_name_is_reserved(SPAN("_")));
	assert_false(label_name_is_reserved(SPAN("_a_")));
	assert_false(label_name_is_reserved(SPAN("a__")));
	assert_false(label_name_is_reserved(SPAN("")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_escape__table),
	    cmocka_unit_test(test_escape__each_byte),
	    cmocka_unit_test(test_is_legal__table),
	    cmocka_unit_test(test_reserved_labels__table),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
