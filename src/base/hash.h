/*
 * base/hash - keyed hashes over bytes. The only place that knows xxHash.
 *
 * The key is random per process, so that a peer cannot choose names that collide. 128 bits are
 * compared without comparing the bytes: with n keys the odds of any false match are n*n / 2^129.
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

struct hash128 {
	uint64_t low, high;
};

/**
 * Draws the process's random key. Call once, before threads start; without it hashes use a fixed
 * key, which is what tests want.
 */
void hash_init(void);

/** XXH3, 128 bits, over `len` bytes with the process's first secret of 192 bytes. */
struct hash128 hash_bytes128(const void *bytes, size_t len);

/**
 * One hash for two texts that belong together, which need not be copied into one: XXH3, 128 bits, of
 * each with a secret of its own, added up.
 */
struct hash128 hash_pair128(const void *first, size_t first_len, const void *second,
			    size_t second_len);

/** @return hash_pair128() of a text whose hash_bytes128() is `first`, and of a second one */
struct hash128 hash_pair128_from(struct hash128 first, const void *second, size_t second_len);

/** XXH3, 64 bits, the secret of hash_bytes128(). */
uint64_t hash_bytes64(const void *bytes, size_t len);

#endif
