#include "fixture.h"

#include "metrics/registry_private.h"

#include <stdio.h>

/* ---- When. ---- */

static void
test_expire__between_ttl_and_a_second_more(void **state)
{
	(void)state;
	static const int64_t ttls_us[] = {1,         100000,           500000,
					  SECOND_US, 1500000,          3 * SECOND_US,
					  59900000,  4096 * SECOND_US, 5000 * SECOND_US};
	for (size_t i = 0; i < sizeof(ttls_us) / sizeof(ttls_us[0]); i++) {
		for (uint32_t last = 1; last <= 21; last++) {
			struct fixture fixture = fixture_open(1, 10, NULL, 0);
			fixture.tick = last;
			fixture_send(&fixture, METRIC_COUNTER, "c", "", ttls_us[i], 1);
			uint32_t tick = last;
			while (registry_series_count(fixture.registry, METRIC_COUNTER)) {
				int64_t age_us = (int64_t)(tick - last) * TICK_US;
				assert_true(age_us <= ttls_us[i] + SECOND_US);
				tick++;
				while (registry_expire(fixture.registry, tick))
					;
			}
			assert_true((int64_t)(tick - last) * TICK_US > ttls_us[i]);
			fixture_close(&fixture);
		}
	}
}

static void
test_expire__zero_is_never(void **state)
{
	(void)state;
	struct fixture fixture = fixture_open(1, 10, NULL, 0);
	fixture_send(&fixture, METRIC_COUNTER, "c", "", 0, 1);
	for (uint32_t s = 1; s < 20000; s += 37)
		fixture_expire_at(&fixture, s);
	assert_int_equal(registry_series_count(fixture.registry, METRIC_COUNTER), 1);
	assert_int_equal(registry_frees(fixture.registry), 0);
	fixture_close(&fixture);
}

static void
test_expire__samples_on_the_fast_path_keep_alive(void **state)
{
	(void)state;
	struct fixture fixture = fixture_open(1, 10, NULL, 0);
	struct series_ref ref = fixture_send(&fixture, METRIC_COUNTER, "c", "", 2 * SECOND_US, 1);
	for (uint32_t s = 1; s < 50; s++) {
		fixture_expire_at(&fixture, s);
		fixture_apply(&fixture, 0, ref, 1, 0);
	}
	assert_shown(&fixture, 0, "c counter help\n{} 50\n");
	fixture_expire_at(&fixture, 53);
	assert_shown(&fixture, 0, "");
	fixture_close(&fixture);
}

static void
note_ended(void *ctx, const struct family_view *family, const struct series_view *series)
{
	struct buf *out = ctx;
	buf_printf(out, "%s %.*s{%.*s}", metric_type_text(family->type), SPAN_ARGS(family->name),
		   SPAN_ARGS(series->labels));
	for (size_t i = 0; i < series->bound_count; i++)
		buf_printf(out, " %.*s", SPAN_ARGS(series->bound_texts[i]));
	for (size_t i = 0; i < series->quantile_count; i++)
		buf_printf(out, " %.*s", SPAN_ARGS(series->quantile_texts[i]));
	buf_add_byte(out, '\n');
}

static void
test_expire__tells_who_asked(void **state)
{
	(void)state;
	struct fixture fixture = fixture_open(1, 10, NULL, 0);
	struct buf ended = BUF_INIT;
	registry_on_series_end(fixture.registry, note_ended, &ended);
	fixture_send(&fixture, METRIC_COUNTER, "c", "a=1", SECOND_US, 1);
	fixture_send(&fixture, METRIC_COUNTER, "c", "a=2", 0, 1);
	fixture_send(&fixture, METRIC_GAUGE, "g", "", 3 * SECOND_US, 1);
	fixture_send(&fixture, METRIC_HISTOGRAM, "h", "", 6 * SECOND_US, 1);
	fixture_send(&fixture, METRIC_SUMMARY, "s", "", 9 * SECOND_US, 1);
	for (uint32_t s = 1; s < 20; s++)
		fixture_expire_at(&fixture, s);
	assert_span_equal(buf_span(&ended), "counter c{a=\"1\"}\ngauge g{}\nhistogram h{} 1 2 5\n"
					    "summary s{} 0.5 0.99\n");
	registry_on_series_end(fixture.registry, NULL, NULL);
	fixture_send(&fixture, METRIC_GAUGE, "g", "", SECOND_US, 1);
	fixture_expire_at(&fixture, 30);
	assert_int_equal(registry_series_count(fixture.registry, METRIC_GAUGE), 0);
	buf_fini(&ended);
	fixture_close(&fixture);
}

