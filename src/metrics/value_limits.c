#include "metrics/value_limits.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/hash.h"
#include "base/index.h"
#include "metrics/label_text.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

/* A value that has a place. Its bytes are not kept: 128 bits of a keyed hash tell it from others.
 */
struct held {
	struct hash128 hash;
	uint64_t count; /* how often it was taken */
};

/* One label of one file. */
struct tracker {
	char *path, *label; /* owned */
	size_t number;
	struct index values; /* items are struct held, owned */
	bool was_full;       /* a value was turned away since the last place became free */
};

struct scope {
	char *path;                /* borrowed from its first tracker */
	struct tracker **trackers; /* owned array */
	size_t count;
};

struct value_limits {
	pthread_mutex_t lock;
	struct tracker **trackers; /* owned */
	size_t tracker_count, tracker_capacity;
	struct scope *scopes;
	size_t scope_count, scope_capacity;
	struct buf text; /* scratch */
	_Atomic uint64_t freed;
};

struct value_limits *
value_limits_new(void)
{
	struct value_limits *limits = xcalloc(1, sizeof(*limits));
	pthread_mutex_init(&limits->lock, NULL);
	limits->text = BUF_INIT;
	return limits;
}

static void
tracker_free(struct tracker *tracker)
{
	for (size_t i = 0; i < tracker->values.size; i++)
		free(tracker->values.slots[i].item);
	index_fini(&tracker->values);
	free(tracker->path);
	free(tracker->label);
	free(tracker);
}

void
value_limits_free(struct value_limits **slot)
{
	struct value_limits *limits = *slot;
	*slot = NULL;
	if (!limits)
		return;
	for (size_t i = 0; i < limits->tracker_count; i++)
		tracker_free(limits->trackers[i]);
	for (size_t i = 0; i < limits->scope_count; i++)
		free(limits->scopes[i].trackers);
	free(limits->trackers);
	free(limits->scopes);
	buf_fini(&limits->text);
	pthread_mutex_destroy(&limits->lock);
	free(limits);
}

/* ---- Scopes, when mapping files are loaded. ---- */

static struct tracker *
get_tracker(struct value_limits *limits, struct span path, struct span label)
{
	for (size_t i = 0; i < limits->tracker_count; i++) {
		struct tracker *known = limits->trackers[i];
		if (span_equal(span_text(known->path), path) &&
		    span_equal(span_text(known->label), label))
			return known;
	}
	struct tracker *tracker = xcalloc(1, sizeof(*tracker));
	*tracker = (struct tracker){.path = xmemdup0(path.ptr, path.len),
				    .label = xmemdup0(label.ptr, label.len),
				    .number = limits->tracker_count};
	limits->trackers = xgrow(limits->trackers, limits->tracker_count, &limits->tracker_capacity,
				 sizeof(*limits->trackers));
	return limits->trackers[limits->tracker_count++] = tracker;
}

static bool
scope_is(const struct scope *scope, struct span path, const struct span *labels, size_t count)
{
	if (scope->count != count || !span_equal(span_text(scope->path), path))
		return false;
	for (size_t i = 0; i < count; i++)
		if (!span_equal(span_text(scope->trackers[i]->label), labels[i]))
			return false;
	return true;
}

/* Under the lock. */
static unsigned
get_scope(struct value_limits *limits, struct span path, const struct span *labels, size_t count)
{
	for (size_t i = 0; i < limits->scope_count; i++)
		if (scope_is(&limits->scopes[i], path, labels, count))
			return (unsigned)i + 1;
	if (limits->scope_count == VALUE_SCOPES_MAX)
		return 0;
	limits->scopes = xgrow(limits->scopes, limits->scope_count, &limits->scope_capacity,
			       sizeof(*limits->scopes));
	struct scope *scope = &limits->scopes[limits->scope_count++];
	*scope =
	    (struct scope){.trackers = xcalloc(count, sizeof(*scope->trackers)), .count = count};
	for (size_t i = 0; i < count; i++)
		scope->trackers[i] = get_tracker(limits, path, labels[i]);
	scope->path = scope->trackers[0]->path;
	return (unsigned)limits->scope_count;
}

unsigned
value_limits_scope(struct value_limits *limits, struct span path, const struct span *labels,
		   size_t count)
{
	CHECK(count > 0);
	pthread_mutex_lock(&limits->lock);
	unsigned scope = get_scope(limits, path, labels, count);
	pthread_mutex_unlock(&limits->lock);
	return scope;
}

