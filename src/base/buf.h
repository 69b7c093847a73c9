/*
 * base/buf - a growing output buffer with a byte cap and a sticky failure.
 *
 * Append freely and ask buf_failed() once: after the cap was met, nothing more is appended.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/check.h"
#include "base/span.h"

#include <stdarg.h>
#include <stdint.h>

struct buf {
	char *ptr;    /* owned; NULL while empty; not NUL-terminated */
	size_t len;   /* bytes in use */
	size_t size;  /* bytes allocated */
	size_t limit; /* bytes at most; SIZE_MAX = no cap */
	bool failed;
};

#define BUF_INIT ((struct buf){.limit = SIZE_MAX})

/** @limit most bytes the buffer may ever hold */
void buf_init(struct buf *buf, size_t limit);
/** Frees the memory; the buffer is empty and usable afterwards. */
void buf_fini(struct buf *buf);

/** Forgets the content and the failure, keeps the memory. */
static inline void
buf_reset(struct buf *buf)
{
	buf->len = 0;
	buf->failed = false;
}

static inline bool
buf_failed(const struct buf *buf)
{
	return buf->failed;
}

static inline struct span
buf_span(const struct buf *buf)
{
	return span_of(buf->ptr ? buf->ptr : "", buf->len);
}

/**
 * Makes room for `len` bytes behind the content; the caller writes there and adds to buf->len.
 *
 * @return where to write, or NULL when the cap was met (sticky)
 */
char *buf_reserve(struct buf *buf, size_t len);

void buf_add(struct buf *buf, const void *bytes, size_t len);
void buf_add_span(struct buf *buf, struct span s);
void buf_add_text(struct buf *buf, const char *text);
void buf_add_byte(struct buf *buf, char byte);
void buf_printf(struct buf *buf, const char *format, ...) PRINTF_LIKE(2, 3);
void buf_vprintf(struct buf *buf, const char *format, va_list args) PRINTF_LIKE(2, 0);

/** @return the content as a NUL-terminated text that belongs to the buffer, valid until it changes
 */
const char *buf_text(struct buf *buf);

#endif
