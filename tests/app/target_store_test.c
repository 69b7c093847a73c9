/*
 * The store with its thread and a real file. One loop: what is to happen is awaited by running it.
 */
#include "test.h"

#include "app/target_store.h"
#include "base/alloc.h"
#include "base/file.h"
#include "folder.h"
#include "targets/make.h"
#include "targets/state.h"

#include <errno.h>
#include <ev.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define SECOND_US INT64_C(1000000)

/* In the place of the C library's, so that a folder may not reach the disk. Set while the store's
 * thread has nothing to write. */
static bool folder_fails;
/* Held by a test, it brings the disk to a halt. */
static pthread_mutex_t disk = PTHREAD_MUTEX_INITIALIZER;

int
fsync(int fd)
{
	struct stat about;
	pthread_mutex_lock(&disk);
	pthread_mutex_unlock(&disk);
	assert_int_equal(fstat(fd, &about), 0);
	if (!folder_fails || !S_ISDIR(about.st_mode))
		return (int)syscall(SYS_fsync, fd);
	errno = EIO;
	return -1;
}

/* What became of each change, as text: "added replaced". */
struct fixture {
	struct ev_loop *loop;
	struct target_store *store;
	struct buf outcomes;
	unsigned ended;
};

static void
note(void *ctx, enum target_outcome outcome, int error)
{
	static const char *const names[] = {
	    [TARGET_ADDED] = "added",
	    [TARGET_REPLACED] = "replaced",
	    [TARGET_REMOVED] = "removed",
	    [TARGET_UNKNOWN] = "unknown",
	    [TARGET_TOO_MANY_GROUPS] = "groups",
	    [TARGET_TOO_MANY_TARGETS] = "targets",
	    [TARGET_TOO_MANY_BYTES] = "bytes",
	    [TARGET_NOT_SYNCED] = "unsynced",
	    [TARGET_UNDECIDED] = "undecided",
	    [TARGET_NOT_WRITTEN] = "failed",
	    [TARGET_TOO_MANY_CHANGES] = "changes",
	    [TARGET_TOO_LATE] = "late",
	    [TARGET_TAKEN_BACK] = "back",
	};
	struct fixture *f = ctx;
	assert_int_equal(error != 0, outcome == TARGET_NOT_WRITTEN || outcome == TARGET_NOT_SYNCED);
	buf_printf(&f->outcomes, "%s%s", f->ended++ ? " " : "", names[outcome]);
}

static const struct target_limits ample = {.changes = 1000, .answer_us = 3600 * SECOND_US};

static struct fixture *
start_with(const char *path, struct target_limits limits)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	struct diag diag = DIAG_INIT;
	f->outcomes = BUF_INIT;
	f->loop = ev_loop_new(EVFLAG_AUTO);
	f->store = target_store_new(f->loop, path, &limits, &diag);
	if (!f->store)
		fail_msg("%s", diag.messages[0].text);
	assert_int_equal(target_store_start(f->store), 0);
	return f;
}

static struct fixture *
start(const char *path)
{
	return start_with(path, ample);
}

static void
stop(struct fixture *f)
{
	target_store_free(&f->store);
	assert_null(f->store);
	ev_loop_destroy(f->loop);
	buf_fini(&f->outcomes);
	free(f);
}

static void
change(struct fixture *f, const char *name, const char *target, int64_t ttl_us)
{
	struct target_group *group = make_group(name, "o", ttl_us, target);
	target_store_put(f->store, &group, note, f);
	assert_null(group);
}

static void
remove_group(struct fixture *f, const char *name)
{
	target_store_remove(f->store, span_text(name), note, f);
}

/* Runs the loop until so many changes have ended, and forgets them. */
static void
await_outcomes(struct fixture *f, const char *want)
{
	unsigned count = 1;
	for (const char *at = want; *at; at++)
		count += *at == ' ';
	while (f->ended < count)
		ev_run(f->loop, EVRUN_ONCE);
	assert_string_equal(buf_text(&f->outcomes), want);
	f->ended = 0;
	buf_reset(&f->outcomes);
}

/* The groups of a set, each with its document: "a=x b=y". */
static void
assert_set(const struct target_set *set, const char *want)
{
	struct buf got = BUF_INIT;
	for (size_t i = 0; i < set->count; i++) {
		struct span text = span_text(set->groups[i]->document.text);
		size_t head = strlen("{\"targets\":[\""), tail = strlen("\"]}");
		buf_printf(&got, "%s%s=%.*s", i ? " " : "", set->groups[i]->name,
			   (int)(text.len - head - tail), text.ptr + head);
	}
	assert_string_equal(buf_text(&got), want);
	buf_fini(&got);
}

