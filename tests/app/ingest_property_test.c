/*
 * Ways of sending the same lines that must not make a difference: known spellings or new ones, one
 * payload or many, one thread or three.
 */
#include "test.h"

#include "app/exposition_check.h"
#include "app/pipeline.h"
#include "app/traffic.h"
#include "statsd/scan.h"

#include <dirent.h>
#include <pthread.h>
#include <sched.h>

static const char mapping[] =
    "defaults:\n"
    "  observer_type: histogram\n"
    "  histogram_options: {buckets: [0.1, 1, 5]}\n"
    "tags: {drop: [le], rename: {quantile: q}}\n"
    "max_values: {n: 3}\n"
    "mappings:\n"
    "- {match: 'web.*', name: web, labels: {page: '$1', k: rule}}\n"
    "- {match: 'honor.*', name: honor, labels: {k: rule}, honor_labels: true}\n"
    "- {match: 'drop.*', action: drop}\n"
    "- {match: 't.*', match_metric_type: observer, name: t, labels: {n: '$1'}}\n"
    "- {match: 's.*', name: s, observer_type: summary, labels: {n: '$1'}}\n"
    "- {match: 'scale.*', name: scaled, scale: -2}\n"
    "- {match: 'ttl.*', name: 'ttl_$1', ttl: 2s}\n"
    "- {match: 'many.*', name: many, labels: {n: '$1'}, ttl: 3s}\n"
    "- {match: '^e(.?)$', match_type: regex, name: '$1'}\n";

static struct pipeline
new_pipeline(unsigned threads, uint64_t max_series)
{
	static const struct span reserved = {"taken", 5};
	struct pipeline p;
	struct diag diag = DIAG_INIT;
	struct bridge_settings settings = pipeline_defaults();
	settings.threads = threads;
	settings.max_series = max_series;
	settings.statsd.sets = true;
	settings.reserved = &reserved;
	settings.reserved_count = 1;
	clock_fake(0);
	assert_true(pipeline_init(&p, settings, mapping, &diag));
	diag_fini(&diag);
	return p;
}

/* ---- Comparing two bridges. ---- */

static void
show_first_difference(struct span a, struct span b)
{
	size_t at = 0, start = 0;
	for (; at < a.len && at < b.len && a.ptr[at] == b.ptr[at]; at++)
		start = a.ptr[at] == '\n' ? at + 1 : start;
	for (unsigned i = 0; i < 2; i++) {
		struct span rest = span_from(i ? b : a, start);
		const char *end = span_find(rest, '\n');
		size_t len = end ? (size_t)(end - rest.ptr) : rest.len;
		print_error("%s: %.*s\n", i ? "other" : "one", (int)len, rest.ptr);
	}
}

static void
assert_texts_equal(struct buf *a, struct buf *b)
{
	if (!span_equal(buf_span(a), buf_span(b))) {
		show_first_difference(buf_span(a), buf_span(b));
		fail_msg("they differ");
	}
	buf_fini(a);
	buf_fini(b);
}

/* Takes out what depends on the order in which threads were heard: quantiles, within their error. */
static void
drop_quantiles(struct buf *text)
{
	struct buf kept = BUF_INIT;
	for (struct span rest = buf_span(text); rest.len;) {
		const char *end = span_find(rest, '\n');
		size_t len = (size_t)(end - rest.ptr) + 1;
		if (!memmem(rest.ptr, len, "quantile=\"", strlen("quantile=\"")))
			buf_add(&kept, rest.ptr, len);
		rest = span_from(rest, len);
	}
	buf_fini(text);
	*text = kept;
}

static void
compare_scrapes(struct pipeline *a, struct pipeline *b, bool with_quantiles)
{
	struct buf one = BUF_INIT, other = BUF_INIT;
	struct span where;
	pipeline_expose(a, &one);
	pipeline_expose(b, &other);
	const char *fault = exposition_find_fault(buf_span(&one), &where);
	if (fault)
		fail_msg("%s: %.*s", fault, SPAN_ARGS(where));
	if (!with_quantiles) {
		drop_quantiles(&one);
		drop_quantiles(&other);
	}
	assert_texts_equal(&one, &other);
}

static void
assert_same_scrape(struct pipeline *a, struct pipeline *b)
{
	compare_scrapes(a, b, true);
}

