#include "test.h"

#include "base/alloc.h"
#include "base/protobuf.h"
#include "push/decode.h"
#include "push/queue.h"

#include <snappy-c.h>
#include <stdlib.h>

#define LIMIT 4096

/* Bytes that no compression makes fewer, so that the queue's size can be foreseen. */
static struct span
noise(size_t len)
{
	static char bytes[LIMIT];
	uint32_t state = 1;
	for (size_t i = 0; i < len; i++) {
		state = state * 1664525 + 1013904223;
		bytes[i] = (char)(state >> 24);
	}
	return span_of(bytes, len);
}

static void
add(struct push_queue *queue, uint64_t group, size_t samples, size_t len)
{
	struct push_message message = {.protocol = group % 2 ? PUSH_PROTOCOL_2 : PUSH_PROTOCOL_1,
				       .bytes = noise(len),
				       .samples = samples,
				       .timestamp_ms = (int64_t)group};
	push_queue_add(queue, group, &message);
}

static struct push_stats
stats_of(struct push_queue *queue)
{
	struct push_stats stats;
	push_queue_stats(queue, &stats);
	uint64_t dropped = 0;
	for (unsigned i = 0; i < PUSH_DROPS; i++)
		dropped += stats.dropped[i];
	assert_int_equal(stats.samples,
			 stats.sent + stats.refused + dropped + stats.queued_samples);
	return stats;
}

static void
test_queue__a_body_is_what_was_added(void **state)
{
	(void)state;
	struct push_queue *queue = push_queue_new(LIMIT);
	char content[1000];
	size_t len = sizeof(content);
	add(queue, 4, 3, len);
	assert_false(push_queue_is_empty(queue));
	struct push_request *request = push_queue_take(queue);
	assert_null(push_queue_take(queue));
	assert_int_equal(snappy_uncompress(request->body, request->len, content, &len), SNAPPY_OK);
	assert_true(span_equal(span_of(content, len), noise(sizeof(content))));
	assert_int_equal(request->samples, 3);
	assert_int_equal(request->timestamp_ms, 4);
	push_queue_settle(queue, &request, 2);
	assert_null(request);
	struct push_stats stats = stats_of(queue);
	assert_int_equal(stats.sent, 2);
	assert_int_equal(stats.refused, 1);
	assert_int_equal(stats.newest_sent_ms, 4);
	assert_int_equal(stats.queued_bytes, 0);
	push_queue_free(&queue);
}

static void
test_queue__a_group_at_a_time(void **state)
{
	(void)state;
	struct push_queue *queue = push_queue_new(LIMIT);
	add(queue, 1, 1, 10);
	add(queue, 1, 2, 10);
	add(queue, 2, 4, 10);
	struct push_request *first = push_queue_take(queue), *second = push_queue_take(queue);
	assert_int_equal(first->samples, 1);
	assert_int_equal(second->samples, 2);
	assert_null(push_queue_take(queue));
	/* What comes back comes first, in the order there was. */
	push_queue_return(queue, &second);
	push_queue_return(queue, &first);
	first = push_queue_take(queue);
	second = push_queue_take(queue);
	assert_int_equal(first->samples, 1);
	push_queue_return(queue, &first);
	push_queue_return(queue, &second);
	first = push_queue_take(queue);
	assert_int_equal(first->samples, 1);
	push_queue_settle(queue, &first, 1);
	second = push_queue_take(queue);
	assert_int_equal(second->samples, 2);
	assert_null(push_queue_take(queue));
	push_queue_settle(queue, &second, 2);
	first = push_queue_take(queue);
	assert_int_equal(first->samples, 4);
	assert_false(push_queue_is_empty(queue));
	push_queue_settle(queue, &first, 0);
	assert_true(push_queue_is_empty(queue));
	assert_int_equal(stats_of(queue).retried, 6);
	push_queue_free(&queue);
}

static void
test_queue__takes_as_much_as_its_limit(void **state)
{
	(void)state;
	struct push_queue *queue = push_queue_new(LIMIT);
	add(queue, 1, 1, 1000);
	uint64_t each = stats_of(queue).queued_bytes;
	push_queue_free(&queue);
	queue = push_queue_new(2 * each);
	for (size_t samples = 1; samples <= 4; samples *= 2) {
		uint64_t too_many = samples == 4 ? 1 : 0;
		add(queue, 1, samples, 1000);
		assert_int_equal(stats_of(queue).dropped[PUSH_DROP_QUEUE_FULL], too_many);
	}
	push_queue_free(&queue);
	/* What does not fit into it drops what does. */
	queue = push_queue_new(each);
	add(queue, 1, 1, 1000);
	assert_int_equal(stats_of(queue).queued_samples, 1);
	add(queue, 1, 2, 1001);
	assert_int_equal(stats_of(queue).queued_samples, 0);
	push_queue_free(&queue);
}

