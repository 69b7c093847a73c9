/*
 * metrics/shard - the values of series, in cells: one shard per ingest thread for counters,
 * histograms and summaries, and one more, shared by all threads, for gauges.
 *
 * A cell is found by pool and id. Its owner is the only writer of its value (relaxed stores); scrapes
 * read it from the control thread at any time and add the shards up. Cells live in chunks that are
 * made when the owner first touches them and never move.
 *
 * Incarnations: ids are reused, by series of other layouts too, so each cell says which series it
 * holds at present. Whoever keeps an id also keeps the incarnation it had; shard_find() fails when
 * they differ, which also is how a series is taken away from all threads at once. Incarnations are
 * written under the registry's lock only.
 */
#ifndef METRICS_SHARD_H
#define METRICS_SHARD_H

#include "base/check.h"
#include "metrics/layout.h"
#include "metrics/reader.h"

#include <float.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

/*
 * Most bytes that the windows of one shard's summaries may take. Beyond, observations count in sums and
 * counts but not in quantiles, until windows have passed.
 */
#define SHARD_WINDOW_BYTES_MAX (512ll << 20)

/*
 * The same for what native histograms have outside of their cells. Beyond, one that needs more is
 * given up, by a bucket not hit before outside of the window or a narrow counter that overflows: the
 * series has but its classic histogram as long as it lives, and others have the memory.
 */
#define SHARD_NATIVE_BYTES_MAX (256ll << 20)

/*
 * The same for exemplars. Beyond, numbers that have none get none.
 */
#define SHARD_EXEMPLAR_BYTES_MAX (64ll << 20)

/* Time as series see it: tenths of a second since the bridge started. */
#define TICK_US 100000
#define TICKS_PER_SECOND (1000000 / TICK_US)
/* An incarnation that no series ever has. */
#define INCARNATION_NONE 0u

/*
 * Every cell starts so. Where the layout keeps exemplars, the cell of a counter ends with one
 * pointer to an exemplar, that of a histogram with one for each bucket.
 */
struct cell {
	_Atomic uint32_t incarnation;
	_Atomic uint32_t tick; /* of the last sample */
};

struct counter_cell {
	struct cell cell;
	_Atomic double value;
};

struct gauge_cell {
	struct cell cell;
	_Atomic double value;
};

struct distinct; /* metrics/distinct */

struct set_cell {
	struct cell cell;
	_Atomic(struct distinct *) members;
};

struct window; /* metrics/window */

struct summary_cell {
	struct cell cell;
	_Atomic double sum;
	double carry; /* as above */
	_Atomic uint64_t count;
	_Atomic(struct window *) slots[]; /* layout->slots */
};

struct retired; /* memory a scrape may still read; see shard_free_retired() */

/* The cells of one pool. Insides, as those of a shard: here for the inline functions alone. */
struct cell_table {
	size_t stride;	    /* bytes of a cell */
	unsigned shift;	    /* ids in a chunk, as a power of two */
	uint32_t chunk_count;
	size_t chunk_bytes;
	_Atomic(char *) chunks[]; /* chunk_count */
};

struct shard {
	uint32_t max_ids;
	_Atomic uint64_t bytes; /* of chunks, and of what histograms have outside of them */
	_Atomic int64_t window_bytes; /* of summaries' windows, retired ones too */
	_Atomic int64_t native_bytes; /* of native histograms, retired ones too */
	_Atomic uint64_t left_out, native_left_out;
	_Atomic uint64_t exemplars_left_out;
	pthread_mutex_t move_lock;     /* while counts of a histogram move: see metrics/histogram */
	pthread_cond_t read_over;      /* `is_read` is false again */
	_Atomic bool is_read;          /* a reader has the lock or waits for it: the owner goes last */
	pthread_mutex_t exemplar_lock; /* of all exemplars, and the pointers to them */
	int64_t exemplar_bytes;        /* under it */
	_Atomic(struct retired *) retired;
	unsigned rotate_class; /* of summaries: where shard_rotate() goes on */
	uint64_t rotate_id;    /* one past the largest id at most: 2^32 */
	_Atomic(struct cell_table *) tables[POOLS];
};

/** @max_ids ids in one pool at most */
struct shard *shard_new(uint32_t max_ids);
/** All cells that own memory must have been cleared. */
void shard_free(struct shard **shard);

/** @return bytes that a cell of a layout needs */
size_t shard_cell_size(const struct layout *layout);

/** @return whether cells of a layout own memory, once something was applied to them */
bool shard_cells_own(const struct layout *layout);

static inline struct cell_table *
shard_table(const struct shard *shard, unsigned pool)
{
	return atomic_load_explicit(&shard->tables[pool], memory_order_acquire);
}

/** @return the cell whatever it holds, or NULL when its chunk was never made. Any thread. */
static inline struct cell *
shard_peek(const struct shard *shard, unsigned pool, uint32_t id)
{
	const struct cell_table *table = shard_table(shard, pool);
	if (UNLIKELY(!table))
		return NULL;
	char *chunk =
	    atomic_load_explicit(&table->chunks[id >> table->shift], memory_order_acquire);
	if (UNLIKELY(!chunk))
		return NULL;
	uint32_t index = id & ((1u << table->shift) - 1);
	void *cell = chunk + index * table->stride;
	return cell;
}

/** @return whether a cell (or NULL) holds this incarnation of its series */
static inline bool
cell_holds(const struct cell *cell, uint32_t incarnation)
{
	return cell && atomic_load_explicit(&cell->incarnation, memory_order_acquire) == incarnation;
}

