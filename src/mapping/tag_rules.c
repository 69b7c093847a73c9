#include "mapping/tag_rules.h"

#include <stdlib.h>

/* Both lists ascend, so one pass does it. */
static void
filter(const struct tag_rules *rules, struct labels *labels)
{
	size_t kept = 0, at = 0;
	for (size_t i = 0; i < labels->count; i++) {
		struct span name = labels->item[i].name;
		int order = -1;
		while (at < rules->name_count &&
		       (order = span_compare(span_text(rules->names[at]), name)) < 0)
			at++;
		bool is_named = at < rules->name_count && order == 0;
		if (is_named == rules->keeps)
			labels->item[kept++] = labels->item[i];
	}
	labels->count = kept;
}

static void
rename_tags(const struct tag_rules *rules, struct labels *labels)
{
	struct span values[TAG_RENAMES_MAX];
	for (size_t i = 0; i < rules->rename_count; i++) {
		struct span from = span_text(rules->renames[i].from);
		const struct label *tag = labels_find(labels, from);
		values[i] = tag ? tag->value : (struct span){NULL, 0};
		labels_remove(labels, from);
	}
	for (size_t i = rules->rename_count; i-- > 0;) {
		if (values[i].ptr)
			CHECK(labels_set(labels, span_text(rules->renames[i].to), values[i]));
	}
}

void
tag_rules_apply(const struct tag_rules *rules, struct labels *labels)
{
	if (rules->keeps || rules->name_count)
		filter(rules, labels);
	if (rules->rename_count)
		rename_tags(rules, labels);
}

void
tag_rules_fini(struct tag_rules *rules)
{
	for (size_t i = 0; i < rules->name_count; i++)
		free(rules->names[i]);
	for (size_t i = 0; i < rules->rename_count; i++) {
		free(rules->renames[i].from);
		free(rules->renames[i].to);
	}
	free(rules->names);
	free(rules->renames);
	*rules = (struct tag_rules){0};
}
