#include "metrics/shard.h"

#include "base/alloc.h"
#include "metrics/distinct.h"
#include "metrics/histogram.h"
#include "metrics/window.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Chunks of about this size come straight from the kernel, so that untouched pages cost nothing. */
#define CHUNK_BYTES 65536u
#define CHUNK_IDS_MIN 64u
#define CHUNK_IDS_MAX 4096u

struct retired {
	struct retired *next;
	void *memory;
	shard_drop *drop;
};

/* How one is kept. */
struct exemplar {
	double value;
	int64_t time_ms;
	uint16_t len, capacity;
	char labels[]; /* `capacity` bytes */
};

struct shard *
shard_new(uint32_t max_ids)
{
	struct shard *shard = xcalloc(1, sizeof(*shard));
	shard->max_ids = max_ids;
	pthread_mutex_init(&shard->move_lock, NULL);
	pthread_cond_init(&shard->read_over, NULL);
	pthread_mutex_init(&shard->exemplar_lock, NULL);
	return shard;
}

static void
drop_window(struct shard *shard, void *window)
{
	if (!window)
		return;
	atomic_fetch_sub_explicit(&shard->window_bytes, (int64_t)window_bytes(window),
				  memory_order_relaxed);
	window_free(window);
}

static void
drop_members(struct shard *shard, void *members)
{
	(void)shard;
	free(members);
}

static void
free_windows(struct shard *shard, struct summary_cell *cell, const struct layout *layout)
{
	for (uint32_t s = 0; s < layout->slots; s++)
		drop_window(shard,
			    atomic_exchange_explicit(&cell->slots[s], NULL, memory_order_acquire));
}

static void
free_members(struct set_cell *cell)
{
	free(atomic_exchange_explicit(&cell->members, NULL, memory_order_acquire));
}

/* Bytes of a cell without its exemplars: a multiple of the alignment of pointers. */
static size_t
values_size(const struct layout *layout)
{
	if (layout->is_set)
		return sizeof(struct set_cell);
	switch (layout->type) {
	case METRIC_COUNTER:
		return sizeof(struct counter_cell);
	case METRIC_GAUGE:
		return sizeof(struct gauge_cell);
	case METRIC_HISTOGRAM:
		return histogram_cell_bytes(layout);
	case METRIC_SUMMARY:
		return sizeof(struct summary_cell) + layout->slots * sizeof(void *);
	case METRIC_TYPES:
		break;
	}
	CHECK(!"a layout of no type");
	return 0;
}

/* @return layout_exemplars() pointers */
static struct exemplar **
exemplars_of(struct cell *cell, const struct layout *layout)
{
	return (struct exemplar **)(void *)((char *)cell + values_size(layout));
}

static void
free_exemplar(struct shard *shard, struct exemplar **slot)
{
	if (*slot)
		shard->exemplar_bytes -= (int64_t)(sizeof(**slot) + (*slot)->capacity);
	free(*slot);
	*slot = NULL;
}

static void
free_exemplars(struct shard *shard, struct cell *cell, const struct layout *layout)
{
	if (!layout->totals.keeps_exemplars)
		return;
	struct exemplar **slots = exemplars_of(cell, layout);
	pthread_mutex_lock(&shard->exemplar_lock);
	for (size_t i = 0; i < layout_exemplars(layout); i++)
		free_exemplar(shard, &slots[i]);
	pthread_mutex_unlock(&shard->exemplar_lock);
}

bool
shard_cells_own(const struct layout *layout)
{
	return layout->type == METRIC_SUMMARY || layout->type == METRIC_HISTOGRAM ||
	       layout->is_set || layout->totals.keeps_exemplars;
}

/* Frees what a cell refers to. */
static void
cell_fini(struct shard *shard, void *cell, const struct layout *layout)
{
	free_exemplars(shard, cell, layout);
	if (layout->type == METRIC_SUMMARY)
		free_windows(shard, cell, layout);
	else if (layout->is_set)
		free_members(cell);
	else if (layout->type == METRIC_HISTOGRAM)
		histogram_fini(shard, cell, layout);
}

