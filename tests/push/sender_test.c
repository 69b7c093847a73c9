#include "test.h"

#include "folder.h"
#include "push/sender.h"

#include <stdio.h>

static void
test_url_check(void **state)
{
	(void)state;
	static const struct {
		const char *url;
		bool is_good;
	} table[] = {
	    {"http://a/", true},
	    {"https://a.example:9090/api/v1/write?tenant=1", true},
	    {"HTTP://[::1]:9090/api/v1/write", true},
	    {"http://a", true},
	    {"", false},
	    {"a", false},
	    {"/api/v1/write", false},
	    {"a:9090/api/v1/write", false},
	    {"ftp://a/", false},
	    {"file:///etc/passwd", false},
	    {"http://", false},
	    {"http://a:99999/", false},
	    {"http://a b/", false},
	    {"http://me@a/", false},
	    {"http://me:secret@a/", false},
	    {"http://:secret@a/", false},
	    {"http://a/#part", false},
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (push_url_check(table[i].url) != table[i].is_good)
			fail_msg("%s", table[i].url);
	}
}

static void
test_header_check(void **state)
{
	(void)state;
	static const struct {
		const char *header;
		bool is_good;
	} table[] = {
	    {"X-Scope-OrgID: a", true},
	    {"X:a\tb \xc3\xa4", true},
	    {"azAZ09!#$%&'*+-.^_`|~: a", true},
	    {"X{: a", false},
	    {"X[: a", false},
	    {"X@: a", false},
	    {"X;: a", false},
	    {"X/: a", false},
	    {"", false},
	    {"X", false},
	    {": a", false},
	    {"X: ", false},
	    {"X Y: a", false},
	    {"X : a", false},
	    {"X\r\nY: a", false},
	    {"X: a\r\nY: b", false},
	    {"X: a\x7f", false},
	    {"Host: a", false},
	    {"content-type: a", false},
	    {"AUTHORIZATION: a", false},
	    {"X-Prometheus-Remote-Write-Version: 3", false},
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (!push_header_check(table[i].header) != table[i].is_good)
			fail_msg("%s", table[i].header);
	}
}

static void
test_secret_read(void **state)
{
	(void)state;
	static const struct {
		struct span content;
		const char *secret; /* NULL = not good */
	} table[] = {
	    {SPAN("a b\n"), "a b"}, {SPAN("\r\n x \r\n"), "x"}, {SPAN(""), NULL},
	    {SPAN(" \n"), NULL},    {SPAN("a\nb"), NULL},       {SPAN("a\0"), NULL},
	    {SPAN("a\x7f"), NULL},
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct buf secret = BUF_INIT, error = BUF_INIT;
		FILE *file = fopen("secret", "w");
		fwrite(table[i].content.ptr, 1, table[i].content.len, file);
		fclose(file);
		bool is_good = push_secret_read("secret", &secret, &error);
		assert_int_equal(is_good, table[i].secret != NULL);
		assert_int_equal(error.len == 0, is_good);
		assert_span_equal(buf_span(&secret), is_good ? table[i].secret : "");
		buf_fini(&secret);
		buf_fini(&error);
	}
	assert_int_equal(unlink("secret"), 0);
	struct buf secret = BUF_INIT, error = BUF_INIT;
	assert_false(push_secret_read("secret", &secret, &error));
	assert_span_equal(buf_span(&error), "secret: No such file or directory");
	buf_fini(&error);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_url_check),
	    cmocka_unit_test(test_header_check),
	    cmocka_unit_test(test_secret_read),
	};
	return cmocka_run_group_tests_name("push/sender", tests, enter_folder, leave_folder);
}
