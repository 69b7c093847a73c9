/*
 * model/options - what a mapping rule can say about how a series is kept.
 */
#ifndef MODEL_OPTIONS_H
#define MODEL_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* More buckets or quantiles than anybody plots; a mapping file with more is refused. */
#define BUCKETS_MAX 1000
#define QUANTILES_MAX 100
#define AGE_BUCKETS_MAX 1000

/* A scrape interval is a minute or two at most: longer would only hide values. */
#define ZERO_FIRST_US_MAX (INT64_C(3600) * 1000000)

/* Code points of names and values together that OpenMetrics allows an exemplar. */
#define EXEMPLAR_LENGTH_MAX 128

/* Of what only grows: counters and histograms. */
struct total_options {
	/* For so long from its birth a series is shown at zero; 0 to ZERO_FIRST_US_MAX. */
	int64_t zero_first_us;
	bool keeps_exemplars;
};

struct histogram_options {
	size_t bucket_count;
	double *buckets; /* upper bounds, strictly ascending, finite: +Inf is implied; owned */
	double native_bucket_factor;	/* > 1, or 0 = no native histogram */
	uint32_t native_max_buckets;	/* 0 = no limit */
};

struct quantile {
	double quantile; /* 0 to 1 */
	double error;	 /* 0 to 1; kept for compatible files, ranks are exact or better */
};

struct summary_options {
	size_t quantile_count;
	struct quantile *quantiles; /* strictly ascending by quantile; owned */
	int64_t max_age_us;	    /* the sliding window, > 0 */
	uint32_t age_buckets;	    /* slots the window slides by, >= 1 */
	uint32_t buf_cap;	    /* accepted for compatible files, without effect */
};

#endif