static void
test_queue__drops_the_oldest(void **state)
{
	(void)state;
	struct push_queue *queue = push_queue_new(LIMIT);
	add(queue, 1, 1, 1500);
	struct push_request *sending = push_queue_take(queue);
	add(queue, 1, 2, 1000);
	add(queue, 1, 4, 1000);
	assert_int_equal(stats_of(queue).dropped[PUSH_DROP_QUEUE_FULL], 0);
	add(queue, 1, 8, 1000);
	assert_int_equal(stats_of(queue).dropped[PUSH_DROP_QUEUE_FULL], 2);
	/* One for which there is no room beside what is being sent. */
	add(queue, 1, 16, 3000);
	assert_int_equal(stats_of(queue).dropped[PUSH_DROP_QUEUE_FULL], 2 + 4 + 8 + 16);
	/* What is being sent may come back, and is then the oldest. */
	push_queue_return(queue, &sending);
	add(queue, 1, 32, 3000);
	assert_int_equal(stats_of(queue).dropped[PUSH_DROP_QUEUE_FULL], 1 + 2 + 4 + 8 + 16);
	assert_int_equal(stats_of(queue).queued_samples, 32);
	assert_in_range(stats_of(queue).queued_bytes, 3000, LIMIT);
	push_queue_drop_all(queue);
	assert_int_equal(stats_of(queue).dropped[PUSH_DROP_SHUTDOWN], 32);
	add(queue, 1, 64, 10);
	sending = push_queue_take(queue);
	push_queue_drop(queue, &sending, PUSH_DROP_SHUTDOWN);
	assert_null(sending);
	assert_int_equal(stats_of(queue).dropped[PUSH_DROP_SHUTDOWN], 32 + 64);
	assert_int_equal(stats_of(queue).queued_bytes, 0);
	assert_true(push_queue_is_empty(queue));
	push_queue_free(&queue);
}

/* The place in the queue stays, and so does the account. */
static void
test_queue__translates(void **state)
{
	(void)state;
	struct push_queue *queue = push_queue_new(LIMIT);
	struct buf bytes = BUF_INIT;
	/* A symbol that 1.0 has no use for: the request gets smaller. */
	protobuf_add_bytes(&bytes, REQUEST2_SYMBOLS, noise(100));
	size_t series = protobuf_begin(&bytes, REQUEST2_TIMESERIES);
	size_t sample = protobuf_begin(&bytes, TIMESERIES2_SAMPLES);
	protobuf_add_double(&bytes, SAMPLE_VALUE, 1.5);
	protobuf_end(&bytes, sample);
	protobuf_end(&bytes, series);
	struct push_message message = {.protocol = PUSH_PROTOCOL_2,
				       .bytes = buf_span(&bytes),
				       .samples = 3,
				       .natives = 2,
				       .timestamp_ms = 4};
	add(queue, 1, 1, 10);
	push_queue_add(queue, 1, &message);
	buf_fini(&bytes);
	struct push_request *before_it = push_queue_take(queue), *request = push_queue_take(queue);
	uint64_t before = stats_of(queue).queued_bytes;
	push_queue_count_sent(queue, request);
	uint64_t sent = stats_of(queue).bytes;
	assert_int_equal(sent, request->len);
	push_queue_translate(queue, &request);
	assert_int_equal(request->protocol, PUSH_PROTOCOL_1);
	assert_int_equal(request->group, 1);
	assert_int_equal(before - stats_of(queue).queued_bytes, sent - request->len);
	push_queue_return(queue, &before_it);
	push_queue_return(queue, &request);
	request = push_queue_take(queue);
	assert_int_equal(request->samples, 1);
	push_queue_settle(queue, &request, 1);
	request = push_queue_take(queue);
	assert_int_equal(request->samples, 3);
	assert_int_equal(request->natives, 2);
	assert_int_equal(request->timestamp_ms, 4);
	char content[100];
	size_t len = sizeof(content);
	struct buf text = BUF_INIT;
	assert_int_equal(snappy_uncompress(request->body, request->len, content, &len), SNAPPY_OK);
	decode_message(&(struct push_message){PUSH_PROTOCOL_1, span_of(content, len)}, &text);
	assert_string_equal(buf_text(&text), "? 1.5 @ 0\n");
	buf_fini(&text);
	push_queue_settle(queue, &request, 3);
	assert_int_equal(stats_of(queue).queued_bytes, 0);
	assert_int_equal(stats_of(queue).requests, 1);
	assert_int_equal(stats_of(queue).bytes, sent);
	push_queue_count_drop(queue, PUSH_DROP_ENDED_LIMIT, 5);
	assert_int_equal(stats_of(queue).dropped[PUSH_DROP_ENDED_LIMIT], 5);
	push_queue_free(&queue);
}

