#include "http/password.h"

#include "base/alloc.h"
#include "tls/secret.h"

#include <crypt.h>
#include <ev.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/queue.h>

struct password_check {
	TAILQ_ENTRY(password_check) link;
	struct password_checker *checker;
	char hash[PASSWORD_HASH_LEN + 1];
	char *password; /* owned */
	size_t password_len;
	bool is_waiting; /* in that list; under the mutex */
	bool is_right;
	password_done_fn *done; /* NULL = forgotten */
	void *ctx;
};

TAILQ_HEAD(check_list, password_check);

struct password_checker {
	struct ev_loop *loop;
	ev_async finished;
	pthread_t thread;
	struct crypt_data *crypt; /* the thread's; 32 KiB */

	/* Between both threads. */
	pthread_mutex_t mutex;
	pthread_cond_t wake;
	struct check_list waiting, done;
	size_t waiting_count;
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

static void
check_free(struct password_check *check)
{
	secret_wipe(check->password, check->password_len);
	free(check->password);
	free(check);
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
is_right(struct crypt_data *crypt, const struct password_check *check)
{
	const char *made = crypt_r(check->password, check->hash, crypt);
	return made && strlen(made) == PASSWORD_HASH_LEN && is_same(made, check->hash);
}

static void *
run(void *ctx)
{
	struct password_checker *checker = ctx;
	pthread_mutex_lock(&checker->mutex);
	for (;;) {
		while (!checker->is_ending && TAILQ_EMPTY(&checker->waiting))
			pthread_cond_wait(&checker->wake, &checker->mutex);
		if (checker->is_ending)
			break;
		struct password_check *check = TAILQ_FIRST(&checker->waiting);
		TAILQ_REMOVE(&checker->waiting, check, link);
		checker->waiting_count--;
		check->is_waiting = false;
		pthread_mutex_unlock(&checker->mutex);
		check->is_right = is_right(checker->crypt, check);
		pthread_mutex_lock(&checker->mutex);
		TAILQ_INSERT_TAIL(&checker->done, check, link);
		ev_async_send(checker->loop, &checker->finished);
	}
	pthread_mutex_unlock(&checker->mutex);
	return NULL;
}

static struct password_check *
take(struct password_checker *checker, struct check_list *list)
{
	pthread_mutex_lock(&checker->mutex);
	struct password_check *check = TAILQ_FIRST(list);
	if (check)
		TAILQ_REMOVE(list, check, link);
	pthread_mutex_unlock(&checker->mutex);
	return check;
}

static void
on_finished(struct ev_loop *loop, ev_async *watcher, int events)
{
	(void)loop, (void)events;
	struct password_checker *checker = watcher->data;
	struct password_check *check;
	while ((check = take(checker, &checker->done))) {
		if (check->done)
			check->done(check->ctx, check->is_right);
		check_free(check);
	}
}

struct password_checker *
password_checker_new(struct ev_loop *loop)
{
	struct password_checker *checker = xcalloc(1, sizeof(*checker));
	checker->loop = loop;
	checker->crypt = xcalloc(1, sizeof(*checker->crypt));
	TAILQ_INIT(&checker->waiting);
	TAILQ_INIT(&checker->done);
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

struct password_check *
password_check_begin(struct password_checker *checker, const char *hash, struct span password,
		     password_done_fn *done, void *ctx)
{
	pthread_mutex_lock(&checker->mutex);
	struct password_check *check = NULL;
	if (checker->waiting_count < PASSWORD_CHECKS_MAX) {
		check = xcalloc(1, sizeof(*check));
		check->checker = checker;
		memcpy(check->hash, hash, PASSWORD_HASH_LEN);
		check->password = xmemdup0(password.ptr, password.len);
		check->password_len = password.len;
		check->done = done;
		check->ctx = ctx;
		check->is_waiting = true;
		TAILQ_INSERT_TAIL(&checker->waiting, check, link);
		checker->waiting_count++;
		pthread_cond_signal(&checker->wake);
	}
	pthread_mutex_unlock(&checker->mutex);
	return check;
}

void
password_check_forget(struct password_check **check_ptr)
{
	struct password_check *check = *check_ptr;
	*check_ptr = NULL;
	if (!check)
		return;
	struct password_checker *checker = check->checker;
	pthread_mutex_lock(&checker->mutex);
	bool is_ours = check->is_waiting;
	if (is_ours) {
		TAILQ_REMOVE(&checker->waiting, check, link);
		checker->waiting_count--;
	}
	pthread_mutex_unlock(&checker->mutex);
	check->done = NULL;
	if (is_ours)
		check_free(check);
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
	CHECK(TAILQ_EMPTY(&checker->waiting));
	struct password_check *check;
	while ((check = take(checker, &checker->done)))
		check_free(check);
	ev_async_stop(checker->loop, &checker->finished);
	pthread_cond_destroy(&checker->wake);
	pthread_mutex_destroy(&checker->mutex);
	free(checker->crypt);
	free(checker);
}
