#include "http/turns.h"

void
turns_init(struct turns *turns, size_t waiting_max)
{
	*turns = (struct turns){.waiting_max = waiting_max};
	TAILQ_INIT(&turns->waiting);
}

struct turn
turn_new(struct address_group client, void *owner)
{
	return (struct turn){.owner = owner,
			     .client = (unsigned)(address_group_hash(client) % TURNS_CLIENTS),
			     .requests = 1};
}

void
turns_wait(struct turns *turns, struct turn *turn)
{
	TAILQ_INSERT_TAIL(&turns->waiting, turn, link);
	turn->is_waiting = true;
	turns->requests += turn->requests;
	turns->waiting_from[turn->client] += turn->requests;
}

void
turns_leave(struct turns *turns, struct turn *turn)
{
	TAILQ_REMOVE(&turns->waiting, turn, link);
	turn->is_waiting = false;
	turns->requests -= turn->requests;
	turns->waiting_from[turn->client] -= turn->requests;
}

void
turns_resize(struct turns *turns, struct turn *turn, size_t requests)
{
	if (turn->is_waiting) {
		turns->requests += requests - turn->requests;
		turns->waiting_from[turn->client] += requests - turn->requests;
	}
	turn->requests = requests;
}

void
turns_note(struct turns *turns, const struct turn *turn)
{
	turns->last[turn->client] = ++turns->had;
}

struct turn *
turns_next(const struct turns *turns)
{
	struct turn *turn, *next = NULL;
	TAILQ_FOREACH (turn, &turns->waiting, link)
		if (!next || turns->last[turn->client] < turns->last[next->client])
			next = turn;
	return next;
}

struct turn *
turns_excess(const struct turns *turns)
{
	const size_t *from = turns->waiting_from;
	struct turn *turn, *excess = NULL;
	if (turns->requests <= turns->waiting_max)
		return NULL;
	TAILQ_FOREACH (turn, &turns->waiting, link)
		if (turn->requests && (!excess || from[turn->client] >= from[excess->client]))
			excess = turn;
	return excess;
}
