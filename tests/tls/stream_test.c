/* Both ends in one thread, over a socket pair; the client is GnuTLS's own. */
#include "test.h"

#include "authority.h"
#include "base/alloc.h"
#include "tls/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_SIZE ((size_t)2 * TLS_RECORD_MAX)
/* More steps than any exchange of messages takes. */
#define STEPS 100

enum { SERVER, OTHER_SERVER, CLIENT, FOREIGN_CLIENT, PAIRS };

static struct issued authority, foreign_authority, pairs[PAIRS];

struct link {
	struct tls_source *source;
	struct tls_admission *admission;
	struct tls_guest guest;
	struct tls_stream *stream;
	int fd, client_fd; /* the server's end, and the client's */
	gnutls_session_t client;
	gnutls_certificate_credentials_t credentials;
	bool is_client_ready;
	ssize_t outcome; /* the server's last one */
	int error;
	char bytes[READ_SIZE];
};

static int
setup_authorities(void **state)
{
	(void)state;
	authority = authority_issue(NULL, "authority", NULL, GNUTLS_PK_ECDSA);
	foreign_authority = authority_issue(NULL, "foreign", NULL, GNUTLS_PK_ECDSA);
	for (int i = 0; i < PAIRS; i++)
		pairs[i] = authority_issue(
		    i == FOREIGN_CLIENT ? &foreign_authority : &authority, "pair",
		    i >= CLIENT ? GNUTLS_KP_TLS_WWW_CLIENT : GNUTLS_KP_TLS_WWW_SERVER,
		    GNUTLS_PK_ECDSA);
	return 0;
}

static int
teardown_authorities(void **state)
{
	(void)state;
	for (int i = 0; i < PAIRS; i++)
		issued_fini(&pairs[i]);
	issued_fini(&authority);
	issued_fini(&foreign_authority);
	return 0;
}

static char *
text_of(const gnutls_datum_t *pem)
{
	return xmemdup0((const char *)pem->data, pem->size);
}

/* @settings consumed; what it says of certificates is set here */
static struct tls_context *
context_new(struct tls_settings settings, const struct issued *server)
{
	struct buf error = BUF_INIT;
	const struct tls_pem *wrong;
	settings.certificate.text = text_of(&server->certificate_pem);
	settings.key.text = text_of(&server->key_pem);
	if (settings.client_auth != TLS_CLIENT_NONE)
		settings.client_ca.text = text_of(&authority.certificate_pem);
	struct tls_context *context = tls_context_new(&settings, &error, &wrong);
	if (!context)
		fail_msg("%s", buf_text(&error));
	tls_settings_fini(&settings);
	buf_fini(&error);
	return context;
}

static struct tls_source *
source_new(struct tls_settings settings)
{
	return tls_source_new(context_new(settings, &pairs[SERVER]));
}

