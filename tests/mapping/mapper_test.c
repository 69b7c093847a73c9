#include "test.h"

#include "mapping/mapper.h"
#include "mapping/rule_sets.h"

#include <pthread.h>
#include <sched.h>

static struct mapper *
build(struct rule_set **sets, size_t count, struct diag *diag)
{
	struct mapper *mapper = mapper_new(sets, count, diag);
	if (!mapper)
		fail_msg("%s", diag->messages[0].text);
	return mapper;
}

static struct mapper *
build_one(struct rule_set *set)
{
	struct diag diag = DIAG_INIT;
	struct mapper *mapper = build(one_set(set), 1, &diag);
	diag_fini(&diag);
	return mapper;
}

static void
test_find__renders_name_and_labels(void **state)
{
	(void)state;
	struct rule_set *set = new_rule_set("rules.yml", true);
	struct mapping_rule *rule = add_rule(set, MATCH_GLOB, "app.*.*.time", "app_${2}");
	add_label(rule, "first", "$1");
	add_label(rule, "gone", "$1_x");
	add_label(rule, "fixed", "50%");
	rule = add_rule(set, MATCH_REGEX, "^web\\.(?P<verb>\\w+)(\\.x)?", "web");
	add_label(rule, "verb", "$verb");
	add_label(rule, "whole", "<$0>");
	add_label(rule, "tail", "$2");
	struct mapper *mapper = build_one(set);
	struct mapping_scratch *scratch = mapping_scratch_new();
	struct mapping_match match;

	mapper_find(mapper, scratch, EVENT_OBSERVER, SPAN("app.a.b-c.time"), &match);
	assert_string_equal(match.rule->match, "app.*.*.time");
	assert_span_equal(match.name, "app_b-c");
	assert_int_equal(match.label_count, 3);
	assert_span_equal(match.labels[0].name, "first");
	assert_span_equal(match.labels[0].value, "a");
	assert_span_equal(match.labels[1].name, "gone");
	assert_span_equal(match.labels[1].value, "");
	assert_span_equal(match.labels[2].value, "50%");

	mapper_find(mapper, scratch, EVENT_COUNTER, SPAN("web.get!"), &match);
	assert_span_equal(match.name, "web");
	assert_span_equal(match.labels[0].value, "get");
	assert_span_equal(match.labels[1].value, "<web.get>");
	assert_span_equal(match.labels[2].value, "");

	mapping_scratch_free(&scratch);
	mapper_unref(&mapper);
	assert_null(mapper);
}

static void
test_find__nothing_matches(void **state)
{
	(void)state;
	struct mapper *mappers[] = {build_one(rule_set_new_default()),
				    build_one(new_rule_set("rules.yml", true))};
	struct mapping_scratch *scratch = mapping_scratch_new();
	for (int i = 0; i < 2; i++) {
		struct mapping_match match;
		memset(&match, 0xff, sizeof(match));
		mapper_find(mappers[i], scratch, EVENT_COUNTER, SPAN("a.b"), &match);
		assert_null(match.rule);
		assert_int_equal(match.name.len, 0);
		assert_int_equal(match.label_count, 0);
		assert_int_equal(mapper_rule_count(mappers[i]), 0);
		mapper_unref(&mappers[i]);
	}
	mapping_scratch_free(&scratch);
}

static void
test_find__name_may_be_empty(void **state)
{
	(void)state;
	struct rule_set *set = new_rule_set("rules.yml", true);
	add_rule(set, MATCH_GLOB, "a.*", "$1");
	struct mapper *mapper = build_one(set);
	struct mapping_scratch *scratch = mapping_scratch_new();
	struct mapping_match match;
	mapper_find(mapper, scratch, EVENT_COUNTER, SPAN("a."), &match);
	assert_non_null(match.rule);
	assert_non_null(match.name.ptr);
	assert_int_equal(match.name.len, 0);
	mapping_scratch_free(&scratch);
	mapper_unref(&mapper);
}

