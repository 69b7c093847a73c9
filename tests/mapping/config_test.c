#include "mapping/config.h"

#include "base/alloc.h"
#include "mapping/mapper.h"
#include "mapping/parsing.h"
#include "model/labels.h"
#include "test.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Rules of one key each, in a mapping that is complete but for that key. */
#define RULE(text) "mappings:\n- {match: a.b, name: x, " text "}\n"

static void
test_parse__empty_files(void **state)
{
	(void)state;
	static const struct example examples[] = {
	    {SPAN(""), ""},
	    {SPAN("\n\n"), ""},
	    {SPAN("# nothing\n"), ""},
	    {SPAN("null"), ""},
	    {SPAN("~\n"), ""},
	    {SPAN("---\n...\n"), ""},
	    {SPAN("{}"), ""},
	    {SPAN("\xef\xbb\xbf"), ""},
	    {SPAN("\xef\xbb\xbfmappings: []"), ""},
	    {SPAN("mappings:\ndefaults:\n"), ""},
	    {SPAN("mappings: []\n---\n- [\n"), "warning: f:2:1: only the first document is read"},
	};
	CHECK_ALL(examples);
}

static void
test_parse__structure(void **state)
{
	(void)state;
	static const struct example examples[] = {
	    {SPAN("text"),
	     "f:1:1: expected a mapping with the keys defaults and mappings, got a text"},
	    {SPAN("- a"),
	     "f:1:1: expected a mapping with the keys defaults and mappings, got a list"},
	    {SPAN("mappings: {}"), "f:1:11: mappings: expected a list of rules, got a mapping"},
	    {SPAN("mappings: x"), "f:1:11: mappings: expected a list of rules, got \"x\""},
	    {SPAN("defaults: []"), "f:1:11: defaults: expected a mapping of defaults, got a list"},
	    {SPAN("mappings:\n- a\n- [b]\n-\n"),
	     "f:2:3: mappings[0]: expected a rule, which is a mapping, got \"a\"\n"
	     "f:3:3: mappings[1]: expected a rule, which is a mapping, got a list\n"
	     "f:4:2: mappings[2]: expected a rule, which is a mapping, got nothing"},
	    {SPAN("mappings:\n- {}"), "f:2:3: mappings[0]: match is missing\n"
				      "f:2:3: mappings[0]: name is missing"},
	    {SPAN("mappings:\n- {match: a, name: b}\n  \n- match: a\n  name: b\n  match: c\n"),
	     "f:6:3: duplicate key \"match\", first in line 4"},
	};
	CHECK_ALL(examples);
}

static void
test_parse__unknown_keys(void **state)
{
	(void)state;
	static const struct example examples[] = {
	    {SPAN("mapings: []"), "f:1:1: mapings: unknown key; did you mean \"mappings\"?"},
	    {SPAN("registerer: x"), "f:1:1: registerer: unknown key"},
	    {SPAN("mappingscount: 1"), "f:1:1: mappingscount: unknown key"},
	    {SPAN("fsm: x"), "f:1:1: fsm: unknown key"},
	    {SPAN("logger: x"), "f:1:1: logger: unknown key"},
	    {SPAN("match: x"), "f:1:1: match: unknown key in the top level; it belongs in a rule"},
	    {SPAN("'': x"), "f:1:1: \"\": unknown key"},
	    {SPAN("\"a\\nb\": x"), "f:1:1: \"a\\x0ab\": unknown key"},
	    {SPAN("\xc3\xbc: x"), "f:1:1: \"\xc3\xbc\": unknown key"},
	    {SPAN(RULE("lables: {a: b}")),
	     "f:2:25: mappings[0].lables: unknown key; did you mean \"labels\"?"},
	    {SPAN(RULE("Labels: {a: b}")),
	     "f:2:25: mappings[0].Labels: unknown key; did you mean \"labels\"?"},
	    {SPAN(RULE("observertype: summary")),
	     "f:2:25: mappings[0].observertype: unknown key; did you mean \"observer_type\"?"},
	    {SPAN(RULE("max_age: 5m")),
	     "f:2:25: mappings[0].max_age: unknown key in a rule; it belongs in summary_options"},
	    {SPAN(RULE("glob_disable_ordering: true")),
	     "f:2:25: mappings[0].glob_disable_ordering: unknown key in a rule; it belongs in "
	     "defaults"},
	    {SPAN(RULE("histogram_options: {bucket: [1]}")),
	     "f:2:45: mappings[0].histogram_options.bucket: unknown key; did you mean "
	     "\"buckets\"?"},
	    {SPAN(RULE("histogram_options: {quantiles: []}")),
	     "f:2:45: mappings[0].histogram_options.quantiles: unknown key in histogram_options; "
	     "it "
	     "belongs in summary_options"},
	    {SPAN("defaults: {summary_options: {quantiles: [{quantile: 0.5, err: 1}]}}"),
	     "f:1:58: defaults.summary_options.quantiles[0].err: unknown key"},
	    {SPAN("defaults: {name: x}"),
	     "f:1:12: defaults.name: unknown key in defaults; it belongs in a rule"},
	};
	CHECK_ALL(examples);
}

static void
test_parse__types(void **state)
{
	(void)state;
	static const struct example examples[] = {
	    {SPAN("mappings:\n- {match: [a], name: {}, help: []}"),
	     "f:2:11: mappings[0].match: expected a text, got a list\n"
	     "f:2:22: mappings[0].name: expected a text, got a mapping\n"
	     "f:2:32: mappings[0].help: expected a text, got a list"},
	    {SPAN(RULE("match_type: globb")),
	     "f:2:37: mappings[0].match_type: expected glob or regex, got \"globb\""},
	    {SPAN(RULE("match_type: Regex")),
	     "f:2:37: mappings[0].match_type: expected glob or regex, got \"Regex\""},
	    {SPAN(RULE("match_metric_type: sets")),
	     "f:2:44: mappings[0].match_metric_type: expected counter, gauge or observer, got "
	     "\"sets\""},
	    {SPAN(RULE("match_metric_type: ''")), "f:2:44: mappings[0].match_metric_type: expected "
						  "counter, gauge or observer, got the text \"\""},
	    {SPAN(RULE("action: keep")),
	     "f:2:33: mappings[0].action: expected map or drop, got \"keep\""},
	    {SPAN(RULE("observer_type: gauge")),
	     "f:2:40: mappings[0].observer_type: expected histogram or summary, got \"gauge\""},
	    {SPAN(RULE("signed_gauges: delta")),
	     "f:2:40: mappings[0].signed_gauges: expected relative or absolute, got \"delta\""},
	    {SPAN(RULE("signed_gauges: ''")),
	     "f:2:40: mappings[0].signed_gauges: expected relative "
	     "or absolute, got the text \"\""},
	    {SPAN(RULE("honor_labels: 'true'")), "f:2:39: mappings[0].honor_labels: expected true "
						 "or false, got the text \"true\""},
	    {SPAN(RULE("honor_labels: 1")),
	     "f:2:39: mappings[0].honor_labels: expected true or false, got \"1\""},
	    {SPAN("defaults: {glob_disable_ordering: 'no'}"),
	     "f:1:35: defaults.glob_disable_ordering: expected true or false, got the text \"no\""},
	    {SPAN(RULE("scale: '2'")),
	     "f:2:32: mappings[0].scale: expected a number, got the text \"2\""},
	    {SPAN(RULE("scale: 1e999")),
	     "f:2:32: mappings[0].scale: expected a number, got \"1e999\""},
	    {SPAN(RULE("scale: []")), "f:2:32: mappings[0].scale: expected a number, got a list"},
	    {SPAN(RULE("ttl: soon")), "f:2:30: mappings[0].ttl: expected a duration such as 10s or "
				      "1h30m, got \"soon\""},
	    {SPAN(RULE("ttl: '10'")), "f:2:30: mappings[0].ttl: expected a duration such as 10s or "
				      "1h30m, got the text \"10\""},
	    {SPAN(RULE("ttl: true")), "f:2:30: mappings[0].ttl: expected a duration such as 10s or "
				      "1h30m, got \"true\""},
	    {SPAN(RULE("ttl: 300000000000s")), "f:2:30: mappings[0].ttl: expected a duration such "
					       "as 10s or 1h30m, got \"300000000000s\""},
	    {SPAN(RULE("zero_first: soon")), "f:2:37: mappings[0].zero_first: expected a duration "
					     "such as 10s or 1h30m, got \"soon\""},
	    {SPAN(RULE("labels: [a]")), "f:2:33: mappings[0].labels: expected a mapping of label "
					"names to texts, got a list"},
	    {SPAN(RULE("labels: {a: [b], c: {}}")),
	     "f:2:37: mappings[0].labels.a: expected a text, got a list\n"
	     "f:2:45: mappings[0].labels.c: expected a text, got a mapping"},
	    {SPAN(RULE("histogram_options: 5")),
	     "f:2:44: mappings[0].histogram_options: expected a mapping of options, got \"5\""},
	    {SPAN(RULE("histogram_options: {buckets: 5}")),
	     "f:2:54: mappings[0].histogram_options.buckets: expected a list of numbers, got "
	     "\"5\""},
	    {SPAN(RULE("histogram_options: {buckets: [a, '1', ~, [], 1]}")),
	     "f:2:55: mappings[0].histogram_options.buckets[0]: expected a number, got \"a\"\n"
	     "f:2:58: mappings[0].histogram_options.buckets[1]: expected a number, got the text "
	     "\"1\"\n"
	     "f:2:63: mappings[0].histogram_options.buckets[2]: expected a number, got nothing\n"
	     "f:2:66: mappings[0].histogram_options.buckets[3]: expected a number, got a list"},
	    {SPAN(RULE("histogram_options: {native_histogram_max_buckets: -1}")),
	     "f:2:75: mappings[0].histogram_options.native_histogram_max_buckets: expected a whole "
	     "number from 0 to 4294967295, got \"-1\""},
	    {SPAN(RULE("histogram_options: {native_histogram_max_buckets: 4294967296}")),
	     "f:2:75: mappings[0].histogram_options.native_histogram_max_buckets: expected a whole "
	     "number from 0 to 4294967295, got \"4294967296\""},
	    {SPAN(RULE("histogram_options: {native_histogram_bucket_factor: x}")),
	     "f:2:77: mappings[0].histogram_options.native_histogram_bucket_factor: expected a "
	     "number, got \"x\""},
	    {SPAN(RULE("summary_options: []")),
	     "f:2:42: mappings[0].summary_options: expected a mapping of options, got a list"},
	    {SPAN(RULE("summary_options: {age_buckets: 1001, buf_cap: 1.5, max_age: x}")),
	     "f:2:56: mappings[0].summary_options.age_buckets: expected a whole number from 0 to "
	     "1000, got \"1001\"\n"
	     "f:2:71: mappings[0].summary_options.buf_cap: expected a whole number from 0 to "
	     "4294967295, got \"1.5\"\n"
	     "f:2:85: mappings[0].summary_options.max_age: expected a duration such as 10s or "
	     "1h30m, got \"x\""},
	    {SPAN(RULE("summary_options: {quantiles: {}}")),
	     "f:2:54: mappings[0].summary_options.quantiles: expected a list of quantiles, got a "
	     "mapping"},
	    {SPAN(RULE("summary_options: {quantiles: [0.5, {quantile: x, error: y}]}")),
	     "f:2:55: mappings[0].summary_options.quantiles[0]: expected a mapping of quantile and "
	     "error, got \"0.5\"\n"
	     "f:2:71: mappings[0].summary_options.quantiles[1].quantile: expected a number, got "
	     "\"x\"\n"
	     "f:2:81: mappings[0].summary_options.quantiles[1].error: expected a number, got "
	     "\"y\""},
	};
	CHECK_ALL(examples);
}

