/*
 * base/base64 - RFC 4648 section 4, with padding.
 */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include "base/buf.h"

/** Appends the bytes. @return false when the text is anything else; `out` may have grown */
bool base64_decode(struct span text, struct buf *out) MUST_CHECK;

#endif
