#include "exposition/protobuf.h"

#include "base/alloc.h"
#include "base/protobuf.h"
#include "metrics/label_text.h"
#include "metrics/native_message.h"

#include <math.h>
#include <stdlib.h>

/* Field numbers of metrics.proto. */
enum { FAMILY_NAME = 1, FAMILY_HELP = 2, FAMILY_TYPE = 3, FAMILY_METRIC = 4 };
enum { METRIC_LABEL = 1 };
enum { LABEL_NAME = 1, LABEL_VALUE = 2 };
enum { SCALAR_VALUE = 1 }; /* of Counter and of Gauge */
enum { COUNTER_EXEMPLAR = 2 };
enum { EXEMPLAR_VALUE = 2, EXEMPLAR_TIMESTAMP = 3 }; /* and labels as a Metric has them */
enum { TIMESTAMP_SECONDS = 1, TIMESTAMP_NANOS = 2 };
enum { SUMMARY_COUNT = 1, SUMMARY_SUM = 2, SUMMARY_QUANTILE = 3 };
enum { QUANTILE_QUANTILE = 1, QUANTILE_VALUE = 2 };
enum { HISTOGRAM_COUNT = 1, HISTOGRAM_SUM = 2, HISTOGRAM_BUCKET = 3 };
enum { BUCKET_COUNT = 1, BUCKET_BOUND = 2, BUCKET_EXEMPLAR = 3 };
enum { NATIVE_SCHEMA = 5, NATIVE_ZERO_THRESHOLD = 6, NATIVE_ZERO_COUNT = 7, NATIVE_EXEMPLARS = 16 };

/* Of a Histogram, too. */
static const struct native_side_fields negative_fields = {9, 10}, positive_fields = {12, 13};

/* How a type is named there: its number in MetricType, its field in Metric, and the field of its
 * start_timestamp, 0 = it has none. */
static const struct {
	unsigned type, field, start;
} types[METRIC_TYPES] = {
    [METRIC_COUNTER] = {0, 3, 3},
    [METRIC_GAUGE] = {1, 2, 0},
    [METRIC_SUMMARY] = {2, 4, 4},
    [METRIC_HISTOGRAM] = {4, 7, 15},
};

struct state {
	size_t begun; /* the family's message, see protobuf_end() */
};

/* Times of birth are fields of a message here, which cost nobody a series: always written. */
static void *
new_state(bool with_created)
{
	(void)with_created;
	return xcalloc(1, sizeof(struct state));
}

static void
begin_family(void *ctx, struct buf *out, const struct family_view *family)
{
	struct state *state = ctx;
	state->begun = protobuf_begin_delimited(out);
	protobuf_add_bytes(out, FAMILY_NAME, family->name);
	protobuf_add_bytes(out, FAMILY_HELP, family->help);
	protobuf_add_uint(out, FAMILY_TYPE, types[family->type].type);
}

static void
end_family(void *ctx, struct buf *out)
{
	const struct state *state = ctx;
	protobuf_end(out, state->begun);
}

static void
add_label(struct buf *out, struct span name, struct span value)
{
	size_t label = protobuf_begin(out, METRIC_LABEL);
	protobuf_add_bytes(out, LABEL_NAME, name);
	if (!span_find(value, '\\')) {
		protobuf_add_bytes(out, LABEL_VALUE, value);
	} else {
		size_t begun = protobuf_begin(out, LABEL_VALUE);
		label_text_unescape(value, out);
		protobuf_end(out, begun);
	}
	protobuf_end(out, label);
}

static void
add_labels(struct buf *out, struct span labels)
{
	struct span name, value;
	while (label_text_next(&labels, &name, &value))
		add_label(out, name, value);
}

static void
add_timestamp(struct buf *out, unsigned field, int64_t ms)
{
	size_t timestamp = protobuf_begin(out, field);
	protobuf_add_uint(out, TIMESTAMP_SECONDS, (uint64_t)(ms / 1000));
	protobuf_add_uint(out, TIMESTAMP_NANOS, (uint64_t)(ms % 1000 * 1000000));
	protobuf_end(out, timestamp);
}

/* @exemplar NULL, or without labels = none */
static void
add_exemplar(struct buf *out, unsigned field, const struct exemplar_view *exemplar)
{
	if (!exemplar || !exemplar->labels.len)
		return;
	size_t begun = protobuf_begin(out, field);
	add_labels(out, exemplar->labels);
	protobuf_add_double(out, EXEMPLAR_VALUE, exemplar->value);
	add_timestamp(out, EXEMPLAR_TIMESTAMP, exemplar->time_ms);
	protobuf_end(out, begun);
}

