#include "yaml/ynode.h"

#include "base/buf.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>

/* Texts quoted where the file quotes them, null as ~; with places "LINE:COLUMN " before each node.
 */
static void
dump(struct buf *out, const struct ynode *node, bool has_places)
{
	if (has_places)
		buf_printf(out, "%u:%u ", node->line, node->column);
	switch (node->type) {
	case YNODE_NULL:
		buf_add_byte(out, '~');
		break;
	case YNODE_SCALAR:
		buf_printf(out, node->is_plain ? "%.*s" : "\"%.*s\"", SPAN_ARGS(node->text));
		break;
	case YNODE_LIST:
		buf_add_byte(out, '[');
		for (size_t i = 0; i < node->list.count; i++) {
			buf_add_text(out, i ? ", " : "");
			dump(out, node->list.items[i], has_places);
		}
		buf_add_byte(out, ']');
		break;
	case YNODE_MAP:
		buf_add_byte(out, '{');
		for (size_t i = 0; i < node->map.count; i++) {
			buf_add_text(out, i ? ", " : "");
			dump(out, node->map.pairs[i].key, has_places);
			buf_add_text(out, ": ");
			dump(out, node->map.pairs[i].value, has_places);
		}
		buf_add_byte(out, '}');
		break;
	}
}

/* The tree, then the messages, a line each; "-" is a text without content. */
static void
render(struct buf *out, struct span text, bool has_places)
{
	struct diag diag = DIAG_INIT;
	struct ydocument *document = ydocument_parse("f", text, &diag);
	if (document) {
		const struct ynode *root = ydocument_root(document);
		if (root)
			dump(out, root, has_places);
		else
			buf_add_byte(out, '-');
	}
	assert_true(document || diag.errors);
	for (size_t i = 0; i < diag.count; i++)
		buf_printf(out, "%s%s", out->len ? "\n" : "", diag.messages[i].text);
	ydocument_free(&document);
	assert_null(document);
	diag_fini(&diag);
}

static void
check_render(struct span text, bool has_places, const char *want)
{
	struct buf out = BUF_INIT;
	render(&out, text, has_places);
	if (strcmp(buf_text(&out), want) != 0)
		fail_msg("for \"%.200s\"\ngot:\n%s\nwant:\n%s", text.ptr, buf_text(&out), want);
	buf_fini(&out);
}

struct example {
	struct span text;
	const char *want;
};

#define CHECK_ALL(examples, has_places)                                     \
	for (size_t i = 0; i < sizeof(examples) / sizeof(*(examples)); i++) \
	check_render((examples)[i].text, has_places, (examples)[i].want)

static void
test_parse__trees(void **state)
{
	(void)state;
	static const struct example examples[] = {
	    {SPAN(""), "-"},
	    {SPAN("# only a comment\n\n"), "-"},
	    {SPAN("\xef\xbb\xbf"), "-"},
	    {SPAN("---\n"), "~"},
	    {SPAN("null"), "~"},
	    {SPAN("[~, null, Null, NULL, nULL, '', 'null']"), "[~, ~, ~, ~, nULL, \"\", \"null\"]"},
	    {SPAN("\xef\xbb\xbf"
		  "a: b"),
	     "{a: b}"},
	    {SPAN("a:\n- 1\n- 'x'\n- {b: , c: [d]}\n"), "{a: [1, \"x\", {b: ~, c: [d]}]}"},
	    {SPAN("a: b\r\nc: d\r\n"), "{a: b, c: d}"},
	    {SPAN("a: |\n  x\n  y\n"), "{a: \"x\ny\n\"}"},
	    {SPAN("a: >-\n  x\n  y\n"), "{a: \"x y\"}"},
	    {SPAN("{}"), "{}"},
	    {SPAN("[]"), "[]"},
	    {SPAN("a: \"\\u00fc\\x41\""), "{a: \"\xc3\xbc"
					  "A\"}"},
	    {SPAN("[!!str 5, !!int '5', !!null '', ! 5, !!seq [], !!map {}]"),
	     "[\"5\", 5, ~, \"5\", [], {}]"},
	    {SPAN("%YAML 1.1\n---\na: b\n...\n"), "{a: b}"},
	};
	CHECK_ALL(examples, false);
}

