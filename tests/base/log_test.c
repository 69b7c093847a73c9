#include "test.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define NOON_US (INT64_C(1767323045) * 1000000 + 678901) /* 2026-01-02T03:04:05.678901Z */

/* What went to stderr, collected in a file in memory. */
static int captured = -1;
static int real_stderr = -1;

static int
capture_start(void **state)
{
	(void)state;
	clock_fake(NOON_US);
	log_init(LOG_LEVEL_INFO, LOG_FORMAT_LOGFMT);
	captured = memfd_create("stderr", 0);
	real_stderr = dup(STDERR_FILENO);
	return captured < 0 || real_stderr < 0 || fcntl(captured, F_SETFL, O_APPEND) < 0 ||
	       dup2(captured, STDERR_FILENO) < 0;
}

static int
capture_stop(void **state)
{
	(void)state;
	dup2(real_stderr, STDERR_FILENO);
	close(real_stderr);
	close(captured);
	clock_fake(-1);
	return 0;
}

/* Takes what was written since the last call. */
static struct span
take_output(char *out, size_t size)
{
	ssize_t len = pread(captured, out, size, 0);
	assert_true(len >= 0);
	assert_int_equal(ftruncate(captured, 0), 0);
	return span_of(out, (size_t)len);
}

#define assert_logged(want)                                                       \
	do {                                                                      \
		char output_[4096];                                               \
		assert_span_equal(take_output(output_, sizeof(output_)), (want)); \
	} while (0)

#define HEAD "time=2026-01-02T03:04:05.678Z level=INFO source=f.c:12 msg=hello"
#define JSON_HEAD                                                                          \
	"{\"time\":\"2026-01-02T03:04:05.678Z\",\"level\":\"INFO\",\"source\":\"f.c:12\"," \
	"\"msg\":\"hello\""

static void
write_pair(struct log_pair pair)
{
	const struct log_pair pairs[] = {pair, {.key = NULL}};
	log_write(LOG_LEVEL_INFO, "src/base/f.c", 12, "hello", pairs);
}

static void
test_write__values_in_both_formats(void **state)
{
	(void)state;
	static const struct {
		struct span value;
		const char *logfmt, *json;
	} table[] = {
	    {SPAN("plain"), "plain", "\"plain\""},
	    {SPAN("[::1]:9125"), "[::1]:9125", "\"[::1]:9125\""},
	    {SPAN(""), "\"\"", "\"\""},
	    {SPAN("two words"), "\"two words\"", "\"two words\""},
	    {SPAN("a=b"), "\"a=b\"", "\"a=b\""},
	    {SPAN("\""), "\"\\\"\"", "\"\\\"\""},
	    {SPAN("back\\slash"), "\"back\\\\slash\"", "\"back\\\\slash\""},
	    {SPAN("a\nb\rc\td"), "\"a\\nb\\rc\\td\"", "\"a\\nb\\rc\\td\""},
	    {SPAN("\033[2J"), "\"\\x1b[2J\"", "\"\\u001b[2J\""},
	    {SPAN("\0"), "\"\\x00\"", "\"\\u0000\""},
	    {SPAN("\x7f"), "\"\\x7f\"", "\"\\u007f\""},
	    {SPAN("\xc2\x9b"
		  "2J"),
	     "\"\\u009b2J\"", "\"\\u009b2J\""},
	    {SPAN("\xc2\xa0"), "\"\xc2\xa0\"", "\"\xc2\xa0\""},
	    {SPAN("gr\xc3\xbc\xc3\x9f"), "\"gr\xc3\xbc\xc3\x9f\"", "\"gr\xc3\xbc\xc3\x9f\""},
	    {SPAN("\xff"
		  "a"),
	     "\"\\xffa\"", "\"\\ufffda\""},
	    {SPAN("\xed\xa0\x80"), "\"\\xed\\xa0\\x80\"", "\"\\ufffd\\ufffd\\ufffd\""},
	    {SPAN("cut\xc3"), "\"cut\\xc3\"", "\"cut\\ufffd\""},
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		char want[256];
		log_init(LOG_LEVEL_INFO, LOG_FORMAT_LOGFMT);
		write_pair(LOG_BYTES("key", table[i].value));
		snprintf(want, sizeof(want), "%s key=%s\n", HEAD, table[i].logfmt);
		assert_logged(want);
		log_init(LOG_LEVEL_INFO, LOG_FORMAT_JSON);
		write_pair(LOG_BYTES("key", table[i].value));
		snprintf(want, sizeof(want), "%s,\"key\":%s}\n", JSON_HEAD, table[i].json);
		assert_logged(want);
	}
}

