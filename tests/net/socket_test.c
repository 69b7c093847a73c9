#include "harness.h"

#include "net/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static bool listening_fails;

int
listen(int fd, int backlog)
{
	if (listening_fails) {
		errno = EADDRINUSE;
		return -1;
	}
	return (int)syscall(SYS_listen, fd, backlog);
}

static struct folder folder;

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

static struct address
parse(const char *text)
{
	struct address address;
	const char *error = NULL;
	if (address_parse(text, true, &address, &error) != 0)
		fail_msg("%s: %s", text, error);
	return address;
}

/* @return the address at `host` with the port of a bound socket */
static struct address
with_port_of(const char *host, int fd)
{
	char text[64];
	snprintf(text, sizeof(text), "%s:%u", host, socket_port(fd));
	return parse(text);
}

static void
assert_flags(int fd)
{
	assert_true(fd >= 0);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
}

static int
get_option(int fd, int level, int option)
{
	int value = -1;
	socklen_t len = sizeof(value);
	assert_int_equal(getsockopt(fd, level, option, &value, &len), 0);
	return value;
}

static int
connect_to(const struct address *address, int type)
{
	int fd = socket(address->storage.ss_family, type | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	if (connect(fd, (const struct sockaddr *)&address->storage, address->len) == 0)
		return fd;
	close(fd);
	return -1;
}

static bool
udp_reaches(int fd, const char *host)
{
	struct address address = with_port_of(host, fd);
	int client = connect_to(&address, SOCK_DGRAM);
	assert_true(client >= 0);
	assert_int_equal(send(client, "x", 1, 0), 1);
	close(client);
	char byte;
	return recv(fd, &byte, 1, 0) == 1;
}

static void
test_udp__dual_stack(void **state)
{
	(void)state;
	struct address every = parse(":0");
	int fd = socket_bind_udp(&every, false);
	assert_flags(fd);
	assert_int_not_equal(socket_port(fd), 0);
	assert_true(udp_reaches(fd, "127.0.0.1"));
	assert_true(udp_reaches(fd, "[::1]"));
	close(fd);
}

static void
test_udp__one_family(void **state)
{
	(void)state;
	struct address ipv4 = parse("127.0.0.1:0"), ipv6 = parse("[::1]:0");
	int fd = socket_bind_udp(&ipv4, false);
	assert_flags(fd);
	assert_true(udp_reaches(fd, "127.0.0.1"));
	assert_false(udp_reaches(fd, "[::1]"));
	close(fd);
	fd = socket_bind_udp(&ipv6, false);
	assert_flags(fd);
	assert_true(udp_reaches(fd, "[::1]"));
	assert_int_equal(get_option(fd, IPPROTO_IPV6, IPV6_V6ONLY), 1);
	close(fd);
}

static void
test_tcp__dual_stack(void **state)
{
	(void)state;
	struct address every = parse(":0");
	int fd = socket_listen_tcp(&every, false);
	assert_flags(fd);
	struct address ipv4 = with_port_of("127.0.0.1", fd), ipv6 = with_port_of("[::1]", fd);
	int a = connect_to(&ipv4, SOCK_STREAM), b = connect_to(&ipv6, SOCK_STREAM);
	assert_true(a >= 0);
	assert_true(b >= 0);
	close(a);
	close(b);
	close(fd);
}

static void
test_bind__address_that_is_not_ours(void **state)
{
	(void)state;
	struct address address = parse("192.0.2.1:0");
	assert_int_equal(socket_bind_udp(&address, false), -1);
	assert_int_equal(socket_listen_tcp(&address, false), -1);
}

static int
open_port(const struct address *address, int type, bool reuse_port)
{
	return type == SOCK_DGRAM ? socket_bind_udp(address, reuse_port)
				  : socket_listen_tcp(address, reuse_port);
}

static void
test_reuse_port(void **state)
{
	(void)state;
	static const int types[] = {SOCK_DGRAM, SOCK_STREAM};
	for (size_t i = 0; i < 2; i++) {
		struct address address = parse("127.0.0.1:0");
		int first = open_port(&address, types[i], true);
		address = with_port_of("127.0.0.1", first);
		int second = open_port(&address, types[i], true);
		assert_flags(second);
		assert_int_equal(socket_port(first), socket_port(second));
		assert_int_equal(open_port(&address, types[i], false), -1);
		close(first);
		close(second);
	}
}

static void
test_probe__finds_a_live_bridge(void **state)
{
	(void)state;
	static const int types[] = {SOCK_DGRAM, SOCK_STREAM};
	static const char *const hosts[] = {"", "127.0.0.1", "[::1]"};
	for (size_t i = 0; i < 2; i++) {
		for (size_t j = 0; j < 3; j++) {
			char text[32];
			snprintf(text, sizeof(text), "%s:0", hosts[j]);
			struct address address = parse(text);
			assert_int_equal(socket_probe(&address, types[i]), 0);
			int live = open_port(&address, types[i], true);
			assert_true(live >= 0);
			address = with_port_of(hosts[j], live);
			struct address every = with_port_of("", live);
			assert_int_equal(socket_probe(&address, types[i]), -1);
			assert_int_equal(socket_probe(&every, types[i]), -1);
			close(live);
			assert_int_equal(socket_probe(&address, types[i]), 0);
		}
	}
}

/* Our end closes first and keeps the port in TIME_WAIT; a restart must not have to wait. */
static void
test_probe__port_in_time_wait(void **state)
{
	(void)state;
	struct address address = parse("127.0.0.1:0");
	int listener = socket_listen_tcp(&address, true);
	address = with_port_of("127.0.0.1", listener);
	int client = connect_to(&address, SOCK_STREAM);
	assert_true(client >= 0);
	int accepted = accept(listener, NULL, NULL);
	assert_true(accepted >= 0);
	close(accepted);
	close(client);
	close(listener);
	assert_int_equal(socket_probe(&address, SOCK_STREAM), 0);
	listener = socket_listen_tcp(&address, true);
	assert_flags(listener);
	close(listener);
}

static mode_t
mode_of(const char *path)
{
	struct stat info;
	assert_int_equal(stat(path, &info), 0);
	assert_true(S_ISSOCK(info.st_mode));
	return info.st_mode & 07777;
}

static void
test_unix__mode(void **state)
{
	(void)state;
	static const struct {
		mode_t mask;
		int mode;
		mode_t want;
	} rows[] = {
	    {022, 0722, 0722}, {077, 0777, 0777}, {0, 0600, 0600}, {0, 0, 0},
	    {0, 01777, 0777},  {022, -1, 0755},   {077, -1, 0700},
	};
	const char *path = folder_file(&folder, "mode.sock");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		mode_t old = umask(rows[i].mask);
		int fd = socket_bind_unix(path, SOCK_DGRAM, rows[i].mode);
		umask(old);
		assert_flags(fd);
		assert_int_equal(mode_of(path), rows[i].want);
		assert_int_equal(socket_port(fd), 0);
		close(fd);
		socket_remove_unix(path);
		assert_int_equal(access(path, F_OK), -1);
	}
}

