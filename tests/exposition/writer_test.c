#include "test.h"

#include "exposition/fake_reader.h"
#include "exposition/writer.h"

static const uint64_t buckets[] = {1, 2};
static const double bounds[] = {0.5};
static const struct span bound_texts[] = {SPAN("0.5")};

static const struct series_view counters[] = {
    {.labels = SPAN(""), .value = 1},
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
     .buckets = buckets},
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
	struct exposition_writer *writer = exposition_writer_new(EXPOSITION_TEXT_0_0_4, &reader);
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
					  "# TYPE a_total counter\n");
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

static void
test_fill__ends_when_the_buffer_is_full(void **state)
{
	(void)state;
	for (size_t limit = 0; limit < sizeof(whole) - 1; limit++) {
		unsigned frees = 0;
		struct exposition_writer *writer = writer_over(3, &frees);
		struct buf out;
		buf_init(&out, limit);
		assert_true(exposition_writer_fill(writer, &out, SIZE_MAX));
		assert_true(buf_failed(&out));
		exposition_writer_free(&writer);
		buf_fini(&out);
	}
}

static void
test_content_type(void **state)
{
	(void)state;
	assert_string_equal(exposition_content_type(EXPOSITION_TEXT_0_0_4),
			    "text/plain; version=0.0.4; charset=utf-8; escaping=underscores");
	for (int format = 0; format < EXPOSITION_FORMATS; format++)
		assert_non_null(exposition_content_type((enum exposition_format)format));
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
	    cmocka_unit_test(test_content_type),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
