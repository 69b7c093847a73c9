#include "bench.h"

#include "base/clock.h"
#include "load.h"
#include "samples.h"
#include "table.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS 3
#define MANY 1000000
#define SENDERS 4 /* source ports, so that several of the server's sockets get something */
#define SOCKETS_MAX 8
#define PERIOD_US 50 /* between two looks at the queues */
#define PACKETS 5    /* of one line, in each period: 100,000 a second */
#define BIRTHS_SIZE 200 /* of packets, two lines mostly: 200,000 births a second */
#define QUIET_US 2000000
#define TTL_S 2
#define EXPIRY_MAX_S 20 /* until a million series have ended */
#define THREADS_MAX 9

/* ---- The server's own sockets and threads, seen from here. ---- */

struct queue {
	int fd; /* owned */
	uint32_t bytes;
	int64_t moved_us;  /* when it was last seen empty or shrinking */
	int64_t others_us; /* see others_us(), at that time */
};

struct watcher {
	struct queue queues[SOCKETS_MAX];
	unsigned count;
	int threads[THREADS_MAX]; /* the kernel's accounts of them, the control thread's first; owned */
	unsigned thread_count;
	struct load loads[SENDERS];
};

/* The kernel lists threads in the order they were made; without such accounts there are none. */
static void
open_threads(struct watcher *watcher, const struct server *server)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/task", (int)server->pid);
	DIR *directory = opendir(path);
	if (!directory)
		give_up(path);
	for (struct dirent *entry; (entry = readdir(directory));) {
		char name[sizeof(entry->d_name) + sizeof("/schedstat")];
		snprintf(name, sizeof(name), "%s/schedstat", entry->d_name);
		int fd = *entry->d_name == '.' || watcher->thread_count == THREADS_MAX
			     ? -1
			     : openat(dirfd(directory), name, O_RDONLY | O_CLOEXEC);
		if (fd >= 0)
			watcher->threads[watcher->thread_count++] = fd;
	}
	closedir(directory);
}

/*
 * How long the thread of a queue has ever waited for a CPU, less all that the server's other threads ran
 * meanwhile or at other times. What this grows by was certainly taken by other processes.
 */
static int64_t
others_us(const struct watcher *watcher, const struct queue *queue)
{
	unsigned own = (unsigned)(queue - watcher->queues) + 1;
	int64_t sum_ns = 0;
	for (unsigned i = 0; i < watcher->thread_count; i++) {
		char text[128];
		long long ran_ns, waited_ns;
		ssize_t len = pread(watcher->threads[i], text, sizeof(text) - 1, 0);
		text[len > 0 ? len : 0] = '\0';
		if (sscanf(text, "%lld %lld", &ran_ns, &waited_ns) == 2)
			sum_ns += i == own ? waited_ns : -ran_ns;
	}
	return sum_ns / 1000;
}

static bool
is_statsd_socket(int fd, uint16_t port)
{
	int type = 0;
	socklen_t type_len = sizeof(type);
	struct sockaddr_in address = {0};
	socklen_t len = sizeof(address);
	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_len) == 0 && type == SOCK_DGRAM &&
	       getsockname(fd, (struct sockaddr *)&address, &len) == 0 &&
	       address.sin_family == AF_INET && ntohs(address.sin_port) == port;
}

/* @return false when the kernel does not let us have another process's sockets */
static bool
watcher_open(struct watcher *watcher, const struct server *server, const struct packets *packets)
{
	char path[64];
	*watcher = (struct watcher){0};
	snprintf(path, sizeof(path), "/proc/%d/fd", (int)server->pid);
	int pidfd = (int)syscall(SYS_pidfd_open, server->pid, 0);
	DIR *directory = opendir(path);
	if (pidfd < 0 || !directory)
		give_up(path);
	for (struct dirent *entry; (entry = readdir(directory));) {
		int fd = (int)syscall(SYS_pidfd_getfd, pidfd, atoi(entry->d_name), 0);
		if (fd >= 0 && watcher->count < SOCKETS_MAX && is_statsd_socket(fd, server->udp))
			watcher->queues[watcher->count++].fd = fd;
		else if (fd >= 0)
			close(fd);
	}
	closedir(directory);
	close(pidfd);
	open_threads(watcher, server);
	for (int i = 0; i < SENDERS; i++)
		load_open(&watcher->loads[i], LOAD_DATAGRAMS, packets, server);
	return watcher->count > 0;
}

static void
watcher_close(struct watcher *watcher)
{
	for (unsigned i = 0; i < watcher->count; i++)
		close(watcher->queues[i].fd);
	for (unsigned i = 0; i < watcher->thread_count; i++)
		close(watcher->threads[i]);
	for (int i = 0; i < SENDERS; i++)
		load_close(&watcher->loads[i]);
}