static void
test_expire__newest_tick_of_all_threads_counts(void **state)
{
	(void)state;
	struct fixture fixture = fixture_open(3, 10, NULL, 0);
	struct series_ref refs[3];
	for (unsigned t = 0; t < 3; t++)
		assert_int_equal(
		    fixture_ask(&fixture, t, METRIC_COUNTER, "c", "", 2 * SECOND_US, &refs[t]),
		    REGISTRY_OK);
	for (uint32_t s = 1; s < 30; s++) {
		fixture_expire_at(&fixture, s);
		fixture_apply(&fixture, s % 3, refs[s % 3], 1, 0);
	}
	assert_shown(&fixture, 0, "c counter help\n{} 29\n");
	fixture_close(&fixture);
}

static void
test_expire__every_type(void **state)
{
	(void)state;
	for (enum metric_type type = 0; type < METRIC_TYPES; type++) {
		struct fixture fixture = fixture_open(2, 10, NULL, 0);
		struct series_ref ref = fixture_send(&fixture, type, "x", "a=1", SECOND_US, 1);
		fixture_send(&fixture, type, "x", "a=2", 0, 1);
		fixture_expire_at(&fixture, 3);
		assert_null(fixture_cell(&fixture, 0, ref));
		assert_int_equal(registry_series_count(fixture.registry, type), 1);
		assert_true(registry_frees(fixture.registry) > 0);
		fixture_close(&fixture);
	}
}

static void
test_expire__jump_of_time(void **state)
{
	(void)state;
	struct fixture fixture = fixture_open(1, 10, NULL, 0);
	fixture_send(&fixture, METRIC_COUNTER, "a", "", 10 * SECOND_US, 1);
	fixture_send(&fixture, METRIC_COUNTER, "b", "", 5000 * SECOND_US, 1);
	fixture_send(&fixture, METRIC_COUNTER, "c", "", 50000 * SECOND_US, 1);
	fixture_expire_at(&fixture, 20000);
	assert_shown(&fixture, 0, "c counter help\n{} 1\n");
	fixture_expire_at(&fixture, 300000);
	assert_shown(&fixture, 0, "");
	fixture_close(&fixture);
}

/* ---- Changes of the ttl. ---- */

static void
test_ttl__from_zero_and_back(void **state)
{
	(void)state;
	struct fixture fixture = fixture_open(1, 10, NULL, 0);
	fixture_send(&fixture, METRIC_COUNTER, "c", "", 0, 1);
	fixture_expire_at(&fixture, 100);
	fixture_send(&fixture, METRIC_COUNTER, "c", "", 5 * SECOND_US, 1);
	fixture_expire_at(&fixture, 104);
	fixture_send(&fixture, METRIC_COUNTER, "c", "", 0, 1);
	fixture_expire_at(&fixture, 1000);
	assert_shown(&fixture, 0, "c counter help\n{} 3\n");
	fixture_send(&fixture, METRIC_COUNTER, "c", "", 5 * SECOND_US, 1);
	fixture_expire_at(&fixture, 1005);
	assert_shown(&fixture, 0, "c counter help\n{} 4\n");
	fixture_expire_at(&fixture, 1006);
	assert_shown(&fixture, 0, "");
	fixture_close(&fixture);
}

static void
test_ttl__changes_before_anybody_looked(void **state)
{
	(void)state;
	struct fixture fixture = fixture_open(1, 10, NULL, 0);
	static const int64_t ttls[] = {3 * SECOND_US, 0, 9 * SECOND_US, 0};
	for (size_t i = 0; i < 4; i++)
		fixture_send(&fixture, METRIC_COUNTER, "c", "", ttls[i], 1);
	fixture_expire_at(&fixture, 100);
	assert_shown(&fixture, 0, "c counter help\n{} 4\n");
	fixture_close(&fixture);
}

