/*
 * A connection lives in its pool's list from accept to close, and then in `parked` until the loop
 * is about to wait, so that no callback on the stack holds freed memory. Connections are read
 * before new ones are accepted or idle ones closed, which is what the watchers' priorities are for.
 */
#include "net/stream.h"

#include "base/address_group.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "net/framer.h"
#include "net/limit.h"
#include "net/turn.h"
#include "tls/stream.h"

#include <errno.h>
#include <ev.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* Large enough to make the cost of a call vanish, small enough for a core's cache. */
#define READ_SIZE (256 * 1024)

/* Reads of one connection per wake-up, so that a busy peer does not starve the others. */
#define READS_PER_WAKE_UP 4

/* Reads of a connection that is closed to make room: more than a socket holds by default. */
#define LAST_READS 32

#define ACCEPTS_PER_WAKE_UP 64

/* From accepting a connection to the end of its handshake. */
#define HANDSHAKE_S 10.

/* Out of descriptors or memory: how long others have time to give some back. */
#define ACCEPT_PAUSE_S 1.

/* A peer that is silent this long is asked whether it lives, and given up four minutes after. */
#define KEEPALIVE_IDLE_S 120
#define KEEPALIVE_INTERVAL_S 60
#define KEEPALIVE_PROBES 4

/* Most that wait for their turn to shake hands: as many agents may start anew at once. */
#define WAITING_MAX 1024

/* Who has not shaken hands is as good as idle, and for longer than anybody who has. */
#define STRANGER_IDLE_US (INT64_C(1) << 50)

/* What a connection has besides where its listener is secured. */
struct secured {
	struct tls_source *source; /* borrowed */
	struct tls_stream *stream; /* owned; NULL until its turn has come */
	struct tls_guest guest;
	ev_timer deadline;        /* of the handshake; its data is the connection */
	enum tls_failure failure; /* what a handshake that ends now is counted as */
};

struct connection {
	ev_io readable;
	struct stream_pool *pool;
	struct limit_slot *slot;
	enum net_transport transport;
	struct framer framer;
	struct secured *secured; /* owned; NULL = no TLS */
	struct connection *next, *previous;
	bool is_put_off; /* in the pool's queue */
	struct connection *next_put_off;
};

struct stream_pool {
	struct ev_loop *loop;
	struct stream_limit *limit;
	struct net_sink *sink;
	struct limit_member member;
	ev_async woken; /* by the limit, from any thread */
	ev_prepare before_waiting;
	bool is_waiting; /* for room: no listener accepts */
	struct stream_listener *listeners;
	struct connection *connections;
	struct connection *parked; /* closed, to be freed */
	/* Readable when the time of an iteration was over, longest waiting first: the loop reports
	 * sockets in the same order each time, so the last ones would never be read. */
	struct connection *put_off, **put_off_end;
	ev_check after_waiting;          /* active while any is put off */
	struct tls_admission *admission; /* owned; NULL while no listener is secured */
	ev_timer turn;                   /* when the next one may shake hands */
	char *bytes;                     /* READ_SIZE; owned */
};

struct stream_listener {
	ev_io acceptable;
	ev_timer pause;
	struct stream_pool *pool;
	enum net_transport transport;
	struct tls_source *tls; /* NULL = none */
	bool owns_fd;
	bool is_alive;
	struct stream_listener *next;
};

enum read_outcome {
	READ_NOTHING, /* nothing there */
	READ_SOME,    /* all there was */
	READ_FULL,    /* there may be more */
	READ_CLOSED,  /* the connection is parked */
};

static struct net_counters *
counters_of(const struct connection *connection)
{
	return &connection->pool->sink->counters[connection->transport];
}

static void
link_connection(struct connection *connection)
{
	struct stream_pool *pool = connection->pool;
	connection->next = pool->connections;
	if (connection->next)
		connection->next->previous = connection;
	pool->connections = connection;
}

static void
unlink_connection(struct connection *connection)
{
	if (connection->next)
		connection->next->previous = connection->previous;
	if (connection->previous)
		connection->previous->next = connection->next;
	else
		connection->pool->connections = connection->next;
}

