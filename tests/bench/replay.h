/*
 * bench/replay - packets through the push path in memory, without sockets.
 *
 * A packet is first copied from its corpus, which is larger than the caches, into one of 64 receive
 * buffers, as the kernel would do; then its batch is worked on. What is measured is the time of the
 * CPU on the calling thread.
 */
#ifndef BENCH_REPLAY_H
#define BENCH_REPLAY_H

#include "app/bridge.h"
#include "packets.h"

struct replay;

enum replay_work {
	REPLAY_COPY,	/* the copy alone */
	REPLAY_SCAN,   /* find each newline and no more */
	REPLAY_INGEST, /* all that an ingest thread does */
	REPLAY_FORGET, /* the same, with all known spellings void before each batch */
};

/** @mapping path of a mapping file. @threads that will ingest */
struct replay *replay_new(const char *mapping, unsigned threads);
void replay_free(struct replay **replay);

/**
 * Works on a corpus, round and round, from where this thread stopped last time.
 *
 * @thread index of the ingest thread that the caller plays
 * @lines  to work on, about
 * @return nanoseconds a line
 */
double replay_run(struct replay *replay, unsigned thread, const struct packets *packets,
		  enum replay_work work, uint64_t lines);

/** Works on each packet of a corpus once, as thread 0. @return nanoseconds a line */
double replay_once(struct replay *replay, const struct packets *packets);

/** @return series that exist */
uint64_t replay_series(const struct replay *replay);

#endif
