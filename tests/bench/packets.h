/*
 * bench/packets - a corpus of datagrams, one behind the other in memory, each followed by a '\n'.
 *
 * So a packet is a datagram as it lies there, and any run of whole packets is a piece of a stream.
 */
#ifndef BENCH_PACKETS_H
#define BENCH_PACKETS_H

#include "base/span.h"
#include "population.h"

struct packets {
	char *bytes;     /* owned */
	uint32_t *ends;  /* owned; offset of each packet's '\n' */
	uint32_t *lines; /* owned; of each packet */
	size_t count;
	uint64_t total_lines;
};

struct packets_plan {
	enum population_choice choice;
	size_t size; /* bytes of a packet at most, but one line at least; 0 = one line each */
	/* Makes each packet exactly `size` bytes, as the kernel's segmentation of one large send
	 * asks for: lines are drawn again until only a few bytes are missing, and these become
	 * further digits of values, of which none is longer than it may be. Nothing else is padded.
	 */
	bool is_exact;
	size_t total; /* bytes of all packets, about; below 4 GiB */
	uint64_t seed;
};

struct packets *packets_new(const struct population *population, const struct packets_plan *plan);

/** Makes packets of at most `size` bytes with one line for each of the series `from` to `to` - 1.
 */
struct packets *packets_once(const struct population *population, size_t from, size_t to,
			     size_t size);

/** Makes packets from whole lines. @lines borrowed, each with a '\n'; @size most bytes of a packet
 */
struct packets *packets_of_lines(struct span lines, size_t size);

void packets_free(struct packets **packets);

static inline size_t
packet_start(const struct packets *packets, size_t one)
{
	return one ? packets->ends[one - 1] + 1 : 0;
}

static inline struct span
packet_span(const struct packets *packets, size_t one)
{
	size_t start = packet_start(packets, one);
	return span_of(packets->bytes + start, packets->ends[one] - start);
}

/** @return bytes of a line on average, without its end */
double packets_mean_line(const struct packets *packets);

#endif
