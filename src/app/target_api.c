#include "app/target_api.h"

#include "app/options_table.h"
#include "app/token.h"
#include "base/alloc.h"
#include "base/excerpt.h"
#include "base/log.h"
#include "base/number.h"
#include "net/address.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

/* Prometheus takes this media type and no other parameter than a charset. */
#define JSON_TYPE "application/json"
/* Bytes made at once of an answer, but for a last document. */
#define PIECE_BYTES ((size_t)64 << 10)
/* When to try again what the disk did not take. */
#define RETRY_AFTER_S 1

const char *
target_refusal_text(enum target_refusal refusal)
{
	static const char *const texts[TARGET_REFUSALS] = {
	    [TARGET_REFUSED_OFF] = "off",
	    [TARGET_REFUSED_UNAUTHORIZED] = "unauthorized",
	    [TARGET_REFUSED_BAD_REQUEST] = "bad_request",
	    [TARGET_REFUSED_LIMIT] = "limit",
	    [TARGET_REFUSED_UNKNOWN_GROUP] = "unknown_group",
	    [TARGET_REFUSED_NOT_WRITTEN] = "not_written",
	    [TARGET_REFUSED_BUSY] = "busy",
	    [TARGET_REFUSED_ABANDONED] = "abandoned",
	    [TARGET_REFUSED_UNDECIDED] = "undecided",
	};
	return texts[refusal];
}

/* @open set to the first address that others than this machine reach */
static bool
is_open_to_others(const struct options *options, const char **open)
{
	for (size_t i = 0; i < options->listen_web.count; i++) {
		struct address address;
		const char *fault;
		*open = options->listen_web.items[i];
		if (!address_unix_path(*open) && address_parse(*open, true, &address, &fault) == 0 &&
		    !address_is_loopback(&address))
			return true;
	}
	return false;
}

bool
target_api_check(const struct options *options, struct diag *diag)
{
	const char *open;
	struct diag_place place = {.file = "--web.enable-target-api"};
	if (*options->sd_token_file) {
		struct buf error = BUF_INIT;
		place.file = "--sd.token-file";
		if (!token_file_check(options->sd_token_file, &error))
			diag_error(diag, place, NULL, "%s", buf_text(&error));
		buf_fini(&error);
	} else if (options->web_enable_target_api && options->web_systemd_socket) {
		diag_error(diag, place, NULL,
			   "needs --sd.token-file with --web.systemd-socket, whose sockets others than "
			   "this machine may reach");
	} else if (options->web_enable_target_api && is_open_to_others(options, &open)) {
		diag_error(diag, place, NULL,
			   "needs --sd.token-file where others than this machine reach "
			   "--web.listen-address=%s; give one, or listen on 127.0.0.1",
			   open);
	}
	return diag->errors == 0;
}

/* ---- What is shown. ---- */

static void
add_date(struct buf *out, const char *key, struct wall date)
{
	char text[WALL_TEXT_SIZE];
	wall_format(date, text);
	buf_printf(out, ",\"%s\":\"%s\"", key, text);
}

/* One group as an object, whose end is left open. */
static void
add_group(struct buf *out, const struct target_group *group)
{
	buf_printf(out, "{\"group\":\"%s\",\"owner\":\"%s\",\"targets\":%u", group->name,
		   group->owner, group->document.targets);
	add_date(out, "registered", group->registered);
	if (!group->ttl_us)
		return;
	char seconds[NUMBER_TEXT_MAX];
	buf_add_text(out, ",\"ttl_seconds\":");
	buf_add(out, seconds, number_format((double)group->ttl_us / 1e6, seconds));
	add_date(out, "expires", group->expires_at);
}

static void
add_group_with_document(struct buf *out, const struct target_group *group)
{
	add_group(out, group);
	buf_add_text(out, ",\"document\":[");
	buf_add(out, group->document.text, group->document.len);
	buf_add_text(out, "]}");
}

