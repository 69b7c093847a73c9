/*
 * Ingest threads and the control thread at work together, as app runs them: batches between
 * quiescent points, known spellings on the fast path, and all the while expiry, scrapes and
 * freeing.
 */
#include "fixture.h"
#include "metrics/registry_private.h"
#include "native_total.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>

#define THREADS 3
#define SERIES 200 /* of each type; every second one expires */
#define BATCHES 2500
#define BATCH 40

struct shared {
	struct grace *grace;
	struct registry *registry;
	_Atomic uint32_t tick;
	_Atomic uint64_t rules;
	_Atomic unsigned running;
};

struct ingest_thread {
	struct shared *shared;
	unsigned index;
	struct buf text;
	uint64_t rules;                               /* that it works by */
	struct series_ref refs[METRIC_TYPES][SERIES]; /* found by these */
	uint64_t sent[METRIC_TYPES][SERIES];
	uint64_t slow;
};

static const char *const family_names[] = {"c", "g", "h", "s"};

static bool
is_kept(unsigned series)
{
	return series % 2 == 0;
}

/* Finds the series of a sample: by what is known of it, or through the registry. */
static struct cell *
find_cell(struct ingest_thread *thread, enum metric_type type, unsigned series, uint32_t tick)
{
	struct registry *registry = thread->shared->registry;
	struct series_ref *ref = &thread->refs[type][series];
	struct shard *shard = type == METRIC_GAUGE ? registry_gauges(registry)
						   : registry_shard(registry, thread->index);
	struct cell *cell = ref->incarnation
				? shard_find(shard, ref->layout->pool, ref->id, ref->incarnation)
				: NULL;
	if (cell)
		return cell;
	/* Few native buckets of many, so that they are replaced under way. */
	double bounds[] = {1, 2, (double)(2 + thread->rules)};
	const struct histogram_options histogram = {1 + thread->rules % 3, bounds, 1.001, 20};
	struct summary_options summary = fixture_summary;
	summary.age_buckets = 1 + thread->rules % 6;
	struct labels labels = {0};
	char number[8];
	snprintf(number, sizeof(number), "%03u", series);
	assert_true(labels_set(&labels, SPAN("n"), span_text(number)));
	struct series_request request = {
	    .name = span_text(family_names[type]),
	    .type = type,
	    .totals.keeps_exemplars = (series + thread->rules) % 3 == 0,
	    .histogram = &histogram,
	    .summary = &summary,
	    .ttl_us = is_kept(series) ? 0 : 1 + series % 3 * TICK_US,
	    .help = SPAN("help"),
	    .rules = thread->rules,
	    .tick = tick,
	};
	thread->slow++;
	assert_int_equal(
	    find_or_create(registry, thread->index, &labels, &request, &thread->text, ref),
	    REGISTRY_OK);
	return shard_peek(shard, ref->layout->pool, ref->id);
}

/* An exemplar all of whose parts say the same. */
static void
put_exemplar(struct ingest_thread *thread, struct cell *cell, const struct layout *layout,
	     unsigned number)
{
	char text[32];
	snprintf(text, sizeof(text), "t=\"%u\"", number);
	struct exemplar_view exemplar = {span_text(text), number, number};
	shard_put_exemplar(registry_shard(thread->shared->registry, thread->index), cell, layout, 0,
			   &exemplar);
}

static void
check_exemplar(const struct exemplar_view *exemplar)
{
	char text[32];
	if (!exemplar || !exemplar->labels.len)
		return;
	snprintf(text, sizeof(text), "t=\"%lld\"", (long long)exemplar->time_ms);
	assert_span_equal(exemplar->labels, text);
	assert_true(exemplar->value == (double)exemplar->time_ms);
}

