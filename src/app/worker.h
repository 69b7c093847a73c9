/*
 * app/worker - an ingest thread: its loop, its sockets, its relays, and the ingest they feed.
 *
 * Made and freed on the control thread; between worker_start() and worker_stop() only the counters
 * may be read from outside.
 */
#ifndef APP_WORKER_H
#define APP_WORKER_H

#include "app/bridge.h"
#include "app/options.h"
#include "net/address.h"
#include "net/relay.h"
#include "net/sink.h"
#include "net/stream.h"

struct worker;

/** @bridge, @limit borrowed; @options read now; @thread its index */
struct worker *worker_new(struct bridge *bridge, struct stream_limit *limit,
			  const struct options *options, unsigned thread);

/* Before worker_start(): sockets and relays. File descriptors are consumed unless said otherwise. */
/** @room what the kernel queues there: bytes of UDP as it counts them, datagrams of Unix; -1 = unknown */
void worker_add_datagrams(struct worker *worker, int fd, enum net_transport transport,
			  int64_t room);
/** @owns_fd false when several workers accept from one socket and another one owns it */
void worker_add_listener(struct worker *worker, int fd, bool owns_fd,
			 enum net_transport transport);
/** TCP listeners that are added from now on are secured. @tls outlives the worker; may be NULL */
void worker_secure_tcp(struct worker *worker, struct tls_source *tls);
/** @return false when the relay cannot be opened (logged) */
bool worker_add_relay(struct worker *worker, const struct address *target,
		      size_t packet_length) MUST_CHECK;

/** @return 0, or an error number when the thread cannot be made */
int worker_start(struct worker *worker) MUST_CHECK;

/**
 * Asks the thread to take what its sockets hold, until `deadline_us` on the monotonic clock at the
 * latest, and to end. Returns at once.
 */
void worker_stop(struct worker *worker, int64_t deadline_us);
/** Waits for the thread to end. */
void worker_join(struct worker *worker);
/**
 * Closes the sockets of a worker that was never started, or joined, and sends what its relays hold; its
 * counters stay. The rest of an unfinished line is still processed.
 */
void worker_close(struct worker *worker);
/** Frees a worker; closes it first if need be. */
void worker_free(struct worker **worker);

/* Readable while the thread runs. */
const struct net_counters *worker_counters(const struct worker *worker,
					   enum net_transport transport);
size_t worker_relay_count(const struct worker *worker);
const struct relay_counters *worker_relay_counters(const struct worker *worker, size_t relay);
/** @return how often it woke up and found something to read */
uint64_t worker_wake_ups(const struct worker *worker);
/** @return how long it lets traffic gather at present, in microseconds */
int64_t worker_delay_us(const struct worker *worker);
/** @return whether all its listeners still receive */
bool worker_is_alive(const struct worker *worker);

#endif
