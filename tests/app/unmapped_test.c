#include "test.h"

#include "app/unmapped.h"

#include "base/alloc.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

struct fixture {
	struct unmapped *unmapped;
	uint64_t counters[UNMAPPED_COUNTERS];
};

static struct fixture *
open_fixture(void)
{
	struct fixture *fixture = xcalloc(1, sizeof(*fixture));
	fixture->unmapped = unmapped_new(1);
	return fixture;
}

static void
close_fixture(struct fixture *fixture)
{
	unmapped_free(&fixture->unmapped);
	assert_null(fixture->unmapped);
	free(fixture);
}

static void
count_line(struct fixture *fixture, uint64_t rules, enum event_kind kind, struct span name,
	   struct span line, uint64_t events)
{
	unsigned counter = unmapped_note(fixture->unmapped, rules, kind, name, line);
	assert_true(counter < UNMAPPED_COUNTERS);
	fixture->counters[counter] += events;
}

/* Notes a name and counts events of it, as an ingest thread does. */
static void
count(struct fixture *fixture, uint64_t rules, enum event_kind kind, const char *name,
      uint64_t events)
{
	struct buf line = BUF_INIT;
	buf_printf(&line, "%s:1|%c", name, "cgh"[kind]);
	count_line(fixture, rules, kind, span_text(name), buf_span(&line), events);
	buf_fini(&line);
}

static void
check(struct fixture *fixture, const char *want)
{
	struct buf out = BUF_INIT;
	unmapped_write(fixture->unmapped, fixture->counters, &out);
	assert_string_equal(buf_text(&out), want);
	buf_fini(&out);
}

#define NAME(name, type, count, example)                                                           \
	"{\"name\":\"" name "\",\"type\":\"" type "\",\"count\":" #count ",\"example\":\"" example \
	"\",\"example_is_cut\":false}"
#define NOTHING_LEFT_OUT "],\"left_out\":{\"names\":0,\"events\":0}}\n"
#define EMPTY "{\"names\":[" NOTHING_LEFT_OUT

static void
test_write__most_frequent_first(void **state)
{
	(void)state;
	struct fixture *fixture = open_fixture();
	check(fixture, EMPTY);
	count(fixture, 1, EVENT_COUNTER, "a", 1);
	count(fixture, 1, EVENT_GAUGE, "b", 5);
	count(fixture, 1, EVENT_OBSERVER, "a", 1);
	count(fixture, 1, EVENT_COUNTER, "c", 1);
	count(fixture, 1, EVENT_GAUGE, "b", 2);
	check(fixture, "{\"names\":[" NAME("b", "gauge", 7, "b:1|g") ",\n" NAME(
			   "a", "counter", 1,
			   "a:1|c") ",\n" NAME("a", "observer", 1,
					       "a:1|h") ",\n" NAME("c", "counter", 1, "c:1|c")
			   NOTHING_LEFT_OUT);
	close_fixture(fixture);
}

static void
test_write__hostile_texts(void **state)
{
	(void)state;
	struct fixture *fixture = open_fixture();
	struct span line = SPAN("a\"\\\n\x01:\xff|c");
	count_line(fixture, 1, EVENT_COUNTER, SPAN("a\"\\\n\x01"), line, 1);
	count_line(fixture, 1, EVENT_COUNTER, SPAN(""), SPAN(":1|c"), 1);
	check(fixture, "{\"names\":[" NAME("", "counter", 1, ":1|c") ",\n" NAME(
			   "a\\\"\\\\\\n\\u0001", "counter", 1, "a\\\"\\\\\\n\\u0001:\\ufffd|c")
			   NOTHING_LEFT_OUT);
	close_fixture(fixture);
}

/* An example is the first line of its name, as much of it as is shown, and never half a letter. */
static void
test_write__long_example_is_cut(void **state)
{
	(void)state;
	struct fixture *fixture = open_fixture();
	char line[UNMAPPED_EXAMPLE_MAX + 2];
	memset(line, 'x', sizeof(line));
	memcpy(line + UNMAPPED_EXAMPLE_MAX - 1, "\xc3\xa9", 2);
	count_line(fixture, 1, EVENT_COUNTER, SPAN("x"), span_of(line, sizeof(line)), 1);
	count_line(fixture, 1, EVENT_COUNTER, SPAN("x"), SPAN("x:1|c"), 0);
	count_line(fixture, 1, EVENT_COUNTER, SPAN("y"), span_of(line, UNMAPPED_EXAMPLE_MAX - 1),
		   1);
	count_line(fixture, 1, EVENT_COUNTER, SPAN("refused"), SPAN("refused:x|c"), 0);
	struct buf out = BUF_INIT, want = BUF_INIT;
	unmapped_write(fixture->unmapped, fixture->counters, &out);
	for (unsigned i = 0; i < 2; i++)
		buf_printf(
		    &want,
		    "%s{\"name\":\"%c\",\"type\":\"counter\",\"count\":1,\"example\":\"%.*s\","
		    "\"example_is_cut\":%s}",
		    i ? ",\n" : "{\"names\":[", i ? 'y' : 'x', UNMAPPED_EXAMPLE_MAX - 1, line,
		    i ? "false" : "true");
	buf_add_text(&want, NOTHING_LEFT_OUT);
	assert_string_equal(buf_text(&out), buf_text(&want));
	buf_fini(&out);
	buf_fini(&want);
	close_fixture(fixture);
}