static void
test_parse__a_wrong_type_is_one_error(void **state)
{
	(void)state;
	static const struct example examples[] = {
	    {SPAN("mappings:\n- {match: '^a', match_type: regexp, name: []}"),
	     "f:2:29: mappings[0].match_type: expected glob or regex, got \"regexp\"\n"
	     "f:2:43: mappings[0].name: expected a text, got a list"},
	    {SPAN("defaults: {match_type: re}\nmappings:\n- {match: '^a', name: x}"),
	     "f:1:24: defaults.match_type: expected glob or regex, got \"re\""},
	    {SPAN(RULE("observer_type: hist, histogram_options: {buckets: [1]}")),
	     "f:2:40: mappings[0].observer_type: expected histogram or summary, got \"hist\""},
	};
	CHECK_ALL(examples);
}

/* A regex that does not compile is the mapper's to find, unless the mapper is never asked. */
static void
test_parse__bad_regexes_beside_other_errors(void **state)
{
	(void)state;
	static const struct example examples[] = {
	    {SPAN("mappings:\n- {match: '(', match_type: regex, name: x}"), ""},
	    {SPAN("mappings:\n- {match: '(', match_type: regex, name: x, ttl: soon}"),
	     "f:2:11: mappings[0].match: byte 1 of the regex: missing ) of this group\n"
	     "f:2:49: mappings[0].ttl: expected a duration such as 10s or 1h30m, got \"soon\""},
	    {SPAN("mappings:\n- 5\n- {match: '(', match_type: regex, name: x}"),
	     "f:2:3: mappings[0]: expected a rule, which is a mapping, got \"5\"\n"
	     "f:3:11: mappings[1].match: byte 1 of the regex: missing ) of this group"},
	};
	CHECK_ALL(examples);
}

static void
test_parse__names(void **state)
{
	(void)state;
#define NAME(text) SPAN("mappings:\n- {match: a.b, name: \"" text "\"}")
#define BAD_NAME(reason) "f:2:22: mappings[0].name: " reason
#define LETTERS "a name is letters, digits, '_' and references such as $1 or ${1}; see byte "
	static const struct example examples[] = {
	    {NAME("a"), ""},
	    {NAME("_"), ""},
	    {NAME("A9_z"), ""},
	    {NAME("$1"), ""},
	    {NAME("${1}"), ""},
	    {NAME("${1"), ""},
	    {NAME("$1}"), ""},
	    {NAME("$1_total"), ""},
	    {NAME("a_${12}_$3$4"), ""},
	    {NAME("$99999999999999999999"), ""},
	    {NAME(""), BAD_NAME("a name must not be empty; see byte 1 of \"\"")},
	    {NAME("1a"), BAD_NAME("a name must not start with a digit; see byte 1 of \"1a\"")},
	    {NAME("a b"), BAD_NAME(LETTERS "2 of \"a b\"")},
	    {NAME("a:b"), BAD_NAME(LETTERS "2 of \"a:b\"")},
	    {NAME("a-b"), BAD_NAME(LETTERS "2 of \"a-b\"")},
	    {NAME("a$"), BAD_NAME(LETTERS "2 of \"a$\"")},
	    {NAME("$x"), BAD_NAME(LETTERS "1 of \"$x\"")},
	    {NAME("${x}"), BAD_NAME(LETTERS "1 of \"${x}\"")},
	    {NAME("a${}"), BAD_NAME(LETTERS "2 of \"a${}\"")},
	    {NAME("${1}}"), BAD_NAME(LETTERS "5 of \"${1}}\"")},
	    {NAME("$$1"), BAD_NAME(LETTERS "1 of \"$$1\"")},
	    {NAME("\xc3\xbc"), BAD_NAME(LETTERS "1 of \"\xc3\xbc\"")},
	    {NAME("a\\n"), BAD_NAME(LETTERS "2 of \"a\\x0a\"")},
	    {SPAN("mappings:\n- match: a.b"), "f:2:3: mappings[0]: name is missing"},
	    {SPAN("mappings:\n- {match: a.b, name: ~}"), "f:2:3: mappings[0]: name is missing"},
	    {SPAN("mappings:\n- {match: a.b, action: drop}"), ""},
	    {SPAN("mappings:\n- {match: a.b, action: drop, name: ''}"), ""},
	    {SPAN("mappings:\n- {match: a.b, action: drop, name: 1}"),
	     "f:2:36: mappings[0].name: a name must not start with a digit; see byte 1 of \"1\""},
	};
	CHECK_ALL(examples);
}

