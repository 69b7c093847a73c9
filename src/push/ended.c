#include "push/ended.h"

#include "base/alloc.h"
#include "base/buf.h"

#include <stdlib.h>

/*
 * One series. Its name and labels lie behind it, and behind these the texts of its bounds or quantiles,
 * unless those are the last that were written: series that end together have mostly the same.
 */
struct record {
	enum metric_type type;
	size_t name_len, labels_len;
	size_t bound_count, quantile_count;
	size_t texts_at;  /* in all records; each is a byte with its length, and so many bytes */
	size_t texts_len; /* 0 where they are those of an earlier record */
	bool has_native;
};

struct push_ended {
	struct buf records;
	size_t taken; /* bytes of them */
	size_t count;
	size_t last_texts_at, last_texts_len; /* of the last record that has any of its own */
	struct span *texts;                   /* owned; what the last series taken borrows */
	size_t text_capacity;
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
	if (*slot) {
		buf_fini(&(*slot)->records);
		free((*slot)->texts);
	}
	free(*slot);
	*slot = NULL;
}

static size_t
texts_len(const struct span *texts, size_t count)
{
	size_t len = 0;
	for (size_t i = 0; i < count; i++)
		len += 1 + texts[i].len;
	return len;
}

static void
put_texts(struct buf *out, const struct span *texts, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		CHECK(texts[i].len <= UINT8_MAX);
		buf_add_byte(out, (char)texts[i].len);
		buf_add_span(out, texts[i]);
	}
}

/* Appends the texts of a record, or finds them where they are already. */
static void
add_texts(struct push_ended *ended, struct record *record, const struct series_view *series)
{
	struct buf *out = &ended->records;
	size_t at = out->len;
	put_texts(out, series->bound_texts, series->bound_count);
	put_texts(out, series->quantile_texts, series->quantile_count);
	size_t len = out->len - at;
	if (!len)
		return;
	if (len == ended->last_texts_len &&
	    memcmp(out->ptr + at, out->ptr + ended->last_texts_at, len) == 0) {
		out->len = at;
		record->texts_at = ended->last_texts_at;
		return;
	}
	record->texts_at = ended->last_texts_at = at;
	record->texts_len = ended->last_texts_len = len;
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
				.has_native = series->native != NULL};
	size_t at = ended->records.len;
	size_t len = sizeof(record) + record.name_len + record.labels_len +
		     texts_len(series->bound_texts, series->bound_count) +
		     texts_len(series->quantile_texts, series->quantile_count);
	/* One that is too long does not keep out shorter ones. */
	if (len > PUSH_ENDED_BYTES - at)
		return false;
	buf_add(&ended->records, &record, sizeof(record));
	buf_add_span(&ended->records, family->name);
	buf_add_span(&ended->records, series->labels);
	add_texts(ended, &record, series);
	memcpy(ended->records.ptr + at, &record, sizeof(record));
	ended->count++;
	return true;
}

/* That there was a native histogram is all that is kept of it. */
static const struct native_view ended_native;

/* @return the texts of a record, borrowed until the next call */
static const struct span *
read_texts(struct push_ended *ended, const struct record *record)
{
	size_t count = record->bound_count + record->quantile_count;
	if (count > ended->text_capacity) {
		ended->texts = xreallocarray(ended->texts, count, sizeof(*ended->texts));
		ended->text_capacity = count;
	}
	const char *at = ended->records.ptr + record->texts_at;
	for (size_t i = 0; i < count; i++) {
		size_t len = (uint8_t)*at++;
		ended->texts[i] = span_of(at, len);
		at += len;
	}
	return ended->texts;
}

bool
push_ended_take(struct push_ended *ended, struct family_view *family, struct series_view *series)
{
	struct record record;
	if (!ended->count)
		return false;
	const char *at = ended->records.ptr + ended->taken;
	memcpy(&record, at, sizeof(record));
	at += sizeof(record);
	*family = (struct family_view){
	    .name = span_of(at, record.name_len), .help = SPAN(""), .type = record.type};
	const struct span *texts = read_texts(ended, &record);
	*series = (struct series_view){.labels = span_of(at + record.name_len, record.labels_len),
				       .bound_count = record.bound_count,
				       .bound_texts = texts,
				       .native = record.has_native ? &ended_native : NULL,
				       .quantile_count = record.quantile_count,
				       .quantile_texts = texts + record.bound_count};
	ended->taken += sizeof(record) + record.name_len + record.labels_len + record.texts_len;
	ended->count--;
	return true;
}

size_t
push_ended_count(const struct push_ended *ended)
{
	return ended->count;
}
