#include "fixture.h"

#include <stdio.h>

static const char *const type_names[] = {"c", "g", "h", "s"};

/* ---- Names and types. ---- */

/* Asks for one name after the other; @return what the second was told */
static enum registry_verdict
second_verdict(const char *first, enum metric_type first_type, const char *second,
	       enum metric_type second_type)
{
	struct fixture fixture = fixture_open(1, 10, NULL, 0);
	assert_int_equal(fixture_ask(&fixture, 0, first_type, first, "", 0, NULL), REGISTRY_OK);
	enum registry_verdict verdict =
	    fixture_ask(&fixture, 0, second_type, second, "x=1", 0, NULL);
	/* What was refused left nothing behind. */
	assert_int_equal(registry_families_count(fixture.registry),
			 verdict == REGISTRY_OK && strcmp(first, second) != 0 ? 2 : 1);
	fixture_close(&fixture);
	return verdict;
}

static bool
is_observer(enum metric_type type)
{
	return type == METRIC_HISTOGRAM || type == METRIC_SUMMARY;
}

static void
test_conflict__types_of_one_name(void **state)
{
	(void)state;
	for (enum metric_type a = 0; a < METRIC_TYPES; a++) {
		for (enum metric_type b = 0; b < METRIC_TYPES; b++)
			assert_int_equal(second_verdict("foo", a, "foo", b),
					 a == b ? REGISTRY_OK : REGISTRY_CONFLICT);
	}
}

static void
test_conflict__suffixes_in_both_directions(void **state)
{
	(void)state;
	static const char *const blocked[] = {"foo_sum", "foo_count", "foo_bucket"};
	static const char *const free_names[] = {"foo_total", "foo_sums",   "foosum", "xfoo_sum",
						 "foo_sum_",  "foo__count", "foo_",   "foo_max"};
	for (enum metric_type base = 0; base < METRIC_TYPES; base++) {
		for (enum metric_type other = 0; other < METRIC_TYPES; other++) {
			enum registry_verdict want =
			    is_observer(base) ? REGISTRY_CONFLICT : REGISTRY_OK;
			for (size_t i = 0; i < 3; i++) {
				enum registry_verdict after =
				    second_verdict("foo", base, blocked[i], other);
				enum registry_verdict before =
				    second_verdict(blocked[i], other, "foo", base);
				if (after != want || before != want)
					fail_msg("foo %s and %s %s: %d, %d", type_names[base],
						 blocked[i], type_names[other], after, before);
			}
			for (size_t i = 0; i < sizeof(free_names) / sizeof(free_names[0]); i++)
				assert_int_equal(second_verdict("foo", base, free_names[i], other),
						 REGISTRY_OK);
		}
	}
}

/* OpenMetrics reserves one suffix more, where it may be served. */
static void
test_conflict__created(void **state)
{
	(void)state;
	for (enum metric_type base = 0; base < METRIC_TYPES; base++) {
		for (unsigned order = 0; order < 2; order++) {
			struct fixture fixture = fixture_open(1, 10, NULL, 0);
			registry_free(&fixture.registry);
			fixture.registry =
			    registry_new(&(struct registry_settings){.threads = 1,
								     .max_series = 10,
								     .grace = fixture.grace,
								     .reserves_created = true});
			const char *names[] = {"foo", "foo_created"};
			enum metric_type types[] = {base, METRIC_GAUGE};
			assert_int_equal(fixture_ask(&fixture, 0, types[order], names[order], "", 0,
						     NULL),
					 REGISTRY_OK);
			assert_int_equal(fixture_ask(&fixture, 0, types[!order], names[!order], "",
						     0, NULL),
					 is_observer(base) ? REGISTRY_CONFLICT : REGISTRY_OK);
			fixture_close(&fixture);
		}
		assert_int_equal(second_verdict("foo", base, "foo_created", METRIC_GAUGE),
				 REGISTRY_OK);
	}
}

static void
test_conflict__odd_names(void **state)
{
	(void)state;
	assert_int_equal(second_verdict("_sum", METRIC_COUNTER, "_count", METRIC_SUMMARY),
			 REGISTRY_OK);
	assert_int_equal(second_verdict("a_sum_sum", METRIC_COUNTER, "a", METRIC_SUMMARY),
			 REGISTRY_OK);
	assert_int_equal(second_verdict("a_sum_sum", METRIC_COUNTER, "a_sum", METRIC_SUMMARY),
			 REGISTRY_CONFLICT);
	assert_int_equal(
	    second_verdict("a_bucket", METRIC_HISTOGRAM, "a_bucket_count", METRIC_GAUGE),
	    REGISTRY_CONFLICT);
}

