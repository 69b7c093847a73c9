#include "packets.h"

#include "base/alloc.h"
#include "base/check.h"

#include <stdlib.h>

/* Lines looked at for one that ends a packet to the byte. */
#define FIT_TRIES 64

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

/* Appends lines until one would not fit, which stays out. @return how many there are in the packet */
static uint32_t
fill(struct maker *maker, const struct population *population, const struct packets_plan *plan,
     struct draw *draw, size_t start, uint32_t lines)
{
	struct buf *bytes = &maker->bytes;
	for (;;) {
		size_t before = bytes->len;
		if (lines)
			buf_add_byte(bytes, '\n');
		population_write(population, population_choose(population, plan->choice, draw), draw, bytes);
		if (bytes->len - start > plan->size) {
			bytes->len = before;
			return lines;
		}
		lines++;
		if (bytes->len - start == plan->size)
			return lines;
	}
}

static uint32_t
drop_line(struct maker *maker, size_t start, uint32_t lines)
{
	if (!lines)
		return 0;
	struct span packet = span_of(maker->bytes.ptr + start, maker->bytes.len - start);
	const char *end = memrchr(packet.ptr, '\n', packet.len);
	maker->bytes.len = end ? (size_t)(end - maker->bytes.ptr) : start;
	return lines - 1;
}

/* Tries to end the packet with one line that fits to the byte. @return how many lines there are */
static uint32_t
fit(struct maker *maker, const struct population *population, const struct packets_plan *plan,
    struct draw *draw, size_t start, uint32_t lines)
{
	struct buf *bytes = &maker->bytes;
	size_t room = start + plan->size - bytes->len;
	for (unsigned tries = 0; tries < FIT_TRIES; tries++) {
		size_t one = population_choose(population, plan->choice, draw);
		if (!population_may_fit(population, one, room - (lines ? 1 : 0)))
			continue;
		size_t before = bytes->len;
		if (lines)
			buf_add_byte(bytes, '\n');
		population_write(population, one, draw, bytes);
		if (bytes->len - start == plan->size)
			return lines + 1;
		bytes->len = before;
	}
	return lines;
}

static void
make_packet(struct maker *maker, const struct population *population,
	    const struct packets_plan *plan, struct draw *draw)
{
	size_t start = maker->bytes.len;
	uint32_t lines = fill(maker, population, plan, draw, start, 0);
	while (plan->is_exact && maker->bytes.len - start != plan->size) {
		/* Mostly the last line, but any number: no last line may fit behind the others. */
		do
			lines = drop_line(maker, start, lines);
		while (draw_below(draw, 4) == 0);
		lines = fit(maker, population, plan, draw, start, lines);
		if (maker->bytes.len - start != plan->size)
			lines = fill(maker, population, plan, draw, start, lines);
	}
	end_packet(maker, lines);
}

struct packets *
packets_new(const struct population *population, const struct packets_plan *plan)
{
	struct maker maker;
	struct draw draw = {plan->seed};
	maker_init(&maker);
	while (maker.bytes.len < plan->total) {
		if (plan->size) {
			make_packet(&maker, population, plan, &draw);
			continue;
		}
		population_write(population, population_choose(population, plan->choice, &draw), &draw,
			     &maker.bytes);
		end_packet(&maker, 1);
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
