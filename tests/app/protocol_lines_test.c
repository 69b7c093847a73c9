/*
 * Replays tests/data/protocol_lines.txt, which says at its top how it is read: each row's payload
 * into a fresh bridge, then once more into the same one, where every spelling is known already and
 * the counters must grow by exactly what they grew by at first.
 */
#include "test.h"

#include "app/pipeline.h"
#include "metrics/label_text.h"

#include <math.h>

#define ROWS 291

struct row {
	const char *fields[6]; /* NUL-terminated */
	struct buf payload;
};

/* ---- Reading rows. ---- */

static int
hex_digit(char digit)
{
	const char *digits = "0123456789abcdef";
	const char *at = strchr(digits, digit);
	assert_non_null(at);
	return (int)(at - digits);
}

/* "{TEXT*COUNT}" behind a backslash; @return what follows it */
static const char *
add_repeated(const char *at, struct buf *out)
{
	const char *star = strchr(at, '*');
	assert_non_null(star);
	char *end;
	unsigned long count = strtoul(star + 1, &end, 10);
	assert_true(*end == '}' && count > 0);
	for (unsigned long i = 0; i < count; i++) {
		for (const char *c = at + 1; c < star; c++) {
			if (c[0] == '\\' && c[1] == '#') {
				buf_printf(out, "%lu", i);
				c++;
			} else {
				buf_add_byte(out, *c);
			}
		}
	}
	return end + 1;
}

/* What follows a backslash; @return what follows that */
static const char *
add_escape(const char *at, struct buf *out)
{
	switch (*at) {
	case 'n':
		buf_add_byte(out, '\n');
		return at + 1;
	case 'r':
		buf_add_byte(out, '\r');
		return at + 1;
	case 't':
		buf_add_byte(out, '\t');
		return at + 1;
	case '0':
		buf_add_byte(out, '\0');
		return at + 1;
	case '\\':
		buf_add_byte(out, '\\');
		return at + 1;
	case 'x':
		buf_add_byte(out, (char)(hex_digit(at[1]) * 16 + hex_digit(at[2])));
		return at + 3;
	case '{':
		return add_repeated(at, out);
	default:
		fail_msg("bad escape \\%c", *at);
		return at + 1;
	}
}

static void
unescape(const char *at, const char *end, struct buf *out)
{
	while (at < end) {
		if (*at == '\\')
			at = add_escape(at + 1, out);
		else
			buf_add_byte(out, *at++);
	}
}

/* @line cut into fields in place */
static void
read_row(char *line, struct row *row)
{
	for (size_t i = 0; i < 6; i++) {
		row->fields[i] = strsep(&line, "\t");
		assert_non_null(row->fields[i]);
	}
	assert_null(line);
	row->payload = BUF_INIT;
	unescape(row->fields[2], row->fields[2] + strlen(row->fields[2]), &row->payload);
	if (row->payload.len != strtoul(row->fields[1], NULL, 10))
		fail_msg("row %s: payload of %zu bytes", row->fields[0], row->payload.len);
}

/* ---- Lists of texts, sorted, for comparing. ---- */

struct texts {
	struct span *items; /* owned, the bytes too */
	size_t count, capacity;
};

static void
texts_add(struct texts *texts, struct span text)
{
	texts->items = xgrow(texts->items, texts->count, &texts->capacity, sizeof(*texts->items));
	texts->items[texts->count++] = span_of(xmemdup0(text.ptr, text.len), text.len);
}

static void
texts_fini(struct texts *texts)
{
	for (size_t i = 0; i < texts->count; i++)
		free((char *)(uintptr_t)texts->items[i].ptr);
	free(texts->items);
	*texts = (struct texts){0};
}

static int
compare_spans(const void *a, const void *b)
{
	return span_compare(*(const struct span *)a, *(const struct span *)b);
}

static void
sort_texts(struct texts *texts)
{
	if (texts->count)
		qsort(texts->items, texts->count, sizeof(*texts->items), compare_spans);
}

