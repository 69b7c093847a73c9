#include "test.h"

#include "metrics/label_text.h"

#include <stdio.h>
#include <stdlib.h>

/* Texts by name and value, NULL behind the last. */
static void
fill(struct labels *labels, const char *const *pairs)
{
	labels->count = 0;
	for (; *pairs; pairs += 2)
		assert_true(labels_set(labels, span_text(pairs[0]), span_text(pairs[1])));
}

static const struct {
	const char *pairs[9];
	const char *text;
} cases[] = {
    {{NULL}, ""},
    {{"a", "", NULL}, "a=\"\""},
    {{"a", "b", NULL}, "a=\"b\""},
    {{"b", "2", "a", "1", NULL}, "a=\"1\",b=\"2\""},
    {{"a", "\\", NULL}, "a=\"\\\\\""},
    {{"a", "\"", NULL}, "a=\"\\\"\""},
    {{"a", "\n", NULL}, "a=\"\\n\""},
    {{"a", "\\n", NULL}, "a=\"\\\\n\""},
    {{"a", "\",b=\"", "b", "\\", NULL}, "a=\"\\\",b=\\\"\",b=\"\\\\\""},
    {{"a", "x=y,z", "b", ",", "c", "=", NULL}, "a=\"x=y,z\",b=\",\",c=\"=\""},
    {{"a", "\r\t", "b", "über", NULL}, "a=\"\r\t\",b=\"über\""},
    {{"a", "\\\\\"\"\n\n", NULL}, "a=\"\\\\\\\\\\\"\\\"\\n\\n\""},
};

static void
test_format__cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct labels labels;
		struct buf out = BUF_INIT;
		fill(&labels, cases[i].pairs);
		label_text_format(&labels, &out);
		assert_span_equal(buf_span(&out), cases[i].text);
		buf_fini(&out);
	}
}

static void
test_next__gives_back_what_was_formatted(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct labels labels;
		fill(&labels, cases[i].pairs);
		struct span rest = span_text(cases[i].text), name, value;
		for (size_t k = 0; k < labels.count; k++) {
			struct buf raw = BUF_INIT;
			assert_true(label_text_next(&rest, &name, &value));
			assert_true(span_equal(name, labels.item[k].name));
			label_text_unescape(value, &raw);
			assert_true(span_equal(buf_span(&raw), labels.item[k].value));
			buf_fini(&raw);
		}
		assert_false(label_text_next(&rest, &name, &value));
	}
}

static void
test_format__nul_byte_is_an_ordinary_byte(void **state)
{
	(void)state;
	struct labels labels = {0};
	assert_true(labels_set(&labels, SPAN("a"), span_of("x\0y", 3)));
	struct buf out = BUF_INIT;
	label_text_format(&labels, &out);
	assert_true(span_equal(buf_span(&out), span_of("a=\"x\0y\"", 7)));
	buf_fini(&out);
}

static void
test_format__appends(void **state)
{
	(void)state;
	struct labels labels;
	fill(&labels, (const char *const[]){"a", "1", NULL});
	struct buf out = BUF_INIT;
	buf_add_text(&out, "name{");
	label_text_format(&labels, &out);
	assert_span_equal(buf_span(&out), "name{a=\"1\"");
	buf_fini(&out);
}

static void
test_format__most_labels(void **state)
{
	(void)state;
	struct labels *labels = calloc(1, sizeof(*labels));
	char names[LABELS_MAX][8];
	for (unsigned i = 0; i < LABELS_MAX; i++) {
		snprintf(names[i], sizeof(names[i]), "l%03u", i);
		assert_true(labels_set(labels, span_text(names[i]), SPAN("\\")));
	}
	struct buf out = BUF_INIT;
	label_text_format(labels, &out);
	struct span rest = buf_span(&out), name, value;
	for (unsigned i = 0; i < LABELS_MAX; i++) {
		assert_true(label_text_next(&rest, &name, &value));
		assert_span_equal(name, names[i]);
		assert_span_equal(value, "\\\\");
	}
	assert_false(label_text_next(&rest, &name, &value));
	buf_fini(&out);
	free(labels);
}

static void
test_compare_values__ascending(void **state)
{
	(void)state;
	/* By values alone, as bytes without escapes, a prefix first. */
	static const char *const ascending[] = {
	    "a=\"\"",    "a=\"\",b=\"\"", /* equal as far as both go: see below */
	    "a=\"\\n\"", "a=\"\\n\\n\"",  "a=\" \"", "a=\"!\"",        "a=\"\\\"\"", "a=\"#\"",
	    "b=\"1\"",   "a=\"10\"",      "b=\"2\"", "a=\"[\"",        "a=\"\\\\\"", "a=\"\\\\n\"",
	    "a=\"]\"",   "a=\"n\"",       "a=\"z\"", "a=\"\xc3\xbc\"", "a=\"\xf0\"",
	};
	size_t count = sizeof(ascending) / sizeof(ascending[0]);
	for (size_t i = 0; i < count; i++) {
		for (size_t k = 0; k < count; k++) {
			int order = label_text_compare_values(span_text(ascending[i]),
							      span_text(ascending[k]));
			bool same = i == k || (i < 2 && k < 2);
			if (same ? order != 0 : i < k ? order >= 0 : order <= 0)
				fail_msg("%s to %s: %d", ascending[i], ascending[k], order);
		}
	}
}

