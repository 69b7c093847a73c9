/*
 * metrics/family_list - counters and gauges that are made for one scrape, such as the bridge's own
 * metrics, and a reader that shows two sources as one.
 */
#ifndef METRICS_FAMILY_LIST_H
#define METRICS_FAMILY_LIST_H

#include "metrics/reader.h"
#include "model/labels.h"

struct family_list;

struct family_list *family_list_new(void);

/**
 * Begins a family; samples that are added next belong to it. A family without samples is not shown.
 *
 * @name, @help copied
 * @type METRIC_COUNTER or METRIC_GAUGE
 */
void family_list_begin(struct family_list *list, struct span name, struct span help,
		       enum metric_type type);

/** Adds a sample. @labels copied; NULL = none */
void family_list_add(struct family_list *list, const struct labels *labels, double value);

/** Adds a sample with one label. */
void family_list_add_with(struct family_list *list, const char *label_name,
			  struct span label_value, double value);

/** Sorts and turns the list into a reader. @list consumed */
struct reader *family_list_reader(struct family_list **list);

/**
 * Shows the families of two readers as one sequence in name order. Of a name that both have only the
 * first reader's family is shown.
 *
 * @first, @second consumed
 */
struct reader *reader_merge(struct reader **first, struct reader **second);

#endif
