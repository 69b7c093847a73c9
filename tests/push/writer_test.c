#include "test.h"

#include "push/decode.h"
#include "push/writer.h"

#include <math.h>
#include <stdio.h>

static const uint64_t buckets[] = {1, 2};
static const double bounds[] = {0.5};
static const struct span bound_texts[] = {SPAN("0.5")};
static const double quantiles[] = {0.5, 0.9};
static const struct span quantile_texts[] = {SPAN("0.5"), SPAN("0.9")};
static const double quantile_values[] = {NAN, 3};

static const struct family_view counter = {SPAN("a_total"), SPAN("Help \\ a."), METRIC_COUNTER};
static const struct family_view histogram = {SPAN("h"), SPAN("Help h."), METRIC_HISTOGRAM};
static const struct family_view summary = {SPAN("s"), SPAN(""), METRIC_SUMMARY};

static const struct series_view one = {.labels = SPAN("B=\"1\",z=\"x\\\\y\\n\\\"\""), .value = 1.5};
static const struct series_view seen = {.labels = SPAN("m=\"1\""),
					.sum = 4,
					.count = 3,
					.bound_count = 1,
					.bounds = bounds,
					.bound_texts = bound_texts,
					.buckets = buckets};
static const struct series_view ranked = {.labels = SPAN(""),
					  .sum = 2,
					  .count = 1,
					  .quantile_count = 2,
					  .quantiles = quantiles,
					  .quantile_texts = quantile_texts,
					  .quantile_values = quantile_values};

/* What was given away: decoded, with a line between messages. */
struct taken {
	struct buf text;
	size_t messages, samples, natives, longest;
	int64_t timestamp_ms; /* of the last message */
	bool counts_only;
};

static void
take(void *ctx, const struct push_message *message)
{
	struct taken *taken = ctx;
	taken->samples += message->samples;
	taken->natives += message->natives;
	taken->timestamp_ms = message->timestamp_ms;
	if (message->bytes.len > taken->longest)
		taken->longest = message->bytes.len;
	if (taken->messages++ && !taken->counts_only)
		buf_add_text(&taken->text, "--\n");
	if (taken->counts_only)
		return;
	decode_message(message, &taken->text);
}

static const struct labels no_labels;

static struct labels *
make_external(const char *const *pairs)
{
	struct labels *labels = calloc(1, sizeof(*labels));
	for (; *pairs; pairs += 2)
		assert_true(labels_set(labels, span_text(pairs[0]), span_text(pairs[1])));
	return labels;
}

static void
expect(struct taken *taken, struct push_writer **writer, const char *text)
{
	push_writer_flush(*writer);
	push_writer_free(writer);
	assert_span_equal(buf_span(&taken->text), text);
	buf_fini(&taken->text);
}

