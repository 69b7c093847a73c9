#include "metrics/native.h"

#include "base/alloc.h"

#include <math.h>
#include <stdlib.h>

#define BITS_MIN 2
/* Dense counters begin and end at multiples of this, the size of a cache line, and of a larger power of
 * two where they are so many that a store would often have to grow. */
#define COUNTERS_STEP 16u
/* Empty buckets between two that were hit cost less than a span of their own up to so many. */
#define GAP_MAX 2
/* The position of the bucket with index 0: up to 1. */
#define POSITION_OF_ONE (128u * NATIVE_OCTAVE_BOUNDS)

/* A bucket; 0 in `key` marks a free slot, which it leaves but once. */
struct slot {
	_Atomic uint32_t key;
	_Atomic uint64_t count;
};

/*
 * Of two forms the one that takes less memory. Dense: a counter for each bucket from one to
 * another, none of them negative, as durations and sizes have them. Sparse: open addressing, where
 * a bucket's slot is the first from its home on that has its key.
 */
struct native {
	_Atomic uint64_t zero_count;
	uint32_t first;  /* key of the first counter */
	uint32_t length; /* counters; 0 = sparse */
	uint32_t used;   /* buckets hit; owner only */
	uint8_t bits; /* sparse: 2^bits slots, one in eight free */
	union {
		_Atomic uint32_t counters[1];
		struct slot slots[1];
	};
};

int
native_schema(double factor)
{
	double schema = -floor(log2(log2(factor)));
	return (int)fmax(NATIVE_SCHEMA_MIN, fmin(NATIVE_SCHEMA_MAX, schema));
}

/* ---- Lists of buckets. ---- */

void
native_sum_add_bucket(struct native_sum *sum, uint32_t key, uint64_t count)
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

void
native_sum_arrange(struct native_sum *sum, uint32_t buckets_max)
{
	if (sum->count)
		qsort(sum->entries, sum->count, sizeof(*sum->entries), compare_entries);
	merge_equal(sum);
	while (sum->count > buckets_max && sum->steps < NATIVE_STEPS_MAX) {
		coarsen_entries(sum->entries, sum->count, 1);
		sum->steps++;
		merge_equal(sum);
	}
}

void
native_sum_reset(struct native_sum *sum, unsigned steps)
{
	sum->steps = steps;
	sum->zero_count = 0;
	sum->count = 0;
}

void
native_sum_begin(struct native_sum *sum)
{
	sum->part = sum->count;
	sum->zero_before = sum->zero_count;
}

void
native_sum_restart(struct native_sum *sum)
{
	sum->count = sum->part;
	sum->zero_count = sum->zero_before;
}

void
native_sum_end(struct native_sum *sum, unsigned steps)
{
	if (steps < sum->steps) {
		coarsen_entries(sum->entries + sum->part, sum->count - sum->part,
				sum->steps - steps);
	} else {
		coarsen_entries(sum->entries, sum->part, steps - sum->steps);
		sum->steps = steps;
	}
}

static void
add_counters(struct native_sum *sum, const struct native *native)
{
	for (uint32_t i = 0; i < native->length; i++) {
		uint32_t count = atomic_load_explicit(&native->counters[i], memory_order_acquire);
		if (count)
			native_sum_add_bucket(sum, native->first + i, count);
	}
}

static void
add_slots(struct native_sum *sum, const struct native *native)
{
	for (uint32_t i = 0; i < 1u << native->bits; i++) {
		const struct slot *slot = &native->slots[i];
		uint32_t key = atomic_load_explicit(&slot->key, memory_order_acquire);
		if (key)
			native_sum_add_bucket(sum, key,
				  atomic_load_explicit(&slot->count, memory_order_acquire));
	}
}

void
native_sum_add(struct native_sum *sum, const struct native *native)
{
	sum->zero_count += atomic_load_explicit(&native->zero_count, memory_order_acquire);
	if (native->length)
		add_counters(sum, native);
	else
		add_slots(sum, native);
}

void
native_sum_fini(struct native_sum *sum)
{
	free(sum->entries);
	free(sum->spans);
	free(sum->buckets);
	*sum = (struct native_sum){0};
}

/* ---- A store of buckets, of one thread. ---- */

