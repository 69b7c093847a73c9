#include "test.h"

#include "base/utf8.h"

/* RFC 3629: the ends of every range, and what lies just outside. */
static const struct {
	struct span bytes;
	size_t first_length; /* what utf8_length() says */
	bool is_valid;
} table[] = {
    {SPAN("a"), 1, true},
    {SPAN("\0"), 1, true},
    {SPAN("\x7f"), 1, true},
    {SPAN("\x80"), 1, false},
    {SPAN("\xbf"), 1, false},
    {SPAN("\xc0\x80"), 1, false},
    {SPAN("\xc1\xbf"), 1, false},
    {SPAN("\xc2\x80"), 2, true},
    {SPAN("\xdf\xbf"), 2, true},
    {SPAN("\xc2"), 1, false},
    {SPAN("\xc2\x7f"), 1, false},
    {SPAN("\xc2\xc0"), 1, false},
    {SPAN("\xe0\x9f\xbf"), 1, false},
    {SPAN("\xe0\xa0\x80"), 3, true},
    {SPAN("\xed\x9f\xbf"), 3, true},
    {SPAN("\xed\xa0\x80"), 1, false},
    {SPAN("\xed\xbf\xbf"), 1, false},
    {SPAN("\xee\x80\x80"), 3, true},
    {SPAN("\xef\xbf\xbf"), 3, true},
    {SPAN("\xe2\x82"), 1, false},
    {SPAN("\xe2\x82\x28"), 1, false},
    {SPAN("\xf0\x8f\xbf\xbf"), 1, false},
    {SPAN("\xf0\x90\x80\x80"), 4, true},
    {SPAN("\xf4\x8f\xbf\xbf"), 4, true},
    {SPAN("\xf4\x90\x80\x80"), 1, false},
    {SPAN("\xf5\x80\x80\x80"), 1, false},
    {SPAN("\xff"), 1, false},
    {SPAN("\xf0\x9f\x98"), 1, false},
    {SPAN("\xf0\x9f\x98\x28"), 1, false},
};

#define COUNT (sizeof(table) / sizeof(table[0]))

static void
test_valid_and_length(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT; i++) {
		assert_int_equal(utf8_is_valid(table[i].bytes), table[i].is_valid);
		assert_int_equal(utf8_length(table[i].bytes), table[i].first_length);
	}
	assert_true(utf8_is_valid(SPAN("")));
	assert_true(utf8_is_valid((struct span){NULL, 0}));
}

static void
test_first__whole_code_points(void **state)
{
	(void)state;
	static const struct {
		struct span text;
		size_t max, want;
	} cuts[] = {
	    {SPAN(""), 0, 0},
	    {SPAN("abc"), 0, 0},
	    {SPAN("abc"), 2, 2},
	    {SPAN("abc"), 3, 3},
	    {SPAN("abc"), 9, 3},
	    {SPAN("a\xc3\xa9z"), 2, 1},
	    {SPAN("a\xc3\xa9z"), 3, 3},
	    {SPAN("\xff\xff\xff"), 2, 2},
	    {SPAN("\xf0\x9f\x98\x80"), 3, 0},
	};
	for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
		struct span first = utf8_first(cuts[i].text, cuts[i].max);
		assert_ptr_equal(first.ptr, cuts[i].text.ptr);
		assert_int_equal(first.len, cuts[i].want);
	}
}

/* The same in the middle and at the end of longer texts, at every distance from an 8-byte block. */
static void
test_valid__anywhere_in_a_text(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT; i++) {
		for (size_t before = 0; before < 20; before++) {
			char text[64];
			memset(text, 'a', sizeof(text));
			memcpy(text + before, table[i].bytes.ptr, table[i].bytes.len);
			size_t len = before + table[i].bytes.len;
			assert_int_equal(utf8_is_valid(span_of(text, len)), table[i].is_valid);
			assert_int_equal(utf8_is_valid(span_of(text, sizeof(text))),
					 table[i].is_valid);
		}
	}
}

/* One byte that is not ASCII, at each place in texts of each length around an 8-byte block. */
static void
test_ascii__anywhere_in_a_text(void **state)
{
	(void)state;
	assert_true(utf8_is_ascii((struct span){NULL, 0}));
	for (size_t len = 0; len <= 40; len++) {
		char text[41];
		memset(text, '\x7f', sizeof(text));
		text[len] = '\x80'; /* behind the text */
		assert_true(utf8_is_ascii(span_of(text, len)));
		for (size_t at = 0; at < len; at++) {
			text[at] = '\x80';
			assert_false(utf8_is_ascii(span_of(text, len)));
			text[at] = '\0';
			assert_true(utf8_is_ascii(span_of(text, len)));
		}
	}
}

static void
test_count(void **state)
{
	(void)state;
	assert_int_equal(utf8_count(SPAN("")), 0);
	assert_int_equal(utf8_count(SPAN("a\u00e9\u20ac\U0001f600b")), 5);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_valid_and_length),
	    cmocka_unit_test(test_first__whole_code_points),
	    cmocka_unit_test(test_valid__anywhere_in_a_text),
	    cmocka_unit_test(test_ascii__anywhere_in_a_text),
	    cmocka_unit_test(test_count),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
