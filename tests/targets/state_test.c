#include "test.h"

#include "base/file.h"
#include "folder.h"
#include "targets/make.h"
#include "targets/state.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECOND_US INT64_C(1000000)
/* 2023-11-14 */
#define NOW_US (INT64_C(1700000000) * SECOND_US)

static struct target_set *
make_set(void)
{
	struct target_set *set = target_set_new();
	clock_fake(NOW_US);
	assert_int_equal(put(set, "forever", "o", 0, "a:1 a:2"), SET_ADDED);
	assert_int_equal(put(set, "b", "coordinator@host:1", 60 * SECOND_US, "b:1"), SET_ADDED);
	assert_int_equal(put(set, "a", "o", 10 * SECOND_US, ""), SET_ADDED);
	return set;
}

static const char whole[] =
    "{\"statsbridge_targets\":1,\"groups\":3}\n"
    "{\"group\":\"a\",\"owner\":\"o\",\"registered_ms\":1700000000000,\"ttl_ms\":10000,"
    "\"expires_ms\":1700000010000,\"document\":[]}\n"
    "{\"group\":\"b\",\"owner\":\"coordinator@host:1\",\"registered_ms\":1700000000000,"
    "\"ttl_ms\":60000,\"expires_ms\":1700000060000,\"document\":[{\"targets\":[\"b:1\"]}]}\n"
    "{\"group\":\"forever\",\"owner\":\"o\",\"registered_ms\":1700000000000,"
    "\"document\":[{\"targets\":[\"a:1\",\"a:2\"]}]}\n";

static void
assert_format(const struct target_set *set, const char *want)
{
	struct buf text = BUF_INIT;
	target_state_format(set, &text);
	assert_string_equal(buf_text(&text), want);
	buf_fini(&text);
}

static struct target_set *
parse(struct span text)
{
	struct diag diag = DIAG_INIT;
	struct target_set *set = target_state_parse("f", text, &diag);
	if (!set || diag.count)
		fail_msg("%s", diag.count ? diag.messages[0].text : "no message");
	diag_fini(&diag);
	return set;
}

static void
test_format__and_back(void **state)
{
	(void)state;
	struct target_set *set = make_set();
	assert_format(set, whole);
	struct target_set *again = parse(span_text(whole));
	assert_format(again, whole);
	assert_int_equal(again->targets, set->targets);
	assert_int_equal(again->bytes, set->bytes);
	assert_int_equal(again->next_expiry.us, set->next_expiry.us);
	target_set_unref(&set);
	target_set_unref(&again);

	struct target_set *empty = target_set_new();
	assert_format(empty, "{\"statsbridge_targets\":1,\"groups\":0}\n");
	target_set_unref(&empty);
	empty = parse(SPAN("{\"statsbridge_targets\":1,\"groups\":0}"));
	assert_int_equal(empty->count, 0);
	target_set_unref(&empty);
}

static void
test_parse__time_goes_on_while_nobody_runs(void **state)
{
	(void)state;
	clock_fake(NOW_US + 9 * SECOND_US);
	struct target_set *set = parse(span_text(whole));
	assert_int_equal(set->count, 3);
	assert_int_equal(set->next_expiry.us, NOW_US + 10 * SECOND_US);
	target_set_unref(&set);

	clock_fake(NOW_US + 10 * SECOND_US);
	set = parse(span_text(whole));
	assert_int_equal(set->count, 2);
	assert_null(target_set_find(set, SPAN("a")));
	target_set_unref(&set);

	clock_fake(NOW_US + 1000 * SECOND_US);
	set = parse(span_text(whole));
	assert_int_equal(set->count, 1);
	assert_non_null(target_set_find(set, SPAN("forever")));
	target_set_unref(&set);
}

static void
test_parse__clock_set_back(void **state)
{
	(void)state;
	clock_fake(1000 * SECOND_US);
	struct target_set *set = parse(span_text(whole));
	const struct target_group *group = target_set_find(set, SPAN("a"));
	assert_int_equal(group->expires.us, 1010 * SECOND_US);
	assert_int_equal(group->expires_at.us, 1010 * SECOND_US);
	assert_int_equal(group->registered.us, NOW_US);
	target_set_unref(&set);
}

#define HEADER "{\"statsbridge_targets\":1,\"groups\":1}\n"
#define WAY_OUT "; mend the file, or move it away to start without groups"
#define NAME_WANTED "expected 1 to 200 letters, digits and any of ._:@~-" WAY_OUT
#define DATE_WANTED "expected a whole number from 0 to 100000000000000" WAY_OUT
#define TTL_WANTED "expected a whole number from 1000 to 31622400000" WAY_OUT

