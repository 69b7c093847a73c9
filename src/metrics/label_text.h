/*
 * metrics/label_text - label sets as the text that the exposition prints, which also is how the
 * registry keeps and compares them: `a="b",c="d"`, sorted by name, with `\`, `"` and line feed
 * escaped (text format 0.0.4).
 */
#ifndef METRICS_LABEL_TEXT_H
#define METRICS_LABEL_TEXT_H

#include "base/buf.h"
#include "model/labels.h"

/** Appends the text of a label set. */
void label_text_format(const struct labels *labels, struct buf *out);

/** Appends the text of one label. */
void label_text_add(const struct label *label, struct buf *out);

/**
 * Takes the next label from a text that label_text_format() made.
 *
 * @text the rest; advanced
 * @name, @value borrowed from the text; the value is still escaped
 * @return false at the end
 */
bool label_text_next(struct span *text, struct span *name, struct span *value);

/** Appends a value with its escapes undone. */
void label_text_unescape(struct span value, struct buf *out);

/** Compares two label texts by their values alone, in order, as if they were not escaped. */
int label_text_compare_values(struct span a, struct span b);

/**
 * Takes the next eight bytes of the values as a number, as sort_key_add() has it. Of texts with
 * equally many labels and equal keys so far, the one with the lower number comes first, as
 * label_text_compare_values() has it.
 *
 * @offset 0 at the beginning; advanced, at the end to the length of the text
 */
uint64_t label_text_key(struct span text, size_t *offset);

/**
 * Shortens a part of a text, so that what is behind it can be read on its own, whatever follows in
 * the next label's name.
 *
 * @offset of the part's beginning, which is in a value, not between a `\\` and what it escapes
 * @length of the part, in bytes
 * @return how much of it is left: it ends in a value likewise, or before the quote that ends one
 */
size_t label_text_settle(struct span text, size_t offset, size_t length);

#endif
