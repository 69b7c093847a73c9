#include "tls/admission.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <stdlib.h>

/* A thread's time is this many times what it spends on handshakes, but for a burst: some thirty
 * with a key of RSA, hundreds with one on a curve. */
#define SHARE 5
#define BURST_US 100000

/* How long a group's cost is remembered, as a multiple of it, and at most: after one handshake
 * about a second, so that who comes once in a scrape's interval owes nothing. */
#define MEMORY 500
#define MEMORY_MAX_US 60000000

/* What stays of that cost when it is forgiven: one part of so many. */
#define UNFORGIVEN 10

#define GROUPS 4096

struct tls_group {
	int64_t free_us; /* when its cost is forgotten; monotonic */
	unsigned waiting;
};

struct tls_admission {
	int64_t free_us; /* when all that was spent is made up for; monotonic */
	unsigned waiting, waiting_max;
	TAILQ_HEAD(, tls_guest) guests; /* that wait, the first one for the longest */
	struct tls_group groups[GROUPS];
};

struct tls_admission *
tls_admission_new(unsigned waiting_max)
{
	CHECK(waiting_max >= 1);
	struct tls_admission *admission = xcalloc(1, sizeof(*admission));
	admission->waiting_max = waiting_max;
	TAILQ_INIT(&admission->guests);
	return admission;
}

void
tls_admission_free(struct tls_admission **admission)
{
	if (!*admission)
		return;
	CHECK(TAILQ_EMPTY(&(*admission)->guests));
	free(*admission);
	*admission = NULL;
}

void
tls_guest_init(struct tls_guest *guest, struct tls_admission *admission, uint64_t address_group)
{
	*guest = (struct tls_guest){
	    .admission = admission,
	    .group = &admission->groups[address_group % GROUPS],
	};
}

void
tls_guest_wait(struct tls_guest *guest)
{
	if (guest->is_waiting)
		return;
	guest->is_waiting = true;
	guest->group->waiting++;
	guest->admission->waiting++;
	TAILQ_INSERT_TAIL(&guest->admission->guests, guest, link);
}

void
tls_guest_leave(struct tls_guest *guest)
{
	if (!guest->is_waiting)
		return;
	guest->is_waiting = false;
	guest->group->waiting--;
	guest->admission->waiting--;
	TAILQ_REMOVE(&guest->admission->guests, guest, link);
}

static int64_t
later(int64_t a_us, int64_t b_us)
{
	return a_us > b_us ? a_us : b_us;
}

void
tls_guest_charge(struct tls_guest *guest, int64_t us)
{
	struct tls_admission *admission = guest->admission;
	int64_t now_us = clock_mono().us;
	admission->free_us =
	    later(admission->free_us, now_us - (int64_t)SHARE * BURST_US) + SHARE * us;
	int64_t before_us = later(guest->group->free_us, now_us);
	int64_t group_us = before_us + MEMORY * us, most_us = now_us + MEMORY_MAX_US;
	guest->group->free_us = group_us < most_us ? group_us : most_us;
	guest->owed_us += guest->group->free_us - before_us;
}

void
tls_guest_forgive(struct tls_guest *guest)
{
	guest->group->free_us -= guest->owed_us - guest->owed_us / UNFORGIVEN;
	guest->owed_us = 0;
}

int64_t
tls_admission_wait_us(const struct tls_admission *admission)
{
	if (!admission->waiting)
		return -1;
	return later(admission->free_us - clock_mono().us, 0);
}

struct tls_guest *
tls_admission_take(struct tls_admission *admission)
{
	if (tls_admission_wait_us(admission) != 0)
		return NULL;
	int64_t now_us = clock_mono().us, least_us = INT64_MAX;
	struct tls_guest *guest, *first = NULL;
	TAILQ_FOREACH (guest, &admission->guests, link) {
		int64_t free_us = later(guest->group->free_us, now_us);
		if (free_us < least_us) {
			least_us = free_us;
			first = guest;
		}
	}
	tls_guest_leave(first);
	return first;
}

struct tls_guest *
tls_admission_take_victim(struct tls_admission *admission)
{
	if (admission->waiting <= admission->waiting_max)
		return NULL;
	struct tls_guest *guest, *victim = NULL;
	TAILQ_FOREACH (guest, &admission->guests, link) {
		if (!victim || guest->group->waiting > victim->group->waiting)
			victim = guest;
	}
	tls_guest_leave(victim);
	return victim;
}
