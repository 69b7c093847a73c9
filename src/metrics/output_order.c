#include "metrics/output_order.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "metrics/label_text.h"
#include "metrics/registry_private.h"
#include "metrics/sort_key.h"

#include <stdlib.h>

/* Bytes that are skipped at first. */
#define SKIP_LEAST 64
/* Items that are sorted by their keys in one step. */
#define FEW 16
/* What costs how much of order_work: a look at a record that is not in the cache, a word of it
 * then, a look at an item. */
#define COST_RECORD 8
#define COST_WORD 1
#define COST_ITEM 1

/*
 * A series or family and what it is sorted by: eight bytes of it at a time. Records are far apart
 * in memory, so comparing them costs cache misses one after the other; reading the next key of all
 * of them in one go lets the misses overlap.
 *
 * A peer chooses what is sorted, so the cost is bounded whatever that is. Bytes that all of a group
 * have in common are skipped without keys. Groups are split around a key that is drawn by lot, and
 * those that have it go to the next key. That makes one look at each byte up to where a string
 * differs from its neighbours, and about log(count) passes over a group's keys, which lie side by
 * side.
 */
struct sort_item {
	uint64_t key; /* once it is sorted and its place is found: how many come before it */
	void *owner;
	size_t offset; /* of the next key in its text */
};

/* What the keys are made of, one after the other. */
enum sort_stage {
	SORT_COUNT,  /* the number of labels */
	SORT_VALUES, /* label values */
	SORT_BYTES,  /* the whole text as it is */
};

enum sort_step {
	STEP_READ,  /* the next keys of all are read */
	STEP_SKIP,  /* they were the same: what the texts have in common is skipped */
	STEP_SPLIT, /* they differ: the group falls into parts */
};

/* Items whose keys so far are the same, but for the last when it is to be split. */
struct sort_group {
	size_t first, count;
	enum sort_stage stage;
	enum sort_step step;
	bool restarts; /* the next keys are the first of their stage... */
	size_t skip;   /* ... or so far behind each item's offset */
};

/* How far the step of the last group has come. */
struct sort_progress {
	size_t at;
	/* STEP_READ */
	uint64_t difference;
	bool has_more; /* some text does not end here */
	/* STEP_SKIP */
	size_t most, common;
	/* STEP_SPLIT: from `at` to `above` are those that were not looked at. */
	uint64_t middle;
	size_t below, above;
};

struct order_kind {
	struct span (*text)(const void *owner);
	int (*compare)(const void *a, const void *b);
	enum sort_stage first_stage;
};

struct order_merge {
	const struct order_kind *kind;
	const char *newcomers; /* pointers, as bytes: they are of different types */
	struct sort_item *items;
	size_t count, filled;
	struct sort_group *groups; /* that are not sorted yet; the last is being worked on */
	size_t group_count, group_capacity;
	struct sort_progress progress;
	uint64_t lot;
	size_t searched; /* from the back */
};

/* ---- What is sorted. ---- */

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

static int
compare_series(const void *a, const void *b)
{
	return series_compare(a, b);
}

static int
compare_families(const void *a, const void *b)
{
	return span_compare(family_name(a), family_name(b));
}

static const struct order_kind kind_series = {text_of_series, compare_series, SORT_COUNT};
static const struct order_kind kind_families = {text_of_family, compare_families, SORT_BYTES};

static void
push_group(struct order_merge *merge, struct sort_group group)
{
	if (group.count < 2)
		return;
	merge->groups = xgrow(merge->groups, merge->group_count, &merge->group_capacity,
			      sizeof(*merge->groups));
	merge->groups[merge->group_count++] = group;
}

/* To be called when the last group is another one, or its step is. */
static void
begin_last(struct order_merge *merge)
{
	if (merge->group_count)
		merge->progress = (struct sort_progress){
		    .most = SKIP_LEAST, .above = merge->groups[merge->group_count - 1].count};
}

static struct order_merge *
merge_new(const struct order_kind *kind, const void *newcomers, size_t count)
{
	struct order_merge *merge = xcalloc(1, sizeof(*merge));
	merge->kind = kind;
	merge->newcomers = newcomers;
	merge->count = count;
	merge->items = xreallocarray(NULL, count, sizeof(*merge->items));
	/* No peer can foresee it where hashes are keyed. */
	merge->lot = hash_bytes64(&count, sizeof(count)) | 1;
	push_group(merge, (struct sort_group){.count = count, .stage = kind->first_stage});
	begin_last(merge);
	return merge;
}

struct order_merge *
order_merge_series(struct series *const *newcomers, size_t count)
{
	return merge_new(&kind_series, newcomers, count);
}

struct order_merge *
order_merge_families(struct family *const *newcomers, size_t count)
{
	return merge_new(&kind_families, newcomers, count);
}

void
order_merge_free(struct order_merge **slot)
{
	struct order_merge *merge = *slot;
	*slot = NULL;
	if (!merge)
		return;
	free(merge->items);
	free(merge->groups);
	free(merge);
}