static void
test_parse__damaged(void **state)
{
	(void)state;
	static const struct {
		struct span text;
		const char *message;
	} cases[] = {
	    {SPAN(""), "f:1:1: not JSON: it ends too early" WAY_OUT},
	    {SPAN("\n"), "f:1:1: not JSON: it ends too early" WAY_OUT},
	    {SPAN("\0\0\0\0"), "f:1:1: not JSON: it ends too early" WAY_OUT},
	    {SPAN("[]\n"), "f:1:1: expected a JSON object" WAY_OUT},
	    {SPAN("{}\n"),
	     "f:1:1: statsbridge_targets: expected a whole number from 1 to 1" WAY_OUT},
	    {SPAN("{\"statsbridge_targets\":2,\"groups\":0}"),
	     "f:1:1: statsbridge_targets: expected a whole number from 1 to 1" WAY_OUT},
	    {SPAN("{\"statsbridge_targets\":1,\"groups\":10001}"),
	     "f:1:1: groups: expected a whole number from 0 to 10000" WAY_OUT},
	    {SPAN("{\"statsbridge_targets\":1,\"groups\":0.0}"),
	     "f:1:1: groups: expected a whole number from 0 to 10000" WAY_OUT},
	    {SPAN("{\"statsbridge_targets\":1,\"groups\":0,\"x\":0}"),
	     "f:1:1: \"x\": unknown key" WAY_OUT},
	    {SPAN(HEADER), "f:1:1: groups: the file has 0 groups, not 1" WAY_OUT},
	    {SPAN(HEADER "{\"group\":\"a\",\"owner\":\"o\",\"registered_ms\":1,\"document\":[]}\n"
			 "{\"group\":\"b\",\"owner\":\"o\",\"registered_ms\":1,\"document\":[]}\n"),
	     "f:1:1: groups: the file has 2 groups, not 1" WAY_OUT},
	    {SPAN("{\"statsbridge_targets\":1,\"groups\":2}\n"
		  "{\"group\":\"a\",\"owner\":\"o\",\"registered_ms\":1,\"document\":[]}\n"
		  "{\"group\":\"a\",\"owner\":\"o\",\"registered_ms\":1,\"document\":[]}\n"),
	     "f:3:1: group: is in the file twice" WAY_OUT},
	    {SPAN(HEADER "\n"), "f:2:1: not JSON: it ends too early" WAY_OUT},
	    {SPAN(HEADER "{\"group\":\"a\",\"owner\":\"o\",\"regis"),
	     "f:2:31: not JSON: it ends too early" WAY_OUT},
	    {SPAN(HEADER "{\"group\":\"a\",\"owner\":\"o\",\"registered_ms\":1,\"document\":[],"
			 "\"x\":1}\n"),
	     "f:2:1: \"x\": unknown key" WAY_OUT},
	    {SPAN(HEADER "{\"owner\":\"o\",\"registered_ms\":1,\"document\":[]}\n"),
	     "f:2:1: group: " NAME_WANTED},
	    {SPAN(HEADER
		  "{\"group\":\"a/b\",\"owner\":\"o\",\"registered_ms\":1,\"document\":[]}\n"),
	     "f:2:1: group: " NAME_WANTED},
	    {SPAN(HEADER "{\"group\":\"a\",\"owner\":1,\"registered_ms\":1,\"document\":[]}\n"),
	     "f:2:1: owner: " NAME_WANTED},
	    {SPAN(HEADER "{\"group\":\"a\",\"owner\":\"o\",\"document\":[]}\n"),
	     "f:2:1: registered_ms: " DATE_WANTED},
	    {SPAN(HEADER
		  "{\"group\":\"a\",\"owner\":\"o\",\"registered_ms\":-1,\"document\":[]}\n"),
	     "f:2:1: registered_ms: " DATE_WANTED},
	    {SPAN(HEADER "{\"group\":\"a\",\"owner\":\"o\",\"registered_ms\":9223372036854775807,"
			 "\"document\":[]}\n"),
	     "f:2:1: registered_ms: " DATE_WANTED},
	    {SPAN(HEADER "{\"group\":\"a\",\"owner\":\"o\",\"registered_ms\":9223372036854775808,"
			 "\"document\":[]}\n"),
	     "f:2:60: not JSON: a number is too large" WAY_OUT},
	    {SPAN(HEADER "{\"group\":\"a\",\"owner\":\"o\",\"registered_ms\":1,\"ttl_ms\":999,"
			 "\"expires_ms\":1,\"document\":[]}\n"),
	     "f:2:1: ttl_ms: " TTL_WANTED},
	    {SPAN(HEADER "{\"group\":\"a\",\"owner\":\"o\",\"registered_ms\":1,\"expires_ms\":1,"
			 "\"document\":[]}\n"),
	     "f:2:1: ttl_ms: " TTL_WANTED},
	    {SPAN(HEADER "{\"group\":\"a\",\"owner\":\"o\",\"registered_ms\":1,\"ttl_ms\":1000,"
			 "\"document\":[]}\n"),
	     "f:2:1: expires_ms: " DATE_WANTED},
	    {SPAN(HEADER "{\"group\":\"a\",\"owner\":\"o\",\"registered_ms\":1}\n"),
	     "f:2:1: document: is missing" WAY_OUT},
	    {SPAN(HEADER "{\"group\":\"a\",\"owner\":\"o\",\"registered_ms\":1,"
			 "\"document\":[{\"targets\":[\"a\",\"\"]}]}\n"),
	     "f:2:1: document: [0].targets[1]: expected a text such as \"host:port\", got an empty "
	     "one" WAY_OUT},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct diag diag = DIAG_INIT;
		struct target_set *set = target_state_parse("f", cases[i].text, &diag);
		if (set || diag.count != 1)
			fail_msg("case %zu: %zu messages", i, diag.count);
		if (strcmp(diag.messages[0].text, cases[i].message) != 0)
			fail_msg("case %zu\n got %s\nwant %s", i, diag.messages[0].text,
				 cases[i].message);
		diag_fini(&diag);
	}
}

