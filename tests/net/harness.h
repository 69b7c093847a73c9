/*
 * What the tests of net share: a sink that writes down what it gets, an event loop that runs until
 * a condition holds, and a folder for sockets.
 */
#ifndef TESTS_NET_HARNESS_H
#define TESTS_NET_HARNESS_H

#include "test.h"

#include "base/buf.h"
#include "net/sink.h"

#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* A condition that does not hold by then never will. */
#define GUARD_S 20.

/* Payloads that are looked at again when they are flushed; of more, the last ones. */
#define PENDING_MAX 256

struct pending_payload {
	const char *bytes;
	size_t len;
	size_t copy; /* offset in received->lines */
};

struct received {
	struct net_sink sink;
	struct buf text;  /* "[payload]" each */
	struct buf lines; /* all payloads, a '\n' behind each */
	_Atomic size_t payloads;
	struct pending_payload pending[PENDING_MAX];
	size_t pending_count;
};

/* Keeps where the payload is, to see at the flush that it has stayed. */
static inline void
receive_payload(void *ctx, enum net_transport transport, const char *bytes, size_t len)
{
	struct received *received = ctx;
	(void)transport;
	buf_add_byte(&received->text, '[');
	buf_add(&received->text, bytes, len);
	buf_add_byte(&received->text, ']');
	if (received->pending_count == PENDING_MAX)
		received->pending_count = 0;
	received->pending[received->pending_count++] =
	    (struct pending_payload){bytes, len, received->lines.len};
	buf_add(&received->lines, bytes, len);
	buf_add_byte(&received->lines, '\n');
	atomic_fetch_add(&received->payloads, 1);
}

static inline void
receive_flush(void *ctx)
{
	struct received *received = ctx;
	for (size_t i = 0; i < received->pending_count; i++) {
		const struct pending_payload *pending = &received->pending[i];
		if (pending->len)
			assert_memory_equal(pending->bytes, received->lines.ptr + pending->copy,
					    pending->len);
	}
	received->pending_count = 0;
}

static inline void
received_init(struct received *received)
{
	memset(received, 0, sizeof(*received));
	received->text = BUF_INIT;
	received->lines = BUF_INIT;
	received->sink.payload = receive_payload;
	received->sink.flush = receive_flush;
	received->sink.ctx = received;
}

static inline void
received_fini(struct received *received)
{
	buf_fini(&received->text);
	buf_fini(&received->lines);
}

static inline uint64_t
load(_Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

static inline size_t
count_lines(const struct received *received)
{
	size_t count = 0;
	for (size_t i = 0; i < received->lines.len; i++)
		count += received->lines.ptr[i] == '\n';
	return count;
}

static inline void
on_guard(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop, (void)events;
	*(bool *)timer->data = true;
}

/* Runs the loop until the condition holds; fails the test when it never does. */
#define run_until(loop, condition)                                   \
	do {                                                         \
		bool expired_ = false;                               \
		ev_timer guard_;                                     \
		ev_now_update(loop);                                 \
		ev_timer_init(&guard_, on_guard, GUARD_S, 0.);       \
		guard_.data = &expired_;                             \
		ev_timer_start(loop, &guard_);                       \
		while (!(condition) && !expired_)                    \
			ev_run(loop, EVRUN_ONCE);                    \
		ev_timer_stop(loop, &guard_);                        \
		if (expired_)                                        \
			fail_msg("never came true: %s", #condition); \
	} while (0)

/* A folder that is removed with everything in it by folder_fini(). */
struct folder {
	char path[64];
	char file[96]; /* room for folder_file() */
};

static inline void
folder_init(struct folder *folder)
{
	snprintf(folder->path, sizeof(folder->path), "/tmp/net-test-XXXXXX");
	assert_non_null(mkdtemp(folder->path));
}

/* @return the path of a file in the folder, valid until the next call */
static inline const char *
folder_file(struct folder *folder, const char *name)
{
	snprintf(folder->file, sizeof(folder->file), "%s/%s", folder->path, name);
	return folder->file;
}

static inline void
folder_fini(struct folder *folder)
{
	char command[128];
	snprintf(command, sizeof(command), "rm -rf '%s'", folder->path);
	assert_int_equal(system(command), 0);
}

#endif
