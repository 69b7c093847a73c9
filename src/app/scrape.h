/*
 * app/scrape - answers one scrape: own metrics and the registry as one reader, written slice by slice
 * while the client takes it.
 */
#ifndef APP_SCRAPE_H
#define APP_SCRAPE_H

#include "app/telemetry.h"
#include "http/server.h"

/**
 * Fills the reply with a stream of all families, in the format and encoding the request asks for.
 *
 * @sources, @counters borrowed for the life of the scrape
 */
void scrape_begin(const struct telemetry_sources *sources, struct control_counters *counters,
		  const struct http_request *request, struct http_reply *reply);

#endif
