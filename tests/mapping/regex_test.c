#include "test.h"

#include "mapping/re2.h"
#include "mapping/regex.h"
#include "mapping/rule.h"

#include <stdio.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

static const struct diag_place place = {"rules.yml", 3, 10};

static struct regex_set *
new_set(const char *const *patterns, size_t count)
{
	struct diag diag = DIAG_INIT;
	struct regex_set *set = regex_set_new();
	for (size_t i = 0; i < count; i++)
		if (!regex_set_add(set, span_text(patterns[i]), KINDS_ALL, (uint32_t)i, &diag,
				   place, "match"))
			fail_msg("%s", diag.messages[0].text);
	regex_set_build(set);
	return set;
}

#define NOT_SET "(not set)"

static const struct {
	const char *pattern, *name;
	const char *captures[4]; /* the matched part first; NULL there: no match */
} vectors[] = {
    {"", "abc", {""}},
    {"", "", {""}},
    {"b", "abc", {"b"}},
    {"a.*", "za.c", {"a.c"}},
    {"^a.*", "za.c", {NULL}},
    {"a|ab", "ab", {"a"}},
    {"ab|a", "ab", {"ab"}},
    {"B", "abc", {NULL}},
    {"(?i)B", "abc", {"b"}},
    {"a(?i)B|C", "xc", {"c"}},
    {"^k\\d+\\.(?P<verb>[a-z]+)\\.(.*)\\.re1$", "k7.get.a.b.re1", {"k7.get.a.b.re1", "get", "a.b"}},
    {"^k\\d+\\.(?P<verb>[a-z]+)\\.(.*)\\.re1$", "k7.get.re1", {NULL}},
    {"(api|web)\\..*?(\\d+)?\\.re0", "web.x.re0", {"web.x.re0", "web", NOT_SET}},
    {"(api|web)\\..*?(\\d+)?\\.re0", "web.12.re0", {"web.12.re0", "web", "12"}},
    {"^(?i)K\\d+\\.(.+)\\.RE1$", "k1.\xc3\x9c.re1", {"k1.\xc3\x9c.re1", "\xc3\x9c"}},
    {"(a)|(b)", "b", {"b", NOT_SET, "b"}},
    {"(a|(b))*", "ba", {"ba", "a", "b"}},
    {"a$", "a\n", {NULL}},
    {"(?m)a$", "a\nb", {"a"}},
    {"(?m)^$", "a\n", {""}},
    {"a.b", "a\nb", {NULL}},
    {"(?s)a.b", "a\nb", {"a\nb"}},
    {"a.b", "a\rb", {"a\rb"}},
    {"a[^x]b", "a\nb", {"a\nb"}},
    {"(?U)a+", "aaa", {"a"}},
    {"(?U)a+?", "aaa", {"aaa"}},
    {"^.$", "\xc3\x9c", {"\xc3\x9c"}},
    {"\\w", "\xc3\x9c", {NULL}},
    {"\\pL", "\xc3\x9c", {"\xc3\x9c"}},
    {"\\b\xc3\x9c\\b", "\xc3\x9c", {NULL}},
    {"\\s", "a\vb", {NULL}},
    {"[\\S]", "\v", {"\v"}},
    {"[^\\S]", "\v", {NULL}},
    {"\\v", "\n", {NULL}},
    {"a{,2}", "aa", {NULL}},
    {"a{,2}", "a{,2}", {"a{,2}"}},
    {"\\12", "\n", {"\n"}},
    {"^*b", "ab", {"b"}},
    {"\\p{Greek}", "\xce\xb1", {"\xce\xb1"}},
    {"(?i)\\p{Lu}", "a", {"a"}},
    {"(?P<n>a)(?<m>b)", "ab", {"ab", "a", "b"}},
};

static void
test_find__vectors(void **state)
{
	(void)state;
	struct regex_scratch *scratch = regex_scratch_new();
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		struct regex_set *set = new_set(&vectors[i].pattern, 1);
		struct regex_match match;
		bool is_found =
		    regex_set_find(set, scratch, EVENT_COUNTER, span_text(vectors[i].name), &match);
		if (is_found != (vectors[i].captures[0] != NULL))
			fail_msg("%s on \"%s\"", vectors[i].pattern, vectors[i].name);
		for (size_t k = 0; is_found && k <= match.capture_count; k++) {
			const char *want = vectors[i].captures[k];
			if (strcmp(want, NOT_SET) == 0)
				assert_null(match.captures[k].ptr);
			else
				assert_span_equal(match.captures[k], want);
		}
		regex_set_free(&set);
	}
	regex_scratch_free(&scratch);
}

static void
test_find__first_in_order(void **state)
{
	(void)state;
	static const char *const patterns[] = {"c$", "^a", "b", ""};
	static const struct {
		const char *name;
		uint32_t rule;
	} table[] = {{"abc", 0}, {"ab", 1}, {"xb", 2}, {"x", 3}, {"", 3}};
	struct regex_scratch *scratch = regex_scratch_new();
	struct regex_set *set = new_set(patterns, 4);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct regex_match match;
		assert_true(
		    regex_set_find(set, scratch, EVENT_COUNTER, span_text(table[i].name), &match));
		assert_int_equal(match.rule, table[i].rule);
	}
	regex_set_free(&set);
	regex_scratch_free(&scratch);
}

