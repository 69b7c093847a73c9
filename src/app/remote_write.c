#include "app/remote_write.h"

#include "app/telemetry.h"
#include "base/alloc.h"
#include "base/log.h"
#include "base/utf8.h"
#include "model/name.h"
#include "push/pass.h"
#include "push/sender.h"
#include "tls/context.h"

#include <ev.h>
#include <stdlib.h>
#include <string.h>

/* How often types and help texts are sent in 1.0, as Prometheus does it. */
#define METADATA_US (60 * 1000000LL)

struct remote_write {
	struct ev_loop *loop;
	const struct telemetry_sources *sources;
	struct registry *registry;
	struct labels external; /* borrow texts of the options */
	bool with_native;       /* as far as the receiver takes them */
	struct push_sender *sender;
	struct push_ended *ended;
	bool is_waiting; /* a pass is to begin once these are in the output order */
	uint64_t births;
	struct push_pass *pass; /* NULL = none under way */
	struct mono pass_begun;
	int64_t start_ms, last_ms; /* since 1970: when it all began; timestamp of the last pass */
	uint64_t group;            /* the last in use */
	struct mono last_metadata;
	bool has_sent_metadata;
	struct remote_write_stats stats; /* what is counted here */
	ev_timer interval, slice;
};

/* ---- Flags. ---- */

/* Cuts "name=value" up. @return NULL, or what is wrong with it */
static const char *
parse_label(const char *text, struct label *label)
{
	const char *equals = strchr(text, '=');
	if (!equals)
		return "must be name=value";
	label->name = span_of(text, (size_t)(equals - text));
	label->value = span_text(equals + 1);
	if (!name_is_legal(label->name))
		return "has a name that is not made of letters, digits and '_'";
	if (label_name_is_reserved(label->name) || span_equal(label->name, SPAN("le")) ||
	    span_equal(label->name, SPAN("quantile")))
		return "has a name that Prometheus keeps for itself";
	if (!label->value.len)
		return "has no value";
	if (!utf8_is_valid(label->value))
		return "has a value that is not UTF-8";
	return NULL;
}

static const char *
add_label(struct labels *labels, const char *text)
{
	struct label label;
	const char *fault = parse_label(text, &label);
	if (fault)
		return fault;
	if (labels_find(labels, label.name))
		return "has a name that was given before";
	return labels_set(labels, label.name, label.value) ? NULL : "is one too many";
}

/* Names the header if it can, but does not show its value, which may be a secret. */
static void
report_header(struct diag *diag, const char *header, const char *fault)
{
	struct diag_place place = {"--remote-write.header", 0, 0};
	int name_len = (int)strcspn(header, ": \t");
	if (header[name_len] == ':')
		diag_error(diag, place, NULL, "%.*s: %s", name_len, header, fault);
	else
		diag_error(diag, place, NULL, "%s", fault);
}

static void
check_lists(const struct options *options, struct diag *diag)
{
	struct labels *labels = xcalloc(1, sizeof(*labels));
	for (size_t i = 0; i < options->remote_external_labels.count; i++) {
		const char *text = options->remote_external_labels.items[i];
		const char *fault = add_label(labels, text);
		if (fault)
			diag_error(diag, (struct diag_place){"--remote-write.external-label", 0, 0},
				   text, "%s", fault);
	}
	free(labels);
	for (size_t i = 0; i < options->remote_headers.count; i++) {
		const char *text = options->remote_headers.items[i];
		const char *fault = push_header_check(text);
		if (fault)
			report_header(diag, text, fault);
	}
}

static void
check_secret(const char *flag, const char *path, struct diag *diag)
{
	struct buf secret = BUF_INIT, error = BUF_INIT;
	if (*path && !push_secret_read(path, &secret, &error))
		diag_error(diag, (struct diag_place){flag, 0, 0}, NULL, "%s", buf_text(&error));
	buf_fini(&secret);
	buf_fini(&error);
}

