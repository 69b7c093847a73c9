/*
 * http/connection - private to this folder: what the server knows of a connection and its request.
 *
 * libmicrohttpd owns the socket and tells of a connection's start and end; between the two a struct
 * connection watches over its deadline. A connection has one request at a time, which lives in it.
 */
#ifndef HTTP_CONNECTION_H
#define HTTP_CONNECTION_H

#include "base/log.h"
#include "http/auth.h"
#include "http/server.h"
#include "tls/context.h"

#include <ev.h>
#include <microhttpd.h>
#include <sys/queue.h>

struct http_request {
	struct MHD_Connection *mhd; /* borrowed; set while a request is being handled */
	struct http_server *server;
	const struct http_route *route; /* borrowed; NULL unless the request goes to its handler */
	struct buf path;                /* decoded */
	struct buf query;               /* raw, with its '?'; copied */
	struct buf location;            /* where a redirect leads */
	struct buf body;                /* counted in stats.body_bytes */
	uint64_t body_seen;             /* bytes, also of those that were dropped */
	uint64_t body_limit;            /* bytes */
	uint64_t length;                /* of the body, as the headers say; 0 = they do not */
	unsigned method;                /* HTTP_GET and so on; 0 = another */
	unsigned status;     /* what to refuse the request with; 0 = let the handler answer */
	const char *reason;  /* of a 503; constant */
	bool target_is_good; /* path and query could be read */
	bool is_judged;      /* the headers were looked at */
	bool is_doubtful;    /* nobody knows where it ends */
	bool is_head;
	bool is_answered; /* an answer was queued */

	/* Who asks. */
	bool needs_check;         /* of its password, before anything is kept or answered */
	struct auth_check *check; /* under way, or NULL */
	bool is_admitted;         /* it was decided whether the handler is to answer */

	/* While the answer is put off. */
	struct http_later *later; /* the handler's; NULL = the answer was given, or never put off */
	bool is_suspended;        /* libmicrohttpd leaves the connection alone */
	bool is_given_up;         /* no answer will be sent any more */
	bool has_reply;           /* `reply` waits for libmicrohttpd to ask for it */
	struct http_reply reply;

	/* The answer, when it is a stream. */
	struct http_stream stream;
	struct buf piece; /* what fill appended last */
	size_t piece_sent;
	bool is_stream_over; /* nothing more to come: fill said so, or HEAD asked for no body */
	void (*sent)(void *ctx);
	void *sent_ctx;
};

enum handshake_state {
	HANDSHAKE_OVER, /* or there is none */
	HANDSHAKE_HELD, /* libmicrohttpd leaves it alone: for its client, or for its turn */
	HANDSHAKE_RUNS, /* libmicrohttpd goes on with it when it runs next */
};

struct connection {
	LIST_ENTRY(connection) link;
	struct MHD_Connection *mhd; /* borrowed; NULL = libmicrohttpd does not know it yet */
	struct http_server *server;
	int fd; /* open as long as this exists; owned here until libmicrohttpd knows it */
	struct sockaddr_storage address; /* the client's */
	socklen_t address_len;
	ev_timer deadline;
	ev_io arrival;        /* runs while the client owes bytes */
	bool is_busy;         /* a request has begun and its answer has not ended */
	uint64_t begun_run;   /* how often the daemon had run when its request began or went on */
	bool is_ending;       /* the client has sent its last byte */
	uint64_t ending_run;  /* how often the daemon had run then */
	uint64_t prodded_run; /* the same, when prod() was last called */
	bool has_left;        /* room_make() has seen that its client has ended its side */
	bool is_shut;         /* over, libmicrohttpd is about to close it */
	/* Since when the client is waited for: its request, or that it takes more of its answer. */
	ev_tstamp waiting_since;
	struct address_group client;
	struct tls_peer tls; /* where the server has TLS, as the next ones */
	struct tls_guest guest;
	enum handshake_state handshake;
	enum tls_failure tls_failure;        /* what a handshake that ends now is counted as */
	LIST_ENTRY(connection) shaking_link; /* while it runs */
	uint64_t exchanges;                  /* requests that got an answer, whole or not */
	uint64_t taken_before; /* bytes that the earlier requests took from the socket */
	struct http_request request;
};

LIST_HEAD(connection_list, connection);

struct listener {
	LIST_ENTRY(listener) link;
	struct http_server *server;
	ev_io acceptable; /* its descriptor is owned */
};

/* With more connections than these, each further one gets little memory, and each answer is the last
 * of its connection: libmicrohttpd holds all of that memory from the second request on. */
#define CONNECTIONS_FEW 32

/* libmicrohttpd has daemons for as many amounts of memory of a connection. */
enum daemon_size {
	DAEMON_FEW,
	DAEMON_CROWD,
	DAEMON_SIZES,
};

