/*
 * app/account - where every line and every sample is counted.
 *
 * Each ingest thread has an account: one array of counters that only it writes. What repeats is not
 * counted one by one: a shape (app/shape) says what one line, one value and one event of its kind
 * mean, its hits are counted, and they are multiplied out when somebody reads the account.
 */
#ifndef APP_ACCOUNT_H
#define APP_ACCOUNT_H

#include "app/unmapped.h"
#include "model/kind.h"
#include "statsd/line.h"

#include <stdatomic.h>
#include <stdint.h>

/* Why a sample did not reach a series. */
enum drop_reason {
	DROP_MALFORMED_COMPONENT,
	DROP_MALFORMED_VALUE,
	DROP_ILLEGAL_EVENT,
	DROP_ILLEGAL_NEGATIVE_COUNTER,
	DROP_EMPTY_METRIC_NAME,
	DROP_CONFLICT,
	DROP_SERIES_LIMIT,
	DROP_ACTION, /* a mapping rule says so */
	DROP_REASONS
};

/** @return the label value, such as "malformed_value" */
const char *drop_reason_text(enum drop_reason reason);

/* Names in events_conflict_total; further ones are counted as "other". */
#define CONFLICT_NAMES_MAX 1000

/* Labels in label_values_replaced_total; further ones are counted as "other". */
#define LIMITED_LABELS_MAX 1000

/* Counters of an account. */
enum account_counter {
	ACCOUNT_LINES,
	ACCOUNT_LINES_EMPTY,
	ACCOUNT_LINES_EVENT,
	ACCOUNT_LINES_CHECK,
	ACCOUNT_LINES_WITH_SAMPLES,
	ACCOUNT_LINES_REFUSED, /* + enum statsd_reason */
	ACCOUNT_EVENT_REPAIRS = ACCOUNT_LINES_REFUSED + STATSD_REASONS,
	ACCOUNT_SAMPLES,
	ACCOUNT_SAMPLES_APPLIED,
	ACCOUNT_SAMPLES_DROPPED,                                        /* + enum drop_reason */
	ACCOUNT_SAMPLE_ERRORS = ACCOUNT_SAMPLES_DROPPED + DROP_REASONS, /* + enum statsd_reason */
	ACCOUNT_TAGS = ACCOUNT_SAMPLE_ERRORS + STATSD_REASONS,
	ACCOUNT_TAG_ERRORS,
	ACCOUNT_EVENTS, /* + enum event_kind */
	ACCOUNT_EVENTS_UNMAPPED = ACCOUNT_EVENTS + EVENT_KINDS,
	ACCOUNT_EVENTS_MAPPED,
	ACCOUNT_EVENTS_DROPPED,
	ACCOUNT_EVENTS_ERROR, /* + enum drop_reason: illegal_negative_counter and the two behind it
			       */
	ACCOUNT_CACHE_GETS = ACCOUNT_EVENTS_ERROR + DROP_REASONS,
	ACCOUNT_CACHE_HITS,
	ACCOUNT_NOT_REMEMBERED,
	ACCOUNT_EXEMPLARS_TOO_LONG,
	ACCOUNT_EXEMPLARS_NUL,
	ACCOUNT_UNMAPPED_NAMES, /* + counter of app/unmapped */
	/* + kind * (CONFLICT_NAMES_MAX + 1) + name, the last name is "other" */
	ACCOUNT_CONFLICTS = ACCOUNT_UNMAPPED_NAMES + UNMAPPED_COUNTERS,
	/* + number of the label in metrics/value_limits, the last is for all others */
	ACCOUNT_REPLACED_VALUES = ACCOUNT_CONFLICTS + EVENT_KINDS * (CONFLICT_NAMES_MAX + 1),
	ACCOUNT_COUNTERS = ACCOUNT_REPLACED_VALUES + LIMITED_LABELS_MAX + 1
};

struct account {
	_Atomic uint64_t counters[ACCOUNT_COUNTERS];
};

/** Adds to one counter; by the owner. */
static inline void
account_add(struct account *account, unsigned counter, uint64_t n)
{
	_Atomic uint64_t *at = &account->counters[counter];
	atomic_store_explicit(at, atomic_load_explicit(at, memory_order_relaxed) + n,
			      memory_order_relaxed);
}

static inline uint64_t
account_get(const struct account *account, unsigned counter)
{
	return atomic_load_explicit(&account->counters[counter], memory_order_relaxed);
}

#endif
