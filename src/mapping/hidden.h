/*
 * mapping/hidden - rules that can never be chosen because an earlier one takes all their names.
 * Private to mapping/mapper.
 */
#ifndef MAPPING_HIDDEN_H
#define MAPPING_HIDDEN_H

#include "mapping/compiled.h"

/**
 * Warns of each rule that, for every kind it takes, is hidden by an earlier one: a glob by an equal
 * one, in ordered sets also by one with more stars, and by any such glob or a regex for everything
 * in an earlier set; a regex by one with the same text or a regex for everything.
 */
void hidden_warn(const struct compiled_set *sets, size_t count, struct diag *diag);

#endif
