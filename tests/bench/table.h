/*
 * bench/table - the rows of the benchmark: what must hold, what this run measured, and the verdict.
 */
#ifndef BENCH_TABLE_H
#define BENCH_TABLE_H

#include "base/check.h"

#include <stdbool.h>

enum table_sense { AT_MOST, AT_LEAST, REPORTED };

struct table_row {
	const char *id, *what;
	enum table_sense sense;
	double must, stretch; /* stretch 0 = none */
	const char *unit;     /* of the targets and the value */

	/* Of this run. */
	bool is_measured;
	double value;
	char detail[256];
};

/** Takes the names of rows, divided by commas, that are wanted; NULL = all. */
void table_select(const char *ids);

/** @return whether any of these rows, divided by commas, is wanted */
bool table_wants(const char *ids);

/** Sets what was measured. @detail what the value was made of */
void table_set(const char *id, double value, const char *detail, ...) PRINTF_LIKE(3, 4);

/** Changes the target of a row that depends on how the program was built. */
void table_retarget(const char *id, double must);

/** Adds to the lines below the table. */
void table_note(const char *note, ...) PRINTF_LIKE(1, 2);

/** Prints the rows that were measured, and the notes. */
void table_print(void);

#endif
