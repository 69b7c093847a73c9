/* The server against raw sockets. */
#include "http/harness.h"

#include <dirent.h>
#include <sys/resource.h>
#include <sys/un.h>

static const struct {
	const char *name;
	const char *request;
	const char *status_line; /* NULL = closed without an answer */
	const char *headers[4];  /* each must be there */
	const char *absent;      /* must not be there; NULL = any */
	const char *body;
} exchanges[] = {
    {"get",
     GET("/hello"),
     "HTTP/1.1 200 OK\r\n",
     {TEXT_TYPE, "Content-Length: 6\r\n"},
     "nosniff",
     "hello\n"},
    {"root", GET("/"), "HTTP/1.1 200 OK\r\n", {0}, NULL, "hello\n"},
    {"query is ignored", GET("/hello?x=/../y"), "HTTP/1.1 200 OK\r\n", {0}, NULL, "hello\n"},
    {"escaped path", GET("/h%65llo"), "HTTP/1.1 200 OK\r\n", {0}, NULL, "hello\n"},
    {"absolute form", GET("http://other/hello"), "HTTP/1.1 200 OK\r\n", {0}, NULL, "hello\n"},
    {"values",
     "GET /ask?p=1&q=a%20b+c HTTP/1.1\r\n" H "ACCEPT:  x/y \r\nConnection: close\r\n\r\n",
     "HTTP/1.1 200 OK\r\n",
     {"Content-Encoding: identity\r\n", "Vary: Accept\r\n", "WWW-Authenticate: Bearer\r\n",
      "ETag: \"e-1\"\r\n"},
     NULL,
     "</ask><x/y ><a b c>"},
    {"no values", GET("/ask"), "HTTP/1.1 200 OK\r\n", {0}, NULL, "</ask>nonenone"},
    {"empty values",
     "GET /ask?q HTTP/1.1\r\n" H "Accept:\r\nConnection: close\r\n\r\n",
     "HTTP/1.1 200 OK\r\n",
     {0},
     NULL,
     "</ask><><>"},
    {"list in one line",
     "GET /ask HTTP/1.1\r\n" H "x-list: a, b\r\nConnection: close\r\n\r\n",
     "HTTP/1.1 200 OK\r\n",
     {0},
     NULL,
     "</ask>nonenone<a, b>"},
    {"list in several lines, others between them",
     "GET /ask HTTP/1.1\r\n" H
     "X-List: a\r\nX-Lists: x\r\nX-LIST:\r\nX-Lis: y\r\nx-list: b;q=1,c\r\n"
     "Connection: close\r\n\r\n",
     "HTTP/1.1 200 OK\r\n",
     {0},
     NULL,
     "</ask>nonenone<a, , b;q=1,c>"},
    {"empty list",
     "GET /ask HTTP/1.1\r\n" H "X-List:\r\nConnection: close\r\n\r\n",
     "HTTP/1.1 200 OK\r\n",
     {0},
     NULL,
     "</ask>nonenone<>"},
    {"peer and arguments",
     GET("/list?a=%20b+c&&a&d=e=f%26"),
     "HTTP/1.1 200 OK\r\n",
     {0},
     "ETag",
     "127.0.0.1 1 <a= b c><=><a=><d=e=f&>"},
    {"method of its own", REQ("DELETE", "/list"), "HTTP/1.1 200 OK\r\n", {0}, NULL, "127.0.0.1 8 "},
    {"put off, and answered at once",
     GET("/later?now"),
     "HTTP/1.1 202 Accepted\r\n",
     {"Content-Length: 4\r\n"},
     "WWW-Authenticate",
     "now\n"},
    {"put off, and answered at once, head",
     REQ("HEAD", "/later?now"),
     "HTTP/1.1 202 Accepted\r\n",
     {"Content-Length: 4\r\n"},
     NULL,
     ""},
    {"subtree", GET("/tree/a/b"), "HTTP/1.1 200 OK\r\n", {0}, NULL, "</tree/a/b>nonenone"},
    {"subtree itself", GET("/tree/"), "HTTP/1.1 200 OK\r\n", {0}, NULL, "</tree/>nonenone"},
    {"exact before subtree", GET("/tree/hello"), "HTTP/1.1 200 OK\r\n", {0}, NULL, "hello\n"},
    {"delete", REQ("DELETE", "/ask"), "HTTP/1.1 200 OK\r\n", {0}, NULL, "</ask>nonenone"},

    {"not found",
     GET("/nothing"),
     "HTTP/1.1 404 Not Found\r\n",
     {TEXT_TYPE, NOSNIFF, "Content-Length: 19\r\n"},
     NULL,
     "404 page not found\n"},
    {"root is exact",
     GET("/hell"),
     "HTTP/1.1 404 Not Found\r\n",
     {0},
     NULL,
     "404 page not found\n"},
    {"no subtree", GET("/hello/"), "HTTP/1.1 404 Not Found\r\n", {0}, NULL, "404 page not found\n"},
    {"NUL in path",
     GET("/hello%00"),
     "HTTP/1.1 400 Bad Request\r\n",
     {0},
     NULL,
     "400 bad request\n"},
    {"case matters",
     GET("/Hello"),
     "HTTP/1.1 404 Not Found\r\n",
     {0},
     NULL,
     "404 page not found\n"},

    {"wrong method",
     REQ("POST", "/hello"),
     "HTTP/1.1 405 Method Not Allowed\r\n",
     {"Allow: GET, HEAD\r\n", NOSNIFF},
     NULL,
     "405 method not allowed\n"},
    {"get where post is",
     GET("/echo"),
     "HTTP/1.1 405 Method Not Allowed\r\n",
     {"Allow: POST, PUT\r\n"},
     NULL,
     "405 method not allowed\n"},
    {"head where post is",
     REQ("HEAD", "/echo"),
     "HTTP/1.1 405 Method Not Allowed\r\n",
     {"Allow: POST, PUT\r\n", "Content-Length: 23\r\n"},
     NULL,
     ""},
    {"odd method",
     REQ("BREW", "/ask"),
     "HTTP/1.1 405 Method Not Allowed\r\n",
     {"Allow: GET, HEAD, DELETE\r\n"},
     NULL,
     "405 method not allowed\n"},
    {"method in small letters",
     REQ("get", "/hello"),
     "HTTP/1.1 405 Method Not Allowed\r\n",
     {0},
     NULL,
     "405 method not allowed\n"},
    {"odd method, no path",
     REQ("BREW", "/pot"),
     "HTTP/1.1 404 Not Found\r\n",
     {0},
     NULL,
     "404 page not found\n"},
    {"options for all",
     REQ("OPTIONS", "*"),
     "HTTP/1.1 400 Bad Request\r\n",
     {0},
     NULL,
     "400 bad request\n"},
    {"connect",
     REQ("CONNECT", "host:443"),
     "HTTP/1.1 400 Bad Request\r\n",
     {0},
     NULL,
     "400 bad request\n"},

    {"head",
     REQ("HEAD", "/hello"),
     "HTTP/1.1 200 OK\r\n",
     {TEXT_TYPE, "Content-Length: 6\r\n"},
     NULL,
     ""},
    {"head, not found",
     REQ("HEAD", "/nothing"),
     "HTTP/1.1 404 Not Found\r\n",
     {"Content-Length: 19\r\n", NOSNIFF},
     NULL,
     ""},
    {"head of a stream",
     REQ("HEAD", "/stream"),
     "HTTP/1.1 200 OK\r\n",
     {TEXT_TYPE},
     "Content-Length",
     ""},

    {"stream",
     GET("/stream"),
     "HTTP/1.1 200 OK\r\n",
     {TEXT_TYPE, "Transfer-Encoding: chunked\r\n"},
     "Content-Length",
     "1E\r\nabcdefghijabcdefghijabcdefghij\r\n0\r\n\r\n"},
    {"stream to HTTP/1.0",
     "GET /stream HTTP/1.0\r\n\r\n",
     "HTTP/1.1 200 OK\r\n",
     {"Connection: close\r\n"},
     "chunked",
     "abcdefghijabcdefghijabcdefghij"},
    {"HTTP/1.0",
     "GET /hello HTTP/1.0\r\n\r\n",
     "HTTP/1.1 200 OK\r\n",
     {"Connection: close\r\n", "Content-Length: 6\r\n"},
     NULL,
     "hello\n"},

    {"unclean path",
     GET("//hello"),
     "HTTP/1.1 307 Temporary Redirect\r\n",
     {"Location: /hello\r\n", "Content-Length: 0\r\n"},
     NULL,
     ""},
    {"unclean path, query",
     GET("/a/../hello/.?x=%20&y"),
     "HTTP/1.1 307 Temporary Redirect\r\n",
     {"Location: /hello?x=%20&y\r\n"},
     NULL,
     ""},
    {"unclean path, nowhere",
     GET("/./x"),
     "HTTP/1.1 307 Temporary Redirect\r\n",
     {"Location: /x\r\n"},
     NULL,
     ""},
    {"redirect stays here",
     GET("//evil.example//x"),
     "HTTP/1.1 307 Temporary Redirect\r\n",
     {"Location: /evil.example/x\r\n"},
     NULL,
     ""},
    {"redirect without injection",
     GET("//%0d%0aX-A:%20b"),
     "HTTP/1.1 307 Temporary Redirect\r\n",
     {"Location: /%0D%0AX-A:%20b\r\n"},
     "\r\nX-A",
     ""},
    {"subtree without its slash",
     GET("/tree?a"),
     "HTTP/1.1 307 Temporary Redirect\r\n",
     {"Location: /tree/?a\r\n"},
     NULL,
     ""},
    {"redirect of a post",
     "POST //echo HTTP/1.1\r\n" H "Content-Length: 2\r\nConnection: close\r\n\r\nab",
     "HTTP/1.1 307 Temporary Redirect\r\n",
     {"Location: /echo\r\n"},
     NULL,
     ""},

    {"post",
     "POST /echo HTTP/1.1\r\n" H "Content-Length: 3\r\nConnection: close\r\n\r\nabc",
     "HTTP/1.1 201 Created\r\n",
     {"Content-Type: application/octet-stream\r\n", "Content-Length: 3\r\n"},
     NULL,
     "abc"},
    {"put without a body",
     REQ("PUT", "/echo"),
     "HTTP/1.1 201 Created\r\n",
     {"Content-Length: 0\r\n"},
     NULL,
     ""},
    {"chunked body",
     "POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
     "2;x=y\r\nab\r\n01\r\nc\r\n0\r\nTrailer: x\r\n\r\n",
     "HTTP/1.1 201 Created\r\n",
     {0},
     NULL,
     "abc"},
    {"expect",
     "POST /echo HTTP/1.1\r\n" H
     "Content-Length: 3\r\nExpect: 100-continue\r\nConnection: close\r\n\r\nabc",
     "HTTP/1.1 100 Continue\r\n",
     {0},
     NULL,
     NULL},
    {"expect, refused",
     "POST /hello HTTP/1.1\r\n" H "Content-Length: 3\r\nExpect: 100-Continue\r\n\r\n",
     "HTTP/1.1 405 Method Not Allowed\r\n",
     {"Connection: close\r\n"},
     NULL,
     "405 method not allowed\n"},
    {"expect, too large",
     "POST /echo HTTP/1.1\r\n" H "Content-Length: 1001\r\nExpect: 100-continue\r\n\r\n",
     "HTTP/1.1 413 Content Too Large\r\n",
     {"Connection: close\r\n"},
     NULL,
     "413 request body too large: more than 1000 bytes\n"},
    {"far too large, not waited for",
     "POST /echo HTTP/1.1\r\n" H "Content-Length: 2002\r\n\r\n",
     "HTTP/1.1 413 Content Too Large\r\n",
     {"Connection: close\r\n"},
     NULL,
     "413 request body too large: more than 1000 bytes\n"},
    {"get with a body",
     "GET /hello HTTP/1.1\r\n" H "Content-Length: 3\r\nConnection: close\r\n\r\nabc",
     "HTTP/1.1 200 OK\r\n",
     {0},
     NULL,
     "hello\n"},

    {"no host",
     "GET /hello HTTP/1.1\r\n\r\n",
     "HTTP/1.1 400 Bad Request\r\n",
     {"Connection: close\r\n"},
     NULL,
     "400 bad request\n"},
    {"two hosts",
     "GET /hello HTTP/1.1\r\n" H H "\r\n",
     "HTTP/1.1 400 Bad Request\r\n",
     {"Connection: close\r\n"},
     NULL,
     "400 bad request\n"},
    {"two authorizations",
     "GET /hello HTTP/1.1\r\n" H "Authorization: Basic YTpi\r\nauthorization: Basic YTpi\r\n\r\n",
     "HTTP/1.1 400 Bad Request\r\n",
     {"Connection: close\r\n"},
     NULL,
     "400 bad request\n"},
    {"two lengths",
     "POST /echo HTTP/1.1\r\n" H "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
     "HTTP/1.1 400 Bad Request\r\n",
     {"Connection: close\r\n"},
     NULL,
     "400 bad request\n"},
    {"length and chunks",
     "POST /echo HTTP/1.1\r\n" H "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     "HTTP/1.1 400 Bad Request\r\n",
     {"Connection: close\r\n"},
     NULL,
     "400 bad request\n"},
    {"chunks in HTTP/1.0",
     "POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     "HTTP/1.1 400 Bad Request\r\n",
     {"Connection: close\r\n"},
     NULL,
     "400 bad request\n"},
    {"unknown encoding",
     "POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
     "HTTP/1.1 501 Not Implemented\r\n",
     {"Connection: close\r\n"},
     NULL,
     "501 transfer encoding not implemented\n"},
    {"blank before the colon",
     "POST /echo HTTP/1.1\r\n" H "Content-Length : 3\r\n\r\nabc",
     "HTTP/1.1 400 Bad Request\r\n",
     {"Connection: close\r\n"},
     NULL,
     "400 bad request\n"},
    /* libmicrohttpd answers these by itself, with a page of its own. */
    {"length with a sign",
     "POST /echo HTTP/1.1\r\n" H "Content-Length: +3\r\n\r\nabc",
     "HTTP/1.1 400 Bad Request\r\n",
     {"Connection: close\r\n"},
     NULL,
     NULL},
    {"length too large for any",
     "POST /echo HTTP/1.1\r\n" H "Content-Length: 99999999999999999999\r\n\r\n",
     "HTTP/1.1 413 Content Too Large\r\n",
     {"Connection: close\r\n"},
     NULL,
     NULL},
    {"broken chunk",
     "POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\nxyz\r\n",
     "HTTP/1.1 400 Bad Request\r\n",
     {"Connection: close\r\n"},
     NULL,
     NULL},
    {"blank in the target",
     "GET /a b HTTP/1.1\r\n" H "\r\n",
     "HTTP/1.1 400 Bad Request\r\n",
     {"Connection: close\r\n"},
     NULL,
     "400 bad request\n"},
    {"broken escape", GET("/%zz"), "HTTP/1.1 400 Bad Request\r\n", {0}, NULL, "400 bad request\n"},
    {"no version", "GET /hello\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n", {0}, NULL, NULL},
    {"HTTP/2",
     "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
     "HTTP/1.1 505 HTTP Version Not Supported\r\n",
     {0},
     NULL,
     NULL},
    {"header without a colon",
     "GET /hello HTTP/1.1\r\n" H "nothing\r\n\r\n",
     "HTTP/1.1 400 Bad Request\r\n",
     {"Connection: close\r\n"},
     NULL,
     NULL},
    {"TLS", "\x16\x03\x01\x02\n\r\n", NULL, {0}, NULL, NULL},
    {"rubbish", "\xff\xfe\r\n\r\n", NULL, {0}, NULL, NULL},
};

