#include "app/apply.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/number.h"
#include "statsd/scan.h"

#include <math.h>
#include <stdlib.h>

/* Spellings that a thread remembers: one for each series that there may be, within these bounds. At
 * the load factor of the cache, a million take 64 MiB. */
#define CACHE_ENTRIES_LEAST (UINT64_C(1) << 20)
#define CACHE_ENTRIES_MAX (UINT64_C(1) << 24)
/* Summary cells looked at in one turn of ingest_rotate(). */
#define ROTATE_CELLS 20000
/* Lines after which the clock is read again: a batch may be long. */
#define CLOCK_LINES 256

static size_t
cache_entries(uint64_t max_series)
{
	if (max_series < CACHE_ENTRIES_LEAST)
		return CACHE_ENTRIES_LEAST;
	return max_series < CACHE_ENTRIES_MAX ? max_series : CACHE_ENTRIES_MAX;
}

struct ingest *
ingest_new(struct bridge *bridge, unsigned thread)
{
	struct ingest *ingest = xcalloc(1, sizeof(*ingest));
	ingest->bridge = bridge;
	ingest->thread = thread;
	ingest->shard = registry_shard(bridge->registry, thread);
	ingest->gauges = registry_gauges(bridge->registry);
	ingest->cache = raw_cache_new(cache_entries(bridge->settings.max_series));
	ingest->account = xcalloc(1, sizeof(*ingest->account));
	ingest->hits = shape_hits_new();
	ingest->scratch = mapping_scratch_new();
	ingest->text = ingest->foreseen_text = ingest->exemplar_text = BUF_INIT;
	ingest_begin(ingest);
	return ingest;
}

void
ingest_free(struct ingest **slot)
{
	struct ingest *ingest = *slot;
	if (!ingest)
		return;
	raw_cache_free(&ingest->cache);
	mapping_scratch_free(&ingest->scratch);
	buf_fini(&ingest->text);
	buf_fini(&ingest->exemplar_text);
	buf_fini(&ingest->foreseen_text);
	free(ingest->account);
	free(ingest->hits);
	free(ingest);
	*slot = NULL;
}

void
ingest_set_relays(struct ingest *ingest, struct relay *const *relays, size_t count)
{
	ingest->relays = relays;
	ingest->relay_count = count;
}

/*
 * Voids what is known of spellings. Generations have 31 bits; 0 marks a free slot. No number is
 * used twice while an entry may have it: its shape may have been taken away, and another validity
 * have the id.
 */
static void
next_generation(struct ingest *ingest, enum shape_validity validity)
{
	if (ingest->last_generation > INT32_MAX - SHAPE_VALIDITIES) {
		raw_cache_clear(ingest->cache);
		ingest->last_generation = 0;
		for (unsigned i = 0; i < SHAPE_VALIDITIES; i++)
			ingest->generations[i] = ++ingest->last_generation;
	}
	ingest->generations[validity] = ++ingest->last_generation;
}

static void
read_clock(struct ingest *ingest)
{
	ingest->now_us = bridge_now_us(ingest->bridge);
	ingest->tick = (uint32_t)(ingest->now_us / TICK_US) + 1;
	ingest->lines_to_clock = CLOCK_LINES;
}

void
ingest_begin(struct ingest *ingest)
{
	CHECK(!ingest->pending_count);
	read_clock(ingest);
	/* In this order: what newer rules say may be taken for older rules' word, not the other way. */
	uint64_t rules = atomic_load_explicit(&ingest->bridge->rules, memory_order_acquire);
	ingest->mapper = atomic_load_explicit(&ingest->bridge->mapper, memory_order_acquire);
	uint64_t frees = registry_frees(ingest->bridge->registry);
	uint64_t places = value_limits_freed(ingest->bridge->limits);
	bool is_reload = rules != ingest->rules_seen;
	if (is_reload) {
		next_generation(ingest, VALID_UNTIL_RELOAD);
		memset(ingest->recent_shapes, 0, sizeof(ingest->recent_shapes));
	}
	if (is_reload || frees != ingest->frees_seen)
		next_generation(ingest, VALID_UNTIL_FREED);
	if (is_reload || places != ingest->places_seen)
		next_generation(ingest, VALID_UNTIL_PLACE);
	ingest->rules_seen = rules;
	ingest->frees_seen = frees;
	ingest->places_seen = places;
}

