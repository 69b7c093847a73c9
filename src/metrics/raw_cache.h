/*
 * metrics/raw_cache - an ingest thread's memory of spellings: from the hash of a sample's name and
 * suffix straight to its series and to what is counted for it.
 *
 * Bounded: when full, an entry is overwritten, which costs a parse and never data. Entries carry a
 * generation; one of another generation than the present is as good as absent, and left behind when
 * the table grows.
 *
 * A table grows a little with each put, so that no line waits for all of its entries to move: those
 * whose keys are the lowest stand in the larger table first.
 */
#ifndef METRICS_RAW_CACHE_H
#define METRICS_RAW_CACHE_H

#include "base/check.h"
#include "base/hash.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct raw_entry {
	struct hash128 key;
	/* Address of the series' cell in this thread's shard, or the gauges'; 0 = there is no series.
	 * The upper bits of an address in user space are zeros. */
	uint64_t cell : 48;
	uint64_t shape : 16;  /* what a hit does and counts */
	uint32_t incarnation; /* of the series */
	/* Whoever adds the entry says whether a look at the line's ends is enough to know its key. */
	uint32_t is_plain : 1;
	uint32_t generation : 31; /* 0 = free slot */
};
_Static_assert(sizeof(struct raw_entry) == 32, "two entries a cache line");

/* An entry stands within this many slots of its home, or is not in. */
#define RAW_CACHE_WINDOW 32

struct raw_table {
	struct raw_entry *slots; /* size + RAW_CACHE_WINDOW of them, the end of an area */
	size_t size;		 /* even */
};

/* Address space, most of it untouched; owned. */
struct raw_area {
	char *bytes;
	size_t len;
};

struct raw_cache {
	/* Keys below `moved_below` stand in the second, the larger table; others, which is all while
	 * nothing grows, in the first. Two tables in one area end together and overlap. */
	struct raw_table tables[2];
	uint64_t moved_below;
	size_t moved_slots; /* the first of these in the first table have been moved */
	size_t size_max;    /* even */
	struct raw_area area, area_before; /* the latter while its table grows into the former */
	_Atomic uint64_t count;
	uint64_t victim; /* where in a full window the next entry is overwritten */
};

/**
 * @max_entries what may be kept without crowding; memory grows in small steps as spellings come, by at
 *		most two slots for each, and a huge page
 */
struct raw_cache *raw_cache_new(size_t max_entries);
void raw_cache_free(struct raw_cache **cache);

/** Forgets all. */
void raw_cache_clear(struct raw_cache *cache);

static inline struct raw_entry *
raw_table_home(const struct raw_table *table, struct hash128 key)
{
	return &table->slots[((unsigned __int128)key.low * table->size >> 64) & ~(uint64_t)1];
}

/**
 * @return a key's home, the first slot of a cache line, to be fetched ahead; valid until the next put.
 *         Homes keep the order of keys whatever the size, so that growing is one pass, in place.
 */
static inline struct raw_entry *
raw_cache_home(const struct raw_cache *cache, struct hash128 key)
{
	/* A branch, so that the address waits for no comparison. */
	if (UNLIKELY(key.low < cache->moved_below))
		return raw_table_home(&cache->tables[1], key);
	return raw_table_home(&cache->tables[0], key);
}

static inline bool
raw_entry_has_key(const struct raw_entry *entry, struct hash128 key)
{
	return ((entry->key.low ^ key.low) | (entry->key.high ^ key.high)) == 0;
}

/**
 * @home   raw_cache_home() of the key; no put has been since
 * @return the entry, valid until the next put, or NULL
 */
static inline struct raw_entry *
raw_cache_find_from(struct raw_entry *home, struct hash128 key)
{
	/* Which of the two in the first line it is takes no guess. */
	struct raw_entry *entry = home + raw_entry_has_key(home + 1, key);
	if (LIKELY(raw_entry_has_key(entry, key) && entry->generation))
		return entry;
	entry = home;
	for (size_t i = 0; i < RAW_CACHE_WINDOW && entry->generation; i++, entry++) {
		if (raw_entry_has_key(entry, key))
			return entry;
	}
	return NULL;
}

/** @return the entry, valid until the next put, or NULL */
static inline struct raw_entry *
raw_cache_find(const struct raw_cache *cache, struct hash128 key)
{
	return raw_cache_find_from(raw_cache_home(cache, key), key);
}

/** @return whether an entry's generation is of the past, so that its slot can be taken first */
typedef bool raw_cache_stale_fn(void *ctx, const struct raw_entry *entry);

/** Adds an entry, or overwrites the one of the same key. */
void raw_cache_put(struct raw_cache *cache, const struct raw_entry *entry,
		   raw_cache_stale_fn *is_stale, void *ctx);

/** @return entries, with those stale ones that still are in their slots; any thread */
uint64_t raw_cache_count(const struct raw_cache *cache);

#endif
