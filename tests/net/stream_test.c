#include "harness.h"

#include "base/clock.h"
#include "net/socket.h"
#include "net/stream.h"
#include "net/turn.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

/* Connections that a test opens at most. */
#define CLIENTS_MAX 512

/* A socket that first has so many full reads of line ends to give, and then what is in it. */
static struct {
	int fd;
	int full_reads;
} flooded = {.fd = -1};

ssize_t
recv(int fd, void *bytes, size_t len, int flags)
{
	if (fd != flooded.fd || flooded.full_reads == 0)
		return syscall(SYS_recvfrom, fd, bytes, len, flags, NULL, NULL);
	flooded.full_reads--;
	memset(bytes, '\n', len);
	return (ssize_t)len;
}

/* How often the limit looked whether a connection is waiting; the tests' own calls count, too. */
static _Atomic unsigned polls;

int
poll(struct pollfd *wanted, nfds_t count, int timeout_ms)
{
	struct timespec timeout = {timeout_ms / 1000, timeout_ms % 1000 * 1000000L};
	atomic_fetch_add(&polls, 1);
	return (int)syscall(SYS_ppoll, wanted, count, timeout_ms < 0 ? NULL : &timeout, NULL, 0);
}

/* One ingest thread's share: a pool with a TCP and a Unix listener, and what came. */
struct server {
	struct ev_loop *loop;
	struct stream_pool *pool;
	struct stream_listener *tcp, *unix_stream;
	struct received received;
	struct address tcp_address, unix_address;
};

static struct folder folder;
static unsigned server_count;

static int
setup(void **state)
{
	(void)state;
	folder_init(&folder);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	folder_fini(&folder);
	return 0;
}

static void
server_init(struct server *server, struct stream_limit *limit)
{
	const char *error;
	char name[32];
	received_init(&server->received);
	server->loop = ev_loop_new(EVFLAG_AUTO);
	server->pool = stream_pool_new(server->loop, limit, &server->received.sink);

	assert_int_equal(address_parse("127.0.0.1:0", true, &server->tcp_address, &error), 0);
	int fd = socket_listen_tcp(&server->tcp_address, true);
	assert_true(fd >= 0);
	server->tcp_address.len = sizeof(server->tcp_address.storage);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&server->tcp_address.storage,
				     &server->tcp_address.len),
			 0);
	server->tcp = stream_listener_new(server->pool, fd, true, NET_TCP);

	snprintf(name, sizeof(name), "s%u.sock", server_count++);
	const char *path = folder_file(&folder, name);
	assert_int_equal(address_parse_unix(path, &server->unix_address, &error), 0);
	fd = socket_bind_unix(path, SOCK_STREAM, 0700);
	assert_true(fd >= 0);
	server->unix_stream = stream_listener_new(server->pool, fd, true, NET_UNIXSTREAM);
}

static void
server_fini(struct server *server)
{
	stream_listener_free(&server->tcp);
	stream_listener_free(&server->unix_stream);
	stream_pool_free(&server->pool);
	assert_null(server->pool);
	ev_loop_destroy(server->loop);
	received_fini(&server->received);
}

static const struct address *
address_of(const struct server *server, enum net_transport transport)
{
	return transport == NET_TCP ? &server->tcp_address : &server->unix_address;
}

static int
connect_client(const struct server *server, enum net_transport transport)
{
	const struct address *address = address_of(server, transport);
	int fd = socket(address->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (const struct sockaddr *)&address->storage, address->len), 0);
	return fd;
}

static void
send_bytes(int fd, struct span bytes)
{
	assert_int_equal(send(fd, bytes.ptr, bytes.len, MSG_NOSIGNAL), bytes.len);
}

/* Sends, and waits until the bytes are in the server's socket: TCP may take its time. */
static void
deliver_bytes(int fd, enum net_transport transport, struct span bytes)
{
	send_bytes(fd, bytes);
	for (int unacknowledged = transport == NET_TCP; unacknowledged;)
		assert_int_equal(ioctl(fd, TIOCOUTQ, &unacknowledged), 0);
}

static struct net_counters *
counters(struct server *server, enum net_transport transport)
{
	return &server->received.sink.counters[transport];
}

/* Closes with a reset instead of an orderly end. */
static void
reset_connection(int fd)
{
	struct linger linger = {.l_onoff = 1, .l_linger = 0};
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
	close(fd);
}

/* @return whether the other end has closed; never waits */
static bool
is_closed_by_peer(int fd)
{
	char byte;
	ssize_t len = recv(fd, &byte, 1, MSG_DONTWAIT);
	assert_true(len <= 0); /* nothing is ever written to a peer */
	return len == 0 || errno != EAGAIN;
}

static bool
waits_for_end(int fd)
{
	struct pollfd wanted = {.fd = fd, .events = POLLIN};
	assert_int_equal(poll(&wanted, 1, (int)GUARD_S * 1000), 1);
	return is_closed_by_peer(fd);
}

static void
run_until_open(struct server *server, struct stream_limit *limit, unsigned open)
{
	run_until(server->loop, stream_limit_open(limit) == open);
}

