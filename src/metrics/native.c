#include "metrics/native.h"

#include "base/alloc.h"

#include <math.h>
#include <stdlib.h>

#define BITS_MIN 2
/* Counters come in so many, the size of a cache line. */
#define COUNTERS_STEP 16u
/* Empty buckets between two that were hit cost less than a span of their own up to so many. */
#define GAP_MAX 2
/* The position of the bucket with index 0: up to 1. */
#define POSITION_OF_ONE (128u * NATIVE_OCTAVE_BOUNDS)
#define STEPS_MAX (NATIVE_SCHEMA_MAX - NATIVE_SCHEMA_MIN)

int
native_schema(double factor)
{
	double schema = -floor(log2(log2(factor)));
	return (int)fmax(NATIVE_SCHEMA_MIN, fmin(NATIVE_SCHEMA_MAX, schema));
}

/* ---- Lists of buckets. ---- */

static void
add_entry(struct native_sum *sum, uint32_t key, uint64_t count)
{
	sum->entries = xgrow(sum->entries, sum->count, &sum->capacity, sizeof(*sum->entries));
	sum->entries[sum->count++] = (struct native_entry){key, count};
}

static void
coarsen_entries(struct native_entry *entries, size_t count, unsigned steps)
{
	for (size_t i = 0; i < count; i++)
		entries[i].key = native_coarsen(entries[i].key, steps);
}

static int
compare_entries(const void *a, const void *b)
{
	uint32_t left = ((const struct native_entry *)a)->key;
	uint32_t right = ((const struct native_entry *)b)->key;
	return (left > right) - (left < right);
}

/* Makes one entry of those with equal keys, which follow each other. */
static void
merge_equal(struct native_sum *sum)
{
	size_t kept = 0;
	for (size_t i = 0; i < sum->count; i++) {
		if (kept && sum->entries[kept - 1].key == sum->entries[i].key)
			sum->entries[kept - 1].count += sum->entries[i].count;
		else
			sum->entries[kept++] = sum->entries[i];
	}
	sum->count = kept;
}

/* One entry a bucket, positive ones first, and no more of them than there may be. */
static void
arrange(struct native_sum *sum, uint32_t buckets_max)
{
	if (sum->count)
		qsort(sum->entries, sum->count, sizeof(*sum->entries), compare_entries);
	merge_equal(sum);
	while (sum->count > buckets_max && sum->steps < STEPS_MAX) {
		coarsen_entries(sum->entries, sum->count, 1);
		sum->steps++;
		merge_equal(sum);
	}
}

void
native_sum_reset(struct native_sum *sum, int schema)
{
	sum->steps = (unsigned)(NATIVE_SCHEMA_MAX - schema);
	sum->zero_count = 0;
	sum->count = 0;
}

static void
add_counters(struct native_sum *sum, const struct native *native)
{
	for (uint32_t i = 0; i < native->length; i++) {
		uint32_t count = atomic_load_explicit(&native->counters[i], memory_order_acquire);
		if (count)
			add_entry(sum, native->first + i, count);
	}
}

static void
add_slots(struct native_sum *sum, const struct native *native)
{
	for (uint32_t i = 0; i < 1u << native->bits; i++) {
		const struct native_slot *slot = &native->slots[i];
		uint32_t key = atomic_load_explicit(&slot->key, memory_order_acquire);
		if (key)
			add_entry(sum, key,
				  atomic_load_explicit(&slot->count, memory_order_acquire));
	}
}

void
native_sum_add(struct native_sum *sum, const struct native *native)
{
	size_t before = sum->count;
	sum->zero_count += atomic_load_explicit(&native->zero_count, memory_order_acquire);
	if (native->length)
		add_counters(sum, native);
	else
		add_slots(sum, native);
	if (native->steps < sum->steps) {
		coarsen_entries(sum->entries + before, sum->count - before,
				sum->steps - native->steps);
	} else {
		coarsen_entries(sum->entries, before, native->steps - sum->steps);
		sum->steps = native->steps;
	}
}

void
native_sum_fini(struct native_sum *sum)
{
	free(sum->entries);
	free(sum->spans);
	free(sum->buckets);
	*sum = (struct native_sum){0};
}

/* ---- The buckets of one thread. ---- */

static size_t
slots_bytes(unsigned bits)
{
	return sizeof(struct native_slot) << bits;
}

/* Buckets that so many slots hold: some stay free, or a search for an unknown one would not end. */
static uint32_t
slots_room(unsigned bits)
{
	uint32_t slots = 1u << bits;
	return slots - (slots < 8 ? 1 : slots / 8);
}

static struct native *
make(unsigned steps, size_t bytes)
{
	struct native *native = xcalloc(1, offsetof(struct native, slots) + bytes);
	native->steps = (uint8_t)steps;
	return native;
}

static struct native *
make_dense(unsigned steps, uint32_t first, uint32_t length)
{
	struct native *native = make(steps, length * sizeof(native->counters[0]));
	native->bits = BITS_MIN; /* for native_prefetch(), which looks where it does not matter */
	native->first = first;
	native->length = length;
	return native;
}

static struct native *
make_sparse(unsigned steps, unsigned bits)
{
	struct native *native = make(steps, slots_bytes(bits));
	native->bits = (uint8_t)bits;
	return native;
}

