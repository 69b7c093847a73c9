#include "bench.h"

#include "base/alloc.h"
#include "replay.h"
#include "samples.h"
#include "server.h"
#include "table.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#define ROUNDS 15           /* many and short: what drifts hits all alike */
#define CORPUS (128u << 20) /* bytes: several times what the caches hold */
#define FEW 10000           /* population */
#define MANY 1000000
#define COLD_LINE_NS 15 /* of memory, where others are on their way, too */
#define LINES 1000000   /* of one measurement */

/* A replay with its traffic, all population of which are known. */
struct stage {
	struct population *population;
	struct packets *packets;
	struct replay *replay;
};

static void
stage_init(struct stage *stage, const char *mapping, unsigned threads,
	   struct population *population, enum population_choice choice)
{
	stage->population = population;
	stage->packets = packets_new(
	    population,
	    &(struct packets_plan){.choice = choice, .size = 1432, .total = CORPUS, .seed = 1});
	stage->replay = replay_new(mapping, threads);
	struct packets *births = packets_once(population, 0, population_count(population), 1432);
	replay_once(stage->replay, births);
	packets_free(&births);
	for (unsigned thread = 0; thread < threads; thread++)
		replay_run(stage->replay, thread, stage->packets, REPLAY_INGEST,
			   stage->packets->total_lines);
}

static void
stage_fini(struct stage *stage)
{
	replay_free(&stage->replay);
	packets_free(&stage->packets);
	population_free(&stage->population);
}

static double
stage_run(struct stage *stage, enum replay_work work, uint64_t lines)
{
	return replay_run(stage->replay, 0, stage->packets, work, lines);
}

/* ---- PB, T6, T7, T8 ---- */

static struct stage *
hot_stage(struct bench *bench)
{
	if (!bench->hot) {
		bench->hot = xcalloc(1, sizeof(*bench->hot));
		stage_init(bench->hot, bench->mapping, 1, population_new(FEW, POPULATION_MIXED),
			   POPULATION_ZIPF);
		const struct packets *packets = bench->hot->packets;
		table_note("Lines of %.1f bytes on average, %.1f of them in 1432 bytes.",
			   packets_mean_line(packets),
			   (double)packets->total_lines / (double)packets->count);
	}
	return bench->hot;
}

static double
run_on_server_cpu(struct bench *bench, enum replay_work work)
{
	cpu_set_t set;
	struct stage *hot = hot_stage(bench);
	if (sched_getaffinity(0, sizeof(set), &set))
		give_up("sched_getaffinity");
	bench_pin(bench->server_cpu);
	double ns = stage_run(hot, work, LINES / 2);
	if (sched_setaffinity(0, sizeof(set), &set))
		give_up("sched_setaffinity");
	return ns;
}

double
bench_parse_bound(struct bench *bench)
{
	return run_on_server_cpu(bench, REPLAY_INGEST);
}

double
bench_copy(struct bench *bench)
{
	return run_on_server_cpu(bench, REPLAY_COPY);
}

void
bench_memory_end(struct bench *bench)
{
	if (!bench->hot)
		return;
	stage_fini(bench->hot);
	free(bench->hot);
	bench->hot = NULL;
}

static void
measure_bounds(struct bench *bench)
{
	struct stage *few = hot_stage(bench), many = {0};
	bool wants_many = table_wants("T7");
	if (wants_many)
		stage_init(&many, bench->mapping, 1, population_new(MANY, POPULATION_MIXED),
			   POPULATION_UNIFORM);
	struct samples scan = {0}, known = {0}, uniform = {0}, unknown = {0};
	struct samples by_scan = {0}, by_known = {0}, copy = {0};
	for (int round = 0; round < ROUNDS; round++) {
		/* PB is of a hot table, and T8 leaves one of which nothing is known. */
		stage_run(few, REPLAY_INGEST, few->packets->total_lines / 4);
		double scan_ns = stage_run(few, REPLAY_SCAN, LINES);
		double known_ns = bench_parse_bound(bench);
		samples_add(&copy, bench_copy(bench));
		samples_add(&scan, scan_ns);
		samples_add(&known, known_ns);
		samples_add(&by_scan, known_ns / scan_ns);
		if (wants_many) {
			double uniform_ns = stage_run(&many, REPLAY_INGEST, LINES);
			samples_add(&uniform, uniform_ns);
			samples_add(&by_known, uniform_ns / known_ns);
		}
		if (table_wants("T8"))
			samples_add(&unknown, stage_run(few, REPLAY_FORGET, LINES / 4));
	}
	double bound = samples_median(known), memory_bound = bound + 2 * COLD_LINE_NS;
	if (table_wants("T6"))
		table_set("T6", samples_median(by_scan),
			  "%.1f / %.1f ns a line, the copy of %.1f in both", bound,
			  samples_median(scan), samples_median(copy));
	if (wants_many)
		table_set("T7", samples_median(by_known),
			  "%.1f / %.1f ns a line; two cold cache lines make %.2fx",
			  samples_median(uniform), bound, memory_bound / bound);
	if (table_wants("T8"))
		table_set("T8", samples_median(unknown) / bound, "%.1f / %.1f ns a line",
			  samples_median(unknown), bound);
	if (wants_many)
		stage_fini(&many);
}

