#include "test.h"

#include "exposition/text.h"

#include <math.h>

static struct buf out;

static int
setup(void **state)
{
	(void)state;
	buf_init(&out, SIZE_MAX);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	buf_fini(&out);
	return 0;
}

static void
test_family__head(void **state)
{
	(void)state;
	static const struct {
		struct family_view family;
		const char *want;
	} table[] = {
	    {{SPAN("requests"), SPAN("Requests."), METRIC_COUNTER},
	     "# HELP requests Requests.\n# TYPE requests counter\n"},
	    {{SPAN("g"), SPAN("a\\b\nc\"d\"\te\r"), METRIC_GAUGE},
	     "# HELP g a\\\\b\\nc\"d\"\te\r\n# TYPE g gauge\n"},
	    {{SPAN("h"), SPAN("\\n\n\\"), METRIC_HISTOGRAM},
	     "# HELP h \\\\n\\n\\\\\n# TYPE h histogram\n"},
	    {{SPAN("s"), SPAN("\xc3\xbc"), METRIC_SUMMARY},
	     "# HELP s \xc3\xbc\n# TYPE s summary\n"},
	    {{SPAN("e"), SPAN(""), METRIC_GAUGE}, "# HELP e \n# TYPE e gauge\n"},
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		buf_reset(&out);
		exposition_text.begin_family(NULL, &out, &table[i].family);
		assert_span_equal(buf_span(&out), table[i].want);
	}
}

static void
test_series__scalars(void **state)
{
	(void)state;
	static const struct {
		struct span labels;
		double value;
		const char *want;
	} table[] = {
	    {SPAN(""), 1, "up 1\n"},
	    {{NULL, 0}, 1, "up 1\n"},
	    {SPAN("a=\"b\""), 0.25, "up{a=\"b\"} 0.25\n"},
	    {SPAN("a=\"b\",c=\"d\\\"e\\\\f\\n\""), 1e6, "up{a=\"b\",c=\"d\\\"e\\\\f\\n\"} 1e+06\n"},
	    {SPAN("a=\"\""), -0.0, "up{a=\"\"} 0\n"},
	    {SPAN(""), 999999, "up 999999\n"},
	    {SPAN(""), 0.00001, "up 1e-05\n"},
	    {SPAN(""), -2.2250738585072014e-308, "up -2.2250738585072014e-308\n"},
	    {SPAN(""), NAN, "up NaN\n"},
	    {SPAN(""), INFINITY, "up +Inf\n"},
	    {SPAN(""), -INFINITY, "up -Inf\n"},
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		for (enum metric_type type = METRIC_COUNTER; type <= METRIC_GAUGE; type++) {
			struct family_view family = {SPAN("up"), SPAN("x"), type};
			struct series_view series = {.labels = table[i].labels,
						     .value = table[i].value};
			buf_reset(&out);
			exposition_text.add_series(NULL, &out, &family, &series, 1);
			assert_span_equal(buf_span(&out), table[i].want);
		}
	}
}

static const struct family_view histogram = {SPAN("h"), SPAN("x"), METRIC_HISTOGRAM};
static const struct family_view summary = {SPAN("s"), SPAN("x"), METRIC_SUMMARY};

static void
test_series__histogram(void **state)
{
	(void)state;
	static const double bounds[] = {0.005, 1, 1e6};
	static const struct span texts[] = {SPAN("0.005"), SPAN("1"), SPAN("1e+06")};
	static const uint64_t buckets[] = {2, 0, 999997, 1};
	struct series_view series = {
	    .labels = SPAN("a=\"b\",z=\"y\""),
	    .sum = 12.5,
	    .count = 1000000,
	    .bound_count = 3,
	    .bounds = bounds,
	    .bound_texts = texts,
	    .buckets = buckets,
	};
	exposition_text.add_series(NULL, &out, &histogram, &series, 1);
	assert_span_equal(buf_span(&out), "h_bucket{a=\"b\",z=\"y\",le=\"0.005\"} 2\n"
					  "h_bucket{a=\"b\",z=\"y\",le=\"1\"} 2\n"
					  "h_bucket{a=\"b\",z=\"y\",le=\"1e+06\"} 999999\n"
					  "h_bucket{a=\"b\",z=\"y\",le=\"+Inf\"} 1e+06\n"
					  "h_sum{a=\"b\",z=\"y\"} 12.5\n"
					  "h_count{a=\"b\",z=\"y\"} 1e+06\n");
}

