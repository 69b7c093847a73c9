#include "model/name.h"

#include "base/utf8.h"

static bool
is_digit(char byte)
{
	return byte >= '0' && byte <= '9';
}

static const bool legal[256] = {
    ['a' ... 'z'] = true,
    ['A' ... 'Z'] = true,
    ['0' ... '9'] = true,
    ['_'] = true,
};

static bool
is_legal(char byte)
{
	return legal[(unsigned char)byte];
}

static bool
is_ascii(char byte)
{
	return (unsigned char)byte < 0x80;
}

size_t
name_escape(struct span raw, char *out)
{
	size_t len = 0;
	if (raw.len && is_digit(raw.ptr[0]))
		out[len++] = '_';
	for (size_t i = 0; i < raw.len;) {
		char byte = raw.ptr[i];
		bool repeated_dash = byte == '-' && i && raw.ptr[i - 1] == '-';
		if (!repeated_dash)
			out[len++] = is_legal(byte) ? byte : '_';
		i += is_ascii(byte) ? 1 : utf8_length(span_from(raw, i));
	}
	return len;
}

bool
name_is_legal(struct span name)
{
	if (!name.len || is_digit(name.ptr[0]))
		return false;
	for (size_t i = 0; i < name.len; i++) {
		if (!is_legal(name.ptr[i]))
			return false;
	}
	return true;
}

bool
label_name_is_reserved(struct span name)
{
	return name.len >= 2 && name.ptr[0] == '_' && name.ptr[1] == '_';
}
