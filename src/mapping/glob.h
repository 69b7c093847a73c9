/*
 * mapping/glob - all glob patterns of one rule set as one automaton.
 *
 * A glob is a list of components separated by '.'; a component that is exactly "*" takes any one
 * component of a name, also an empty one, every other takes only itself. The automaton is a trie
 * over components. Each node knows, for each kind of event, how many components can still follow
 * and the best rank behind it, so that a lookup leaves hopeless branches at once; no node is
 * visited twice.
 *
 * Ordered: of all globs that match, the one added first wins. Unordered: the one that is literal at
 * the earliest component where they differ; of equal globs the one added first.
 *
 * Rules: statsd_exporter's glob matching as documented, without its unreachable rules.
 */
#ifndef MAPPING_GLOB_H
#define MAPPING_GLOB_H

#include "base/check.h"
#include "base/span.h"
#include "model/kind.h"

#include <stdint.h>

/* No rule, no node. */
#define GLOB_NONE UINT32_MAX

struct glob_set;

/** @return an empty set, owned by the caller */
struct glob_set *glob_set_new(bool is_ordered) MUST_CHECK;
void glob_set_free(struct glob_set **set);

/**
 * Adds a glob.
 *
 * @pattern borrowed; must outlive the set
 * @kinds   KIND_BITs of the events it takes
 * @rule    what glob_set_find() answers with
 */
void glob_set_add(struct glob_set *set, struct span pattern, unsigned kinds, uint32_t rule);

/** @return how many '*' components a pattern has: the captures of its matches */
size_t glob_star_count(struct span pattern);

/* A thread's working memory for lookups, good for any set; grows to the deepest set seen. */
struct glob_scratch {
	struct glob_step *steps;
	struct span *captures;
	size_t capacity;
};

void glob_scratch_init(struct glob_scratch *scratch);
void glob_scratch_fini(struct glob_scratch *scratch);

struct glob_match {
	uint32_t rule;
	size_t capture_count;
	/* capture_count + 1 items: the whole name, then what each '*' took; borrows the name. */
	const struct span *captures;
};

/**
 * Finds the glob that wins for a name. Allocates only when `scratch` meets a deeper set than
 * before.
 *
 * Looked up as a name, a pattern finds the globs that take every name it takes: its '*' is then a
 * component that no literal equals.
 *
 * @name any bytes; borrowed by *out, which is good until the next use of `scratch`
 * @out  written on success only
 * @return whether any glob matches
 */
bool glob_set_find(const struct glob_set *set, struct glob_scratch *scratch, enum event_kind kind,
		   struct span name, struct glob_match *out) MUST_CHECK;

/* A transition, for drawing. Nodes are numbered from 0, the root. */
struct glob_edge {
	uint32_t from, to;
	struct span component; /* "*" for any */
};

/**
 * @edges set to an array that the caller frees: by `from`, then in the order they were added
 * @return how many there are; with none, *edges is still to be freed
 */
size_t glob_set_edges(const struct glob_set *set, struct glob_edge **edges);

/** @return whether events of `kind` can reach a rule through `node` */
bool glob_set_leads(const struct glob_set *set, uint32_t node, enum event_kind kind);

/** @return the rule that ends at `node` for `kind`, or GLOB_NONE */
uint32_t glob_set_rule_at(const struct glob_set *set, uint32_t node, enum event_kind kind);

#endif
