#include "test.h"

#include "exposition/fake_reader.h"
#include "push/decode.h"
#include "push/pass.h"

#include <stdio.h>

static const struct labels no_labels;

static const struct series_view lone = {.labels = SPAN(""), .value = 1};
static const struct fake_family families[] = {
    {{SPAN("a_total"), SPAN("Help a."), METRIC_COUNTER}, &lone, 1},
    {{SPAN("b"), SPAN("Help b."), METRIC_GAUGE}, &lone, 1},
};

static void
take(void *ctx, uint64_t group, const struct push_message *message)
{
	struct buf *text = ctx;
	buf_printf(text, "[%llu]\n", (unsigned long long)group);
	decode_message(message, text);
}

static struct push_pass *
begin(struct push_ended **ended, struct buf *text, const struct fake_family *all, size_t count,
      unsigned *frees)
{
	struct reader *reader = fake_reader_new(all, count, frees);
	struct push_pass_settings settings = {.protocol = PUSH_PROTOCOL_1,
					      .external = &no_labels,
					      .timestamp_ms = 9,
					      .group = 7,
					      .with_metadata = true,
					      .take = take,
					      .ctx = text};
	return push_pass_new(&settings, ended, &reader);
}

/* The pass has a list of its own: who ends while it is under way is told of in the next one. */
static void
test_pass__ended_series_first(void **state)
{
	(void)state;
	unsigned frees = 0;
	struct buf text = BUF_INIT;
	struct push_ended *ended = push_ended_new();
	assert_true(push_ended_add(ended, &families[0].view, &lone));
	struct push_pass *pass = begin(&ended, &text, families, 2, &frees);
	assert_int_equal(push_ended_count(ended), 0);
	assert_true(push_ended_add(ended, &families[1].view, &lone));
	while (push_pass_step(pass))
		;
	assert_int_equal(push_pass_samples(pass), 3);
	push_pass_free(&pass);
	assert_int_equal(frees, 1);
	assert_span_equal(buf_span(&text), "[7]\n"
					   "a_total stale @ 8\n"
					   "[8]\n"
					   "# counter a_total Help a.\n"
					   "a_total 1 @ 9\n"
					   "# gauge b Help b.\n"
					   "b 1 @ 9\n");
	assert_int_equal(push_ended_count(ended), 1);
	push_ended_free(&ended);
	buf_fini(&text);
}

