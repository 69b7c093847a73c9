#include "statsd/event.h"

#include "base/utf8.h"

#include <stdint.h>

/* Digits of a length; nine cannot overflow anything, and no line is that long. */
#define LENGTH_DIGITS_MAX 9

struct lengths {
	size_t title, text;
};

/* Reads digits from line[*at]; false when there are none or too many. */
static bool
read_length(struct span line, size_t *at, size_t *length)
{
	size_t start = *at;
	*length = 0;
	while (*at < line.len && line.ptr[*at] >= '0' && line.ptr[*at] <= '9') {
		if (*at - start == LENGTH_DIGITS_MAX)
			return false;
		*length = *length * 10 + (size_t)(line.ptr[*at] - '0');
		++*at;
	}
	return *at > start;
}

static bool
skip_byte(struct span line, size_t *at, char byte)
{
	if (*at >= line.len || line.ptr[*at] != byte)
		return false;
	++*at;
	return true;
}

/* "_e{" title length "," text length "}:"; *at ends behind it, or where it is wrong. */
static bool
read_header(struct span line, size_t *at, struct lengths *lengths)
{
	*at = sizeof("_e{") - 1;
	size_t title_at = *at;
	if (!read_length(line, at, &lengths->title))
		return false;
	if (!lengths->title) {
		*at = title_at;
		return false;
	}
	return skip_byte(line, at, ',') && read_length(line, at, &lengths->text) &&
	       skip_byte(line, at, '}') && skip_byte(line, at, ':');
}

static bool
is_bar(struct span text, size_t at)
{
	return at < text.len && text.ptr[at] == '|';
}

/* Whether title and text of these byte lengths stand where their '|' say; sets the event then. */
static bool
take(struct span body, struct lengths bytes, struct statsd_event *out)
{
	if (!is_bar(body, bytes.title))
		return false;
	struct span rest = span_from(body, bytes.title + 1);
	if (bytes.text > rest.len || (bytes.text < rest.len && rest.ptr[bytes.text] != '|'))
		return false;
	out->title = span_first(body, bytes.title);
	out->text = span_first(rest, bytes.text);
	out->sections = span_from(rest, bytes.text);
	return true;
}

/* UTF-16 needs two units for a code point of four UTF-8 bytes. */
static size_t
units_of(size_t utf8_bytes, bool utf16)
{
	return utf16 && utf8_bytes == 4 ? 2 : 1;
}

/* Bytes of the first `count` characters or UTF-16 units of `text`; false when there are fewer. */
static bool
measure(struct span text, size_t count, bool utf16, size_t *bytes)
{
	*bytes = 0;
	while (count) {
		if (*bytes == text.len)
			return false;
		size_t len = utf8_length(span_from(text, *bytes));
		size_t units = units_of(len, utf16);
		if (units > count)
			return false;
		count -= units;
		*bytes += len;
	}
	return true;
}

static bool
take_units(struct span body, struct lengths units, bool utf16, struct statsd_event *out)
{
	struct lengths bytes;
	if (!measure(body, units.title, utf16, &bytes.title) || !is_bar(body, bytes.title))
		return false;
	struct span rest = span_from(body, bytes.title + 1);
	return measure(rest, units.text, utf16, &bytes.text) && take(body, bytes, out);
}

/* The text goes on to the next '|' behind its promised length. */
static bool
take_longer(struct span body, struct lengths bytes, struct statsd_event *out)
{
	if (!is_bar(body, bytes.title))
		return false;
	struct span rest = span_from(body, bytes.title + 1);
	if (bytes.text > rest.len)
		return false;
	const char *bar = span_find(span_from(rest, bytes.text), '|');
	bytes.text = bar ? (size_t)(bar - rest.ptr) : rest.len;
	return take(body, bytes, out);
}

/* Where a '|', or more bytes, would have made the promised lengths true. */
static size_t
fault_in_body(struct span body, struct lengths bytes)
{
	size_t at = is_bar(body, bytes.title) ? bytes.title + 1 + bytes.text : bytes.title;
	return at < body.len ? at : body.len;
}

static bool
read_body(struct span body, struct lengths lengths, struct statsd_event *out)
{
	out->repair = STATSD_EVENT_AS_SENT;
	if (take(body, lengths, out))
		return true;
	out->repair = STATSD_EVENT_CHARACTERS;
	if (take_units(body, lengths, false, out))
		return true;
	out->repair = STATSD_EVENT_UTF16;
	if (take_units(body, lengths, true, out))
		return true;
	out->repair = STATSD_EVENT_TEXT_LONGER;
	return take_longer(body, lengths, out);
}

enum statsd_reason
statsd_parse_event(struct span line, struct statsd_event *out, size_t *where)
{
	*out = (struct statsd_event){0};
	struct lengths lengths;
	if (!read_header(line, where, &lengths))
		return STATSD_MALFORMED_EVENT;
	struct span body = span_from(line, *where);
	if (read_body(body, lengths, out))
		return STATSD_OK;
	*where += fault_in_body(body, lengths);
	return STATSD_MALFORMED_EVENT;
}

enum statsd_reason
statsd_parse_check(struct span line, struct statsd_check *out, size_t *where)
{
	*out = (struct statsd_check){0};
	*where = sizeof("_sc|") - 1;
	struct span body = span_from(line, *where);
	const char *bar = span_find(body, '|');
	if (!bar) {
		*where = line.len;
		return STATSD_MALFORMED_SERVICE_CHECK;
	}
	out->name = span_of(body.ptr, (size_t)(bar - body.ptr));
	if (!out->name.len)
		return STATSD_MALFORMED_SERVICE_CHECK;
	*where += out->name.len + 1;
	struct span rest = span_from(line, *where);
	if (!rest.len || rest.ptr[0] < '0' || rest.ptr[0] > '3')
		return STATSD_MALFORMED_SERVICE_CHECK;
	out->status = (unsigned)(rest.ptr[0] - '0');
	++*where;
	out->sections = span_from(rest, 1);
	if (out->sections.len && out->sections.ptr[0] != '|')
		return STATSD_MALFORMED_SERVICE_CHECK;
	return STATSD_OK;
}
