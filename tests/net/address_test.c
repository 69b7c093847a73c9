#include "test.h"

#include "net/address.h"

#include <netinet/in.h>
#include <sys/un.h>

static void
test_parse__good(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		bool listening;
		const char *formatted;
		bool dual_stack;
	} rows[] = {
	    {":9125", true, "[::]:9125", true},
	    {"0.0.0.0:9125", true, "[::]:9125", true},
	    {"[::]:9125", true, "[::]:9125", true},
	    {"[]:9125", true, "[::]:9125", true},
	    {"127.0.0.1:9125", true, "127.0.0.1:9125", false},
	    {"127.0.0.1:0", true, "127.0.0.1:0", false},
	    {"127.0.0.1:65535", true, "127.0.0.1:65535", false},
	    {"127.0.0.1:009125", true, "127.0.0.1:9125", false},
	    {"[::1]:9125", true, "[::1]:9125", false},
	    {"[fe80::1%lo]:9125", true, "[fe80::1%lo]:9125", false},
	    {"localhost:9125", true, "127.0.0.1:9125", false},
	    {"0.0.0.0:9125", false, "0.0.0.0:9125", false},
	    {"127.0.0.1:9125", false, "127.0.0.1:9125", false},
	    {"[::1]:1", false, "[::1]:1", false},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct address address;
		const char *error = NULL;
		char text[ADDRESS_TEXT_MAX];
		if (address_parse(rows[i].text, rows[i].listening, &address, &error) != 0)
			fail_msg("%s: %s", rows[i].text, error);
		address_format((const struct sockaddr *)&address.storage, address.len, text);
		assert_string_equal(text, rows[i].formatted);
		assert_int_equal(address.dual_stack, rows[i].dual_stack);
	}
}

static void
test_parse__bad(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		bool listening;
		const char *error;
	} rows[] = {
	    {"", true, "missing port in address"},
	    {"9125", true, "missing port in address"},
	    {"localhost", true, "missing port in address"},
	    {"[::1]", true, "missing port in address"},
	    {"[::1]9125", true, "missing port in address"},
	    {"[::1]x:9125", true, "missing port in address"},
	    {"::1:9125", true, "too many colons in address"},
	    {"1:2:3", true, "too many colons in address"},
	    {"[::1]:9125:1", true, "too many colons in address"},
	    {"[::1:9125", true, "missing ']' in address"},
	    {"::1]:9125", true, "too many colons in address"},
	    {"a]:9125", true, "unexpected bracket in address"},
	    {"a[:9125", true, "unexpected bracket in address"},
	    {"[a[]:9125", true, "unexpected bracket in address"},
	    {"a:91]25", true, "unexpected bracket in address"},
	    {":", true, "bad port"},
	    {"127.0.0.1:", true, "bad port"},
	    {"127.0.0.1:65536", true, "bad port"},
	    {"127.0.0.1:99999999999999999999", true, "bad port"},
	    {"127.0.0.1:-1", true, "bad port"},
	    {"127.0.0.1:+9125", true, "bad port"},
	    {"127.0.0.1: 9125", true, "bad port"},
	    {"127.0.0.1:0x10", true, "bad port"},
	    {"127.0.0.1:http", true, "bad port"},
	    {"127.0.0.1:no-such-service", false, "bad port"},
	    {":9125", false, "missing host in address"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct address address;
		const char *error = NULL;
		if (address_parse(rows[i].text, rows[i].listening, &address, &error) != -1)
			fail_msg("%s was taken", rows[i].text);
		assert_string_equal(error, rows[i].error);
	}
}

static void
test_parse__host_that_does_not_resolve(void **state)
{
	(void)state;
	static const char *const rows[] = {"256.0.0.1x:1", "[::g]:1", "host with blanks:1"};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct address address;
		const char *error = NULL;
		assert_int_equal(address_parse(rows[i], true, &address, &error), -1);
		assert_non_null(error);
	}
}

