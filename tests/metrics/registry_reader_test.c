#include "fixture.h"
#include "native_total.h"

#include "metrics/label_text.h"

static void
test_reader__empty(void **state)
{
	(void)state;
	struct fixture fixture = fixture_open(1, 10, NULL, 0);
	struct reader *reader = read_all(fixture.registry, 0);
	struct series_view series;
	assert_false(reader_next_series(reader, &series));
	assert_no_family(reader);
	assert_false(reader_next_series(reader, &series));
	reader_free(&reader);
	fixture_close(&fixture);
}

/* ---- Times of birth. ---- */

/* @return the time of the first series of a scrape */
static int64_t
first_created_ms(struct fixture *fixture)
{
	struct reader *reader = read_all(fixture->registry, 0);
	struct family_view family;
	struct series_view series;
	assert_true(reader_next_family(reader, &family));
	assert_true(reader_next_series(reader, &series));
	reader_free(&reader);
	return series.created_ms;
}

/* A series keeps its time of birth however often it is sent, and born anew it has another. */
static void
test_created__as_long_as_it_lives(void **state)
{
	(void)state;
	enum { TTL = 10 * SECOND_US };
	for (enum metric_type type = 0; type < METRIC_TYPES; type++) {
		struct fixture fixture = fixture_open(1, 10, NULL, 0);
		fixture_send(&fixture, type, "a", "k=v", TTL, 1);
		assert_int_equal(first_created_ms(&fixture), FIXTURE_START_MS);
		fixture.tick = 55;
		fixture_send(&fixture, type, "a", "k=v", TTL, 1);
		assert_int_equal(first_created_ms(&fixture), FIXTURE_START_MS);
		fixture_expire_at(&fixture, 100);
		fixture_send(&fixture, type, "a", "k=v", TTL, 1);
		assert_int_equal(first_created_ms(&fixture), FIXTURE_START_MS + 99900);
		fixture_close(&fixture);
	}
}

/* The native part of the only series, which is the only one of its family. */
static void
read_native(struct fixture *fixture, bool wants, struct reader **reader, struct native_view *out)
{
	struct family_view family;
	struct series_view series;
	*reader = read_all(fixture->registry, 0);
	if (wants)
		reader_want(*reader, READER_NATIVE);
	assert_true(reader_next_family(*reader, &family));
	assert_true(reader_next_series(*reader, &series));
	assert_int_equal(series.native != NULL, wants);
	if (wants)
		*out = *series.native;
}

/* ---- Newborn series at zero. ---- */

static const struct total_options three_seconds = {3 * SECOND_US};

/* A birth at the end of its tick is the latest: so long is every series shown at zero at least. */
enum { UNTIL_US = TICK_US + 3 * SECOND_US };

static void
test_zero_first__totals_alone(void **state)
{
	(void)state;
	struct fixture fixture = fixture_open(1, 10, NULL, 0);
	fixture.totals = three_seconds;
	fixture_send(&fixture, METRIC_COUNTER, "c", "k=a", 0, 5);
	fixture_send(&fixture, METRIC_COUNTER, "c", "k=b", 0, 7);
	fixture_send(&fixture, METRIC_GAUGE, "g", "", 0, 5);
	fixture_send(&fixture, METRIC_HISTOGRAM, "h", "", 0, 1.5);
	fixture_send(&fixture, METRIC_SUMMARY, "s", "", 0, 5);
	assert_shown(&fixture, UNTIL_US - 1,
		     "c counter help\n{k=\"a\"} 0\n{k=\"b\"} 0\ng gauge help\n{} 5\n"
		     "h histogram help\n{} sum 0 count 0 1:0 2:0 5:0 +Inf:0\n"
		     "s summary help\n{} sum 5 count 1 0.5:5 0.99:5\n");
	assert_shown(&fixture, UNTIL_US,
		     "c counter help\n{k=\"a\"} 5\n{k=\"b\"} 7\ng gauge help\n{} 5\n"
		     "h histogram help\n{} sum 1.5 count 1 1:0 2:1 5:0 +Inf:0\n"
		     "s summary help\n{} sum 5 count 1 0.5:5 0.99:5\n");
	fixture_close(&fixture);
}

/* Other options than those of its birth change nothing; several may meet in one family. */
static void
test_zero_first__as_it_was_at_birth(void **state)
{
	(void)state;
	struct fixture fixture = fixture_open(2, 10, NULL, 0);
	fixture_send(&fixture, METRIC_COUNTER, "c", "k=a", 0, 1);
	fixture.totals = three_seconds;
	fixture_send(&fixture, METRIC_COUNTER, "c", "k=a", 0, 1);
	fixture_send(&fixture, METRIC_COUNTER, "c", "k=b", 0, 4);
	fixture.totals = (struct total_options){0};
	fixture_send(&fixture, METRIC_COUNTER, "c", "k=b", 0, 4);
	fixture_send(&fixture, METRIC_COUNTER, "c", "k=c", 0, 16);
	assert_shown(&fixture, UNTIL_US - 1,
		     "c counter help\n{k=\"a\"} 2\n{k=\"b\"} 0\n{k=\"c\"} 16\n");
	assert_shown(&fixture, UNTIL_US,
		     "c counter help\n{k=\"a\"} 2\n{k=\"b\"} 8\n{k=\"c\"} 16\n");
	fixture_close(&fixture);
}

static void
test_zero_first__again_when_born_anew(void **state)
{
	(void)state;
	struct fixture fixture = fixture_open(1, 10, NULL, 0);
	fixture.totals = three_seconds;
	fixture_send(&fixture, METRIC_COUNTER, "c", "", 10 * SECOND_US, 5);
	fixture_expire_at(&fixture, 100);
	fixture_send(&fixture, METRIC_COUNTER, "c", "", 10 * SECOND_US, 6);
	assert_shown(&fixture, 103 * SECOND_US - 1, "c counter help\n{} 0\n");
	assert_shown(&fixture, 103 * SECOND_US, "c counter help\n{} 6\n");
	fixture_close(&fixture);
}

