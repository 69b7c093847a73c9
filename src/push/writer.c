#include "push/writer.h"

#include "base/alloc.h"
#include "base/protobuf.h"
#include "metrics/label_text.h"
#include "metrics/native_message.h"
#include "push/fields.h"
#include "push/symbols.h"
#include "push/twins.h"

#include <stdlib.h>

/* Labels of a sample: its own, external ones, the name, and `le` or `quantile`. */
#define SAMPLE_LABELS_MAX (LABELS_MAX + PUSH_EXTERNAL_LABELS_MAX + 2)
/* External labels, the name, and `le` or `quantile`. */
#define ADDED_LABELS_MAX (PUSH_EXTERNAL_LABELS_MAX + 2)

/* Looking for a twin takes about as long as writing so many bytes. */
#define TWIN_COST_BYTES 256

#define NAME_LABEL SPAN("__name__")

/* As Prometheus writes them: a NaN that is a value, and the one that ends a series. */
#define NAN_BITS UINT64_C(0x7ff8000000000001)
#define STALE_BITS UINT64_C(0x7ff0000000000002)

/* The labels of a series, sorted by name, empty ones left out. */
struct sample_labels {
	size_t count;
	struct label item[SAMPLE_LABELS_MAX];
	size_t name_at, extra_at; /* of the name and of `le` or `quantile`; SIZE_MAX = not there */
};

/* What a series is at a time: a number, or a native histogram. */
struct point {
	double value;                     /* of a native histogram its sum */
	const struct native_view *native; /* NULL = a number */
	size_t exemplar_count;
	const struct exemplar_view *const *exemplars;
};

struct format {
	void (*add_metadata)(struct push_writer *writer); /* NULL = each series has its own */
	void (*add_sample)(struct push_writer *writer, const struct sample_labels *labels,
			   bool with_extra, const struct point *point);
	void (*finish)(struct push_writer *writer); /* before the message is given away; or NULL */
};

struct push_writer {
	enum push_protocol protocol;
	const struct format *format;
	const struct labels *external;
	push_message_fn *take;
	void *ctx;

	struct family_view family;
	struct buf bucket_name, sum_name, count_name; /* the family's with suffixes */
	int64_t timestamp_ms;
	int64_t created_ms; /* of the series; 0 = not known */
	bool with_native;
	int64_t exemplars_from_ms;
	bool is_end;           /* markers are written in place of values */
	struct reader *reader; /* borrowed; NULL = twins are written, too */
	struct push_twins twins;
	uint64_t twin_samples; /* left out */

	struct buf unescaped;       /* values of the series' labels */
	struct buf exemplar_labels; /* the same of an exemplar's */
	struct sample_labels labels;
	bool may_have_twin; /* the series of these labels */

	struct buf out;         /* the message */
	struct symbols symbols; /* 2.0: of the message */
	struct buf references;  /* 2.0: labels of a sample */
	size_t spelled;         /* 2.0: bytes of labels, if each were spelled out */
	size_t samples;         /* in the message */
	size_t natives;         /* native histograms among them */
	uint64_t all_samples, all_bytes;
};

/* Of the enum MetricType, which both messages have alike. */
static const unsigned type_numbers[METRIC_TYPES] = {
    [METRIC_COUNTER] = 1,
    [METRIC_GAUGE] = 2,
    [METRIC_HISTOGRAM] = 3,
    [METRIC_SUMMARY] = 5,
};

/* ---- Labels. ---- */

/* Labels that a series gets besides its own, sorted by name. */
struct added_labels {
	size_t count;
	struct label item[ADDED_LABELS_MAX];
};

static void
add_sorted(struct added_labels *added, struct label label)
{
	size_t at = added->count++;
	for (; at && span_compare(added->item[at - 1].name, label.name) > 0; at--)
		added->item[at] = added->item[at - 1];
	added->item[at] = label;
}

