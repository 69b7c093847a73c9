#include "test.h"

#include "base/json.h"

static void
check(struct span text, const char *want)
{
	struct buf out = BUF_INIT;
	json_add_text(&out, text);
	assert_string_equal(buf_text(&out), want);
	buf_fini(&out);
}

static void
test_add_text(void **state)
{
	(void)state;
	check(SPAN(""), "\"\"");
	check(SPAN("a.b:1|c|#k:v"), "\"a.b:1|c|#k:v\"");
	check(SPAN("\"\\/"), "\"\\\"\\\\/\"");
	check(SPAN("\n\r\t\b\0\x1f\x7f"), "\"\\n\\r\\t\\u0008\\u0000\\u001f\\u007f\"");
	check(SPAN("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"),
	      "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"");
	check(SPAN("\xc2\x80\xc2\x9f\xc2\xa0"), "\"\\u0080\\u009f\xc2\xa0\"");
}

static void
test_add_text__what_is_no_utf8(void **state)
{
	(void)state;
	check(SPAN("a\xff"
		   "b\xc3"),
	      "\"a\\ufffdb\\ufffd\"");
	check(SPAN("\xed\xa0\x80"), "\"\\ufffd\\ufffd\\ufffd\""); /* a surrogate */
	check(SPAN("\xc0\xaf"), "\"\\ufffd\\ufffd\"");            /* an overlong '/' */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_add_text),
	    cmocka_unit_test(test_add_text__what_is_no_utf8),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
