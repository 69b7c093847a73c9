/*
 * metrics/registry_private - the registry's insides, shared by its three files: registry.c (ingest
 * side), registry_expire.c and registry_reader.c (control side).
 */
#ifndef METRICS_REGISTRY_PRIVATE_H
#define METRICS_REGISTRY_PRIVATE_H

#include "base/index.h"
#include "metrics/expiry.h"
#include "metrics/registry.h"

#include <pthread.h>

enum series_state {
	SERIES_LIVE,
	SERIES_DYING, /* taken away from all threads; freed after a quiescent point */
	SERIES_DEAD,  /* out of the index; the record waits for readers to leave the family */
};

struct series {
	struct family *family;
	struct name_set *names;
	struct expiry_node *expiry; /* control only; NULL without a ttl */
	struct series *next_changed; /* under the lock: list of series whose ttl changed */
	_Atomic int64_t ttl_us;
	uint64_t hash; /* in the series index */
	uint32_t id;
	uint32_t incarnation;
	uint32_t text_len;
	uint16_t pool;
	uint16_t label_count;
	_Atomic uint8_t state; /* enum series_state; written under the lock */
	bool is_changed; /* in the list of changed series */
	char text[];	 /* `a="b",c="d"`, escaped */
};

/* Series in output order. Copied before a change while a reader holds it. Control only. */
struct series_list {
	unsigned references;
	size_t count, capacity;
	struct series **items;
};

/* One set of label names in use in a family, for the metrics_total metric. */
struct name_set {
	const struct family *family;
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
	struct family *next_born; /* in registry->born while birth_count > 0 */

	/* Control only. */
	struct series_list *list;
	unsigned pins; /* readers that are in this family */
	bool is_listed, is_gone;
	struct series **graveyard; /* dead series that a pinned list still names */
	size_t grave_count, grave_capacity;
	struct family *next_touched; /* while a batch of deaths is worked off */
	bool is_touched;
};

struct pool_ids {
	uint32_t next; /* never used from here on */
	uint32_t *free;
	size_t free_count, free_capacity;
};

struct registry {
	pthread_mutex_t lock;
	unsigned threads;
	uint64_t max_series;
	struct grace *grace;
	struct layouts *layouts;
	struct shard **shards; /* threads + 1: the last holds the gauges */
	struct index reserved; /* struct span *, owned copies of the pointers only */

	/* Under the lock. */
	struct index families;
	struct index series;
	uint64_t text_bytes; /* of all records and families */
	uint64_t records; /* series that take memory and an id: dead ones that readers keep, too */
	struct index name_sets; /* items are owned */
	struct pool_ids ids[POOLS_MAX];
	uint32_t last_incarnation;
	struct family *born; /* families with births */
	struct series *changed;
	_Atomic uint64_t frees;
	_Atomic uint64_t series_count[METRIC_TYPES];
	_Atomic uint64_t metrics_count[METRIC_TYPES];
	_Atomic uint64_t families_count;

	/* Control only. */
	struct family **sorted; /* by name */
	size_t sorted_count, sorted_capacity;
	uint64_t sorted_version; /* grows with each change of `sorted` */
	struct expiry *expiry;
	struct series **dying; /* the batch that waits for a quiescent point */
	size_t dying_count, dying_capacity;
	struct grace_moment *dying_since;
	uint32_t tick;
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

/** Sets the incarnation of a series' cell in every shard that has it; under the lock. */
void series_set_incarnations(struct registry *registry, const struct series *series,
			     uint32_t incarnation);

/** Output order: fewer labels first, then by values in label-name order. */
int series_compare(const struct series *a, const struct series *b);

/** Puts all births into the output order. Control thread, without the lock. */
void registry_merge_births(struct registry *registry);

/** Replaces the list by a private copy when a reader holds it. */
void family_own_list(struct family *family);
void series_list_release(struct series_list **list);

/** Frees what readers kept from being freed, once none is in the family. */
void family_unpinned(struct registry *registry, struct family *family);

/** Frees a family that nothing refers to any more. */
void family_free(struct family *family);

/** Gives back the id and the memory of a dead series. */
void series_free(struct registry *registry, struct series *series);

#endif
