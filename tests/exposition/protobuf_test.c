#include "test.h"

#include "exposition/fake_reader.h"
#include "exposition/writer.h"

static struct buf
render(const struct fake_family *families, size_t count)
{
	unsigned frees = 0;
	struct reader *reader = fake_reader_new(families, count, &frees);
	struct exposition_writer *writer =
	    exposition_writer_new(EXPOSITION_PROTOBUF, false, &reader);
	struct buf out = BUF_INIT;
	assert_true(exposition_writer_fill(writer, &out, SIZE_MAX));
	exposition_writer_free(&writer);
	return out;
}

static void
assert_rendered(const struct fake_family *family, struct span want)
{
	struct buf out = render(family, 1);
	if (!span_equal(buf_span(&out), want)) {
		for (size_t i = 0; i < out.len; i++)
			print_error("%02x ", (unsigned char)out.ptr[i]);
		fail_msg("not the %zu bytes that are wanted", want.len);
	}
	buf_fini(&out);
}

#define DOUBLE_0 "\0\0\0\0\0\0\0\0"
#define DOUBLE_1 "\0\0\0\0\0\0\xf0\x3f"
#define DOUBLE_2 "\0\0\0\0\0\0\0\x40"
#define DOUBLE_HALF "\0\0\0\0\0\0\xe0\x3f"

static void
test_family__counter(void **state)
{
	(void)state;
	static const struct series_view series[] = {
	    {.labels = SPAN(""), .value = 1},
	    {.labels = SPAN("a=\"b\",c=\"\\\"\\\\\\n\",d=\"\""), .value = 2},
	};
	static const struct fake_family family = {
	    {SPAN("n_total"), SPAN("\"\\\n"), METRIC_COUNTER}, series, 2};
	assert_rendered(&family, SPAN("\x43"
				      "\x0a\x07n_total"
				      "\x12\x03\"\\\n"
				      "\x18\0"
				      "\x22\x0b\x1a\x09\x09" DOUBLE_1 "\x22\x24"
				      "\x0a\x06\x0a\x01"
				      "a\x12\x01"
				      "b"
				      "\x0a\x08\x0a\x01"
				      "c\x12\x03\"\\\n"
				      "\x0a\x05\x0a\x01"
				      "d\x12\0"
				      "\x1a\x09\x09" DOUBLE_2));
}

static void
test_family__gauge(void **state)
{
	(void)state;
	static const struct series_view series[] = {{.labels = SPAN(""), .value = 2}};
	static const struct fake_family family = {{SPAN("g"), SPAN(""), METRIC_GAUGE}, series, 1};
	assert_rendered(&family, SPAN("\x14"
				      "\x0a\x01g\x12\0\x18\x01"
				      "\x22\x0b\x12\x09\x09" DOUBLE_2));
}

static void
test_family__histogram(void **state)
{
	(void)state;
	static const double bounds[] = {0.5, 1};
	static const struct span texts[] = {SPAN("0.5"), SPAN("1")};
	static const uint64_t buckets[] = {3, 0, 297};
	static const struct series_view series[] = {{.labels = SPAN(""),
						     .sum = 2,
						     .count = 300,
						     .bound_count = 2,
						     .bounds = bounds,
						     .bound_texts = texts,
						     .buckets = buckets}};
	static const struct fake_family family = {
	    {SPAN("h"), SPAN(""), METRIC_HISTOGRAM}, series, 1};
	assert_rendered(&family, SPAN("\x31"
				      "\x0a\x01h\x12\0\x18\x04"
				      "\x22\x28\x3a\x26"
				      "\x08\xac\x02"
				      "\x11" DOUBLE_2 "\x1a\x0b\x08\x03\x11" DOUBLE_HALF
				      "\x1a\x0b\x08\x03\x11" DOUBLE_1));
}

/* A family of one histogram without classic bounds, of which `fields` follow behind `count` and 2.
 */
static void
assert_native(const struct native_view *native, const char *head, struct span count,
	      struct span fields)
{
	static const uint64_t buckets[] = {300};
	struct series_view series = {
	    .labels = SPAN(""), .sum = 2, .count = 300, .buckets = buckets, .native = native};
	struct fake_family family = {{SPAN("h"), SPAN(""), METRIC_HISTOGRAM}, &series, 1};
	struct buf want = BUF_INIT;
	buf_add(&want, head, 1);
	buf_add_span(&want, SPAN("\x0a\x01h\x12\0\x18\x04\x22"));
	buf_add(&want, head + 1, 1);
	buf_add_byte(&want, '\x3a');
	buf_add(&want, head + 2, 1);
	buf_add_byte(&want, '\x08');
	buf_add_span(&want, count);
	buf_add_span(&want, SPAN("\x11" DOUBLE_2));
	buf_add_span(&want, fields);
	assert_rendered(&family, buf_span(&want));
	buf_fini(&want);
}