/** @return the cell, or NULL when this shard never touched it or it holds another incarnation */
static inline struct cell *
shard_find(const struct shard *shard, unsigned pool, uint32_t id, uint32_t incarnation)
{
	struct cell *cell = shard_peek(shard, pool, id);
	return cell_holds(cell, incarnation) ? cell : NULL;
}

/** Makes the cell hold `incarnation` of a series of a layout. By the owner, under the registry's lock. */
struct cell *shard_touch(struct shard *shard, const struct layout *layout, uint32_t id,
			 uint32_t incarnation);

/**
 * Frees what a cell of a layout owns, and zeroes it: it may be one of another layout next. By the
 * registry, under its lock, when no thread can reach the cell any more.
 */
void shard_clear(struct shard *shard, const struct layout *layout, uint32_t id);

/* ---- Updates, by the owner (gauges: by any thread). ---- */

/** Marks a cell as updated now; a thread whose now is older than another's changes nothing. */
static inline void
cell_set_tick(struct cell *cell, uint32_t tick)
{
	if (atomic_load_explicit(&cell->tick, memory_order_relaxed) < tick)
		atomic_store_explicit(&cell->tick, tick, memory_order_relaxed);
}

/** @return `value`, or the largest double of its sign where a sum has overflowed */
static inline double
value_clamp(double value)
{
	return isinf(value) ? copysign(DBL_MAX, value) : value;
}

/** Adds to a sum that only the caller writes and that stays finite. */
static inline void
cell_add_clamped(_Atomic double *sum, double amount)
{
	double before = atomic_load_explicit(sum, memory_order_relaxed);
	atomic_store_explicit(sum, value_clamp(before + value_clamp(amount)),
			      memory_order_relaxed);
}

/** Adds to a count that only the caller writes. */
static inline void
cell_add_count(_Atomic uint64_t *count, uint64_t n)
{
	atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + n,
			      memory_order_relaxed);
}

/** Adds to a counter; @amount finite, not negative. A sum that would overflow stays at DBL_MAX. */
static inline void
counter_add(struct counter_cell *cell, double amount)
{
	cell_add_clamped(&cell->value, amount);
}

/** Sets a gauge: every reader sees the last write. */
static inline void
gauge_set(struct gauge_cell *cell, double value)
{
	atomic_store_explicit(&cell->value, value, memory_order_relaxed);
}

/** Adds to a gauge, atomically against all other threads. */
void gauge_add(struct gauge_cell *cell, double amount);

/** Adds a member to a set. @shard the cell's, for memory to retire; @hash of the member */
void set_add(struct shard *shard, struct set_cell *cell, uint64_t hash);

/**
 * Turns a sampled observation's weight into whole observations, carrying the fraction.
 *
 * @carry  the cell's
 * @weight 1 / rate, at least 1
 * @return how many observations to apply now, at least 1
 */
static inline uint64_t
observation_count(double *carry, double weight)
{
	double due = weight + *carry;
	uint64_t whole = (uint64_t)due;
	*carry = due - (double)whole;
	return whole;
}

/**
 * Observes `value` (finite) `count` times in the window's slot of now.
 *
 * @shard  the cell's, for memory that has to be retired
 * @now_us since the bridge started
 */
void summary_observe(struct shard *shard, struct summary_cell *cell, const struct layout *layout,
		     double value, uint64_t count, int64_t now_us);

/**
 * Makes an exemplar the one of a number, in place of the one it had; by the owner of the cell.
 *
 * @layout keeps exemplars
 * @number of the bucket; 0 for counters
 */
void shard_put_exemplar(struct shard *shard, struct cell *cell, const struct layout *layout,
			size_t number, const struct exemplar_view *exemplar);

/** @return numbers of a cell that have an exemplar each */
static inline size_t
layout_exemplars(const struct layout *layout)
{
	if (!layout->totals.keeps_exemplars)
		return 0;
	return layout->type == METRIC_HISTOGRAM ? layout->bound_count + 1 : 1;
}

/**
 * Copies the exemplars of a cell that are not older than those at hand.
 *
 * @newest layout_exemplars() of them, at first with empty labels
 * @room   for the labels of each
 * @return whether any was copied
 */
bool shard_read_exemplars(struct shard *shard, struct cell *cell, const struct layout *layout,
			  struct exemplar_view *newest, char (*room)[EXEMPLAR_TEXT_MAX]);

/**
 * Gives up the windows of summaries whose time has passed, a part of them at each call; by the owner,
 * from a timer. @cells how many cells to look at
 */
void shard_rotate(struct shard *shard, int64_t now_us, unsigned cells);

/* Frees memory, which may be NULL, and gives it back to the shard's budget. */
typedef void shard_drop(struct shard *shard, void *memory);

/**
 * Hands memory to the control thread, which frees it when no scrape reads it. Nothing leads to it
 * any more, or a scrape could find it after it was freed. By the owner.
 */
void shard_retire(struct shard *shard, void *memory, shard_drop *drop);

/** Frees what the owner retired; by the control thread, which is the only reader of such memory. */
void shard_free_retired(struct shard *shard);

/** @return observations that no quantile shows, for want of memory; any thread */
uint64_t shard_left_out(const struct shard *shard);

/** @return observations that came when their native histogram was given up, for want of memory; any
 *          thread */
uint64_t shard_native_left_out(const struct shard *shard);

/** @return exemplars that could not be kept, for want of memory; any thread */
uint64_t shard_exemplars_left_out(const struct shard *shard);

/** @return bytes of cells, with what histograms have outside of them */
uint64_t shard_bytes(const struct shard *shard);

#endif
