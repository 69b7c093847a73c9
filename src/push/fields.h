/*
 * push/fields - the field numbers of the messages of remote write, as prompb/remote.proto,
 * prompb/types.proto and prompb/io/prometheus/write/v2/types.proto of Prometheus have them.
 */
#ifndef PUSH_FIELDS_H
#define PUSH_FIELDS_H

/* 1.0: prometheus.WriteRequest and what is in it. */
enum { WRITE_TIMESERIES = 1, WRITE_METADATA = 3 };
enum { TIMESERIES_LABELS = 1, TIMESERIES_SAMPLES = 2 };
enum { LABEL_NAME = 1, LABEL_VALUE = 2 };
enum { SAMPLE_VALUE = 1, SAMPLE_TIMESTAMP = 2 }; /* in 2.0, too */
enum { METADATA_TYPE = 1, METADATA_FAMILY_NAME = 2, METADATA_HELP = 4 };

/* 2.0: io.prometheus.write.v2.Request and what is in it. */
enum { REQUEST2_SYMBOLS = 4, REQUEST2_TIMESERIES = 5 };
enum { TIMESERIES2_LABELS = 1, TIMESERIES2_SAMPLES = 2, TIMESERIES2_METADATA = 5 };
enum { SAMPLE2_START = 3 };
enum { METADATA2_TYPE = 1, METADATA2_HELP = 3 };

#endif
