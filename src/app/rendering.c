#include "app/rendering.h"

#include "base/alloc.h"
#include "base/log.h"
#include "exposition/gzip.h"

#include <stdlib.h>
#include <string.h>

/* One slice: large enough for a socket buffer, small enough not to keep the loop busy. */
#define SLICE_BYTES 65536

struct piece {
	size_t size; /* bytes of this struct with its bytes */
	size_t len;
	char bytes[];
};

struct rendering {
	LIST_ENTRY(rendering) link;
	struct renderings *all;
	struct rendering_history *history; /* of its kind */
	struct mono begun;
	struct exposition_writer *writer; /* NULL = everything was made */
	struct gzip *gzip;                /* NULL = identity */
	struct buf slice;                 /* before compression */
	uint64_t text_bytes;              /* made, before compression */
	uint64_t bytes;                   /* made, as sent */
	LIST_HEAD(, rendering_consumer) consumers;

	/* What was made and is still needed; with keeps_start everything. */
	struct piece **pieces;
	size_t count, capacity;
	uint64_t first; /* pieces that were made and dropped */
	size_t held;    /* bytes of the pieces */
	bool keeps_start;
};

/* ---- Pieces. ---- */

static void
drop_first(struct rendering *r, size_t count)
{
	if (!count)
		return;
	for (size_t i = 0; i < count; i++) {
		r->held -= r->pieces[i]->size;
		r->all->held -= r->pieces[i]->size;
		free(r->pieces[i]);
	}
	r->first += count;
	r->count -= count;
	memmove(r->pieces, r->pieces + count, r->count * sizeof(struct piece *));
}

/* Drops what all consumers have taken, unless others may join. */
static void
drop_taken(struct rendering *r)
{
	uint64_t needed = r->first + r->count;
	const struct rendering_consumer *consumer;
	if (r->keeps_start)
		return;
	LIST_FOREACH (consumer, &r->consumers, link) {
		if (consumer->position < needed)
			needed = consumer->position;
	}
	drop_first(r, needed - r->first);
}

static void
give_start_up(struct rendering *r)
{
	r->keeps_start = false;
	drop_taken(r);
}

static bool
can_be_joined(const struct rendering *r)
{
	return r->keeps_start && r->writer && r->bytes <= RENDERING_START_BYTES &&
	       clock_mono().us - r->begun.us <= RENDERING_JOIN_US;
}

/* ---- Consumers. ---- */

static void
add_consumer(struct rendering *r, struct rendering_consumer *consumer)
{
	*consumer = (struct rendering_consumer){.rendering = r};
	LIST_INSERT_HEAD(&r->consumers, consumer, link);
}

static void
rendering_free(struct rendering *r)
{
	if (r->history->newest == r)
		r->history->newest = NULL;
	LIST_REMOVE(r, link);
	drop_first(r, r->count);
	free(r->pieces);
	exposition_writer_free(&r->writer);
	gzip_free(&r->gzip);
	buf_fini(&r->slice);
	free(r);
}

void
rendering_leave(struct rendering_consumer *consumer)
{
	struct rendering *r = consumer->rendering;
	if (!r)
		return;
	LIST_REMOVE(consumer, link);
	consumer->rendering = NULL;
	if (LIST_EMPTY(&r->consumers))
		rendering_free(r);
	else
		drop_taken(r);
}

static struct rendering_consumer *
find_slowest(struct rendering *r, const struct rendering_consumer *except)
{
	struct rendering_consumer *consumer, *slowest = NULL;
	LIST_FOREACH (consumer, &r->consumers, link) {
		if (consumer != except && (!slowest || consumer->position < slowest->position))
			slowest = consumer;
	}
	CHECK(slowest);
	return slowest;
}

/* ---- Limits. ---- */

/* Whether anybody but the one consumer that asked for a piece may want it. */
static bool
is_wanted(const struct rendering *r)
{
	return r->keeps_start || LIST_NEXT(LIST_FIRST(&r->consumers), link);
}

static struct rendering *
find_largest(struct renderings *all, struct rendering *largest)
{
	struct rendering *other;
	LIST_FOREACH (other, &all->list, link) {
		if (other->held > largest->held)
			largest = other;
	}
	return largest;
}

/* Makes some room for a piece: over its own limit this rendering gives way, else the largest. */
static void
make_room(struct rendering *r, size_t size, const struct rendering_consumer *taker)
{
	struct rendering *giver = r;
	if (r->held + size <= RENDERING_HELD_BYTES)
		giver = find_largest(r->all, r);
	if (giver->keeps_start) {
		give_start_up(giver);
		return;
	}
	log_debug("a scrape is too slow for the one it shares a rendering with",
		  LOG_NUM("held_bytes", giver->held));
	rendering_leave(find_slowest(giver, taker));
}

