#include "app/daemon_private.h"

#include "app/daemon.h"
#include "base/alloc.h"
#include "base/hash.h"
#include "base/log.h"
#include "net/socket.h"
#include "statsd/scan.h"
#include "targets/state.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* What the sockets hold when the end comes is taken for at most this long. */
#define DRAIN_US 1000000
/* Scrapes and remote writes that are under way at the end may go on for at most this long. */
#define FINISH_US 5000000
/* Descriptors that stream connections leave to HTTP, listeners and files. */
#define RESERVED_DESCRIPTORS 400
/* Of the control thread, against 0 of those that receive: where they share a processor, receiving goes
 * first, and a scrape still gets a tenth of it. */
#define CONTROL_NICENESS 10
/* How often a wait for quiescent points looks again. */
#define GRACE_POLL_S 0.002

static const struct http_limits http_limits = {
    .connections = 256,
    .connections_per_address = 64,
    .body_bytes = 1 << 20,
    .bodies_bytes = 4 * DOCUMENT_BYTES_MAX,
    .handshake_us = 10 * 1000000LL,
    .request_us = 60 * 1000000LL,
    .idle_us = 120 * 1000000LL,
};

/* So many that a burst has room, and so few that they leave connections to scrapes. Whoever waits at
 * the end hears within FINISH_US. */
static const struct target_limits target_limits = {
    .changes = 32,
    .answer_us = 4 * 1000000LL,
};

/* ---- The mapping files. ---- */

static void
log_loaded(const struct daemon *daemon, const char *what)
{
	const struct mapper *mapper = atomic_load(&daemon->bridge->mapper);
	log_info(what, LOG_NUM("files", mapper_set_count(mapper)),
		 LOG_NUM("rules", mapper_rule_count(mapper)));
}

static void
start_grace(struct daemon *daemon)
{
	if (!ev_is_active(&daemon->grace))
		ev_timer_again(daemon->loop, &daemon->grace);
}

/* @remark what else the service manager's users should see */
static void
tell_ready(struct daemon *daemon, const char *remark)
{
	struct buf status = BUF_INIT;
	buf_printf(&status, "Serving metrics, with %zu mapping rules%s",
		   mapper_rule_count(atomic_load(&daemon->bridge->mapper)), remark);
	notify_ready(&daemon->notify, buf_text(&status));
	buf_fini(&status);
}

bool
daemon_is_healthy(const struct daemon *daemon)
{
	bool is_healthy = true;
	for (unsigned i = 0; i < daemon->worker_count; i++)
		is_healthy &= worker_is_alive(daemon->workers[i]);
	return is_healthy;
}

static bool
reload_mapping(struct daemon *daemon, struct diag *diag)
{
	size_t first = diag->count;
	bool ok = bridge_reload(daemon->bridge, diag);
	diag_log_from("mapping", diag, first);
	daemon->counters.last_reload_ok = ok;
	if (ok) {
		daemon->counters.reloads_ok++;
		daemon->counters.last_success = clock_wall();
		start_grace(daemon);
		log_loaded(daemon, "mapping reloaded");
	} else {
		daemon->counters.reloads_failed++;
		log_error("mapping not reloaded; the old rules stay in force");
	}
	return ok;
}

bool
daemon_reload(struct daemon *daemon, struct diag *diag)
{
	const struct options *options = daemon->options;
	bool has_secure = *options->web_config_file || *options->statsd_tls_config_file;
	if (!options->mapping_config.count && !has_secure)
		log_warn("nothing to reload: no --statsd.mapping-config was given");
	notify_reloading(&daemon->notify);
	bool ok = secure_file_reload(&daemon->web_file, diag);
	ok &= secure_file_reload(&daemon->statsd_file, diag);
	diag_log("web configuration", diag);
	if (options->mapping_config.count)
		ok &= reload_mapping(daemon, diag);
	tell_ready(daemon, ok ? "" : "; the files in place are wrong and not in force");
	return ok;
}

/* ---- Watchers of the control loop. ---- */

static void
hup_cb(struct ev_loop *loop, ev_signal *watcher, int events)
{
	struct daemon *daemon = watcher->data;
	struct diag diag = DIAG_INIT;
	(void)loop;
	(void)events;
	daemon_reload(daemon, &diag);
	diag_fini(&diag);
}

void
daemon_quit(struct daemon *daemon)
{
	daemon->is_quitting = true;
	ev_break(daemon->loop, EVBREAK_ALL);
}