static void
test_writer__every_type(void **state)
{
	(void)state;
	static const struct {
		enum push_protocol protocol;
		const char *text;
	} table[] = {
	    {PUSH_PROTOCOL_1, "# counter a_total Help \\ a.\n"
			      "a_total{B=\"1\",z=\"x\\y\n\"\"} 1.5 @ 1234567890123\n"
			      "# histogram h Help h.\n"
			      "h_bucket{le=\"0.5\",m=\"1\"} 1 @ 1234567890123\n"
			      "h_bucket{le=\"+Inf\",m=\"1\"} 3 @ 1234567890123\n"
			      "h_sum{m=\"1\"} 4 @ 1234567890123\n"
			      "h_count{m=\"1\"} 3 @ 1234567890123\n"
			      "# summary s \n"
			      "s{quantile=\"0.5\"} NaN @ 1234567890123\n"
			      "s{quantile=\"0.9\"} 3 @ 1234567890123\n"
			      "s_sum 2 @ 1234567890123\n"
			      "s_count 1 @ 1234567890123\n"},
	    {PUSH_PROTOCOL_2,
	     "a_total{B=\"1\",z=\"x\\y\n\"\"} 1.5 @ 1234567890123 # counter Help \\ a.\n"
	     "h_bucket{le=\"0.5\",m=\"1\"} 1 @ 1234567890123 # histogram Help h.\n"
	     "h_bucket{le=\"+Inf\",m=\"1\"} 3 @ 1234567890123 # histogram Help h.\n"
	     "h_sum{m=\"1\"} 4 @ 1234567890123 # histogram Help h.\n"
	     "h_count{m=\"1\"} 3 @ 1234567890123 # histogram Help h.\n"
	     "s{quantile=\"0.5\"} NaN @ 1234567890123 # summary \n"
	     "s{quantile=\"0.9\"} 3 @ 1234567890123 # summary \n"
	     "s_sum 2 @ 1234567890123 # summary \n"
	     "s_count 1 @ 1234567890123 # summary \n"},
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct taken taken = {.text = BUF_INIT};
		struct push_writer *writer =
		    push_writer_new(table[i].protocol, &no_labels, false, take, &taken);
		push_writer_begin_family(writer, &counter, true);
		push_writer_add_series(writer, &one, 1, 1234567890123);
		push_writer_begin_family(writer, &histogram, true);
		push_writer_add_series(writer, &seen, 1, 1234567890123);
		push_writer_begin_family(writer, &summary, true);
		push_writer_add_series(writer, &ranked, 1, 1234567890123);
		assert_int_equal(push_writer_samples(writer), 9);
		assert_int_equal(taken.messages, 0);
		expect(&taken, &writer, table[i].text);
		assert_int_equal(taken.samples, 9);
		assert_int_equal(taken.timestamp_ms, 1234567890123);
	}
}

static void
test_writer__external_labels(void **state)
{
	(void)state;
	static const char *const pairs[] = {"B", "2", "a", "x", "lf", "y", "zone", "z", NULL};
	struct labels *external = make_external(pairs);
	struct taken taken = {.text = BUF_INIT};
	struct push_writer *writer =
	    push_writer_new(PUSH_PROTOCOL_1, external, false, take, &taken);
	static const struct series_view hollow = {.labels = SPAN("a=\"\",c=\"\",d=\"1\"")};
	push_writer_begin_family(writer, &counter, false);
	push_writer_add_series(writer, &one, 1, 5);
	push_writer_add_series(writer, &hollow, 1, 5);
	push_writer_begin_family(writer, &histogram, false);
	push_writer_add_series(writer, &seen, 1, 5);
	expect(&taken, &writer,
	       "a_total{B=\"1\",a=\"x\",lf=\"y\",z=\"x\\y\n\"\",zone=\"z\"} 1.5 @ 5\n"
	       "a_total{B=\"2\",a=\"x\",d=\"1\",lf=\"y\",zone=\"z\"} 0 @ 5\n"
	       "h_bucket{B=\"2\",a=\"x\",le=\"0.5\",lf=\"y\",m=\"1\",zone=\"z\"} 1 @ 5\n"
	       "h_bucket{B=\"2\",a=\"x\",le=\"+Inf\",lf=\"y\",m=\"1\",zone=\"z\"} 3 @ 5\n"
	       "h_sum{B=\"2\",a=\"x\",lf=\"y\",m=\"1\",zone=\"z\"} 4 @ 5\n"
	       "h_count{B=\"2\",a=\"x\",lf=\"y\",m=\"1\",zone=\"z\"} 3 @ 5\n");
	free(external);
}