static void
table_free(struct cell_table *table)
{
	for (uint32_t c = 0; table && c < table->chunk_count; c++) {
		char *chunk = atomic_load_explicit(&table->chunks[c], memory_order_acquire);
		if (chunk)
			munmap(chunk, table->chunk_bytes);
	}
	free(table);
}

void
shard_free(struct shard **shard)
{
	if (!*shard)
		return;
	shard_free_retired(*shard);
	for (unsigned p = 0; p < POOLS; p++)
		table_free(shard_table(*shard, p));
	pthread_cond_destroy(&(*shard)->read_over);
	pthread_mutex_destroy(&(*shard)->move_lock);
	pthread_mutex_destroy(&(*shard)->exemplar_lock);
	free(*shard);
	*shard = NULL;
}

size_t
shard_cell_size(const struct layout *layout)
{
	return values_size(layout) + layout_exemplars(layout) * sizeof(struct exemplar *);
}

static struct cell_table *
table_new(size_t stride, uint32_t max_ids)
{
	unsigned shift = 0;
	while (1u << shift < CHUNK_IDS_MIN ||
	       (1u << shift < CHUNK_IDS_MAX && (stride << shift) < CHUNK_BYTES))
		shift++;
	uint32_t chunk_count = (max_ids >> shift) + 1;
	struct cell_table *table =
	    xcalloc(1, sizeof(*table) + chunk_count * sizeof(table->chunks[0]));
	table->stride = stride;
	table->shift = shift;
	table->chunk_count = chunk_count;
	table->chunk_bytes = ((stride << shift) + 4095) & ~(size_t)4095;
	return table;
}

static char *
chunk_new(size_t bytes)
{
	char *chunk = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(chunk != MAP_FAILED);
	return chunk;
}

struct cell *
shard_touch(struct shard *shard, const struct layout *layout, uint32_t id, uint32_t incarnation)
{
	CHECK(id < shard->max_ids);
	struct cell_table *table = shard_table(shard, layout->pool);
	if (!table) {
		table = table_new(layout->cell_bytes, shard->max_ids);
		atomic_store_explicit(&shard->tables[layout->pool], table, memory_order_release);
	}
	_Atomic(char *) *chunk = &table->chunks[id >> table->shift];
	if (!atomic_load_explicit(chunk, memory_order_acquire)) {
		atomic_fetch_add_explicit(&shard->bytes, table->chunk_bytes, memory_order_relaxed);
		atomic_store_explicit(chunk, chunk_new(table->chunk_bytes), memory_order_release);
	}
	struct cell *cell = shard_peek(shard, layout->pool, id);
	atomic_store_explicit(&cell->incarnation, incarnation, memory_order_release);
	return cell;
}

void
shard_clear(struct shard *shard, const struct layout *layout, uint32_t id)
{
	struct cell *cell = shard_peek(shard, layout->pool, id);
	if (!cell)
		return;
	/* The owner may ask at any time what it holds, but no more than that. */
	atomic_store_explicit(&cell->incarnation, INCARNATION_NONE, memory_order_release);
	atomic_store_explicit(&cell->tick, 0, memory_order_relaxed);
	cell_fini(shard, cell, layout);
	memset(cell + 1, 0, layout->cell_bytes - sizeof(*cell));
}

void
gauge_add(struct gauge_cell *cell, double amount)
{
	double before = atomic_load_explicit(&cell->value, memory_order_relaxed);
	while (!atomic_compare_exchange_weak_explicit(&cell->value, &before, before + amount,
						      memory_order_relaxed, memory_order_relaxed))
		;
}

