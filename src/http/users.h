/*
 * http/users - private to this folder: whose password is asked for, and which ones were right.
 *
 * Of each user the newest password that was right is remembered, as a keyed digest, so that a
 * client which comes again costs no hashing. One is enough: a hash has one password, but for what
 * bcrypt does not look at (all behind 72 bytes).
 *
 * A name that is no user's is treated like one, with a hash that no password has, so that nothing
 * here tells by its time whether there is such a user.
 */
#ifndef HTTP_USERS_H
#define HTTP_USERS_H

#include "base/buf.h"
#include "http/server.h"
#include "tls/secret.h"

/* Bytes of user name, colon and password. */
#define USERS_CREDENTIALS_MAX 1024

/* What an Authorization header says. */
struct credentials {
	struct buf text; /* holds both */
	struct span user, password;
};

/**
 * Reads HTTP's Basic scheme (RFC 7617).
 *
 * @authorization the header's value, or a span with ptr NULL
 * @out           freed with credentials_fini() in any case
 * @return whether it can be read
 */
bool credentials_parse(struct span authorization, struct credentials *out) MUST_CHECK;
/** Wipes and frees them. */
void credentials_fini(struct credentials *credentials);

struct users;

/** @return none */
struct users *users_new(void);
void users_free(struct users **users);

/** @with copied. What was remembered of those whose name and hash stay is kept. */
void users_set(struct users *users, const struct http_user *with, size_t count);
size_t users_count(const struct users *users);
/** @return a bit, 1 << cost, for each cost that a user's hash has, and for the one of no user's */
uint32_t users_costs(const struct users *users);

/** @return the bcrypt hash that the password must have, borrowed until users_set() */
const char *users_hash(const struct users *users, struct span user);

/** @return what stands for the credentials and for the hash that the password must have now */
struct secret_digest users_digest(const struct users *users, const struct credentials *credentials);
/** @digest of these credentials; @return whether they were right before */
bool users_remember(const struct users *users, const struct credentials *credentials,
		    const struct secret_digest *digest);
/** Notes that the password has the hash that stands for it. @return false when there is no such
 * user */
bool users_learn(struct users *users, const struct credentials *credentials,
		 const struct secret_digest *digest);

#endif
