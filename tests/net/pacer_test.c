#include "test.h"

#include "net/pacer.h"

/* Traffic of one kind, as a loop sees it that follows the pacer and takes all that has come. */
struct traffic {
	enum net_transport transport;
	double per_second; /* datagrams, or writes to a stream */
	uint64_t size;	   /* bytes of each */
};

/* A loop without sockets: time passes as the traffic and the pacer have it. */
struct world {
	struct pacer pacer;
	struct net_counters counters[NET_TRANSPORTS];
	int64_t now_us;
	double owed; /* part of a datagram that is still to come */
	uint64_t wake_ups, packets;
};

#define MIB (1024. * 1024)

static void
world_init(struct world *world, int64_t max_delay_us, int64_t udp_bytes, int64_t unixgram_queue)
{
	*world = (struct world){.now_us = 1000000000};
	pacer_init(&world->pacer, &(struct pacer_limits){max_delay_us, udp_bytes, unixgram_queue});
}

static void
arrive(struct world *world, const struct traffic *traffic, uint64_t count)
{
	net_count(&world->counters[traffic->transport].packets, count);
	net_count(&world->counters[traffic->transport].bytes, count * traffic->size);
	world->packets += count;
}

/* One wake-up: as soon as a datagram is there, but not before the pace allows. @return the delay */
static int64_t
wake_up(struct world *world, const struct traffic *traffic)
{
	double one_us = 1e6 / traffic->per_second;
	double passed_us = (double)world->pacer.delay_us;
	if (passed_us < one_us)
		passed_us = one_us;
	if (passed_us < 1)
		passed_us = 1;
	double came = passed_us / one_us + world->owed;
	world->owed = came - (double)(uint64_t)came;
	world->now_us += (int64_t)passed_us;
	world->wake_ups++;
	arrive(world, traffic, (uint64_t)came);
	return pacer_next_us(&world->pacer, world->counters, world->now_us);
}

/* @return the delay that traffic which lasts a second ends up with */
static int64_t
settle(struct world *world, struct traffic traffic)
{
	int64_t delay_us = 0;
	for (int64_t end_us = world->now_us + 1000000; world->now_us < end_us;)
		delay_us = wake_up(world, &traffic);
	return delay_us;
}

static void
test_next__follows_the_rate(void **state)
{
	(void)state;
	static const struct {
		struct traffic traffic;
		int64_t least_us, most_us;
	} rows[] = {
	    /* Slow traffic does not wait. */
	    {{NET_UDP, 1, 40}, 0, 0},
	    {{NET_UDP, 1000, 40}, 0, 0},
	    {{NET_UDP, 5000, 40}, 0, 0},
	    /* What gathers within the longest delay is worth it. */
	    {{NET_UDP, 20000, 40}, 1000, 1000},
	    {{NET_UDP, 100000, 40}, 1000, 1000},
	    /* Fast traffic needs less time to be worth a wake-up. */
	    {{NET_UDP, 300000, 40}, 800, 900},
	    {{NET_UDP, 1000000, 40}, 240, 270},
	    {{NET_UDP, 1000000, 1432}, 240, 270},
	    /* A stream is worth its bytes, and its window must not fill. */
	    {{NET_TCP, 1000, 40}, 0, 0},
	    {{NET_TCP, 100000, 40}, 1000, 1000},
	    {{NET_UNIXSTREAM, 100000, 40}, 1000, 1000},
	    {{NET_TCP, 100000, 1000}, 150, 170},
	    /* A wait that short would be none. */
	    {{NET_TCP, 500000, 1000}, 0, 0},
	    {{NET_UDP, 4000000, 40}, 0, 0},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct world world;
		world_init(&world, 1000, 32 * MIB, 10);
		int64_t delay_us = settle(&world, rows[i].traffic);
		if (delay_us < rows[i].least_us || delay_us > rows[i].most_us)
			fail_msg("row %zu: %lld us", i, (long long)delay_us);
		assert_int_equal(delay_us, settle(&world, rows[i].traffic));
	}
}

/* At a settled pace a quarter of what the kernel can hold gathers, or less. */
static void
test_next__leaves_room_in_the_receive_buffer(void **state)
{
	(void)state;
	static const struct {
		uint64_t size, truesize;
	} rows[] = {{40, 832}, {128, 832}, {200, 1280}, {512, 1280}, {1432, 2304}, {8192, 16640}, {65507, 131328}};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(pacer_truesize(rows[i].size), rows[i].truesize);
		for (double rate = 1000; rate <= 4e6; rate *= 1.5) {
			struct world world;
			world_init(&world, 10000, 212992, 10);
			int64_t delay_us = settle(&world, (struct traffic){NET_UDP, rate, rows[i].size});
			double gathers = (double)delay_us * rate / 1e6;
			/* The rate is known to a datagram in a window. */
			if (gathers * (double)rows[i].truesize > 1.02 * 212992 / 4)
				fail_msg("%.0f datagrams of %d bytes gather", gathers,
					 (int)rows[i].size);
			if (delay_us && gathers < 7.9)
				fail_msg("a wait of %d us for %.1f", (int)delay_us, gathers);
		}
	}
	/* There is waiting all the same, and it stays. */
	struct world world;
	world_init(&world, 1000, 212992, 10);
	for (int i = 0; i < 3; i++)
		assert_in_range(settle(&world, (struct traffic){NET_UDP, 100000, 40}), 600, 650);
}

