/*
 * tls/settings - what an operator says about TLS, in the words of the Prometheus exporters' web
 * configuration (exporter-toolkit's tls_server_config), and as GnuTLS takes it.
 *
 * Plain data: whoever reads the file fills it.
 */
#ifndef TLS_SETTINGS_H
#define TLS_SETTINGS_H

#include "base/buf.h"
#include "base/check.h"

/* Where certificates or a key come from: a file, or a text in the settings themselves. */
struct tls_pem {
	char *path;            /* owned; NULL = none */
	char *text;            /* owned; NULL = none */
	unsigned line, column; /* where the operator says so, from 1; for errors */
};

enum tls_client_auth {
	TLS_CLIENT_NONE,
	TLS_CLIENT_REQUEST,            /* asked for a certificate, which is not verified */
	TLS_CLIENT_REQUIRE_ANY,        /* must give one, which is not verified */
	TLS_CLIENT_VERIFY_IF_GIVEN,    /* may give one, which must be good then */
	TLS_CLIENT_REQUIRE_AND_VERIFY, /* must give a good one */
};

/** @return whether nobody gets in without a certificate */
bool tls_demands_certificate(enum tls_client_auth client_auth) MUST_CHECK;

/* Lists of names; their positions are the values of the settings. */
enum tls_names { TLS_VERSIONS, TLS_CLIENT_AUTHS, TLS_SUITES, TLS_CURVES, TLS_NAME_LISTS };

/* More than any list has. */
#define TLS_CHOICES_MAX 16

/* Positions in a list, the preferred ones first, each once; none = GnuTLS's own choice. */
struct tls_choices {
	unsigned char items[TLS_CHOICES_MAX];
	size_t count;
};

struct tls_settings {
	struct tls_pem certificate, key, client_ca;
	enum tls_client_auth client_auth;
	char **allowed_sans; /* owned array of owned texts */
	size_t san_count;
	unsigned min_version, max_version; /* positions in TLS_VERSIONS */
	struct tls_choices suites, curves;
	bool prefers_own_order; /* of ciphers, over the client's */
};

/** @return settings without a certificate: TLS 1.2 and 1.3, no demands on clients */
struct tls_settings tls_settings_new(void);
void tls_settings_fini(struct tls_settings *settings);

/** @return a name of a list, or NULL behind its end */
const char *tls_name(enum tls_names list, size_t position);

/** @return the position of a name in its list, or -1 */
int tls_name_find(enum tls_names list, struct span name) MUST_CHECK;

/**
 * @return position in TLS_VERSIONS of the lowest version that is spoken: min_version; or TLS 1.3
 *         where no suite of an older one is listed, as in Go, which finds none in common then. May
 *         be above max_version, so that nobody can shake hands
 */
unsigned tls_lowest_version(const struct tls_settings *settings) MUST_CHECK;

/**
 * Appends the GnuTLS priority string of all versions, in which the list of suites has no say: TLS
 * 1.3 has suites of its own, as in Go, and chooses among all of them.
 */
void tls_settings_add_priorities(const struct tls_settings *settings, struct buf *out);

/**
 * Appends the priority string of TLS up to 1.2 when there is a list of suites for it, from which
 * those of TLS 1.3 are left out. GnuTLS chooses key exchange, cipher and hash each for themselves:
 * the list allows all combinations of their parts.
 *
 * @return whether there is such a list
 */
bool tls_settings_add_older_priorities(const struct tls_settings *settings,
				       struct buf *out) MUST_CHECK;

#endif