static void
test_parse__globs(void **state)
{
	(void)state;
#define GLOB(text) SPAN("mappings:\n- {name: x, match: \"" text "\"}")
#define BAD_GLOB(reason) "f:2:20: mappings[0].match: " reason
	static const struct example examples[] = {
	    {GLOB("a"), ""},
	    {GLOB("*"), ""},
	    {GLOB("*.*"), ""},
	    {GLOB("a.*.b-c_D9"), ""},
	    {GLOB("a.1b"), ""},
	    {GLOB("_a.b"), ""},
	    {GLOB("*.1"), ""},
	    {GLOB(""), BAD_GLOB("a component of a glob must not be empty; see byte 1 of \"\"")},
	    {GLOB("a..b"),
	     BAD_GLOB("a component of a glob must not be empty; see byte 3 of \"a..b\"")},
	    {GLOB("a."), BAD_GLOB("a component of a glob must not be empty; see byte 3 of \"a.\"")},
	    {GLOB(".a"), BAD_GLOB("a component of a glob must not be empty; see byte 1 of \".a\"")},
	    {GLOB("a.b*"),
	     BAD_GLOB("in a glob a '*' stands alone between dots; see byte 4 of \"a.b*\"")},
	    {GLOB("*a"),
	     BAD_GLOB("in a glob a '*' stands alone between dots; see byte 1 of \"*a\"")},
	    {GLOB("**"),
	     BAD_GLOB("in a glob a '*' stands alone between dots; see byte 1 of \"**\"")},
	    {GLOB("a.-b"),
	     BAD_GLOB("a component of a glob must not start with '-'; see byte 3 of \"a.-b\"")},
	    {GLOB("1a.b"), BAD_GLOB("a glob must not start with a digit; see byte 1 of \"1a.b\"")},
	    {GLOB("a b"), BAD_GLOB("a component of a glob is '*', or letters, digits, '_' and '-'; "
				   "see byte 2 of \"a b\"")},
	    {GLOB("a.\xc3\xbc"), BAD_GLOB("a component of a glob is '*', or letters, digits, '_' "
					  "and '-'; see byte 3 of \"a.\xc3\xbc\"")},
	    {SPAN("mappings:\n- {name: x}"), "f:2:3: mappings[0]: match is missing"},
	    {SPAN("mappings:\n- {name: x, match: 1e5}"),
	     "f:2:20: mappings[0].match: a glob must not start with a digit; see byte 1 of "
	     "\"1e5\""},
	    {SPAN("mappings:\n- {name: x, match_type: regex}"), ""},
	    {SPAN("mappings:\n- {name: x, match: '', match_type: regex}"), ""},
	    {SPAN("mappings:\n- {name: x, match: '^(a.b*|1)$', match_type: regex}"), ""},
	    {SPAN("defaults: {match_type: regex}\nmappings:\n- {name: x, match: a..b}"), ""},
	    {SPAN("mappings:\n- {name: x, match: a..b}\ndefaults: {match_type: regex}"), ""},
	    {SPAN("defaults: {match_type: regex}\nmappings:\n- {name: x, match: a..b, match_type: "
		  "''}"),
	     "f:3:20: mappings[0].match: a component of a glob must not be empty; see byte 3 of "
	     "\"a..b\""},
	};
	CHECK_ALL(examples);
}

static void
test_parse__labels(void **state)
{
	(void)state;
#define LEGAL "a label name is letters, digits and '_', not starting with a digit"
#define RESERVED "label names that start with \"__\" are reserved"
#define LE "histograms keep the label \"le\" for themselves"
#define QUANTILE "summaries keep the label \"quantile\" for themselves"
	static const struct example examples[] = {
	    {SPAN(RULE("labels: {}")), ""},
	    {SPAN(RULE("labels: ")), ""},
	    {SPAN(RULE("labels: {a: b, _: '', c: ~, D9: 1.50}")), ""},
	    {SPAN(RULE("labels: {a-b: c}")), "f:2:34: mappings[0].labels.\"a-b\": " LEGAL},
	    {SPAN(RULE("labels: {'': c}")), "f:2:34: mappings[0].labels.\"\": " LEGAL},
	    {SPAN(RULE("labels: {9: c}")), "f:2:34: mappings[0].labels.\"9\": " LEGAL},
	    {SPAN(RULE("labels: {__a: c, __name__: d}")),
	     "f:2:34: mappings[0].labels.__a: " RESERVED "\n"
	     "f:2:42: mappings[0].labels.__name__: " RESERVED},
	    {SPAN(RULE("action: drop, labels: {__a: c}")),
	     "f:2:48: mappings[0].labels.__a: " RESERVED},
	    {SPAN(RULE("labels: {le: c}")), ""},
	    {SPAN(RULE("labels: {le: c}, observer_type: histogram")),
	     "f:2:34: mappings[0].labels.le: " LE},
	    {SPAN("defaults: {observer_type: histogram}\n" RULE("labels: {le: c, quantile: d}")),
	     "f:3:34: mappings[0].labels.le: " LE},
	    {SPAN(RULE("labels: {quantile: c}")), "f:2:34: mappings[0].labels.quantile: " QUANTILE},
	    {SPAN(RULE("labels: {quantile: c}, match_metric_type: observer")),
	     "f:2:34: mappings[0].labels.quantile: " QUANTILE},
	    {SPAN(RULE("labels: {quantile: c}, match_metric_type: counter")), ""},
	    {SPAN(RULE("labels: {le: c}, match_metric_type: gauge, observer_type: histogram")), ""},
	    {SPAN(RULE("labels: {quantile: c}, action: drop")), ""},
	    {SPAN(RULE("labels: {a: 1, b: 2, a: 3}")),
	     "f:2:46: duplicate key \"a\", first in line 2"},
	    {SPAN(RULE("labels: {1: a, '1': b}")),
	     "f:2:34: mappings[0].labels.\"1\": " LEGAL
	     "\nf:2:40: duplicate key \"1\", first in line 2"},
	};
	CHECK_ALL(examples);
}

static void
test_parse__ranges(void **state)
{
	(void)state;
#define ASCEND "buckets must ascend: this one is not above the one before"
#define BUCKETS(text) \
	SPAN(RULE("observer_type: histogram, histogram_options: {buckets: [" text "]}"))
#define AT_BUCKET(column, index) \
	"f:2:" #column ": mappings[0].histogram_options.buckets[" #index "]: "
#define SUMMARY(text) SPAN(RULE("summary_options: {" text "}"))
#define AT_SUMMARY(column) "f:2:" #column ": mappings[0].summary_options."
#define UNIT "must be from 0 to 1"
#define FACTOR "mappings[0].histogram_options.native_histogram_bucket_factor: "
	static const struct example examples[] = {
	    {BUCKETS("-1, 0, .5, 1e6, .inf"), ""},
	    {BUCKETS(".inf"), ""},
	    {BUCKETS("5, 1"), AT_BUCKET(84, 1) ASCEND},
	    {BUCKETS("1, 1"), AT_BUCKET(84, 1) ASCEND},
	    {BUCKETS("0, -0.0"), AT_BUCKET(84, 1) ASCEND},
	    {BUCKETS("1, .inf, 2"), AT_BUCKET(90, 2) ASCEND},
	    {BUCKETS(".inf, .inf"), AT_BUCKET(87, 1) ASCEND},
	    {BUCKETS(".nan"), AT_BUCKET(81, 0) "a bucket is a finite number, or +Inf at the end"},
	    {BUCKETS("-.inf"), AT_BUCKET(81, 0) "a bucket is a finite number, or +Inf at the end"},
	    {SUMMARY("quantiles: [{quantile: 1.5}, {quantile: -0.1}, {quantile: .nan}]"),
	     AT_SUMMARY(66) "quantiles[0].quantile: " UNIT
			    "\n" AT_SUMMARY(83) "quantiles[1].quantile: " UNIT "\n" AT_SUMMARY(
				101) "quantiles[2].quantile: " UNIT},
	    {SUMMARY("quantiles: [{quantile: 1, error: 1.1}]"),
	     AT_SUMMARY(76) "quantiles[0].error: " UNIT},
	    {SUMMARY("quantiles: [{error: 0.1}]"),
	     AT_SUMMARY(55) "quantiles[0]: quantile is missing"},
	    {SUMMARY("max_age: -5s"), AT_SUMMARY(52) "max_age: must not be negative"},
	    {SUMMARY("max_age: 4999us"),
	     AT_SUMMARY(52) "max_age: max_age divided by age_buckets is below 1ms"},
	    {SUMMARY("max_age: 5ms"), ""},
	    {SUMMARY("max_age: 900ms, age_buckets: 1000"),
	     AT_SUMMARY(52) "max_age: max_age divided by age_buckets is below 1ms"},
	    {SUMMARY("max_age: 1s, age_buckets: 1000"), ""},
	    {SPAN("defaults: {observer_type: summary, summary_options: {max_age: 10ms}}\n" RULE(
		 "summary_options: {age_buckets: 11}")),
	     "f:3:56: mappings[0].summary_options.age_buckets: max_age divided by age_buckets is "
	     "below 1ms"},
	    {SPAN(RULE("ttl: -1s")), "f:2:30: mappings[0].ttl: must not be negative"},
	    {SPAN("defaults: {ttl: -1s}"), "f:1:17: defaults.ttl: must not be negative"},
	    {SPAN(RULE("zero_first: -1s")), "f:2:37: mappings[0].zero_first: must not be negative"},
	    {SPAN(RULE("zero_first: 1h1ns")), "f:2:37: mappings[0].zero_first: must be 1h at most"},
	    {SPAN("defaults: {zero_first: 61m}"),
	     "f:1:24: defaults.zero_first: must be 1h at most"},
	    {SPAN(RULE("zero_first: 10s, ttl: 19s")),
	     "f:2:37: mappings[0].zero_first: must be at most half of ttl"},
	    {SPAN(RULE("zero_first: 10s, ttl: 20s")), ""},
	    {SPAN("defaults: {zero_first: 10s}\n" RULE("ttl: 19999ms")),
	     "f:3:30: mappings[0].ttl: must be at least twice zero_first"},
	    {SPAN("defaults: {zero_first: 10s}\n" RULE("ttl: 9s, match_metric_type: gauge")), ""},
	    {SPAN("defaults: {zero_first: 10s}\n" RULE("ttl: 9s, zero_first: 0s")), ""},
	    {SPAN("defaults: {zero_first: 10s, ttl: 1s}"),
	     "f:1:24: defaults.zero_first: must be at most half of ttl"},
	    {SPAN(RULE("zero_first: 1h")), ""},
	    {SPAN(RULE("exemplar_tag: trace-id")),
	     "f:2:39: mappings[0].exemplar_tag: a label name is letters, digits and '_', not "
	     "starting with a digit"},
	    {SPAN("defaults: {exemplar_tag: __id}"),
	     "f:1:26: defaults.exemplar_tag: label names that start with \"__\" are reserved"},
	    {SPAN(RULE("exemplar_tag: ''")), ""},
	    {SPAN(RULE("scale: .inf")), "f:2:32: mappings[0].scale: must be finite"},
	    {SPAN(RULE("scale: .nan")), "f:2:32: mappings[0].scale: must be finite"},
	    {SPAN(RULE("histogram_options: {native_histogram_bucket_factor: 1}")), ""},
	    {SPAN(RULE("histogram_options: {native_histogram_bucket_factor: -2}")), ""},
	    {SPAN(RULE("histogram_options: {native_histogram_bucket_factor: .inf}")),
	     "f:2:77: " FACTOR "must be finite"},
	    {SPAN(RULE("histogram_options: {native_histogram_bucket_factor: -.inf}")),
	     "f:2:77: " FACTOR "must be finite"},
	    {SPAN(RULE("histogram_options: {native_histogram_bucket_factor: .nan}")),
	     "f:2:77: " FACTOR "must be finite"},
	};
	CHECK_ALL(examples);
}

