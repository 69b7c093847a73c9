#include "tls/settings.h"

#include <stdlib.h>
#include <string.h>

struct name {
	const char *name;
	const char *priorities; /* what of GnuTLS belongs to it */
};

static const struct name versions[] = {
    {"TLS10", "VERS-TLS1.0"},
    {"TLS11", "VERS-TLS1.1"},
    {"TLS12", "VERS-TLS1.2"},
    {"TLS13", "VERS-TLS1.3"},
    {NULL, NULL},
};

/* TLS12: of later versions the suites cannot be chosen. */
#define LAST_WITH_LIST 2u

/* In the order of enum tls_client_auth; the last one is an older spelling. */
static const struct name client_auths[] = {
    {"NoClientCert", ""},
    {"RequestClientCert", ""},
    {"RequireAnyClientCert", ""},
    {"VerifyClientCertIfGiven", ""},
    {"RequireAndVerifyClientCert", ""},
    {"RequireClientCert", ""},
    {NULL, NULL},
};

/* Those that Go's crypto/tls calls secure. */
static const struct name suites[] = {
    {"TLS_AES_128_GCM_SHA256", "AES-128-GCM +AEAD"},
    {"TLS_AES_256_GCM_SHA384", "AES-256-GCM +AEAD"},
    {"TLS_CHACHA20_POLY1305_SHA256", "CHACHA20-POLY1305 +AEAD"},
    {"TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", "AES-128-CBC +SHA1 +ECDHE-ECDSA"},
    {"TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA", "AES-256-CBC +SHA1 +ECDHE-ECDSA"},
    {"TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", "AES-128-CBC +SHA1 +ECDHE-RSA"},
    {"TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", "AES-256-CBC +SHA1 +ECDHE-RSA"},
    {"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "AES-128-GCM +AEAD +ECDHE-ECDSA"},
    {"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "AES-256-GCM +AEAD +ECDHE-ECDSA"},
    {"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "AES-128-GCM +AEAD +ECDHE-RSA"},
    {"TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "AES-256-GCM +AEAD +ECDHE-RSA"},
    {"TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "CHACHA20-POLY1305 +AEAD +ECDHE-RSA"},
    {"TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "CHACHA20-POLY1305 +AEAD +ECDHE-ECDSA"},
    {NULL, NULL},
};

static const struct name curves[] = {
    {"CurveP256", "GROUP-SECP256R1"},
    {"CurveP384", "GROUP-SECP384R1"},
    {"CurveP521", "GROUP-SECP521R1"},
    {"X25519", "GROUP-X25519"},
    {NULL, NULL},
};

static const struct name *const lists[TLS_NAME_LISTS] = {
    [TLS_VERSIONS] = versions,
    [TLS_CLIENT_AUTHS] = client_auths,
    [TLS_SUITES] = suites,
    [TLS_CURVES] = curves,
};

bool
tls_demands_certificate(enum tls_client_auth client_auth)
{
	return client_auth == TLS_CLIENT_REQUIRE_ANY ||
	       client_auth == TLS_CLIENT_REQUIRE_AND_VERIFY;
}

struct tls_settings
tls_settings_new(void)
{
	return (struct tls_settings){
	    .min_version = 2,
	    .max_version = 3,
	    .prefers_own_order = true,
	};
}

static void
free_pem(struct tls_pem *pem)
{
	free(pem->path);
	free(pem->text);
}

void
tls_settings_fini(struct tls_settings *settings)
{
	free_pem(&settings->certificate);
	free_pem(&settings->key);
	free_pem(&settings->client_ca);
	for (size_t i = 0; i < settings->san_count; i++)
		free(settings->allowed_sans[i]);
	free(settings->allowed_sans);
	*settings = tls_settings_new();
}

const char *
tls_name(enum tls_names list, size_t position)
{
	return lists[list][position].name;
}

int
tls_name_find(enum tls_names list, struct span name)
{
	for (int i = 0; lists[list][i].name; i++)
		if (span_equal(name, span_text(lists[list][i].name)))
			return i;
	return -1;
}

/* Appends ":+A:+B" for "A +B". */
static void
add_parts(const char *parts, struct buf *out)
{
	buf_add_text(out, ":+");
	for (; *parts; parts++)
		buf_add_byte(out, *parts == ' ' ? ':' : *parts);
}

/* Only suites of TLS up to 1.2 name a key exchange. */
static bool
is_older_suite(unsigned suite)
{
	return strstr(suites[suite].priorities, "ECDHE") != NULL;
}

/* @listed suites, of which those of TLS 1.3 do not count; NULL = GnuTLS's own choice */
static void
add_all(const struct tls_settings *settings, unsigned max_version, const struct tls_choices *listed,
	struct buf *out)
{
	buf_add_text(out, "NORMAL:-VERS-ALL");
	for (unsigned i = max_version + 1; i-- > tls_lowest_version(settings);)
		add_parts(versions[i].priorities, out);
	buf_add_text(out,
		     listed ? ":-KX-ALL:-CIPHER-ALL:-MAC-ALL" : ":-KX-ALL:+ECDHE-ECDSA:+ECDHE-RSA");
	for (size_t i = 0; listed && i < listed->count; i++) {
		if (is_older_suite(listed->items[i]))
			add_parts(suites[listed->items[i]].priorities, out);
	}
	/* Clients choose: a key exchange in the field of 8192 bits costs a hundred of others. */
	buf_add_text(out, settings->curves.count ? ":-GROUP-ALL" : ":-GROUP-DH-ALL");
	for (size_t i = 0; i < settings->curves.count; i++)
		add_parts(curves[settings->curves.items[i]].priorities, out);
	if (settings->prefers_own_order)
		buf_add_text(out, ":%SERVER_PRECEDENCE");
}

unsigned
tls_lowest_version(const struct tls_settings *settings)
{
	bool has_older = !settings->suites.count;
	for (size_t i = 0; i < settings->suites.count; i++)
		has_older |= is_older_suite(settings->suites.items[i]);
	return has_older || settings->min_version > LAST_WITH_LIST ? settings->min_version
								   : LAST_WITH_LIST + 1;
}

void
tls_settings_add_priorities(const struct tls_settings *settings, struct buf *out)
{
	add_all(settings, settings->max_version, NULL, out);
}

bool
tls_settings_add_older_priorities(const struct tls_settings *settings, struct buf *out)
{
	unsigned max_version = settings->max_version;
	if (!settings->suites.count || tls_lowest_version(settings) > LAST_WITH_LIST)
		return false;
	if (max_version > LAST_WITH_LIST)
		max_version = LAST_WITH_LIST;
	add_all(settings, max_version, &settings->suites, out);
	return true;
}
