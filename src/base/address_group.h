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

/*
 * For what is counted by client in memory that does not grow with their number: a client has a slot
 * in each of several rows, in which clients meet. What slots have gathered is at least what one
 * client has, so the least of a client's slots comes closest (a count-min sketch): who meets a
 * crowd in one row is hardly in its company in all of them.
 */
#define ADDRESS_ROWS 3
#define ADDRESS_SLOTS 4096

struct address_slots {
	uint16_t in_row[ADDRESS_ROWS]; /* below ADDRESS_SLOTS each */
};

/** @return a client's slots, which a peer cannot choose */
struct address_slots address_group_slots(struct address_group client);

#endif
