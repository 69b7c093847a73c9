#include "statsd/line.h"

#include "base/number.h"
#include "base/utf8.h"
#include "statsd/tags.h"


/* A lower rate counts as this one, so that no line can weigh more than a million. */
#define RATE_MIN 1e-6

static size_t
distance(const char *from, const char *to)
{
	return (size_t)(to - from);
}

const char *
statsd_reason_text(enum statsd_reason reason)
{
	static const char *const text[STATSD_REASONS] = {
	    [STATSD_OK] = "ok",
	    [STATSD_MALFORMED_LINE] = "malformed_line",
	    [STATSD_NAME_TOO_LONG] = "name_too_long",
	    [STATSD_MIXED_TAGGING_STYLES] = "mixed_tagging_styles",
	    [STATSD_TOO_MANY_TAGS] = "too_many_tags",
	    [STATSD_NOT_ENOUGH_PARTS] = "not_enough_parts_after_colon",
	    [STATSD_INVALID_EXTENDED_AGGREGATE] = "invalid_extended_aggregate_type",
	    [STATSD_MALFORMED_EVENT] = "malformed_event",
	    [STATSD_MALFORMED_SERVICE_CHECK] = "malformed_service_check",
	    [STATSD_MALFORMED_COMPONENT] = "malformed_component",
	    [STATSD_MALFORMED_VALUE] = "malformed_value",
	    [STATSD_ILLEGAL_EVENT] = "illegal_event",
	    [STATSD_INVALID_SAMPLE_FACTOR] = "invalid_sample_factor",
	    [STATSD_MALFORMED_CONTAINER_ID] = "malformed_container_id",
	};
	return text[reason];
}

enum statsd_line_class
statsd_classify(struct span line)
{
	if (!line.len)
		return STATSD_LINE_EMPTY;
	if (line.ptr[0] != '_')
		return STATSD_LINE_METRIC;
	if (span_starts(line, SPAN("_e{")))
		return STATSD_LINE_EVENT;
	return span_starts(line, SPAN("_sc|")) ? STATSD_LINE_CHECK : STATSD_LINE_METRIC;
}

/* Sections whose text is data with colons of its own. */
static bool
holds_colons(const char *section, const char *end)
{
	size_t len = distance(section, end);
	if (len < 2 || (*section != 'c' && *section != 'e'))
		return false;
	return section[1] == ':' || (len >= 5 && memcmp(section, "card:", 5) == 0);
}

/* The first `a` or `b`, or `end`: for texts too short to be worth memchr(). */
static inline const char *
find_either(const char *at, const char *end, char a, char b)
{
	while (at < end && *at != a && *at != b)
		at++;
	return at;
}

/*
 * The ':' that ends the sample whose first '|' is `bar`, or NULL. Only a type or a rate can be
 * followed by another etsy sample. Up to *seen there is no "|#".
 */
static const char *
find_split(const char *bar, const char *end, const char **seen)
{
	for (bool is_type = true; bar < end; is_type = false) {
		const char *part = bar + 1;
		*seen = bar;
		if (part < end && *part == '#')
			return NULL;
		if (is_type || (part < end && *part == '@')) {
			bar = find_either(part, end, '|', ':');
			if (bar < end && *bar == ':')
				return bar;
		} else {
			const char *next = memchr(part, '|', distance(part, end));
			bar = next ? next : end;
			if (holds_colons(part, bar))
				return NULL;
		}
	}
	*seen = end;
	return NULL;
}

static bool
has_tag_section(const char *from, const char *end)
{
	if (distance(from, end) < 2)
		return false;
	return (from[0] == '|' && from[1] == '#') ||
	       memmem(from, distance(from, end), "|#", 2) != NULL;
}

/* Sets suffix and more. */
static void
end_sample(struct statsd_cut *cut, const char *bar, const char *split, const char *end)
{
	cut->suffix = span_of(bar, distance(bar, split ? split : end));
	cut->more = split ? span_of(split + 1, distance(split + 1, end)) : (struct span){0};
}

