/*
 * app/ingest - the push path of one thread: payloads to lines, lines to samples, samples to series.
 *
 * A line's name and sections are looked up by the hash of their bytes; a hit updates the series'
 * cell and one hit count. A new spelling takes the slow path once: statsd_parse_head(), the mapping
 * rules, the registry. Refusals are remembered alike.
 */
#ifndef APP_INGEST_H
#define APP_INGEST_H

#include "app/bridge.h"
#include "net/relay.h"

struct ingest;

/** @bridge borrowed. @thread index of the ingest thread that will use it */
struct ingest *ingest_new(struct bridge *bridge, unsigned thread);
void ingest_free(struct ingest **ingest);

/** Copies every line to these relays, too. @relays borrowed, @count of them */
void ingest_set_relays(struct ingest *ingest, struct relay *const *relays, size_t count);

/**
 * Reads the clock and sees reloads: called when a batch of work begins, inside of grace_begin() and
 * grace_end(). No line may wait for ingest_flush().
 */
void ingest_begin(struct ingest *ingest);

/**
 * Takes a payload: lines divided by '\n', one more than there are '\n'. A '\r' before a line's end
 * is dropped.
 *
 * @payload borrowed until ingest_flush(): lines may be put off until then
 */
void ingest_payload(struct ingest *ingest, struct span payload);

/** Does what payloads have left to do. Call it before their bytes go away, and before ending a
 * batch. */
void ingest_flush(struct ingest *ingest);

/** Gives up windows of summaries whose time has passed; about once a second. */
void ingest_rotate(struct ingest *ingest);

/** Adds this thread's account to `total`, shapes multiplied out; control thread. */
void ingest_add_account(const struct ingest *ingest, struct account *total);

/**
 * Adds what this thread has counted for a shape to an account, and forgets it. Control thread,
 * while the ingest thread cannot meet the shape.
 */
void ingest_take_hits(struct ingest *ingest, uint32_t id, const struct shape *shape,
		      struct account *account);

/** @return how many spellings were worked out and could not be remembered; any thread */
uint64_t ingest_forgotten(const struct ingest *ingest);

/** @return spellings remembered; any thread */
uint64_t ingest_cache_count(const struct ingest *ingest);

#endif
