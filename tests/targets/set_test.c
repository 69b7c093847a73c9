#include "test.h"

#include "base/alloc.h"
#include "targets/make.h"

#include <stdlib.h>

#define MINUTE_US INT64_C(60000000)

static void
test_names__table(void **state)
{
	(void)state;
	static const struct {
		struct span name;
		bool is_legal;
	} cases[] = {
	    {SPAN("a"), true},
	    {SPAN("0"), true},
	    {SPAN("circuit-6ba7b810-9dad-11d1-80b4-00c04fd430c8"), true},
	    {SPAN("AZaz09._:@~-"), true},
	    {SPAN("..."), true},
	    {SPAN(""), false},
	    {SPAN("."), false},
	    {SPAN(".."), false},
	    {SPAN("a/b"), false},
	    {SPAN("a b"), false},
	    {SPAN("a\0b"), false},
	    {SPAN("a\""), false},
	    {SPAN("a\\"), false},
	    {SPAN("a%"), false},
	    {SPAN("\xc3\xbc"), false},
	    {SPAN("\xff"), false},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (group_name_is_legal(cases[i].name) != cases[i].is_legal)
			fail_msg("%.*s", SPAN_ARGS(cases[i].name));
	}
	char name[GROUP_NAME_BYTES_MAX + 1];
	memset(name, 'x', sizeof(name));
	assert_true(group_name_is_legal(span_of(name, GROUP_NAME_BYTES_MAX)));
	assert_false(group_name_is_legal(span_of(name, GROUP_NAME_BYTES_MAX + 1)));
}

/* The names in the set, in its order. */
static void
assert_names(const struct target_set *set, const char *want)
{
	struct buf got = BUF_INIT;
	uint64_t targets = 0;
	for (size_t i = 0; i < set->count; i++) {
		const struct target_group *group = set->groups[i];
		buf_printf(&got, "%s%s", i ? " " : "", group->name);
		targets += group->document.targets;
		assert_ptr_equal(target_set_find(set, span_text(group->name)), group);
	}
	assert_string_equal(buf_text(&got), want);
	assert_int_equal(set->targets, targets);
	buf_fini(&got);
}

