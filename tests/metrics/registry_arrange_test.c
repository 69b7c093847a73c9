#include "fixture.h"

#include "metrics/registry_private.h"

#include <stdio.h>

/* Records of about a hundred bytes: several chunks of memory, several calls. */
#define MANY 20011
/* Shares no factor with MANY: births jump about in the output order. */
#define STEP 7919
/* In calls to registry_expire(); any number of series here takes fewer. */
#define PATIENCE 10000

static void
label_of(unsigned i, char label[64])
{
	snprintf(label, 64, "value=%05u-with-something-behind-it-to-be-long", i);
}

static struct series_ref
send_one(struct fixture *fixture, const char *name, unsigned i, int64_t ttl_us)
{
	char label[64];
	label_of(i, label);
	return fixture_send(fixture, METRIC_COUNTER, name, label, ttl_us, i);
}

/* One in `every` lives long, the others ten seconds. */
static void
send_many(struct fixture *fixture, const char *name, unsigned every)
{
	for (unsigned n = 0; n < MANY; n++) {
		unsigned i = n * STEP % MANY;
		send_one(fixture, name, i, i % every ? 10 * SECOND_US : 0);
	}
}

/* Calls until all is done, as the control thread does. */
static void
settle(struct fixture *fixture)
{
	unsigned calls = 0;
	while (registry_expire(fixture->registry, fixture->tick))
		assert_true(++calls < PATIENCE);
}

/* How many series of a family do not lie right behind the one before. */
static unsigned
count_jumps(const struct family *family)
{
	const struct series_list *list = family->list;
	unsigned jumps = 0;
	for (size_t i = 1; i < list->count; i++) {
		const char *before = (const char *)list->items[i - 1];
		const char *here = (const char *)list->items[i];
		size_t size = (series_bytes(list->items[i - 1]->text_len) + 7) / 8 * 8;
		jumps += here != before + size;
	}
	return jumps;
}

static const struct family *
first_family(const struct fixture *fixture)
{
	assert_true(fixture->registry->sorted_count > 0);
	return fixture->registry->sorted[0];
}

/* Every one in `every` is shown once, in order and with its value, and found where it was. */
static void
check_all(struct fixture *fixture, const char *name, unsigned every)
{
	struct reader *reader = read_all(fixture->registry, 0);
	struct family_view family;
	struct series_view series;
	assert_true(reader_next_family(reader, &family));
	assert_span_equal(family.name, name);
	for (unsigned i = 0; i < MANY; i += every) {
		assert_true(reader_next_series(reader, &series));
		assert_int_equal(strtoul(series.labels.ptr + strlen("value=\""), NULL, 10), i);
		assert_true(series.value == i);
	}
	assert_false(reader_next_series(reader, &series));
	reader_free(&reader);
	uint64_t count = registry_series_count(fixture->registry, METRIC_COUNTER);
	for (unsigned i = 0; i < MANY; i += every) {
		struct series_ref ref;
		char label[64];
		label_of(i, label);
		assert_int_equal(fixture_ask(fixture, 0, METRIC_COUNTER, name, label, 0, &ref),
				 REGISTRY_OK);
		struct cell *cell = fixture_cell(fixture, 0, ref);
		assert_non_null(cell);
		assert_true(((struct counter_cell *)cell)->value == i);
	}
	assert_int_equal(registry_series_count(fixture->registry, METRIC_COUNTER), count);
}

static void
test_arrange__output_order_becomes_memory_order(void **state)
{
	(void)state;
	struct fixture fixture = fixture_open(1, MANY, NULL, 0);
	send_many(&fixture, "c", 1);
	while (!registry_list_births(fixture.registry, registry_births(fixture.registry)))
		;
	assert_true(count_jumps(first_family(&fixture)) > MANY / 2);
	unsigned calls = 1;
	while (registry_arrange(fixture.registry))
		calls++;
	assert_in_range(calls, MANY / 1500, MANY / 750);
	settle(&fixture);
	assert_true(count_jumps(first_family(&fixture)) < 100);
	check_all(&fixture, "c", 1);
	/* And stays so: nothing is moved without need. */
	const struct series *first = first_family(&fixture)->list->items[0];
	fixture_expire_at(&fixture, 100);
	assert_ptr_equal(first_family(&fixture)->list->items[0], first);
	fixture_close(&fixture);
}