static void
quit_cb(struct ev_loop *loop, ev_signal *watcher, int events)
{
	(void)loop;
	(void)events;
	log_info("stopping", LOG_TEXT("signal", strsignal(watcher->signum)));
	daemon_quit(watcher->data);
}

static void
expire(struct daemon *daemon)
{
	uint32_t tick = (uint32_t)(bridge_now_us(daemon->bridge) / TICK_US) + 1;
	if (registry_expire(daemon->bridge->registry, tick))
		start_grace(daemon);
}

static void
second_cb(struct ev_loop *loop, ev_timer *watcher, int events)
{
	struct daemon *daemon = watcher->data;
	(void)loop;
	(void)events;
	expire(daemon);
	target_store_expire(daemon->targets);
	registry_free_retired(daemon->bridge->registry);
	if (bridge_collect(daemon->bridge))
		start_grace(daemon);
	listeners_poll_drops(&daemon->listeners);
	secure_file_poll(&daemon->web_file);
	secure_file_poll(&daemon->statsd_file);
}

static void
grace_cb(struct ev_loop *loop, ev_timer *watcher, int events)
{
	struct daemon *daemon = watcher->data;
	(void)events;
	ev_timer_stop(loop, watcher);
	if (bridge_collect(daemon->bridge))
		start_grace(daemon);
	expire(daemon);
}

/* Silent once a listener has failed for good, so that the service manager starts another bridge. */
static void
watchdog_cb(struct ev_loop *loop, ev_timer *watcher, int events)
{
	struct daemon *daemon = watcher->data;
	(void)loop;
	(void)events;
	if (daemon_is_healthy(daemon))
		notify_watchdog(&daemon->notify);
}

/* ---- Start. ---- */

static bool
select_scanner(const char *name)
{
	if (scan_select(name))
		return true;
	log_error("this processor has no such scanner", LOG_TEXT("debug.scanner", name));
	return false;
}

/* As many descriptors as the hard limit allows: a soft limit of 1024 is what old programs need. */
static void
raise_descriptor_limit(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max)
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
		log_warn("cannot raise the limit of file descriptors", LOG_ERRNO(errno));
}

/* Connections may take what is left beside HTTP, listeners and files. */
static unsigned
connection_limit(const struct options *options)
{
	struct rlimit limit;
	uint64_t wanted = options->max_connections;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted + RESERVED_DESCRIPTORS)
		return (unsigned)wanted;
	uint64_t room = limit.rlim_cur > 2 * RESERVED_DESCRIPTORS
			    ? limit.rlim_cur - RESERVED_DESCRIPTORS
			    : limit.rlim_cur / 2;
	log_warn("fewer connections than --statsd.max-connections: file descriptors are limited",
		 LOG_NUM("descriptors", limit.rlim_cur), LOG_NUM("connections", room));
	return room ? (unsigned)room : 1;
}

static unsigned
default_threads(void)
{
	cpu_set_t cpus;
	int count = sched_getaffinity(0, sizeof(cpus), &cpus) == 0 ? CPU_COUNT(&cpus) : 1;
	return (unsigned)(count > 4 ? count - 1 : count);
}

static bool
dump_graph(const struct daemon *daemon)
{
	const char *path = daemon->options->dump_fsm;
	if (!*path || !daemon->options->mapping_config.count)
		return true;
	FILE *file = fopen(path, "we");
	bool ok = file && mapper_dump_graph(atomic_load(&daemon->bridge->mapper), file);
	if (file && fclose(file) != 0)
		ok = false;
	if (!ok)
		log_error("cannot write the graph of --debug.dump-fsm", LOG_TEXT("file", path),
			  LOG_ERRNO(errno));
	return ok;
}