static void
test_parse__places(void **state)
{
	(void)state;
	static const struct example examples[] = {
	    {SPAN("a: b"), "1:1 {1:1 a: 1:4 b}"},
	    {SPAN("a:\n- b\n-  \"c\"\n"), "1:1 {1:1 a: 2:1 [2:3 b, 3:4 \"c\"]}"},
	    {SPAN("\xc3\xbc: x"), "1:1 {1:1 \xc3\xbc: 1:4 x}"},
	    {SPAN("\xef\xbb\xbf"
		  "a: b"),
	     "1:1 {1:1 a: 1:4 b}"},
	    {SPAN("x: &n v\ny: *n"), "1:1 {1:1 x: 1:4 v, 2:1 y: 1:4 v}"},
	};
	CHECK_ALL(examples, true);
}

static void
test_parse__aliases_and_merges(void **state)
{
	(void)state;
	static const struct example examples[] = {
	    {SPAN("[&a x, *a, *a]"), "[x, x, x]"},
	    {SPAN("[&a x, &a y, *a]"), "[x, y, y]"},
	    {SPAN("{&k key: 1, v: *k}"), "{key: 1, v: key}"},
	    {SPAN("- &a {x: 1, y: 2}\n- {<<: *a, x: 3}"), "[{x: 1, y: 2}, {x: 3, y: 2}]"},
	    {SPAN("- &a {x: 1, y: 2}\n- {x: 3, <<: *a}"), "[{x: 1, y: 2}, {x: 3, y: 2}]"},
	    {SPAN("{<<: [{x: 1}, {x: 2, y: 2}]}"), "{x: 1, y: 2}"},
	    {SPAN("{<<: {x: 1}, <<: {x: 2, y: 2}}"), "{x: 1, y: 2}"},
	    {SPAN("{<<: {<<: {x: 1}, y: 2}}"), "{y: 2, x: 1}"},
	    {SPAN("{'<<': 1}"), "{\"<<\": 1}"},
	    {SPAN("{<<: []}"), "{}"},
	};
	CHECK_ALL(examples, false);
}

static void
test_parse__refused(void **state)
{
	(void)state;
	static const struct example examples[] = {
	    {SPAN("a: b\n\tc: d\n"), "f:2:1: a tab cannot indent; use spaces"},
	    {SPAN("a:\n\t- b\n"), "f:2:1: a tab cannot indent; use spaces"},
	    {SPAN("a: [\n"), "f:2:1: did not find expected node content while parsing a flow node"},
	    {SPAN("a: [b\nc: d"), "f:2:2: did not find expected ',' or ']' while parsing a flow "
				  "sequence that starts in line 1"},
	    {SPAN("a: \"b"),
	     "f:1:6: found unexpected end of stream while scanning a quoted scalar"},
	    {SPAN("a: b: c"), "f:1:5: mapping values are not allowed in this context"},
	    {SPAN("a: *x"), "f:1:4: no anchor \"x\" before this alias"},
	    {SPAN("a: &x [*x]"), "f:1:8: alias \"x\" lies inside its own anchor"},
	    {SPAN("&x {a: {<<: *x}}"), "f:1:13: alias \"x\" lies inside its own anchor"},
	    {SPAN("? [a]\n: b"), "f:1:3: a key must be a text"},
	    {SPAN("{<<: x}"), "f:1:6: << takes a mapping or a list of mappings"},
	    {SPAN("{<<: [{a: 1}, x]}"), "f:1:15: << takes a mapping or a list of mappings"},
	    {SPAN("{<<: }"), "f:1:6: << takes a mapping or a list of mappings"},
	    {SPAN("a: !x b"), "f:1:4: unknown tag \"!x\""},
	    {SPAN("a: !!binary aGk="), "f:1:4: unknown tag \"tag:yaml.org,2002:binary\""},
	    {SPAN("a: !!map []"), "f:1:4: unknown tag \"tag:yaml.org,2002:map\""},
	    {SPAN("a: \"x\\0y\""), "f:1:4: a text must not hold a NUL byte"},
	    {SPAN("a: x\0y"), "f:1:5: control characters are not allowed (U+0000)"},
	    {SPAN("\xc3\xbc: b\n\xc3\xbc\x01"),
	     "f:2:2: control characters are not allowed (U+0001)"},
	    {SPAN("a: b\nc: \xff"), "f:2:4: invalid UTF-8 (byte 0xFF)"},
	    {SPAN("a: \xed\xa0\x80"), "f:1:4: invalid UTF-8 (byte 0xED)"},
	    {SPAN("\xff\xfe"
		  "a\0"),
	     "f:1:1: invalid UTF-8 (byte 0xFF)"},
	    {SPAN("{a: b} c"), "f:1:8: did not find expected <document start>"},
	};
	CHECK_ALL(examples, false);
}

