#include "net/limit.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>

/* Threads write to their own slots all the time. */
#define CACHE_LINE 64

struct padded_slot {
	_Alignas(CACHE_LINE) struct limit_slot slot;
};

struct stream_limit {
	_Atomic unsigned open;
	unsigned count;
	struct padded_slot *slots; /* `count` of them; owned */

	pthread_mutex_t lock; /* for all below, and for the slots' owner and next_free */
	struct limit_slot *free;
	struct limit_slot *victim; /* asked to be closed; at most one, so that no two go for one */
	struct limit_member *members;
};

struct stream_limit *
stream_limit_new(unsigned connections)
{
	CHECK(connections >= 1);
	struct stream_limit *limit = xcalloc(1, sizeof(*limit));
	limit->count = connections;
	limit->slots = xaligned_calloc(CACHE_LINE, connections, sizeof(*limit->slots));
	CHECK(pthread_mutex_init(&limit->lock, NULL) == 0);
	for (unsigned i = connections; i-- > 0;) {
		limit->slots[i].slot.next_free = limit->free;
		limit->free = &limit->slots[i].slot;
	}
	return limit;
}

void
stream_limit_free(struct stream_limit **limit)
{
	if (!*limit)
		return;
	CHECK(!(*limit)->members);
	CHECK(pthread_mutex_destroy(&(*limit)->lock) == 0);
	free((*limit)->slots);
	free(*limit);
	*limit = NULL;
}

unsigned
stream_limit_open(const struct stream_limit *limit)
{
	return atomic_load_explicit(&limit->open, memory_order_relaxed);
}

static void
lock(struct stream_limit *limit)
{
	CHECK(pthread_mutex_lock(&limit->lock) == 0);
}

static void
unlock(struct stream_limit *limit)
{
	CHECK(pthread_mutex_unlock(&limit->lock) == 0);
}

void
limit_join(struct stream_limit *limit, struct limit_member *member)
{
	lock(limit);
	member->is_waiting = false;
	member->next = limit->members;
	limit->members = member;
	unlock(limit);
}

void
limit_leave(struct stream_limit *limit, struct limit_member *member)
{
	lock(limit);
	struct limit_member **link = &limit->members;
	while (*link != member)
		link = &(*link)->next;
	*link = member->next;
	unlock(limit);
}

static bool
is_connection_pending(int listener)
{
	struct pollfd wanted = {.fd = listener, .events = POLLIN};
	return poll(&wanted, 1, 0) == 1;
}

/* @return NULL when no slot is in use */
static struct limit_slot *
find_longest_idle(struct stream_limit *limit)
{
	struct limit_slot *oldest = NULL;
	int64_t oldest_us = INT64_MAX;
	for (unsigned i = 0; i < limit->count; i++) {
		struct limit_slot *slot = &limit->slots[i].slot;
		if (!slot->owner)
			continue;
		int64_t last_us = atomic_load_explicit(&slot->last_us, memory_order_relaxed);
		if (last_us < oldest_us) {
			oldest = slot;
			oldest_us = last_us;
		}
	}
	return oldest;
}

/* Asks for the connection that was idle longest to be closed, one at a time. */
static void
choose_victim(struct stream_limit *limit)
{
	if (limit->victim)
		return;
	limit->victim = find_longest_idle(limit);
	if (limit->victim)
		limit->victim->owner->wake(limit->victim->owner);
}

static int
wait_for_room(struct stream_limit *limit, struct limit_member *member, int listener)
{
	/* Another thread that watches the same listener may have been faster. */
	if (!is_connection_pending(listener)) {
		errno = EAGAIN;
		return LIMIT_ACCEPT_FAILED;
	}
	member->is_waiting = true;
	choose_victim(limit);
	return LIMIT_NO_ROOM;
}

static int
accept_into_free_slot(struct stream_limit *limit, struct limit_member *member, int listener,
		      struct limit_slot **slot)
{
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0)
		return LIMIT_ACCEPT_FAILED;
	*slot = limit->free;
	limit->free = (*slot)->next_free;
	(*slot)->owner = member;
	atomic_store_explicit(&(*slot)->last_us, clock_mono().us, memory_order_relaxed);
	atomic_fetch_add_explicit(&limit->open, 1, memory_order_relaxed);
	return fd;
}

int
limit_accept(struct stream_limit *limit, struct limit_member *member, int listener,
	     struct limit_slot **slot)
{
	lock(limit);
	int fd = limit->free ? accept_into_free_slot(limit, member, listener, slot)
			     : wait_for_room(limit, member, listener);
	int error = errno;
	unlock(limit);
	errno = error;
	return fd;
}

bool
limit_free_descriptor(struct stream_limit *limit, int listener)
{
	if (!is_connection_pending(listener))
		return false;
	lock(limit);
	choose_victim(limit);
	unlock(limit);
	return true;
}

struct limit_slot *
limit_find_victim(struct stream_limit *limit, const struct limit_member *member)
{
	lock(limit);
	struct limit_slot *victim = limit->victim;
	if (victim && victim->owner != member)
		victim = NULL;
	unlock(limit);
	return victim;
}

void
limit_release(struct stream_limit *limit, struct limit_slot *slot)
{
	lock(limit);
	if (limit->victim == slot)
		limit->victim = NULL;
	slot->owner = NULL;
	slot->connection = NULL;
	slot->next_free = limit->free;
	limit->free = slot;
	atomic_fetch_sub_explicit(&limit->open, 1, memory_order_relaxed);
	for (struct limit_member *each = limit->members; each; each = each->next) {
		if (!each->is_waiting)
			continue;
		each->is_waiting = false;
		each->wake(each);
	}
	unlock(limit);
}