static void
test_compare_values__later_labels_decide(void **state)
{
	(void)state;
	struct span low = SPAN("a=\"1\",b=\"1\""), high = SPAN("a=\"1\",c=\"2\"");
	assert_true(label_text_compare_values(low, high) < 0);
	assert_true(label_text_compare_values(high, low) > 0);
	struct span same = SPAN("x=\"1\",y=\"1\"");
	assert_int_equal(label_text_compare_values(low, same), 0);
}

/* Against the plain bytes: values that share long beginnings, full of what is escaped. */
static void
test_compare_values__random(void **state)
{
	(void)state;
	static const char alphabet[] = "aaaaaaaaaaaaaaaaa\"\\\nnz\xff";
	unsigned seed = 1;
	for (unsigned round = 0; round < 20000; round++) {
		char bytes[2][2][40] = {0};
		static struct labels labels[2];
		labels[0].count = labels[1].count = 0;
		struct buf texts[2] = {BUF_INIT, BUF_INIT};
		for (unsigned side = 0; side < 2; side++) {
			for (unsigned k = 0; k < 2; k++) {
				seed = seed * 1664525 + 1013904223;
				size_t len = (seed >> 8) % 40;
				for (size_t i = 0; i < len; i++) {
					seed = seed * 1664525 + 1013904223;
					bytes[side][k][i] =
					    side && (seed >> 28)
						? bytes[0][k][i]
						: alphabet[(seed >> 8) % (sizeof(alphabet) - 1)];
				}
				assert_true(labels_set(&labels[side], k ? SPAN("b") : SPAN("a"),
						       span_of(bytes[side][k], len)));
			}
			label_text_format(&labels[side], &texts[side]);
		}
		int want = span_compare(labels[0].item[0].value, labels[1].item[0].value);
		if (!want)
			want = span_compare(labels[0].item[1].value, labels[1].item[1].value);
		int got = label_text_compare_values(buf_span(&texts[0]), buf_span(&texts[1]));
		assert_int_equal((got > 0) - (got < 0), (want > 0) - (want < 0));
		buf_fini(&texts[0]);
		buf_fini(&texts[1]);
	}
}

/* Where a byte by byte walk says that a value may be read on from, at every length. */
static void
test_settle__as_a_walk_has_it(void **state)
{
	(void)state;
	static const char alphabet[] = "\\\\\\\"\"\nab";
	unsigned seed = 3;
	for (unsigned round = 0; round < 300; round++) {
		static struct labels labels;
		char bytes[3][100];
		static const char *const names[] = {"a", "longer_name", "z"};
		labels.count = 0;
		for (unsigned k = 0; k < 3; k++) {
			size_t len = (seed = seed * 1664525 + 1013904223) >> 8;
			len %= sizeof(bytes[k]);
			for (size_t i = 0; i < len; i++) {
				seed = seed * 1664525 + 1013904223;
				bytes[k][i] = alphabet[(seed >> 8) % (round % 8 + 1)];
			}
			assert_true(
			    labels_set(&labels, span_text(names[k]), span_of(bytes[k], len)));
		}
		struct buf out = BUF_INIT;
		label_text_format(&labels, &out);
		struct span text = buf_span(&out);
		size_t start = strlen("a=\""), settled = 0;
		bool is_inside = true, is_escaped = false;
		for (size_t at = start; at <= text.len; at++) {
			/* Inside, or at the quote that ends a value. */
			if (is_inside && !is_escaped)
				settled = at - start;
			assert_int_equal(label_text_settle(text, start, at - start), settled);
			if (at == text.len)
				break;
			if (text.ptr[at] == '"' && !is_escaped)
				is_inside = !is_inside;
			is_escaped = text.ptr[at] == '\\' && !is_escaped;
		}
		buf_fini(&out);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_format__cases),
	    cmocka_unit_test(test_next__gives_back_what_was_formatted),
	    cmocka_unit_test(test_format__nul_byte_is_an_ordinary_byte),
	    cmocka_unit_test(test_format__appends),
	    cmocka_unit_test(test_format__most_labels),
	    cmocka_unit_test(test_compare_values__ascending),
	    cmocka_unit_test(test_compare_values__later_labels_decide),
	    cmocka_unit_test(test_compare_values__random),
	    cmocka_unit_test(test_settle__as_a_walk_has_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
