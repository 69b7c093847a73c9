#include "metrics/expiry.h"

#include "base/alloc.h"

#include <stdlib.h>

/* About an hour; a later deadline stays in its slot for as many rounds as it takes. */
#define SLOTS 4096

struct expiry {
	uint64_t now_s; /* no slot up to here has nodes from before */
	struct expiry_node reached; /* list head: nodes of the slots that were passed */
	struct expiry_node slots[SLOTS]; /* list heads */
};

static void
list_init(struct expiry_node *head)
{
	head->next = head->previous = head;
}

static void
list_append(struct expiry_node *head, struct expiry_node *node)
{
	node->previous = head->previous;
	node->next = head;
	head->previous->next = node;
	head->previous = node;
}

struct expiry *
expiry_new(uint64_t now_s)
{
	struct expiry *expiry = xcalloc(1, sizeof(*expiry));
	expiry->now_s = now_s;
	list_init(&expiry->reached);
	for (unsigned i = 0; i < SLOTS; i++)
		list_init(&expiry->slots[i]);
	return expiry;
}

void
expiry_free(struct expiry **expiry)
{
	free(*expiry);
	*expiry = NULL;
}

void
expiry_remove(struct expiry *expiry, struct expiry_node *node)
{
	(void)expiry;
	if (!node->next)
		return;
	node->previous->next = node->next;
	node->next->previous = node->previous;
	node->next = node->previous = NULL;
}

void
expiry_set(struct expiry *expiry, struct expiry_node *node, uint64_t due_s)
{
	expiry_remove(expiry, node);
	node->due_s = due_s > expiry->now_s ? due_s : expiry->now_s + 1;
	list_append(&expiry->slots[node->due_s % SLOTS], node);
}

/* Moves all nodes of a list to the end of another. */
static void
list_move(struct expiry_node *from, struct expiry_node *to)
{
	if (from->next == from)
		return;
	from->next->previous = to->previous;
	to->previous->next = from->next;
	from->previous->next = to;
	to->previous = from->previous;
	list_init(from);
}

bool
expiry_advance(struct expiry *expiry, uint64_t now_s, size_t limit,
	       void (*due)(void *ctx, struct expiry_node *node), void *ctx)
{
	uint64_t steps = now_s > expiry->now_s ? now_s - expiry->now_s : 0;
	for (uint64_t i = 1; i <= steps && i <= SLOTS; i++)
		list_move(&expiry->slots[(expiry->now_s + i) % SLOTS], &expiry->reached);
	expiry->now_s += steps;
	struct expiry_node *reached = &expiry->reached;
	for (; limit && reached->next != reached; limit--) {
		struct expiry_node *node = reached->next;
		expiry_remove(expiry, node);
		if (node->due_s <= expiry->now_s)
			due(ctx, node);
		else
			list_append(&expiry->slots[node->due_s % SLOTS], node);
	}
	return reached->next != reached;
}