/* What libcurl says of files that are wrong names none of them. */
static void
check_certificates(const struct options *options, struct diag *diag)
{
	const char *authorities = options->remote_ca_file;
	const char *certificate = options->remote_cert_file, *key = options->remote_key_file;
	struct diag_place place = {"--remote-write.ca-file", 0, 0};
	struct buf error = BUF_INIT;
	if (*authorities && !tls_check_authorities(authorities, &error))
		diag_error(diag, place, NULL, "%s", buf_text(&error));
	buf_reset(&error);
	place.file = "--remote-write.key-file";
	bool has_key = *key && tls_check_key(key, &error);
	if (*key && !has_key)
		diag_error(diag, place, NULL, "%s", buf_text(&error));
	buf_reset(&error);
	place.file = "--remote-write.cert-file";
	if (!*certificate != !*key)
		diag_error(diag, place, NULL, "and --remote-write.key-file need each other");
	else if (has_key && !tls_check_pair(certificate, key, &error))
		diag_error(diag, place, NULL, "%s", buf_text(&error));
	buf_fini(&error);
}

bool
remote_write_check(const struct options *options, struct diag *diag)
{
	struct diag_place place = {"--remote-write.url", 0, 0};
	if (*options->remote_url && !push_url_check(options->remote_url))
		diag_error(diag, place, NULL,
			   "must be an http or https URL without user and password; those go into "
			   "--remote-write.username and --remote-write.password-file");
	place.file = "--remote-write.bearer-token-file";
	if (*options->remote_bearer_token_file && *options->remote_username)
		diag_error(diag, place, NULL, "excludes --remote-write.username");
	place.file = "--remote-write.password-file";
	if (*options->remote_password_file && !*options->remote_username)
		diag_error(diag, place, NULL, "needs --remote-write.username");
	check_secret(place.file, options->remote_password_file, diag);
	check_secret("--remote-write.bearer-token-file", options->remote_bearer_token_file, diag);
	check_certificates(options, diag);
	check_lists(options, diag);
	return diag->errors == 0;
}

/* ---- Passes. ---- */

static bool
sends_native(const struct remote_write *remote)
{
	return remote->with_native && push_sender_takes_native(remote->sender);
}

static void
note_ended(void *ctx, const struct family_view *family, const struct series_view *series)
{
	struct remote_write *remote = ctx;
	if (!push_ended_add(remote->ended, family, series))
		push_queue_count_drop(
		    push_sender_queue(remote->sender), PUSH_DROP_ENDED_LIMIT,
		    push_sample_count(family->type, series, sends_native(remote)));
}

static void
take(void *ctx, uint64_t group, const struct push_message *message)
{
	struct remote_write *remote = ctx;
	push_sender_add(remote->sender, group, message);
}

static bool
is_metadata_due(struct remote_write *remote)
{
	struct mono now = clock_mono();
	if (remote->has_sent_metadata && now.us - remote->last_metadata.us < METADATA_US)
		return false;
	remote->has_sent_metadata = true;
	remote->last_metadata = now;
	return true;
}

/* Has a pass begin once what was born by now can be read. */
static void
want_pass(struct remote_write *remote)
{
	remote->is_waiting = true;
	remote->births = registry_births(remote->registry);
}

static void
begin_pass(struct remote_write *remote)
{
	struct reader *reader = telemetry_reader_new(remote->sources, remote->births);
	remote->is_waiting = false;
	remote->pass_begun = clock_mono();
	int64_t last_ms = remote->last_ms;
	remote->last_ms = push_next_timestamp(last_ms, clock_wall().us / 1000);
	enum push_protocol protocol = push_sender_protocol(remote->sender);
	struct push_pass_settings settings = {
	    .protocol = protocol,
	    .external = &remote->external,
	    .timestamp_ms = remote->last_ms,
	    .last_ms = last_ms,
	    .group = remote->group + 1,
	    .with_native = sends_native(remote),
	    .with_metadata = protocol == PUSH_PROTOCOL_1 && is_metadata_due(remote),
	    .take = take,
	    .ctx = remote,
	};
	remote->group += 2;
	remote->pass = push_pass_new(&settings, &remote->ended, &reader);
}

/* Does a slice of what a pass waits for, or of the pass. @return false when that was the last one
 */
static bool
step(struct remote_write *remote)
{
	if (remote->is_waiting) {
		if (registry_list_births(remote->registry, remote->births))
			begin_pass(remote);
		return true;
	}
	if (push_pass_step(remote->pass))
		return true;
	push_queue_count_drop(push_sender_queue(remote->sender), PUSH_DROP_TWIN,
			      push_pass_twin_samples(remote->pass));
	push_pass_free(&remote->pass);
	remote->stats.passes++;
	remote->stats.last_pass_us = clock_mono().us - remote->pass_begun.us;
	return false;
}

