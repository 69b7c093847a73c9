/*
 * tls/context - certificates and rules that connections use, exchanged while others are open. Only
 * this folder knows GnuTLS.
 *
 * A source has one context at a time. A connection takes the one of its start and keeps it to its
 * end.
 */
#ifndef TLS_CONTEXT_H
#define TLS_CONTEXT_H

#include "tls/admission.h"
#include "tls/settings.h"

#include <stdint.h>

struct gnutls_session_int; /* GnuTLS's */

struct tls_context;

/**
 * Reads the files and checks that they fit each other.
 *
 * @error gets what is wrong, with the path
 * @wrong set to the one of the settings' certificates or keys that is; NULL = none
 * @return owned by the caller, or NULL
 */
struct tls_context *tls_context_new(const struct tls_settings *settings, struct buf *error,
				    const struct tls_pem **wrong) MUST_CHECK;
void tls_context_unref(struct tls_context **context);

/*
 * Checks of files that another library will read, one by one, so that who calls knows which one is
 * wrong. A pair's key must have been checked before.
 *
 * @error gets what is wrong, with the path
 */
bool tls_check_authorities(const char *path, struct buf *error) MUST_CHECK;
bool tls_check_key(const char *path, struct buf *error) MUST_CHECK;
bool tls_check_pair(const char *certificate_path, const char *key_path,
		    struct buf *error) MUST_CHECK;

/** @return when the server's certificate ends, in seconds since 1970 */
int64_t tls_context_expiry(const struct tls_context *context);

/* Safe from any thread; used once a connection. */
struct tls_source;

/** @context consumed */
struct tls_source *tls_source_new(struct tls_context *context);
/** From now on connections start with another one. @context consumed */
void tls_source_exchange(struct tls_source *source, struct tls_context *context);
/** @return when the certificate in force ends, in seconds since 1970 */
int64_t tls_source_expiry(struct tls_source *source);
/** Connections may still be open. */
void tls_source_free(struct tls_source **source);

/* How a handshake came to nothing. */
enum tls_failure {
	TLS_FAILURE_BROKEN, /* no TLS, or none that can be agreed on, or no good certificate */
	TLS_FAILURE_LEFT,   /* the client went away */
	TLS_FAILURE_LATE,   /* the deadline passed */
	TLS_FAILURE_CROWD,  /* closed to make room for others */
	TLS_FAILURES,
};

/** @return "broken" and so on */
const char *tls_failure_text(enum tls_failure failure);

/* What is kept of a connection; zeroed before it begins, and not moved before it ends. */
struct tls_peer {
	struct tls_context *context;
	struct tls_guest *guest; /* borrowed; bears the cost of the handshake */
	int64_t since_us;        /* CPU time up to which it was charged */
	bool is_refused;         /* set by the owner: the next message ends the handshake */
	bool is_answered;        /* all but the client's last words is over, and what it costs */
	bool is_established;     /* the handshake is over */
};

/**
 * Gives a new server session certificates, rules and what is demanded of the client.
 *
 * @session not owned; its user pointer is set
 * @protocol what is spoken inside, for ALPN; NULL = nothing is negotiated
 * @guest    borrowed until the handshake is over
 */
void tls_peer_begin(struct tls_peer *peer, struct tls_source *source,
		    struct gnutls_session_int *session, const char *protocol,
		    struct tls_guest *guest);
typedef void tls_refusal_fn(void);
/**
 * @return a gnutls_certificate_retrieve_function2 that has no certificate, for a library that wants
 * one of its own before it lets tls_peer_begin() set ours
 */
tls_refusal_fn *tls_refusal(void);

/** After the session's last use; also when it never began. */
void tls_peer_end(struct tls_peer *peer);

#endif