static void
test_exchange__table(void **state)
{
	(void)state;
	struct fixture *f = start(ample);
	for (size_t i = 0; i < sizeof(exchanges) / sizeof(exchanges[0]); i++) {
		struct buf in = BUF_INIT;
		const char *name = exchanges[i].name;
		const char *all = exchange(f, exchanges[i].request, &in);
		if (!exchanges[i].status_line) {
			if (*all)
				fail_msg("%s: %s", name, all);
			buf_fini(&in);
			continue;
		}
		if (strncmp(all, exchanges[i].status_line, strlen(exchanges[i].status_line)) != 0)
			fail_msg("%s: status line of: %s", name, all);
		for (size_t j = 0; j < 4 && exchanges[i].headers[j]; j++)
			if (!strstr(all, exchanges[i].headers[j]))
				fail_msg("%s: no %s in: %s", name, exchanges[i].headers[j], all);
		if (exchanges[i].absent && strstr(all, exchanges[i].absent))
			fail_msg("%s: %s", name, all);
		const char *body = strstr(all, HEAD_END) + strlen(HEAD_END);
		if (exchanges[i].body && strcmp(body, exchanges[i].body) != 0)
			fail_msg("%s: body of: %s", name, all);
		if (exchanges[i].body && strstr(body, "HTTP/1.1 "))
			fail_msg("%s: answered twice: %s", name, all);
		buf_fini(&in);
	}
	assert_int_equal(stat_of(f, deadlines), 0);
	assert_int_equal(f->done_broken, 0);
	assert_int_equal(f->done_complete, 3);
	stop(f);
}

static void
test_exchange__continue_then_answer(void **state)
{
	(void)state;
	struct fixture *f = start(ample);
	struct buf in = BUF_INIT;
	int fd = dial(f);
	send_text(f, fd,
		  "PUT /echo HTTP/1.1\r\n" H "Content-Length: 3\r\nExpect: 100-continue\r\n"
		  "Connection: close\r\n\r\n");
	await(f, (receive(fd, &in), holds(&in, HEAD_END)));
	assert_string_equal(buf_text(&in), "HTTP/1.1 100 Continue\r\n\r\n");
	send_text(f, fd, "abc");
	assert_non_null(strstr(receive_all(f, fd, &in), "201 Created\r\n"));
	assert_true(span_ends(buf_span(&in), SPAN("\r\n\r\nabc")));
	buf_fini(&in);
	stop(f);
}

static void
test_exchange__byte_by_byte(void **state)
{
	(void)state;
	struct fixture *f = start(ample);
	struct buf in = BUF_INIT;
	const char *request = "POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n"
			      "Connection: close\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
	int fd = dial(f);
	for (const char *at = request; *at; at++) {
		assert_int_equal(send_bytes(f, fd, at, 1), 1);
		step(f);
	}
	assert_non_null(strstr(receive_all(f, fd, &in), "201 Created\r\n"));
	assert_true(span_ends(buf_span(&in), SPAN("\r\n\r\nabc")));
	assert_int_equal(stat_of(f, incomplete), 0);
	buf_fini(&in);
	stop(f);
}

static void
test_body__up_to_the_limit(void **state)
{
	(void)state;
	static const struct {
		size_t len;
		const char *status;
		bool survives; /* the client gets to send all of it */
	} cases[] = {
	    {BODY_LIMIT, "HTTP/1.1 201 ", true},
	    {BODY_LIMIT + 1, "HTTP/1.1 413 ", true},
	    {2 * BODY_LIMIT, "HTTP/1.1 413 ", true},
	    {100 * BODY_LIMIT, "HTTP/1.1 413 ", false},
	};
	struct fixture *f = start(ample);
	char *body = xcalloc(1, 100 * BODY_LIMIT);
	memset(body, 'x', 100 * BODY_LIMIT);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf in = BUF_INIT, head = BUF_INIT;
		buf_printf(&head,
			   "POST /echo HTTP/1.1\r\n" H
			   "Connection: close\r\nContent-Length: %zu\r\n\r\n",
			   cases[i].len);
		int fd = dial(f);
		send_text(f, fd, buf_text(&head));
		size_t sent = send_bytes(f, fd, body, cases[i].len);
		if (cases[i].survives)
			assert_int_equal(sent, cases[i].len);
		receive_all(f, fd, &in);
		assert_true(span_starts(buf_span(&in), span_text(cases[i].status)));
		buf_fini(&in);
		buf_fini(&head);
	}
	free(body);
	stop(f);
}

