/*
 * What the tests of the server share: handlers that do as they are told, and clients on raw
 * sockets. One thread: each wait for the client side steps the server's loop, so nothing races, and
 * conditions are awaited, not slept for.
 */
#ifndef TESTS_HTTP_HARNESS_H
#define TESTS_HTTP_HARNESS_H

#include "test.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "http/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ev.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Long enough never to pass on a loaded machine where it should not. */
#define FOREVER_US ((int64_t)30 * 1000 * 1000)
/* For limits that are meant to pass. */
#define SOON_US ((int64_t)50 * 1000)
#define BODY_LIMIT 1000

struct fixture {
	struct ev_loop *loop;
	struct http_server *server;
	in_port_t port;

	/* What handlers are to do, and what happened to them. */
	size_t pieces;      /* of a stream; SIZE_MAX = without end */
	size_t piece_bytes; /* of each piece */
	size_t pieces_made;
	bool fails; /* the body meets its cap */
	unsigned calls, fills, done_complete, done_broken, sent;
	/* Answers that were put off, in the order of their requests. */
	struct http_later *later[4];
	unsigned laters, left, given_up;
};

static inline void
count_sent(void *ctx)
{
	((struct fixture *)ctx)->sent++;
}

static inline void
handle_hello(void *ctx, const struct http_request *request, struct http_reply *reply)
{
	struct fixture *f = ctx;
	(void)request;
	f->calls++;
	if (f->fails)
		reply->body.limit = 3;
	buf_add_text(&reply->body, "hello\n");
	reply->sent = count_sent;
	reply->sent_ctx = f;
}

static inline void
handle_echo(void *ctx, const struct http_request *request, struct http_reply *reply)
{
	((struct fixture *)ctx)->calls++;
	reply->status = 201;
	reply->content_type = "application/octet-stream";
	buf_add_span(&reply->body, http_request_body(request));
}

static inline void
add_value(struct buf *out, struct span value)
{
	if (value.ptr)
		buf_printf(out, "<%.*s>", SPAN_ARGS(value));
	else
		buf_add_text(out, "none");
}

static inline void
handle_ask(void *ctx, const struct http_request *request, struct http_reply *reply)
{
	(void)ctx;
	add_value(&reply->body, http_request_path(request));
	add_value(&reply->body, http_request_header(request, "accept"));
	add_value(&reply->body, http_request_query(request, "q"));
	struct buf lines = BUF_INIT;
	struct span list = http_request_list(request, "X-List", &lines);
	if (list.ptr)
		add_value(&reply->body, list);
	buf_fini(&lines);
	reply->content_encoding = "identity";
	reply->vary = "Accept";
	reply->www_authenticate = "Bearer";
	strcpy(reply->etag, "\"e-1\"");
}

static inline void
add_argument(void *ctx, struct span name, struct span value)
{
	buf_printf(ctx, "<%.*s=%.*s>", SPAN_ARGS(name), SPAN_ARGS(value));
}

static inline void
handle_list(void *ctx, const struct http_request *request, struct http_reply *reply)
{
	(void)ctx;
	char host[INET_ADDRSTRLEN];
	const struct sockaddr_in *peer = (const struct sockaddr_in *)http_request_peer(request);
	assert_int_equal(peer->sin_family, AF_INET);
	assert_non_null(inet_ntop(AF_INET, &peer->sin_addr, host, sizeof(host)));
	buf_printf(&reply->body, "%s %u ", host, http_request_method(request));
	http_request_visit_query(request, add_argument, &reply->body);
}

static inline struct http_reply
make_late_reply(struct fixture *f, const char *body)
{
	struct http_reply reply = http_reply_new();
	reply.status = 202;
	reply.sent = count_sent;
	reply.sent_ctx = f;
	buf_add_text(&reply.body, body);
	return reply;
}

static inline void
count_left(void *ctx, bool is_given_up)
{
	struct fixture *f = ctx;
	f->left++;
	f->given_up += is_given_up;
}

/* Gives the answer as soon as nobody may be waiting for it. */
static inline void
answer_left(void *ctx, bool is_given_up)
{
	(void)is_given_up;
	struct fixture *f = ctx;
	struct http_reply reply = make_late_reply(f, "left\n");
	f->left++;
	http_later_answer(&f->later[0], &reply);
}