static void
test_write__numbers(void **state)
{
	(void)state;
	write_pair(LOG_NUM("n", 0));
	assert_logged(HEAD " n=0\n");
	write_pair(LOG_NUM("n", INT64_MIN));
	assert_logged(HEAD " n=-9223372036854775808\n");
	log_init(LOG_LEVEL_INFO, LOG_FORMAT_JSON);
	write_pair(LOG_NUM("n", INT64_MAX));
	assert_logged(JSON_HEAD ",\"n\":9223372036854775807}\n");
}

static void
test_write__levels_and_pairs(void **state)
{
	(void)state;
	log_init(LOG_LEVEL_WARN, LOG_FORMAT_LOGFMT);
	log_debug("not me");
	log_info("nor me", LOG_NUM("n", 1));
	assert_logged("");
	const struct log_pair none = {.key = NULL};
	log_write(LOG_LEVEL_WARN, "plain.c", 1, "two words", &none);
	assert_logged(
	    "time=2026-01-02T03:04:05.678Z level=WARN source=plain.c:1 msg=\"two words\"\n");
	log_init(LOG_LEVEL_DEBUG, LOG_FORMAT_LOGFMT);
	log_debug("x", LOG_TEXT("a", "1"), LOG_NUM("b", 2), LOG_BYTES("c", SPAN("3")));
	char text[512];
	struct span line = take_output(text, sizeof(text));
	assert_true(span_starts(line, SPAN("time=2026-01-02T03:04:05.678Z level=DEBUG "
					   "source=log_test.c:")));
	assert_true(span_ends(line, SPAN(" msg=x a=1 b=2 c=3\n")));
	log_error("x", LOG_ERRNO(ENOENT));
	line = take_output(text, sizeof(text));
	assert_true(span_ends(line, SPAN(" msg=x error=\"No such file or directory\"\n")));
	assert_non_null(strstr(text, " level=ERROR "));
}

static void
test_write__keeps_errno(void **state)
{
	(void)state;
	errno = EADDRINUSE;
	log_info("x");
	assert_int_equal(errno, EADDRINUSE);
}

/* A text of ours is written whole, bytes of a peer are cut between code points. */
static void
test_write__cuts_peer_bytes(void **state)
{
	(void)state;
	char letters[1001], want[1200];
	memset(letters, 'a', 1000);
	letters[1000] = '\0';
	write_pair(LOG_TEXT("key", letters));
	snprintf(want, sizeof(want), "%s key=%s\n", HEAD, letters);
	assert_logged(want);

	static const struct {
		size_t letters;
		const char *tail;
		const char *want_tail;
		bool is_quoted;
	} table[] = {
	    {64, "", "", false},
	    {64, "b", "...", false},
	    {62, "\xc3\xa9", "\xc3\xa9", true},
	    {63, "\xc3\xa9", "...", false},
	    {60, "\xf0\x9f\x98\xb1", "\xf0\x9f\x98\xb1", true},
	    {61, "\xf0\x9f\x98\xb1", "...", false},
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		char peer[128];
		int len = snprintf(peer, sizeof(peer), "%.*s%s", (int)table[i].letters, letters,
				   table[i].tail);
		write_pair(LOG_BYTES("key", span_of(peer, (size_t)len)));
		const char *quote = table[i].is_quoted ? "\"" : "";
		snprintf(want, sizeof(want), "%s key=%s%.*s%s%s\n", HEAD, quote,
			 (int)table[i].letters, letters, table[i].want_tail, quote);
		assert_logged(want);
	}
	write_pair(LOG_BYTES("key", ((struct span){NULL, 0})));
	assert_logged(HEAD " key=\"\"\n");
}

