#include "test.h"

#include "metrics/histogram.h"
#include "native_total.h"
#include "random.h"

#include <float.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- Helpers. ---- */

#define THREADS_MAX 3

/* A histogram with a cell in the shard of each thread. */
struct series {
	struct layouts *layouts;
	const struct layout *layout;
	unsigned threads;
	struct shard *shards[THREADS_MAX];
	struct histogram_cell *cells[THREADS_MAX];
	uint64_t *buckets, *room;
	struct native_sum sum;
};

static const struct total_options no_totals;

static struct series
series_open(size_t bound_count, const double *bounds, double factor, uint32_t buckets_max,
	    unsigned threads)
{
	struct series series = {.layouts = layouts_new(), .threads = threads};
	double copy[64] = {0};
	if (bound_count)
		memcpy(copy, bounds, bound_count * sizeof(*bounds));
	const struct histogram_options options = {bound_count, copy, factor, buckets_max};
	series.layout = layouts_histogram(series.layouts, &options, &no_totals);
	series.buckets = calloc(2 * (bound_count + 1), sizeof(uint64_t));
	series.room = series.buckets + bound_count + 1;
	for (unsigned t = 0; t < threads; t++) {
		series.shards[t] = shard_new(1);
		series.cells[t] =
		    (struct histogram_cell *)shard_touch(series.shards[t], series.layout, 0, 1);
	}
	return series;
}

static void
series_close(struct series *series)
{
	for (unsigned t = 0; t < series->threads; t++) {
		bool has_wide = atomic_load(&series->cells[t]->wide);
		uint64_t before = shard_bytes(series->shards[t]);
		shard_clear(series->shards[t], series->layout, 0);
		shard_free_retired(series->shards[t]);
		assert_int_equal(atomic_load(&series->shards[t]->native_bytes), 0);
		assert_true(shard_bytes(series->shards[t]) < before || !has_wide);
		shard_free(&series->shards[t]);
	}
	native_sum_fini(&series->sum);
	free(series->buckets);
	layouts_free(&series->layouts);
}

static void
observe(struct series *series, unsigned thread, double value, uint64_t count)
{
	histogram_observe(series->shards[thread], series->cells[thread], series->layout,
			  histogram_place(series->layout, value), value, count);
}

/* The classic buckets of all threads. */
static const uint64_t *
read_buckets(struct series *series)
{
	memset(series->buckets, 0, (series->layout->bound_count + 1) * sizeof(uint64_t));
	for (unsigned t = 0; t < series->threads; t++)
		histogram_read_buckets(series->shards[t], series->cells[t], series->layout,
				       series->buckets, series->room);
	return series->buckets;
}

/* The native histogram of all threads; none may have given it up. */
static struct native_view
read_native(struct series *series)
{
	struct native_view view;
	native_sum_reset(&series->sum, series->layout->native_steps);
	for (unsigned t = 0; t < series->threads; t++)
		assert_true(histogram_read_native(series->shards[t], series->cells[t],
						  series->layout, &series->sum));
	native_sum_view(&series->sum, series->layout->native_buckets_max, &view);
	return view;
}

/* Writes a side as `offset*length[counts] `. */
static void
show_side(const struct native_side *side, char *out)
{
	size_t bucket = 0;
	for (size_t s = 0; s < side->span_count; s++) {
		out += sprintf(out, "%d*%u[", side->spans[s].offset, side->spans[s].length);
		for (uint32_t i = 0; i < side->spans[s].length; i++)
			out += sprintf(out, i ? ",%llu" : "%llu",
				       (unsigned long long)side->buckets[bucket++]);
		out += sprintf(out, "] ");
	}
	*out = '\0';
	assert_int_equal(bucket, side->bucket_count);
}

/* ---- Classic buckets. ---- */

/* The bucket an observation went to, of `count` bounds. */
static size_t
bucket_hit(const double *bounds, size_t count, double value)
{
	struct series series = series_open(count, bounds, 0, 0, 1);
	observe(&series, 0, value, 1);
	const uint64_t *buckets = read_buckets(&series);
	size_t hit = 0, total = 0;
	for (size_t b = 0; b <= count; b++) {
		hit = buckets[b] ? b : hit;
		total += buckets[b];
	}
	assert_int_equal(total, 1);
	series_close(&series);
	return hit;
}