static void
assert_file(const char *path, const char *want)
{
	struct diag diag = DIAG_INIT;
	struct target_set *set = target_state_load(path, &diag);
	assert_non_null(set);
	assert_set(set, want);
	target_set_unref(&set);
	diag_fini(&diag);
}

static void
test_memory__in_force_at_once(void **state)
{
	(void)state;
	struct fixture *f = start("");
	uint64_t version = target_store_version(f->store);
	change(f, "b", "x", 0);
	change(f, "a", "x", 0);
	change(f, "b", "y", 0);
	remove_group(f, "none");
	assert_set(target_store_set(f->store), "a=x b=y");
	assert_int_equal(target_store_version(f->store), version + 3);
	remove_group(f, "a");
	await_outcomes(f, "added added replaced unknown removed");
	assert_set(target_store_set(f->store), "b=y");
	const struct target_store_stats *stats = target_store_stats(f->store);
	assert_int_equal(stats->puts, 3);
	assert_int_equal(stats->removals, 1);
	assert_int_equal(stats->writes_ok, 0);
	stop(f);
}

static void
test_file__told_once_it_is_written(void **state)
{
	(void)state;
	struct fixture *f = start("s");
	assert_file("s", "");
	change(f, "a", "x", 0);
	assert_set(target_store_set(f->store), "");
	await_outcomes(f, "added");
	assert_file("s", "a=x");
	assert_set(target_store_set(f->store), "a=x");
	stop(f);

	f = start("s");
	assert_set(target_store_set(f->store), "a=x");
	change(f, "a", "y", 60 * SECOND_US);
	await_outcomes(f, "replaced");
	assert_file("s", "a=y");
	remove_group(f, "b");
	remove_group(f, "a");
	await_outcomes(f, "unknown removed");
	assert_file("s", "");
	stop(f);
	assert_int_equal(unlink("s"), 0);
	assert_int_equal(unlink("s.lock"), 0);
}

/* What comes while the file is written goes into the next one, all together. */
static void
test_file__changes_gather(void **state)
{
	(void)state;
	struct fixture *f = start("s");
	change(f, "a", "1", 0);
	for (int i = 0; i < 100; i++) {
		change(f, "b", i % 2 ? "odd" : "even", 0);
		remove_group(f, "a");
		change(f, "a", "2", 0);
	}
	while (f->ended < 301)
		ev_run(f->loop, EVRUN_ONCE);
	assert_set(target_store_set(f->store), "a=2 b=odd");
	assert_file("s", "a=2 b=odd");
	assert_int_equal(target_store_stats(f->store)->writes_ok, 2);
	assert_int_equal(target_store_stats(f->store)->puts, 201);
	assert_int_equal(target_store_stats(f->store)->removals, 100);
	stop(f);
	assert_int_equal(unlink("s"), 0);
	assert_int_equal(unlink("s.lock"), 0);
}

/* The file is there before anybody hears what was judged against it. */
static void
test_file__refusals_wait_for_the_changes_before_them(void **state)
{
	(void)state;
	struct fixture *f = start("s");
	change(f, "a", "x", 0);
	remove_group(f, "none");
	remove_group(f, "a");
	remove_group(f, "a");
	change(f, "b", "x", 0);
	await_outcomes(f, "added unknown removed unknown added");
	assert_set(target_store_set(f->store), "b=x");
	assert_file("s", "b=x");
	assert_int_equal(target_store_stats(f->store)->puts, 2);
	assert_int_equal(target_store_stats(f->store)->removals, 1);
	assert_int_equal(target_store_stats(f->store)->writes_ok, 2);
	/* With nothing before it a refusal writes nothing. */
	remove_group(f, "a");
	await_outcomes(f, "unknown");
	assert_int_equal(target_store_stats(f->store)->writes_ok, 2);
	stop(f);
	assert_int_equal(unlink("s"), 0);
	assert_int_equal(unlink("s.lock"), 0);
}

