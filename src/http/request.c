/*
 * One request: judged when its headers are there, let in, its body read, then answered.
 *
 * The access handler is called for the headers until they are settled: a connection that was
 * suspended while its password is checked is called for them once more. Nothing of the body is read
 * meanwhile.
 *
 * libmicrohttpd closes a connection whose request is answered before its body was read, so refusals
 * wait for the end of the body where that is near; an answer before a close would else be lost to a
 * client that is still writing.
 */
#include "http/connection.h"
#include "http/handshake.h"
#include "http/path.h"
#include "http/route.h"

/* What is read of a refused body, in multiples of the limit, so that its sender sees the refusal.
 */
#define REFUSED_BODY_FACTOR 2

/* In a query; more than anybody asks with. */
#define ARGUMENTS_MAX 1000

struct span
http_request_header(const struct http_request *request, const char *name)
{
	const char *value;
	size_t len;
	if (MHD_lookup_connection_value_n(request->mhd, MHD_HEADER_KIND, name, strlen(name), &value,
					  &len) != MHD_YES)
		return span_of(NULL, 0);
	return value ? span_of(value, len) : SPAN("");
}

/* Lines of one name. */
struct lines {
	struct span name;
	struct buf *out;
	unsigned count;
};

static enum MHD_Result
add_line(void *cls, enum MHD_ValueKind kind, const char *name, size_t name_len, const char *value,
	 size_t value_len)
{
	(void)kind;
	struct lines *lines = cls;
	if (!span_equal_ignoring_case(span_of(name, name_len), lines->name))
		return MHD_YES;
	if (lines->count++)
		buf_add_text(lines->out, ", ");
	buf_add(lines->out, value, value ? value_len : 0);
	return MHD_YES;
}

struct span
http_request_list(const struct http_request *request, const char *name, struct buf *out)
{
	struct lines lines = {.name = span_text(name), .out = out};
	MHD_get_connection_values_n(request->mhd, MHD_HEADER_KIND, add_line, &lines);
	return lines.count ? buf_span(out) : span_of(NULL, 0);
}

unsigned
http_request_method(const struct http_request *request)
{
	return request->method;
}

bool
http_request_is_head(const struct http_request *request)
{
	return request->is_head;
}

struct span
http_request_path(const struct http_request *request)
{
	return buf_span(&request->path);
}

struct span
http_request_query(const struct http_request *request, const char *name)
{
	const char *value;
	size_t len;
	if (MHD_lookup_connection_value_n(request->mhd, MHD_GET_ARGUMENT_KIND, name, strlen(name),
					  &value, &len) != MHD_YES)
		return span_of(NULL, 0);
	return value ? span_of(value, len) : SPAN("");
}

struct visit {
	http_argument_fn *fn;
	void *ctx;
};

static enum MHD_Result
visit_argument(void *cls, enum MHD_ValueKind kind, const char *name, size_t name_len,
	       const char *value, size_t value_len)
{
	(void)kind;
	struct visit *visit = cls;
	visit->fn(visit->ctx, span_of(name, name_len),
		  value ? span_of(value, value_len) : SPAN(""));
	return MHD_YES;
}

void
http_request_visit_query(const struct http_request *request, http_argument_fn *visit, void *ctx)
{
	struct visit all = {visit, ctx};
	MHD_get_connection_values_n(request->mhd, MHD_GET_ARGUMENT_KIND, visit_argument, &all);
}

