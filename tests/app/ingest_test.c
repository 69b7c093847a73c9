#include "test.h"

#include "app/ingest_private.h"
#include "app/pipeline.h"

static struct pipeline
new_pipeline(unsigned threads, const char *mapping)
{
	struct pipeline p;
	struct diag diag = DIAG_INIT;
	struct bridge_settings settings = pipeline_defaults();
	settings.threads = threads;
	clock_fake(0);
	assert_true(pipeline_init(&p, settings, mapping, &diag));
	diag_fini(&diag);
	return p;
}

static void
assert_counter(const struct pipeline *p, unsigned counter, uint64_t want)
{
	struct account *account = pipeline_account(p);
	assert_true(account_is_balanced(account));
	if (account_get(account, counter) != want)
		fail_msg("counter %u is %llu, not %llu", counter,
			 (unsigned long long)account_get(account, counter),
			 (unsigned long long)want);
	free(account);
}

static void
assert_exposed(struct pipeline *p, const char *line)
{
	struct buf text = BUF_INIT;
	pipeline_expose(p, &text);
	if (!strstr(buf_text(&text), line))
		fail_msg("no %s in %s", line, buf_text(&text));
	buf_fini(&text);
}

/* "a,k0=v,k1=v,...": a name with `tags` InfluxDB tags */
static void
add_tagged_name(struct buf *out, unsigned tags)
{
	buf_add_byte(out, 'a');
	for (unsigned i = 0; i < tags; i++)
		buf_printf(out, ",k%u=v", i);
}

static void
send_tagged(struct pipeline *p, unsigned tags, const char *rest)
{
	struct buf line = BUF_INIT;
	add_tagged_name(&line, tags);
	buf_add_text(&line, rest);
	pipeline_send(p, 0, buf_span(&line));
	buf_fini(&line);
}

/* A line that its first sample's head refuses has no further samples. */
static void
test_ingest__refused_line_has_no_samples(void **state)
{
	(void)state;
	struct pipeline p = new_pipeline(1, NULL);
	for (unsigned times = 1; times <= 2; times++) {
		send_tagged(&p, TAGS_MAX + 1, ":1|c:2|c:3");
		assert_counter(&p, ACCOUNT_LINES_REFUSED + STATSD_TOO_MANY_TAGS, times);
		assert_counter(&p, ACCOUNT_SAMPLES, 0);
	}
	pipeline_fini(&p);
}

/* A container id is a tag too many for the second sample only. */
static void
test_ingest__further_sample_with_too_many_tags(void **state)
{
	(void)state;
	struct pipeline p = new_pipeline(1, NULL);
	for (unsigned times = 1; times <= 2; times++) {
		send_tagged(&p, TAGS_MAX, ":1|c:2|c|c:x");
		assert_counter(&p, ACCOUNT_SAMPLES, 2 * times);
		assert_counter(&p, ACCOUNT_SAMPLES_APPLIED, times);
		assert_counter(&p, ACCOUNT_SAMPLES_DROPPED + DROP_MALFORMED_COMPONENT, times);
		assert_counter(&p, ACCOUNT_LINES_WITH_SAMPLES, times);
		assert_counter(&p, ACCOUNT_LINES_REFUSED + STATSD_TOO_MANY_TAGS, 0);
	}
	pipeline_fini(&p);
}

static uint32_t
tick_now(const struct pipeline *p)
{
	return (uint32_t)(bridge_now_us(p->bridge) / TICK_US) + 1;
}

/* A thread that works keeps a series that was taken away from being freed; a line brings it back.
 */