static void
test_conflict__names_of_the_bridge(void **state)
{
	(void)state;
	static const struct span reserved[] = {{"own_total", 9}, {"load_sum", 8}, {"own_total", 9}};
	static const struct {
		const char *name;
		enum metric_type type;
		enum registry_verdict want;
	} cases[] = {
	    {"own_total", METRIC_COUNTER, REGISTRY_CONFLICT},
	    {"own_total", METRIC_GAUGE, REGISTRY_CONFLICT},
	    {"own_total", METRIC_SUMMARY, REGISTRY_CONFLICT},
	    {"own_tota", METRIC_COUNTER, REGISTRY_OK},
	    {"own_total_", METRIC_COUNTER, REGISTRY_OK},
	    {"load", METRIC_COUNTER, REGISTRY_OK},
	    {"load_sum", METRIC_COUNTER, REGISTRY_CONFLICT},
	    {"load", METRIC_HISTOGRAM, REGISTRY_CONFLICT},
	    {"load", METRIC_SUMMARY, REGISTRY_CONFLICT},
	    {"own_total_sum", METRIC_GAUGE, REGISTRY_OK},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fixture fixture = fixture_open(1, 10, reserved, 3);
		assert_int_equal(
		    fixture_ask(&fixture, 0, cases[i].type, cases[i].name, "", 0, NULL),
		    cases[i].want);
		fixture_close(&fixture);
	}
}

static void
test_conflict__other_label_names_are_fine(void **state)
{
	(void)state;
	for (enum metric_type type = 0; type < METRIC_TYPES; type++) {
		struct fixture fixture = fixture_open(1, 10, NULL, 0);
		assert_int_equal(fixture_ask(&fixture, 0, type, "x", "a=1", 0, NULL), REGISTRY_OK);
		assert_int_equal(fixture_ask(&fixture, 0, type, "x", "b=1", 0, NULL), REGISTRY_OK);
		assert_int_equal(fixture_ask(&fixture, 0, type, "x", "", 0, NULL), REGISTRY_OK);
		assert_int_equal(registry_series_count(fixture.registry, type), 3);
		assert_int_equal(registry_metrics_count(fixture.registry, type), 3);
		fixture_close(&fixture);
	}
}

/* ---- Identity. ---- */

static void
test_find__same_series_same_reference(void **state)
{
	(void)state;
	struct fixture fixture = fixture_open(2, 10, NULL, 0);
	struct series_ref a, b, c;
	assert_int_equal(fixture_ask(&fixture, 0, METRIC_COUNTER, "x", "a=1,b=2", 0, &a),
			 REGISTRY_OK);
	assert_int_equal(fixture_ask(&fixture, 1, METRIC_COUNTER, "x", "b=2,a=1", 0, &b),
			 REGISTRY_OK);
	assert_int_equal(fixture_ask(&fixture, 0, METRIC_COUNTER, "x", "a=1,b=3", 0, &c),
			 REGISTRY_OK);
	assert_same_ref(a, b);
	assert_int_not_equal(a.id, c.id);
	assert_int_not_equal(a.incarnation, c.incarnation);
	/* Each thread has a cell of its own. */
	assert_non_null(fixture_cell(&fixture, 0, a));
	assert_ptr_not_equal(fixture_cell(&fixture, 0, a), fixture_cell(&fixture, 1, a));
	fixture_close(&fixture);
}

static void
test_find__another_thread_needs_to_ask_first(void **state)
{
	(void)state;
	struct fixture fixture = fixture_open(2, 10, NULL, 0);
	struct series_ref counter, gauge;
	assert_int_equal(fixture_ask(&fixture, 0, METRIC_COUNTER, "c", "", 0, &counter),
			 REGISTRY_OK);
	assert_int_equal(fixture_ask(&fixture, 0, METRIC_GAUGE, "g", "", 0, &gauge), REGISTRY_OK);
	assert_null(fixture_cell(&fixture, 1, counter));
	/* Gauges are everybody's. */
	assert_ptr_equal(fixture_cell(&fixture, 1, gauge), fixture_cell(&fixture, 0, gauge));
	fixture_close(&fixture);
}

