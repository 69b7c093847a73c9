#include "load.h"

#include "base/clock.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BATCH 8           /* datagrams in a system call */
#define SEGMENTS_MAX 64   /* the kernel's limit */
#define SEND_MAX 65507    /* bytes of all segments */
#define STREAM_PACKETS 45 /* packets in a system call: about 64 KiB of 1432 bytes */
#define BEHIND_MAX_S 0.02 /* what is further behind its rate is not made up for */

void
load_open(struct load *load, enum load_way way, const struct packets *packets,
	  const struct server *server)
{
	bool is_stream = way == LOAD_STREAM;
	*load = (struct load){.way = way, .packets = packets};
	load->fd = socket(AF_INET, is_stream ? SOCK_STREAM : SOCK_DGRAM, 0);
	struct sockaddr_in address = {
	    .sin_family = AF_INET,
	    .sin_port = htons(is_stream ? server->tcp : server->udp),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	if (load->fd < 0 || connect(load->fd, (struct sockaddr *)&address, sizeof(address)))
		give_up("cannot connect");
	int size = (int)packet_span(packets, 0).len;
	if (way == LOAD_SEGMENTS && setsockopt(load->fd, SOL_UDP, UDP_SEGMENT, &size, sizeof(size)))
		give_up("UDP_SEGMENT");
}

void
load_close(struct load *load)
{
	close(load->fd);
	load->fd = -1;
}

static void
advance(struct load *load, unsigned count, struct load_sent *sent)
{
	for (unsigned i = 0; i < count; i++) {
		sent->lines += load->packets->lines[load->next];
		if (++load->next == load->packets->count)
			load->next = 0;
	}
	sent->packets += count;
}

/* @return packets up to the end of the corpus, `most` at most */
static unsigned
run_of(const struct load *load, unsigned most)
{
	size_t left = load->packets->count - load->next;
	return left < most ? (unsigned)left : most;
}

static void
fill_pieces(const struct load *load, struct iovec *pieces, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		struct span packet = packet_span(load->packets, load->next + i);
		pieces[i] = (struct iovec){
		    load->packets->bytes + (packet.ptr - load->packets->bytes), packet.len};
	}
}

static unsigned
send_datagrams(struct load *load, unsigned most)
{
	struct mmsghdr messages[BATCH] = {0};
	struct iovec pieces[BATCH];
	unsigned count = run_of(load, most < BATCH ? most : BATCH);
	fill_pieces(load, pieces, count);
	for (unsigned i = 0; i < count; i++) {
		messages[i].msg_hdr.msg_iov = &pieces[i];
		messages[i].msg_hdr.msg_iovlen = 1;
	}
	for (unsigned done = 0; done < count;) {
		int sent = sendmmsg(load->fd, messages + done, count - done, 0);
		if (sent < 0 && errno != EINTR)
			give_up("sendmmsg");
		done += sent > 0 ? (unsigned)sent : 0;
	}
	return count;
}

static unsigned
send_segments(struct load *load)
{
	struct iovec pieces[SEGMENTS_MAX];
	size_t size = packet_span(load->packets, 0).len;
	unsigned fitting = (unsigned)(SEND_MAX / size);
	unsigned count = run_of(load, fitting < SEGMENTS_MAX ? fitting : SEGMENTS_MAX);
	fill_pieces(load, pieces, count);
	struct msghdr message = {.msg_iov = pieces, .msg_iovlen = count};
	while (sendmsg(load->fd, &message, 0) < 0)
		if (errno != EINTR)
			give_up("sendmsg of segments");
	return count;
}

static unsigned
send_stream(struct load *load)
{
	unsigned count = run_of(load, STREAM_PACKETS);
	size_t at = packet_start(load->packets, load->next);
	size_t end = load->packets->ends[load->next + count - 1] + (size_t)1;
	while (at < end) {
		ssize_t sent = send(load->fd, load->packets->bytes + at, end - at, MSG_NOSIGNAL);
		if (sent < 0 && errno != EINTR)
			give_up("send");
		at += sent > 0 ? (size_t)sent : 0;
	}
	return count;
}

/* @return packets sent: of datagrams no more than `due`, of the other ways as many as fit a system call */
static unsigned
send_some(struct load *load, unsigned due)
{
	switch (load->way) {
	case LOAD_SEGMENTS:
		return send_segments(load);
	case LOAD_STREAM:
		return send_stream(load);
	default:
		return send_datagrams(load, due);
	}
}

void
load_send(struct load *load, unsigned count)
{
	struct load_sent sent = {0};
	while (count > sent.packets)
		advance(load, send_datagrams(load, count - (unsigned)sent.packets), &sent);
}

static double
now_s(void)
{
	return (double)clock_mono().us / 1e6;
}

/*
 * Waits without sleeping: the sender has its CPU to itself, and a sleep would gather packets. Datagrams
 * go out when they are due, as from clients of which each sends one.
 */
void
load_run(struct load *load, double rate, double seconds, struct load_sent *sent)
{
	*sent = (struct load_sent){0};
	double start = now_s(), due = start;
	for (double now = start; now - start < seconds; now = now_s()) {
		if (rate > 0 && now < due)
			continue;
		double late = rate > 0 ? (now - due) * rate : BATCH;
		unsigned count = send_some(load, late < BATCH ? (unsigned)late + 1 : BATCH);
		advance(load, count, sent);
		if (rate > 0)
			due += count / rate;
		if (due < now - BEHIND_MAX_S)
			due = now - BEHIND_MAX_S;
	}
	sent->seconds = now_s() - start;
}

void
load_once(const struct server *server, const struct packets *packets)
{
	struct load load;
	struct load_sent sent = {0};
	load_open(&load, LOAD_STREAM, packets, server);
	while (sent.packets < packets->count)
		advance(&load, send_stream(&load), &sent);
	load_close(&load);
	server_await_rest(server, REST_LONG_MS);
}

void
load_measure(struct load *load, const struct server *server, double rate, double seconds,
	     struct load_cost *cost)
{
	*cost = (struct load_cost){0};
	uint64_t drops = server_drops(server);
	struct server_ticks before = server_ticks(server);
	double cpu = server_cpu_ns(server), start = now_s();
	load_run(load, rate, seconds, &cost->sent);
	/* Before the wait for its rest, which takes a while on purpose. */
	cost->busy = (server_cpu_ns(server) - cpu) / 1e9 / (now_s() - start);
	server_await_rest(server, REST_SHORT_MS);
	cost->cpu_ns = server_cpu_ns(server) - cpu;
	struct server_ticks after = server_ticks(server);
	double user = (double)(after.user - before.user);
	double all = user + (double)(after.system - before.system);
	cost->user_share = all > 0 ? user / all : 0;
	cost->drops = server_drops(server) - drops;
	cost->packets = (double)(cost->sent.packets - cost->drops);
	cost->lines = (double)cost->sent.lines * cost->packets / (double)cost->sent.packets;
}
