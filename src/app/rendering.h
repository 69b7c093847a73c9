/*
 * app/rendering - one run of reader -> writer -> gzip, shared by the scrapes that arrive together.
 *
 * Two replicas of Prometheus that scrape at the same moment cost one rendering. Its consumers take
 * the same pieces, each at its own pace; a piece is made when the fastest of them asks for it, and
 * goes once all have taken it. The first pieces are kept for those who may still join: as long as
 * it is not complete, at most RENDERING_JOIN_US old, has made at most RENDERING_START_BYTES, and no
 * newer one of its kind has begun. So a consumer that joined gets values that may be older than its
 * request, by at most RENDERING_JOIN_US. Of scrapes of one kind a later one never gets an older
 * rendering.
 *
 * A slow consumer costs the others nothing. What is kept for it is bounded: the consumer that holds
 * most back is ended when a limit is met. So that this hardly ever happens to an honest one, a
 * rendering can be joined only when the last complete one of its kind had half of that at most. Where
 * none of its kind was complete yet, as when its clients all leave early, the last of any kind
 * counts, before compression.
 *
 * Control thread only.
 */
#ifndef APP_RENDERING_H
#define APP_RENDERING_H

#include "base/clock.h"
#include "exposition/writer.h"

#include <sys/queue.h>

/* How long after its start a rendering can be joined: a million series take about a quarter of a
 * second with gzip, and values so much older harm no rate. */
#define RENDERING_JOIN_US 500000
/* The most that counts as spent at once. */
#define RENDERING_SPENT_MAX_US 100000
/* Bytes from the start, as sent, up to which a rendering can be joined: half a million series with
 * gzip. Most renderings keep them for nobody. What of them is more than the heap keeps free
 * (HEAP_SLACK in base/alloc.c) each rendering has from the kernel anew: several hundred page faults,
 * little beside the rest of its work. */
#define RENDERING_START_BYTES (3u << 20)
/* Bytes that consumers of one rendering, and of all, may hold back. */
#define RENDERING_HELD_BYTES (16u << 20)
#define RENDERINGS_HELD_BYTES (64u << 20)

/* What scrapes must agree on to share one. */
struct rendering_kind {
	enum exposition_format format;
	bool has_dots; /* names are escaped by exposition/dots */
	bool is_gzip;
};

struct rendering;
LIST_HEAD(rendering_list, rendering);

/* What is known of the renderings of one kind. */
struct rendering_history {
	struct rendering *newest; /* NULL = it has ended */
	uint64_t complete_bytes;  /* as sent, of the last that was made whole; 0 = none yet */
};

/* All renderings under way. Zero-initialised; holds nothing once every consumer has left. */
struct renderings {
	struct rendering_list list;
	struct rendering_history kinds[EXPOSITION_FORMATS][2][2]; /* [has_dots][is_gzip] */
	uint64_t complete_text_bytes; /* of the last of any kind that was made whole; 0 = none yet */
	size_t held;                  /* bytes of all pieces that are kept */
	int64_t due_us;               /* monotonic; see renderings_wait_us() */
};

/* One scrape's place in a rendering; embedded by the scrape, which may look at nothing in it. */
struct rendering_consumer {
	LIST_ENTRY(rendering_consumer) link;
	struct rendering *rendering; /* NULL = the consumer was ended or has left */
	uint64_t position;           /* pieces taken */
};

/**
 * The next one must wait for as long as the last ones took, so that there is time for other things.
 *
 * @return microseconds until another rendering should begin, or 0
 */
int64_t renderings_wait_us(const struct renderings *all);

/**
 * Notes that the thread was busy for renderings since then, besides what rendering_take() needs. By the
 * clock and not by the thread's own time, which costs a system call to read: where others take the
 * processor away, there is the more reason to wait. More than RENDERING_SPENT_MAX_US is none: the whole
 * process stood still.
 */
void renderings_spend(struct renderings *all, struct mono since);

/**
 * Joins the newest rendering of a kind, from its start.
 *
 * @consumer written when joined; must stay where it is until rendering_leave()
 * @return   whether it could be joined; else begin one
 */
bool rendering_join(struct renderings *all, struct rendering_kind kind,
		    struct rendering_consumer *consumer) MUST_CHECK;

/**
 * Begins a rendering, due or not. The one of its kind that was newest can be joined no more.
 *
 * @all      borrowed until every consumer has left
 * @writer   of the kind's format; consumed
 * @consumer the first consumer; must stay where it is until rendering_leave()
 */
void rendering_begin(struct renderings *all, struct rendering_kind kind,
		     struct exposition_writer **writer, struct rendering_consumer *consumer);

/**
 * Takes the next piece: about 64 KiB before compression, or one message of up to
 * EXPOSITION_MESSAGE_BYTES and a little.
 *
 * @out empty and without a cap; nothing is appended at the end. Fails when the consumer was so slow
 *      that it was ended
 */
void rendering_take(struct rendering_consumer *consumer, struct buf *out);

/** @return bytes made so far, before compression; 0 for a consumer that was ended */
uint64_t rendering_text_bytes(const struct rendering_consumer *consumer);

/** Leaves, at any time, also when ended; the rendering goes with its last consumer. */
void rendering_leave(struct rendering_consumer *consumer);

#endif
