#include "metrics/output_order.h"

#include "base/alloc.h"
#include "metrics/label_text.h"
#include "metrics/registry_private.h"
#include "metrics/sort_key.h"

#include <stdlib.h>

/* Bytes that are skipped at first. */
#define SKIP_LEAST 64

/*
 * A series or family and what it is sorted by: eight bytes of it at a time. Records are far apart
 * in memory, so comparing them costs cache misses one after the other; reading the next key of all
 * of them in one go lets the misses overlap.
 *
 * A peer chooses what is sorted, so the cost is bounded whatever that is. Bytes that all of a group
 * have in common are skipped without keys. A key that most have is found and set aside in one pass,
 * so a level that splits off little costs little; any other level halves its groups. That makes one
 * look at each byte up to where a string differs from its neighbours, and at most log(count) sorts
 * of numbers.
 */
struct sort_item {
	uint64_t key;
	void *owner;
	size_t offset; /* of the next key in its text */
};

/* What the keys are made of, one after the other. */
enum sort_stage {
	SORT_COUNT,  /* the number of labels */
	SORT_VALUES, /* label values */
	SORT_BYTES,  /* the whole text as it is */
};

struct sorter {
	struct span (*text)(const void *owner);
	uint64_t words; /* that were looked at so far, as series_sort() returns it */
};

struct sort_group {
	struct sort_item *items;
	size_t count;
	enum sort_stage stage;
};

static struct span
text_of_series(const void *owner)
{
	return series_text(owner);
}

static struct span
text_of_family(const void *owner)
{
	return family_name(owner);
}

static uint64_t
next_key(const struct sorter *sorter, enum sort_stage stage, struct sort_item *item)
{
	if (stage == SORT_COUNT)
		return ((const struct series *)item->owner)->label_count;
	struct span text = sorter->text(item->owner);
	return stage == SORT_VALUES ? label_text_key(text, &item->offset)
				    : sort_key_next(text, &item->offset);
}

/* Reads the next keys. @return whether they differ */
static bool
read_keys(struct sorter *sorter, struct sort_group group)
{
	uint64_t difference = 0;
	for (size_t i = 0; i < group.count; i++) {
		group.items[i].key = next_key(sorter, group.stage, &group.items[i]);
		difference |= group.items[i].key ^ group.items[0].key;
	}
	sorter->words += group.count;
	return difference != 0;
}

/* Whether no more keys of this stage can tell items apart whose keys so far are equal. */
static bool
is_at_end(const struct sorter *sorter, struct sort_group group)
{
	if (group.stage == SORT_COUNT)
		return true;
	for (size_t i = 0; i < group.count; i++) {
		if (group.items[i].offset < sorter->text(group.items[i].owner).len)
			return false;
	}
	return true;
}

/* @return how many bytes the texts of all have in common behind their offsets, at most `most` */
static size_t
measure_common(struct sorter *sorter, struct sort_group group, size_t most)
{
	struct span common = span_from(sorter->text(group.items[0].owner), group.items[0].offset);
	common.len = common.len < most ? common.len : most;
	for (size_t i = 1; i < group.count && common.len; i++) {
		struct span text = sorter->text(group.items[i].owner);
		common.len = span_common(common, span_from(text, group.items[i].offset));
		sorter->words += common.len / 8 + 1;
	}
	return common.len;
}

/*
 * Moves behind what the texts of all have in common. Tries twice as much each time, since what only
 * some have in common is looked at in vain.
 */
static void
skip_common(struct sorter *sorter, struct sort_group group)
{
	for (size_t most = SKIP_LEAST, common = most; common == most; most *= 2) {
		common = measure_common(sorter, group, most);
		size_t skipped = common;
		if (group.stage == SORT_VALUES)
			skipped = label_text_settle(sorter->text(group.items[0].owner),
						    group.items[0].offset, common);
		for (size_t i = 0; i < group.count; i++)
			group.items[i].offset += skipped;
		sorter->words += skipped / 8;
		if (skipped < common)
			return;
	}
}

