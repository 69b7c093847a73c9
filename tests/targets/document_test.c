#include "test.h"

#include "base/alloc.h"
#include "targets/document.h"

#include <stdlib.h>

static void
test_parse__good_ones(void **state)
{
	(void)state;
	static const struct {
		const char *json;
		const char *text; /* the elements in their one spelling */
		unsigned targets;
	} cases[] = {
	    {"[]", "", 0},
	    {" [ ] \n", "", 0},
	    {"[{\"targets\": []}]", "{\"targets\":[]}", 0},
	    {"[{\"targets\": [\"a:1\", \"[::1]:2\", \"http://x/y?z\"]}]",
	     "{\"targets\":[\"a:1\",\"[::1]:2\",\"http://x/y?z\"]}", 3},
	    {"[{\"labels\": {\"z\": \"1\", \"a\": \"\"}, \"targets\": [\"b\"]}]",
	     "{\"labels\":{\"a\":\"\",\"z\":\"1\"},\"targets\":[\"b\"]}", 1},
	    {"[{\"targets\":[\"a:1\"],\"labels\":{}}]", "{\"targets\":[\"a:1\"]}", 1},
	    {"[{\"targets\":[\"a:1\"],\"labels\":null}]", "{\"targets\":[\"a:1\"]}", 1},
	    {"[{\"targets\":[\"a:1\"]},{\"targets\":[\"a:1\"]}]",
	     "{\"targets\":[\"a:1\"]},{\"targets\":[\"a:1\"]}", 2},
	    {"[{\"targets\":[\"\\u00fc\"],\"labels\":{\"l\":\"\\\"\\\\\\n\\u0001 \\/\"}}]",
	     "{\"labels\":{\"l\":\"\\\"\\\\\\n\\u0001 /\"},\"targets\":[\"\xc3\xbc\"]}", 1},
	    {"[{\"targets\":[\"a\"],\"labels\":{\"__meta_x\":\"\",\"__param_y\":\"\","
	     "\"__metrics_path__\":\"/m\",\"__scheme__\":\"https\",\"__scrape_interval__\":\"1s\","
	     "\"__scrape_timeout__\":\"1s\",\"_x\":\"\",\"job\":\"j\",\"instance\":\"i\"}}]",
	     "{\"labels\":{\"__meta_x\":\"\",\"__metrics_path__\":\"/m\",\"__param_y\":\"\","
	     "\"__scheme__\":\"https\",\"__scrape_interval__\":\"1s\",\"__scrape_timeout__\":"
	     "\"1s\","
	     "\"_x\":\"\",\"instance\":\"i\",\"job\":\"j\"},\"targets\":[\"a\"]}",
	     1},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct document document;
		struct buf error = BUF_INIT;
		if (!document_parse(span_text(cases[i].json), &document, &error))
			fail_msg("%s: %s", cases[i].json, buf_text(&error));
		assert_int_equal(error.len, 0);
		assert_span_equal(span_of(document.text, document.len), cases[i].text);
		assert_int_equal(document.targets, cases[i].targets);
		document_fini(&document);
		buf_fini(&error);
	}
}

#define ARRAY_WANTED "expected an array of {\"targets\": [...], \"labels\": {...}}, got "
#define NAME_WANTED \
	"a label name consists of letters, digits and '_', and does not start with a digit"
#define RESERVED                                                                         \
	"Prometheus keeps names that start with \"__\" for itself; taken are __meta_*, " \
	"__param_*, __metrics_path__, __scheme__, __scrape_interval__ and __scrape_timeout__"
#define TARGET_WANTED "expected a text such as \"host:port\", got "

