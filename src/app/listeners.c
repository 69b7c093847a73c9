#include "app/listeners.h"

#include "base/alloc.h"
#include "base/log.h"
#include "net/socket.h"

#include <stdlib.h>
#include <unistd.h>

/*
 * Holds a burst of 100,000 small datagrams, or some tenths of a second of what a core can take; costs
 * nothing while empty. The kernel may grant less.
 */
#define RECEIVE_BUFFER_BYTES (64 << 20)

/* @return what the kernel granted */
static int64_t
size_buffer(const struct options *options, int fd)
{
	return socket_set_receive_buffer(fd, options->read_buffer ? options->read_buffer
								  : RECEIVE_BUFFER_BYTES);
}

static void
watch(struct listeners *listeners, const char *address, enum net_transport transport,
      unsigned thread, int fd, int64_t granted)
{
	listeners->sockets = xgrow(listeners->sockets, listeners->count, &listeners->capacity,
				   sizeof(*listeners->sockets));
	int64_t drops = socket_drops(fd);
	listeners->sockets[listeners->count++] = (struct watched_socket){
	    .address = address,
	    .transport = transport,
	    .thread = thread,
	    .fd = fd,
	    .receive_buffer = granted,
	    .last_drops = drops < 0 ? 0 : (uint32_t)drops,
	};
	/* Of UDP every thread has a socket; one line says it for all. */
	if (thread == 0 || transport == NET_UNIXGRAM)
		log_info("listening", LOG_TEXT("transport", net_transport_text(transport)),
			 LOG_TEXT("address", address), LOG_NUM("receive_buffer_bytes", granted));
}

/* A flag that says where to listen. */
struct listen_flag {
	const char *name;
	size_t list; /* offset in struct options */
	const char *expected;
	bool takes_inet, takes_path;
};

#define HOST_AND_PORT "host:port, [IPv6 address]:port, or :port for every address"
#define SOCKET_PATH "a path of at most 107 bytes, or '@' and an abstract name"

static const struct listen_flag line_flags[NET_TRANSPORTS] = {
    [NET_UDP] = {"--statsd.listen-udp", offsetof(struct options, listen_udp), HOST_AND_PORT, true},
    [NET_TCP] = {"--statsd.listen-tcp", offsetof(struct options, listen_tcp), HOST_AND_PORT, true},
    [NET_UNIXGRAM] = {"--statsd.listen-unixgram", offsetof(struct options, listen_unixgram),
		      SOCKET_PATH, false, true},
    [NET_UNIXSTREAM] = {"--statsd.listen-unixstream", offsetof(struct options, listen_unixstream),
			SOCKET_PATH, false, true},
};
static const struct listen_flag web_flag = {
    "--web.listen-address", offsetof(struct options, listen_web),
    HOST_AND_PORT "; or unix: and " SOCKET_PATH, true, true};

static const struct option_list *
list_of(const struct options *options, const struct listen_flag *flag)
{
	return (const struct option_list *)((const char *)options + flag->list);
}

/* @return the address, or false after logging what is wrong with it */
static bool
parse_address(const struct listen_flag *flag, const char *text, struct address *out)
{
	const char *error, *path = text;
	if (flag->takes_inet)
		path = flag->takes_path ? address_unix_path(text) : NULL;
	if ((path ? address_parse_unix(path, out, &error)
		  : address_parse(text, true, out, &error)) == 0)
		return true;
	log_error("bad listen address", LOG_TEXT("flag", flag->name), LOG_TEXT("address", text),
		  LOG_TEXT("error", error), LOG_TEXT("expected", flag->expected));
	return false;
}

static bool
check_flag(const struct options *options, const struct listen_flag *flag)
{
	const struct option_list *list = list_of(options, flag);
	struct address address;
	bool ok = true;
	for (size_t i = 0; i < list->count; i++)
		ok &= parse_address(flag, list->items[i], &address);
	return ok;
}

bool
listeners_check(const struct options *options)
{
	bool ok = check_flag(options, &web_flag);
	for (size_t i = 0; i < NET_TRANSPORTS; i++)
		ok &= check_flag(options, &line_flags[i]);
	return ok;
}