static void
test_parse__options_of_the_other_type(void **state)
{
	(void)state;
	static const struct example examples[] = {
	    {SPAN(RULE("observer_type: histogram, summary_options: {}")),
	     "f:2:51: mappings[0].summary_options: does not go with observer_type histogram"},
	    {SPAN(RULE("observer_type: summary, histogram_options: {buckets: [1]}")),
	     "f:2:49: mappings[0].histogram_options: does not go with observer_type summary"},
	    {SPAN("defaults: {observer_type: ''}\n" RULE("histogram_options: {}")),
	     "f:3:25: mappings[0].histogram_options: does not go with observer_type summary"},
	    {SPAN("defaults: {observer_type: histogram}\n" RULE("summary_options: {}")),
	     "f:3:25: mappings[0].summary_options: does not go with observer_type histogram"},
	    {SPAN(RULE("observer_type: histogram, summary_options: ~")), ""},
	    {SPAN(RULE("summary_options: {}, histogram_options: {}")), ""},
	    {SPAN("defaults: {observer_type: summary, histogram_options: {}, summary_options: {}}"),
	     ""},
	};
	CHECK_ALL(examples);
}

static void
test_parse__reports_everything_at_once(void **state)
{
	(void)state;
	static const struct example examples[] = {
	    {SPAN("defaults:\n"
		  "  ttl: never\n"
		  "  histogram_options: {buckets: [2, 1]}\n"
		  "mappings:\n"
		  "- match: a..b\n"
		  "  name: 1x\n"
		  "  labels: {le-x: a}\n"
		  "  scal: 2\n"
		  "- match: c.*\n"
		  "  nmae: c\n"
		  "more: 1\n"),
	     "f:2:8: defaults.ttl: expected a duration such as 10s or 1h30m, got \"never\"\n"
	     "f:3:36: defaults.histogram_options.buckets[1]: " ASCEND "\n"
	     "f:5:10: mappings[0].match: a component of a glob must not be empty; see byte 3 of "
	     "\"a..b\"\n"
	     "f:6:9: mappings[0].name: a name must not start with a digit; see byte 1 of \"1x\"\n"
	     "f:7:12: mappings[0].labels.\"le-x\": " LEGAL "\n"
	     "f:8:3: mappings[0].scal: unknown key; did you mean \"scale\"?\n"
	     "f:9:3: mappings[1]: name is missing\n"
	     "f:10:3: mappings[1].nmae: unknown key; did you mean \"name\"?\n"
	     "f:11:1: more: unknown key"},
	};
	CHECK_ALL(examples);
}

static void
test_parse__legacy_keys(void **state)
{
	(void)state;
#define OLD(place, key, modern) "warning: f:" place ": " key ": old spelling; write \"" modern "\""
	static const struct example examples[] = {
	    {SPAN(RULE("timer_type: histogram")),
	     OLD("2:25", "mappings[0].timer_type", "observer_type")},
	    {SPAN(RULE("buckets: [1, 2]")),
	     OLD("2:25", "mappings[0].buckets", "histogram_options: {buckets: [...]}")},
	    {SPAN(RULE("quantiles: [{quantile: 0.5, error: 0.05}]")),
	     OLD("2:25", "mappings[0].quantiles", "summary_options: {quantiles: [...]}")},
	    {SPAN(RULE("match_metric_type: timer")),
	     OLD("2:44", "mappings[0].match_metric_type", "match_metric_type: observer")},
	    {SPAN(RULE("max_summary_age: 1m, summary_age_buckets: 2, stream_buffer_size: 3")),
	     OLD("2:25", "mappings[0].max_summary_age", "summary_options: {max_age: ...}") "\n" OLD(
		 "2:46", "mappings[0].summary_age_buckets",
		 "summary_options: {age_buckets: ...}") "\n" OLD("2:70",
								 "mappings[0].stream_buffer_size",
								 "summary_options: {buf_cap: "
								 "...}")},
	    {SPAN("defaults: {summary_options: {max_summary_age: 1m}}"),
	     OLD("1:30", "defaults.summary_options.max_summary_age",
		 "summary_options: {max_age: ...}")},
	    {SPAN("defaults: {timer_type: summary}\nmappings:\n"
		  "- {match: a, name: a, timer_type: summary}\n"
		  "- {match: b, name: b, timer_type: summary}\n"),
	     OLD("1:12", "defaults.timer_type", "observer_type") " (and 2 more)"},
	    {SPAN(RULE("timer_type: gauge")),
	     OLD("2:25", "mappings[0].timer_type",
		 "observer_type") "\nf:2:37: mappings[0].timer_type: expected histogram or "
				  "summary, got \"gauge\""},
	    {SPAN(RULE("buckets: [2, 1]")),
	     OLD("2:25", "mappings[0].buckets",
		 "histogram_options: {buckets: [...]}") "\nf:2:38: "
							"mappings[0].buckets[1]: " ASCEND},
	    {SPAN("timer_type: summary"),
	     "f:1:1: timer_type: unknown key in the top level; it belongs in a rule"},
	    {SPAN(RULE("ttl: 10, summary_options: {max_age: 2000000000}")),
	     "warning: f:2:30: mappings[0].ttl: a bare number is nanoseconds; write a unit, such "
	     "as "
	     "\"10s\" (and 1 more)"},
	    {SPAN(RULE("ttl: 0")), ""},
	};
	CHECK_ALL(examples);
}

static void
assert_buckets(const struct histogram_options *options, size_t count, const double *want)
{
	assert_int_equal(options->bucket_count, count);
	for (size_t i = 0; i < count; i++)
		assert_true(options->buckets[i] == want[i]);
}

static void
assert_quantiles(const struct summary_options *options, size_t count, const double (*want)[2])
{
	assert_int_equal(options->quantile_count, count);
	for (size_t i = 0; i < count; i++) {
		assert_true(options->quantiles[i].quantile == want[i][0]);
		assert_true(options->quantiles[i].error == want[i][1]);
	}
}

static void
assert_builtin_options(const struct histogram_options *histogram,
		       const struct summary_options *summary)
{
	static const double buckets[] = {.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10};
	static const double quantiles[][2] = {{0.5, 0.05}, {0.9, 0.01}, {0.99, 0.001}};
	assert_buckets(histogram, COUNT_OF(buckets), buckets);
	assert_true(histogram->native_bucket_factor == 1.1);
	assert_int_equal(histogram->native_max_buckets, 256);
	assert_quantiles(summary, COUNT_OF(quantiles), quantiles);
	assert_int_equal(summary->max_age_us, 600000000);
	assert_int_equal(summary->age_buckets, 5);
	assert_int_equal(summary->buf_cap, 500);
}

