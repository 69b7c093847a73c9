/*
 * metrics/native_message - the buckets of native histograms as Prometheus's Protocol Buffers
 * messages have them, under other field numbers in each: in those of its exposition format and of
 * remote write.
 */
#ifndef METRICS_NATIVE_MESSAGE_H
#define METRICS_NATIVE_MESSAGE_H

#include "base/buf.h"
#include "metrics/reader.h"

struct native_side_fields {
	unsigned spans, deltas;
};

/**
 * @return how many values the buckets count. A message must say just that for its whole count, or
 *         Prometheus refuses the scrape: a series' own count may be greater by what came while it
 *         was read
 */
uint64_t native_message_count(const struct native_view *native);

/** Appends a span as a field of a message. */
void native_message_add_span(struct buf *out, unsigned field, struct native_span span);

/** Appends the spans of a side, and of each bucket how much more it counts than the one before. */
void native_message_add_side(struct buf *out, struct native_side_fields fields,
			     const struct native_side *side);

/* Most exemplars of a native histogram in a message, as client libraries have it. */
#define NATIVE_MESSAGE_EXEMPLARS_MAX 10

/**
 * Chooses which exemplars of a histogram's buckets are shown as those of its native form: the
 * newest. They come in order of time, and of value within a millisecond, since Prometheus takes
 * none that belongs before one that it has.
 *
 * @from_ms, @until_ms none that is older than the first, or as new as the second
 * @out                borrowed from `series`
 * @return             how many
 */
size_t native_message_exemplars(const struct series_view *series, int64_t from_ms, int64_t until_ms,
				const struct exemplar_view *out[NATIVE_MESSAGE_EXEMPLARS_MAX]);

#endif