static void
test_observe__upper_bounds_are_inclusive(void **state)
{
	(void)state;
	static const double bounds[] = {-1, 0, 0.1, 5};
	static const struct {
		double value;
		size_t bucket;
	} cases[] = {
	    {-DBL_MAX, 0}, {-1.5, 0}, {-1, 0},           {-0.999, 1}, {-0.0, 1},      {0.0, 1},
	    {5e-324, 2},   {0.1, 2},  {0.1000000001, 3}, {5, 3},      {5.0000001, 4}, {DBL_MAX, 4},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(bucket_hit(bounds, 4, cases[i].value), cases[i].bucket);
	assert_int_equal(bucket_hit(bounds, 0, 3), 0);
	assert_int_equal(bucket_hit(bounds, 1, -1), 0);
	assert_int_equal(bucket_hit(bounds, 1, 0), 1);
}

static void
test_observe__many_bounds_like_few(void **state)
{
	(void)state;
	double bounds[40];
	for (size_t count = 14; count <= 40; count++) {
		for (size_t i = 0; i < count; i++)
			bounds[i] = (double)i * 2;
		for (int value = -1; value < (int)count * 2 + 1; value++) {
			size_t below = 0;
			while (below < count && bounds[below] < value)
				below++;
			assert_int_equal(bucket_hit(bounds, count, value), below);
		}
	}
}

static void
test_observe__sum_stays_finite(void **state)
{
	(void)state;
	struct series series = series_open(0, NULL, 0, 0, 1);
	observe(&series, 0, DBL_MAX, 10);
	assert_true(atomic_load(&series.cells[0]->sum) == DBL_MAX);
	observe(&series, 0, -DBL_MAX, 1);
	assert_true(atomic_load(&series.cells[0]->sum) == 0);
	observe(&series, 0, -DBL_MAX, 1000000);
	observe(&series, 0, -1, 1);
	assert_true(atomic_load(&series.cells[0]->sum) == -DBL_MAX);
	assert_int_equal(read_buckets(&series)[0], 1000012);
	series_close(&series);
}

/* ---- Native buckets. ---- */

/* client_golang's own examples, and edges. */
static const struct example {
	double factor;
	uint32_t buckets_max;
	double values[16];
	size_t count;
	int schema;
	uint64_t zero_count;
	const char *positive, *negative;
} examples[] = {
    {1.1, 256, {0}, 0, 3, 0, "", ""},
    {1.1, 256, {0, 1, 2, 3}, 4, 3, 1, "0*1[1] 7*1[1] 4*1[1] ", ""},
    {1.2, 256, {0, 1, 1.2, 1.4, 1.8, 2}, 6, 2, 1, "0*5[1,0,2,0,2] ", ""},
    {4, 256, {0.5, 1, 1.5, 2, 3, 3.5, 5, 6, 7, 33.33}, 10, -1, 0, "0*4[2,4,3,1] ", ""},
    {4,
     256,
     {0.0156251, 0.0625, 0.1, 0.25, 0.5, 1, 1.5, 2, 3, 3.5, 5, 6, 7, 33.33},
     14,
     -1,
     0,
     "-2*6[2,2,2,4,3,1] ",
     ""},
    {1.2, 256, {0, -1, -1.2, -1.4, -1.8, -2}, 6, 2, 1, "", "0*5[1,0,2,0,2] "},
    {1.2,
     256,
     {0, -1, -1.2, -1.4, -1.8, -2, 1, 1.2, 1.4, 1.8, 2},
     11,
     2,
     1,
     "0*5[1,0,2,0,2] ",
     "0*5[1,0,2,0,2] "},
    {1.2, 4, {0, 1, 1.1, 1.2, 1.4, 1.8, 2, 3}, 8, 1, 1, "0*5[1,3,2,0,1] ", ""},
    {1.2, 4, {0, -1, -1.1, -1.2, -1.4, -1.8, -2, -3}, 8, 1, 1, "", "0*5[1,3,2,0,1] "},
    {2, 256, {5e-324, -5e-324, 0x1p-128, -0x1p-128, 0.0, -0.0}, 6, 0, 6, "", ""},
    {2, 256, {DBL_MAX, -DBL_MAX}, 2, 0, 0, "1024*1[1] ", "1024*1[1] "},
    {2, 1, {1, 2, 4, 65536}, 4, -4, 0, "0*2[1,3] ", ""}, /* the lowest schema keeps them */
    {65536, 1, {1, 2, 1e300}, 3, -4, 0, "0*2[1,1] 61*1[1] ", ""},
};

static void
check_view(const struct native_view *view, const struct example *example)
{
	char text[512];
	assert_int_equal(view->schema, example->schema);
	assert_int_equal(view->zero_count, example->zero_count);
	assert_true(view->zero_threshold == NATIVE_ZERO_THRESHOLD);
	show_side(&view->positive, text);
	assert_string_equal(text, example->positive);
	show_side(&view->negative, text);
	assert_string_equal(text, example->negative);
}

static void
test_read_native__examples(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
		const struct example *example = &examples[i];
		struct series series =
		    series_open(0, NULL, example->factor, example->buckets_max, 1);
		for (size_t v = 0; v < example->count; v++)
			observe(&series, 0, example->values[v], 1);
		struct native_view view = read_native(&series);
		check_view(&view, example);
		series_close(&series);
	}
}

