/*
 * mapping/hidden - rules that can never be chosen because an earlier one takes all their names.
 * Private to mapping/mapper.
 */
#ifndef MAPPING_HIDDEN_H
#define MAPPING_HIDDEN_H

#include "mapping/compiled.h"

/**
 * Warns of each rule that, for every kind it takes, is hidden by an earlier one: a glob by an equal
 * one, in ordered sets also by one with more stars, and in an earlier set by any such glob or by a
 * regex that finds itself in all its names; a regex by one with the same text or a regex for
 * everything. What is warned of is hidden; there are rules that are hidden and not found.
 */
void hidden_warn(const struct compiled_set *sets, size_t count, struct diag *diag);

#endif
