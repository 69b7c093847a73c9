/* What readers see while births are put into the output order by slices. */
#include "fixture.h"

#include "metrics/registry_private.h"

#include <stdio.h>

/* So many that a call of registry_list_births() does a small part of them. */
#define MANY 20011
/* Shares no factor with MANY: births jump about in the output order. */
#define STEP 7919
/* In calls; any number of series here takes fewer. */
#define PATIENCE 100000

static void
send_one(struct fixture *fixture, const char *name, unsigned i, int64_t ttl_us)
{
	char label[64];
	snprintf(label, sizeof(label), "value=%06u-with-something-behind-it", i);
	fixture_send(fixture, METRIC_COUNTER, name, label, ttl_us, i);
}

/* Numbers first, first + step and so on, `MANY` of them, out of order. */
static void
send_many(struct fixture *fixture, const char *name, unsigned first, unsigned step)
{
	for (unsigned n = 0; n < MANY; n++)
		send_one(fixture, name, first + n * STEP % MANY * step, 0);
}

/* Lists all births so far by slices. @return how many calls it took */
static unsigned
list_all(struct fixture *fixture)
{
	unsigned calls = 1;
	uint64_t births = registry_births(fixture->registry);
	for (; !registry_list_births(fixture->registry, births); calls++)
		assert_true(calls < PATIENCE);
	return calls;
}

/* Goes on until births look for their places among those in the output order. */
static void
go_to_search(struct fixture *fixture)
{
	struct registry *registry = fixture->registry;
	while (!registry->listing.is_searching)
		assert_false(registry_list_some(registry, registry_births(registry), 100));
}

/* Numbers first, first + step and so on follow in a reader's family, `count` of them and no more.
 */
static void
check_rest(struct reader *reader, unsigned first, unsigned count, unsigned step)
{
	struct series_view series;
	for (unsigned i = 0; i < count; i++) {
		assert_true(reader_next_series(reader, &series));
		assert_true(series.value == first + i * step);
	}
	assert_false(reader_next_series(reader, &series));
}

/* One family with these numbers is all that a reader shows. @reader consumed */
static void
check_only(struct reader *reader, const char *name, unsigned count, unsigned step)
{
	struct family_view family;
	assert_true(reader_next_family(reader, &family));
	assert_span_equal(family.name, name);
	check_rest(reader, 0, count, step);
	assert_no_family(reader);
	reader_free(&reader);
}

/* ---- Readers. ---- */

static void
test_births__by_slices(void **state)
{
	(void)state;
	struct fixture fixture = fixture_open(1, MANY, NULL, 0);
	assert_true(registry_list_births(fixture.registry, 0));
	send_many(&fixture, "c", 0, 1);
	uint64_t births = registry_births(fixture.registry);
	assert_int_equal(births, MANY);
	assert_false(registry_list_births(fixture.registry, births));
	assert_true(registry_list_births(fixture.registry, 0));
	assert_true(list_all(&fixture) > 5);
	/* What is listed costs nothing, and is there for readers that ask for nothing. */
	assert_true(registry_list_some(fixture.registry, births, 0));
	check_only(registry_reader_new(fixture.registry, 0, 0), "c", MANY, 1);
	fixture_close(&fixture);
}

/* A reader that opens at any time between slices shows what was born before. */
static void
test_births__reader_opens_in_the_middle(void **state)
{
	(void)state;
	enum { FEW = 60 };
	for (int64_t work = 1, is_listed = 0; !is_listed; work += 7) {
		struct fixture fixture = fixture_open(1, 1000, NULL, 0);
		for (unsigned i = 0; i < FEW; i++)
			send_one(&fixture, "b", i * 7 % FEW * 2, 0);
		list_all(&fixture);
		for (unsigned i = 0; i < FEW; i++) {
			send_one(&fixture, "b", i * 7 % FEW * 2 + 1, 0);
			send_one(&fixture, i % 2 ? "a" : "c", i, 0);
		}
		uint64_t births = registry_births(fixture.registry);
		is_listed = registry_list_some(fixture.registry, births, work);
		struct reader *reader = registry_reader_new(fixture.registry, births, 0);
		struct family_view family;
		assert_true(reader_next_family(reader, &family));
		assert_span_equal(family.name, "a");
		check_rest(reader, 1, FEW / 2, 2);
		assert_true(reader_next_family(reader, &family));
		assert_span_equal(family.name, "b");
		check_rest(reader, 0, 2 * FEW, 1);
		assert_true(reader_next_family(reader, &family));
		assert_span_equal(family.name, "c");
		check_rest(reader, 0, FEW / 2, 2);
		assert_no_family(reader);
		reader_free(&reader);
		fixture_close(&fixture);
	}
}