static void
test_find__drop_renders_nothing(void **state)
{
	(void)state;
	struct rule_set *set = new_rule_set("rules.yml", true);
	struct mapping_rule *rule = add_rule(set, MATCH_GLOB, "a.*", "x_$1_$1");
	rule->action = ACTION_DROP;
	add_label(rule, "l", "$1");
	struct diag diag = DIAG_INIT;
	struct mapper *mapper = build(one_set(set), 1, &diag);
	assert_int_equal(diag.count, 0);
	struct mapping_scratch *scratch = mapping_scratch_new();
	struct mapping_match match;
	mapper_find(mapper, scratch, EVENT_COUNTER, SPAN("a.b"), &match);
	assert_int_equal(match.rule->action, ACTION_DROP);
	assert_int_equal(match.name.len, 0);
	assert_int_equal(match.label_count, 0);
	mapping_scratch_free(&scratch);
	mapper_unref(&mapper);
}

static struct rule_set **
two_sets(struct rule_set *first, struct rule_set *second)
{
	struct rule_set **sets = xcalloc(2, sizeof(struct rule_set *));
	sets[0] = first;
	sets[1] = second;
	return sets;
}

static void
test_find__globs_before_regexes_sets_in_order(void **state)
{
	(void)state;
	struct rule_set *first = new_rule_set("one.yml", true);
	struct rule_set *second = new_rule_set("two.yml", false);
	add_rule(first, MATCH_REGEX, "a.*", "regex");
	add_rule(first, MATCH_GLOB, "a.b", "glob");
	add_rule(second, MATCH_GLOB, "a.c", "second_glob");
	add_rule(second, MATCH_GLOB, "*.*", "second_stars");
	add_rule(second, MATCH_GLOB, "x.y", "second_literal");
	struct diag diag = DIAG_INIT;
	struct mapper *mapper = build(two_sets(first, second), 2, &diag);
	assert_int_equal(diag.count, 1); /* a.c never gets to the second */
	diag_fini(&diag);
	static const struct {
		const char *name, *want;
	} table[] = {
	    {"a.b", "glob"},           {"a.c", "regex"},        {"za.c", "regex"},
	    {"x.y", "second_literal"}, {"b.c", "second_stars"},
	};
	struct mapping_scratch *scratch = mapping_scratch_new();
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct mapping_match match;
		mapper_find(mapper, scratch, EVENT_GAUGE, span_text(table[i].name), &match);
		assert_span_equal(match.name, table[i].want);
		bool is_second = span_starts(match.name, SPAN("second"));
		assert_string_equal(match.set->path, is_second ? "two.yml" : "one.yml");
	}
	struct mapping_match match;
	mapper_find(mapper, scratch, EVENT_GAUGE, SPAN("n"), &match);
	assert_null(match.rule);
	assert_string_equal(match.set->path, "one.yml");
	assert_int_equal(mapper_rule_count(mapper), 5);
	assert_int_equal(mapper_set_count(mapper), 2);
	mapping_scratch_free(&scratch);
	mapper_unref(&mapper);
}

/* Answers stay good when the text buffer had to move while it was filled. */
static void
test_find__long_values(void **state)
{
	(void)state;
	struct rule_set *set = new_rule_set("rules.yml", true);
	struct mapping_rule *rule = add_rule(set, MATCH_GLOB, "*", "n");
	for (int i = 0; i < RULE_LABELS_MAX; i++)
		add_label(rule, "l", "$1");
	struct mapper *mapper = build_one(set);
	struct mapping_scratch *scratch = mapping_scratch_new();
	static char name[4096];
	memset(name, 'x', sizeof(name));
	struct mapping_match match;
	mapper_find(mapper, scratch, EVENT_GAUGE, span_of(name, sizeof(name)), &match);
	assert_span_equal(match.name, "n");
	assert_int_equal(match.label_count, RULE_LABELS_MAX);
	for (size_t i = 0; i < match.label_count; i++)
		assert_true(span_equal(match.labels[i].value, span_of(name, sizeof(name))));
	mapping_scratch_free(&scratch);
	mapper_unref(&mapper);
}

static void
test_new__collects_errors(void **state)
{
	(void)state;
	struct rule_set *first = new_rule_set("one.yml", true);
	struct rule_set *second = new_rule_set("two.yml", true);
	add_rule(first, MATCH_REGEX, "a(?!b)", "x");
	add_rule(first, MATCH_GLOB, "a", "x");
	add_rule(second, MATCH_REGEX, "(", "x");
	struct diag diag = DIAG_INIT;
	assert_null(mapper_new(two_sets(first, second), 2, &diag));
	assert_int_equal(diag.errors, 2);
	assert_string_equal(diag.messages[0].text,
			    "rules.yml:2:3: mappings[0].match: byte 2 of the regex: look-ahead is "
			    "not supported");
	assert_string_equal(diag.messages[1].text,
			    "rules.yml:2:3: mappings[0].match: byte 1 of the regex: missing ) of "
			    "this group");
	diag_fini(&diag);
}

