#include "app/target_store.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/log.h"
#include "targets/state.h"

#include <errno.h>
#include <ev.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <unistd.h>

/* How long the end waits for a disk. */
#define END_SECONDS 2

struct target_change {
	STAILQ_ENTRY(target_change) link;
	struct target_store *store;
	struct target_group *group; /* one reference; NULL = a removal */
	char *name;                 /* owned; of a removal */
	enum target_outcome outcome;
	bool is_begun;        /* it is in a set that is being written */
	target_done_fn *done; /* NULL = called */
	void *ctx;
	ev_timer patience;
};

STAILQ_HEAD(change_list, target_change);

/* Of a write: as file_replace() tells. */
struct write_result {
	int error;
	bool is_replaced;
};

struct target_store {
	struct target_set *set; /* in force */
	uint64_t version;
	struct target_store_stats stats;
	struct target_limits limits;
	unsigned under_way;         /* changes, in both lists */
	struct change_list waiting; /* for the next set */
	struct change_list writing; /* what makes `next`, and refusals between */
	struct target_set *next;    /* NULL = nothing is being written */
	bool is_unsynced;           /* the file says `set`, but the disk may not have it */

	const char *path; /* "" = no file */
	int lock_fd;
	struct log_gate failed_gate;
	struct ev_loop *loop;
	ev_async written;
	pthread_t writer;
	bool is_started;

	/* Between the control thread and the writer, under the mutex. */
	pthread_mutex_t mutex;
	pthread_cond_t wake;          /* the writer */
	pthread_cond_t ended;         /* the control thread, at the end */
	const struct target_set *job; /* NULL = none; held by `next` */
	bool is_ending;
	bool has_ended;
	struct write_result result; /* of the last job */
};

static struct write_result
write_set(const char *path, const struct target_set *set)
{
	struct buf text = BUF_INIT;
	struct write_result result;
	target_state_format(set, &text);
	result.error = file_replace(path, buf_span(&text), &result.is_replaced);
	buf_fini(&text);
	return result;
}

/* A job that was given is done, also when the end has come. */
static void *
run_writer(void *arg)
{
	struct target_store *store = arg;
	pthread_mutex_lock(&store->mutex);
	for (;;) {
		while (!store->job && !store->is_ending)
			pthread_cond_wait(&store->wake, &store->mutex);
		const struct target_set *set = store->job;
		if (!set)
			break;
		pthread_mutex_unlock(&store->mutex);
		struct write_result result = write_set(store->path, set);
		pthread_mutex_lock(&store->mutex);
		store->job = NULL;
		store->result = result;
		/* At the end nobody listens, and the loop may be gone. */
		if (!store->is_ending)
			ev_async_send(store->loop, &store->written);
	}
	store->has_ended = true;
	pthread_cond_signal(&store->ended);
	pthread_mutex_unlock(&store->mutex);
	return NULL;
}

static void
give_job(struct target_store *store)
{
	pthread_mutex_lock(&store->mutex);
	store->job = store->next;
	pthread_cond_signal(&store->wake);
	pthread_mutex_unlock(&store->mutex);
}

/* @return whether the job is done. *result: of the job */
static bool
take_result(struct target_store *store, struct write_result *result)
{
	pthread_mutex_lock(&store->mutex);
	bool is_done = !store->job;
	*result = store->result;
	pthread_mutex_unlock(&store->mutex);
	return is_done;
}

static void
tell(struct target_change *change, enum target_outcome outcome, int error)
{
	target_done_fn *done = change->done;
	change->done = NULL;
	ev_timer_stop(change->store->loop, &change->patience);
	if (done)
		done(change->ctx, outcome, error);
}

/* Frees the change; the one who made it is told first. */
static void
end_change(struct target_change *change, enum target_outcome outcome, int error)
{
	tell(change, outcome, error);
	change->store->under_way--;
	target_group_unref(&change->group);
	free(change->name);
	free(change);
}

/* @return whether it makes another set */
static bool
is_change(enum target_outcome outcome)
{
	return outcome <= TARGET_REMOVED;
}

/* A refusal is right only as long as what it was judged against is certain. */
static enum target_outcome
outcome_of(const struct target_change *change, struct write_result result)
{
	if (!result.error)
		return change->outcome;
	return result.is_replaced && is_change(change->outcome) ? TARGET_NOT_SYNCED
								: TARGET_NOT_WRITTEN;
}

static void
end_changes(struct change_list *list, struct write_result result)
{
	while (!STAILQ_EMPTY(list)) {
		struct target_change *change = STAILQ_FIRST(list);
		STAILQ_REMOVE_HEAD(list, link);
		end_change(change, outcome_of(change, result), result.error);
	}
}

static void
count_in_force(struct target_store *store)
{
	const struct target_change *change;
	STAILQ_FOREACH (change, &store->writing, link) {
		if (!is_change(change->outcome))
			continue;
		store->stats.puts += change->group != NULL;
		store->stats.removals += change->group == NULL;
	}
}

