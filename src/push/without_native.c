#include "push/without_native.h"

#include "base/protobuf.h"
#include "push/fields.h"

static const struct native_fields {
	unsigned series;     /* of the message */
	unsigned histograms; /* of a series */
	unsigned symbols;    /* of the message; 0 = there are none */
} native_fields[PUSH_PROTOCOLS] = {
    [PUSH_PROTOCOL_1] = {WRITE_TIMESERIES, TIMESERIES_HISTOGRAMS, 0},
    [PUSH_PROTOCOL_2] = {REQUEST2_TIMESERIES, TIMESERIES2_HISTOGRAMS, REQUEST2_SYMBOLS},
};

static bool
has_field(struct span message, unsigned number)
{
	for (struct protobuf_field field; protobuf_next(&message, &field);) {
		if (field.number == number)
			return true;
	}
	return false;
}

bool
push_without_native(enum push_protocol protocol, struct span message, struct buf *out)
{
	const struct native_fields *numbers = &native_fields[protocol];
	size_t begun = out->len;
	bool has_left = false;
	for (struct protobuf_field field; protobuf_next(&message, &field);) {
		if (field.number == numbers->series && has_field(field.bytes, numbers->histograms))
			continue;
		buf_add_span(out, field.whole);
		has_left |= field.number != numbers->symbols;
	}
	if (!has_left)
		out->len = begun;
	return !message.len;
}
