/*
 * bench/load - sends packets at a rate, or as fast as it can, and measures what they cost a server.
 */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include "packets.h"
#include "server.h"

enum load_way {
	LOAD_DATAGRAMS, /* as an agent sends them: a few in a system call */
	/* Many in one system call and one pass through the kernel, which cuts them apart late (UDP
	 * GSO). Packets must all be of one size. Just so can one CPU send more than another takes.
	 */
	LOAD_SEGMENTS,
	LOAD_STREAM, /* TCP */
};

struct load {
	enum load_way way;
	const struct packets *packets; /* borrowed */
	int fd;                        /* owned */
	size_t next;
};

/** Connects to the server. */
void load_open(struct load *load, enum load_way way, const struct packets *packets,
	       const struct server *server);
void load_close(struct load *load);

struct load_sent {
	uint64_t packets, lines;
	double seconds;
};

/**
 * Sends for a while, round and round.
 *
 * @rate packets a second; 0 = as many as possible
 */
void load_run(struct load *load, double rate, double seconds, struct load_sent *sent);

/** Sends `count` packets, at once. */
void load_send(struct load *load, unsigned count);

/** Sends each packet once over TCP, and waits until the server has nothing more to do. */
void load_once(const struct server *server, const struct packets *packets);

/* What a server made of a load. */
struct load_cost {
	struct load_sent sent;
	uint64_t drops;
	double packets, lines; /* that arrived */
	double cpu_ns;         /* user and system, of the server */
	double user_share;     /* of it, as seen at the kernel's ticks */
	double busy;           /* share of the time that the server was on a CPU */
};

/** Runs a load and waits until it is worked on. */
void load_measure(struct load *load, const struct server *server, double rate, double seconds,
		  struct load_cost *cost);

#endif
