/*
 * app/shape - what a known spelling does, and what is counted for it.
 *
 * Shapes are interned: spellings that act and count alike share one, so that a hit costs one
 * increment in a small, hot array. There are at most SHAPES_MAX; a spelling whose shape finds no
 * room is simply not remembered. Each is wanted by the rules that spellings were last worked out
 * with: once no thread uses former rules any more, what only they wanted is taken away.
 */
#ifndef APP_SHAPE_H
#define APP_SHAPE_H

#include "app/account.h"
#include "base/check.h"
#include "base/index.h"
#include "mapping/rule.h"
#include "metrics/layout.h"
#include "metrics/slots.h"
#include "statsd/line.h"

#include <pthread.h>
#include <stdbool.h>

#define SHAPES_MAX 65535
/*
 * Of these, shapes with sampling, faults or refusals, whose number a peer chooses. The others
 * follow from the mapping rules, and always find room.
 */
#define SHAPES_UNUSUAL_MAX (SHAPES_MAX / 2)

enum shape_op {
	SHAPE_REFUSE_LINE,    /* nothing behind the name is looked at */
	SHAPE_REFUSE_SAMPLES, /* good values are refused, for the tallied reason */
	SHAPE_UNBORN,         /* no value has counted yet, so there is no series */
	/* From here on there is a series. */
	SHAPE_COUNTER,
	SHAPE_GAUGE_SET,      /* a sign belongs to the number */
	SHAPE_GAUGE_RELATIVE, /* a sign makes it a delta */
	SHAPE_HISTOGRAM,
	SHAPE_SUMMARY,
	SHAPE_SET, /* the whole text between name and type is one member */
};

/* What a tally is multiplied with. */
enum tally_unit {
	TALLY_LINE,  /* lines that began with this spelling */
	TALLY_VALUE, /* values that are numbers */
	TALLY_EVENT, /* whole events applied: values, and more for sampled observers */
};

struct tally {
	uint16_t counter; /* enum account_counter */
	uint16_t unit;    /* enum tally_unit */
	uint32_t times;
};

#define TALLIES_MAX (12 + VALUE_LIMITS_MAX)

/* Until when what is known of a spelling holds. */
enum shape_validity {
	VALID_UNTIL_RELOAD,
	VALID_UNTIL_FREED, /* a refusal that may be lifted when a name or series is freed */
	VALID_UNTIL_PLACE, /* a label value that found no place, see metrics/value_limits */
	SHAPE_VALIDITIES
};

/* Compared bytewise when interned: zero it whole before filling it. */
struct shape {
	uint8_t op;       /* enum shape_op */
	uint8_t type;     /* enum statsd_type */
	uint8_t kind;     /* enum event_kind, with a series */
	uint8_t validity; /* enum shape_validity */
	uint8_t rate_count;
	uint8_t tally_count;
	const struct layout *layout; /* of the series */
	double divisor;              /* 1000 where milliseconds come */
	double scale;                /* the rule's, else 1 */
	double weight;               /* observers: 1 / rate */
	/* Up to here a hit reads; what follows it rarely needs. */
	double rates[STATSD_RATES_MAX];
	struct tally tallies[TALLIES_MAX];
};

/** Adds a tally; @times 0 is left out */
void shape_tally(struct shape *shape, unsigned counter, enum tally_unit unit, uint64_t times);

/** Adds what `lines`, `values` and `events` hits of a shape mean to an account. */
void shape_account(const struct shape *shape, struct account *account, uint64_t lines,
		   uint64_t values, uint64_t events);

struct shape_entry {
	_Alignas(64) struct shape shape; /* what a hit reads of it is in one cache line */
	uint32_t id;
	bool is_unusual;
	uint64_t rules; /* the last that it was interned for; under the lock */
};

/* Insides, here for shapes_get() alone. */
struct shapes {
	pthread_mutex_t lock;
	/* Under the lock. */
	struct index index; /* items are struct shape_entry */
	struct slots slots; /* of the entries */
	uint32_t unusual;
	uint16_t *free_ids; /* owned; room for all */
	uint32_t free_count;

	_Atomic uint32_t count;
	_Atomic uint32_t ids; /* 1 to this number were ever given; written under the lock */
	_Atomic(struct shape_entry *) entries[SHAPES_MAX + 1];

	/* Control thread only. */
	struct shape_entry **taken; /* owned; see shapes_take_away() */
	uint32_t taken_count;
};

struct shapes *shapes_new(void);
void shapes_free(struct shapes **shapes);

/**
 * Any thread.
 *
 * @rules  the number of those that the shape was worked out with, see struct bridge
 * @return the id of a shape, from 1, or 0 when there is no room
 */
uint32_t shapes_intern(struct shapes *shapes, const struct shape *shape, uint64_t rules);

/**
 * @return a shape by an id that shapes_intern() gave; any thread, no lock. Of one that was taken
 *         away since, another one or one that does nothing. Valid until the thread holds nothing
 */
static inline const struct shape *
shapes_get(const struct shapes *shapes, uint32_t id)
{
	return &atomic_load_explicit(&shapes->entries[id], memory_order_acquire)->shape;
}

/** @return shapes that there are; any thread */
uint32_t shapes_count(const struct shapes *shapes);

/** @return ids that were ever given: 1 to this number */
uint32_t shapes_ids(const struct shapes *shapes);

/**
 * Takes away the shapes that were not interned for these rules, which all threads must use by now:
 * none can meet one of them but by what it remembers of former rules. Control thread.
 *
 * @fold   is called with each, so that its hits are not forgotten
 * @return whether any was; then shapes_free_taken() has work once every thread has held nothing
 */
bool shapes_take_away(struct shapes *shapes, uint64_t rules,
		      void (*fold)(void *ctx, uint32_t id, const struct shape *shape), void *ctx);

/** Frees what shapes_take_away() took before, and its ids. Control thread. */
void shapes_free_taken(struct shapes *shapes);

/* How often each shape was hit on one thread, by id. */
struct shape_hits {
	_Atomic uint64_t lines, values, extra_events; /* extra: beyond one a value */
};

/** @return SHAPES_MAX + 1 zeroed entries, untouched pages cost nothing; freed with free() */
struct shape_hits *shape_hits_new(void);

/** Adds what was counted for a shape to an account. */
void shape_hits_account(const struct shape_hits *hits, const struct shape *shape,
			struct account *account);

/** Begins anew; while the owner cannot meet the shape. */
void shape_hits_reset(struct shape_hits *hits);

/** Counts a hit; by the owner of `hits`. */
static inline void
shape_hit(struct shape_hits *hits, uint64_t lines, uint64_t values, uint64_t extra_events)
{
	atomic_store_explicit(&hits->lines,
			      atomic_load_explicit(&hits->lines, memory_order_relaxed) + lines,
			      memory_order_relaxed);
	atomic_store_explicit(&hits->values,
			      atomic_load_explicit(&hits->values, memory_order_relaxed) + values,
			      memory_order_relaxed);
	if (UNLIKELY(extra_events))
		atomic_store_explicit(
		    &hits->extra_events,
		    atomic_load_explicit(&hits->extra_events, memory_order_relaxed) + extra_events,
		    memory_order_relaxed);
}

#endif
