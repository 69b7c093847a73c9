/*
 * app/listeners - opens every socket that the command line asks for, hands them to the workers and the
 * HTTP server, and keeps count of what the kernel dropped at them. Sockets that systemd hands over
 * take the place of those that the command line asks for of the same transport.
 */
#ifndef APP_LISTENERS_H
#define APP_LISTENERS_H

#include "app/inherited.h"
#include "app/options.h"
#include "app/worker.h"
#include "http/server.h"

/* A receiving socket whose kernel drops are watched. */
struct watched_socket {
	const char *address; /* as on the command line, or what an inherited one is bound to; borrowed */
	enum net_transport transport;
	unsigned thread;
	int fd; /* owned by its worker */
	int64_t receive_buffer; /* bytes granted, -1 = unknown */
	uint32_t last_drops;	/* as the kernel counts: wraps */
	uint64_t drops;		/* in all */
};

struct listeners {
	struct watched_socket *sockets; /* owned */
	size_t count, capacity;
	const char **socket_files; /* Unix socket paths to remove at the end; owned array */
	size_t file_count, file_capacity;
	bool are_closed;
};

/**
 * Checks what can be known of the addresses without opening them.
 *
 * @return false when one is no good (logged)
 */
bool listeners_check(const struct options *options) MUST_CHECK;

/**
 * Opens all listeners for lines: UDP, TCP, Unix datagram, Unix stream, in this order.
 *
 * @inherited those that are not for HTTP are claimed; its texts are borrowed until the end
 * @workers, @worker_count get the sockets; UDP and TCP one each with SO_REUSEPORT
 * @return false when one cannot be opened (logged); what was opened is closed with the workers
 */
bool listeners_open(struct listeners *listeners, const struct options *options,
		    struct inherited *inherited, struct worker *const *workers,
		    unsigned worker_count) MUST_CHECK;

/**
 * Lets the server listen on all addresses for HTTP.
 *
 * @inherited those that are for HTTP are claimed
 * @return false when one cannot be opened (logged); what was opened is the server's
 */
bool listeners_open_web(struct listeners *listeners, const struct options *options,
			struct inherited *inherited, struct http_server *server) MUST_CHECK;

/** Asks the kernel for its drop counts; at least once per 2^32 drops. */
void listeners_poll_drops(struct listeners *listeners);

/**
 * Removes the files of Unix sockets and takes the last drop counts; before the workers close their
 * sockets.
 */
void listeners_close(struct listeners *listeners);

/** Frees the lists, after listeners_close(). */
void listeners_fini(struct listeners *listeners);

#endif
