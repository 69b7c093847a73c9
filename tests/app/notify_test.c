/*
 * The service manager is a datagram socket of the test's own. The environment is the test's, too.
 */
#include "test.h"

#include "app/notify.h"
#include "base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* An abstract name: no file to remove. */
static int
open_manager(void)
{
	char name[64];
	struct address address;
	const char *error;
	snprintf(name, sizeof(name), "@statsbridge-notify-test-%d", getpid());
	assert_int_equal(address_parse_unix(name, &address, &error), 0);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_return_code(fd, errno);
	assert_return_code(bind(fd, (struct sockaddr *)&address.storage, address.len), errno);
	setenv("NOTIFY_SOCKET", name, 1);
	return fd;
}

static void
assert_told(int fd, const char *expected)
{
	char text[256];
	ssize_t len = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);
	assert_return_code(len, errno);
	text[len] = '\0';
	assert_string_equal(text, expected);
}

static void
test_notify__every_message(void **state)
{
	(void)state;
	struct notify notify = {0};
	int fd = open_manager();
	assert_int_equal(notify_open(&notify), 0);
	assert_null(getenv("NOTIFY_SOCKET"));
	notify_ready(&notify, "fine");
	assert_told(fd, "READY=1\nSTATUS=fine\n");
	clock_fake(1234);
	notify_reloading(&notify);
	clock_fake(-1);
	assert_told(fd, "RELOADING=1\nMONOTONIC_USEC=1234\n");
	notify_watchdog(&notify);
	assert_told(fd, "WATCHDOG=1\n");
	notify_stopping(&notify);
	assert_told(fd, "STOPPING=1\nSTATUS=Taking what the sockets hold\n");
	notify_fini(&notify);
	close(fd);
}

static void
test_notify__watchdog_period(void **state)
{
	(void)state;
	char own[16];
	snprintf(own, sizeof(own), "%d", getpid());
	const struct {
		const char *period, *pid;
		int64_t expected;
	} rows[] = {
	    {"3000000", NULL, 1500000},
	    {"3000000", own, 1500000},
	    {"3000000", "1", 0},
	    {"3000000", "", 0},
	    {"0", NULL, 0},
	    {"1", NULL, 0},
	    {"-5", NULL, 0},
	    {"", NULL, 0},
	    {"3s", NULL, 0},
	    {"99999999999999", NULL, 0},
	    {"99999999999999999999999", NULL, 0},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct notify notify = {0};
		int fd = open_manager();
		setenv("WATCHDOG_USEC", rows[i].period, 1);
		if (rows[i].pid)
			setenv("WATCHDOG_PID", rows[i].pid, 1);
		assert_int_equal(notify_open(&notify), rows[i].expected);
		assert_null(getenv("WATCHDOG_USEC"));
		assert_null(getenv("WATCHDOG_PID"));
		notify_fini(&notify);
		close(fd);
	}
}

static void
test_notify__nobody_there(void **state)
{
	(void)state;
	static const char *const names[] = {NULL, "", "/does/not/exist", "@nobody-is-here"};
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		struct notify notify = {0};
		if (names[i])
			setenv("NOTIFY_SOCKET", names[i], 1);
		assert_int_equal(notify_open(&notify), 0);
		notify_ready(&notify, "fine");
		notify_fini(&notify);
	}
}

/* A manager that does not read must not hold up the program. */
static void
test_notify__manager_that_does_not_read(void **state)
{
	(void)state;
	struct notify notify = {0};
	int fd = open_manager();
	notify_open(&notify);
	for (int i = 0; i < 10000; i++)
		notify_watchdog(&notify);
	assert_told(fd, "WATCHDOG=1\n");
	notify_fini(&notify);
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_notify__every_message),
	    cmocka_unit_test(test_notify__watchdog_period),
	    cmocka_unit_test(test_notify__nobody_there),
	    cmocka_unit_test(test_notify__manager_that_does_not_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
