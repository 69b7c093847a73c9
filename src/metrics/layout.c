#include "metrics/layout.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/hash.h"
#include "base/number.h"
#include "metrics/histogram.h"
#include "metrics/native.h"
#include "metrics/shard.h"

#include <math.h>
#include <stdlib.h>

/* Cells have sizes of so many bytes at least, in steps of as many. */
#define CELL_STEP 16
/* At so many steps a step becomes twice as large: a cell is at most a sixteenth too large. */
#define CELL_STEPS 32

#define BY_NUMBER_BYTES (LAYOUTS_MAX * sizeof(struct layout *))

struct layouts *
layouts_new(void)
{
	struct layouts *layouts = xcalloc(1, sizeof(*layouts));
	layouts->by_number = xpages_alloc(BY_NUMBER_BYTES);
	return layouts;
}

static void
layout_free(struct layout *layout)
{
	free(layout->bounds);
	free(layout->bound_texts);
	free(layout->targets);
	free(layout->quantiles);
	free(layout->quantile_texts);
	free(layout->texts);
	free(layout);
}

void
layouts_free(struct layouts **layouts)
{
	if (!*layouts)
		return;
	struct index *items = &(*layouts)->items;
	for (size_t i = 0; i < items->size; i++) {
		if (items->slots[i].item)
			layout_free(items->slots[i].item);
	}
	index_fini(items);
	xpages_free((*layouts)->by_number, BY_NUMBER_BYTES);
	free(*layouts);
	*layouts = NULL;
}

static uint64_t
hash_of(const struct layout *layout)
{
	const struct {
		uint64_t bounds, targets;
		int64_t zero_first_us, slot_us;
		uint32_t type, is_set, keeps_exemplars, native_steps, native_buckets_max, slots;
	} parts = {
	    hash_bytes64(layout->bounds, layout->bound_count * sizeof(*layout->bounds)),
	    hash_bytes64(layout->targets, layout->quantile_count * sizeof(*layout->targets)),
	    layout->totals.zero_first_us,
	    layout->slot_us,
	    layout->type,
	    layout->is_set,
	    layout->totals.keeps_exemplars,
	    layout->native_steps,
	    layout->native_buckets_max,
	    layout->slots,
	};
	return hash_bytes64(&parts, sizeof(parts));
}

static bool
same_bytes(const void *a, size_t a_len, const void *b, size_t b_len)
{
	return a_len == b_len && (!a_len || memcmp(a, b, a_len) == 0);
}

static bool
is_same(const void *item, const void *key)
{
	const struct layout *a = item, *b = key;
	return a->type == b->type && a->is_set == b->is_set &&
	       a->totals.zero_first_us == b->totals.zero_first_us &&
	       a->totals.keeps_exemplars == b->totals.keeps_exemplars &&
	       a->native_steps == b->native_steps &&
	       a->native_buckets_max == b->native_buckets_max && a->slot_us == b->slot_us &&
	       a->slots == b->slots &&
	       same_bytes(a->bounds, a->bound_count * sizeof(*a->bounds), b->bounds,
			  b->bound_count * sizeof(*b->bounds)) &&
	       same_bytes(a->targets, a->quantile_count * sizeof(*a->targets), b->targets,
			  b->quantile_count * sizeof(*b->targets));
}

/* The pool for cells that take so many bytes, and how many they get in it. */
static void
choose_pool(struct layout *layout)
{
	if (layout->type == METRIC_GAUGE && !layout->is_set) {
		layout->pool = POOL_GAUGES;
		layout->cell_bytes = CELL_STEP;
		return;
	}
	size_t size = shard_cell_size(layout);
	size_t bytes = CELL_STEP, step = CELL_STEP;
	unsigned class = 0;
	for (; bytes < size; bytes += step, class ++) {
		if (bytes == CELL_STEPS * step)
			step *= 2;
	}
	CHECK(class < POOL_CLASSES);
	layout->pool = class + (layout->type == METRIC_SUMMARY ? POOL_SUMMARIES : POOL_OTHERS);
	layout->cell_bytes = bytes;
}

/* The numbers as the exposition spells them; *texts owns the bytes. */
static struct span *
format_all(const double *numbers, size_t count, char **texts)
{
	struct span *spans = xcalloc(count, sizeof(*spans));
	char *at = *texts = xmalloc(count * NUMBER_TEXT_MAX);
	for (size_t i = 0; i < count; i++) {
		spans[i] = span_of(at, number_format(numbers[i], at));
		at += spans[i].len;
	}
	return spans;
}

