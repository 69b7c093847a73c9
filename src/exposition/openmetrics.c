#include "exposition/openmetrics.h"

#include "base/alloc.h"
#include "base/number.h"
#include "exposition/lines.h"

#include <math.h>
#include <stdlib.h>

static const struct span total = {"_total", 6}, created = {"_created", 8};
/* What a histogram or summary puts behind its name; OpenMetrics reserves `_created`, written or
 * not. */
static const struct span suffixes[] = {{"_sum", 4}, {"_count", 6}, {"_bucket", 7}, {"_created", 8}};

/* Shortest text, with a point where it would look like an integer. */
static size_t
format_value(double value, char *out)
{
	size_t len = number_format(value, out);
	if (isfinite(value) && !memchr(out, '.', len) && !memchr(out, 'e', len)) {
		memcpy(out + len, ".0", 2);
		len += 2;
	}
	return len;
}

static const struct lines_dialect strict = {
    .format_value = format_value,
    .format_count = number_format_uint,
    .has_points = true,
    .forbids_negatives = true,
};

/* What a name is used for. */
enum use {
	USE_NAME = 1,     /* of a family or of a counter's samples */
	USE_OBSERVER = 2, /* of a histogram or summary, so that all `suffixes` of it are taken */
	USE_CREATED = 4,  /* not itself, but with "_created" behind it */
};

/*
 * No two families may have a name or a possible sample name in common. Since families come in name
 * order, a family can only clash with one whose name begins like its own: what must be remembered
 * are the uses of all beginnings of the name in hand, one by length.
 */
struct state {
	struct buf name;        /* of the family that was begun last */
	struct buf uses;        /* enum use, by length of the beginning: name.len + 1 bytes */
	struct span shown_name; /* of the family as it is written; borrowed from `name` */
	bool is_counter;        /* shown as one */
	bool is_left_out;
	struct lines_dialect dialect;
};

static void *
new_state(bool with_created)
{
	struct state *state = xcalloc(1, sizeof(*state));
	state->dialect = strict;
	state->dialect.has_created = with_created;
	state->name = state->uses = BUF_INIT;
	return state;
}

static void
free_state(void *ctx)
{
	struct state *state = ctx;
	buf_fini(&state->name);
	buf_fini(&state->uses);
	free(state);
}

/* Goes on to the next name, and forgets the uses of what it does not begin with. */
static void
enter_name(struct state *state, struct span name)
{
	size_t common = 0;
	while (common < state->name.len && common < name.len &&
	       state->name.ptr[common] == name.ptr[common])
		common++;
	if (state->uses.len > common + 1)
		state->uses.len = common + 1;
	while (state->uses.len <= name.len)
		buf_add_byte(&state->uses, 0);
	buf_reset(&state->name);
	buf_add_span(&state->name, name);
}

static bool
is_suffix_of_observer(const struct state *state, struct span name)
{
	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		if (span_ends(name, suffixes[i]) &&
		    state->uses.ptr[name.len - suffixes[i].len] & USE_OBSERVER)
			return true;
	}
	return false;
}

/* Whether a counter may be the family that its name is without "_total". */
static bool
is_free_for_counter(const struct state *state, struct span base)
{
	return base.len && !state->uses.ptr[base.len] && !is_suffix_of_observer(state, base);
}

static void
note_use(struct state *state, struct span name, unsigned use)
{
	state->uses.ptr[name.len] |= (char)use;
	if (span_ends(name, created))
		state->uses.ptr[name.len - created.len] |= USE_CREATED;
}

/* Chooses name and type that a counter is shown under. @return the word for the type */
static const char *
name_counter(struct state *state, struct span name)
{
	if (span_ends(name, total)) {
		struct span base = span_first(name, name.len - total.len);
		if (is_free_for_counter(state, base)) {
			state->shown_name = base;
			state->is_counter = true;
			note_use(state, base, USE_NAME);
			return "counter";
		}
	}
	return "unknown";
}

static void
begin_family(void *ctx, struct buf *out, const struct family_view *family)
{
	struct state *state = ctx;
	enter_name(state, family->name);
	struct span name = buf_span(&state->name);
	const char *type = metric_type_text(family->type);
	/* The registry lets no such family be born; but one may have been since this scrape wrote
	 * the observer, which has gone meanwhile. */
	state->is_left_out = is_suffix_of_observer(state, name);
	if (state->is_left_out)
		return;
	state->shown_name = name;
	state->is_counter = false;
	if (family->type == METRIC_COUNTER)
		type = name_counter(state, name);
	bool is_observer = family->type == METRIC_HISTOGRAM || family->type == METRIC_SUMMARY;
	note_use(state, name, USE_NAME | (is_observer ? USE_OBSERVER : 0));
	lines_add_comment(out, SPAN("TYPE"), state->shown_name, span_text(type));
	lines_add_help(out, state->shown_name, family->help, true);
}

static void
add_series(void *ctx, struct buf *out, const struct family_view *family,
	   const struct series_view *series, size_t count)
{
	const struct state *state = ctx;
	if (state->is_left_out)
		return;
	/* What has exemplars comes alone. Only a known counter may have them. */
	if (state->is_counter && (state->dialect.has_created || series->exemplars))
		lines_add_counters(out, &state->dialect, state->shown_name, series, count);
	else
		lines_add_series(out, &state->dialect, family->name, family->type, series, count);
}

static void
add_end(struct buf *out)
{
	buf_add_span(out, SPAN("# EOF\n"));
}

const struct exposition_encoder exposition_openmetrics = {
    .wants = READER_EXEMPLARS,
    .new_state = new_state,
    .free_state = free_state,
    .begin_family = begin_family,
    .add_series = add_series,
    .add_end = add_end,
};
