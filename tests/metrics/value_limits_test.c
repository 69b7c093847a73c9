#include "test.h"

#include "base/buf.h"
#include "metrics/value_limits.h"

#include <pthread.h>
#include <stdio.h>

static const struct span labels[] = {{"user", 4}, {"path", 4}};

enum { USER, PATH };

static unsigned
get_scope(struct value_limits *limits, const char *path, size_t label_count)
{
	unsigned scope = value_limits_scope(limits, span_text(path), labels, label_count);
	assert_true(scope > 0);
	return scope;
}

static bool
take(struct value_limits *limits, unsigned scope, size_t label, uint32_t max, const char *value)
{
	return value_limits_take(limits, scope, label, max, span_text(value));
}

static void
give_back(struct value_limits *limits, unsigned scope, size_t label, const char *value)
{
	value_limits_give_back(limits, scope, label, span_text(value));
}

static uint64_t
values_of(struct value_limits *limits, unsigned scope, size_t label)
{
	return value_limits_label(limits, value_limits_number(limits, scope, label)).values;
}

static void
test_take__first_come(void **state)
{
	(void)state;
	struct value_limits *limits = value_limits_new();
	unsigned scope = get_scope(limits, "a.yml", 2);
	assert_true(take(limits, scope, USER, 2, "ann"));
	assert_true(take(limits, scope, USER, 2, "bob"));
	assert_false(take(limits, scope, USER, 2, "cid"));
	assert_true(take(limits, scope, USER, 2, "ann"));
	assert_false(take(limits, scope, USER, 2, "an"));
	/* Each label has its own places. */
	assert_true(take(limits, scope, PATH, 2, "cid"));
	assert_int_equal(values_of(limits, scope, USER), 2);
	assert_int_equal(values_of(limits, scope, PATH), 1);
	value_limits_free(&limits);
	assert_null(limits);
}

static void
test_take__other_and_nothing_need_no_place(void **state)
{
	(void)state;
	struct value_limits *limits = value_limits_new();
	unsigned scope = get_scope(limits, "a.yml", 1);
	assert_true(take(limits, scope, USER, 1, "other"));
	assert_true(take(limits, scope, USER, 1, ""));
	assert_int_equal(values_of(limits, scope, USER), 0);
	assert_true(take(limits, scope, USER, 1, "ann"));
	assert_true(take(limits, scope, USER, 1, "other"));
	assert_true(take(limits, scope, USER, 1, ""));
	give_back(limits, scope, USER, "other");
	give_back(limits, scope, USER, "");
	assert_int_equal(values_of(limits, scope, USER), 1);
	value_limits_free(&limits);
}

static void
test_give_back__the_last_one_frees_the_place(void **state)
{
	(void)state;
	struct value_limits *limits = value_limits_new();
	unsigned scope = get_scope(limits, "a.yml", 1);
	assert_true(take(limits, scope, USER, 1, "ann"));
	assert_true(take(limits, scope, USER, 1, "ann"));
	give_back(limits, scope, USER, "ann");
	assert_false(take(limits, scope, USER, 1, "bob"));
	give_back(limits, scope, USER, "ann");
	assert_true(take(limits, scope, USER, 1, "bob"));
	assert_false(take(limits, scope, USER, 1, "ann"));
	give_back(limits, scope, USER, "ann"); /* has none */
	assert_false(take(limits, scope, USER, 1, "cid"));
	value_limits_free(&limits);
}

static void
test_freed__grows_when_a_place_was_missed(void **state)
{
	(void)state;
	struct value_limits *limits = value_limits_new();
	unsigned scope = get_scope(limits, "a.yml", 1);
	assert_true(take(limits, scope, USER, 1, "ann"));
	give_back(limits, scope, USER, "ann");
	assert_int_equal(value_limits_freed(limits), 0);
	assert_true(take(limits, scope, USER, 1, "ann"));
	assert_false(take(limits, scope, USER, 1, "bob"));
	assert_int_equal(value_limits_freed(limits), 0);
	give_back(limits, scope, USER, "ann");
	assert_int_equal(value_limits_freed(limits), 1);
	assert_true(take(limits, scope, USER, 1, "bob"));
	give_back(limits, scope, USER, "bob");
	assert_int_equal(value_limits_freed(limits), 1);
	value_limits_free(&limits);
}

/* A reload brings another number. */
static void
test_take__max_changes(void **state)
{
	(void)state;
	struct value_limits *limits = value_limits_new();
	unsigned scope = get_scope(limits, "a.yml", 1);
	assert_true(take(limits, scope, USER, 3, "ann"));
	assert_true(take(limits, scope, USER, 3, "bob"));
	assert_true(take(limits, scope, USER, 3, "cid"));
	assert_true(take(limits, scope, USER, 1, "bob")); /* keeps its place */
	assert_false(take(limits, scope, USER, 1, "dan"));
	give_back(limits, scope, USER, "ann");
	give_back(limits, scope, USER, "cid");
	assert_false(take(limits, scope, USER, 1, "dan"));
	assert_true(take(limits, scope, USER, 2, "dan"));
	value_limits_free(&limits);
}