/* A few newcomers leave the rest where it is, many do not. */
static void
test_arrange__when_a_quarter_is_new(void **state)
{
	(void)state;
	struct fixture fixture = fixture_open(1, 1000, NULL, 0);
	for (unsigned i = 0; i < 300; i++)
		send_one(&fixture, "c", 2 * i, 0);
	settle(&fixture);
	assert_int_equal(count_jumps(first_family(&fixture)), 0);
	for (unsigned i = 0; i < 100; i++)
		send_one(&fixture, "c", 2 * i + 1, 0);
	settle(&fixture);
	assert_int_equal(count_jumps(first_family(&fixture)), 200);
	send_one(&fixture, "c", 201, 0);
	settle(&fixture);
	assert_int_equal(count_jumps(first_family(&fixture)), 0);
	fixture_close(&fixture);
}

static void
test_arrange__several_families(void **state)
{
	(void)state;
	static const char *const names[] = {"b", "d", "a", "c"};
	struct fixture fixture = fixture_open(1, 1000, NULL, 0);
	for (unsigned n = 0; n < 100; n++)
		send_one(&fixture, names[n % 4], n * 37 % 100, 0);
	settle(&fixture);
	const char *before = NULL;
	for (size_t f = 0; f < fixture.registry->sorted_count; f++) {
		const struct family *family = fixture.registry->sorted[f];
		assert_int_equal(family->list->count, 25);
		assert_int_equal(count_jumps(family), 0);
		assert_true((const char *)family->list->items[0] > before);
		before = (const char *)family->list->items[24];
	}
	fixture_close(&fixture);
}

/* No call goes through any number of families, though nothing in them is to be moved. */
static void
test_arrange__many_families_take_several_calls(void **state)
{
	(void)state;
	enum { FAMILIES = 5000, NEW = 2000 };
	struct fixture fixture = fixture_open(1, FAMILIES + NEW, NULL, 0);
	struct registry *registry = fixture.registry;
	char name[16];
	for (unsigned i = 0; i < FAMILIES; i++) {
		snprintf(name, sizeof(name), "a%u", i);
		send_one(&fixture, name, 0, 0);
	}
	settle(&fixture);
	for (unsigned i = NEW; i > 0; i--)
		send_one(&fixture, "z", i, 0);
	while (!registry_list_births(registry, registry_births(registry)))
		;
	unsigned calls = 1;
	while (registry_arrange(registry))
		assert_true(++calls < PATIENCE);
	assert_in_range(calls, 5, 20);
	assert_true(count_jumps(registry->sorted[FAMILIES]) < 10);
	fixture_close(&fixture);
}

/* A reader's labels point into the records. */
static void
test_arrange__waits_for_readers(void **state)
{
	(void)state;
	struct fixture fixture = fixture_open(1, 1000, NULL, 0);
	for (unsigned i = 200; i > 0; i--)
		send_one(&fixture, "c", i - 1, 0);
	struct reader *reader = read_all(fixture.registry, 0);
	struct family_view family;
	struct series_view first, series;
	assert_true(reader_next_family(reader, &family));
	assert_true(reader_next_series(reader, &first));
	const char *label = first.labels.ptr;
	settle(&fixture);
	fixture_expire_at(&fixture, 5);
	assert_true(count_jumps(first_family(&fixture)) > 100);
	assert_int_equal(strncmp(label, "value=\"00000", 12), 0);
	for (unsigned i = 1; i < 200; i++)
		assert_true(reader_next_series(reader, &series));
	reader_free(&reader);
	settle(&fixture);
	assert_int_equal(count_jumps(first_family(&fixture)), 0);
	fixture_close(&fixture);
}