static void
test_find__kinds(void **state)
{
	(void)state;
	struct diag diag = DIAG_INIT;
	struct regex_scratch *scratch = regex_scratch_new();
	struct regex_set *set = regex_set_new();
	assert_true(regex_set_add(set, SPAN("a"), KIND_BIT(EVENT_GAUGE), 5, &diag, place, "match"));
	assert_true(
	    regex_set_add(set, SPAN("a"), KIND_BIT(EVENT_COUNTER), 6, &diag, place, "match"));
	regex_set_build(set);
	struct regex_match match;
	assert_true(regex_set_find(set, scratch, EVENT_GAUGE, SPAN("a"), &match));
	assert_int_equal(match.rule, 5);
	assert_true(regex_set_find(set, scratch, EVENT_COUNTER, SPAN("a"), &match));
	assert_int_equal(match.rule, 6);
	assert_false(regex_set_find(set, scratch, EVENT_OBSERVER, SPAN("a"), &match));
	regex_set_free(&set);
	regex_scratch_free(&scratch);
}

static void
test_find__scratch_serves_any_set(void **state)
{
	(void)state;
	static const char *const none[] = {"a"}, *const many[] = {"(a)()()()()()()()(b)"};
	struct regex_scratch *scratch = regex_scratch_new();
	struct regex_set *sets[] = {new_set(none, 1), new_set(many, 1), regex_set_new()};
	regex_set_build(sets[2]);
	for (int i = 0; i < 9; i++) {
		struct regex_match match;
		bool is_found =
		    regex_set_find(sets[i % 3], scratch, EVENT_COUNTER, SPAN("ab"), &match);
		assert_int_equal(is_found, i % 3 < 2);
		if (i % 3 == 1)
			assert_span_equal(match.captures[9], "b");
	}
	for (int i = 0; i < 3; i++)
		regex_set_free(&sets[i]);
	regex_scratch_free(&scratch);
}

static void
test_find__gives_up_at_the_match_limit(void **state)
{
	(void)state;
	static const char *const patterns[] = {"x", "^(a+)+$", "b$"};
	struct regex_scratch *scratch = regex_scratch_new();
	struct regex_set *set = new_set(patterns, 3);
	char name[201];
	memset(name, 'a', 200);
	name[200] = 'b';
	struct regex_match match;
	uint32_t rule;
	assert_true(regex_set_find(set, scratch, EVENT_COUNTER, SPAN("aaab"), &match));
	assert_int_equal(regex_set_limit_hits(set, 1, &rule), 0);
	for (uint64_t hits = 1; hits <= 3; hits++) {
		assert_true(
		    regex_set_find(set, scratch, EVENT_COUNTER, span_of(name, 201), &match));
		assert_int_equal(match.rule, 2);
		assert_int_equal(regex_set_limit_hits(set, 1, &rule), hits);
		assert_int_equal(rule, 1);
	}
	assert_int_equal(regex_set_limit_hits(set, 0, &rule), 0);
	assert_int_equal(regex_set_limit_hits(set, 2, &rule), 0);
	regex_set_free(&set);
	regex_scratch_free(&scratch);
}

/* Ordinary patterns stay below the limit with the longest names. */
static void
test_find__long_names(void **state)
{
	(void)state;
	static const char *const patterns[] = {"^(.*)\\.(.*)\\.(.*)\\.end$",
					       "^([^.]*)(\\.[^.]*)*\\.end$"};
	static char name[4096];
	memset(name, 'x', sizeof(name));
	for (size_t i = 50; i < sizeof(name); i += 50)
		name[i] = '.';
	memcpy(name + sizeof(name) - 4, ".end", 4);
	struct regex_scratch *scratch = regex_scratch_new();
	for (size_t i = 0; i < 2; i++) {
		struct regex_set *set = new_set(&patterns[i], 1);
		struct regex_match match;
		uint32_t rule;
		assert_true(regex_set_find(set, scratch, EVENT_COUNTER, span_of(name, sizeof(name)),
					   &match));
		assert_int_equal(match.captures[0].len, sizeof(name));
		assert_int_equal(regex_set_find(set, scratch, EVENT_COUNTER,
						span_of(name, sizeof(name) - 1), &match),
				 false);
		assert_int_equal(regex_set_limit_hits(set, 0, &rule), 0);
		regex_set_free(&set);
	}
	regex_scratch_free(&scratch);
}

