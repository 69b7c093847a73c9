/*
 * mapping/template - the text of a `name` or of a label's value, with references to what a match
 * captured.
 *
 * Parsed once; rendering only concatenates. Globs and regexes have different rules
 * (statsd_exporter's), and so two parsers:
 *
 * Glob: a reference is '$', at most one '{', the longest run of [A-Za-z0-9_$], at most one '}'. It
 * has a value if the run is a number from 1 to the count of stars, leading zeros allowed.
 *
 * Regex: Go's Regexp.Expand: "$name" or "${name}" of Unicode letters, digits and '_'; a number
 * without leading zeros, or a group's name; "$$" is '$'; anything else after '$' is just text.
 *
 * A reference that can never have a value renders as nothing.
 */
#ifndef MAPPING_TEMPLATE_H
#define MAPPING_TEMPLATE_H

#include "base/buf.h"
#include "base/check.h"
#include "base/span.h"

/* More references are refused: they would let one name of a client render into megabytes. */
#define TEMPLATE_REFERENCES_MAX 256

enum template_part_type {
	TEMPLATE_LITERAL, /* text is rendered */
	TEMPLATE_CAPTURE, /* the capture is rendered; text is the reference */
	TEMPLATE_DEAD,    /* nothing is; text is the reference that never has a value */
};

struct template_part {
	enum template_part_type type;
	struct span text; /* borrowed from the template's text */
	size_t capture;   /* from 1; 0 = all that a regex matched */
};

struct template
{
	struct template_part *parts; /* owned */
	size_t count, capacity;
	size_t references; /* parts that are no literals */
};

/**
 * Parses the template of a glob rule with `star_count` captures.
 *
 * @text borrowed; must outlive the template
 * @out  written in any case; free it with template_fini()
 * @return false when it has too many references
 */
bool template_parse_glob(struct span text, size_t star_count, struct template *out) MUST_CHECK;

/**
 * Parses the template of a regex rule.
 *
 * @names group_count + 1 items, NULL where a group has no name; borrowed for the call
 */
bool template_parse_regex(struct span text, size_t group_count, char *const *names,
			  struct template *out) MUST_CHECK;

void template_fini(struct template *template);

/** @return whether it renders as nothing, whatever is captured */
bool template_is_always_empty(const struct template *template);

/** Appends the rendered text. @captures as many as the template was parsed for, and [0] */
void template_render(const struct template *template, const struct span *captures, struct buf *out);

#endif
