/*
 * exposition/text - Prometheus text format 0.0.4, byte for byte as statsd_exporter prints it, which
 * also is text format 1.0.0: that one only adds quotes around names that need them, and none here
 * does.
 *
 * HELP and TYPE once a family, then a line a value (exposition/lines); no "# EOF".
 */
#ifndef EXPOSITION_TEXT_H
#define EXPOSITION_TEXT_H

#include "exposition/encoder.h"

/* Of counters and gauges all series given at once are written or, over the buffer's cap, none. */
extern const struct exposition_encoder exposition_text;

#endif
