/*
 * mapping/compiled - a rule set and what was compiled from it. Private to mapping/mapper.
 */
#ifndef MAPPING_COMPILED_H
#define MAPPING_COMPILED_H

#include "mapping/glob.h"
#include "mapping/regex.h"
#include "mapping/rule.h"
#include "mapping/template.h"

/* One rule's templates. */
struct compiled_rule {
	struct template name;
	struct template *labels;  /* values, in rule order; owned */
	struct span *label_names; /* borrowed from the rule; owned array */
};

struct compiled_set {
	struct rule_set *set; /* owned */
	struct glob_set *globs;
	struct regex_set *regexes;
	struct compiled_rule *rules; /* as set->rules */
};

#endif
