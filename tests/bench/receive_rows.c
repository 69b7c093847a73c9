#include "bench.h"

#include "base/alloc.h"
#include "load.h"
#include "samples.h"
#include "table.h"

#include <pthread.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS 7
#define ROUND_S 0.5
#define SERIES 10000
#define CORPUS (16u << 20) /* bytes */
/* Datagrams a second at which wake-ups dominate. */
#define SPARSE_RATE 100000

/* The same binary in three ways; all run at once, and those that get nothing sleep. */
enum way { NORMAL, NULL_RECEIVER, NO_DELAY, WAYS };

struct crew {
	struct population *population;
	struct server servers[WAYS];
};

static const char *const way_flags[WAYS] = {
    [NULL_RECEIVER] = "--debug.null-receiver",
    [NO_DELAY] = "--statsd.max-wake-up-delay=0s",
};

static void
crew_init(const struct bench *bench, struct crew *crew)
{
	crew->population = population_new(SERIES, POPULATION_MIXED);
	struct packets *births = packets_once(crew->population, 0, SERIES, 1432);
	for (int way = 0; way < WAYS; way++) {
		bench_start(bench, &crew->servers[way], way_flags[way]);
		load_once(&crew->servers[way], births);
	}
	packets_free(&births);
}

static void
crew_fini(struct crew *crew)
{
	for (int way = 0; way < WAYS; way++)
		bench_stop(&crew->servers[way]);
	population_free(&crew->population);
}

static struct packets *
crew_packets(const struct crew *crew, size_t size, bool is_exact)
{
	return packets_new(crew->population, &(struct packets_plan){
						 .choice = POPULATION_ZIPF,
						 .size = size,
						 .is_exact = is_exact,
						 .total = CORPUS,
						 .seed = size,
					     });
}

/* What one way costs, of several rounds. */
struct costs {
	struct samples packet_ns, line_ns, user_share, busy, rate, drops;
	/* PB and its copy in the same rounds, when they are of interest. */
	struct samples bound_ns, copy_ns;
};

static void
measure_round(const struct crew *crew, enum way way, enum load_way send,
	      const struct packets *packets, double rate, struct costs *costs)
{
	struct load load;
	struct load_cost cost;
	load_open(&load, send, packets, &crew->servers[way]);
	load_measure(&load, &crew->servers[way], rate, ROUND_S, &cost);
	load_close(&load);
	samples_add(&costs->packet_ns, cost.cpu_ns / cost.packets);
	samples_add(&costs->line_ns, cost.cpu_ns / cost.lines);
	samples_add(&costs->user_share, cost.user_share);
	samples_add(&costs->busy, cost.busy);
	samples_add(&costs->rate, (double)cost.sent.packets / cost.sent.seconds);
	samples_add(&costs->drops, (double)cost.drops);
}

/*
 * @bench NULL = PB is of no interest
 * @ways  as many of them as are of interest, from the first on
 */
static void
measure_ways(struct bench *bench, const struct crew *crew, int ways, enum load_way send,
	     const struct packets *packets, double rate, struct costs *costs)
{
	for (int round = 0; round < ROUNDS; round++) {
		for (int way = 0; way < ways; way++)
			measure_round(crew, (enum way)way, send, packets, rate, &costs[way]);
		if (!bench)
			continue;
		samples_add(&costs[NORMAL].bound_ns, bench_parse_bound(bench));
		samples_add(&costs[NORMAL].copy_ns, bench_copy(bench));
	}
}

/* At a rate that is given all ways are to be compared, so each has to keep up with it. */
static void
note_rate(const char *rows, const struct costs *costs, int ways, double wanted)
{
	for (int way = 0; way < ways; way++) {
		const char *flag = way_flags[way] ? way_flags[way] : "no flag";
		double rate = samples_median(costs[way].rate);
		double drops = samples_median(costs[way].drops);
		if (rate < 0.97 * wanted)
			table_note("%s: with %s the sender was the limit, at %.0f packets/s.", rows,
				   flag, rate);
		if (drops)
			table_note("%s: with %s the kernel dropped %.0f packets of a round, which "
				   "costs the server CPU time for nothing.",
				   rows, flag, drops);
	}
}

/* Without a rate as much is sent as can be. */
static void
note_limit(const char *rows, const struct costs *costs)
{
	double rate = samples_median(costs->rate), drops = samples_median(costs->drops);
	double busy = samples_median(costs->busy);
	if (busy >= 0.95)
		return;
	if (drops)
		table_note("%s: packets were dropped, but the server was on a CPU for %.0f %% of "
			   "the time only.",
			   rows, 100 * busy);
	else
		table_note("%s: the sender was the limit, at %.0f packets/s; the server was busy "
			   "for %.0f %% of the time.",
			   rows, rate, 100 * busy);
}

