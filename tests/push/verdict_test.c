#include "test.h"

#include "push/verdict.h"

#define V1 PUSH_PROTOCOL_1
#define V2 PUSH_PROTOCOL_2
#define DENIAL(code)                                    \
	{                                               \
		.status = (code), .denies_native = true \
	}

static void
test_judge(void **state)
{
	(void)state;
	static const struct {
		struct push_answer answer;
		enum push_protocol request;
		enum push_protocol_choice choice;
		bool confirmed;
		enum push_verdict verdict;
		size_t taken; /* of ten */
	} table[] = {
	    {{200}, V1, PUSH_CHOICE_1, false, PUSH_SENT, 10},
	    {{204}, V1, PUSH_CHOICE_1, false, PUSH_SENT, 10},
	    {{299}, V1, PUSH_CHOICE_1, false, PUSH_SENT, 10},
	    {{204, true, 3}, V1, PUSH_CHOICE_1, false, PUSH_SENT, 10},
	    {{0}, V1, PUSH_CHOICE_1, false, PUSH_RETRY, 0},
	    {{429}, V1, PUSH_CHOICE_1, false, PUSH_RETRY, 0},
	    {{500}, V1, PUSH_CHOICE_1, false, PUSH_RETRY, 0},
	    {{503}, V1, PUSH_CHOICE_1, false, PUSH_RETRY, 0},
	    {{199}, V1, PUSH_CHOICE_1, false, PUSH_REFUSED, 0},
	    {{300}, V1, PUSH_CHOICE_1, false, PUSH_REFUSED, 0},
	    {{499}, V1, PUSH_CHOICE_1, false, PUSH_REFUSED, 0},
	    {{400}, V1, PUSH_CHOICE_1, false, PUSH_REFUSED, 0},
	    {{415}, V1, PUSH_CHOICE_AUTO, false, PUSH_REFUSED, 0},
	    {{204, true, 10}, V2, PUSH_CHOICE_AUTO, false, PUSH_SENT, 10},
	    {{204, true, 7}, V2, PUSH_CHOICE_AUTO, false, PUSH_SENT, 7},
	    {{204, true, 11}, V2, PUSH_CHOICE_2, false, PUSH_SENT, 10},
	    {{204}, V2, PUSH_CHOICE_AUTO, false, PUSH_TRANSLATE, 0},
	    {{204}, V2, PUSH_CHOICE_AUTO, true, PUSH_TRANSLATE, 0},
	    {{204}, V2, PUSH_CHOICE_2, false, PUSH_REFUSED, 0},
	    {{415}, V2, PUSH_CHOICE_AUTO, true, PUSH_TRANSLATE, 0},
	    {{415}, V2, PUSH_CHOICE_2, true, PUSH_REFUSED, 0},
	    {{400}, V2, PUSH_CHOICE_AUTO, false, PUSH_TRANSLATE, 0},
	    {{400}, V2, PUSH_CHOICE_AUTO, true, PUSH_REFUSED, 0},
	    {{400, true, 4}, V2, PUSH_CHOICE_AUTO, false, PUSH_REFUSED, 4},
	    {{500}, V2, PUSH_CHOICE_AUTO, false, PUSH_RETRY, 0},
	    {{0}, V2, PUSH_CHOICE_AUTO, false, PUSH_RETRY, 0},
	    {DENIAL(500), V1, PUSH_CHOICE_1, false, PUSH_WITHOUT_NATIVE, 0},
	    {DENIAL(422), V1, PUSH_CHOICE_1, false, PUSH_WITHOUT_NATIVE, 0},
	    {DENIAL(400), V2, PUSH_CHOICE_AUTO, false, PUSH_WITHOUT_NATIVE, 0},
	    {DENIAL(0), V1, PUSH_CHOICE_1, false, PUSH_RETRY, 0},
	    {DENIAL(204), V1, PUSH_CHOICE_1, false, PUSH_SENT, 10},
	    {DENIAL(302), V1, PUSH_CHOICE_1, false, PUSH_REFUSED, 0},
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		enum push_verdict verdict = push_judge(&table[i].answer, table[i].request,
						       table[i].choice, table[i].confirmed);
		if (verdict != table[i].verdict)
			fail_msg("row %zu: %u", i, verdict);
		size_t taken = push_samples_taken(&table[i].answer, verdict, table[i].request, 10);
		if (verdict <= PUSH_REFUSED && taken != table[i].taken)
			fail_msg("row %zu: %zu taken", i, taken);
	}
}

static void
test_denies_native(void **state)
{
	(void)state;
	static const struct {
		struct span body;
		bool denies;
	} table[] = {
	    {SPAN("native histograms are disabled"), true},
	    {SPAN("write: native histograms are disabled; see the manual"), true},
	    {SPAN(""), false},
	    {SPAN("native histograms are disable"), false},
	    {SPAN("exemplar storage is disabled"), false},
	    {SPAN("out-of-order native histogram ingestion is disabled"), false},
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (push_denies_native(table[i].body) != table[i].denies)
			fail_msg("row %zu", i);
	}
}

static void
test_backoff(void **state)
{
	(void)state;
	struct push_backoff backoff = {0};
	int64_t now = 1000000, most = PUSH_BACKOFF_FIRST_US;
	for (int i = 0; i < 20; i++) {
		push_backoff_fail(&backoff, now, 0, UINT64_MAX - (unsigned)i);
		assert_in_range(backoff.until_us - now, most / 2, most);
		int64_t until = backoff.until_us;
		push_backoff_fail(&backoff, now + 1, 0, 0);
		assert_int_equal(backoff.until_us, until);
		now = until;
		most = most * 2 < PUSH_BACKOFF_MOST_US ? most * 2 : PUSH_BACKOFF_MOST_US;
	}
	push_backoff_succeed(&backoff, now);
	push_backoff_fail(&backoff, now, 0, 0);
	assert_int_equal(backoff.until_us, now + PUSH_BACKOFF_FIRST_US / 2);
	push_backoff_fail(&backoff, now, 7000000, 0);
	assert_int_equal(backoff.until_us, now + 7000000);
	/* What was under way with the one that failed does not end the wait. */
	push_backoff_succeed(&backoff, now + 6999999);
	assert_int_equal(backoff.until_us, now + 7000000);
	push_backoff_fail(&backoff, now, INT64_MAX, 0);
	assert_int_equal(backoff.until_us, now + PUSH_RETRY_AFTER_MOST_US);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_judge),
	    cmocka_unit_test(test_denies_native),
	    cmocka_unit_test(test_backoff),
	};
	return cmocka_run_group_tests_name("push/verdict", tests, NULL, NULL);
}