static void
test_new_default(void **state)
{
	(void)state;
	struct rule_set *set = rule_set_new_default();
	assert_string_equal(set->path, "");
	assert_int_equal(set->observer_type, METRIC_SUMMARY);
	assert_int_equal(set->ttl_us, 0);
	assert_int_equal(set->rule_count, 0);
	assert_false(set->glob_disable_ordering);
	assert_builtin_options(&set->histogram, &set->summary);
	rule_set_free(&set);
	assert_null(set);
	rule_set_free(&set);
}

static void
test_resolve__built_in(void **state)
{
	(void)state;
	struct rule_set *set = parse_valid("mappings:\n- {match: a.*, name: 'x_$1'}");
	const struct mapping_rule *rule = &set->rules[0];
	assert_string_equal(set->path, "f");
	assert_int_equal(set->rule_count, 1);
	assert_string_equal(rule->match, "a.*");
	assert_int_equal(rule->match_type, MATCH_GLOB);
	assert_int_equal(rule->kinds, KINDS_ALL);
	assert_string_equal(rule->name, "x_$1");
	assert_int_equal(rule->label_count, 0);
	assert_false(rule->honor_labels);
	assert_null(rule->help);
	assert_int_equal(rule->action, ACTION_MAP);
	assert_int_equal(rule->observer_type, METRIC_SUMMARY);
	assert_int_equal(rule->ttl_us, 0);
	assert_false(rule->has_scale);
	assert_int_equal(rule->signed_gauges, SIGNED_GAUGES_DEFAULT);
	assert_builtin_options(&rule->histogram, &rule->summary);
	rule_set_free(&set);
}

static void
test_resolve__every_key_of_a_rule(void **state)
{
	(void)state;
	struct rule_set *set =
	    parse_valid("mappings:\n"
			"- match: 'a(.*)'\n"
			"  match_type: regex\n"
			"  match_metric_type: observer\n"
			"  name: x\n"
			"  labels: {b: '$1', a: 1.50, c: yes, d: }\n"
			"  honor_labels: on\n"
			"  help: 5\n"
			"  action: map\n"
			"  observer_type: histogram\n"
			"  ttl: 1h30m\n"
			"  scale: 1e-3\n"
			"  signed_gauges: absolute\n"
			"  histogram_options:\n"
			"    buckets: [-0x10, 010, 1_000, 1e6, .inf]\n"
			"    native_histogram_bucket_factor: 2\n"
			"    native_histogram_max_buckets: 10\n"
			"- match: b.c\n"
			"  match_metric_type: gauge\n"
			"  action: drop\n"
			"  help: ''\n"
			"  ttl: 1ns\n"
			"  scale: 0\n"
			"  observer_type: summary\n"
			"  signed_gauges: relative\n"
			"  summary_options:\n"
			"    quantiles: [{quantile: 1, error: 1}, {quantile: 0.5, error: 0.1}, "
			"{quantile: 1, error: 0}, {quantile: 0}]\n"
			"    max_age: 1w\n"
			"    age_buckets: 1_000\n"
			"    buf_cap: 7\n");
	const struct mapping_rule *rule = &set->rules[0];
	assert_int_equal(rule->match_type, MATCH_REGEX);
	assert_int_equal(rule->kinds, KIND_BIT(EVENT_OBSERVER));
	assert_int_equal(rule->label_count, 4);
	assert_string_equal(rule->labels[0].name, "b");
	assert_string_equal(rule->labels[0].value, "$1");
	assert_string_equal(rule->labels[1].value, "1.50");
	assert_string_equal(rule->labels[2].value, "yes");
	assert_string_equal(rule->labels[3].value, "");
	assert_true(rule->honor_labels);
	assert_string_equal(rule->help, "5");
	assert_int_equal(rule->action, ACTION_MAP);
	assert_int_equal(rule->observer_type, METRIC_HISTOGRAM);
	assert_int_equal(rule->ttl_us, INT64_C(5400000000));
	assert_true(rule->has_scale && rule->scale == 1e-3);
	assert_int_equal(rule->signed_gauges, SIGNED_GAUGES_ABSOLUTE);
	assert_buckets(&rule->histogram, 4, (const double[]){-16, 8, 1000, 1e6});
	assert_true(rule->histogram.native_bucket_factor == 2);
	assert_int_equal(rule->histogram.native_max_buckets, 10);

	rule = &set->rules[1];
	assert_int_equal(rule->kinds, KIND_BIT(EVENT_GAUGE));
	assert_int_equal(rule->action, ACTION_DROP);
	assert_string_equal(rule->name, "");
	assert_null(rule->help);
	assert_int_equal(rule->ttl_us, 1);
	assert_true(rule->has_scale && rule->scale == 0);
	assert_int_equal(rule->signed_gauges, SIGNED_GAUGES_RELATIVE);
	assert_quantiles(&rule->summary, 3, (const double[][2]){{0, 0}, {0.5, 0.1}, {1, 0}});
	assert_int_equal(rule->summary.max_age_us, INT64_C(604800000000));
	assert_int_equal(rule->summary.age_buckets, 1000);
	assert_int_equal(rule->summary.buf_cap, 7);
	rule_set_free(&set);
}

static void
test_resolve__exemplar_tag(void **state)
{
	(void)state;
	struct rule_set *set = parse_valid("defaults: {exemplar_tag: trace_id}\n"
					   "mappings:\n"
					   "- {match: a, name: x}\n"
					   "- {match: b, name: x, exemplar_tag: span_id}\n"
					   "- {match: c, name: x, exemplar_tag: ''}\n");
	assert_string_equal(set->exemplar_tag, "trace_id");
	assert_string_equal(set->rules[0].exemplar_tag, "trace_id");
	assert_string_equal(set->rules[1].exemplar_tag, "span_id");
	assert_null(set->rules[2].exemplar_tag);
	assert_true(set->totals.keeps_exemplars && set->rules[0].totals.keeps_exemplars);
	assert_false(set->rules[2].totals.keeps_exemplars);
	rule_set_free(&set);
}

static void
test_resolve__zero_first(void **state)
{
	(void)state;
	struct rule_set *set = parse_valid("defaults: {zero_first: 30s}\n"
					   "mappings:\n"
					   "- {match: a, name: x}\n"
					   "- {match: b, name: x, zero_first: 1500ms}\n"
					   "- {match: c, name: x, zero_first: 0s}\n");
	assert_int_equal(set->totals.zero_first_us, 30000000);
	assert_int_equal(set->rules[0].totals.zero_first_us, 30000000);
	assert_int_equal(set->rules[1].totals.zero_first_us, 1500000);
	assert_int_equal(set->rules[2].totals.zero_first_us, 0);
	rule_set_free(&set);
}

static void
test_resolve__defaults(void **state)
{
	(void)state;
	struct rule_set *set = parse_valid(
	    "mappings:\n"
	    "- {match: a, name: x}\n"
	    "- {match: b, name: x, ttl: 0, match_type: glob, observer_type: summary}\n"
	    "- {match: c, name: x, ttl: 1s, match_type: '', observer_type: '', action: ''}\n"
	    "- match: d\n"
	    "  name: x\n"
	    "  histogram_options: {buckets: [], native_histogram_bucket_factor: 0, "
	    "native_histogram_max_buckets: 0}\n"
	    "- match: e\n"
	    "  name: x\n"
	    "  observer_type: summary\n"
	    "  summary_options: {quantiles: [], max_age: 0, age_buckets: 0, buf_cap: 1}\n"
	    "defaults:\n"
	    "  observer_type: histogram\n"
	    "  match_type: regex\n"
	    "  glob_disable_ordering: yes\n"
	    "  ttl: 1d\n"
	    "  summary_options: {quantiles: [{quantile: 0.2, error: 0.1}], max_age: 1m, "
	    "age_buckets: 2, buf_cap: 9}\n"
	    "  histogram_options: {buckets: [1, 2], native_histogram_bucket_factor: 3, "
	    "native_histogram_max_buckets: 4}\n");
	assert_true(set->glob_disable_ordering);
	assert_int_equal(set->observer_type, METRIC_HISTOGRAM);
	assert_int_equal(set->ttl_us, INT64_C(86400000000));
	assert_buckets(&set->histogram, 2, (const double[]){1, 2});
	static const int64_t ttls_us[] = {86400000000, 86400000000, 1000000, 86400000000,
					  86400000000};
	static const enum metric_type types[] = {METRIC_HISTOGRAM, METRIC_SUMMARY, METRIC_SUMMARY,
						 METRIC_HISTOGRAM, METRIC_SUMMARY};
	static const enum match_type match_types[] = {MATCH_REGEX, MATCH_GLOB, MATCH_GLOB,
						      MATCH_REGEX, MATCH_REGEX};
	for (size_t i = 0; i < 5; i++) {
		const struct mapping_rule *rule = &set->rules[i];
		assert_int_equal(rule->ttl_us, ttls_us[i]);
		assert_int_equal(rule->observer_type, types[i]);
		assert_int_equal(rule->match_type, match_types[i]);
		assert_buckets(&rule->histogram, 2, (const double[]){1, 2});
		assert_true(rule->histogram.native_bucket_factor == 3);
		assert_int_equal(rule->histogram.native_max_buckets, 4);
		assert_quantiles(&rule->summary, 1, (const double[][2]){{0.2, 0.1}});
		assert_int_equal(rule->summary.max_age_us, 60000000);
		assert_int_equal(rule->summary.age_buckets, 2);
		assert_int_equal(rule->summary.buf_cap, i == 4 ? 1 : 9);
	}
	rule_set_free(&set);
}