/* @return what is written; to be freed with buf_fini() */
static struct buf
write_all(struct fixture *fixture)
{
	struct buf out = BUF_INIT;
	unmapped_write(fixture->unmapped, fixture->counters, &out);
	buf_text(&out);
	return out;
}

static unsigned
count_names(struct buf *out)
{
	unsigned names = 0;
	for (const char *at = buf_text(out); (at = strstr(at, "{\"name\":")); at++)
		names++;
	return names;
}

static void
test_note__more_names_than_are_listed(void **state)
{
	(void)state;
	struct fixture *fixture = open_fixture();
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < UNMAPPED_NAMES_MAX + 100; i++) {
			char name[16];
			snprintf(name, sizeof(name), "n%u", i);
			count(fixture, 1, EVENT_COUNTER, name, 3);
		}
	}
	struct buf out = write_all(fixture);
	assert_int_equal(count_names(&out), UNMAPPED_NAMES_MAX);
	assert_non_null(strstr(buf_text(&out), NAME("n999", "counter", 6, "n999:1|c")));
	assert_null(strstr(buf_text(&out), "n1000"));
	assert_non_null(strstr(buf_text(&out), "],\"left_out\":{\"names\":100,\"events\":600}}\n"));
	buf_fini(&out);
	close_fixture(fixture);
}

/* Of very many the number is an estimate, and takes no more memory. */
static void
test_note__very_many_names(void **state)
{
	(void)state;
	struct fixture *fixture = open_fixture();
	for (unsigned i = 0; i < 101000; i++) {
		char name[16];
		snprintf(name, sizeof(name), "n%u", i);
		count(fixture, 1, EVENT_COUNTER, name, 1);
	}
	struct buf out = write_all(fixture);
	const char *left_out = strstr(buf_text(&out), "\"left_out\":");
	unsigned names, events;
	assert_int_equal(
	    sscanf(left_out, "\"left_out\":{\"names\":%u,\"events\":%u}}", &names, &events), 2);
	assert_in_range(names, 90000, 110000);
	assert_int_equal(events, 100000);
	buf_fini(&out);
	close_fixture(fixture);
}

static void
test_note__long_names_use_up_the_room(void **state)
{
	(void)state;
	struct fixture *fixture = open_fixture();
	char *name = xcalloc(4097, 1);
	memset(name, 'n', 4096);
	for (unsigned i = 0; i < 600; i++) {
		char number[8];
		snprintf(number, sizeof(number), "%03u", i);
		memcpy(name, number, 3);
		count(fixture, 1, EVENT_COUNTER, name, 1);
	}
	struct buf out = write_all(fixture);
	unsigned names = count_names(&out);
	assert_int_equal(names, UNMAPPED_TEXT_MAX / (4096 + UNMAPPED_EXAMPLE_MAX));
	struct buf want = BUF_INIT;
	buf_printf(&want, "\"left_out\":{\"names\":%u,\"events\":%u}}", 600 - names, 600 - names);
	assert_non_null(strstr(buf_text(&out), buf_text(&want)));
	buf_fini(&out);
	buf_fini(&want);
	free(name);
	close_fixture(fixture);
}

/* ---- Reloads. ---- */

static void
test_begin__forgets_and_counts_anew(void **state)
{
	(void)state;
	struct fixture *fixture = open_fixture();
	count(fixture, 1, EVENT_COUNTER, "a", 5);
	count(fixture, 1, EVENT_COUNTER, "gone", 5);
	assert_false(unmapped_is_unclean(fixture->unmapped));
	for (uint64_t rules = 2; rules < 6; rules++) {
		unmapped_begin(fixture->unmapped, rules);
		check(fixture, EMPTY);
		count(fixture, rules, EVENT_COUNTER, "a", rules);
		assert_true(unmapped_is_unclean(fixture->unmapped));
		unmapped_clean(fixture->unmapped, fixture->counters);
		assert_false(unmapped_is_unclean(fixture->unmapped));
		count(fixture, rules, EVENT_COUNTER, "a", 1);
		struct buf want = BUF_INIT;
		buf_printf(
		    &want,
		    "{\"names\":[{\"name\":\"a\",\"type\":\"counter\",\"count\":%u,\"example\":"
		    "\"a:1|c\",\"example_is_cut\":false}" NOTHING_LEFT_OUT,
		    (unsigned)rules + 1);
		check(fixture, buf_text(&want));
		buf_fini(&want);
	}
	close_fixture(fixture);
}

