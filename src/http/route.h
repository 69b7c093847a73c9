/*
 * http/route - which handler takes a path. Pure: the table, a path and a method decide.
 */
#ifndef HTTP_ROUTE_H
#define HTTP_ROUTE_H

#include "http/server.h"

/**
 * Finds the route of a path: the exact one, else the longest subtree above it. A path that is not
 * clean is redirected to the cleaned one, and "/m" to the subtree "/m/" where it is no route
 * itself, as Go's ServeMux does, which statsd_exporter uses.
 *
 * @path     decoded, starts with '/'
 * @method   as in the request line; HEAD counts as GET, unknown ones are taken by no route
 * @route    set with 0 and 405, else NULL
 * @location gets, with 307, the path to go to, escaped
 * @return   0 when `route` takes the request, or the status to refuse it with: 307, 404, 405
 */
unsigned http_route_find(const struct http_route *routes, struct span path, const char *method,
			 const struct http_route **route, struct buf *location);

/** @return HTTP_GET and so on, HTTP_GET for HEAD, or 0. @method as in the request line */
unsigned http_method_bit(const char *method);

/** Appends the value of the Allow header: "GET, HEAD". */
void http_route_allow(const struct http_route *route, struct buf *out);

#endif
