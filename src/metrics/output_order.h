/*
 * metrics/output_order - private to the registry: sorting series and families that were born.
 */
#ifndef METRICS_OUTPUT_ORDER_H
#define METRICS_OUTPUT_ORDER_H

#include <stddef.h>

struct series;

/** Sorts as series_compare() has it, but without its cache misses. */
void series_sort(struct series **items, size_t count);

/**
 * Merges a sorted array of pointers into another that has room for both. Costs little more than
 * moving what is there when the newcomers are few.
 *
 * @items, @newcomers arrays of pointers of the same type; none is in both
 * @compare takes two addresses of such pointers
 */
void order_merge(void *items, size_t count, const void *newcomers, size_t newcomer_count,
		 int (*compare)(const void *, const void *));

#endif
