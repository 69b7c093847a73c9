/*
 * The sockets are made here and put where systemd would put them: at descriptor 3 and up, which
 * this program has no other use for.
 */
#include "test.h"

#include "app/inherited.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>
#include <unistd.h>

#define FIRST_FD 3
#define SOCKETS_MAX 4

/* What a descriptor is. */
enum made {
	MADE_NONE, /* ends a list */
	MADE_TCP,
	MADE_UDP,
	MADE_STREAM, /* of Unix */
	MADE_GRAM,
	MADE_CONNECTED,
	MADE_DEAF, /* would be MADE_TCP if it listened */
	MADE_SEQPACKET,
	MADE_NETLINK,
	MADE_FILE,
	MADE_CLOSED,
};

static const struct {
	int domain, type;
	bool listens;
} makes[] = {
    [MADE_TCP] = {AF_INET, SOCK_STREAM, true},
    [MADE_UDP] = {AF_INET, SOCK_DGRAM, false},
    [MADE_STREAM] = {AF_UNIX, SOCK_STREAM, true},
    [MADE_GRAM] = {AF_UNIX, SOCK_DGRAM, false},
    [MADE_DEAF] = {AF_INET6, SOCK_STREAM, false},
    [MADE_SEQPACKET] = {AF_UNIX, SOCK_SEQPACKET, true},
    [MADE_NETLINK] = {AF_NETLINK, SOCK_RAW, false},
};

static int
make_fd(enum made made)
{
	int pair[2];
	if (made == MADE_FILE)
		return open("/dev/null", O_RDWR);
	if (made == MADE_CONNECTED) {
		assert_return_code(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), errno);
		close(pair[1]);
		return pair[0];
	}
	int fd = socket(makes[made].domain, makes[made].type, 0);
	struct sockaddr_un any = {.sun_family = AF_UNIX};
	/* Linux gives it an abstract name then. */
	if (makes[made].domain == AF_UNIX)
		assert_return_code(bind(fd, (struct sockaddr *)&any, sizeof(any.sun_family)),
				   errno);
	if (makes[made].listens)
		assert_return_code(listen(fd, 1), errno);
	return fd;
}

/* Puts a descriptor of this kind at `fd`, where nothing is now. */
static void
place(enum made made, int fd)
{
	close(fd);
	if (made == MADE_CLOSED)
		return;
	int from = make_fd(made);
	assert_return_code(from, errno);
	if (from == fd)
		return;
	assert_return_code(dup2(from, fd), errno);
	close(from);
}

static void
set(const char *name, const char *value)
{
	if (value)
		setenv(name, value, 1);
	else
		unsetenv(name);
}

static void
announce(const char *count, const char *pid, const char *names)
{
	set("LISTEN_FDS", count);
	set("LISTEN_PID", pid);
	set("LISTEN_FDNAMES", names);
}

static const char *
own_pid(void)
{
	static char text[16];
	snprintf(text, sizeof(text), "%d", getpid());
	return text;
}

static void
assert_nothing_announced(void)
{
	assert_null(getenv("LISTEN_FDS"));
	assert_null(getenv("LISTEN_PID"));
	assert_null(getenv("LISTEN_FDNAMES"));
}

static void
test_take__numbers(void **state)
{
	(void)state;
	const struct {
		const char *count, *pid;
		bool ok;
		size_t taken;
	} rows[] = {
	    {"1", own_pid(), true, 1},
	    {"01", own_pid(), true, 1},
	    {"0", own_pid(), true, 0},
	    {NULL, own_pid(), true, 0},
	    /* Meant for others. */
	    {"1", NULL, true, 0},
	    {"1", "", true, 0},
	    {"1", "1", true, 0},
	    {"1", "-1", true, 0},
	    {"1", "x", true, 0},
	    {"1", "99999999999999999999", true, 0},
	    {"nonsense", "1", true, 0},
	    /* Meant for us, and nonsense. */
	    {"", own_pid(), false, 0},
	    {"x", own_pid(), false, 0},
	    {"1x", own_pid(), false, 0},
	    {" 1", own_pid(), false, 0},
	    {"+1", own_pid(), false, 0},
	    {"-1", own_pid(), false, 0},
	    {"257", own_pid(), false, 0},
	    {"4294967297", own_pid(), false, 0},
	    {"9223372036854775807", own_pid(), false, 0},
	    {"99999999999999999999", own_pid(), false, 0},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct inherited inherited = {0};
		place(MADE_UDP, FIRST_FD);
		announce(rows[i].count, rows[i].pid, "a");
		if (inherited_take(&inherited, false) != rows[i].ok ||
		    inherited.count != rows[i].taken)
			fail_msg("LISTEN_FDS=%s LISTEN_PID=%s: %zu taken", rows[i].count,
				 rows[i].pid, inherited.count);
		assert_nothing_announced();
		inherited_fini(&inherited);
		/* What is not taken is left alone. */
		assert_int_equal(fcntl(FIRST_FD, F_GETFD) >= 0, !rows[i].taken);
		close(FIRST_FD);
	}
}