void
shard_retire(struct shard *shard, void *memory, shard_drop *drop)
{
	struct retired *entry = xmalloc(sizeof(*entry));
	entry->memory = memory;
	entry->drop = drop;
	entry->next = atomic_load_explicit(&shard->retired, memory_order_relaxed);
	while (!atomic_compare_exchange_weak_explicit(&shard->retired, &entry->next, entry,
						      memory_order_release, memory_order_relaxed))
		;
}

void
set_add(struct shard *shard, struct set_cell *cell, uint64_t hash)
{
	struct distinct *members = atomic_load_explicit(&cell->members, memory_order_relaxed);
	if (!members) {
		members = distinct_new();
		atomic_store_explicit(&cell->members, members, memory_order_release);
	}
	struct distinct *other = distinct_add(members, hash);
	if (!other)
		return;
	atomic_store_explicit(&cell->members, other, memory_order_release);
	shard_retire(shard, members, drop_members);
}

void
shard_free_retired(struct shard *shard)
{
	struct retired *entry =
	    atomic_exchange_explicit(&shard->retired, NULL, memory_order_acquire);
	while (entry) {
		struct retired *next = entry->next;
		entry->drop(shard, entry->memory);
		free(entry);
		entry = next;
	}
}

/* Adds to the window of now, or leaves the observation out of quantiles when memory is used up. */
static void
observe_in_window(struct shard *shard, _Atomic(struct window *) *slot, int64_t over_us,
		  double value, uint64_t count)
{
	if (UNLIKELY(atomic_load_explicit(&shard->window_bytes, memory_order_relaxed) >=
		     SHARD_WINDOW_BYTES_MAX)) {
		cell_add_count(&shard->left_out, count);
		return;
	}
	struct window *window = atomic_load_explicit(slot, memory_order_relaxed);
	size_t before = 0;
	if (window && window_over_us(window) == over_us) {
		before = window_bytes(window);
	} else {
		struct window *over = window;
		window = window_new(over_us);
		atomic_store_explicit(slot, window, memory_order_release);
		if (over)
			shard_retire(shard, over, drop_window);
	}
	struct window *larger = window_add(window, value, count);
	if (larger) {
		atomic_store_explicit(slot, larger, memory_order_release);
		shard_retire(shard, window, drop_window);
		before = 0; /* both are there until the old one is freed */
	}
	int64_t grown = (int64_t)window_bytes(larger ? larger : window) - (int64_t)before;
	if (grown)
		atomic_fetch_add_explicit(&shard->window_bytes, grown, memory_order_relaxed);
}

void
summary_observe(struct shard *shard, struct summary_cell *cell, const struct layout *layout,
		double value, uint64_t count, int64_t now_us)
{
	int64_t epoch = now_us / layout->slot_us;
	int64_t over_us = (epoch + layout->slots) * layout->slot_us;
	observe_in_window(shard, &cell->slots[epoch % layout->slots], over_us, value, count);
	cell_add_count(&cell->count, count);
	cell_add_clamped(&cell->sum, value * (double)count);
}

/* Behind the slots of its layout a cell has none, or more that are empty. */
static void
rotate_cell(struct shard *shard, struct summary_cell *cell, size_t bytes, int64_t now_us)
{
	size_t slots = (bytes - sizeof(*cell)) / sizeof(cell->slots[0]);
	for (size_t s = 0; s < slots; s++) {
		struct window *window = atomic_load_explicit(&cell->slots[s], memory_order_relaxed);
		if (!window || window_over_us(window) > now_us)
			continue;
		atomic_store_explicit(&cell->slots[s], NULL, memory_order_release);
		shard_retire(shard, window, drop_window);
	}
}

/* Moves on to the next pool of summaries; @return false after a whole round. */
static bool
rotate_next_class(struct shard *shard)
{
	shard->rotate_id = 0;
	shard->rotate_class = (shard->rotate_class + 1) % POOL_CLASSES;
	return shard->rotate_class;
}

