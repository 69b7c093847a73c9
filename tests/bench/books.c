/*
 * books - sends mixed traffic to a real bridge over every transport, and checks its accounts.
 *
 *	books [--series=N] [--scrape-every=S] [--hostile=N] [--secure] [--patient] [--seed=N]
 *	      [--transport=udp] BINARY MAPPING RATE SECONDS
 *
 * RATE is lines a second, or "80%" of what the bridge takes when it gets more than that: found
 * first, with this traffic. --series makes as many series more, before; each is a line that counts.
 * --hostile has as many HTTP clients do harm meanwhile; then no scrape may take a second. With
 * --secure HTTP needs TLS and a password. With --patient neither time nor memory is judged, for
 * machines that do other things as well.
 *
 * While two threads send, the bridge is scraped every S seconds and its rules are reloaded every
 * second. When the traffic has come to rest, every line that was sent must have been counted, as
 *what it was; both identities of its own metrics must hold; the kernel must have dropped nothing;
 *and it must hold no more memory than it did early on. Exits with 1 when one of these is not so, 2
 *when it could not run.
 */
#include "hostile.h"
#include "lines.h"
#include "load.h"
#include "server.h"

#include "base/clock.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define SENDERS 2
#define SOCKETS 4         /* of each sender: as many agents */
#define PAYLOADS 2048     /* different ones of each sender */
#define PAYLOAD_SIZE 1432 /* bytes: what fits into an Ethernet frame, as agents send */
#define BATCH 16          /* payloads in one system call */
#define SETTLED_S 10      /* memory is compared with what it was after this long */
#define MEMORY_SLACK_KIB 2048
#define REST_PATIENCE_S 10
#define HOSTILE_MAX 20000
#define SCRAPE_MAX_US 1000000 /* among hostile clients */
#define FLOOD 20e6            /* lines a second: more than can be sent */
#define PROBE_S 2
#define PROBES 5 /* rates tried above what a flood leaves */

enum transport { UDP, UNIXGRAM, TCP, TRANSPORTS };
static const char *const transport_names[TRANSPORTS] = {"udp", "unixgram", "tcp"};

struct sender {
	pthread_t thread;
	enum transport transport;
	int sockets[SOCKETS]; /* owned */
	struct traffic *traffic;
	double lines_per_us;
	int64_t end_us;
	struct line_counts sent;
	uint64_t payloads_sent;
};

static int
open_socket(const struct server *server, enum transport transport)
{
	struct sockaddr_in inet = {
	    .sin_family = AF_INET,
	    .sin_port = htons(transport == UDP ? server->udp : server->tcp),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	struct sockaddr_un unix_address = {.sun_family = AF_UNIX};
	snprintf(unix_address.sun_path, sizeof(unix_address.sun_path), "%s", server->unixgram);

	bool is_unix = transport == UNIXGRAM;
	int fd =
	    socket(is_unix ? AF_UNIX : AF_INET, transport == TCP ? SOCK_STREAM : SOCK_DGRAM, 0);
	struct sockaddr *address =
	    is_unix ? (struct sockaddr *)&unix_address : (struct sockaddr *)&inet;
	socklen_t len = is_unix ? sizeof(unix_address) : sizeof(inet);
	if (fd < 0 || connect(fd, address, len) < 0)
		give_up(transport_names[transport]);
	return fd;
}

/** Sends `count` payloads from `first` on. */
static void
send_datagrams(int fd, const struct traffic *traffic, uint64_t first, unsigned count)
{
	struct mmsghdr messages[BATCH] = {0};
	struct iovec pieces[BATCH];
	for (unsigned i = 0; i < count; i++) {
		const struct payload *payload = &traffic->payloads[(first + i) % traffic->count];
		pieces[i] = (struct iovec){payload->bytes, payload->len};
		messages[i].msg_hdr.msg_iov = &pieces[i];
		messages[i].msg_hdr.msg_iovlen = 1;
	}
	for (unsigned done = 0; done < count;) {
		int sent = sendmmsg(fd, messages + done, count - done, 0);
		if (sent < 0 && errno != EINTR)
			give_up("sendmmsg");
		done += sent > 0 ? (unsigned)sent : 0;
	}
}

static void
send_stream(int fd, const struct traffic *traffic, uint64_t first, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		const struct payload *payload = &traffic->payloads[(first + i) % traffic->count];
		for (size_t done = 0; done < payload->len + 1;) {
			ssize_t sent =
			    send(fd, payload->bytes + done, payload->len + 1 - done, MSG_NOSIGNAL);
			if (sent < 0 && errno != EINTR)
				give_up("send");
			done += sent > 0 ? (size_t)sent : 0;
		}
	}
}