/* An answer that is made of one group after the other. */
struct listing {
	struct target_set *set; /* one reference */
	size_t next;            /* group */
	const char *start, *end;
	void (*add)(struct buf *out, const struct target_group *group);
	bool has_begun, has_ended, has_some;
};

static void
add_document(struct buf *out, const struct target_group *group)
{
	buf_add(out, group->document.text, group->document.len);
}

static void
fill(void *ctx, struct buf *out)
{
	struct listing *listing = ctx;
	if (listing->has_ended)
		return;
	if (!listing->has_begun)
		buf_add_text(out, listing->start);
	listing->has_begun = true;
	while (listing->next < listing->set->count && out->len < PIECE_BYTES) {
		size_t before = out->len;
		if (listing->has_some)
			buf_add_text(out, ",\n");
		size_t start = out->len;
		listing->add(out, listing->set->groups[listing->next++]);
		/* A group without targets adds nothing to /sd. */
		if (out->len == start)
			out->len = before;
		else
			listing->has_some = true;
	}
	if (listing->next < listing->set->count)
		return;
	buf_add_text(out, listing->end);
	listing->has_ended = true;
}

static void
done(void *ctx, bool complete)
{
	struct listing *listing = ctx;
	(void)complete;
	target_set_unref(&listing->set);
	free(listing);
}

/* Answers with all groups, or with 304 when the client has them already. */
static void
begin_listing(struct target_api *api, const struct http_request *request, struct http_reply *reply,
	      const struct listing *shape)
{
	struct target_set *set = target_store_set(api->store);
	struct buf tags = BUF_INIT;
	struct span known = http_request_list(request, "If-None-Match", &tags);
	snprintf(reply->etag, sizeof(reply->etag), "\"%" PRIx64 "\"",
		 target_store_version(api->store));
	reply->content_type = JSON_TYPE;
	bool has_it = known.ptr && memmem(known.ptr, known.len, reply->etag, strlen(reply->etag));
	buf_fini(&tags);
	if (has_it) {
		reply->status = 304;
		return;
	}
	struct listing *listing = xcalloc(1, sizeof(*listing));
	*listing = *shape;
	listing->set = target_set_ref(set);
	reply->stream = (struct http_stream){.fill = fill, .done = done, .ctx = listing};
}

void
target_api_sd(struct target_api *api, const struct http_request *request, struct http_reply *reply)
{
	static const struct listing shape = {.start = "[", .end = "]\n", .add = add_document};
	begin_listing(api, request, reply, &shape);
}

void
target_api_list(struct target_api *api, const struct http_request *request,
		struct http_reply *reply)
{
	static const struct listing shape = {
	    .start = "{\"groups\":[", .end = "]}\n", .add = add_group_with_document};
	begin_listing(api, request, reply, &shape);
}

/* ---- Changes. ---- */

PRINTF_LIKE(5, 6)
static void
refuse(struct target_api *api, struct http_reply *reply, enum target_refusal refusal,
       unsigned status, const char *format, ...)
{
	va_list args;
	api->refused[refusal]++;
	reply->status = status;
	va_start(args, format);
	buf_vprintf(&reply->body, format, args);
	va_end(args);
	buf_add_byte(&reply->body, '\n');
}

static void
refuse_limit(struct target_api *api, struct http_reply *reply, uint64_t most, const char *what)
{
	refuse(api, reply, TARGET_REFUSED_LIMIT, 413,
	       "there may be %" PRIu64 " %s in all; delete groups, or let them expire with ?ttl=",
	       most, what);
}

/* A change whose answer is put off. */
struct pending {
	struct target_api *api;
	struct http_later *later;
	struct target_group *group; /* one reference; NULL for a removal */
};

