/*
 * Counts that move in the middle of a read, and reads in the middle of a move.
 *
 * What is read, or counted, lies on two pages of which only one can be written at a time. Whoever
 * writes to the other is stopped, for what a test does then, and goes on with that one writable
 * instead. All is one thread, so each move comes where it is wanted.
 */
#include "test.h"

#include "metrics/histogram.h"
#include "native_total.h"

#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- Pages. ---- */

static struct {
	char *first;
	size_t size; /* of one */
	void (*on_stop)(void);
	struct sigaction before;
} pages;

static void
make_writable(unsigned page)
{
	for (unsigned i = 0; i < 2; i++)
		mprotect(pages.first + i * pages.size, pages.size,
			 i == page ? PROT_READ | PROT_WRITE : PROT_READ);
}

static void
on_fault(int number, siginfo_t *info, void *context)
{
	(void)context;
	size_t at = (uintptr_t)info->si_addr - (uintptr_t)pages.first;
	if (at >= 2 * pages.size) {
		sigaction(number, &pages.before, NULL);
		return;
	}
	make_writable(at >= pages.size);
	pages.on_stop();
}

/* From now on whoever goes from one page to the other is stopped, at first at that one. */
static void
stops_begin(unsigned page, void (*on_stop)(void))
{
	struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
	pages.on_stop = on_stop;
	sigaction(SIGSEGV, &action, &pages.before);
	make_writable(!page);
}

static void
stops_end(void)
{
	mprotect(pages.first, 2 * pages.size, PROT_READ | PROT_WRITE);
	sigaction(SIGSEGV, &pages.before, NULL);
}

static int
pages_open(void **state)
{
	(void)state;
	pages.size = (size_t)sysconf(_SC_PAGESIZE);
	pages.first =
	    mmap(NULL, 2 * pages.size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return pages.first == MAP_FAILED;
}

static int
pages_close(void **state)
{
	(void)state;
	return munmap(pages.first, 2 * pages.size);
}

/* @return where something begins that goes on on the second page after so many bytes */
static void *
across(size_t bytes)
{
	return pages.first + pages.size - bytes;
}

/* ---- A histogram. ---- */

static struct {
	struct layouts *layouts;
	const struct layout *layout;
	struct shard *shard;
	struct histogram_cell *cell;
	struct native_sum sum;
	uint64_t counted;
} series;

static const struct total_options no_totals;

/* @factor of native buckets; 0 = none */
static void
series_open(double bound, double factor, uint32_t buckets_max)
{
	series.layouts = layouts_new();
	const struct histogram_options options = {1, &bound, factor, buckets_max};
	series.layout = layouts_histogram(series.layouts, &options, &no_totals);
	series.shard = shard_new(1);
	series.cell = (struct histogram_cell *)shard_touch(series.shard, series.layout, 0, 1);
	series.counted = 0;
}

static void
series_close(void)
{
	shard_clear(series.shard, series.layout, 0);
	shard_free_retired(series.shard);
	shard_free(&series.shard);
	layouts_free(&series.layouts);
}

static void
observe(double value, uint64_t count)
{
	histogram_observe(series.shard, series.cell, series.layout,
			  histogram_place(series.layout, value), value, count);
	series.counted += count;
}

static bool
is_locked(void)
{
	if (pthread_mutex_trylock(&series.shard->move_lock) != 0)
		return true;
	pthread_mutex_unlock(&series.shard->move_lock);
	return false;
}

/* Whether the owner could move counts at once. */
static bool
is_owner_free(void)
{
	return !is_locked() && !atomic_load(&series.shard->is_read);
}

/* Reads the classic buckets. @return their sum */
static uint64_t
read_stopping(void (*on_stop)(void))
{
	uint64_t totals[2] = {0}, *room = across(sizeof(*room));
	stops_begin(0, on_stop);
	histogram_read_buckets(series.shard, series.cell, series.layout, totals, room);
	stops_end();
	return totals[0] + totals[1];
}

/* Reads the native histogram, which must have positive values. @return whether there is one; @total
 * gets its values */
static bool
read_native_stopping(void (*on_stop)(void), uint64_t *total)
{
	struct native_sum sum = {.steps = series.layout->native_steps,
				 .entries = across(sizeof(*sum.entries)),
				 .capacity = 1 + pages.size / sizeof(*sum.entries)};
	stops_begin(0, on_stop);
	bool has = histogram_read_native(series.shard, series.cell, series.layout, &sum);
	stops_end();
	*total = sum.zero_count;
	for (size_t i = 0; i < sum.count; i++)
		*total += sum.entries[i].count;
	return has;
}

/* ---- Moves within a read. ---- */

/* What the owner does when a read is stopped. */
static struct {
	double value;
	uint64_t count;
	unsigned left, done; /* times */
} work;

static void
let_owner_work(void)
{
	if (!work.left || !is_owner_free())
		return;
	work.left--;
	work.done++;
	observe(work.value, work.count);
}

/* A counter that overflows: what was read of it before is read again. */
static void
test_read_buckets__moved_within(void **state)
{
	(void)state;
	for (int b = 0; b < 2; b++) {
		series_open(b ? 0 : 10, 0, 0);
		observe(1, UINT16_MAX + 1);
		observe(1, 60000);
		work.value = 1;
		work.count = UINT16_MAX + 1;
		work.left = 1;
		uint64_t total = read_stopping(let_owner_work);
		assert_int_equal(work.left, 0);
		assert_int_equal(total, series.counted);
		series_close();
	}
}

/* An overflow; the resolution, which falls; the window, which goes where more values are. */
static void
test_read_native__moved_within(void **state)
{
	(void)state;
	static const struct {
		uint32_t buckets_max;
		double value;
		uint64_t count;
	} cases[] = {{256, 1, 200}, {3, 8, 1}, {256, 1e100, 1000}};
	for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
		series_open(0, 2, cases[c].buckets_max);
		observe(1, 200);
		observe(2, 100);
		observe(-4, 50);
		observe(0, 7);
		uint64_t total;
		work.value = cases[c].value;
		work.count = cases[c].count;
		work.left = 1;
		assert_true(read_native_stopping(let_owner_work, &total));
		assert_int_equal(work.left, 0);
		assert_int_equal(total, series.counted);
		series_close();
	}
}

