#include "test.h"

#include "base/alloc.h"
#include "metrics/label_text.h"
#include "metrics/output_order.h"
#include "metrics/registry_private.h"

#include <stdio.h>
#include <stdlib.h>

/* Deterministic, and the same for all tests. */
static uint32_t
next_random(uint32_t *state)
{
	*state = *state * 1664525 + 1013904223;
	return *state >> 8;
}

/* ---- Series of one family, by what their labels are. ---- */

struct crowd {
	struct series **items;
	size_t count;
	uint64_t bytes; /* of all texts */
};

static void
crowd_add(struct crowd *crowd, const struct labels *labels)
{
	struct buf text = BUF_INIT;
	label_text_format(labels, &text);
	struct series *series = xcalloc(1, series_bytes(text.len));
	series->label_count = (uint16_t)labels->count;
	series->text_len = (uint32_t)text.len;
	if (text.len)
		memcpy(series->text, buf_span(&text).ptr, text.len);
	crowd->items[crowd->count++] = series;
	crowd->bytes += text.len;
	buf_fini(&text);
}

static void
crowd_free(struct crowd *crowd)
{
	for (size_t i = 0; i < crowd->count; i++)
		free(crowd->items[i]);
	free(crowd->items);
}

static void
shuffle(void *pointers, size_t count)
{
	uint32_t random = 7;
	void *kept, **at = pointers;
	for (size_t i = count; i > 1; i--) {
		size_t other = next_random(&random) % i;
		memcpy(&kept, at + i - 1, sizeof(kept));
		memcpy(at + i - 1, at + other, sizeof(kept));
		memcpy(at + other, &kept, sizeof(kept));
	}
}

/* Cuts up what is done, and says what it cost. */
struct slices {
	int64_t each;
	struct order_work work;
};

/* @overshoot what a call may do beyond its slice: one record */
static void
next_slice(struct slices *slices, int64_t overshoot)
{
	assert_true(slices->work.left >= -overshoot);
	slices->work.left = slices->each;
}

/* Units of work: two looks at each word of a text, and what a look at a record costs besides. */
static int64_t
record_cost(size_t text_len)
{
	return (int64_t)(2 * text_len / 8 + 1000);
}

/* Merges into `items`, which has room, and frees the merge. */
static void
finish_merge(struct order_merge *merge, void *items, size_t count, struct slices *slices,
	     int64_t overshoot)
{
	slices->work.left = slices->each;
	while (!order_merge_sort(merge, &slices->work))
		next_slice(slices, overshoot);
	slices->work.left = slices->each;
	while (!order_merge_search(merge, items, count, &slices->work))
		next_slice(slices, overshoot);
	order_merge_apply(merge, items, count);
	order_merge_free(&merge);
	assert_null(merge);
}

static void
sort_series(struct series **items, size_t count, struct slices *slices, int64_t overshoot)
{
	struct series **sorted = xreallocarray(NULL, count, sizeof(*sorted));
	finish_merge(order_merge_series(items, count), sorted, 0, slices, overshoot);
	memcpy(items, sorted, count * sizeof(*sorted));
	free(sorted);
}

static int
compare_series(const void *a, const void *b)
{
	return series_compare(*(struct series *const *)a, *(struct series *const *)b);
}

/* Sorts, and checks against a sort that knows nothing. @return what it cost */
static uint64_t
check_sort(struct crowd *crowd)
{
	struct series **want = xreallocarray(NULL, crowd->count, sizeof(*want));
	shuffle(crowd->items, crowd->count);
	memcpy(want, crowd->items, crowd->count * sizeof(*want));
	qsort(want, crowd->count, sizeof(*want), compare_series);
	struct slices slices = {.each = 1000};
	sort_series(crowd->items, crowd->count, &slices, record_cost(crowd->bytes / crowd->count));
	for (size_t i = 0; i < crowd->count; i++)
		assert_ptr_equal(crowd->items[i], want[i]);
	free(want);
	return slices.work.words;
}

/* ---- Any order of any labels. ---- */

