/*
 * model/kind - the words for what a sample is and what a family is.
 */
#ifndef MODEL_KIND_H
#define MODEL_KIND_H

/* What a client sent: timers, histograms and distributions are all observers. */
enum event_kind { EVENT_COUNTER, EVENT_GAUGE, EVENT_OBSERVER, EVENT_KINDS };

/* What Prometheus is shown. */
enum metric_type {
	METRIC_COUNTER,
	METRIC_GAUGE,
	METRIC_HISTOGRAM,
	METRIC_SUMMARY,
	METRIC_TYPES,
};

/** @return "counter", "gauge" or "observer" */
static inline const char *
event_kind_text(enum event_kind kind)
{
	static const char *const text[EVENT_KINDS] = {"counter", "gauge", "observer"};
	return text[kind];
}

/** @return the word of a TYPE line: "counter", "gauge", "histogram" or "summary" */
static inline const char *
metric_type_text(enum metric_type type)
{
	static const char *const text[METRIC_TYPES] = {"counter", "gauge", "histogram", "summary"};
	return text[type];
}

#endif
