/*
 * base/number - text to double and back, without locale and without allocation.
 */
#ifndef BASE_NUMBER_H
#define BASE_NUMBER_H

#include "base/check.h"
#include "base/span.h"

#include <endian.h>
#include <stdint.h>

/* Longest text number_format() writes: "-2.2250738585072014e-308" and some room. */
#define NUMBER_TEXT_MAX 32

/**
 * Parses all of `text` as Go's strconv.ParseFloat(text, 64) does, correctly rounded: optional sign,
 * decimal digits with optional point and exponent; hexadecimal floats with a mandatory 'p'
 * exponent; single underscores between digits, only where Go takes them (base prefix rule aside:
 * "1_000" is 1000); "inf", "infinity" with optional sign and "nan" without, any case. Underflow
 * gives zero.
 *
 * @out written on success only
 * @return false on a syntax error, on overflow ("1e400") and on the empty text
 */
bool number_parse(struct span text, double *out) MUST_CHECK;

/**
 * Parses what nearly every line carries: one to eight bytes, digits with perhaps one point among
 * them. Every byte is looked at together with the others, so that the length costs no guess.
 *
 * @end    behind the text; the NUMBER_SHORT_MAX bytes before it are readable
 * @len    of the text
 * @out    what number_parse() gives; written on success only
 * @return false for any other text, right or wrong
 */
#define NUMBER_SHORT_MAX 8
static inline bool
number_parse_short(const char *end, size_t len, double *out)
{
	static const double power[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7};
	uint64_t text, ones = UINT64_C(0x0101010101010101);
	if (len - 1 >= NUMBER_SHORT_MAX)
		return false;
	memcpy(&text, end - 8, sizeof(text));
	text = le64toh(text);
	/* The last byte is the highest. Bytes before the text become zeros, which count for
	 * nothing. */
	uint64_t outside = (UINT64_C(1) << (64 - 8 * len) % 64) - 1;
	text = (text & ~outside) | ('0' * ones & outside);
	uint64_t x = text ^ '.' * ones;
	uint64_t points = ~(((x & 0x7f * ones) + 0x7f * ones) | x | 0x7f * ones);
	double divisor = 1;
	if (points) {
		unsigned at =
		    (unsigned)__builtin_ctzll(points) & ~7u; /* bits before the first point */
		uint64_t before = (UINT64_C(1) << at) - 1;
		text = (text & ~(before << 8 | 0xff)) | (text & before) << 8 | '0';
		divisor = power[(56 - at) / 8];
		if (len == 1)
			return false;
	}
	text ^= '0' * ones;
	if (((text + 0x76 * ones) | text) & 0x80 * ones)
		return false;
	text = text * 10 + (text >> 8); /* pairs, in every other byte */
	text = ((text & UINT64_C(0x000000ff000000ff)) * UINT64_C(0x000f424000000064) +
		(text >> 16 & UINT64_C(0x000000ff000000ff)) * UINT64_C(0x0000271000000001)) >>
	       32;
	*out = (double)(uint32_t)text / divisor;
	return true;
}

/**
 * Writes the shortest decimal text that reads back as `value`, in the spelling of Go's
 * strconv.FormatFloat(value, 'g', -1, 64) with the exponent threshold Prometheus's text format has:
 * exponent form where the decimal exponent is below -4 or at least 6 (at least two exponent digits,
 * always a sign), else plain: "100000", "1e+06", "0.0001", "1e-05". "NaN", "+Inf", "-Inf"; -0 is
 * "0".
 *
 * @out at least NUMBER_TEXT_MAX bytes, all of which may be overwritten; not NUL-terminated
 * @return bytes written
 */
size_t number_format(double value, char *out);

/** Writes `value` as plain decimal digits. @out at least 20 bytes, all of which may be overwritten.
 * @return bytes written */
size_t number_format_uint(uint64_t value, char *out);

#endif