void
ingest_rotate(struct ingest *ingest)
{
	shard_rotate(ingest->shard, ingest->now_us, ROTATE_CELLS);
}

uint64_t
ingest_cache_count(const struct ingest *ingest)
{
	return raw_cache_count(ingest->cache);
}

void
ingest_add_account(const struct ingest *ingest, struct account *total)
{
	for (unsigned i = 0; i < ACCOUNT_COUNTERS; i++)
		account_add(total, i, account_get(ingest->account, i));
	const struct shapes *shapes = ingest->bridge->shapes;
	uint32_t ids = shapes_ids(shapes);
	for (uint32_t id = 1; id <= ids; id++)
		shape_hits_account(&ingest->hits[id], shapes_get(shapes, id), total);
}

void
ingest_take_hits(struct ingest *ingest, uint32_t id, const struct shape *shape,
		 struct account *account)
{
	shape_hits_account(&ingest->hits[id], shape, account);
	shape_hits_reset(&ingest->hits[id]);
}

uint64_t
ingest_forgotten(const struct ingest *ingest)
{
	return account_get(ingest->account, ACCOUNT_NOT_REMEMBERED);
}

/* ---- Lines, in batches. ---- */

/*
 * A line goes through three steps, each for a whole batch before the next one begins, so that what
 * one line waits for from memory comes while others are worked on: its ends are found and its
 * spelling is hashed; the spelling is looked up; the value is applied. What is not plain takes the
 * long way in its turn, so that lines count in the order they came in.
 */

/* Step one. @return false when the line is not plain */
static inline bool
read_plain(struct ingest *ingest, const struct scan *scan, const char *bytes, size_t start,
	   size_t end, struct pending_line *line)
{
	size_t colon = scan_next(scan->colons, start, end);
	if (UNLIKELY(colon >= end || bytes[start] == '_'))
		return false;
	size_t value = colon + 1;
	size_t bar = scan_next(scan->bars, value, end);
	if (UNLIKELY(bar >= end))
		return false;
	line->key = hash_pair128(bytes + start, colon - start, bytes + bar, end - bar);
	line->home = raw_cache_home(ingest->cache, line->key);
	__builtin_prefetch(line->home);
	__builtin_prefetch(line->home + 2); /* one in six is not in its first cache line */
	line->text = bytes + value;
	size_t len = bar - value;
	if (LIKELY(bar >= NUMBER_SHORT_MAX && number_parse_short(bytes + bar, len, &line->value)))
		return true;
	return number_parse(span_of(line->text, len), &line->value) && isfinite(line->value);
}

/* Step two: what the spelling is known to mean. Leaves no shape where the line takes the long way. */
static void
look_up(struct ingest *ingest, struct pending_line *line)
{
	const struct raw_entry *entry = raw_cache_find_from(line->home, line->key);
	line->target.shape = NULL;
	if (UNLIKELY(!entry || !entry->is_plain))
		return;
	const struct shape *shape = shapes_get(ingest->bridge->shapes, entry->shape);
	line->value = apply_convert(shape, line->value);
	if (UNLIKELY(!ingest_is_fresh(ingest, entry, shape) ||
		     apply_is_negative_count(shape, line->value)))
		return;
	struct cell *cell = ingest_cell_of(entry);
	line->target = (struct target){shape, entry->shape, cell};
	line->incarnation = entry->incarnation;
	if (shape->op != SHAPE_HISTOGRAM) {
		__builtin_prefetch(cell, 1);
		return;
	}
	line->place = histogram_place(shape->layout, line->value);
	histogram_prefetch(cell, shape->layout, line->place);
}