static void
test_read_native__given_up_within(void **state)
{
	(void)state;
	series_open(0, 2, 256);
	observe(1, 200);
	observe(2, 100);
	atomic_fetch_add(&series.shard->native_bytes, SHARD_NATIVE_BYTES_MAX);
	work.value = -1;
	work.count = 1;
	work.left = 1;
	uint64_t total;
	assert_false(read_native_stopping(let_owner_work, &total));
	assert_int_equal(work.left, 0);
	assert_int_equal(total, 0);
	series_close();
}

/* An owner who would move counts for ever: the read holds it up. */
static void
test_read__ends_however_often_counts_move(void **state)
{
	(void)state;
	enum { MANY = 1000 };
	series_open(0, 2, 256);
	observe(1, UINT16_MAX + 1);
	observe(2, 1);
	work.value = 1;
	work.count = UINT16_MAX + 1;
	work.done = 0;
	work.left = MANY;
	uint64_t total = read_stopping(let_owner_work);
	assert_int_equal(total, series.counted);
	assert_in_range(work.done, 1, MANY / 10);
	work.done = 0;
	work.left = MANY;
	assert_true(read_native_stopping(let_owner_work, &total));
	assert_int_equal(total, series.counted);
	assert_in_range(work.done, 1, MANY / 10);
	assert_true(is_owner_free());
	series_close();
}

/* ---- Reads within a move. ---- */

static unsigned stops, stops_held_up;

static void
note_whether_held_up(void)
{
	stops++;
	stops_held_up += is_locked() && atomic_load(&series.shard->is_read);
}

/* A read that begins in the middle of a move waits for its end: it takes the lock first of all. */
static void
test_read__begun_within_a_move(void **state)
{
	(void)state;
	series_open(0, 2, 256);
	observe(1, 5);
	observe(2, 5);
	atomic_fetch_add(&series.cell->moves, 1);
	stops = stops_held_up = 0;
	read_stopping(note_whether_held_up);
	assert_true(stops > 0);
	assert_int_equal(stops_held_up, stops);
	uint64_t total;
	stops = stops_held_up = 0;
	read_native_stopping(note_whether_held_up, &total);
	assert_true(stops > 0);
	assert_int_equal(stops_held_up, stops);
	series_close();
}

static bool was_moving;

static void
note_whether_moving(void)
{
	if (!stops++)
		was_moving = atomic_load(&series.cell->moves) % 2 && is_locked();
}

/* A reader sees that a count is in both places. */
static void
test_observe__move_is_seen_from_its_middle(void **state)
{
	(void)state;
	series_open(0, 2, 256);
	struct histogram_cell *own = series.cell;
	series.cell = across(offsetof(struct histogram_cell, buckets));
	memset(series.cell, 0, histogram_cell_bytes(series.layout));
	observe(1, UINT16_MAX);
	stops = 0;
	stops_begin(1, note_whether_moving);
	observe(1, 1);
	stops_end();
	assert_true(stops > 0 && was_moving);
	assert_int_equal(atomic_load(&series.cell->moves) % 2, 0);
	histogram_fini(series.shard, series.cell, series.layout);
	series.cell = own;
	series_close();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_read_buckets__moved_within),
	    cmocka_unit_test(test_read_native__moved_within),
	    cmocka_unit_test(test_read_native__given_up_within),
	    cmocka_unit_test(test_read__ends_however_often_counts_move),
	    cmocka_unit_test(test_read__begun_within_a_move),
	    cmocka_unit_test(test_observe__move_is_seen_from_its_middle),
	};
	return cmocka_run_group_tests(tests, pages_open, pages_close);
}
