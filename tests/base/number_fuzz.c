/*
 * Text: what number_parse() takes, strtod takes in whole with the same result, and the other way
 * round where both know the syntax; leaving out legal underscores changes nothing. Bits: a
 * formatted double reads back as itself.
 */
#include "base/check.h"
#include "base/number.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool
same(double a, double b)
{
	return isnan(a) ? isnan(b) : memcmp(&a, &b, sizeof(a)) == 0;
}

static void
check_against_strtod(struct span text)
{
	char *plain = malloc(text.len + 1);
	size_t len = 0;
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] != '_')
			plain[len++] = text.ptr[i];
	}
	plain[len] = '\0';
	double got = 0, without = 0;
	bool is_number = number_parse(text, &got);
	if (is_number) {
		char *end;
		CHECK(same(got, strtod(plain, &end)) || isnan(got));
		CHECK(end == plain + len);
		CHECK(number_parse(span_of(plain, len), &without));
		CHECK(same(got, without));
	} else if (len == text.len && strspn(plain, "0123456789+-.eE") == len) {
		char *end;
		double want = strtod(plain, &end);
		CHECK(end != plain + len || len == 0 || isinf(want));
	}
	free(plain);
}

/* The short way takes only what the long one takes, with the same result, and all that is short. */
static void
check_short(struct span text)
{
	double want = 0, got = 0;
	if (text.len > NUMBER_SHORT_MAX)
		return;
	char room[2 * NUMBER_SHORT_MAX] = "1234567.";
	memcpy(room + NUMBER_SHORT_MAX, text.ptr, text.len);
	bool is_number = number_parse(text, &want);
	bool is_digits = is_number;
	for (size_t i = 0; i < text.len; i++)
		is_digits &= text.ptr[i] == '.' || (text.ptr[i] >= '0' && text.ptr[i] <= '9');
	CHECK(number_parse_short(room + NUMBER_SHORT_MAX + text.len, text.len, &got) == is_digits);
	CHECK(!is_digits || same(got, want));
}

static void
check_round_trip(const uint8_t *data)
{
	double value, back;
	memcpy(&value, data, sizeof(value));
	char text[NUMBER_TEXT_MAX];
	size_t len = number_format(value, text);
	CHECK(len > 0 && len <= sizeof(text));
	CHECK(number_parse(span_of(text, len), &back));
	CHECK(same(value, back) || value == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check_against_strtod(span_of((const char *)data, size));
	check_short(span_of((const char *)data, size < NUMBER_SHORT_MAX ? size : NUMBER_SHORT_MAX));
	for (size_t i = 0; i + sizeof(double) <= size; i += sizeof(double))
		check_round_trip(data + i);
	return 0;
}
