/*
 * metrics/output_order - private to the registry: sorting series and families that were born.
 */
#ifndef METRICS_OUTPUT_ORDER_H
#define METRICS_OUTPUT_ORDER_H

#include <stddef.h>
#include <stdint.h>

struct family;
struct series;

/**
 * Sorts as series_compare() has it, but without its cache misses. The cost is bounded by the bytes
 * of all texts and count * log(count)^2, whatever the texts have in common.
 *
 * @items none of the same labels as another
 * @return that cost: how many words of eight bytes were looked at
 */
uint64_t series_sort(struct series **items, size_t count);

/** The same for families, by name. */
uint64_t families_sort(struct family **items, size_t count);

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
