#include "targets/set.h"

#include "base/alloc.h"

#include <stdlib.h>

bool
group_name_is_legal(struct span name)
{
	static const struct span marks = SPAN("._:@~-");
	if (!name.len || name.len > GROUP_NAME_BYTES_MAX || span_equal(name, SPAN(".")) ||
	    span_equal(name, SPAN("..")))
		return false;
	for (size_t i = 0; i < name.len; i++) {
		char byte = name.ptr[i], lower = ascii_lower(byte);
		if (!(lower >= 'a' && lower <= 'z') && !(byte >= '0' && byte <= '9') &&
		    !span_find(marks, byte))
			return false;
	}
	return true;
}

struct target_group *
target_group_new(struct span name, struct span owner, int64_t ttl_us, struct document *document)
{
	CHECK(group_name_is_legal(name) && group_name_is_legal(owner));
	CHECK(ttl_us >= 0 && ttl_us <= GROUP_TTL_US_MAX);
	struct target_group *group = xcalloc(1, sizeof(*group));
	group->refs = 1;
	group->name = xmemdup0(name.ptr, name.len);
	group->owner = xmemdup0(owner.ptr, owner.len);
	group->document = *document;
	*document = (struct document){0};
	group->ttl_us = ttl_us;
	group->registered = clock_wall();
	group->expires = (struct mono){INT64_MAX};
	if (ttl_us) {
		group->expires_at = (struct wall){group->registered.us + ttl_us};
		group->expires = (struct mono){clock_mono().us + ttl_us};
	}
	return group;
}

struct target_group *
target_group_ref(struct target_group *group)
{
	group->refs++;
	return group;
}

void
target_group_unref(struct target_group **slot)
{
	struct target_group *group = *slot;
	*slot = NULL;
	if (!group || --group->refs)
		return;
	document_fini(&group->document);
	free(group->name);
	free(group->owner);
	free(group);
}

struct target_set *
target_set_new(void)
{
	struct target_set *set = xcalloc(1, sizeof(*set));
	set->refs = 1;
	set->next_expiry = (struct mono){INT64_MAX};
	return set;
}

struct target_set *
target_set_copy(const struct target_set *set)
{
	struct target_set *copy = target_set_new();
	if (!set->count)
		return copy;
	copy->count = copy->capacity = set->count;
	copy->groups = xcalloc(set->count, sizeof(*copy->groups));
	for (size_t i = 0; i < set->count; i++)
		copy->groups[i] = target_group_ref(set->groups[i]);
	copy->targets = set->targets;
	copy->bytes = set->bytes;
	copy->next_expiry = set->next_expiry;
	return copy;
}

struct target_set *
target_set_ref(struct target_set *set)
{
	set->refs++;
	return set;
}

void
target_set_unref(struct target_set **slot)
{
	struct target_set *set = *slot;
	*slot = NULL;
	if (!set || --set->refs)
		return;
	for (size_t i = 0; i < set->count; i++)
		target_group_unref(&set->groups[i]);
	free(set->groups);
	free(set);
}

/* @return where the group is, or, with *found false, where it would go */
static size_t
find_place(const struct target_set *set, struct span name, bool *found)
{
	size_t low = 0, high = set->count;
	*found = false;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = span_compare(name, span_text(set->groups[middle]->name));
		if (order == 0) {
			*found = true;
			return middle;
		}
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

struct target_group *
target_set_find(const struct target_set *set, struct span name)
{
	bool found;
	size_t place = find_place(set, name, &found);
	return found ? set->groups[place] : NULL;
}

static uint64_t
bytes_of(const struct target_group *group)
{
	return strlen(group->name) + strlen(group->owner) + group->document.len;
}

static void
count_out(struct target_set *set, const struct target_group *group)
{
	set->targets -= group->document.targets;
	set->bytes -= bytes_of(group);
}

enum set_outcome
target_set_put(struct target_set *set, struct target_group *group)
{
	bool found;
	size_t place = find_place(set, span_text(group->name), &found);
	struct target_group *old = found ? set->groups[place] : NULL;
	uint64_t targets = set->targets + group->document.targets;
	uint64_t bytes = set->bytes + bytes_of(group);
	if (!old && set->count == SET_GROUPS_MAX)
		return SET_TOO_MANY_GROUPS;
	if (targets - (old ? old->document.targets : 0) > SET_TARGETS_MAX)
		return SET_TOO_MANY_TARGETS;
	if (bytes - (old ? bytes_of(old) : 0) > SET_BYTES_MAX)
		return SET_TOO_MANY_BYTES;
	set->targets = targets;
	set->bytes = bytes;
	if (old) {
		count_out(set, old);
		target_group_unref(&set->groups[place]);
	} else {
		set->groups = xgrow(set->groups, set->count, &set->capacity, sizeof(*set->groups));
		memmove(set->groups + place + 1, set->groups + place,
			(set->count - place) * sizeof(*set->groups));
		set->count++;
	}
	set->groups[place] = target_group_ref(group);
	if (group->expires.us < set->next_expiry.us)
		set->next_expiry = group->expires;
	return old ? SET_REPLACED : SET_ADDED;
}

bool
target_set_remove(struct target_set *set, struct span name)
{
	bool found;
	size_t place = find_place(set, name, &found);
	if (!found)
		return false;
	count_out(set, set->groups[place]);
	target_group_unref(&set->groups[place]);
	set->count--;
	memmove(set->groups + place, set->groups + place + 1,
		(set->count - place) * sizeof(*set->groups));
	return true;
}

size_t
target_set_expire(struct target_set *set, struct mono now)
{
	size_t kept = 0, expired = 0, count = set->count;
	if (now.us < set->next_expiry.us)
		return 0;
	set->next_expiry = (struct mono){INT64_MAX};
	for (size_t i = 0; i < count; i++) {
		struct target_group *group = set->groups[i];
		if (group->expires.us <= now.us) {
			count_out(set, group);
			expired += !group->has_expired;
			group->has_expired = true;
			target_group_unref(&group);
			continue;
		}
		if (group->expires.us < set->next_expiry.us)
			set->next_expiry = group->expires;
		set->groups[kept++] = group;
	}
	set->count = kept;
	return expired;
}
