#include "mapping/hash_index.h"

#include "base/alloc.h"
#include "base/check.h"

#include <stdlib.h>

#define SLOTS_MIN 16

static struct hash_index_slot *
new_slots(size_t count)
{
	struct hash_index_slot *slots = xcalloc(count, sizeof(*slots));
	for (size_t i = 0; i < count; i++)
		slots[i].number = HASH_INDEX_NONE;
	return slots;
}

void
hash_index_init(struct hash_index *index)
{
	*index = (struct hash_index){.slots = new_slots(SLOTS_MIN), .mask = SLOTS_MIN - 1};
}

void
hash_index_fini(struct hash_index *index)
{
	free(index->slots);
	*index = (struct hash_index){0};
}

static void
put(struct hash_index *index, uint64_t hash, uint32_t number)
{
	size_t at = hash & index->mask;
	while (index->slots[at].number != HASH_INDEX_NONE)
		at = (at + 1) & index->mask;
	index->slots[at] = (struct hash_index_slot){hash, number};
	index->count++;
}

/*
 * Doubling keeps the order of equal hashes: a run is copied from its start, which is the slot
 * behind a free one, so that a run that wraps around is not cut in the middle.
 */
static void
grow(struct hash_index *index)
{
	struct hash_index old = *index;
	size_t slots = (old.mask + 1) * 2;
	*index = (struct hash_index){.slots = new_slots(slots), .mask = slots - 1};
	size_t start = 0;
	while (old.slots[start].number != HASH_INDEX_NONE)
		start++;
	for (size_t i = 0; i <= old.mask; i++) {
		const struct hash_index_slot *slot = &old.slots[(start + i) & old.mask];
		if (slot->number != HASH_INDEX_NONE)
			put(index, slot->hash, slot->number);
	}
	free(old.slots);
}

void
hash_index_add(struct hash_index *index, uint64_t hash, uint32_t number)
{
	CHECK(number != HASH_INDEX_NONE);
	if ((index->count + 1) * 2 > index->mask + 1)
		grow(index);
	put(index, hash, number);
}
