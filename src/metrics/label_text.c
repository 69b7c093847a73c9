#include "metrics/label_text.h"

static const bool is_escaped[256] = {['\\'] = true, ['"'] = true, ['\n'] = true};

static char *
put(char *to, struct span bytes)
{
	memcpy(to, bytes.ptr, bytes.len);
	return to + bytes.len;
}

static char *
put_escaped(char *to, struct span value)
{
	for (const char *at = value.ptr, *end = at + value.len; at != end; at++) {
		char byte = *at;
		if (UNLIKELY(is_escaped[(unsigned char)byte])) {
			*to++ = '\\';
			byte = byte == '\n' ? 'n' : byte;
		}
		*to++ = byte;
	}
	return to;
}

/* With `=` and the quotes, and every byte of the value escaped. */
static size_t
most_bytes(const struct label *label)
{
	return label->name.len + 2 * label->value.len + 3;
}

static char *
put_label(char *to, const struct label *label)
{
	to = put(to, label->name);
	*to++ = '=';
	*to++ = '"';
	to = put_escaped(to, label->value);
	*to++ = '"';
	return to;
}

void
label_text_format(const struct labels *labels, struct buf *out)
{
	size_t most = 0; /* with a `,` each */
	for (size_t i = 0; i < labels->count; i++)
		most += most_bytes(&labels->item[i]) + 1;
	char *start = buf_reserve(out, most), *to = start;
	if (!start)
		return;
	for (size_t i = 0; i < labels->count; i++) {
		if (i)
			*to++ = ',';
		to = put_label(to, &labels->item[i]);
	}
	out->len += (size_t)(to - start);
}

void
label_text_add(const struct label *label, struct buf *out)
{
	char *start = buf_reserve(out, most_bytes(label));
	if (start)
		out->len += (size_t)(put_label(start, label) - start);
}

/* The quote that ends a value: the first behind an even number of backslashes. */
static const char *
find_end(const char *value, const char *text_end)
{
	for (const char *at = value;; at++) {
		at = memchr(at, '"', (size_t)(text_end - at));
		const char *before = at;
		while (before > value && before[-1] == '\\')
			before--;
		if ((at - before) % 2 == 0)
			return at;
	}
}

bool
label_text_next(struct span *text, struct span *name, struct span *value)
{
	if (!text->len)
		return false;
	const char *equals = span_find(*text, '=');
	*name = span_of(text->ptr, (size_t)(equals - text->ptr));
	const char *start = equals + 2, *end = find_end(start, text->ptr + text->len);
	*value = span_of(start, (size_t)(end - start));
	size_t used = (size_t)(end + 1 - text->ptr);
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

/* The next byte of a value, unescaped, or -1 at its closing quote; advances behind what it took. */
static int
take_byte(const char **at)
{
	char byte = *(*at)++;
	if (byte == '"')
		return -1;
	if (byte != '\\')
		return (unsigned char)byte;
	byte = *(*at)++;
	return byte == 'n' ? '\n' : (unsigned char)byte;
}

/* Moves to the first byte of the next value; @return false at the end of the text. */
static bool
enter_value(const char **at, const char *end)
{
	if (*at == end)
		return false;
	const char *equals = memchr(*at, '=', (size_t)(end - *at));
	*at = equals + 2;
	return true;
}

/* Whether any byte of `block` is `byte`. */
static bool
block_has(uint64_t block, char byte)
{
	uint64_t ones = UINT64_C(0x0101010101010101);
	uint64_t x = block ^ ones * (unsigned char)byte;
	return ((x - ones) & ~x & ones << 7) != 0;
}

/* Skips what two values have in common, eight bytes at a time, up to anything special. */
static void
skip_common(const char **left, const char *left_end, const char **right, const char *right_end)
{
	uint64_t l, r;
	while (left_end - *left >= 8 && right_end - *right >= 8) {
		memcpy(&l, *left, 8);
		memcpy(&r, *right, 8);
		if (l != r || block_has(l, '"') || block_has(l, '\\'))
			return;
		*left += 8;
		*right += 8;
	}
}

/* Stops at the first difference: a peer may send values of 64 KiB that differ early. */
int
label_text_compare_values(struct span a, struct span b)
{
	const char *left_at = a.ptr, *left_end = a.ptr + a.len;
	const char *right_at = b.ptr, *right_end = b.ptr + b.len;
	while (enter_value(&left_at, left_end) && enter_value(&right_at, right_end)) {
		int left, right;
		skip_common(&left_at, left_end, &right_at, right_end);
		do {
			left = take_byte(&left_at);
			right = take_byte(&right_at);
		} while (left == right && left >= 0);
		if (left != right)
			return left < right ? -1 : 1;
		left_at += left_at != left_end; /* the ',' between labels */
		right_at += right_at != right_end;
	}
	return 0;
}

/*
 * The end of a value is a 0 in the key, since it comes before all bytes. Bytes 0 and 1, which would
 * be taken for it, both become a 1 that ends the key.
 */
uint64_t
label_text_key(struct span text, size_t *offset)
{
	const char *at = text.ptr + *offset, *end = text.ptr + text.len;
	uint64_t key = 0;
	if (*offset == 0 && !enter_value(&at, end))
		return key;
	for (unsigned shift = 64; shift && at != end;) {
		int byte = take_byte(&at);
		shift -= 8;
		if (byte == 0 || byte == 1) {
			*offset = LABEL_TEXT_KEY_STOPPED;
			return key | UINT64_C(1) << shift;
		}
		if (byte > 0) {
			key |= (uint64_t)byte << shift;
			continue;
		}
		at += at != end; /* the ',' between labels */
		enter_value(&at, end);
	}
	*offset = (size_t)(at - text.ptr);
	return key;
}
