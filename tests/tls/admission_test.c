/* Time stands still unless a test lets it pass. */
#include "test.h"

#include "base/clock.h"
#include "neighbour.h"
#include "tls/admission.h"

#define WAITING_MAX 8
#define GUESTS (WAITING_MAX + 4)
#define MS INT64_C(1000)

/* A group of many, and one for itself. */
static const struct address_group crowd = {.family = AF_INET, .id = 1};
static const struct address_group loner = {.family = AF_INET, .id = 2};

struct fixture {
	struct tls_admission *admission;
	struct tls_guest guests[GUESTS];
	int64_t now_us;
};

static void
pass(struct fixture *f, int64_t us)
{
	f->now_us += us;
	clock_fake(f->now_us);
}

static int
setup(void **state)
{
	static struct fixture fixture;
	fixture = (struct fixture){.admission = tls_admission_new(WAITING_MAX)};
	pass(&fixture, 1000000000);
	for (size_t i = 0; i < GUESTS; i++)
		tls_guest_init(&fixture.guests[i], fixture.admission, crowd);
	*state = &fixture;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;
	for (size_t i = 0; i < GUESTS; i++)
		tls_guest_leave(&f->guests[i]);
	tls_admission_free(&f->admission);
	clock_fake(-1);
	return 0;
}

static void
wait(struct fixture *f, size_t first, size_t count)
{
	for (size_t i = first; i < first + count; i++)
		tls_guest_wait(&f->guests[i]);
}

static void
test_take__in_turn(void **state)
{
	struct fixture *f = *state;
	assert_null(tls_admission_take(f->admission));
	assert_int_equal(tls_admission_wait_us(f->admission), -1);
	wait(f, 0, 3);
	wait(f, 0, 1); /* does nothing */
	assert_int_equal(tls_admission_wait_us(f->admission), 0);
	tls_guest_leave(&f->guests[1]);
	tls_guest_leave(&f->guests[1]);
	assert_ptr_equal(tls_admission_take(f->admission), &f->guests[0]);
	assert_ptr_equal(tls_admission_take(f->admission), &f->guests[2]);
	assert_null(tls_admission_take(f->admission));
}

/* Whatever a handshake costs, a fifth of the time goes there. */
static void
test_take__share(void **state)
{
	struct fixture *f = *state;
	static const int64_t costs_us[] = {100, 1000, 7777, 200000};
	for (size_t i = 0; i < sizeof(costs_us) / sizeof(costs_us[0]); i++) {
		int64_t spent_us = 0, took_us = 0;
		pass(f, 1000 * MS);
		while (took_us < 100000 * MS) {
			tls_guest_wait(&f->guests[0]);
			if (tls_admission_take(f->admission)) {
				tls_guest_charge(&f->guests[0], costs_us[i]);
				spent_us += costs_us[i];
			}
			int64_t wait_us = tls_admission_wait_us(f->admission);
			int64_t step_us = costs_us[i] > wait_us ? costs_us[i] : wait_us;
			took_us += step_us;
			pass(f, step_us);
		}
		assert_in_range(spent_us, took_us / 5 - 200 * MS, took_us / 5 + 300 * MS);
	}
}

/* Time without handshakes saves up for a burst, but not for ever. */
static void
test_take__burst(void **state)
{
	struct fixture *f = *state;
	pass(f, 3600000 * MS);
	int taken = 0;
	for (;; taken++) {
		tls_guest_wait(&f->guests[0]);
		if (!tls_admission_take(f->admission))
			break;
		tls_guest_charge(&f->guests[0], 1 * MS);
	}
	assert_in_range(taken, 100, 101);
	assert_in_range(tls_admission_wait_us(f->admission), 1, 5 * MS);
}

static void
test_take__least_cost_first(void **state)
{
	struct fixture *f = *state;
	tls_guest_init(&f->guests[7], f->admission, loner);
	for (int i = 0; i < 10; i++)
		tls_guest_charge(&f->guests[0], 1 * MS);
	wait(f, 0, 8);
	assert_ptr_equal(tls_admission_take(f->admission), &f->guests[7]);
	/* It has cost less even after its own. */
	tls_guest_charge(&f->guests[7], 1 * MS);
	wait(f, 7, 1);
	assert_ptr_equal(tls_admission_take(f->admission), &f->guests[7]);
	assert_ptr_equal(tls_admission_take(f->admission), &f->guests[0]);
	/* A group's past is forgotten. */
	pass(f, 3600000 * MS);
	wait(f, 7, 1);
	assert_ptr_equal(tls_admission_take(f->admission), &f->guests[1]);
}