static void
test_new__too_many_references(void **state)
{
	(void)state;
	static char text[2 * 257 + 1];
	for (size_t i = 0; i < 257; i++)
		memcpy(text + 2 * i, "$1", 2);
	struct rule_set *set = new_rule_set("rules.yml", true);
	add_label(add_rule(set, MATCH_REGEX, "(a)(b)", "x"), "l", text);
	struct diag diag = DIAG_INIT;
	assert_null(mapper_new(one_set(set), 1, &diag));
	assert_int_equal(diag.errors, 1);
	assert_string_equal(diag.messages[0].text,
			    "rules.yml:2:3: mappings[0].labels.l: more than 256 references");
	diag_fini(&diag);
}

static void
test_new__warns_of_dead_references(void **state)
{
	(void)state;
	struct rule_set *set = new_rule_set("rules.yml", true);
	add_label(add_rule(set, MATCH_GLOB, "a.*.*", "$1_total"), "l", "${3}x");
	add_rule(set, MATCH_REGEX, "b(.)(?P<n>.)", "x_$2x");
	add_label(add_rule(set, MATCH_REGEX, "c(.)", "x"), "l", "$n$0$1$$");
	struct diag diag = DIAG_INIT;
	struct mapper *mapper = build(one_set(set), 1, &diag);
	static const char *const want[] = {
	    "rules.yml:2:3: mappings[0].name: \"$1_total\" is always empty; for capture 1 with "
	    "text "
	    "behind it write ${1}",
	    "rules.yml:2:3: mappings[0].name: the name is always empty, so every event of this "
	    "rule "
	    "is dropped",
	    "rules.yml:2:3: mappings[0].labels.l: \"${3}\" is always empty: the glob has no such "
	    "capture, it has 2",
	    "rules.yml:3:3: mappings[1].name: \"$2x\" is always empty; for capture 2 with text "
	    "behind it write ${2}",
	    "rules.yml:4:3: mappings[2].labels.l: \"$n\" is always empty: the regex has no such "
	    "capture, it has 1",
	};
	assert_int_equal(diag.errors, 0);
	assert_int_equal(diag.count, 5);
	for (size_t i = 0; i < 5; i++)
		assert_string_equal(diag.messages[i].text, want[i]);
	diag_fini(&diag);
	mapper_unref(&mapper);
}

#define COUNTER KIND_BIT(EVENT_COUNTER)
#define GAUGE KIND_BIT(EVENT_GAUGE)
#define OBSERVER KIND_BIT(EVENT_OBSERVER)

struct kinded {
	enum match_type type;
	const char *match;
	unsigned kinds; /* 0 = all */
	bool is_second_set;
};

