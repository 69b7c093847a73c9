#include "test.h"

#include "push/decode.h"
#include "push/without_native.h"
#include "push/written.h"

static void
test_without_native__as_if_written_so(void **state)
{
	(void)state;
	for (enum push_protocol protocol = 0; protocol < PUSH_PROTOCOLS; protocol++) {
		struct written with = write_message(protocol, true, true);
		struct written without = write_message(protocol, false, true);
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

/* Symbols that nothing refers to are no message. */
static void
test_without_native__leaves_nothing(void **state)
{
	(void)state;
	static const struct {
		enum push_protocol protocol;
		struct span message;
		size_t left;
	} table[] = {
	    {PUSH_PROTOCOL_1, SPAN("\x0a\x02\x22\x00"), 0},
	    {PUSH_PROTOCOL_1, SPAN("\x0a\x02\x22\x00\x1a\x00"), 2}, /* metadata */
	    {PUSH_PROTOCOL_2, SPAN("\x2a\x02\x1a\x00\x22\x01h"), 0},
	    {PUSH_PROTOCOL_2, SPAN("\x2a\x02\x1a\x00\x2a\x02\x12\x00\x22\x01h"), 7},
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct buf left = BUF_INIT;
		buf_add_text(&left, "before");
		assert_true(push_without_native(table[i].protocol, table[i].message, &left));
		assert_int_equal(left.len, strlen("before") + table[i].left);
		buf_fini(&left);
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
	    cmocka_unit_test(test_without_native__leaves_nothing),
	    cmocka_unit_test(test_without_native__refuses),
	};
	return cmocka_run_group_tests_name("push/without_native", tests, NULL, NULL);
}
