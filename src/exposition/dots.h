/*
 * exposition/dots - the escaping scheme "dots" of the UTF-8 name escapings of Prometheus
 * (prometheus/common: model/metric.go, EscapeName, which servers follow where the document
 * differs).
 *
 * It makes every '_' two and '.' "_dot_", so it also changes names that are legal without. Whoever
 * asked for it can undo it, and then must not find an `a_b` that was never escaped: so it is done,
 * although no other scheme has anything to do here. Suffixes such as `_bucket`, `le` and `quantile`
 * come behind and stay as they are, as client libraries have it. The order of names stays the same.
 */
#ifndef EXPOSITION_DOTS_H
#define EXPOSITION_DOTS_H

#include "metrics/reader.h"

/**
 * Shows what a reader shows, with the names of families and labels escaped. They must be legal.
 *
 * @reader consumed
 */
struct reader *exposition_dots_reader(struct reader **reader);

#endif