static size_t
print_difference(const char *row, const char *what, struct texts *got, struct texts *want)
{
	sort_texts(got);
	sort_texts(want);
	bool same = got->count == want->count;
	for (size_t i = 0; same && i < got->count; i++)
		same = span_equal(got->items[i], want->items[i]);
	for (size_t i = 0; !same && i < got->count; i++)
		print_error("row %s: %s: got %.*s\n", row, what, SPAN_ARGS(got->items[i]));
	for (size_t i = 0; !same && i < want->count; i++)
		print_error("row %s: %s: want %.*s\n", row, what, SPAN_ARGS(want->items[i]));
	return !same;
}

/* ---- Series. ---- */

static void
add_number(struct buf *out, double value)
{
	buf_printf(out, "%.17g", isnan(value) ? (double)NAN : value);
}

static void
add_series(const struct family_view *family, const struct series_view *series, struct texts *out)
{
	struct buf text = BUF_INIT;
	struct span labels = series->labels, name, value;
	buf_add_span(&text, family->name);
	buf_add_byte(&text, '{');
	while (label_text_next(&labels, &name, &value)) {
		buf_printf(&text, "%.*s=\"", SPAN_ARGS(name));
		label_text_unescape(value, &text);
		buf_add_text(&text, labels.len ? "\"," : "\"");
	}
	buf_add_text(&text, "}=");
	if (family->type == METRIC_COUNTER || family->type == METRIC_GAUGE) {
		add_number(&text, series->value);
	} else {
		buf_printf(&text, "%llu/", (unsigned long long)series->count);
		add_number(&text, series->sum);
	}
	texts_add(out, buf_span(&text));
	buf_fini(&text);
}

static void
read_series(struct pipeline *p, struct texts *out)
{
	struct registry *registry = p->bridge->registry;
	struct reader *reader = registry_reader_new(registry, registry_births(registry),
						    bridge_now_us(p->bridge));
	struct family_view family;
	struct series_view series;
	while (reader_next_family(reader, &family)) {
		while (reader_next_series(reader, &series))
			add_series(&family, &series, out);
	}
	reader_free(&reader);
}

/* Field 4 as read_series() spells it. */
static void
expect_series(const char *field, struct texts *out)
{
	char *copy = xstrdup(field), *rest = copy, *word;
	while (strcmp(field, "-") != 0 && (word = strsep(&rest, " "))) {
		struct buf text = BUF_INIT;
		char *number = strrchr(word, '=');
		assert_non_null(number);
		unescape(word, ++number, &text);
		char *slash = strchr(number, '/'), *end;
		if (slash) {
			buf_printf(&text, "%llu/", strtoull(number, &end, 10));
			assert_ptr_equal(end, slash);
			number = slash + 1;
		}
		add_number(&text, strtod(number, &end));
		assert_int_equal(*end, '\0');
		texts_add(out, buf_span(&text));
		buf_fini(&text);
	}
	free(copy);
}

/* ---- Counters. ---- */

/* The file leaves out what the rest implies: see events_follow(). */
static bool
is_listed(struct span counter)
{
	return !span_starts(counter, SPAN("events_total")) &&
	       !span_starts(counter, SPAN("events_unmapped_total")) &&
	       !span_starts(counter, SPAN("event_repairs_total"));
}

static void
add_counters(const struct account *account, struct texts *out)
{
	struct buf text = BUF_INIT;
	account_format(account, &text);
	char *rest = (char *)(uintptr_t)buf_text(&text), *line;
	while ((line = strsep(&rest, "\n"))) {
		if (*line && is_listed(span_text(line)))
			texts_add(out, span_text(line));
	}
	buf_fini(&text);
}

static void
expect_counters(const char *field, struct texts *out)
{
	char *copy = xstrdup(field), *rest = copy, *word;
	while ((word = strsep(&rest, " ")))
		texts_add(out, span_text(word));
	free(copy);
}