static void
test_resolve__no_observer_type_named(void **state)
{
	(void)state;
	struct rule_set *set = parse_valid(
	    "defaults:\n"
	    "  summary_options: {quantiles: [{quantile: 0.2, error: 0.1}], max_age: 1m, "
	    "age_buckets: 2, buf_cap: 9}\n"
	    "mappings:\n"
	    "- {match: a, name: x}\n"
	    "- {match: b, name: x, summary_options: {}}\n"
	    "- {match: c, name: x, summary_options: {age_buckets: 7}}\n"
	    "- {match: d, name: x, histogram_options: {buckets: [1]}}\n");
	static const struct {
		int64_t max_age_us;
		uint32_t age_buckets, buf_cap;
	} want[] = {{60000000, 2, 9}, {600000000, 5, 500}, {600000000, 7, 500}, {60000000, 2, 9}};
	for (size_t i = 0; i < COUNT_OF(want); i++) {
		const struct summary_options *summary = &set->rules[i].summary;
		assert_int_equal(set->rules[i].observer_type, METRIC_SUMMARY);
		assert_quantiles(summary, 1, (const double[][2]){{0.2, 0.1}});
		assert_int_equal(summary->max_age_us, want[i].max_age_us);
		assert_int_equal(summary->age_buckets, want[i].age_buckets);
		assert_int_equal(summary->buf_cap, want[i].buf_cap);
	}
	rule_set_free(&set);
}

static struct rule_set *
parse_with_warnings(const char *text)
{
	struct diag diag = DIAG_INIT;
	struct rule_set *set = mapping_config_parse("f", span_text(text), &diag);
	assert_non_null(set);
	assert_true(diag.count > 0);
	diag_fini(&diag);
	return set;
}

static void
test_resolve__legacy(void **state)
{
	(void)state;
	struct rule_set *set = parse_with_warnings(
	    "defaults:\n"
	    "  timer_type: histogram\n"
	    "  buckets: [0.1, 1]\n"
	    "  quantiles: [{quantile: 0.9, error: 0.01}]\n"
	    "  max_summary_age: 1m\n"
	    "mappings:\n"
	    "- {match: a, name: x, timer_type: summary, summary_age_buckets: 3}\n"
	    "- {match: b, name: x, buckets: [7], quantiles: [{quantile: 1}]}\n"
	    "- {match: c, name: x, buckets: [7], histogram_options: {buckets: [8]}}\n"
	    "- {match: d, name: x, histogram_options: {buckets: [8]}, buckets: [7]}\n"
	    "- {match: e, name: x, timer_type: histogram, observer_type: summary}\n"
	    "- {match: f, name: x, match_metric_type: timer}\n");
	assert_int_equal(set->observer_type, METRIC_HISTOGRAM);
	assert_buckets(&set->histogram, 2, (const double[]){0.1, 1});
	assert_quantiles(&set->summary, 1, (const double[][2]){{0.9, 0.01}});
	assert_int_equal(set->summary.max_age_us, 60000000);
	assert_int_equal(set->rules[0].observer_type, METRIC_SUMMARY);
	assert_int_equal(set->rules[0].summary.max_age_us, 60000000);
	assert_int_equal(set->rules[0].summary.age_buckets, 3);
	assert_buckets(&set->rules[1].histogram, 1, (const double[]){7});
	assert_buckets(&set->rules[2].histogram, 1, (const double[]){8});
	assert_buckets(&set->rules[3].histogram, 1, (const double[]){8});
	assert_int_equal(set->rules[4].observer_type, METRIC_SUMMARY);
	assert_int_equal(set->rules[5].kinds, KIND_BIT(EVENT_OBSERVER));
	rule_set_free(&set);
}

static void
test_resolve__native_bucket_factor(void **state)
{
	(void)state;
	static const struct {
		const char *defaults, *rule;
		double want; /* 0: no native histogram */
	} cases[] = {
	    {"1", "0", 0},      {"0.5", "2", 2},         {"0", "1", 0},
	    {"0", "0", 1.1},    {"3", "-2", 0},          {"3", "0", 3},
	    {"-1e300", "~", 0}, {"3", "1.0001", 1.0001}, {"3", "-0.0", 3},
	};
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char text[256];
		snprintf(
		    text, sizeof(text),
		    "defaults: {histogram_options: {native_histogram_bucket_factor: %s}}\n" RULE(
			"histogram_options: {native_histogram_bucket_factor: %s}"),
		    cases[i].defaults, cases[i].rule);
		struct rule_set *set = parse_valid(text);
		assert_true(set->rules[0].histogram.native_bucket_factor == cases[i].want);
		rule_set_free(&set);
	}
}

static void
test_resolve__only_infinite_bucket(void **state)
{
	(void)state;
	struct rule_set *set = parse_valid(RULE("histogram_options: {buckets: [.inf]}"));
	assert_int_equal(set->rules[0].histogram.bucket_count, 0);
	rule_set_free(&set);
}

static void
test_resolve__merges(void **state)
{
	(void)state;
	struct rule_set *set =
	    parse_valid("defaults: &d {observer_type: histogram, ttl: 1m}\n"
			"mappings:\n"
			"- &r\n"
			"  match: a.*\n"
			"  name: a\n"
			"  <<: *d\n"
			"  labels: &l {env: prod}\n"
			"- {<<: *r, match: b.*, ttl: 2m, labels: {<<: *l, part: '$1'}}\n");
	const struct mapping_rule *rule = &set->rules[1];
	assert_string_equal(rule->match, "b.*");
	assert_string_equal(rule->name, "a");
	assert_int_equal(rule->ttl_us, 120000000);
	assert_int_equal(set->rules[0].ttl_us, 60000000);
	assert_int_equal(rule->label_count, 2);
	assert_string_equal(rule->labels[0].name, "part");
	assert_string_equal(rule->labels[1].name, "env");
	rule_set_free(&set);
}

static void
test_resolve__places(void **state)
{
	(void)state;
	struct rule_set *set = parse_valid("mappings:\n"
					   "- name:  x\n"
					   "  match:   a.b\n"
					   "- {match_type: regex, action: drop}\n");
	const struct mapping_rule *rule = &set->rules[0];
	assert_string_equal(rule->place.file, "f");
	assert_int_equal(rule->place.line, 3);
	assert_int_equal(rule->place.column, 3);
	assert_int_equal(rule->match_place.line, 3);
	assert_int_equal(rule->match_place.column, 12);
	assert_int_equal(rule->name_place.line, 2);
	assert_int_equal(rule->name_place.column, 10);
	rule = &set->rules[1];
	assert_string_equal(rule->match, "");
	assert_int_equal(rule->place.line, 4);
	assert_int_equal(rule->place.column, 3);
	assert_int_equal(rule->match_place.line, 4);
	assert_int_equal(rule->name_place.column, 3);
	const char *file = rule->place.file;
	rule_set_free(&set);
	assert_string_equal(file, "f");
}

static void
add_repeated(struct buf *out, size_t times, const char *format, const char *between)
{
	for (size_t i = 0; i < times; i++) {
		buf_add_text(out, i ? between : "");
		char item[128];
		int len = snprintf(item, sizeof(item), "%.*s%zu%s", (int)strcspn(format, "#"),
				   format, i, strchr(format, '#') + 1);
		buf_add(out, item, (size_t)len);
	}
}