static void
free_parked(struct stream_pool *pool)
{
	while (pool->parked) {
		struct connection *connection = pool->parked;
		pool->parked = connection->next;
		free(connection);
	}
}

static void
on_before_waiting(struct ev_loop *loop, ev_prepare *prepare, int events)
{
	(void)events;
	ev_prepare_stop(loop, prepare);
	free_parked(prepare->data);
}

static void
put_off(struct connection *connection)
{
	struct stream_pool *pool = connection->pool;
	if (connection->is_put_off)
		return;
	connection->is_put_off = true;
	connection->next_put_off = NULL;
	*pool->put_off_end = connection;
	pool->put_off_end = &connection->next_put_off;
	ev_check_start(pool->loop, &pool->after_waiting);
}

static void
remove_put_off(struct connection *connection)
{
	struct stream_pool *pool = connection->pool;
	if (!connection->is_put_off)
		return;
	struct connection **link = &pool->put_off;
	while (*link != connection)
		link = &(*link)->next_put_off;
	*link = connection->next_put_off;
	if (!*link)
		pool->put_off_end = link;
	connection->is_put_off = false;
	if (!pool->put_off)
		ev_check_stop(pool->loop, &pool->after_waiting);
}

static bool
is_established(const struct secured *secured)
{
	return secured->stream && tls_stream_is_established(secured->stream);
}

/* @failure what a handshake that is not over is counted as when the connection is closed now */
static void
blame(struct connection *connection, enum tls_failure failure)
{
	if (connection->secured)
		connection->secured->failure = failure;
}

static void
free_secured(struct connection *connection)
{
	struct secured *secured = connection->secured;
	if (!secured)
		return;
	if (!is_established(secured))
		net_count(&counters_of(connection)->tls_failures[secured->failure], 1);
	tls_guest_leave(&secured->guest);
	ev_timer_stop(connection->pool->loop, &secured->deadline);
	tls_stream_free(&secured->stream);
	free(secured);
	connection->secured = NULL;
}

/* @orderly whether an unfinished last line is to be processed */
static void
close_connection(struct connection *connection, bool orderly)
{
	struct stream_pool *pool = connection->pool;
	free_secured(connection);
	framer_end(&connection->framer, connection->transport, pool->sink, orderly);
	framer_fini(&connection->framer);
	ev_io_stop(pool->loop, &connection->readable);
	close(connection->readable.fd);
	limit_release(pool->limit, connection->slot);
	remove_put_off(connection);
	unlink_connection(connection);
	connection->next = pool->parked;
	pool->parked = connection;
	ev_prepare_start(pool->loop, &pool->before_waiting);
}

static enum read_outcome
end_after_error(struct connection *connection, int error)
{
	static struct log_gate gate;
	uint64_t held_back;
	net_count(&counters_of(connection)->connection_errors, 1);
	if (log_enabled(LOG_LEVEL_DEBUG) && log_gate_open(&gate, &held_back))
		log_debug("connection lost",
			  LOG_TEXT("transport", net_transport_text(connection->transport)),
			  LOG_ERRNO(error), LOG_NUM("held_back", held_back));
	close_connection(connection, false);
	return READ_CLOSED;
}

static void
note_activity(const struct connection *connection)
{
	atomic_store_explicit(&connection->slot->last_us, clock_mono().us, memory_order_relaxed);
}

static ssize_t
read_plain(const struct connection *connection)
{
	ssize_t len;
	do
		len =
		    recv(connection->readable.fd, connection->pool->bytes, READ_SIZE, MSG_DONTWAIT);
	while (len < 0 && errno == EINTR);
	return len;
}