static void
test_series__histogram_of_one_bucket(void **state)
{
	(void)state;
	static const uint64_t bucket = 18446744073709551615u;
	struct series_view series = {.labels = SPAN(""), .count = bucket, .buckets = &bucket};
	exposition_text.add_series(NULL, &out, &histogram, &series, 1);
	assert_span_equal(buf_span(&out), "h_bucket{le=\"+Inf\"} 1.8446744073709552e+19\n"
					  "h_sum 0\n"
					  "h_count 1.8446744073709552e+19\n");
}

static void
test_series__summary(void **state)
{
	(void)state;
	static const double quantiles[] = {0.5, 0.99}, values[] = {-0.25, NAN};
	static const struct span texts[] = {SPAN("0.5"), SPAN("0.99")};
	struct series_view series = {
	    .labels = SPAN("z=\"y\""),
	    .created_ms = 5,
	    .sum = -1.5,
	    .count = 3,
	    .quantile_count = 2,
	    .quantiles = quantiles,
	    .quantile_texts = texts,
	    .quantile_values = values,
	};
	exposition_text.add_series(NULL, &out, &summary, &series, 1);
	assert_span_equal(buf_span(&out), "s{z=\"y\",quantile=\"0.5\"} -0.25\n"
					  "s{z=\"y\",quantile=\"0.99\"} NaN\n"
					  "s_sum{z=\"y\"} -1.5\n"
					  "s_count{z=\"y\"} 3\n");
	buf_reset(&out);
	series.labels = SPAN("");
	exposition_text.add_series(NULL, &out, &summary, &series, 1);
	assert_span_equal(buf_span(&out), "s{quantile=\"0.5\"} -0.25\n"
					  "s{quantile=\"0.99\"} NaN\n"
					  "s_sum -1.5\n"
					  "s_count 3\n");
}

static void
test_series__summary_without_quantiles(void **state)
{
	(void)state;
	struct series_view series = {.labels = SPAN(""), .sum = 2, .count = 1};
	exposition_text.add_series(NULL, &out, &summary, &series, 1);
	assert_span_equal(buf_span(&out), "s_sum 2\ns_count 1\n");
}

/* Names and values as long as they may get, with the longest number behind them. */
static void
test_series__long_parts(void **state)
{
	(void)state;
	char name[4096], labels[65536];
	memset(name, 'n', sizeof(name));
	memset(labels, 'l', sizeof(labels));
	struct family_view family = {span_of(name, sizeof(name)), SPAN("x"), METRIC_GAUGE};
	struct series_view series = {.labels = span_of(labels, sizeof(labels)),
				     .value = -2.2250738585072014e-308};
	exposition_text.add_series(NULL, &out, &family, &series, 1);
	struct span text = buf_span(&out);
	assert_int_equal(text.len,
			 sizeof(name) + sizeof(labels) + strlen("{} -2.2250738585072014e-308\n"));
	assert_memory_equal(text.ptr, name, sizeof(name));
	assert_memory_equal(text.ptr + sizeof(name) + 1, labels, sizeof(labels));
	assert_true(span_ends(text, SPAN("l} -2.2250738585072014e-308\n")));
}

/* Texts are copied in blocks, whose ends may overlap. */
static void
test_series__parts_of_any_length(void **state)
{
	(void)state;
	char bytes[300];
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)('a' + i % 26);
	for (size_t len = 1; len <= sizeof(bytes); len++) {
		int print_len = (int)len;
		struct family_view family = {span_of(bytes, len), SPAN("x"), METRIC_GAUGE};
		struct series_view series = {.labels = span_of(bytes, len), .value = 1};
		struct buf want = BUF_INIT;
		buf_printf(&want, "%.*s{%.*s} 1\n", print_len, bytes, print_len, bytes);
		buf_reset(&out);
		exposition_text.add_series(NULL, &out, &family, &series, 1);
		assert_span_equal(buf_span(&out), buf_text(&want));
		buf_fini(&want);
	}
}

static void
test_series__buffer_with_a_cap(void **state)
{
	(void)state;
	struct buf small;
	buf_init(&small, 40);
	struct series_view series = {.labels = SPAN("a=\"b\""), .value = 1};
	for (int i = 0; i < 3; i++)
		exposition_text.add_series(NULL, &small, &summary, &series, 1);
	exposition_text.begin_family(NULL, &small, &summary);
	assert_true(buf_failed(&small));
	assert_true(small.len <= 40);
	buf_fini(&small);
}

#define text_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    text_test(test_family__head),
	    text_test(test_series__scalars),
	    text_test(test_series__histogram),
	    text_test(test_series__histogram_of_one_bucket),
	    text_test(test_series__summary),
	    text_test(test_series__summary_without_quantiles),
	    text_test(test_series__long_parts),
	    text_test(test_series__parts_of_any_length),
	    text_test(test_series__buffer_with_a_cap),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