static void
test_ingest__line_meets_dying_series(void **state)
{
	(void)state;
	struct pipeline p = new_pipeline(2, "defaults: {ttl: 1s}\n");
	pipeline_send(&p, 0, SPAN("a:1|c\ng:5|g"));
	clock_fake(3000000);
	grace_begin(p.bridge->grace, 1);
	assert_true(registry_expire(p.bridge->registry, tick_now(&p)));
	assert_true(registry_expire(p.bridge->registry, tick_now(&p)));
	pipeline_send(&p, 0, SPAN("a:2|c"));
	assert_exposed(&p, "\na 3\n");
	grace_end(p.bridge->grace, 1);
	pipeline_tick(&p);
	assert_exposed(&p, "\na 3\n");
	assert_int_equal(registry_series_count(p.bridge->registry, METRIC_GAUGE), 0);
	pipeline_send(&p, 1, SPAN("a:4|c"));
	assert_exposed(&p, "\na 7\n");
	pipeline_fini(&p);
}

/* The same, when the thread that works is the one that brings it back. */
static void
test_ingest__line_meets_dying_series_within_a_batch(void **state)
{
	(void)state;
	struct pipeline p = new_pipeline(1, "defaults: {ttl: 1s}\n");
	struct ingest *ingest = p.bridge->ingests[0];
	pipeline_send(&p, 0, SPAN("a:1|c\nb:1|c"));
	clock_fake(3000000);
	grace_begin(p.bridge->grace, 0);
	ingest_begin(ingest);
	ingest_payload(ingest, SPAN("b:1|c"));
	ingest_flush(ingest);
	assert_true(registry_expire(p.bridge->registry, tick_now(&p)));
	ingest_payload(ingest, SPAN("a:2|c\nb:2|c"));
	ingest_payload(ingest, SPAN("a:4|c\nb:4|c"));
	ingest_flush(ingest);
	grace_end(p.bridge->grace, 0);
	pipeline_tick(&p);
	assert_exposed(&p, "\na 7\n");
	assert_exposed(&p, "\nb 8\n");
	assert_counter(&p, ACCOUNT_SAMPLES_APPLIED, 7);
	pipeline_fini(&p);
}

/* Names beyond the first thousand that conflict are counted as one. */
static void
test_ingest__conflict_names_are_bounded(void **state)
{
	(void)state;
	struct pipeline p = new_pipeline(1, NULL);
	struct buf line = BUF_INIT;
	for (unsigned i = 0; i < CONFLICT_NAMES_MAX + 10; i++)
		buf_printf(&line, "n%u:1|c\nn%u:1|g\n", i, i);
	pipeline_send(&p, 0, buf_span(&line));
	buf_fini(&line);
	unsigned gauges = ACCOUNT_CONFLICTS + EVENT_GAUGE * (CONFLICT_NAMES_MAX + 1);
	assert_counter(&p, gauges, 1);
	assert_counter(&p, gauges + CONFLICT_NAMES_MAX - 1, 1);
	assert_counter(&p, gauges + CONFLICT_NAMES_MAX, 10);
	assert_string_equal(bridge_conflict_name(p.bridge, 999), "n999");
	assert_string_equal(bridge_conflict_name(p.bridge, 1000), "other");
	pipeline_fini(&p);
}

/* More shapes than there is room for: such spellings take the slow path, and count alike. */
static void
test_ingest__shapes_are_bounded(void **state)
{
	(void)state;
	struct pipeline p = new_pipeline(1, NULL);
	static const char *const types[] = {"c", "g", "ms", "h"};
	uint64_t errors = 0, lines = 0;
	struct buf line = BUF_INIT;
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned bad = 0; bad < 70; bad++) {
			for (unsigned unknown = 0; unknown < 300; unknown++) {
				const char *type = types[(bad + unknown) % 4];
				for (unsigned rate = 1; rate <= 4; rate++) {
					buf_reset(&line);
					buf_printf(&line, "%s:1|%s|@0.%u|#", type, type, rate);
					for (unsigned i = 0; i < bad; i++)
						buf_add_byte(&line, ',');
					for (unsigned i = 0; i < unknown; i++)
						buf_add_text(&line, "|?");
					pipeline_send(&p, 0, buf_span(&line));
					errors += unknown;
					lines++;
				}
			}
		}
	}
	buf_fini(&line);
	assert_int_equal(shapes_count(p.bridge->shapes), SHAPES_UNUSUAL_MAX);
	struct account *account = pipeline_account(&p);
	assert_true(account_get(account, ACCOUNT_NOT_REMEMBERED) > 0);
	free(account);
	/* Ordinary spellings still find room. */
	pipeline_send(&p, 0, SPAN("ordinary:1|c\nordinary.too:1|h"));
	lines += 2;
	assert_int_equal(shapes_count(p.bridge->shapes), SHAPES_UNUSUAL_MAX + 2);
	assert_counter(&p, ACCOUNT_SAMPLES_APPLIED, lines);
	assert_counter(&p, ACCOUNT_SAMPLE_ERRORS + STATSD_INVALID_SAMPLE_FACTOR, errors);
	pipeline_fini(&p);
}

