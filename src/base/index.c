#include "base/index.h"

#include "base/alloc.h"

#include <stdlib.h>

#define SIZE_MIN 16

void *
index_find(const struct index *index, uint64_t hash, index_equal_fn *equal, const void *key)
{
	if (!index->count)
		return NULL;
	size_t mask = index->size - 1;
	for (size_t i = hash & mask; index->slots[i].item; i = (i + 1) & mask) {
		if (index->slots[i].hash == hash && equal(index->slots[i].item, key))
			return index->slots[i].item;
	}
	return NULL;
}

static void
place(struct index *index, struct index_slot slot)
{
	size_t mask = index->size - 1;
	size_t i = slot.hash & mask;
	while (index->slots[i].item)
		i = (i + 1) & mask;
	index->slots[i] = slot;
}

void
index_add(struct index *index, uint64_t hash, void *item)
{
	if (index->count * 3 >= index->size * 2) {
		struct index larger = {.size = index->size ? index->size * 2 : SIZE_MIN};
		larger.slots = xcalloc(larger.size, sizeof(*larger.slots));
		for (size_t i = 0; i < index->size; i++) {
			if (index->slots[i].item)
				place(&larger, index->slots[i]);
		}
		larger.count = index->count;
		free(index->slots);
		*index = larger;
	}
	place(index, (struct index_slot){hash, item});
	index->count++;
}

/* Moves later items of the same run back into the hole, so that none becomes unreachable. */
static void
close_hole(struct index *index, size_t hole)
{
	size_t mask = index->size - 1;
	for (size_t i = (hole + 1) & mask; index->slots[i].item; i = (i + 1) & mask) {
		size_t home = index->slots[i].hash & mask;
		if (((i - home) & mask) >= ((i - hole) & mask)) {
			index->slots[hole] = index->slots[i];
			hole = i;
		}
	}
	index->slots[hole] = (struct index_slot){0};
}

bool
index_remove(struct index *index, uint64_t hash, const void *item)
{
	if (!index->count)
		return false;
	size_t mask = index->size - 1;
	for (size_t i = hash & mask; index->slots[i].item; i = (i + 1) & mask) {
		if (index->slots[i].item != item)
			continue;
		close_hole(index, i);
		index->count--;
		return true;
	}
	return false;
}

void
index_fini(struct index *index)
{
	free(index->slots);
	*index = INDEX_INIT;
}
