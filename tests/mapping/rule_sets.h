/* Rule sets put together by hand, as mapping/config would deliver them. */
#ifndef TESTS_MAPPING_RULE_SETS_H
#define TESTS_MAPPING_RULE_SETS_H

#include "base/alloc.h"
#include "mapping/rule.h"

#include <stdlib.h>

static inline struct rule_set *
new_rule_set(const char *path, bool is_ordered)
{
	struct rule_set *set = rule_set_new_default();
	free(set->path);
	set->path = xstrdup(path);
	set->glob_disable_ordering = !is_ordered;
	return set;
}

/* A file of `new_rule_set()` for mapper_new(), which consumes the array. */
static inline struct rule_set **
one_set(struct rule_set *set)
{
	struct rule_set **sets = xcalloc(1, sizeof(struct rule_set *));
	sets[0] = set;
	return sets;
}

/* @return the new last rule, good until the next one is added */
static inline struct mapping_rule *
add_rule(struct rule_set *set, enum match_type type, const char *match, const char *name)
{
	size_t number = set->rule_count++;
	/* A few have no room behind them, so that sanitizers see what reads there; many have, for speed. */
	if (number < 64)
		set->rules = xreallocarray(set->rules, set->rule_count, sizeof(*set->rules));
	else if ((number & (number - 1)) == 0)
		set->rules = xreallocarray(set->rules, 2 * number, sizeof(*set->rules));
	struct mapping_rule *rule = &set->rules[number];
	struct diag_place place = {"rules.yml", (unsigned)number + 2, 3};
	*rule = (struct mapping_rule){.match = xstrdup(match),
				      .match_type = type,
				      .kinds = KINDS_ALL,
				      .name = xstrdup(name),
				      .observer_type = METRIC_SUMMARY,
				      .place = place,
				      .match_place = place,
				      .name_place = place};
	return rule;
}

static inline void
add_label(struct mapping_rule *rule, const char *name, const char *value)
{
	size_t number = rule->label_count++;
	rule->labels = xreallocarray(rule->labels, rule->label_count, sizeof(*rule->labels));
	rule->labels[number] = (struct rule_label){xstrdup(name), xstrdup(value)};
}

#endif
