#include "mapping/hidden.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/hash.h"
#include "mapping/hash_index.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Globs are tried against the regexes of earlier sets for so long: each try may take a millisecond.
 */
#define REGEX_SEARCH_US 500000

/* For each kind of event the first rule that takes something. */
struct takers {
	const struct mapping_rule *of[EVENT_KINDS]; /* NULL = none yet */
};

struct seen_regex {
	struct span text;
	struct takers takers;
};

struct search {
	const struct compiled_set *sets;
	struct diag *diag;
	struct glob_scratch scratch;
	struct regex_scratch *regex;
	struct mono regex_deadline;
	bool is_late;            /* for the regexes, and it was said */
	struct seen_regex *seen; /* distinct texts so far */
	size_t seen_count, seen_capacity;
	struct hash_index index;  /* of `seen` */
	struct takers everything; /* regexes that match every name */
};

static bool
matches_everything(struct span regex)
{
	static const char *const texts[] = {"",     "^",    ".*",    "^.*",
					    "^.*$", "(.*)", "^(.*)", "^(.*)$"};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (span_equal(regex, span_text(texts[i])))
			return true;
	return false;
}

static void
take_kinds(struct takers *takers, const struct mapping_rule *rule)
{
	for (int kind = 0; kind < EVENT_KINDS; kind++)
		if (rule->kinds & KIND_BIT(kind) && !takers->of[kind])
			takers->of[kind] = rule;
}

/* @return the rule that hides `rule` for its first kind, if each of its kinds has one */
static const struct mapping_rule *
find_common_taker(const struct mapping_rule *rule, const struct takers *takers)
{
	const struct mapping_rule *first = NULL;
	for (int kind = 0; kind < EVENT_KINDS; kind++) {
		if (!(rule->kinds & KIND_BIT(kind)))
			continue;
		if (!takers->of[kind])
			return NULL;
		if (!first)
			first = takers->of[kind];
	}
	return first;
}

static void
warn(struct search *search, size_t set, size_t number, const struct takers *takers)
{
	const struct mapping_rule *rule = &search->sets[set].set->rules[number];
	const struct mapping_rule *taker = find_common_taker(rule, takers);
	if (!taker)
		return;
	char key[48];
	snprintf(key, sizeof(key), "mappings[%zu].match", number);
	diag_warn(search->diag, rule->match_place, key,
		  "never used: the rule \"%s\" at %s:%u comes first and takes all its names",
		  taker->match, taker->match_place.file, taker->match_place.line);
}

/* The first glob of a set, before rule `end`, that takes every name of `rule` as this kind. */
static const struct mapping_rule *
find_glob_taker(struct search *search, size_t set, const struct mapping_rule *rule,
		enum event_kind kind, size_t end)
{
	struct glob_match match;
	const struct compiled_set *in = &search->sets[set];
	if (!glob_set_find(in->globs, &search->scratch, kind, span_text(rule->match), &match))
		return NULL;
	return match.rule < end ? &in->set->rules[match.rule] : NULL;
}

/* @return whether what stands at `at` of a regex has an odd number of backslashes before it */
static bool
is_escaped(struct span regex, size_t at)
{
	size_t start = at;
	while (start > 0 && regex.ptr[start - 1] == '\\')
		start--;
	return (at - start) % 2;
}

/*
 * Whether a regex that is found in a text is found in every text that begins with it: it does not
 * ask what comes behind. The end of "x.*$" says nothing more than "x".
 */
static bool
ignores_what_follows(struct span regex)
{
	static const struct span ends[] = {{".*$", 3}, {"(.*)$", 5}};
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		if (span_ends(regex, ends[i]) && !is_escaped(regex, regex.len - ends[i].len))
			regex.len -= ends[i].len;
	for (size_t i = 0; i < regex.len; i++) {
		if (regex.ptr[i] == '$')
			return false;
		if (regex.ptr[i] == '\\' && ++i < regex.len && strchr("bBzZ", regex.ptr[i]))
			return false;
	}
	return true;
}

static bool
has_time_for_regexes(struct search *search, const struct mapping_rule *rule)
{
	if (clock_mono().us < search->regex_deadline.us)
		return true;
	if (!search->is_late)
		diag_warn(
		    search->diag, rule->match_place, NULL,
		    "from here on it was not looked whether regexes of earlier files hide globs: "
		    "that takes too long");
	search->is_late = true;
	return false;
}