/* "/later?watched" and "/later?answered" tell when the client leaves. "/later?now" is put off and
 * answered before the handler returns. */
static inline void
handle_later(void *ctx, const struct http_request *request, struct http_reply *reply)
{
	struct fixture *f = ctx;
	f->calls++;
	buf_add_text(&reply->body, "dropped");
	reply->sent = count_sent;
	reply->sent_ctx = f;
	struct http_later *later = http_request_defer(request);
	if (http_request_query(request, "now").ptr) {
		struct http_reply late = make_late_reply(f, "now\n");
		http_later_answer(&later, &late);
		assert_null(later);
		return;
	}
	if (http_request_query(request, "watched").ptr)
		http_later_watch(later, count_left, f);
	if (http_request_query(request, "answered").ptr)
		http_later_watch(later, answer_left, f);
	assert_true(f->laters < sizeof(f->later) / sizeof(f->later[0]));
	f->later[f->laters++] = later;
}

static inline void
answer_later(struct fixture *f, unsigned which, const char *body)
{
	struct http_reply reply = make_late_reply(f, body);
	http_later_answer(&f->later[which], &reply);
}

/* Gives it in the round of the loop in which the watcher is called, which has the fixture. */
static inline void
answer_now(struct ev_loop *loop, ev_check *watcher, int events)
{
	(void)events;
	ev_check_stop(loop, watcher);
	answer_later(watcher->data, 0, "late\n");
}

static inline void
fill(void *ctx, struct buf *out)
{
	struct fixture *f = ctx;
	assert_int_equal(out->len, 0);
	f->fills++;
	if (f->pieces_made == f->pieces)
		return;
	f->pieces_made++;
	if (f->fails)
		out->limit = 3;
	for (size_t i = 0; i < f->piece_bytes; i++)
		buf_add_byte(out, (char)('a' + i % 26));
}

static inline void
done(void *ctx, bool complete)
{
	struct fixture *f = ctx;
	f->done_complete += complete;
	f->done_broken += !complete;
}

static inline void
handle_stream(void *ctx, const struct http_request *request, struct http_reply *reply)
{
	struct fixture *f = ctx;
	(void)request;
	f->calls++;
	f->pieces_made = 0;
	reply->stream = (struct http_stream){fill, done, f};
	reply->sent = count_sent;
	reply->sent_ctx = f;
}

/* Lets in who asks for it. */
static inline bool
admit(void *ctx, const struct http_request *request, struct http_reply *reply)
{
	(void)ctx;
	if (http_request_query(request, "in").ptr)
		return true;
	reply->status = 403;
	buf_add_text(&reply->body, "out\n");
	return false;
}

static const struct http_route routes[] = {
    {"/", HTTP_GET, handle_hello, false},
    {"/hello", HTTP_GET, handle_hello, false},
    {"/echo", HTTP_POST | HTTP_PUT, handle_echo, .body_methods = HTTP_POST | HTTP_PUT,
     .body_bytes = BODY_LIMIT},
    {"/ask", HTTP_GET | HTTP_DELETE, handle_ask, false},
    {"/stream", HTTP_GET, handle_stream, false},
    {"/list", HTTP_GET | HTTP_DELETE, handle_list, false},
    {"/later", HTTP_GET | HTTP_PUT, handle_later, false},
    {"/tree/", HTTP_GET, handle_ask, true},
    {"/guarded", HTTP_GET | HTTP_PUT, handle_echo, .admit = admit, .body_methods = HTTP_PUT,
     .body_bytes = BODY_LIMIT / 2},
    {"/tree/hello", HTTP_GET, handle_hello, false},
    {0},
};

static const struct http_limits ample = {
    .connections = 256,
    .connections_per_address = 256,
    .body_bytes = BODY_LIMIT,
    .bodies_bytes = 2 * BODY_LIMIT,
    .handshake_us = FOREVER_US,
    .request_us = FOREVER_US,
    .idle_us = FOREVER_US,
};

static inline int
open_listener(in_port_t *port)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_return_code(fd, errno);
	assert_return_code(bind(fd, (struct sockaddr *)&address, len), errno);
	assert_return_code(listen(fd, 1024), errno);
	assert_return_code(getsockname(fd, (struct sockaddr *)&address, &len), errno);
	*port = address.sin_port;
	return fd;
}