static void
test_parse__reported_yet_complete(void **state)
{
	(void)state;
	static const struct example examples[] = {
	    {SPAN("a: 1\nb: 2\na: 3\n'a': 4"), "{a: 1, b: 2}\n"
					       "f:3:1: duplicate key \"a\", first in line 1\n"
					       "f:4:1: duplicate key \"a\", first in line 1"},
	    {SPAN("{x: {a: 1, a: 2}, <<: {b: 1, b: 2}}"),
	     "{x: {a: 1}, b: 1}\n"
	     "f:1:12: duplicate key \"a\", first in line 1\n"
	     "f:1:30: duplicate key \"b\", first in line 1"},
	    {SPAN("a: 1\n---\nb: 2"), "{a: 1}\nf:2:1: only the first document is read"},
	    {SPAN("a: 1\n...\n[["), "{a: 1}\nf:3:1: only the first document is read"},
	};
	CHECK_ALL(examples, false);
}

static struct span
repeat(struct buf *buf, const char *head, const char *body, size_t times, const char *tail)
{
	buf_add_text(buf, head);
	for (size_t i = 0; i < times; i++)
		buf_add_text(buf, body);
	buf_add_text(buf, tail);
	return buf_span(buf);
}

static void
test_parse__depth(void **state)
{
	(void)state;
	static const struct {
		const char *head, *body;
		size_t times;
		const char *tail;
		bool is_refused;
	} cases[] = {
	    {"", "[", YNODE_DEPTH_MAX, "[]", true},
	    {"", "[", YNODE_DEPTH_MAX, "", true},
	    {"", "[", 100000, "", true},
	    {"", "- ", 100000, "x", true},
	    {"", "{a: ", 100000, "", true},
	    {"", "? ", 100000, "", true},
	    {"[&a [[[[]]]], ", "[", YNODE_DEPTH_MAX - 5, "*a", true},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct buf text = BUF_INIT;
		struct diag diag = DIAG_INIT;
		struct span yaml =
		    repeat(&text, cases[i].head, cases[i].body, cases[i].times, cases[i].tail);
		struct ydocument *document = ydocument_parse("f", yaml, &diag);
		if (cases[i].is_refused != !document)
			fail_msg("case %zu", i);
		ydocument_free(&document);
		diag_fini(&diag);
		buf_fini(&text);
	}
}

static void
add_nested(struct buf *text, const char *inner, size_t levels)
{
	for (size_t i = 0; i < levels; i++)
		buf_add_byte(text, '[');
	buf_add_text(text, inner);
	for (size_t i = 0; i < levels; i++)
		buf_add_byte(text, ']');
}

