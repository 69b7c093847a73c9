#include "app/inherited.h"

#include "base/alloc.h"
#include "base/log.h"
#include "base/span.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* The first one, as sd_listen_fds(3) has it. */
#define FIRST_FD 3
/* More than any unit has; a number of an environment variable must not make us close everything. */
#define COUNT_MAX 256

/* @return the number, or -1 when the text is none */
static long
read_number(const char *text)
{
	if (*text < '0' || *text > '9')
		return -1;
	char *end;
	errno = 0;
	long number = strtol(text, &end, 10);
	return errno || *end ? -1 : number;
}

/* @return the socket option's value, or -1 with errno */
static int
ask(int fd, int option)
{
	int value;
	socklen_t len = sizeof(value);
	return getsockopt(fd, SOL_SOCKET, option, &value, &len) == 0 ? value : -1;
}

/* @return what is wrong with a socket, or NULL. @socket gets its transport */
static const char *
classify(struct inherited_socket *socket)
{
	int domain = ask(socket->fd, SO_DOMAIN), type = ask(socket->fd, SO_TYPE);
	bool is_unix = domain == AF_UNIX;
	if (domain < 0)
		return "not a socket";
	if (!is_unix && domain != AF_INET && domain != AF_INET6)
		return "neither an internet nor a Unix socket";
	if (type != SOCK_DGRAM && type != SOCK_STREAM)
		return "neither a datagram nor a stream socket";
	if (type == SOCK_STREAM && ask(socket->fd, SO_ACCEPTCONN) != 1)
		return "a stream socket that does not listen (Accept=yes?)";
	if (type == SOCK_DGRAM)
		socket->transport = is_unix ? NET_UNIXGRAM : NET_UDP;
	else
		socket->transport = is_unix ? NET_UNIXSTREAM : NET_TCP;
	return NULL;
}

/* @return 0, or an errno value */
static int
prepare(struct inherited_socket *socket)
{
	struct sockaddr_storage name = {0};
	socklen_t len = sizeof(name);
	int flags = fcntl(socket->fd, F_GETFL);
	if (flags < 0 || fcntl(socket->fd, F_SETFL, flags | O_NONBLOCK) != 0 ||
	    fcntl(socket->fd, F_SETFD, FD_CLOEXEC) != 0 ||
	    getsockname(socket->fd, (struct sockaddr *)&name, &len) != 0)
		return errno;
	address_format((const struct sockaddr *)&name, len, socket->address);
	return 0;
}

static bool
take_socket(struct inherited_socket *socket, struct span name, bool wants_web)
{
	const char *fault = classify(socket);
	int error = fault ? 0 : prepare(socket);
	bool is_datagram = socket->transport == NET_UDP || socket->transport == NET_UNIXGRAM;
	socket->is_web = !is_datagram && !span_starts(name, SPAN("statsd"));
	if (error)
		fault = log_errno_text(error);
	else if (!fault && socket->is_web && !wants_web)
		fault = "not named statsd..., and HTTP is not served on such sockets without "
			"--web.systemd-socket";
	if (fault)
		log_error("systemd hands over a socket that is of no use",
			  LOG_NUM("descriptor", socket->fd), LOG_BYTES("name", name),
			  LOG_TEXT("error", fault));
	return !fault;
}

/* Cuts the next name off a list with colons between them. */
static struct span
next_name(struct span *names)
{
	const char *colon = span_find(*names, ':');
	struct span name = span_first(*names, colon ? (size_t)(colon - names->ptr) : names->len);
	*names = span_from(*names, name.len + (colon != NULL));
	return name;
}

/* @return how many are meant for this process, or -1 after logging */
static long
read_count(void)
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
	if (!pid || !fds || read_number(pid) != getpid())
		return 0;
	long count = read_number(fds);
	if (count >= 0 && count <= COUNT_MAX)
		return count;
	log_error("systemd hands over no number of sockets, or too many",
		  LOG_BYTES("LISTEN_FDS", span_text(fds)), LOG_NUM("limit", COUNT_MAX));
	return -1;
}

/* Takes `count` sockets. @return whether all are of use, and are what is wanted */
static bool
take_sockets(struct inherited *inherited, size_t count, bool wants_web)
{
	const char *text = getenv("LISTEN_FDNAMES");
	struct span names = text ? span_text(text) : SPAN("");
	bool ok = true, has_web = false;
	inherited->count = count;
	inherited->sockets = xcalloc(count + 1, sizeof(*inherited->sockets));
	for (size_t i = 0; i < count; i++) {
		struct inherited_socket *socket = &inherited->sockets[i];
		socket->fd = FIRST_FD + (int)i;
		ok &= take_socket(socket, next_name(&names), wants_web);
		has_web |= socket->is_web;
	}
	if (ok && wants_web && !has_web) {
		log_error("--web.systemd-socket: systemd hands over no socket for HTTP");
		ok = false;
	}
	return ok;
}

bool
inherited_take(struct inherited *inherited, bool wants_web)
{
	long count = read_count();
	bool ok = count >= 0 && take_sockets(inherited, (size_t)count, wants_web);
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	return ok;
}

int
inherited_claim(struct inherited_socket *socket)
{
	int fd = socket->fd;
	CHECK(fd >= 0);
	socket->fd = -1;
	return fd;
}

void
inherited_fini(struct inherited *inherited)
{
	for (size_t i = 0; i < inherited->count; i++)
		if (inherited->sockets[i].fd >= 0)
			close(inherited->sockets[i].fd);
	free(inherited->sockets);
	*inherited = (struct inherited){0};
}
