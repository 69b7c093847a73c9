#include "test.h"

#include "metrics/distinct.h"
#include "metrics/histogram.h"
#include "metrics/shard.h"
#include "metrics/window.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>

/* ---- Cells. ---- */

static const struct total_options no_totals;

static void
test_find__only_what_was_touched(void **state)
{
	(void)state;
	struct layouts *layouts = layouts_new();
	struct shard *shard = shard_new(100000);
	const struct layout *counter = layouts_counter(layouts, &no_totals);
	unsigned pool = counter->pool;
	assert_null(shard_peek(shard, pool, 5));
	assert_null(shard_find(shard, pool, 5, 1));
	struct cell *cell = shard_touch(shard, counter, 5, 7);
	assert_ptr_equal(shard_find(shard, pool, 5, 7), cell);
	assert_null(shard_find(shard, pool, 5, 8));
	assert_null(shard_find(shard, POOL_GAUGES, 5, 7));
	/* A neighbour has a cell, which nobody holds. */
	assert_non_null(shard_peek(shard, pool, 6));
	assert_null(shard_find(shard, pool, 6, 7));
	assert_null(shard_peek(shard, pool, 99999));
	shard_free(&shard);
	assert_null(shard);
	shard_free(&shard);
	layouts_free(&layouts);
}

static void
test_touch__cells_do_not_overlap(void **state)
{
	(void)state;
	struct layouts *layouts = layouts_new();
	double bounds[] = {1, 2, 3};
	const struct layout *layout =
	    layouts_histogram(layouts, &(struct histogram_options){3, bounds, 0, 0}, &no_totals);
	static const uint32_t ids[] = {0, 1, 63, 64, 1023, 1024, 4095, 4096, 4097, 49999};
	struct shard *shard = shard_new(50000);
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		struct histogram_cell *cell =
		    (struct histogram_cell *)shard_touch(shard, layout, ids[i], (uint32_t)i + 1);
		for (unsigned b = 0; b < 4; b++)
			atomic_store(&cell->buckets[b], (uint16_t)(ids[i] * 10 + b));
	}
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		struct histogram_cell *cell = (struct histogram_cell *)shard_find(
		    shard, layout->pool, ids[i], (uint32_t)i + 1);
		for (unsigned b = 0; b < 4; b++)
			assert_int_equal(atomic_load(&cell->buckets[b]), (uint16_t)(ids[i] * 10 + b));
	}
	assert_true(shard_bytes(shard) > 0);
	shard_free(&shard);
	layouts_free(&layouts);
}

/* Frees a shard with what the cells of a layout own. @ids of the cells: below it */
static void
free_shard(struct shard **shard, const struct layout *layout, uint32_t ids)
{
	for (uint32_t id = 0; id < ids; id++)
		shard_clear(*shard, layout, id);
	shard_free(shard);
}

static struct quantile median[] = {{0.5, 0.05}};
static const struct summary_options five_seconds = {1, median, 5000000, 5, 0};