static bool
make_bridge(struct daemon *daemon)
{
	const struct options *options = daemon->options;
	struct diag diag = DIAG_INIT;
	telemetry_names_init(&daemon->names, options->web_self_metrics_prefix,
			     options->web_process_metrics);
	daemon->worker_count = options->threads ? (unsigned)options->threads : default_threads();
	daemon->bridge = bridge_new(
	    &(struct bridge_settings){
		.threads = daemon->worker_count,
		.max_series = options->max_series,
		.statsd = {.dogstatsd_tags = options->parse_dogstatsd_tags,
			   .influxdb_tags = options->parse_influxdb_tags,
			   .librato_tags = options->parse_librato_tags,
			   .signalfx_tags = options->parse_signalfx_tags,
			   .container_id_label = options->container_id_label,
			   .sets = options->sets},
		.signed_gauges_absolute = options->signed_gauges_absolute,
		.prefix = options->web_self_metrics_prefix,
		.mapping_files = options->mapping_config.items,
		.mapping_file_count = options->mapping_config.count,
		.reserved = daemon->names.names,
		.reserved_count = daemon->names.count,
		.openmetrics = options->web_openmetrics,
	    },
	    &diag);
	diag_log("mapping", &diag);
	diag_fini(&diag);
	if (daemon->bridge && options->mapping_config.count)
		log_loaded(daemon, "mapping loaded");
	return daemon->bridge != NULL;
}

static bool
add_relays(struct daemon *daemon)
{
	const struct option_list *relays = &daemon->options->relay_address;
	for (size_t r = 0; r < relays->count; r++) {
		struct address target;
		const char *error;
		if (address_parse(relays->items[r], false, &target, &error) != 0) {
			log_error("bad relay address", LOG_TEXT("flag", "--statsd.relay.address"),
				  LOG_TEXT("address", relays->items[r]), LOG_TEXT("error", error),
				  LOG_TEXT("expected", "host:port"));
			return false;
		}
		for (unsigned i = 0; i < daemon->worker_count; i++) {
			if (!worker_add_relay(daemon->workers[i], &target,
					      daemon->options->relay_packet_length))
				return false;
		}
	}
	return true;
}

static bool
open_targets(struct daemon *daemon)
{
	const char *path = daemon->options->sd_state_file;
	struct diag diag = DIAG_INIT;
	daemon->targets = target_store_new(daemon->loop, path, &target_limits, &diag);
	diag_log("scrape targets", &diag);
	diag_fini(&diag);
	if (!daemon->targets)
		return false;
	daemon->target_api =
	    (struct target_api){.options = daemon->options, .store = daemon->targets};
	if (*path)
		log_info("scrape targets loaded", LOG_TEXT("file", path),
			 LOG_NUM("groups", target_store_set(daemon->targets)->count));
	return true;
}

static void
apply_web_config(void *ctx)
{
	struct daemon *daemon = ctx;
	const struct web_config *config = &daemon->web_file.config;
	http_server_set_headers(daemon->http, config->headers, config->header_count);
	http_server_set_users(daemon->http, config->users, config->user_count);
}

/* Also what --check-config wants to know. */
static bool
open_secure_files(struct daemon *daemon)
{
	struct diag diag = DIAG_INIT;
	daemon->web_file = (struct secure_file){.name = "web",
						.path = daemon->options->web_config_file,
						.use = WEB_CONFIG_HTTP,
						.changed = apply_web_config,
						.ctx = daemon};
	daemon->statsd_file = (struct secure_file){.name = "statsd",
						   .path = daemon->options->statsd_tls_config_file,
						   .use = WEB_CONFIG_TLS_ONLY};
	bool ok = secure_file_open(&daemon->web_file, &diag);
	ok &= secure_file_open(&daemon->statsd_file, &diag);
	diag_log("web configuration", &diag);
	diag_fini(&diag);
	return ok;
}

static bool
open_http(struct daemon *daemon)
{
	daemon_set_routes(daemon);
	scrape_queue_init(&daemon->scrapes, daemon->loop, &daemon->sources, &daemon->counters);
	daemon->http = http_server_new(daemon->loop, daemon->routes, daemon, &http_limits,
				       daemon->web_file.tls);
	if (!daemon->http)
		return false;
	apply_web_config(daemon);
	return listeners_open_web(&daemon->listeners, daemon->options,
						  &daemon->inherited, daemon->http);
}

static void
start_watchers(struct daemon *daemon)
{
	struct ev_loop *loop = daemon->loop;
	ev_signal_init(&daemon->on_hup, hup_cb, SIGHUP);
	ev_signal_init(&daemon->on_int, quit_cb, SIGINT);
	ev_signal_init(&daemon->on_term, quit_cb, SIGTERM);
	ev_timer_init(&daemon->second, second_cb, 1, 1);
	ev_timer_init(&daemon->grace, grace_cb, 0, GRACE_POLL_S);
	daemon->on_hup.data = daemon->on_int.data = daemon->on_term.data = daemon;
	daemon->second.data = daemon->grace.data = daemon;
	ev_signal_start(loop, &daemon->on_hup);
	ev_signal_start(loop, &daemon->on_int);
	ev_signal_start(loop, &daemon->on_term);
	ev_timer_start(loop, &daemon->second);
	double watchdog_s = (double)notify_open(&daemon->notify) / 1e6;
	ev_timer_init(&daemon->watchdog, watchdog_cb, watchdog_s, watchdog_s);
	daemon->watchdog.data = daemon;
	if (watchdog_s > 0)
		ev_timer_start(loop, &daemon->watchdog);
}

