/*
 * metrics/expiry - series ordered by when they are due: a timer wheel of one-second slots.
 *
 * Setting and moving a deadline cost the same however many series there are, and a tick touches only
 * the series of its slot. Control thread only. Nodes are embedded by whoever expires.
 */
#ifndef METRICS_EXPIRY_H
#define METRICS_EXPIRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct expiry_node {
	struct expiry_node *next, *previous; /* NULL while not in a wheel */
	uint64_t due_s;			     /* seconds since the bridge started */
	void *owner;
};

struct expiry;

/** @now_s the second the wheel starts at */
struct expiry *expiry_new(uint64_t now_s);
/** Frees the wheel; nodes are their owners'. */
void expiry_free(struct expiry **expiry);

/** Sets or moves a node's deadline; one in the past is due at the next tick. */
void expiry_set(struct expiry *expiry, struct expiry_node *node, uint64_t due_s);
/** Takes a node out; nothing happens when it is not in. */
void expiry_remove(struct expiry *expiry, struct expiry_node *node);

/**
 * Advances to `now_s` and takes out what is due by then, a part of it at each call.
 *
 * @limit how many nodes to look at
 * @due   called for each that is due; may set the node again, for a later second
 * @return whether there may be more: call again
 */
bool expiry_advance(struct expiry *expiry, uint64_t now_s, size_t limit,
		    void (*due)(void *ctx, struct expiry_node *node), void *ctx);

#endif
