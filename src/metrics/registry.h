/*
 * metrics/registry - families and series: who exists, under which type, and where the values are.
 *
 * Ingest threads find or create series under one lock, which they take for new spellings only; a hit
 * on a known spelling never comes here. Everything else (births into output order, expiry, reading)
 * is the control thread's.
 *
 * Families are freed with their last series, and their name and type with them.
 */
#ifndef METRICS_REGISTRY_H
#define METRICS_REGISTRY_H

#include "base/buf.h"
#include "base/grace.h"
#include "metrics/layout.h"
#include "metrics/reader.h"
#include "metrics/shard.h"
#include "model/labels.h"

struct registry;

/*
 * Names and label texts of all series together may take this many bytes a series of max_series, and
 * some more: with few series they may be long, but a peer cannot make two million of 64 KiB each.
 */
#define SERIES_TEXT_BYTES 512
#define SERIES_TEXT_BYTES_LEAST (16u << 20)

struct registry_settings {
	unsigned threads;     /* ingest threads: one shard each */
	uint64_t max_series;  /* below 2^32 */
	struct grace *grace;  /* of the same threads; borrowed */
	/* Names the bridge itself exposes: client names that clash are conflicts. Borrowed array of
	 * borrowed texts. */
	const struct span *reserved;
	size_t reserved_count;
	int64_t start_ms; /* when tick 1 began, in milliseconds since 1970 */
	/* Whether B_created, too, belongs to a histogram or summary B, as OpenMetrics has it. */
	bool reserves_created;
	/*
	 * Told, under the registry's lock, when a series that has a scope goes or gets another one;
	 * any thread. NULL when there are no scopes.
	 */
	void (*left_scope)(void *ctx, unsigned scope, struct span labels);
	void *left_scope_ctx; /* borrowed */
};

struct registry *registry_new(const struct registry_settings *settings);
void registry_free(struct registry **registry);

/** @return the shard of an ingest thread, 0 to threads - 1 */
struct shard *registry_shard(struct registry *registry, unsigned thread);
/** @return the shard that holds the gauges */
struct shard *registry_gauges(struct registry *registry);

/* Where a series' values are. */
struct series_ref {
	const struct layout *layout; /* until all threads have forgotten the request's rules */
	uint32_t id;
	uint32_t incarnation;
	uint32_t scope_before; /* the request; 0 = the series had none, or was not there */
};

/* What an ingest thread asks for. */
struct series_request {
	struct span name; /* legal metric name */
	/* These are registry_prepare()'s. */
	struct span labels; /* their text */
	size_t label_count;
	uint64_t name_hash, series_hash, label_names_hash;
	enum metric_type type;
	bool is_set; /* a METRIC_GAUGE that shows how many different members it was given */
	struct total_options totals;               /* of counters and histograms */
	const struct histogram_options *histogram; /* when type says so */
	const struct summary_options *summary;	   /* when type says so */
	int64_t ttl_us;				   /* 0 = never expires */
	struct span help;
	uint16_t scope; /* whoever counts series may number who they belong to; 0 = to nobody */
	uint64_t rules; /* number of the rule set in force; a higher one may change help */
	uint32_t tick;	/* now */
};

enum registry_verdict {
	REGISTRY_OK,
	REGISTRY_CONFLICT, /* the name is taken by another type, a suffix, or the bridge itself */
	REGISTRY_LIMIT,	   /* max_series, the room for label texts or LAYOUTS_MAX are used up */
};

/**
 * Does what can be done ahead for a request, and has the place fetched where its series is looked for:
 * the longest wait of all, so other things should be done before registry_find_or_create(). Any thread,
 * without a lock.
 *
 * @text gets the text of the labels appended, which the request then borrows
 */
void registry_prepare(struct registry *registry, const struct labels *labels, struct buf *text,
		      struct series_request *request);

/**
 * Finds a series or creates it, and makes this thread's cell ready for it.
 *
 * A new series starts at zero. A series that was about to expire lives on. The ttl is taken from this
 * request from now on. Type rules: statsd_exporter's, made symmetric: a histogram or summary B blocks
 * B_sum, B_count and B_bucket, and is blocked by them; with reserves_created B_created too.
 *
 * @thread  index of the calling ingest thread
 * @request prepared
 * @ref     written on REGISTRY_OK
 */
enum registry_verdict registry_find_or_create(struct registry *registry, unsigned thread,
					      const struct series_request *request,
					      struct series_ref *ref) MUST_CHECK;

/** @return a number that grows whenever a name, series or layout was freed; any thread */
uint64_t registry_frees(const struct registry *registry);

/** @return series that exist, of one type; any thread */
uint64_t registry_series_count(const struct registry *registry, enum metric_type type);
/** @return different (metric name, set of label names) that exist, of one type; any thread */
uint64_t registry_metrics_count(const struct registry *registry, enum metric_type type);
/** @return families that exist; any thread */
uint64_t registry_families_count(const struct registry *registry);

/* ---- Control thread only. ---- */

/** @return how many series were born so far, for registry_list_births() */
uint64_t registry_births(struct registry *registry);

/**
 * Puts births into the output order, where readers find them. Each call does a part, in a few
 * milliseconds at most, unless all are in it already. However many come meanwhile, some number of calls
 * is enough.
 *
 * @births what registry_births() said
 * @return whether all these are in the output order: else call again
 */
bool registry_list_births(struct registry *registry, uint64_t births) MUST_CHECK;

typedef void registry_ended_fn(void *ctx, const struct family_view *family,
			       const struct series_view *series);

/**
 * Takes series whose time is over away: finds those that are due, lets every thread pass a quiescent
 * point, and frees those that got no sample meanwhile. Besides, puts births into the output order, so that
 * the scrape after a flood of them finds most there, and records into the order of their output: while
 * births come, when many are out of it, and after a second without, when few are. Each call does a part,
 * in a few milliseconds at most.
 * Called about once a second, and again soon while it returns true.
 *
 * @tick   now
 * @return whether there is more to do, or series wait for a quiescent point
 */
bool registry_expire(struct registry *registry, uint32_t tick);

/**
 * Has somebody told of each series that ends, so that they may tell others, on the control thread and
 * under the registry's lock, where nothing of it may be called. NULL = nobody.
 *
 * @ended its views hold the names, the labels and the texts of bounds and quantiles, all borrowed for
 *        the call; no help and no values. `native` is there when the layout has one
 */
void registry_on_series_end(struct registry *registry, registry_ended_fn *ended, void *ctx);

/**
 * Has series that are still shown at zero shown with what they have, by readers opened before, too:
 * before the last look at them.
 */
void registry_end_zeros(struct registry *registry);

/**
 * Frees the layouts without series that were last asked for under rule sets below this one; called
 * when no thread knows such a set any more, nor anything that it found by it.
 *
 * @rules number of the rule set in force, see struct series_request
 */
void registry_forget_rules(struct registry *registry, uint64_t rules);

/** Frees memory that only a scrape could still have read; call between scrapes' slices at will. */
void registry_free_retired(struct registry *registry);

/**
 * Opens a reader over all families. Several readers may be open; a family is read as it was when its
 * reader got to it.
 *
 * @births it shows these at least, see registry_births(). What of them is not in the output order yet
 *         is put there first, in this call, however long that takes: whoever has other things to do
 *         meanwhile has registry_list_births() say when they are. It shows those born since, too, unless
 *         they are more than one call of that lists
 * @now_us since the bridge started, for the windows of summaries
 */
struct reader *registry_reader_new(struct registry *registry, uint64_t births, int64_t now_us);

#endif
