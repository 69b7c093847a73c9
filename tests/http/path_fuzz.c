/*
 * A target that is taken gives a path that cleans to a fixed point without empty or dot segments,
 * and that, escaped, is read back as the same path.
 */
#include "base/check.h"
#include "http/path.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_is_clean(struct span path)
{
	CHECK(span_starts(path, SPAN("/")));
	while (path.len) {
		struct span rest = span_from(path, 1);
		const char *slash = span_find(rest, '/');
		struct span segment = slash ? span_first(rest, (size_t)(slash - rest.ptr)) : rest;
		CHECK(segment.len || !slash);
		CHECK(!span_equal(segment, SPAN(".")) && !span_equal(segment, SPAN("..")));
		path = span_from(rest, segment.len);
	}
}

static void
check_reads_back(struct span path)
{
	struct buf text = BUF_INIT, again = BUF_INIT;
	struct span query;
	http_path_escape(path, &text);
	CHECK(http_path_parse(buf_span(&text), &again, &query));
	CHECK(span_equal(buf_span(&again), path) && query.len == 0);
	buf_fini(&text);
	buf_fini(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf path = BUF_INIT, clean = BUF_INIT, twice = BUF_INIT;
	struct span query;
	struct span target = span_of((const char *)data, size);
	if (http_path_parse(target, &path, &query)) {
		CHECK(query.len == 0 || span_ends(target, query));
		CHECK(path.len <= size + 1);
		check_reads_back(buf_span(&path));
		http_path_clean(buf_span(&path), &clean);
		CHECK(clean.len <= path.len);
		check_is_clean(buf_span(&clean));
		http_path_clean(buf_span(&clean), &twice);
		CHECK(span_equal(buf_span(&clean), buf_span(&twice)));
	}
	buf_fini(&path);
	buf_fini(&clean);
	buf_fini(&twice);
	return 0;
}
