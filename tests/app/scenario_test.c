/*
 * Runs tests/scenarios/: mapping files, lines and time in, scrapes and own counters out, all in
 * memory and under the fake clock.
 *
 * A .case file holds scenarios, each with a bridge of its own. A line is one statement; lines that
 * start with '#' and empty lines are skipped. The statements:
 *
 *	SCENARIO title		begins a scenario at second 0
 *	OPTIONS key=value ...	threads, max-series, signed-gauges=absolute, container-id=off,
 *				sets=on, reserved=name (a name the bridge itself exposes)
 *	MAPPING			the mapping file: the lines that follow, a tab in front of each
 *	MAPPING n		the n-th mapping file, from 2
 *	RELOAD			writes the lines that follow into the mapping file and reloads all
 *	RELOAD n		the same with the n-th
 *	AT seconds		moves time on; whatever the control thread and the ingest threads
 *				do each second is done at each second on the way
 *	SEND payload		one payload for ingest thread 0; \n \r \t \\ and \xHH are bytes
 *	SEND@n payload		for ingest thread n
 *	SEND*n payload		n times
 *	EXPECT line		a scrape has exactly this line, byte for byte
 *	EXPECT-NOT start	no line of a scrape starts so; without text: the scrape is empty
 *	EXPECT-OWN counter n	an own counter without prefix, `name{label="value"}`; also
 *				series, families, metrics (how many exist) and
 *				conflicts{type,name}, and of the n-th mapping file
 *				label_values{n,label} and label_values_replaced{n,label}
 *	EXPECT-UNMAPPED text	the list of unmapped names has this part; without text: it is empty
 *	EXPECT-ERROR text	the mapping or the reload before it was refused, also with this text
 *
 * OPTIONS and MAPPING come before all others. At the end of a scenario every line and every sample
 * must be accounted for.
 */
#include "test.h"

#include "app/pipeline.h"

#include <dirent.h>

#define SCENARIOS_MIN 25

struct scenario {
	const char *file;
	unsigned line;
	char title[128];
	struct bridge_settings settings;
	struct span reserved;
	struct buf mappings[PIPELINE_FILES_MAX];
	size_t mapping_count;
	bool is_started, is_running;
	bool was_refused; /* the last mapping, and no EXPECT-ERROR has said so yet */
	struct pipeline pipeline;
	int64_t now_us;
	struct diag diag;
	size_t failures;
};

/* Says what is wrong at this line; the scenario goes on. */
static void PRINTF_LIKE(2, 3) fail_at(struct scenario *s, const char *format, ...)
{
	struct buf text = BUF_INIT;
	va_list args;
	va_start(args, format);
	buf_vprintf(&text, format, args);
	va_end(args);
	print_error("%s:%u: %s: %s\n", s->file, s->line, s->title, buf_text(&text));
	buf_fini(&text);
	s->failures++;
}

/* ---- Beginning and ending. ---- */

static void
begin(struct scenario *s, const char *title)
{
	*s = (struct scenario){.file = s->file, .line = s->line, .failures = s->failures};
	snprintf(s->title, sizeof(s->title), "%s", title);
	s->settings = pipeline_defaults();
	for (size_t i = 0; i < PIPELINE_FILES_MAX; i++)
		s->mappings[i] = BUF_INIT;
	s->diag = DIAG_INIT;
	clock_fake(0);
}

static void
start(struct scenario *s)
{
	if (s->is_started)
		return;
	s->is_started = true;
	if (s->reserved.ptr) {
		s->settings.reserved = &s->reserved;
		s->settings.reserved_count = 1;
	}
	const char *mappings[PIPELINE_FILES_MAX];
	for (size_t i = 0; i < s->mapping_count; i++)
		mappings[i] = buf_text(&s->mappings[i]);
	s->is_running =
	    pipeline_init_files(&s->pipeline, s->settings, mappings, s->mapping_count, &s->diag);
	s->was_refused = !s->is_running;
}

static void
check_refusal_was_expected(struct scenario *s)
{
	if (!s->was_refused)
		return;
	fail_at(s, "the mapping was refused: %s", s->diag.messages[0].text);
	s->was_refused = false;
}

