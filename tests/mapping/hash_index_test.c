#include "test.h"

#include "mapping/hash_index.h"

static void
test_hash_index__finds_all_of_many(void **state)
{
	(void)state;
	struct hash_index index;
	hash_index_init(&index);
	for (uint32_t i = 0; i < 5000; i++)
		hash_index_add(&index, hash_index_mix(i), i);
	for (uint32_t i = 0; i < 5000; i++) {
		size_t step = 0;
		assert_int_equal(hash_index_next(&index, hash_index_mix(i), &step), i);
		assert_int_equal(hash_index_next(&index, hash_index_mix(i), &step),
				 HASH_INDEX_NONE);
	}
	size_t step = 0;
	assert_int_equal(hash_index_next(&index, hash_index_mix(5000), &step), HASH_INDEX_NONE);
	hash_index_fini(&index);
}

/* All land in the last slots and wrap around; growing must not turn their order. */
static void
test_hash_index__keeps_the_order_of_equal_hashes(void **state)
{
	(void)state;
	struct hash_index index;
	hash_index_init(&index);
	for (uint32_t i = 0; i < 100; i++)
		hash_index_add(&index, i % 2 ? UINT64_MAX : UINT64_MAX - 1, i);
	for (uint32_t odd = 0; odd < 2; odd++) {
		size_t step = 0;
		for (uint32_t i = odd; i < 100; i += 2)
			assert_int_equal(
			    hash_index_next(&index, odd ? UINT64_MAX : UINT64_MAX - 1, &step), i);
		assert_int_equal(hash_index_next(&index, odd ? UINT64_MAX : UINT64_MAX - 1, &step),
				 HASH_INDEX_NONE);
	}
	hash_index_fini(&index);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_hash_index__finds_all_of_many),
	    cmocka_unit_test(test_hash_index__keeps_the_order_of_equal_hashes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