static void
test_clear__zeroes_every_kind_of_cell(void **state)
{
	(void)state;
	struct layouts *layouts = layouts_new();
	double bounds[] = {1};
	const struct layout *histogram = layouts_histogram(
	    layouts, &(struct histogram_options){1, bounds, 1.1, 256}, &no_totals);
	const struct layout *summary = layouts_summary(layouts, &five_seconds);
	struct shard *shard = shard_new(100);

	const struct layout *const all[] = {layouts_counter(layouts, &no_totals),
					    layouts_gauge(layouts), layouts_set(layouts), histogram,
					    summary};
	enum { ALL = sizeof(all) / sizeof(all[0]) };
	struct cell *cells[ALL];
	for (uint32_t i = 0; i < ALL; i++)
		cells[i] = shard_touch(shard, all[i], i, i + 1);
	struct counter_cell *counter_cell = (struct counter_cell *)cells[0];
	struct gauge_cell *gauge_cell = (struct gauge_cell *)cells[1];
	struct set_cell *set_cell = (struct set_cell *)cells[2];
	struct histogram_cell *histogram_cell = (struct histogram_cell *)cells[3];
	struct summary_cell *summary_cell = (struct summary_cell *)cells[4];
	cell_set_tick(&counter_cell->cell, 9);
	counter_add(counter_cell, 5);
	gauge_set(gauge_cell, 5);
	set_add(shard, set_cell, 5);
	histogram_observe(shard, histogram_cell, histogram, histogram_place(histogram, 0.5), 0.5,
			  3);
	histogram_observe(shard, histogram_cell, histogram, histogram_place(histogram, 5), 5, 3);
	histogram_cell->carry = 0.5;
	summary_cell->carry = 0.5;
	for (int64_t us = 0; us < 5000000; us += 1000000)
		summary_observe(shard, summary_cell, summary, 1, 2, us);

	for (uint32_t i = 0; i < ALL; i++) {
		shard_clear(shard, all[i], i);
		assert_null(shard_find(shard, all[i]->pool, i, i + 1));
		shard_clear(shard, all[i], 99);
	}
	assert_int_equal(atomic_load(&counter_cell->cell.tick), 0);
	assert_true(atomic_load(&counter_cell->value) == 0);
	assert_true(atomic_load(&gauge_cell->value) == 0);
	assert_null(atomic_load(&set_cell->members));
	assert_true(atomic_load(&histogram_cell->sum) == 0 && histogram_cell->carry == 0);
	assert_int_equal(atomic_load(&histogram_cell->buckets[0]), 0);
	assert_int_equal(atomic_load(&histogram_cell->buckets[1]), 0);
	assert_null(atomic_load(&histogram_cell->wide));
	assert_int_equal(atomic_load(&shard->native_bytes), 0);
	assert_true(atomic_load(&summary_cell->sum) == 0 && summary_cell->carry == 0);
	assert_int_equal(atomic_load(&summary_cell->count), 0);
	for (unsigned s = 0; s < 5; s++)
		assert_null(atomic_load(&summary_cell->slots[s]));
	shard_free(&shard);
	layouts_free(&layouts);
}

/* Whatever a cell held, it is like new for a series of another layout with cells of the same size.
 */
static void
test_clear__for_any_layout_of_the_pool(void **state)
{
	(void)state;
	struct layouts *layouts = layouts_new();
	struct shard *shard = shard_new(10);
	double bounds[75];
	for (unsigned i = 0; i < 75; i++)
		bounds[i] = i + 1;
	const struct total_options exemplars = {.keeps_exemplars = true};
	const struct layout *kinds[] = {
	    layouts_histogram(layouts, &(struct histogram_options){75, bounds, 0, 0}, &no_totals),
	    layouts_histogram(layouts, &(struct histogram_options){5, bounds, 1.1, 9}, &no_totals),
	    layouts_histogram(layouts, &(struct histogram_options){1, bounds, 1.1, 9}, &exemplars),
	};
	enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };
	for (unsigned i = 0; i < KINDS * KINDS; i++) {
		const struct layout *before = kinds[i % KINDS], *after = kinds[i / KINDS];
		assert_int_equal(before->pool, after->pool);
		struct cell *cell = shard_touch(shard, before, 3, 1);
		cell_set_tick(cell, 9);
		histogram_observe(shard, (struct histogram_cell *)cell, before,
				  histogram_place(before, 9), 9, 70000);
		if (before->totals.keeps_exemplars)
			shard_put_exemplar(shard, cell, before, 1,
					   &(struct exemplar_view){SPAN("t=\"a\""), 9, 9});
		shard_clear(shard, before, 3);
		assert_ptr_equal(shard_touch(shard, after, 3, 2), cell);
		for (const char *at = (const char *)cell + sizeof(cell->incarnation);
		     at < (const char *)cell + after->cell_bytes; at++)
			assert_int_equal(*at, 0);
		shard_clear(shard, after, 3);
	}
	shard_free(&shard);
	layouts_free(&layouts);
}

static void
test_set_tick__never_goes_back(void **state)
{
	(void)state;
	/* Gauges are shared: a thread whose batch began earlier must not make one look older. */
	struct cell cell = {0};
	cell_set_tick(&cell, 7);
	cell_set_tick(&cell, 6);
	assert_int_equal(atomic_load(&cell.tick), 7);
	cell_set_tick(&cell, 8);
	assert_int_equal(atomic_load(&cell.tick), 8);
}