static void
test_add__refused_with_place(void **state)
{
	(void)state;
	static const struct {
		const char *pattern, *message;
	} table[] = {
	    {"ab(?=c)", "rules.yml:3:10: match: byte 3 of the regex: look-ahead is not supported"},
	    {"\\p{Klingon}", "rules.yml:3:10: match: the regex does not compile: unknown property "
			     "after \\P or \\p"},
	};
	struct regex_set *set = regex_set_new();
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct diag diag = DIAG_INIT;
		assert_false(regex_set_add(set, span_text(table[i].pattern), KINDS_ALL, 0, &diag,
					   place, "match"));
		assert_int_equal(diag.errors, 1);
		assert_string_equal(diag.messages[0].text, table[i].message);
		diag_fini(&diag);
	}
	assert_int_equal(regex_set_count(set), 0);
	regex_set_free(&set);
}

static void
test_word_length(void **state)
{
	(void)state;
	assert_int_equal(regex_word_length(SPAN("")), 0);
	assert_int_equal(regex_word_length(SPAN("a_1-b")), 3);
	assert_int_equal(regex_word_length(SPAN("\xc3\xa9t\xc3\xa9.")), 5);
	assert_int_equal(regex_word_length(SPAN("\xe2\x80\x94")), 0);
	assert_int_equal(regex_word_length(SPAN("1\xd9\xa3 ")), 3);
}

static uint32_t seed = 1;

static uint32_t
below(uint32_t limit)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % limit;
}

static const char *
random_text(char *to, const char *const *pieces, uint32_t choices, uint32_t most)
{
	size_t len = 0;
	for (uint32_t left = below(most + 1); left > 0; left--)
		len += (size_t)sprintf(to + len, "%s", pieces[below(choices)]);
	to[len] = '\0';
	return to;
}

static pcre2_code *
compile_alone(const char *pattern)
{
	struct re2_pattern translated;
	struct re2_error ignored;
	pcre2_code *code = NULL;
	if (re2_translate(span_text(pattern), &translated, &ignored)) {
		int error;
		PCRE2_SIZE offset;
		struct span text = buf_span(&translated.pcre);
		code = pcre2_compile((PCRE2_SPTR)text.ptr, text.len,
				     PCRE2_UTF | PCRE2_DOLLAR_ENDONLY | PCRE2_ALT_CIRCUMFLEX,
				     &error, &offset, NULL);
		assert_non_null(code);
	}
	re2_pattern_fini(&translated);
	return code;
}

static bool
matches_alone(const pcre2_code *code, const char *name)
{
	pcre2_match_data *data = pcre2_match_data_create_from_pattern(code, NULL);
	int groups = pcre2_match(code, (PCRE2_SPTR)name, strlen(name), 0, 0, data, NULL);
	pcre2_match_data_free(data);
	return groups > 0;
}

#define RANDOM_RULES 20

/* Every regex run on every name, without a filter, finds the same first rule. */
static void
check_random_set(void)
{
	static const char *const in_patterns[] = {
	    "a",   "b",       "c",  "\\.", "ab",  "bc.a", "(a|b)", "(",    ")",    "|",
	    "*",   "?",       "+",  "{2}", "{0}", "^",    "$",     "(?i)", "[ab]", ".",
	    "(?:", "\\Qa\\E", ".*", "abc", "^a",  "^ab",  "(^",    "(?i:", "\\b"};
	static const char *const in_names[] = {"a", "b", "c", ".", "ab", "abc", "A", "B"};
	struct diag diag = DIAG_INIT;
	struct regex_scratch *scratch = regex_scratch_new();
	struct regex_set *set = regex_set_new();
	pcre2_code *codes[RANDOM_RULES];
	size_t count = 0;
	while (count < RANDOM_RULES) {
		char text[200];
		random_text(text, in_patterns, sizeof(in_patterns) / sizeof(in_patterns[0]), 6);
		codes[count] = compile_alone(text);
		if (!codes[count])
			continue;
		assert_true(regex_set_add(set, span_text(text), KINDS_ALL, (uint32_t)count, &diag,
					  place, "match"));
		count++;
	}
	regex_set_build(set);
	for (int i = 0; i < 40; i++) {
		char name[100];
		random_text(name, in_names, 8, 8);
		size_t want = 0;
		while (want < count && !matches_alone(codes[want], name))
			want++;
		struct regex_match match = {.rule = RANDOM_RULES};
		bool is_found =
		    regex_set_find(set, scratch, EVENT_COUNTER, span_text(name), &match);
		assert_int_equal(is_found, want < count);
		assert_int_equal(match.rule, want);
	}
	for (size_t i = 0; i < count; i++)
		pcre2_code_free(codes[i]);
	regex_set_free(&set);
	regex_scratch_free(&scratch);
}

static void
test_find__equals_brute_force_on_random_sets(void **state)
{
	(void)state;
	for (int i = 0; i < 150; i++)
		check_random_set();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_find__vectors),
	    cmocka_unit_test(test_find__first_in_order),
	    cmocka_unit_test(test_find__kinds),
	    cmocka_unit_test(test_find__scratch_serves_any_set),
	    cmocka_unit_test(test_find__gives_up_at_the_match_limit),
	    cmocka_unit_test(test_find__long_names),
	    cmocka_unit_test(test_add__refused_with_place),
	    cmocka_unit_test(test_word_length),
	    cmocka_unit_test(test_find__equals_brute_force_on_random_sets),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
