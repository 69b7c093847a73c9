/*
 * net/limit - the slots of all stream connections of the process, and which was idle longest.
 *
 * Only net/stream uses this. A connection holds a slot from accept to close, so that there are
 * never more of them than slots. Accepting and closing take a lock; reading does not.
 */
#ifndef NET_LIMIT_H
#define NET_LIMIT_H

#include "net/stream.h"

/* One thread's share in the limit. Embedded by the caller; the fields belong to the limit. */
struct limit_member {
	/** Called on any thread with the lock held: may only signal the member's own thread. */
	void (*wake)(struct limit_member *member);
	bool is_waiting; /* for a slot */
	struct limit_member *next;
};

struct limit_slot {
	/* When its connection last sent something, monotonic; written by the owning thread. */
	_Atomic int64_t last_us;
	void *connection;           /* for the owner alone */
	struct limit_member *owner; /* NULL = free */
	struct limit_slot *next_free;
};

/** Adds a member; `wake` is set by the caller, the rest is initialised here. */
void limit_join(struct stream_limit *limit, struct limit_member *member);
/** Removes a member, which holds no slot any more. */
void limit_leave(struct stream_limit *limit, struct limit_member *member);

/* What limit_accept() returns besides a descriptor. */
#define LIMIT_ACCEPT_FAILED (-1) /* errno says why */
#define LIMIT_NO_ROOM (-2)

/**
 * Accepts a connection if there is a slot for it. Otherwise, when one is waiting in `listener`, the
 * owner of the connection that was idle longest is woken to close it, and this member is woken when
 * there is room.
 *
 * @slot   set when a connection was accepted
 * @return a non-blocking, close-on-exec socket, LIMIT_ACCEPT_FAILED or LIMIT_NO_ROOM
 */
int limit_accept(struct stream_limit *limit, struct limit_member *member, int listener,
		 struct limit_slot **slot) MUST_CHECK;

/**
 * When accepting failed for want of a descriptor: has the connection that was idle longest closed,
 * if one is open and none is already asked to go, so that its descriptor comes back.
 *
 * @return false when no connection waits in `listener`, which the kernel does not look at first;
 *         then nothing is closed
 */
bool limit_free_descriptor(struct stream_limit *limit, int listener);

/** @return the slot of this member whose connection is to be closed, or NULL */
struct limit_slot *limit_find_victim(struct stream_limit *limit, const struct limit_member *member);

/** Gives a slot back after its connection is closed, and wakes who waits for one. */
void limit_release(struct stream_limit *limit, struct limit_slot *slot);

#endif
