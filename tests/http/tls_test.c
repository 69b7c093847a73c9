/* Requests over TLS whose client is GnuTLS's own, in the server's thread. */
#include "http/harness.h"

#include "authority.h"

/* ---- A client. ---- */

struct client {
	struct fixture *fixture;
	int fd;
	struct buf out, in; /* out: sent by flush() */
	gnutls_session_t session;
	gnutls_certificate_credentials_t credentials;
};

static ssize_t
keep(gnutls_transport_ptr_t ctx, const void *bytes, size_t len)
{
	struct client *client = ctx;
	buf_add(&client->out, bytes, len);
	return (ssize_t)len;
}

static ssize_t
pull(gnutls_transport_ptr_t ctx, void *bytes, size_t len)
{
	return recv(((struct client *)ctx)->fd, bytes, len, MSG_DONTWAIT);
}

/* Sends what was kept in one go. */
static void
flush(struct client *client)
{
	send_bytes(client->fixture, client->fd, client->out.ptr, client->out.len);
	buf_reset(&client->out);
}

static bool
goes_on(struct client *client)
{
	int outcome = gnutls_handshake(client->session);
	flush(client);
	return outcome == 0;
}

static void
client_init(struct client *client, struct fixture *f, const char *address)
{
	*client = (struct client){
	    .fixture = f, .fd = dial_from(f, address, 0), .out = BUF_INIT, .in = BUF_INIT};
	assert_int_equal(gnutls_init(&client->session, GNUTLS_CLIENT | GNUTLS_NONBLOCK), 0);
	assert_int_equal(gnutls_certificate_allocate_credentials(&client->credentials), 0);
	assert_int_equal(
	    gnutls_credentials_set(client->session, GNUTLS_CRD_CERTIFICATE, client->credentials),
	    0);
	assert_int_equal(
	    gnutls_priority_set_direct(client->session, "NORMAL:-VERS-ALL:+VERS-TLS1.3", NULL), 0);
	gnutls_transport_set_ptr(client->session, client);
	gnutls_transport_set_push_function(client->session, keep);
	gnutls_transport_set_pull_function(client->session, pull);
}

static void
client_begin(struct client *client, struct fixture *f)
{
	client_init(client, f, "127.0.0.1");
	await(f, goes_on(client));
}

static void
client_end(struct client *client)
{
	gnutls_deinit(client->session);
	gnutls_certificate_free_credentials(client->credentials);
	close(client->fd);
	buf_fini(&client->out);
	buf_fini(&client->in);
}

static void
write_text(struct client *client, const char *text)
{
	assert_int_equal(gnutls_record_send(client->session, text, strlen(text)), strlen(text));
}

static void
change_keys(struct client *client)
{
	assert_int_equal(gnutls_session_key_update(client->session, 0), 0);
}

/* @return whether it has come by now, behind whatever else */
static bool
has_come(struct client *client, const char *text)
{
	char bytes[4096];
	ssize_t len;
	while ((len = gnutls_record_recv(client->session, bytes, sizeof(bytes))) > 0)
		buf_add(&client->in, bytes, (size_t)len);
	return holds(&client->in, text);
}

/* ---- A server. ---- */

static struct issued authority, pair;

static int
setup_authority(void **state)
{
	(void)state;
	authority = authority_issue(NULL, "authority", NULL, GNUTLS_PK_ECDSA);
	pair = authority_issue(&authority, "pair", GNUTLS_KP_TLS_WWW_SERVER, GNUTLS_PK_ECDSA);
	return 0;
}

static int
teardown_authority(void **state)
{
	(void)state;
	issued_fini(&pair);
	issued_fini(&authority);
	return 0;
}

static struct tls_source *
source_new(void)
{
	struct buf error = BUF_INIT;
	const struct tls_pem *wrong;
	struct tls_settings settings = tls_settings_new();
	settings.certificate.text = xstrdup((const char *)pair.certificate_pem.data);
	settings.key.text = xstrdup((const char *)pair.key_pem.data);
	struct tls_context *context = tls_context_new(&settings, &error, &wrong);
	if (!context)
		fail_msg("%s", buf_text(&error));
	tls_settings_fini(&settings);
	buf_fini(&error);
	return tls_source_new(context);
}

/* ---- Handshakes. ---- */

