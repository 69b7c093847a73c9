#include "tls/context.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

/* A bundle of all public authorities has a quarter of it. */
#define PEM_BYTES_MAX ((size_t)1 << 20)
/* Names in a client's certificate that are looked at. */
#define SANS_MAX 256
/* Longest name that can be allowed; URIs may be long. */
#define SAN_BYTES_MAX 2048

struct tls_context {
	_Atomic unsigned references;
	gnutls_certificate_credentials_t credentials;
	gnutls_priority_t priorities;
	gnutls_priority_t older_priorities; /* of TLS up to 1.2; NULL = the same */
	enum tls_client_auth client_auth;
	char **allowed_sans; /* owned array of owned texts */
	size_t san_count;
	int64_t expiry;
};

struct tls_source {
	pthread_mutex_t lock;
	struct tls_context *context;
};

/* ---- Reading. ---- */

static const char *
name_of(const struct tls_pem *pem)
{
	return pem->path ? pem->path : "the text given";
}

/* What is wrong, and with what. */
struct report {
	struct buf *error;
	const struct tls_pem *wrong;
};

static bool
read_pem(const struct tls_pem *pem, struct buf *out, struct report *report)
{
	if (!pem->path) {
		buf_add_text(out, pem->text);
		return true;
	}
	int fault = file_read(pem->path, O_NONBLOCK, PEM_BYTES_MAX, out);
	if (fault) {
		report->wrong = pem;
		buf_printf(report->error, "%s: %s", pem->path,
			   fault == EFBIG ? "larger than 1 MiB" : log_errno_text(fault));
	}
	return !fault;
}

static gnutls_datum_t
datum_of(const struct buf *buf)
{
	return (gnutls_datum_t){(unsigned char *)buf->ptr, (unsigned)buf->len};
}

static bool
note_expiry(struct tls_context *context, const gnutls_datum_t *certificate)
{
	gnutls_x509_crt_t first;
	if (gnutls_x509_crt_init(&first) != 0)
		return false;
	bool is_good = gnutls_x509_crt_import(first, certificate, GNUTLS_X509_FMT_PEM) == 0;
	context->expiry = is_good ? (int64_t)gnutls_x509_crt_get_expiration_time(first) : 0;
	gnutls_x509_crt_deinit(first);
	return is_good;
}

/* Nobody is there who could be asked for a passphrase. */
static const char *
key_fault_text(int fault)
{
	switch (fault) {
	case GNUTLS_E_DECRYPTION_FAILED:
		return "the key must have no passphrase";
	case GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE:
		return "no key in it";
	default:
		return gnutls_strerror(fault);
	}
}

static void
wipe(struct buf *key)
{
	if (key->ptr)
		gnutls_memset(key->ptr, 0, key->len);
	buf_fini(key);
}

static bool
set_pair(struct tls_context *context, const struct tls_settings *settings,
	 const gnutls_datum_t *certificate, const gnutls_datum_t *key, struct report *report)
{
	const char *name = name_of(&settings->certificate);
	report->wrong = &settings->certificate;
	if (!note_expiry(context, certificate)) {
		buf_printf(report->error, "%s: no certificate in it that can be read", name);
		return false;
	}
	int fault = gnutls_certificate_set_x509_key_mem2(context->credentials, certificate, key,
							 GNUTLS_X509_FMT_PEM, NULL, 0);
	if (fault != GNUTLS_E_CERTIFICATE_KEY_MISMATCH)
		report->wrong = &settings->key;
	if (fault < 0)
		buf_printf(report->error, "%s with the key in %s: %s", name,
			   name_of(&settings->key), key_fault_text(fault));
	return fault >= 0;
}

static bool
load_certificate(struct tls_context *context, const struct tls_settings *settings,
		 struct report *report)
{
	struct buf certificate = BUF_INIT, key = BUF_INIT;
	bool is_good = read_pem(&settings->certificate, &certificate, report) &&
		       read_pem(&settings->key, &key, report);
	if (is_good) {
		gnutls_datum_t datum = datum_of(&certificate), key_datum = datum_of(&key);
		is_good = set_pair(context, settings, &datum, &key_datum, report);
	}
	buf_fini(&certificate);
	wipe(&key);
	return is_good;
}

