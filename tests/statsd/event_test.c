#include "test.h"

#include "statsd/event.h"

static void
test_parse_event(void **state)
{
	(void)state;
	static const struct {
		struct span line;
		const char *title, *text, *sections;
		enum statsd_event_repair repair;
	} rows[] = {
	    {SPAN("_e{5,4}:title|text"), "title", "text", "", STATSD_EVENT_AS_SENT},
	    {SPAN("_e{005,000000004}:title|text"), "title", "text", "", STATSD_EVENT_AS_SENT},
	    {SPAN("_e{21,36}:An exception occurred|Cannot parse CSV file from 10.0.0.17|t:warning"
		  "|#err_type:bad_file"),
	     "An exception occurred", "Cannot parse CSV file from 10.0.0.17",
	     "|t:warning|#err_type:bad_file", STATSD_EVENT_AS_SENT},
	    {SPAN("_e{5,0}:title|"), "title", "", "", STATSD_EVENT_AS_SENT},
	    {SPAN("_e{5,0}:title||t:info"), "title", "", "|t:info", STATSD_EVENT_AS_SENT},
	    {SPAN("_e{1,10}:a|line\\nnext"), "a", "line\\nnext", "", STATSD_EVENT_AS_SENT},
	    {SPAN("_e{3,3}:a|b|c|d"), "a|b", "c|d", "", STATSD_EVENT_AS_SENT},
	    {SPAN("_e{2,1}:\xc3\xa9|b"), "\xc3\xa9", "b", "", STATSD_EVENT_AS_SENT},
	    {SPAN("_e{1,1}:a|b|"), "a", "b", "|", STATSD_EVENT_AS_SENT},
	    {SPAN("_e{1,1}:a|b|q:new|d:soon|"), "a", "b", "|q:new|d:soon|", STATSD_EVENT_AS_SENT},
	    {SPAN("_e{1,1}:\xff|\xfe"), "\xff", "\xfe", "", STATSD_EVENT_AS_SENT},
	    /* lengths that count something else than bytes */
	    {SPAN("_e{1,1}:\xc3\xa9|b"), "\xc3\xa9", "b", "", STATSD_EVENT_CHARACTERS},
	    {SPAN("_e{1,2}:a|\xc3\xa9\xc3\xa9|#k"), "a", "\xc3\xa9\xc3\xa9", "|#k",
	     STATSD_EVENT_CHARACTERS},
	    {SPAN("_e{1,1}:\xf0\x9f\x98\x80|b"), "\xf0\x9f\x98\x80", "b", "",
	     STATSD_EVENT_CHARACTERS},
	    {SPAN("_e{2,1}:\xf0\x9f\x98\x80|b"), "\xf0\x9f\x98\x80", "b", "", STATSD_EVENT_UTF16},
	    {SPAN("_e{1,3}:a|\xf0\x9f\x98\x80z|t:info"), "a", "\xf0\x9f\x98\x80z", "|t:info",
	     STATSD_EVENT_UTF16},
	    {SPAN("_e{1,4}:a|line\\nnext"), "a", "line\\nnext", "", STATSD_EVENT_TEXT_LONGER},
	    {SPAN("_e{1,0}:a|b|t:info"), "a", "b", "|t:info", STATSD_EVENT_TEXT_LONGER},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct statsd_event event;
		size_t where;
		enum statsd_reason got = statsd_parse_event(rows[i].line, &event, &where);
		if (got || event.repair != rows[i].repair)
			fail_msg("\"%.*s\": %s, repair %d", SPAN_ARGS(rows[i].line),
				 statsd_reason_text(got), event.repair);
		assert_span_equal(event.title, rows[i].title);
		assert_span_equal(event.text, rows[i].text);
		assert_span_equal(event.sections, rows[i].sections);
	}
}

static void
test_parse_event__nul(void **state)
{
	(void)state;
	struct statsd_event event;
	size_t where;
	assert_int_equal(statsd_parse_event(SPAN("_e{3,2}:a\0b|\0c"), &event, &where), STATSD_OK);
	assert_true(span_equal(event.title, SPAN("a\0b")));
	assert_true(span_equal(event.text, SPAN("\0c")));
}