static void
test_find__equal_texts_of_other_families_are_other_series(void **state)
{
	(void)state;
	struct fixture fixture = fixture_open(1, 10, NULL, 0);
	fixture_send(&fixture, METRIC_COUNTER, "x", "a=1", 0, 1);
	fixture_send(&fixture, METRIC_COUNTER, "y", "a=1", 0, 2);
	fixture_send(&fixture, METRIC_COUNTER, "x", "a=1\",b=\"2", 0, 3);
	fixture_send(&fixture, METRIC_COUNTER, "x", "a=1,b=2", 0, 4);
	assert_shown(
	    &fixture, 0,
	    "x counter help\n{a=\"1\"} 1\n{a=\"1\",b=\"2\"} 4\n{a=\"1\\\"\",b=\"\\\"2\"} 3\n"
	    "y counter help\n{a=\"1\"} 2\n");
	fixture_close(&fixture);
}

static void
test_find__layout_is_fixed_at_birth(void **state)
{
	(void)state;
	struct fixture fixture = fixture_open(1, 10, NULL, 0);
	double other_bounds[] = {7};
	struct histogram_options other = {1, other_bounds, 0, 0};
	fixture_send(&fixture, METRIC_HISTOGRAM, "h", "a=1", 0, 2);
	fixture.histogram = &other;
	fixture_send(&fixture, METRIC_HISTOGRAM, "h", "a=1", 0, 6);
	fixture_send(&fixture, METRIC_HISTOGRAM, "h", "a=2", 0, 6);
	assert_shown(&fixture, 0,
		     "h histogram help\n{a=\"1\"} sum 8 count 2 1:0 2:1 5:0 +Inf:1\n"
		     "{a=\"2\"} sum 6 count 1 7:1 +Inf:0\n");
	fixture_close(&fixture);
}

static void
test_find__sets_and_gauges_do_not_mix_in_a_series(void **state)
{
	(void)state;
	struct fixture fixture = fixture_open(1, 10, NULL, 0);
	struct labels labels = {0};
	struct series_request request = {.name = SPAN("x"),
					 .type = METRIC_GAUGE,
					 .help = SPAN("h"),
					 .tick = 1};
	struct series_ref ref;
	assert_int_equal(
	    find_or_create(fixture.registry, 0, &labels, &request, &fixture.text, &ref),
	    REGISTRY_OK);
	request.is_set = true;
	assert_int_equal(
	    find_or_create(fixture.registry, 0, &labels, &request, &fixture.text, &ref),
	    REGISTRY_CONFLICT);
	request.name = SPAN("y");
	assert_int_equal(
	    find_or_create(fixture.registry, 0, &labels, &request, &fixture.text, &ref),
	    REGISTRY_OK);
	struct set_cell *cell = (struct set_cell *)fixture_cell(&fixture, 0, ref);
	for (unsigned i = 0; i < 2000; i++)
		set_add(registry_shard(fixture.registry, 0), cell, i % 20 * UINT64_C(0x9e3779b9));
	assert_shown(&fixture, 0, "x gauge h\n{} 0\ny gauge h\n{} 20\n");
	request.is_set = false;
	assert_int_equal(
	    find_or_create(fixture.registry, 0, &labels, &request, &fixture.text, &ref),
	    REGISTRY_CONFLICT);
	fixture_close(&fixture);
}

/* ---- Help. ---- */

static void
test_help__first_rule_until_a_reload(void **state)
{
	(void)state;
	struct fixture fixture = fixture_open(1, 10, NULL, 0);
	fixture.help = "first";
	fixture_send(&fixture, METRIC_GAUGE, "g", "a=1", 0, 1);
	fixture.help = "second";
	fixture_send(&fixture, METRIC_GAUGE, "g", "a=2", 0, 2);
	assert_shown(&fixture, 0, "g gauge first\n{a=\"1\"} 1\n{a=\"2\"} 2\n");
	fixture.rules = 2;
	fixture_send(&fixture, METRIC_GAUGE, "g", "a=1", 0, 1);
	assert_shown(&fixture, 0, "g gauge second\n{a=\"1\"} 1\n{a=\"2\"} 2\n");
	/* A thread that still has the old rules changes nothing back. */
	fixture.rules = 1;
	fixture.help = "first";
	fixture_send(&fixture, METRIC_GAUGE, "g", "a=2", 0, 2);
	assert_shown(&fixture, 0, "g gauge second\n{a=\"1\"} 1\n{a=\"2\"} 2\n");
	fixture_close(&fixture);
}

