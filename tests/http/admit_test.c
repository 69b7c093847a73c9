/* Who is let in, and what is kept of bodies before and after. */
#include "http/harness.h"

#include <crypt.h>

/* Of a password that takes long enough for its client to leave first. */
#define DEAR 12
#define CHEAP 4

#define RIGHT "Authorization: Basic dXNlcjpyaWdodA==\r\n" /* user:right */
#define WRONG "Authorization: Basic dXNlcjp3cm9uZw==\r\n" /* user:wrong */
#define PUT(target, headers, length) \
	"PUT " target " HTTP/1.1\r\n" H headers "Content-Length: " length "\r\n\r\n"
#define EXPECT "Expect: 100-continue\r\n"

/* Powers of two, as bodies grow. */
static const struct http_limits roomy = {
    .connections = 256,
    .connections_per_address = 256,
    .body_bytes = BODY_LIMIT,
    .bodies_bytes = 2048,
    .handshake_us = FOREVER_US,
    .request_us = FOREVER_US,
    .idle_us = FOREVER_US,
};

static struct fixture *
start_guarded(struct http_limits limits, int cost)
{
	struct fixture *f = start(limits);
	struct crypt_data data = {0};
	char salt[] = "$2b$00$abcdefghijklmnopqrstuu";
	salt[4] = (char)('0' + cost / 10);
	salt[5] = (char)('0' + cost % 10);
	char name[] = "user";
	struct http_user user = {name, crypt_r("right", salt, &data)};
	http_server_set_users(f->server, &user, 1);
	return f;
}

static void
send_filler(struct fixture *f, int fd, size_t len)
{
	char filler[2 * BODY_LIMIT];
	assert_true(len <= sizeof(filler));
	memset(filler, 'x', len);
	assert_int_equal(send_bytes(f, fd, filler, len), len);
}

/* Steps until what was sent was read. */
static void
await_read(struct fixture *f)
{
	for (int i = 0; i < 20; i++) {
		step(f);
		poll(NULL, 0, 1);
	}
}

static void
test_body__what_is_kept(void **state)
{
	(void)state;
	static const struct {
		const char *name, *head;
		bool is_kept;
		const char *status;
	} cases[] = {
	    {"asked for", PUT("/echo", RIGHT, "900"), true, "201"},
	    {"route asks for none", PUT("/later", RIGHT, "900"), false, "202"},
	    {"method asks for none",
	     "GET /guarded?in HTTP/1.1\r\n" H RIGHT "Content-Length: 900\r\n\r\n", false, "201"},
	    {"more than the route's own limit", PUT("/guarded?in", RIGHT, "900"), false, "413"},
	    {"not let in by the route", PUT("/guarded", RIGHT, "90"), false, "403"},
	    {"no such method", "PUT /hello HTTP/1.1\r\n" H RIGHT "Content-Length: 900\r\n\r\n",
	     false, "405"},
	    {"no such path", PUT("/nowhere", RIGHT, "900"), false, "404"},
	    {"unclean path", PUT("//echo", RIGHT, "900"), false, "307"},
	    {"no password", PUT("/echo", "", "900"), false, "401"},
	    {"wrong password", PUT("/echo", WRONG, "900"), false, "401"},
	    {"wrong password, and too large", PUT("/echo", WRONG, "1001"), false, "401"},
	    {"no password, in chunks",
	     "PUT /echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n384\r\n", false, "401"},
	};
	struct fixture *f = start_guarded(roomy, CHEAP);
	int fd = dial(f);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf in = BUF_INIT;
		const char *length = strstr(cases[i].head, "Content-Length: ");
		size_t len = length ? strtoul(length + strlen("Content-Length: "), NULL, 10) : 900;
		send_text(f, fd, cases[i].head);
		send_filler(f, fd, len - 1);
		if (cases[i].is_kept)
			await(f, stat_of(f, body_bytes) >= len - 1);
		else
			await_read(f);
		if (!cases[i].is_kept && stat_of(f, body_bytes))
			fail_msg("%s: kept %u", cases[i].name, stat_of(f, body_bytes));
		send_text(f, fd, length ? "x" : "x\r\n0\r\n\r\n");
		if (strstr(cases[i].head, "/later")) {
			await(f, f->laters == 1);
			answer_later(f, 0, "late\n");
		}
		/* The connection goes on, whoever asked. */
		await(f, (receive(fd, &in), holds(&in, HEAD_END)));
		await(f, http_server_busy(f->server) == 0);
		if (strncmp(buf_text(&in) + strlen("HTTP/1.1 "), cases[i].status, 3) != 0)
			fail_msg("%s: %s", cases[i].name, buf_text(&in));
		assert_int_equal(stat_of(f, body_bytes), 0);
		receive(fd, &in);
		buf_fini(&in);
	}
	assert_int_equal(stat_of(f, connections), 1);
	assert_int_equal(stat_of(f, bodies_refused), 0);
	close(fd);
	stop(f);
}

