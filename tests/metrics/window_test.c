#include "test.h"

#include "metrics/window.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

/* Adds as an owner does. */
static struct window *
add(struct window *window, double value, uint64_t weight)
{
	struct window *larger = window_add(window, value, weight);
	if (!larger)
		return window;
	window_free(window);
	return larger;
}

static struct weighted_list
collect(const struct window *window)
{
	struct weighted_list list = {0};
	window_collect(window, &list);
	return list;
}

static void
test_add__exact_in_order(void **state)
{
	(void)state;
	struct window *window = window_new(77);
	for (unsigned i = 0; i < WINDOW_EXACT_MAX; i++) {
		window = add(window, 1000 - (double)i, i + 1);
		assert_int_equal(window_over_us(window), 77);
		struct weighted_list list = collect(window);
		assert_int_equal(list.count, i + 1);
		assert_false(list.is_approximate);
		assert_true(list.items[i].value == 1000 - (double)i);
		assert_int_equal(list.items[i].weight, i + 1);
		free(list.items);
	}
	window_free(window);
	window_free(NULL);
}

static void
test_collect__appends(void **state)
{
	(void)state;
	struct window *a = add(window_new(0), 1, 2), *b = add(window_new(1), 3, 4);
	struct weighted_list list = {0};
	window_collect(a, &list);
	window_collect(b, &list);
	assert_int_equal(list.count, 2);
	assert_int_equal(list.total, 6);
	assert_true(list.items[0].value == 1 && list.items[1].value == 3);
	weighted_list_reset(&list);
	assert_int_equal(list.count + list.total, 0);
	window_collect(b, &list);
	assert_int_equal(list.total, 4);
	free(list.items);
	window_free(a);
	window_free(b);
}

/* A window that is full of one value, so that what is added next goes into buckets. */
static struct window *
full_window(double value)
{
	struct window *window = window_new(0);
	for (unsigned i = 0; i < WINDOW_EXACT_MAX; i++)
		window = add(window, value, 1);
	return window;
}

static void
test_add__bucket_error_is_below_0_4_percent(void **state)
{
	(void)state;
	static const double magnitudes[] = {
	    0,          2.2250738585072014e-308,
	    1e-300,     1e-30,
	    1e-9,       0.001,
	    0.0078125,  0.1,
	    1.0 / 3,    0.5,
	    0.99999999, 1,
	    1.001,      1.5,
	    1.999,      2,
	    3.14159,    7,
	    100,        1234.5678,
	    65535,      1e6,
	    1e15,       1e30,
	    1e300,      DBL_MAX / 2,
	    DBL_MAX,
	};
	for (size_t i = 0; i < sizeof(magnitudes) / sizeof(magnitudes[0]); i++) {
		for (int sign = -1; sign <= 1; sign += 2) {
			double value = sign * magnitudes[i];
			struct window *window = add(full_window(0), value, 5);
			struct weighted_list list = collect(window);
			assert_true(list.is_approximate);
			assert_int_equal(list.total, WINDOW_EXACT_MAX + 5);
			double got = list.items[list.count - 1].value;
			assert_int_equal(list.items[list.count - 1].weight, 5);
			if (!(fabs(got - value) <= 0.004 * fabs(value)) || !isfinite(got))
				fail_msg("%.17g became %.17g", value, got);
			free(list.items);
			window_free(window);
		}
	}
}

static void
test_add__values_too_small_for_a_bucket_stand_for_zero(void **state)
{
	(void)state;
	struct window *window = add(full_window(0), 5e-324, 1);
	window = add(window, -5e-324, 1);
	struct weighted_list list = collect(window);
	for (size_t i = 0; i < list.count; i++)
		assert_true(fabs(list.items[i].value) < DBL_MIN);
	free(list.items);
	window_free(window);
}

static void
test_add__every_weight_is_counted(void **state)
{
	(void)state;
	struct window *window = window_new(0);
	uint64_t total = 0;
	unsigned seed = 5;
	for (unsigned i = 0; i < 20000; i++) {
		seed = seed * 1664525 + 1013904223;
		double value = ldexp((double)(seed >> 8), (int)(seed >> 27) - 16);
		uint64_t weight = 1 + i % 7;
		window = add(window, i % 3 ? value : -value, weight);
		total += weight;
	}
	struct weighted_list list = collect(window);
	assert_int_equal(list.total, total);
	free(list.items);
	window_free(window);
}

static void
test_add__same_value_shares_a_bucket(void **state)
{
	(void)state;
	struct window *window = full_window(3);
	for (unsigned i = 0; i < 10000; i++)
		window = add(window, 3, 1);
	struct weighted_list list = collect(window);
	assert_int_equal(list.count, WINDOW_EXACT_MAX + 1);
	assert_int_equal(list.items[WINDOW_EXACT_MAX].weight, 10000);
	free(list.items);
	window_free(window);
}

/* ---- Quantiles. ---- */

static const struct quantile targets[] = {{0, 0},      {0.25, 0.05},  {0.5, 0.05},
					  {0.9, 0.01}, {0.99, 0.001}, {1, 0}};
#define TARGETS (sizeof(targets) / sizeof(targets[0]))