static void
test_unix__stale_file_is_replaced(void **state)
{
	(void)state;
	static const int types[] = {SOCK_DGRAM, SOCK_STREAM};
	const char *path = folder_file(&folder, "stale.sock");
	/* Also when the dead process had the other kind of socket there. */
	for (size_t i = 0; i < 4; i++) {
		int dead = socket_bind_unix(path, types[i / 2], 0700);
		assert_true(dead >= 0);
		close(dead);
		assert_int_equal(access(path, F_OK), 0);
		int fd = socket_bind_unix(path, types[i % 2], 0700);
		assert_flags(fd);
		struct address address;
		const char *error;
		assert_int_equal(address_parse_unix(path, &address, &error), 0);
		int client = connect_to(&address, types[i % 2]);
		assert_true(client >= 0);
		close(client);
		close(fd);
	}
}

static void
test_unix__live_socket_is_refused(void **state)
{
	(void)state;
	static const int types[] = {SOCK_DGRAM, SOCK_STREAM};
	const char *path = folder_file(&folder, "live.sock");
	for (size_t i = 0; i < 4; i++) {
		int live = socket_bind_unix(path, types[i / 2], 0700);
		assert_true(live >= 0);
		assert_int_equal(socket_bind_unix(path, types[i % 2], 0700), -1);
		assert_int_equal(mode_of(path), 0700);
		struct address address;
		const char *error;
		assert_int_equal(address_parse_unix(path, &address, &error), 0);
		int client = connect_to(&address, types[i / 2]);
		assert_true(client >= 0);
		close(client);
		close(live);
		socket_remove_unix(path);
	}
}

