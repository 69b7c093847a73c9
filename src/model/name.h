/*
 * model/name - legal Prometheus names, and how an illegal one is escaped.
 *
 * Rules: statsd_exporter's escaping (its mapper's EscapeMetricName), which metric names and tag keys
 * share, so that series keep their names when the bridge is swapped.
 */
#ifndef MODEL_NAME_H
#define MODEL_NAME_H

#include "base/check.h"
#include "base/span.h"

/**
 * Escapes a metric name or a tag key into [A-Za-z_][A-Za-z0-9_]*.
 *
 * A leading digit gets '_' in front; any other illegal code point becomes one '_'; a '-' right behind
 * a '-' is dropped. Invalid UTF-8 counts one code point a byte.
 *
 * @raw  borrowed
 * @out  at least raw.len + 1 bytes
 * @return bytes written, 0 for an empty name
 */
size_t name_escape(struct span raw, char *out) MUST_CHECK;

/** @return how many bytes of a legal name `text` starts with, 0 when none begins there */
size_t name_legal_length(struct span text);

/** @return whether `name` is what name_escape() would leave as it is, and not empty */
bool name_is_legal(struct span name);

/** @return whether Prometheus keeps label names of this form for itself: they start with "__" */
bool label_name_is_reserved(struct span name);

#endif