/* Once each time the loop comes round, after what came in meanwhile. */
static void
slice_cb(struct ev_loop *loop, ev_timer *watcher, int events)
{
	(void)events;
	if (step(watcher->data))
		ev_timer_start(loop, watcher);
}

static void
interval_cb(struct ev_loop *loop, ev_timer *watcher, int events)
{
	struct remote_write *remote = watcher->data;
	(void)events;
	if (remote->is_waiting || remote->pass) {
		remote->stats.passes_skipped++;
		return;
	}
	want_pass(remote);
	ev_timer_start(loop, &remote->slice);
}

/* ---- Life. ---- */

static struct push_sender *
make_sender(const struct options *options)
{
	return push_sender_new(&(struct push_sender_settings){
	    .url = options->remote_url,
	    .timeout_us = options->remote_timeout_ns / 1000,
	    .headers = options->remote_headers.items,
	    .header_count = options->remote_headers.count,
	    .bearer_token_file = options->remote_bearer_token_file,
	    .username = options->remote_username,
	    .password_file = options->remote_password_file,
	    .ca_file = options->remote_ca_file,
	    .cert_file = options->remote_cert_file,
	    .key_file = options->remote_key_file,
	    .protocol = (enum push_protocol_choice)options->remote_protocol,
	    .queue_bytes = options->remote_queue_bytes,
	});
}

struct remote_write *
remote_write_new(struct ev_loop *loop, const struct options *options,
		 const struct telemetry_sources *sources, struct registry *registry)
{
	if (!*options->remote_url)
		return NULL;
	struct remote_write *remote = xcalloc(1, sizeof(*remote));
	double interval_s = (double)options->remote_interval_ns / 1e9;
	remote->loop = loop;
	remote->sources = sources;
	remote->registry = registry;
	registry_on_series_end(registry, note_ended, remote);
	for (size_t i = 0; i < options->remote_external_labels.count; i++)
		CHECK(!add_label(&remote->external, options->remote_external_labels.items[i]));
	remote->with_native = options->remote_native_histograms;
	remote->sender = make_sender(options);
	remote->ended = push_ended_new();
	remote->start_ms = remote->last_ms = clock_wall().us / 1000;
	ev_timer_init(&remote->interval, interval_cb, interval_s, interval_s);
	ev_timer_init(&remote->slice, slice_cb, 0, 0);
	remote->interval.data = remote->slice.data = remote;
	return remote;
}

int
remote_write_start(struct remote_write *remote)
{
	if (!remote)
		return 0;
	ev_timer_start(remote->loop, &remote->interval);
	return push_sender_start(remote->sender);
}

static void
stop_timers(struct remote_write *remote)
{
	ev_timer_stop(remote->loop, &remote->interval);
	ev_timer_stop(remote->loop, &remote->slice);
}

void
remote_write_finish(struct remote_write *remote, int64_t deadline_us)
{
	if (!remote)
		return;
	stop_timers(remote);
	registry_end_zeros(remote->registry);
	/* One that is under way has old values of what it has been to. */
	for (bool is_last = !remote->pass;; is_last = true) {
		if (is_last)
			want_pass(remote);
		while (step(remote)) {
			if (clock_mono().us >= deadline_us)
				return;
		}
		if (is_last)
			return;
	}
}

void
remote_write_free(struct remote_write **slot, int64_t deadline_us)
{
	struct remote_write *remote = *slot;
	*slot = NULL;
	if (!remote)
		return;
	stop_timers(remote);
	registry_on_series_end(remote->registry, NULL, NULL);
	push_sender_stop(remote->sender, deadline_us);
	push_pass_free(&remote->pass);
	push_sender_free(&remote->sender);
	push_ended_free(&remote->ended);
	free(remote);
}

bool
remote_write_get_stats(const struct remote_write *remote, struct remote_write_stats *out)
{
	if (!remote)
		return false;
	*out = remote->stats;
	push_queue_stats(push_sender_queue(remote->sender), &out->push);
	int64_t newest_ms = out->push.newest_sent_ms;
	if (!newest_ms)
		newest_ms = remote->start_ms;
	out->lag_seconds = (double)(clock_wall().us / 1000 - newest_ms) / 1e3;
	return true;
}
