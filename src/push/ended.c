#include "push/ended.h"

#include "base/alloc.h"
#include "base/buf.h"

#include <stdlib.h>

/* One series; its name and labels lie behind it. */
struct record {
	enum metric_type type;
	size_t name_len, labels_len;
	size_t bound_count, quantile_count;
	bool has_native;
	const struct span *bound_texts, *quantile_texts; /* borrowed */
};

struct push_ended {
	struct buf records;
	size_t taken; /* bytes of them */
	size_t count;
};

struct push_ended *
push_ended_new(void)
{
	struct push_ended *ended = xcalloc(1, sizeof(*ended));
	buf_init(&ended->records, PUSH_ENDED_BYTES);
	return ended;
}

void
push_ended_free(struct push_ended **slot)
{
	if (*slot)
		buf_fini(&(*slot)->records);
	free(*slot);
	*slot = NULL;
}

bool
push_ended_add(struct push_ended *ended, const struct family_view *family,
	       const struct series_view *series)
{
	struct record record = {.type = family->type,
				.name_len = family->name.len,
				.labels_len = series->labels.len,
				.bound_count = series->bound_count,
				.quantile_count = series->quantile_count,
				.has_native = series->native != NULL,
				.bound_texts = series->bound_texts,
				.quantile_texts = series->quantile_texts};
	size_t len = sizeof(record) + record.name_len + record.labels_len;
	/* One that is too long does not keep out shorter ones. */
	if (len > PUSH_ENDED_BYTES - ended->records.len)
		return false;
	buf_add(&ended->records, &record, sizeof(record));
	buf_add_span(&ended->records, family->name);
	buf_add_span(&ended->records, series->labels);
	ended->count++;
	return true;
}

/* That there was a native histogram is all that is kept of it. */
static const struct native_view ended_native;

bool
push_ended_take(struct push_ended *ended, struct family_view *family, struct series_view *series)
{
	struct record record;
	if (!ended->count) {
		/* Nothing is borrowed from it any more. */
		buf_fini(&ended->records);
		ended->taken = 0;
		return false;
	}
	const char *at = ended->records.ptr + ended->taken;
	memcpy(&record, at, sizeof(record));
	at += sizeof(record);
	*family = (struct family_view){
	    .name = span_of(at, record.name_len), .help = SPAN(""), .type = record.type};
	*series = (struct series_view){.labels = span_of(at + record.name_len, record.labels_len),
				       .bound_count = record.bound_count,
				       .bound_texts = record.bound_texts,
				       .native = record.has_native ? &ended_native : NULL,
				       .quantile_count = record.quantile_count,
				       .quantile_texts = record.quantile_texts};
	ended->taken += sizeof(record) + record.name_len + record.labels_len;
	ended->count--;
	return true;
}

size_t
push_ended_count(const struct push_ended *ended)
{
	return ended->count;
}
