#include "test.h"

#include "app/token.h"
#include "base/file.h"
#include "folder.h"

#include <sys/stat.h>
#include <unistd.h>

#define ONE "0123456789abcdef"
#define OTHER "fedcba9876543210fedcba"

static void
test_file__table(void **state)
{
	(void)state;
	static const struct {
		struct span content;
		const char *error;
	} cases[] = {
	    {SPAN(ONE), ""},
	    {SPAN(ONE "\n"), ""},
	    {SPAN("\n \t" ONE " \r\n\n" OTHER "\r\n"), ""},
	    {SPAN(""), "t: there is no token in it; make one with: openssl rand -hex 32"},
	    {SPAN(" \n\t\n"), "t: there is no token in it; make one with: openssl rand -hex 32"},
	    {SPAN("0123456789abcde\n"),
	     "t: a token needs at least 16 characters; make one with: openssl rand -hex 32"},
	    {SPAN(ONE "\nshort"),
	     "t: a token needs at least 16 characters; make one with: openssl rand -hex 32"},
	    {SPAN("two words in a line"), "t: a token may only hold visible ASCII characters"},
	    {SPAN(ONE "\0"), "t: a token may only hold visible ASCII characters"},
	    {SPAN(ONE "\xc3\xbc"), "t: a token may only hold visible ASCII characters"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf error = BUF_INIT;
		assert_int_equal(file_replace("t", cases[i].content, NULL), 0);
		assert_int_equal(token_file_check("t", &error), !*cases[i].error);
		assert_string_equal(buf_text(&error), cases[i].error);
		buf_fini(&error);
	}
	assert_int_equal(unlink("t"), 0);
}

static void
check_unreadable(const char *path, const char *want)
{
	struct buf error = BUF_INIT;
	assert_false(token_file_check(path, &error));
	assert_string_equal(buf_text(&error), want);
	buf_reset(&error);
	assert_int_equal(token_check(path, SPAN("Bearer " ONE), &error), TOKEN_NO_FILE);
	assert_string_equal(buf_text(&error), want);
	buf_fini(&error);
}

static void
test_file__not_to_be_read(void **state)
{
	(void)state;
	check_unreadable("none", "none: cannot read: No such file or directory");
	check_unreadable(".", ".: cannot read: Is a directory");
	assert_int_equal(file_replace("t", SPAN(ONE), NULL), 0);
	assert_int_equal(truncate("t", TOKEN_FILE_BYTES_MAX + 1), 0);
	check_unreadable("t", "t: larger than 8192 bytes");
	assert_int_equal(unlink("t"), 0);
	/* Nobody waits for what may never come. */
	assert_int_equal(mkfifo("t", 0600), 0);
	check_unreadable("t", "t: there is no token in it; make one with: openssl rand -hex 32");
	assert_int_equal(unlink("t"), 0);
}

static void
test_check__table(void **state)
{
	(void)state;
	static const struct {
		struct span authorization;
		enum token_verdict verdict;
	} cases[] = {
	    {SPAN("Bearer " ONE), TOKEN_GOOD},
	    {SPAN("Bearer " OTHER), TOKEN_GOOD},
	    {SPAN("bEARER  " ONE " "), TOKEN_GOOD},
	    {{NULL, 0}, TOKEN_MISSING},
	    {SPAN(""), TOKEN_MISSING},
	    {SPAN("Bearer"), TOKEN_MISSING},
	    {SPAN("Bearer "), TOKEN_MISSING},
	    {SPAN(ONE), TOKEN_MISSING},
	    {SPAN("Basic " ONE), TOKEN_MISSING},
	    {SPAN("Bearer" ONE), TOKEN_MISSING},
	    {SPAN("Bearer  "), TOKEN_WRONG},
	    {SPAN("Bearer 0123456789abcdeX"), TOKEN_WRONG},
	    {SPAN("Bearer X123456789abcdef"), TOKEN_WRONG},
	    {SPAN("Bearer 0123456789abcde"), TOKEN_WRONG},
	    {SPAN("Bearer " ONE "0"), TOKEN_WRONG},
	    {SPAN("Bearer " ONE ONE), TOKEN_WRONG},
	    {SPAN("Bearer " ONE "\n" OTHER), TOKEN_WRONG},
	    {SPAN("Bearer 0"), TOKEN_WRONG},
	};
	assert_int_equal(file_replace("t", SPAN(ONE "\n" OTHER "\n"), NULL), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf error = BUF_INIT;
		enum token_verdict got = token_check("t", cases[i].authorization, &error);
		if (got != cases[i].verdict)
			fail_msg("%.*s: %d", SPAN_ARGS(cases[i].authorization), got);
		assert_int_equal(error.len, 0);
		buf_fini(&error);
	}
	assert_int_equal(unlink("t"), 0);
}

static void
test_check__exchanged_tokens_count_at_once(void **state)
{
	(void)state;
	struct buf error = BUF_INIT;
	assert_int_equal(file_replace("t", SPAN(ONE), NULL), 0);
	assert_int_equal(token_check("t", SPAN("Bearer " ONE), &error), TOKEN_GOOD);
	assert_int_equal(file_replace("t", SPAN(OTHER), NULL), 0);
	assert_int_equal(token_check("t", SPAN("Bearer " ONE), &error), TOKEN_WRONG);
	assert_int_equal(token_check("t", SPAN("Bearer " OTHER), &error), TOKEN_GOOD);
	assert_int_equal(unlink("t"), 0);
	buf_fini(&error);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_file__table),
	    cmocka_unit_test(test_file__not_to_be_read),
	    cmocka_unit_test(test_check__table),
	    cmocka_unit_test(test_check__exchanged_tokens_count_at_once),
	};
	return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