static uint64_t
forgotten(const struct pipeline *p)
{
	return ingest_forgotten(p->bridge->ingests[0]);
}

/* Sends samples with different rates, a batch of them at once. @return how many */
static uint64_t
send_rates(struct pipeline *p, unsigned from, unsigned to)
{
	struct buf lines = BUF_INIT;
	for (unsigned rate = from; rate < to; rate++)
		buf_printf(&lines, "%sflood:1|ms|@0.%06u1", lines.len ? "\n" : "", rate);
	pipeline_send(p, 0, buf_span(&lines));
	buf_fini(&lines);
	return to - from;
}

/* Peers use up all room for shapes: it is made anew, and what was counted stays counted. */
static void
test_ingest__room_for_shapes_is_made_anew(void **state)
{
	(void)state;
	struct pipeline p = new_pipeline(1, NULL);
	uint64_t sent = 0;
	unsigned rate = 0;
	for (; !forgotten(&p); rate += 1000)
		sent += send_rates(&p, rate, rate + 1000);
	assert_in_range(shapes_count(p.bridge->shapes), SHAPES_UNUSUAL_MAX, SHAPES_UNUSUAL_MAX + 2);
	/* Few are not worth to begin anew. */
	assert_false(bridge_collect(p.bridge));
	pipeline_send(&p, 0, SPAN("late:1|c|@0.3"));
	uint64_t before = forgotten(&p);
	pipeline_send(&p, 0, SPAN("late:1|c|@0.3"));
	assert_int_equal(forgotten(&p), before + 1);

	/* Not while a thread may still work with what it knew. */
	grace_begin(p.bridge->grace, 0);
	for (unsigned turns = 0; !bridge_collect(p.bridge); turns++, rate += 1000) {
		assert_in_range(turns, 0, 1000);
		grace_end(p.bridge->grace, 0);
		sent += send_rates(&p, rate, rate + 1000);
		grace_begin(p.bridge->grace, 0);
	}
	assert_true(bridge_collect(p.bridge));
	assert_true(shapes_count(p.bridge->shapes) >= SHAPES_UNUSUAL_MAX);
	grace_end(p.bridge->grace, 0);
	pipeline_send(&p, 0, SPAN("late:1|c|@0.3"));
	while (bridge_collect(p.bridge))
		;
	/* Not again before as many more are forgotten. */
	uint64_t rules = atomic_load(&p.bridge->rules);
	assert_false(bridge_collect(p.bridge));
	assert_int_equal(atomic_load(&p.bridge->rules), rules);
	before = forgotten(&p);
	pipeline_send(&p, 0, SPAN("late:1|c|@0.3\nlate:1|c|@0.3\nother:1|c|@0.3"));
	assert_int_equal(forgotten(&p), before);
	assert_int_equal(shapes_count(p.bridge->shapes), 2); /* one a name */
	sent += send_rates(&p, 0, 1000);
	assert_int_equal(forgotten(&p), before);
	assert_counter(&p, ACCOUNT_LINES_WITH_SAMPLES, sent + 6);
	assert_counter(&p, ACCOUNT_SAMPLES_APPLIED, sent + 6);
	pipeline_fini(&p);
}

