/*
 * app/ingest_private - the insides of one thread's ingest, shared by ingest.c (batches of lines),
 * sample.c (the long way of a line), resolve.c (new spellings) and values.c (what values become).
 */
#ifndef APP_INGEST_PRIVATE_H
#define APP_INGEST_PRIVATE_H

#include "app/ingest.h"
#include "metrics/raw_cache.h"

/* Lines of one batch: enough to have many reads of memory under way, few enough for the first cache. */
#define BATCH_LINES 64

/* Where a sample goes: what a spelling was found to mean. */
struct target {
	const struct shape *shape;
	uint32_t shape_id; /* 0 = `shape` is not interned */
	struct cell *cell; /* with a series */
};

/* A line that waits for its batch. */
struct pending_line {
	struct span line;
	/* One sample with one number, as nearly all lines are; NULL in `shape` takes the long way. */
	bool is_plain;
	const char *text; /* of the number */
	double value;	  /* from step two on as the series takes it */
	struct hash128 key;
	struct raw_entry *home; /* of the key */
	struct target target;
	uint32_t incarnation, bucket;
};

/* A power of two. */
#define RECENT_SHAPES 256

struct ingest {
	struct bridge *bridge;
	unsigned thread;
	struct shard *shard, *gauges;
	struct raw_cache *cache;
	struct account *account;
	struct shape_hits *hits;
	struct relay *const *relays;
	size_t relay_count;

	/* Of this batch, or of a few hundred lines ago. */
	int64_t now_us;
	uint32_t tick;
	unsigned lines_to_clock;

	struct pending_line pending[BATCH_LINES];
	unsigned pending_count;

	/* Entries of another generation are void; each enum shape_validity has its own. */
	uint64_t rules_seen, frees_seen, places_seen;
	uint32_t generations[SHAPE_VALIDITIES];

	/* Working memory of the slow path. */
	uint32_t recent_shapes[RECENT_SHAPES]; /* ids, 0 = none; see intern_shape() */
	struct statsd_head head;
	struct mapping_scratch *scratch;
	struct buf text, name;
	char key_suffix[STATSD_LINE_MAX];
};

/* A line that is being worked on. */
struct work {
	struct span line;
	struct statsd_cut cut;
	/* Of a single value: what number it is, if any. */
	bool is_number;
	double value;
	const struct hash128 *line_key; /* see sample_take_line() */
	struct shape shape; /* room for one that is not interned */
	bool is_first;	    /* sample of the line */
	struct span key_suffix; /* the part of cut.suffix that has a meaning */
	bool is_whole;		/* that is all of it, and the end of the line */
	/* Of the sample before, so that equal etsy samples are looked up once. */
	struct span suffix;
	struct target target;
};

/** @return the shard that holds the cells of a shape's series */
static inline const struct shard *
ingest_shard_of(const struct ingest *ingest, const struct shape *shape)
{
	return shape->pool == POOL_GAUGES ? ingest->gauges : ingest->shard;
}

/** @return the cell of an entry's series, or NULL where it has none */
static inline struct cell *
ingest_cell_of(const struct raw_entry *entry)
{
	return (struct cell *)(uintptr_t)entry->cell;
}

/** @return whether what the cache says of a spelling still holds */
static inline bool
ingest_is_fresh(const struct ingest *ingest, const struct raw_entry *entry,
		const struct shape *shape)
{
	return entry->generation == ingest->generations[shape->validity];
}

/* ---- values.c ---- */

/** @return whether samples of this type are sums, which one infinity or NaN would spoil for ever */
bool value_must_be_finite(enum statsd_type type);

/** @return whether all packed values are numbers */
bool values_are_numbers(struct span values);

/**
 * @return whether packed values of this type are taken only if all are numbers, as counters' and
 *         gauges' are; observers lose just the pieces that are none
 */
bool values_pack_all_or_none(enum statsd_type type);

/** @return whether any value of a sample would be applied to a series */
bool values_count(const struct work *work, const struct shape *shape);

/* ---- sample.c: the long way of a line, whatever is in it. ---- */

/**
 * Takes a line that is not empty, without line end.
 *
 * @key hash_pair128() of what stands before the first ':' and of all from the '|' behind that on;
 *	NULL = not known
 */
void sample_take_line(struct ingest *ingest, struct span line, const struct hash128 *key);

/* ---- resolve.c ---- */

/**
 * Works out what the spelling of the sample in hand means, and remembers it under `key`.
 *
 * @work   its `shape` is written, and may be what *target points to
 * @target written in any case
 */
void ingest_resolve(struct ingest *ingest, struct work *work, struct hash128 key,
		    struct target *target);

#endif