/* ---- Counters and gauges. ---- */

static void
test_counter_add__stays_at_the_largest_double(void **state)
{
	(void)state;
	static const struct {
		double before, amount, after;
	} cases[] = {
	    {0, 0, 0},
	    {0, 1, 1},
	    {0.1, 0.2, 0.1 + 0.2},
	    {DBL_MAX, 0, DBL_MAX},
	    {DBL_MAX, 1, DBL_MAX},
	    {DBL_MAX, DBL_MAX, DBL_MAX},
	    {DBL_MAX / 2, DBL_MAX, DBL_MAX},
	    {0, DBL_MAX, DBL_MAX},
	    {9007199254740992.0, 1, 9007199254740992.0},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct counter_cell cell = {.value = cases[i].before};
		counter_add(&cell, cases[i].amount);
		assert_true(atomic_load(&cell.value) == cases[i].after);
	}
}

static void
test_gauge_add__infinities_are_kept(void **state)
{
	(void)state;
	struct gauge_cell cell = {0};
	gauge_add(&cell, -2.5);
	assert_true(atomic_load(&cell.value) == -2.5);
	gauge_set(&cell, INFINITY);
	gauge_add(&cell, -1e300);
	assert_true(atomic_load(&cell.value) == INFINITY);
	gauge_set(&cell, NAN);
	gauge_add(&cell, 1);
	assert_true(isnan(atomic_load(&cell.value)));
	gauge_set(&cell, 3);
	assert_true(atomic_load(&cell.value) == 3);
}

static void *
add_many(void *arg)
{
	for (unsigned i = 0; i < 20000; i++) {
		gauge_add(arg, 3);
		gauge_add(arg, -2);
	}
	return NULL;
}

static void
test_gauge_add__exact_from_many_threads(void **state)
{
	(void)state;
	struct gauge_cell cell = {0};
	pthread_t threads[4];
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, add_many, &cell), 0);
	for (unsigned i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	assert_true(atomic_load(&cell.value) == 4 * 20000);
}

/* ---- Sampled observations. ---- */

static void
test_observation_count__exact_in_the_long_run(void **state)
{
	(void)state;
	static const double rates[] = {1,    0.9,  0.75, 0.7,  0.5,    1.0 / 3, 0.3,     0.1,
				       0.07, 0.03, 0.01, 3e-3, 0.0007, 1e-6,    0.999999};
	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		double carry = 0;
		uint64_t applied = 0;
		for (unsigned n = 1; n <= 100000; n++) {
			uint64_t count = observation_count(&carry, 1 / rates[i]);
			assert_true(count >= 1);
			assert_true(carry >= 0 && carry < 1);
			applied += count;
			double due = n * (1 / rates[i]);
			if (fabs((double)applied - due) > 1 + 1e-9 * due)
				fail_msg("rate %g: %llu applied of %g", rates[i],
					 (unsigned long long)applied, due);
		}
	}
}

static void
test_observation_count__whole_weights_leave_no_carry(void **state)
{
	(void)state;
	double carry = 0;
	assert_int_equal(observation_count(&carry, 1), 1);
	assert_int_equal(observation_count(&carry, 10), 10);
	assert_int_equal(observation_count(&carry, 1e6), 1000000);
	assert_true(carry == 0);
	/* Weights may change from sample to sample; what was carried is not lost. */
	assert_int_equal(observation_count(&carry, 1.5), 1);
	assert_int_equal(observation_count(&carry, 2.25), 2);
	assert_int_equal(observation_count(&carry, 1.25), 2);
	assert_true(carry == 0);
}

/* ---- Summaries. ---- */

static double
sum_of_window_weights(const struct summary_cell *cell, const struct layout *layout)
{
	struct weighted_list list = {0};
	for (unsigned s = 0; s < layout->slots; s++) {
		const struct window *window = atomic_load(&cell->slots[s]);
		if (window)
			window_collect(window, &list);
	}
	double total = (double)list.total;
	free(list.items);
	return total;
}

