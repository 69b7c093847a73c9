#include "net/sink.h"

#include "base/check.h"

const char *
net_transport_text(enum net_transport transport)
{
	static const char *const texts[NET_TRANSPORTS] = {
	    [NET_UDP] = "udp",
	    [NET_TCP] = "tcp",
	    [NET_UNIXGRAM] = "unixgram",
	    [NET_UNIXSTREAM] = "unixstream",
	};
	CHECK(transport < NET_TRANSPORTS);
	return texts[transport];
}
