/*
 * metrics/value_limits - how many values a label may have.
 *
 * A limited label has so many places. The first values that come take them, whichever thread they
 * come to; a value keeps its place as long as a series with it exists. Whoever makes series takes
 * places first, and gives them back when no series was made; the registry tells when one has gone.
 *
 * Labels are limited file by file. What a file's series take is known by the file's scope: its path
 * and the labels that it limits. It outlives reloads, and a label's places are the same in all
 * scopes of a file.
 *
 * For births only: everything here takes a lock.
 */
#ifndef METRICS_VALUE_LIMITS_H
#define METRICS_VALUE_LIMITS_H

#include "base/check.h"
#include "base/span.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * What a value without a place becomes. It takes no place itself, and neither does the empty value,
 * which to Prometheus is no label.
 */
#define VALUE_OTHER SPAN("other")

/* Scopes are numbered from 1 to this. */
#define VALUE_SCOPES_MAX 4096

struct value_limits;

struct value_limits *value_limits_new(void);
void value_limits_free(struct value_limits **limits);

/**
 * Finds the scope of a file, or makes it. It is never given up.
 *
 * @path   of the file
 * @labels names; two scopes of a file differ in them
 * @return its number, or 0 when there are too many
 */
unsigned value_limits_scope(struct value_limits *limits, struct span path,
			    const struct span *labels, size_t count) MUST_CHECK;

/**
 * Takes a value's place, once more where it has one.
 *
 * @label index of the label in its scope
 * @max   places; a value that has one keeps it when there are fewer now
 * @return false when all are taken
 */
bool value_limits_take(struct value_limits *limits, unsigned scope, size_t label, uint32_t max,
		       struct span value) MUST_CHECK;

/** Gives a place back that was taken. */
void value_limits_give_back(struct value_limits *limits, unsigned scope, size_t label,
			    struct span value);

/** Gives all places back that a series had taken. @labels its text, see metrics/label_text */
void value_limits_series_gone(struct value_limits *limits, unsigned scope, struct span labels);

/** @return a number that grows when there is a place again where there was none; no lock */
uint64_t value_limits_freed(const struct value_limits *limits);

/* A limited label of a file, for own metrics. */
struct limited_label {
	struct span path, label; /* as long as the limits live */
	uint64_t values;         /* that have a place */
};

/** @return how many limited labels of files there have been; they are numbered from 0 */
size_t value_limits_labels(struct value_limits *limits);
struct limited_label value_limits_label(struct value_limits *limits, size_t number);

/** @return the number of a scope's label, by which it may be counted */
size_t value_limits_number(struct value_limits *limits, unsigned scope, size_t label);

#endif