static void
test_ttl__shorter_takes_effect_at_the_next_sample(void **state)
{
	(void)state;
	struct fixture fixture = fixture_open(1, 10, NULL, 0);
	fixture_send(&fixture, METRIC_COUNTER, "c", "", 1000 * SECOND_US, 1);
	fixture_expire_at(&fixture, 10);
	fixture_send(&fixture, METRIC_COUNTER, "c", "", 2 * SECOND_US, 1);
	fixture_expire_at(&fixture, 12);
	assert_int_equal(registry_series_count(fixture.registry, METRIC_COUNTER), 1);
	fixture_expire_at(&fixture, 13);
	assert_int_equal(registry_series_count(fixture.registry, METRIC_COUNTER), 0);
	fixture_close(&fixture);
}

/* What is shown at zero first is shown as long with what it has, whatever has become of the ttl. */
static void
test_ttl__shorter_than_at_zero(void **state)
{
	(void)state;
	struct fixture fixture = fixture_open(1, 10, NULL, 0);
	fixture_expire_at(&fixture, 100);
	fixture.totals.zero_first_us = 20 * SECOND_US;
	fixture_send(&fixture, METRIC_COUNTER, "c", "", 1000 * SECOND_US, 5);
	fixture_send(&fixture, METRIC_HISTOGRAM, "h", "", SECOND_US, 3);
	fixture_expire_at(&fixture, 101);
	fixture_send(&fixture, METRIC_COUNTER, "c", "", SECOND_US, 7);
	fixture_expire_at(&fixture, 120);
	assert_shown(&fixture, 120 * SECOND_US - 1,
		     "c counter help\n{} 0\n"
		     "h histogram help\n{} sum 0 count 0 1:0 2:0 5:0 +Inf:0\n");
	fixture_expire_at(&fixture, 140);
	assert_shown(&fixture, 140 * SECOND_US,
		     "c counter help\n{} 12\n"
		     "h histogram help\n{} sum 3 count 1 1:0 2:0 5:1 +Inf:0\n");
	fixture_expire_at(&fixture, 141);
	assert_shown(&fixture, 141 * SECOND_US, "");
	/* Later samples count for the ttl as ever. */
	fixture_send(&fixture, METRIC_COUNTER, "c", "", SECOND_US, 5);
	fixture_expire_at(&fixture, 180);
	fixture_send(&fixture, METRIC_COUNTER, "c", "", 3 * SECOND_US, 5);
	fixture_expire_at(&fixture, 183);
	assert_shown(&fixture, 183 * SECOND_US, "c counter help\n{} 10\n");
	fixture_expire_at(&fixture, 184);
	assert_shown(&fixture, 184 * SECOND_US, "");
	fixture_close(&fixture);
}

static void
test_ttl__longer_takes_effect_at_once(void **state)
{
	(void)state;
	struct fixture fixture = fixture_open(1, 10, NULL, 0);
	fixture_send(&fixture, METRIC_COUNTER, "c", "", 2 * SECOND_US, 1);
	fixture_expire_at(&fixture, 1);
	fixture_send(&fixture, METRIC_COUNTER, "c", "", 100 * SECOND_US, 1);
	fixture_expire_at(&fixture, 50);
	assert_int_equal(registry_series_count(fixture.registry, METRIC_COUNTER), 1);
	fixture_expire_at(&fixture, 102);
	assert_int_equal(registry_series_count(fixture.registry, METRIC_COUNTER), 0);
	fixture_close(&fixture);
}

/* ---- Quiescent points, and lives saved. ---- */

static void
test_dying__waits_for_threads_that_work(void **state)
{
	(void)state;
	struct fixture fixture = fixture_open(2, 10, NULL, 0);
	struct series_ref ref = fixture_send(&fixture, METRIC_COUNTER, "c", "", SECOND_US, 1);
	grace_begin(fixture.grace, 1);
	assert_true(registry_expire(fixture.registry, 30));
	/* Taken away, still shown, still in the books. */
	assert_null(fixture_cell(&fixture, 0, ref));
	assert_shown(&fixture, 0, "c counter help\n{} 1\n");
	for (uint32_t tick = 31; tick < 100; tick++)
		assert_true(registry_expire(fixture.registry, tick));
	assert_int_equal(registry_series_count(fixture.registry, METRIC_COUNTER), 1);
	assert_int_equal(fixture_ask(&fixture, 0, METRIC_GAUGE, "c", "", 0, NULL),
			 REGISTRY_CONFLICT);
	grace_end(fixture.grace, 1);
	assert_false(registry_expire(fixture.registry, 100));
	assert_int_equal(registry_series_count(fixture.registry, METRIC_COUNTER), 0);
	assert_shown(&fixture, 0, "");
	fixture_close(&fixture);
}

