/*
 * How deadlines are kept: libmicrohttpd tells of a request only when its first line is complete, so
 * until a request is answered the socket is also watched by the loop itself, which sees the first
 * byte without taking it. It sees the client's end as well, which libmicrohttpd misses where the
 * end came together with the last bytes (its epoll is edge-triggered, and a short read rests its
 * case). While an answer is put off, libmicrohttpd looks at nothing, and the client owes nothing
 * but may leave. What it sends behind its request waits for its turn in the socket and would hide
 * its end, and TLS always sends some last words: so for that time an epoll of the server's own asks
 * for the end alone. A connection that is over is shut down; libmicrohttpd then finds it hung up
 * and closes it in its ordinary way.
 */
#include "http/connection.h"

#include "base/alloc.h"
#include "http/handshake.h"

#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Bytes that a request line and headers may have. Prometheus sends under 1 KiB, browsers with
 * cookies up to 16 KiB. */
#define HEAD_BYTES (64 << 10)

/* How often counts that do not belong together are read again. */
#define LOOKS_MAX 16

static void
arm(struct connection *connection, int64_t limit_us)
{
	struct ev_loop *loop = connection->server->loop;
	ev_timer_stop(loop, &connection->deadline);
	ev_timer_set(&connection->deadline, (double)limit_us / 1e6, 0.);
	ev_timer_start(loop, &connection->deadline);
}

void
connection_begin(struct connection *connection)
{
	if (connection->is_busy)
		return;
	connection->is_busy = true;
	connection->begun_run = connection->server->runs;
	/* A handshake has its own deadline, which bytes do not put off. */
	if (connection->handshake == HANDSHAKE_OVER)
		arm(connection, connection->server->limits.request_us);
}

void
connection_be_established(struct connection *connection)
{
	connection->handshake = HANDSHAKE_OVER;
	/* In the same run the request may have been answered already. */
	if (connection->is_busy)
		arm(connection, connection->server->limits.request_us);
}

/*
 * The kernel's two counts belong together only when nothing arrived while they were read.
 *
 * @return bytes that libmicrohttpd has taken from the socket, ever; 0 when the kernel does not tell
 */
static uint64_t
bytes_taken(const struct connection *connection)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);
	int before, waiting = -1;
	for (int i = 0; i < LOOKS_MAX; i++) {
		before = waiting;
		if (ioctl(connection->fd, FIONREAD, &waiting) != 0)
			return 0;
		if (waiting == before)
			break;
		if (getsockopt(connection->fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0)
			return 0;
	}
	return info.tcpi_bytes_received - (uint64_t)waiting;
}

void
connection_moves(struct connection *connection)
{
	connection->waiting_since = ev_now(connection->server->loop);
}

void
connection_answer(struct connection *connection)
{
	connection_moves(connection);
	ev_io_stop(connection->server->loop, &connection->arrival);
}

void
connection_end(struct connection *connection)
{
	struct http_server *server = connection->server;
	connection->is_busy = false;
	connection->is_ending = false;
	connection_moves(connection);
	connection->exchanges++;
	connection->taken_before = bytes_taken(connection);
	ev_io_start(server->loop, &connection->arrival);
	arm(connection, server->limits.idle_us);
	if (server->is_quiesced)
		connection_shutdown(connection);
}

void
connection_suspend(struct connection *connection)
{
	struct http_server *server = connection->server;
	struct epoll_event end = {.events = EPOLLRDHUP | EPOLLONESHOT, .data.ptr = connection};
	ev_io_stop(server->loop, &connection->arrival);
	/* Without it the deadline is the end. */
	if (epoll_ctl(server->ends.fd, EPOLL_CTL_ADD, connection->fd, &end) != 0)
		log_debug("http client's end is not watched for", LOG_ERRNO(errno));
	connection->request.is_suspended = true;
	MHD_suspend_connection(connection->request.mhd);
}

void
connection_resume(struct connection *connection)
{
	struct http_server *server = connection->server;
	/* Fails only where it was not added. */
	if (epoll_ctl(server->ends.fd, EPOLL_CTL_DEL, connection->fd, NULL) != 0)
		log_debug("http client's end was not watched for", LOG_ERRNO(errno));
	connection_moves(connection);
	connection->begun_run = server->runs;
	connection->request.is_suspended = false;
	/* Its body is still to come. */
	if (!connection->request.is_admitted)
		ev_io_start(server->loop, &connection->arrival);
	MHD_resume_connection(connection->request.mhd);
	server_run_soon(server);
}