static void
test_zero_first__ends_with_the_bridge(void **state)
{
	(void)state;
	struct fixture fixture = fixture_open(1, 10, NULL, 0);
	fixture.totals = three_seconds;
	fixture_send(&fixture, METRIC_COUNTER, "c", "", 0, 5);
	assert_shown(&fixture, 0, "c counter help\n{} 0\n");
	registry_end_zeros(fixture.registry);
	assert_shown(&fixture, 0, "c counter help\n{} 5\n");
	fixture_close(&fixture);
}

static void
test_zero_first__native_histogram(void **state)
{
	(void)state;
	struct fixture fixture = fixture_open(1, 10, NULL, 0);
	struct histogram_options options = {3, fixture_bounds, 1.1, 256};
	fixture.histogram = &options;
	fixture.totals = three_seconds;
	fixture_send(&fixture, METRIC_HISTOGRAM, "h", "", 0, 3);
	struct reader *reader;
	struct native_view native;
	read_native(&fixture, true, &reader, &native);
	assert_int_equal(native.schema, 3);
	assert_int_equal(native.positive.span_count + native.zero_count, 0);
	reader_free(&reader);
	registry_end_zeros(fixture.registry);
	read_native(&fixture, true, &reader, &native);
	assert_int_equal(native.positive.bucket_count, 1);
	reader_free(&reader);
	fixture_close(&fixture);
}

/* ---- Order. ---- */

static void
test_order__fewer_labels_then_values(void **state)
{
	(void)state;
	/* In output order; asked for in others, and with scrapes in between. */
	static const char *const ordered[] = {
	    "",       "a=",      "a=\n",    "a=!",     "a=\"",    "a=#",         "a=1",
	    "a=10",   "b=2",     "a=20",    "a=[",     "a=\\",    "a=\\n",       "a=]",
	    "a=über", "a=1,b=1", "a=1,b=2", "a=1,c=3", "a=2,b=1", "a=1,b=1,c=1",
	};
	enum { COUNT = sizeof(ordered) / sizeof(ordered[0]) };
	for (unsigned step = 1; step < COUNT; step++) {
		for (unsigned scrape_every = 1; scrape_every <= COUNT; scrape_every += 6) {
			struct fixture fixture = fixture_open(1, 100, NULL, 0);
			for (unsigned i = 0; i < COUNT * step; i++) {
				unsigned n = i * step % COUNT;
				fixture_send(&fixture, METRIC_GAUGE, "g", ordered[n], 0, n);
				if (i % scrape_every == 0) {
					struct reader *reader = read_all(fixture.registry, 0);
					reader_free(&reader);
				}
			}
			struct reader *reader = read_all(fixture.registry, 0);
			struct family_view family;
			struct series_view series;
			assert_true(reader_next_family(reader, &family));
			double before = -1;
			while (reader_next_series(reader, &series)) {
				assert_true(series.value > before);
				before = series.value;
			}
			reader_free(&reader);
			fixture_close(&fixture);
		}
	}
}

/* Of the family it is in, and of no other. */
static void
test_has_series__as_it_is_read(void **state)
{
	(void)state;
	static const char *const there[] = {"", "a=", "a=1", "a=\"\n", "b=1", "a=1,b=2"};
	static const char *const absent[] = {"a=2", "c=1", "a=1,b=1", "a=1,c=2", "a=1,b=2,c=3"};
	enum { THERE = sizeof(there) / sizeof(there[0]) };
	struct fixture fixture = fixture_open(1, 100, NULL, 0);
	for (size_t i = 0; i < THERE; i++)
		fixture_send(&fixture, METRIC_COUNTER, "a", there[i], 0, 1);
	for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++)
		fixture_send(&fixture, METRIC_COUNTER, "b", absent[i], 0, 1);
	struct reader *reader = read_all(fixture.registry, 0);
	struct family_view family;
	assert_false(reader_has_series(reader, SPAN("")));
	assert_true(reader_next_family(reader, &family));
	fixture_send(&fixture, METRIC_COUNTER, "a", "a=2", 0, 1);
	struct buf text = BUF_INIT;
	for (size_t i = 0; i < THERE + sizeof(absent) / sizeof(absent[0]); i++) {
		struct labels labels;
		labels_parse(i < THERE ? there[i] : absent[i - THERE], &labels);
		buf_reset(&text);
		label_text_format(&labels, &text);
		assert_int_equal(reader_has_series(reader, buf_span(&text)), i < THERE);
	}
	buf_fini(&text);
	reader_free(&reader);
	fixture_close(&fixture);
}

#define VALUE_ROOM 700

/*
 * A value of a common beginning, sometimes longer than any sorting by parts would go, and of few
 * different bytes, those among them that need care.
 */
static struct span
random_value(unsigned *random, char *room)
{
	static const char bytes[] = {'a', 'b', '"', '\\', '\n', '!', '\0', '\1', '\2', '\xff'};
	size_t len = 0;
	*random = *random * 1664525 + 1013904223;
	static const size_t common[] = {0, 7, 17, 600};
	for (; len < common[*random >> 30]; len++)
		room[len] = 'p';
	for (size_t more = (*random >> 20) % 12; more; more--) {
		*random = *random * 1664525 + 1013904223;
		room[len++] = bytes[(*random >> 16) % sizeof(bytes)];
	}
	return span_of(room, len);
}

