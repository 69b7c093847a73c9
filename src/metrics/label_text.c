#include "metrics/label_text.h"

static void
add_escaped(struct span value, struct buf *out)
{
	char *to = buf_reserve(out, value.len * 2);
	if (!to)
		return;
	size_t len = 0;
	for (size_t i = 0; i < value.len; i++) {
		char byte = value.ptr[i];
		if (byte == '\\' || byte == '"' || byte == '\n')
			to[len++] = '\\';
		to[len++] = byte == '\n' ? 'n' : byte;
	}
	out->len += len;
}

void
label_text_format(const struct labels *labels, struct buf *out)
{
	for (size_t i = 0; i < labels->count; i++) {
		if (i)
			buf_add_byte(out, ',');
		buf_add_span(out, labels->item[i].name);
		buf_add(out, "=\"", 2);
		add_escaped(labels->item[i].value, out);
		buf_add_byte(out, '"');
	}
}

bool
label_text_next(struct span *text, struct span *name, struct span *value)
{
	if (!text->len)
		return false;
	const char *equals = span_find(*text, '=');
	*name = span_of(text->ptr, (size_t)(equals - text->ptr));
	size_t start = name->len + 2, end = start;
	while (text->ptr[end] != '"')
		end += text->ptr[end] == '\\' ? 2 : 1;
	*value = span_of(text->ptr + start, end - start);
	size_t used = end + 1;
	*text = span_from(*text, used < text->len ? used + 1 : used);
	return true;
}

/* The byte at `at`, unescaped; advances. */
static unsigned char
next_byte(struct span value, size_t *at)
{
	char byte = value.ptr[(*at)++];
	if (byte != '\\')
		return (unsigned char)byte;
	byte = value.ptr[(*at)++];
	return byte == 'n' ? '\n' : (unsigned char)byte;
}

void
label_text_unescape(struct span value, struct buf *out)
{
	for (size_t i = 0; i < value.len;)
		buf_add_byte(out, (char)next_byte(value, &i));
}

static int
compare_value(struct span a, struct span b)
{
	size_t i = 0, j = 0;
	while (i < a.len && j < b.len) {
		unsigned char left = next_byte(a, &i), right = next_byte(b, &j);
		if (left != right)
			return left < right ? -1 : 1;
	}
	return (i < a.len) - (j < b.len);
}

int
label_text_compare_values(struct span a, struct span b)
{
	struct span name, left, right;
	while (label_text_next(&a, &name, &left) && label_text_next(&b, &name, &right)) {
		int order = compare_value(left, right);
		if (order)
			return order;
	}
	return 0;
}
