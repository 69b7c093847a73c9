#include "http/route.h"

#include "http/path.h"

static const struct {
	unsigned bit;
	const char *name;
} methods[] = {
    {HTTP_GET, "GET"}, {HTTP_GET, "HEAD"},      {HTTP_POST, "POST"},
    {HTTP_PUT, "PUT"}, {HTTP_DELETE, "DELETE"},
};
#define METHOD_COUNT (sizeof(methods) / sizeof(methods[0]))

unsigned
http_method_bit(const char *method)
{
	for (size_t i = 0; i < METHOD_COUNT; i++)
		if (strcmp(method, methods[i].name) == 0)
			return methods[i].bit;
	return 0;
}

/* The exact route, else the longest subtree above the path. */
static const struct http_route *
find(const struct http_route *routes, struct span path)
{
	const struct http_route *best = NULL;
	for (const struct http_route *route = routes; route->path; route++) {
		struct span root = span_text(route->path);
		if (span_equal(root, path))
			return route;
		if (route->subtree && span_starts(path, root) &&
		    (!best || root.len > strlen(best->path)))
			best = route;
	}
	return best;
}

/* "/m" leads to the subtree "/m/", unless it is a route itself. */
static bool
leads_to_subtree(const struct http_route *routes, const struct http_route *found, struct buf *path)
{
	if (found && strlen(found->path) == path->len)
		return false;
	buf_add_byte(path, '/');
	const struct http_route *below = find(routes, buf_span(path));
	bool leads = below && below->subtree && strlen(below->path) == path->len;
	path->len--;
	return leads;
}

unsigned
http_route_find(const struct http_route *routes, struct span path, const char *method,
		const struct http_route **route, struct buf *location)
{
	struct buf clean = BUF_INIT;
	http_path_clean(path, &clean);
	const struct http_route *found = find(routes, buf_span(&clean));
	bool goes_below = leads_to_subtree(routes, found, &clean);
	bool is_clean = span_equal(buf_span(&clean), path);
	*route = NULL;
	unsigned status = 404;
	if (!is_clean || goes_below) {
		if (is_clean)
			buf_add_byte(&clean, '/');
		http_path_escape(buf_span(&clean), location);
		status = 307;
	} else if (found) {
		*route = found;
		status = found->methods & http_method_bit(method) ? 0 : 405;
	}
	buf_fini(&clean);
	return status;
}

void
http_route_allow(const struct http_route *route, struct buf *out)
{
	const char *separator = "";
	for (size_t i = 0; i < METHOD_COUNT; i++) {
		if (!(route->methods & methods[i].bit))
			continue;
		buf_add_text(out, separator);
		buf_add_text(out, methods[i].name);
		separator = ", ";
	}
}
