#include "base/utf8.h"

#include <stdint.h>

#define BLOCK sizeof(uint64_t)
/* Of eight bytes. */
#define HIGHEST_BITS UINT64_C(0x8080808080808080)

static bool
is_tail(unsigned char byte)
{
	return (byte & 0xc0) == 0x80;
}

/* Bytes of a valid code point at `s`, 0 when invalid; RFC 3629 section 4. */
static size_t
valid_length(const unsigned char *s, size_t left)
{
	unsigned char lead = s[0];
	if (lead < 0x80)
		return 1;
	if (lead >= 0xc2 && lead <= 0xdf)
		return left >= 2 && is_tail(s[1]) ? 2 : 0;
	if (lead >= 0xe0 && lead <= 0xef) {
		unsigned char low = lead == 0xe0 ? 0xa0 : 0x80;
		unsigned char high = lead == 0xed ? 0x9f : 0xbf;
		return left >= 3 && s[1] >= low && s[1] <= high && is_tail(s[2]) ? 3 : 0;
	}
	if (lead >= 0xf0 && lead <= 0xf4) {
		unsigned char low = lead == 0xf0 ? 0x90 : 0x80;
		unsigned char high = lead == 0xf4 ? 0x8f : 0xbf;
		return left >= 4 && s[1] >= low && s[1] <= high && is_tail(s[2]) && is_tail(s[3])
			   ? 4
			   : 0;
	}
	return 0;
}

/* Eight bytes at once. */
static uint64_t
load(const char *at)
{
	uint64_t block;
	memcpy(&block, at, BLOCK);
	return block;
}

bool
utf8_is_ascii(struct span s)
{
	uint64_t all = 0;
	if (s.len < BLOCK) {
		for (size_t i = 0; i < s.len; i++)
			all |= (unsigned char)s.ptr[i];
		return !(all & HIGHEST_BITS);
	}
	for (size_t i = 0; i + BLOCK <= s.len; i += BLOCK)
		all |= load(s.ptr + i);
	/* The last bytes, with some that were seen already. */
	all |= load(s.ptr + s.len - BLOCK);
	return !(all & HIGHEST_BITS);
}

bool
utf8_is_valid(struct span s)
{
	if (utf8_is_ascii(s))
		return true;
	const unsigned char *p = (const unsigned char *)s.ptr;
	for (size_t i = 0; i < s.len;) {
		if (s.len - i >= BLOCK && !(load(s.ptr + i) & HIGHEST_BITS)) {
			i += BLOCK;
			continue;
		}
		size_t len = valid_length(p + i, s.len - i);
		if (!len)
			return false;
		i += len;
	}
	return true;
}

size_t
utf8_length(struct span s)
{
	size_t len = valid_length((const unsigned char *)s.ptr, s.len);
	return len ? len : 1;
}

size_t
utf8_count(struct span s)
{
	size_t count = 0;
	for (size_t i = 0; i < s.len; i++)
		count += ((unsigned char)s.ptr[i] & 0xc0) != 0x80;
	return count;
}

struct span
utf8_first(struct span s, size_t max)
{
	size_t len = 0;
	while (len < s.len) {
		size_t next = len + utf8_length(span_from(s, len));
		if (next > max)
			break;
		len = next;
	}
	return span_first(s, len);
}