/* @priorities the client's; NULL = its own choice. @pair the client's certificate, or NULL */
static struct link
link_open(struct tls_source *source, const char *priorities, const struct issued *pair)
{
	struct link link = {.source = source, .admission = tls_admission_new(1)};
	int fds[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	link.fd = fds[0];
	link.client_fd = fds[1];
	assert_int_equal(gnutls_init(&link.client, GNUTLS_CLIENT | GNUTLS_NONBLOCK |
						       GNUTLS_NO_SIGNAL | GNUTLS_FORCE_CLIENT_CERT),
			 0);
	assert_int_equal(gnutls_certificate_allocate_credentials(&link.credentials), 0);
	if (pair)
		assert_int_equal(
		    gnutls_certificate_set_x509_key_mem(link.credentials, &pair->certificate_pem,
							&pair->key_pem, GNUTLS_X509_FMT_PEM),
		    0);
	assert_int_equal(
	    gnutls_credentials_set(link.client, GNUTLS_CRD_CERTIFICATE, link.credentials), 0);
	assert_int_equal(
	    gnutls_priority_set_direct(link.client, priorities ? priorities : "NORMAL", NULL), 0);
	gnutls_transport_set_int(link.client, link.client_fd);
	return link;
}

/* What points into the link begins where it stays. */
static void
link_begin(struct link *link)
{
	tls_guest_init(&link->guest, link->admission, (struct address_group){.id = 1});
	link->stream = tls_stream_new(link->source, link->fd, &link->guest);
}

static ssize_t
server_reads(struct link *link)
{
	link->outcome = tls_stream_read(link->stream, link->bytes, READ_SIZE);
	link->error = link->outcome < 0 ? errno : 0;
	return link->outcome;
}

static bool
is_server_waiting(const struct link *link)
{
	return link->outcome < 0 && link->error == EAGAIN;
}

/* @return whether both sides say that it is over */
static bool
shake_hands(struct link *link)
{
	link_begin(link);
	for (int i = 0; i < STEPS; i++) {
		if (!link->is_client_ready) {
			int outcome = gnutls_handshake(link->client);
			link->is_client_ready = outcome == 0;
			if (outcome != 0 && gnutls_error_is_fatal(outcome))
				return false;
		}
		(void)server_reads(link);
		if (!is_server_waiting(link))
			return false;
		if (link->is_client_ready && tls_stream_is_established(link->stream))
			return true;
	}
	return false;
}

static void
client_sends(struct link *link, const char *text)
{
	assert_int_equal(gnutls_record_send(link->client, text, strlen(text)), strlen(text));
}

static void
assert_reads(struct link *link, const char *text)
{
	assert_int_equal(server_reads(link), strlen(text));
	assert_memory_equal(link->bytes, text, strlen(text));
}

static void
assert_fails(struct link *link, int error)
{
	assert_int_equal(server_reads(link), -1);
	assert_int_equal(link->error, error);
}

static void
link_close(struct link *link)
{
	tls_stream_free(&link->stream);
	tls_admission_free(&link->admission);
	gnutls_deinit(link->client);
	gnutls_certificate_free_credentials(link->credentials);
	close(link->fd);
	close(link->client_fd);
}

#define V12 "NORMAL:-VERS-ALL:+VERS-TLS1.2"
#define V13 "NORMAL:-VERS-ALL:+VERS-TLS1.3"
static const char *const versions[] = {V12, V13};
#define FOR_EACH_VERSION(i) for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++)

static void
test_read(void **state)
{
	(void)state;
	struct tls_source *source = source_new(tls_settings_new());
	FOR_EACH_VERSION(i)
	{
		struct link link = link_open(source, versions[i], NULL);
		assert_true(shake_hands(&link));
		assert_true(tls_stream_is_answered(link.stream));
		client_sends(&link, "a:1|c\n");
		assert_reads(&link, "a:1|c\n");
		assert_fails(&link, EAGAIN);
		/* Several records are read at once, and an end behind them is told by the next
		 * read. */
		client_sends(&link, "b:1|c\n");
		client_sends(&link, "c:1|c\n");
		assert_int_equal(gnutls_bye(link.client, GNUTLS_SHUT_WR), 0);
		assert_reads(&link, "b:1|c\nc:1|c\n");
		assert_true(tls_stream_has_ended(link.stream));
		assert_int_equal(server_reads(&link), 0);
		assert_int_equal(server_reads(&link), 0);
		link_close(&link);
	}
	tls_source_free(&source);
}

/* Whoever cuts a connection is told from a sender who ended it. */
static void
test_read__cut(void **state)
{
	(void)state;
	struct tls_source *source = source_new(tls_settings_new());
	FOR_EACH_VERSION(i)
	{
		struct link link = link_open(source, versions[i], NULL);
		assert_true(shake_hands(&link));
		client_sends(&link, "a:1");
		assert_int_equal(shutdown(link.client_fd, SHUT_WR), 0);
		assert_reads(&link, "a:1");
		assert_fails(&link, EPIPE);
		link_close(&link);
	}
	tls_source_free(&source);
}

static ssize_t
push_kept(gnutls_transport_ptr_t ctx, const void *bytes, size_t len)
{
	buf_add(ctx, bytes, len);
	return (ssize_t)len;
}

static ssize_t
pull_nothing(gnutls_transport_ptr_t ctx, void *bytes, size_t size)
{
	(void)ctx, (void)bytes, (void)size;
	errno = EAGAIN;
	return -1;
}

/* A record that comes byte by byte is none before its last one. */
static void
test_read__byte_by_byte(void **state)
{
	(void)state;
	struct tls_source *source = source_new(tls_settings_new());
	struct link link = link_open(source, NULL, NULL);
	struct buf record = BUF_INIT;
	assert_true(shake_hands(&link));
	gnutls_transport_set_ptr(link.client, &record);
	gnutls_transport_set_push_function(link.client, push_kept);
	gnutls_transport_set_pull_function(link.client, pull_nothing);
	client_sends(&link, "a:1|c\n");
	for (size_t i = 0; i < record.len; i++) {
		assert_fails(&link, EAGAIN);
		assert_int_equal(write(link.client_fd, record.ptr + i, 1), 1);
	}
	assert_reads(&link, "a:1|c\n");
	buf_fini(&record);
	link_close(&link);
	tls_source_free(&source);
}

static void
test_read__garbage(void **state)
{
	(void)state;
	static const struct {
		const char *bytes;
		size_t len;
		bool is_behind; /* the handshake */
	} cases[] = {
	    {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 27, false},
	    {"\x16\x03\x01\x00\x05\x01\x00\x00\x01\xff", 10, false},
	    {"\x16\x03\x01\xff\xff                ", 21, false},
	    {"\x17\x03\x03\x00\x05hello", 10, false},
	    {"\x17\x03\x03\x00\x20xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", 37, true},
	    {"a:1|c\nb:1|c\n", 12, true},
	};
	struct tls_source *source = source_new(tls_settings_new());
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct link link = link_open(source, NULL, NULL);
		if (cases[i].is_behind)
			assert_true(shake_hands(&link));
		else
			link_begin(&link);
		assert_int_equal(write(link.client_fd, cases[i].bytes, cases[i].len), cases[i].len);
		assert_fails(&link, EPROTO);
		link_close(&link);
	}
	tls_source_free(&source);
}

