#include "test.h"

#include "base/buf.h"

static void
test_add__all_kinds(void **state)
{
	(void)state;
	struct buf buf = BUF_INIT;
	assert_span_equal(buf_span(&buf), "");
	buf_add(&buf, "ab\0c", 4);
	buf_add_span(&buf, SPAN("-d"));
	buf_add_span(&buf, (struct span){NULL, 0});
	buf_add_text(&buf, "-e");
	buf_add_text(&buf, "");
	buf_add_byte(&buf, '-');
	buf_printf(&buf, "%d%s", 42, "!");
	assert_true(span_equal(buf_span(&buf), SPAN("ab\0c-d-e-42!")));
	assert_false(buf_failed(&buf));
	buf_reset(&buf);
	assert_span_equal(buf_span(&buf), "");
	assert_true(buf.size > 0);
	buf_fini(&buf);
	assert_null(buf.ptr);
	buf_add_text(&buf, "again");
	assert_span_equal(buf_span(&buf), "again");
	buf_fini(&buf);
}

static void
test_add__grows_and_keeps_content(void **state)
{
	(void)state;
	struct buf buf = BUF_INIT;
	for (int i = 0; i < 10000; i++)
		buf_add_byte(&buf, (char)('a' + i % 26));
	assert_int_equal(buf.len, 10000);
	for (int i = 0; i < 10000; i++)
		assert_int_equal(buf.ptr[i], 'a' + i % 26);
	buf_fini(&buf);
}

static void
test_cap__what_just_fits(void **state)
{
	(void)state;
	struct buf buf;
	buf_init(&buf, 5);
	buf_add_text(&buf, "12345");
	assert_false(buf_failed(&buf));
	buf_add(&buf, "", 0);
	assert_false(buf_failed(&buf));
	buf_reset(&buf);
	buf_printf(&buf, "%s", "12345");
	assert_false(buf_failed(&buf));
	assert_span_equal(buf_span(&buf), "12345");
	assert_string_equal(buf_text(&buf), "12345");
	buf_fini(&buf);
}

static void
test_cap__failure_is_sticky(void **state)
{
	(void)state;
	struct buf buf;
	buf_init(&buf, 5);
	buf_add_text(&buf, "123");
	buf_add_text(&buf, "456");
	assert_true(buf_failed(&buf));
	buf_add_byte(&buf, '4');
	buf_printf(&buf, "5");
	assert_null(buf_reserve(&buf, 0));
	assert_span_equal(buf_span(&buf), "123");
	assert_string_equal(buf_text(&buf), "123");
	assert_true(buf_failed(&buf));
	buf_reset(&buf);
	assert_false(buf_failed(&buf));
	buf_printf(&buf, "%s", "123456");
	assert_true(buf_failed(&buf));
	assert_int_equal(buf.len, 0);
	buf_fini(&buf);
	assert_int_equal(buf.limit, 5);
}

static void
test_cap__none_at_all(void **state)
{
	(void)state;
	struct buf buf;
	buf_init(&buf, 0);
	buf_add_text(&buf, "");
	assert_false(buf_failed(&buf));
	buf_add_byte(&buf, 'x');
	assert_true(buf_failed(&buf));
	assert_string_equal(buf_text(&buf), "");
	buf_fini(&buf);
}

static void
test_reserve__is_not_null_without_failure(void **state)
{
	(void)state;
	struct buf buf = BUF_INIT;
	assert_non_null(buf_reserve(&buf, 0));
	char *to = buf_reserve(&buf, 1000);
	assert_non_null(to);
	memset(to, 'x', 1000);
	assert_int_equal(buf.len, 0);
	buf.len += 1000;
	assert_int_equal(buf_span(&buf).ptr[999], 'x');
	buf_fini(&buf);
}

static void
test_text__has_a_nul_and_may_be_continued(void **state)
{
	(void)state;
	struct buf buf = BUF_INIT;
	assert_string_equal(buf_text(&buf), "");
	buf_add_text(&buf, "ab");
	assert_string_equal(buf_text(&buf), "ab");
	buf_add_text(&buf, "cd");
	assert_string_equal(buf_text(&buf), "abcd");
	buf_fini(&buf);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_add__all_kinds),
	    cmocka_unit_test(test_add__grows_and_keeps_content),
	    cmocka_unit_test(test_cap__what_just_fits),
	    cmocka_unit_test(test_cap__failure_is_sticky),
	    cmocka_unit_test(test_cap__none_at_all),
	    cmocka_unit_test(test_reserve__is_not_null_without_failure),
	    cmocka_unit_test(test_text__has_a_nul_and_may_be_continued),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
