/*
 * http/handshake - private to this folder: when a connection's TLS handshake goes on.
 */
#ifndef HTTP_HANDSHAKE_H
#define HTTP_HANDSHAKE_H

#include "http/connection.h"

/** Nothing shakes hands yet. @server its tls is set */
void handshake_init(struct http_server *server);
/** All connections have ended. */
void handshake_fini(struct http_server *server);

/** Lets a connection wait for its client's first words. Called once it is accepted. */
void handshake_begin(struct connection *connection);
/** Readies its session. Called once libmicrohttpd knows it. */
void handshake_enter(struct connection *connection);
/** Goes on with one that is held. @found as peek() tells: 1 = bytes, 0 = the end, -1 = nothing */
void handshake_arrival(struct connection *connection, int found);
/** Called after each run of the daemon: who waits for his client is held again. */
void handshake_settle(struct http_server *server);
/** Lets the daemon close a connection that is held and was shut down. */
void handshake_refuse(struct connection *connection);
/** Notes that a request was let in: the handshake before it then hardly counts against its client.
 * Harmless without TLS. */
void handshake_welcome(struct connection *connection);
/** Counts a handshake that came to nothing. Called when the connection ends, with or without TLS.
 */
void handshake_end(struct connection *connection);

#endif
