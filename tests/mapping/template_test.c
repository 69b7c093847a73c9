#include "test.h"

#include "mapping/template.h"

static const struct span xy[] = {SPAN("whole"), SPAN("x"), SPAN("y")};
static const struct span ten[] = {SPAN("whole"), SPAN("c1"), SPAN("c2"), SPAN("c3"),
				  SPAN("c4"),    SPAN("c5"), SPAN("c6"), SPAN("c7"),
				  SPAN("c8"),    SPAN("c9"), SPAN("c10")};
/* Groups of a regex: the second is called "n", the third "1a" and took no part. */
static char name_n[] = "n", name_1a[] = "1a";
static char *const names[] = {NULL, NULL, name_n, name_1a};
static const struct span groups[] = {SPAN("whole"), SPAN("x"), SPAN("y"), {NULL, 0}};

struct vector {
	const char *text, *rendered;
	size_t dead; /* references that never have a value */
};

static void
check(const struct vector *vector, const struct template *template, const struct span *captures)
{
	struct buf got = BUF_INIT;
	template_render(template, captures, &got);
	size_t dead = 0;
	for (size_t i = 0; i < template->count; i++)
		dead += template->parts[i].type == TEMPLATE_DEAD;
	if (strcmp(buf_text(&got), vector->rendered) != 0 || dead != vector->dead)
		fail_msg("\"%s\": got \"%s\" with %zu dead, want \"%s\" with %zu", vector->text,
			 buf_text(&got), dead, vector->rendered, vector->dead);
	buf_fini(&got);
}

static void
check_globs(const struct vector *vectors, size_t count, size_t stars, const struct span *captures)
{
	for (size_t i = 0; i < count; i++) {
		struct template template;
		assert_true(template_parse_glob(span_text(vectors[i].text), stars, &template));
		check(&vectors[i], &template, captures);
		template_fini(&template);
	}
}

static void
test_glob__two_captures(void **state)
{
	(void)state;
	static const struct vector vectors[] = {
	    {"$1", "x", 0},
	    {"${1}", "x", 0},
	    {"$01", "x", 0},
	    {"${1", "x", 0},
	    {"$1}", "x", 0},
	    {"${01}", "x", 0},
	    {"$0000000001", "x", 0},
	    {"${1}_$2", "x_y", 0},
	    {"$1-$2", "x-y", 0},
	    {"$1.$2", "x.y", 0},
	    {"${1}${2}", "xy", 0},
	    {"${2}${1}", "yx", 0},
	    {"$1_$2", "", 1},
	    {"$1$2", "", 1},
	    {"$1_total", "", 1},
	    {"$0", "", 1},
	    {"$3", "", 1},
	    {"$00", "", 1},
	    {"$name", "", 1},
	    {"$$", "", 1},
	    {"$$$", "", 1},
	    {"${$}", "", 1},
	    {"a$1b", "a", 1},
	    {"$1b", "", 1},
	    {"100%", "100%", 0},
	    {"$1%", "x%", 0},
	    {"%s$1%d", "%sx%d", 0},
	    {"$ 1", "$ 1", 0},
	    {"a$", "a$", 0},
	    {"$", "$", 0},
	    {"${", "${", 0},
	    {"${}", "${}", 0},
	    {"${-}", "${-}", 0},
	    {"$-1", "$-1", 0},
	    {"", "", 0},
	    {"plain", "plain", 0},
	    {"$1}}", "x}", 0},
	    {"${{1}", "${{1}", 0},
	    {"{$1}", "{x", 0},
	    {"$1-$10", "x-", 1},
	    {"$10-$1", "-x", 1},
	    {"${10}", "", 1},
	    {"$18446744073709551617", "", 1},
	    {"$4294967297", "", 1},
	    {"$1\xc3\xa9", "x\xc3\xa9", 0},
	    {"\xc3\xa9$2", "\xc3\xa9y", 0},
	};
	check_globs(vectors, sizeof(vectors) / sizeof(vectors[0]), 2, xy);
}