static void
test_body__chunked_without_end(void **state)
{
	(void)state;
	struct fixture *f = start(ample);
	struct buf in = BUF_INIT;
	int fd = dial(f);
	send_text(f, fd, "POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n");
	unsigned chunks = 0;
	while (send_bytes(f, fd, "10\r\n0123456789abcdef\r\n", 22) == 22)
		chunks++;
	assert_true(chunks >= 2 * BODY_LIMIT / 16);
	receive_all(f, fd, &in);
	assert_int_equal(in.len, 0);
	assert_int_equal(f->calls, 0);
	assert_int_equal(stat_of(f, incomplete), 1);
	buf_fini(&in);
	stop(f);
}

static void
test_body__chunked_over_the_limit(void **state)
{
	(void)state;
	struct fixture *f = start(ample);
	struct buf in = BUF_INIT, request = BUF_INIT;
	buf_add_text(&request, "POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n"
			       "Connection: close\r\n\r\n");
	for (int i = 0; i <= BODY_LIMIT / 10; i++)
		buf_add_text(&request, "A\r\n0123456789\r\n");
	buf_add_text(&request, "0\r\n\r\n");
	assert_non_null(strstr(exchange(f, buf_text(&request), &in), "HTTP/1.1 413 "));
	assert_int_equal(f->calls, 0);
	buf_fini(&request);
	buf_fini(&in);
	stop(f);
}

static void
test_headers__too_large(void **state)
{
	(void)state;
	static const struct {
		const char *before, *status;
	} cases[] = {
	    {"GET /hello HTTP/1.1\r\n" H "X: ", "HTTP/1.1 431 "},
	    {"GET /hello?", "HTTP/1.1 414 "},
	    {"", "HTTP/1.1 414 "},
	};
	struct fixture *f = start(ample);
	size_t len = 200 << 10;
	char *filler = xcalloc(1, len);
	memset(filler, 'x', len);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf in = BUF_INIT;
		int fd = dial(f);
		send_text(f, fd, cases[i].before);
		send_bytes(f, fd, filler, len);
		receive_all(f, fd, &in);
		if (!span_starts(buf_span(&in), span_text(cases[i].status)))
			fail_msg("case %zu: %s", i, buf_text(&in));
		buf_fini(&in);
	}
	assert_int_equal(f->calls, 0);
	free(filler);
	stop(f);
}

/* Each argument takes more memory than its bytes. */
static void
test_target__many_arguments(void **state)
{
	(void)state;
	static const struct {
		unsigned count;
		const char *status;
	} cases[] = {{1000, "HTTP/1.1 200 "}, {2000, "HTTP/1.1 414 "}, {20000, "HTTP/1.1 414 "}};
	struct fixture *f = start(ample);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf in = BUF_INIT, request = BUF_INIT;
		buf_add_text(&request, "GET /hello?");
		for (unsigned j = 1; j < cases[i].count; j++)
			buf_add_text(&request, "a&");
		buf_add_text(&request, "a HTTP/1.1\r\n" H "Connection: close\r\n\r\n");
		exchange(f, buf_text(&request), &in);
		if (!span_starts(buf_span(&in), span_text(cases[i].status)))
			fail_msg("case %zu: %s", i, buf_text(&in));
		buf_fini(&request);
		buf_fini(&in);
	}
	stop(f);
}

/* Each line takes more memory than its bytes. */
static void
test_headers__too_many(void **state)
{
	(void)state;
	struct fixture *f = start(ample);
	struct buf in = BUF_INIT, request = BUF_INIT;
	buf_add_text(&request, "GET /hello HTTP/1.1\r\n" H);
	for (int i = 0; i < 8000; i++)
		buf_add_text(&request, "a:b\r\n");
	buf_add_text(&request, "\r\n");
	assert_non_null(strstr(exchange(f, buf_text(&request), &in), "HTTP/1.1 431 "));
	assert_int_equal(f->calls, 0);
	buf_fini(&request);
	buf_fini(&in);
	stop(f);
}

static void
test_headers__many_and_large_enough(void **state)
{
	(void)state;
	struct fixture *f = start(ample);
	struct buf in = BUF_INIT, request = BUF_INIT;
	buf_add_text(&request, "GET /hello HTTP/1.1\r\n" H "Connection: close\r\n");
	for (int i = 0; i < 200; i++)
		buf_printf(&request, "X-%d: %0100d\r\n", i, i);
	buf_add_text(&request, "\r\n");
	assert_non_null(strstr(exchange(f, buf_text(&request), &in), "HTTP/1.1 200 OK"));
	buf_fini(&request);
	buf_fini(&in);
	stop(f);
}

static void
test_headers__list_of_many_lines(void **state)
{
	(void)state;
	enum { LINES = 1000 };
	struct fixture *f = start(ample);
	struct buf in = BUF_INIT, request = BUF_INIT, want = BUF_INIT;
	buf_add_text(&request, "GET /ask HTTP/1.1\r\n" H "Connection: close\r\n");
	buf_add_text(&want, "</ask>nonenone<");
	for (int i = 0; i < LINES; i++) {
		buf_printf(&request, "X-List: %d\r\n", i);
		buf_printf(&want, "%s%d", i ? ", " : "", i);
	}
	buf_add_text(&request, "\r\n");
	buf_add_byte(&want, '>');
	assert_non_null(strstr(exchange(f, buf_text(&request), &in), buf_text(&want)));
	buf_fini(&want);
	buf_fini(&request);
	buf_fini(&in);
	stop(f);
}

/* Headers of 50 KiB are large enough for anybody, however many requests a connection has. */
static void
test_headers__large_in_every_request(void **state)
{
	(void)state;
	struct fixture *f = start(ample);
	struct buf in = BUF_INIT, request = BUF_INIT;
	for (int i = 0; i < 5; i++)
		buf_printf(&request, "GET /hello HTTP/1.1\r\n" H "%sX: %050000d\r\n\r\n",
			   i == 4 ? "Connection: close\r\n" : "", i);
	exchange(f, buf_text(&request), &in);
	assert_int_equal(f->calls, 5);
	assert_int_equal(stat_of(f, responses[2]), 5);
	buf_fini(&request);
	buf_fini(&in);
	stop(f);
}

static void
test_reply__body_over_its_cap(void **state)
{
	(void)state;
	struct fixture *f = start(ample);
	struct buf in = BUF_INIT;
	f->fails = true;
	const char *all = exchange(f, GET("/hello"), &in);
	assert_non_null(strstr(all, "HTTP/1.1 500 "));
	assert_int_equal(f->sent, 1);
	assert_int_equal(stat_of(f, responses[5]), 1);
	buf_fini(&in);
	stop(f);
}

static void
test_keep_alive__several_requests(void **state)
{
	(void)state;
	struct fixture *f = start(ample);
	int fd = dial(f);
	for (unsigned i = 1; i <= 5; i++) {
		struct buf in = BUF_INIT;
		send_text(f, fd,
			  i % 2 ? "GET /hello HTTP/1.1\r\n" H "\r\n"
				: "POST /nowhere HTTP/1.1\r\n" H "Content-Length: 2\r\n\r\nab");
		await(f, (receive(fd, &in), holds(&in, i % 2 ? "hello\n" : "not found\n")));
		await(f, http_server_busy(f->server) == 0);
		assert_int_equal(stat_of(f, responses[2]), (i + 1) / 2);
		assert_int_equal(stat_of(f, responses[4]), i / 2);
		buf_fini(&in);
	}
	close(fd);
	await(f, stat_of(f, open) == 0);
	assert_int_equal(stat_of(f, connections), 1);
	assert_int_equal(stat_of(f, incomplete), 0);
	assert_int_equal(f->sent, 3);
	stop(f);
}

static unsigned
count_of(const char *all, const char *text)
{
	unsigned count = 0;
	for (; (all = strstr(all, text)); all += strlen(text))
		count++;
	return count;
}

static void
test_keep_alive__pipelined(void **state)
{
	(void)state;
	struct fixture *f = start(ample);
	struct buf in = BUF_INIT;
	const char *all = exchange(f,
				   "GET /hello HTTP/1.1\r\n" H "\r\n"
				   "HEAD /hello HTTP/1.1\r\n" H "\r\n"
				   "GET /stream HTTP/1.1\r\n" H "\r\n"
				   "POST /echo HTTP/1.1\r\n" H "Content-Length: 3\r\n\r\nabc"
				   "\r\n" GET("/nothing") "GET /hello HTTP/1.1\r\n" H "\r\n",
				   &in);
	assert_int_equal(count_of(all, "HTTP/1.1 200 OK\r\n"), 3);
	assert_int_equal(count_of(all, "HTTP/1.1 201 Created\r\n"), 1);
	assert_int_equal(count_of(all, "HTTP/1.1 404 Not Found\r\n"), 1);
	assert_true(span_ends(buf_span(&in), SPAN("404 page not found\n")));
	assert_int_equal(f->calls, 4);
	assert_int_equal(stat_of(f, responses[2]), 4);
	assert_int_equal(stat_of(f, incomplete), 0);
	buf_fini(&in);
	stop(f);
}

static void
test_keep_alive__head_of_stream_sends_no_byte_of_it(void **state)
{
	(void)state;
	struct fixture *f = start(ample);
	struct buf in = BUF_INIT;
	const char *all = exchange(f, "HEAD /stream HTTP/1.1\r\n" H "\r\n", &in);
	assert_true(span_ends(buf_span(&in), SPAN(HEAD_END)));
	assert_int_equal(count_of(all, HEAD_END), 1);
	assert_int_equal(f->fills, 0);
	assert_int_equal(f->done_complete, 1);
	assert_int_equal(f->sent, 1);
	buf_fini(&in);
	stop(f);
}

