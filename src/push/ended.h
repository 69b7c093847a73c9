/*
 * push/ended - the series that have ended since the last pass, for which a receiver waits for a
 * marker. What lives costs nothing here; what ended is kept until the pass that tells of it, up to
 * a limit.
 */
#ifndef PUSH_ENDED_H
#define PUSH_ENDED_H

#include "base/check.h"
#include "metrics/reader.h"

#include <stdint.h>

/* What is kept of all of them: a hundred thousand and more. A receiver learns of the others by
 * their silence, five minutes later. */
#define PUSH_ENDED_BYTES (16u << 20)

struct push_ended;

struct push_ended *push_ended_new(void);
void push_ended_free(struct push_ended **ended);

/**
 * Notes that a series has ended.
 *
 * @family, @series copied; values are not read
 * @return false when there is no room for it
 */
bool push_ended_add(struct push_ended *ended, const struct family_view *family,
		    const struct series_view *series) MUST_CHECK;

/**
 * Takes the oldest one out.
 *
 * @family, @series borrowed until the next call for `ended`; only what was copied is in them
 * @return false when there is none
 */
bool push_ended_take(struct push_ended *ended, struct family_view *family,
		     struct series_view *series) MUST_CHECK;

/** @return how many there are */
size_t push_ended_count(const struct push_ended *ended);

#endif
