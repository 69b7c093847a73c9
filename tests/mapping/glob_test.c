#include "test.h"

#include "mapping/brute_glob.h"
#include "mapping/glob.h"
#include "mapping/rule.h"

#include <stdio.h>
#include <stdlib.h>

#define GLOBS_MAX 16

enum mode { ORDERED = 1, UNORDERED = 2, ANY = ORDERED | UNORDERED };

struct vector {
	const char *globs[GLOBS_MAX];
	enum mode mode;
	const char *name, *winner; /* NULL: none */
	const char *captures[4];
};

static const struct vector vectors[] = {
    /* the order of the file, or the most literal */
    {{"*.b", "a.*", "a.b"}, ORDERED, "a.b", "*.b", {"a"}},
    {{"*.b", "a.*", "a.b"}, ORDERED, "a.c", "a.*", {"c"}},
    {{"*.b", "a.*", "a.b"}, ORDERED, "x.y", NULL, {0}},
    {{"*.b", "a.*", "a.b"}, UNORDERED, "a.b", "a.b", {0}},
    {{"*.b", "a.*", "a.b"}, UNORDERED, "a.c", "a.*", {"c"}},
    {{"*.b", "a.*", "a.b"}, UNORDERED, "x.b", "*.b", {"x"}},
    {{"a.*.c", "a.b.*"}, UNORDERED, "a.b.c", "a.b.*", {"c"}},
    {{"a.*.c", "a.b.*"}, UNORDERED, "a.x.c", "a.*.c", {"x"}},
    {{"a.*.c", "a.b.d"}, UNORDERED, "a.b.c", "a.*.c", {"b"}},
    {{"a.*.c", "a.b.*"}, ORDERED, "a.b.c", "a.*.c", {"b"}},
    /* dead ends are left again */
    {{"a.c", "*.*"}, ANY, "a.a", "*.*", {"a", "a"}},
    {{"c.b.a", "c.*.*"}, ANY, "c.b.b", "c.*.*", {"b", "b"}},
    {{"a.b.c.d", "a.*.c.x", "*.b.*.y"}, ANY, "a.b.c.y", "*.b.*.y", {"a", "c"}},
    /* no rule is dead */
    {{"a.b.c", "a.b"}, ANY, "a.b", "a.b", {0}},
    {{"a.b", "a.b.c"}, ANY, "a.b.c", "a.b.c", {0}},
    {{"a.*.c", "a.*"}, ANY, "a.x", "a.*", {"x"}},
    {{"*.*.b", "*"}, ANY, "x", "*", {"x"}},
    {{"a.b.c", "a.b", "a.*"}, ANY, "a.b", "a.b", {0}},
    /* a repeated glob keeps the rank of the first */
    {{"a.*", "*.b", "a.*"}, ORDERED, "a.b", "a.*", {"b"}},
    /* components */
    {{"a.*.b"}, ANY, "a..b", "a.*.b", {""}},
    {{"a.*"}, ANY, "a.", "a.*", {""}},
    {{"*"}, ANY, "", "*", {""}},
    {{"*.*"}, ANY, ".", "*.*", {"", ""}},
    {{"a.*"}, ANY, "a", NULL, {0}},
    {{"a.*"}, ANY, "a.b.c", NULL, {0}},
    {{"a"}, ANY, "A", NULL, {0}},
    {{"a"}, ANY, "", NULL, {0}},
    {{"a.*"}, ANY, "a.\xc3\x9c b%", "a.*", {"\xc3\x9c b%"}},
    {{"a"}, ANY, "a\xc3\x9c", NULL, {0}},
    {{"a.b"}, ANY, "a.*", NULL, {0}},
    {{"a.*"}, ANY, "a.*", "a.*", {"*"}},
    /* nothing at all */
    {{0}, ANY, "a", NULL, {0}},
    {{0}, ANY, "", NULL, {0}},
};

static struct glob_set *
new_set(const char *const *globs, bool is_ordered)
{
	struct glob_set *set = glob_set_new(is_ordered);
	for (uint32_t i = 0; i < GLOBS_MAX && globs[i]; i++)
		glob_set_add(set, span_text(globs[i]), KINDS_ALL, i);
	return set;
}

static void
check_vector(const struct vector *vector, bool is_ordered)
{
	struct glob_scratch scratch;
	glob_scratch_init(&scratch);
	struct glob_set *set = new_set(vector->globs, is_ordered);
	struct glob_match match;
	bool is_found =
	    glob_set_find(set, &scratch, EVENT_COUNTER, span_text(vector->name), &match);
	const char *got = is_found ? vector->globs[match.rule] : "none";
	const char *want = vector->winner ? vector->winner : "none";
	if (strcmp(got, want) != 0)
		fail_msg("\"%s\": got %s, want %s", vector->name, got, want);
	if (is_found) {
		assert_int_equal(match.capture_count, glob_star_count(span_text(want)));
		assert_span_equal(match.captures[0], vector->name);
		for (size_t i = 0; i < match.capture_count; i++)
			assert_span_equal(match.captures[i + 1], vector->captures[i]);
	}
	glob_set_free(&set);
	glob_scratch_fini(&scratch);
}