static void
test_keep_alive__client_half_closes(void **state)
{
	(void)state;
	static const char *const requests[] = {
	    "GET /hello HTTP/1.1\r\n" H "\r\n",
	    "GET /hello HTTP/1.1\r\n" H "\r\nGET /he",
	    "GET /stream HTTP/1.1\r\n" H "\r\nGET /hello HTTP/1.1\r\n" H "\r\n",
	    "POST /echo HTTP/1.1\r\n" H "Content-Length: 6\r\nExpect: 100-continue\r\n\r\nhello\n",
	};
	struct fixture *f = start(ample);
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		struct buf in = BUF_INIT;
		int fd = dial(f);
		size_t len = strlen(requests[i]);
		assert_int_equal(send(fd, requests[i], len, MSG_NOSIGNAL), len);
		shutdown(fd, SHUT_WR);
		receive_all(f, fd, &in);
		assert_true(span_ends(buf_span(&in), SPAN("hello\n")));
		buf_fini(&in);
	}
	stop(f);
}

static void
test_keep_alive__idle_limit(void **state)
{
	(void)state;
	struct http_limits limits = ample;
	limits.idle_us = SOON_US;
	struct fixture *f = start(limits);
	struct buf in = BUF_INIT;
	assert_non_null(strstr(exchange(f, "GET /hello HTTP/1.1\r\n" H "\r\n", &in), "hello\n"));
	assert_int_equal(stat_of(f, deadlines), 0);
	assert_int_equal(stat_of(f, incomplete), 0);
	buf_fini(&in);
	stop(f);
}

static void
test_stream__large_pieces_in_small_steps(void **state)
{
	(void)state;
	struct fixture *f = start(ample);
	struct buf in = BUF_INIT;
	f->pieces = 5;
	f->piece_bytes = (1 << 20) + 7;
	exchange(f, "GET /stream HTTP/1.0\r\n\r\n", &in);
	const char *body = strstr(buf_text(&in), HEAD_END) + strlen(HEAD_END);
	size_t head = (size_t)(body - in.ptr);
	assert_int_equal(in.len - head, f->pieces * f->piece_bytes);
	for (size_t i = 0; i < in.len - head; i++)
		if (body[i] != (char)('a' + i % f->piece_bytes % 26))
			fail_msg("byte %zu is wrong", i);
	assert_int_equal(f->done_complete, 1);
	assert_int_equal(f->fills, f->pieces + 1);
	buf_fini(&in);
	stop(f);
}

/* Many connections have little memory each, and a daemon of their own. */
static void
test_stream__in_a_crowd(void **state)
{
	(void)state;
	enum { SILENT_ONES = 40 };
	struct fixture *f = start(ample);
	f->pieces = 200;
	f->piece_bytes = 10000;
	int silent[SILENT_ONES];
	for (unsigned i = 0; i < SILENT_ONES; i++) {
		silent[i] = dial(f);
		await(f, stat_of(f, open) == i + 1);
	}
	struct buf in = BUF_INIT;
	int fd = dial(f);
	send_text(f, fd, "GET /stream HTTP/1.0\r\n" HEAD_END);
	await(f, receive(fd, &in));
	const char *body = strstr(buf_text(&in), HEAD_END);
	assert_non_null(body);
	assert_int_equal(strlen(body + strlen(HEAD_END)), f->pieces * f->piece_bytes);
	close(fd);
	for (unsigned i = 0; i < SILENT_ONES; i++)
		close(silent[i]);
	buf_fini(&in);
	stop(f);
}

static void
test_stream__empty(void **state)
{
	(void)state;
	struct fixture *f = start(ample);
	struct buf in = BUF_INIT;
	f->pieces = 0;
	exchange(f, GET("/stream"), &in);
	assert_true(span_ends(buf_span(&in), SPAN("\r\n\r\n0\r\n\r\n")));
	assert_int_equal(f->done_complete, 1);
	buf_fini(&in);
	stop(f);
}

static void
test_stream__piece_over_its_cap(void **state)
{
	(void)state;
	struct fixture *f = start(ample);
	struct buf in = BUF_INIT;
	f->fails = true;
	exchange(f, GET("/stream"), &in);
	assert_false(holds(&in, "\r\n0\r\n\r\n"));
	assert_int_equal(f->done_broken, 1);
	assert_int_equal(f->done_complete, 0);
	buf_fini(&in);
	stop(f);
}

static void
test_stream__client_goes_away(void **state)
{
	(void)state;
	struct fixture *f = start(ample);
	f->pieces = SIZE_MAX;
	f->piece_bytes = 10000;
	int fd = dial(f);
	send_text(f, fd, "GET /stream HTTP/1.1\r\n" H "\r\n");
	await(f, f->fills > 2);
	close(fd);
	await(f, stat_of(f, open) == 0);
	assert_int_equal(f->done_broken, 1);
	assert_int_equal(f->done_complete, 0);
	assert_int_equal(f->sent, 1);
	assert_int_equal(stat_of(f, incomplete), 0);
	stop(f);
}

static void
test_stream__client_half_closes(void **state)
{
	(void)state;
	struct fixture *f = start(ample);
	struct buf in = BUF_INIT;
	f->pieces = 100;
	f->piece_bytes = 50000;
	int fd = dial(f);
	assert_int_equal(send(fd, GET("/stream"), strlen(GET("/stream")), 0),
			 strlen(GET("/stream")));
	shutdown(fd, SHUT_WR);
	receive_all(f, fd, &in);
	assert_true(span_ends(buf_span(&in), SPAN("\r\n0\r\n\r\n")));
	assert_int_equal(f->done_complete, 1);
	buf_fini(&in);
	stop(f);
}

static void
test_stream__back_pressure(void **state)
{
	(void)state;
	struct fixture *f = start(ample);
	f->pieces = SIZE_MAX;
	f->piece_bytes = 10000;
	int fd = dial_from(f, "127.0.0.1", 4096);
	send_text(f, fd, "GET /stream HTTP/1.1\r\n" H "\r\n");
	/* Until the socket is full: many steps in a row in which nothing is asked for. */
	for (unsigned quiet = 0, last = 0; quiet < 200; quiet++, step(f)) {
		if (f->fills == last)
			continue;
		last = f->fills;
		quiet = 0;
		assert_true(f->fills < 10000);
	}
	assert_int_equal(http_server_busy(f->server), 1);
	close(fd);
	stop(f);
}

static void
test_deadline__slow_senders(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		const char *start; /* sent at once */
		const char *drip;  /* sent for ever, a byte a step */
	} cases[] = {
	    {"request line", "", "G"},
	    {"target", "GET /", "x"},
	    {"headers", "GET /hello HTTP/1.1\r\n" H "X: ", "x"},
	    {"body", "POST /echo HTTP/1.1\r\n" H "Content-Length: 1000\r\n\r\n", "x"},
	    {"chunk size", "POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n", "0"},
	    {"silence", "", ""},
	    {"blank lines", "", "\n"},
	};
	struct http_limits limits = ample;
	limits.request_us = SOON_US;
	struct fixture *f = start(limits);
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf in = BUF_INIT;
		int fd = dial(f);
		send_text(f, fd, cases[i].start);
		await(f, (send(fd, cases[i].drip, strlen(cases[i].drip), MSG_NOSIGNAL),
			  receive(fd, &in)));
		close(fd);
		await(f, stat_of(f, open) == 0);
		if (stat_of(f, deadlines) != i + 1 || stat_of(f, incomplete) != i + 1)
			fail_msg("%s: %u deadlines, %u incomplete", cases[i].name,
				 stat_of(f, deadlines), stat_of(f, incomplete));
		assert_int_equal(in.len, 0);
		buf_fini(&in);
	}
	assert_int_equal(f->calls, 0);
	stop(f);
}

static void
test_deadline__second_request_from_its_first_byte(void **state)
{
	(void)state;
	struct http_limits limits = ample;
	limits.request_us = SOON_US;
	struct fixture *f = start(limits);
	struct buf in = BUF_INIT;
	int fd = dial(f);
	send_text(f, fd, "GET /hello HTTP/1.1\r\n" H "\r\n");
	await(f, (receive(fd, &in), holds(&in, "hello\n")));
	await(f, http_server_busy(f->server) == 0);
	send_text(f, fd, "G");
	await(f, http_server_busy(f->server) == 1);
	receive_all(f, fd, &in);
	assert_int_equal(stat_of(f, deadlines), 1);
	assert_int_equal(stat_of(f, incomplete), 1);
	buf_fini(&in);
	stop(f);
}

static void
test_deadline__client_does_not_read(void **state)
{
	(void)state;
	struct http_limits limits = ample;
	limits.request_us = 4 * SOON_US;
	struct fixture *f = start(limits);
	f->pieces = SIZE_MAX;
	f->piece_bytes = 10000;
	int fd = dial_from(f, "127.0.0.1", 4096);
	send_text(f, fd, "GET /stream HTTP/1.1\r\n" H "\r\n");
	await(f, stat_of(f, open) == 0);
	assert_int_equal(stat_of(f, deadlines), 1);
	assert_int_equal(stat_of(f, incomplete), 0);
	assert_int_equal(f->done_broken, 1);
	assert_int_equal(f->done_complete, 0);
	close(fd);
	stop(f);
}

static void
test_incomplete__client_leaves_early(void **state)
{
	(void)state;
	static const char *const starts[] = {"", "G", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\n" H,
					     "PUT /echo HTTP/1.1\r\n" H
					     "Content-Length: 2\r\n\r\na"};
	struct fixture *f = start(ample);
	for (unsigned i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
		int fd = dial(f);
		send_text(f, fd, starts[i]);
		await(f, stat_of(f, connections) == i + 1);
		close(fd);
		await(f, stat_of(f, open) == 0);
		assert_int_equal(stat_of(f, incomplete), i + 1);
	}
	assert_int_equal(stat_of(f, deadlines), 0);
	assert_int_equal(f->calls, 0);
	stop(f);
}

/* @return whether the server has closed the connection, without an answer */
static bool
is_closed(int fd)
{
	char byte;
	ssize_t n = recv(fd, &byte, 1, MSG_DONTWAIT);
	return n == 0 || (n < 0 && errno == ECONNRESET);
}

static void
assert_served(struct fixture *f, int fd)
{
	struct buf in = BUF_INIT;
	send_text(f, fd, GET("/hello"));
	await(f, receive(fd, &in));
	assert_true(holds(&in, "hello\n"));
	buf_fini(&in);
}

