#include "exposition/text.h"

#include "base/number.h"
#include "exposition/lines.h"

static size_t
format_count(uint64_t count, char *out)
{
	return number_format((double)count, out);
}

static const struct lines_dialect dialect = {
    .format_value = number_format,
    .format_count = format_count,
};

static void
begin_family(void *state, struct buf *out, const struct family_view *family)
{
	(void)state;
	lines_add_help(out, family->name, family->help, false);
	lines_add_comment(out, SPAN("TYPE"), family->name,
			  span_text(metric_type_text(family->type)));
}

static void
add_series(void *state, struct buf *out, const struct family_view *family,
	   const struct series_view *series, size_t count)
{
	(void)state;
	lines_add_series(out, &dialect, family->name, family->type, series, count);
}

const struct exposition_encoder exposition_text = {
    .begin_family = begin_family,
    .add_series = add_series,
};