const struct sockaddr *
http_request_peer(const struct http_request *request)
{
	const union MHD_ConnectionInfo *info =
	    MHD_get_connection_info(request->mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	CHECK(info);
	return info->client_addr;
}

struct address_group
http_request_client(const struct http_request *request)
{
	return connection_of(request->mhd)->client;
}

struct span
http_request_body(const struct http_request *request)
{
	return buf_span(&request->body);
}

/* What decides about the framing of a request (RFC 9112 section 6), and whom it is from. */
struct framing {
	unsigned hosts, lengths, encodings, authorizations;
	bool is_chunked;
	bool is_malformed;
	uint64_t length;
};

static bool
is_token(struct span s)
{
	static const struct span marks = SPAN("!#$%&'*+-.^_`|~");
	for (size_t i = 0; i < s.len; i++) {
		char byte = s.ptr[i], lower = (char)(byte | 0x20);
		if (!(lower >= 'a' && lower <= 'z') && !(byte >= '0' && byte <= '9') &&
		    !span_find(marks, byte))
			return false;
	}
	return s.len > 0;
}

static bool
parse_length(struct span text, uint64_t *out)
{
	uint64_t length = 0;
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] < '0' || text.ptr[i] > '9')
			return false;
		uint64_t digit = (uint64_t)(text.ptr[i] - '0');
		if (length > (UINT64_MAX - digit) / 10)
			return false;
		length = length * 10 + digit;
	}
	*out = length;
	return text.len > 0;
}

static enum MHD_Result
take_header(void *cls, enum MHD_ValueKind kind, const char *name_text, size_t name_len,
	    const char *value_text, size_t value_len)
{
	(void)kind;
	struct framing *framing = cls;
	struct span name = span_of(name_text, name_len);
	struct span value = value_text ? span_of(value_text, value_len) : SPAN("");
	if (!is_token(name))
		framing->is_malformed = true;
	else if (span_equal_ignoring_case(name, SPAN("Host")))
		framing->hosts++;
	else if (span_equal_ignoring_case(name, SPAN("Authorization")))
		framing->authorizations++;
	else if (span_equal_ignoring_case(name, SPAN("Content-Length"))) {
		framing->lengths++;
		framing->is_malformed |= !parse_length(value, &framing->length);
	} else if (span_equal_ignoring_case(name, SPAN("Transfer-Encoding"))) {
		framing->encodings++;
		framing->is_chunked = span_equal_ignoring_case(value, SPAN("chunked"));
	}
	return MHD_YES;
}

/* @return the status to refuse the request with, or 0 */
static unsigned
check_framing(const struct framing *framing, bool is_http_1_0)
{
	if (framing->is_malformed || framing->lengths > 1 || framing->encodings > 1)
		return 400;
	if (framing->encodings && (framing->lengths || is_http_1_0))
		return 400;
	/* Which one holds would be for each reader to say (RFC 9110 section 5.3). */
	if (framing->authorizations > 1)
		return 400;
	if (framing->hosts > 1 || (framing->hosts == 0 && !is_http_1_0))
		return 400;
	return framing->encodings && !framing->is_chunked ? 501 : 0;
}

/* libmicrohttpd keeps each in the connection's memory, and hangs when that is full. */
static bool
has_too_many_arguments(const char *target)
{
	unsigned count = 0;
	while ((target = strchr(target, '&')) && count <= ARGUMENTS_MAX) {
		target++;
		count++;
	}
	return count > ARGUMENTS_MAX;
}

void *
request_line(void *cls, const char *target, struct MHD_Connection *mhd)
{
	struct connection *connection = connection_of(mhd);
	connection_begin(connection);
	struct http_request *request = &connection->request;
	request_finish(request, false);
	*request = (struct http_request){
	    .mhd = mhd,
	    .server = cls,
	    .path = BUF_INIT,
	    .query = BUF_INIT,
	    .location = BUF_INIT,
	    .body = BUF_INIT,
	    .piece = BUF_INIT,
	};
	struct span query;
	request->target_is_good =
	    target && http_path_parse(span_text(target), &request->path, &query);
	if (request->target_is_good)
		buf_add_span(&request->query, query);
	if (target && has_too_many_arguments(target))
		connection_refuse_target(connection);
	return NULL;
}

/* Only what libmicrohttpd answers counts; of other expectations it knows nothing, and so its client
 * is not told to go on (RFC 9110 section 10.1.1 lets both be). */
