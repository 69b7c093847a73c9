#include "test.h"

#include "metrics/native.h"
#include "native_total.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- Helpers. ---- */

/* Observes as an owner does. */
static struct native *
observe(struct native *native, double value, uint64_t n, uint32_t buckets_max)
{
	uint32_t position = native_position(value);
	if (native_count(native, position, n))
		return native;
	struct native *other = native_insert(native, position, n, buckets_max);
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

static double
random_double(uint64_t *random)
{
	*random = *random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (double)(*random >> 11) * 0x1p-53;
}

/* A finite double of any bits. */
static double
random_bits(uint64_t *random)
{
	double value;
	do {
		uint64_t bits = (uint64_t)(random_double(random) * 0x1p32) << 32;
		bits |= (uint64_t)(random_double(random) * 0x1p32);
		memcpy(&value, &bits, sizeof(value));
	} while (!isfinite(value));
	return value;
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

/* ---- Buckets. ---- */

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
test_view__examples(void **state)
{
	(void)state;
	struct native_sum sum = {0};
	struct native_view view;
	for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
		const struct example *example = &examples[i];
		int schema = native_schema(example->factor);
		struct native *native = native_new(schema);
		for (size_t v = 0; v < example->count; v++)
			native = observe(native, example->values[v], 1, example->buckets_max);
		native_sum_reset(&sum, schema);
		native_sum_add(&sum, native);
		native_sum_view(&sum, example->buckets_max, &view);
		check_view(&view, example);
		free(native);
	}
	native_sum_fini(&sum);
}

/* ---- Many values, against the list of all of them. ---- */

#define VALUES 2000
#define THREADS 3

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

static void
test_view__random_values_of_threads(void **state)
{
	(void)state;
	static const uint32_t limits[] = {1, 10, 160, 256, NATIVE_BUCKETS_MAX};
	struct native_sum sum = {0};
	static struct model model;
	uint64_t random = 7;
	for (unsigned run = 0; run < 120; run++) {
		int start = NATIVE_SCHEMA_MIN + (int)(run % 13);
		uint32_t limit = limits[run % 5];
		struct native *natives[THREADS];
		for (unsigned t = 0; t < THREADS; t++)
			natives[t] = native_new(start);
		model.count = 0;
		for (size_t i = 0, n = VALUES >> run % 6; i < n; i++) {
			double value = draw(run, &random);
			unsigned t = (unsigned)(random_double(&random) * THREADS);
			natives[t] = observe(natives[t], value, 1, limit);
			model.positions[model.count++] = native_position(value);
		}
		struct native_view view;
		native_sum_reset(&sum, start);
		for (unsigned t = 0; t < THREADS; t++) {
			native_sum_add(&sum, natives[t]);
			assert_true(natives[t]->used <= limit ||
				    natives[t]->used <= NATIVE_BUCKETS_LEAST);
			free(natives[t]);
		}
		native_sum_view(&sum, limit, &view);
		check_against_model(&view, &model, start, limit);
	}
	native_sum_fini(&sum);
}

static void
test_count__beyond_32_bits(void **state)
{
	(void)state;
	static const uint64_t counts[] = {1, UINT32_MAX - 1, 1, UINT32_MAX, UINT64_C(1) << 40, 1};
	struct native_sum sum = {0};
	struct native_view view;
	for (unsigned first = 0; first < 6; first++) {
		struct native *native = native_new(3);
		for (unsigned i = 0; i < 40; i++) /* neighbours, for the dense form */
			native = observe(native, exp2(i / 8.0), 1, 256);
		assert_true(native->length > 0);
		uint64_t want = 40;
		for (unsigned i = first; i < 6; i++) {
			native = observe(native, 2, counts[i], 256);
			native = observe(native, 1e6 * i, counts[i], 256); /* a new bucket */
			want += counts[i] * 2;
		}
		native_sum_reset(&sum, 3);
		native_sum_add(&sum, native);
		native_sum_view(&sum, 256, &view);
		assert_int_equal(native_total(&view), want);
		free(native);
	}
	native_sum_fini(&sum);
}

/* Durations of five orders of magnitude, as most histograms have them. */
static void
test_insert__durations_take_little_memory(void **state)
{
	(void)state;
	struct native *native = native_new(3);
	for (unsigned i = 0; i < 1000; i++)
		native = observe(native, pow(10, i % 100 / 20.0 - 3), 1, 256);
	assert_true(native->length > 0);
	assert_true(native_bytes(native) <= 640);
	free(native);
}

static void
test_insert__memory_is_bounded(void **state)
{
	(void)state;
	uint64_t random = 3;
	struct native *few = native_new(3);
	for (unsigned i = 0; i < 10000; i++)
		few = observe(few, 1 + i % 3, 1, 256);
	assert_true(native_bytes(few) <= 128);
	free(few);
	struct native *most = native_new(NATIVE_SCHEMA_MAX);
	for (unsigned i = 0; i < 300000; i++)
		most = observe(most, random_bits(&random), 1, NATIVE_BUCKETS_MAX);
	assert_true(most->used <= NATIVE_BUCKETS_MAX);
	assert_true(native_bytes(most) <= 132000);
	free(most);
}

static void
test_view__nothing_is_lost_when_the_resolution_falls(void **state)
{
	(void)state;
	struct native *native = native_new(NATIVE_SCHEMA_MAX);
	struct native_sum sum = {0};
	struct native_view view;
	int before = NATIVE_SCHEMA_MAX;
	for (unsigned i = 1; i <= 3000; i++) {
		native = observe(native, i % 2 ? i : -1.0 / i, i, 160);
		native_sum_reset(&sum, NATIVE_SCHEMA_MAX);
		native_sum_add(&sum, native);
		native_sum_view(&sum, 160, &view);
		assert_int_equal(native_total(&view), (uint64_t)i * (i + 1) / 2);
		assert_true(view.schema <= before);
		before = view.schema;
	}
	assert_true(before < NATIVE_SCHEMA_MAX);
	free(native);
	native_sum_fini(&sum);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_schema__of_factors),
	    cmocka_unit_test(test_position__of_any_double),
	    cmocka_unit_test(test_position__upper_bounds_are_inclusive),
	    cmocka_unit_test(test_view__examples),
	    cmocka_unit_test(test_view__random_values_of_threads),
	    cmocka_unit_test(test_count__beyond_32_bits),
	    cmocka_unit_test(test_insert__durations_take_little_memory),
	    cmocka_unit_test(test_insert__memory_is_bounded),
	    cmocka_unit_test(test_view__nothing_is_lost_when_the_resolution_falls),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
