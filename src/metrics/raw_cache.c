#include "metrics/raw_cache.h"

#include "base/alloc.h"

#include <stdatomic.h>
#include <stdlib.h>

/* An entry stands within this many slots of its home, or is not in. */
#define WINDOW 16
#define SIZE_MIN 64

struct raw_cache {
	struct raw_entry *slots;
	size_t size; /* a power of two */
	size_t size_max;
	_Atomic uint64_t count;
	uint64_t victim; /* where in a full window the next entry is overwritten */
};

static size_t
power_of_two(size_t at_least)
{
	size_t size = SIZE_MIN;
	while (size < at_least)
		size *= 2;
	return size;
}

static struct raw_entry *
slots_new(size_t size)
{
	return xaligned_calloc(64, size, sizeof(struct raw_entry));
}

struct raw_cache *
raw_cache_new(size_t max_entries)
{
	struct raw_cache *cache = xcalloc(1, sizeof(*cache));
	cache->size_max = power_of_two(max_entries * 2);
	cache->size = SIZE_MIN;
	cache->slots = slots_new(cache->size);
	return cache;
}

void
raw_cache_free(struct raw_cache **cache)
{
	if (*cache)
		free((*cache)->slots);
	free(*cache);
	*cache = NULL;
}

static bool
is_key(const struct raw_entry *entry, struct hash128 key)
{
	return entry->key.low == key.low && entry->key.high == key.high;
}

struct raw_entry *
raw_cache_find(const struct raw_cache *cache, struct hash128 key)
{
	size_t mask = cache->size - 1;
	for (size_t i = 0; i < WINDOW; i++) {
		struct raw_entry *entry = &cache->slots[(key.low + i) & mask];
		if (is_key(entry, key) && entry->generation)
			return entry;
		if (!entry->generation)
			return NULL;
	}
	return NULL;
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
	cache->size *= 2;
	cache->slots = slots_new(cache->size);
	size_t mask = cache->size - 1;
	uint64_t kept = 0;
	for (size_t i = 0; i < old_size; i++) {
		if (!old[i].generation)
			continue;
		for (size_t w = 0; w < WINDOW; w++) {
			struct raw_entry *slot = &cache->slots[(old[i].key.low + w) & mask];
			if (slot->generation)
				continue;
			*slot = old[i];
			kept++;
			break;
		}
	}
	set_count(cache, kept);
	free(old);
}

void
raw_cache_put(struct raw_cache *cache, const struct raw_entry *entry,
	      bool (*is_stale)(void *ctx, const struct raw_entry *entry), void *ctx)
{
	if (raw_cache_count(cache) * 2 >= cache->size && cache->size < cache->size_max)
		grow(cache);
	size_t mask = cache->size - 1;
	struct raw_entry *stale = NULL;
	for (size_t i = 0; i < WINDOW; i++) {
		struct raw_entry *slot = &cache->slots[(entry->key.low + i) & mask];
		if (!slot->generation) {
			if (!stale)
				set_count(cache, raw_cache_count(cache) + 1);
			*(stale ? stale : slot) = *entry;
			return;
		}
		if (is_key(slot, entry->key)) {
			*slot = *entry;
			return;
		}
		if (!stale && is_stale(ctx, slot))
			stale = slot;
	}
	if (!stale)
		stale = &cache->slots[(entry->key.low + cache->victim++ % WINDOW) & mask];
	*stale = *entry;
}
