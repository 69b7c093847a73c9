/*
 * bench/bench - what the measurements share: the server to measure, the files, and figures that one
 * takes from another.
 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include "server.h"

struct stage;

struct bench {
	const char *binary;
	const char *peer; /* another server and its flags, divided by blanks; NULL = none */
	char directory[64];
	char mapping[96]; /* observers are histograms */
	unsigned cpus;
	unsigned sender_cpu, server_cpu; /* the same where there is only one */
	struct stage *hot; /* in memory, 10,000 series by Zipf's law; NULL = not needed yet */
};

/* Each measures those of its rows that are wanted. */
void bench_memory(struct bench *bench);
void bench_receive(struct bench *bench);
void bench_scrape(struct bench *bench);
void bench_stalls(struct bench *bench);
void bench_rules(struct bench *bench);
void bench_peer(struct bench *bench);

/**
 * Measures PB once, now, on the server's CPU: between measurements that it is compared with.
 *
 * @return nanoseconds a line
 */
double bench_parse_bound(struct bench *bench);

/** Measures the copy that is part of PB in the same way. @return nanoseconds a line */
double bench_copy(struct bench *bench);

/** Gives back what bench_parse_bound() works on. */
void bench_memory_end(struct bench *bench);

/** Starts the server on its CPU, with one thread. @flag one more, NULL = none */
void bench_start(const struct bench *bench, struct server *server, const char *flag);

/** Stops a server, which must end well. */
void bench_stop(struct server *server);

/** Lets the calling thread run on one CPU only. */
void bench_pin(unsigned cpu);

#endif
