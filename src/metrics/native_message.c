#include "metrics/native_message.h"

#include "base/protobuf.h"

/* Of a BucketSpan. */
enum { SPAN_OFFSET = 1, SPAN_LENGTH = 2 };

void
native_message_add_span(struct buf *out, unsigned field, struct native_span span)
{
	size_t begun = protobuf_begin(out, field);
	protobuf_add_sint(out, SPAN_OFFSET, span.offset);
	protobuf_add_uint(out, SPAN_LENGTH, span.length);
	protobuf_end(out, begun);
}

void
native_message_add_side(struct buf *out, struct native_side_fields fields,
			const struct native_side *side)
{
	for (size_t i = 0; i < side->span_count; i++)
		native_message_add_span(out, fields.spans, side->spans[i]);
	if (!side->bucket_count)
		return;
	uint64_t before = 0;
	size_t deltas = protobuf_begin(out, fields.deltas);
	for (size_t i = 0; i < side->bucket_count; i++) {
		protobuf_add_packed_sint(out, (int64_t)(side->buckets[i] - before));
		before = side->buckets[i];
	}
	protobuf_end(out, deltas);
}

uint64_t
native_message_count(const struct native_view *native)
{
	const struct native_side *sides[] = {&native->negative, &native->positive};
	uint64_t count = native->zero_count;
	for (size_t i = 0; i < sizeof(sides) / sizeof(sides[0]); i++) {
		for (size_t b = 0; b < sides[i]->bucket_count; b++)
			count += sides[i]->buckets[b];
	}
	return count;
}

size_t
native_message_exemplars(const struct series_view *series, int64_t from_ms, int64_t until_ms,
			 const struct exemplar_view *out[NATIVE_MESSAGE_EXEMPLARS_MAX])
{
	const struct exemplar_view *newest[NATIVE_MESSAGE_EXEMPLARS_MAX + 1]; /* descending */
	size_t count = 0;
	for (size_t i = 0; series->exemplars && i <= series->bound_count; i++) {
		const struct exemplar_view *exemplar = &series->exemplars[i];
		if (!exemplar->labels.len || exemplar->time_ms < from_ms ||
		    exemplar->time_ms >= until_ms)
			continue;
		size_t at = count;
		/* Buckets come in order of values. */
		for (; at && newest[at - 1]->time_ms <= exemplar->time_ms; at--)
			newest[at] = newest[at - 1];
		newest[at] = exemplar;
		count += count < NATIVE_MESSAGE_EXEMPLARS_MAX;
	}
	for (size_t i = 0; i < count; i++)
		out[i] = newest[count - 1 - i];
	return count;
}
