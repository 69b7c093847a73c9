#include "app/worker.h"

#include "app/ingest.h"
#include "base/alloc.h"
#include "base/log.h"
#include "net/datagram.h"
#include "net/pacer.h"

#include <errno.h>
#include <ev.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* How late a wait may end; the kernel's own 50 us are as long as the wait itself. */
#define TIMER_SLACK_NS 1000
/*
 * How long a thread wants to run at a time, the least that the kernel takes. Who wants less goes first: with
 * the kernel's own milliseconds it would wait for the next tick while another thread has its processor.
 */
#define RUN_NS 100000

struct worker {
	struct bridge *bridge;
	unsigned thread;
	struct ingest *ingest;
	struct ev_loop *loop;
	pthread_t handle;
	bool is_started;

	struct net_sink sink;
	struct pacer_limits limits; /* until it starts; then the pacer's */
	struct pacer pacer;
	_Atomic uint64_t wake_ups;
	_Atomic int64_t delay_us;
	struct datagram_buffers *buffers;
	struct stream_pool *pool;
	struct tls_source *tls; /* of TCP listeners; NULL = none */
	struct datagram_listener **datagrams;
	size_t datagram_count, datagram_capacity;
	struct stream_listener **listeners;
	size_t listener_count, listener_capacity;
	struct relay **relays;
	size_t relay_count, relay_capacity;

	ev_check before_work;
	ev_prepare after_work;
	ev_timer second;
	ev_async stop;
	_Atomic int64_t stop_deadline_us;
	_Atomic bool is_alive;
};

static void
on_payload(void *ctx, enum net_transport transport, const char *bytes, size_t len)
{
	struct worker *worker = ctx;
	(void)transport;
	ingest_payload(worker->ingest, span_of(bytes, len));
}

static void
on_flush(void *ctx)
{
	struct worker *worker = ctx;
	ingest_flush(worker->ingest);
}

/* In place of both, with --debug.null-receiver. */
static void
discard_payload(void *ctx, enum net_transport transport, const char *bytes, size_t len)
{
	(void)ctx, (void)transport, (void)bytes, (void)len;
}

static void
flush_nothing(void *ctx)
{
	(void)ctx;
}

static void
before_work_cb(struct ev_loop *loop, ev_check *watcher, int events)
{
	struct worker *worker = watcher->data;
	(void)loop;
	(void)events;
	grace_begin(worker->bridge->grace, worker->thread);
	ingest_begin(worker->ingest);
}

/* The loop waits out its interval before it asks for events; timers stay due in time. */
static void
set_pace(struct worker *worker)
{
	int64_t delay_us = pacer_next_us(&worker->pacer, worker->sink.counters, clock_mono().us);
	atomic_store_explicit(&worker->delay_us, delay_us, memory_order_relaxed);
	atomic_store_explicit(&worker->wake_ups, worker->pacer.wake_ups, memory_order_relaxed);
	bool is_behind = worker->sink.is_behind;
	worker->sink.is_behind = false;
	ev_set_io_collect_interval(worker->loop, is_behind ? 0. : (double)delay_us / 1e6);
}

/* From here to before_work_cb() the thread holds nothing, also while it lets traffic gather. */
static void
after_work_cb(struct ev_loop *loop, ev_prepare *watcher, int events)
{
	struct worker *worker = watcher->data;
	(void)loop;
	(void)events;
	set_pace(worker);
	grace_end(worker->bridge->grace, worker->thread);
}

static bool
all_alive(const struct worker *worker)
{
	bool alive = true;
	for (size_t i = 0; i < worker->datagram_count; i++)
		alive &= datagram_listener_is_alive(worker->datagrams[i]);
	for (size_t i = 0; i < worker->listener_count; i++)
		alive &= stream_listener_is_alive(worker->listeners[i]);
	return alive;
}

static void
second_cb(struct ev_loop *loop, ev_timer *watcher, int events)
{
	struct worker *worker = watcher->data;
	(void)loop;
	(void)events;
	for (size_t i = 0; i < worker->relay_count; i++)
		relay_flush(worker->relays[i]);
	ingest_rotate(worker->ingest);
	atomic_store(&worker->is_alive, all_alive(worker));
}