/* ---- Sorting. ---- */

static void
spend(struct order_work *work, size_t records, size_t words)
{
	work->left -= (int64_t)(records * COST_RECORD + words * COST_WORD);
	work->words += records + words;
}

/* Puts the items in. @return whether all are */
static bool
fill(struct order_merge *merge, struct order_work *work)
{
	for (; merge->filled < merge->count && work->left > 0; work->left -= COST_ITEM) {
		struct sort_item *item = &merge->items[merge->filled];
		*item = (struct sort_item){.offset = 0};
		memcpy(&item->owner, merge->newcomers + merge->filled++ * sizeof(void *),
		       sizeof(void *));
	}
	return merge->filled == merge->count;
}

static uint64_t
next_key(const struct sort_item *item, struct span text, enum sort_stage stage, size_t *offset)
{
	if (stage == SORT_COUNT)
		return ((const struct series *)item->owner)->label_count;
	return stage == SORT_VALUES ? label_text_key(text, offset) : sort_key_next(text, offset);
}

/* What follows when all keys are read. */
static void
judge_keys(struct order_merge *merge, struct sort_group *group)
{
	const struct sort_progress *progress = &merge->progress;
	group->restarts = false;
	group->skip = 0;
	if (progress->difference) {
		group->step = STEP_SPLIT;
	} else if (progress->has_more) {
		group->step = STEP_SKIP;
	} else if (group->stage == SORT_BYTES) { /* all are the same */
		merge->group_count--;
	} else {
		group->stage++;
		group->restarts = true;
	}
	begin_last(merge);
}

static void
read_keys(struct order_merge *merge, struct sort_group *group, struct order_work *work)
{
	struct sort_progress *progress = &merge->progress;
	struct sort_item *items = merge->items + group->first;
	for (; progress->at < group->count && work->left > 0; progress->at++) {
		struct sort_item *item = &items[progress->at];
		struct span text = merge->kind->text(item->owner);
		item->offset = group->restarts ? 0 : item->offset + group->skip;
		item->key = next_key(item, text, group->stage, &item->offset);
		progress->difference |= item->key ^ items[0].key;
		progress->has_more |= group->stage != SORT_COUNT && item->offset < text.len;
		spend(work, 1, 0);
	}
	if (progress->at == group->count)
		judge_keys(merge, group);
}

/*
 * Measures what the texts of all have in common behind their offsets, and moves behind it. Tries
 * twice as much each time, since what only some have in common is looked at in vain.
 */
static void
skip_common(struct order_merge *merge, struct sort_group *group, struct order_work *work)
{
	struct sort_progress *progress = &merge->progress;
	const struct sort_item *items = merge->items + group->first;
	struct span first =
	    span_from(merge->kind->text(items[0].owner), items[0].offset + group->skip);
	if (!progress->at)
		progress->common = first.len < progress->most ? first.len : progress->most;
	for (; progress->at < group->count && progress->common && work->left > 0; progress->at++) {
		const struct sort_item *item = &items[progress->at];
		struct span text =
		    span_from(merge->kind->text(item->owner), item->offset + group->skip);
		progress->common = span_common(span_first(first, progress->common), text);
		spend(work, 1, progress->common / 8);
	}
	if (progress->at < group->count && progress->common)
		return;
	size_t most = progress->most, skipped = progress->common;
	if (group->stage == SORT_VALUES)
		skipped = label_text_settle(merge->kind->text(items[0].owner),
					    items[0].offset + group->skip, skipped);
	spend(work, 0, skipped / 8);
	group->skip += skipped;
	if (skipped < most)
		group->step = STEP_READ;
	begin_last(merge);
	if (skipped == most)
		progress->most = 2 * most;
}

/* The items from `first` on that have the same key. */
static struct sort_group
equal_keys(const struct order_merge *merge, struct sort_group group, size_t first)
{
	const struct sort_item *items = merge->items + group.first;
	size_t next = first + 1;
	while (next < group.count && items[next].key == items[first].key)
		next++;
	return (struct sort_group){
	    .first = group.first + first, .count = next - first, .stage = group.stage};
}

static void
split_few(struct order_merge *merge, struct sort_group group, struct order_work *work)
{
	struct sort_item *items = merge->items + group.first;
	for (size_t i = 1; i < group.count; i++) {
		struct sort_item item = items[i];
		size_t to = i;
		for (; to && items[to - 1].key > item.key; to--)
			items[to] = items[to - 1];
		items[to] = item;
	}
	merge->group_count--;
	for (size_t first = 0; first < group.count;) {
		struct sort_group part = equal_keys(merge, group, first);
		first += part.count;
		push_group(merge, part);
	}
	work->left -= (int64_t)(group.count * COST_ITEM);
	begin_last(merge);
}

static uint64_t
draw_key(struct order_merge *merge, struct sort_group group)
{
	merge->lot ^= merge->lot << 13;
	merge->lot ^= merge->lot >> 7;
	merge->lot ^= merge->lot << 17;
	return merge->items[group.first + merge->lot % group.count].key;
}

