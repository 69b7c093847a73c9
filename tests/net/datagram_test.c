#include "harness.h"

#include "base/clock.h"
#include "net/datagram.h"
#include "net/socket.h"
#include "net/turn.h"

#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/syscall.h>
#include <sys/un.h>

/* What the system call does next: `fails` times errno `error`, then as always. */
static struct {
	int error;
	int fails;
	int calls;
	unsigned largest_batch;
} receiving;

int
recvmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags, struct timespec *timeout)
{
	receiving.calls++;
	if (count > receiving.largest_batch)
		receiving.largest_batch = count;
	if (receiving.fails > 0) {
		receiving.fails--;
		errno = receiving.error;
		return -1;
	}
	return (int)syscall(SYS_recvmmsg, fd, messages, count, flags, timeout);
}

/* A listener, a client that is connected to it, and what came. */
struct fixture {
	struct folder folder;
	struct ev_loop *loop;
	struct datagram_buffers *buffers;
	struct datagram_listener *listener;
	struct received received;
	enum net_transport transport;
	int client;
};

static void
fixture_init(struct fixture *f, enum net_transport transport)
{
	memset(&receiving, 0, sizeof(receiving));
	folder_init(&f->folder);
	received_init(&f->received);
	f->transport = transport;
	f->loop = ev_loop_new(EVFLAG_AUTO);
	f->buffers = datagram_buffers_new();
	struct address address;
	const char *error;
	const char *path = folder_file(&f->folder, "s.sock");
	int fd;
	if (transport == NET_UDP) {
		assert_int_equal(address_parse("127.0.0.1:0", true, &address, &error), 0);
		fd = socket_bind_udp(&address, false);
		assert_true(socket_set_receive_buffer(fd, 2000000) > 0);
		address.len = sizeof(address.storage);
		assert_int_equal(getsockname(fd, (struct sockaddr *)&address.storage, &address.len),
				 0);
	} else {
		fd = socket_bind_unix(path, SOCK_DGRAM, 0700);
		assert_int_equal(address_parse_unix(path, &address, &error), 0);
	}
	assert_true(fd >= 0);
	f->listener = datagram_listener_new(f->loop, fd, transport, f->buffers, &f->received.sink);
	assert_int_equal(datagram_listener_fd(f->listener), fd);
	f->client = socket(address.storage.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int room = 1000000;
	assert_int_equal(setsockopt(f->client, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)), 0);
	assert_int_equal(connect(f->client, (const struct sockaddr *)&address.storage, address.len),
			 0);
}

static void
fixture_fini(struct fixture *f)
{
	datagram_listener_free(&f->listener);
	assert_null(f->listener);
	datagram_buffers_free(&f->buffers);
	assert_null(f->buffers);
	ev_loop_destroy(f->loop);
	close(f->client);
	received_fini(&f->received);
	folder_fini(&f->folder);
}

static struct net_counters *
counters(struct fixture *f)
{
	return &f->received.sink.counters[f->transport];
}

static void
send_datagram(struct fixture *f, struct span bytes)
{
	assert_int_equal(send(f->client, bytes.ptr, bytes.len, 0), bytes.len);
}

static void
receive_packets(struct fixture *f, uint64_t count)
{
	run_until(f->loop, load(&counters(f)->packets) >= count);
	assert_int_equal(load(&counters(f)->packets), count);
}

static void
check_datagram(enum net_transport transport, struct span bytes, struct span text)
{
	struct fixture f;
	fixture_init(&f, transport);
	send_datagram(&f, bytes);
	receive_packets(&f, 1);
	if (!span_equal(buf_span(&f.received.text), text))
		fail_msg("got \"%.*s\", want \"%.*s\"", SPAN_ARGS(buf_span(&f.received.text)),
			 SPAN_ARGS(text));
	assert_int_equal(load(&counters(&f)->bytes), bytes.len);
	assert_int_equal(load(&counters(&f)->truncated), 0);
	fixture_fini(&f);
}

