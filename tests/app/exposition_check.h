/*
 * A strict reader of text format 0.0.4, for tests: stricter than Prometheus, since it knows how the
 * bridge writes. It says what is wrong first.
 */
#ifndef TESTS_APP_EXPOSITION_CHECK_H
#define TESTS_APP_EXPOSITION_CHECK_H

#include "base/alloc.h"
#include "base/buf.h"
#include "base/span.h"
#include "base/utf8.h"
#include "model/kind.h"
#include "model/name.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct exposition_check {
	struct span rest; /* lines not read yet */
	struct span line;
	const char *fault; /* NULL = none so far */

	struct span family;
	enum metric_type type;
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
check_family_head(struct exposition_check *c)
{
	struct span name, previous = c->family;
	if (!check_take_name(c, SPAN("# HELP "), &c->family) || !check_escapes(c, c->line, "\\n"))
		return false;
	if (previous.ptr && span_compare(previous, c->family) >= 0)
		return check_fails(c, "families are not ascending");
	if (!check_next_line(c) || !check_take_name(c, SPAN("# TYPE "), &name))
		return check_fails(c, "no TYPE behind HELP");
	if (!span_equal(name, c->family))
		return check_fails(c, "TYPE of another family");
	unsigned type = 0;
	while (type < METRIC_TYPES && !span_equal(c->line, span_text(metric_type_text(type))))
		type++;
	c->type = type;
	c->families =
	    xgrow(c->families, c->family_count, &c->family_capacity, sizeof(*c->families));
	c->families[c->family_count++] = c->family;
	return type < METRIC_TYPES || check_fails(c, "an unknown type");
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
		bool is_special = c->type >= METRIC_HISTOGRAM && span_equal(name, special);
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
	c->has_bucket = true;
	c->below = value;
	c->infinite = isinf(le) ? value : -1;
	return true;
}

static inline bool
check_value(struct exposition_check *c, struct span suffix, struct span extra, double value)
{
	bool is_observer = c->type >= METRIC_HISTOGRAM;
	if (!is_observer && suffix.len)
		return check_fails(c, "a sample of another family");
	if (c->type == METRIC_COUNTER && !(value >= 0 && isfinite(value)))
		return check_fails(c, "an impossible counter");
	if (!is_observer)
		return true;
	if (span_equal(suffix, SPAN("_sum")))
		return isfinite(value) || check_fails(c, "an impossible sum");
	if (span_equal(suffix, SPAN("_count"))) {
		if (c->type == METRIC_HISTOGRAM && c->infinite != value)
			return check_fails(c, "the last bucket is not the count");
		c->has_bucket = false;
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
	if (!check_number(c, span_from(c->line, 1), &value))
		return false;
	c->seen = xgrow(c->seen, c->seen_count, &c->seen_capacity, sizeof(*c->seen));
	c->seen[c->seen_count++] = series;
	return check_value(c, span_from(name, c->family.len), extra, value);
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

/** @return what is wrong with a scrape, a constant, or NULL; *where gets the line */
static inline const char *
exposition_find_fault(struct span text, struct span *where)
{
	struct exposition_check c = {.rest = text};
	if (!utf8_is_valid(text))
		check_fails(&c, "invalid UTF-8");
	while (!c.fault && check_next_line(&c)) {
		*where = c.line;
		if (span_starts(c.line, SPAN("#")) ? !check_family_head(&c) : !check_sample(&c))
			break;
	}
	if (!c.fault)
		check_is_unique(&c, c.seen, c.seen_count);
	if (!c.fault)
		check_is_unique(&c, c.families, c.family_count);
	free(c.seen);
	free(c.families);
	return c.fault;
}

#endif
