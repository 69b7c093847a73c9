#include "test.h"

#include "metrics/raw_cache.h"

#include <stdlib.h>

static bool
is_older(void *ctx, const struct raw_entry *entry)
{
	return entry->generation != *(const uint32_t *)ctx;
}

static bool
is_never(void *ctx, const struct raw_entry *entry)
{
	(void)ctx;
	(void)entry;
	return false;
}

static void
put(struct raw_cache *cache, uint64_t low, uint64_t high, uint32_t id, uint32_t generation)
{
	struct raw_entry entry = {
	    .key = {low, high}, .cell = id, .incarnation = id + 1, .generation = generation};
	raw_cache_put(cache, &entry, is_older, &generation);
}

static struct raw_entry *
find(struct raw_cache *cache, uint64_t low, uint64_t high)
{
	return raw_cache_find(cache, (struct hash128){low, high});
}

static bool
is_growing(const struct raw_cache *cache)
{
	return cache->tables[1].size > 0;
}

static size_t
size_of(const struct raw_cache *cache)
{
	return cache->tables[is_growing(cache)].size;
}

static uint64_t
next_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

static void
test_find__empty(void **state)
{
	(void)state;
	struct raw_cache *cache = raw_cache_new(100);
	assert_null(find(cache, 0, 0));
	assert_null(find(cache, 1, 2));
	assert_int_equal(raw_cache_count(cache), 0);
	raw_cache_free(&cache);
	assert_null(cache);
	raw_cache_free(&cache);
}

static void
test_find__both_halves_of_the_key_count(void **state)
{
	(void)state;
	struct raw_cache *cache = raw_cache_new(100);
	put(cache, 5, 6, 1, 1);
	assert_int_equal(find(cache, 5, 6)->cell, 1);
	assert_null(find(cache, 5, 7));
	assert_null(find(cache, 6, 6));
	put(cache, 5, 7, 2, 1);
	put(cache, 0, 0, 3, 1);
	assert_int_equal(find(cache, 5, 6)->cell, 1);
	assert_int_equal(find(cache, 5, 7)->cell, 2);
	assert_int_equal(find(cache, 0, 0)->cell, 3);
	raw_cache_free(&cache);
}

static void
test_put__overwrites_the_same_key(void **state)
{
	(void)state;
	struct raw_cache *cache = raw_cache_new(100);
	for (uint32_t i = 1; i < 10; i++) {
		put(cache, 9, 9, i, i);
		assert_int_equal(find(cache, 9, 9)->cell, i);
		assert_int_equal(find(cache, 9, 9)->generation, i);
		assert_int_equal(raw_cache_count(cache), 1);
	}
	raw_cache_free(&cache);
}

/* On each way there is: doubling, by quarters, and in huge pages. */
static void
test_put__grows_without_losing(void **state)
{
	(void)state;
	static const uint32_t counts[] = {100, 2000, 20000, 90000, 300000};
	for (unsigned c = 0; c < sizeof(counts) / sizeof(counts[0]); c++) {
		uint32_t count = counts[c], lost = 0;
		struct raw_cache *cache = raw_cache_new(1u << 19);
		uint64_t seed = 88172645463325252u;
		for (uint32_t i = 0; i < count; i++) {
			uint64_t low = next_random(&seed);
			put(cache, low, ~low, i, 1);
		}
		seed = 88172645463325252u;
		for (uint32_t i = 0; i < count; i++) {
			uint64_t low = next_random(&seed);
			const struct raw_entry *entry = find(cache, low, ~low);
			lost += entry == NULL;
			assert_true(!entry || entry->cell == i);
		}
		/* A window that is full by chance costs an entry; at this load that is rare. */
		assert_true(lost < 1 + count / 500);
		assert_int_equal(raw_cache_count(cache), count - lost);
		size_t memory = size_of(cache) * sizeof(struct raw_entry);
		assert_true(memory <= count * 2 * sizeof(struct raw_entry) + (2u << 20));
		raw_cache_free(&cache);
	}
}

/* A line never waits for many entries to move: of keys spread evenly, few change homes with one put. */
static void
test_put__grows_in_small_steps(void **state)
{
	(void)state;
	enum { WATCHED = 64, CROWD = 20000, COUNT = 200000 };
	struct raw_cache *cache = raw_cache_new(1u << 18);
	const struct raw_entry *homes[WATCHED] = {0};
	uint64_t seed = 3;
	unsigned long changes = 0;
	for (uint32_t n = 0; n < COUNT; n++) {
		put(cache, next_random(&seed), n, n, 1);
		unsigned changed = 0;
		for (uint64_t i = 0; i < WATCHED; i++) {
			const struct raw_entry *home =
			    raw_cache_home(cache, (struct hash128){i << 58, 0});
			changed += home != homes[i];
			homes[i] = home;
		}
		assert_true(n < CROWD || changed <= 2);
		changes += n < CROWD ? 0 : changed;
	}
	assert_true(changes >= WATCHED);
	raw_cache_free(&cache);
}

