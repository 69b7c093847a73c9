/*
 * exposition/writer - turns what a metrics reader shows into the bytes of a format, in slices.
 *
 * One writer serves one scrape. Formats are rows of a table; a new format is a new row, here and in
 * exposition/negotiate.
 */
#ifndef EXPOSITION_WRITER_H
#define EXPOSITION_WRITER_H

#include "base/buf.h"
#include "metrics/reader.h"

enum exposition_format {
	EXPOSITION_TEXT_0_0_4, /* Prometheus text format 0.0.4 */
	EXPOSITION_TEXT_1_0_0, /* the same, with quotes around names that need them: none here does
				*/
	EXPOSITION_PROTOBUF,   /* delimited io.prometheus.client.MetricFamily messages */
	EXPOSITION_OPENMETRICS_0_0_1, /* from here on all are OpenMetrics */
	EXPOSITION_OPENMETRICS_1_0_0,
	EXPOSITION_FORMATS
};

/* What a scraper wants done to names that are not legal in the text format 0.0.4. */
enum exposition_escaping {
	EXPOSITION_UNDERSCORES, /* what holds when nothing is said */
	EXPOSITION_ALLOW_UTF_8,
	EXPOSITION_DOTS, /* the only one that changes legal names, see exposition/dots */
	EXPOSITION_VALUES,
	EXPOSITION_ESCAPINGS
};

/* How a scrape is answered. */
struct exposition_choice {
	enum exposition_format format;
	enum exposition_escaping escaping;
};

/** @return the Content-Type value of an answer, a constant */
const char *exposition_content_type(struct exposition_choice choice);

/*
 * A format of messages can only send a family whole, so it is held in memory meanwhile, for every
 * connection that reads slowly. One that gets larger than this goes on in another message of the
 * same name: Prometheus adds them up.
 */
#define EXPOSITION_MESSAGE_BYTES (1u << 20)

struct exposition_writer;

/**
 * @with_created whether a format in which the time that a series was born is a sample of its own,
 *               which is OpenMetrics, writes it
 * @reader       consumed: freed with the writer
 */
struct exposition_writer *exposition_writer_new(enum exposition_format format, bool with_created,
						struct reader **reader);
void exposition_writer_free(struct exposition_writer **writer);

/**
 * Appends families and series to `out` until it holds at least `at_least` bytes or all is written.
 * A series is always written whole, and so is a family in a format of messages. A family's head
 * comes with its first series. When `out` meets its cap, writing ends: ask buf_failed(), and use
 * nothing of it then.
 *
 * @return true when everything has been written, or `out` failed
 */
bool exposition_writer_fill(struct exposition_writer *writer, struct buf *out, size_t at_least);

#endif
