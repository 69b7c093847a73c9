/*
 * books - sends mixed traffic to a real bridge over every transport, and checks its accounts.
 *
 *	books BINARY MAPPING LINES_PER_SECOND SECONDS [SEED]
 *
 * While two threads send, the bridge is scraped and its rules are reloaded once a second. When the
 * traffic has come to rest, every line that was sent must have been counted, as what it was; both
 * identities of its own metrics must hold; the kernel must have dropped nothing; and it must hold
 *no more memory than it did early on. Exits with 1 when one of these is not so, 2 when it could not
 *run.
 */
#include "lines.h"
#include "server.h"

#include "base/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
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

static void
watch_second(const struct server *server, struct watch *watch)
{
	struct buf body = BUF_INIT;
	int64_t start_us = clock_mono().us;
	if (server_scrape(server, &body))
		watch->scrapes++;
	else
		watch->failures++;
	int64_t took_us = clock_mono().us - start_us;
	if (took_us > watch->slowest_us)
		watch->slowest_us = took_us;
	if (server_reload(server))
		watch->reloads++;
	else
		watch->failures++;
	buf_fini(&body);
}

static void
watch_traffic(const struct server *server, struct watch *watch, unsigned seconds)
{
	unsigned settled = seconds > SETTLED_S ? SETTLED_S : (seconds + 1) / 2;
	int64_t start_us = clock_mono().us;
	for (unsigned second = 1; second <= seconds; second++) {
		int64_t wait_us = start_us + second * INT64_C(1000000) - clock_mono().us;
		if (wait_us > 0)
			nanosleep(&(struct timespec){wait_us / 1000000, wait_us % 1000000 * 1000},
				  NULL);
		watch_second(server, watch);
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
check_watch(const struct server *server, const struct watch *watch)
{
	bool ok = check_equal("failed requests", watch->failures, 0);
	printf("  %-26s %12u   slowest %.1f ms\n", "scrapes", watch->scrapes,
	       (double)watch->slowest_us / 1000);
	int64_t late_kib = server_memory_kib(server);
	bool grown = late_kib > watch->early_kib + MEMORY_SLACK_KIB;
	printf("  %-26s %12" PRId64 "   early, then %" PRId64 "%s\n", "RssAnon KiB",
	       watch->early_kib, late_kib, grown ? "   WRONG, it grows" : "");
	return ok && !grown;
}

struct plan {
	const char *binary, *mapping;
	double lines_per_second;
	unsigned seconds;
	uint64_t seed;
};

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

static bool
run_transport(const struct plan *plan, enum transport transport)
{
	struct server server;
	struct watch watch = {0};
	struct line_counts sent = {0};
	uint64_t payloads = 0;
	struct sender senders[SENDERS] = {0};
	server_start(&server,
		     &(struct server_plan){.binary = plan->binary, .mapping = plan->mapping});
	int64_t start_us = clock_mono().us;
	start_senders(senders, &server, plan, transport);
	watch_traffic(&server, &watch, plan->seconds);
	for (int i = 0; i < SENDERS; i++) {
		pthread_join(senders[i].thread, NULL);
		line_counts_add(&sent, &senders[i].sent);
		payloads += senders[i].payloads_sent;
		traffic_free(&senders[i].traffic);
	}
	double seconds = (double)(clock_mono().us - start_us) / 1e6;
	printf("%s: %.0f lines/s for %u s\n", transport_names[transport],
	       (double)line_counts_total(&sent) / seconds, plan->seconds);

	struct buf text = BUF_INIT;
	await_rest(&server, line_counts_total(&sent), &text);
	bool ok = check_books(&text, &sent, &watch);
	ok &= check_packets(&text, transport, payloads);
	ok &= check_watch(&server, &watch);
	buf_fini(&text);
	bool clean = server_stop(&server);
	if (!clean)
		printf("  WRONG: did not exit with 0\n");
	printf("  %s\n", ok && clean ? "ok" : "FAILED");
	fflush(stdout);
	return ok && clean;
}

int
main(int argc, char **argv)
{
	if (argc < 5) {
		fprintf(stderr, "usage: books BINARY MAPPING LINES_PER_SECOND SECONDS [SEED]\n");
		return 2;
	}
	struct plan plan = {
	    .binary = argv[1],
	    .mapping = argv[2],
	    .lines_per_second = strtod(argv[3], NULL),
	    .seconds = (unsigned)strtoul(argv[4], NULL, 10),
	    .seed = argc > 5 ? strtoull(argv[5], NULL, 10) : 1,
	};
	if (plan.lines_per_second <= 0 || plan.seconds == 0) {
		fprintf(stderr, "books: rate and seconds must be above 0\n");
		return 2;
	}
	bool ok = true;
	for (int transport = 0; transport < TRANSPORTS; transport++)
		ok &= run_transport(&plan, (enum transport)transport);
	return ok ? 0 : 1;
}
