/*
 * The end of a series, on the control thread:
 *
 *	due       its deadline in the wheel has come and no shard has a newer tick
 *	DYING     its incarnation is gone from all cells, so no known spelling leads to it any more;
 *		  a line that wants it takes the slow path and makes it LIVE again
 *	DEAD      every thread has passed a quiescent point and no cell got a newer tick: out of the
 *		  index and the output order
 *	freed     no reader is in the family
 */
#include "metrics/registry_private.h"

#include "base/alloc.h"
#include "base/hash.h"

#include <sched.h>
#include <stdlib.h>

#define TICKS_PER_SECOND (1000000 / TICK_US)
/* Series worked off in one hold of the lock: well below a millisecond. */
#define LOCK_BATCH 256

/* Between series of a long list: lets ingest threads have the lock now and then. */
static void
give_way(struct registry *registry, size_t done)
{
	if (done % LOCK_BATCH)
		return;
	pthread_mutex_unlock(&registry->lock);
	sched_yield();
	pthread_mutex_lock(&registry->lock);
}

static uint32_t
newest_tick(const struct registry *registry, const struct series *series)
{
	uint32_t newest = 0;
	for (unsigned i = 0; i <= registry->threads; i++) {
		const struct cell *cell =
		    shard_peek(registry->shards[i], series->pool, series->id);
		uint32_t tick =
		    cell ? atomic_load_explicit(&cell->tick, memory_order_relaxed) : 0;
		newest = tick > newest ? tick : newest;
	}
	return newest;
}

static bool
is_over(const struct registry *registry, const struct series *series)
{
	int64_t ttl_us = atomic_load_explicit(&series->ttl_us, memory_order_relaxed);
	int64_t age_us =
	    ((int64_t)registry->tick - (int64_t)newest_tick(registry, series)) * TICK_US;
	return ttl_us > 0 && age_us > ttl_us;
}

/* Puts a series into the wheel for the second after its ttl, counted from its last sample. */
static void
arm(struct registry *registry, struct series *series)
{
	int64_t ttl_us = atomic_load_explicit(&series->ttl_us, memory_order_relaxed);
	if (ttl_us <= 0) {
		if (series->expiry)
			expiry_remove(registry->expiry, series->expiry);
		return;
	}
	if (!series->expiry) {
		series->expiry = xcalloc(1, sizeof(*series->expiry));
		series->expiry->owner = series;
	}
	uint64_t last_s = newest_tick(registry, series) / TICKS_PER_SECOND;
	expiry_set(registry->expiry, series->expiry, last_s + (uint64_t)ttl_us / 1000000 + 1);
}

static void
arm_changed(struct registry *registry)
{
	pthread_mutex_lock(&registry->lock);
	for (size_t done = 1; registry->changed; done++) {
		struct series *series = registry->changed;
		registry->changed = series->next_changed;
		series->is_changed = false;
		arm(registry, series);
		give_way(registry, done);
	}
	pthread_mutex_unlock(&registry->lock);
}

static void
on_due(void *ctx, struct expiry_node *node)
{
	struct registry *registry = ctx;
	struct series *series = node->owner;
	if (!is_over(registry, series)) {
		arm(registry, series);
		return;
	}
	registry->dying = xgrow(registry->dying, registry->dying_count, &registry->dying_capacity,
				sizeof(struct series *));
	registry->dying[registry->dying_count++] = series;
}

/* Takes the batch of due series away from all threads. */
static void
begin_dying(struct registry *registry)
{
	pthread_mutex_lock(&registry->lock);
	for (size_t i = 0; i < registry->dying_count; i++) {
		registry->dying[i]->state = SERIES_DYING;
		series_set_incarnations(registry, registry->dying[i], INCARNATION_NONE);
		give_way(registry, i + 1);
	}
	pthread_mutex_unlock(&registry->lock);
	registry->dying_since = grace_now(registry->grace);
}

