/*
 * net/socket - listening sockets: made, bound, sized, non-blocking and close-on-exec.
 *
 * All functions log what went wrong with the address as text, and return -1.
 */
#ifndef NET_SOCKET_H
#define NET_SOCKET_H

#include "net/address.h"

#include <stdint.h>

/**
 * Binds a UDP socket.
 *
 * @reuse_port set SO_REUSEPORT, so that each ingest thread can have a socket on the same port
 * @return the socket, owned by the caller, or -1
 */
int socket_bind_udp(const struct address *address, bool reuse_port) MUST_CHECK;

/** Binds and listens on TCP. @reuse_port as above. @return the socket or -1 */
int socket_listen_tcp(const struct address *address, bool reuse_port) MUST_CHECK;

/**
 * Proves that nobody else has a port, since SO_REUSEPORT would share it with a second bridge: binds
 * without SO_REUSEPORT and closes again. An address with port 0 is left alone.
 *
 * @type SOCK_DGRAM or SOCK_STREAM
 * @return 0 when the port is free, -1 (logged) otherwise
 */
int socket_probe(const struct address *address, int type) MUST_CHECK;

/**
 * Binds a Unix socket of SOCK_DGRAM or SOCK_STREAM (which also listens).
 *
 * A socket file left behind by a dead process is replaced, after connecting to it has proven that
 * nobody listens; a live one, or a file of another kind, is refused.
 *
 * @mode permission bits for the file, low 9 bits; negative = leave what the umask gives
 * @return the socket or -1 (logged)
 */
int socket_bind_unix(const char *path, int type, int mode) MUST_CHECK;

/** Removes the file of a Unix socket, unless the path is abstract. */
void socket_remove_unix(const char *path);

/**
 * Asks for a receive buffer: SO_RCVBUFFORCE, then SO_RCVBUF.
 *
 * @bytes wanted
 * @return what the kernel granted (the value it reports, twice what data may use), or -1
 */
int64_t socket_set_receive_buffer(int fd, int64_t bytes);

/** @return the receive buffer as the kernel reports it, or -1 (logged) */
int64_t socket_receive_buffer(int fd);

/**
 * Datagrams the kernel dropped at this socket since it was opened (SO_MEMINFO), right even when
 * nothing is received.
 *
 * @return the count, which wraps at 2^32, or -1 when the kernel does not say
 */
int64_t socket_drops(int fd);

/** @return datagrams that a Unix socket bound now can queue (net.unix.max_dgram_qlen) */
int64_t socket_unixgram_queue(void);

/** @return the port of a bound socket, host byte order; 0 when it has none */
uint16_t socket_port(int fd);

#endif
