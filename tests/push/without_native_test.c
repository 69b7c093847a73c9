#include "test.h"

#include "push/decode.h"
#include "push/without_native.h"

static const uint64_t counts[] = {1, 2};
static const struct span bound_texts[] = {SPAN("0.5")};
static const struct native_span spans[] = {{-1, 2}};
static const struct native_view native = {
    .schema = -1, .zero_threshold = 0.25, .zero_count = 2, .positive = {1, spans, 2, counts}};
static const struct exemplar_view exemplars[] = {{SPAN("id=\"a\""), 0.25, 3},
						 {SPAN("id=\"b\""), 9, 4}};

static const struct family_view counter = {SPAN("a_total"), SPAN("Help."), METRIC_COUNTER};
static const struct family_view histogram = {SPAN("h"), SPAN(""), METRIC_HISTOGRAM};
static const struct series_view one = {.labels = SPAN("z=\"1\""), .value = 1.5};
static const struct series_view seen = {.labels = SPAN("m=\"1\""),
					.sum = 4,
					.count = 5,
					.bound_count = 1,
					.bound_texts = bound_texts,
					.buckets = counts,
					.native = &native,
					.exemplars = exemplars};

struct written {
	struct buf bytes;
	size_t samples, natives;
};

static void
take(void *ctx, const struct push_message *message)
{
	struct written *written = ctx;
	buf_add_span(&written->bytes, message->bytes);
	written->samples += message->samples;
	written->natives += message->natives;
}

static struct written
write_message(enum push_protocol protocol, bool with_native)
{
	static const struct labels none;
	struct written written = {.bytes = BUF_INIT};
	struct push_writer *writer = push_writer_new(protocol, &none, with_native, take, &written);
	push_writer_want_exemplars(writer, 0);
	push_writer_begin_family(writer, &histogram, true);
	push_writer_add_series(writer, &seen, 1, 5);
	push_writer_begin_family(writer, &counter, true);
	push_writer_add_series(writer, &one, 1, 5);
	push_writer_flush(writer);
	push_writer_free(&writer);
	return written;
}

static void
test_without_native__as_if_written_so(void **state)
{
	(void)state;
	for (enum push_protocol protocol = 0; protocol < PUSH_PROTOCOLS; protocol++) {
		struct written with = write_message(protocol, true);
		struct written without = write_message(protocol, false);
		struct buf left = BUF_INIT, want = BUF_INIT, have = BUF_INIT;
		assert_int_equal(with.natives, 1);
		assert_int_equal(with.samples - with.natives, without.samples);
		assert_int_equal(without.natives, 0);
		assert_true(push_without_native(protocol, buf_span(&with.bytes), &left));
		decode_message(&(struct push_message){protocol, buf_span(&without.bytes)}, &want);
		decode_message(&(struct push_message){protocol, buf_span(&left)}, &have);
		assert_string_equal(buf_text(&have), buf_text(&want));
		assert_non_null(strstr(buf_text(&have), "h_count{m=\"1\"} 5 @ 5"));
		struct buf *all[] = {&with.bytes, &without.bytes, &left, &want, &have};
		for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
			buf_fini(all[i]);
	}
}

static void
test_without_native__refuses(void **state)
{
	(void)state;
	struct buf left = BUF_INIT;
	assert_false(push_without_native(PUSH_PROTOCOL_1, SPAN("\x0a\x05\x12"), &left));
	buf_fini(&left);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_without_native__as_if_written_so),
	    cmocka_unit_test(test_without_native__refuses),
	};
	return cmocka_run_group_tests_name("push/without_native", tests, NULL, NULL);
}
