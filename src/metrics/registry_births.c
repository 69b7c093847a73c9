/*
 * Births on their way into the output order, on the control thread.
 *
 * They come in rounds. A round is for the families that have births when it begins. Of one after
 * the other it takes the births and merges them into the family's list; at the end it merges those
 * families that were born themselves into the list of all. So whoever waits for the births so far
 * waits for two rounds at most, however many come meanwhile. A round is many calls, and between
 * them all lists are whole: what is not merged yet is in none.
 */
#include "metrics/registry_private.h"

#include "base/alloc.h"
#include "metrics/label_text.h"
#include "metrics/output_order.h"

#include <stdlib.h>

/* What one call does, in units of struct order_work: a millisecond or two where memory is slow. */
#define SLICE 50000
/* What a family costs besides: its list is made. */
#define FAMILY_COST 200

int
series_compare_labels(const struct series *series, size_t label_count, struct span labels)
{
	if (series->label_count != label_count)
		return series->label_count < label_count ? -1 : 1;
	int order = label_text_compare_values(series_text(series), labels);
	/* Equal values under other names: any order will do, as long as it is one. */
	return order ? order : span_compare(series_text(series), labels);
}

int
series_compare(const struct series *a, const struct series *b)
{
	return series_compare_labels(a, b->label_count, series_text(b));
}

/* None may have births: the round before took those that came while their families waited in it. */
static void
begin_round(struct registry *registry)
{
	struct listing *listing = &registry->listing;
	pthread_mutex_lock(&registry->lock);
	listing->families = registry->born;
	registry->born = NULL;
	listing->round_births = registry->births;
	pthread_mutex_unlock(&registry->lock);
	listing->is_under_way = true;
}

static void
end_round(struct listing *listing)
{
	listing->is_under_way = false;
	listing->births = listing->round_births;
}

/* Takes the births of the round's next family. @return false when there is none left */
static bool
take_births(struct registry *registry)
{
	struct listing *listing = &registry->listing;
	pthread_mutex_lock(&registry->lock);
	struct family *family = listing->families;
	if (family) {
		listing->families = family->next_born;
		listing->taken = family->births;
		listing->taken_count = family->birth_count;
		family->births = NULL;
		family->birth_count = family->birth_capacity = 0;
	}
	pthread_mutex_unlock(&registry->lock);
	listing->family = family;
	return family;
}

/* @return whether the newcomers can search their places, in lists as they are from now on */
static bool
sort_newcomers(struct registry *registry, struct order_work *work)
{
	struct listing *listing = &registry->listing;
	if (listing->is_searching)
		return true;
	if (!order_merge_sort(listing->merge, work))
		return false;
	/* However closely one search follows the other. */
	if (listing->owes_clean)
		registry_clean(registry);
	listing->owes_clean = false;
	return true;
}

/* @return whether all newcomers have their places among the items */
static bool
find_places(struct listing *listing, const void *items, size_t count, struct order_work *work)
{
	listing->is_searching = !order_merge_search(listing->merge, items, count, work);
	return !listing->is_searching;
}

/* Puts the births into their family's list, which has places for them. */
static void
apply_births(struct family *family, struct order_merge *merge, size_t count)
{
	family_own_list(family);
	struct series_list *list = family->list;
	if (list->count + count > list->capacity) {
		list->capacity = list->count + count + list->count / 8;
		list->items = xreallocarray(list->items, list->capacity, sizeof(struct series *));
	}
	order_merge_apply(merge, list->items, list->count);
	list->count += count;
	family->unarranged += count;
}

static void
note_listed(struct registry *registry, size_t count)
{
	registry->listed += count;
	registry->unarranged += count;
	registry->listed_tick = registry->tick;
}

/* Goes on with the births that were taken. */
static void
merge_births(struct registry *registry, struct order_work *work)
{
	struct listing *listing = &registry->listing;
	struct family *family = listing->family;
	if (!sort_newcomers(registry, work))
		return;
	const struct series_list *list = family->list;
	if (!find_places(listing, list ? list->items : NULL, list ? list->count : 0, work))
		return;
	apply_births(family, listing->merge, listing->taken_count);
	if (family->is_listed) {
		note_listed(registry, listing->taken_count);
	} else {
		listing->newcomers = xgrow(listing->newcomers, listing->newcomer_count,
					   &listing->newcomer_capacity, sizeof(struct family *));
		listing->newcomers[listing->newcomer_count++] = family;
		listing->newcomer_series += listing->taken_count;
		family->is_listed = true;
	}
	order_merge_free(&listing->merge);
	free(listing->taken);
	listing->taken = NULL;
	listing->family = NULL;
}

/* Goes on with the families that were born. */
static void
merge_families(struct registry *registry, struct order_work *work)
{
	struct listing *listing = &registry->listing;
	size_t count = listing->newcomer_count;
	if (!sort_newcomers(registry, work) ||
	    !find_places(listing, registry->sorted, registry->sorted_count, work))
		return;
	if (registry->sorted_count + count > registry->sorted_capacity) {
		registry->sorted_capacity =
		    registry->sorted_count + count + registry->sorted_count / 8;
		registry->sorted = xreallocarray(registry->sorted, registry->sorted_capacity,
						 sizeof(struct family *));
	}
	order_merge_apply(listing->merge, registry->sorted, registry->sorted_count);
	registry->sorted_count += count;
	registry->sorted_version++;
	note_listed(registry, listing->newcomer_series);
	order_merge_free(&listing->merge);
	free(listing->newcomers);
	listing->newcomers = NULL;
	listing->newcomer_count = listing->newcomer_capacity = listing->newcomer_series = 0;
}

/* Goes on with whatever is under way, or begins the next. */
static void
step(struct registry *registry, struct order_work *work)
{
	struct listing *listing = &registry->listing;
	if (!listing->is_under_way) {
		begin_round(registry);
	} else if (listing->family) {
		merge_births(registry, work);
	} else if (listing->merge) {
		merge_families(registry, work);
	} else if (take_births(registry)) {
		listing->merge = order_merge_series(listing->taken, listing->taken_count);
		work->left -= FAMILY_COST;
	} else if (listing->newcomer_count) {
		listing->merge = order_merge_families(listing->newcomers, listing->newcomer_count);
	} else {
		end_round(listing);
	}
}

uint64_t
registry_births(struct registry *registry)
{
	pthread_mutex_lock(&registry->lock);
	uint64_t births = registry->births;
	pthread_mutex_unlock(&registry->lock);
	return births;
}

bool
registry_list_births(struct registry *registry, uint64_t births)
{
	return registry_list_some(registry, births, SLICE);
}

bool
registry_list_some(struct registry *registry, uint64_t births, int64_t left)
{
	struct order_work work = {.left = left};
	while (registry->listing.births < births && work.left > 0)
		step(registry, &work);
	return registry->listing.births >= births;
}

void
listing_fini(struct listing *listing)
{
	order_merge_free(&listing->merge);
	free(listing->taken);
	free(listing->newcomers);
}