/* ---- Limits. ---- */

static void
test_limit__series(void **state)
{
	(void)state;
	struct fixture fixture = fixture_open(1, 4, NULL, 0);
	for (enum metric_type type = 0; type < METRIC_TYPES; type++) {
		char name[2] = {(char)('a' + type), 0};
		assert_int_equal(fixture_ask(&fixture, 0, type, name, "", 0, NULL), REGISTRY_OK);
	}
	assert_int_equal(fixture_ask(&fixture, 0, METRIC_COUNTER, "e", "", 0, NULL),
			 REGISTRY_LIMIT);
	assert_int_equal(fixture_ask(&fixture, 0, METRIC_COUNTER, "a", "x=1", 0, NULL),
			 REGISTRY_LIMIT);
	/* What exists is found, and a conflict is a conflict. */
	assert_int_equal(fixture_ask(&fixture, 0, METRIC_COUNTER, "a", "", 0, NULL), REGISTRY_OK);
	assert_int_equal(fixture_ask(&fixture, 0, METRIC_GAUGE, "a", "", 0, NULL),
			 REGISTRY_CONFLICT);
	assert_int_equal(registry_families_count(fixture.registry), 4);
	fixture_close(&fixture);
}

static void
test_limit__label_texts(void **state)
{
	(void)state;
	enum { SERIES = 1000, LEN = 60000 };
	struct fixture fixture = fixture_open(1, SERIES, NULL, 0);
	char *label = test_malloc(LEN + 1);
	unsigned count = 0;
	for (; count < SERIES; count++) {
		memset(label, 'v', LEN);
		label[snprintf(label, LEN, "x=%u", count)] = 'v';
		label[LEN] = '\0';
		if (fixture_ask(&fixture, 0, METRIC_COUNTER, "c", label, SECOND_US, NULL) !=
		    REGISTRY_OK)
			break;
	}
	/* Two bytes more than the label here are the quotes of its text. */
	uint64_t room = SERIES * SERIES_TEXT_BYTES + SERIES_TEXT_BYTES_LEAST;
	assert_in_range(count, room / (LEN + 2) - 1, room / (LEN + 2));
	/* Short ones still fit, and when the long ones have gone there is room for long ones again.
	 */
	assert_int_equal(fixture_ask(&fixture, 0, METRIC_COUNTER, "c", "a=", 0, NULL), REGISTRY_OK);
	fixture_expire_at(&fixture, 5);
	assert_int_equal(fixture_ask(&fixture, 0, METRIC_COUNTER, "c", label, 0, NULL),
			 REGISTRY_OK);
	test_free(label);
	fixture_close(&fixture);
}

/* One series of each layout that there can be: histograms with one bound. */
static void
fill_layouts(struct fixture *fixture, int64_t ttl_us)
{
	for (unsigned i = 0; i < LAYOUTS_MAX; i++) {
		double bound = i;
		char label[16];
		snprintf(label, sizeof(label), "a=%u", i);
		fixture->histogram = &(struct histogram_options){1, &bound, 0, 0};
		struct series_ref ref;
		assert_int_equal(
		    fixture_ask(fixture, 0, METRIC_HISTOGRAM, "h", label, ttl_us, &ref),
		    REGISTRY_OK);
		assert_true(ref.layout->bounds[0] == bound);
	}
	fixture->histogram = &fixture_histogram;
}

