/*
 * metrics/reader - the one way to read families and series: a cursor over families in name order,
 * and over each family's series in output order.
 *
 * Exposition formats know only this interface. What a view points to is borrowed and valid until the
 * reader moves on.
 */
#ifndef METRICS_READER_H
#define METRICS_READER_H

#include "base/span.h"
#include "model/kind.h"
#include "model/options.h"

#include <stdint.h>

struct family_view {
	struct span name; /* legal metric name */
	struct span help; /* UTF-8, raw */
	enum metric_type type;
};

/* Buckets of a native histogram that follow each other. */
struct native_span {
	int32_t offset; /* of the first: its index, or buckets left out since the span before */
	uint32_t length;
};

/* The buckets of positive or negative values, from those nearest to zero on. */
struct native_side {
	size_t span_count;
	const struct native_span *spans;
	size_t bucket_count;     /* the spans' lengths together */
	const uint64_t *buckets; /* counts, neither cumulative nor differences; some are 0 */
};

/*
 * A native histogram: bucket i is above 2^((i-1) / 2^schema) and up to 2^(i / 2^schema), of a sign;
 * in none is what is not above the threshold.
 */
struct native_view {
	int schema; /* -4 to 8 */
	double zero_threshold;
	uint64_t zero_count;
	struct native_side positive, negative;
};

/* One of the things that a number counts, and labels that say where to find more about it. */
struct exemplar_view {
	struct span labels; /* as those of a series; at most EXEMPLAR_TEXT_MAX bytes */
	double value;
	int64_t time_ms; /* since 1970 */
};

/* Bytes of one label with so many: escapes are shorter than the longest code points. */
#define EXEMPLAR_TEXT_MAX (EXEMPLAR_LENGTH_MAX * 4 + 3)

struct series_view {
	struct span labels; /* `a="b",c="d"`: sorted by name, values escaped as in text 0.0.4; may be
			     * empty */
	/* When the series was born, in milliseconds since 1970; 0 = not known. The same as long as it
	 * lives. */
	int64_t created_ms;
	double value; /* counters and gauges */

	/* Histograms and summaries. */
	double sum;
	uint64_t count; /* histograms: equal to the sum of `buckets` */

	/* Histograms: bound_count upper bounds and one bucket more, for +Inf; not cumulative. */
	size_t bound_count;
	const double *bounds;
	const struct span *bound_texts; /* the bounds as text 0.0.4 spells them */
	const uint64_t *buckets;
	/* The same as a native histogram, which counts less by what came while both were read. NULL
	 * when nobody asked for it, see reader_want(), or none is kept, or any more. */
	const struct native_view *native;

	/*
	 * Counters: one; histograms: one for each of `buckets`; labels.len 0 = none. NULL when
	 * nobody asked for them, see reader_want(), or there are none at all.
	 */
	const struct exemplar_view *exemplars;

	/* Summaries. */
	size_t quantile_count;
	const double *quantiles;	   /* 0 to 1, ascending */
	const struct span *quantile_texts; /* as text 0.0.4 spells them */
	const double *quantile_values;	   /* NaN when the window is empty */
};

#define READER_BATCH_BYTES 16384

struct reader;

struct reader_ops {
	/** Moves to the next family that has series. @return false at the end */
	bool (*next_family)(struct reader *reader, struct family_view *out);
	/**
	 * Moves over the next series of this family, at most `max` (above 0) of them and no more
	 * behind READER_BATCH_BYTES of labels, so that long ones make no long steps. Only counters
	 * and gauges come several at once, and none with exemplars; of those only `labels`,
	 * `created_ms`, `value` and `exemplars` are written.
	 *
	 * @return how many were put into `out`, 0 behind the last
	 */
	size_t (*next_batch)(struct reader *reader, struct series_view *out, size_t max);
	/** Frees the reader. */
	void (*free)(struct reader *reader);
	/** See reader_want(); NULL = it has none of them. */
	void (*want)(struct reader *reader, unsigned extras);
	/** See reader_has_series(); NULL = it cannot tell. */
	bool (*has_series)(struct reader *reader, struct span labels);
};

/* Implementations embed this first. */
struct reader {
	const struct reader_ops *ops;
};

static inline bool
reader_next_family(struct reader *reader, struct family_view *out)
{
	return reader->ops->next_family(reader, out);
}

static inline size_t
reader_next_batch(struct reader *reader, struct series_view *out, size_t max)
{
	return reader->ops->next_batch(reader, out, max);
}

/** Moves to the next series of this family. @return false behind the last */
static inline bool
reader_next_series(struct reader *reader, struct series_view *out)
{
	return reader_next_batch(reader, out, 1) == 1;
}

/* What costs time to read; bits. */
enum reader_extra { READER_NATIVE = 1, READER_EXEMPLARS = 2 };

/** Asks for extras, and for no others; before the first family. @extras enum reader_extra */
static inline void
reader_want(struct reader *reader, unsigned extras)
{
	if (reader->ops->want)
		reader->ops->want(reader, extras);
}

/**
 * @reader in a family
 * @labels a text as series have it
 * @return whether this family, as it is read, has a series of just these; false where the reader cannot
 *         tell
 */
static inline bool
reader_has_series(struct reader *reader, struct span labels)
{
	return reader->ops->has_series && reader->ops->has_series(reader, labels);
}

static inline void
reader_free(struct reader **reader)
{
	if (*reader)
		(*reader)->ops->free(*reader);
	*reader = NULL;
}

#endif
