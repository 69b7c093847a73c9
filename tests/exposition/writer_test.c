#include "test.h"

#include "exposition/fake_reader.h"
#include "exposition/writer.h"

static const uint64_t buckets[] = {1, 2};
static const double bounds[] = {0.5};
static const struct span bound_texts[] = {SPAN("0.5")};

static const struct exemplar_view exemplars[] = {{SPAN("t=\"x\""), 0.5, 1},
						 {SPAN("t=\"y\""), 0.5, 1}};

static const struct series_view counters[] = {
    {.labels = SPAN(""), .value = 1, .exemplars = exemplars},
    {.labels = SPAN("a=\"1\""), .value = 2},
    {.labels = SPAN("a=\"2\""), .value = 3},
};
static const struct series_view histograms[] = {
    {.labels = SPAN(""),
     .sum = 4,
     .count = 3,
     .bound_count = 1,
     .bounds = bounds,
     .bound_texts = bound_texts,
     .buckets = buckets,
     .exemplars = exemplars},
};
static const struct fake_family families[] = {
    {{SPAN("a_total"), SPAN("Help a."), METRIC_COUNTER}, counters, 3},
    {{SPAN("b"), SPAN("Help b."), METRIC_HISTOGRAM}, histograms, 1},
    {{SPAN("c"), SPAN("Help c."), METRIC_GAUGE}, counters, 1},
};

static const char whole[] = "# HELP a_total Help a.\n"
			    "# TYPE a_total counter\n"
			    "a_total 1\n"
			    "a_total{a=\"1\"} 2\n"
			    "a_total{a=\"2\"} 3\n"
			    "# HELP b Help b.\n"
			    "# TYPE b histogram\n"
			    "b_bucket{le=\"0.5\"} 1\n"
			    "b_bucket{le=\"+Inf\"} 3\n"
			    "b_sum 4\n"
			    "b_count 3\n"
			    "# HELP c Help c.\n"
			    "# TYPE c gauge\n"
			    "c 1\n";

static struct exposition_writer *
writer_over(size_t count, unsigned *frees)
{
	struct reader *reader = fake_reader_new(families, count, frees);
	struct exposition_writer *writer =
	    exposition_writer_new(EXPOSITION_TEXT_0_0_4, false, &reader);
	assert_null(reader);
	return writer;
}

static void
test_fill__all_at_once(void **state)
{
	(void)state;
	unsigned frees = 0;
	struct exposition_writer *writer = writer_over(3, &frees);
	struct buf out = BUF_INIT;
	assert_true(exposition_writer_fill(writer, &out, SIZE_MAX));
	assert_span_equal(buf_span(&out), whole);
	assert_true(exposition_writer_fill(writer, &out, SIZE_MAX));
	assert_span_equal(buf_span(&out), whole);
	assert_int_equal(frees, 0);
	exposition_writer_free(&writer);
	assert_null(writer);
	assert_int_equal(frees, 1);
	buf_fini(&out);
}

/* Any slice size gives the same bytes, and a slice ends at the first line end behind its size. */
static void
test_fill__slices(void **state)
{
	(void)state;
	for (size_t size = 1; size < sizeof(whole) + 5; size++) {
		unsigned frees = 0;
		struct exposition_writer *writer = writer_over(3, &frees);
		struct buf out = BUF_INIT, slice = BUF_INIT;
		bool is_done = false;
		for (size_t calls = 0; !is_done; calls++) {
			assert_true(calls < sizeof(whole));
			buf_reset(&slice);
			is_done = exposition_writer_fill(writer, &slice, size);
			assert_true(is_done || slice.len >= size);
			assert_true(slice.len == 0 || slice.ptr[slice.len - 1] == '\n');
			buf_add_span(&out, buf_span(&slice));
		}
		assert_span_equal(buf_span(&out), whole);
		exposition_writer_free(&writer);
		assert_int_equal(frees, 1);
		buf_fini(&out);
		buf_fini(&slice);
	}
}