static void
stop_cb(struct ev_loop *loop, ev_async *watcher, int events)
{
	struct worker *worker = watcher->data;
	int64_t deadline_us = atomic_load(&worker->stop_deadline_us);
	(void)events;
	/* Each socket has its share of the time, and streams one more: a flood starves nobody. */
	for (size_t i = 0; i < worker->datagram_count; i++) {
		int64_t now_us = clock_mono().us;
		int64_t share_us = (deadline_us - now_us) / (int64_t)(worker->datagram_count - i + 1);
		datagram_listener_drain(worker->datagrams[i], now_us + share_us);
	}
	stream_pool_drain(worker->pool, deadline_us);
	ev_break(loop, EVBREAK_ALL);
}

struct worker *
worker_new(struct bridge *bridge, struct stream_limit *limit, const struct options *options,
	   unsigned thread)
{
	struct worker *worker = xcalloc(1, sizeof(*worker));
	worker->bridge = bridge;
	worker->thread = thread;
	worker->ingest = bridge->ingests[thread];
	worker->loop = ev_loop_new(EVFLAG_AUTO | EVFLAG_NOENV);
	CHECK(worker->loop);
	worker->sink.payload = options->null_receiver ? discard_payload : on_payload;
	worker->sink.flush = options->null_receiver ? flush_nothing : on_flush;
	worker->sink.ctx = worker;
	worker->limits = (struct pacer_limits){
	    .max_delay_us = options->max_wake_up_delay_ns / 1000,
	    .udp_bytes = INT64_MAX,
	    .unixgram_queue = INT64_MAX,
	};
	worker->buffers = datagram_buffers_new();
	worker->pool = stream_pool_new(worker->loop, limit, &worker->sink);
	atomic_store(&worker->is_alive, true);

	ev_check_init(&worker->before_work, before_work_cb);
	ev_set_priority(&worker->before_work, EV_MAXPRI);
	ev_prepare_init(&worker->after_work, after_work_cb);
	ev_set_priority(&worker->after_work, EV_MINPRI);
	ev_timer_init(&worker->second, second_cb, 1, 1);
	ev_async_init(&worker->stop, stop_cb);
	worker->before_work.data = worker->after_work.data = worker;
	worker->second.data = worker->stop.data = worker;
	ev_check_start(worker->loop, &worker->before_work);
	ev_prepare_start(worker->loop, &worker->after_work);
	ev_timer_start(worker->loop, &worker->second);
	ev_async_start(worker->loop, &worker->stop);
	return worker;
}

void
worker_add_datagrams(struct worker *worker, int fd, enum net_transport transport, int64_t room)
{
	int64_t *least = transport == NET_UDP ? &worker->limits.udp_bytes
					      : &worker->limits.unixgram_queue;
	if (room < *least)
		*least = room;
	worker->datagrams = xgrow(worker->datagrams, worker->datagram_count,
				  &worker->datagram_capacity, sizeof(*worker->datagrams));
	worker->datagrams[worker->datagram_count++] = datagram_listener_new(
	    worker->loop, fd, transport, worker->buffers, &worker->sink);
}

void
worker_add_listener(struct worker *worker, int fd, bool owns_fd, enum net_transport transport)
{
	worker->listeners = xgrow(worker->listeners, worker->listener_count,
				  &worker->listener_capacity, sizeof(*worker->listeners));
	struct stream_listener *listener =
	    stream_listener_new(worker->pool, fd, owns_fd, transport);
	if (transport == NET_TCP && worker->tls)
		stream_listener_secure(listener, worker->tls);
	worker->listeners[worker->listener_count++] = listener;
}

void
worker_secure_tcp(struct worker *worker, struct tls_source *tls)
{
	worker->tls = tls;
}

bool
worker_add_relay(struct worker *worker, const struct address *target, size_t packet_length)
{
	struct relay *relay = relay_new(target, packet_length);
	if (!relay)
		return false;
	worker->relays = xgrow(worker->relays, worker->relay_count, &worker->relay_capacity,
			       sizeof(*worker->relays));
	worker->relays[worker->relay_count++] = relay;
	ingest_set_relays(worker->ingest, worker->relays, worker->relay_count);
	return true;
}

