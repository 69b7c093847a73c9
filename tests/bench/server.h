/*
 * bench/server - the bridge under test: started on free loopback ports, asked over HTTP, stopped.
 *
 * Anything that keeps the benchmark from running at all ends the program with a message.
 */
#ifndef BENCH_SERVER_H
#define BENCH_SERVER_H

#include "base/buf.h"
#include "base/check.h"

#include <stdint.h>
#include <sys/types.h>

struct server {
	pid_t pid;
	uint16_t web, udp, tcp; /* ports on 127.0.0.1 */
	char directory[32];     /* holds the socket; removed at the end */
	char unixgram[64];      /* path */
};

/**
 * Starts the binary with default threads and waits until it is ready.
 *
 * @mapping path of a mapping file
 */
void server_start(struct server *server, const char *binary, const char *mapping);

/** Sends SIGTERM and waits. @return whether it exited with 0 */
bool server_stop(struct server *server) MUST_CHECK;

/**
 * Makes one HTTP request.
 *
 * @body gets the answer's body
 * @return its status, or 0 when there was no whole answer
 */
unsigned server_request(const struct server *server, const char *method, const char *path,
			struct buf *body);

/** Scrapes. @text gets the exposition; @return whether it came */
bool server_scrape(const struct server *server, struct buf *text) MUST_CHECK;

/**
 * Reads an own metric from a scrape.
 *
 * @name without the prefix "statsbridge_"
 * @return its value, added up over its labels; 0 when it is not there
 */
uint64_t own_metric(const struct buf *text, const char *name);

/** @return the anonymous memory of the bridge in KiB (RssAnon) */
int64_t server_memory_kib(const struct server *server);

/** Ends the program with a message and, when errno is set, its text. */
_Noreturn void give_up(const char *what);

#endif