/* As read_plain(). The handshake may have to wait until the peer takes what it was sent. */
static ssize_t
read_secured(struct connection *connection)
{
	struct secured *secured = connection->secured;
	struct ev_loop *loop = connection->pool->loop;
	if (!secured->stream || secured->guest.is_waiting) {
		errno = EAGAIN;
		return -1;
	}
	ssize_t len = tls_stream_read(secured->stream, connection->pool->bytes, READ_SIZE);
	int error = errno, events = tls_stream_wants_write(secured->stream) ? EV_WRITE : EV_READ;
	if (is_established(secured) && ev_is_active(&secured->deadline)) {
		ev_timer_stop(loop, &secured->deadline);
		note_activity(connection);
	}
	if (!(connection->readable.events & events)) {
		ev_io_stop(loop, &connection->readable);
		ev_io_set(&connection->readable, connection->readable.fd, events);
		ev_io_start(loop, &connection->readable);
	}
	errno = error;
	return len;
}

static enum read_outcome
read_once(struct connection *connection)
{
	struct stream_pool *pool = connection->pool;
	ssize_t len = connection->secured ? read_secured(connection) : read_plain(connection);
	if (len < 0 && errno == EAGAIN)
		return READ_NOTHING;
	/* The peer, or who is between, has cut the connection: no error, but no orderly end of TLS.
	 */
	if (len < 0 && errno == EPIPE) {
		blame(connection, TLS_FAILURE_LEFT);
		close_connection(connection, false);
		return READ_CLOSED;
	}
	if (len < 0)
		return end_after_error(connection, errno);
	if (len == 0) {
		blame(connection, TLS_FAILURE_LEFT);
		close_connection(connection, true);
		return READ_CLOSED;
	}
	note_activity(connection);
	net_count(&counters_of(connection)->bytes, (uint64_t)len);
	if (!framer_take(&connection->framer, connection->transport, pool->sink, pool->bytes,
			 (size_t)len)) {
		close_connection(connection, false);
		return READ_CLOSED;
	}
	/* Once: the end is told without reading. */
	if (connection->secured && tls_stream_has_ended(connection->secured->stream))
		return read_once(connection);
	size_t full = connection->secured ? READ_SIZE - TLS_RECORD_MAX + 1 : READ_SIZE;
	return (size_t)len >= full ? READ_FULL : READ_SOME;
}

/* ---- Turns to shake hands. ---- */

static bool
may_go_on(const struct secured *secured)
{
	return secured->stream && tls_stream_is_answered(secured->stream);
}

static struct connection *
connection_of_guest(struct tls_guest *guest)
{
	struct secured *secured = (void *)((char *)guest - offsetof(struct secured, guest));
	return secured->deadline.data;
}

static void
schedule_turns(struct stream_pool *pool)
{
	int64_t wait_us = tls_admission_wait_us(pool->admission);
	ev_timer_stop(pool->loop, &pool->turn);
	if (wait_us < 0)
		return;
	ev_timer_set(&pool->turn, (double)wait_us / 1e6, 0.);
	ev_timer_start(pool->loop, &pool->turn);
}

/* Bytes are there, and it would cost something to look at them. */
static void
await_turn(struct connection *connection)
{
	struct stream_pool *pool = connection->pool;
	ev_io_stop(pool->loop, &connection->readable);
	tls_guest_wait(&connection->secured->guest);
	struct tls_guest *victim = tls_admission_take_victim(pool->admission);
	if (victim) {
		blame(connection_of_guest(victim), TLS_FAILURE_CROWD);
		close_connection(connection_of_guest(victim), false);
	}
	schedule_turns(pool);
}

/* Who has ended its side, perhaps behind bytes, can finish no handshake. */
static bool
has_left(const struct connection *connection)
{
	struct pollfd end = {.fd = connection->readable.fd, .events = POLLRDHUP};
	return poll(&end, 1, 0) == 1;
}

static void
take_turn(struct connection *connection)
{
	struct secured *secured = connection->secured;
	if (has_left(connection)) {
		blame(connection, TLS_FAILURE_LEFT);
		close_connection(connection, false);
		return;
	}
	if (!secured->stream)
		secured->stream =
		    tls_stream_new(secured->source, connection->readable.fd, &secured->guest);
	ev_io_start(connection->pool->loop, &connection->readable);
	(void)read_once(connection);
}

static void
on_turn(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)events;
	struct stream_pool *pool = timer->data;
	struct tls_guest *guest;
	do {
		guest = tls_admission_take(pool->admission);
		if (guest)
			take_turn(connection_of_guest(guest));
	} while (guest && !turn_is_over(loop));
	schedule_turns(pool);
}

