/*
 * A thread's state is a counter: odd while it works, even while it holds nothing. All accesses are
 * read-modify-writes, so that what was unreachable before a moment is seen as such by every thread
 * that begins to work after it.
 */
#include "base/grace.h"

#include "base/alloc.h"
#include "base/check.h"

#include <stdatomic.h>
#include <stdlib.h>

struct thread_state {
	_Alignas(64) _Atomic uint64_t state;
};

struct grace {
	unsigned threads;
	struct thread_state *state;
};

struct grace_moment {
	uint64_t state[1]; /* one a thread */
};

struct grace *
grace_new(unsigned threads)
{
	struct grace *grace = xcalloc(1, sizeof(*grace));
	grace->threads = threads;
	grace->state = xaligned_calloc(64, threads, sizeof(*grace->state));
	return grace;
}

void
grace_free(struct grace **grace)
{
	if (!*grace)
		return;
	free((*grace)->state);
	free(*grace);
	*grace = NULL;
}

void
grace_begin(struct grace *grace, unsigned thread)
{
	uint64_t before = atomic_fetch_add(&grace->state[thread].state, 1);
	CHECK(before % 2 == 0);
}

void
grace_end(struct grace *grace, unsigned thread)
{
	uint64_t before = atomic_fetch_add(&grace->state[thread].state, 1);
	CHECK(before % 2 == 1);
}

bool
grace_is_working(const struct grace *grace, unsigned thread)
{
	return atomic_load_explicit(&grace->state[thread].state, memory_order_relaxed) % 2 == 1;
}

struct grace_moment *
grace_now(struct grace *grace)
{
	struct grace_moment *moment =
	    xcalloc(1, sizeof(*moment) + grace->threads * sizeof(moment->state[0]));
	for (unsigned i = 0; i < grace->threads; i++)
		moment->state[i] = atomic_fetch_add(&grace->state[i].state, 0);
	return moment;
}

bool
grace_has_passed(struct grace *grace, const struct grace_moment *moment)
{
	for (unsigned i = 0; i < grace->threads; i++) {
		uint64_t then = moment->state[i];
		if (then % 2 == 1 && atomic_fetch_add(&grace->state[i].state, 0) == then)
			return false;
	}
	return true;
}