static void
test_file__not_written_not_in_force(void **state)
{
	(void)state;
	assert_int_equal(mkdir("d", 0700), 0);
	struct fixture *f = start("d/s");
	change(f, "a", "x", 0);
	await_outcomes(f, "added");
	assert_int_equal(unlink("d/s"), 0);
	assert_int_equal(unlink("d/s.lock"), 0);
	assert_int_equal(rmdir("d"), 0);
	change(f, "a", "y", 0);
	change(f, "b", "x", 0);
	/* What was judged against a set that never came is no more true than that set. */
	remove_group(f, "b");
	remove_group(f, "b");
	await_outcomes(f, "failed failed failed failed");
	assert_set(target_store_set(f->store), "a=x");
	assert_int_equal(target_store_stats(f->store)->writes_failed, 2);
	assert_int_equal(target_store_stats(f->store)->puts, 1);

	/* And it goes on once the folder is back. */
	assert_int_equal(mkdir("d", 0700), 0);
	change(f, "b", "x", 0);
	await_outcomes(f, "added");
	assert_file("d/s", "a=x b=x");
	stop(f);
	assert_int_equal(unlink("d/s"), 0);
	assert_int_equal(rmdir("d"), 0);
}

/* The file has changed, though perhaps not for after a loss of power: so has what is in force. */
static void
test_file__folder_not_synced(void **state)
{
	(void)state;
	struct fixture *f = start("s");
	uint64_t version = target_store_version(f->store);
	folder_fails = true;
	change(f, "a", "x", 0);
	await_outcomes(f, "unsynced");
	assert_file("s", "a=x");
	assert_set(target_store_set(f->store), "a=x");
	assert_true(target_store_version(f->store) > version);
	assert_int_equal(target_store_stats(f->store)->puts, 1);
	assert_int_equal(target_store_stats(f->store)->writes_failed, 1);

	/* Until the disk has it, what is judged against it is not certain either. */
	remove_group(f, "none");
	await_outcomes(f, "failed");
	remove_group(f, "a");
	remove_group(f, "a");
	await_outcomes(f, "unsynced failed");
	assert_set(target_store_set(f->store), "");
	folder_fails = false;
	remove_group(f, "a");
	await_outcomes(f, "unknown");
	assert_int_equal(target_store_stats(f->store)->writes_ok, 1);
	assert_int_equal(target_store_stats(f->store)->removals, 1);
	remove_group(f, "a");
	await_outcomes(f, "unknown");
	assert_int_equal(target_store_stats(f->store)->writes_ok, 1);
	stop(f);
	assert_int_equal(unlink("s"), 0);
	assert_int_equal(unlink("s.lock"), 0);
}

static void
test_halted__too_many_changes(void **state)
{
	(void)state;
	struct target_limits limits = ample;
	limits.changes = 3;
	struct fixture *f = start_with("s", limits);
	pthread_mutex_lock(&disk);
	change(f, "a", "x", 0);
	change(f, "b", "x", 0);
	remove_group(f, "a");
	assert_int_equal(f->ended, 0);
	change(f, "c", "x", 0);
	remove_group(f, "b");
	await_outcomes(f, "changes changes");
	pthread_mutex_unlock(&disk);
	await_outcomes(f, "added added removed");
	assert_file("s", "b=x");
	change(f, "c", "x", 0);
	await_outcomes(f, "added");
	stop(f);
	assert_int_equal(unlink("s"), 0);
	assert_int_equal(unlink("s.lock"), 0);
}

/* Each hears what is known; one that had begun may come into force afterwards, the others never. */
static void
test_halted__too_late(void **state)
{
	(void)state;
	struct target_limits limits = ample;
	limits.answer_us = 10000;
	struct fixture *f = start_with("s", limits);
	pthread_mutex_lock(&disk);
	change(f, "a", "x", 0);
	change(f, "b", "x", 0);
	remove_group(f, "none");
	await_outcomes(f, "undecided late late");
	assert_set(target_store_set(f->store), "");
	pthread_mutex_unlock(&disk);
	while (target_store_set(f->store)->count == 0)
		ev_run(f->loop, EVRUN_ONCE);
	assert_set(target_store_set(f->store), "a=x");
	assert_file("s", "a=x");
	assert_int_equal(target_store_stats(f->store)->puts, 1);
	assert_int_equal(target_store_stats(f->store)->writes_ok, 1);
	assert_int_equal(f->ended, 0);
	stop(f);
	assert_int_equal(unlink("s"), 0);
	assert_int_equal(unlink("s.lock"), 0);
}

