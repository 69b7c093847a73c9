#include "bench.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "load.h"
#include "samples.h"
#include "table.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROUNDS 5
#define MANY 1000000

static const char gzip_header[] = "Accept-Encoding: gzip\r\n";

/* ---- CB: the bytes of a scrape, line by line, into a ring of buffers as they would be sent. ----
 */

#define RING 4
#define SLICE (64u << 10) /* bytes */

static void
keep(void *ctx, const char *bytes, size_t len)
{
	buf_add(ctx, bytes, len);
}

/* The ends of lines, found before anything is measured. */
struct lines {
	struct buf text;
	size_t *ends; /* owned */
	size_t count, capacity;
};

static void
lines_init(struct lines *lines, const struct server *server)
{
	*lines = (struct lines){.text = BUF_INIT};
	struct body_sink sink = {keep, &lines->text, 0};
	if (server_request(server, "GET", "/metrics", "", &sink) != 200)
		give_up("no scrape");
	for (const char *at = lines->text.ptr, *end = at + lines->text.len; at < end;) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		if (!newline)
			give_up("a scrape that ends within a line");
		at = newline + 1;
		lines->ends =
		    xgrow(lines->ends, lines->count, &lines->capacity, sizeof(*lines->ends));
		lines->ends[lines->count++] = (size_t)(at - lines->text.ptr);
	}
}

static void
lines_fini(struct lines *lines)
{
	buf_fini(&lines->text);
	free(lines->ends);
}

/* @return milliseconds of CPU */
static double
copy_lines(const struct lines *lines)
{
	static char ring[RING][SLICE];
	struct timespec before, after;
	size_t start = 0, used = 0;
	unsigned slot = 0;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
	for (size_t i = 0; i < lines->count; i++) {
		size_t len = lines->ends[i] - start;
		if (used + len > SLICE) {
			slot = (slot + 1) % RING;
			used = 0;
		}
		memcpy(ring[slot] + used, lines->text.ptr + start, len);
		used += len;
		start = lines->ends[i];
		/* Somebody might look at it. */
		__asm__ volatile("" : : "r"(ring) : "memory");
	}
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
	return (double)(after.tv_sec - before.tv_sec) * 1e3 +
	       (double)(after.tv_nsec - before.tv_nsec) / 1e6;
}

/* ---- T11, T12 ---- */

struct scrape_cost {
	struct samples cpu_ms, wall_ms;
	uint64_t user, ticks, bytes;
};

static void
measure_scrape(const struct server *server, const char *headers, struct scrape_cost *cost)
{
	struct body_sink sink = {0};
	struct server_ticks ticks = server_ticks(server);
	double cpu = server_cpu_ns(server);
	int64_t start_us = clock_mono().us;
	if (server_request(server, "GET", "/metrics", headers, &sink) != 200)
		give_up("no scrape");
	samples_add(&cost->wall_ms, (double)(clock_mono().us - start_us) / 1e3);
	server_await_rest(server, REST_SHORT_MS);
	samples_add(&cost->cpu_ms, (server_cpu_ns(server) - cpu) / 1e6);
	struct server_ticks after = server_ticks(server);
	cost->user += after.user - ticks.user;
	cost->ticks += after.user - ticks.user + after.system - ticks.system;
	cost->bytes = sink.bytes;
}

static void
report_scrapes(const struct samples *copies, const struct scrape_cost *plain,
	       const struct scrape_cost *packed)
{
	double bound = samples_median(*copies), cpu = samples_median(plain->cpu_ms);
	if (table_wants("T11"))
		table_set("T11", cpu / bound,
			  "%.0f / %.1f ms, %.0f %% of it user; wall %.0f ms; %.0f MB", cpu, bound,
			  plain->ticks ? 100.0 * (double)plain->user / (double)plain->ticks : 0,
			  samples_median(plain->wall_ms), (double)plain->bytes / 1e6);
#if __has_include(<isa-l/igzip_lib.h>) || __has_include(<isa-l.h>)
	table_retarget("T12", 5);
#endif
	if (table_wants("T12"))
		table_set("T12", samples_median(packed->cpu_ms) / cpu,
			  "%.0f / %.0f ms; wall %.0f ms; %.1f MB", samples_median(packed->cpu_ms),
			  cpu, samples_median(packed->wall_ms), (double)packed->bytes / 1e6);
}

static void
measure_scrapes(const struct bench *bench, const struct population *population)
{
	struct server server;
	struct lines lines;
	struct samples copies = {0};
	struct scrape_cost plain = {0}, packed = {0};
	struct packets *births = packets_once(population, 0, MANY, 1432);
	bench_start(bench, &server, NULL);
	load_once(&server, births);
	packets_free(&births);
	lines_init(&lines, &server);
	for (int round = 0; round < ROUNDS; round++) {
		samples_add(&copies, copy_lines(&lines));
		measure_scrape(&server, "", &plain);
		if (table_wants("T12"))
			measure_scrape(&server, gzip_header, &packed);
	}
	report_scrapes(&copies, &plain, &packed);
	lines_fini(&lines);
	bench_stop(&server);
}

/* ---- T14 ---- */

static void
scrape_once(const struct server *server)
{
	struct body_sink sink = {0};
	if (server_request(server, "GET", "/metrics", "", &sink) != 200)
		give_up("no scrape");
	server_await_rest(server, REST_SHORT_MS);
}

/* At counts that meet the tables in different states of being full. */
static void
measure_memory(const struct bench *bench, const struct population *population)
{
	static const size_t counts[] = {300000, 530000, 700000, MANY};
	double each[4], worst = 0;
	struct server server;
	bench_start(bench, &server, NULL);
	scrape_once(&server);
	int64_t empty_kib = server_memory_kib(&server);
	for (int i = 0; i < 4; i++) {
		struct packets *births =
		    packets_once(population, i ? counts[i - 1] : 0, counts[i], 1432);
		load_once(&server, births);
		packets_free(&births);
		scrape_once(&server);
		each[i] =
		    1024.0 * (double)(server_memory_kib(&server) - empty_kib) / (double)counts[i];
		worst = each[i] > worst ? each[i] : worst;
	}
	table_set("T14", worst, "%.0f, %.0f, %.0f, %.0f B at 300, 530, 700, 1000 thousand", each[0],
		  each[1], each[2], each[3]);
	bench_stop(&server);
}

/* ---- IDLE ---- */

static void
measure_idle(const struct bench *bench)
{
	struct server server;
	server_start(&server, &(struct server_plan){.binary = bench->binary,
						    .mapping = "mappings/example/mapping.yml"});
	double fresh = (double)server_memory_kib(&server) / 1024;
	scrape_once(&server);
	double scraped = (double)server_memory_kib(&server) / 1024;
	table_set("IDLE", scraped > fresh ? scraped : fresh, "%.1f MiB at start, %.1f scraped",
		  fresh, scraped);
	bench_stop(&server);
}

void
bench_scrape(struct bench *bench)
{
	if (table_wants("IDLE"))
		measure_idle(bench);
	if (!table_wants("T11,T12,T14"))
		return;
	struct population *population = population_new(MANY, POPULATION_COUNTERS);
	if (table_wants("T11,T12"))
		measure_scrapes(bench, population);
	if (table_wants("T14"))
		measure_memory(bench, population);
	population_free(&population);
}
