#include "test.h"

#include "metrics/slots.h"

#include <stdlib.h>

/* Enough for several chunks of the smallest size. */
#define RECORDS 40000

static unsigned
next_random(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (unsigned)(*state >> 33);
}

static unsigned
count_empty(struct slots *slots)
{
	unsigned count = 0;
	for (struct slots_chunk *chunk; (chunk = slots_take_empty(slots)); count++)
		slots_chunk_free(chunk);
	return count;
}

static void
fill(unsigned char *record, size_t size, unsigned i)
{
	for (size_t n = 0; n < size; n++)
		record[n] = (unsigned char)(i + n);
}

static void
assert_filled(const unsigned char *record, size_t size, unsigned i)
{
	for (size_t n = 0; n < size; n++)
		assert_int_equal(record[n], (unsigned char)(i + n));
}

static void
test_slots__apart_and_aligned(void **state)
{
	(void)state;
	static const size_t sizes[] = {8, 16, 24, 56, 64, 1000, 1024};
	unsigned char **records = calloc(RECORDS, sizeof(*records));
	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		struct slots slots;
		unsigned count = (unsigned)(200000 / sizes[s]);
		slots_init(&slots, sizes[s]);
		for (unsigned i = 0; i < count; i++) {
			records[i] = slots_take(&slots);
			assert_int_equal((uintptr_t)records[i] % 8, 0);
			fill(records[i], sizes[s], i);
		}
		assert_int_equal(slots.live, count);
		for (unsigned i = 0; i < count; i++) {
			assert_filled(records[i], sizes[s], i);
			slots_give_back(&slots, records[i]);
		}
		assert_true(count_empty(&slots) >= 3);
		slots_fini(&slots);
	}
	free(records);
}

static void
test_slots__what_was_given_back_is_taken_first(void **state)
{
	(void)state;
	struct slots slots;
	slots_init(&slots, 64);
	void **records = calloc(RECORDS, sizeof(*records));
	for (unsigned i = 0; i < RECORDS; i++)
		records[i] = slots_take(&slots);
	void *open = slots_take(&slots);
	/* One of each full chunk: no chunk is new until all of them are full again. */
	unsigned given = 0;
	for (unsigned i = 0; i < RECORDS; i += 2000, given++)
		slots_give_back(&slots, records[i]);
	for (unsigned i = 0; i < given; i++) {
		void *record = slots_take(&slots);
		bool is_old = false;
		for (unsigned k = 0; k < RECORDS && !is_old; k += 2000)
			is_old = record == records[k];
		assert_true(is_old);
	}
	for (unsigned i = 0; i < RECORDS; i++)
		slots_give_back(&slots, records[i]);
	slots_give_back(&slots, open);
	slots_fini(&slots);
	free(records);
}

static void
test_slots__chunks_go_back_and_are_used_again(void **state)
{
	(void)state;
	struct slots slots;
	slots_init(&slots, 64);
	assert_null(slots_take_empty(&slots));
	void **records = calloc(RECORDS, sizeof(*records));
	for (unsigned i = 0; i < RECORDS; i++)
		records[i] = slots_take(&slots);
	assert_null(slots_take_empty(&slots));
	/* One in a hundred stays: no chunk can go. */
	for (unsigned i = 0; i < RECORDS; i++) {
		if (i % 100)
			slots_give_back(&slots, records[i]);
	}
	assert_null(slots_take_empty(&slots));
	for (unsigned i = 0; i < RECORDS; i += 100)
		slots_give_back(&slots, records[i]);
	assert_false(LIST_EMPTY(&slots.empty));
	void *again = slots_take(&slots);
	unsigned empty = count_empty(&slots);
	assert_true(empty >= RECORDS / 1024 - 1 && empty <= RECORDS / 1000);
	slots_give_back(&slots, again);
	slots_fini(&slots);
	free(records);
}

/* Against a table of what every record should hold. */
static void
test_slots__any_order(void **state)
{
	(void)state;
	struct slots slots;
	uint64_t random = 7;
	slots_init(&slots, 24);
	unsigned char **records = calloc(RECORDS, sizeof(*records));
	for (unsigned step = 0; step < 400000; step++) {
		unsigned i = next_random(&random) % RECORDS;
		/* Waves: the tide comes in and goes out. */
		bool wants = next_random(&random) % 8 < (step / 50000 % 2 ? 2 : 6);
		if (!records[i] && wants) {
			records[i] = slots_take(&slots);
			fill(records[i], 24, i);
		} else if (records[i] && !wants) {
			assert_filled(records[i], 24, i);
			slots_give_back(&slots, records[i]);
			records[i] = NULL;
		}
		if (step % 1000 == 0)
			count_empty(&slots);
	}
	for (unsigned i = 0; i < RECORDS; i++) {
		if (!records[i])
			continue;
		assert_filled(records[i], 24, i);
		slots_give_back(&slots, records[i]);
	}
	assert_int_equal(slots.live, 0);
	slots_fini(&slots);
	free(records);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_slots__apart_and_aligned),
	    cmocka_unit_test(test_slots__what_was_given_back_is_taken_first),
	    cmocka_unit_test(test_slots__chunks_go_back_and_are_used_again),
	    cmocka_unit_test(test_slots__any_order),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