/* What is left is sent in the same place; the account knows what was taken out. */
static void
test_queue__refuses_native(void **state)
{
	(void)state;
	struct push_queue *queue = push_queue_new(LIMIT);
	struct buf bytes = BUF_INIT;
	for (unsigned i = 0; i < 2; i++) {
		size_t series = protobuf_begin(&bytes, REQUEST2_TIMESERIES);
		protobuf_add_bytes(&bytes, i ? TIMESERIES2_HISTOGRAMS : TIMESERIES2_SAMPLES,
				   noise(100));
		protobuf_end(&bytes, series);
	}
	push_queue_add(queue, 1,
		       &(struct push_message){.protocol = PUSH_PROTOCOL_2,
					      .bytes = buf_span(&bytes),
					      .samples = 2,
					      .natives = 1,
					      .timestamp_ms = 4});
	add(queue, 1, 5, 10);
	buf_fini(&bytes);
	struct push_request *request = push_queue_take(queue);
	assert_int_equal(request->natives, 1);
	request->must_be_1 = true;
	size_t before = request->len;
	uint64_t queued = stats_of(queue).queued_bytes;
	push_queue_refuse_native(queue, &request);
	assert_int_equal(request->protocol, PUSH_PROTOCOL_2);
	assert_true(request->must_be_1);
	assert_int_equal(request->samples, 1);
	assert_int_equal(request->natives, 0);
	assert_int_equal(request->timestamp_ms, 4);
	assert_in_range(request->len, 100, before - 1);
	assert_int_equal(queued - stats_of(queue).queued_bytes, before - request->len);
	assert_int_equal(stats_of(queue).refused, 1);
	push_queue_return(queue, &request);
	assert_int_equal(stats_of(queue).retried, 1);
	request = push_queue_take(queue);
	assert_int_equal(request->samples, 1);
	push_queue_settle(queue, &request, 1);
	assert_int_equal(stats_of(queue).queued_samples, 5);
	push_queue_free(&queue);
}

static void
test_queue__settles_what_was_native_only(void **state)
{
	(void)state;
	struct push_queue *queue = push_queue_new(LIMIT);
	push_queue_add(queue, 1,
		       &(struct push_message){.protocol = PUSH_PROTOCOL_2,
					      .bytes = SPAN("\x2a\x02\x1a\x00\x22\x01h"),
					      .samples = 1,
					      .natives = 1,
					      .timestamp_ms = 4});
	add(queue, 2, 5, 10);
	struct push_request *request = push_queue_take(queue);
	push_queue_refuse_native(queue, &request);
	assert_null(request);
	assert_int_equal(stats_of(queue).refused, 1);
	assert_int_equal(stats_of(queue).retried, 0);
	assert_int_equal(stats_of(queue).queued_samples, 5);
	/* It is not being sent any more: the next group may. */
	request = push_queue_take(queue);
	assert_int_equal(request->samples, 5);
	push_queue_settle(queue, &request, 5);
	assert_int_equal(stats_of(queue).queued_bytes, 0);
	assert_int_equal(stats_of(queue).newest_sent_ms, 2);
	push_queue_free(&queue);
}

/* What a receiver has refused, or what had only metadata, tells nothing of how far behind it is. */
static void
test_queue__knows_the_newest_sample_sent(void **state)
{
	(void)state;
	static const struct {
		size_t samples, sent;
		bool counts;
	} table[] = {{3, 0, false}, {0, 0, false}, {3, 1, true}};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct push_queue *queue = push_queue_new(LIMIT);
		add(queue, 7, table[i].samples, 10);
		struct push_request *request = push_queue_take(queue);
		push_queue_settle(queue, &request, table[i].sent);
		assert_int_equal(stats_of(queue).newest_sent_ms, table[i].counts ? 7 : 0);
		assert_int_equal(stats_of(queue).last_success.us > 0, table[i].counts);
		push_queue_free(&queue);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_queue__a_body_is_what_was_added),
	    cmocka_unit_test(test_queue__a_group_at_a_time),
	    cmocka_unit_test(test_queue__takes_as_much_as_its_limit),
	    cmocka_unit_test(test_queue__drops_the_oldest),
	    cmocka_unit_test(test_queue__translates),
	    cmocka_unit_test(test_queue__refuses_native),
	    cmocka_unit_test(test_queue__settles_what_was_native_only),
	    cmocka_unit_test(test_queue__knows_the_newest_sample_sent),
	};
	return cmocka_run_group_tests_name("push/queue", tests, NULL, NULL);
}
