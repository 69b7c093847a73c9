/*
 * base/address_group - who shares what a server gives to each of its clients.
 *
 * Whoever has one address of IPv6 has its whole network, so limits for each address count by /64;
 * an IPv4 address counts for itself, also where a socket of IPv6 took it. On a Unix socket it is
 * the user who counts.
 */
#ifndef BASE_ADDRESS_GROUP_H
#define BASE_ADDRESS_GROUP_H

#include <stdint.h>

struct sockaddr;

/**
 * @peer the client's address, as accept() or getpeername() tells it
 * @fd   its connection, asked for the user where the address is of a Unix socket
 * @return the group, under the process's key (base/hash): clients cannot choose to meet in one
 */
uint64_t address_group(const struct sockaddr *peer, int fd);

#endif
