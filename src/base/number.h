/*
 * base/number - text to double and back, without locale and without allocation.
 */
#ifndef BASE_NUMBER_H
#define BASE_NUMBER_H

#include "base/check.h"
#include "base/span.h"

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

/** Writes `value` as plain decimal digits. @out at least 20 bytes. @return bytes written */
size_t number_format_uint(uint64_t value, char *out);

#endif