/* ---- Many values, against the list of all of them. ---- */

#define VALUES 2000

struct model {
	uint32_t positions[VALUES];
	size_t count;
};

static int
compare_keys(const void *a, const void *b)
{
	uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
	return (left > right) - (left < right);
}

/* The keys at a schema, sorted, without zeros. @return different ones */
static size_t
model_keys(const struct model *model, int schema, uint32_t *keys, size_t *count)
{
	*count = 0;
	for (size_t i = 0; i < model->count; i++) {
		if (model->positions[i] != NATIVE_POSITION_ZERO)
			keys[(*count)++] = native_coarsen(model->positions[i],
							  (unsigned)(NATIVE_SCHEMA_MAX - schema));
	}
	qsort(keys, *count, sizeof(*keys), compare_keys);
	size_t different = 0;
	for (size_t i = 0; i < *count; i++)
		different += !i || keys[i] != keys[i - 1];
	return different;
}

/* Every bucket of a side must count as many as the model has. @return how many that are, in all */
static size_t
check_side(const struct native_side *side, int schema, uint32_t sign, const uint32_t *keys,
	   size_t count)
{
	int32_t index = (int32_t)((128u * NATIVE_OCTAVE_BOUNDS) >> (NATIVE_SCHEMA_MAX - schema));
	size_t bucket = 0, sum = 0;
	for (size_t s = 0; s < side->span_count; s++) {
		assert_true(!s || side->spans[s].offset > 2);
		index += side->spans[s].offset;
		for (uint32_t i = 0; i < side->spans[s].length; i++, index++) {
			size_t want = 0;
			for (size_t k = 0; k < count; k++)
				want += keys[k] == ((uint32_t)index | sign);
			assert_int_equal(side->buckets[bucket], want);
			sum += side->buckets[bucket++];
		}
	}
	return sum;
}

/* The view has the model's counts, at the highest schema that keeps within the limit. */
static void
check_against_model(const struct native_view *view, const struct model *model, int schema,
		    uint32_t buckets_max)
{
	static uint32_t keys[VALUES];
	size_t count;
	while (model_keys(model, schema, keys, &count) > buckets_max && schema > NATIVE_SCHEMA_MIN)
		schema--;
	assert_int_equal(view->schema, schema);
	assert_int_equal(view->zero_count, model->count - count);
	size_t sum = check_side(&view->positive, schema, 0, keys, count);
	sum += check_side(&view->negative, schema, NATIVE_NEGATIVE, keys, count);
	assert_int_equal(sum, count);
}

/* What a sender may send: usual durations, both signs, few different, or anything at all. */
static double
draw(unsigned kind, uint64_t *random)
{
	double value = random_double(random);
	switch (kind % 4) {
	case 0:
		return exp2(value * 10 - 8);
	case 1:
		return (value - 0.5) * 100;
	case 2:
		return floor(value * 4);
	default:
		return random_bits(random);
	}
}

/* A cell itself keeps to the limit, which the reader would hide; the coarsest keys need not. */
static void
check_limit(const struct series *series, unsigned thread)
{
	const struct histogram_cell *cell = series->cells[thread];
	unsigned steps = series->layout->native_steps + atomic_load(&cell->halvings);
	assert_true(cell->used <= series->layout->native_buckets_max || steps == NATIVE_STEPS_MAX);
	assert_true(cell->used <= NATIVE_BUCKETS_LEAST || steps < NATIVE_STEPS_MAX);
}

