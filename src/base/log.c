#include "base/log.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

/* Bytes of a peer that a message shows. */
#define PEER_BYTES_MAX 64
#define GATE_INTERVAL_US 1000000

/* Where texts end in a line that would be too long: behind it is room for numbers and the end. */
#define TEXTS_END (LOG_LINE_MAX - 512)
/* A key, its marks, and a number or a cut text. */
#define PAIR_OVERHEAD 32
/* "lines_lost" with its number, and the end of the line. */
#define LINE_END_ROOM 64

_Static_assert(LOG_LINE_MAX <= PIPE_BUF, "a pipe must take a line whole");

/* Between asking whether stderr has room and using it, no other thread may. */
static pthread_mutex_t stderr_lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic uint64_t lines_lost;

static enum log_level lowest_level = LOG_LEVEL_INFO;
static enum log_format line_format = LOG_FORMAT_LOGFMT;

void
log_init(enum log_level level, enum log_format format)
{
	lowest_level = level;
	line_format = format;
}

bool
log_enabled(enum log_level level)
{
	return level >= lowest_level;
}

/* Whether logfmt writes a byte as \xNN: it is invalid, or a control character without a letter. */
static bool
is_numbered(struct span at)
{
	unsigned char byte = (unsigned char)at.ptr[0];
	bool has_letter = byte == '\n' || byte == '\r' || byte == '\t';
	return at.len == 1 && (byte < 0x20 || byte >= 0x7f) && !has_letter;
}

/* One quoted string, as in JSON but for what logfmt shows as bytes. */
static void
add_quoted(struct buf *line, struct span text)
{
	buf_add_byte(line, '"');
	for (size_t i = 0, len; i < text.len; i += len) {
		if (line->len >= TEXTS_END) {
			buf_add_text(line, "...");
			break;
		}
		len = utf8_length(span_from(text, i));
		struct span at = span_of(text.ptr + i, len);
		if (line_format == LOG_FORMAT_LOGFMT && is_numbered(at))
			buf_printf(line, "\\x%02x", (unsigned char)*at.ptr);
		else
			json_add_point(line, at);
	}
	buf_add_byte(line, '"');
}

/* Whether logfmt may write `text` bare. */
static bool
is_bare(struct span text)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned char byte = (unsigned char)text.ptr[i];
		if (byte <= ' ' || byte >= 0x7f || byte == '"' || byte == '=' || byte == '\\')
			return false;
	}
	return text.len > 0;
}

static void
add_key(struct buf *line, const char *key)
{
	if (line_format == LOG_FORMAT_JSON)
		buf_printf(line, "%s\"%s\":", line->len ? "," : "{", key);
	else
		buf_printf(line, "%s%s=", line->len ? " " : "", key);
}

static void
add_pair(struct buf *line, const char *key, struct span text)
{
	add_key(line, key);
	bool has_room = line->len + text.len <= TEXTS_END;
	if (line_format == LOG_FORMAT_LOGFMT && has_room && is_bare(text))
		buf_add_span(line, text);
	else
		add_quoted(line, text);
}

static void
add_number(struct buf *line, const char *key, int64_t number)
{
	add_key(line, key);
	buf_printf(line, "%lld", (long long)number);
}

/* The first bytes of what a peer sent, whole code points, with "..." where something was cut. */
static void
add_peer_bytes(struct buf *line, const char *key, struct span text)
{
	struct span first = utf8_first(text, PEER_BYTES_MAX);
	struct buf shown = BUF_INIT;
	buf_add_span(&shown, first);
	if (first.len < text.len)
		buf_add_text(&shown, "...");
	add_pair(line, key, buf_span(&shown));
	buf_fini(&shown);
}

static void
add_time(struct buf *line)
{
	char text[WALL_TEXT_SIZE];
	wall_format(clock_wall(), text);
	add_pair(line, "time", span_text(text));
}

