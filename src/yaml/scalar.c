#include "yaml/scalar.h"

#include "base/number.h"

#include <math.h>

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

bool
scalar_parse_flag(struct span text, bool *out)
{
	static const struct {
		struct span word;
		bool value;
	} words[] = {
	    {SPAN("y"), true},      {SPAN("Y"), true},      {SPAN("yes"), true},
	    {SPAN("Yes"), true},    {SPAN("YES"), true},    {SPAN("true"), true},
	    {SPAN("True"), true},   {SPAN("TRUE"), true},   {SPAN("on"), true},
	    {SPAN("On"), true},     {SPAN("ON"), true},     {SPAN("n"), false},
	    {SPAN("N"), false},     {SPAN("no"), false},    {SPAN("No"), false},
	    {SPAN("NO"), false},    {SPAN("false"), false}, {SPAN("False"), false},
	    {SPAN("FALSE"), false}, {SPAN("off"), false},   {SPAN("Off"), false},
	    {SPAN("OFF"), false},
	};
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		if (span_equal(text, words[i].word)) {
			*out = words[i].value;
			return true;
		}
	}
	return false;
}

/* Copies `text` without its underscores; YAML 1.1 allows them anywhere behind the first digit. */
static bool
drop_underscores(struct span text, char *out, struct span *number)
{
	if (text.len == 0 || text.len > SCALAR_NUMBER_MAX || text.ptr[0] == '_')
		return false;
	size_t len = 0;
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] != '_')
			out[len++] = text.ptr[i];
	*number = span_of(out, len);
	return true;
}

static unsigned
take_base(struct span *digits)
{
	if (digits->len < 2 || digits->ptr[0] != '0')
		return 10;
	unsigned base = 8;
	size_t prefix = 2;
	switch (digits->ptr[1]) {
	case 'x':
	case 'X':
		base = 16;
		break;
	case 'b':
	case 'B':
		base = 2;
		break;
	case 'o':
	case 'O':
		break;
	default:
		prefix = 1;
	}
	*digits = span_from(*digits, prefix);
	return base;
}

static unsigned
digit_value(char c)
{
	if (is_digit(c))
		return (unsigned)(c - '0');
	if (c >= 'a' && c <= 'f')
		return (unsigned)(c - 'a') + 10;
	if (c >= 'A' && c <= 'F')
		return (unsigned)(c - 'A') + 10;
	return 16;
}

/* An integer of any base. @text without underscores */
static bool
parse_integer(struct span text, bool *is_negative, uint64_t *magnitude)
{
	*is_negative = text.len && text.ptr[0] == '-';
	if (text.len && (text.ptr[0] == '-' || text.ptr[0] == '+'))
		text = span_from(text, 1);
	unsigned base = take_base(&text);
	if (text.len == 0)
		return false;
	*magnitude = 0;
	for (size_t i = 0; i < text.len; i++) {
		unsigned digit = digit_value(text.ptr[i]);
		if (digit >= base || __builtin_mul_overflow(*magnitude, base, magnitude) ||
		    __builtin_add_overflow(*magnitude, digit, magnitude))
			return false;
	}
	return true;
}

static size_t
skip_digits(struct span text, size_t at)
{
	while (at < text.len && is_digit(text.ptr[at]))
		at++;
	return at;
}

/* Sign, digits with an optional point, optional decimal exponent: no hexadecimal, no words. */
static bool
looks_like_float(struct span text)
{
	size_t at = text.len && (text.ptr[0] == '-' || text.ptr[0] == '+');
	size_t digits = skip_digits(text, at) - at;
	at += digits;
	if (at < text.len && text.ptr[at] == '.') {
		size_t end = skip_digits(text, at + 1);
		digits += end - at - 1;
		at = end;
	}
	if (!digits)
		return false;
	if (at < text.len && (text.ptr[at] == 'e' || text.ptr[at] == 'E')) {
		at++;
		at += at < text.len && (text.ptr[at] == '-' || text.ptr[at] == '+');
		size_t end = skip_digits(text, at);
		if (end == at)
			return false;
		at = end;
	}
	return at == text.len;
}

static bool
parse_special(struct span text, double *out)
{
	bool is_negative = text.len && text.ptr[0] == '-';
	bool has_sign = is_negative || (text.len && text.ptr[0] == '+');
	struct span word = span_from(text, has_sign);
	if (span_equal(word, SPAN(".inf")) || span_equal(word, SPAN(".Inf")) ||
	    span_equal(word, SPAN(".INF")))
		*out = is_negative ? -INFINITY : INFINITY;
	else if (!has_sign && (span_equal(word, SPAN(".nan")) || span_equal(word, SPAN(".NaN")) ||
			       span_equal(word, SPAN(".NAN"))))
		*out = NAN;
	else
		return false;
	return true;
}