/* What sched_setattr() takes, which the C library has no name for yet: its first version. */
struct sched_attributes {
	uint32_t size, policy;
	uint64_t flags;
	int32_t niceness;
	uint32_t priority;
	uint64_t runtime_ns, deadline_ns, period_ns;
};

/* Linux takes it from 6.12 on; before, and where it is forbidden, all is as it was. */
static void
ask_for_short_turns(void)
{
	struct sched_attributes attributes = {0};
	if (syscall(SYS_sched_getattr, 0, &attributes, sizeof(attributes), 0) != 0 ||
	    attributes.policy != SCHED_OTHER)
		return;
	attributes.runtime_ns = RUN_NS;
	if (syscall(SYS_sched_setattr, 0, &attributes, 0) != 0)
		log_debug("cannot ask for short turns", LOG_ERRNO(errno));
}

static void *
run(void *arg)
{
	struct worker *worker = arg;
	if (prctl(PR_SET_TIMERSLACK, TIMER_SLACK_NS) != 0)
		log_warn("cannot make timers precise", LOG_ERRNO(errno));
	ask_for_short_turns();
	pacer_init(&worker->pacer, &worker->limits);
	grace_begin(worker->bridge->grace, worker->thread);
	ev_run(worker->loop, 0);
	for (size_t i = 0; i < worker->relay_count; i++)
		relay_flush(worker->relays[i]);
	grace_end(worker->bridge->grace, worker->thread);
	return NULL;
}

int
worker_start(struct worker *worker)
{
	int error = pthread_create(&worker->handle, NULL, run, worker);
	worker->is_started = error == 0;
	return error;
}

void
worker_stop(struct worker *worker, int64_t deadline_us)
{
	atomic_store(&worker->stop_deadline_us, deadline_us);
	ev_async_send(worker->loop, &worker->stop);
}

void
worker_join(struct worker *worker)
{
	if (worker->is_started)
		pthread_join(worker->handle, NULL);
	worker->is_started = false;
}

void
worker_close(struct worker *worker)
{
	grace_begin(worker->bridge->grace, worker->thread);
	ingest_begin(worker->ingest);
	for (size_t i = 0; i < worker->listener_count; i++)
		stream_listener_free(&worker->listeners[i]);
	worker->listener_count = 0;
	stream_pool_free(&worker->pool);
	for (size_t i = 0; i < worker->datagram_count; i++)
		datagram_listener_free(&worker->datagrams[i]);
	worker->datagram_count = 0;
	for (size_t i = 0; i < worker->relay_count; i++)
		relay_flush(worker->relays[i]);
	grace_end(worker->bridge->grace, worker->thread);
}

void
worker_free(struct worker **slot)
{
	struct worker *worker = *slot;
	if (!worker)
		return;
	worker_close(worker);
	datagram_buffers_free(&worker->buffers);
	ingest_set_relays(worker->ingest, NULL, 0);
	for (size_t i = 0; i < worker->relay_count; i++)
		relay_free(&worker->relays[i]);
	ev_loop_destroy(worker->loop);
	free(worker->listeners);
	free(worker->datagrams);
	free(worker->relays);
	free(worker);
	*slot = NULL;
}

const struct net_counters *
worker_counters(const struct worker *worker, enum net_transport transport)
{
	return &worker->sink.counters[transport];
}

size_t
worker_relay_count(const struct worker *worker)
{
	return worker->relay_count;
}

const struct relay_counters *
worker_relay_counters(const struct worker *worker, size_t relay)
{
	return relay_get_counters(worker->relays[relay]);
}

uint64_t
worker_wake_ups(const struct worker *worker)
{
	return atomic_load_explicit(&worker->wake_ups, memory_order_relaxed);
}

int64_t
worker_delay_us(const struct worker *worker)
{
	return atomic_load_explicit(&worker->delay_us, memory_order_relaxed);
}

bool
worker_is_alive(const struct worker *worker)
{
	return atomic_load(&worker->is_alive);
}
