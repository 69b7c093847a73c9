#include "packets.h"

#include "base/alloc.h"
#include "base/check.h"

#include <stdlib.h>

/* Lines looked at for one of a wanted length. */
#define FIT_TRIES 300
/* Lines looked at for their mean length. */
#define MEAN_SAMPLES 1000
/* Those whose lengths are chosen so that a packet is full to the byte. */
#define LAST_LINES 6

struct maker {
	struct buf bytes;
	struct packets *packets;
	size_t capacity, line_capacity;
};

static void
maker_init(struct maker *maker)
{
	*maker = (struct maker){.bytes = BUF_INIT, .packets = xcalloc(1, sizeof(struct packets))};
}

/* What is in `bytes` since the last packet becomes one. */
static void
end_packet(struct maker *maker, uint32_t lines)
{
	struct packets *packets = maker->packets;
	CHECK(maker->bytes.len < UINT32_MAX);
	packets->ends =
	    xgrow(packets->ends, packets->count, &maker->capacity, sizeof(*packets->ends));
	packets->lines =
	    xgrow(packets->lines, packets->count, &maker->line_capacity, sizeof(*packets->lines));
	packets->ends[packets->count] = (uint32_t)maker->bytes.len;
	packets->lines[packets->count++] = lines;
	packets->total_lines += lines;
	buf_add_byte(&maker->bytes, '\n');
}

static struct packets *
maker_finish(struct maker *maker)
{
	maker->packets->bytes = maker->bytes.ptr;
	return maker->packets;
}

/* Appends lines until one would not fit, which stays out; one at least. @return how many */
static uint32_t
fill(struct maker *maker, const struct population *population, const struct packets_plan *plan,
     struct draw *draw)
{
	struct buf *bytes = &maker->bytes;
	size_t start = bytes->len;
	for (uint32_t lines = 0;; lines++) {
		size_t before = bytes->len;
		if (lines)
			buf_add_byte(bytes, '\n');
		population_write(population, population_choose(population, plan->choice, draw),
				 draw, bytes);
		if (lines && bytes->len - start > plan->size) {
			bytes->len = before;
			return lines;
		}
	}
}

static void
drop_line(struct maker *maker, size_t start)
{
	struct span packet = span_of(maker->bytes.ptr + start, maker->bytes.len - start);
	const char *end = memrchr(packet.ptr, '\n', packet.len);
	maker->bytes.len = end ? (size_t)(end - maker->bytes.ptr) : start;
}

/*
 * Appends a line of about a length, drawn again until it is one.
 *
 * @len, @slack bytes, with the '\n' before a line that is not the first
 * @return whether one was found
 */
static bool
add_line_of(struct maker *maker, const struct population *population,
	    const struct packets_plan *plan, struct draw *draw, bool is_first, size_t len,
	    size_t slack)
{
	struct buf *bytes = &maker->bytes;
	size_t before = bytes->len;
	for (unsigned tries = 0; tries < FIT_TRIES; tries++) {
		size_t one = population_choose(population, plan->choice, draw);
		size_t least = population_least_len(population, one);
		if (least > len + slack || least + VALUE_MAX + slack < len)
			continue;
		if (!is_first)
			buf_add_byte(bytes, '\n');
		population_write(population, one, draw, bytes);
		size_t got = bytes->len - before;
		if (got <= len + slack && got + slack >= len)
			return true;
		bytes->len = before;
	}
	return false;
}

/* @return bytes of a line on average, with its end */
static size_t
sample_mean(const struct population *population, const struct packets_plan *plan, struct draw *draw)
{
	struct buf lines = BUF_INIT;
	for (int i = 0; i < MEAN_SAMPLES; i++) {
		population_write(population, population_choose(population, plan->choice, draw),
				 draw, &lines);
		buf_add_byte(&lines, '\n');
	}
	size_t mean = lines.len / MEAN_SAMPLES;
	buf_fini(&lines);
	return mean;
}

/* The last lines share what is left evenly, so that the very last one can be found. */
static void
make_exact(struct maker *maker, const struct population *population,
	   const struct packets_plan *plan, size_t mean, struct draw *draw)
{
	size_t start = maker->bytes.len, room;
	uint32_t lines = 0;
	while ((room = start + plan->size - maker->bytes.len)) {
		size_t left = (room + mean / 2) / mean;
		left = left ? left : 1;
		size_t slack = left > LAST_LINES ? room : left > 1 ? 3 : 0;
		if (add_line_of(maker, population, plan, draw, !lines, room / left, slack)) {
			lines++;
			continue;
		}
		for (int i = 0; i < LAST_LINES && lines; i++, lines--)
			drop_line(maker, start);
	}
	end_packet(maker, lines);
}

struct packets *
packets_new(const struct population *population, const struct packets_plan *plan)
{
	struct maker maker;
	struct draw draw = {plan->seed};
	size_t mean = sample_mean(population, plan, &draw);
	maker_init(&maker);
	while (maker.bytes.len < plan->total) {
		if (plan->is_exact)
			make_exact(&maker, population, plan, mean, &draw);
		else
			end_packet(&maker, fill(&maker, population, plan, &draw));
	}
	return maker_finish(&maker);
}

struct packets *
packets_of_lines(struct span lines, size_t size)
{
	struct maker maker;
	maker_init(&maker);
	uint32_t count = 0;
	size_t start = 0;
	while (lines.len) {
		const char *end = span_find(lines, '\n');
		CHECK(end);
		struct span line = span_first(lines, (size_t)(end - lines.ptr));
		if (count && maker.bytes.len - start + 1 + line.len > size) {
			end_packet(&maker, count);
			start = maker.bytes.len;
			count = 0;
		}
		if (count++)
			buf_add_byte(&maker.bytes, '\n');
		buf_add_span(&maker.bytes, line);
		lines = span_from(lines, line.len + 1);
	}
	if (count)
		end_packet(&maker, count);
	return maker_finish(&maker);
}

struct packets *
packets_once(const struct population *population, size_t from, size_t to, size_t size)
{
	struct buf lines = BUF_INIT;
	struct draw draw = {from};
	for (size_t i = from; i < to; i++) {
		population_write(population, i, &draw, &lines);
		buf_add_byte(&lines, '\n');
	}
	struct packets *packets = packets_of_lines(buf_span(&lines), size);
	buf_fini(&lines);
	return packets;
}

void
packets_free(struct packets **packets)
{
	if (!*packets)
		return;
	free((*packets)->bytes);
	free((*packets)->ends);
	free((*packets)->lines);
	free(*packets);
	*packets = NULL;
}

double
packets_mean_line(const struct packets *packets)
{
	uint64_t bytes = packets->ends[packets->count - 1] + 1;
	return (double)(bytes - packets->total_lines) / (double)packets->total_lines;
}
