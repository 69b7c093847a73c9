#include "test.h"

#include "metrics/expiry.h"

#include <stdlib.h>

#define NODES 200

struct wheel {
	struct expiry *expiry;
	struct expiry_node nodes[NODES];
	unsigned fired[NODES]; /* times taken out since the last look */
	uint64_t now_s;
	uint64_t again_in_s; /* 0 = a node that was due is not set again */
};

static void
on_due(void *ctx, struct expiry_node *node)
{
	struct wheel *wheel = ctx;
	assert_true(node->due_s <= wheel->now_s);
	assert_null(node->next);
	wheel->fired[(unsigned *)node->owner - wheel->fired]++;
	if (wheel->again_in_s)
		expiry_set(wheel->expiry, node, wheel->now_s + wheel->again_in_s);
}

static struct wheel *
wheel_new(uint64_t now_s)
{
	struct wheel *wheel = calloc(1, sizeof(*wheel));
	wheel->expiry = expiry_new(now_s);
	wheel->now_s = now_s;
	for (unsigned i = 0; i < NODES; i++)
		wheel->nodes[i].owner = &wheel->fired[i];
	return wheel;
}

static void
wheel_free(struct wheel *wheel)
{
	expiry_free(&wheel->expiry);
	assert_null(wheel->expiry);
	free(wheel);
}

/* Goes to a second; @return how often node 0 was due */
static unsigned
go(struct wheel *wheel, uint64_t now_s)
{
	memset(wheel->fired, 0, sizeof(wheel->fired));
	wheel->now_s = now_s > wheel->now_s ? now_s : wheel->now_s;
	assert_false(expiry_advance(wheel->expiry, now_s, SIZE_MAX, on_due, wheel));
	return wheel->fired[0];
}

static void
test_advance__due_in_its_second(void **state)
{
	(void)state;
	static const struct {
		uint64_t start, due, expected;
	} cases[] = {
	    {0, 1, 1},          {0, 2, 2},           {100, 4095, 4095},    {0, 4096, 4096},
	    {0, 4097, 4097},    {5, 4096 + 5, 4101}, {0, 4096 * 3, 12288}, {17, 9000, 9000},
	    {10, 0, 11},        {10, 9, 11},         {10, 10, 11},         {4095, 4096, 4096},
	    {4095, 8192, 8192},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct wheel *wheel = wheel_new(cases[i].start);
		expiry_set(wheel->expiry, &wheel->nodes[0], cases[i].due);
		for (uint64_t s = cases[i].start; s < cases[i].expected; s++)
			assert_int_equal(go(wheel, s), 0);
		assert_int_equal(go(wheel, cases[i].expected), 1);
		for (uint64_t s = 1; s < 5000; s++)
			assert_int_equal(go(wheel, cases[i].expected + s), 0);
		wheel_free(wheel);
	}
}

static void
test_advance__jumps_of_time(void **state)
{
	(void)state;
	static const uint64_t dues[] = {1, 4095, 4096, 4097, 8000, 100000};
	static const uint64_t jumps[] = {1, 2, 4095, 4096, 4097, 99999, 100000, 1u << 30};
	for (size_t d = 0; d < sizeof(dues) / sizeof(dues[0]); d++) {
		for (size_t j = 0; j < sizeof(jumps) / sizeof(jumps[0]); j++) {
			struct wheel *wheel = wheel_new(0);
			expiry_set(wheel->expiry, &wheel->nodes[0], dues[d]);
			assert_int_equal(go(wheel, jumps[j]), jumps[j] >= dues[d]);
			assert_int_equal(go(wheel, jumps[j] + 100000), jumps[j] < dues[d]);
			wheel_free(wheel);
		}
	}
}

static void
test_advance__never_backwards(void **state)
{
	(void)state;
	struct wheel *wheel = wheel_new(50);
	expiry_set(wheel->expiry, &wheel->nodes[0], 60);
	assert_int_equal(go(wheel, 55), 0);
	assert_int_equal(go(wheel, 10), 0);
	assert_int_equal(go(wheel, 55), 0);
	assert_int_equal(go(wheel, 60), 1);
	wheel_free(wheel);
}

static void
test_set__moves(void **state)
{
	(void)state;
	struct wheel *wheel = wheel_new(0);
	expiry_set(wheel->expiry, &wheel->nodes[0], 10);
	expiry_set(wheel->expiry, &wheel->nodes[0], 20);
	assert_int_equal(go(wheel, 19), 0);
	expiry_set(wheel->expiry, &wheel->nodes[0], 30);
	expiry_set(wheel->expiry, &wheel->nodes[0], 21);
	assert_int_equal(go(wheel, 21), 1);
	assert_int_equal(go(wheel, 100), 0);
	wheel_free(wheel);
}

static void
test_remove__in_and_not_in(void **state)
{
	(void)state;
	struct wheel *wheel = wheel_new(0);
	expiry_remove(wheel->expiry, &wheel->nodes[0]);
	expiry_set(wheel->expiry, &wheel->nodes[0], 3);
	expiry_set(wheel->expiry, &wheel->nodes[1], 3);
	expiry_remove(wheel->expiry, &wheel->nodes[0]);
	expiry_remove(wheel->expiry, &wheel->nodes[0]);
	assert_int_equal(go(wheel, 10), 0);
	assert_int_equal(wheel->fired[1], 1);
	wheel_free(wheel);
}

