/*
 * base/protobuf - appends fields of Protocol Buffers messages to a buffer.
 *
 * The wire format is that of protobuf.dev/programming-guides/encoding: a field is its number and
 * wire type, then its value. Every function writes the field whatever its value is; who wants
 * proto3's way leaves out what is zero. @field numbers are 1 to 536870911.
 */
#ifndef BASE_PROTOBUF_H
#define BASE_PROTOBUF_H

#include "base/buf.h"
#include "base/span.h"

#include <stddef.h>
#include <stdint.h>

/** Appends a bare varint, such as the length before a delimited message. */
void protobuf_add_length(struct buf *buf, uint64_t length);

/** A uint32, uint64, enum, bool, or an int32 or int64 cast to uint64_t. */
void protobuf_add_uint(struct buf *buf, uint32_t field, uint64_t value);

/** A sint32 or sint64. */
void protobuf_add_sint(struct buf *buf, uint32_t field, int64_t value);

void protobuf_add_double(struct buf *buf, uint32_t field, double value);

/** A string, bytes, or a message that is encoded already. */
void protobuf_add_bytes(struct buf *buf, uint32_t field, struct span bytes);

/**
 * Begins a message as a field; what is appended from here to protobuf_end() is in it. Packed
 * repeated fields are written the same way, with protobuf_add_length() and the like for their
 * items.
 *
 * @return what protobuf_end() wants
 */
size_t protobuf_begin(struct buf *buf, uint32_t field);

/** Begins a delimited message: one with its length before it and no field number. As above. */
size_t protobuf_begin_delimited(struct buf *buf);

/** Ends the message that was begun last and has not been ended. */
void protobuf_end(struct buf *buf, size_t begun);

/** An item of a packed repeated sint32 or sint64. */
void protobuf_add_packed_sint(struct buf *buf, int64_t value);

/** An item of a packed repeated double. */
void protobuf_add_packed_double(struct buf *buf, double value);

#endif
