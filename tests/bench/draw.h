/*
 * bench/draw - chance that repeats itself: the same seed draws the same numbers.
 */
#ifndef BENCH_DRAW_H
#define BENCH_DRAW_H

#include <stdint.h>

struct draw {
	uint64_t state; /* splitmix64 */
};

static inline uint64_t
draw_next(struct draw *draw)
{
	uint64_t z = draw->state += 0x9e3779b97f4a7c15u;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

/** @return 0 to below - 1 */
static inline unsigned
draw_below(struct draw *draw, unsigned below)
{
	return (unsigned)(draw_next(draw) % below);
}

/** @return 0 to below 1 */
static inline double
draw_fraction(struct draw *draw)
{
	return (double)(draw_next(draw) >> 11) * 0x1p-53;
}

#endif
