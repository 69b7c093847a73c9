/*
 * net/datagram - a watcher that receives datagrams in batches and hands them to a sink.
 *
 * Serves UDP and Unix datagram sockets. Truncated datagrams lose only the line that was cut. A
 * wake-up handles a bounded number of batches and then goes back to the loop. Transient receive
 * errors are counted and survived.
 */
#ifndef NET_DATAGRAM_H
#define NET_DATAGRAM_H

#include "base/check.h"
#include "net/sink.h"

struct ev_loop;

/* The largest datagram taken whole; larger ones are cut to their last complete line. */
#define DATAGRAM_MAX 65536

/* Receive buffers of one ingest thread, shared by all its datagram sockets. */
struct datagram_buffers;
struct datagram_buffers *datagram_buffers_new(void);
void datagram_buffers_free(struct datagram_buffers **buffers);

struct datagram_listener;

/**
 * Starts receiving.
 *
 * @fd        bound, non-blocking; consumed: closed by datagram_listener_free()
 * @transport NET_UDP or NET_UNIXGRAM
 * @buffers, @sink borrowed; must outlive the listener
 */
struct datagram_listener *datagram_listener_new(struct ev_loop *loop, int fd,
						enum net_transport transport,
						struct datagram_buffers *buffers,
						struct net_sink *sink);

/** Receives what the socket holds now, at most until `deadline_us` on the monotonic clock. */
void datagram_listener_drain(struct datagram_listener *listener, int64_t deadline_us);

/** @return whether it still receives: false after an error that no retry can mend */
bool datagram_listener_is_alive(const struct datagram_listener *listener);

/** @return the socket, for drop counts; owned by the listener */
int datagram_listener_fd(const struct datagram_listener *listener);

/** Stops and closes the socket; the file of a Unix socket is the caller's. */
void datagram_listener_free(struct datagram_listener **listener);

#endif
