#include "net/datagram.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "net/turn.h"

#include <errno.h>
#include <ev.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* More messages a call bring nothing more. */
#define BATCH 64

/* Full batches of one wake-up, before timers and other sockets have their turn. */
#define BATCHES_PER_WAKE_UP 4

/* Whole cache lines, and a few more, so that the first ones of all buffers do not meet in one place. */
#define SLOT_SIZE (DATAGRAM_MAX + 3 * 64)

/* A datagram of more bytes may take so long that the turn may be over behind it. */
#define LONG_BYTES 4096

/* Pause after an error that may go away by itself. */
#define BACK_OFF_S 0.01

struct datagram_buffers {
	struct mmsghdr messages[BATCH];
	struct iovec slots[BATCH];
	/* What a turn has left of a batch: messages from `next` to `end`; NULL = nothing. */
	struct datagram_listener *rest_of;
	int next, end;
	/* Last and not written to: pages that no datagram reached cost no memory. */
	char bytes[BATCH][SLOT_SIZE];
};

struct datagram_listener {
	struct ev_loop *loop;
	ev_io readable;
	ev_timer back_off;
	ev_timer rest; /* runs while the buffers hold what this listener has received */
	int fd;
	bool is_alive;
	enum net_transport transport;
	struct datagram_buffers *buffers;
	struct net_sink *sink;
};

struct datagram_buffers *
datagram_buffers_new(void)
{
	struct datagram_buffers *buffers = xmalloc(sizeof(*buffers));
	buffers->rest_of = NULL;
	for (size_t i = 0; i < BATCH; i++) {
		buffers->slots[i] = (struct iovec){buffers->bytes[i], DATAGRAM_MAX};
		/* No room for control messages: the kernel discards descriptors a peer sends. */
		buffers->messages[i] = (struct mmsghdr){
		    .msg_hdr = {.msg_iov = &buffers->slots[i], .msg_iovlen = 1},
		};
	}
	return buffers;
}

void
datagram_buffers_free(struct datagram_buffers **buffers)
{
	free(*buffers);
	*buffers = NULL;
}

/* An old client of Unix datagrams puts the length of the rest first, as on a stream. */
static bool
has_length_prefix(const char *bytes, size_t len)
{
	if (len < 4)
		return false;
	const unsigned char *b = (const unsigned char *)bytes;
	uint64_t prefix = b[0] | (uint64_t)b[1] << 8 | (uint64_t)b[2] << 16 | (uint64_t)b[3] << 24;
	return prefix == len - 4;
}

static void
hand_on(struct datagram_listener *listener, const char *bytes, size_t len, bool is_cut)
{
	struct net_sink *sink = listener->sink;
	struct net_counters *counters = &sink->counters[listener->transport];
	net_count(&counters->packets, 1);
	net_count(&counters->bytes, len);
	if (is_cut) {
		/* What is left of the last line may still parse, to a wrong value. */
		net_count(&counters->truncated, 1);
		const char *newline = memrchr(bytes, '\n', len);
		if (!newline)
			return;
		len = (size_t)(newline - bytes) + 1;
	} else if (listener->transport == NET_UNIXGRAM && has_length_prefix(bytes, len)) {
		bytes += 4;
		len -= 4;
	}
	sink->payload(sink->ctx, listener->transport, bytes, len);
}

static void
log_receive_error(const struct datagram_listener *listener, int error)
{
	static struct log_gate gate;
	uint64_t held_back;
	if (log_gate_open(&gate, &held_back))
		log_warn("cannot receive, trying again",
			 LOG_TEXT("transport", net_transport_text(listener->transport)),
			 LOG_ERRNO(error), LOG_NUM("held_back", held_back));
}

static void
stop_for_good(struct datagram_listener *listener, int error)
{
	listener->is_alive = false;
	ev_io_stop(listener->loop, &listener->readable);
	ev_timer_stop(listener->loop, &listener->back_off);
	log_error("cannot receive any more",
		  LOG_TEXT("transport", net_transport_text(listener->transport)), LOG_ERRNO(error));
}

static void
pause_receiving(struct datagram_listener *listener)
{
	ev_io_stop(listener->loop, &listener->readable);
	ev_timer_again(listener->loop, &listener->back_off);
}

/* @return whether to receive again at once */
static bool
survive(struct datagram_listener *listener, int error)
{
	switch (error) {
	case EAGAIN:
		return false;
	case EINTR:
		return true;
	case EBADF:
	case ENOTSOCK:
	case ENOTCONN:
	case EOPNOTSUPP:
	case EFAULT:
	case EINVAL:
		net_count(&listener->sink->counters[listener->transport].receive_errors, 1);
		stop_for_good(listener, error);
		return false;
	}
	net_count(&listener->sink->counters[listener->transport].receive_errors, 1);
	log_receive_error(listener, error);
	/* The kernel has reported this one and forgotten it; there may be datagrams behind it. */
	if (error == ECONNREFUSED)
		return true;
	pause_receiving(listener);
	return false;
}

