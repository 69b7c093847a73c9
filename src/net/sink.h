/*
 * net/sink - where listeners put what they receive, and what they count.
 *
 * One sink per ingest thread; everything in it is used on that thread only, except the counters,
 * which any thread may read.
 */
#ifndef NET_SINK_H
#define NET_SINK_H

#include "tls/context.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum net_transport { NET_UDP, NET_TCP, NET_UNIXGRAM, NET_UNIXSTREAM, NET_TRANSPORTS };

/** @return "udp", "tcp", "unixgram" or "unixstream" */
const char *net_transport_text(enum net_transport transport);

/* Counters of one transport on one thread: written by that thread with relaxed stores. */
struct net_counters {
	_Atomic uint64_t packets;   /* datagrams, or frames of a framed stream */
	_Atomic uint64_t bytes;     /* received, with the lengths of frames */
	_Atomic uint64_t truncated; /* datagrams cut by the kernel, frames cut by the end of stream,
				     * rests lost to a reset */
	_Atomic uint64_t connections;                /* accepted */
	_Atomic uint64_t connection_errors;          /* ended by an error */
	_Atomic uint64_t tls_failures[TLS_FAILURES]; /* ended before the handshake was over */
	_Atomic uint64_t connections_closed_idle;    /* closed to make room at the limit */
	_Atomic uint64_t too_long_lines;
	_Atomic uint64_t bad_frames;    /* length over the limit, or neither frame nor text */
	_Atomic uint64_t accept_pauses; /* out of descriptors */
	_Atomic uint64_t receive_errors;
};

struct net_sink {
	/**
	 * Takes a payload: lines divided by '\n', one line more than there are '\n' in it; the end
	 * of the payload ends the last line. `bytes` is valid until flush().
	 */
	void (*payload)(void *ctx, enum net_transport transport, const char *bytes, size_t len);
	/**
	 * The payloads since the last flush are about to be overwritten: whoever has put work off
	 * does it now. Called after each batch that was received, and before memory is given back.
	 */
	void (*flush)(void *ctx);
	void *ctx;
	/* Set by a listener that gave the loop its turn with data left to read; cleared by whoever
	 * runs the loop. */
	bool is_behind;
	struct net_counters counters[NET_TRANSPORTS];
};

/** Adds to a counter that only this thread writes. */
static inline void
net_count(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
			      memory_order_relaxed);
}

#endif