/* @extra `le`, `quantile` or empty */
static void
collect_added(const struct push_writer *writer, struct span extra, struct added_labels *added)
{
	added->count = writer->external->count;
	memcpy(added->item, writer->external->item, added->count * sizeof(struct label));
	add_sorted(added, (struct label){NAME_LABEL, writer->family.name});
	if (extra.len)
		add_sorted(added, (struct label){extra, SPAN("")});
}

static void
append(struct sample_labels *labels, struct span extra, struct label label)
{
	CHECK(labels->count < SAMPLE_LABELS_MAX);
	if (span_equal(label.name, NAME_LABEL))
		labels->name_at = labels->count;
	else if (span_equal(label.name, extra))
		labels->extra_at = labels->count;
	labels->item[labels->count++] = label;
}

/* Empties a buffer for the values of `text`: unescaping makes them shorter, so what is borrowed
 * from the buffer stays where it is. */
static void
make_room(struct buf *room, struct span text)
{
	buf_reset(room);
	buf_reserve(room, text.len);
}

/* @return the value without its escapes; borrowed from `value` or from `room` */
static struct span
unescape(struct buf *room, struct span value)
{
	if (!span_find(value, '\\'))
		return value;
	size_t start = room->len;
	label_text_unescape(value, room);
	return span_of(room->ptr + start, room->len - start);
}

/* Merges the series' own labels with what is added. @extra `le`, `quantile` or empty */
static void
prepare_labels(struct push_writer *writer, struct span text, struct span extra)
{
	struct sample_labels *labels = &writer->labels;
	struct added_labels added;
	struct label label;
	size_t next = 0;
	collect_added(writer, extra, &added);
	labels->count = 0;
	labels->name_at = labels->extra_at = SIZE_MAX;
	writer->may_have_twin = false;
	make_room(&writer->unescaped, text);
	while (label_text_next(&text, &label.name, &label.value)) {
		int order = 1;
		/* Receivers take it for absent, and so it keeps no external label out. */
		if (!label.value.len) {
			writer->may_have_twin = true;
			continue;
		}
		for (; next < added.count &&
		       (order = span_compare(added.item[next].name, label.name)) < 0;
		     next++)
			append(labels, extra, added.item[next]);
		writer->may_have_twin |= order == 0;
		next += order == 0;
		label.value = unescape(&writer->unescaped, label.value);
		append(labels, SPAN(""), label);
	}
	while (next < added.count)
		append(labels, extra, added.item[next++]);
}

/* ---- Samples. ---- */

static double
shown_value(const struct push_writer *writer, double value)
{
	uint64_t bits = writer->is_end ? STALE_BITS : NAN_BITS;
	if (writer->is_end || value != value)
		memcpy(&value, &bits, sizeof(value));
	return value;
}

/* @return when what a sample counts began, in milliseconds since 1970; 0 = nothing to tell */
static int64_t
start_of(const struct push_writer *writer)
{
	bool counts = writer->family.type != METRIC_GAUGE && !writer->is_end;
	/* A clock that was set back makes times of birth that are yet to come. */
	return counts && writer->created_ms < writer->timestamp_ms ? writer->created_ms : 0;
}

/* @start_ms 0 = not told */
static void
add_number(struct push_writer *writer, double value, int64_t start_ms)
{
	protobuf_add_double(&writer->out, SAMPLE_VALUE, value);
	protobuf_add_uint(&writer->out, SAMPLE_TIMESTAMP, (uint64_t)writer->timestamp_ms);
	if (start_ms)
		protobuf_add_uint(&writer->out, SAMPLE2_START, (uint64_t)start_ms);
}

