#include "mapping/labelling.h"

#include "base/alloc.h"
#include "base/excerpt.h"
#include "model/name.h"
#include "yaml/scalar.h"

#include <stdlib.h>

#define STRINGIFY(number) #number
#define TEXT_OF(number) STRINGIFY(number)

const char *
labelling_find_fault(struct span name)
{
	if (!name_is_legal(name))
		return "a label name is letters, digits and '_', not starting with a digit";
	if (label_name_is_reserved(name))
		return "label names that start with \"__\" are reserved";
	return NULL;
}

static bool
check_count(struct draft_reader *input, const struct draft_path *path, const struct ynode *at,
	    size_t count, const char *things, size_t max)
{
	if (count > max)
		draft_report(input, path, at, "%zu %s, %zu at most", count, things, max);
	return count <= max;
}

void
labelling_read_labels(struct draft_reader *input, const struct draft_path *path,
		      const struct ynode *map, size_t max, label_fault_fn *fault, const void *ctx,
		      struct rule_label **out, size_t *count)
{
	if (!check_count(input, path, map, map->map.count, "labels", max))
		return;
	*out = xcalloc(map->map.count, sizeof(**out));
	for (size_t i = 0; i < map->map.count; i++) {
		const struct ynode_pair *pair = &map->map.pairs[i];
		struct draft_path inner = {path, pair->key, 0};
		const char *reason = fault(ctx, pair->key->text);
		if (reason)
			draft_report(input, &inner, pair->key, "%s", reason);
		if (pair->value->type >= YNODE_LIST) {
			draft_report_type(input, &inner, pair->value, "a text");
			continue;
		}
		struct span value = pair->value->type == YNODE_NULL ? SPAN("") : pair->value->text;
		(*out)[(*count)++] =
		    (struct rule_label){xmemdup0(pair->key->text.ptr, pair->key->text.len),
					xmemdup0(value.ptr, value.len)};
	}
}

/* ---- For all metrics of a file. ---- */

/* A file has metrics of all types, those of other files' names included. */
static const char *
find_file_label_fault(const void *ctx, struct span name)
{
	(void)ctx;
	if (span_equal(name, SPAN("le")))
		return "histograms keep the label \"le\" for themselves";
	if (span_equal(name, SPAN("quantile")))
		return "summaries keep the label \"quantile\" for themselves";
	return labelling_find_fault(name);
}

/* What looks like a reference would come out as it is: there is nothing here that it could name. */
static bool
has_reference(struct span value)
{
	for (size_t i = 0; i + 1 < value.len; i++) {
		char next = value.ptr[i + 1];
		bool is_digit = next >= '0' && next <= '9';
		if (value.ptr[i] == '$' &&
		    (next == '{' || is_digit || name_is_legal(span_of(&next, 1))))
			return true;
	}
	return false;
}

static void
check_file_label(struct draft_reader *input, const struct draft_path *path,
		 const struct ynode *value)
{
	if (value->type >= YNODE_LIST)
		return; /* told before */
	if (value->type == YNODE_NULL || !value->text.len)
		draft_report(input, path, value,
			     "a label of all metrics needs a value; leave it out otherwise");
	else if (has_reference(value->text))
		draft_report(input, path, value,
			     "a label of all metrics is plain text; references such as $1 belong "
			     "in the labels of a rule");
}

static void
read_labels(struct draft_reader *input, const struct draft_setting *setting, struct rule_set *set)
{
	struct draft_path path = {NULL, setting->key, 0};
	const struct ynode *map = setting->value;
	labelling_read_labels(input, &path, map, FILE_LABELS_MAX, find_file_label_fault, NULL,
			      &set->labels, &set->label_count);
	for (size_t i = 0; i < map->map.count; i++) {
		struct draft_path inner = {&path, map->map.pairs[i].key, 0};
		check_file_label(input, &inner, map->map.pairs[i].value);
	}
}

/* A tag's name as its label is named, or NULL where it is none; owned by the caller. */
static char *
read_tag_name(struct draft_reader *input, const struct draft_path *path, const struct ynode *node)
{
	if (node->type != YNODE_SCALAR || !node->text.len) {
		draft_report_type(input, path, node, "the name of a tag");
		return NULL;
	}
	if (label_name_is_reserved(node->text)) {
		draft_report(input, path, node,
			     "tags that start with \"__\" never become labels; take it out");
		return NULL;
	}
	char *name = xcalloc(node->text.len + 2, 1);
	size_t len = name_escape(node->text, name);
	name[len] = '\0';
	return name;
}

static int
compare_names(const void *left, const void *right)
{
	return strcmp(*(char *const *)left, *(char *const *)right);
}

static bool
has_name(const struct tag_rules *rules, const char *name)
{
	return rules->name_count && bsearch(&name, rules->names, rules->name_count,
					    sizeof(*rules->names), compare_names);
}

/* Puts a name in its place. @return false when it is there already */
static bool
insert_name(struct tag_rules *rules, char *name)
{
	if (has_name(rules, name))
		return false;
	size_t at = rules->name_count++;
	for (; at && strcmp(rules->names[at - 1], name) > 0; at--)
		rules->names[at] = rules->names[at - 1];
	rules->names[at] = name;
	return true;
}