/* A reader that is in a family sees it as it came to it. */
static void
test_births__reader_stays_in_the_middle(void **state)
{
	(void)state;
	struct fixture fixture = fixture_open(1, 3 * MANY, NULL, 0);
	struct family_view family;
	send_many(&fixture, "c", 0, 2);
	struct reader *before = read_all(fixture.registry, 0);
	assert_true(reader_next_family(before, &family));
	send_many(&fixture, "c", 1, 2);
	go_to_search(&fixture);
	/* One that asks for no births shows those before, whole. */
	struct reader *among = registry_reader_new(fixture.registry, 0, 0);
	assert_true(reader_next_family(among, &family));
	list_all(&fixture);
	check_rest(before, 0, MANY, 2);
	assert_no_family(before);
	check_rest(among, 0, MANY, 2);
	assert_no_family(among);
	reader_free(&before);
	reader_free(&among);
	check_only(read_all(fixture.registry, 0), "c", 2 * MANY, 1);
	fixture_close(&fixture);
}

static void
test_births__families_in_the_middle(void **state)
{
	(void)state;
	enum { FAMILIES = 900 };
	struct fixture fixture = fixture_open(1, FAMILIES, NULL, 0);
	char name[16];
	for (unsigned i = 0; i < FAMILIES; i++) {
		snprintf(name, sizeof(name), "f%03u", i * 7 % FAMILIES);
		send_one(&fixture, name, i, 0);
	}
	assert_true(list_all(&fixture) > 2);
	struct reader *reader = registry_reader_new(fixture.registry, 0, 0);
	struct family_view family;
	for (unsigned i = 0; i < FAMILIES; i++) {
		snprintf(name, sizeof(name), "f%03u", i);
		assert_true(reader_next_family(reader, &family));
		assert_span_equal(family.name, name);
	}
	assert_no_family(reader);
	reader_free(&reader);
	fixture_close(&fixture);
}

/* ---- Under way. ---- */

/* However many come meanwhile, who waits for those before them waits no longer for it. */
static void
test_births__more_at_every_slice(void **state)
{
	(void)state;
	struct fixture fixture = fixture_open(1, 100 * MANY, NULL, 0);
	struct registry *registry = fixture.registry;
	send_many(&fixture, "c", 0, 1);
	assert_false(registry_list_births(registry, MANY));
	send_many(&fixture, "c", MANY, 1);
	uint64_t births = registry_births(registry);
	unsigned calls = 0, number = 2 * MANY;
	char name[16];
	for (; !registry_list_births(registry, births); calls++) {
		assert_true(calls < 1000);
		for (unsigned i = 0; i < MANY / 10; i++)
			send_one(&fixture, "c", number++, 0);
		snprintf(name, sizeof(name), "late%06u", calls);
		send_one(&fixture, name, 0, 0);
	}
	assert_true(registry_births(registry) > births + calls);
	assert_false(registry_list_some(registry, registry_births(registry), 1));
	struct reader *reader = read_all(registry, 0);
	struct family_view family;
	assert_true(reader_next_family(reader, &family));
	check_rest(reader, 0, number, 1);
	for (unsigned i = 0; i < calls; i++)
		assert_true(reader_next_family(reader, &family));
	assert_no_family(reader);
	reader_free(&reader);
	fixture_close(&fixture);
}

/* A round takes along what is born into families that it has not come to. */
static void
test_births__into_a_family_that_waits(void **state)
{
	(void)state;
	struct fixture fixture = fixture_open(1, 10, NULL, 0);
	struct registry *registry = fixture.registry;
	send_one(&fixture, "a", 0, 0);
	send_one(&fixture, "b", 0, 0);
	assert_false(registry_list_some(registry, registry_births(registry), 1));
	const struct family *waiting = registry->listing.families;
	assert_non_null(waiting);
	send_one(&fixture, waiting->name, 1, 0);
	assert_null(registry->born);
	assert_int_equal(list_all(&fixture), 1);
	assert_int_equal(registry->listing.births, 3);
	assert_int_equal(waiting->list->count, 2);
	fixture_close(&fixture);
}

/* The end of the bridge may come at any time. */
static void
test_births__freed_in_the_middle(void **state)
{
	(void)state;
	for (int64_t work = 1, is_listed = 0; !is_listed; work += 7) {
		struct fixture fixture = fixture_open(1, 1000, NULL, 0);
		send_one(&fixture, "b", 50, 0);
		list_all(&fixture);
		for (unsigned i = 0; i < 40; i++)
			send_one(&fixture, i % 2 ? "a" : "b", i, 0);
		is_listed =
		    registry_list_some(fixture.registry, registry_births(fixture.registry), work);
		send_one(&fixture, "a", 100, 0);
		send_one(&fixture, "z", 100, 0);
		fixture_close(&fixture);
	}
}

/* ---- Deaths. ---- */