/* Its count is that of its buckets, or receivers would refuse it. @start_ms 0 = not told */
static void
add_native(struct push_writer *writer, const struct point *point, int64_t start_ms)
{
	static const struct native_side_fields negative = {HISTOGRAM_NEGATIVE_SPANS,
							   HISTOGRAM_NEGATIVE_DELTAS};
	static const struct native_side_fields positive = {HISTOGRAM_POSITIVE_SPANS,
							   HISTOGRAM_POSITIVE_DELTAS};
	struct buf *out = &writer->out;
	protobuf_add_uint(out, HISTOGRAM_COUNT, native_message_count(point->native));
	protobuf_add_double(out, HISTOGRAM_SUM, point->value);
	protobuf_add_sint(out, HISTOGRAM_SCHEMA, point->native->schema);
	protobuf_add_double(out, HISTOGRAM_ZERO_THRESHOLD, point->native->zero_threshold);
	protobuf_add_uint(out, HISTOGRAM_ZERO_COUNT, point->native->zero_count);
	native_message_add_side(out, negative, &point->native->negative);
	native_message_add_side(out, positive, &point->native->positive);
	protobuf_add_uint(out, HISTOGRAM_TIMESTAMP, (uint64_t)writer->timestamp_ms);
	if (start_ms)
		protobuf_add_uint(out, HISTOGRAM2_START, (uint64_t)start_ms);
}

/* @sample, @histogram the fields of the series that they are. @start_ms 0 = not told */
static void
add_point(struct push_writer *writer, uint32_t sample, uint32_t histogram,
	  const struct point *point, int64_t start_ms)
{
	size_t begun = protobuf_begin(&writer->out, point->native ? histogram : sample);
	if (point->native)
		add_native(writer, point, start_ms);
	else
		add_number(writer, point->value, start_ms);
	protobuf_end(&writer->out, begun);
}

static void
add_label_1(struct buf *out, unsigned field, const struct label *label)
{
	size_t begun = protobuf_begin(out, field);
	protobuf_add_bytes(out, LABEL_NAME, label->name);
	protobuf_add_bytes(out, LABEL_VALUE, label->value);
	protobuf_end(out, begun);
}

static void
add_label_2(struct symbols *symbols, struct buf *references, const struct label *label)
{
	protobuf_add_length(references, symbols_add(symbols, label->name));
	protobuf_add_length(references, symbols_add(symbols, label->value));
}

static void
add_exemplar_labels(struct push_writer *writer, struct span text)
{
	struct buf *out = &writer->out, *room = &writer->exemplar_labels;
	bool is_1 = writer->protocol == PUSH_PROTOCOL_1;
	size_t references = is_1 ? 0 : protobuf_begin(out, EXEMPLAR_LABELS);
	struct label label;
	make_room(room, text);
	while (label_text_next(&text, &label.name, &label.value)) {
		label.value = unescape(room, label.value);
		if (is_1)
			add_label_1(out, EXEMPLAR_LABELS, &label);
		else
			add_label_2(&writer->symbols, out, &label);
	}
	if (!is_1)
		protobuf_end(out, references);
}

static void
add_exemplars(struct push_writer *writer, unsigned field, const struct point *point)
{
	for (size_t i = 0; i < point->exemplar_count; i++) {
		const struct exemplar_view *exemplar = point->exemplars[i];
		size_t begun = protobuf_begin(&writer->out, field);
		add_exemplar_labels(writer, exemplar->labels);
		protobuf_add_double(&writer->out, EXEMPLAR_VALUE, exemplar->value);
		protobuf_add_uint(&writer->out, EXEMPLAR_TIMESTAMP, (uint64_t)exemplar->time_ms);
		protobuf_end(&writer->out, begun);
	}
}

static void
add_sample_1(struct push_writer *writer, const struct sample_labels *labels, bool with_extra,
	     const struct point *point)
{
	struct buf *out = &writer->out;
	size_t series = protobuf_begin(out, WRITE_TIMESERIES);
	for (size_t i = 0; i < labels->count; i++) {
		if (i == labels->extra_at && !with_extra)
			continue;
		add_label_1(out, TIMESERIES_LABELS, &labels->item[i]);
	}
	add_point(writer, TIMESERIES_SAMPLES, TIMESERIES_HISTOGRAMS, point, 0);
	add_exemplars(writer, TIMESERIES_EXEMPLARS, point);
	protobuf_end(out, series);
}

