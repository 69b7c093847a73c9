#include "app/scrape.h"

#include "base/alloc.h"
#include "exposition/dots.h"
#include "exposition/negotiate.h"

#include <stdlib.h>

struct scrape {
	const struct telemetry_sources *sources;
	struct control_counters *counters;
	struct renderings *renderings;
	struct mono start;
	struct rendering_kind kind;
	struct rendering_consumer consumer;
	bool has_begun; /* HEAD never does */
};

static void
begin_rendering(struct scrape *scrape)
{
	struct reader *all = telemetry_reader_new(scrape->sources);
	if (scrape->kind.has_dots)
		all = exposition_dots_reader(&all);
	struct exposition_writer *writer = exposition_writer_new(
	    scrape->kind.format, scrape->sources->options->web_openmetrics_created, &all);
	rendering_begin(scrape->renderings, scrape->kind, &writer, &scrape->consumer);
}

static void
fill(void *ctx, struct buf *out)
{
	struct scrape *scrape = ctx;
	if (!scrape->has_begun) {
		scrape->has_begun = true;
		if (rendering_join(scrape->renderings, scrape->kind, &scrape->consumer))
			scrape->counters->scrapes_shared++;
		else
			begin_rendering(scrape);
	}
	rendering_take(&scrape->consumer, out);
}

static void
done(void *ctx, bool complete)
{
	struct scrape *scrape = ctx;
	if (!complete) {
		scrape->counters->scrapes_aborted++;
	} else if (scrape->has_begun) {
		scrape->counters->last_scrape_bytes = rendering_text_bytes(&scrape->consumer);
		scrape->counters->last_scrape_us = clock_mono().us - scrape->start.us;
	}
	rendering_leave(&scrape->consumer);
	free(scrape);
}

void
scrape_begin(const struct telemetry_sources *sources, struct control_counters *counters,
	     struct renderings *renderings, const struct http_request *request,
	     struct http_reply *reply)
{
	struct scrape *scrape = xcalloc(1, sizeof(*scrape));
	counters->scrapes++;
	scrape->sources = sources;
	scrape->counters = counters;
	scrape->renderings = renderings;
	scrape->start = clock_mono();
	struct exposition_choice choice = exposition_negotiate(
	    http_request_header(request, "Accept"), sources->options->web_openmetrics);
	scrape->kind.format = choice.format;
	scrape->kind.has_dots = choice.escaping == EXPOSITION_DOTS;
	scrape->kind.is_gzip =
	    exposition_negotiate_gzip(http_request_header(request, "Accept-Encoding"));
	if (scrape->kind.is_gzip)
		reply->content_encoding = "gzip";
	reply->content_type = exposition_content_type(choice);
	reply->vary = "Accept, Accept-Encoding";
	reply->stream = (struct http_stream){.fill = fill, .done = done, .ctx = scrape};
}
