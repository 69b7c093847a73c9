/*
 * The answer to a request: the handler's body or stream, at once or later, or a short text that
 * refuses it.
 *
 * A request whose answer is put off is suspended: libmicrohttpd takes its socket out of the epoll
 * set, and only the client's end is watched for. Resumed, it calls the access handler once more,
 * which finds the reply there.
 */
#include "base/alloc.h"
#include "http/connection.h"
#include "http/route.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* Bytes asked of a stream at once where there is no chunked encoding (HTTP/1.0). libmicrohttpd
 * keeps such a block with every stream, used or not, and many large ones leave holes in the heap.
 */
#define STREAM_BLOCK ((size_t)16 << 10)

static ssize_t
read_stream(void *cls, uint64_t position, char *out, size_t max)
{
	(void)position;
	struct http_request *request = cls;
	struct buf *piece = &request->piece;
	connection_moves(connection_of(request->mhd));
	size_t filled = 0;
	while (filled < max && !request->is_stream_over) {
		if (request->piece_sent == piece->len) {
			buf_reset(piece);
			request->piece_sent = 0;
			request->stream.fill(request->stream.ctx, piece);
			if (buf_failed(piece))
				return MHD_CONTENT_READER_END_WITH_ERROR;
			request->is_stream_over = piece->len == 0;
		}
		size_t left = piece->len - request->piece_sent;
		size_t len = left < max - filled ? left : max - filled;
		if (len)
			memcpy(out + filled, piece->ptr + request->piece_sent, len);
		request->piece_sent += len;
		filled += len;
	}
	return filled ? (ssize_t)filled : MHD_CONTENT_READER_END_OF_STREAM;
}

static void
add_header(struct MHD_Response *response, const char *name, const char *value)
{
	/* Fails only for values that break the syntax; ours are constants or escaped. */
	if (value)
		CHECK(MHD_add_response_header(response, name, value) == MHD_YES);
}

/* Consumes `response`. */
static enum MHD_Result
queue_response(struct http_request *request, unsigned status, struct MHD_Response *response)
{
	if (request->server->is_quiesced || request->server->stats.open > CONNECTIONS_FEW)
		add_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
	for (size_t i = 0; i < request->server->header_count; i++)
		add_header(response, request->server->headers[i].name,
			   request->server->headers[i].value);
	enum MHD_Result queued = MHD_queue_response(request->mhd, status, response);
	MHD_destroy_response(response);
	if (queued == MHD_YES) {
		request->is_answered = true;
		connection_answer(connection_of(request->mhd));
		request->server->stats.responses[status / 100]++;
	}
	return queued;
}

static void
add_refusal(const struct http_request *request, unsigned status, struct buf *out)
{
	static const struct {
		unsigned status;
		const char *text;
	} texts[] = {
	    {307, ""},
	    {400, "400 bad request\n"},
	    {401, "401 unauthorized\n"},
	    {404, "404 page not found\n"},
	    {405, "405 method not allowed\n"},
	    {429, "429 too many wrong passwords\n"},
	    {500, "500 internal server error\n"},
	    {501, "501 transfer encoding not implemented\n"},
	};
	if (status == 413) {
		buf_printf(out, "413 request body too large: more than %" PRIu64 " bytes\n",
			   request->body_limit);
		return;
	}
	if (status == 503) {
		buf_printf(out, "503 %s\n", request->reason);
		return;
	}
	size_t i = 0;
	while (i < sizeof(texts) / sizeof(texts[0]) && texts[i].status != status)
		i++;
	CHECK(i < sizeof(texts) / sizeof(texts[0]));
	buf_add_text(out, texts[i].text);
}

static void
add_allow(struct MHD_Response *response, const struct http_route *route)
{
	struct buf allow = BUF_INIT;
	http_route_allow(route, &allow);
	add_header(response, MHD_HTTP_HEADER_ALLOW, buf_text(&allow));
	buf_fini(&allow);
}

enum MHD_Result
request_refuse(struct http_request *request, unsigned status)
{
	struct buf body = BUF_INIT;
	add_refusal(request, status, &body);
	struct MHD_Response *response =
	    MHD_create_response_from_buffer(body.len, body.ptr, MHD_RESPMEM_MUST_FREE);
	CHECK(response);
	if (status == 307)
		add_header(response, MHD_HTTP_HEADER_LOCATION, buf_text(&request->location));
	if (status == 401)
		add_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Basic realm=\"metrics\"");
	if (status == 429 || status == 503)
		add_header(response, MHD_HTTP_HEADER_RETRY_AFTER, "1");
	if (status == 405)
		add_allow(response, request->route);
	if (body.len) {
		add_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "text/plain; charset=utf-8");
		add_header(response, "X-Content-Type-Options", "nosniff");
	}
	return queue_response(request, status, response);
}