static void
add_random_series(struct fixture *fixture, unsigned *random)
{
	static const char *const names[] = {"a", "b", "c"};
	struct labels *labels = xcalloc(1, sizeof(*labels));
	char rooms[3][VALUE_ROOM];
	size_t count = 1 + (*random >> 16) % 3;
	for (size_t i = 0; i < count; i++)
		assert_true(
		    labels_set(labels, span_text(names[i]), random_value(random, rooms[i])));
	struct series_request request = {
	    .name = SPAN("x"), .type = METRIC_COUNTER, .help = SPAN(""), .rules = 1, .tick = 1};
	struct series_ref ref;
	assert_int_equal(
	    find_or_create(fixture->registry, 0, labels, &request, &fixture->text, &ref),
	    REGISTRY_OK);
	free(labels);
}

static size_t
count_labels(struct span text)
{
	struct span name, value;
	size_t count = 0;
	while (label_text_next(&text, &name, &value))
		count++;
	return count;
}

/* In runs of many sizes: what is born together is sorted, and merged with what was there. */
static void
test_order__random_values(void **state)
{
	(void)state;
	enum { COUNT = 3000 };
	for (unsigned run = 1; run <= COUNT; run = run * 3 + 1) {
		struct fixture fixture = fixture_open(1, COUNT, NULL, 0);
		unsigned random = run;
		struct reader *reader = NULL;
		for (unsigned i = 1; i <= COUNT; i++) {
			add_random_series(&fixture, &random);
			if (i % run && i != COUNT)
				continue;
			reader_free(&reader);
			reader = read_all(fixture.registry, 0);
		}
		struct family_view family;
		struct series_view before = {.labels = SPAN("")}, series;
		size_t count = 0;
		assert_true(reader_next_family(reader, &family));
		for (; reader_next_series(reader, &series); count++, before = series) {
			size_t labels_before = count_labels(before.labels);
			size_t labels = count_labels(series.labels);
			assert_true(labels_before <= labels);
			assert_true(labels_before < labels ||
				    label_text_compare_values(before.labels, series.labels) < 0);
		}
		assert_int_equal(count, registry_series_count(fixture.registry, METRIC_COUNTER));
		assert_true(count > COUNT / 2);
		reader_free(&reader);
		fixture_close(&fixture);
	}
}