static void
on_readable(struct ev_loop *loop, ev_io *io, int events)
{
	(void)events;
	struct connection *connection = io->data;
	struct net_sink *sink = connection->pool->sink;
	if (connection->secured && !may_go_on(connection->secured)) {
		await_turn(connection);
		return;
	}
	for (int i = 0; i < READS_PER_WAKE_UP; i++) {
		if (turn_is_over(loop)) {
			put_off(connection);
			break;
		}
		if (read_once(connection) != READ_FULL)
			return;
	}
	sink->is_behind = true;
}

/* Before all other callbacks of the iteration. At least one is read, whatever the time. */
static void
on_after_waiting(struct ev_loop *loop, ev_check *check, int events)
{
	(void)events;
	struct stream_pool *pool = check->data;
	do {
		struct connection *longest_waiting = pool->put_off;
		remove_put_off(longest_waiting);
		(void)read_once(longest_waiting);
	} while (pool->put_off && !turn_is_over(loop));
	pool->sink->is_behind |= pool->put_off != NULL;
}

static void
close_idle_connection(struct connection *connection)
{
	for (int i = 0; i < LAST_READS; i++) {
		enum read_outcome outcome = read_once(connection);
		if (outcome == READ_CLOSED)
			return;
		if (outcome == READ_NOTHING)
			break;
	}
	net_count(&counters_of(connection)->connections_closed_idle, 1);
	blame(connection, TLS_FAILURE_CROWD);
	close_connection(connection, true);
}

/* Dead peers of TCP go away; nothing else would ever tell. */
static void
keep_alive(int fd)
{
	const struct {
		int level, option, value;
	} options[] = {
	    {SOL_SOCKET, SO_KEEPALIVE, 1},
	    {IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S},
	    {IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S},
	    {IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES},
	};
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		static struct log_gate gate;
		uint64_t held_back;
		if (setsockopt(fd, options[i].level, options[i].option, &options[i].value,
			       sizeof(options[i].value)) == 0)
			continue;
		int error = errno;
		if (log_gate_open(&gate, &held_back))
			log_warn("cannot set keepalive", LOG_ERRNO(error),
				 LOG_NUM("held_back", held_back));
	}
}

static void
on_handshake_late(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop, (void)events;
	blame(timer->data, TLS_FAILURE_LATE);
	close_connection(timer->data, false);
}

static void
secure(struct connection *connection, struct tls_source *tls, int fd)
{
	struct stream_pool *pool = connection->pool;
	struct secured *secured = xcalloc(1, sizeof(*secured));
	struct sockaddr_storage peer = {.ss_family = AF_UNSPEC};
	socklen_t len = sizeof(peer);
	/* Of one that has gone already there is no address; it will not shake hands. */
	(void)getpeername(fd, (struct sockaddr *)&peer, &len);
	secured->source = tls;
	tls_guest_init(&secured->guest, pool->admission,
		       address_group_of(fd, (struct sockaddr *)&peer));
	atomic_store_explicit(&connection->slot->last_us, clock_mono().us - STRANGER_IDLE_US,
			      memory_order_relaxed);
	ev_timer_init(&secured->deadline, on_handshake_late, HANDSHAKE_S, 0.);
	secured->deadline.data = connection;
	ev_timer_start(pool->loop, &secured->deadline);
	connection->secured = secured;
}

static void
start_connection(struct stream_listener *listener, int fd, struct limit_slot *slot)
{
	struct stream_pool *pool = listener->pool;
	struct connection *connection = xcalloc(1, sizeof(*connection));
	connection->pool = pool;
	connection->slot = slot;
	connection->transport = listener->transport;
	slot->connection = connection;
	if (listener->transport == NET_TCP)
		keep_alive(fd);
	framer_init(&connection->framer,
		    listener->transport == NET_TCP ? FRAMER_LINES : FRAMER_UNDECIDED);
	link_connection(connection);
	if (listener->tls)
		secure(connection, listener->tls, fd);
	ev_io_init(&connection->readable, on_readable, fd, EV_READ);
	connection->readable.data = connection;
	ev_io_start(pool->loop, &connection->readable);
	net_count(&counters_of(connection)->connections, 1);
}

