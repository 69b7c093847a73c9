/*
 * mapping/hash_index - a hash table from 64-bit hashes to numbers, built once and read often.
 *
 * It stores no keys. Where equal hashes do not prove equal keys, the caller compares what the
 * numbers stand for and asks for the next one.
 */
#ifndef MAPPING_HASH_INDEX_H
#define MAPPING_HASH_INDEX_H

#include <stddef.h>
#include <stdint.h>

/* No number; never stored. */
#define HASH_INDEX_NONE UINT32_MAX

struct hash_index_slot {
	uint64_t hash;
	uint32_t number; /* HASH_INDEX_NONE = free */
};

struct hash_index {
	struct hash_index_slot *slots; /* owned */
	size_t mask;                   /* slots - 1, a power of two minus one */
	size_t count;                  /* slots in use, at most half of them */
};

void hash_index_init(struct hash_index *index);
void hash_index_fini(struct hash_index *index);

/** Adds a number; several may share a hash and are then found in the order they were added. */
void hash_index_add(struct hash_index *index, uint64_t hash, uint32_t number);

/**
 * Walks the numbers with this hash.
 *
 * @step starts at 0 and is moved on by each call
 * @return the next number, or HASH_INDEX_NONE
 */
static inline uint32_t
hash_index_next(const struct hash_index *index, uint64_t hash, size_t *step)
{
	for (;;) {
		const struct hash_index_slot *slot =
		    &index->slots[(hash + (*step)++) & index->mask];
		if (slot->number == HASH_INDEX_NONE || slot->hash == hash)
			return slot->number;
	}
}

/** Spreads a small key over 64 bits; different keys never get the same hash. */
static inline uint64_t
hash_index_mix(uint64_t key)
{
	key = (key ^ (key >> 32)) * UINT64_C(0x9e3779b97f4a7c15);
	key = (key ^ (key >> 29)) * UINT64_C(0xd6e8feb86659fd93);
	return key ^ (key >> 32);
}

#endif
