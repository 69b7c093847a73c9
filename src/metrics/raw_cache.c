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

/*
 * Slots that one put moves, and those up to the next free one: a batch of new spellings waits for some
 * ten microseconds, and the table has grown before it has got a fiftieth more entries.
 */
#define MOVED_AT_ONCE 128

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

static void
area_alloc(struct raw_area *area, size_t len)
{
	*area = (struct raw_area){xpages_alloc(len), len};
}

static void
area_free(struct raw_area *area)
{
	if (area->bytes)
		xpages_free(area->bytes, area->len);
	*area = (struct raw_area){0};
}

static struct raw_table
table_at_end(const struct raw_area *area, size_t size)
{
	char *slots = area->bytes + area->len - slots_bytes(size);
	return (struct raw_table){(struct raw_entry *)slots, size};
}

struct raw_cache *
raw_cache_new(size_t max_entries)
{
	struct raw_cache *cache = xcalloc(1, sizeof(*cache));
	cache->size_max = max_entries * 2 > SIZE_MIN ? max_entries * 2 : SIZE_MIN;
	size_t most = round_up(slots_bytes(cache->size_max), 4096);
	area_alloc(&cache->area, most < SMALL_AREA ? most : SMALL_AREA);
	cache->tables[0] = table_at_end(&cache->area, SIZE_MIN);
	return cache;
}

void
raw_cache_free(struct raw_cache **cache)
{
	if (*cache) {
		area_free(&(*cache)->area);
		area_free(&(*cache)->area_before);
	}
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

static size_t
larger_size(const struct raw_cache *cache)
{
	size_t size = cache->tables[0].size;
	size_t larger = size + (size < 4096 ? size : size / 8 * 2);
	if (slots_bytes(larger) > SMALL_AREA) {
		size_t one_more = round_up(slots_bytes(size) + 1, HUGE_PAGE);
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

static bool
is_growing(const struct raw_cache *cache)
{
	return cache->tables[1].size > 0;
}

static void
start_growing(struct raw_cache *cache)
{
	size_t size = larger_size(cache);
	if (slots_bytes(size) > cache->area.len) {
		cache->area_before = cache->area;
		area_alloc(&cache->area, round_up(slots_bytes(cache->size_max), HUGE_PAGE));
	}
	cache->tables[1] = table_at_end(&cache->area, size);
}

static void
use_larger(struct raw_cache *cache)
{
	cache->tables[0] = cache->tables[1];
	cache->tables[1] = (struct raw_table){0};
	cache->moved_below = cache->moved_slots = 0;
}

void
raw_cache_clear(struct raw_cache *cache)
{
	if (is_growing(cache))
		use_larger(cache);
	area_free(&cache->area_before);
	memset(cache->tables[0].slots, 0, slots_bytes(cache->tables[0].size));
	set_count(cache, 0);
}

/* From the old table; the cache knows already that the key is at home in the new one. */
static void
move_entry(struct raw_cache *cache, struct raw_entry *old, raw_cache_stale_fn *is_stale, void *ctx)
{
	struct raw_entry entry = *old;
	if (!entry.generation)
		return;
	old->generation = 0;
	struct raw_entry *slot = is_stale(ctx, &entry) ? NULL : free_slot(cache, entry.key);
	if (slot)
		*slot = entry;
	else
		set_count(cache, raw_cache_count(cache) - 1);
}

/* @return the first home that is not before a slot */
static size_t
next_home(size_t slot)
{
	return (slot + 1) & ~(size_t)1;
}

/* @return the lowest key that is at home there, in a table that has more homes */
static uint64_t
first_key(size_t home, size_t size)
{
	return (uint64_t)((((unsigned __int128)home << 64) + size - 1) / size);
}

/*
 * The table grows to the front, so that its entries lie behind where they go. No home moves by more
 * than the table grows: each entry that is taken out, in their order, finds a place at or before its
 * old one.
 *
 * What is moved ends before a free slot: entries behind it have their homes behind it too, and none of
 * them is looked for by way of a slot that has become free. A put may take that slot, or ones behind it
 * when it is taken, for a key that was moved; such an entry is moved once more, with its neighbours.
 */
static void
grow_some(struct raw_cache *cache, raw_cache_stale_fn *is_stale, void *ctx)
{
	struct raw_table old = cache->tables[0];
	size_t from = cache->moved_slots, to = from, end = old.size + RAW_CACHE_WINDOW;
	while (to < end && (to - from < MOVED_AT_ONCE || next_home(to) >= old.size ||
			    old.slots[to].generation))
		to++;
	if (to < end) {
		cache->moved_below = first_key(next_home(to), old.size);
		cache->moved_slots = to;
	} else {
		use_larger(cache);
	}
	for (size_t i = from; i < to; i++)
		move_entry(cache, &old.slots[i], is_stale, ctx);
	if (to == end)
		area_free(&cache->area_before);
}

void
raw_cache_put(struct raw_cache *cache, const struct raw_entry *entry, raw_cache_stale_fn *is_stale,
	      void *ctx)
{
	size_t size = cache->tables[0].size;
	if (!is_growing(cache) && size < cache->size_max &&
	    IS_CROWDED(raw_cache_count(cache), size))
		start_growing(cache);
	if (is_growing(cache))
		grow_some(cache, is_stale, ctx);
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
