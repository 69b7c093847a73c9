/*
 * mapping/excerpt - text of a mapping file, fit for a message of one line.
 */
#ifndef MAPPING_EXCERPT_H
#define MAPPING_EXCERPT_H

#include "base/span.h"

#define EXCERPT_SIZE 128 /* bytes */

/**
 * Quotes a text: control bytes as \xNN, at most about fifty bytes of it, then "...".
 *
 * @text valid UTF-8; borrowed
 * @return out, NUL-terminated
 */
const char *excerpt_quote(struct span text, char out[EXCERPT_SIZE]);

#endif
