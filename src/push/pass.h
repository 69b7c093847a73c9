/*
 * push/pass - one look at all series: the ended ones first, then what a reader shows, written in
 * slices. All samples of a pass have one timestamp, and the markers of ended series the millisecond
 * before it, so that a series may end and begin anew in one pass.
 *
 * A pass has two groups of messages, the markers and the rest. Within a group no series comes
 * twice, so its messages may be sent in any order; groups must be sent one after the other.
 */
#ifndef PUSH_PASS_H
#define PUSH_PASS_H

#include "base/check.h"
#include "push/ended.h"
#include "push/writer.h"

/* Bytes of messages in a slice, before compression: as much as in a scrape's. */
#define PUSH_SLICE_BYTES (64u << 10)

/** Takes a message. @group grows from group to group, also from pass to pass */
typedef void push_group_fn(void *ctx, uint64_t group, const struct push_message *message);

struct push_pass_settings {
	enum push_protocol protocol;
	const struct labels *external; /* as push_writer_new() wants them; borrowed */
	int64_t timestamp_ms;          /* as push_next_timestamp() chose it */
	int64_t last_ms;               /* that of the pass before, which told of exemplars, too */
	uint64_t group;                /* the first one; the pass uses this one and the next */
	bool with_native;              /* native histograms are sent, too */
	bool with_metadata;            /* 1.0: types and help texts are sent, too */
	push_group_fn *take;
	void *ctx;
};

/* Clocks that are set right slowly never go back so far. */
#define PUSH_CLOCK_SET_BACK_MS 60000

/**
 * Chooses the timestamp of a pass. Samples of a series must not go back in time; but where the
 * clock was set back by a minute or more, it was wrong before, and its new time holds.
 *
 * @last_ms that of the pass before
 * @return  milliseconds since 1970
 */
int64_t push_next_timestamp(int64_t last_ms, int64_t now_ms);

struct push_pass;

/**
 * @ended  gets a new list in its place; what is in the old one is told of in this pass
 * @reader consumed
 */
struct push_pass *push_pass_new(const struct push_pass_settings *settings,
				struct push_ended **ended, struct reader **reader);
/** Frees the pass, also before its end; messages that are not full yet are lost then. */
void push_pass_free(struct push_pass **pass);

/** Writes the next slice. @return false when the pass has come to its end */
bool push_pass_step(struct push_pass *pass) MUST_CHECK;

/** @return samples written so far */
uint64_t push_pass_samples(const struct push_pass *pass);
/** @return samples left out so far, since a receiver could not tell them from others */
uint64_t push_pass_twin_samples(const struct push_pass *pass);

#endif
