/*
 * A summary is an ascending list of tuples, each standing for `width` observations up to its value,
 * whose rank is known to within `delta`. A batch is sorted and merged in; then neighbours are joined
 * wherever that keeps every target's error.
 */
#include "metrics/targeted.h"

#include "base/alloc.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct tuple {
	double value, width, delta;
};

struct stream {
	const struct quantile *targets;
	size_t target_count;
	double n; /* observations in the tuples */
	struct tuple *tuples, *spare;
	size_t count;
	double batch[TARGETED_BATCH];
	size_t batch_count;
};

/* The uncertainty of rank that every target allows at `rank`; the paper's f(r, n). */
static double
allowed_error(const struct stream *stream, double rank)
{
	double least = DBL_MAX;
	for (size_t i = 0; i < stream->target_count; i++) {
		double q = stream->targets[i].quantile, error = stream->targets[i].error;
		double allowed = q * stream->n <= rank
				     ? 2 * error * rank / q
				     : 2 * error * (stream->n - rank) / (1 - q);
		/* Not a number at q = 0 and q = 1 without error: no limit. */
		if (allowed < least)
			least = allowed;
	}
	return least;
}

static int
compare_doubles(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;
	return (left > right) - (left < right);
}

/* Joins tuples into their right neighbours, from the back, where the error stays allowed. */
static void
compress(struct stream *stream)
{
	if (stream->count < 2)
		return;
	size_t kept = stream->count - 1; /* where the tuple that may grow stands */
	double rank = stream->n - 1 - stream->tuples[kept].width;
	for (size_t i = kept; i-- > 0;) {
		struct tuple *grown = &stream->tuples[kept];
		struct tuple tuple = stream->tuples[i];
		if (tuple.width + grown->width + grown->delta <= allowed_error(stream, rank))
			grown->width += tuple.width;
		else
			stream->tuples[--kept] = tuple;
		rank -= tuple.width;
	}
	stream->count -= kept;
	memmove(stream->tuples, stream->tuples + kept, stream->count * sizeof(struct tuple));
}

static void
flush(struct stream *stream)
{
	qsort(stream->batch, stream->batch_count, sizeof(double), compare_doubles);
	struct tuple *merged = stream->spare;
	size_t count = 0, next = 0;
	double rank = 0;
	for (size_t i = 0; i < stream->batch_count; i++) {
		double value = stream->batch[i];
		while (next < stream->count && stream->tuples[next].value <= value) {
			rank += stream->tuples[next].width;
			merged[count++] = stream->tuples[next++];
		}
		double delta =
		    next < stream->count ? floor(allowed_error(stream, rank)) - 1 : 0;
		merged[count++] = (struct tuple){value, 1, delta > 0 ? delta : 0};
		stream->n++;
		rank++;
	}
	while (next < stream->count)
		merged[count++] = stream->tuples[next++];
	stream->spare = stream->tuples;
	stream->tuples = merged;
	stream->count = count;
	stream->batch_count = 0;
	compress(stream);
}

static double
query(const struct stream *stream, double quantile)
{
	double wanted = ceil(quantile * stream->n);
	wanted += ceil(allowed_error(stream, wanted) / 2);
	double rank = 0;
	for (size_t i = 1; i < stream->count; i++) {
		rank += stream->tuples[i - 1].width;
		if (rank + stream->tuples[i].width + stream->tuples[i].delta > wanted)
			return stream->tuples[i - 1].value;
	}
	return stream->tuples[stream->count - 1].value;
}

void
targeted_quantiles(const struct weighted *items, size_t item_count, uint64_t total,
		   const struct quantile *targets, size_t target_count, double *out)
{
	struct stream *stream = xcalloc(1, sizeof(*stream));
	stream->targets = targets;
	stream->target_count = target_count;
	stream->tuples = xcalloc(total, sizeof(struct tuple));
	stream->spare = xcalloc(total, sizeof(struct tuple));
	for (size_t i = 0; i < item_count; i++) {
		for (uint64_t n = items[i].weight; n; n--) {
			stream->batch[stream->batch_count++] = items[i].value;
			if (stream->batch_count == TARGETED_BATCH)
				flush(stream);
		}
	}
	flush(stream);
	for (size_t i = 0; i < target_count; i++)
		out[i] = query(stream, targets[i].quantile);
	free(stream->tuples);
	free(stream->spare);
	free(stream);
}
