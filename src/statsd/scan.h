/*
 * statsd/scan - where the bytes that divide lines stand: '\n', ':' and '|', found in one pass.
 *
 * Pure. What a piece of a payload holds becomes three bit masks; who cuts lines looks at bits instead
 * of bytes. There is one back end for each kind of CPU, all with the same results; the portable one
 * always works.
 */
#ifndef STATSD_SCAN_H
#define STATSD_SCAN_H

#include "base/span.h"

#include <stdint.h>

/* Most bytes of one scan: its masks stay in the core's first cache. */
#define SCAN_BYTES_MAX 4096
#define SCAN_WORDS (SCAN_BYTES_MAX / 64)

/*
 * Bit i % 64 of word i / 64 stands for byte i. Bits behind the scanned bytes are 0 up to the end of the
 * word behind the last one.
 */
struct scan {
	uint64_t newlines[SCAN_WORDS + 1];
	uint64_t colons[SCAN_WORDS + 1];
	uint64_t bars[SCAN_WORDS + 1];
};

struct scan_backend {
	const char *name; /* "portable", "avx2" */
	bool (*is_supported)(void);
	/* Scans whole blocks of 64 bytes into the words from `word` on. */
	void (*blocks)(const char *bytes, size_t count, struct scan *scan, size_t word);
};

/** @return the back ends this program was built with, best first, the last always supported; a NULL name ends them */
const struct scan_backend *scan_backends(void);

/**
 * Takes a back end for all scans to come; call before threads start. Until then it is the portable one.
 *
 * @name "auto" = the best this CPU can do
 * @return false when there is none of this name, or the CPU cannot run it
 */
bool scan_select(const char *name);

/** @return the name of the back end in use */
const char *scan_backend_name(void);

/** Scans `bytes`, at most SCAN_BYTES_MAX; reads nothing behind them. */
void scan_bytes(struct span bytes, struct scan *scan);

/**
 * @return where the first bit of `mask` at `from` or behind stands, or at least `end` when there is none
 *         before `end`; both at most SCAN_BYTES_MAX
 */
static inline size_t
scan_next(const uint64_t *mask, size_t from, size_t end)
{
	for (; from < end; from += 64) {
		/* The 64 bits from `from` on. They may lie in two words: no branch, it would be a coin's. */
		const uint64_t *word = mask + from / 64;
		unsigned shift = from % 64;
		uint64_t bits = word[0] >> shift | word[1] << 1 << (63 - shift);
		if (bits)
			return from + (size_t)__builtin_ctzll(bits);
	}
	return end;
}

/**
 * Writes where the bits of the newline mask stand, in order.
 *
 * @len what was scanned
 * @ends room for `len` entries
 * @return how many there are
 */
size_t scan_list_newlines(const struct scan *scan, size_t len, uint16_t *ends);

#endif