struct http_server {
	struct ev_loop *loop;
	struct MHD_Daemon *daemons[DAEMON_SIZES];
	const struct http_route *routes;
	void *ctx;
	struct http_limits limits;
	struct auth *auth;
	struct tls_source *tls; /* NULL = none */
	struct tls_admission *admission;
	ev_timer turn;                  /* when the next one may shake hands */
	struct connection_list shaking; /* whose handshake goes on in the daemon's next run */
	struct http_header *headers;    /* owned array of owned texts */
	size_t header_count;
	LIST_HEAD(, listener) listeners;
	bool is_quiesced;
	ev_timer accept_again; /* runs while accepting pauses */
	ev_io readable[DAEMON_SIZES]; /* the daemons' epoll descriptors */
	ev_io ends;            /* owned epoll descriptor: ends, while answers are put off */
	ev_timer again;        /* runs, and is due, when a daemon is to run without a descriptor's word */
	uint64_t runs;         /* of both daemons */
	uint64_t stayed_run;   /* how often it had run when room_make() last saw nobody leave */
	struct connection_list connections;
	struct connection *entering; /* that libmicrohttpd is told of just now, or NULL */
	struct http_stats stats;
	struct log_gate refused_gate, accept_gate;
};

/** Lets libmicrohttpd run. Not from its callbacks. */
void server_run(struct http_server *server);
/** Lets libmicrohttpd run as soon as the loop comes round. */
void server_run_soon(struct http_server *server);

/** @return the connection behind libmicrohttpd's, or NULL before its start was told */
struct connection *connection_of(struct MHD_Connection *mhd);

/**
 * Takes a connection that was accepted. Until its client has sent something it costs little: see
 * connection_enter().
 *
 * @fd  consumed
 * @len of the address
 */
void connection_new(struct http_server *server, int fd, const struct sockaddr *address,
		    socklen_t len);
/**
 * Lets libmicrohttpd have it. Not from its callbacks.
 *
 * @return false when it refused; then the connection is gone
 */
bool connection_enter(struct connection *connection) MUST_CHECK;
/** libmicrohttpd's word of a connection's start and end. @cls the server */
void connection_notify(void *cls, struct MHD_Connection *mhd, void **socket_context,
		       enum MHD_ConnectionNotificationCode code);
/** Notes that a request has begun: from here on its deadline runs, unless a handshake's does.
 * Harmless when known already. */
void connection_begin(struct connection *connection);
/** Notes that a handshake is over: from here on the deadline of the request behind it runs. */
void connection_be_established(struct connection *connection);
/** Notes that a request was answered: nothing more is awaited from the client. */
void connection_answer(struct connection *connection);
/** Notes that an answer has ended, whole or not: from here on the idle limit runs. */
void connection_end(struct connection *connection);
/** Notes that the client did what it was waited for. */
void connection_moves(struct connection *connection);
/** @return whether the client has ended its side, perhaps behind bytes, and so may be gone */
bool connection_has_left(const struct connection *connection);
/** Begins a request if bytes wait in the socket. */
void connection_look(struct connection *connection);
/** Lets libmicrohttpd leave the connection alone until its request's answer is there. */
void connection_suspend(struct connection *connection);
/** Lets libmicrohttpd go on with a connection whose request was put off. */
void connection_resume(struct connection *connection);
/** Lets ends of clients be noticed while their answers are put off. @return false = see errno */
bool connection_watch_ends(struct http_server *server) MUST_CHECK;
/** Undoes that, once no connection is left. */
void connection_unwatch_ends(struct http_server *server);
/** Answers 414 in libmicrohttpd's place, and ends the connection. */
void connection_refuse_target(struct connection *connection);
/**
 * Makes libmicrohttpd notice that the connection is over, and gives up on an answer that was put
 * off. Frees one that it does not know yet.
 */
void connection_shutdown(struct connection *connection);
/** The same, and drops what the client did not take of its answer; else the kernel would keep it.
 */
void connection_drop(struct connection *connection);

/**
 * Makes room for one more connection where a limit is met, by dropping the one that was waited for
 * the longest: of the same client, or of all. What that ends may quiesce the server. Not from
 * libmicrohttpd's callbacks.
 *
 * @return whether there is room; false when all wait for the server
 */
bool room_make(struct http_server *server, struct address_group client);

/** libmicrohttpd's word of a request line. @cls the server @return NULL */
void *request_line(void *cls, const char *target, struct MHD_Connection *mhd);
/** libmicrohttpd's access handler: once for the headers, then for the body, then at its end. */
enum MHD_Result request_handle(void *cls, struct MHD_Connection *mhd, const char *url,
			       const char *method, const char *version, const char *upload,
			       size_t *upload_len, void **context);
/** libmicrohttpd's word of a request's end. @cls the server */
void request_completed(void *cls, struct MHD_Connection *mhd, void **context,
		       enum MHD_RequestTerminationCode code);
/**
 * Refuses the request, lets the handler answer, or gives the answer that it had put off.
 *
 * @return what libmicrohttpd's access handler is to return
 */
enum MHD_Result request_answer(struct http_request *request);
/** Notes that the client has ended its side while it waits for its answer or for its check. */
void request_note_left(struct http_request *request);
/**
 * Notes that the client has ended its side while its password is checked. What would change
 * something is not carried out then; what only asks is, since a client that has only ended its side
 * can hear, unless its turn has not come: checks are for who waits.
 */
void request_stop_check(struct http_request *request);
/** Lets go of the body. */
void request_drop_body(struct http_request *request);
/** Gives up on an answer that was put off: lets go of who may give it, or of what was not sent. */
void request_abandon(struct http_request *request);
/** Answers with a short text. @status one of those that request_refuse() has a text for */
enum MHD_Result request_refuse(struct http_request *request, unsigned status);
/** Ends a request, if there is one: calls what waits for that, and frees it. */
void request_finish(struct http_request *request, bool complete);

#endif