static void
check_lines(enum net_transport transport, struct span bytes, const char *lines)
{
	struct stream_limit *limit = stream_limit_new(10);
	struct server server;
	server_init(&server, limit);
	int client = connect_client(&server, transport);
	send_bytes(client, bytes);
	close(client);
	run_until(server.loop, load(&counters(&server, transport)->connections) == 1);
	run_until_open(&server, limit, 0);
	assert_span_equal(buf_span(&server.received.lines), lines);
	assert_int_equal(load(&counters(&server, transport)->bytes), bytes.len);
	assert_int_equal(load(&counters(&server, transport)->connection_errors), 0);
	server_fini(&server);
	stream_limit_free(&limit);
}

static void
test_lines(void **state)
{
	(void)state;
	check_lines(NET_TCP, SPAN("a:1|c\nb:2|c\n"), "a:1|c\nb:2|c\n");
	check_lines(NET_TCP, SPAN("a:1|c\nb:2|c"), "a:1|c\nb:2|c\n");
	check_lines(NET_TCP, SPAN("a:1|c\r\n\nb:2"), "a:1|c\r\n\nb:2\n");
	/* No frames on TCP. */
	check_lines(NET_TCP, SPAN("\5\1\1\1a:1|c\n"), "\5\1\1\1a:1|c\n");
}

static void
test_unix_stream(void **state)
{
	(void)state;
	check_lines(NET_UNIXSTREAM, SPAN("\5\0\0\0a:1|c\5\0\0\0b:2|c"), "a:1|c\nb:2|c\n");
	check_lines(NET_UNIXSTREAM, SPAN("traefik.x:1.000000|c\n"), "traefik.x:1.000000|c\n");
	check_lines(NET_UNIXSTREAM, SPAN("a:1"), "a:1\n");
	check_lines(NET_UNIXSTREAM, SPAN("\5\0"), "");
}

/* K14: the client writes byte by byte, and the server reads in between. */
static void
test_frames__byte_by_byte(void **state)
{
	(void)state;
	static const char bytes[] = "\5\0\0\0a:1|c\5\0\0\0b:2|c";
	struct stream_limit *limit = stream_limit_new(10);
	struct server server;
	server_init(&server, limit);
	int client = connect_client(&server, NET_UNIXSTREAM);
	for (uint64_t i = 0; i < sizeof(bytes) - 1; i++) {
		send_bytes(client, span_of(bytes + i, 1));
		run_until(server.loop, load(&counters(&server, NET_UNIXSTREAM)->bytes) == i + 1);
	}
	assert_span_equal(buf_span(&server.received.text), "[a:1|c][b:2|c]");
	assert_int_equal(load(&counters(&server, NET_UNIXSTREAM)->packets), 2);
	close(client);
	server_fini(&server);
	stream_limit_free(&limit);
}

/* K30 */
static void
test_lines__byte_by_byte(void **state)
{
	(void)state;
	static const char bytes[] = "a:1|c\r\nb:2|c\r\n";
	struct stream_limit *limit = stream_limit_new(10);
	struct server server;
	server_init(&server, limit);
	int client = connect_client(&server, NET_TCP);
	for (uint64_t i = 0; i < sizeof(bytes) - 1; i++) {
		send_bytes(client, span_of(bytes + i, 1));
		run_until(server.loop, load(&counters(&server, NET_TCP)->bytes) == i + 1);
	}
	assert_span_equal(buf_span(&server.received.text), "[a:1|c\r][b:2|c\r]");
	close(client);
	server_fini(&server);
	stream_limit_free(&limit);
}

/* K29 */
static void
test_reset(void **state)
{
	(void)state;
	struct stream_limit *limit = stream_limit_new(10);
	struct server server;
	server_init(&server, limit);
	int client = connect_client(&server, NET_TCP);
	send_bytes(client, SPAN("a:1|c\nb:12"));
	run_until(server.loop, server.received.payloads == 1);
	reset_connection(client);
	run_until_open(&server, limit, 0);
	assert_span_equal(buf_span(&server.received.text), "[a:1|c]");
	assert_int_equal(load(&counters(&server, NET_TCP)->truncated), 1);
	assert_int_equal(load(&counters(&server, NET_TCP)->connection_errors), 1);
	server_fini(&server);
	stream_limit_free(&limit);
}

/* K19, K20, K21 */
static void
test_bad_frame__closes(void **state)
{
	(void)state;
	static const struct span rows[] = {
	    SPAN("\xff\xff\xff\xff"),
	    SPAN("\1\0\1\0a"),
	    SPAN("\0\0\0\5a:1|c"),
	};
	struct stream_limit *limit = stream_limit_new(10);
	struct server server;
	server_init(&server, limit);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int client = connect_client(&server, NET_UNIXSTREAM);
		send_bytes(client, rows[i]);
		run_until(server.loop,
			  load(&counters(&server, NET_UNIXSTREAM)->bad_frames) == i + 1);
		assert_true(waits_for_end(client));
		assert_int_equal(stream_limit_open(limit), 0);
		close(client);
	}
	assert_int_equal(server.received.payloads, 0);
	assert_int_equal(load(&counters(&server, NET_UNIXSTREAM)->truncated), 0);
	assert_int_equal(load(&counters(&server, NET_UNIXSTREAM)->connection_errors), 0);
	server_fini(&server);
	stream_limit_free(&limit);
}

