/*
 * A pattern, a newline, a name. What is taken for RE2's language must hold none of what RE2 lacks,
 * as PCRE2 sees it, and the filter must let through every name that matches.
 */
#include "base/check.h"
#include "base/utf8.h"
#include "mapping/re2.h"
#include "mapping/regex.h"
#include "mapping/rule.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

/* Longer patterns only take longer. */
#define FUZZ_PATTERN_MAX 200
#define FUZZ_NAME_MAX 200

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint32_t
info(const pcre2_code *code, uint32_t what)
{
	uint32_t value = 0;
	CHECK(pcre2_pattern_info(code, what, &value) == 0);
	return value;
}

static void
check_features(const pcre2_code *code, const struct re2_pattern *pattern)
{
	CHECK(info(code, PCRE2_INFO_BACKREFMAX) == 0);
	CHECK(info(code, PCRE2_INFO_HASBACKSLASHC) == 0);
	CHECK(info(code, PCRE2_INFO_NAMECOUNT) == 0);
	CHECK(info(code, PCRE2_INFO_CAPTURECOUNT) == pattern->group_count);
	/* \b and (?m)^ look back one character. */
	CHECK(info(code, PCRE2_INFO_MAXLOOKBEHIND) <= 1);
}

static void
check_literals(const struct re2_pattern *pattern, struct span name)
{
	const char *at = name.ptr;
	for (size_t i = 0; i < pattern->literal_count; i++) {
		struct span literal = re2_literal_text(pattern, i);
		size_t left = (size_t)(name.ptr + name.len - at);
		at = memmem(at, left, literal.ptr, literal.len);
		CHECK(at);
		CHECK(i > 0 || !pattern->starts_with_literal || span_starts(name, literal));
		at += literal.len;
	}
}

/* @return whether it matches; *is_sure is false when PCRE2 gave up */
static bool
match_alone(const pcre2_code *code, struct span name, bool *is_sure)
{
	pcre2_match_context *context = pcre2_match_context_create(NULL);
	pcre2_match_data *data = pcre2_match_data_create_from_pattern(code, NULL);
	pcre2_set_match_limit(context, REGEX_MATCH_LIMIT / 10);
	int groups = pcre2_match(code, (PCRE2_SPTR)name.ptr, name.len, 0, 0, data, context);
	*is_sure = groups >= 0 || groups == PCRE2_ERROR_NOMATCH;
	pcre2_match_data_free(data);
	pcre2_match_context_free(context);
	return groups >= 0;
}

static void
check_set(struct span pattern, struct span name, bool is_match)
{
	struct diag diag = DIAG_INIT;
	struct diag_place place = {.file = "fuzz"};
	struct regex_set *set = regex_set_new();
	struct regex_scratch *scratch = regex_scratch_new();
	CHECK(regex_set_add(set, pattern, KINDS_ALL, 0, &diag, place, "match"));
	regex_set_build(set);
	struct regex_match match;
	uint32_t rule;
	bool is_found = regex_set_find(set, scratch, EVENT_GAUGE, name, &match);
	CHECK(is_found == is_match || regex_set_limit_hits(set, 0, &rule) > 0);
	regex_scratch_free(&scratch);
	regex_set_free(&set);
	diag_fini(&diag);
}

static void
check(const struct re2_pattern *translated, struct span pattern, struct span name)
{
	int error;
	PCRE2_SIZE offset;
	struct span text = buf_span(&translated->pcre);
	for (size_t i = 0; i < text.len; i++)
		CHECK((unsigned char)text.ptr[i] < 0x80);
	pcre2_code *code = pcre2_compile((PCRE2_SPTR)text.ptr, text.len,
					 PCRE2_UTF | PCRE2_DOLLAR_ENDONLY | PCRE2_ALT_CIRCUMFLEX,
					 &error, &offset, NULL);
	if (!code)
		return;
	check_features(code, translated);
	bool is_sure;
	bool is_match = match_alone(code, name, &is_sure);
	if (is_match)
		check_literals(translated, name);
	if (is_sure)
		check_set(pattern, name, is_match);
	pcre2_code_free(code);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span pattern = {(const char *)data, size}, name = SPAN("");
	const char *end = span_find(pattern, '\n');
	if (size == 0)
		return 0;
	if (end) {
		name = span_from(pattern, (size_t)(end - pattern.ptr) + 1);
		pattern.len = (size_t)(end - pattern.ptr);
	}
	if (pattern.len > FUZZ_PATTERN_MAX || name.len > FUZZ_NAME_MAX)
		return 0;
	struct re2_pattern translated;
	struct re2_error error;
	if (re2_translate(pattern, &translated, &error)) {
		if (utf8_is_valid(name))
			check(&translated, pattern, name);
	} else {
		CHECK(error.position <= pattern.len && error.reason);
	}
	re2_pattern_fini(&translated);
	return 0;
}