static void
add_native_exemplars(struct buf *out, const struct series_view *series)
{
	const struct exemplar_view *exemplars[NATIVE_MESSAGE_EXEMPLARS_MAX];
	size_t count = native_message_exemplars(series, INT64_MIN, INT64_MAX, exemplars);
	for (size_t i = 0; i < count; i++)
		add_exemplar(out, NATIVE_EXEMPLARS, exemplars[i]);
}

/* Prometheus knows one by its threshold or by a span, some of its versions by one of them only; so
 * one without buckets has a span of none, as client libraries write it. */
static void
add_native(struct buf *out, const struct native_view *native)
{
	protobuf_add_sint(out, NATIVE_SCHEMA, native->schema);
	protobuf_add_double(out, NATIVE_ZERO_THRESHOLD, native->zero_threshold);
	protobuf_add_uint(out, NATIVE_ZERO_COUNT, native->zero_count);
	native_message_add_side(out, negative_fields, &native->negative);
	native_message_add_side(out, positive_fields, &native->positive);
	if (!native->negative.span_count && !native->positive.span_count)
		native_message_add_span(out, positive_fields.spans, (struct native_span){0, 0});
}

/* Values that came while it was read are in the classic histogram alone, which may not count more than
 * the native one beside it. */
static void
add_histogram(struct buf *out, const struct series_view *series)
{
	uint64_t count = series->native ? native_message_count(series->native) : series->count;
	uint64_t below = 0;
	protobuf_add_uint(out, HISTOGRAM_COUNT, count);
	protobuf_add_double(out, HISTOGRAM_SUM, series->sum);
	for (size_t i = 0; i <= series->bound_count; i++) {
		const struct exemplar_view *exemplar =
		    series->exemplars ? &series->exemplars[i] : NULL;
		/* The last bucket is left out unless it has something else to tell. */
		if (i == series->bound_count && (!exemplar || !exemplar->labels.len))
			break;
		size_t bucket = protobuf_begin(out, HISTOGRAM_BUCKET);
		below += series->buckets[i];
		protobuf_add_uint(out, BUCKET_COUNT, below < count ? below : count);
		protobuf_add_double(out, BUCKET_BOUND,
				    i < series->bound_count ? series->bounds[i] : INFINITY);
		add_exemplar(out, BUCKET_EXEMPLAR, exemplar);
		protobuf_end(out, bucket);
	}
	if (!series->native)
		return;
	add_native(out, series->native);
	add_native_exemplars(out, series);
}

static void
add_summary(struct buf *out, const struct series_view *series)
{
	protobuf_add_uint(out, SUMMARY_COUNT, series->count);
	protobuf_add_double(out, SUMMARY_SUM, series->sum);
	for (size_t i = 0; i < series->quantile_count; i++) {
		size_t quantile = protobuf_begin(out, SUMMARY_QUANTILE);
		protobuf_add_double(out, QUANTILE_QUANTILE, series->quantiles[i]);
		protobuf_add_double(out, QUANTILE_VALUE, series->quantile_values[i]);
		protobuf_end(out, quantile);
	}
}

static void
add_one(struct buf *out, enum metric_type type, const struct series_view *series)
{
	size_t metric = protobuf_begin(out, FAMILY_METRIC);
	add_labels(out, series->labels);
	size_t begun = protobuf_begin(out, types[type].field);
	if (type == METRIC_HISTOGRAM)
		add_histogram(out, series);
	else if (type == METRIC_SUMMARY)
		add_summary(out, series);
	else
		protobuf_add_double(out, SCALAR_VALUE, series->value);
	if (type == METRIC_COUNTER)
		add_exemplar(out, COUNTER_EXEMPLAR, series->exemplars);
	if (types[type].start && series->created_ms > 0)
		add_timestamp(out, types[type].start, series->created_ms);
	protobuf_end(out, begun);
	protobuf_end(out, metric);
}

static void
add_series(void *ctx, struct buf *out, const struct family_view *family,
	   const struct series_view *series, size_t count)
{
	(void)ctx;
	for (size_t i = 0; i < count; i++)
		add_one(out, family->type, &series[i]);
}

const struct exposition_encoder exposition_protobuf = {
    .wants = READER_NATIVE | READER_EXEMPLARS,
    .new_state = new_state,
    .free_state = free,
    .begin_family = begin_family,
    .add_series = add_series,
    .end_family = end_family,
};
