#include "app/unmapped.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "base/index.h"
#include "base/json.h"
#include "base/utf8.h"
#include "metrics/distinct.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>

/* Of a bank, for names that are not listed. */
#define LEFT_OUT UNMAPPED_NAMES_MAX

struct unmapped_name {
	enum event_kind kind;
	struct span name, example; /* owned */
	bool is_cut;               /* the example */
	uint64_t rules;            /* that it was last noted for */
};

struct bank {
	bool is_used; /* threads count in it, or may do so still */
	struct unmapped_name names[UNMAPPED_NAMES_MAX]; /* by counter */
	unsigned count;
	size_t text_bytes;
	struct index index;                      /* items point into `names` */
	struct distinct *left_out;               /* owned; NULL = none */
	uint64_t before[UNMAPPED_BANK_COUNTERS]; /* what had been counted when it came into use */
};

struct unmapped {
	pthread_mutex_t lock;
	uint64_t rules;
	struct bank banks[2];
	unsigned current;
};

struct unmapped *
unmapped_new(uint64_t rules)
{
	struct unmapped *unmapped = xcalloc(1, sizeof(*unmapped));
	pthread_mutex_init(&unmapped->lock, NULL);
	unmapped->rules = rules;
	unmapped->banks[0].is_used = true;
	return unmapped;
}

static void
forget(struct bank *bank)
{
	for (unsigned i = 0; i < bank->count; i++) {
		free((char *)(uintptr_t)bank->names[i].name.ptr);
		free((char *)(uintptr_t)bank->names[i].example.ptr);
	}
	index_fini(&bank->index);
	free(bank->left_out);
	bank->left_out = NULL;
	bank->count = 0;
	bank->text_bytes = 0;
}

void
unmapped_free(struct unmapped **slot)
{
	struct unmapped *unmapped = *slot;
	*slot = NULL;
	if (!unmapped)
		return;
	forget(&unmapped->banks[0]);
	forget(&unmapped->banks[1]);
	pthread_mutex_destroy(&unmapped->lock);
	free(unmapped);
}

/* ---- Noting. ---- */

struct name_key {
	enum event_kind kind;
	struct span name;
};

static bool
is_name(const void *item, const void *key)
{
	const struct unmapped_name *known = item;
	const struct name_key *wanted = key;
	return known->kind == wanted->kind && span_equal(known->name, wanted->name);
}

static struct span
copy(struct span text)
{
	return span_of(xmemdup0(text.ptr, text.len), text.len);
}

/* @return the name's place in the list, or NULL when there is no room */
static struct unmapped_name *
add_name(struct bank *bank, const struct name_key *key, uint64_t hash, struct span line)
{
	struct span example = utf8_first(line, UNMAPPED_EXAMPLE_MAX);
	size_t bytes = bank->text_bytes + key->name.len + example.len;
	if (bank->count == UNMAPPED_NAMES_MAX || bytes > UNMAPPED_TEXT_MAX)
		return NULL;
	bank->text_bytes = bytes;
	struct unmapped_name *name = &bank->names[bank->count++];
	*name = (struct unmapped_name){.kind = key->kind,
				       .name = copy(key->name),
				       .example = copy(example),
				       .is_cut = example.len < line.len};
	index_add(&bank->index, hash, name);
	return name;
}

/* Under the lock. @return the counter in the bank */
static unsigned
note(struct bank *bank, uint64_t rules, const struct name_key *key, struct span line)
{
	uint64_t hash = hash_bytes64(key->name.ptr, key->name.len) + (uint64_t)key->kind;
	struct unmapped_name *name = index_find(&bank->index, hash, is_name, key);
	if (!name)
		name = add_name(bank, key, hash, line);
	if (name) {
		name->rules = rules;
		return (unsigned)(name - bank->names);
	}
	if (!bank->left_out)
		bank->left_out = distinct_new();
	struct distinct *larger = distinct_add(bank->left_out, hash);
	if (larger) {
		free(bank->left_out);
		bank->left_out = larger;
	}
	return LEFT_OUT;
}

unsigned
unmapped_note(struct unmapped *unmapped, uint64_t rules, enum event_kind kind, struct span name,
	      struct span line)
{
	struct name_key key = {kind, name};
	unsigned counter = UNMAPPED_UNCOUNTED;
	pthread_mutex_lock(&unmapped->lock);
	if (rules >= unmapped->rules)
		counter = unmapped->current * UNMAPPED_BANK_COUNTERS +
			  note(&unmapped->banks[unmapped->current], rules, &key, line);
	pthread_mutex_unlock(&unmapped->lock);
	return counter;
}