static void
test_parse__bad_ones(void **state)
{
	(void)state;
	static const struct {
		struct span json;
		const char *error;
	} cases[] = {
	    {SPAN(""), "line 1, column 1: not JSON: it ends too early"},
	    {SPAN("[\n{\"targets\":\n]"), "line 3, column 1: not JSON: invalid syntax"},
	    {SPAN("[] x"), "line 1, column 4: not JSON: something follows its end"},
	    {SPAN("[][]"), "line 1, column 3: not JSON: something follows its end"},
	    {SPAN("[{\"targets\":[\"\xff\"]}]"), "line 1, column 14: not JSON: invalid UTF-8"},
	    {SPAN("[{\"targets\":[\"a\0b\"]}]"), "line 1, column 15: not JSON: invalid syntax"},
	    {SPAN("[{\"targets\":[\"a\\u0000\"]}]"),
	     "line 1, column 22: not JSON: a NUL character"},
	    {SPAN("[{\"targets\":[],\"targets\":[]}]"),
	     "line 1, column 24: not JSON: a key is there twice"},
	    {SPAN("[{\"targets\":[],\"labels\":{\"a\":\"1\",\"a\":\"2\"}}]"),
	     "line 1, column 36: not JSON: a key is there twice"},

	    {SPAN("{}"), ARRAY_WANTED "an object"},
	    {SPAN("null"), ARRAY_WANTED "null"},
	    {SPAN("\"x\""), ARRAY_WANTED "a string"},
	    {SPAN("1.5"), ARRAY_WANTED "a number"},
	    {SPAN("true"), ARRAY_WANTED "a boolean"},
	    {SPAN("[null]"), "[0]: expected an object with \"targets\", got null"},
	    {SPAN("[{\"targets\":[]},[]]"),
	     "[1]: expected an object with \"targets\", got an array"},
	    {SPAN("[\"a:1\"]"), "[0]: expected an object with \"targets\", got a string"},
	    {SPAN("[{}]"), "[0]: \"targets\" is missing"},
	    {SPAN("[{\"labels\":{}}]"), "[0]: \"targets\" is missing"},
	    {SPAN("[{\"targets\":[],\"label\":{}}]"),
	     "[0].label: unknown key; an element has \"targets\" and \"labels\""},
	    {SPAN("[{\"targets\":[],\"\":1}]"),
	     "[0][\"\"]: unknown key; an element has \"targets\" and \"labels\""},
	    {SPAN("[{\"targets\":[],\"a\\nb\":1}]"),
	     "[0][\"a\\x0ab\"]: unknown key; an element has \"targets\" and \"labels\""},

	    {SPAN("[{\"targets\":\"a:1\"}]"),
	     "[0].targets: expected an array of strings, got a string"},
	    {SPAN("[{\"targets\":null}]"), "[0].targets: expected an array of strings, got null"},
	    {SPAN("[{\"targets\":[\"a\"]},{\"targets\":[\"a\",1]}]"),
	     "[1].targets[1]: " TARGET_WANTED "a number"},
	    {SPAN("[{\"targets\":[null]}]"), "[0].targets[0]: " TARGET_WANTED "null"},
	    {SPAN("[{\"targets\":[[\"a\"]]}]"), "[0].targets[0]: " TARGET_WANTED "an array"},
	    {SPAN("[{\"targets\":[\"\"]}]"), "[0].targets[0]: " TARGET_WANTED "an empty one"},
	    {SPAN("[{\"targets\":[\"a b:1\"]}]"), "[0].targets[0]: " TARGET_WANTED "\"a b:1\""},
	    {SPAN("[{\"targets\":[\"a:1\\n\"]}]"), "[0].targets[0]: " TARGET_WANTED "\"a:1\\x0a\""},
	    {SPAN("[{\"targets\":[\"\\u007f\"]}]"), "[0].targets[0]: " TARGET_WANTED "\"\\x7f\""},

	    {SPAN("[{\"targets\":[],\"labels\":[]}]"),
	     "[0].labels: expected an object of strings, got an array"},
	    {SPAN("[{\"targets\":[],\"labels\":\"x\"}]"),
	     "[0].labels: expected an object of strings, got a string"},
	    {SPAN("[{\"targets\":[],\"labels\":{\"a\":1}}]"),
	     "[0].labels.a: expected a string, got a number"},
	    {SPAN("[{\"targets\":[],\"labels\":{\"a\":null}}]"),
	     "[0].labels.a: expected a string, got null"},
	    {SPAN("[{\"targets\":[],\"labels\":{\"\":\"x\"}}]"), "[0].labels[\"\"]: " NAME_WANTED},
	    {SPAN("[{\"targets\":[],\"labels\":{\"1a\":\"x\"}}]"),
	     "[0].labels[\"1a\"]: " NAME_WANTED},
	    {SPAN("[{\"targets\":[],\"labels\":{\"a-b\":\"x\"}}]"),
	     "[0].labels[\"a-b\"]: " NAME_WANTED},
	    {SPAN("[{\"targets\":[],\"labels\":{\"a:b\":\"x\"}}]"),
	     "[0].labels[\"a:b\"]: " NAME_WANTED},
	    {SPAN("[{\"targets\":[],\"labels\":{\"\xc3\xbc\":\"x\"}}]"),
	     "[0].labels[\"\xc3\xbc\"]: " NAME_WANTED},
	    {SPAN("[{\"targets\":[]},{\"targets\":[]},{\"targets\":[]},"
		  "{\"targets\":[],\"labels\":{\"__x\":\"y\"}}]"),
	     "[3].labels.__x: " RESERVED},
	    {SPAN("[{\"targets\":[],\"labels\":{\"__name__\":\"y\"}}]"),
	     "[0].labels.__name__: " RESERVED},
	    {SPAN("[{\"targets\":[],\"labels\":{\"__address__\":\"y\"}}]"),
	     "[0].labels.__address__: " RESERVED},
	    {SPAN("[{\"targets\":[],\"labels\":{\"__meta\":\"y\"}}]"),
	     "[0].labels.__meta: " RESERVED},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct document document;
		struct buf error = BUF_INIT;
		if (document_parse(cases[i].json, &document, &error))
			fail_msg("taken: %.*s", SPAN_ARGS(cases[i].json));
		assert_true(error.len > 0);
		if (strcmp(buf_text(&error), cases[i].error) != 0)
			fail_msg("%.*s\n got %s\nwant %s", SPAN_ARGS(cases[i].json),
				 buf_text(&error), cases[i].error);
		assert_null(memchr(error.ptr, '\n', error.len));
		buf_fini(&error);
	}
}

