/*
 * statsd/event - DogStatsD events and service checks.
 *
 * They are not metrics; the bridge recognises and counts them, so that they cost nothing else.
 * Pure; all spans borrow from the line. DogStatsD datagram format, events and service checks.
 */
#ifndef STATSD_EVENT_H
#define STATSD_EVENT_H

#include "base/span.h"
#include "statsd/line.h"

/* How the lengths of an event had to be understood to make sense of it. */
enum statsd_event_repair {
	STATSD_EVENT_AS_SENT,
	STATSD_EVENT_CHARACTERS,  /* lengths counted characters, not bytes */
	STATSD_EVENT_UTF16,	  /* lengths counted UTF-16 units */
	STATSD_EVENT_TEXT_LONGER, /* the text went on to the next '|' */
};

struct statsd_event {
	struct span title, text; /* as sent: "\\n" stands for a line feed */
	struct span sections;	 /* from the '|' behind the text; empty = none */
	enum statsd_event_repair repair;
};

/** @return STATSD_OK or STATSD_MALFORMED_EVENT (with *where); `line` starts with "_e{" */
enum statsd_reason statsd_parse_event(struct span line, struct statsd_event *out, size_t *where);

struct statsd_check {
	struct span name;
	unsigned status; /* 0 ok, 1 warning, 2 critical, 3 unknown */
	struct span sections;
};

/** @return STATSD_OK or STATSD_MALFORMED_SERVICE_CHECK (with *where); `line` starts with "_sc|" */
enum statsd_reason statsd_parse_check(struct span line, struct statsd_check *out, size_t *where);

#endif
