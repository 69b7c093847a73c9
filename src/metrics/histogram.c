#include "metrics/histogram.h"

#include "base/alloc.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* What of a count stays in a narrow counter when a window is laid. */
#define NARROW_MOST (UINT8_MAX / 2)

/* What narrow counters gave up, and what has none. */
struct histogram_wide {
	_Atomic(struct native *) native; /* NULL = none of the native histogram */
	_Atomic uint64_t buckets[];      /* layout->bound_count + 1 */
};

size_t
histogram_narrow_at(size_t bound_count)
{
	size_t end = offsetof(struct histogram_cell, buckets) +
		     (bound_count + 1) * sizeof(((struct histogram_cell *)0)->buckets[0]);
	return (end + 15) & ~(size_t)15;
}

size_t
histogram_cell_bytes(const struct layout *layout)
{
	return layout->narrow_at + (layout->native_buckets_max ? HISTOGRAM_WINDOW : 0);
}

static size_t
wide_bytes(const struct layout *layout)
{
	return sizeof(struct histogram_wide) + (layout->bound_count + 1) * sizeof(uint64_t);
}

/* ---- Memory. ---- */

static void
drop_native(struct shard *shard, void *native)
{
	if (!native)
		return;
	atomic_fetch_sub_explicit(&shard->native_bytes, (int64_t)native_bytes(native),
				  memory_order_relaxed);
	free(native);
}

static struct histogram_wide *
make_wide(struct shard *shard, struct histogram_cell *cell, const struct layout *layout)
{
	struct histogram_wide *wide = atomic_load_explicit(&cell->wide, memory_order_relaxed);
	if (wide)
		return wide;
	wide = xcalloc(1, wide_bytes(layout));
	atomic_fetch_add_explicit(&shard->bytes, wide_bytes(layout), memory_order_relaxed);
	atomic_store_explicit(&cell->wide, wide, memory_order_release);
	return wide;
}

static struct native *
native_of(const struct histogram_cell *cell)
{
	struct histogram_wide *wide = atomic_load_explicit(&cell->wide, memory_order_relaxed);
	return wide ? atomic_load_explicit(&wide->native, memory_order_relaxed) : NULL;
}

/* Puts another store, or none, in the place of the one that there is. */
static void
replace_native(struct shard *shard, struct histogram_cell *cell, const struct layout *layout,
	       struct native *native)
{
	struct native *old = native_of(cell);
	if (!old && !native)
		return;
	if (native)
		atomic_fetch_add_explicit(&shard->native_bytes, (int64_t)native_bytes(native),
					  memory_order_relaxed);
	struct histogram_wide *wide = make_wide(shard, cell, layout);
	atomic_store_explicit(&wide->native, native, memory_order_release);
	if (old)
		shard_retire(shard, old, drop_native);
}

void
histogram_fini(struct shard *shard, struct histogram_cell *cell, const struct layout *layout)
{
	struct histogram_wide *wide =
	    atomic_exchange_explicit(&cell->wide, NULL, memory_order_acquire);
	if (!wide)
		return;
	drop_native(shard, atomic_load_explicit(&wide->native, memory_order_acquire));
	atomic_fetch_sub_explicit(&shard->bytes, wide_bytes(layout), memory_order_relaxed);
	free(wide);
}

/* ---- Counts that move. ---- */

/*
 * Counts that are in neither place or in both for a moment. All that is written within is released,
 * so that who reads any of it also sees `moves` odd, or beyond.
 */
static void
begin_move(struct shard *shard, struct histogram_cell *cell)
{
	pthread_mutex_lock(&shard->move_lock);
	while (atomic_load_explicit(&shard->is_read, memory_order_relaxed))
		pthread_cond_wait(&shard->read_over, &shard->move_lock);
	uint16_t moves = atomic_load_explicit(&cell->moves, memory_order_relaxed);
	atomic_store_explicit(&cell->moves, (uint16_t)(moves + 1), memory_order_relaxed);
}

static void
end_move(struct shard *shard, struct histogram_cell *cell)
{
	uint16_t moves = atomic_load_explicit(&cell->moves, memory_order_relaxed);
	atomic_store_explicit(&cell->moves, (uint16_t)(moves + 1), memory_order_release);
	pthread_mutex_unlock(&shard->move_lock);
}

