/*
 * bench/lines - statsd traffic as agents send it, with an account of what is in it.
 *
 * Counters, gauges, timers with sample rates, histograms, distributions, packed and multi-sample
 * lines, tags in four styles, sections that mean nothing to the bridge, events, service checks,
 * empty lines and bad ones. The same seed makes the same bytes. The number of different series is
 * bounded and reached early, so that memory must stop growing.
 */
#ifndef BENCH_LINES_H
#define BENCH_LINES_H

#include <stddef.h>
#include <stdint.h>

/* What the bridge must count a line as: each line is exactly one of these. */
enum line_fate {
	LINE_WITH_SAMPLES, /* also when all its samples are bad */
	LINE_EMPTY,
	LINE_REFUSED,
	LINE_EVENT,
	LINE_CHECK,
	LINE_FATES
};

/* Lines by fate. */
struct line_counts {
	uint64_t of[LINE_FATES];
};

/** @return all lines together */
uint64_t line_counts_total(const struct line_counts *counts);
void line_counts_add(struct line_counts *sum, const struct line_counts *more);

/* Whole lines that fit into one datagram. */
struct payload {
	char *bytes; /* `len` bytes without line end, then one '\n' that a stream sends too */
	size_t len;
	struct line_counts lines;
};

/* A fixed list of payloads, to be sent round and round. */
struct traffic {
	struct payload *payloads;
	size_t count;
};

/**
 * Makes payloads of at most `size` bytes, each as full as its last line allows.
 *
 * @size at least 512: the longest line must fit
 * @return owned by the caller, freed with traffic_free()
 */
struct traffic *traffic_new(uint64_t seed, size_t count, size_t size);
void traffic_free(struct traffic **traffic);

#endif
