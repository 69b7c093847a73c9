#include "push/twins.h"

#include "base/hash.h"
#include "metrics/label_text.h"

void
push_twins_init(struct push_twins *twins, const struct labels *external)
{
	*twins = (struct push_twins){.external = BUF_INIT, .reduced = BUF_INIT, .seen = INDEX_INIT};
	label_text_format(external, &twins->external);
}

void
push_twins_fini(struct push_twins *twins)
{
	buf_fini(&twins->external);
	buf_fini(&twins->reduced);
	index_fini(&twins->seen);
}

void
push_twins_begin_family(struct push_twins *twins)
{
	index_fini(&twins->seen);
	twins->seen = INDEX_INIT;
}

/* @value escaped */
static bool
is_external(const struct push_twins *twins, struct span name, struct span value)
{
	struct span rest = buf_span(&twins->external), other, other_value;
	while (label_text_next(&rest, &other, &other_value)) {
		if (span_equal(other, name))
			return span_equal(other_value, value);
	}
	return false;
}

static struct span
reduce(struct push_twins *twins, struct span labels)
{
	struct buf *out = &twins->reduced;
	struct span name, value;
	buf_reset(out);
	while (label_text_next(&labels, &name, &value)) {
		if (!value.len || is_external(twins, name, value))
			continue;
		if (out->len)
			buf_add_byte(out, ',');
		/* As it stands in the text, up to the quote behind the value. */
		buf_add(out, name.ptr, (size_t)(value.ptr + value.len + 1 - name.ptr));
	}
	return buf_span(out);
}

static bool
is_hash(const void *item, const void *wanted)
{
	return item == wanted;
}

bool
push_twins_had(struct push_twins *twins, struct reader *reader, struct span labels)
{
	struct span reduced = reduce(twins, labels);
	if (reduced.len == labels.len)
		return false;
	/* The lowest bit makes it not NULL. */
	uint64_t hash = hash_bytes64(reduced.ptr, reduced.len);
	void *item = (void *)(uintptr_t)(hash | 1);
	if (reader_has_series(reader, reduced) || index_find(&twins->seen, hash, is_hash, item))
		return true;
	index_add(&twins->seen, hash, item);
	return false;
}
