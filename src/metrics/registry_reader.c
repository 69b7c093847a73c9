/*
 * Reading, on the control thread.
 *
 * A reader pins the family it is in and holds that family's list; between families it goes by name,
 * so families may come and go while a slow client takes its time.
 */
#include "metrics/registry_private.h"

#include "base/alloc.h"
#include "metrics/distinct.h"
#include "metrics/histogram.h"
#include "metrics/label_text.h"
#include "metrics/window.h"

#include <stdlib.h>

#define CACHE_LINE 64
/* Of a label text; behind it the processor foresees the rest by itself. */
#define PREFETCH_MAX 256

struct registry_reader {
	struct reader reader;
	struct registry *registry;
	int64_t now_us;
	struct family *family;    /* pinned, or NULL before the first */
	struct series_list *list; /* referenced */
	size_t next_series;
	size_t position; /* of `family` in registry->sorted while the version is the same */
	uint64_t version;
	struct buf help;
	uint64_t *buckets;
	size_t bucket_capacity;
	struct exemplar_view *exemplars;
	char (*exemplar_room)[EXEMPLAR_TEXT_MAX];
	size_t exemplar_capacity;
	double quantile_values[QUANTILES_MAX];
	struct weighted_list observations;
	unsigned wants; /* enum reader_extra */
	struct native_sum native_sum;
	struct native_view native;
	struct distinct_union members;
};

void
series_list_release(struct series_list **slot)
{
	struct series_list *list = *slot;
	*slot = NULL;
	if (!list || --list->references)
		return;
	free(list->items);
	free(list);
}

void
family_own_list(struct family *family)
{
	struct series_list *old = family->list;
	if (old && old->references == 1)
		return;
	struct series_list *list = xcalloc(1, sizeof(*list));
	list->references = 1;
	if (old) {
		list->count = list->capacity = old->count;
		list->items = xreallocarray(NULL, old->count, sizeof(struct series *));
		memcpy(list->items, old->items, old->count * sizeof(struct series *));
	}
	series_list_release(&family->list);
	family->list = list;
}

/* ---- Values. ---- */

/* The shards that may have a cell of a series. */
struct shard_range {
	unsigned first, end;
};

static struct shard_range
shards_of(const struct registry *registry, const struct layout *layout)
{
	if (layout->pool == POOL_GAUGES)
		return (struct shard_range){registry->threads, registry->threads + 1};
	return (struct shard_range){0, registry->threads};
}

/* Whether a series is too young to be shown with what it has: it was born in its tick, at the end
 * at latest. */
static bool
is_zero_yet(const struct registry_reader *reader, const struct series *series,
	    const struct layout *layout)
{
	return !reader->registry->has_ended_zeros &&
	       reader->now_us < (int64_t)series->birth * TICK_US + layout->totals.zero_first_us;
}

void
registry_end_zeros(struct registry *registry)
{
	registry->has_ended_zeros = true;
}

/* The shards to add up: none while a series is shown at zero. */
static struct shard_range
shards_shown(const struct registry_reader *reader, const struct series *series,
	     const struct layout *layout)
{
	if (layout->totals.zero_first_us && is_zero_yet(reader, series, layout))
		return (struct shard_range){0, 0};
	return shards_of(reader->registry, layout);
}

/*
 * Cells lie in memory in the order of births, and so do the records of new series, so in output
 * order each costs cache misses that nobody can foresee. This goes ahead of the work on a batch and
 * touches all that the work will need, in a loop that does nothing else: only the misses of a few
 * hundred instructions overlap.
 */
static PREFETCHING void
prefetch_text(const struct series *series)
{
	const char *text = series->text;
	size_t len = series->text_len < PREFETCH_MAX ? series->text_len : PREFETCH_MAX;
	for (size_t at = 0; at < len; at += CACHE_LINE)
		__builtin_prefetch(text + at);
	__builtin_prefetch(text + len);
}

/* @layout of the first; for one of another layout, which ends a batch, this fetches in vain */
static void
prefetch_batch(const struct registry *registry, const struct layout *layout,
	       struct series *const *items, size_t count)
{
	struct shard_range range = shards_of(registry, layout);
	for (size_t i = 0; i < count; i++) {
		const struct series *series = items[i];
		prefetch_text(series);
		for (unsigned t = range.first; t < range.end; t++)
			__builtin_prefetch(series_cell(registry->shards[t], layout, series));
	}
}

