/*
 * metrics/targeted - quantiles with a chosen error each, as statsd_exporter answers them for windows
 * of more than 500 observations: targeted quantiles after Cormode, Korn, Muthukrishnan and Srivastava,
 * "Effective Computation of Biased Quantiles over Data Streams" (2005), fed in batches of 500.
 *
 * Less exact than ranks over all observations; kept so that the numbers on a dashboard stay what they
 * were when the bridge is swapped.
 */
#ifndef METRICS_TARGETED_H
#define METRICS_TARGETED_H

#include "metrics/window.h"
#include "model/options.h"

/* Observations in one batch, and what a window may hold and still be answered exactly. */
#define TARGETED_BATCH 500

/**
 * Estimates quantiles of a stream.
 *
 * @items   `item_count` observations in the order they came; each counts `weight` times
 * @total   sum of the weights; work and memory grow with it
 * @targets `target_count` quantiles and their errors
 * @out     one value a target
 */
void targeted_quantiles(const struct weighted *items, size_t item_count, uint64_t total,
			const struct quantile *targets, size_t target_count, double *out);

#endif
