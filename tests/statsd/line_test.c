#include "test.h"

#include "statsd/line.h"

#include <stdio.h>
#include <stdlib.h>

#define ALL                                         \
	{                                           \
		true, true, true, true, true, false \
	}

static const struct statsd_options all = ALL;

/* The struct is too large for a stack. */
static struct statsd_head head;

static void
test_reason_text(void **state)
{
	(void)state;
	for (int i = STATSD_OK; i < STATSD_REASONS; i++)
		assert_true(strlen(statsd_reason_text(i)) > 0);
	assert_string_equal(statsd_reason_text(STATSD_NOT_ENOUGH_PARTS),
			    "not_enough_parts_after_colon");
	assert_string_equal(statsd_reason_text(STATSD_MALFORMED_CONTAINER_ID),
			    "malformed_container_id");
}

static void
test_classify(void **state)
{
	(void)state;
	static const struct {
		struct span line;
		enum statsd_line_class want;
	} rows[] = {
	    {SPAN(""), STATSD_LINE_EMPTY},
	    {SPAN("a:1|c"), STATSD_LINE_METRIC},
	    {SPAN("_"), STATSD_LINE_METRIC},
	    {SPAN("_e"), STATSD_LINE_METRIC},
	    {SPAN("_e:1|c"), STATSD_LINE_METRIC},
	    {SPAN("_e{"), STATSD_LINE_EVENT},
	    {SPAN("_e{1,1}:a|b"), STATSD_LINE_EVENT},
	    {SPAN("_sc"), STATSD_LINE_METRIC},
	    {SPAN("_scheduler.ticks:1|c"), STATSD_LINE_METRIC},
	    {SPAN("_sc|"), STATSD_LINE_CHECK},
	    {SPAN(" _sc|n|0"), STATSD_LINE_METRIC},
	    {SPAN("\0"), STATSD_LINE_METRIC},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (statsd_classify(rows[i].line) != rows[i].want)
			fail_msg("\"%.*s\"", SPAN_ARGS(rows[i].line));
	}
}

/* Writes "values~suffix" of each sample, '\n' between them, '!' behind packed, '#' behind tagged.
 */
static size_t
describe_samples(struct statsd_cut *cut, char *out, size_t size)
{
	size_t len = 0;
	do {
		len += (size_t)snprintf(out + len, size - len, "%s%.*s~%.*s%s%s", len ? "\n" : "",
					SPAN_ARGS(cut->values), SPAN_ARGS(cut->suffix),
					cut->packed ? "!" : "", cut->dogstatsd ? "#" : "");
	} while (statsd_cut_next(cut));
	return len;
}

