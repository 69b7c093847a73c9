#include "test.h"

#include "base/hash.h"

static bool
same(struct hash128 a, struct hash128 b)
{
	return a.low == b.low && a.high == b.high;
}

/* Lengths on both sides of every size at which XXH3 changes its way. */
static const size_t lengths[] = {0, 1, 3, 4, 8, 9, 16, 17, 128, 129, 240, 241, 1024, 4000};
#define LENGTHS (sizeof(lengths) / sizeof(lengths[0]))

static void
test_every_byte_and_the_length_count(void **state)
{
	(void)state;
	unsigned char bytes[4001];
	memset(bytes, 'x', sizeof(bytes));
	for (size_t i = 0; i < LENGTHS; i++) {
		size_t len = lengths[i];
		struct hash128 before = hash_bytes128(bytes, len);
		uint64_t before64 = hash_bytes64(bytes, len);
		assert_true(same(before, hash_bytes128(bytes, len)));
		assert_false(same(before, hash_bytes128(bytes, len + 1)));
		for (size_t at = 0; at < len; at++) {
			bytes[at] ^= 1;
			assert_false(same(before, hash_bytes128(bytes, len)));
			assert_true(before64 != hash_bytes64(bytes, len));
			bytes[at] ^= 1;
		}
	}
	assert_true(same(hash_bytes128(NULL, 0), hash_bytes128("", 0)));
}

/* Which text a byte stands in counts, and where the one ends and the other begins. */
static void
test_pair(void **state)
{
	(void)state;
	struct hash128 pair = hash_pair128("|c", 2, "|g", 2);
	assert_true(same(pair, hash_pair128("|c", 2, "|g", 2)));
	assert_true(same(pair, hash_pair128_from(hash_bytes128("|c", 2), "|g", 2)));
	assert_false(same(pair, hash_pair128("|g", 2, "|c", 2)));
	assert_false(same(pair, hash_pair128("|c|", 3, "g", 1)));
	assert_false(same(pair, hash_pair128("", 0, "|c|g", 4)));
	assert_false(same(pair, hash_bytes128("|c|g", 4)));
	assert_false(same(hash_pair128("a", 1, "a", 1), hash_pair128("b", 1, "b", 1)));
}

static void
test_init__draws_another_key_each_time(void **state)
{
	(void)state;
	struct hash128 before[LENGTHS];
	unsigned char bytes[4000] = {0};
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < LENGTHS; i++)
			before[i] = hash_bytes128(bytes, lengths[i]);
		hash_init();
		for (size_t i = 0; i < LENGTHS; i++)
			assert_false(same(before[i], hash_bytes128(bytes, lengths[i])));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_byte_and_the_length_count),
	    cmocka_unit_test(test_pair),
	    cmocka_unit_test(test_init__draws_another_key_each_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