static struct tracker *
tracker_of(const struct value_limits *limits, unsigned scope, size_t label)
{
	CHECK(scope > 0 && scope <= limits->scope_count);
	CHECK(label < limits->scopes[scope - 1].count);
	return limits->scopes[scope - 1].trackers[label];
}

/* ---- Places. ---- */

static bool
is_value(const void *item, const void *key)
{
	const struct held *held = item;
	const struct hash128 *hash = key;
	return held->hash.low == hash->low && held->hash.high == hash->high;
}

static struct held *
find_held(const struct tracker *tracker, const struct hash128 *hash)
{
	return index_find(&tracker->values, hash->low, is_value, hash);
}

/* Under the lock. */
static bool
take(struct tracker *tracker, uint32_t max, struct span value)
{
	if (!value.len || span_equal(value, VALUE_OTHER))
		return true;
	struct hash128 hash = hash_bytes128(value.ptr, value.len);
	struct held *held = find_held(tracker, &hash);
	if (!held && tracker->values.count >= max) {
		tracker->was_full = true;
		return false;
	}
	if (!held) {
		held = xmalloc(sizeof(*held));
		*held = (struct held){.hash = hash};
		index_add(&tracker->values, hash.low, held);
	}
	held->count++;
	return true;
}

bool
value_limits_take(struct value_limits *limits, unsigned scope, size_t label, uint32_t max,
		  struct span value)
{
	pthread_mutex_lock(&limits->lock);
	bool has_place = take(tracker_of(limits, scope, label), max, value);
	pthread_mutex_unlock(&limits->lock);
	return has_place;
}

/* Under the lock. A value that has no place has nothing to give. */
static void
give_back(struct value_limits *limits, struct tracker *tracker, struct span value)
{
	struct hash128 hash = hash_bytes128(value.ptr, value.len);
	struct held *held = find_held(tracker, &hash);
	if (!held || --held->count)
		return;
	index_remove(&tracker->values, hash.low, held);
	free(held);
	if (tracker->was_full)
		atomic_fetch_add_explicit(&limits->freed, 1, memory_order_release);
	tracker->was_full = false;
}

void
value_limits_give_back(struct value_limits *limits, unsigned scope, size_t label, struct span value)
{
	pthread_mutex_lock(&limits->lock);
	give_back(limits, tracker_of(limits, scope, label), value);
	pthread_mutex_unlock(&limits->lock);
}

void
value_limits_series_gone(struct value_limits *limits, unsigned number, struct span labels)
{
	struct span name, value;
	pthread_mutex_lock(&limits->lock);
	CHECK(number > 0 && number <= limits->scope_count);
	const struct scope *scope = &limits->scopes[number - 1];
	while (label_text_next(&labels, &name, &value)) {
		for (size_t i = 0; i < scope->count; i++) {
			if (!span_equal(span_text(scope->trackers[i]->label), name))
				continue;
			buf_reset(&limits->text);
			label_text_unescape(value, &limits->text);
			give_back(limits, scope->trackers[i], buf_span(&limits->text));
		}
	}
	pthread_mutex_unlock(&limits->lock);
}

uint64_t
value_limits_freed(const struct value_limits *limits)
{
	return atomic_load_explicit(&limits->freed, memory_order_acquire);
}

/* ---- For own metrics. ---- */

size_t
value_limits_labels(struct value_limits *limits)
{
	pthread_mutex_lock(&limits->lock);
	size_t count = limits->tracker_count;
	pthread_mutex_unlock(&limits->lock);
	return count;
}

struct limited_label
value_limits_label(struct value_limits *limits, size_t number)
{
	pthread_mutex_lock(&limits->lock);
	CHECK(number < limits->tracker_count);
	const struct tracker *tracker = limits->trackers[number];
	struct limited_label label = {span_text(tracker->path), span_text(tracker->label),
				      tracker->values.count};
	pthread_mutex_unlock(&limits->lock);
	return label;
}

size_t
value_limits_number(struct value_limits *limits, unsigned scope, size_t label)
{
	pthread_mutex_lock(&limits->lock);
	size_t number = tracker_of(limits, scope, label)->number;
	pthread_mutex_unlock(&limits->lock);
	return number;
}
