#include "base/address_group.h"

#include "base/hash.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#define NETWORK_BYTES 8 /* of an address of IPv6 */

static uint64_t
group_of(char kind, const void *bytes, size_t len)
{
	char key[1 + NETWORK_BYTES] = {kind};
	memcpy(key + 1, bytes, len);
	return hash_bytes64(key, 1 + len);
}

uint64_t
address_group(const struct sockaddr *peer, int fd)
{
	struct ucred user = {.uid = (uid_t)-1};
	socklen_t len = sizeof(user);
	if (peer->sa_family == AF_INET)
		return group_of('4', &((const struct sockaddr_in *)(const void *)peer)->sin_addr,
				4);
	if (peer->sa_family == AF_INET6) {
		const struct in6_addr *address =
		    &((const struct sockaddr_in6 *)(const void *)peer)->sin6_addr;
		return IN6_IS_ADDR_V4MAPPED(address)
			   ? group_of('4', address->s6_addr + 12, 4)
			   : group_of('6', address->s6_addr, NETWORK_BYTES);
	}
	/* Where the kernel does not tell, all are one. */
	(void)getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &user, &len);
	return group_of('u', &user.uid, sizeof(user.uid));
}