static void
test_glob__ten_captures(void **state)
{
	(void)state;
	static const struct vector vectors[] = {
	    {"$1-$10", "c1-c10", 0},     {"$10-$1", "c10-c1", 0}, {"${1}0", "c10", 0},
	    {"${1}-${10}", "c1-c10", 0}, {"$11", "", 1},
	};
	check_globs(vectors, sizeof(vectors) / sizeof(vectors[0]), 10, ten);
}

static void
test_glob__no_captures(void **state)
{
	(void)state;
	static const struct vector vectors[] = {{"a$1", "a", 1}, {"$0", "", 1}, {"a%", "a%", 0}};
	check_globs(vectors, sizeof(vectors) / sizeof(vectors[0]), 0, xy);
}

static void
test_regex__vectors(void **state)
{
	(void)state;
	static const struct vector vectors[] = {
	    {"$1", "x", 0},
	    {"${1}", "x", 0},
	    {"$0", "whole", 0},
	    {"${0}!", "whole!", 0},
	    {"$n", "y", 0},
	    {"${n}", "y", 0},
	    {"$1$2", "xy", 0},
	    {"$1_x", "", 1},
	    {"${1}_x", "x_x", 0},
	    {"$1%", "x%", 0},
	    {"$1-$n", "x-y", 0},
	    {"$3", "", 0},
	    {"${1a}", "", 0},
	    {"$1a", "", 0},
	    {"$4", "", 1},
	    {"$01", "", 1},
	    {"${00}", "", 1},
	    {"$m", "", 1},
	    {"$$", "$", 0},
	    {"$$1", "$1", 0},
	    {"$$$1", "$x", 0},
	    {"a$$b", "a$b", 0},
	    {"$$$$", "$$", 0},
	    {"$$$", "$$", 0},
	    {"${1", "${1", 0},
	    {"$", "$", 0},
	    {"a$", "a$", 0},
	    {"${", "${", 0},
	    {"${}", "${}", 0},
	    {"${1-}", "${1-}", 0},
	    {"$-", "$-", 0},
	    {"$1}", "x}", 0},
	    {"", "", 0},
	    {"${1$2", "${1y", 0},
	    {"$99999999999", "", 1},
	    {"$n\xc3\xa9", "", 1},
	    {"$1\xe2\x80\x94", "x\xe2\x80\x94", 0},
	    {"${n}\xc3\xa9", "y\xc3\xa9", 0},
	    {"$\xc3\xa9", "", 1},
	    {"$\xe2\x80\x94", "$\xe2\x80\x94", 0},
	};
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		struct template template;
		assert_true(template_parse_regex(span_text(vectors[i].text), 3, names, &template));
		check(&vectors[i], &template, groups);
		template_fini(&template);
	}
}

static void
test_is_always_empty(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		bool is_empty;
	} table[] = {{"", true},    {"$1_total", true}, {"$3$9", true}, {"$3-", false},
		     {"$1", false}, {"a", false},       {"$", false}};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct template template;
		assert_true(template_parse_glob(span_text(table[i].text), 2, &template));
		assert_int_equal(template_is_always_empty(&template), table[i].is_empty);
		template_fini(&template);
	}
}

static void
test_parse__too_many_references(void **state)
{
	(void)state;
	static char text[3 * (TEMPLATE_REFERENCES_MAX + 1)];
	for (size_t i = 0; i < sizeof(text); i += 3)
		memcpy(text + i, "$1-", 3);
	struct span most = span_of(text, sizeof(text) - 3), more = span_of(text, sizeof(text));
	struct template template;
	assert_true(template_parse_glob(most, 1, &template));
	template_fini(&template);
	assert_false(template_parse_glob(more, 1, &template));
	template_fini(&template);
	assert_true(template_parse_regex(most, 3, names, &template));
	template_fini(&template);
	assert_false(template_parse_regex(more, 3, names, &template));
	template_fini(&template);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_glob__two_captures),
	    cmocka_unit_test(test_glob__ten_captures),
	    cmocka_unit_test(test_glob__no_captures),
	    cmocka_unit_test(test_regex__vectors),
	    cmocka_unit_test(test_is_always_empty),
	    cmocka_unit_test(test_parse__too_many_references),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
