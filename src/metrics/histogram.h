/*
 * metrics/histogram - the cell of a histogram: how many values fell into each of its buckets, and
 * into each of its native ones.
 *
 * Nearly all values touch two cache lines that are known before the cell is: the counters in it are
 * narrow, and what makes one overflow moves what it has to a wide one outside. Native buckets have
 * narrow counters from one key on, the window, which is laid around what comes first and moves, now
 * and then, to where most values are; those outside of it, and negative ones, are counted in a store
 * of their own (metrics/native).
 *
 * The shard's owner writes; the control thread reads at any time, and again when counts moved
 * meanwhile. Where they move all the time, it makes the owner wait for it.
 */
#ifndef METRICS_HISTOGRAM_H
#define METRICS_HISTOGRAM_H

#include "metrics/native.h"
#include "metrics/shard.h"

/* Native buckets with narrow counters. */
#define HISTOGRAM_WINDOW 128u
/* The window begins at a multiple of it. */
#define HISTOGRAM_WINDOW_STEP 16u
/* In the place of the window's beginning: the native histogram had to leave values out. */
#define HISTOGRAM_GIVEN_UP UINT16_MAX

struct histogram_wide;

/* Insides: here for the inline functions alone. */
struct histogram_cell {
	struct cell cell;
	_Atomic double sum;
	double carry; /* fraction of a sampled observation not yet applied; owner only */
	_Atomic(struct histogram_wide *) wide; /* NULL = nothing was moved there yet */
	_Atomic uint16_t moves;                /* odd while counts move */
	_Atomic uint16_t window;    /* 1 + its first key / HISTOGRAM_WINDOW_STEP; 0 = none yet */
	uint16_t used;              /* native buckets hit, all of them; owner only */
	_Atomic uint8_t halvings;   /* of the native resolution since the series' birth */
	_Atomic uint8_t zero;       /* narrow counter of the native zero bucket */
	_Atomic uint16_t buckets[]; /* layout->bound_count + 1, not cumulative */
	/* From layout->narrow_at on: a narrow counter for each key of the window, at that key
	 * modulo HISTOGRAM_WINDOW. One that is 0 was not hit. */
};

/** @return where in the cell of a histogram with so many bounds the narrow native counters begin */
size_t histogram_narrow_at(size_t bound_count);

/** @return bytes of a cell: a multiple of the alignment of pointers */
size_t histogram_cell_bytes(const struct layout *layout);

/* Where a value goes in histograms of a layout. */
struct histogram_place {
	uint32_t bucket;
	uint32_t key; /* of the native bucket, if there is one, at the layout's resolution */
};

/** @return the place of a finite value */
static inline struct histogram_place
histogram_place(const struct layout *layout, double value)
{
	return (struct histogram_place){
	    .bucket = (uint32_t)layout_bucket(layout, value),
	    .key = layout->native_buckets_max
		       ? native_coarsen(native_position(value), layout->native_steps)
		       : NATIVE_POSITION_ZERO,
	};
}

/** @return a narrow native counter, of the key that is in the window or would be */
static inline _Atomic uint8_t *
histogram_narrow(const struct cell *cell, const struct layout *layout, uint32_t key)
{
	uintptr_t counters = (uintptr_t)cell + layout->narrow_at;
	return (_Atomic uint8_t *)(counters + key % HISTOGRAM_WINDOW);
}

/** Has fetched from memory what a value at this place will touch of a cell. */
static PREFETCHING void
histogram_prefetch(const struct cell *cell, const struct layout *layout,
		   struct histogram_place place)
{
	__builtin_prefetch(cell, 1);
	__builtin_prefetch(&((const struct histogram_cell *)cell)->buckets[place.bucket], 1);
	/* The resolution of most is still the one of their birth. */
	if (layout->native_buckets_max)
		__builtin_prefetch(histogram_narrow(cell, layout, place.key), 1);
}

/** Counts values in a classic bucket whose narrow counter overflows; see histogram_observe(). */
void histogram_move_bucket(struct shard *shard, struct histogram_cell *cell,
			   const struct layout *layout, uint32_t bucket, uint64_t count);

/** Counts values in the native histogram that no narrow counter can take; see histogram_observe().
 * @key at the cell's resolution */
void histogram_observe_native(struct shard *shard, struct histogram_cell *cell,
			      const struct layout *layout, uint32_t key, uint64_t count);

/** @return the narrow counter of a key, or NULL where it is not in the window */
static inline _Atomic uint8_t *
histogram_counter(struct histogram_cell *cell, const struct layout *layout, uint32_t key)
{
	if (key == NATIVE_POSITION_ZERO)
		return &cell->zero;
	/* Without a window all counters are 0, so it does not matter where it seems to be. */
	uint32_t window = atomic_load_explicit(&cell->window, memory_order_relaxed);
	bool is_in = key - (window - 1) * HISTOGRAM_WINDOW_STEP < HISTOGRAM_WINDOW;
	return is_in ? histogram_narrow(&cell->cell, layout, key) : NULL;
}

/**
 * Observes `value` (finite) `count` times.
 *
 * @shard the cell's, for memory that has to be retired
 * @place of the value
 */
static inline void
histogram_observe(struct shard *shard, struct histogram_cell *cell, const struct layout *layout,
		  struct histogram_place place, double value, uint64_t count)
{
	uint64_t before = atomic_load_explicit(&cell->buckets[place.bucket], memory_order_relaxed);
	/* Released, like all counts: who reads one also sees what was written before. */
	if (LIKELY(count <= UINT16_MAX - before))
		atomic_store_explicit(&cell->buckets[place.bucket], (uint16_t)(before + count),
				      memory_order_release);
	else
		histogram_move_bucket(shard, cell, layout, place.bucket, count);
	cell_add_clamped(&cell->sum, value * (double)count);
	if (!layout->native_buckets_max)
		return;
	/* After the classic bucket: who reads the other way round finds no value in this one only.
	 */
	unsigned halvings = atomic_load_explicit(&cell->halvings, memory_order_relaxed);
	uint32_t key = native_coarsen(place.key, halvings);
	_Atomic uint8_t *counter = histogram_counter(cell, layout, key);
	before = counter ? atomic_load_explicit(counter, memory_order_relaxed) : 0;
	if (LIKELY(before && count <= UINT8_MAX - before))
		atomic_store_explicit(counter, (uint8_t)(before + count), memory_order_release);
	else
		histogram_observe_native(shard, cell, layout, key, count);
}

/**
 * Adds what a cell has in its classic buckets; by the control thread.
 *
 * @shard  the cell's
 * @totals layout->bound_count + 1
 * @room   as many, to be written
 */
void histogram_read_buckets(struct shard *shard, const struct histogram_cell *cell,
			    const struct layout *layout, uint64_t *totals, uint64_t *room);

/**
 * Adds what a cell has in its native histogram; by the control thread.
 *
 * @shard the cell's
 * @return false, with nothing added, when that was given up for want of memory: it lacks values
 */
bool histogram_read_native(struct shard *shard, const struct histogram_cell *cell,
			   const struct layout *layout, struct native_sum *sum);

/** Frees what a cell owns; the caller zeroes it. By whoever may clear cells, see shard_clear(). */
void histogram_fini(struct shard *shard, struct histogram_cell *cell, const struct layout *layout);

#endif