static void
on_end(struct ev_loop *loop, ev_io *watcher, int events)
{
	(void)loop, (void)events;
	struct epoll_event end;
	/* One at a time: what is told of one may resume others. */
	while (epoll_wait(watcher->fd, &end, 1, 0) == 1) {
		struct connection *connection = end.data.ptr;
		request_note_left(&connection->request);
	}
}

bool
connection_watch_ends(struct http_server *server)
{
	int fd = epoll_create1(EPOLL_CLOEXEC);
	if (fd < 0)
		return false;
	ev_io_init(&server->ends, on_end, fd, EV_READ);
	ev_io_start(server->loop, &server->ends);
	return true;
}

void
connection_unwatch_ends(struct http_server *server)
{
	ev_io_stop(server->loop, &server->ends);
	close(server->ends.fd);
}

/* @return what waits in the socket: 1 = bytes, 0 = the client's end, -1 = nothing yet */
static int
peek(const struct connection *connection)
{
	char byte;
	ssize_t n = recv(connection->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
	if (n >= 0)
		return (int)n;
	return errno == EAGAIN || errno == EINTR ? -1 : 0;
}

void
connection_look(struct connection *connection)
{
	if (peek(connection) > 0)
		connection_begin(connection);
}

bool
connection_has_left(const struct connection *connection)
{
	struct pollfd end = {.fd = connection->fd, .events = POLLRDHUP};
	return poll(&end, 1, 0) == 1;
}

static void
connection_free(struct connection *connection)
{
	struct http_server *server = connection->server;
	if (connection->is_busy || connection->exchanges == 0)
		server->stats.incomplete++;
	server->stats.open--;
	handshake_end(connection);
	request_finish(&connection->request, false);
	ev_io_stop(server->loop, &connection->arrival);
	ev_timer_stop(server->loop, &connection->deadline);
	LIST_REMOVE(connection, link);
	tls_peer_end(&connection->tls);
	free(connection);
}

void
connection_shutdown(struct connection *connection)
{
	if (connection->tls_failure == TLS_FAILURE_BROKEN)
		connection->tls_failure = TLS_FAILURE_CROWD;
	if (!connection->mhd) {
		int fd = connection->fd;
		connection_free(connection);
		close(fd);
		return;
	}
	connection->is_shut = true;
	/* Fails only where the client hung up first, and then there is nothing left to do. */
	if (shutdown(connection->fd, SHUT_RDWR) != 0)
		log_debug("http shutdown failed", LOG_ERRNO(errno));
	if (connection->handshake == HANDSHAKE_HELD)
		handshake_refuse(connection);
	if (connection->request.is_suspended) {
		request_abandon(&connection->request);
		connection_resume(connection);
	}
}

void
connection_drop(struct connection *connection)
{
	struct linger drop = {.l_onoff = 1, .l_linger = 0};
	if (setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &drop, sizeof(drop)) != 0)
		log_debug("http linger failed", LOG_ERRNO(errno));
	connection_shutdown(connection);
}

static bool
is_head_too_long(const struct connection *connection)
{
	const struct http_request *request = &connection->request;
	return !(request->mhd && request->is_judged) &&
	       bytes_taken(connection) > connection->taken_before + HEAD_BYTES;
}

/*
 * Ends the connection with an answer in libmicrohttpd's place, which has nothing to send before a
 * request's headers are whole. With TLS there is only the end.
 */
