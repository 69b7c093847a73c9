/*
 * Any bytes as a metric line: the parts of all samples make up the line, heads are well formed, and
 * two samples with the same key have the same head.
 */
#include "statsd/line.h"

#include "base/check.h"
#include "model/name.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct statsd_options options_tried[] = {
    {true, true, true, true, true, false},
    {false, true, false, true, false, true},
    {true, false, true, false, false, false},
    {false, false, false, false, true, true},
};

static struct statsd_head head, again;

static bool
is_inside(struct span inner, const char *outer, size_t len)
{
	return inner.ptr >= outer && inner.len <= len &&
	       (size_t)(inner.ptr - outer) <= len - inner.len;
}

/* The sample begins at `at` and its parts touch each other up to the line's end. */
static void
check_parts(struct span line, const struct statsd_cut *cut, const char *at)
{
	const char *end = line.ptr + line.len;
	CHECK(cut->values.ptr == at);
	CHECK(cut->suffix.ptr == cut->values.ptr + cut->values.len);
	CHECK(!cut->suffix.len || cut->suffix.ptr[0] == '|');
	CHECK(!span_find(cut->values, '|'));
	CHECK(cut->packed == (span_find(cut->values, ':') != NULL));
	const char *sample_end = cut->suffix.ptr + cut->suffix.len;
	if (!cut->more.ptr) {
		CHECK(sample_end == end);
		return;
	}
	CHECK(*sample_end == ':' && cut->more.ptr == sample_end + 1);
	CHECK(cut->more.ptr + cut->more.len == end);
}

static void
check_labels(struct span line)
{
	CHECK(head.labels.count <= TAGS_MAX);
	for (size_t i = 0; i < head.labels.count; i++) {
		const struct label *label = &head.labels.item[i];
		CHECK(name_is_legal(label->name) && !label_name_is_reserved(label->name));
		CHECK(is_inside(label->name, line.ptr, line.len) ||
		      is_inside(label->name, head.scratch, head.scratch_len) ||
		      span_equal(label->name, SPAN("container_id")));
		CHECK(label->value.len && is_inside(label->value, line.ptr, line.len));
		CHECK(!i || span_compare(label[-1].name, label->name) < 0);
	}
}

static void
check_rates(void)
{
	CHECK(head.rate_count <= STATSD_RATES_MAX);
	CHECK(head.rate >= 1e-6 && head.rate <= 1);
	for (size_t i = 0; i < head.rate_count; i++)
		CHECK(head.rates[i] >= 1e-6 && head.rates[i] <= 1);
}

static void
check_head(struct span line)
{
	CHECK(head.where <= line.len);
	CHECK(head.scratch_len <= sizeof(head.scratch));
	CHECK(!head.name.ptr || is_inside(head.name, line.ptr, line.len) ||
	      is_inside(head.name, head.scratch, head.scratch_len));
	CHECK(head.refused < STATSD_MALFORMED_COMPONENT);
	CHECK(head.sample == STATSD_OK || head.sample == STATSD_MALFORMED_COMPONENT ||
	      head.sample == STATSD_ILLEGAL_EVENT);
	CHECK(!head.has_labels || (head.labels.count && !head.refused));
	check_labels(line);
	check_rates();
}

static void
check_same_heads(void)
{
	CHECK(head.refused == again.refused && head.sample == again.sample);
	CHECK(head.type == again.type && head.has_labels == again.has_labels);
	CHECK(span_equal(head.name, again.name));
	CHECK(head.labels.count == again.labels.count);
	for (size_t i = 0; i < head.labels.count; i++) {
		CHECK(span_equal(head.labels.item[i].name, again.labels.item[i].name));
		CHECK(span_equal(head.labels.item[i].value, again.labels.item[i].value));
	}
	CHECK(head.name_tag_errors == again.name_tag_errors);
	CHECK(head.tag_errors == again.tag_errors);
	CHECK(head.sample_factor_errors == again.sample_factor_errors);
	CHECK(head.container_id_errors == again.container_id_errors);
	CHECK(head.rate == again.rate && head.rate_count == again.rate_count);
	CHECK(memcmp(head.rates, again.rates, head.rate_count * sizeof(head.rates[0])) == 0);
}