/* A thread that works may still hold the id of a shape that was taken away: nobody else gets it. */
static void
test_ingest__ids_of_shapes_rest_for_a_while(void **state)
{
	(void)state;
	struct pipeline p = new_pipeline(2, NULL);
	pipeline_send(&p, 0, SPAN("old:1|c|@0.1\nold:1|c|@0.2"));
	uint32_t given = shapes_ids(p.bridge->shapes);
	bridge_void_spellings(p.bridge);
	grace_begin(p.bridge->grace, 1);
	assert_true(bridge_collect(p.bridge));
	assert_int_equal(shapes_count(p.bridge->shapes), 0);
	assert_true(bridge_collect(p.bridge));
	pipeline_send(&p, 0, SPAN("new:1|c|@0.3"));
	uint32_t more = shapes_ids(p.bridge->shapes);
	assert_true(more > given);
	grace_end(p.bridge->grace, 1);
	assert_false(bridge_collect(p.bridge));
	pipeline_send(&p, 0, SPAN("new:1|c|@0.4"));
	assert_int_equal(shapes_ids(p.bridge->shapes), more);
	pipeline_fini(&p);
}

/* A number that has come round again must not make valid what was remembered under it long ago. */
static void
test_ingest__generations_come_round(void **state)
{
	(void)state;
	struct pipeline p = new_pipeline(1, NULL);
	struct ingest *ingest = p.bridge->ingests[0];
	pipeline_send(&p, 0, SPAN("a:1|c\nb:1|c"));
	assert_true(ingest_cache_count(ingest) > 0);
	ingest->last_generation = INT32_MAX - SHAPE_VALIDITIES - 1;
	for (unsigned i = 0; i < 3; i++) {
		bridge_void_spellings(p.bridge);
		pipeline_send(&p, 0, SPAN("a:1|c"));
	}
	assert_int_equal(ingest_cache_count(ingest), 1);
	assert_in_range(ingest->last_generation, 1, 100);
	assert_exposed(&p, "\na 4\n");
	pipeline_fini(&p);
}

/* ---- New spellings that are worked out ahead of each other. ---- */

static void
test_ingest__new_spellings_of_one_series_in_a_batch(void **state)
{
	(void)state;
	struct pipeline p = new_pipeline(1, NULL);
	pipeline_send(&p, 0,
		      SPAN("g,b=1,a=2:10|g\n"
			   "g,a=2,b=1:+5|g\n"
			   "g:-1|g|#b:1,a:2\n"
			   "g,b=1,a=2:+2|g\n" /* as the first */
			   "g,b=1,a=2:1|g|@0.5\n"
			   "g,a=2,b=1:+1|g")); /* as the second */
	assert_exposed(&p, "\ng{a=\"2\",b=\"1\"} 2\n");
	assert_counter(&p, ACCOUNT_SAMPLES_APPLIED, 6);
	assert_counter(&p, ACCOUNT_CACHE_GETS, 6);
	assert_counter(&p, ACCOUNT_CACHE_HITS, 2);
	pipeline_fini(&p);
}

/* What lies between new spellings keeps its turn: lines that are known, refused, or not plain. */
static void
test_ingest__new_spellings_among_other_lines(void **state)
{
	(void)state;
	struct pipeline p = new_pipeline(1, "mappings:\n- {match: drop, action: drop}\n");
	pipeline_send(&p, 0, SPAN("g:1|g"));
	pipeline_send(&p, 0,
		      SPAN("g:2|g|#a:1\n"
			   "g:+1|g\n"
			   "g|x\n"
			   "g#a=1:+3|g\n"
			   "drop:1|c\n"
			   "g,a=1:4|g:+1|g\n"
			   "g:+10|g|#a:1,a:1\n"
			   "c:-1|c\n"
			   "g:1|q\n"
			   "g:+100|g|#a:1,"));
	assert_exposed(&p, "\ng 2\n");
	assert_exposed(&p, "\ng{a=\"1\"} 115\n");
	assert_counter(&p, ACCOUNT_LINES_REFUSED + STATSD_MALFORMED_LINE, 1);
	assert_counter(&p, ACCOUNT_SAMPLES_DROPPED + DROP_ACTION, 1);
	assert_counter(&p, ACCOUNT_SAMPLES_DROPPED + DROP_ILLEGAL_NEGATIVE_COUNTER, 1);
	assert_counter(&p, ACCOUNT_SAMPLES_DROPPED + DROP_ILLEGAL_EVENT, 1);
	pipeline_fini(&p);
}

