/*
 * mapping/regex - all regexes of one rule set. The only place that knows PCRE2.
 *
 * RE2's language and meaning: the first rule in order whose pattern is found anywhere in the name,
 * leftmost, first alternative first. A name is run only against the regexes that can match it
 * (mapping/prefilter). A search that gives up at the match limit is no match and is counted.
 */
#ifndef MAPPING_REGEX_H
#define MAPPING_REGEX_H

#include "base/check.h"
#include "base/diag.h"
#include "base/span.h"
#include "model/kind.h"

#include <stdint.h>

/*
 * Steps of backtracking after which a search gives up: far beyond what an ordinary pattern needs
 * for the longest name, yet over in about a millisecond.
 */
#define REGEX_MATCH_LIMIT 100000

struct regex_set;

/** @return an empty set, owned by the caller */
struct regex_set *regex_set_new(void) MUST_CHECK;
void regex_set_free(struct regex_set **set);

/**
 * Compiles a pattern and adds it; regexes are numbered from 0 in the order they are added.
 *
 * @pattern borrowed for the call
 * @kinds   KIND_BITs of the events it takes
 * @rule    what regex_set_find() answers with
 * @diag    told why, at `place`, when RE2 would refuse the pattern or PCRE2 does
 * @return  false when it was refused; nothing was added then
 */
bool regex_set_add(struct regex_set *set, struct span pattern, unsigned kinds, uint32_t rule,
		   struct diag *diag, struct diag_place place, const char *key) MUST_CHECK;

/** Makes the set ready for lookups; after the last regex_set_add(). */
void regex_set_build(struct regex_set *set);

/** @return how many regexes there are */
size_t regex_set_count(const struct regex_set *set);

/**
 * The capturing groups of a regex.
 *
 * @names set to count + 1 items, NULL where a group has no name ([0] always); borrowed from the set
 * @return how many groups there are
 */
size_t regex_set_groups(const struct regex_set *set, size_t regex, char *const **names);

/** @return how often searches with this regex gave up; its rule in *rule */
uint64_t regex_set_limit_hits(const struct regex_set *set, size_t regex, uint32_t *rule);

/* A thread's working memory for lookups, good for any set. */
struct regex_scratch;

struct regex_scratch *regex_scratch_new(void) MUST_CHECK;
void regex_scratch_free(struct regex_scratch **scratch);

struct regex_match {
	uint32_t rule;
	size_t capture_count;
	/* capture_count + 1 items: the matched part, then the groups; a group that took no part has
	 * a NULL pointer. Borrows the name. */
	const struct span *captures;
};

/**
 * Finds the first regex that matches a name. Allocates only when `scratch` meets a larger set than
 * before.
 *
 * @name valid UTF-8; borrowed by *out, which is good until the next use of `scratch`
 * @out  written on success only
 * @return whether any regex matches
 */
bool regex_set_find(const struct regex_set *set, struct regex_scratch *scratch,
		    enum event_kind kind, struct span name, struct regex_match *out) MUST_CHECK;

/** @return bytes of the longest run of Unicode letters, digits and '_' that `text` starts with */
size_t regex_word_length(struct span text);

#endif
