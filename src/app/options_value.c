#include "app/options_table.h"

#include "base/number.h"

#include <strings.h>

#define DIGITS "0123456789"

bool
option_parse_int(const char *text, int64_t *out)
{
	double value;
	if (!number_parse(span_text(text), &value))
		return false;
	/* Written so that NaN fails too. 2^63 is the first double that does not fit. */
	if (!(value >= -0x1p63 && value < 0x1p63))
		return false;
	*out = (int64_t)value;
	return true;
}

/* Cuts the prefix off *text. @return the base it names */
static unsigned
cut_base(const char **text)
{
	const char *digits = *text;
	if (digits[0] != '0' || digits[1] == '\0')
		return 10;
	unsigned base = 8;
	if (digits[2] != '\0') {
		char letter = digits[1] | 0x20;
		base = letter == 'x' ? 16 : letter == 'b' ? 2 : 8;
		if (base != 8 || letter == 'o')
			digits++;
	}
	*text = digits + 1;
	return base;
}

static unsigned
digit_value(char digit)
{
	if (digit >= '0' && digit <= '9')
		return (unsigned)(digit - '0');
	char letter = digit | 0x20;
	return letter >= 'a' && letter <= 'f' ? (unsigned)(letter - 'a' + 10) : 16;
}

bool
option_parse_uint(const char *text, uint64_t *out)
{
	const char *at = text;
	unsigned base = cut_base(&at);
	/* A '_' may stand behind a digit or the prefix, and a digit must follow it. */
	bool underscore_may_follow = at != text, complete = false;
	uint64_t value = 0;
	for (; *at; at++) {
		complete = *at != '_';
		if (!complete && !underscore_may_follow)
			return false;
		underscore_may_follow = complete;
		if (!complete)
			continue;
		unsigned digit = digit_value(*at);
		if (digit >= base || __builtin_mul_overflow(value, base, &value) ||
		    __builtin_add_overflow(value, digit, &value))
			return false;
	}
	if (complete)
		*out = value;
	return complete;
}

static const struct duration_unit {
	struct span name;
	int64_t ns;
} duration_units[] = {
    {SPAN("ns"), 1},
    {SPAN("us"), 1000},
    {SPAN("\u00b5s"), 1000}, /* micro sign */
    {SPAN("\u03bcs"), 1000}, /* Greek mu */
    {SPAN("ms"), 1000 * 1000},
    {SPAN("s"), 1000 * 1000 * 1000},
    {SPAN("m"), 60LL * 1000 * 1000 * 1000},
    {SPAN("h"), 3600LL * 1000 * 1000 * 1000},
    {SPAN("d"), 24 * 3600LL * 1000 * 1000 * 1000},
    {SPAN("w"), 7 * 24 * 3600LL * 1000 * 1000 * 1000},
};

/* @return nanoseconds in the unit, or 0 */
static int64_t
find_unit(struct span name)
{
	for (size_t i = 0; i < sizeof(duration_units) / sizeof(*duration_units); i++) {
		if (span_equal(name, duration_units[i].name))
			return duration_units[i].ns;
	}
	return 0;
}

/* Cuts up to 18 digits behind a point off *text; more change nothing. @return their part of `unit`
 */
static int64_t
cut_fraction(const char **text, int64_t unit)
{
	int64_t digits = 0;
	double scale = 1;
	for (size_t i = 0; **text >= '0' && **text <= '9'; i++, ++*text) {
		if (i >= 18)
			continue;
		digits = digits * 10 + (**text - '0');
		scale *= 10;
	}
	return (int64_t)((double)digits * ((double)unit / scale));
}

/* Cuts one "12.5h" off *text and adds it to *total. */
static bool
add_duration_part(const char **text, int64_t *total)
{
	const char *fraction = *text + strspn(*text, DIGITS);
	bool has_digits = fraction != *text;
	if (*fraction == '.')
		fraction++;
	const char *name = fraction + strspn(fraction, DIGITS);
	has_digits |= name != fraction;
	size_t name_len = strcspn(name, DIGITS ".");
	int64_t unit = find_unit(span_of(name, name_len)), part = 0;
	if (!has_digits || !unit)
		return false;
	for (const char *at = *text; *at >= '0' && *at <= '9'; at++) {
		if (__builtin_mul_overflow(part, 10, &part) ||
		    __builtin_add_overflow(part, *at - '0', &part))
			return false;
	}
	*text = name + name_len;
	return !__builtin_mul_overflow(part, unit, &part) &&
	       !__builtin_add_overflow(part, cut_fraction(&fraction, unit), &part) &&
	       !__builtin_add_overflow(*total, part, total);
}

bool
option_parse_duration(const char *text, int64_t *out)
{
	if (*text == '+')
		text++;
	int64_t total = 0;
	if (strcmp(text, "0") == 0) {
		*out = 0;
		return true;
	}
	do {
		if (!add_duration_part(&text, &total))
			return false;
	} while (*text);
	*out = total;
	return true;
}

int
option_parse_mode(const char *text)
{
	int64_t mode = 0;
	for (; *text; text++) {
		if (*text < '0' || *text > '7')
			return -1;
		mode = mode * 8 + (*text - '0');
		if (mode > INT32_MAX)
			return -1;
	}
	return (int)(mode & 0777);
}

int
option_find_choice(const char *choices, const char *text, bool any_case)
{
	size_t len = strlen(text);
	for (int i = 0;; i++) {
		size_t word = strcspn(choices, "|");
		bool same = any_case ? strncasecmp(choices, text, word) == 0
				     : strncmp(choices, text, word) == 0;
		if (word == len && same)
			return i;
		if (choices[word] == '\0')
			return -1;
		choices += word + 1;
	}
}