static void
end(struct scenario *s)
{
	if (!*s->title)
		return;
	check_refusal_was_expected(s);
	if (s->is_running) {
		struct account *account = pipeline_account(&s->pipeline);
		if (!account_is_balanced(account))
			fail_at(s, "the accounts do not balance");
		free(account);
	}
	pipeline_fini(&s->pipeline);
	for (size_t i = 0; i < PIPELINE_FILES_MAX; i++)
		buf_fini(&s->mappings[i]);
	diag_fini(&s->diag);
	free((char *)(uintptr_t)s->reserved.ptr);
	*s->title = '\0';
}

/* ---- Statements that do something. ---- */

static void
set_option(struct scenario *s, const char *key, const char *value)
{
	if (strcmp(key, "threads") == 0)
		s->settings.threads = (unsigned)atoi(value);
	else if (strcmp(key, "max-series") == 0)
		s->settings.max_series = (uint64_t)atoi(value);
	else if (strcmp(key, "signed-gauges") == 0)
		s->settings.signed_gauges_absolute = strcmp(value, "absolute") == 0;
	else if (strcmp(key, "container-id") == 0)
		s->settings.statsd.container_id_label = strcmp(value, "off") != 0;
	else if (strcmp(key, "sets") == 0)
		s->settings.statsd.sets = strcmp(value, "on") == 0;
	else if (strcmp(key, "reserved") == 0)
		s->reserved = span_text(xstrdup(value));
	else
		fail_at(s, "unknown option %s", key);
}

static void
do_options(struct scenario *s, char *args)
{
	for (char *word; (word = strsep(&args, " "));) {
		char *value = strchr(word, '=');
		if (!value) {
			fail_at(s, "no value: %s", word);
			continue;
		}
		*value = '\0';
		set_option(s, word, value + 1);
	}
}

static void
do_at(struct scenario *s, const char *args)
{
	int64_t until = (int64_t)(strtod(args, NULL) * 1e6 + 0.5);
	if (until < s->now_us)
		fail_at(s, "time goes back");
	for (int64_t second = s->now_us / 1000000 + 1; second * 1000000 <= until; second++) {
		clock_fake(second * 1000000);
		pipeline_tick(&s->pipeline);
	}
	clock_fake(until);
	s->now_us = until;
}

static void
unescape(const char *text, struct buf *out)
{
	for (; *text; text++) {
		unsigned byte = (unsigned char)*text;
		if (*text == '\\') {
			static const char letters[] = "nrt\\", bytes[] = "\n\r\t\\";
			const char *letter = strchr(letters, *++text);
			if (*text && letter)
				byte = (unsigned char)bytes[letter - letters];
			else if (sscanf(text, "x%2x", &byte) == 1)
				text += 2;
			else
				CHECK(!"an escape this language has");
		}
		buf_add_byte(out, (char)byte);
	}
}

/* @how what stands between SEND and its payload: "", "@2" or "*100" */
static void
do_send(struct scenario *s, const char *how, const char *args)
{
	unsigned thread = *how == '@' ? (unsigned)atoi(how + 1) : 0;
	unsigned times = *how == '*' ? (unsigned)atoi(how + 1) : 1;
	struct buf payload = BUF_INIT;
	unescape(args, &payload);
	for (unsigned i = 0; i < times; i++)
		pipeline_send(&s->pipeline, thread, buf_span(&payload));
	buf_fini(&payload);
}

static void
do_reload(struct scenario *s, size_t number, struct buf *mapping)
{
	diag_fini(&s->diag);
	s->diag = DIAG_INIT;
	pipeline_write_mapping(&s->pipeline, number, buf_span(mapping));
	s->was_refused = !bridge_reload(s->pipeline.bridge, &s->diag);
}

/* ---- Statements that expect something. ---- */

/* Calls for each line of a scrape; @return whether `is_it` was true for any */
static bool
any_line(struct scenario *s, bool (*is_it)(struct span line, struct span wanted),
	 struct span wanted)
{
	struct buf text = BUF_INIT;
	pipeline_expose(&s->pipeline, &text);
	struct span rest = buf_span(&text);
	bool found = false;
	while (rest.len && !found) {
		size_t len = (size_t)(span_find(rest, '\n') - rest.ptr);
		found = is_it(span_first(rest, len), wanted);
		rest = span_from(rest, len + 1);
	}
	buf_fini(&text);
	return found;
}

static void
show_scrape(struct scenario *s)
{
	struct buf text = BUF_INIT;
	pipeline_expose(&s->pipeline, &text);
	print_error("%s", buf_text(&text));
	buf_fini(&text);
}