static void
test_dying__sample_of_a_thread_that_had_the_cell_already(void **state)
{
	(void)state;
	struct fixture fixture = fixture_open(1, 10, NULL, 0);
	struct series_ref ref = fixture_send(&fixture, METRIC_COUNTER, "c", "", SECOND_US, 1);
	grace_begin(fixture.grace, 0);
	struct cell *cell = fixture_cell(&fixture, 0, ref);
	assert_true(registry_expire(fixture.registry, 30));
	assert_null(fixture_cell(&fixture, 0, ref));
	cell_set_tick(cell, 30);
	counter_add((struct counter_cell *)cell, 41);
	grace_end(fixture.grace, 0);
	assert_false(registry_expire(fixture.registry, 31));
	/* It lives on, is found by what the thread knows, and is due again in time. */
	assert_ptr_equal(fixture_cell(&fixture, 0, ref), cell);
	assert_shown(&fixture, 0, "c counter help\n{} 42\n");
	assert_int_equal(registry_frees(fixture.registry), 0);
	fixture_expire_at(&fixture, 6);
	assert_shown(&fixture, 0, "");
	fixture_close(&fixture);
}

static void
test_dying__sample_on_the_slow_path(void **state)
{
	(void)state;
	for (enum metric_type type = 0; type < METRIC_TYPES; type++) {
		struct fixture fixture = fixture_open(2, 10, NULL, 0);
		struct series_ref ref = fixture_send(&fixture, type, "x", "", SECOND_US, 1), again;
		grace_begin(fixture.grace, 1);
		assert_true(registry_expire(fixture.registry, 30));
		fixture.tick = 30;
		assert_int_equal(fixture_ask(&fixture, 1, type, "x", "", SECOND_US, &again),
				 REGISTRY_OK);
		assert_same_ref(ref, again);
		fixture_apply(&fixture, 1, again, 1, 0);
		fixture_apply(&fixture, 0, ref, 1, 0);
		grace_end(fixture.grace, 1);
		assert_false(registry_expire(fixture.registry, 31));
		assert_int_equal(registry_series_count(fixture.registry, type), 1);
		assert_non_null(fixture_cell(&fixture, 0, ref));
		fixture_expire_at(&fixture, 6);
		assert_int_equal(registry_series_count(fixture.registry, type), 0);
		fixture_close(&fixture);
	}
}

static void
test_dying__new_ttl_on_the_slow_path(void **state)
{
	(void)state;
	static const int64_t ttls[] = {0, 100000, 50 * SECOND_US};
	for (size_t i = 0; i < 3; i++) {
		struct fixture fixture = fixture_open(1, 10, NULL, 0);
		fixture_send(&fixture, METRIC_COUNTER, "x", "", SECOND_US, 1);
		grace_begin(fixture.grace, 0);
		assert_true(registry_expire(fixture.registry, 30));
		fixture.tick = 30;
		fixture_send(&fixture, METRIC_COUNTER, "x", "", ttls[i], 1);
		assert_true(registry_expire(fixture.registry, 30));
		grace_end(fixture.grace, 0);
		registry_expire(fixture.registry, 31);
		fixture_expire_at(&fixture, 40);
		assert_int_equal(registry_series_count(fixture.registry, METRIC_COUNTER), i != 1);
		fixture_expire_at(&fixture, 100);
		assert_int_equal(registry_series_count(fixture.registry, METRIC_COUNTER), i == 0);
		fixture_close(&fixture);
	}
}

/*
 * A thread gives a series another ttl after it was found due and before it is taken away: it is set
 * in the wheel again while it waits to be freed, and is freed if no quiescent point came for longer
 * than the new ttl.
 */
static void
test_dying__freed_out_of_the_wheel(void **state)
{
	(void)state;
	struct fixture fixture = fixture_open(1, 10, NULL, 0);
	fixture_send(&fixture, METRIC_COUNTER, "x", "", SECOND_US, 1);
	grace_begin(fixture.grace, 0);
	assert_true(registry_expire(fixture.registry, 30));
	struct series *series = fixture.registry->dying[0]->node.owner;
	fixture.tick = 30;
	fixture_send(&fixture, METRIC_COUNTER, "x", "", 2 * SECOND_US, 1);
	series->state = SERIES_DYING;
	assert_true(registry_expire(fixture.registry, 31));
	grace_end(fixture.grace, 0);
	fixture_expire_at(&fixture, 6);
	fixture_expire_at(&fixture, 9);
	fixture_expire_at(&fixture, 10000);
	assert_int_equal(registry_series_count(fixture.registry, METRIC_COUNTER), 0);
	fixture_close(&fixture);
}

