/*
 * metrics/slab - memory for records of different sizes, one behind the other in chunks of pages.
 *
 * A chunk goes back to the kernel when the last record in it is freed; the room of others is not
 * used again before that. Whoever owns the records moves the living together when slab_is_sparse().
 *
 * Not for several threads at once.
 */
#ifndef METRICS_SLAB_H
#define METRICS_SLAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Records of a stream lie in memory in the order of their allocation. */
enum slab_stream {
	SLAB_BORN,
	SLAB_ARRANGED,
	SLAB_STREAMS,
};

struct slab_chunk;

struct slab {
	struct slab_chunk *open[SLAB_STREAMS]; /* where the next records go; NULL = a new chunk */
	uint64_t live_bytes;                   /* of records that were not freed */
	uint64_t closed_bytes;                 /* of chunks that get no more records */
};

#define SLAB_INIT ((struct slab){0})

/** @return `size` bytes, aligned to eight, uninitialised; freed with slab_free() and the same size
 */
void *slab_alloc(struct slab *slab, enum slab_stream stream, size_t size)
    __attribute__((returns_nonnull));
void slab_free(struct slab *slab, void *record, size_t size);

/** @return whether less than half of the memory is in use */
bool slab_is_sparse(const struct slab *slab);

/** All records must have been freed. */
void slab_fini(struct slab *slab);

#endif