/* Dense, of one bucket that is never hit: that of the position of zero, which is the only one that
 * native_count() counts without a bucket. */
struct native native_given_up = {.first = NATIVE_POSITION_ZERO, .length = 1, .bits = BITS_MIN};

struct native *
native_new(int schema)
{
	return make_sparse((unsigned)(NATIVE_SCHEMA_MAX - schema), BITS_MIN);
}

size_t
native_bytes(const struct native *native)
{
	return offsetof(struct native, slots) + (native->length
						     ? native->length * sizeof(native->counters[0])
						     : slots_bytes(native->bits));
}

/* Counts values of a bucket not hit before. @return false when there is no room for it */
static bool
place(struct native *native, uint32_t key, uint64_t n)
{
	if (native->length) {
		uint32_t at = key - native->first;
		if (at >= native->length || n > UINT32_MAX ||
		    atomic_load_explicit(&native->counters[at], memory_order_relaxed))
			return false;
		atomic_store_explicit(&native->counters[at], (uint32_t)n, memory_order_release);
	} else {
		if (native->used == slots_room(native->bits))
			return false;
		/* The count first: a slot that has a key has its count. */
		struct native_slot *slot = native_slot_of(native, key);
		native_add(&slot->count, n);
		atomic_store_explicit(&slot->key, key, memory_order_release);
	}
	native->used++;
	return true;
}

/* An empty one of the form that takes less for what is in an arranged list. */
static struct native *
make_for(const struct native_sum *sum)
{
	uint64_t most = 0;
	for (size_t i = 0; i < sum->count; i++)
		most = most > sum->entries[i].count ? most : sum->entries[i].count;
	unsigned bits = BITS_MIN;
	while (slots_room(bits) < sum->count)
		bits++;
	/* The last key is negative if any is, and then too far away. There is no key 0. */
	uint32_t from = (sum->entries[0].key - 1) / COUNTERS_STEP;
	uint32_t to = (sum->entries[sum->count - 1].key - 1) / COUNTERS_STEP + 1;
	uint32_t first = from * COUNTERS_STEP + 1, length = (to - from) * COUNTERS_STEP;
	if (most <= UINT32_MAX && length <= slots_bytes(bits) / sizeof(uint32_t))
		return make_dense(sum->steps, first, length);
	return make_sparse(sum->steps, bits);
}

struct native *
native_insert(struct native *native, uint32_t position, uint64_t n, uint32_t buckets_max)
{
	bool may_grow = native->used < buckets_max || native->steps == STEPS_MAX;
	if (may_grow && place(native, native_coarsen(position, native->steps), n))
		return NULL;
	struct native_sum sum = {.steps = native->steps};
	native_sum_add(&sum, native);
	add_entry(&sum, native_coarsen(position, native->steps), n);
	arrange(&sum, buckets_max);
	struct native *other = make_for(&sum);
	native_add(&other->zero_count, sum.zero_count);
	for (size_t i = 0; i < sum.count; i++)
		place(other, sum.entries[i].key, sum.entries[i].count);
	native_sum_fini(&sum);
	return other;
}

/* ---- What the control thread shows. ---- */

/* Writes the entries from `first` to `end`, all of one sign, behind what is in `spans` and
 * `buckets`. */
static struct native_side
lay_out(const struct native_sum *sum, size_t first, size_t end, struct native_span *spans,
	uint64_t *buckets)
{
	struct native_side side = {.spans = spans, .buckets = buckets};
	uint32_t next = POSITION_OF_ONE >> sum->steps; /* offsets count from index 0 */
	for (size_t i = first; i < end; i++) {
		uint32_t key = sum->entries[i].key & ~NATIVE_NEGATIVE;
		int32_t gap = (int32_t)(key - next);
		if (i == first || gap > GAP_MAX) {
			spans[side.span_count++] = (struct native_span){gap, 0};
			gap = 0;
		}
		struct native_span *span = &spans[side.span_count - 1];
		for (; gap > 0; gap--, span->length++)
			buckets[side.bucket_count++] = 0;
		buckets[side.bucket_count++] = sum->entries[i].count;
		span->length++;
		next = key + 1;
	}
	return side;
}

void
native_sum_view(struct native_sum *sum, uint32_t buckets_max, struct native_view *out)
{
	arrange(sum, buckets_max);
	/* Room for the most: every entry a span, or all with gaps. */
	while (sum->span_capacity < sum->count)
		sum->spans =
		    xgrow(sum->spans, sum->span_capacity, &sum->span_capacity, sizeof(*sum->spans));
	while (sum->bucket_capacity < sum->count * (GAP_MAX + 1))
		sum->buckets = xgrow(sum->buckets, sum->bucket_capacity, &sum->bucket_capacity,
				     sizeof(*sum->buckets));
	size_t negative = 0;
	while (negative < sum->count && !(sum->entries[negative].key & NATIVE_NEGATIVE))
		negative++;
	*out = (struct native_view){.schema = NATIVE_SCHEMA_MAX - (int)sum->steps,
				    .zero_threshold = NATIVE_ZERO_THRESHOLD,
				    .zero_count = sum->zero_count};
	out->positive = lay_out(sum, 0, negative, sum->spans, sum->buckets);
	out->negative = lay_out(sum, negative, sum->count, sum->spans + out->positive.span_count,
				sum->buckets + out->positive.bucket_count);
}
