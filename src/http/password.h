/*
 * http/password - compares passwords with their bcrypt hashes on a thread of its own, since each
 * takes tens of milliseconds. Everything but the hashing is for the loop's thread.
 */
#ifndef HTTP_PASSWORD_H
#define HTTP_PASSWORD_H

#include "base/span.h"

#include <stdint.h>

struct ev_loop;

/* Rounds are 2 to the power of the cost; beyond this one a check takes seconds. */
#define PASSWORD_COST_MIN 4
#define PASSWORD_COST_MAX 16

/* Of a hash, without NUL: "$2b$10$", 22 characters of salt, 31 of hash. */
#define PASSWORD_HASH_LEN 60

/** @return the cost of a bcrypt hash ($2a$, $2b$, $2y$), or -1 when the text is none */
int password_hash_cost(struct span hash);

struct password_checker;

/** Tells of a check's end, on the loop's thread. Another one may be begun in there. */
typedef void password_done_fn(void *ctx, bool is_right);

/** Starts the thread. */
struct password_checker *password_checker_new(struct ev_loop *loop, password_done_fn *done,
					      void *ctx);

/**
 * Begins a check; the one before must be over. A wrong password is hashed once with each of the
 * costs, so that the work tells nothing of whose hash it was compared with.
 *
 * @hash     copied, of PASSWORD_HASH_LEN bytes
 * @password copied; without a NUL byte
 * @costs    a bit, 1 << cost, for each cost that any user's hash has, this one's included
 */
void password_check(struct password_checker *checker, const char *hash, struct span password,
		    uint32_t costs);

/** Waits for a check that is under way; it will not be told of. */
void password_checker_free(struct password_checker **checker);

#endif