static void
test_receive__one(void **state)
{
	(void)state;
	for (enum net_transport t = NET_UDP; t <= NET_UNIXGRAM; t += NET_UNIXGRAM - NET_UDP) {
		check_datagram(t, SPAN("a:1|c"), SPAN("[a:1|c]"));
		check_datagram(t, SPAN("a:1|c\n"), SPAN("[a:1|c\n]"));
		check_datagram(t, SPAN("a:1|c\r\nb\n\nc"), SPAN("[a:1|c\r\nb\n\nc]"));
		check_datagram(t, SPAN("a\0b"), SPAN("[a\0b]"));
		/* K1: nothing is a payload of one empty line. */
		check_datagram(t, SPAN(""), SPAN("[]"));
	}
}

static void
test_receive__length_prefix(void **state)
{
	(void)state;
	/* K6 and K7 */
	check_datagram(NET_UNIXGRAM, SPAN("\5\0\0\0a:1|c"), SPAN("[a:1|c]"));
	check_datagram(NET_UNIXGRAM, SPAN("\5\0\0\0a:1|c\n"), SPAN("[\5\0\0\0a:1|c\n]"));
	check_datagram(NET_UNIXGRAM, SPAN("\0\0\0\0"), SPAN("[]"));
	check_datagram(NET_UNIXGRAM, SPAN("\0\0\0\0a"), SPAN("[\0\0\0\0a]"));
	check_datagram(NET_UNIXGRAM, SPAN("\xff\xff\xff\xff"), SPAN("[\xff\xff\xff\xff]"));
	check_datagram(NET_UNIXGRAM, SPAN("\0\0\0"), SPAN("[\0\0\0]"));
	check_datagram(NET_UDP, SPAN("\5\0\0\0a:1|c"), SPAN("[\5\0\0\0a:1|c]"));
}

/* An empty datagram is not the end of anything. */
static void
test_receive__goes_on_behind_an_empty_one(void **state)
{
	(void)state;
	struct fixture f;
	fixture_init(&f, NET_UDP);
	send_datagram(&f, SPAN("a"));
	send_datagram(&f, SPAN(""));
	send_datagram(&f, SPAN("b"));
	receive_packets(&f, 3);
	assert_span_equal(buf_span(&f.received.text), "[a][][b]");
	fixture_fini(&f);
}

/* K2 */
static void
test_receive__largest_udp(void **state)
{
	(void)state;
	static char bytes[65507];
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = "a:1|c\n"[i % 6];
	struct fixture f;
	fixture_init(&f, NET_UDP);
	send_datagram(&f, span_of(bytes, sizeof(bytes)));
	receive_packets(&f, 1);
	assert_int_equal(f.received.text.len, sizeof(bytes) + 2);
	assert_memory_equal(f.received.text.ptr + 1, bytes, sizeof(bytes));
	assert_int_equal(load(&counters(&f)->truncated), 0);
	fixture_fini(&f);
}

/*
 * K4, K5, K10: sends `len` times 'x' with a '\n' at `newline`, unless that is negative.
 *
 * @want bytes of the payload, negative when there is to be none
 */
static void
check_long_datagram(size_t len, ssize_t newline, ssize_t want, bool truncated)
{
	struct fixture f;
	fixture_init(&f, NET_UNIXGRAM);
	char *bytes = malloc(len);
	assert_non_null(bytes);
	memset(bytes, 'x', len);
	if (newline >= 0)
		bytes[newline] = '\n';
	send_datagram(&f, span_of(bytes, len));
	send_datagram(&f, SPAN("next"));
	receive_packets(&f, 2);
	assert_int_equal(load(&counters(&f)->truncated), truncated);
	struct span got = buf_span(&f.received.text);
	if (want >= 0) {
		assert_true(got.len > (size_t)want + 2);
		assert_memory_equal(got.ptr + 1, bytes, want);
		got = span_from(got, (size_t)want + 2);
	}
	assert_span_equal(got, "[next]");
	free(bytes);
	fixture_fini(&f);
}

