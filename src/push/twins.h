/*
 * push/twins - which series of a family are the same to a receiver as another one: it takes labels
 * without a value for absent, and knows no label of a series from an external one. Of twins only
 * the one with the fewest labels can be sent: receivers refuse a request whole for a second sample
 * of one time.
 */
#ifndef PUSH_TWINS_H
#define PUSH_TWINS_H

#include "base/buf.h"
#include "base/index.h"
#include "metrics/reader.h"
#include "model/labels.h"

struct push_twins {
	struct buf external; /* text of the external labels */
	struct buf reduced;  /* of the series in hand, without what tells it from no twin */
	struct index seen;   /* hashes of those, of this family; as pointers */
};

/** @external as push_writer_new() wants them; need not live on */
void push_twins_init(struct push_twins *twins, const struct labels *external);
void push_twins_fini(struct push_twins *twins);

/** Forgets the family before. */
void push_twins_begin_family(struct push_twins *twins);

/**
 * To be asked for each series of a family that has a label without a value or named like an
 * external one, in output order; others have fewer labels than their twins.
 *
 * @reader in the family; where it cannot tell what series there are, only series that were asked
 * for are known
 * @labels of the series, their text
 * @return whether the family has had a twin of it
 */
bool push_twins_had(struct push_twins *twins, struct reader *reader, struct span labels);

#endif