/* Without mapping every event is unmapped, and an event is applied or counted as something else. */
static bool
events_follow(const struct account *account)
{
	uint64_t applied = account_sum(account, ACCOUNT_EVENTS, EVENT_KINDS);
	uint64_t refused =
	    account_sum(account, ACCOUNT_EVENTS_ERROR, DROP_REASONS) +
	    account_sum(account, ACCOUNT_CONFLICTS, ACCOUNT_COUNTERS - ACCOUNT_CONFLICTS);
	return applied >= account_get(account, ACCOUNT_SAMPLES_APPLIED) &&
	       account_get(account, ACCOUNT_EVENTS_UNMAPPED) == applied + refused &&
	       !account_get(account, ACCOUNT_EVENTS_MAPPED);
}

/* ---- The tests. ---- */

static struct pipeline
fresh_pipeline(void)
{
	struct pipeline p;
	struct diag diag = DIAG_INIT;
	assert_true(pipeline_init(&p, pipeline_defaults(), NULL, &diag));
	return p;
}

static size_t
check_row(const struct row *row)
{
	struct pipeline p = fresh_pipeline();
	struct texts got = {0}, want = {0};
	pipeline_send(&p, 0, buf_span(&row->payload));
	read_series(&p, &got);
	expect_series(row->fields[3], &want);
	size_t wrong = print_difference(row->fields[0], "series", &got, &want);
	texts_fini(&got);
	texts_fini(&want);
	struct account *account = pipeline_account(&p);
	add_counters(account, &got);
	expect_counters(row->fields[4], &want);
	wrong += print_difference(row->fields[0], "counters", &got, &want);
	if (!account_is_balanced(account) || !events_follow(account)) {
		print_error("row %s: the accounts do not balance\n", row->fields[0]);
		wrong++;
	}
	texts_fini(&got);
	texts_fini(&want);
	free(account);
	pipeline_fini(&p);
	return wrong;
}

/* Known spellings count as new ones do. */
static size_t
check_row_again(const struct row *row)
{
	struct pipeline p = fresh_pipeline();
	struct texts got = {0}, want = {0};
	pipeline_send(&p, 0, buf_span(&row->payload));
	struct account *first = pipeline_account(&p);
	pipeline_send(&p, 0, buf_span(&row->payload));
	struct account *both = pipeline_account(&p);
	for (unsigned i = 0; i < ACCOUNT_COUNTERS; i++) {
		uint64_t twice = 2 * account_get(first, i);
		if (i == ACCOUNT_CACHE_HITS || account_get(both, i) == twice)
			continue;
		print_error("row %s: counter %u: %llu then %llu\n", row->fields[0], i,
			    (unsigned long long)account_get(first, i),
			    (unsigned long long)account_get(both, i));
		texts_add(&got, SPAN("differs"));
	}
	if (!account_is_balanced(both))
		texts_add(&got, SPAN("not balanced"));
	size_t wrong = print_difference(row->fields[0], "second time", &got, &want);
	texts_fini(&got);
	free(first);
	free(both);
	pipeline_fini(&p);
	return wrong;
}

static size_t
for_each_row(size_t (*check)(const struct row *row))
{
	FILE *file = fopen("tests/data/protocol_lines.txt", "r");
	assert_non_null(file);
	char *line = NULL;
	size_t size = 0, rows = 0, wrong = 0;
	for (ssize_t len; (len = getline(&line, &size, file)) > 0;) {
		if (*line == '#')
			continue;
		struct row row;
		line[strcspn(line, "\n")] = '\0';
		read_row(line, &row);
		assert_int_equal(strtoul(row.fields[0], NULL, 10), ++rows);
		wrong += check(&row);
		buf_fini(&row.payload);
	}
	free(line);
	fclose(file);
	assert_int_equal(rows, ROWS);
	return wrong;
}

static void
test_protocol_lines__first_time(void **state)
{
	(void)state;
	assert_int_equal(for_each_row(check_row), 0);
}

static void
test_protocol_lines__second_time(void **state)
{
	(void)state;
	assert_int_equal(for_each_row(check_row_again), 0);
}

int
main(void)
{
	clock_fake(0);
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_protocol_lines__first_time),
	    cmocka_unit_test(test_protocol_lines__second_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