static void
own_bounds(struct layout *layout)
{
	size_t count = layout->bound_count;
	double *bounds = xcalloc(count + 2, sizeof(*bounds));
	if (count)
		memcpy(bounds, layout->bounds, count * sizeof(*bounds));
	bounds[count] = bounds[count + 1] = INFINITY;
	layout->bounds = bounds;
	layout->bound_texts = format_all(bounds, count, &layout->texts);
}

static void
own_quantiles(struct layout *layout)
{
	size_t count = layout->quantile_count;
	struct quantile *targets = xcalloc(count, sizeof(*targets));
	layout->quantiles = xcalloc(count, sizeof(double));
	for (size_t i = 0; i < count; i++) {
		targets[i] = layout->targets[i];
		layout->quantiles[i] = targets[i].quantile;
	}
	layout->targets = targets;
	layout->quantile_texts = format_all(layout->quantiles, count, &layout->texts);
}

/* @return the lowest, so that those in use lie in few pages; or LAYOUTS_MAX */
static uint32_t
free_number(struct layouts *layouts)
{
	while (layouts->taken < LAYOUTS_MAX && layouts->by_number[layouts->taken])
		layouts->taken++;
	return layouts->taken;
}

/* @wanted borrows its bounds and targets from the options, and has no texts or number */
static struct layout *
intern(struct layouts *layouts, const struct layout *wanted)
{
	if (layouts->recent && is_same(layouts->recent, wanted))
		return layouts->recent;
	uint64_t hash = hash_of(wanted);
	struct layout *layout = index_find(&layouts->items, hash, is_same, wanted);
	if (layout)
		return layouts->recent = layout;
	uint32_t number = free_number(layouts);
	if (number == LAYOUTS_MAX)
		return NULL;
	layout = xmalloc(sizeof(*layout));
	*layout = *wanted;
	layout->number = (uint16_t)number;
	layouts->by_number[number] = layout;
	if (layout->type == METRIC_HISTOGRAM)
		own_bounds(layout);
	else if (layout->type == METRIC_SUMMARY)
		own_quantiles(layout);
	choose_pool(layout);
	index_add(&layouts->items, hash, layout);
	return layouts->recent = layout;
}

struct layout *
layouts_gauge(struct layouts *layouts)
{
	return intern(layouts, &(struct layout){.type = METRIC_GAUGE});
}

struct layout *
layouts_set(struct layouts *layouts)
{
	return intern(layouts, &(struct layout){.type = METRIC_GAUGE, .is_set = true});
}

struct layout *
layouts_counter(struct layouts *layouts, const struct total_options *totals)
{
	return intern(layouts, &(struct layout){.type = METRIC_COUNTER, .totals = *totals});
}

/* Most native buckets that options ask for, in NATIVE_BUCKETS_MAX; 0 = no native histogram. */
static uint32_t
native_buckets_of(const struct histogram_options *options)
{
	if (!(options->native_bucket_factor > 1))
		return 0;
	uint32_t wanted = options->native_max_buckets;
	return wanted && wanted < NATIVE_BUCKETS_MAX ? wanted : NATIVE_BUCKETS_MAX;
}

struct layout *
layouts_histogram(struct layouts *layouts, const struct histogram_options *options,
		  const struct total_options *totals)
{
	uint32_t native_buckets = native_buckets_of(options);
	int schema = native_buckets ? native_schema(options->native_bucket_factor)
				    : NATIVE_SCHEMA_MAX;
	return intern(
	    layouts,
	    &(struct layout){
		.type = METRIC_HISTOGRAM,
		.totals = *totals,
		.bound_count = options->bucket_count,
		.bounds = options->buckets,
		.native_steps = (uint32_t)(NATIVE_SCHEMA_MAX - schema),
		.native_buckets_max = native_buckets,
		.narrow_at = (uint32_t)histogram_narrow_at(options->bucket_count),
	    });
}

struct layout *
layouts_summary(struct layouts *layouts, const struct summary_options *options)
{
	CHECK(options->quantile_count <= QUANTILES_MAX && options->age_buckets > 0);
	int64_t slot_us = options->max_age_us / options->age_buckets;
	CHECK(slot_us > 0);
	return intern(layouts, &(struct layout){
				   .type = METRIC_SUMMARY,
				   .quantile_count = options->quantile_count,
				   .targets = options->quantiles,
				   .slot_us = slot_us,
				   .slots = options->age_buckets,
			       });
}

void
layouts_remove(struct layouts *layouts, struct layout *layout)
{
	CHECK(!layout->series && index_remove(&layouts->items, hash_of(layout), layout));
	layouts->by_number[layout->number] = NULL;
	layouts->recent = NULL;
	if (layout->number < layouts->taken)
		layouts->taken = layout->number;
	layout_free(layout);
}

size_t
layouts_count(const struct layouts *layouts)
{
	return layouts->items.count;
}
