#include "test.h"

#include "metrics/targeted.h"

#include <math.h>
#include <stdlib.h>

/* What statsd_exporter showed for these values in this order, sent with a rate of 0.1. */
static const double recorded[] = {
    2,
    865403,
    5,
    2507,
    6,
    18094,
    849,
    19,
    6,
    41e-4,
    65.4,
    0.9795,
    200,
    63e2,
    7,
    1145,
    71845,
    5186,
    2585,
    65e2,
    455,
    8,
    5330,
    0.00001,
    0.0999733338299904,
    33.6,
    8.2324,
    7322,
    230,
    5.08696,
    2,
    0.4935,
    0.818359,
    7046,
    6.997119096961253,
    9036.1,
    5.47312,
    4,
    5,
    76.9908,
    5.117217770944909e-05,
    8.30788404225704e-08,
    626053,
    74e-5,
    0.889773,
    89,
    0.495095,
    2483474899388.811,
    40748,
    50e-2,
    9,
    8834,
    5641152297.739682,
    9,
    73e0,
    90e-3,
    10e-8,
    0.78366,
};
static const struct quantile recorded_targets[] = {{0, 0}, {0.25, 0.05}, {0.999, 0.0001}, {1, 0}};
static const double recorded_answers[] = {0.00074, 0.818359, 2483474899388.811, 2483474899388.811};

/* The same with a rate of 0.01 and statsd_exporter's own quantiles. */
static const double few[] = {8.45, 9, 15261, 44e11, 667956, 6690};
static const struct quantile few_targets[] = {{0.5, 0.05}, {0.9, 0.01}, {0.99, 0.001}};
static const double few_answers[] = {15261, 4.4e12, 4.4e12};

static struct weighted *
weigh(const double *values, size_t count, uint64_t weight)
{
	struct weighted *items = calloc(count, sizeof(*items));
	for (size_t i = 0; i < count; i++)
		items[i] = (struct weighted){values[i], weight};
	return items;
}

static void
check_answers(const double *values, size_t count, uint64_t weight, const struct quantile *targets,
	      size_t target_count, const double *answers)
{
	double out[8];
	struct weighted *items = weigh(values, count, weight);
	targeted_quantiles(items, count, count * weight, targets, target_count, out);
	for (size_t i = 0; i < target_count; i++)
		assert_true(out[i] == answers[i]);
	/* The window's own question leads to the same answers. */
	struct weighted_list list = {items, count, count, count * weight, false};
	weighted_quantiles(&list, targets, target_count, out);
	for (size_t i = 0; i < target_count; i++)
		assert_true(out[i] == answers[i]);
	free(items);
}

static void
test_quantiles__as_recorded(void **state)
{
	(void)state;
	check_answers(recorded, sizeof(recorded) / sizeof(recorded[0]), 10, recorded_targets, 4,
		      recorded_answers);
	check_answers(few, sizeof(few) / sizeof(few[0]), 100, few_targets, 3, few_answers);
}

static void
test_quantiles__one_value(void **state)
{
	(void)state;
	struct weighted item = {42, 501};
	double out[4];
	targeted_quantiles(&item, 1, 501, recorded_targets, 4, out);
	for (unsigned i = 0; i < 4; i++)
		assert_true(out[i] == 42);
}

static void
test_quantiles__no_targets(void **state)
{
	(void)state;
	struct weighted item = {42, 1000};
	double out[1] = {7};
	targeted_quantiles(&item, 1, 1000, NULL, 0, out);
	assert_true(out[0] == 7);
}

/* Within the error that was asked for, whatever the order and the number of batches. */
static void
test_quantiles__keep_their_error(void **state)
{
	(void)state;
	static const struct quantile targets[] = {
	    {0.1, 0.02}, {0.5, 0.05}, {0.9, 0.01}, {0.99, 0.001}};
	static const unsigned counts[] = {501, 999, 1000, 1001, 2500, QUANTILES_TARGETED_MAX};
	static const unsigned factors[] = {1, 7, 7919, 4999};
	for (size_t c = 0; c < sizeof(counts) / sizeof(counts[0]); c++) {
		for (size_t f = 0; f < sizeof(factors) / sizeof(factors[0]); f++) {
			unsigned n = counts[c];
			struct weighted *items = calloc(n, sizeof(*items));
			for (unsigned i = 0; i < n; i++)
				items[i] = (struct weighted){(i * factors[f]) % n, 1};
			double out[4];
			targeted_quantiles(items, n, n, targets, 4, out);
			for (unsigned q = 0; q < 4; q++) {
				double off = fabs(out[q] - targets[q].quantile * n);
				/* Two ranks for rounding, and factors that do not visit all. */
				if (n % factors[f] || factors[f] == 1)
					assert_true(off <= targets[q].error * n * 2 + 2);
			}
			free(items);
		}
	}
}

static void
test_quantiles__ascend_with_their_targets(void **state)
{
	(void)state;
	static const struct quantile targets[] = {{0, 0},       {0.01, 0.001}, {0.5, 0.2},
						  {0.75, 0.05}, {0.99, 0.01},  {1, 0}};
	unsigned seed = 3;
	for (unsigned round = 0; round < 20; round++) {
		unsigned n = 600 + round * 200;
		struct weighted *items = calloc(n, sizeof(*items));
		double least = INFINITY, most = -INFINITY;
		for (unsigned i = 0; i < n; i++) {
			seed = seed * 1664525 + 1013904223;
			double value = (double)(int)(seed >> 12) - 500000;
			items[i] = (struct weighted){value, 1};
			least = fmin(least, value);
			most = fmax(most, value);
		}
		double out[6];
		targeted_quantiles(items, n, n, targets, 6, out);
		for (unsigned q = 0; q < 6; q++) {
			assert_true(out[q] >= least && out[q] <= most);
			assert_true(q == 0 || out[q] >= out[q - 1]);
		}
		assert_true(out[5] == most);
		free(items);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_quantiles__as_recorded),
	    cmocka_unit_test(test_quantiles__one_value),
	    cmocka_unit_test(test_quantiles__no_targets),
	    cmocka_unit_test(test_quantiles__keep_their_error),
	    cmocka_unit_test(test_quantiles__ascend_with_their_targets),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