static inline int64_t
created_ms(const struct registry *registry, const struct series *series)
{
	return registry->start_ms + ((int64_t)series->birth - 1) * (TICK_US / 1000);
}

/* The sum of what the shards hold; of a gauge, which has one shard, its value as it is. */
static inline double
read_scalar(const struct registry *registry, struct shard_range range, const struct series *series,
	    const struct layout *layout)
{
	double sum = 0;
	for (unsigned i = range.first; i < range.end; i++) {
		const struct cell *cell = series_cell(registry->shards[i], layout, series);
		if (LIKELY(cell))
			sum += atomic_load_explicit(&((const struct counter_cell *)cell)->value,
						    memory_order_relaxed);
	}
	return sum;
}

/* The newest of all threads for each number of a series. @return NULL where there is none */
static const struct exemplar_view *
read_exemplars(struct registry_reader *reader, const struct series *series,
	       const struct layout *layout, struct shard_range range)
{
	size_t count = reader->wants & READER_EXEMPLARS ? layout_exemplars(layout) : 0;
	if (!count)
		return NULL;
	if (count > reader->exemplar_capacity) {
		reader->exemplars =
		    xreallocarray(reader->exemplars, count, sizeof(*reader->exemplars));
		reader->exemplar_room =
		    xreallocarray(reader->exemplar_room, count, sizeof(*reader->exemplar_room));
		reader->exemplar_capacity = count;
	}
	memset(reader->exemplars, 0, count * sizeof(*reader->exemplars));
	bool any = false;
	for (unsigned i = range.first; i < range.end; i++) {
		struct shard *shard = reader->registry->shards[i];
		struct cell *cell = series_cell(shard, layout, series);
		if (cell && shard_read_exemplars(shard, cell, layout, reader->exemplars,
						 reader->exemplar_room))
			any = true;
	}
	return any ? reader->exemplars : NULL;
}

/* A counter with exemplars. */
static void
read_counter(struct registry_reader *reader, const struct series *series,
	     const struct layout *layout, struct series_view *out)
{
	struct shard_range range = shards_shown(reader, series, layout);
	out->exemplars = read_exemplars(reader, series, layout, range);
	out->value = value_clamp(read_scalar(reader->registry, range, series, layout));
}

/*
 * Puts a series' native histogram into the reader's view: what the shards have of it that are `shown`.
 *
 * @return false when any shard has given it up, shown or not: then it is not even seen at zero
 */
static bool
read_native(struct registry_reader *reader, const struct series *series,
	    const struct layout *layout, struct shard_range shown)
{
	struct shard_range range = shards_of(reader->registry, layout);
	native_sum_reset(&reader->native_sum, layout->native_steps);
	for (unsigned i = range.first; i < range.end; i++) {
		struct shard *shard = reader->registry->shards[i];
		const struct histogram_cell *cell =
		    (const struct histogram_cell *)series_cell(shard, layout, series);
		if (cell && !histogram_read_native(shard, cell, layout, &reader->native_sum))
			return false;
	}
	if (shown.first == shown.end)
		native_sum_reset(&reader->native_sum, layout->native_steps);
	native_sum_view(&reader->native_sum, layout->native_buckets_max, &reader->native);
	return true;
}

static void
read_histogram(struct registry_reader *reader, const struct series *series,
	       const struct layout *layout, struct series_view *out)
{
	size_t buckets = layout->bound_count + 1;
	struct shard_range range = shards_shown(reader, series, layout);
	if (buckets > reader->bucket_capacity) {
		/* Twice: the other half is histogram_read_buckets()' room. */
		reader->buckets = xreallocarray(reader->buckets, buckets * 2, sizeof(uint64_t));
		reader->bucket_capacity = buckets;
	}
	memset(reader->buckets, 0, buckets * sizeof(uint64_t));
	/* Both first, so that the classic buckets have all that they have. */
	out->exemplars = read_exemplars(reader, series, layout, range);
	bool keeps_native = reader->wants & READER_NATIVE && layout->native_buckets_max;
	if (keeps_native && read_native(reader, series, layout, range))
		out->native = &reader->native;
	for (unsigned i = range.first; i < range.end; i++) {
		struct shard *shard = reader->registry->shards[i];
		const struct histogram_cell *cell =
		    (const struct histogram_cell *)series_cell(shard, layout, series);
		if (!cell)
			continue;
		out->sum += atomic_load_explicit(&cell->sum, memory_order_relaxed);
		histogram_read_buckets(shard, cell, layout, reader->buckets,
				       reader->buckets + buckets);
	}
	for (size_t b = 0; b < buckets; b++)
		out->count += reader->buckets[b];
	out->sum = value_clamp(out->sum);
	out->bound_count = layout->bound_count;
	out->bounds = layout->bounds;
	out->bound_texts = layout->bound_texts;
	out->buckets = reader->buckets;
}