static void
assert_served_late(struct fixture *f, int fd)
{
	struct buf in = BUF_INIT;
	await(f, receive(fd, &in));
	assert_true(span_ends(buf_span(&in), SPAN("late\n")));
	close(fd);
	buf_fini(&in);
}

/* Nobody who behaves is kept out by those that say nothing, who go in the order they came. */
static void
test_connections__over_the_limit(void **state)
{
	(void)state;
	enum { LIMIT = 20, MORE = 300 };
	struct http_limits limits = ample;
	limits.connections = LIMIT;
	struct fixture *f = start(limits);
	int fds[LIMIT + MORE];
	for (int i = 0; i < LIMIT + MORE; i++) {
		fds[i] = dial(f);
		await(f, stat_of(f, connections) == (unsigned)i + 1);
		if (i >= LIMIT)
			await(f, is_closed(fds[i - LIMIT]));
	}
	await(f, stat_of(f, open) == LIMIT);
	assert_int_equal(stat_of(f, evicted), MORE);
	assert_served(f, fds[MORE]);
	assert_int_equal(stat_of(f, refused_connections), 0);
	for (int i = 0; i < LIMIT + MORE; i++)
		close(fds[i]);
	stop(f);
}

/* Whoever has but one connection keeps it, however long the server waits for its request. */
static void
test_connections__crowd(void **state)
{
	(void)state;
	enum { LIMIT = 4, MORE = 20 };
	struct http_limits limits = ample;
	limits.connections = LIMIT;
	struct fixture *f = start(limits);
	int fds[LIMIT + MORE], loner = dial_from(f, "127.0.0.2", 0);
	await(f, stat_of(f, connections) == 1);
	for (int i = 0; i < LIMIT + MORE; i++) {
		fds[i] = dial(f);
		await(f, stat_of(f, connections) == (unsigned)i + 2);
	}
	await(f, stat_of(f, open) == LIMIT);
	assert_served(f, loner);
	for (int i = 0; i < LIMIT + MORE; i++)
		close(fds[i]);
	close(loner);
	stop(f);
}

/* @out gets another address than 127.0.0.1, with the end of its hash */
static void
find_meeting(char out[INET_ADDRSTRLEN])
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	uint64_t hash = address_group_hash(address_group_of(-1, (struct sockaddr *)&address));
	for (in_addr_t i = INADDR_LOOPBACK + 1;; i++) {
		address.sin_addr.s_addr = htonl(i);
		struct address_group client = address_group_of(-1, (struct sockaddr *)&address);
		if ((address_group_hash(client) ^ hash) % 4096 == 0)
			break;
	}
	assert_non_null(inet_ntop(AF_INET, &address.sin_addr, out, INET_ADDRSTRLEN));
}

/* Nor has he to go for a crowd whose address has a hash like his. */
static void
test_connections__crowd_with_the_same_hash(void **state)
{
	(void)state;
	enum { LIMIT = 4, MORE = 20 };
	struct http_limits limits = ample;
	limits.connections = LIMIT;
	struct fixture *f = start(limits);
	char crowd[INET_ADDRSTRLEN];
	find_meeting(crowd);
	int fds[LIMIT + MORE], loner = dial(f);
	await(f, stat_of(f, connections) == 1);
	for (int i = 0; i < LIMIT + MORE; i++) {
		fds[i] = dial_from(f, crowd, 0);
		await(f, stat_of(f, connections) == (unsigned)i + 2);
	}
	assert_served(f, loner);
	for (int i = 0; i < LIMIT + MORE; i++)
		close(fds[i]);
	close(loner);
	stop(f);
}

static void
test_connections__per_address(void **state)
{
	(void)state;
	struct http_limits limits = ample;
	limits.connections_per_address = 2;
	struct fixture *f = start(limits);
	int other = dial_from(f, "127.0.0.2", 0);
	await(f, stat_of(f, open) == 1);
	int one = dial(f), two = dial(f);
	await(f, stat_of(f, open) == 3);
	int three = dial(f);
	await(f, is_closed(one));
	await(f, stat_of(f, open) == 3);
	assert_int_equal(stat_of(f, evicted), 1);
	assert_served(f, other);
	assert_served(f, two);
	assert_served(f, three);
	close(one);
	close(two);
	close(three);
	close(other);
	stop(f);
}

/* All of a user's count as one, and who comes by other ways does not. */
static void
test_connections__per_user_of_unix_sockets(void **state)
{
	(void)state;
	struct http_limits limits = ample;
	limits.connections_per_address = 2;
	struct fixture *f = start(limits);
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	socklen_t len = sizeof(sa_family_t); /* the kernel chooses a name */
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_return_code(bind(listener, (struct sockaddr *)&address, len), errno);
	assert_return_code(listen(listener, 16), errno);
	len = sizeof(address);
	assert_return_code(getsockname(listener, (struct sockaddr *)&address, &len), errno);
	http_server_listen(f->server, listener);
	int other = dial(f);
	await(f, stat_of(f, open) == 1);
	int fds[3];
	for (size_t i = 0; i < 3; i++) {
		fds[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		assert_return_code(connect(fds[i], (struct sockaddr *)&address, len), errno);
		await(f, stat_of(f, connections) == 2 + i);
	}
	await(f, is_closed(fds[0]));
	assert_int_equal(stat_of(f, evicted), 1);
	assert_served(f, other);
	assert_served(f, fds[1]);
	assert_served(f, fds[2]);
	for (size_t i = 0; i < 3; i++)
		close(fds[i]);
	close(other);
	stop(f);
}

/* Waits until a client that does not read has no room for more of its answer. @return since when,
 * in microseconds of the monotonic clock */
static int64_t
await_full(struct fixture *f)
{
	int64_t since_us = clock_mono().us;
	unsigned before = f->fills;
	await(f, f->fills > before);
	for (int quiet = 0; quiet < 20; quiet++) {
		int64_t now_us = clock_mono().us;
		before = f->fills;
		step(f);
		poll(NULL, 0, 1);
		if (f->fills > before) {
			since_us = now_us;
			quiet = 0;
		}
	}
	return since_us;
}

/* One that sends its head byte by byte, one that does not read its answer, one that stays after it.
 */
static void
test_connections__slow_ones_go_first(void **state)
{
	(void)state;
	struct http_limits limits = ample;
	limits.connections = 3;
	struct fixture *f = start(limits);
	f->pieces = 1000;
	f->piece_bytes = 100000;
	int sips = dial(f);
	await(f, stat_of(f, open) == 1);
	int full = dial_from(f, "127.0.0.1", 4096);
	send_text(f, full, GET("/stream"));
	await_full(f);
	int stays = dial(f);
	send_text(f, stays, "GET /hello HTTP/1.1\r\n" H "\r\n");
	await(f, stat_of(f, responses[2]) == 2);
	const int slow[] = {sips, full, stays};
	int comes[3];
	for (int i = 0; i < 3; i++) {
		if (i == 0)
			send_text(f, sips, "G");
		comes[i] = dial(f);
		await(f, stat_of(f, evicted) == (unsigned)i + 1);
		await(f, stat_of(f, open) == 3);
		/* The next one in vain: this one has just come. */
		assert_served(f, comes[i]);
		comes[i] = dial(f);
		await(f, stat_of(f, open) == 3);
	}
	for (int i = 0; i < 3; i++) {
		close(slow[i]);
		close(comes[i]);
	}
	stop(f);
}

#define A "127.0.0.1"
#define B "127.0.0.2"
#define C "127.0.0.3"
#define NOBODY SIZE_MAX

enum doing {
	SILENT, /* says nothing */
	SIPS,   /* has sent the beginning of its request, and the server has seen that */
	SENDS,  /* the same with its body */
	STAYS,  /* when all are there, gets an answer, and stays */
	WAITS,  /* for the server */
	READS,  /* has just taken some of its answer */
};

#define ROOM_MAX 4

struct room_row {
	unsigned connections, per_address;
	struct {
		const char *from; /* NULL = no further one */
		enum doing doing;
	} there[ROOM_MAX];
	const char *comes;
	size_t goes; /* of `there`; NOBODY = who comes is refused */
};

/* @return the first that the server has hung up on, or NOBODY */
static size_t
find_hung_up(const int *fds, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct pollfd end = {.fd = fds[i], .events = POLLRDHUP};
		if (poll(&end, 1, 0) > 0)
			return i;
	}
	return NOBODY;
}

/* Has a client do it. @return since when it takes no more of its answer, or INT64_MAX */
static int64_t
begin_doing(struct fixture *f, int fd, enum doing doing)
{
	static const char *const words[] = {
	    [SIPS] = "GET",
	    [SENDS] = "PUT /echo HTTP/1.1\r\n" H "Content-Length: 2\r\n\r\na",
	    [STAYS] = NULL,
	    [WAITS] = GET("/later"),
	    [READS] = GET("/stream"),
	};
	unsigned laters = f->laters;
	if (words[doing])
		send_text(f, fd, words[doing]);
	if (doing == READS)
		return await_full(f);
	for (int i = 0; i < 5; i++)
		step(f);
	if (doing == WAITS)
		await(f, f->laters > laters);
	return INT64_MAX;
}

/* Fills the server with those who are there. @fds gets theirs @return since when one of them takes
 * no more of its answer, or INT64_MAX */
static int64_t
fill_room(struct fixture *f, const struct room_row *row, size_t count, int *fds)
{
	int64_t first_us = INT64_MAX;
	for (size_t i = 0; i < count; i++) {
		fds[i] = dial_from(f, row->there[i].from, 4096);
		await(f, stat_of(f, connections) == i + 1);
		int64_t since_us = begin_doing(f, fds[i], row->there[i].doing);
		first_us = since_us < first_us ? since_us : first_us;
	}
	for (size_t i = 0; i < count; i++) {
		unsigned before = stat_of(f, responses[2]);
		if (row->there[i].doing != STAYS)
			continue;
		send_text(f, fds[i], "GET /hello HTTP/1.1\r\n" H "\r\n");
		await(f, stat_of(f, responses[2]) > before);
	}
	return first_us;
}

