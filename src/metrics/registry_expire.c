/*
 * The end of a series, on the control thread:
 *
 *	due       its deadline in the wheel has come and no shard has a newer tick
 *	DYING     its incarnation is gone from all cells, so no known spelling leads to it any more;
 *		  a line that wants it takes the slow path and makes it LIVE again
 *	DEAD      every thread has passed a quiescent point and no cell got a newer tick: out of the
 *		  index
 *	corpse    out of the output order, and no reader is in the family
 *	freed
 *
 * A million may end at once. Each call does a slice of every step, so that neither the control loop
 * nor an ingest thread that wants the lock waits long.
 */
#include "metrics/registry_private.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <sched.h>
#include <stdlib.h>

/*
 * Series that one call takes a step further. A call takes about half a millisecond, since with one CPU
 * for all threads ingest stands still meanwhile.
 */
#define SLICE 512
/* Places in the output order that one call looks at: they are looked at faster. */
#define SWEEP_SLICE 4096
/* Chunks of memory that one call gives back. */
#define CHUNK_SLICE 8
/* What a family costs besides, in places. */
#define SWEEP_FAMILY 8
/* Series worked off in one hold of the lock: a tenth of a millisecond, even where memory is slow. */
#define LOCK_BATCH 64
/*
 * How often, and how long, threads that wait for the lock are offered the CPU before it is taken again:
 * in a flood of births some thread waits at any time.
 */
#define YIELDS_MAX 1000
#define YIELDS_US 100

/* Between series of a long list: lets ingest threads have the lock now and then. */
static void
give_way(struct registry *registry, size_t done)
{
	if (done % LOCK_BATCH)
		return;
	pthread_mutex_unlock(&registry->lock);
	int64_t end_us = clock_mono().us + YIELDS_US;
	for (unsigned i = 0; i < YIELDS_MAX && atomic_load(&registry->waiting); i++) {
		if (clock_mono().us > end_us)
			break;
		sched_yield();
	}
	pthread_mutex_lock(&registry->lock);
}

/* What found no room, or a name taken, may have better luck now. */
static void
note_freed(struct registry *registry)
{
	atomic_fetch_add_explicit(&registry->frees, 1, memory_order_release);
}

static uint32_t
newest_tick(const struct registry *registry, const struct layout *layout,
	    const struct series *series)
{
	uint32_t newest = 0;
	for (unsigned i = 0; i <= registry->threads; i++) {
		const struct cell *cell = series_cell(registry->shards[i], layout, series);
		uint32_t tick = cell ? atomic_load_explicit(&cell->tick, memory_order_relaxed) : 0;
		newest = tick > newest ? tick : newest;
	}
	return newest;
}

/* When a ttl ends a series: so long after its last sample, but not before what is shown at zero first
 * was shown as long with what it has, since a reload may have made the ttl shorter. */
static int64_t
end_us(const struct registry *registry, const struct series *series, int64_t ttl_us)
{
	const struct layout *layout = series_layout(registry, series);
	int64_t by_ttl_us = (int64_t)newest_tick(registry, layout, series) * TICK_US + ttl_us;
	int64_t shown_us = (int64_t)series->birth * TICK_US + 2 * layout->totals.zero_first_us;
	return by_ttl_us > shown_us ? by_ttl_us : shown_us;
}

static bool
is_over(const struct registry *registry, const struct series *series)
{
	int64_t ttl_us = series_ttl_us(series);
	return ttl_us > 0 && (int64_t)registry->tick * TICK_US > end_us(registry, series, ttl_us);
}

/* Puts a series into the wheel for the second after its end. */
static void
arm(struct registry *registry, struct series *series, struct series_life *life)
{
	int64_t ttl_us = atomic_load_explicit(&life->ttl_us, memory_order_relaxed);
	if (ttl_us <= 0) {
		expiry_remove(registry->expiry, &life->node);
		return;
	}
	int64_t end_s = end_us(registry, series, ttl_us) / 1000000;
	expiry_set(registry->expiry, &life->node, (uint64_t)end_s + 1);
}

/* The life of a series that is, or was, in the wheel. */
static struct series_life *
life_of(struct series *series)
{
	return atomic_load_explicit(&series->life, memory_order_relaxed);
}