/* As many labels as may be, all of whose values are written without their escapes. */
static void
test_writer__most_labels(void **state)
{
	(void)state;
	char names[PUSH_EXTERNAL_LABELS_MAX][16];
	struct labels *external = calloc(1, sizeof(*external));
	struct buf own = BUF_INIT, before = BUF_INIT, behind = BUF_INIT, want = BUF_INIT;
	for (unsigned i = 0; i < LABELS_MAX; i++) {
		buf_printf(&own, "%sa%04u=\"\\\\%u\\\\\"", i ? "," : "", i, i);
		buf_printf(&before, "%sa%04u=\"\\%u\\\"", i ? "," : "", i, i);
	}
	for (unsigned i = 0; i < PUSH_EXTERNAL_LABELS_MAX; i++) {
		snprintf(names[i], sizeof(names[i]), "x%04u", i);
		assert_true(labels_set(external, span_text(names[i]), SPAN("y")));
		buf_printf(&behind, ",%s=\"y\"", names[i]);
	}
	const char *all = buf_text(&before), *more = buf_text(&behind);
	buf_printf(&want, "h_bucket{%s,le=\"+Inf\"%s} 1 @ 5\n", all, more);
	buf_printf(&want, "h_sum{%s%s} 0 @ 5\n", all, more);
	buf_printf(&want, "h_count{%s%s} 1 @ 5\n", all, more);
	struct series_view series = {.labels = buf_span(&own), .count = 1, .buckets = buckets};
	struct taken taken = {.text = BUF_INIT};
	struct push_writer *writer =
	    push_writer_new(PUSH_PROTOCOL_1, external, false, take, &taken);
	push_writer_begin_family(writer, &histogram, false);
	push_writer_add_series(writer, &series, 1, 5);
	expect(&taken, &writer, buf_text(&want));
	struct buf *bufs[] = {&own, &before, &behind, &want};
	for (size_t i = 0; i < sizeof(bufs) / sizeof(bufs[0]); i++)
		buf_fini(bufs[i]);
	free(external);
}

/* Only what names the samples is there. */
static void
test_writer__ends(void **state)
{
	(void)state;
	static const struct series_view was_histogram = {
	    .labels = SPAN("m=\"1\""), .bound_count = 1, .bound_texts = bound_texts};
	static const struct series_view was_summary = {
	    .labels = SPAN(""), .quantile_count = 1, .quantile_texts = quantile_texts};
	struct taken taken = {.text = BUF_INIT};
	struct push_writer *writer =
	    push_writer_new(PUSH_PROTOCOL_1, &no_labels, false, take, &taken);
	push_writer_begin_family(writer, &counter, false);
	push_writer_add_end(writer, &one, 5);
	push_writer_add_series(writer, &one, 1, 6);
	push_writer_begin_family(writer, &histogram, false);
	push_writer_add_end(writer, &was_histogram, 6);
	push_writer_begin_family(writer, &summary, false);
	push_writer_add_end(writer, &was_summary, 6);
	expect(&taken, &writer,
	       "a_total{B=\"1\",z=\"x\\y\n\"\"} stale @ 5\n"
	       "--\n"
	       "a_total{B=\"1\",z=\"x\\y\n\"\"} 1.5 @ 6\n"
	       "h_bucket{le=\"0.5\",m=\"1\"} stale @ 6\n"
	       "h_bucket{le=\"+Inf\",m=\"1\"} stale @ 6\n"
	       "h_sum{m=\"1\"} stale @ 6\n"
	       "h_count{m=\"1\"} stale @ 6\n"
	       "s{quantile=\"0.5\"} stale @ 6\n"
	       "s_sum stale @ 6\n"
	       "s_count stale @ 6\n");
}

