/*
 * base/excerpt - text of a file or a peer, fit for a message of one line.
 */
#ifndef BASE_EXCERPT_H
#define BASE_EXCERPT_H

#include "base/span.h"

#define EXCERPT_SIZE 128 /* bytes */

/**
 * Quotes a text: control bytes and invalid UTF-8 as \xNN, at most about fifty bytes of it, then
 * "...".
 *
 * @text borrowed
 * @return out, NUL-terminated
 */
const char *excerpt_quote(struct span text, char out[EXCERPT_SIZE]);

#endif