static void
test_receive__truncated(void **state)
{
	(void)state;
	check_long_datagram(DATAGRAM_MAX, -1, DATAGRAM_MAX, false);
	check_long_datagram(DATAGRAM_MAX, 5, DATAGRAM_MAX, false);
	check_long_datagram(DATAGRAM_MAX + 1, 5, 6, true);
	check_long_datagram(DATAGRAM_MAX + 1, 0, 1, true);
	check_long_datagram(DATAGRAM_MAX + 1, DATAGRAM_MAX - 1, DATAGRAM_MAX, true);
	check_long_datagram(DATAGRAM_MAX + 1, DATAGRAM_MAX, -1, true);
	check_long_datagram(DATAGRAM_MAX + 1, -1, -1, true);
	check_long_datagram(200000, 60000, 60001, true);
	check_long_datagram(200000, 100000, -1, true);
}

/* A long datagram in a slot must not show in the shorter ones that use the slot after it. */
static void
test_receive__slots_are_used_again(void **state)
{
	(void)state;
	struct fixture f;
	fixture_init(&f, NET_UDP);
	struct buf want = BUF_INIT;
	for (int i = 0; i < 300; i++) {
		char line[32];
		int len = snprintf(line, sizeof(line), "%.*s:%d|c", 1 + i % 3, "abc", i);
		send_datagram(&f, span_of(line, (size_t)len));
		buf_printf(&want, "[%.*s]", len, line);
		if (i % 100 == 0 || i == 299)
			receive_packets(&f, (uint64_t)i + 1);
	}
	assert_span_equal(buf_span(&f.received.text), buf_text(&want));
	assert_int_equal(receiving.largest_batch, 64);
	buf_fini(&want);
	fixture_fini(&f);
}

static void
test_receive__bounded_work(void **state)
{
	(void)state;
	struct fixture f;
	fixture_init(&f, NET_UDP);
	for (int i = 0; i < 1000; i++)
		send_datagram(&f, SPAN("a"));
	ev_run(f.loop, EVRUN_ONCE);
	assert_in_range(load(&counters(&f)->packets), 64, 256);
	assert_in_range(receiving.calls, 1, 4);
	assert_true(f.received.sink.is_behind);
	receive_packets(&f, 1000);
	f.received.sink.is_behind = false;
	send_datagram(&f, SPAN("a"));
	receive_packets(&f, 1001);
	assert_false(f.received.sink.is_behind);
	fixture_fini(&f);
}

/* A payload that takes longer than a turn of the loop may. */
static void
receive_slowly(void *ctx, enum net_transport transport, const char *bytes, size_t len)
{
	receive_payload(ctx, transport, bytes, len);
	/* Longer by what the clock's doubles leave out. */
	for (double end = ev_time() + TURN_S * 1.01; ev_time() < end;)
		;
}

static void
test_receive__bounded_time(void **state)
{
	(void)state;
	struct fixture f;
	fixture_init(&f, NET_UDP);
	f.received.sink.payload = receive_slowly;
	for (int i = 0; i < 128; i++)
		send_datagram(&f, SPAN("a"));
	ev_run(f.loop, EVRUN_ONCE);
	assert_int_equal(receiving.calls, 1);
	assert_int_equal(load(&counters(&f)->packets), 64);
	assert_true(f.received.sink.is_behind);
	f.received.sink.payload = receive_payload;
	receive_packets(&f, 128);
	fixture_fini(&f);
}

static void
send_long(struct fixture *f, int count)
{
	char bytes[5000];
	memset(bytes, 'a', sizeof(bytes));
	while (count--)
		send_datagram(f, span_of(bytes, sizeof(bytes)));
}

