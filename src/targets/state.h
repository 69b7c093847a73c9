/*
 * targets/state - the file that a set survives restarts in.
 *
 * One line of JSON for the file and one for each group, so that a fault has a line:
 *
 *	{"statsbridge_targets":1,"groups":2}
 *	{"group":"a","owner":"o","registered_ms":1,"ttl_ms":2,"expires_ms":3,"document":[...]}
 *
 * Dates count from 1970. ttl_ms and expires_ms are left out where a group has no time to live.
 */
#ifndef TARGETS_STATE_H
#define TARGETS_STATE_H

#include "base/diag.h"
#include "targets/set.h"

/* A larger file cannot be one that was written here. */
#define STATE_BYTES_MAX ((size_t)32 << 20)

/** Appends the file of a set. Any thread, as long as the set is held. */
void target_state_format(const struct target_set *set, struct buf *out);

/**
 * Reads such a file. Groups whose date of expiry is over are left out. No group lives longer from
 * now than its time to live, whatever the clock was set to meanwhile.
 *
 * @path only a name for messages; must outlive `diag`
 * @diag gets the first thing that is wrong, with its line and column, and what to do
 * @return the set, one reference, or NULL
 */
struct target_set *target_state_parse(const char *path, struct span text,
				      struct diag *diag) MUST_CHECK;

/** Reads it from disk. No such file is an empty set. Else as target_state_parse(). */
struct target_set *target_state_load(const char *path, struct diag *diag) MUST_CHECK;

/**
 * Takes the file for this process, by a lock on "<path>.lock" that goes with the process: of two
 * that write, one would lose what the other has promised.
 *
 * @return a descriptor to close in the end, or -1 with a message
 */
int target_state_lock(const char *path, struct diag *diag) MUST_CHECK;

#endif
