/*
 * metrics/layout - what series of one shape share: bucket bounds or quantiles, with their texts ready
 * for the exposition.
 *
 * Layouts are interned: equal options give the same layout, which lives as long as the table. Series
 * of one layout have cells of one size, so a layout is also a pool of cells (metrics/values).
 */
#ifndef METRICS_LAYOUT_H
#define METRICS_LAYOUT_H

#include "base/span.h"
#include "model/kind.h"
#include "model/options.h"

#include <stdint.h>
#include <string.h>

/*
 * The first pools are the counters without options, the gauges and the sets; each layout of an
 * observer, and of counters with options, is one more.
 */
#define POOL_COUNTERS 0
#define POOL_GAUGES 1
#define POOL_SETS 2
#define POOLS_FIXED 3
#define POOLS_MAX 4096

struct layout {
	unsigned pool; /* index, below POOLS_MAX */
	enum metric_type type;
	bool is_set; /* a gauge that shows how many different members it was given */
	struct total_options totals; /* of counters and histograms */

	/* Histograms. */
	size_t bound_count;
	double *bounds;              /* finite, ascending, then one or two infinite ones; owned */
	struct span *bound_texts;    /* owned, the bytes behind them too */
	int native_schema;           /* of a series' native histogram at its birth */
	uint32_t native_buckets_max; /* 1 to NATIVE_BUCKETS_MAX, or 0 = no native histogram */

	/* Summaries. */
	size_t quantile_count;
	struct quantile *targets;    /* ascending by quantile; owned */
	double *quantiles;	     /* the same without their errors; owned */
	struct span *quantile_texts; /* owned, the bytes behind them too */
	int64_t slot_us; /* how long one slot of the window collects */
	uint32_t slots;	 /* age buckets */

	char *texts; /* owned storage of the texts */
};

/* More bounds than this are halved first; fewer are all compared, which takes no guess. */
#define LAYOUT_BOUNDS_COMPARED 32

/** @return the first bucket whose upper bound is not below `value`, which is finite: bounds are inclusive */
static inline size_t
layout_bucket(const struct layout *layout, double value)
{
	typedef double two_doubles __attribute__((vector_size(16)));
	typedef int64_t two_counts __attribute__((vector_size(16)));
	const double *bounds = layout->bounds;
	size_t left = layout->bound_count;
	while (left > LAYOUT_BOUNDS_COMPARED) {
		size_t half = left / 2;
		bool above = bounds[half] < value;
		bounds += above ? half + 1 : 0;
		left = above ? left - half - 1 : half;
	}
	two_counts below = {0, 0}; /* a comparison that holds is -1 */
	for (size_t i = 0; i < left; i += 2) {
		two_doubles pair;
		memcpy(&pair, bounds + i, sizeof(pair));
		below += pair < (two_doubles){value, value};
	}
	return (size_t)(bounds - layout->bounds) - (size_t)(below[0] + below[1]);
}

struct layouts;

struct layouts *layouts_new(void);
void layouts_free(struct layouts **layouts);

/**
 * Finds or makes the layout for a counter. Not thread safe: callers hold the registry's lock.
 *
 * @return the layout, valid as long as `layouts`; NULL when POOLS_MAX layouts exist
 */
const struct layout *layouts_counter(struct layouts *layouts, const struct total_options *totals);
/** The same for a histogram. */
const struct layout *layouts_histogram(struct layouts *layouts,
				       const struct histogram_options *options,
				       const struct total_options *totals);
/** The same for a summary, whose max_age_us is at least age_buckets. */
const struct layout *layouts_summary(struct layouts *layouts,
				     const struct summary_options *options);
/** @return a pool's layout; the fixed pools always exist. Safe without lock for a pool once seen. */
const struct layout *layouts_get(const struct layouts *layouts, unsigned pool);
/** @return pools that exist */
unsigned layouts_count(const struct layouts *layouts);

#endif
