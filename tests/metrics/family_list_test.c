#include "fixture.h"

#include "metrics/family_list.h"

static struct reader *
reader_of(struct family_list *list)
{
	struct reader *reader = family_list_reader(&list);
	assert_null(list);
	return reader;
}

#define assert_reads(given, want)                             \
	do {                                                  \
		struct reader *reads_ = given;                \
		struct buf shown_ = BUF_INIT;                 \
		show_reader(&reads_, &shown_);                \
		assert_string_equal(buf_text(&shown_), want); \
		buf_fini(&shown_);                            \
	} while (0)

/* Families by name, of one sample each whose value is given. */
static struct reader *
families(const char *const *names, double value)
{
	struct family_list *list = family_list_new();
	for (; *names; names++) {
		family_list_begin(list, span_text(*names), SPAN("h"), METRIC_GAUGE);
		family_list_add(list, NULL, value);
	}
	return reader_of(list);
}

static void
test_reader__empty(void **state)
{
	(void)state;
	struct reader *reader = reader_of(family_list_new());
	struct series_view series;
	assert_false(reader_next_series(reader, &series));
	assert_reads(reader, "");
}

static void
test_reader__families_in_name_order(void **state)
{
	(void)state;
	struct family_list *list = family_list_new();
	struct labels labels;
	labels_parse("b=2,a=\"1", &labels);
	family_list_begin(list, SPAN("b"), SPAN("second \\ \n"), METRIC_COUNTER);
	family_list_add_with(list, "reason", SPAN("x\ny"), 3);
	family_list_add_with(list, "reason", SPAN("z"), 4);
	family_list_begin(list, SPAN("ab"), SPAN(""), METRIC_GAUGE);
	family_list_add(list, &labels, -1.5);
	family_list_begin(list, SPAN("a"), SPAN("first"), METRIC_GAUGE);
	family_list_add(list, NULL, NAN);
	assert_reads(reader_of(list), "a gauge first\n{} nan\n"
				      "ab gauge \n{a=\"\\\"1\",b=\"2\"} -1.5\n"
				      "b counter second \\ \n\n"
				      "{reason=\"x\\ny\"} 3\n{reason=\"z\"} 4\n");
}

static void
test_reader__family_without_samples_is_not_shown(void **state)
{
	(void)state;
	struct family_list *list = family_list_new();
	family_list_begin(list, SPAN("a"), SPAN("h"), METRIC_GAUGE);
	family_list_begin(list, SPAN("b"), SPAN("h"), METRIC_GAUGE);
	family_list_add(list, NULL, 1);
	family_list_begin(list, SPAN("c"), SPAN("h"), METRIC_GAUGE);
	assert_reads(reader_of(list), "b gauge h\n{} 1\n");
}

static void
test_reader__series_in_output_order(void **state)
{
	(void)state;
	struct family_list *list = family_list_new();
	struct labels two;
	labels_parse("a=0,b=0", &two);
	family_list_begin(list, SPAN("a"), SPAN("h"), METRIC_COUNTER);
	family_list_add(list, &two, 5);
	family_list_add_with(list, "reason", SPAN("zebra"), 4);
	family_list_add_with(list, "reason", SPAN("ant"), 2);
	family_list_add_with(list, "reason", SPAN("bee"), 3);
	family_list_add(list, NULL, 1);
	assert_reads(reader_of(list), "a counter h\n{} 1\n{reason=\"ant\"} 2\n{reason=\"bee\"} 3\n"
				      "{reason=\"zebra\"} 4\n{a=\"0\",b=\"0\"} 5\n");
}

static void
test_reader__series_may_be_skipped(void **state)
{
	(void)state;
	struct family_list *list = family_list_new();
	for (unsigned i = 0; i < 3; i++) {
		char name = (char)('a' + i);
		family_list_begin(list, span_of(&name, 1), SPAN("h"), METRIC_GAUGE);
		for (unsigned k = 0; k < 100; k++)
			family_list_add(list, NULL, i * 1000 + k);
	}
	struct reader *reader = reader_of(list);
	struct family_view family;
	struct series_view series;
	assert_true(reader_next_family(reader, &family));
	assert_true(reader_next_family(reader, &family));
	assert_span_equal(family.name, "b");
	assert_true(reader_next_series(reader, &series));
	assert_true(series.value == 1000);
	assert_true(reader_next_family(reader, &family));
	assert_true(reader_next_series(reader, &series));
	assert_true(series.value == 2000);
	assert_no_family(reader);
	reader_free(&reader);
	assert_null(reader);
	reader_free(&reader);
}

