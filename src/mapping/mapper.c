#include "mapping/mapper.h"

#include "base/alloc.h"
#include "mapping/compiled.h"
#include "mapping/graph.h"
#include "mapping/hidden.h"

#include <stdatomic.h>
#include <stdlib.h>

struct mapper {
	atomic_size_t references;
	struct compiled_set *sets;
	size_t set_count;
	bool limits_values;
};

struct mapping_scratch {
	struct glob_scratch glob;
	struct regex_scratch *regex;
	struct buf text; /* rendered name and label values, one behind the other */
	size_t label_ends[RULE_LABELS_MAX];
	struct label labels[RULE_LABELS_MAX];
};

/* What is being compiled, for messages. */
struct loading {
	struct compiled_set *set;
	size_t number; /* of the rule */
	struct mapping_rule *rule;
	struct compiled_rule *compiled;
	size_t capture_count;
	char *const *group_names; /* NULL for globs */
	struct diag *diag;
};

struct mapping_scratch *
mapping_scratch_new(void)
{
	struct mapping_scratch *scratch = xcalloc(1, sizeof(*scratch));
	glob_scratch_init(&scratch->glob);
	scratch->regex = regex_scratch_new();
	scratch->text = BUF_INIT;
	return scratch;
}

void
mapping_scratch_free(struct mapping_scratch **scratch)
{
	struct mapping_scratch *old = *scratch;
	*scratch = NULL;
	if (!old)
		return;
	glob_scratch_fini(&old->glob);
	regex_scratch_free(&old->regex);
	buf_fini(&old->text);
	free(old);
}

/* The capture that a dead reference such as "$1_total" was probably meant to name, or 0. */
static size_t
guess_capture(const struct loading *loading, struct span reference)
{
	size_t number = 0, at = 1;
	for (; at < reference.len && number <= loading->capture_count; at++) {
		char byte = reference.ptr[at];
		if (byte < '0' || byte > '9')
			break;
		number = number * 10 + (size_t)(byte - '0');
	}
	return at < reference.len && number <= loading->capture_count ? number : 0;
}

static void
warn_dead(const struct loading *loading, struct diag_place place, const char *key,
	  struct span reference)
{
	const char *rule = loading->group_names ? "regex" : "glob";
	size_t guess = guess_capture(loading, reference);
	if (guess)
		diag_warn(loading->diag, place, key,
			  "\"%.*s\" is always empty; for capture %zu with text behind it write "
			  "${%zu}",
			  SPAN_ARGS(reference), guess, guess);
	else
		diag_warn(loading->diag, place, key,
			  "\"%.*s\" is always empty: the %s has no such capture, it has %zu",
			  SPAN_ARGS(reference), rule, loading->capture_count);
}

static void
compile_template(const struct loading *loading, const char *text, struct diag_place place,
		 const char *key, struct template *out)
{
	struct span span = span_text(text);
	bool is_valid =
	    loading->group_names
		? template_parse_regex(span, loading->capture_count, loading->group_names, out)
		: template_parse_glob(span, loading->capture_count, out);
	if (!is_valid)
		diag_error(loading->diag, place, key, "more than %d references",
			   TEMPLATE_REFERENCES_MAX);
	for (size_t i = 0; i < out->count && loading->rule->action != ACTION_DROP; i++)
		if (out->parts[i].type == TEMPLATE_DEAD)
			warn_dead(loading, place, key, out->parts[i].text);
}

static void
compile_templates(const struct loading *loading)
{
	const struct mapping_rule *rule = loading->rule;
	struct compiled_rule *compiled = loading->compiled;
	struct buf key = BUF_INIT;
	buf_printf(&key, "mappings[%zu].name", loading->number);
	compile_template(loading, rule->name, rule->name_place, buf_text(&key), &compiled->name);
	if (rule->action != ACTION_DROP && template_is_always_empty(&compiled->name))
		diag_warn(loading->diag, rule->name_place, buf_text(&key),
			  "the name is always empty, so every event of this rule is dropped");
	for (size_t i = 0; i < rule->label_count; i++) {
		const struct rule_label *label = &rule->labels[i];
		buf_reset(&key);
		buf_printf(&key, "mappings[%zu].labels.%s", loading->number, label->name);
		compile_template(loading, label->value, rule->place, buf_text(&key),
				 &compiled->labels[i]);
		compiled->label_names[i] = span_text(label->name);
	}
	buf_fini(&key);
}

