/*
 * bench/hostile - HTTP clients that do harm: each keeps a connection, does one of a table of bad
 * things with it, and comes again as soon as it is thrown out.
 */
#ifndef BENCH_HOSTILE_H
#define BENCH_HOSTILE_H

#include "server.h"

struct hostile;

/**
 * Starts a thread that is `count` such clients at once, from many addresses: 127.0.0.1 and on, or
 * from 127.0.0.2 on where the server is secured.
 *
 * @server borrowed until hostile_stop()
 */
struct hostile *hostile_start(const struct server *server, unsigned count);

/** Ends them all. @return how many connections there were */
uint64_t hostile_stop(struct hostile **hostile);

#endif
