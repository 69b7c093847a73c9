/*
 * push/verdict - what an answer, or none, means for a request, and how long to wait after a
 * failure. Rules: prometheus.io/docs/specs/prw, "Retries & Backoff" and, for 2.0, "Required Written
 * Response Headers" and "Request Headers".
 */
#ifndef PUSH_VERDICT_H
#define PUSH_VERDICT_H

#include "base/check.h"
#include "push/negotiation.h"

#include <stdint.h>

struct push_answer {
	unsigned status;    /* 0 = none came, not in time, or not its whole head */
	bool has_written;   /* how much was written is in the answer, a sign of 2.0... */
	uint64_t written;   /* ... this many samples, native histograms among them; else 0 */
	bool denies_native; /* the request had native histograms, and see push_denies_native() */
};

enum push_verdict {
	PUSH_SENT,
	PUSH_REFUSED,        /* sending it again would change nothing */
	PUSH_RETRY,          /* later it may go better */
	PUSH_TRANSLATE,      /* the receiver has not understood 2.0, but may understand 1.0 */
	PUSH_WITHOUT_NATIVE, /* it takes the request without its native histograms only */
};

/** @return whether the body of an answer says that the receiver takes no native histograms */
bool push_denies_native(struct span body);

/**
 * @request   in which the request was
 * @confirmed whether the receiver has shown that it speaks 2.0
 */
enum push_verdict push_judge(const struct push_answer *answer, enum push_protocol request,
			     enum push_protocol_choice choice, bool confirmed);

/** @return of a request that was sent or refused: how many of its samples the receiver has taken */
size_t push_samples_taken(const struct push_answer *answer, enum push_verdict verdict,
			  enum push_protocol request, size_t samples);

/* Waits after failures: each time twice as long. */
#define PUSH_BACKOFF_FIRST_US 100000
#define PUSH_BACKOFF_MOST_US (30 * 1000000LL)
/* A receiver may ask for a longer wait (Retry-After), but not for more than this. */
#define PUSH_RETRY_AFTER_MOST_US (300 * 1000000LL)

/* Zero-initialised. */
struct push_backoff {
	int64_t delay_us;
	int64_t until_us; /* monotonic: before that nothing is sent */
};

/**
 * After a failure. Requests that were under way together fail together, and count once.
 *
 * @now_us         monotonic
 * @retry_after_us what the receiver asks for, 0 = nothing
 * @random         any number: senders that failed together should not come back together
 */
void push_backoff_fail(struct push_backoff *backoff, int64_t now_us, int64_t retry_after_us,
		       uint64_t random);
/**
 * After a success. During a wait it changes nothing: it is that of a request that was under way
 * with the one that failed, and tells less of the receiver than the failure does.
 */
void push_backoff_succeed(struct push_backoff *backoff, int64_t now_us);

#endif
