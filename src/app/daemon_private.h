/*
 * app/daemon_private - the daemon's insides, shared by daemon.c (life) and routes.c (HTTP).
 */
#ifndef APP_DAEMON_PRIVATE_H
#define APP_DAEMON_PRIVATE_H

#include "app/bridge.h"
#include "app/inherited.h"
#include "app/listeners.h"
#include "app/notify.h"
#include "app/options.h"
#include "app/remote_write.h"
#include "app/scrape.h"
#include "app/secure_file.h"
#include "app/target_api.h"
#include "app/telemetry.h"
#include "app/worker.h"
#include "http/server.h"

#include <ev.h>

#define ROUTES_MAX 16

struct daemon {
	const struct options *options;
	struct telemetry_names names;
	struct bridge *bridge;
	struct stream_limit *streams;
	struct worker **workers;
	unsigned worker_count;
	struct inherited inherited;
	struct listeners listeners;
	struct notify notify;
	struct secure_file web_file, statsd_file;

	struct ev_loop *loop;
	struct http_route routes[ROUTES_MAX];
	struct http_server *http;
	struct target_store *targets;
	struct target_api target_api;
	struct remote_write *remote_write; /* NULL = off */
	struct control_counters counters;
	struct telemetry_sources sources;
	struct scrape_queue scrapes;
	ev_signal on_hup, on_int, on_term;
	ev_timer second; /* expiry, drop counts, memory */
	ev_timer watchdog; /* runs where a service manager wants to hear from us */
	ev_timer grace;	 /* runs while something waits for a quiescent point */
	int64_t finish_us; /* monotonic: how long the end may take */
	bool is_quitting;
};

/** Fills the table of HTTP routes from the options. */
void daemon_set_routes(struct daemon *daemon);

/**
 * Reads all files of the configuration again. @diag gets what is wrong with them
 *
 * @return whether all that they say is in force; of mapping rules and of each other file, what was
 *         in force stays where the new one is wrong
 */
bool daemon_reload(struct daemon *daemon, struct diag *diag);

/** @return whether every listener for lines still receives */
bool daemon_is_healthy(const struct daemon *daemon);

/** Begins an orderly end: the loop is left soon. */
void daemon_quit(struct daemon *daemon);

#endif