static void
test_parse__counts_at_their_caps(void **state)
{
	(void)state;
	static const struct {
		const char *head, *item, *tail;
		size_t max;
		const char *want;
	} cases[] = {
	    {"mappings:\n- {match: a, name: x, labels: {", "l#: v", "}}", RULE_LABELS_MAX,
	     "f:2:31: mappings[0].labels: 65 labels, 64 at most"},
	    {"mappings:\n- {match: a, name: x, histogram_options: {buckets: [", "#", "]}}",
	     BUCKETS_MAX,
	     "f:2:52: mappings[0].histogram_options.buckets: 1001 buckets, 1000 at most"},
	    {"mappings:\n- {match: a, name: x, summary_options: {quantiles: [", "{quantile: 0.#}",
	     "]}}", QUANTILES_MAX,
	     "f:2:52: mappings[0].summary_options.quantiles: 101 quantiles, 100 at most"},
	    {"labels: {", "l#: v", "}", FILE_LABELS_MAX, "f:1:9: labels: 65 labels, 64 at most"},
	    {"tags: {keep: [", "t#", "]}", TAG_NAMES_MAX,
	     "f:1:14: tags.keep: 1001 tags, 1000 at most"},
	    {"tags: {rename: {", "f#: t", "}}", TAG_RENAMES_MAX,
	     "f:1:16: tags.rename: 65 tags, 64 at most"},
	    {"max_values: {", "l#: 5", "}", VALUE_LIMITS_MAX,
	     "f:1:13: max_values: 17 labels, 16 at most"},
	};
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		for (size_t over = 0; over < 2; over++) {
			struct buf text = BUF_INIT;
			buf_add_text(&text, cases[i].head);
			add_repeated(&text, cases[i].max + over, cases[i].item, ", ");
			buf_add_text(&text, cases[i].tail);
			buf_text(&text);
			struct rule_set *set =
			    check_parse(buf_span(&text), over ? cases[i].want : "");
			rule_set_free(&set);
			buf_fini(&text);
		}
	}
}

static void
test_parse__hundred_thousand_rules(void **state)
{
	(void)state;
	struct buf text = BUF_INIT;
	buf_add_text(&text, "defaults: {timer_type: histogram}\nmappings:\n");
	add_repeated(&text, 100000,
		     "- match: service#.*.requests.*\n"
		     "  name: requests_total\n"
		     "  timer_type: histogram\n"
		     "  labels: {host: '$1', code: '$2', job: web}\n",
		     "");
	struct diag diag = DIAG_INIT;
	struct rule_set *set = mapping_config_parse("f", buf_span(&text), &diag);
	assert_non_null(set);
	assert_int_equal(set->rule_count, 100000);
	assert_string_equal(set->rules[99999].match, "service99999.*.requests.*");
	assert_int_equal(diag.count, 1);
	diag_fini(&diag);
	rule_set_free(&set);

	buf_add_text(&text, "- {match: a..b, name: x}\n");
	set = mapping_config_parse("f", buf_span(&text), &diag);
	assert_null(set);
	assert_int_equal(diag.count, 2);
	assert_string_equal(
	    diag.messages[1].text,
	    "f:400003:11: mappings[100000].match: a component of a glob must not be "
	    "empty; see byte 3 of \"a..b\"");
	diag_fini(&diag);
	buf_fini(&text);
}

static void
test_parse__hostile(void **state)
{
	(void)state;
	static const struct example examples[] = {
	    {SPAN("mappings: \xff"), "f:1:11: invalid UTF-8 (byte 0xFF)"},
	    {SPAN("mappings:\n- match: a\0b"),
	     "f:2:11: control characters are not allowed (U+0000)"},
	    {SPAN("mappings:\n- {match: a, name: x, help: \"a\\0b\"}"),
	     "f:2:29: a text must not hold a NUL byte"},
	    {SPAN("mappings:\n- {match: a, \"na\\0me\": x}"),
	     "f:2:14: a text must not hold a NUL byte"},
	    {SPAN("mappings:\n- match: a\n\tname: x"), "f:3:1: a tab cannot indent; use spaces"},
	    {SPAN("mappings: &a [*a]"), "f:1:15: alias \"a\" lies inside its own anchor"},
	    {SPAN(RULE("scale: 99999999999999999999999999999999999")), ""},
	    {SPAN(RULE("summary_options: {age_buckets: 18446744073709551616}")),
	     "f:2:56: mappings[0].summary_options.age_buckets: expected a whole number from 0 to "
	     "1000, got \"18446744073709551616\""},
	    {SPAN(RULE("ttl: 9223372036854775808")),
	     "f:2:30: mappings[0].ttl: expected a duration such as 10s or 1h30m, got "
	     "\"9223372036854775808\""},
	};
	CHECK_ALL(examples);
}

static void
test_parse__long_texts_are_cut_in_messages(void **state)
{
	(void)state;
	struct buf text = BUF_INIT;
	for (size_t i = 0; i < 100000; i++)
		buf_add_text(&text, "\xc3\xbc");
	buf_add_text(&text, ": x");
	struct diag diag = DIAG_INIT;
	assert_null(mapping_config_parse("f", buf_span(&text), &diag));
	assert_int_equal(diag.errors, 1);
	assert_true(strlen(diag.messages[0].text) < 200);
	diag_fini(&diag);
	buf_fini(&text);
}

static void
test_parse__anchor_bomb_of_rules(void **state)
{
	(void)state;
	struct buf text = BUF_INIT;
	buf_add_text(&text, "mappings:\n- &r {match: a, name: x, labels: {");
	add_repeated(&text, 64, "l#: v", ", ");
	buf_add_text(&text, "}}\n");
	for (size_t i = 0; i < 200000; i++)
		buf_add_text(&text, "- *r\n");
	struct diag diag = DIAG_INIT;
	assert_null(mapping_config_parse("f", buf_span(&text), &diag));
	assert_int_equal(diag.count, 1);
	diag_fini(&diag);
	buf_fini(&text);
}

static void
test_parse__larger_than_the_cap(void **state)
{
	(void)state;
	char *text = calloc(1, MAPPING_FILE_MAX + 1);
	memset(text, '\n', MAPPING_FILE_MAX + 1);
	struct rule_set *set = check_parse(span_of(text, MAPPING_FILE_MAX), "");
	assert_non_null(set);
	rule_set_free(&set);
	set = check_parse(span_of(text, MAPPING_FILE_MAX + 1), "f: larger than 16777216 bytes");
	free(text);
}

static void
test_parse__errors_of_an_earlier_file_do_not_count(void **state)
{
	(void)state;
	struct diag diag = DIAG_INIT;
	assert_null(mapping_config_parse("one", SPAN("- x"), &diag));
	struct rule_set *set = mapping_config_parse("two", SPAN("mappings: []"), &diag);
	assert_non_null(set);
	assert_int_equal(diag.errors, 1);
	rule_set_free(&set);
	diag_fini(&diag);
}

/* Behind the cap stands only that there is more; that stays last. */
static void
test_parse__order_at_the_cap(void **state)
{
	(void)state;
	struct buf text = BUF_INIT;
	buf_add_text(&text, "mappings:\n- {match: '(', match_type: regex, name: x}\n");
	add_repeated(&text, DIAG_MAX + 1, "key#: x\n", "");
	buf_text(&text);
	struct diag diag = DIAG_INIT;
	diag_error(&diag, (struct diag_place){"g", 900, 1}, NULL, "of another file");
	assert_null(mapping_config_parse("f", buf_span(&text), &diag));
	assert_int_equal(diag.count, DIAG_MAX + 1);
	assert_string_equal(diag.messages[0].text, "g:900:1: of another file");
	assert_string_equal(diag.messages[1].text, "f:3:1: key0: unknown key");
	assert_string_equal(diag.messages[DIAG_MAX - 1].text, "f:101:1: key98: unknown key");
	assert_string_equal(diag.messages[DIAG_MAX].text, "f: more errors are left out");
	diag_fini(&diag);
	buf_fini(&text);
}

static void
check_load(const char *path, const char *want)
{
	struct diag diag = DIAG_INIT;
	struct rule_set *set = mapping_config_load(path, &diag);
	assert_null(set);
	assert_int_equal(diag.count, 1);
	assert_string_equal(diag.messages[0].text, want);
	diag_fini(&diag);
}

static void
test_load__unreadable(void **state)
{
	(void)state;
	check_load("tests/data/no-such-file.yml",
		   "tests/data/no-such-file.yml: cannot open: No such file or directory");
	check_load("tests/data", "tests/data: cannot read: Is a directory");
	check_load("", ": cannot open: No such file or directory");
	check_load("/dev/zero", "/dev/zero: larger than 16777216 bytes");
}

/* A FIFO in a folder of its own. */
struct fifo {
	char folder[32], path[48];
};

static struct fifo
make_fifo(void)
{
	struct fifo fifo = {.folder = "/tmp/mapping-XXXXXX"};
	assert_non_null(mkdtemp(fifo.folder));
	snprintf(fifo.path, sizeof(fifo.path), "%s/fifo", fifo.folder);
	assert_int_equal(mkfifo(fifo.path, 0600), 0);
	return fifo;
}

static void
remove_fifo(const struct fifo *fifo)
{
	assert_int_equal(unlink(fifo->path), 0);
	assert_int_equal(rmdir(fifo->folder), 0);
}

