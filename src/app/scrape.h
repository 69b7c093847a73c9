/*
 * app/scrape - answers scrapes: own metrics and the registry as one reader, rendered piece by piece
 * while the client takes it. A scrape that comes while another of its format and encoding has just
 * begun shares that one's rendering.
 *
 * Rendering gets half of the control thread's time at most. A scrape that comes before it is due
 * again waits, and those of a kind that wait share one rendering where its size allows that. So does one
 * that comes behind a flood of births, until those before it are in the output order.
 * Clients take turns, as http/turns has them; when too many wait, one is refused.
 */
#ifndef APP_SCRAPE_H
#define APP_SCRAPE_H

#include "app/rendering.h"
#include "app/telemetry.h"
#include "http/server.h"
#include "http/turns.h"

#include <ev.h>

struct scrape_queue {
	struct ev_loop *loop;
	const struct telemetry_sources *sources;
	struct control_counters *counters;
	struct renderings renderings; /* empty when the HTTP server is freed */
	struct turns turns;
	ev_timer due; /* runs while any wait */
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
