/*
 * net/stream - accepts TCP and Unix stream connections and cuts them into payloads of whole lines.
 *
 * Nothing is ever written to a peer, but for TLS's own messages where a listener is secured. There
 * a handshake must be over ten seconds after its connection was accepted, and a last line without
 * its end counts only when TLS's own end came behind it. An idle connection costs a fixed small
 * amount of memory and is left alone, since its next write would be lost silently; only when all
 * connections of the process are in use is the one that was idle longest closed for a new one.
 * Running out of descriptors pauses accepting for a second and closes the one that was idle
 * longest, since others need descriptors, too.
 *
 * Reading stops for an iteration of the loop once that has gone on for 5 ms (net/turn); who was not
 * read then is the first to be read in the next, in the order of waiting.
 *
 * TCP carries newline text. Unix streams carry frames (4-byte little-endian length, then a payload)
 * or newline text, told apart once per connection by the first four bytes: a length of at most
 * STREAM_FRAME_MAX means frames; all four text (printable ASCII, tab, CR, LF, 0x80 to 0xfe) means
 * newline text; anything else closes the connection.
 */
#ifndef NET_STREAM_H
#define NET_STREAM_H

#include "base/check.h"
#include "net/sink.h"

struct ev_loop;
struct tls_source;

/* Longest line, and largest frame, in bytes. */
#define STREAM_LINE_MAX 65536
#define STREAM_FRAME_MAX 65536

/* The connections of all ingest threads together. */
struct stream_limit;

/** @connections most connections open at once in the process, at least 1 */
struct stream_limit *stream_limit_new(unsigned connections);
void stream_limit_free(struct stream_limit **limit);
/** @return connections open now; from any thread */
unsigned stream_limit_open(const struct stream_limit *limit);

/* The connections of one ingest thread, and its read buffer. */
struct stream_pool;

/** @limit, @sink borrowed; must outlive the pool */
struct stream_pool *stream_pool_new(struct ev_loop *loop, struct stream_limit *limit,
				    struct net_sink *sink);
/**
 * Accepts who waits and reads what connections hold now, at most until `deadline_us` on the
 * monotonic clock.
 */
void stream_pool_drain(struct stream_pool *pool, int64_t deadline_us);
/**
 * Closes all connections (what was read of a last line is processed) and frees the pool. Its
 * listeners must be freed before.
 */
void stream_pool_free(struct stream_pool **pool);

struct stream_listener;

/**
 * Starts accepting into a pool.
 *
 * @fd        listening, non-blocking; several pools may watch the same fd, then only one owns it
 * @owns_fd   close it with the listener
 * @transport NET_TCP or NET_UNIXSTREAM
 */
struct stream_listener *stream_listener_new(struct stream_pool *pool, int fd, bool owns_fd,
					    enum net_transport transport);
/** Connections accepted from now on must speak TLS. @tls borrowed; outlives the listener */
void stream_listener_secure(struct stream_listener *listener, struct tls_source *tls);
bool stream_listener_is_alive(const struct stream_listener *listener);
void stream_listener_free(struct stream_listener **listener);

#endif
