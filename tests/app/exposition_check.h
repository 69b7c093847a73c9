/*
 * A strict reader of text format 0.0.4 and of OpenMetrics, for tests: stricter than Prometheus,
 * since it knows how the bridge writes. It says what is wrong first.
 */
#ifndef TESTS_APP_EXPOSITION_CHECK_H
#define TESTS_APP_EXPOSITION_CHECK_H

#include "base/alloc.h"
#include "base/buf.h"
#include "base/span.h"
#include "base/utf8.h"
#include "model/kind.h"
#include "model/name.h"
#include "model/options.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Behind metric_type: what OpenMetrics calls a counter whose name does not end in "_total". */
#define CHECK_UNKNOWN METRIC_TYPES

struct exposition_check {
	bool is_openmetrics;
	struct span rest; /* lines not read yet */
	struct span line;
	const char *fault; /* NULL = none so far */

	struct span family;
	unsigned type; /* enum metric_type or CHECK_UNKNOWN */
	/* The histogram series in hand. */
	bool has_bucket;
	double below, infinite;

	struct span *seen; /* sample names with labels; owned */
	size_t seen_count, seen_capacity;
	struct span *families; /* owned */
	size_t family_count, family_capacity;
};

static inline bool
check_fails(struct exposition_check *c, const char *fault)
{
	if (!c->fault)
		c->fault = fault;
	return false;
}

static inline bool
check_next_line(struct exposition_check *c)
{
	if (!c->rest.len)
		return false;
	const char *end = span_find(c->rest, '\n');
	if (!end)
		return check_fails(c, "the last line has no end");
	c->line = span_of(c->rest.ptr, (size_t)(end - c->rest.ptr));
	c->rest = span_from(c->rest, c->line.len + 1);
	return true;
}

/* Takes "prefix" and a name from the front of the line. */
static inline bool
check_take_name(struct exposition_check *c, struct span prefix, struct span *name)
{
	if (!span_starts(c->line, prefix))
		return check_fails(c, "not the line expected");
	struct span rest = span_from(c->line, prefix.len);
	const char *blank = span_find(rest, ' ');
	if (!blank)
		return check_fails(c, "a comment without text");
	*name = span_of(rest.ptr, (size_t)(blank - rest.ptr));
	c->line = span_from(rest, name->len + 1);
	return name_is_legal(*name) || check_fails(c, "an illegal family name");
}

static inline bool
check_escapes(struct exposition_check *c, struct span text, const char *allowed)
{
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] != '\\')
			continue;
		if (++i == text.len || !text.ptr[i] || !strchr(allowed, text.ptr[i]))
			return check_fails(c, "a bad escape");
	}
	return true;
}

static inline bool
check_type(struct exposition_check *c)
{
	c->type = 0;
	while (c->type < METRIC_TYPES && !span_equal(c->line, span_text(metric_type_text(c->type))))
		c->type++;
	return c->type < METRIC_TYPES ||
	       (c->is_openmetrics && span_equal(c->line, SPAN("unknown"))) ||
	       check_fails(c, "an unknown type");
}

static inline bool
check_help(struct exposition_check *c)
{
	return check_escapes(c, c->line, c->is_openmetrics ? "\\\"n" : "\\n");
}

/* HELP and TYPE, in OpenMetrics TYPE and HELP. */
static inline bool
check_family_head(struct exposition_check *c)
{
	struct span name, previous = c->family;
	bool type_first = c->is_openmetrics;
	if (!check_take_name(c, type_first ? SPAN("# TYPE ") : SPAN("# HELP "), &c->family) ||
	    !(type_first ? check_type(c) : check_help(c)))
		return false;
	/* Without "_total" they come in another order. */
	if (!c->is_openmetrics && previous.ptr && span_compare(previous, c->family) >= 0)
		return check_fails(c, "families are not ascending");
	if (!check_next_line(c) ||
	    !check_take_name(c, type_first ? SPAN("# HELP ") : SPAN("# TYPE "), &name) ||
	    !(type_first ? check_help(c) : check_type(c)))
		return check_fails(c, "HELP without TYPE, or TYPE without HELP");
	if (!span_equal(name, c->family))
		return check_fails(c, "TYPE of another family");
	c->families =
	    xgrow(c->families, c->family_count, &c->family_capacity, sizeof(*c->families));
	c->families[c->family_count++] = c->family;
	return true;
}

static inline bool
check_is_observer(const struct exposition_check *c)
{
	return c->type == METRIC_HISTOGRAM || c->type == METRIC_SUMMARY;
}