/* Templates make names so long that there is no room for those of many lines. */
static void
test_ingest__new_spellings_of_long_names(void **state)
{
	(void)state;
	enum { LINES = 40, NAME = 3000 };
	struct buf mapping = BUF_INIT, lines = BUF_INIT, text = BUF_INIT;
	buf_add_text(&mapping, "mappings:\n- {match: 'l.*', name: 'n${1}");
	for (unsigned i = 0; i < 30; i++)
		buf_add_text(&mapping, "_${1}");
	buf_add_text(&mapping, "'}\n");
	struct pipeline p = new_pipeline(1, buf_text(&mapping));
	for (unsigned i = 0; i < LINES; i++)
		buf_printf(&lines, "l.x%0*u:%u|c\n", NAME, i, i);
	pipeline_send(&p, 0, buf_span(&lines));
	assert_counter(&p, ACCOUNT_SAMPLES_APPLIED, LINES);
	pipeline_expose(&p, &text);
	unsigned shown = 0;
	for (char *at = strstr(buf_text(&text), "\nnx"); at; at = strstr(at + 1, "\nnx")) {
		char *value = strchr(at + 1, ' ');
		assert_int_equal(value - at - 1, 1 + 31 * (NAME + 2) - 1);
		assert_int_equal(atoi(value), atoi(value - 3));
		shown++;
	}
	assert_int_equal(shown, LINES);
	buf_fini(&mapping);
	buf_fini(&lines);
	buf_fini(&text);
	pipeline_fini(&p);
}

/* ---- Exemplars. ---- */

#define EXEMPLARS                                                                                \
	"defaults: {exemplar_tag: t}\n"                                                          \
	"max_values: {limited: 1}\n"                                                             \
	"mappings:\n"                                                                            \
	"- {match: h.*, name: h, observer_type: histogram, histogram_options: {buckets: [1]}}\n" \
	"- {match: none.*, name: 'none_$1', exemplar_tag: ''}\n"                                 \
	"- {match: drop.*, action: drop}\n"

/* What OpenMetrics shows. */
static void
assert_exemplar(struct pipeline *p, const char *part)
{
	struct buf text = BUF_INIT;
	pipeline_expose_as(p, EXPOSITION_OPENMETRICS_1_0_0, &text);
	if (!strstr(buf_text(&text), part))
		fail_msg("no %s in %s", part, buf_text(&text));
	buf_fini(&text);
}