static const struct {
	const char *alphabet;
	size_t alphabet_len;
	size_t len_max;
	unsigned names; /* how many sets of label names there are */
} mixes[] = {
    {"ab", 2, 40, 1},
    {"ab", 2, 3, 5},
    {"a\0\1\2", 4, 12, 1},
    {"\0", 1, 300, 1},
    {"\0\1", 2, 20, 3},
    {"\\", 1, 400, 1},
    {"\\\"\n", 3, 30, 2},
    {"a\\", 2, 20, 3},
    {"\"", 1, 300, 4},
    {"a=\",x", 5, 12, 4},
    {"abcdefghijklmnop\xff", 17, 9, 1},
    {"a", 1, 2000, 3},
};

static void
fill_random(struct labels *labels, unsigned mix, uint32_t *random, char bytes[2][2000])
{
	static const char *const names[][2] = {
	    {"k", "l"},
	    {"k", "a-long-name-that-ends-in-l"},
	    {"k", "a-long-name-that-ends-in-m"},
	    {"j", "l"},
	    {"jj", "kk"},
	};
	const char *const *pair = names[next_random(random) % mixes[mix].names];
	unsigned count = next_random(random) % 8 ? 2 : next_random(random) % 3;
	labels->count = 0;
	for (unsigned k = 0; k < count; k++) {
		size_t len = next_random(random) % mixes[mix].len_max;
		for (size_t i = 0; i < len; i++)
			bytes[k][i] =
			    mixes[mix].alphabet[next_random(random) % mixes[mix].alphabet_len];
		assert_true(labels_set(labels, span_text(pair[k]), span_of(bytes[k], len)));
	}
}

static void
test_sort__as_any_sort(void **state)
{
	(void)state;
	static struct labels labels;
	static char bytes[2][2000];
	uint32_t random = 1;
	for (unsigned mix = 0; mix < sizeof(mixes) / sizeof(mixes[0]); mix++) {
		for (size_t count = 1; count <= 1000; count = count * 3 + 1) {
			struct crowd crowd = {
			    .items = xreallocarray(NULL, count, sizeof(struct series *))};
			for (size_t i = 0; i < count; i++) {
				fill_random(&labels, mix, &random, bytes);
				crowd_add(&crowd, &labels);
			}
			shuffle(crowd.items, count);
			struct slices slices = {.each = count % 2 ? 1 : 100};
			sort_series(crowd.items, count, &slices, record_cost(2 * 4000));
			for (size_t i = 1; i < count; i++)
				assert_true(series_compare(crowd.items[i - 1], crowd.items[i]) <=
					    0);
			crowd_free(&crowd);
		}
	}
}

/* ---- What a peer that means harm would send: number `i` of `count`, at most `len` bytes. ---- */

/* Looks at a byte: as part of a key, when it is skipped, and in vain. */
#define COST_A_WORD 4
#define LEN_MAX 8192

static size_t
repeat(char *to, const char *what, size_t len)
{
	size_t unit = strlen(what);
	for (size_t i = 0; i < len; i++)
		to[i] = what[i % unit];
	return len;
}

static size_t
put_number(char *to, size_t number)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%08zu", number);
	memcpy(to, text, (size_t)len);
	return (size_t)len;
}

static void
set_behind(struct labels *labels, char *bytes, size_t prefix_len, size_t number)
{
	size_t len = prefix_len + put_number(bytes + prefix_len, number);
	assert_true(labels_set(labels, SPAN("k"), span_of(bytes, len)));
}

static void
fill_one_prefix(struct labels *labels, char *bytes, size_t i, size_t len)
{
	set_behind(labels, bytes, repeat(bytes, "v", len), i);
}

static void
fill_backslashes(struct labels *labels, char *bytes, size_t i, size_t len)
{
	set_behind(labels, bytes, repeat(bytes, "\\", len), i);
}

static void
fill_quotes(struct labels *labels, char *bytes, size_t i, size_t len)
{
	set_behind(labels, bytes, repeat(bytes, "a\"", len), i);
}

static void
fill_nul_bytes(struct labels *labels, char *bytes, size_t i, size_t len)
{
	memset(bytes, 0, len);
	set_behind(labels, bytes, len, i);
}

static void
fill_many_prefixes(struct labels *labels, char *bytes, size_t i, size_t len)
{
	repeat(bytes, "v", len);
	bytes[i % 20] = 'w';
	set_behind(labels, bytes, len, i);
}

