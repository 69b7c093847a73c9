#include "yaml/scalar.h"

#include "test.h"

#include <math.h>

#define COUNT_OF(array) (sizeof(array) / sizeof(*(array)))

static void
test_parse_flag(void **state)
{
	(void)state;
	static const struct {
		struct span text;
		int want; /* -1: refused */
	} cases[] = {
	    {SPAN("true"), 1},  {SPAN("True"), 1},  {SPAN("TRUE"), 1},  {SPAN("yes"), 1},
	    {SPAN("Yes"), 1},   {SPAN("on"), 1},    {SPAN("ON"), 1},    {SPAN("y"), 1},
	    {SPAN("Y"), 1},     {SPAN("false"), 0}, {SPAN("False"), 0}, {SPAN("no"), 0},
	    {SPAN("NO"), 0},    {SPAN("off"), 0},   {SPAN("n"), 0},     {SPAN("N"), 0},
	    {SPAN(""), -1},     {SPAN("1"), -1},    {SPAN("tRue"), -1}, {SPAN("true "), -1},
	    {SPAN("yess"), -1}, {SPAN("t"), -1},
	};
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		bool value = false;
		int got = scalar_parse_flag(cases[i].text, &value) ? value : -1;
		if (got != cases[i].want)
			fail_msg("%.*s: %d", SPAN_ARGS(cases[i].text), got);
	}
}

static void
test_parse_number(void **state)
{
	(void)state;
	static const struct {
		struct span text;
		double want;
	} cases[] = {
	    {SPAN("0"), 0},
	    {SPAN("-0"), 0},
	    {SPAN("+7"), 7},
	    {SPAN("1_000"), 1000},
	    {SPAN("1__0_"), 10},
	    {SPAN("010"), 8},
	    {SPAN("-010"), -8},
	    {SPAN("0o17"), 15},
	    {SPAN("0b101"), 5},
	    {SPAN("0xFf"), 255},
	    {SPAN("-0x10"), -16},
	    {SPAN("09"), 9},
	    {SPAN("1.50"), 1.5},
	    {SPAN(".5"), 0.5},
	    {SPAN("5."), 5},
	    {SPAN("1e3"), 1000},
	    {SPAN("1E-6"), 1e-6},
	    {SPAN("-1.5e+2"), -150},
	    {SPAN("18446744073709551615"), 18446744073709551615.0},
	    {SPAN("18446744073709551616"), 18446744073709551616.0},
	    {SPAN("1e-400"), 0},
	    {SPAN(".inf"), INFINITY},
	    {SPAN("+.Inf"), INFINITY},
	    {SPAN("-.INF"), -INFINITY},
	};
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		double value = -1;
		if (!scalar_parse_number(cases[i].text, &value) || value != cases[i].want)
			fail_msg("%.*s: %g", SPAN_ARGS(cases[i].text), value);
	}
	double value = 0;
	assert_true(scalar_parse_number(SPAN(".NaN"), &value));
	assert_true(isnan(value));
}

static void
test_parse_number__refused(void **state)
{
	(void)state;
	static const struct span cases[] = {
	    SPAN(""),      SPAN("_"),     SPAN("_1"),   SPAN("-"),   SPAN("."),   SPAN("e3"),
	    SPAN("1e"),    SPAN("1e+"),   SPAN("0x"),   SPAN("0b2"), SPAN("0xg"), SPAN("0x1p4"),
	    SPAN("1 "),    SPAN("1.2.3"), SPAN("--1"),  SPAN("inf"), SPAN("nan"), SPAN("+.nan"),
	    SPAN("1e400"), SPAN("1,5"),   SPAN("1:30"), SPAN("0b"),  SPAN("0o"),  SPAN("1\0"),
	};
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		double value = 42;
		if (scalar_parse_number(cases[i], &value) || value != 42)
			fail_msg("%.*s: %g", SPAN_ARGS(cases[i]), value);
	}
}

static void
test_parse_number__longest(void **state)
{
	(void)state;
	char digits[SCALAR_NUMBER_MAX + 1];
	memset(digits, '0', sizeof(digits));
	double value = 42;
	assert_true(scalar_parse_number(span_of(digits, SCALAR_NUMBER_MAX), &value));
	assert_true(value == 0);
	assert_false(scalar_parse_number(span_of(digits, SCALAR_NUMBER_MAX + 1), &value));
}

static void
test_parse_count(void **state)
{
	(void)state;
	static const struct {
		struct span text;
		uint64_t max;
		int64_t want; /* -1: refused */
	} cases[] = {
	    {SPAN("0"), 0, 0},
	    {SPAN("-0"), 0, 0},
	    {SPAN("5"), 5, 5},
	    {SPAN("6"), 5, -1},
	    {SPAN("-1"), 5, -1},
	    {SPAN("5.0"), 5, 5},
	    {SPAN("5.5"), 9, -1},
	    {SPAN("1e2"), 100, 100},
	    {SPAN("0x10"), 99, 16},
	    {SPAN("010"), 99, 8},
	    {SPAN("1_0"), 99, 10},
	    {SPAN(".inf"), 99, -1},
	    {SPAN(".nan"), 99, -1},
	    {SPAN("-1.0"), 99, -1},
	    {SPAN("x"), 99, -1},
	    {SPAN(""), 99, -1},
	    {SPAN("1e300"), 99, -1},
	    {SPAN("4294967296"), UINT32_MAX, -1},
	    {SPAN("4294967295"), UINT32_MAX, UINT32_MAX},
	    {SPAN("99999999999999999999999"), UINT32_MAX, -1},
	};
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		uint64_t value = 42;
		int64_t got =
		    scalar_parse_count(cases[i].text, cases[i].max, &value) ? (int64_t)value : -1;
		if (got != cases[i].want)
			fail_msg("%.*s: %lld", SPAN_ARGS(cases[i].text), (long long)got);
	}
}