static void
send_one(struct ingest_thread *thread, enum metric_type type, unsigned series, uint32_t tick)
{
	struct cell *cell = find_cell(thread, type, series, tick);
	const struct layout *layout = thread->refs[type][series].layout;
	double value = 1.0 / (1 + tick % 200); /* in the first classic bucket */
	cell_set_tick(cell, tick);
	if (type == METRIC_COUNTER)
		counter_add((struct counter_cell *)cell, 1);
	else if (type == METRIC_GAUGE)
		gauge_add((struct gauge_cell *)cell, 1);
	else if (type == METRIC_HISTOGRAM)
		histogram_observe(registry_shard(thread->shared->registry, thread->index),
				  (struct histogram_cell *)cell, layout,
				  histogram_place(layout, value), value, 1);
	else
		summary_observe(registry_shard(thread->shared->registry, thread->index),
				(struct summary_cell *)cell, layout, 1, 1, (int64_t)tick * TICK_US);
	thread->sent[type][series]++;
	if (layout->totals.keeps_exemplars)
		put_exemplar(thread, cell, layout, (unsigned)thread->sent[type][series]);
}

static void *
ingest(void *arg)
{
	struct ingest_thread *thread = arg;
	unsigned random = thread->index + 1;
	for (unsigned batch = 0; batch < BATCHES; batch++) {
		grace_begin(thread->shared->grace, thread->index);
		uint32_t tick = atomic_load(&thread->shared->tick);
		uint64_t rules = atomic_load(&thread->shared->rules);
		if (rules != thread->rules)
			memset(thread->refs, 0, sizeof(thread->refs));
		thread->rules = rules;
		for (unsigned i = 0; i < BATCH; i++) {
			random = random * 1664525 + 1013904223;
			/* A part of the series rests while others are in use, so that they expire.
			 */
			unsigned series = (random >> 8) % 50 + batch / 100 * 10 % SERIES;
			send_one(thread, (random >> 20) % METRIC_TYPES, series % SERIES, tick);
		}
		if (batch % 16 == 0)
			shard_rotate(registry_shard(thread->shared->registry, thread->index),
				     (int64_t)tick * TICK_US, 100);
		grace_end(thread->shared->grace, thread->index);
	}
	atomic_fetch_sub(&thread->shared->running, 1);
	return NULL;
}

/* What a scrape finds: sums that fit together, series in order. */
static void
scrape(struct shared *shared)
{
	uint32_t tick = atomic_load(&shared->tick);
	struct reader *reader = read_all(shared->registry, (int64_t)tick * TICK_US);
	struct family_view family;
	struct series_view series;
	reader_want(reader, READER_NATIVE | READER_EXEMPLARS);
	while (reader_next_family(reader, &family)) {
		bool is_total = family.type == METRIC_COUNTER || family.type == METRIC_HISTOGRAM;
		char before[16] = "";
		while (reader_next_series(reader, &series)) {
			assert_true(series.labels.len == strlen("n=\"000\""));
			assert_true(memcmp(series.labels.ptr, before, series.labels.len) > 0);
			memcpy(before, series.labels.ptr, series.labels.len);
			if (is_total)
				check_exemplar(series.exemplars);
			for (size_t i = 0;
			     family.type == METRIC_SUMMARY && i < series.quantile_count; i++)
				assert_true(isnan(series.quantile_values[i]) ||
					    series.quantile_values[i] == 1);
			if (family.type == METRIC_HISTOGRAM)
				assert_true(series.buckets[0] == series.count &&
					    (!series.native ||
					     native_total(series.native) <= series.count));
		}
	}
	reader_free(&reader);
}

static void
control(struct shared *shared)
{
	struct reader *slow = NULL;
	struct family_view family;
	struct grace_moment *reloaded = NULL;
	for (unsigned turn = 0; atomic_load(&shared->running); turn++) {
		uint32_t tick = atomic_fetch_add(&shared->tick, 1 + turn % 7) + 1 + turn % 7;
		for (unsigned i = 0; registry_expire(shared->registry, tick) && i < 100; i++)
			sched_yield();
		registry_free_retired(shared->registry);
		if (reloaded && grace_has_passed(shared->grace, reloaded)) {
			registry_forget_rules(shared->registry, atomic_load(&shared->rules));
			free(reloaded);
			reloaded = NULL;
		} else if (!reloaded) {
			atomic_fetch_add(&shared->rules, 1);
			reloaded = grace_now(shared->grace);
		}
		if (turn % 3 == 0)
			scrape(shared);
		/* A client that takes its time in every family. */
		if (!slow)
			slow = read_all(shared->registry, (int64_t)tick * TICK_US);
		else if (turn % 5 == 0 && !reader_next_family(slow, &family))
			reader_free(&slow);
	}
	reader_free(&slow);
	free(reloaded);
}

