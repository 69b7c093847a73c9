/*
 * bench/channel - a connection to the server's HTTP port, with TLS or without.
 */
#ifndef BENCH_CHANNEL_H
#define BENCH_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct gnutls_session_int; /* GnuTLS's */

struct channel {
	int fd;                             /* owned; -1 = closed */
	struct gnutls_session_int *session; /* owned; NULL = no TLS */
};

/** Connects to 127.0.0.1 and waits for it. @return false when that failed, and it is closed */
bool channel_open(struct channel *channel, uint16_t port, bool is_secure);
/** Sends all. @return false when the connection is lost */
bool channel_send(struct channel *channel, const char *bytes, size_t len);
/** @return bytes; 0 at the end; -1 when the connection is lost */
ssize_t channel_receive(struct channel *channel, char *bytes, size_t size);
void channel_close(struct channel *channel);

/**
 * Makes a client's session of TLS that believes any certificate.
 *
 * @flags of gnutls_init(), besides GNUTLS_CLIENT
 * @return owned by the caller, its transport not set
 */
struct gnutls_session_int *channel_session_new(unsigned flags);

#endif
