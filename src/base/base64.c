#include "base/base64.h"

/* @return the value of a digit, or 64 */
static unsigned
value_of(char digit)
{
	if (digit >= 'A' && digit <= 'Z')
		return (unsigned)(digit - 'A');
	if (digit >= 'a' && digit <= 'z')
		return (unsigned)(digit - 'a') + 26;
	if (digit >= '0' && digit <= '9')
		return (unsigned)(digit - '0') + 52;
	return digit == '+' ? 62 : digit == '/' ? 63 : 64;
}

bool
base64_decode(struct span text, struct buf *out)
{
	size_t padding = 0;
	if (text.len % 4 != 0)
		return false;
	while (padding < 2 && padding < text.len && text.ptr[text.len - 1 - padding] == '=')
		padding++;
	uint32_t bits = 0;
	for (size_t i = 0; i < text.len; i++) {
		bool is_padding = i >= text.len - padding;
		unsigned value = is_padding ? 0 : value_of(text.ptr[i]);
		if (value > 63)
			return false;
		bits = bits << 6 | value;
		if (i % 4 != 3)
			continue;
		size_t len = i + 1 == text.len ? 3 - padding : 3;
		char bytes[3] = {(char)(bits >> 16), (char)(bits >> 8), (char)bits};
		/* What padding leaves over must be 0, so that each text has one spelling. */
		for (size_t j = len; j < 3; j++)
			if (bytes[j])
				return false;
		buf_add(out, bytes, len);
	}
	return true;
}