static void
test_find__vectors(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		if (vectors[i].mode & ORDERED)
			check_vector(&vectors[i], true);
		if (vectors[i].mode & UNORDERED)
			check_vector(&vectors[i], false);
	}
}

static void
test_find__repeated_glob_gives_the_first_rule(void **state)
{
	(void)state;
	static const char *const globs[GLOBS_MAX] = {"a.*", "*.b", "a.*"};
	for (int is_ordered = 0; is_ordered < 2; is_ordered++) {
		struct glob_scratch scratch;
		glob_scratch_init(&scratch);
		struct glob_set *set = new_set(globs, is_ordered);
		struct glob_match match;
		assert_true(glob_set_find(set, &scratch, EVENT_GAUGE, SPAN("a.b"), &match));
		assert_int_equal(match.rule, 0);
		glob_set_free(&set);
		glob_scratch_fini(&scratch);
	}
}

static void
test_find__kinds_are_apart(void **state)
{
	(void)state;
	struct glob_scratch scratch;
	glob_scratch_init(&scratch);
	struct glob_set *set = glob_set_new(true);
	glob_set_add(set, SPAN("a.*"), KIND_BIT(EVENT_COUNTER), 10);
	glob_set_add(set, SPAN("a.*"), KIND_BIT(EVENT_COUNTER) | KIND_BIT(EVENT_GAUGE), 11);
	glob_set_add(set, SPAN("b"), KIND_BIT(EVENT_COUNTER), 12);
	struct glob_match match;
	assert_true(glob_set_find(set, &scratch, EVENT_COUNTER, SPAN("a.x"), &match));
	assert_int_equal(match.rule, 10);
	assert_true(glob_set_find(set, &scratch, EVENT_GAUGE, SPAN("a.x"), &match));
	assert_int_equal(match.rule, 11);
	assert_false(glob_set_find(set, &scratch, EVENT_OBSERVER, SPAN("a.x"), &match));
	assert_false(glob_set_find(set, &scratch, EVENT_GAUGE, SPAN("b"), &match));
	glob_set_free(&set);
	glob_scratch_fini(&scratch);
}

/* Lengths beyond what a node counts exactly, up to more than a name can have. */
static void
test_find__long_globs(void **state)
{
	(void)state;
	static char stars[2 * 5000], name[2 * 5000];
	for (size_t count = 60; count <= 5000; count += count < 70 ? 1 : 493) {
		for (size_t i = 0; i < count; i++)
			memcpy(stars + 2 * i, "*.", 2), memcpy(name + 2 * i, "x.", 2);
		struct span pattern = span_of(stars, 2 * count - 1);
		struct glob_scratch scratch;
		glob_scratch_init(&scratch);
		struct glob_set *set = glob_set_new(count % 2);
		glob_set_add(set, pattern, KINDS_ALL, 7);
		struct glob_match match;
		assert_true(glob_set_find(set, &scratch, EVENT_GAUGE, span_of(name, 2 * count - 1),
					  &match));
		assert_int_equal(match.capture_count, count);
		assert_span_equal(match.captures[count], "x");
		assert_false(glob_set_find(set, &scratch, EVENT_GAUGE, span_of(name, 2 * count - 3),
					   &match));
		assert_false(
		    glob_set_find(set, &scratch, EVENT_GAUGE, span_of(name, 2 * count), &match));
		glob_set_free(&set);
		glob_scratch_fini(&scratch);
	}
}

static void
test_find__scratch_serves_sets_of_any_depth(void **state)
{
	(void)state;
	static const char *const flat[GLOBS_MAX] = {"*"}, *const deep[GLOBS_MAX] = {"*.*.*.*.*"};
	struct glob_scratch scratch;
	glob_scratch_init(&scratch);
	struct glob_set *sets[] = {new_set(flat, true), new_set(deep, true)};
	for (int i = 0; i < 6; i++) {
		struct span name = i % 2 ? SPAN("a.b.c.d.e") : SPAN("a");
		struct glob_match match;
		assert_true(glob_set_find(sets[i % 2], &scratch, EVENT_GAUGE, name, &match));
		assert_int_equal(match.capture_count, i % 2 ? 5 : 1);
	}
	glob_set_free(&sets[0]);
	glob_set_free(&sets[1]);
	glob_scratch_fini(&scratch);
}

