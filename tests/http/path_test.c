#include "test.h"

#include "http/path.h"

static const struct {
	const char *target;
	const char *path; /* NULL = refused */
	const char *query;
} targets[] = {
    {"/", "/", ""},
    {"/metrics", "/metrics", ""},
    {"/metrics?a=b&c", "/metrics", "?a=b&c"},
    {"/metrics?", "/metrics", "?"},
    {"/a?b?c", "/a", "?b?c"},
    {"/a%20b", "/a b", ""},
    {"/%2e%2E/%2f", "/..//", ""},
    {"/a#b", "/a#b", ""},
    {"/?%zz", "/", "?%zz"},
    {"/\xc3\xa4", "/\xc3\xa4", ""},
    {"http://host", "/", ""},
    {"http://host:9102/metrics?x", "/metrics", "?x"},
    {"HTTPS://host?x", "/", "?x"},
    {"http:///a", "/a", ""},
    {"//host/a", "//host/a", ""},
    {"", NULL, ""},
    {"*", NULL, ""},
    {"metrics", NULL, ""},
    {"?a", NULL, ""},
    {"host:443", NULL, ""},
    {"ftp://host/a", NULL, ""},
    {"http:/a", NULL, ""},
    {"/%", NULL, ""},
    {"/%4", NULL, ""},
    {"/%4g", NULL, ""},
    {"/%g4", NULL, ""},
    {"/metrics%00", NULL, ""},
    {"/a b", NULL, ""},
    {"/a?b c", NULL, ""},
    {"/a\tb", NULL, ""},
    {"/a\x7f", NULL, ""},
    {"/a?\x01", NULL, ""},
};

static void
test_parse__targets(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		struct buf path = BUF_INIT;
		struct span query = SPAN("");
		bool taken = http_path_parse(span_text(targets[i].target), &path, &query);
		if (taken != (targets[i].path != NULL))
			fail_msg("\"%s\": taken is %d", targets[i].target, taken);
		if (taken) {
			assert_span_equal(buf_span(&path), targets[i].path);
			assert_span_equal(query, targets[i].query);
		}
		buf_fini(&path);
	}
}

static const char *const cleaned[][2] = {
    {"/", "/"},
    {"/a", "/a"},
    {"/a/", "/a/"},
    {"//", "/"},
    {"/.", "/"},
    {"/..", "/"},
    {"/./", "/"},
    {"/../", "/"},
    {"//a", "/a"},
    {"/a//b", "/a/b"},
    {"/a//", "/a/"},
    {"/a/.", "/a"},
    {"/a/./", "/a/"},
    {"/a/./b", "/a/b"},
    {"/a/..", "/"},
    {"/a/../", "/"},
    {"/a/../b", "/b"},
    {"/a/b/../", "/a/"},
    {"/a/b/..", "/a"},
    {"/../../a", "/a"},
    {"/a/../../../b/c/..", "/b"},
    {"/...", "/..."},
    {"/.a/..b/c.", "/.a/..b/c."},
    {"/a/ /b", "/a/ /b"},
};

static void
test_clean__like_go(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cleaned) / sizeof(cleaned[0]); i++) {
		struct buf out = BUF_INIT;
		http_path_clean(span_text(cleaned[i][0]), &out);
		assert_span_equal(buf_span(&out), cleaned[i][1]);
		buf_fini(&out);
	}
}

static void
test_clean__keeps_what_was_there(void **state)
{
	(void)state;
	struct buf out = BUF_INIT;
	buf_add_text(&out, "x/y");
	http_path_clean(SPAN("/a/../../b"), &out);
	assert_span_equal(buf_span(&out), "x/y/b");
	buf_fini(&out);
}

static const char *const escaped[][2] = {
    {"/a", "/a"},
    {"/a b", "/a%20b"},
    {"/\r\nX: y", "/%0D%0AX:%20y"},
    {"/?#%", "/%3F%23%25"},
    {"/\xff<>\"", "/%FF%3C%3E%22"},
    {"/-._~!$&'()*+,;=:@", "/-._~!$&'()*+,;=:@"},
};

static void
test_escape__what_a_path_may_not_hold(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(escaped) / sizeof(escaped[0]); i++) {
		struct buf out = BUF_INIT;
		http_path_escape(span_text(escaped[i][0]), &out);
		assert_span_equal(buf_span(&out), escaped[i][1]);
		buf_fini(&out);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_parse__targets),
	    cmocka_unit_test(test_clean__like_go),
	    cmocka_unit_test(test_clean__keeps_what_was_there),
	    cmocka_unit_test(test_escape__what_a_path_may_not_hold),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