static void
test_read_native__random_values_of_threads(void **state)
{
	(void)state;
	static const uint32_t limits[] = {1, 10, 160, 256, NATIVE_BUCKETS_MAX};
	static struct model model;
	uint64_t random = 7;
	for (unsigned run = 0; run < 120; run++) {
		int start = NATIVE_SCHEMA_MIN + (int)(run % 13);
		uint32_t limit = limits[run % 5];
		struct series series =
		    series_open(0, NULL, exp2(exp2(-start)) + 1e-9, limit, THREADS_MAX);
		model.count = 0;
		for (size_t i = 0, n = VALUES >> run % 6; i < n; i++) {
			double value = draw(run, &random);
			unsigned t = (unsigned)(random_double(&random) * THREADS_MAX);
			observe(&series, t, value, 1);
			model.positions[model.count++] = native_position(value);
		}
		struct native_view view = read_native(&series);
		check_against_model(&view, &model, start, limit);
		assert_int_equal(read_buckets(&series)[0], model.count);
		for (unsigned t = 0; t < THREADS_MAX; t++)
			check_limit(&series, t);
		series_close(&series);
	}
}

static void
test_read_native__nothing_is_lost_when_the_resolution_falls(void **state)
{
	(void)state;
	struct series series = series_open(0, NULL, 1.0027, 160, 1);
	int before = NATIVE_SCHEMA_MAX;
	for (unsigned i = 1; i <= 3000; i++) {
		observe(&series, 0, i % 2 ? i : -1.0 / i, i);
		struct native_view view = read_native(&series);
		assert_int_equal(native_total(&view), (uint64_t)i * (i + 1) / 2);
		assert_true(view.schema <= before);
		before = view.schema;
	}
	assert_true(before < NATIVE_SCHEMA_MAX);
	series_close(&series);
}

/* ---- Narrow and wide counters. ---- */

/* Every count is exact in classic and native buckets, in the window, outside, at zero. */
static void
test_observe__counts_of_any_size(void **state)
{
	(void)state;
	static const uint64_t counts[] = {
	    1,     126,   127,   128,        254,
	    255,   256,   1000,  65279,      65280,
	    65534, 65535, 65536, UINT32_MAX, UINT64_C(1) << 40,
	};
	enum { COUNTS = sizeof(counts) / sizeof(counts[0]) };
	static const double bounds[] = {-1, 0, 1, 1e9}, values[] = {-5, 0, 1, 8, 1e12};
	for (unsigned first = 0; first < COUNTS; first++) {
		struct series series = series_open(4, bounds, 1.1, 256, 1);
		uint64_t want = 0;
		for (unsigned i = 0; i < 3 * COUNTS; i++) {
			uint64_t count = counts[(first + i * i) % COUNTS];
			want += count;
			for (unsigned v = 0; v < 5; v++)
				observe(&series, 0, values[v], count);
			const uint64_t *buckets = read_buckets(&series);
			for (unsigned b = 0; b < 5; b++)
				assert_int_equal(buckets[b], want);
			struct native_view view = read_native(&series);
			assert_int_equal(view.zero_count, want);
			assert_int_equal(view.negative.bucket_count, 1);
			assert_int_equal(view.negative.buckets[0], want);
			assert_int_equal(view.positive.bucket_count, 3);
			for (unsigned b = 0; b < 3; b++)
				assert_int_equal(view.positive.buckets[b], want);
		}
		series_close(&series);
	}
}

/* The same, one by one, over several overflows of narrow counters. */
static void
test_observe__one_by_one(void **state)
{
	(void)state;
	static const double bounds[] = {1};
	struct series series = series_open(1, bounds, 1.1, 256, 1);
	for (uint64_t i = 1; i <= 200000; i++) {
		observe(&series, 0, 0.5, 1);
		observe(&series, 0, 0, 1);
		if (i % 97 && i % 255 > 1 && i % 65536 > 1)
			continue;
		assert_int_equal(read_buckets(&series)[0], 2 * i);
		struct native_view view = read_native(&series);
		assert_int_equal(view.zero_count, i);
		assert_int_equal(view.positive.bucket_count, 1);
		assert_int_equal(view.positive.buckets[0], i);
	}
	series_close(&series);
}

