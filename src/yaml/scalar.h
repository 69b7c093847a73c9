/*
 * yaml/scalar - what a YAML 1.1 scalar means as a boolean, a number or a duration.
 *
 * Rules: the YAML 1.1 types as statsd_exporter reads them; durations are Go's with days and weeks
 * added. Every function returns false where the text is something else and leaves *out alone.
 */
#ifndef YAML_SCALAR_H
#define YAML_SCALAR_H

#include "base/check.h"
#include "base/span.h"

#include <stdint.h>

/* A number with more characters is none. */
#define SCALAR_NUMBER_MAX 512

/** "yes", "True", "off" and so on; @text not quoted in the file */
bool scalar_parse_flag(struct span text, bool *out) MUST_CHECK;

/**
 * Integers (decimal, "0x", "0b", "0o", octal with a leading 0), decimal floats, ".inf", ".nan";
 * underscores between digits are dropped. @text not quoted in the file
 */
bool scalar_parse_number(struct span text, double *out) MUST_CHECK;

/** A whole number from 0 to `max`, also written as a float ("5.0"); @text not quoted in the file */
bool scalar_parse_count(struct span text, uint64_t max, uint64_t *out) MUST_CHECK;

/** "1h30m", "-5s", "0": ns us ms s m h d w, decimal fractions, any order; quoted or not */
bool scalar_parse_duration(struct span text, int64_t *out_ns) MUST_CHECK;

/** A bare number is nanoseconds, a fraction of one is cut off; @text not quoted in the file */
bool scalar_parse_nanoseconds(struct span text, int64_t *out_ns) MUST_CHECK;

#endif
