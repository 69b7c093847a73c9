#include "app/telemetry.h"

#include "app/ingest.h"
#include "app/process.h"
#include "base/alloc.h"
#include "metrics/family_list.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/utsname.h>

enum own_metric {
#define OWN(id, suffix, type, help) OWN_##id,
#define NAMED OWN
#define PROCESS OWN
#include "app/telemetry.def"
#undef OWN
#undef NAMED
#undef PROCESS
	OWN_METRICS_COUNT
};

enum own_naming { NAMING_PREFIXED, NAMING_FIXED, NAMING_PROCESS };

struct own_row {
	const char *name;
	enum own_naming naming;
	enum metric_type type;
	const char *help;
};

static const struct own_row rows[] = {
#define OWN(id, suffix, type, help) {suffix, NAMING_PREFIXED, METRIC_##type, help},
#define NAMED(id, name, type, help) {name, NAMING_FIXED, METRIC_##type, help},
#define PROCESS(id, name, type, help) {name, NAMING_PROCESS, METRIC_##type, help},
#include "app/telemetry.def"
#undef OWN
#undef NAMED
#undef PROCESS
};

static void
row_name(const struct own_row *row, const char *prefix, struct buf *out)
{
	buf_reset(out);
	if (row->naming == NAMING_PREFIXED) {
		buf_add_text(out, prefix);
		buf_add_byte(out, '_');
	}
	buf_add_text(out, row->name);
	/* No gauge should be called so, but this one is known by its name. */
	if (row == &rows[OWN_METRICS] && strcmp(prefix, "statsd_exporter") == 0)
		buf_add_text(out, "_total");
}

void
telemetry_names_init(struct telemetry_names *names, const char *prefix, bool process)
{
	struct buf name = BUF_INIT;
	*names = (struct telemetry_names){xcalloc(OWN_METRICS_COUNT, sizeof(struct span)), 0};
	for (size_t i = 0; i < OWN_METRICS_COUNT; i++) {
		if (rows[i].naming == NAMING_PROCESS && !process)
			continue;
		row_name(&rows[i], prefix, &name);
		names->names[names->count++] = span_of(xmemdup0(name.ptr, name.len), name.len);
	}
	buf_fini(&name);
}

void
telemetry_names_fini(struct telemetry_names *names)
{
	for (size_t i = 0; i < names->count; i++)
		free((char *)(uintptr_t)names->names[i].ptr);
	free(names->names);
	*names = (struct telemetry_names){0};
}

/* One scrape's work. */
struct gathering {
	const struct telemetry_sources *from;
	const char *prefix;
	struct family_list *list;
	struct account *total;
	struct buf name;
};

static void
begin(struct gathering *g, enum own_metric id)
{
	row_name(&rows[id], g->prefix, &g->name);
	family_list_begin(g->list, buf_span(&g->name), span_text(rows[id].help), rows[id].type);
}

static void
add(struct gathering *g, enum own_metric id, double value)
{
	begin(g, id);
	family_list_add(g->list, NULL, value);
}

static void
add_account(struct gathering *g, enum own_metric id, unsigned counter)
{
	add(g, id, (double)account_get(g->total, counter));
}

/* One sample per label value that was ever counted. */
static void
add_labelled(struct gathering *g, const char *label, const char *value, unsigned counter)
{
	uint64_t n = account_get(g->total, counter);
	if (n)
		family_list_add_with(g->list, label, span_text(value), (double)n);
}

