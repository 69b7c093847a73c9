/*
 * push/writer - turns what a metrics reader shows into the messages of Prometheus's remote write,
 * each of a bounded size. The formats are those of prometheus.io/docs/specs/prw: 1.0 is
 * prometheus.WriteRequest, 2.0 is io.prometheus.write.v2.Request.
 *
 * A series goes into a message as the samples that the text format would show, histograms and
 * summaries as several; a message ends between two of them.
 */
#ifndef PUSH_WRITER_H
#define PUSH_WRITER_H

#include "base/span.h"
#include "metrics/reader.h"
#include "model/labels.h"

#include <stdint.h>

enum push_protocol {
	PUSH_PROTOCOL_1, /* 1.0 */
	PUSH_PROTOCOL_2, /* 2.0 */
	PUSH_PROTOCOLS
};

/* A message ends behind the sample that reaches one of these: so much is compressed and sent
 * without a thread, or a receiver, being held up. */
#define PUSH_MESSAGE_SAMPLES 2000
#define PUSH_MESSAGE_BYTES (256u << 10)
/* 2.0, where a label takes a few bytes wherever it comes again: the labels of all samples, spelled
 * out as the receiver may do and 1.0 does. */
#define PUSH_MESSAGE_SPELLED_BYTES (1u << 20)

/* Labels that every series gets besides its own. */
#define PUSH_EXTERNAL_LABELS_MAX 64

struct push_message {
	enum push_protocol protocol;
	struct span bytes; /* borrowed, before compression */
	size_t samples;
	size_t natives;       /* native histograms among them */
	int64_t timestamp_ms; /* of all samples, since 1970 */
};

/** Takes a message that is whole. @message borrowed for the call */
typedef void push_message_fn(void *ctx, const struct push_message *message);

struct push_writer;

/**
 * @external borrowed; sorted by name, at most PUSH_EXTERNAL_LABELS_MAX, none of them empty, none
 *           named `le`, `quantile` or with "__" first. A series that has a label of that name keeps
 *           its own, unless that has no value
 * @with_native also sends the native histograms that the reader shows, under the family's name
 */
struct push_writer *push_writer_new(enum push_protocol protocol, const struct labels *external,
				    bool with_native, push_message_fn *take, void *ctx);
void push_writer_free(struct push_writer **writer);

/**
 * Has exemplars written that are not older than `from_ms`, beside the counters and buckets of
 * histograms that they belong to; without this none are. With the timestamp of the pass before,
 * each is written once, but for those that came while that pass was under way, which may come
 * twice: receivers know them for the same. Native histograms have none that is as new as their own
 * timestamp, since what comes twice between others would be out of order.
 */
void push_writer_want_exemplars(struct push_writer *writer, int64_t from_ms);

/**
 * Has series left out that a receiver could not tell from another one of their family, see
 * push/twins.h; without this none are.
 *
 * @reader where the series come from, in output order; borrowed
 */
void push_writer_leave_out_twins(struct push_writer *writer, struct reader *reader);

/**
 * Begins a family; the series that follow belong to it.
 *
 * @family borrowed until the next call
 * @with_metadata whether its type and help are sent with it; 2.0 always sends them
 */
void push_writer_begin_family(struct push_writer *writer, const struct family_view *family,
			      bool with_metadata);

/** Adds series of the family, with one sample each or several. */
void push_writer_add_series(struct push_writer *writer, const struct series_view *series,
			    size_t count, int64_t timestamp_ms);

/**
 * Adds the markers by which a receiver knows that a series has ended: the value of each of its
 * samples is the NaN 0x7ff0000000000002. Of `series` only what is not a value is read;
 * `native` says by being there that there was one.
 */
void push_writer_add_end(struct push_writer *writer, const struct series_view *series,
			 int64_t timestamp_ms);

/** Gives away the message that is not full yet, if there is anything in it. */
void push_writer_flush(struct push_writer *writer);

/** @return samples written since the writer was made, those not given away yet, too */
uint64_t push_writer_samples(const struct push_writer *writer);

/** @return samples of series that were left out as twins */
uint64_t push_writer_twin_samples(const struct push_writer *writer);

/** @return about how many bytes were written since the writer was made: more with each call */
uint64_t push_writer_bytes(const struct push_writer *writer);

/** @return how many samples a series of this type has */
size_t push_sample_count(enum metric_type type, const struct series_view *series, bool with_native);

#endif
