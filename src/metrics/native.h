/*
 * metrics/native - the native histogram of one series as one thread observes it: how many values
 * fell into each exponential bucket.
 *
 * The buckets are those of Prometheus' native histograms
 * (prometheus.io/docs/specs/native_histograms): at schema n, -4 to 8, bucket i is above 2^((i-1) /
 * 2^n) and up to 2^(i / 2^n), upper bound inclusive; negative values have buckets of the same kind,
 * and what is not above 2^-128 is in the zero bucket.
 *
 * Only buckets that were hit are kept. One thread writes; the control thread reads at any time.
 */
#ifndef METRICS_NATIVE_H
#define METRICS_NATIVE_H

#include "metrics/reader.h"

#include "base/check.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define NATIVE_SCHEMA_MIN (-4)
#define NATIVE_SCHEMA_MAX 8
/* What client libraries use where nobody says otherwise: a bound at every schema. */
#define NATIVE_ZERO_THRESHOLD 0x1p-128
/* Most buckets that one histogram is given, whatever is asked for; at the lowest schema there may
 * be NATIVE_BUCKETS_LEAST where fewer are asked for. */
#define NATIVE_BUCKETS_MAX 4096
#define NATIVE_BUCKETS_LEAST 146

/** @return the schema of the largest growth from bucket to bucket that is not above `factor` (> 1),
 * as near as there is one: the rule of client_golang */
int native_schema(double factor);

/* ---- Where a value is. ---- */

/*
 * The position of a value is its bucket at the highest schema, counted from the one above 2^-128,
 * which has number 1; the highest bit says that it is negative.
 */
#define NATIVE_POSITION_ZERO 0u /* the zero bucket */
#define NATIVE_NEGATIVE (1u << 31)

/* Bounds within an octave at the highest schema: the mantissas of 2^(i/256), and one that no value
 * is above. */
#define NATIVE_OCTAVE_BOUNDS 256
extern const uint64_t native_bounds[NATIVE_OCTAVE_BOUNDS + 1];
/* Mantissas begin with 8 bits; so many more bounds than that number are below any that begins so.
 */
extern const uint8_t native_bounds_more[NATIVE_OCTAVE_BOUNDS];

/** @return the position of a finite value */
static inline uint32_t
native_position(double value)
{
	const uint64_t threshold = (UINT64_C(1023) - 128) << 52;
	uint64_t bits;
	memcpy(&bits, &value, sizeof(bits));
	uint64_t magnitude = bits << 1 >> 1;
	if (magnitude <= threshold)
		return NATIVE_POSITION_ZERO;
	uint64_t mantissa = bits << 12 >> 12;
	uint32_t below = (uint32_t)(mantissa >> 44);
	below += native_bounds_more[below];
	/* Bounds are so far apart that at most two begin alike. */
	below += native_bounds[below] < mantissa;
	below += native_bounds[below] < mantissa;
	uint32_t octave = (uint32_t)((magnitude - threshold) >> 52);
	return (uint32_t)(bits >> 63) << 31 | (octave * NATIVE_OCTAVE_BOUNDS + below);
}

/** @return a position, or a key, brought to a schema lower by `steps`: pairs of buckets become one
 */
static inline uint32_t
native_coarsen(uint32_t position, unsigned steps)
{
	uint32_t sign = position & NATIVE_NEGATIVE;
	return sign | (((position ^ sign) + (1u << steps) - 1) >> steps);
}

/* ---- The buckets of one thread. ---- */

/* A bucket; 0 in `key` marks a free slot, which it leaves but once. */
struct native_slot {
	_Atomic uint32_t key; /* its position at the schema of the histogram */
	_Atomic uint64_t count;
};

/*
 * Of two forms the one that takes less memory. Dense: a counter for each bucket from one to
 * another, none of them negative, as durations and sizes have them. Sparse: open addressing, where
 * a bucket's slot is the first from its home on that has its key. Insides: here for the inline
 * functions alone.
 */
struct native {
	_Atomic uint64_t zero_count;
	uint32_t first;  /* key of the first counter */
	uint32_t length; /* counters; 0 = sparse */
	uint32_t used;   /* buckets hit; owner only */
	uint8_t steps;   /* the schema is so far below NATIVE_SCHEMA_MAX */
	uint8_t bits;    /* sparse: 2^bits slots, one in eight free; dense: not 0 */
	union {
		_Atomic uint32_t counters[1];
		struct native_slot slots[1];
	};
};