/* Says what the disk did not take, and what is known of it. */
static void
refuse_for_disk(struct target_api *api, enum target_outcome outcome, int error,
		struct http_reply *reply)
{
	static const struct {
		enum target_refusal refusal;
		const char *text;
	} rows[] = {
	    [TARGET_NOT_SYNCED] = {TARGET_REFUSED_NOT_WRITTEN,
				   "the change is in force, but a loss of power may undo it: the "
				   "folder of --sd.state-file cannot be synced"},
	    [TARGET_UNDECIDED] = {TARGET_REFUSED_UNDECIDED,
				  "not known to be written: the disk has not answered; the change "
				  "may come into force yet, or not"},
	    [TARGET_NOT_WRITTEN] = {TARGET_REFUSED_NOT_WRITTEN,
				    "nothing was changed: --sd.state-file cannot be written"},
	    [TARGET_TOO_MANY_CHANGES] = {TARGET_REFUSED_BUSY,
					 "nothing was changed: as many changes as may wait for "
					 "the disk wait already"},
	    [TARGET_TOO_LATE] =
		{TARGET_REFUSED_BUSY,
		 "nothing was changed: the disk is still busy with earlier changes"},
	    [TARGET_TAKEN_BACK] = {TARGET_REFUSED_ABANDONED,
				   "nothing was changed: the client ended its side before it was "
				   "written"},
	};
	reply->retry_after_s = RETRY_AFTER_S;
	refuse(api, reply, rows[outcome].refusal, 503, "%s%s%s", rows[outcome].text,
	       error ? ": " : "", error ? strerror(error) : "");
}

static void
fill_outcome(const struct pending *pending, enum target_outcome outcome, int error,
	     struct http_reply *reply)
{
	struct target_api *api = pending->api;
	switch (outcome) {
	case TARGET_ADDED:
	case TARGET_REPLACED:
		reply->status = outcome == TARGET_ADDED ? 201 : 200;
		reply->content_type = JSON_TYPE;
		add_group(&reply->body, pending->group);
		buf_add_text(&reply->body, "}\n");
		break;
	case TARGET_REMOVED:
		reply->status = 204;
		break;
	case TARGET_UNKNOWN:
		refuse(api, reply, TARGET_REFUSED_UNKNOWN_GROUP, 404, "no such group");
		break;
	case TARGET_TOO_MANY_GROUPS:
		refuse_limit(api, reply, SET_GROUPS_MAX, "groups");
		break;
	case TARGET_TOO_MANY_TARGETS:
		refuse_limit(api, reply, SET_TARGETS_MAX, "targets");
		break;
	case TARGET_TOO_MANY_BYTES:
		refuse_limit(api, reply, SET_BYTES_MAX, "bytes of documents and names");
		break;
	case TARGET_NOT_SYNCED:
	case TARGET_UNDECIDED:
	case TARGET_NOT_WRITTEN:
	case TARGET_TOO_MANY_CHANGES:
	case TARGET_TOO_LATE:
	case TARGET_TAKEN_BACK:
		refuse_for_disk(api, outcome, error, reply);
		break;
	}
}

static void
answer(void *ctx, enum target_outcome outcome, int error)
{
	struct pending *pending = ctx;
	struct http_reply reply = http_reply_new();
	fill_outcome(pending, outcome, error, &reply);
	http_later_answer(&pending->later, &reply);
	target_group_unref(&pending->group);
	free(pending);
}

/* Perhaps nobody waits for the answer; a client that has only ended its side may hear it. */
static void
take_back(void *ctx, bool is_given_up)
{
	(void)is_given_up;
	const struct pending *pending = ctx;
	target_store_take_back(pending->api->store, pending);
}

static struct pending *
put_off(struct target_api *api, const struct http_request *request, struct target_group *group)
{
	struct pending *pending = xcalloc(1, sizeof(*pending));
	pending->api = api;
	pending->later = http_request_defer(request);
	http_later_watch(pending->later, take_back, pending);
	pending->group = group ? target_group_ref(group) : NULL;
	return pending;
}

