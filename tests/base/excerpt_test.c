#include "test.h"

#include "base/excerpt.h"

static void
test_quote__table(void **state)
{
	(void)state;
	static const struct {
		struct span text;
		const char *want;
	} cases[] = {
	    {SPAN(""), "\"\""},
	    {SPAN("a b"), "\"a b\""},
	    {SPAN("\xc3\xa9"), "\"\xc3\xa9\""},
	    {SPAN("a\nb\0c\x7f"), "\"a\\x0ab\\x00c\\x7f\""},
	    {SPAN("\xff\xc3"), "\"\\xff\\xc3\""},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char out[EXCERPT_SIZE];
		assert_string_equal(excerpt_quote(cases[i].text, out), cases[i].want);
	}
}

static void
test_quote__long_ones_are_cut(void **state)
{
	(void)state;
	static const struct span pieces[] = {SPAN("x"), SPAN("\x01"), SPAN("\xff"),
					     SPAN("\xf0\x9f\x98\x80")};
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		char text[4000], out[EXCERPT_SIZE];
		for (size_t at = 0; at < sizeof(text); at += pieces[i].len)
			memcpy(text + at, pieces[i].ptr, pieces[i].len);
		excerpt_quote(span_of(text, sizeof(text)), out);
		assert_true(strlen(out) < 64);
		assert_true(span_ends(span_text(out), SPAN("...\"")));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_quote__table),
	    cmocka_unit_test(test_quote__long_ones_are_cut),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
