/*
 * base/span - borrowed bytes.
 *
 * A span never owns, is never NUL-terminated and is never kept: who wants to keep bytes copies
 * them. A span with a NULL pointer means "not there"; an empty span has a pointer and length 0.
 */
#ifndef BASE_SPAN_H
#define BASE_SPAN_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
	const char *ptr;
	size_t len; /* bytes */
};

/** A string literal as a span, usable in initialisers. */
#define SPAN(literal) ((struct span){"" literal, sizeof(literal) - 1})

/* For printf: printf("%.*s", SPAN_ARGS(s)). */
#define SPAN_ARGS(s) (int)(s).len, (s).ptr

static inline struct span
span_of(const char *ptr, size_t len)
{
	return (struct span){ptr, len};
}

/** @text NUL-terminated, borrowed */
static inline struct span
span_text(const char *text)
{
	return (struct span){text, strlen(text)};
}

static inline bool
span_equal(struct span a, struct span b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/** 'A' to 'Z' in lower case, any other byte as it is; no locale. */
static inline char
ascii_lower(char byte)
{
	return byte >= 'A' && byte <= 'Z' ? (char)(byte + ('a' - 'A')) : byte;
}

/** Like span_equal(), with ASCII letters of either case the same. */
static inline bool
span_equal_ignoring_case(struct span a, struct span b)
{
	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++) {
		if (ascii_lower(a.ptr[i]) != ascii_lower(b.ptr[i]))
			return false;
	}
	return true;
}

/** Bytewise order, a prefix first; like strcmp. */
static inline int
span_compare(struct span a, struct span b)
{
	/* Most differ in the first byte, which takes no call. */
	if (a.len && b.len && *a.ptr != *b.ptr)
		return (unsigned char)*a.ptr < (unsigned char)*b.ptr ? -1 : 1;
	size_t common = a.len < b.len ? a.len : b.len;
	int order = common ? memcmp(a.ptr, b.ptr, common) : 0;
	if (order)
		return order;
	return a.len < b.len ? -1 : a.len > b.len;
}

/** @return how many bytes at their beginning are the same; long ones at the speed of memcmp() */
static inline size_t
span_common(struct span a, struct span b)
{
	size_t most = a.len < b.len ? a.len : b.len, at = 0;
	while (most - at >= 256 && memcmp(a.ptr + at, b.ptr + at, 256) == 0)
		at += 256;
	for (; most - at >= 8; at += 8) {
		uint64_t left, right;
		memcpy(&left, a.ptr + at, 8);
		memcpy(&right, b.ptr + at, 8);
		if (left != right)
			return at + (size_t)__builtin_ctzll(le64toh(left ^ right)) / 8;
	}
	while (at < most && a.ptr[at] == b.ptr[at])
		at++;
	return at;
}

static inline bool
span_starts(struct span s, struct span prefix)
{
	return prefix.len == 0 ||
	       (s.len >= prefix.len && memcmp(s.ptr, prefix.ptr, prefix.len) == 0);
}

static inline bool
span_ends(struct span s, struct span suffix)
{
	return suffix.len == 0 || (s.len >= suffix.len &&
				   memcmp(s.ptr + s.len - suffix.len, suffix.ptr, suffix.len) == 0);
}

/** @return the first `byte` in `s`, or NULL */
static inline const char *
span_find(struct span s, char byte)
{
	return s.len ? memchr(s.ptr, byte, s.len) : NULL;
}

/** The bytes of `s` from `offset` to its end; `offset` at most s.len. */
static inline struct span
span_from(struct span s, size_t offset)
{
	return (struct span){s.ptr + offset, s.len - offset};
}

/** The first `len` bytes of `s`; `len` at most s.len. */
static inline struct span
span_first(struct span s, size_t len)
{
	return (struct span){s.ptr, len};
}

static inline bool
byte_is_blank(char byte)
{
	return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

/** The bytes of `s` without blanks, tabs and line ends around them. */
static inline struct span
span_trim(struct span s)
{
	while (s.len && byte_is_blank(s.ptr[0]))
		s = span_from(s, 1);
	while (s.len && byte_is_blank(s.ptr[s.len - 1]))
		s.len--;
	return s;
}

#endif
