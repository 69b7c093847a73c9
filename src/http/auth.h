/*
 * http/auth - private to this folder: who may have an answer, by HTTP's Basic scheme (RFC 7617).
 *
 * While there is no user, everybody may. A password that was right before is let in at once, as
 * http/users remembers it. Others are checked one after the other, and clients take turns at it, as
 * http/turns has them. Requests of one client with the same user and password wait for one check,
 * which is made once.
 *
 * Wrong passwords are limited for each client, as base/address_group tells them apart, and only when they
 * are known to be wrong: however many right ones come at once, none is refused for being one of
 * many. Who has been wrong too often is refused before anything is hashed, as are those of its
 * passwords that wait; what was right before is let in all the same.
 *
 * When users change, what waits or is being checked is compared with what holds then.
 */
#ifndef HTTP_AUTH_H
#define HTTP_AUTH_H

#include "http/server.h"

/* Wrong passwords of one client: so many at once, then one in each period. */
#define AUTH_WRONG_BURST 10
#define AUTH_WRONG_PERIOD_US 1000000
/* Requests whose passwords wait to be checked; few enough to leave connections to others. */
#define AUTH_WAITING_MAX 64

struct auth;

/** Nobody needs a password yet. @stats its refusals are counted; borrowed */
struct auth *auth_new(struct ev_loop *loop, struct http_stats *stats);
/** @users copied; passwords of those whose name and hash stay are remembered on */
void auth_set_users(struct auth *auth, const struct http_user *users, size_t count);
/** Waits for a check that is under way; all must have been forgotten. */
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
unsigned auth_begin(struct auth *auth, struct span authorization, struct address_group client,
		    struct auth_check **check, auth_done_fn *done, void *ctx);

/** @return whether its turn has not come, so that to forget it spares the work */
bool auth_is_waiting(const struct auth_check *check);

/**
 * A check that waits, for nobody else, is not made then. One that was begun is, and counts: who
 * leaves before the answer has tried a password all the same.
 *
 * @check consumed; may be NULL
 */
void auth_forget(struct auth_check **check);

#endif