/* At each moment of growing, every entry is found that has not been driven out, and just once. */
static void
test_put__finds_all_while_it_grows(void **state)
{
	(void)state;
	enum { COUNT = 6000 };
	for (uint64_t seed = 1; seed <= 3; seed++) {
		struct raw_cache *cache = raw_cache_new(COUNT);
		uint64_t random = seed * 7919, keys[COUNT];
		uint32_t checks = 0;
		for (uint32_t n = 0; n < COUNT; n++) {
			keys[n] = next_random(&random);
			put(cache, keys[n], n, n, 1);
			if (!is_growing(cache))
				continue;
			checks++;
			uint32_t found = 0;
			for (uint32_t i = 0; i <= n; i++) {
				const struct raw_entry *entry = find(cache, keys[i], i);
				assert_true(!entry || entry->cell == i);
				found += entry != NULL;
			}
			assert_int_equal(found, raw_cache_count(cache));
			assert_true(found + 1 + n / 500 > n);
		}
		assert_true(checks > 100);
		raw_cache_free(&cache);
	}
}

/* Also in the middle of growing, within an area and from one into another. */
static void
test_clear__forgets_all(void **state)
{
	(void)state;
	enum { COUNT = 100000 };
	unsigned cleared = 0;
	struct raw_cache *cache = raw_cache_new(COUNT);
	for (uint64_t round = 1; round <= 20; round++) {
		static uint64_t keys[COUNT];
		uint64_t random = round * 7919;
		uint32_t count = 0;
		while (count < COUNT && !is_growing(cache)) {
			keys[count] = next_random(&random);
			put(cache, keys[count], count, count, 1);
			count++;
		}
		cleared += is_growing(cache);
		raw_cache_clear(cache);
		assert_int_equal(raw_cache_count(cache), 0);
		for (uint32_t i = 0; i < count; i++)
			assert_null(find(cache, keys[i], i));
	}
	assert_true(cleared > 10);
	raw_cache_free(&cache);
}

/* Full windows at both ends of the table: none of their entries may get lost on the way. */
static void
test_put__grows_with_full_windows_at_the_ends(void **state)
{
	(void)state;
	struct raw_cache *cache = raw_cache_new(1u << 18);
	uint64_t seed = 1;
	for (uint32_t i = 0; i < RAW_CACHE_WINDOW; i++) {
		put(cache, UINT64_MAX, i, i, 1);
		put(cache, 0, i, i, 1);
	}
	for (uint32_t n = 0; n < 150000; n++) {
		uint64_t low = next_random(&seed);
		/* Not near the ends, where it might drive one out. */
		put(cache, UINT64_MAX / 4 + low / 2, n, n, 1);
	}
	for (uint32_t i = 0; i < RAW_CACHE_WINDOW; i++) {
		assert_int_equal(find(cache, UINT64_MAX, i)->cell, i);
		assert_int_equal(find(cache, 0, i)->cell, i);
	}
	raw_cache_free(&cache);
}

static void
test_put__growing_leaves_stale_entries_behind(void **state)
{
	(void)state;
	enum { STALE = 1000, SIZE_BEFORE = 2048 };
	struct raw_cache *cache = raw_cache_new(1u << 16);
	uint64_t seed = 7, old_seed = seed;
	for (uint32_t i = 0; i < STALE; i++)
		put(cache, next_random(&seed), i, i, 1);
	assert_int_equal(size_of(cache), SIZE_BEFORE);
	uint32_t fresh = 0;
	for (; size_of(cache) == SIZE_BEFORE || is_growing(cache); fresh++)
		put(cache, next_random(&seed), fresh, fresh, 2);
	assert_int_equal(raw_cache_count(cache), fresh);
	for (uint32_t i = 0; i < STALE; i++)
		assert_null(find(cache, next_random(&old_seed), i));
	for (uint32_t i = 0; i < fresh; i++)
		assert_int_equal(find(cache, next_random(&old_seed), i)->cell, i);
	raw_cache_free(&cache);
}

static void
test_put__count_is_bounded(void **state)
{
	(void)state;
	static const size_t limits[] = {1, 32, 33, 1000, 4096};
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		struct raw_cache *cache = raw_cache_new(limits[i]);
		uint64_t seed = 1;
		size_t slots = (limits[i] > 32 ? limits[i] * 2 : 64) + RAW_CACHE_WINDOW;
		for (uint32_t n = 0; n < 50000; n++) {
			uint64_t low = next_random(&seed);
			put(cache, low, n, n, 1);
			assert_int_equal(find(cache, low, n)->cell, n);
			assert_true(raw_cache_count(cache) <= slots);
		}
		raw_cache_free(&cache);
	}
}

