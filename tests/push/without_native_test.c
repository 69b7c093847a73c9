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