static void
test_set__in_order_of_names(void **state)
{
	(void)state;
	struct target_set *set = target_set_new();
	static const char *const names[] = {"m", "c", "z", "a", "ma", "B", "m-"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_int_equal(put(set, names[i], "o", 0, "a:1"), SET_ADDED);
	assert_names(set, "B a c m m- ma z");
	assert_null(target_set_find(set, SPAN("b")));
	assert_null(target_set_find(set, SPAN("zz")));
	assert_null(target_set_find(set, SPAN("")));
	assert_true(target_set_remove(set, SPAN("B")));
	assert_true(target_set_remove(set, SPAN("z")));
	assert_true(target_set_remove(set, SPAN("m")));
	assert_false(target_set_remove(set, SPAN("m")));
	assert_names(set, "a c m- ma");
	target_set_unref(&set);
	assert_null(set);
}

static void
test_set__replacing(void **state)
{
	(void)state;
	struct target_set *set = target_set_new();
	assert_int_equal(put(set, "a", "first", MINUTE_US, "a:1 a:2 a:3"), SET_ADDED);
	uint64_t bytes = set->bytes;
	assert_int_equal(put(set, "a", "other", 0, "b:1"), SET_REPLACED);
	assert_names(set, "a");
	assert_int_equal(set->targets, 1);
	assert_true(set->bytes < bytes);
	const struct target_group *group = target_set_find(set, SPAN("a"));
	assert_string_equal(group->owner, "other");
	assert_string_equal(group->document.text, "{\"targets\":[\"b:1\"]}");
	assert_int_equal(group->expires.us, INT64_MAX);
	assert_int_equal(target_set_expire(set, (struct mono){INT64_MAX - 1}), 0);
	assert_true(target_set_remove(set, SPAN("a")));
	assert_int_equal(set->targets, 0);
	assert_int_equal(set->bytes, 0);
	target_set_unref(&set);
}

static void
test_set__copies_are_apart(void **state)
{
	(void)state;
	struct target_set *set = target_set_new();
	assert_int_equal(put(set, "a", "o", 0, "a:1"), SET_ADDED);
	assert_int_equal(put(set, "b", "o", 0, "b:1"), SET_ADDED);
	struct target_set *copy = target_set_copy(set), *held = target_set_ref(set);
	assert_int_equal(put(copy, "a", "o", 0, "a:2"), SET_REPLACED);
	assert_true(target_set_remove(copy, SPAN("b")));
	assert_int_equal(put(copy, "c", "o", 0, "c:1"), SET_ADDED);
	assert_names(set, "a b");
	assert_names(copy, "a c");
	target_set_unref(&set);
	assert_names(held, "a b");
	target_set_unref(&held);
	assert_string_equal(target_set_find(copy, SPAN("a"))->document.text,
			    "{\"targets\":[\"a:2\"]}");
	target_set_unref(&copy);
}

static void
test_set__expiry(void **state)
{
	(void)state;
	clock_fake(1000 * MINUTE_US);
	struct target_set *set = target_set_new();
	assert_int_equal(set->next_expiry.us, INT64_MAX);
	assert_int_equal(put(set, "forever", "o", 0, "a:1"), SET_ADDED);
	assert_int_equal(put(set, "late", "o", 3 * MINUTE_US, "a:1"), SET_ADDED);
	assert_int_equal(put(set, "soon", "o", MINUTE_US, "a:1"), SET_ADDED);
	assert_int_equal(put(set, "renewed", "o", MINUTE_US, "a:1"), SET_ADDED);
	assert_int_equal(set->next_expiry.us, 1001 * MINUTE_US);
	clock_fake(1001 * MINUTE_US - 1);
	assert_int_equal(target_set_expire(set, clock_mono()), 0);
	assert_int_equal(put(set, "renewed", "o", MINUTE_US, "a:1"), SET_REPLACED);
	clock_fake(1001 * MINUTE_US);
	struct target_set *copy = target_set_copy(set);
	assert_int_equal(target_set_expire(set, clock_mono()), 1);
	assert_names(set, "forever late renewed");
	assert_int_equal(set->next_expiry.us, 1002 * MINUTE_US - 1);
	/* The one that has expired in the other set is not counted again. */
	assert_int_equal(target_set_expire(copy, (struct mono){1003 * MINUTE_US}), 2);
	assert_names(copy, "forever");
	assert_int_equal(copy->next_expiry.us, INT64_MAX);
	assert_int_equal(target_set_expire(copy, (struct mono){2000 * MINUTE_US}), 0);
	target_set_unref(&set);
	target_set_unref(&copy);
	clock_fake(-1);
}

static void
test_limit__groups(void **state)
{
	(void)state;
	struct target_set *set = target_set_new();
	char name[32];
	for (unsigned i = 0; i < SET_GROUPS_MAX; i++) {
		snprintf(name, sizeof(name), "g%u", i);
		assert_int_equal(put(set, name, "o", 0, ""), SET_ADDED);
	}
	assert_int_equal(put(set, "more", "o", 0, ""), SET_TOO_MANY_GROUPS);
	assert_int_equal(set->count, SET_GROUPS_MAX);
	assert_int_equal(put(set, "g0", "o", 0, "a:1"), SET_REPLACED);
	assert_true(target_set_remove(set, SPAN("g1")));
	assert_int_equal(put(set, "more", "o", 0, ""), SET_ADDED);
	target_set_unref(&set);
}

static void
test_limit__targets(void **state)
{
	(void)state;
	struct target_set *set = target_set_new();
	struct buf many = BUF_INIT;
	for (int i = 0; i < DOCUMENT_TARGETS_MAX; i++)
		buf_add_text(&many, "a ");
	char name[32];
	unsigned groups = SET_TARGETS_MAX / DOCUMENT_TARGETS_MAX;
	for (unsigned i = 0; i < groups; i++) {
		snprintf(name, sizeof(name), "g%u", i);
		assert_int_equal(put(set, name, "o", 0, buf_text(&many)), SET_ADDED);
	}
	assert_int_equal(put(set, "more", "o", 0, "a"), SET_TOO_MANY_TARGETS);
	assert_int_equal(put(set, "more", "o", 0, ""), SET_ADDED);
	assert_int_equal(put(set, "more", "o", 0, "a"), SET_TOO_MANY_TARGETS);
	assert_int_equal(put(set, "g0", "o", 0, buf_text(&many)), SET_REPLACED);
	assert_int_equal(put(set, "g0", "o", 0, ""), SET_REPLACED);
	assert_int_equal(put(set, "more", "o", 0, buf_text(&many)), SET_REPLACED);
	assert_int_equal(set->targets, SET_TARGETS_MAX);
	target_set_unref(&set);
	buf_fini(&many);
}

static void
test_limit__bytes(void **state)
{
	(void)state;
	struct target_set *set = target_set_new();
	struct buf large = BUF_INIT;
	while (large.len < DOCUMENT_BYTES_MAX - 10000)
		buf_printf(&large, "%0500d ", 1);
	char name[32];
	unsigned groups = 0;
	enum set_outcome outcome;
	do {
		snprintf(name, sizeof(name), "g%u", groups++);
		outcome = put(set, name, "o", 0, buf_text(&large));
	} while (outcome == SET_ADDED && groups < 100);
	assert_int_equal(outcome, SET_TOO_MANY_BYTES);
	assert_int_equal(groups, SET_BYTES_MAX / DOCUMENT_BYTES_MAX + 1);
	assert_true(set->bytes <= SET_BYTES_MAX && set->count == groups - 1);
	assert_int_equal(put(set, "g0", "o", 0, buf_text(&large)), SET_REPLACED);
	target_set_unref(&set);
	buf_fini(&large);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_names__table),   cmocka_unit_test(test_set__in_order_of_names),
	    cmocka_unit_test(test_set__replacing), cmocka_unit_test(test_set__copies_are_apart),
	    cmocka_unit_test(test_set__expiry),    cmocka_unit_test(test_limit__groups),
	    cmocka_unit_test(test_limit__targets), cmocka_unit_test(test_limit__bytes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
