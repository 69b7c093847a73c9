#include "lines.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/check.h"
#include "draw.h"

#include <stdlib.h>

/* Different names of one kind: enough for many series, few enough to have met them all in seconds.
 */
#define NAMES 200
/* Observers keep a window of values for each series, which takes longer to fill. */
#define OBSERVER_NAMES 20
#define TAG_VALUES 8

#define DRAW_TEXT(draw, texts) (texts)[draw_below((draw), sizeof(texts) / sizeof(*(texts)))]

static const char *const rates[] = {"0.1", "0.25", "0.5"};

static void
write_counter(struct draw *draw, struct buf *out)
{
	buf_printf(out, "bench.requests.%u:%u|c", draw_below(draw, NAMES),
		   1 + draw_below(draw, 100));
}

static void
write_sampled_counter(struct draw *draw, struct buf *out)
{
	buf_printf(out, "bench.hits.%u:1|c|@%s", draw_below(draw, NAMES), DRAW_TEXT(draw, rates));
}

static void
write_tagged_counter(struct draw *draw, struct buf *out)
{
	unsigned name = draw_below(draw, NAMES / 10);
	unsigned value = 1 + draw_below(draw, 100);
	unsigned tag = draw_below(draw, TAG_VALUES);
	switch (draw_below(draw, 4)) {
	case 0:
		buf_printf(out, "bench.dogstatsd.%u:%u|c|#route:r%u,env:test", name, value, tag);
		break;
	case 1:
		buf_printf(out, "bench.influx.%u,route=r%u,env=test:%u|c", name, tag, value);
		break;
	case 2:
		buf_printf(out, "bench.librato.%u#route=r%u,env=test:%u|c", name, tag, value);
		break;
	default:
		buf_printf(out, "bench.signalfx[route=r%u,env=test].%u:%u|c", tag, name, value);
	}
}

static void
write_gauge(struct draw *draw, struct buf *out)
{
	static const char *const signs[] = {"", "", "+", "-"};
	buf_printf(out, "bench.level.%u:%s%u.%u|g", draw_below(draw, NAMES), DRAW_TEXT(draw, signs),
		   draw_below(draw, 1000), draw_below(draw, 100));
}

static void
write_timer(struct draw *draw, struct buf *out)
{
	buf_printf(out, "bench.time.%u:%u.%u|ms", draw_below(draw, OBSERVER_NAMES),
		   draw_below(draw, 1000), draw_below(draw, 1000));
	if (draw_below(draw, 2))
		buf_printf(out, "|@%s", DRAW_TEXT(draw, rates));
}

static void
write_observation(struct draw *draw, struct buf *out)
{
	static const char *const types[] = {"h", "d"};
	const char *type = DRAW_TEXT(draw, types);
	buf_printf(out, "bench.size.%s.%u:%u|%s|#zone:z%u", type, draw_below(draw, OBSERVER_NAMES),
		   draw_below(draw, 100000), type, draw_below(draw, 2));
}

static void
write_packed(struct draw *draw, struct buf *out)
{
	static const char *const types[] = {"ms", "h", "d", "c", "g"};
	const char *type = DRAW_TEXT(draw, types);
	buf_printf(out, "bench.packed.%s.%u", type, draw_below(draw, OBSERVER_NAMES));
	for (unsigned left = 2 + draw_below(draw, 8); left; left--)
		buf_printf(out, ":%u", draw_below(draw, 1000));
	buf_printf(out, "|%s|@0.5", type);
}

static void
write_several(struct draw *draw, struct buf *out)
{
	unsigned name = draw_below(draw, NAMES);
	buf_printf(out, "bench.several.%u:%u|c:%u|c|@0.5:1|c", name, draw_below(draw, 10),
		   draw_below(draw, 10));
}

static void
write_sections(struct draw *draw, struct buf *out)
{
	buf_printf(out,
		   "bench.origin.%u:%u|c|#env:test|c:ci-%u|e:it-false,cn-app|card:low|T17000%05u",
		   draw_below(draw, NAMES / 10), draw_below(draw, 10), draw_below(draw, TAG_VALUES),
		   draw_below(draw, 100000));
}

static void
write_bad_sample(struct draw *draw, struct buf *out)
{
	static const char *const bad[] = {
	    "bench.bad:abc|c", "bench.bad:1|q",    "bench.bad:1|c|",     "bench.bad:17|s",
	    "bench.bad:-1|c",  "bench.bad:nan|ms", "bench.bad:1:x:3|ms",
	};
	buf_add_text(out, DRAW_TEXT(draw, bad));
}