/* ---- Forgetting. ---- */

void
unmapped_begin(struct unmapped *unmapped, uint64_t rules)
{
	pthread_mutex_lock(&unmapped->lock);
	unmapped->rules = rules;
	struct bank *other = &unmapped->banks[!unmapped->current];
	/* After two reloads at once it still is in use; then names that are noted again stay. */
	if (!other->is_used) {
		other->is_used = true;
		unmapped->current = !unmapped->current;
	}
	pthread_mutex_unlock(&unmapped->lock);
}

bool
unmapped_is_unclean(const struct unmapped *unmapped)
{
	return unmapped->banks[!unmapped->current].is_used;
}

void
unmapped_clean(struct unmapped *unmapped, const uint64_t *counters)
{
	unsigned old = !unmapped->current;
	struct bank *bank = &unmapped->banks[old];
	pthread_mutex_lock(&unmapped->lock);
	forget(bank);
	for (unsigned i = 0; i < UNMAPPED_BANK_COUNTERS; i++)
		bank->before[i] = counters[old * UNMAPPED_BANK_COUNTERS + i];
	bank->is_used = false;
	pthread_mutex_unlock(&unmapped->lock);
}

/* ---- Showing. ---- */

struct listed {
	const struct unmapped_name *name;
	uint64_t count;
};

static int
compare(const void *left, const void *right)
{
	const struct listed *a = left, *b = right;
	if (a->count != b->count)
		return a->count > b->count ? -1 : 1;
	int order = span_compare(a->name->name, b->name->name);
	return order ? order : (int)a->name->kind - (int)b->name->kind;
}

static void
write_name(const struct listed *listed, struct buf *out)
{
	const struct unmapped_name *name = listed->name;
	buf_add_text(out, "{\"name\":");
	json_add_text(out, name->name);
	buf_printf(out, ",\"type\":\"%s\",\"count\":%" PRIu64 ",\"example\":",
		   event_kind_text(name->kind), listed->count);
	json_add_text(out, name->example);
	buf_printf(out, ",\"example_is_cut\":%s}", name->is_cut ? "true" : "false");
}

static uint64_t
count_left_out(const struct bank *bank)
{
	struct distinct_union all = {0};
	if (bank->left_out)
		distinct_union_add(&all, bank->left_out);
	uint64_t count = (uint64_t)distinct_union_count(&all);
	distinct_union_fini(&all);
	return count;
}

/* Under the lock. @return how many of the bank's names are to be shown */
static size_t
list_names(const struct unmapped *unmapped, const struct bank *bank, const uint64_t *counted,
	   struct listed *listed)
{
	size_t count = 0;
	for (unsigned i = 0; i < bank->count; i++) {
		const struct unmapped_name *name = &bank->names[i];
		uint64_t events = counted[i] - bank->before[i];
		/* A line may have been refused for its value, and bring no event. */
		if (name->rules >= unmapped->rules && events)
			listed[count++] = (struct listed){name, events};
	}
	return count;
}

/* Names stay where and as they are until this thread forgets them, so writing needs no lock. */
void
unmapped_write(struct unmapped *unmapped, const uint64_t *counters, struct buf *out)
{
	const struct bank *bank = &unmapped->banks[unmapped->current];
	const uint64_t *counted = counters + unmapped->current * UNMAPPED_BANK_COUNTERS;
	struct listed *listed = xcalloc(UNMAPPED_NAMES_MAX, sizeof(*listed));
	pthread_mutex_lock(&unmapped->lock);
	size_t count = list_names(unmapped, bank, counted, listed);
	uint64_t left_out = count_left_out(bank);
	pthread_mutex_unlock(&unmapped->lock);
	qsort(listed, count, sizeof(*listed), compare);
	buf_add_text(out, "{\"names\":[");
	for (size_t i = 0; i < count; i++) {
		buf_add_text(out, i ? ",\n" : "");
		write_name(&listed[i], out);
	}
	buf_printf(out, "],\"left_out\":{\"names\":%" PRIu64 ",\"events\":%" PRIu64 "}}\n",
		   left_out, counted[LEFT_OUT] - bank->before[LEFT_OUT]);
	free(listed);
}