/**
 * Stands in the place of one that had to leave values out, and lacks them for good. It counts none, so
 * that native_count() leaves them all to others; nobody writes to it or frees it.
 */
extern struct native native_given_up;

/** @return an empty one, freed with free() */
struct native *native_new(int schema);

/** @return bytes it takes */
size_t native_bytes(const struct native *native);

/** @return the slot where a search for a key begins: neighbours next to each other, negative ones
 * half of all slots further on, so that neither side is in the way of the other */
static inline uint32_t
native_home(const struct native *native, uint32_t key)
{
	return (key + (key >> (32 - native->bits))) & ((1u << native->bits) - 1);
}

/** @return the slot that has a key, or the free one where it would be */
static inline struct native_slot *
native_slot_of(struct native *native, uint32_t key)
{
	for (uint32_t at = native_home(native, key);; at++) {
		struct native_slot *slot = &native->slots[at & ((1u << native->bits) - 1)];
		uint32_t have = atomic_load_explicit(&slot->key, memory_order_relaxed);
		if (have == key || !have)
			return slot;
	}
}

/** Adds to a count. Whoever reads the sum also sees what the owner wrote before. */
static inline void
native_add(_Atomic uint64_t *count, uint64_t n)
{
	atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + n,
			      memory_order_release);
}

/**
 * Counts `n` values of a position whose bucket was hit before; by the owner.
 *
 * @return false when it was not or has no room for so many: native_insert() counts them
 */
static inline bool
native_count(struct native *native, uint32_t position, uint64_t n)
{
	uint32_t key = native_coarsen(position, native->steps);
	uint32_t at = key - native->first;
	if (at < native->length) {
		uint32_t before = atomic_load_explicit(&native->counters[at], memory_order_relaxed);
		if (!before || n > UINT32_MAX - before)
			return false;
		atomic_store_explicit(&native->counters[at], before + (uint32_t)n,
				      memory_order_release);
		return true;
	}
	if (position == NATIVE_POSITION_ZERO) {
		native_add(&native->zero_count, n);
		return true;
	}
	if (native->length)
		return false;
	struct native_slot *slot = native_slot_of(native, key);
	if (!atomic_load_explicit(&slot->key, memory_order_relaxed))
		return false;
	native_add(&slot->count, n);
	return true;
}

/*
 * Has the counter of a position fetched from memory, or where the search for it begins.
 */
static PREFETCHING void
native_prefetch(const struct native *native, uint32_t position)
{
	uint32_t key = native_coarsen(position, native->steps), at = key - native->first;
	const void *there = &native->slots[native_home(native, key)];
	__builtin_prefetch(at < native->length ? &native->counters[at] : there, 1);
}

/**
 * Counts `n` values that native_count() does not; by the owner. Where this is one bucket too many,
 * the resolution is halved until they are few enough: of the ways in which client_golang keeps the
 * limit the one that neither forgets nor moves what is zero, and the only one that statsd_exporter
 * uses.
 *
 * @buckets_max 1 to NATIVE_BUCKETS_MAX
 * @return NULL, or another one that has taken over everything and must replace this one, which may
 *         still be read
 */
struct native *native_insert(struct native *native, uint32_t position, uint64_t n,
			     uint32_t buckets_max);

/* ---- The sum over threads; by the control thread. ---- */

struct native_entry {
	uint32_t key;
	uint64_t count;
};

/* Reused between series; zeroed = empty. Owns its memory, see native_sum_fini(). */
struct native_sum {
	unsigned steps;
	uint64_t zero_count;
	struct native_entry *entries;
	size_t count, capacity;
	struct native_span *spans;
	size_t span_capacity;
	uint64_t *buckets;
	size_t bucket_capacity;
};

/** Forgets what was added. @schema the highest that the sum may have */
void native_sum_reset(struct native_sum *sum, int schema);
void native_sum_add(struct native_sum *sum, const struct native *native);
/** Ends the sum. @buckets_max as above @out borrows from `sum` */
void native_sum_view(struct native_sum *sum, uint32_t buckets_max, struct native_view *out);
void native_sum_fini(struct native_sum *sum);

#endif
