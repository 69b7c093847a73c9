#include "net/address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/un.h>

/* The longest host name of DNS is 253 bytes; an IPv6 address with a zone is shorter. */
#define HOST_MAX 255

/* Cuts "host:port" as Go's SplitHostPort does. */
static int
split_host_port(struct span text, struct span *host, struct span *port, const char **error)
{
	const char *colon = text.len ? memrchr(text.ptr, ':', text.len) : NULL;
	if (!colon) {
		*error = "missing port in address";
		return -1;
	}
	*host = span_first(text, (size_t)(colon - text.ptr));
	*port = span_from(text, host->len + 1);
	if (span_starts(text, SPAN("["))) {
		const char *close = span_find(text, ']');
		if (!close) {
			*error = "missing ']' in address";
			return -1;
		}
		if (close + 1 != colon) {
			*error = close[1] == ':' ? "too many colons in address"
						 : "missing port in address";
			return -1;
		}
		*host = span_of(text.ptr + 1, (size_t)(close - text.ptr) - 1);
	} else if (span_find(*host, ':')) {
		*error = "too many colons in address";
		return -1;
	}
	if (span_find(*host, '[') || span_find(*host, ']') || span_find(*port, ']')) {
		*error = "unexpected bracket in address";
		return -1;
	}
	return 0;
}

/* @return the port, or -1 when `text` is not a decimal number from 0 to 65535 */
static int
parse_port(struct span text)
{
	int port = 0;
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] < '0' || text.ptr[i] > '9')
			return -1;
		port = port * 10 + (text.ptr[i] - '0');
		if (port > 65535)
			return -1;
	}
	return text.len ? port : -1;
}

/* @return the port of a UDP service such as "syslog", or -1 */
static int
find_service(struct span name)
{
	char text[64];
	if (name.len == 0 || name.len >= sizeof(text))
		return -1;
	memcpy(text, name.ptr, name.len);
	text[name.len] = '\0';
	struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_DGRAM};
	struct addrinfo *found = NULL;
	if (getaddrinfo(NULL, text, &hints, &found) != 0)
		return -1;
	struct sockaddr_in address;
	memcpy(&address, found->ai_addr, sizeof(address));
	freeaddrinfo(found);
	return ntohs(address.sin_port);
}

static void
set_every_address(struct address *out)
{
	struct sockaddr_in6 every = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_ANY_INIT};
	memcpy(&out->storage, &every, sizeof(every));
	out->len = sizeof(every);
	out->dual_stack = true;
}

static bool
is_every_address(const struct sockaddr *address)
{
	if (address->sa_family == AF_INET) {
		struct sockaddr_in in;
		memcpy(&in, address, sizeof(in));
		return in.sin_addr.s_addr == htonl(INADDR_ANY);
	}
	struct sockaddr_in6 in6;
	memcpy(&in6, address, sizeof(in6));
	return IN6_IS_ADDR_UNSPECIFIED(&in6.sin6_addr);
}

static const struct addrinfo *
prefer_ipv4(const struct addrinfo *list)
{
	for (const struct addrinfo *each = list; each; each = each->ai_next)
		if (each->ai_family == AF_INET)
			return each;
	return list;
}

static int
resolve_host(struct span host, struct address *out, const char **error)
{
	char text[HOST_MAX + 1];
	if (host.len > HOST_MAX) {
		*error = "host name too long";
		return -1;
	}
	memcpy(text, host.ptr, host.len);
	text[host.len] = '\0';
	struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_DGRAM};
	struct addrinfo *list = NULL;
	int failure = getaddrinfo(text, NULL, &hints, &list);
	if (failure) {
		*error = gai_strerror(failure);
		return -1;
	}
	const struct addrinfo *chosen = prefer_ipv4(list);
	memcpy(&out->storage, chosen->ai_addr, chosen->ai_addrlen);
	out->len = chosen->ai_addrlen;
	freeaddrinfo(list);
	return 0;
}