static void
assert_same_counters(const struct pipeline *a, const struct pipeline *b)
{
	struct account *one = pipeline_account(a), *other = pipeline_account(b);
	struct buf one_text = BUF_INIT, other_text = BUF_INIT;
	assert_true(account_is_balanced(one));
	account_format(one, &one_text);
	account_format(other, &other_text);
	assert_texts_equal(&one_text, &other_text);
	for (unsigned i = 0; i < ACCOUNT_COUNTERS; i++) {
		/* An etsy sample like the one before it is looked up only where that had no series. */
		bool is_lookup = i == ACCOUNT_CACHE_HITS || i == ACCOUNT_CACHE_GETS;
		/* Which of these belongs to which name is a matter of order. */
		bool is_name = i >= ACCOUNT_UNMAPPED_NAMES && i < ACCOUNT_CONFLICTS;
		if (!is_lookup && !is_name)
			assert_int_equal(account_get(one, i), account_get(other, i));
	}
	free(one);
	free(other);
}

static void
assert_same_unmapped(const struct pipeline *a, const struct pipeline *b)
{
	struct buf one = BUF_INIT, other = BUF_INIT;
	bridge_write_unmapped(a->bridge, &one);
	bridge_write_unmapped(b->bridge, &other);
	assert_texts_equal(&one, &other);
}

/* ---- Known spellings and new ones. ---- */

/* After so many lines all is compared; fewer find the line that makes a difference. */
#define COMPARED_LINES 50

static void
send_as_new(struct pipeline *p, struct span payload)
{
	bridge_void_spellings(p->bridge);
	pipeline_send(p, 0, payload);
}

static void
send_to_both(struct pipeline *known, struct pipeline *new, struct span line)
{
	pipeline_send(known, 0, line);
	send_as_new(new, line);
}

static void
check_traffic(uint64_t seed, unsigned lines, uint64_t max_series)
{
	struct pipeline known = new_pipeline(1, max_series), new = new_pipeline(1, max_series);
	struct traffic traffic = {.state = seed};
	struct buf line = BUF_INIT;
	for (unsigned i = 0; i < lines; i++) {
		buf_reset(&line);
		traffic_add_line(&traffic, &line);
		send_to_both(&known, &new, buf_span(&line));
		if (i % COMPARED_LINES)
			continue;
		clock_fake((int64_t)i * 10000);
		pipeline_tick(&known);
		pipeline_tick(&new);
		assert_same_scrape(&known, &new);
		assert_same_counters(&known, &new);
		assert_same_unmapped(&known, &new);
	}
	assert_same_scrape(&known, &new);
	buf_fini(&line);
	struct account *account = pipeline_account(&known);
	uint64_t hits = account_get(account, ACCOUNT_CACHE_HITS);
	free(account);
	assert_true(hits > lines / 8); /* or nothing was compared */
	pipeline_fini(&known);
	pipeline_fini(&new);
}

#define BATCHED_LINES 300

/* Many lines in one payload, which go in batches and ahead of each other, and each by itself as new. */
static void
check_batches(uint64_t seed, unsigned payloads, uint64_t max_series)
{
	struct pipeline batched = new_pipeline(1, max_series), new = new_pipeline(1, max_series);
	struct traffic traffic = {.state = seed};
	struct buf payload = BUF_INIT;
	for (unsigned i = 0; i < payloads; i++) {
		buf_reset(&payload);
		for (unsigned j = 0; j < BATCHED_LINES; j++) {
			if (j)
				buf_add_byte(&payload, '\n');
			size_t start = payload.len;
			traffic_add_line(&traffic, &payload);
			send_as_new(&new, span_from(buf_span(&payload), start));
		}
		pipeline_send(&batched, 0, buf_span(&payload));
		clock_fake((int64_t)i * 500000);
		pipeline_tick(&batched);
		pipeline_tick(&new);
		assert_same_scrape(&batched, &new);
		assert_same_counters(&batched, &new);
		assert_same_unmapped(&batched, &new);
	}
	buf_fini(&payload);
	pipeline_fini(&batched);
	pipeline_fini(&new);
}

static void
test_ingest__batch_counts_as_its_lines(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 8; seed++)
		check_batches(seed * 0x9e3779b97f4a7c15, 12, seed % 2 ? 10000 : 12);
}

static void
test_ingest__known_spelling_counts_as_new_one(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 4; seed++)
		check_traffic(seed * 0x9e3779b97f4a7c15, 5000, 10000);
}

static void
test_ingest__known_spelling_counts_as_new_one__few_series(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 4; seed++)
		check_traffic(seed * 0xc2b2ae3d27d4eb4f, 5000, 12);
}

static void
read_file(const char *path, struct buf *out)
{
	FILE *file = fopen(path, "rb");
	assert_non_null(file);
	for (int byte; (byte = getc(file)) != EOF;)
		buf_add_byte(out, (char)byte);
	fclose(file);
}

