/*
 * http/client - which clients count as one, wherever limits and turns go by who asks.
 *
 * As one counts what one party has as a whole: an IPv4 address, also where IPv6 carries it
 * (RFC 4291 section 2.5.5.2); a network of IPv6, of 64 bits, since whoever has an address there may
 * have them all (RFC 4291 section 2.5.1); and a user of this machine, by Unix sockets, however many
 * processes it starts.
 */
#ifndef HTTP_CLIENT_H
#define HTTP_CLIENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

/* Without padding. */
struct http_client {
	uint64_t family; /* AF_INET, AF_INET6, AF_UNIX, or another */
	uint64_t id;     /* of that family: address, network or user */
};

/**
 * @fd      the connection, looked at only where it is one of AF_UNIX, by SO_PEERCRED. Peers whose
 *          user the kernel does not tell are one client.
 * @address the peer's
 */
struct http_client http_client_of(int fd, const struct sockaddr *address);

bool http_client_equal(struct http_client a, struct http_client b);

/** @return a keyed hash, for tables in which a peer must not choose its place */
uint64_t http_client_hash(struct http_client client);

#endif
