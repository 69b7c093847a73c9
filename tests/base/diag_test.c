#include "test.h"

#include "base/diag.h"

static void
test_add__places_and_keys(void **state)
{
	(void)state;
	struct diag diag = DIAG_INIT;
	struct diag_place whole = {"m.yml", 0, 0}, at = {"m.yml", 3, 7};
	diag_error(&diag, whole, NULL, "cannot be read");
	diag_warn(&diag, at, "mappings[0].ttl", "%s is %d", "that", 5);
	diag_error(&diag, at, NULL, "plain");
	assert_int_equal(diag.count, 3);
	assert_int_equal(diag.errors, 2);
	assert_string_equal(diag.messages[0].text, "m.yml: cannot be read");
	assert_true(diag.messages[0].is_error);
	assert_string_equal(diag.messages[1].text, "m.yml:3:7: mappings[0].ttl: that is 5");
	assert_false(diag.messages[1].is_error);
	assert_string_equal(diag.messages[2].text, "m.yml:3:7: plain");
	diag_fini(&diag);
	assert_int_equal(diag.count, 0);
	assert_int_equal(diag.errors, 0);
}

static void
test_add__long_reason_is_whole(void **state)
{
	(void)state;
	char name[5001];
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	struct diag diag = DIAG_INIT;
	diag_error(&diag, (struct diag_place){"f", 0, 0}, NULL, "%s!", name);
	assert_int_equal(strlen(diag.messages[0].text), strlen("f: ") + 5001);
	assert_string_equal(diag.messages[0].text + strlen("f: ") + 4999, "n!");
	diag_fini(&diag);
}

static void
test_add__says_what_is_left_out(void **state)
{
	(void)state;
	struct diag diag = DIAG_INIT;
	for (int i = 0; i < DIAG_MAX + 50; i++)
		diag_error(&diag, (struct diag_place){"f", 1, 1}, NULL, "%d", i);
	assert_int_equal(diag.count, DIAG_MAX + 1);
	assert_int_equal(diag.errors, DIAG_MAX + 50);
	assert_string_equal(diag.messages[DIAG_MAX - 1].text, "f:1:1: 99");
	assert_string_equal(diag.messages[DIAG_MAX].text, "f: more errors are left out");
	diag_fini(&diag);
}

/* Many warnings about one file must not hide the error in another. */
static void
test_add__warnings_do_not_crowd_out_errors(void **state)
{
	(void)state;
	struct diag diag = DIAG_INIT;
	for (int i = 0; i < DIAG_MAX + 50; i++)
		diag_warn(&diag, (struct diag_place){"f", 1, 1}, NULL, "%d", i);
	diag_error(&diag, (struct diag_place){"g", 2, 3}, NULL, "wrong");
	assert_int_equal(diag.count, DIAG_MAX + 2);
	assert_int_equal(diag.warnings, DIAG_MAX + 50);
	assert_int_equal(diag.errors, 1);
	assert_string_equal(diag.messages[DIAG_MAX].text, "f: more warnings are left out");
	assert_false(diag.messages[DIAG_MAX].is_error);
	assert_string_equal(diag.messages[DIAG_MAX + 1].text, "g:2:3: wrong");
	assert_true(diag.messages[DIAG_MAX + 1].is_error);
	diag_fini(&diag);
	assert_int_equal(diag.warnings, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_add__places_and_keys),
	    cmocka_unit_test(test_add__long_reason_is_whole),
	    cmocka_unit_test(test_add__says_what_is_left_out),
	    cmocka_unit_test(test_add__warnings_do_not_crowd_out_errors),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
