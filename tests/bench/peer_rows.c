#include "bench.h"

#include "load.h"
#include "samples.h"
#include "table.h"

#include <stdlib.h>
#include <string.h>

#define ROUNDS 5
#define SERIES 10000
#define SCRAPED 100000
#define CORPUS (8u << 20) /* bytes */
#define FLAGS_MAX 32

enum side { OURS, PEERS, SIDES };

struct match {
	struct server servers[SIDES];
	char *peer; /* owned; cut into words */
};

static void
start_peer(const struct bench *bench, struct match *match)
{
	const char *words[FLAGS_MAX + 1] = {0};
	size_t count = 0;
	match->peer = strdup(bench->peer);
	for (char *rest = match->peer, *word; (word = strsep(&rest, " "));)
		if (*word && count < FLAGS_MAX)
			words[count++] = word;
	if (!count)
		give_up("no peer given");
	server_start(&match->servers[PEERS], &(struct server_plan){
						 .binary = words[0],
						 .mapping = bench->mapping,
						 .flags = words + 1,
						 .is_peer = true,
						 .is_pinned = true,
						 .cpu = bench->server_cpu,
					     });
}

/* Lines that a server says it has seen: it may have lost some by itself. */
static double
count_lines(const struct server *server)
{
	struct buf own = BUF_INIT;
	if (!server_scrape(server, &own))
		give_up("no scrape");
	double lines = (double)own_metric(&own, "lines_total");
	buf_fini(&own);
	return lines;
}

/* ---- T16 ---- */

static double
measure_side(const struct server *server, enum load_way way, const struct packets *packets,
	     double rate)
{
	struct load load;
	struct load_cost cost;
	double lines = count_lines(server);
	server_await_rest(server, REST_SHORT_MS);
	load_open(&load, way, packets, server);
	load_measure(&load, server, rate, 0.7, &cost);
	load_close(&load);
	return cost.cpu_ns / (count_lines(server) - lines);
}

static void
measure_lines(const struct match *match, const char *row, enum load_way way, size_t size,
	      double rate, const struct population *population)
{
	struct samples ns[SIDES] = {0};
	struct packets *packets = packets_new(population, &(struct packets_plan){
							      .choice = POPULATION_ZIPF,
							      .size = size,
							      .total = CORPUS,
							  });
	for (int round = 0; round < ROUNDS; round++)
		for (int side = 0; side < SIDES; side++)
			samples_add(&ns[side],
				    measure_side(&match->servers[side], way, packets, rate));
	packets_free(&packets);
	double ours = samples_median(ns[OURS]), peers = samples_median(ns[PEERS]);
	table_set(row, peers / ours, "%.0f / %.0f ns a line", peers, ours);
}

/* ---- T18 ---- */

static double
scrape_ns(const struct server *server)
{
	struct body_sink sink = {0};
	double cpu = server_cpu_ns(server);
	if (server_request(server, "GET", "/metrics", "", &sink) != 200)
		give_up("no scrape");
	server_await_rest(server, REST_SHORT_MS);
	return server_cpu_ns(server) - cpu;
}

static void
measure_scrape(const struct match *match)
{
	struct samples ns[SIDES] = {0};
	double bytes[SIDES];
	struct population *population = population_new(SCRAPED, POPULATION_COUNTERS);
	struct packets *births = packets_once(population, 0, SCRAPED, 1432);
	for (int side = 0; side < SIDES; side++) {
		double before = (double)server_memory_kib(&match->servers[side]);
		load_once(&match->servers[side], births);
		scrape_ns(&match->servers[side]);
		bytes[side] =
		    ((double)server_memory_kib(&match->servers[side]) - before) * 1024 / SCRAPED;
	}
	for (int round = 0; round < ROUNDS; round++)
		for (int side = 0; side < SIDES; side++)
			samples_add(&ns[side], scrape_ns(&match->servers[side]) / SCRAPED);
	packets_free(&births);
	population_free(&population);
	double ours = samples_median(ns[OURS]), peers = samples_median(ns[PEERS]);
	if (table_wants("T18"))
		table_set("T18", peers / ours, "%.0f / %.0f ns a series, %d of them", peers, ours,
			  SCRAPED);
	if (table_wants("T18b"))
		table_set("T18b", bytes[PEERS] / bytes[OURS], "%.0f / %.0f B", bytes[PEERS],
			  bytes[OURS]);
}

static struct match
match_start(const struct bench *bench)
{
	struct match match;
	bench_start(bench, &match.servers[OURS], NULL);
	start_peer(bench, &match);
	return match;
}

static void
match_stop(struct match *match)
{
	bench_stop(&match->servers[OURS]);
	if (!server_stop(&match->servers[PEERS]))
		table_note("The peer did not end with 0.");
	free(match->peer);
}

void
bench_peer(struct bench *bench)
{
	if (!bench->peer)
		return;
	if (table_wants("T18,T18b")) {
		struct match match = match_start(bench);
		measure_scrape(&match);
		match_stop(&match);
	}
	if (!table_wants("T16,T16b,T16c"))
		return;
	struct match match = match_start(bench);
	struct population *population = population_new(SERIES, POPULATION_MIXED);
	struct packets *births = packets_once(population, 0, SERIES, 1432);
	for (int side = 0; side < SIDES; side++)
		load_once(&match.servers[side], births);
	packets_free(&births);
	if (table_wants("T16"))
		measure_lines(&match, "T16", LOAD_DATAGRAMS, 0, 0, population);
	if (table_wants("T16b"))
		measure_lines(&match, "T16b", LOAD_DATAGRAMS, 1432, 0, population);
	if (table_wants("T16c"))
		measure_lines(&match, "T16c", LOAD_STREAM, 1432, 0, population);
	population_free(&population);
	match_stop(&match);
}