/* Sends all, and lets the server read whenever the socket is full. */
static void
send_all(struct server *server, int fd, struct span bytes)
{
	while (bytes.len > 0) {
		ssize_t sent = send(fd, bytes.ptr, bytes.len, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (sent < 0)
			assert_int_equal(errno, EAGAIN);
		else
			bytes = span_from(bytes, (size_t)sent);
		ev_run(server->loop, EVRUN_NOWAIT);
	}
}

/* K32: one count, and the connection goes on. */
static void
test_too_long_line(void **state)
{
	(void)state;
	struct stream_limit *limit = stream_limit_new(10);
	struct server server;
	server_init(&server, limit);
	struct buf bytes = BUF_INIT;
	size_t len = 10 * 1024 * 1024;
	memset(buf_reserve(&bytes, len), 'x', len);
	bytes.len = len;
	buf_add_text(&bytes, "\na:1|c\n");
	int client = connect_client(&server, NET_TCP);
	send_all(&server, client, buf_span(&bytes));
	run_until(server.loop, server.received.payloads == 1);
	assert_span_equal(buf_span(&server.received.text), "[a:1|c]");
	assert_int_equal(load(&counters(&server, NET_TCP)->too_long_lines), 1);
	assert_int_equal(load(&counters(&server, NET_TCP)->bytes), bytes.len);
	assert_int_equal(stream_limit_open(limit), 1);
	assert_false(is_closed_by_peer(client));
	close(client);
	buf_fini(&bytes);
	server_fini(&server);
	stream_limit_free(&limit);
}

static void
test_bulk(void **state)
{
	(void)state;
	struct stream_limit *limit = stream_limit_new(10);
	struct server server;
	server_init(&server, limit);
	struct buf bytes = BUF_INIT;
	for (int i = 0; i < 200000; i++)
		buf_printf(&bytes, "name.%d:%d|c\n", i, i * 7);
	int client = connect_client(&server, NET_TCP);
	send_all(&server, client, buf_span(&bytes));
	close(client);
	run_until_open(&server, limit, 0);
	assert_int_equal(server.received.lines.len, bytes.len);
	assert_memory_equal(server.received.lines.ptr, bytes.ptr, bytes.len);
	buf_fini(&bytes);
	server_fini(&server);
	stream_limit_free(&limit);
}

/* @return our end of the TCP connection whose other end is `client` */
static int
find_accepted(int client)
{
	struct sockaddr_in wanted, peer;
	socklen_t len = sizeof(wanted);
	assert_int_equal(getsockname(client, (struct sockaddr *)&wanted, &len), 0);
	for (int fd = 3; fd < 100; fd++) {
		len = sizeof(peer);
		if (fd != client && getpeername(fd, (struct sockaddr *)&peer, &len) == 0 &&
		    len == sizeof(peer) && peer.sin_family == AF_INET &&
		    peer.sin_port == wanted.sin_port)
			return fd;
	}
	fail_msg("connection not found");
	return -1;
}

/* A peer that sends as fast as it can does not keep the others waiting. */
static void
test_fairness(void **state)
{
	(void)state;
	struct stream_limit *limit = stream_limit_new(10);
	struct server server;
	server_init(&server, limit);
	int busy = connect_client(&server, NET_TCP),
	    other = connect_client(&server, NET_UNIXSTREAM);
	run_until_open(&server, limit, 2);
	flooded.fd = find_accepted(busy);
	flooded.full_reads = 100;
	deliver_bytes(busy, NET_TCP, SPAN("a"));
	assert_false(server.received.sink.is_behind);
	send_bytes(other, SPAN("a:1|c\n"));
	run_until(server.loop, load(&counters(&server, NET_UNIXSTREAM)->bytes) == 6);
	assert_in_range(flooded.full_reads, 90, 100);
	assert_true(server.received.sink.is_behind);
	run_until(server.loop, flooded.full_reads == 0);
	flooded.fd = -1;
	close(busy);
	close(other);
	server_fini(&server);
	stream_limit_free(&limit);
}

static void
receive_slowly(void *ctx, enum net_transport transport, const char *bytes, size_t len)
{
	receive_payload(ctx, transport, bytes, len);
	/* Longer by what the clock's doubles leave out. */
	for (double end = ev_time() + TURN_S * 1.01; ev_time() < end;)
		;
}

/* Every read takes all the time of an iteration: the connections are read one after the other. */
static void
test_fairness__slow_payloads(void **state)
{
	(void)state;
	enum { CLIENTS = 4, LINES = 3 };
	struct stream_limit *limit = stream_limit_new(10);
	struct server server;
	server_init(&server, limit);
	server.received.sink.payload = receive_slowly;
	int clients[CLIENTS];
	for (int i = 0; i < CLIENTS; i++)
		clients[i] = connect_client(&server, NET_UNIXSTREAM);
	run_until_open(&server, limit, CLIENTS);
	for (int line = 1; line <= LINES; line++) {
		for (int i = 0; i < CLIENTS; i++)
			send_bytes(clients[i], SPAN("a:1|c\n"));
		for (int i = 0; i < CLIENTS; i++) {
			size_t before = server.received.payloads;
			ev_run(server.loop, EVRUN_ONCE);
			assert_in_range(server.received.payloads, before, before + 1);
		}
		assert_true(server.received.sink.is_behind);
		run_until(server.loop, server.received.payloads == (size_t)(line * CLIENTS));
		server.received.sink.is_behind = false;
	}
	for (int i = 0; i < CLIENTS; i++)
		close(clients[i]);
	server_fini(&server);
	stream_limit_free(&limit);
}

/* Nor does one that takes all the time, wherever it is in the loop's order. */
static void
test_fairness__slow_and_busy(void **state)
{
	(void)state;
	enum { CLIENTS = 3 };
	struct stream_limit *limit = stream_limit_new(10);
	struct server server;
	server_init(&server, limit);
	server.received.sink.payload = receive_slowly;
	int clients[CLIENTS];
	for (int i = 0; i < CLIENTS; i++)
		clients[i] = connect_client(&server, NET_TCP);
	run_until_open(&server, limit, CLIENTS);
	for (int i = 0; i < CLIENTS; i++) {
		flooded.fd = find_accepted(clients[i]);
		flooded.full_reads = 100;
		for (int k = 0; k < CLIENTS; k++)
			deliver_bytes(clients[k], NET_TCP, SPAN("a:1|c\n"));
		_Atomic uint64_t *bytes = &counters(&server, NET_TCP)->bytes;
		uint64_t others, flood, before = load(bytes);
		do {
			ev_run(server.loop, EVRUN_ONCE);
			flood = (uint64_t)(100 - flooded.full_reads) * 256 * 1024;
			others = load(bytes) - before - flood;
		} while (others < 6 * (CLIENTS - 1) && flooded.full_reads > 0);
		assert_in_range(flooded.full_reads, 90, 100);
		flooded.full_reads = 0;
		run_until(server.loop, load(bytes) == before + flood + 6 * CLIENTS);
		flooded.fd = -1;
	}
	for (int i = 0; i < CLIENTS; i++)
		close(clients[i]);
	server_fini(&server);
	stream_limit_free(&limit);
}

/* A connection that is closed for another one is read to its end before. */
static void
test_limit__closed_one_is_read_before(void **state)
{
	(void)state;
	struct stream_limit *limit = stream_limit_new(1);
	struct server server;
	server_init(&server, limit);
	int busy = connect_client(&server, NET_TCP);
	run_until_open(&server, limit, 1);
	flooded.fd = find_accepted(busy);
	flooded.full_reads = 24;
	deliver_bytes(busy, NET_TCP, SPAN("a:1|c"));
	int other = connect_client(&server, NET_UNIXSTREAM);
	run_until(server.loop, load(&counters(&server, NET_UNIXSTREAM)->connections) == 1);
	assert_int_equal(flooded.full_reads, 0);
	flooded.fd = -1;
	assert_int_equal(load(&counters(&server, NET_TCP)->connections_closed_idle), 1);
	assert_true(span_ends(buf_span(&server.received.text), SPAN("[a:1|c]")));
	close(busy);
	close(other);
	server_fini(&server);
	stream_limit_free(&limit);
}

static void
test_accepted_sockets__options(void **state)
{
	(void)state;
	struct stream_limit *limit = stream_limit_new(10);
	struct server server;
	server_init(&server, limit);
	int client = connect_client(&server, NET_TCP);
	run_until_open(&server, limit, 1);
	int fd = find_accepted(client), on = 0;
	socklen_t len = sizeof(on);
	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, &len), 0);
	assert_int_equal(on, 1);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	close(client);
	server_fini(&server);
	stream_limit_free(&limit);
}