static void
test_limit__layouts(void **state)
{
	(void)state;
	struct fixture fixture = fixture_open(1, 2 * LAYOUTS_MAX, NULL, 0);
	fill_layouts(&fixture, 0);
	assert_int_equal(fixture_ask(&fixture, 0, METRIC_HISTOGRAM, "h", "a=x", 0, NULL),
			 REGISTRY_LIMIT);
	assert_int_equal(fixture_ask(&fixture, 0, METRIC_GAUGE, "g", "", 0, NULL), REGISTRY_LIMIT);
	/* Nothing is left of what was refused. */
	assert_int_equal(registry_families_count(fixture.registry), 1);
	assert_int_equal(registry_series_count(fixture.registry, METRIC_HISTOGRAM), LAYOUTS_MAX);
	/* What exists is found, whatever it is asked for with, and its layouts are everybody's. */
	assert_int_equal(fixture_ask(&fixture, 0, METRIC_HISTOGRAM, "h", "a=7", 0, NULL),
			 REGISTRY_OK);
	double bound = 7;
	fixture.histogram = &(struct histogram_options){1, &bound, 0, 0};
	assert_int_equal(fixture_ask(&fixture, 0, METRIC_HISTOGRAM, "i", "", 0, NULL), REGISTRY_OK);
	fixture_close(&fixture);
}

static void
test_limit__layouts_that_go_make_room(void **state)
{
	(void)state;
	struct fixture fixture = fixture_open(1, 2 * LAYOUTS_MAX, NULL, 0);
	fill_layouts(&fixture, SECOND_US);
	fixture_expire_at(&fixture, 5);
	assert_int_equal(registry_series_count(fixture.registry, METRIC_HISTOGRAM), 0);
	/* The rules in force may ask for them again. */
	assert_int_equal(fixture_ask(&fixture, 0, METRIC_GAUGE, "g", "", 0, NULL), REGISTRY_LIMIT);
	uint64_t frees = registry_frees(fixture.registry);
	registry_forget_rules(fixture.registry, ++fixture.rules);
	assert_true(registry_frees(fixture.registry) > frees);
	fixture_send(&fixture, METRIC_GAUGE, "g", "", 0, 4);
	fixture_send(&fixture, METRIC_COUNTER, "c", "", 0, 3);
	assert_shown(&fixture, 0, "c counter help\n{} 3\ng gauge help\n{} 4\n");
	fixture_close(&fixture);
}

/* ---- Counts. ---- */

static void
test_counts__label_name_sets(void **state)
{
	(void)state;
	struct fixture fixture = fixture_open(1, 100, NULL, 0);
	static const char *const labels[] = {"", "a=1", "a=2", "a=1,b=1", "b=1", "b=2", "b=1,a=2"};
	static const unsigned want[] = {1, 2, 2, 3, 4, 4, 4};
	for (size_t i = 0; i < 7; i++) {
		fixture_send(&fixture, METRIC_COUNTER, "c", labels[i], 0, 1);
		assert_int_equal(registry_metrics_count(fixture.registry, METRIC_COUNTER), want[i]);
	}
	fixture_send(&fixture, METRIC_COUNTER, "d", "a=1", 0, 1);
	assert_int_equal(registry_metrics_count(fixture.registry, METRIC_COUNTER), 5);
	assert_int_equal(registry_series_count(fixture.registry, METRIC_COUNTER), 8);
	assert_int_equal(registry_families_count(fixture.registry), 2);
	assert_int_equal(registry_metrics_count(fixture.registry, METRIC_GAUGE), 0);
	fixture_close(&fixture);
}

static void
test_counts__very_many_label_name_sets(void **state)
{
	(void)state;
	/* Clients choose label names; a family may have a set for every series. */
	struct fixture fixture = fixture_open(1, 50000, NULL, 0);
	for (unsigned i = 0; i < 50000; i++) {
		char label[24];
		snprintf(label, sizeof(label), "l%u=1", i);
		assert_int_equal(
		    fixture_ask(&fixture, 0, METRIC_COUNTER, "c", label, SECOND_US, NULL),
		    REGISTRY_OK);
	}
	assert_int_equal(registry_metrics_count(fixture.registry, METRIC_COUNTER), 50000);
	fixture_expire_at(&fixture, 10);
	fixture_expire_at(&fixture, 20);
	assert_int_equal(registry_metrics_count(fixture.registry, METRIC_COUNTER), 0);
	fixture_close(&fixture);
}

/* ---- Scopes. ---- */

/* Asks for a counter in a scope; @return whether it had another before */
static bool
ask_in_scope(struct fixture *fixture, uint16_t scope, const char *name, const char *labels,
	     int64_t ttl_us)
{
	struct series_ref ref;
	fixture->scope = scope;
	assert_int_equal(fixture_ask(fixture, 0, METRIC_COUNTER, name, labels, ttl_us, &ref),
			 REGISTRY_OK);
	return ref.scope_before != scope;
}

