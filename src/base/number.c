/*
 * Parsing tries several ways, each exact or refusing: double arithmetic on small numbers; a
 * 192-bit product with a known error, when the error cannot change the rounding; strtod on a
 * rewritten text.
 *
 * Formatting is Schubfach (Raffaello Giulietti, "The Schubfach way to render doubles"): the
 * interval that rounds to the value is scaled by a power of ten so that it holds at least one
 * integer and at most one multiple of ten; 128-bit powers are enough to decide every comparison.
 */
#include "base/number.h"

#include "base/pow10.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FRACTION_BITS 52
#define EXPONENT_MIN (-1022)
#define EXPONENT_MAX 1023
#define EXPONENT_BIAS 1023

/* Whole numbers below this are written as plain digits. */
#define PLAIN_END 1000000

/* Digits that always fit into 64 bits. */
#define DIGITS_KEPT 19
/* Two doubles' midpoint has at most 767 digits: behind them only "is there more" matters. */
#define DIGITS_DECISIVE 768
/* Beyond any exponent that digits of a text in memory could bring back; stops overflow. */
#define EXPONENT_CAP INT64_C(1000000000000000)

typedef unsigned __int128 uint128;

/* What the scan of a number found: digits * radix^exponent, radix 10, or 2 for hexadecimal. */
struct scan {
	struct span mantissa; /* the text of it: digits, point, underscores */
	uint64_t digits;      /* the first significant ones */
	unsigned kept;        /* how many of them, leading zeros not counted */
	int64_t exponent;
	bool is_negative;
	bool is_cut; /* a digit other than 0 did not fit */
	bool has_underscore;
};

/* The powers of ten that are doubles. */
static const double exact_power[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
				     1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
				     1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

static double
with_sign(double value, bool is_negative)
{
	return is_negative ? -value : value;
}

/* The value of a digit, at least 16 for other bytes. */
static unsigned
digit_value(char byte, bool is_hex)
{
	unsigned digit = (unsigned char)byte - (unsigned)'0';
	if (digit < 10 || !is_hex)
		return digit < 10 ? digit : 16;
	unsigned letter = (unsigned char)ascii_lower(byte) - (unsigned)'a';
	return letter < 6 ? letter + 10 : 16;
}

/* An underscore stands between digits, or between a base prefix and a digit. */
static bool
underscores_are_legal(struct span text, bool is_hex)
{
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] != '_')
			continue;
		if (i == 0 || i + 1 == text.len || digit_value(text.ptr[i + 1], is_hex) > 15)
			return false;
		bool after_prefix = is_hex && ascii_lower(text.ptr[i - 1]) == 'x';
		if (!after_prefix && digit_value(text.ptr[i - 1], is_hex) > 15)
			return false;
	}
	return true;
}

/* Reads digits with an optional point. @return where they end, or NULL when there are none */
static const char *
scan_mantissa(const char *p, const char *end, bool is_hex, struct scan *scan)
{
	const char *start = p;
	bool has_digit = false, has_point = false;
	unsigned room = is_hex ? 16 : DIGITS_KEPT;
	for (; p < end; p++) {
		unsigned digit = digit_value(*p, is_hex);
		if (digit < 16) {
			has_digit = true;
			if (scan->kept < room) {
				scan->digits = scan->digits * (is_hex ? 16 : 10) + digit;
				scan->kept += scan->digits != 0;
				scan->exponent -= has_point;
			} else {
				scan->is_cut |= digit != 0;
				scan->exponent += !has_point;
			}
		} else if (*p == '.' && !has_point) {
			has_point = true;
		} else if (*p == '_') {
			scan->has_underscore = true;
		} else {
			break;
		}
	}
	scan->mantissa = span_of(start, (size_t)(p - start));
	if (is_hex)
		scan->exponent *= 4;
	return has_digit ? p : NULL;
}

