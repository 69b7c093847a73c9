#include "test.h"

#include "metrics/slab.h"

#include <stdlib.h>

/* Enough for several chunks. */
#define RECORDS 20000

static size_t
size_of(unsigned i)
{
	return 1 + i * 7919 % 150;
}

static void
test_slab__in_order_and_apart(void **state)
{
	(void)state;
	struct slab slab = SLAB_INIT;
	unsigned char **records = calloc(RECORDS, sizeof(*records));
	for (unsigned i = 0; i < RECORDS; i++) {
		records[i] = slab_alloc(&slab, SLAB_BORN, size_of(i));
		assert_int_equal((uintptr_t)records[i] % 8, 0);
		memset(records[i], (int)(i % 251), size_of(i));
	}
	unsigned neighbours = 0;
	for (unsigned i = 0; i < RECORDS; i++) {
		for (size_t n = 0; n < size_of(i); n++)
			assert_int_equal(records[i][n], i % 251);
		neighbours += i && (size_t)(records[i] - records[i - 1]) < size_of(i - 1) + 8;
	}
	assert_true(neighbours > RECORDS - 100);
	for (unsigned i = 0; i < RECORDS; i++)
		slab_free(&slab, records[i], size_of(i));
	slab_fini(&slab);
	free(records);
}

static void
test_slab__streams_lie_apart(void **state)
{
	(void)state;
	struct slab slab = SLAB_INIT;
	char *born = slab_alloc(&slab, SLAB_BORN, 40);
	char *arranged = slab_alloc(&slab, SLAB_ARRANGED, 40);
	char *next = slab_alloc(&slab, SLAB_BORN, 40);
	assert_ptr_equal(next, born + 40);
	assert_int_equal(slab.live_bytes, 120);
	slab_free(&slab, born, 40);
	slab_free(&slab, arranged, 40);
	slab_free(&slab, next, 40);
	assert_int_equal(slab.live_bytes, 0);
	slab_fini(&slab);
}

static void
test_slab__gives_chunks_back(void **state)
{
	(void)state;
	struct slab slab = SLAB_INIT;
	void **records = calloc(RECORDS, sizeof(*records));
	for (unsigned i = 0; i < RECORDS; i++)
		records[i] = slab_alloc(&slab, SLAB_BORN, size_of(i));
	uint64_t full = slab.closed_bytes;
	assert_true(full > 0);
	assert_true(full < slab.live_bytes + slab.live_bytes / 8);
	assert_false(slab_is_sparse(&slab, 2));
	/* One in ten stays: no chunk can go. */
	for (unsigned i = 0; i < RECORDS; i++) {
		if (i % 10)
			slab_free(&slab, records[i], size_of(i));
	}
	assert_int_equal(slab.closed_bytes, full);
	assert_true(slab_is_sparse(&slab, 2));
	for (unsigned i = 0; i < RECORDS; i += 10)
		slab_free(&slab, records[i], size_of(i));
	assert_int_equal(slab.closed_bytes, 0);
	assert_false(slab_is_sparse(&slab, 2));
	slab_fini(&slab);
	free(records);
}

/* Empty chunks are used again, all but those of long records. */
static void
test_slab__empty_chunks(void **state)
{
	(void)state;
	struct slab slab = SLAB_INIT;
	char *first[8], *second[8];
	for (unsigned i = 0; i < 8; i++)
		first[i] = slab_alloc(&slab, SLAB_BORN, 30000);
	assert_null(slab_take_empty(&slab));
	char *last = slab_alloc(&slab, SLAB_BORN, 30000);
	for (unsigned i = 0; i < 8; i++)
		slab_free(&slab, first[i], 30000);
	assert_non_null(slab.empty);
	for (unsigned i = 0; i < 8; i++) {
		second[i] = slab_alloc(&slab, SLAB_ARRANGED, 30000);
		assert_ptr_equal(second[i], first[i]);
		memset(second[i], (int)i, 30000);
	}
	assert_null(slab.empty);
	slab_free(&slab, slab_alloc(&slab, SLAB_BORN, 300000), 300000);
	assert_non_null(slab.empty);
	char *other = slab_alloc(&slab, SLAB_ARRANGED, 30000);
	assert_non_null(slab.empty);
	slab_chunk_free(slab_take_empty(&slab));
	assert_null(slab_take_empty(&slab));
	for (unsigned i = 0; i < 8; i++)
		slab_free(&slab, second[i], 30000);
	slab_free(&slab, other, 30000);
	slab_free(&slab, last, 30000);
	slab_fini(&slab);
}

/* An open chunk outlives its records: the next go into the rest of it. */
static void
test_slab__open_chunk_stays(void **state)
{
	(void)state;
	struct slab slab = SLAB_INIT;
	char *first = slab_alloc(&slab, SLAB_BORN, 16);
	slab_free(&slab, first, 16);
	char *second = slab_alloc(&slab, SLAB_BORN, 16);
	assert_ptr_equal(second, first + 16);
	slab_free(&slab, second, 16);
	slab_fini(&slab);
}

static void
test_slab__long_records(void **state)
{
	(void)state;
	static const size_t sizes[] = {32767, 32768, 32769, 65535, 262143, 262144, 262145, 1000003};
	enum { COUNT = sizeof(sizes) / sizeof(sizes[0]) };
	struct slab slab = SLAB_INIT;
	unsigned char *records[COUNT];
	for (unsigned i = 0; i < COUNT; i++) {
		records[i] = slab_alloc(&slab, SLAB_ARRANGED, sizes[i]);
		memset(records[i], (int)i, sizes[i]);
	}
	assert_false(slab_is_sparse(&slab, 2));
	for (unsigned i = 0; i < COUNT; i++) {
		assert_int_equal(records[i][0], i);
		assert_int_equal(records[i][sizes[i] - 1], i);
		slab_free(&slab, records[i], sizes[i]);
	}
	assert_int_equal(slab.closed_bytes, 0);
	slab_fini(&slab);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_slab__in_order_and_apart),
	    cmocka_unit_test(test_slab__streams_lie_apart),
	    cmocka_unit_test(test_slab__gives_chunks_back),
	    cmocka_unit_test(test_slab__open_chunk_stays),
	    cmocka_unit_test(test_slab__empty_chunks),
	    cmocka_unit_test(test_slab__long_records),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
