/*
 * metrics/slab - memory for records of different sizes, one behind the other in chunks of pages.
 *
 * The room of freed records is used again when the last one in their chunk is freed. Whoever owns
 * the records moves the living together when slab_is_sparse(), and gives empty chunks back to the
 * kernel a few at a time: that takes longer than all else here.
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
	uint64_t closed_bytes;    /* of chunks that get no more records, but hold some */
	struct slab_chunk *empty; /* list of chunks without records */
};

#define SLAB_INIT ((struct slab){0})

/** @return `size` bytes, aligned to eight, uninitialised; freed with slab_free() and the same size
 */
void *slab_alloc(struct slab *slab, enum slab_stream stream, size_t size)
    __attribute__((returns_nonnull));
void slab_free(struct slab *slab, void *record, size_t size);

/** @return whether more than one in `share` bytes of the memory is unused */
bool slab_is_sparse(const struct slab *slab, unsigned share);

/**
 * Takes an empty chunk out, so that other threads need not wait while slab_chunk_free() frees it.
 *
 * @return NULL when there is none
 */
struct slab_chunk *slab_take_empty(struct slab *slab);
void slab_chunk_free(struct slab_chunk *chunk);

/** All records must have been freed. */
void slab_fini(struct slab *slab);

#endif