/* What comes twice to a receiver, though not in a scrape: the first counts. */
static void
test_pass__leaves_out_twins(void **state)
{
	(void)state;
	static const double bounds[] = {1};
	static const struct span bound_texts[] = {SPAN("1")};
	static const uint64_t buckets[] = {0, 0};
#define COUNTER(text, number)                         \
	{                                             \
		.labels = SPAN(text), .value = number \
	}
#define HISTOGRAM(text)                                                   \
	{                                                                 \
		.labels = SPAN(text), .bound_count = 1, .bounds = bounds, \
		.bound_texts = bound_texts, .buckets = buckets            \
	}
	/* With one that is what the others come to, and without. */
	static const struct series_view with[] = {
	    COUNTER("", 1),
	    COUNTER("a=\"\"", 2),
	    COUNTER("env=\"prod\"", 3),
	    COUNTER("env=\"q\"", 4),
	    COUNTER("job=\"\\\"x\"", 5),
	    COUNTER("env=\"prod\",job=\"\\\"x\"", 6),
	};
	static const struct series_view without[] = {
	    COUNTER("env=\"prod\"", 1),         COUNTER("job=\"\\\"x\"", 2),
	    COUNTER("a=\"\",b=\"1\"", 3),       COUNTER("b=\"1\",c=\"\"", 4),
	    COUNTER("b=\"1\",env=\"prod\"", 5), COUNTER("b=\"\",env=\"q\"", 6),
	};
	static const struct series_view several[] = {HISTOGRAM("k=\"\""), HISTOGRAM("l=\"\"")};
	static const struct fake_family all[] = {
	    {{SPAN("m"), SPAN(""), METRIC_COUNTER}, with, 6},
	    {{SPAN("n"), SPAN(""), METRIC_COUNTER}, without, 6},
	    {{SPAN("o"), SPAN(""), METRIC_HISTOGRAM}, several, 2},
	};
	struct labels *external = calloc(1, sizeof(*external));
	assert_true(labels_set(external, SPAN("env"), SPAN("prod")));
	assert_true(labels_set(external, SPAN("job"), SPAN("\"x")));
	unsigned frees = 0;
	struct buf text = BUF_INIT;
	struct push_ended *ended = push_ended_new();
	struct reader *reader = fake_reader_new(all, 3, &frees);
	struct push_pass_settings settings = {
	    .external = external, .timestamp_ms = 9, .take = take, .ctx = &text};
	struct push_pass *pass = push_pass_new(&settings, &ended, &reader);
	while (push_pass_step(pass))
		;
	assert_span_equal(buf_span(&text), "[1]\n"
					   "m{env=\"prod\",job=\"\"x\"} 1 @ 9\n"
					   "m{env=\"q\",job=\"\"x\"} 4 @ 9\n"
					   "n{env=\"prod\",job=\"\"x\"} 1 @ 9\n"
					   "n{b=\"1\",env=\"prod\",job=\"\"x\"} 3 @ 9\n"
					   "n{env=\"q\",job=\"\"x\"} 6 @ 9\n"
					   "o_bucket{env=\"prod\",job=\"\"x\",le=\"1\"} 0 @ 9\n"
					   "o_bucket{env=\"prod\",job=\"\"x\",le=\"+Inf\"} 0 @ 9\n"
					   "o_sum{env=\"prod\",job=\"\"x\"} 0 @ 9\n"
					   "o_count{env=\"prod\",job=\"\"x\"} 0 @ 9\n");
	assert_int_equal(push_pass_samples(pass), 9);
	assert_int_equal(push_pass_twin_samples(pass), 4 + 3 + 4);
	push_pass_free(&pass);
	push_ended_free(&ended);
	buf_fini(&text);
	free(external);
}

static void
count_messages(void *ctx, uint64_t group, const struct push_message *message)
{
	size_t *messages = ctx;
	(void)group;
	(void)message;
	++*messages;
}

/* A pass of which only messages are counted. */
static struct push_pass *
begin_counting(const struct fake_family *all, size_t count, unsigned *frees, size_t *messages)
{
	struct push_ended *ended = push_ended_new();
	struct reader *reader = fake_reader_new(all, count, frees);
	struct push_pass_settings settings = {
	    .external = &no_labels, .timestamp_ms = 9, .take = count_messages, .ctx = messages};
	struct push_pass *pass = push_pass_new(&settings, &ended, &reader);
	push_ended_free(&ended);
	return pass;
}

#define MANY 10000

static void
test_pass__goes_in_slices(void **state)
{
	(void)state;
	static struct series_view many[MANY];
	static char labels[MANY][64];
	for (int i = 0; i < MANY; i++) {
		int len = snprintf(labels[i], sizeof(labels[i]), "a=\"%055d\"", i);
		many[i] = (struct series_view){.labels = span_of(labels[i], (size_t)len)};
	}
	const struct fake_family family = {{SPAN("a"), SPAN(""), METRIC_GAUGE}, many, MANY};
	unsigned frees = 0;
	size_t messages = 0, steps = 0;
	struct push_pass *pass = begin_counting(&family, 1, &frees, &messages);
	uint64_t before = 0;
	for (; push_pass_step(pass); steps++) {
		assert_in_range(push_pass_samples(pass) - before, 1,
				PUSH_SLICE_BYTES / sizeof(labels[0]) + 32);
		before = push_pass_samples(pass);
	}
	assert_in_range(steps, 10, 40);
	assert_int_equal(messages, MANY / PUSH_MESSAGE_SAMPLES);
	assert_int_equal(push_pass_samples(pass), MANY);
	push_pass_free(&pass);
}