/* ---- What is left when a series has gone. ---- */

static void
test_gone__comes_back_from_zero_in_every_thread(void **state)
{
	(void)state;
	for (enum metric_type type = 0; type < METRIC_TYPES; type++) {
		struct fixture fixture = fixture_open(3, 10, NULL, 0);
		struct series_ref old, reused;
		for (unsigned t = 0; t < 3; t++) {
			assert_int_equal(fixture_ask(&fixture, t, type, "x", "", SECOND_US, &old),
					 REGISTRY_OK);
			fixture_apply(&fixture, t, old, 1.5, 0);
		}
		fixture_expire_at(&fixture, 5);
		assert_int_equal(fixture_ask(&fixture, 2, type, "y", "", 0, &reused), REGISTRY_OK);
		assert_int_equal(reused.layout->pool, old.layout->pool);
		assert_int_equal(reused.id, old.id);
		assert_int_not_equal(reused.incarnation, old.incarnation);
		for (unsigned t = 0; t < 3; t++) {
			assert_null(fixture_cell(&fixture, t, old));
			if (type != METRIC_GAUGE)
				assert_true((fixture_cell(&fixture, t, reused) != NULL) ==
					    (t == 2));
		}
		static const char *const empty[] = {
		    "y counter help\n{} 0\n", "y gauge help\n{} 0\n",
		    "y histogram help\n{} sum 0 count 0 1:0 2:0 5:0 +Inf:0\n",
		    "y summary help\n{} sum 0 count 0 0.5:nan 0.99:nan\n"};
		assert_shown(&fixture, 0, empty[type]);
		fixture_close(&fixture);
	}
}

static void
test_gone__name_and_type_are_free(void **state)
{
	(void)state;
	struct fixture fixture = fixture_open(1, 10, NULL, 0);
	fixture_send(&fixture, METRIC_SUMMARY, "x", "a=1", SECOND_US, 1);
	fixture_send(&fixture, METRIC_SUMMARY, "x", "a=2", 100 * SECOND_US, 1);
	fixture_expire_at(&fixture, 5);
	/* One series is left and holds the name. */
	uint64_t frees = registry_frees(fixture.registry);
	assert_true(frees > 0);
	assert_int_equal(fixture_ask(&fixture, 0, METRIC_COUNTER, "x", "", 0, NULL),
			 REGISTRY_CONFLICT);
	assert_int_equal(fixture_ask(&fixture, 0, METRIC_COUNTER, "x_count", "", 0, NULL),
			 REGISTRY_CONFLICT);
	fixture_expire_at(&fixture, 200);
	assert_true(registry_frees(fixture.registry) > frees);
	assert_int_equal(registry_families_count(fixture.registry), 0);
	fixture.help = "another";
	fixture_send(&fixture, METRIC_COUNTER, "x_count", "", 0, 1);
	fixture_send(&fixture, METRIC_COUNTER, "x", "a=1", 0, 2);
	assert_shown(&fixture, 0,
		     "x counter another\n{a=\"1\"} 2\nx_count counter another\n{} 1\n");
	fixture_close(&fixture);
}

static void
test_gone__counts_fall(void **state)
{
	(void)state;
	struct fixture fixture = fixture_open(1, 10, NULL, 0);
	fixture_send(&fixture, METRIC_GAUGE, "x", "a=1", SECOND_US, 1);
	fixture_send(&fixture, METRIC_GAUGE, "x", "a=2", 10 * SECOND_US, 1);
	fixture_send(&fixture, METRIC_GAUGE, "x", "b=1", SECOND_US, 1);
	fixture_send(&fixture, METRIC_COUNTER, "y", "", 0, 1);
	assert_int_equal(registry_metrics_count(fixture.registry, METRIC_GAUGE), 2);
	fixture_expire_at(&fixture, 5);
	assert_int_equal(registry_metrics_count(fixture.registry, METRIC_GAUGE), 1);
	assert_int_equal(registry_series_count(fixture.registry, METRIC_GAUGE), 1);
	fixture_expire_at(&fixture, 50);
	assert_int_equal(registry_metrics_count(fixture.registry, METRIC_GAUGE), 0);
	assert_int_equal(registry_series_count(fixture.registry, METRIC_GAUGE), 0);
	assert_int_equal(registry_families_count(fixture.registry), 1);
	assert_int_equal(registry_metrics_count(fixture.registry, METRIC_COUNTER), 1);
	/* A set of label names that was used up is used again. */
	fixture_send(&fixture, METRIC_GAUGE, "x", "b=1", 0, 1);
	assert_int_equal(registry_metrics_count(fixture.registry, METRIC_GAUGE), 1);
	fixture_close(&fixture);
}