/* Labels from behind '{' to behind '}'. @extra the value of `le` or `quantile`, where last */
static inline bool
check_labels(struct exposition_check *c, struct span *extra)
{
	struct span previous = {0};
	struct span special = c->type == METRIC_HISTOGRAM ? SPAN("le") : SPAN("quantile");
	for (;;) {
		const char *equals = span_find(c->line, '=');
		if (!equals)
			return check_fails(c, "a label without '='");
		struct span name = span_of(c->line.ptr, (size_t)(equals - c->line.ptr));
		size_t at = name.len + 2;
		if (c->line.len < at || equals[1] != '"')
			return check_fails(c, "a label value without quotes");
		while (at < c->line.len && c->line.ptr[at] != '"')
			at += c->line.ptr[at] == '\\' ? 2 : 1;
		if (at + 1 >= c->line.len)
			return check_fails(c, "a label value without end");
		struct span value = span_of(equals + 2, at - name.len - 2);
		char end = c->line.ptr[at + 1];
		bool is_special = check_is_observer(c) && span_equal(name, special);
		if (!name_is_legal(name) || label_name_is_reserved(name))
			return check_fails(c, "an illegal label name");
		if (!check_escapes(c, value, "\\\"n"))
			return false;
		if (!is_special && previous.ptr && span_compare(previous, name) >= 0)
			return check_fails(c, "labels are not ascending");
		if (is_special && end != '}')
			return check_fails(c, "le or quantile is not last");
		*extra = is_special ? value : (struct span){0};
		previous = name;
		c->line = span_from(c->line, at + 2);
		if (end == '}')
			return true;
		if (end != ',')
			return check_fails(c, "neither ',' nor '}' behind a label");
	}
}

static inline bool
check_number(struct exposition_check *c, struct span text, double *out)
{
	char copy[64], *end;
	if (!text.len || text.len >= sizeof(copy) || !strchr("0123456789+-N", text.ptr[0]))
		return check_fails(c, "no number");
	memcpy(copy, text.ptr, text.len);
	copy[text.len] = '\0';
	*out = strtod(copy, &end);
	return !*end || check_fails(c, "no number");
}

/* What a histogram's lines say together. */
static inline bool
check_bucket(struct exposition_check *c, struct span bound, double value)
{
	double le;
	if (!check_number(c, bound, &le))
		return false;
	if (c->has_bucket && value < c->below)
		return check_fails(c, "buckets shrink");
	c->has_bucket = !isinf(le);
	c->below = value;
	c->infinite = isinf(le) ? value : -1;
	return true;
}

static inline bool
check_value(struct exposition_check *c, struct span suffix, struct span extra, double value)
{
	struct span own =
	    c->type == METRIC_COUNTER && c->is_openmetrics ? SPAN("_total") : SPAN("");
	if ((c->type == METRIC_COUNTER || c->type == CHECK_UNKNOWN) &&
	    !(value >= 0 && isfinite(value)))
		return check_fails(c, "an impossible counter");
	if (!check_is_observer(c))
		return span_equal(suffix, own) || check_fails(c, "a sample of another family");
	if (span_equal(suffix, SPAN("_sum")))
		return isfinite(value) || check_fails(c, "an impossible sum");
	if (span_equal(suffix, SPAN("_count"))) {
		if (c->type == METRIC_HISTOGRAM && c->infinite != value)
			return check_fails(c, "the last bucket is not the count");
		return (value >= 0 && value == floor(value)) ||
		       check_fails(c, "an impossible count");
	}
	if (!extra.ptr)
		return check_fails(c, "neither le nor quantile");
	if (c->type == METRIC_HISTOGRAM)
		return span_equal(suffix, SPAN("_bucket")) ? check_bucket(c, extra, value)
							   : check_fails(c, "no bucket");
	return !suffix.len || check_fails(c, "a sample of another family");
}

/* Code points of the one label that the bridge's exemplars have, without its quotes and escapes. */
static inline size_t
check_exemplar_length(struct span label)
{
	size_t length = utf8_count(label) - strlen("=\"\"");
	for (size_t i = 0; i < label.len; i++) {
		if (label.ptr[i] == '\\') {
			length--;
			i++;
		}
	}
	return length;
}

