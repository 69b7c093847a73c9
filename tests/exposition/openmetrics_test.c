#include "test.h"

#include "exposition/fake_reader.h"
#include "exposition/openmetrics.h"
#include "exposition/writer.h"

#include <math.h>

/* What a scrape of these families shows. */
static struct buf
render_with(const struct fake_family *families, size_t count, bool with_created)
{
	unsigned frees = 0;
	struct reader *reader = fake_reader_new(families, count, &frees);
	struct exposition_writer *writer =
	    exposition_writer_new(EXPOSITION_OPENMETRICS_1_0_0, with_created, &reader);
	struct buf out = BUF_INIT;
	assert_true(exposition_writer_fill(writer, &out, SIZE_MAX));
	exposition_writer_free(&writer);
	return out;
}

static struct buf
render(const struct fake_family *families, size_t count)
{
	return render_with(families, count, false);
}

static void
assert_rendered(const struct fake_family *families, size_t count, const char *want)
{
	struct buf out = render(families, count);
	assert_span_equal(buf_span(&out), want);
	buf_fini(&out);
}

static void
test_scrape__nothing(void **state)
{
	(void)state;
	assert_rendered(NULL, 0, "# EOF\n");
}

static void
test_scrape__counters_and_gauges(void **state)
{
	(void)state;
	static const struct series_view counters[] = {
	    {.labels = SPAN(""), .value = 1},
	    {.labels = SPAN("a=\"b\\\"\\n\""), .value = 2.5},
	};
	static const struct series_view gauges[] = {
	    {.labels = SPAN("n=\"0\""), .value = -0.0},
	    {.labels = SPAN("n=\"1\""), .value = 999999},
	    {.labels = SPAN("n=\"2\""), .value = 1e6},
	    {.labels = SPAN("n=\"3\""), .value = -1e-5},
	    {.labels = SPAN("n=\"4\""), .value = NAN},
	    {.labels = SPAN("n=\"5\""), .value = INFINITY},
	    {.labels = SPAN("n=\"6\""), .value = -INFINITY},
	};
	static const struct fake_family families[] = {
	    {{SPAN("a_total"), SPAN("Say \"a\\b\n\"."), METRIC_COUNTER}, counters, 2},
	    {{SPAN("b"), SPAN(""), METRIC_COUNTER}, counters, 1},
	    {{SPAN("g_total"), SPAN("x"), METRIC_GAUGE}, gauges, 7},
	};
	assert_rendered(families, 3,
			"# TYPE a counter\n"
			"# HELP a Say \\\"a\\\\b\\n\\\".\n"
			"a_total 1.0\n"
			"a_total{a=\"b\\\"\\n\"} 2.5\n"
			"# TYPE b unknown\n"
			"# HELP b \n"
			"b 1.0\n"
			"# TYPE g_total gauge\n"
			"# HELP g_total x\n"
			"g_total{n=\"0\"} 0.0\n"
			"g_total{n=\"1\"} 999999.0\n"
			"g_total{n=\"2\"} 1e+06\n"
			"g_total{n=\"3\"} -1e-05\n"
			"g_total{n=\"4\"} NaN\n"
			"g_total{n=\"5\"} +Inf\n"
			"g_total{n=\"6\"} -Inf\n"
			"# EOF\n");
}

static const double bounds[] = {0.005, 1, 100000, 1e6};
static const struct span bound_texts[] = {SPAN("0.005"), SPAN("1"), SPAN("100000"), SPAN("1e+06")};
static const uint64_t buckets[] = {2, 0, 999998, 0, 1};

static void
test_scrape__histogram(void **state)
{
	(void)state;
	static const struct series_view series[] = {{.labels = SPAN("a=\"b\""),
						     .created_ms = 5,
						     .sum = 4,
						     .count = 1000001,
						     .bound_count = 4,
						     .bounds = bounds,
						     .bound_texts = bound_texts,
						     .buckets = buckets}};
	static const struct fake_family family = {
	    {SPAN("h"), SPAN("x"), METRIC_HISTOGRAM}, series, 1};
	assert_rendered(&family, 1,
			"# TYPE h histogram\n"
			"# HELP h x\n"
			"h_bucket{a=\"b\",le=\"0.005\"} 2\n"
			"h_bucket{a=\"b\",le=\"1.0\"} 2\n"
			"h_bucket{a=\"b\",le=\"100000.0\"} 1000000\n"
			"h_bucket{a=\"b\",le=\"1e+06\"} 1000000\n"
			"h_bucket{a=\"b\",le=\"+Inf\"} 1000001\n"
			"h_sum{a=\"b\"} 4.0\n"
			"h_count{a=\"b\"} 1000001\n"
			"# EOF\n");
}