/* Starts or stops accepting, as the state of the listener and its pool wants it. */
static void
update_listener(struct stream_listener *listener)
{
	struct stream_pool *pool = listener->pool;
	if (listener->is_alive && !pool->is_waiting && !ev_is_active(&listener->pause))
		ev_io_start(pool->loop, &listener->acceptable);
	else
		ev_io_stop(pool->loop, &listener->acceptable);
}

static void
set_waiting(struct stream_pool *pool, bool is_waiting)
{
	pool->is_waiting = is_waiting;
	for (struct stream_listener *each = pool->listeners; each; each = each->next)
		update_listener(each);
}

static void
pause_accepting(struct stream_listener *listener, int error)
{
	static struct log_gate gate;
	uint64_t held_back;
	net_count(&listener->pool->sink->counters[listener->transport].accept_pauses, 1);
	if (log_gate_open(&gate, &held_back))
		log_warn("cannot accept, pausing",
			 LOG_TEXT("transport", net_transport_text(listener->transport)),
			 LOG_ERRNO(error), LOG_NUM("held_back", held_back));
	ev_timer_set(&listener->pause, ACCEPT_PAUSE_S, 0.);
	ev_timer_start(listener->pool->loop, &listener->pause);
	update_listener(listener);
}

static void
stop_for_good(struct stream_listener *listener, int error)
{
	log_error("cannot accept any more",
		  LOG_TEXT("transport", net_transport_text(listener->transport)), LOG_ERRNO(error));
	listener->is_alive = false;
	update_listener(listener);
}

/* @return whether to accept again at once */
static bool
survive(struct stream_listener *listener, int error)
{
	switch (error) {
	case EAGAIN:
		return false;
	case EINTR:
		return true;
	case EBADF:
	case ENOTSOCK:
	case EINVAL:
	case EFAULT:
	case EOPNOTSUPP:
		stop_for_good(listener, error);
		return false;
	/* Errors of the one connection that was to be accepted; it is gone. */
	case ECONNABORTED:
	case EPERM:
	case EPROTO:
	case ENOPROTOOPT:
	case ENETDOWN:
	case ENETUNREACH:
	case EHOSTDOWN:
	case EHOSTUNREACH:
	case ENONET:
	case ETIMEDOUT:
		net_count(&listener->pool->sink->counters[listener->transport].connection_errors,
			  1);
		return true;
	case EMFILE:
	case ENFILE:
		if (limit_free_descriptor(listener->pool->limit, listener->acceptable.fd))
			pause_accepting(listener, error);
		return false;
	default:
		pause_accepting(listener, error);
		return false;
	}
}

static void
accept_some(struct stream_listener *listener)
{
	struct stream_pool *pool = listener->pool;
	for (int i = 0; i < ACCEPTS_PER_WAKE_UP; i++) {
		struct limit_slot *slot = NULL;
		int fd = limit_accept(pool->limit, &pool->member, listener->acceptable.fd, &slot);
		if (fd == LIMIT_NO_ROOM) {
			set_waiting(pool, true);
			return;
		}
		if (fd >= 0)
			start_connection(listener, fd, slot);
		else if (!survive(listener, errno))
			return;
	}
}

static void
on_acceptable(struct ev_loop *loop, ev_io *io, int events)
{
	(void)loop, (void)events;
	accept_some(io->data);
}

static void
on_pause_over(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop, (void)events;
	update_listener(timer->data);
}

static void
on_woken(struct ev_loop *loop, ev_async *async, int events)
{
	(void)loop, (void)events;
	struct stream_pool *pool = async->data;
	struct limit_slot *victim = limit_find_victim(pool->limit, &pool->member);
	if (victim)
		close_idle_connection(victim->connection);
	set_waiting(pool, false);
}

static void
wake_pool(struct limit_member *member)
{
	struct stream_pool *pool = (void *)((char *)member - offsetof(struct stream_pool, member));
	ev_async_send(pool->loop, &pool->woken);
}

