#include "table.h"

#include "base/buf.h"

#include <stdio.h>
#include <string.h>

static struct table_row rows[] = {
    {"T1", "1-line UDP at 300 k/s, CPU a packet / null receiver's", AT_MOST, 1.20, 1.12, "x"},
    {"T1b", "the same at 100 k/s, where wake-ups dominate", REPORTED, 0, 0, "x"},
    {"T2", "1-line UDP at 300 k/s, CPU / without coalescing", AT_MOST, 0.65, 0.5, "x"},
    {"T3", "1432 B, user time a line / PB without its copy", AT_MOST, 1.25, 1.1, "x"},
    {"T4", "1432 B, packets a CPU second / null receiver's", AT_LEAST, 0.42, 0.50, "x"},
    {"T4b", "the same at 100 k/s", REPORTED, 0, 0, "x"},
    {"CPU", "1432 B, CPU a line, user and system", AT_MOST, 150, 0, "ns"},
    {"T5", "8 KiB datagrams, lines a CPU second / (1/PB)", AT_LEAST, 0.60, 0.75, "x"},
    {"T5b", "TCP, lines a CPU second / (1/PB)", AT_LEAST, 0.60, 0.75, "x"},
    {"T6", "in memory (PB) / finding newlines", AT_MOST, 4.5, 3, "x"},
    {"T7", "1 M series uniform / 10 k Zipf", AT_MOST, 1.6, 1.3, "x"},
    {"T8", "all spellings void before each batch / known", REPORTED, 0, 0, "x"},
    {"T9", "2 ingest threads / 1", AT_LEAST, 1.85, 1.95, "x"},
    {"T10", "no loss for 30 s at a share of saturation, 1 M scraped", AT_LEAST, 80, 90, "%"},
    {"T11", "scrape of 1 M counters, CPU / copying the text (CB)", AT_MOST, 5, 3, "x"},
    {"T12", "gzip scrape, CPU / identity's", AT_MOST, 12, 0, "x"},
    {"T13", "longest stall by scrape, reload, expiry; 1 thread", AT_MOST, 2, 0.2, "ms"},
    {"T13b", "the same with 2 threads", AT_MOST, 1, 0.2, "ms"},
    {"T14", "memory a counter series, worst of four counts", AT_MOST, 320, 220, "B"},
    {"T15", "new series a second in memory", AT_LEAST, 0.5, 1, "M/s"},
    {"T16", "peer's CPU a line / ours, 1 line a datagram", AT_LEAST, 6, 10, "x"},
    {"T16b", "the same, 1432 B", AT_LEAST, 20, 30, "x"},
    {"T16c", "the same, TCP", REPORTED, 0, 0, "x"},
    {"T18", "peer's CPU of a scrape / ours", AT_LEAST, 50, 150, "x"},
    {"T18b", "peer's memory a counter series / ours", REPORTED, 0, 0, "x"},
    {"GLOB", "a new name with 1000 glob rules", AT_MOST, 2, 0, "us"},
    {"REGEX", "a new name with 1000 regex rules", AT_MOST, 20, 0, "us"},
    {"RULES", "known names with 1000 rules / without, worst", AT_MOST, 1.05, 0, "x"},
    {"IDLE", "RssAnon at rest, default threads", AT_MOST, 8, 0, "MiB"},
};

static const char *selected;
static struct buf notes = BUF_INIT;

static bool
list_has(const char *list, struct span id)
{
	struct span rest = span_text(list);
	for (;;) {
		const char *comma = span_find(rest, ',');
		struct span one = comma ? span_first(rest, (size_t)(comma - rest.ptr)) : rest;
		if (span_equal(one, id))
			return true;
		if (!comma)
			return false;
		rest = span_from(rest, one.len + 1);
	}
}

void
table_select(const char *ids)
{
	selected = ids;
}

bool
table_wants(const char *ids)
{
	if (!selected)
		return true;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (list_has(ids, span_text(rows[i].id)) &&
		    list_has(selected, span_text(rows[i].id)))
			return true;
	return false;
}

static struct table_row *
find(const char *id)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (!strcmp(rows[i].id, id))
			return &rows[i];
	CHECK(!"no such row");
	return NULL;
}

void
table_set(const char *id, double value, const char *detail, ...)
{
	struct table_row *row = find(id);
	row->is_measured = true;
	row->value = value;
	va_list args;
	va_start(args, detail);
	vsnprintf(row->detail, sizeof(row->detail), detail, args);
	va_end(args);
	fprintf(stderr, "%-5s %10.3g %-4s %s\n", row->id, row->value, row->unit, row->detail);
}

void
table_retarget(const char *id, double must)
{
	find(id)->must = must;
}

void
table_note(const char *note, ...)
{
	va_list args;
	va_start(args, note);
	buf_vprintf(&notes, note, args);
	va_end(args);
	buf_add_byte(&notes, '\n');
}

static const char *
verdict(const struct table_row *row)
{
	if (row->sense == REPORTED)
		return "-";
	bool is_most = row->sense == AT_MOST;
	if (is_most ? row->value > row->must : row->value < row->must)
		return "short";
	if (!row->stretch || (is_most ? row->value > row->stretch : row->value < row->stretch))
		return "pass";
	return "stretch";
}

static void
format_target(const struct table_row *row, double target, char *out, size_t size)
{
	if (row->sense == REPORTED || !target)
		snprintf(out, size, "-");
	else
		snprintf(out, size, "%s%g %s", row->sense == AT_MOST ? "<=" : ">=", target,
			 row->unit);
}

void
table_print(void)
{
	printf("%-5s %-55s %-10s %-10s %10s      %-8s %s\n", "row", "what", "must", "stretch",
	       "value", "verdict", "this run");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct table_row *row = &rows[i];
		if (!row->is_measured)
			continue;
		char must[32], stretch[32];
		format_target(row, row->must, must, sizeof(must));
		format_target(row, row->stretch, stretch, sizeof(stretch));
		printf("%-5s %-55s %-10s %-10s %10.2f %-4s %-8s %s\n", row->id, row->what, must,
		       stretch, row->value, row->unit, verdict(row), row->detail);
	}
	if (notes.len)
		printf("\n%s", buf_text(&notes));
}