/* The connection that was silent longest goes, whatever its transport; the new one is served. */
static void
test_limit__longest_idle_is_closed(void **state)
{
	(void)state;
	static const enum net_transport transports[] = {NET_TCP, NET_UNIXSTREAM, NET_TCP};
	struct stream_limit *limit = stream_limit_new(3);
	struct server server;
	int clients[4];
	server_init(&server, limit);
	for (int i = 0; i < 3; i++) {
		clock_fake(1000 + i);
		clients[i] = connect_client(&server, transports[i]);
		run_until_open(&server, limit, (unsigned)i + 1);
	}
	clock_fake(2000);
	send_bytes(clients[0], SPAN("a:1|c\n"));
	run_until(server.loop, server.received.payloads == 1);

	clients[3] = connect_client(&server, NET_TCP);
	run_until(server.loop, load(&counters(&server, NET_TCP)->connections) == 3);
	assert_int_equal(stream_limit_open(limit), 3);
	assert_true(waits_for_end(clients[1]));
	assert_false(is_closed_by_peer(clients[0]));
	assert_false(is_closed_by_peer(clients[2]));
	assert_int_equal(load(&counters(&server, NET_UNIXSTREAM)->connections_closed_idle), 1);
	assert_int_equal(load(&counters(&server, NET_TCP)->connections_closed_idle), 0);
	send_bytes(clients[3], SPAN("b:1|c\n"));
	run_until(server.loop, server.received.payloads == 2);
	assert_span_equal(buf_span(&server.received.text), "[a:1|c][b:1|c]");
	clock_fake(-1);
	for (int i = 0; i < 4; i++)
		close(clients[i]);
	server_fini(&server);
	stream_limit_free(&limit);
}

/* What a connection sent before it was closed for another one is not lost, the last line included.
 */
