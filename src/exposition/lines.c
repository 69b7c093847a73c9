#include "exposition/lines.h"

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

/* Seconds with milliseconds; never with an exponent, which is not for times. */
static size_t
format_time(int64_t ms, char *out)
{
	size_t len = number_format_uint((uint64_t)ms / 1000, out);
	out[len++] = '.';
	for (unsigned place = 100; place; place /= 10)
		out[len++] = (char)('0' + (unsigned)(ms % 1000) / place % 10);
	return len;
}

/* @exemplar NULL, or without labels = none */
static void
end_line_with(struct buf *out, char *to, const struct lines_dialect *dialect,
	      const struct exemplar_view *exemplar)
{
	if (!exemplar || !exemplar->labels.len) {
		end_line(out, to);
		return;
	}
	out->len = (size_t)(to - out->ptr);
	to = buf_reserve(out, exemplar->labels.len + 2 * NUMBER_TEXT_MAX + sizeof(" # {}  \n"));
	if (!to)
		return;
	to = put(to, SPAN(" # {"));
	to = put(to, exemplar->labels);
	to = put(to, SPAN("} "));
	to += dialect->format_value(exemplar->value, to);
	*to++ = ' ';
	to += format_time(exemplar->time_ms, to);
	end_line(out, to);
}

static void
add_value(struct buf *out, const struct lines_dialect *dialect, const struct line *line,
	  double value)
{
	char *to = begin_line(out, line);
	if (to)
		end_line(out, to + dialect->format_value(value, to));
}

static void
add_count(struct buf *out, const struct lines_dialect *dialect, const struct line *line,
	  uint64_t count, const struct exemplar_view *exemplar)
{
	char *to = begin_line(out, line);
	if (to)
		end_line_with(out, to + dialect->format_count(count, to), dialect, exemplar);
}

/*
 * Sets the label behind all others. The text of a number is spelled like a value of the text
 * format.
 *
 * @room NUMBER_TEXT_MAX bytes, in use as long as the line
 */
static void
set_extra_value(struct line *line, const struct lines_dialect *dialect, struct span number,
		char *room)
{
	line->extra_value = number;
	if (!dialect->has_points || span_find(number, '.') || span_find(number, 'e') ||
	    span_find(number, 'I'))
		return;
	memcpy(room, number.ptr, number.len);
	memcpy(room + number.len, ".0", 2);
	line->extra_value = span_of(room, number.len + 2);
}

/* When it was born, in seconds since 1970. */
static void
add_created(struct buf *out, const struct lines_dialect *dialect, struct line line,
	    const struct series_view *series)
{
	line.suffix = SPAN("_created");
	if (series->created_ms > 0)
		add_value(out, dialect, &line, (double)series->created_ms / 1000);
}

/* `_sum` and `_count`, which histograms and summaries end with. */
static void
add_totals(struct buf *out, const struct lines_dialect *dialect, struct line line,
	   const struct series_view *series, bool has_sum, bool has_count)
{
	line.extra_name = SPAN("");
	line.suffix = SPAN("_sum");
	if (has_sum)
		add_value(out, dialect, &line, series->sum);
	line.suffix = SPAN("_count");
	if (has_count)
		add_count(out, dialect, &line, series->count, NULL);
	if (dialect->has_created)
		add_created(out, dialect, line, series);
}

/* Whether the sum may be shown: it must not be below 0, nor able to shrink. */
static bool
is_sum_allowed(const struct lines_dialect *dialect, const struct series_view *series)
{
	if (!dialect->forbids_negatives)
		return true;
	return !(series->sum < 0) && !(series->bound_count && series->bounds[0] < 0);
}