static void
add_metadata_1(struct push_writer *writer)
{
	struct buf *out = &writer->out;
	size_t metadata = protobuf_begin(out, WRITE_METADATA);
	protobuf_add_uint(out, METADATA_TYPE, type_numbers[writer->family.type]);
	protobuf_add_bytes(out, METADATA_FAMILY_NAME, writer->family.name);
	protobuf_add_bytes(out, METADATA_HELP, writer->family.help);
	protobuf_end(out, metadata);
}

static void
add_sample_2(struct push_writer *writer, const struct sample_labels *labels, bool with_extra,
	     const struct point *point)
{
	struct buf *out = &writer->out, *references = &writer->references;
	buf_reset(references);
	for (size_t i = 0; i < labels->count; i++) {
		if (i == labels->extra_at && !with_extra)
			continue;
		const struct label *label = &labels->item[i];
		add_label_2(&writer->symbols, references, label);
		writer->spelled += label->name.len + label->value.len;
	}
	size_t series = protobuf_begin(out, REQUEST2_TIMESERIES);
	protobuf_add_bytes(out, TIMESERIES2_LABELS, buf_span(references));
	add_point(writer, TIMESERIES2_SAMPLES, TIMESERIES2_HISTOGRAMS, point, start_of(writer));
	add_exemplars(writer, TIMESERIES2_EXEMPLARS, point);
	size_t metadata = protobuf_begin(out, TIMESERIES2_METADATA);
	protobuf_add_uint(out, METADATA2_TYPE, type_numbers[writer->family.type]);
	protobuf_add_uint(out, METADATA2_HELP, symbols_add(&writer->symbols, writer->family.help));
	protobuf_end(out, metadata);
	protobuf_end(out, series);
}

static void
finish_2(struct push_writer *writer)
{
	buf_add_span(&writer->out, buf_span(&writer->symbols.fields));
	symbols_reset(&writer->symbols);
	writer->spelled = 0;
}

static const struct format formats[PUSH_PROTOCOLS] = {
    [PUSH_PROTOCOL_1] = {.add_metadata = add_metadata_1, .add_sample = add_sample_1},
    [PUSH_PROTOCOL_2] = {.add_sample = add_sample_2, .finish = finish_2},
};

static bool
is_full(const struct push_writer *writer)
{
	return writer->samples >= PUSH_MESSAGE_SAMPLES ||
	       writer->out.len + writer->symbols.fields.len >= PUSH_MESSAGE_BYTES ||
	       writer->spelled >= PUSH_MESSAGE_SPELLED_BYTES;
}

/* @name with its suffix. @extra the value of `le` or `quantile`, with ptr NULL there is none */
static void
add_to_message(struct push_writer *writer, struct span name, struct span extra,
	       const struct point *point)
{
	struct sample_labels *labels = &writer->labels;
	labels->item[labels->name_at].value = name;
	if (extra.ptr)
		labels->item[labels->extra_at].value = extra;
	size_t before = writer->out.len;
	writer->format->add_sample(writer, labels, extra.ptr != NULL, point);
	writer->all_bytes += writer->out.len - before;
	writer->all_samples++;
	writer->samples++;
	writer->natives += point->native != NULL;
	if (is_full(writer))
		push_writer_flush(writer);
}

static void
add_sample(struct push_writer *writer, struct span name, struct span extra, double value)
{
	struct point point = {.value = shown_value(writer, value)};
	add_to_message(writer, name, extra, &point);
}