static void
test_rotate__gives_up_what_is_over(void **state)
{
	(void)state;
	struct layouts *layouts = layouts_new();
	struct shard *shard = shard_new(1000);
	const struct layout *layout = layouts_summary(layouts, &five_seconds);
	struct summary_cell *cell = (struct summary_cell *)shard_touch(shard, layout, 700, 1);
	for (int64_t us = 0; us < 5000000; us += 500000)
		summary_observe(shard, cell, layout, 1, 1, us);
	assert_true(sum_of_window_weights(cell, layout) == 10);
	static const struct {
		int64_t now_us;
		double left;
	} cases[] = {{4999999, 10}, {5000000, 8}, {5999999, 8}, {7000000, 4},
		     {8999999, 2},  {9000000, 0}, {99000000, 0}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		shard_rotate(shard, cases[i].now_us, 100000);
		assert_true(sum_of_window_weights(cell, layout) == cases[i].left);
	}
	assert_int_equal(atomic_load(&cell->count), 10);
	shard_free_retired(shard);
	shard_free_retired(shard);
	shard_free(&shard);
	layouts_free(&layouts);
}

static void
test_rotate__reaches_every_cell_in_parts(void **state)
{
	(void)state;
	struct layouts *layouts = layouts_new();
	struct shard *shard = shard_new(5000);
	const struct layout *first = layouts_summary(layouts, &five_seconds);
	double bounds[] = {1};
	layouts_histogram(layouts, &(struct histogram_options){1, bounds, 0, 0}, &no_totals);
	struct summary_options other = five_seconds;
	other.age_buckets = 1;
	const struct layout *second = layouts_summary(layouts, &other);
	struct summary_cell *cells[20];
	for (unsigned i = 0; i < 20; i++) {
		const struct layout *layout = i % 2 ? first : second;
		cells[i] = (struct summary_cell *)shard_touch(shard, layout, i * 250, i + 1);
		summary_observe(shard, cells[i], layout, 1, 1, 0);
	}
	unsigned left = 20;
	for (unsigned call = 0; left && call < 1000; call++) {
		shard_rotate(shard, 60000000, 37);
		left = 0;
		for (unsigned i = 0; i < 20; i++)
			left += atomic_load(&cells[i]->slots[0]) != NULL;
	}
	assert_int_equal(left, 0);
	shard_free(&shard);
	layouts_free(&layouts);
}

static void
test_rotate__nothing_there(void **state)
{
	(void)state;
	struct layouts *layouts = layouts_new();
	struct shard *shard = shard_new(UINT32_MAX);
	shard_rotate(shard, 1000, 100);
	const struct layout *layout = layouts_summary(layouts, &five_seconds);
	shard_rotate(shard, 1000, 100);
	/* Ids up to the largest that can be: the end of the last chunk is 2^32. */
	struct summary_cell *cell =
	    (struct summary_cell *)shard_touch(shard, layout, UINT32_MAX - 1, 1);
	summary_observe(shard, cell, layout, 1, 1, 0);
	shard_rotate(shard, 60000000, 10000);
	assert_null(atomic_load(&cell->slots[0]));
	shard_free(&shard);
	layouts_free(&layouts);
}

static void
test_rotate__leaves_series_that_are_taken_away(void **state)
{
	(void)state;
	struct layouts *layouts = layouts_new();
	struct shard *shard = shard_new(10);
	const struct layout *layout = layouts_summary(layouts, &five_seconds);
	struct summary_cell *cell = (struct summary_cell *)shard_touch(shard, layout, 0, 1);
	summary_observe(shard, cell, layout, 1, 1, 0);
	atomic_store(&cell->cell.incarnation, INCARNATION_NONE);
	shard_rotate(shard, 60000000, 1000);
	assert_non_null(atomic_load(&cell->slots[0]));
	free_shard(&shard, layout, 1);
	layouts_free(&layouts);
}

/* ---- Retired memory against a reader: what is retired is out of reach already. ---- */

struct race {
	struct shard *shard;
	struct summary_cell *cell;
	const struct layout *layout;
	_Atomic bool done;
};