static void
test_limit__of_one(void **state)
{
	(void)state;
	struct stream_limit *limit = stream_limit_new(1);
	struct server server;
	int clients[50];
	server_init(&server, limit);
	for (int i = 0; i < 50; i++) {
		enum net_transport transport = i % 2 ? NET_TCP : NET_UNIXSTREAM;
		clients[i] = connect_client(&server, transport);
		deliver_bytes(clients[i], transport, SPAN("a:1|c\nb:1|c"));
	}
	run_until(server.loop, load(&counters(&server, NET_TCP)->connections) +
				       load(&counters(&server, NET_UNIXSTREAM)->connections) ==
				   50);
	assert_int_equal(stream_limit_open(limit), 1);
	for (int i = 0; i < 50; i++)
		close(clients[i]);
	run_until_open(&server, limit, 0);
	assert_int_equal(count_lines(&server.received), 100);
	assert_int_equal(load(&counters(&server, NET_TCP)->connections_closed_idle) +
			     load(&counters(&server, NET_UNIXSTREAM)->connections_closed_idle),
			 49);
	server_fini(&server);
	stream_limit_free(&limit);
}

/* The owner of the idle connection does not run: the new one waits, and the limit holds. */
static void
test_limit__busy_owner(void **state)
{
	(void)state;
	struct stream_limit *limit = stream_limit_new(2);
	struct server owner, other;
	server_init(&owner, limit);
	server_init(&other, limit);
	int a = connect_client(&owner, NET_TCP), b = connect_client(&owner, NET_TCP);
	run_until_open(&owner, limit, 2);
	int c = connect_client(&other, NET_TCP);
	send_bytes(c, SPAN("c:1|c\n"));
	unsigned polls_before = polls;
	for (int i = 0; i < 100; i++)
		ev_run(other.loop, EVRUN_NOWAIT);
	assert_int_equal(load(&counters(&other, NET_TCP)->connections), 0);
	assert_int_equal(stream_limit_open(limit), 2);
	assert_int_equal(polls - polls_before, 1); /* it waits to be woken */
	run_until_open(&owner, limit, 1);
	run_until(other.loop, other.received.payloads == 1);
	assert_int_equal(stream_limit_open(limit), 2);
	assert_int_equal(load(&counters(&owner, NET_TCP)->connections_closed_idle), 1);
	assert_int_equal(is_closed_by_peer(a) + is_closed_by_peer(b), 1);
	close(a);
	close(b);
	close(c);
	server_fini(&owner);
	server_fini(&other);
	stream_limit_free(&limit);
}

/* The new one is let in when another connection ends by itself, too. */
static void
test_limit__room_by_an_ordinary_end(void **state)
{
	(void)state;
	struct stream_limit *limit = stream_limit_new(2);
	struct server owner, other;
	server_init(&owner, limit);
	server_init(&other, limit);
	int a = connect_client(&owner, NET_TCP), b = connect_client(&other, NET_TCP);
	run_until_open(&owner, limit, 1);
	run_until_open(&other, limit, 2);
	int c = connect_client(&other, NET_TCP);
	for (int i = 0; i < 100; i++)
		ev_run(other.loop, EVRUN_NOWAIT);
	assert_int_equal(stream_limit_open(limit), 2);
	close(b);
	run_until(other.loop, load(&counters(&other, NET_TCP)->connections) == 2);
	/* The owner was asked in vain meanwhile; nobody asks any more, so nothing is closed. */
	for (int i = 0; i < 100; i++)
		ev_run(owner.loop, EVRUN_NOWAIT);
	assert_in_range(stream_limit_open(limit), 1, 2);
	close(a);
	close(c);
	server_fini(&owner);
	server_fini(&other);
	stream_limit_free(&limit);
}

/* A pool that goes away gives its slots to those who wait. */
static void
test_limit__room_by_a_pool_that_ends(void **state)
{
	(void)state;
	struct stream_limit *limit = stream_limit_new(1);
	struct server owner, other;
	server_init(&owner, limit);
	server_init(&other, limit);
	int a = connect_client(&owner, NET_TCP);
	run_until_open(&owner, limit, 1);
	int b = connect_client(&other, NET_TCP);
	for (int i = 0; i < 100; i++)
		ev_run(other.loop, EVRUN_NOWAIT);
	server_fini(&owner);
	run_until(other.loop, load(&counters(&other, NET_TCP)->connections) == 1);
	close(a);
	close(b);
	server_fini(&other);
	stream_limit_free(&limit);
}

/* K34 */
static void
test_limit__many_at_once(void **state)
{
	(void)state;
	struct stream_limit *limit = stream_limit_new(64);
	struct server server;
	int clients[CLIENTS_MAX];
	server_init(&server, limit);
	for (int i = 0; i < CLIENTS_MAX; i++) {
		clients[i] = connect_client(&server, NET_TCP);
		deliver_bytes(clients[i], NET_TCP, SPAN("a:1|c\n"));
	}
	while (load(&counters(&server, NET_TCP)->connections) < CLIENTS_MAX) {
		ev_run(server.loop, EVRUN_ONCE);
		assert_in_range(stream_limit_open(limit), 0, 64);
	}
	assert_int_equal(load(&counters(&server, NET_TCP)->connections_closed_idle),
			 CLIENTS_MAX - 64);
	for (int i = 0; i < CLIENTS_MAX; i++)
		close(clients[i]);
	run_until_open(&server, limit, 0);
	assert_int_equal(count_lines(&server.received), CLIENTS_MAX);
	server_fini(&server);
	stream_limit_free(&limit);
}

