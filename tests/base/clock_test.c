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

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_fake__freezes_both_clocks),
	    cmocka_unit_test(test_real__follows_the_system),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
