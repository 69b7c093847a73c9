#include "base/clock.h"

#include "base/check.h"

#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

static _Atomic int64_t fake_us = -1;

static int64_t
read_clock(clockid_t id)
{
	int64_t us = atomic_load_explicit(&fake_us, memory_order_relaxed);
	if (us >= 0)
		return us;
	struct timespec now;
	clock_gettime(id, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

struct mono
clock_mono(void)
{
	return (struct mono){read_clock(CLOCK_MONOTONIC)};
}

struct wall
clock_wall(void)
{
	return (struct wall){read_clock(CLOCK_REALTIME)};
}

int64_t
clock_thread_us(void)
{
	return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

void
wall_format(struct wall wall, char out[WALL_TEXT_SIZE])
{
	time_t seconds = (time_t)(wall.us / 1000000);
	struct tm utc;
	gmtime_r(&seconds, &utc);
	size_t len = strftime(out, WALL_TEXT_SIZE, "%Y-%m-%dT%H:%M:%S", &utc);
	CHECK(len > 0);
	snprintf(out + len, WALL_TEXT_SIZE - len, ".%03dZ", (int)(wall.us / 1000 % 1000));
}

void
clock_fake(int64_t us)
{
	atomic_store_explicit(&fake_us, us, memory_order_relaxed);
}