/* Adds the rule's regex; false when it was refused. */
static bool
compile_regex(struct loading *loading)
{
	const struct mapping_rule *rule = loading->rule;
	struct regex_set *regexes = loading->set->regexes;
	char key[48];
	snprintf(key, sizeof(key), "mappings[%zu].match", loading->number);
	if (!regex_set_add(regexes, span_text(rule->match), rule->kinds, (uint32_t)loading->number,
			   loading->diag, rule->match_place, key))
		return false;
	loading->capture_count =
	    regex_set_groups(regexes, regex_set_count(regexes) - 1, &loading->group_names);
	return true;
}

static void
compile_rule(struct loading *loading)
{
	struct mapping_rule *rule = loading->rule;
	CHECK(rule->label_count <= RULE_LABELS_MAX);
	loading->compiled->labels = xcalloc(rule->label_count, sizeof(struct template));
	loading->compiled->label_names = xcalloc(rule->label_count, sizeof(struct span));
	if (rule->match_type == MATCH_REGEX) {
		if (!compile_regex(loading))
			return;
	} else {
		struct span pattern = span_text(rule->match);
		glob_set_add(loading->set->globs, pattern, rule->kinds, (uint32_t)loading->number);
		loading->capture_count = glob_star_count(pattern);
	}
	compile_templates(loading);
}

/* @set consumed */
static void
compile_set(struct compiled_set *compiled, struct rule_set *set, struct diag *diag)
{
	*compiled = (struct compiled_set){
	    .set = set,
	    .globs = glob_set_new(!set->glob_disable_ordering),
	    .regexes = regex_set_new(),
	    .rules = xcalloc(set->rule_count, sizeof(*compiled->rules)),
	};
	for (size_t i = 0; i < set->rule_count; i++) {
		struct loading loading = {.set = compiled,
					  .number = i,
					  .rule = &set->rules[i],
					  .compiled = &compiled->rules[i],
					  .diag = diag};
		compile_rule(&loading);
	}
	regex_set_build(compiled->regexes);
}

static void
fini_set(struct compiled_set *compiled)
{
	for (size_t i = 0; i < compiled->set->rule_count; i++) {
		struct compiled_rule *rule = &compiled->rules[i];
		template_fini(&rule->name);
		for (size_t k = 0; k < compiled->set->rules[i].label_count; k++)
			template_fini(&rule->labels[k]);
		free(rule->labels);
		free(rule->label_names);
	}
	free(compiled->rules);
	glob_set_free(&compiled->globs);
	regex_set_free(&compiled->regexes);
	rule_set_free(&compiled->set);
}

struct mapper *
mapper_new(struct rule_set **sets, size_t count, struct diag *diag)
{
	CHECK(count > 0);
	struct mapper *mapper = xcalloc(1, sizeof(*mapper));
	atomic_init(&mapper->references, 1);
	mapper->sets = xcalloc(count, sizeof(*mapper->sets));
	mapper->set_count = count;
	size_t errors = diag->errors;
	for (size_t i = 0; i < count; i++) {
		compile_set(&mapper->sets[i], sets[i], diag);
		mapper->limits_values |= sets[i]->limit_count > 0;
	}
	free(sets);
	if (diag->errors > errors) {
		mapper_unref(&mapper);
		return NULL;
	}
	hidden_warn(mapper->sets, count, diag);
	return mapper;
}

struct mapper *
mapper_ref(struct mapper *mapper)
{
	atomic_fetch_add_explicit(&mapper->references, 1, memory_order_relaxed);
	return mapper;
}

