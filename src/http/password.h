/*
 * http/password - compares passwords with their bcrypt hashes on a thread of its own, since each
 * takes tens of milliseconds. Everything but the hashing is for the loop's thread.
 */
#ifndef HTTP_PASSWORD_H
#define HTTP_PASSWORD_H

#include "base/check.h"
#include "base/span.h"

struct ev_loop;

/* Checks that wait at most; one more is refused. */
#define PASSWORD_CHECKS_MAX 64

/* Rounds are 2 to the power of the cost; beyond this one a check takes seconds. */
#define PASSWORD_COST_MIN 4
#define PASSWORD_COST_MAX 16

/* Of a hash, without NUL: "$2b$10$", 22 characters of salt, 31 of hash. */
#define PASSWORD_HASH_LEN 60

/** @return the cost of a bcrypt hash ($2a$, $2b$, $2y$), or -1 when the text is none */
int password_hash_cost(struct span hash);

struct password_checker;
struct password_check;

typedef void password_done_fn(void *ctx, bool is_right);

/** Starts the thread. */
struct password_checker *password_checker_new(struct ev_loop *loop);

/**
 * @hash     copied, of PASSWORD_HASH_LEN bytes
 * @password copied; without a NUL byte
 * @done     called once, later
 * @return the check, valid until `done` is called; NULL when too many wait
 */
struct password_check *password_check_begin(struct password_checker *checker, const char *hash,
					    struct span password, password_done_fn *done,
					    void *ctx) MUST_CHECK;

/** `done` will not be called. @check consumed */
void password_check_forget(struct password_check **check);

/** Waits for a check that is under way. Those that are left must have been forgotten. */
void password_checker_free(struct password_checker **checker);

#endif
