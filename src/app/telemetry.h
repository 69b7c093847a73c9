/*
 * app/telemetry - the bridge's own metrics, as families of a scrape. Rows: src/app/telemetry.def.
 */
#ifndef APP_TELEMETRY_H
#define APP_TELEMETRY_H

#include "app/bridge.h"
#include "app/listeners.h"
#include "app/remote_write.h"
#include "app/secure_file.h"
#include "app/target_api.h"
#include "app/worker.h"
#include "http/server.h"
#include "metrics/reader.h"

/* What is counted on the control thread. */
struct control_counters {
	uint64_t reloads_ok, reloads_failed;
	bool last_reload_ok;
	struct wall last_success;
	uint64_t scrapes, scrapes_shared, scrapes_aborted;
	uint64_t last_scrape_bytes;
	int64_t last_scrape_us;
};

/* Where telemetry looks; all borrowed. */
struct telemetry_sources {
	const struct bridge *bridge;
	const struct options *options;
	struct worker *const *workers;
	unsigned worker_count;
	struct listeners *listeners; /* drop counts are refreshed */
	const struct stream_limit *streams;
	const struct http_stats *http;
	struct secure_file *secure_files[2]; /* NULL, or without a path = none */
	const struct control_counters *control;
	const struct target_api *targets;
	const struct remote_write *remote_write; /* NULL = off */
};

/* The names of all own metrics, reserved against clients. */
struct telemetry_names {
	struct span *names; /* owned, the bytes behind them too */
	size_t count;
};

/** @prefix without the final '_'. @process whether process_* is exposed */
void telemetry_names_init(struct telemetry_names *names, const char *prefix, bool process);
void telemetry_names_fini(struct telemetry_names *names);

/**
 * Control thread.
 *
 * @births of clients' series that it shows at least, see registry_reader_new()
 * @return a reader over all there is to show: own metrics as they are now, and those of clients
 */
struct reader *telemetry_reader_new(const struct telemetry_sources *sources, uint64_t births);

#endif