static bool
expects_continue(const struct http_request *request)
{
	return span_equal_ignoring_case(http_request_header(request, MHD_HTTP_HEADER_EXPECT),
					SPAN("100-continue"));
}

/* @return whether the handler itself looks at who asks */
static bool
is_for_handler(const struct http_request *request, struct span authorization)
{
	static const struct span scheme = SPAN("Bearer ");
	return request->route && request->route->bearer_methods & request->method &&
	       authorization.len > scheme.len &&
	       span_equal_ignoring_case(span_first(authorization, scheme.len), scheme);
}

static void
judge_client(struct http_request *request)
{
	struct span authorization = http_request_header(request, MHD_HTTP_HEADER_AUTHORIZATION);
	if (is_for_handler(request, authorization))
		return;
	enum auth_verdict verdict = auth_look(request->server->auth, authorization);
	request->needs_check = verdict == AUTH_UNKNOWN;
	if (verdict == AUTH_REFUSED)
		request->status = 401;
}

static bool
wants_body(const struct http_request *request)
{
	return request->route && request->route->body_methods & request->method;
}

/* Decides what becomes of the request, as far as its headers tell. */
static void
judge(struct http_request *request, const char *method, const char *version)
{
	struct framing framing = {0};
	MHD_get_connection_values_n(request->mhd, MHD_HEADER_KIND, take_header, &framing);
	request->is_judged = true;
	request->is_head = strcmp(method, "HEAD") == 0;
	request->method = http_method_bit(method);
	request->length = framing.length;
	request->status = check_framing(&framing, strcmp(version, "HTTP/1.0") == 0);
	if (!request->status && !request->target_is_good)
		request->status = 400;
	request->is_doubtful = request->status != 0;
	if (request->is_doubtful)
		return;
	request->status = http_route_find(request->server->routes, buf_span(&request->path), method,
					  &request->route, &request->location);
	if (request->status == 307)
		buf_add_span(&request->location, buf_span(&request->query));
	request->body_limit =
	    wants_body(request) ? request->route->body_bytes : request->server->limits.body_bytes;
	if (!request->status && request->length > request->body_limit)
		request->status = 413;
	judge_client(request);
}

/* ---- Who is let in. ---- */

static void
refuse_for_now(struct http_request *request, const char *reason)
{
	request->status = 503;
	request->reason = reason;
}

/* Who may not know is told no more than that: this status goes before all others. */
static void
note_checked(struct http_request *request, unsigned status)
{
	request->needs_check = false;
	if (status == 503)
		refuse_for_now(request, "too many passwords to check");
	else if (status)
		request->status = status;
}

static void
on_password_checked(void *ctx, unsigned status)
{
	struct http_request *request = ctx;
	request->check = NULL;
	note_checked(request, status);
	connection_resume(connection_of(request->mhd));
}

void
request_stop_check(struct http_request *request)
{
	if (!request->check || (request->method == HTTP_GET && !auth_is_waiting(request->check)))
		return;
	auth_forget(&request->check);
	request->needs_check = false;
	refuse_for_now(request, "the client ended its side before its password was checked");
	connection_resume(connection_of(request->mhd));
}

/* @return whether it is known by now if the password is right */
static bool
check_password(struct http_request *request)
{
	if (!request->needs_check)
		return true;
	if (!request->check) {
		unsigned status = auth_begin(
		    request->server->auth,
		    http_request_header(request, MHD_HTTP_HEADER_AUTHORIZATION),
		    http_request_client(request), &request->check, on_password_checked, request);
		if (!request->check)
			note_checked(request, status);
	}
	return !request->needs_check;
}

static bool
is_refused(const struct http_request *request)
{
	return request->status || request->has_reply;
}

/*
 * Where the framing is in doubt nothing behind the headers can be trusted, and a body that was not
 * sent yet, or is far too large, is not waited for.
 */