/* Long datagrams give way to the loop one by one, and nothing is received before all are handed on. */
static void
test_receive__bounded_time_of_long_ones(void **state)
{
	(void)state;
	struct fixture f;
	fixture_init(&f, NET_UDP);
	f.received.sink.payload = receive_slowly;
	send_long(&f, 5);
	ev_run(f.loop, EVRUN_ONCE);
	assert_int_equal(load(&counters(&f)->packets), 1);
	assert_true(f.received.sink.is_behind);
	for (uint64_t packets = 1; packets < 5;) {
		ev_run(f.loop, EVRUN_ONCE);
		uint64_t now = load(&counters(&f)->packets);
		assert_in_range(now, packets, packets + 1);
		packets = now;
		assert_int_equal(receiving.calls, 1);
	}
	f.received.sink.payload = receive_payload;
	send_datagram(&f, SPAN("b"));
	receive_packets(&f, 6);
	assert_int_equal(receiving.calls, 2);
	assert_int_equal(f.received.text.len, 5 * 5002 + 3);
	assert_true(span_ends(buf_span(&f.received.text), SPAN("a][b]")));
	fixture_fini(&f);
}

/* What one listener has left in the buffers comes before what another receives into them. */
static void
test_receive__rest_of_another(void **state)
{
	(void)state;
	struct fixture f, other;
	fixture_init(&f, NET_UDP);
	f.received.sink.payload = receive_slowly;
	send_long(&f, 3);
	ev_run(f.loop, EVRUN_ONCE);
	assert_int_equal(load(&counters(&f)->packets), 1);
	fixture_init(&other, NET_UDP);
	datagram_listener_free(&other.listener);
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, pair), 0);
	other.listener = datagram_listener_new(f.loop, pair[0], NET_UNIXGRAM, f.buffers,
					       &other.received.sink);
	assert_int_equal(send(pair[1], "b", 1, 0), 1);
	f.received.sink.payload = receive_payload;
	datagram_listener_drain(other.listener, INT64_MAX);
	assert_int_equal(load(&counters(&f)->packets), 3);
	assert_span_equal(buf_span(&other.received.text), "[b]");
	close(pair[1]);
	fixture_fini(&other);
	fixture_fini(&f);
}

/* A listener that goes takes along what it has left, like what is still in its socket. */
static void
test_receive__freed_with_a_rest(void **state)
{
	(void)state;
	struct fixture f;
	fixture_init(&f, NET_UDP);
	f.received.sink.payload = receive_slowly;
	send_long(&f, 3);
	ev_run(f.loop, EVRUN_ONCE);
	datagram_listener_free(&f.listener);
	ev_run(f.loop, EVRUN_NOWAIT);
	assert_int_equal(load(&counters(&f)->packets), 1);
	fixture_fini(&f);
}

static void
test_error__survived(void **state)
{
	(void)state;
	static const struct {
		int error;
		uint64_t counted;
	} rows[] = {
	    {EINTR, 0},   {EAGAIN, 0},   {ECONNREFUSED, 1}, {ENOMEM, 1},
	    {ENOBUFS, 1}, {ENETDOWN, 1}, {EIO, 1},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fixture f;
		fixture_init(&f, NET_UDP);
		receiving.error = rows[i].error;
		receiving.fails = 1;
		send_datagram(&f, SPAN("a:1|c"));
		receive_packets(&f, 1);
		assert_span_equal(buf_span(&f.received.text), "[a:1|c]");
		assert_int_equal(load(&counters(&f)->receive_errors), rows[i].counted);
		assert_true(datagram_listener_is_alive(f.listener));
		assert_int_equal(receiving.calls, 2);
		fixture_fini(&f);
	}
}