/* @return whether there are more */
static bool
arm_changed(struct registry *registry)
{
	pthread_mutex_lock(&registry->lock);
	for (size_t done = 0; registry->changed && done < SLICE; done++) {
		struct series_life *life = registry->changed;
		registry->changed = life->next_changed;
		life->is_changed = false;
		arm(registry, life->node.owner, life);
		give_way(registry, done + 1);
	}
	bool has_more = registry->changed;
	pthread_mutex_unlock(&registry->lock);
	return has_more;
}

static void
on_due(void *ctx, struct expiry_node *node)
{
	struct registry *registry = ctx;
	struct series *series = node->owner;
	if (!is_over(registry, series)) {
		arm(registry, series, life_of(series));
		return;
	}
	registry->dying = xgrow(registry->dying, registry->dying_count, &registry->dying_capacity,
				sizeof(*registry->dying));
	registry->dying[registry->dying_count++] = life_of(series);
}

/* Takes the batch of due series away from all threads. */
static void
begin_dying(struct registry *registry)
{
	pthread_mutex_lock(&registry->lock);
	for (size_t i = 0; i < registry->dying_count; i++) {
		struct series *series = registry->dying[i]->node.owner;
		series->state = SERIES_DYING;
		series_set_incarnations(registry, series, INCARNATION_NONE);
		give_way(registry, i + 1);
	}
	registry->dying_births = registry->births;
	pthread_mutex_unlock(&registry->lock);
	registry->dying_since = grace_now(registry->grace);
}

void
registry_on_series_end(struct registry *registry, registry_ended_fn *ended, void *ctx)
{
	registry->ended = ended;
	registry->ended_ctx = ctx;
}

static void
tell_end(const struct registry *registry, const struct family *family, const struct series *series)
{
	static const struct native_view native;
	const struct layout *layout = series_layout(registry, series);
	struct family_view family_view = {
	    .name = family_name(family), .help = SPAN(""), .type = family->type};
	struct series_view series_view = {.labels = series_text(series),
					  .bound_count = layout->bound_count,
					  .bounds = layout->bounds,
					  .bound_texts = layout->bound_texts,
					  .native = layout->native_buckets_max ? &native : NULL,
					  .quantile_count = layout->quantile_count,
					  .quantiles = layout->quantiles,
					  .quantile_texts = layout->quantile_texts};
	registry->ended(registry->ended_ctx, &family_view, &series_view);
}

/* Under the lock: takes a series out of the books; its record stays. */
static void
unregister(struct registry *registry, struct series *series)
{
	struct family *family = series_family(series);
	struct name_set *names = series->names;
	uint64_t hash = series_hash(family, series_text(series));
	if (registry->ended)
		tell_end(registry, family, series);
	index_remove(series_segment(registry, hash), hash, series);
	/* It is in the wheel again when its ttl was changed after it had been found due. */
	expiry_remove(registry->expiry, &life_of(series)->node);
	atomic_fetch_sub_explicit(&registry->series_count[family->type], 1, memory_order_relaxed);
	if (--names->series == 0) {
		index_remove(&registry->name_sets, names->hash, names);
		free(names);
		atomic_fetch_sub_explicit(&registry->metrics_count[family->type], 1,
					  memory_order_relaxed);
	}
	if (--family->series_count == 0) {
		index_remove(&registry->families, family->hash, family);
		atomic_fetch_sub_explicit(&registry->families_count, 1, memory_order_relaxed);
		family->is_gone = true;
		registry->sorted_gone++;
		registry->text_bytes -= family_bytes(family->name_len);
	}
	series_set_scope(registry, series, 0);
	series->state = SERIES_DEAD;
	family->dead++;
	if (family->is_touched)
		return;
	family->is_touched = true;
	family->next_touched = registry->touched;
	registry->touched = family;
}

/* Ends the batch: whatever nobody used since it was taken away dies, the rest lives on. */
static void
finish_dying(struct registry *registry)
{
	bool any_dead = false;
	pthread_mutex_lock(&registry->lock);
	for (size_t i = 0; i < registry->dying_count; i++) {
		struct series *series = registry->dying[i]->node.owner;
		give_way(registry, i + 1);
		/* One whose ttl has changed waits for arm_changed(). */
		bool lives = series->state == SERIES_LIVE || life_of(series)->is_changed ||
			     !is_over(registry, series);
		if (!lives) {
			unregister(registry, series);
			any_dead = true;
			continue;
		}
		series->state = SERIES_LIVE;
		series_set_incarnations(registry, series, series->incarnation);
		arm(registry, series, life_of(series));
	}
	pthread_mutex_unlock(&registry->lock);
	if (any_dead)
		note_freed(registry);
	registry->dying_count = 0;
	free(registry->dying_since);
	registry->dying_since = NULL;
}

