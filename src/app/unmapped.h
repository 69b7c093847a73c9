/*
 * app/unmapped - the names that no mapping rule matched since the rules in force were loaded.
 *
 * A name is noted when a new spelling of it is worked out; from then on only counters of the
 * threads' accounts grow. There are two banks of counters: while one is in use, threads may still
 * count in the other for rules that a reload has replaced.
 */
#ifndef APP_UNMAPPED_H
#define APP_UNMAPPED_H

#include "base/buf.h"
#include "model/kind.h"

#include <stdbool.h>
#include <stdint.h>

/* Names that are listed, those of several types once for each; how many more there are is
 * estimated. */
#define UNMAPPED_NAMES_MAX 1000
/* Bytes of all names and examples that are listed. */
#define UNMAPPED_TEXT_MAX (1u << 20)
/* Bytes of a line that are shown as an example. */
#define UNMAPPED_EXAMPLE_MAX 512

/* In each of two banks a counter for each name, and one for all that are not listed. */
#define UNMAPPED_BANK_COUNTERS (UNMAPPED_NAMES_MAX + 1)
#define UNMAPPED_COUNTERS (2 * UNMAPPED_BANK_COUNTERS)
/* Instead of a counter: nobody will ask any more. */
#define UNMAPPED_UNCOUNTED UNMAPPED_COUNTERS

struct unmapped;

/** @rules the number of those in force, see struct bridge */
struct unmapped *unmapped_new(uint64_t rules);
void unmapped_free(struct unmapped **unmapped);

/**
 * Notes a name. Any thread; takes a lock.
 *
 * @rules number of the rules that were asked
 * @name  as it was sent, without tags; @line that it came with. Both borrowed
 * @return which counter to count its events with, or UNMAPPED_UNCOUNTED when the rules have gone
 */
unsigned unmapped_note(struct unmapped *unmapped, uint64_t rules, enum event_kind kind,
		       struct span name, struct span line);

/* ---- Control thread. ---- */

/** Forgets all names, before threads see new rules. @rules their number */
void unmapped_begin(struct unmapped *unmapped, uint64_t rules);

/** @return whether unmapped_clean() has something to do */
bool unmapped_is_unclean(const struct unmapped *unmapped);

/**
 * To be called when no thread counts for former rules any more.
 *
 * @counters what all threads have counted so far, UNMAPPED_COUNTERS of them
 */
void unmapped_clean(struct unmapped *unmapped, const uint64_t *counters);

/** Appends the names as a JSON object, the most frequent first. @counters as above */
void unmapped_write(struct unmapped *unmapped, const uint64_t *counters, struct buf *out);

#endif
