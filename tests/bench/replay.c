#include "replay.h"

#include "app/ingest.h"
#include "base/alloc.h"
#include "net/datagram.h"
#include "server.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BATCH 64
#define THREADS_MAX 2
#define SLOT_SIZE ((DATAGRAM_MAX + 63) / 64 * 64)

struct player {
	char (*slots)[SLOT_SIZE]; /* owned; BATCH of them */
	size_t next;              /* packet of its corpus */
	uint64_t newlines;        /* seen by REPLAY_SCAN: so that finding them is not for nothing */
};

struct replay {
	struct bridge *bridge;
	char *path; /* owned */
	const char *mapping[1];
	unsigned threads;
	struct player players[THREADS_MAX];
};

struct replay *
replay_new(const char *mapping, unsigned threads)
{
	CHECK(threads <= THREADS_MAX);
	struct replay *replay = xcalloc(1, sizeof(*replay));
	struct diag diag = DIAG_INIT;
	replay->mapping[0] = replay->path = xstrdup(mapping);
	replay->threads = threads;
	replay->bridge = bridge_new(
	    &(struct bridge_settings){
		.threads = threads,
		.max_series = 2000000,
		.statsd = {true, true, true, true, .container_id_label = true},
		.prefix = "statsbridge",
		.mapping_files = replay->mapping,
		.mapping_file_count = 1,
	    },
	    &diag);
	diag_fini(&diag);
	if (!replay->bridge)
		give_up(mapping);
	for (unsigned i = 0; i < threads; i++)
		replay->players[i].slots = xcalloc(BATCH, SLOT_SIZE);
	return replay;
}

void
replay_free(struct replay **replay)
{
	bridge_free(&(*replay)->bridge);
	for (unsigned i = 0; i < (*replay)->threads; i++)
		free((*replay)->players[i].slots);
	free((*replay)->path);
	free(*replay);
	*replay = NULL;
}

static void
scan(struct player *player, struct span payload)
{
	const char *newline;
	while ((newline = span_find(payload, '\n'))) {
		player->newlines++;
		payload = span_from(payload, (size_t)(newline + 1 - payload.ptr));
	}
}

static void
ingest_batch(struct replay *replay, unsigned thread, const struct span *payloads, unsigned count)
{
	struct ingest *ingest = replay->bridge->ingests[thread];
	grace_begin(replay->bridge->grace, thread);
	ingest_begin(ingest);
	for (unsigned i = 0; i < count; i++)
		ingest_payload(ingest, payloads[i]);
	ingest_flush(ingest);
	grace_end(replay->bridge->grace, thread);
}

/* @return lines of the batch */
static uint64_t
run_batch(struct replay *replay, unsigned thread, const struct packets *packets,
	  enum replay_work work, unsigned count)
{
	struct player *player = &replay->players[thread];
	struct span payloads[BATCH];
	uint64_t lines = 0;
	for (unsigned i = 0; i < count; i++) {
		struct span packet = packet_span(packets, player->next);
		memcpy(player->slots[i], packet.ptr, packet.len);
		payloads[i] = span_of(player->slots[i], packet.len);
		lines += packets->lines[player->next];
		if (++player->next == packets->count)
			player->next = 0;
	}
	if (work == REPLAY_COPY) {
		/* What was copied may be looked at, so that it has to be there. */
		__asm__ volatile("" ::"r"(player->slots) : "memory");
		return lines;
	}
	if (work == REPLAY_SCAN) {
		for (unsigned i = 0; i < count; i++)
			scan(player, payloads[i]);
		return lines;
	}
	if (work == REPLAY_FORGET)
		atomic_fetch_add(&replay->bridge->rules, 1);
	ingest_batch(replay, thread, payloads, count);
	return lines;
}

static double
thread_cpu_ns(void)
{
	struct timespec now;
	if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now))
		give_up("no clock of the thread");
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

double
replay_run(struct replay *replay, unsigned thread, const struct packets *packets,
	   enum replay_work work, uint64_t lines)
{
	replay->players[thread].next %= packets->count;
	uint64_t done = 0;
	double start = thread_cpu_ns();
	while (done < lines)
		done += run_batch(replay, thread, packets, work, BATCH);
	return (thread_cpu_ns() - start) / (double)done;
}

double
replay_once(struct replay *replay, const struct packets *packets)
{
	replay->players[0].next = 0;
	double start = thread_cpu_ns();
	for (size_t left = packets->count; left;) {
		unsigned count = left < BATCH ? (unsigned)left : BATCH;
		run_batch(replay, 0, packets, REPLAY_INGEST, count);
		left -= count;
	}
	return (thread_cpu_ns() - start) / (double)packets->total_lines;
}

uint64_t
replay_series(const struct replay *replay)
{
	return registry_series_count(replay->bridge->registry, METRIC_COUNTER) +
	       registry_series_count(replay->bridge->registry, METRIC_GAUGE) +
	       registry_series_count(replay->bridge->registry, METRIC_HISTOGRAM);
}
