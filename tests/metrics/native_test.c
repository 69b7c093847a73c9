#include "test.h"

#include "metrics/native.h"
#include "native_total.h"
#include "random.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- Helpers. ---- */

/* Counts as an owner does. */
static struct native *
count(struct native *native, uint32_t key, uint64_t n)
{
	if (native_count(native, key, n))
		return native;
	struct native *other = native_insert(native, key, n);
	if (!other)
		return native;
	free(native);
	return other;
}

/* The index of a position's bucket at a schema, as Prometheus counts. */
static int
index_of(uint32_t position, int schema)
{
	unsigned steps = (unsigned)(NATIVE_SCHEMA_MAX - schema);
	uint32_t key = native_coarsen(position, steps) & ~NATIVE_NEGATIVE;
	return (int)key - (int)((128u * NATIVE_OCTAVE_BOUNDS) >> steps);
}

/* ---- Schemas and positions. ---- */

static void
test_schema__of_factors(void **state)
{
	(void)state;
	static const struct {
		double factor;
		int schema;
	} cases[] = {
	    {1.0000001, 8}, {1.0027, 8}, {1.0028, 8}, {1.0055, 7}, {1.05, 4},
	    {1.09, 4},      {1.1, 3},    {1.2, 2},    {1.5, 1},    {1.99, 1},
	    {2, 0},         {3.99, 0},   {4, -1},     {16, -2},    {255, -2},
	    {256, -3},      {65535, -3}, {65536, -4}, {1e300, -4}, {1 + DBL_EPSILON, 8},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(native_schema(cases[i].factor), cases[i].schema);
}

/* The bucket's bounds are where a slow logarithm says they are. */
static void
check_index(double value)
{
	uint32_t position = native_position(value);
	long double magnitude = fabsl(value);
	if (magnitude <= 0x1p-128L) {
		assert_int_equal(position, NATIVE_POSITION_ZERO);
		return;
	}
	assert_int_equal(!!(position & NATIVE_NEGATIVE), value < 0);
	for (int schema = NATIVE_SCHEMA_MIN; schema <= NATIVE_SCHEMA_MAX; schema++) {
		int index = index_of(position, schema);
		long double width = ldexpl(1, -schema);
		long double lower = exp2l((index - 1) * width), upper = exp2l(index * width);
		if (!(lower < magnitude && magnitude <= upper))
			fail_msg("%a is not in bucket %d of schema %d", value, index, schema);
	}
}

static void
test_position__of_any_double(void **state)
{
	(void)state;
	uint64_t random = 1;
	for (unsigned i = 0; i < 100000; i++)
		check_index(random_bits(&random));
	for (unsigned i = 0; i < 100000; i++)
		check_index(ldexp(1 + random_double(&random), (int)(i % 64) - 32));
	static const double values[] = {0,       -0.0,    5e-324, DBL_MIN, 0x1p-128, 0x1p-127,
					DBL_MAX, 1.7e308, 1,      2,       0.1};
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		check_index(values[i]);
		check_index(-values[i]);
	}
	check_index(nextafter(0x1p-128, 1));
}

static void
test_position__upper_bounds_are_inclusive(void **state)
{
	(void)state;
	for (int octave = -128; octave < 1024; octave += octave == 1 ? 1022 : 1) {
		for (int i = 0; i < NATIVE_OCTAVE_BOUNDS; i++) {
			uint64_t bits = (uint64_t)(1023 + octave) << 52 | native_bounds[i];
			double bound;
			memcpy(&bound, &bits, sizeof(bound));
			check_index(bound);
			check_index(nextafter(bound, INFINITY));
			int want = octave * NATIVE_OCTAVE_BOUNDS + i;
			uint32_t above = native_position(nextafter(bound, INFINITY));
			assert_int_equal(index_of(above, NATIVE_SCHEMA_MAX), want + 1);
			if (bound <= NATIVE_ZERO_THRESHOLD)
				continue;
			uint32_t at = native_position(bound);
			assert_int_equal(index_of(at, NATIVE_SCHEMA_MAX), want);
		}
	}
}

/* ---- Stores. ---- */

static void
test_count__only_what_has_a_bucket(void **state)
{
	(void)state;
	struct native *native = native_new();
	assert_true(native_count(native, NATIVE_POSITION_ZERO, 1));
	static const uint32_t keys[] = {1, 2, 100, NATIVE_NEGATIVE | 1, NATIVE_NEGATIVE | 100000};
	for (unsigned i = 0; i < 5; i++) {
		assert_false(native_count(native, keys[i], 1));
		native = count(native, keys[i], 1);
		assert_true(native_count(native, keys[i], 1));
	}
	free(native);
}

