/*
 * http/path - request targets: decoding, cleaning and encoding of paths.
 *
 * Pure: no I/O. Everything is appended to a buffer of the caller, which owns it. Targets are
 * bounded by the server's header limit, so no cap is needed here.
 */
#ifndef HTTP_PATH_H
#define HTTP_PATH_H

#include "base/buf.h"

/**
 * Splits a request target (RFC 9112 section 3.2) and decodes the percent escapes of its path.
 *
 * Taken are the origin form ("/a%20b?q") and the absolute form ("http://host/a?q", whose host is
 * ignored). Refused are other forms, broken escapes, blanks and control bytes, and an escaped NUL.
 *
 * @target borrowed
 * @path   gets the decoded path, which starts with '/'; undefined content on failure
 * @query  set to the raw query with its '?', borrowed from `target`; empty without one
 * @return whether the target was taken
 */
bool http_path_parse(struct span target, struct buf *path, struct span *query) MUST_CHECK;

/**
 * Appends `path` without empty, "." and ".." segments. A final slash stays, as in Go's ServeMux,
 * which statsd_exporter uses: "/a//b/" gives "/a/b/", "/a/.." gives "/", "/a/." gives "/a".
 *
 * @path starts with '/'
 */
void http_path_clean(struct span path, struct buf *clean);

/** Appends `path` with all bytes escaped that RFC 3986 does not allow in one, and nothing else. */
void http_path_escape(struct span path, struct buf *out);

#endif
