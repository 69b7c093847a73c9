/*
 * base/address_group - which clients count as one, wherever limits and turns go by who asks.
 *
 * As one counts what one party has as a whole: an IPv4 address, also where IPv6 carries it
 * (RFC 4291 section 2.5.5.2); a network of IPv6, of 64 bits, since whoever has an address there may
 * have them all (RFC 4291 section 2.5.1); and a user of this machine, by Unix sockets, however many
 * processes it starts.
 */
#ifndef BASE_ADDRESS_GROUP_H
#define BASE_ADDRESS_GROUP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

/* Without padding. */
struct address_group {
	uint64_t family; /* AF_INET, AF_INET6, AF_UNIX, or another */
	uint64_t id;     /* of that family: address, network or user */
};

/**
 * @fd      the connection, looked at only where it is one of AF_UNIX, by SO_PEERCRED. Peers whose
 *          user the kernel does not tell are one client.
 * @address the peer's
 */
struct address_group address_group_of(int fd, const struct sockaddr *address);

bool address_group_equal(struct address_group a, struct address_group b);

/** @return a keyed hash, for tables in which a peer must not choose its place */
uint64_t address_group_hash(struct address_group client);

#endif