static void
test_fill__appends_up_to_the_size(void **state)
{
	(void)state;
	unsigned frees = 0;
	struct exposition_writer *writer = writer_over(3, &frees);
	struct buf out = BUF_INIT;
	buf_add_text(&out, "before\n");
	assert_false(exposition_writer_fill(writer, &out, 7));
	assert_span_equal(buf_span(&out), "before\n");
	assert_false(exposition_writer_fill(writer, &out, 8));
	assert_span_equal(buf_span(&out), "before\n# HELP a_total Help a.\n"
					  "# TYPE a_total counter\n"
					  "a_total 1\n"
					  "a_total{a=\"1\"} 2\n"
					  "a_total{a=\"2\"} 3\n");
	exposition_writer_free(&writer);
	assert_int_equal(frees, 1);
	buf_fini(&out);
}

static void
test_fill__nothing_to_write(void **state)
{
	(void)state;
	unsigned frees = 0;
	struct exposition_writer *writer = writer_over(0, &frees);
	struct buf out = BUF_INIT;
	assert_true(exposition_writer_fill(writer, &out, 1));
	assert_span_equal(buf_span(&out), "");
	exposition_writer_free(&writer);
	exposition_writer_free(&writer);
	assert_int_equal(frees, 1);
}

/* @return how much a format writes within a limit */
static size_t
fill_within(enum exposition_format format, size_t limit)
{
	unsigned frees = 0;
	struct reader *reader = fake_reader_new(families, 3, &frees), *same = reader;
	struct exposition_writer *writer = exposition_writer_new(format, false, &reader);
	struct buf out;
	buf_init(&out, limit);
	assert_true(exposition_writer_fill(writer, &out, SIZE_MAX));
	/* Nothing is read that has no room. */
	assert_true(((struct fake_reader *)same)->next_family <= (limit ? 3 : 1));
	assert_int_equal(buf_failed(&out), limit < SIZE_MAX);
	assert_true(out.len <= limit);
	size_t len = out.len;
	exposition_writer_free(&writer);
	buf_fini(&out);
	return len;
}

static void
test_fill__ends_when_the_buffer_is_full(void **state)
{
	(void)state;
	for (enum exposition_format format = 0; format < EXPOSITION_FORMATS; format++) {
		size_t whole_len = fill_within(format, SIZE_MAX);
		for (size_t limit = 0; limit < whole_len; limit++)
			fill_within(format, limit);
	}
}

/* A family whose series have all gone meanwhile is not shown. */
static void
test_fill__family_without_series(void **state)
{
	(void)state;
	static const struct fake_family empty[] = {
	    {{SPAN("a"), SPAN("Help a."), METRIC_GAUGE}, counters, 0},
	    {{SPAN("b"), SPAN("Help b."), METRIC_GAUGE}, counters, 1},
	    {{SPAN("c"), SPAN("Help c."), METRIC_HISTOGRAM}, histograms, 0},
	};
	for (enum exposition_format format = 0; format < EXPOSITION_FORMATS; format++) {
		unsigned frees = 0;
		struct reader *reader = fake_reader_new(empty, 3, &frees);
		struct exposition_writer *writer = exposition_writer_new(format, false, &reader);
		struct buf out = BUF_INIT;
		assert_true(exposition_writer_fill(writer, &out, SIZE_MAX));
		assert_null(memmem(out.ptr, out.len, "Help a.", 7));
		assert_non_null(memmem(out.ptr, out.len, "Help b.", 7));
		assert_null(memmem(out.ptr, out.len, "Help c.", 7));
		exposition_writer_free(&writer);
		assert_int_equal(frees, 1);
		buf_fini(&out);
	}
}

/* ---- Messages. ---- */

/* Takes a varint from the front. */
static uint64_t
take_varint(struct span *rest)
{
	uint64_t value = 0;
	for (unsigned shift = 0;; shift += 7) {
		assert_true(rest->len && shift < 64);
		unsigned char byte = (unsigned char)rest->ptr[0];
		*rest = span_from(*rest, 1);
		value |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80)
			return value;
	}
}

/* Takes a whole delimited message and @return the family's name, its first field. */
static struct span
take_message(struct span *rest)
{
	uint64_t len = take_varint(rest);
	assert_true(len <= rest->len);
	struct span message = span_first(*rest, len);
	*rest = span_from(*rest, len);
	assert_int_equal(take_varint(&message), 1 << 3 | 2);
	uint64_t name_len = take_varint(&message);
	assert_true(name_len <= message.len);
	return span_first(message, name_len);
}