/* A line keeps to the size that a pipe takes whole; numbers behind a long text are still there. */
static void
test_write__cuts_long_lines(void **state)
{
	(void)state;
	static char texts[][10001] = {"a", "\n", "\x01", "\xff", "="};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		memset(texts[i], texts[i][0], sizeof(texts[i]) - 1);
		for (int format = LOG_FORMAT_LOGFMT; format <= LOG_FORMAT_JSON; format++) {
			char text[8192];
			log_init(LOG_LEVEL_INFO, (enum log_format)format);
			log_info("x", LOG_TEXT("a", texts[i]), LOG_NUM("b", INT64_MIN),
				 LOG_TEXT("c", texts[i]));
			struct span line = take_output(text, sizeof(text));
			assert_in_range(line.len, LOG_LINE_MAX - 520, LOG_LINE_MAX);
			assert_true(span_ends(line, format == LOG_FORMAT_JSON
							? SPAN("...\",\"b\":-9223372036854775808,"
							       "\"c\":\"...\"}\n")
							: SPAN("...\" b=-9223372036854775808 "
							       "c=\"...\"\n")));
		}
	}
	/* More pairs than there is room for. */
	struct log_pair pairs[301];
	for (size_t i = 0; i < 300; i++)
		pairs[i] = LOG_NUM("number", INT64_MIN);
	pairs[300] = (struct log_pair){.key = NULL};
	log_write(LOG_LEVEL_INFO, "f.c", 12, "hello", pairs);
	char text[16384];
	struct span line = take_output(text, sizeof(text));
	assert_in_range(line.len, LOG_LINE_MAX / 2, LOG_LINE_MAX);
	assert_true(span_ends(line, SPAN("}\n")));
}

/* A pipe that nobody reads costs lines, not time; what was lost is said. */
static void
test_write__full_pipe(void **state)
{
	(void)state;
	enum { LINES = 5000 };
	int ends[2];
	assert_int_equal(pipe(ends), 0);
	assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
	for (int i = 0; i < LINES; i++)
		write_pair(LOG_NUM("n", i));
	assert_int_equal(fcntl(STDERR_FILENO, F_GETFL) & O_NONBLOCK, 0);
	assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
	static char bytes[1 << 20];
	size_t written = 0, lines = 0;
	for (ssize_t n; (n = read(ends[0], bytes + written, sizeof(bytes) - written)) > 0;)
		written += (size_t)n;
	for (size_t i = 0; i < written; i++)
		lines += bytes[i] == '\n';
	assert_in_range(lines, 1, LINES - 1);
	assert_int_equal(bytes[written - 1], '\n');
	char want[256];
	write_pair(LOG_NUM("n", LINES));
	write_pair(LOG_NUM("n", LINES));
	int len = snprintf(want, sizeof(want), HEAD " n=%d lines_lost=%zu\n" HEAD " n=%d\n", LINES,
			   LINES - lines, LINES);
	assert_int_equal(read(ends[0], bytes, sizeof(bytes)), len);
	assert_memory_equal(bytes, want, len);
	close(ends[0]);
	close(ends[1]);
}