static void
test_scope__is_that_of_the_last_request(void **state)
{
	(void)state;
	struct fixture fixture;
	fixture_open_scoped(&fixture, 10);
	assert_false(ask_in_scope(&fixture, 0, "plain", "a=1", 0));
	assert_true(ask_in_scope(&fixture, 1, "a", "x=1", 0));
	assert_false(ask_in_scope(&fixture, 1, "a", "x=1", 0));
	assert_true(ask_in_scope(&fixture, 1, "a", "x=2", 0));
	assert_string_equal(buf_text(&fixture.left), "");
	assert_true(ask_in_scope(&fixture, 2, "a", "x=1", 0));
	assert_true(ask_in_scope(&fixture, 0, "a", "x=2", 0));
	assert_true(ask_in_scope(&fixture, 2, "plain", "a=1", 0));
	assert_string_equal(buf_text(&fixture.left), "1:x=\"1\" 1:x=\"2\" ");
	fixture_close_scoped(&fixture);
}

static void
test_scope__refused_requests_leave_it(void **state)
{
	(void)state;
	struct fixture fixture;
	fixture_open_scoped(&fixture, 1);
	assert_true(ask_in_scope(&fixture, 1, "a", "x=1", 0));
	fixture.scope = 2;
	assert_int_equal(fixture_ask(&fixture, 0, METRIC_GAUGE, "a", "x=1", 0, NULL),
			 REGISTRY_CONFLICT);
	assert_int_equal(fixture_ask(&fixture, 0, METRIC_COUNTER, "a", "x=2", 0, NULL),
			 REGISTRY_LIMIT);
	assert_string_equal(buf_text(&fixture.left), "");
	assert_false(ask_in_scope(&fixture, 1, "a", "x=1", 0));
	fixture_close_scoped(&fixture);
}

static void
test_scope__ends_with_the_series(void **state)
{
	(void)state;
	struct fixture fixture;
	fixture_open_scoped(&fixture, 10);
	ask_in_scope(&fixture, 3, "a", "x=1,y=q\"", SECOND_US);
	ask_in_scope(&fixture, 3, "a", "x=2", 100 * SECOND_US);
	ask_in_scope(&fixture, 0, "a", "x=3", SECOND_US);
	fixture_expire_at(&fixture, 10);
	assert_string_equal(buf_text(&fixture.left), "3:x=\"1\",y=\"q\\\"\" ");
	assert_true(ask_in_scope(&fixture, 3, "a", "x=1,y=q\"", 0));
	assert_false(ask_in_scope(&fixture, 3, "a", "x=2", 0));
	fixture_close_scoped(&fixture);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_conflict__types_of_one_name),
	    cmocka_unit_test(test_conflict__suffixes_in_both_directions),
	    cmocka_unit_test(test_conflict__created),
	    cmocka_unit_test(test_conflict__odd_names),
	    cmocka_unit_test(test_conflict__names_of_the_bridge),
	    cmocka_unit_test(test_conflict__other_label_names_are_fine),
	    cmocka_unit_test(test_find__same_series_same_reference),
	    cmocka_unit_test(test_find__another_thread_needs_to_ask_first),
	    cmocka_unit_test(test_find__equal_texts_of_other_families_are_other_series),
	    cmocka_unit_test(test_find__layout_is_fixed_at_birth),
	    cmocka_unit_test(test_find__sets_and_gauges_do_not_mix_in_a_series),
	    cmocka_unit_test(test_help__first_rule_until_a_reload),
	    cmocka_unit_test(test_limit__series),
	    cmocka_unit_test(test_limit__label_texts),
	    cmocka_unit_test(test_limit__layouts),
	    cmocka_unit_test(test_limit__layouts_that_go_make_room),
	    cmocka_unit_test(test_counts__label_name_sets),
	    cmocka_unit_test(test_counts__very_many_label_name_sets),
	    cmocka_unit_test(test_scope__is_that_of_the_last_request),
	    cmocka_unit_test(test_scope__refused_requests_leave_it),
	    cmocka_unit_test(test_scope__ends_with_the_series),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