static size_t
send_corpus(const char *folder, struct pipeline *known, struct pipeline *new)
{
	DIR *dir = opendir(folder);
	assert_non_null(dir);
	size_t files = 0;
	for (struct dirent *entry; (entry = readdir(dir));) {
		char path[512];
		struct buf text = BUF_INIT;
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		read_file(path, &text);
		if (text.len <= STATSD_LINE_MAX)
			send_to_both(known, new, buf_span(&text));
		buf_fini(&text);
		files++;
	}
	closedir(dir);
	return files;
}

static void
test_ingest__known_spelling_counts_as_new_one__corpus(void **state)
{
	(void)state;
	struct pipeline known = new_pipeline(1, 10000), new = new_pipeline(1, 10000);
	for (unsigned round = 0; round < 3; round++) {
		assert_true(send_corpus("tests/data/statsd/line", &known, &new) > 100);
		assert_true(send_corpus("tests/data/statsd/tags", &known, &new) > 10);
		assert_same_scrape(&known, &new);
		assert_same_counters(&known, &new);
	}
	pipeline_fini(&known);
	pipeline_fini(&new);
}

/* ---- Samples of one line. ---- */

static void
add_sample(struct traffic *traffic, bool is_last, struct buf *out)
{
	static const char *const values[] = {"1", "2.5", "-3", "+4", "0", "1e308", "x", "", "inf"};
	static const char *const suffixes[] = {"c",      "g",          "ms",       "h",
					       "d",      "s",          "x",        "",
					       "c|@0.5", "c|@0.3|@0.5", "ms|@0.25", "h|@0.3",
					       "g|@x",   "c||@0.5",    "c|?|@0.5", "d|T1|@0.1"};
	static const char *const last[] = {"", "|c:abc", "|c:", "|c:x|@0.5", "|T1", "|", "|?"};
	buf_add_text(out, PICK(traffic, values));
	buf_add_byte(out, '|');
	buf_add_text(out, PICK(traffic, suffixes));
	if (is_last)
		buf_add_text(out, PICK(traffic, last));
}

/* Sends a line to one, and each of its samples by itself to the other. */
static void
send_samples(struct traffic *traffic, struct pipeline *together, struct pipeline *apart)
{
	static const char *const names[] = {"a",       "web.home,k=v", "web.cart", "drop.me",
					    "t.x,a=1", "t.y,le=1",     "s.1",      "s.2,quantile=1",
					    "scale.c", "ttl.a[k=v]",   "e",        "taken,k=v",
					    "many.1",  "many.2",       "many.3",   "many.4",
					    "many.5",  "h_count",      "honor.x#k=w"};
	const char *name = PICK(traffic, names);
	struct buf line = BUF_INIT, single = BUF_INIT;
	buf_add_text(&line, name);
	for (uint64_t left = 1 + traffic_below(traffic, 8); left; left--) {
		buf_add_byte(&line, ':');
		size_t start = line.len;
		add_sample(traffic, left == 1, &line);
		buf_reset(&single);
		buf_printf(&single, "%s:", name);
		buf_add_span(&single, span_from(buf_span(&line), start));
		send_as_new(apart, buf_span(&single));
	}
	if (traffic_one_in(traffic, 3))
		send_as_new(together, buf_span(&line));
	else
		pipeline_send(together, 0, buf_span(&line));
	buf_fini(&line);
	buf_fini(&single);
}

static void
assert_same_sample_counters(const struct pipeline *together, const struct pipeline *apart)
{
	struct account *one = pipeline_account(together), *other = pipeline_account(apart);
	assert_true(account_is_balanced(one));
	for (unsigned i = 0; i < ACCOUNT_COUNTERS; i++) {
		bool is_line = i == ACCOUNT_LINES || i == ACCOUNT_LINES_WITH_SAMPLES;
		bool is_lookup = i == ACCOUNT_CACHE_HITS || i == ACCOUNT_CACHE_GETS;
		if (!is_line && !is_lookup)
			assert_int_equal(account_get(one, i), account_get(other, i));
	}
	free(one);
	free(other);
}

static void
check_samples(uint64_t seed, uint64_t max_series)
{
	struct pipeline together = new_pipeline(1, max_series), apart = new_pipeline(1, max_series);
	struct traffic traffic = {.state = seed};
	for (unsigned i = 0; i < 4000; i++) {
		send_samples(&traffic, &together, &apart);
		if (i % COMPARED_LINES)
			continue;
		clock_fake((int64_t)i * 10000);
		pipeline_tick(&together);
		pipeline_tick(&apart);
		assert_same_scrape(&together, &apart);
		assert_same_sample_counters(&together, &apart);
	}
	pipeline_fini(&together);
	pipeline_fini(&apart);
}