static void
write_refused(struct draw *draw, struct buf *out)
{
	static const char *const bad[] = {
	    "no colon in here", ":1|c",
	    "bench.bad:1",      "bench.bad#k=v:1|c|#x:y",
	    "bench.bad:1:x|c",  "bench.\xff.bad:1|c",
	    "bench.bad:",
	};
	buf_add_text(out, DRAW_TEXT(draw, bad));
}

static void
write_event(struct draw *draw, struct buf *out)
{
	unsigned build = 10000 + draw_below(draw, 90000);
	buf_printf(out, "_e{12,13}:deploy %u|first\\nsecond|t:info|#env:test", build);
}

static void
write_check(struct draw *draw, struct buf *out)
{
	buf_printf(out, "_sc|bench.db|%u|#env:test|m:all well", draw_below(draw, 4));
}

static void
write_empty(struct draw *draw, struct buf *out)
{
	(void)draw;
	(void)out;
}

static const struct {
	void (*write)(struct draw *draw, struct buf *out);
	enum line_fate fate;
	unsigned share; /* of 100 lines */
} mix[] = {
    {write_counter, LINE_WITH_SAMPLES, 20},
    {write_sampled_counter, LINE_WITH_SAMPLES, 8},
    {write_tagged_counter, LINE_WITH_SAMPLES, 20},
    {write_gauge, LINE_WITH_SAMPLES, 12},
    {write_timer, LINE_WITH_SAMPLES, 12},
    {write_observation, LINE_WITH_SAMPLES, 10},
    {write_packed, LINE_WITH_SAMPLES, 5},
    {write_several, LINE_WITH_SAMPLES, 2},
    {write_sections, LINE_WITH_SAMPLES, 3},
    {write_bad_sample, LINE_WITH_SAMPLES, 2},
    {write_refused, LINE_REFUSED, 2},
    {write_event, LINE_EVENT, 1},
    {write_check, LINE_CHECK, 1},
    {write_empty, LINE_EMPTY, 2},
};

uint64_t
line_counts_total(const struct line_counts *counts)
{
	uint64_t total = 0;
	for (int fate = 0; fate < LINE_FATES; fate++)
		total += counts->of[fate];
	return total;
}

void
line_counts_add(struct line_counts *sum, const struct line_counts *more)
{
	for (int fate = 0; fate < LINE_FATES; fate++)
		sum->of[fate] += more->of[fate];
}

/** Writes one line of the mix; @return what must become of it */
static enum line_fate
write_line(struct draw *draw, struct buf *out)
{
	unsigned lot = draw_below(draw, 100);
	size_t i = 0;
	while (lot >= mix[i].share)
		lot -= mix[i++].share;
	mix[i].write(draw, out);
	return mix[i].fate;
}

/**
 * Fills a payload.
 *
 * @pending a line that did not fit into the payload before, with its fate; gets the next such line
 */
static void
payload_fill(struct payload *payload, struct draw *draw, size_t size, struct buf *pending,
	     enum line_fate *fate)
{
	struct buf bytes = BUF_INIT;
	do {
		if (line_counts_total(&payload->lines))
			buf_add_byte(&bytes, '\n');
		buf_add_span(&bytes, buf_span(pending));
		payload->lines.of[*fate]++;
		buf_reset(pending);
		*fate = write_line(draw, pending);
	} while (bytes.len + 1 + pending->len <= size);
	payload->len = bytes.len;
	buf_add_byte(&bytes, '\n');
	payload->bytes = bytes.ptr;
}

struct traffic *
traffic_new(uint64_t seed, size_t count, size_t size)
{
	struct traffic *traffic = xcalloc(1, sizeof(*traffic));
	traffic->payloads = xcalloc(count, sizeof(*traffic->payloads));
	traffic->count = count;
	struct draw draw = {seed};
	struct buf pending = BUF_INIT;
	enum line_fate fate = write_line(&draw, &pending);
	for (size_t i = 0; i < count; i++)
		payload_fill(&traffic->payloads[i], &draw, size, &pending, &fate);
	buf_fini(&pending);
	return traffic;
}

void
traffic_free(struct traffic **traffic)
{
	if (!*traffic)
		return;
	for (size_t i = 0; i < (*traffic)->count; i++)
		free((*traffic)->payloads[i].bytes);
	free((*traffic)->payloads);
	free(*traffic);
	*traffic = NULL;
}