static inline struct fixture *
start_secured(struct http_limits limits, struct tls_source *tls)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	f->loop = ev_loop_new(EVFLAG_AUTO);
	f->pieces = 3;
	f->piece_bytes = 10;
	f->server = http_server_new(f->loop, routes, f, &limits, tls);
	assert_non_null(f->server);
	http_server_listen(f->server, open_listener(&f->port));
	return f;
}

static inline struct fixture *
start(struct http_limits limits)
{
	return start_secured(limits, NULL);
}

static inline void
stop(struct fixture *f)
{
	http_server_free(&f->server);
	assert_null(f->server);
	ev_loop_destroy(f->loop);
	free(f);
}

static inline void
step(struct fixture *f)
{
	ev_run(f->loop, EVRUN_NOWAIT);
}

/* Steps the loop until the condition holds; gives up after FOREVER_US. */
#define await(f, condition)                                                               \
	do {                                                                              \
		int64_t until_us = clock_mono().us + FOREVER_US;                          \
		while (!(condition)) {                                                    \
			if (clock_mono().us > until_us)                                   \
				fail_msg("%s:%d: %s never came true", __FILE__, __LINE__, \
					 #condition);                                     \
			step(f);                                                          \
			poll(NULL, 0, 1);                                                 \
		}                                                                         \
	} while (0)

#define stat_of(f, name) ((unsigned)http_server_stats((f)->server)->name)

static inline int
dial_from(struct fixture *f, const char *source, int receive_buffer)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_return_code(fd, errno);
	assert_int_equal(inet_pton(AF_INET, source, &address.sin_addr), 1);
	assert_return_code(bind(fd, (struct sockaddr *)&address, sizeof(address)), errno);
	if (receive_buffer)
		assert_return_code(
		    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof(receive_buffer)),
		    errno);
	address.sin_port = f->port;
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_return_code(connect(fd, (struct sockaddr *)&address, sizeof(address)), errno);
	return fd;
}

static inline int
dial(struct fixture *f)
{
	return dial_from(f, "127.0.0.1", 0);
}

/* Sends all, stepping the server; stops where the server hung up. @return bytes sent */
static inline size_t
send_bytes(struct fixture *f, int fd, const char *bytes, size_t len)
{
	size_t sent = 0;
	int64_t until_us = clock_mono().us + FOREVER_US;
	while (sent < len) {
		ssize_t n = send(fd, bytes + sent, len - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n > 0)
			sent += (size_t)n;
		else if (errno != EAGAIN)
			break;
		step(f);
		if (clock_mono().us > until_us)
			fail_msg("the server does not take what is sent");
	}
	return sent;
}

static inline void
send_text(struct fixture *f, int fd, const char *text)
{
	assert_int_equal(send_bytes(f, fd, text, strlen(text)), strlen(text));
}

/* Receives what is there. @return whether the server hung up */
static inline bool
receive(int fd, struct buf *in)
{
	for (;;) {
		char bytes[4096];
		ssize_t n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
		if (n == 0 || (n < 0 && errno == ECONNRESET))
			return true;
		if (n < 0) {
			assert_int_equal(errno, EAGAIN);
			return false;
		}
		buf_add(in, bytes, (size_t)n);
	}
}

static inline bool
holds(struct buf *in, const char *text)
{
	return strstr(buf_text(in), text) != NULL;
}

/* Closes the client's end once the server has closed its own. @return all that came */
static inline const char *
receive_all(struct fixture *f, int fd, struct buf *in)
{
	await(f, receive(fd, in));
	close(fd);
	await(f, stat_of(f, open) == 0);
	return buf_text(in);
}

static inline const char *
exchange(struct fixture *f, const char *request, struct buf *in)
{
	int fd = dial(f);
	send_text(f, fd, request);
	return receive_all(f, fd, in);
}

#define HEAD_END "\r\n\r\n"
#define H "Host: h\r\n"
#define GET(target) "GET " target " HTTP/1.1\r\n" H "Connection: close\r\n\r\n"
#define REQ(method, target) method " " target " HTTP/1.1\r\n" H "Connection: close\r\n\r\n"
#define TEXT_TYPE "Content-Type: text/plain; charset=utf-8\r\n"
#define NOSNIFF "X-Content-Type-Options: nosniff\r\n"

#endif