/* What is kept of a line for its further samples makes no difference. */
static void
test_ingest__samples_of_a_line_count_as_lines(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 8; seed++)
		check_samples(seed * 0x9e3779b97f4a7c15, seed % 2 ? 10000 : 12);
}

/* ---- Payloads and threads. ---- */

static void
test_ingest__split_makes_no_difference(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 3; seed++) {
		struct pipeline one = new_pipeline(1, 10000), other = new_pipeline(3, 10000);
		struct traffic traffic = {seed * 0x9e3779b97f4a7c15, true}, dice = {seed, true};
		struct buf all = BUF_INIT, part = BUF_INIT;
		for (unsigned i = 0; i < 5000; i++) {
			size_t start = all.len;
			if (i)
				buf_add_byte(&all, '\n');
			traffic_add_line(&traffic, &all);
			struct span line = span_from(buf_span(&all), start + (i > 0));
			buf_add_span(&part, line);
			if (!traffic_one_in(&dice, 4) && i + 1 < 5000) {
				buf_add_byte(&part, '\n');
				continue;
			}
			pipeline_send(&other, (unsigned)traffic_below(&dice, 3), buf_span(&part));
			buf_reset(&part);
		}
		pipeline_send(&one, 0, buf_span(&all));
		assert_same_counters(&one, &other);
		assert_same_unmapped(&one, &other);
		compare_scrapes(&one, &other, false);
		buf_fini(&all);
		buf_fini(&part);
		pipeline_fini(&one);
		pipeline_fini(&other);
	}
}

#define SENDERS 3
#define LINES_EACH 8000

struct sender {
	struct pipeline *pipeline;
	unsigned thread;
	bool is_exact;
	_Atomic unsigned *running;
};

static void
send_share(struct pipeline *p, unsigned thread, unsigned share, bool is_exact)
{
	struct traffic traffic = {(share + 1) * 0x9e3779b97f4a7c15, is_exact};
	struct buf payload = BUF_INIT;
	for (unsigned i = 0; i < LINES_EACH; i++) {
		buf_reset(&payload);
		traffic_add_line(&traffic, &payload);
		pipeline_send(p, thread, buf_span(&payload));
	}
	buf_fini(&payload);
}

static void *
run_sender(void *arg)
{
	struct sender *sender = arg;
	send_share(sender->pipeline, sender->thread, sender->thread, sender->is_exact);
	atomic_fetch_sub(sender->running, 1);
	return NULL;
}

static void
reload(struct pipeline *p)
{
	struct diag diag = DIAG_INIT;
	assert_true(bridge_reload(p->bridge, &diag));
	diag_fini(&diag);
}

/* What the control thread does meanwhile: time passes fast, series end, rules and scrapes are read.
 */
static void
control_meanwhile(struct pipeline *p, const _Atomic unsigned *running)
{
	struct buf text = BUF_INIT;
	struct span where;
	for (int64_t turn = 1; atomic_load(running); turn++) {
		clock_fake(turn * 250000);
		if (registry_expire(p->bridge->registry, (uint32_t)(turn * 250000 / TICK_US) + 1))
			sched_yield();
		bridge_collect(p->bridge);
		if (turn % 64 == 0)
			reload(p);
		if (turn % 8)
			continue;
		buf_reset(&text);
		pipeline_expose(p, &text);
		registry_free_retired(p->bridge->registry);
		const char *fault = exposition_find_fault(buf_span(&text), &where);
		if (fault)
			fail_msg("%s: %.*s", fault, SPAN_ARGS(where));
	}
	buf_fini(&text);
}

static void
send_at_once(struct pipeline *p, bool is_exact)
{
	pthread_t handles[SENDERS];
	struct sender senders[SENDERS];
	_Atomic unsigned running = SENDERS;
	for (unsigned i = 0; i < SENDERS; i++) {
		senders[i] = (struct sender){p, i, is_exact, &running};
		assert_int_equal(pthread_create(&handles[i], NULL, run_sender, &senders[i]), 0);
	}
	control_meanwhile(p, &running);
	for (unsigned i = 0; i < SENDERS; i++)
		pthread_join(handles[i], NULL);
}