/* Also where there is nothing to send. */
static void
test_pass__goes_over_empty_families_in_slices(void **state)
{
	(void)state;
	static struct fake_family many[MANY];
	static char names[MANY][64];
	uint64_t bytes = 0;
	for (int i = 0; i < MANY; i++) {
		int len = snprintf(names[i], sizeof(names[i]), "n%055d", i);
		many[i].view =
		    (struct family_view){span_of(names[i], (size_t)len), SPAN(""), METRIC_GAUGE};
		bytes += (size_t)len;
	}
	unsigned frees = 0;
	size_t messages = 0, steps = 0;
	struct push_pass *pass = begin_counting(many, MANY, &frees, &messages);
	while (push_pass_step(pass))
		steps++;
	assert_int_equal(steps, bytes / PUSH_SLICE_BYTES);
	assert_int_equal(messages, 0);
	push_pass_free(&pass);
}

/* Native histograms only where they are sent, and no exemplar of which the pass before has told. */
static void
test_pass__extras(void **state)
{
	(void)state;
	static const struct exemplar_view exemplar = {SPAN("id=\"x\""), 0.5, 5};
	static const struct native_view native;
	static const uint64_t buckets[] = {1};
	static const struct series_view hit = {.labels = SPAN(""), .exemplars = &exemplar};
	static const struct series_view seen = {
	    .labels = SPAN(""), .buckets = buckets, .native = &native};
	static const struct fake_family all[] = {
	    {{SPAN("a_total"), SPAN(""), METRIC_COUNTER}, &hit, 1},
	    {{SPAN("h"), SPAN(""), METRIC_HISTOGRAM}, &seen, 1},
	};
	static const struct {
		int64_t last_ms;
		bool with_native;
		const char *of_counter, *of_histogram;
	} table[] = {
	    {5, true, ", of {id=\"x\"} 0.5 @ 5", "h native 1:0 3:0 4:0 5:0 6:0 15:9\n"},
	    {6, false, "", ""},
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		unsigned frees = 0;
		struct buf text = BUF_INIT, want = BUF_INIT;
		struct push_ended *ended = push_ended_new();
		struct reader *reader = fake_reader_new(all, 2, &frees), *same = reader;
		struct push_pass_settings settings = {.external = &no_labels,
						      .timestamp_ms = 9,
						      .last_ms = table[i].last_ms,
						      .with_native = table[i].with_native,
						      .take = take,
						      .ctx = &text};
		struct push_pass *pass = push_pass_new(&settings, &ended, &reader);
		assert_int_equal(((struct fake_reader *)same)->wants,
				 READER_EXEMPLARS | (table[i].with_native ? READER_NATIVE : 0));
		while (push_pass_step(pass))
			;
		push_pass_free(&pass);
		buf_printf(&want,
			   "[1]\na_total 0 @ 9%s\nh_bucket{le=\"+Inf\"} 1 @ 9\n"
			   "h_sum 0 @ 9\nh_count 0 @ 9\n%s",
			   table[i].of_counter, table[i].of_histogram);
		assert_string_equal(buf_text(&text), buf_text(&want));
		push_ended_free(&ended);
		buf_fini(&text);
		buf_fini(&want);
	}
}

/* They add nothing to a message, but cost a search each. */
static void
check_slices(struct span twin, size_t least, size_t most)
{
	enum { TWINS = 4096 };
	static struct series_view many[1 + TWINS];
	many[0] = lone;
	for (size_t i = 1; i <= TWINS; i++)
		many[i] = (struct series_view){.labels = twin};
	const struct fake_family family = {{SPAN("a"), SPAN(""), METRIC_GAUGE}, many, 1 + TWINS};
	unsigned frees = 0;
	size_t messages = 0, steps = 0;
	struct push_pass *pass = begin_counting(&family, 1, &frees, &messages);
	while (push_pass_step(pass))
		steps++;
	assert_in_range(steps, least, most);
	assert_int_equal(push_pass_samples(pass), 1);
	assert_int_equal(push_pass_twin_samples(pass), TWINS);
	push_pass_free(&pass);
}

static void
test_pass__goes_over_twins_in_slices(void **state)
{
	(void)state;
	struct buf text = BUF_INIT;
	check_slices(SPAN("a=\"\""), 10, 40);
	/* Long ones cost more. */
	for (int i = 0; i < 1000; i++)
		buf_printf(&text, "%sl%04d=\"\"", i ? "," : "", i);
	check_slices(buf_span(&text), 400, 4096);
	buf_fini(&text);
}

