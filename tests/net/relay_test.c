#include "harness.h"

#include "net/relay.h"
#include "net/socket.h"

#include <errno.h>
#include <sys/syscall.h>

/* The next sendto() fails with this; 0 = it sends. */
static int send_error;

ssize_t
sendto(int fd, const void *bytes, size_t len, int flags, const struct sockaddr *to,
       socklen_t to_len)
{
	assert_true(flags & MSG_DONTWAIT);
	if (send_error) {
		errno = send_error;
		return -1;
	}
	return syscall(SYS_sendto, fd, bytes, len, flags, to, to_len);
}

static int
open_target(const char *text, struct address *target)
{
	const char *error;
	assert_int_equal(address_parse(text, true, target, &error), 0);
	int fd = socket_bind_udp(target, false);
	assert_true(fd >= 0);
	target->len = sizeof(target->storage);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&target->storage, &target->len), 0);
	return fd;
}

/* On loopback a datagram has arrived when sending it returns. */
static void
assert_packet(int fd, const char *want)
{
	char packet[65536];
	ssize_t len = recv(fd, packet, sizeof(packet), 0);
	if (len < 0)
		fail_msg("no packet, want \"%s\"", want);
	assert_span_equal(span_of(packet, (size_t)len), want);
}

static void
assert_no_packet(int fd)
{
	char byte;
	assert_int_equal(recv(fd, &byte, 1, 0), -1);
	assert_int_equal(errno, EAGAIN);
}

static void
assert_counters(const struct relay *relay, uint64_t packets, uint64_t lines, uint64_t long_lines,
		uint64_t dropped_packets, uint64_t dropped_lines)
{
	const struct relay_counters *counters = relay_get_counters(relay);
	assert_int_equal(counters->packets, packets);
	assert_int_equal(counters->lines, lines);
	assert_int_equal(counters->long_lines, long_lines);
	assert_int_equal(counters->dropped_packets, dropped_packets);
	assert_int_equal(counters->dropped_lines, dropped_lines);
}

static void
pack_lines(const char *target_text)
{
	struct address target;
	int fd = open_target(target_text, &target);
	struct relay *relay = relay_new(&target, 20);
	assert_non_null(relay);
	relay_add_line(relay, SPAN("aaaaa:1|c"));
	relay_add_line(relay, SPAN("bbbbb:1|c"));
	assert_no_packet(fd);
	relay_add_line(relay, SPAN("c:1|c"));
	assert_packet(fd, "aaaaa:1|c\nbbbbb:1|c\n");
	assert_no_packet(fd);
	relay_flush(relay);
	assert_packet(fd, "c:1|c\n");
	relay_flush(relay);
	assert_no_packet(fd);
	assert_counters(relay, 2, 3, 0, 0, 0);
	relay_free(&relay);
	assert_null(relay);
	close(fd);
}

static void
test_pack(void **state)
{
	(void)state;
	pack_lines("127.0.0.1:0");
}

static void
test_pack__ipv6(void **state)
{
	(void)state;
	pack_lines("[::1]:0");
}

static void
test_line_length(void **state)
{
	(void)state;
	struct address target;
	int fd = open_target("127.0.0.1:0", &target);
	struct relay *relay = relay_new(&target, 10);
	relay_add_line(relay, SPAN("123456789"));
	relay_add_line(relay, SPAN("1234567890"));
	relay_add_line(relay, SPAN("x"));
	assert_packet(fd, "123456789\n");
	relay_add_line(relay, SPAN(""));
	relay_add_line(relay, SPAN("a\0b\r"));
	relay_flush(relay);
	char packet[16];
	assert_int_equal(recv(fd, packet, sizeof(packet), 0), 7);
	assert_memory_equal(packet, "x\na\0b\r\n", 7);
	assert_counters(relay, 2, 3, 1, 0, 0);
	relay_free(&relay);
	close(fd);
}

static void
test_line_length__smallest_and_largest_packet(void **state)
{
	(void)state;
	struct address target;
	int fd = open_target("127.0.0.1:0", &target);
	struct relay *relay = relay_new(&target, 2);
	relay_add_line(relay, SPAN("ab"));
	relay_add_line(relay, SPAN("a"));
	relay_add_line(relay, SPAN("b"));
	assert_packet(fd, "a\n");
	relay_free(&relay);
	assert_packet(fd, "b\n");

	static char line[65507];
	memset(line, 'x', sizeof(line));
	relay = relay_new(&target, 65507);
	relay_add_line(relay, span_of(line, sizeof(line)));
	relay_add_line(relay, span_of(line, sizeof(line) - 1));
	relay_flush(relay);
	static char packet[65536];
	assert_int_equal(recv(fd, packet, sizeof(packet), 0), 65507);
	assert_counters(relay, 1, 1, 1, 0, 0);
	relay_free(&relay);
	close(fd);
}

static void
test_failure__counted_and_the_next_sent(void **state)
{
	(void)state;
	static const int errors[] = {EAGAIN, ENOBUFS, ECONNREFUSED, EPERM, ENETUNREACH, EMSGSIZE};
	struct address target;
	int fd = open_target("127.0.0.1:0", &target);
	struct relay *relay = relay_new(&target, 100);
	size_t count = sizeof(errors) / sizeof(errors[0]);
	for (size_t i = 0; i < count; i++) {
		send_error = errors[i];
		relay_add_line(relay, SPAN("lost:1|c"));
		relay_add_line(relay, SPAN("lost:2|c"));
		relay_flush(relay);
		send_error = 0;
		relay_add_line(relay, SPAN("sent:1|c"));
		relay_flush(relay);
		assert_packet(fd, "sent:1|c\n");
		assert_no_packet(fd);
	}
	assert_counters(relay, 2 * count, 3 * count, 0, count, 2 * count);
	relay_free(&relay);
	close(fd);
}

static void
test_failure__target_that_nobody_listens_on(void **state)
{
	(void)state;
	struct address target;
	int fd = open_target("127.0.0.1:0", &target);
	close(fd);
	struct relay *relay = relay_new(&target, 100);
	for (int i = 0; i < 10; i++) {
		relay_add_line(relay, SPAN("a:1|c"));
		relay_flush(relay);
	}
	/* The answers that nobody is there do not make later packets fail. */
	assert_counters(relay, 10, 10, 0, 0, 0);
	relay_free(&relay);
}

static void
test_failure__kernel_refuses(void **state)
{
	(void)state;
	struct address target;
	const char *error;
	assert_int_equal(address_parse("127.0.0.1:0", false, &target, &error), 0);
	struct relay *relay = relay_new(&target, 100);
	relay_add_line(relay, SPAN("a:1|c"));
	relay_flush(relay);
	assert_counters(relay, 1, 1, 0, 1, 1);
	relay_free(&relay);
}

static void
test_new__no_socket(void **state)
{
	(void)state;
	struct address target = {.storage.ss_family = AF_MAX, .len = 16};
	assert_null(relay_new(&target, 100));
}

static void
test_free__twice(void **state)
{
	(void)state;
	struct relay *relay = NULL;
	relay_free(&relay);
	assert_null(relay);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_pack),
	    cmocka_unit_test(test_pack__ipv6),
	    cmocka_unit_test(test_line_length),
	    cmocka_unit_test(test_line_length__smallest_and_largest_packet),
	    cmocka_unit_test(test_failure__counted_and_the_next_sent),
	    cmocka_unit_test(test_failure__target_that_nobody_listens_on),
	    cmocka_unit_test(test_failure__kernel_refuses),
	    cmocka_unit_test(test_new__no_socket),
	    cmocka_unit_test(test_free__twice),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