struct load {
	struct fifo fifo;
	struct diag diag;
	struct rule_set *set;
};

static void *
run_load(void *arg)
{
	struct load *load = arg;
	load->set = mapping_config_load(load->fifo.path, &load->diag);
	return NULL;
}

/* Two at once, since each takes its whole deadline: no writer, and one that does not go on. */
static void
test_load__silent_fifo(void **state)
{
	(void)state;
	struct load loads[2] = {{.fifo = make_fifo()}, {.fifo = make_fifo()}};
	pthread_t threads[2];
	int writer = open(loads[1].fifo.path, O_RDWR | O_CLOEXEC);
	assert_true(writer >= 0);
	assert_int_equal(write(writer, "mappings:\n", 10), 10);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, run_load, &loads[i]), 0);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		char want[128];
		snprintf(want, sizeof(want), "%s: cannot read: timed out", loads[i].fifo.path);
		assert_null(loads[i].set);
		assert_int_equal(loads[i].diag.count, 1);
		assert_string_equal(loads[i].diag.messages[0].text, want);
		diag_fini(&loads[i].diag);
		remove_fifo(&loads[i].fifo);
	}
	close(writer);
}

/* A writer that opens and leaves without a word must not look like an empty mapping file. */
static void
test_load__fifo_without_a_byte(void **state)
{
	(void)state;
	struct load load = {.fifo = make_fifo()};
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, run_load, &load), 0);
	/* Opens once the load has the other end. */
	int writer = open(load.fifo.path, O_WRONLY | O_CLOEXEC);
	assert_true(writer >= 0);
	close(writer);
	assert_int_equal(pthread_join(thread, NULL), 0);
	char want[128];
	snprintf(want, sizeof(want), "%s: cannot read: ended without a byte", load.fifo.path);
	assert_null(load.set);
	assert_int_equal(load.diag.count, 1);
	assert_string_equal(load.diag.messages[0].text, want);
	diag_fini(&load.diag);
	remove_fifo(&load.fifo);
}

static void
write_all(int fd, struct span text)
{
	while (text.len) {
		ssize_t n = write(fd, text.ptr, text.len);
		assert_true(n > 0);
		text = span_from(text, (size_t)n);
	}
}

/* More than the pipe holds, so that the load has to wait for more. */
static void
test_load__fifo(void **state)
{
	(void)state;
	struct buf text = BUF_INIT;
	buf_add_text(&text, "mappings:\n");
	add_repeated(&text, 10000, "- {match: a#, name: x}\n", "");
	struct load load = {.fifo = make_fifo()};
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, run_load, &load), 0);
	int writer = open(load.fifo.path, O_WRONLY | O_CLOEXEC);
	assert_true(writer >= 0);
	write_all(writer, buf_span(&text));
	close(writer);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_non_null(load.set);
	assert_int_equal(load.set->rule_count, 10000);
	rule_set_free(&load.set);
	remove_fifo(&load.fifo);
	buf_fini(&text);
}

/* As a shell's <(command): a pipe under the path of its descriptor. */
static void
test_load__pipe_whose_writer_has_gone(void **state)
{
	(void)state;
	int ends[2];
	assert_int_equal(pipe(ends), 0);
	write_all(ends[1], SPAN("mappings:\n- {match: a, name: x}\n"));
	close(ends[1]);
	char path[32];
	snprintf(path, sizeof(path), "/dev/fd/%d", ends[0]);
	struct diag diag = DIAG_INIT;
	struct rule_set *set = mapping_config_load(path, &diag);
	assert_non_null(set);
	assert_int_equal(set->rule_count, 1);
	rule_set_free(&set);
	close(ends[0]);
}

static void
test_load__empty(void **state)
{
	(void)state;
	struct diag diag = DIAG_INIT;
	struct rule_set *set = mapping_config_load("/dev/null", &diag);
	assert_non_null(set);
	assert_int_equal(diag.count, 0);
	rule_set_free(&set);
}

/* Loads a file and compiles its rules, as the bridge does. */
static struct mapper *
load_mapper(const char *path, struct diag *diag)
{
	struct rule_set *set = mapping_config_load(path, diag);
	if (!set)
		return NULL;
	struct rule_set **sets = xcalloc(1, sizeof(*sets));
	sets[0] = set;
	return mapper_new(sets, 1, diag);
}

static void
test_load__example(void **state)
{
	(void)state;
	struct diag diag = DIAG_INIT;
	struct mapper *mapper = load_mapper("mappings/example/mapping.yml", &diag);
	if (diag.count)
		fail_msg("%s", diag.messages[0].text);
	assert_non_null(mapper);
	struct mapping_scratch *scratch = mapping_scratch_new();
	struct mapping_match match;
	mapper_find(mapper, scratch, EVENT_COUNTER, SPAN("hello.world"), &match);
	assert_null(match.rule);
	mapper_find(mapper, scratch, EVENT_COUNTER, SPAN("shop.orders.eu.paid"), &match);
	assert_span_equal(match.name, "shop_orders_total");
	mapper_find(mapper, scratch, EVENT_GAUGE, SPAN("legacy-eu-7.disk_used"), &match);
	assert_span_equal(match.name, "legacy_disk");
	assert_span_equal(match.labels[0].value, "eu");
	mapping_scratch_free(&scratch);
	mapper_unref(&mapper);
}

/* The name is the verdict: n_ is refused, y_ loads. */
static void
test_load__recorded_files(void **state)
{
	(void)state;
	static const char folder[] = "tests/data/mapping/config";
	DIR *dir = opendir(folder);
	assert_non_null(dir);
	size_t counts[2] = {0};
	for (struct dirent *entry; (entry = readdir(dir));) {
		if (entry->d_name[0] == '.')
			continue;
		char path[512];
		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		struct diag diag = DIAG_INIT;
		struct mapper *mapper = load_mapper(path, &diag);
		bool is_valid = strncmp(entry->d_name, "y_", 2) == 0;
		if (is_valid == !mapper)
			fail_msg("%s: %s", path, mapper ? "loads" : diag.messages[0].text);
		counts[is_valid]++;
		mapper_unref(&mapper);
		diag_fini(&diag);
	}
	closedir(dir);
	assert_true(counts[0] >= 30);
	assert_true(counts[1] >= 19);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_parse__empty_files),
	    cmocka_unit_test(test_parse__structure),
	    cmocka_unit_test(test_parse__unknown_keys),
	    cmocka_unit_test(test_parse__types),
	    cmocka_unit_test(test_parse__a_wrong_type_is_one_error),
	    cmocka_unit_test(test_parse__bad_regexes_beside_other_errors),
	    cmocka_unit_test(test_parse__names),
	    cmocka_unit_test(test_parse__globs),
	    cmocka_unit_test(test_parse__labels),
	    cmocka_unit_test(test_parse__ranges),
	    cmocka_unit_test(test_parse__options_of_the_other_type),
	    cmocka_unit_test(test_parse__reports_everything_at_once),
	    cmocka_unit_test(test_parse__legacy_keys),
	    cmocka_unit_test(test_new_default),
	    cmocka_unit_test(test_resolve__built_in),
	    cmocka_unit_test(test_resolve__every_key_of_a_rule),
	    cmocka_unit_test(test_resolve__zero_first),
	    cmocka_unit_test(test_resolve__exemplar_tag),
	    cmocka_unit_test(test_resolve__defaults),
	    cmocka_unit_test(test_resolve__no_observer_type_named),
	    cmocka_unit_test(test_resolve__legacy),
	    cmocka_unit_test(test_resolve__native_bucket_factor),
	    cmocka_unit_test(test_resolve__only_infinite_bucket),
	    cmocka_unit_test(test_resolve__merges),
	    cmocka_unit_test(test_resolve__places),
	    cmocka_unit_test(test_parse__counts_at_their_caps),
	    cmocka_unit_test(test_parse__hundred_thousand_rules),
	    cmocka_unit_test(test_parse__hostile),
	    cmocka_unit_test(test_parse__long_texts_are_cut_in_messages),
	    cmocka_unit_test(test_parse__anchor_bomb_of_rules),
	    cmocka_unit_test(test_parse__larger_than_the_cap),
	    cmocka_unit_test(test_parse__errors_of_an_earlier_file_do_not_count),
	    cmocka_unit_test(test_parse__order_at_the_cap),
	    cmocka_unit_test(test_load__unreadable),
	    cmocka_unit_test(test_load__silent_fifo),
	    cmocka_unit_test(test_load__fifo_without_a_byte),
	    cmocka_unit_test(test_load__fifo),
	    cmocka_unit_test(test_load__pipe_whose_writer_has_gone),
	    cmocka_unit_test(test_load__empty),
	    cmocka_unit_test(test_load__example),
	    cmocka_unit_test(test_load__recorded_files),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