/** Sends at the wanted rate; what cannot be kept up with is not made up for in a burst. */
static void *
sender_run(void *ctx)
{
	struct sender *sender = ctx;
	const struct traffic *traffic = sender->traffic;
	uint64_t next = 0;
	int64_t last_us = clock_mono().us;
	double due = 0;
	for (int64_t now = last_us; now < sender->end_us; now = clock_mono().us) {
		due += (double)(now - last_us) * sender->lines_per_us;
		last_us = now;
		if (due > 20000 * sender->lines_per_us)
			due = 20000 * sender->lines_per_us; /* 20 ms worth */
		while (due > 0) {
			unsigned count = 0;
			for (; count < BATCH && due > 0; count++) {
				const struct line_counts *lines =
				    &traffic->payloads[(next + count) % traffic->count].lines;
				due -= (double)line_counts_total(lines);
				line_counts_add(&sender->sent, lines);
			}
			int fd = sender->sockets[next / BATCH % SOCKETS];
			if (sender->transport == TCP)
				send_stream(fd, traffic, next, count);
			else
				send_datagrams(fd, traffic, next, count);
			next += count;
			sender->payloads_sent = next;
		}
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	}
	for (int i = 0; i < SOCKETS; i++)
		close(sender->sockets[i]);
	return NULL;
}

/* What was seen from outside while traffic ran. */
struct watch {
	unsigned scrapes, reloads, failures;
	int64_t slowest_us;
	int64_t early_kib; /* memory after SETTLED_S, or halfway through a shorter run */
};

struct plan {
	const char *binary, *mapping;
	double lines_per_second; /* or, when is_share, the share of saturation */
	bool is_share;
	unsigned seconds;
	unsigned scrape_every; /* seconds */
	size_t series;         /* made before, by one line each */
	unsigned hostile;      /* HTTP clients */
	bool is_secure;
	bool is_patient;
	int only; /* one transport; TRANSPORTS = all */
	uint64_t seed;
};

/* @return whether the answer was good; a failure is told */
static bool
watch_request(const struct server *server, struct watch *watch, const char *method,
	      const char *path)
{
	struct body_sink sink = {0};
	int64_t start_us = clock_mono().us;
	unsigned status = server_request(server, method, path, "", &sink);
	if (status == 200)
		return true;
	int reason = errno;
	watch->failures++;
	printf("  %s %s failed after %" PRId64 " ms: ", method, path,
	       (clock_mono().us - start_us) / 1000);
	if (sink.failure)
		printf("%s: %s\n", sink.failure,
		       reason ? strerror(reason) : "the connection ended");
	else
		printf("status %u\n", status);
	return false;
}

static void
watch_scrape(const struct server *server, struct watch *watch)
{
	int64_t start_us = clock_mono().us;
	watch->scrapes += watch_request(server, watch, "GET", "/metrics");
	int64_t took_us = clock_mono().us - start_us;
	if (took_us > watch->slowest_us)
		watch->slowest_us = took_us;
}

static void
watch_reload(const struct server *server, struct watch *watch)
{
	watch->reloads += watch_request(server, watch, "POST", "/-/reload");
}

static void
watch_traffic(const struct server *server, struct watch *watch, const struct plan *plan)
{
	unsigned settled = plan->seconds > SETTLED_S ? SETTLED_S : (plan->seconds + 1) / 2;
	int64_t start_us = clock_mono().us;
	for (unsigned second = 1; second <= plan->seconds; second++) {
		int64_t wait_us = start_us + second * INT64_C(1000000) - clock_mono().us;
		if (wait_us > 0)
			nanosleep(&(struct timespec){wait_us / 1000000, wait_us % 1000000 * 1000},
				  NULL);
		if (second % plan->scrape_every == 0)
			watch_scrape(server, watch);
		watch_reload(server, watch);
		if (second == settled)
			watch->early_kib = server_memory_kib(server);
	}
}

