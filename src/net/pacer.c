#include "net/pacer.h"

/* How long traffic is watched before the pace changes: several wake-ups at any pace. */
#define WINDOW_US 10000

/* What should gather: a few calls of recvmmsg(). More of it falls out of the cache again. */
#define GATHER 256.

/* Fewer than this cost no more one by one. */
#define WORTH_WAITING 8.

/* A shorter wait ends too late to be one: the sender stands still meanwhile. */
#define LEAST_DELAY_US 100.

/* Largest part of a kernel queue that may gather: traffic may grow fourfold at once. */
#define FILL_MAX .25

/* A burst: when this much was found, waiting ends at once, and for how long. */
#define FILL_BURST .5
#define HOLD_US 100000

/* What of a stream is worth a datagram, and what a stream's sender may have under way by default. */
#define STREAM_ARRIVAL 128.
#define STREAM_ROOM 65536.

/* What a sender may have under way on a Unix datagram socket by default, as the kernel counts it. */
#define UNIXGRAM_SENDER_ROOM 212992.

/* The kernel's own: an skb, the shared information behind the bytes, and the least head it makes. */
#define SKB_BYTES 256
#define SKB_EXTRA 384
#define SKB_SMALL 832

uint64_t
pacer_truesize(uint64_t len)
{
	uint64_t head = 512;
	while (head < len + SKB_EXTRA)
		head *= 2;
	return head + SKB_BYTES > SKB_SMALL ? head + SKB_BYTES : SKB_SMALL;
}

void
pacer_init(struct pacer *pacer, const struct pacer_limits *limits)
{
	*pacer = (struct pacer){.limits = *limits};
}

/* @return the part of a room that is used; no room is always full */
static double
part_of(double used, double room)
{
	if (used <= 0)
		return 0;
	return room > 0 ? used / room : 1;
}

static double
larger(double a, double b)
{
	return a > b ? a : b;
}

/* @return how full the queue of a transport was that held this much */
static double
fill_of(const struct pacer *pacer, enum net_transport transport, uint64_t packets, uint64_t bytes)
{
	if (transport == NET_TCP || transport == NET_UNIXSTREAM)
		return part_of((double)bytes, STREAM_ROOM);
	if (!packets)
		return 0;
	double size = (double)packets * (double)pacer_truesize(bytes / packets);
	if (transport == NET_UDP)
		return part_of(size, (double)pacer->limits.udp_bytes);
	return larger(part_of((double)packets, (double)pacer->limits.unixgram_queue),
		      part_of(size, UNIXGRAM_SENDER_ROOM));
}

/* Adds what came since the last wake-up. @return how full the queues were */
static double
take_arrivals(struct pacer *pacer, const struct net_counters *counters)
{
	double fill = 0;
	bool is_any = false;
	for (unsigned t = 0; t < NET_TRANSPORTS; t++) {
		uint64_t packets = atomic_load_explicit(&counters[t].packets, memory_order_relaxed);
		uint64_t bytes = atomic_load_explicit(&counters[t].bytes, memory_order_relaxed);
		uint64_t new_packets = packets - pacer->packets[t];
		uint64_t new_bytes = bytes - pacer->bytes[t];
		pacer->packets[t] = packets;
		pacer->bytes[t] = bytes;
		is_any |= new_packets || new_bytes;
		fill += fill_of(pacer, t, new_packets, new_bytes);
		bool is_stream = t == NET_TCP || t == NET_UNIXSTREAM;
		pacer->arrivals += is_stream ? (double)new_bytes / STREAM_ARRIVAL
					     : (double)new_packets;
	}
	pacer->wake_ups += is_any;
	pacer->fill += fill;
	return fill;
}

static int64_t
choose_delay(const struct pacer *pacer, int64_t elapsed_us)
{
	double arrivals_per_us = pacer->arrivals / (double)elapsed_us;
	double fill_per_us = pacer->fill / (double)elapsed_us;
	double delay_us = (double)pacer->limits.max_delay_us;
	if (delay_us * arrivals_per_us > GATHER)
		delay_us = GATHER / arrivals_per_us;
	if (delay_us * fill_per_us > FILL_MAX)
		delay_us = FILL_MAX / fill_per_us;
	bool is_worth = delay_us >= LEAST_DELAY_US && delay_us * arrivals_per_us >= WORTH_WAITING;
	return is_worth ? (int64_t)delay_us : 0;
}

int64_t
pacer_next_us(struct pacer *pacer, const struct net_counters *counters, int64_t now_us)
{
	if (take_arrivals(pacer, counters) > FILL_BURST) {
		pacer->delay_us = 0;
		pacer->hold_until_us = now_us + HOLD_US;
	}
	int64_t elapsed_us = now_us - pacer->window_start_us;
	if (elapsed_us < WINDOW_US)
		return pacer->delay_us;
	pacer->delay_us = now_us < pacer->hold_until_us ? 0 : choose_delay(pacer, elapsed_us);
	pacer->window_start_us = now_us;
	pacer->arrivals = pacer->fill = 0;
	return pacer->delay_us;
}
