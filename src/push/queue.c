#include "push/queue.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "push/translate.h"
#include "push/without_native.h"

#include <pthread.h>
#include <snappy-c.h>
#include <stdlib.h>

STAILQ_HEAD(request_list, push_request);

struct push_queue {
	pthread_mutex_t lock;
	size_t limit;
	struct request_list waiting; /* ascending by sequence */
	uint64_t last_sequence;
	size_t in_flight; /* requests that were taken and not ended */
	uint64_t group_in_flight;
	struct push_stats stats;
};

const char *
push_drop_text(enum push_drop drop)
{
	static const char *const texts[PUSH_DROPS] = {
	    [PUSH_DROP_QUEUE_FULL] = "queue_full",
	    [PUSH_DROP_ENDED_LIMIT] = "ended_limit",
	    [PUSH_DROP_TWIN] = "twin",
	    [PUSH_DROP_SHUTDOWN] = "shutdown",
	};
	return texts[drop];
}

struct push_queue *
push_queue_new(size_t limit)
{
	struct push_queue *queue = xcalloc(1, sizeof(*queue));
	pthread_mutex_init(&queue->lock, NULL);
	queue->limit = limit;
	STAILQ_INIT(&queue->waiting);
	return queue;
}

void
push_queue_free(struct push_queue **slot)
{
	struct push_queue *queue = *slot;
	*slot = NULL;
	if (!queue)
		return;
	while (!STAILQ_EMPTY(&queue->waiting)) {
		struct push_request *request = STAILQ_FIRST(&queue->waiting);
		STAILQ_REMOVE_HEAD(&queue->waiting, link);
		free(request);
	}
	pthread_mutex_destroy(&queue->lock);
	free(queue);
}

/* ---- Under the lock. ---- */

static size_t
request_bytes(const struct push_request *request)
{
	return sizeof(*request) + request->len;
}

/* Takes a request out of the books and frees it. */
static void
end_request(struct push_queue *queue, struct push_request **request)
{
	queue->stats.queued_samples -= (*request)->samples;
	queue->stats.queued_bytes -= request_bytes(*request);
	free(*request);
	*request = NULL;
}

static void
drop_request(struct push_queue *queue, struct push_request **request, enum push_drop drop)
{
	queue->stats.dropped[drop] += (*request)->samples;
	end_request(queue, request);
}

static void
drop_first(struct push_queue *queue, enum push_drop drop)
{
	struct push_request *request = STAILQ_FIRST(&queue->waiting);
	STAILQ_REMOVE_HEAD(&queue->waiting, link);
	drop_request(queue, &request, drop);
}

/* Sees to it that `bytes` more fit, unless what is being sent leaves too little room. */
static void
make_room(struct push_queue *queue, size_t bytes)
{
	while (!STAILQ_EMPTY(&queue->waiting) && queue->stats.queued_bytes + bytes > queue->limit)
		drop_first(queue, PUSH_DROP_QUEUE_FULL);
}

static void
insert_in_order(struct push_queue *queue, struct push_request *request)
{
	struct push_request *before = NULL, *other;
	STAILQ_FOREACH (other, &queue->waiting, link) {
		if (other->sequence > request->sequence)
			break;
		before = other;
	}
	if (before)
		STAILQ_INSERT_AFTER(&queue->waiting, before, request, link);
	else
		STAILQ_INSERT_HEAD(&queue->waiting, request, link);
}

/* ---- Without it. ---- */

static struct push_request *
make_request(const struct push_message *message)
{
	size_t most = snappy_max_compressed_length(message->bytes.len), len = most;
	char *room = xmalloc(most);
	CHECK(snappy_compress(message->bytes.ptr, message->bytes.len, room, &len) == SNAPPY_OK);
	struct push_request *request = xmalloc(sizeof(*request) + len);
	*request = (struct push_request){.protocol = message->protocol,
					 .samples = message->samples,
					 .natives = message->natives,
					 .timestamp_ms = message->timestamp_ms,
					 .len = len};
	memcpy(request->body, room, len);
	free(room);
	return request;
}

/* @return what make_request() was given */
static struct buf
message_of(const struct push_request *request)
{
	struct buf message = BUF_INIT;
	size_t len;
	CHECK(snappy_uncompressed_length(request->body, request->len, &len) == SNAPPY_OK);
	buf_reserve(&message, len);
	CHECK(snappy_uncompress(request->body, request->len, message.ptr, &len) == SNAPPY_OK);
	message.len = len;
	return message;
}

/* Puts a message in the place of a request that was taken. Samples that it lacks are refused. */
static void
exchange(struct push_queue *queue, struct push_request **slot, const struct push_message *message)
{
	struct push_request *old = *slot, *new = make_request(message);
	size_t fewer = old->samples - new->samples;
	new->group = old->group;
	new->sequence = old->sequence;
	new->must_be_1 = old->must_be_1;
	pthread_mutex_lock(&queue->lock);
	queue->stats.refused += fewer;
	queue->stats.queued_samples -= fewer;
	queue->stats.queued_bytes += request_bytes(new) - request_bytes(old);
	pthread_mutex_unlock(&queue->lock);
	free(old);
	*slot = new;
}