static void
test_gone__room_for_others(void **state)
{
	(void)state;
	struct fixture fixture = fixture_open(1, 3, NULL, 0);
	for (uint32_t round = 0; round < 50; round++) {
		for (unsigned i = 0; i < 3; i++) {
			char name[] = {(char)('a' + (round + i) % 26), 0};
			fixture_send(&fixture, round % 2 ? METRIC_COUNTER : METRIC_SUMMARY, name,
				     "", SECOND_US, 1);
		}
		assert_int_equal(fixture_ask(&fixture, 0, METRIC_GAUGE, "z_z", "", 0, NULL),
				 REGISTRY_LIMIT);
		fixture_expire_at(&fixture, 3 + round * 3);
	}
	fixture_close(&fixture);
}

static void
test_gone__births_that_no_scrape_ever_saw(void **state)
{
	(void)state;
	struct fixture fixture = fixture_open(1, 1000, NULL, 0);
	for (uint32_t round = 0; round < 30; round++) {
		for (unsigned i = 0; i < 20; i++) {
			char label[] = {'a', '=', (char)('a' + i), 0};
			fixture_send(&fixture, METRIC_COUNTER, "x", label, SECOND_US, 1);
		}
		fixture_expire_at(&fixture, 3 + round * 3);
		assert_int_equal(registry_series_count(fixture.registry, METRIC_COUNTER), 0);
	}
	assert_shown(&fixture, 0, "");
	fixture_close(&fixture);
}

static void
test_free__with_everything_pending(void **state)
{
	(void)state;
	struct fixture fixture = fixture_open(2, 100, NULL, 0);
	fixture_send(&fixture, METRIC_SUMMARY, "dying", "", SECOND_US, 1);
	grace_begin(fixture.grace, 0);
	assert_true(registry_expire(fixture.registry, 30));
	fixture_send(&fixture, METRIC_SUMMARY, "changed", "", SECOND_US, 1);
	for (int64_t us = 0; us < 100 * SECOND_US; us += SECOND_US) {
		struct series_ref ref;
		assert_int_equal(
		    fixture_ask(&fixture, 1, METRIC_SUMMARY, "live", "", SECOND_US, &ref),
		    REGISTRY_OK);
		fixture_apply(&fixture, 1, ref, 1, us);
	}
	grace_end(fixture.grace, 0);
	fixture_close(&fixture);
}

/* Sends every series of a crowd, and those of even number with a ttl. */
static void
send_crowd(struct fixture *fixture, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		char name[16], label[32];
		snprintf(name, sizeof(name), "f%u", i % 3);
		snprintf(label, sizeof(label), "n=%05u", i);
		fixture_send(fixture, METRIC_COUNTER, name, label, i % 2 ? 0 : SECOND_US, i);
	}
}

/*
 * Reads everything; the registry's own count must agree. @sum of the values, which say who is there;
 * @return how many are shown
 */
static unsigned
shown_crowd(struct fixture *fixture, double *sum)
{
	unsigned count = 0;
	struct reader *reader = read_all(fixture->registry, 0);
	struct family_view family;
	struct series_view series;
	*sum = 0;
	while (reader_next_family(reader, &family)) {
		while (reader_next_series(reader, &series)) {
			*sum += series.value;
			count++;
		}
	}
	reader_free(&reader);
	assert_int_equal(count, registry_series_count(fixture->registry, METRIC_COUNTER) +
				    registry_series_count(fixture->registry, METRIC_GAUGE));
	return count;
}

/*
 * More deaths than one call does, with a scrape after each call: the dead are gone from the first scrape
 * after their call on, and the living never miss.
 */
