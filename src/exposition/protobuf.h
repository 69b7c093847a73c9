/*
 * exposition/protobuf - delimited io.prometheus.client.MetricFamily messages, as client_model's
 * metrics.proto has them: a varint length before each.
 *
 * Of histograms the classic buckets, without the one for +Inf, which the count stands for.
 */
#ifndef EXPOSITION_PROTOBUF_H
#define EXPOSITION_PROTOBUF_H

#include "exposition/encoder.h"

extern const struct exposition_encoder exposition_protobuf;

#endif
