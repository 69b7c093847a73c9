/*
 * http/turns - who is next of those that wait for what only one can have at a time, and who has to
 * go where too many wait.
 *
 * Clients take turns, so that many requests of one keep no other waiting; of one client who came
 * first is first. When too many requests wait, one goes of the client with the most: one for whom
 * the last of its turns is.
 */
#ifndef HTTP_TURNS_H
#define HTTP_TURNS_H

#include "base/address_group.h"

#include <stddef.h>
#include <sys/queue.h>

/* Of the slots that address_group_slots() knows so many: a share of them meet. */
#define TURNS_SLOTS 512

/* Lives in what waits. */
struct turn {
	TAILQ_ENTRY(turn) link;
	void *owner; /* what it lives in */
	struct address_slots slots;
	size_t requests; /* that it is for */
	bool is_waiting;
};

struct turns {
	TAILQ_HEAD(, turn) waiting;
	size_t requests; /* of all that wait */
	size_t waiting_max;
	/* By client. */
	struct turn_slot {
		size_t waiting;
		uint64_t last; /* 0 = none yet */
	} slots[ADDRESS_ROWS][TURNS_SLOTS];
	uint64_t had;
};

/** @waiting_max few enough to leave connections to others */
void turns_init(struct turns *turns, size_t waiting_max);

/** @return a turn for one request, which does not wait yet */
struct turn turn_new(struct address_group client, void *owner);

/** @turn borrowed until it leaves */
void turns_wait(struct turns *turns, struct turn *turn);
/** @turn one that waits; from now on it does not */
void turns_leave(struct turns *turns, struct turn *turn);
/** Notes how many requests a turn is for. @turn need not wait */
void turns_resize(struct turns *turns, struct turn *turn, size_t requests);
/** Notes that a client has its turn now. @turn need not wait */
void turns_note(struct turns *turns, const struct turn *turn);

/** @return the first of the client whose turn was longest ago, or NULL when none waits */
struct turn *turns_next(const struct turns *turns);
/** @return whose request has to go, or NULL while no more wait than may */
struct turn *turns_excess(const struct turns *turns);

#endif
