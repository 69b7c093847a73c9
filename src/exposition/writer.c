#include "exposition/writer.h"

#include "base/alloc.h"
#include "exposition/text.h"

#include <stdlib.h>

struct format {
	const char *content_type;
	void (*add_family)(struct buf *out, const struct family_view *family);
	void (*add_series)(struct buf *out, const struct family_view *family,
			   const struct series_view *series, size_t count);
	void (*add_end)(struct buf *out); /* NULL = nothing follows the last series */
};

static const struct format formats[EXPOSITION_FORMATS] = {
    [EXPOSITION_TEXT_0_0_4] =
	{
	    .content_type = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores",
	    .add_family = exposition_text_add_family,
	    .add_series = exposition_text_add_series,
	},
};

/* Series read at once: enough to make the reader's work cheap, and few enough to stay in the cache.
 */
#define BATCH_SERIES 32

struct exposition_writer {
	const struct format *format;
	struct reader *reader; /* owned */
	struct family_view family;
	bool is_in_family; /* `family` may have more series */
	bool is_done;
};

const char *
exposition_content_type(enum exposition_format format)
{
	return formats[format].content_type;
}

struct exposition_writer *
exposition_writer_new(enum exposition_format format, struct reader **reader)
{
	struct exposition_writer *writer = xcalloc(1, sizeof(*writer));
	writer->format = &formats[format];
	writer->reader = *reader;
	*reader = NULL;
	return writer;
}

void
exposition_writer_free(struct exposition_writer **writer)
{
	if (*writer)
		reader_free(&(*writer)->reader);
	free(*writer);
	*writer = NULL;
}

/* Writes the next family's head, or what follows the last one. */
static void
begin_family(struct exposition_writer *writer, struct buf *out)
{
	writer->is_in_family = reader_next_family(writer->reader, &writer->family);
	if (writer->is_in_family) {
		writer->format->add_family(out, &writer->family);
		return;
	}
	if (writer->format->add_end)
		writer->format->add_end(out);
	writer->is_done = true;
}

/* Writes the family's next series. @return false behind the last */
static bool
add_batch(struct exposition_writer *writer, struct buf *out)
{
	struct series_view batch[BATCH_SERIES];
	size_t count = reader_next_batch(writer->reader, batch, BATCH_SERIES);
	writer->format->add_series(out, &writer->family, batch, count);
	return count > 0;
}

bool
exposition_writer_fill(struct exposition_writer *writer, struct buf *out, size_t at_least)
{
	while (!writer->is_done && out->len < at_least && !buf_failed(out)) {
		if (!writer->is_in_family)
			begin_family(writer, out);
		else
			writer->is_in_family = add_batch(writer, out);
	}
	return writer->is_done || buf_failed(out);
}
