/*
 * base/near - how far a name is from one that it was perhaps meant to be.
 */
#ifndef BASE_NEAR_H
#define BASE_NEAR_H

#include "base/span.h"

/* No name is longer, so nothing longer can be a slip of the hand. */
#define NEAR_LEN_MAX 64

/**
 * @return how many bytes must be put in, taken out, replaced or swapped with their neighbour to get
 * from one name to the other; SIZE_MAX when one has more than NEAR_LEN_MAX bytes
 */
size_t near_distance(struct span a, struct span b);

#endif
