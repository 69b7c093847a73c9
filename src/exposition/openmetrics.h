/*
 * exposition/openmetrics - OpenMetrics text 1.0.0, which also is 0.0.1 as Prometheus reads it
 * (specs/om/open_metrics_spec.md of prometheus/docs), strict enough for the reference parser.
 *
 * A counter `x_total` is the family `x`; a counter of any other name is `unknown`, and so is one
 * whose family name, or a name made from it, is in use: no sample is ever renamed. What must not be
 * negative and is, is left out: quantiles and sums.
 */
#ifndef EXPOSITION_OPENMETRICS_H
#define EXPOSITION_OPENMETRICS_H

#include "exposition/encoder.h"

extern const struct exposition_encoder exposition_openmetrics;

#endif