static void *
observe_many(void *arg)
{
	struct race *race = arg;
	for (int64_t us = 0; us < 400000; us += 10)
		summary_observe(race->shard, race->cell, race->layout, 1, 1, us);
	atomic_store(&race->done, true);
	return NULL;
}

static void
test_free_retired__beside_a_reader_of_windows(void **state)
{
	(void)state;
	struct layouts *layouts = layouts_new();
	struct shard *shard = shard_new(10);
	struct summary_options short_slots = {1, median, 100, 2, 0};
	const struct layout *layout = layouts_summary(layouts, &short_slots);
	struct summary_cell *cell = (struct summary_cell *)shard_touch(shard, layout, 0, 1);
	struct race race = {.shard = shard, .cell = cell, .layout = layout};
	pthread_t owner;
	assert_int_equal(pthread_create(&owner, NULL, observe_many, &race), 0);
	struct weighted_list list = {0};
	while (!atomic_load(&race.done)) {
		shard_free_retired(shard);
		weighted_list_reset(&list);
		for (unsigned s = 0; s < layout->slots; s++) {
			const struct window *window =
			    atomic_load_explicit(&cell->slots[s], memory_order_acquire);
			if (window)
				window_collect(window, &list);
		}
		for (size_t i = 0; i < list.count; i++)
			assert_true(list.items[i].value == 1 && list.items[i].weight == 1);
	}
	pthread_join(owner, NULL);
	assert_int_equal(atomic_load(&cell->count), 40000);
	free(list.items);
	free_shard(&shard, layout, 1);
	layouts_free(&layouts);
}

/* Fills a slot of a summary: exact entries first, then values of every magnitude. */
static void
fill_window(struct shard *shard, struct summary_cell *cell, const struct layout *layout, int64_t us)
{
	for (unsigned i = 0; i < WINDOW_EXACT_MAX; i++)
		summary_observe(shard, cell, layout, i, 1, us);
	for (int exponent = 0; exponent < 40; exponent++)
		summary_observe(shard, cell, layout, ldexp(1, exponent * 20), 1, us);
}

static void
test_summary_observe__memory_of_windows_is_bounded(void **state)
{
	(void)state;
	struct layouts *layouts = layouts_new();
	struct shard *shard = shard_new(20000);
	const struct layout *layout = layouts_summary(layouts, &five_seconds);
	uint32_t id = 0;
	while (!shard_left_out(shard) && id < 20000) {
		struct cell *cell = shard_touch(shard, layout, id++, 1);
		fill_window(shard, (struct summary_cell *)cell, layout, 0);
	}
	assert_in_range(id, 1000, 19999);
	struct summary_cell *last =
	    (struct summary_cell *)shard_find(shard, layout->pool, id - 1, 1);
	/* Nothing is missing from the count, and the next window has room again. */
	assert_int_equal(atomic_load(&last->count), WINDOW_EXACT_MAX + 40);
	uint64_t left_out = shard_left_out(shard);
	int64_t later_us = layout->slot_us * layout->slots * 2;
	shard_rotate(shard, later_us, id);
	shard_free_retired(shard);
	fill_window(shard, last, layout, later_us);
	assert_int_equal(shard_left_out(shard), left_out);
	free_shard(&shard, layout, id);
	layouts_free(&layouts);
}

/* ---- Exemplars. ---- */

static const struct total_options with_exemplars = {.keeps_exemplars = true};

static void
put_exemplar(struct shard *shard, struct cell *cell, const struct layout *layout, size_t number,
	     const char *labels, int64_t time_ms)
{
	struct exemplar_view exemplar = {span_text(labels), (double)time_ms / 2, time_ms};
	shard_put_exemplar(shard, cell, layout, number, &exemplar);
}