/* A histogram whose sum may shrink has no sum, and then no count. */
static void
test_scrape__histogram_without_sum(void **state)
{
	(void)state;
	static const double negative[] = {-1};
	static const double zero[] = {0};
	static const struct span negative_texts[] = {SPAN("-1")}, zero_texts[] = {SPAN("0")};
	static const struct series_view below[] = {{.labels = SPAN(""),
						    .sum = 5,
						    .count = 2,
						    .bound_count = 1,
						    .bounds = negative,
						    .bound_texts = negative_texts,
						    .buckets = buckets}};
	static const struct series_view sums[] = {{.labels = SPAN(""),
						   .sum = -5,
						   .count = 2,
						   .bound_count = 1,
						   .bounds = zero,
						   .bound_texts = zero_texts,
						   .buckets = buckets}};
	static const struct series_view zeros[] = {{.labels = SPAN(""),
						    .count = 2,
						    .bound_count = 1,
						    .bounds = zero,
						    .bound_texts = zero_texts,
						    .buckets = buckets}};
	static const struct fake_family families[] = {
	    {{SPAN("a"), SPAN("x"), METRIC_HISTOGRAM}, below, 1},
	    {{SPAN("b"), SPAN("x"), METRIC_HISTOGRAM}, sums, 1},
	    {{SPAN("c"), SPAN("x"), METRIC_HISTOGRAM}, zeros, 1},
	};
	assert_rendered(families, 3,
			"# TYPE a histogram\n"
			"# HELP a x\n"
			"a_bucket{le=\"-1.0\"} 2\n"
			"a_bucket{le=\"+Inf\"} 2\n"
			"# TYPE b histogram\n"
			"# HELP b x\n"
			"b_bucket{le=\"0.0\"} 2\n"
			"b_bucket{le=\"+Inf\"} 2\n"
			"# TYPE c histogram\n"
			"# HELP c x\n"
			"c_bucket{le=\"0.0\"} 2\n"
			"c_bucket{le=\"+Inf\"} 2\n"
			"c_sum 0.0\n"
			"c_count 2\n"
			"# EOF\n");
}

/* What is negative is left out, and nothing else. */
static void
test_scrape__summary(void **state)
{
	(void)state;
	static const double quantiles[] = {0, 0.5, 0.99, 1}, values[] = {-2, NAN, 0, 7},
			    none[] = {-4, -3, -2, -1};
	static const struct span texts[] = {SPAN("0"), SPAN("0.5"), SPAN("0.99"), SPAN("1")};
	static const struct series_view series[] = {{.labels = SPAN("a=\"b\""),
						     .sum = 12,
						     .count = 3,
						     .quantile_count = 4,
						     .quantiles = quantiles,
						     .quantile_texts = texts,
						     .quantile_values = values},
						    {.labels = SPAN("a=\"c\""),
						     .sum = -12,
						     .count = 3,
						     .quantile_count = 4,
						     .quantiles = quantiles,
						     .quantile_texts = texts,
						     .quantile_values = none}};
	static const struct fake_family family = {
	    {SPAN("s"), SPAN("x"), METRIC_SUMMARY}, series, 2};
	assert_rendered(&family, 1,
			"# TYPE s summary\n"
			"# HELP s x\n"
			"s{a=\"b\",quantile=\"0.5\"} NaN\n"
			"s{a=\"b\",quantile=\"0.99\"} 0.0\n"
			"s{a=\"b\",quantile=\"1.0\"} 7.0\n"
			"s_sum{a=\"b\"} 12.0\n"
			"s_count{a=\"b\"} 3\n"
			"s_count{a=\"c\"} 3\n"
			"# EOF\n");
}

