#include "test.h"

#include "http/route.h"

static const struct http_route plain[] = {
    {"/", HTTP_GET, NULL, false},
    {"/metrics", HTTP_GET, NULL, false},
    {"/-/reload", HTTP_POST | HTTP_PUT, NULL, false},
    {"/m/", HTTP_GET, NULL, true},
    {"/m/a/", HTTP_GET | HTTP_DELETE, NULL, true},
    {"/m/b", HTTP_GET, NULL, false},
    {"/both", HTTP_GET, NULL, false},
    {"/both/", HTTP_GET, NULL, true},
    {0},
};
static const struct http_route everything[] = {{"/", HTTP_GET, NULL, true}, {0}};
static const struct http_route nothing[] = {{0}};

static const struct {
	const struct http_route *routes;
	const char *method, *path;
	unsigned status;
	const char *found; /* the route's path, or where to go */
} cases[] = {
    {plain, "GET", "/", 0, "/"},
    {plain, "HEAD", "/metrics", 0, "/metrics"},
    {plain, "GET", "/metricsx", 404, ""},
    {plain, "GET", "/metric", 404, ""},
    {plain, "GET", "/metrics/", 404, ""},
    {plain, "PUT", "/-/reload", 0, "/-/reload"},
    {plain, "GET", "/-/reload", 405, "/-/reload"},
    {plain, "HEAD", "/-/reload", 405, "/-/reload"},
    {plain, "", "/", 405, "/"},
    {plain, "GETS", "/", 405, "/"},
    {plain, "GET", "/m", 307, "/m/"},
    {plain, "POST", "/m", 307, "/m/"},
    {plain, "GET", "/m/", 0, "/m/"},
    {plain, "GET", "/m/x", 0, "/m/"},
    {plain, "GET", "/m/a", 307, "/m/a/"},
    {plain, "GET", "/m/a/x/y", 0, "/m/a/"},
    {plain, "GET", "/m/b", 0, "/m/b"},
    {plain, "GET", "/m/b/", 0, "/m/"},
    {plain, "GET", "/both", 0, "/both"},
    {plain, "GET", "/both/x", 0, "/both/"},
    {plain, "GET", "//m", 307, "/m"},
    {plain, "GET", "/x/../m/", 307, "/m/"},
    {plain, "GET", "/./nothing at all", 307, "/nothing%20at%20all"},
    {everything, "GET", "/", 0, "/"},
    {everything, "GET", "/x", 0, "/"},
    {everything, "POST", "/x/y/", 405, "/"},
    {everything, "GET", "/x//y", 307, "/x/y"},
    {nothing, "GET", "/", 404, ""},
};

static void
test_find__table(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct http_route *route;
		struct buf location = BUF_INIT;
		unsigned status = http_route_find(cases[i].routes, span_text(cases[i].path),
						  cases[i].method, &route, &location);
		const char *found = route ? route->path : buf_text(&location);
		if (status != cases[i].status || strcmp(found, cases[i].found) != 0)
			fail_msg("%s %s: %u \"%s\"", cases[i].method, cases[i].path, status, found);
		buf_fini(&location);
	}
}

static void
test_allow__names_methods_once(void **state)
{
	(void)state;
	static const struct {
		unsigned methods;
		const char *allow;
	} allows[] = {
	    {HTTP_GET, "GET, HEAD"},
	    {HTTP_POST, "POST"},
	    {HTTP_GET | HTTP_POST | HTTP_PUT | HTTP_DELETE, "GET, HEAD, POST, PUT, DELETE"},
	    {0, ""},
	};
	for (size_t i = 0; i < sizeof(allows) / sizeof(allows[0]); i++) {
		struct buf out = BUF_INIT;
		http_route_allow(&(struct http_route){.methods = allows[i].methods}, &out);
		assert_span_equal(buf_span(&out), allows[i].allow);
		buf_fini(&out);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_find__table),
	    cmocka_unit_test(test_allow__names_methods_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
