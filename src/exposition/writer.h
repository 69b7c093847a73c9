/*
 * exposition/writer - turns what a metrics reader shows into the bytes of a format, in slices.
 *
 * One writer serves one scrape. Formats are rows of a table; a new format is a new row.
 */
#ifndef EXPOSITION_WRITER_H
#define EXPOSITION_WRITER_H

#include "base/buf.h"
#include "metrics/reader.h"

enum exposition_format {
	EXPOSITION_TEXT_0_0_4, /* Prometheus text format 0.0.4 */
	EXPOSITION_FORMATS
};

/** @return the Content-Type value for a format, a constant */
const char *exposition_content_type(enum exposition_format format);

struct exposition_writer;

/** @reader consumed: freed with the writer */
struct exposition_writer *exposition_writer_new(enum exposition_format format,
						struct reader **reader);
void exposition_writer_free(struct exposition_writer **writer);

/**
 * Appends families and series to `out` until it holds at least `at_least` bytes or all is written.
 * A series is always written whole. When `out` meets its cap, writing ends: ask buf_failed(), and
 * use nothing of it then.
 *
 * @return true when everything has been written, or `out` failed
 */
bool exposition_writer_fill(struct exposition_writer *writer, struct buf *out, size_t at_least);

#endif