static bool
has_room(const struct rendering *r, size_t size)
{
	return r->held + size <= RENDERING_HELD_BYTES &&
	       r->all->held + size <= RENDERINGS_HELD_BYTES;
}

/* Keeps a copy of the piece that `taker` gets, if others may want it. */
static void
keep(struct rendering *r, struct span bytes, const struct rendering_consumer *taker)
{
	size_t size = sizeof(struct piece) + bytes.len;
	while (is_wanted(r) && !has_room(r, size))
		make_room(r, size, taker);
	if (!is_wanted(r)) {
		r->first++;
		return;
	}
	struct piece *piece = xmalloc(size);
	*piece = (struct piece){size, bytes.len};
	memcpy(piece->bytes, bytes.ptr, bytes.len);
	r->pieces = xgrow(r->pieces, r->count, &r->capacity, sizeof(struct piece *));
	r->pieces[r->count++] = piece;
	r->held += size;
	r->all->held += size;
}

/* ---- Making and taking. ---- */

void
renderings_spend(struct renderings *all, struct mono since)
{
	int64_t now_us = clock_mono().us, spent_us = now_us - since.us;
	spent_us = spent_us < RENDERING_SPENT_MAX_US ? spent_us : RENDERING_SPENT_MAX_US;
	all->due_us = (all->due_us > now_us ? all->due_us : now_us) + spent_us;
}

int64_t
renderings_wait_us(const struct renderings *all)
{
	int64_t wait_us = all->due_us - clock_mono().us;
	return wait_us > 0 ? wait_us : 0;
}

static struct rendering_history *
find_history(struct renderings *all, struct rendering_kind kind)
{
	return &all->kinds[kind.format][kind.has_dots][kind.is_gzip];
}

bool
rendering_join(struct renderings *all, struct rendering_kind kind,
	       struct rendering_consumer *consumer)
{
	struct rendering *r = find_history(all, kind)->newest;
	if (!r || !can_be_joined(r))
		return false;
	add_consumer(r, consumer);
	return true;
}

void
rendering_begin(struct renderings *all, struct rendering_kind kind,
		struct exposition_writer **writer, struct rendering_consumer *consumer)
{
	struct rendering *r = xcalloc(1, sizeof(*r));
	struct rendering_history *history = find_history(all, kind);
	uint64_t expected =
	    history->complete_bytes ? history->complete_bytes : all->complete_text_bytes;
	if (history->newest)
		give_start_up(history->newest);
	history->newest = r;
	LIST_INSERT_HEAD(&all->list, r, link);
	r->all = all;
	r->history = history;
	r->begun = clock_mono();
	r->writer = *writer;
	*writer = NULL;
	r->gzip = kind.is_gzip ? gzip_new() : NULL;
	r->slice = BUF_INIT;
	r->keeps_start = expected > 0 && expected <= RENDERING_HELD_BYTES / 2;
	add_consumer(r, consumer);
}

/* Appends the next piece to `out`, which is empty; nothing when there is none. */
static void
make_piece(struct rendering *r, struct buf *out)
{
	struct mono start = clock_mono();
	while (r->writer && !out->len) {
		struct buf *slice = r->gzip ? &r->slice : out;
		bool is_last = exposition_writer_fill(r->writer, slice, SLICE_BYTES);
		r->text_bytes += slice->len;
		if (r->gzip) {
			gzip_add(r->gzip, buf_span(slice), is_last, out);
			buf_reset(slice);
		}
		if (is_last)
			exposition_writer_free(&r->writer);
	}
	r->bytes += out->len;
	renderings_spend(r->all, start);
	if (r->writer)
		return;
	r->history->complete_bytes = r->bytes;
	r->all->complete_text_bytes = r->text_bytes;
}

void
rendering_take(struct rendering_consumer *consumer, struct buf *out)
{
	struct rendering *r = consumer->rendering;
	CHECK(!out->len && out->limit == SIZE_MAX);
	if (!r) {
		out->failed = true;
		return;
	}
	size_t ahead = consumer->position - r->first;
	if (ahead < r->count) {
		buf_add(out, r->pieces[ahead]->bytes, r->pieces[ahead]->len);
	} else if (r->writer) {
		make_piece(r, out);
		if (!can_be_joined(r))
			give_start_up(r);
		if (out->len)
			keep(r, buf_span(out), consumer);
	}
	if (!out->len)
		return;
	consumer->position++;
	drop_taken(r);
}

uint64_t
rendering_text_bytes(const struct rendering_consumer *consumer)
{
	return consumer->rendering ? consumer->rendering->text_bytes : 0;
}
