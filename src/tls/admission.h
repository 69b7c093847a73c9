/*
 * tls/admission - who may shake hands next.
 *
 * A handshake costs a server an operation with its private key, and its client next to nothing. So
 * a thread spends a fifth of its time on them at most, after a burst, as the handshakes themselves
 * measure it (tls_peer_begin). Who is over that waits. First comes whose group of addresses has
 * cost the least lately, so that a crowd from one address stands in its own way; when too many
 * wait, the one goes that has waited longest of the group that most wait of. What a guest has cost
 * is mostly forgiven once it turns out to be welcome: so who comes often and is let in goes before
 * a crowd that is not, and takes turns with others that are.
 *
 * For one thread; no loop: its caller asks when to come back.
 */
#ifndef TLS_ADMISSION_H
#define TLS_ADMISSION_H

#include "base/address_group.h"
#include "base/check.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct tls_admission;

/** @waiting_max most guests that may wait, at least 1 */
struct tls_admission *tls_admission_new(unsigned waiting_max);
/** All guests have left. */
void tls_admission_free(struct tls_admission **admission);

/* Someone who wants to shake hands. Embedded by the caller; the fields belong to the admission. */
struct tls_guest {
	struct tls_admission *admission;
	struct address_slots slots;
	bool is_waiting;
	/* What its cost added to that of its slots, and was not forgiven; and when that is
	 * forgotten. */
	int64_t owed_us[ADDRESS_ROWS], until_us[ADDRESS_ROWS];
	TAILQ_ENTRY(tls_guest) link;
};

/** @group whose cost and crowd the guest is counted with, as far as address_group_slots() tells
 * them apart */
void tls_guest_init(struct tls_guest *guest, struct tls_admission *admission,
		    struct address_group group);
/** Waits for its turn from now on, unless it does already. */
void tls_guest_wait(struct tls_guest *guest);
/** Waits no longer; harmless when it did not. */
void tls_guest_leave(struct tls_guest *guest);
/** Notes CPU time that was spent on a handshake. @us microseconds, 0 or more */
void tls_guest_charge(struct tls_guest *guest, int64_t us);
/** Forgives its group most of what the guest has cost so far, as far as that is not forgotten. */
void tls_guest_forgive(struct tls_guest *guest);

/** @return the guest whose turn it is, who waits no longer; NULL = nobody now */
struct tls_guest *tls_admission_take(struct tls_admission *admission) MUST_CHECK;
/** @return the guest to send away, who waits no longer; NULL = there is room for all */
struct tls_guest *tls_admission_take_victim(struct tls_admission *admission) MUST_CHECK;
/** @return microseconds until somebody's turn comes; 0 = it is there; -1 = nobody waits */
int64_t tls_admission_wait_us(const struct tls_admission *admission);

#endif
