#include "mapping/parsing.h"

#define LEGAL "a label name is letters, digits and '_', not starting with a digit"
#define RESERVED "label names that start with \"__\" are reserved"
#define LE "histograms keep the label \"le\" for themselves"
#define QUANTILE "summaries keep the label \"quantile\" for themselves"

static void
test_labels__refused(void **state)
{
	(void)state;
#define EMPTY "a label of all metrics needs a value; leave it out otherwise"
#define PLAIN                                                                                    \
	"a label of all metrics is plain text; references such as $1 belong in the labels of a " \
	"rule"
	static const struct example examples[] = {
	    {SPAN("labels: []"),
	     "f:1:9: labels: expected a mapping of label names to texts, got a list"},
	    {SPAN("labels: {a: [b], c: {}}"), "f:1:13: labels.a: expected a text, got a list\n"
					      "f:1:21: labels.c: expected a text, got a mapping"},
	    {SPAN("labels: {a-b: c}"), "f:1:10: labels.\"a-b\": " LEGAL},
	    {SPAN("labels: {__a: c}"), "f:1:10: labels.__a: " RESERVED},
	    {SPAN("labels: {le: c, quantile: d}"),
	     "f:1:10: labels.le: " LE "\nf:1:17: labels.quantile: " QUANTILE},
	    {SPAN("labels: {a: , b: ''}"), "f:1:13: labels.a: " EMPTY "\nf:1:18: labels.b: " EMPTY},
	    {SPAN("labels: {a: $1, b: 'x${y}', c: $y, d: $_}"),
	     "f:1:13: labels.a: " PLAIN "\nf:1:20: labels.b: " PLAIN "\nf:1:32: labels.c: " PLAIN
	     "\nf:1:39: labels.d: " PLAIN},
	    {SPAN("labels: {a: $, b: 5$, c: 100%, d: '$ 5', e: '$$', f: 1.50}"), ""},
	    {SPAN("labels: {a: 1, a: 2}"), "f:1:16: duplicate key \"a\", first in line 1"},
	    {SPAN("label: {a: b}"), "f:1:1: label: unknown key; did you mean \"labels\"?"},
	    {SPAN("defaults: {labels: {a: b}}"),
	     "f:1:12: defaults.labels: unknown key in defaults; it belongs in a rule"},
	};
	CHECK_ALL(examples);
}

static void
test_tags__refused(void **state)
{
	(void)state;
#define NAME "expected the name of a tag, got "
#define NEVER "tags that start with \"__\" never become labels; take it out"
	static const struct example examples[] = {
	    {SPAN("tags: []"),
	     "f:1:7: tags: expected a mapping of keep, drop and rename, got a list"},
	    {SPAN("tags: {}"), ""},
	    {SPAN("tags: "), ""},
	    {SPAN("tags: {keep: , drop: }"), ""},
	    {SPAN("tags: {kepe: [a]}"), "f:1:8: tags.kepe: unknown key; did you mean \"keep\"?"},
	    {SPAN("tags: {labels: {}}"),
	     "f:1:8: tags.labels: unknown key in tags; it belongs in a rule"},
	    {SPAN("drop: [a]"), "f:1:1: drop: unknown key in the top level; it belongs in tags"},
	    {SPAN("tags: {drop: a}"), "f:1:14: tags.drop: expected a list of tag names, got \"a\""},
	    {SPAN("tags: {keep: {a: b}}"),
	     "f:1:14: tags.keep: expected a list of tag names, got a mapping"},
	    {SPAN("tags: {drop: [a, ~, '', [b], {}]}"),
	     "f:1:18: tags.drop[1]: " NAME "nothing\nf:1:21: tags.drop[2]: " NAME
	     "the text \"\"\nf:1:25: tags.drop[3]: " NAME "a list\nf:1:30: tags.drop[4]: " NAME
	     "a mapping"},
	    {SPAN("tags: {keep: [__a]}"), "f:1:15: tags.keep[0]: " NEVER},
	    {SPAN("tags: {drop: [a, b, a]}"), "f:1:21: tags.drop[2]: this tag is listed twice"},
	    {SPAN("tags: {drop: [a-b, a_b]}"), "f:1:20: tags.drop[1]: this tag is listed twice"},
	    {SPAN("tags: {keep: [a], drop: [b]}"),
	     "f:1:19: tags.drop: keep drops all other tags already; give one of the two"},
	};
	CHECK_ALL(examples);
}