/*
 * A regex of an earlier set that takes every name of a glob as this kind. All such names begin with
 * what stands before the first star.
 */
static const struct mapping_rule *
find_regex_taker(struct search *search, size_t set, const struct mapping_rule *rule,
		 enum event_kind kind)
{
	struct regex_match match;
	const struct compiled_set *in = &search->sets[set];
	struct span name = span_text(rule->match);
	const char *star = span_find(name, '*');
	if (star)
		name.len = (size_t)(star - name.ptr);
	if (!regex_set_find(in->regexes, search->regex, kind, name, &match))
		return NULL;
	const struct mapping_rule *taker = &in->set->rules[match.rule];
	return !star || ignores_what_follows(span_text(taker->match)) ? taker : NULL;
}

/* The first rule of an earlier set that takes every name of a glob as this kind. */
static const struct mapping_rule *
find_earlier_taker(struct search *search, size_t set, const struct mapping_rule *rule,
		   enum event_kind kind)
{
	const struct mapping_rule *taker = find_glob_taker(search, set, rule, kind, SIZE_MAX);
	if (taker || !regex_set_count(search->sets[set].regexes) ||
	    !has_time_for_regexes(search, rule))
		return taker;
	return find_regex_taker(search, set, rule, kind);
}

static void
check_glob(struct search *search, size_t set, size_t number)
{
	const struct mapping_rule *rule = &search->sets[set].set->rules[number];
	struct takers takers = search->everything;
	for (int kind = 0; kind < EVENT_KINDS; kind++) {
		for (size_t i = 0; i < set && !takers.of[kind]; i++)
			takers.of[kind] = find_earlier_taker(search, i, rule, kind);
		if (!takers.of[kind])
			takers.of[kind] = find_glob_taker(search, set, rule, kind, number);
	}
	warn(search, set, number, &takers);
}

static struct seen_regex *
get_seen(struct search *search, struct span text)
{
	uint64_t hash = hash_bytes64(text.ptr, text.len);
	size_t step = 0;
	for (;;) {
		uint32_t found = hash_index_next(&search->index, hash, &step);
		if (found == HASH_INDEX_NONE)
			break;
		if (span_equal(search->seen[found].text, text))
			return &search->seen[found];
	}
	search->seen =
	    xgrow(search->seen, search->seen_count, &search->seen_capacity, sizeof(*search->seen));
	hash_index_add(&search->index, hash, (uint32_t)search->seen_count);
	struct seen_regex *seen = &search->seen[search->seen_count++];
	*seen = (struct seen_regex){.text = text};
	return seen;
}

static void
check_regex(struct search *search, size_t set, size_t number)
{
	const struct mapping_rule *rule = &search->sets[set].set->rules[number];
	struct span text = span_text(rule->match);
	struct seen_regex *seen = get_seen(search, text);
	struct takers takers = search->everything;
	for (int kind = 0; kind < EVENT_KINDS; kind++)
		if (!takers.of[kind])
			takers.of[kind] = seen->takers.of[kind];
	warn(search, set, number, &takers);
	take_kinds(&seen->takers, rule);
	if (matches_everything(text))
		take_kinds(&search->everything, rule);
}

static void
check_rules(struct search *search, size_t set, enum match_type type)
{
	const struct rule_set *rules = search->sets[set].set;
	for (size_t i = 0; i < rules->rule_count; i++) {
		if (rules->rules[i].match_type != type)
			continue;
		if (type == MATCH_GLOB)
			check_glob(search, set, i);
		else
			check_regex(search, set, i);
	}
}

void
hidden_warn(const struct compiled_set *sets, size_t count, struct diag *diag)
{
	struct search search = {.sets = sets, .diag = diag, .regex = regex_scratch_new()};
	search.regex_deadline.us = clock_mono().us + REGEX_SEARCH_US;
	glob_scratch_init(&search.scratch);
	hash_index_init(&search.index);
	/* In the order of lookups: a set's globs, then its regexes. */
	for (size_t i = 0; i < count; i++) {
		check_rules(&search, i, MATCH_GLOB);
		check_rules(&search, i, MATCH_REGEX);
	}
	glob_scratch_fini(&search.scratch);
	regex_scratch_free(&search.regex);
	hash_index_fini(&search.index);
	free(search.seen);
}