/* An error that stays is tried again by a timer, and does not eat the processor. */
static void
test_error__backs_off(void **state)
{
	(void)state;
	struct fixture f;
	fixture_init(&f, NET_UDP);
	receiving.error = ENOMEM;
	receiving.fails = INT32_MAX;
	send_datagram(&f, SPAN("a:1|c"));
	run_until(f.loop, receiving.calls == 1);
	double start = ev_time();
	for (int i = 0; i < 1000; i++)
		ev_run(f.loop, EVRUN_NOWAIT);
	/* However slow the machine is: not more than one try each 10 ms. */
	assert_true(receiving.calls <= 2 + (ev_time() - start) / 0.01);
	run_until(f.loop, receiving.calls >= 3);
	receiving.fails = 0;
	int errors = receiving.calls;
	receive_packets(&f, 1);
	assert_int_equal(load(&counters(&f)->receive_errors), errors);
	fixture_fini(&f);
}

static void
test_error__dead(void **state)
{
	(void)state;
	static const int errors[] = {EBADF, ENOTSOCK, ENOTCONN, EINVAL, EFAULT, EOPNOTSUPP};
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		struct fixture f;
		fixture_init(&f, NET_UDP);
		assert_true(datagram_listener_is_alive(f.listener));
		receiving.error = errors[i];
		receiving.fails = 1;
		send_datagram(&f, SPAN("a:1|c"));
		run_until(f.loop, !datagram_listener_is_alive(f.listener));
		assert_int_equal(load(&counters(&f)->receive_errors), 1);
		/* Nothing is left to wait for, and draining does not try either. */
		ev_run(f.loop, 0);
		datagram_listener_drain(f.listener, INT64_MAX);
		assert_int_equal(receiving.calls, 1);
		assert_int_equal(f.received.payloads, 0);
		fixture_fini(&f);
	}
}

static void
test_drain(void **state)
{
	(void)state;
	struct fixture f;
	fixture_init(&f, NET_UDP);
	for (int i = 0; i < 500; i++)
		send_datagram(&f, SPAN("a"));
	datagram_listener_drain(f.listener, clock_mono().us - 1);
	assert_int_equal(load(&counters(&f)->packets), 0);
	datagram_listener_drain(f.listener, INT64_MAX);
	assert_int_equal(load(&counters(&f)->packets), 500);
	datagram_listener_drain(f.listener, INT64_MAX);
	assert_int_equal(load(&counters(&f)->packets), 500);
	fixture_fini(&f);
}

static int
count_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	assert_non_null(dir);
	int count = 0;
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

/* Sends `text` with a copy of `descriptor` beside it. */
static void
send_descriptor(struct fixture *f, struct span text, int descriptor)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {{0}};
	char copy[16];
	memcpy(copy, text.ptr, text.len);
	struct iovec slot = {copy, text.len};
	struct msghdr message = {
	    .msg_iov = &slot,
	    .msg_iovlen = 1,
	    .msg_control = control.bytes,
	    .msg_controllen = sizeof(control.bytes),
	};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &descriptor, sizeof(int));
	assert_int_equal(sendmsg(f->client, &message, 0), text.len);
}

/* K11 */
static void
test_receive__descriptors_are_not_taken(void **state)
{
	(void)state;
	struct fixture f;
	fixture_init(&f, NET_UNIXGRAM);
	int before = count_descriptors();
	for (uint64_t i = 1; i <= 50; i++) {
		send_descriptor(&f, SPAN("a:1|c"), STDERR_FILENO);
		receive_packets(&f, i);
	}
	assert_int_equal(count_descriptors(), before);
	assert_int_equal(count_lines(&f.received), 50);
	fixture_fini(&f);
}

/* K8, K9: credentials that nobody asked room for do not harm the text. */
static void
test_receive__credentials(void **state)
{
	(void)state;
	struct fixture f;
	fixture_init(&f, NET_UNIXGRAM);
	int on = 1;
	assert_int_equal(
	    setsockopt(datagram_listener_fd(f.listener), SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)),
	    0);
	send_datagram(&f, SPAN("a:1|c"));
	receive_packets(&f, 1);
	assert_span_equal(buf_span(&f.received.text), "[a:1|c]");
	assert_int_equal(load(&counters(&f)->truncated), 0);
	fixture_fini(&f);
}

