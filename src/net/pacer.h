/*
 * net/pacer - how long an event loop should let traffic gather before it looks at its sockets again.
 *
 * Waking up costs as much as several datagrams do, and a loop that keeps up with its traffic wakes up
 * for one or two at a time. The pacer watches what each wake-up found and names the pace at which a
 * recvmmsg() call or two have something to do. Slow traffic is taken at once, and so is traffic that
 * would fill the kernel's queues.
 *
 * Pure: no clock, no sockets. Used on one thread.
 */
#ifndef NET_PACER_H
#define NET_PACER_H

#include "net/sink.h"

/* What a loop's sockets have room for; the smallest counts where there are several. */
struct pacer_limits {
	int64_t max_delay_us;	 /* 0 = never wait */
	int64_t udp_bytes;	 /* receive buffer, as the kernel counts it */
	int64_t unixgram_queue; /* datagrams */
};

struct pacer {
	struct pacer_limits limits;
	int64_t delay_us;
	uint64_t wake_ups; /* that found something */
	uint64_t packets[NET_TRANSPORTS], bytes[NET_TRANSPORTS]; /* seen so far */
	/* Since the window began: */
	int64_t window_start_us;
	double arrivals; /* datagrams, or what of a stream is worth one */
	double fill;	 /* of the kernel's queues: 1 = what they can hold */
	int64_t hold_until_us; /* no wait before then */
};

/** @limits copied; a room that is not positive means that these sockets must not wait */
void pacer_init(struct pacer *pacer, const struct pacer_limits *limits);

/**
 * Says how long to wait from now on: called once for each wake-up, after its work.
 *
 * @counters by transport, as they are now
 * @now_us   monotonic clock
 * @return   least time from one wake-up to the next, in microseconds; 0 = none
 */
int64_t pacer_next_us(struct pacer *pacer, const struct net_counters *counters, int64_t now_us);

/** @return what a datagram of `len` bytes takes of a UDP socket's receive buffer, about */
uint64_t pacer_truesize(uint64_t len);

#endif