static void
test_parse__deepest(void **state)
{
	(void)state;
	for (size_t levels = YNODE_DEPTH_MAX - 5; levels <= YNODE_DEPTH_MAX - 3; levels++) {
		struct buf text = BUF_INIT;
		struct diag diag = DIAG_INIT;
		buf_add_text(&text, "[&a [[[x]]],");
		add_nested(&text, "*a", levels);
		buf_add_byte(&text, ']');
		struct ydocument *document = ydocument_parse("f", buf_span(&text), &diag);
		assert_int_equal(!document, levels > YNODE_DEPTH_MAX - 4);
		ydocument_free(&document);
		diag_fini(&diag);
		buf_fini(&text);
	}
	struct buf text = BUF_INIT;
	struct diag diag = DIAG_INIT;
	add_nested(&text, "x", YNODE_DEPTH_MAX);
	struct ydocument *document = ydocument_parse("f", buf_span(&text), &diag);
	assert_non_null(document);
	assert_int_equal(ydocument_root(document)->height, YNODE_DEPTH_MAX);
	ydocument_free(&document);
	buf_fini(&text);
}

static void
test_parse__anchor_bomb(void **state)
{
	(void)state;
	struct buf text = BUF_INIT;
	buf_add_text(&text, "a0: &a0 [x]\n");
	for (int i = 1; i < 40; i++)
		buf_printf(&text, "a%d: &a%d [*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d]\n", i, i,
			   i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
	check_render(buf_span(&text), false,
		     "f:8:30: more than 4000000 nodes after expanding aliases");
	buf_fini(&text);
}

static void
test_parse__merge_bomb(void **state)
{
	(void)state;
	struct buf text = BUF_INIT;
	buf_add_text(&text, "base: &base\n");
	for (int i = 0; i < 10000; i++)
		buf_printf(&text, "  k%d: v\n", i);
	for (int i = 0; i < 10000; i++)
		buf_printf(&text, "m%d: {<<: *base}\n", i);
	struct diag diag = DIAG_INIT;
	struct ydocument *document = ydocument_parse("f", buf_span(&text), &diag);
	assert_null(document);
	assert_int_equal(diag.errors, 1);
	diag_fini(&diag);
	buf_fini(&text);
}

static void
test_parse__weight_counts_expansion(void **state)
{
	(void)state;
	struct diag diag = DIAG_INIT;
	struct ydocument *document =
	    ydocument_parse("f", SPAN("[&a [x, y], *a, {<<: {k: *a}}]"), &diag);
	assert_non_null(document);
	/* root, two lists of three nodes, a map with a key and such a list */
	assert_int_equal(ydocument_root(document)->weight, 1 + 3 + 3 + 1 + 1 + 3);
	ydocument_free(&document);
}

static void
test_parse__many_keys_and_anchors(void **state)
{
	(void)state;
	struct buf text = BUF_INIT;
	for (int i = 0; i < 200000; i++)
		buf_printf(&text, "k%d: &a%d v%d\n", i, i, i);
	buf_add_text(&text, "last: *a199999\nk7: again\n");
	struct diag diag = DIAG_INIT;
	struct ydocument *document = ydocument_parse("f", buf_span(&text), &diag);
	assert_non_null(document);
	const struct ynode *root = ydocument_root(document);
	assert_int_equal(root->map.count, 200001);
	assert_span_equal(root->map.pairs[200000].value->text, "v199999");
	assert_int_equal(diag.count, 1);
	assert_string_equal(diag.messages[0].text,
			    "f:200002:1: duplicate key \"k7\", first in line 8");
	ydocument_free(&document);
	diag_fini(&diag);
	buf_fini(&text);
}

static void
test_parse__null_span(void **state)
{
	(void)state;
	check_render((struct span){NULL, 0}, false, "-");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_parse__trees),
	    cmocka_unit_test(test_parse__places),
	    cmocka_unit_test(test_parse__aliases_and_merges),
	    cmocka_unit_test(test_parse__refused),
	    cmocka_unit_test(test_parse__reported_yet_complete),
	    cmocka_unit_test(test_parse__depth),
	    cmocka_unit_test(test_parse__deepest),
	    cmocka_unit_test(test_parse__anchor_bomb),
	    cmocka_unit_test(test_parse__merge_bomb),
	    cmocka_unit_test(test_parse__weight_counts_expansion),
	    cmocka_unit_test(test_parse__many_keys_and_anchors),
	    cmocka_unit_test(test_parse__null_span),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
