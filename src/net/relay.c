#include "net/relay.h"

#include "base/alloc.h"
#include "base/log.h"
#include "net/sink.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

struct relay {
	int fd;
	struct address target;
	struct relay_counters counters;
	size_t packet_length;   /* bytes a packet may have */
	size_t len;             /* bytes waiting in it */
	uint64_t waiting_lines; /* lines in these bytes */
	char packet[];
};

struct relay *
relay_new(const struct address *target, size_t packet_length)
{
	CHECK(packet_length >= 2 && packet_length <= 65507);
	int fd = socket(target->storage.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		log_error("cannot open a socket for the relay", LOG_ERRNO(errno));
		return NULL;
	}
	/* A target may be a broadcast address; setting this on a fresh socket cannot fail. */
	int on = 1;
	if (setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof(on)) != 0)
		log_warn("cannot allow broadcast for the relay", LOG_ERRNO(errno));
	struct relay *relay = xcalloc(1, sizeof(*relay) + packet_length);
	relay->fd = fd;
	relay->target = *target;
	relay->packet_length = packet_length;
	return relay;
}

static void
log_long_line(struct span line)
{
	static struct log_gate gate;
	uint64_t held_back;
	if (log_gate_open(&gate, &held_back))
		log_warn("line is longer than a relay packet", LOG_NUM("length", line.len),
			 LOG_BYTES("line", line), LOG_NUM("held_back", held_back));
}

void
relay_add_line(struct relay *relay, struct span line)
{
	if (line.len == 0)
		return;
	if (line.len > relay->packet_length - 1) {
		net_count(&relay->counters.long_lines, 1);
		log_long_line(line);
		return;
	}
	if (line.len + 1 > relay->packet_length - relay->len)
		relay_flush(relay);
	memcpy(relay->packet + relay->len, line.ptr, line.len);
	relay->packet[relay->len + line.len] = '\n';
	relay->len += line.len + 1;
	relay->waiting_lines++;
	net_count(&relay->counters.lines, 1);
}

static void
count_lost_packet(struct relay *relay, int error)
{
	static struct log_gate gate;
	uint64_t held_back;
	net_count(&relay->counters.dropped_packets, 1);
	net_count(&relay->counters.dropped_lines, relay->waiting_lines);
	if (!log_gate_open(&gate, &held_back))
		return;
	char text[ADDRESS_TEXT_MAX];
	address_format((const struct sockaddr *)&relay->target.storage, relay->target.len, text);
	log_warn("relay packet lost", LOG_TEXT("target", text), LOG_ERRNO(error),
		 LOG_NUM("lines", relay->waiting_lines), LOG_NUM("held_back", held_back));
}

void
relay_flush(struct relay *relay)
{
	if (relay->len == 0)
		return;
	/* Not connected: an ICMP answer to one packet must not cost the next one. */
	ssize_t sent = sendto(relay->fd, relay->packet, relay->len, MSG_DONTWAIT | MSG_NOSIGNAL,
			      (const struct sockaddr *)&relay->target.storage, relay->target.len);
	net_count(&relay->counters.packets, 1);
	if (sent < 0)
		count_lost_packet(relay, errno);
	relay->len = 0;
	relay->waiting_lines = 0;
}

const struct relay_counters *
relay_get_counters(const struct relay *relay)
{
	return &relay->counters;
}

void
relay_free(struct relay **relay)
{
	if (!*relay)
		return;
	relay_flush(*relay);
	close((*relay)->fd);
	free(*relay);
	*relay = NULL;
}