static void
test_exemplars__the_last_of_each_number(void **state)
{
	(void)state;
	struct layouts *layouts = layouts_new();
	struct shard *shard = shard_new(10);
	double bounds[] = {1, 2};
	const struct layout *layout = layouts_histogram(
	    layouts, &(struct histogram_options){2, bounds, 0, 0}, &with_exemplars);
	assert_int_equal(layout_exemplars(layout), 3);
	struct cell *cell = shard_touch(shard, layout, 1, 1);
	struct exemplar_view newest[3] = {0};
	char room[3][EXEMPLAR_TEXT_MAX];
	assert_false(shard_read_exemplars(shard, cell, layout, newest, room));
	put_exemplar(shard, cell, layout, 0, "t=\"a\"", 10);
	put_exemplar(shard, cell, layout, 2, "t=\"short\"", 20);
	put_exemplar(shard, cell, layout, 2, "t=\"longer than the one before it\"", 30);
	put_exemplar(shard, cell, layout, 0, "t=\"\"", 40);
	assert_true(shard_read_exemplars(shard, cell, layout, newest, room));
	assert_span_equal(newest[0].labels, "t=\"\"");
	assert_int_equal(newest[0].time_ms, 40);
	assert_true(newest[0].value == 20);
	assert_int_equal(newest[1].labels.len, 0);
	assert_span_equal(newest[2].labels, "t=\"longer than the one before it\"");
	/* What is at hand stays when it is newer. */
	newest[0].time_ms = 41;
	newest[2].time_ms = 29;
	assert_true(shard_read_exemplars(shard, cell, layout, newest, room));
	assert_int_equal(newest[0].time_ms, 41);
	assert_int_equal(newest[2].time_ms, 30);
	/* The next series with this id has none. */
	shard_clear(shard, layout, 1);
	memset(newest, 0, sizeof(newest));
	assert_false(shard_read_exemplars(shard, cell, layout, newest, room));
	put_exemplar(shard, cell, layout, 1, "t=\"nobody asks for it\"", 1);
	free_shard(&shard, layout, 2);
	layouts_free(&layouts);
}

static void
test_exemplars__memory_is_bounded(void **state)
{
	(void)state;
	enum { IDS = 200000 };
	struct layouts *layouts = layouts_new();
	struct shard *shard = shard_new(IDS);
	const struct layout *layout = layouts_counter(layouts, &with_exemplars);
	char labels[EXEMPLAR_TEXT_MAX + 1] = {0};
	memset(labels, 'x', EXEMPLAR_TEXT_MAX);
	uint32_t id = 0;
	for (; !shard_exemplars_left_out(shard) && id < IDS; id++)
		put_exemplar(shard, shard_touch(shard, layout, id, 1), layout, 0, labels, 1);
	assert_in_range(id, 100000, IDS - 1);
	/* Who has one gets others; who ends gives room to another. */
	put_exemplar(shard, shard_peek(shard, layout->pool, 0), layout, 0, labels, 2);
	assert_int_equal(shard_exemplars_left_out(shard), 1);
	shard_clear(shard, layout, 0);
	put_exemplar(shard, shard_peek(shard, layout->pool, id - 1), layout, 0, labels, 3);
	assert_int_equal(shard_exemplars_left_out(shard), 1);
	free_shard(&shard, layout, id);
	layouts_free(&layouts);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_find__only_what_was_touched),
	    cmocka_unit_test(test_touch__cells_do_not_overlap),
	    cmocka_unit_test(test_clear__zeroes_every_kind_of_cell),
	    cmocka_unit_test(test_clear__for_any_layout_of_the_pool),
	    cmocka_unit_test(test_set_tick__never_goes_back),
	    cmocka_unit_test(test_counter_add__stays_at_the_largest_double),
	    cmocka_unit_test(test_gauge_add__infinities_are_kept),
	    cmocka_unit_test(test_gauge_add__exact_from_many_threads),
	    cmocka_unit_test(test_observation_count__exact_in_the_long_run),
	    cmocka_unit_test(test_observation_count__whole_weights_leave_no_carry),
	    cmocka_unit_test(test_rotate__gives_up_what_is_over),
	    cmocka_unit_test(test_rotate__reaches_every_cell_in_parts),
	    cmocka_unit_test(test_rotate__nothing_there),
	    cmocka_unit_test(test_rotate__leaves_series_that_are_taken_away),
	    cmocka_unit_test(test_free_retired__beside_a_reader_of_windows),
	    cmocka_unit_test(test_summary_observe__memory_of_windows_is_bounded),
	    cmocka_unit_test(test_exemplars__the_last_of_each_number),
	    cmocka_unit_test(test_exemplars__memory_is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