/* Reads "e-12" behind the letter. @return where it ends, or NULL when there is no digit */
static const char *
scan_exponent(const char *p, const char *end, struct scan *scan)
{
	bool is_negative = p < end && *p == '-';
	if (p < end && (*p == '-' || *p == '+'))
		p++;
	bool has_digit = false;
	int64_t exponent = 0;
	for (; p < end; p++) {
		unsigned digit = digit_value(*p, false);
		if (*p == '_') {
			scan->has_underscore = true;
			continue;
		}
		if (digit > 9)
			break;
		has_digit = true;
		if (exponent < EXPONENT_CAP)
			exponent = exponent * 10 + digit;
	}
	scan->exponent += is_negative ? -exponent : exponent;
	return has_digit ? p : NULL;
}

/*
 * Rounds `bits` * 2^(exponent - 63), half to even. `bits` has its highest bit set; `has_more` says
 * that the value is a little above that. @return false on overflow
 */
static bool
round_to_double(uint64_t bits, bool has_more, int64_t exponent, double *out)
{
	int64_t drop = 63 - FRACTION_BITS;
	if (exponent < EXPONENT_MIN)
		drop += EXPONENT_MIN - exponent;
	if (exponent > EXPONENT_MAX)
		return false;
	if (drop > 64) {
		*out = 0;
		return true;
	}
	uint64_t fraction = drop == 64 ? 0 : bits >> drop;
	uint64_t half = UINT64_C(1) << (drop - 1);
	uint64_t rest = drop == 64 ? bits : bits & (half * 2 - 1);
	bool is_odd = fraction & 1;
	fraction += rest > half || (rest == half && (has_more || is_odd));
	/* The hidden bit, or a carry out of the fraction, adds one to the exponent field. */
	uint64_t field = exponent < EXPONENT_MIN ? 0 : (uint64_t)(exponent - EXPONENT_MIN);
	uint64_t image = (field << FRACTION_BITS) + fraction;
	memcpy(out, &image, sizeof(image));
	return !isinf(*out);
}

static bool
convert_hex(const struct scan *scan, double *out)
{
	if (!scan->digits) {
		*out = 0;
		return true;
	}
	int shift = __builtin_clzll(scan->digits);
	return round_to_double(scan->digits << shift, scan->is_cut, scan->exponent + 63 - shift,
			       out);
}

/* Digits and power of ten are exact doubles, so that one operation rounds once. */
static bool
convert_small(const struct scan *scan, double *out)
{
	if (scan->digits > UINT64_C(1) << 53 || scan->exponent < -22 || scan->exponent > 22)
		return false;
	double digits = (double)scan->digits;
	*out = scan->exponent < 0 ? digits / exact_power[-scan->exponent]
				  : digits * exact_power[scan->exponent];
	return true;
}

/*
 * Multiplies with the 128-bit power of ten. The power is cut off by less than one unit, so the true
 * product is less than 2^64 above the 192-bit one. @return false when that could change the
 * rounding, or near the ends of the range
 */
static bool
convert_product(const struct scan *scan, double *out)
{
	if (!scan->digits || scan->exponent < POW10_MIN || scan->exponent > POW10_MAX)
		return false;
	int k = (int)scan->exponent;
	struct pow10 power = pow10_get(k);
	int shift = __builtin_clzll(scan->digits);
	uint64_t digits = scan->digits << shift;
	uint128 low = (uint128)digits * power.low;
	uint128 high = (uint128)digits * power.high + (uint64_t)(low >> 64);
	bool has_more = (uint64_t)low != 0;
	int exponent = pow10_log2(k) + 64 - shift;
	if (!(high >> 127)) {
		high <<= 1; /* The bit lost below `high` only matters as "more". */
		exponent--;
	}
	if (exponent < EXPONENT_MIN || exponent >= EXPONENT_MAX)
		return false;
	uint64_t bits = (uint64_t)(high >> 64), middle = (uint64_t)high;
	uint64_t rest = bits & 0x7ff; /* what rounding to 53 bits drops */
	bool is_exact = k >= 0 && k <= POW10_EXACT_MAX;
	/* After the shift above the true product may be up to four units of `middle` higher. */
	bool may_reach_half = rest == 0x3ff && middle >= UINT64_MAX - 2;
	bool may_be_half = rest == 0x400 && middle == 0 && !is_exact;
	if (may_reach_half || may_be_half)
		return false;
	return round_to_double(bits, middle || has_more, exponent, out);
}

