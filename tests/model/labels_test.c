#include "test.h"

#include "model/labels.h"

#include <stdio.h>

static void
set(struct labels *labels, const char *name, const char *value)
{
	assert_true(labels_set(labels, span_text(name), span_text(value)));
}

static void
test_set__keeps_order_and_replaces(void **state)
{
	(void)state;
	static const char *const sorted[] = {"A", "_", "a", "a1", "a10", "a2", "b"};
	static const int orders[][7] = {
	    {0, 1, 2, 3, 4, 5, 6}, {6, 5, 4, 3, 2, 1, 0}, {3, 0, 6, 1, 5, 2, 4}};
	for (size_t i = 0; i < 3; i++) {
		struct labels labels = {0};
		for (size_t n = 0; n < 7; n++)
			set(&labels, sorted[orders[i][n]], "old");
		for (size_t n = 0; n < 7; n++)
			set(&labels, sorted[orders[i][n]], sorted[orders[i][n]]);
		assert_int_equal(labels.count, 7);
		for (size_t n = 0; n < 7; n++) {
			assert_span_equal(labels.item[n].name, sorted[n]);
			assert_span_equal(labels.item[n].value, sorted[n]);
		}
	}
}

static void
test_find_and_remove(void **state)
{
	(void)state;
	struct labels labels = {0};
	assert_null(labels_find(&labels, SPAN("a")));
	assert_false(labels_remove(&labels, SPAN("a")));
	set(&labels, "b", "2");
	set(&labels, "a", "1");
	set(&labels, "c", "");
	assert_span_equal(labels_find(&labels, SPAN("b"))->value, "2");
	assert_span_equal(labels_find(&labels, SPAN("c"))->value, "");
	assert_null(labels_find(&labels, SPAN("")));
	assert_null(labels_find(&labels, SPAN("bb")));
	assert_true(labels_remove(&labels, SPAN("b")));
	assert_false(labels_remove(&labels, SPAN("b")));
	assert_int_equal(labels.count, 2);
	assert_span_equal(labels.item[0].name, "a");
	assert_span_equal(labels.item[1].name, "c");
	assert_true(labels_remove(&labels, SPAN("c")));
	assert_true(labels_remove(&labels, SPAN("a")));
	assert_int_equal(labels.count, 0);
}

static void
test_set__full(void **state)
{
	(void)state;
	static char names[LABELS_MAX + 1][16];
	struct labels labels = {0};
	for (int i = 0; i <= LABELS_MAX; i++)
		snprintf(names[i], sizeof(names[i]), "label_%04d", LABELS_MAX - i);
	for (int i = 0; i < LABELS_MAX; i++)
		set(&labels, names[i], "v");
	assert_false(labels_set(&labels, span_text(names[LABELS_MAX]), SPAN("v")));
	assert_int_equal(labels.count, LABELS_MAX);
	assert_null(labels_find(&labels, span_text(names[LABELS_MAX])));
	set(&labels, names[0], "replaced");
	assert_span_equal(labels_find(&labels, span_text(names[0]))->value, "replaced");
	assert_span_equal(labels.item[LABELS_MAX - 1].name, names[0]);
	assert_true(labels_remove(&labels, span_text(names[5])));
	set(&labels, names[LABELS_MAX], "v");
	assert_span_equal(labels.item[0].name, names[LABELS_MAX]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_set__keeps_order_and_replaces),
	    cmocka_unit_test(test_find_and_remove),
	    cmocka_unit_test(test_set__full),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
