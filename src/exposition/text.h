/*
 * exposition/text - Prometheus text format 0.0.4, byte for byte as statsd_exporter prints it.
 *
 * HELP and TYPE once a family, then a line a value; `le` and `quantile` are always the last label;
 * numbers as number_format() spells them, counts included; no timestamps, no "# EOF".
 */
#ifndef EXPOSITION_TEXT_H
#define EXPOSITION_TEXT_H

#include "base/buf.h"
#include "metrics/reader.h"

/** Appends the HELP and TYPE lines. */
void exposition_text_add_family(struct buf *out, const struct family_view *family);

/** Appends all lines of `count` series of `family`; of counters and gauges all or, over the cap,
 * none. */
void exposition_text_add_series(struct buf *out, const struct family_view *family,
				const struct series_view *series, size_t count);

#endif