bool
target_api_admit(struct target_api *api, const struct http_request *request,
		 struct http_reply *reply)
{
	const char *path = api->options->sd_token_file;
	if (http_request_method(request) == HTTP_GET)
		return true;
	if (!api->options->web_enable_target_api) {
		refuse(api, reply, TARGET_REFUSED_OFF, 403,
		       "targets cannot be changed: started without --web.enable-target-api");
		return false;
	}
	if (!*path)
		return true;
	struct buf error = BUF_INIT;
	static struct log_gate gate;
	uint64_t held_back;
	enum token_verdict verdict =
	    token_check(path, http_request_header(request, "Authorization"), &error);
	switch (verdict) {
	case TOKEN_GOOD:
		break;
	case TOKEN_MISSING:
		reply->www_authenticate = "Bearer realm=\"statsbridge\"";
		refuse(api, reply, TARGET_REFUSED_UNAUTHORIZED, 401,
		       "a token is needed: Authorization: Bearer <one that --sd.token-file holds>");
		break;
	case TOKEN_WRONG:
		reply->www_authenticate = "Bearer realm=\"statsbridge\", error=\"invalid_token\"";
		refuse(api, reply, TARGET_REFUSED_UNAUTHORIZED, 401,
		       "the token is not a right one");
		break;
	case TOKEN_NO_FILE:
		if (log_gate_open(&gate, &held_back))
			log_error("no token can be checked", LOG_TEXT("error", buf_text(&error)),
				  LOG_NUM("held_back", held_back));
		refuse(api, reply, TARGET_REFUSED_NOT_WRITTEN, 503,
		       "no token can be checked; see the bridge's log");
		break;
	}
	buf_fini(&error);
	return verdict == TOKEN_GOOD;
}

/* What a query may say. */
struct arguments {
	struct span ttl, owner; /* ptr NULL = not given; owned by `texts` */
	struct buf texts[2];
	struct buf error;
};

static void
take_argument(void *ctx, struct span name, struct span value)
{
	struct arguments *arguments = ctx;
	char shown[EXCERPT_SIZE];
	bool is_ttl = span_equal(name, SPAN("ttl"));
	if (arguments->error.len)
		return;
	if (!is_ttl && !span_equal(name, SPAN("owner"))) {
		buf_printf(&arguments->error, "query argument %s: unknown; there are ttl and owner",
			   excerpt_quote(name, shown));
		return;
	}
	struct span *field = is_ttl ? &arguments->ttl : &arguments->owner;
	struct buf *text = &arguments->texts[is_ttl];
	if (field->ptr) {
		buf_printf(&arguments->error, "query argument %.*s: given twice", SPAN_ARGS(name));
		return;
	}
	buf_add_span(text, value);
	*field = span_of(buf_text(text), value.len);
}

/* The client's address is who it is when it does not say. */
static void
add_peer(struct buf *out, const struct sockaddr *peer)
{
	char host[INET6_ADDRSTRLEN] = "unknown";
	if (peer->sa_family == AF_INET) {
		struct sockaddr_in ipv4;
		memcpy(&ipv4, peer, sizeof(ipv4));
		inet_ntop(AF_INET, &ipv4.sin_addr, host, sizeof(host));
	} else if (peer->sa_family == AF_INET6) {
		struct sockaddr_in6 ipv6;
		memcpy(&ipv6, peer, sizeof(ipv6));
		if (IN6_IS_ADDR_V4MAPPED(&ipv6.sin6_addr))
			inet_ntop(AF_INET, ipv6.sin6_addr.s6_addr + 12, host, sizeof(host));
		else
			inet_ntop(AF_INET6, &ipv6.sin6_addr, host, sizeof(host));
	}
	buf_add_text(out, host);
}

/* @return whether `text` is a time to live; *ttl_us in whole milliseconds */
static bool
read_ttl(struct span text, int64_t *ttl_us, struct buf *error)
{
	char shown[EXCERPT_SIZE];
	int64_t ttl_ns;
	*ttl_us = 0;
	if (!text.ptr)
		return true;
	/* A NUL within it ends it for the parser, not for us. */
	if (strlen(text.ptr) == text.len && option_parse_duration(text.ptr, &ttl_ns) &&
	    ttl_ns / 1000 >= GROUP_TTL_US_MIN && ttl_ns / 1000 <= GROUP_TTL_US_MAX) {
		*ttl_us = ttl_ns / 1000000 * 1000;
		return true;
	}
	buf_printf(error,
		   "query argument ttl: expected a duration from 1s to 366d, such as 30s, got %s",
		   excerpt_quote(text, shown));
	return false;
}