/* Each has a little more in common with the last than the one before. */
static void
fill_stairs(struct labels *labels, char *bytes, size_t i, size_t len)
{
	repeat(bytes, "v", len);
	size_t step = i * 16 % (len - 8);
	bytes[step] = 'w';
	set_behind(labels, bytes, step + 1, i);
}

static void
fill_steep_stairs(struct labels *labels, char *bytes, size_t i, size_t len)
{
	repeat(bytes, "v", len);
	bytes[i * 7 % len] = i % 2 ? 'w' : 'u';
	set_behind(labels, bytes, len, i);
}

/* Each bit of the number decides behind eight bytes more. */
static void
fill_halves(struct labels *labels, char *bytes, size_t i, size_t len)
{
	repeat(bytes, "v", len);
	for (size_t bit = 0; bit < 16 && bit * 24 < len; bit++)
		bytes[bit * 24] = i >> bit & 1 ? 'a' : 'b';
	set_behind(labels, bytes, len, i);
}

static void
fill_two_names(struct labels *labels, char *bytes, size_t i, size_t len)
{
	repeat(bytes, "\"", len);
	assert_true(labels_set(labels, i % 2 ? SPAN("k") : SPAN("l"), span_of(bytes, len)));
	put_number(bytes + len, i);
	assert_true(labels_set(labels, SPAN("x"), span_of(bytes + len, 8)));
}

/* Nothing but the names differs, and that late. */
static void
fill_names_only(struct labels *labels, char *bytes, size_t i, size_t len)
{
	repeat(bytes, "n", len);
	put_number(bytes + len, i);
	assert_true(labels_set(labels, span_of(bytes, len + 8), SPAN("x")));
}

static void
fill_many_labels(struct labels *labels, char *bytes, size_t i, size_t len)
{
	size_t each = len / TAGS_MAX;
	repeat(bytes, "v", len);
	for (size_t k = 0; k < TAGS_MAX; k++) {
		char *name = bytes + len + k * 8;
		put_number(name, k);
		assert_true(labels_set(labels, span_of(name, 8), span_of(bytes, each)));
	}
	set_behind(labels, bytes, each, i);
}

static const struct {
	const char *name;
	void (*fill)(struct labels *labels, char *bytes, size_t i, size_t len);
	size_t count, len;
} attacks[] = {
    {"one prefix", fill_one_prefix, 2000, 1000},
    {"one long prefix", fill_one_prefix, 300, LEN_MAX},
    {"backslashes", fill_backslashes, 1000, 2000},
    {"quotes", fill_quotes, 1000, 2000},
    {"NUL bytes", fill_nul_bytes, 1000, 2000},
    {"many prefixes", fill_many_prefixes, 2000, 1000},
    {"stairs", fill_stairs, 500, LEN_MAX},
    {"short stairs", fill_stairs, 5000, 600},
    {"steep stairs", fill_steep_stairs, 3000, 700},
    {"halves", fill_halves, 20000, 400},
    {"two names", fill_two_names, 1000, 1000},
    {"names only", fill_names_only, 1000, 1000},
    {"many labels", fill_many_labels, 500, LEN_MAX / 2},
};

static unsigned
log2_above(size_t count)
{
	unsigned log = 0;
	while (count >> log)
		log++;
	return log;
}

/* A look at every byte a few times and a look at every series for each halving: no product of the
 * two. */
static void
test_sort__cost_is_bounded(void **state)
{
	(void)state;
	static struct labels labels;
	static char bytes[LEN_MAX + 8 * (TAGS_MAX + 2)];
	for (size_t a = 0; a < sizeof(attacks) / sizeof(attacks[0]); a++) {
		size_t count = attacks[a].count;
		struct crowd crowd = {.items = xreallocarray(NULL, count, sizeof(struct series *))};
		for (size_t i = 0; i < count; i++) {
			labels.count = 0;
			attacks[a].fill(&labels, bytes, i, attacks[a].len);
			crowd_add(&crowd, &labels);
		}
		uint64_t cost = check_sort(&crowd);
		uint64_t bound = COST_A_WORD * (crowd.bytes / 8) + count * log2_above(count);
		if (cost > bound)
			fail_msg("%s: %ju words looked at, %ju allowed", attacks[a].name,
				 (uintmax_t)cost, (uintmax_t)bound);
		crowd_free(&crowd);
	}
}

