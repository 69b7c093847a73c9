/*
 * exposition/gzip - streaming gzip (RFC 1952) at the fastest level. The only place that knows the
 * compression library: ISA-L where the build finds it, else zlib.
 */
#ifndef EXPOSITION_GZIP_H
#define EXPOSITION_GZIP_H

#include "base/buf.h"

struct gzip;

/* Bytes of room that are asked of the output at a time. */
#define GZIP_STEP 32768

struct gzip *gzip_new(void);
void gzip_free(struct gzip **gzip);

/**
 * Compresses `in` and appends what is ready to `out`.
 *
 * @last true with the final piece: flushes and writes the trailer; nothing may follow
 * @out  fails when less than GZIP_STEP bytes are left below its cap; what follows is useless then
 */
void gzip_add(struct gzip *gzip, struct span in, bool last, struct buf *out);

/** @return "isa-l" or "zlib", for the build information */
const char *gzip_library(void);

#endif
