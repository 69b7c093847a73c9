/*
 * net/turn - how long the sockets of one event loop may work before the loop has its turn again.
 *
 * Counts of batches do not bound time: a payload may be cheap or dear. What is left in a socket is
 * reported again, since the loop's watchers are level-triggered.
 */
#ifndef NET_TURN_H
#define NET_TURN_H

#include <ev.h>
#include <stdbool.h>

#define TURN_S 0.001

/**
 * @return whether the loop's iteration has gone on for longer than TURN_S. A step of the wall clock
 *         may make it wrong for half a second, so callers need limits and progress of their own.
 */
static inline bool
turn_is_over(struct ev_loop *loop)
{
	return ev_time() - ev_now(loop) >= TURN_S;
}

#endif
