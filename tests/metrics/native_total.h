/* How many values a native histogram has, zeros among them. */
#ifndef TESTS_METRICS_NATIVE_TOTAL_H
#define TESTS_METRICS_NATIVE_TOTAL_H

#include "metrics/reader.h"

static inline uint64_t
native_side_total(const struct native_side *side)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < side->bucket_count; i++)
		sum += side->buckets[i];
	return sum;
}

static inline uint64_t
native_total(const struct native_view *view)
{
	return view->zero_count + native_side_total(&view->positive) +
	       native_side_total(&view->negative);
}

#endif
