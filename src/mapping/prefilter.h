/*
 * mapping/prefilter - which of many regexes can match a name at all, from the texts they need.
 *
 * Each regex is filed under one short byte sequence ("gram") of a text that all its matches
 * contain: the one that fewest regexes share. One pass over a name finds the grams it has, and with
 * them the few regexes worth running. A regex without such a text is always a candidate.
 *
 * A lookup costs at most one pass over the name for each filed regex, usually one pass in all.
 */
#ifndef MAPPING_PREFILTER_H
#define MAPPING_PREFILTER_H

#include "base/check.h"
#include "base/span.h"

#include <stdint.h>

struct prefilter;

/** @return an empty filter, owned by the caller */
struct prefilter *prefilter_new(void) MUST_CHECK;
void prefilter_free(struct prefilter **filter);

/**
 * Adds the next regex; they are numbered from 0.
 *
 * @literals  texts that each match contains; the array is copied, the bytes are borrowed and must
 *            outlive the filter
 * @is_prefix whether literals[0] is where the name starts
 */
void prefilter_add(struct prefilter *filter, const struct span *literals, size_t count,
		   bool is_prefix);

/** Files all regexes; after the last prefilter_add() and before the first prefilter_find(). */
void prefilter_build(struct prefilter *filter);

/** @return 64-bit words that prefilter_find() needs */
size_t prefilter_words(const struct prefilter *filter);

/**
 * @words prefilter_words() of them; the first half is written: bit n of it is set unless regex n
 *        cannot match. The rest is working memory.
 */
void prefilter_find(const struct prefilter *filter, struct span name, uint64_t *words);

#endif
