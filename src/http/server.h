/*
 * http/server - an HTTP/1.1 server beside an event loop. The only place that knows libmicrohttpd.
 *
 * Knows nothing of metrics: routes are a table that the caller fills. Everything runs on the loop's
 * thread. Limits are enforced here: connections in total and per client, which is mostly an address
 * (where there is no room for one more, that one goes whose client was waited for the longest),
 * header size, body size, the memory of all bodies together, a deadline for each request from its
 * first byte to its complete answer, and an idle limit for keep-alive. A path that is not in the
 * table is answered with 404, a method that the path does not take with 405 and Allow; HEAD is
 * answered wherever GET is. A path that is not clean ("//a", "/a/..") is redirected to the cleaned
 * one with 307.
 *
 * A body is kept only where the route asks for it, and not before its client was let in: a password
 * is checked, and the route's `admit` asked, when the headers are there. What nobody wants is read
 * and dropped, as far as its sender would else miss the answer.
 *
 * With TLS the handshake has a deadline that begins with the connection and ends with the
 * handshake; otherwise it counts as part of the first request. A client that fails in it, or that
 * does not speak TLS, is closed at once. Handshakes take turns (tls/admission).
 *
 * What counts as inside a request: from its first byte until its answer was handed to the kernel. A
 * new connection counts as inside its first request at once, so that silence is bounded by the
 * request deadline; when the first byte comes, or the handshake is over, the deadline starts over.
 * Between two requests the idle limit holds. One inaccuracy: the beginning of a pipelined request
 * that came together with the request before it is not seen before more of it comes; until then the
 * idle limit holds.
 */
#ifndef HTTP_SERVER_H
#define HTTP_SERVER_H

#include "base/address_group.h"
#include "base/buf.h"
#include "tls/context.h"

#include <netinet/in.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/socket.h>

struct ev_loop;

/* Bits of http_route.methods. GET includes HEAD. */
#define HTTP_GET 1u
#define HTTP_POST 2u
#define HTTP_PUT 4u
#define HTTP_DELETE 8u

struct http_request; /* opaque; valid during the handler only, also when the answer is put off */

/** @return the value of a header, of the first line with several, borrowed, or a span with ptr NULL
 */
struct span http_request_header(const struct http_request *request, const char *name);
/**
 * Reads a header that is a list and may stand in several lines (RFC 9110 section 5.3).
 *
 * @out    empty; gets the values of all lines, with commas between them; no more than headers may
 * have
 * @return what `out` holds, or a span with ptr NULL when there is no such header
 */
struct span http_request_list(const struct http_request *request, const char *name,
			      struct buf *out);
/** @return one of the bits above */
unsigned http_request_method(const struct http_request *request);
/** @return whether the method is HEAD, so that the body will not be asked for */
bool http_request_is_head(const struct http_request *request);
/** @return the path, without query */
struct span http_request_path(const struct http_request *request);
/** @return the decoded value of a query argument, empty without "=", or a span with ptr NULL */
struct span http_request_query(const struct http_request *request, const char *name);
/** Tells of a query argument: its decoded name, and its decoded value, empty without "=". */
typedef void http_argument_fn(void *ctx, struct span name, struct span value);
/** Calls `visit` for each query argument, in their order. */
void http_request_visit_query(const struct http_request *request, http_argument_fn *visit,
			      void *ctx);
/** @return the body, empty without one, or where the route does not ask for it; valid during the
 * handler */
struct span http_request_body(const struct http_request *request);
/** @return the client's address */
const struct sockaddr *http_request_peer(const struct http_request *request);
/** @return as whom the client counts */
struct address_group http_request_client(const struct http_request *request);

/* A body made while it is sent. */
struct http_stream {
	/**
	 * Appends the next piece to `out`, which is empty; appending nothing ends the body.
	 * Called on the loop's thread whenever the socket takes more.
	 */
	void (*fill)(void *ctx, struct buf *out);
	/**
	 * Called once, also when the client went away. @complete the whole body was handed over;
	 * true for HEAD as well, which is answered without calling fill, and closes the connection
	 */
	void (*done)(void *ctx, bool complete);
	void *ctx;
};

/* Room for an entity tag and its NUL. */
#define HTTP_ETAG_SIZE 48

struct http_reply {
	unsigned status;              /* 200 */
	const char *content_type;     /* constant; NULL = text/plain; charset=utf-8 */
	const char *content_encoding; /* constant; NULL = none */
	const char *vary;             /* constant; NULL = none */
	const char *www_authenticate; /* constant; NULL = none */
	unsigned retry_after_s;       /* seconds; 0 = none */
	char etag[HTTP_ETAG_SIZE];    /* with its quotes; "" = none */
	struct buf body;              /* consumed; used when stream.fill is NULL */
	struct http_stream stream;
	/** Called once after the answer was sent or failed; may be NULL. It and stream.done may
	 * quiesce the server, but not free it. */
	void (*sent)(void *ctx);
	void *sent_ctx;
};

/** @return a reply to begin with: 200, no body */
struct http_reply http_reply_new(void);

/*
 * An answer that comes later, for a handler that would have to wait for something. Until then the
 * server does other things; the request's deadline goes on.
 */
struct http_later;

/**
 * Puts the answer off. For handlers; what they fill their reply with is then dropped.
 *
 * @return owned by the caller until http_later_answer()
 */
