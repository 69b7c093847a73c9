/*
 * How libmicrohttpd runs here: in its external epoll mode, without threads. It has two daemons, whose
 * epoll descriptors are a watcher of the loop each; MHD_run() does what is ready and
 * MHD_get_timeout() says whether one wants to run again unasked. Accepting is done here and not there,
 * because there neither refused connections can be counted nor a shortage of descriptors be waited
 * out.
 */
#include "http/server.h"

#include "base/alloc.h"
#include "http/connection.h"
#include "http/handshake.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Bytes of a connection's memory, used as far as needed. It is the largest chunk of a streamed
 * answer, and a client that is faster than the answer is woken up for each: with 64 KiB that was a
 * sixth of a large scrape's cost. But for each request libmicrohttpd zeroes half of it, though it was
 * never touched, and the kernel must first provide it: with 128 KiB a third of a crowd's cost, with
 * up to 32 KiB, which are of the heap, next to nothing. */
static const size_t connection_memory[DAEMON_SIZES] = {
    [DAEMON_FEW] = 256 << 10,
    [DAEMON_CROWD] = 32 << 10,
};

/* Receive buffer of a connection's socket. What waits there is taken into the connection's memory
 * in one piece, which strangers must not make large. The kernel doubles it. */
#define RECEIVE_BYTES (16 << 10)

/* Connections accepted in one go, so that a flood of them does not hold up the loop. */
#define ACCEPTS_AT_ONCE 128

/* Runs in one go while there is more to do: an answer goes out chunk by chunk, a run for each, and
 * who was let in must not wait for all newcomers between them. */
#define RUNS_AT_ONCE 8

/* How long accepting rests when descriptors or memory have run out. */
#define ACCEPT_PAUSE_S 0.2

static void write_log(void *cls, const char *format, va_list args) PRINTF_LIKE(2, 0);

static void
write_log(void *cls, const char *format, va_list args)
{
	(void)cls;
	if (!log_enabled(LOG_LEVEL_DEBUG))
		return;
	char text[256];
	int len = vsnprintf(text, sizeof(text), format, args);
	if (len < 0)
		return;
	text[strcspn(text, "\n")] = '\0';
	log_debug("libmicrohttpd", LOG_TEXT("message", text));
}

/* @return whether a daemon has something to do. None waits for a time: deadlines are kept here. */
static bool
wants_run(const struct http_server *server)
{
	unsigned long long ms;
	for (int i = 0; i < DAEMON_SIZES; i++) {
		if (MHD_get_timeout(server->daemons[i], &ms) == MHD_YES)
			return true;
	}
	return false;
}

void
server_run_soon(struct http_server *server)
{
	if (ev_is_active(&server->again))
		return;
	ev_timer_set(&server->again, 0., 0.);
	ev_timer_start(server->loop, &server->again);
}

void
server_run(struct http_server *server)
{
	uint64_t end = server->runs + RUNS_AT_ONCE;
	/* Deadlines that start in here count from now, not from when the loop woke up. */
	ev_now_update(server->loop);
	do {
		ev_timer_stop(server->loop, &server->again);
		for (int i = 0; i < DAEMON_SIZES; i++)
			CHECK(MHD_run(server->daemons[i]) == MHD_YES);
		server->runs++;
		handshake_settle(server);
		if (!wants_run(server))
			return;
	} while (server->runs < end);
	server_run_soon(server);
}

static void
on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
	(void)loop, (void)events;
	server_run(watcher->data);
}

static void
on_again(struct ev_loop *loop, ev_timer *watcher, int events)
{
	(void)loop, (void)events;
	server_run(watcher->data);
}

static void
set_accepting(struct http_server *server, bool accepting)
{
	struct listener *listener;
	LIST_FOREACH (listener, &server->listeners, link) {
		if (accepting)
			ev_io_start(server->loop, &listener->acceptable);
		else
			ev_io_stop(server->loop, &listener->acceptable);
	}
}

/* @return whether to go on accepting */
static bool
accept_failed(struct http_server *server, int error)
{
	if (error == EAGAIN || error == EINTR)
		return false;
	/* The client was gone before it was accepted, or its network was (accept(2)). */
	if (error != EMFILE && error != ENFILE && error != ENOBUFS && error != ENOMEM)
		return true;
	uint64_t held_back;
	if (log_gate_open(&server->accept_gate, &held_back))
		log_warn("http cannot accept connections", LOG_ERRNO(error),
			 LOG_NUM("held_back", held_back));
	set_accepting(server, false);
	ev_timer_set(&server->accept_again, ACCEPT_PAUSE_S, 0.);
	ev_timer_start(server->loop, &server->accept_again);
	return false;
}

