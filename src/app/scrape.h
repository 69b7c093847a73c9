/*
 * app/scrape - answers scrapes: own metrics and the registry as one reader, rendered piece by piece
 * while the client takes it. A scrape that comes while another of its format and encoding has just
 * begun shares that one's rendering.
 *
 * Rendering gets half of the control thread's time at most. A scrape that comes before it is due
 * again waits, and those of a kind that wait share one rendering where its size allows that.
 * Addresses take turns, so that many scrapes from a few keep no other waiting; when too many wait,
 * who came last from the address with the most is refused.
 */
#ifndef APP_SCRAPE_H
#define APP_SCRAPE_H

#include "app/rendering.h"
#include "app/telemetry.h"
#include "http/server.h"

#include <ev.h>

/* Scrapes that may wait: few enough to leave connections to others. */
#define SCRAPES_WAITING_MAX 64
/* Addresses are told apart as far as their hashes are. */
#define SCRAPE_ADDRESSES 256

struct scrape;

struct scrape_queue {
	struct ev_loop *loop;
	const struct telemetry_sources *sources;
	struct control_counters *counters;
	struct renderings renderings; /* empty when the HTTP server is freed */
	TAILQ_HEAD(, scrape) waiting;
	ev_timer turn; /* runs while there are any */
	/* By address. */
	unsigned waiting_from[SCRAPE_ADDRESSES];
	uint64_t last_turn[SCRAPE_ADDRESSES]; /* 0 = none yet */
	uint64_t turns;
};

/** @loop, @sources, @counters borrowed until scrape_queue_fini() */
void scrape_queue_init(struct scrape_queue *queue, struct ev_loop *loop,
		       const struct telemetry_sources *sources, struct control_counters *counters);
/** Gives up on all that wait. To be called once the HTTP server is freed; also when never begun. */
void scrape_queue_fini(struct scrape_queue *queue);

/**
 * Fills the reply with a stream of all families, in the format and encoding the request asks for,
 * or puts it off until rendering is due again.
 */
void scrape_answer(struct scrape_queue *queue, const struct http_request *request,
		   struct http_reply *reply);

#endif