static bool
load_authorities(struct tls_context *context, const struct tls_pem *pem, struct report *report)
{
	struct buf text = BUF_INIT;
	if (!pem->path && !pem->text)
		return true;
	bool is_good = read_pem(pem, &text, report);
	if (is_good) {
		gnutls_datum_t datum = datum_of(&text);
		int count = gnutls_certificate_set_x509_trust_mem(context->credentials, &datum,
								  GNUTLS_X509_FMT_PEM);
		is_good = count > 0;
		if (!is_good) {
			report->wrong = pem;
			buf_printf(report->error, "%s: %s", name_of(pem),
				   count ? gnutls_strerror(count) : "no certificate in it");
		}
	}
	buf_fini(&text);
	return is_good;
}

static bool
init_priorities(gnutls_priority_t *priorities, struct buf *text, struct buf *error)
{
	const char *at = NULL;
	int fault = gnutls_priority_init(priorities, buf_text(text), &at);
	if (fault)
		buf_printf(error, "GnuTLS does not take \"%s\": %s", at ? at : buf_text(text),
			   gnutls_strerror(fault));
	return fault == 0;
}

static bool
set_priorities(struct tls_context *context, const struct tls_settings *settings, struct buf *error)
{
	struct buf text = BUF_INIT, older = BUF_INIT;
	tls_settings_add_priorities(settings, &text);
	bool is_good = init_priorities(&context->priorities, &text, error);
	if (is_good && tls_settings_add_older_priorities(settings, &older))
		is_good = init_priorities(&context->older_priorities, &older, error);
	buf_fini(&text);
	buf_fini(&older);
	return is_good;
}

static void
copy_sans(struct tls_context *context, const struct tls_settings *settings)
{
	context->allowed_sans = xcalloc(settings->san_count + 1, sizeof(char *));
	for (size_t i = 0; i < settings->san_count; i++)
		context->allowed_sans[i] =
		    xmemdup0(settings->allowed_sans[i], strlen(settings->allowed_sans[i]));
	context->san_count = settings->san_count;
}

struct tls_context *
tls_context_new(const struct tls_settings *settings, struct buf *error,
		const struct tls_pem **wrong)
{
	struct report report = {.error = error};
	struct tls_context *context = xcalloc(1, sizeof(*context));
	context->references = 1;
	context->client_auth = settings->client_auth;
	copy_sans(context, settings);
	CHECK(gnutls_certificate_allocate_credentials(&context->credentials) == 0);
	bool is_loaded = load_certificate(context, settings, &report) &&
			 load_authorities(context, &settings->client_ca, &report);
	*wrong = is_loaded ? NULL : report.wrong;
	if (!is_loaded || !set_priorities(context, settings, error))
		tls_context_unref(&context);
	return context;
}

void
tls_context_unref(struct tls_context **context_ptr)
{
	struct tls_context *context = *context_ptr;
	*context_ptr = NULL;
	if (!context || atomic_fetch_sub(&context->references, 1) != 1)
		return;
	gnutls_certificate_free_credentials(context->credentials);
	if (context->priorities)
		gnutls_priority_deinit(context->priorities);
	if (context->older_priorities)
		gnutls_priority_deinit(context->older_priorities);
	for (size_t i = 0; i < context->san_count; i++)
		free(context->allowed_sans[i]);
	free(context->allowed_sans);
	free(context);
}

int64_t
tls_context_expiry(const struct tls_context *context)
{
	return context->expiry;
}

/* ---- Files of others. ---- */

/* @return a pem that borrows the path, for what only reads it */
static struct tls_pem
pem_of(const char *path)
{
	return (struct tls_pem){.path = (char *)(uintptr_t)path};
}

bool
tls_check_authorities(const char *path, struct buf *error)
{
	struct tls_context context = {0};
	struct tls_pem pem = pem_of(path);
	CHECK(gnutls_certificate_allocate_credentials(&context.credentials) == 0);
	bool is_good = load_authorities(&context, &pem, &(struct report){.error = error});
	gnutls_certificate_free_credentials(context.credentials);
	return is_good;
}

bool
tls_check_key(const char *path, struct buf *error)
{
	struct buf text = BUF_INIT;
	struct tls_pem pem = pem_of(path);
	bool is_good = read_pem(&pem, &text, &(struct report){.error = error});
	if (is_good) {
		gnutls_x509_privkey_t key;
		gnutls_datum_t datum = datum_of(&text);
		CHECK(gnutls_x509_privkey_init(&key) == 0);
		int fault = gnutls_x509_privkey_import2(key, &datum, GNUTLS_X509_FMT_PEM, NULL, 0);
		gnutls_x509_privkey_deinit(key);
		is_good = fault == 0;
		if (!is_good)
			buf_printf(error, "%s: %s", path, key_fault_text(fault));
	}
	wipe(&text);
	return is_good;
}

