#include "test.h"

#include "metrics/layout.h"
#include "metrics/native.h"
#include "metrics/shard.h"

#include <math.h>

static const struct total_options no_totals;

static double bounds[] = {0.005, 1, 100000, 1e6};
static struct quantile quantiles[] = {{0, 0}, {0.5, 0.05}, {1, 0}};

static void
test_gauge_and_set(void **state)
{
	(void)state;
	struct layouts *layouts = layouts_new();
	const struct layout *gauge = layouts_gauge(layouts), *set = layouts_set(layouts);
	assert_int_equal(gauge->type, METRIC_GAUGE);
	assert_int_equal(gauge->pool, POOL_GAUGES);
	assert_false(gauge->is_set);
	assert_int_equal(set->type, METRIC_GAUGE);
	assert_int_not_equal(set->pool, POOL_GAUGES);
	assert_true(set->is_set);
	assert_ptr_equal(layouts_gauge(layouts), gauge);
	assert_ptr_equal(layouts_set(layouts), set);
	assert_int_equal(layouts_count(layouts), 2);
	layouts_free(&layouts);
	assert_null(layouts);
	layouts_free(&layouts);
}

static void
test_histogram__texts(void **state)
{
	(void)state;
	struct layouts *layouts = layouts_new();
	struct histogram_options options = {4, bounds, 0, 0};
	const struct layout *layout = layouts_histogram(layouts, &options, &no_totals);
	assert_int_equal(layout->type, METRIC_HISTOGRAM);
	assert_int_equal(layout->bound_count, 4);
	static const char *const texts[] = {"0.005", "1", "100000", "1e+06"};
	for (size_t i = 0; i < 4; i++) {
		assert_true(layout->bounds[i] == bounds[i]);
		assert_span_equal(layout->bound_texts[i], texts[i]);
	}
	assert_true(layout->bounds != bounds);
	layouts_free(&layouts);
}

static void
test_histogram__equal_options_give_the_same(void **state)
{
	(void)state;
	struct layouts *layouts = layouts_new();
	double same[] = {0.005, 1, 100000, 1e6}, other[] = {0.005, 1, 100000, 2e6};
	const struct layout *first =
	    layouts_histogram(layouts, &(struct histogram_options){4, bounds, 0, 0}, &no_totals);
	assert_ptr_equal(
	    layouts_histogram(layouts, &(struct histogram_options){4, same, 0, 0}, &no_totals),
	    first);
	const struct layout *second =
	    layouts_histogram(layouts, &(struct histogram_options){4, other, 0, 0}, &no_totals);
	const struct layout *shorter =
	    layouts_histogram(layouts, &(struct histogram_options){3, bounds, 0, 0}, &no_totals);
	assert_ptr_not_equal(second, first);
	assert_ptr_not_equal(shorter, first);
	assert_int_equal(layouts_count(layouts), 3);
	layouts_free(&layouts);
}

static void
test_histogram__no_bounds(void **state)
{
	(void)state;
	struct layouts *layouts = layouts_new();
	struct histogram_options none = {0, NULL, 0, 0};
	const struct layout *layout = layouts_histogram(layouts, &none, &no_totals);
	assert_int_equal(layout->bound_count, 0);
	assert_ptr_equal(layouts_histogram(layouts, &none, &no_totals), layout);
	layouts_free(&layouts);
}

static void
test_summary__texts_and_slots(void **state)
{
	(void)state;
	struct layouts *layouts = layouts_new();
	struct summary_options options = {3, quantiles, 600 * INT64_C(1000000), 5, 500};
	const struct layout *layout = layouts_summary(layouts, &options);
	assert_int_equal(layout->type, METRIC_SUMMARY);
	assert_int_equal(layout->slots, 5);
	assert_int_equal(layout->slot_us, 120 * INT64_C(1000000));
	static const char *const texts[] = {"0", "0.5", "1"};
	for (size_t i = 0; i < 3; i++) {
		assert_span_equal(layout->quantile_texts[i], texts[i]);
		assert_true(layout->quantiles[i] == quantiles[i].quantile);
		assert_true(layout->targets[i].error == quantiles[i].error);
	}
	layouts_free(&layouts);
}