/*
 * Leaves it to strtod, with an integer and an exponent: such a text means the same in every locale.
 */
static bool
convert_exactly(const struct scan *scan, double *out)
{
	char text[DIGITS_DECISIVE + 32];
	size_t len = 0;
	bool has_more = false;
	for (size_t i = 0; i < scan->mantissa.len; i++) {
		char byte = scan->mantissa.ptr[i];
		if (byte == '.' || byte == '_' || (byte == '0' && len == 0))
			continue;
		if (len < DIGITS_DECISIVE)
			text[len++] = byte;
		else
			has_more |= byte != '0';
	}
	if (!len) {
		*out = 0;
		return true;
	}
	int64_t exponent = scan->exponent - ((int64_t)len - scan->kept);
	if (has_more) {
		text[len++] = '1';
		exponent--;
	}
	snprintf(text + len, sizeof(text) - len, "e%lld", (long long)exponent);
	*out = strtod(text, NULL);
	return !isinf(*out);
}

/* "inf", "infinity" and "nan". */
static bool
parse_word(struct span word, bool has_sign, bool is_negative, double *out)
{
	if (span_equal_ignoring_case(word, SPAN("inf")) ||
	    span_equal_ignoring_case(word, SPAN("infinity"))) {
		*out = with_sign(INFINITY, is_negative);
		return true;
	}
	if (has_sign || !span_equal_ignoring_case(word, SPAN("nan")))
		return false;
	*out = NAN;
	return true;
}

static bool
convert(const struct scan *scan, bool is_hex, double *out)
{
	if (is_hex)
		return convert_hex(scan, out);
	if (!scan->is_cut && (convert_small(scan, out) || convert_product(scan, out)))
		return true;
	return convert_exactly(scan, out);
}

/*
 * What nearly every line carries: up to 15 digits (less than 2^53), perhaps a point, nothing else.
 * @return false for anything else, right or wrong
 */
static bool
parse_short(const char *p, const char *end, double *out)
{
	if (end - p > 15)
		return false;
	size_t digits_seen = 0, decimals = 0;
	int64_t digits = 0;
	bool has_point = false;
	for (; p < end; p++) {
		unsigned digit = (unsigned char)*p - (unsigned)'0';
		if (digit < 10) {
			digits = digits * 10 + digit;
			digits_seen++;
			decimals += has_point;
		} else if (*p == '.' && !has_point) {
			has_point = true;
		} else {
			return false;
		}
	}
	*out = decimals ? (double)digits / exact_power[decimals] : (double)digits;
	return digits_seen != 0;
}

bool
number_parse(struct span text, double *out)
{
	if (!text.len)
		return false;
	const char *p = text.ptr, *end = text.ptr + text.len;
	struct scan scan = {.is_negative = *p == '-'};
	bool has_sign = *p == '-' || *p == '+';
	p += has_sign;
	struct span unsigned_text = span_of(p, (size_t)(end - p));
	double value;
	if (parse_short(p, end, &value)) {
		*out = with_sign(value, scan.is_negative);
		return true;
	}
	bool is_hex = end - p > 2 && p[0] == '0' && ascii_lower(p[1]) == 'x';
	p = scan_mantissa(is_hex ? p + 2 : p, end, is_hex, &scan);
	if (!p)
		return parse_word(unsigned_text, has_sign, scan.is_negative, out);
	bool has_exponent = p < end && ascii_lower(*p) == (is_hex ? 'p' : 'e');
	if (has_exponent)
		p = scan_exponent(p + 1, end, &scan);
	if (p != end || (is_hex && !has_exponent))
		return false;
	if (scan.has_underscore && !underscores_are_legal(unsigned_text, is_hex))
		return false;
	if (!convert(&scan, is_hex, &value))
		return false;
	*out = with_sign(value, scan.is_negative);
	return true;
}