static void
test_pass__may_be_left(void **state)
{
	(void)state;
	unsigned frees = 0;
	struct buf text = BUF_INIT;
	struct push_ended *ended = push_ended_new();
	assert_true(push_ended_add(ended, &families[0].view, &lone));
	struct push_pass *pass = begin(&ended, &text, families, 2, &frees);
	push_pass_free(&pass);
	assert_null(pass);
	assert_int_equal(frees, 1);
	push_ended_free(&ended);
	buf_fini(&text);
}

static void
test_next_timestamp(void **state)
{
	(void)state;
	static const struct {
		int64_t last_ms, now_ms, want_ms;
	} table[] = {
	    {100000, 115000, 115000}, {100000, 100002, 100002}, {100000, 100001, 100002},
	    {100000, 100000, 100002}, {100000, 40001, 100002},  {100000, 40000, 40000},
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		assert_int_equal(push_next_timestamp(table[i].last_ms, table[i].now_ms),
				 table[i].want_ms);
}

static void
test_ended__has_a_limit(void **state)
{
	(void)state;
	static char labels[1 << 20];
	struct push_ended *ended = push_ended_new();
	struct series_view series = {.labels = span_of(labels, sizeof(labels))};
	struct family_view family;
	size_t count = 0;
	while (push_ended_add(ended, &families[0].view, &series))
		assert_in_range(++count, 1, PUSH_ENDED_BYTES / sizeof(labels));
	assert_int_equal(count, PUSH_ENDED_BYTES / sizeof(labels) - 1);
	assert_true(push_ended_add(ended, &families[0].view, &lone));
	for (size_t i = 0; i < count; i++) {
		assert_true(push_ended_take(ended, &family, &series));
		assert_int_equal(series.labels.len, sizeof(labels));
	}
	assert_true(push_ended_take(ended, &family, &series));
	assert_int_equal(series.labels.len, 0);
	assert_span_equal(family.name, "a_total");
	assert_false(push_ended_take(ended, &family, &series));
	push_ended_free(&ended);
}

/* What is kept of a series: enough for its markers. */
static void
test_ended__is_taken_as_it_was_added(void **state)
{
	(void)state;
	static const struct native_view native;
	static const struct span texts[] = {SPAN("0.5"), SPAN("0.9")};
	static const struct {
		struct family_view family;
		struct series_view series;
	} table[] = {
	    {{SPAN("a_total"), SPAN(""), METRIC_COUNTER}, {.labels = SPAN("k=\"1\"")}},
	    {{SPAN("g"), SPAN(""), METRIC_GAUGE}, {.labels = SPAN("")}},
	    {{SPAN("h"), SPAN(""), METRIC_HISTOGRAM},
	     {.labels = SPAN("k=\"2\""), .bound_count = 1, .bound_texts = texts}},
	    {{SPAN("n"), SPAN(""), METRIC_HISTOGRAM},
	     {.labels = SPAN("k=\"3\""),
	      .bound_count = 2,
	      .bound_texts = texts,
	      .native = &native}},
	    {{SPAN("s"), SPAN(""), METRIC_SUMMARY},
	     {.labels = SPAN("k=\"4\""), .quantile_count = 2, .quantile_texts = texts}},
	};
	enum { COUNT = sizeof(table) / sizeof(table[0]) };
	struct push_ended *ended = push_ended_new();
	for (size_t i = 0; i < COUNT; i++)
		assert_true(push_ended_add(ended, &table[i].family, &table[i].series));
	for (size_t i = 0; i < COUNT; i++) {
		const struct series_view *was = &table[i].series;
		struct family_view family;
		struct series_view series;
		assert_true(push_ended_take(ended, &family, &series));
		assert_int_equal(family.type, table[i].family.type);
		assert_true(span_equal(family.name, table[i].family.name));
		assert_true(span_equal(series.labels, was->labels));
		assert_int_equal(series.native != NULL, was->native != NULL);
		assert_int_equal(series.bound_count, was->bound_count);
		assert_int_equal(series.quantile_count, was->quantile_count);
		for (size_t t = 0; t < was->bound_count; t++)
			assert_true(span_equal(series.bound_texts[t], texts[t]));
		for (size_t t = 0; t < was->quantile_count; t++)
			assert_true(span_equal(series.quantile_texts[t], texts[t]));
	}
	push_ended_free(&ended);
}

/* Texts, too, which no record shares here with the one before. */
static void
test_ended__texts_are_bounded(void **state)
{
	(void)state;
	char bytes[UINT8_MAX];
	struct push_ended *ended = push_ended_new();
	memset(bytes, 'x', sizeof(bytes));
	const struct span texts[] = {span_of(bytes, sizeof(bytes)), span_of(bytes, sizeof(bytes))};
	struct series_view series = {.labels = SPAN(""), .bound_count = 2, .bound_texts = texts};
	size_t count = 0;
	for (; push_ended_add(ended, &families[0].view, &series); bytes[0] ^= 1)
		assert_in_range(++count, 1, PUSH_ENDED_BYTES / (2 * sizeof(bytes)));
	assert_true(count > PUSH_ENDED_BYTES / 800);
	push_ended_free(&ended);
}

/* A series and its layout may be gone when a receiver is told. */
static void
test_ended__keeps_texts_once(void **state)
{
	(void)state;
	enum { EACH = 30000 };
	static const struct family_view histogram = {SPAN("h"), SPAN(""), METRIC_HISTOGRAM};
	static const struct family_view summary = {SPAN("s"), SPAN(""), METRIC_SUMMARY};
	struct push_ended *ended = push_ended_new();
	for (unsigned i = 0; i < 3 * EACH; i++) {
		/* All the same, but where a record of another layout comes between. */
		char bytes[2][64];
		memset(bytes[0], i < EACH ? '1' : '2', sizeof(bytes[0]));
		memset(bytes[1], '3', sizeof(bytes[1]));
		const struct span texts[] = {span_of(bytes[0], 60), span_of(bytes[1], 60)};
		struct series_view series = {.labels = SPAN("")};
		if (i % 3 == 0) {
			series.bound_count = 2;
			series.bound_texts = texts;
		} else if (i == 1) {
			series.quantile_count = 1;
			series.quantile_texts = texts;
		}
		assert_true(push_ended_add(ended, i == 1 ? &summary : &histogram, &series));
		memset(bytes, 'x', sizeof(bytes));
	}
	struct family_view family;
	struct series_view series;
	for (unsigned i = 0; i < 3 * EACH; i++) {
		assert_true(push_ended_take(ended, &family, &series));
		assert_int_equal(series.bound_count, i % 3 ? 0 : 2);
		assert_int_equal(series.quantile_count, i == 1);
		const struct span *texts = i == 1 ? series.quantile_texts : series.bound_texts;
		for (size_t t = 0; t < series.bound_count + series.quantile_count; t++) {
			assert_int_equal(texts[t].len, 60);
			assert_int_equal(texts[t].ptr[59], t ? '3' : i < EACH ? '1' : '2');
		}
	}
	assert_false(push_ended_take(ended, &family, &series));
	push_ended_free(&ended);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_pass__ended_series_first),
	    cmocka_unit_test(test_pass__leaves_out_twins),
	    cmocka_unit_test(test_pass__goes_in_slices),
	    cmocka_unit_test(test_pass__goes_over_empty_families_in_slices),
	    cmocka_unit_test(test_pass__extras),
	    cmocka_unit_test(test_pass__goes_over_twins_in_slices),
	    cmocka_unit_test(test_pass__may_be_left),
	    cmocka_unit_test(test_next_timestamp),
	    cmocka_unit_test(test_ended__has_a_limit),
	    cmocka_unit_test(test_ended__is_taken_as_it_was_added),
	    cmocka_unit_test(test_ended__texts_are_bounded),
	    cmocka_unit_test(test_ended__keeps_texts_once),
	};
	return cmocka_run_group_tests_name("push/pass", tests, NULL, NULL);
}
