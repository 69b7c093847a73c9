/*
 * mapping/graph - draws the glob automata. Private to mapping/mapper.
 */
#ifndef MAPPING_GRAPH_H
#define MAPPING_GRAPH_H

#include "mapping/compiled.h"

#include <stdio.h>

/**
 * Writes the digraph that mapper_dump_graph() describes. With several sets each kind has a child
 * for each set, in order, and the edge to it is labelled with the set's file.
 *
 * @return false when writing failed (errno kept)
 */
bool graph_write(const struct compiled_set *sets, size_t count, FILE *out) MUST_CHECK;

#endif
