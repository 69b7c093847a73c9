/*
 * mapping/re2 - reads a regular expression in RE2's syntax and rewrites it for PCRE2.
 *
 * Only what RE2 (Go's regexp with Perl flags) has is let through; look-around, back-references,
 * atomic groups, possessive repetition, recursion, conditionals, callouts, verbs and comments are
 * refused with their place. What both have but read differently is rewritten to RE2's meaning:
 *
 *	\v              one character, U+000B
 *	\s \S           without U+000B
 *	\1 \12 \123     \12 and \123 are octal; \1 is refused
 *	\pN \p{Greek}   scripts by their script property; under (?i) Lu, Ll and Lt take all three
 *	{,5} {x         literal text
 *	^* \b+          repetition of an assertion
 *	(?P<n>..)       a plain group; its name, which may start with a digit, is kept here
 *
 * Left as PCRE2 has it: what a group holds after repetitions that took nothing, as in (a*)*; and
 *that \w and [[:alpha:]] take only ASCII also under (?i). Refused though RE2 takes it: a repetition
 *right behind flags, a(?i)*.
 *
 * Pure: no compiled code, no diagnostics.
 */
#ifndef MAPPING_RE2_H
#define MAPPING_RE2_H

#include "base/buf.h"
#include "base/check.h"
#include "base/span.h"

#include <stdint.h>

/* RE2's own limits. */
#define RE2_REPEAT_MAX 1000
#define RE2_NESTING_MAX 1000
/* More pieces of text do not make a better filter. */
#define RE2_LITERALS_MAX 16

/* A text that every match contains. */
struct re2_literal {
	size_t start, len; /* bytes of `literal_bytes` */
};

struct re2_pattern {
	struct buf pcre;       /* for PCRE2: UTF, DOLLAR_ENDONLY, ALT_CIRCUMFLEX; ASCII only */
	size_t group_count;    /* capturing groups, numbered from 1 */
	char **group_names;    /* group_count + 1 items, NULL = no name; [0] is the whole match */
	size_t group_capacity; /* items allocated */
	struct buf literal_bytes;
	struct re2_literal literals[RE2_LITERALS_MAX]; /* in the order they stand in the match */
	size_t literal_count;
	bool starts_with_literal; /* literals[0] is where the name starts */
};

struct re2_error {
	size_t position; /* byte offset into the pattern */
	const char *reason;
};

/**
 * Reads a pattern.
 *
 * @out    written in any case; free it with re2_pattern_fini() in any case
 * @error  written on failure only
 * @return whether it is a pattern RE2 takes
 */
bool re2_translate(struct span pattern, struct re2_pattern *out,
		   struct re2_error *error) MUST_CHECK;

void re2_pattern_fini(struct re2_pattern *pattern);

static inline struct span
re2_literal_text(const struct re2_pattern *pattern, size_t literal)
{
	const struct re2_literal *at = &pattern->literals[literal];
	return span_of(pattern->literal_bytes.ptr + at->start, at->len);
}

#endif
