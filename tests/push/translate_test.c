#include "test.h"

#include "base/alloc.h"
#include "base/protobuf.h"
#include "push/decode.h"
#include "push/translate.h"
#include "push/written.h"

#include <stdlib.h>

static void
test_translate__as_if_written_so(void **state)
{
	(void)state;
	struct buf old = write_message(PUSH_PROTOCOL_1, true, false).bytes;
	struct buf new = write_message(PUSH_PROTOCOL_2, true, false).bytes;
	struct buf translated = BUF_INIT, want = BUF_INIT, have = BUF_INIT;
	assert_true(push_translate(buf_span(&new), &translated));
	decode_message(&(struct push_message){.bytes = buf_span(&old)}, &want);
	decode_message(&(struct push_message){.bytes = buf_span(&translated)}, &have);
	assert_string_equal(buf_text(&have), buf_text(&want));
	assert_non_null(strstr(buf_text(&want), "} native"));
	assert_non_null(strstr(buf_text(&want), ", of {id=\"a\"} 0.25 @ 3, of {id=\"b\"} 9 @ 4"));
	struct buf *all[] = {&old, &new, &translated, &want, &have};
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		buf_fini(all[i]);
}

/* Copies are as long as they say, so that sanitizers see who reads on behind them. */
static bool
translates(struct span message)
{
	struct buf out = BUF_INIT;
	char *copy = xmalloc(message.len + 1);
	memcpy(copy, message.ptr, message.len);
	char *exact = realloc(copy, message.len ? message.len : 1);
	bool is_good = push_translate(span_of(exact, message.len), &out);
	free(exact);
	buf_fini(&out);
	return is_good;
}

static void
test_translate__refuses(void **state)
{
	(void)state;
	struct buf message = write_message(PUSH_PROTOCOL_2, true, false).bytes;
	struct protobuf_field field;
	struct span rest = buf_span(&message);
	size_t series = 0, ends = 0;
	for (; protobuf_next(&rest, &field) && field.number == REQUEST2_TIMESERIES; series++)
		ends = message.len - rest.len;
	assert_int_equal(series, 6);
	/* References to symbols that were cut off. */
	for (size_t len = 1; len < message.len; len++) {
		if (translates(span_first(buf_span(&message), len)))
			fail_msg("%zu of %zu bytes", len, message.len);
	}
	assert_in_range(ends, 1, message.len - 1);
	assert_true(translates(buf_span(&message)));
	buf_fini(&message);
	static const struct span table[] = {
	    SPAN("\x2a\x03\x0a\x01\x00\x22\x00"),     /* a name without a value */
	    SPAN("\x2a\x04\x0a\x02\x00\x01\x22\x00"), /* a symbol that is not there */
	    SPAN("\x2a\x02\x12\x01\x22\x00"),         /* a sample longer than its series */
	    SPAN("\x2a\x03\x12\x01\x09\x22\x00"),     /* a value without bytes */
	    SPAN(
		"\x2a\x05\x22\x03\x0a\x01\x07\x22\x00"), /* an exemplar's label that is not there */
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (translates(table[i]))
			fail_msg("row %zu", i);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_translate__as_if_written_so),
	    cmocka_unit_test(test_translate__refuses),
	};
	return cmocka_run_group_tests_name("push/translate", tests, NULL, NULL);
}
