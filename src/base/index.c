/*
 * A hash is a fraction of 2^32, and its home the slot at that fraction of the table, whatever the
 * table's size is. Items stand in the order of their homes, at home or behind it (Robin Hood): a
 * search ends where the order says that nothing can follow, and a larger table is filled from one end
 * to the other.
 */
#include "base/index.h"

#include "base/alloc.h"
#include "base/check.h"

#include <stdlib.h>

#define SIZE_MIN 16

static size_t
home_of(const struct index *index, uint32_t hash)
{
	return (uint64_t)hash * index->size >> 32;
}

static size_t
slot_after(const struct index *index, size_t i)
{
	return i + 1 == index->size ? 0 : i + 1;
}

/* How far behind its home the item in a slot stands. */
static size_t
distance(const struct index *index, size_t i)
{
	size_t home = home_of(index, index->slots[i].hash);
	return i >= home ? i - home : i + index->size - home;
}

/* Whether an item that would be `away` slots from its home at slot i may still be there or behind. */
static bool
may_follow(const struct index *index, size_t i, size_t away)
{
	return index->slots[i].item && distance(index, i) >= away;
}

void *
index_find(const struct index *index, uint64_t hash, index_equal_fn *equal, const void *key)
{
	if (!index->count)
		return NULL;
	uint32_t wanted = hash >> 32;
	size_t i = home_of(index, wanted);
	for (size_t away = 0; may_follow(index, i, away); away++) {
		if (index->slots[i].hash == wanted && equal(index->slots[i].item, key))
			return index->slots[i].item;
		i = slot_after(index, i);
	}
	return NULL;
}

void
index_prefetch(const struct index *index, uint64_t hash)
{
	if (index->slots)
		__builtin_prefetch(&index->slots[home_of(index, hash >> 32)]);
}

/* Those behind keep their order when all up to the next free slot move on by one. */
static void
place(struct index *index, struct index_slot slot)
{
	size_t i = home_of(index, slot.hash);
	for (size_t away = 0; may_follow(index, i, away); away++)
		i = slot_after(index, i);
	while (index->slots[i].item) {
		struct index_slot other = index->slots[i];
		index->slots[i] = slot;
		slot = other;
		i = slot_after(index, i);
	}
	index->slots[i] = slot;
}

static void
grow(struct index *index)
{
	struct index larger = {.size = index->size ? index->size + index->size / 4 : SIZE_MIN};
	CHECK(larger.size < UINT32_MAX);
	larger.slots = xcalloc(larger.size, sizeof(*larger.slots));
	for (size_t i = 0; i < index->size; i++) {
		if (index->slots[i].item)
			place(&larger, index->slots[i]);
	}
	larger.count = index->count;
	free(index->slots);
	*index = larger;
}

void
index_add(struct index *index, uint64_t hash, void *item)
{
	if ((index->count + 1) * 5 > index->size * 4)
		grow(index);
	place(index, (struct index_slot){hash >> 32, item});
	index->count++;
}

/* Moves the items behind a hole that are not at home one slot back each. */
static void
close_hole(struct index *index, size_t hole)
{
	for (size_t i = slot_after(index, hole); may_follow(index, i, 1);
	     i = slot_after(index, i)) {
		index->slots[hole] = index->slots[i];
		hole = i;
	}
	index->slots[hole] = (struct index_slot){0};
}

/* The slot that this very item is in, or NULL. */
static struct index_slot *
slot_of(const struct index *index, uint64_t hash, const void *item)
{
	if (!index->count)
		return NULL;
	size_t i = home_of(index, hash >> 32);
	for (size_t away = 0; may_follow(index, i, away); away++) {
		if (index->slots[i].item == item)
			return &index->slots[i];
		i = slot_after(index, i);
	}
	return NULL;
}

bool
index_replace(struct index *index, uint64_t hash, const void *item, void *other)
{
	struct index_slot *slot = slot_of(index, hash, item);
	if (slot)
		slot->item = other;
	return slot;
}

bool
index_remove(struct index *index, uint64_t hash, const void *item)
{
	struct index_slot *slot = slot_of(index, hash, item);
	if (!slot)
		return false;
	close_hole(index, (size_t)(slot - index->slots));
	index->count--;
	return true;
}

void
index_fini(struct index *index)
{
	free(index->slots);
	*index = INDEX_INIT;
}