/* Samples count as they would without the tag, in one series, and leave nothing in the cache. */
static void
test_exemplars__tag_is_no_label(void **state)
{
	(void)state;
	enum { LINES = 3 * FORESEEN_LINES };
	struct pipeline p = new_pipeline(1, EXEMPLARS);
	struct buf lines = BUF_INIT;
	for (unsigned i = 0; i < LINES; i++)
		buf_printf(&lines,
			   "c_total:2|c|#t:%u,k:v\nh.a:500|ms|@0.5|#t:%u\nh.a:%u:3:x|d|#t:p%u\n"
			   "g:%u|g|#t:%u\nlimited_total:1|c|#t:%u,limited:a\n"
			   "drop.a:1|c|#t:%u\n",
			   i, i, i, i, i, i, i, i);
	pipeline_send(&p, 0, buf_span(&lines));
	buf_fini(&lines);
	assert_exposed(&p, "\nc_total{k=\"v\"} 96\n");
	assert_exposed(&p, "\nlimited_total{limited=\"a\"} 48\n");
	assert_exposed(&p, "\ng 47\n");
	assert_exposed(&p, "\nh_bucket{le=\"1\"} 98\nh_bucket{le=\"+Inf\"} 192\n");
	assert_int_equal(ingest_cache_count(p.bridge->ingests[0]), 0);
	assert_counter(&p, ACCOUNT_NOT_REMEMBERED, 0);
	assert_counter(&p, ACCOUNT_SAMPLES_DROPPED + DROP_ACTION, LINES);
	assert_counter(&p, ACCOUNT_SAMPLES_DROPPED + DROP_MALFORMED_VALUE, LINES);
	assert_exemplar(&p, "\nc_total{k=\"v\"} 96.0 # {t=\"47\"} 2.0 ");
	assert_exemplar(&p, "\nh_bucket{le=\"1.0\"} 98 # {t=\"47\"} 0.5 ");
	assert_exemplar(&p, "\nh_bucket{le=\"+Inf\"} 192 # {t=\"p47\"} 3.0 ");
	/* The same without the tag is remembered, and leaves the exemplar as it is. */
	pipeline_send(&p, 0, SPAN("c_total:1|c|#k:v"));
	pipeline_send(&p, 0, SPAN("c_total:1|c|#k:v"));
	assert_int_equal(ingest_cache_count(p.bridge->ingests[0]), 1);
	assert_exemplar(&p, "\nc_total{k=\"v\"} 98.0 # {t=\"47\"} 2.0 ");
	pipeline_fini(&p);
}

/* Further samples of a line have its exemplar, too. */
static void
test_exemplars__of_a_line(void **state)
{
	(void)state;
	struct pipeline p = new_pipeline(1, EXEMPLARS);
	pipeline_send(&p, 0, SPAN("c_total,t=x:1|c:2|c:5|c|@0.5\nc_total:0|c"));
	assert_exemplar(&p, "\nc_total 13.0 # {t=\"x\"} 10.0 ");
	assert_int_equal(ingest_cache_count(p.bridge->ingests[0]), 1);
	pipeline_fini(&p);
}

static void
test_exemplars__what_makes_none(void **state)
{
	(void)state;
	struct pipeline p = new_pipeline(1, EXEMPLARS);
	struct buf line = BUF_INIT;
	/* The name counts, too; a code point is one, however long. */
	for (unsigned length = 127; length <= 128; length++) {
		buf_reset(&line);
		buf_printf(&line, "c%u_total:1|c|#t:", length);
		for (unsigned i = 0; i < length; i++)
			buf_add_text(&line, "\u20ac");
		pipeline_send(&p, 0, buf_span(&line));
	}
	buf_fini(&line);
	pipeline_send(&p, 0, SPAN("e_total:1|c|#t:\nn_total:-1|c|#t:x\nnone.total:1|c|#t:x"));
	/* A Prometheus that reads one of these in OpenMetrics refuses the scrape. */
	pipeline_send(&p, 0, SPAN("z_total:1|c|#t:a\0b\nz_total:1|c|#t:\0\nz_total:1|c|#t:\\\0"));
	assert_exemplar(&p, "\nc127_total 1.0 # {t=\"\u20ac");
	assert_exemplar(&p, "\nc128_total 1.0\n");
	assert_exemplar(&p, "\ne_total 1.0\n");
	assert_exemplar(&p, "\nnone_total{t=\"x\"} 1.0\n");
	assert_exemplar(&p, "\nz_total 3.0\n");
	assert_counter(&p, ACCOUNT_EXEMPLARS_TOO_LONG, 1);
	assert_counter(&p, ACCOUNT_EXEMPLARS_NUL, 3);
	assert_counter(&p, ACCOUNT_SAMPLES_DROPPED + DROP_ILLEGAL_NEGATIVE_COUNTER, 1);
	pipeline_fini(&p);
}

