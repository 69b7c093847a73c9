/*
 * base/json - text in JSON.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/buf.h"

/**
 * Appends a JSON string with its quotes. Control characters (C0, DEL, C1: they could steer a
 * terminal) are escaped, and each byte that is no UTF-8 becomes U+FFFD.
 */
void json_add_text(struct buf *out, struct span text);

/** Appends one code point as it stands inside of a JSON string. @at of utf8_length() bytes */
void json_add_point(struct buf *out, struct span at);

#endif
