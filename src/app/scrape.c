#include "app/scrape.h"

#include "base/alloc.h"
#include "exposition/dots.h"
#include "exposition/negotiate.h"

#include <stdlib.h>

/* Scrapes that wait cost a connection each and no work of their own: most of all connections. */
#define WAITING_MAX 224

struct scrape {
	struct scrape_queue *queue;
	struct mono start;
	uint64_t births; /* of series before it came: it shows all these */
	struct exposition_choice choice;
	struct rendering_kind kind;
	struct rendering_consumer consumer;
	bool has_begun; /* HEAD never does */
	struct turn turn;
	struct http_later *later; /* while it waits */
};

static void
begin_rendering(struct scrape *scrape)
{
	struct reader *all = telemetry_reader_new(scrape->queue->sources, scrape->births);
	if (scrape->kind.has_dots)
		all = exposition_dots_reader(&all);
	struct exposition_writer *writer = exposition_writer_new(
	    scrape->kind.format, scrape->queue->sources->options->web_openmetrics_created, &all);
	rendering_begin(&scrape->queue->renderings, scrape->kind, &writer, &scrape->consumer);
}

static struct registry *
registry_of(const struct scrape_queue *queue)
{
	return queue->sources->bridge->registry;
}

static bool
join_rendering(struct scrape *scrape)
{
	if (!rendering_join(&scrape->queue->renderings, scrape->kind, &scrape->consumer))
		return false;
	scrape->queue->counters->scrapes_shared++;
	scrape->has_begun = true;
	return true;
}

/* @return whether the scrape has its rendering; else one is not due yet, or births are not listed */
static bool
begin(struct scrape *scrape)
{
	if (join_rendering(scrape))
		return true;
	if (renderings_wait_us(&scrape->queue->renderings) > 0 ||
	    !registry_list_births(registry_of(scrape->queue), scrape->births))
		return false;
	struct mono start = clock_mono();
	scrape->has_begun = true;
	begin_rendering(scrape);
	renderings_spend(&scrape->queue->renderings, start);
	turns_note(&scrape->queue->turns, &scrape->turn);
	return true;
}

static void
fill(void *ctx, struct buf *out)
{
	struct scrape *scrape = ctx;
	rendering_take(&scrape->consumer, out);
}

static void
done(void *ctx, bool complete)
{
	struct scrape *scrape = ctx;
	struct control_counters *counters = scrape->queue->counters;
	if (!complete) {
		counters->scrapes_aborted++;
	} else if (scrape->has_begun) {
		counters->last_scrape_bytes = rendering_text_bytes(&scrape->consumer);
		counters->last_scrape_us = clock_mono().us - scrape->start.us;
	}
	rendering_leave(&scrape->consumer);
	free(scrape);
}

static void
fill_reply(struct scrape *scrape, struct http_reply *reply)
{
	if (scrape->kind.is_gzip)
		reply->content_encoding = "gzip";
	reply->content_type = exposition_content_type(scrape->choice);
	reply->vary = "Accept, Accept-Encoding";
	reply->stream = (struct http_stream){.fill = fill, .done = done, .ctx = scrape};
}

/* ---- Waiting. ---- */

static void
start_timer(struct scrape_queue *queue)
{
	ev_timer_stop(queue->loop, &queue->due);
	if (TAILQ_EMPTY(&queue->turns.waiting))
		return;
	ev_now_update(queue->loop);
	ev_timer_set(&queue->due, (double)renderings_wait_us(&queue->renderings) / 1e6, 0.);
	ev_timer_start(queue->loop, &queue->due);
}

/* Takes a scrape out of the queue, and answers it. @reply consumed */
static void
answer_with(struct scrape *scrape, struct http_reply *reply)
{
	struct http_later *later = scrape->later;
	turns_leave(&scrape->queue->turns, &scrape->turn);
	http_later_answer(&later, reply);
}

