/*
 * mapping/mapper - which rule, which name, which labels.
 *
 * A mapper is immutable after mapper_new() and shared by all threads; it is replaced whole on reload.
 * Match-limit counters inside it are atomic. Each thread brings its own scratch.
 */
#ifndef MAPPING_MAPPER_H
#define MAPPING_MAPPER_H

#include "base/buf.h"
#include "mapping/rule.h"
#include "model/labels.h"

#include <stdio.h>

struct mapper;

/* A thread's working memory for lookups: regex match data, JIT stack, rendered text. */
struct mapping_scratch;

struct mapping_scratch *mapping_scratch_new(void);
void mapping_scratch_free(struct mapping_scratch **scratch);

/**
 * Compiles rule sets. The first set with a matching rule decides; within a set globs come before
 * regexes.
 *
 * @sets  consumed in any case, the elements and the array itself (free()); count at least 1
 * @diag  gets what only shows now: a regex that does not compile or that RE2 would refuse, an
 *        invalid template, and warnings about rules that an earlier one always hides
 * @return the mapper with one reference, or NULL on errors
 */
struct mapper *mapper_new(struct rule_set **sets, size_t count, struct diag *diag) MUST_CHECK;

/* Reference counting is atomic. unref nulls the pointer and frees with the last reference. */
struct mapper *mapper_ref(struct mapper *mapper);
void mapper_unref(struct mapper **mapper);

/** @return rules of all sets, for the loaded_mappings metric */
size_t mapper_rule_count(const struct mapper *mapper);

/** @return sets, at least 1 */
size_t mapper_set_count(const struct mapper *mapper);

/** @return whether any set limits values of labels */
bool mapper_limits_values(const struct mapper *mapper);

struct mapping_match {
	/* Both live as long as the mapper. */
	const struct mapping_rule *rule; /* NULL = no rule matched */
	const struct rule_set *set;      /* the rule's, else the first, which decides such names */
	struct span name;		 /* rendered, raw (not escaped), may be empty */
	size_t label_count;
	const struct label *labels; /* rule->labels rendered, in rule order; values may be empty */
};

/**
 * Finds the rule for a name and renders its templates. ACTION_DROP rules render nothing.
 *
 * Rules: statsd_exporter's (globs before regexes, first regex found anywhere in the name), with the
 * documented glob meaning: ordered sets take the first match in file order, unordered ones the match
 * that is literal at the earliest differing component.
 *
 * @name valid UTF-8, raw metric name without tags; borrowed
 * @out  always written; borrows from `scratch` until its next use, and from the mapper
 */
void mapper_find(const struct mapper *mapper, struct mapping_scratch *scratch, enum event_kind kind,
		 struct span name, struct mapping_match *out);

/** @return regex searches that gave up at PCRE2's match limit, all rules together */
uint64_t mapper_match_limit_hits(const struct mapper *mapper);

/** Calls `visit` for each regex rule that has hit the match limit at least once. */
void mapper_visit_match_limit_hits(const struct mapper *mapper,
				   void (*visit)(void *ctx, const struct mapping_rule *rule,
						 uint64_t hits),
				   void *ctx);

/**
 * Writes the glob automaton of all sets as a Graphviz digraph, laid out left to right: nodes numbered
 * breadth-first from 0 (root), the root's children are the kinds, edges are labelled with the
 * component. With several sets each kind has a child for each set, its edge labelled with the file.
 *
 * @return false when writing failed (errno kept)
 */
bool mapper_dump_graph(const struct mapper *mapper, FILE *out) MUST_CHECK;

#endif