/* ---- T1, T2: one line a datagram. ---- */

static void
measure_single(const struct crew *crew)
{
	struct packets *packets = crew_packets(crew, 0, false);
	struct costs fast[WAYS] = {0}, slow[WAYS] = {0};
	measure_ways(NULL, crew, WAYS, LOAD_DATAGRAMS, packets, 300000, fast);
	double normal = samples_median(fast[NORMAL].packet_ns);
	double null = samples_median(fast[NULL_RECEIVER].packet_ns);
	double eager = samples_median(fast[NO_DELAY].packet_ns);
	table_set("T1", normal / null, "%.0f / %.0f ns a packet", normal, null);
	table_set("T2", normal / eager, "%.0f / %.0f ns a packet", normal, eager);
	note_rate("T1, T2", fast, WAYS, 300000);
	measure_ways(NULL, crew, NULL_RECEIVER + 1, LOAD_DATAGRAMS, packets, SPARSE_RATE, slow);
	note_rate("T1b", slow, NULL_RECEIVER + 1, SPARSE_RATE);
	normal = samples_median(slow[NORMAL].packet_ns);
	null = samples_median(slow[NULL_RECEIVER].packet_ns);
	table_set("T1b", normal / null, "%.0f / %.0f ns a packet", normal, null);
	packets_free(&packets);
}

/* ---- T3, T4, CPU: 1432 bytes. ---- */

/*
 * The kernel splits time into user and system only by what it sees at its ticks. Of a null receiver
 * hardly any is user time, so that an error there weighs little: the rest of its time is taken for
 * what the kernel needs, and all else of the server's for user time.
 */
static void
measure_packed(struct bench *bench, const struct crew *crew)
{
	struct packets *packets = crew_packets(crew, 1432, false);
	struct costs costs[WAYS] = {0}, sparse[WAYS] = {0};
	measure_ways(bench, crew, NULL_RECEIVER + 1, LOAD_DATAGRAMS, packets, 0, costs);
	/* In a server the kernel copies. */
	double bound =
	    samples_median(costs[NORMAL].bound_ns) - samples_median(costs[NORMAL].copy_ns);
	double normal = samples_median(costs[NORMAL].packet_ns);
	double null = samples_median(costs[NULL_RECEIVER].packet_ns);
	double line = samples_median(costs[NORMAL].line_ns);
	double kernel = null * (1 - samples_median(costs[NULL_RECEIVER].user_share));
	double user = line * (normal - kernel) / normal;
	table_set("T3", user / bound, "%.1f / %.1f ns a line; by ticks %.1f ns", user, bound,
		  line * samples_median(costs[NORMAL].user_share));
	table_set("T4", null / normal, "%.0f / %.0f ns a packet", null, normal);
	table_set("CPU", line, "%.2f M lines/s with %.0f %% of one CPU",
		  samples_median(costs[NORMAL].rate) * normal / line / 1e6,
		  100 * samples_median(costs[NORMAL].busy));
	note_limit("T3, T4, CPU", &costs[NORMAL]);
	measure_ways(NULL, crew, NULL_RECEIVER + 1, LOAD_DATAGRAMS, packets, SPARSE_RATE, sparse);
	note_rate("T4b", sparse, NULL_RECEIVER + 1, SPARSE_RATE);
	normal = samples_median(sparse[NORMAL].packet_ns);
	null = samples_median(sparse[NULL_RECEIVER].packet_ns);
	table_set("T4b", null / normal, "%.0f / %.0f ns a packet, %.0f ns a line", null, normal,
		  samples_median(sparse[NORMAL].line_ns));
	packets_free(&packets);
}

/* ---- T5: as much as it takes. ---- */

static void
measure_full(struct bench *bench, const struct crew *crew, const char *row, enum load_way send,
	     size_t size)
{
	struct packets *packets = crew_packets(crew, size, send == LOAD_SEGMENTS);
	struct costs costs[WAYS] = {0};
	measure_ways(bench, crew, NORMAL + 1, send, packets, 0, costs);
	double bound = samples_median(costs[NORMAL].bound_ns);
	double line = samples_median(costs[NORMAL].line_ns);
	table_set(row, bound / line, "%.2f M lines a CPU second; 1/PB is %.2f M", 1e3 / line,
		  1e3 / bound);
	note_limit(row, &costs[NORMAL]);
	packets_free(&packets);
}