bool
scalar_parse_number(struct span text, double *out)
{
	char copy[SCALAR_NUMBER_MAX];
	struct span number;
	bool is_negative;
	uint64_t magnitude;
	if (!drop_underscores(text, copy, &number))
		return false;
	if (parse_integer(number, &is_negative, &magnitude)) {
		*out = is_negative ? -(double)magnitude : (double)magnitude;
		return true;
	}
	if (parse_special(number, out))
		return true;
	return looks_like_float(number) && number_parse(number, out);
}

bool
scalar_parse_count(struct span text, uint64_t max, uint64_t *out)
{
	char copy[SCALAR_NUMBER_MAX];
	struct span number;
	bool is_negative;
	uint64_t magnitude;
	double value;
	if (!drop_underscores(text, copy, &number))
		return false;
	if (!parse_integer(number, &is_negative, &magnitude)) {
		if (!scalar_parse_number(number, &value) ||
		    !(value >= 0 && value < 0x1p63 && value == floor(value)))
			return false;
		magnitude = (uint64_t)value;
		is_negative = false;
	}
	if ((is_negative && magnitude) || magnitude > max)
		return false;
	*out = magnitude;
	return true;
}

bool
scalar_parse_nanoseconds(struct span text, int64_t *out_ns)
{
	char copy[SCALAR_NUMBER_MAX];
	struct span number;
	bool is_negative;
	uint64_t magnitude;
	double value;
	if (!drop_underscores(text, copy, &number))
		return false;
	if (parse_integer(number, &is_negative, &magnitude)) {
		if (magnitude > INT64_MAX)
			return false;
		*out_ns = is_negative ? -(int64_t)magnitude : (int64_t)magnitude;
		return true;
	}
	if (!scalar_parse_number(number, &value) || !(value > -0x1p63 && value < 0x1p63))
		return false;
	*out_ns = (int64_t)value;
	return true;
}

/* Takes the unit at the start of *rest. */
static bool
take_unit(struct span *rest, uint64_t *unit_ns)
{
	static const uint64_t second = 1000000000;
	static const struct {
		struct span name;
		uint64_t ns;
	} units[] = {
	    {SPAN("ns"), 1},
	    {SPAN("us"), 1000},
	    {SPAN("\xc2\xb5s"), 1000}, /* micro sign */
	    {SPAN("\xce\xbcs"), 1000}, /* Greek mu */
	    {SPAN("ms"), 1000000},
	    {SPAN("s"), second},
	    {SPAN("m"), 60 * second},
	    {SPAN("h"), 3600 * second},
	    {SPAN("d"), 24 * 3600 * second},
	    {SPAN("w"), 7 * 24 * 3600 * second},
	};
	size_t len = 0;
	while (len < rest->len && rest->ptr[len] != '.' && !is_digit(rest->ptr[len]))
		len++;
	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++) {
		if (span_equal(span_first(*rest, len), units[i].name)) {
			*unit_ns = units[i].ns;
			*rest = span_from(*rest, len);
			return true;
		}
	}
	return false;
}

/* Takes one "1.5h" and adds it to *total_ns; false also when the sum leaves 64 bits. */
static bool
take_part(struct span *rest, uint64_t *total_ns)
{
	size_t whole_len = skip_digits(*rest, 0), end = whole_len;
	uint64_t whole = 0;
	for (size_t i = 0; i < whole_len; i++)
		if (__builtin_mul_overflow(whole, 10u, &whole) ||
		    __builtin_add_overflow(whole, (uint64_t)(rest->ptr[i] - '0'), &whole))
			return false;
	uint64_t fraction = 0;
	double scale = 1;
	if (end < rest->len && rest->ptr[end] == '.') {
		end = skip_digits(*rest, end + 1);
		/* Digits that do not fit are worth less than a nanosecond of a week. */
		for (size_t i = whole_len + 1; i < end && fraction <= (INT64_MAX - 9) / 10; i++) {
			fraction = fraction * 10 + (uint64_t)(rest->ptr[i] - '0');
			scale *= 10;
		}
	}
	bool has_digits = whole_len > 0 || end > whole_len + 1;
	*rest = span_from(*rest, end);
	uint64_t unit_ns;
	if (!has_digits || !take_unit(rest, &unit_ns))
		return false;
	uint64_t part_ns;
	if (__builtin_mul_overflow(whole, unit_ns, &part_ns) ||
	    __builtin_add_overflow(
		part_ns, (uint64_t)((double)fraction * ((double)unit_ns / scale)), &part_ns))
		return false;
	return !__builtin_add_overflow(*total_ns, part_ns, total_ns);
}

bool
scalar_parse_duration(struct span text, int64_t *out_ns)
{
	bool is_negative = text.len && text.ptr[0] == '-';
	if (text.len && (text.ptr[0] == '-' || text.ptr[0] == '+'))
		text = span_from(text, 1);
	if (span_equal(text, SPAN("0"))) {
		*out_ns = 0;
		return true;
	}
	if (text.len == 0)
		return false;
	uint64_t total_ns = 0;
	while (text.len)
		if (!take_part(&text, &total_ns))
			return false;
	if (total_ns > INT64_MAX)
		return false;
	*out_ns = is_negative ? -(int64_t)total_ns : (int64_t)total_ns;
	return true;
}
