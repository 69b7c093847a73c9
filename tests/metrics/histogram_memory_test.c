/* How much memory native histograms may take in all. */
#include "test.h"

#include "metrics/histogram.h"

#include <math.h>

static const struct total_options no_totals;

/* Values of 256 native buckets, so far apart that the window has but few of them. */
static void
fill_native(struct shard *shard, struct histogram_cell *cell, const struct layout *layout)
{
	for (int octave = -100; octave < 156; octave++) {
		double value = ldexp(octave % 2 ? -1.5 : 1.5, octave);
		histogram_observe(shard, cell, layout, histogram_place(layout, value), value, 1);
	}
}

static bool
has_native(struct shard *shard, const struct histogram_cell *cell, const struct layout *layout)
{
	struct native_sum sum = {0};
	bool has = histogram_read_native(shard, cell, layout, &sum);
	assert_true(has || (!sum.count && !sum.zero_count));
	native_sum_fini(&sum);
	return has;
}

static void
test_observe__memory_of_native_is_bounded(void **state)
{
	(void)state;
	enum { IDS = 50000 };
	struct layouts *layouts = layouts_new();
	struct shard *shard = shard_new(IDS);
	const struct layout *layout =
	    layouts_histogram(layouts, &(struct histogram_options){0, NULL, 1.1, 256}, &no_totals);
	uint32_t id = 0;
	struct histogram_cell *cell = NULL;
	while (!shard_native_left_out(shard) && id < IDS) {
		cell = (struct histogram_cell *)shard_touch(shard, layout, id++, 1);
		fill_native(shard, cell, layout);
		shard_free_retired(shard);
	}
	assert_in_range(id, 10000, IDS - 1);
	/* The classic buckets have everything, and others still count what is known to them. */
	assert_int_equal(atomic_load(&cell->buckets[0]), 256);
	assert_false(has_native(shard, cell, layout));
	uint64_t left_out = shard_native_left_out(shard);
	struct histogram_cell *first =
	    (struct histogram_cell *)shard_find(shard, layout->pool, 0, 1);
	fill_native(shard, first, layout);
	assert_int_equal(shard_native_left_out(shard), left_out);
	assert_true(has_native(shard, first, layout));
	/* One that ends, like one that is given up, gives room to others, but not to what is given
	 * up: it would lack values for good. */
	shard_clear(shard, layout, 0);
	fill_native(shard, cell, layout);
	histogram_observe(shard, cell, layout, histogram_place(layout, 0), 0, 1);
	assert_int_equal(shard_native_left_out(shard), left_out + 257);
	assert_false(has_native(shard, cell, layout));
	struct histogram_cell *born = (struct histogram_cell *)shard_touch(shard, layout, id, 1);
	fill_native(shard, born, layout);
	assert_int_equal(shard_native_left_out(shard), left_out + 257);
	assert_true(has_native(shard, born, layout));
	/* The next series in its place begins anew. */
	shard_clear(shard, layout, id - 1);
	shard_clear(shard, layout, id);
	shard_free_retired(shard);
	fill_native(shard, cell, layout);
	assert_true(has_native(shard, cell, layout));
	assert_int_equal(shard_native_left_out(shard), left_out + 257);
	for (uint32_t i = 0; i < IDS; i++)
		shard_clear(shard, layout, i);
	shard_free(&shard);
	layouts_free(&layouts);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_observe__memory_of_native_is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