static void
test_parse__host_too_long(void **state)
{
	(void)state;
	char text[400];
	memset(text, 'a', sizeof(text));
	memcpy(text + sizeof(text) - 3, ":1", 3);
	struct address address;
	const char *error = NULL;
	assert_int_equal(address_parse(text, true, &address, &error), -1);
	assert_string_equal(error, "host name too long");
}

static void
assert_unix_round_trip(const char *path, size_t len)
{
	struct address address;
	const char *error = NULL;
	char text[ADDRESS_TEXT_MAX];
	if (address_parse_unix(path, &address, &error) != 0)
		fail_msg("%s: %s", path, error);
	assert_int_equal(address.storage.ss_family, AF_UNIX);
	assert_int_equal(address.len, offsetof(struct sockaddr_un, sun_path) + len);
	address_format((const struct sockaddr *)&address.storage, address.len, text);
	assert_string_equal(text, path);
}

static void
test_parse_unix(void **state)
{
	(void)state;
	assert_unix_round_trip("/run/s.sock", 12);
	assert_unix_round_trip("relative", 9);
	assert_unix_round_trip("@name", 5);
}

static void
test_parse_unix__longest_and_longer(void **state)
{
	(void)state;
	char path[110];
	struct address address;
	const char *error = NULL;
	memset(path, 'a', sizeof(path));
	path[0] = '/';

	path[107] = '\0';
	assert_unix_round_trip(path, 108);
	path[107] = 'a';
	path[108] = '\0';
	assert_int_equal(address_parse_unix(path, &address, &error), -1);
	assert_string_equal(error, "socket path too long");

	path[0] = '@';
	assert_unix_round_trip(path, 108);
	path[108] = 'a';
	path[109] = '\0';
	assert_int_equal(address_parse_unix(path, &address, &error), -1);
	assert_string_equal(error, "socket path too long");

	assert_int_equal(address_parse_unix("", &address, &error), -1);
	assert_string_equal(error, "empty socket path");
}

static void
test_format__strange(void **state)
{
	(void)state;
	char text[ADDRESS_TEXT_MAX];
	struct sockaddr_un unnamed = {.sun_family = AF_UNIX};
	address_format((const struct sockaddr *)&unnamed, sizeof(sa_family_t), text);
	assert_string_equal(text, "");
	struct sockaddr unknown = {.sa_family = AF_UNSPEC};
	address_format(&unknown, sizeof(unknown), text);
	assert_string_equal(text, "unknown");
	address_format(&unknown, 0, text);
	assert_string_equal(text, "unknown");
}

static void
test_is_loopback__table(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		bool is_loopback;
	} cases[] = {
	    {"127.0.0.1:1", true},   {"127.255.255.254:1", true},
	    {"[::1]:1", true},       {"[::ffff:127.0.0.1]:1", true},
	    {":1", false},           {"0.0.0.0:1", false},
	    {"[::]:1", false},       {"128.0.0.1:1", false},
	    {"10.127.0.1:1", false}, {"[::2]:1", false},
	    {"[127::1]:1", false},   {"[::ffff:10.0.0.1]:1", false},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct address address;
		const char *error;
		assert_int_equal(address_parse(cases[i].text, true, &address, &error), 0);
		if (address_is_loopback(&address) != cases[i].is_loopback)
			fail_msg("%s", cases[i].text);
	}
	struct address path;
	const char *error;
	assert_int_equal(address_parse_unix("/127.0.0.1", &path, &error), 0);
	assert_false(address_is_loopback(&path));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_parse__good),
	    cmocka_unit_test(test_parse__bad),
	    cmocka_unit_test(test_parse__host_that_does_not_resolve),
	    cmocka_unit_test(test_parse__host_too_long),
	    cmocka_unit_test(test_parse_unix),
	    cmocka_unit_test(test_parse_unix__longest_and_longer),
	    cmocka_unit_test(test_format__strange),
	    cmocka_unit_test(test_is_loopback__table),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