/* Reads that may fail before one that holds moves up. */
#define FREE_READS 4

/* One of a cell, from its first try on. */
struct reading {
	struct shard *shard;
	const struct histogram_cell *cell;
	unsigned tries;
	uint16_t moves;
	bool is_locked;
};

/* A sender may have counts moved with each line, faster than they are read: it must not keep the
 * control thread. */
static void
begin_read(struct reading *reading)
{
	reading->moves = atomic_load_explicit(&reading->cell->moves, memory_order_acquire);
	reading->is_locked = reading->moves % 2 || reading->tries++ == FREE_READS;
	if (!reading->is_locked)
		return;
	/* Without that the owner might take the lock again and again before the reader wakes up. */
	atomic_store_explicit(&reading->shard->is_read, true, memory_order_relaxed);
	pthread_mutex_lock(&reading->shard->move_lock);
}

/* @return whether no counts moved since; what was read in between was acquired */
static bool
end_read(struct reading *reading)
{
	if (!reading->is_locked)
		return atomic_load_explicit(&reading->cell->moves, memory_order_relaxed) ==
		       reading->moves;
	atomic_store_explicit(&reading->shard->is_read, false, memory_order_relaxed);
	pthread_cond_signal(&reading->shard->read_over);
	pthread_mutex_unlock(&reading->shard->move_lock);
	return true;
}

void
histogram_move_bucket(struct shard *shard, struct histogram_cell *cell, const struct layout *layout,
		      uint32_t bucket, uint64_t count)
{
	struct histogram_wide *wide = make_wide(shard, cell, layout);
	_Atomic uint16_t *narrow = &cell->buckets[bucket];
	_Atomic uint64_t *total = &wide->buckets[bucket];
	count += atomic_load_explicit(narrow, memory_order_relaxed);
	count += atomic_load_explicit(total, memory_order_relaxed);
	begin_move(shard, cell);
	atomic_store_explicit(total, count, memory_order_release);
	atomic_store_explicit(narrow, 0, memory_order_release);
	end_move(shard, cell);
}

/* ---- Native buckets. ---- */

static void
give_up_native(struct shard *shard, struct histogram_cell *cell, const struct layout *layout,
	       uint64_t count)
{
	begin_move(shard, cell);
	/* No key is in such a window, so that all values come to histogram_observe_native(). */
	atomic_store_explicit(&cell->window, HISTOGRAM_GIVEN_UP, memory_order_release);
	atomic_store_explicit(&cell->zero, 0, memory_order_release);
	replace_native(shard, cell, layout, NULL);
	end_move(shard, cell);
	cell_add_count(&shard->native_left_out, count);
}

static bool
has_room(const struct shard *shard)
{
	return atomic_load_explicit(&shard->native_bytes, memory_order_relaxed) <
	       SHARD_NATIVE_BYTES_MAX;
}

/* Counts values in the store. @return false when there is no memory for it */
static bool
count_in_store(struct shard *shard, struct histogram_cell *cell, const struct layout *layout,
	       uint32_t key, uint64_t count)
{
	struct native *native = native_of(cell);
	if (native && native_count(native, key, count))
		return true;
	if (!has_room(shard))
		return false;
	if (!native)
		replace_native(shard, cell, layout, native = native_new());
	if (native_count(native, key, count)) /* zero */
		return true;
	struct native *other = native_insert(native, key, count);
	if (other)
		replace_native(shard, cell, layout, other);
	return true;
}

/* @return the steps of the cell's keys at present */
static unsigned
steps_of(const struct histogram_cell *cell, const struct layout *layout)
{
	return layout->native_steps + atomic_load_explicit(&cell->halvings, memory_order_relaxed);
}

static bool
is_full(const struct histogram_cell *cell, const struct layout *layout)
{
	return cell->used >= layout->native_buckets_max &&
	       steps_of(cell, layout) < NATIVE_STEPS_MAX;
}

static uint32_t
window_start(uint16_t window)
{
	return (window - 1u) * HISTOGRAM_WINDOW_STEP;
}

/* @return the window with these keys in its middle, at most HISTOGRAM_WINDOW -
 * HISTOGRAM_WINDOW_STEP apart */
