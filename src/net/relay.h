/*
 * net/relay - copies received lines to other statsd servers over UDP, packed into datagrams.
 *
 * One relay per ingest thread and target. Never blocks: what the kernel does not take at once is
 * dropped and counted, and the next packet is tried as if nothing had happened.
 */
#ifndef NET_RELAY_H
#define NET_RELAY_H

#include "base/span.h"
#include "net/address.h"

#include <stdatomic.h>
#include <stdint.h>

/* Counters of one relay: written by its thread, readable anywhere. */
struct relay_counters {
	_Atomic uint64_t packets;         /* send attempts */
	_Atomic uint64_t lines;           /* put into packets */
	_Atomic uint64_t long_lines;      /* longer than a packet: not relayed */
	_Atomic uint64_t dropped_packets; /* send failed */
	_Atomic uint64_t dropped_lines;   /* lines in them */
};

struct relay;

/**
 * Opens a UDP socket towards a target.
 *
 * @packet_length largest datagram, 2 to 65507 bytes
 * @return the relay or NULL (logged)
 */
struct relay *relay_new(const struct address *target, size_t packet_length);

/**
 * Adds a line, without line end; sends the packet before when this line no longer fits into it.
 * A line of more than packet_length - 1 bytes is counted and left out; an empty one is left out.
 */
void relay_add_line(struct relay *relay, struct span line);

/** Sends what is waiting; called once a second and at the end. */
void relay_flush(struct relay *relay);

const struct relay_counters *relay_get_counters(const struct relay *relay);

/** Flushes, closes and frees. */
void relay_free(struct relay **relay);

#endif
