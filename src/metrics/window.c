/*
 * Beyond the exact entries a value is put into a bucket by its sign, its exponent and the upper seven
 * bits of its mantissa, read straight from the double: no logarithm. Buckets come in pages of one
 * octave, pages in groups, made on first use, so that a summary whose values span ten octaves costs
 * about ten kilobytes. Values of more octaves than anybody measures share one coarse bucket an octave,
 * so that no sender makes a window larger than about 70 kilobytes.
 */
#include "metrics/window.h"

#include "base/alloc.h"
#include "base/check.h"
#include "metrics/targeted.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define MANTISSA_BITS 7
#define PAGE_BUCKETS (1u << MANTISSA_BITS)
#define GROUP_PAGES 64u
#define OCTAVES 4096u /* sign and 11 bits of exponent */
#define GROUPS (OCTAVES / GROUP_PAGES)
#define PAGES_MAX 32u

struct page {
	_Atomic uint64_t buckets[PAGE_BUCKETS];
};

struct group {
	_Atomic(struct page *) pages[GROUP_PAGES];
};

struct coarse {
	_Atomic uint64_t octaves[OCTAVES];
};

struct sketch {
	_Atomic double lowest, highest; /* no bucket stands for a value outside */
	unsigned page_count;		/* owner only */
	size_t bytes;			/* of all parts; owner only */
	_Atomic(struct coarse *) coarse;
	_Atomic(struct group *) groups[GROUPS];
};

struct window {
	int64_t over_us;
	uint32_t capacity;
	_Atomic uint32_t count;
	_Atomic(struct sketch *) sketch;
	struct weighted items[];
};

static struct window *
window_make(int64_t over_us, uint32_t capacity)
{
	struct window *window = xcalloc(1, sizeof(*window) + capacity * sizeof(window->items[0]));
	window->over_us = over_us;
	window->capacity = capacity;
	return window;
}

struct window *
window_new(int64_t over_us)
{
	return window_make(over_us, 4);
}

static void
sketch_free(struct sketch *sketch)
{
	for (unsigned g = 0; g < GROUPS; g++) {
		struct group *group = atomic_load_explicit(&sketch->groups[g], memory_order_relaxed);
		if (!group)
			continue;
		for (unsigned p = 0; p < GROUP_PAGES; p++)
			free(atomic_load_explicit(&group->pages[p], memory_order_relaxed));
		free(group);
	}
	free(atomic_load_explicit(&sketch->coarse, memory_order_relaxed));
	free(sketch);
}

void
window_free(struct window *window)
{
	if (!window)
		return;
	struct sketch *sketch = atomic_load_explicit(&window->sketch, memory_order_acquire);
	if (sketch)
		sketch_free(sketch);
	free(window);
}

size_t
window_bytes(const struct window *window)
{
	const struct sketch *sketch = atomic_load_explicit(&window->sketch, memory_order_acquire);
	return sizeof(*window) + window->capacity * sizeof(window->items[0]) +
	       (sketch ? sketch->bytes : 0);
}

int64_t
window_over_us(const struct window *window)
{
	return window->over_us;
}

static void
add_count(_Atomic uint64_t *count, uint64_t n)
{
	atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + n,
			      memory_order_relaxed);
}

/* The octave's page, made when there may be one more; NULL when not. */
static struct page *
page_of(struct sketch *sketch, unsigned octave)
{
	_Atomic(struct group *) *group_at = &sketch->groups[octave / GROUP_PAGES];
	struct group *group = atomic_load_explicit(group_at, memory_order_relaxed);
	if (!group) {
		if (sketch->page_count == PAGES_MAX)
			return NULL;
		group = xcalloc(1, sizeof(*group));
		sketch->bytes += sizeof(*group);
		atomic_store_explicit(group_at, group, memory_order_release);
	}
	_Atomic(struct page *) *page_at = &group->pages[octave % GROUP_PAGES];
	struct page *page = atomic_load_explicit(page_at, memory_order_relaxed);
	if (!page && sketch->page_count < PAGES_MAX) {
		page = xcalloc(1, sizeof(*page));
		sketch->bytes += sizeof(*page);
		atomic_store_explicit(page_at, page, memory_order_release);
		sketch->page_count++;
	}
	return page;
}

static void
add_coarse(struct sketch *sketch, unsigned octave, uint64_t weight)
{
	struct coarse *coarse = atomic_load_explicit(&sketch->coarse, memory_order_relaxed);
	if (!coarse) {
		coarse = xcalloc(1, sizeof(*coarse));
		sketch->bytes += sizeof(*coarse);
		atomic_store_explicit(&sketch->coarse, coarse, memory_order_release);
	}
	add_count(&coarse->octaves[octave], weight);
}

static void
widen(struct sketch *sketch, double value)
{
	if (value < atomic_load_explicit(&sketch->lowest, memory_order_relaxed))
		atomic_store_explicit(&sketch->lowest, value, memory_order_relaxed);
	if (value > atomic_load_explicit(&sketch->highest, memory_order_relaxed))
		atomic_store_explicit(&sketch->highest, value, memory_order_relaxed);
}

static struct sketch *
sketch_new(void)
{
	struct sketch *sketch = xcalloc(1, sizeof(*sketch));
	sketch->bytes = sizeof(*sketch);
	atomic_store_explicit(&sketch->lowest, INFINITY, memory_order_relaxed);
	atomic_store_explicit(&sketch->highest, -INFINITY, memory_order_relaxed);
	return sketch;
}