/** Scrapes until all lines are counted, or counting has stopped. */
static void
await_rest(const struct server *server, uint64_t lines, struct buf *text)
{
	uint64_t last = 0;
	int64_t moved_us = clock_mono().us;
	for (;;) {
		if (!server_scrape(server, text))
			give_up("no scrape after the traffic");
		uint64_t counted = own_metric(text, "lines_total");
		int64_t now_us = clock_mono().us;
		if (counted != last)
			moved_us = now_us;
		last = counted;
		if (counted >= lines || now_us - moved_us > REST_PATIENCE_S * INT64_C(1000000))
			return;
		nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
	}
}

static bool
check_equal(const char *what, uint64_t got, uint64_t want)
{
	printf("  %-26s %12" PRIu64 "%s", what, got, got == want ? "\n" : "");
	if (got != want)
		printf("   WRONG, should be %" PRIu64 "\n", want);
	return got == want;
}

static bool
check_books(const struct buf *text, const struct line_counts *sent, const struct watch *watch)
{
	static const char *const fates[LINE_FATES] = {
	    [LINE_WITH_SAMPLES] = "lines_with_samples_total",
	    [LINE_EMPTY] = "lines_empty_total",
	    [LINE_REFUSED] = "lines_refused_total",
	    [LINE_EVENT] = "lines_event_total",
	    [LINE_CHECK] = "lines_check_total",
	};
	bool ok =
	    check_equal("lines_total", own_metric(text, "lines_total"), line_counts_total(sent));
	for (int fate = 0; fate < LINE_FATES; fate++)
		ok &= check_equal(fates[fate], own_metric(text, fates[fate]), sent->of[fate]);
	uint64_t applied = own_metric(text, "samples_applied_total");
	uint64_t dropped = own_metric(text, "samples_dropped_total");
	printf("  %-26s %12" PRIu64 "\n  %-26s %12" PRIu64 "\n", "samples_applied_total", applied,
	       "samples_dropped_total", dropped);
	ok &= check_equal("samples_total", own_metric(text, "samples_total"), applied + dropped);
	ok &= check_equal("udp_packet_drops_total", own_metric(text, "udp_packet_drops_total"), 0);
	ok &= check_equal("config_reloads_total", own_metric(text, "config_reloads_total"),
			  watch->reloads);
	return ok;
}

/** A datagram is received or dropped by the kernel. Streams have none. */
static bool
check_packets(const struct buf *text, enum transport transport, uint64_t sent)
{
	if (transport == TCP)
		return true;
	uint64_t received =
	    own_metric(text, transport == UDP ? "udp_packets_total" : "unixgram_packets_total");
	return check_equal("packets or drops",
			   received + own_metric(text, "udp_packet_drops_total"), sent);
}

static bool
check_watch(const struct server *server, const struct watch *watch, const struct plan *plan)
{
	bool ok = check_equal("failed requests", watch->failures, 0);
	bool is_slow = plan->hostile && watch->slowest_us > SCRAPE_MAX_US;
	printf("  %-26s %12u   slowest %.1f ms%s\n", "scrapes", watch->scrapes,
	       (double)watch->slowest_us / 1000, is_slow ? "   WRONG, too slow" : "");
	int64_t late_kib = server_memory_kib(server);
	bool grown = late_kib > watch->early_kib + MEMORY_SLACK_KIB;
	printf("  %-26s %12" PRId64 "   early, then %" PRId64 "%s\n", "RssAnon KiB",
	       watch->early_kib, late_kib, grown ? "   WRONG, it grows" : "");
	return ok && (plan->is_patient || (!is_slow && !grown));
}