static void
log_failure(struct target_store *store, struct write_result result)
{
	uint64_t held_back;
	if (log_gate_open(&store->failed_gate, &held_back))
		log_error(result.is_replaced ? "scrape targets written, but perhaps not for good"
					     : "scrape targets not written; they stay as they were",
			  LOG_TEXT("file", store->path), LOG_ERRNO(result.error),
			  LOG_NUM("held_back", held_back));
}

/* Puts the next set in force, or drops it when it could not be written. */
static void
end_batch(struct target_store *store, struct write_result result)
{
	struct change_list ended = STAILQ_HEAD_INITIALIZER(ended);
	if (result.error)
		log_failure(store, result);
	if (result.is_replaced) {
		count_in_force(store);
		store->is_unsynced = result.error != 0;
		target_set_unref(&store->set);
		store->set = store->next;
		store->next = NULL;
		store->version++;
	} else {
		target_set_unref(&store->next);
	}
	STAILQ_CONCAT(&ended, &store->writing);
	end_changes(&ended, result);
}

static enum target_outcome
apply(struct target_set *set, const struct target_change *change)
{
	static const enum target_outcome outcomes[] = {
	    [SET_ADDED] = TARGET_ADDED,
	    [SET_REPLACED] = TARGET_REPLACED,
	    [SET_TOO_MANY_GROUPS] = TARGET_TOO_MANY_GROUPS,
	    [SET_TOO_MANY_TARGETS] = TARGET_TOO_MANY_TARGETS,
	    [SET_TOO_MANY_BYTES] = TARGET_TOO_MANY_BYTES,
	};
	if (change->group)
		return outcomes[target_set_put(set, change->group)];
	return target_set_remove(set, span_text(change->name)) ? TARGET_REMOVED : TARGET_UNKNOWN;
}

static void
move_to_writing(struct target_change *change)
{
	change->is_begun = true;
	STAILQ_INSERT_TAIL(&change->store->writing, change, link);
}

/*
 * Makes the next set of all changes that wait, and has it written. One that is refused hears so
 * with those before it: it was judged against a set that is not in force until then. So does one
 * that was judged against a set that the disk may not have.
 */
static void
begin_batch(struct target_store *store)
{
	if (store->next || STAILQ_EMPTY(&store->waiting))
		return;
	target_store_expire(store);
	store->next = target_set_copy(store->set);
	while (!STAILQ_EMPTY(&store->waiting)) {
		struct target_change *change = STAILQ_FIRST(&store->waiting);
		STAILQ_REMOVE_HEAD(&store->waiting, link);
		change->outcome = apply(store->next, change);
		if (is_change(change->outcome) || !STAILQ_EMPTY(&store->writing) ||
		    store->is_unsynced)
			move_to_writing(change);
		else
			end_change(change, change->outcome, 0);
	}
	if (STAILQ_EMPTY(&store->writing))
		target_set_unref(&store->next);
	else if (*store->path)
		give_job(store);
	else
		end_batch(store, (struct write_result){.is_replaced = true});
}

static void
written_cb(struct ev_loop *loop, ev_async *watcher, int events)
{
	struct target_store *store = watcher->data;
	struct write_result result;
	(void)loop;
	(void)events;
	if (!store->next || !take_result(store, &result))
		return;
	store->stats.writes_ok += result.error == 0;
	store->stats.writes_failed += result.error != 0;
	end_batch(store, result);
	begin_batch(store);
}

/* @return whether the file could be taken, read and written */
static bool
open_file(struct target_store *store, struct diag *diag)
{
	store->lock_fd = target_state_lock(store->path, diag);
	if (store->lock_fd < 0)
		return false;
	store->set = target_state_load(store->path, diag);
	if (!store->set)
		return false;
	int error = write_set(store->path, store->set).error;
	if (error)
		diag_error(diag, (struct diag_place){.file = store->path}, NULL,
			   "cannot be replaced: %s; its folder must be writable, and it must not "
			   "be a mount of its own",
			   strerror(error));
	return !error;
}

struct target_store *
target_store_new(struct ev_loop *loop, const char *path, const struct target_limits *limits,
		 struct diag *diag)
{
	CHECK(limits->changes && limits->answer_us > 0);
	struct target_store *store = xcalloc(1, sizeof(*store));
	store->path = path;
	store->limits = *limits;
	store->lock_fd = -1;
	store->version = (uint64_t)clock_wall().us; /* another one than before a restart */
	store->loop = loop;
	STAILQ_INIT(&store->waiting);
	STAILQ_INIT(&store->writing);
	pthread_mutex_init(&store->mutex, NULL);
	pthread_cond_init(&store->wake, NULL);
	pthread_cond_init(&store->ended, NULL);
	ev_async_init(&store->written, written_cb);
	store->written.data = store;
	if (!*path)
		store->set = target_set_new();
	else if (!open_file(store, diag))
		target_store_free(&store);
	return store;
}

