/*
 * base/index - a hash index over items that somebody else owns: open addressing, 32 bits of the hash
 * kept beside the pointer, deletion without tombstones.
 *
 * Memory follows the number of items closely, between 15 and 19 bytes for each of many: slots have
 * twelve bytes, and a full table grows by a quarter, not to its double.
 */
#ifndef BASE_INDEX_H
#define BASE_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct index_slot {
	uint32_t hash;
	void *item; /* NULL = free */
} __attribute__((packed, aligned(4)));

struct index {
	struct index_slot *slots; /* NULL while empty */
	size_t count, size;	  /* items; slots */
	size_t area_size;	  /* slots of the memory, owned, whose end the table is */
};

#define INDEX_INIT ((struct index){0})

/** @return whether `item` is what `key` asks for; the upper halves of their hashes are equal already */
typedef bool index_equal_fn(const void *item, const void *key);

/** @hash its upper half is used; @return the item or NULL */
void *index_find(const struct index *index, uint64_t hash, index_equal_fn *equal, const void *key);

/**
 * Fetches what index_find() with this hash will look at first, while the caller does other things. Another
 * thread may change the index meanwhile.
 */
void index_prefetch(const struct index *index, uint64_t hash);

/** Adds an item (not NULL) that is not in yet. */
void index_add(struct index *index, uint64_t hash, void *item);

/** Puts another item of the same hash into the place of this very one; @return whether it was in */
bool index_replace(struct index *index, uint64_t hash, const void *item, void *other);

/** Takes this very item out; @return whether it was in */
bool index_remove(struct index *index, uint64_t hash, const void *item);

/** Frees the index, which is empty then; the items are their owner's. */
void index_fini(struct index *index);

#endif