/* `count` times the same with a number in it, and what stands around all of them. */
static struct buf
repeat(const char *before, const char *left, size_t count, const char *right, const char *after)
{
	struct buf json = BUF_INIT;
	buf_add_text(&json, before);
	for (size_t i = 0; i < count; i++)
		buf_printf(&json, "%s%s%zu%s", i ? "," : "", left, i, right);
	buf_add_text(&json, after);
	return json;
}

static void
check_limit(struct buf json, const char *error)
{
	struct document document;
	struct buf got = BUF_INIT;
	bool is_good = document_parse(buf_span(&json), &document, &got);
	assert_string_equal(buf_text(&got), error);
	assert_int_equal(is_good, *error == '\0');
	if (is_good)
		document_fini(&document);
	buf_fini(&got);
	buf_fini(&json);
}

/* A string of `len` bytes between two texts. */
static struct buf
stretch(const char *before, size_t len, const char *after)
{
	struct buf json = BUF_INIT;
	buf_add_text(&json, before);
	for (size_t i = 0; i < len; i++)
		buf_add_byte(&json, 'x');
	buf_add_text(&json, after);
	return json;
}

static void
test_parse__limits(void **state)
{
	(void)state;
	check_limit(repeat("[{\"targets\":[", "\"a:", DOCUMENT_TARGETS_MAX, "\"", "]}]"), "");
	check_limit(repeat("[{\"targets\":[]},{\"targets\":[", "\"a:", DOCUMENT_TARGETS_MAX + 1,
			   "\"", "]}]"),
		    "[1].targets: more than 10000 targets in the document; spread them over "
		    "several groups");
	check_limit(repeat("[", "{\"targets\":[\"", DOCUMENT_TARGETS_MAX, "\"]}", "]"), "");
	check_limit(repeat("[", "{\"targets\":[],\"labels\":{\"a\":\"", DOCUMENT_TARGETS_MAX + 1,
			   "\"}}", "]"),
		    "more than 10000 elements");
	check_limit(
	    repeat("[{\"targets\":[],\"labels\":{", "\"a", TARGET_LABELS_MAX, "\":\"\"", "}}]"),
	    "");
	check_limit(
	    repeat("[{\"targets\":[],\"labels\":{", "\"a", TARGET_LABELS_MAX + 1, "\":\"\"", "}}]"),
	    "[0].labels: more than 64 labels");
	check_limit(stretch("[{\"targets\":[\"", TARGET_BYTES_MAX, "\"]}]"), "");
	check_limit(stretch("[{\"targets\":[\"", TARGET_BYTES_MAX + 1, "\"]}]"),
		    "[0].targets[0]: longer than 512 bytes");
	check_limit(stretch("[{\"targets\":[],\"labels\":{\"", LABEL_NAME_BYTES_MAX, "\":\"\"}}]"),
		    "");
	check_limit(
	    stretch("[{\"targets\":[],\"labels\":{\"", LABEL_NAME_BYTES_MAX + 1, "\":\"\"}}]"),
	    "[0].labels[\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...\"]: longer "
	    "than 256 bytes");
	check_limit(
	    stretch("[{\"targets\":[],\"labels\":{\"a\":\"", LABEL_VALUE_BYTES_MAX, "\"}}]"), "");
	check_limit(
	    stretch("[{\"targets\":[],\"labels\":{\"a\":\"", LABEL_VALUE_BYTES_MAX + 1, "\"}}]"),
	    "[0].labels.a: longer than 4096 bytes");
	struct buf blanks = BUF_INIT;
	buf_printf(&blanks, "%*s[]", (int)DOCUMENT_BYTES_MAX - 2, "");
	check_limit(blanks, "");
	check_limit(stretch("", DOCUMENT_BYTES_MAX + 1, ""), "longer than 1048576 bytes");
}

/* Whatever takes its parser deep must not take the stack. */
static void
test_parse__deep_nesting(void **state)
{
	(void)state;
	static const char *const opens[] = {"[", "{\"a\":", "[{\"targets\":"};
	for (size_t i = 0; i < sizeof(opens) / sizeof(opens[0]); i++) {
		struct buf json = BUF_INIT, error = BUF_INIT;
		struct document document;
		while (json.len + strlen(opens[i]) <= DOCUMENT_BYTES_MAX)
			buf_add_text(&json, opens[i]);
		assert_false(document_parse(buf_span(&json), &document, &error));
		assert_true(error.len > 0);
		buf_fini(&json);
		buf_fini(&error);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_parse__good_ones),
	    cmocka_unit_test(test_parse__bad_ones),
	    cmocka_unit_test(test_parse__limits),
	    cmocka_unit_test(test_parse__deep_nesting),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
