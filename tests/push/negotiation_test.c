#include "test.h"

#include "push/negotiation.h"

#define START 1000

static void
assert_speaks(const struct push_negotiation *negotiation, int64_t now_us, enum push_protocol want)
{
	assert_int_equal(push_negotiation_protocol(negotiation, now_us), want);
}

static void
test_negotiation__begins_as_chosen(void **state)
{
	(void)state;
	static const enum push_protocol table[] = {
	    [PUSH_CHOICE_1] = PUSH_PROTOCOL_1,
	    [PUSH_CHOICE_2] = PUSH_PROTOCOL_2,
	    [PUSH_CHOICE_AUTO] = PUSH_PROTOCOL_2,
	};
	for (unsigned choice = 0; choice < sizeof(table) / sizeof(table[0]); choice++) {
		struct push_negotiation negotiation;
		push_negotiation_init(&negotiation, choice);
		assert_speaks(&negotiation, START, table[choice]);
	}
}

static void
test_negotiation__a_stranger_is_taken_at_its_word(void **state)
{
	(void)state;
	struct push_negotiation negotiation;
	push_negotiation_init(&negotiation, PUSH_CHOICE_AUTO);
	for (int64_t now_us = START, i = 0; i < 3; i++, now_us += PUSH_TRY_AGAIN_US) {
		assert_speaks(&negotiation, now_us, PUSH_PROTOCOL_2);
		assert_true(push_negotiation_miss(&negotiation, now_us));
		/* What was under way meanwhile changes nothing. */
		assert_false(push_negotiation_miss(&negotiation, now_us + 5));
		assert_speaks(&negotiation, now_us + 5, PUSH_PROTOCOL_1);
		assert_speaks(&negotiation, now_us + PUSH_TRY_AGAIN_US - 1, PUSH_PROTOCOL_1);
		assert_speaks(&negotiation, now_us + PUSH_TRY_AGAIN_US, PUSH_PROTOCOL_2);
	}
}

static void
test_negotiation__who_has_spoken_is_asked_again(void **state)
{
	(void)state;
	struct push_negotiation negotiation;
	push_negotiation_init(&negotiation, PUSH_CHOICE_AUTO);
	assert_true(push_negotiation_hit(&negotiation));
	for (int round = 0; round < 2; round++) {
		for (int i = 1; i < PUSH_MISSES_MOST; i++)
			assert_false(push_negotiation_miss(&negotiation, START));
		assert_speaks(&negotiation, START, PUSH_PROTOCOL_2);
		/* The count begins anew. */
		assert_false(push_negotiation_hit(&negotiation));
	}
	for (int i = 1; i < PUSH_MISSES_MOST; i++)
		assert_false(push_negotiation_miss(&negotiation, START));
	assert_true(push_negotiation_miss(&negotiation, START));
	assert_speaks(&negotiation, START, PUSH_PROTOCOL_1);
	/* It is a stranger again, */
	assert_true(push_negotiation_miss(&negotiation, START + PUSH_TRY_AGAIN_US));
	/* until an answer that was under way shows that it is none. */
	assert_true(push_negotiation_hit(&negotiation));
	assert_speaks(&negotiation, START + PUSH_TRY_AGAIN_US, PUSH_PROTOCOL_2);
	assert_false(push_negotiation_miss(&negotiation, START + PUSH_TRY_AGAIN_US));
}

static void
test_negotiation__native_histograms_are_tried_again(void **state)
{
	(void)state;
	struct push_negotiation negotiation;
	push_negotiation_init(&negotiation, PUSH_CHOICE_1);
	for (int64_t now_us = START, i = 0; i < 3; i++, now_us += PUSH_NATIVE_AGAIN_US) {
		assert_true(push_negotiation_takes_native(&negotiation, now_us));
		assert_true(push_negotiation_deny_native(&negotiation, now_us));
		/* What was under way meanwhile changes nothing. */
		assert_false(push_negotiation_deny_native(&negotiation, now_us + 5));
		assert_false(
		    push_negotiation_takes_native(&negotiation, now_us + PUSH_NATIVE_AGAIN_US - 1));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_negotiation__begins_as_chosen),
	    cmocka_unit_test(test_negotiation__a_stranger_is_taken_at_its_word),
	    cmocka_unit_test(test_negotiation__who_has_spoken_is_asked_again),
	    cmocka_unit_test(test_negotiation__native_histograms_are_tried_again),
	};
	return cmocka_run_group_tests_name("push/negotiation", tests, NULL, NULL);
}
