#include "test.h"

#include "base/file.h"
#include "folder.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * The two calls that the promise of file_replace() hangs on, in the place of the C library's: they
 * note what they were asked for and do it, or fail.
 */
static struct buf calls = {.limit = SIZE_MAX};
static const char *failing; /* a call as it is noted; NULL = none */

static int
note_call(const char *call, const char *path)
{
	const char *slash = strrchr(path, '/');
	struct buf noted = BUF_INIT;
	buf_printf(&noted, "%s %s", call, slash ? slash + 1 : path);
	buf_printf(&calls, "%s%s", calls.len ? ", " : "", buf_text(&noted));
	bool fails = failing && strcmp(failing, buf_text(&noted)) == 0;
	buf_fini(&noted);
	errno = fails ? EIO : errno;
	return fails ? -1 : 0;
}

int
fsync(int fd)
{
	char link[64], path[4096];
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	ssize_t len = readlink(link, path, sizeof(path) - 1);
	assert_true(len > 0);
	path[len] = '\0';
	return note_call("fsync", path) == 0 ? (int)syscall(SYS_fsync, fd) : -1;
}

int
rename(const char *from, const char *to)
{
	return note_call("rename", from) == 0
		   ? (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0)
		   : -1;
}

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
	assert_int_equal(file_replace("a", SPAN("one"), NULL), 0);
	assert_content("a", "one");
	assert_int_equal(stat("a", &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	assert_int_equal(file_replace("a", SPAN(""), NULL), 0);
	assert_content("a", "");
	struct buf path = BUF_INIT;
	buf_printf(&path, "%s/a", test_folder);
	assert_int_equal(file_replace(buf_text(&path), SPAN("two"), NULL), 0);
	assert_content("a", "two");
	assert_int_equal(access("a.new", F_OK), -1);
	assert_int_equal(unlink("a"), 0);
	buf_fini(&path);
}

static void
test_replace__each_step_has_reached_the_disk_before_the_next(void **state)
{
	(void)state;
	const char *folder = strrchr(test_folder, '/') + 1;
	struct buf want = BUF_INIT, last = BUF_INIT;
	buf_printf(&last, "fsync %s", folder);
	buf_printf(&want, "fsync a.new, rename a.new, %s", buf_text(&last));
	buf_reset(&calls);
	bool is_done = false;
	assert_int_equal(file_replace("a", SPAN("old"), &is_done), 0);
	assert_true(is_done);
	assert_string_equal(buf_text(&calls), buf_text(&want));

	const char *const steps[] = {"fsync a.new", "rename a.new", buf_text(&last)};
	for (int i = 0; i < 3; i++) {
		failing = steps[i];
		bool is_replaced = i < 2;
		assert_int_equal(file_replace("a", SPAN("new"), &is_replaced), EIO);
		assert_int_equal(is_replaced, i == 2);
		failing = NULL;
		/* Only after the rename is the new one there, perhaps for nobody. */
		assert_content("a", i < 2 ? "old" : "new");
		assert_int_equal(access("a.new", F_OK), -1);
	}
	assert_int_equal(unlink("a"), 0);
	buf_fini(&want);
	buf_fini(&last);
}

static void
test_replace__what_a_crash_left_is_in_nobodys_way(void **state)
{
	(void)state;
	assert_int_equal(file_replace("a.new", SPAN("half of something much longer"), NULL), 0);
	assert_int_equal(file_replace("a", SPAN("whole"), NULL), 0);
	assert_content("a", "whole");
	assert_int_equal(access("a.new", F_OK), -1);
	assert_int_equal(unlink("a"), 0);
}

static void
test_replace__failures_leave_the_old_content(void **state)
{
	(void)state;
	assert_int_equal(file_replace("none/a", SPAN("x"), NULL), ENOENT);
	/* Something that cannot be renamed over, and something that cannot be written to. */
	assert_int_equal(mkdir("a", 0700), 0);
	assert_int_equal(file_replace("a", SPAN("x"), NULL), EISDIR);
	assert_int_equal(access("a.new", F_OK), -1);
	assert_int_equal(rmdir("a"), 0);
	assert_int_equal(file_replace("a", SPAN("old"), NULL), 0);
	assert_int_equal(symlink("elsewhere", "a.new"), 0);
	assert_int_equal(file_replace("a", SPAN("x"), NULL), ELOOP);
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
	assert_int_equal(file_replace("a", SPAN("old"), NULL), 0);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	tight = limit;
	tight.rlim_cur = 4;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
	assert_int_equal(file_replace("a", SPAN("12345"), NULL), EFBIG);
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
	assert_int_equal(file_replace("a", SPAN("0123456789"), NULL), 0);
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
	    cmocka_unit_test(test_replace__each_step_has_reached_the_disk_before_the_next),
	    cmocka_unit_test(test_replace__what_a_crash_left_is_in_nobodys_way),
	    cmocka_unit_test(test_replace__failures_leave_the_old_content),
	    cmocka_unit_test(test_replace__no_room),
	    cmocka_unit_test(test_read__limits),
	    cmocka_unit_test(test_read__pipe_is_not_waited_for),
	};
	int failed = cmocka_run_group_tests(tests, enter_folder, leave_folder);
	buf_fini(&calls);
	return failed;
}
