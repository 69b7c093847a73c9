/*
 * base/diag - messages about a file, collected so that its reader sees all of them at once.
 *
 * Each prints as "file:line:column: key: reason". Errors are counted apart from warnings, and
 * neither crowds out the other.
 */
#ifndef BASE_DIAG_H
#define BASE_DIAG_H

#include "base/check.h"

#include <stdbool.h>
#include <stddef.h>

struct diag_place {
	const char *file;    /* borrowed; must outlive the diag */
	unsigned line;       /* from 1; 0 = the file as a whole */
	unsigned column;     /* from 1 */
};

struct diag_message {
	bool is_error;
	char *text; /* owned; "file:line:column: key: reason" */
};

struct diag {
	struct diag_message *messages;
	size_t count, capacity;
	size_t errors, warnings; /* those left out, too */
};

#define DIAG_INIT ((struct diag){0})

/* After this many errors, or warnings, one more message says that the rest of them is left out. */
#define DIAG_MAX 100

/** @key what it is about, such as "mappings[3].ttl"; NULL leaves it out */
void diag_error(struct diag *diag, struct diag_place at, const char *key, const char *format, ...)
    PRINTF_LIKE(4, 5);
void diag_warn(struct diag *diag, struct diag_place at, const char *key, const char *format, ...)
    PRINTF_LIKE(4, 5);
/** Logs each message from the `first` on. @what they are about, constant */
void diag_log_from(const char *what, const struct diag *diag, size_t first);
/** Logs all messages. */
void diag_log(const char *what, const struct diag *diag);
/** Frees the messages. */
void diag_fini(struct diag *diag);

#endif
