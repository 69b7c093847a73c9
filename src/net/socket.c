#include "net/socket.h"

#include "base/log.h"

#include <errno.h>
#include <limits.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define FLAGS (SOCK_NONBLOCK | SOCK_CLOEXEC)

/* The kernel's own default, where it does not say. */
#define UNIXGRAM_QUEUE_DEFAULT 10

/* How a socket for UDP or TCP is to be bound. */
struct binding {
	int type;
	bool reuse_port;
};

/* Logs with the address; closes `fd` if there is one. @return -1 */
static int
refuse(const char *message, const struct address *address, int error, int fd)
{
	char text[ADDRESS_TEXT_MAX];
	address_format((const struct sockaddr *)&address->storage, address->len, text);
	log_error(message, LOG_TEXT("address", text), LOG_ERRNO(error));
	if (fd >= 0)
		close(fd);
	return -1;
}

static int
set_option(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value));
}

/* @return 0, or -1 with errno */
static int
set_options(int fd, const struct address *address, struct binding how)
{
	if (address->storage.ss_family == AF_INET6 &&
	    set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, !address->dual_stack) != 0)
		return -1;
	/* Connections of the process before, in TIME_WAIT, must not keep the port from us. */
	if (how.type == SOCK_STREAM && set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1) != 0)
		return -1;
	if (how.reuse_port && set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1) != 0)
		return -1;
	return 0;
}

/* @return the bound socket, or -1 with errno */
static int
try_bind(const struct address *address, struct binding how)
{
	int fd = socket(address->storage.ss_family, how.type | FLAGS, 0);
	if (fd < 0)
		return -1;
	if (set_options(fd, address, how) != 0 ||
	    bind(fd, (const struct sockaddr *)&address->storage, address->len) != 0) {
		int error = errno;
		close(fd);
		errno = error;
		return -1;
	}
	return fd;
}

static struct address
every_ipv4_address(const struct address *dual_stack)
{
	struct sockaddr_in6 in6;
	memcpy(&in6, &dual_stack->storage, sizeof(in6));
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = in6.sin6_port};
	struct address out = {.len = sizeof(in)};
	memcpy(&out.storage, &in, sizeof(in));
	return out;
}

/* @return the bound socket or -1 (logged) */
static int
bind_inet(const struct address *address, struct binding how)
{
	int fd = try_bind(address, how);
	bool lacks_ipv6 = errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL;
	if (fd < 0 && address->dual_stack && lacks_ipv6) {
		struct address ipv4 = every_ipv4_address(address);
		fd = try_bind(&ipv4, how);
	}
	return fd >= 0 ? fd : refuse("cannot bind", address, errno, -1);
}

int
socket_bind_udp(const struct address *address, bool reuse_port)
{
	return bind_inet(address, (struct binding){SOCK_DGRAM, reuse_port});
}

int
socket_listen_tcp(const struct address *address, bool reuse_port)
{
	int fd = bind_inet(address, (struct binding){SOCK_STREAM, reuse_port});
	if (fd >= 0 && listen(fd, SOMAXCONN) != 0)
		return refuse("cannot listen", address, errno, fd);
	return fd;
}

int
socket_probe(const struct address *address, int type)
{
	/* The port is at the same place for both families. */
	struct sockaddr_in in;
	memcpy(&in, &address->storage, sizeof(in));
	if (in.sin_port == 0)
		return 0;
	/* On TCP, SO_REUSEADDR does not let two sockets listen: a live bridge is still found. */
	int fd = bind_inet(address, (struct binding){type, false});
	if (fd < 0)
		return -1;
	close(fd);
	return 0;
}

/* @return 0 when a connection proves that nobody is behind the socket file, else an errno value */
static int
prove_dead(const struct address *address, int type)
{
	int fd = socket(AF_UNIX, type | FLAGS, 0);
	if (fd < 0)
		return errno;
	int failed = connect(fd, (const struct sockaddr *)&address->storage, address->len);
	int error = failed ? errno : EADDRINUSE;
	close(fd);
	switch (error) {
	case ECONNREFUSED:
		return 0;
	case EAGAIN:     /* its queue is full */
	case EPROTOTYPE: /* a socket of the other type listens */
		return EADDRINUSE;
	default:
		return error;
	}
}

