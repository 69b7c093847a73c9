/*
 * exposition/encoder - private to the folder: how a format writes families and series. One constant
 * of this type a format; exposition/writer calls it.
 */
#ifndef EXPOSITION_ENCODER_H
#define EXPOSITION_ENCODER_H

#include "base/buf.h"
#include "metrics/reader.h"

struct exposition_encoder {
	unsigned wants; /* what of enum reader_extra it shows */

	/** @return what one scrape remembers, handed to all others; NULL here = nothing, and NULL
	 * is handed. @with_created see exposition_writer_new() */
	void *(*new_state)(bool with_created);
	void (*free_state)(void *state);

	/** Writes a family's head. Families come in name order, each once; but one that was ended
	 * may be begun again for its next series. */
	void (*begin_family)(void *state, struct buf *out, const struct family_view *family);
	/** Writes `count` (above 0) series of the family that was begun last. Views in, see
	 * metrics/reader. */
	void (*add_series)(void *state, struct buf *out, const struct family_view *family,
			   const struct series_view *series, size_t count);
	/** Ends a family, in the same `out` that it was begun in. NULL = a family needs no end, and
	 * may be cut between any two series. */
	void (*end_family)(void *state, struct buf *out);
	/** Writes what follows the last family; NULL = nothing. */
	void (*add_end)(struct buf *out);
};

#endif
