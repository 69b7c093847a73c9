/*
 * model/labels - a label set: sorted by name, one value a name.
 *
 * Holds borrowed spans only; whoever fills it keeps the bytes alive.
 */
#ifndef MODEL_LABELS_H
#define MODEL_LABELS_H

#include "base/check.h"
#include "base/span.h"

/* Tags a line may carry; a line with more is refused (too_many_tags). */
#define TAGS_MAX 256
/* Labels a mapping rule may set, on top of the tags, and its file for all metrics. */
#define RULE_LABELS_MAX 64
#define FILE_LABELS_MAX 64
#define LABELS_MAX (TAGS_MAX + RULE_LABELS_MAX + FILE_LABELS_MAX)

struct label {
	struct span name;  /* legal Prometheus label name */
	struct span value; /* valid UTF-8, raw (not escaped) */
};

struct labels {
	size_t count;
	struct label item[LABELS_MAX]; /* ascending by name, bytewise */
};

/**
 * Sets `name` to `value`, replacing the value it had.
 *
 * @return false when the set is full and `name` is new; nothing was changed then
 */
bool labels_set(struct labels *labels, struct span name, struct span value) MUST_CHECK;

/** @return the label, valid until the set changes, or NULL */
const struct label *labels_find(const struct labels *labels, struct span name);

/** Removes `name`; @return whether it was there */
bool labels_remove(struct labels *labels, struct span name);

#endif
