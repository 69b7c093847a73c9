/*
 * metrics/registry_private - the registry's insides, shared by its files: registry.c (ingest side),
 * registry_births.c, registry_expire.c, registry_arrange.c and registry_reader.c (control side).
 */
#ifndef METRICS_REGISTRY_PRIVATE_H
#define METRICS_REGISTRY_PRIVATE_H

#include "base/index.h"
#include "metrics/expiry.h"
#include "metrics/registry.h"
#include "metrics/slab.h"
#include "metrics/slots.h"

#include <pthread.h>

enum series_state {
	SERIES_LIVE,
	SERIES_DYING, /* taken away from all threads; freed after a quiescent point */
	SERIES_DEAD,  /* out of the index; the record waits for readers to leave the family */
};

/* What only a series that has, or had, a ttl needs. It stays where it is when the series moves. */
struct series_life {
	struct expiry_node node;	  /* control only, but its owner: under the lock */
	struct series_life *next_changed; /* under the lock: list of those whose ttl changed */
	_Atomic int64_t ttl_us;	     /* 0 = never expires; written under the lock */
	bool is_changed;	     /* in that list */
};

/*
 * There may be millions: what can be worked out again, or is rarely there, has no field. Records move,
 * see registry_arrange(): only the index, its family and its life may point to one for long.
 */
struct series {
	union {
		struct name_set *names;	  /* until it is dead */
		struct series *next_dead; /* from when it left the output order */
	};
	_Atomic(struct series_life *) life; /* of registry->lives; set once, under the lock */
	uint32_t id;
	uint32_t incarnation;
	uint32_t text_len;
	uint32_t birth; /* tick of its first request */
	uint16_t layout_number;
	uint16_t label_count;
	uint16_t scope;        /* of the last request; under the lock */
	_Atomic uint8_t state; /* enum series_state; written under the lock */
	char text[];	       /* `a="b",c="d"`, escaped */
};

_Static_assert(offsetof(struct series, text) == 39, "each byte more is megabytes");
_Static_assert(LAYOUTS_MAX - 1 <= UINT16_MAX, "a series has room for each layout's number");

/* Series in output order. Copied before a change while a reader holds it. Control only. */
struct series_list {
	unsigned references;
	size_t count, capacity;
	struct series **items;
};

/* One set of label names in use in a family, for the metrics_total metric. */
struct name_set {
	struct family *family;
	uint64_t hash;
	uint32_t series; /* how many have it */
};

struct family {
	char *name; /* owned */
	size_t name_len;
	uint64_t hash;
	enum metric_type type;

	/* Under the lock. */
	char *help; /* owned */
	size_t help_len;
	uint64_t help_rules; /* the rule set that set it */
	uint64_t series_count;
	struct series **births; /* not in the output order yet */
	size_t birth_count, birth_capacity;
	struct family *next_born; /* in such a list of the registry while birth_count > 0 */

	/* Control only. */
	struct series_list *list;
	unsigned pins; /* readers that are in this family */
	bool is_listed; /* in registry->sorted */
	bool is_gone; /* out of the index of families */
	bool is_touched; /* in registry->touched: dead series are in its list */
	size_t dead; /* how many of the list */
	size_t sweep_at; /* where in the list the search for them goes on */
	size_t unarranged; /* about how many of the list lie elsewhere in memory than in its order */
	size_t arranged_to; /* so far in the list did this pass come */
	uint64_t pass;	    /* the last that came to this family */
	/* Taken out of the list, but readers may hold an older one. */
	struct series *graveyard, *graveyard_end;
	struct family *next_touched;
};

struct pool_ids {
	uint32_t next; /* never used from here on */
	uint32_t *free;
	size_t free_count, free_capacity;
};

/* Births on their way into the output order, see registry_births.c. */
struct listing {
	uint64_t births; /* so many are in it, of all so far */
	bool is_under_way; /* a round is... */
	uint64_t round_births; /* ... at whose end so many are, or the last round's */
	struct family *families; /* of the round, whose births were not taken yet; under the lock */
	struct family *family; /* whose births were taken, or NULL */
	struct series **taken;
	size_t taken_count;
	struct order_merge *merge; /* of these, or else of `newcomers`; or NULL */
	bool is_searching; /* what it is merged into may not change */
	bool owes_clean; /* that kept registry_clean() from its work */
	struct family **newcomers; /* families that are to be listed */
	size_t newcomer_count, newcomer_capacity;
	size_t newcomer_series; /* of all these */
};

/*
 * The index of series is cut up, so that a table that grows is small and nobody waits long for it.
 */
#define SERIES_SEGMENTS 256

struct registry {
	pthread_mutex_t lock;
	_Atomic unsigned waiting; /* ingest threads that want the lock */
	unsigned threads;
	uint64_t max_series;
	struct grace *grace;
	void (*left_scope)(void *ctx, unsigned scope, struct span labels);
	void *left_scope_ctx;
	registry_ended_fn *ended; /* control only, as its ctx */
	void *ended_ctx;
	struct shard **shards; /* threads + 1: the last holds the gauges */
	struct index reserved; /* struct span *, owned copies of the pointers only */
	bool reserves_created;
	int64_t start_ms;

