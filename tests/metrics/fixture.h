/*
 * A registry with few words: asks for series by text, and shows everything a reader finds as text.
 */
#ifndef TESTS_METRICS_FIXTURE_H
#define TESTS_METRICS_FIXTURE_H

#include "test.h"

#include "base/alloc.h"
#include "metrics/histogram.h"
#include "metrics/registry.h"

#include <math.h>
#include <stdlib.h>

#define SECOND_US INT64_C(1000000)
#define FIXTURE_START_MS INT64_C(1700000000123)

struct fixture {
	struct grace *grace;
	struct registry *registry;
	struct buf text; /* scratch of the ingest threads, which are all this one here */
	uint32_t tick;
	uint64_t rules;
	const char *help;
	const struct histogram_options *histogram;
	const struct summary_options *summary;
	struct total_options totals;
	uint16_t scope;
	struct buf left; /* what the registry said of series that left a scope, "1:a="b" " each */
};

static double fixture_bounds[] = {1, 2, 5};
static const struct histogram_options fixture_histogram = {3, fixture_bounds, 0, 0};
static struct quantile fixture_quantiles[] = {{0.5, 0.05}, {0.99, 0.001}};
static const struct summary_options fixture_summary = {2, fixture_quantiles, 10 * SECOND_US, 5, 0};

static inline void
fixture_note_left(void *ctx, unsigned scope, struct span labels)
{
	buf_printf(ctx, "%u:%.*s ", scope, SPAN_ARGS(labels));
}

static inline struct fixture
fixture_open(unsigned threads, uint64_t max_series, const struct span *reserved, size_t count)
{
	struct fixture fixture = {.grace = grace_new(threads),
				  .tick = 1,
				  .rules = 1,
				  .help = "help",
				  .text = BUF_INIT,
				  .histogram = &fixture_histogram,
				  .summary = &fixture_summary};
	fixture.registry = registry_new(&(struct registry_settings){
	    .threads = threads,
	    .max_series = max_series,
	    .grace = fixture.grace,
	    .start_ms = FIXTURE_START_MS,
	    .reserved = reserved,
	    .reserved_count = count,
	});
	return fixture;
}

static inline void
fixture_close(struct fixture *fixture)
{
	registry_free(&fixture->registry);
	grace_free(&fixture->grace);
	buf_fini(&fixture->text);
}

/* Has the registry tell of scopes; instead of fixture_open(). @fixture written; stays where it is
 */
static inline void
fixture_open_scoped(struct fixture *fixture, uint64_t max_series)
{
	*fixture = fixture_open(1, max_series, NULL, 0);
	registry_free(&fixture->registry);
	fixture->left = BUF_INIT;
	fixture->registry = registry_new(&(struct registry_settings){
	    .threads = 1,
	    .max_series = max_series,
	    .grace = fixture->grace,
	    .left_scope = fixture_note_left,
	    .left_scope_ctx = &fixture->left,
	});
}

static inline void
fixture_close_scoped(struct fixture *fixture)
{
	fixture_close(fixture);
	buf_fini(&fixture->left);
}

/* `a=1,b=2` as a label set that borrows from the text. */
static inline void
labels_parse(const char *text, struct labels *labels)
{
	labels->count = 0;
	while (*text) {
		size_t name = strcspn(text, "="), value = strcspn(text + name + 1, ",");
		assert_true(
		    labels_set(labels, span_of(text, name), span_of(text + name + 1, value)));
		text += name + 1 + value;
		text += *text == ',';
	}
}

static inline enum registry_verdict
find_or_create(struct registry *registry, unsigned thread, const struct labels *labels,
	       struct series_request *request, struct buf *text, struct series_ref *ref)
{
	buf_reset(text);
	registry_prepare(registry, labels, text, request);
	return registry_find_or_create(registry, thread, request, ref);
}

static inline enum registry_verdict
fixture_ask(struct fixture *fixture, unsigned thread, enum metric_type type, const char *name,
	    const char *label_text, int64_t ttl_us, struct series_ref *ref)
{
	struct labels labels;
	labels_parse(label_text, &labels);
	struct series_request request = {
	    .name = span_text(name),
	    .type = type,
	    .totals = fixture->totals,
	    .histogram = fixture->histogram,
	    .summary = fixture->summary,
	    .ttl_us = ttl_us,
	    .scope = fixture->scope,
	    .help = span_text(fixture->help),
	    .rules = fixture->rules,
	    .tick = fixture->tick,
	};
	struct series_ref ignored;
	return find_or_create(fixture->registry, thread, &labels, &request, &fixture->text,
				       ref ? ref : &ignored);
}

#define assert_same_ref(a, b)                                       \
	do {                                                        \
		assert_ptr_equal((a).layout, (b).layout);           \
		assert_int_equal((a).id, (b).id);                   \
		assert_int_equal((a).incarnation, (b).incarnation); \
	} while (0)

