/*
 * push/negotiation - which protocol a receiver is sent, as its answers to 2.0 tell, and whether
 * native histograms. Receivers do not say so themselves; rules: prometheus.io/docs/specs/prw
 * for 2.0, "Required Written Response Headers" and "2.x vs 1.x Compatibility".
 *
 * PUSH_CHOICE_AUTO begins with 2.0. A receiver that has not shown yet that it speaks 2.0 is sent
 * 1.0 from its first answer on that says it does not; after PUSH_TRY_AGAIN_US 2.0 is tried again,
 * as at the beginning. One that has shown it is asked more often: behind a load balancer one
 * receiver of many may be older, or a proxy may answer in the receiver's place.
 *
 * None of that loses a sample: whatever request was not understood is sent again in 1.0, see
 * push/translate.h. So a try costs as many requests as are under way at once, and no more.
 *
 * A receiver that says that it takes no native histograms is sent none for PUSH_NATIVE_AGAIN_US. It
 * may be another one by then, or have got its flag; a try costs the native histograms of the
 * requests that are under way at once, and no other sample.
 */
#ifndef PUSH_NEGOTIATION_H
#define PUSH_NEGOTIATION_H

#include "base/check.h"
#include "push/writer.h"

#include <stdbool.h>
#include <stdint.h>

enum push_protocol_choice {
	PUSH_CHOICE_1,
	PUSH_CHOICE_2,
	PUSH_CHOICE_AUTO,
};

/* Answers in a row by which a receiver that spoke 2.0 is taken for one that does no longer. */
#define PUSH_MISSES_MOST 10
#define PUSH_TRY_AGAIN_US (600 * 1000000LL)
#define PUSH_NATIVE_AGAIN_US (3600 * 1000000LL)

struct push_negotiation {
	bool is_confirmed; /* the receiver has shown that it speaks 2.0 */
	unsigned misses;   /* answers in a row by which it did not understand 2.0 */
	/* Until then 1.0 is spoken (monotonic). Written by one thread, read by any. */
	_Atomic int64_t old_until_us;
	_Atomic int64_t no_native_until_us; /* the same for native histograms */
};

void push_negotiation_init(struct push_negotiation *negotiation, enum push_protocol_choice choice);

/** @return the protocol that is spoken now; any thread. @now_us monotonic */
enum push_protocol push_negotiation_protocol(const struct push_negotiation *negotiation,
					     int64_t now_us);

/** Notes that the receiver has understood a request of 2.0. @return whether that is news */
bool push_negotiation_hit(struct push_negotiation *negotiation);

/** Notes that it has not. @return whether 2.0 is given up for that, for now. @now_us monotonic */
bool push_negotiation_miss(struct push_negotiation *negotiation, int64_t now_us);

/** @return whether native histograms are sent now; any thread. @now_us monotonic */
bool push_negotiation_takes_native(const struct push_negotiation *negotiation, int64_t now_us);

/** Notes that the receiver takes none. @return whether that is news, as of `now_us` (monotonic) */
bool push_negotiation_deny_native(struct push_negotiation *negotiation, int64_t now_us);

#endif
