#include "statsd/tags.h"

#include "model/name.h"

static bool
has_room(struct tags *tags, const char *at)
{
	if (tags->accepted == TAGS_MAX) {
		tags->excess = at;
		return false;
	}
	tags->accepted++;
	return true;
}

static void
set_label(struct tags *tags, struct span name, struct span value)
{
	/* TAGS_MAX is below LABELS_MAX, so the set cannot be full. */
	bool is_set = labels_set(&tags->head->labels, name, value);
	CHECK(is_set);
}

/* The label name of a tag key. */
static struct span
label_name(struct statsd_head *head, struct span key)
{
	char *escaped = head->scratch + head->scratch_len;
	size_t len = name_escape(key, escaped);
	head->scratch_len += len;
	return span_of(escaped, len);
}

/* False for a bad tag. */
static bool
read_tag(struct tags *tags, struct span tag, char separator)
{
	/* Most keys are legal as they are, and end where that does. */
	size_t legal = name_legal_length(tag);
	bool is_legal = legal && legal < tag.len && tag.ptr[legal] == separator;
	const char *cut = is_legal ? tag.ptr + legal : span_find(tag, separator);
	if (!cut)
		return false;
	struct span key = span_of(tag.ptr, (size_t)(cut - tag.ptr));
	struct span value = span_from(tag, key.len + 1);
	if (!key.len || !value.len)
		return false;
	struct span name = is_legal ? key : label_name(tags->head, key);
	if (label_name_is_reserved(name))
		return false;
	if (has_room(tags, tag.ptr))
		set_label(tags, name, value);
	return true;
}

/* Splits at ','. Behind a final comma there is no tag, so an empty rest is no fault. */
static void
read_list(struct tags *tags, struct span list, char separator, bool may_have_hash, uint32_t *errors)
{
	while (list.len && !tags->excess) {
		const char *comma = span_find(list, ',');
		size_t len = comma ? (size_t)(comma - list.ptr) : list.len;
		struct span tag = span_first(list, len);
		list = span_from(list, comma ? len + 1 : len);
		if (may_have_hash && tag.len && tag.ptr[0] == '#')
			tag = span_from(tag, 1);
		if (!read_tag(tags, tag, separator))
			++*errors;
	}
}

/* The name around the brackets; the halves are joined in scratch. */
static struct span
join(struct statsd_head *head, struct span before, struct span after)
{
	if (!after.len)
		return before;
	if (!before.len)
		return after;
	char *joined = head->scratch + head->scratch_len;
	memcpy(joined, before.ptr, before.len);
	memcpy(joined + before.len, after.ptr, after.len);
	head->scratch_len += before.len + after.len;
	return span_of(joined, before.len + after.len);
}

/* Returns whether there were brackets, which keep the other styles from being tried. */
static bool
read_brackets(struct tags *tags, struct span name)
{
	struct statsd_head *head = tags->head;
	const char *open = span_find(name, '[');
	const char *close = span_find(name, ']');
	if (!open && !close)
		return false;
	if (!open || !close || close < open) {
		head->name_tag_errors++;
		return true;
	}
	size_t before = (size_t)(open - name.ptr);
	size_t after = (size_t)(close - name.ptr) + 1;
	head->name = join(head, span_first(name, before), span_from(name, after));
	read_list(tags, span_of(open + 1, (size_t)(close - open) - 1), '=', false,
		  &head->name_tag_errors);
	return true;
}

static const char *
first_of(const char *a, const char *b)
{
	if (!a || !b)
		return a ? a : b;
	return a < b ? a : b;
}

void
tags_read_name(struct tags *tags, struct span name, const struct statsd_options *options)
{
	struct statsd_head *head = tags->head;
	head->name = name;
	if (options->signalfx_tags && read_brackets(tags, name))
		return;
	const char *hash = options->librato_tags ? span_find(name, '#') : NULL;
	const char *comma = options->influxdb_tags ? span_find(name, ',') : NULL;
	const char *start = first_of(hash, comma);
	if (!start)
		return;
	size_t len = (size_t)(start - name.ptr);
	head->name = span_first(name, len);
	read_list(tags, span_from(name, len + 1), '=', false, &head->name_tag_errors);
}

void
tags_read_section(struct tags *tags, struct span list)
{
	read_list(tags, list, ':', true, &tags->head->tag_errors);
}

void
tags_set_container_id(struct tags *tags, struct span section, struct span id)
{
	if (has_room(tags, section.ptr))
		set_label(tags, SPAN("container_id"), id);
}