/* ---- T9 ---- */

struct racer {
	pthread_t thread;
	pthread_barrier_t *start;
	struct stage *stage;
	unsigned index, cpu;
	double ns; /* a line */
};

static void *
race(void *ctx)
{
	struct racer *racer = ctx;
	bench_pin(racer->cpu);
	pthread_barrier_wait(racer->start);
	racer->ns = replay_run(racer->stage->replay, racer->index, racer->stage->packets,
			       REPLAY_INGEST, LINES);
	return NULL;
}

/* @return nanoseconds a line, of the racers `from` to `to` - 1 while they run, on average */
static double
run_racers(const struct bench *bench, struct stage *stage, unsigned from, unsigned to)
{
	struct racer racers[2];
	pthread_barrier_t start;
	pthread_barrier_init(&start, NULL, to - from);
	for (unsigned i = from; i < to; i++) {
		racers[i] = (struct racer){
		    .start = &start,
		    .stage = stage,
		    .index = i,
		    .cpu = i ? bench->sender_cpu : bench->server_cpu,
		};
		if (pthread_create(&racers[i].thread, NULL, race, &racers[i]))
			give_up("pthread_create");
	}
	double sum = 0;
	for (unsigned i = from; i < to; i++) {
		pthread_join(racers[i].thread, NULL);
		sum += racers[i].ns;
	}
	pthread_barrier_destroy(&start);
	return sum / (to - from);
}

/* Each thread alone on its CPU, then both: CPUs may differ from one moment to the next. */
static double
measure_threads_with(struct bench *bench, enum population_mix mix)
{
	struct stage stage;
	struct samples gains = {0};
	stage_init(&stage, bench->mapping, 2, population_new(FEW, mix), POPULATION_ZIPF);
	for (int round = 0; round < ROUNDS; round++) {
		double alone = run_racers(bench, &stage, 0, 1) + run_racers(bench, &stage, 1, 2);
		samples_add(&gains, alone / run_racers(bench, &stage, 0, 2));
	}
	stage_fini(&stage);
	return samples_median(gains);
}

static void
measure_threads(struct bench *bench)
{
	if (bench->cpus < 2) {
		table_note("T9 needs two CPUs.");
		return;
	}
	double counters = measure_threads_with(bench, POPULATION_COUNTERS);
	double histograms = measure_threads_with(bench, POPULATION_HISTOGRAMS);
	table_set("T9", counters < histograms ? counters : histograms,
		  "counters %.2fx, histograms %.2fx", counters, histograms);
}

/* ---- T15 ---- */

#define FURTHER_SAMPLES 4000
#define FURTHER_TAGS 250

/* @return nanoseconds a sample of one line with many tags, each sample with a rate of its own */
static double
measure_samples_of_a_line(const struct bench *bench)
{
	struct samples ns = {0};
	struct buf line = BUF_INIT;
	buf_add_text(&line, "tagged");
	for (int i = 0; i < FURTHER_TAGS; i++)
		buf_printf(&line, ",tag%d=value", i);
	for (int i = 1; i <= FURTHER_SAMPLES; i++)
		buf_printf(&line, ":1|c|@0.%04d", i);
	buf_add_byte(&line, '\n');
	struct packets *packets = packets_of_lines(buf_span(&line), line.len);
	for (int round = 0; round < 5; round++) {
		struct replay *replay = replay_new(bench->mapping, 1);
		samples_add(&ns, replay_once(replay, packets) / FURTHER_SAMPLES);
		replay_free(&replay);
	}
	packets_free(&packets);
	buf_fini(&line);
	return samples_median(ns);
}

static void
measure_births(struct bench *bench)
{
	struct samples ns = {0};
	struct population *population = population_new(MANY, POPULATION_COUNTERS);
	struct packets *births = packets_once(population, 0, MANY, 1432);
	for (int round = 0; round < 5; round++) {
		struct replay *replay = replay_new(bench->mapping, 1);
		samples_add(&ns, replay_once(replay, births));
		if (replay_series(replay) != MANY)
			give_up("not every series was born");
		replay_free(&replay);
	}
	packets_free(&births);
	population_free(&population);
	table_set("T15", 1e3 / samples_median(ns),
		  "%.0f ns a series; %.0f ns a new spelling among the samples of a line of %d tags",
		  samples_median(ns), measure_samples_of_a_line(bench), FURTHER_TAGS);
}

/* ---- All of them. ---- */

void
bench_memory(struct bench *bench)
{
	if (table_wants("T6,T7,T8"))
		measure_bounds(bench);
	if (table_wants("T9"))
		measure_threads(bench);
	if (table_wants("T15"))
		measure_births(bench);
}