/* Nothing that was sent to a series that never expires is missing, nothing is there twice. */
static void
check_totals(const struct shared *shared, struct ingest_thread *const *threads)
{
	struct reader *reader = read_all(shared->registry, 0);
	struct family_view family;
	struct series_view series;
	unsigned checked = 0;
	while (reader_next_family(reader, &family)) {
		while (reader_next_series(reader, &series)) {
			unsigned n = (unsigned)strtoul(series.labels.ptr + 3, NULL, 10);
			double sent = 0;
			for (unsigned t = 0; t < THREADS; t++)
				sent += (double)threads[t]->sent[family.type][n];
			double shown = family.type == METRIC_COUNTER || family.type == METRIC_GAUGE
					   ? series.value
					   : (double)series.count;
			assert_true(is_kept(n) ? shown == sent : shown <= sent);
			checked += is_kept(n);
		}
	}
	assert_int_equal(checked, METRIC_TYPES * SERIES / 2);
	reader_free(&reader);
}

/* Once no thread knows any rules, the layouts of series are left, and no others. */
static void
check_layouts(const struct shared *shared)
{
	const struct layout *seen[METRIC_TYPES * SERIES];
	size_t count = 0;
	registry_forget_rules(shared->registry, UINT64_MAX);
	for (size_t n = 0; n < SERIES_SEGMENTS; n++) {
		const struct index *segment = &shared->registry->series[n];
		for (size_t i = 0; i < segment->size; i++) {
			const struct series *series = segment->slots[i].item;
			if (!series)
				continue;
			const struct layout *layout = series_layout(shared->registry, series);
			size_t at = 0;
			while (at < count && seen[at] != layout)
				at++;
			if (at == count)
				seen[count++] = layout;
		}
	}
	assert_in_range(count, METRIC_TYPES, METRIC_TYPES * SERIES / 2);
	assert_int_equal(layouts_count(shared->registry->layouts), count);
}

static void
test_registry__threads_at_work(void **state)
{
	(void)state;
	struct shared shared = {
	    .grace = grace_new(THREADS), .tick = 1, .rules = 1, .running = THREADS};
	shared.registry = registry_new(&(struct registry_settings){
	    .threads = THREADS, .max_series = 100000, .grace = shared.grace});
	struct ingest_thread *threads[THREADS];
	pthread_t handles[THREADS];
	for (unsigned i = 0; i < THREADS; i++) {
		threads[i] = calloc(1, sizeof(*threads[i]));
		threads[i]->shared = &shared;
		threads[i]->index = i;
		threads[i]->text = BUF_INIT;
		assert_int_equal(pthread_create(&handles[i], NULL, ingest, threads[i]), 0);
	}
	control(&shared);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(handles[i], NULL);
	check_totals(&shared, threads);
	/* All that can expire does. */
	while (registry_expire(shared.registry, atomic_fetch_add(&shared.tick, 100)))
		;
	while (registry_expire(shared.registry, atomic_fetch_add(&shared.tick, 100)))
		;
	for (enum metric_type type = 0; type < METRIC_TYPES; type++)
		assert_int_equal(registry_series_count(shared.registry, type), SERIES / 2);
	check_totals(&shared, threads);
	check_layouts(&shared);
	for (unsigned i = 0; i < THREADS; i++) {
		buf_fini(&threads[i]->text);
		free(threads[i]);
	}
	registry_free(&shared.registry);
	grace_free(&shared.grace);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_registry__threads_at_work),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
