/*
 * metrics/window - the observations of one slot of a summary's sliding window.
 *
 * Exact up to WINDOW_EXACT_MAX entries; beyond, logarithmic buckets whose middle is within 0.4 % of
 * every value in them, or within a third once values span more than 32 octaves. What is read is never
 * outside of what was observed. One thread writes; the control thread reads at any time.
 */
#ifndef METRICS_WINDOW_H
#define METRICS_WINDOW_H

#include "model/options.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* statsd_exporter's quantiles are exact up to 500 observations a window; a slot is exact up to this. */
#define WINDOW_EXACT_MAX 512

struct window;

/* One observation, or several of the same value. */
struct weighted {
	double value;
	uint64_t weight;
};

/** @over_us when no quantile shows it any more, since the bridge started */
struct window *window_new(int64_t over_us);
/** Frees a window, and its buckets when it still has them. */
void window_free(struct window *window);

/** @return bytes it takes at present; by the owner, or when nobody else uses it */
size_t window_bytes(const struct window *window);

/** @return when no quantile shows it any more */
int64_t window_over_us(const struct window *window);

/**
 * Adds an observation; by the owner.
 *
 * @return NULL, or a larger window that has taken over everything (also the buckets) and must
 *         replace this one, which may still be read
 */
struct window *window_add(struct window *window, double value, uint64_t weight);

/* A growing list of observations in the order they came, reused between calls. */
struct weighted_list {
	struct weighted *items; /* owned */
	size_t count, capacity;
	uint64_t total;	     /* of the weights */
	bool is_approximate; /* some values are the middle of a bucket */
};

/** Forgets the observations, keeps the memory. */
static inline void
weighted_list_reset(struct weighted_list *list)
{
	list->count = 0;
	list->total = 0;
	list->is_approximate = false;
}

/** Appends what a window holds. */
void window_collect(const struct window *window, struct weighted_list *list);

/**
 * Quantiles over weighted observations. Up to TARGETED_BATCH in all, and again beyond
 * QUANTILES_TARGETED_MAX or once values are approximate, nearest rank: the value at rank
 * ceil(q * total), at least 1. In between, the estimate that statsd_exporter gives
 * (metrics/targeted).
 *
 * @list    may be sorted in place
 * @targets ascending by quantile
 * @out     one value a target; NaN when the list is empty
 */
void weighted_quantiles(struct weighted_list *list, const struct quantile *targets, size_t count,
			double *out);

/* Estimating costs memory for every observation, so a window of more goes by rank. */
#define QUANTILES_TARGETED_MAX 5000

#endif
