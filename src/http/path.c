#include "http/path.h"

#include <ctype.h>
#include <strings.h>

static bool
has_blank_or_control(struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char byte = (unsigned char)s.ptr[i];
		if (byte <= ' ' || byte == 0x7f)
			return true;
	}
	return false;
}

/* "http://host:1/a" becomes "/a"; what follows the host may be missing altogether. */
static struct span
skip_origin(struct span target)
{
	static const struct span schemes[] = {SPAN("http://"), SPAN("https://")};
	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		size_t len = schemes[i].len;
		if (target.len < len || strncasecmp(target.ptr, schemes[i].ptr, len) != 0)
			continue;
		while (len < target.len && target.ptr[len] != '/' && target.ptr[len] != '?')
			len++;
		return span_from(target, len);
	}
	return target;
}

static int
hex_digit(char byte)
{
	if (byte >= '0' && byte <= '9')
		return byte - '0';
	char lower = (char)(byte | 0x20);
	return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

static bool
decode(struct span escaped, struct buf *out)
{
	for (size_t i = 0; i < escaped.len; i++) {
		char byte = escaped.ptr[i];
		if (byte == '%') {
			if (escaped.len - i < 3)
				return false;
			int high = hex_digit(escaped.ptr[i + 1]),
			    low = hex_digit(escaped.ptr[i + 2]);
			if (high < 0 || low < 0 || (high == 0 && low == 0))
				return false;
			byte = (char)(high << 4 | low);
			i += 2;
		}
		buf_add_byte(out, byte);
	}
	return true;
}

bool
http_path_parse(struct span target, struct buf *path, struct span *query)
{
	if (has_blank_or_control(target))
		return false;
	struct span rest = skip_origin(target);
	bool is_absolute = rest.ptr != target.ptr;
	const char *mark = span_find(rest, '?');
	struct span escaped = mark ? span_first(rest, (size_t)(mark - rest.ptr)) : rest;
	*query = span_from(rest, escaped.len);
	if (is_absolute && escaped.len == 0)
		escaped = SPAN("/");
	return span_starts(escaped, SPAN("/")) && decode(escaped, path);
}

/* Drops the last segment of out[start..], but never its first slash. */
static void
drop_segment(struct buf *out, size_t start)
{
	while (out->len > start && out->ptr[--out->len] != '/')
		;
}

void
http_path_clean(struct span path, struct buf *clean)
{
	size_t start = clean->len;
	bool ends_in_slash = span_ends(path, SPAN("/"));
	while (path.len) {
		struct span rest = span_from(path, 1);
		const char *slash = span_find(rest, '/');
		struct span segment = slash ? span_first(rest, (size_t)(slash - rest.ptr)) : rest;
		path = span_from(rest, segment.len);
		if (segment.len == 0 || span_equal(segment, SPAN(".")))
			continue;
		if (span_equal(segment, SPAN(".."))) {
			drop_segment(clean, start);
			continue;
		}
		buf_add_byte(clean, '/');
		buf_add_span(clean, segment);
	}
	if (ends_in_slash || clean->len == start)
		buf_add_byte(clean, '/');
}

void
http_path_escape(struct span path, struct buf *out)
{
	static const char digits[] = "0123456789ABCDEF";
	static const struct span plain = SPAN("/-._~!$&'()*+,;=:@");
	for (size_t i = 0; i < path.len; i++) {
		unsigned char byte = (unsigned char)path.ptr[i];
		if ((byte < 0x80 && isalnum(byte)) || span_find(plain, (char)byte)) {
			buf_add_byte(out, (char)byte);
			continue;
		}
		buf_add(out, (char[]){'%', digits[byte >> 4], digits[byte & 15]}, 3);
	}
}