struct stream_pool *
stream_pool_new(struct ev_loop *loop, struct stream_limit *limit, struct net_sink *sink)
{
	struct stream_pool *pool = xcalloc(1, sizeof(*pool));
	pool->loop = loop;
	pool->limit = limit;
	pool->sink = sink;
	pool->bytes = xmalloc(READ_SIZE);
	ev_prepare_init(&pool->before_waiting, on_before_waiting);
	pool->before_waiting.data = pool;
	pool->put_off_end = &pool->put_off;
	ev_check_init(&pool->after_waiting, on_after_waiting);
	/* Behind what prepares the thread for its work, which has the highest one. */
	ev_set_priority(&pool->after_waiting, EV_MAXPRI - 1);
	pool->after_waiting.data = pool;
	ev_timer_init(&pool->turn, on_turn, 0., 0.);
	pool->turn.data = pool;
	ev_async_init(&pool->woken, on_woken);
	ev_set_priority(&pool->woken, -1);
	pool->woken.data = pool;
	ev_async_start(loop, &pool->woken);
	pool->member.wake = wake_pool;
	limit_join(limit, &pool->member);
	return pool;
}

/* @return whether anything came */
static bool
read_all_once(struct stream_pool *pool, int64_t deadline_us)
{
	bool came = false;
	struct connection *next;
	for (struct connection *each = pool->connections; each; each = next) {
		next = each->next;
		if (clock_mono().us >= deadline_us)
			return false;
		came |= read_once(each) != READ_NOTHING;
	}
	return came;
}

void
stream_pool_drain(struct stream_pool *pool, int64_t deadline_us)
{
	do {
		for (struct stream_listener *each = pool->listeners; each; each = each->next)
			if (ev_is_active(&each->acceptable))
				accept_some(each);
	} while (read_all_once(pool, deadline_us));
}

void
stream_pool_free(struct stream_pool **pool)
{
	struct stream_pool *p = *pool;
	if (!p)
		return;
	CHECK(!p->listeners);
	while (p->connections)
		close_connection(p->connections, true);
	ev_timer_stop(p->loop, &p->turn);
	tls_admission_free(&p->admission);
	limit_leave(p->limit, &p->member);
	ev_async_stop(p->loop, &p->woken);
	ev_prepare_stop(p->loop, &p->before_waiting);
	free_parked(p);
	free(p->bytes);
	free(p);
	*pool = NULL;
}

struct stream_listener *
stream_listener_new(struct stream_pool *pool, int fd, bool owns_fd, enum net_transport transport)
{
	CHECK(transport == NET_TCP || transport == NET_UNIXSTREAM);
	struct stream_listener *listener = xcalloc(1, sizeof(*listener));
	listener->pool = pool;
	listener->transport = transport;
	listener->owns_fd = owns_fd;
	listener->is_alive = true;
	ev_io_init(&listener->acceptable, on_acceptable, fd, EV_READ);
	ev_set_priority(&listener->acceptable, -1);
	listener->acceptable.data = listener;
	ev_timer_init(&listener->pause, on_pause_over, ACCEPT_PAUSE_S, 0.);
	listener->pause.data = listener;
	listener->next = pool->listeners;
	pool->listeners = listener;
	update_listener(listener);
	return listener;
}

void
stream_listener_secure(struct stream_listener *listener, struct tls_source *tls)
{
	if (!listener->pool->admission)
		listener->pool->admission = tls_admission_new(WAITING_MAX);
	listener->tls = tls;
}

bool
stream_listener_is_alive(const struct stream_listener *listener)
{
	return listener->is_alive;
}

void
stream_listener_free(struct stream_listener **listener)
{
	struct stream_listener *l = *listener;
	if (!l)
		return;
	struct stream_listener **link = &l->pool->listeners;
	while (*link != l)
		link = &(*link)->next;
	*link = l->next;
	ev_io_stop(l->pool->loop, &l->acceptable);
	ev_timer_stop(l->pool->loop, &l->pause);
	if (l->owns_fd)
		close(l->acceptable.fd);
	free(l);
	*listener = NULL;
}