/* K33: slow peers are left alone while there is room. */
static void
test_idle_connections__stay(void **state)
{
	(void)state;
	struct stream_limit *limit = stream_limit_new(2);
	struct server server;
	server_init(&server, limit);
	clock_fake(1000);
	int slow = connect_client(&server, NET_TCP);
	send_bytes(slow, SPAN("a:1"));
	run_until(server.loop, load(&counters(&server, NET_TCP)->bytes) == 3);
	clock_fake(1000 + (int64_t)86400 * 365 * 1000000);
	int other = connect_client(&server, NET_TCP);
	send_bytes(other, SPAN("b:1|c\n"));
	run_until(server.loop, server.received.payloads == 1);
	send_bytes(slow, SPAN("|c\n"));
	run_until(server.loop, server.received.payloads == 2);
	assert_span_equal(buf_span(&server.received.text), "[b:1|c][a:1|c]");
	clock_fake(-1);
	close(slow);
	close(other);
	server_fini(&server);
	stream_limit_free(&limit);
}

/* Lowers the limit so that no descriptor is left. @return the limit before */
static struct rlimit
exhaust_descriptors(void)
{
	struct rlimit old, none;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	int next = dup(0);
	assert_true(next >= 0);
	close(next);
	none = old;
	none.rlim_cur = (rlim_t)next;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	return old;
}

static void
test_accept__out_of_descriptors(void **state)
{
	(void)state;
	struct stream_limit *limit = stream_limit_new(10);
	struct server server;
	server_init(&server, limit);
	int held = connect_client(&server, NET_TCP);
	run_until_open(&server, limit, 1);
	int client = connect_client(&server, NET_TCP);
	struct rlimit old = exhaust_descriptors();
	run_until(server.loop, load(&counters(&server, NET_TCP)->accept_pauses) == 1);
	/* It does not spin, and the one that was idle longest gives up its descriptor. */
	double start = ev_time();
	for (int i = 0; i < 100; i++)
		ev_run(server.loop, EVRUN_NOWAIT);
	assert_true(load(&counters(&server, NET_TCP)->accept_pauses) <= 2 + (ev_time() - start));
	run_until(server.loop, load(&counters(&server, NET_TCP)->connections_closed_idle) == 1);
	run_until(server.loop, load(&counters(&server, NET_TCP)->connections) == 2);
	assert_int_equal(stream_limit_open(limit), 1);
	send_bytes(client, SPAN("a:1|c\n"));
	run_until(server.loop, server.received.payloads == 1);
	assert_int_equal(load(&counters(&server, NET_TCP)->accept_pauses), 1);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_true(stream_listener_is_alive(server.tcp));
	close(held);
	close(client);
	server_fini(&server);
	stream_limit_free(&limit);
}

static void
test_accept__dead_listener(void **state)
{
	(void)state;
	struct stream_limit *limit = stream_limit_new(10);
	struct server server;
	server_init(&server, limit);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0); /* does not listen */
	struct stream_listener *dead = stream_listener_new(server.pool, fd, true, NET_TCP);
	assert_true(stream_listener_is_alive(dead));
	run_until(server.loop, !stream_listener_is_alive(dead));
	int client = connect_client(&server, NET_TCP);
	run_until_open(&server, limit, 1);
	assert_true(stream_listener_is_alive(server.tcp));
	close(client);
	stream_listener_free(&dead);
	assert_null(dead);
	server_fini(&server);
	stream_limit_free(&limit);
}

/* K35: floods the server with lines and never reads; nothing comes back, nothing gets stuck. */
static void
test_peer_that_never_reads(void **state)
{
	(void)state;
	struct stream_limit *limit = stream_limit_new(10);
	struct server server;
	server_init(&server, limit);
	int client = connect_client(&server, NET_UNIXSTREAM);
	static char bytes[1 << 20];
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = "bad line\n"[i % 9];
	send_all(&server, client, span_of(bytes, sizeof(bytes)));
	run_until(server.loop, load(&counters(&server, NET_UNIXSTREAM)->bytes) == sizeof(bytes));
	assert_false(is_closed_by_peer(client));
	close(client);
	server_fini(&server);
	stream_limit_free(&limit);
}

static void
test_pool__free_processes_the_last_line(void **state)
{
	(void)state;
	struct stream_limit *limit = stream_limit_new(10);
	struct server server;
	server_init(&server, limit);
	int client = connect_client(&server, NET_TCP);
	send_bytes(client, SPAN("a:1|c\nb:1|c"));
	run_until(server.loop, load(&counters(&server, NET_TCP)->bytes) == 11);
	stream_listener_free(&server.tcp);
	stream_listener_free(&server.unix_stream);
	stream_pool_free(&server.pool);
	assert_span_equal(buf_span(&server.received.text), "[a:1|c][b:1|c]");
	assert_int_equal(stream_limit_open(limit), 0);
	assert_true(waits_for_end(client));
	close(client);
	server_fini(&server);
	stream_limit_free(&limit);
}

