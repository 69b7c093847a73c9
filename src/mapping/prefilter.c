#include "mapping/prefilter.h"

#include "base/alloc.h"
#include "mapping/hash_index.h"

#include <stdlib.h>

/* Longest gram: fits 32 bits, and rare enough in names. */
#define GRAM_MAX 4
/* Grams are chosen among the first bytes of a literal. */
#define GRAM_SEARCH_MAX 64
#define WORD_BITS 64

struct entry {
	struct span prefix;    /* NULL = none */
	struct span *literals; /* until it is filed; owned */
	size_t literal_count;
	struct span key; /* the literal that holds the gram */
	uint32_t next;   /* regex filed under the same gram, or HASH_INDEX_NONE */
};

struct gram {
	uint64_t hash;
	uint32_t users; /* literals that contain it */
	uint32_t first; /* regex filed under it, or HASH_INDEX_NONE */
};

struct prefilter {
	struct entry *entries;
	size_t count, capacity;
	struct gram *grams;
	size_t gram_count, gram_capacity;
	struct hash_index index; /* of grams */
	bool has_size[GRAM_MAX + 1];
	uint64_t *always; /* bit n: regex n has no gram */
	size_t words;     /* of `always` */
};

struct prefilter *
prefilter_new(void)
{
	struct prefilter *filter = xcalloc(1, sizeof(*filter));
	hash_index_init(&filter->index);
	return filter;
}

void
prefilter_free(struct prefilter **filter)
{
	struct prefilter *old = *filter;
	*filter = NULL;
	if (!old)
		return;
	for (size_t i = 0; i < old->count; i++)
		free(old->entries[i].literals);
	free(old->entries);
	free(old->grams);
	hash_index_fini(&old->index);
	free(old->always);
	free(old);
}

void
prefilter_add(struct prefilter *filter, const struct span *literals, size_t count, bool is_prefix)
{
	filter->entries =
	    xgrow(filter->entries, filter->count, &filter->capacity, sizeof(*filter->entries));
	struct entry *entry = &filter->entries[filter->count++];
	*entry = (struct entry){.literal_count = count, .next = HASH_INDEX_NONE};
	entry->literals = xcalloc(count, sizeof(*literals));
	for (size_t i = 0; i < count; i++)
		entry->literals[i] = literals[i];
	if (is_prefix && count)
		entry->prefix = literals[0];
}

/* Shifts the next byte into the last GRAM_MAX bytes. */
static inline uint32_t
next_window(uint32_t window, char byte)
{
	return window << 8 | (unsigned char)byte;
}

/* The hash of the last `size` bytes; the size is part of it, so equal hashes mean equal grams. */
static inline uint64_t
gram_hash(uint32_t window, size_t size)
{
	uint32_t bytes = window & (UINT32_MAX >> 8 * (GRAM_MAX - size));
	return hash_index_mix((uint64_t)size << 32 | bytes);
}

static uint32_t
find_gram(const struct prefilter *filter, uint64_t hash)
{
	size_t step = 0;
	return hash_index_next(&filter->index, hash, &step);
}

static void
count_gram(struct prefilter *filter, uint64_t hash)
{
	uint32_t number = find_gram(filter, hash);
	if (number == HASH_INDEX_NONE) {
		filter->grams = xgrow(filter->grams, filter->gram_count, &filter->gram_capacity,
				      sizeof(*filter->grams));
		number = (uint32_t)filter->gram_count++;
		filter->grams[number] = (struct gram){.hash = hash, .first = HASH_INDEX_NONE};
		hash_index_add(&filter->index, hash, number);
	}
	filter->grams[number].users++;
}

/*
 * How many regexes out of a thousand a gram lets through: its share of the regexes, and what a gram
 * of that size lets through by chance.
 */
static uint64_t
gram_cost(const struct prefilter *filter, uint32_t gram, size_t size)
{
	static const uint64_t chance[GRAM_MAX + 1] = {1000, 500, 60, 10, 2};
	return filter->grams[gram].users * UINT64_C(1000) / filter->count + chance[size];
}

struct choice {
	uint64_t cost;
	uint32_t gram;
	size_t size;
	struct span literal;
};

