/*
 * bench/bench - what the measurements share: the server to measure, the files, and figures that one
 * takes from another.
 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

struct bench {
	const char *binary;
	const char *peer; /* another server and its flags, divided by blanks; NULL = none */
	char directory[64];
	char mapping[96]; /* observers are histograms */
	unsigned cpus;
	unsigned sender_cpu, server_cpu; /* the same where there is only one */
	double parse_bound_ns;		 /* PB, a line; 0 = not measured yet */
};

/* Each measures those of its rows that are wanted. */
void bench_memory(struct bench *bench);
void bench_receive(struct bench *bench);

/** Measures PB if it has not been. @return nanoseconds a line */
double bench_parse_bound(struct bench *bench);

/** Lets the calling thread run on one CPU only. */
void bench_pin(unsigned cpu);

#endif