static uint16_t
window_around(uint32_t low, uint32_t high)
{
	uint32_t middle = (low + high + HISTOGRAM_WINDOW_STEP) / 2;
	uint32_t before = HISTOGRAM_WINDOW / 2;
	uint32_t start = middle > before ? (middle - before) / HISTOGRAM_WINDOW_STEP : 0;
	return (uint16_t)(start + 1);
}

/* @return where the window begins that has most values of an arranged sum, in its middle; 0 for
 * none, when all values are negative */
static uint16_t
best_window(const struct native_sum *sum)
{
	const struct native_entry *entries = sum->entries;
	uint32_t low = 0, high = 0;
	uint64_t most = 0, count = 0;
	for (size_t from = 0, i = 0; i < sum->count && !(entries[i].key & NATIVE_NEGATIVE); i++) {
		count += entries[i].count;
		while (entries[i].key - entries[from].key >
		       HISTOGRAM_WINDOW - HISTOGRAM_WINDOW_STEP)
			count -= entries[from++].count;
		if (count <= most)
			continue;
		most = count;
		low = entries[from].key;
		high = entries[i].key;
	}
	return most ? window_around(low, high) : 0;
}

/* Adds the narrow counters, but for that of zero. */
static void
add_narrow(struct native_sum *sum, const struct histogram_cell *cell, const struct layout *layout)
{
	uint16_t window = atomic_load_explicit(&cell->window, memory_order_acquire);
	uint32_t start = window_start(window);
	for (uint32_t key = start; window && key < start + HISTOGRAM_WINDOW; key++) {
		uint8_t count = atomic_load_explicit(histogram_narrow(&cell->cell, layout, key),
						     memory_order_acquire);
		if (count)
			native_sum_add_bucket(sum, key, count);
	}
}

/* Gives the window its counters, of an arranged sum, which keeps what they do not take. */
static void
fill_window(struct histogram_cell *cell, const struct layout *layout, struct native_sum *sum)
{
	uint16_t window = best_window(sum);
	size_t kept = 0;
	for (uint32_t key = 0; key < HISTOGRAM_WINDOW; key++)
		atomic_store_explicit(histogram_narrow(&cell->cell, layout, key), 0,
				      memory_order_release);
	for (size_t i = 0; i < sum->count; i++) {
		struct native_entry entry = sum->entries[i];
		if (window && entry.key - window_start(window) < HISTOGRAM_WINDOW) {
			uint64_t narrow = entry.count < NARROW_MOST ? entry.count : NARROW_MOST;
			atomic_store_explicit(histogram_narrow(&cell->cell, layout, entry.key),
					      (uint8_t)narrow, memory_order_release);
			entry.count -= narrow;
		}
		if (entry.count)
			sum->entries[kept++] = entry;
	}
	sum->count = kept;
	atomic_store_explicit(&cell->window, window, memory_order_release);
}

/* Counts values of a new bucket, and lays everything out anew: halves the resolution as often as it
 * takes, and lays the window around most of what there is. @return false when there is no memory */
static bool
lay_out(struct shard *shard, struct histogram_cell *cell, const struct layout *layout, uint32_t key,
	uint64_t count)
{
	if (!has_room(shard))
		return false;
	struct native_sum sum = {.steps = steps_of(cell, layout)};
	struct native *native = native_of(cell);
	if (native)
		native_sum_add(&sum, native);
	add_narrow(&sum, cell, layout);
	native_sum_add_bucket(&sum, key, count);
	native_sum_arrange(&sum, layout->native_buckets_max);
	cell->used = (uint16_t)sum.count;
	begin_move(shard, cell);
	atomic_store_explicit(&cell->halvings, (uint8_t)(sum.steps - layout->native_steps),
			      memory_order_release);
	fill_window(cell, layout, &sum);
	replace_native(shard, cell, layout,
		       sum.count || sum.zero_count ? native_of_sum(&sum) : NULL);
	end_move(shard, cell);
	native_sum_fini(&sum);
	return true;
}

/* Counts values of a key that is in the window, or of zero. @return false when there is no memory
 */