static int
start_workers(struct daemon *daemon)
{
	int error = 0;
	for (unsigned i = 0; !error && i < daemon->worker_count; i++)
		error = worker_start(daemon->workers[i]);
	return error;
}

static int
start_target_writer(struct daemon *daemon)
{
	return target_store_start(daemon->targets);
}

static int
start_remote_write(struct daemon *daemon)
{
	return remote_write_start(daemon->remote_write);
}

/* Signals are the control thread's: the others start with all of them blocked. */
static bool
start_threads(struct daemon *daemon, int (*start)(struct daemon *daemon))
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	int error = start(daemon);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error)
		log_error("cannot start a thread", LOG_ERRNO(error));
	return error == 0;
}

/* Linux has a niceness for each thread; those made from here on have this one's, too. */
static void
step_behind_workers(void)
{
	errno = 0;
	int niceness = getpriority(PRIO_PROCESS, 0);
	if (errno || setpriority(PRIO_PROCESS, 0, niceness + CONTROL_NICENESS) != 0)
		log_warn("cannot put the control thread behind those that receive",
			 LOG_ERRNO(errno));
}

static bool
start(struct daemon *daemon)
{
	const struct options *options = daemon->options;
	daemon->loop = ev_loop_new(EVFLAG_AUTO | EVFLAG_NOENV);
	CHECK(daemon->loop);
	daemon->streams = stream_limit_new(connection_limit(options));
	daemon->workers = xcalloc(daemon->worker_count, sizeof(struct worker *));
	for (unsigned i = 0; i < daemon->worker_count; i++) {
		daemon->workers[i] = worker_new(daemon->bridge, daemon->streams, options, i);
		worker_secure_tcp(daemon->workers[i], daemon->statsd_file.tls);
	}
	if (!add_relays(daemon) ||
	    !inherited_take(&daemon->inherited, options->web_systemd_socket) ||
	    !listeners_open(&daemon->listeners, options, &daemon->inherited, daemon->workers,
			    daemon->worker_count))
		return false;
	start_watchers(daemon);
	if (!open_targets(daemon) || !open_http(daemon) || !start_threads(daemon, start_workers))
		return false;
	step_behind_workers();
	if (!start_threads(daemon, start_target_writer))
		return false;
	daemon->counters.last_reload_ok = true;
	daemon->counters.last_success = clock_wall();
	daemon->remote_write = remote_write_new(daemon->loop, options, &daemon->sources,
						daemon->bridge->registry);
	daemon->sources = (struct telemetry_sources){
	    .bridge = daemon->bridge,
	    .options = options,
	    .workers = daemon->workers,
	    .worker_count = daemon->worker_count,
	    .listeners = &daemon->listeners,
	    .streams = daemon->streams,
	    .http = http_server_stats(daemon->http),
	    .secure_files = {&daemon->web_file, &daemon->statsd_file},
	    .control = &daemon->counters,
	    .targets = &daemon->target_api,
	    .remote_write = daemon->remote_write,
	};
	return start_threads(daemon, start_remote_write);
}

/* ---- End. ---- */

static void
stop_workers(struct daemon *daemon)
{
	int64_t deadline_us = clock_mono().us + DRAIN_US;
	for (unsigned i = 0; i < daemon->worker_count; i++)
		worker_stop(daemon->workers[i], deadline_us);
	for (unsigned i = 0; i < daemon->worker_count; i++)
		worker_join(daemon->workers[i]);
	/* Paths before sockets, so that a successor's files are never taken for ours. */
	listeners_close(&daemon->listeners);
	for (unsigned i = 0; i < daemon->worker_count; i++)
		worker_close(daemon->workers[i]);
}

/* Answers that are under way are finished, for a while. */
static void
finish_http(struct daemon *daemon)
{
	http_server_quiesce(daemon->http);
	ev_timer_set(&daemon->grace, 0, 0.02);
	ev_set_cb(&daemon->grace, second_cb);
	ev_timer_again(daemon->loop, &daemon->grace);
	while (http_server_busy(daemon->http) && clock_mono().us < daemon->finish_us)
		ev_run(daemon->loop, EVRUN_ONCE);
}