static void
add_lines_and_samples(struct gathering *g)
{
	add_account(g, OWN_LINES, ACCOUNT_LINES);
	add_account(g, OWN_LINES_EMPTY, ACCOUNT_LINES_EMPTY);
	add_account(g, OWN_LINES_EVENT, ACCOUNT_LINES_EVENT);
	add_account(g, OWN_LINES_CHECK, ACCOUNT_LINES_CHECK);
	add_account(g, OWN_LINES_WITH_SAMPLES, ACCOUNT_LINES_WITH_SAMPLES);
	add_account(g, OWN_EVENT_REPAIRS, ACCOUNT_EVENT_REPAIRS);
	add_account(g, OWN_SAMPLES, ACCOUNT_SAMPLES);
	add_account(g, OWN_SAMPLES_APPLIED, ACCOUNT_SAMPLES_APPLIED);
	add_account(g, OWN_TAGS, ACCOUNT_TAGS);
	add_account(g, OWN_TAG_ERRORS, ACCOUNT_TAG_ERRORS);
	begin(g, OWN_LINES_REFUSED);
	for (unsigned i = 1; i < STATSD_REASONS; i++)
		add_labelled(g, "reason", statsd_reason_text(i), ACCOUNT_LINES_REFUSED + i);
	begin(g, OWN_SAMPLE_ERRORS);
	for (unsigned i = 1; i < STATSD_REASONS; i++)
		add_labelled(g, "reason", statsd_reason_text(i), ACCOUNT_SAMPLE_ERRORS + i);
	begin(g, OWN_SAMPLES_DROPPED);
	for (unsigned i = 0; i < DROP_REASONS; i++)
		add_labelled(g, "reason", drop_reason_text(i), ACCOUNT_SAMPLES_DROPPED + i);
}

static void
add_conflicts(struct gathering *g)
{
	struct labels *labels = xcalloc(1, sizeof(*labels));
	begin(g, OWN_EVENTS_CONFLICT);
	for (unsigned i = 0; i < EVENT_KINDS * (CONFLICT_NAMES_MAX + 1); i++) {
		uint64_t n = account_get(g->total, ACCOUNT_CONFLICTS + i);
		if (!n)
			continue;
		const char *name =
		    bridge_conflict_name(g->from->bridge, i % (CONFLICT_NAMES_MAX + 1));
		const char *kind = event_kind_text(i / (CONFLICT_NAMES_MAX + 1));
		labels->count = 0;
		CHECK(labels_set(labels, SPAN("type"), span_text(kind)));
		CHECK(labels_set(labels, SPAN("metric_name"), span_text(name)));
		family_list_add(g->list, labels, (double)n);
	}
	free(labels);
}

static void
add_events(struct gathering *g)
{
	begin(g, OWN_EVENTS);
	for (unsigned i = 0; i < EVENT_KINDS; i++)
		add_labelled(g, "type", event_kind_text(i), ACCOUNT_EVENTS + i);
	add_account(g, OWN_EVENTS_UNMAPPED, ACCOUNT_EVENTS_UNMAPPED);
	begin(g, OWN_EVENTS_ACTIONS);
	add_labelled(g, "action", "map", ACCOUNT_EVENTS_MAPPED);
	add_labelled(g, "action", "drop", ACCOUNT_EVENTS_DROPPED);
	begin(g, OWN_EVENTS_ERROR);
	for (unsigned i = 0; i < DROP_REASONS; i++)
		add_labelled(g, "reason", drop_reason_text(i), ACCOUNT_EVENTS_ERROR + i);
	add_conflicts(g);
	add(g, OWN_EVENT_QUEUE_FLUSHED, 0);
}

static void
add_registry(struct gathering *g)
{
	const struct registry *registry = g->from->bridge->registry;
	begin(g, OWN_METRICS);
	for (unsigned i = 0; i < METRIC_TYPES; i++) {
		uint64_t n = registry_metrics_count(registry, i);
		if (n)
			family_list_add_with(g->list, "type", span_text(metric_type_text(i)),
					     (double)n);
	}
	begin(g, OWN_SERIES);
	for (unsigned i = 0; i < METRIC_TYPES; i++)
		family_list_add_with(g->list, "type", span_text(metric_type_text(i)),
				     (double)registry_series_count(registry, i));
	add(g, OWN_FAMILIES, (double)registry_families_count(registry));
	add(g, OWN_SERIES_MAX, (double)g->from->bridge->settings.max_series);
	uint64_t left_out = 0, native_left_out = 0, exemplars_left_out = 0;
	for (unsigned i = 0; i < g->from->worker_count; i++) {
		const struct shard *shard = registry_shard(g->from->bridge->registry, i);
		left_out += shard_left_out(shard);
		native_left_out += shard_native_left_out(shard);
		exemplars_left_out += shard_exemplars_left_out(shard);
	}
	add(g, OWN_SUMMARY_LEFT_OUT, (double)left_out);
	add(g, OWN_NATIVE_LEFT_OUT, (double)native_left_out);
	begin(g, OWN_EXEMPLARS_DROPPED);
	add_labelled(g, "reason", "too_long", ACCOUNT_EXEMPLARS_TOO_LONG);
	add_labelled(g, "reason", "nul", ACCOUNT_EXEMPLARS_NUL);
	family_list_add_with(g->list, "reason", SPAN("memory"), (double)exemplars_left_out);
	add(g, OWN_THREADS, g->from->worker_count);
	add(g, OWN_SHAPES, shapes_count(g->from->bridge->shapes));
	add_account(g, OWN_NOT_REMEMBERED, ACCOUNT_NOT_REMEMBERED);
	if (!g->from->options->cache_size)
		return;
	uint64_t length = 0;
	for (unsigned i = 0; i < g->from->worker_count; i++)
		length += ingest_cache_count(g->from->bridge->ingests[i]);
	add(g, OWN_CACHE_LENGTH, (double)length);
	add_account(g, OWN_CACHE_GETS, ACCOUNT_CACHE_GETS);
	add_account(g, OWN_CACHE_HITS, ACCOUNT_CACHE_HITS);
}