/* Entries of one home fill its window; one more takes the place of the stale one among them. */
static void
test_put__takes_stale_entries_first(void **state)
{
	(void)state;
	for (uint32_t stale = 0; stale < RAW_CACHE_WINDOW; stale++) {
		struct raw_cache *cache = raw_cache_new(32);
		for (uint32_t i = 0; i < RAW_CACHE_WINDOW; i++) {
			struct raw_entry entry = {
			    .key = {3, i}, .cell = i, .generation = i == stale ? 1 : 2};
			raw_cache_put(cache, &entry, is_never, NULL);
		}
		put(cache, 3, 100, 100, 2);
		for (uint32_t i = 0; i < RAW_CACHE_WINDOW; i++)
			assert_int_equal(find(cache, 3, i) != NULL, i != stale);
		assert_int_equal(find(cache, 3, 100)->cell, 100);
		assert_int_equal(raw_cache_count(cache), RAW_CACHE_WINDOW);
		raw_cache_free(&cache);
	}
}

static void
test_put__stale_copy_of_the_key_behind_a_stale_entry(void **state)
{
	(void)state;
	struct raw_cache *cache = raw_cache_new(32);
	put(cache, 3, 1, 1, 1);
	put(cache, 3, 2, 2, 1);
	/* The key is there already, behind an entry that could be taken: it must not stand twice.
	 */
	put(cache, 3, 2, 22, 2);
	assert_int_equal(raw_cache_count(cache), 2);
	assert_int_equal(find(cache, 3, 2)->cell, 22);
	assert_int_equal(find(cache, 3, 1)->cell, 1);
	raw_cache_free(&cache);
}

static void
test_put__victims_take_turns(void **state)
{
	(void)state;
	struct raw_cache *cache = raw_cache_new(32);
	enum { WINDOW = RAW_CACHE_WINDOW };
	for (uint32_t i = 0; i < WINDOW; i++)
		put(cache, 3, i, i, 1);
	/* None is stale: each newcomer drives out one, not always the same. */
	for (uint32_t i = WINDOW; i < 2 * WINDOW; i++) {
		put(cache, 3, i, i, 1);
		assert_int_equal(find(cache, 3, i)->cell, i);
	}
	uint32_t left = 0;
	for (uint32_t i = WINDOW; i < 2 * WINDOW; i++)
		left += find(cache, 3, i) != NULL;
	assert_int_equal(left, WINDOW);
	raw_cache_free(&cache);
}

/* The window of the last home ends behind the homes. */
static void
test_find__last_home(void **state)
{
	(void)state;
	struct raw_cache *cache = raw_cache_new(32);
	for (uint32_t i = 0; i < 2 * RAW_CACHE_WINDOW; i++)
		put(cache, UINT64_MAX, i, i, 1);
	uint32_t found = 0;
	for (uint32_t i = 0; i < 2 * RAW_CACHE_WINDOW; i++)
		found += find(cache, UINT64_MAX, i) != NULL;
	assert_int_equal(found, RAW_CACHE_WINDOW);
	raw_cache_free(&cache);
}

/* An entry that is found is the last one put under its key, whatever was driven out meanwhile. */
static void
test_find__never_a_wrong_entry(void **state)
{
	(void)state;
	enum { KEYS = 3000 };
	static uint32_t model[KEYS]; /* the id last put */
	for (uint64_t seed = 1; seed <= 3; seed++) {
		uint64_t random = seed * 7919;
		struct raw_cache *cache = raw_cache_new(256);
		memset(model, 0, sizeof(model));
		uint32_t generation = 1;
		for (uint32_t step = 1; step < 60000; step++) {
			uint64_t key = next_random(&random) % KEYS;
			/* Homes crowd together, keys differ in the upper half alone. */
			uint64_t low = key % 97 * (UINT64_MAX / 97);
			generation += next_random(&random) % 1000 == 0;
			if (next_random(&random) % 2) {
				put(cache, low, key, step, generation);
				model[key] = step;
			}
			const struct raw_entry *entry = find(cache, low, key);
			if (entry) {
				assert_true(entry->key.high == key && entry->key.low == low);
				assert_int_equal(entry->cell, model[key]);
				assert_int_equal(entry->incarnation, model[key] + 1);
			}
		}
		raw_cache_free(&cache);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_find__empty),
	    cmocka_unit_test(test_find__both_halves_of_the_key_count),
	    cmocka_unit_test(test_put__overwrites_the_same_key),
	    cmocka_unit_test(test_put__grows_without_losing),
	    cmocka_unit_test(test_put__grows_in_small_steps),
	    cmocka_unit_test(test_put__finds_all_while_it_grows),
	    cmocka_unit_test(test_clear__forgets_all),
	    cmocka_unit_test(test_put__grows_with_full_windows_at_the_ends),
	    cmocka_unit_test(test_put__growing_leaves_stale_entries_behind),
	    cmocka_unit_test(test_put__count_is_bounded),
	    cmocka_unit_test(test_put__takes_stale_entries_first),
	    cmocka_unit_test(test_put__stale_copy_of_the_key_behind_a_stale_entry),
	    cmocka_unit_test(test_put__victims_take_turns),
	    cmocka_unit_test(test_find__last_home),
	    cmocka_unit_test(test_find__never_a_wrong_entry),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