void
shard_rotate(struct shard *shard, int64_t now_us, unsigned cells)
{
	while (cells) {
		unsigned pool = POOL_SUMMARIES + shard->rotate_class;
		const struct cell_table *table = shard_table(shard, pool);
		uint64_t end = table ? (uint64_t)table->chunk_count << table->shift : 0;
		if (shard->rotate_id >= end) {
			if (!rotate_next_class(shard))
				return;
			continue;
		}
		struct cell *cell = shard_peek(shard, pool, (uint32_t)shard->rotate_id);
		if (!cell) { /* a chunk never made: on to the next */
			shard->rotate_id = ((shard->rotate_id >> table->shift) + 1) << table->shift;
			continue;
		}
		if (atomic_load_explicit(&cell->incarnation, memory_order_acquire) !=
		    INCARNATION_NONE)
			rotate_cell(shard, (struct summary_cell *)cell, table->stride, now_us);
		shard->rotate_id++;
		cells--;
	}
}

/* Room for labels of so many bytes, or NULL; under the lock. */
static struct exemplar *
make_room(struct shard *shard, struct exemplar **slot, size_t len)
{
	if (*slot && (*slot)->capacity >= len)
		return *slot;
	free_exemplar(shard, slot);
	size_t capacity = (len + 15) & ~(size_t)15;
	if (shard->exemplar_bytes >= SHARD_EXEMPLAR_BYTES_MAX)
		return NULL;
	*slot = xmalloc(sizeof(**slot) + capacity);
	(*slot)->capacity = (uint16_t)capacity;
	shard->exemplar_bytes += (int64_t)(sizeof(**slot) + capacity);
	return *slot;
}

void
shard_put_exemplar(struct shard *shard, struct cell *cell, const struct layout *layout,
		   size_t number, const struct exemplar_view *exemplar)
{
	size_t len = exemplar->labels.len;
	CHECK(number < layout_exemplars(layout) && len <= EXEMPLAR_TEXT_MAX);
	pthread_mutex_lock(&shard->exemplar_lock);
	struct exemplar *kept = make_room(shard, &exemplars_of(cell, layout)[number], len);
	if (kept) {
		kept->value = exemplar->value;
		kept->time_ms = exemplar->time_ms;
		kept->len = (uint16_t)len;
		memcpy(kept->labels, exemplar->labels.ptr, len);
	}
	pthread_mutex_unlock(&shard->exemplar_lock);
	if (UNLIKELY(!kept))
		cell_add_count(&shard->exemplars_left_out, 1);
}

bool
shard_read_exemplars(struct shard *shard, struct cell *cell, const struct layout *layout,
		     struct exemplar_view *newest, char (*room)[EXEMPLAR_TEXT_MAX])
{
	bool any = false;
	struct exemplar **slots = exemplars_of(cell, layout);
	pthread_mutex_lock(&shard->exemplar_lock);
	for (size_t i = 0; i < layout_exemplars(layout); i++) {
		const struct exemplar *kept = slots[i];
		if (!kept || (newest[i].labels.len && newest[i].time_ms > kept->time_ms))
			continue;
		memcpy(room[i], kept->labels, kept->len);
		newest[i] =
		    (struct exemplar_view){span_of(room[i], kept->len), kept->value, kept->time_ms};
		any = true;
	}
	pthread_mutex_unlock(&shard->exemplar_lock);
	return any;
}

uint64_t
shard_exemplars_left_out(const struct shard *shard)
{
	return atomic_load_explicit(&shard->exemplars_left_out, memory_order_relaxed);
}

uint64_t
shard_bytes(const struct shard *shard)
{
	return atomic_load_explicit(&shard->bytes, memory_order_relaxed);
}

uint64_t
shard_left_out(const struct shard *shard)
{
	return atomic_load_explicit(&shard->left_out, memory_order_relaxed);
}

uint64_t
shard_native_left_out(const struct shard *shard)
{
	return atomic_load_explicit(&shard->native_left_out, memory_order_relaxed);
}
