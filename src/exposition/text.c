#include "exposition/text.h"

#include "base/number.h"

/* A line to be written: name, suffix, labels, perhaps one label more, value. */
struct line {
	struct span name, suffix;
	struct span labels;      /* ready-made, may be empty */
	struct span extra_name;  /* `le` or `quantile`; empty = none */
	struct span extra_value; /* needs no escaping */
};

#define BLOCK 16
/* So much is copied here, longer texts by memcpy(), whose call costs more than a few blocks. */
#define BLOCKS_MAX (16 * BLOCK)

static inline char *
put(char *to, struct span s)
{
	if (s.len < BLOCK || s.len > BLOCKS_MAX) {
		if (s.len)
			memcpy(to, s.ptr, s.len);
		return to + s.len;
	}
	for (size_t at = 0; at + BLOCK < s.len; at += BLOCK)
		memcpy(to + at, s.ptr + at, BLOCK);
	memcpy(to + s.len - BLOCK, s.ptr + s.len - BLOCK, BLOCK);
	return to + s.len;
}

/* @return where the value goes, or NULL when the buffer is full */
static char *
begin_line(struct buf *out, const struct line *line)
{
	size_t len = line->name.len + line->suffix.len + line->labels.len + line->extra_name.len +
		     line->extra_value.len + sizeof("{,=\"\"} \n");
	char *to = buf_reserve(out, len + NUMBER_TEXT_MAX);
	if (!to)
		return NULL;
	to = put(to, line->name);
	to = put(to, line->suffix);
	if (line->labels.len || line->extra_name.len) {
		*to++ = '{';
		to = put(to, line->labels);
		if (line->labels.len && line->extra_name.len)
			*to++ = ',';
		if (line->extra_name.len) {
			to = put(to, line->extra_name);
			*to++ = '=';
			*to++ = '"';
			to = put(to, line->extra_value);
			*to++ = '"';
		}
		*to++ = '}';
	}
	*to++ = ' ';
	return to;
}

static void
end_line(struct buf *out, char *to)
{
	*to++ = '\n';
	out->len = (size_t)(to - out->ptr);
}

static void
add_value(struct buf *out, const struct line *line, double value)
{
	char *to = begin_line(out, line);
	if (to)
		end_line(out, to + number_format(value, to));
}

static void
add_count(struct buf *out, const struct line *line, uint64_t count)
{
	char *to = begin_line(out, line);
	if (!to)
		return;
	size_t len = number_format((double)count, to);
	end_line(out, to + len);
}

/* `_sum` and `_count`, which histograms and summaries end with. */
static void
add_totals(struct buf *out, struct line line, const struct series_view *series)
{
	line.extra_name = SPAN("");
	line.suffix = SPAN("_sum");
	add_value(out, &line, series->sum);
	line.suffix = SPAN("_count");
	add_count(out, &line, series->count);
}

static void
add_histogram(struct buf *out, struct line line, const struct series_view *series)
{
	line.suffix = SPAN("_bucket");
	line.extra_name = SPAN("le");
	uint64_t below = 0;
	for (size_t i = 0; i <= series->bound_count; i++) {
		below += series->buckets[i];
		line.extra_value = i < series->bound_count ? series->bound_texts[i] : SPAN("+Inf");
		add_count(out, &line, below);
	}
	add_totals(out, line, series);
}

static void
add_summary(struct buf *out, struct line line, const struct series_view *series)
{
	line.extra_name = SPAN("quantile");
	for (size_t i = 0; i < series->quantile_count; i++) {
		line.extra_value = series->quantile_texts[i];
		add_value(out, &line, series->quantile_values[i]);
	}
	add_totals(out, line, series);
}

/* HELP escapes backslash and line feed, nothing else. */
static void
add_help_text(struct buf *out, struct span help)
{
	char *to = buf_reserve(out, help.len * 2);
	if (!to)
		return;
	for (size_t i = 0; i < help.len; i++) {
		char byte = help.ptr[i];
		if (byte == '\\' || byte == '\n')
			*to++ = '\\';
		*to++ = byte == '\n' ? 'n' : byte;
	}
	out->len = (size_t)(to - out->ptr);
}

void
exposition_text_add_family(struct buf *out, const struct family_view *family)
{
	buf_add_span(out, SPAN("# HELP "));
	buf_add_span(out, family->name);
	buf_add_byte(out, ' ');
	add_help_text(out, family->help);
	buf_add_span(out, SPAN("\n# TYPE "));
	buf_add_span(out, family->name);
	buf_add_byte(out, ' ');
	buf_add_text(out, metric_type_text(family->type));
	buf_add_byte(out, '\n');
}

/* Counters and gauges, of which a scrape may have millions: a line is little more than a copy. */
static void
add_scalars(struct buf *out, struct span name, const struct series_view *series, size_t count)
{
	size_t len = count * (name.len + sizeof("{} \n") + NUMBER_TEXT_MAX);
	for (size_t i = 0; i < count; i++)
		len += series[i].labels.len;
	char *to = buf_reserve(out, len);
	if (!to)
		return;
	for (size_t i = 0; i < count; i++) {
		to = put(to, name);
		if (series[i].labels.len) {
			*to++ = '{';
			to = put(to, series[i].labels);
			*to++ = '}';
		}
		*to++ = ' ';
		to += number_format(series[i].value, to);
		*to++ = '\n';
	}
	out->len = (size_t)(to - out->ptr);
}

void
exposition_text_add_series(struct buf *out, const struct family_view *family,
			   const struct series_view *series, size_t count)
{
	if (family->type != METRIC_HISTOGRAM && family->type != METRIC_SUMMARY) {
		add_scalars(out, family->name, series, count);
		return;
	}
	for (size_t i = 0; i < count; i++) {
		struct line line = {
		    .name = family->name,
		    .suffix = SPAN(""),
		    .labels = series[i].labels,
		    .extra_name = SPAN(""),
		    .extra_value = SPAN(""),
		};
		if (family->type == METRIC_HISTOGRAM)
			add_histogram(out, line, &series[i]);
		else
			add_summary(out, line, &series[i]);
	}
}