/* A series keeps none when it was born before its rule asked for them. */
static void
test_exemplars__after_a_reload(void **state)
{
	(void)state;
	struct pipeline p = new_pipeline(1, "mappings: []\n");
	pipeline_send(&p, 0, SPAN("c_total:1|c"));
	pipeline_write_mapping(&p, 0, SPAN(EXEMPLARS));
	struct diag diag = DIAG_INIT;
	assert_true(bridge_reload(p.bridge, &diag));
	diag_fini(&diag);
	pipeline_send(&p, 0, SPAN("c_total:1|c|#t:x\nd_total:1|c|#t:x"));
	assert_exemplar(&p, "\nc_total 2.0\n");
	assert_exemplar(&p, "\nd_total 1.0 # {t=\"x\"} 1.0 ");
	pipeline_fini(&p);
}

/* ---- Reloads. ---- */

/* Each series has options of its own, and each reload gives it others: nothing runs out. */
static void
test_reload__of_any_options(void **state)
{
	(void)state;
	enum { RULES = 60, RELOADS = 100 };
	struct pipeline p = new_pipeline(2, "mappings: []\n");
	struct buf mapping = BUF_INIT, lines = BUF_INIT;
	struct diag diag = DIAG_INIT;
	for (unsigned n = 1; n <= RELOADS; n++) {
		buf_reset(&mapping);
		buf_reset(&lines);
		buf_printf(&mapping,
			   "defaults: {observer_type: histogram, zero_first: %ums}\nmappings:\n", n);
		for (unsigned i = 0; i < RULES; i++) {
			buf_printf(&mapping,
				   "- {match: h%u, name: h%u, histogram_options: {buckets: [%u]}}\n",
				   i, i, i + 1);
			buf_printf(&lines, "h%u:1|h|#n:%u\n", i, n);
		}
		pipeline_write_mapping(&p, 0, buf_span(&mapping));
		assert_true(bridge_reload(p.bridge, &diag));
		pipeline_send(&p, n % 2, buf_span(&lines));
		while (bridge_collect(p.bridge))
			;
		/* By what is known of it. */
		pipeline_send(&p, n % 2, buf_span(&lines));
	}
	assert_counter(&p, ACCOUNT_SAMPLES_APPLIED, 2 * RULES * RELOADS);
	assert_int_equal(registry_series_count(p.bridge->registry, METRIC_HISTOGRAM),
			 RULES * RELOADS);
	diag_fini(&diag);
	buf_fini(&mapping);
	buf_fini(&lines);
	pipeline_fini(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_ingest__refused_line_has_no_samples),
	    cmocka_unit_test(test_ingest__further_sample_with_too_many_tags),
	    cmocka_unit_test(test_ingest__line_meets_dying_series),
	    cmocka_unit_test(test_ingest__line_meets_dying_series_within_a_batch),
	    cmocka_unit_test(test_ingest__conflict_names_are_bounded),
	    cmocka_unit_test(test_ingest__shapes_are_bounded),
	    cmocka_unit_test(test_ingest__room_for_shapes_is_made_anew),
	    cmocka_unit_test(test_ingest__ids_of_shapes_rest_for_a_while),
	    cmocka_unit_test(test_ingest__generations_come_round),
	    cmocka_unit_test(test_ingest__new_spellings_of_one_series_in_a_batch),
	    cmocka_unit_test(test_ingest__new_spellings_among_other_lines),
	    cmocka_unit_test(test_ingest__new_spellings_of_long_names),
	    cmocka_unit_test(test_exemplars__tag_is_no_label),
	    cmocka_unit_test(test_exemplars__of_a_line),
	    cmocka_unit_test(test_exemplars__what_makes_none),
	    cmocka_unit_test(test_exemplars__after_a_reload),
	    cmocka_unit_test(test_reload__of_any_options),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