static void
test_order__families_bytewise(void **state)
{
	(void)state;
	struct fixture fixture = fixture_open(1, 100, NULL, 0);
	static const char *const names[] = {"b", "a_", "B", "a", "aa", "_", ":", "a:b", "ab"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		fixture_send(&fixture, METRIC_GAUGE, names[i], "", 0, 1);
	struct reader *reader = read_all(fixture.registry, 0);
	static const char *const ordered[] = {":", "B", "_", "a", "a:b", "a_", "aa", "ab", "b"};
	for (size_t i = 0; i < sizeof(ordered) / sizeof(ordered[0]); i++)
		assert_next_family(reader, ordered[i], "{} 1\n");
	assert_no_family(reader);
	reader_free(&reader);
	fixture_close(&fixture);
}

/* ---- Batches. ---- */

/* Whatever the size of the batches, all are shown once and in order, and the dead are left out. */
static void
test_batches__any_size(void **state)
{
	(void)state;
	enum { COUNT = 70, LAST_DEAD = 20 };
	for (size_t size = 1; size <= COUNT + 1; size++) {
		struct fixture fixture = fixture_open(2, COUNT, NULL, 0);
		for (unsigned i = 0; i < COUNT; i++) {
			char label[] = {'a', '=', (char)('0' + i), 0};
			fixture_send(&fixture, METRIC_COUNTER, "x", label,
				     i <= LAST_DEAD ? SECOND_US : 0, i);
		}
		struct reader *reader = read_all(fixture.registry, 0);
		struct family_view family;
		assert_true(reader_next_family(reader, &family));
		fixture_expire_at(&fixture, 5);
		struct series_view views[COUNT + 1];
		unsigned next = LAST_DEAD + 1;
		for (size_t count; (count = reader_next_batch(reader, views, size));) {
			assert_true(count <= size);
			for (size_t i = 0; i < count; i++)
				assert_true(views[i].value == next++);
		}
		assert_int_equal(next, COUNT);
		assert_int_equal(reader_next_batch(reader, views, size), 0);
		reader_free(&reader);
		fixture_close(&fixture);
	}
}

/* What a view of a histogram shows is the reader's, until it moves on: one at a time. */
static void
test_batches__histograms_come_alone(void **state)
{
	(void)state;
	struct fixture fixture = fixture_open(1, 10, NULL, 0);
	fixture_send(&fixture, METRIC_HISTOGRAM, "h", "a=1", 0, 1);
	fixture_send(&fixture, METRIC_HISTOGRAM, "h", "a=2", 0, 3);
	struct reader *reader = read_all(fixture.registry, 0);
	struct family_view family;
	assert_true(reader_next_family(reader, &family));
	struct series_view views[4];
	for (unsigned i = 1; i <= 2; i++) {
		assert_int_equal(reader_next_batch(reader, views, 4), 1);
		assert_true(views[0].sum == 2 * i - 1);
		assert_int_equal(views[0].count, 1);
		assert_int_equal(views[0].quantile_count, 0);
	}
	assert_int_equal(reader_next_batch(reader, views, 4), 0);
	reader_free(&reader);
	fixture_close(&fixture);
}

/* ---- Values. ---- */

static void
test_values__sum_of_all_threads(void **state)
{
	(void)state;
	struct fixture fixture = fixture_open(3, 10, NULL, 0);
	static const char *const names[] = {"a", "b", "c", "d"};
	for (enum metric_type type = 0; type < METRIC_TYPES; type++) {
		for (unsigned t = 0; t < 3; t++) {
			struct series_ref ref;
			assert_int_equal(fixture_ask(&fixture, t, type, names[type], "", 0, &ref),
					 REGISTRY_OK);
			fixture_apply(&fixture, t, ref, t + 1, 0);
		}
	}
	assert_shown(&fixture, 0,
		     "a counter help\n{} 6\n"
		     "b gauge help\n{} 3\n"
		     "c histogram help\n{} sum 6 count 3 1:1 2:1 5:1 +Inf:0\n"
		     "d summary help\n{} sum 6 count 3 0.5:2 0.99:3\n");
	fixture_close(&fixture);
}

static void
test_values__sums_of_shards_stay_finite(void **state)
{
	(void)state;
	struct fixture fixture = fixture_open(2, 10, NULL, 0);
	static const char *const names[] = {"a", "b", "c", "d"};
	for (enum metric_type type = 0; type < METRIC_TYPES; type++) {
		for (unsigned t = 0; t < 2; t++) {
			struct series_ref ref;
			assert_int_equal(fixture_ask(&fixture, t, type, names[type], "", 0, &ref),
					 REGISTRY_OK);
			fixture_apply(&fixture, t, ref, DBL_MAX, 0);
		}
	}
	struct reader *reader = read_all(fixture.registry, 0);
	struct family_view family;
	struct series_view series;
	while (reader_next_family(reader, &family)) {
		assert_true(reader_next_series(reader, &series));
		bool is_one_number = family.type == METRIC_COUNTER || family.type == METRIC_GAUGE;
		assert_true((is_one_number ? series.value : series.sum) == DBL_MAX);
	}
	reader_free(&reader);
	fixture_close(&fixture);
}

static void
test_values__native_histogram_of_all_threads(void **state)
{
	(void)state;
	struct fixture fixture = fixture_open(2, 10, NULL, 0);
	struct histogram_options options = {3, fixture_bounds, 1.1, 2};
	fixture.histogram = &options;
	struct series_ref refs[2];
	for (unsigned t = 0; t < 2; t++)
		assert_int_equal(fixture_ask(&fixture, t, METRIC_HISTOGRAM, "h", "", 0, &refs[t]),
				 REGISTRY_OK);
	struct reader *reader;
	struct native_view native;
	read_native(&fixture, true, &reader, &native); /* born, and nothing observed */
	assert_int_equal(native.schema, 3);
	assert_int_equal(native.positive.span_count + native.negative.span_count, 0);
	reader_free(&reader);
	fixture_apply(&fixture, 0, refs[0], 1, 0);
	fixture_apply(&fixture, 1, refs[1], 1, 0);
	fixture_apply(&fixture, 1, refs[1], 0, 0);
	fixture_apply(&fixture, 1, refs[1], -4, 0);
	read_native(&fixture, true, &reader, &native);
	assert_int_equal(native.schema, 3);
	assert_int_equal(native.zero_count, 1);
	assert_int_equal(native.positive.bucket_count, 1);
	assert_int_equal(native.positive.buckets[0], 2);
	assert_int_equal(native.negative.spans[0].offset, 16);
	reader_free(&reader);
	/* Few enough on each thread, too many together. */
	fixture_apply(&fixture, 0, refs[0], 2, 0);
	read_native(&fixture, true, &reader, &native);
	assert_int_equal(native.schema, -4);
	reader_free(&reader);
	read_native(&fixture, false, &reader, &native);
	reader_free(&reader);
	fixture_close(&fixture);
}

/* Memory of native histograms of a thread is used up, or free again. */
static void
set_native_full(struct fixture *fixture, unsigned thread, bool is_full)
{
	atomic_store(&registry_shard(fixture->registry, thread)->native_bytes,
		     is_full ? SHARD_NATIVE_BYTES_MAX : 0);
}

/* What lacks values is not shown from then on, whichever thread left them out and whatever room
 * there is later; the classic histogram is the truth. */
static void
test_values__native_histogram_without_memory(void **state)
{
	(void)state;
	struct fixture fixture = fixture_open(2, 10, NULL, 0);
	struct histogram_options options = {3, fixture_bounds, 1.1, 256};
	fixture.histogram = &options;
	struct series_ref refs[2];
	for (unsigned t = 0; t < 2; t++)
		assert_int_equal(
		    fixture_ask(&fixture, t, METRIC_HISTOGRAM, "h", "", SECOND_US, &refs[t]),
		    REGISTRY_OK);
	fixture_apply(&fixture, 0, refs[0], 3, 0);
	set_native_full(&fixture, 0, true);
	fixture_apply(&fixture, 0, refs[0], 3, 0);
	fixture_apply(&fixture, 1, refs[1], 3, 0);
	struct reader *reader;
	struct native_view native;
	read_native(&fixture, true, &reader, &native);
	assert_int_equal(native_total(&native), 3);
	reader_free(&reader);
	fixture_apply(&fixture, 0, refs[0], -4, 0); /* none of those that the cell has counters for */
	read_native(&fixture, false, &reader, &native);
	reader_free(&reader);
	set_native_full(&fixture, 0, false);
	fixture_apply(&fixture, 0, refs[0], 3, 0);
	fixture_apply(&fixture, 1, refs[1], 4, 0);
	read_native(&fixture, false, &reader, &native);
	reader_free(&reader);
	assert_shown(&fixture, 0, "h histogram help\n{} sum 12 count 6 1:1 2:0 5:5 +Inf:0\n");
	/* One born later, under the same name, begins anew. */
	fixture_expire_at(&fixture, 5);
	fixture_send(&fixture, METRIC_HISTOGRAM, "h", "", SECOND_US, 3);
	read_native(&fixture, true, &reader, &native);
	assert_int_equal(native_total(&native), 1);
	reader_free(&reader);
	fixture_close(&fixture);
}

/* Or its first values would be none that a classic histogram has grown by. */
static void
test_zero_first__no_native_histogram_without_memory(void **state)
{
	(void)state;
	struct fixture fixture = fixture_open(1, 10, NULL, 0);
	struct histogram_options options = {3, fixture_bounds, 1.1, 256};
	fixture.histogram = &options;
	fixture.totals = three_seconds;
	set_native_full(&fixture, 0, true);
	/* Negative ones need memory outside of the cell. */
	fixture_send(&fixture, METRIC_HISTOGRAM, "h", "", 0, -3);
	struct reader *reader;
	struct native_view native;
	assert_shown(&fixture, 0, "h histogram help\n{} sum 0 count 0 1:0 2:0 5:0 +Inf:0\n");
	read_native(&fixture, false, &reader, &native);
	reader_free(&reader);
	registry_end_zeros(fixture.registry);
	read_native(&fixture, false, &reader, &native);
	reader_free(&reader);
	fixture_close(&fixture);
}

static void
test_values__native_options_hold_from_birth_on(void **state)
{
	(void)state;
	struct fixture fixture = fixture_open(1, 10, NULL, 0);
	struct histogram_options options = {3, fixture_bounds, 1.1, 256};
	fixture.histogram = &options;
	fixture_send(&fixture, METRIC_HISTOGRAM, "h", "", SECOND_US, 3);
	fixture.rules++;
	options.native_bucket_factor = 2;
	struct reader *reader;
	struct native_view native;
	fixture_send(&fixture, METRIC_HISTOGRAM, "h", "", SECOND_US, 3);
	read_native(&fixture, true, &reader, &native);
	assert_int_equal(native.schema, 3);
	reader_free(&reader);
	fixture_expire_at(&fixture, 5);
	fixture_send(&fixture, METRIC_HISTOGRAM, "h", "", SECOND_US, 3);
	read_native(&fixture, true, &reader, &native);
	assert_int_equal(native.schema, 0);
	reader_free(&reader);
	fixture_close(&fixture);
}

static void
test_values__gauges_as_sent(void **state)
{
	(void)state;
	struct fixture fixture = fixture_open(2, 10, NULL, 0);
	fixture_send(&fixture, METRIC_GAUGE, "a", "", 0, INFINITY);
	fixture_send(&fixture, METRIC_GAUGE, "b", "", 0, -INFINITY);
	fixture_send(&fixture, METRIC_GAUGE, "c", "", 0, NAN);
	fixture_send(&fixture, METRIC_GAUGE, "d", "", 0, -DBL_MAX);
	assert_shown(&fixture, 0,
		     "a gauge help\n{} inf\nb gauge help\n{} -inf\n"
		     "c gauge help\n{} nan\nd gauge help\n{} -1.79769e+308\n");
	fixture_close(&fixture);
}

static void
test_values__window_of_a_summary(void **state)
{
	(void)state;
	/* Five slots of two seconds. */
	struct fixture fixture = fixture_open(2, 10, NULL, 0);
	struct series_ref ref = fixture_send(&fixture, METRIC_SUMMARY, "s", "", 0, 10);
	fixture_apply(&fixture, 0, ref, 20, 4 * SECOND_US);
	static const struct {
		int64_t now_us;
		const char *want;
	} cases[] = {
	    {0, "s summary help\n{} sum 30 count 2 0.5:10 0.99:20\n"},
	    {9999999, "s summary help\n{} sum 30 count 2 0.5:10 0.99:20\n"},
	    {10000000, "s summary help\n{} sum 30 count 2 0.5:20 0.99:20\n"},
	    {13999999, "s summary help\n{} sum 30 count 2 0.5:20 0.99:20\n"},
	    {14000000, "s summary help\n{} sum 30 count 2 0.5:nan 0.99:nan\n"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_shown(&fixture, cases[i].now_us, cases[i].want);
	/* Whether the owner has rotated makes no difference. */
	shard_rotate(registry_shard(fixture.registry, 0), 10000000, 1000);
	registry_free_retired(fixture.registry);
	assert_shown(&fixture, 10000000, cases[2].want);
	/* An old slot is used again. */
	fixture_apply(&fixture, 0, ref, 5, 14 * SECOND_US);
	assert_shown(&fixture, 14 * SECOND_US, "s summary help\n{} sum 35 count 3 0.5:5 0.99:5\n");
	registry_free_retired(fixture.registry);
	fixture_close(&fixture);
}

/* Beyond 500 observations the order matters: slots are read from the oldest to the newest. */
static void
test_values__slots_in_the_order_of_time(void **state)
{
	(void)state;
	double values[2];
	for (unsigned shift = 0; shift < 2; shift++) {
		struct fixture fixture = fixture_open(1, 10, NULL, 0);
		int64_t start = shift * 3 * 2 * SECOND_US;
		struct series_ref ref;
		assert_int_equal(fixture_ask(&fixture, 0, METRIC_SUMMARY, "s", "", 0, &ref),
				 REGISTRY_OK);
		for (unsigned i = 0; i < 1500; i++)
			fixture_apply(&fixture, 0, ref, (i * 7919) % 1500 + (i >= 750 ? 5000 : 0),
				      start + i / 300 * 2 * SECOND_US);
		struct reader *reader =
		    read_all(fixture.registry, start + 9 * SECOND_US);
		struct family_view family;
		struct series_view series;
		assert_true(reader_next_family(reader, &family));
		assert_true(reader_next_series(reader, &series));
		values[shift] = series.quantile_values[0];
		reader_free(&reader);
		fixture_close(&fixture);
	}
	assert_true(values[0] == values[1]);
}

/* ---- Births while somebody reads. ---- */

static void
test_births__between_scrapes_and_during_one(void **state)
{
	(void)state;
	struct fixture fixture = fixture_open(1, 100, NULL, 0);
	fixture_send(&fixture, METRIC_GAUGE, "b", "a=2", 0, 2);
	fixture_send(&fixture, METRIC_GAUGE, "d", "", 0, 4);
	struct reader *reader = read_all(fixture.registry, 0);
	struct family_view family;
	struct series_view series;
	assert_true(reader_next_family(reader, &family));
	/* Into the family it is in, before and behind; and into others. */
	fixture_send(&fixture, METRIC_GAUGE, "b", "a=1", 0, 1);
	fixture_send(&fixture, METRIC_GAUGE, "b", "a=3", 0, 3);
	fixture_send(&fixture, METRIC_GAUGE, "a", "", 0, 0);
	fixture_send(&fixture, METRIC_GAUGE, "c", "", 0, 3);
	fixture_send(&fixture, METRIC_GAUGE, "d", "a=1", 0, 5);
	/* Another reader merges them. */
	assert_shown(&fixture, 0,
		     "a gauge help\n{} 0\nb gauge help\n{a=\"1\"} 1\n{a=\"2\"} 2\n{a=\"3\"} 3\n"
		     "c gauge help\n{} 3\nd gauge help\n{} 4\n{a=\"1\"} 5\n");
	assert_true(reader_next_series(reader, &series));
	assert_true(series.value == 2);
	assert_false(reader_next_series(reader, &series));
	assert_next_family(reader, "c", "{} 3\n");
	assert_next_family(reader, "d", "{} 4\n{a=\"1\"} 5\n");
	assert_no_family(reader);
	reader_free(&reader);
	fixture_close(&fixture);
}

/* ---- Deaths while somebody reads. ---- */

static void
test_deaths__in_the_family_it_is_in(void **state)
{
	(void)state;
	struct fixture fixture = fixture_open(1, 100, NULL, 0);
	fixture_send(&fixture, METRIC_GAUGE, "g", "a=1", 0, 1);
	struct series_ref ref = fixture_send(&fixture, METRIC_GAUGE, "g", "a=2", SECOND_US, 2);
	fixture_send(&fixture, METRIC_GAUGE, "g", "a=3", SECOND_US, 3);
	fixture_send(&fixture, METRIC_GAUGE, "g", "a=4", 0, 4);
	struct reader *reader = read_all(fixture.registry, 0);
	struct family_view family;
	struct series_view series;
	assert_true(reader_next_family(reader, &family));
	assert_true(reader_next_series(reader, &series));
	fixture_expire_at(&fixture, 5);
	assert_span_equal(series.labels, "a=\"1\"");
	/* Their ids stay in use as long as the reader is in the family. */
	struct series_ref other = fixture_send(&fixture, METRIC_GAUGE, "other", "", SECOND_US, 9);
	assert_int_not_equal(other.id, ref.id);
	assert_true(reader_next_series(reader, &series));
	assert_true(series.value == 4);
	assert_false(reader_next_series(reader, &series));
	struct reader *second = read_all(fixture.registry, 0);
	assert_next_family(second, "g", "{a=\"1\"} 1\n{a=\"4\"} 4\n");
	reader_free(&second);
	assert_next_family(reader, "other", "{} 9\n");
	fixture_expire_at(&fixture, 5);
	other = fixture_send(&fixture, METRIC_GAUGE, "more", "", 0, 9);
	struct series_ref another = fixture_send(&fixture, METRIC_GAUGE, "more", "a=1", 0, 9);
	assert_true(other.id == ref.id || another.id == ref.id);
	reader_free(&reader);
	fixture_close(&fixture);
}

static void
test_deaths__all_of_the_family_it_is_in(void **state)
{
	(void)state;
	struct fixture fixture = fixture_open(1, 100, NULL, 0);
	fixture_send(&fixture, METRIC_SUMMARY, "a", "", 0, 1);
	fixture_send(&fixture, METRIC_SUMMARY, "b", "x=1", SECOND_US, 1);
	fixture_send(&fixture, METRIC_SUMMARY, "b", "x=2", SECOND_US, 2);
	fixture_send(&fixture, METRIC_SUMMARY, "c", "", 0, 3);
	struct reader *reader = read_all(fixture.registry, 0);
	struct family_view family;
	struct series_view series;
	assert_true(reader_next_family(reader, &family));
	assert_true(reader_next_family(reader, &family));
	assert_true(reader_next_series(reader, &series));
	fixture_expire_at(&fixture, 5);
	assert_span_equal(family.name, "b");
	assert_false(reader_next_series(reader, &series));
	/* The name comes back as another type while the reader is in what it was. */
	fixture.help = "new";
	fixture_send(&fixture, METRIC_COUNTER, "b", "", 0, 7);
	assert_shown(&fixture, 0,
		     "a summary help\n{} sum 1 count 1 0.5:1 0.99:1\nb counter new\n{} 7\n"
		     "c summary help\n{} sum 3 count 1 0.5:3 0.99:3\n");
	assert_span_equal(family.name, "b");
	assert_next_family(reader, "c", "{} sum 3 count 1 0.5:3 0.99:3\n");
	assert_no_family(reader);
	reader_free(&reader);
	fixture_close(&fixture);
}

static void
test_deaths__last_family_of_all(void **state)
{
	(void)state;
	struct fixture fixture = fixture_open(1, 100, NULL, 0);
	fixture_send(&fixture, METRIC_GAUGE, "a", "", SECOND_US, 1);
	struct reader *reader = read_all(fixture.registry, 0);
	struct family_view family;
	assert_true(reader_next_family(reader, &family));
	fixture_expire_at(&fixture, 5);
	assert_no_family(reader);
	assert_no_family(reader);
	reader_free(&reader);
	fixture_close(&fixture);
}

static void
test_deaths__families_ahead_and_behind(void **state)
{
	(void)state;
	struct fixture fixture = fixture_open(1, 100, NULL, 0);
	static const char *const names[] = {"a", "b", "c", "d", "e"};
	for (unsigned i = 0; i < 5; i++)
		fixture_send(&fixture, METRIC_GAUGE, names[i], "", i % 2 ? 0 : SECOND_US, i);
	struct reader *reader = read_all(fixture.registry, 0);
	assert_next_family(reader, "a", "{} 0\n");
	assert_next_family(reader, "b", "{} 1\n");
	fixture_expire_at(&fixture, 5);
	assert_next_family(reader, "d", "{} 3\n");
	assert_no_family(reader);
	reader_free(&reader);
	fixture_close(&fixture);
}

static void
test_deaths__several_readers(void **state)
{
	(void)state;
	struct fixture fixture = fixture_open(1, 100, NULL, 0);
	fixture_send(&fixture, METRIC_COUNTER, "x", "a=1", SECOND_US, 1);
	fixture_send(&fixture, METRIC_COUNTER, "x", "a=2", 0, 2);
	struct reader *readers[4];
	struct family_view family;
	struct series_view series;
	for (unsigned i = 0; i < 4; i++) {
		readers[i] = read_all(fixture.registry, 0);
		assert_true(reader_next_family(readers[i], &family));
		if (i == 0)
			assert_true(reader_next_series(readers[i], &series));
		if (i == 1)
			fixture_send(&fixture, METRIC_COUNTER, "x", "a=0", 0, 0);
		if (i == 2)
			fixture_expire_at(&fixture, 5);
	}
	static const char *const rest[] = {"{a=\"2\"} 2\n", "{a=\"2\"} 2\n",
					   "{a=\"0\"} 0\n{a=\"2\"} 2\n",
					   "{a=\"0\"} 0\n{a=\"2\"} 2\n"};
	for (unsigned i = 0; i < 4; i++) {
		struct buf shown = BUF_INIT;
		show_family(readers[i], METRIC_COUNTER, &shown);
		assert_string_equal(buf_text(&shown), rest[i]);
		buf_fini(&shown);
		reader_free(&readers[i]);
	}
	fixture_close(&fixture);
}

/* The limit holds for what readers keep alive, too; and it is lifted when they leave. */
static void
test_deaths__kept_records_count_for_the_limit(void **state)
{
	(void)state;
	struct fixture fixture = fixture_open(1, 5, NULL, 0);
	for (unsigned i = 0; i < 5; i++) {
		char label[] = {'a', '=', (char)('0' + i), 0};
		fixture_send(&fixture, METRIC_COUNTER, "x", label, SECOND_US, 1);
	}
	struct reader *reader = read_all(fixture.registry, 0);
	struct family_view family;
	assert_true(reader_next_family(reader, &family));
	fixture_expire_at(&fixture, 5);
	assert_int_equal(registry_series_count(fixture.registry, METRIC_COUNTER), 0);
	for (unsigned i = 0; i < 20; i++) {
		char name[] = {(char)('a' + i), 0};
		assert_int_equal(fixture_ask(&fixture, 0, METRIC_COUNTER, name, "", 0, NULL),
				 REGISTRY_LIMIT);
	}
	uint64_t frees = registry_frees(fixture.registry);
	reader_free(&reader);
	fixture_expire_at(&fixture, 5);
	/* Refusals that were remembered are void. */
	assert_true(registry_frees(fixture.registry) > frees);
	for (unsigned i = 0; i < 5; i++) {
		char name[] = {(char)('a' + i), 0};
		fixture_send(&fixture, METRIC_COUNTER, name, "", 0, 1);
	}
	assert_int_equal(fixture_ask(&fixture, 0, METRIC_COUNTER, "z", "", 0, NULL),
			 REGISTRY_LIMIT);
	fixture_close(&fixture);
}

static void
test_reader__series_of_a_dying_batch_are_shown(void **state)
{
	(void)state;
	struct fixture fixture = fixture_open(1, 5, NULL, 0);
	fixture_send(&fixture, METRIC_COUNTER, "x", "", SECOND_US, 1);
	grace_begin(fixture.grace, 0);
	struct reader *reader = read_all(fixture.registry, 0);
	assert_true(registry_expire(fixture.registry, 50));
	assert_next_family(reader, "x", "{} 1\n");
	grace_end(fixture.grace, 0);
	reader_free(&reader);
	fixture_close(&fixture);
}

/* ---- Exemplars. ---- */

static void
put_exemplar(struct fixture *fixture, unsigned thread, struct series_ref ref, size_t number,
	     const char *labels, int64_t time_ms)
{
	const struct exemplar_view exemplar = {span_text(labels), 1, time_ms};
	shard_put_exemplar(registry_shard(fixture->registry, thread),
			   fixture_cell(fixture, thread, ref), ref.layout, number, &exemplar);
}

/* Appends "labels@time " of all exemplars, a line a series. */
static void
show_exemplars(struct fixture *fixture, unsigned extras, struct buf *out)
{
	struct reader *reader = read_all(fixture->registry, 0);
	struct family_view family;
	struct series_view series;
	reader_want(reader, extras);
	while (reader_next_family(reader, &family)) {
		while (reader_next_series(reader, &series)) {
			bool is_histogram = family.type == METRIC_HISTOGRAM;
			for (size_t i = 0; i <= (is_histogram ? series.bound_count : 0); i++) {
				if (series.exemplars && series.exemplars[i].labels.len)
					buf_printf(out, "%zu:%.*s@%lld ", i,
						   SPAN_ARGS(series.exemplars[i].labels),
						   (long long)series.exemplars[i].time_ms);
			}
			buf_add_byte(out, '\n');
		}
	}
	reader_free(&reader);
}

#define assert_exemplars(fixture, extras, want)               \
	do {                                                  \
		struct buf shown_ = BUF_INIT;                 \
		show_exemplars(fixture, extras, &shown_);     \
		assert_string_equal(buf_text(&shown_), want); \
		buf_fini(&shown_);                            \
	} while (0)

static void
test_exemplars__newest_of_all_threads(void **state)
{
	(void)state;
	struct fixture fixture = fixture_open(2, 10, NULL, 0);
	struct series_ref counters[2], histograms[2];
	fixture.totals.keeps_exemplars = true;
	for (unsigned t = 0; t < 2; t++) {
		assert_int_equal(
		    fixture_ask(&fixture, t, METRIC_COUNTER, "c", "k=a", 0, &counters[t]),
		    REGISTRY_OK);
		assert_int_equal(
		    fixture_ask(&fixture, t, METRIC_HISTOGRAM, "h", "", 0, &histograms[t]),
		    REGISTRY_OK);
	}
	fixture_send(&fixture, METRIC_COUNTER, "c", "k=b", 0, 1);
	fixture.totals.keeps_exemplars = false;
	fixture_send(&fixture, METRIC_COUNTER, "c", "k=c", 0, 1);
	assert_exemplars(&fixture, READER_EXEMPLARS, "\n\n\n\n");
	put_exemplar(&fixture, 0, counters[0], 0, "t=\"1\"", 20);
	put_exemplar(&fixture, 1, counters[1], 0, "t=\"2\"", 10);
	put_exemplar(&fixture, 0, histograms[0], 1, "t=\"3\"", 10);
	put_exemplar(&fixture, 1, histograms[1], 1, "t=\"4\"", 11);
	put_exemplar(&fixture, 1, histograms[1], 3, "t=\"5\"", 5);
	assert_exemplars(&fixture, READER_EXEMPLARS,
			 "0:t=\"1\"@20 \n\n\n1:t=\"4\"@11 3:t=\"5\"@5 \n");
	assert_exemplars(&fixture, READER_NATIVE, "\n\n\n\n");
	fixture_close(&fixture);
}

/* A number that is shown as 0 has no example of what it counts. */
static void
test_exemplars__none_at_zero(void **state)
{
	(void)state;
	struct fixture fixture = fixture_open(1, 10, NULL, 0);
	fixture.totals = (struct total_options){3 * SECOND_US, true};
	struct series_ref counter = fixture_send(&fixture, METRIC_COUNTER, "c", "", 0, 1);
	struct series_ref histogram = fixture_send(&fixture, METRIC_HISTOGRAM, "h", "", 0, 3);
	put_exemplar(&fixture, 0, counter, 0, "t=\"1\"", 20);
	put_exemplar(&fixture, 0, histogram, 2, "t=\"2\"", 20);
	assert_shown(&fixture, 0,
		     "c counter help\n{} 0\n"
		     "h histogram help\n{} sum 0 count 0 1:0 2:0 5:0 +Inf:0\n");
	assert_exemplars(&fixture, READER_EXEMPLARS, "\n\n");
	registry_end_zeros(fixture.registry);
	assert_shown(&fixture, 0,
		     "c counter help\n{} 1\n"
		     "h histogram help\n{} sum 3 count 1 1:0 2:0 5:1 +Inf:0\n");
	assert_exemplars(&fixture, READER_EXEMPLARS, "0:t=\"1\"@20 \n2:t=\"2\"@20 \n");
	fixture_close(&fixture);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_reader__empty),
	    cmocka_unit_test(test_created__as_long_as_it_lives),
	    cmocka_unit_test(test_zero_first__totals_alone),
	    cmocka_unit_test(test_zero_first__as_it_was_at_birth),
	    cmocka_unit_test(test_zero_first__again_when_born_anew),
	    cmocka_unit_test(test_zero_first__ends_with_the_bridge),
	    cmocka_unit_test(test_zero_first__native_histogram),
	    cmocka_unit_test(test_zero_first__no_native_histogram_without_memory),
	    cmocka_unit_test(test_order__fewer_labels_then_values),
	    cmocka_unit_test(test_has_series__as_it_is_read),
	    cmocka_unit_test(test_order__random_values),
	    cmocka_unit_test(test_order__families_bytewise),
	    cmocka_unit_test(test_batches__any_size),
	    cmocka_unit_test(test_batches__histograms_come_alone),
	    cmocka_unit_test(test_values__sum_of_all_threads),
	    cmocka_unit_test(test_values__sums_of_shards_stay_finite),
	    cmocka_unit_test(test_values__native_histogram_of_all_threads),
	    cmocka_unit_test(test_values__native_histogram_without_memory),
	    cmocka_unit_test(test_values__native_options_hold_from_birth_on),
	    cmocka_unit_test(test_values__gauges_as_sent),
	    cmocka_unit_test(test_values__window_of_a_summary),
	    cmocka_unit_test(test_values__slots_in_the_order_of_time),
	    cmocka_unit_test(test_births__between_scrapes_and_during_one),
	    cmocka_unit_test(test_deaths__in_the_family_it_is_in),
	    cmocka_unit_test(test_deaths__all_of_the_family_it_is_in),
	    cmocka_unit_test(test_deaths__last_family_of_all),
	    cmocka_unit_test(test_deaths__families_ahead_and_behind),
	    cmocka_unit_test(test_deaths__several_readers),
	    cmocka_unit_test(test_deaths__kept_records_count_for_the_limit),
	    cmocka_unit_test(test_reader__series_of_a_dying_batch_are_shown),
	    cmocka_unit_test(test_exemplars__newest_of_all_threads),
	    cmocka_unit_test(test_exemplars__none_at_zero),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