/* A live listener whose queue is full answers EAGAIN, which is no proof of death. */
static void
test_unix__full_queue_is_alive(void **state)
{
	(void)state;
	const char *path = folder_file(&folder, "full.sock");
	int live = socket_bind_unix(path, SOCK_STREAM, 0700);
	assert_int_equal(listen(live, 0), 0);
	struct address address;
	const char *error;
	assert_int_equal(address_parse_unix(path, &address, &error), 0);
	int client = connect_to(&address, SOCK_STREAM);
	assert_true(client >= 0);
	int more = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	assert_int_equal(connect(more, (const struct sockaddr *)&address.storage, address.len), -1);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(socket_bind_unix(path, SOCK_STREAM, 0700), -1);
	assert_int_equal(access(path, F_OK), 0);
	close(more);
	close(client);
	close(live);
}

static void
test_unix__other_files_are_refused_and_kept(void **state)
{
	(void)state;
	struct stat info;
	char target[sizeof(folder.file)];
	snprintf(target, sizeof(target), "%s", folder_file(&folder, "file"));
	FILE *file = fopen(target, "w");
	assert_non_null(file);
	fclose(file);
	assert_int_equal(socket_bind_unix(target, SOCK_DGRAM, 0700), -1);
	socket_remove_unix(target);
	assert_int_equal(lstat(target, &info), 0);
	assert_true(S_ISREG(info.st_mode));

	const char *link = folder_file(&folder, "link");
	assert_int_equal(symlink("nowhere", link), 0);
	assert_int_equal(socket_bind_unix(link, SOCK_DGRAM, 0700), -1);
	socket_remove_unix(link);
	assert_int_equal(lstat(link, &info), 0);
	assert_true(S_ISLNK(info.st_mode));

	assert_int_equal(socket_bind_unix(folder.path, SOCK_STREAM, 0700), -1);
	assert_int_equal(lstat(folder.path, &info), 0);
}