/* Own counters only: windows of summaries pass at other moments. */
static void
test_ingest__threads_at_once_count_as_one(void **state)
{
	(void)state;
	struct pipeline one = new_pipeline(1, 10000), other = new_pipeline(SENDERS, 10000);
	for (unsigned i = 0; i < SENDERS; i++)
		send_share(&one, 0, i, true);
	send_at_once(&other, true);
	assert_same_counters(&one, &other);
	pipeline_fini(&one);
	pipeline_fini(&other);
}

#define LIMITED_VALUES 200
#define LIMITED_LINES 20000

static void
send_limited_values(struct pipeline *p, unsigned thread)
{
	struct traffic dice = {(thread + 1) * 0x9e3779b97f4a7c15, true};
	for (unsigned i = 0; i < LIMITED_LINES; i++) {
		char line[64];
		int len = snprintf(line, sizeof(line), "c:1|c|#user:u%u",
				   (unsigned)traffic_below(&dice, LIMITED_VALUES));
		pipeline_send(p, thread, span_of(line, (size_t)len));
	}
}

static void *
run_limited(void *arg)
{
	struct sender *sender = arg;
	send_limited_values(sender->pipeline, sender->thread);
	return NULL;
}

/* The values of the label user that are exposed, and what all series add up to. */
static unsigned
count_exposed(struct pipeline *p, double *sum)
{
	static const struct span start = {"c{user=\"", 8};
	struct buf text = BUF_INIT;
	pipeline_expose(p, &text);
	unsigned values = 0;
	const char *at = buf_text(&text);
	for (; at; at = strchr(at, '\n')) {
		at += *at == '\n';
		if (strncmp(at, start.ptr, start.len) != 0)
			continue;
		values += strncmp(at + start.len, "other\"", 6) != 0;
		*sum += strtod(strchr(at, ' '), NULL);
	}
	buf_fini(&text);
	return values;
}

/* A limit is for all threads together, whoever sees a value first, and nothing is lost. */
static void
test_ingest__threads_share_the_places_of_a_label(void **state)
{
	(void)state;
	struct pipeline p;
	struct diag diag = DIAG_INIT;
	struct bridge_settings settings = pipeline_defaults();
	settings.threads = SENDERS;
	clock_fake(0);
	assert_true(pipeline_init(&p, settings, "max_values: {user: 50}\n", &diag));
	diag_fini(&diag);
	pthread_t handles[SENDERS];
	struct sender senders[SENDERS];
	for (unsigned i = 0; i < SENDERS; i++) {
		senders[i] = (struct sender){.pipeline = &p, .thread = i};
		assert_int_equal(pthread_create(&handles[i], NULL, run_limited, &senders[i]), 0);
	}
	for (unsigned i = 0; i < SENDERS; i++)
		pthread_join(handles[i], NULL);
	double sum = 0;
	assert_int_equal(count_exposed(&p, &sum), 50);
	assert_true(sum == SENDERS * LIMITED_LINES);
	assert_int_equal(value_limits_label(p.bridge->limits, 0).values, 50);
	pipeline_fini(&p);
}

/* Any traffic, series that come and go all the time: nothing is lost, nothing is counted twice. */
static void
test_ingest__accounts_balance_while_series_end(void **state)
{
	(void)state;
	struct pipeline p = new_pipeline(SENDERS, 30);
	send_at_once(&p, false);
	struct account *account = pipeline_account(&p);
	assert_true(account_is_balanced(account));
	assert_int_equal(account_get(account, ACCOUNT_LINES), SENDERS * LINES_EACH);
	free(account);
	pipeline_fini(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_ingest__batch_counts_as_its_lines),
	    cmocka_unit_test(test_ingest__known_spelling_counts_as_new_one),
	    cmocka_unit_test(test_ingest__known_spelling_counts_as_new_one__few_series),
	    cmocka_unit_test(test_ingest__known_spelling_counts_as_new_one__corpus),
	    cmocka_unit_test(test_ingest__samples_of_a_line_count_as_lines),
	    cmocka_unit_test(test_ingest__split_makes_no_difference),
	    cmocka_unit_test(test_ingest__threads_at_once_count_as_one),
	    cmocka_unit_test(test_ingest__threads_share_the_places_of_a_label),
	    cmocka_unit_test(test_ingest__accounts_balance_while_series_end),
	};
	int failed = 0;
	for (const struct scan_backend *backend = scan_backends(); backend->name; backend++) {
		if (!scan_select(backend->name))
			continue;
		print_message("scanner: %s\n", backend->name);
		failed += cmocka_run_group_tests(tests, NULL, NULL);
#ifdef __SANITIZE_THREAD__
		break; /* between threads all are alike */
#endif
	}
	return failed;
}
