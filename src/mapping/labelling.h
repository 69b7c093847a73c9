/*
 * mapping/labelling - reads what a mapping file says of labels and tags. Private to mapping/config.
 */
#ifndef MAPPING_LABELLING_H
#define MAPPING_LABELLING_H

#include "mapping/draft.h"
#include "mapping/rule.h"

/** @return why no label can have this name, or NULL */
const char *labelling_find_fault(struct span name);

/* Why a label of this name cannot stand here, or NULL. */
typedef const char *label_fault_fn(const void *ctx, struct span name);

/**
 * Reads a map of label names to texts.
 *
 * @path  of the map
 * @max   labels at most
 * @fault called for each name, with @ctx
 * @out   of *count labels, also when errors were told; owned by the caller
 */
void labelling_read_labels(struct draft_reader *input, const struct draft_path *path,
			   const struct ynode *map, size_t max, label_fault_fn *fault,
			   const void *ctx, struct rule_label **out, size_t *count);

/** Reads what holds for all metrics of a file: the keys labels, tags and max_values. */
void labelling_read_file(struct draft_reader *input, const struct draft *draft,
			 struct rule_set *set);

#endif