static bool
observe_narrow(struct shard *shard, struct histogram_cell *cell, const struct layout *layout,
	       uint32_t key, _Atomic uint8_t *counter, uint64_t count)
{
	uint8_t before = atomic_load_explicit(counter, memory_order_relaxed);
	cell->used += !before && key != NATIVE_POSITION_ZERO;
	if (count <= (uint64_t)UINT8_MAX - before) {
		atomic_store_explicit(counter, (uint8_t)(before + count), memory_order_release);
		return true;
	}
	begin_move(shard, cell);
	bool is_counted = count_in_store(shard, cell, layout, key, before + count - 1);
	if (is_counted) /* One stays: the bucket was hit. */
		atomic_store_explicit(counter, 1, memory_order_release);
	end_move(shard, cell);
	return is_counted;
}

/* The same for one that is not. A new one may be a better place for the window, now and then. */
static bool
observe_outside(struct shard *shard, struct histogram_cell *cell, const struct layout *layout,
		uint32_t key, uint64_t count)
{
	struct native *native = native_of(cell);
	if (native && native_count(native, key, count))
		return true;
	if (is_full(cell, layout) || !(cell->used & (cell->used - 1)))
		return lay_out(shard, cell, layout, key, count);
	cell->used++;
	return count_in_store(shard, cell, layout, key, count);
}

void
histogram_observe_native(struct shard *shard, struct histogram_cell *cell,
			 const struct layout *layout, uint32_t key, uint64_t count)
{
	uint16_t window = atomic_load_explicit(&cell->window, memory_order_relaxed);
	if (window == HISTOGRAM_GIVEN_UP) {
		cell_add_count(&shard->native_left_out, count);
		return;
	}
	/* The first one, of counters that are all 0: nothing moves. */
	if (!window && key != NATIVE_POSITION_ZERO && !(key & NATIVE_NEGATIVE))
		atomic_store_explicit(&cell->window, window_around(key, key), memory_order_release);
	_Atomic uint8_t *counter = histogram_counter(cell, layout, key);
	bool is_new = key != NATIVE_POSITION_ZERO && counter &&
		      !atomic_load_explicit(counter, memory_order_relaxed);
	bool is_counted;
	if (!counter)
		is_counted = observe_outside(shard, cell, layout, key, count);
	else if (is_new && is_full(cell, layout))
		is_counted = lay_out(shard, cell, layout, key, count);
	else
		is_counted = observe_narrow(shard, cell, layout, key, counter, count);
	if (!is_counted)
		give_up_native(shard, cell, layout, count);
}

/* ---- Reading. ---- */

void
histogram_read_buckets(struct shard *shard, const struct histogram_cell *cell,
		       const struct layout *layout, uint64_t *totals, uint64_t *room)
{
	size_t buckets = layout->bound_count + 1;
	struct reading reading = {shard, cell};
	do {
		begin_read(&reading);
		const struct histogram_wide *wide =
		    atomic_load_explicit(&cell->wide, memory_order_acquire);
		for (size_t b = 0; b < buckets; b++) {
			room[b] = atomic_load_explicit(&cell->buckets[b], memory_order_acquire);
			if (wide)
				room[b] +=
				    atomic_load_explicit(&wide->buckets[b], memory_order_acquire);
		}
	} while (!end_read(&reading));
	for (size_t b = 0; b < buckets; b++)
		totals[b] += room[b];
}

bool
histogram_read_native(struct shard *shard, const struct histogram_cell *cell,
		      const struct layout *layout, struct native_sum *sum)
{
	struct reading reading = {shard, cell};
	uint16_t window;
	uint8_t halvings;
	native_sum_begin(sum);
	do {
		native_sum_restart(sum);
		begin_read(&reading);
		window = atomic_load_explicit(&cell->window, memory_order_acquire);
		halvings = atomic_load_explicit(&cell->halvings, memory_order_acquire);
		sum->zero_count += atomic_load_explicit(&cell->zero, memory_order_acquire);
		if (window != HISTOGRAM_GIVEN_UP)
			add_narrow(sum, cell, layout);
		const struct histogram_wide *wide =
		    atomic_load_explicit(&cell->wide, memory_order_acquire);
		const struct native *native =
		    wide ? atomic_load_explicit(&wide->native, memory_order_acquire) : NULL;
		if (native)
			native_sum_add(sum, native);
	} while (!end_read(&reading));
	if (window == HISTOGRAM_GIVEN_UP)
		native_sum_restart(sum);
	else
		native_sum_end(sum, layout->native_steps + halvings);
	return window != HISTOGRAM_GIVEN_UP;
}