/* A tenth stays where it is as long as births come, and is moved when they have ended. */
static void
test_arrange__when_births_have_ended(void **state)
{
	(void)state;
	struct fixture fixture = fixture_open(1, 1000, NULL, 0);
	for (unsigned i = 0; i < 300; i++)
		send_one(&fixture, "c", 2 * i, 0);
	settle(&fixture);
	for (unsigned i = 0; i < 30; i++) {
		send_one(&fixture, "c", 2 * i + 1, 0);
		fixture_expire_at(&fixture, i);
	}
	unsigned jumps = count_jumps(first_family(&fixture));
	assert_true(jumps >= 30);
	fixture_expire_at(&fixture, 30);
	assert_int_equal(count_jumps(first_family(&fixture)), 0);
	fixture_close(&fixture);
}

/* Too little is not worth it even then. */
static void
test_arrange__when_a_sixteenth_is_new(void **state)
{
	(void)state;
	for (unsigned born = 20; born <= 21; born++) {
		struct fixture fixture = fixture_open(1, 1000, NULL, 0);
		for (unsigned i = 0; i < 300; i++)
			send_one(&fixture, "c", 2 * i, 0);
		settle(&fixture);
		for (unsigned i = 0; i < born; i++)
			send_one(&fixture, "c", 2 * i + 1, 0);
		settle(&fixture);
		fixture_expire_at(&fixture, 10);
		assert_int_equal(count_jumps(first_family(&fixture)), born > 20 ? 0 : 2 * born);
		fixture_close(&fixture);
	}
}

/* A pass that moved most of what was born leaves the rest in memory that is nearly empty. */
static void
test_arrange__holes_when_births_have_ended(void **state)
{
	(void)state;
	struct fixture fixture = fixture_open(1, 2 * MANY, NULL, 0);
	char name[16];
	send_many(&fixture, "a", 1);
	settle(&fixture);
	for (unsigned i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), i % 20 ? "b" : "a");
		send_one(&fixture, name, MANY + i, 0);
	}
	settle(&fixture);
	const struct slab *slab = &fixture.registry->slab;
	assert_true(slab->closed_bytes > slab->live_bytes + slab->live_bytes / 4);
	fixture_expire_at(&fixture, 10);
	assert_true(slab->closed_bytes < slab->live_bytes + slab->live_bytes / 8);
	fixture_close(&fixture);
}

/* A reader enters, births come and series die while a pass is in the middle of their family. */
static void
test_arrange__family_changes_under_way(void **state)
{
	(void)state;
	struct fixture fixture = fixture_open(1, 2 * MANY, NULL, 0);
	send_many(&fixture, "c", 2);
	while (fixture.registry->arrange_at || !fixture.registry->sorted_count ||
	       first_family(&fixture)->arranged_to < MANY / 2)
		assert_true(registry_expire(fixture.registry, fixture.tick));
	assert_true(first_family(&fixture)->arranged_to < MANY);
	struct reader *reader = read_all(fixture.registry, 0);
	struct family_view family;
	struct series_view series;
	assert_true(reader_next_family(reader, &family));
	for (unsigned i = 0; i < 3000; i++)
		send_one(&fixture, "c", MANY + i * STEP % 3000, SECOND_US);
	fixture_expire_at(&fixture, 20);
	for (unsigned i = 0; i < MANY; i += 2) {
		assert_true(reader_next_series(reader, &series));
		assert_true(series.value == i);
	}
	assert_false(reader_next_series(reader, &series));
	reader_free(&reader);
	settle(&fixture);
	assert_false(fixture.registry->is_arranging);
	assert_int_equal(registry_series_count(fixture.registry, METRIC_COUNTER), MANY / 2 + 1);
	assert_int_equal(fixture.registry->listed, MANY / 2 + 1);
	assert_true(count_jumps(first_family(&fixture)) < 100);
	check_all(&fixture, "c", 2);
	fixture_close(&fixture);
}

