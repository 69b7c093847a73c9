/*
 * metrics/distinct - how many different members a set was given.
 *
 * Exact up to DISTINCT_EXACT_MAX members; beyond, HyperLogLog with 4096 registers, whose standard
 * error is 1.6 %. Members are known by a 64-bit keyed hash. One thread adds; the control thread reads
 * at any time. Sets of several threads are joined when they are read.
 */
#ifndef METRICS_DISTINCT_H
#define METRICS_DISTINCT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DISTINCT_EXACT_MAX 512
#define DISTINCT_REGISTERS 4096

struct distinct;

/** @return an empty set, freed with free() */
struct distinct *distinct_new(void);

/**
 * Adds a member; by the owner.
 *
 * @hash of the member (base/hash)
 * @return NULL, or a set that holds the same and must replace this one, which may still be read
 */
struct distinct *distinct_add(struct distinct *set, uint64_t hash);

/* The union of sets; zero-initialised. */
struct distinct_union {
	uint64_t *hashes; /* owned; of exact sets, with repetitions */
	size_t count, capacity;
	bool is_sketch;
	uint8_t registers[DISTINCT_REGISTERS];
};

/** Forgets the members, keeps the memory. */
void distinct_union_reset(struct distinct_union *all);
/** Joins a set in. */
void distinct_union_add(struct distinct_union *all, const struct distinct *set);
/** @return the number of different members, whole; reorders the hashes */
double distinct_union_count(struct distinct_union *all);
void distinct_union_fini(struct distinct_union *all);

#endif
