#include "statsd/scan.h"

#include "base/check.h"

#include <endian.h>

#define BLOCK 64

/* ---- Portable: eight bytes at a time. ---- */

/* The highest bit of each byte of `bytes` that equals `byte`. */
static uint64_t
equal_bytes(uint64_t bytes, char byte)
{
	uint64_t low_bits = UINT64_C(0x7f7f7f7f7f7f7f7f);
	uint64_t x = bytes ^ UINT64_C(0x0101010101010101) * (unsigned char)byte;
	/* No carry leaves a byte, so that each is told exactly. */
	return ~(((x & low_bits) + low_bits) | x | low_bits);
}

/* Gathers the highest bits of eight bytes, the lowest byte's first. */
static uint64_t
gather(uint64_t highest_bits)
{
	return (highest_bits >> 7) * UINT64_C(0x0102040810204080) >> 56;
}

static bool
always(void)
{
	return true;
}

static void
portable_blocks(const char *bytes, size_t count, struct scan *scan, size_t word)
{
	for (size_t block = 0; block < count; block++, word++) {
		uint64_t newlines = 0, colons = 0, bars = 0;
		for (unsigned i = 0; i < BLOCK; i += 8, bytes += 8) {
			uint64_t eight;
			memcpy(&eight, bytes, sizeof(eight));
			eight = le64toh(eight);
			newlines |= gather(equal_bytes(eight, '\n')) << i;
			colons |= gather(equal_bytes(eight, ':')) << i;
			bars |= gather(equal_bytes(eight, '|')) << i;
		}
		scan->newlines[word] = newlines;
		scan->colons[word] = colons;
		scan->bars[word] = bars;
	}
}

/* ---- AVX2. ---- */

#if defined(__x86_64__)
#include <immintrin.h>

static bool
has_avx2(void)
{
	return __builtin_cpu_supports("avx2");
}

__attribute__((target("avx2"))) static inline uint64_t
avx2_mask(__m256i low, __m256i high, __m256i byte)
{
	uint32_t first = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(low, byte));
	uint32_t second = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(high, byte));
	return (uint64_t)second << 32 | first;
}

__attribute__((target("avx2"))) static void
avx2_blocks(const char *bytes, size_t count, struct scan *scan, size_t word)
{
	__m256i newline = _mm256_set1_epi8('\n'), colon = _mm256_set1_epi8(':');
	__m256i bar = _mm256_set1_epi8('|');
	for (size_t block = 0; block < count; block++, word++, bytes += BLOCK) {
		__m256i low = _mm256_loadu_si256((const void *)bytes);
		__m256i high = _mm256_loadu_si256((const void *)(bytes + 32));
		scan->newlines[word] = avx2_mask(low, high, newline);
		scan->colons[word] = avx2_mask(low, high, colon);
		scan->bars[word] = avx2_mask(low, high, bar);
	}
}
#endif

/* ---- Choosing. ---- */

static const struct scan_backend backends[] = {
#if defined(__x86_64__)
    {"avx2", has_avx2, avx2_blocks},
#endif
    {"portable", always, portable_blocks},
    {0},
};

static const struct scan_backend *chosen = &backends[sizeof(backends) / sizeof(*backends) - 2];

const struct scan_backend *
scan_backends(void)
{
	return backends;
}

bool
scan_select(const char *name)
{
	for (const struct scan_backend *backend = backends; backend->name; backend++) {
		bool wanted = strcmp(name, "auto") == 0 || strcmp(name, backend->name) == 0;
		if (wanted && backend->is_supported()) {
			chosen = backend;
			return true;
		}
	}
	return false;
}

const char *
scan_backend_name(void)
{
	return chosen->name;
}

void
scan_bytes(struct span bytes, struct scan *scan)
{
	CHECK(bytes.len <= SCAN_BYTES_MAX);
	size_t whole = bytes.len / BLOCK, rest = bytes.len % BLOCK;
	chosen->blocks(bytes.ptr, whole, scan, 0);
	if (rest && whole) {
		/* The last block once more, as far back as it takes to be a whole one. */
		chosen->blocks(bytes.ptr + bytes.len - BLOCK, 1, scan, whole);
		scan->newlines[whole] >>= BLOCK - rest;
		scan->colons[whole] >>= BLOCK - rest;
		scan->bars[whole] >>= BLOCK - rest;
		whole++;
	} else if (rest) {
		char block[BLOCK] = {0};
		memcpy(block, bytes.ptr, rest);
		chosen->blocks(block, 1, scan, whole++);
	}
	scan->newlines[whole] = scan->colons[whole] = scan->bars[whole] = 0;
}

size_t
scan_list_newlines(const struct scan *scan, size_t len, uint16_t *ends)
{
	uint16_t *to = ends;
	for (size_t word = 0; word * 64 < len; word++) {
		uint64_t bits = scan->newlines[word];
		for (; bits; bits &= bits - 1)
			*to++ = (uint16_t)(word * 64 + (size_t)__builtin_ctzll(bits));
	}
	return (size_t)(to - ends);
}
