#include "test.h"

#include "base/number.h"
#include "base/pow10.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t
bits_of(double value)
{
	uint64_t bits;
	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

static double
double_of(uint64_t bits)
{
	double value;
	memcpy(&value, &bits, sizeof(value));
	return value;
}

/* A splitmix64 step: the same numbers in every run. */
static uint64_t
next_random(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static void
assert_parses(struct span text, double want)
{
	double got = 4711;
	if (!number_parse(text, &got))
		fail_msg("\"%.*s\" was refused", SPAN_ARGS(text));
	if (isnan(want) ? !isnan(got) : bits_of(got) != bits_of(want))
		fail_msg("\"%.*s\" gave %.17g, want %.17g", SPAN_ARGS(text), got, want);
}

static void
assert_refused(struct span text)
{
	double got = 4711;
	if (number_parse(text, &got))
		fail_msg("\"%.*s\" gave %.17g", SPAN_ARGS(text), got);
	assert_true(got == 4711);
}

static void
assert_formats(double value, const char *want)
{
	char text[NUMBER_TEXT_MAX];
	size_t len = number_format(value, text);
	assert_true(len <= sizeof(text));
	assert_span_equal(span_of(text, len), want);
}

/* Text and back again is the same double. */
static void
assert_round_trip(double value)
{
	char text[NUMBER_TEXT_MAX + 1];
	size_t len = number_format(value, text);
	assert_true(len <= NUMBER_TEXT_MAX);
	text[len] = '\0';
	if (bits_of(strtod(text, NULL)) != bits_of(value))
		fail_msg("%.17g was written as \"%s\"", value, text);
	assert_parses(span_of(text, len), value);
}

static void
test_parse__accepts(void **state)
{
	(void)state;
	static const struct {
		struct span text;
		double want;
	} table[] = {
	    {SPAN("0"), 0.0},
	    {SPAN("-0"), -0.0},
	    {SPAN("+0"), 0.0},
	    {SPAN("00"), 0.0},
	    {SPAN("0e999999999999999999999"), 0.0},
	    {SPAN("1"), 1},
	    {SPAN("+1"), 1},
	    {SPAN("-1"), -1},
	    {SPAN(".5"), 0.5},
	    {SPAN("5."), 5},
	    {SPAN("-.5e1"), -5},
	    {SPAN("007.50"), 7.5},
	    {SPAN("1e3"), 1000},
	    {SPAN("1E+3"), 1000},
	    {SPAN("1e-3"), 0.001},
	    {SPAN("1e03"), 1000},
	    {SPAN("320.125"), 320.125},
	    {SPAN("0.1"), 0.1},
	    {SPAN("0.12345678901234568"), 0.12345678901234568},
	    {SPAN("9007199254740992"), 9007199254740992.0},
	    {SPAN("9007199254740993"), 9007199254740992.0},
	    {SPAN("9007199254740993.0000000000000000000000000000000000001"), 9007199254740994.0},
	    {SPAN("9007199254740995"), 9007199254740996.0},
	    {SPAN("18446744073709551615"), 18446744073709551616.0},
	    {SPAN("18446744073709551616"), 18446744073709551616.0},
	    {SPAN("1e22"), 1e22},
	    {SPAN("1e23"), 1e23},
	    {SPAN("8.5e-324"), 0x1p-1073},
	    {SPAN("5e-324"), 0x1p-1074},
	    {SPAN("2.4703282292062328e-324"), 0x1p-1074},
	    {SPAN("2.4703282292062327e-324"), 0},
	    {SPAN("2.2250738585072011e-308"), 2.2250738585072011e-308},
	    {SPAN("2.2250738585072014e-308"), 0x1p-1022},
	    {SPAN("1e-400"), 0},
	    {SPAN("-1e-400"), -0.0},
	    {SPAN("1e-999999999999999999999"), 0},
	    {SPAN("1.7976931348623157e308"), 0x1.fffffffffffffp1023},
	    {SPAN("1.7976931348623158e308"), 0x1.fffffffffffffp1023},
	    {SPAN("0.000000000000000000000000000001e30"), 1},
	    {SPAN("1000000000000000000000000000000e-30"), 1},
	    {SPAN("1_000"), 1000},
	    {SPAN("1_0.0_1e1_0"), 10.01e10},
	    {SPAN("0_1"), 1},
	    {SPAN("0x1p-2"), 0.25},
	    {SPAN("0X1P-2"), 0.25},
	    {SPAN("-0x1.8p1"), -3},
	    {SPAN("0x.8p0"), 0.5},
	    {SPAN("0x8.p0"), 8},
	    {SPAN("0x_1p0"), 1},
	    {SPAN("0xA_fp0"), 175},
	    {SPAN("0x1p1_0"), 1024},
	    {SPAN("0x1.00000000000008p0"), 1},
	    {SPAN("0x1.000000000000080000000001p0"), 0x1.0000000000001p0},
	    {SPAN("0x1.00000000000018p0"), 0x1.0000000000002p0},
	    {SPAN("0x0p99999"), 0},
	    {SPAN("0x1p-1074"), 0x1p-1074},
	    {SPAN("0x1p-1075"), 0},
	    {SPAN("0x1.000000000000000000001p-1075"), 0x1p-1074},
	    {SPAN("0x1p-1076"), 0},
	    {SPAN("0x1.fffffffffffff7p-1023"), 0x1p-1022},
	    {SPAN("0x1.fffffffffffff7p1023"), 0x1.fffffffffffffp1023},
	    {SPAN("inf"), INFINITY},
	    {SPAN("+Inf"), INFINITY},
	    {SPAN("-INF"), -INFINITY},
	    {SPAN("Infinity"), INFINITY},
	    {SPAN("-infinity"), -INFINITY},
	    {SPAN("nan"), NAN},
	    {SPAN("NaN"), NAN},
	    {SPAN("NAN"), NAN},
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		assert_parses(table[i].text, table[i].want);
}

static void
test_parse__refuses(void **state)
{
	(void)state;
	static const struct span table[] = {
	    SPAN(""),
	    SPAN("+"),
	    SPAN("-"),
	    SPAN("."),
	    SPAN("-."),
	    SPAN("e"),
	    SPAN("e5"),
	    SPAN(".e5"),
	    SPAN("1e"),
	    SPAN("1e+"),
	    SPAN("1e-"),
	    SPAN("1e5.0"),
	    SPAN("1e+-5"),
	    SPAN("--5"),
	    SPAN("+-5"),
	    SPAN("1.2.3"),
	    SPAN(" 1"),
	    SPAN("1 "),
	    SPAN("1\n"),
	    SPAN("1\0"),
	    SPAN("\0"
		 "1"),
	    SPAN("1,5"),
	    SPAN("1a"),
	    SPAN("a"),
	    SPAN("1p5"),
	    SPAN("0b1"),
	    SPAN("0o7"),
	    SPAN("0x"),
	    SPAN("0x1"),
	    SPAN("0x10"),
	    SPAN("0xp1"),
	    SPAN("0x.p1"),
	    SPAN("0x1p"),
	    SPAN("0x1p+"),
	    SPAN("0x1.8"),
	    SPAN("0x1e5"),
	    SPAN("0x1pa"),
	    SPAN("00x1p1"),
	    SPAN("0x0x1p1"),
	    SPAN("0xinf"),
	    SPAN("1e309"),
	    SPAN("1e400"),
	    SPAN("-1e400"),
	    SPAN("1e99999999999999999999"),
	    SPAN("1.7976931348623159e308"),
	    SPAN("0x1p1024"),
	    SPAN("0x1.fffffffffffff8p1023"),
	    SPAN("0x1p99999999999999999999"),
	    SPAN("_1"),
	    SPAN("1_"),
	    SPAN("1__0"),
	    SPAN("-_1"),
	    SPAN("1_.5"),
	    SPAN("1._5"),
	    SPAN("1_e5"),
	    SPAN("1e_5"),
	    SPAN("1e5_"),
	    SPAN("1e+_5"),
	    SPAN("_"),
	    SPAN("_0x1p1"),
	    SPAN("0_x1p1"),
	    SPAN("0x1_p1"),
	    SPAN("0x1p_1"),
	    SPAN("0x1._8p1"),
	    SPAN("0x__1p1"),
	    SPAN("+nan"),
	    SPAN("-nan"),
	    SPAN("nan(1)"),
	    SPAN("nanx"),
	    SPAN("in"),
	    SPAN("infi"),
	    SPAN("infinit"),
	    SPAN("infinityx"),
	    SPAN("i_nf"),
	    SPAN("--inf"),
	    SPAN("1inf"),
	    SPAN("\xd9\xa1"), /* a digit, but not an ASCII one */
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		assert_refused(table[i]);
}

/* As long as a line may be; every digit may count. */
#define LONG_TEXT 65536

static void
test_parse__long_texts(void **state)
{
	(void)state;
	char *text = malloc(LONG_TEXT);
	struct span all = span_of(text, LONG_TEXT);

	/* A tie between 2^53 and the next double, decided by the very last digit. */
	memset(text, '0', LONG_TEXT);
	memcpy(text, "9007199254740993.", 17);
	assert_parses(all, 9007199254740992.0);
	text[LONG_TEXT - 1] = '1';
	assert_parses(all, 9007199254740994.0);

	/* The whole tie between 0 and the smallest double has 751 digits: exactly, below, above. */
	int len = snprintf(text, LONG_TEXT, "%.1074fe-1", 0x1p-1074 * 5);
	assert_parses(span_of(text, (size_t)len), 0);
	len = snprintf(text, LONG_TEXT, "%.1074f1e-1", 0x1p-1074 * 5);
	assert_parses(span_of(text, (size_t)len), 0x1p-1074);

	/* A point far away and an exponent that brings it back. */
	memset(text, '0', LONG_TEXT);
	text[0] = '1';
	memcpy(text + LONG_TEXT - 6, "e-6552", 6);
	assert_refused(all);
	memcpy(text + LONG_TEXT - 7, "e-65528", 7);
	assert_parses(all, 1);
	memset(text, '0', LONG_TEXT);
	text[1] = '.';
	memcpy(text + LONG_TEXT - 7, "1e65528", 7);
	assert_parses(all, 1);

	memset(text, '9', LONG_TEXT);
	assert_refused(all);
	text[0] = '.';
	assert_parses(all, 1);
	for (size_t i = 1; i < LONG_TEXT; i += 2)
		text[i] = '_';
	text[0] = '1';
	assert_refused(all);                            /* ends with '_' */
	assert_refused(span_first(all, LONG_TEXT - 1)); /* too large */
	free(text);
}

static void
test_parse__random_texts(void **state)
{
	(void)state;
	uint64_t seed = 1;
	for (int i = 0; i < 300000; i++) {
		char text[64];
		uint64_t r = next_random(&seed);
		int len = snprintf(text, sizeof(text), "%llu.%llue%d",
				   (unsigned long long)(next_random(&seed) >> (r & 63)),
				   (unsigned long long)(next_random(&seed) >> (r >> 6 & 63)),
				   (int)(r >> 12 & 511) - 270);
		double want = strtod(text, NULL);
		if (isinf(want))
			assert_refused(span_of(text, (size_t)len));
		else
			assert_parses(span_of(text, (size_t)len), want);
	}
}

static void
test_parse__midpoints_of_doubles(void **state)
{
	(void)state;
	uint64_t seed = 2;
	for (int i = 0; i < 20000; i++) {
		char text[1400];
		double low = double_of(next_random(&seed) >> 1);
		double high = nextafter(low, INFINITY);
		if (!isfinite(high) || low < 0x1p-900 || low > 0x1p900)
			continue;
		/* long double has the bit more that the midpoint needs. */
		int len = snprintf(text, sizeof(text), "%.800Lg", ((long double)low + high) / 2);
		bool is_even = !(bits_of(low) & 1);
		assert_parses(span_of(text, (size_t)len), is_even ? low : high);
	}
}

static void
test_format__layout(void **state)
{
	(void)state;
	static const struct {
		double value;
		const char *want;
	} table[] = {
	    {0, "0"},
	    {-0.0, "0"},
	    {1, "1"},
	    {-1, "-1"},
	    {10, "10"},
	    {99, "99"},
	    {100, "100"},
	    {100000, "100000"},
	    {999999, "999999"},
	    {1000000, "1e+06"},
	    {-1000000, "-1e+06"},
	    {1234567, "1.234567e+06"},
	    {123456789, "1.23456789e+08"},
	    {123456.789, "123456.789"},
	    {999999.5, "999999.5"},
	    {0.1, "0.1"},
	    {-0.25, "-0.25"},
	    {0.5, "0.5"},
	    {12.5, "12.5"},
	    {100.25, "100.25"},
	    {0.001, "0.001"},
	    {0.0001, "0.0001"},
	    {0.00012, "0.00012"},
	    {0.00001, "1e-05"},
	    {0.000015, "1.5e-05"},
	    {1e9, "1e+09"},
	    {1e21, "1e+21"},
	    {1e22, "1e+22"},
	    {1e23, "1e+23"},
	    {1e100, "1e+100"},
	    {1e-100, "1e-100"},
	    {9007199254740991, "9.007199254740991e+15"},
	    {9007199254740992, "9.007199254740992e+15"},
	    {9007199254740994, "9.007199254740994e+15"},
	    {18446744073709551616.0, "1.8446744073709552e+19"},
	    {0.1 + 0.2, "0.30000000000000004"},
	    {1.0 / 3, "0.3333333333333333"},
	    {5e-324, "5e-324"},
	    {-5e-324, "-5e-324"},
	    {0x1p-1073, "1e-323"},
	    {0x0.fffffffffffffp-1022, "2.225073858507201e-308"},
	    {0x1p-1022, "2.2250738585072014e-308"},
	    {-0x1p-1022, "-2.2250738585072014e-308"},
	    {0x1.fffffffffffffp1023, "1.7976931348623157e+308"},
	    {0x1p-44, "5.684341886080802e-14"},
	    {0x1p89, "6.189700196426902e+26"},
	    {9.5367431640625e-07, "9.5367431640625e-07"},
	    {2.98023223876953125e-8, "2.9802322387695312e-08"},
	    {INFINITY, "+Inf"},
	    {-INFINITY, "-Inf"},
	    {NAN, "NaN"},
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		assert_formats(table[i].value, table[i].want);
	assert_formats(-NAN, "NaN");
}

static void
test_format__powers_of_two_and_their_neighbours(void **state)
{
	(void)state;
	for (int e = -1074; e <= 1023; e++) {
		double power = ldexp(1, e);
		assert_round_trip(power);
		assert_round_trip(-power);
		assert_round_trip(nextafter(power, INFINITY));
		if (e > -1074)
			assert_round_trip(nextafter(power, 0));
	}
}

static void
test_format__powers_of_ten_and_their_neighbours(void **state)
{
	(void)state;
	for (int e = -323; e <= 308; e++) {
		char want[32];
		snprintf(want, sizeof(want), "1e%+03d", e);
		double power = strtod(want, NULL);
		if (e >= -4 && e < 6)
			snprintf(want, sizeof(want), "%.*f", e < 0 ? -e : 0, power);
		assert_formats(power, want);
		assert_round_trip(nextafter(power, 0));
		assert_round_trip(nextafter(power, INFINITY));
	}
}

static void
test_format__random_doubles_round_trip(void **state)
{
	(void)state;
	uint64_t seed = 3;
	for (int i = 0; i < 1000000; i++) {
		uint64_t bits = next_random(&seed);
		if (i % 8 == 0)
			bits &= ~(UINT64_C(0x7ff) << 52); /* subnormal */
		double value = double_of(bits);
		if (isfinite(value) && value != 0)
			assert_round_trip(value);
	}
}

/* printf with the fewest digits that come back, put into our layout. */
static void
shortest_by_trying(double value, char *out, size_t size)
{
	char text[40];
	int precision = 0;
	do
		snprintf(text, sizeof(text), "%.*e", precision, value);
	while (strtod(text, NULL) != value && precision++ < 17);
	char *mark = strchr(text, 'e');
	int exponent = atoi(mark + 1);
	if (exponent >= -4 && exponent < 6)
		snprintf(out, size, "%.*f", precision > exponent ? precision - exponent : 0, value);
	else
		snprintf(out, size, "%s", text);
}

static void
test_format__is_the_shortest_and_closest(void **state)
{
	(void)state;
	uint64_t seed = 4;
	for (int i = 0; i < 100000; i++) {
		uint64_t r = next_random(&seed);
		double value = double_of(r);
		if (i % 4 == 1)
			value = (double)(r >> 40) / 1000;
		else if (i % 4 == 2)
			value = (double)(r >> 20) / (double)(1 + (r & 0xffff));
		/* Powers of two are lopsided: there printf's nearest text need not be the shortest.
		 */
		if (!isfinite(value) || value == 0 || !(bits_of(value) << 12))
			continue;
		char want[400];
		shortest_by_trying(value, want, sizeof(want));
		assert_formats(value, want);
	}
}

static void
check_format_uint(uint64_t value)
{
	char text[20], want[24];
	snprintf(want, sizeof(want), "%llu", (unsigned long long)value);
	assert_span_equal(span_of(text, number_format_uint(value, text)), want);
}

static void
test_format_uint(void **state)
{
	(void)state;
	static const uint64_t table[] = {0,
					 9,
					 10,
					 99,
					 100,
					 101,
					 999,
					 1000,
					 65535,
					 1234567,
					 4294967295,
					 4294967296,
					 UINT64_C(9999999999999999999),
					 UINT64_C(10000000000000000000),
					 UINT64_MAX};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		check_format_uint(table[i]);
	/* All groups of four digits, in each place that a group can have. */
	for (uint64_t value = 0; value < 10000; value++) {
		check_format_uint(value);
		check_format_uint(value * 10000 + 1);
		check_format_uint(value * 100000000 + 2);
		check_format_uint(value * 1000000000000 + 10003);
	}
}

static void
test_pow10__ends_and_middle(void **state)
{
	(void)state;
	static const struct {
		int k;
		struct pow10 want;
		int log2;
	} table[] = {
	    {0, {UINT64_C(1) << 63, 0}, 0},
	    {1, {UINT64_C(0xa000000000000000), 0}, 3},
	    {-1, {UINT64_C(0xcccccccccccccccc), UINT64_C(0xcccccccccccccccc)}, -4},
	    {27, {UINT64_C(0xcecb8f27f4200f3a), 0}, 89},
	    {55, {UINT64_C(0xd0cf4b50cfe20765), UINT64_C(0xfff4b4e3f741cf6d)}, 182},
	    {POW10_MIN, {UINT64_C(0xeef453d6923bd65a), UINT64_C(0x113faa2906a13b3f)}, -1137},
	    {POW10_MAX, {UINT64_C(0x9e19db92b4e31ba9), UINT64_C(0x6c07a2c26a8346d1)}, 1076},
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct pow10 got = pow10_get(table[i].k);
		assert_int_equal(got.high, table[i].want.high);
		assert_int_equal(got.low, table[i].want.low);
		assert_int_equal(pow10_log2(table[i].k), table[i].log2);
	}
}

/* Every text of up to three bytes out of those that matter, and digits of all lengths. */
static void
test_parse_short__agrees_with_parse(void **state)
{
	(void)state;
	static const char bytes[] = "0159./:;-+e_ x\xb0\xb9\xff\x80\0";
	enum { BYTES = sizeof(bytes) - 1 };
	char room[NUMBER_SHORT_MAX + 4] = "98765432";
	for (size_t n = 0; n < BYTES * BYTES * BYTES; n++) {
		char *text = room + NUMBER_SHORT_MAX;
		text[0] = bytes[n % BYTES];
		text[1] = bytes[n / BYTES % BYTES];
		text[2] = bytes[n / BYTES / BYTES];
		for (size_t len = 0; len <= 3; len++) {
			double want = -1, got = -1;
			bool is_short = number_parse_short(text + len, len, &got);
			bool is_number = number_parse(span_of(text, len), &want);
			bool is_plain = is_number && strspn(text, "0159.") >= len;
			assert_int_equal(is_short, is_plain);
			assert_true(!is_short || got == want);
		}
	}
}

static void
test_parse_short__every_place_of_the_point(void **state)
{
	(void)state;
	for (size_t len = 1; len <= 10; len++) {
		for (size_t point = 0; point <= len; point++) {
			char room[32] = "........", *text = room + NUMBER_SHORT_MAX;
			for (size_t i = 0; i < len; i++)
				text[i] = i == point ? '.' : (char)('1' + i % 9);
			double want = -1, got = -1;
			bool fits = len <= NUMBER_SHORT_MAX && !(len == 1 && point == 0);
			assert_int_equal(number_parse_short(text + len, len, &got), fits);
			if (!fits)
				continue;
			assert_true(number_parse(span_of(text, len), &want));
			assert_true(got == want);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_parse__accepts),
	    cmocka_unit_test(test_parse__refuses),
	    cmocka_unit_test(test_parse__long_texts),
	    cmocka_unit_test(test_parse__random_texts),
	    cmocka_unit_test(test_parse__midpoints_of_doubles),
	    cmocka_unit_test(test_format__layout),
	    cmocka_unit_test(test_format__powers_of_two_and_their_neighbours),
	    cmocka_unit_test(test_format__powers_of_ten_and_their_neighbours),
	    cmocka_unit_test(test_format__random_doubles_round_trip),
	    cmocka_unit_test(test_format__is_the_shortest_and_closest),
	    cmocka_unit_test(test_format_uint),
	    cmocka_unit_test(test_pow10__ends_and_middle),
	    cmocka_unit_test(test_parse_short__agrees_with_parse),
	    cmocka_unit_test(test_parse_short__every_place_of_the_point),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
