/*
 * push/fields - the field numbers of the messages of remote write, as prompb/remote.proto,
 * prompb/types.proto and prompb/io/prometheus/write/v2/types.proto of Prometheus have them.
 */
#ifndef PUSH_FIELDS_H
#define PUSH_FIELDS_H

/* 1.0: prometheus.WriteRequest and what is in it. */
enum { WRITE_TIMESERIES = 1, WRITE_METADATA = 3 };
enum { TIMESERIES_LABELS = 1, TIMESERIES_SAMPLES = 2 };
enum { TIMESERIES_EXEMPLARS = 3, TIMESERIES_HISTOGRAMS = 4 };
enum { EXEMPLAR_LABELS = 1, EXEMPLAR_VALUE = 2, EXEMPLAR_TIMESTAMP = 3 }; /* in 2.0, too */
enum { LABEL_NAME = 1, LABEL_VALUE = 2 };
enum { SAMPLE_VALUE = 1, SAMPLE_TIMESTAMP = 2 }; /* in 2.0, too */
/* Native histograms; in 2.0, too. */
enum { HISTOGRAM_COUNT = 1, HISTOGRAM_SUM = 3, HISTOGRAM_SCHEMA = 4 };
enum { HISTOGRAM_ZERO_THRESHOLD = 5, HISTOGRAM_ZERO_COUNT = 6 };
enum { HISTOGRAM_NEGATIVE_SPANS = 8, HISTOGRAM_NEGATIVE_DELTAS = 9 };
enum { HISTOGRAM_POSITIVE_SPANS = 11, HISTOGRAM_POSITIVE_DELTAS = 12 };
enum { HISTOGRAM_TIMESTAMP = 15 };
enum { METADATA_TYPE = 1, METADATA_FAMILY_NAME = 2, METADATA_HELP = 4 };

/* 2.0: io.prometheus.write.v2.Request and what is in it. */
enum { REQUEST2_SYMBOLS = 4, REQUEST2_TIMESERIES = 5 };
enum { TIMESERIES2_LABELS = 1, TIMESERIES2_SAMPLES = 2, TIMESERIES2_HISTOGRAMS = 3 };
enum { TIMESERIES2_EXEMPLARS = 4, TIMESERIES2_METADATA = 5 };
enum { SAMPLE2_START = 3, HISTOGRAM2_START = 17 };
enum { METADATA2_TYPE = 1, METADATA2_HELP = 3 };

#endif
