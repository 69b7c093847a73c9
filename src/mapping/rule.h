/*
 * mapping/rule - a mapping file after validation: what mapping/config produces and mapping/mapper
 * compiles.
 */
#ifndef MAPPING_RULE_H
#define MAPPING_RULE_H

#include "base/diag.h"
#include "mapping/tag_rules.h"
#include "model/kind.h"
#include "model/options.h"

#include <stdbool.h>

enum match_type { MATCH_GLOB, MATCH_REGEX };
enum rule_action { ACTION_MAP, ACTION_DROP };

/* Bits of mapping_rule.kinds. */
#define KIND_BIT(kind) (1u << (kind))
#define KINDS_ALL (KIND_BIT(EVENT_COUNTER) | KIND_BIT(EVENT_GAUGE) | KIND_BIT(EVENT_OBSERVER))

/* How a signed gauge value is meant: as the bridge's flag says, or as the rule says. */
enum signed_gauges { SIGNED_GAUGES_DEFAULT, SIGNED_GAUGES_RELATIVE, SIGNED_GAUGES_ABSOLUTE };

struct rule_label {
	char *name;  /* legal, not reserved; owned */
	char *value; /* template text; owned */
};

/* All options are resolved: what a rule leaves out has been filled in from defaults. */
struct mapping_rule {
	size_t index; /* in the file's list, for messages */
	char *match;  /* owned */
	enum match_type match_type;
	unsigned kinds; /* KIND_BITs it applies to */
	char *name;     /* template text; "" only for ACTION_DROP; owned */
	struct rule_label *labels;
	size_t label_count;
	bool honor_labels; /* a tag of the same name wins over the rule's label */
	char *help;        /* NULL = default text; owned */
	enum rule_action action;
	enum metric_type observer_type; /* METRIC_HISTOGRAM or METRIC_SUMMARY */
	int64_t ttl_us;                 /* 0 = never expires */
	struct total_options totals;
	char *exemplar_tag; /* the tag that makes exemplars, no label; NULL = none; owned */
	bool has_scale;
	double scale;
	enum signed_gauges signed_gauges;
	/*
	 * Meaningful when observer_type says so. `buckets` and `quantiles` are owned, or those of
	 * the rule set where the rule has none of its own.
	 */
	struct histogram_options histogram;
	struct summary_options summary;
	/* Their file names live as long as the process. */
	struct diag_place place;       /* of the key `match`, or of the rule where it has none */
	struct diag_place match_place; /* of the text of `match`, else as `place` */
	struct diag_place name_place;  /* of the text of `name`, else as `place` */
};

/* Labels of a file whose values may be limited. */
#define VALUE_LIMITS_MAX 16
/* More values than any dashboard tells apart. */
#define LABEL_VALUES_MAX 100000

/* How many values a label may have. */
struct value_limit {
	char *label;  /* legal, not reserved; owned */
	uint32_t max; /* 1 to LABEL_VALUES_MAX */
};

/* One mapping file: a rule set of its own. */
struct rule_set {
	char *path; /* owned; as given to mapping_config_load(), "" for the built-in defaults */
	bool glob_disable_ordering;
	/* For what no rule maps. */
	enum metric_type observer_type;
	int64_t ttl_us;
	struct total_options totals;
	char *exemplar_tag; /* as a rule's; owned */
	struct histogram_options histogram;
	struct summary_options summary;
	struct mapping_rule *rules; /* in file order; owned */
	size_t rule_count;

	/* Of every metric that the file decides. */
	struct rule_label *labels; /* values are plain and not empty; owned */
	size_t label_count;
	struct tag_rules tags;
	struct value_limit *limits; /* owned */
	size_t limit_count;
	unsigned scope; /* what its limits are known by; whoever keeps account of values sets it */
};

/** @return the built-in defaults, for a bridge without a mapping file; owned by the caller */
struct rule_set *rule_set_new_default(void);
/** Frees a rule set and nulls the pointer. */
void rule_set_free(struct rule_set **set);

#endif