/* ---- Families. ---- */

static int
compare_families(const void *a, const void *b)
{
	return span_compare(family_name(*(struct family *const *)a),
			    family_name(*(struct family *const *)b));
}

static void
test_sort__families_with_long_names(void **state)
{
	(void)state;
	enum { COUNT = 500, PREFIX = 3000 };
	static struct family families[COUNT], *items[COUNT], *want[COUNT];
	for (size_t i = 0; i < COUNT; i++) {
		/* All the same but the end; a tenth of them ends before that. */
		size_t prefix_len = i % 10 ? PREFIX : i;
		char *name = xreallocarray(NULL, 1, PREFIX + 8);
		size_t len = repeat(name, "name_", prefix_len);
		if (i % 10)
			len += put_number(name + len, i);
		families[i] = (struct family){.name = name, .name_len = len};
		items[i] = &families[i];
	}
	shuffle(items, COUNT);
	memcpy(want, items, sizeof(want));
	qsort(want, COUNT, sizeof(*want), compare_families);
	struct slices slices = {.each = 100};
	struct family *sorted[COUNT];
	finish_merge(order_merge_families(items, COUNT), sorted, 0, &slices, record_cost(PREFIX));
	assert_memory_equal(sorted, want, sizeof(want));
	assert_true(slices.work.words < COST_A_WORD * (COUNT * PREFIX / 8) + COUNT * log2_above(COUNT));
	for (size_t i = 0; i < COUNT; i++)
		free(families[i].name);
}

/* ---- Merging. ---- */

/* Of every mixture of old and new, and wherever the work is cut. */
static void
test_merge__among_others(void **state)
{
	(void)state;
	enum { COUNT = 700 };
	static struct labels labels;
	static char bytes[64];
	static const unsigned shares[] = {1, 2, 3, 10, 100, COUNT};
	static const int64_t sizes[] = {1, 33, 500, INT32_MAX};
	for (size_t k = 0; k < 6 * 4; k++) {
		struct crowd crowd = {.items = xreallocarray(NULL, COUNT, sizeof(struct series *))};
		struct series *want[COUNT], *listed[COUNT], *newcomers[COUNT];
		size_t listed_count = 0, newcomer_count = 0;
		for (size_t i = 0; i < COUNT; i++) {
			labels.count = 0;
			set_behind(&labels, bytes, repeat(bytes, "v", i % 3 * 10), i);
			crowd_add(&crowd, &labels);
		}
		memcpy(want, crowd.items, sizeof(want));
		qsort(want, COUNT, sizeof(*want), compare_series);
		uint32_t random = (uint32_t)k;
		for (size_t i = 0; i < COUNT; i++) {
			if (next_random(&random) % shares[k % 6] == 0)
				newcomers[newcomer_count++] = want[i];
			else
				listed[listed_count++] = want[i];
		}
		shuffle(newcomers, newcomer_count);
		struct slices slices = {.each = sizes[k / 6]};
		finish_merge(order_merge_series(newcomers, newcomer_count), listed, listed_count,
			     &slices, record_cost(64));
		assert_memory_equal(listed, want, sizeof(want));
		crowd_free(&crowd);
	}
}

static void
test_merge__freed_anywhere(void **state)
{
	(void)state;
	enum { COUNT = 100 };
	static struct labels labels;
	static char bytes[400];
	struct crowd crowd = {.items = xreallocarray(NULL, COUNT, sizeof(struct series *))};
	for (size_t i = 0; i < COUNT; i++) {
		labels.count = 0;
		fill_halves(&labels, bytes, i, 300);
		crowd_add(&crowd, &labels);
	}
	bool is_sorted = false;
	for (int64_t left = 0; !is_sorted; left += 10) {
		struct order_merge *merge = order_merge_series(crowd.items, COUNT);
		struct order_work work = {.left = left};
		is_sorted = order_merge_sort(merge, &work);
		order_merge_free(&merge);
		order_merge_free(&merge);
	}
	crowd_free(&crowd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_sort__as_any_sort),
	    cmocka_unit_test(test_sort__cost_is_bounded),
	    cmocka_unit_test(test_sort__families_with_long_names),
	    cmocka_unit_test(test_merge__among_others),
	    cmocka_unit_test(test_merge__freed_anywhere),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