/* Under the lock: takes a series out of the books; its record stays. */
static void
unregister(struct registry *registry, struct series *series)
{
	struct family *family = series->family;
	index_remove(&registry->series, series->hash, series);
	/* It is in the wheel again when its ttl was changed after it had been found due. */
	expiry_remove(registry->expiry, series->expiry);
	atomic_fetch_sub_explicit(&registry->series_count[family->type], 1, memory_order_relaxed);
	if (--series->names->series == 0) {
		index_remove(&registry->name_sets, series->names->hash, series->names);
		free(series->names);
		atomic_fetch_sub_explicit(&registry->metrics_count[family->type], 1,
					  memory_order_relaxed);
	}
	if (--family->series_count == 0) {
		index_remove(&registry->families, family->hash, family);
		atomic_fetch_sub_explicit(&registry->families_count, 1, memory_order_relaxed);
		family->is_gone = true;
		registry->text_bytes -= family_bytes(family->name_len);
	}
	series->state = SERIES_DEAD;
}

/* Drops the dead from a family's output order, keeping their records for readers that are in it. */
static void
bury(struct registry *registry, struct family *family)
{
	family_own_list(family);
	struct series_list *list = family->list;
	size_t kept = 0;
	for (size_t i = 0; i < list->count; i++) {
		struct series *series = list->items[i];
		if (series->state != SERIES_DEAD) {
			list->items[kept++] = series;
			continue;
		}
		family->graveyard = xgrow(family->graveyard, family->grave_count,
					  &family->grave_capacity, sizeof(struct series *));
		family->graveyard[family->grave_count++] = series;
	}
	list->count = kept;
	if (!family->pins)
		family_unpinned(registry, family);
}

static void
remove_gone_families(struct registry *registry)
{
	size_t kept = 0;
	for (size_t i = 0; i < registry->sorted_count; i++) {
		if (!registry->sorted[i]->is_gone)
			registry->sorted[kept++] = registry->sorted[i];
	}
	if (kept != registry->sorted_count)
		registry->sorted_version++;
	registry->sorted_count = kept;
}

/* Ends the batch: whatever nobody used since it was taken away dies, the rest lives on. */
static void
finish_dying(struct registry *registry)
{
	registry_merge_births(registry);
	struct family *touched = NULL;
	bool any_gone = false;
	pthread_mutex_lock(&registry->lock);
	for (size_t i = 0; i < registry->dying_count; i++) {
		struct series *series = registry->dying[i];
		give_way(registry, i + 1);
		if (series->state == SERIES_LIVE || !is_over(registry, series)) {
			series->state = SERIES_LIVE;
			series_set_incarnations(registry, series, series->incarnation);
			arm(registry, series);
			continue;
		}
		unregister(registry, series);
		any_gone |= series->family->is_gone;
		if (!series->family->is_touched) {
			series->family->is_touched = true;
			series->family->next_touched = touched;
			touched = series->family;
		}
	}
	pthread_mutex_unlock(&registry->lock);
	bool any_freed = touched != NULL;
	if (any_gone)
		remove_gone_families(registry);
	while (touched) {
		struct family *next = touched->next_touched;
		touched->is_touched = false;
		bury(registry, touched);
		touched = next;
	}
	if (any_freed)
		atomic_fetch_add_explicit(&registry->frees, 1, memory_order_release);
	registry->dying_count = 0;
	free(registry->dying_since);
	registry->dying_since = NULL;
}

bool
registry_expire(struct registry *registry, uint32_t tick)
{
	registry->tick = tick;
	/* Now and then, so that the scrape after a flood of births finds most of them sorted. */
	registry_merge_births(registry);
	arm_changed(registry);
	if (registry->dying_count) {
		if (!grace_has_passed(registry->grace, registry->dying_since))
			return true;
		finish_dying(registry);
	}
	expiry_advance(registry->expiry, tick / TICKS_PER_SECOND, on_due, registry);
	if (!registry->dying_count)
		return false;
	begin_dying(registry);
	return true;
}
