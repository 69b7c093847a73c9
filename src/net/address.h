/*
 * net/address - addresses as operators write them.
 *
 * "host:port" as Go's SplitHostPort cuts it: IPv6 in brackets, with a zone if need be; an empty
 * host, "0.0.0.0" and "[::]" all listen on every address, IPv4 and IPv6 on one dual-stack socket.
 * Ports are decimal, 0 to 65535; a target's may also be the name of a service. Unix paths are taken
 * as they are; a leading '@' names Linux's abstract namespace.
 */
#ifndef NET_ADDRESS_H
#define NET_ADDRESS_H

#include "base/check.h"
#include "base/span.h"

#include <sys/socket.h>

struct address {
	struct sockaddr_storage storage;
	socklen_t len;
	bool dual_stack; /* every address: bind [::] and take IPv4 too, or 0.0.0.0 without IPv6 */
};

/**
 * Resolves "host:port". Host names are looked up once, IPv4 preferred.
 *
 * @text     NUL-terminated
 * @listening an empty host is taken as every address; otherwise it is an error
 * @error    on failure a constant or static text that says what is wrong
 * @return   0 or -1
 */
int address_parse(const char *text, bool listening, struct address *out,
		  const char **error) MUST_CHECK;

/** @return 0, or -1 with *error when the path is empty or too long for a socket address */
int address_parse_unix(const char *path, struct address *out, const char **error) MUST_CHECK;

/** @return what stands behind "unix:" in an address, or NULL where it does not start like this */
const char *address_unix_path(const char *text);

/** @return whether only this machine can reach it: 127.0.0.0/8 or ::1; Unix paths are none */
bool address_is_loopback(const struct address *address);

/* Room for any address as text. */
#define ADDRESS_TEXT_MAX 160

/** Writes "127.0.0.1:9125", "[::1]:9125" or a path; NUL-terminated. */
void address_format(const struct sockaddr *address, socklen_t len, char out[ADDRESS_TEXT_MAX]);

#endif
