#include "test.h"

#include "mapping/re2.h"

/* What RE2 refuses, with the place of the fault. */
static const struct {
	struct span pattern;
	size_t position;
	const char *reason;
} refused[] = {
    {SPAN("a(?=b)"), 1, "look-ahead is not supported"},
    {SPAN("a(?!b)"), 1, "look-ahead is not supported"},
    {SPAN("(?*b)"), 0, "look-ahead is not supported"},
    {SPAN("ab(?<=b)"), 2, "look-behind is not supported"},
    {SPAN("ab(?<!b)"), 2, "look-behind is not supported"},
    {SPAN("(?<*b)"), 0, "look-behind is not supported"},
    {SPAN("(a)\\1"), 3, "back-references are not supported"},
    {SPAN("\\8"), 0, "back-references are not supported"},
    {SPAN("(?P<n>a)(?P=n)"), 8, "back-references are not supported"},
    {SPAN("(?P<n>a)\\k<n>"), 8, "back-references are not supported"},
    {SPAN("(a)\\g1"), 3, "back-references and recursion are not supported"},
    {SPAN("(a)\\g{-1}"), 3, "back-references and recursion are not supported"},
    {SPAN("x(?>a)"), 1, "atomic groups are not supported"},
    {SPAN("a++"), 2, "possessive repetition is not supported"},
    {SPAN("a*+"), 2, "possessive repetition is not supported"},
    {SPAN("a?+"), 2, "possessive repetition is not supported"},
    {SPAN("a{2}+"), 4, "possessive repetition is not supported"},
    {SPAN("a**"), 2, "repetition of a repetition"},
    {SPAN("a+?*"), 3, "repetition of a repetition"},
    {SPAN("a{2}{3}"), 4, "repetition of a repetition"},
    {SPAN("a(?R)?"), 1, "recursion is not supported"},
    {SPAN("(a)(?1)"), 3, "recursion is not supported"},
    {SPAN("(a)(?-1)"), 3, "recursion is not supported"},
    {SPAN("(a)(?+1)"), 3, "recursion is not supported"},
    {SPAN("(?P<n>a)(?P>n)"), 8, "recursion is not supported"},
    {SPAN("(?P<n>a)(?&n)"), 8, "recursion is not supported"},
    {SPAN("(a)?(?(1)b|c)"), 4, "conditionals are not supported"},
    {SPAN("a(?C)"), 1, "callouts are not supported"},
    {SPAN("a(?C12)"), 1, "callouts are not supported"},
    {SPAN("a(?#x)"), 1, "comments are not supported"},
    {SPAN("(?|a)"), 0, "branch reset groups are not supported"},
    {SPAN("(*UTF)a"), 0, "verbs are not supported"},
    {SPAN("a(*FAIL)"), 1, "verbs are not supported"},
    {SPAN("(*pla:a)"), 0, "verbs are not supported"},
    {SPAN("(?'n'a)"), 0, "group names are written (?P<name>...)"},
    {SPAN("a\\Kb"), 1, "\\G, \\K, \\R, \\X and \\C are not supported"},
    {SPAN("\\Ga"), 0, "\\G, \\K, \\R, \\X and \\C are not supported"},
    {SPAN("a\\R"), 1, "\\G, \\K, \\R, \\X and \\C are not supported"},
    {SPAN("a\\X"), 1, "\\G, \\K, \\R, \\X and \\C are not supported"},
    {SPAN("a\\C"), 1, "\\G, \\K, \\R, \\X and \\C are not supported"},
    {SPAN("a\\Z"), 1, "\\Z is not supported; write \\z or $"},
    {SPAN("\\e"), 0, "unknown escape"},
    {SPAN("\\cA"), 0, "unknown escape"},
    {SPAN("\\h"), 0, "unknown escape"},
    {SPAN("\\N"), 0, "unknown escape"},
    {SPAN("\\o{101}"), 0, "unknown escape"},
    {SPAN("a\\E"), 1, "unknown escape"},
    {SPAN("\\\xc3\xa9"), 0, "unknown escape"},
    {SPAN("ab\\"), 2, "the pattern ends in a backslash"},
    {SPAN("\\x4"), 0, "invalid \\x escape"},
    {SPAN("\\x"), 0, "invalid \\x escape"},
    {SPAN("\\x{}"), 0, "invalid \\x escape"},
    {SPAN("\\x{41"), 0, "invalid \\x escape"},
    {SPAN("\\x{110000}"), 0, "invalid \\x escape"},
    {SPAN("\\x{100000000000041}"), 0, "invalid \\x escape"},
    {SPAN("a\\p"), 1, "unknown Unicode property"},
    {SPAN("\\p{}"), 0, "unknown Unicode property"},
    {SPAN("\\p{^}"), 0, "unknown Unicode property"},
    {SPAN("\\p{L&}"), 0, "unknown Unicode property"},
    {SPAN("\\pJ"), 0, "unknown Unicode property"},
    {SPAN("\\p{Gr"), 0, "missing } of a Unicode property"},
    {SPAN("a[b"), 1, "missing ] of this class"},
    {SPAN("[]"), 0, "missing ] of this class"},
    {SPAN("[^]"), 0, "missing ] of this class"},
    {SPAN("[a-"), 0, "missing ] of this class"},
    {SPAN("[a\\]"), 0, "missing ] of this class"},
    {SPAN("[a\\"), 2, "the pattern ends in a backslash"},
    {SPAN("[xz-a]"), 2, "a range in a class runs backwards"},
    {SPAN("[a-\\d]"), 3, "unknown escape"},
    {SPAN("[\\b]"), 1, "unknown escape"},
    {SPAN("[\\Qa\\E]"), 1, "unknown escape"},
    {SPAN("[\\1]"), 1, "back-references are not supported"},
    {SPAN("[[:foo:]]"), 1, "unknown character class"},
    {SPAN("a(b"), 1, "missing ) of this group"},
    {SPAN("((a)"), 0, "missing ) of this group"},
    {SPAN("a)"), 1, "this ) closes no group"},
    {SPAN("*a"), 0, "nothing to repeat"},
    {SPAN("a|*"), 2, "nothing to repeat"},
    {SPAN("(+)"), 1, "nothing to repeat"},
    {SPAN("{2}"), 0, "nothing to repeat"},
    {SPAN("a(?i)*"), 5, "nothing to repeat"},
    {SPAN("a{1001}"), 1, "invalid repetition count"},
    {SPAN("a{0,1001}"), 1, "invalid repetition count"},
    {SPAN("a{99999999999999999999}"), 1, "invalid repetition count"},
    {SPAN("a{3,2}"), 1, "invalid repetition count"},
    {SPAN("(a{40}){40}"), 7, "nested repetition counts multiply to more than 1000"},
    {SPAN("((a{40})b){2,26}"), 10, "nested repetition counts multiply to more than 1000"},
    {SPAN("(?P<>a)"), 0, "invalid group name"},
    {SPAN("(?P<n-m>a)"), 0, "invalid group name"},
    {SPAN("(?P<n"), 0, "invalid group name"},
    {SPAN("(?P<n>a)(?<n>b)"), 8, "two groups have the same name"},
    {SPAN("(?x)a"), 0, "unknown or incomplete group flags"},
    {SPAN("(?i"), 0, "unknown or incomplete group flags"},
    {SPAN("(?-)"), 0, "unknown or incomplete group flags"},
    {SPAN("(?i-)"), 0, "unknown or incomplete group flags"},
    {SPAN("(?i-s-m)"), 0, "unknown or incomplete group flags"},
    {SPAN("(?^)"), 0, "unknown or incomplete group flags"},
    {SPAN("(?J)"), 0, "unknown or incomplete group flags"},
    {SPAN("(?\0)"), 0, "unknown or incomplete group flags"},
    {SPAN("(?"), 0, "unknown or incomplete group flags"},
    {SPAN("ab\xff"), 2, "invalid UTF-8"},
    {SPAN("\xc3\xa9\xed\xa0\x80"), 2, "invalid UTF-8"},
};

