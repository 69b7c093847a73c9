/*
 * metrics/layout - what series of one shape share: bucket bounds or quantiles, with their texts ready
 * for the exposition.
 *
 * Layouts are interned: equal options give the same layout. One lives as long as it has series, or
 * as anybody may know it from the rules in force: see registry_forget_rules().
 *
 * Whatever their layouts are, cells of about one size are of one pool (metrics/shard): there are
 * few pools, and none is ever given up, while options may change with every reload.
 */
#ifndef METRICS_LAYOUT_H
#define METRICS_LAYOUT_H

#include "base/index.h"
#include "base/span.h"
#include "model/kind.h"
#include "model/options.h"

#include <stdint.h>
#include <string.h>

/*
 * Gauges have the first pool, since all threads share their cells. Windows have to be looked for, so
 * summaries have pools of their own; the size of a cell tells which.
 */
#define POOL_GAUGES 0
#define POOL_OTHERS 1
#define POOL_CLASSES 112 /* up to 16 KiB: a cell with BUCKETS_MAX buckets and exemplars fits */
#define POOL_SUMMARIES (POOL_OTHERS + POOL_CLASSES)
#define POOLS (POOL_SUMMARIES + POOL_CLASSES)

/* So many can exist at a time: each has a number below, which is small enough for millions of series. */
#define LAYOUTS_MAX 65536

struct layout {
	unsigned pool;     /* of the cells, below POOLS */
	uint16_t number;   /* no other's while this one exists, see layouts_at() */
	size_t cell_bytes; /* of a cell in the pool */
	enum metric_type type;
	bool is_set; /* a gauge that shows how many different members it was given */
	struct total_options totals; /* of counters and histograms */

	/* Histograms. */
	size_t bound_count;
	double *bounds;              /* finite, ascending, then one or two infinite ones; owned */
	struct span *bound_texts;    /* owned, the bytes behind them too */
	uint32_t native_steps;       /* of a series' native histogram at its birth */
	uint32_t native_buckets_max; /* 1 to NATIVE_BUCKETS_MAX, or 0 = no native histogram */
	uint32_t narrow_at;          /* see metrics/histogram */

	/* Summaries. */
	size_t quantile_count;
	struct quantile *targets;    /* ascending by quantile; owned */
	double *quantiles;	     /* the same without their errors; owned */
	struct span *quantile_texts; /* owned, the bytes behind them too */
	int64_t slot_us; /* how long one slot of the window collects */
	uint32_t slots;	 /* age buckets */

	char *texts; /* owned storage of the texts */

	/* The registry's, under its lock. */
	uint64_t series;            /* how many have this layout */
	uint64_t rules;             /* number of the last rule set that asked for one of them */
	bool is_unused;             /* in the list below; it may be in use again */
	struct layout *next_unused; /* registry->unused; control only */
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

/* Insides: here for layouts_at() alone. */
struct layouts {
	struct index items;	   /* owned */
	struct layout **by_number; /* owned: LAYOUTS_MAX in pages that stay; NULL = a free number */
	uint32_t taken;		   /* all numbers below it are */
	struct layout *recent;	   /* the last that was asked for: births of a kind come in crowds */
};

struct layouts *layouts_new(void);
void layouts_free(struct layouts **layouts);

/**
 * Finds or makes the layout of gauges. Not thread safe: callers hold the registry's lock.
 *
 * @return NULL when LAYOUTS_MAX others exist
 */
struct layout *layouts_gauge(struct layouts *layouts);
/** The same for sets. */
struct layout *layouts_set(struct layouts *layouts);
/** The same for a counter. */
struct layout *layouts_counter(struct layouts *layouts, const struct total_options *totals);
/** The same for a histogram, of BUCKETS_MAX buckets at most. */
struct layout *layouts_histogram(struct layouts *layouts, const struct histogram_options *options,
				 const struct total_options *totals);
/**
 * The same for a summary, of AGE_BUCKETS_MAX age buckets at most, whose max_age_us is at least
 * their number.
 */
struct layout *layouts_summary(struct layouts *layouts, const struct summary_options *options);

/**
 * @return the layout of a number. Without the lock, too, for who learned under the lock, and while
 *         the layout existed, that it has the number, until it is removed
 */
static inline struct layout *
layouts_at(const struct layouts *layouts, uint16_t number)
{
	return layouts->by_number[number];
}

/** Frees a layout without series; another may get its number. The same lock. */
void layouts_remove(struct layouts *layouts, struct layout *layout);

/** @return layouts that exist. The same lock. */
size_t layouts_count(const struct layouts *layouts);

#endif