/* So does a terminal or a socket, which may have room for a part of a line. */
static void
test_write__full_terminal_and_socket(void **state)
{
	(void)state;
	int terminal = posix_openpt(O_RDWR | O_NOCTTY);
	assert_true(terminal >= 0);
	assert_int_equal(grantpt(terminal), 0);
	assert_int_equal(unlockpt(terminal), 0);
	int sockets[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
	int writers[] = {open(ptsname(terminal), O_RDWR | O_NOCTTY), sockets[1]};
	for (size_t i = 0; i < 2; i++) {
		char text[4096];
		assert_true(dup2(writers[i], STDERR_FILENO) >= 0);
		for (int n = 0; n < 5000; n++)
			write_pair(LOG_NUM("n", n));
		assert_int_equal(fcntl(STDERR_FILENO, F_GETFL) & O_NONBLOCK, 0);
		dup2(captured, STDERR_FILENO);
		write_pair(LOG_NUM("n", 1));
		assert_true(
		    span_starts(take_output(text, sizeof(text)), SPAN(HEAD " n=1 lines_lost=")));
		close(writers[i]);
	}
	close(terminal);
	close(sockets[0]);
}

/* Lines that fail are counted, too. */
static void
test_write__closed_stderr(void **state)
{
	(void)state;
	close(STDERR_FILENO);
	log_error("x");
	dup2(captured, STDERR_FILENO);
	write_pair(LOG_NUM("n", 1));
	assert_logged(HEAD " n=1 lines_lost=1\n");
}

static void
test_gate__one_a_second(void **state)
{
	(void)state;
	struct log_gate gate = {0};
	uint64_t held_back = 77;
	clock_fake(5000000);
	assert_true(log_gate_open(&gate, &held_back));
	assert_int_equal(held_back, 0);
	held_back = 77;
	assert_false(log_gate_open(&gate, &held_back));
	clock_fake(5999999);
	assert_false(log_gate_open(&gate, &held_back));
	assert_int_equal(held_back, 77);
	clock_fake(6000000);
	assert_true(log_gate_open(&gate, &held_back));
	assert_int_equal(held_back, 2);
	clock_fake(60000000);
	assert_true(log_gate_open(&gate, &held_back));
	assert_int_equal(held_back, 0);
}

#define WRITERS 4
#define LINES_EACH 500

static void *
write_lines(void *letter)
{
	char text[200];
	memset(text, *(const char *)letter, sizeof(text));
	for (int i = 0; i < LINES_EACH; i++) {
		const struct log_pair pairs[] = {
		    {.key = "k", .type = LOG_PAIR_TEXT, .text = span_of(text, sizeof(text))},
		    {.key = NULL},
		};
		log_write(LOG_LEVEL_INFO, "f.c", 12, "hello", pairs);
	}
	return NULL;
}

static void
test_write__threads_do_not_mix_lines(void **state)
{
	(void)state;
	static char letters[WRITERS] = "abcd";
	pthread_t threads[WRITERS];
	for (int i = 0; i < WRITERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, write_lines, &letters[i]), 0);
	for (int i = 0; i < WRITERS; i++)
		pthread_join(threads[i], NULL);
	FILE *file = fdopen(dup(captured), "r");
	rewind(file);
	char line[1024];
	size_t lines = 0;
	while (fgets(line, sizeof(line), file)) {
		const char *value = line + strlen(HEAD " k=");
		assert_memory_equal(line, HEAD " k=", strlen(HEAD " k="));
		assert_int_equal(strspn(value, (char[]){*value, '\0'}), 200);
		assert_string_equal(value + 200, "\n");
		lines++;
	}
	fclose(file);
	assert_int_equal(lines, WRITERS * LINES_EACH);
}

#define captured_test(f) cmocka_unit_test_setup_teardown(f, capture_start, capture_stop)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    captured_test(test_write__values_in_both_formats),
	    captured_test(test_write__numbers),
	    captured_test(test_write__levels_and_pairs),
	    captured_test(test_write__keeps_errno),
	    captured_test(test_write__cuts_peer_bytes),
	    captured_test(test_write__cuts_long_lines),
	    captured_test(test_write__full_pipe),
	    captured_test(test_write__full_terminal_and_socket),
	    captured_test(test_write__closed_stderr),
	    captured_test(test_gate__one_a_second),
	    captured_test(test_write__threads_do_not_mix_lines),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
