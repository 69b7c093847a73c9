#include "test.h"

#include "base/alloc.h"

#include <stdlib.h>

static void
test_grow__keeps_items(void **state)
{
	(void)state;
	int *items = NULL;
	size_t count = 0, capacity = 0;
	while (count < 1000) {
		items = xgrow(items, count, &capacity, sizeof(*items));
		assert_true(capacity > count);
		items[count] = (int)count;
		count++;
	}
	for (size_t i = 0; i < count; i++)
		assert_int_equal(items[i], i);
	int *same = xgrow(items, 5, &capacity, sizeof(*items));
	assert_ptr_equal(same, items);
	assert_int_equal(capacity, 1024);
	free(items);
}

static void
test_copies(void **state)
{
	(void)state;
	char *copy = xmemdup0("a\0b", 3);
	assert_memory_equal(copy, "a\0b", 4);
	free(copy);
	copy = xmemdup0(NULL, 0);
	assert_string_equal(copy, "");
	free(copy);
	copy = xstrdup("text");
	assert_string_equal(copy, "text");
	free(copy);
}

static void
test_zeroed_and_aligned(void **state)
{
	(void)state;
	static const struct {
		size_t alignment, count, size;
	} table[] = {{64, 1, 1}, {64, 3, 64}, {64, 5, 24}, {4096, 1, 4097}, {64, 0, 8}, {64, 8, 0}};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		unsigned char *p =
		    xaligned_calloc(table[i].alignment, table[i].count, table[i].size);
		assert_int_equal((uintptr_t)p % table[i].alignment, 0);
		for (size_t n = 0; n < table[i].count * table[i].size; n++)
			assert_int_equal(p[n], 0);
		free(p);
	}
	unsigned char *zeroed = xcalloc(3, 7);
	for (int i = 0; i < 21; i++)
		assert_int_equal(zeroed[i], 0);
	free(zeroed);
}

static void
test_nothing_is_something(void **state)
{
	(void)state;
	void *p = xmalloc(0);
	assert_non_null(p);
	p = xreallocarray(p, 0, 10);
	assert_non_null(p);
	free(p);
	p = xcalloc(0, 0);
	assert_non_null(p);
	free(p);
}

static void
test_pages__aligned_and_zeroed(void **state)
{
	(void)state;
	static const size_t sizes[] = {1, 4096, 4097, 65536, 100000};
	static const size_t alignments[] = {4096, 65536, 1 << 20};
	for (size_t i = 0; i < 15; i++) {
		size_t size = sizes[i % 5], alignment = alignments[i / 5];
		unsigned char *pages = xpages_alloc_aligned(size, alignment);
		assert_int_equal((uintptr_t)pages % alignment, 0);
		for (size_t n = 0; n < size; n++)
			assert_int_equal(pages[n], 0);
		memset(pages, 1, size);
		xpages_free(pages, size);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_grow__keeps_items),
	    cmocka_unit_test(test_copies),
	    cmocka_unit_test(test_zeroed_and_aligned),
	    cmocka_unit_test(test_pages__aligned_and_zeroed),
	    cmocka_unit_test(test_nothing_is_something),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
