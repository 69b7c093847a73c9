#include "base/protobuf.h"

#include <string.h>

/* 64 bits, seven in each byte. */
#define VARINT_MAX 10

enum wire_type { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_LENGTH = 2 };

static size_t
write_varint(unsigned char *to, uint64_t value)
{
	size_t len = 0;
	for (; value >= 0x80; value >>= 7)
		to[len++] = (unsigned char)(value | 0x80);
	to[len++] = (unsigned char)value;
	return len;
}

void
protobuf_add_length(struct buf *buf, uint64_t length)
{
	char *to = buf_reserve(buf, VARINT_MAX);
	if (to)
		buf->len += write_varint((unsigned char *)to, length);
}

static void
add_key(struct buf *buf, uint32_t field, enum wire_type type)
{
	protobuf_add_length(buf, (uint64_t)field << 3 | type);
}

static uint64_t
zigzag(int64_t value)
{
	return ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
}

void
protobuf_add_uint(struct buf *buf, uint32_t field, uint64_t value)
{
	add_key(buf, field, WIRE_VARINT);
	protobuf_add_length(buf, value);
}

void
protobuf_add_sint(struct buf *buf, uint32_t field, int64_t value)
{
	protobuf_add_uint(buf, field, zigzag(value));
}

void
protobuf_add_double(struct buf *buf, uint32_t field, double value)
{
	add_key(buf, field, WIRE_FIXED64);
	protobuf_add_packed_double(buf, value);
}

void
protobuf_add_bytes(struct buf *buf, uint32_t field, struct span bytes)
{
	add_key(buf, field, WIRE_LENGTH);
	protobuf_add_length(buf, bytes.len);
	buf_add_span(buf, bytes);
}

size_t
protobuf_begin_delimited(struct buf *buf)
{
	buf_add_byte(buf, 0); /* enough for the length of a short message */
	return buf->len;
}

size_t
protobuf_begin(struct buf *buf, uint32_t field)
{
	add_key(buf, field, WIRE_LENGTH);
	return protobuf_begin_delimited(buf);
}

void
protobuf_end(struct buf *buf, size_t begun)
{
	unsigned char length[VARINT_MAX];
	size_t len = buf->len - begun, len_bytes = write_varint(length, len);
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
	uint64_t bits;
	unsigned char bytes[sizeof(bits)];
	memcpy(&bits, &value, sizeof(bits));
	for (unsigned i = 0; i < sizeof(bits); i++)
		bytes[i] = (unsigned char)(bits >> (8 * i));
	buf_add(buf, (const char *)bytes, sizeof(bytes));
}
