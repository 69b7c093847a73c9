#include "metrics/raw_cache.h"

#include "base/alloc.h"

#include <stdlib.h>

#define SIZE_MIN 64

/*
 * Grown when five of eight slots are taken, by a quarter, so that at least half of them are: memory
 * follows the number of spellings closely. At this load fewer than one entry in 1,000 finds its window
 * full.
 */
#define IS_CROWDED(count, size) ((count)*8 >= (size)*5)

static size_t
slots_bytes(size_t size)
{
	return (size + RAW_CACHE_WINDOW) * sizeof(struct raw_entry);
}

struct raw_cache *
raw_cache_new(size_t max_entries)
{
	struct raw_cache *cache = xcalloc(1, sizeof(*cache));
	cache->size_max = max_entries * 2 > SIZE_MIN ? max_entries * 2 : SIZE_MIN;
	cache->size = SIZE_MIN;
	cache->slots = xpages_alloc(slots_bytes(cache->size));
	return cache;
}

void
raw_cache_free(struct raw_cache **cache)
{
	if (*cache)
		xpages_free((*cache)->slots, slots_bytes((*cache)->size));
	free(*cache);
	*cache = NULL;
}

uint64_t
raw_cache_count(const struct raw_cache *cache)
{
	return atomic_load_explicit(&cache->count, memory_order_relaxed);
}

static void
set_count(struct raw_cache *cache, uint64_t count)
{
	atomic_store_explicit(&cache->count, count, memory_order_relaxed);
}

static void
grow(struct raw_cache *cache)
{
	struct raw_entry *old = cache->slots;
	size_t old_size = cache->size;
	size_t larger = old_size + (old_size < 4096 ? old_size : old_size / 4);
	cache->size = larger < cache->size_max ? larger : cache->size_max;
	cache->slots = xpages_alloc(slots_bytes(cache->size));
	uint64_t kept = 0;
	for (size_t i = 0; i < old_size + RAW_CACHE_WINDOW; i++) {
		if (!old[i].generation)
			continue;
		struct raw_entry *slot = raw_cache_home(cache, old[i].key);
		for (size_t w = 0; w < RAW_CACHE_WINDOW; w++, slot++) {
			if (slot->generation)
				continue;
			*slot = old[i];
			kept++;
			break;
		}
	}
	set_count(cache, kept);
	xpages_free(old, slots_bytes(old_size));
}

void
raw_cache_put(struct raw_cache *cache, const struct raw_entry *entry,
	      bool (*is_stale)(void *ctx, const struct raw_entry *entry), void *ctx)
{
	if (IS_CROWDED(raw_cache_count(cache), cache->size) && cache->size < cache->size_max)
		grow(cache);
	struct raw_entry *home = raw_cache_home(cache, entry->key), *stale = NULL;
	for (size_t i = 0; i < RAW_CACHE_WINDOW; i++) {
		struct raw_entry *slot = home + i;
		if (!slot->generation) {
			if (!stale)
				set_count(cache, raw_cache_count(cache) + 1);
			*(stale ? stale : slot) = *entry;
			return;
		}
		if (raw_entry_has_key(slot, entry->key)) {
			*slot = *entry;
			return;
		}
		if (!stale && is_stale(ctx, slot))
			stale = slot;
	}
	if (!stale)
		stale = home + cache->victim++ % RAW_CACHE_WINDOW;
	*stale = *entry;
}
