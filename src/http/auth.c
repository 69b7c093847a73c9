#include "http/auth.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "http/password.h"
#include "http/turns.h"
#include "http/users.h"

#include <stdlib.h>

/* What is no refusal. */
#define LET_IN HTTP_AUTH_REFUSALS

/* A password that is checked for a client. */
struct guess {
	struct turn turn; /* it waits, unless it is the one under way */
	struct address_group client;
	struct credentials credentials; /* owned */
	struct secret_digest digest;    /* of them */
	LIST_HEAD(, auth_check) checks; /* empty = everybody left when it had begun */
};

/* A request that waits for that. */
struct auth_check {
	LIST_ENTRY(auth_check) link;
	struct auth *auth;
	struct guess *guess;
	auth_done_fn *done;
	void *ctx;
};

struct auth {
	struct ev_loop *loop;
	struct http_stats *stats;
	struct users *users;
	struct password_checker *checker; /* NULL until there are users */
	struct turns turns;               /* of guesses */
	struct guess *running;            /* NULL = none */
	/* By client: when all its wrong passwords are forgotten; monotonic. */
	int64_t free_us[ADDRESS_ROWS][ADDRESS_SLOTS];
};

const char *
http_auth_refusal_text(enum http_auth_refusal refusal)
{
	static const char *const texts[HTTP_AUTH_REFUSALS] = {
	    [HTTP_AUTH_MISSING] = "missing",
	    [HTTP_AUTH_WRONG] = "wrong",
	    [HTTP_AUTH_LIMITED] = "limited",
	    [HTTP_AUTH_BUSY] = "busy",
	};
	return texts[refusal];
}

/* ---- Limits. ---- */

/* @return whether the client may be wrong once more */
static bool
may_guess(struct auth *auth, struct address_group client)
{
	struct address_slots slots = address_group_slots(client);
	int64_t latest_us =
	    clock_mono().us + (AUTH_WRONG_BURST - 1) * (int64_t)AUTH_WRONG_PERIOD_US;
	bool may = false;
	for (size_t row = 0; row < ADDRESS_ROWS; row++)
		may |= auth->free_us[row][slots.in_row[row]] <= latest_us;
	return may;
}

static void
charge(struct auth *auth, struct address_group client)
{
	struct address_slots slots = address_group_slots(client);
	int64_t now_us = clock_mono().us;
	/* One client comes no further; where several meet, none is held up for longer. */
	int64_t most_us = now_us + AUTH_WRONG_BURST * (int64_t)AUTH_WRONG_PERIOD_US;
	for (size_t row = 0; row < ADDRESS_ROWS; row++) {
		int64_t *free_us = &auth->free_us[row][slots.in_row[row]];
		*free_us = (*free_us > now_us ? *free_us : now_us) + AUTH_WRONG_PERIOD_US;
		*free_us = *free_us < most_us ? *free_us : most_us;
	}
}

/* Counts a refusal, unless it is LET_IN. @return its status, or 0 */
static unsigned
refuse(struct auth *auth, enum http_auth_refusal refusal)
{
	static const unsigned statuses[HTTP_AUTH_REFUSALS] = {
	    [HTTP_AUTH_MISSING] = 401,
	    [HTTP_AUTH_WRONG] = 401,
	    [HTTP_AUTH_LIMITED] = 429,
	    [HTTP_AUTH_BUSY] = 503,
	};
	if (refusal == LET_IN)
		return 0;
	auth->stats->auth_refused[refusal]++;
	return statuses[refusal];
}

/* ---- Guesses. ---- */

/* @credentials consumed: none are left */
static struct guess *
guess_new(struct address_group client, struct credentials *credentials,
	  const struct secret_digest *digest)
{
	struct guess *guess = xcalloc(1, sizeof(*guess));
	guess->turn = turn_new(client, guess);
	guess->turn.requests = 0; /* checks are yet to come */
	guess->client = client;
	guess->credentials = *credentials;
	*credentials = (struct credentials){.text = BUF_INIT};
	guess->digest = *digest;
	LIST_INIT(&guess->checks);
	return guess;
}

static void
guess_free(struct guess *guess)
{
	CHECK(LIST_EMPTY(&guess->checks));
	credentials_fini(&guess->credentials);
	free(guess);
}