/*
 * Hands on what the buffers hold. Sixty-four datagrams of the longest kind can be made to cost seconds, so
 * the turn may end between two of them; a timer goes on with the rest.
 *
 * @return whether all was handed on
 */
static bool
hand_on_rest(struct datagram_buffers *buffers)
{
	struct datagram_listener *listener = buffers->rest_of;
	bool is_over = false;
	while (buffers->next < buffers->end && !is_over) {
		int i = buffers->next++;
		const struct mmsghdr *message = &buffers->messages[i];
		hand_on(listener, buffers->bytes[i], message->msg_len,
			message->msg_hdr.msg_flags & MSG_TRUNC);
		is_over = message->msg_len > LONG_BYTES && turn_is_over(listener->loop);
	}
	listener->sink->flush(listener->sink->ctx);
	if (buffers->next < buffers->end) {
		listener->sink->is_behind = true;
		ev_timer_start(listener->loop, &listener->rest);
		return false;
	}
	ev_timer_stop(listener->loop, &listener->rest);
	buffers->rest_of = NULL;
	return true;
}

static void
on_rest(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop, (void)events;
	struct datagram_listener *listener = timer->data;
	hand_on_rest(listener->buffers);
}

/* @received messages @return whether there may be more */
static bool
receive_batch(struct datagram_listener *listener, int *received)
{
	struct datagram_buffers *buffers = listener->buffers;
	*received = BATCH;
	if (buffers->rest_of && !hand_on_rest(buffers))
		return true;
	*received = recvmmsg(listener->fd, buffers->messages, BATCH, MSG_DONTWAIT, NULL);
	if (*received < 0)
		return survive(listener, errno);
	buffers->rest_of = listener;
	buffers->next = 0;
	buffers->end = *received;
	hand_on_rest(buffers);
	return *received > 0;
}

static void
on_readable(struct ev_loop *loop, ev_io *io, int events)
{
	(void)events;
	struct datagram_listener *listener = io->data;
	for (int i = 0; i < BATCHES_PER_WAKE_UP; i++) {
		if (i > 0 && turn_is_over(loop))
			break;
		int received;
		bool is_more = receive_batch(listener, &received);
		/* A batch that is not full leaves nothing worth a call that finds nothing. */
		if (!is_more || (received >= 0 && received < BATCH))
			return;
	}
	listener->sink->is_behind = true;
}

static void
on_back_off_over(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)events;
	struct datagram_listener *listener = timer->data;
	ev_timer_stop(loop, timer);
	ev_io_start(loop, &listener->readable);
}

struct datagram_listener *
datagram_listener_new(struct ev_loop *loop, int fd, enum net_transport transport,
		      struct datagram_buffers *buffers, struct net_sink *sink)
{
	CHECK(transport == NET_UDP || transport == NET_UNIXGRAM);
	struct datagram_listener *listener = xcalloc(1, sizeof(*listener));
	*listener = (struct datagram_listener){
	    .loop = loop,
	    .fd = fd,
	    .is_alive = true,
	    .transport = transport,
	    .buffers = buffers,
	    .sink = sink,
	};
	ev_io_init(&listener->readable, on_readable, fd, EV_READ);
	ev_timer_init(&listener->back_off, on_back_off_over, 0., BACK_OFF_S);
	ev_timer_init(&listener->rest, on_rest, 0., 0.);
	listener->readable.data = listener;
	listener->back_off.data = listener;
	listener->rest.data = listener;
	ev_io_start(loop, &listener->readable);
	return listener;
}

void
datagram_listener_drain(struct datagram_listener *listener, int64_t deadline_us)
{
	bool is_more = listener->is_alive;
	while (is_more && clock_mono().us < deadline_us) {
		int received;
		is_more = receive_batch(listener, &received);
	}
}

bool
datagram_listener_is_alive(const struct datagram_listener *listener)
{
	return listener->is_alive;
}

int
datagram_listener_fd(const struct datagram_listener *listener)
{
	return listener->fd;
}

void
datagram_listener_free(struct datagram_listener **listener)
{
	struct datagram_listener *l = *listener;
	if (!l)
		return;
	ev_io_stop(l->loop, &l->readable);
	ev_timer_stop(l->loop, &l->back_off);
	ev_timer_stop(l->loop, &l->rest);
	if (l->buffers->rest_of == l)
		l->buffers->rest_of = NULL;
	close(l->fd);
	free(l);
	*listener = NULL;
}