/* In 2.0, and of what counts. */
static void
test_writer__start_timestamps(void **state)
{
	(void)state;
	static const struct family_view gauge = {SPAN("g"), SPAN(""), METRIC_GAUGE};
	static const struct series_view born = {.labels = SPAN(""), .created_ms = 3};
	for (enum push_protocol protocol = 0; protocol < PUSH_PROTOCOLS; protocol++) {
		struct taken taken = {.text = BUF_INIT};
		struct push_writer *writer =
		    push_writer_new(protocol, &no_labels, false, take, &taken);
		push_writer_begin_family(writer, &counter, false);
		push_writer_add_series(writer, &born, 1, 5);
		push_writer_add_series(writer, &born, 1, 3);
		push_writer_add_end(writer, &born, 5);
		push_writer_begin_family(writer, &gauge, false);
		push_writer_add_series(writer, &born, 1, 5);
		expect(&taken, &writer,
		       protocol == PUSH_PROTOCOL_1
			   ? "a_total 0 @ 5\n--\na_total 0 @ 3\n--\n"
			     "a_total stale @ 5\ng 0 @ 5\n"
			   : "a_total 0 @ 5 from 3 # counter Help \\ a.\n--\n"
			     "a_total 0 @ 3 # counter Help \\ a.\n--\n"
			     "a_total stale @ 5 # counter Help \\ a.\n"
			     "g 0 @ 5 # gauge \n");
	}
}

/* Beside the classic one, where that is asked for. Its count is that of its buckets. */
static void
test_writer__native_histograms(void **state)
{
	(void)state;
	static const struct native_span spans[] = {{-1, 2}, {3, 1}};
	static const uint64_t counts[] = {5, 3, 4};
	static const struct native_view native = {.schema = -1,
						  .zero_threshold = 0.25,
						  .zero_count = 2,
						  .positive = {2, spans, 3, counts},
						  .negative = {1, spans, 2, counts}};
	struct series_view both = {.labels = SPAN("m=\"1\""),
				   .created_ms = 4,
				   .sum = 7,
				   .count = 15,
				   .buckets = buckets,
				   .native = &native};
	static const char *const lines[PUSH_PROTOCOLS] = {
	    "h{m=\"1\"} native 1:22 3:7 4:1 5:0.25 6:2 8:08011002 9:0a03 11:08011002 11:08061001 "
	    "12:0a0302 15:5\n",
	    "h{m=\"1\"} native 1:22 3:7 4:1 5:0.25 6:2 8:08011002 9:0a03 11:08011002 11:08061001 "
	    "12:0a0302 15:5 17:4 # histogram Help h.\n",
	};
	for (enum push_protocol protocol = 0; protocol < PUSH_PROTOCOLS; protocol++) {
		struct taken taken = {.text = BUF_INIT};
		struct push_writer *writer =
		    push_writer_new(protocol, &no_labels, true, take, &taken);
		push_writer_begin_family(writer, &histogram, false);
		push_writer_add_series(writer, &both, 1, 5);
		push_writer_flush(writer);
		assert_int_equal(taken.samples, 4);
		assert_int_equal(taken.natives, 1);
		if (!strstr(buf_text(&taken.text), lines[protocol]))
			fail_msg("%s", buf_text(&taken.text));
		push_writer_free(&writer);
		buf_fini(&taken.text);
	}
	struct taken taken = {.text = BUF_INIT};
	struct push_writer *writer =
	    push_writer_new(PUSH_PROTOCOL_1, &no_labels, true, take, &taken);
	push_writer_begin_family(writer, &histogram, false);
	push_writer_add_end(writer, &both, 6);
	expect(&taken, &writer,
	       "h_bucket{le=\"+Inf\",m=\"1\"} stale @ 6\nh_sum{m=\"1\"} stale @ 6\n"
	       "h_count{m=\"1\"} stale @ 6\nh{m=\"1\"} stale @ 6\n");
}

/* Only where one is kept, and asked for. */
static void
test_writer__native_histograms_are_asked_for(void **state)
{
	(void)state;
	static const struct native_view native;
	for (unsigned i = 0; i < 4; i++) {
		bool with_native = i % 2, has_native = i / 2;
		struct series_view series = seen;
		series.native = has_native ? &native : NULL;
		struct taken taken = {.text = BUF_INIT};
		struct push_writer *writer =
		    push_writer_new(PUSH_PROTOCOL_1, &no_labels, with_native, take, &taken);
		push_writer_begin_family(writer, &histogram, false);
		push_writer_add_series(writer, &series, 1, 5);
		push_writer_flush(writer);
		push_writer_free(&writer);
		assert_int_equal(taken.natives, with_native && has_native);
		assert_int_equal(taken.samples, 4 + taken.natives);
		assert_int_equal(push_sample_count(METRIC_HISTOGRAM, &series, with_native),
				 taken.samples);
		buf_fini(&taken.text);
	}
}