/* @return false where it took so long that nobody had just taken anything any more */
static bool
check_room(const struct room_row *row, size_t number)
{
	struct http_limits limits = ample;
	limits.connections = row->connections;
	limits.connections_per_address = row->per_address;
	struct fixture *f = start(limits);
	f->pieces = SIZE_MAX;
	f->piece_bytes = 100000;
	int fds[ROOM_MAX + 1];
	size_t count = 0, closed;
	while (count < ROOM_MAX && row->there[count].from)
		count++;
	int64_t since_us = fill_room(f, row, count, fds);
	fds[count] = dial_from(f, row->comes, 0);
	await(f, stat_of(f, evicted) + stat_of(f, refused_connections) == 1);
	bool is_quick = since_us == INT64_MAX || clock_mono().us - since_us < 400000;
	await(f, (closed = find_hung_up(fds, count + 1)) != NOBODY);
	if (is_quick && closed != (row->goes == NOBODY ? count : row->goes))
		fail_msg("row %zu: %zu had to go", number, closed);
	assert_int_equal(stat_of(f, evicted), closed != count);
	for (size_t i = 0; i <= count; i++)
		close(fds[i]);
	for (unsigned i = 0; i < f->laters; i++)
		answer_later(f, i, "");
	stop(f);
	return is_quick;
}

/* Whoever waits for the server is not to blame, and who takes its answer only if there is nobody
 * else. */
static void
test_connections__who_has_to_go(void **state)
{
	(void)state;
	static const struct room_row table[] = {
	    {2, 9, {{A, READS}, {A, SILENT}}, A, 1},
	    {2, 9, {{A, SILENT}, {A, READS}}, A, 0},
	    {9, 2, {{A, READS}, {A, SILENT}}, A, 1},
	    {9, 2, {{A, READS}, {A, WAITS}}, A, 0},
	    {9, 2, {{B, SILENT}, {A, WAITS}, {A, WAITS}}, A, NOBODY},
	    {1, 9, {{A, READS}}, B, 0},
	    {1, 9, {{A, SIPS}}, B, 0},
	    {2, 9, {{A, SENDS}, {A, SILENT}}, B, 0},
	    {2, 9, {{A, STAYS}, {A, SILENT}}, B, 1},
	    {2, 9, {{A, WAITS}, {B, WAITS}}, C, NOBODY},
	    {3, 9, {{A, SILENT}, {B, SILENT}, {B, SILENT}}, C, 1},
	    /* Who cannot go is no crowd. */
	    {3, 9, {{A, WAITS}, {A, WAITS}, {B, SILENT}}, C, 2},
	    {3, 9, {{A, READS}, {A, READS}, {B, SILENT}}, C, 2},
	    {3, 9, {{B, WAITS}, {A, READS}, {A, READS}}, C, 1},
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		for (int tries = 1; !check_room(&table[i], i); tries++)
			assert_true(tries < 100);
	}
}

/* Who was dropped just before counts no longer, and is no second time the one that goes. */
static void
test_connections__two_come_at_once(void **state)
{
	(void)state;
	struct http_limits limits = ample;
	limits.connections = 4;
	limits.connections_per_address = 2;
	struct fixture *f = start(limits);
	static const char *const from[] = {B, B, A, A};
	int fds[4];
	for (size_t i = 0; i < 4; i++) {
		fds[i] = dial_from(f, from[i], 0);
		await(f, stat_of(f, open) == i + 1);
	}
	send_text(f, fds[2], "GET");
	send_text(f, fds[3], "GET");
	for (unsigned i = 0; i < 2; i++) {
		send_text(f, fds[i], "GET /hello HTTP/1.1\r\n" H "\r\n");
		await(f, stat_of(f, responses[2]) == i + 1);
	}
	int comes = dial_from(f, C, 0), too = dial_from(f, A, 0);
	await(f, stat_of(f, evicted) == 2);
	await(f, stat_of(f, open) == 4);
	assert_int_equal(find_hung_up(fds, 4), 0);
	assert_int_equal(find_hung_up(&fds[1], 3), 1);
	assert_int_equal(find_hung_up(&fds[3], 1), NOBODY);
	assert_served(f, comes);
	assert_served(f, too);
	for (size_t i = 0; i < 4; i++)
		close(fds[i]);
	close(comes);
	close(too);
	stop(f);
}

static void
test_connections__two_come_in_place_of_two(void **state)
{
	(void)state;
	struct http_limits limits = ample;
	limits.connections = 2;
	struct fixture *f = start(limits);
	int fds[4];
	for (unsigned i = 0; i < 2; i++) {
		fds[i] = dial(f);
		await(f, stat_of(f, open) == i + 1);
		begin_doing(f, fds[i], SIPS);
	}
	fds[2] = dial_from(f, B, 0);
	fds[3] = dial_from(f, C, 0);
	await(f, stat_of(f, evicted) == 2);
	await(f, stat_of(f, open) == 2);
	assert_served(f, fds[2]);
	assert_served(f, fds[3]);
	for (unsigned i = 0; i < 4; i++)
		close(fds[i]);
	stop(f);
}

/* Whoever has ended its side may be gone. */
static void
test_connections__one_has_left(void **state)
{
	(void)state;
	struct http_limits limits = ample;
	limits.connections = 2;
	struct fixture *f = start(limits);
	int leaves = dial(f), stays = dial(f);
	send_text(f, leaves, GET("/later?watched"));
	await(f, f->laters == 1);
	send_text(f, stays, GET("/later?watched"));
	await(f, f->laters == 2);
	/* While nobody has: it is looked for anew. */
	int early = dial(f);
	await(f, is_closed(early));
	close(early);
	shutdown(leaves, SHUT_WR);
	await(f, f->left == 1);
	assert_int_equal(f->given_up, 0);
	int comes = dial(f);
	await(f, f->given_up == 1);
	await(f, is_closed(leaves));
	assert_served(f, comes);
	assert_int_equal(stat_of(f, refused_connections), 1);
	assert_int_equal(f->left, 2);
	answer_later(f, 0, "");
	answer_later(f, 1, "late\n");
	assert_served_late(f, stays);
	close(leaves);
	close(comes);
	stop(f);
}

/* Who asks, and has left before the server looks at that. */
static void
test_connections__left_unseen(void **state)
{
	(void)state;
	struct http_limits limits = ample;
	limits.connections = 1;
	struct fixture *f = start(limits);
	static const char get[] = GET("/hello");
	for (int i = 0; i < 3; i++) {
		int leaves = dial(f);
		assert_int_equal(send(leaves, get, sizeof(get) - 1, MSG_NOSIGNAL), sizeof(get) - 1);
		close(leaves);
	}
	int comes = dial(f);
	assert_served(f, comes);
	assert_int_equal(stat_of(f, refused_connections), 0);
	close(comes);
	stop(f);
}

/* Its answer comes in the same round of the loop as another client, just before that. */
static void
test_connections__answer_not_taken_up(void **state)
{
	(void)state;
	struct http_limits limits = ample;
	limits.connections = 1;
	struct fixture *f = start(limits);
	ev_check check;
	int waits = dial(f);
	send_text(f, waits, GET("/later"));
	await(f, f->laters == 1);
	int comes = dial(f);
	ev_check_init(&check, answer_now);
	check.data = f;
	ev_check_start(f->loop, &check);
	assert_served_late(f, waits);
	await(f, is_closed(comes));
	assert_int_equal(stat_of(f, refused_connections), 1);
	close(comes);
	stop(f);
}

/* Both come before the server looks at either. */
static void
test_connections__request_not_looked_at(void **state)
{
	(void)state;
	struct http_limits limits = ample;
	limits.connections = 1;
	struct fixture *f = start(limits);
	static const char get[] = GET("/hello");
	int asks = dial(f);
	assert_int_equal(send(asks, get, sizeof(get) - 1, MSG_NOSIGNAL), sizeof(get) - 1);
	int comes = dial(f);
	await(f, is_closed(comes));
	assert_int_equal(stat_of(f, refused_connections), 1);
	assert_int_equal(stat_of(f, evicted), 0);
	await(f, f->calls == 1);
	close(asks);
	close(comes);
	stop(f);
}

/* A flood of newcomers leaves others their turns. */
static void
test_connections__accepted_some_at_a_time(void **state)
{
	(void)state;
	enum { COUNT = 300 };
	struct fixture *f = start(ample);
	int fds[COUNT];
	for (unsigned i = 0; i < COUNT; i++)
		fds[i] = dial(f);
	step(f);
	assert_in_range(stat_of(f, connections), 1, COUNT - 1);
	await(f, stat_of(f, connections) == COUNT);
	for (unsigned i = 0; i < COUNT; i++)
		close(fds[i]);
	stop(f);
}

static void
test_connections__descriptors_run_out(void **state)
{
	(void)state;
	struct fixture *f = start(ample);
	struct rlimit limit, tight;
	int fd = dial(f);
	assert_return_code(getrlimit(RLIMIT_NOFILE, &limit), errno);
	tight = limit;
	tight.rlim_cur = (rlim_t)fd + 1;
	assert_return_code(setrlimit(RLIMIT_NOFILE, &tight), errno);
	for (int i = 0; i < 100; i++)
		step(f);
	assert_int_equal(stat_of(f, connections), 0);
	assert_return_code(setrlimit(RLIMIT_NOFILE, &limit), errno);
	await(f, stat_of(f, connections) == 1);
	assert_int_equal(stat_of(f, refused_connections), 0);
	close(fd);
	stop(f);
}