/* Bytes never make the time longer. */
static void
test_handshake__never_ends(void **state)
{
	(void)state;
	static const struct span starts[] = {
	    SPAN(""),
	    SPAN("\x16"),
	    SPAN("\x16\x03\x01\x00\x05\x01\x00\xff\xff\x03"),
	};
	struct tls_source *source = source_new();
	struct http_limits limits = ample;
	limits.handshake_us = SOON_US;
	struct fixture *f = start_secured(limits, source);
	for (unsigned i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
		struct buf in = BUF_INIT;
		int fd = dial(f);
		assert_int_equal(send(fd, starts[i].ptr, starts[i].len, MSG_NOSIGNAL),
				 starts[i].len);
		assert_string_equal(receive_all(f, fd, &in), "");
		assert_int_equal(stat_of(f, tls_failures[TLS_FAILURE_LATE]), i + 1);
		assert_int_equal(stat_of(f, deadlines), i + 1);
		buf_fini(&in);
	}
	stop(f);
	tls_source_free(&source);
}

/* One that is over has all the time of a request. */
static void
test_handshake__over_in_time(void **state)
{
	(void)state;
	struct tls_source *source = source_new();
	struct http_limits limits = ample;
	limits.handshake_us = 20 * SOON_US;
	struct fixture *f = start_secured(limits, source);
	struct client client;
	struct buf in = BUF_INIT;
	client_begin(&client, f);
	int late = dial(f);
	await(f, receive(late, &in));
	write_text(&client, GET("/hello"));
	flush(&client);
	await(f, has_come(&client, "hello\n"));
	assert_int_equal(stat_of(f, deadlines), 1);
	client_end(&client);
	close(late);
	buf_fini(&in);
	stop(f);
	tls_source_free(&source);
}

/* A request that came with its last words, and was answered at once, leaves the idle limit. */
static void
test_handshake__over_with_the_request(void **state)
{
	(void)state;
	struct tls_source *source = source_new();
	struct http_limits limits = ample;
	limits.request_us = 20 * SOON_US;
	struct fixture *f = start_secured(limits, source);
	struct client client, late;
	client_init(&client, f, "127.0.0.1");
	await(f, gnutls_handshake(client.session) == 0 || (flush(&client), false));
	write_text(&client, "GET /hello HTTP/1.1\r\n" H "\r\n");
	flush(&client);
	await(f, has_come(&client, "hello\n"));
	client_begin(&late, f);
	await(f, stat_of(f, deadlines) == 1 && stat_of(f, open) == 1);
	write_text(&client, GET("/list"));
	flush(&client);
	await(f, has_come(&client, "127.0.0.1"));
	client_end(&client);
	client_end(&late);
	stop(f);
	tls_source_free(&source);
}

/* Then its request has a deadline. */
static void
test_handshake__without_a_request(void **state)
{
	(void)state;
	struct tls_source *source = source_new();
	struct http_limits limits = ample;
	limits.request_us = SOON_US;
	struct fixture *f = start_secured(limits, source);
	struct client client;
	client_begin(&client, f);
	await(f, stat_of(f, open) == 0);
	assert_int_equal(stat_of(f, deadlines), 1);
	assert_int_equal(stat_of(f, tls_failures[TLS_FAILURE_LATE]), 0);
	client_end(&client);
	stop(f);
	tls_source_free(&source);
}

#define STRANGERS_MAX 100

/* In each round of the loop one more begins to wait for its turn. That puts off nobody's. */
static void
test_handshake__others_keep_coming(void **state)
{
	(void)state;
	struct tls_source *source = source_new();
	struct fixture *f = start_secured(ample, source);
	struct client client;
	int strangers[STRANGERS_MAX];
	size_t count = 0;
	client_init(&client, f, "127.0.0.1");
	while (!goes_on(&client)) {
		assert_true(count < STRANGERS_MAX);
		strangers[count] = dial_from(f, "127.0.0.2", 0);
		assert_int_equal(send(strangers[count], "\x16", 1, MSG_NOSIGNAL), 1);
		count++;
		step(f);
	}
	client_end(&client);
	while (count)
		close(strangers[--count]);
	await(f, stat_of(f, open) == 0);
	stop(f);
	tls_source_free(&source);
}

