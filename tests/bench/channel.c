#include "channel.h"

#include "base/check.h"

#include <gnutls/gnutls.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

struct gnutls_session_int *
channel_session_new(unsigned flags)
{
	static gnutls_certificate_credentials_t credentials; /* safe from any thread once made */
	gnutls_session_t session;
	if (!credentials)
		CHECK(gnutls_certificate_allocate_credentials(&credentials) == 0);
	CHECK(gnutls_init(&session, GNUTLS_CLIENT | GNUTLS_NO_SIGNAL | flags) == 0);
	CHECK(gnutls_set_default_priority(session) == 0);
	CHECK(gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, credentials) == 0);
	return session;
}

static bool
shake_hands(struct channel *channel)
{
	int outcome;
	channel->session = channel_session_new(0);
	gnutls_transport_set_int(channel->session, channel->fd);
	do
		outcome = gnutls_handshake(channel->session);
	while (outcome != 0 && !gnutls_error_is_fatal(outcome));
	return outcome == 0;
}

bool
channel_open(struct channel *channel, uint16_t port, bool is_secure)
{
	struct sockaddr_in address = {
	    .sin_family = AF_INET,
	    .sin_port = htons(port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	*channel = (struct channel){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
	bool is_open = channel->fd >= 0 &&
		       connect(channel->fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
		       (!is_secure || shake_hands(channel));
	if (!is_open)
		channel_close(channel);
	return is_open;
}

bool
channel_send(struct channel *channel, const char *bytes, size_t len)
{
	while (len) {
		ssize_t sent = channel->session ? gnutls_record_send(channel->session, bytes, len)
						: send(channel->fd, bytes, len, MSG_NOSIGNAL);
		if (sent < 0)
			return false;
		bytes += sent;
		len -= (size_t)sent;
	}
	return true;
}

ssize_t
channel_receive(struct channel *channel, char *bytes, size_t size)
{
	if (!channel->session)
		return recv(channel->fd, bytes, size, 0);
	ssize_t got;
	do
		got = gnutls_record_recv(channel->session, bytes, size);
	while (got < 0 && !gnutls_error_is_fatal((int)got));
	return got < 0 ? -1 : got;
}

void
channel_close(struct channel *channel)
{
	if (channel->session)
		gnutls_deinit(channel->session);
	if (channel->fd >= 0)
		close(channel->fd);
	*channel = (struct channel){.fd = -1};
}