static void
assert_in_window(const struct series *series, double value)
{
	const struct histogram_cell *cell = series->cells[0];
	uint32_t key = histogram_place(series->layout, value).key;
	uint32_t start = (atomic_load(&cell->window) - 1u) * HISTOGRAM_WINDOW_STEP;
	assert_in_range(key, start, start + HISTOGRAM_WINDOW - 1);
}

/* Values of up to sixteen octaves need no store, whatever came first. */
static void
test_observe__window_is_where_values_are(void **state)
{
	(void)state;
	static const double first[] = {1, 1e-9, 1e300, -7};
	for (unsigned f = 0; f < 4; f++) {
		struct series series = series_open(0, NULL, 1.1, 256, 1);
		observe(&series, 0, first[f], 1);
		for (unsigned i = 0; i < 10000; i++)
			observe(&series, 0, exp2(i * 7 % 112 / 8.0 - 10), 1);
		shard_free_retired(series.shards[0]);
		/* What each overflow gave up aside, four bytes a bucket at most. */
		assert_in_range(atomic_load(&series.shards[0]->native_bytes), 0, 800);
		for (unsigned i = 0; i < 112; i++)
			assert_in_window(&series, exp2(i / 8.0 - 10));
		struct native_view view = read_native(&series);
		assert_int_equal(native_total(&view), 10001);
		series_close(&series);
	}
}

/* The most buckets that have room wherever the window may begin. */
#define WIDE (HISTOGRAM_WINDOW - HISTOGRAM_WINDOW_STEP)

static void
test_observe__window_holds_two_as_far_apart_as_can_be(void **state)
{
	(void)state;
	for (int low = 0; low < (int)HISTOGRAM_WINDOW_STEP; low++) {
		struct series series = series_open(0, NULL, 2, 256, 1);
		observe(&series, 0, ldexp(1, low), 1);
		observe(&series, 0, ldexp(1, low + (int)WIDE), 1);
		assert_in_window(&series, ldexp(1, low));
		assert_in_window(&series, ldexp(1, low + (int)WIDE));
		assert_int_equal(atomic_load(&series.shards[0]->native_bytes), 0);
		series_close(&series);
	}
}

/* What lies further apart does not have it laid so that the most are outside. */
static void
test_observe__window_holds_most_where_not_all_fit(void **state)
{
	(void)state;
	for (int low = 0; low < (int)HISTOGRAM_WINDOW_STEP; low++) {
		for (int more = 1; more <= 2 * (int)HISTOGRAM_WINDOW_STEP; more++) {
			struct series series = series_open(0, NULL, 2, 256, 1);
			observe(&series, 0, ldexp(1, low), 1);
			observe(&series, 0, ldexp(1, low + more), 1);
			observe(&series, 0, ldexp(1, low + more + (int)WIDE), 50);
			assert_in_window(&series, ldexp(1, low + more));
			assert_in_window(&series, ldexp(1, low + more + (int)WIDE));
			series_close(&series);
		}
	}
}

/* So they are kept also when others have used up all that there is. */
static void
test_observe__few_values_take_no_memory(void **state)
{
	(void)state;
	struct series series = series_open(0, NULL, 1.1, 256, 1);
	atomic_store(&series.shards[0]->native_bytes, SHARD_NATIVE_BYTES_MAX);
	for (unsigned i = 0; i < 200; i++)
		observe(&series, 0, i, 1);
	assert_null(atomic_load(&series.cells[0]->wide));
	struct native_view view = read_native(&series);
	assert_int_equal(native_total(&view), 200);
	assert_int_equal(shard_native_left_out(series.shards[0]), 0);
	atomic_store(&series.shards[0]->native_bytes, 0);
	series_close(&series);
}

/* What else needs none of it: as many buckets as are allowed, zeros apart; more than are asked for,
 * at the lowest resolution; the first positive values after negative ones. */
static void
test_observe__no_memory_for_what_fits_the_window(void **state)
{
	(void)state;
	static const struct {
		double factor;
		uint32_t buckets_max;
		double first, values[4];
	} cases[] = {
	    {2, 4, 0, {1, 2, 4, 8}},
	    {65536, 1, 1, {1e-9, 1e10, 1e20, 1e30}},
	    {1.1, 256, -7, {1, 2, 4, 8}},
	};
	for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
		struct series series =
		    series_open(0, NULL, cases[c].factor, cases[c].buckets_max, 1);
		_Atomic int64_t *bytes = &series.shards[0]->native_bytes;
		observe(&series, 0, cases[c].first, 1);
		atomic_fetch_add(bytes, SHARD_NATIVE_BYTES_MAX);
		int64_t before = atomic_load(bytes);
		for (unsigned i = 0; i < 4; i++)
			observe(&series, 0, cases[c].values[i], 1);
		assert_int_equal(atomic_load(bytes), before);
		struct native_view view = read_native(&series);
		assert_int_equal(native_total(&view), 5);
		atomic_fetch_sub(bytes, SHARD_NATIVE_BYTES_MAX);
		series_close(&series);
	}
}