static void
sketch_add(struct sketch *sketch, double value, uint64_t weight)
{
	uint64_t bits;
	memcpy(&bits, &value, sizeof(bits));
	unsigned octave = (unsigned)(bits >> 52);
	unsigned bucket = (unsigned)(bits >> (52 - MANTISSA_BITS)) % PAGE_BUCKETS;
	struct page *page = page_of(sketch, octave);
	widen(sketch, value);
	if (page)
		add_count(&page->buckets[bucket], weight);
	else
		add_coarse(sketch, octave, weight);
}

/* A window of twice the room that holds the same; the old one keeps nothing that must be freed. */
static struct window *
window_grow(struct window *window, uint32_t count)
{
	struct window *larger = window_make(window->over_us, window->capacity * 2);
	memcpy(larger->items, window->items, count * sizeof(window->items[0]));
	atomic_store_explicit(&larger->count, count, memory_order_relaxed);
	return larger;
}

struct window *
window_add(struct window *window, double value, uint64_t weight)
{
	struct window *larger = NULL;
	uint32_t count = atomic_load_explicit(&window->count, memory_order_relaxed);
	if (count == WINDOW_EXACT_MAX) {
		struct sketch *sketch =
		    atomic_load_explicit(&window->sketch, memory_order_relaxed);
		if (!sketch) {
			sketch = sketch_new();
			atomic_store_explicit(&window->sketch, sketch, memory_order_release);
		}
		sketch_add(sketch, value, weight);
		return NULL;
	}
	if (count == window->capacity)
		window = larger = window_grow(window, count);
	window->items[count] = (struct weighted){value, weight};
	atomic_store_explicit(&window->count, count + 1, memory_order_release);
	return larger;
}

static void
collect_one(struct weighted_list *list, double value, uint64_t weight)
{
	list->items = xgrow(list->items, list->count, &list->capacity, sizeof(*list->items));
	list->items[list->count++] = (struct weighted){value, weight};
	list->total += weight;
}

/* The middle of a bucket; the bucket of zero and its neighbours stand for zero. */
static double
bucket_middle(unsigned octave, unsigned bucket)
{
	uint64_t bits = (uint64_t)octave << 52 | (uint64_t)bucket << (52 - MANTISSA_BITS);
	if (bits << 1 != 0)
		bits |= UINT64_C(1) << (52 - MANTISSA_BITS - 1);
	double value;
	memcpy(&value, &bits, sizeof(value));
	return value;
}

/* Never outside of what was observed: a quantile above the maximum would be a lie. */
static void
collect_bucket(const struct sketch *sketch, double middle, uint64_t weight,
	       struct weighted_list *list)
{
	double lowest = atomic_load_explicit(&sketch->lowest, memory_order_relaxed);
	double highest = atomic_load_explicit(&sketch->highest, memory_order_relaxed);
	if (weight)
		collect_one(list, fmax(lowest, fmin(highest, middle)), weight);
}

static void
collect_page(const struct sketch *sketch, const struct page *page, unsigned octave,
	     struct weighted_list *list)
{
	for (unsigned b = 0; b < PAGE_BUCKETS; b++)
		collect_bucket(sketch, bucket_middle(octave, b),
			       atomic_load_explicit(&page->buckets[b], memory_order_relaxed), list);
}

static void
collect_sketch(const struct sketch *sketch, struct weighted_list *list)
{
	for (unsigned g = 0; g < GROUPS; g++) {
		const struct group *group =
		    atomic_load_explicit(&sketch->groups[g], memory_order_acquire);
		for (unsigned p = 0; group && p < GROUP_PAGES; p++) {
			const struct page *page =
			    atomic_load_explicit(&group->pages[p], memory_order_acquire);
			if (page)
				collect_page(sketch, page, g * GROUP_PAGES + p, list);
		}
	}
	const struct coarse *coarse = atomic_load_explicit(&sketch->coarse, memory_order_acquire);
	for (unsigned o = 0; coarse && o < OCTAVES; o++)
		collect_bucket(sketch, bucket_middle(o, PAGE_BUCKETS / 2),
			       atomic_load_explicit(&coarse->octaves[o], memory_order_relaxed),
			       list);
}

void
window_collect(const struct window *window, struct weighted_list *list)
{
	uint32_t count = atomic_load_explicit(&window->count, memory_order_acquire);
	for (uint32_t i = 0; i < count; i++)
		collect_one(list, window->items[i].value, window->items[i].weight);
	const struct sketch *sketch = atomic_load_explicit(&window->sketch, memory_order_acquire);
	if (!sketch)
		return;
	list->is_approximate = true;
	collect_sketch(sketch, list);
}

static int
compare_weighted(const void *a, const void *b)
{
	double left = ((const struct weighted *)a)->value;
	double right = ((const struct weighted *)b)->value;
	return (left > right) - (left < right);
}

static void
rank_quantiles(struct weighted_list *list, const struct quantile *targets, size_t count, double *out)
{
	qsort(list->items, list->count, sizeof(*list->items), compare_weighted);
	size_t at = 0;
	uint64_t below = 0; /* weight of all entries before `at` */
	for (size_t i = 0; i < count; i++) {
		double rank = ceil(targets[i].quantile * (double)list->total);
		while (at + 1 < list->count && (double)(below + list->items[at].weight) < rank)
			below += list->items[at++].weight;
		out[i] = list->items[at].value;
	}
}

void
weighted_quantiles(struct weighted_list *list, const struct quantile *targets, size_t count,
		   double *out)
{
	if (!list->total) {
		for (size_t i = 0; i < count; i++)
			out[i] = NAN;
		return;
	}
	bool by_rank = list->total <= TARGETED_BATCH || list->total > QUANTILES_TARGETED_MAX ||
		       list->is_approximate;
	if (by_rank)
		rank_quantiles(list, targets, count, out);
	else
		targeted_quantiles(list->items, list->count, list->total, targets, count, out);
}
