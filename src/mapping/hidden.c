#include "mapping/hidden.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "mapping/hash_index.h"

#include <stdio.h>
#include <stdlib.h>

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

static void
check_glob(struct search *search, size_t set, size_t number)
{
	const struct mapping_rule *rule = &search->sets[set].set->rules[number];
	struct takers takers = search->everything;
	for (int kind = 0; kind < EVENT_KINDS; kind++) {
		for (size_t i = 0; i <= set && !takers.of[kind]; i++)
			takers.of[kind] = find_glob_taker(search, i, rule, (enum event_kind)kind,
							  i < set ? SIZE_MAX : number);
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
	struct search search = {.sets = sets, .diag = diag};
	glob_scratch_init(&search.scratch);
	hash_index_init(&search.index);
	/* In the order of lookups: a set's globs, then its regexes. */
	for (size_t i = 0; i < count; i++) {
		check_rules(&search, i, MATCH_GLOB);
		check_rules(&search, i, MATCH_REGEX);
	}
	glob_scratch_fini(&search.scratch);
	hash_index_fini(&search.index);
	free(search.seen);
}
