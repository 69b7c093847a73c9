#include "base/protobuf.h"

#include <endian.h>
#include <string.h>

/* 64 bits, seven in each byte. */
#define VARINT_MAX 10

enum wire_type { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_LENGTH = 2 };

/* Both write at `to` and @return what comes behind; there is room for VARINT_MAX bytes. */
static inline char *
put_varint(char *to, uint64_t value)
{
	for (; value >= 0x80; value >>= 7)
		*to++ = (char)(unsigned char)(value | 0x80);
	*to++ = (char)value;
	return to;
}

static inline char *
put_key(char *to, uint32_t field, enum wire_type type)
{
	return put_varint(to, (uint64_t)field << 3 | type);
}

/* Ends what was written up to `to`, behind a buf_reserve(). */
static inline void
written(struct buf *buf, const char *to)
{
	buf->len = (size_t)(to - buf->ptr);
}

void
protobuf_add_length(struct buf *buf, uint64_t length)
{
	char *to = buf_reserve(buf, VARINT_MAX);
	if (to)
		written(buf, put_varint(to, length));
}

static uint64_t
zigzag(int64_t value)
{
	return ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
}

void
protobuf_add_uint(struct buf *buf, uint32_t field, uint64_t value)
{
	char *to = buf_reserve(buf, 2 * VARINT_MAX);
	if (to)
		written(buf, put_varint(put_key(to, field, WIRE_VARINT), value));
}

void
protobuf_add_sint(struct buf *buf, uint32_t field, int64_t value)
{
	protobuf_add_uint(buf, field, zigzag(value));
}

static inline char *
put_double(char *to, double value)
{
	uint64_t bits;
	memcpy(&bits, &value, sizeof(bits));
	bits = htole64(bits);
	memcpy(to, &bits, sizeof(bits));
	return to + sizeof(bits);
}

void
protobuf_add_double(struct buf *buf, uint32_t field, double value)
{
	char *to = buf_reserve(buf, VARINT_MAX + sizeof(value));
	if (to)
		written(buf, put_double(put_key(to, field, WIRE_FIXED64), value));
}

void
protobuf_add_bytes(struct buf *buf, uint32_t field, struct span bytes)
{
	char *to = buf_reserve(buf, 2 * VARINT_MAX + bytes.len);
	if (!to)
		return;
	to = put_varint(put_key(to, field, WIRE_LENGTH), bytes.len);
	if (bytes.len)
		memcpy(to, bytes.ptr, bytes.len);
	written(buf, to + bytes.len);
}

/* One byte for the length is enough for a short message. */
size_t
protobuf_begin_delimited(struct buf *buf)
{
	buf_add_byte(buf, 0);
	return buf->len;
}

size_t
protobuf_begin(struct buf *buf, uint32_t field)
{
	char *to = buf_reserve(buf, VARINT_MAX + 1);
	if (to) {
		to = put_key(to, field, WIRE_LENGTH);
		*to++ = 0;
		written(buf, to);
	}
	return buf->len;
}

void
protobuf_end(struct buf *buf, size_t begun)
{
	char length[VARINT_MAX];
	size_t len = buf->len - begun;
	size_t len_bytes = (size_t)(put_varint(length, len) - length);
	/* What has met its cap holds nothing that could be ended. */
	if (!buf_reserve(buf, len_bytes))
		return;
	char *at = buf->ptr + begun - 1;
	if (len_bytes > 1)
		memmove(at + len_bytes, at + 1, len);
	memcpy(at, length, len_bytes);
	buf->len += len_bytes - 1;
}

void
protobuf_add_packed_sint(struct buf *buf, int64_t value)
{
	protobuf_add_length(buf, zigzag(value));
}

void
protobuf_add_packed_double(struct buf *buf, double value)
{
	char *to = buf_reserve(buf, sizeof(value));
	if (to)
		written(buf, put_double(to, value));
}

/* ---- Reading. ---- */

bool
protobuf_next_packed(struct span *rest, uint64_t *value)
{
	*value = 0;
	for (size_t i = 0; i < rest->len && i < VARINT_MAX; i++) {
		unsigned char byte = (unsigned char)rest->ptr[i];
		*value |= (uint64_t)(byte & 0x7f) << (7 * i);
		if (byte < 0x80) {
			*rest = span_from(*rest, i + 1);
			return true;
		}
	}
	return false;
}

bool
protobuf_next(struct span *rest, struct protobuf_field *field)
{
	struct span at = *rest;
	uint64_t key, len = 0;
	*field = (struct protobuf_field){.bytes = SPAN("")};
	if (!protobuf_next_packed(&at, &key) || key >> 3 > UINT32_MAX)
		return false;
	switch (key & 7) {
	case WIRE_VARINT:
		if (!protobuf_next_packed(&at, &field->integer))
			return false;
		break;
	case WIRE_FIXED64:
		len = sizeof(uint64_t);
		break;
	case WIRE_LENGTH:
		if (!protobuf_next_packed(&at, &len))
			return false;
		break;
	default:
		return false;
	}
	if (len > at.len)
		return false;
	field->number = (uint32_t)(key >> 3);
	if ((key & 7) == WIRE_LENGTH)
		field->bytes = span_first(at, len);
	at = span_from(at, len);
	field->whole = span_first(*rest, rest->len - at.len);
	*rest = at;
	return true;
}
