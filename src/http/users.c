#include "http/users.h"

#include "base/alloc.h"
#include "base/base64.h"
#include "base/hash.h"
#include "base/index.h"
#include "http/password.h"

#include <stdlib.h>

#define SCHEME SPAN("Basic ")

struct user {
	char *name, *hash; /* owned */
	bool is_remembered;
	struct secret_digest right; /* while it is */
};

struct users {
	struct secret_key key;
	struct user *all; /* owned array */
	size_t count;
	struct index by_name;
	uint32_t costs;
	char no_hash[PASSWORD_HASH_LEN + 1]; /* what names of no user are compared with */
};

/* ---- What a header says. ---- */

void
credentials_fini(struct credentials *credentials)
{
	secret_wipe(credentials->text.ptr, credentials->text.len);
	buf_fini(&credentials->text);
}

bool
credentials_parse(struct span authorization, struct credentials *out)
{
	*out = (struct credentials){.text = BUF_INIT};
	if (!authorization.ptr || authorization.len < SCHEME.len ||
	    !span_equal_ignoring_case(span_first(authorization, SCHEME.len), SCHEME))
		return false;
	struct span encoded = span_from(authorization, SCHEME.len);
	if (encoded.len > USERS_CREDENTIALS_MAX / 3 * 4 + 4 || !base64_decode(encoded, &out->text))
		return false;
	struct span text = buf_span(&out->text);
	const char *colon = span_find(text, ':');
	if (!colon || span_find(text, '\0') || text.len > USERS_CREDENTIALS_MAX)
		return false;
	out->user = span_first(text, (size_t)(colon - text.ptr));
	out->password = span_from(text, out->user.len + 1);
	return true;
}

/* ---- Users. ---- */

static bool
has_name(const void *item, const void *key)
{
	const struct user *user = item;
	const struct span *name = key;
	return span_equal(*name, span_text(user->name));
}

/* @return the user, or NULL */
static struct user *
find(const struct users *users, struct span name)
{
	return index_find(&users->by_name, hash_bytes64(name.ptr, name.len), has_name, &name);
}

struct users *
users_new(void)
{
	struct users *users = xcalloc(1, sizeof(*users));
	users->key = secret_key_new();
	return users;
}

static void
free_all(struct user *all, size_t count, struct index *by_name)
{
	for (size_t i = 0; i < count; i++) {
		free(all[i].name);
		free(all[i].hash);
	}
	free(all);
	index_fini(by_name);
}

/* @return one whose password is as yet to be shown, unless it was there before */
static struct user
user_from(const struct users *before, const struct http_user *with)
{
	struct user user = {.name = xstrdup(with->name), .hash = xstrdup(with->hash)};
	const struct user *same = find(before, span_text(with->name));
	/* Of another hash the digest is another. */
	if (same) {
		user.is_remembered = same->is_remembered;
		user.right = same->right;
	}
	return user;
}

/* As a hash it is one of nothing; to make it takes as long as the dearest. */
static void
set_no_hash(struct users *users, int cost)
{
	char head[] = {'$', '2', 'b', '$', (char)('0' + cost / 10), (char)('0' + cost % 10), '$'};
	memset(users->no_hash, '.', PASSWORD_HASH_LEN);
	memcpy(users->no_hash, head, sizeof(head));
}

void
users_set(struct users *users, const struct http_user *with, size_t count)
{
	struct users before = *users;
	int dearest = PASSWORD_COST_MIN;
	users->all = xcalloc(count + 1, sizeof(*users->all));
	users->count = count;
	users->by_name = INDEX_INIT;
	users->costs = 0;
	for (size_t i = 0; i < count; i++) {
		struct user *user = &users->all[i];
		*user = user_from(&before, &with[i]);
		index_add(&users->by_name, hash_bytes64(user->name, strlen(user->name)), user);
		int cost = password_hash_cost(span_text(user->hash));
		CHECK(cost >= PASSWORD_COST_MIN && cost <= PASSWORD_COST_MAX);
		users->costs |= 1u << cost;
		dearest = cost > dearest ? cost : dearest;
	}
	set_no_hash(users, dearest);
	free_all(before.all, before.count, &before.by_name);
	secret_wipe(&before, sizeof(before));
}

void
users_free(struct users **users)
{
	if (!*users)
		return;
	free_all((*users)->all, (*users)->count, &(*users)->by_name);
	secret_wipe(*users, sizeof(**users));
	free(*users);
	*users = NULL;
}

size_t
users_count(const struct users *users)
{
	return users->count;
}

uint32_t
users_costs(const struct users *users)
{
	return users->costs;
}

/* ---- Passwords. ---- */

const char *
users_hash(const struct users *users, struct span name)
{
	const struct user *user = find(users, name);
	return user ? user->hash : users->no_hash;
}

struct secret_digest
users_digest(const struct users *users, const struct credentials *credentials)
{
	struct span parts[] = {credentials->user, span_text(users_hash(users, credentials->user)),
			       credentials->password};
	return secret_digest(&users->key, parts, sizeof(parts) / sizeof(parts[0]));
}

bool
users_remember(const struct users *users, const struct credentials *credentials,
	       const struct secret_digest *digest)
{
	const struct user *user = find(users, credentials->user);
	return user && user->is_remembered && memcmp(&user->right, digest, sizeof(*digest)) == 0;
}

bool
users_learn(struct users *users, const struct credentials *credentials,
	    const struct secret_digest *digest)
{
	struct user *user = find(users, credentials->user);
	if (!user)
		return false;
	user->right = *digest;
	user->is_remembered = true;
	return true;
}
