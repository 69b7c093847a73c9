#include "metrics/output_order.h"

#include "base/alloc.h"
#include "metrics/label_text.h"
#include "metrics/registry_private.h"

#include <stdlib.h>

/* So few are compared as they are. */
#define FEW_ITEMS 4
/* So many keys in they are, too: a peer may send long values that differ late. */
#define LEVELS_MAX 64

/*
 * A series and what it is sorted by: eight bytes of its values at a time. Records are far apart in
 * memory, so comparing them costs cache misses one after the other; reading the next key of all of
 * them in one go lets the misses overlap, and happens once for every eight bytes that they have in
 * common.
 */
struct sort_item {
	uint64_t key;
	struct series *series;
	size_t offset; /* of the next key in the label text */
};

static int
compare_keys(const void *a, const void *b)
{
	uint64_t left = ((const struct sort_item *)a)->key;
	uint64_t right = ((const struct sort_item *)b)->key;
	return (left > right) - (left < right);
}

static int
compare_records(const void *a, const void *b)
{
	return series_compare(((const struct sort_item *)a)->series,
			      ((const struct sort_item *)b)->series);
}

/* Whether another key could tell items apart whose keys so far are equal. */
static bool
has_next_key(const struct sort_item *item)
{
	return item->offset != LABEL_TEXT_KEY_STOPPED &&
	       (item->offset == 0 || item->offset < item->series->text_len);
}

/* Reads the next keys. @return whether they differ */
static bool
read_keys(struct sort_item *items, size_t count, unsigned level)
{
	uint64_t difference = 0;
	for (size_t i = 0; i < count; i++) {
		const struct series *series = items[i].series;
		items[i].key = level == 0 ? series->label_count
					  : label_text_key(series_text(series), &items[i].offset);
		difference |= items[i].key ^ items[0].key;
	}
	return difference != 0;
}

static void
sort_items(struct sort_item *items, size_t count, unsigned level)
{
	bool differ = false;
	while (!differ) {
		if (count <= FEW_ITEMS || level >= LEVELS_MAX || !has_next_key(items)) {
			qsort(items, count, sizeof(*items), compare_records);
			return;
		}
		differ = read_keys(items, count, level++);
	}
	qsort(items, count, sizeof(*items), compare_keys);
	for (size_t first = 0, next; first < count; first = next) {
		for (next = first + 1; next < count && items[next].key == items[first].key;)
			next++;
		if (next - first > 1)
			sort_items(items + first, next - first, level);
	}
}

void
series_sort(struct series **items, size_t count)
{
	struct sort_item *sorted = xreallocarray(NULL, count, sizeof(*sorted));
	for (size_t i = 0; i < count; i++)
		sorted[i] = (struct sort_item){.series = items[i]};
	sort_items(sorted, count, 0);
	for (size_t i = 0; i < count; i++)
		items[i] = sorted[i].series;
	free(sorted);
}

/* How many of the items come before `key`, in ever longer steps from the back. */
static size_t
count_before(const char *items, size_t count, const void *key,
	     int (*compare)(const void *, const void *))
{
	size_t low = 0, high = count;
	for (size_t step = 1; step <= count; step *= 2) {
		if (compare(items + (count - step) * sizeof(void *), key) < 0) {
			low = count - step + 1;
			break;
		}
		high = count - step;
	}
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (compare(items + middle * sizeof(void *), key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* From the back. Pointers are copied as bytes, since the arrays hold pointers of different types.
 */
void
order_merge(void *items, size_t count, const void *newcomers, size_t newcomer_count,
	    int (*compare)(const void *, const void *))
{
	char *to = items;
	const char *from = newcomers;
	for (size_t left = newcomer_count; left; left--) {
		const char *newcomer = from + (left - 1) * sizeof(void *);
		size_t before = count_before(to, count, newcomer, compare);
		memmove(to + (before + left) * sizeof(void *), to + before * sizeof(void *),
			(count - before) * sizeof(void *));
		memcpy(to + (before + left - 1) * sizeof(void *), newcomer, sizeof(void *));
		count = before;
	}
}