/* ---- What the dead leave behind. ---- */

/* Frees what no reader holds and nothing else refers to any more, perhaps the family itself. */
static void
settle(struct registry *registry, struct family *family)
{
	if (family->pins)
		return;
	if (family->graveyard) {
		family->graveyard_end->next_dead = registry->corpses;
		registry->corpses = family->graveyard;
		family->graveyard = NULL;
	}
	if (family->is_gone && !family->is_listed && !family->is_touched)
		family_free(family);
}

void
family_unpinned(struct registry *registry, struct family *family)
{
	settle(registry, family);
}

/*
 * Takes the dead out of a part of a family's output order, keeping their records for readers that are
 * in it. @return places looked at
 */
static size_t
sweep_list(struct family *family, size_t limit)
{
	family_own_list(family);
	struct series_list *list = family->list;
	size_t from = family->sweep_at < list->count ? family->sweep_at : 0;
	size_t kept = from, at = from;
	for (; at < list->count && at - from < limit && family->dead; at++) {
		struct series *series = list->items[at];
		if (series->state != SERIES_DEAD) {
			list->items[kept++] = series;
			continue;
		}
		if (!family->graveyard)
			family->graveyard_end = series;
		series->next_dead = family->graveyard;
		family->graveyard = series;
		family->dead--;
	}
	memmove(&list->items[kept], &list->items[at], (list->count - at) * sizeof(list->items[0]));
	list->count -= at - kept;
	family->sweep_at = kept;
	/* Rather some are arranged twice than any left out. */
	if (family->arranged_to > from)
		family->arranged_to =
		    family->arranged_to > at ? family->arranged_to - (at - kept) : from;
	return at - from;
}

static void
sweep_touched(struct registry *registry)
{
	for (size_t left = SWEEP_SLICE; left && registry->touched;) {
		struct family *family = registry->touched;
		size_t before = family->list->count;
		size_t done = sweep_list(family, left) + SWEEP_FAMILY;
		left -= done < left ? done : left;
		registry->listed -= before - family->list->count;
		if (family->unarranged > family->list->count) {
			registry->unarranged -= family->unarranged - family->list->count;
			family->unarranged = family->list->count;
		}
		if (family->dead)
			continue;
		registry->touched = family->next_touched;
		family->is_touched = false;
		settle(registry, family);
	}
}

/* The same for families. */
static void
sweep_sorted(struct registry *registry)
{
	if (!registry->sorted_gone)
		return;
	size_t from = registry->sorted_sweep_at < registry->sorted_count
			  ? registry->sorted_sweep_at
			  : 0;
	size_t kept = from, at = from;
	struct family **sorted = registry->sorted;
	for (; at < registry->sorted_count && at - from < SWEEP_SLICE; at++) {
		struct family *family = sorted[at];
		if (!family->is_gone) {
			sorted[kept++] = family;
			continue;
		}
		family->is_listed = false;
		registry->sorted_gone--;
		settle(registry, family);
	}
	memmove(&sorted[kept], &sorted[at], (registry->sorted_count - at) * sizeof(*sorted));
	registry->sorted_count -= at - kept;
	registry->sorted_version += at != kept;
	registry->sorted_sweep_at = kept;
	if (registry->arrange_at > from)
		registry->arrange_at =
		    registry->arrange_at > at ? registry->arrange_at - (at - kept) : from;
}

/* Whether nobody can meet a layout any more: it has no series, nor does a thread know it from one.
 */
static bool
is_forgotten(const struct registry *registry, const struct layout *layout)
{
	return !layout->series && layout->rules < registry->rules_forgotten;
}

/* Under the lock. */
static void
release_layout(struct registry *registry, struct layout *layout)
{
	if (--layout->series || layout->is_unused)
		return;
	if (is_forgotten(registry, layout)) {
		layouts_remove(registry->layouts, layout);
		return;
	}
	layout->is_unused = true;
	layout->next_unused = registry->unused;
	registry->unused = layout;
}