/* A pattern looked up as a name meets only globs that take all its names. */
static void
test_find__pattern_as_name_finds_what_covers_it(void **state)
{
	(void)state;
	static const struct {
		const char *glob, *pattern;
		bool is_covered;
	} table[] = {
	    {"a.*", "a.*", true},  {"*.*", "a.*", true},  {"a.*", "a.b", true},
	    {"a.b", "a.*", false}, {"a.*", "*.b", false}, {"*", "a.*", false},
	    {"*.*", "*.*", true},
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const char *const globs[GLOBS_MAX] = {table[i].glob};
		struct glob_scratch scratch;
		glob_scratch_init(&scratch);
		struct glob_set *set = new_set(globs, true);
		struct glob_match match;
		assert_int_equal(glob_set_find(set, &scratch, EVENT_COUNTER,
					       span_text(table[i].pattern), &match),
				 table[i].is_covered);
		glob_set_free(&set);
		glob_scratch_fini(&scratch);
	}
}

static uint32_t seed = 1;

static uint32_t
below(uint32_t limit)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % limit;
}

static struct span
random_text(char *to, const char *const *components, uint32_t choices)
{
	size_t len = 0;
	uint32_t count = 1 + below(5);
	for (uint32_t i = 0; i < count; i++)
		len += (size_t)sprintf(to + len, "%s%s", i ? "." : "", components[below(choices)]);
	return span_of(to, len);
}

static void
check_random_set(bool is_ordered)
{
	static const char *const in_globs[] = {"*", "*", "a", "b", "c", "ab"};
	static const char *const in_names[] = {"a", "b", "c", "ab", "x", "", "*"};
	static char texts[GLOBS_MAX][32];
	struct brute_glob globs[GLOBS_MAX];
	struct glob_scratch scratch;
	glob_scratch_init(&scratch);
	struct glob_set *set = glob_set_new(is_ordered);
	size_t count = 1 + below(GLOBS_MAX);
	for (size_t i = 0; i < count; i++) {
		globs[i].pattern = random_text(texts[i], in_globs, 6);
		globs[i].kinds = below(3) ? KINDS_ALL : 1 + below(7);
		glob_set_add(set, globs[i].pattern, globs[i].kinds, (uint32_t)i);
	}
	for (int i = 0; i < 60; i++) {
		char text[32];
		struct span name = random_text(text, in_names, 7);
		enum event_kind kind = (enum event_kind)below(EVENT_KINDS);
		struct glob_match match = {.rule = BRUTE_NONE};
		bool is_found = glob_set_find(set, &scratch, kind, name, &match);
		uint32_t want = brute_find(globs, count, is_ordered, kind, name);
		if (match.rule != want || is_found != (want != BRUTE_NONE))
			fail_msg("\"%.*s\" as %s, %s: got %d, want %d", SPAN_ARGS(name),
				 event_kind_text(kind), is_ordered ? "ordered" : "unordered",
				 (int)match.rule, (int)want);
	}
	glob_set_free(&set);
	glob_scratch_fini(&scratch);
}

static void
test_find__equals_brute_force_on_random_sets(void **state)
{
	(void)state;
	for (int i = 0; i < 4000; i++)
		check_random_set(i % 2);
}

static void
test_edges__in_order_of_nodes(void **state)
{
	(void)state;
	static const char *const globs[GLOBS_MAX] = {"a.b", "*.c", "a.*"};
	struct glob_set *set = new_set(globs, true);
	struct glob_edge *edges;
	size_t count = glob_set_edges(set, &edges);
	static const struct {
		uint32_t from, to;
		const char *component;
	} want[] = {{0, 1, "a"}, {0, 3, "*"}, {1, 2, "b"}, {1, 5, "*"}, {3, 4, "c"}};
	assert_int_equal(count, 5);
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(edges[i].from, want[i].from);
		assert_int_equal(edges[i].to, want[i].to);
		assert_span_equal(edges[i].component, want[i].component);
	}
	assert_int_equal(glob_set_rule_at(set, 5, EVENT_GAUGE), 2);
	assert_int_equal(glob_set_rule_at(set, 1, EVENT_GAUGE), GLOB_NONE);
	free(edges);
	glob_set_free(&set);
}

static void
test_edges__of_no_globs(void **state)
{
	(void)state;
	struct glob_set *set = glob_set_new(true);
	struct glob_edge *edges;
	assert_int_equal(glob_set_edges(set, &edges), 0);
	assert_false(glob_set_leads(set, 0, EVENT_COUNTER));
	assert_int_equal(glob_set_rule_at(set, 0, EVENT_COUNTER), GLOB_NONE);
	free(edges);
	glob_set_free(&set);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_find__vectors),
	    cmocka_unit_test(test_find__repeated_glob_gives_the_first_rule),
	    cmocka_unit_test(test_find__kinds_are_apart),
	    cmocka_unit_test(test_find__long_globs),
	    cmocka_unit_test(test_find__scratch_serves_sets_of_any_depth),
	    cmocka_unit_test(test_find__pattern_as_name_finds_what_covers_it),
	    cmocka_unit_test(test_find__equals_brute_force_on_random_sets),
	    cmocka_unit_test(test_edges__in_order_of_nodes),
	    cmocka_unit_test(test_edges__of_no_globs),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