static void
test_translate__refuses_with_place(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		struct re2_pattern pattern;
		struct re2_error error = {0};
		if (re2_translate(refused[i].pattern, &pattern, &error))
			fail_msg("accepted %.*s", SPAN_ARGS(refused[i].pattern));
		if (error.position != refused[i].position ||
		    strcmp(error.reason, refused[i].reason) != 0)
			fail_msg("%.*s: got \"%s\" at %zu", SPAN_ARGS(refused[i].pattern),
				 error.reason, error.position);
		re2_pattern_fini(&pattern);
	}
}

static const struct {
	const char *pattern, *pcre;
} translated[] = {
    {"", ""},
    {"ab_1", "ab_1"},
    {"a.b", "a.b"},
    {"a\\.b", "a\\x{2e}b"},
    {"a|b", "a|b"},
    {"(a)(?:b)", "(a)(?:b)"},
    {"(?P<n>a)(?<m>b)", "(a)(b)"},
    {"(?i)a(?-i:b)(?s-mU)", "(?i)a(?-i:b)(?s-mU)"},
    {"(?ii-i)", "(?-i)"},
    {"(?)(?-s)", "(?)(?-s)"},
    {"^a$", "^a$"},
    {"^*a", "(?:^)*a"},
    {"a\\b{2}", "a(?:\\b){2}"},
    {"$??", "(?:$)??"},
    {"\\Aa\\z\\B", "\\Aa\\z\\B"},
    {"a{2,3}?b{2,}c{0}", "a{2,3}?b{2,}c{0}"},
    {"a{,5}", "a\\x{7b}\\x{2c}5\\x{7d}"},
    {"a{02}", "a\\x{7b}02\\x{7d}"},
    {"a{1,02}", "a\\x{7b}1\\x{2c}02\\x{7d}"},
    {"a{2", "a\\x{7b}2"},
    {"a{", "a\\x{7b}"},
    {"]}", "\\x{5d}\\x{7d}"},
    {"\\Qa.b\\E*", "a\\x{2e}b*"},
    {"\\Q(a", "\\x{28}a"},
    {"\\Q\\E", ""},
    {"\\x41\\x{61}\\101\\07\\0\\12", "Aa"
				     "A"
				     "\\x{7}\\x{0}\\x{a}"},
    {"\\1234", "S4"},
    {"\\a\\f\\n\\r\\t\\v", "\\x{7}\\x{c}\\x{a}\\x{d}\\x{9}\\x{b}"},
    {"\\_\\-\\/\\ ", "_\\x{2d}\\x{2f}\\x{20}"},
    {"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", "\\x{e9}\\x{20ac}\\x{1f600}"},
    {"\\d\\D\\w\\W", "\\d\\D\\w\\W"},
    {"\\s\\S", "[\\t\\n\\f\\r\\x{20}][^\\t\\n\\f\\r\\x{20}]"},
    {"[\\s-x\\S]", "[\\t\\n\\f\\r\\x{20}\\x{2d}x\\S\\x{b}]"},
    {"[^a-c.]", "[^a-c\\x{2e}]"},
    {"[]a]", "[\\x{5d}a]"},
    {"[^]a]", "[^\\x{5d}a]"},
    {"[]-a]", "[\\x{5d}-a]"},
    {"[a-]", "[a\\x{2d}]"},
    {"[--a]", "[\\x{2d}-a]"},
    {"[[:alpha:][:^digit:]x]", "[[:alpha:][:^digit:]x]"},
    {"[[:a]", "[\\x{5b}\\x{3a}a]"},
    {"[[.a.]]", "[\\x{5b}\\x{2e}a\\x{2e}]\\x{5d}"},
    {"[\\x41-\\x{43}\\101\\n]", "[A-CA\\x{a}]"},
    {"[\\w\\pL]", "[\\w\\p{L}]"},
    {"\\pN\\p{Greek}\\P{^Lu}\\p{^Nd}\\p{Any}", "\\p{N}\\p{sc:Greek}\\p{Lu}\\P{Nd}\\p{Any}"},
    {"(?i)\\p{Lu}\\P{Ll}\\p{N}", "(?i)\\p{L&}\\P{L&}\\p{N}"},
    {"#a b", "\\x{23}a\\x{20}b"},
    {"(|a)()", "(|a)()"},
    {"(a{31}){32}", "(a{31}){32}"},
};