/* ---- Transports. ---- */

static uint64_t
net_total(const struct gathering *g, enum net_transport transport, size_t offset)
{
	uint64_t total = 0;
	for (unsigned i = 0; i < g->from->worker_count; i++) {
		const char *counters =
		    (const char *)worker_counters(g->from->workers[i], transport);
		total += atomic_load_explicit((const _Atomic uint64_t *)(counters + offset),
					      memory_order_relaxed);
	}
	return total;
}

static void
add_net(struct gathering *g, enum own_metric id, enum net_transport transport, size_t offset)
{
	add(g, id, (double)net_total(g, transport, offset));
}

static void
add_net_by_transport(struct gathering *g, enum own_metric id, size_t offset)
{
	begin(g, id);
	for (unsigned t = 0; t < NET_TRANSPORTS; t++)
		family_list_add_with(g->list, "transport", span_text(net_transport_text(t)),
				     (double)net_total(g, t, offset));
}

#define COUNTER(field) offsetof(struct net_counters, field)

static void
add_transports(struct gathering *g)
{
	add_net(g, OWN_UDP_PACKETS, NET_UDP, COUNTER(packets));
	add_net(g, OWN_UNIXGRAM_PACKETS, NET_UNIXGRAM, COUNTER(packets));
	add_net(g, OWN_TCP_CONNECTIONS, NET_TCP, COUNTER(connections));
	add_net(g, OWN_TCP_CONNECTION_ERRORS, NET_TCP, COUNTER(connection_errors));
	begin(g, OWN_TCP_TLS_FAILURES);
	for (unsigned i = 0; i < TLS_FAILURES; i++)
		family_list_add_with(g->list, "reason", span_text(tls_failure_text(i)),
				     (double)net_total(g, NET_TCP, COUNTER(tls_failures[i])));
	add_net(g, OWN_TCP_TOO_LONG_LINES, NET_TCP, COUNTER(too_long_lines));
	add_net(g, OWN_UNIXSTREAM_CONNECTIONS, NET_UNIXSTREAM, COUNTER(connections));
	add_net(g, OWN_UNIXSTREAM_CONNECTION_ERRORS, NET_UNIXSTREAM, COUNTER(connection_errors));
	add_net(g, OWN_UNIXSTREAM_TOO_LONG_LINES, NET_UNIXSTREAM, COUNTER(too_long_lines));
	add_net(g, OWN_UNIXSTREAM_FRAMES, NET_UNIXSTREAM, COUNTER(packets));
	add_net(g, OWN_UNIXSTREAM_BAD_FRAMES, NET_UNIXSTREAM, COUNTER(bad_frames));
	add_net_by_transport(g, OWN_RECEIVED_BYTES, COUNTER(bytes));
	add_net_by_transport(g, OWN_TRUNCATED, COUNTER(truncated));
	add_net_by_transport(g, OWN_RECEIVE_ERRORS, COUNTER(receive_errors));
	add_net_by_transport(g, OWN_STREAMS_CLOSED_IDLE, COUNTER(connections_closed_idle));
	add_net_by_transport(g, OWN_ACCEPT_PAUSES, COUNTER(accept_pauses));
	add(g, OWN_STREAMS_OPEN, stream_limit_open(g->from->streams));
	bool up = true;
	for (unsigned i = 0; i < g->from->worker_count; i++)
		up &= worker_is_alive(g->from->workers[i]);
	add(g, OWN_LISTENERS_UP, up);
}