static void
count_refused(struct http_server *server)
{
	server->stats.refused_connections++;
	uint64_t held_back;
	if (log_gate_open(&server->refused_gate, &held_back))
		log_warn("http connection refused", LOG_NUM("open", server->stats.open),
			 LOG_NUM("held_back", held_back));
}

/* @fd consumed */
static void
add_connection(struct http_server *server, int fd, const struct sockaddr *from, socklen_t len)
{
	if (room_make(server, address_group_of(fd, from))) {
		connection_new(server, fd, from, len);
		return;
	}
	close(fd);
	count_refused(server);
}

static void
on_acceptable(struct ev_loop *loop, ev_io *watcher, int events)
{
	(void)events;
	struct listener *listener = watcher->data;
	struct http_server *server = listener->server;
	ev_now_update(loop);
	for (int i = 0; i < ACCEPTS_AT_ONCE; i++) {
		struct sockaddr_storage from;
		socklen_t from_len = sizeof(from);
		int fd = accept4(watcher->fd, (struct sockaddr *)&from, &from_len,
				 SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0) {
			if (accept_failed(server, errno))
				continue;
			break;
		}
		add_connection(server, fd, (struct sockaddr *)&from, from_len);
		/* What made room was another one's end; the listener is gone then. */
		if (server->is_quiesced)
			return;
	}
	/* Who has left is looked for once between two runs, see room_make(). */
	server_run_soon(server);
}

static void
on_accept_again(struct ev_loop *loop, ev_timer *watcher, int events)
{
	(void)loop, (void)events;
	set_accepting(watcher->data, true);
}

static struct MHD_Daemon *
start_daemon(struct http_server *server, size_t memory)
{
	/* Connections are counted before it knows them. */
	unsigned flags =
	    MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_USE_ERROR_LOG | MHD_ALLOW_SUSPEND_RESUME;
	return MHD_start_daemon(
	    flags | (server->tls ? MHD_USE_TLS : 0), 0, NULL, NULL, request_handle, server,
	    MHD_OPTION_EXTERNAL_LOGGER, write_log, NULL, MHD_OPTION_NOTIFY_CONNECTION,
	    connection_notify, server, MHD_OPTION_URI_LOG_CALLBACK, request_line, server,
	    MHD_OPTION_NOTIFY_COMPLETED, request_completed, server, MHD_OPTION_CONNECTION_LIMIT,
	    UINT_MAX, MHD_OPTION_CONNECTION_MEMORY_LIMIT, memory,
	    server->tls ? MHD_OPTION_HTTPS_CERT_CALLBACK : MHD_OPTION_END, tls_refusal(),
	    MHD_OPTION_END);
}

/* Connections must have let go of them. */
static void
stop_daemons(struct http_server *server)
{
	for (int i = 0; i < DAEMON_SIZES; i++) {
		if (!server->daemons[i])
			continue;
		ev_io_stop(server->loop, &server->readable[i]);
		MHD_stop_daemon(server->daemons[i]);
	}
}

static bool
start_daemons(struct http_server *server)
{
	for (int i = 0; i < DAEMON_SIZES; i++) {
		struct MHD_Daemon *daemon = start_daemon(server, connection_memory[i]);
		if (!daemon) {
			stop_daemons(server);
			return false;
		}
		server->daemons[i] = daemon;
		ev_io_init(&server->readable[i], on_readable,
			   MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd, EV_READ);
		server->readable[i].data = server;
		ev_io_start(server->loop, &server->readable[i]);
	}
	return true;
}

static void
init_timers(struct http_server *server)
{
	ev_timer_init(&server->again, on_again, 0., 0.);
	ev_timer_init(&server->accept_again, on_accept_again, 0., 0.);
	server->again.data = server;
	server->accept_again.data = server;
}

