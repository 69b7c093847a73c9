/*
 * bench - measures the bridge against its targets and prints one table.
 *
 *	bench [--rows=T1,T5] [--peer="SERVER FLAGS"] BINARY
 *
 * The traffic: bench/population. Unless a row says otherwise, lines are for 10,000 series by Zipf's law.
 *
 * Sender and server have a CPU each, where there are two; the server has one ingest thread. Time is CPU
 * time of the server's process as the kernel accounts it, to the nanosecond, not time on the wall. What is
 * compared is measured in turns, A B A B, and medians are compared. A packet counts when it arrived: those
 * that the kernel dropped for want of room are taken off. Where the sender could not send as much as it
 * should, or not as much as the server takes, a line below the table says so.
 *
 * Rows in memory (memory_rows.c, rules_rows.c) call the push path on packets that are first copied from
 * 128 MiB of them into 64 receive buffers, as the kernel would do.
 *
 *	PB	the bound: nanoseconds a line of 1432-byte packets; measured again in turns with each row
 *		that is compared with it
 *	T6	PB by the same copy and a memchr() for each line; how much of both is the copy is printed
 *	T7	a million series, all equally likely, all known before, by PB
 *	T8	all known spellings are void before each batch, by PB
 *	T9	each of two threads of one bridge alone, by both at once; the worse of counters and histograms
 *	T15	births of a million counters in an empty bridge
 *	GLOB, REGEX	a line with a name that was never seen, until its series is counted in, where a thousand
 *		rules could be meant: half of them differ in the first component of the name
 *	RULES	as PB, with each of these files and with none
 *
 * Rows with sockets (receive_rows.c): "null receiver" is the same program that discards what it receives,
 * "without coalescing" one that never lets datagrams gather.
 *
 *	T1, T2	sendmmsg() of eight one-line datagrams at a time, 300,000 a second; T1b 100,000
 *	T3	user time by PB without its copy, which in a server is the kernel's: all CPU time but the null
 *		receiver's system time for as many packets. Ticks split only that one, of which hardly any is
 *		user time, so that their error is small
 *	T4, CPU	datagrams of 1432 bytes as fast as plain sends go; T4b 100,000 a second
 *	T5	as fast as the sender can: segments of one large send (UDP GSO) of 8192 bytes each, which lines
 *		fill to the byte without padding; T5b one TCP connection
 *	T10	1432-byte segments, first as fast as the sender can for what arrives of them, then 90 % and, if any
 *		was dropped, 80 % of that for 30 s; a million series scraped every 5 s
 *
 * Rows of scrapes and memory (scrape_rows.c):
 *
 *	T11	a scrape of a million counters over HTTP, by CB: the copying of the same text, line by line, into a
 *		ring of 64 KiB buffers
 *	T12	the same with gzip, by the one without
 *	T14	RssAnon more than at rest, after births and one scrape, at four counts on the way to a million
 *	IDLE	RssAnon with mappings/example/mapping.yml and default threads
 *
 * Stalls (stall_rows.c): the sender has the server's own UDP sockets, sends 5 datagrams each 50 us and
 * looks how much is queued before and after. T13 is the longest time in which something was queued and
 * none was taken: median of rounds, with a scrape of a million series, reloads, and the expiry of a million
 * series, the worst of them less what it is when nothing goes on. With two threads (T13b) the server may
 * use both CPUs. The sender runs as soon as it wakes up (SCHED_FIFO), and the server before all other
 * processes (niceness); time in which one of those had the server's CPU all the same is taken off, as far as
 * the kernel's account of its threads' waiting and running shows it. What the births of a million series
 * make it is printed, and no bound.
 *
 * Another server (peer_rows.c) gets the same traffic on the same CPU: T16 as fast as the sender can with
 * plain sends; lines count that the server says it has seen. T18 is CPU of a scrape of 100,000 counters.
 */
#include "bench.h"

#include "population.h"
#include "table.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "statsd/scan.h"

#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void
bench_pin(unsigned cpu)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		give_up("sched_setaffinity");
}

void
bench_start(const struct bench *bench, struct server *server, const char *flag)
{
	const char *flags[] = {"--threads=1", flag, NULL};
	server_start(server, &(struct server_plan){
				 .binary = bench->binary,
				 .mapping = bench->mapping,
				 .flags = flags,
				 .is_pinned = true,
				 .cpu = bench->server_cpu,
			     });
}

void
bench_stop(struct server *server)
{
	if (!server_stop(server))
		give_up("the server did not end with 0");
}

static void
find_cpus(struct bench *bench)
{
	cpu_set_t set;
	if (sched_getaffinity(0, sizeof(set), &set))
		give_up("sched_getaffinity");
	unsigned found[2] = {0};
	for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &set) && bench->cpus++ < 2)
			found[bench->cpus - 1] = cpu;
	bench->sender_cpu = found[0];
	bench->server_cpu = bench->cpus > 1 ? found[1] : found[0];
	if (bench->cpus < 2)
		table_note("There is one CPU: sender and server share it, so that figures of "
			   "sockets say little.");
}

static void
read_arguments(struct bench *bench, int argc, char **argv)
{
	static const struct option options[] = {
	    {"rows", required_argument, NULL, 'r'},
	    {"peer", required_argument, NULL, 'p'},
	    {0},
	};
	int option;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'r')
			table_select(optarg);
		else if (option == 'p')
			bench->peer = optarg;
		else
			exit(2);
	}
	if (optind + 1 != argc) {
		fprintf(stderr, "usage: bench [--rows=T1,T5] [--peer=\"SERVER FLAGS\"] BINARY\n");
		exit(2);
	}
	bench->binary = argv[optind];
}

int
main(int argc, char **argv)
{
	struct bench bench = {.directory = "/tmp/bench-XXXXXX"};
	read_arguments(&bench, argc, argv);
	find_cpus(&bench);
	alloc_init();
	hash_init();
	CHECK(scan_select("auto"));
	if (!mkdtemp(bench.directory))
		give_up(bench.directory);
	snprintf(bench.mapping, sizeof(bench.mapping), "%s/mapping.yml", bench.directory);
	population_write_mapping(bench.mapping, "");
	bench_pin(bench.server_cpu);
	bench_memory(&bench);
	bench_rules(&bench);
	bench_pin(bench.sender_cpu);
	bench_receive(&bench);
	bench_scrape(&bench);
	bench_stalls(&bench);
	bench_peer(&bench);
	bench_memory_end(&bench);
	table_print();
	unlink(bench.mapping);
	rmdir(bench.directory);
	return 0;
}