/* @value gets what to show of a socket; NULL = its drops */
static void
add_sockets(struct gathering *g, enum own_metric id, bool buffers)
{
	const struct listeners *listeners = g->from->listeners;
	struct labels *labels = xcalloc(1, sizeof(*labels));
	begin(g, id);
	for (size_t i = 0; i < listeners->count; i++) {
		const struct watched_socket *socket = &listeners->sockets[i];
		char thread[16];
		int len = snprintf(thread, sizeof(thread), "%u", socket->thread);
		labels->count = 0;
		CHECK(labels_set(labels, SPAN("address"), span_text(socket->address)));
		CHECK(labels_set(labels, SPAN("thread"), span_of(thread, (size_t)len)));
		CHECK(labels_set(labels, SPAN("transport"),
				 span_text(net_transport_text(socket->transport))));
		family_list_add(g->list, labels,
				buffers ? (double)socket->receive_buffer : (double)socket->drops);
	}
	free(labels);
}

static void
add_wake_ups(struct gathering *g)
{
	struct worker *const *workers = g->from->workers;
	char thread[16];
	begin(g, OWN_RECEIVE_WAKE_UPS);
	for (unsigned i = 0; i < g->from->worker_count; i++) {
		int len = snprintf(thread, sizeof(thread), "%u", i);
		family_list_add_with(g->list, "thread", span_of(thread, (size_t)len),
				     (double)worker_wake_ups(workers[i]));
	}
	begin(g, OWN_RECEIVE_DELAY);
	for (unsigned i = 0; i < g->from->worker_count; i++) {
		int len = snprintf(thread, sizeof(thread), "%u", i);
		family_list_add_with(g->list, "thread", span_of(thread, (size_t)len),
				     (double)worker_delay_us(workers[i]) / 1e6);
	}
}

static void
add_drops(struct gathering *g)
{
	uint64_t udp = 0;
	listeners_poll_drops(g->from->listeners);
	for (size_t i = 0; i < g->from->listeners->count; i++) {
		const struct watched_socket *socket = &g->from->listeners->sockets[i];
		udp += socket->transport == NET_UDP ? socket->drops : 0;
	}
	add(g, OWN_UDP_PACKET_DROPS, (double)udp);
	add_sockets(g, OWN_SOCKET_DROPS, false);
	add_sockets(g, OWN_SOCKET_BUFFER, true);
}

static void
add_relay(struct gathering *g, enum own_metric id, size_t offset)
{
	begin(g, id);
	for (size_t r = 0; r < worker_relay_count(g->from->workers[0]); r++) {
		uint64_t total = 0;
		for (unsigned i = 0; i < g->from->worker_count; i++) {
			const char *counters =
			    (const char *)worker_relay_counters(g->from->workers[i], r);
			total += atomic_load_explicit(
			    (const _Atomic uint64_t *)(counters + offset), memory_order_relaxed);
		}
		family_list_add_with(g->list, "target",
				     span_text(g->from->options->relay_address.items[r]),
				     (double)total);
	}
}

static void
add_relays(struct gathering *g)
{
	add_relay(g, OWN_RELAY_PACKETS, offsetof(struct relay_counters, packets));
	add_relay(g, OWN_RELAY_LINES, offsetof(struct relay_counters, lines));
	add_relay(g, OWN_RELAY_LONG_LINES, offsetof(struct relay_counters, long_lines));
	add_relay(g, OWN_RELAY_DROPPED_PACKETS, offsetof(struct relay_counters, dropped_packets));
	add_relay(g, OWN_RELAY_DROPPED_LINES, offsetof(struct relay_counters, dropped_lines));
}

/* ---- Configuration, web, process. ---- */

struct match_hit {
	const char *match; /* borrowed from the mapper */
	uint64_t hits;
};

/* Hits by match: rules for several types may share one. */
struct match_hits {
	struct match_hit *items; /* owned */
	size_t count, capacity;
};

