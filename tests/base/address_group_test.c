#include "test.h"

#include "base/address_group.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

static uint64_t
group_of(const char *text)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = (in_port_t)text[0]};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6,
				   .sin6_flowinfo = (unsigned char)text[0]};
	if (inet_pton(AF_INET, text, &in.sin_addr) == 1)
		return address_group((struct sockaddr *)&in, -1);
	assert_int_equal(inet_pton(AF_INET6, text, &in6.sin6_addr), 1);
	return address_group((struct sockaddr *)&in6, -1);
}

static void
test_address_group(void **state)
{
	(void)state;
	static const struct {
		const char *one, *other;
		bool is_same;
	} pairs[] = {
	    {"192.0.2.1", "192.0.2.1", true},
	    {"192.0.2.1", "192.0.2.2", false},
	    {"192.0.2.1", "::ffff:192.0.2.1", true},
	    {"::ffff:192.0.2.1", "::ffff:192.0.2.2", false},
	    {"2001:db8::1", "2001:db8::ffff:1", true},
	    {"2001:db8::1", "2001:db8:0:1::1", false},
	    {"::1", "::2", true},
	    {"c000:201::", "192.0.2.1", false},
	};
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		if ((group_of(pairs[i].one) == group_of(pairs[i].other)) != pairs[i].is_same)
			fail_msg("%s and %s", pairs[i].one, pairs[i].other);
}

/* The port of a client and the name of its socket do not matter; its user does. */
static void
test_address_group__unix(void **state)
{
	(void)state;
	int pair[2], other[2];
	struct sockaddr address = {.sa_family = AF_UNIX};
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, other), 0);
	assert_true(address_group(&address, pair[0]) == address_group(&address, other[0]));
	assert_true(address_group(&address, pair[0]) != address_group(&address, -1));
	for (int i = 0; i < 2; i++) {
		close(pair[i]);
		close(other[i]);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_address_group),
	    cmocka_unit_test(test_address_group__unix),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