/* @exemplars of the series, or NULL; the one at `number` is the sample's, if there is one there */
static void
add_sample_with(struct push_writer *writer, struct span name, struct span extra, double value,
		const struct exemplar_view *exemplars, size_t number)
{
	const struct exemplar_view *exemplar = exemplars ? &exemplars[number] : NULL;
	bool has_one =
	    exemplar && exemplar->labels.len && exemplar->time_ms >= writer->exemplars_from_ms;
	struct point point = {.value = shown_value(writer, value),
			      .exemplar_count = has_one ? 1 : 0,
			      .exemplars = &exemplar};
	add_to_message(writer, name, extra, &point);
}

/* ---- Series. ---- */

static const struct span no_extra = {NULL, 0};

static void
add_totals(struct push_writer *writer, const struct series_view *series)
{
	add_sample(writer, buf_span(&writer->sum_name), no_extra, series->sum);
	add_sample(writer, buf_span(&writer->count_name), no_extra, (double)series->count);
}

static void
add_native_histogram(struct push_writer *writer, const struct series_view *series)
{
	const struct exemplar_view *exemplars[NATIVE_MESSAGE_EXEMPLARS_MAX];
	/* The marker of a number ends a native histogram, too. */
	struct point point = {.value = shown_value(writer, series->sum),
			      .native = writer->is_end ? NULL : series->native,
			      .exemplar_count =
				  native_message_exemplars(series, writer->exemplars_from_ms,
							   writer->timestamp_ms, exemplars),
			      .exemplars = exemplars};
	add_to_message(writer, writer->family.name, no_extra, &point);
}

static void
add_histogram(struct push_writer *writer, const struct series_view *series)
{
	uint64_t below = 0;
	for (size_t i = 0; i <= series->bound_count; i++) {
		below += writer->is_end ? 0 : series->buckets[i];
		add_sample_with(writer, buf_span(&writer->bucket_name),
				i < series->bound_count ? series->bound_texts[i] : SPAN("+Inf"),
				(double)below, series->exemplars, i);
	}
	add_totals(writer, series);
	if (series->native && writer->with_native)
		add_native_histogram(writer, series);
}

static void
add_summary(struct push_writer *writer, const struct series_view *series)
{
	for (size_t i = 0; i < series->quantile_count; i++)
		add_sample(writer, writer->family.name, series->quantile_texts[i],
			   writer->is_end ? 0 : series->quantile_values[i]);
	add_totals(writer, series);
}

/* Markers are no danger: of one time they are all the same. */
static bool
is_twin(struct push_writer *writer, const struct series_view *series)
{
	if (!writer->may_have_twin || !writer->reader || writer->is_end)
		return false;
	writer->all_bytes += TWIN_COST_BYTES + series->labels.len;
	return push_twins_had(&writer->twins, writer->reader, series->labels);
}

static void
add_one(struct push_writer *writer, const struct series_view *series)
{
	static const struct span extras[METRIC_TYPES] = {
	    [METRIC_HISTOGRAM] = SPAN("le"), [METRIC_SUMMARY] = SPAN("quantile")};
	enum metric_type type = writer->family.type;
	writer->created_ms = series->created_ms;
	prepare_labels(writer, series->labels, extras[type]);
	if (is_twin(writer, series)) {
		writer->twin_samples += push_sample_count(type, series, writer->with_native);
		return;
	}
	switch (type) {
	case METRIC_HISTOGRAM:
		add_histogram(writer, series);
		return;
	case METRIC_SUMMARY:
		add_summary(writer, series);
		return;
	default:
		add_sample_with(writer, writer->family.name, no_extra, series->value,
				series->exemplars, 0);
	}
}

/* All samples of a message have one timestamp. */
static void
set_timestamp(struct push_writer *writer, int64_t timestamp_ms)
{
	if (writer->samples && timestamp_ms != writer->timestamp_ms)
		push_writer_flush(writer);
	writer->timestamp_ms = timestamp_ms;
}

void
push_writer_add_series(struct push_writer *writer, const struct series_view *series, size_t count,
		       int64_t timestamp_ms)
{
	set_timestamp(writer, timestamp_ms);
	for (size_t i = 0; i < count; i++)
		add_one(writer, &series[i]);
}

