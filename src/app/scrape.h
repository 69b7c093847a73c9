/*
 * app/scrape - answers one scrape: own metrics and the registry as one reader, rendered piece by
 * piece while the client takes it. A scrape that comes while another of its format and encoding has
 * just begun shares that one's rendering.
 */
#ifndef APP_SCRAPE_H
#define APP_SCRAPE_H

#include "app/rendering.h"
#include "app/telemetry.h"
#include "http/server.h"

/**
 * Fills the reply with a stream of all families, in the format and encoding the request asks for.
 *
 * @sources, @counters, @renderings borrowed for the life of the scrape
 */
void scrape_begin(const struct telemetry_sources *sources, struct control_counters *counters,
		  struct renderings *renderings, const struct http_request *request,
		  struct http_reply *reply);

#endif
