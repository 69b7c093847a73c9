#include "packets.h"

#include "base/alloc.h"
#include "base/check.h"

#include <stdlib.h>

struct maker {
	struct buf bytes;
	struct buf scratch;
	struct packets *packets;
	size_t capacity, line_capacity;
};

static void
maker_init(struct maker *maker)
{
	*maker = (struct maker){
	    .bytes = BUF_INIT, .scratch = BUF_INIT, .packets = xcalloc(1, sizeof(struct packets))};
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
	buf_fini(&maker->scratch);
	return maker->packets;
}

/*
 * Appends lines until one would not fit, which stays out; one at least.
 *
 * @lines  how many there are in the packet
 * @return how many there are then
 */
static uint32_t
fill(struct maker *maker, const struct population *population, const struct packets_plan *plan,
     struct draw *draw, size_t start, uint32_t lines)
{
	struct buf *bytes = &maker->bytes;
	for (;; lines++) {
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

/* @return how many lines are left */
static uint32_t
drop_line(struct maker *maker, size_t start, uint32_t lines)
{
	struct span packet = span_of(maker->bytes.ptr + start, maker->bytes.len - start);
	const char *end = memrchr(packet.ptr, '\n', packet.len);
	maker->bytes.len = end ? (size_t)(end - maker->bytes.ptr) : start;
	return lines - 1;
}

/* Appends a line with some more digits in its value. @return how many did not go in */
static size_t
stretch_line(struct buf *out, struct span line, size_t more)
{
	const char *colon = span_find(line, ':');
	const char *bar = span_find(line, '|');
	CHECK(colon && bar && bar > colon);
	size_t room = VALUE_MAX - (size_t)(bar - colon - 1);
	size_t digits = more < room ? more : room;
	buf_add(out, line.ptr, (size_t)(bar - line.ptr));
	for (size_t i = 0; i < digits; i++)
		buf_add_byte(out, (char)('1' + i));
	buf_add(out, bar, line.len - (size_t)(bar - line.ptr));
	return more - digits;
}

/*
 * Makes a packet longer, by digits in its values, each of which may take its share of them.
 *
 * @return false when its values have no room for as many
 */
static bool
stretch(struct maker *maker, size_t start, uint32_t lines, size_t more)
{
	struct buf *out = &maker->scratch;
	struct span rest = span_of(maker->bytes.ptr + start, maker->bytes.len - start);
	buf_reset(out);
	for (; lines; lines--) {
		const char *end = lines > 1 ? span_find(rest, '\n') : rest.ptr + rest.len;
		struct span line = span_first(rest, (size_t)(end - rest.ptr));
		size_t share = (more + lines - 1) / lines;
		more -= share - stretch_line(out, line, share);
		if (lines == 1)
			break;
		buf_add_byte(out, '\n');
		rest = span_from(rest, line.len + 1);
	}
	if (more)
		return false;
	maker->bytes.len = start;
	buf_add_span(&maker->bytes, buf_span(out));
	return true;
}

static void
make_exact(struct maker *maker, const struct population *population,
	   const struct packets_plan *plan, struct draw *draw)
{
	size_t start = maker->bytes.len, end = start + plan->size;
	uint32_t lines = fill(maker, population, plan, draw, start, 0);
	while (maker->bytes.len > end || !stretch(maker, start, lines, end - maker->bytes.len)) {
		/* Mostly the last line, but any number: all last ones may be too short behind
		 * others. */
		do
			lines = drop_line(maker, start, lines);
		while (lines && draw_below(draw, 4) == 0);
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
		if (plan->is_exact)
			make_exact(&maker, population, plan, &draw);
		else
			end_packet(&maker,
				   fill(&maker, population, plan, &draw, maker.bytes.len, 0));
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