static void
start_senders(struct sender *senders, const struct server *server, const struct plan *plan,
	      enum transport transport)
{
	for (int i = 0; i < SENDERS; i++) {
		senders[i].transport = transport;
		senders[i].traffic = traffic_new(plan->seed + (uint64_t)i, PAYLOADS, PAYLOAD_SIZE);
		senders[i].lines_per_us = plan->lines_per_second / SENDERS / 1e6;
		for (int j = 0; j < SOCKETS; j++)
			senders[i].sockets[j] = open_socket(server, transport);
	}
	int64_t end_us = clock_mono().us + plan->seconds * INT64_C(1000000);
	for (int i = 0; i < SENDERS; i++) {
		senders[i].end_us = end_us;
		if (pthread_create(&senders[i].thread, NULL, sender_run, &senders[i]))
			give_up("pthread_create");
	}
}

static void
start_bridge(struct server *server, const struct plan *plan)
{
	server_start(server, &(struct server_plan){.binary = plan->binary,
						   .mapping = plan->mapping,
						   .is_secure = plan->is_secure});
}

/** Waits for the senders. @return packets they have sent; @sent gets the lines in them */
static uint64_t
join_senders(struct sender *senders, struct line_counts *sent)
{
	uint64_t payloads = 0;
	for (int i = 0; i < SENDERS; i++) {
		pthread_join(senders[i].thread, NULL);
		line_counts_add(sent, &senders[i].sent);
		payloads += senders[i].payloads_sent;
		traffic_free(&senders[i].traffic);
	}
	return payloads;
}

/* ---- A rate that is a share of what the bridge can take. ---- */

/** Sends to a bridge of its own for a while. @return lines a second that arrived; @lost packets */
static double
probe(const struct plan *plan, enum transport transport, double rate, uint64_t *lost)
{
	struct plan trial = *plan;
	struct server server;
	struct sender senders[SENDERS] = {0};
	struct line_counts sent = {0};
	struct buf own = BUF_INIT;
	trial.lines_per_second = rate;
	trial.seconds = PROBE_S;
	start_bridge(&server, plan);
	int64_t start_us = clock_mono().us;
	start_senders(senders, &server, &trial, transport);
	join_senders(senders, &sent);
	double seconds = (double)(clock_mono().us - start_us) / 1e6;
	server_await_rest(&server, REST_SHORT_MS);
	if (!server_scrape(&server, &own))
		give_up("no scrape after a probe");
	*lost = own_metric(&own, "udp_packet_drops_total");
	double lines = (double)own_metric(&own, "lines_total");
	buf_fini(&own);
	if (!server_stop(&server))
		give_up("the bridge did not end with 0");
	return lines / seconds;
}

/** A flood takes the CPU that the bridge needs: so what it leaves is where the search begins. */
static double
find_saturation(const struct plan *plan, enum transport transport)
{
	uint64_t lost;
	double best = probe(plan, transport, FLOOD, &lost);
	if (!lost) {
		printf("%s: a flood lost nothing: shares are of the %.0f lines/s that it reached\n",
		       transport_names[transport], best);
		return best;
	}
	for (int i = 0; i < PROBES; i++) {
		double rate = best * 1.2;
		if (probe(plan, transport, rate, &lost) < 0.97 * rate || lost)
			break;
		best = rate;
	}
	return best;
}

/** Makes the series that are only there to be scraped. */
static void
make_series(const struct server *server, size_t count, struct line_counts *sent)
{
	if (!count)
		return;
	struct population *population = population_new(count, POPULATION_COUNTERS);
	struct packets *births = packets_once(population, 0, count, PAYLOAD_SIZE);
	load_once(server, births);
	sent->of[LINE_WITH_SAMPLES] += births->total_lines;
	packets_free(&births);
	population_free(&population);
}