static void
do_expect(struct scenario *s, const char *args)
{
	if (any_line(s, span_equal, span_text(args)))
		return;
	fail_at(s, "no line %s in", args);
	show_scrape(s);
}

static void
do_expect_not(struct scenario *s, const char *args)
{
	if (!any_line(s, span_starts, span_text(args)))
		return;
	fail_at(s, "a line starts with %s in", args);
	show_scrape(s);
}

static void
add_existing(const struct scenario *s, struct buf *out)
{
	const struct registry *registry = s->pipeline.bridge->registry;
	uint64_t series = 0, metrics = 0;
	for (unsigned i = 0; i < METRIC_TYPES; i++) {
		series += registry_series_count(registry, i);
		metrics += registry_metrics_count(registry, i);
	}
	account_add_text(out, "series", NULL, NULL, series);
	account_add_text(out, "metrics", NULL, NULL, metrics);
	account_add_text(out, "families", NULL, NULL, registry_families_count(registry));
}

static void
add_conflicts(const struct scenario *s, const struct account *account, struct buf *out)
{
	for (unsigned i = 0; i < EVENT_KINDS * (CONFLICT_NAMES_MAX + 1); i++) {
		uint64_t n = account_get(account, ACCOUNT_CONFLICTS + i);
		if (n)
			buf_printf(
			    out, "conflicts{%s,%s}=%llu\n",
			    event_kind_text(i / (CONFLICT_NAMES_MAX + 1)),
			    bridge_conflict_name(s->pipeline.bridge, i % (CONFLICT_NAMES_MAX + 1)),
			    (unsigned long long)n);
	}
}

static void
add_limited_labels(const struct scenario *s, const struct account *account, struct buf *out)
{
	struct value_limits *limits = s->pipeline.bridge->limits;
	for (size_t i = 0; i < value_limits_labels(limits); i++) {
		struct limited_label label = value_limits_label(limits, i);
		uint64_t replaced = account_get(account, ACCOUNT_REPLACED_VALUES + (unsigned)i);
		size_t file = 0;
		while (!span_equal(span_text(s->pipeline.mapping->paths[file]), label.path))
			file++;
		if (label.values)
			buf_printf(out, "label_values{%zu,%.*s}=%llu\n", file + 1,
				   SPAN_ARGS(label.label), (unsigned long long)label.values);
		if (replaced)
			buf_printf(out, "label_values_replaced{%zu,%.*s}=%llu\n", file + 1,
				   SPAN_ARGS(label.label), (unsigned long long)replaced);
	}
}

static void
do_expect_own(struct scenario *s, const char *args)
{
	struct account *account = pipeline_account(&s->pipeline);
	struct buf have = BUF_INIT, want = BUF_INIT;
	const char *number = strrchr(args, ' ');
	CHECK(number);
	buf_add_byte(&have, '\n');
	account_format(account, &have);
	add_existing(s, &have);
	add_conflicts(s, account, &have);
	add_limited_labels(s, account, &have);
	bool is_zero = strcmp(number, " 0") == 0;
	buf_printf(&want, "\n%.*s=", (int)(number - args), args);
	if (!is_zero)
		buf_printf(&want, "%s\n", number + 1);
	if ((strstr(buf_text(&have), buf_text(&want)) != NULL) == is_zero)
		fail_at(s, "%s; there is:%s", args, buf_text(&have));
	buf_fini(&have);
	buf_fini(&want);
	free(account);
}

static void
do_expect_unmapped(struct scenario *s, const char *args)
{
	struct buf out = BUF_INIT;
	bridge_write_unmapped(s->pipeline.bridge, &out);
	const char *want = *args ? args : "{\"names\":[],\"left_out\":{\"names\":0,\"events\":0}}";
	if (!strstr(buf_text(&out), want))
		fail_at(s, "no %s in %s", want, buf_text(&out));
	buf_fini(&out);
}

static void
do_expect_error(struct scenario *s, const char *args)
{
	if (!s->diag.errors)
		fail_at(s, "the mapping was not refused");
	s->was_refused = false;
	for (size_t i = 0; i < s->diag.count; i++) {
		if (s->diag.messages[i].is_error && strstr(s->diag.messages[i].text, args))
			return;
	}
	fail_at(s, "no error says: %s", args);
	for (size_t i = 0; i < s->diag.count; i++)
		print_error("%s\n", s->diag.messages[i].text);
}

/* ---- Reading files. ---- */

