#include "test.h"

#include "base/near.h"

#include <stdint.h>

static void
test_near_distance(void **state)
{
	(void)state;
	static const struct {
		struct span a, b;
		size_t distance;
	} rows[] = {
	    {SPAN(""), SPAN(""), 0},
	    {SPAN(""), SPAN("abc"), 3},
	    {SPAN("match"), SPAN("match"), 0},
	    {SPAN("mtach"), SPAN("match"), 1},
	    {SPAN("mach"), SPAN("match"), 1},
	    {SPAN("mattch"), SPAN("match"), 1},
	    {SPAN("natch"), SPAN("match"), 1},
	    {SPAN("kitten"), SPAN("sitting"), 3},
	    {SPAN("abc"), SPAN("xyz"), 3},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		assert_int_equal(near_distance(rows[i].a, rows[i].b), rows[i].distance);
		assert_int_equal(near_distance(rows[i].b, rows[i].a), rows[i].distance);
	}
	char longest[NEAR_LEN_MAX + 1] = {0};
	assert_int_equal(near_distance(span_of(longest, NEAR_LEN_MAX), SPAN("")), NEAR_LEN_MAX);
	assert_true(near_distance(span_of(longest, NEAR_LEN_MAX + 1), SPAN("")) == SIZE_MAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_near_distance),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
