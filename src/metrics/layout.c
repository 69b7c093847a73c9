#include "metrics/layout.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/number.h"
#include "metrics/native.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>

struct layouts {
	_Atomic unsigned count;
	_Atomic(struct layout *) items[POOLS_MAX];
};

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

/* Publishes a layout: a reader that learns its pool finds it complete. */
static const struct layout *
add(struct layouts *layouts, struct layout *layout)
{
	unsigned count = atomic_load(&layouts->count);
	layout->pool = count;
	atomic_store(&layouts->items[count], layout);
	atomic_store(&layouts->count, count + 1);
	return layout;
}

struct layouts *
layouts_new(void)
{
	struct layouts *layouts = xcalloc(1, sizeof(*layouts));
	static const enum metric_type fixed[POOLS_FIXED] = {METRIC_COUNTER, METRIC_GAUGE,
							    METRIC_GAUGE};
	for (size_t i = 0; i < POOLS_FIXED; i++) {
		struct layout *layout = xcalloc(1, sizeof(*layout));
		layout->type = fixed[i];
		layout->is_set = i == POOL_SETS;
		add(layouts, layout);
	}
	return layouts;
}

void
layouts_free(struct layouts **layouts)
{
	if (!*layouts)
		return;
	for (unsigned i = 0; i < layouts_count(*layouts); i++)
		layout_free((*layouts)->items[i]);
	free(*layouts);
	*layouts = NULL;
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

static bool
same_numbers(const double *a, size_t a_count, const double *b, size_t b_count)
{
	return a_count == b_count && (!a_count || memcmp(a, b, a_count * sizeof(*a)) == 0);
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

static bool
same_totals(const struct layout *layout, const struct total_options *totals)
{
	return layout->totals.zero_first_us == totals->zero_first_us &&
	       layout->totals.keeps_exemplars == totals->keeps_exemplars;
}

const struct layout *
layouts_counter(struct layouts *layouts, const struct total_options *totals)
{
	if (same_totals(layouts_get(layouts, POOL_COUNTERS), totals))
		return layouts_get(layouts, POOL_COUNTERS);
	unsigned count = layouts_count(layouts);
	for (unsigned i = POOLS_FIXED; i < count; i++) {
		const struct layout *have = layouts_get(layouts, i);
		if (have->type == METRIC_COUNTER && same_totals(have, totals))
			return have;
	}
	if (count == POOLS_MAX)
		return NULL;
	struct layout *layout = xcalloc(1, sizeof(*layout));
	layout->type = METRIC_COUNTER;
	layout->totals = *totals;
	return add(layouts, layout);
}

const struct layout *
layouts_histogram(struct layouts *layouts, const struct histogram_options *options,
		  const struct total_options *totals)
{
	uint32_t native_buckets = native_buckets_of(options);
	int schema = native_buckets ? native_schema(options->native_bucket_factor) : 0;
	unsigned count = layouts_count(layouts);
	for (unsigned i = POOLS_FIXED; i < count; i++) {
		const struct layout *have = layouts_get(layouts, i);
		if (have->type == METRIC_HISTOGRAM && have->native_schema == schema &&
		    have->native_buckets_max == native_buckets && same_totals(have, totals) &&
		    same_numbers(have->bounds, have->bound_count, options->buckets,
				 options->bucket_count))
			return have;
	}
	if (count == POOLS_MAX)
		return NULL;
	struct layout *layout = xcalloc(1, sizeof(*layout));
	layout->type = METRIC_HISTOGRAM;
	layout->totals = *totals;
	layout->native_schema = schema;
	layout->native_buckets_max = native_buckets;
	layout->bound_count = options->bucket_count;
	layout->bounds = xcalloc(options->bucket_count + 2, sizeof(double));
	layout->bounds[options->bucket_count] = layout->bounds[options->bucket_count + 1] = INFINITY;
	if (options->bucket_count)
		memcpy(layout->bounds, options->buckets, options->bucket_count * sizeof(double));
	layout->bound_texts = format_all(layout->bounds, layout->bound_count, &layout->texts);
	return add(layouts, layout);
}

static bool
same_targets(const struct layout *layout, const struct summary_options *options)
{
	if (layout->quantile_count != options->quantile_count)
		return false;
	for (size_t i = 0; i < options->quantile_count; i++) {
		if (layout->targets[i].quantile != options->quantiles[i].quantile ||
		    layout->targets[i].error != options->quantiles[i].error)
			return false;
	}
	return true;
}

const struct layout *
layouts_summary(struct layouts *layouts, const struct summary_options *options)
{
	size_t wanted = options->quantile_count;
	CHECK(wanted <= QUANTILES_MAX && options->age_buckets > 0);
	int64_t slot_us = options->max_age_us / options->age_buckets;
	CHECK(slot_us > 0);
	unsigned count = layouts_count(layouts);
	for (unsigned i = POOLS_FIXED; i < count; i++) {
		const struct layout *have = layouts_get(layouts, i);
		if (have->type == METRIC_SUMMARY && have->slot_us == slot_us &&
		    have->slots == options->age_buckets && same_targets(have, options))
			return have;
	}
	if (count == POOLS_MAX)
		return NULL;
	struct layout *layout = xcalloc(1, sizeof(*layout));
	layout->type = METRIC_SUMMARY;
	layout->slot_us = slot_us;
	layout->slots = options->age_buckets;
	layout->quantile_count = wanted;
	layout->targets = xcalloc(wanted, sizeof(struct quantile));
	layout->quantiles = xcalloc(wanted, sizeof(double));
	for (size_t i = 0; i < wanted; i++) {
		layout->targets[i] = options->quantiles[i];
		layout->quantiles[i] = options->quantiles[i].quantile;
	}
	layout->quantile_texts = format_all(layout->quantiles, wanted, &layout->texts);
	return add(layouts, layout);
}

const struct layout *
layouts_get(const struct layouts *layouts, unsigned pool)
{
	CHECK(pool < POOLS_MAX);
	return atomic_load(&layouts->items[pool]);
}

unsigned
layouts_count(const struct layouts *layouts)
{
	return atomic_load(&layouts->count);
}