int
target_store_start(struct target_store *store)
{
	if (!*store->path)
		return 0;
	int error = pthread_create(&store->writer, NULL, run_writer, store);
	if (error)
		return error;
	store->is_started = true;
	ev_async_start(store->loop, &store->written);
	return 0;
}

/* @return whether the thread has ended; else the store is its own from here on */
static bool
stop_writer(struct target_store *store)
{
	struct timespec until;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += END_SECONDS;
	pthread_mutex_lock(&store->mutex);
	store->is_ending = true;
	pthread_cond_signal(&store->wake);
	int error = 0;
	while (!store->has_ended && !error)
		error =
		    pthread_cond_clockwait(&store->ended, &store->mutex, CLOCK_MONOTONIC, &until);
	bool has_ended = store->has_ended;
	pthread_mutex_unlock(&store->mutex);
	if (!has_ended) {
		log_error("scrape targets are still being written; the end does not wait for it",
			  LOG_TEXT("file", store->path));
		pthread_detach(store->writer);
		return false;
	}
	pthread_join(store->writer, NULL);
	ev_async_stop(store->loop, &store->written);
	if (store->next)
		end_batch(store, store->result);
	return true;
}

void
target_store_free(struct target_store **slot)
{
	struct target_store *store = *slot;
	if (!store)
		return;
	*slot = NULL;
	bool is_stopped = !store->is_started || stop_writer(store);
	struct target_change *change;
	STAILQ_FOREACH (change, &store->writing, link)
		tell(change, TARGET_UNDECIDED, 0);
	end_changes(&store->waiting, (struct write_result){.error = ECANCELED});
	if (!is_stopped)
		return;
	target_set_unref(&store->set);
	if (store->lock_fd >= 0)
		close(store->lock_fd);
	pthread_mutex_destroy(&store->mutex);
	pthread_cond_destroy(&store->wake);
	pthread_cond_destroy(&store->ended);
	free(store);
}

static void
drop_waiting(struct target_change *change, enum target_outcome outcome)
{
	STAILQ_REMOVE(&change->store->waiting, change, target_change, link);
	end_change(change, outcome, 0);
}

static void
late_cb(struct ev_loop *loop, ev_timer *watcher, int events)
{
	struct target_change *change = watcher->data;
	(void)loop;
	(void)events;
	if (change->is_begun)
		tell(change, TARGET_UNDECIDED, 0);
	else
		drop_waiting(change, TARGET_TOO_LATE);
}

static void
add_change(struct target_store *store, struct target_change change)
{
	struct target_change *added = xcalloc(1, sizeof(*added));
	*added = change;
	added->store = store;
	ev_timer_init(&added->patience, late_cb, (double)store->limits.answer_us / 1e6, 0.);
	added->patience.data = added;
	if (store->under_way++ == store->limits.changes) {
		end_change(added, TARGET_TOO_MANY_CHANGES, 0);
		return;
	}
	ev_timer_start(store->loop, &added->patience);
	STAILQ_INSERT_TAIL(&store->waiting, added, link);
	begin_batch(store);
}

void
target_store_put(struct target_store *store, struct target_group **group, target_done_fn *done,
		 void *ctx)
{
	add_change(store, (struct target_change){.group = *group, .done = done, .ctx = ctx});
	*group = NULL;
}

void
target_store_remove(struct target_store *store, struct span name, target_done_fn *done, void *ctx)
{
	add_change(store, (struct target_change){
			      .name = xmemdup0(name.ptr, name.len), .done = done, .ctx = ctx});
}

void
target_store_take_back(struct target_store *store, const void *ctx)
{
	struct target_change *change;
	STAILQ_FOREACH (change, &store->waiting, link) {
		if (change->ctx == ctx)
			break;
	}
	if (change)
		drop_waiting(change, TARGET_TAKEN_BACK);
}

void
target_store_expire(struct target_store *store)
{
	struct mono now = clock_mono();
	if (now.us < store->set->next_expiry.us)
		return;
	/* Somebody may be reading the one in force. */
	struct target_set *set = target_set_copy(store->set);
	size_t expired = target_set_expire(set, now);
	store->version += set->count != store->set->count;
	target_set_unref(&store->set);
	store->set = set;
	store->stats.expired += expired;
	if (expired)
		log_info("groups of scrape targets expired", LOG_NUM("groups", expired),
			 LOG_NUM("left", set->count));
}

struct target_set *
target_store_set(struct target_store *store)
{
	target_store_expire(store);
	return store->set;
}

uint64_t
target_store_version(const struct target_store *store)
{
	return store->version;
}

const struct target_store_stats *
target_store_stats(const struct target_store *store)
{
	return &store->stats;
}