/* So few that one call finds them all. */
#define MORTAL_STEP 50
#define MORTALS (MANY / MORTAL_STEP + 1)

/* Numbers in steps of two, and every so many of them live for a second. */
static void
send_mortals(struct fixture *fixture)
{
	for (unsigned n = 0; n < MANY; n++) {
		unsigned i = n * STEP % MANY;
		send_one(fixture, "c", i * 2, i % MORTAL_STEP ? 0 : SECOND_US);
	}
}

/* Nothing of the mortals is left, and the living are shown in order. */
static void
check_living(struct fixture *fixture, unsigned living)
{
	struct registry *registry = fixture->registry;
	assert_int_equal(registry_series_count(registry, METRIC_COUNTER), living);
	assert_int_equal(registry->records, living);
	assert_int_equal(registry->listed, living);
	struct reader *reader = read_all(registry, 0);
	struct family_view family;
	struct series_view series;
	assert_true(reader_next_family(reader, &family));
	double before = -1;
	for (unsigned i = 0; i < living; i++) {
		assert_true(reader_next_series(reader, &series));
		assert_true(series.value > before);
		before = series.value;
	}
	assert_false(reader_next_series(reader, &series));
	reader_free(&reader);
}

/* Series that are not in the output order yet end later. */
static void
test_births__over_before_they_are_listed(void **state)
{
	(void)state;
	struct fixture fixture = fixture_open(1, MANY, NULL, 0);
	struct registry *registry = fixture.registry;
	send_mortals(&fixture);
	fixture.tick = 10 * TICKS_PER_SECOND;
	unsigned waited = 0, calls = 0;
	while (registry_expire(registry, fixture.tick)) {
		assert_true(++calls < PATIENCE);
		if (registry->listing.births == MANY)
			continue;
		waited += registry->dying_count == MORTALS;
		assert_int_equal(registry_series_count(registry, METRIC_COUNTER), MANY);
	}
	assert_true(waited > 1);
	check_living(&fixture, MANY - MORTALS);
	fixture_close(&fixture);
}

/* The dead stay where they are while births search for places among them. */
static void
test_births__search_among_the_dead(void **state)
{
	(void)state;
	struct fixture fixture = fixture_open(1, 2 * MANY, NULL, 0);
	struct registry *registry = fixture.registry;
	send_mortals(&fixture);
	fixture_expire_at(&fixture, 1);
	const struct family *family = registry->sorted[0];
	fixture.tick = 10 * TICKS_PER_SECOND;
	while (!family->dead)
		assert_true(registry_expire(registry, fixture.tick));
	send_many(&fixture, "c", 1, 2);
	go_to_search(&fixture);
	size_t dead = family->dead, count = family->list->count;
	unsigned calls = 0;
	for (; registry->listing.is_searching; calls++) {
		assert_int_equal(family->dead, dead);
		assert_int_equal(family->list->count, count);
		assert_true(registry_expire(registry, fixture.tick));
	}
	assert_true(calls > 2);
	fixture_expire_at(&fixture, 10);
	check_living(&fixture, 2 * MANY - MORTALS);
	fixture_close(&fixture);
}

/* Births that search whenever the dead could be taken away make way in between. */
static void
test_births__search_makes_way(void **state)
{
	(void)state;
	struct fixture fixture = fixture_open(1, 100 * MANY, NULL, 0);
	struct registry *registry = fixture.registry;
	send_mortals(&fixture);
	fixture_expire_at(&fixture, 1);
	fixture.tick = 10 * TICKS_PER_SECOND;
	unsigned number = 1, rounds = 0;
	do {
		assert_true(++rounds < 100);
		for (unsigned i = 0; i < MANY / 2; i++, number += 2)
			send_one(&fixture, "c", number, 0);
		go_to_search(&fixture);
		registry_expire(registry, fixture.tick);
		assert_true(registry->listing.is_searching);
		list_all(&fixture);
	} while (registry_series_count(registry, METRIC_COUNTER) < registry->records ||
		 registry->dying_count || rounds < 3);
	check_living(&fixture, MANY - MORTALS + number / 2);
	fixture_close(&fixture);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_births__by_slices),
	    cmocka_unit_test(test_births__reader_opens_in_the_middle),
	    cmocka_unit_test(test_births__reader_stays_in_the_middle),
	    cmocka_unit_test(test_births__families_in_the_middle),
	    cmocka_unit_test(test_births__more_at_every_slice),
	    cmocka_unit_test(test_births__into_a_family_that_waits),
	    cmocka_unit_test(test_births__freed_in_the_middle),
	    cmocka_unit_test(test_births__over_before_they_are_listed),
	    cmocka_unit_test(test_births__search_among_the_dead),
	    cmocka_unit_test(test_births__search_makes_way),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
