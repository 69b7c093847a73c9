#include "hostile.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "channel.h"

#include <errno.h>
#include <gnutls/gnutls.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define TURN_MS 50   /* how often each does what it does */
#define ADDRESSES 64 /* 127.0.0.1 and on; see come() */
#define EVENTS 256

enum medium {
	RAW,   /* without TLS, also where the server wants it */
	HELLO, /* the first message of TLS, and nothing behind it */
	TALK,  /* what the server speaks */
};

static char filler[16384 + 1]; /* bytes of a body */

/* What a client sends at once, and then at each turn; it reads nothing. */
static const struct deed {
	enum medium medium;
	const char *first, *more;
	unsigned turns; /* after which it goes by itself; 0 = it stays */
} deeds[] = {
    {RAW, "", "", 0},
    {RAW, "", "", 1},
    {RAW, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "\x01\x02\x03", 0},
    {RAW, "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", "", 0},
    {HELLO, "", "", 1},
    {HELLO, "", "", 0},
    {TALK, "", "", 0},
    {TALK, "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", "", 0},
    {TALK, "GET /metrics HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n", "", 3},
    {TALK, "GET /metrics HTTP/1.1\r\nHost: a\r\nAuthorization: Basic d3Jvbmc6cGFzc3dvcmQ=\r\n\r\n",
     "GET /metrics HTTP/1.1\r\nHost: a\r\nAuthorization: Basic Ym9va3M6d3Jvbmc=\r\n\r\n", 0},
    {TALK, "GET /met", "r", 0},
    {TALK, "GET / HTTP/1.1\r\nHost: a\r\n", "X: y\r\n", 0},
    {TALK, "GET / HTTP/1.1\r\nHost: a\r\nCookie: ",
     "0123456789012345678901234567890123456789012345678901234567890123", 0},
    {TALK, "POST /-/reload HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n", "body", 0},
    {TALK, "POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 1048576\r\n\r\n", filler, 0},
    {TALK, "PUT /sd/a HTTP/1.1\r\nHost: a\r\nContent-Length: 1048576\r\n\r\n", filler, 0},
    {TALK, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe", "l", 0},
    {TALK, "GET /a HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n",
     "GET /../../etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n", 0},
    {TALK, "\r\n\r\n\r\nGET HTTP/9.9 /\r\n\r\n", "\r\n", 0},
};
#define DEEDS (sizeof(deeds) / sizeof(deeds[0]))

struct client {
	int fd; /* owned; -1 = none */
	const struct deed *deed;
	unsigned turns;
	gnutls_session_t session; /* owned; NULL = no TLS */
	bool is_established;
	bool is_stuck; /* GnuTLS has not got rid of what it was given last */
};

struct hostile {
	pthread_t thread;
	const struct server *server;
	unsigned count;
	struct client *clients; /* owned */
	int epoll;
	uint64_t connections;
	struct buf hello; /* a client's, of TLS */
	_Atomic bool is_over;
};

static void
leave(struct client *client)
{
	if (client->session)
		gnutls_deinit(client->session);
	client->session = NULL;
	close(client->fd);
	client->fd = -1;
}

/*
 * A client that cannot connect now tries again in the next turn. Turns to shake hands go by
 * address: whoever shares the honest client's is one with it there.
 */
static void
come(struct hostile *hostile, unsigned i)
{
	struct client *client = &hostile->clients[i];
	in_addr_t first = INADDR_LOOPBACK + hostile->server->is_secure;
	struct sockaddr_in from = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(first + i / DEEDS % ADDRESSES)};
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_port = htons(hostile->server->web),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int small = 4096;
	*client = (struct client){.deed = &deeds[i % DEEDS]};
	client->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (client->fd < 0)
		give_up("socket of a hostile client");
	setsockopt(client->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	struct epoll_event event = {.events = EPOLLRDHUP, .data.u32 = i};
	if (bind(client->fd, (struct sockaddr *)&from, sizeof(from)) ||
	    (connect(client->fd, (struct sockaddr *)&to, sizeof(to)) && errno != EINPROGRESS) ||
	    epoll_ctl(hostile->epoll, EPOLL_CTL_ADD, client->fd, &event)) {
		leave(client);
		return;
	}
	hostile->connections++;
	if (client->deed->medium == TALK && hostile->server->is_secure) {
		client->session = channel_session_new(GNUTLS_NONBLOCK);
		gnutls_transport_set_int(client->session, client->fd);
	}
}

/* @return whether TLS takes bytes now */
static bool
is_writable(struct client *client)
{
	if (!client->is_established)
		client->is_established = gnutls_handshake(client->session) == 0;
	else if (client->is_stuck)
		client->is_stuck = gnutls_record_send(client->session, NULL, 0) < 0;
	return client->is_established && !client->is_stuck;
}

/* It does not care whether that arrives. */
static void
say(struct client *client, struct span text)
{
	if (!text.len)
		return;
	if (client->session)
		client->is_stuck = gnutls_record_send(client->session, text.ptr, text.len) < 0;
	else
		(void)!send(client->fd, text.ptr, text.len, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void
act(struct hostile *hostile, unsigned i)
{
	struct client *client = &hostile->clients[i];
	if (client->fd < 0) {
		come(hostile, i);
		return;
	}
	if (client->session && !is_writable(client))
		return;
	if (client->turns++)
		say(client, span_text(client->deed->more));
	else if (client->deed->medium == HELLO)
		say(client, buf_span(&hostile->hello));
	else
		say(client, span_text(client->deed->first));
	if (client->turns == client->deed->turns)
		leave(client);
}

static void *
run(void *ctx)
{
	struct hostile *hostile = ctx;
	struct epoll_event events[EVENTS];
	int64_t turn_us = clock_mono().us;
	while (!hostile->is_over) {
		int count = epoll_wait(hostile->epoll, events, EVENTS, TURN_MS / 10);
		for (int i = 0; i < count; i++) {
			unsigned which = events[i].data.u32;
			if (hostile->clients[which].fd >= 0)
				leave(&hostile->clients[which]);
		}
		if (clock_mono().us < turn_us)
			continue;
		turn_us += TURN_MS * INT64_C(1000);
		for (unsigned i = 0; i < hostile->count; i++)
			act(hostile, i);
	}
	return NULL;
}

static ssize_t
keep_hello(gnutls_transport_ptr_t ctx, const void *bytes, size_t len)
{
	buf_add(ctx, bytes, len);
	return (ssize_t)len;
}

static ssize_t
answer_nothing(gnutls_transport_ptr_t ctx, void *bytes, size_t size)
{
	(void)ctx, (void)bytes, (void)size;
	errno = EAGAIN;
	return -1;
}

static void
make_hello(struct buf *out)
{
	gnutls_session_t session = channel_session_new(GNUTLS_NONBLOCK);
	*out = BUF_INIT;
	gnutls_transport_set_ptr(session, out);
	gnutls_transport_set_push_function(session, keep_hello);
	gnutls_transport_set_pull_function(session, answer_nothing);
	if (gnutls_handshake(session) != GNUTLS_E_AGAIN || !out->len)
		give_up("no hello of TLS");
	gnutls_deinit(session);
}

struct hostile *
hostile_start(const struct server *server, unsigned count)
{
	struct hostile *hostile = xcalloc(1, sizeof(*hostile));
	hostile->server = server;
	hostile->count = count;
	memset(filler, 'x', sizeof(filler) - 1);
	make_hello(&hostile->hello);
	hostile->clients = xcalloc(count, sizeof(*hostile->clients));
	hostile->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (hostile->epoll < 0)
		give_up("epoll_create1");
	for (unsigned i = 0; i < count; i++)
		hostile->clients[i].fd = -1;
	if (pthread_create(&hostile->thread, NULL, run, hostile))
		give_up("pthread_create");
	return hostile;
}

uint64_t
hostile_stop(struct hostile **slot)
{
	struct hostile *hostile = *slot;
	*slot = NULL;
	hostile->is_over = true;
	pthread_join(hostile->thread, NULL);
	for (unsigned i = 0; i < hostile->count; i++) {
		if (hostile->clients[i].fd >= 0)
			leave(&hostile->clients[i]);
	}
	uint64_t connections = hostile->connections;
	close(hostile->epoll);
	buf_fini(&hostile->hello);
	free(hostile->clients);
	free(hostile);
	return connections;
}
