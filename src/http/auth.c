#include "http/auth.h"

#include "base/alloc.h"
#include "base/base64.h"
#include "base/clock.h"
#include "tls/secret.h"

#include <stdlib.h>

#define SCHEME SPAN("Basic ")

/* Passwords remembered; the oldest makes room. */
#define REMEMBERED_MAX 128

/* Addresses share a slot where their hashes do; the key of these is secret. */
#define SLOTS 4096

struct auth {
	struct ev_loop *loop;
	struct http_stats *stats;
	struct http_user *users; /* owned array of owned texts */
	size_t user_count;
	char unknown[PASSWORD_HASH_LEN +
		     1]; /* what the passwords of unknown users are compared with */
	struct password_checker *checker; /* NULL until there are users */
	struct secret_key key;
	struct secret_digest remembered[REMEMBERED_MAX];
	size_t remembered_count, next;
	int64_t free_us[SLOTS]; /* when all wrong passwords of a slot are forgotten; monotonic */
};

struct auth_check {
	struct auth *auth;
	struct password_check *password;
	struct secret_digest digest;
	bool is_known; /* the user */
	int64_t *free_us;
	auth_done_fn *done;
	void *ctx;
};

/* What a header says. */
struct credentials {
	struct buf text; /* holds both */
	struct span user, password;
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

static void
credentials_fini(struct credentials *credentials)
{
	secret_wipe(credentials->text.ptr, credentials->text.len);
	buf_fini(&credentials->text);
}

/* @return whether it can be read. @out freed with credentials_fini() in any case */
static bool
credentials_parse(struct span authorization, struct credentials *out)
{
	*out = (struct credentials){.text = BUF_INIT};
	if (!authorization.ptr || authorization.len < SCHEME.len ||
	    !span_equal_ignoring_case(span_first(authorization, SCHEME.len), SCHEME))
		return false;
	struct span encoded = span_from(authorization, SCHEME.len);
	if (encoded.len > AUTH_BYTES_MAX / 3 * 4 + 4 || !base64_decode(encoded, &out->text))
		return false;
	struct span text = buf_span(&out->text);
	const char *colon = span_find(text, ':');
	if (!colon || span_find(text, '\0') || text.len > AUTH_BYTES_MAX)
		return false;
	out->user = span_first(text, (size_t)(colon - text.ptr));
	out->password = span_from(text, out->user.len + 1);
	return true;
}

/* @return the user, or NULL */
static const struct http_user *
find_user(const struct auth *auth, struct span name)
{
	for (size_t i = 0; i < auth->user_count; i++)
		if (span_equal(name, span_text(auth->users[i].name)))
			return &auth->users[i];
	return NULL;
}

/* ---- What is remembered. ---- */

static struct secret_digest
digest_of(const struct auth *auth, const struct http_user *user, struct span password)
{
	struct span parts[] = {span_text(user->name), span_text(user->hash), password};
	return secret_digest(&auth->key, parts, sizeof(parts) / sizeof(parts[0]));
}

static bool
is_remembered(const struct auth *auth, const struct secret_digest *digest)
{
	bool found = false;
	for (size_t i = 0; i < auth->remembered_count; i++)
		found |= memcmp(&auth->remembered[i], digest, sizeof(*digest)) == 0;
	return found;
}

static void
remember(struct auth *auth, const struct secret_digest *digest)
{
	if (is_remembered(auth, digest))
		return;
	auth->remembered[auth->next] = *digest;
	auth->next = (auth->next + 1) % REMEMBERED_MAX;
	if (auth->remembered_count < REMEMBERED_MAX)
		auth->remembered_count++;
}

/* ---- Limits. ---- */

/* Counts a password as wrong, until it is known. @return whether the address has one left */
static bool
charge(int64_t *free_us)
{
	int64_t now_us = clock_mono().us;
	int64_t base_us = *free_us > now_us ? *free_us : now_us;
	if (base_us - now_us > (AUTH_WRONG_BURST - 1) * (int64_t)AUTH_WRONG_PERIOD_US)
		return false;
	*free_us = base_us + AUTH_WRONG_PERIOD_US;
	return true;
}

/* ---- Life. ---- */

struct auth *
auth_new(struct ev_loop *loop, struct http_stats *stats)
{
	struct auth *auth = xcalloc(1, sizeof(*auth));
	auth->loop = loop;
	auth->stats = stats;
	auth->key = secret_key_new();
	return auth;
}

static void
free_users(struct auth *auth)
{
	for (size_t i = 0; i < auth->user_count; i++) {
		free(auth->users[i].name);
		free(auth->users[i].hash);
	}
	free(auth->users);
	auth->user_count = 0;
}

void
auth_set_users(struct auth *auth, const struct http_user *users, size_t count)
{
	int cost = PASSWORD_COST_MIN;
	free_users(auth);
	auth->users = xcalloc(count + 1, sizeof(*auth->users));
	auth->user_count = count;
	for (size_t i = 0; i < count; i++) {
		auth->users[i] = (struct http_user){xstrdup(users[i].name), xstrdup(users[i].hash)};
		int own = password_hash_cost(span_text(users[i].hash));
		CHECK(own >= PASSWORD_COST_MIN && own <= PASSWORD_COST_MAX);
		cost = own > cost ? own : cost;
	}
	/* As a hash it is one of nothing. */
	memset(auth->unknown, '.', PASSWORD_HASH_LEN);
	memcpy(auth->unknown,
	       (const char[]){'$', '2', 'b', '$', (char)('0' + cost / 10), (char)('0' + cost % 10),
			      '$'},
	       7);
	auth->remembered_count = auth->next = 0;
	if (count && !auth->checker)
		auth->checker = password_checker_new(auth->loop);
}

void
auth_free(struct auth **auth)
{
	if (!*auth)
		return;
	password_checker_free(&(*auth)->checker);
	free_users(*auth);
	secret_wipe(*auth, sizeof(**auth));
	free(*auth);
	*auth = NULL;
}

/* ---- Checks. ---- */

enum auth_verdict
auth_look(struct auth *auth, struct span authorization)
{
	struct credentials credentials;
	enum auth_verdict verdict = AUTH_GOOD;
	if (!auth->user_count)
		return verdict;
	if (credentials_parse(authorization, &credentials)) {
		const struct http_user *user = find_user(auth, credentials.user);
		struct secret_digest digest;
		verdict = AUTH_UNKNOWN;
		if (user) {
			digest = digest_of(auth, user, credentials.password);
			verdict = is_remembered(auth, &digest) ? AUTH_GOOD : AUTH_UNKNOWN;
		}
	} else {
		verdict = AUTH_REFUSED;
		auth->stats->auth_refused[HTTP_AUTH_MISSING]++;
	}
	credentials_fini(&credentials);
	return verdict;
}

static void
on_checked(void *ctx, bool is_right)
{
	struct auth_check *check = ctx;
	bool is_good = is_right && check->is_known;
	if (is_good) {
		remember(check->auth, &check->digest);
		*check->free_us -= AUTH_WRONG_PERIOD_US;
	} else {
		check->auth->stats->auth_refused[HTTP_AUTH_WRONG]++;
	}
	auth_done_fn *done = check->done;
	void *done_ctx = check->ctx;
	free(check);
	done(done_ctx, is_good ? 0 : 401);
}

/* Takes over what was charged. @return whether there is room for one more check */
static bool
begin_check(struct auth *auth, const struct credentials *credentials, struct auth_check *check)
{
	const struct http_user *user = find_user(auth, credentials->user);
	check->is_known = user != NULL;
	if (user)
		check->digest = digest_of(auth, user, credentials->password);
	check->password = password_check_begin(auth->checker, user ? user->hash : auth->unknown,
					       credentials->password, on_checked, check);
	return check->password != NULL;
}

unsigned
auth_begin(struct auth *auth, struct span authorization, struct http_client client,
	   struct auth_check **out, auth_done_fn *done, void *ctx)
{
	struct credentials credentials;
	/* Another request may have shown the password meanwhile, or the users may be others. */
	enum auth_verdict verdict = auth_look(auth, authorization);
	if (verdict != AUTH_UNKNOWN)
		return verdict == AUTH_GOOD ? 0 : 401;
	int64_t *free_us = &auth->free_us[http_client_hash(client) % SLOTS];
	if (!charge(free_us)) {
		auth->stats->auth_refused[HTTP_AUTH_LIMITED]++;
		return 429;
	}
	struct auth_check *check = xcalloc(1, sizeof(*check));
	*check = (struct auth_check){.auth = auth, .free_us = free_us, .done = done, .ctx = ctx};
	CHECK(credentials_parse(authorization, &credentials));
	bool is_begun = begin_check(auth, &credentials, check);
	credentials_fini(&credentials);
	if (is_begun) {
		*out = check;
		return 0;
	}
	*free_us -= AUTH_WRONG_PERIOD_US;
	free(check);
	auth->stats->auth_refused[HTTP_AUTH_BUSY]++;
	return 503;
}

void
auth_forget(struct auth_check **check)
{
	if (!*check)
		return;
	password_check_forget(&(*check)->password);
	free(*check);
	*check = NULL;
}
