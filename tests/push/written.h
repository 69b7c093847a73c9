/* A message that has what series may have, for tests of what becomes of messages. */
#ifndef TESTS_PUSH_WRITTEN_H
#define TESTS_PUSH_WRITTEN_H

#include "base/buf.h"
#include "push/writer.h"

struct written {
	struct buf bytes;
	size_t samples, natives;
};

static void
written_take(void *ctx, const struct push_message *message)
{
	struct written *written = ctx;
	buf_add_span(&written->bytes, message->bytes);
	written->samples += message->samples;
	written->natives += message->natives;
}

/* A counter and a histogram, both with exemplars. @with_metadata in 1.0, too. @return its bytes are the caller's */
static struct written
write_message(enum push_protocol protocol, bool with_native, bool with_metadata)
{
	static const struct labels none;
	static const uint64_t counts[] = {1, 2};
	static const struct span bound_texts[] = {SPAN("0.5")};
	static const struct native_span spans[] = {{-1, 2}};
	static const struct native_view native = {.schema = -1,
						  .zero_threshold = 0.25,
						  .zero_count = 2,
						  .positive = {1, spans, 2, counts}};
	static const struct exemplar_view exemplars[] = {{SPAN("id=\"a\""), 0.25, 3},
							 {SPAN("id=\"b\""), 9, 4}};
	static const struct family_view counter = {SPAN("a_total"), SPAN("Help."), METRIC_COUNTER};
	static const struct family_view histogram = {SPAN("h"), SPAN(""), METRIC_HISTOGRAM};
	static const struct series_view one = {.labels = SPAN("B=\"1\",z=\"x\\\\y\\n\\\"\""),
					       .created_ms = 3,
					       .value = 1.5,
					       .exemplars = exemplars};
	static const struct series_view seen = {.labels = SPAN("m=\"1\""),
						.created_ms = 3,
						.sum = 4,
						.count = 5,
						.bound_count = 1,
						.bound_texts = bound_texts,
						.buckets = counts,
						.native = &native,
						.exemplars = exemplars};
	struct written written = {.bytes = BUF_INIT};
	struct push_writer *writer =
	    push_writer_new(protocol, &none, with_native, written_take, &written);
	push_writer_want_exemplars(writer, 0);
	push_writer_begin_family(writer, &counter, with_metadata);
	push_writer_add_series(writer, &one, 1, 5);
	push_writer_begin_family(writer, &histogram, with_metadata);
	push_writer_add_series(writer, &seen, 1, 5);
	push_writer_flush(writer);
	push_writer_free(&writer);
	return written;
}

#endif