static void
test_client_certificates(void **state)
{
	(void)state;
	static const struct {
		enum tls_client_auth demand;
		bool none, good, foreign; /* whether who has such a certificate gets in */
	} cases[] = {
	    {TLS_CLIENT_NONE, true, true, true},
	    {TLS_CLIENT_REQUEST, true, true, true},
	    {TLS_CLIENT_REQUIRE_ANY, false, true, true},
	    {TLS_CLIENT_VERIFY_IF_GIVEN, true, true, false},
	    {TLS_CLIENT_REQUIRE_AND_VERIFY, false, true, false},
	};
	const struct issued *const given[] = {NULL, &pairs[CLIENT], &pairs[FOREIGN_CLIENT]};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const bool wanted[] = {cases[i].none, cases[i].good, cases[i].foreign};
		struct tls_settings settings = tls_settings_new();
		settings.client_auth = cases[i].demand;
		struct tls_source *source = source_new(settings);
		for (size_t j = 0; j < sizeof(given) / sizeof(given[0]); j++) {
			FOR_EACH_VERSION(k)
			{
				struct link link = link_open(source, versions[k], given[j]);
				if (shake_hands(&link) != wanted[j])
					fail_msg("demand %zu, certificate %zu, version %zu", i, j,
						 k);
				link_close(&link);
			}
		}
		tls_source_free(&source);
	}
}

/* @return whether the server has shown this certificate */
static bool
has_shown(const struct link *link, const struct issued *issued)
{
	unsigned count;
	const gnutls_datum_t *shown = gnutls_certificate_get_peers(link->client, &count);
	gnutls_datum_t der;
	assert_true(count >= 1);
	assert_int_equal(gnutls_x509_crt_export2(issued->certificate, GNUTLS_X509_FMT_DER, &der),
			 0);
	bool is_same = der.size == shown->size && memcmp(der.data, shown->data, der.size) == 0;
	gnutls_free(der.data);
	return is_same;
}

