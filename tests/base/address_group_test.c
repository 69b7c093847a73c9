#include "test.h"

#include "base/address_group.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static struct address_group
client_at(const char *text)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons((in_port_t)random())};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons((in_port_t)random())};
	if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
		return address_group_of(-1, (struct sockaddr *)&v4);
	assert_int_equal(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
	return address_group_of(-1, (struct sockaddr *)&v6);
}

static void
test_of__addresses(void **state)
{
	(void)state;
	static const struct {
		const char *one, *other;
		bool is_same;
	} rows[] = {
	    {"192.0.2.1", "192.0.2.1", true},
	    {"192.0.2.1", "192.0.2.2", false},
	    {"192.0.2.1", "::ffff:192.0.2.1", true},
	    {"::ffff:192.0.2.1", "::ffff:192.0.2.2", false},
	    {"2001:db8:0:1::1", "2001:db8:0:1:ffff:ffff:ffff:ffff", true},
	    {"2001:db8:0:1::1", "2001:db8:0:2::1", false},
	    {"2001:db8:0:1::1", "2001:db9:0:1::1", false},
	    {"::1", "127.0.0.1", false},
	    {"::", "0.0.0.0", false},
	    /* The same bytes, as an address and as a network. */
	    {"192.0.2.1", "c000:201::", false},
	    /* Compatible ones (RFC 4291 section 2.5.5.1) are no longer used for anything. */
	    {"192.0.2.1", "::192.0.2.1", false},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct address_group one = client_at(rows[i].one), other = client_at(rows[i].other);
		if (address_group_equal(one, other) != rows[i].is_same ||
		    (address_group_hash(one) == address_group_hash(other)) != rows[i].is_same)
			fail_msg("%s and %s", rows[i].one, rows[i].other);
	}
}

static struct address_group
unix_client(int fd)
{
	struct sockaddr address = {.sa_family = AF_UNIX};
	return address_group_of(fd, &address);
}

static void
test_of__users_of_this_machine(void **state)
{
	(void)state;
	int mine[2];
	assert_return_code(socketpair(AF_UNIX, SOCK_STREAM, 0, mine), errno);
	struct address_group me = unix_client(mine[0]);
	assert_int_equal(me.family, AF_UNIX);
	assert_int_equal(me.id, geteuid());
	assert_true(address_group_equal(me, unix_client(mine[1])));
	close(mine[0]);
	close(mine[1]);
}

static void
test_of__user_not_told(void **state)
{
	(void)state;
	struct address_group unknown = unix_client(-1);
	assert_true(address_group_equal(unknown, unix_client(-1)));
	assert_int_not_equal(unknown.id, geteuid());
	assert_false(address_group_equal(unknown, client_at("255.255.255.255")));
}

static void
test_of__family_of_another_kind(void **state)
{
	(void)state;
	struct sockaddr address = {.sa_family = AF_UNSPEC};
	struct address_group other = address_group_of(-1, &address);
	assert_true(address_group_equal(other, address_group_of(-1, &address)));
	assert_false(address_group_equal(other, client_at("0.0.0.0")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_of__addresses),
	    cmocka_unit_test(test_of__users_of_this_machine),
	    cmocka_unit_test(test_of__user_not_told),
	    cmocka_unit_test(test_of__family_of_another_kind),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