static void
test_summary__each_option_tells_layouts_apart(void **state)
{
	(void)state;
	struct layouts *layouts = layouts_new();
	struct quantile other_error[] = {{0, 0}, {0.5, 0.04}, {1, 0}};
	struct quantile other_quantile[] = {{0, 0}, {0.6, 0.05}, {1, 0}};
	struct summary_options options[] = {
	    {3, quantiles, 600000000, 5, 500},   {2, quantiles, 600000000, 5, 500},
	    {3, other_error, 600000000, 5, 500}, {3, other_quantile, 600000000, 5, 500},
	    {3, quantiles, 500000000, 5, 500},   {3, quantiles, 600000000, 6, 500},
	    {0, NULL, 600000000, 5, 500},
	};
	enum { COUNT = sizeof(options) / sizeof(options[0]) };
	const struct layout *made[COUNT];
	for (unsigned i = 0; i < COUNT; i++)
		made[i] = layouts_summary(layouts, &options[i]);
	assert_int_equal(layouts_count(layouts), COUNT);
	options[0].buf_cap = 7; /* without effect */
	for (unsigned i = 0; i < COUNT; i++)
		assert_ptr_equal(layouts_summary(layouts, &options[i]), made[i]);
	layouts_free(&layouts);
}

static void
test_remove__that_one_alone(void **state)
{
	(void)state;
	struct layouts *layouts = layouts_new();
	const struct summary_options options = {3, quantiles, 600000000, 5, 500};
	struct layout *summary = layouts_summary(layouts, &options),
		      *gauge = layouts_gauge(layouts);
	layouts_remove(layouts, summary);
	assert_int_equal(layouts_count(layouts), 1);
	assert_ptr_equal(layouts_gauge(layouts), gauge);
	assert_int_equal(layouts_summary(layouts, &options)->slots, 5);
	layouts_free(&layouts);
}

/* ---- Numbers. ---- */

/* Counters' layouts differ in zero_first here. */
static struct layout *
nth(struct layouts *layouts, int64_t n)
{
	return layouts_counter(layouts, &(struct total_options){.zero_first_us = n});
}

static void
test_number__lowest_free_one_first(void **state)
{
	(void)state;
	enum { COUNT = 10 };
	static const unsigned removed[] = {7, 2, 5};
	struct layouts *layouts = layouts_new();
	struct layout *first[COUNT];
	for (unsigned i = 0; i < COUNT; i++) {
		first[i] = nth(layouts, i);
		assert_int_equal(first[i]->number, i);
	}
	for (size_t i = 0; i < 3; i++)
		layouts_remove(layouts, first[removed[i]]);
	static const unsigned next[] = {2, 5, 7, COUNT, COUNT + 1};
	for (size_t i = 0; i < 5; i++) {
		const struct layout *layout = nth(layouts, (int64_t)(COUNT + i));
		assert_int_equal(layout->number, next[i]);
		assert_ptr_equal(layouts_at(layouts, layout->number), layout);
	}
	assert_ptr_equal(layouts_at(layouts, 0), first[0]);
	assert_int_equal(nth(layouts, 6)->number, 6);
	layouts_free(&layouts);
}

static void
test_number__none_left(void **state)
{
	(void)state;
	struct layouts *layouts = layouts_new();
	for (unsigned i = 0; i < LAYOUTS_MAX; i++) {
		const struct layout *layout = nth(layouts, i);
		assert_non_null(layout);
		assert_ptr_equal(layouts_at(layouts, layout->number), layout);
	}
	assert_null(layouts_gauge(layouts));
	assert_null(nth(layouts, LAYOUTS_MAX));
	assert_int_equal(layouts_count(layouts), LAYOUTS_MAX);
	/* Those that exist are found, and a number that is free again is enough. */
	struct layout *last = nth(layouts, LAYOUTS_MAX - 1);
	assert_int_equal(last->number, LAYOUTS_MAX - 1);
	layouts_remove(layouts, last);
	assert_int_equal(layouts_gauge(layouts)->number, LAYOUTS_MAX - 1);
	assert_null(nth(layouts, LAYOUTS_MAX));
	layouts_free(&layouts);
}

/* ---- Pools. ---- */

/* One pool for all cells of a size: it has room for each, and wastes little. */
static void
test_pool__by_the_size_of_cells(void **state)
{
	(void)state;
	static double many[BUCKETS_MAX];
	for (size_t i = 0; i < BUCKETS_MAX; i++)
		many[i] = (double)i;
	static size_t sizes[POOLS]; /* of cells, by pool */
	struct layouts *layouts = layouts_new();
	unsigned pools = 0;
	for (size_t i = 0; i < 4 * (BUCKETS_MAX + 1); i++) {
		const struct total_options totals = {0, i % 2};
		const struct histogram_options histogram = {i / 4, many, i % 4 / 2 * 1.1, 0};
		const struct layout *layout = layouts_histogram(layouts, &histogram, &totals);
		size_t size = shard_cell_size(layout);
		assert_in_range(layout->pool, POOL_OTHERS, POOL_SUMMARIES - 1);
		assert_in_range(layout->cell_bytes, size, size + size / 16 + 15);
		assert_int_equal(layout->cell_bytes % 16, 0);
		pools += !sizes[layout->pool];
		if (sizes[layout->pool])
			assert_int_equal(layout->cell_bytes, sizes[layout->pool]);
		sizes[layout->pool] = layout->cell_bytes;
	}
	assert_in_range(pools, 50, POOL_CLASSES);
	layouts_free(&layouts);
}

