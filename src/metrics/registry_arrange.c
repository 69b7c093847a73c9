/*
 * Series are born in any order and read in output order, each a few cache misses away from the one
 * before. A pass over all families copies the records into new memory in output order; what is left
 * of the old memory goes back to the kernel. The index, the family's list and the series' life are
 * all that points to a record between calls, and readers, whose families wait.
 */
#include "metrics/registry_private.h"

#include "base/check.h"

#include <string.h>

/* Records that one call moves: about half a millisecond. */
#define SLICE 1024
/* What a family costs besides, in records. */
#define FAMILY_COST 1
/* Records moved in one hold of the lock. */
#define LOCK_BATCH 256
/* A pass is due when one of so many is out of order: while births come, so that each has few moved... */
#define UNARRANGED_SHARE 4
/* ... and when none came for so long, so that little is left as it is for good. */
#define REST_SHARE 16
#define REST_TICKS TICKS_PER_SECOND
/* One is due, too, when one in so many bytes of memory is unused: while births come, and at rest. The
 * ends of chunks are unused for ever, up to an eighth. */
#define HOLES 2
#define REST_HOLES 6
/* Of a record and its text; behind it the processor foresees the rest by itself. */
#define PREFETCH_MAX 256
#define CACHE_LINE 64

/* Under the lock. @return where the record is now */
static struct series *
move(struct registry *registry, struct series *series, uint64_t hash)
{
	/* The dead are on their way out, and of no index. */
	if (series->state == SERIES_DEAD)
		return series;
	size_t size = series_bytes(series->text_len);
	struct series *moved = slab_alloc(&registry->slab, SLAB_ARRANGED, size);
	memcpy(moved, series, size);
	CHECK(index_replace(series_segment(registry, hash), hash, series, moved));
	struct series_life *life = atomic_load_explicit(&moved->life, memory_order_relaxed);
	if (life)
		life->node.owner = moved;
	slab_free(&registry->slab, series, size);
	return moved;
}

static PREFETCHING void
prefetch_records(struct series *const *items, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		for (size_t at = 0; at < PREFETCH_MAX; at += CACHE_LINE)
			__builtin_prefetch((const char *)items[i] + at);
	}
}

/* Replaces the items by their new places. Each loop is a kind of cache miss that overlaps. */
static void
arrange_batch(struct registry *registry, const struct family *family, struct series **items,
	      size_t count)
{
	uint64_t hashes[LOCK_BATCH];
	prefetch_records(items, count);
	for (size_t i = 0; i < count; i++)
		hashes[i] = series_hash(family, series_text(items[i]));
	pthread_mutex_lock(&registry->lock);
	for (size_t i = 0; i < count; i++)
		index_prefetch(series_segment(registry, hashes[i]), hashes[i]);
	for (size_t i = 0; i < count; i++)
		items[i] = move(registry, items[i], hashes[i]);
	pthread_mutex_unlock(&registry->lock);
}

/* Begins with a family that the pass has come to. */
static void
enter_family(struct registry *registry, struct family *family)
{
	family->pass = registry->pass;
	family->arranged_to = 0;
	if (!registry->compacts &&
	    family->unarranged * registry->unarranged_share <= family->list->count) {
		family->arranged_to = family->list->count;
		return;
	}
	registry->unarranged -= family->unarranged;
	family->unarranged = 0;
}

/* @return records looked at */
static size_t
arrange_family(struct registry *registry, struct family *family, size_t limit)
{
	if (family->pass != registry->pass)
		enter_family(registry, family);
	struct series_list *list = family->list;
	CHECK(list->references == 1);
	size_t done = 0;
	while (family->arranged_to < list->count && done < limit) {
		size_t count = list->count - family->arranged_to;
		count = count < LOCK_BATCH ? count : LOCK_BATCH;
		arrange_batch(registry, family, list->items + family->arranged_to, count);
		family->arranged_to += count;
		done += count;
	}
	return done;
}

static bool
is_pass_due(struct registry *registry)
{
	bool rests = registry->tick - registry->listed_tick >= REST_TICKS;
	registry->unarranged_share = rests ? REST_SHARE : UNARRANGED_SHARE;
	pthread_mutex_lock(&registry->lock);
	registry->compacts = slab_is_sparse(&registry->slab, rests ? REST_HOLES : HOLES);
	pthread_mutex_unlock(&registry->lock);
	return registry->compacts ||
	       registry->unarranged * registry->unarranged_share > registry->listed;
}

/* Whether a pass is under way, or begins now. */
static bool
begin_pass(struct registry *registry)
{
	if (registry->is_arranging)
		return true;
	registry->is_arranging = is_pass_due(registry);
	registry->arrange_at = 0;
	registry->pass += registry->is_arranging;
	return registry->is_arranging;
}

bool
registry_arrange(struct registry *registry)
{
	if (!begin_pass(registry))
		return false;
	for (size_t left = SLICE; left;) {
		if (registry->arrange_at >= registry->sorted_count) {
			/* Between two passes births are listed, however closely these follow. */
			registry->is_arranging = false;
			return is_pass_due(registry);
		}
		struct family *family = registry->sorted[registry->arrange_at];
		if (family->pins)
			return false;
		size_t done = arrange_family(registry, family, left) + FAMILY_COST;
		left -= done < left ? done : left;
		registry->arrange_at += family->arranged_to == family->list->count;
	}
	return true;
}
