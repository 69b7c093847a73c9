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

void
shape_hits_account(const struct shape_hits *hits, const struct shape *shape,
		   struct account *account)
{
	uint64_t lines = atomic_load_explicit(&hits->lines, memory_order_relaxed);
	uint64_t values = atomic_load_explicit(&hits->values, memory_order_relaxed);
	uint64_t extra = atomic_load_explicit(&hits->extra_events, memory_order_relaxed);
	if (lines || values)
		shape_account(shape, account, lines, values, values + extra);
}

void
shape_hits_reset(struct shape_hits *hits)
{
	atomic_store_explicit(&hits->lines, 0, memory_order_relaxed);
	atomic_store_explicit(&hits->values, 0, memory_order_relaxed);
	atomic_store_explicit(&hits->extra_events, 0, memory_order_relaxed);
}

/* Entries whose memory is looked at in one hold of the lock. */
#define LOCK_BATCH 256

/* What stands for a shape that was taken away: nothing that is remembered of it is valid. */
static struct shape_entry nothing = {.shape = {.divisor = 1}};

struct shapes *
shapes_new(void)
{
	struct shapes *shapes = xcalloc(1, sizeof(*shapes));
	pthread_mutex_init(&shapes->lock, NULL);
	slots_init(&shapes->slots, sizeof(struct shape_entry));
	shapes->free_ids = xcalloc(SHAPES_MAX, sizeof(*shapes->free_ids));
	shapes->taken = xcalloc(SHAPES_MAX, sizeof(struct shape_entry *));
	return shapes;
}

void
shapes_free(struct shapes **slot)
{
	struct shapes *shapes = *slot;
	if (!shapes)
		return;
	shapes_free_taken(shapes);
	for (uint32_t id = 1; id <= shapes_ids(shapes); id++) {
		struct shape_entry *entry = shapes->entries[id];
		if (entry != &nothing)
			slots_give_back(&shapes->slots, entry);
	}
	slots_fini(&shapes->slots);
	index_fini(&shapes->index);
	pthread_mutex_destroy(&shapes->lock);
	free(shapes->free_ids);
	free(shapes->taken);
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

static uint64_t
hash_of(const struct shape *shape)
{
	return hash_bytes64(shape, sizeof(*shape));
}

/* Under the lock. @return an id that is free, or 0 */
static uint32_t
take_id(struct shapes *shapes)
{
	if (shapes->free_count)
		return shapes->free_ids[--shapes->free_count];
	uint32_t ids = shapes_ids(shapes);
	return ids < SHAPES_MAX ? ids + 1 : 0;
}

/* Under the lock. @return the entry, or NULL when there is no room */
static struct shape_entry *
add(struct shapes *shapes, const struct shape *shape, uint64_t hash)
{
	bool is_more = is_unusual(shape);
	if (is_more && shapes->unusual == SHAPES_UNUSUAL_MAX)
		return NULL;
	uint32_t id = take_id(shapes);
	if (!id)
		return NULL;
	struct shape_entry *entry = slots_take(&shapes->slots);
	memset(entry, 0, sizeof(*entry));
	memcpy(&entry->shape, shape, sizeof(*shape));
	entry->id = id;
	entry->is_unusual = is_more;
	shapes->unusual += is_more;
	index_add(&shapes->index, hash, entry);
	atomic_store(&shapes->entries[id], entry);
	if (id > shapes_ids(shapes))
		atomic_store(&shapes->ids, id);
	atomic_fetch_add(&shapes->count, 1);
	return entry;
}

uint32_t
shapes_intern(struct shapes *shapes, const struct shape *shape, uint64_t rules)
{
	uint64_t hash = hash_of(shape);
	pthread_mutex_lock(&shapes->lock);
	struct shape_entry *entry = index_find(&shapes->index, hash, is_same, shape);
	if (!entry)
		entry = add(shapes, shape, hash);
	if (entry && entry->rules < rules)
		entry->rules = rules;
	pthread_mutex_unlock(&shapes->lock);
	return entry ? entry->id : 0;
}

/* Under the lock. */
static void
take_away(struct shapes *shapes, struct shape_entry *entry)
{
	CHECK(index_remove(&shapes->index, hash_of(&entry->shape), entry));
	shapes->unusual -= entry->is_unusual;
	atomic_store(&shapes->entries[entry->id], &nothing);
	atomic_fetch_sub(&shapes->count, 1);
	shapes->taken[shapes->taken_count++] = entry;
}

bool
shapes_take_away(struct shapes *shapes, uint64_t rules,
		 void (*fold)(void *ctx, uint32_t id, const struct shape *shape), void *ctx)
{
	uint32_t ids = shapes_ids(shapes), from = shapes->taken_count;
	for (uint32_t id = 1; id <= ids;) {
		pthread_mutex_lock(&shapes->lock);
		for (unsigned i = 0; i < LOCK_BATCH && id <= ids; i++, id++) {
			struct shape_entry *entry = shapes->entries[id];
			if (entry != &nothing && entry->rules < rules)
				take_away(shapes, entry);
		}
		pthread_mutex_unlock(&shapes->lock);
	}
	for (uint32_t i = from; i < shapes->taken_count; i++)
		fold(ctx, shapes->taken[i]->id, &shapes->taken[i]->shape);
	return shapes->taken_count > from;
}

void
shapes_free_taken(struct shapes *shapes)
{
	while (shapes->taken_count) {
		pthread_mutex_lock(&shapes->lock);
		for (unsigned i = 0; i < LOCK_BATCH && shapes->taken_count; i++) {
			struct shape_entry *entry = shapes->taken[--shapes->taken_count];
			shapes->free_ids[shapes->free_count++] = (uint16_t)entry->id;
			slots_give_back(&shapes->slots, entry);
		}
		pthread_mutex_unlock(&shapes->lock);
	}
	for (struct slots_chunk *chunk;;) {
		pthread_mutex_lock(&shapes->lock);
		chunk = slots_take_empty(&shapes->slots);
		pthread_mutex_unlock(&shapes->lock);
		if (!chunk)
			break;
		slots_chunk_free(chunk);
	}
}

uint32_t
shapes_count(const struct shapes *shapes)
{
	return atomic_load(&shapes->count);
}

uint32_t
shapes_ids(const struct shapes *shapes)
{
	return atomic_load(&shapes->ids);
}

struct shape_hits *
shape_hits_new(void)
{
	return xcalloc(SHAPES_MAX + 1, sizeof(struct shape_hits));
}