/* Values of any kind, whether there were some of them before or not. */
static void
test_observe__after_giving_up_all_is_left_out(void **state)
{
	(void)state;
	static const double before[] = {0, 1, -1}, after[] = {0, 1, 100, -1, -5};
	struct series series = series_open(0, NULL, 1.1, 256, 1);
	for (unsigned i = 0; i < 3; i++)
		observe(&series, 0, before[i], 1);
	atomic_fetch_add(&series.shards[0]->native_bytes, SHARD_NATIVE_BYTES_MAX);
	observe(&series, 0, -2, 1);
	assert_int_equal(shard_native_left_out(series.shards[0]), 1);
	for (unsigned i = 0; i < 5; i++) {
		observe(&series, 0, after[i], 1);
		assert_int_equal(shard_native_left_out(series.shards[0]), i + 2);
	}
	assert_int_equal(read_buckets(&series)[0], 9);
	atomic_fetch_sub(&series.shards[0]->native_bytes, SHARD_NATIVE_BYTES_MAX);
	series_close(&series);
}

/* ---- A reader beside the owner. ---- */

struct race {
	struct series series;
	_Atomic bool done;
};

#define RACE_VALUES 40000
#define RACE_COUNT 3000

/* Ever more buckets, then ever lower resolutions; every second value moves counts. */
static void *
observe_race(void *arg)
{
	struct race *race = arg;
	for (unsigned i = 0; i < RACE_VALUES; i++) {
		double value =
		    i % 3 ? exp2(i % 1000 * ((double)i / RACE_VALUES)) : -(double)(i % 100);
		observe(&race->series, 0, value, i % 2 ? RACE_COUNT : 1);
	}
	atomic_store(&race->done, true);
	return NULL;
}

/* Counts never fall, and the native ones are never more than the classic ones have then. */
static void
test_read__beside_the_owner(void **state)
{
	(void)state;
	static const double bounds[] = {0, 1e10};
	static struct race race;
	race.series = series_open(2, bounds, 1.001, 100, 1);
	pthread_t owner;
	assert_int_equal(pthread_create(&owner, NULL, observe_race, &race), 0);
	uint64_t native = 0, before[3] = {0};
	for (bool done = false; !done;) {
		done = atomic_load(&race.done);
		shard_free_retired(race.series.shards[0]);
		struct native_view view = read_native(&race.series);
		uint64_t seen = native_total(&view), total = 0;
		const uint64_t *buckets = read_buckets(&race.series);
		for (unsigned b = 0; b < 3; b++) {
			assert_true(buckets[b] >= before[b]);
			total += before[b] = buckets[b];
		}
		assert_true(seen >= native && seen <= total);
		native = seen;
	}
	assert_int_equal(native, RACE_VALUES / 2 * (RACE_COUNT + 1));
	pthread_join(owner, NULL);
	series_close(&race.series);
}

/* Moves counts with each value, without a pause. */
static void *
observe_on_and_on(void *arg)
{
	struct race *race = arg;
	while (!atomic_load_explicit(&race->done, memory_order_relaxed))
		observe(&race->series, 0, 1, UINT16_MAX);
	return NULL;
}

/* Reading takes longer than from move to move, but not for ever. */
static void
test_read__ends_while_counts_move(void **state)
{
	(void)state;
	static struct race race;
	race.series = series_open(0, NULL, 1.001, 1024, 1);
	observe(&race.series, 0, 1, UINT32_MAX);
	for (unsigned i = 0; i < 1000; i++)
		observe(&race.series, 0, exp2(i / 4.0 - 120), 1);
	pthread_t owner;
	assert_int_equal(pthread_create(&owner, NULL, observe_on_and_on, &race), 0);
	uint64_t native = 0, classic = 0;
	for (unsigned i = 0; i < 300; i++) {
		struct native_view view = read_native(&race.series);
		uint64_t seen = native_total(&view), total = read_buckets(&race.series)[0];
		assert_true(seen >= native && total >= classic && seen <= total);
		native = seen;
		classic = total;
	}
	atomic_store(&race.done, true);
	pthread_join(owner, NULL);
	series_close(&race.series);
}