void
registry_forget_rules(struct registry *registry, uint64_t rules)
{
	bool any_removed = false;
	registry->rules_forgotten = rules;
	pthread_mutex_lock(&registry->lock);
	struct layout **link = &registry->unused;
	for (size_t done = 0; *link;) {
		struct layout *layout = *link;
		if (!layout->series && !is_forgotten(registry, layout)) {
			link = &layout->next_unused;
		} else {
			*link = layout->next_unused;
			layout->is_unused = false;
			if (!layout->series) {
				layouts_remove(registry->layouts, layout);
				any_removed = true;
			}
		}
		give_way(registry, ++done);
	}
	pthread_mutex_unlock(&registry->lock);
	if (any_removed)
		note_freed(registry);
}

/* Gives back the ids and the memory of dead series. */
static void
free_corpses(struct registry *registry)
{
	if (!registry->corpses)
		return;
	pthread_mutex_lock(&registry->lock);
	for (size_t done = 0; registry->corpses && done < SLICE; done++) {
		struct series *series = registry->corpses;
		registry->corpses = series->next_dead;
		struct layout *layout = series_layout(registry, series);
		series_clear_cells(registry, series);
		struct pool_ids *ids = &registry->ids[layout->pool];
		ids->free =
		    xgrow(ids->free, ids->free_count, &ids->free_capacity, sizeof(*ids->free));
		ids->free[ids->free_count++] = series->id;
		registry->text_bytes -= series->text_len;
		registry->records--;
		release_layout(registry, layout);
		series_free(registry, series);
		give_way(registry, done + 1);
	}
	pthread_mutex_unlock(&registry->lock);
	note_freed(registry);
}

bool
registry_clean(struct registry *registry)
{
	sweep_touched(registry);
	sweep_sorted(registry);
	free_corpses(registry);
	return registry->touched || registry->sorted_gone || registry->corpses;
}

/* Gives memory without records back to the kernel. @return whether there is more */
static bool
free_chunks(struct registry *registry)
{
	for (size_t left = CHUNK_SLICE; left; left--) {
		pthread_mutex_lock(&registry->lock);
		struct slab_chunk *records = slab_take_empty(&registry->slab);
		struct slots_chunk *lives = records ? NULL : slots_take_empty(&registry->lives);
		pthread_mutex_unlock(&registry->lock);
		if (records)
			slab_chunk_free(records);
		else if (lives)
			slots_chunk_free(lives);
		else
			return false;
	}
	return true;
}

/*
 * The births that this call may do a slice for. A pass that arranges has many calls, and a few births
 * take as long as many, so that it begins no round of listing unless the dying wait for it.
 */
static uint64_t
births_wanted(struct registry *registry)
{
	if (!registry->is_arranging)
		return registry_births(registry);
	uint64_t wanted = registry->listing.round_births;
	if (registry->dying_count && registry->dying_births > wanted)
		wanted = registry->dying_births;
	return wanted;
}

/* Whether the batch can end: the dead must be in the output order, or the sweep would look for them in
 * vain. */
static bool
can_finish_dying(struct registry *registry)
{
	return registry->dying_count && registry->dying_births <= registry->listing.births &&
	       grace_has_passed(registry->grace, registry->dying_since);
}

/* Not while births search for their places in what it would change. @return whether there is more */
static bool
clean_between(struct registry *registry)
{
	registry->listing.owes_clean |= registry->listing.is_searching;
	return registry->listing.is_searching || registry_clean(registry);
}

bool
registry_expire(struct registry *registry, uint32_t tick)
{
	registry->tick = tick;
	bool is_listed = registry_list_births(registry, births_wanted(registry));
	/* The wheel stands still until all are in it, or their deadlines would be behind it. */
	bool is_armed = !arm_changed(registry);
	if (can_finish_dying(registry))
		finish_dying(registry);
	bool is_clean = !clean_between(registry);
	is_clean = !registry_arrange(registry) && is_clean;
	is_clean = !free_chunks(registry) && is_clean;
	if (registry->dying_count || !is_armed)
		return true;
	bool is_done = !expiry_advance(registry->expiry, tick / TICKS_PER_SECOND, SLICE, on_due,
				       registry);
	if (registry->dying_count)
		begin_dying(registry);
	return registry->dying_count || !is_done || !is_clean || !is_listed;
}