enum statsd_reason
statsd_cut(struct span line, struct statsd_cut *cut, size_t *where)
{
	*cut = (struct statsd_cut){0};
	const char *end = line.ptr + line.len;
	const char *colon = span_find(line, ':');
	if (!colon) {
		*where = line.len;
		return STATSD_MALFORMED_LINE;
	}
	const char *value = colon + 1;
	cut->name = span_of(line.ptr, distance(line.ptr, colon));
	const char *bar = find_either(value, end, '|', ':');
	cut->packed = bar < end && *bar == ':';
	if (cut->packed) {
		bar = memchr(bar, '|', distance(bar, end));
		bar = bar ? bar : end;
	}
	cut->values = span_of(value, distance(value, bar));
	const char *seen = bar;
	const char *split = cut->packed ? NULL : find_split(bar, end, &seen);
	cut->dogstatsd = has_tag_section(seen, end);
	end_sample(cut, bar, cut->dogstatsd ? NULL : split, end);
	if (!cut->name.len) {
		*where = 0;
		return STATSD_MALFORMED_LINE;
	}
	if (cut->name.len > STATSD_NAME_MAX) {
		*where = STATSD_NAME_MAX;
		return STATSD_NAME_TOO_LONG;
	}
	if (bar == end) {
		*where = line.len;
		return STATSD_NOT_ENOUGH_PARTS;
	}
	return STATSD_OK;
}

bool
statsd_cut_next(struct statsd_cut *cut)
{
	if (!cut->more.ptr)
		return false;
	const char *value = cut->more.ptr;
	const char *end = value + cut->more.len;
	const char *bar = find_either(value, end, '|', ':');
	bool has_type = bar < end && *bar == '|';
	const char *seen;
	cut->values = span_of(value, distance(value, bar));
	cut->packed = false;
	if (has_type)
		end_sample(cut, bar, find_split(bar, end, &seen), end);
	else
		end_sample(cut, bar, bar < end ? bar : NULL, end);
	return true;
}

bool
statsd_next_value(struct span *values, struct span *piece)
{
	if (!values->ptr)
		return false;
	const char *colon = span_find(*values, ':');
	if (!colon) {
		*piece = *values;
		*values = (struct span){0};
		return true;
	}
	*piece = span_of(values->ptr, distance(values->ptr, colon));
	*values = span_from(*values, piece->len + 1);
	return true;
}

/* Whether `cut` is a line's first sample and has no '|': such a line is refused, not the sample. */
static bool
lacks_parts(const struct statsd_cut *cut)
{
	return !cut->suffix.len && cut->name.len &&
	       cut->values.ptr == cut->name.ptr + cut->name.len + 1;
}

/*
 * Sections that can be left out of the key. Invalid UTF-8 refuses the line wherever it stands, so a
 * section that could hold some stays in.
 */
static bool
is_meaningless(const char *section, const char *end, bool container_id_label)
{
	size_t len = distance(section, end);
	if (!len)
		return false;
	switch (*section) {
	case 'T':
		break;
	case 'e':
		if (len < 2 || section[1] != ':')
			return false;
		break;
	case 'c':
		if (len > 2 && section[1] == ':' && !container_id_label)
			break;
		if (len < 5 || memcmp(section, "card:", 5) != 0)
			return false;
		break;
	default:
		return false;
	}
	return utf8_is_ascii(span_of(section, len));
}

static char *
put(char *to, const char *from, const char *end)
{
	size_t len = distance(from, end);
	memcpy(to, from, len);
	return to + len;
}

struct span
statsd_key_suffix(const struct statsd_cut *cut, const struct statsd_options *options, char *out)
{
	const char *end = cut->suffix.ptr + cut->suffix.len;
	const char *kept = cut->suffix.ptr; /* from here on nothing is written yet */
	char *to = out;
	/* The type stays in, whatever it looks like. */
	const char *bar = find_either(kept + 1, end, '|', '|');
	while (bar < end) {
		const char *section = bar + 1;
		const char *next = memchr(section, '|', distance(section, end));
		const char *section_end = next ? next : end;
		if (is_meaningless(section, section_end, options->container_id_label)) {
			to = put(to, kept, bar);
			kept = section_end;
		}
		bar = section_end;
	}
	if (kept == cut->suffix.ptr)
		return cut->suffix;
	return span_of(out, distance(out, put(to, kept, end)));
}