void
push_queue_add(struct push_queue *queue, uint64_t group, const struct push_message *message)
{
	struct push_request *request = make_request(message);
	request->group = group;
	pthread_mutex_lock(&queue->lock);
	make_room(queue, request_bytes(request));
	request->sequence = ++queue->last_sequence;
	queue->stats.samples += request->samples;
	queue->stats.queued_samples += request->samples;
	queue->stats.queued_bytes += request_bytes(request);
	if (queue->stats.queued_bytes > queue->limit)
		drop_request(queue, &request, PUSH_DROP_QUEUE_FULL);
	else
		STAILQ_INSERT_TAIL(&queue->waiting, request, link);
	pthread_mutex_unlock(&queue->lock);
}

void
push_queue_count_drop(struct push_queue *queue, enum push_drop drop, size_t samples)
{
	pthread_mutex_lock(&queue->lock);
	queue->stats.samples += samples;
	queue->stats.dropped[drop] += samples;
	pthread_mutex_unlock(&queue->lock);
}

struct push_request *
push_queue_take(struct push_queue *queue)
{
	pthread_mutex_lock(&queue->lock);
	struct push_request *request = STAILQ_FIRST(&queue->waiting);
	if (request && queue->in_flight && request->group != queue->group_in_flight)
		request = NULL;
	if (request) {
		STAILQ_REMOVE_HEAD(&queue->waiting, link);
		queue->in_flight++;
		queue->group_in_flight = request->group;
	}
	pthread_mutex_unlock(&queue->lock);
	return request;
}

void
push_queue_translate(struct push_queue *queue, struct push_request **request)
{
	struct buf message = message_of(*request), translated = BUF_INIT;
	CHECK((*request)->protocol == PUSH_PROTOCOL_2);
	CHECK(push_translate(buf_span(&message), &translated));
	exchange(queue, request,
		 &(struct push_message){.protocol = PUSH_PROTOCOL_1,
					.bytes = buf_span(&translated),
					.samples = (*request)->samples,
					.natives = (*request)->natives,
					.timestamp_ms = (*request)->timestamp_ms});
	buf_fini(&message);
	buf_fini(&translated);
}

void
push_queue_refuse_native(struct push_queue *queue, struct push_request **request)
{
	struct buf message = message_of(*request), left = BUF_INIT;
	CHECK(push_without_native((*request)->protocol, buf_span(&message), &left));
	if (left.len)
		exchange(
		    queue, request,
		    &(struct push_message){.protocol = (*request)->protocol,
					   .bytes = buf_span(&left),
					   .samples = (*request)->samples - (*request)->natives,
					   .timestamp_ms = (*request)->timestamp_ms});
	else
		push_queue_settle(queue, request, 0);
	buf_fini(&message);
	buf_fini(&left);
}

void
push_queue_count_sent(struct push_queue *queue, const struct push_request *request)
{
	pthread_mutex_lock(&queue->lock);
	queue->stats.requests++;
	queue->stats.bytes += request->len;
	pthread_mutex_unlock(&queue->lock);
}

void
push_queue_return(struct push_queue *queue, struct push_request **request)
{
	pthread_mutex_lock(&queue->lock);
	queue->in_flight--;
	queue->stats.retried += (*request)->samples;
	insert_in_order(queue, *request);
	*request = NULL;
	pthread_mutex_unlock(&queue->lock);
}

void
push_queue_settle(struct push_queue *queue, struct push_request **request, size_t sent)
{
	const struct push_request *ended = *request;
	CHECK(sent <= ended->samples);
	pthread_mutex_lock(&queue->lock);
	queue->in_flight--;
	queue->stats.sent += sent;
	queue->stats.refused += ended->samples - sent;
	if (sent) {
		queue->stats.newest_sent_ms = ended->timestamp_ms;
		queue->stats.last_success = clock_wall();
	}
	end_request(queue, request);
	pthread_mutex_unlock(&queue->lock);
}

void
push_queue_drop(struct push_queue *queue, struct push_request **request, enum push_drop drop)
{
	pthread_mutex_lock(&queue->lock);
	queue->in_flight--;
	drop_request(queue, request, drop);
	pthread_mutex_unlock(&queue->lock);
}

void
push_queue_drop_all(struct push_queue *queue)
{
	pthread_mutex_lock(&queue->lock);
	while (!STAILQ_EMPTY(&queue->waiting))
		drop_first(queue, PUSH_DROP_SHUTDOWN);
	pthread_mutex_unlock(&queue->lock);
}

bool
push_queue_is_empty(struct push_queue *queue)
{
	pthread_mutex_lock(&queue->lock);
	bool is_empty = STAILQ_EMPTY(&queue->waiting) && !queue->in_flight;
	pthread_mutex_unlock(&queue->lock);
	return is_empty;
}

void
push_queue_stats(struct push_queue *queue, struct push_stats *out)
{
	pthread_mutex_lock(&queue->lock);
	*out = queue->stats;
	pthread_mutex_unlock(&queue->lock);
}