static void
test_series_gone__gives_back_what_is_limited(void **state)
{
	(void)state;
	struct value_limits *limits = value_limits_new();
	unsigned scope = get_scope(limits, "a.yml", 2);
	assert_true(take(limits, scope, USER, 1, "a\"b\\c\nd,e=\"f\""));
	assert_true(take(limits, scope, PATH, 1, "/"));
	value_limits_series_gone(limits, scope, SPAN("path=\"other\",user=\"x\",z=\"/\""));
	assert_int_equal(values_of(limits, scope, USER), 1);
	assert_int_equal(values_of(limits, scope, PATH), 1);
	value_limits_series_gone(limits, scope,
				 SPAN("a=\"/\",path=\"/\",user=\"a\\\"b\\\\c\\nd,e=\\\"f\\\"\""));
	assert_int_equal(values_of(limits, scope, USER), 0);
	assert_int_equal(values_of(limits, scope, PATH), 0);
	value_limits_series_gone(limits, scope, SPAN(""));
	value_limits_free(&limits);
}

static void
test_scope__is_the_file_and_its_labels(void **state)
{
	(void)state;
	struct value_limits *limits = value_limits_new();
	unsigned both = get_scope(limits, "a.yml", 2), one = get_scope(limits, "a.yml", 1);
	unsigned other = get_scope(limits, "b.yml", 2);
	assert_true(both != one && both != other && one != other);
	assert_int_equal(get_scope(limits, "a.yml", 2), both);
	assert_int_equal(get_scope(limits, "a.yml", 1), one);
	/* What a file limits has the same places in all its scopes, files have their own. */
	assert_true(take(limits, both, USER, 1, "ann"));
	assert_false(take(limits, one, USER, 1, "bob"));
	assert_true(take(limits, other, USER, 1, "bob"));
	assert_int_equal(value_limits_number(limits, both, USER),
			 value_limits_number(limits, one, USER));
	assert_int_equal(value_limits_labels(limits), 4);
	struct limited_label label =
	    value_limits_label(limits, value_limits_number(limits, other, PATH));
	assert_span_equal(label.path, "b.yml");
	assert_span_equal(label.label, "path");
	value_limits_free(&limits);
}

static void
test_scope__there_may_be_so_many(void **state)
{
	(void)state;
	struct value_limits *limits = value_limits_new();
	/* A scope for each row of bits, of labels that are few. */
	static char names[13][2];
	for (unsigned number = 1; number <= VALUE_SCOPES_MAX; number++) {
		struct span some[13];
		size_t count = 0;
		for (unsigned bit = 0; bit < 13; bit++) {
			names[bit][0] = (char)('a' + bit);
			if (number & 1u << bit)
				some[count++] = span_of(names[bit], 1);
		}
		assert_int_equal(value_limits_scope(limits, SPAN("f"), some, count), number);
	}
	assert_int_equal(value_limits_labels(limits), 13);
	assert_int_equal(value_limits_scope(limits, SPAN("g"), labels, 1), 0);
	assert_int_equal(value_limits_scope(limits, SPAN("f"), &(struct span){"a", 1}, 1), 1);
	value_limits_free(&limits);
}

#define THREADS 4
#define VALUES 1000
#define PLACES 100

struct taker {
	struct value_limits *limits;
	unsigned scope, first;
	bool has_place[VALUES];
};

static void *
run_taker(void *arg)
{
	struct taker *taker = arg;
	for (unsigned round = 0; round < 20; round++) {
		for (unsigned i = 0; i < VALUES; i++) {
			char value[16];
			unsigned number = (taker->first + i) % VALUES;
			snprintf(value, sizeof(value), "v%u", number);
			bool had = taker->has_place[number];
			taker->has_place[number] =
			    take(taker->limits, taker->scope, USER, PLACES, value);
			/* One who is in stays in. */
			assert_true(!had || taker->has_place[number]);
			if (had)
				give_back(taker->limits, taker->scope, USER, value);
		}
	}
	return NULL;
}

/* However many threads there are, the places are for all of them together. */
static void
test_take__many_threads(void **state)
{
	(void)state;
	static struct taker takers[THREADS];
	struct value_limits *limits = value_limits_new();
	unsigned scope = get_scope(limits, "a.yml", 1);
	pthread_t handles[THREADS];
	for (unsigned i = 0; i < THREADS; i++) {
		takers[i] = (struct taker){limits, scope, i * VALUES / THREADS};
		assert_int_equal(pthread_create(&handles[i], NULL, run_taker, &takers[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(handles[i], NULL);
	unsigned in = 0;
	for (unsigned number = 0; number < VALUES; number++) {
		in += takers[0].has_place[number];
		for (unsigned i = 1; i < THREADS; i++)
			assert_int_equal(takers[i].has_place[number], takers[0].has_place[number]);
	}
	assert_int_equal(in, PLACES);
	assert_int_equal(values_of(limits, scope, USER), PLACES);
	value_limits_free(&limits);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_take__first_come),
	    cmocka_unit_test(test_take__other_and_nothing_need_no_place),
	    cmocka_unit_test(test_give_back__the_last_one_frees_the_place),
	    cmocka_unit_test(test_freed__grows_when_a_place_was_missed),
	    cmocka_unit_test(test_take__max_changes),
	    cmocka_unit_test(test_series_gone__gives_back_what_is_limited),
	    cmocka_unit_test(test_scope__is_the_file_and_its_labels),
	    cmocka_unit_test(test_scope__there_may_be_so_many),
	    cmocka_unit_test(test_take__many_threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
