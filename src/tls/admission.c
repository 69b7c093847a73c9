#include "tls/admission.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <limits.h>
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

/* What groups of addresses have gathered there. */
struct slot {
	int64_t free_us; /* when their cost is forgotten; monotonic */
	unsigned waiting;
};

struct tls_admission {
	int64_t free_us; /* when all that was spent is made up for; monotonic */
	unsigned waiting, waiting_max;
	TAILQ_HEAD(, tls_guest) guests; /* that wait, the first one for the longest */
	struct slot slots[ADDRESS_ROWS][ADDRESS_SLOTS];
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
tls_guest_init(struct tls_guest *guest, struct tls_admission *admission, struct address_group group)
{
	*guest = (struct tls_guest){.admission = admission, .slots = address_group_slots(group)};
}

static struct slot *
slot_of(const struct tls_guest *guest, size_t row)
{
	return &guest->admission->slots[row][guest->slots.in_row[row]];
}

static void
note_waiting(struct tls_guest *guest, bool is_waiting)
{
	unsigned change = is_waiting ? 1 : -1u;
	guest->is_waiting = is_waiting;
	guest->admission->waiting += change;
	for (size_t row = 0; row < ADDRESS_ROWS; row++)
		slot_of(guest, row)->waiting += change;
}

/* @return how many guests of its group wait */
static unsigned
waiting_of(const struct tls_guest *guest)
{
	unsigned least = UINT_MAX;
	for (size_t row = 0; row < ADDRESS_ROWS; row++) {
		unsigned waiting = slot_of(guest, row)->waiting;
		least = waiting < least ? waiting : least;
	}
	return least;
}

/* @return when the cost of its group is forgotten */
static int64_t
free_us_of(const struct tls_guest *guest)
{
	int64_t least_us = INT64_MAX;
	for (size_t row = 0; row < ADDRESS_ROWS; row++) {
		int64_t free_us = slot_of(guest, row)->free_us;
		least_us = free_us < least_us ? free_us : least_us;
	}
	return least_us;
}

void
tls_guest_wait(struct tls_guest *guest)
{
	if (guest->is_waiting)
		return;
	note_waiting(guest, true);
	TAILQ_INSERT_TAIL(&guest->admission->guests, guest, link);
}

void
tls_guest_leave(struct tls_guest *guest)
{
	if (!guest->is_waiting)
		return;
	note_waiting(guest, false);
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
	for (size_t row = 0; row < ADDRESS_ROWS; row++) {
		struct slot *slot = slot_of(guest, row);
		int64_t before_us = later(slot->free_us, now_us);
		int64_t after_us = before_us + MEMORY * us, most_us = now_us + MEMORY_MAX_US;
		slot->free_us = after_us < most_us ? after_us : most_us;
		guest->owed_us[row] += slot->free_us - before_us;
		guest->until_us[row] = slot->free_us;
	}
}

void
tls_guest_forgive(struct tls_guest *guest)
{
	int64_t now_us = clock_mono().us;
	for (size_t row = 0; row < ADDRESS_ROWS; row++) {
		int64_t owed_us = guest->owed_us[row];
		int64_t left_us = later(guest->until_us[row] - now_us, 0);
		int64_t forgiven_us = owed_us - owed_us / UNFORGIVEN;
		/* The rest of what the slot has is others'. */
		slot_of(guest, row)->free_us -= forgiven_us < left_us ? forgiven_us : left_us;
		guest->owed_us[row] = 0;
	}
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
		int64_t free_us = later(free_us_of(guest), now_us);
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
	unsigned most = 0;
	TAILQ_FOREACH (guest, &admission->guests, link) {
		unsigned waiting = waiting_of(guest);
		if (waiting <= most)
			continue;
		most = waiting;
		victim = guest;
	}
	tls_guest_leave(victim);
	return victim;
}