static void
add_source(struct buf *line, const char *file, int number)
{
	const char *slash = strrchr(file, '/');
	struct buf source = BUF_INIT;
	buf_printf(&source, "%s:%d", slash ? slash + 1 : file, number);
	add_pair(line, "source", buf_span(&source));
	buf_fini(&source);
}

/* Others may share the open file behind stderr: it must not be made non-blocking. */
static bool
stderr_has_room(void)
{
	struct pollfd wanted = {.fd = STDERR_FILENO, .events = POLLOUT};
	return poll(&wanted, 1, 0) == 1 && wanted.revents == POLLOUT;
}

/*
 * Writes what has room. A pipe that has room has enough; a socket and a terminal may have less than
 * a line, and would wait for the rest: a terminal is therefore opened anew, non-blocking.
 */
static ssize_t
write_what_fits(struct span line)
{
	ssize_t n = send(STDERR_FILENO, line.ptr, line.len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n >= 0 || errno != ENOTSOCK)
		return n;
	int terminal = -1;
	if (isatty(STDERR_FILENO))
		terminal = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (terminal < 0)
		return write(STDERR_FILENO, line.ptr, line.len);
	n = write(terminal, line.ptr, line.len);
	int error = errno;
	close(terminal);
	errno = error;
	return n;
}

/* @return whether all of it was written, without waiting */
static bool
write_line(struct span line)
{
	CHECK(pthread_mutex_lock(&stderr_lock) == 0);
	while (line.len && stderr_has_room()) {
		ssize_t n = write_what_fits(line);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		line = span_from(line, (size_t)n);
	}
	CHECK(pthread_mutex_unlock(&stderr_lock) == 0);
	return line.len == 0;
}

static void
add_pairs(struct buf *line, const struct log_pair *pairs)
{
	for (const struct log_pair *pair = pairs; pair->key; pair++) {
		if (line->len + strlen(pair->key) + PAIR_OVERHEAD > LOG_LINE_MAX - LINE_END_ROOM)
			continue;
		switch (pair->type) {
		case LOG_PAIR_TEXT:
			add_pair(line, pair->key, pair->text);
			break;
		case LOG_PAIR_NUM:
			add_number(line, pair->key, pair->number);
			break;
		case LOG_PAIR_BYTES:
			add_peer_bytes(line, pair->key, pair->text);
			break;
		}
	}
}

void
log_write(enum log_level level, const char *file, int line_number, const char *message,
	  const struct log_pair *pairs)
{
	static const char *const level_text[] = {"DEBUG", "INFO", "WARN", "ERROR"};
	int saved_errno = errno;
	struct buf line = BUF_INIT;
	add_time(&line);
	add_pair(&line, "level", span_text(level_text[level]));
	add_source(&line, file, line_number);
	add_pair(&line, "msg", span_text(message));
	add_pairs(&line, pairs);
	uint64_t lost = atomic_exchange_explicit(&lines_lost, 0, memory_order_relaxed);
	if (lost)
		add_number(&line, "lines_lost", (int64_t)lost);
	buf_add_text(&line, line_format == LOG_FORMAT_JSON ? "}\n" : "\n");
	if (!write_line(buf_span(&line)))
		atomic_fetch_add_explicit(&lines_lost, lost + 1, memory_order_relaxed);
	buf_fini(&line);
	errno = saved_errno;
}

const char *
log_errno_text(int error)
{
	static _Thread_local char text[128];
	return strerror_r(error, text, sizeof(text));
}

bool
log_gate_open(struct log_gate *gate, uint64_t *held_back)
{
	int64_t now = clock_mono().us;
	int64_t next = atomic_load_explicit(&gate->next_us, memory_order_relaxed);
	if (now < next ||
	    !atomic_compare_exchange_strong(&gate->next_us, &next, now + GATE_INTERVAL_US)) {
		atomic_fetch_add_explicit(&gate->held_back, 1, memory_order_relaxed);
		return false;
	}
	*held_back = atomic_exchange_explicit(&gate->held_back, 0, memory_order_relaxed);
	return true;
}