static void
test_rename__refused(void **state)
{
	(void)state;
	static const struct example examples[] = {
	    {SPAN("tags: {rename: [a]}"),
	     "f:1:16: tags.rename: expected a mapping of tag names to label names, got a list"},
	    {SPAN("tags: {rename: {a: }}"),
	     "f:1:20: tags.rename.a: expected the name of a label, got nothing"},
	    {SPAN("tags: {rename: {a: [b]}}"),
	     "f:1:20: tags.rename.a: expected the name of a label, got a list"},
	    {SPAN("tags: {rename: {a: b-c}}"), "f:1:20: tags.rename.a: " LEGAL},
	    {SPAN("tags: {rename: {a: ''}}"), "f:1:20: tags.rename.a: " LEGAL},
	    {SPAN("tags: {rename: {a: __b}}"), "f:1:20: tags.rename.a: " RESERVED},
	    {SPAN("tags: {rename: {a: le, b: quantile}}"),
	     "f:1:20: tags.rename.a: " LE "\nf:1:27: tags.rename.b: " QUANTILE},
	    {SPAN("tags: {rename: {__a: b}}"), "f:1:17: tags.rename.__a: " NEVER},
	    {SPAN("tags: {rename: {a: a}}"), "f:1:17: tags.rename.a: this renames a tag to itself"},
	    {SPAN("tags: {rename: {a-b: a_b}}"),
	     "f:1:17: tags.rename.\"a-b\": this renames a tag to itself"},
	    {SPAN("tags: {rename: {a-b: c, a_b: d}}"),
	     "f:1:25: tags.rename.a_b: this tag is renamed twice"},
	    {SPAN("tags: {drop: [a], rename: {a: b}}"),
	     "f:1:28: tags.rename.a: this tag is dropped, so it cannot be renamed; take it out of "
	     "drop"},
	    {SPAN("tags: {rename: {a: c}, keep: [b, c]}"),
	     "f:1:17: tags.rename.a: this tag is not kept, "
	     "so it cannot be renamed; add it to keep"},
	    {SPAN("tags: {rename: {le: bound, a: b, c: b}}"), ""},
	};
	CHECK_ALL(examples);
}

static void
test_max_values__refused(void **state)
{
	(void)state;
#define COUNT "expected a whole number from 1 to 100000, got "
	static const struct example examples[] = {
	    {SPAN("max_values: 5"),
	     "f:1:13: max_values: expected a mapping of label names to numbers, got \"5\""},
	    {SPAN("max_values: {}"), ""},
	    {SPAN("max_values: {a: 0, b: 100001, c: -1, d: x, e: '5', f: , g: [], h: 1.5}"),
	     "f:1:17: max_values.a: " COUNT "\"0\"\nf:1:23: max_values.b: " COUNT
	     "\"100001\"\nf:1:34: max_values.c: " COUNT "\"-1\"\nf:1:41: max_values.d: " COUNT
	     "\"x\"\nf:1:47: max_values.e: " COUNT "the text \"5\"\nf:1:55: max_values.f: " COUNT
	     "nothing\nf:1:60: max_values.g: " COUNT "a list\nf:1:67: max_values.h: " COUNT
	     "\"1.5\""},
	    {SPAN("max_values: {a-b: 1, __c: 1, le: 1}"),
	     "f:1:14: max_values.\"a-b\": " LEGAL "\nf:1:22: max_values.__c: " RESERVED
	     "\nf:1:30: max_values.le: " LE},
	    {SPAN("max_values: {a: 1, b: 100000, c: 0x10, d: 1_000}"), ""},
	    {SPAN("max_value: {a: 1}"),
	     "f:1:1: max_value: unknown key; did you mean \"max_values\"?"},
	    {SPAN("mappings:\n- {match: a, name: a, max_values: {b: 1}}"),
	     "f:2:23: mappings[0].max_values: unknown key in a rule; it belongs in the top level"},
	};
	CHECK_ALL(examples);
}

static void
test_read__everything(void **state)
{
	(void)state;
	struct rule_set *set = check_parse(SPAN("labels: {env: prod, cell: 'a b'}\n"
						"tags:\n"
						"  rename: {data-center: region, '1st': first}\n"
						"  drop: [z, pod-name, '2nd']\n"
						"max_values: {region: 20, user: 0x10}\n"),
					   "");
	assert_int_equal(set->label_count, 2);
	assert_string_equal(set->labels[1].name, "cell");
	assert_string_equal(set->labels[1].value, "a b");
	assert_false(set->tags.keeps);
	assert_int_equal(set->tags.name_count, 3);
	assert_string_equal(set->tags.names[0], "_2nd");
	assert_string_equal(set->tags.names[1], "pod_name");
	assert_string_equal(set->tags.names[2], "z");
	assert_int_equal(set->tags.rename_count, 2);
	assert_string_equal(set->tags.renames[0].from, "data_center");
	assert_string_equal(set->tags.renames[0].to, "region");
	assert_string_equal(set->tags.renames[1].from, "_1st");
	assert_int_equal(set->limit_count, 2);
	assert_string_equal(set->limits[1].label, "user");
	assert_int_equal(set->limits[1].max, 16);
	rule_set_free(&set);
}

static void
test_read__keep_none(void **state)
{
	(void)state;
	struct rule_set *set = check_parse(SPAN("tags: {keep: []}"), "");
	assert_true(set->tags.keeps);
	assert_int_equal(set->tags.name_count, 0);
	rule_set_free(&set);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_labels__refused),  cmocka_unit_test(test_tags__refused),
	    cmocka_unit_test(test_rename__refused),  cmocka_unit_test(test_max_values__refused),
	    cmocka_unit_test(test_read__everything), cmocka_unit_test(test_read__keep_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