static void
test_listeners__share_buffers(void **state)
{
	(void)state;
	struct fixture f;
	fixture_init(&f, NET_UDP);
	const char *path = folder_file(&f.folder, "second.sock");
	int fd = socket_bind_unix(path, SOCK_DGRAM, 0700);
	struct datagram_listener *second =
	    datagram_listener_new(f.loop, fd, NET_UNIXGRAM, f.buffers, &f.received.sink);
	struct address address;
	const char *error;
	assert_int_equal(address_parse_unix(path, &address, &error), 0);
	int client = socket(AF_UNIX, SOCK_DGRAM, 0);
	assert_int_equal(
	    sendto(client, "u", 1, 0, (const struct sockaddr *)&address.storage, address.len), 1);
	send_datagram(&f, SPAN("i"));
	run_until(f.loop, f.received.payloads == 2);
	assert_int_equal(load(&counters(&f)->packets), 1);
	assert_int_equal(load(&f.received.sink.counters[NET_UNIXGRAM].packets), 1);
	close(client);
	datagram_listener_free(&second);
	fixture_fini(&f);
}

#ifndef __SANITIZE_THREAD__ /* it touches what is allocated */
static long
resident_pages(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	long size, resident;
	assert_non_null(file);
	assert_int_equal(fscanf(file, "%ld %ld", &size, &resident), 2);
	fclose(file);
	return resident;
}

/* An idle bridge does not pay for 64 buffers of 64 KiB on each thread. */
static void
test_buffers__untouched_while_idle(void **state)
{
	(void)state;
	struct datagram_buffers *buffers[8];
	long before = resident_pages();
	for (size_t i = 0; i < 8; i++)
		buffers[i] = datagram_buffers_new();
	long grown = resident_pages() - before;
	for (size_t i = 0; i < 8; i++)
		datagram_buffers_free(&buffers[i]);
	assert_true(grown * sysconf(_SC_PAGESIZE) < 8L * 1024 * 1024);
}
#endif

static void
test_free__nothing(void **state)
{
	(void)state;
	struct datagram_listener *listener = NULL;
	struct datagram_buffers *buffers = NULL;
	datagram_listener_free(&listener);
	datagram_buffers_free(&buffers);
	assert_string_equal(net_transport_text(NET_UDP), "udp");
	assert_string_equal(net_transport_text(NET_TCP), "tcp");
	assert_string_equal(net_transport_text(NET_UNIXGRAM), "unixgram");
	assert_string_equal(net_transport_text(NET_UNIXSTREAM), "unixstream");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_receive__one),
	    cmocka_unit_test(test_receive__length_prefix),
	    cmocka_unit_test(test_receive__goes_on_behind_an_empty_one),
	    cmocka_unit_test(test_receive__largest_udp),
	    cmocka_unit_test(test_receive__truncated),
	    cmocka_unit_test(test_receive__slots_are_used_again),
	    cmocka_unit_test(test_receive__bounded_work),
	    cmocka_unit_test(test_receive__bounded_time),
	    cmocka_unit_test(test_receive__bounded_time_of_long_ones),
	    cmocka_unit_test(test_receive__rest_of_another),
	    cmocka_unit_test(test_receive__freed_with_a_rest),
	    cmocka_unit_test(test_error__survived),
	    cmocka_unit_test(test_error__backs_off),
	    cmocka_unit_test(test_error__dead),
	    cmocka_unit_test(test_drain),
	    cmocka_unit_test(test_receive__descriptors_are_not_taken),
	    cmocka_unit_test(test_receive__credentials),
	    cmocka_unit_test(test_listeners__share_buffers),
#ifndef __SANITIZE_THREAD__
	    cmocka_unit_test(test_buffers__untouched_while_idle),
#endif
	    cmocka_unit_test(test_free__nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
