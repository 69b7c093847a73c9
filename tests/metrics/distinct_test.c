#include "test.h"

#include "base/hash.h"
#include "metrics/distinct.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Adds `count` members, numbered from `first`, each `times` times. */
static struct distinct *
add_members(struct distinct *set, unsigned first, unsigned count, unsigned times)
{
	for (unsigned n = 0; n < count * times; n++) {
		unsigned member = first + n % count;
		struct distinct *other = distinct_add(set, hash_bytes64(&member, sizeof(member)));
		if (other) {
			free(set);
			set = other;
		}
	}
	return set;
}

static double
count_of(struct distinct *const *sets, size_t count)
{
	struct distinct_union all = {0};
	for (size_t i = 0; i < count; i++)
		distinct_union_add(&all, sets[i]);
	double n = distinct_union_count(&all);
	distinct_union_fini(&all);
	return n;
}

static void
test_count__exact_while_small(void **state)
{
	(void)state;
	static const unsigned sizes[] = {0, 1, 2, 7, 8, 9, 100, 511, 512};
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct distinct *set = add_members(distinct_new(), 0, sizes[i], 3);
		assert_true(count_of(&set, 1) == sizes[i]);
		free(set);
	}
}

static void
test_count__close_beyond(void **state)
{
	(void)state;
	static const unsigned sizes[] = {513, 1000, 4000, 10000, 20000, 100000, 1000000};
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct distinct *set = add_members(distinct_new(), 7, sizes[i], 1);
		double got = count_of(&set, 1);
		/* Four standard errors; the key of the hash is fixed, so this is the same every time. */
		if (fabs(got - sizes[i]) > 0.065 * sizes[i])
			fail_msg("%u members counted as %g", sizes[i], got);
		free(set);
	}
}

static void
test_union__members_of_several_threads(void **state)
{
	(void)state;
	struct distinct *sets[3] = {
	    add_members(distinct_new(), 0, 100, 1),
	    add_members(distinct_new(), 50, 100, 1),
	    add_members(distinct_new(), 0, 0, 1),
	};
	assert_true(count_of(sets, 3) == 150);
	/* One of them has become a sketch that holds the others' members, too. */
	sets[2] = add_members(sets[2], 0, 5000, 1);
	double alone = count_of(&sets[2], 1);
	assert_true(count_of(sets, 3) == alone);
	for (size_t i = 0; i < 3; i++)
		free(sets[i]);
}

static void
test_union__is_empty_after_reset(void **state)
{
	(void)state;
	struct distinct *set = add_members(distinct_new(), 0, 2000, 1);
	struct distinct_union all = {0};
	distinct_union_add(&all, set);
	assert_true(distinct_union_count(&all) > 1000);
	distinct_union_reset(&all);
	assert_true(distinct_union_count(&all) == 0);
	distinct_union_fini(&all);
	free(set);
}

static void
test_add__hash_of_zero_is_a_member(void **state)
{
	(void)state;
	struct distinct *set = distinct_new();
	assert_null(distinct_add(set, 0));
	assert_null(distinct_add(set, 0));
	assert_true(count_of(&set, 1) == 1);
	free(set);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_count__exact_while_small),
	    cmocka_unit_test(test_count__close_beyond),
	    cmocka_unit_test(test_union__members_of_several_threads),
	    cmocka_unit_test(test_union__is_empty_after_reset),
	    cmocka_unit_test(test_add__hash_of_zero_is_a_member),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