/* Once for each series that may have it, next to its other samples. */
static void
test_scrape__times_of_birth(void **state)
{
	(void)state;
	static const struct series_view counters[] = {
	    {.labels = SPAN("a=\"b\""), .created_ms = 1700000000123, .value = 1},
	    {.labels = SPAN("a=\"c\""), .value = 2},
	    {.labels = SPAN("a=\"d\""), .created_ms = 1000, .value = 3},
	};
	static const struct series_view observers[] = {{.labels = SPAN("a=\"b\""),
							.created_ms = 1700000000000,
							.sum = 4,
							.count = 2,
							.buckets = buckets}};
	static const struct fake_family families[] = {
	    {{SPAN("c_total"), SPAN(""), METRIC_COUNTER}, counters, 3},
	    {{SPAN("g"), SPAN(""), METRIC_GAUGE}, counters, 1},
	    {{SPAN("h"), SPAN(""), METRIC_HISTOGRAM}, observers, 1},
	    {{SPAN("s"), SPAN(""), METRIC_SUMMARY}, observers, 1},
	    {{SPAN("u"), SPAN(""), METRIC_COUNTER}, counters, 1},
	};
	struct buf out = render_with(families, 5, true);
	assert_span_equal(buf_span(&out), "# TYPE c counter\n"
					  "# HELP c \n"
					  "c_total{a=\"b\"} 1.0\n"
					  "c_created{a=\"b\"} 1.700000000123e+09\n"
					  "c_total{a=\"c\"} 2.0\n"
					  "c_total{a=\"d\"} 3.0\n"
					  "c_created{a=\"d\"} 1.0\n"
					  "# TYPE g gauge\n"
					  "# HELP g \n"
					  "g{a=\"b\"} 1.0\n"
					  "# TYPE h histogram\n"
					  "# HELP h \n"
					  "h_bucket{a=\"b\",le=\"+Inf\"} 2\n"
					  "h_sum{a=\"b\"} 4.0\n"
					  "h_count{a=\"b\"} 2\n"
					  "h_created{a=\"b\"} 1.7e+09\n"
					  "# TYPE s summary\n"
					  "# HELP s \n"
					  "s_sum{a=\"b\"} 4.0\n"
					  "s_count{a=\"b\"} 2\n"
					  "s_created{a=\"b\"} 1.7e+09\n"
					  "# TYPE u unknown\n"
					  "# HELP u \n"
					  "u{a=\"b\"} 1.0\n"
					  "# EOF\n");
	buf_fini(&out);
}

/* ---- Names. ---- */

static const struct series_view one[] = {{.labels = SPAN(""), .value = 1, .buckets = buckets}};

/* `name` is a letter of the type and the name: "c a_total". */
static struct fake_family
family_of(const char *name)
{
	enum metric_type type = *name == 'c'   ? METRIC_COUNTER
				: *name == 'g' ? METRIC_GAUGE
				: *name == 'h' ? METRIC_HISTOGRAM
					       : METRIC_SUMMARY;
	return (struct fake_family){{span_text(name + 2), SPAN(""), type}, one, 1};
}

/* The names and types of what is shown: "a counter, b unknown". */
static struct buf
shown_types(struct span text)
{
	struct buf out = BUF_INIT;
	while (text.len) {
		size_t len = (size_t)(span_find(text, '\n') - text.ptr);
		struct span line = span_first(text, len);
		text = span_from(text, len + 1);
		if (!span_starts(line, SPAN("# TYPE ")))
			continue;
		if (out.len)
			buf_add_text(&out, ", ");
		buf_add_span(&out, span_from(line, 7));
	}
	return out;
}

static void
test_names__clashes(void **state)
{
	(void)state;
	static const struct {
		const char *families[5]; /* in name order */
		const char *want;
	} table[] = {
	    {{"c a_total"}, "a counter"},
	    {{"c a"}, "a unknown"},
	    {{"c _total"}, "_total unknown"},
	    {{"c total"}, "total unknown"},
	    {{"c a_total", "g a_totals"}, "a counter, a_totals gauge"},
	    /* The family's name is in use. */
	    {{"g a", "c a_total"}, "a gauge, a_total unknown"},
	    {{"s a", "c a_total"}, "a summary, a_total unknown"},
	    {{"c a", "c a_total"}, "a unknown, a_total unknown"},
	    {{"g a", "g a_b", "g a_c_d", "c a_total"},
	     "a gauge, a_b gauge, a_c_d gauge, a_total unknown"},
	    {{"g a", "g a_tot", "c a_total"}, "a gauge, a_tot gauge, a_total unknown"},
	    {{"g a_", "g a_A", "c a__total"}, "a_ gauge, a_A gauge, a__total unknown"},
	    {{"g a", "g b", "c b_total"}, "a gauge, b gauge, b_total unknown"},
	    {{"g aa", "c ab_total"}, "aa gauge, ab counter"},
	    {{"g ab", "c a_total"}, "ab gauge, a counter"},
	    /* Its time of creation is. */
	    {{"g a_created", "c a_total"}, "a_created gauge, a_total unknown"},
	    {{"c a_created", "g a_d", "c a_total"},
	     "a_created unknown, a_d gauge, a_total unknown"},
	    {{"c a_created_total", "c a_total"}, "a_created counter, a_total unknown"},
	    {{"g a_created_", "c a_total"}, "a_created_ gauge, a counter"},
	    {{"g a_create", "c a_total"}, "a_create gauge, a counter"},
	    {{"g b_created", "c c_total"}, "b_created gauge, c counter"},
	    /* A counter has it already. */
	    {{"c a_total", "c a_total_total"}, "a counter, a_total_total unknown"},
	    {{"g a", "c a_total", "c a_total_total"},
	     "a gauge, a_total unknown, a_total_total unknown"},
	    /* It is part of a summary, or would be. */
	    {{"s a", "c a_sum_total"}, "a summary, a_sum_total unknown"},
	    {{"s a", "c a_count_total"}, "a summary, a_count_total unknown"},
	    {{"s a", "c a_bucket_total"}, "a summary, a_bucket_total unknown"},
	    {{"s a", "c a_created_total"}, "a summary, a_created_total unknown"},
	    {{"h a", "c a_sum_total"}, "a histogram, a_sum_total unknown"},
	    {{"s a", "g a_b", "c a_sum_total"}, "a summary, a_b gauge, a_sum_total unknown"},
	    {{"g a", "c a_sum_total"}, "a gauge, a_sum counter"},
	    {{"s a", "c ab_sum_total"}, "a summary, ab_sum counter"},
	    {{"s a", "c a_max_total"}, "a summary, a_max counter"},
	    /* No other family can give way: it is left out. */
	    {{"s a", "g a_created", "g a_d"}, "a summary, a_d gauge"},
	    {{"s a", "c a_sum", "g a_t"}, "a summary, a_t gauge"},
	    {{"s a", "s a_created", "g a_created_sum"}, "a summary, a_created_sum gauge"},
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct fake_family families[5];
		size_t count = 0;
		for (; count < 5 && table[i].families[count]; count++)
			families[count] = family_of(table[i].families[count]);
		struct buf text = render(families, count), types = shown_types(buf_span(&text));
		if (!span_equal(buf_span(&types), span_text(table[i].want)))
			fail_msg("%s ...: got %s, want %s", table[i].families[0], buf_text(&types),
				 table[i].want);
		buf_fini(&text);
		buf_fini(&types);
	}
}