static void
test_expire__a_crowd_in_slices(void **state)
{
	(void)state;
	enum { CROWD = 60000 };
	struct fixture fixture = fixture_open(1, CROWD, NULL, 0);
	send_crowd(&fixture, CROWD);
	fixture.tick = 5 * TICKS_PER_SECOND;
	unsigned calls = 0, shown;
	double sum;
	for (bool has_more = true; has_more; calls++) {
		has_more = registry_expire(fixture.registry, fixture.tick);
		shown = shown_crowd(&fixture, &sum);
		assert_true(shown >= CROWD / 2);
	}
	assert_true(calls > 4);
	assert_int_equal(shown, CROWD / 2);
	assert_true(sum == (double)CROWD / 2 * (CROWD / 2)); /* 1 + 3 + 5 + ... */
	/* All their ids and all of the room are free again. */
	for (unsigned i = 0; i < CROWD / 2; i++) {
		char label[32];
		struct series_ref ref;
		snprintf(label, sizeof(label), "n=%u", i);
		assert_int_equal(
		    fixture_ask(&fixture, 0, METRIC_COUNTER, "again", label, 0, &ref),
		    REGISTRY_OK);
		assert_true(ref.id < CROWD);
	}
	assert_int_equal(fixture_ask(&fixture, 0, METRIC_COUNTER, "again", "n=x", 0, NULL),
			 REGISTRY_LIMIT);
	fixture_close(&fixture);
}

/* Births and new lives between the slices. */
static void
test_expire__a_crowd_that_comes_back(void **state)
{
	(void)state;
	enum { CROWD = 30000 };
	struct fixture fixture = fixture_open(1, CROWD, NULL, 0);
	send_crowd(&fixture, CROWD);
	fixture.tick = 5 * TICKS_PER_SECOND;
	for (unsigned i = 0; registry_expire(fixture.registry, fixture.tick); i++) {
		char label[32];
		snprintf(label, sizeof(label), "n=%05u", i * 6);
		fixture_ask(&fixture, 0, METRIC_COUNTER, "f0", label, 0, NULL);
		snprintf(label, sizeof(label), "m=%05u", i);
		assert_int_not_equal(
		    fixture_ask(&fixture, 0, METRIC_COUNTER, "f1", label, 0, NULL),
		    REGISTRY_CONFLICT);
		double sum;
		shown_crowd(&fixture, &sum);
	}
	fixture_close(&fixture);
}

/* Many families of one series each, closed before all is cleaned up. */
static void
test_expire__families_in_slices(void **state)
{
	(void)state;
	enum { FAMILIES = 20000 };
	struct fixture fixture = fixture_open(1, FAMILIES, NULL, 0);
	for (unsigned i = 0; i < FAMILIES; i++) {
		char name[16];
		snprintf(name, sizeof(name), "f%05u", i);
		fixture_send(&fixture, METRIC_GAUGE, name, "", i % 4 ? SECOND_US : 0, 1);
	}
	fixture.tick = 5 * TICKS_PER_SECOND;
	unsigned calls = 0;
	double sum;
	while (registry_families_count(fixture.registry) > FAMILIES / 4) {
		assert_true(registry_expire(fixture.registry, fixture.tick));
		assert_int_equal(shown_crowd(&fixture, &sum),
				 registry_families_count(fixture.registry));
		calls++;
	}
	assert_true(calls > 1);
	fixture_close(&fixture);
}

/* ---- Layouts. ---- */

static size_t
layouts_left(const struct fixture *fixture)
{
	return layouts_count(fixture->registry->layouts);
}

/* The next rules: layouts differ in zero_first here. No thread knows the old rules any more. */
static void
reload(struct fixture *fixture)
{
	fixture->rules++;
	fixture->totals.zero_first_us++;
	registry_forget_rules(fixture->registry, fixture->rules);
}