static const struct {
	bool is_unordered;
	struct kinded rules[4];
	size_t hidden; /* number of rules warned of, always the last ones */
} hidden[] = {
    {false, {{MATCH_GLOB, "a.*"}, {MATCH_GLOB, "a.b"}}, 1},
    {false, {{MATCH_GLOB, "a.*"}, {MATCH_GLOB, "a.*"}}, 1},
    {false, {{MATCH_GLOB, "*.*"}, {MATCH_GLOB, "a.*"}, {MATCH_GLOB, "*.b"}}, 2},
    {false, {{MATCH_GLOB, "a.b"}, {MATCH_GLOB, "a.*"}}, 0},
    {false, {{MATCH_GLOB, "a.*"}, {MATCH_GLOB, "*.b"}}, 0},
    {false, {{MATCH_GLOB, "a.*", COUNTER}, {MATCH_GLOB, "a.b"}}, 0},
    {false, {{MATCH_GLOB, "a.*"}, {MATCH_GLOB, "a.b", GAUGE}}, 1},
    {false,
     {{MATCH_GLOB, "*", COUNTER | GAUGE}, {MATCH_GLOB, "*", OBSERVER}, {MATCH_GLOB, "a"}},
     1},
    {true, {{MATCH_GLOB, "a.*"}, {MATCH_GLOB, "a.b"}}, 0},
    {true, {{MATCH_GLOB, "a.*"}, {MATCH_GLOB, "a.*"}}, 1},
    {true, {{MATCH_GLOB, "a.*", COUNTER}, {MATCH_GLOB, "a.*"}}, 0},
    {true, {{MATCH_GLOB, "a.*"}, {MATCH_GLOB, "a.b", 0, true}}, 1},
    {true, {{MATCH_GLOB, "a.b"}, {MATCH_GLOB, "a.*", 0, true}}, 0},
    {false, {{MATCH_REGEX, "a"}, {MATCH_REGEX, "a"}}, 1},
    {false, {{MATCH_REGEX, "a"}, {MATCH_REGEX, "a", 0, true}}, 1},
    {false, {{MATCH_REGEX, "a"}, {MATCH_REGEX, "ab"}}, 0},
    {false, {{MATCH_REGEX, "a", GAUGE}, {MATCH_REGEX, "a"}}, 0},
    {false, {{MATCH_REGEX, "a", GAUGE}, {MATCH_REGEX, "a", COUNTER}}, 0},
    {false,
     {{MATCH_REGEX, "a", GAUGE}, {MATCH_REGEX, "a", COUNTER}, {MATCH_REGEX, "a", GAUGE | COUNTER}},
     1},
    {false, {{MATCH_REGEX, ""}, {MATCH_REGEX, "a"}, {MATCH_GLOB, "b", 0, true}}, 2},
    {false, {{MATCH_REGEX, ".*"}, {MATCH_GLOB, "a"}}, 0},
    {false, {{MATCH_GLOB, "a"}, {MATCH_REGEX, "^a$"}}, 0},
    {false, {{MATCH_GLOB, "*"}, {MATCH_REGEX, ".*", 0, true}}, 0},
    /* Regexes of an earlier file. */
    {false, {{MATCH_REGEX, "^a\\.b$"}, {MATCH_GLOB, "a.b", 0, true}}, 1},
    {false, {{MATCH_REGEX, "^a\\.b$"}, {MATCH_GLOB, "a.bc", 0, true}}, 0},
    {false, {{MATCH_REGEX, "^a\\.b$"}, {MATCH_GLOB, "a.*", 0, true}}, 0},
    {false, {{MATCH_REGEX, "^a\\."}, {MATCH_GLOB, "a.*", 0, true}}, 1},
    {false,
     {{MATCH_REGEX, "^a\\."}, {MATCH_GLOB, "a.*", 0, true}, {MATCH_GLOB, "*.a", 0, true}},
     1},
    {false, {{MATCH_REGEX, "^a\\..*$"}, {MATCH_GLOB, "a.*", 0, true}}, 1},
    {false, {{MATCH_REGEX, "^a\\.(.*)$"}, {MATCH_GLOB, "a.*.c", 0, true}}, 1},
    {false, {{MATCH_REGEX, "^a\\.*$"}, {MATCH_GLOB, "a.*", 0, true}}, 0},
    {false, {{MATCH_REGEX, "^a\\.(.+)$"}, {MATCH_GLOB, "a.*", 0, true}}, 0},
    {false, {{MATCH_REGEX, "^a\\.$"}, {MATCH_GLOB, "a.*", 0, true}}, 0},
    {false, {{MATCH_REGEX, "^a\\.\\B"}, {MATCH_GLOB, "a.*", 0, true}}, 0},
    {false, {{MATCH_REGEX, "^a\\.\\z"}, {MATCH_GLOB, "a.*", 0, true}}, 0},
    {false, {{MATCH_REGEX, "(^a|b$)"}, {MATCH_GLOB, "a.*", 0, true}}, 0},
    {false, {{MATCH_REGEX, "a", COUNTER}, {MATCH_GLOB, "a.*", 0, true}}, 0},
    {false, {{MATCH_REGEX, "a", COUNTER}, {MATCH_GLOB, "a.*", COUNTER, true}}, 1},
    {false,
     {{MATCH_REGEX, "a", COUNTER},
      {MATCH_GLOB, "a.*", OBSERVER},
      {MATCH_GLOB, "a.*", COUNTER | OBSERVER, true}},
     1},
    {true, {{MATCH_REGEX, "^a"}, {MATCH_GLOB, "a.*", 0, true}}, 1},
    {false, {{MATCH_REGEX, "b"}, {MATCH_GLOB, "*.b", 0, true}}, 0},
};

