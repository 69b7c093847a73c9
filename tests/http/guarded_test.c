/* The server with users, whose passwords are checked for as long as a test wants. */
#include "http/counted_crypt.h"
#include "http/harness.h"

#define BASIC(encoded) "Authorization: Basic " encoded "\r\n"
#define RIGHT BASIC("dXNlcjpyaWdodA==") /* user:right */
#define FIRST BASIC("dXNlcjpmaXJzdA==") /* user:first */
#define OTHER BASIC("dXNlcjpvdGhlcg==") /* user:other */
#define HELLO(headers) "GET /hello HTTP/1.1\r\n" H headers "Connection: close\r\n\r\n"

/* With one check under way, which is another's. */
static struct fixture *
start_busy(int *busy)
{
	struct fixture *f = start(ample);
	char name[] = "user", hash[PASSWORD_HASH_LEN + 1];
	make_hash("right", "$2b$04$abcdefghijklmnopqrstuu", hash);
	struct http_user user = {name, hash};
	http_server_set_users(f->server, &user, 1);
	hold(true);
	work_reset();
	*busy = dial_from(f, "127.0.0.2", 0);
	send_text(f, *busy, HELLO(FIRST));
	return f;
}

/* Lets the one under way end. @return what its client got */
static const char *
receive_busy(struct fixture *f, int busy, struct buf *in)
{
	hold(false);
	return receive_all(f, busy, in);
}

static void
test_client_leaves__before_its_turn(void **state)
{
	(void)state;
	static const struct {
		const char *request;
		bool is_heard; /* the client only ends its side */
		const char *status;
	} rows[] = {
	    {HELLO(RIGHT), false, ""},
	    {HELLO(OTHER), false, ""},
	    {HELLO(RIGHT), true, "HTTP/1.1 503 "},
	    {HELLO(OTHER), true, "HTTP/1.1 503 "},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		int busy;
		struct fixture *f = start_busy(&busy);
		struct buf in = BUF_INIT, busy_in = BUF_INIT;
		int fd = dial(f);
		send_text(f, fd, rows[i].request);
		shutdown(fd, SHUT_WR);
		if (rows[i].is_heard)
			await(f, receive(fd, &in));
		close(fd);
		await(f, stat_of(f, connections) == 2 && stat_of(f, open) == 1);
		assert_true(span_starts(buf_span(&in), span_text(rows[i].status)));
		assert_true(
		    span_starts(span_text(receive_busy(f, busy, &busy_in)), SPAN("HTTP/1.1 401 ")));
		assert_int_equal(work.hashes, 1);
		assert_int_equal(f->calls, 0);
		buf_fini(&in);
		buf_fini(&busy_in);
		stop(f);
	}
}

/* Somebody else waits for the same check. */
static void
test_client_leaves__another_stays(void **state)
{
	(void)state;
	int busy;
	struct fixture *f = start_busy(&busy);
	struct buf in = BUF_INIT, busy_in = BUF_INIT;
	int gone = dial(f), stays = dial(f);
	send_text(f, stays, HELLO(RIGHT));
	send_text(f, gone, HELLO(RIGHT));
	close(gone);
	await(f, stat_of(f, connections) == 3 && stat_of(f, open) == 2);
	hold(false);
	await(f, receive(stays, &in));
	assert_true(span_starts(buf_span(&in), SPAN("HTTP/1.1 200 ")));
	close(stays);
	receive_busy(f, busy, &busy_in);
	assert_int_equal(f->calls, 1);
	assert_int_equal(work.hashes, 2);
	buf_fini(&in);
	buf_fini(&busy_in);
	stop(f);
}

/* Also at the very start, when each of them is the first. */
static void
test_right_ones__together(void **state)
{
	(void)state;
	enum { COUNT = 30 };
	int busy, fds[COUNT];
	struct fixture *f = start_busy(&busy);
	struct buf busy_in = BUF_INIT;
	for (size_t i = 0; i < COUNT; i++) {
		fds[i] = dial(f);
		send_text(f, fds[i], HELLO(RIGHT));
	}
	await(f, stat_of(f, connections) == 1 + COUNT);
	hold(false);
	for (size_t i = 0; i < COUNT; i++) {
		struct buf in = BUF_INIT;
		await(f, receive(fds[i], &in));
		assert_true(span_starts(buf_span(&in), SPAN("HTTP/1.1 200 ")));
		close(fds[i]);
		buf_fini(&in);
	}
	receive_busy(f, busy, &busy_in);
	assert_int_equal(work.hashes, 2);
	buf_fini(&busy_in);
	stop(f);
}

static void
test_free__while_passwords_wait(void **state)
{
	(void)state;
	int busy;
	struct fixture *f = start_busy(&busy);
	int fd = dial(f);
	send_text(f, fd, HELLO(RIGHT));
	await(f, stat_of(f, connections) == 2);
	/* Else the server waits for what is held. */
	hold(false);
	http_server_free(&f->server);
	assert_int_equal(f->calls, 0);
	close(fd);
	close(busy);
	stop(f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_client_leaves__before_its_turn),
	    cmocka_unit_test(test_client_leaves__another_stays),
	    cmocka_unit_test(test_right_ones__together),
	    cmocka_unit_test(test_free__while_passwords_wait),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
