/*
 * The estimate is the one of Ertl, "New cardinality estimation algorithms for HyperLogLog sketches"
 * (2017), section 2.4: one formula for all sizes, without corrections found by experiment.
 */
#include "metrics/distinct.h"

#include "base/alloc.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define REGISTER_BITS 12
#define RANK_MAX (64 - REGISTER_BITS + 1)
#define SLOTS_MIN 8
_Static_assert(DISTINCT_REGISTERS == 1 << REGISTER_BITS, "registers are indexed by bits");

struct distinct {
	bool is_sketch;
	uint32_t size; /* slots of the exact form: a power of two */
	uint32_t count;
	union {
		_Atomic uint64_t slots[1];     /* exact: open addressing, 0 = free */
		_Atomic uint8_t registers[1]; /* sketch */
	};
};

static struct distinct *
exact_new(uint32_t size)
{
	struct distinct *set = xcalloc(1, sizeof(*set) + size * sizeof(set->slots[0]));
	set->size = size;
	return set;
}

struct distinct *
distinct_new(void)
{
	return exact_new(SLOTS_MIN);
}

/* The register a hash belongs to, and one more than the zeros its other bits begin with. */
static unsigned
split(uint64_t hash, uint8_t *rank)
{
	uint64_t rest = hash << REGISTER_BITS;
	*rank = rest ? (uint8_t)(__builtin_clzll(rest) + 1) : RANK_MAX;
	return (unsigned)(hash >> (64 - REGISTER_BITS));
}

static void
sketch_add(struct distinct *set, uint64_t hash)
{
	uint8_t rank;
	_Atomic uint8_t *at = &set->registers[split(hash, &rank)];
	if (atomic_load_explicit(at, memory_order_relaxed) < rank)
		atomic_store_explicit(at, rank, memory_order_relaxed);
}

/* @return whether it was new */
static bool
exact_add(struct distinct *set, uint64_t hash)
{
	uint64_t key = hash ? hash : 1; /* 0 marks a free slot */
	for (uint32_t i = (uint32_t)key & (set->size - 1);; i = (i + 1) & (set->size - 1)) {
		uint64_t have = atomic_load_explicit(&set->slots[i], memory_order_relaxed);
		if (have == key)
			return false;
		if (have)
			continue;
		atomic_store_explicit(&set->slots[i], key, memory_order_relaxed);
		set->count++;
		return true;
	}
}

static struct distinct *
convert(const struct distinct *set)
{
	bool to_sketch = set->count > DISTINCT_EXACT_MAX;
	struct distinct *larger =
	    to_sketch ? xcalloc(1, sizeof(*larger) + DISTINCT_REGISTERS) : exact_new(set->size * 2);
	larger->is_sketch = to_sketch;
	for (uint32_t i = 0; i < set->size; i++) {
		uint64_t hash = atomic_load_explicit(&set->slots[i], memory_order_relaxed);
		if (hash && to_sketch)
			sketch_add(larger, hash);
		else if (hash)
			exact_add(larger, hash);
	}
	return larger;
}

struct distinct *
distinct_add(struct distinct *set, uint64_t hash)
{
	if (set->is_sketch) {
		sketch_add(set, hash);
		return NULL;
	}
	bool is_full = exact_add(set, hash) &&
		       (set->count * 2 > set->size || set->count > DISTINCT_EXACT_MAX);
	return is_full ? convert(set) : NULL;
}

void
distinct_union_reset(struct distinct_union *all)
{
	all->count = 0;
	if (all->is_sketch)
		memset(all->registers, 0, sizeof(all->registers));
	all->is_sketch = false;
}

static void
raise_register(struct distinct_union *all, unsigned at, uint8_t rank)
{
	if (all->registers[at] < rank)
		all->registers[at] = rank;
}

void
distinct_union_add(struct distinct_union *all, const struct distinct *set)
{
	if (set->is_sketch) {
		all->is_sketch = true;
		for (unsigned i = 0; i < DISTINCT_REGISTERS; i++)
			raise_register(all, i, atomic_load_explicit(&set->registers[i],
								    memory_order_relaxed));
		return;
	}
	for (uint32_t i = 0; i < set->size; i++) {
		uint64_t hash = atomic_load_explicit(&set->slots[i], memory_order_relaxed);
		if (!hash)
			continue;
		all->hashes =
		    xgrow(all->hashes, all->count, &all->capacity, sizeof(*all->hashes));
		all->hashes[all->count++] = hash;
	}
}

static int
compare_hashes(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
	return (left > right) - (left < right);
}

static double
exact_count(struct distinct_union *all)
{
	if (!all->count)
		return 0;
	qsort(all->hashes, all->count, sizeof(*all->hashes), compare_hashes);
	size_t different = 1;
	for (size_t i = 1; i < all->count; i++)
		different += all->hashes[i] != all->hashes[i - 1];
	return (double)different;
}

/* x + sum over k of x^(2^k) * 2^(k-1); the share of registers that are still zero. */
static double
sigma(double x)
{
	if (x == 1)
		return INFINITY;
	double weight = 1, sum = x, before;
	do {
		x *= x;
		before = sum;
		sum += x * weight;
		weight *= 2;
	} while (sum != before);
	return sum;
}

/* (1 - x - sum over k of (1 - x^(2^-k))^2 * 2^-k) / 3; the share of registers not at their end. */
static double
tau(double x)
{
	if (x == 0 || x == 1)
		return 0;
	double weight = 1, sum = 1 - x, before;
	do {
		x = sqrt(x);
		before = sum;
		weight /= 2;
		sum -= (1 - x) * (1 - x) * weight;
	} while (sum != before);
	return sum / 3;
}

static double
sketch_count(struct distinct_union *all)
{
	for (size_t i = 0; i < all->count; i++) {
		uint8_t rank;
		unsigned at = split(all->hashes[i], &rank);
		raise_register(all, at, rank);
	}
	double ranks[RANK_MAX + 1] = {0}; /* registers of each rank */
	for (unsigned i = 0; i < DISTINCT_REGISTERS; i++)
		ranks[all->registers[i]]++;
	const double m = DISTINCT_REGISTERS;
	double z = m * tau(1 - ranks[RANK_MAX] / m);
	for (unsigned k = RANK_MAX - 1; k >= 1; k--)
		z = (z + ranks[k]) / 2;
	z += m * sigma(ranks[0] / m);
	return round(m * m / (2 * M_LN2 * z));
}

double
distinct_union_count(struct distinct_union *all)
{
	return all->is_sketch ? sketch_count(all) : exact_count(all);
}

void
distinct_union_fini(struct distinct_union *all)
{
	free(all->hashes);
	*all = (struct distinct_union){0};
}
