/*
 * app/token - bearer tokens that are kept in a file.
 *
 * The file holds one token a line, so that there can be two while clients change over from one to
 * the other. It is read anew each time it is asked, so a token that was exchanged counts at once.
 */
#ifndef APP_TOKEN_H
#define APP_TOKEN_H

#include "base/buf.h"

#define TOKEN_FILE_BYTES_MAX 8192
/* A shorter token can be guessed. */
#define TOKEN_BYTES_MIN 16

enum token_verdict {
	TOKEN_GOOD,
	TOKEN_MISSING, /* no bearer token was given */
	TOKEN_WRONG,
	TOKEN_NO_FILE, /* the file is not good */
};

/** @return whether the file is good. @error gets what is wrong with it, and how to mend it */
bool token_file_check(const char *path, struct buf *error) MUST_CHECK;

/**
 * Compares in a time that does not tell how much of a token was right.
 *
 * @authorization the header's value, or a span with ptr NULL
 * @error         gets, with TOKEN_NO_FILE, what is wrong with the file
 */
enum token_verdict token_check(const char *path, struct span authorization,
			       struct buf *error) MUST_CHECK;

#endif
