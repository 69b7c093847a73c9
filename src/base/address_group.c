#include "base/address_group.h"

#include "base/hash.h"
#include "base/log.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

static struct address_group
client_of_ipv6(const struct in6_addr *address)
{
	struct address_group client = {.family = AF_INET6};
	if (IN6_IS_ADDR_V4MAPPED(address)) {
		client.family = AF_INET;
		memcpy(&client.id, address->s6_addr + 12, 4);
	} else {
		memcpy(&client.id, address->s6_addr, 8);
	}
	return client;
}

static struct address_group
client_of_unix(int fd)
{
	struct ucred peer = {.uid = (uid_t)-1};
	socklen_t len = sizeof(peer);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0)
		log_debug("a client's user is not known", LOG_ERRNO(errno));
	return (struct address_group){.family = AF_UNIX, .id = peer.uid};
}

struct address_group
address_group_of(int fd, const struct sockaddr *address)
{
	struct address_group client = {.family = address->sa_family};
	if (address->sa_family == AF_UNIX)
		return client_of_unix(fd);
	if (address->sa_family == AF_INET6)
		return client_of_ipv6(
		    &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr);
	if (address->sa_family == AF_INET)
		client.id = ((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr;
	return client;
}

bool
address_group_equal(struct address_group a, struct address_group b)
{
	return a.family == b.family && a.id == b.id;
}

uint64_t
address_group_hash(struct address_group client)
{
	return hash_bytes64(&client, sizeof(client));
}

struct address_slots
address_group_slots(struct address_group client)
{
	struct address_slots slots;
	uint64_t hash = address_group_hash(client);
	for (size_t row = 0; row < ADDRESS_ROWS; row++, hash /= ADDRESS_SLOTS)
		slots.in_row[row] = hash % ADDRESS_SLOTS;
	return slots;
}