/* And so are its series. */
static void
test_names__left_out(void **state)
{
	(void)state;
	const struct fake_family families[] = {family_of("s a"), family_of("g a_sum")};
	assert_rendered(families, 2,
			"# TYPE a summary\n"
			"# HELP a \n"
			"a_sum 0.0\n"
			"a_count 0\n"
			"# EOF\n");
}

static void
test_exemplars__of_totals_and_buckets(void **state)
{
	(void)state;
	static const struct exemplar_view exemplars[] = {{SPAN("t=\"a\\\"\""), 0.5, 1700000000301},
							 {SPAN(""), 0, 0},
							 {SPAN("t=\"b\""), 7, 5020}};
	static const struct span texts[] = {SPAN("1"), SPAN("2.5")};
	static const double two_bounds[] = {1, 2.5};
	static const uint64_t counts[] = {1, 2, 4};
	static const struct series_view counter = {
	    .labels = SPAN("k=\"v\""), .value = 3, .created_ms = 4000, .exemplars = exemplars};
	static const struct series_view histogram = {.labels = SPAN(""),
						     .sum = 9,
						     .count = 7,
						     .bound_count = 2,
						     .bounds = two_bounds,
						     .bound_texts = texts,
						     .buckets = counts,
						     .exemplars = exemplars};
	static const struct fake_family families[] = {
	    {{SPAN("a_total"), SPAN(""), METRIC_COUNTER}, &counter, 1},
	    {{SPAN("b"), SPAN(""), METRIC_COUNTER}, &counter, 1},
	    {{SPAN("h"), SPAN(""), METRIC_HISTOGRAM}, &histogram, 1},
	};
	assert_rendered(families, 3,
			"# TYPE a counter\n"
			"# HELP a \n"
			"a_total{k=\"v\"} 3.0 # {t=\"a\\\"\"} 0.5 1700000000.301\n"
			"# TYPE b unknown\n"
			"# HELP b \n"
			"b{k=\"v\"} 3.0\n"
			"# TYPE h histogram\n"
			"# HELP h \n"
			"h_bucket{le=\"1.0\"} 1 # {t=\"a\\\"\"} 0.5 1700000000.301\n"
			"h_bucket{le=\"2.5\"} 3\n"
			"h_bucket{le=\"+Inf\"} 7 # {t=\"b\"} 7.0 5.020\n"
			"h_sum 9.0\n"
			"h_count 7\n"
			"# EOF\n");
	struct buf out = render_with(families, 1, true);
	assert_non_null(strstr(buf_text(&out), ".301\na_created{k=\"v\"} 4.0\n"));
	buf_fini(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_scrape__nothing),
	    cmocka_unit_test(test_scrape__counters_and_gauges),
	    cmocka_unit_test(test_scrape__histogram),
	    cmocka_unit_test(test_scrape__histogram_without_sum),
	    cmocka_unit_test(test_scrape__summary),
	    cmocka_unit_test(test_scrape__times_of_birth),
	    cmocka_unit_test(test_names__clashes),
	    cmocka_unit_test(test_names__left_out),
	    cmocka_unit_test(test_exemplars__of_totals_and_buckets),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