static void
set_port(struct address *address, int port)
{
	in_port_t on_wire = htons((uint16_t)port);
	size_t offset = address->storage.ss_family == AF_INET
			    ? offsetof(struct sockaddr_in, sin_port)
			    : offsetof(struct sockaddr_in6, sin6_port);
	memcpy((char *)&address->storage + offset, &on_wire, sizeof(on_wire));
}

int
address_parse(const char *text, bool listening, struct address *out, const char **error)
{
	struct span host, port_text;
	*out = (struct address){.len = 0};
	if (split_host_port(span_text(text), &host, &port_text, error) != 0)
		return -1;
	int port = parse_port(port_text);
	if (port < 0 && !listening)
		port = find_service(port_text);
	if (port < 0) {
		*error = "bad port";
		return -1;
	}
	if (host.len == 0 && !listening) {
		*error = "missing host in address";
		return -1;
	}
	if (host.len == 0)
		set_every_address(out);
	else if (resolve_host(host, out, error) != 0)
		return -1;
	else if (listening && is_every_address((const struct sockaddr *)&out->storage))
		set_every_address(out);
	set_port(out, port);
	return 0;
}

int
address_parse_unix(const char *path, struct address *out, const char **error)
{
	size_t len = strlen(path);
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	bool is_abstract = path[0] == '@';
	*out = (struct address){.len = 0};
	if (len == 0) {
		*error = "empty socket path";
		return -1;
	}
	/* An abstract name needs no NUL behind it. */
	if (len + !is_abstract > sizeof(address.sun_path)) {
		*error = "socket path too long";
		return -1;
	}
	memcpy(address.sun_path, path, len);
	if (is_abstract)
		address.sun_path[0] = '\0';
	memcpy(&out->storage, &address, sizeof(address));
	out->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + !is_abstract);
	return 0;
}

const char *
address_unix_path(const char *text)
{
	static const struct span prefix = SPAN("unix:");
	return span_starts(span_text(text), prefix) ? text + prefix.len : NULL;
}

static void
format_unix(const struct sockaddr *address, socklen_t len, char out[ADDRESS_TEXT_MAX])
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	size_t start = offsetof(struct sockaddr_un, sun_path);
	memcpy(&name, address, len < sizeof(name) ? len : sizeof(name));
	size_t used = len > start ? len - start : 0;
	if (used > sizeof(name.sun_path))
		used = sizeof(name.sun_path);
	if (used > 0 && name.sun_path[0] == '\0')
		name.sun_path[0] = '@';
	snprintf(out, ADDRESS_TEXT_MAX, "%.*s", (int)used, name.sun_path);
}

bool
address_is_loopback(const struct address *address)
{
	if (address->storage.ss_family == AF_INET) {
		struct sockaddr_in ipv4;
		memcpy(&ipv4, &address->storage, sizeof(ipv4));
		return ntohl(ipv4.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
	}
	if (address->storage.ss_family != AF_INET6)
		return false;
	struct sockaddr_in6 ipv6;
	memcpy(&ipv6, &address->storage, sizeof(ipv6));
	const uint8_t *bytes = ipv6.sin6_addr.s6_addr;
	return IN6_IS_ADDR_LOOPBACK(&ipv6.sin6_addr) ||
	       (IN6_IS_ADDR_V4MAPPED(&ipv6.sin6_addr) && bytes[12] == IN_LOOPBACKNET);
}

void
address_format(const struct sockaddr *address, socklen_t len, char out[ADDRESS_TEXT_MAX])
{
	/* Room for an IPv6 address and "%zone". */
	char host[INET6_ADDRSTRLEN + 32], port[8];
	if (len >= sizeof(sa_family_t) && address->sa_family == AF_UNIX) {
		format_unix(address, len, out);
		return;
	}
	if (getnameinfo(address, len, host, sizeof(host), port, sizeof(port),
			NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
		snprintf(out, ADDRESS_TEXT_MAX, "unknown");
		return;
	}
	bool is_ipv6 = address->sa_family == AF_INET6;
	snprintf(out, ADDRESS_TEXT_MAX, "%s%s%s:%s", is_ipv6 ? "[" : "", host, is_ipv6 ? "]" : "",
		 port);
}