/* Step three. @return false when the line has to take the long way */
static bool
apply_plain(struct ingest *ingest, const struct pending_line *line)
{
	enum shape_op op = (enum shape_op)line->target.shape->op;
	if (LIKELY(op >= SHAPE_COUNTER && op != SHAPE_SET)) {
		/* The series may have been taken away since the cache learnt of it. */
		if (UNLIKELY(!cell_holds(line->target.cell, line->incarnation)))
			return false;
		bool is_signed = *line->text == '+' || *line->text == '-';
		apply_value(ingest, &line->target, line->value, line->place, is_signed, 1);
		return true;
	}
	bool is_refused = op == SHAPE_REFUSE_LINE || op == SHAPE_REFUSE_SAMPLES;
	if (!is_refused || log_enabled(LOG_LEVEL_DEBUG))
		return false;
	apply_count(ingest, &line->target, 1, op == SHAPE_REFUSE_SAMPLES, 0);
	return true;
}

/* Steps two and three for all lines that wait. */
static __attribute__((noinline)) void
run_batch(struct ingest *ingest)
{
	unsigned count = ingest->pending_count, hits = 0;
	/* Rules and series that other threads take away live on only while this one is seen to
	 * work. */
	CHECK(grace_is_working(ingest->bridge->grace, ingest->thread));
	ingest->pending_count = ingest->foreseen_count = 0;
	if (UNLIKELY(ingest->lines_to_clock < count))
		read_clock(ingest);
	ingest->lines_to_clock -= count;
	for (unsigned i = 0; i < count; i++) {
		if (LIKELY(ingest->pending[i].is_plain))
			look_up(ingest, &ingest->pending[i]);
	}
	for (unsigned i = 0; i < count; i++) {
		const struct pending_line *line = &ingest->pending[i];
		if (LIKELY(line->is_plain && line->target.shape && apply_plain(ingest, line)))
			hits++;
		else
			sample_take_pending(ingest, i, count);
	}
	account_add(ingest->account, ACCOUNT_CACHE_GETS, hits);
	account_add(ingest->account, ACCOUNT_CACHE_HITS, hits);
}

/* @scan of `bytes`, or NULL when the line was not scanned */
static inline __attribute__((always_inline)) void
add_line(struct ingest *ingest, const struct scan *scan, const char *bytes, size_t start,
	 size_t end)
{
	end -= end > start && bytes[end - 1] == '\r';
	if (UNLIKELY(start == end)) {
		account_add(ingest->account, ACCOUNT_LINES_EMPTY, 1);
		return;
	}
	struct pending_line *line = &ingest->pending[ingest->pending_count++];
	line->line = span_of(bytes + start, end - start);
	for (size_t i = 0; i < ingest->relay_count; i++)
		relay_add_line(ingest->relays[i], line->line);
	line->is_plain = scan && read_plain(ingest, scan, bytes, start, end, line);
	if (ingest->pending_count == BATCH_LINES)
		run_batch(ingest);
}

/* Takes the lines that end in the first bytes of a payload. @return bytes taken, with the line ends
 */
static size_t
take_piece(struct ingest *ingest, struct span payload)
{
	struct scan scan;
	uint16_t ends[SCAN_BYTES_MAX + 1];
	bool is_last = payload.len <= SCAN_BYTES_MAX - 1;
	size_t len = is_last ? payload.len : SCAN_BYTES_MAX;
	scan_bytes(span_first(payload, len), &scan);
	size_t count = scan_list_newlines(&scan, len, ends);
	if (is_last)
		ends[count++] = (uint16_t)len;
	size_t start = 0;
	for (size_t i = 0; i < count; i++) {
		add_line(ingest, &scan, payload.ptr, start, ends[i]);
		start = ends[i] + 1u;
	}
	if (UNLIKELY(!count)) { /* a line longer than a piece */
		const char *newline = span_find(payload, '\n');
		size_t end = newline ? (size_t)(newline - payload.ptr) : payload.len;
		add_line(ingest, NULL, payload.ptr, 0, end);
		count = 1;
		start = end + 1;
	}
	account_add(ingest->account, ACCOUNT_LINES, count);
	return start;
}

void
ingest_payload(struct ingest *ingest, struct span payload)
{
	/* The last line's end is one byte behind the payload, whether there is a '\n' or not. */
	for (size_t at = 0; at <= payload.len;)
		at += take_piece(ingest, span_from(payload, at));
}

void
ingest_flush(struct ingest *ingest)
{
	if (ingest->pending_count)
		run_batch(ingest);
}
