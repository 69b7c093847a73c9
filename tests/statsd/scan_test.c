/*
 * Every back end that this CPU can run must tell the same as looking at each byte.
 */
#include "test.h"

#include "statsd/scan.h"

#include <stdlib.h>

static bool
has_bit(const uint64_t *mask, size_t i)
{
	return mask[i / 64] >> i % 64 & 1;
}

/* A copy of exactly this size, so that reading too far is found. */
static void
check_scan(const char *text, size_t len)
{
	static struct scan scan;
	char *exact = malloc(len ? len : 1);
	assert_non_null(exact);
	memcpy(exact, text, len);
	memset(&scan, 0xff, sizeof(scan));
	scan_bytes(span_of(exact, len), &scan);
	/* The word behind the last one must be clear, too. */
	size_t end = (len + 63) / 64 * 64 + 64;
	for (size_t i = 0; i < end && i < (SCAN_WORDS + 1) * 64; i++) {
		assert_int_equal(has_bit(scan.newlines, i), i < len && exact[i] == '\n');
		assert_int_equal(has_bit(scan.colons, i), i < len && exact[i] == ':');
		assert_int_equal(has_bit(scan.bars, i), i < len && exact[i] == '|');
	}
	uint16_t ends[SCAN_BYTES_MAX + 1];
	size_t count = scan_list_newlines(&scan, len, ends), seen = 0;
	for (size_t i = 0; i < len; i++) {
		if (exact[i] != '\n')
			continue;
		assert_true(seen < count);
		assert_int_equal(ends[seen++], i);
	}
	assert_int_equal(seen, count);
	free(exact);
}

static void
for_each_backend(void (*check)(void))
{
	unsigned tried = 0;
	for (const struct scan_backend *backend = scan_backends(); backend->name; backend++) {
		if (!scan_select(backend->name)) {
			assert_false(backend->is_supported());
			continue;
		}
		assert_string_equal(scan_backend_name(), backend->name);
		check();
		tried++;
	}
	assert_true(tried >= 1);
}

static uint64_t
next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state >> 11;
}

static void
check_random(void)
{
	static const char special[] = "\n:|\n:|\x0b;{\t9}\x8a\xba\xfc\0\x7f\xff";
	static char text[SCAN_BYTES_MAX];
	uint64_t state = 42;
	for (unsigned round = 0; round < 400; round++) {
		/* From nothing but what divides to nearly nothing of it. */
		uint64_t rarity = 1 + next_random(&state) % 60;
		size_t len = round < 200 ? round : next_random(&state) % (SCAN_BYTES_MAX + 1);
		for (size_t i = 0; i < len; i++)
			text[i] = next_random(&state) % rarity == 0
				      ? special[next_random(&state) % sizeof(special)]
				      : (char)next_random(&state);
		check_scan(text, len);
	}
}

static void
test_backends__random(void **state)
{
	(void)state;
	for_each_backend(check_random);
}

static void
check_same_bytes(void)
{
	static char text[SCAN_BYTES_MAX];
	for (int byte = 0; byte < 256; byte++) {
		memset(text, byte, sizeof(text));
		check_scan(text, 130);
	}
	memset(text, '\n', sizeof(text));
	check_scan(text, sizeof(text));
}

static void
test_backends__one_byte_many_times(void **state)
{
	(void)state;
	for_each_backend(check_same_bytes);
}

static void
test_select(void **state)
{
	(void)state;
	assert_false(scan_select("no such"));
	assert_false(scan_select(""));
	assert_true(scan_select("portable"));
	assert_string_equal(scan_backend_name(), "portable");
	assert_true(scan_select("auto"));
	const struct scan_backend *best = scan_backends();
	while (!best->is_supported())
		best++;
	assert_string_equal(scan_backend_name(), best->name);
}

static void
test_next(void **state)
{
	(void)state;
	static uint64_t mask[SCAN_WORDS + 1];
	static const size_t bits[] = {0, 1, 63, 64, 130, 500, 4095};
	enum { BITS = sizeof(bits) / sizeof(bits[0]) };
	for (size_t i = 0; i < BITS; i++)
		mask[bits[i] / 64] |= UINT64_C(1) << bits[i] % 64;
	for (size_t from = 0, next = 0; from < SCAN_BYTES_MAX; from++) {
		next += next < BITS && bits[next] < from;
		size_t want = bits[next];
		assert_int_equal(scan_next(mask, from, SCAN_BYTES_MAX), want);
		assert_true(scan_next(mask, from, want) >= want);
	}
	assert_true(scan_next(mask, 131, 400) >= 400);
	assert_int_equal(scan_next(mask, 4096, 4096), 4096);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_backends__random),
	    cmocka_unit_test(test_backends__one_byte_many_times),
	    cmocka_unit_test(test_select),
	    cmocka_unit_test(test_next),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
