/*
 * base/protobuf - appends fields of Protocol Buffers messages to a buffer, and reads them.
 *
 * The wire format is that of protobuf.dev/programming-guides/encoding: a field is its number and
 * wire type, then its value. Every function that writes a field does so whatever its value is;
 * who wants proto3's way leaves out what is zero. @field numbers are 1 to 536870911.
 */
#ifndef BASE_PROTOBUF_H
#define BASE_PROTOBUF_H

#include "base/buf.h"
#include "base/check.h"
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

/* A field that was read; all of it is borrowed from the message. */
struct protobuf_field {
	uint32_t number;
	uint64_t integer; /* of a varint, else 0 */
	struct span
	    bytes; /* of what has a length: a string, a message, a packed field; else empty */
	struct span whole; /* as it stands in the message */
};

/**
 * Takes the first field off a message.
 *
 * @return false behind the last one, where `rest` is empty, and where what comes is no field of the
 *         wire types above: then `rest` stays as it is
 */
bool protobuf_next(struct span *rest, struct protobuf_field *field) MUST_CHECK;

/** Takes the first item off a packed field of varints. @return as above */
bool protobuf_next_packed(struct span *rest, uint64_t *value) MUST_CHECK;

#endif