/* The cell a reference leads to, or NULL when the series was taken away. */
static inline struct cell *
fixture_cell(struct fixture *fixture, unsigned thread, struct series_ref ref)
{
	unsigned pool = ref.layout->pool;
	struct shard *shard = pool == POOL_GAUGES ? registry_gauges(fixture->registry)
						  : registry_shard(fixture->registry, thread);
	return shard_find(shard, pool, ref.id, ref.incarnation);
}

/* One sample of any type, as an ingest thread applies it. */
static inline void
fixture_apply(struct fixture *fixture, unsigned thread, struct series_ref ref, double value,
	      int64_t now_us)
{
	struct cell *cell = fixture_cell(fixture, thread, ref);
	assert_non_null(cell);
	cell_set_tick(cell, fixture->tick);
	const struct layout *layout = ref.layout;
	if (layout->type == METRIC_COUNTER)
		counter_add((struct counter_cell *)cell, value);
	else if (layout->type == METRIC_GAUGE)
		gauge_set((struct gauge_cell *)cell, value);
	else if (layout->type == METRIC_HISTOGRAM)
		histogram_observe(registry_shard(fixture->registry, thread),
				  (struct histogram_cell *)cell, layout,
				  histogram_place(layout, value), value, 1);
	else
		summary_observe(registry_shard(fixture->registry, thread),
				(struct summary_cell *)cell, layout, value, 1, now_us);
}

/* Finds or creates a series and applies a sample. */
static inline struct series_ref
fixture_send(struct fixture *fixture, enum metric_type type, const char *name, const char *labels,
	     int64_t ttl_us, double value)
{
	struct series_ref ref;
	assert_int_equal(fixture_ask(fixture, 0, type, name, labels, ttl_us, &ref), REGISTRY_OK);
	fixture_apply(fixture, 0, ref, value, 0);
	return ref;
}

/* Goes to a second and ends all that is over by then. */
static inline void
fixture_expire_at(struct fixture *fixture, uint32_t second)
{
	fixture->tick = second * TICKS_PER_SECOND;
	while (registry_expire(fixture->registry, fixture->tick))
		;
}

/* A reader that shows all births so far. */
static inline struct reader *
read_all(struct registry *registry, int64_t now_us)
{
	return registry_reader_new(registry, registry_births(registry), now_us);
}

static inline void
show_series(const struct series_view *series, enum metric_type type, struct buf *out)
{
	buf_printf(out, "{%.*s}", SPAN_ARGS(series->labels));
	if (type == METRIC_COUNTER || type == METRIC_GAUGE) {
		buf_printf(out, " %g\n", series->value);
		return;
	}
	buf_printf(out, " sum %g count %llu", series->sum, (unsigned long long)series->count);
	for (size_t i = 0; type == METRIC_HISTOGRAM && i < series->bound_count; i++)
		buf_printf(out, " %.*s:%llu", SPAN_ARGS(series->bound_texts[i]),
			   (unsigned long long)series->buckets[i]);
	if (type == METRIC_HISTOGRAM)
		buf_printf(out, " +Inf:%llu",
			   (unsigned long long)series->buckets[series->bound_count]);
	for (size_t i = 0; i < series->quantile_count; i++)
		buf_printf(out, " %.*s:%g", SPAN_ARGS(series->quantile_texts[i]),
			   series->quantile_values[i]);
	buf_add_byte(out, '\n');
}

/* The rest of the reader's family, a line a series. */
static inline void
show_family(struct reader *reader, enum metric_type type, struct buf *out)
{
	struct series_view series;
	while (reader_next_series(reader, &series))
		show_series(&series, type, out);
}

/* All that a reader still has to give. @reader consumed */
static inline void
show_reader(struct reader **reader, struct buf *out)
{
	struct family_view family;
	while (reader_next_family(*reader, &family)) {
		buf_printf(out, "%.*s %s %.*s\n", SPAN_ARGS(family.name),
			   metric_type_text(family.type), SPAN_ARGS(family.help));
		show_family(*reader, family.type, out);
	}
	reader_free(reader);
}

/* Everything in the registry must read so. */
#define assert_shown(fixture, now_us, want)                                                \
	do {                                                                               \
		struct buf shown_ = BUF_INIT;                                              \
		struct reader *reader_ = read_all((fixture)->registry, now_us); \
		show_reader(&reader_, &shown_);                                            \
		assert_string_equal(buf_text(&shown_), want);                              \
		buf_fini(&shown_);                                                         \
	} while (0)

/* The next family must have this name, and these series must follow. */
#define assert_next_family(reader, want_name, want_series)           \
	do {                                                         \
		struct family_view family_;                          \
		struct buf shown_ = BUF_INIT;                        \
		assert_true(reader_next_family(reader, &family_));   \
		assert_span_equal(family_.name, want_name);          \
		show_family(reader, family_.type, &shown_);          \
		assert_string_equal(buf_text(&shown_), want_series); \
		buf_fini(&shown_);                                   \
	} while (0)

#define assert_no_family(reader)                                    \
	do {                                                        \
		struct family_view family_;                         \
		assert_false(reader_next_family(reader, &family_)); \
	} while (0)

#endif
