#include "http/client.h"

#include "base/hash.h"
#include "base/log.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

static struct http_client
client_of_ipv6(const struct in6_addr *address)
{
	struct http_client client = {.family = AF_INET6};
	if (IN6_IS_ADDR_V4MAPPED(address)) {
		client.family = AF_INET;
		memcpy(&client.id, address->s6_addr + 12, 4);
	} else {
		memcpy(&client.id, address->s6_addr, 8);
	}
	return client;
}

static struct http_client
client_of_unix(int fd)
{
	struct ucred peer = {.uid = (uid_t)-1};
	socklen_t len = sizeof(peer);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0)
		log_debug("http client's user is not known", LOG_ERRNO(errno));
	return (struct http_client){.family = AF_UNIX, .id = peer.uid};
}

struct http_client
http_client_of(int fd, const struct sockaddr *address)
{
	struct http_client client = {.family = address->sa_family};
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
http_client_equal(struct http_client a, struct http_client b)
{
	return a.family == b.family && a.id == b.id;
}

uint64_t
http_client_hash(struct http_client client)
{
	return hash_bytes64(&client, sizeof(client));
}