static void
test_layouts__go_once_their_series_and_rules_have(void **state)
{
	(void)state;
	enum { SEND = 's', RELOAD = 'r', END = 'e', READ = 'o', LEAVE = 'c' };
	static const struct {
		const char *steps; /* a letter each, and how many layouts there are then */
	} table[] = {
	    /* Threads may know them as long as the rules are in force. */
	    {"s1e1r0"},
	    {"s1e1s1e1r0s1"},
	    /* Series keep the layout that they were born with. */
	    {"s1r1r1e0"},
	    {"s1r1s1e1r0"},
	    /* In use again when its turn comes, and then not. */
	    {"s1e1s1r1r1e0"},
	    /* Asked for again by newer rules. */
	    {"s1r1s1r1s1e1r0s1"},
	    /* A reader is in the family. */
	    {"s1o1e1r1c0"},
	    {"s1o1r1e1r1c0s1"},
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct fixture fixture = fixture_open(1, 10, NULL, 0);
		struct reader *reader = NULL;
		struct family_view family;
		uint32_t second = 1;
		for (const char *at = table[i].steps; *at; at += 2) {
			if (*at == SEND)
				fixture_send(&fixture, METRIC_HISTOGRAM, "h", "", SECOND_US, 1);
			else if (*at == RELOAD)
				reload(&fixture);
			else if (*at == END)
				fixture_expire_at(&fixture, second += 5);
			else if (*at == READ) {
				reader = read_all(fixture.registry, 0);
				assert_true(reader_next_family(reader, &family));
			} else if (*at == LEAVE) {
				reader_free(&reader);
				fixture_expire_at(&fixture, second);
			}
			if (layouts_left(&fixture) != (size_t)(at[1] - '0'))
				fail_msg("%s: %zu layouts before %s", table[i].steps,
					 layouts_left(&fixture), at + 2);
		}
		reader_free(&reader);
		fixture_close(&fixture);
	}
}

/* However often options change, what is left are those of series that live. */
static void
test_layouts__many_reloads(void **state)
{
	(void)state;
	enum { RELOADS = 500, EACH = 20 };
	struct fixture fixture = fixture_open(2, 3 * EACH + 1, NULL, 0);
	fixture_send(&fixture, METRIC_HISTOGRAM, "kept", "", 0, 1);
	for (uint32_t n = 1; n <= RELOADS; n++) {
		reload(&fixture);
		for (unsigned i = 0; i < EACH; i++) {
			double bounds[] = {i, i + n, i + 2 * n};
			char name[16];
			snprintf(name, sizeof(name), "n%u", i);
			fixture.histogram =
			    &(struct histogram_options){1 + (i + n) % 3, bounds, 0, 0};
			fixture_send(&fixture, METRIC_HISTOGRAM, name, "", SECOND_US, 1);
		}
		fixture_expire_at(&fixture, 5 * n);
		assert_in_range(layouts_left(&fixture), 1 + EACH, 1 + 2 * EACH);
	}
	reload(&fixture);
	assert_int_equal(layouts_left(&fixture), 1);
	fixture_close(&fixture);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_expire__between_ttl_and_a_second_more),
	    cmocka_unit_test(test_expire__zero_is_never),
	    cmocka_unit_test(test_expire__samples_on_the_fast_path_keep_alive),
	    cmocka_unit_test(test_expire__tells_who_asked),
	    cmocka_unit_test(test_expire__newest_tick_of_all_threads_counts),
	    cmocka_unit_test(test_expire__every_type),
	    cmocka_unit_test(test_expire__jump_of_time),
	    cmocka_unit_test(test_ttl__from_zero_and_back),
	    cmocka_unit_test(test_ttl__changes_before_anybody_looked),
	    cmocka_unit_test(test_ttl__shorter_takes_effect_at_the_next_sample),
	    cmocka_unit_test(test_ttl__shorter_than_at_zero),
	    cmocka_unit_test(test_ttl__longer_takes_effect_at_once),
	    cmocka_unit_test(test_dying__waits_for_threads_that_work),
	    cmocka_unit_test(test_dying__sample_of_a_thread_that_had_the_cell_already),
	    cmocka_unit_test(test_dying__sample_on_the_slow_path),
	    cmocka_unit_test(test_dying__new_ttl_on_the_slow_path),
	    cmocka_unit_test(test_dying__freed_out_of_the_wheel),
	    cmocka_unit_test(test_gone__comes_back_from_zero_in_every_thread),
	    cmocka_unit_test(test_gone__name_and_type_are_free),
	    cmocka_unit_test(test_gone__counts_fall),
	    cmocka_unit_test(test_gone__room_for_others),
	    cmocka_unit_test(test_gone__births_that_no_scrape_ever_saw),
	    cmocka_unit_test(test_free__with_everything_pending),	    cmocka_unit_test(test_expire__a_crowd_in_slices),
	    cmocka_unit_test(test_expire__a_crowd_that_comes_back),
	    cmocka_unit_test(test_expire__families_in_slices),
	    cmocka_unit_test(test_layouts__go_once_their_series_and_rules_have),
	    cmocka_unit_test(test_layouts__many_reloads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