/* @return 0 when the path is free to bind, -1 (logged) otherwise */
static int
clear_path(const struct address *address, const char *path, int type)
{
	struct stat info;
	if (lstat(path, &info) != 0)
		return errno == ENOENT ? 0 : refuse("cannot look at", address, errno, -1);
	if (!S_ISSOCK(info.st_mode))
		return refuse("path is taken by a file that is no socket", address, EEXIST, -1);
	int error = prove_dead(address, type);
	if (error)
		return refuse("socket file may be in use", address, error, -1);
	if (unlink(path) != 0 && errno != ENOENT)
		return refuse("cannot remove a stale socket file", address, errno, -1);
	log_info("stale socket file removed", LOG_TEXT("path", path));
	return 0;
}

/*
 * Binds so that the file never has more permissions than wanted: the kernel gives it those of the
 * socket less the umask, and chmod adds what the umask took.
 */
static int
bind_file(int fd, const struct address *address, const char *path, int mode)
{
	if (mode >= 0 && fchmod(fd, (mode_t)mode & 0777) != 0)
		return refuse("cannot set the mode of the socket", address, errno, fd);
	if (bind(fd, (const struct sockaddr *)&address->storage, address->len) != 0)
		return refuse("cannot bind", address, errno, fd);
	if (mode >= 0 && chmod(path, (mode_t)mode & 0777) != 0)
		log_warn("cannot change the mode of the socket file", LOG_TEXT("path", path),
			 LOG_ERRNO(errno));
	return fd;
}

int
socket_bind_unix(const char *path, int type, int mode)
{
	struct address address;
	const char *error;
	if (address_parse_unix(path, &address, &error) != 0) {
		log_error("bad socket path", LOG_TEXT("path", path), LOG_TEXT("error", error));
		return -1;
	}
	bool is_abstract = path[0] == '@';
	if (!is_abstract && clear_path(&address, path, type) != 0)
		return -1;
	int fd = socket(AF_UNIX, type | FLAGS, 0);
	if (fd < 0)
		return refuse("cannot open a socket", &address, errno, -1);
	fd = bind_file(fd, &address, path, is_abstract ? -1 : mode);
	if (fd >= 0 && type == SOCK_STREAM && listen(fd, SOMAXCONN) != 0) {
		int listen_error = errno;
		socket_remove_unix(path);
		return refuse("cannot listen", &address, listen_error, fd);
	}
	return fd;
}

void
socket_remove_unix(const char *path)
{
	struct stat info;
	if (path[0] == '@' || lstat(path, &info) != 0 || !S_ISSOCK(info.st_mode))
		return;
	if (unlink(path) != 0 && errno != ENOENT)
		log_warn("cannot remove the socket file", LOG_TEXT("path", path), LOG_ERRNO(errno));
}

int64_t
socket_set_receive_buffer(int fd, int64_t bytes)
{
	/* The kernel doubles the value, in an int. */
	int wanted = bytes > INT_MAX / 2 ? INT_MAX / 2 : bytes < 0 ? 0 : (int)bytes;
	if (set_option(fd, SOL_SOCKET, SO_RCVBUFFORCE, wanted) != 0 &&
	    set_option(fd, SOL_SOCKET, SO_RCVBUF, wanted) != 0) {
		log_warn("cannot set the receive buffer", LOG_NUM("bytes", wanted),
			 LOG_ERRNO(errno));
	}
	return socket_receive_buffer(fd);
}

int64_t
socket_receive_buffer(int fd)
{
	int granted;
	socklen_t len = sizeof(granted);
	if (getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &granted, &len) != 0) {
		log_warn("cannot read the receive buffer size", LOG_ERRNO(errno));
		return -1;
	}
	return granted;
}

int64_t
socket_drops(int fd)
{
	uint32_t info[SK_MEMINFO_VARS];
	socklen_t len = sizeof(info);
	if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &len) != 0)
		return -1;
	return len > SK_MEMINFO_DROPS * sizeof(info[0]) ? (int64_t)info[SK_MEMINFO_DROPS] : -1;
}

int64_t
socket_unixgram_queue(void)
{
	long long length = UNIXGRAM_QUEUE_DEFAULT;
	FILE *file = fopen("/proc/sys/net/unix/max_dgram_qlen", "re");
	if (file && fscanf(file, "%lld", &length) != 1)
		length = UNIXGRAM_QUEUE_DEFAULT;
	if (file)
		fclose(file);
	return length;
}

uint16_t
socket_port(int fd)
{
	struct sockaddr_storage name = {0};
	socklen_t len = sizeof(name);
	if (getsockname(fd, (struct sockaddr *)&name, &len) != 0)
		return 0;
	if (name.ss_family != AF_INET && name.ss_family != AF_INET6)
		return 0;
	/* The port is at the same place for both families. */
	struct sockaddr_in in;
	memcpy(&in, &name, sizeof(in));
	return ntohs(in.sin_port);
}
