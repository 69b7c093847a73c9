#include "base/buf.h"

#include "base/alloc.h"

#include <stdio.h>
#include <stdlib.h>

void
buf_init(struct buf *buf, size_t limit)
{
	*buf = (struct buf){.limit = limit};
}

void
buf_fini(struct buf *buf)
{
	free(buf->ptr);
	*buf = (struct buf){.limit = buf->limit};
}

/* Makes room for `len` bytes behind the content, whatever the cap says. */
static void
grow(struct buf *buf, size_t len)
{
	CHECK(len <= SIZE_MAX - buf->len);
	size_t need = buf->len + len;
	if (need <= buf->size)
		return;
	size_t size = buf->size ? buf->size : 64;
	while (size < need)
		size = size > SIZE_MAX / 2 ? need : size * 2;
	buf->ptr = xreallocarray(buf->ptr, size, 1);
	buf->size = size;
}

char *
buf_reserve(struct buf *buf, size_t len)
{
	if (buf->failed || len > buf->limit - buf->len) {
		buf->failed = true;
		return NULL;
	}
	grow(buf, len ? len : 1);
	return buf->ptr + buf->len;
}

void
buf_add(struct buf *buf, const void *bytes, size_t len)
{
	char *to = buf_reserve(buf, len);
	if (!to || !len)
		return;
	memcpy(to, bytes, len);
	buf->len += len;
}

void
buf_add_span(struct buf *buf, struct span s)
{
	buf_add(buf, s.ptr, s.len);
}

void
buf_add_text(struct buf *buf, const char *text)
{
	buf_add(buf, text, strlen(text));
}

void
buf_add_byte(struct buf *buf, char byte)
{
	buf_add(buf, &byte, 1);
}

void
buf_vprintf(struct buf *buf, const char *format, va_list args)
{
	va_list again;
	va_copy(again, args);
	int len = vsnprintf(NULL, 0, format, args);
	CHECK(len >= 0);
	if (buf_reserve(buf, (size_t)len)) {
		grow(buf, (size_t)len + 1); /* the NUL does not count against the cap */
		vsnprintf(buf->ptr + buf->len, (size_t)len + 1, format, again);
		buf->len += (size_t)len;
	}
	va_end(again);
}

void
buf_printf(struct buf *buf, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	buf_vprintf(buf, format, args);
	va_end(args);
}

const char *
buf_text(struct buf *buf)
{
	grow(buf, 1);
	buf->ptr[buf->len] = '\0';
	return buf->ptr;
}