bool
tls_check_pair(const char *certificate_path, const char *key_path, struct buf *error)
{
	struct tls_context context = {0};
	struct tls_settings settings = {.certificate = pem_of(certificate_path),
					.key = pem_of(key_path)};
	CHECK(gnutls_certificate_allocate_credentials(&context.credentials) == 0);
	bool is_good = load_certificate(&context, &settings, &(struct report){.error = error});
	gnutls_certificate_free_credentials(context.credentials);
	return is_good;
}

/* ---- The context in force. ---- */

struct tls_source *
tls_source_new(struct tls_context *context)
{
	struct tls_source *source = xcalloc(1, sizeof(*source));
	pthread_mutex_init(&source->lock, NULL);
	source->context = context;
	return source;
}

void
tls_source_exchange(struct tls_source *source, struct tls_context *context)
{
	pthread_mutex_lock(&source->lock);
	struct tls_context *before = source->context;
	source->context = context;
	pthread_mutex_unlock(&source->lock);
	tls_context_unref(&before);
}

static struct tls_context *
take_context(struct tls_source *source)
{
	pthread_mutex_lock(&source->lock);
	struct tls_context *context = source->context;
	context->references++;
	pthread_mutex_unlock(&source->lock);
	return context;
}

int64_t
tls_source_expiry(struct tls_source *source)
{
	struct tls_context *context = take_context(source);
	int64_t expiry = context->expiry;
	tls_context_unref(&context);
	return expiry;
}

void
tls_source_free(struct tls_source **source)
{
	if (!*source)
		return;
	tls_context_unref(&(*source)->context);
	pthread_mutex_destroy(&(*source)->lock);
	free(*source);
	*source = NULL;
}

/* ---- Connections. ---- */

/* @type of the name: an address is bytes and is compared as text */
static bool
is_allowed(const struct tls_context *context, int type, const char *name, size_t len)
{
	char address[INET6_ADDRSTRLEN];
	struct span text = span_of(name, len);
	if (type == GNUTLS_SAN_IPADDRESS) {
		if (len != 4 && len != 16)
			return false;
		text = span_text(
		    inet_ntop(len == 4 ? AF_INET : AF_INET6, name, address, sizeof(address)));
	} else if (type != GNUTLS_SAN_DNSNAME && type != GNUTLS_SAN_RFC822NAME &&
		   type != GNUTLS_SAN_URI) {
		return false;
	}
	for (size_t i = 0; i < context->san_count; i++)
		if (span_equal(text, span_text(context->allowed_sans[i])))
			return true;
	return false;
}

