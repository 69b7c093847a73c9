#include "population.h"

#include "base/alloc.h"
#include "base/check.h"
#include "server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define NAMES 200
#define HOSTS 2000
#define TEXT_MAX 160 /* bytes of one series, generously */

enum series_kind { COUNTER, GAUGE, TIMER, HISTOGRAM, DISTRIBUTION };

/* What is stored of a series: the bytes before its values, and those behind. */
struct series_text {
	uint32_t at; /* offset of both, one behind the other */
	uint8_t name_len, rest_len;
	uint8_t kind; /* enum series_kind */
};

struct population {
	size_t count;
	struct buf bytes;
	struct series_text *texts;
	double *cumulative; /* of Zipf's weights */
};

static const char *const kind_types[] = {"c", "g", "ms", "h", "d"};

/* Spread so that the few series that Zipf prefers have the mix, too. */
static enum series_kind
kind_of_name(unsigned name, enum population_mix mix)
{
	static const enum series_kind kinds[20] = {
	    COUNTER, TIMER,        COUNTER, GAUGE,   COUNTER, COUNTER, HISTOGRAM,
	    COUNTER, COUNTER,      GAUGE,   COUNTER, TIMER,   COUNTER, COUNTER,
	    GAUGE,   DISTRIBUTION, COUNTER, COUNTER, TIMER,   COUNTER,
	};
	if (mix == POPULATION_COUNTERS)
		return COUNTER;
	return mix == POPULATION_HISTOGRAMS ? TIMER : kinds[name % 20];
}

static void
write_name(unsigned name, enum series_kind kind, struct buf *out)
{
	static const char *const areas[] = {"checkout",  "cart",     "search",    "catalog",
					    "recommend", "payments", "inventory", "sessions"};
	static const char *const things[] = {"requests", "backend", "cache",  "database",
					     "queue",    "session", "worker", "gateway",
					     "storage",  "client"};
	static const char *const facts[] = {"total", "current", "duration", "bytes", "latency"};
	buf_printf(out, "webshop.%s.%s.%s", areas[name / 10 % 8], things[name % 10], facts[kind]);
	buf_printf(out, ".%c", 'a' + name / 80);
}

static void
write_rest(size_t one, unsigned name, enum series_kind kind, struct buf *out)
{
	static const char *const environments[] = {"prod", "prod", "canary"};
	static const char *const regions[] = {"eu-west-1", "us-east-1", "eu-west-2", "ap-south-1"};
	static const unsigned codes[] = {200, 201, 204, 301, 302, 304, 400, 401, 403, 404};
	size_t host = one / NAMES % HOSTS, code = one / NAMES / HOSTS;
	buf_printf(out, "|%s%s", kind_types[kind], name % 32 == 7 && kind != GAUGE ? "|@0.5" : "");
	buf_printf(out, "|#env:%s,region:%s,host:web-%04zu,code:%u", environments[host % 3],
		   regions[host / 3 % 4], host, codes[(code + name) % 10]);
}

static double *
zipf_new(size_t count)
{
	double *cumulative = xcalloc(count, sizeof(*cumulative)), sum = 0;
	for (size_t i = 0; i < count; i++)
		cumulative[i] = sum += 1.0 / (double)(i + 1);
	return cumulative;
}

struct population *
population_new(size_t count, enum population_mix mix)
{
	CHECK(count && count <= POPULATION_MAX); /* NAMES * HOSTS * the different codes */
	struct population *population = xcalloc(1, sizeof(*population));
	population->count = count;
	population->bytes = BUF_INIT;
	population->texts = xcalloc(count, sizeof(*population->texts));
	population->cumulative = zipf_new(count);
	for (size_t i = 0; i < count; i++) {
		unsigned name = (unsigned)(i % NAMES);
		enum series_kind kind = kind_of_name(name, mix);
		size_t start = population->bytes.len;
		write_name(name, kind, &population->bytes);
		size_t middle = population->bytes.len;
		write_rest(i, name, kind, &population->bytes);
		CHECK(population->bytes.len - start < TEXT_MAX);
		population->texts[i] = (struct series_text){
		    .at = (uint32_t)start,
		    .name_len = (uint8_t)(middle - start),
		    .rest_len = (uint8_t)(population->bytes.len - middle),
		    .kind = (uint8_t)kind,
		};
	}
	return population;
}

void
population_free(struct population **population)
{
	if (!*population)
		return;
	buf_fini(&(*population)->bytes);
	free((*population)->texts);
	free((*population)->cumulative);
	free(*population);
	*population = NULL;
}

size_t
population_count(const struct population *population)
{
	return population->count;
}

size_t
population_choose(const struct population *population, enum population_choice choice,
		  struct draw *draw)
{
	if (choice == POPULATION_UNIFORM)
		return draw_below(draw, (unsigned)population->count);
	double lot = draw_fraction(draw) * population->cumulative[population->count - 1];
	size_t low = 0, high = population->count - 1;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (population->cumulative[middle] < lot)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void
write_digits(unsigned value, struct buf *out)
{
	char digits[10], *at = digits + sizeof(digits);
	do
		*--at = (char)('0' + value % 10);
	while (value /= 10);
	buf_add(out, at, (size_t)(digits + sizeof(digits) - at));
}

static void
write_value(enum series_kind kind, struct draw *draw, struct buf *out)
{
	static const unsigned powers[] = {10, 100, 1000};
	unsigned below = powers[draw_below(draw, 3)];
	if (kind == COUNTER) {
		write_digits(draw_below(draw, 2) ? 1 : 1 + draw_below(draw, below), out);
		return;
	}
	write_digits(draw_below(draw, below), out);
	if (draw_below(draw, 2)) {
		buf_add_byte(out, '.');
		write_digits(draw_below(draw, 100), out);
	}
}

void
population_write(const struct population *population, size_t one, struct draw *draw,
		 struct buf *out)
{
	const struct series_text *text = &population->texts[one];
	const char *bytes = population->bytes.ptr + text->at;
	buf_add(out, bytes, text->name_len);
	buf_add_byte(out, ':');
	write_value((enum series_kind)text->kind, draw, out);
	buf_add(out, bytes + text->name_len, text->rest_len);
}

void
population_write_mapping(const char *path, const char *more)
{
	FILE *file = fopen(path, "w");
	if (!file)
		give_up(path);
	fprintf(file,
		"defaults:\n"
		"  observer_type: histogram\n"
		"  histogram_options:\n"
		"    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]\n"
		"%s",
		more);
	if (fclose(file))
		give_up(path);
}