/* The wheel, the list of changed ttls and the batch that dies find series that have moved. */
static void
test_arrange__expiry_finds_what_moved(void **state)
{
	(void)state;
	struct fixture fixture = fixture_open(1, MANY, NULL, 0);
	send_many(&fixture, "c", 4);
	settle(&fixture);
	assert_true(count_jumps(first_family(&fixture)) < 100);
	/* Due, and moved while they wait for a quiescent point. */
	grace_begin(fixture.grace, 0);
	fixture.tick = 30 * TICKS_PER_SECOND;
	assert_true(registry_expire(fixture.registry, fixture.tick));
	assert_true(fixture.registry->dying_count > 0);
	const struct series *first = first_family(&fixture)->list->items[0];
	fixture.registry->unarranged = fixture.registry->listed;
	fixture.registry->sorted[0]->unarranged = fixture.registry->listed;
	for (unsigned i = 0; i < 100; i++)
		registry_expire(fixture.registry, fixture.tick);
	assert_ptr_not_equal(first_family(&fixture)->list->items[0], first);
	assert_int_equal(registry_series_count(fixture.registry, METRIC_COUNTER), MANY);
	grace_end(fixture.grace, 0);
	settle(&fixture);
	check_all(&fixture, "c", 4);
	fixture_close(&fixture);
}

/* Memory is what the living need, however many came and went. */
static void
test_arrange__churn_leaves_no_holes(void **state)
{
	(void)state;
	struct fixture fixture = fixture_open(1, 2 * MANY, NULL, 0);
	const struct slab *slab = &fixture.registry->slab;
	for (unsigned round = 0; round < 5; round++) {
		send_many(&fixture, "c", 16);
		uint64_t full = slab->live_bytes;
		fixture_expire_at(&fixture, (round + 1) * 60);
		assert_int_equal(registry_series_count(fixture.registry, METRIC_COUNTER),
				 (MANY + 15) / 16);
		assert_true(slab->live_bytes < full / 8);
		assert_true(slab->closed_bytes <= 2 * slab->live_bytes);
		assert_null(slab->empty);
	}
	fixture_close(&fixture);
}

/* Births during a pass that leave so much closed memory behind that the next one is due at its end. */
static void
test_arrange__births_between_passes(void **state)
{
	(void)state;
	struct fixture fixture = fixture_open(1, MANY, NULL, 0);
	char name[16];
	for (unsigned i = 0; i < 700; i++) {
		snprintf(name, sizeof(name), "live%u", i);
		fixture_send(&fixture, METRIC_COUNTER, name, "a=x", 0, 1);
	}
	for (unsigned i = 0; i < 9000; i++) {
		snprintf(name, sizeof(name), "a=v%u", i);
		fixture_send(&fixture, METRIC_COUNTER, "short", name, SECOND_US, 1);
	}
	settle(&fixture);
	fixture.tick += 100 * TICKS_PER_SECOND;
	unsigned calls = 0;
	struct registry *registry = fixture.registry;
	while (registry_expire(registry, fixture.tick) && !(registry->is_arranging && registry->compacts))
		assert_true(++calls < PATIENCE);
	assert_true(registry->is_arranging);
	uint64_t closed = registry->slab.closed_bytes;
	for (unsigned i = 0; registry->slab.closed_bytes <= closed; i++) {
		snprintf(name, sizeof(name), "a=v%u", i);
		fixture_send(&fixture, METRIC_COUNTER, "late", name, 0, 1);
	}
	settle(&fixture);
	assert_null(registry->born);
	fixture_close(&fixture);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_arrange__output_order_becomes_memory_order),
	    cmocka_unit_test(test_arrange__when_a_quarter_is_new),
	    cmocka_unit_test(test_arrange__several_families),
	    cmocka_unit_test(test_arrange__many_families_take_several_calls),
	    cmocka_unit_test(test_arrange__waits_for_readers),
	    cmocka_unit_test(test_arrange__when_births_have_ended),
	    cmocka_unit_test(test_arrange__when_a_sixteenth_is_new),
	    cmocka_unit_test(test_arrange__holes_when_births_have_ended),
	    cmocka_unit_test(test_arrange__family_changes_under_way),
	    cmocka_unit_test(test_arrange__expiry_finds_what_moved),
	    cmocka_unit_test(test_arrange__churn_leaves_no_holes),
	    cmocka_unit_test(test_arrange__births_between_passes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