/* @return the group that the request makes, one reference, or NULL with an error */
static struct target_group *
make_group(const struct http_request *request, struct span name, struct arguments *arguments)
{
	char shown[EXCERPT_SIZE];
	int64_t ttl_us;
	struct document document;
	struct buf *error = &arguments->error;
	struct buf peer = BUF_INIT;
	struct target_group *group = NULL;
	http_request_visit_query(request, take_argument, arguments);
	if (!arguments->owner.ptr) {
		add_peer(&peer, http_request_peer(request));
		arguments->owner = buf_span(&peer);
	}
	if (!error->len && !group_name_is_legal(arguments->owner))
		buf_printf(error, "query argument owner: expected " GROUP_NAME_WANTED ", got %s",
			   excerpt_quote(arguments->owner, shown));
	if (!error->len && read_ttl(arguments->ttl, &ttl_us, error) &&
	    document_parse(http_request_body(request), &document, error))
		group = target_group_new(name, arguments->owner, ttl_us, &document);
	buf_fini(&peer);
	return group;
}

static void
put_group(struct target_api *api, const struct http_request *request, struct span name,
	  struct http_reply *reply)
{
	struct arguments arguments = {.texts = {BUF_INIT, BUF_INIT}, .error = BUF_INIT};
	struct target_group *group = make_group(request, name, &arguments);
	if (group) {
		struct pending *pending = put_off(api, request, group);
		target_store_put(api->store, &group, answer, pending);
	} else {
		refuse(api, reply, TARGET_REFUSED_BAD_REQUEST, 400, "%s",
		       buf_text(&arguments.error));
	}
	buf_fini(&arguments.texts[0]);
	buf_fini(&arguments.texts[1]);
	buf_fini(&arguments.error);
}

static void
refuse_argument(void *ctx, struct span name, struct span value)
{
	struct buf *error = ctx;
	char shown[EXCERPT_SIZE];
	(void)value;
	if (!error->len)
		buf_printf(error, "query argument %s: unknown; DELETE takes none",
			   excerpt_quote(name, shown));
}

static void
remove_group(struct target_api *api, const struct http_request *request, struct span name,
	     struct http_reply *reply)
{
	struct buf error = BUF_INIT;
	http_request_visit_query(request, refuse_argument, &error);
	if (error.len)
		refuse(api, reply, TARGET_REFUSED_BAD_REQUEST, 400, "%s", buf_text(&error));
	else
		target_store_remove(api->store, name, answer, put_off(api, request, NULL));
	buf_fini(&error);
}

static void
show_group(struct target_api *api, struct span name, struct http_reply *reply)
{
	const struct target_group *group = target_set_find(target_store_set(api->store), name);
	if (!group) {
		reply->status = 404;
		buf_add_text(&reply->body, "no such group\n");
		return;
	}
	reply->content_type = JSON_TYPE;
	add_group_with_document(&reply->body, group);
	buf_add_byte(&reply->body, '\n');
}

void
target_api_group(struct target_api *api, const struct http_request *request,
		 struct http_reply *reply)
{
	char shown[EXCERPT_SIZE];
	struct span name = span_from(http_request_path(request), strlen(TARGET_API_GROUP));
	unsigned method = http_request_method(request);
	if (method == HTTP_GET)
		show_group(api, name, reply);
	else if (!group_name_is_legal(name))
		refuse(api, reply, TARGET_REFUSED_BAD_REQUEST, 400,
		       "group: expected " GROUP_NAME_WANTED ", got %s", excerpt_quote(name, shown));
	else if (method == HTTP_PUT)
		put_group(api, request, name, reply);
	else
		remove_group(api, request, name, reply);
}
