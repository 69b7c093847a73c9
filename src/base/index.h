/*
 * base/index - a hash index over items that somebody else owns: open addressing, the hash kept
 * beside the pointer, deletion without tombstones.
 */
#ifndef BASE_INDEX_H
#define BASE_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct index_slot {
	uint64_t hash;
	void *item; /* NULL = free */
};

struct index {
	struct index_slot *slots; /* owned; NULL while empty */
	size_t count, size;	  /* items; slots, a power of two */
};

#define INDEX_INIT ((struct index){0})

/** @return whether `item` is what `key` asks for; hashes are equal already */
typedef bool index_equal_fn(const void *item, const void *key);

/** @return the item or NULL */
void *index_find(const struct index *index, uint64_t hash, index_equal_fn *equal, const void *key);

/** Adds an item (not NULL) that is not in yet. */
void index_add(struct index *index, uint64_t hash, void *item);

/** Takes this very item out; @return whether it was in */
bool index_remove(struct index *index, uint64_t hash, const void *item);

/** Frees the index; the items are their owner's. */
void index_fini(struct index *index);

#endif