bool
statsd_suffix_is_whole(struct span suffix)
{
	const char *end = suffix.ptr + suffix.len, *seen = suffix.ptr;
	return !find_split(suffix.ptr, end, &seen) || has_tag_section(seen, end);
}

struct parser {
	struct span line;
	const struct statsd_cut *cut;
	const struct statsd_options *options;
	struct statsd_head *head;
	struct tags tags;
};

static bool
refuse(struct parser *p, enum statsd_reason reason, const char *at)
{
	p->head->refused = reason;
	p->head->where = distance(p->line.ptr, at);
	return false;
}

static bool
refuse_sample(struct parser *p, enum statsd_reason reason, const char *at)
{
	p->head->sample = reason;
	p->head->where = distance(p->line.ptr, at);
	return false;
}

static const char *
first_invalid_byte(struct span text)
{
	size_t i = 0;
	while (i < text.len) {
		size_t len = utf8_length(span_from(text, i));
		if (len == 1 && (unsigned char)text.ptr[i] >= 0x80)
			break;
		i += len;
	}
	return text.ptr + i;
}

static bool
check_bytes(struct parser *p)
{
	struct span name = p->cut->name;
	if (!name.len)
		return refuse(p, STATSD_MALFORMED_LINE, name.ptr ? name.ptr : p->line.ptr);
	if (name.len > STATSD_NAME_MAX)
		return refuse(p, STATSD_NAME_TOO_LONG, name.ptr + STATSD_NAME_MAX);
	if (!utf8_is_valid(name))
		return refuse(p, STATSD_MALFORMED_LINE, first_invalid_byte(name));
	if (!utf8_is_valid(p->cut->suffix))
		return refuse(p, STATSD_MALFORMED_LINE, first_invalid_byte(p->cut->suffix));
	return true;
}

static bool
check_tag_count(struct parser *p)
{
	return !p->tags.excess || refuse(p, STATSD_TOO_MANY_TAGS, p->tags.excess);
}

static bool
check_styles(struct parser *p)
{
	if (!p->cut->dogstatsd || !p->head->labels.count)
		return true;
	struct span suffix = p->cut->suffix;
	const char *bar = memmem(suffix.ptr, suffix.len, "|#", 2);
	return refuse(p, STATSD_MIXED_TAGGING_STYLES, bar + 1);
}

static bool
check_parts(struct parser *p)
{
	const struct statsd_cut *cut = p->cut;
	if (cut->suffix.len)
		return true;
	const char *end = cut->values.ptr + cut->values.len;
	refuse_sample(p, STATSD_MALFORMED_COMPONENT, end);
	if (lacks_parts(cut))
		refuse(p, STATSD_NOT_ENOUGH_PARTS, end);
	return false;
}

/* Takes the next part of a suffix: "|part" from the front of *rest. */
static bool
next_part(struct span *rest, struct span *part)
{
	if (!rest->len)
		return false;
	struct span text = span_from(*rest, 1);
	const char *bar = span_find(text, '|');
	*part = span_first(text, bar ? distance(text.ptr, bar) : text.len);
	*rest = span_from(text, part->len);
	return true;
}

static enum statsd_type
type_of(struct span token)
{
	if (token.len == 2 && token.ptr[0] == 'm' && token.ptr[1] == 's')
		return STATSD_TYPE_MILLISECONDS;
	if (token.len != 1)
		return STATSD_TYPE_UNKNOWN;
	switch (token.ptr[0]) {
	case 'c':
		return STATSD_TYPE_COUNTER;
	case 'g':
		return STATSD_TYPE_GAUGE;
	case 'h':
		return STATSD_TYPE_HISTOGRAM;
	case 'd':
		return STATSD_TYPE_DISTRIBUTION;
	case 's':
		return STATSD_TYPE_SET;
	default:
		return STATSD_TYPE_UNKNOWN;
	}
}

/* An empty section refuses the sample before any section is read. */
static bool
check_sections(struct parser *p, struct span sections)
{
	for (struct span section; next_part(&sections, &section);) {
		if (!section.len)
			return refuse_sample(p, STATSD_MALFORMED_COMPONENT, section.ptr);
	}
	return true;
}

