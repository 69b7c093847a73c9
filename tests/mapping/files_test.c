#include "test.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "mapping/files.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Every test works in an empty directory of its own. */
static char home[] = "/tmp/statsbridge-files-XXXXXX";

static int
enter_home(void **state)
{
	(void)state;
	strcpy(home + sizeof(home) - 7, "XXXXXX");
	assert_non_null(mkdtemp(home));
	return chdir(home);
}

static int
remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
	(void)status, (void)type, (void)walk;
	return remove(path);
}

static int
leave_home(void **state)
{
	(void)state;
	assert_int_equal(chdir("/"), 0);
	return nftw(home, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static void
make_file(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	assert_true(fd >= 0);
	close(fd);
}

static void
make_files(const char *const *paths)
{
	for (; *paths; paths++)
		make_file(*paths);
}

static void
make_directory(const char *path)
{
	assert_int_equal(mkdir(path, 0700), 0);
}

/* Up to a NULL. */
static size_t
list_length(const char *const *list)
{
	size_t count = 0;
	while (list[count])
		count++;
	return count;
}

/* @files what is listed, with blanks between; @messages what is told, with line feeds between */
static void
check_list(const char *const *given, const char *files, const char *messages)
{
	struct mapping_files out;
	struct diag diag = DIAG_INIT;
	struct buf listed = BUF_INIT, told = BUF_INIT;
	bool ok = mapping_files_list(given, list_length(given), &out, &diag);
	for (size_t i = 0; i < out.count; i++)
		buf_printf(&listed, "%s%s", i ? " " : "", out.items[i].path);
	for (size_t i = 0; i < diag.count; i++)
		buf_printf(&told, "%s%s", i ? "\n" : "", diag.messages[i].text);
	assert_string_equal(buf_text(&listed), files);
	assert_string_equal(buf_text(&told), messages);
	assert_int_equal(ok, diag.errors == 0);
	mapping_files_fini(&out);
	assert_int_equal(out.count, 0);
	buf_fini(&listed);
	buf_fini(&told);
	diag_fini(&diag);
}

#define GIVEN(...) ((const char *const[]){__VA_ARGS__, NULL})

static void
test_list__paths_in_the_order_given(void **state)
{
	(void)state;
	make_files(GIVEN("b", "a.yml"));
	check_list(GIVEN("b", "a.yml"), "b a.yml", "");
	check_list(GIVEN("no-such-file", "", "b"), "no-such-file  b", "");
	check_list((const char *const[]){NULL}, "", "");
}

static void
test_list__directory_in_order_of_bytes(void **state)
{
	(void)state;
	make_directory("d");
	make_files(GIVEN("d/b.yml", "d/a.yaml", "d/B.yml", "d/10.yml", "d/9.yml", "d/\xc3\xa9.yml",
			 "d/a b.yml"));
	const char *want = "d/10.yml d/9.yml d/B.yml d/a b.yml d/a.yaml d/b.yml d/\xc3\xa9.yml";
	check_list(GIVEN("d"), want, "");
	check_list(GIVEN("d/"), want, "");
}

static void
test_list__what_is_no_mapping_file(void **state)
{
	(void)state;
	make_directory("d");
	make_files(GIVEN("d/.hidden.yml", "d/README.md", "d/x.yml~", "d/yml", "d/x.YML",
			 "d/x.yml.swp", "d/lines.txt", "d/kept.yml"));
	make_directory("d/below");
	make_file("d/below/x.yml");
	check_list(GIVEN("d"), "d/kept.yml", "");
}

static void
test_list__directories_and_files_mixed(void **state)
{
	(void)state;
	make_directory("d");
	make_directory("e");
	make_files(GIVEN("one.yml", "d/2.yml", "d/1.yml", "e/0.yml"));
	check_list(GIVEN("d", "one.yml", "e"), "d/1.yml d/2.yml one.yml e/0.yml", "");
}

/* As Kubernetes mounts a ConfigMap. */
static void
test_list__links_to_files(void **state)
{
	(void)state;
	make_directory("d");
	make_directory("d/..2024");
	make_files(GIVEN("d/..2024/b.yml", "d/..2024/a.yml"));
	assert_int_equal(symlink("..2024", "d/..data"), 0);
	assert_int_equal(symlink("..data/a.yml", "d/a.yml"), 0);
	assert_int_equal(symlink("..data/b.yml", "d/b.yml"), 0);
	assert_int_equal(symlink("d", "link"), 0);
	check_list(GIVEN("link"), "link/a.yml link/b.yml", "");
}

static void
test_list__a_file_met_again(void **state)
{
	(void)state;
	make_directory("d");
	make_files(GIVEN("d/a.yml", "d/b.yml"));
	assert_int_equal(symlink("d/b.yml", "other"), 0);
	check_list(GIVEN("d/b.yml", "d", "./d/a.yml", "other"), "d/b.yml d/a.yml",
		   "d/b.yml: is the file \"d/b.yml\", which comes first; it is read once\n"
		   "./d/a.yml: is the file \"d/a.yml\", which comes first; it is read once\n"
		   "other: is the file \"d/b.yml\", which comes first; it is read once");
}

static void
test_list__directory_without_mapping_files(void **state)
{
	(void)state;
	make_directory("d");
	make_file("d/README.md");
	make_file("one.yml");
	check_list(
	    GIVEN("d", "one.yml"), "one.yml",
	    "d: no file in this directory ends in .yml or .yaml; put one there, which may be "
	    "empty");
}

static void
test_list__entries_that_are_no_files(void **state)
{
	(void)state;
	make_directory("d");
	make_directory("d/b.yml");
	make_file("d/a.yml");
	assert_int_equal(mkfifo("d/c.yml", 0600), 0);
	assert_int_equal(symlink("nowhere", "d/e.yml"), 0);
	check_list(
	    GIVEN("d"), "d/a.yml",
	    "d/b.yml: is no regular file; give it another ending than .yml and .yaml, or take "
	    "it out of the directory\n"
	    "d/c.yml: is no regular file; give it another ending than .yml and .yaml, or take "
	    "it out of the directory\n"
	    "d/e.yml: cannot open: No such file or directory");
}

static void
make_many(unsigned count)
{
	make_directory("d");
	for (unsigned i = 0; i < count; i++) {
		char path[32];
		snprintf(path, sizeof(path), "d/%04u.yml", i);
		make_file(path);
	}
}

static void
test_list__as_many_as_there_may_be(void **state)
{
	(void)state;
	struct mapping_files out;
	struct diag diag = DIAG_INIT;
	make_many(MAPPING_FILES_MAX);
	assert_true(mapping_files_list(GIVEN("d"), 1, &out, &diag));
	assert_int_equal(out.count, MAPPING_FILES_MAX);
	assert_string_equal(out.items[0].path, "d/0000.yml");
	mapping_files_fini(&out);
	make_file("more.yml");
	assert_false(mapping_files_list(GIVEN("d", "more.yml"), 2, &out, &diag));
	assert_int_equal(out.count, MAPPING_FILES_MAX);
	assert_int_equal(diag.count, 1);
	assert_string_equal(diag.messages[0].text,
			    "more.yml: more than 256 mapping files with this one; put several into "
			    "one");
	mapping_files_fini(&out);
	diag_fini(&diag);
}

static void
test_list__far_too_many(void **state)
{
	(void)state;
	struct mapping_files out;
	struct diag diag = DIAG_INIT;
	make_many(4 * MAPPING_FILES_MAX);
	assert_false(mapping_files_list(GIVEN("d"), 1, &out, &diag));
	assert_int_equal(out.count, MAPPING_FILES_MAX);
	assert_int_equal(diag.errors, 1);
	mapping_files_fini(&out);
	diag_fini(&diag);
}

#define IN_HOME(test) cmocka_unit_test_setup_teardown(test, enter_home, leave_home)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    IN_HOME(test_list__paths_in_the_order_given),
	    IN_HOME(test_list__directory_in_order_of_bytes),
	    IN_HOME(test_list__what_is_no_mapping_file),
	    IN_HOME(test_list__directories_and_files_mixed),
	    IN_HOME(test_list__links_to_files),
	    IN_HOME(test_list__a_file_met_again),
	    IN_HOME(test_list__directory_without_mapping_files),
	    IN_HOME(test_list__entries_that_are_no_files),
	    IN_HOME(test_list__as_many_as_there_may_be),
	    IN_HOME(test_list__far_too_many),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
