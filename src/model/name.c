#include "model/name.h"

#include "base/utf8.h"

static bool
is_digit(char byte)
{
	return byte >= '0' && byte <= '9';
}

#define SAME2(c) [c] = (c), [(c) + 1] = (c) + 1
#define SAME10(c) SAME2(c), SAME2((c) + 2), SAME2((c) + 4), SAME2((c) + 6), SAME2((c) + 8)
#define SAME26(c) SAME10(c), SAME10((c) + 10), SAME2((c) + 20), SAME2((c) + 22), SAME2((c) + 24)

/* What an ASCII byte becomes; 0 = not one, or '-', which depends on the byte before. */
static const char escaped[256] = {
    [0 ... ','] = '_', ['.' ... '/'] = '_', SAME10('0'), [':' ... '@'] = '_',
    SAME26('A'),       ['[' ... '`'] = '_', SAME26('a'), ['{' ... 127] = '_',
};

static char
escape_byte(char byte)
{
	return escaped[(unsigned char)byte];
}

size_t
name_escape(struct span raw, char *out)
{
	char *to = out;
	if (raw.len && is_digit(raw.ptr[0]))
		*to++ = '_';
	for (size_t i = 0; i < raw.len;) {
		char byte = raw.ptr[i], plain = escape_byte(byte);
		if (LIKELY(plain)) {
			*to++ = plain;
			i++;
			continue;
		}
		bool repeated_dash = byte == '-' && i && raw.ptr[i - 1] == '-';
		if (!repeated_dash)
			*to++ = '_';
		i += byte == '-' ? 1 : utf8_length(span_from(raw, i));
	}
	return (size_t)(to - out);
}

size_t
name_legal_length(struct span text)
{
	size_t len = 0;
	if (text.len && is_digit(text.ptr[0]))
		return 0;
	while (len < text.len && escape_byte(text.ptr[len]) == text.ptr[len])
		len++;
	return len;
}

bool
name_is_legal(struct span name)
{
	return name.len && name_legal_length(name) == name.len;
}

bool
label_name_is_reserved(struct span name)
{
	return name.len >= 2 && name.ptr[0] == '_' && name.ptr[1] == '_';
}
