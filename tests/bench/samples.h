/*
 * bench/samples - repeated measurements of one thing, and what they say together.
 */
#ifndef BENCH_SAMPLES_H
#define BENCH_SAMPLES_H

#include "base/check.h"

#include <stdlib.h>

#define SAMPLES_MAX 16

struct samples {
	double values[SAMPLES_MAX];
	unsigned count;
};

static inline void
samples_add(struct samples *samples, double value)
{
	CHECK(samples->count < SAMPLES_MAX);
	samples->values[samples->count++] = value;
}

static inline int
samples_compare(const void *a, const void *b)
{
	const double *x = a, *y = b;
	return (*x > *y) - (*x < *y);
}

/** @return the median; of an even count the mean of the middle two; 0 of none */
static inline double
samples_median(struct samples samples)
{
	qsort(samples.values, samples.count, sizeof(double), samples_compare);
	if (!samples.count)
		return 0;
	return (samples.values[(samples.count - 1) / 2] + samples.values[samples.count / 2]) / 2;
}

#endif
