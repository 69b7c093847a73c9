#include "exposition/dots.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "metrics/label_text.h"

#include <stdlib.h>

struct dots {
	struct reader reader;
	struct reader *inner; /* owned */
	struct buf name;      /* of the family in hand */
	struct buf labels;    /* of the batch in hand */
};

static void
add_name(struct buf *out, struct span name)
{
	for (size_t i = 0; i < name.len; i++) {
		buf_add_byte(out, name.ptr[i]);
		if (name.ptr[i] == '_')
			buf_add_byte(out, '_');
	}
}

static void
add_labels(struct buf *out, struct span text)
{
	struct span name, value;
	while (label_text_next(&text, &name, &value)) {
		add_name(out, name);
		buf_add_span(out, SPAN("=\""));
		buf_add_span(out, value);
		buf_add_byte(out, '"');
		if (text.len)
			buf_add_byte(out, ',');
	}
}

static bool
next_family(struct reader *base, struct family_view *out)
{
	struct dots *dots = (struct dots *)base;
	if (!reader_next_family(dots->inner, out))
		return false;
	buf_reset(&dots->name);
	add_name(&dots->name, out->name);
	out->name = buf_span(&dots->name);
	return true;
}

/* The texts move while the buffer grows, so spans are made of it once it holds them all. */
static size_t
next_batch(struct reader *base, struct series_view *out, size_t max)
{
	struct dots *dots = (struct dots *)base;
	size_t count = reader_next_batch(dots->inner, out, max), at = 0;
	buf_reset(&dots->labels);
	for (size_t i = 0; i < count; i++) {
		size_t start = dots->labels.len;
		add_labels(&dots->labels, out[i].labels);
		out[i].labels.len = dots->labels.len - start;
	}
	for (size_t i = 0; i < count; i++) {
		out[i].labels.ptr = buf_span(&dots->labels).ptr + at;
		at += out[i].labels.len;
	}
	return count;
}

static void
dots_free(struct reader *base)
{
	struct dots *dots = (struct dots *)base;
	reader_free(&dots->inner);
	buf_fini(&dots->name);
	buf_fini(&dots->labels);
	free(dots);
}

static void
want(struct reader *base, unsigned extras)
{
	reader_want(((struct dots *)base)->inner, extras);
}

struct reader *
exposition_dots_reader(struct reader **reader)
{
	static const struct reader_ops ops = {next_family, next_batch, dots_free, want};
	struct dots *dots = xcalloc(1, sizeof(*dots));
	dots->reader.ops = &ops;
	dots->inner = *reader;
	*reader = NULL;
	dots->name = dots->labels = BUF_INIT;
	return &dots->reader;
}
