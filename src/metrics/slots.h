/*
 * metrics/slots - memory for many records of one size that stay where they are.
 *
 * Taking one and giving it back cost a cache miss or two each, in whatever order. With malloc() whoever
 * asks for memory next has to sort all that another thread has freed meanwhile.
 *
 * Empty chunks of pages are given back to the kernel by the owner, a few at a time.
 *
 * Not for several threads at once.
 */
#ifndef METRICS_SLOTS_H
#define METRICS_SLOTS_H

#include <stddef.h>
#include <sys/queue.h>

struct slots_chunk;
LIST_HEAD(slots_chunks, slots_chunk);

struct slots {
	size_t size;		   /* of a record */
	size_t live;		   /* records */
	struct slots_chunks roomy; /* chunks that have records, and room for more */
	struct slots_chunks empty; /* chunks without records */
};

/** @size of a record: a multiple of 8, at most 1024 */
void slots_init(struct slots *slots, size_t size);

/** @return room for a record, uninitialised; aligned to eight, or 64 if its size is a multiple of that */
void *slots_take(struct slots *slots) __attribute__((returns_nonnull));
void slots_give_back(struct slots *slots, void *record);

/**
 * Takes an empty chunk out, so that other threads need not wait while slots_chunk_free() frees it.
 *
 * @return NULL when there is none
 */
struct slots_chunk *slots_take_empty(struct slots *slots);
void slots_chunk_free(struct slots_chunk *chunk);

/** All records must have been given back. */
void slots_fini(struct slots *slots);

#endif
