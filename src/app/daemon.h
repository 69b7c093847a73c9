/*
 * app/daemon - the running bridge: order of start, the control thread's loop, and the end.
 *
 * The control thread serves HTTP, takes signals, reloads, lets series expire and watches the kernel's
 * drop counts. Lines never come here.
 */
#ifndef APP_DAEMON_H
#define APP_DAEMON_H

#include "app/options.h"

/**
 * Runs until a signal or /-/quit ends it. With check_config set only loads the configuration.
 *
 * @return the exit code: 0 after a normal stop, 1 when it could not start (the reason is logged)
 */
int daemon_run(const struct options *options);

#endif
