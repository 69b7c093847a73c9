/*
 * metrics/native - native histograms: which of their buckets a value is in, and what all threads
 * have counted in them together. Each thread counts in its cell (metrics/histogram) and, what has
 * no room there, in a store of buckets as it is here.
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
/* A position at a schema lower by `steps`, in as many of which pairs of buckets became one, is a key. */
#define NATIVE_STEPS_MAX (NATIVE_SCHEMA_MAX - NATIVE_SCHEMA_MIN)

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

/** @return the key of a position, or of a key after so many more steps */
static inline uint32_t
native_coarsen(uint32_t position, unsigned steps)
{
	uint32_t sign = position & NATIVE_NEGATIVE;
	return sign | (((position ^ sign) + (1u << steps) - 1) >> steps);
}

/* ---- A store of buckets, of one thread. ---- */

struct native;

/** @return an empty one, for keys of any number of steps, freed with free() */
struct native *native_new(void);

/** @return bytes it takes */
size_t native_bytes(const struct native *native);

/**
 * Counts `n` values of a key that has a bucket, or of NATIVE_POSITION_ZERO, which always has one; by the
 * owner.
 *
 * @return false when it has none, or one without room for so many: native_insert() counts them
 */
bool native_count(struct native *native, uint32_t key, uint64_t n);

/**
 * Counts `n` values that native_count() does not; by the owner.
 *
 * @return NULL, or another one that has taken over everything and must replace this one, which may
 *         still be read
 */
struct native *native_insert(struct native *native, uint32_t key, uint64_t n);

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
	size_t part; /* the entries from here on are those of the thread in hand */
	uint64_t zero_before;
	struct native_span *spans;
	size_t span_capacity;
	uint64_t *buckets;
	size_t bucket_capacity;
};

/** Forgets what was added. @steps the fewest that the sum may have */
void native_sum_reset(struct native_sum *sum, unsigned steps);

/**
 * What one thread has is added between begin and end, in any number of pieces whose keys have the same
 * steps; native_sum_restart() forgets those since the beginning.
 */
void native_sum_begin(struct native_sum *sum);
void native_sum_restart(struct native_sum *sum);
/** @key not NATIVE_POSITION_ZERO, for which `zero_count` is */
void native_sum_add_bucket(struct native_sum *sum, uint32_t key, uint64_t count);
void native_sum_add(struct native_sum *sum, const struct native *native);
void native_sum_end(struct native_sum *sum, unsigned steps);

/**
 * Sorts the entries, positive ones first, one for each bucket. Where these are too many, the
 * resolution is halved until they are few enough: of the ways in which client_golang keeps the limit
 * the one that neither forgets nor moves what is zero, and the only one that statsd_exporter uses.
 *
 * @buckets_max at least 1
 */
void native_sum_arrange(struct native_sum *sum, uint32_t buckets_max);

/** @return a store of what is in an arranged sum, freed with free() */
struct native *native_of_sum(const struct native_sum *sum);

/** Ends the sum. @buckets_max as above @out borrows from `sum` */
void native_sum_view(struct native_sum *sum, uint32_t buckets_max, struct native_view *out);
void native_sum_fini(struct native_sum *sum);

#endif
