/*
 * A hash is a fraction of 2^32, and its home the slot at that fraction of the table, whatever the
 * table's size is. Items stand in the order of their homes, at home or behind it (Robin Hood): a
 * search ends where the order says that nothing can follow, and a table that grows is filled from one
 * end to the other, in place.
 */
#include "base/index.h"

#include "base/alloc.h"
#include "base/check.h"

#include <stdlib.h>
#include <string.h>

#define SIZE_MIN 16
#define SLOT_BYTES sizeof(struct index_slot)

/*
 * A table of so many slots is the end of an area of pages, most of which are never touched, and grows
 * to the front. On the heap, tables that grow would leave holes behind.
 */
#define PAGES_FROM 1024
/* Slots of an area for each of its table's. */
#define AREA_SHARE 4

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
	const struct index_slot *slots = __atomic_load_n(&index->slots, __ATOMIC_RELAXED);
	size_t size = __atomic_load_n(&index->size, __ATOMIC_RELAXED);
	/* Where they do not belong together, or are gone, that fetches nothing of use. */
	__builtin_prefetch(slots + ((hash >> 32) * size >> 32));
}

/* All that index_prefetch() looks at. */
static void
set_table(struct index *index, struct index_slot *slots, size_t size)
{
	__atomic_store_n(&index->slots, slots, __ATOMIC_RELAXED);
	__atomic_store_n(&index->size, size, __ATOMIC_RELAXED);
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

static struct index_slot *
area_of(const struct index *index)
{
	return index->slots + index->size - index->area_size;
}

static void
free_area(struct index *index)
{
	if (index->area_size >= PAGES_FROM)
		xpages_free(area_of(index), index->area_size * SLOT_BYTES);
	else if (index->slots)
		free(area_of(index));
}

/* The table of now, at the end of an area for one that is larger. */
static void
use_area(struct index *index, size_t size)
{
	bool has_pages = size >= PAGES_FROM;
	size_t area_size = has_pages ? size * AREA_SHARE : size;
	struct index_slot *area = has_pages ? xpages_alloc(area_size * SLOT_BYTES)
					    : xcalloc(area_size, SLOT_BYTES);
	struct index_slot *slots = area + area_size - index->size;
	if (index->size)
		memcpy(slots, index->slots, index->size * SLOT_BYTES);
	free_area(index);
	set_table(index, slots, index->size);
	index->area_size = area_size;
}

/* How many items at the start of the table have their homes at its end. */
static size_t
count_wrapped(const struct index *index)
{
	size_t count = 0;
	while (count < index->size && may_follow(index, count, count + 1))
		count++;
	return count;
}

/*
 * The table gets its new slots at the front, and its items move there one after the other. No home
 * moves by more than the table grows, so that none is put behind where it came from, and those that
 * have not moved are in nobody's way.
 */
static void
grow(struct index *index)
{
	size_t old = index->size, size = old ? old + old / 4 : SIZE_MIN, shift = size - old;
	CHECK(size < UINT32_MAX);
	size_t wrapped_count = count_wrapped(index);
	struct index_slot *wrapped = xcalloc(wrapped_count, SLOT_BYTES);
	if (wrapped_count)
		memcpy(wrapped, index->slots, wrapped_count * SLOT_BYTES);
	if (size > index->area_size)
		use_area(index, size);
	set_table(index, index->slots - shift, size);
	for (size_t i = shift; i < size; i++) {
		struct index_slot slot = index->slots[i];
		index->slots[i] = (struct index_slot){0};
		if (slot.item && i >= shift + wrapped_count)
			place(index, slot);
	}
	for (size_t i = 0; i < wrapped_count; i++)
		place(index, wrapped[i]);
	free(wrapped);
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
	free_area(index);
	*index = INDEX_INIT;
}