/* ---- T10: no loss. ---- */

#define SCRAPED_SERIES 1000000
#define LOSS_S 30
#define SCRAPE_EVERY_S 5

struct scraper {
	pthread_t thread;
	const struct server *server;
	_Atomic bool is_over;
	unsigned scrapes;
};

static void *
scrape_now_and_then(void *ctx)
{
	struct scraper *scraper = ctx;
	for (unsigned tenths = 0; !scraper->is_over; tenths++) {
		struct body_sink sink = {0};
		if (tenths % (SCRAPE_EVERY_S * 10) == 0) {
			if (server_request(scraper->server, "GET", "/metrics", "", &sink) != 200)
				give_up("no scrape under load");
			scraper->scrapes++;
		}
		nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
	}
	return NULL;
}

/* @return packets that a server takes in a second of its CPU while it gets more than that */
static double
find_saturation(const struct server *server, const struct packets *packets)
{
	struct load load;
	struct samples rates = {0};
	double sent = 0;
	bool is_sender_bound = true;
	load_open(&load, LOAD_SEGMENTS, packets, server);
	for (int round = 0; round < 3; round++) {
		struct load_cost cost;
		load_measure(&load, server, 0, 1, &cost);
		/* By CPU time: what is queued at the end is worked on after the last was sent. */
		samples_add(&rates, cost.packets / cost.cpu_ns * 1e9);
		is_sender_bound &= !cost.drops && cost.busy < 0.95;
		sent = (double)cost.sent.packets / cost.sent.seconds;
	}
	load_close(&load);
	if (!is_sender_bound)
		return samples_median(rates);
	table_note("T10: the sender was the limit, at %.0f packets/s: shares are of that.", sent);
	return sent;
}

/* @return packets that were lost */
static uint64_t
count_losses(const struct server *server, const struct packets *packets, double rate)
{
	struct load load;
	struct load_cost cost;
	struct scraper scraper = {.server = server};
	load_open(&load, LOAD_SEGMENTS, packets, server);
	if (pthread_create(&scraper.thread, NULL, scrape_now_and_then, &scraper))
		give_up("pthread_create");
	load_measure(&load, server, rate, LOSS_S, &cost);
	scraper.is_over = true;
	pthread_join(scraper.thread, NULL);
	load_close(&load);
	double got = (double)cost.sent.packets / cost.sent.seconds;
	if (got < 0.97 * rate)
		table_note("T10: the sender was the limit, at %.0f of %.0f packets/s.", got, rate);
	return cost.drops;
}

static void
measure_losses(const struct bench *bench)
{
	struct server server;
	struct population *population = population_new(SCRAPED_SERIES, POPULATION_COUNTERS);
	struct packets *births = packets_once(population, 0, SCRAPED_SERIES, 1432);
	struct packets *packets = packets_new(
	    population, &(struct packets_plan){POPULATION_ZIPF, 1432, true, CORPUS / 2, 1});
	bench_start(bench, &server, NULL);
	load_once(&server, births);
	packets_free(&births);
	double rate = find_saturation(&server, packets);
	unsigned share = 90;
	uint64_t at_90 = count_losses(&server, packets, 0.9 * rate), lost = at_90;
	if (lost) {
		share = 80;
		lost = count_losses(&server, packets, 0.8 * rate);
	}
	table_set("T10", lost ? 0 : share,
		  "of %.0f packets/s (%.2f M lines/s); lost at 90 %%: %llu, at %u %%: %llu", rate,
		  rate * (double)packets->total_lines / (double)packets->count / 1e6,
		  (unsigned long long)at_90, share, (unsigned long long)lost);
	bench_stop(&server);
	packets_free(&packets);
	population_free(&population);
}

void
bench_receive(struct bench *bench)
{
	if (table_wants("T1,T1b,T2,T3,T4,T4b,CPU,T5,T5b")) {
		struct crew crew;
		crew_init(bench, &crew);
		if (table_wants("T1,T1b,T2"))
			measure_single(&crew);
		if (table_wants("T3,T4,T4b,CPU"))
			measure_packed(bench, &crew);
		if (table_wants("T5"))
			measure_full(bench, &crew, "T5", LOAD_SEGMENTS, 8192);
		if (table_wants("T5,T5b"))
			measure_full(bench, &crew, "T5b", LOAD_STREAM, 1432);
		crew_fini(&crew);
	}
	if (table_wants("T10"))
		measure_losses(bench);
}