static void
test_exchange(void **state)
{
	(void)state;
	struct tls_source *source = source_new(tls_settings_new());
	struct link before = link_open(source, NULL, NULL), after = link_open(source, NULL, NULL);
	assert_true(shake_hands(&before));
	tls_source_exchange(source, context_new(tls_settings_new(), &pairs[OTHER_SERVER]));
	assert_true(shake_hands(&after));
	assert_true(has_shown(&before, &pairs[SERVER]));
	assert_true(has_shown(&after, &pairs[OTHER_SERVER]));
	client_sends(&before, "a:1|c\n");
	assert_reads(&before, "a:1|c\n");
	link_close(&before);
	link_close(&after);
	tls_source_free(&source);
}

static struct tls_choices
choices_of(const char *const names[2])
{
	struct tls_choices choices = {.count = 0};
	for (size_t i = 0; i < 2 && names[i]; i++) {
		int suite = tls_name_find(TLS_SUITES, span_text(names[i]));
		assert_true(suite >= 0);
		choices.items[choices.count++] = (unsigned char)suite;
	}
	return choices;
}

#define ONLY(cipher) ":-CIPHER-ALL:+" cipher
#define CBC "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA"
#define GCM "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"
#define GCM_256 "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"
#define NEW_GCM_256 "TLS_AES_256_GCM_SHA384"
#define NEW_CHACHA "TLS_CHACHA20_POLY1305_SHA256"

/* A list is for TLS up to 1.2; TLS 1.3 has all of its own suites, whatever is listed. */
static void
test_versions_and_suites(void **state)
{
	(void)state;
	static const struct {
		unsigned min_version, max_version; /* in TLS_VERSIONS */
		const char *listed[2];             /* none = all */
		const char *client;
		const char *agreed; /* suite; NULL = none can be */
	} cases[] = {
	    {2, 3, {NULL}, "NORMAL:-VERS-ALL:+VERS-TLS1.1", NULL},
	    {2, 2, {NULL}, V13, NULL},
	    {2, 2, {NULL}, "NORMAL", GCM_256},
	    {2, 3, {NULL}, "NORMAL", NEW_GCM_256},
	    {3, 3, {NULL}, V12, NULL},
	    {3, 3, {NULL}, "NORMAL", NEW_GCM_256},
	    {2, 2, {GCM}, "NORMAL", GCM},
	    {2, 2, {GCM}, "NORMAL:-CIPHER-ALL:+AES-256-GCM:+CHACHA20-POLY1305", NULL},
	    {2, 3, {GCM}, V12, GCM},
	    {2, 3, {GCM}, V12 ONLY("AES-256-GCM"), NULL},
	    {2, 3, {GCM}, V13 ONLY("AES-256-GCM"), NEW_GCM_256},
	    {2, 3, {CBC}, "NORMAL", NEW_GCM_256},
	    {2, 3, {CBC}, V13 ONLY("CHACHA20-POLY1305"), NEW_CHACHA},
	    {2, 3, {CBC}, V12, CBC},
	    {2, 3, {CBC}, V12 ONLY("AES-128-CBC"), NULL},
	    {2, 3, {CBC}, V12 ONLY("AES-128-GCM"), NULL},
	    {2, 3, {CBC, GCM}, V12, CBC},
	    {2, 3, {GCM, CBC}, V12, GCM},
	    {2, 2, {CBC}, "NORMAL", CBC},
	    {3, 3, {CBC}, "NORMAL", NEW_GCM_256},
	    {3, 3, {NEW_CHACHA}, "NORMAL", NEW_GCM_256},
	    {3, 3, {NEW_CHACHA}, "NORMAL:-CIPHER-ALL:+AES-256-GCM", NEW_GCM_256},
	    /* Exchange in a finite field is dear. */
	    {3, 3, {NULL}, "NORMAL:-GROUP-ALL:+GROUP-FFDHE8192", NULL},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct tls_settings settings = tls_settings_new();
		settings.min_version = cases[i].min_version;
		settings.max_version = cases[i].max_version;
		settings.suites = choices_of(cases[i].listed);
		struct tls_source *source = source_new(settings);
		struct link link = link_open(source, cases[i].client, NULL);
		const char *agreed = shake_hands(&link) ? gnutls_ciphersuite_get(link.client) : "";
		const char *wanted = cases[i].agreed ? cases[i].agreed : "";
		if (strcmp(agreed, wanted) != 0)
			fail_msg("case %zu: \"%s\" instead of \"%s\"", i, agreed, wanted);
		link_close(&link);
		tls_source_free(&source);
	}
}

