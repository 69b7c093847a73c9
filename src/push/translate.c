#include "push/translate.h"

#include "base/alloc.h"
#include "base/protobuf.h"
#include "push/fields.h"

#include <stdlib.h>

struct translation {
	struct span *symbols; /* owned; they borrow from the message */
	size_t count, capacity;
	struct buf *out;
};

static bool
collect_symbols(struct translation *translation, struct span message)
{
	for (struct protobuf_field field; protobuf_next(&message, &field);) {
		if (field.number != REQUEST2_SYMBOLS)
			continue;
		translation->symbols = xgrow(translation->symbols, translation->count,
					     &translation->capacity, sizeof(struct span));
		translation->symbols[translation->count++] = field.bytes;
	}
	return !message.len;
}

/* Takes a reference off, and writes what it stands for. */
static bool
add_symbol(struct translation *translation, unsigned field, struct span *references)
{
	uint64_t number;
	if (!protobuf_next_packed(references, &number) || number >= translation->count)
		return false;
	protobuf_add_bytes(translation->out, field, translation->symbols[number]);
	return true;
}

static bool
add_labels(struct translation *translation, unsigned field, struct span references)
{
	while (references.len) {
		size_t label = protobuf_begin(translation->out, field);
		if (!add_symbol(translation, LABEL_NAME, &references) ||
		    !add_symbol(translation, LABEL_VALUE, &references))
			return false;
		protobuf_end(translation->out, label);
	}
	return true;
}

/* Writes a message whose fields both have, but for one that 1.0 lacks. */
static bool
add_without(struct translation *translation, unsigned field, struct span message, unsigned lacks)
{
	size_t begun = protobuf_begin(translation->out, field);
	for (struct protobuf_field part; protobuf_next(&message, &part);) {
		if (part.number != lacks)
			buf_add_span(translation->out, part.whole);
	}
	protobuf_end(translation->out, begun);
	return !message.len;
}

static bool
add_exemplar(struct translation *translation, struct span exemplar)
{
	size_t begun = protobuf_begin(translation->out, TIMESERIES_EXEMPLARS);
	for (struct protobuf_field field; protobuf_next(&exemplar, &field);) {
		if (field.number != EXEMPLAR_LABELS)
			buf_add_span(translation->out, field.whole);
		else if (!add_labels(translation, EXEMPLAR_LABELS, field.bytes))
			return false;
	}
	protobuf_end(translation->out, begun);
	return !exemplar.len;
}

static bool
add_field_of_series(struct translation *translation, const struct protobuf_field *field)
{
	switch (field->number) {
	case TIMESERIES2_LABELS:
		return add_labels(translation, TIMESERIES_LABELS, field->bytes);
	case TIMESERIES2_SAMPLES:
		return add_without(translation, TIMESERIES_SAMPLES, field->bytes, SAMPLE2_START);
	case TIMESERIES2_HISTOGRAMS:
		return add_without(translation, TIMESERIES_HISTOGRAMS, field->bytes,
				   HISTOGRAM2_START);
	case TIMESERIES2_EXEMPLARS:
		return add_exemplar(translation, field->bytes);
	default:
		return true;
	}
}

static bool
add_series(struct translation *translation, struct span series)
{
	size_t begun = protobuf_begin(translation->out, WRITE_TIMESERIES);
	for (struct protobuf_field field; protobuf_next(&series, &field);) {
		if (!add_field_of_series(translation, &field))
			return false;
	}
	protobuf_end(translation->out, begun);
	return !series.len;
}

static bool
add_all_series(struct translation *translation, struct span message)
{
	for (struct protobuf_field field; protobuf_next(&message, &field);) {
		if (field.number == REQUEST2_TIMESERIES && !add_series(translation, field.bytes))
			return false;
	}
	return true;
}

bool
push_translate(struct span message, struct buf *out)
{
	struct translation translation = {.out = out};
	bool is_good =
	    collect_symbols(&translation, message) && add_all_series(&translation, message);
	free(translation.symbols);
	return is_good;
}
