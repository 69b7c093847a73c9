#include "metrics/raw_cache.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

#define SIZE_MIN 64

/*
 * Grown when five of eight slots are taken, by a quarter, so that at least half of them are: memory
 * follows the number of spellings closely. At this load fewer than one entry in 1,000 finds its window
 * full.
 */
#define IS_CROWDED(count, size) ((count)*8 >= (size)*5)

/* Of a first area. From here on there are huge pages, of which a table takes whole ones. */
#define SMALL_AREA (XPAGES_HUGE_FROM - 4096)
#define HUGE_PAGE ((size_t)2 << 20)

static size_t
slots_bytes(size_t size)
{
	return (size + RAW_CACHE_WINDOW) * sizeof(struct raw_entry);
}

static size_t
round_up(size_t bytes, size_t unit)
{
	return (bytes + unit - 1) / unit * unit;
}

/* The table of now, at the end of an area that is large enough for `bytes` of it. */
static void
use_area(struct raw_cache *cache, size_t bytes)
{
	char *area = xpages_alloc(bytes);
	char *slots = area + bytes - slots_bytes(cache->size);
	if (cache->area) {
		memcpy(slots, cache->slots, slots_bytes(cache->size));
		xpages_free(cache->area, cache->area_bytes);
	}
	cache->slots = (struct raw_entry *)slots;
	cache->area = area;
	cache->area_bytes = bytes;
}

struct raw_cache *
raw_cache_new(size_t max_entries)
{
	struct raw_cache *cache = xcalloc(1, sizeof(*cache));
	cache->size_max = max_entries * 2 > SIZE_MIN ? max_entries * 2 : SIZE_MIN;
	cache->size = SIZE_MIN;
	size_t most = round_up(slots_bytes(cache->size_max), 4096);
	use_area(cache, most < SMALL_AREA ? most : SMALL_AREA);
	return cache;
}

void
raw_cache_free(struct raw_cache **cache)
{
	if (*cache)
		xpages_free((*cache)->area, (*cache)->area_bytes);
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

void
raw_cache_clear(struct raw_cache *cache)
{
	memset(cache->slots, 0, slots_bytes(cache->size));
	set_count(cache, 0);
}

static size_t
larger_size(const struct raw_cache *cache)
{
	size_t larger = cache->size + (cache->size < 4096 ? cache->size : cache->size / 8 * 2);
	if (slots_bytes(larger) > SMALL_AREA) {
		size_t one_more = round_up(slots_bytes(cache->size) + 1, HUGE_PAGE);
		size_t bytes = slots_bytes(larger) / HUGE_PAGE * HUGE_PAGE;
		bytes = bytes > one_more ? bytes : one_more;
		larger = bytes / sizeof(struct raw_entry) - RAW_CACHE_WINDOW;
	}
	return larger < cache->size_max ? larger : cache->size_max;
}

/* @return the first free slot of a key's window, or NULL */
static struct raw_entry *
free_slot(struct raw_cache *cache, struct hash128 key)
{
	struct raw_entry *slot = raw_cache_home(cache, key);
	for (size_t w = 0; w < RAW_CACHE_WINDOW; w++, slot++) {
		if (!slot->generation)
			return slot;
	}
	return NULL;
}

/*
 * The table grows to the front, so that its entries lie behind where they go. No home moves by more
 * than the table grows: each one that is taken out, in their order, finds a place at or before its
 * old one.
 */
static void
grow(struct raw_cache *cache, raw_cache_stale_fn *is_stale, void *ctx)
{
	size_t size = larger_size(cache), shift = size - cache->size;
	if (slots_bytes(size) > cache->area_bytes)
		use_area(cache, round_up(slots_bytes(cache->size_max), HUGE_PAGE));
	cache->slots -= shift;
	cache->size = size;
	uint64_t kept = 0;
	for (size_t i = shift; i < size + RAW_CACHE_WINDOW; i++) {
		struct raw_entry entry = cache->slots[i];
		if (!entry.generation)
			continue;
		cache->slots[i].generation = 0;
		if (is_stale(ctx, &entry))
			continue;
		struct raw_entry *slot = free_slot(cache, entry.key);
		if (slot) {
			*slot = entry;
			kept++;
		}
	}
	set_count(cache, kept);
}

void
raw_cache_put(struct raw_cache *cache, const struct raw_entry *entry, raw_cache_stale_fn *is_stale,
	      void *ctx)
{
	if (IS_CROWDED(raw_cache_count(cache), cache->size) && cache->size < cache->size_max)
		grow(cache, is_stale, ctx);
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
