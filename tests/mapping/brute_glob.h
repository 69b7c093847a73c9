/* The meaning of globs spelled out, one pattern after the other: what the automaton must equal. */
#ifndef TESTS_MAPPING_BRUTE_GLOB_H
#define TESTS_MAPPING_BRUTE_GLOB_H

#include "base/span.h"

#include <stdint.h>

#define BRUTE_NONE UINT32_MAX

struct brute_glob {
	struct span pattern;
	unsigned kinds;
};

/* Takes the first component off `rest`; rest->ptr is NULL behind the last. */
static inline struct span
brute_component(struct span *rest)
{
	const char *dot = span_find(*rest, '.');
	struct span whole = *rest;
	if (!dot) {
		*rest = (struct span){NULL, 0};
		return whole;
	}
	size_t len = (size_t)(dot - whole.ptr);
	*rest = span_from(whole, len + 1);
	return span_first(whole, len);
}

static inline bool
brute_matches(struct span pattern, struct span name)
{
	while (pattern.ptr && name.ptr) {
		struct span want = brute_component(&pattern), got = brute_component(&name);
		if (!span_equal(want, SPAN("*")) && !span_equal(want, got))
			return false;
	}
	return !pattern.ptr && !name.ptr;
}

/* Whether `a` is literal where it first differs from `b`; both match the same name. */
static inline bool
brute_is_more_literal(struct span a, struct span b)
{
	while (a.ptr) {
		struct span left = brute_component(&a), right = brute_component(&b);
		if (!span_equal(left, right))
			return span_equal(right, SPAN("*"));
	}
	return false;
}

/* @return the number of the glob that wins, or BRUTE_NONE */
static inline uint32_t
brute_find(const struct brute_glob *globs, size_t count, bool is_ordered, unsigned kind,
	   struct span name)
{
	uint32_t best = BRUTE_NONE;
	for (size_t i = 0; i < count; i++) {
		if (!(globs[i].kinds >> kind & 1) || !brute_matches(globs[i].pattern, name))
			continue;
		if (best == BRUTE_NONE ||
		    (!is_ordered && brute_is_more_literal(globs[i].pattern, globs[best].pattern)))
			best = (uint32_t)i;
	}
	return best;
}

#endif