static size_t
slots_bytes(unsigned bits)
{
	return sizeof(struct slot) << bits;
}

/* Buckets that so many slots hold: some stay free, or a search for an unknown one would not end. */
static uint32_t
slots_room(unsigned bits)
{
	uint32_t slots = 1u << bits;
	return slots - (slots < 8 ? 1 : slots / 8);
}

static struct native *
make(size_t bytes)
{
	return xcalloc(1, offsetof(struct native, slots) + bytes);
}

static struct native *
make_dense(uint32_t first, uint32_t length)
{
	struct native *native = make(length * sizeof(native->counters[0]));
	native->first = first;
	native->length = length;
	return native;
}

static struct native *
make_sparse(unsigned bits)
{
	struct native *native = make(slots_bytes(bits));
	native->bits = (uint8_t)bits;
	return native;
}

struct native *
native_new(void)
{
	return make_sparse(BITS_MIN);
}

size_t
native_bytes(const struct native *native)
{
	return offsetof(struct native, slots) + (native->length
						     ? native->length * sizeof(native->counters[0])
						     : slots_bytes(native->bits));
}

/* The slot where a search for a key begins: neighbours next to each other, negative ones half of all
 * slots further on, so that neither side is in the way of the other. */
static uint32_t
home_of(const struct native *native, uint32_t key)
{
	return (key + (key >> (32 - native->bits))) & ((1u << native->bits) - 1);
}

/* The slot that has a key, or the free one where it would be. */
static struct slot *
slot_of(struct native *native, uint32_t key)
{
	for (uint32_t at = home_of(native, key);; at++) {
		struct slot *slot = &native->slots[at & ((1u << native->bits) - 1)];
		uint32_t have = atomic_load_explicit(&slot->key, memory_order_relaxed);
		if (have == key || !have)
			return slot;
	}
}

/* Adds to a count. Whoever reads the sum also sees what the owner wrote before. */
static void
add(_Atomic uint64_t *count, uint64_t n)
{
	atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + n,
			      memory_order_release);
}

static bool
count_dense(struct native *native, uint32_t key, uint64_t n)
{
	uint32_t at = key - native->first;
	if (at >= native->length)
		return false;
	uint32_t before = atomic_load_explicit(&native->counters[at], memory_order_relaxed);
	if (!before || n > UINT32_MAX - before)
		return false;
	atomic_store_explicit(&native->counters[at], before + (uint32_t)n, memory_order_release);
	return true;
}

bool
native_count(struct native *native, uint32_t key, uint64_t n)
{
	if (key == NATIVE_POSITION_ZERO) {
		add(&native->zero_count, n);
		return true;
	}
	if (native->length)
		return count_dense(native, key, n);
	struct slot *slot = slot_of(native, key);
	if (!atomic_load_explicit(&slot->key, memory_order_relaxed))
		return false;
	add(&slot->count, n);
	return true;
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
		struct slot *slot = slot_of(native, key);
		add(&slot->count, n);
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
	uint32_t low = sum->entries[0].key - 1, high = sum->entries[sum->count - 1].key - 1;
	uint32_t step = COUNTERS_STEP;
	while (step < (high - low) / 4)
		step *= 2;
	uint32_t first = low / step * step + 1;
	uint64_t length = ((uint64_t)high / step - low / step + 1) * step;
	if (most <= UINT32_MAX && length <= slots_bytes(bits) / sizeof(uint32_t))
		return make_dense(first, (uint32_t)length);
	return make_sparse(bits);
}

struct native *
native_of_sum(const struct native_sum *sum)
{
	struct native *native = sum->count ? make_for(sum) : native_new();
	add(&native->zero_count, sum->zero_count);
	for (size_t i = 0; i < sum->count; i++)
		place(native, sum->entries[i].key, sum->entries[i].count);
	return native;
}

struct native *
native_insert(struct native *native, uint32_t key, uint64_t n)
{
	if (place(native, key, n))
		return NULL;
	struct native_sum sum = {0};
	native_sum_add(&sum, native);
	native_sum_add_bucket(&sum, key, n);
	native_sum_arrange(&sum, UINT32_MAX); /* keys stay as they are */
	struct native *other = native_of_sum(&sum);
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
	native_sum_arrange(sum, buckets_max);
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
