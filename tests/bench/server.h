/*
 * bench/server - the server under test: started on free loopback ports, asked over HTTP, watched
 * from outside, stopped.
 *
 * Anything that keeps the benchmark from running at all ends the program with a message.
 */
#ifndef BENCH_SERVER_H
#define BENCH_SERVER_H

#include "base/buf.h"
#include "base/check.h"
#include "base/span.h"

#include <stdint.h>
#include <sys/types.h>

struct server_plan {
	const char *binary;
	const char *mapping;      /* path of a mapping file */
	const char *const *flags; /* more of them, NULL at the end; NULL = none */
	/* Knows just the flags that statsd_exporter has: no Unix socket, no lifecycle. */
	bool is_peer;
	bool is_secure; /* HTTP needs TLS and a password */
	bool is_pinned; /* to `cpu` */
	unsigned cpu;
	bool is_urgent; /* goes before whatever else runs on the machine, where that is allowed */
};

struct server {
	pid_t pid;
	uint16_t web, udp, tcp; /* ports on 127.0.0.1 */
	char directory[32];     /* holds the socket; removed at the end */
	char unixgram[64];      /* path */
	const char *prefix;     /* of its own metrics, with '_' */
	bool is_secure;
};

/** Starts a server and waits until it is ready. */
void server_start(struct server *server, const struct server_plan *plan);

/** Sends SIGTERM and waits. @return whether it exited with 0 */
bool server_stop(struct server *server) MUST_CHECK;

/* ---- HTTP ---- */

/* Takes an answer's body piece by piece, so that a large one need not be held. */
struct body_sink {
	void (*take)(void *ctx, const char *bytes, size_t len); /* NULL = only counts */
	void *ctx;
	uint64_t bytes; /* taken so far */
	const char
	    *failure; /* constant: what came to nothing, for the reason in errno; NULL = none */
};

/**
 * Makes one HTTP request.
 *
 * @headers more of them, each with its "\r\n"; "" = none
 * @sink    gets the answer's body
 * @return  its status, or 0 when there was no whole answer: see sink->failure
 */
unsigned server_request(const struct server *server, const char *method, const char *path,
			const char *headers, struct body_sink *sink);

/** Has the mapping file read again. @return whether it was */
bool server_reload(const struct server *server) MUST_CHECK;

/**
 * Scrapes.
 *
 * @own gets the lines of the server's own metrics, without their prefix; the others are let go
 * @return whether it came whole
 */
bool server_scrape(const struct server *server, struct buf *own) MUST_CHECK;

/** @return the value of one own metric, added up over its labels; 0 when it is not there */
uint64_t own_metric(const struct buf *own, const char *name);

/* ---- From outside. ---- */

/** @return the anonymous memory of the server in KiB (RssAnon) */
int64_t server_memory_kib(const struct server *server);

/** @return nanoseconds of CPU that all its threads have used, exactly */
double server_cpu_ns(const struct server *server);

/* What the kernel has seen the server do at its ticks; only over seconds is a share of it exact. */
struct server_ticks {
	uint64_t user, system;
};
struct server_ticks server_ticks(const struct server *server);

/** @return datagrams that the kernel dropped for want of room, of all its UDP sockets */
uint64_t server_drops(const struct server *server);

/* That it is asked for no more, and that it has put its records in order, too: it begins with that when
 * no series was born for a second, which it looks at once a second. */
#define REST_SHORT_MS 10
#define REST_LONG_MS 2200
/** Waits until the server has had nothing to do for `rest_ms`, or for 20 s. */
void server_await_rest(const struct server *server, int rest_ms);

/** Ends the program with a message and, when errno is set, its text. */
_Noreturn void give_up(const char *what);

#endif