static void
read_rate(struct statsd_head *head, struct span text)
{
	double rate;
	head->rate = 1;
	if (!number_parse(text, &rate) || !(rate >= 0)) {
		head->sample_factor_errors++;
		return;
	}
	if (rate == 0 || rate > 1)
		return;
	head->rate = rate < RATE_MIN ? RATE_MIN : rate;
	if (head->rate_count < STATSD_RATES_MAX) {
		head->rates[head->rate_count++] = head->rate;
		return;
	}
	double *last = &head->rates[STATSD_RATES_MAX - 1];
	*last *= head->rate;
	if (*last < RATE_MIN)
		*last = RATE_MIN;
}

static void
read_container_id(struct parser *p, struct span section)
{
	struct span id = span_from(section, 2);
	if (!id.len)
		p->head->container_id_errors++;
	else if (p->options->container_id_label)
		tags_set_container_id(&p->tags, section, id);
}

static void
read_section(struct parser *p, struct span section)
{
	if (section.ptr[0] == '#') {
		if (p->options->dogstatsd_tags)
			tags_read_section(&p->tags, span_from(section, 1));
	} else if (section.ptr[0] == '@') {
		read_rate(p->head, span_from(section, 1));
	} else if (span_starts(section, SPAN("c:"))) {
		read_container_id(p, section);
	} else if (section.ptr[0] != 'T' && !span_starts(section, SPAN("e:")) &&
		   !span_starts(section, SPAN("card:"))) {
		p->head->sample_factor_errors++;
	}
}

static void
reset_suffix(struct statsd_head *head)
{
	head->refused = STATSD_OK;
	head->sample = STATSD_OK;
	head->where = 0;
	head->has_labels = false;
	head->type = STATSD_TYPE_UNKNOWN;
	head->tag_errors = 0;
	head->sample_factor_errors = 0;
	head->container_id_errors = 0;
	head->rate_count = 0;
	head->rate = 1;
}

/* The struct is large; only what is read again is set. */
static void
reset_head(struct statsd_head *head, struct span name)
{
	reset_suffix(head);
	head->name = name;
	head->labels.count = 0;
	head->name_has_labels = false;
	head->name_tag_errors = 0;
	head->scratch_len = 0;
}

static void
read_suffix(struct parser *p)
{
	struct statsd_head *head = p->head;
	struct span rest = p->cut->suffix, type, section;
	next_part(&rest, &type);
	head->type = type_of(type);
	if (!check_sections(p, rest))
		return;
	while (next_part(&rest, &section)) {
		read_section(p, section);
		if (!check_tag_count(p))
			return;
	}
	head->has_labels = head->name_has_labels || p->tags.accepted > 0;
	bool is_set = head->type == STATSD_TYPE_SET;
	if (head->type == STATSD_TYPE_UNKNOWN || (is_set && !p->options->sets))
		refuse_sample(p, STATSD_ILLEGAL_EVENT, type.ptr);
}

void
statsd_parse_head(struct span line, const struct statsd_cut *cut,
		  const struct statsd_options *options, struct statsd_head *head)
{
	CHECK(line.len <= STATSD_LINE_MAX); /* scratch is sized for it */
	struct parser p = {line, cut, options, head, {.head = head}};
	reset_head(head, cut->name);
	if (!check_bytes(&p))
		return;
	tags_read_name(&p.tags, cut->name, options);
	head->name_has_labels = p.tags.accepted > 0;
	if (check_tag_count(&p) && check_styles(&p) && check_parts(&p))
		read_suffix(&p);
}

static bool
may_have_labels(struct span suffix)
{
	struct span section;
	while (next_part(&suffix, &section)) {
		if (span_starts(section, SPAN("#")) || span_starts(section, SPAN("c:")))
			return true;
	}
	return false;
}

bool
statsd_parse_further(struct span line, const struct statsd_cut *cut,
		     const struct statsd_options *options, struct statsd_head *head)
{
	struct parser p = {line, cut, options, head, {.head = head}};
	if (may_have_labels(cut->suffix) || !utf8_is_valid(cut->suffix))
		return false;
	reset_suffix(head);
	read_suffix(&p);
	return true;
}

bool
statsd_type_packs(enum statsd_type type)
{
	return type != STATSD_TYPE_SET && type != STATSD_TYPE_UNKNOWN;
}