static void
test_pool__drain(void **state)
{
	(void)state;
	struct stream_limit *limit = stream_limit_new(300);
	struct server server;
	int clients[100];
	server_init(&server, limit);
	for (int i = 0; i < 100; i++) {
		enum net_transport transport = i % 2 ? NET_TCP : NET_UNIXSTREAM;
		clients[i] = connect_client(&server, transport);
		deliver_bytes(clients[i], transport, SPAN("a:1|c\n"));
		if (i % 3 == 0)
			close(clients[i]);
	}
	stream_pool_drain(server.pool, clock_mono().us - 1);
	assert_int_equal(server.received.payloads, 0);
	stream_pool_drain(server.pool, INT64_MAX);
	assert_int_equal(server.received.payloads, 100);
	stream_pool_drain(server.pool, INT64_MAX);
	assert_int_equal(server.received.payloads, 100);
	for (int i = 0; i < 100; i++)
		if (i % 3 != 0)
			close(clients[i]);
	server_fini(&server);
	stream_limit_free(&limit);
}

/* Two pools watch one socket; each connection is served once. */
static void
test_listener__shared_socket(void **state)
{
	(void)state;
	struct stream_limit *limit = stream_limit_new(4);
	struct server owner, other;
	server_init(&owner, limit);
	server_init(&other, limit);
	const char *path = folder_file(&folder, "shared.sock");
	int fd = socket_bind_unix(path, SOCK_STREAM, 0700);
	struct stream_listener *first = stream_listener_new(owner.pool, fd, true, NET_UNIXSTREAM);
	struct stream_listener *second = stream_listener_new(other.pool, fd, false, NET_UNIXSTREAM);
	const char *error;
	assert_int_equal(address_parse_unix(path, &owner.unix_address, &error), 0);
	int clients[20];
	for (int i = 0; i < 20; i++) {
		clients[i] = connect_client(&owner, NET_UNIXSTREAM);
		send_bytes(clients[i], SPAN("a:1|c\n"));
		for (int j = 0; j < 5; j++) {
			ev_run(j % 2 ? owner.loop : other.loop, EVRUN_NOWAIT);
			assert_in_range(stream_limit_open(limit), 0, 4);
		}
	}
	for (int i = 0; i < 20; i++)
		close(clients[i]);
	for (int i = 0; i < 200; i++)
		ev_run(i % 2 ? owner.loop : other.loop, EVRUN_NOWAIT);
	assert_int_equal(load(&counters(&owner, NET_UNIXSTREAM)->connections) +
			     load(&counters(&other, NET_UNIXSTREAM)->connections),
			 20);
	assert_int_equal(count_lines(&owner.received) + count_lines(&other.received), 20);
	assert_int_equal(stream_limit_open(limit), 0);
	stream_listener_free(&second);
	assert_int_equal(fcntl(fd, F_GETFD) >= 0, 1);
	stream_listener_free(&first);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	server_fini(&owner);
	server_fini(&other);
	stream_limit_free(&limit);
}

/* A server that runs on a thread of its own until it is stopped. */
struct runner {
	struct server server;
	ev_async stop;
	pthread_t thread;
};

static void
on_stop(struct ev_loop *loop, ev_async *async, int events)
{
	(void)async, (void)events;
	ev_break(loop, EVBREAK_ALL);
}

static void *
run_server(void *arg)
{
	struct runner *runner = arg;
	ev_run(runner->server.loop, 0);
	return NULL;
}

static void
runner_start(struct runner *runner, struct stream_limit *limit)
{
	server_init(&runner->server, limit);
	ev_async_init(&runner->stop, on_stop);
	ev_async_start(runner->server.loop, &runner->stop);
	assert_int_equal(pthread_create(&runner->thread, NULL, run_server, runner), 0);
}

static void
runner_stop(struct runner *runner)
{
	ev_async_send(runner->server.loop, &runner->stop);
	assert_int_equal(pthread_join(runner->thread, NULL), 0);
	ev_async_stop(runner->server.loop, &runner->stop);
	server_fini(&runner->server);
}

