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
watch(struct listeners *listeners, const struct options *options, const char *address,
      enum net_transport transport, unsigned thread, int fd)
{
	int64_t wanted = options->read_buffer ? options->read_buffer : RECEIVE_BUFFER_BYTES;
	int64_t granted = socket_set_receive_buffer(fd, wanted);
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
	return granted;
}

/* @return the address, or false after logging what is wrong with it */
static bool
parse_address(const char *text, struct address *out)
{
	const char *error;
	if (address_parse(text, true, out, &error) == 0)
		return true;
	log_error("bad listen address", LOG_TEXT("address", text), LOG_TEXT("error", error));
	return false;
}

static bool
open_udp(struct listeners *listeners, const struct options *options, const char *text,
	 struct worker *const *workers, unsigned worker_count)
{
	struct address address;
	if (!parse_address(text, &address) || socket_probe(&address, SOCK_DGRAM) != 0)
		return false;
	for (unsigned i = 0; i < worker_count; i++) {
		int fd = socket_bind_udp(&address, worker_count > 1);
		if (fd < 0)
			return false;
		int64_t granted = watch(listeners, options, text, NET_UDP, i, fd);
		worker_add_datagrams(workers[i], fd, NET_UDP, granted);
	}
	return true;
}

static bool
open_tcp(const char *text, struct worker *const *workers, unsigned worker_count)
{
	struct address address;
	if (!parse_address(text, &address) || socket_probe(&address, SOCK_STREAM) != 0)
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
bind_unix(struct listeners *listeners, const struct options *options, const char *path, int type)
{
	int fd = socket_bind_unix(path, type, options->unixsocket_mode);
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
	int fd = bind_unix(listeners, options, path, SOCK_DGRAM);
	if (fd < 0)
		return false;
	unsigned thread = (unsigned)(listeners->file_count - 1) % worker_count;
	(void)watch(listeners, options, path, NET_UNIXGRAM, thread, fd);
	worker_add_datagrams(workers[thread], fd, NET_UNIXGRAM, socket_unixgram_queue());
	return true;
}

/* All threads accept from the one socket. */
static bool
open_unixstream(struct listeners *listeners, const struct options *options, const char *path,
		struct worker *const *workers, unsigned worker_count)
{
	int fd = bind_unix(listeners, options, path, SOCK_STREAM);
	if (fd < 0)
		return false;
	for (unsigned i = 0; i < worker_count; i++)
		worker_add_listener(workers[i], fd, i == 0, NET_UNIXSTREAM);
	log_info("listening", LOG_TEXT("transport", "unixstream"), LOG_TEXT("address", path));
	return true;
}

bool
listeners_open(struct listeners *listeners, const struct options *options,
	       struct worker *const *workers, unsigned worker_count)
{
	const struct option_list *udp = &options->listen_udp, *tcp = &options->listen_tcp;
	const struct option_list *unixgram = &options->listen_unixgram;
	const struct option_list *unixstream = &options->listen_unixstream;
	bool ok = true;
	for (size_t i = 0; ok && i < udp->count; i++)
		ok = open_udp(listeners, options, udp->items[i], workers, worker_count);
	for (size_t i = 0; ok && i < tcp->count; i++)
		ok = open_tcp(tcp->items[i], workers, worker_count);
	for (size_t i = 0; ok && i < unixgram->count; i++)
		ok = open_unixgram(listeners, options, unixgram->items[i], workers, worker_count);
	for (size_t i = 0; ok && i < unixstream->count; i++)
		ok = open_unixstream(listeners, options, unixstream->items[i], workers,
				     worker_count);
	return ok;
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
