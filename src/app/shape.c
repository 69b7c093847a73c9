#include "app/shape.h"

#include "base/alloc.h"
#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

void
shape_tally(struct shape *shape, unsigned counter, enum tally_unit unit, uint64_t times)
{
	if (!times)
		return;
	CHECK(shape->tally_count < TALLIES_MAX && counter < ACCOUNT_COUNTERS);
	shape->tallies[shape->tally_count++] = (struct tally){
	    (uint16_t)counter, (uint16_t)unit, times < UINT32_MAX ? (uint32_t)times : UINT32_MAX};
}

void
shape_account(const struct shape *shape, struct account *account, uint64_t lines, uint64_t values,
	      uint64_t events)
{
	const uint64_t units[] = {
	    [TALLY_LINE] = lines, [TALLY_VALUE] = values, [TALLY_EVENT] = events};
	for (unsigned i = 0; i < shape->tally_count; i++) {
		const struct tally *tally = &shape->tallies[i];
		account_add(account, tally->counter, units[tally->unit] * tally->times);
	}
}

/* What a hit reads of a shape is in one. */
#define CACHE_LINE 64

struct shapes *
shapes_new(void)
{
	struct shapes *shapes = xcalloc(1, sizeof(*shapes));
	pthread_mutex_init(&shapes->lock, NULL);
	return shapes;
}

void
shapes_free(struct shapes **slot)
{
	struct shapes *shapes = *slot;
	if (!shapes)
		return;
	for (uint32_t id = 1; id <= shapes_count(shapes); id++)
		free(shapes->entries[id]);
	index_fini(&shapes->index);
	pthread_mutex_destroy(&shapes->lock);
	free(shapes);
	*slot = NULL;
}

static bool
is_same(const void *item, const void *key)
{
	return memcmp(&((const struct shape_entry *)item)->shape, key, sizeof(struct shape)) == 0;
}

static bool
is_unusual(const struct shape *shape)
{
	bool unusual = shape->op < SHAPE_COUNTER || shape->rate_count || shape->weight != 1;
	for (unsigned i = 0; i < shape->tally_count; i++) {
		unsigned counter = shape->tallies[i].counter;
		unusual |= counter == ACCOUNT_TAG_ERRORS ||
			   (counter >= ACCOUNT_SAMPLE_ERRORS && counter < ACCOUNT_TAGS) ||
			   counter >= ACCOUNT_REPLACED_VALUES;
	}
	return unusual;
}

uint32_t
shapes_intern(struct shapes *shapes, const struct shape *shape)
{
	uint64_t hash = hash_bytes64(shape, sizeof(*shape));
	pthread_mutex_lock(&shapes->lock);
	struct shape_entry *entry = index_find(&shapes->index, hash, is_same, shape);
	uint32_t count = shapes_count(shapes);
	bool unusual = is_unusual(shape);
	if (!entry && count < SHAPES_MAX && (!unusual || shapes->unusual < SHAPES_UNUSUAL_MAX)) {
		shapes->unusual += unusual;
		entry = xaligned_calloc(CACHE_LINE, 1, sizeof(*entry));
		memcpy(&entry->shape, shape, sizeof(*shape));
		entry->id = count + 1;
		index_add(&shapes->index, hash, entry);
		atomic_store(&shapes->entries[entry->id], entry);
		atomic_store(&shapes->count, entry->id);
	}
	pthread_mutex_unlock(&shapes->lock);
	return entry ? entry->id : 0;
}

uint32_t
shapes_count(const struct shapes *shapes)
{
	return atomic_load(&shapes->count);
}

struct shape_hits *
shape_hits_new(void)
{
	return xcalloc(SHAPES_MAX + 1, sizeof(struct shape_hits));
}