static void
test_body__all_together(void **state)
{
	(void)state;
	struct fixture *f = start(roomy);
	struct buf in = BUF_INIT;
	int fds[3];
	for (int i = 0; i < 3; i++) {
		fds[i] = dial(f);
		send_text(f, fds[i], PUT("/echo", "", "900"));
		send_filler(f, fds[i], 899);
		await(f, i < 2 ? stat_of(f, body_bytes) == 1024 * ((unsigned)i + 1)
			       : stat_of(f, bodies_refused) == 1);
	}
	assert_int_equal(stat_of(f, body_bytes), 2048);
	/* Refused is who came last, and hears it. */
	for (int i = 2; i >= 0; i--) {
		buf_reset(&in);
		send_text(f, fds[i], "x");
		await(f, (receive(fds[i], &in), holds(&in, HEAD_END)));
		assert_true(span_starts(buf_span(&in),
					span_text(i < 2 ? "HTTP/1.1 201 " : "HTTP/1.1 503 ")));
		assert_true(i < 2 || holds(&in, "Retry-After: 1\r\n"));
		assert_true(i < 2 || holds(&in, "503 too many request bodies at once\n"));
	}
	assert_int_equal(stat_of(f, body_bytes), 0);
	/* Once there is room, it may come again. */
	buf_reset(&in);
	send_text(f, fds[2], PUT("/echo", "", "900"));
	send_filler(f, fds[2], 900);
	await(f, (receive(fds[2], &in), holds(&in, HEAD_END)));
	assert_true(span_starts(buf_span(&in), SPAN("HTTP/1.1 201 ")));
	for (int i = 0; i < 3; i++)
		close(fds[i]);
	buf_fini(&in);
	stop(f);
}

/* Neither who is slow nor who leaves keeps the room from others. */
static void
test_body__room_comes_back(void **state)
{
	(void)state;
	struct http_limits limits = roomy;
	limits.request_us = SOON_US;
	for (int leaves = 0; leaves < 2; leaves++) {
		struct fixture *f = start(leaves ? roomy : limits);
		int fd = dial(f);
		send_text(f, fd, PUT("/echo", "", "900"));
		send_filler(f, fd, 899);
		await(f, stat_of(f, body_bytes) > 0 || stat_of(f, deadlines) > 0);
		if (leaves)
			close(fd);
		await(f, stat_of(f, open) == 0);
		assert_int_equal(stat_of(f, body_bytes), 0);
		assert_int_equal(stat_of(f, deadlines), !leaves);
		if (!leaves)
			close(fd);
		stop(f);
	}
}

