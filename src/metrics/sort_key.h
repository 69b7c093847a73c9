/*
 * metrics/sort_key - private to the registry: strings as numbers of eight bytes that sort as they
 * do.
 *
 * The end of a string is a 0 in a key, since it comes before all bytes. Bytes 0 and 1 make room for
 * it: they are a 1 and one more byte. Where only the 1 has room left they come again in the next
 * key.
 */
#ifndef METRICS_SORT_KEY_H
#define METRICS_SORT_KEY_H

#include "base/span.h"

#include <endian.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct sort_key {
	uint64_t number;
	unsigned bits; /* how many are free, at the low end; 64 at the beginning */
};

#define SORT_KEY_INIT      \
	{                  \
		.bits = 64 \
	}

/* Bytes that need two. */
#define SORT_KEY_SPECIAL_BELOW 2

static inline void
sort_key_put(struct sort_key *key, unsigned code)
{
	key->bits -= 8;
	key->number |= (uint64_t)code << key->bits;
}

/**
 * Adds a byte to a key that is not full.
 *
 * @byte -1 = the end of a string
 * @return false when it is to come again in the next key; this one is full
 */
static inline bool
sort_key_add(struct sort_key *key, int byte)
{
	if (byte < 0 || byte >= SORT_KEY_SPECIAL_BELOW) {
		sort_key_put(key, byte < 0 ? 0 : (unsigned)byte);
		return true;
	}
	sort_key_put(key, 1);
	if (!key->bits)
		return false;
	sort_key_put(key, (unsigned)byte + 1);
	return true;
}

/** Eight bytes as a key. @return false when any is special; `key` is as it was */
static inline bool
sort_key_take_block(struct sort_key *key, uint64_t block)
{
	uint64_t ones = UINT64_C(0x0101010101010101);
	if ((block - ones * SORT_KEY_SPECIAL_BELOW) & ~block & ones << 7)
		return false;
	*key = (struct sort_key){.number = be64toh(block)};
	return true;
}

/**
 * Takes the next eight bytes of a string, as sort_key_add() has it. Of strings with equal keys so
 * far, the one with the lower number comes first.
 *
 * @offset 0 at the beginning; advanced
 */
static inline uint64_t
sort_key_next(struct span string, size_t *offset)
{
	struct sort_key key = SORT_KEY_INIT;
	uint64_t block;
	if (string.len - *offset >= 8) {
		memcpy(&block, string.ptr + *offset, 8);
		if (sort_key_take_block(&key, block))
			*offset += 8;
	}
	while (key.bits && *offset < string.len) {
		if (sort_key_add(&key, (unsigned char)string.ptr[*offset]))
			++*offset;
	}
	return key.number;
}

#endif