struct http_server *
http_server_new(struct ev_loop *loop, const struct http_route *routes, void *ctx,
		const struct http_limits *limits, struct tls_source *tls)
{
	CHECK(limits->connections && limits->connections_per_address);
	CHECK(limits->handshake_us > 0 && limits->request_us > 0 && limits->idle_us > 0);
	struct http_server *server = xcalloc(1, sizeof(*server));
	server->loop = loop;
	server->routes = routes;
	server->ctx = ctx;
	server->limits = *limits;
	server->tls = tls;
	server->stayed_run = UINT64_MAX;
	LIST_INIT(&server->connections);
	LIST_INIT(&server->listeners);
	handshake_init(server);
	if (!connection_watch_ends(server)) {
		log_error("epoll descriptor", LOG_ERRNO(errno));
		handshake_fini(server);
		free(server);
		return NULL;
	}
	server->auth = auth_new(loop, &server->stats);
	init_timers(server);
	if (!start_daemons(server)) {
		log_error("libmicrohttpd did not start");
		connection_unwatch_ends(server);
		handshake_fini(server);
		auth_free(&server->auth);
		free(server);
		return NULL;
	}
	return server;
}

void
http_server_listen(struct http_server *server, int fd)
{
	struct listener *listener = xcalloc(1, sizeof(*listener));
	listener->server = server;
	int bytes = RECEIVE_BYTES;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes)) != 0)
		log_debug("http receive buffer is as large as it was", LOG_ERRNO(errno));
	ev_io_init(&listener->acceptable, on_acceptable, fd, EV_READ);
	listener->acceptable.data = listener;
	LIST_INSERT_HEAD(&server->listeners, listener, link);
	ev_io_start(server->loop, &listener->acceptable);
}

static void
close_listeners(struct http_server *server)
{
	while (!LIST_EMPTY(&server->listeners)) {
		struct listener *listener = LIST_FIRST(&server->listeners);
		LIST_REMOVE(listener, link);
		ev_io_stop(server->loop, &listener->acceptable);
		close(listener->acceptable.fd);
		free(listener);
	}
}

void
http_server_set_users(struct http_server *server, const struct http_user *users, size_t count)
{
	auth_set_users(server->auth, users, count);
}

static void
free_headers(struct http_server *server)
{
	for (size_t i = 0; i < server->header_count; i++) {
		free(server->headers[i].name);
		free(server->headers[i].value);
	}
	free(server->headers);
}

void
http_server_set_headers(struct http_server *server, const struct http_header *headers, size_t count)
{
	free_headers(server);
	server->headers = xcalloc(count + 1, sizeof(*server->headers));
	server->header_count = count;
	for (size_t i = 0; i < count; i++)
		server->headers[i] =
		    (struct http_header){xstrdup(headers[i].name), xstrdup(headers[i].value)};
}

void
http_server_quiesce(struct http_server *server)
{
	if (server->is_quiesced)
		return;
	server->is_quiesced = true;
	ev_timer_stop(server->loop, &server->accept_again);
	close_listeners(server);
	struct connection *connection, *next;
	for (connection = LIST_FIRST(&server->connections); connection; connection = next) {
		next = LIST_NEXT(connection, link);
		if (!connection->is_busy)
			connection_look(connection);
		if (!connection->is_busy)
			connection_shutdown(connection);
	}
}

unsigned
http_server_busy(const struct http_server *server)
{
	unsigned busy = 0;
	const struct connection *connection;
	LIST_FOREACH (connection, &server->connections, link)
		busy += connection->is_busy;
	return busy;
}

/* libmicrohttpd stops only when no connection is suspended, and closes those that it knows. */
static void
let_all_go(struct http_server *server)
{
	struct connection *connection, *next;
	for (connection = LIST_FIRST(&server->connections); connection; connection = next) {
		next = LIST_NEXT(connection, link);
		if (connection->request.is_suspended)
			connection_resume(connection);
		if (!connection->mhd)
			connection_shutdown(connection);
		else if (connection->handshake == HANDSHAKE_HELD)
			handshake_refuse(connection);
	}
}

void
http_server_free(struct http_server **server_ptr)
{
	struct http_server *server = *server_ptr;
	if (!server)
		return;
	*server_ptr = NULL;
	http_server_quiesce(server);
	let_all_go(server);
	ev_timer_stop(server->loop, &server->again);
	stop_daemons(server);
	CHECK(LIST_EMPTY(&server->connections));
	handshake_fini(server);
	connection_unwatch_ends(server);
	free_headers(server);
	auth_free(&server->auth);
	free(server);
}

const struct http_stats *
http_server_stats(const struct http_server *server)
{
	return &server->stats;
}
