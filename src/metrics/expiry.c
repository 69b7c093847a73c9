#include "metrics/expiry.h"

#include "base/alloc.h"

#include <stdlib.h>

/* About an hour; a later deadline stays in its slot for as many rounds as it takes. */
#define SLOTS 4096

struct expiry {
	uint64_t now_s; /* every deadline up to here has been taken out */
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

/* Moves a slot's list aside first, so that `due` may put nodes back into the same slot. */
static void
take_slot(struct expiry *expiry, struct expiry_node *head,
	  void (*due)(void *ctx, struct expiry_node *node), void *ctx)
{
	struct expiry_node aside;
	list_init(&aside);
	while (head->next != head) {
		struct expiry_node *node = head->next;
		expiry_remove(expiry, node);
		list_append(&aside, node);
	}
	while (aside.next != &aside) {
		struct expiry_node *node = aside.next;
		expiry_remove(expiry, node);
		if (node->due_s <= expiry->now_s)
			due(ctx, node);
		else
			list_append(head, node);
	}
}

void
expiry_advance(struct expiry *expiry, uint64_t now_s,
	       void (*due)(void *ctx, struct expiry_node *node), void *ctx)
{
	if (now_s <= expiry->now_s)
		return;
	uint64_t from = expiry->now_s;
	uint64_t steps = now_s - from < SLOTS ? now_s - from : SLOTS;
	expiry->now_s = now_s;
	for (uint64_t i = 1; i <= steps; i++)
		take_slot(expiry, &expiry->slots[(from + i) % SLOTS], due, ctx);
}
