/*
 * base/clock - the only source of time, replaceable by tests.
 *
 * Two clocks, two types, so that they cannot be mixed: `mono` never goes back and measures
 * durations; `wall` is the date.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

struct mono {
	int64_t us; /* microseconds since an arbitrary start */
};

struct wall {
	int64_t us; /* microseconds since 1970-01-01 UTC */
};

/** CLOCK_MONOTONIC, or the fake time. Safe from any thread. */
struct mono clock_mono(void);
/** CLOCK_REALTIME, or the fake time. Safe from any thread. */
struct wall clock_wall(void);

/** @return microseconds of CPU that this thread has used, or the fake time */
int64_t clock_thread_us(void);

/* Room for a date and its NUL. */
#define WALL_TEXT_SIZE 48

/** Writes "2023-11-14T22:13:20.000Z" (RFC 3339, UTC). @wall from 1970 on; cut to milliseconds */
void wall_format(struct wall wall, char out[WALL_TEXT_SIZE]);

/**
 * Tests only: freezes both clocks at `us` until called again; a negative value gives real time back.
 */
void clock_fake(int64_t us);

#endif