struct http_later *http_request_defer(const struct http_request *request) MUST_CHECK;
/** @is_given_up whether nobody waits for the answer any more for certain */
typedef void http_left_fn(void *ctx, bool is_given_up);
/**
 * Asks to be told when perhaps nobody waits for the answer any more: the client has ended its side,
 * or the server has given up on the request. The answer is owed all the same, and may be given at
 * once. A client that has only ended its side may get it, but that is not certain: libmicrohttpd
 * may see the end first, and then closes; or its place is needed for another client.
 *
 * @left called at most once for each of the two, on the loop's thread, neither in the handler nor
 *       once the answer was given
 */
void http_later_watch(struct http_later *later, http_left_fn *left, void *ctx);
/**
 * Gives the answer, on the loop's thread, in the handler or at any time after it. When the client
 * or the server is gone meanwhile, the reply is dropped: its stream.done (complete false) and its
 * sent are called at once.
 *
 * @later consumed
 * @reply consumed
 */
void http_later_answer(struct http_later **later, struct http_reply *reply);

/** Fills `reply`, which comes in as http_reply_new() makes it. */
typedef void http_handler_fn(void *ctx, const struct http_request *request,
			     struct http_reply *reply);

/**
 * Looks at who asks, when only the headers are there.
 *
 * @reply comes in as http_reply_new() makes it; filled to refuse the request
 * @return whether the handler is to be called, once the body is there
 */
typedef bool http_admit_fn(void *ctx, const struct http_request *request, struct http_reply *reply);

struct http_route {
	const char *path; /* exact, borrowed for the life of the server; NULL ends the table */
	unsigned methods;
	http_handler_fn *handler;
	/* Also every path below it: a route whose path ends in '/' may serve a subtree. */
	bool subtree;
	/* Methods for which `admit` looks at bearer tokens: with one no password is asked for. */
	unsigned bearer_methods;
	http_admit_fn *admit; /* NULL = everybody whose password is right */
	unsigned
	    body_methods;  /* those whose handler asks for the body; of all others it is dropped */
	size_t body_bytes; /* largest body of these methods */
};

struct http_limits {
	unsigned connections;             /* in total, 256 */
	unsigned connections_per_address; /* or other client, as base/address_group tells them apart; 64 */
	size_t body_bytes;                /* largest body that nobody asks for; 1 MiB */
	size_t bodies_bytes;              /* memory that all bodies take together; 4 MiB */
	int64_t handshake_us; /* deadline for one of TLS, from the connection on; 10 s */
	int64_t request_us;               /* deadline for one request, first byte to whole answer */
	int64_t idle_us;                  /* keep-alive without a request */
	/* None may be 0, except the bytes: without body_bytes no body is read that nobody asks for,
	 * without bodies_bytes none is kept. */
};

/* Why a request was refused that needs a password. */
enum http_auth_refusal {
	HTTP_AUTH_MISSING, /* no password was given that could be read */
	HTTP_AUTH_WRONG,
	HTTP_AUTH_LIMITED, /* too many wrong ones from this address; 429 */
	HTTP_AUTH_BUSY,    /* too many checks at once; 503 */
	HTTP_AUTH_REFUSALS,
};

/** @return "missing" and so on */
const char *http_auth_refusal_text(enum http_auth_refusal refusal);

/* Written by the loop's thread, readable anywhere. */
struct http_stats {
	_Atomic uint64_t connections;         /* accepted */
	_Atomic uint64_t open;                /* now */
	_Atomic uint64_t refused_connections; /* over a limit */
	_Atomic uint64_t evicted;             /* closed to make room for others */
	/* Closed inside a request that got no answer, or before the first one. */
	_Atomic uint64_t incomplete;
	_Atomic uint64_t auth_refused[HTTP_AUTH_REFUSALS];
	_Atomic uint64_t tls_failures[TLS_FAILURES]; /* closed before the handshake was over */
	_Atomic uint64_t deadlines;                  /* closed because the deadline passed */
	_Atomic uint64_t responses[6];   /* by first digit of the status; index 1 to 5 */
	_Atomic uint64_t body_bytes;     /* memory that bodies take now */
	_Atomic uint64_t bodies_refused; /* for want of such memory; 503 */
};

struct http_server;

/**
 * Makes a server that listens nowhere yet.
 *
 * @routes borrowed for the life of the server
 * @ctx    handed to every handler
 * @tls    what connections are secured with, borrowed for the life of the server; NULL = they are
 * not
 * @return the server, or NULL when libmicrohttpd refused (logged)
 */
struct http_server *http_server_new(struct ev_loop *loop, const struct http_route *routes,
				    void *ctx, const struct http_limits *limits,
				    struct tls_source *tls) MUST_CHECK;

/** Serves on one more socket. @fd TCP or Unix stream, listening, non-blocking; consumed */
void http_server_listen(struct http_server *server, int fd);

/* Who may have answers. */
struct http_user {
	char *name;
	char *hash; /* of the password; password_hash_cost() of http/password says which ones are
		       good */
};

/**
 * From now on every request needs the name and the password of one of the users, by HTTP's Basic
 * scheme; of none while there are none. @users copied
 */
void http_server_set_users(struct http_server *server, const struct http_user *users, size_t count);

/* A header of every answer that a handler or the server itself gives. */
struct http_header {
	char *name, *value; /* without control bytes */
};

/** @headers copied; they take the place of those before */
void http_server_set_headers(struct http_server *server, const struct http_header *headers,
			     size_t count);

/** Stops accepting and closes idle connections; requests that are under way get their answers. */
void http_server_quiesce(struct http_server *server);
/** @return connections with a request or an answer under way */
unsigned http_server_busy(const struct http_server *server);
/** Closes all connections and frees the server; answers that were put off may still be given. */
void http_server_free(struct http_server **server);

const struct http_stats *http_server_stats(const struct http_server *server);

#endif