/* A file that was cut anywhere is noticed, but for the line end of its last line. */
static void
test_parse__cut_anywhere(void **state)
{
	(void)state;
	clock_fake(NOW_US);
	for (size_t len = 0; len < sizeof(whole) - 2; len++) {
		struct diag diag = DIAG_INIT;
		struct target_set *set = target_state_parse("f", span_of(whole, len), &diag);
		if (set || diag.errors != 1)
			fail_msg("%zu bytes were taken", len);
		diag_fini(&diag);
	}
}

static void
check_load(const char *path, const char *message)
{
	struct diag diag = DIAG_INIT;
	assert_null(target_state_load(path, &diag));
	assert_int_equal(diag.count, 1);
	assert_string_equal(diag.messages[0].text, message);
	diag_fini(&diag);
}

static void
test_load__from_disk(void **state)
{
	(void)state;
	struct diag diag = DIAG_INIT;
	clock_fake(NOW_US);
	struct target_set *set = target_state_load("none", &diag);
	assert_int_equal(set->count, 0);
	target_set_unref(&set);
	assert_int_equal(file_replace("f", span_text(whole), NULL), 0);
	set = target_state_load("f", &diag);
	assert_format(set, whole);
	assert_int_equal(diag.count, 0);
	target_set_unref(&set);

	assert_int_equal(truncate("f", 0), 0);
	check_load("f", "f:1:1: not JSON: it ends too early" WAY_OUT);
	assert_int_equal(truncate("f", STATE_BYTES_MAX + 1), 0);
	check_load("f", "f: larger than 33554432 bytes" WAY_OUT);
	check_load(".", ".: cannot read: Is a directory");
	assert_int_equal(unlink("f"), 0);
	/* Nobody waits for what may never come. */
	assert_int_equal(mkfifo("f", 0600), 0);
	check_load("f", "f:1:1: not JSON: it ends too early" WAY_OUT);
	assert_int_equal(unlink("f"), 0);
}

static void
test_lock__one_at_a_time(void **state)
{
	(void)state;
	struct diag diag = DIAG_INIT;
	int first = target_state_lock("f", &diag);
	assert_true(first >= 0);
	assert_int_equal(target_state_lock("f", &diag), -1);
	int other = target_state_lock("g", &diag);
	assert_true(other >= 0);
	close(first);
	first = target_state_lock("f", &diag);
	assert_true(first >= 0);
	close(first);
	close(other);
	assert_int_equal(target_state_lock("none/f", &diag), -1);
	assert_int_equal(diag.count, 2);
	assert_string_equal(diag.messages[0].text,
			    "f: in use by another process; each needs a file of its own");
	assert_string_equal(diag.messages[1].text,
			    "none/f: cannot make none/f.lock beside it: No such file or directory; "
			    "the folder must exist and be writable");
	assert_int_equal(unlink("f.lock"), 0);
	assert_int_equal(unlink("g.lock"), 0);
	diag_fini(&diag);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_format__and_back),
	    cmocka_unit_test(test_parse__time_goes_on_while_nobody_runs),
	    cmocka_unit_test(test_parse__clock_set_back),
	    cmocka_unit_test(test_parse__damaged),
	    cmocka_unit_test(test_parse__cut_anywhere),
	    cmocka_unit_test(test_load__from_disk),
	    cmocka_unit_test(test_lock__one_at_a_time),
	};
	return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