/* With what they belong to, and no second time. */
static void
test_writer__exemplars(void **state)
{
	(void)state;
	static const struct exemplar_view exemplars[] = {{SPAN("id=\"a\\\\b\""), 0.25, 7},
							 {SPAN("id=\"c\""), 9, 8}};
	static const struct native_view native;
	static const struct exemplar_view none = {SPAN(""), 0, 9};
	const struct series_view hits[] = {
	    {.labels = SPAN(""), .value = 1, .exemplars = exemplars},
	    {.labels = SPAN("b=\"1\""), .exemplars = &none},
	};
	struct series_view late = seen;
	late.exemplars = exemplars;
	late.native = &native;
	static const struct {
		int64_t from_ms, at_ms;
		const char *hit, *first, *second, *of_native;
	} table[] = {
	    {7, 9, ", of {id=\"a\\b\"} 0.25 @ 7", ", of {id=\"a\\b\"} 0.25 @ 7",
	     ", of {id=\"c\"} 9 @ 8", ", of {id=\"a\\b\"} 0.25 @ 7, of {id=\"c\"} 9 @ 8"},
	    {8, 9, "", "", ", of {id=\"c\"} 9 @ 8", ", of {id=\"c\"} 9 @ 8"},
	    /* One that came while the pass was under way. */
	    {8, 8, "", "", ", of {id=\"c\"} 9 @ 8", ""},
	    {9, 10, "", "", "", ""},
	    {INT64_MAX, 9, "", "", "", ""},
	};
	for (size_t i = 0; i < 2 * sizeof(table) / sizeof(table[0]); i++) {
		enum push_protocol protocol = i % 2 ? PUSH_PROTOCOL_2 : PUSH_PROTOCOL_1;
		const char *counts = i % 2 ? " # counter Help \\ a." : "";
		const char *observes = i % 2 ? " # histogram Help h." : "";
		struct taken taken = {.text = BUF_INIT};
		struct push_writer *writer =
		    push_writer_new(protocol, &no_labels, true, take, &taken);
		if (table[i / 2].from_ms != INT64_MAX)
			push_writer_want_exemplars(writer, table[i / 2].from_ms);
		int at = (int)table[i / 2].at_ms;
		push_writer_begin_family(writer, &counter, false);
		push_writer_add_series(writer, hits, 2, at);
		push_writer_begin_family(writer, &histogram, false);
		push_writer_add_series(writer, &late, 1, at);
		struct buf want = BUF_INIT;
		buf_printf(&want, "a_total 1 @ %d%s%s\n", at, table[i / 2].hit, counts);
		buf_printf(&want, "a_total{b=\"1\"} 0 @ %d%s\n", at, counts);
		buf_printf(&want, "h_bucket{le=\"0.5\",m=\"1\"} 1 @ %d%s%s\n", at,
			   table[i / 2].first, observes);
		buf_printf(&want, "h_bucket{le=\"+Inf\",m=\"1\"} 3 @ %d%s%s\n", at,
			   table[i / 2].second, observes);
		buf_printf(&want, "h_sum{m=\"1\"} 4 @ %d%s\nh_count{m=\"1\"} 3 @ %d%s\n", at,
			   observes, at, observes);
		buf_printf(&want, "h{m=\"1\"} native 1:0 3:4 4:0 5:0 6:0 15:%d%s%s\n", at,
			   table[i / 2].of_native, observes);
		expect(&taken, &writer, buf_text(&want));
		buf_fini(&want);
	}
}

