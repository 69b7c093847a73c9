#include "test.h"

#include "base/alloc.h"
#include "mapping/prefilter.h"

#include <stdlib.h>

#define RULES 200
#define LITERALS 3

static uint32_t seed = 1;

static uint32_t
below(uint32_t limit)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % limit;
}

static struct span
random_text(char *to, size_t least, size_t most, uint32_t letters)
{
	size_t len = least + below((uint32_t)(most - least + 1));
	for (size_t i = 0; i < len; i++)
		to[i] = (char)('a' + below(letters));
	return span_of(to, len);
}

struct rule {
	char bytes[LITERALS][8];
	struct span literals[LITERALS];
	size_t count;
	bool is_prefix;
};

static bool
can_match(const struct rule *rule, struct span name)
{
	for (size_t i = 0; i < rule->count; i++)
		if (!memmem(name.ptr, name.len, rule->literals[i].ptr, rule->literals[i].len))
			return false;
	return !rule->is_prefix || span_starts(name, rule->literals[0]);
}

/* No rule that could match is left out, and no rule is let through without its rarest text. */
static void
check_random_rules(uint32_t letters)
{
	static struct rule rules[RULES];
	size_t count = below(RULES + 1), let_through = 0, hopeful = 0;
	struct prefilter *filter = prefilter_new();
	for (size_t i = 0; i < count; i++) {
		struct rule *rule = &rules[i];
		rule->count = below(LITERALS + 1);
		rule->is_prefix = rule->count && below(2);
		for (size_t k = 0; k < rule->count; k++)
			rule->literals[k] = random_text(rule->bytes[k], 1, 8, letters);
		prefilter_add(filter, rule->literals, rule->count, rule->is_prefix);
	}
	prefilter_build(filter);
	uint64_t *words = xcalloc(prefilter_words(filter), sizeof(*words));
	for (int i = 0; i < 50; i++) {
		char text[40];
		struct span name = random_text(text, 0, sizeof(text), letters);
		prefilter_find(filter, name, words);
		for (size_t k = 0; k < count; k++) {
			bool is_candidate = words[k / 64] >> k % 64 & 1;
			assert_true(is_candidate || !can_match(&rules[k], name));
			let_through += is_candidate;
			hopeful += can_match(&rules[k], name) || rules[k].count == 0;
		}
	}
	assert_true(let_through >= hopeful);
	assert_true(letters < 8 || let_through <= 2 * hopeful + 50 * count / 4);
	free(words);
	prefilter_free(&filter);
}

static void
test_find__never_leaves_out_a_match(void **state)
{
	(void)state;
	for (int i = 0; i < 300; i++)
		check_random_rules(i % 2 ? 2 : 12);
}

static bool
is_candidate(struct prefilter *filter, size_t rule, const char *name)
{
	uint64_t *words = xcalloc(prefilter_words(filter), sizeof(*words));
	prefilter_find(filter, span_text(name), words);
	bool is_set = words[rule / 64] >> rule % 64 & 1;
	free(words);
	return is_set;
}

static void
test_find__table(void **state)
{
	(void)state;
	static const struct {
		const char *literal;
		bool is_prefix;
		const char *name;
		bool is_candidate;
	} table[] = {
	    {"abc", true, "abcd", true},   {"abc", true, "xabc", false},
	    {"abc", false, "xabc", true},  {"abc", false, "ab", false},
	    {"abc", false, "ab.c", false}, {"a", false, "ba", true},
	    {"a", true, "ba", false},      {"a", false, "", false},
	    {"aab", false, "aaab", true},  {"abcdefgh", false, "abcdabcdefghx", true},
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct span literal = span_text(table[i].literal);
		struct prefilter *filter = prefilter_new();
		prefilter_add(filter, &literal, 1, table[i].is_prefix);
		prefilter_build(filter);
		if (is_candidate(filter, 0, table[i].name) != table[i].is_candidate)
			fail_msg("%s for %s", table[i].literal, table[i].name);
		prefilter_free(&filter);
	}
}

static void
test_find__without_literals_is_always_a_candidate(void **state)
{
	(void)state;
	struct prefilter *filter = prefilter_new();
	for (int i = 0; i < 130; i++)
		prefilter_add(filter, NULL, 0, false);
	prefilter_build(filter);
	for (size_t i = 0; i < 130; i++)
		assert_true(is_candidate(filter, i, "x"));
	prefilter_free(&filter);
}

static void
test_find__no_rules(void **state)
{
	(void)state;
	struct prefilter *filter = prefilter_new();
	prefilter_build(filter);
	assert_int_equal(prefilter_words(filter), 0);
	prefilter_find(filter, SPAN("name"), NULL);
	prefilter_free(&filter);
	assert_null(filter);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_find__never_leaves_out_a_match),
	    cmocka_unit_test(test_find__table),
	    cmocka_unit_test(test_find__without_literals_is_always_a_candidate),
	    cmocka_unit_test(test_find__no_rules),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
