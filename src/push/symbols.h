/*
 * push/symbols - the texts of one 2.0 message, each once, under numbers.
 */
#ifndef PUSH_SYMBOLS_H
#define PUSH_SYMBOLS_H

#include "base/buf.h"
#include "base/index.h"

struct symbol {
	size_t at, len; /* of its text in `fields` */
};

struct symbols {
	struct buf fields; /* the repeated field `symbols`, encoded */
	struct symbol *items;
	size_t count, capacity;
	struct index index; /* items are the numbers, as pointers */
};

/** A table that has the empty text, as number 0, and no other. */
void symbols_init(struct symbols *symbols);
void symbols_fini(struct symbols *symbols);
/** Forgets all but the empty text; keeps the memory. */
void symbols_reset(struct symbols *symbols);

/** @return the number of a text, which gets one if it has none yet. @text copied */
uint32_t symbols_add(struct symbols *symbols, struct span text);

#endif