/* What stands behind a value. @le the end of its bucket, or empty */
static inline bool
check_exemplar(struct exposition_check *c, struct span le)
{
	struct span start = SPAN(" # {"), unused = {0};
	double value, bound = HUGE_VAL, time;
	if (!c->is_openmetrics || !span_starts(c->line, start))
		return check_fails(c, "something behind the value");
	if (!le.ptr && c->type != METRIC_COUNTER)
		return check_fails(c, "an exemplar where none may be");
	c->line = span_from(c->line, start.len);
	const char *label = c->line.ptr;
	if (!check_labels(c, &unused))
		return false;
	if (check_exemplar_length(span_of(label, (size_t)(c->line.ptr - 1 - label))) >
	    EXEMPLAR_LENGTH_MAX)
		return check_fails(c, "an exemplar too long");
	/* Prometheus refuses a scrape for one, but not in the labels of a series. */
	if (span_find(span_of(label, (size_t)(c->line.ptr - label)), '\0'))
		return check_fails(c, "an exemplar with a NUL byte");
	const char *blank = c->line.len ? span_find(span_from(c->line, 1), ' ') : NULL;
	if (!blank || c->line.ptr[0] != ' ')
		return check_fails(c, "an exemplar without value or time");
	size_t end = (size_t)(blank - c->line.ptr);
	if (!check_number(c, span_of(c->line.ptr + 1, end - 1), &value) ||
	    !check_number(c, span_from(c->line, end + 1), &time) ||
	    (le.ptr && !check_number(c, le, &bound)))
		return false;
	return (value <= bound && time >= 0) || check_fails(c, "an exemplar of another bucket");
}

static inline bool
check_sample(struct exposition_check *c)
{
	struct span whole = c->line, extra = {0};
	size_t len = 0;
	while (len < c->line.len && c->line.ptr[len] != '{' && c->line.ptr[len] != ' ')
		len++;
	struct span name = span_first(c->line, len);
	if (len == c->line.len || !name_is_legal(name) || !span_starts(name, c->family))
		return check_fails(c, "an illegal name");
	bool has_labels = c->line.ptr[len] == '{';
	c->line = span_from(c->line, len + has_labels);
	if (has_labels && !check_labels(c, &extra))
		return false;
	struct span series = span_first(whole, whole.len - c->line.len);
	double value;
	if (!c->line.len || c->line.ptr[0] != ' ')
		return check_fails(c, "no value");
	c->line = span_from(c->line, 1);
	const char *blank = span_find(c->line, ' ');
	struct span number = blank ? span_first(c->line, (size_t)(blank - c->line.ptr)) : c->line;
	c->line = span_from(c->line, number.len);
	if (!check_number(c, number, &value))
		return false;
	c->seen = xgrow(c->seen, c->seen_count, &c->seen_capacity, sizeof(*c->seen));
	c->seen[c->seen_count++] = series;
	return check_value(c, span_from(name, c->family.len), extra, value) &&
	       (!c->line.len || check_exemplar(c, extra));
}

static inline int
check_compare(const void *a, const void *b)
{
	return span_compare(*(const struct span *)a, *(const struct span *)b);
}

static inline bool
check_is_unique(struct exposition_check *c, struct span *items, size_t count)
{
	if (count)
		qsort(items, count, sizeof(*items), check_compare);
	for (size_t i = 1; i < count; i++) {
		if (span_equal(items[i - 1], items[i]))
			return check_fails(c, "something is there twice");
	}
	return true;
}

static inline const char *
check_find_fault(struct exposition_check *c, struct span *where)
{
	if (!utf8_is_valid(c->rest))
		check_fails(c, "invalid UTF-8");
	while (!c->fault && check_next_line(c)) {
		*where = c->line;
		if (c->is_openmetrics && !c->rest.len) {
			if (!span_equal(c->line, SPAN("# EOF")))
				check_fails(c, "no end");
		} else if (span_starts(c->line, SPAN("#"))) {
			check_family_head(c);
		} else {
			check_sample(c);
		}
	}
	if (!c->fault)
		check_is_unique(c, c->seen, c->seen_count);
	if (!c->fault)
		check_is_unique(c, c->families, c->family_count);
	free(c->seen);
	free(c->families);
	return c->fault;
}

/** @return what is wrong with a scrape, a constant, or NULL; *where gets the line */
static inline const char *
exposition_find_fault(struct span text, struct span *where)
{
	struct exposition_check c = {.rest = text};
	return check_find_fault(&c, where);
}

/** The same for one in OpenMetrics. */
static inline const char *
openmetrics_find_fault(struct span text, struct span *where)
{
	struct exposition_check c = {.rest = text, .is_openmetrics = true};
	return check_find_fault(&c, where);
}

#endif