static void
test_count__beyond_32_bits(void **state)
{
	(void)state;
	static const uint64_t counts[] = {1, UINT32_MAX - 1, 1, UINT32_MAX, UINT64_C(1) << 40, 1};
	struct native_sum sum = {0};
	struct native_view view;
	for (unsigned first = 0; first < 6; first++) {
		struct native *native = native_new();
		for (uint32_t key = 1000; key < 1040; key++) /* neighbours, for the dense form */
			native = count(native, key, 1);
		uint64_t want = 40;
		for (unsigned i = first; i < 6; i++) {
			native = count(native, 1005, counts[i]);
			native = count(native, 2000 + 100 * i, counts[i]); /* a new bucket */
			native = count(native, NATIVE_POSITION_ZERO, counts[i]);
			want += counts[i] * 3;
		}
		native_sum_reset(&sum, 0);
		native_sum_begin(&sum);
		native_sum_add(&sum, native);
		native_sum_end(&sum, 0);
		native_sum_view(&sum, 256, &view);
		assert_int_equal(native_total(&view), want);
		free(native);
	}
	native_sum_fini(&sum);
}

/* What was added of a thread before the restart does not count; resolutions meet at the lowest. */
static void
test_sum__of_threads_that_start_again(void **state)
{
	(void)state;
	struct native_sum sum = {0};
	struct native_view view;
	struct native *native = native_new();
	native = count(native, 4, 5);
	native = count(native, NATIVE_POSITION_ZERO, 3);
	native_sum_reset(&sum, 1);
	static const unsigned steps[] = {3, 0, 2};
	for (unsigned i = 0; i < 3; i++) {
		native_sum_begin(&sum);
		native_sum_add(&sum, native);
		native_sum_add_bucket(&sum, 1000, 7);
		native_sum_restart(&sum);
		native_sum_add(&sum, native);
		native_sum_add_bucket(&sum, 9, 1);
		native_sum_end(&sum, steps[i]);
	}
	native_sum_arrange(&sum, 256);
	assert_int_equal(sum.steps, 3);
	static const struct native_entry want[] = {{1, 5}, {2, 6}, {4, 5}, {5, 1}, {9, 1}};
	assert_int_equal(sum.count, 5);
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(sum.entries[i].key, want[i].key);
		assert_int_equal(sum.entries[i].count, want[i].count);
	}
	native_sum_view(&sum, 256, &view);
	assert_int_equal(view.zero_count, 9);
	free(native);
	native_sum_fini(&sum);
}

/* Durations of five orders of magnitude, as most histograms have them, take four bytes a bucket. */
static void
test_insert__neighbours_take_little_memory(void **state)
{
	(void)state;
	struct native *native = native_new();
	for (uint32_t i = 0; i < 1000; i++)
		native = count(native, 900 + i * 7 % 133, 1);
	assert_true(native_bytes(native) <= 800);
	free(native);
}

/* Ever new neighbours do not make ever new stores. */
static void
test_insert__grows_by_shares(void **state)
{
	(void)state;
	struct native *native = native_new();
	unsigned stores = 0;
	for (uint32_t key = 1000; key < 5000; key++) {
		struct native *before = native;
		native = count(native, key, 1);
		stores += native != before;
	}
	assert_in_range(stores, 1, 60);
	free(native);
}

static void
test_insert__memory_is_bounded(void **state)
{
	(void)state;
	struct native *few = native_new();
	for (uint32_t i = 0; i < 10000; i++)
		few = count(few, 1 + i % 3 * 1000, 1);
	assert_true(native_bytes(few) <= 128);
	free(few);
	struct native *most = native_new();
	for (uint32_t i = 0; i < NATIVE_BUCKETS_MAX; i++)
		most = count(most, (i % 2 ? NATIVE_NEGATIVE : 0) | (1 + i * 40503 % 300000), 1);
	assert_true(native_bytes(most) <= 132000);
	free(most);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_schema__of_factors),
	    cmocka_unit_test(test_position__of_any_double),
	    cmocka_unit_test(test_position__upper_bounds_are_inclusive),
	    cmocka_unit_test(test_count__only_what_has_a_bucket),
	    cmocka_unit_test(test_count__beyond_32_bits),
	    cmocka_unit_test(test_sum__of_threads_that_start_again),
	    cmocka_unit_test(test_insert__neighbours_take_little_memory),
	    cmocka_unit_test(test_insert__grows_by_shares),
	    cmocka_unit_test(test_insert__memory_is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
