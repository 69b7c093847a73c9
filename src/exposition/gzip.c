#include "exposition/gzip.h"

#include "base/alloc.h"

#include <stdlib.h>

/* GZIP_USE_ZLIB takes zlib even where ISA-L is there; tests want both. */
#if !defined(GZIP_USE_ZLIB) && __has_include(<isa-l/igzip_lib.h>)
#define HAVE_ISAL 1
#include <isa-l/igzip_lib.h>
#else
#define HAVE_ISAL 0
#include <zlib.h>
#endif

/* Both libraries count input in 32 bits. */
#define PIECE_MAX ((size_t)1 << 30)

#if HAVE_ISAL

struct gzip {
	struct isal_zstream stream;
	_Alignas(max_align_t) uint8_t level_buffer[ISAL_DEF_LVL1_SMALL];
};

struct gzip *
gzip_new(void)
{
	struct gzip *gzip = xmalloc(sizeof(*gzip));
	isal_deflate_init(&gzip->stream);
	gzip->stream.gzip_flag = IGZIP_GZIP;
	gzip->stream.level = 1;
	gzip->stream.level_buf = gzip->level_buffer;
	gzip->stream.level_buf_size = sizeof(gzip->level_buffer);
	return gzip;
}

void
gzip_free(struct gzip **gzip)
{
	free(*gzip);
	*gzip = NULL;
}

/* Compresses one step. @return whether more output waits */
static bool
compress_step(struct gzip *gzip, struct span *in, bool last, char *out, size_t *out_len)
{
	struct isal_zstream *stream = &gzip->stream;
	/* The library's pointer is not const, but it only reads. */
	stream->next_in = (uint8_t *)(uintptr_t)in->ptr;
	stream->avail_in = (uint32_t)in->len;
	stream->next_out = (uint8_t *)out;
	stream->avail_out = GZIP_STEP;
	stream->end_of_stream = last;
	CHECK(isal_deflate(stream) == COMP_OK);
	*in = span_from(*in, in->len - stream->avail_in);
	*out_len = GZIP_STEP - stream->avail_out;
	return last ? stream->internal_state.state != ZSTATE_END
		    : in->len > 0 || stream->avail_out == 0;
}

const char *
gzip_library(void)
{
	return "isa-l";
}

#else

struct gzip {
	z_stream stream;
};

static void *
zlib_alloc(void *unused, unsigned count, unsigned size)
{
	(void)unused;
	return xcalloc(count, size);
}

static void
zlib_free(void *unused, void *memory)
{
	(void)unused;
	free(memory);
}

struct gzip *
gzip_new(void)
{
	struct gzip *gzip = xcalloc(1, sizeof(*gzip));
	gzip->stream.zalloc = zlib_alloc;
	gzip->stream.zfree = zlib_free;
	/* 16 asks for the gzip wrapper; 8 is zlib's default memory level. */
	CHECK(deflateInit2(&gzip->stream, Z_BEST_SPEED, Z_DEFLATED, MAX_WBITS + 16, 8,
			   Z_DEFAULT_STRATEGY) == Z_OK);
	return gzip;
}

void
gzip_free(struct gzip **gzip)
{
	if (*gzip)
		deflateEnd(&(*gzip)->stream);
	free(*gzip);
	*gzip = NULL;
}

/* Compresses one step. @return whether more output waits */
static bool
compress_step(struct gzip *gzip, struct span *in, bool last, char *out, size_t *out_len)
{
	z_stream *stream = &gzip->stream;
	/* The library's pointer is not const, but it only reads. */
	stream->next_in = (Bytef *)(uintptr_t)in->ptr;
	stream->avail_in = (uInt)in->len;
	stream->next_out = (Bytef *)out;
	stream->avail_out = GZIP_STEP;
	int result = deflate(stream, last ? Z_FINISH : Z_NO_FLUSH);
	CHECK(result == Z_OK || result == Z_STREAM_END || result == Z_BUF_ERROR);
	*in = span_from(*in, in->len - stream->avail_in);
	*out_len = GZIP_STEP - stream->avail_out;
	return last ? result != Z_STREAM_END : in->len > 0 || stream->avail_out == 0;
}

const char *
gzip_library(void)
{
	return "zlib";
}

#endif

void
gzip_add(struct gzip *gzip, struct span in, bool last, struct buf *out)
{
	for (bool has_more = in.len || last; has_more;) {
		char *to = buf_reserve(out, GZIP_STEP);
		if (!to)
			return;
		struct span piece = span_first(in, in.len < PIECE_MAX ? in.len : PIECE_MAX);
		size_t taken = piece.len, len;
		has_more = compress_step(gzip, &piece, last && taken == in.len, to, &len);
		in = span_from(in, taken - piece.len);
		out->len += len;
		has_more |= in.len > 0;
	}
}
