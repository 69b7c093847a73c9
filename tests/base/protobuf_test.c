#include "test.h"

#include "base/protobuf.h"

/* Those of the encoding guide, and the ends of each range. */
static void
test_protobuf__fields(void **state)
{
	(void)state;
	struct buf buf = BUF_INIT;
	protobuf_add_uint(&buf, 1, 150);
	protobuf_add_bytes(&buf, 2, SPAN("testing"));
	protobuf_add_uint(&buf, 1, 0);
	protobuf_add_uint(&buf, 16, 127);
	protobuf_add_uint(&buf, 536870911, 128);
	protobuf_add_uint(&buf, 1, UINT64_MAX);
	protobuf_add_double(&buf, 3, -1.5);
	static const struct span want = SPAN("\x08\x96\x01"
					     "\x12\x07testing"
					     "\x08\0"
					     "\x80\x01\x7f"
					     "\xf8\xff\xff\xff\x0f\x80\x01"
					     "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"
					     "\x19\0\0\0\0\0\0\xf8\xbf");
	assert_true(span_equal(buf_span(&buf), want));
	buf_fini(&buf);
}

static void
test_protobuf__signed_integers(void **state)
{
	(void)state;
	static const struct {
		int64_t value;
		struct span bytes;
	} table[] = {
	    {0, SPAN("\0")},
	    {-1, SPAN("\x01")},
	    {1, SPAN("\x02")},
	    {-64, SPAN("\x7f")},
	    {64, SPAN("\x80\x01")},
	    {INT32_MAX, SPAN("\xfe\xff\xff\xff\x0f")},
	    {INT32_MIN, SPAN("\xff\xff\xff\xff\x0f")},
	    {INT64_MAX, SPAN("\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01")},
	    {INT64_MIN, SPAN("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")},
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct buf buf = BUF_INIT;
		protobuf_add_packed_sint(&buf, table[i].value);
		assert_true(span_equal(buf_span(&buf), table[i].bytes));
		buf_reset(&buf);
		protobuf_add_sint(&buf, 1, table[i].value);
		assert_true(span_equal(span_from(buf_span(&buf), 1), table[i].bytes));
		buf_fini(&buf);
	}
}

static void
test_protobuf__messages(void **state)
{
	(void)state;
	static const size_t lengths[] = {0, 1, 125, 126, 127, 128, 16383, 16384, 3000000};
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct buf buf = BUF_INIT, want = BUF_INIT;
		size_t outer = protobuf_begin(&buf, 3), inner = protobuf_begin(&buf, 1);
		for (size_t n = 0; n < lengths[i]; n++)
			buf_add_byte(&buf, (char)n);
		struct buf content = BUF_INIT;
		buf_add(&content, buf.ptr + inner, lengths[i]);
		protobuf_end(&buf, inner);
		protobuf_add_uint(&buf, 2, 1);
		protobuf_end(&buf, outer);
		/* What the others make of it. */
		struct buf message = BUF_INIT;
		protobuf_add_bytes(&message, 1, buf_span(&content));
		protobuf_add_uint(&message, 2, 1);
		protobuf_add_bytes(&want, 3, buf_span(&message));
		assert_true(span_equal(buf_span(&buf), buf_span(&want)));
		buf_fini(&content);
		buf_fini(&message);
		buf_fini(&buf);
		buf_fini(&want);
	}
}

/* A delimited message is what a field holds behind its key. */
static void
test_protobuf__delimited_messages(void **state)
{
	(void)state;
	for (size_t len = 0; len < 300; len++) {
		struct buf buf = BUF_INIT, want = BUF_INIT;
		size_t field = protobuf_begin(&want, 1);
		buf_add_byte(&buf, 'x');
		size_t begun = protobuf_begin_delimited(&buf);
		for (size_t n = 0; n < len; n++) {
			buf_add_byte(&buf, (char)n);
			buf_add_byte(&want, (char)n);
		}
		protobuf_end(&buf, begun);
		protobuf_end(&want, field);
		assert_true(
		    span_equal(span_from(buf_span(&buf), 1), span_from(buf_span(&want), 1)));
		buf_fini(&buf);
		buf_fini(&want);
	}
}

static void
test_protobuf__cap(void **state)
{
	(void)state;
	for (size_t cap = 0; cap < 150; cap++) {
		struct buf buf;
		buf_init(&buf, cap);
		size_t begun = protobuf_begin(&buf, 1);
		protobuf_add_uint(&buf, 1, 1);
		for (unsigned i = 0; i < 140; i++)
			buf_add_byte(&buf, 'x');
		protobuf_end(&buf, begun);
		protobuf_add_double(&buf, 2, 1);
		assert_true(buf_failed(&buf));
		assert_true(buf.len <= cap);
		buf_fini(&buf);
	}
}

static void
test_protobuf__reads_what_was_written(void **state)
{
	(void)state;
	struct buf buf = BUF_INIT;
	protobuf_add_uint(&buf, 1, UINT64_MAX);
	protobuf_add_double(&buf, 536870911, -1.5);
	protobuf_add_bytes(&buf, 2, SPAN("testing"));
	size_t packed = protobuf_begin(&buf, 3);
	protobuf_add_length(&buf, 300);
	protobuf_add_length(&buf, 0);
	protobuf_end(&buf, packed);
	struct span rest = buf_span(&buf);
	struct protobuf_field field;
	uint64_t item;
	assert_true(protobuf_next(&rest, &field));
	assert_int_equal(field.number, 1);
	assert_true(field.integer == UINT64_MAX);
	assert_int_equal(field.bytes.len, 0);
	assert_int_equal(field.whole.len, 1 + 10);
	assert_true(protobuf_next(&rest, &field));
	assert_int_equal(field.number, 536870911);
	assert_int_equal(field.whole.len, 5 + 8);
	assert_true(protobuf_next(&rest, &field));
	assert_span_equal(field.bytes, "testing");
	assert_true(protobuf_next(&rest, &field));
	assert_true(protobuf_next_packed(&field.bytes, &item));
	assert_int_equal(item, 300);
	assert_true(protobuf_next_packed(&field.bytes, &item));
	assert_int_equal(item, 0);
	assert_false(protobuf_next_packed(&field.bytes, &item));
	assert_false(protobuf_next(&rest, &field));
	assert_int_equal(rest.len, 0);
	buf_fini(&buf);
}

static void
test_protobuf__refuses(void **state)
{
	(void)state;
	static const struct span table[] = {
	    SPAN("\x08"),     /* no value */
	    SPAN("\x08\x80"), /* cut off */
	    SPAN("\x09"
		 "1234567"),   /* seven bytes of eight */
	    SPAN("\x0a\x02x"), /* longer than it is */
	    SPAN("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01x"),
	    SPAN("\x0b"), /* wire type 3 */
	    SPAN("\x0d"
		 "1234"),                                             /* wire type 5 */
	    SPAN("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01\x00"),     /* a field beyond all */
	    SPAN("\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"), /* eleven bytes */
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct span rest = table[i];
		struct protobuf_field field;
		if (protobuf_next(&rest, &field))
			fail_msg("row %zu", i);
		assert_int_equal(rest.len, table[i].len);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_protobuf__fields),
	    cmocka_unit_test(test_protobuf__signed_integers),
	    cmocka_unit_test(test_protobuf__messages),
	    cmocka_unit_test(test_protobuf__delimited_messages),
	    cmocka_unit_test(test_protobuf__cap),
	    cmocka_unit_test(test_protobuf__reads_what_was_written),
	    cmocka_unit_test(test_protobuf__refuses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
