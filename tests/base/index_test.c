#include "test.h"

#include "base/index.h"

#include <stdlib.h>

/* A hash whose home is this slot of a table of the smallest size, 16. */
#define HOME(slot) ((uint64_t)(slot) << 60)

/* An item whose hash is chosen by the test. */
struct item {
	uint64_t hash;
	unsigned number;
	bool is_in;
};

static bool
has_number(const void *item, const void *key)
{
	return ((const struct item *)item)->number == *(const unsigned *)key;
}

static void *
find(const struct index *index, const struct item *item)
{
	return index_find(index, item->hash, has_number, &item->number);
}

static void
test_find__empty(void **state)
{
	(void)state;
	struct index index = INDEX_INIT;
	struct item item = {.hash = 7};
	assert_null(find(&index, &item));
	assert_false(index_remove(&index, 7, &item));
	index_fini(&index);
	index_fini(&index);
}

static void
test_find__same_hash_different_items(void **state)
{
	(void)state;
	struct index index = INDEX_INIT;
	struct item items[40];
	for (unsigned i = 0; i < 40; i++) {
		items[i] = (struct item){.hash = 15, .number = i};
		index_add(&index, items[i].hash, &items[i]);
	}
	for (unsigned i = 0; i < 40; i++)
		assert_ptr_equal(find(&index, &items[i]), &items[i]);
	struct item stranger = {.hash = 15, .number = 40};
	assert_null(find(&index, &stranger));
	index_fini(&index);
}

static void
test_find__same_slot_different_hash(void **state)
{
	(void)state;
	struct index index = INDEX_INIT;
	/* Equal by key, but not by hash: never found under the other's. */
	struct item a = {.hash = HOME(1), .number = 5},
		    b = {.hash = HOME(1) + (UINT64_C(1) << 40), .number = 5};
	index_add(&index, a.hash, &a);
	assert_null(find(&index, &b));
	index_add(&index, b.hash, &b);
	assert_ptr_equal(find(&index, &a), &a);
	assert_ptr_equal(find(&index, &b), &b);
	index_fini(&index);
}

static void
test_remove__takes_the_very_item(void **state)
{
	(void)state;
	struct index index = INDEX_INIT;
	struct item a = {.hash = 3, .number = 1}, twin = a;
	index_add(&index, a.hash, &a);
	assert_false(index_remove(&index, twin.hash, &twin));
	assert_int_equal(index.count, 1);
	assert_true(index_remove(&index, a.hash, &a));
	assert_int_equal(index.count, 0);
	assert_null(find(&index, &a));
	index_fini(&index);
}

static void
test_replace__puts_another_in_the_very_place(void **state)
{
	(void)state;
	struct index index = INDEX_INIT;
	struct item items[5];
	for (unsigned i = 0; i < 4; i++) {
		items[i] = (struct item){.hash = HOME(15), .number = i};
		assert_false(index_replace(&index, items[i].hash, &items[i], &items[4]));
		index_add(&index, items[i].hash, &items[i]);
	}
	items[4] = items[2];
	assert_false(index_replace(&index, items[4].hash, &items[4], &items[2]));
	assert_true(index_replace(&index, items[2].hash, &items[2], &items[4]));
	assert_int_equal(index.count, 4);
	assert_ptr_equal(find(&index, &items[2]), &items[4]);
	assert_false(index_remove(&index, items[2].hash, &items[2]));
	assert_true(index_remove(&index, items[4].hash, &items[4]));
	assert_ptr_equal(find(&index, &items[3]), &items[3]);
	index_fini(&index);
}

/* A run of items that wraps around the end of the table; each hole in it must be closed rightly. */
static void
test_remove__closes_holes_across_the_end(void **state)
{
	(void)state;
	static const uint64_t hashes[] = {HOME(14), HOME(14), HOME(15), HOME(15),
					  HOME(0),  HOME(14), HOME(1),	HOME(0)};
	enum { COUNT = sizeof(hashes) / sizeof(hashes[0]) };
	for (unsigned gone = 0; gone < COUNT; gone++) {
		struct index index = INDEX_INIT;
		struct item items[COUNT];
		for (unsigned i = 0; i < COUNT; i++) {
			items[i] = (struct item){.hash = hashes[i], .number = i};
			index_add(&index, hashes[i], &items[i]);
		}
		assert_int_equal(index.size, 16);
		assert_true(index_remove(&index, hashes[gone], &items[gone]));
		for (unsigned i = 0; i < COUNT; i++)
			assert_ptr_equal(find(&index, &items[i]), i == gone ? NULL : &items[i]);
		index_fini(&index);
	}
}

