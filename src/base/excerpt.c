#include "base/excerpt.h"

#include "base/utf8.h"

#include <stdio.h>

/* Bytes of text shown; what is left of the buffer holds a last code point, dots and quotes. */
#define SHOWN_MAX 52

const char *
excerpt_quote(struct span text, char out[EXCERPT_SIZE])
{
	size_t used = 0;
	out[used++] = '"';
	for (size_t i = 0; i < text.len;) {
		size_t len = utf8_length(span_from(text, i));
		if (used > SHOWN_MAX) {
			memcpy(out + used, "...", 3);
			used += 3;
			break;
		}
		unsigned char byte = (unsigned char)text.ptr[i];
		bool is_invalid = len == 1 && byte >= 0x80;
		if (byte < 0x20 || byte == 0x7f || is_invalid) {
			used += (size_t)snprintf(out + used, 5, "\\x%02x", byte);
		} else {
			memcpy(out + used, text.ptr + i, len);
			used += len;
		}
		i += len;
	}
	out[used++] = '"';
	out[used] = '\0';
	return out;
}
