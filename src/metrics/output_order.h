/*
 * metrics/output_order - private to the registry: series and families that were born find their places
 * among those in output order, by slices of the work.
 */
#ifndef METRICS_OUTPUT_ORDER_H
#define METRICS_OUTPUT_ORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct family;
struct series;

/* How much may still be done: each call goes on while it is above zero, and below it by one record at
 * most. */
struct order_work {
	int64_t left;	/* a unit takes some nanoseconds */
	uint64_t words; /* of eight bytes that sorting looked at, of all calls with this struct */
};

struct order_merge;

/**
 * Begins to merge newcomers into an array in output order: first they are sorted, then their places are
 * searched, and then they are put in.
 *
 * @newcomers in any order, none of the same labels as another; borrowed until all are sorted or
 *            order_merge_free()
 */
struct order_merge *order_merge_series(struct series *const *newcomers, size_t count);
/** The same for families, by name. */
struct order_merge *order_merge_families(struct family *const *newcomers, size_t count);
void order_merge_free(struct order_merge **merge);

/**
 * Sorts as series_compare() has it, but without its cache misses. The cost is bounded by the bytes of
 * all texts and count * log(count)^2, whatever the texts have in common.
 *
 * @return whether all are sorted
 */
bool order_merge_sort(struct order_merge *merge, struct order_work *work);

/**
 * Searches the places of newcomers that are sorted.
 *
 * @items pointers in output order, of the newcomers' type. From the first call on until the newcomers
 *        are put in none may come or go, but what they point to may move
 * @return whether all places are found
 */
bool order_merge_search(struct order_merge *merge, const void *items, size_t count,
			struct order_work *work);

/** Puts newcomers whose places are found in, in one go: pointers are moved, nothing is looked at.
 * @items has room for both */
void order_merge_apply(struct order_merge *merge, void *items, size_t count);

#endif