/* What threads count for rules that are being replaced belongs to nobody. */
static void
test_begin__late_counts_for_former_rules(void **state)
{
	(void)state;
	struct fixture *fixture = open_fixture();
	unsigned late =
	    unmapped_note(fixture->unmapped, 1, EVENT_COUNTER, SPAN("a"), SPAN("a:1|c"));
	unmapped_begin(fixture->unmapped, 2);
	count(fixture, 2, EVENT_COUNTER, "b", 1);
	fixture->counters[late] += 100;
	assert_int_equal(
	    unmapped_note(fixture->unmapped, 1, EVENT_COUNTER, SPAN("c"), SPAN("c:1|c")),
	    UNMAPPED_UNCOUNTED);
	check(fixture, "{\"names\":[" NAME("b", "counter", 1, "b:1|c") NOTHING_LEFT_OUT);
	unmapped_clean(fixture->unmapped, fixture->counters);
	unmapped_begin(fixture->unmapped, 3);
	count(fixture, 3, EVENT_COUNTER, "d", 1);
	check(fixture, "{\"names\":[" NAME("d", "counter", 1, "d:1|c") NOTHING_LEFT_OUT);
	close_fixture(fixture);
}

/* Two reloads at once: the counters of the rules before may still be in use. */
static void
test_begin__again_before_it_is_clean(void **state)
{
	(void)state;
	struct fixture *fixture = open_fixture();
	count(fixture, 1, EVENT_COUNTER, "a", 1);
	unmapped_begin(fixture->unmapped, 2);
	count(fixture, 2, EVENT_COUNTER, "b", 2);
	count(fixture, 2, EVENT_COUNTER, "c", 2);
	unmapped_begin(fixture->unmapped, 3);
	check(fixture, EMPTY);
	count(fixture, 3, EVENT_COUNTER, "b", 3);
	check(fixture, "{\"names\":[" NAME("b", "counter", 5, "b:1|c") NOTHING_LEFT_OUT);
	unmapped_clean(fixture->unmapped, fixture->counters);
	unmapped_begin(fixture->unmapped, 4);
	count(fixture, 4, EVENT_COUNTER, "b", 4);
	check(fixture, "{\"names\":[" NAME("b", "counter", 4, "b:1|c") NOTHING_LEFT_OUT);
	close_fixture(fixture);
}

/* ---- Threads. ---- */

#define THREADS 4
#define ROUNDS 20000

struct noter {
	struct unmapped *unmapped;
	_Atomic uint64_t *rules;
	uint64_t counted[UNMAPPED_COUNTERS + 1];
};

static void *
run_noter(void *arg)
{
	struct noter *noter = arg;
	for (unsigned i = 0; i < ROUNDS; i++) {
		char name[16];
		snprintf(name, sizeof(name), "n%u", i % 1500);
		noter->counted[unmapped_note(noter->unmapped, *noter->rules, EVENT_COUNTER,
					     span_text(name), SPAN("x:1|c"))]++;
	}
	return NULL;
}

/* Names, reloads and answers at once: no event is counted twice, and texts stay whole. */
static void
test_note__from_many_threads(void **state)
{
	(void)state;
	struct fixture *fixture = open_fixture();
	_Atomic uint64_t rules = 1;
	pthread_t handles[THREADS];
	struct noter *noters = xcalloc(THREADS, sizeof(*noters));
	for (unsigned i = 0; i < THREADS; i++) {
		noters[i].unmapped = fixture->unmapped;
		noters[i].rules = &rules;
		assert_int_equal(pthread_create(&handles[i], NULL, run_noter, &noters[i]), 0);
	}
	for (uint64_t turn = 2; turn < 200; turn++) {
		struct buf out = write_all(fixture);
		assert_true(span_ends(buf_span(&out), SPAN("}}\n")));
		buf_fini(&out);
		unmapped_begin(fixture->unmapped, turn);
		atomic_store(&rules, turn);
		if (unmapped_is_unclean(fixture->unmapped))
			unmapped_clean(fixture->unmapped, fixture->counters);
	}
	uint64_t sum = 0;
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(handles[i], NULL);
		for (unsigned k = 0; k <= UNMAPPED_COUNTERS; k++)
			sum += noters[i].counted[k];
	}
	assert_int_equal(sum, THREADS * ROUNDS);
	free(noters);
	close_fixture(fixture);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_write__most_frequent_first),
	    cmocka_unit_test(test_write__hostile_texts),
	    cmocka_unit_test(test_write__long_example_is_cut),
	    cmocka_unit_test(test_note__more_names_than_are_listed),
	    cmocka_unit_test(test_note__very_many_names),
	    cmocka_unit_test(test_note__long_names_use_up_the_room),
	    cmocka_unit_test(test_begin__forgets_and_counts_anew),
	    cmocka_unit_test(test_begin__late_counts_for_former_rules),
	    cmocka_unit_test(test_begin__again_before_it_is_clean),
	    cmocka_unit_test(test_note__from_many_threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