static void
test_new__warns_of_hidden_rules(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++) {
		struct rule_set *sets[] = {new_rule_set("one.yml", !hidden[i].is_unordered),
					   new_rule_set("two.yml", !hidden[i].is_unordered)};
		for (size_t k = 0; k < 4 && hidden[i].rules[k].match; k++) {
			const struct kinded *rule = &hidden[i].rules[k];
			struct rule_set *set = sets[rule->is_second_set];
			add_rule(set, rule->type, rule->match, "x")->kinds =
			    rule->kinds ? rule->kinds : KINDS_ALL;
		}
		struct diag diag = DIAG_INIT;
		struct mapper *mapper = build(two_sets(sets[0], sets[1]), 2, &diag);
		if (diag.count != hidden[i].hidden || diag.errors)
			fail_msg("row %zu: %zu warnings, %s", i, diag.count,
				 diag.count ? diag.messages[0].text : "none");
		diag_fini(&diag);
		mapper_unref(&mapper);
	}
}

static void
test_new__names_the_rule_that_hides(void **state)
{
	(void)state;
	struct rule_set *set = new_rule_set("rules.yml", true);
	add_rule(set, MATCH_GLOB, "b", "x");
	add_rule(set, MATCH_GLOB, "a.*", "x");
	add_rule(set, MATCH_GLOB, "a.b", "x");
	struct diag diag = DIAG_INIT;
	struct mapper *mapper = build(one_set(set), 1, &diag);
	assert_int_equal(diag.count, 1);
	assert_string_equal(diag.messages[0].text,
			    "rules.yml:4:3: mappings[2].match: never used: the rule \"a.*\" at "
			    "rules.yml:3 comes first and takes all its names");
	diag_fini(&diag);
	mapper_unref(&mapper);
}

static void
test_new__names_the_regex_of_an_earlier_file_that_hides(void **state)
{
	(void)state;
	struct rule_set *first = new_rule_set("one.yml", true);
	struct rule_set *second = new_rule_set("two.yml", true);
	add_rule(first, MATCH_GLOB, "b", "x");
	add_rule(first, MATCH_REGEX, "^a", "x")->match_place.file = "one.yml";
	add_rule(second, MATCH_GLOB, "a.*", "x")->match_place.file = "two.yml";
	struct diag diag = DIAG_INIT;
	struct mapper *mapper = build(two_sets(first, second), 2, &diag);
	assert_int_equal(diag.count, 1);
	assert_string_equal(diag.messages[0].text,
			    "two.yml:2:3: mappings[0].match: never used: the rule \"^a\" at "
			    "one.yml:3 comes first and takes all its names");
	diag_fini(&diag);
	mapper_unref(&mapper);
}

/* A regex that takes a millisecond for each glob must not hold up a load for long. */
static void
test_new__search_for_hiding_regexes_ends(void **state)
{
	(void)state;
	struct rule_set *first = new_rule_set("one.yml", true);
	struct rule_set *second = new_rule_set("two.yml", true);
	add_rule(first, MATCH_REGEX, "^(a+)+$", "x");
	char glob[64];
	memset(glob, 'a', sizeof(glob));
	for (unsigned i = 0; i < 20000; i++) {
		snprintf(glob + 40, sizeof(glob) - 40, ".b%u", i);
		add_rule(second, MATCH_GLOB, glob, "x");
	}
	struct diag diag = DIAG_INIT;
	struct mapper *mapper = build(two_sets(first, second), 2, &diag);
	assert_int_equal(diag.count, 1);
	assert_non_null(strstr(diag.messages[0].text, ": from here on it was not looked whether "
						      "regexes of earlier files hide globs"));
	diag_fini(&diag);
	mapper_unref(&mapper);
}

static void
note_hits(void *ctx, const struct mapping_rule *rule, uint64_t hits)
{
	assert_string_equal(rule->match, "^(a+)+$");
	*(uint64_t *)ctx += hits;
}

