#include "hostile.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define TURN_MS 50   /* how often each does what it does */
#define ADDRESSES 64 /* 127.0.0.1 and on */
#define EVENTS 256

/* What a client sends at once, and then at each turn; it reads nothing. */
static const struct deed {
	const char *first, *more;
	unsigned turns; /* after which it goes by itself; 0 = it stays */
} deeds[] = {
    {"", "", 0},
    {"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", "", 0},
    {"GET /metrics HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n", "", 3},
    {"GET /met", "r", 0},
    {"GET / HTTP/1.1\r\nHost: a\r\n", "X: y\r\n", 0},
    {"GET / HTTP/1.1\r\nHost: a\r\nCookie: ",
     "0123456789012345678901234567890123456789012345678901234567890123", 0},
    {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "\x01\x02\x03", 0},
    {"POST /-/reload HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n", "body", 0},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe", "l", 0},
    {"GET /a HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n",
     "GET /../../etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n", 0},
    {"\r\n\r\n\r\nGET HTTP/9.9 /\r\n\r\n", "\r\n", 0},
    {"", "", 1},
};
#define DEEDS (sizeof(deeds) / sizeof(deeds[0]))

struct client {
	int fd; /* owned; -1 = none */
	const struct deed *deed;
	unsigned turns;
};

struct hostile {
	pthread_t thread;
	const struct server *server;
	unsigned count;
	struct client *clients; /* owned */
	int epoll;
	uint64_t connections;
	_Atomic bool is_over;
};

static void
leave(struct client *client)
{
	close(client->fd);
	client->fd = -1;
}

/* A client that cannot connect now tries again in the next turn. */
static void
come(struct hostile *hostile, unsigned i)
{
	struct client *client = &hostile->clients[i];
	struct sockaddr_in from = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK + i % ADDRESSES)};
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_port = htons(hostile->server->web),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int small = 4096;
	*client = (struct client){.deed = &deeds[i / ADDRESSES % DEEDS]};
	client->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (client->fd < 0)
		give_up("socket of a hostile client");
	setsockopt(client->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	struct epoll_event event = {.events = EPOLLRDHUP, .data.u32 = i};
	if (bind(client->fd, (struct sockaddr *)&from, sizeof(from)) ||
	    (connect(client->fd, (struct sockaddr *)&to, sizeof(to)) && errno != EINPROGRESS) ||
	    epoll_ctl(hostile->epoll, EPOLL_CTL_ADD, client->fd, &event)) {
		leave(client);
		return;
	}
	hostile->connections++;
}

static void
act(struct hostile *hostile, unsigned i)
{
	struct client *client = &hostile->clients[i];
	if (client->fd < 0) {
		come(hostile, i);
		return;
	}
	const char *text = client->turns++ ? client->deed->more : client->deed->first;
	/* It does not care whether that arrives. */
	if (*text)
		(void)!send(client->fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT);
	if (client->turns == client->deed->turns)
		leave(client);
}

static void *
run(void *ctx)
{
	struct hostile *hostile = ctx;
	struct epoll_event events[EVENTS];
	int64_t turn_us = clock_mono().us;
	while (!hostile->is_over) {
		int count = epoll_wait(hostile->epoll, events, EVENTS, TURN_MS / 10);
		for (int i = 0; i < count; i++) {
			unsigned which = events[i].data.u32;
			if (hostile->clients[which].fd >= 0)
				leave(&hostile->clients[which]);
		}
		if (clock_mono().us < turn_us)
			continue;
		turn_us += TURN_MS * INT64_C(1000);
		for (unsigned i = 0; i < hostile->count; i++)
			act(hostile, i);
	}
	return NULL;
}

struct hostile *
hostile_start(const struct server *server, unsigned count)
{
	struct hostile *hostile = xcalloc(1, sizeof(*hostile));
	hostile->server = server;
	hostile->count = count;
	hostile->clients = xcalloc(count, sizeof(*hostile->clients));
	hostile->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (hostile->epoll < 0)
		give_up("epoll_create1");
	for (unsigned i = 0; i < count; i++)
		hostile->clients[i].fd = -1;
	if (pthread_create(&hostile->thread, NULL, run, hostile))
		give_up("pthread_create");
	return hostile;
}

uint64_t
hostile_stop(struct hostile **slot)
{
	struct hostile *hostile = *slot;
	*slot = NULL;
	hostile->is_over = true;
	pthread_join(hostile->thread, NULL);
	for (unsigned i = 0; i < hostile->count; i++) {
		if (hostile->clients[i].fd >= 0)
			leave(&hostile->clients[i]);
	}
	uint64_t connections = hostile->connections;
	close(hostile->epoll);
	free(hostile->clients);
	free(hostile);
	return connections;
}