/* One after another, cells have a bucket that would overflow when there is no memory. */
#define GIVE_UPS 5000

struct give_up_race {
	struct shard *shard;
	const struct layout *layout;
	_Atomic uint32_t at;
};

static void *
give_up_all(void *arg)
{
	struct give_up_race *race = arg;
	struct histogram_place place = histogram_place(race->layout, 1);
	for (uint32_t id = 0; id < GIVE_UPS; id++) {
		struct histogram_cell *cell =
		    (struct histogram_cell *)shard_find(race->shard, race->layout->pool, id, 1);
		atomic_store(&race->at, id);
		for (unsigned i = 0; i < 2; i++)
			histogram_observe(race->shard, cell, race->layout, place, 1, 200);
	}
	atomic_store(&race->at, GIVE_UPS);
	return NULL;
}

/* A native histogram has all its values until it has gone. */
static void
test_read__beside_giving_up(void **state)
{
	(void)state;
	struct layouts *layouts = layouts_new();
	static struct give_up_race race;
	race.shard = shard_new(GIVE_UPS);
	race.layout =
	    layouts_histogram(layouts, &(struct histogram_options){0, NULL, 1.1, 256}, &no_totals);
	for (uint32_t id = 0; id < GIVE_UPS; id++) {
		struct cell *cell = shard_touch(race.shard, race.layout, id, 1);
		histogram_observe(race.shard, (struct histogram_cell *)cell, race.layout,
				  histogram_place(race.layout, 1), 1, 1);
	}
	atomic_fetch_add(&race.shard->native_bytes, SHARD_NATIVE_BYTES_MAX);
	pthread_t owner;
	assert_int_equal(pthread_create(&owner, NULL, give_up_all, &race), 0);
	struct native_sum sum = {0};
	uint32_t before = GIVE_UPS, at;
	uint64_t seen = 0;
	while ((at = atomic_load(&race.at)) < GIVE_UPS) {
		const struct histogram_cell *cell =
		    (struct histogram_cell *)shard_find(race.shard, race.layout->pool, at, 1);
		seen = at == before ? seen : 1;
		before = at;
		native_sum_reset(&sum, race.layout->native_steps);
		if (!histogram_read_native(race.shard, cell, race.layout, &sum))
			continue;
		assert_int_equal(sum.count, 1);
		assert_true(sum.entries[0].count >= seen);
		seen = sum.entries[0].count;
	}
	pthread_join(owner, NULL);
	assert_int_equal(shard_native_left_out(race.shard), GIVE_UPS * 200);
	native_sum_fini(&sum);
	for (uint32_t id = 0; id < GIVE_UPS; id++)
		shard_clear(race.shard, race.layout, id);
	shard_free_retired(race.shard);
	shard_free(&race.shard);
	layouts_free(&layouts);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_observe__upper_bounds_are_inclusive),
	    cmocka_unit_test(test_observe__many_bounds_like_few),
	    cmocka_unit_test(test_observe__sum_stays_finite),
	    cmocka_unit_test(test_read_native__examples),
	    cmocka_unit_test(test_read_native__random_values_of_threads),
	    cmocka_unit_test(test_read_native__nothing_is_lost_when_the_resolution_falls),
	    cmocka_unit_test(test_observe__counts_of_any_size),
	    cmocka_unit_test(test_observe__one_by_one),
	    cmocka_unit_test(test_observe__window_is_where_values_are),
	    cmocka_unit_test(test_observe__window_holds_two_as_far_apart_as_can_be),
	    cmocka_unit_test(test_observe__window_holds_most_where_not_all_fit),
	    cmocka_unit_test(test_observe__few_values_take_no_memory),
	    cmocka_unit_test(test_observe__no_memory_for_what_fits_the_window),
	    cmocka_unit_test(test_observe__after_giving_up_all_is_left_out),
	    cmocka_unit_test(test_read__beside_the_owner),
	    cmocka_unit_test(test_read__ends_while_counts_move),
	    cmocka_unit_test(test_read__beside_giving_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
