#include "test.h"

#include "base/clock.h"

#include <time.h>

static void
test_fake__freezes_both_clocks(void **state)
{
	(void)state;
	static const int64_t table[] = {0, 1, 1234567, INT64_MAX};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		clock_fake(table[i]);
		assert_int_equal(clock_mono().us, table[i]);
		assert_int_equal(clock_wall().us, table[i]);
	}
	clock_fake(-1);
}

static void
test_real__follows_the_system(void **state)
{
	(void)state;
	clock_fake(5);
	clock_fake(-1);
	int64_t before = (int64_t)time(NULL) * 1000000;
	struct wall wall = clock_wall();
	struct mono first = clock_mono(), second = clock_mono();
	assert_true(wall.us >= before - 1000000); /* time() may read a coarser clock */
	assert_true(first.us > 0 && second.us >= first.us);
}

static void
test_format__table(void **state)
{
	(void)state;
	static const struct {
		int64_t us;
		const char *want;
	} cases[] = {
	    {0, "1970-01-01T00:00:00.000Z"},
	    {1700000000 * INT64_C(1000000) + 7999, "2023-11-14T22:13:20.007Z"},
	    {1709251199 * INT64_C(1000000) + 999999, "2024-02-29T23:59:59.999Z"},
	    {INT64_C(100000000000000000), "5138-11-16T09:46:40.000Z"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[WALL_TEXT_SIZE];
		wall_format((struct wall){cases[i].us}, text);
		assert_string_equal(text, cases[i].want);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_fake__freezes_both_clocks),
	    cmocka_unit_test(test_format__table),
	    cmocka_unit_test(test_real__follows_the_system),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