/* Consumes the reply's body. */
static struct MHD_Response *
make_response(struct http_request *request, struct http_reply *reply)
{
	struct MHD_Response *response;
	if (!reply->stream.fill) {
		response = MHD_create_response_from_buffer(reply->body.len, reply->body.ptr,
							   MHD_RESPMEM_MUST_FREE);
		CHECK(response);
		return response;
	}
	buf_fini(&reply->body);
	response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK, read_stream,
						     request, NULL);
	CHECK(response);
	/* libmicrohttpd ends a chunked answer to HEAD with a last chunk, which would be taken for
	 * the next answer. Without chunks it sends none, and closes the connection. */
	if (request->is_head)
		CHECK(MHD_set_response_options(response, MHD_RF_HTTP_1_0_COMPATIBLE_STRICT,
					       MHD_RO_END) == MHD_YES);
	return response;
}

/* Consumes the reply. */
static enum MHD_Result
send_reply(struct http_request *request, struct http_reply *reply)
{
	CHECK(reply->status >= 200 && reply->status <= 599);
	request->stream = reply->stream;
	request->is_stream_over = request->is_head;
	request->sent = reply->sent;
	request->sent_ctx = reply->sent_ctx;
	if (buf_failed(&reply->body)) {
		buf_fini(&reply->body);
		return request_refuse(request, 500);
	}
	struct MHD_Response *response = make_response(request, reply);
	add_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
		   reply->content_type ? reply->content_type : "text/plain; charset=utf-8");
	add_header(response, MHD_HTTP_HEADER_CONTENT_ENCODING, reply->content_encoding);
	add_header(response, MHD_HTTP_HEADER_VARY, reply->vary);
	add_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, reply->www_authenticate);
	add_header(response, MHD_HTTP_HEADER_ETAG, *reply->etag ? reply->etag : NULL);
	if (reply->retry_after_s) {
		char seconds[12];
		snprintf(seconds, sizeof(seconds), "%u", reply->retry_after_s);
		add_header(response, MHD_HTTP_HEADER_RETRY_AFTER, seconds);
	}
	return queue_response(request, reply->status, response);
}

static void
drop_reply(struct http_reply *reply)
{
	if (reply->stream.done)
		reply->stream.done(reply->stream.ctx, false);
	if (reply->sent)
		reply->sent(reply->sent_ctx);
	buf_fini(&reply->body);
}

struct http_reply
http_reply_new(void)
{
	return (struct http_reply){.status = 200, .body = BUF_INIT};
}

/* ---- Answers that come later. ---- */

struct http_later {
	struct http_request *request; /* NULL = nobody waits for the answer any more */
	http_left_fn *left;           /* NULL = nobody asked to be told */
	void *left_ctx;
};

struct http_later *
http_request_defer(const struct http_request *request)
{
	/* Handlers see their request as something to read; it is the server's to write. */
	struct http_request *own = &connection_of(request->mhd)->request;
	CHECK(own == request && !own->later && !own->has_reply && !own->is_answered);
	own->later = xcalloc(1, sizeof(*own->later));
	own->later->request = own;
	return own->later;
}

void
http_later_watch(struct http_later *later, http_left_fn *left, void *ctx)
{
	later->left = left;
	later->left_ctx = ctx;
}

/* May free it: an answer may be given in there. */
static void
tell_left(struct http_later *later, bool is_given_up)
{
	if (later->left)
		later->left(later->left_ctx, is_given_up);
}

void
request_note_left(struct http_request *request)
{
	if (request->later)
		tell_left(request->later, false);
	else
		request_stop_check(request);
}

void
http_later_answer(struct http_later **slot, struct http_reply *reply)
{
	struct http_request *request = (*slot)->request;
	free(*slot);
	*slot = NULL;
	if (!request) {
		drop_reply(reply);
		return;
	}
	request->later = NULL;
	request->reply = *reply;
	request->has_reply = true;
	if (request->is_suspended)
		connection_resume(connection_of(request->mhd));
}

void
request_abandon(struct http_request *request)
{
	struct http_later *later = request->later;
	request->is_given_up = true;
	auth_forget(&request->check);
	request->later = NULL;
	if (later) {
		later->request = NULL;
		tell_left(later, true);
	}
	if (request->has_reply)
		drop_reply(&request->reply);
	request->has_reply = false;
}

enum MHD_Result
request_answer(struct http_request *request)
{
	struct http_reply reply = http_reply_new();
	if (request->status)
		return request_refuse(request, request->status);
	if (!request->has_reply && !request->later) {
		request->route->handler(request->server->ctx, request, &reply);
		request_drop_body(request);
		if (!request->has_reply && !request->later)
			return send_reply(request, &reply);
		drop_reply(&reply);
	}
	if (request->has_reply) {
		request->has_reply = false;
		return send_reply(request, &request->reply);
	}
	connection_suspend(connection_of(request->mhd));
	return MHD_YES;
}