static void
refuse_head(struct connection *connection, const char *status)
{
	char answer[128];
	int len = snprintf(answer, sizeof(answer),
			   "HTTP/1.1 %s\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", status);
	/* A client that does not read gets only the end, too. */
	if (!connection->server->tls &&
	    send(connection->fd, answer, (size_t)len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		log_debug("http refusal not sent", LOG_ERRNO(errno));
	connection_shutdown(connection);
}

void
connection_refuse_target(struct connection *connection)
{
	ev_io_stop(connection->server->loop, &connection->arrival);
	refuse_head(connection, "414 URI Too Long");
}

/*
 * Has the daemon read what waits. GnuTLS stops behind a message of its own, such as a change of
 * keys, and says that there is nothing; the daemon then waits for its epoll to tell of something
 * new, while the rest of it waits in the socket. One that was suspended is read in any case.
 */
static void
prod(struct connection *connection)
{
	if (connection->prodded_run == connection->server->runs)
		return;
	connection->prodded_run = connection->server->runs;
	MHD_suspend_connection(connection->mhd);
	MHD_resume_connection(connection->mhd);
	server_run_soon(connection->server);
}

static void
on_arrival(struct ev_loop *loop, ev_io *watcher, int events)
{
	(void)events;
	struct connection *connection = watcher->data;
	int found = peek(connection);
	if (connection->handshake == HANDSHAKE_HELD) {
		handshake_arrival(connection, found);
		return;
	}
	if (found > 0)
		connection_begin(connection);
	/* With its bytes there is something to do for libmicrohttpd. */
	if (!connection->mhd && (found <= 0 || !connection_enter(connection))) {
		if (found == 0)
			connection_shutdown(connection);
		return;
	}
	if (found > 0 && is_head_too_long(connection)) {
		ev_io_stop(loop, watcher);
		refuse_head(connection, connection->request.mhd
					    ? "431 Request Header Fields Too Large"
					    : "414 URI Too Long");
	} else if (found > 0 && connection->server->tls) {
		prod(connection);
	}
	if (found != 0)
		return;
	/* The daemon may hold a whole request that it has yet to answer: it runs once more. */
	if (!connection->is_ending) {
		connection->is_ending = true;
		connection->ending_run = connection->server->runs;
		server_run_soon(connection->server);
	}
	if (connection->ending_run == connection->server->runs)
		return;
	ev_io_stop(loop, watcher);
	connection_shutdown(connection);
}

static void
on_deadline(struct ev_loop *loop, ev_timer *watcher, int events)
{
	(void)loop, (void)events;
	struct connection *connection = watcher->data;
	if (connection->is_busy || connection->exchanges == 0) {
		connection->server->stats.deadlines++;
		connection->tls_failure = TLS_FAILURE_LATE;
		connection_drop(connection);
	} else
		connection_shutdown(connection);
}

struct connection *
connection_of(struct MHD_Connection *mhd)
{
	const union MHD_ConnectionInfo *info =
	    MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	return info ? info->socket_context : NULL;
}

void
connection_new(struct http_server *server, int fd, const struct sockaddr *address, socklen_t len)
{
	struct connection *connection = xcalloc(1, sizeof(*connection));
	connection->server = server;
	connection->fd = fd;
	CHECK(len <= sizeof(connection->address));
	memcpy(&connection->address, address, len);
	connection->address_len = len;
	connection->client = address_group_of(fd, address);
	connection_moves(connection);
	LIST_INSERT_HEAD(&server->connections, connection, link);
	server->stats.connections++;
	server->stats.open++;
	if (server->tls)
		handshake_begin(connection);
	ev_timer_init(&connection->deadline, on_deadline, 0., 0.);
	connection->deadline.data = connection;
	ev_io_init(&connection->arrival, on_arrival, fd, EV_READ);
	connection->arrival.data = connection;
	/* Before the daemon runs and takes the bytes away. */
	ev_set_priority(&connection->arrival, EV_MAXPRI);
	ev_io_start(server->loop, &connection->arrival);
	arm(connection, server->tls ? server->limits.handshake_us : server->limits.request_us);
}

bool
connection_enter(struct connection *connection)
{
	struct http_server *server = connection->server;
	server->entering = connection;
	/* It closes the descriptor where it fails. */
	ev_io_stop(server->loop, &connection->arrival);
	connection->begun_run = server->runs;
	enum daemon_size size = server->stats.open > CONNECTIONS_FEW ? DAEMON_CROWD : DAEMON_FEW;
	bool is_in = MHD_add_connection(server->daemons[size], connection->fd,
					(struct sockaddr *)&connection->address,
					connection->address_len) == MHD_YES;
	if (is_in)
		ev_io_start(server->loop, &connection->arrival);
	else if (server->entering)
		connection_free(connection);
	server->entering = NULL;
	return is_in;
}

void
connection_notify(void *cls, struct MHD_Connection *mhd, void **socket_context,
		  enum MHD_ConnectionNotificationCode code)
{
	struct http_server *server = cls;
	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		struct connection *connection = server->entering;
		server->entering = NULL;
		connection->mhd = mhd;
		*socket_context = connection;
		if (server->tls)
			handshake_enter(connection);
		return;
	}
	connection_free(*socket_context);
	*socket_context = NULL;
}