static void
note_match_limit_hits(void *ctx, const struct mapping_rule *rule, uint64_t hits)
{
	struct match_hits *all = ctx;
	size_t i = 0;
	while (i < all->count && strcmp(all->items[i].match, rule->match) != 0)
		i++;
	if (i == all->count) {
		all->items = xgrow(all->items, i, &all->capacity, sizeof(*all->items));
		all->items[all->count++] = (struct match_hit){rule->match, 0};
	}
	all->items[i].hits += hits;
}

static void
add_match_limit_hits(struct gathering *g, const struct mapper *mapper)
{
	struct match_hits all = {0};
	mapper_visit_match_limit_hits(mapper, note_match_limit_hits, &all);
	begin(g, OWN_MATCH_LIMIT);
	for (size_t i = 0; i < all.count; i++)
		family_list_add_with(g->list, "match", span_text(all.items[i].match),
				     (double)all.items[i].hits);
	free(all.items);
}

static void
add_limited_label(struct gathering *g, struct labels *labels, struct limited_label limited,
		  double value)
{
	labels->count = 0;
	CHECK(labels_set(labels, SPAN("file"), limited.path));
	CHECK(labels_set(labels, SPAN("label"), limited.label));
	family_list_add(g->list, labels, value);
}

static void
add_limited_labels(struct gathering *g)
{
	struct value_limits *limits = g->from->bridge->limits;
	struct labels *labels = xcalloc(1, sizeof(*labels));
	size_t count = value_limits_labels(limits);
	begin(g, OWN_LABEL_VALUES);
	for (size_t i = 0; i < count; i++) {
		struct limited_label limited = value_limits_label(limits, i);
		add_limited_label(g, labels, limited, (double)limited.values);
	}
	begin(g, OWN_LABEL_VALUES_REPLACED);
	for (size_t i = 0; i < count && i < LIMITED_LABELS_MAX; i++)
		add_limited_label(
		    g, labels, value_limits_label(limits, i),
		    (double)account_get(g->total, ACCOUNT_REPLACED_VALUES + (unsigned)i));
	if (count > LIMITED_LABELS_MAX)
		add_limited_label(
		    g, labels, (struct limited_label){VALUE_OTHER, VALUE_OTHER, 0},
		    (double)account_get(g->total, ACCOUNT_REPLACED_VALUES + LIMITED_LABELS_MAX));
	free(labels);
}

static void
add_configuration(struct gathering *g)
{
	const struct control_counters *control = g->from->control;
	const struct mapper *mapper = atomic_load(&g->from->bridge->mapper);
	begin(g, OWN_CONFIG_RELOADS);
	if (control->reloads_ok)
		family_list_add_with(g->list, "outcome", SPAN("success"),
				     (double)control->reloads_ok);
	if (control->reloads_failed)
		family_list_add_with(g->list, "outcome", SPAN("failure"),
				     (double)control->reloads_failed);
	add(g, OWN_CONFIG_RELOAD_OK, control->last_reload_ok);
	add(g, OWN_CONFIG_RELOAD_TIME, (double)control->last_success.us / 1e6);
	bool has_files = g->from->options->mapping_config.count;
	add(g, OWN_LOADED_FILES, has_files ? (double)mapper_set_count(mapper) : 0);
	add(g, OWN_LOADED_MAPPINGS, has_files ? (double)mapper_rule_count(mapper) : 0);
	add_match_limit_hits(g, mapper);
	add_limited_labels(g);
}

/* @outcome NULL = no such label */
static void
add_of_file(struct gathering *g, const struct secure_file *file, const char *outcome, double value)
{
	struct labels *labels = xcalloc(1, sizeof(*labels));
	CHECK(labels_set(labels, SPAN("file"), span_text(file->name)));
	CHECK(!outcome || labels_set(labels, SPAN("outcome"), span_text(outcome)));
	family_list_add(g->list, labels, value);
	free(labels);
}