static bool
is_same(const struct guess *guess, struct address_group client, const struct secret_digest *digest)
{
	return address_group_equal(guess->client, client) &&
	       memcmp(&guess->digest, digest, sizeof(*digest)) == 0;
}

/* @return the client's guess with these credentials, or NULL */
static struct guess *
guess_find(const struct auth *auth, struct address_group client, const struct secret_digest *digest)
{
	const struct turn *turn;
	if (auth->running && is_same(auth->running, client, digest))
		return auth->running;
	TAILQ_FOREACH (turn, &auth->turns.waiting, link)
		if (is_same(turn->owner, client, digest))
			return turn->owner;
	return NULL;
}

/* @guess one that neither waits nor runs any more; consumed. @refusal or LET_IN */
static void
guess_end(struct auth *auth, struct guess *guess, enum http_auth_refusal refusal)
{
	struct auth_check *check;
	while ((check = LIST_FIRST(&guess->checks))) {
		LIST_REMOVE(check, link);
		check->done(check->ctx, refuse(auth, refusal));
		free(check);
	}
	guess_free(guess);
}

/* @return whether the password is good already, as things are now */
static bool
guess_is_good(const struct auth *auth, const struct guess *guess)
{
	return !users_count(auth->users) ||
	       users_remember(auth->users, &guess->credentials, &guess->digest);
}

/* Lets those in, or refuses them, of whom enough is known without hashing. */
static void
settle(struct auth *auth)
{
	struct turn *turn, *next;
	for (turn = TAILQ_FIRST(&auth->turns.waiting); turn; turn = next) {
		next = TAILQ_NEXT(turn, link);
		struct guess *guess = turn->owner;
		guess->digest = users_digest(auth->users, &guess->credentials);
		bool is_good = guess_is_good(auth, guess);
		if (!is_good && may_guess(auth, guess->client))
			continue;
		turns_leave(&auth->turns, turn);
		guess_end(auth, guess, is_good ? LET_IN : HTTP_AUTH_LIMITED);
	}
}

static void
begin_next(struct auth *auth)
{
	struct turn *turn = turns_next(&auth->turns);
	if (!turn || auth->running)
		return;
	struct guess *guess = turn->owner;
	turns_leave(&auth->turns, turn);
	turns_note(&auth->turns, turn);
	auth->running = guess;
	password_check(auth->checker, users_hash(auth->users, guess->credentials.user),
		       guess->credentials.password, users_costs(auth->users));
}

static void
on_checked(void *ctx, bool is_right)
{
	struct auth *auth = ctx;
	struct guess *guess = auth->running;
	struct secret_digest now = users_digest(auth->users, &guess->credentials);
	auth->running = NULL;
	if (!users_count(auth->users) || memcmp(&now, &guess->digest, sizeof(now)) != 0) {
		/* It was compared with a hash that holds no longer. */
		turns_wait(&auth->turns, &guess->turn);
	} else if (is_right && users_learn(auth->users, &guess->credentials, &now)) {
		guess_end(auth, guess, LET_IN);
	} else {
		charge(auth, guess->client);
		guess_end(auth, guess, HTTP_AUTH_WRONG);
	}
	settle(auth);
	begin_next(auth);
}

/* ---- Life. ---- */

struct auth *
auth_new(struct ev_loop *loop, struct http_stats *stats)
{
	struct auth *auth = xcalloc(1, sizeof(*auth));
	auth->loop = loop;
	auth->stats = stats;
	auth->users = users_new();
	turns_init(&auth->turns, AUTH_WAITING_MAX);
	return auth;
}

void
auth_set_users(struct auth *auth, const struct http_user *users, size_t count)
{
	users_set(auth->users, users, count);
	if (count && !auth->checker)
		auth->checker = password_checker_new(auth->loop, on_checked, auth);
	settle(auth);
}

void
auth_free(struct auth **auth_ptr)
{
	struct auth *auth = *auth_ptr;
	*auth_ptr = NULL;
	if (!auth)
		return;
	password_checker_free(&auth->checker);
	/* Only what was begun may be left, also where it was to begin once more. */
	struct turn *turn;
	while ((turn = TAILQ_FIRST(&auth->turns.waiting))) {
		turns_leave(&auth->turns, turn);
		guess_free(turn->owner);
	}
	if (auth->running)
		guess_free(auth->running);
	users_free(&auth->users);
	free(auth);
}