static void
collect_windows(struct registry_reader *reader, const struct summary_cell *cell,
		const struct layout *layout)
{
	int64_t newest = reader->now_us / layout->slot_us;
	for (uint32_t s = 1; s <= layout->slots; s++) { /* from the oldest */
		const struct window *window = atomic_load_explicit(
		    &cell->slots[(newest + s) % layout->slots], memory_order_acquire);
		/* A newer one may have begun since this reader opened. */
		if (window && window_over_us(window) > reader->now_us)
			window_collect(window, &reader->observations);
	}
}

static void
read_summary(struct registry_reader *reader, const struct series *series,
	     const struct layout *layout, struct series_view *out)
{
	weighted_list_reset(&reader->observations);
	for (unsigned i = 0; i < reader->registry->threads; i++) {
		const struct summary_cell *cell = (const struct summary_cell *)series_cell(
		    reader->registry->shards[i], layout, series);
		if (!cell)
			continue;
		out->sum += atomic_load_explicit(&cell->sum, memory_order_relaxed);
		out->count += atomic_load_explicit(&cell->count, memory_order_relaxed);
		collect_windows(reader, cell, layout);
	}
	out->sum = value_clamp(out->sum);
	weighted_quantiles(&reader->observations, layout->targets, layout->quantile_count,
			   reader->quantile_values);
	out->quantile_count = layout->quantile_count;
	out->quantiles = layout->quantiles;
	out->quantile_texts = layout->quantile_texts;
	out->quantile_values = reader->quantile_values;
}

static double
read_set(struct registry_reader *reader, const struct series *series, const struct layout *layout)
{
	distinct_union_reset(&reader->members);
	for (unsigned i = 0; i < reader->registry->threads; i++) {
		const struct set_cell *cell = (const struct set_cell *)series_cell(
		    reader->registry->shards[i], layout, series);
		const struct distinct *members =
		    cell ? atomic_load_explicit(&cell->members, memory_order_acquire) : NULL;
		if (members)
			distinct_union_add(&reader->members, members);
	}
	return distinct_union_count(&reader->members);
}

/* Reads a series that is more than one number in a shard. */
static void
read_series(struct registry_reader *reader, const struct series *series,
	    const struct layout *layout, struct series_view *out)
{
	*out = (struct series_view){
	    .labels = series_text(series),
	    .created_ms = created_ms(reader->registry, series),
	};
	if (layout->type == METRIC_HISTOGRAM)
		read_histogram(reader, series, layout, out);
	else if (layout->type == METRIC_SUMMARY)
		read_summary(reader, series, layout, out);
	else if (layout->type == METRIC_COUNTER)
		read_counter(reader, series, layout, out);
	else
		out->value = read_set(reader, series, layout);
}

static bool
is_dead(const struct series *series)
{
	return atomic_load_explicit(&series->state, memory_order_relaxed) == SERIES_DEAD;
}

/* Reads the next series, of which the first has `layout`, up to `end` or one of another layout. */
static size_t
read_scalars(struct registry_reader *reader, const struct layout *layout, size_t end,
	     struct series_view *out)
{
	const struct registry *registry = reader->registry;
	struct series *const *items = reader->list->items;
	size_t at = reader->next_series, count = 0, bytes = 0;
	const struct shard_range all = shards_of(registry, layout), none = {0, 0};
	const bool begins_at_zero = layout->totals.zero_first_us;
	for (; at < end && items[at]->layout_number == layout->number && bytes < READER_BATCH_BYTES; at++) {
		if (UNLIKELY(is_dead(items[at])))
			continue;
		bool is_zero = begins_at_zero && is_zero_yet(reader, items[at], layout);
		double value = read_scalar(registry, is_zero ? none : all, items[at], layout);
		out[count].labels = series_text(items[at]);
		out[count].created_ms = created_ms(registry, items[at]);
		out[count].exemplars = NULL;
		bytes += out[count].labels.len;
		out[count++].value = layout->type == METRIC_GAUGE ? value : value_clamp(value);
	}
	reader->next_series = at;
	return count;
}

/* ---- The reader. ---- */