static void
test_halted__taken_back(void **state)
{
	(void)state;
	struct fixture *f = start("s");
	struct fixture gone = {.store = f->store, .outcomes = BUF_INIT};
	pthread_mutex_lock(&disk);
	change(f, "a", "x", 0);
	change(&gone, "b", "x", 0);
	/* The one that is being written goes on. */
	target_store_take_back(f->store, f);
	target_store_take_back(f->store, &gone);
	assert_int_equal(f->ended, 0);
	assert_string_equal(buf_text(&gone.outcomes), "back");
	target_store_take_back(f->store, &gone);
	change(f, "c", "x", 0);
	pthread_mutex_unlock(&disk);
	await_outcomes(f, "added added");
	assert_int_equal(gone.ended, 1);
	assert_set(target_store_set(f->store), "a=x c=x");
	assert_file("s", "a=x c=x");
	buf_fini(&gone.outcomes);
	stop(f);
	assert_int_equal(unlink("s"), 0);
	assert_int_equal(unlink("s.lock"), 0);
}

static void
test_file__cannot_be_taken(void **state)
{
	(void)state;
	struct diag diag = DIAG_INIT;
	struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
	struct fixture *f = start("s");
	assert_null(target_store_new(loop, "s", &ample, &diag));
	stop(f);
	assert_int_equal(file_replace("s", SPAN("rubbish"), NULL), 0);
	assert_null(target_store_new(loop, "s", &ample, &diag));
	/* Damaged files are left as they are. */
	struct buf content = BUF_INIT;
	assert_int_equal(file_read("s", 0, 100, &content), 0);
	assert_string_equal(buf_text(&content), "rubbish");
	assert_null(target_store_new(loop, "none/s", &ample, &diag));
	assert_int_equal(unlink("s"), 0);
	assert_int_equal(mkdir("s.new", 0700), 0);
	assert_null(target_store_new(loop, "s", &ample, &diag));
	assert_int_equal(diag.count, 4);
	assert_string_equal(
	    diag.messages[3].text,
	    "s: cannot be replaced: Is a directory; its folder must be writable, and "
	    "it must not be a mount of its own");
	assert_int_equal(rmdir("s.new"), 0);
	assert_int_equal(unlink("s.lock"), 0);
	buf_fini(&content);
	diag_fini(&diag);
	ev_loop_destroy(loop);
}

static void
test_expire__counted_once(void **state)
{
	(void)state;
	clock_fake(1000 * SECOND_US);
	struct fixture *f = start("s");
	change(f, "forever", "x", 0);
	change(f, "a", "x", 10 * SECOND_US);
	change(f, "b", "x", 20 * SECOND_US);
	await_outcomes(f, "added added added");
	struct target_set *held = target_set_ref(target_store_set(f->store));
	uint64_t version = target_store_version(f->store);
	clock_fake(1009 * SECOND_US);
	target_store_expire(f->store);
	assert_int_equal(target_store_version(f->store), version);

	/* One that expires while another set is being written is not back afterwards. */
	change(f, "c", "x", 0);
	clock_fake(1010 * SECOND_US);
	assert_set(target_store_set(f->store), "b=x forever=x");
	await_outcomes(f, "added");
	assert_set(target_store_set(f->store), "b=x c=x forever=x");
	assert_int_equal(target_store_stats(f->store)->expired, 1);
	assert_true(target_store_version(f->store) > version);
	assert_set(held, "a=x b=x forever=x");
	target_set_unref(&held);
	stop(f);

	clock_fake(1020 * SECOND_US);
	f = start("s");
	assert_set(target_store_set(f->store), "c=x forever=x");
	stop(f);
	clock_fake(-1);
	assert_int_equal(unlink("s"), 0);
	assert_int_equal(unlink("s.lock"), 0);
}

/* Whoever waits is told, whatever state a change is in. */
static void
test_free__in_the_middle(void **state)
{
	(void)state;
	struct fixture *f = start("s");
	change(f, "a", "x", 0);
	change(f, "b", "x", 0);
	target_store_free(&f->store);
	assert_string_equal(buf_text(&f->outcomes), "added failed");
	assert_file("s", "a=x");
	stop(f);
	assert_int_equal(unlink("s"), 0);
	assert_int_equal(unlink("s.lock"), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_memory__in_force_at_once),
	    cmocka_unit_test(test_file__told_once_it_is_written),
	    cmocka_unit_test(test_file__changes_gather),
	    cmocka_unit_test(test_file__refusals_wait_for_the_changes_before_them),
	    cmocka_unit_test(test_file__not_written_not_in_force),
	    cmocka_unit_test(test_file__folder_not_synced),
	    cmocka_unit_test(test_halted__too_many_changes),
	    cmocka_unit_test(test_halted__too_late),
	    cmocka_unit_test(test_halted__taken_back),
	    cmocka_unit_test(test_file__cannot_be_taken),
	    cmocka_unit_test(test_expire__counted_once),
	    cmocka_unit_test(test_free__in_the_middle),
	};
	return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
