#include "tls/stream.h"

#include "base/alloc.h"

#include <errno.h>
#include <gnutls/gnutls.h>
#include <stdlib.h>

/* Messages that carry no data, such as changes of keys, taken in one go. */
#define EMPTY_MESSAGES_MAX 16

struct tls_stream {
	gnutls_session_t session;
	struct tls_peer peer;
	bool is_ready;  /* the handshake is over for GnuTLS, too */
	bool has_ended; /* `end` came behind bytes that were read, and is told by the next read */
	ssize_t end;    /* as gnutls_record_recv() */
};

struct tls_stream *
tls_stream_new(struct tls_source *source, int fd, struct tls_guest *guest)
{
	struct tls_stream *stream = xcalloc(1, sizeof(*stream));
	CHECK(gnutls_init(&stream->session, GNUTLS_SERVER | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL) ==
	      0);
	gnutls_transport_set_int(stream->session, fd);
	tls_peer_begin(&stream->peer, source, stream->session, NULL, guest);
	return stream;
}

/* @return -1 */
static ssize_t
fail(int fault)
{
	int error = errno;
	switch (fault) {
	case GNUTLS_E_AGAIN:
	case GNUTLS_E_INTERRUPTED:
		errno = EAGAIN;
		break;
	case GNUTLS_E_PREMATURE_TERMINATION:
		errno = EPIPE;
		break;
	case GNUTLS_E_PULL_ERROR:
	case GNUTLS_E_PUSH_ERROR:
		errno = error ? error : EPROTO;
		break;
	default:
		errno = EPROTO;
	}
	return -1;
}

/* @return 0, or what GnuTLS says is wrong or missing */
static int
shake_hands(struct tls_stream *stream)
{
	int outcome = GNUTLS_E_AGAIN;
	for (int i = 0; i < EMPTY_MESSAGES_MAX; i++) {
		outcome = gnutls_handshake(stream->session);
		if (outcome == 0 || outcome == GNUTLS_E_AGAIN || gnutls_error_is_fatal(outcome))
			break;
	}
	stream->is_ready = outcome == 0;
	/* What does not end by then is no handshake. */
	return outcome == 0 || outcome == GNUTLS_E_AGAIN || gnutls_error_is_fatal(outcome)
		   ? outcome
		   : GNUTLS_E_UNEXPECTED_PACKET;
}

/* @return as gnutls_record_recv(), whose harmless errors are dealt with */
static ssize_t
receive(struct tls_stream *stream, char *bytes, size_t size)
{
	for (int i = 0; i < EMPTY_MESSAGES_MAX; i++) {
		ssize_t len = gnutls_record_recv(stream->session, bytes, size);
		bool is_empty =
		    len == GNUTLS_E_INTERRUPTED || len == GNUTLS_E_WARNING_ALERT_RECEIVED;
		if (!is_empty)
			return len;
	}
	return GNUTLS_E_UNEXPECTED_PACKET;
}

ssize_t
tls_stream_read(struct tls_stream *stream, char *bytes, size_t size)
{
	CHECK(size >= TLS_RECORD_MAX);
	if (stream->has_ended)
		return stream->end == 0 ? 0 : fail((int)stream->end);
	int outcome = stream->is_ready ? 0 : shake_hands(stream);
	if (outcome != 0)
		return fail(outcome);
	size_t filled = 0;
	ssize_t len = 0;
	while (size - filled >= TLS_RECORD_MAX) {
		errno = 0;
		len = receive(stream, bytes + filled, size - filled);
		if (len <= 0)
			break;
		filled += (size_t)len;
	}
	if (!filled)
		return len == 0 ? 0 : fail((int)len);
	/* The socket will not be readable for it again. */
	stream->has_ended = len <= 0 && len != GNUTLS_E_AGAIN;
	stream->end = len;
	return (ssize_t)filled;
}

bool
tls_stream_is_answered(const struct tls_stream *stream)
{
	return stream->peer.is_answered;
}

bool
tls_stream_is_established(const struct tls_stream *stream)
{
	return stream->is_ready;
}

bool
tls_stream_has_ended(const struct tls_stream *stream)
{
	return stream->has_ended;
}

bool
tls_stream_wants_write(const struct tls_stream *stream)
{
	return !stream->is_ready && gnutls_record_get_direction(stream->session) == 1;
}

void
tls_stream_free(struct tls_stream **stream)
{
	if (!*stream)
		return;
	/* So that the peer knows the end from a cut. Who does not take it will see the socket's. */
	if ((*stream)->is_ready)
		(void)gnutls_bye((*stream)->session, GNUTLS_SHUT_WR);
	gnutls_deinit((*stream)->session);
	tls_peer_end(&(*stream)->peer);
	free(*stream);
	*stream = NULL;
}