static void
test_quiesce__running_answers_finish(void **state)
{
	(void)state;
	struct fixture *f = start(ample);
	struct buf in = BUF_INIT, idle_in = BUF_INIT, late_in = BUF_INIT;
	f->pieces = 400;
	f->piece_bytes = 50000;
	int idle = dial(f), running = dial(f), late = dial(f);
	send_text(f, idle, "GET /hello HTTP/1.1\r\n" H "\r\n");
	await(f, (receive(idle, &idle_in), holds(&idle_in, "hello\n")));
	send_text(f, running, "GET /stream HTTP/1.1\r\n" H "\r\n");
	await(f, f->fills > 2);
	send_text(f, late, "GET /hel");
	await(f, http_server_busy(f->server) == 2);

	http_server_quiesce(f->server);
	await(f, receive(idle, &idle_in));
	send_text(f, late, "lo HTTP/1.1\r\n" H "\r\n");
	await(f, receive(late, &late_in));
	assert_true(holds(&late_in, "Connection: close\r\n"));
	assert_true(span_ends(buf_span(&late_in), SPAN("hello\n")));
	assert_int_equal(http_server_busy(f->server), 1);
	await(f, receive(running, &in));
	assert_true(span_ends(buf_span(&in), SPAN("\r\n0\r\n\r\n")));
	assert_int_equal(f->done_complete, 1);
	await(f, http_server_busy(f->server) == 0);
	assert_int_equal(stat_of(f, incomplete), 0);

	int refused = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in address = {
	    .sin_family = AF_INET, .sin_port = f->port, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	assert_int_equal(connect(refused, (struct sockaddr *)&address, sizeof(address)), -1);
	assert_int_equal(errno, ECONNREFUSED);
	close(refused);
	close(idle);
	close(running);
	close(late);
	buf_fini(&in);
	buf_fini(&idle_in);
	buf_fini(&late_in);
	stop(f);
}

/* ---- Answers that come later. ---- */

static void
test_later__comes_when_it_is_given(void **state)
{
	(void)state;
	struct fixture *f = start(ample);
	struct buf in = BUF_INIT, other_in = BUF_INIT;
	int fd = dial(f), other = dial(f);
	send_text(f, fd, "PUT /later HTTP/1.1\r\n" H "Content-Length: 3\r\n\r\nabc");
	await(f, f->laters == 1);
	/* Meanwhile others are served, also with answers that come later still. */
	send_text(f, other, "GET /hello HTTP/1.1\r\n" H "\r\n");
	await(f, (receive(other, &other_in), holds(&other_in, "hello\n")));
	send_text(f, other, GET("/later"));
	await(f, f->laters == 2);
	assert_int_equal(http_server_busy(f->server), 2);
	assert_false(receive(fd, &in));
	assert_int_equal(in.len, 0);

	answer_later(f, 1, "second\n");
	await(f, receive(other, &other_in));
	assert_true(span_ends(buf_span(&other_in), SPAN("\r\n\r\nsecond\n")));
	answer_later(f, 0, "first\n");
	await(f, (receive(fd, &in), holds(&in, "first\n")));
	assert_true(span_starts(buf_span(&in), SPAN("HTTP/1.1 202 Accepted\r\n")));
	assert_false(holds(&in, "dropped"));

	/* The connection goes on. */
	buf_reset(&in);
	send_text(f, fd, GET("/hello"));
	await(f, receive(fd, &in));
	assert_true(span_ends(buf_span(&in), SPAN("hello\n")));
	await(f, stat_of(f, open) == 0);
	/* Both replies of each request that was put off, and two others. */
	assert_int_equal(f->sent, 6);
	assert_int_equal(stat_of(f, incomplete), 0);
	assert_int_equal(stat_of(f, responses[2]), 4);
	close(fd);
	close(other);
	buf_fini(&in);
	buf_fini(&other_in);
	stop(f);
}

static void
test_later__pipelined_requests_keep_their_order(void **state)
{
	(void)state;
	struct fixture *f = start(ample);
	struct buf in = BUF_INIT;
	int fd = dial(f);
	send_text(f, fd, "GET /later HTTP/1.1\r\n" H "\r\nGET /hello HTTP/1.1\r\n" H "\r\n");
	await(f, f->laters == 1);
	send_text(f, fd, GET("/later"));
	assert_int_equal(f->calls, 1);
	answer_later(f, 0, "first\n");
	await(f, f->laters == 2);
	answer_later(f, 1, "third\n");
	const char *all = receive_all(f, fd, &in);
	const char *first = strstr(all, "first\n"), *second = strstr(all, "hello\n");
	assert_true(first && second && first < second);
	assert_true(span_ends(buf_span(&in), SPAN("third\n")));
	buf_fini(&in);
	stop(f);
}

static void
test_later__stream(void **state)
{
	(void)state;
	struct fixture *f = start(ample);
	struct buf in = BUF_INIT;
	int fd = dial(f);
	send_text(f, fd, GET("/later"));
	await(f, f->laters == 1);
	struct http_reply reply = http_reply_new();
	reply.stream = (struct http_stream){fill, done, f};
	http_later_answer(&f->later[0], &reply);
	receive_all(f, fd, &in);
	assert_true(span_ends(buf_span(&in), SPAN("\r\n0\r\n\r\n")));
	assert_int_equal(f->done_complete, 1);
	buf_fini(&in);
	stop(f);
}

static void
test_later__client_leaves(void **state)
{
	(void)state;
	static const int ways[] = {0, SHUT_WR};
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		struct fixture *f = start(ample);
		struct buf in = BUF_INIT;
		int fd = dial(f);
		send_text(f, fd, "GET /later HTTP/1.1\r\n" H "\r\n");
		await(f, f->laters == 1);
		if (ways[i] == SHUT_WR)
			shutdown(fd, SHUT_WR);
		else
			close(fd);
		answer_later(f, 0, "late\n");
		if (ways[i] == SHUT_WR) {
			receive_all(f, fd, &in);
			assert_true(span_ends(buf_span(&in), SPAN("late\n")));
		}
		await(f, stat_of(f, open) == 0);
		assert_int_equal(f->sent, 2);
		buf_fini(&in);
		stop(f);
	}
}

/* Closes with a reset. */
static void
reset(int fd)
{
	struct linger drop = {.l_onoff = 1, .l_linger = 0};
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &drop, sizeof(drop)), 0);
	close(fd);
}

static void
test_later__tells_of_a_client_that_leaves(void **state)
{
	(void)state;
	struct fixture *f = start(ample);
	struct buf in = BUF_INIT;
	int half = dial(f), whole = dial(f), broken = dial(f), stays = dial(f);
	const int all[] = {half, whole, broken, stays};
	for (unsigned i = 0; i < 4; i++) {
		send_text(f, all[i], "GET /later?watched HTTP/1.1\r\n" H "\r\n");
		await(f, f->laters == i + 1);
	}
	shutdown(half, SHUT_WR);
	await(f, f->left == 1);
	close(whole);
	await(f, f->left == 2);
	reset(broken);
	await(f, f->left == 3);

	/* The answers are still to be given; who can hear does. */
	for (unsigned i = 0; i < 4; i++)
		answer_later(f, i, "late\n");
	await(f, receive(half, &in));
	assert_true(span_ends(buf_span(&in), SPAN("late\n")));
	buf_reset(&in);
	await(f, (receive(stays, &in), holds(&in, "late\n")));
	close(half);
	close(stays);
	await(f, stat_of(f, open) == 0);
	assert_int_equal(f->left, 3);
	assert_int_equal(f->sent, 8);
	buf_fini(&in);
	stop(f);
}

static void
test_later__answered_when_the_client_leaves(void **state)
{
	(void)state;
	/* The end may come with the request. */
	for (int comes_later = 0; comes_later < 2; comes_later++) {
		struct fixture *f = start(ample);
		struct buf in = BUF_INIT;
		int fd = dial(f);
		send_text(f, fd, "GET /later?answered HTTP/1.1\r\n" H "\r\n");
		if (comes_later)
			await(f, f->laters == 1);
		shutdown(fd, SHUT_WR);
		await(f, f->left == 1);
		receive_all(f, fd, &in);
		assert_true(span_ends(buf_span(&in), SPAN("left\n")));
		assert_int_equal(f->sent, 2);
		buf_fini(&in);
		stop(f);
	}
}

/* What a client sends meanwhile waits for its turn, and does not hide its end. */
static void
test_later__end_behind_a_pipelined_request(void **state)
{
	(void)state;
	struct fixture *f = start(ample);
	struct buf in = BUF_INIT;
	int fd = dial(f);
	send_text(f, fd, "GET /later?watched HTTP/1.1\r\n" H "\r\n");
	await(f, f->laters == 1);
	send_text(f, fd, GET("/hello"));
	for (int i = 0; i < 20; i++)
		step(f);
	assert_int_equal(f->left, 0);
	shutdown(fd, SHUT_WR);
	await(f, f->left == 1);
	assert_int_equal(stat_of(f, deadlines), 0);
	answer_later(f, 0, "late\n");
	receive_all(f, fd, &in);
	assert_true(holds(&in, "late\n"));
	assert_true(span_ends(buf_span(&in), SPAN("hello\n")));
	assert_int_equal(f->left, 1);
	buf_fini(&in);
	stop(f);
}

/* As TLS does it, whose last words before the end are bytes, too. */
static void
test_later__end_behind_a_byte(void **state)
{
	(void)state;
	for (int is_seen_first = 0; is_seen_first < 2; is_seen_first++) {
		struct fixture *f = start(ample);
		int fd = dial(f);
		send_text(f, fd, "GET /later?watched HTTP/1.1\r\n" H "\r\n");
		await(f, f->laters == 1);
		assert_int_equal(send(fd, "G", 1, MSG_NOSIGNAL), 1);
		for (int i = 0; i < 20 * is_seen_first; i++)
			step(f);
		close(fd);
		await(f, f->left == 1);
		assert_int_equal(stat_of(f, deadlines), 0);
		answer_later(f, 0, "late\n");
		await(f, stat_of(f, open) == 0);
		assert_int_equal(f->sent, 2);
		stop(f);
	}
}

