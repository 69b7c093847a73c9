/*
 * base/utf8 - UTF-8 as RFC 3629 has it: no surrogates, no overlong forms, nothing above U+10FFFF.
 */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include "base/span.h"

/** @return whether all of `s` is valid UTF-8; the empty span is */
bool utf8_is_valid(struct span s);

/** @return whether all of `s` is below 0x80; the empty span is */
bool utf8_is_ascii(struct span s);

/** @return code points of `s`, which is valid */
size_t utf8_count(struct span s);

/** @return as much of `s` as at most `max` bytes hold of its code points */
struct span utf8_first(struct span s, size_t max);

/** @return bytes of the code point that `s` starts with, 1 where it is invalid; `s` is not empty */
size_t utf8_length(struct span s);

#endif