/* A sample made of the part of the suffix that counts must have the same head and the same part. */
static void
check_key_suffix(const struct statsd_cut *cut, const struct statsd_options *options)
{
	if (!cut->suffix.len)
		return;
	char *kept = malloc(cut->suffix.len), *again_kept = malloc(cut->suffix.len);
	struct span suffix = statsd_key_suffix(cut, options, kept);
	size_t len = cut->name.len + 1 + suffix.len;
	char *line = malloc(len);
	memcpy(mempcpy(line, cut->name.ptr, cut->name.len), ":", 1);
	memcpy(line + cut->name.len + 1, suffix.ptr, suffix.len);
	struct statsd_cut from_key = *cut;
	from_key.name = span_of(line, cut->name.len);
	from_key.values = span_of(line + cut->name.len + 1, 0);
	from_key.suffix = span_of(line + cut->name.len + 1, suffix.len);
	statsd_parse_head(span_of(line, len), &from_key, options, &again);
	check_same_heads();
	CHECK(span_equal(statsd_key_suffix(&from_key, options, again_kept), suffix));
	free(line);
	free(kept);
	free(again_kept);
}

/* The same name and suffix with another value are cut and understood alike. */
static void
check_other_value(const struct statsd_cut *cut, const struct statsd_options *options)
{
	static const char value[] = "-12345.5";
	size_t len = cut->name.len + cut->suffix.len + sizeof(value);
	if (!cut->suffix.len || cut->packed || len > STATSD_LINE_MAX)
		return;
	char *line = malloc(len), *to = line;
	to = (char *)mempcpy(to, cut->name.ptr, cut->name.len);
	*to++ = ':';
	to = (char *)mempcpy(to, value, sizeof(value) - 1);
	memcpy(to, cut->suffix.ptr, cut->suffix.len);
	struct statsd_cut other;
	size_t where;
	statsd_cut(span_of(line, len), &other, &where);
	CHECK(span_equal(other.name, cut->name) && span_equal(other.suffix, cut->suffix));
	CHECK(!other.more.ptr && other.dogstatsd == cut->dogstatsd && !other.packed);
	statsd_parse_head(span_of(line, len), &other, options, &again);
	check_same_heads();
	free(line);
}

/* Whether the line's end is one sample does not depend on what stands before it. */
static void
check_whole(struct span line, const struct statsd_cut *cut, const char *sample)
{
	if (!cut->suffix.len || cut->packed)
		return;
	const char *end = line.ptr + line.len, *bar = cut->suffix.ptr;
	bool is_first = sample == cut->name.ptr + cut->name.len + 1;
	if (is_first)
		CHECK(statsd_suffix_is_whole(span_of(bar, (size_t)(end - bar))) == !cut->more.ptr);
	CHECK(statsd_suffix_is_whole(cut->suffix));
}

/* A further sample is understood alike by what the one before it left in `head`. */
static void
parse_sample(struct span line, const struct statsd_cut *cut, const struct statsd_options *options,
	     bool is_first)
{
	bool is_same = false;
	if (!is_first && cut->suffix.len && !head.refused) {
		again = head;
		is_same = statsd_parse_further(line, cut, options, &again);
	}
	statsd_parse_head(line, cut, options, &head);
	if (is_same)
		check_same_heads();
}

static void
check_line(struct span line, const struct statsd_options *options)
{
	struct statsd_cut cut;
	size_t where = 0;
	enum statsd_reason refused = statsd_cut(line, &cut, &where);
	CHECK(where <= line.len);
	if (refused == STATSD_MALFORMED_LINE || refused == STATSD_NAME_TOO_LONG) {
		statsd_parse_head(line, &cut, options, &head);
		CHECK(head.refused == refused && head.where <= line.len);
		return;
	}
	CHECK(cut.name.ptr == line.ptr && line.ptr[cut.name.len] == ':');
	CHECK(!span_find(cut.name, ':'));
	CHECK(!cut.dogstatsd || !cut.more.ptr);
	const char *at = cut.name.ptr + cut.name.len + 1;
	do {
		check_parts(line, &cut, at);
		parse_sample(line, &cut, options, at == cut.name.ptr + cut.name.len + 1);
		CHECK(refused == STATSD_OK || head.refused != STATSD_OK);
		check_head(line);
		check_key_suffix(&cut, options);
		check_whole(line, &cut, at);
		check_other_value(&cut, options);
		at = cut.more.ptr;
	} while (statsd_cut_next(&cut));
	CHECK(!at);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span line = span_of((const char *)data, size);
	if (!size || size > STATSD_LINE_MAX)
		return 0;
	for (size_t i = 0; i < sizeof(options_tried) / sizeof(options_tried[0]); i++)
		check_line(line, &options_tried[i]);
	return 0;
}
