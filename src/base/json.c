#include "base/json.h"

#include "base/utf8.h"

/* The code of a control character, or -1. */
static int
control_code(struct span at)
{
	unsigned char first = (unsigned char)at.ptr[0];
	if (at.len == 1 && (first < 0x20 || first == 0x7f))
		return first;
	if (at.len == 2 && first == 0xc2 && (unsigned char)at.ptr[1] < 0xa0)
		return (unsigned char)at.ptr[1];
	return -1;
}

static void
add_control(struct buf *out, int code)
{
	switch (code) {
	case '\n':
		buf_add_text(out, "\\n");
		break;
	case '\r':
		buf_add_text(out, "\\r");
		break;
	case '\t':
		buf_add_text(out, "\\t");
		break;
	default:
		buf_printf(out, "\\u%04x", (unsigned)code);
	}
}

void
json_add_point(struct buf *out, struct span at)
{
	int control = control_code(at);
	if (control >= 0)
		add_control(out, control);
	else if (at.len == 1 && (unsigned char)at.ptr[0] >= 0x80)
		buf_add_text(out, "\\ufffd");
	else if (at.ptr[0] == '"' || at.ptr[0] == '\\')
		buf_printf(out, "\\%c", at.ptr[0]);
	else
		buf_add_span(out, at);
}

void
json_add_text(struct buf *out, struct span text)
{
	buf_add_byte(out, '"');
	for (size_t i = 0, len; i < text.len; i += len) {
		len = utf8_length(span_from(text, i));
		json_add_point(out, span_of(text.ptr + i, len));
	}
	buf_add_byte(out, '"');
}
