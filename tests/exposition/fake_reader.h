/* A metrics reader over an array of families, for tests of whoever reads. */
#ifndef TESTS_EXPOSITION_FAKE_READER_H
#define TESTS_EXPOSITION_FAKE_READER_H

#include "base/alloc.h"
#include "metrics/reader.h"

#include <stdlib.h>

struct fake_family {
	struct family_view view;
	const struct series_view *series;
	size_t series_count;
};

struct fake_reader {
	struct reader reader;
	const struct fake_family *families;
	size_t family_count, next_family, next_series;
	unsigned *frees; /* counts calls of free */
	unsigned wants;
};

static bool
fake_next_family(struct reader *reader, struct family_view *out)
{
	struct fake_reader *fake = (struct fake_reader *)reader;
	if (fake->next_family == fake->family_count)
		return false;
	*out = fake->families[fake->next_family++].view;
	fake->next_series = 0;
	return true;
}

static size_t
fake_next_batch(struct reader *reader, struct series_view *out, size_t max)
{
	struct fake_reader *fake = (struct fake_reader *)reader;
	const struct fake_family *family = &fake->families[fake->next_family - 1];
	bool is_one_number =
	    family->view.type == METRIC_COUNTER || family->view.type == METRIC_GAUGE;
	size_t left = family->series_count - fake->next_series;
	size_t most = is_one_number ? max : 1;
	size_t count = 0, bytes = 0;
	for (; count < most && count < left && bytes < READER_BATCH_BYTES; count++) {
		out[count] = family->series[fake->next_series++];
		if (!(fake->wants & READER_NATIVE))
			out[count].native = NULL;
		if (!(fake->wants & READER_EXEMPLARS))
			out[count].exemplars = NULL;
		bytes += out[count].labels.len;
	}
	return count;
}

static void
fake_free(struct reader *reader)
{
	struct fake_reader *fake = (struct fake_reader *)reader;
	++*fake->frees;
	free(fake);
}

static void
fake_want(struct reader *reader, unsigned extras)
{
	((struct fake_reader *)reader)->wants = extras;
}

static bool
fake_has_series(struct reader *reader, struct span labels)
{
	struct fake_reader *fake = (struct fake_reader *)reader;
	const struct fake_family *family = &fake->families[fake->next_family - 1];
	size_t i = 0;
	while (i < family->series_count && !span_equal(family->series[i].labels, labels))
		i++;
	return i < family->series_count;
}

/* @frees grows by one when the reader is freed */
static struct reader *
fake_reader_new(const struct fake_family *families, size_t count, unsigned *frees)
{
	static const struct reader_ops ops = {fake_next_family, fake_next_batch, fake_free,
					      fake_want, fake_has_series};
	struct fake_reader *fake = xcalloc(1, sizeof(*fake));
	fake->reader.ops = &ops;
	fake->families = families;
	fake->family_count = count;
	fake->frees = frees;
	return &fake->reader;
}

#endif