/* Twelve datagrams of this size fill the default buffer: what may gather is not worth a wait. */
static void
test_next__large_datagrams_in_a_small_buffer(void **state)
{
	(void)state;
	struct world world;
	world_init(&world, 1000, 212992, 10);
	assert_int_equal(settle(&world, (struct traffic){NET_UDP, 50000, 8192}), 0);
	world_init(&world, 1000, 32 * MIB, 10);
	assert_int_equal(settle(&world, (struct traffic){NET_UDP, 50000, 8192}), 1000);
}

/* A sender to a Unix socket waits when its queue is full, so the queue must never fill. */
static void
test_next__unixgram_queue(void **state)
{
	(void)state;
	struct world world;
	world_init(&world, 1000, 32 * MIB, 10);
	assert_int_equal(settle(&world, (struct traffic){NET_UNIXGRAM, 100000, 40}), 0);
	world_init(&world, 1000, 32 * MIB, 200);
	assert_in_range(settle(&world, (struct traffic){NET_UNIXGRAM, 100000, 40}), 400, 500);
	/* Behind a long queue the sender's own room is what counts. */
	world_init(&world, 1000, 32 * MIB, 100000);
	assert_in_range(settle(&world, (struct traffic){NET_UNIXGRAM, 100000, 40}), 600, 640);
	assert_int_equal(settle(&world, (struct traffic){NET_UNIXGRAM, 50000, 8192}), 0);
}

static void
test_next__unknown_room_never_waits(void **state)
{
	(void)state;
	struct world world;
	world_init(&world, 1000, -1, -1);
	assert_int_equal(settle(&world, (struct traffic){NET_UDP, 100000, 40}), 0);
	assert_int_equal(settle(&world, (struct traffic){NET_UNIXGRAM, 100000, 40}), 0);
	world_init(&world, 1000, 0, 0);
	assert_int_equal(settle(&world, (struct traffic){NET_UDP, 100000, 40}), 0);
}

static void
test_next__turned_off(void **state)
{
	(void)state;
	struct world world;
	world_init(&world, 0, 32 * MIB, 10);
	assert_int_equal(settle(&world, (struct traffic){NET_UDP, 300000, 40}), 0);
	assert_true(world.pacer.wake_ups > 100000);
}

static void
test_next__idle_again(void **state)
{
	(void)state;
	struct world world;
	world_init(&world, 1000, 32 * MIB, 10);
	assert_int_equal(settle(&world, (struct traffic){NET_UDP, 100000, 40}), 1000);
	/* A few datagrams a second: the pace of before holds for the first of them. */
	struct traffic slow = {NET_UDP, 10, 40};
	wake_up(&world, &slow);
	for (int i = 0; i < 20; i++)
		assert_int_equal(wake_up(&world, &slow), 0);
	/* Wake-ups that find nothing (timers) change nothing and are not counted. */
	uint64_t wake_ups = world.pacer.wake_ups;
	for (int i = 0; i < 20; i++) {
		world.now_us += 1000000;
		assert_int_equal(pacer_next_us(&world.pacer, world.counters, world.now_us), 0);
	}
	assert_int_equal(world.pacer.wake_ups, wake_ups);
}

/* A burst that filled half a queue ends the waiting at once, and for a while. */
static void
test_next__burst(void **state)
{
	(void)state;
	struct world world;
	struct traffic traffic = {NET_UDP, 20000, 40};
	world_init(&world, 1000, 212992, 10);
	assert_int_equal(settle(&world, traffic), 1000);
	arrive(&world, &traffic, 200);
	assert_int_equal(wake_up(&world, &traffic), 0);
	for (int64_t end_us = world.now_us + 90000; world.now_us < end_us;)
		assert_int_equal(wake_up(&world, &traffic), 0);
	assert_int_equal(settle(&world, traffic), 1000);
}

/* A clock that stands still or a first look at old counters must not divide by nothing. */
static void
test_next__odd_clocks(void **state)
{
	(void)state;
	struct world world;
	struct traffic traffic = {NET_UDP, 20000, 40};
	world_init(&world, 1000, 32 * MIB, 10);
	world.now_us = 0;
	arrive(&world, &traffic, UINT32_MAX);
	for (int i = 0; i < 10; i++)
		assert_int_equal(pacer_next_us(&world.pacer, world.counters, 0), 0);
	assert_int_equal(pacer_next_us(&world.pacer, world.counters, INT64_MAX / 2), 0);
	assert_int_equal(pacer_next_us(&world.pacer, world.counters, -1), 0);
}

static void
test_next__wakes_up_less(void **state)
{
	(void)state;
	struct world world;
	world_init(&world, 1000, 32 * MIB, 10);
	settle(&world, (struct traffic){NET_UDP, 300000, 40});
	world.wake_ups = world.packets = 0;
	settle(&world, (struct traffic){NET_UDP, 300000, 40});
	assert_in_range(world.packets / world.wake_ups, 200, 280);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_next__follows_the_rate),
	    cmocka_unit_test(test_next__leaves_room_in_the_receive_buffer),
	    cmocka_unit_test(test_next__large_datagrams_in_a_small_buffer),
	    cmocka_unit_test(test_next__unixgram_queue),
	    cmocka_unit_test(test_next__unknown_room_never_waits),
	    cmocka_unit_test(test_next__turned_off),
	    cmocka_unit_test(test_next__idle_again),
	    cmocka_unit_test(test_next__burst),
	    cmocka_unit_test(test_next__odd_clocks),
	    cmocka_unit_test(test_next__wakes_up_less),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
