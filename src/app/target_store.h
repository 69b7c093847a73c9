/*
 * app/target_store - the set of scrape targets in force, and its file.
 *
 * A change is in force, and its maker told, once the file has reached the disk: what /sd shows
 * survives whatever ends the process. Changes that come while the file is being written wait and
 * are written together. A thread of its own writes, since a disk may take its time. Without a file
 * a change is in force at once.
 *
 * What is in force is always what the file says. So there is one exception: where the file was
 * replaced and only its folder did not reach the disk, the change is in force, but a loss of power
 * may undo it. Its maker is told, and the file is written again with whatever comes next, be it
 * refused.
 *
 * All of it is for the control thread.
 */
#ifndef APP_TARGET_STORE_H
#define APP_TARGET_STORE_H

#include "base/diag.h"
#include "targets/set.h"

struct ev_loop;
struct target_store;

/* Of changes that wait for the disk or are being written. None may be 0. */
struct target_limits {
	unsigned changes;  /* at once; one more is refused */
	int64_t answer_us; /* a change hears by then, also when the disk has not answered */
};

struct target_store_stats {
	uint64_t puts, removals; /* in force */
	uint64_t expired;        /* groups */
	uint64_t writes_ok, writes_failed;
};

enum target_outcome {
	TARGET_ADDED,
	TARGET_REPLACED,
	TARGET_REMOVED,
	TARGET_UNKNOWN, /* nothing to remove */
	TARGET_TOO_MANY_GROUPS,
	TARGET_TOO_MANY_TARGETS,
	TARGET_TOO_MANY_BYTES,
	TARGET_NOT_SYNCED, /* in force, but not known to survive a loss of power */
	TARGET_UNDECIDED,  /* being written for too long; may yet come into force, or not */
	/* Nothing has changed, and will not: */
	TARGET_NOT_WRITTEN,
	TARGET_TOO_MANY_CHANGES, /* are under way */
	TARGET_TOO_LATE,         /* waited for too long */
	TARGET_TAKEN_BACK,
};

/** What became of a change. @error of NOT_SYNCED and NOT_WRITTEN: an errno value; else 0 */
typedef void target_done_fn(void *ctx, enum target_outcome outcome, int error);

/**
 * Takes the file, reads it and writes it once, so that what would fail later fails now.
 *
 * @path   of the file, borrowed; "" = no file
 * @limits copied
 * @diag gets what is wrong; its places borrow `path`
 * @return the store, or NULL
 */
struct target_store *target_store_new(struct ev_loop *loop, const char *path,
				      const struct target_limits *limits,
				      struct diag *diag) MUST_CHECK;
/** Starts the thread that writes, if there is a file. @return 0 or an errno value */
int target_store_start(struct target_store *store) MUST_CHECK;
/**
 * Frees the store; changes that are not in force yet are not written any more, unless that has
 * begun. A disk that has come to a halt is waited for two seconds; then what its thread uses is
 * left to the end of the process, which must be near.
 */
void target_store_free(struct target_store **store);

/** Puts a group into its place. @group consumed. `done` is called once, perhaps at once. */
void target_store_put(struct target_store *store, struct target_group **group, target_done_fn *done,
		      void *ctx);
/** Removes a group. @name legal, copied */
void target_store_remove(struct target_store *store, struct span name, target_done_fn *done,
			 void *ctx);

/** Takes a change back that has not begun to be written. @ctx of its `done`, which is called */
void target_store_take_back(struct target_store *store, const void *ctx);

/** Takes out the groups whose time is over; now and then. */
void target_store_expire(struct target_store *store);

/** @return the groups in force, without those whose time is over; take a reference to keep it */
struct target_set *target_store_set(struct target_store *store);
/** @return a number that was another one whenever the set was another one */
uint64_t target_store_version(const struct target_store *store);
const struct target_store_stats *target_store_stats(const struct target_store *store);

#endif