static void
test_merge__one_sequence(void **state)
{
	(void)state;
	static const struct {
		const char *first[5], *second[5], *want;
	} cases[] = {
	    {{NULL}, {NULL}, ""},
	    {{"a", NULL}, {NULL}, "a gauge h\n{} 1\n"},
	    {{NULL}, {"a", NULL}, "a gauge h\n{} 2\n"},
	    {{"a", NULL}, {"a", NULL}, "a gauge h\n{} 1\n"},
	    {{"a", "c", NULL},
	     {"b", "d", NULL},
	     "a gauge h\n{} 1\nb gauge h\n{} 2\nc gauge h\n{} 1\nd gauge h\n{} 2\n"},
	    {{"c", "d", NULL},
	     {"a", "b", NULL},
	     "a gauge h\n{} 2\nb gauge h\n{} 2\nc gauge h\n{} 1\nd gauge h\n{} 1\n"},
	    {{"b", "c", NULL},
	     {"a", "b", "c", NULL},
	     "a gauge h\n{} 2\nb gauge h\n{} 1\nc gauge h\n{} 1\n"},
	    {{"a", "b", NULL},
	     {"b", "bb", NULL},
	     "a gauge h\n{} 1\nb gauge h\n{} 1\nbb gauge h\n{} 2\n"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct reader *first = families(cases[i].first, 1);
		struct reader *second = families(cases[i].second, 2);
		struct reader *merged = reader_merge(&first, &second);
		assert_null(first);
		assert_null(second);
		assert_reads(merged, cases[i].want);
	}
}

static void
test_merge__skipping_series_keeps_both_in_step(void **state)
{
	(void)state;
	struct reader *first = families((const char *const[]){"a", "c", NULL}, 1);
	struct reader *second = families((const char *const[]){"b", "c", "d", NULL}, 2);
	struct reader *merged = reader_merge(&first, &second);
	struct family_view family;
	static const char *const names[] = {"a", "b", "c", "d"};
	for (unsigned i = 0; i < 4; i++) {
		assert_true(reader_next_family(merged, &family));
		assert_span_equal(family.name, names[i]);
	}
	assert_no_family(merged);
	assert_no_family(merged);
	reader_free(&merged);
}

static void
test_merge__with_the_registry(void **state)
{
	(void)state;
	struct fixture fixture = fixture_open(1, 10, NULL, 0);
	fixture_send(&fixture, METRIC_COUNTER, "client", "", 0, 3);
	fixture_send(&fixture, METRIC_COUNTER, "own_b", "", 0, 3);
	struct reader *own = families((const char *const[]){"own_a", "own_b", "own_c", NULL}, 1);
	struct reader *clients = read_all(fixture.registry, 0);
	assert_reads(reader_merge(&own, &clients),
		     "client counter help\n{} 3\n"
		     "own_a gauge h\n{} 1\nown_b gauge h\n{} 1\nown_c gauge h\n{} 1\n");
	fixture_close(&fixture);
}

static void
test_merge__has_what_its_family_has(void **state)
{
	(void)state;
	struct fixture fixture = fixture_open(1, 10, NULL, 0);
	fixture_send(&fixture, METRIC_COUNTER, "b", "k=v", 0, 3);
	struct reader *own = families((const char *const[]){"a", "c", NULL}, 1);
	struct reader *clients = read_all(fixture.registry, 0);
	struct reader *merged = reader_merge(&own, &clients);
	struct family_view family;
	for (unsigned i = 0; i < 3; i++) {
		assert_true(reader_next_family(merged, &family));
		assert_int_equal(reader_has_series(merged, SPAN("k=\"v\"")), i == 1);
	}
	reader_free(&merged);
	fixture_close(&fixture);
}

static void
test_merge__native_histograms_are_asked_for(void **state)
{
	(void)state;
	static const struct histogram_options options = {3, fixture_bounds, 1.1, 256};
	struct fixture fixture = fixture_open(1, 10, NULL, 0);
	fixture.histogram = &options;
	fixture_send(&fixture, METRIC_HISTOGRAM, "client", "", 0, 3);
	for (int wants = 0; wants < 2; wants++) {
		struct reader *own = families((const char *const[]){"own", NULL}, 1);
		struct reader *clients = read_all(fixture.registry, 0);
		struct reader *merged = reader_merge(&own, &clients);
		struct family_view family;
		struct series_view series;
		if (wants)
			reader_want(merged, READER_NATIVE);
		assert_true(reader_next_family(merged, &family));
		assert_true(reader_next_series(merged, &series));
		assert_int_equal(series.native != NULL, wants);
		reader_free(&merged);
	}
	fixture_close(&fixture);
}

static void
test_merge__freed_early(void **state)
{
	(void)state;
	struct fixture fixture = fixture_open(1, 10, NULL, 0);
	fixture_send(&fixture, METRIC_COUNTER, "client", "", 0, 3);
	struct reader *own = families((const char *const[]){"own", NULL}, 1);
	struct reader *clients = read_all(fixture.registry, 0);
	struct reader *merged = reader_merge(&own, &clients);
	struct family_view family;
	assert_true(reader_next_family(merged, &family));
	reader_free(&merged);
	fixture_close(&fixture);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_reader__empty),
	    cmocka_unit_test(test_reader__families_in_name_order),
	    cmocka_unit_test(test_reader__family_without_samples_is_not_shown),
	    cmocka_unit_test(test_reader__series_in_output_order),
	    cmocka_unit_test(test_reader__series_may_be_skipped),
	    cmocka_unit_test(test_merge__one_sequence),
	    cmocka_unit_test(test_merge__skipping_series_keeps_both_in_step),
	    cmocka_unit_test(test_merge__with_the_registry),
	    cmocka_unit_test(test_merge__has_what_its_family_has),
	    cmocka_unit_test(test_merge__native_histograms_are_asked_for),
	    cmocka_unit_test(test_merge__freed_early),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
