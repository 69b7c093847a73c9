/*
 * base/file - whole files: read at once, replaced at once.
 */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include "base/buf.h"

/**
 * Appends a file's content to `out`.
 *
 * @flags for open(2), besides O_RDONLY and O_CLOEXEC: with O_NONBLOCK a pipe is not waited for
 * @limit bytes at most
 * @return 0, or an errno value: EFBIG when the file has more than `limit` bytes
 */
int file_read(const char *path, int flags, size_t limit, struct buf *out) MUST_CHECK;

/**
 * Replaces a file. At any moment, also after a crash, the path leads to the old content or to the
 * new one, whole; once this has returned 0, the disk has the new one. It is written beside the old
 * one first, as "<path>.new", so the folder must be writable. Readable and writable for its owner
 * only. Blocks until the disk has it.
 *
 * @is_replaced gets whether the path leads to the new content; with an error that means that only
 *              the folder did not reach the disk, and that a crash may bring the old content back.
 *              NULL = of no interest
 * @return 0, or an errno value
 */
int file_replace(const char *path, struct span content, bool *is_replaced) MUST_CHECK;

#endif
