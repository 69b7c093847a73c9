#include "app/scrape.h"

#include "base/alloc.h"
#include "exposition/gzip.h"
#include "exposition/negotiate.h"
#include "exposition/writer.h"
#include "metrics/family_list.h"

#include <stdlib.h>

/* One slice: large enough for a socket buffer, small enough not to keep the loop busy. */
#define SLICE_BYTES 65536

struct scrape {
	struct control_counters *counters;
	struct mono start;
	struct exposition_writer *writer;
	struct gzip *gzip; /* NULL = identity */
	struct buf slice;  /* before compression */
	uint64_t bytes;
	bool is_written;
};

static void
fill(void *ctx, struct buf *out)
{
	struct scrape *scrape = ctx;
	while (!scrape->is_written && !out->len) {
		struct buf *slice = scrape->gzip ? &scrape->slice : out;
		size_t before = slice->len;
		scrape->is_written =
		    exposition_writer_fill(scrape->writer, slice, before + SLICE_BYTES);
		scrape->bytes += slice->len - before;
		if (!scrape->gzip)
			continue;
		gzip_add(scrape->gzip, buf_span(slice), scrape->is_written, out);
		buf_reset(slice);
	}
}

static void
done(void *ctx, bool complete)
{
	struct scrape *scrape = ctx;
	if (complete && scrape->is_written) {
		scrape->counters->last_scrape_bytes = scrape->bytes;
		scrape->counters->last_scrape_us = clock_mono().us - scrape->start.us;
	} else if (!complete) {
		scrape->counters->scrapes_aborted++;
	}
	exposition_writer_free(&scrape->writer);
	gzip_free(&scrape->gzip);
	buf_fini(&scrape->slice);
	free(scrape);
}

void
scrape_begin(const struct telemetry_sources *sources, struct control_counters *counters,
	     const struct http_request *request, struct http_reply *reply)
{
	enum exposition_format format =
	    exposition_negotiate_format(http_request_header(request, "Accept"));
	struct scrape *scrape = xcalloc(1, sizeof(*scrape));
	counters->scrapes++;
	scrape->counters = counters;
	scrape->start = clock_mono();
	scrape->slice = BUF_INIT;
	struct reader *own = telemetry_reader_new(sources);
	struct reader *clients = registry_reader_new(sources->bridge->registry,
						     bridge_now_us(sources->bridge));
	struct reader *all = reader_merge(&own, &clients);
	scrape->writer = exposition_writer_new(format, &all);
	if (exposition_negotiate_gzip(http_request_header(request, "Accept-Encoding"))) {
		scrape->gzip = gzip_new();
		reply->content_encoding = "gzip";
	}
	reply->content_type = exposition_content_type(format);
	reply->vary = "Accept, Accept-Encoding";
	reply->stream = (struct http_stream){.fill = fill, .done = done, .ctx = scrape};
}
