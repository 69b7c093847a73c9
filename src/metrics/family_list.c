#include "metrics/family_list.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "metrics/label_text.h"

#include <stdlib.h>

struct list_sample {
	size_t text, text_len; /* labels, in list->bytes */
	size_t label_count;
	double value;
};

struct list_family {
	size_t name, name_len, help, help_len; /* in list->bytes */
	enum metric_type type;
	size_t first, count; /* samples */
};

struct family_list {
	struct reader reader;
	struct buf bytes;
	struct list_family *families;
	size_t family_count, family_capacity;
	struct list_sample *samples;
	size_t sample_count, sample_capacity;
	size_t next_family, next_sample, end_sample;
};

struct family_list *
family_list_new(void)
{
	struct family_list *list = xcalloc(1, sizeof(*list));
	list->bytes = BUF_INIT;
	return list;
}

static size_t
keep(struct family_list *list, struct span s)
{
	size_t at = list->bytes.len;
	buf_add_span(&list->bytes, s);
	return at;
}

static struct span
kept(const struct family_list *list, size_t at, size_t len)
{
	return span_first(span_from(buf_span(&list->bytes), at), len);
}

void
family_list_begin(struct family_list *list, struct span name, struct span help,
		  enum metric_type type)
{
	list->families = xgrow(list->families, list->family_count, &list->family_capacity,
			       sizeof(*list->families));
	struct list_family *family = &list->families[list->family_count++];
	*family = (struct list_family){.name_len = name.len, .help_len = help.len, .type = type};
	family->name = keep(list, name);
	family->help = keep(list, help);
	family->first = list->sample_count;
}

void
family_list_add(struct family_list *list, const struct labels *labels, double value)
{
	list->samples = xgrow(list->samples, list->sample_count, &list->sample_capacity,
			      sizeof(*list->samples));
	struct list_sample *sample = &list->samples[list->sample_count++];
	sample->text = list->bytes.len;
	if (labels)
		label_text_format(labels, &list->bytes);
	sample->text_len = list->bytes.len - sample->text;
	sample->label_count = labels ? labels->count : 0;
	sample->value = value;
	list->families[list->family_count - 1].count++;
}

void
family_list_add_with(struct family_list *list, const char *label_name, struct span label_value,
		     double value)
{
	struct labels *labels = xcalloc(1, sizeof(*labels));
	CHECK(labels_set(labels, span_text(label_name), label_value));
	family_list_add(list, labels, value);
	free(labels);
}

static int
compare_families(const void *a, const void *b, void *ctx)
{
	const struct list_family *left = a, *right = b;
	return span_compare(kept(ctx, left->name, left->name_len),
			    kept(ctx, right->name, right->name_len));
}

/* The same order as the registry's: fewer labels first, then by values. */
static int
compare_samples(const void *a, const void *b, void *ctx)
{
	const struct list_sample *left = a, *right = b;
	if (left->label_count != right->label_count)
		return left->label_count < right->label_count ? -1 : 1;
	return label_text_compare_values(kept(ctx, left->text, left->text_len),
					 kept(ctx, right->text, right->text_len));
}

static bool
next_family(struct reader *reader, struct family_view *out)
{
	struct family_list *list = (struct family_list *)reader;
	while (list->next_family < list->family_count) {
		const struct list_family *family = &list->families[list->next_family++];
		list->next_sample = family->first;
		list->end_sample = family->first + family->count;
		if (!family->count)
			continue;
		*out = (struct family_view){kept(list, family->name, family->name_len),
					    kept(list, family->help, family->help_len),
					    family->type};
		return true;
	}
	return false;
}

static size_t
next_batch(struct reader *reader, struct series_view *out, size_t max)
{
	struct family_list *list = (struct family_list *)reader;
	size_t count = 0;
	while (count < max && list->next_sample < list->end_sample) {
		const struct list_sample *sample = &list->samples[list->next_sample++];
		out[count].labels = kept(list, sample->text, sample->text_len);
		out[count].created_ms = 0;
		out[count].exemplars = NULL;
		out[count++].value = sample->value;
	}
	return count;
}

static void
list_free(struct reader *reader)
{
	struct family_list *list = (struct family_list *)reader;
	buf_fini(&list->bytes);
	free(list->families);
	free(list->samples);
	free(list);
}

static const struct reader_ops list_ops = {next_family, next_batch, list_free};

struct reader *
family_list_reader(struct family_list **slot)
{
	struct family_list *list = *slot;
	*slot = NULL;
	if (list->family_count)
		qsort_r(list->families, list->family_count, sizeof(*list->families),
			compare_families, list);
	for (size_t i = 0; i < list->family_count; i++) {
		const struct list_family *family = &list->families[i];
		if (family->count > 1)
			qsort_r(list->samples + family->first, family->count,
				sizeof(*list->samples), compare_samples, list);
	}
	list->reader.ops = &list_ops;
	return &list->reader;
}

/* ---- Two sources as one. ---- */

struct source {
	struct reader *reader;
	struct family_view head; /* the family it is in */
	bool has_head, is_used;	 /* used: shown already, move on before the next comparison */
};

struct merged {
	struct reader reader;
	struct source sources[2];
	struct source *current;
};

static void
advance(struct source *source)
{
	if (!source->is_used)
		return;
	source->is_used = false;
	source->has_head = reader_next_family(source->reader, &source->head);
}

static bool
merged_next_family(struct reader *reader, struct family_view *out)
{
	struct merged *merged = (struct merged *)reader;
	struct source *first = &merged->sources[0], *second = &merged->sources[1];
	advance(first);
	advance(second);
	if (!first->has_head && !second->has_head)
		return false;
	int order = !first->has_head    ? 1
		    : !second->has_head ? -1
					: span_compare(first->head.name, second->head.name);
	merged->current = order > 0 ? second : first;
	merged->current->is_used = true;
	if (order == 0)
		second->is_used = true;
	*out = merged->current->head;
	return true;
}

static size_t
merged_next_batch(struct reader *reader, struct series_view *out, size_t max)
{
	struct merged *merged = (struct merged *)reader;
	return reader_next_batch(merged->current->reader, out, max);
}

static void
merged_free(struct reader *reader)
{
	struct merged *merged = (struct merged *)reader;
	reader_free(&merged->sources[0].reader);
	reader_free(&merged->sources[1].reader);
	free(merged);
}

static void
merged_want(struct reader *reader, unsigned extras)
{
	struct merged *merged = (struct merged *)reader;
	reader_want(merged->sources[0].reader, extras);
	reader_want(merged->sources[1].reader, extras);
}

static bool
merged_has_series(struct reader *reader, struct span labels)
{
	return reader_has_series(((struct merged *)reader)->current->reader, labels);
}

static const struct reader_ops merged_ops = {merged_next_family, merged_next_batch, merged_free,
					     merged_want, merged_has_series};

struct reader *
reader_merge(struct reader **first, struct reader **second)
{
	struct merged *merged = xcalloc(1, sizeof(*merged));
	merged->reader.ops = &merged_ops;
	merged->sources[0] = (struct source){.reader = *first, .is_used = true};
	merged->sources[1] = (struct source){.reader = *second, .is_used = true};
	*first = *second = NULL;
	return &merged->reader;
}