static void
test_pool__summaries_have_their_own(void **state)
{
	(void)state;
	struct layouts *layouts = layouts_new();
	for (uint32_t slots = 1; slots <= AGE_BUCKETS_MAX; slots++) {
		const struct layout *layout = layouts_summary(
		    layouts, &(struct summary_options){0, NULL, 600000000, slots, 500});
		assert_in_range(layout->pool, POOL_SUMMARIES, POOLS - 1);
		assert_true(layout->cell_bytes >= shard_cell_size(layout));
	}
	layouts_free(&layouts);
}

static void
test_histogram__native_options(void **state)
{
	(void)state;
	static const struct {
		double factor;
		uint32_t max_buckets;
		uint32_t steps;
		uint32_t buckets_max;
	} cases[] = {
	    {0, 256, 0, 0},
	    {1, 256, 0, 0},
	    {NAN, 256, 0, 0},
	    {1.1, 256, 5, 256},
	    {1.1, 160, 5, 160},
	    {1.2, 160, 6, 160},
	    {1.1, 1, 5, 1},
	    {1.1, 0, 5, NATIVE_BUCKETS_MAX},
	    {1.001, UINT32_MAX, 0, NATIVE_BUCKETS_MAX},
	};
	struct layouts *layouts = layouts_new();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct histogram_options options = {0, NULL, cases[i].factor, cases[i].max_buckets};
		const struct layout *layout = layouts_histogram(layouts, &options, &no_totals);
		assert_int_equal(layout->native_buckets_max, cases[i].buckets_max);
		assert_int_equal(layout->native_steps, cases[i].steps);
		assert_ptr_equal(layouts_histogram(layouts, &options, &no_totals), layout);
	}
	/* Those without a native histogram are alike. */
	assert_int_equal(layouts_count(layouts), 7);
	layouts_free(&layouts);
}

static void
test_totals__are_part_of_the_layout(void **state)
{
	(void)state;
	struct layouts *layouts = layouts_new();
	const struct total_options second = {1000000, false}, minute = {60000000, false},
				   exemplars = {0, true};
	const struct histogram_options none = {0};
	const struct layout *plain = layouts_counter(layouts, &no_totals);
	const struct layout *counter = layouts_counter(layouts, &second);
	assert_int_equal(counter->type, METRIC_COUNTER);
	assert_ptr_not_equal(plain, counter);
	assert_int_equal(plain->pool, counter->pool);
	assert_ptr_equal(layouts_counter(layouts, &second), counter);
	assert_ptr_not_equal(layouts_counter(layouts, &minute), counter);
	assert_true(layouts_counter(layouts, &exemplars)->pool > counter->pool); /* larger cells */
	const struct layout *histogram = layouts_histogram(layouts, &none, &second);
	assert_ptr_equal(layouts_histogram(layouts, &none, &second), histogram);
	assert_ptr_not_equal(layouts_histogram(layouts, &none, &no_totals), histogram);
	assert_ptr_not_equal(layouts_histogram(layouts, &none, &minute), histogram);
	layouts_free(&layouts);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_histogram__native_options),
	    cmocka_unit_test(test_gauge_and_set),
	    cmocka_unit_test(test_histogram__texts),
	    cmocka_unit_test(test_histogram__equal_options_give_the_same),
	    cmocka_unit_test(test_histogram__no_bounds),
	    cmocka_unit_test(test_summary__texts_and_slots),
	    cmocka_unit_test(test_summary__each_option_tells_layouts_apart),
	    cmocka_unit_test(test_remove__that_one_alone),
	    cmocka_unit_test(test_number__lowest_free_one_first),
	    cmocka_unit_test(test_number__none_left),
	    cmocka_unit_test(test_pool__by_the_size_of_cells),
	    cmocka_unit_test(test_pool__summaries_have_their_own),
	    cmocka_unit_test(test_totals__are_part_of_the_layout),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
