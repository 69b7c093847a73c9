/* Messages of remote write as text, one line for each sample and each metadata entry of 1.0:
 * `name{a="b"} 1 @ 5` and `# counter name help`. What is 2.0 shows `# counter help` behind the
 * sample. Exemplars come before that, as `, of {id="x"} 0.5 @ 4`. */
#ifndef TESTS_PUSH_DECODE_H
#define TESTS_PUSH_DECODE_H

#include "base/buf.h"
#include "base/number.h"
#include "push/fields.h"
#include "push/writer.h"

#include <stdlib.h>

/* One field of a message. */
struct decoded_field {
	unsigned number;
	uint64_t integer; /* of a varint, or the bits of a double */
	struct span bytes;
};

static uint64_t
decode_varint(struct span *rest)
{
	uint64_t value = 0;
	for (unsigned shift = 0;; shift += 7) {
		assert_true(rest->len > 0 && shift < 64);
		unsigned char byte = (unsigned char)*rest->ptr;
		*rest = span_from(*rest, 1);
		value |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80)
			return value;
	}
}

static bool
decode_next(struct span *rest, struct decoded_field *field)
{
	if (!rest->len)
		return false;
	uint64_t key = decode_varint(rest);
	*field = (struct decoded_field){.number = (unsigned)(key >> 3)};
	size_t len = 8;
	switch (key & 7) {
	case 0:
		field->integer = decode_varint(rest);
		return true;
	case 1:
		assert_true(rest->len >= len);
		memcpy(&field->integer, rest->ptr, len);
		break;
	default:
		assert_int_equal(key & 7, 2);
		len = decode_varint(rest);
		assert_true(rest->len >= len);
		field->bytes = span_first(*rest, len);
	}
	*rest = span_from(*rest, len);
	return true;
}

static void
decode_sample(struct span message, struct buf *out)
{
	struct decoded_field field;
	uint64_t bits = 0, timestamp = 0, start = 0;
	double value;
	char text[NUMBER_TEXT_MAX];
	while (decode_next(&message, &field)) {
		uint64_t *const into[] = {NULL, &bits, &timestamp, &start};
		assert_in_range(field.number, SAMPLE_VALUE, SAMPLE2_START);
		assert_true(field.number != SAMPLE2_START || field.integer);
		*into[field.number] = field.integer;
	}
	memcpy(&value, &bits, sizeof(value));
	if (bits == UINT64_C(0x7ff0000000000002))
		buf_add_text(out, "stale");
	else if (value != value && bits != UINT64_C(0x7ff8000000000001))
		buf_add_text(out, "odd NaN");
	else
		buf_add(out, text, number_format(value, text));
	buf_printf(out, " @ %lld", (long long)timestamp);
	if (start)
		buf_printf(out, " from %lld", (long long)start);
}

/* The fields by number: varints, the sum, and how many bytes others have. */
static void
decode_native(struct span message, struct buf *out)
{
	struct decoded_field field;
	double sum;
	buf_add_text(out, "native");
	while (decode_next(&message, &field)) {
		buf_printf(out, " %u:", field.number);
		if (field.bytes.ptr) {
			for (size_t i = 0; i < field.bytes.len; i++)
				buf_printf(out, "%02x", (unsigned char)field.bytes.ptr[i]);
		} else if (field.number == HISTOGRAM_SUM ||
			   field.number == HISTOGRAM_ZERO_THRESHOLD) {
			memcpy(&sum, &field.integer, sizeof(sum));
			buf_printf(out, "%g", sum);
		} else {
			buf_printf(out, "%llu", (unsigned long long)field.integer);
		}
	}
}

/* Checks the order, and shows the name in front. */
static void
decode_labels(const struct span *texts, size_t count, struct buf *out)
{
	struct span name = SPAN("?");
	bool is_first = true;
	for (size_t i = 0; i < count; i += 2) {
		assert_true(i == 0 || span_compare(texts[i - 2], texts[i]) < 0);
		assert_true(texts[i + 1].len > 0);
		if (span_equal(texts[i], SPAN("__name__")))
			name = texts[i + 1];
	}
	buf_add_span(out, name);
	for (size_t i = 0; i < count; i += 2) {
		if (span_equal(texts[i], SPAN("__name__")))
			continue;
		buf_printf(out, "%s%.*s=\"%.*s\"", is_first ? "{" : ",", SPAN_ARGS(texts[i]),
			   SPAN_ARGS(texts[i + 1]));
		is_first = false;
	}
	buf_add_text(out, is_first ? " " : "} ");
}

