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
	return (struct turn){.owner = owner, .slots = address_group_slots(client), .requests = 1};
}

static size_t
slot_of(const struct turn *turn, size_t row)
{
	return turn->slots.in_row[row] % TURNS_SLOTS;
}

/* Adds to the requests that wait, of all and of a turn's client. @change wraps around below 0 */
static void
add_waiting(struct turns *turns, const struct turn *turn, size_t change)
{
	turns->requests += change;
	for (size_t row = 0; row < ADDRESS_ROWS; row++)
		turns->slots[row][slot_of(turn, row)].waiting += change;
}

/* @return of a turn's client: how many requests wait, and when its last turn was */
static struct turn_slot
client_of(const struct turns *turns, const struct turn *turn)
{
	struct turn_slot client = {SIZE_MAX, UINT64_MAX};
	for (size_t row = 0; row < ADDRESS_ROWS; row++) {
		const struct turn_slot *slot = &turns->slots[row][slot_of(turn, row)];
		client.waiting = slot->waiting < client.waiting ? slot->waiting : client.waiting;
		client.last = slot->last < client.last ? slot->last : client.last;
	}
	return client;
}

void
turns_wait(struct turns *turns, struct turn *turn)
{
	TAILQ_INSERT_TAIL(&turns->waiting, turn, link);
	turn->is_waiting = true;
	add_waiting(turns, turn, turn->requests);
}

void
turns_leave(struct turns *turns, struct turn *turn)
{
	TAILQ_REMOVE(&turns->waiting, turn, link);
	turn->is_waiting = false;
	add_waiting(turns, turn, -turn->requests);
}

void
turns_resize(struct turns *turns, struct turn *turn, size_t requests)
{
	if (turn->is_waiting)
		add_waiting(turns, turn, requests - turn->requests);
	turn->requests = requests;
}

void
turns_note(struct turns *turns, const struct turn *turn)
{
	turns->had++;
	for (size_t row = 0; row < ADDRESS_ROWS; row++)
		turns->slots[row][slot_of(turn, row)].last = turns->had;
}

struct turn *
turns_next(const struct turns *turns)
{
	struct turn *turn, *next = NULL;
	uint64_t longest_ago = UINT64_MAX;
	TAILQ_FOREACH (turn, &turns->waiting, link) {
		uint64_t last = client_of(turns, turn).last;
		if (last >= longest_ago)
			continue;
		longest_ago = last;
		next = turn;
	}
	return next;
}

struct turn *
turns_excess(const struct turns *turns)
{
	struct turn *turn, *excess = NULL;
	size_t most = 0;
	if (turns->requests <= turns->waiting_max)
		return NULL;
	TAILQ_FOREACH (turn, &turns->waiting, link) {
		size_t waiting = client_of(turns, turn).waiting;
		if (!turn->requests || waiting < most)
			continue;
		most = waiting;
		excess = turn;
	}
	return excess;
}
