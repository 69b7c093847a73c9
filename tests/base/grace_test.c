#include "test.h"

#include "base/grace.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

static bool
passed(struct grace *grace, struct grace_moment *moment)
{
	bool result = grace_has_passed(grace, moment);
	free(moment);
	return result;
}

static void
test_is_working(void **state)
{
	(void)state;
	struct grace *grace = grace_new(2);
	assert_false(grace_is_working(grace, 1));
	grace_begin(grace, 1);
	assert_true(grace_is_working(grace, 1));
	assert_false(grace_is_working(grace, 0));
	grace_end(grace, 1);
	assert_false(grace_is_working(grace, 1));
	grace_free(&grace);
}

static void
test_has_passed__all_hold_nothing(void **state)
{
	(void)state;
	struct grace *grace = grace_new(3);
	assert_true(passed(grace, grace_now(grace)));
	grace_free(&grace);
	assert_null(grace);
	grace_free(&grace);
}

static void
test_has_passed__waits_for_each_that_works(void **state)
{
	(void)state;
	struct grace *grace = grace_new(3);
	grace_begin(grace, 0);
	grace_begin(grace, 2);
	struct grace_moment *moment = grace_now(grace);
	assert_false(grace_has_passed(grace, moment));
	grace_end(grace, 0);
	assert_false(grace_has_passed(grace, moment));
	grace_end(grace, 2);
	assert_true(grace_has_passed(grace, moment));
	free(moment);
	grace_free(&grace);
}

static void
test_has_passed__who_begins_later_does_not_count(void **state)
{
	(void)state;
	struct grace *grace = grace_new(2);
	struct grace_moment *moment = grace_now(grace);
	grace_begin(grace, 1);
	assert_true(grace_has_passed(grace, moment));
	free(moment);
	grace_free(&grace);
}

static void
test_has_passed__a_pause_is_enough(void **state)
{
	(void)state;
	struct grace *grace = grace_new(1);
	grace_begin(grace, 0);
	struct grace_moment *moment = grace_now(grace);
	grace_end(grace, 0);
	grace_begin(grace, 0);
	assert_true(grace_has_passed(grace, moment));
	/* A moment of its own is still held back. */
	assert_false(passed(grace, grace_now(grace)));
	free(moment);
	grace_free(&grace);
}

static void
test_now__moments_are_independent(void **state)
{
	(void)state;
	struct grace *grace = grace_new(1);
	struct grace_moment *before = grace_now(grace);
	grace_begin(grace, 0);
	struct grace_moment *during = grace_now(grace);
	assert_true(grace_has_passed(grace, before));
	assert_false(grace_has_passed(grace, during));
	grace_end(grace, 0);
	assert_true(grace_has_passed(grace, during));
	free(before);
	free(during);
	grace_free(&grace);
}

static void
test_has_passed__many_threads_in_one_moment(void **state)
{
	(void)state;
	enum { THREADS = 100 };
	struct grace *grace = grace_new(THREADS);
	for (unsigned i = 0; i < THREADS; i++)
		grace_begin(grace, i);
	struct grace_moment *moment = grace_now(grace);
	for (unsigned i = 0; i < THREADS; i++) {
		assert_false(grace_has_passed(grace, moment));
		grace_end(grace, THREADS - 1 - i);
	}
	assert_true(passed(grace, moment));
	grace_free(&grace);
}

/* ---- What it is for: memory is not freed under a reader's hands. ---- */

struct shared {
	struct grace *grace;
	_Atomic(unsigned *) number;
	_Atomic bool stop;
};

static void *
read_numbers(void *arg)
{
	struct shared *shared = arg;
	unsigned long sum = 0;
	while (!atomic_load_explicit(&shared->stop, memory_order_relaxed)) {
		grace_begin(shared->grace, 0);
		sum += *atomic_load(&shared->number);
		grace_end(shared->grace, 0);
	}
	return (void *)sum;
}

static unsigned *
number_new(unsigned value)
{
	unsigned *number = malloc(sizeof(*number));
	*number = value;
	return number;
}

static void
test_has_passed__frees_safely_beside_a_reader(void **state)
{
	(void)state;
	struct shared shared = {.grace = grace_new(1)};
	atomic_store(&shared.number, number_new(1));
	pthread_t reader;
	assert_int_equal(pthread_create(&reader, NULL, read_numbers, &shared), 0);
	for (unsigned i = 2; i < 2000; i++) {
		unsigned *old = atomic_exchange(&shared.number, number_new(i));
		struct grace_moment *moment = grace_now(shared.grace);
		while (!grace_has_passed(shared.grace, moment))
			;
		free(moment);
		*old = 0;
		free(old);
	}
	atomic_store(&shared.stop, true);
	pthread_join(reader, NULL);
	free(atomic_load(&shared.number));
	grace_free(&shared.grace);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_is_working),
	    cmocka_unit_test(test_has_passed__all_hold_nothing),
	    cmocka_unit_test(test_has_passed__waits_for_each_that_works),
	    cmocka_unit_test(test_has_passed__who_begins_later_does_not_count),
	    cmocka_unit_test(test_has_passed__a_pause_is_enough),
	    cmocka_unit_test(test_now__moments_are_independent),
	    cmocka_unit_test(test_has_passed__many_threads_in_one_moment),
	    cmocka_unit_test(test_has_passed__frees_safely_beside_a_reader),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