static void
add_secure_files(struct gathering *g, enum own_metric id)
{
	begin(g, id);
	for (size_t i = 0; i < sizeof(g->from->secure_files) / sizeof(g->from->secure_files[0]); i++) {
		const struct secure_file *file = g->from->secure_files[i];
		if (!file || !*file->path)
			continue;
		if (id == OWN_WEB_RELOADS && file->reloads_ok)
			add_of_file(g, file, "success", (double)file->reloads_ok);
		if (id == OWN_WEB_RELOADS && file->reloads_failed)
			add_of_file(g, file, "failure", (double)file->reloads_failed);
		if (id == OWN_WEB_RELOAD_OK)
			add_of_file(g, file, NULL, file->is_good);
		if (id == OWN_CERTIFICATE_EXPIRY && file->tls)
			add_of_file(g, file, NULL, (double)tls_source_expiry(file->tls));
	}
}

static void
add_web(struct gathering *g)
{
	add_secure_files(g, OWN_WEB_RELOADS);
	add_secure_files(g, OWN_WEB_RELOAD_OK);
	add_secure_files(g, OWN_CERTIFICATE_EXPIRY);
	const struct http_stats *http = g->from->http;
	const struct control_counters *control = g->from->control;
	add(g, OWN_HTTP_CONNECTIONS, (double)atomic_load(&http->connections));
	add(g, OWN_HTTP_OPEN, (double)atomic_load(&http->open));
	add(g, OWN_HTTP_REFUSED, (double)atomic_load(&http->refused_connections));
	add(g, OWN_HTTP_EVICTED, (double)atomic_load(&http->evicted));
	add(g, OWN_HTTP_INCOMPLETE, (double)atomic_load(&http->incomplete));
	add(g, OWN_HTTP_DEADLINES, (double)atomic_load(&http->deadlines));
	begin(g, OWN_HTTP_TLS_FAILURES);
	for (unsigned i = 0; i < TLS_FAILURES; i++)
		family_list_add_with(g->list, "reason", span_text(tls_failure_text(i)),
				     (double)atomic_load(&http->tls_failures[i]));
	begin(g, OWN_HTTP_AUTH_REFUSED);
	for (unsigned i = 0; i < HTTP_AUTH_REFUSALS; i++)
		family_list_add_with(g->list, "reason", span_text(http_auth_refusal_text(i)),
				     (double)atomic_load(&http->auth_refused[i]));
	add(g, OWN_HTTP_BODY_BYTES, (double)atomic_load(&http->body_bytes));
	add(g, OWN_HTTP_BODIES_REFUSED, (double)atomic_load(&http->bodies_refused));
	begin(g, OWN_HTTP_RESPONSES);
	static const char *const classes[] = {"", "1xx", "2xx", "3xx", "4xx", "5xx"};
	for (unsigned i = 2; i < 6; i++)
		family_list_add_with(g->list, "code", span_text(classes[i]),
				     (double)atomic_load(&http->responses[i]));
	add(g, OWN_SCRAPES, (double)control->scrapes);
	add(g, OWN_SCRAPES_SHARED, (double)control->scrapes_shared);
	add(g, OWN_SCRAPES_FAILED, (double)control->scrapes_aborted);
	add(g, OWN_SCRAPE_BYTES, (double)control->last_scrape_bytes);
	add(g, OWN_SCRAPE_SECONDS, (double)control->last_scrape_us / 1e6);
}

static void
add_targets(struct gathering *g)
{
	const struct target_api *api = g->from->targets;
	const struct target_set *set = target_store_set(api->store);
	const struct target_store_stats *stats = target_store_stats(api->store);
	add(g, OWN_SD_GROUPS, (double)set->count);
	add(g, OWN_SD_TARGETS, (double)set->targets);
	begin(g, OWN_SD_CHANGES);
	family_list_add_with(g->list, "operation", SPAN("put"), (double)stats->puts);
	family_list_add_with(g->list, "operation", SPAN("delete"), (double)stats->removals);
	add(g, OWN_SD_EXPIRED, (double)stats->expired);
	begin(g, OWN_SD_REFUSED);
	for (unsigned i = 0; i < TARGET_REFUSALS; i++)
		family_list_add_with(g->list, "reason", span_text(target_refusal_text(i)),
				     (double)api->refused[i]);
	begin(g, OWN_SD_WRITES);
	family_list_add_with(g->list, "outcome", SPAN("success"), (double)stats->writes_ok);
	family_list_add_with(g->list, "outcome", SPAN("failure"), (double)stats->writes_failed);
}

