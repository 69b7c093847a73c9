/*
 * app/remote_write - sends all families to a receiver of Prometheus's remote write, every
 * --remote-write.interval. Off without --remote-write.url.
 *
 * The control thread reads the series and writes the messages, a slice each time its loop comes
 * round, so that scrapes and reloads go on meanwhile; push/sender sends them.
 */
#ifndef APP_REMOTE_WRITE_H
#define APP_REMOTE_WRITE_H

#include "app/options.h"
#include "base/diag.h"
#include "push/queue.h"

struct ev_loop;
struct remote_write;
struct registry;
struct telemetry_sources;

struct remote_write_stats {
	struct push_stats push;
	uint64_t passes, passes_skipped;
	int64_t last_pass_us;
	double lag_seconds;
};

/**
 * Checks what the flags say, that files with secrets can be read, and those with certificates used.
 *
 * @diag its places borrow texts of `options`
 * @return whether all is good
 */
bool remote_write_check(const struct options *options, struct diag *diag) MUST_CHECK;

/**
 * Prepares remote write, and learns from the registry which series end. The options must have been
 * checked.
 *
 * @sources borrowed; read from the first pass on
 * @registry borrowed until it is freed
 * @return NULL when it is off; all other functions take that, too
 */
struct remote_write *remote_write_new(struct ev_loop *loop, const struct options *options,
				      const struct telemetry_sources *sources,
				      struct registry *registry);
/** Starts the thread that sends, and the passes. @return 0 or an errno value */
int remote_write_start(struct remote_write *remote) MUST_CHECK;
/** Ends the passes with one more, as far as it gets until `deadline_us` (monotonic). */
void remote_write_finish(struct remote_write *remote, int64_t deadline_us);
/** Ends the thread when all is sent, or at `deadline_us`, and frees everything. */
void remote_write_free(struct remote_write **remote, int64_t deadline_us);

/** @return false when remote write is off */
bool remote_write_get_stats(const struct remote_write *remote, struct remote_write_stats *out);

#endif