static void
test_unix__bad_paths(void **state)
{
	(void)state;
	char path[200];
	memset(path, 'a', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(socket_bind_unix(path, SOCK_DGRAM, 0700), -1);
	assert_int_equal(socket_bind_unix("", SOCK_DGRAM, 0700), -1);
	assert_int_equal(socket_bind_unix("/no/such/folder/s", SOCK_DGRAM, 0700), -1);
	socket_remove_unix("/no/such/folder/s");
}

static void
test_unix__abstract(void **state)
{
	(void)state;
	char name[64];
	snprintf(name, sizeof(name), "@net-socket-test-%d", (int)getpid());
	int fd = socket_bind_unix(name, SOCK_STREAM, 0700);
	assert_flags(fd);
	struct address address;
	const char *error;
	assert_int_equal(address_parse_unix(name, &address, &error), 0);
	int client = connect_to(&address, SOCK_STREAM);
	assert_true(client >= 0);
	assert_int_equal(socket_bind_unix(name, SOCK_STREAM, 0700), -1);
	socket_remove_unix(name);
	assert_int_equal(access(name, F_OK), -1);
	close(client);
	close(fd);
}

static void
test_unix__no_file_is_left_when_listening_fails(void **state)
{
	(void)state;
	const char *path = folder_file(&folder, "deaf.sock");
	listening_fails = true;
	assert_int_equal(socket_bind_unix(path, SOCK_STREAM, 0700), -1);
	listening_fails = false;
	assert_int_equal(access(path, F_OK), -1);
}

static void
test_receive_buffer(void **state)
{
	(void)state;
	struct address address = parse("127.0.0.1:0");
	int fd = socket_bind_udp(&address, false);
	int64_t large = 200000;
	assert_int_equal(socket_set_receive_buffer(fd, 8192), 16384);
	assert_int_equal(socket_set_receive_buffer(fd, 100000), large);
	assert_int_equal(get_option(fd, SOL_SOCKET, SO_RCVBUF), large);
	/* Beyond what the kernel can say in an int; and nonsense. */
	assert_true(socket_set_receive_buffer(fd, INT64_MAX) >= large);
	assert_true(socket_set_receive_buffer(fd, -1) > 0);
	close(fd);
	assert_int_equal(socket_set_receive_buffer(fd, 8192), -1);
}

static void
test_drops(void **state)
{
	(void)state;
	struct address address = parse("127.0.0.1:0");
	int fd = socket_bind_udp(&address, false);
	assert_int_equal(socket_drops(fd), 0);
	assert_true(socket_set_receive_buffer(fd, 8192) > 0);
	address = with_port_of("127.0.0.1", fd);
	int client = connect_to(&address, SOCK_DGRAM);
	for (int i = 0; i < 200; i++)
		assert_int_equal(send(client, "a:1|c", 5, 0), 5);
	int64_t drops = socket_drops(fd), received = 0;
	char bytes[16];
	while (recv(fd, bytes, sizeof(bytes), 0) == 5)
		received++;
	assert_in_range(drops, 1, 199);
	assert_int_equal(drops + received, 200);
	/* It counts since the socket was opened, and stays when nothing comes. */
	assert_int_equal(socket_drops(fd), drops);
	close(client);
	close(fd);
	assert_int_equal(socket_drops(fd), -1);
	assert_int_equal(socket_port(fd), 0);
}

static void
test_unixgram_queue__is_what_the_kernel_says(void **state)
{
	(void)state;
	char text[32] = "";
	FILE *file = fopen("/proc/sys/net/unix/max_dgram_qlen", "re");
	assert_non_null(file);
	assert_non_null(fgets(text, sizeof(text), file));
	fclose(file);
	assert_int_equal(socket_unixgram_queue(), atoll(text));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_udp__dual_stack),
	    cmocka_unit_test(test_udp__one_family),
	    cmocka_unit_test(test_tcp__dual_stack),
	    cmocka_unit_test(test_bind__address_that_is_not_ours),
	    cmocka_unit_test(test_reuse_port),
	    cmocka_unit_test(test_probe__finds_a_live_bridge),
	    cmocka_unit_test(test_probe__port_in_time_wait),
	    cmocka_unit_test(test_unix__mode),
	    cmocka_unit_test(test_unix__stale_file_is_replaced),
	    cmocka_unit_test(test_unix__live_socket_is_refused),
	    cmocka_unit_test(test_unix__full_queue_is_alive),
	    cmocka_unit_test(test_unix__other_files_are_refused_and_kept),
	    cmocka_unit_test(test_unix__bad_paths),
	    cmocka_unit_test(test_unix__abstract),
	    cmocka_unit_test(test_unix__no_file_is_left_when_listening_fails),
	    cmocka_unit_test(test_receive_buffer),
	    cmocka_unit_test(test_drops),
	    cmocka_unit_test(test_unixgram_queue__is_what_the_kernel_says),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