static bool
has_allowed_name(const struct tls_context *context, gnutls_session_t session)
{
	unsigned count;
	const gnutls_datum_t *chain = gnutls_certificate_get_peers(session, &count);
	gnutls_x509_crt_t first;
	bool found = false;
	if (!chain || gnutls_x509_crt_init(&first) != 0)
		return false;
	bool is_good = gnutls_x509_crt_import(first, &chain[0], GNUTLS_X509_FMT_DER) == 0;
	for (unsigned i = 0; is_good && !found && i < SANS_MAX; i++) {
		char name[SAN_BYTES_MAX];
		size_t len = sizeof(name);
		int type = gnutls_x509_crt_get_subject_alt_name(first, i, name, &len, NULL);
		if (type == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
			break;
		found = type >= 0 && is_allowed(context, type, name, len);
	}
	gnutls_x509_crt_deinit(first);
	return found;
}

static bool
is_chain_good(gnutls_session_t session)
{
	static unsigned char oid[] = GNUTLS_KP_TLS_WWW_CLIENT;
	gnutls_typed_vdata_st purpose = {.type = GNUTLS_DT_KEY_PURPOSE_OID, .data = oid};
	unsigned status = 0;
	return gnutls_certificate_verify_peers(session, &purpose, 1, &status) == 0 && status == 0;
}

/* @return 0 when the client may go on. Called during its handshake, if it was asked. */
static int
verify(gnutls_session_t session)
{
	const struct tls_peer *peer = gnutls_session_get_ptr(session);
	const struct tls_context *context = peer->context;
	unsigned count;
	if (!gnutls_certificate_get_peers(session, &count))
		return 0; /* GnuTLS itself insists where one is required */
	bool is_checked = context->client_auth >= TLS_CLIENT_VERIFY_IF_GIVEN;
	if (is_checked && !is_chain_good(session))
		return GNUTLS_E_CERTIFICATE_ERROR;
	if (context->san_count && !has_allowed_name(context, session))
		return GNUTLS_E_CERTIFICATE_ERROR;
	return 0;
}

const char *
tls_failure_text(enum tls_failure failure)
{
	static const char *const texts[TLS_FAILURES] = {
	    [TLS_FAILURE_BROKEN] = "broken",
	    [TLS_FAILURE_LEFT] = "left",
	    [TLS_FAILURE_LATE] = "late",
	    [TLS_FAILURE_CROWD] = "crowd",
	};
	return texts[failure];
}

/*
 * Before and behind each message of a handshake. Its cost lies between a message that came and the
 * answers to it, which GnuTLS makes in one go; before a message comes the thread does other things.
 *
 * The server's last message of its first flight is "hello done", or in TLS 1.3 "finished". The
 * client's "finished" is the last message of a handshake that counts.
 */
static int
on_message(gnutls_session_t session, unsigned type, unsigned when, unsigned incoming,
	   const gnutls_datum_t *message)
{
	(void)message;
	struct tls_peer *peer = gnutls_session_get_ptr(session);
	if (peer->is_established)
		return 0;
	if (peer->is_refused)
		return GNUTLS_E_UNEXPECTED_HANDSHAKE_PACKET;
	int64_t now_us = clock_thread_us();
	bool has_come = incoming && when == GNUTLS_HOOK_PRE;
	if (!has_come)
		tls_guest_charge(peer->guest, now_us - peer->since_us);
	peer->since_us = now_us;
	bool is_finished = type == GNUTLS_HANDSHAKE_FINISHED && when == GNUTLS_HOOK_POST;
	peer->is_established |= is_finished && incoming;
	peer->is_answered |= is_finished || type == GNUTLS_HANDSHAKE_SERVER_HELLO_DONE;
	return 0;
}

/* The version is known, and the suite is chosen next: GnuTLS has one list for all versions. */
static int
on_client_hello(gnutls_session_t session)
{
	const struct tls_peer *peer = gnutls_session_get_ptr(session);
	gnutls_priority_t older = peer->context->older_priorities;
	if (!older || gnutls_protocol_get_version(session) >= GNUTLS_TLS1_3)
		return 0;
	return gnutls_priority_set(session, older);
}

static gnutls_certificate_request_t
request_of(enum tls_client_auth client_auth)
{
	switch (client_auth) {
	case TLS_CLIENT_NONE:
		return GNUTLS_CERT_IGNORE;
	case TLS_CLIENT_REQUEST:
	case TLS_CLIENT_VERIFY_IF_GIVEN:
		return GNUTLS_CERT_REQUEST;
	case TLS_CLIENT_REQUIRE_ANY:
	case TLS_CLIENT_REQUIRE_AND_VERIFY:
		break;
	}
	return GNUTLS_CERT_REQUIRE;
}

void
tls_peer_begin(struct tls_peer *peer, struct tls_source *source, gnutls_session_t session,
	       const char *protocol, struct tls_guest *guest)
{
	struct tls_context *context = take_context(source);
	peer->context = context;
	peer->guest = guest;
	gnutls_session_set_ptr(session, peer);
	CHECK(gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, context->credentials) == 0);
	CHECK(gnutls_priority_set(session, context->priorities) == 0);
	gnutls_certificate_server_set_request(session, request_of(context->client_auth));
	if (context->client_auth != TLS_CLIENT_NONE)
		gnutls_session_set_verify_function(session, verify);
	gnutls_handshake_set_post_client_hello_function(session, on_client_hello);
	gnutls_handshake_set_hook_function(session, GNUTLS_HANDSHAKE_ANY, GNUTLS_HOOK_BOTH,
					   on_message);
	if (protocol) {
		gnutls_datum_t name = {(unsigned char *)(uintptr_t)protocol,
				       (unsigned)strlen(protocol)};
		CHECK(gnutls_alpn_set_protocols(session, &name, 1, 0) == 0);
	}
}

void
tls_peer_end(struct tls_peer *peer)
{
	tls_context_unref(&peer->context);
}

static int
refuse_certificate(gnutls_session_t session, const gnutls_datum_t *authorities, int authority_count,
		   const gnutls_pk_algorithm_t *algorithms, int algorithm_count,
		   gnutls_pcert_st **certificates, unsigned *count, gnutls_privkey_t *key)
{
	(void)session, (void)authorities, (void)authority_count, (void)algorithms;
	(void)algorithm_count, (void)certificates, (void)count, (void)key;
	return -1;
}

tls_refusal_fn *
tls_refusal(void)
{
	return (tls_refusal_fn *)refuse_certificate;
}