static void
read_names(struct draft_reader *input, const struct draft_path *tags,
	   const struct draft_setting *setting, struct tag_rules *rules)
{
	struct draft_path path = {tags, setting->key, 0};
	const struct ynode *list = setting->value;
	if (!check_count(input, &path, list, list->list.count, "tags", TAG_NAMES_MAX))
		return;
	rules->names = xcalloc(list->list.count, sizeof(*rules->names));
	for (size_t i = 0; i < list->list.count; i++) {
		struct draft_path item = {&path, NULL, i};
		char *name = read_tag_name(input, &item, list->list.items[i]);
		if (!name || insert_name(rules, name))
			continue;
		draft_report(input, &item, list->list.items[i], "this tag is listed twice");
		free(name);
	}
}

/* Why a tag cannot be renamed, or NULL. */
static const char *
find_rename_fault(const struct tag_rules *rules, const struct tag_rename *wanted)
{
	if (strcmp(wanted->from, wanted->to) == 0)
		return "this renames a tag to itself";
	for (size_t i = 0; i < rules->rename_count; i++)
		if (strcmp(rules->renames[i].from, wanted->from) == 0)
			return "this tag is renamed twice";
	bool is_named = has_name(rules, wanted->from);
	if (rules->keeps && !is_named)
		return "this tag is not kept, so it cannot be renamed; add it to keep";
	if (!rules->keeps && is_named)
		return "this tag is dropped, so it cannot be renamed; take it out of drop";
	return NULL;
}

static void
read_rename(struct draft_reader *input, const struct draft_path *path,
	    const struct ynode_pair *pair, struct tag_rules *rules)
{
	if (pair->value->type != YNODE_SCALAR) {
		draft_report_type(input, path, pair->value, "the name of a label");
		return;
	}
	const char *fault = find_file_label_fault(NULL, pair->value->text);
	if (fault) {
		draft_report(input, path, pair->value, "%s", fault);
		return;
	}
	struct tag_rename wanted = {.from = read_tag_name(input, path, pair->key)};
	if (!wanted.from)
		return;
	wanted.to = xmemdup0(pair->value->text.ptr, pair->value->text.len);
	fault = find_rename_fault(rules, &wanted);
	if (!fault) {
		rules->renames[rules->rename_count++] = wanted;
		return;
	}
	draft_report(input, path, pair->key, "%s", fault);
	free(wanted.from);
	free(wanted.to);
}

static void
read_renames(struct draft_reader *input, const struct draft_path *tags,
	     const struct draft_setting *setting, struct tag_rules *rules)
{
	struct draft_path path = {tags, setting->key, 0};
	const struct ynode *map = setting->value;
	if (!check_count(input, &path, map, map->map.count, "tags", TAG_RENAMES_MAX))
		return;
	rules->renames = xcalloc(map->map.count, sizeof(*rules->renames));
	for (size_t i = 0; i < map->map.count; i++) {
		struct draft_path inner = {&path, map->map.pairs[i].key, 0};
		read_rename(input, &inner, &map->map.pairs[i], rules);
	}
}

/* @draft also holds what stands in `tags` */
static void
read_tags(struct draft_reader *input, const struct draft *draft, struct tag_rules *rules)
{
	struct draft_path path = {NULL, draft->tags.key, 0};
	rules->keeps = draft->keep.value != NULL;
	if (draft->keep.value && draft->drop.value) {
		struct draft_path drop = {&path, draft->drop.key, 0};
		draft_report(input, &drop, draft->drop.key,
			     "keep drops all other tags already; give one of the two");
		return;
	}
	const struct draft_setting *names = draft->keep.value ? &draft->keep : &draft->drop;
	if (names->value)
		read_names(input, &path, names, rules);
	if (draft->rename.value)
		read_renames(input, &path, &draft->rename, rules);
}

static void
read_limits(struct draft_reader *input, const struct draft_setting *setting, struct rule_set *set)
{
	struct draft_path path = {NULL, setting->key, 0};
	const struct ynode *map = setting->value;
	if (!check_count(input, &path, map, map->map.count, "labels", VALUE_LIMITS_MAX))
		return;
	set->limits = xcalloc(map->map.count, sizeof(*set->limits));
	for (size_t i = 0; i < map->map.count; i++) {
		const struct ynode_pair *pair = &map->map.pairs[i];
		struct draft_path inner = {&path, pair->key, 0};
		const char *fault = find_file_label_fault(NULL, pair->key->text);
		uint64_t max = 0;
		if (fault)
			draft_report(input, &inner, pair->key, "%s", fault);
		bool is_count = pair->value->type == YNODE_SCALAR && pair->value->is_plain &&
				scalar_parse_count(pair->value->text, LABEL_VALUES_MAX, &max);
		if (!is_count || max == 0)
			draft_report_type(input, &inner, pair->value,
					  "a whole number from 1 to " TEXT_OF(LABEL_VALUES_MAX));
		set->limits[set->limit_count++] = (struct value_limit){
		    xmemdup0(pair->key->text.ptr, pair->key->text.len), (uint32_t)max};
	}
}

void
labelling_read_file(struct draft_reader *input, const struct draft *draft, struct rule_set *set)
{
	if (draft->labels.value)
		read_labels(input, &draft->labels, set);
	if (draft->tags.value)
		read_tags(input, draft, &set->tags);
	if (draft->max_values.value)
		read_limits(input, &draft->max_values, set);
}
