#include "http/password.h"

#include "base/alloc.h"
#include "base/check.h"
#include "tls/secret.h"

#include <crypt.h>
#include <ev.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

enum state { RESTING, BEGUN, OVER };

struct password_checker {
	struct ev_loop *loop;
	ev_async finished;
	password_done_fn *done;
	void *ctx;
	pthread_t thread;
	struct crypt_data *crypt; /* the thread's; 32 KiB */

	/* The check: the thread's while BEGUN, and the loop's else. */
	char hash[PASSWORD_HASH_LEN + 1];
	char *password; /* owned */
	size_t password_len;
	uint32_t costs;
	bool is_right;

	/* Between both threads. */
	pthread_mutex_t mutex;
	pthread_cond_t wake;
	enum state state;
	bool is_ending;
};

int
password_hash_cost(struct span hash)
{
	if (hash.len != PASSWORD_HASH_LEN || hash.ptr[0] != '$' || hash.ptr[1] != '2' ||
	    !strchr("aby", hash.ptr[2]) || hash.ptr[3] != '$' || hash.ptr[6] != '$')
		return -1;
	for (size_t i = 4; i < hash.len; i++) {
		char byte = hash.ptr[i], letter = (char)(byte | 0x20);
		bool is_digit = byte >= '0' && byte <= '9';
		bool is_letter = letter >= 'a' && letter <= 'z';
		bool is_in_cost = i < 6, is_separator = i == 6;
		if (!is_separator && !is_digit &&
		    (is_in_cost || (!is_letter && byte != '.' && byte != '/')))
			return -1;
	}
	return (hash.ptr[4] - '0') * 10 + (hash.ptr[5] - '0');
}

/* Takes as long for any hash: all of it is compared. */
static bool
is_same(const char *a, const char *b)
{
	unsigned char differences = 0;
	for (size_t i = 0; i < PASSWORD_HASH_LEN; i++)
		differences |= (unsigned char)(a[i] ^ b[i]);
	return !differences;
}

static bool
is_right(const struct password_checker *checker)
{
	const char *made = crypt_r(checker->password, checker->hash, checker->crypt);
	return made && strlen(made) == PASSWORD_HASH_LEN && is_same(made, checker->hash);
}

/* Does what the hashes of other users would have taken. */
static void
hash_with_other_costs(const struct password_checker *checker)
{
	char setting[PASSWORD_HASH_LEN + 1];
	int own = password_hash_cost(span_of(checker->hash, PASSWORD_HASH_LEN));
	memcpy(setting, checker->hash, sizeof(setting));
	for (int cost = PASSWORD_COST_MIN; cost <= PASSWORD_COST_MAX; cost++) {
		if (cost == own || !(checker->costs & 1u << cost))
			continue;
		setting[4] = (char)('0' + cost / 10);
		setting[5] = (char)('0' + cost % 10);
		crypt_r(checker->password, setting, checker->crypt);
	}
}

static void *
run(void *ctx)
{
	struct password_checker *checker = ctx;
	pthread_mutex_lock(&checker->mutex);
	for (;;) {
		while (!checker->is_ending && checker->state != BEGUN)
			pthread_cond_wait(&checker->wake, &checker->mutex);
		if (checker->is_ending)
			break;
		pthread_mutex_unlock(&checker->mutex);
		checker->is_right = is_right(checker);
		if (!checker->is_right)
			hash_with_other_costs(checker);
		pthread_mutex_lock(&checker->mutex);
		checker->state = OVER;
		ev_async_send(checker->loop, &checker->finished);
	}
	pthread_mutex_unlock(&checker->mutex);
	return NULL;
}

static void
forget_password(struct password_checker *checker)
{
	secret_wipe(checker->password, checker->password_len);
	free(checker->password);
	checker->password = NULL;
	checker->password_len = 0;
}

static void
on_finished(struct ev_loop *loop, ev_async *watcher, int events)
{
	(void)loop, (void)events;
	struct password_checker *checker = watcher->data;
	pthread_mutex_lock(&checker->mutex);
	bool is_over = checker->state == OVER;
	if (is_over)
		checker->state = RESTING;
	pthread_mutex_unlock(&checker->mutex);
	if (!is_over)
		return;
	forget_password(checker);
	checker->done(checker->ctx, checker->is_right);
}

struct password_checker *
password_checker_new(struct ev_loop *loop, password_done_fn *done, void *ctx)
{
	struct password_checker *checker = xcalloc(1, sizeof(*checker));
	checker->loop = loop;
	checker->done = done;
	checker->ctx = ctx;
	checker->crypt = xcalloc(1, sizeof(*checker->crypt));
	pthread_mutex_init(&checker->mutex, NULL);
	pthread_cond_init(&checker->wake, NULL);
	ev_async_init(&checker->finished, on_finished);
	checker->finished.data = checker;
	ev_async_start(loop, &checker->finished);
	/* Signals are for others. */
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	CHECK(pthread_create(&checker->thread, NULL, run, checker) == 0);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return checker;
}

void
password_check(struct password_checker *checker, const char *hash, struct span password,
	       uint32_t costs)
{
	pthread_mutex_lock(&checker->mutex);
	CHECK(checker->state == RESTING);
	memcpy(checker->hash, hash, PASSWORD_HASH_LEN);
	checker->password = xmemdup0(password.ptr, password.len);
	checker->password_len = password.len;
	checker->costs = costs;
	checker->state = BEGUN;
	pthread_cond_signal(&checker->wake);
	pthread_mutex_unlock(&checker->mutex);
}

void
password_checker_free(struct password_checker **checker_ptr)
{
	struct password_checker *checker = *checker_ptr;
	*checker_ptr = NULL;
	if (!checker)
		return;
	pthread_mutex_lock(&checker->mutex);
	checker->is_ending = true;
	pthread_cond_signal(&checker->wake);
	pthread_mutex_unlock(&checker->mutex);
	CHECK(pthread_join(checker->thread, NULL) == 0);
	forget_password(checker);
	ev_async_stop(checker->loop, &checker->finished);
	pthread_cond_destroy(&checker->wake);
	pthread_mutex_destroy(&checker->mutex);
	free(checker->crypt);
	free(checker);
}
