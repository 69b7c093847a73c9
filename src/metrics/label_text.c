#include "metrics/label_text.h"

#include "metrics/sort_key.h"

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

/* Which of up to 64 bytes are `byte`, the first in the lowest bit. */
static uint64_t
find_bytes(const char *from, size_t count, char byte)
{
	uint64_t low_bits = UINT64_C(0x7f7f7f7f7f7f7f7f), found = 0;
	size_t at = 0;
	for (; count - at >= 8; at += 8) {
		uint64_t block;
		memcpy(&block, from + at, 8);
		block = le64toh(block) ^ ~low_bits / 0x80 * (unsigned char)byte;
		/* The high bit of each byte that is now 0; the product lines these bits up. */
		uint64_t high = ~(((block & low_bits) + low_bits) | block | low_bits);
		found |= ((high >> 7) * UINT64_C(0x0102040810204080) >> 56) << at;
	}
	for (; at < count; at++)
		found |= (uint64_t)(from[at] == byte) << at;
	return found;
}

/*
 * Which of 64 bytes a backslash escapes. A run of backslashes escapes every other byte from its
 * second on, so a borrow that runs through it tells where it ends at.
 *
 * @first_is whether the first byte is; then, whether the one behind the last is
 */
static uint64_t
find_escaped(uint64_t backslashes, bool *first_is)
{
	uint64_t odd = UINT64_C(0xaaaaaaaaaaaaaaaa), first = *first_is;
	uint64_t starting = backslashes & ~first;
	uint64_t codes = ((starting << 1 | odd) - starting) ^ odd;
	*first_is = (codes & backslashes) >> 63;
	return codes ^ (backslashes | first);
}

size_t
label_text_settle(struct span text, size_t offset, size_t length)
{
	const char *from = text.ptr + offset;
	if (!length || (from[length - 1] != '\\' && !memchr(from, '"', length)))
		return length;
	bool is_inside = true, is_next_escaped = false;
	size_t closed_at = 0;
	for (size_t at = 0; at < length; at += 64) {
		size_t count = length - at < 64 ? length - at : 64;
		uint64_t escaped =
		    find_escaped(find_bytes(from + at, count, '\\'), &is_next_escaped);
		uint64_t quotes = find_bytes(from + at, count, '"') & ~escaped;
		for (; quotes; quotes &= quotes - 1) {
			is_inside = !is_inside;
			if (!is_inside)
				closed_at = at + (size_t)__builtin_ctzll(quotes);
		}
		if (count < 64)
			is_next_escaped = escaped >> count & 1;
	}
	return is_inside ? length - is_next_escaped : closed_at;
}

/*
 * What is the same in both, names and escapes with it, is found without a look at what it is. A
 * peer may send values of 64 KiB that differ early, or late.
 */
int
label_text_compare_values(struct span a, struct span b)
{
	const char *left_at = a.ptr, *left_end = a.ptr + a.len;
	const char *right_at = b.ptr, *right_end = b.ptr + b.len;
	while (enter_value(&left_at, left_end) && enter_value(&right_at, right_end)) {
		int left, right;
		size_t offset = (size_t)(left_at - a.ptr);
		size_t same =
		    span_common(span_from(a, offset), span_from(b, (size_t)(right_at - b.ptr)));
		same = label_text_settle(a, offset, same);
		left_at += same;
		right_at += same;
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

uint64_t
label_text_key(struct span text, size_t *offset)
{
	const char *at = text.ptr + *offset, *end = text.ptr + text.len;
	struct sort_key key = SORT_KEY_INIT;
	if (*offset == 0 && !enter_value(&at, end))
		return 0;
	uint64_t block;
	if (end - at >= 8) {
		memcpy(&block, at, 8);
		if (!block_has(block, '"') && !block_has(block, '\\') &&
		    sort_key_take_block(&key, block))
			at += 8;
	}
	while (key.bits && at != end) {
		const char *next = at;
		int byte = take_byte(&next);
		if (!sort_key_add(&key, byte))
			break;
		at = next;
		if (byte >= 0)
			continue;
		at += at != end; /* the ',' between labels */
		enter_value(&at, end);
	}
	*offset = (size_t)(at - text.ptr);
	return key.number;
}