/* Reads the lines of a block; the first line behind it stays in *line. @return whether there is one
 */
static bool
read_block(struct scenario *s, FILE *file, char **line, size_t *size, struct buf *out)
{
	ssize_t len;
	while ((len = getline(line, size, file)) > 0) {
		s->line++;
		if (**line != '\t')
			return true;
		buf_add(out, *line + 1, (size_t)len - 1);
	}
	return false;
}

static void
run_statement(struct scenario *s, char *word, char *args)
{
	if (strcmp(word, "SCENARIO") == 0) {
		end(s);
		begin(s, args);
	} else if (strcmp(word, "OPTIONS") == 0) {
		do_options(s, args);
	} else if (start(s), strcmp(word, "EXPECT-ERROR") == 0) {
		do_expect_error(s, args);
	} else if (check_refusal_was_expected(s), !s->is_running) {
		fail_at(s, "there is no bridge");
	} else if (strcmp(word, "AT") == 0) {
		do_at(s, args);
	} else if (strncmp(word, "SEND", 4) == 0 && strchr("@*", word[4])) {
		do_send(s, word + 4, args);
	} else if (strcmp(word, "EXPECT") == 0) {
		do_expect(s, args);
	} else if (strcmp(word, "EXPECT-NOT") == 0) {
		do_expect_not(s, args);
	} else if (strcmp(word, "EXPECT-OWN") == 0) {
		do_expect_own(s, args);
	} else if (strcmp(word, "EXPECT-UNMAPPED") == 0) {
		do_expect_unmapped(s, args);
	} else {
		fail_at(s, "unknown statement %s", word);
	}
}

/* The mapping file that MAPPING or RELOAD means, from 0. */
static size_t
file_number(const char *args)
{
	size_t number = *args ? (size_t)atoi(args) : 1;
	CHECK(number >= 1 && number <= PIPELINE_FILES_MAX);
	return number - 1;
}

/* @return whether `line` holds a line that is yet to be read */
static bool
run_block_statement(struct scenario *s, FILE *file, char **line, size_t *size, bool is_reload,
		    size_t number)
{
	struct buf reloaded = BUF_INIT;
	if (is_reload)
		start(s);
	check_refusal_was_expected(s);
	bool more = read_block(s, file, line, size, is_reload ? &reloaded : &s->mappings[number]);
	if (is_reload && s->is_running && number < s->mapping_count)
		do_reload(s, number, &reloaded);
	else if (!is_reload && !s->is_started && number == s->mapping_count)
		s->mapping_count++;
	else
		fail_at(s, "not a mapping file that can be given here");
	buf_fini(&reloaded);
	return more;
}

/* @return scenarios run */
static size_t
run_file(const char *path, size_t *failures)
{
	FILE *file = fopen(path, "r");
	assert_non_null(file);
	struct scenario s = {.file = path};
	char *line = NULL;
	size_t size = 0, count = 0;
	for (bool have = false; have || getline(&line, &size, file) > 0;) {
		s.line += !have;
		have = false;
		line[strcspn(line, "\n")] = '\0';
		if (*line == '#' || !*line)
			continue;
		char *args = line, *word = strsep(&args, " ");
		bool is_reload = strcmp(word, "RELOAD") == 0;
		count += strcmp(word, "SCENARIO") == 0;
		if (is_reload || strcmp(word, "MAPPING") == 0)
			have = run_block_statement(&s, file, &line, &size, is_reload,
						   file_number(args ? args : ""));
		else
			run_statement(&s, word, args ? args : line + strlen(line));
	}
	end(&s);
	*failures += s.failures;
	free(line);
	fclose(file);
	return count;
}

static void
test_scenarios(void **state)
{
	(void)state;
	struct dirent **entries;
	int n = scandir("tests/scenarios", &entries, NULL, alphasort);
	assert_true(n > 0);
	size_t scenarios = 0, failures = 0;
	for (int i = 0; i < n; i++) {
		struct span name = span_text(entries[i]->d_name);
		char path[512];
		snprintf(path, sizeof(path), "tests/scenarios/%s", entries[i]->d_name);
		if (span_ends(name, SPAN(".case")))
			scenarios += run_file(path, &failures);
		free(entries[i]);
	}
	free(entries);
	print_message("%zu scenarios\n", scenarios);
	assert_true(scenarios >= SCENARIOS_MIN);
	assert_int_equal(failures, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_scenarios)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