/* A run across the end of a table that grows, from each size to the next, on the heap and in pages. */
static void
test_add__grows_with_a_run_across_the_end(void **state)
{
	(void)state;
	enum { LAST = 12, COUNT = 6000 };
	struct item *items = calloc(COUNT, sizeof(*items));
	struct index index = INDEX_INIT;
	for (unsigned i = 0; i < COUNT; i++) {
		/* The last home there is, the first, and any. */
		uint64_t hash = i < LAST ? UINT64_MAX << 32 : i * UINT64_C(0x9e3779b97f4a7c15);
		items[i] = (struct item){.hash = i % 100 == LAST ? 0 : hash, .number = i};
		index_add(&index, items[i].hash, &items[i]);
		for (unsigned k = i < 300 ? 0 : i - i / 7; k <= i; k += 1 + i / 7)
			assert_ptr_equal(find(&index, &items[k]), &items[k]);
	}
	for (unsigned i = 0; i < COUNT; i++)
		assert_true(index_remove(&index, items[i].hash, &items[i]));
	for (size_t i = 0; i < index.size; i++)
		assert_null(index.slots[i].item);
	index_fini(&index);
	free(items);
}

static unsigned
next_random(unsigned *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 8;
}

/* No more memory than promised, at any count. */
static void
test_add__memory_follows_the_count(void **state)
{
	(void)state;
	struct index index = INDEX_INIT;
	struct item item = {0};
	uint64_t hash = 0;
	for (size_t count = 1; count <= 20000; count++) {
		hash += UINT64_C(0x9e3779b97f4a7c15);
		index_add(&index, hash, &item);
		assert_true(index.size > index.count);
		if (count >= 100)
			assert_true(index.size * sizeof(index.slots[0]) < count * 19);
	}
	index_fini(&index);
}

/* Against the obvious: a flag in each item. Few hashes, so that runs are long. */
static void
random_operations(unsigned seed, unsigned hash_count, unsigned shift)
{
	enum { ITEMS = 300, STEPS = 5000 };
	struct index index = INDEX_INIT;
	struct item items[ITEMS];
	size_t count = 0;
	for (unsigned i = 0; i < ITEMS; i++)
		items[i] = (struct item){
		    .hash = (uint64_t)(next_random(&seed) % hash_count) << shift, .number = i};
	for (unsigned step = 0; step < STEPS; step++) {
		struct item *item = &items[next_random(&seed) % ITEMS];
		if (!item->is_in) {
			index_add(&index, item->hash, item);
			item->is_in = true;
			count++;
		} else {
			assert_true(index_remove(&index, item->hash, item));
			item->is_in = false;
			count--;
		}
		assert_int_equal(index.count, count);
		item = &items[next_random(&seed) % ITEMS];
		assert_ptr_equal(find(&index, item), item->is_in ? item : NULL);
	}
	for (unsigned i = 0; i < ITEMS; i++) {
		assert_ptr_equal(find(&index, &items[i]), items[i].is_in ? &items[i] : NULL);
		assert_int_equal(index_remove(&index, items[i].hash, &items[i]), items[i].is_in);
	}
	assert_int_equal(index.count, 0);
	index_fini(&index);
}

static void
test_index__against_a_model(void **state)
{
	(void)state;
	static const unsigned hash_counts[] = {1, 7, 64, 1000, 1u << 20};
	for (unsigned i = 0; i < sizeof(hash_counts) / sizeof(hash_counts[0]); i++) {
		for (unsigned seed = 1; seed <= 4; seed++) {
			random_operations(seed, hash_counts[i], 32); /* all at one home */
			random_operations(seed, hash_counts[i], 44);
			random_operations(seed, hash_counts[i], 58); /* at few, the last ones too */
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_find__empty),
	    cmocka_unit_test(test_find__same_hash_different_items),
	    cmocka_unit_test(test_find__same_slot_different_hash),
	    cmocka_unit_test(test_remove__takes_the_very_item),
	    cmocka_unit_test(test_replace__puts_another_in_the_very_place),
	    cmocka_unit_test(test_remove__closes_holes_across_the_end),
	    cmocka_unit_test(test_add__memory_follows_the_count),
	    cmocka_unit_test(test_add__grows_with_a_run_across_the_end),
	    cmocka_unit_test(test_index__against_a_model),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