static void
test_cut(void **state)
{
	(void)state;
	static const struct {
		const char *line, *name, *samples;
	} rows[] = {
	    {"a:1|c", "a", "1~|c"},
	    {"a.b-c:-1.5e3|ms|@0.1|T5", "a.b-c", "-1.5e3~|ms|@0.1|T5"},
	    {"a|b||c:1|g", "a|b||c", "1~|g"},
	    {"a:|c", "a", "~|c"},
	    {"a:1|", "a", "1~|"},
	    {"a:1||", "a", "1~||"},
	    {"a:|", "a", "~|"},
	    /* packed values */
	    {"a:1:2:3|h", "a", "1:2:3~|h!"},
	    {"a::1|d", "a", ":1~|d!"},
	    {"a:1:|c", "a", "1:~|c!"},
	    {"a:1:2|h:3|c", "a", "1:2~|h:3|c!"},
	    {"a:1:2|h|@0.5:3|c", "a", "1:2~|h|@0.5:3|c!"},
	    {"a:1:2|h|#k:v", "a", "1:2~|h|#k:v!#"},
	    {"a:1:2|h|T5|#k:v", "a", "1:2~|h|T5|#k:v!#"},
	    /* etsy samples: a ':' behind a type or a rate */
	    {"a:1|c:2|g:3|ms", "a", "1~|c\n2~|g\n3~|ms"},
	    {"a:1|c|@0.1:2|c", "a", "1~|c|@0.1\n2~|c"},
	    {"a:1|c|@:2|c", "a", "1~|c|@\n2~|c"},
	    {"a:1|c|T5|@0.1:2|c", "a", "1~|c|T5|@0.1\n2~|c"},
	    {"a:1|:2|c", "a", "1~|\n2~|c"},
	    {"a:1|c:", "a", "1~|c\n~"},
	    {"a:1|c::", "a", "1~|c\n~\n~"},
	    {"a:1|c:2", "a", "1~|c\n2~"},
	    {"a:1|c:2:3|h", "a", "1~|c\n2~\n3~|h"},
	    {"a:1|c::|c", "a", "1~|c\n~\n~|c"},
	    {"a:1|c:|c", "a", "1~|c\n~|c"},
	    {"a:1|c:2|c|c:x:y", "a", "1~|c\n2~|c|c:x:y"},
	    {"a:1|c:2|c|e:x|@1:3|c", "a", "1~|c\n2~|c|e:x|@1:3|c"},
	    /* no ':' splits inside these, nor behind them */
	    {"a:1|c|c:abc", "a", "1~|c|c:abc"},
	    {"a:1|c|c:", "a", "1~|c|c:"},
	    {"a:1|c|c:a:2|c", "a", "1~|c|c:a:2|c"},
	    {"a:1|c|e:it-false:2|c", "a", "1~|c|e:it-false:2|c"},
	    {"a:1|c|card:low|@0.1:2|c", "a", "1~|c|card:low|@0.1:2|c"},
	    {"a:1|c|c:x|@0.1:2|c", "a", "1~|c|c:x|@0.1:2|c"},
	    /* a section of unknown sort keeps its colons, and what comes behind may still split */
	    {"a:1|c|z:later", "a", "1~|c|z:later"},
	    {"a:1|c|T5:2|c", "a", "1~|c|T5:2|c"},
	    {"a:1|c|z:1|@0.1:2|c", "a", "1~|c|z:1|@0.1\n2~|c"},
	    {"a:1|c|:2|c", "a", "1~|c|:2|c"},
	    {"a:1|c|card|@1:2|c", "a", "1~|c|card|@1\n2~|c"},
	    {"a:1|c|cx:1|@1:2|c", "a", "1~|c|cx:1|@1\n2~|c"},
	    /* a tag section anywhere: one sample */
	    {"a:1|c|#k:v", "a", "1~|c|#k:v#"},
	    {"a:1|c|#", "a", "1~|c|##"},
	    {"a:1|#", "a", "1~|##"},
	    {"a:1|c:2|c|#k:v", "a", "1~|c:2|c|#k:v#"},
	    {"a:1|c|@0.1:2|#k:v", "a", "1~|c|@0.1:2|#k:v#"},
	    {"a:1|c|c:x|#k:v", "a", "1~|c|c:x|#k:v#"},
	    {"a:1|c|x|T|#", "a", "1~|c|x|T|##"},
	    {"a|#b:1|c", "a|#b", "1~|c"},
	    {"|:1|c", "|", "1~|c"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct statsd_cut cut;
		size_t where;
		char samples[256];
		assert_int_equal(statsd_cut(span_text(rows[i].line), &cut, &where), STATSD_OK);
		struct span name = cut.name;
		describe_samples(&cut, samples, sizeof(samples));
		if (!span_equal(name, span_text(rows[i].name)) ||
		    strcmp(samples, rows[i].samples) != 0)
			fail_msg("\"%s\": name \"%.*s\", samples \"%s\"", rows[i].line,
				 SPAN_ARGS(name), samples);
	}
}

static void
test_cut__refused(void **state)
{
	(void)state;
	static const struct {
		struct span line;
		enum statsd_reason want;
		size_t where;
		const char *name;
	} rows[] = {
	    {SPAN("a"), STATSD_MALFORMED_LINE, 1, ""},
	    {SPAN("a|c"), STATSD_MALFORMED_LINE, 3, ""},
	    {SPAN("\0"), STATSD_MALFORMED_LINE, 1, ""},
	    {SPAN("||||"), STATSD_MALFORMED_LINE, 4, ""},
	    {SPAN(":1|c"), STATSD_MALFORMED_LINE, 0, ""},
	    {SPAN(":"), STATSD_MALFORMED_LINE, 0, ""},
	    {SPAN("::::"), STATSD_MALFORMED_LINE, 0, ""},
	    {SPAN(":|#"), STATSD_MALFORMED_LINE, 0, ""},
	    {SPAN("a:"), STATSD_NOT_ENOUGH_PARTS, 2, "a"},
	    {SPAN("a:1"), STATSD_NOT_ENOUGH_PARTS, 3, "a"},
	    {SPAN("a:1:2:3"), STATSD_NOT_ENOUGH_PARTS, 7, "a"},
	    {SPAN("a|#b:1"), STATSD_NOT_ENOUGH_PARTS, 6, "a|#b"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct statsd_cut cut;
		size_t where = 999;
		enum statsd_reason got = statsd_cut(rows[i].line, &cut, &where);
		if (got != rows[i].want || where != rows[i].where)
			fail_msg("row %zu: %s at %zu", i, statsd_reason_text(got), where);
		assert_span_equal(cut.name, rows[i].name);
	}
}

static void
test_cut__longest_name(void **state)
{
	(void)state;
	static char line[STATSD_NAME_MAX + 5];
	struct statsd_cut cut;
	size_t where;
	memset(line, 'x', STATSD_NAME_MAX);
	memcpy(line + STATSD_NAME_MAX, ":1|c", 4);
	struct span longest = span_of(line, STATSD_NAME_MAX + 4);
	assert_int_equal(statsd_cut(longest, &cut, &where), STATSD_OK);
	assert_int_equal(cut.name.len, STATSD_NAME_MAX);
	memcpy(line + STATSD_NAME_MAX, "x:1|c", 5);
	struct span longer = span_of(line, STATSD_NAME_MAX + 5);
	assert_int_equal(statsd_cut(longer, &cut, &where), STATSD_NAME_TOO_LONG);
	assert_int_equal(where, STATSD_NAME_MAX);
	assert_int_equal(cut.name.len, STATSD_NAME_MAX + 1);
	statsd_parse_head(longer, &cut, &all, &head);
	assert_int_equal(head.refused, STATSD_NAME_TOO_LONG);
	assert_int_equal(head.where, STATSD_NAME_MAX);
}

static void
test_next_value(void **state)
{
	(void)state;
	static const struct {
		const char *values, *pieces; /* each piece ends with ';' */
	} rows[] = {
	    {"1", "1;"},           {"", ";"},     {":", ";;"},   {"1:2:3", "1;2;3;"},
	    {"21::22", "21;;22;"}, {"1:", "1;;"}, {":1", ";1;"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct span values = span_text(rows[i].values), piece;
		char got[64] = "";
		size_t len = 0;
		while (statsd_next_value(&values, &piece))
			len += (size_t)snprintf(got + len, sizeof(got) - len, "%.*s;",
						SPAN_ARGS(piece));
		assert_string_equal(got, rows[i].pieces);
		assert_null(values.ptr);
	}
}

static size_t
key_of(struct span line, const struct statsd_options *options, char *key)
{
	struct statsd_cut cut;
	size_t where;
	assert_int_equal(statsd_cut(line, &cut, &where), STATSD_OK);
	size_t len = (size_t)sprintf(key, "%.*s:", SPAN_ARGS(cut.name));
	char *exact = malloc(cut.suffix.len);
	struct span suffix = statsd_key_suffix(&cut, options, exact);
	assert_true(suffix.ptr == exact || suffix.ptr == cut.suffix.ptr);
	memcpy(key + len, suffix.ptr, suffix.len);
	free(exact);
	return len + suffix.len;
}

static void
test_key(void **state)
{
	(void)state;
	static const struct statsd_options no_label = {true, true, true, true, false, false};
	static const struct {
		const struct statsd_options *options;
		struct span line, key;
	} rows[] = {
	    {&all, SPAN("a:1|c"), SPAN("a:|c")},
	    {&all, SPAN("a:22222|c"), SPAN("a:|c")},
	    {&all, SPAN("a:1:2:3|c"), SPAN("a:|c")},
	    {&all, SPAN("a:1|c|@0.1|#k:v"), SPAN("a:|c|@0.1|#k:v")},
	    {&all, SPAN("a:1|c:2|g"), SPAN("a:|c")},
	    {&all, SPAN("a|b:1|c"), SPAN("a|b:|c")},
	    /* left out */
	    {&all, SPAN("a:1|c|T1700000000"), SPAN("a:|c")},
	    {&all, SPAN("a:1|c|T"), SPAN("a:|c")},
	    {&all, SPAN("a:1|c|e:it-0|#k:v|card:low|T1|@1"), SPAN("a:|c|#k:v|@1")},
	    {&all, SPAN("a:1|c|e:|card:"), SPAN("a:|c")},
	    {&no_label, SPAN("a:1|c|c:abc|#k:v"), SPAN("a:|c|#k:v")},
	    /* kept */
	    {&all, SPAN("a:1|c|c:abc|#k:v"), SPAN("a:|c|c:abc|#k:v")},
	    {&no_label, SPAN("a:1|c|c:"), SPAN("a:|c|c:")},
	    {&all, SPAN("a:1|T1"), SPAN("a:|T1")},
	    {&all, SPAN("a:1|T1|T2"), SPAN("a:|T1")},
	    {&all, SPAN("a:1|c|T1|"), SPAN("a:|c|")},
	    {&all, SPAN("a:1|c|"), SPAN("a:|c|")},
	    {&all, SPAN("a:1||T1"), SPAN("a:|")},
	    {&all, SPAN("a:1|c|e|card|c|t1"), SPAN("a:|c|e|card|c|t1")},
	    {&all, SPAN("a:1|c|T\xff"), SPAN("a:|c|T\xff")},
	    {&all, SPAN("a:1|c|e:12345678\xc3\xa9"), SPAN("a:|c|e:12345678\xc3\xa9")},
	    {&all, SPAN("a:1|c|T12345678\x80 2345678"), SPAN("a:|c|T12345678\x80 2345678")},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char key[64];
		size_t len = key_of(rows[i].line, rows[i].options, key);
		if (!span_equal(span_of(key, len), rows[i].key))
			fail_msg("\"%.*s\": key \"%.*s\"", SPAN_ARGS(rows[i].line), (int)len, key);
	}
}

/* What a line means that ends so, behind one value. */
static void
test_suffix_is_whole(void **state)
{
	(void)state;
	static const struct {
		struct span suffix;
		bool is_whole;
	} rows[] = {
	    {SPAN("|c"), true},
	    {SPAN("|c|@0.1|#k:v"), true},
	    {SPAN("|c|T1|c:x|e:a:b|card:low"), true},
	    {SPAN("|"), true},
	    {SPAN("|c:2|g"), false},
	    {SPAN("|c|@0.1:2|c"), false},
	    {SPAN("|c:2|g|#k"), true},
	    {SPAN("|c|T1:2"), true},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char line[64];
		struct statsd_cut cut;
		size_t where;
		int len = sprintf(line, "a:1%.*s", SPAN_ARGS(rows[i].suffix));
		assert_int_equal(statsd_cut(span_of(line, (size_t)len), &cut, &where), STATSD_OK);
		assert_int_equal(!cut.more.ptr, rows[i].is_whole);
		assert_int_equal(statsd_suffix_is_whole(rows[i].suffix), rows[i].is_whole);
	}
}

/* "k=v;l=w;" */
static void
describe_labels(const struct labels *labels, char *out, size_t size)
{
	size_t len = 0;
	out[0] = '\0';
	for (size_t i = 0; i < labels->count; i++)
		len += (size_t)snprintf(out + len, size - len, "%.*s=%.*s;",
					SPAN_ARGS(labels->item[i].name),
					SPAN_ARGS(labels->item[i].value));
}

static void
parse(struct span line, const struct statsd_options *options)
{
	struct statsd_cut cut;
	size_t where;
	statsd_cut(line, &cut, &where);
	statsd_parse_head(line, &cut, options, &head);
}

static void
test_parse_head__name_tags(void **state)
{
	(void)state;
	static const struct statsd_options no_librato = {true, true, false, true, true, false};
	static const struct statsd_options no_influxdb = {true, false, true, true, true, false};
	static const struct statsd_options no_signalfx = {true, true, true, false, true, false};
	static const struct statsd_options no_styles = {true, false, false, false, true, false};
	static const struct {
		const struct statsd_options *options;
		struct span line;
		const char *name, *labels;
		uint32_t errors;
	} rows[] = {
	    {&all, SPAN("m:1|c"), "m", "", 0},
	    {&all, SPAN("m#k=v,l=w:1|c"), "m", "k=v;l=w;", 0},
	    {&all, SPAN("m#l=w,k=v:1|c"), "m", "k=v;l=w;", 0},
	    {&all, SPAN("m,k=v#l=w:1|c"), "m", "k=v#l=w;", 0},
	    {&all, SPAN("m,k=v,k2=v2:1|c"), "m", "k=v;k2=v2;", 0},
	    {&all, SPAN("m#k:1|c"), "m", "", 1},
	    {&all, SPAN("m#k=:1|c"), "m", "", 1},
	    {&all, SPAN("m#=v:1|c"), "m", "", 1},
	    {&all, SPAN("m#=:1|c"), "m", "", 1},
	    {&all, SPAN("m#:1|c"), "m", "", 0},
	    {&all, SPAN("m,:1|c"), "m", "", 0},
	    {&all, SPAN("m,,:1|c"), "m", "", 1},
	    {&all, SPAN("m,,,:1|c"), "m", "", 2},
	    {&all, SPAN("m#,k=v:1|c"), "m", "k=v;", 1},
	    {&all, SPAN("m#k=v,:1|c"), "m", "k=v;", 0},
	    {&all, SPAN("m#k=v,,:1|c"), "m", "k=v;", 1},
	    {&all, SPAN("m#k=v=w:1|c"), "m", "k=v=w;", 0},
	    {&all, SPAN("m##k=v:1|c"), "m", "_k=v;", 0},
	    {&all, SPAN("m#k=v,k=w:1|c"), "m", "k=w;", 0},
	    {&all, SPAN("m#a.b=1,a-b=2:1|c"), "m", "a_b=2;", 0},
	    {&all, SPAN("m#1a=b:1|c"), "m", "_1a=b;", 0},
	    {&all, SPAN("m#\xc3\xa9=\xc3\xbc:1|c"), "m", "_=\xc3\xbc;", 0},
	    {&all, SPAN("m#--=x:1|c"), "m", "_=x;", 0},
	    {&all, SPAN("m#k= v :1|c"), "m", "k= v ;", 0},
	    /* brackets */
	    {&all, SPAN("m[k=v]:1|c"), "m", "k=v;", 0},
	    {&all, SPAN("a.[k=v]b:1|c"), "a.b", "k=v;", 0},
	    {&all, SPAN("a.[1=v]b:1|c"), "a.b", "_1=v;", 0},
	    {&all, SPAN("[k=v]b:1|c"), "b", "k=v;", 0},
	    {&all, SPAN("m[k=v]#l=w:1|c"), "m#l=w", "k=v;", 0},
	    {&all, SPAN("m#l=w[k=v]:1|c"), "m#l=w", "k=v;", 0},
	    {&all, SPAN("m[]:1|c"), "m", "", 0},
	    {&all, SPAN("m[,]:1|c"), "m", "", 1},
	    {&all, SPAN("m[k=v,]:1|c"), "m", "k=v;", 0},
	    {&all, SPAN("m[k=v:1|c"), "m[k=v", "", 1},
	    {&all, SPAN("mk=v]:1|c"), "mk=v]", "", 1},
	    {&all, SPAN("m[k=v,l#a=b:1|c"), "m[k=v,l#a=b", "", 1},
	    {&all, SPAN("x]y[:1|c"), "x]y[", "", 1},
	    {&all, SPAN("x]y[k=v]:1|c"), "x]y[k=v]", "", 1},
	    {&all, SPAN("m[a=b][c=d]:1|c"), "m[c=d]", "a=b;", 0},
	    {&all, SPAN("m[a=b[c=d]]:1|c"), "m]", "a=b[c=d;", 0},
	    /* an empty name is the next stage's concern */
	    {&all, SPAN("[k=v]:1|c"), "", "k=v;", 0},
	    {&all, SPAN("#k=v:1|c"), "", "k=v;", 0},
	    {&all, SPAN(",k=v:1|c"), "", "k=v;", 0},
	    {&all, SPAN("[]:1|c"), "", "", 0},
	    /* reserved label names */
	    {&all, SPAN("m#__x=y:1|c"), "m", "", 1},
	    {&all, SPAN("m#..x=y,k=v:1|c"), "m", "k=v;", 1},
	    {&all, SPAN("m#__name__=y:1|c"), "m", "", 1},
	    {&all, SPAN("m#_x=y:1|c"), "m", "_x=y;", 0},
	    {&all, SPAN("m#-1=y,le=1,quantile=2:1|c"), "m", "_1=y;le=1;quantile=2;", 0},
	    /* a style that is off leaves its bytes alone */
	    {&no_librato, SPAN("m#a=b,c=d:1|c"), "m#a=b", "c=d;", 0},
	    {&no_influxdb, SPAN("m,k=v#l=w:1|c"), "m,k=v", "l=w;", 0},
	    {&no_influxdb, SPAN("m#k=v,l=w:1|c"), "m", "k=v;l=w;", 0},
	    {&no_signalfx, SPAN("m[k=v:1|c"), "m[k=v", "", 0},
	    {&no_signalfx, SPAN("m[a=b]#c=d]:1|c"), "m[a=b]", "c=d];", 0},
	    {&no_styles, SPAN("m[a=b]#c=d,e:1|c"), "m[a=b]#c=d,e", "", 0},
	    {&all, SPAN("a\"b\\c{d=\"e\"}:1|c"), "a\"b\\c{d=\"e\"}", "", 0},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char labels[128];
		parse(rows[i].line, rows[i].options);
		describe_labels(&head.labels, labels, sizeof(labels));
		if (head.refused || head.sample || head.type != STATSD_TYPE_COUNTER ||
		    !span_equal(head.name, span_text(rows[i].name)) ||
		    strcmp(labels, rows[i].labels) != 0 || head.name_tag_errors != rows[i].errors ||
		    head.tag_errors || head.has_labels != (labels[0] != '\0'))
			fail_msg("\"%.*s\": name \"%.*s\", labels \"%s\", errors %u",
				 SPAN_ARGS(rows[i].line), SPAN_ARGS(head.name), labels,
				 head.name_tag_errors);
	}
}

static void
test_parse_head__sections(void **state)
{
	(void)state;
	static const struct statsd_options no_tags = {false, true, true, true, true, false};
	static const struct statsd_options no_id = {true, true, true, true, false, false};
	static const struct {
		const struct statsd_options *options;
		struct span line;
		const char *labels;
		uint32_t tag_errors, factor_errors, id_errors;
	} rows[] = {
	    {&all, SPAN("m:1|c|#k:v"), "k=v;", 0, 0, 0},
	    {&all, SPAN("m:1|c|#k:v|#l:w"), "k=v;l=w;", 0, 0, 0},
	    {&all, SPAN("m:1|c|#k:v|#k:w"), "k=w;", 0, 0, 0},
	    {&all, SPAN("m:1|c|#k:v,l"), "k=v;", 1, 0, 0},
	    {&all, SPAN("m:1|c|#k:v,"), "k=v;", 0, 0, 0},
	    {&all, SPAN("m:1|c|#,k:v"), "k=v;", 1, 0, 0},
	    {&all, SPAN("m:1|c|#,k:v,,"), "k=v;", 2, 0, 0},
	    {&all, SPAN("m:1|c|#"), "", 0, 0, 0},
	    {&all, SPAN("m:1|c|#,"), "", 1, 0, 0},
	    {&all, SPAN("m:1|c|#a"), "", 1, 0, 0},
	    {&all, SPAN("m:1|c|#a:"), "", 1, 0, 0},
	    {&all, SPAN("m:1|c|#:b"), "", 1, 0, 0},
	    {&all, SPAN("m:1|c|#:"), "", 1, 0, 0},
	    {&all, SPAN("m:1|c|##"), "", 1, 0, 0},
	    {&all, SPAN("m:1|c|##a:b"), "a=b;", 0, 0, 0},
	    {&all, SPAN("m:1|c|###a:b"), "_a=b;", 0, 0, 0},
	    {&all, SPAN("m:1|c|#k:v,#l:w"), "k=v;l=w;", 0, 0, 0},
	    {&all, SPAN("m:1|c|#a=b"), "", 1, 0, 0},
	    {&all, SPAN("m:1|c|#a.b:1,a-b:2"), "a_b=2;", 0, 0, 0},
	    {&all, SPAN("m:1|c|#1a:b"), "_1a=b;", 0, 0, 0},
	    {&all, SPAN("m:1|c|#\xc3\xa9:\xc3\xbc"), "_=\xc3\xbc;", 0, 0, 0},
	    {&all, SPAN("m:1|c|#--:x"), "_=x;", 0, 0, 0},
	    {&all, SPAN("m:1|c|#..x:y"), "", 1, 0, 0},
	    {&all, SPAN("m:1|c|#__name__:y,k:v"), "k=v;", 1, 0, 0},
	    {&all, SPAN("m:1|c|#url:http://h:80/x?y=1"), "url=http://h:80/x?y=1;", 0, 0, 0},
	    {&all, SPAN("m:1|c|#k:v#w,e:a@b.c, l : w "), "_l_= w ;e=a@b.c;k=v#w;", 0, 0, 0},
	    {&all, SPAN("m:1|c|#le:1,quantile:2"), "le=1;quantile=2;", 0, 0, 0},
	    {&no_tags, SPAN("m:1|c|#k:v,,l"), "", 0, 0, 0},
	    {&no_tags, SPAN("m:1|c|#k:v|c:x"), "container_id=x;", 0, 0, 0},
	    /* container id */
	    {&all, SPAN("m:1|c|c:x"), "container_id=x;", 0, 0, 0},
	    {&all, SPAN("m:1|c|c:ci-1,in-2"), "container_id=ci-1,in-2;", 0, 0, 0},
	    {&all, SPAN("m:1|c|#k:v|c:x:y"), "container_id=x:y;k=v;", 0, 0, 0},
	    {&all, SPAN("m:1|c|c:x|c:y"), "container_id=y;", 0, 0, 0},
	    {&all, SPAN("m:1|c|c:x|#container_id:z"), "container_id=z;", 0, 0, 0},
	    {&all, SPAN("m:1|c|c:x|#"), "container_id=x;", 0, 0, 0},
	    {&all, SPAN("m:1|c|c:2|c"), "container_id=2;", 0, 1, 0},
	    {&all, SPAN("m:1|c|c:"), "", 0, 0, 1},
	    {&all, SPAN("m:1|c|c:|c:x"), "container_id=x;", 0, 0, 1},
	    {&no_id, SPAN("m:1|c|c:x|#k:v"), "k=v;", 0, 0, 0},
	    {&no_id, SPAN("m:1|c|c:"), "", 0, 0, 1},
	    /* known and without effect */
	    {&all, SPAN("m:1|c|T5|T|Txyz|e:|e:z|card:|card:low"), "", 0, 0, 0},
	    /* unknown */
	    {&all, SPAN("m:1|c|c"), "", 0, 1, 0},
	    {&all, SPAN("m:1|c|cfoo|card|e|t5|x|:"), "", 0, 6, 0},
	    {&all, SPAN("m:1|c|z:later"), "", 0, 1, 0},
	    {&all, SPAN("m:1|c|0.1"), "", 0, 1, 0},
	    {&all, SPAN("m:1|c|\0"), "", 0, 1, 0},
	    {&all, SPAN("m:1|c|z:1|#k:v"), "k=v;", 0, 1, 0},
	    {&all, SPAN("m#k:1|c|#l:w"), "l=w;", 0, 0, 0},
	    {&all, SPAN("m[]:1|c|#l:w"), "l=w;", 0, 0, 0},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char labels[128];
		parse(rows[i].line, rows[i].options);
		describe_labels(&head.labels, labels, sizeof(labels));
		if (head.refused || head.sample || head.type != STATSD_TYPE_COUNTER ||
		    !span_equal(head.name, SPAN("m")) || strcmp(labels, rows[i].labels) != 0 ||
		    head.tag_errors != rows[i].tag_errors ||
		    head.sample_factor_errors != rows[i].factor_errors ||
		    head.container_id_errors != rows[i].id_errors ||
		    head.has_labels != (labels[0] != '\0'))
			fail_msg("\"%.*s\": labels \"%s\", errors %u %u %u",
				 SPAN_ARGS(rows[i].line), labels, head.tag_errors,
				 head.sample_factor_errors, head.container_id_errors);
	}
}

static void
test_parse_head__nul_in_tags(void **state)
{
	(void)state;
	parse(SPAN("m:1|c|#k\0l:v\0w"), &all);
	assert_int_equal(head.labels.count, 1);
	assert_span_equal(head.labels.item[0].name, "k_l");
	assert_true(span_equal(head.labels.item[0].value, SPAN("v\0w")));
	parse(SPAN("m\0n:1|c"), &all);
	assert_true(span_equal(head.name, SPAN("m\0n")));
}

static void
test_parse_head__rates(void **state)
{
	(void)state;
	static const struct {
		const char *line;
		size_t count;
		double rates[STATSD_RATES_MAX], last;
		uint32_t errors;
	} rows[] = {
	    {"m:1|c", 0, {0}, 1, 0},
	    {"m:1|c|@0.1", 1, {0.1}, 0.1, 0},
	    {"m:1|c|@1", 1, {1}, 1, 0},
	    {"m:1|c|@.5", 1, {0.5}, 0.5, 0},
	    {"m:1|c|@+0.5", 1, {0.5}, 0.5, 0},
	    {"m:1|c|@0x1p-2", 1, {0.25}, 0.25, 0},
	    {"m:1|c|@1e-6", 1, {1e-6}, 1e-6, 0},
	    {"m:1|c|@0.0000009", 1, {1e-6}, 1e-6, 0},
	    {"m:1|ms|@1e-300", 1, {1e-6}, 1e-6, 0},
	    {"m:1|c|@0", 0, {0}, 1, 0},
	    {"m:1|c|@-0", 0, {0}, 1, 0},
	    {"m:1|c|@0.000000", 0, {0}, 1, 0},
	    {"m:1|c|@1e-400", 0, {0}, 1, 0},
	    {"m:1|c|@1.0000001", 0, {0}, 1, 0},
	    {"m:1|c|@2", 0, {0}, 1, 0},
	    {"m:1|c|@inf", 0, {0}, 1, 0},
	    {"m:1|c|@-0.5", 0, {0}, 1, 1},
	    {"m:1|c|@-inf", 0, {0}, 1, 1},
	    {"m:1|c|@nan", 0, {0}, 1, 1},
	    {"m:1|c|@1e400", 0, {0}, 1, 1},
	    {"m:1|c|@", 0, {0}, 1, 1},
	    {"m:1|c|@ 0.5", 0, {0}, 1, 1},
	    {"m:1|c|@0.5 ", 0, {0}, 1, 1},
	    {"m:1|c|@0.5\r", 0, {0}, 1, 1},
	    {"m:1|c|@0.5@0.1", 0, {0}, 1, 1},
	    {"m:1|c|#|@0.1:2", 0, {0}, 1, 1},
	    {"m:1|c|@bad|@worse", 0, {0}, 1, 2},
	    {"m:1|c|@0.1|@0.5", 2, {0.1, 0.5}, 0.5, 0},
	    {"m:1|c|@0.1|@0", 1, {0.1}, 1, 0},
	    {"m:1|c|@0.1|@x", 1, {0.1}, 1, 1},
	    {"m:1|c|@x|@0.1", 1, {0.1}, 0.1, 1},
	    {"m:1|c|@0.5|@0.25|@0.5|@0.5", 4, {0.5, 0.25, 0.5, 0.5}, 0.5, 0},
	    {"m:1|c|@0.5|@0.5|@0.5|@0.5|@0.5|@0.25", 4, {0.5, 0.5, 0.5, 0.0625}, 0.25, 0},
	    {"m:1|c|@1|@1|@1|@1e-4|@1e-4", 4, {1, 1, 1, 1e-6}, 1e-4, 0},
	    {"m:1|g|@0.1", 1, {0.1}, 0.1, 0},
	    {"m:1|x|@bad", 0, {0}, 1, 1},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		parse(span_text(rows[i].line), &all);
		bool same = !head.refused && head.rate_count == rows[i].count &&
			    head.rate == rows[i].last &&
			    head.sample_factor_errors == rows[i].errors;
		for (size_t k = 0; same && k < rows[i].count; k++)
			same = head.rates[k] == rows[i].rates[k];
		if (!same)
			fail_msg("\"%s\": %zu rates, last %g, errors %u", rows[i].line,
				 head.rate_count, head.rate, head.sample_factor_errors);
	}
}

/* A further sample's suffix, read after that of a first one: as if the whole line was. */
static void
test_parse_further(void **state)
{
	(void)state;
	static struct statsd_head whole;
	static const char *const names[] = {"m", "m,k=v", "m,bad,k=v"};
	static const char *const first[] = {"c", "ms|@0.1|@x", "x||@0.5"};
	static const char *const suffixes[] = {"|c",     "|g",      "|c|@0.5|@0.25", "|ms|@x|?",
					       "|c||@0.5", "|s",     "|x|@0.1",       "|d|T1|e:x",
					       "|"};
	for (unsigned n = 0; n < 3 * 3 * sizeof(suffixes) / sizeof(suffixes[0]); n++) {
		char text[64];
		struct statsd_cut cut;
		size_t where;
		snprintf(text, sizeof(text), "%s:1|%s:2%s", names[n % 3], first[n / 3 % 3],
			 suffixes[n / 9]);
		struct span line = span_text(text);
		assert_int_equal(statsd_cut(line, &cut, &where), STATSD_OK);
		statsd_parse_head(line, &cut, &all, &head);
		assert_true(statsd_cut_next(&cut));
		statsd_parse_head(line, &cut, &all, &whole);
		/* What became of the labels is the caller's concern. */
		head.labels.count = n % 2;
		assert_true(statsd_parse_further(line, &cut, &all, &head));
		assert_int_equal(head.labels.count, n % 2);
		if (head.refused != whole.refused || head.sample != whole.sample ||
		    head.where != whole.where || head.type != whole.type ||
		    head.has_labels != whole.has_labels ||
		    head.name_tag_errors != whole.name_tag_errors ||
		    head.tag_errors != whole.tag_errors ||
		    head.sample_factor_errors != whole.sample_factor_errors ||
		    head.container_id_errors != whole.container_id_errors ||
		    head.rate != whole.rate || head.rate_count != whole.rate_count ||
		    memcmp(head.rates, whole.rates, head.rate_count * sizeof(head.rates[0])) != 0)
			fail_msg("%s", text);
	}
}

static void
test_parse_further__may_have_labels_or_refuse(void **state)
{
	(void)state;
	static const char *const lines[] = {"m:1|c:2|c|c:x", "m:1|c:2|c|@0.5|c:", "m:1|c:2|c|T\xff"};
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct span line = span_text(lines[i]);
		struct statsd_cut cut;
		size_t where;
		assert_int_equal(statsd_cut(line, &cut, &where), STATSD_OK);
		statsd_parse_head(line, &cut, &all, &head);
		assert_true(statsd_cut_next(&cut));
		assert_false(statsd_parse_further(line, &cut, &all, &head));
	}
}

static void
test_parse_head__types(void **state)
{
	(void)state;
	static const struct {
		const char *token;
		enum statsd_type type;
		bool packs;
	} rows[] = {
	    {"c", STATSD_TYPE_COUNTER, true},       {"g", STATSD_TYPE_GAUGE, true},
	    {"ms", STATSD_TYPE_MILLISECONDS, true}, {"h", STATSD_TYPE_HISTOGRAM, true},
	    {"d", STATSD_TYPE_DISTRIBUTION, true},  {"s", STATSD_TYPE_SET, false},
	    {"", STATSD_TYPE_UNKNOWN, false},       {"m", STATSD_TYPE_UNKNOWN, false},
	    {"mss", STATSD_TYPE_UNKNOWN, false},    {"sm", STATSD_TYPE_UNKNOWN, false},
	    {"C", STATSD_TYPE_UNKNOWN, false},      {"MS", STATSD_TYPE_UNKNOWN, false},
	    {" c", STATSD_TYPE_UNKNOWN, false},     {"c ", STATSD_TYPE_UNKNOWN, false},
	    {"c\r", STATSD_TYPE_UNKNOWN, false},    {"cc", STATSD_TYPE_UNKNOWN, false},
	    {"kv", STATSD_TYPE_UNKNOWN, false},     {"T", STATSD_TYPE_UNKNOWN, false},
	    {"@1", STATSD_TYPE_UNKNOWN, false},     {"#k", STATSD_TYPE_UNKNOWN, false},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char line[32];
		snprintf(line, sizeof(line), "m:1|%s", rows[i].token);
		parse(span_text(line), &all);
		bool illegal =
		    rows[i].type == STATSD_TYPE_UNKNOWN || rows[i].type == STATSD_TYPE_SET;
		if (head.type != rows[i].type || statsd_type_packs(head.type) != rows[i].packs ||
		    head.sample != (illegal ? STATSD_ILLEGAL_EVENT : STATSD_OK) ||
		    (illegal && head.where != 4))
			fail_msg("\"%s\": type %d, %s at %zu", line, head.type,
				 statsd_reason_text(head.sample), head.where);
	}
	parse(SPAN("m:1|c\0"), &all);
	assert_int_equal(head.sample, STATSD_ILLEGAL_EVENT);
}

static void
test_parse_head__sets(void **state)
{
	(void)state;
	static const struct statsd_options sets = {true, true, true, true, true, true};
	parse(SPAN("m:5|s"), &sets);
	assert_int_equal(head.sample, STATSD_OK);
	assert_int_equal(head.type, STATSD_TYPE_SET);
}

static void
test_parse_head__refused_sample(void **state)
{
	(void)state;
	static const struct {
		struct span line;
		enum statsd_reason want;
		size_t where;
		bool has_labels;
		uint32_t tag_errors, factor_errors;
	} rows[] = {
	    {SPAN("m:1|"), STATSD_ILLEGAL_EVENT, 4, false, 0, 0},
	    {SPAN("m:1||"), STATSD_MALFORMED_COMPONENT, 5, false, 0, 0},
	    {SPAN("m:1||c"), STATSD_ILLEGAL_EVENT, 4, false, 0, 1},
	    {SPAN("m:1||#k:v"), STATSD_ILLEGAL_EVENT, 4, true, 0, 0},
	    {SPAN("m:1|c|"), STATSD_MALFORMED_COMPONENT, 6, false, 0, 0},
	    {SPAN("m:1|c||@0.1"), STATSD_MALFORMED_COMPONENT, 6, false, 0, 0},
	    {SPAN("m:1|c|@0.1|"), STATSD_MALFORMED_COMPONENT, 11, false, 0, 0},
	    /* found before any section is read */
	    {SPAN("m:1|c|#k,l|@x||"), STATSD_MALFORMED_COMPONENT, 14, false, 0, 0},
	    {SPAN("m#k=v:1|c|"), STATSD_MALFORMED_COMPONENT, 10, false, 0, 0},
	    {SPAN("m:1|x|@bad|#k,l:w"), STATSD_ILLEGAL_EVENT, 4, true, 1, 1},
	    {SPAN("m:1|c:2|c|#k:v"), STATSD_ILLEGAL_EVENT, 4, true, 0, 1},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		parse(rows[i].line, &all);
		if (head.refused || head.sample != rows[i].want || head.where != rows[i].where ||
		    head.has_labels != rows[i].has_labels ||
		    head.tag_errors != rows[i].tag_errors ||
		    head.sample_factor_errors != rows[i].factor_errors)
			fail_msg("\"%.*s\": %s at %zu, errors %u %u", SPAN_ARGS(rows[i].line),
				 statsd_reason_text(head.sample), head.where, head.tag_errors,
				 head.sample_factor_errors);
	}
}

static void
test_parse_head__sample_without_bar(void **state)
{
	(void)state;
	struct span line = SPAN("m#k,l=w:1|c:22:3|g");
	struct statsd_cut cut;
	size_t where;
	assert_int_equal(statsd_cut(line, &cut, &where), STATSD_OK);
	assert_true(statsd_cut_next(&cut));
	statsd_parse_head(line, &cut, &all, &head);
	assert_int_equal(head.refused, STATSD_OK);
	assert_int_equal(head.sample, STATSD_MALFORMED_COMPONENT);
	assert_int_equal(head.where, 14);
	assert_false(head.has_labels);
	assert_int_equal(head.name_tag_errors, 1);
	assert_true(statsd_cut_next(&cut));
	statsd_parse_head(line, &cut, &all, &head);
	assert_int_equal(head.sample, STATSD_OK);
	assert_int_equal(head.type, STATSD_TYPE_GAUGE);
	assert_false(statsd_cut_next(&cut));
}

static void
test_parse_head__refused_line(void **state)
{
	(void)state;
	static const struct statsd_options no_tags = {false, true, true, true, true, false};
	static const struct {
		const struct statsd_options *options;
		struct span line;
		enum statsd_reason want;
		size_t where;
		uint32_t name_tag_errors;
	} rows[] = {
	    {&all, SPAN("m"), STATSD_MALFORMED_LINE, 0, 0},
	    {&all, SPAN(":1|c"), STATSD_MALFORMED_LINE, 0, 0},
	    {&all, SPAN("m:"), STATSD_NOT_ENOUGH_PARTS, 2, 0},
	    {&all, SPAN("m:1"), STATSD_NOT_ENOUGH_PARTS, 3, 0},
	    {&all, SPAN("m#k,l:1"), STATSD_NOT_ENOUGH_PARTS, 7, 2},
	    /* UTF-8, in every field but the values */
	    {&all, SPAN("\xff:1|c"), STATSD_MALFORMED_LINE, 0, 0},
	    {&all, SPAN("m\xc3\xa9\xe9:1|c"), STATSD_MALFORMED_LINE, 3, 0},
	    {&all, SPAN("m\xc3:1|c"), STATSD_MALFORMED_LINE, 1, 0},
	    {&all, SPAN("m:1|\xff"), STATSD_MALFORMED_LINE, 4, 0},
	    {&all, SPAN("m:1|c|@\xff"), STATSD_MALFORMED_LINE, 7, 0},
	    {&all, SPAN("m:1|c|#k:\xe9"), STATSD_MALFORMED_LINE, 9, 0},
	    {&all, SPAN("m:1|c|#\xed\xa0\x80:v"), STATSD_MALFORMED_LINE, 7, 0},
	    {&all, SPAN("m:1|c|c:\x80"), STATSD_MALFORMED_LINE, 8, 0},
	    {&all, SPAN("m:1|c|T\xc0\x80"), STATSD_MALFORMED_LINE, 7, 0},
	    {&all, SPAN("m:1|c|e:x|card:\xf5"), STATSD_MALFORMED_LINE, 15, 0},
	    {&all, SPAN("\xff:1"), STATSD_MALFORMED_LINE, 0, 0},
	    {&all, SPAN("m#k:1|\xff"), STATSD_MALFORMED_LINE, 6, 0},
	    /* mixed styles */
	    {&all, SPAN("m#k=v:1|c|#l:w"), STATSD_MIXED_TAGGING_STYLES, 10, 0},
	    {&all, SPAN("m#k=v:1|c|#"), STATSD_MIXED_TAGGING_STYLES, 10, 0},
	    {&all, SPAN("m[k=v,]:1|#"), STATSD_MIXED_TAGGING_STYLES, 10, 0},
	    {&all, SPAN("m,k=v,l:1|c|@1|#l:w"), STATSD_MIXED_TAGGING_STYLES, 15, 1},
	    {&no_tags, SPAN("m#k=v:1|c|#l:w"), STATSD_MIXED_TAGGING_STYLES, 10, 0},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		parse(rows[i].line, rows[i].options);
		if (head.refused != rows[i].want || head.where != rows[i].where ||
		    head.name_tag_errors != rows[i].name_tag_errors || head.has_labels)
			fail_msg("\"%.*s\": %s at %zu, errors %u", SPAN_ARGS(rows[i].line),
				 statsd_reason_text(head.refused), head.where,
				 head.name_tag_errors);
	}
}

/* Writes `count` tags "k0=v,k1=v" with the given bytes for '=' and returns the end. */
static char *
write_tags(char *to, size_t count, char separator, bool same_key)
{
	for (size_t i = 0; i < count; i++)
		to += sprintf(to, "%sk%zu%cv", i ? "," : "", same_key ? 0 : i, separator);
	return to;
}

static void
check_tag_count(const char *before, size_t count, const char *after, bool same_key, bool is_refused)
{
	static char line[8192];
	char separator = strchr(before, ':') ? ':' : '=';
	char *to = line + sprintf(line, "%s", before);
	to = write_tags(to, count, separator, same_key);
	size_t last_tag = (size_t)(to - line);
	while (line[last_tag - 1] != ',')
		last_tag--;
	to += sprintf(to, "%s", after);
	parse(span_of(line, (size_t)(to - line)), &all);
	assert_int_equal(head.refused, is_refused ? STATSD_TOO_MANY_TAGS : STATSD_OK);
	if (is_refused && head.where != last_tag && strncmp(line + head.where, "c:", 2) != 0)
		fail_msg("at %zu, want %zu", head.where, last_tag);
	if (!is_refused)
		assert_int_equal(head.labels.count, same_key ? 1 : count);
}

static void
test_parse_head__too_many_tags(void **state)
{
	(void)state;
	check_tag_count("m:1|c|#", TAGS_MAX, "", false, false);
	check_tag_count("m:1|c|#", TAGS_MAX + 1, "", false, true);
	check_tag_count("m:1|c|#", TAGS_MAX + 1, ",,,|@x", true, true);
	check_tag_count("m:1|c|#", TAGS_MAX, ",,,,l,__x:y,k:", false, false);
	check_tag_count("m:1|c|#", TAGS_MAX, "|c:x", false, true);
	check_tag_count("m:1|c|c:x|#", TAGS_MAX, "", true, true);
	check_tag_count("m#", TAGS_MAX, ":1|c", false, false);
	check_tag_count("m#", TAGS_MAX + 1, ":1|c", true, true);
	check_tag_count("m[", TAGS_MAX + 1, "]n:1|c", false, true);
	check_tag_count("m,", TAGS_MAX + 1, ":1", false, true);
}

/* Every tag key of a line at the limit needs escaping, which grows it. */
static void
test_parse_head__longest_line(void **state)
{
	(void)state;
	char *line = malloc(STATSD_LINE_MAX);
	size_t len = (size_t)sprintf(line, "m:1|c|#");
	for (int i = 0; i < TAGS_MAX; i++)
		len += (size_t)sprintf(line + len, "%d:v,", i);
	memset(line + len, '9', STATSD_LINE_MAX - len);
	parse(span_of(line, STATSD_LINE_MAX), &all);
	assert_int_equal(head.refused, STATSD_OK);
	assert_int_equal(head.labels.count, TAGS_MAX);
	assert_int_equal(head.tag_errors, 1);
	memcpy(line + STATSD_LINE_MAX - 2, ":v", 2);
	line[len - 2] = 'x';
	line[len - 3] = 'x';
	parse(span_of(line, STATSD_LINE_MAX), &all);
	assert_int_equal(head.refused, STATSD_OK);
	assert_int_equal(head.labels.count, TAGS_MAX);
	assert_int_equal(head.tag_errors, 1);
	free(line);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_reason_text),
	    cmocka_unit_test(test_classify),
	    cmocka_unit_test(test_cut),
	    cmocka_unit_test(test_cut__refused),
	    cmocka_unit_test(test_cut__longest_name),
	    cmocka_unit_test(test_next_value),
	    cmocka_unit_test(test_key),
	    cmocka_unit_test(test_suffix_is_whole),
	    cmocka_unit_test(test_parse_head__name_tags),
	    cmocka_unit_test(test_parse_head__sections),
	    cmocka_unit_test(test_parse_head__nul_in_tags),
	    cmocka_unit_test(test_parse_head__rates),
	    cmocka_unit_test(test_parse_further),
	    cmocka_unit_test(test_parse_further__may_have_labels_or_refuse),
	    cmocka_unit_test(test_parse_head__types),
	    cmocka_unit_test(test_parse_head__sets),
	    cmocka_unit_test(test_parse_head__refused_sample),
	    cmocka_unit_test(test_parse_head__sample_without_bar),
	    cmocka_unit_test(test_parse_head__refused_line),
	    cmocka_unit_test(test_parse_head__too_many_tags),
	    cmocka_unit_test(test_parse_head__longest_line),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