static bool
is_refused_at_once(const struct http_request *request)
{
	return request->is_doubtful ||
	       (is_refused(request) &&
		(expects_continue(request) ||
		 request->length / REFUSED_BODY_FACTOR > request->body_limit));
}

/* Settles what is to be done with the request, as soon as that is known. */
static enum MHD_Result
admit(struct http_request *request)
{
	if (!check_password(request)) {
		connection_suspend(connection_of(request->mhd));
		return MHD_YES;
	}
	request->is_admitted = true;
	if (!request->status && request->route->admit) {
		struct http_reply reply = http_reply_new();
		request->has_reply = !request->route->admit(request->server->ctx, request, &reply);
		request->reply = reply;
	}
	if (!is_refused(request))
		handshake_welcome(connection_of(request->mhd));
	return is_refused_at_once(request) ? request_answer(request) : MHD_YES;
}

/* ---- The body. ---- */

void
request_drop_body(struct http_request *request)
{
	request->server->stats.body_bytes -= request->body.size;
	buf_fini(&request->body);
}

static void
keep_body(struct http_request *request, const char *bytes, size_t len)
{
	struct http_server *server = request->server;
	size_t before = request->body.size;
	buf_add(&request->body, bytes, len);
	server->stats.body_bytes += request->body.size - before;
	if (server->stats.body_bytes <= server->limits.bodies_bytes)
		return;
	request_drop_body(request);
	server->stats.bodies_refused++;
	refuse_for_now(request, "too many request bodies at once");
}

/* @return false to give up on the connection */
static bool
take_body(struct http_request *request, const char *bytes, size_t len)
{
	request->body_seen += len;
	if (request->body_seen > request->body_limit && !is_refused(request)) {
		request->status = 413;
		request_drop_body(request);
	}
	if (!is_refused(request) && wants_body(request))
		keep_body(request, bytes, len);
	return request->body_seen / REFUSED_BODY_FACTOR <= request->body_limit;
}

enum MHD_Result
request_handle(void *cls, struct MHD_Connection *mhd, const char *url, const char *method,
	       const char *version, const char *upload, size_t *upload_len, void **context)
{
	(void)cls, (void)url, (void)context;
	struct http_request *request = &connection_of(mhd)->request;
	if (request->is_given_up)
		return MHD_NO;
	if (!request->is_judged)
		judge(request, method, version);
	if (!request->is_admitted)
		return admit(request);
	if (*upload_len == 0)
		return request_answer(request);
	size_t len = *upload_len;
	*upload_len = 0;
	return take_body(request, upload, len) ? MHD_YES : MHD_NO;
}

void
request_finish(struct http_request *request, bool complete)
{
	if (!request->mhd)
		return;
	request_abandon(request);
	if (request->stream.done)
		request->stream.done(request->stream.ctx, complete);
	if (request->sent)
		request->sent(request->sent_ctx);
	buf_fini(&request->path);
	buf_fini(&request->query);
	buf_fini(&request->location);
	request_drop_body(request);
	buf_fini(&request->piece);
	request->mhd = NULL;
}

void
request_completed(void *cls, struct MHD_Connection *mhd, void **context,
		  enum MHD_RequestTerminationCode code)
{
	(void)cls, (void)context;
	struct connection *connection = connection_of(mhd);
	struct http_request *request = &connection->request;
	bool is_answered = request->is_answered;
	const union MHD_ConnectionInfo *info =
	    MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_HTTP_STATUS);
	if (!is_answered && info) {
		/* libmicrohttpd refused the request by itself, because its headers were too large
		 * or not to be understood. */
		request->server->stats.responses[info->http_status / 100]++;
		is_answered = true;
	}
	request_finish(request,
		       code == MHD_REQUEST_TERMINATED_COMPLETED_OK && request->is_stream_over);
	if (is_answered)
		connection_end(connection);
}