/* What is wrong has been logged, but not who says so. @return false */
static bool
refuse(const struct listen_flag *flag, const char *text)
{
	log_error("cannot listen there", LOG_TEXT("flag", flag->name), LOG_TEXT("address", text),
		  LOG_TEXT("expected", "an address of this machine that is free and that the "
				       "program may use"));
	return false;
}

static bool
open_udp(struct listeners *listeners, const struct options *options, const char *text,
	 struct worker *const *workers, unsigned worker_count)
{
	struct address address;
	if (!parse_address(&line_flags[NET_UDP], text, &address) ||
	    socket_probe(&address, SOCK_DGRAM) != 0)
		return false;
	for (unsigned i = 0; i < worker_count; i++) {
		int fd = socket_bind_udp(&address, worker_count > 1);
		if (fd < 0)
			return false;
		int64_t granted = size_buffer(options, fd);
		watch(listeners, text, NET_UDP, i, fd, granted);
		worker_add_datagrams(workers[i], fd, NET_UDP, granted);
	}
	return true;
}

static bool
open_tcp(struct listeners *listeners, const struct options *options, const char *text,
	 struct worker *const *workers, unsigned worker_count)
{
	(void)listeners, (void)options;
	struct address address;
	if (!parse_address(&line_flags[NET_TCP], text, &address) ||
	    socket_probe(&address, SOCK_STREAM) != 0)
		return false;
	for (unsigned i = 0; i < worker_count; i++) {
		int fd = socket_listen_tcp(&address, worker_count > 1);
		if (fd < 0)
			return false;
		worker_add_listener(workers[i], fd, true, NET_TCP);
	}
	log_info("listening", LOG_TEXT("transport", "tcp"), LOG_TEXT("address", text));
	return true;
}

static int
bind_unix(struct listeners *listeners, const char *path, int type, int mode)
{
	int fd = socket_bind_unix(path, type, mode);
	if (fd < 0)
		return -1;
	listeners->socket_files = xgrow(listeners->socket_files, listeners->file_count,
					&listeners->file_capacity, sizeof(char *));
	listeners->socket_files[listeners->file_count++] = path;
	return fd;
}

/* SO_REUSEPORT does not exist here: one thread owns the socket. */
static bool
open_unixgram(struct listeners *listeners, const struct options *options, const char *path,
	      struct worker *const *workers, unsigned worker_count)
{
	int fd = bind_unix(listeners, path, SOCK_DGRAM, options->unixsocket_mode);
	if (fd < 0)
		return false;
	unsigned thread = (unsigned)(listeners->file_count - 1) % worker_count;
	watch(listeners, path, NET_UNIXGRAM, thread, fd, size_buffer(options, fd));
	worker_add_datagrams(workers[thread], fd, NET_UNIXGRAM, socket_unixgram_queue());
	return true;
}

/* All threads accept from the one socket. */
static void
share_stream(const char *address, enum net_transport transport, int fd,
	     struct worker *const *workers, unsigned worker_count)
{
	for (unsigned i = 0; i < worker_count; i++)
		worker_add_listener(workers[i], fd, i == 0, transport);
	log_info("listening", LOG_TEXT("transport", net_transport_text(transport)),
		 LOG_TEXT("address", address));
}

static bool
open_unixstream(struct listeners *listeners, const struct options *options, const char *path,
		struct worker *const *workers, unsigned worker_count)
{
	int fd = bind_unix(listeners, path, SOCK_STREAM, options->unixsocket_mode);
	if (fd < 0)
		return false;
	share_stream(path, NET_UNIXSTREAM, fd, workers, worker_count);
	return true;
}

/* There is one of each: a datagram socket goes to one thread. */
static void
take_inherited(struct listeners *listeners, const struct options *options,
	       struct inherited_socket *socket, unsigned thread, struct worker *const *workers,
	       unsigned worker_count)
{
	int fd = inherited_claim(socket);
	enum net_transport transport = socket->transport;
	if (transport == NET_TCP || transport == NET_UNIXSTREAM) {
		share_stream(socket->address, transport, fd, workers, worker_count);
		return;
	}
	/* Whoever made it may be allowed more than we are: asking for more could bring less. */
	int64_t granted =
	    options->read_buffer ? size_buffer(options, fd) : socket_receive_buffer(fd);
	watch(listeners, socket->address, transport, thread, fd, granted);
	worker_add_datagrams(workers[thread], fd, transport,
			     transport == NET_UDP ? granted : socket_unixgram_queue());
}