#define SECOND INT64_C(1000000000)

static void
test_parse_duration(void **state)
{
	(void)state;
	static const struct {
		struct span text;
		int64_t want_ns;
	} cases[] = {
	    {SPAN("0"), 0},
	    {SPAN("-0"), 0},
	    {SPAN("0s"), 0},
	    {SPAN("10s"), 10 * SECOND},
	    {SPAN("+10s"), 10 * SECOND},
	    {SPAN("-5s"), -5 * SECOND},
	    {SPAN("1h30m"), 5400 * SECOND},
	    {SPAN("1.5h"), 5400 * SECOND},
	    {SPAN("30m1h"), 5400 * SECOND},
	    {SPAN("1s1s"), 2 * SECOND},
	    {SPAN("1ns"), 1},
	    {SPAN("1us"), 1000},
	    {SPAN("1\xc2\xb5s"), 1000},
	    {SPAN("1\xce\xbcs"), 1000},
	    {SPAN("1ms"), 1000000},
	    {SPAN("2d"), 2 * 86400 * SECOND},
	    {SPAN("1w1d"), 8 * 86400 * SECOND},
	    {SPAN(".5s"), SECOND / 2},
	    {SPAN("1.s"), SECOND},
	    {SPAN("0.1s"), SECOND / 10},
	    {SPAN("0.3333333333333333333h"), INT64_C(1200000000000)},
	    {SPAN("0.9ns"), 0},
	    {SPAN("9223372036854775807ns"), INT64_MAX},
	    {SPAN("-9223372036854775807ns"), -INT64_MAX},
	    {SPAN("106751d"), INT64_C(106751) * 86400 * SECOND},
	};
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		int64_t ns = 42;
		if (!scalar_parse_duration(cases[i].text, &ns) || ns != cases[i].want_ns)
			fail_msg("%.*s: %lld", SPAN_ARGS(cases[i].text), (long long)ns);
	}
}

static void
test_parse_duration__refused(void **state)
{
	(void)state;
	static const struct span cases[] = {
	    SPAN(""),
	    SPAN("-"),
	    SPAN("+"),
	    SPAN("1"),
	    SPAN("soon"),
	    SPAN("s"),
	    SPAN(".s"),
	    SPAN("1 s"),
	    SPAN("1s "),
	    SPAN("1S"),
	    SPAN("--1s"),
	    SPAN("1s-1s"),
	    SPAN("1y"),
	    SPAN("1.2.3s"),
	    SPAN("1e3s"),
	    SPAN("0x1s"),
	    SPAN("00"),
	    SPAN("1hour"),
	    SPAN("1s\0"),
	    SPAN("1_0s"),
	    SPAN("9223372036854775808ns"),
	    SPAN("106752d"),
	    SPAN("99999999999999999999s"),
	    SPAN("100000d100000d"),
	};
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		int64_t ns = 42;
		if (scalar_parse_duration(cases[i], &ns) || ns != 42)
			fail_msg("%.*s: %lld", SPAN_ARGS(cases[i]), (long long)ns);
	}
}

static void
test_parse_nanoseconds(void **state)
{
	(void)state;
	static const struct {
		struct span text;
		int64_t want_ns; /* 42: refused */
	} cases[] = {
	    {SPAN("10"), 10},
	    {SPAN("-10"), -10},
	    {SPAN("1.9"), 1},
	    {SPAN("-1.9"), -1},
	    {SPAN("1e9"), SECOND},
	    {SPAN("010"), 8},
	    {SPAN("x"), 42},
	    {SPAN(".inf"), 42},
	    {SPAN(".nan"), 42},
	    {SPAN("1e19"), 42},
	    {SPAN(""), 42},
	    {SPAN("9223372036854775807"), INT64_MAX},
	    {SPAN("9223372036854775808"), 42},
	};
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		int64_t ns = 42;
		bool is_parsed = scalar_parse_nanoseconds(cases[i].text, &ns);
		if (ns != cases[i].want_ns || is_parsed == (cases[i].want_ns == 42))
			fail_msg("%.*s: %lld", SPAN_ARGS(cases[i].text), (long long)ns);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_parse_flag),
	    cmocka_unit_test(test_parse_number),
	    cmocka_unit_test(test_parse_number__refused),
	    cmocka_unit_test(test_parse_number__longest),
	    cmocka_unit_test(test_parse_count),
	    cmocka_unit_test(test_parse_duration),
	    cmocka_unit_test(test_parse_duration__refused),
	    cmocka_unit_test(test_parse_nanoseconds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