/* Counts the grams of a literal (choice NULL) or offers them. */
static void
visit_grams(struct prefilter *filter, struct span literal, struct choice *choice)
{
	uint32_t window = 0;
	size_t len = literal.len < GRAM_SEARCH_MAX ? literal.len : GRAM_SEARCH_MAX;
	for (size_t i = 0; i < len; i++) {
		window = next_window(window, literal.ptr[i]);
		for (size_t size = 1; size <= GRAM_MAX && size <= i + 1; size++) {
			uint64_t hash = gram_hash(window, size);
			if (!choice) {
				count_gram(filter, hash);
				continue;
			}
			uint32_t gram = find_gram(filter, hash);
			uint64_t cost = gram_cost(filter, gram, size);
			if (cost < choice->cost)
				*choice = (struct choice){cost, gram, size, literal};
		}
	}
}

static void
file_entry(struct prefilter *filter, size_t number)
{
	struct entry *entry = &filter->entries[number];
	struct choice choice = {.cost = UINT64_MAX};
	for (size_t i = 0; i < entry->literal_count; i++)
		visit_grams(filter, entry->literals[i], &choice);
	free(entry->literals);
	entry->literals = NULL;
	if (choice.cost == UINT64_MAX) {
		filter->always[number / WORD_BITS] |= UINT64_C(1) << number % WORD_BITS;
		return;
	}
	struct gram *gram = &filter->grams[choice.gram];
	entry->key = choice.literal;
	entry->next = gram->first;
	gram->first = (uint32_t)number;
	filter->has_size[choice.size] = true;
}

/* Most grams were only candidates; lookups need not see them. */
static void
drop_unused_grams(struct prefilter *filter)
{
	size_t used = 0;
	hash_index_fini(&filter->index);
	hash_index_init(&filter->index);
	for (size_t i = 0; i < filter->gram_count; i++) {
		struct gram gram = filter->grams[i];
		if (gram.first == HASH_INDEX_NONE)
			continue;
		filter->grams[used] = gram;
		hash_index_add(&filter->index, gram.hash, (uint32_t)used);
		used++;
	}
	filter->gram_count = used;
}

void
prefilter_build(struct prefilter *filter)
{
	filter->words = (filter->count + WORD_BITS - 1) / WORD_BITS;
	filter->always = xcalloc(filter->words, sizeof(*filter->always));
	for (size_t i = 0; i < filter->count; i++)
		for (size_t k = 0; k < filter->entries[i].literal_count; k++)
			visit_grams(filter, filter->entries[i].literals[k], NULL);
	for (size_t i = 0; i < filter->count; i++)
		file_entry(filter, i);
	drop_unused_grams(filter);
}

size_t
prefilter_words(const struct prefilter *filter)
{
	return filter->words + (filter->gram_count + WORD_BITS - 1) / WORD_BITS;
}

static bool
can_match(const struct entry *entry, struct span name)
{
	if (entry->prefix.ptr && !span_starts(name, entry->prefix))
		return false;
	return entry->key.ptr == entry->prefix.ptr ||
	       memmem(name.ptr, name.len, entry->key.ptr, entry->key.len) != NULL;
}

static void
take_gram(const struct prefilter *filter, uint32_t gram, struct span name, uint64_t *candidates)
{
	for (uint32_t i = filter->grams[gram].first; i != HASH_INDEX_NONE;
	     i = filter->entries[i].next)
		if (can_match(&filter->entries[i], name))
			candidates[i / WORD_BITS] |= UINT64_C(1) << i % WORD_BITS;
}

void
prefilter_find(const struct prefilter *filter, struct span name, uint64_t *words)
{
	uint64_t *seen = words + filter->words; /* grams already taken */
	size_t seen_words = prefilter_words(filter) - filter->words;
	if (filter->words)
		memcpy(words, filter->always, filter->words * sizeof(*words));
	if (seen_words)
		memset(seen, 0, seen_words * sizeof(*seen));
	uint32_t window = 0;
	for (size_t i = 0; i < name.len; i++) {
		window = next_window(window, name.ptr[i]);
		for (size_t size = 1; size <= GRAM_MAX && size <= i + 1; size++) {
			if (!filter->has_size[size])
				continue;
			uint32_t gram = find_gram(filter, gram_hash(window, size));
			if (gram == HASH_INDEX_NONE)
				continue;
			uint64_t bit = UINT64_C(1) << gram % WORD_BITS;
			if (seen[gram / WORD_BITS] & bit)
				continue;
			seen[gram / WORD_BITS] |= bit;
			take_gram(filter, gram, name, words);
		}
	}
}
