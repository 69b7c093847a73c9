/*
 * push/queue - requests between the thread that writes them and the one that sends them: bounded in
 * bytes, in order, and with an account of what became of every sample.
 *
 * What does not fit drops the oldest that is not being sent. Safe from both threads.
 */
#ifndef PUSH_QUEUE_H
#define PUSH_QUEUE_H

#include "base/check.h"
#include "base/clock.h"
#include "push/writer.h"

#include <stdint.h>
#include <sys/queue.h>

/* Why samples were dropped without having been refused. */
enum push_drop {
	PUSH_DROP_QUEUE_FULL,
	PUSH_DROP_ENDED_LIMIT, /* markers of series that ended, for which there was no room */
	PUSH_DROP_TWIN,        /* of series that a receiver could not tell from others */
	PUSH_DROP_SHUTDOWN,    /* still there when the time for the end was over */
	PUSH_DROPS
};

/** @return the value of the label `reason` */
const char *push_drop_text(enum push_drop drop);

/* A message that is ready to be sent. */
struct push_request {
	STAILQ_ENTRY(push_request) link;
	uint64_t group;    /* as in push/pass.h */
	uint64_t sequence; /* order in the queue */
	enum push_protocol protocol;
	bool must_be_1; /* the receiver did not understand it in 2.0 */
	size_t samples;
	size_t natives;       /* native histograms among them */
	int64_t timestamp_ms; /* of all samples; without samples it says nothing */
	size_t len;           /* bytes of `body` */
	char body[];          /* compressed */
};

/* samples = sent + refused + all dropped + queued_samples */
struct push_stats {
	uint64_t samples; /* written */
	uint64_t sent, refused, dropped[PUSH_DROPS];
	uint64_t retried;                      /* samples sent again, each time */
	uint64_t requests, bytes;              /* sent, failed ones and those sent again, too */
	uint64_t queued_samples, queued_bytes; /* those being sent, too */
	int64_t newest_sent_ms;   /* timestamp of the samples sent last; 0 = none yet */
	struct wall last_success; /* 0 = none yet */
};

struct push_queue;

/** @limit most bytes of requests and their bookkeeping */
struct push_queue *push_queue_new(size_t limit);
void push_queue_free(struct push_queue **queue);

/** Compresses a message (snappy's block format) and puts it at the end. @message borrowed */
void push_queue_add(struct push_queue *queue, uint64_t group, const struct push_message *message);

/** Counts samples that never became a message. */
void push_queue_count_drop(struct push_queue *queue, enum push_drop drop, size_t samples);

/**
 * Takes the oldest request, to send it: of the group of those that are being sent, if there are
 * any.
 *
 * @return the request, until it is returned or settled; NULL when there is none to be sent now
 */
struct push_request *push_queue_take(struct push_queue *queue);

/** Puts a request of 1.0 in the place of one of 2.0 that was taken. @request exchanged */
void push_queue_translate(struct push_queue *queue, struct push_request **request);

/**
 * Takes the native histograms out of a request that was taken and has some; they count as refused.
 *
 * @request exchanged; settled, and NULL, where nothing is left of it
 */
void push_queue_refuse_native(struct push_queue *queue, struct push_request **request);

/** Counts that a request is sent, each time. */
void push_queue_count_sent(struct push_queue *queue, const struct push_request *request);

/** Puts a request back into its place, to be sent again. @request consumed */
void push_queue_return(struct push_queue *queue, struct push_request **request);

/**
 * Ends a request that was sent. @request consumed
 *
 * @sent samples that the receiver has taken; it has refused the others
 */
void push_queue_settle(struct push_queue *queue, struct push_request **request, size_t sent);

/** Ends a request without it having been sent. @request consumed */
void push_queue_drop(struct push_queue *queue, struct push_request **request, enum push_drop drop);

/** Drops all requests that are not being sent, for PUSH_DROP_SHUTDOWN. */
void push_queue_drop_all(struct push_queue *queue);

/** @return whether there is a request, being sent or not */
bool push_queue_is_empty(struct push_queue *queue);

void push_queue_stats(struct push_queue *queue, struct push_stats *out);

#endif
