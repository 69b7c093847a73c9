/*
 * app/ingest_private - the insides of one thread's ingest, shared by ingest.c (batches of lines),
 * sample.c (the long way of a line), resolve.c (new spellings) and values.c (what values become).
 */
#ifndef APP_INGEST_PRIVATE_H
#define APP_INGEST_PRIVATE_H

#include "app/ingest.h"
#include "metrics/histogram.h"
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
	uint32_t incarnation;
	struct histogram_place place; /* of the value, for histograms */
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
	struct hash128 name_hash; /* of the name alone, where has_name_hash says so */
	bool has_name_hash;
	struct span key_suffix; /* the part of cut.suffix that has a meaning */
	bool is_whole;		/* that is all of it, and the end of the line */
	struct hash128 key;
	struct span exemplar; /* its labels; empty = none */
	/* Of the sample before, so that equal etsy samples are looked up once. */
	struct span suffix;
	struct target target;
};

/* How the way of a spelling ends. */
enum meaning_end {
	MEANS_NOTHING, /* refused by the parser */
	MEANS_DROP,    /* by its rule */
	MEANS_NO_NAME, /* the rule left nothing of it */
	MEANS_UNBORN,  /* no value counts yet */
	MEANS_SERIES,
};

/* What a new spelling means: nothing in here depends on rates or values, but whether it is unborn. */
struct meaning {
	enum meaning_end end;
	/* Of an event; both live as long as the mapper. */
	const struct mapping_rule *rule; /* NULL = no rule matched */
	const struct rule_set *set;
	unsigned unmapped; /* counter of its name, where no rule matched */
	bool had_reserved_tag;
	/* The tag that makes an exemplar: its value is in the line. */
	bool had_exemplar_tag;
	struct label exemplar;
	/* Of a series. Its name and labels stand in a buffer that may move until it is looked for. */
	struct series_request request;
	size_t name_at, labels_at;
	/* Of a series that has been looked for. */
	bool is_found;
	enum registry_verdict verdict;
	struct series_ref ref;
	unsigned conflict; /* counter of it, where there is one */
	uint32_t replaced; /* labels that have the value "other", see struct limited */
};

/*
 * What was worked out of the line in hand, so that its further samples need no look at its name and tags,
 * which may be longer than hundreds of them.
 */
struct line_memory {
	bool has_head;	/* ingest->head is of a sample that others follow */
	uint32_t types; /* bits: `meanings` has something for them */
	struct meaning meanings[STATSD_TYPE_UNKNOWN];
};

/* A plain line that waits for its turn. */
struct foreseen {
	bool is_foreseen;
	struct work work;
	struct meaning meaning;
};

/* Enough to have several series fetched meanwhile, few enough for the first cache. */
#define FORESEEN_LINES 16
/* Their names and labels together; the last may exceed it. */
#define FORESEEN_TEXT_MAX (256u << 10)

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
	const struct mapper *mapper; /* of these rules, or newer; until the batch ends */
	uint32_t generations[SHAPE_VALIDITIES];
	uint32_t last_generation;

	/* Working memory of the slow path. */
	uint32_t recent_shapes[RECENT_SHAPES]; /* ids, 0 = none; see intern_shape() */
	struct statsd_head head;
	struct line_memory line;
	struct mapping_scratch *scratch;
	struct buf text; /* of the meaning in hand */
	struct buf exemplar_text; /* of the sample in hand */
	char key_suffix[STATSD_LINE_MAX];

	/* Lines of the batch whose meaning was worked out ahead, from `foreseen_from` on. */
	struct foreseen foreseen[FORESEEN_LINES];
	unsigned foreseen_from, foreseen_count;
	struct buf foreseen_text;
};

/** @return the shard that holds the cells of a shape's series */
static inline const struct shard *
ingest_shard_of(const struct ingest *ingest, const struct shape *shape)
{
	return shape->layout->pool == POOL_GAUGES ? ingest->gauges : ingest->shard;
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

/**
 * Takes the long way with one line of a batch, and looks at what the next ones mean that will take it,
 * so that their series are fetched meanwhile.
 *
 * @number of the line; @count of lines in the batch
 */
void sample_take_pending(struct ingest *ingest, unsigned number, unsigned count);

/* ---- resolve.c ---- */

/**
 * Works out what the spelling of the sample in hand means, and remembers it.
 *
 * @work   its `shape` and `target` are written
 */
void ingest_resolve(struct ingest *ingest, struct work *work);

/** Does the first part of it ahead, where no values are limited. @text gets appended what it takes */
void ingest_foresee(struct ingest *ingest, struct work *work, struct buf *text,
		    struct meaning *meaning);

/** Does the rest of it. @text as it was given to ingest_foresee() */
void ingest_resolve_foreseen(struct ingest *ingest, struct work *work, const struct buf *text,
			     struct meaning *meaning);

#endif
