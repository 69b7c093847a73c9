/*
 * app/inherited - sockets that systemd opened for us (sd_listen_fds(3)), so that nothing that is
 * sent while the program starts again is lost.
 *
 * Datagram sockets are for lines. Stream sockets are for lines when the name that
 * FileDescriptorName= gives them starts with "statsd", and otherwise for HTTP. The files of Unix
 * sockets are systemd's.
 */
#ifndef APP_INHERITED_H
#define APP_INHERITED_H

#include "base/check.h"
#include "net/address.h"
#include "net/sink.h"

struct inherited_socket {
	int fd; /* owned until it is claimed; then -1 */
	bool is_web;
	enum net_transport transport; /* of its kind, also where it is for HTTP */
	char address[ADDRESS_TEXT_MAX];
};

struct inherited {
	struct inherited_socket *sockets; /* owned */
	size_t count;
};

/**
 * Takes what LISTEN_FDS, LISTEN_PID and LISTEN_FDNAMES announce, if they mean this process, and
 * removes them from the environment. The sockets become non-blocking and close-on-exec.
 *
 * @wants_web whether HTTP is to be served on such sockets: then there must be one for it, and
 *            otherwise there must be none
 * @return false when what was handed over is of no use (logged)
 */
bool inherited_take(struct inherited *inherited, bool wants_web) MUST_CHECK;

/** @return the descriptor, which is the caller's from now on */
int inherited_claim(struct inherited_socket *socket) MUST_CHECK;

/** Closes what nobody claimed. */
void inherited_fini(struct inherited *inherited);

#endif