static bool
run_transport(const struct plan *wish, enum transport transport)
{
	struct plan plan = *wish;
	struct server server;
	struct watch watch = {0};
	struct line_counts sent = {0}, before = {0};
	struct sender senders[SENDERS] = {0};
	if (plan.is_share)
		plan.lines_per_second *= find_saturation(&plan, transport);
	start_bridge(&server, &plan);
	make_series(&server, plan.series, &before);
	int64_t start_us = clock_mono().us;
	struct hostile *hostile = plan.hostile ? hostile_start(&server, plan.hostile) : NULL;
	start_senders(senders, &server, &plan, transport);
	watch_traffic(&server, &watch, &plan);
	uint64_t payloads = join_senders(senders, &sent);
	double seconds = (double)(clock_mono().us - start_us) / 1e6;
	printf("%s: %.0f of %.0f lines/s for %u s, %zu series before\n", transport_names[transport],
	       (double)line_counts_total(&sent) / seconds, plan.lines_per_second, plan.seconds,
	       plan.series);
	line_counts_add(&sent, &before);
	if (hostile)
		printf("  %-26s %12u   %" PRIu64 " connections\n", "hostile clients", plan.hostile,
		       hostile_stop(&hostile));

	struct buf text = BUF_INIT;
	await_rest(&server, line_counts_total(&sent), &text);
	bool ok = check_books(&text, &sent, &watch);
	ok &= check_packets(&text, transport, payloads);
	ok &= check_watch(&server, &watch, &plan);
	buf_fini(&text);
	bool clean = server_stop(&server);
	if (!clean)
		printf("  WRONG: did not exit with 0\n");
	printf("  %s\n", ok && clean ? "ok" : "FAILED");
	fflush(stdout);
	return ok && clean;
}

static _Noreturn void
refuse(const char *why)
{
	fprintf(stderr,
		"books: %s\nusage: books [--series=N] [--scrape-every=S] [--hostile=N] [--secure] "
		"[--patient] "
		"[--seed=N] [--transport=udp] BINARY MAPPING RATE SECONDS\n",
		why);
	exit(2);
}

static int
find_transport(const char *name)
{
	int transport = 0;
	while (transport < TRANSPORTS && strcmp(name, transport_names[transport]) != 0)
		transport++;
	if (transport == TRANSPORTS)
		refuse("no such transport");
	return transport;
}

static void
read_options(struct plan *plan, int argc, char **argv)
{
	static const struct option options[] = {
	    {"series", required_argument, NULL, 'n'},
	    {"scrape-every", required_argument, NULL, 'e'},
	    {"hostile", required_argument, NULL, 'h'},
	    {"secure", no_argument, NULL, 't'},
	    {"patient", no_argument, NULL, 'p'},
	    {"seed", required_argument, NULL, 's'},
	    {"transport", required_argument, NULL, 'o'},
	    {0},
	};
	int option;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'n')
			plan->series = strtoul(optarg, NULL, 10);
		else if (option == 'e')
			plan->scrape_every = (unsigned)strtoul(optarg, NULL, 10);
		else if (option == 'h')
			plan->hostile = (unsigned)strtoul(optarg, NULL, 10);
		else if (option == 't')
			plan->is_secure = true;
		else if (option == 'p')
			plan->is_patient = true;
		else if (option == 'o')
			plan->only = find_transport(optarg);
		else if (option == 's')
			plan->seed = strtoull(optarg, NULL, 10);
		else
			refuse("no such option");
	}
	if (plan->scrape_every == 0 || plan->series > POPULATION_MAX || plan->hostile > HOSTILE_MAX)
		refuse("a scrape every second at most, and not so many series or clients");
}

int
main(int argc, char **argv)
{
	struct plan plan = {.scrape_every = 1, .seed = 1, .only = TRANSPORTS};
	read_options(&plan, argc, argv);
	if (optind + 4 != argc)
		refuse("four arguments");
	plan.binary = argv[optind];
	plan.mapping = argv[optind + 1];
	char *unit;
	plan.lines_per_second = strtod(argv[optind + 2], &unit);
	plan.is_share = *unit == '%';
	if (plan.is_share)
		plan.lines_per_second /= 100;
	plan.seconds = (unsigned)strtoul(argv[optind + 3], NULL, 10);
	if (plan.lines_per_second <= 0 || plan.seconds == 0)
		refuse("rate and seconds must be above 0");
	bool ok = true;
	for (int transport = 0; transport < TRANSPORTS; transport++)
		if (plan.only == TRANSPORTS || plan.only == transport)
			ok &= run_transport(&plan, (enum transport)transport);
	return ok ? 0 : 1;
}