/* Whatever the slices are, each holds whole messages. */
static void
test_fill__messages_are_not_cut(void **state)
{
	(void)state;
	for (size_t size = 1; size < 300; size++) {
		unsigned frees = 0, seen = 0;
		struct reader *reader = fake_reader_new(families, 3, &frees);
		struct exposition_writer *writer =
		    exposition_writer_new(EXPOSITION_PROTOBUF, false, &reader);
		struct buf slice = BUF_INIT;
		for (bool is_done = false; !is_done;) {
			buf_reset(&slice);
			is_done = exposition_writer_fill(writer, &slice, size);
			assert_true(is_done || slice.len >= size);
			size_t last_at = 0;
			for (struct span rest = buf_span(&slice); rest.len; seen++) {
				last_at = slice.len - rest.len;
				assert_true(
				    span_equal(take_message(&rest), families[seen].view.name));
			}
			/* No more of them than needed. */
			assert_true(last_at < size);
		}
		assert_int_equal(seen, 3);
		exposition_writer_free(&writer);
		buf_fini(&slice);
	}
}

/* A large family is several messages, none of which is empty. */
static void
test_fill__large_messages_are_split(void **state)
{
	(void)state;
	enum { SERIES = 300, TEXT = 65000 };
	char *text = xmalloc(TEXT);
	struct series_view *series = xcalloc(SERIES, sizeof(*series));
	memset(text, 'x', TEXT);
	memcpy(text, "a=\"", 3);
	text[TEXT - 1] = '"';
	for (size_t i = 0; i < SERIES; i++)
		series[i].labels = span_of(text, TEXT);
	const struct fake_family family = {{SPAN("large"), SPAN(""), METRIC_GAUGE}, series, SERIES};
	unsigned frees = 0, messages = 0;
	struct reader *reader = fake_reader_new(&family, 1, &frees);
	struct exposition_writer *writer =
	    exposition_writer_new(EXPOSITION_PROTOBUF, false, &reader);
	struct buf out = BUF_INIT;
	assert_true(exposition_writer_fill(writer, &out, SIZE_MAX));
	for (struct span rest = buf_span(&out); rest.len; messages++) {
		size_t before = rest.len;
		assert_span_equal(take_message(&rest), "large");
		assert_true(before - rest.len > TEXT);
		assert_true(before - rest.len < EXPOSITION_MESSAGE_BYTES + 2 * TEXT);
	}
	assert_true(messages >= SERIES * TEXT / (EXPOSITION_MESSAGE_BYTES + 2 * TEXT));
	assert_true(messages <= SERIES * TEXT / EXPOSITION_MESSAGE_BYTES + 1);
	exposition_writer_free(&writer);
	buf_fini(&out);
	free(series);
	free(text);
}

static void
test_content_type(void **state)
{
	(void)state;
	static const struct {
		struct exposition_choice choice;
		const char *want;
	} table[] = {
	    {{EXPOSITION_TEXT_0_0_4, EXPOSITION_UNDERSCORES},
	     "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"},
	    {{EXPOSITION_TEXT_1_0_0, EXPOSITION_ALLOW_UTF_8},
	     "text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8"},
	    {{EXPOSITION_OPENMETRICS_0_0_1, EXPOSITION_DOTS},
	     "application/openmetrics-text; version=0.0.1; charset=utf-8; escaping=dots"},
	    {{EXPOSITION_OPENMETRICS_1_0_0, EXPOSITION_VALUES},
	     "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=values"},
	    {{EXPOSITION_PROTOBUF, EXPOSITION_UNDERSCORES},
	     "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; "
	     "encoding=delimited; escaping=underscores"},
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		assert_string_equal(exposition_content_type(table[i].choice), table[i].want);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_fill__all_at_once),
	    cmocka_unit_test(test_fill__slices),
	    cmocka_unit_test(test_fill__appends_up_to_the_size),
	    cmocka_unit_test(test_fill__nothing_to_write),
	    cmocka_unit_test(test_fill__ends_when_the_buffer_is_full),
	    cmocka_unit_test(test_fill__family_without_series),
	    cmocka_unit_test(test_fill__messages_are_not_cut),
	    cmocka_unit_test(test_fill__large_messages_are_split),
	    cmocka_unit_test(test_content_type),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
