/*
 * http/auth - private to this folder: who may have an answer, by HTTP's Basic scheme (RFC 7617).
 *
 * A password that was right is remembered as a keyed digest, so that a client which comes again
 * costs no hashing. Wrong ones are limited for each address, and an unknown user costs as much time
 * as a known one. While there is no user, everybody may.
 */
#ifndef HTTP_AUTH_H
#define HTTP_AUTH_H

#include "http/password.h"
#include "http/server.h"

/* Wrong passwords of one address: so many at once, then one in each period. */
#define AUTH_WRONG_BURST 10
#define AUTH_WRONG_PERIOD_US 1000000

/* Bytes of user name, colon and password. */
#define AUTH_BYTES_MAX 1024

struct auth;

/** Nobody needs a password yet. @stats its refusals are counted; borrowed */
struct auth *auth_new(struct ev_loop *loop, struct http_stats *stats);
/** @users copied; what was remembered is forgotten */
void auth_set_users(struct auth *auth, const struct http_user *users, size_t count);
void auth_free(struct auth **auth);

enum auth_verdict {
	AUTH_GOOD,
	AUTH_REFUSED, /* no password, or none that could be right */
	AUTH_UNKNOWN, /* a password that must be checked */
};

/** Looks without waiting. @authorization the header's value, or a span with ptr NULL */
enum auth_verdict auth_look(struct auth *auth, struct span authorization);

struct auth_check;

/** @status 0 = let in; otherwise what to refuse with */
typedef void auth_done_fn(void *ctx, unsigned status);

/**
 * Checks a password of which nothing is known.
 *
 * @authorization of which auth_look() said AUTH_UNKNOWN
 * @client        who asks
 * @check         set when the answer comes later
 * @done          called once then, unless auth_forget() comes before
 * @return 0 = let in, or what to refuse with; of no meaning when the answer comes later
 */
unsigned auth_begin(struct auth *auth, struct span authorization, struct http_client client,
		    struct auth_check **check, auth_done_fn *done, void *ctx);

/** @check consumed; may be NULL */
void auth_forget(struct auth_check **check);

#endif