static void
daemon_fini(struct daemon *daemon)
{
	http_server_free(&daemon->http);
	scrape_queue_fini(&daemon->scrapes);
	remote_write_free(&daemon->remote_write, daemon->finish_us);
	target_store_free(&daemon->targets);
	for (unsigned i = 0; daemon->workers && i < daemon->worker_count; i++)
		worker_free(&daemon->workers[i]);
	free(daemon->workers);
	listeners_fini(&daemon->listeners);
	inherited_fini(&daemon->inherited);
	notify_fini(&daemon->notify);
	secure_file_fini(&daemon->web_file);
	secure_file_fini(&daemon->statsd_file);
	stream_limit_free(&daemon->streams);
	bridge_free(&daemon->bridge);
	telemetry_names_fini(&daemon->names);
	if (daemon->loop)
		ev_loop_destroy(daemon->loop);
}

/* The state file itself is read when it is needed; --check-config wants to know, too. */
static bool
check_targets(const struct options *options)
{
	struct diag diag = DIAG_INIT;
	bool ok = target_api_check(options, &diag);
	if (*options->sd_state_file && options->check_config) {
		struct target_set *set = target_state_load(options->sd_state_file, &diag);
		ok &= set != NULL;
		target_set_unref(&set);
	}
	diag_log("scrape targets", &diag);
	diag_fini(&diag);
	return ok;
}

static void
warn_of_mode(const char *flag, int mode, const char *text)
{
	if (mode < 0)
		log_warn("a socket mode is not an octal number; the umask decides",
			 LOG_TEXT("flag", flag), LOG_TEXT("value", text));
}

static void
warn_of_idle_flags(const struct options *options)
{
	for (size_t i = 0; i < options->idle_flag_count; i++) {
		const struct idle_flag *idle = &options->idle_flags[i];
		struct buf flag = BUF_INIT, needs = BUF_INIT;
		buf_printf(&flag, "--%s", idle->name);
		buf_printf(&needs, "--%s", idle->needs[0]);
		if (idle->needs[1])
			buf_printf(&needs, " or --%s", idle->needs[1]);
		log_warn("a flag has no effect without another one",
			 LOG_TEXT("flag", buf_text(&flag)), LOG_TEXT("needs", buf_text(&needs)));
		buf_fini(&flag);
		buf_fini(&needs);
	}
}

static bool
check_remote_write(const struct options *options)
{
	struct diag diag = DIAG_INIT;
	bool ok = remote_write_check(options, &diag);
	diag_log("remote write", &diag);
	diag_fini(&diag);
	return ok;
}

int
daemon_run(const struct options *options)
{
	struct daemon daemon = {.options = options};
	hash_init();
	signal(SIGPIPE, SIG_IGN);
	signal(SIGUSR1, SIG_IGN);
	signal(SIGUSR2, SIG_IGN);
	raise_descriptor_limit();
	if (options->queue_flags_given)
		log_info("flags of event queue, packet queue and mapper cache have no effect: "
			 "there are none");
	if (options->null_receiver)
		log_warn("--debug.null-receiver: what is received is discarded");
	warn_of_mode("--statsd.unixsocket-mode", options->unixsocket_mode,
		     options->unixsocket_mode_text);
	warn_of_mode("--web.unixsocket-mode", options->web_unixsocket_mode,
		     options->web_unixsocket_mode_text);
	warn_of_idle_flags(options);
	bool ok = select_scanner(options->scanner) && listeners_check(options) &&
		  check_targets(options) && check_remote_write(options) &&
		  open_secure_files(&daemon) && make_bridge(&daemon) &&
		  (dump_graph(&daemon) || !options->check_config);
	if (ok && !options->check_config) {
		ok = start(&daemon);
		if (ok) {
			tell_ready(&daemon, "");
			ev_run(daemon.loop, 0);
			notify_stopping(&daemon.notify);
			stop_workers(&daemon);
			daemon.finish_us = clock_mono().us + FINISH_US;
			remote_write_finish(daemon.remote_write, daemon.finish_us);
			finish_http(&daemon);
		} else {
			stop_workers(&daemon);
		}
	}
	daemon_fini(&daemon);
	return ok ? 0 : 1;
}
