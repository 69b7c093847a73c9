#include "test.h"

#include "app/options_table.h"

static void
test_parse_int__values(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t want;
	} cases[] = {
	    {"0", 0},
	    {"-0.99", 0},
	    {"-1.99", -1},
	    {"1e3", 1000},
	    {"2.7", 2},
	    {"0x1p4", 16},
	    {"1e18", 1000000000000000000},
	    {"1e-400", 0},
	    {"-9223372036854775808", INT64_MIN},
	    /* The largest double below 2^63. */
	    {"9223372036854774784", 9223372036854774784},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		int64_t got = 7;
		assert_true(option_parse_int(cases[i].text, &got));
		assert_int_equal(got, cases[i].want);
	}
	static const char *const bad[] = {
	    "", "x", "nan", "inf", "-inf", "1e400", "9223372036854775807", "-9223372036854777856"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		int64_t got = 7;
		assert_false(option_parse_int(bad[i], &got));
		assert_int_equal(got, 7);
	}
}

static void
test_parse_uint__values(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		uint64_t want;
	} cases[] = {
	    {"0", 0},
	    {"00", 0},
	    {"0_0", 0},
	    {"18446744073709551615", UINT64_MAX},
	    {"0xFFFFFFFFFFFFFFFF", UINT64_MAX},
	    {"01777777777777777777777", UINT64_MAX},
	    {"0b1111111111111111111111111111111111111111111111111111111111111111", UINT64_MAX},
	    {"0xAbCdEf", 0xabcdef},
	    {"0o_7", 7},
	    {"1_2_3", 123},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		uint64_t got = 7;
		assert_true(option_parse_uint(cases[i].text, &got));
		assert_true(got == cases[i].want);
	}
	static const char *const bad[] = {"",
					  "18446744073709551616",
					  "0x10000000000000000",
					  "02000000000000000000000",
					  "-1",
					  "+1",
					  "0x",
					  "0x_",
					  "0y1",
					  "0b102",
					  "a",
					  "1a",
					  "1__2"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		uint64_t got = 7;
		assert_false(option_parse_uint(bad[i], &got));
		assert_int_equal(got, 7);
	}
}

static void
test_parse_duration__nanoseconds(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t want;
	} cases[] = {
	    {"0", 0},
	    {"+0", 0},
	    {"0s", 0},
	    {"1ns", 1},
	    {"1us", 1000},
	    {"1\xc2\xb5s", 1000},
	    {"1\xce\xbcs", 1000},
	    {"200ms", 200000000},
	    {"1.5s", 1500000000},
	    {".1s", 100000000},
	    {"2.s", 2000000000},
	    {"1m", 60000000000},
	    {"1h30m", 5400000000000},
	    {"1d", 86400000000000},
	    {"1w", 604800000000000},
	    {"1w1d1h1m1s1ms1us1ns", 694861001001001},
	    {"0.9ns", 0},
	    {"0.123456789123456789123s", 123456789},
	    {"9223372036854775807ns", INT64_MAX},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		int64_t got = 7;
		if (!option_parse_duration(cases[i].text, &got) || got != cases[i].want)
			fail_msg("%s: got %lld", cases[i].text, (long long)got);
	}
	static const char *const bad[] = {"",
					  "+",
					  "1",
					  "s",
					  ".",
					  ".s",
					  "-1s",
					  "1s 1s",
					  "1\xb5s",
					  "9223372036854775807.9s",
					  "9223372036854775807ns.1us"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		int64_t got = 7;
		assert_false(option_parse_duration(bad[i], &got));
		assert_int_equal(got, 7);
	}
}

static void
test_parse_mode__values(void **state)
{
	(void)state;
	assert_int_equal(option_parse_mode(""), 0);
	assert_int_equal(option_parse_mode("755"), 0755);
	assert_int_equal(option_parse_mode("7755"), 0755);
	assert_int_equal(option_parse_mode("17777777777"), 0777);
	assert_int_equal(option_parse_mode("20000000000"), -1);
	assert_int_equal(option_parse_mode("8"), -1);
	assert_int_equal(option_parse_mode("/"), -1);
}

static void
test_find_choice__words(void **state)
{
	(void)state;
	assert_int_equal(option_find_choice("a|bc|d", "a", false), 0);
	assert_int_equal(option_find_choice("a|bc|d", "bc", false), 1);
	assert_int_equal(option_find_choice("a|bc|d", "d", false), 2);
	assert_int_equal(option_find_choice("a|bc|d", "D", true), 2);
	assert_int_equal(option_find_choice("a|bc|d", "D", false), -1);
	assert_int_equal(option_find_choice("a|bc|d", "b", false), -1);
	assert_int_equal(option_find_choice("a|bc|d", "bcd", false), -1);
	assert_int_equal(option_find_choice("a|bc|d", "", false), -1);
	assert_int_equal(option_find_choice("a|bc|d", "a|bc", false), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_parse_int__values),
	    cmocka_unit_test(test_parse_uint__values),
	    cmocka_unit_test(test_parse_duration__nanoseconds),
	    cmocka_unit_test(test_parse_mode__values),
	    cmocka_unit_test(test_find_choice__words),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
