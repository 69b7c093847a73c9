#include "test.h"

#include "metrics/native_message.h"

static void
test_native_message__chooses_exemplars(void **state)
{
	(void)state;
	static const struct {
		int64_t times[14]; /* of buckets; 0 = no exemplar */
		int64_t from_ms, until_ms;
		size_t count;
		int chosen[NATIVE_MESSAGE_EXEMPLARS_MAX]; /* buckets */
	} table[] = {
	    {{0}, 0, 100, 0, {0}},
	    {{3, 1, 2}, 0, 100, 3, {1, 2, 0}},
	    {{3, 1, 0, 2}, 2, 100, 2, {3, 0}},
	    {{3, 1, 2}, 0, 3, 2, {1, 2}},
	    {{5, 5, 4, 5}, 0, 100, 4, {2, 0, 1, 3}},
	    {{14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1},
	     0,
	     100,
	     10,
	     {9, 8, 7, 6, 5, 4, 3, 2, 1, 0}},
	    {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14},
	     0,
	     100,
	     10,
	     {4, 5, 6, 7, 8, 9, 10, 11, 12, 13}},
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const struct exemplar_view *chosen[NATIVE_MESSAGE_EXEMPLARS_MAX];
		struct exemplar_view all[14];
		for (size_t b = 0; b < 14; b++)
			all[b] = (struct exemplar_view){
			    .labels = table[i].times[b] ? SPAN("id=\"x\"") : SPAN(""),
			    .time_ms = table[i].times[b]};
		struct series_view series = {.bound_count = 13, .exemplars = all};
		size_t count =
		    native_message_exemplars(&series, table[i].from_ms, table[i].until_ms, chosen);
		assert_int_equal(count, table[i].count);
		for (size_t c = 0; c < count; c++) {
			if (chosen[c] != &all[table[i].chosen[c]])
				fail_msg("row %zu, exemplar %zu", i, c);
		}
		series.exemplars = NULL;
		assert_int_equal(native_message_exemplars(&series, 0, 100, chosen), 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_native_message__chooses_exemplars),
	};
	return cmocka_run_group_tests_name("metrics/native_message", tests, NULL, NULL);
}