static uint32_t
queued_bytes(const struct queue *queue)
{
	uint32_t info[SK_MEMINFO_VARS] = {0};
	socklen_t len = sizeof(info);
	if (getsockopt(queue->fd, SOL_SOCKET, SO_MEMINFO, info, &len))
		give_up("SO_MEMINFO");
	return info[SK_MEMINFO_RMEM_ALLOC];
}

/* ---- Watching for stalls. ---- */

static void
start_clock(const struct watcher *watcher, struct queue *queue)
{
	queue->moved_us = clock_mono().us;
	queue->others_us = others_us(watcher, queue);
}

/* Ends the time in which the server took nothing from a queue. @return how long it was, in microseconds */
static int64_t
end_stall(const struct watcher *watcher, struct queue *queue)
{
	struct queue before = *queue;
	start_clock(watcher, queue);
	int64_t others = queue->others_us - before.others_us;
	return queue->moved_us - before.moved_us - (others > 0 ? others : 0);
}

static int64_t
longer(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* @return the longest stall that has ended since the last look, in microseconds */
static int64_t
look(struct watcher *watcher)
{
	int64_t longest_us = 0;
	for (unsigned i = 0; i < watcher->count; i++) {
		struct queue *queue = &watcher->queues[i];
		uint32_t bytes = queued_bytes(queue);
		bool has_moved = !bytes || bytes < queue->bytes;
		queue->bytes = bytes;
		longest_us = longer(longest_us, has_moved ? end_stall(watcher, queue) : 0);
	}
	return longest_us;
}

/*
 * Sends steadily, and looks at the queues before and after each few packets: where less is queued than at
 * the look before, the server has taken some. Time in which this thread itself did not run is nobody's
 * stall, and neither is time in which other processes had the server's CPU.
 *
 * @return the longest time in which a queue had something and nothing was taken, in milliseconds
 */
static double
watch(struct watcher *watcher, int64_t duration_us, const _Atomic bool *is_over)
{
	int64_t start_us = clock_mono().us, last_us = start_us, longest_us = 0;
	for (unsigned i = 0; i < watcher->count; i++)
		start_clock(watcher, &watcher->queues[i]);
	for (unsigned turn = 0; last_us - start_us < duration_us && !(is_over && *is_over);
	     turn++) {
		int64_t now_us = clock_mono().us;
		int64_t missed_us = now_us - last_us - 4 * PERIOD_US;
		for (unsigned i = 0; missed_us > 0 && i < watcher->count; i++)
			watcher->queues[i].moved_us += missed_us;
		last_us = now_us;
		longest_us = longer(longest_us, look(watcher));
		load_send(&watcher->loads[turn % SENDERS], PACKETS);
		longest_us = longer(longest_us, look(watcher));
		nanosleep(&(struct timespec){.tv_nsec = PERIOD_US * 1000}, NULL);
	}
	for (unsigned i = 0; i < watcher->count; i++)
		longest_us = longer(longest_us, end_stall(watcher, &watcher->queues[i]));
	return (double)longest_us / 1e3;
}

/* ---- What goes on meanwhile. ---- */

enum event { QUIET, SCRAPE, RELOAD, EXPIRY, EVENTS };

struct doer {
	pthread_t thread;
	const struct server *server;
	enum event event;
	_Atomic bool is_over;
};

static void *
do_event(void *ctx)
{
	struct doer *doer = ctx;
	struct body_sink sink = {0};
	if (doer->event == SCRAPE &&
	    server_request(doer->server, "GET", "/metrics", "", &sink) != 200)
		give_up("no scrape");
	for (int i = 0; doer->event == RELOAD && i < 10; i++) {
		if (!server_reload(doer->server))
			give_up("no reload");
		nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
	}
	doer->is_over = true;
	return NULL;
}

static uint64_t
count_series(const struct server *server)
{
	struct buf own = BUF_INIT;
	if (!server_scrape(server, &own))
		give_up("no scrape");
	uint64_t count = own_metric(&own, "series");
	buf_fini(&own);
	return count;
}

/* Until all have ended but the few that get samples meanwhile. */
static double
watch_expiry(struct watcher *watcher, const struct server *server)
{
	double longest = watch(watcher, (TTL_S + 1) * 1000000, NULL);
	for (int s = TTL_S + 1; count_series(server) > MANY / 10; s++) {
		if (s > EXPIRY_MAX_S)
			give_up("the series did not end");
		double more = watch(watcher, 1000000, NULL);
		longest = more > longest ? more : longest;
	}
	return longest;
}

static double
watch_event(struct watcher *watcher, const struct server *server, enum event event)
{
	if (event == QUIET)
		return watch(watcher, QUIET_US, NULL);
	if (event == EXPIRY)
		return watch_expiry(watcher, server);
	struct doer doer = {.server = server, .event = event};
	if (pthread_create(&doer.thread, NULL, do_event, &doer))
		give_up("pthread_create");
	double longest = watch(watcher, 20000000, &doer.is_over);
	pthread_join(doer.thread, NULL);
	return longest;
}

/* Each sender has a part of the series, and goes on with the next one's until all have sent theirs. */
static double
watch_births(struct watcher *watcher, const struct packets *births)
{
	size_t part = births->count / SENDERS;
	double longest = 0;
	for (size_t i = 0; i < SENDERS; i++)
		watcher->loads[i].next = i * part;
	while (watcher->loads[0].next < part) {
		double more = watch(watcher, 1000000, NULL);
		longest = more > longest ? more : longest;
	}
	return longest;
}

/* ---- T13 ---- */

/* Milliseconds. */
struct stalls {
	struct samples of[EVENTS];
	double births; /* once, since they make what the events need */
};

static void
start_server(const struct bench *bench, struct server *server, unsigned threads,
	     const char *mapping)
{
	char flag[32];
	const char *flags[] = {flag, NULL};
	snprintf(flag, sizeof(flag), "--threads=%u", threads);
	server_start(server, &(struct server_plan){
				 .binary = bench->binary,
				 .mapping = mapping,
				 .flags = flags,
				 .is_pinned = threads == 1,
				 .is_urgent = true,
				 .cpu = bench->server_cpu,
			     });
}

/* @return false when it cannot be measured here */
static bool
measure_living(const struct bench *bench, unsigned threads, const struct packets *births,
	       const struct packets *packets, struct stalls *stalls)
{
	struct server server;
	struct watcher watcher;
	start_server(bench, &server, threads, bench->mapping);
	if (watcher_open(&watcher, &server, births))
		stalls->births = watch_births(&watcher, births);
	watcher_close(&watcher);
	load_once(&server, births); /* for datagrams that got lost */
	bool is_open = watcher_open(&watcher, &server, packets);
	for (int round = 0; is_open && round < ROUNDS; round++)
		for (int event = QUIET; event <= RELOAD; event++)
			samples_add(&stalls->of[event],
				    watch_event(&watcher, &server, (enum event)event));
	watcher_close(&watcher);
	bench_stop(&server);
	return is_open;
}

static void
measure_dying(const struct bench *bench, unsigned threads, const struct packets *births,
	      const struct packets *packets, struct stalls *stalls)
{
	char mapping[128], more[32];
	struct server server;
	struct watcher watcher;
	snprintf(mapping, sizeof(mapping), "%s/dying.yml", bench->directory);
	snprintf(more, sizeof(more), "  ttl: %us\n", TTL_S);
	population_write_mapping(mapping, more);
	start_server(bench, &server, threads, mapping);
	unlink(mapping);
	watcher_open(&watcher, &server, packets);
	for (int round = 0; round < ROUNDS; round++) {
		load_once(&server, births);
		samples_add(&stalls->of[EXPIRY], watch_event(&watcher, &server, EXPIRY));
	}
	watcher_close(&watcher);
	bench_stop(&server);
}

static void
measure_stalls(const struct bench *bench, const char *row, unsigned threads,
	       const struct packets *births, const struct packets *packets)
{
	struct stalls stalls = {0};
	if (!measure_living(bench, threads, births, packets, &stalls)) {
		table_note("%s: the server's sockets cannot be had.", row);
		return;
	}
	measure_dying(bench, threads, births, packets, &stalls);
	double longest[EVENTS], worst = 0;
	for (int event = 0; event < EVENTS; event++) {
		longest[event] = samples_median(stalls.of[event]);
		double more = longest[event] - longest[QUIET];
		worst = more > worst ? more : worst;
	}
	table_set(row, worst,
		  "longer than when quiet: %.2f ms; scrape %.2f, reload %.2f, expiry %.2f; births %.2f",
		  longest[QUIET], longest[SCRAPE], longest[RELOAD], longest[EXPIRY],
		  stalls.births);
}

/* The watcher must not wait for its CPU; where that is refused it may miss some time. */
static void
set_urgent(bool is_urgent)
{
	struct sched_param parameter = {.sched_priority = is_urgent ? 1 : 0};
	if (sched_setscheduler(0, (is_urgent ? SCHED_FIFO : SCHED_OTHER) | SCHED_RESET_ON_FORK,
			       &parameter) &&
	    is_urgent)
		table_note("T13: the watcher has no priority (%m).");
	prctl(PR_SET_TIMERSLACK, is_urgent ? 1L : 0L);
}

void
bench_stalls(struct bench *bench)
{
	if (!table_wants("T13,T13b"))
		return;
	struct population *many = population_new(MANY, POPULATION_COUNTERS);
	struct packets *births = packets_once(many, 0, MANY, BIRTHS_SIZE);
	struct packets *packets =
	    packets_new(many, &(struct packets_plan){.choice = POPULATION_ZIPF, .total = 1u << 20});
	set_urgent(true);
	if (table_wants("T13"))
		measure_stalls(bench, "T13", 1, births, packets);
	if (table_wants("T13b"))
		measure_stalls(bench, "T13b", 2, births, packets);
	set_urgent(false);
	packets_free(&births);
	packets_free(&packets);
	population_free(&many);
}