static void
append(struct weighted_list *list, double value, uint64_t weight)
{
	list->items = realloc(list->items, (list->count + 1) * sizeof(*list->items));
	list->items[list->count++] = (struct weighted){value, weight};
	list->total += weight;
}

static void
test_quantiles__empty_window_is_nan(void **state)
{
	(void)state;
	struct weighted_list list = {0};
	double out[TARGETS];
	weighted_quantiles(&list, targets, TARGETS, out);
	for (size_t i = 0; i < TARGETS; i++)
		assert_true(isnan(out[i]));
	weighted_quantiles(&list, NULL, 0, out);
}

static void
test_quantiles__nearest_rank(void **state)
{
	(void)state;
	static const struct {
		struct weighted items[6];
		double quantiles[TARGETS];
	} cases[] = {
	    {{{7, 1}}, {7, 7, 7, 7, 7, 7}},
	    {{{2, 1}, {1, 1}}, {1, 1, 1, 2, 2, 2}},
	    {{{3, 1}, {1, 1}, {2, 1}}, {1, 1, 2, 3, 3, 3}},
	    {{{4, 1}, {3, 1}, {2, 1}, {1, 1}}, {1, 1, 2, 4, 4, 4}},
	    {{{5, 1}, {4, 1}, {3, 1}, {2, 1}, {1, 1}}, {1, 2, 3, 5, 5, 5}},
	    {{{1, 99}, {9, 1}}, {1, 1, 1, 1, 1, 9}},
	    {{{1, 1}, {9, 99}}, {1, 9, 9, 9, 9, 9}},
	    {{{1, 50}, {9, 50}}, {1, 1, 1, 9, 9, 9}},
	    {{{-1, 1}, {-2, 1}, {0, 1}}, {-2, -2, -1, 0, 0, 0}},
	    {{{-DBL_MAX, 1}, {DBL_MAX, 1}},
	     {-DBL_MAX, -DBL_MAX, -DBL_MAX, DBL_MAX, DBL_MAX, DBL_MAX}},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct weighted_list list = {0};
		for (size_t k = 0; k < 6 && cases[i].items[k].weight; k++)
			append(&list, cases[i].items[k].value, cases[i].items[k].weight);
		double out[TARGETS];
		weighted_quantiles(&list, targets, TARGETS, out);
		for (size_t k = 0; k < TARGETS; k++) {
			if (out[k] != cases[i].quantiles[k])
				fail_msg("case %zu, quantile %g: %g", i, targets[k].quantile,
					 out[k]);
		}
		free(list.items);
	}
}

static void
test_quantiles__by_rank_again_when_there_are_many(void **state)
{
	(void)state;
	struct weighted_list list = {0};
	for (unsigned i = 0; i <= QUANTILES_TARGETED_MAX; i++)
		append(&list, (double)((i * 7919) % (QUANTILES_TARGETED_MAX + 1)), 1);
	double out[TARGETS];
	weighted_quantiles(&list, targets, TARGETS, out);
	for (size_t i = 0; i < TARGETS; i++) {
		double rank = ceil(targets[i].quantile * (double)list.total);
		assert_true(out[i] == (rank < 1 ? 0 : rank - 1));
	}
	free(list.items);
}

static void
test_quantiles__huge_weights(void **state)
{
	(void)state;
	struct weighted_list list = {0};
	append(&list, 1, UINT64_C(1) << 60);
	append(&list, 2, UINT64_C(1) << 60);
	double out[TARGETS];
	weighted_quantiles(&list, targets, TARGETS, out);
	assert_true(out[2] == 1 && out[3] == 2);
	free(list.items);
}

static void
test_quantiles__approximate_within_0_4_percent(void **state)
{
	(void)state;
	struct window *window = window_new(0);
	for (unsigned i = 0; i < 3000; i++)
		window = add(window, 1 + (double)((i * 7919) % 3000), 1);
	struct weighted_list list = collect(window);
	double out[TARGETS];
	weighted_quantiles(&list, targets, TARGETS, out);
	for (size_t i = 0; i < TARGETS; i++) {
		double rank = fmax(1, ceil(targets[i].quantile * 3000));
		/* The middle of a bucket, and a neighbour that the middle has passed. */
		if (fabs(out[i] - rank) > 0.004 * rank + 1)
			fail_msg("quantile %g: %g", targets[i].quantile, out[i]);
	}
	free(list.items);
	window_free(window);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_add__exact_in_order),
	    cmocka_unit_test(test_collect__appends),
	    cmocka_unit_test(test_add__bucket_error_is_below_0_4_percent),
	    cmocka_unit_test(test_add__values_too_small_for_a_bucket_stand_for_zero),
	    cmocka_unit_test(test_add__every_weight_is_counted),
	    cmocka_unit_test(test_add__same_value_shares_a_bucket),
	    cmocka_unit_test(test_quantiles__empty_window_is_nan),
	    cmocka_unit_test(test_quantiles__nearest_rank),
	    cmocka_unit_test(test_quantiles__by_rank_again_when_there_are_many),
	    cmocka_unit_test(test_quantiles__huge_weights),
	    cmocka_unit_test(test_quantiles__approximate_within_0_4_percent),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
