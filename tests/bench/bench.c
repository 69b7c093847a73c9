/*
 * bench - measures the bridge against its targets and prints one table.
 *
 *	bench [--rows=T1,T5] [--peer="SERVER FLAGS"] BINARY
 */
#include "bench.h"

#include "population.h"

#include "table.h"

#include "base/hash.h"

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
	hash_init();
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
	table_print();
	unlink(bench.mapping);
	rmdir(bench.directory);
	return 0;
}