static void
test_due__may_set_again(void **state)
{
	(void)state;
	/* Also by a whole round, into the slot that is being worked off. */
	static const uint64_t periods[] = {1, 2, 4095, 4096, 4097, 8192};
	for (size_t i = 0; i < sizeof(periods) / sizeof(periods[0]); i++) {
		struct wheel *wheel = wheel_new(0);
		wheel->again_in_s = periods[i];
		expiry_set(wheel->expiry, &wheel->nodes[0], 1);
		assert_int_equal(go(wheel, 1), 1);
		for (unsigned n = 1; n < 4; n++) {
			if (periods[i] > 1)
				assert_int_equal(go(wheel, n * periods[i]), 0);
			assert_int_equal(go(wheel, 1 + n * periods[i]), 1);
		}
		wheel_free(wheel);
	}
}

struct thief {
	struct wheel *wheel;
	unsigned fired;
};

/* The first that is due takes all others out. */
static void
take_others_out(void *ctx, struct expiry_node *node)
{
	struct thief *thief = ctx;
	thief->fired++;
	for (unsigned i = 0; i < NODES; i++) {
		if (&thief->wheel->nodes[i] != node)
			expiry_remove(thief->wheel->expiry, &thief->wheel->nodes[i]);
	}
}

static void
test_due__may_remove_others_of_its_second(void **state)
{
	(void)state;
	struct wheel *wheel = wheel_new(0);
	struct thief thief = {wheel, 0};
	for (unsigned i = 0; i < NODES; i++)
		expiry_set(wheel->expiry, &wheel->nodes[i], 5);
	assert_false(expiry_advance(wheel->expiry, 5, SIZE_MAX, take_others_out, &thief));
	assert_int_equal(thief.fired, 1);
	wheel_free(wheel);
}

/* Each once, in as many calls as the limit asks for; one that was put back waits for its second. */
static void
test_advance__a_part_at_a_time(void **state)
{
	(void)state;
	struct wheel *wheel = wheel_new(0);
	wheel->again_in_s = 1;
	wheel->now_s = 10;
	for (unsigned i = 0; i < NODES; i++)
		expiry_set(wheel->expiry, &wheel->nodes[i], 1 + i % 9);
	unsigned calls = 1;
	while (expiry_advance(wheel->expiry, 10, 3, on_due, wheel))
		calls++;
	assert_int_equal(calls, (NODES + 2) / 3);
	for (unsigned i = 0; i < NODES; i++)
		assert_int_equal(wheel->fired[i], 1);
	/* Time may go on, and nodes may be moved or taken out, while some wait. */
	wheel->again_in_s = 0;
	wheel->now_s = 11;
	assert_true(expiry_advance(wheel->expiry, 11, 1, on_due, wheel));
	unsigned waiting = wheel->fired[0] == 1 ? 0 : 1;
	expiry_set(wheel->expiry, &wheel->nodes[waiting], 13);
	expiry_remove(wheel->expiry, &wheel->nodes[waiting + 1]);
	wheel->now_s = 12;
	assert_false(expiry_advance(wheel->expiry, 12, NODES, on_due, wheel));
	assert_int_equal(wheel->fired[waiting], 1);
	assert_int_equal(wheel->fired[waiting + 1], 1);
	for (unsigned i = waiting + 2; i < NODES; i++)
		assert_int_equal(wheel->fired[i], 2);
	go(wheel, 13);
	assert_int_equal(wheel->fired[waiting], 1);
	assert_int_equal(wheel->fired[waiting + 1], 0);
	wheel_free(wheel);
}

static unsigned
next_random(unsigned *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 8;
}

static void
test_wheel__against_a_list(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 20; seed++) {
		unsigned random = seed;
		struct wheel *wheel = wheel_new(next_random(&random) % 10000);
		uint64_t due[NODES] = {0}; /* 0 = not in */
		for (unsigned step = 0; step < 3000; step++) {
			unsigned n = next_random(&random) % NODES;
			unsigned what = next_random(&random) % 8;
			if (what < 5) {
				static const unsigned ranges[] = {3, 100, 4200, 20000};
				uint64_t ahead =
				    next_random(&random) % ranges[next_random(&random) % 4];
				expiry_set(wheel->expiry, &wheel->nodes[n], wheel->now_s + ahead);
				due[n] = wheel->now_s + (ahead ? ahead : 1);
				continue;
			}
			if (what == 5) {
				expiry_remove(wheel->expiry, &wheel->nodes[n]);
				due[n] = 0;
				continue;
			}
			static const unsigned jumps[] = {2, 2, 50, 9000};
			go(wheel,
			   wheel->now_s + next_random(&random) % jumps[next_random(&random) % 4]);
			for (unsigned i = 0; i < NODES; i++) {
				bool is_due = due[i] && due[i] <= wheel->now_s;
				assert_int_equal(wheel->fired[i], is_due);
				if (is_due)
					due[i] = 0;
			}
		}
		wheel_free(wheel);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_advance__due_in_its_second),
	    cmocka_unit_test(test_advance__jumps_of_time),
	    cmocka_unit_test(test_advance__never_backwards),
	    cmocka_unit_test(test_set__moves),
	    cmocka_unit_test(test_remove__in_and_not_in),
	    cmocka_unit_test(test_due__may_set_again),
	    cmocka_unit_test(test_due__may_remove_others_of_its_second),
	    cmocka_unit_test(test_advance__a_part_at_a_time),
	    cmocka_unit_test(test_wheel__against_a_list),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
