/*
 * targets/set - the groups that are registered.
 *
 * What a group says never changes once it is made; replacing it puts another one into its place. So a set is
 * copied cheaply, and a copy stays what it was: one is being written to disk or sent to a client
 * while the next one is made. Counting references is for one thread only; another one may read a
 * set that is held for it.
 */
#ifndef TARGETS_SET_H
#define TARGETS_SET_H

#include "base/clock.h"
#include "targets/document.h"

/* Of a group's name and its owner's. */
#define GROUP_NAME_BYTES_MAX 200

/* What a set may hold. */
#define SET_GROUPS_MAX 10000
#define SET_TARGETS_MAX 100000
#define SET_BYTES_MAX ((uint64_t)16 << 20) /* documents and names */

/* What a time to live may be. */
#define GROUP_TTL_US_MIN INT64_C(1000000)
#define GROUP_TTL_US_MAX (INT64_C(366) * 24 * 3600 * 1000000)

struct target_group {
	unsigned refs;
	char *name, *owner; /* owned; group_name_is_legal() */
	struct document document;
	int64_t ttl_us;         /* 0 = until it is deleted or replaced; else at least 1 */
	struct wall registered; /* when */
	struct wall expires_at; /* the date to show and to store; 0 without a time to live */
	struct mono expires;    /* what counts in this process; INT64_MAX without one */
	bool has_expired;       /* a set has let go of it for that */
};

/** @return whether `name` has 1 to GROUP_NAME_BYTES_MAX bytes of [A-Za-z0-9._:@~-], and is neither
 *         "." nor ".." */
bool group_name_is_legal(struct span name);
/* For messages. */
#define GROUP_NAME_WANTED "1 to 200 letters, digits and any of ._:@~-"

/**
 * Makes a group that was registered just now.
 *
 * @name, @owner legal; copied
 * @ttl_us   0, or GROUP_TTL_US_MIN to GROUP_TTL_US_MAX
 * @document consumed
 * @return one reference, given back with target_group_unref()
 */
struct target_group *target_group_new(struct span name, struct span owner, int64_t ttl_us,
				      struct document *document) MUST_CHECK;
struct target_group *target_group_ref(struct target_group *group);
/** Gives a reference back. */
void target_group_unref(struct target_group **group);

struct target_set {
	unsigned refs;
	struct target_group **groups; /* owned, one reference each, sorted by name */
	size_t count, capacity;
	uint64_t targets, bytes;
	struct mono next_expiry; /* no group expires before it; INT64_MAX = none does */
};

enum set_outcome {
	SET_ADDED,
	SET_REPLACED,
	SET_TOO_MANY_GROUPS, /* the last three leave the set as it was */
	SET_TOO_MANY_TARGETS,
	SET_TOO_MANY_BYTES,
};

/** @return an empty set, one reference */
struct target_set *target_set_new(void) MUST_CHECK;
/** @return another set with the same groups, one reference */
struct target_set *target_set_copy(const struct target_set *set) MUST_CHECK;
struct target_set *target_set_ref(struct target_set *set);
/** Gives a reference back. */
void target_set_unref(struct target_set **set);

/** @return the group, borrowed from the set, or NULL */
struct target_group *target_set_find(const struct target_set *set, struct span name);

/* Changes are for a set that nobody else refers to. */

/** @group a reference of the set's own is taken on success */
enum set_outcome target_set_put(struct target_set *set, struct target_group *group) MUST_CHECK;
/** @return whether there was such a group */
bool target_set_remove(struct target_set *set, struct span name);
/** Takes out the groups whose time is over. @return how many, each counted in one set only */
size_t target_set_expire(struct target_set *set, struct mono now);

#endif