/* Shakes hands from an address; with a request, waits for its answer. */
static void
visit(struct fixture *f, const char *address, const char *request)
{
	struct client client;
	client_init(&client, f, address);
	await(f, goes_on(&client));
	if (request) {
		write_text(&client, request);
		flush(&client);
		await(f, has_come(&client, "hello\n"));
	}
	client_end(&client);
	await(f, stat_of(f, open) == 0);
}

static void
say_hello(struct client *client)
{
	assert_int_equal(gnutls_handshake(client->session), GNUTLS_E_AGAIN);
	assert_int_equal(send(client->fd, client->out.ptr, client->out.len, MSG_NOSIGNAL),
			 client->out.len);
	buf_reset(&client->out);
}

static bool
is_answered(const struct client *client)
{
	char byte;
	return recv(client->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1;
}

/* Visits of one that was let in, and of one that only shakes hands. */
#define WELCOME 8
#define IDLE 3
/* More than one turn is enough for. */
#define WAITING 16

static bool
is_any_answered(const struct client *clients)
{
	for (int i = 0; i < WAITING; i++)
		if (is_answered(&clients[i]))
			return true;
	return false;
}

/* Who was let in has its turn before others that have come less often for nothing. */
static void
test_handshake__welcome(void **state)
{
	(void)state;
	struct tls_source *source = source_new();
	struct fixture *f = start_secured(ample, source);
	struct client clients[WAITING];
	visit(f, "127.0.0.9", NULL); /* the first one costs more */
	for (int i = 0; i < WELCOME; i++)
		visit(f, "127.0.0.1", GET("/hello"));
	for (int i = 0; i < IDLE; i++)
		visit(f, "127.0.0.2", NULL);
	for (int i = 0; i < WAITING; i++) {
		client_init(&clients[i], f, i ? "127.0.0.2" : "127.0.0.1");
		say_hello(&clients[i]);
	}
	await(f, is_any_answered(clients));
	assert_true(is_answered(&clients[0]));
	for (int i = 0; i < WAITING; i++)
		client_end(&clients[i]);
	await(f, stat_of(f, open) == 0);
	stop(f);
	tls_source_free(&source);
}

/* ---- Changes of keys. ---- */

#define BEGIN "GET /hello HTTP/1.1\r\n"
#define REST H HEAD_END

/* What comes together with one and behind it is read all the same. */
static void
test_key_update__in_front_of_the_rest(void **state)
{
	(void)state;
	struct tls_source *source = source_new();
	struct fixture *f = start_secured(ample, source);
	struct client client;
	client_begin(&client, f);
	write_text(&client, BEGIN);
	flush(&client);
	step(f);
	change_keys(&client);
	change_keys(&client);
	write_text(&client, REST);
	flush(&client);
	await(f, has_come(&client, "hello\n"));
	client_end(&client);
	await(f, stat_of(f, open) == 0);
	stop(f);
	tls_source_free(&source);
}

/* ---- Answers that come later. ---- */

/* A silent client that is accepted in the same round of the loop, after that, holds nothing up. */
static void
test_later__another_client_comes_with_the_answer(void **state)
{
	(void)state;
	struct tls_source *source = source_new();
	struct fixture *f = start_secured(ample, source);
	struct client client;
	ev_check check;
	client_begin(&client, f);
	write_text(&client, GET("/later"));
	flush(&client);
	await(f, f->laters == 1);
	int silent = dial(f);
	ev_check_init(&check, answer_now);
	check.data = f;
	ev_check_start(f->loop, &check);
	await(f, has_come(&client, "late\n"));
	client_end(&client);
	close(silent);
	await(f, stat_of(f, open) == 0);
	stop(f);
	tls_source_free(&source);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_handshake__never_ends),
	    cmocka_unit_test(test_handshake__over_in_time),
	    cmocka_unit_test(test_handshake__over_with_the_request),
	    cmocka_unit_test(test_handshake__without_a_request),
	    cmocka_unit_test(test_handshake__others_keep_coming),
	    cmocka_unit_test(test_handshake__welcome),
	    cmocka_unit_test(test_key_update__in_front_of_the_rest),
	    cmocka_unit_test(test_later__another_client_comes_with_the_answer),
	};
	return cmocka_run_group_tests(tests, setup_authority, teardown_authority);
}