	/* Under the lock. */
	struct index families;
	struct index series[SERIES_SEGMENTS]; /* see series_segment() */
	uint64_t text_bytes; /* of all records and families */
	uint64_t records; /* series that take memory and an id: dead ones that readers keep, too */
	struct layouts *layouts;
	struct index name_sets; /* items are owned */
	struct pool_ids ids[POOLS];
	uint32_t last_incarnation;
	struct family *born; /* families with births, but for those in listing.families */
	uint64_t births; /* so far */
	struct series_life *changed;
	struct slab slab; /* of the records */
	struct slots lives;
	_Atomic uint64_t frees;
	_Atomic uint64_t series_count[METRIC_TYPES];
	_Atomic uint64_t metrics_count[METRIC_TYPES];
	_Atomic uint64_t families_count;

	/* Control only. */
	struct listing listing;
	struct family **sorted; /* by name */
	size_t sorted_count, sorted_capacity;
	uint64_t sorted_version; /* grows with each change of `sorted` */
	size_t sorted_gone; /* how many of `sorted` are gone */
	size_t sorted_sweep_at; /* where the search for them goes on */
	struct family *touched; /* families with dead series in their lists */
	struct series *corpses; /* dead series that nothing refers to any more */
	struct layout *unused; /* layouts that lost their last series; some have others since */
	uint64_t rules_forgotten; /* no thread knows anything of rule sets below it */
	struct expiry *expiry;
	struct series_life **dying; /* the batch that waits for a quiescent point */
	size_t dying_count, dying_capacity;
	struct grace_moment *dying_since;
	uint64_t dying_births; /* these are among so many */
	uint32_t tick;
	bool has_ended_zeros;      /* see registry_end_zeros() */
	size_t listed, unarranged; /* of all listed families together */
	uint32_t listed_tick;      /* when births were last listed */
	uint64_t pass; /* the one under way, or the last */
	bool is_arranging; /* a pass is under way... */
	bool compacts; /* ... and moves the records of families in good order, too */
	unsigned unarranged_share; /* it moves families of which one in so many is out of order */
	size_t arrange_at; /* the family in `sorted` that it has come to */
};

static inline struct span
family_name(const struct family *family)
{
	return span_of(family->name, family->name_len);
}

/* What a family counts for in text_bytes. */
static inline uint64_t
family_bytes(size_t name_len)
{
	return name_len + sizeof(struct family);
}

static inline struct span
series_text(const struct series *series)
{
	return span_of(series->text, series->text_len);
}

/** @return what a record takes, of a label text so long */
static inline size_t
series_bytes(size_t text_len)
{
	/* Not sizeof(struct series) + text_len: the text begins inside the padding. */
	size_t size = offsetof(struct series, text) + text_len;
	return size > sizeof(struct series) ? size : sizeof(struct series);
}

static inline struct family *
series_family(const struct series *series)
{
	return series->names->family;
}

static inline struct layout *
series_layout(const struct registry *registry, const struct series *series)
{
	return layouts_at(registry->layouts, series->layout_number);
}

/* 0 = never expires. */
static inline int64_t
series_ttl_us(const struct series *series)
{
	const struct series_life *life =
	    atomic_load_explicit(&series->life, memory_order_acquire);
	return life ? atomic_load_explicit(&life->ttl_us, memory_order_relaxed) : 0;
}

/** @return the hash of a series in the index */
uint64_t series_hash(const struct family *family, struct span text);

/** @return the part of the index that a series of this hash is in */
static inline struct index *
series_segment(struct registry *registry, uint64_t hash)
{
	return &registry->series[hash % SERIES_SEGMENTS];
}

/**
 * @layout the series'
 * @return its cell in a shard, whatever it holds, or NULL where it was never touched
 */
static inline struct cell *
series_cell(const struct shard *shard, const struct layout *layout, const struct series *series)
{
	return shard_peek(shard, layout->pool, series->id);
}

/** Frees what the series' cells own, and zeroes them; under the lock. */
void series_clear_cells(struct registry *registry, const struct series *series);

/** Sets the incarnation of a series' cell in every shard that has it; under the lock. */
void series_set_incarnations(struct registry *registry, const struct series *series,
			     uint32_t incarnation);

/** Output order: fewer labels first, then by values in label-name order. */
int series_compare(const struct series *a, const struct series *b);
/** The same with a series that has so many labels, whose text is `labels`. */
int series_compare_labels(const struct series *series, size_t label_count, struct span labels);

/** registry_list_births() with another amount of work for a call. @left as in struct order_work */
bool registry_list_some(struct registry *registry, uint64_t births, int64_t left) MUST_CHECK;

/** Frees what births that are not in the output order yet need. */
void listing_fini(struct listing *listing);

/** Replaces the list by a private copy when a reader holds it. */
void family_own_list(struct family *family);
void series_list_release(struct series_list **list);

/** Whether any of the family's listed series is alive. */
static inline bool
family_is_shown(const struct family *family)
{
	return family->list->count > family->dead;
}

/** To be called when a reader leaves a family: what was kept for readers may go. */
void family_unpinned(struct registry *registry, struct family *family);

/**
 * Does a slice of the work that dead series leave behind: takes them out of the output order and frees
 * what no reader can reach. Control thread, without the lock.
 *
 * @return whether there is more to do
 */
bool registry_clean(struct registry *registry);

/**
 * Moves records so that they lie in memory in output order, or closer together, a slice of them at each
 * call: when many were born since the last time, or so many died that memory is half empty. Families
 * that a reader is in wait. Control thread, without the lock.
 *
 * @return whether there is more to do that need not wait
 */
bool registry_arrange(struct registry *registry);

/** Frees a family that nothing refers to any more. */
void family_free(struct family *family);

/** Gives a series another scope; under the lock. */
void series_set_scope(struct registry *registry, struct series *series, uint16_t scope);

/** Frees the memory of a series; under the lock. */
void series_free(struct registry *registry, struct series *series);

#endif