/* The reply is dropped where the client is gone, and the scrape with it. */
static void
answer(struct scrape *scrape)
{
	struct http_reply reply = http_reply_new();
	fill_reply(scrape, &reply);
	answer_with(scrape, &reply);
}

static void
refuse(struct scrape *scrape)
{
	struct http_reply reply = http_reply_new();
	scrape->queue->counters->scrapes_aborted++;
	reply.status = 503;
	reply.retry_after_s = 1;
	buf_add_text(&reply.body, "503 too many scrapes\n");
	answer_with(scrape, &reply);
	free(scrape);
}

/* Who has only ended its side may still read. */
static void
on_left(void *ctx, bool is_given_up)
{
	struct scrape *scrape = ctx;
	struct scrape_queue *queue = scrape->queue;
	if (!is_given_up)
		return;
	answer(scrape);
	start_timer(queue);
}

static void
on_due(struct ev_loop *loop, ev_timer *watcher, int events)
{
	(void)loop, (void)events;
	struct scrape_queue *queue = watcher->data;
	struct turn *turn = turns_next(&queue->turns), *next;
	if (begin(turn->owner))
		answer(turn->owner);
	for (turn = TAILQ_FIRST(&queue->turns.waiting); turn; turn = next) {
		next = TAILQ_NEXT(turn, link);
		if (join_rendering(turn->owner))
			answer(turn->owner);
	}
	start_timer(queue);
}

static void
wait_for_turn(struct scrape *scrape, const struct http_request *request)
{
	struct scrape_queue *queue = scrape->queue;
	scrape->later = http_request_defer(request);
	http_later_watch(scrape->later, on_left, scrape);
	turns_wait(&queue->turns, &scrape->turn);
	struct turn *excess = turns_excess(&queue->turns);
	if (excess)
		refuse(excess->owner);
	start_timer(queue);
}

/* ---- From outside. ---- */

void
scrape_queue_init(struct scrape_queue *queue, struct ev_loop *loop,
		  const struct telemetry_sources *sources, struct control_counters *counters)
{
	*queue = (struct scrape_queue){.loop = loop, .sources = sources, .counters = counters};
	turns_init(&queue->turns, WAITING_MAX);
	ev_timer_init(&queue->due, on_due, 0., 0.);
	queue->due.data = queue;
}

void
scrape_queue_fini(struct scrape_queue *queue)
{
	if (!queue->loop)
		return;
	while (!TAILQ_EMPTY(&queue->turns.waiting))
		refuse(TAILQ_FIRST(&queue->turns.waiting)->owner);
	ev_timer_stop(queue->loop, &queue->due);
	CHECK(LIST_EMPTY(&queue->renderings.list));
}

static void
negotiate(struct scrape *scrape, const struct http_request *request)
{
	struct buf accept = BUF_INIT, encodings = BUF_INIT;
	scrape->choice = exposition_negotiate(http_request_list(request, "Accept", &accept),
					      scrape->queue->sources->options->web_openmetrics);
	scrape->kind = (struct rendering_kind){
	    .format = scrape->choice.format,
	    .has_dots = scrape->choice.escaping == EXPOSITION_DOTS,
	    .is_gzip = exposition_negotiate_gzip(
		http_request_list(request, "Accept-Encoding", &encodings)),
	};
	buf_fini(&accept);
	buf_fini(&encodings);
}

void
scrape_answer(struct scrape_queue *queue, const struct http_request *request,
	      struct http_reply *reply)
{
	struct scrape *scrape = xcalloc(1, sizeof(*scrape));
	queue->counters->scrapes++;
	scrape->queue = queue;
	scrape->start = clock_mono();
	scrape->births = registry_births(registry_of(queue));
	scrape->turn = turn_new(http_request_client(request), scrape);
	negotiate(scrape, request);
	/* Nobody goes before those that wait. */
	bool may_begin = TAILQ_EMPTY(&queue->turns.waiting);
	if (http_request_is_head(request) || (may_begin ? begin(scrape) : join_rendering(scrape)))
		fill_reply(scrape, reply);
	else
		wait_for_turn(scrape, request);
}
