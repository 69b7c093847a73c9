/*
 * app/notify - tells a service manager how the program fares (sd_notify(3)): datagrams of lines to
 * the Unix socket that NOTIFY_SOCKET names. Without one, nothing here does anything.
 */
#ifndef APP_NOTIFY_H
#define APP_NOTIFY_H

#include "net/address.h"

#include <stdint.h>

struct notify {
	bool is_open;
	int fd; /* owned */
	struct address to;
};

/**
 * Takes NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID from the environment. A socket that cannot be
 * used is logged, and then nobody is told.
 *
 * @notify zeroed
 * @return how often notify_watchdog() is to be called, in microseconds: twice as often as the
 *         service manager asks for; 0 = never
 */
int64_t notify_open(struct notify *notify);
void notify_fini(struct notify *notify);

/** The start, or a reload, is over. @status for people, one line */
void notify_ready(struct notify *notify, const char *status);
void notify_reloading(struct notify *notify);
void notify_stopping(struct notify *notify);
void notify_watchdog(struct notify *notify);

#endif
