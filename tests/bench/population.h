/*
 * bench/population - a population of series, and lines for them as a DogStatsD client writes them:
 *
 *	webshop.checkout.requests.total.a:1|c|#env:prod,region:eu-west-1,host:web-0042,code:200
 *
 * 200 names, four tags, 88 bytes on average; 60 % counters, 15 % gauges, 25 % timers, histograms and
 * distributions. A few names are sampled, always at the same rate, so that a series has one spelling.
 */
#ifndef BENCH_POPULATION_H
#define BENCH_POPULATION_H

#include "base/buf.h"
#include "draw.h"

#include <stddef.h>
#include <stdint.h>

enum population_mix { POPULATION_MIXED, POPULATION_COUNTERS, POPULATION_HISTOGRAMS };

struct population;

#define POPULATION_MAX 4000000

/** @count of series, POPULATION_MAX at most, all of different spelling; the same arguments make the
 * same series */
struct population *population_new(size_t count, enum population_mix mix);
void population_free(struct population **population);
size_t population_count(const struct population *population);

/* Which series a line is for. */
enum population_choice {
	POPULATION_UNIFORM, /* all are equally likely */
	POPULATION_ZIPF,    /* the n-th is n times as rare as the first */
};
size_t population_choose(const struct population *population, enum population_choice choice,
			 struct draw *draw);

#define VALUE_MAX 6 /* bytes of a value at most */

/** Appends a line without its end for one series, with a value of 1 to 6 characters. */
void population_write(const struct population *population, size_t one, struct draw *draw,
		      struct buf *out);

/**
 * Writes a mapping file that makes observers histograms with 11 bounds.
 *
 * @more further text of the file, "" = none
 */
void population_write_mapping(const char *path, const char *more);

#endif