/* Keys may change, but nobody lives on changing them. */
static void
test_key_updates(void **state)
{
	(void)state;
	struct tls_source *source = source_new(tls_settings_new());
	struct link link = link_open(source, versions[1], NULL);
	assert_true(shake_hands(&link));
	assert_int_equal(gnutls_session_key_update(link.client, GNUTLS_KU_PEER), 0);
	client_sends(&link, "a:1|c\n");
	assert_fails(&link, EAGAIN); /* the update comes alone */
	assert_reads(&link, "a:1|c\n");
	for (int i = 0; i < STEPS; i++)
		assert_int_equal(gnutls_session_key_update(link.client, 0), 0);
	for (int i = 0; i < STEPS && (i == 0 || is_server_waiting(&link)); i++)
		(void)server_reads(&link);
	assert_int_equal(link.outcome, -1);
	assert_int_equal(link.error, EPROTO);
	link_close(&link);
	tls_source_free(&source);
}

/* A client of TLS 1.2 that begins another handshake would have the server's key at work again. */
static void
test_renegotiation(void **state)
{
	(void)state;
	struct tls_source *source = source_new(tls_settings_new());
	struct link link = link_open(source, versions[0], NULL);
	assert_true(shake_hands(&link));
	assert_int_equal(gnutls_handshake(link.client), GNUTLS_E_AGAIN);
	assert_fails(&link, EPROTO);
	link_close(&link);
	tls_source_free(&source);
}

/* What a handshake costs is held against who has it, and not before it costs something. */
static void
test_charge(void **state)
{
	(void)state;
	struct tls_source *source = source_new(tls_settings_new());
	struct link link = link_open(source, NULL, NULL);
	link_begin(&link);
	assert_fails(&link, EAGAIN);
	assert_false(tls_stream_is_answered(link.stream));
	assert_int_equal(gnutls_handshake(link.client), GNUTLS_E_AGAIN);
	assert_fails(&link, EAGAIN);
	assert_true(tls_stream_is_answered(link.stream));
	assert_false(tls_stream_is_established(link.stream));
	/* Of two groups that wait, the other one comes first now. */
	struct tls_guest other;
	tls_guest_init(&other, link.admission, (struct address_group){.id = 2});
	tls_guest_wait(&link.guest);
	tls_guest_wait(&other);
	assert_ptr_equal(tls_admission_take(link.admission), &other);
	tls_guest_leave(&link.guest);
	link_close(&link);
	tls_source_free(&source);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_read),
	    cmocka_unit_test(test_read__cut),
	    cmocka_unit_test(test_read__byte_by_byte),
	    cmocka_unit_test(test_read__garbage),
	    cmocka_unit_test(test_client_certificates),
	    cmocka_unit_test(test_exchange),
	    cmocka_unit_test(test_versions_and_suites),
	    cmocka_unit_test(test_key_updates),
	    cmocka_unit_test(test_renegotiation),
	    cmocka_unit_test(test_charge),
	};
	return cmocka_run_group_tests(tests, setup_authorities, teardown_authorities);
}