void
push_writer_add_end(struct push_writer *writer, const struct series_view *series,
		    int64_t timestamp_ms)
{
	set_timestamp(writer, timestamp_ms);
	writer->is_end = true;
	add_one(writer, series);
	writer->is_end = false;
}

/* ---- The writer. ---- */

static void
set_name(struct buf *name, struct span family, struct span suffix)
{
	buf_reset(name);
	buf_add_span(name, family);
	buf_add_span(name, suffix);
}

void
push_writer_begin_family(struct push_writer *writer, const struct family_view *family,
			 bool with_metadata)
{
	writer->family = *family;
	set_name(&writer->bucket_name, family->name, SPAN("_bucket"));
	set_name(&writer->sum_name, family->name, SPAN("_sum"));
	set_name(&writer->count_name, family->name, SPAN("_count"));
	push_twins_begin_family(&writer->twins);
	size_t before = writer->out.len;
	if (with_metadata && writer->format->add_metadata)
		writer->format->add_metadata(writer);
	/* With its name, so that going over many empty families makes progress, too. */
	writer->all_bytes += writer->out.len - before + family->name.len;
}

void
push_writer_flush(struct push_writer *writer)
{
	if (!writer->out.len)
		return;
	if (writer->format->finish)
		writer->format->finish(writer);
	struct push_message message = {.protocol = writer->protocol,
				       .bytes = buf_span(&writer->out),
				       .samples = writer->samples,
				       .natives = writer->natives,
				       .timestamp_ms = writer->timestamp_ms};
	writer->take(writer->ctx, &message);
	buf_reset(&writer->out);
	writer->samples = writer->natives = 0;
}

struct push_writer *
push_writer_new(enum push_protocol protocol, const struct labels *external, bool with_native,
		push_message_fn *take, void *ctx)
{
	struct push_writer *writer = xcalloc(1, sizeof(*writer));
	CHECK(external->count <= PUSH_EXTERNAL_LABELS_MAX);
	writer->protocol = protocol;
	writer->format = &formats[protocol];
	writer->external = external;
	writer->with_native = with_native;
	writer->exemplars_from_ms = INT64_MAX;
	writer->take = take;
	writer->ctx = ctx;
	writer->bucket_name = writer->sum_name = writer->count_name = BUF_INIT;
	writer->unescaped = writer->exemplar_labels = BUF_INIT;
	writer->out = writer->references = BUF_INIT;
	symbols_init(&writer->symbols);
	push_twins_init(&writer->twins, external);
	return writer;
}

void
push_writer_want_exemplars(struct push_writer *writer, int64_t from_ms)
{
	writer->exemplars_from_ms = from_ms;
}

void
push_writer_leave_out_twins(struct push_writer *writer, struct reader *reader)
{
	writer->reader = reader;
}

void
push_writer_free(struct push_writer **slot)
{
	struct push_writer *writer = *slot;
	*slot = NULL;
	if (!writer)
		return;
	struct buf *all[] = {&writer->bucket_name, &writer->sum_name,        &writer->count_name,
			     &writer->unescaped,   &writer->exemplar_labels, &writer->out,
			     &writer->references};
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		buf_fini(all[i]);
	symbols_fini(&writer->symbols);
	push_twins_fini(&writer->twins);
	free(writer);
}

uint64_t
push_writer_samples(const struct push_writer *writer)
{
	return writer->all_samples;
}

uint64_t
push_writer_twin_samples(const struct push_writer *writer)
{
	return writer->twin_samples;
}

uint64_t
push_writer_bytes(const struct push_writer *writer)
{
	return writer->all_bytes;
}

size_t
push_sample_count(enum metric_type type, const struct series_view *series, bool with_native)
{
	if (type == METRIC_HISTOGRAM)
		return series->bound_count + 3 + (with_native && series->native);
	return type == METRIC_SUMMARY ? series->quantile_count + 2 : 1;
}
