/*
 * Any bytes as a tag list: each tag is either accepted or counted as bad, and a label has the value
 * of the last good tag whose key escapes to its name.
 */
#include "statsd/tags.h"

#include "base/check.h"
#include "model/name.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct statsd_head head;

/* Cuts the next tag off; a list that ends in ',' has no tag behind it. */
static bool
next_tag(struct span *list, struct span *tag)
{
	if (!list->len)
		return false;
	size_t len = 0;
	while (len < list->len && list->ptr[len] != ',')
		len++;
	*tag = span_first(*list, len);
	*list = span_from(*list, len < list->len ? len + 1 : len);
	return true;
}

/* Whether the tag is good; `name` must have room for its escaped key. */
static bool
understand(struct span tag, char separator, char *name, size_t *name_len, struct span *value)
{
	if (separator == ':' && tag.len && tag.ptr[0] == '#')
		tag = span_from(tag, 1);
	size_t key_len = 0;
	while (key_len < tag.len && tag.ptr[key_len] != separator)
		key_len++;
	if (!key_len || key_len + 1 >= tag.len)
		return false;
	*name_len = name_escape(span_first(tag, key_len), name);
	*value = span_from(tag, key_len + 1);
	return !label_name_is_reserved(span_of(name, *name_len));
}

static void
check_list(const struct tags *tags, struct span list, char separator, uint32_t errors)
{
	char *name = malloc(list.len + 1);
	size_t good = 0, bad = 0, matched = 0, name_len = 0;
	struct span rest = list, tag, value;
	while (next_tag(&rest, &tag) && good < TAGS_MAX + 1) {
		if (!understand(tag, separator, name, &name_len, &value)) {
			bad++;
			continue;
		}
		if (++good > TAGS_MAX)
			break;
		const struct label *label = labels_find(&head.labels, span_of(name, name_len));
		CHECK(label);
		matched += label->value.ptr == value.ptr && label->value.len == value.len;
	}
	CHECK((tags->excess != NULL) == (good > TAGS_MAX));
	CHECK(tags->accepted == (good > TAGS_MAX ? TAGS_MAX : good));
	CHECK(errors == bad);
	CHECK(matched == head.labels.count);
	free(name);
}

static void
reset(void)
{
	head.labels.count = 0;
	head.name_tag_errors = 0;
	head.tag_errors = 0;
	head.scratch_len = 0;
}

static void
check_section(struct span list)
{
	struct tags tags = {.head = &head};
	reset();
	tags_read_section(&tags, list);
	check_list(&tags, list, ':', head.tag_errors);
}

/* "m#LIST" in Librato's way, and "m[LIST]n" where the list holds no bracket. */
static void
check_name(struct span list, const char *before, const char *after,
	   const struct statsd_options *options, const char *want)
{
	size_t len = strlen(before) + list.len + strlen(after);
	char *name = malloc(len);
	char *to = (char *)mempcpy(name, before, strlen(before));
	struct span inner = span_of(to, list.len);
	to = (char *)mempcpy(to, list.ptr, list.len);
	memcpy(to, after, strlen(after));
	struct tags tags = {.head = &head};
	reset();
	tags_read_name(&tags, span_of(name, len), options);
	CHECK(span_equal(head.name, span_text(want)));
	check_list(&tags, inner, '=', head.name_tag_errors);
	free(name);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct statsd_options librato = {.librato_tags = true};
	static const struct statsd_options influxdb = {.influxdb_tags = true};
	static const struct statsd_options every = {true, true, true, true, true, true};
	struct span list = span_of((const char *)data, size);
	if (size > STATSD_LINE_MAX - 8)
		return 0;
	check_section(list);
	check_name(list, "m#", "", &librato, "m");
	check_name(list, "m,", "", &influxdb, "m");
	if (!span_find(list, '[') && !span_find(list, ']')) {
		check_name(list, "m[", "]n#o,p", &every, "mn#o,p");
		check_name(list, "[", "]", &every, "");
		check_name(list, "m#", "", &every, "m");
	}
	return 0;
}
