/*
 * exposition/lines - private to the folder: what the line-based formats have in common. A line is a
 * name, labels in braces, a blank and a number; `le` and `quantile` are always the last label; no
 * timestamps.
 */
#ifndef EXPOSITION_LINES_H
#define EXPOSITION_LINES_H

#include "base/buf.h"
#include "metrics/reader.h"

/* How a format spells numbers, and what it forbids. */
struct lines_dialect {
	/** Writes a number; @out at least NUMBER_TEXT_MAX bytes; @return bytes written */
	size_t (*format_value)(double value, char *out);
	size_t (*format_count)(uint64_t count, char *out);
	/* Bounds and quantiles always have a point or an exponent: "1.0". */
	bool has_points;
	/* Sums and quantiles that are negative are left out, and so is the count of such a
	 * histogram, which OpenMetrics wants only together with its sum. */
	bool forbids_negatives;
	/* Counters, histograms and summaries have `_created`, too, where it is known when they were
	 * born. */
	bool has_created;
};

/** Appends a "# HELP" or "# TYPE" line. @word "HELP" or "TYPE" @text written as it is */
void lines_add_comment(struct buf *out, struct span word, struct span name, struct span text);

/**
 * Appends a HELP line.
 *
 * @escapes_quotes whether '"' is escaped; backslash and line feed always are
 */
void lines_add_help(struct buf *out, struct span name, struct span help, bool escapes_quotes);

/**
 * Appends counters with their exemplars and, where the dialect has them, the times they were born:
 * NAME_total and NAME_created.
 */
void lines_add_counters(struct buf *out, const struct lines_dialect *dialect, struct span name,
			const struct series_view *series, size_t count);

/**
 * Appends all lines of `count` series of a family.
 *
 * @name of the samples, before a suffix such as `_bucket`
 */
void lines_add_series(struct buf *out, const struct lines_dialect *dialect, struct span name,
		      enum metric_type type, const struct series_view *series, size_t count);

#endif