/* A decimal: digits * 10^exponent. */
struct decimal {
	uint64_t digits;
	int exponent;
};

/*
 * The high 64 bits of power * factor, with the lowest bit set when there is more below ("round to
 * odd"). The power is at most one unit too large, which "> 1" forgives.
 */
static uint64_t
multiply_to_odd(struct pow10 power, uint64_t factor)
{
	uint128 low = (uint128)power.low * factor;
	uint128 high = (uint128)power.high * factor + (uint64_t)(low >> 64);
	return (uint64_t)(high >> 64) | ((uint64_t)high > 1);
}

/* 10^k rounded up. */
static struct pow10
power_rounded_up(int k)
{
	struct pow10 power = pow10_get(k);
	if (k < 0 || k > POW10_EXACT_MAX)
		power.high += ++power.low == 0;
	return power;
}

/* The shortest decimal that rounds to a finite double above 0; of several the closest to it. */
static struct decimal
shortest_decimal(double value)
{
	uint64_t image;
	memcpy(&image, &value, sizeof(image));
	uint64_t fraction = image & ((UINT64_C(1) << FRACTION_BITS) - 1);
	int field = (int)(image >> FRACTION_BITS);
	uint64_t bits = field ? fraction | UINT64_C(1) << FRACTION_BITS : fraction;
	int exponent = (field ? field : 1) - EXPONENT_BIAS - FRACTION_BITS;
	/* Below a power of two the next double is only half as far away. */
	bool is_lower_closer = fraction == 0 && field > 1;

	/* floor(log10(2^exponent)), or of 3/4 of that; constants in units of 2^-22. */
	int k = (exponent * 1262611 - (is_lower_closer ? 524031 : 0)) >> 22;
	int shift = exponent + pow10_log2(-k) + 1;
	struct pow10 power = power_rounded_up(-k);
	/* In quarters of 10^k: the value and the ends of what rounds to it. */
	uint64_t low = multiply_to_odd(power, (4 * bits - 2 + is_lower_closer) << shift);
	uint64_t middle = multiply_to_odd(power, (4 * bits) << shift);
	uint64_t high = multiply_to_odd(power, (4 * bits + 2) << shift);
	bool is_odd = bits & 1; /* ties go to even: the ends belong to even values only */
	low += is_odd;
	high -= is_odd;

	uint64_t below = middle / 4;
	uint64_t tens = below / 10;
	if (tens) {
		bool is_lower_inside = low <= 40 * tens;
		bool is_upper_inside = 40 * tens + 40 <= high;
		if (is_lower_inside != is_upper_inside)
			return (struct decimal){tens + is_upper_inside, k + 1};
	}
	bool is_lower_inside = low <= 4 * below;
	bool is_upper_inside = 4 * below + 4 <= high;
	if (is_lower_inside != is_upper_inside)
		return (struct decimal){below + is_upper_inside, k};
	uint64_t tie = 4 * below + 2;
	bool is_up = middle > tie || (middle == tie && (below & 1));
	return (struct decimal){below + is_up, k};
}

#define EIGHT_DIGITS 100000000u

/*
 * The digits of a number below 10^8 as bytes 0 to 9, the highest first in memory: halved three
 * times, all parts of a step in one multiplication (a division by 100, then by 10, as a product
 * with a shift).
 */
static uint64_t
eight_digits(uint32_t value)
{
	uint64_t fours = value / 10000 | (uint64_t)(value % 10000) << 32;
	uint64_t hundreds = fours * 10486 >> 20 & 0x0000007f0000007f;
	uint64_t pairs = hundreds | (fours - hundreds * 100) << 16;
	uint64_t tens = pairs * 103 >> 10 & 0x000f000f000f000f;
	return tens | (pairs - tens * 10) << 8;
}