static void
test_family__native_histogram(void **state)
{
	(void)state;
	static const struct native_span positive_spans[] = {{-2, 3}, {5, 1}};
	static const uint64_t positive[] = {1, 0, 3, 200}, negative[] = {70};
	static const struct native_span negative_spans[] = {{4, 1}};
	static const struct native_view native = {.schema = -1,
						  .zero_threshold = 0.5,
						  .zero_count = 26,
						  .positive = {2, positive_spans, 4, positive},
						  .negative = {1, negative_spans, 1, negative}};
	assert_native(&native, "\x41\x38\x36", SPAN("\xac\x02"),
		      SPAN("\x28\x01"
			   "\x31" DOUBLE_HALF "\x38\x1a"
			   "\x4a\x04\x08\x08\x10\x01"
			   "\x52\x02\x8c\x01"
			   "\x62\x04\x08\x03\x10\x03"
			   "\x62\x04\x08\x0a\x10\x01"
			   "\x6a\x05\x02\x01\x06\x8a\x03"));
	/* One side is enough to know it by. */
	struct native_view one_side = native;
	one_side.positive = (struct native_side){0};
	assert_native(&one_side, "\x2d\x24\x22", SPAN("\x60"),
		      SPAN("\x28\x01"
			   "\x31" DOUBLE_HALF "\x38\x1a"
			   "\x4a\x04\x08\x08\x10\x01"
			   "\x52\x02\x8c\x01"));
	one_side = native;
	one_side.negative = (struct native_side){0};
	assert_native(&one_side, "\x37\x2e\x2c", SPAN("\xe6\x01"),
		      SPAN("\x28\x01"
			   "\x31" DOUBLE_HALF "\x38\x1a"
			   "\x62\x04\x08\x03\x10\x03"
			   "\x62\x04\x08\x0a\x10\x01"
			   "\x6a\x05\x02\x01\x06\x8a\x03"));
}

static void
test_family__native_histogram_without_buckets(void **state)
{
	(void)state;
	static const struct native_view native = {.schema = 3, .zero_threshold = 0.5};
	/* The values came while it was read: Prometheus wants both to count the same. */
	assert_native(&native, "\x29\x20\x1e", SPAN("\0"),
		      SPAN("\x28\x06"
			   "\x31" DOUBLE_HALF "\x38\0"
			   "\x62\x04\x08\0\x10\0"));
}

/* Only who shows native histograms or exemplars has the reader take the time. */
static void
test_reader__is_told_what_is_shown(void **state)
{
	(void)state;
	static const unsigned wants[EXPOSITION_FORMATS] = {
	    [EXPOSITION_PROTOBUF] = READER_NATIVE | READER_EXEMPLARS,
	    [EXPOSITION_OPENMETRICS_0_0_1] = READER_EXEMPLARS,
	    [EXPOSITION_OPENMETRICS_1_0_0] = READER_EXEMPLARS,
	};
	for (int format = 0; format < EXPOSITION_FORMATS; format++) {
		unsigned frees = 0;
		struct reader *reader = fake_reader_new(NULL, 0, &frees), *same = reader;
		struct exposition_writer *writer =
		    exposition_writer_new((enum exposition_format)format, false, &reader);
		assert_int_equal(((struct fake_reader *)same)->wants, wants[format]);
		exposition_writer_free(&writer);
	}
}

static void
test_family__summary(void **state)
{
	(void)state;
	static const double quantiles[] = {0.5, 1}, values[] = {1, 2};
	static const struct span texts[] = {SPAN("0.5"), SPAN("1")};
	static const struct series_view series[] = {{.labels = SPAN(""),
						     .sum = 2,
						     .count = 3,
						     .quantile_count = 2,
						     .quantiles = quantiles,
						     .quantile_texts = texts,
						     .quantile_values = values}};
	static const struct fake_family family = {{SPAN("s"), SPAN(""), METRIC_SUMMARY}, series, 1};
	assert_rendered(&family, SPAN("\x3e"
				      "\x0a\x01s\x12\0\x18\x02"
				      "\x22\x35\x22\x33"
				      "\x08\x03"
				      "\x11" DOUBLE_2 "\x1a\x12\x09" DOUBLE_HALF "\x11" DOUBLE_1
				      "\x1a\x12\x09" DOUBLE_1 "\x11" DOUBLE_2));
}

/* The time a series was born, where it is known; gauges have none. */
static void
test_family__start_timestamps(void **state)
{
	(void)state;
	static const uint64_t bucket = 0;
	static const struct series_view series[] = {
	    {.labels = SPAN(""), .created_ms = 2005, .value = 1, .buckets = &bucket}};
	static const struct {
		enum metric_type type;
		struct span want;
	} table[] = {
	    {METRIC_COUNTER, SPAN("\x1d\x0a\x01m\x12\0\x18\0\x22\x14\x1a\x12\x09" DOUBLE_1
				  "\x1a\x07\x08\x02\x10\xc0\x96\xb1\x02")},
	    {METRIC_GAUGE, SPAN("\x14\x0a\x01m\x12\0\x18\x01\x22\x0b\x12\x09\x09" DOUBLE_1)},
	    {METRIC_SUMMARY, SPAN("\x1f\x0a\x01m\x12\0\x18\x02\x22\x16\x22\x14\x08\0\x11" DOUBLE_0
				  "\x22\x07\x08\x02\x10\xc0\x96\xb1\x02")},
	    {METRIC_HISTOGRAM, SPAN("\x1f\x0a\x01m\x12\0\x18\x04\x22\x16\x3a\x14\x08\0\x11" DOUBLE_0
				    "\x7a\x07\x08\x02\x10\xc0\x96\xb1\x02")},
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const struct fake_family family = {{SPAN("m"), SPAN(""), table[i].type}, series, 1};
		assert_rendered(&family, table[i].want);
	}
}