static void
add_histogram(struct buf *out, const struct lines_dialect *dialect, struct line line,
	      const struct series_view *series)
{
	char room[NUMBER_TEXT_MAX];
	line.suffix = SPAN("_bucket");
	line.extra_name = SPAN("le");
	uint64_t below = 0;
	for (size_t i = 0; i <= series->bound_count; i++) {
		below += series->buckets[i];
		set_extra_value(&line, dialect,
				i < series->bound_count ? series->bound_texts[i] : SPAN("+Inf"),
				room);
		add_count(out, dialect, &line, below,
			  series->exemplars ? &series->exemplars[i] : NULL);
	}
	bool has_totals = is_sum_allowed(dialect, series);
	add_totals(out, dialect, line, series, has_totals, has_totals);
}

static void
add_summary(struct buf *out, const struct lines_dialect *dialect, struct line line,
	    const struct series_view *series)
{
	char room[NUMBER_TEXT_MAX];
	line.extra_name = SPAN("quantile");
	for (size_t i = 0; i < series->quantile_count; i++) {
		if (dialect->forbids_negatives && series->quantile_values[i] < 0)
			continue;
		set_extra_value(&line, dialect, series->quantile_texts[i], room);
		add_value(out, dialect, &line, series->quantile_values[i]);
	}
	add_totals(out, dialect, line, series, is_sum_allowed(dialect, series), true);
}

void
lines_add_comment(struct buf *out, struct span word, struct span name, struct span text)
{
	buf_add_span(out, SPAN("# "));
	buf_add_span(out, word);
	buf_add_byte(out, ' ');
	buf_add_span(out, name);
	buf_add_byte(out, ' ');
	buf_add_span(out, text);
	buf_add_byte(out, '\n');
}

void
lines_add_help(struct buf *out, struct span name, struct span help, bool escapes_quotes)
{
	buf_add_span(out, SPAN("# HELP "));
	buf_add_span(out, name);
	buf_add_byte(out, ' ');
	char *to = buf_reserve(out, help.len * 2 + 1);
	if (!to)
		return;
	for (size_t i = 0; i < help.len; i++) {
		char byte = help.ptr[i];
		if (byte == '\\' || byte == '\n' || (byte == '"' && escapes_quotes))
			*to++ = '\\';
		*to++ = byte == '\n' ? 'n' : byte;
	}
	*to++ = '\n';
	out->len = (size_t)(to - out->ptr);
}

/* Counters and gauges, of which a scrape may have millions: a line is little more than a copy. */
static void
add_scalars(struct buf *out, const struct lines_dialect *dialect, struct span name,
	    const struct series_view *series, size_t count)
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
		to += dialect->format_value(series[i].value, to);
		*to++ = '\n';
	}
	out->len = (size_t)(to - out->ptr);
}

static struct line
line_of(struct span name, const struct series_view *series)
{
	return (struct line){
	    .name = name,
	    .suffix = SPAN(""),
	    .labels = series->labels,
	    .extra_name = SPAN(""),
	    .extra_value = SPAN(""),
	};
}

void
lines_add_counters(struct buf *out, const struct lines_dialect *dialect, struct span name,
		   const struct series_view *series, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct line line = line_of(name, &series[i]);
		line.suffix = SPAN("_total");
		char *to = begin_line(out, &line);
		if (!to)
			return;
		to += dialect->format_value(series[i].value, to);
		end_line_with(out, to, dialect, series[i].exemplars);
		if (dialect->has_created)
			add_created(out, dialect, line, &series[i]);
	}
}

void
lines_add_series(struct buf *out, const struct lines_dialect *dialect, struct span name,
		 enum metric_type type, const struct series_view *series, size_t count)
{
	if (type != METRIC_HISTOGRAM && type != METRIC_SUMMARY) {
		add_scalars(out, dialect, name, series, count);
		return;
	}
	for (size_t i = 0; i < count; i++) {
		struct line line = line_of(name, &series[i]);
		if (type == METRIC_HISTOGRAM)
			add_histogram(out, dialect, line, &series[i]);
		else
			add_summary(out, dialect, line, &series[i]);
	}
}
