#include "test.h"

#include "base/base64.h"

static void
test_decode(void **state)
{
	(void)state;
	static const struct {
		const char *text, *bytes; /* NULL = refused */
	} rows[] = {
	    {"", ""},
	    {"Zg==", "f"},
	    {"Zm8=", "fo"},
	    {"Zm9v", "foo"},
	    {"Zm9vYg==", "foob"},
	    {"Zm9vYmE=", "fooba"},
	    {"Zm9vYmFy", "foobar"},
	    {"+/+/", "\xfb\xff\xbf"},
	    {"Z", NULL},
	    {"Zg", NULL},
	    {"Zg=", NULL},
	    {"Zh==", NULL},
	    {"Zm9=", NULL},
	    {"=", NULL},
	    {"====", NULL},
	    {"Z===", NULL},
	    {"Zg==Zg==", NULL},
	    {"Zm 9", NULL},
	    {"Zm9v\n", NULL},
	    {"Zm-_", NULL},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct buf out = BUF_INIT;
		bool is_good = base64_decode(span_text(rows[i].text), &out);
		if (is_good != (rows[i].bytes != NULL))
			fail_msg("%s", rows[i].text);
		if (is_good)
			assert_string_equal(buf_text(&out), rows[i].bytes);
		buf_fini(&out);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_decode),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