static void
test_translate__writes_pcre2(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(translated) / sizeof(translated[0]); i++) {
		struct re2_pattern pattern;
		struct re2_error error = {0};
		if (!re2_translate(span_text(translated[i].pattern), &pattern, &error))
			fail_msg("%s: %s at %zu", translated[i].pattern, error.reason,
				 error.position);
		assert_span_equal(buf_span(&pattern.pcre), translated[i].pcre);
		re2_pattern_fini(&pattern);
	}
}

/* '^' in front: where the name starts; texts separated by spaces. */
static const struct {
	const char *pattern, *literals;
} required[] = {
    {"", ""},
    {"abc", "abc"},
    {"^abc", "^abc"},
    {"\\Aabc", "^abc"},
    {"^(abc)d", "^abcd"},
    {"(^abc)d", "^abcd"},
    {"^(?:)abc", "^abc"},
    {"(?m)^abc", "abc"},
    {"(?i)abc", ""},
    {"(?i)a.1.2", "1 2"},
    {"(?i)a(?-i)bc", "bc"},
    {"(?i:a)bc", "bc"},
    {"^(?i)k\\.(?-i)x", ".x"},
    {"ab?c", "a c"},
    {"ab*c", "a c"},
    {"ab{0,2}c", "a c"},
    {"ab{0}c", "a c"},
    {"ab+c", "ab c"},
    {"ab{2}c", "ab c"},
    {"^ab?c", "^a c"},
    {"^a?bc", "bc"},
    {"^*abc", "abc"},
    {"^?abc", "abc"},
    {"ab.cd", "ab cd"},
    {"ab\\bcd$ef", "abcdef"},
    {"ab[x]cd\\d\\pLe", "ab cd e"},
    {"a|b", ""},
    {"^a|b", ""},
    {"x(a|b)y", "x y"},
    {"^x(a|b)y", "^x y"},
    {"^(a|b)y", "y"},
    {"x(ab)?y", "x y"},
    {"x(ab)*y", "x y"},
    {"x(ab)+y", "xab y"},
    {"x(ab){2}y", "xab y"},
    {"x(a(b|c)d)y", "xa dy"},
    {"x(a(bc)?d)y", "xa dy"},
    {"x(a(bc)d|e)y", "x y"},
    {"(ab|)cd", "cd"},
    {"(?:^a|b)cd", "cd"},
    {"(?:^a)?cd", "cd"},
    {"(^a|^b)cd", "cd"},
    {"a\xc3\xa9"
     "b",
     "a b"},
    {"\\Qa.b\\Ec", "a.bc"},
    {"\\x61\\x{62}\\143", "abc"},
    {"^k\\d+\\.(?P<verb>[a-z]+)\\.(.*)\\.re1$", "^k . . .re1"},
    {"(api|web)\\..*?(\\d+)?\\.re0", ". .re0"},
    {"a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q.r", "a b c d e f g h i j k l m n o p"},
};