/* Writes eight bytes, of which the first `count` are the last digits. */
static inline void
put_digits(uint64_t digits, unsigned count, char *out)
{
	uint64_t bytes = htole64((digits | 0x3030303030303030) >> (8 * (8 - count)));
	memcpy(out, &bytes, sizeof(bytes));
}

size_t
number_format_uint(uint64_t value, char *out)
{
	if (value < EIGHT_DIGITS) {
		uint64_t digits = eight_digits((uint32_t)value);
		/* Of nothing but zeros the last one counts. */
		unsigned zeros = (unsigned)__builtin_ctzll(digits | UINT64_C(1) << 56) / 8;
		put_digits(digits, 8 - zeros, out);
		return 8 - zeros;
	}
	size_t count = number_format_uint(value / EIGHT_DIGITS, out);
	put_digits(eight_digits((uint32_t)(value % EIGHT_DIGITS)), 8, out + count);
	return count + 8;
}

/*
 * Digits of a double, at most 17. They are copied in blocks of a fixed size, which is faster than
 * counting; what lies behind them is overwritten or not part of the result.
 */
struct digits {
	char text[32];
	size_t count;
};

/* "1.5e-07": at least two digits of exponent, always a sign. */
static size_t
write_with_exponent(const struct digits *digits, int exponent, char *out)
{
	char *p = out;
	*p++ = digits->text[0];
	if (digits->count > 1) {
		*p++ = '.';
		memcpy(p, digits->text + 1, 16);
		p += digits->count - 1;
	}
	*p++ = 'e';
	*p++ = exponent < 0 ? '-' : '+';
	unsigned size = (unsigned)abs(exponent);
	if (size >= 100)
		*p++ = (char)('0' + size / 100);
	*p++ = (char)('0' + size / 10 % 10);
	*p++ = (char)('0' + size % 10);
	return (size_t)(p - out);
}

/* "0.00015" or "1234.5"; `exponent` is that of the first digit, -4 to 5. */
static size_t
write_plain(const struct digits *digits, int exponent, char *out)
{
	if (exponent < 0) {
		size_t head = (size_t)-exponent + 1;
		memcpy(out, "0.000", 5);
		memcpy(out + head, digits->text, 17);
		return head + digits->count;
	}
	size_t whole = (size_t)exponent + 1;
	memcpy(out, digits->text, 6);
	if (digits->count <= whole)
		return whole;
	out[whole] = '.';
	memcpy(out + whole + 1, digits->text + whole, 16);
	return digits->count + 1;
}

static size_t
write_decimal(struct decimal decimal, char *out)
{
	while (decimal.digits % 10 == 0) {
		decimal.digits /= 10;
		decimal.exponent++;
	}
	struct digits digits;
	memset(digits.text, '0', sizeof(digits.text));
	digits.count = number_format_uint(decimal.digits, digits.text);
	int exponent = decimal.exponent + (int)digits.count - 1;
	if (exponent < -4 || exponent >= 6)
		return write_with_exponent(&digits, exponent, out);
	return write_plain(&digits, exponent, out);
}

size_t
number_format(double value, char *out)
{
	/* What most counters are; the cast is not undefined, as the comparisons come first. */
	if (value >= 0 && value < PLAIN_END && value == (double)(uint32_t)value)
		return number_format_uint((uint32_t)value, out);
	if (isnan(value)) {
		memcpy(out, "NaN", 3);
		return 3;
	}
	if (isinf(value)) {
		memcpy(out, value < 0 ? "-Inf" : "+Inf", 4);
		return 4;
	}
	size_t sign = value < 0;
	*out = '-';
	double size = fabs(value);
	/* Below 2^53 every integer is a double of its own, so no shorter text can mean it. */
	if (size < 9007199254740992.0 && size == (double)(int64_t)size) {
		uint64_t whole = (uint64_t)size;
		if (whole < PLAIN_END)
			return sign + number_format_uint(whole, out + sign);
		return sign + write_decimal((struct decimal){whole, 0}, out + sign);
	}
	return sign + write_decimal(shortest_decimal(size), out + sign);
}