/* Where the first family with a name above this one's is. */
static size_t
position_after(const struct registry *registry, const struct family *family)
{
	size_t low = 0, high = registry->sorted_count;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (span_compare(family_name(registry->sorted[middle]), family_name(family)) > 0)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

static void
leave_family(struct registry_reader *reader)
{
	struct family *family = reader->family;
	reader->family = NULL;
	series_list_release(&reader->list);
	if (!family || --family->pins)
		return;
	family_unpinned(reader->registry, family);
}

static void
enter_family(struct registry_reader *reader, struct family *family, struct family_view *out)
{
	struct registry *registry = reader->registry;
	leave_family(reader);
	family->pins++;
	family->list->references++;
	reader->family = family;
	reader->list = family->list;
	reader->next_series = 0;
	buf_reset(&reader->help);
	pthread_mutex_lock(&registry->lock);
	buf_add(&reader->help, family->help, family->help_len);
	pthread_mutex_unlock(&registry->lock);
	*out = (struct family_view){family_name(family), buf_span(&reader->help), family->type};
}

static bool
next_family(struct reader *base, struct family_view *out)
{
	struct registry_reader *reader = (struct registry_reader *)base;
	struct registry *registry = reader->registry;
	size_t at = 0;
	if (reader->family)
		at = reader->version == registry->sorted_version
			 ? reader->position + 1
			 : position_after(registry, reader->family);
	/* All listed have died, and what was born since waits for the next merge. */
	while (at < registry->sorted_count && !family_is_shown(registry->sorted[at]))
		at++;
	if (at >= registry->sorted_count)
		return false;
	enter_family(reader, registry->sorted[at], out);
	reader->position = at;
	reader->version = registry->sorted_version;
	return true;
}

static size_t
next_batch(struct reader *base, struct series_view *out, size_t max)
{
	struct registry_reader *reader = (struct registry_reader *)base;
	const struct series_list *list = reader->list;
	size_t count = 0;
	while (list && reader->next_series < list->count && !count) {
		size_t at = reader->next_series, left = list->count - at;
		const struct series *series = list->items[at];
		const struct layout *layout = series_layout(reader->registry, series);
		bool is_counter = layout->type == METRIC_COUNTER;
		if ((is_counter && !layout->totals.keeps_exemplars) ||
		    layout->pool == POOL_GAUGES) {
			left = left < max ? left : max;
			prefetch_batch(reader->registry, layout, list->items + at, left);
			count = read_scalars(reader, layout, at + left, out);
			continue;
		}
		prefetch_batch(reader->registry, layout, list->items + at, left < 2 ? left : 2);
		reader->next_series++;
		if (!is_dead(series))
			read_series(reader, series, layout, &out[count++]);
	}
	return count;
}

/* Dead ones that are still in the list, too: one may have been read before it died. */
static bool
has_series(struct reader *base, struct span labels)
{
	const struct series_list *list = ((struct registry_reader *)base)->list;
	struct span rest = labels, name, value;
	size_t label_count = 0, low = 0, high = list ? list->count : 0;
	while (label_text_next(&rest, &name, &value))
		label_count++;
	while (low < high) {
		size_t middle = (low + high) / 2;
		int order = series_compare_labels(list->items[middle], label_count, labels);
		if (!order)
			return true;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

static void
reader_close(struct reader *base)
{
	struct registry_reader *reader = (struct registry_reader *)base;
	leave_family(reader);
	buf_fini(&reader->help);
	free(reader->buckets);
	free(reader->exemplars);
	free(reader->exemplar_room);
	free(reader->observations.items);
	native_sum_fini(&reader->native_sum);
	distinct_union_fini(&reader->members);
	free(reader);
}

static void
want(struct reader *base, unsigned extras)
{
	((struct registry_reader *)base)->wants = extras;
}

static const struct reader_ops registry_reader_ops = {next_family, next_batch, reader_close, want,
						       has_series};

struct reader *
registry_reader_new(struct registry *registry, uint64_t births, int64_t now_us)
{
	while (!registry_list_births(registry, births))
		;
	/* What came since the caller asked, too, but one call's worth of it: a flood would not end. No
	 * answer matters, since none of it was promised. */
	bool is_all_listed = registry_list_births(registry, registry_births(registry));
	(void)is_all_listed;
	struct registry_reader *reader = xcalloc(1, sizeof(*reader));
	reader->reader.ops = &registry_reader_ops;
	reader->registry = registry;
	reader->now_us = now_us;
	reader->help = BUF_INIT;
	return &reader->reader;
}
