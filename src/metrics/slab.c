#include "metrics/slab.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/poison.h"

#include <stdalign.h>

#define ALIGNMENT 8
/* Chunks begin at multiples of this, so that a record's address tells its chunk. */
#define CHUNK_SIZE ((size_t)256 << 10)
/* A longer record gets a chunk of its own, or the ends of chunks would be a waste. */
#define SHARED_MAX (CHUNK_SIZE / 8)

struct slab_chunk {
	size_t size; /* of the pages */
	size_t used; /* bytes from the start, this header among them */
	size_t live; /* bytes of records that were not freed */
	bool is_open;
	struct slab_chunk *next; /* empty one */
	alignas(ALIGNMENT) char records[];
};

static size_t
round_up(size_t size)
{
	return (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
}

static struct slab_chunk *
chunk_of(const void *record)
{
	return (struct slab_chunk *)((uintptr_t)record & ~(uintptr_t)(CHUNK_SIZE - 1));
}

static struct slab_chunk *
chunk_new(size_t size)
{
	struct slab_chunk *chunk = xpages_alloc_aligned(size, CHUNK_SIZE);
	chunk->size = size;
	chunk->used = sizeof(*chunk);
	chunk->is_open = true;
	poison(chunk->records, size - sizeof(*chunk));
	return chunk;
}

/* Sets a chunk aside that gets no more records once the last is gone. */
static void
settle(struct slab *slab, struct slab_chunk *chunk)
{
	if (chunk->live || chunk->is_open)
		return;
	slab->closed_bytes -= chunk->size;
	chunk->next = slab->empty;
	slab->empty = chunk;
}

struct slab_chunk *
slab_take_empty(struct slab *slab)
{
	struct slab_chunk *chunk = slab->empty;
	if (chunk)
		slab->empty = chunk->next;
	return chunk;
}

void
slab_chunk_free(struct slab_chunk *chunk)
{
	size_t size = chunk->size;
	unpoison(chunk, size);
	xpages_free(chunk, size);
}

static void
close_chunk(struct slab *slab, struct slab_chunk *chunk)
{
	if (!chunk)
		return;
	chunk->is_open = false;
	slab->closed_bytes += chunk->size;
	settle(slab, chunk);
}

/* An empty chunk to be filled: one that is there, or a new one. */
static struct slab_chunk *
open_chunk(struct slab *slab)
{
	if (!slab->empty || slab->empty->size != CHUNK_SIZE)
		return chunk_new(CHUNK_SIZE);
	struct slab_chunk *chunk = slab_take_empty(slab);
	chunk->used = sizeof(*chunk);
	chunk->is_open = true;
	return chunk;
}

static void *
take(struct slab *slab, struct slab_chunk *chunk, size_t size)
{
	char *record = (char *)chunk + chunk->used;
	chunk->used += size;
	chunk->live += size;
	slab->live_bytes += size;
	unpoison(record, size);
	return record;
}

void *
slab_alloc(struct slab *slab, enum slab_stream stream, size_t size)
{
	size = round_up(size);
	if (size > SHARED_MAX) {
		struct slab_chunk *own = chunk_new(sizeof(*own) + size);
		void *record = take(slab, own, size);
		close_chunk(slab, own);
		return record;
	}
	struct slab_chunk *chunk = slab->open[stream];
	if (!chunk || chunk->size - chunk->used < size) {
		close_chunk(slab, chunk);
		slab->open[stream] = chunk = open_chunk(slab);
	}
	return take(slab, chunk, size);
}

void
slab_free(struct slab *slab, void *record, size_t size)
{
	struct slab_chunk *chunk = chunk_of(record);
	size = round_up(size);
	CHECK(chunk->live >= size);
	chunk->live -= size;
	slab->live_bytes -= size;
	poison(record, size);
	settle(slab, chunk);
}

bool
slab_is_sparse(const struct slab *slab, unsigned share)
{
	/* What open chunks hold is among what lives. */
	return slab->closed_bytes > slab->live_bytes &&
	       (slab->closed_bytes - slab->live_bytes) * share > slab->closed_bytes;
}

void
slab_fini(struct slab *slab)
{
	CHECK(slab->live_bytes == 0);
	for (unsigned i = 0; i < SLAB_STREAMS; i++)
		close_chunk(slab, slab->open[i]);
	for (struct slab_chunk *empty; (empty = slab_take_empty(slab));)
		slab_chunk_free(empty);
	*slab = SLAB_INIT;
}