/* ---- Checks. ---- */

/* @credentials filled in any case @digest of them, where they are AUTH_UNKNOWN */
static enum auth_verdict
look(struct auth *auth, struct span authorization, struct credentials *credentials,
     struct secret_digest *digest)
{
	bool is_readable = credentials_parse(authorization, credentials);
	if (!users_count(auth->users))
		return AUTH_GOOD;
	if (!is_readable)
		return AUTH_REFUSED;
	*digest = users_digest(auth->users, credentials);
	return users_remember(auth->users, credentials, digest) ? AUTH_GOOD : AUTH_UNKNOWN;
}

enum auth_verdict
auth_look(struct auth *auth, struct span authorization)
{
	struct credentials credentials;
	struct secret_digest digest;
	enum auth_verdict verdict = look(auth, authorization, &credentials, &digest);
	credentials_fini(&credentials);
	if (verdict == AUTH_REFUSED)
		refuse(auth, HTTP_AUTH_MISSING);
	return verdict;
}

/* @credentials may be consumed @guess set, unless it is refused @return what it is refused with */
static enum http_auth_refusal
take_guess(struct auth *auth, struct address_group client, struct credentials *credentials,
	   const struct secret_digest *digest, struct guess **guess)
{
	*guess = guess_find(auth, client, digest);
	if (*guess)
		return LET_IN;
	if (!may_guess(auth, client))
		return HTTP_AUTH_LIMITED;
	*guess = guess_new(client, credentials, digest);
	turns_wait(&auth->turns, &(*guess)->turn);
	return LET_IN;
}

static struct auth_check *
check_new(struct auth *auth, struct guess *guess, auth_done_fn *done, void *ctx)
{
	struct auth_check *check = xcalloc(1, sizeof(*check));
	*check = (struct auth_check){.auth = auth, .guess = guess, .done = done, .ctx = ctx};
	LIST_INSERT_HEAD(&guess->checks, check, link);
	turns_resize(&auth->turns, &guess->turn, guess->turn.requests + 1);
	return check;
}

/* Refuses a request when too many wait. @check who came last; forgotten when it is that one */
static enum http_auth_refusal
make_room(struct auth *auth, struct auth_check **check)
{
	struct turn *excess = turns_excess(&auth->turns);
	if (!excess)
		return LET_IN;
	struct guess *guess = excess->owner;
	struct auth_check *last = LIST_FIRST(&guess->checks);
	if (last == *check) {
		auth_forget(check);
		return HTTP_AUTH_BUSY;
	}
	auth_done_fn *done = last->done;
	void *ctx = last->ctx;
	auth_forget(&last);
	done(ctx, refuse(auth, HTTP_AUTH_BUSY));
	return LET_IN;
}

unsigned
auth_begin(struct auth *auth, struct span authorization, struct address_group client,
	   struct auth_check **check, auth_done_fn *done, void *ctx)
{
	struct credentials credentials;
	struct secret_digest digest;
	/* Another request may have shown the password meanwhile, or the users may be others. */
	enum auth_verdict verdict = look(auth, authorization, &credentials, &digest);
	enum http_auth_refusal refusal = verdict == AUTH_REFUSED ? HTTP_AUTH_MISSING : LET_IN;
	if (verdict == AUTH_UNKNOWN) {
		struct guess *guess;
		refusal = take_guess(auth, client, &credentials, &digest, &guess);
		if (refusal == LET_IN) {
			*check = check_new(auth, guess, done, ctx);
			refusal = make_room(auth, check);
		}
		begin_next(auth);
	}
	credentials_fini(&credentials);
	return refuse(auth, refusal);
}

bool
auth_is_waiting(const struct auth_check *check)
{
	return check->guess->turn.is_waiting;
}

void
auth_forget(struct auth_check **check_ptr)
{
	struct auth_check *check = *check_ptr;
	*check_ptr = NULL;
	if (!check)
		return;
	struct guess *guess = check->guess;
	LIST_REMOVE(check, link);
	turns_resize(&check->auth->turns, &guess->turn, guess->turn.requests - 1);
	if (LIST_EMPTY(&guess->checks) && auth_is_waiting(check)) {
		turns_leave(&check->auth->turns, &guess->turn);
		guess_free(guess);
	}
	free(check);
}