static void
test_take__kinds(void **state)
{
	(void)state;
	static const struct {
		enum made made[SOCKETS_MAX];
		const char *count, *names;
		bool wants_web, ok;
		enum net_transport transports[SOCKETS_MAX];
		bool are_web[SOCKETS_MAX];
	} rows[] = {
	    {{MADE_UDP}, "1", NULL, false, true, {NET_UDP}, {false}},
	    {{MADE_GRAM}, "1", "web", false, true, {NET_UNIXGRAM}, {false}},
	    {{MADE_TCP}, "1", "statsd", false, true, {NET_TCP}, {false}},
	    {{MADE_STREAM}, "1", "statsd-local", false, true, {NET_UNIXSTREAM}, {false}},
	    {{MADE_TCP}, "1", "web", true, true, {NET_TCP}, {true}},
	    {{MADE_STREAM}, "1", NULL, true, true, {NET_UNIXSTREAM}, {true}},
	    /* Names: fewer than sockets, more, and none between colons. */
	    {{MADE_TCP, MADE_TCP}, "2", "statsd", true, true, {NET_TCP, NET_TCP}, {false, true}},
	    {{MADE_TCP, MADE_TCP}, "2", ":statsd", true, true, {NET_TCP, NET_TCP}, {true, false}},
	    {{MADE_TCP, MADE_TCP, MADE_TCP},
	     "3",
	     "a::statsd:",
	     true,
	     true,
	     {NET_TCP, NET_TCP, NET_TCP},
	     {true, true, false}},
	    {{MADE_TCP}, "1", "statsd:web:", false, true, {NET_TCP}, {false}},
	    {{MADE_TCP}, "1", ":::", true, true, {NET_TCP}, {true}},
	    {{MADE_TCP}, "1", "", true, true, {NET_TCP}, {true}},
	    /* Not what is wanted. */
	    {{MADE_NONE}, "0", NULL, true, false, {0}, {0}},
	    {{MADE_UDP}, "1", "web", true, false, {NET_UDP}, {false}},
	    {{MADE_GRAM}, "1", "web", true, false, {NET_UNIXGRAM}, {false}},
	    {{MADE_TCP}, "1", "statsd", true, false, {NET_TCP}, {false}},
	    {{MADE_TCP}, "1", "web", false, false, {NET_TCP}, {true}},
	    {{MADE_TCP}, "1", "Statsd", false, false, {NET_TCP}, {true}},
	    {{MADE_TCP}, "1", "stats", false, false, {NET_TCP}, {true}},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct inherited inherited = {0};
		size_t count = 0;
		for (; count < SOCKETS_MAX && rows[i].made[count]; count++)
			place(rows[i].made[count], FIRST_FD + (int)count);
		announce(rows[i].count, own_pid(), rows[i].names);
		if (inherited_take(&inherited, rows[i].wants_web) != rows[i].ok)
			fail_msg("row %zu: taken, or not", i);
		assert_int_equal(inherited.count, count);
		for (size_t n = 0; n < count; n++) {
			int fd = inherited.sockets[n].fd;
			assert_int_equal(fd, FIRST_FD + (int)n);
			if (inherited.sockets[n].transport != rows[i].transports[n] ||
			    inherited.sockets[n].is_web != rows[i].are_web[n])
				fail_msg("row %zu: socket %zu", i, n);
			assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
			assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
		}
		inherited_fini(&inherited);
	}
}

/* Also behind one that is of use, which does not make up for it. */
static void
test_take__of_no_use(void **state)
{
	(void)state;
	static const enum made rows[] = {MADE_CONNECTED, MADE_DEAF, MADE_SEQPACKET,
					 MADE_NETLINK,   MADE_FILE, MADE_CLOSED};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		for (int before = 0; before < 2; before++) {
			struct inherited inherited = {0};
			place(before ? MADE_UDP : rows[i], FIRST_FD);
			place(before ? rows[i] : MADE_UDP, FIRST_FD + 1);
			announce("2", own_pid(), "statsd:statsd");
			if (inherited_take(&inherited, false))
				fail_msg("row %zu is taken", i);
			inherited_fini(&inherited);
		}
	}
}

static void
test_claim__who_closes(void **state)
{
	(void)state;
	struct inherited inherited = {0};
	place(MADE_UDP, FIRST_FD);
	place(MADE_UDP, FIRST_FD + 1);
	announce("2", own_pid(), NULL);
	assert_true(inherited_take(&inherited, false));
	assert_int_equal(inherited_claim(&inherited.sockets[1]), FIRST_FD + 1);
	inherited_fini(&inherited);
	assert_int_equal(fcntl(FIRST_FD, F_GETFD), -1);
	assert_return_code(fcntl(FIRST_FD + 1, F_GETFD), errno);
	close(FIRST_FD + 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_take__numbers),
	    cmocka_unit_test(test_take__kinds),
	    cmocka_unit_test(test_take__of_no_use),
	    cmocka_unit_test(test_claim__who_closes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
