#include "exposition/writer.h"

#include "base/alloc.h"
#include "exposition/openmetrics.h"
#include "exposition/protobuf.h"
#include "exposition/text.h"

#include <stdlib.h>

/* In the order of enum exposition_escaping. */
#define WITH_ESCAPINGS(type)                                                  \
	{                                                                     \
		type "; escaping=underscores", type "; escaping=allow-utf-8", \
		    type "; escaping=dots", type "; escaping=values"          \
	}

struct format {
	const char *content_types[EXPOSITION_ESCAPINGS];
	const struct exposition_encoder *encoder;
};

static const struct format formats[EXPOSITION_FORMATS] = {
    [EXPOSITION_TEXT_0_0_4] = {WITH_ESCAPINGS("text/plain; version=0.0.4; charset=utf-8"),
			       &exposition_text},
    [EXPOSITION_TEXT_1_0_0] = {WITH_ESCAPINGS("text/plain; version=1.0.0; charset=utf-8"),
			       &exposition_text},
    [EXPOSITION_PROTOBUF] = {WITH_ESCAPINGS(
				 "application/vnd.google.protobuf; "
				 "proto=io.prometheus.client.MetricFamily; encoding=delimited"),
			     &exposition_protobuf},
    [EXPOSITION_OPENMETRICS_0_0_1] =
	{WITH_ESCAPINGS("application/openmetrics-text; version=0.0.1; charset=utf-8"),
	 &exposition_openmetrics},
    [EXPOSITION_OPENMETRICS_1_0_0] =
	{WITH_ESCAPINGS("application/openmetrics-text; version=1.0.0; charset=utf-8"),
	 &exposition_openmetrics},
};

/* Series read at once: enough to make the reader's work cheap, and few enough to stay in the cache.
 */
#define BATCH_SERIES 32

struct exposition_writer {
	const struct exposition_encoder *encoder;
	void *state;           /* the encoder's; owned */
	struct reader *reader; /* owned */
	struct family_view family;
	size_t family_start; /* where the family was begun in the buffer in hand */
	bool is_in_family;   /* `family` may have more series */
	bool is_begun;       /* its head has been written, and its end has not */
	bool is_done;
};

const char *
exposition_content_type(struct exposition_choice choice)
{
	return formats[choice.format].content_types[choice.escaping];
}

struct exposition_writer *
exposition_writer_new(enum exposition_format format, bool with_created, struct reader **reader)
{
	struct exposition_writer *writer = xcalloc(1, sizeof(*writer));
	writer->encoder = formats[format].encoder;
	if (writer->encoder->new_state)
		writer->state = writer->encoder->new_state(with_created);
	writer->reader = *reader;
	reader_want(writer->reader, writer->encoder->wants);
	*reader = NULL;
	return writer;
}

void
exposition_writer_free(struct exposition_writer **slot)
{
	struct exposition_writer *writer = *slot;
	*slot = NULL;
	if (!writer)
		return;
	reader_free(&writer->reader);
	if (writer->encoder->free_state)
		writer->encoder->free_state(writer->state);
	free(writer);
}

/* Enters the next family, or writes what follows the last one. */
static void
enter_family(struct exposition_writer *writer, struct buf *out)
{
	writer->is_begun = false;
	writer->is_in_family = reader_next_family(writer->reader, &writer->family);
	if (writer->is_in_family)
		return;
	if (writer->encoder->add_end)
		writer->encoder->add_end(out);
	writer->is_done = true;
}

static bool
has_message_open(const struct exposition_writer *writer)
{
	return writer->encoder->end_family && writer->is_begun;
}

static void
end_message(struct exposition_writer *writer, struct buf *out)
{
	writer->encoder->end_family(writer->state, out);
	writer->is_begun = false;
}

/* Writes the family's next series. */
static void
add_batch(struct exposition_writer *writer, struct buf *out)
{
	const struct exposition_encoder *encoder = writer->encoder;
	struct series_view batch[BATCH_SERIES];
	size_t count = reader_next_batch(writer->reader, batch, BATCH_SERIES);
	writer->is_in_family = count > 0;
	if (count && !writer->is_begun) {
		writer->is_begun = true;
		writer->family_start = out->len;
		encoder->begin_family(writer->state, out, &writer->family);
	}
	if (count)
		encoder->add_series(writer->state, out, &writer->family, batch, count);
	if (has_message_open(writer) &&
	    (!count || out->len - writer->family_start >= EXPOSITION_MESSAGE_BYTES))
		end_message(writer, out);
}

bool
exposition_writer_fill(struct exposition_writer *writer, struct buf *out, size_t at_least)
{
	while (!writer->is_done && (out->len < at_least || has_message_open(writer)) &&
	       !buf_failed(out)) {
		if (!writer->is_in_family)
			enter_family(writer, out);
		else
			add_batch(writer, out);
	}
	return writer->is_done || buf_failed(out);
}