static void
test_match_limit_hits(void **state)
{
	(void)state;
	struct rule_set *set = new_rule_set("rules.yml", true);
	add_rule(set, MATCH_REGEX, "^b", "x");
	add_rule(set, MATCH_REGEX, "^(a+)+$", "x");
	struct mapper *mapper = build_one(set);
	struct mapping_scratch *scratch = mapping_scratch_new();
	assert_int_equal(mapper_match_limit_hits(mapper), 0);
	char name[101];
	memset(name, 'a', 100);
	name[100] = '.';
	struct mapping_match match;
	mapper_find(mapper, scratch, EVENT_GAUGE, span_of(name, sizeof(name)), &match);
	assert_null(match.rule);
	mapper_find(mapper, scratch, EVENT_GAUGE, span_of(name, sizeof(name)), &match);
	assert_int_equal(mapper_match_limit_hits(mapper), 2);
	uint64_t hits = 0;
	mapper_visit_match_limit_hits(mapper, note_hits, &hits);
	assert_int_equal(hits, 2);
	mapping_scratch_free(&scratch);
	mapper_unref(&mapper);
}

static char *
dump(const struct mapper *mapper)
{
	char *text = NULL;
	size_t len;
	FILE *file = open_memstream(&text, &len);
	assert_non_null(file);
	assert_true(mapper_dump_graph(mapper, file));
	fclose(file);
	return text;
}

#define GRAPH_HEAD                                                            \
	"digraph globs {\n"                                                   \
	"\trankdir=LR;\n"                                                     \
	"\tnode [label=\"\", shape=circle, style=filled, fillcolor=white];\n" \
	"\t0 [shape=point, fillcolor=black];\n"                               \
	"\t1;\n\t1 [fillcolor=lightblue];\n\t0 -> 1 [label=\"counter\"];\n"   \
	"\t2;\n\t2 [fillcolor=lightblue];\n\t0 -> 2 [label=\"gauge\"];\n"     \
	"\t3;\n\t3 [fillcolor=lightblue];\n\t0 -> 3 [label=\"observer\"];\n"

static void
test_dump_graph__breadth_first(void **state)
{
	(void)state;
	struct rule_set *set = new_rule_set("rules.yml", true);
	add_rule(set, MATCH_GLOB, "a.b", "quoted \"\\\n")->kinds = KIND_BIT(EVENT_GAUGE);
	add_rule(set, MATCH_GLOB, "a.*", "x")->kinds = KIND_BIT(EVENT_GAUGE);
	add_rule(set, MATCH_GLOB, "c", "x")->kinds = KIND_BIT(EVENT_COUNTER);
	set->rules[1].action = ACTION_DROP;
	struct mapper *mapper = build_one(set);
	char *text = dump(mapper);
	assert_string_equal(text,
			    GRAPH_HEAD "\t4 [shape=box, fillcolor=palegreen, label=\"x\"];\n"
				       "\t1 -> 4 [label=\"c\"];\n"
				       "\t5;\n"
				       "\t2 -> 5 [label=\"a\"];\n"
				       "\t6 [shape=box, fillcolor=palegreen, label=\"quoted "
				       "\\\"\\\\ \"];\n"
				       "\t5 -> 6 [label=\"b\"];\n"
				       "\t7 [shape=box, fillcolor=palegreen, label=\"(drop)\"];\n"
				       "\t5 -> 7 [label=\"*\"];\n"
				       "}\n");
	free(text);
	mapper_unref(&mapper);
}

static void
test_dump_graph__no_globs(void **state)
{
	(void)state;
	struct rule_set *set = new_rule_set("rules.yml", true);
	add_rule(set, MATCH_REGEX, "a", "x");
	struct mapper *mapper = build_one(set);
	char *text = dump(mapper);
	assert_string_equal(text, GRAPH_HEAD "}\n");
	free(text);
	mapper_unref(&mapper);
}

static void
test_dump_graph__several_sets(void **state)
{
	(void)state;
	struct rule_set *first = new_rule_set("on\"e.yml", true);
	struct rule_set *second = new_rule_set("two.yml", true);
	add_rule(first, MATCH_GLOB, "a", "x")->kinds = KIND_BIT(EVENT_COUNTER);
	add_rule(second, MATCH_GLOB, "a", "y")->kinds = KIND_BIT(EVENT_COUNTER);
	struct diag diag = DIAG_INIT;
	struct mapper *mapper = build(two_sets(first, second), 2, &diag);
	diag_fini(&diag);
	char *text = dump(mapper);
	assert_string_equal(text, GRAPH_HEAD "\t4;\n\t1 -> 4 [label=\"on\\\"e.yml\"];\n"
					     "\t5;\n\t1 -> 5 [label=\"two.yml\"];\n"
					     "\t6 [shape=box, fillcolor=palegreen, label=\"x\"];\n"
					     "\t4 -> 6 [label=\"a\"];\n"
					     "\t7 [shape=box, fillcolor=palegreen, label=\"y\"];\n"
					     "\t5 -> 7 [label=\"a\"];\n"
					     "}\n");
	free(text);
	mapper_unref(&mapper);
}