static void
test_scrape__nothing(void **state)
{
	(void)state;
	struct buf out = render(NULL, 0);
	assert_int_equal(out.len, 0);
	buf_fini(&out);
}

#define EXEMPLAR_OF(letter, seconds) \
	"\x0a\x06\x0a\x01t\x12\x01" letter "\x11" DOUBLE_2 "\x1a\x04\x08" seconds "\x10\0"

static void
test_exemplars__of_counter(void **state)
{
	(void)state;
	static const struct exemplar_view exemplar = {SPAN("t=\"x\""), 2, 5000};
	static const struct series_view series = {
	    .labels = SPAN(""), .value = 1, .exemplars = &exemplar};
	static const struct fake_family family = {
	    {SPAN("c"), SPAN(""), METRIC_COUNTER}, &series, 1};
	assert_rendered(&family,
			SPAN("\x2d"
			     "\x0a\x01"
			     "c\x12\0\x18\0"
			     "\x22\x24\x1a\x22\x09" DOUBLE_1 "\x12\x17" EXEMPLAR_OF("x", "\x05")));
}

static void
test_exemplars__none_kept(void **state)
{
	(void)state;
	static const struct exemplar_view none[] = {{SPAN(""), 0, 0}, {SPAN(""), 0, 0}};
	static const double bounds[] = {1};
	static const uint64_t buckets[] = {1, 2};
	for (enum metric_type type = METRIC_COUNTER; type < METRIC_TYPES; type++) {
		struct series_view series = {.labels = SPAN(""),
					     .count = 3,
					     .bound_count = 1,
					     .bounds = bounds,
					     .buckets = buckets};
		const struct fake_family family = {{SPAN("m"), SPAN(""), type}, &series, 1};
		struct buf want = render(&family, 1);
		series.exemplars = none;
		assert_rendered(&family, buf_span(&want));
		buf_fini(&want);
	}
}

/* Those of buckets, the last bucket's too, and those of the native histogram by time. */
static void
test_exemplars__of_histogram(void **state)
{
	(void)state;
	static const struct exemplar_view exemplars[] = {{SPAN("t=\"x\""), 2, 7000},
							 {SPAN("t=\"y\""), 2, 5000}};
	static const double bounds[] = {1};
	static const uint64_t buckets[] = {1, 2};
	static const struct native_view native = {
	    .schema = 3, .zero_threshold = 0.5, .zero_count = 2};
	static const struct series_view series = {.labels = SPAN(""),
						  .sum = 2,
						  .count = 3,
						  .bound_count = 1,
						  .bounds = bounds,
						  .buckets = buckets,
						  .native = &native,
						  .exemplars = exemplars};
	static const struct fake_family family = {
	    {SPAN("h"), SPAN(""), METRIC_HISTOGRAM}, &series, 1};
	assert_rendered(
	    &family,
	    SPAN("\xab\x01"
		 "\x0a\x01h\x12\0\x18\x04"
		 "\x22\xa1\x01\x3a\x9e\x01"
		 "\x08\x02\x11" DOUBLE_2 "\x1a\x24\x08\x01\x11" DOUBLE_1 "\x1a\x17" EXEMPLAR_OF(
		     "x", "\x07") "\x1a\x24\x08\x02\x11\0\0\0\0\0\0\xf0\x7f\x1a"
				  "\x17" EXEMPLAR_OF(
				      "y", "\x05") "\x28\x06"
						   "\x31" DOUBLE_HALF "\x38\x02"
						   "\x62\x04\x08\0\x10\0"
						   "\x82\x01\x17" EXEMPLAR_OF(
						       "y", "\x05") "\x82\x01"
								    "\x17" EXEMPLAR_OF("x",
										       "\x07")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_family__counter),
	    cmocka_unit_test(test_family__gauge),
	    cmocka_unit_test(test_family__histogram),
	    cmocka_unit_test(test_family__summary),
	    cmocka_unit_test(test_family__native_histogram),
	    cmocka_unit_test(test_family__native_histogram_without_buckets),
	    cmocka_unit_test(test_reader__is_told_what_is_shown),
	    cmocka_unit_test(test_family__start_timestamps),
	    cmocka_unit_test(test_scrape__nothing),
	    cmocka_unit_test(test_exemplars__of_counter),
	    cmocka_unit_test(test_exemplars__none_kept),
	    cmocka_unit_test(test_exemplars__of_histogram),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