/* Who is welcome goes first although it has come more often, and takes turns with its like. */
static void
test_take__forgiven_first(void **state)
{
	struct fixture *f = *state;
	tls_guest_init(&f->guests[7], f->admission, loner);
	for (int i = 0; i < 5; i++) {
		tls_guest_charge(&f->guests[7], 1 * MS);
		tls_guest_forgive(&f->guests[7]);
		tls_guest_forgive(&f->guests[7]); /* of nothing */
	}
	tls_guest_charge(&f->guests[0], 1 * MS);
	wait(f, 0, 8);
	assert_ptr_equal(tls_admission_take(f->admission), &f->guests[7]);
	tls_guest_forgive(&f->guests[0]);
	wait(f, 7, 1);
	assert_ptr_equal(tls_admission_take(f->admission), &f->guests[0]);
	/* Less than nothing is never owed. */
	pass(f, 3600000 * MS);
	tls_guest_charge(&f->guests[7], 1 * MS);
	pass(f, 3600000 * MS);
	tls_guest_forgive(&f->guests[7]);
	tls_guest_charge(&f->guests[7], 1 * MS);
	assert_ptr_equal(tls_admission_take(f->admission), &f->guests[1]);
}

/* What was forgotten before is no other's to be forgiven. */
static void
test_take__forgiven_late(void **state)
{
	struct fixture *f = *state;
	tls_guest_init(&f->guests[7], f->admission, loner);
	tls_guest_charge(&f->guests[0], 2 * MS);
	pass(f, 3600000 * MS);
	tls_guest_charge(&f->guests[1], 2 * MS);
	tls_guest_forgive(&f->guests[0]);
	tls_guest_charge(&f->guests[7], 1 * MS);
	wait(f, 2, 1);
	wait(f, 7, 1);
	assert_ptr_equal(tls_admission_take(f->admission), &f->guests[7]);
}

/* However long a crowd has been at it, it is not held against it for longer than a minute. */
static void
test_take__memory_ends(void **state)
{
	struct fixture *f = *state;
	tls_guest_init(&f->guests[7], f->admission, loner);
	for (int i = 0; i < 100000; i++)
		tls_guest_charge(&f->guests[0], 1 * MS);
	pass(f, 1000000 * MS);
	wait(f, 0, 1);
	wait(f, 7, 1);
	assert_ptr_equal(tls_admission_take(f->admission), &f->guests[0]);
}

static void
test_victim__oldest_of_the_busiest(void **state)
{
	struct fixture *f = *state;
	tls_guest_init(&f->guests[0], f->admission, loner);
	wait(f, 0, WAITING_MAX);
	assert_null(tls_admission_take_victim(f->admission));
	wait(f, WAITING_MAX, 2);
	assert_ptr_equal(tls_admission_take_victim(f->admission), &f->guests[1]);
	assert_ptr_equal(tls_admission_take_victim(f->admission), &f->guests[2]);
	assert_null(tls_admission_take_victim(f->admission));
	assert_ptr_equal(tls_admission_take(f->admission), &f->guests[0]);
	assert_ptr_equal(tls_admission_take(f->admission), &f->guests[3]);
}

/* Slots are few: in one of its own a loner may meet the crowd, and is not taken for a part of it.
 */
static void
test_groups__that_meet(void **state)
{
	(void)state;
	for (size_t row = 0; row < ADDRESS_ROWS; row++) {
		void *fresh;
		setup(&fresh);
		struct fixture *f = fresh;
		tls_guest_init(&f->guests[0], f->admission,
			       neighbour_of(crowd, row, ADDRESS_SLOTS));
		tls_guest_charge(&f->guests[1], 10 * MS);
		wait(f, 0, WAITING_MAX + 1);
		assert_ptr_equal(tls_admission_take_victim(f->admission), &f->guests[1]);
		wait(f, 1, 1);
		assert_ptr_equal(tls_admission_take(f->admission), &f->guests[0]);
		teardown(&fresh);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_take__in_turn, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_take__share, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_take__burst, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_take__least_cost_first, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_take__forgiven_first, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_take__forgiven_late, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_take__memory_ends, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_victim__oldest_of_the_busiest, setup, teardown),
	    cmocka_unit_test(test_groups__that_meet),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
