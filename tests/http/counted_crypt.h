/*
 * A crypt_r() in place of the library's, which counts the work, keeps checks under way for as long
 * as a test wants, and costs nothing. To be included once in a program.
 */
#ifndef TESTS_HTTP_COUNTED_CRYPT_H
#define TESTS_HTTP_COUNTED_CRYPT_H

#include "http/password.h"

#include <crypt.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

/* What bcrypt looks at of a password. */
#define BCRYPT_BYTES 72
#define SALT_END 29 /* "$2b$04$" and 22 characters */

static struct {
	pthread_mutex_t mutex;
	pthread_cond_t change;
	bool is_held; /* no hash is made */
	unsigned hashes;
	uint64_t rounds;
} work = {.mutex = PTHREAD_MUTEX_INITIALIZER, .change = PTHREAD_COND_INITIALIZER};

/* @setting begins with cost and salt @out that and what stands for the password, of
 * PASSWORD_HASH_LEN bytes and NUL */
static inline void
make_hash(const char *phrase, const char *setting, char *out)
{
	uint64_t sum = 14695981039346656037u;
	for (size_t i = 0; i < BCRYPT_BYTES && phrase[i]; i++)
		sum = (sum ^ (unsigned char)phrase[i]) * 1099511628211u;
	memcpy(out, setting, SALT_END);
	snprintf(out + SALT_END, PASSWORD_HASH_LEN - SALT_END + 1, "%031llx",
		 (unsigned long long)sum);
}

char *
crypt_r(const char *phrase, const char *setting, struct crypt_data *data)
{
	pthread_mutex_lock(&work.mutex);
	while (work.is_held)
		pthread_cond_wait(&work.change, &work.mutex);
	work.hashes++;
	work.rounds += (uint64_t)1 << password_hash_cost(span_text(setting));
	pthread_mutex_unlock(&work.mutex);
	make_hash(phrase, setting, data->output);
	return data->output;
}

static inline void
hold(bool is_held)
{
	pthread_mutex_lock(&work.mutex);
	work.is_held = is_held;
	pthread_cond_broadcast(&work.change);
	pthread_mutex_unlock(&work.mutex);
}

static inline void
work_reset(void)
{
	work.hashes = 0;
	work.rounds = 0;
}

#endif