/* The middle one of three. */
static uint64_t
draw_middle(struct order_merge *merge, struct sort_group group)
{
	uint64_t a = draw_key(merge, group), b = draw_key(merge, group), c = draw_key(merge, group);
	uint64_t low = a < b ? a : b, high = a < b ? b : a;
	return c < low ? low : c > high ? high : c;
}

/* The smallest part comes last and is worked on first, so that few parts wait at a time. */
static void
push_parts(struct order_merge *merge, struct sort_group group, size_t below, size_t above)
{
	struct sort_group parts[3] = {
	    {.first = group.first, .count = below, .stage = group.stage, .step = STEP_SPLIT},
	    {.first = group.first + below, .count = above - below, .stage = group.stage},
	    {.first = group.first + above,
	     .count = group.count - above,
	     .stage = group.stage,
	     .step = STEP_SPLIT},
	};
	for (size_t left = 3; left; left--) {
		size_t largest = 0;
		for (size_t i = 1; i < left; i++)
			largest = parts[i].count > parts[largest].count ? i : largest;
		push_group(merge, parts[largest]);
		parts[largest] = parts[left - 1];
	}
}

static void
split(struct order_merge *merge, struct sort_group group, struct order_work *work)
{
	struct sort_item *items = merge->items + group.first;
	struct sort_progress progress = merge->progress;
	if (!progress.at && progress.above == group.count)
		progress.middle = draw_middle(merge, group);
	for (; progress.at < progress.above && work->left > 0; work->left -= COST_ITEM) {
		struct sort_item item = items[progress.at];
		if (item.key == progress.middle) {
			progress.at++;
			continue;
		}
		bool is_below = item.key < progress.middle;
		size_t to = is_below ? progress.below++ : --progress.above;
		items[progress.at] = items[to];
		items[to] = item;
		progress.at += is_below;
	}
	merge->progress = progress;
	if (progress.at < progress.above)
		return;
	merge->group_count--;
	push_parts(merge, group, progress.below, progress.above);
	begin_last(merge);
}

static void
sort_step(struct order_merge *merge, struct order_work *work)
{
	struct sort_group *group = &merge->groups[merge->group_count - 1];
	switch (group->step) {
	case STEP_READ:
		read_keys(merge, group, work);
		break;
	case STEP_SKIP:
		skip_common(merge, group, work);
		break;
	case STEP_SPLIT:
		if (group->count <= FEW)
			split_few(merge, *group, work);
		else
			split(merge, *group, work);
		break;
	}
}

bool
order_merge_sort(struct order_merge *merge, struct order_work *work)
{
	if (!fill(merge, work))
		return false;
	while (merge->group_count && work->left > 0)
		sort_step(merge, work);
	return !merge->group_count;
}

/* ---- Merging. ---- */

static const void *
item_at(const char *items, size_t at)
{
	const void *item;
	memcpy(&item, items + at * sizeof(item), sizeof(item));
	return item;
}

/* Whether an item comes before a newcomer. */
static bool
is_before(const struct order_merge *merge, const void *item, const void *newcomer,
	  struct order_work *work)
{
	/* The texts are compared as fast as memory is. */
	size_t blocks = merge->kind->text(newcomer).len / 64;
	work->left -= (int64_t)(2 * COST_RECORD + blocks * COST_WORD);
	return merge->kind->compare(item, newcomer) < 0;
}

/* How many of the items come before a newcomer, in ever longer steps from the back. */
static size_t
count_before(const struct order_merge *merge, const char *items, size_t count, const void *newcomer,
	     struct order_work *work)
{
	size_t low = 0, high = count;
	for (size_t step = 1; step <= count; step *= 2) {
		if (is_before(merge, item_at(items, count - step), newcomer, work)) {
			low = count - step + 1;
			break;
		}
		high = count - step;
	}
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (is_before(merge, item_at(items, middle), newcomer, work))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool
order_merge_search(struct order_merge *merge, const void *items, size_t count,
		   struct order_work *work)
{
	size_t end = count;
	if (merge->searched)
		end = merge->items[merge->count - merge->searched].key;
	for (; merge->searched < merge->count && work->left > 0; work->left -= COST_ITEM) {
		struct sort_item *item = &merge->items[merge->count - ++merge->searched];
		item->key = end = count_before(merge, items, end, item->owner, work);
	}
	return merge->searched == merge->count;
}

/* From the back. Pointers are copied as bytes, since the arrays hold pointers of different types.
 */
void
order_merge_apply(struct order_merge *merge, void *items, size_t count)
{
	char *to = items;
	for (size_t left = merge->count; left; left--) {
		const struct sort_item *item = &merge->items[left - 1];
		size_t before = item->key;
		memmove(to + (before + left) * sizeof(void *), to + before * sizeof(void *),
			(count - before) * sizeof(void *));
		memcpy(to + (before + left - 1) * sizeof(void *), &item->owner, sizeof(void *));
		count = before;
	}
}
