/*
 * base/log - one line a message, logfmt or JSON, to stderr.
 *
 * A message is a constant text; what varies goes into key=value pairs, so that logs can be
 *searched. Peer bytes are escaped and cut to 64 bytes by LOG_BYTES. The level and format are the
 *only global settings of the program. Safe from any thread: one write a line.
 *
 * Logging never waits for whoever reads stderr: when it has no room, the line is dropped, and the
 * next one that gets through says in `lines_lost` how many were. So that a pipe with room takes a
 * line whole, lines have at most LOG_LINE_MAX bytes: long values end in "...", and pairs behind
 * them for which nothing is left are left out.
 *
 *	log_info("listening", LOG_TEXT("address", text), LOG_NUM("receive_buffer_bytes", size));
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/span.h"

#include <stdbool.h>
#include <stdint.h>

/* Bytes of a line, with its line end; a pipe that poll(2) calls writable has room for them. */
#define LOG_LINE_MAX 4096

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };
enum log_format { LOG_FORMAT_LOGFMT, LOG_FORMAT_JSON };

/* One key=value pair; use the macros. */
struct log_pair {
	const char *key; /* NULL ends the list */
	enum { LOG_PAIR_TEXT, LOG_PAIR_NUM, LOG_PAIR_BYTES } type;
	struct span text;
	int64_t number;
};

/* A NUL-terminated text, borrowed; written whole if the line has room, escaped. */
#define LOG_TEXT(k, t) ((struct log_pair){.key = (k), .type = LOG_PAIR_TEXT, .text = span_text(t)})
/* A whole number. */
#define LOG_NUM(k, n) ((struct log_pair){.key = (k), .type = LOG_PAIR_NUM, .number = (int64_t)(n)})
/* Bytes of a peer, borrowed; escaped and cut to 64 bytes. */
#define LOG_BYTES(k, s) ((struct log_pair){.key = (k), .type = LOG_PAIR_BYTES, .text = (s)})
/* The text of an errno value. */
#define LOG_ERRNO(e) LOG_TEXT("error", log_errno_text(e))

#define log_at(level, msg, ...)                                                           \
	(log_enabled(level)                                                               \
	     ? log_write((level), __FILE__, __LINE__, (msg),                              \
			 (const struct log_pair[]){__VA_ARGS__ __VA_OPT__(, ){.key = 0}}) \
	     : (void)0)
#define log_debug(msg, ...) log_at(LOG_LEVEL_DEBUG, msg __VA_OPT__(, ) __VA_ARGS__)
#define log_info(msg, ...) log_at(LOG_LEVEL_INFO, msg __VA_OPT__(, ) __VA_ARGS__)
#define log_warn(msg, ...) log_at(LOG_LEVEL_WARN, msg __VA_OPT__(, ) __VA_ARGS__)
#define log_error(msg, ...) log_at(LOG_LEVEL_ERROR, msg __VA_OPT__(, ) __VA_ARGS__)

/** Sets the lowest level written and the format; before threads start. Default: info, logfmt. */
void log_init(enum log_level level, enum log_format format);
/** @return whether messages of `level` are written */
bool log_enabled(enum log_level level);
/** Writes one line; use the macros. `pairs` ends with a pair whose key is NULL. */
void log_write(enum log_level level, const char *file, int line, const char *message,
	       const struct log_pair *pairs);
/** @return the text of an errno value, valid until this thread's next call */
const char *log_errno_text(int error);

/*
 * A gate for messages that a peer can provoke: at most one a second gets through, and the next one
 * says how many were held back. One gate per message, static or per thread; zero-initialised.
 */
struct log_gate {
	_Atomic int64_t next_us;
	_Atomic uint64_t held_back;
};

/**
 * @held_back set to the number of messages refused since the last one that got through
 * @return    whether to log now
 */
bool log_gate_open(struct log_gate *gate, uint64_t *held_back);

#endif
