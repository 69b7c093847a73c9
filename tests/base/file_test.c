#include "test.h"

#include "base/file.h"
#include "folder.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static void
assert_content(const char *path, const char *want)
{
	struct buf content = BUF_INIT;
	assert_int_equal(file_read(path, 0, 1000, &content), 0);
	assert_string_equal(buf_text(&content), want);
	buf_fini(&content);
}

static void
test_replace__makes_and_replaces(void **state)
{
	(void)state;
	struct stat status;
	assert_int_equal(file_replace("a", SPAN("one")), 0);
	assert_content("a", "one");
	assert_int_equal(stat("a", &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	assert_int_equal(file_replace("a", SPAN("")), 0);
	assert_content("a", "");
	struct buf path = BUF_INIT;
	buf_printf(&path, "%s/a", test_folder);
	assert_int_equal(file_replace(buf_text(&path), SPAN("two")), 0);
	assert_content("a", "two");
	assert_int_equal(access("a.new", F_OK), -1);
	assert_int_equal(unlink("a"), 0);
	buf_fini(&path);
}

static void
test_replace__what_a_crash_left_is_in_nobodys_way(void **state)
{
	(void)state;
	assert_int_equal(file_replace("a.new", SPAN("half of something much longer")), 0);
	assert_int_equal(file_replace("a", SPAN("whole")), 0);
	assert_content("a", "whole");
	assert_int_equal(access("a.new", F_OK), -1);
	assert_int_equal(unlink("a"), 0);
}

static void
test_replace__failures_leave_the_old_content(void **state)
{
	(void)state;
	assert_int_equal(file_replace("none/a", SPAN("x")), ENOENT);
	/* Something that cannot be renamed over, and something that cannot be written to. */
	assert_int_equal(mkdir("a", 0700), 0);
	assert_int_equal(file_replace("a", SPAN("x")), EISDIR);
	assert_int_equal(access("a.new", F_OK), -1);
	assert_int_equal(rmdir("a"), 0);
	assert_int_equal(file_replace("a", SPAN("old")), 0);
	assert_int_equal(symlink("elsewhere", "a.new"), 0);
	assert_int_equal(file_replace("a", SPAN("x")), ELOOP);
	assert_content("a", "old");
	assert_int_equal(access("elsewhere", F_OK), -1);
	assert_int_equal(unlink("a"), 0);
}

/* A file size limit stands in for a full disk. */
static void
test_replace__no_room(void **state)
{
	(void)state;
	struct rlimit limit, tight;
	assert_int_equal(file_replace("a", SPAN("old")), 0);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	tight = limit;
	tight.rlim_cur = 4;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
	assert_int_equal(file_replace("a", SPAN("12345")), EFBIG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_content("a", "old");
	assert_int_equal(access("a.new", F_OK), -1);
	assert_int_equal(unlink("a"), 0);
}

static void
test_read__limits(void **state)
{
	(void)state;
	struct buf content = BUF_INIT;
	assert_int_equal(file_replace("a", SPAN("0123456789")), 0);
	buf_add_text(&content, ">");
	assert_int_equal(file_read("a", 0, 10, &content), 0);
	assert_string_equal(buf_text(&content), ">0123456789");
	buf_reset(&content);
	assert_int_equal(file_read("a", 0, 9, &content), EFBIG);
	buf_reset(&content);
	assert_int_equal(file_read("/dev/zero", 0, 1 << 20, &content), EFBIG);
	assert_int_equal(file_read("none", 0, 10, &content), ENOENT);
	assert_int_equal(file_read(".", 0, 10, &content), EISDIR);
	assert_int_equal(unlink("a"), 0);
	buf_fini(&content);
}

static void
test_read__pipe_is_not_waited_for(void **state)
{
	(void)state;
	struct buf content = BUF_INIT;
	assert_int_equal(mkfifo("a", 0600), 0);
	assert_int_equal(file_read("a", O_NONBLOCK, 10, &content), 0);
	assert_int_equal(content.len, 0);
	int writer = open("a", O_RDWR | O_CLOEXEC);
	assert_return_code(writer, errno);
	assert_int_equal(file_read("a", O_NONBLOCK, 10, &content), EAGAIN);
	close(writer);
	assert_int_equal(unlink("a"), 0);
	buf_fini(&content);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_replace__makes_and_replaces),
	    cmocka_unit_test(test_replace__what_a_crash_left_is_in_nobodys_way),
	    cmocka_unit_test(test_replace__failures_leave_the_old_content),
	    cmocka_unit_test(test_replace__no_room),
	    cmocka_unit_test(test_read__limits),
	    cmocka_unit_test(test_read__pipe_is_not_waited_for),
	};
	return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