/* @given set for each transport that a socket was handed over for */
static void
take_all_inherited(struct listeners *listeners, const struct options *options,
		   struct inherited *inherited, bool given[NET_TRANSPORTS],
		   struct worker *const *workers, unsigned worker_count)
{
	unsigned taken = 0;
	for (size_t i = 0; i < inherited->count; i++) {
		struct inherited_socket *socket = &inherited->sockets[i];
		if (socket->is_web)
			continue;
		given[socket->transport] = true;
		take_inherited(listeners, options, socket, taken++ % worker_count, workers,
			       worker_count);
	}
}

typedef bool open_fn(struct listeners *listeners, const struct options *options, const char *text,
		     struct worker *const *workers, unsigned worker_count);

bool
listeners_open(struct listeners *listeners, const struct options *options,
	       struct inherited *inherited, struct worker *const *workers, unsigned worker_count)
{
	static open_fn *const open[NET_TRANSPORTS] = {
	    [NET_UDP] = open_udp,
	    [NET_TCP] = open_tcp,
	    [NET_UNIXGRAM] = open_unixgram,
	    [NET_UNIXSTREAM] = open_unixstream,
	};
	bool given[NET_TRANSPORTS] = {false};
	take_all_inherited(listeners, options, inherited, given, workers, worker_count);
	for (size_t t = 0; t < NET_TRANSPORTS; t++) {
		const struct option_list *list = list_of(options, &line_flags[t]);
		for (size_t i = 0; !given[t] && i < list->count; i++) {
			if (!open[t](listeners, options, list->items[i], workers, worker_count))
				return refuse(&line_flags[t], list->items[i]);
		}
	}
	return true;
}

static void
serve(struct http_server *server, const struct options *options, const char *address, int fd)
{
	http_server_listen(server, fd);
	log_info("serving metrics", LOG_TEXT("address", address),
		 LOG_TEXT("path", options->web_telemetry_path));
}

static bool
open_web(struct listeners *listeners, const struct options *options, const char *text,
	 struct http_server *server)
{
	const char *path = address_unix_path(text);
	struct address address;
	if (!path && !parse_address(&web_flag, text, &address))
		return false;
	int fd = path ? bind_unix(listeners, path, SOCK_STREAM, options->web_unixsocket_mode)
		      : socket_listen_tcp(&address, false);
	if (fd < 0)
		return false;
	serve(server, options, text, fd);
	return true;
}

bool
listeners_open_web(struct listeners *listeners, const struct options *options,
		   struct inherited *inherited, struct http_server *server)
{
	const struct option_list *web = &options->listen_web;
	for (size_t i = 0; i < inherited->count; i++) {
		struct inherited_socket *socket = &inherited->sockets[i];
		if (socket->is_web)
			serve(server, options, socket->address, inherited_claim(socket));
	}
	for (size_t i = 0; !options->web_systemd_socket && i < web->count; i++) {
		if (!open_web(listeners, options, web->items[i], server))
			return refuse(&web_flag, web->items[i]);
	}
	return true;
}

void
listeners_poll_drops(struct listeners *listeners)
{
	for (size_t i = 0; !listeners->are_closed && i < listeners->count; i++) {
		struct watched_socket *socket = &listeners->sockets[i];
		int64_t now = socket_drops(socket->fd);
		if (now < 0)
			continue;
		socket->drops += (uint32_t)now - socket->last_drops;
		socket->last_drops = (uint32_t)now;
	}
}

void
listeners_close(struct listeners *listeners)
{
	listeners_poll_drops(listeners);
	listeners->are_closed = true;
	for (size_t i = 0; i < listeners->file_count; i++)
		socket_remove_unix(listeners->socket_files[i]);
}

void
listeners_fini(struct listeners *listeners)
{
	free(listeners->socket_files);
	free(listeners->sockets);
	*listeners = (struct listeners){0};
}