static void
test_later__tells_that_the_server_gives_up(void **state)
{
	(void)state;
	struct http_limits limits = ample;
	limits.request_us = SOON_US;
	struct fixture *f = start(limits);
	struct buf in = BUF_INIT;
	int fd = dial(f);
	send_text(f, fd, "GET /later?answered HTTP/1.1\r\n" H "\r\n");
	receive_all(f, fd, &in);
	assert_int_equal(f->left, 1);
	assert_int_equal(f->sent, 2);
	assert_int_equal(in.len, 0);
	buf_fini(&in);
	stop(f);

	f = start(ample);
	fd = dial(f);
	send_text(f, fd, GET("/later?answered"));
	await(f, f->laters == 1);
	http_server_free(&f->server);
	assert_int_equal(f->left, 1);
	assert_int_equal(f->sent, 2);
	close(fd);
	stop(f);
}

static void
test_later__deadline_goes_on(void **state)
{
	(void)state;
	struct http_limits limits = ample;
	limits.request_us = SOON_US;
	struct fixture *f = start(limits);
	struct buf in = BUF_INIT;
	int fd = dial(f);
	send_text(f, fd, "GET /later HTTP/1.1\r\n" H "\r\n");
	await(f, f->laters == 1);
	receive_all(f, fd, &in);
	assert_int_equal(in.len, 0);
	assert_int_equal(stat_of(f, deadlines), 1);
	assert_int_equal(stat_of(f, incomplete), 1);
	assert_int_equal(f->sent, 1);
	answer_later(f, 0, "too late\n");
	assert_int_equal(f->sent, 2);
	buf_fini(&in);
	stop(f);
}

static void
test_later__quiesce_waits_for_it(void **state)
{
	(void)state;
	struct fixture *f = start(ample);
	struct buf in = BUF_INIT;
	int fd = dial(f);
	send_text(f, fd, "GET /later HTTP/1.1\r\n" H "\r\n");
	await(f, f->laters == 1);
	http_server_quiesce(f->server);
	for (int i = 0; i < 20; i++)
		step(f);
	assert_int_equal(http_server_busy(f->server), 1);
	answer_later(f, 0, "late\n");
	receive_all(f, fd, &in);
	assert_true(span_ends(buf_span(&in), SPAN("late\n")));
	assert_true(holds(&in, "Connection: close\r\n"));
	buf_fini(&in);
	stop(f);
}

static void
test_later__server_is_freed(void **state)
{
	(void)state;
	struct fixture *f = start(ample);
	int waiting = dial(f), given = dial(f);
	send_text(f, waiting, GET("/later"));
	await(f, f->laters == 1);
	send_text(f, given, GET("/later"));
	await(f, f->laters == 2);
	answer_later(f, 1, "given, not sent\n");
	assert_int_equal(f->sent, 2);
	http_server_free(&f->server);
	assert_int_equal(f->sent, 3);
	struct http_reply reply = http_reply_new();
	reply.stream = (struct http_stream){fill, done, f};
	http_later_answer(&f->later[0], &reply);
	assert_int_equal(f->done_broken, 1);
	assert_int_equal(f->fills, 0);
	close(waiting);
	close(given);
	stop(f);
}

static void
on_rest(struct ev_loop *loop, ev_timer *watcher, int events)
{
	(void)watcher, (void)events;
	ev_break(loop, EVBREAK_ALL);
}

static void
test_loop__rests_while_clients_do(void **state)
{
	(void)state;
	struct fixture *f = start(ample);
	f->pieces = SIZE_MAX;
	f->piece_bytes = 10000;
	struct buf in = BUF_INIT;
	static const char *const starts[] = {"",
					     "GET",
					     "GET / HTTP/1.1\r\n" H,
					     "PUT /echo HTTP/1.1\r\n" H
					     "Content-Length: 2\r\n\r\na",
					     "GET /hello HTTP/1.1\r\n" H "\r\n",
					     "GET /later HTTP/1.1\r\n" H "\r\nGET",
					     "GET /later HTTP/1.1\r\n" H "\r\n",
					     "GET /stream HTTP/1.1\r\n" H "\r\n"};
	enum { COUNT = sizeof(starts) / sizeof(starts[0]) };
	int fds[COUNT];
	for (int i = 0; i < COUNT; i++) {
		fds[i] = dial_from(f, "127.0.0.1", 4096);
		send_text(f, fds[i], starts[i]);
	}
	await(f, f->laters == 2);
	send_text(f, fds[COUNT - 3], " /hello");
	shutdown(fds[COUNT - 2], SHUT_WR);
	for (unsigned quiet = 0, last = 0; quiet < 200; quiet++, step(f)) {
		quiet = f->fills == last ? quiet : 0;
		last = f->fills;
	}
	unsigned before = ev_iteration(f->loop);
	ev_timer rest;
	ev_timer_init(&rest, on_rest, 0.1, 0.);
	ev_timer_start(f->loop, &rest);
	ev_run(f->loop, 0);
	assert_true(ev_iteration(f->loop) - before < 20);
	for (int i = 0; i < COUNT; i++)
		close(fds[i]);
	answer_later(f, 0, "");
	answer_later(f, 1, "");
	buf_fini(&in);
	stop(f);
}

static unsigned
open_descriptors(void)
{
	unsigned count = 0;
	DIR *dir = opendir("/proc/self/fd");
	assert_non_null(dir);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

static void
test_free__in_the_middle_of_everything(void **state)
{
	(void)state;
	unsigned before = open_descriptors();
	struct fixture *f = start(ample);
	f->pieces = SIZE_MAX;
	f->piece_bytes = 10000;
	static const char *const starts[] = {"",
					     "GET",
					     "GET / HTTP/1.1\r\n" H,
					     "PUT /echo HTTP/1.1\r\n" H
					     "Content-Length: 2\r\n\r\na",
					     "GET /stream HTTP/1.1\r\n" H "\r\n",
					     "GET /hello HTTP/1.1\r\n" H "\r\n"};
	enum { COUNT = sizeof(starts) / sizeof(starts[0]) };
	int fds[COUNT];
	for (int i = 0; i < COUNT; i++) {
		fds[i] = dial(f);
		send_text(f, fds[i], starts[i]);
	}
	await(f, f->fills > 2 && stat_of(f, responses[2]) == 2 && stat_of(f, open) == COUNT);
	http_server_free(&f->server);
	http_server_free(&f->server);
	assert_int_equal(f->done_broken, 1);
	assert_int_equal(f->sent, 2);
	for (int i = 0; i < COUNT; i++)
		close(fds[i]);
	ev_loop_destroy(f->loop);
	free(f);
	assert_int_equal(open_descriptors(), before);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_exchange__table),
	    cmocka_unit_test(test_exchange__continue_then_answer),
	    cmocka_unit_test(test_exchange__byte_by_byte),
	    cmocka_unit_test(test_body__up_to_the_limit),
	    cmocka_unit_test(test_body__chunked_without_end),
	    cmocka_unit_test(test_body__chunked_over_the_limit),
	    cmocka_unit_test(test_headers__too_large),
	    cmocka_unit_test(test_target__many_arguments),
	    cmocka_unit_test(test_headers__too_many),
	    cmocka_unit_test(test_headers__many_and_large_enough),
	    cmocka_unit_test(test_headers__list_of_many_lines),
	    cmocka_unit_test(test_headers__large_in_every_request),
	    cmocka_unit_test(test_reply__body_over_its_cap),
	    cmocka_unit_test(test_keep_alive__several_requests),
	    cmocka_unit_test(test_keep_alive__pipelined),
	    cmocka_unit_test(test_keep_alive__head_of_stream_sends_no_byte_of_it),
	    cmocka_unit_test(test_keep_alive__client_half_closes),
	    cmocka_unit_test(test_keep_alive__idle_limit),
	    cmocka_unit_test(test_stream__large_pieces_in_small_steps),
	    cmocka_unit_test(test_stream__in_a_crowd),
	    cmocka_unit_test(test_stream__empty),
	    cmocka_unit_test(test_stream__piece_over_its_cap),
	    cmocka_unit_test(test_stream__client_goes_away),
	    cmocka_unit_test(test_stream__client_half_closes),
	    cmocka_unit_test(test_stream__back_pressure),
	    cmocka_unit_test(test_deadline__slow_senders),
	    cmocka_unit_test(test_deadline__second_request_from_its_first_byte),
	    cmocka_unit_test(test_deadline__client_does_not_read),
	    cmocka_unit_test(test_incomplete__client_leaves_early),
	    cmocka_unit_test(test_connections__over_the_limit),
	    cmocka_unit_test(test_connections__crowd),
	    cmocka_unit_test(test_connections__crowd_with_the_same_hash),
	    cmocka_unit_test(test_connections__one_has_left),
	    cmocka_unit_test(test_connections__left_unseen),
	    cmocka_unit_test(test_connections__answer_not_taken_up),
	    cmocka_unit_test(test_connections__per_address),
	    cmocka_unit_test(test_connections__per_user_of_unix_sockets),
	    cmocka_unit_test(test_connections__slow_ones_go_first),
	    cmocka_unit_test(test_connections__who_has_to_go),
	    cmocka_unit_test(test_connections__two_come_at_once),
	    cmocka_unit_test(test_connections__two_come_in_place_of_two),
	    cmocka_unit_test(test_connections__request_not_looked_at),
	    cmocka_unit_test(test_connections__accepted_some_at_a_time),
	    cmocka_unit_test(test_connections__descriptors_run_out),
	    cmocka_unit_test(test_quiesce__running_answers_finish),
	    cmocka_unit_test(test_later__comes_when_it_is_given),
	    cmocka_unit_test(test_later__pipelined_requests_keep_their_order),
	    cmocka_unit_test(test_later__stream),
	    cmocka_unit_test(test_later__client_leaves),
	    cmocka_unit_test(test_later__tells_of_a_client_that_leaves),
	    cmocka_unit_test(test_later__answered_when_the_client_leaves),
	    cmocka_unit_test(test_later__end_behind_a_pipelined_request),
	    cmocka_unit_test(test_later__end_behind_a_byte),
	    cmocka_unit_test(test_later__tells_that_the_server_gives_up),
	    cmocka_unit_test(test_later__deadline_goes_on),
	    cmocka_unit_test(test_later__quiesce_waits_for_it),
	    cmocka_unit_test(test_later__server_is_freed),
	    cmocka_unit_test(test_loop__rests_while_clients_do),
	    cmocka_unit_test(test_free__in_the_middle_of_everything),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
