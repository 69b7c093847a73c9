#include "mapping/parsing.h"

#include <stdio.h>

static void
parse(const char *text, struct labels *labels)
{
	labels->count = 0;
	while (*text) {
		size_t name = strcspn(text, "="), value = strcspn(text + name + 1, " ");
		assert_true(
		    labels_set(labels, span_of(text, name), span_of(text + name + 1, value)));
		text += name + 1 + value;
		text += *text == ' ';
	}
}

/* @rules what stands in a mapping file's `tags`; @tags, @want `a=1 b=2` */
static void
check(const char *rules, const char *tags, const char *want)
{
	struct labels labels;
	struct buf text = BUF_INIT, got = BUF_INIT;
	buf_printf(&text, "tags: {%s}", rules);
	struct rule_set *set = parse_valid(buf_text(&text));
	parse(tags, &labels);
	tag_rules_apply(&set->tags, &labels);
	for (size_t i = 0; i < labels.count; i++)
		buf_printf(&got, "%s%.*s=%.*s", i ? " " : "", SPAN_ARGS(labels.item[i].name),
			   SPAN_ARGS(labels.item[i].value));
	assert_string_equal(buf_text(&got), want);
	rule_set_free(&set);
	buf_fini(&text);
	buf_fini(&got);
}

static void
test_apply__nothing(void **state)
{
	(void)state;
	check("", "a=1 b=2", "a=1 b=2");
	check("drop: []", "a=1 b=2", "a=1 b=2");
	check("", "", "");
}

static void
test_apply__drop_and_keep(void **state)
{
	(void)state;
	static const struct {
		const char *tags, *dropped, *kept;
	} table[] = {
	    {"", "", ""},
	    {"a=1", "a=1", ""},
	    {"b=1", "", "b=1"},
	    {"a=1 b=2 c=3 d=4 e=5", "a=1 c=3 e=5", "b=2 d=4"},
	    {"b=1 d=2 dd=3 z=4", "", "b=1 d=2 dd=3 z=4"},
	    {"aa=1 bb=2 ddd=3 zz=4", "aa=1 bb=2 ddd=3 zz=4", ""},
	    {"B=1 D=2", "B=1 D=2", ""},
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		check("drop: [z, b, dd, d]", table[i].tags, table[i].dropped);
		check("keep: [d, dd, z, b]", table[i].tags, table[i].kept);
	}
	check("keep: []", "a=1 b=2", "");
	check("drop: [pod-name]", "pod_name=1 pod=2", "pod=2");
}

static void
test_apply__rename(void **state)
{
	(void)state;
	const char *rules = "rename: {dc: region, datacenter: region, x: a}";
	check(rules, "b=1", "b=1");
	check(rules, "b=1 dc=ams", "b=1 region=ams");
	check(rules, "datacenter=fra z=1", "region=fra z=1");
	check(rules, "x=1 y=2", "a=1 y=2");
	/* The renamed one replaces, and the first listed wins. */
	check(rules, "dc=ams region=eu", "region=ams");
	check(rules, "datacenter=fra dc=ams region=eu", "region=ams");
}

static void
test_apply__rename_all_at_once(void **state)
{
	(void)state;
	const char *rules = "rename: {a: b, b: a, c: d, d: e}";
	check(rules, "a=1 b=2", "a=2 b=1");
	check(rules, "a=1", "b=1");
	check(rules, "c=3 d=4", "d=3 e=4");
	check(rules, "d=4", "e=4");
}

static void
test_apply__rename_what_is_kept(void **state)
{
	(void)state;
	const char *rules = "keep: [a, b], rename: {a: c}";
	/* A tag that has the name c already is not kept. */
	check(rules, "a=1 b=2 c=3", "b=2 c=1");
	check(rules, "c=3", "");
	check("drop: [c], rename: {a: c}", "a=1 b=2 c=3", "b=2 c=1");
}

/* A line may carry as many tags as it will. */
static void
test_apply__full(void **state)
{
	(void)state;
	static char names[TAGS_MAX][8];
	struct labels labels = {0};
	for (unsigned i = 0; i < TAGS_MAX; i++) {
		snprintf(names[i], sizeof(names[i]), "t%03u", i);
		assert_true(labels_set(&labels, span_text(names[i]), SPAN("v")));
	}
	struct buf text = BUF_INIT;
	for (unsigned i = 0; i < TAG_RENAMES_MAX; i++)
		buf_printf(&text, "%st%03u: t%03u", i ? ", " : "tags: {rename: {", i, i + 1);
	buf_add_text(&text, "}}");
	struct rule_set *set = parse_valid(buf_text(&text));
	tag_rules_apply(&set->tags, &labels);
	assert_int_equal(labels.count, TAGS_MAX - 1);
	assert_span_equal(labels.item[0].name, "t001");
	rule_set_free(&set);
	buf_fini(&text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_apply__nothing),
	    cmocka_unit_test(test_apply__drop_and_keep),
	    cmocka_unit_test(test_apply__rename),
	    cmocka_unit_test(test_apply__rename_all_at_once),
	    cmocka_unit_test(test_apply__rename_what_is_kept),
	    cmocka_unit_test(test_apply__full),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