static void
add_remote_write(struct gathering *g)
{
	struct remote_write_stats stats;
	if (!remote_write_get_stats(g->from->remote_write, &stats))
		return;
	add(g, OWN_RW_SAMPLES, (double)stats.push.samples);
	add(g, OWN_RW_SENT, (double)stats.push.sent);
	add(g, OWN_RW_FAILED, (double)stats.push.refused);
	begin(g, OWN_RW_DROPPED);
	for (unsigned i = 0; i < PUSH_DROPS; i++)
		family_list_add_with(g->list, "reason", span_text(push_drop_text(i)),
				     (double)stats.push.dropped[i]);
	add(g, OWN_RW_RETRIED, (double)stats.push.retried);
	add(g, OWN_RW_REQUESTS, (double)stats.push.requests);
	add(g, OWN_RW_BYTES, (double)stats.push.bytes);
	add(g, OWN_RW_QUEUE_SAMPLES, (double)stats.push.queued_samples);
	add(g, OWN_RW_QUEUE_BYTES, (double)stats.push.queued_bytes);
	add(g, OWN_RW_LAG, stats.lag_seconds);
	add(g, OWN_RW_LAST_SUCCESS, (double)stats.push.last_success.us / 1e6);
	add(g, OWN_RW_PASSES, (double)stats.passes);
	add(g, OWN_RW_PASSES_SKIPPED, (double)stats.passes_skipped);
	add(g, OWN_RW_PASS_SECONDS, (double)stats.last_pass_us / 1e6);
}

static void
add_build_info(struct gathering *g)
{
	struct labels *labels = xcalloc(1, sizeof(*labels));
	struct utsname system;
	CHECK(uname(&system) == 0);
	CHECK(labels_set(labels, SPAN("version"), span_text(STATSBRIDGE_VERSION)));
	CHECK(labels_set(labels, SPAN("compiler"), span_text("cc " __VERSION__)));
	CHECK(labels_set(labels, SPAN("machine"), span_text(system.machine)));
	CHECK(labels_set(labels, SPAN("system"), span_text(system.sysname)));
	begin(g, OWN_BUILD_INFO);
	family_list_add(g->list, labels, 1);
	free(labels);
}

static void
add_process(struct gathering *g)
{
	struct process_stats stats;
	if (!g->from->options->web_process_metrics)
		return;
	process_stats_read(&stats);
	add(g, OWN_CPU_SECONDS, stats.cpu_seconds);
	add(g, OWN_OPEN_FDS, stats.open_fds);
	add(g, OWN_MAX_FDS, stats.max_fds);
	add(g, OWN_VIRTUAL_BYTES, stats.virtual_bytes);
	add(g, OWN_VIRTUAL_MAX_BYTES, stats.virtual_max_bytes);
	add(g, OWN_RESIDENT_BYTES, stats.resident_bytes);
	add(g, OWN_START_TIME, stats.start_time_seconds);
	add(g, OWN_NETWORK_RECEIVE, stats.network_receive_bytes);
	add(g, OWN_NETWORK_TRANSMIT, stats.network_transmit_bytes);
}

static struct reader *
own_reader_new(const struct telemetry_sources *sources)
{
	struct gathering g = {
	    .from = sources,
	    .prefix = sources->bridge->settings.prefix,
	    .list = family_list_new(),
	    .total = xcalloc(1, sizeof(*g.total)),
	    .name = BUF_INIT,
	};
	bridge_total(sources->bridge, g.total);
	add_lines_and_samples(&g);
	add_events(&g);
	add_registry(&g);
	add_transports(&g);
	add_wake_ups(&g);
	add_drops(&g);
	add_relays(&g);
	add_configuration(&g);
	add_web(&g);
	add_targets(&g);
	add_remote_write(&g);
	add_build_info(&g);
	add_process(&g);
	buf_fini(&g.name);
	free(g.total);
	return family_list_reader(&g.list);
}

struct reader *
telemetry_reader_new(const struct telemetry_sources *sources, uint64_t births)
{
	const struct bridge *bridge = sources->bridge;
	struct reader *own = own_reader_new(sources);
	struct reader *clients = registry_reader_new(bridge->registry, births, bridge_now_us(bridge));
	return reader_merge(&own, &clients);
}