static void
test_writer__messages_are_bounded(void **state)
{
	(void)state;
	char labels[3000];
	for (enum push_protocol protocol = 0; protocol < PUSH_PROTOCOLS; protocol++) {
		struct taken taken = {.text = BUF_INIT, .counts_only = true};
		struct push_writer *writer =
		    push_writer_new(protocol, &no_labels, false, take, &taken);
		push_writer_begin_family(writer, &counter, false);
		for (size_t i = 0; i < 5 * PUSH_MESSAGE_SAMPLES / 2; i++)
			push_writer_add_series(writer, &one, 1, 5);
		assert_int_equal(taken.messages, 2);
		assert_int_equal(taken.samples, 2 * PUSH_MESSAGE_SAMPLES);
		push_writer_flush(writer);
		push_writer_flush(writer);
		assert_int_equal(taken.messages, 3);
		assert_int_equal(taken.samples, 5 * PUSH_MESSAGE_SAMPLES / 2);
		for (int i = 0; i < 1000; i++) {
			int len = snprintf(labels, sizeof(labels), "a=\"%2900d\"", i);
			struct series_view series = {.labels = span_of(labels, (size_t)len)};
			push_writer_add_series(writer, &series, 1, 5);
		}
		push_writer_free(&writer);
		assert_in_range(taken.messages, 3 + 10, 3 + 12);
		assert_in_range(taken.longest, PUSH_MESSAGE_BYTES, PUSH_MESSAGE_BYTES + 4000);
		buf_fini(&taken.text);
	}
}

/* In 2.0 labels that come again take little room, but not for ever. */
static void
test_writer__labels_spelled_out_are_bounded(void **state)
{
	(void)state;
	static char value[10000];
	memset(value, 'x', sizeof(value) - 1);
	const char *const pairs[] = {"long", value, NULL};
	struct labels *external = make_external(pairs);
	struct taken taken = {.text = BUF_INIT, .counts_only = true};
	struct push_writer *writer =
	    push_writer_new(PUSH_PROTOCOL_2, external, false, take, &taken);
	push_writer_begin_family(writer, &counter, false);
	for (size_t i = 0; i < PUSH_MESSAGE_SAMPLES; i++)
		push_writer_add_series(writer, &one, 1, 5);
	size_t spelled = PUSH_MESSAGE_SAMPLES * sizeof(value);
	assert_in_range(taken.messages, spelled / PUSH_MESSAGE_SPELLED_BYTES,
			spelled / PUSH_MESSAGE_SPELLED_BYTES + 1);
	assert_in_range(taken.longest, 1, 4 * sizeof(value));
	push_writer_free(&writer);
	buf_fini(&taken.text);
	free(external);
}

static void
test_sample_count(void **state)
{
	(void)state;
	assert_int_equal(push_sample_count(METRIC_GAUGE, &one, true), 1);
	assert_int_equal(push_sample_count(METRIC_HISTOGRAM, &seen, true), 4);
	assert_int_equal(push_sample_count(METRIC_SUMMARY, &ranked, true), 4);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_writer__every_type),
	    cmocka_unit_test(test_writer__external_labels),
	    cmocka_unit_test(test_writer__most_labels),
	    cmocka_unit_test(test_writer__ends),
	    cmocka_unit_test(test_writer__start_timestamps),
	    cmocka_unit_test(test_writer__native_histograms),
	    cmocka_unit_test(test_writer__native_histograms_are_asked_for),
	    cmocka_unit_test(test_writer__exemplars),
	    cmocka_unit_test(test_writer__messages_are_bounded),
	    cmocka_unit_test(test_writer__labels_spelled_out_are_bounded),
	    cmocka_unit_test(test_sample_count),
	};
	return cmocka_run_group_tests_name("push/writer", tests, NULL, NULL);
}
