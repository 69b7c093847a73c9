#include "server.h"

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define START_PATIENCE_MS 10000
#define ANSWER_MAX (64u << 20) /* bytes */

void
give_up(const char *what)
{
	if (errno)
		fprintf(stderr, "books: %s: %s\n", what, strerror(errno));
	else
		fprintf(stderr, "books: %s\n", what);
	exit(2);
}

static struct sockaddr_in
loopback(uint16_t port)
{
	return (struct sockaddr_in){
	    .sin_family = AF_INET,
	    .sin_port = htons(port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
}

static uint16_t
free_port(int type)
{
	int fd = socket(AF_INET, type, 0);
	struct sockaddr_in address = loopback(0);
	socklen_t len = sizeof(address);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, len) < 0 ||
	    getsockname(fd, (struct sockaddr *)&address, &len) < 0)
		give_up("no free port");
	close(fd);
	return ntohs(address.sin_port);
}

static void
exec_bridge(const struct server *server, const char *binary, const char *mapping)
{
	char web[64], udp[64], tcp[64], unixgram[128], config[4096];
	snprintf(web, sizeof(web), "--web.listen-address=127.0.0.1:%u", server->web);
	snprintf(udp, sizeof(udp), "--statsd.listen-udp=127.0.0.1:%u", server->udp);
	snprintf(tcp, sizeof(tcp), "--statsd.listen-tcp=127.0.0.1:%u", server->tcp);
	snprintf(unixgram, sizeof(unixgram), "--statsd.listen-unixgram=%s", server->unixgram);
	snprintf(config, sizeof(config), "--statsd.mapping-config=%s", mapping);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	execl(binary, binary, web, udp, tcp, unixgram, config, "--web.enable-lifecycle",
	      "--log.level=error", (char *)NULL);
	give_up(binary);
}

static void
await_ready(const struct server *server)
{
	struct buf body = BUF_INIT;
	for (int waited_ms = 0; server_request(server, "GET", "/-/ready", &body) != 200;
	     waited_ms += 10) {
		errno = 0;
		if (waitpid(server->pid, NULL, WNOHANG) == server->pid) {
			rmdir(server->directory);
			give_up("the bridge ended at start");
		}
		if (waited_ms >= START_PATIENCE_MS)
			give_up("the bridge did not become ready");
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	}
	buf_fini(&body);
}

void
server_start(struct server *server, const char *binary, const char *mapping)
{
	*server = (struct server){
	    .web = free_port(SOCK_STREAM),
	    .udp = free_port(SOCK_DGRAM),
	    .tcp = free_port(SOCK_STREAM),
	    .directory = "/tmp/books-XXXXXX",
	};
	if (!mkdtemp(server->directory))
		give_up(server->directory);
	snprintf(server->unixgram, sizeof(server->unixgram), "%s/socket", server->directory);
	server->pid = fork();
	if (server->pid < 0)
		give_up("fork");
	if (server->pid == 0)
		exec_bridge(server, binary, mapping);
	await_ready(server);
}

bool
server_stop(struct server *server)
{
	int status = 0;
	kill(server->pid, SIGTERM);
	if (waitpid(server->pid, &status, 0) != server->pid)
		give_up("waitpid");
	rmdir(server->directory);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool
send_all(int fd, const char *bytes, size_t len)
{
	while (len) {
		ssize_t sent = send(fd, bytes, len, MSG_NOSIGNAL);
		if (sent < 0)
			return false;
		bytes += sent;
		len -= (size_t)sent;
	}
	return true;
}

static bool
receive_all(int fd, struct buf *answer)
{
	for (;;) {
		char *room = buf_reserve(answer, 65536);
		if (!room)
			return false;
		ssize_t got = recv(fd, room, 65536, 0);
		if (got <= 0)
			return got == 0;
		answer->len += (size_t)got;
	}
}

/** HTTP 1.0 asks for an answer without chunks that ends with the connection. */
static bool
exchange(const struct server *server, const char *method, const char *path, struct buf *answer)
{
	struct sockaddr_in address = loopback(server->web);
	char request[256];
	int len = snprintf(request, sizeof(request), "%s %s HTTP/1.0\r\nHost: bench\r\n\r\n",
			   method, path);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	if (fd < 0)
		give_up("socket");
	bool ok = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
		  send_all(fd, request, (size_t)len) && receive_all(fd, answer);
	close(fd);
	return ok;
}

unsigned
server_request(const struct server *server, const char *method, const char *path, struct buf *body)
{
	struct buf answer;
	buf_init(&answer, ANSWER_MAX);
	buf_reset(body);
	unsigned status = 0;
	if (exchange(server, method, path, &answer)) {
		const char *text = buf_text(&answer);
		const char *end = strstr(text, "\r\n\r\n");
		if (end && sscanf(text, "HTTP/1.%*c %u", &status) == 1)
			buf_add_text(body, end + 4);
	}
	buf_fini(&answer);
	return status;
}

bool
server_scrape(const struct server *server, struct buf *text)
{
	return server_request(server, "GET", "/metrics", text) == 200 && text->len &&
	       text->ptr[text->len - 1] == '\n';
}

uint64_t
own_metric(const struct buf *text, const char *name)
{
	struct span wanted[] = {SPAN("statsbridge_"), span_text(name)};
	double sum = 0;
	struct span rest = buf_span(text);
	while (rest.len) {
		const char *end = span_find(rest, '\n');
		struct span line = span_first(rest, (size_t)(end - rest.ptr));
		rest = span_from(rest, line.len + 1);
		if (!span_starts(line, wanted[0]))
			continue;
		line = span_from(line, wanted[0].len);
		if (!span_starts(line, wanted[1]) || line.len <= wanted[1].len ||
		    !strchr(" {", line.ptr[wanted[1].len]))
			continue;
		const char *space = memrchr(line.ptr, ' ', line.len);
		sum += strtod(space, NULL);
	}
	return (uint64_t)sum;
}

int64_t
server_memory_kib(const struct server *server)
{
	char path[64], line[256];
	snprintf(path, sizeof(path), "/proc/%d/status", (int)server->pid);
	FILE *file = fopen(path, "r");
	if (!file)
		give_up(path);
	long long kib = -1;
	while (kib < 0 && fgets(line, sizeof(line), file))
		if (sscanf(line, "RssAnon: %lld kB", &kib) != 1)
			kib = -1;
	fclose(file);
	if (kib < 0)
		give_up("no RssAnon in /proc/PID/status");
	return kib;
}