/* Waits without a loop of its own. */
#define wait_until(condition)                                                \
	do {                                                                 \
		double end_ = ev_time() + GUARD_S;                           \
		while (!(condition)) {                                       \
			assert_in_range(stream_limit_open(limit), 0, 8);     \
			if (ev_time() > end_)                                \
				fail_msg("never came true: %s", #condition); \
			ev_sleep(0.0005);                                    \
		}                                                            \
	} while (0)

/* A connection of one thread is closed for one that another thread accepts, and no other. */
static void
test_threads__longest_idle_of_another_thread(void **state)
{
	(void)state;
	struct stream_limit *limit = stream_limit_new(8);
	struct runner a, b;
	runner_start(&a, limit);
	runner_start(&b, limit);
	int clients[9];
	for (unsigned i = 0; i < 8; i++) {
		clients[i] = connect_client(&a.server, i % 2 ? NET_TCP : NET_UNIXSTREAM);
		send_bytes(clients[i], SPAN("a:1|c\n"));
		wait_until(a.server.received.payloads == i + 1);
	}
	clients[8] = connect_client(&b.server, NET_TCP);
	send_bytes(clients[8], SPAN("b:1|c\n"));
	wait_until(b.server.received.payloads == 1);
	assert_int_equal(stream_limit_open(limit), 8);
	assert_int_equal(load(&counters(&b.server, NET_TCP)->connections), 1);
	assert_int_equal(load(&counters(&a.server, NET_UNIXSTREAM)->connections_closed_idle), 1);
	assert_int_equal(load(&counters(&a.server, NET_TCP)->connections_closed_idle), 0);
	assert_true(waits_for_end(clients[0]));
	for (int i = 1; i < 9; i++)
		assert_false(is_closed_by_peer(clients[i]));
	for (int i = 0; i < 9; i++)
		close(clients[i]);
	wait_until(stream_limit_open(limit) == 0);
	runner_stop(&a);
	runner_stop(&b);
	stream_limit_free(&limit);
}

/* Sends what may come too late, when the connection was closed for another one. */
static void
try_send_bytes(int fd, struct span bytes)
{
	if (send(fd, bytes.ptr, bytes.len, MSG_NOSIGNAL) < 0)
		assert_true(errno == EPIPE || errno == ECONNRESET);
}

static uint64_t
count_accepted(struct runner runners[2])
{
	uint64_t sum = 0;
	for (int i = 0; i < 2; i++)
		sum += load(&counters(&runners[i].server, NET_TCP)->connections) +
		       load(&counters(&runners[i].server, NET_UNIXSTREAM)->connections);
	return sum;
}

static uint64_t
count_closed_idle(struct runner runners[2])
{
	uint64_t sum = 0;
	for (int i = 0; i < 2; i++)
		sum += load(&counters(&runners[i].server, NET_TCP)->connections_closed_idle) +
		       load(&counters(&runners[i].server, NET_UNIXSTREAM)->connections_closed_idle);
	return sum;
}

static size_t
count_payloads(struct runner runners[2])
{
	return runners[0].server.received.payloads + runners[1].server.received.payloads;
}

/*
 * Opens far more connections than allowed, to two threads at once, and checks that the limit holds.
 *
 * @burst wait for the lines of so many connections before opening more; 0 = never wait
 */
static void
flood(size_t burst)
{
	struct stream_limit *limit = stream_limit_new(8);
	struct runner runners[2];
	int clients[CLIENTS_MAX];
	runner_start(&runners[0], limit);
	runner_start(&runners[1], limit);
	for (size_t i = 0; i < CLIENTS_MAX; i++) {
		clients[i] =
		    connect_client(&runners[i % 3 > 0].server, i % 2 ? NET_TCP : NET_UNIXSTREAM);
		try_send_bytes(clients[i], SPAN("a:1|c\n"));
		assert_in_range(stream_limit_open(limit), 0, 8);
		if (burst && (i + 1) % burst == 0)
			wait_until(count_payloads(runners) == i + 1);
	}
	wait_until(count_accepted(runners) == CLIENTS_MAX);
	wait_until(count_closed_idle(runners) + stream_limit_open(limit) == CLIENTS_MAX);
	for (int i = 0; i < CLIENTS_MAX; i++)
		close(clients[i]);
	wait_until(stream_limit_open(limit) == 0);
	assert_in_range(count_payloads(runners), burst ? CLIENTS_MAX : 1, CLIENTS_MAX);
	runner_stop(&runners[0]);
	runner_stop(&runners[1]);
	stream_limit_free(&limit);
}

/* Nothing is lost as long as a connection has sent its lines when others become more recent. */
static void
test_threads__more_connections_than_allowed(void **state)
{
	(void)state;
	flood(4);
}

static void
test_threads__flood(void **state)
{
	(void)state;
	flood(0);
}

static void
test_free__nothing(void **state)
{
	(void)state;
	struct stream_limit *limit = NULL;
	struct stream_pool *pool = NULL;
	struct stream_listener *listener = NULL;
	stream_listener_free(&listener);
	stream_pool_free(&pool);
	stream_limit_free(&limit);
	limit = stream_limit_new(1);
	assert_int_equal(stream_limit_open(limit), 0);
	stream_limit_free(&limit);
	assert_null(limit);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_lines),
	    cmocka_unit_test(test_unix_stream),
	    cmocka_unit_test(test_frames__byte_by_byte),
	    cmocka_unit_test(test_lines__byte_by_byte),
	    cmocka_unit_test(test_reset),
	    cmocka_unit_test(test_bad_frame__closes),
	    cmocka_unit_test(test_too_long_line),
	    cmocka_unit_test(test_bulk),
	    cmocka_unit_test(test_fairness),
	    cmocka_unit_test(test_fairness__slow_payloads),
	    cmocka_unit_test(test_fairness__slow_and_busy),
	    cmocka_unit_test(test_accepted_sockets__options),
	    cmocka_unit_test(test_limit__longest_idle_is_closed),
	    cmocka_unit_test(test_limit__closed_one_is_read_before),
	    cmocka_unit_test(test_limit__of_one),
	    cmocka_unit_test(test_limit__busy_owner),
	    cmocka_unit_test(test_limit__room_by_an_ordinary_end),
	    cmocka_unit_test(test_limit__room_by_a_pool_that_ends),
	    cmocka_unit_test(test_limit__many_at_once),
	    cmocka_unit_test(test_idle_connections__stay),
	    cmocka_unit_test(test_accept__out_of_descriptors),
	    cmocka_unit_test(test_accept__dead_listener),
	    cmocka_unit_test(test_peer_that_never_reads),
	    cmocka_unit_test(test_pool__free_processes_the_last_line),
	    cmocka_unit_test(test_pool__drain),
	    cmocka_unit_test(test_listener__shared_socket),
	    cmocka_unit_test(test_threads__longest_idle_of_another_thread),
	    cmocka_unit_test(test_threads__more_connections_than_allowed),
	    cmocka_unit_test(test_threads__flood),
	    cmocka_unit_test(test_free__nothing),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