static void
test_parse_event__refused(void **state)
{
	(void)state;
	static const struct {
		struct span line;
		size_t where;
	} rows[] = {
	    {SPAN("_e{"), 3},
	    {SPAN("_e{1"), 4},
	    {SPAN("_e{1,"), 5},
	    {SPAN("_e{1,1"), 6},
	    {SPAN("_e{1,1}"), 7},
	    {SPAN("_e{1,1}:"), 8},
	    {SPAN("_e{1,1}:a"), 9},
	    {SPAN("_e{1,1}:a|"), 10},
	    {SPAN("_e{,1}:a|b"), 3},
	    {SPAN("_e{1,}:a|b"), 5},
	    {SPAN("_e{1}:a"), 4},
	    {SPAN("_e{1,1:a|b"), 6},
	    {SPAN("_e{1,1}a|b"), 7},
	    {SPAN("_e{a,b}:a|b"), 3},
	    {SPAN("_e{-1,1}:a|b"), 3},
	    {SPAN("_e{+1,1}:a|b"), 3},
	    {SPAN("_e{1,+1}:a|b"), 5},
	    {SPAN("_e{ 1,1}:a|b"), 3},
	    {SPAN("_e{1\0,1}:a|b"), 4},
	    {SPAN("_e{0,4}:|text"), 3},
	    {SPAN("_e{999999999,999999999}:a|b"), 27},
	    {SPAN("_e{1000000000,1}:a|b"), 12},
	    {SPAN("_e{0000000001,1}:a|b"), 12},
	    {SPAN("_e{4294967295,1}:a|b"), 12},
	    {SPAN("_e{18446744073709551615,1}:a|b"), 12},
	    {SPAN("_e{1,18446744073709551615}:a|b"), 14},
	    {SPAN("_e{5,0}:title"), 13},
	    {SPAN("_e{5,4}:title|te"), 16},
	    {SPAN("_e{1,3}:a|b"), 11},
	    {SPAN("_e{2,1}:a|b"), 10},
	    {SPAN("_e{4,1}:ab|c"), 12},
	    {SPAN("_e{3,1}:\xf0\x9f\x98\x80|b"), 11},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct statsd_event event;
		size_t where = 999;
		enum statsd_reason got = statsd_parse_event(rows[i].line, &event, &where);
		if (got != STATSD_MALFORMED_EVENT || where != rows[i].where)
			fail_msg("\"%.*s\": %s at %zu", SPAN_ARGS(rows[i].line),
				 statsd_reason_text(got), where);
	}
}

static void
test_parse_check(void **state)
{
	(void)state;
	static const struct {
		struct span line;
		const char *name;
		unsigned status;
		const char *sections;
	} rows[] = {
	    {SPAN("_sc|n|0"), "n", 0, ""},
	    {SPAN("_sc|n|3"), "n", 3, ""},
	    {SPAN("_sc|a:b|1|m:msg|#a:b"), "a:b", 1, "|m:msg|#a:b"},
	    {SPAN("_sc|n|2|d:1700000000|h:web|#a:b|m:down"), "n", 2,
	     "|d:1700000000|h:web|#a:b|m:down"},
	    {SPAN("_sc|n|0|"), "n", 0, "|"},
	    {SPAN("_sc|\xff|0|d:abc"), "\xff", 0, "|d:abc"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct statsd_check check;
		size_t where;
		assert_int_equal(statsd_parse_check(rows[i].line, &check, &where), STATSD_OK);
		assert_span_equal(check.name, rows[i].name);
		assert_int_equal(check.status, rows[i].status);
		assert_span_equal(check.sections, rows[i].sections);
	}
}

static void
test_parse_check__refused(void **state)
{
	(void)state;
	static const struct {
		struct span line;
		size_t where;
	} rows[] = {
	    {SPAN("_sc|"), 4},      {SPAN("_sc|n"), 5},    {SPAN("_sc|n|"), 6},
	    {SPAN("_sc||0"), 4},    {SPAN("_sc|||"), 4},   {SPAN("_sc|n|4"), 6},
	    {SPAN("_sc|n|-1"), 6},  {SPAN("_sc|n|OK"), 6}, {SPAN("_sc|n|00"), 7},
	    {SPAN("_sc|n|0:m"), 7}, {SPAN("_sc|n||0"), 6}, {SPAN("_sc|n|\0"), 6},
	    {SPAN("_sc|n|0\0"), 7},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct statsd_check check;
		size_t where = 999;
		enum statsd_reason got = statsd_parse_check(rows[i].line, &check, &where);
		if (got != STATSD_MALFORMED_SERVICE_CHECK || where != rows[i].where)
			fail_msg("\"%.*s\": %s at %zu", SPAN_ARGS(rows[i].line),
				 statsd_reason_text(got), where);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_parse_event),          cmocka_unit_test(test_parse_event__nul),
	    cmocka_unit_test(test_parse_event__refused), cmocka_unit_test(test_parse_check),
	    cmocka_unit_test(test_parse_check__refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