/* Gets the group keys that differ. @return false when all its items are the same */
static bool
find_difference(struct sorter *sorter, struct sort_group *group)
{
	while (!read_keys(sorter, *group)) {
		if (!is_at_end(sorter, *group)) {
			skip_common(sorter, *group);
			continue;
		}
		if (group->stage == SORT_BYTES)
			return false;
		group->stage++;
		for (size_t i = 0; i < group->count; i++)
			group->items[i].offset = 0;
	}
	return true;
}

static int
compare_keys(const void *a, const void *b)
{
	uint64_t left = ((const struct sort_item *)a)->key;
	uint64_t right = ((const struct sort_item *)b)->key;
	return (left > right) - (left < right);
}

/* The key that more than half have, if there is one: each of another takes one of it with it. */
static uint64_t
find_majority(struct sort_group group)
{
	uint64_t key = 0;
	for (size_t i = 0, lead = 0; i < group.count; i++) {
		if (!lead)
			key = group.items[i].key;
		if (group.items[i].key == key)
			lead++;
		else
			lead--;
	}
	return key;
}

/* Sorts by key. */
static void
sort_keys(struct sort_group group)
{
	struct sort_item *items = group.items;
	uint64_t middle = find_majority(group);
	size_t below = 0, above = group.count;
	for (size_t i = 0; i < above;) {
		struct sort_item item = items[i];
		if (item.key == middle) {
			i++;
			continue;
		}
		size_t to = item.key < middle ? below++ : --above;
		items[i] = items[to];
		items[to] = item;
		i += item.key < middle;
	}
	qsort(items, below, sizeof(*items), compare_keys);
	qsort(items + above, group.count - above, sizeof(*items), compare_keys);
}

/* The items from `first` on that have the same key. */
static struct sort_group
equal_keys(struct sort_group group, size_t first)
{
	size_t next = first + 1;
	while (next < group.count && group.items[next].key == group.items[first].key)
		next++;
	return (struct sort_group){group.items + first, next - first, group.stage};
}

/* Calls itself for all parts but the largest, so not deeper than log(count). */
static void
sort_group(struct sorter *sorter, struct sort_group group)
{
	while (group.count > 1 && find_difference(sorter, &group)) {
		struct sort_group largest = {.count = 0};
		sort_keys(group);
		for (size_t first = 0; first < group.count;) {
			struct sort_group part = equal_keys(group, first);
			first += part.count;
			if (part.count > largest.count) {
				struct sort_group smaller = largest;
				largest = part;
				part = smaller;
			}
			if (part.count > 1)
				sort_group(sorter, part);
		}
		group = largest;
	}
}

/* Pointers are copied as bytes, since the arrays hold pointers of different types. */
static uint64_t
sort_owners(void *owners, size_t count, struct span (*text)(const void *), enum sort_stage stage)
{
	struct sorter sorter = {.text = text};
	struct sort_item *items = xreallocarray(NULL, count, sizeof(*items));
	for (size_t i = 0; i < count; i++) {
		items[i] = (struct sort_item){.offset = 0};
		memcpy(&items[i].owner, (char *)owners + i * sizeof(void *), sizeof(void *));
	}
	sort_group(&sorter, (struct sort_group){items, count, stage});
	for (size_t i = 0; i < count; i++)
		memcpy((char *)owners + i * sizeof(void *), &items[i].owner, sizeof(void *));
	free(items);
	return sorter.words;
}

uint64_t
series_sort(struct series **items, size_t count)
{
	return sort_owners(items, count, text_of_series, SORT_COUNT);
}

uint64_t
families_sort(struct family **items, size_t count)
{
	return sort_owners(items, count, text_of_family, SORT_BYTES);
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

/* From the back; see sort_owners() for the pointers. */
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
