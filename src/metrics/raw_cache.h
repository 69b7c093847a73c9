/*
 * metrics/raw_cache - an ingest thread's memory of spellings: from the hash of a sample's name and
 * suffix straight to its series and to what is counted for it.
 *
 * Bounded: when full, an entry is overwritten, which costs a parse and never data. Entries carry a
 * generation; one of another generation than the present is as good as absent.
 */
#ifndef METRICS_RAW_CACHE_H
#define METRICS_RAW_CACHE_H

#include "base/check.h"
#include "base/hash.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct raw_entry {
	struct hash128 key;
	uint32_t id;	      /* of the series, in its pool */
	uint32_t incarnation; /* of the series */
	uint32_t shape;	      /* what a hit does and counts */
	uint32_t generation;  /* 0 = free slot */
};
_Static_assert(sizeof(struct raw_entry) == 32, "two entries a cache line");

struct raw_cache;

/**
 * @max_entries what may be kept without crowding; memory grows as spellings come, up to two slots for
 *		each, rounded up to a power of two
 */
struct raw_cache *raw_cache_new(size_t max_entries);
void raw_cache_free(struct raw_cache **cache);

/** @return the entry, valid until the next put, or NULL */
struct raw_entry *raw_cache_find(const struct raw_cache *cache, struct hash128 key);

/**
 * Adds an entry, or overwrites the one of the same key.
 *
 * @is_stale tells whether an entry's generation is of the past, so that its slot can be taken first
 */
void raw_cache_put(struct raw_cache *cache, const struct raw_entry *entry,
		   bool (*is_stale)(void *ctx, const struct raw_entry *entry), void *ctx);

/** @return entries, stale ones too; any thread */
uint64_t raw_cache_count(const struct raw_cache *cache);

#endif