static void
test_translate__collects_literals(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(required) / sizeof(required[0]); i++) {
		struct re2_pattern pattern;
		struct re2_error error;
		assert_true(re2_translate(span_text(required[i].pattern), &pattern, &error));
		struct buf got = BUF_INIT;
		buf_add_text(&got, pattern.starts_with_literal ? "^" : "");
		for (size_t k = 0; k < pattern.literal_count; k++) {
			buf_add_text(&got, k ? " " : "");
			buf_add_span(&got, re2_literal_text(&pattern, k));
		}
		if (strcmp(buf_text(&got), required[i].literals) != 0)
			fail_msg("%s: got \"%s\"", required[i].pattern, buf_text(&got));
		buf_fini(&got);
		re2_pattern_fini(&pattern);
	}
}

static void
test_translate__keeps_group_names(void **state)
{
	(void)state;
	struct re2_pattern pattern;
	struct re2_error error;
	assert_true(re2_translate(SPAN("(a)(?:b)(?P<n>c)(?<1a>(d))"), &pattern, &error));
	assert_int_equal(pattern.group_count, 4);
	assert_null(pattern.group_names[0]);
	assert_null(pattern.group_names[1]);
	assert_string_equal(pattern.group_names[2], "n");
	assert_string_equal(pattern.group_names[3], "1a");
	assert_null(pattern.group_names[4]);
	re2_pattern_fini(&pattern);
}

static void
test_translate__nesting_limit(void **state)
{
	(void)state;
	static char text[2 * RE2_NESTING_MAX + 2];
	memset(text, '(', RE2_NESTING_MAX + 1);
	memset(text + RE2_NESTING_MAX + 1, ')', RE2_NESTING_MAX + 1);
	struct re2_pattern pattern;
	struct re2_error error;
	assert_false(re2_translate(span_of(text, sizeof(text)), &pattern, &error));
	assert_int_equal(error.position, RE2_NESTING_MAX);
	assert_string_equal(error.reason, "groups are nested too deeply");
	re2_pattern_fini(&pattern);
	assert_true(re2_translate(span_of(text + 1, sizeof(text) - 2), &pattern, &error));
	re2_pattern_fini(&pattern);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_translate__refuses_with_place),
	    cmocka_unit_test(test_translate__writes_pcre2),
	    cmocka_unit_test(test_translate__collects_literals),
	    cmocka_unit_test(test_translate__keeps_group_names),
	    cmocka_unit_test(test_translate__nesting_limit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