void
mapper_unref(struct mapper **mapper)
{
	struct mapper *old = *mapper;
	*mapper = NULL;
	if (!old || atomic_fetch_sub_explicit(&old->references, 1, memory_order_acq_rel) > 1)
		return;
	for (size_t i = 0; i < old->set_count; i++)
		fini_set(&old->sets[i]);
	free(old->sets);
	free(old);
}

size_t
mapper_rule_count(const struct mapper *mapper)
{
	size_t count = 0;
	for (size_t i = 0; i < mapper->set_count; i++)
		count += mapper->sets[i].set->rule_count;
	return count;
}

size_t
mapper_set_count(const struct mapper *mapper)
{
	return mapper->set_count;
}

bool
mapper_limits_values(const struct mapper *mapper)
{
	return mapper->limits_values;
}

/* Texts are rendered into one buffer that may move, so their places are taken when it is complete.
 */
static void
render(const struct compiled_rule *compiled, const struct span *captures,
       struct mapping_scratch *scratch, struct mapping_match *out)
{
	struct buf *text = &scratch->text;
	size_t count = out->rule->label_count;
	buf_reset(text);
	template_render(&compiled->name, captures, text);
	size_t name_end = text->len;
	for (size_t i = 0; i < count; i++) {
		template_render(&compiled->labels[i], captures, text);
		scratch->label_ends[i] = text->len;
	}
	struct span all = buf_span(text);
	size_t start = name_end;
	for (size_t i = 0; i < count; i++) {
		size_t end = scratch->label_ends[i];
		struct span value = span_of(all.ptr + start, end - start);
		scratch->labels[i] = (struct label){compiled->label_names[i], value};
		start = end;
	}
	out->name = span_first(all, name_end);
	out->label_count = count;
	out->labels = scratch->labels;
}

static bool
find_in_set(const struct compiled_set *set, struct mapping_scratch *scratch, enum event_kind kind,
	    struct span name, struct mapping_match *out)
{
	struct glob_match glob;
	struct regex_match regex;
	uint32_t number;
	const struct span *captures;
	if (glob_set_find(set->globs, &scratch->glob, kind, name, &glob)) {
		number = glob.rule;
		captures = glob.captures;
	} else if (regex_set_find(set->regexes, scratch->regex, kind, name, &regex)) {
		number = regex.rule;
		captures = regex.captures;
	} else {
		return false;
	}
	out->set = set->set;
	out->rule = &set->set->rules[number];
	if (out->rule->action != ACTION_DROP)
		render(&set->rules[number], captures, scratch, out);
	return true;
}

void
mapper_find(const struct mapper *mapper, struct mapping_scratch *scratch, enum event_kind kind,
	    struct span name, struct mapping_match *out)
{
	*out = (struct mapping_match){.set = mapper->sets[0].set, .name = SPAN("")};
	for (size_t i = 0; i < mapper->set_count; i++)
		if (find_in_set(&mapper->sets[i], scratch, kind, name, out))
			return;
}

void
mapper_visit_match_limit_hits(const struct mapper *mapper,
			      void (*visit)(void *ctx, const struct mapping_rule *rule,
					    uint64_t hits),
			      void *ctx)
{
	for (size_t i = 0; i < mapper->set_count; i++) {
		const struct compiled_set *set = &mapper->sets[i];
		for (size_t k = 0; k < regex_set_count(set->regexes); k++) {
			uint32_t rule;
			uint64_t hits = regex_set_limit_hits(set->regexes, k, &rule);
			if (hits)
				visit(ctx, &set->set->rules[rule], hits);
		}
	}
}

static void
add_hits(void *ctx, const struct mapping_rule *rule, uint64_t hits)
{
	(void)rule;
	*(uint64_t *)ctx += hits;
}

uint64_t
mapper_match_limit_hits(const struct mapper *mapper)
{
	uint64_t total = 0;
	mapper_visit_match_limit_hits(mapper, add_hits, &total);
	return total;
}

bool
mapper_dump_graph(const struct mapper *mapper, FILE *out)
{
	return graph_write(mapper->sets, mapper->set_count, out);
}
