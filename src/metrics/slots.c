#include "metrics/slots.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/poison.h"

#include <stdbool.h>
#include <stdint.h>

/* Chunks begin at multiples of this, so that a record's address tells its chunk. */
#define CHUNK_SIZE ((size_t)64 << 10)
#define RECORD_MAX 1024
#define CACHE_LINE 64

/* What is in a slot that holds no record. */
struct free_slot {
	struct free_slot *next;
};

struct slots_chunk {
	/* So that records whose size is a multiple of it begin with a cache line. */
	_Alignas(CACHE_LINE) LIST_ENTRY(slots_chunk) link; /* in one of the lists, unless it is full */
	struct free_slot *free; /* list of slots that were given back */
	size_t used;		/* bytes from the start that were ever taken, this header among them */
	size_t live;		/* records */
};

void
slots_init(struct slots *slots, size_t size)
{
	CHECK(size && size % 8 == 0 && size <= RECORD_MAX);
	*slots = (struct slots){.size = size};
	LIST_INIT(&slots->roomy);
	LIST_INIT(&slots->empty);
}

static struct slots_chunk *
chunk_of(const void *record)
{
	return (struct slots_chunk *)((uintptr_t)record & ~(uintptr_t)(CHUNK_SIZE - 1));
}

static bool
is_full(const struct slots *slots, const struct slots_chunk *chunk)
{
	return !chunk->free && chunk->used + slots->size > CHUNK_SIZE;
}

static struct slots_chunk *
chunk_new(void)
{
	struct slots_chunk *chunk = xpages_alloc_aligned(CHUNK_SIZE, CHUNK_SIZE);
	chunk->used = sizeof(*chunk);
	poison(chunk + 1, CHUNK_SIZE - sizeof(*chunk));
	return chunk;
}

static void *
take(const struct slots *slots, struct slots_chunk *chunk)
{
	struct free_slot *slot = chunk->free;
	if (slot) {
		unpoison(slot, slots->size);
		chunk->free = slot->next;
	} else {
		slot = (struct free_slot *)((char *)chunk + chunk->used);
		unpoison(slot, slots->size);
		chunk->used += slots->size;
	}
	chunk->live++;
	return slot;
}

void *
slots_take(struct slots *slots)
{
	struct slots_chunk *chunk = LIST_FIRST(&slots->roomy);
	if (!chunk) {
		chunk = slots_take_empty(slots);
		if (!chunk)
			chunk = chunk_new();
		LIST_INSERT_HEAD(&slots->roomy, chunk, link);
	}
	slots->live++;
	void *record = take(slots, chunk);
	if (is_full(slots, chunk))
		LIST_REMOVE(chunk, link);
	return record;
}

void
slots_give_back(struct slots *slots, void *record)
{
	struct slots_chunk *chunk = chunk_of(record);
	struct free_slot *slot = record;
	CHECK(chunk->live);
	if (is_full(slots, chunk))
		LIST_INSERT_HEAD(&slots->roomy, chunk, link);
	slot->next = chunk->free;
	chunk->free = slot;
	poison(slot, slots->size);
	slots->live--;
	if (--chunk->live)
		return;
	LIST_REMOVE(chunk, link);
	LIST_INSERT_HEAD(&slots->empty, chunk, link);
}

struct slots_chunk *
slots_take_empty(struct slots *slots)
{
	struct slots_chunk *chunk = LIST_FIRST(&slots->empty);
	if (chunk)
		LIST_REMOVE(chunk, link);
	return chunk;
}

void
slots_chunk_free(struct slots_chunk *chunk)
{
	unpoison(chunk, CHUNK_SIZE);
	xpages_free(chunk, CHUNK_SIZE);
}

void
slots_fini(struct slots *slots)
{
	CHECK(!slots->live);
	for (struct slots_chunk *chunk; (chunk = slots_take_empty(slots));)
		slots_chunk_free(chunk);
}