/* @symbols NULL in 1.0 */
static void
decode_exemplar(struct span exemplar, const struct span *symbols, struct buf *out)
{
	struct decoded_field field, text;
	struct span texts[2] = {{NULL, 0}};
	double value = 0;
	uint64_t timestamp = 0;
	size_t count = 0;
	while (decode_next(&exemplar, &field)) {
		if (field.number == EXEMPLAR_VALUE)
			memcpy(&value, &field.integer, sizeof(value));
		if (field.number == EXEMPLAR_TIMESTAMP)
			timestamp = field.integer;
		assert_true(field.number != EXEMPLAR_LABELS || field.bytes.len);
		while (field.number == EXEMPLAR_LABELS && field.bytes.len) {
			assert_in_range(count, 0, 1);
			if (symbols)
				texts[count++] = symbols[decode_varint(&field.bytes)];
			else if (decode_next(&field.bytes, &text))
				texts[count++] = text.bytes;
		}
	}
	buf_printf(out, ", of {%.*s=\"%.*s\"} %g @ %llu", SPAN_ARGS(texts[0]), SPAN_ARGS(texts[1]),
		   value, (unsigned long long)timestamp);
}

/* Those of a series, if it has any. */
static void
decode_exemplars(struct span series, unsigned number, const struct span *symbols, struct buf *out)
{
	for (struct decoded_field field; decode_next(&series, &field);) {
		if (field.number == number)
			decode_exemplar(field.bytes, symbols, out);
	}
}

static const char *
decode_type(uint64_t type)
{
	static const char *const types[] = {"unknown",   "counter", "gauge",
					    "histogram", "?",       "summary"};
	assert_true(type < 6);
	return types[type];
}

#define DECODED_LABELS_MAX (2 * (LABELS_MAX + PUSH_EXTERNAL_LABELS_MAX + 2))

static void
decode_series_1(struct span series, struct buf *out)
{
	struct span texts[DECODED_LABELS_MAX] = {{NULL, 0}}, sample = SPAN(""), native = {NULL, 0};
	struct span whole = series;
	struct decoded_field field, text;
	size_t count = 0;
	while (decode_next(&series, &field)) {
		if (field.number == TIMESERIES_SAMPLES)
			sample = field.bytes;
		if (field.number == TIMESERIES_HISTOGRAMS)
			native = field.bytes;
		while (field.number == TIMESERIES_LABELS && decode_next(&field.bytes, &text))
			texts[count++] = text.bytes;
	}
	decode_labels(texts, count, out);
	if (native.ptr)
		decode_native(native, out);
	else
		decode_sample(sample, out);
	decode_exemplars(whole, TIMESERIES_EXEMPLARS, NULL, out);
	buf_add_byte(out, '\n');
}

static void
decode_metadata_1(struct span metadata, struct buf *out)
{
	struct decoded_field field;
	struct span name = SPAN(""), help = SPAN("");
	uint64_t type = 0;
	while (decode_next(&metadata, &field)) {
		if (field.number == METADATA_TYPE)
			type = field.integer;
		else
			*(field.number == METADATA_HELP ? &help : &name) = field.bytes;
	}
	buf_printf(out, "# %s %.*s %.*s\n", decode_type(type), SPAN_ARGS(name), SPAN_ARGS(help));
}

static void
decode_1(struct span message, struct buf *out)
{
	struct decoded_field field;
	while (decode_next(&message, &field)) {
		if (field.number == WRITE_TIMESERIES)
			decode_series_1(field.bytes, out);
		else
			decode_metadata_1(field.bytes, out);
	}
}

static void
decode_series_2(struct span series, const struct span *symbols, struct buf *out)
{
	struct span texts[DECODED_LABELS_MAX] = {{NULL, 0}}, sample = SPAN(""), metadata = SPAN("");
	struct span native = {NULL, 0}, whole = series;
	struct decoded_field field;
	uint64_t type = 0, help = 0;
	size_t count = 0;
	while (decode_next(&series, &field)) {
		if (field.number == TIMESERIES2_SAMPLES)
			sample = field.bytes;
		else if (field.number == TIMESERIES2_HISTOGRAMS)
			native = field.bytes;
		else if (field.number == TIMESERIES2_METADATA)
			metadata = field.bytes;
		while (field.number == TIMESERIES2_LABELS && field.bytes.len)
			texts[count++] = symbols[decode_varint(&field.bytes)];
	}
	while (decode_next(&metadata, &field))
		*(field.number == METADATA2_TYPE ? &type : &help) = field.integer;
	decode_labels(texts, count, out);
	if (native.ptr)
		decode_native(native, out);
	else
		decode_sample(sample, out);
	decode_exemplars(whole, TIMESERIES2_EXEMPLARS, symbols, out);
	buf_printf(out, " # %s %.*s\n", decode_type(type), SPAN_ARGS(symbols[help]));
}

static void
decode_2(struct span message, struct buf *out)
{
	static struct span symbols[10000];
	struct decoded_field field;
	size_t count = 0;
	for (struct span rest = message; decode_next(&rest, &field);) {
		if (field.number != REQUEST2_SYMBOLS)
			continue;
		assert_int_equal(field.bytes.len == 0, count == 0);
		symbols[count++] = field.bytes;
	}
	assert_true(count > 0);
	while (decode_next(&message, &field)) {
		if (field.number == REQUEST2_TIMESERIES)
			decode_series_2(field.bytes, symbols, out);
	}
}

static void
decode_message(const struct push_message *message, struct buf *out)
{
	(message->protocol == PUSH_PROTOCOL_1 ? decode_1 : decode_2)(message->bytes, out);
}

#endif
