/*
 * tls/stream - what arrives on a TLS connection that is only read from, without ever waiting.
 */
#ifndef TLS_STREAM_H
#define TLS_STREAM_H

#include "base/check.h"
#include "tls/context.h"

#include <sys/types.h>

/* Most bytes that come of one TLS record. */
#define TLS_RECORD_MAX 16384

struct tls_stream;

/**
 * @source borrowed during the call
 * @fd     non-blocking, borrowed
 * @guest  bears the cost of the handshake; borrowed
 * @return owned by the caller
 */
struct tls_stream *tls_stream_new(struct tls_source *source, int fd, struct tls_guest *guest);

/**
 * Goes on with the handshake, and then reads what is there.
 *
 * @size at least TLS_RECORD_MAX; when there is less room than that left over, there may be more
 * @return bytes; 0 at an orderly end; -1 with errno: EAGAIN when there is nothing now, EPIPE when
 * the connection ended without TLS's own end, EPROTO when it breaks the protocol or has no good
 *         certificate, or what the socket says
 */
ssize_t tls_stream_read(struct tls_stream *stream, char *bytes, size_t size) MUST_CHECK;

/** @return whether the handshake has its cost behind it */
bool tls_stream_is_answered(const struct tls_stream *stream);
/** @return whether the handshake is over */
bool tls_stream_is_established(const struct tls_stream *stream);
/** @return whether the next read tells an end or a fault, for which the socket does not become
 * readable */
bool tls_stream_has_ended(const struct tls_stream *stream);
/** @return whether it waits for room to send rather than for bytes to read */
bool tls_stream_wants_write(const struct tls_stream *stream);

/** Sends TLS's own end, where there is room for it; the socket is the caller's to close. */
void tls_stream_free(struct tls_stream **stream);

#endif