static void
test_dump_graph__says_when_writing_failed(void **state)
{
	(void)state;
	struct mapper *mapper = build_one(new_rule_set("rules.yml", true));
	FILE *full = fopen("/dev/full", "w");
	assert_non_null(full);
	assert_false(mapper_dump_graph(mapper, full));
	fclose(full);
	mapper_unref(&mapper);
}

#define THREADS 4
#define ROUNDS 3000

struct worker {
	struct mapper *mapper; /* a reference of its own */
	unsigned seed;
	unsigned wrong;
};

static void *
look_up(void *ctx)
{
	struct worker *worker = ctx;
	struct mapping_scratch *scratch = mapping_scratch_new();
	char slow[101];
	memset(slow, 'a', 100);
	slow[100] = '.';
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct mapping_match match;
		char name[32], want[32];
		unsigned number = (i * 7 + worker->seed) % 100;
		bool is_glob = number % 2;
		snprintf(name, sizeof(name), is_glob ? "g.%u" : "r%u", number);
		snprintf(want, sizeof(want), is_glob ? "glob_%u" : "regex_%u", number);
		struct mapper *again = mapper_ref(worker->mapper);
		mapper_find(again, scratch, EVENT_GAUGE, span_text(name), &match);
		worker->wrong += !match.rule || !span_equal(match.name, span_text(want));
		mapper_unref(&again);
		if (i % 500 == 0)
			mapper_find(worker->mapper, scratch, EVENT_GAUGE, span_of(slow, 101),
				    &match);
	}
	mapper_unref(&worker->mapper);
	mapping_scratch_free(&scratch);
	return NULL;
}

/* The last reference may be any thread's. */
static void
test_find__from_many_threads(void **state)
{
	(void)state;
	struct rule_set *set = new_rule_set("rules.yml", true);
	add_rule(set, MATCH_GLOB, "g.*", "glob_$1");
	add_rule(set, MATCH_REGEX, "^r(\\d+)$", "regex_$1");
	add_rule(set, MATCH_REGEX, "^(a+)+$", "x");
	struct mapper *mapper = build_one(set);
	struct worker workers[THREADS];
	pthread_t threads[THREADS];
	for (unsigned i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){.mapper = mapper_ref(mapper), .seed = i};
		assert_int_equal(pthread_create(&threads[i], NULL, look_up, &workers[i]), 0);
	}
	while (mapper_match_limit_hits(mapper) < THREADS * (ROUNDS / 500))
		sched_yield();
	mapper_unref(&mapper);
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(workers[i].wrong, 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_find__renders_name_and_labels),
	    cmocka_unit_test(test_find__nothing_matches),
	    cmocka_unit_test(test_find__name_may_be_empty),
	    cmocka_unit_test(test_find__drop_renders_nothing),
	    cmocka_unit_test(test_find__globs_before_regexes_sets_in_order),
	    cmocka_unit_test(test_find__long_values),
	    cmocka_unit_test(test_new__collects_errors),
	    cmocka_unit_test(test_new__too_many_references),
	    cmocka_unit_test(test_new__warns_of_dead_references),
	    cmocka_unit_test(test_new__warns_of_hidden_rules),
	    cmocka_unit_test(test_new__names_the_rule_that_hides),
	    cmocka_unit_test(test_new__names_the_regex_of_an_earlier_file_that_hides),
	    cmocka_unit_test(test_new__search_for_hiding_regexes_ends),
	    cmocka_unit_test(test_match_limit_hits),
	    cmocka_unit_test(test_dump_graph__breadth_first),
	    cmocka_unit_test(test_dump_graph__no_globs),
	    cmocka_unit_test(test_dump_graph__several_sets),
	    cmocka_unit_test(test_dump_graph__says_when_writing_failed),
	    cmocka_unit_test(test_find__from_many_threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
