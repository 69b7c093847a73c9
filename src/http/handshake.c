/*
 * libmicrohttpd asks again and again whether a handshake can go on, as fast as the thread can,
 * once a client has sent a first byte of it. So it has only those that can go on: it is told to
 * leave a connection alone until bytes wait in its socket, and until it is its turn where the
 * handshake has its cost before it.
 */
#include "http/handshake.h"

#include "base/clock.h"

/* Most that wait for their turn; with keys of RSA, some two seconds. */
#define WAITING_MAX 128

/* How long handshakes go on before the loop has its turn. */
#define ADMIT_US 1000

static void
hold(struct connection *connection)
{
	connection->handshake = HANDSHAKE_HELD;
	MHD_suspend_connection(connection->mhd);
}

/* For the daemon's next run. */
static void
let_go(struct connection *connection)
{
	struct http_server *server = connection->server;
	if (connection->mhd)
		MHD_resume_connection(connection->mhd);
	else if (!connection_enter(connection))
		return;
	connection->handshake = HANDSHAKE_RUNS;
	LIST_INSERT_HEAD(&server->shaking, connection, shaking_link);
	ev_io_start(server->loop, &connection->arrival);
}

static void
schedule_turns(struct http_server *server)
{
	/* Stopped now, it would not come in this round of the loop, nor in the next ones while in
	 * each of them somebody begins to wait. */
	if (ev_is_pending(&server->turn))
		return;
	int64_t wait_us = tls_admission_wait_us(server->admission);
	ev_timer_stop(server->loop, &server->turn);
	if (wait_us < 0)
		return;
	ev_timer_set(&server->turn, (double)wait_us / 1e6, 0.);
	ev_timer_start(server->loop, &server->turn);
}

static struct connection *
connection_of_guest(struct tls_guest *guest)
{
	return (void *)((char *)guest - offsetof(struct connection, guest));
}

static void
fail(struct connection *connection, enum tls_failure failure)
{
	connection->tls_failure = failure;
	connection_shutdown(connection);
}

static void
on_turn(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop, (void)events;
	struct http_server *server = timer->data;
	int64_t end_us = clock_mono().us + ADMIT_US;
	struct tls_guest *guest;
	do {
		guest = tls_admission_take(server->admission);
		if (!guest)
			break;
		/* It can finish nothing. */
		if (connection_has_left(connection_of_guest(guest))) {
			fail(connection_of_guest(guest), TLS_FAILURE_LEFT);
			continue;
		}
		let_go(connection_of_guest(guest));
		server_run(server);
	} while (clock_mono().us < end_us);
	schedule_turns(server);
}

void
handshake_init(struct http_server *server)
{
	LIST_INIT(&server->shaking);
	ev_timer_init(&server->turn, on_turn, 0., 0.);
	server->turn.data = server;
	if (server->tls)
		server->admission = tls_admission_new(WAITING_MAX);
}

void
handshake_fini(struct http_server *server)
{
	ev_timer_stop(server->loop, &server->turn);
	tls_admission_free(&server->admission);
}

void
handshake_begin(struct connection *connection)
{
	connection->handshake = HANDSHAKE_HELD;
	tls_guest_init(&connection->guest, connection->server->admission,
		       connection->client);
}

void
handshake_enter(struct connection *connection)
{
	const union MHD_ConnectionInfo *info =
	    MHD_get_connection_info(connection->mhd, MHD_CONNECTION_INFO_GNUTLS_SESSION);
	CHECK(info && info->tls_session);
	tls_peer_begin(&connection->tls, connection->server->tls, info->tls_session, "http/1.1",
		       &connection->guest);
}

void
handshake_arrival(struct connection *connection, int found)
{
	struct http_server *server = connection->server;
	if (found < 0)
		return;
	ev_io_stop(server->loop, &connection->arrival);
	if (found == 0) {
		fail(connection, TLS_FAILURE_LEFT);
		return;
	}
	connection_begin(connection);
	if (connection->tls.is_answered) {
		let_go(connection);
		server_run_soon(server);
		return;
	}
	connection_moves(connection);
	tls_guest_wait(&connection->guest);
	struct tls_guest *victim = tls_admission_take_victim(server->admission);
	if (victim)
		fail(connection_of_guest(victim), TLS_FAILURE_CROWD);
	schedule_turns(server);
}

void
handshake_settle(struct http_server *server)
{
	struct connection *connection, *next;
	for (connection = LIST_FIRST(&server->shaking); connection; connection = next) {
		next = LIST_NEXT(connection, shaking_link);
		if (connection->is_shut)
			continue;
		LIST_REMOVE(connection, shaking_link);
		if (connection->tls.is_established)
			connection_be_established(connection);
		else
			hold(connection);
	}
}

void
handshake_refuse(struct connection *connection)
{
	connection->tls.is_refused = true;
	tls_guest_leave(&connection->guest);
	let_go(connection);
	server_run_soon(connection->server);
}

void
handshake_welcome(struct connection *connection)
{
	if (connection->server->tls)
		tls_guest_forgive(&connection->guest);
}

void
handshake_end(struct connection *connection)
{
	struct http_stats *stats = &connection->server->stats;
	tls_guest_leave(&connection->guest);
	if (connection->handshake == HANDSHAKE_RUNS)
		LIST_REMOVE(connection, shaking_link);
	if (connection->server->tls && !connection->tls.is_established)
		stats->tls_failures[connection->tls_failure]++;
}