/* A body that waits for its word is asked for only where it would be used. */
static void
test_expect__who_is_let_in(void **state)
{
	(void)state;
	static const struct {
		const char *head, *status;
	} cases[] = {
	    {PUT("/echo", EXPECT, "3"), "401 "},
	    {PUT("/echo", EXPECT WRONG, "3"), "401 "},
	    {PUT("/echo", EXPECT WRONG, "1001"), "401 "},
	    {PUT("/echo", EXPECT RIGHT, "1001"), "413 "},
	    {PUT("/nowhere", EXPECT RIGHT, "3"), "404 "},
	    {PUT("/guarded", EXPECT RIGHT, "3"), "403 "},
	    {PUT("/guarded?in", EXPECT RIGHT, "3"), "100 "},
	    {PUT("/echo", EXPECT RIGHT, "3"), "100 "},
	};
	struct fixture *f = start_guarded(roomy, CHEAP);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf in = BUF_INIT;
		int fd = dial(f);
		bool goes_on = strcmp(cases[i].status, "100 ") == 0;
		send_text(f, fd, cases[i].head);
		await(f, (receive(fd, &in), holds(&in, HEAD_END)));
		if (strncmp(buf_text(&in) + strlen("HTTP/1.1 "), cases[i].status, 4) != 0)
			fail_msg("case %zu: %s", i, buf_text(&in));
		/* Else the client could not know whether to send the body: the connection ends. */
		if (goes_on) {
			send_text(f, fd, "abc");
			await(f, (receive(fd, &in), span_ends(buf_span(&in), SPAN("\r\n\r\nabc"))));
		} else
			await(f, receive(fd, &in));
		close(fd);
		buf_fini(&in);
	}
	assert_int_equal(f->calls, 2);
	stop(f);
}

static void
test_check__client_leaves(void **state)
{
	(void)state;
	static const struct {
		const char *name, *request;
		bool is_heard; /* the client only ends its side */
		const char *status;
	} cases[] = {
	    {"change, gone", PUT("/echo", RIGHT, "3") "abc", false, NULL},
	    {"change, half gone", PUT("/echo", RIGHT, "3") "abc", true, "HTTP/1.1 503 "},
	    {"change without a body", "PUT /echo HTTP/1.1\r\n" H RIGHT "\r\n", true,
	     "HTTP/1.1 503 "},
	    {"change, half of its body", PUT("/echo", RIGHT, "3") "ab", true, ""},
	    {"question, gone", "GET /hello HTTP/1.1\r\n" H RIGHT "\r\n", false, NULL},
	    {"question, half gone", "GET /hello HTTP/1.1\r\n" H RIGHT "\r\n", true,
	     "HTTP/1.1 200 "},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fixture *f = start_guarded(roomy, DEAR);
		struct buf in = BUF_INIT;
		int fd = dial(f);
		size_t len = strlen(cases[i].request);
		assert_int_equal(send(fd, cases[i].request, len, MSG_NOSIGNAL), len);
		if (cases[i].is_heard) {
			shutdown(fd, SHUT_WR);
			await(f, receive(fd, &in));
			if (!span_starts(buf_span(&in), span_text(cases[i].status)) ||
			    (!*cases[i].status && in.len))
				fail_msg("%s: %s", cases[i].name, buf_text(&in));
		}
		close(fd);
		await(f, stat_of(f, connections) == 1 && stat_of(f, open) == 0);
		if (strncmp(cases[i].request, "PUT", 3) == 0 && f->calls)
			fail_msg("%s: carried out", cases[i].name);
		assert_int_equal(stat_of(f, body_bytes), 0);
		buf_fini(&in);
		stop(f);
	}
}

static void
test_check__server_is_freed(void **state)
{
	(void)state;
	struct fixture *f = start_guarded(roomy, DEAR);
	int fd = dial(f);
	send_text(f, fd, PUT("/echo", RIGHT, "3") "abc");
	await(f, stat_of(f, open) == 1);
	await_read(f);
	http_server_free(&f->server);
	assert_int_equal(f->calls, 0);
	close(fd);
	stop(f);
}

static void
test_check__deadline_goes_on(void **state)
{
	(void)state;
	struct http_limits limits = roomy;
	limits.request_us = SOON_US;
	struct fixture *f = start_guarded(limits, DEAR);
	struct buf in = BUF_INIT;
	int fd = dial(f);
	send_text(f, fd, PUT("/echo", RIGHT, "3"));
	receive_all(f, fd, &in);
	assert_int_equal(in.len, 0);
	assert_int_equal(stat_of(f, deadlines), 1);
	buf_fini(&in);
	stop(f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_body__what_is_kept),
	    cmocka_unit_test(test_body__all_together),
	    cmocka_unit_test(test_body__room_comes_back),
	    cmocka_unit_test(test_expect__who_is_let_in),
	    cmocka_unit_test(test_check__client_leaves),
	    cmocka_unit_test(test_check__server_is_freed),
	    cmocka_unit_test(test_check__deadline_goes_on),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
