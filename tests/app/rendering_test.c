#include "test.h"

#include "app/rendering.h"

#include "exposition/fake_reader.h"

/* A series is a bit more than a slice, so that without compression each is a piece. */
#define SERIES_BYTES 66000
#define SERIES_MANY (RENDERING_HELD_BYTES / 10 * 25 / SERIES_BYTES)
#define SERIES_FEW 8
/* Series that were made when the first that joined is about to be ended. */
#define SERIES_HELD (RENDERING_HELD_BYTES / (SERIES_BYTES + 100))

static const struct rendering_kind plain = {EXPOSITION_TEXT_0_0_4, false, false};
static const struct rendering_kind packed = {EXPOSITION_TEXT_0_0_4, false, true};

/* ---- Renderings of made-up series. ---- */

struct world {
	struct renderings all;
	char *text; /* series have windows of it as labels */
	struct series_view series[SERIES_MANY];
	struct fake_family family;
	unsigned begun, joined, frees;
};

struct client {
	struct rendering_consumer consumer;
	struct buf got;
	bool is_over, is_ended;
};

static unsigned
next_random(unsigned *seed)
{
	*seed = *seed * 1103515245 + 12345;
	return *seed >> 16;
}

static struct world *
world_new(size_t series_count)
{
	struct world *world = xcalloc(1, sizeof(*world));
	size_t len = SERIES_BYTES + SERIES_MANY;
	unsigned seed = 1;
	clock_fake(0);
	world->text = xmalloc(len);
	for (size_t i = 0; i < len; i++)
		world->text[i] = "0123456789abcdef"[next_random(&seed) % 16];
	for (size_t i = 0; i < SERIES_MANY; i++)
		world->series[i].labels = span_of(world->text + i, SERIES_BYTES);
	world->family = (struct fake_family){
	    {SPAN("a"), SPAN("Help."), METRIC_GAUGE}, world->series, series_count};
	return world;
}

/* All clients must have left: whatever is not freed then is lost. */
static void
world_free(struct world *world)
{
	assert_true(LIST_EMPTY(&world->all.list));
	assert_int_equal(world->all.held, 0);
	assert_int_equal(world->frees, world->begun);
	free(world->text);
	free(world);
}

static bool
client_join(struct world *world, struct rendering_kind kind, struct client *client)
{
	*client = (struct client){.got = BUF_INIT};
	bool joined = rendering_join(&world->all, kind, &client->consumer);
	world->joined += joined;
	return joined;
}

static void
client_begin(struct world *world, struct rendering_kind kind, struct client *client)
{
	struct reader *reader = fake_reader_new(&world->family, 1, &world->frees);
	struct exposition_writer *writer = exposition_writer_new(kind.format, false, &reader);
	*client = (struct client){.got = BUF_INIT};
	world->begun++;
	rendering_begin(&world->all, kind, &writer, &client->consumer);
	assert_null(writer);
}

/* @return whether there was a piece */
static bool
client_take(struct client *client)
{
	struct buf piece = BUF_INIT;
	rendering_take(&client->consumer, &piece);
	client->is_ended = buf_failed(&piece);
	client->is_over = !piece.len;
	buf_add_span(&client->got, buf_span(&piece));
	buf_fini(&piece);
	return !client->is_over;
}

static void
client_take_some(struct client *client, unsigned count)
{
	while (count--)
		assert_true(client_take(client));
}

static void
client_take_all(struct client *client)
{
	while (client_take(client))
		;
}

static void
client_leave(struct client *client)
{
	rendering_leave(&client->consumer);
	buf_fini(&client->got);
}

/* What a rendering shows that nobody shares. */
static struct buf
render(struct world *world, struct rendering_kind kind)
{
	struct client alone;
	client_begin(world, kind, &alone);
	client_take_all(&alone);
	rendering_leave(&alone.consumer);
	return alone.got;
}

/* Makes it known that expositions of this kind are small enough to be shared. */
static void
learn(struct world *world, struct rendering_kind kind)
{
	size_t count = world->family.series_count;
	world->family.series_count = SERIES_FEW;
	struct buf ignored = render(world, kind);
	buf_fini(&ignored);
	world->family.series_count = count;
}

static void
assert_whole(const struct client *client, const struct buf *whole)
{
	assert_true(client->is_over);
	assert_false(client->is_ended);
	assert_true(span_equal(buf_span(&client->got), buf_span(whole)));
}

/* ---- Sharing. ---- */

static void
test_share__same_whole_answer(void **state)
{
	(void)state;
	const struct rendering_kind kinds[] = {plain, packed};
	for (size_t k = 0; k < 2; k++) {
		for (unsigned lead = 0; lead < 4; lead++) {
			struct world *world = world_new(SERIES_FEW);
			struct client first, second;
			struct buf whole = render(world, kinds[k]);
			client_begin(world, kinds[k], &first);
			client_take_some(&first, lead);
			assert_true(client_join(world, kinds[k], &second));
			client_take_all(&second);
			client_take_all(&first);
			assert_whole(&first, &whole);
			assert_whole(&second, &whole);
			assert_int_equal(rendering_text_bytes(&first.consumer),
					 rendering_text_bytes(&second.consumer));
			assert_int_equal(world->begun, 2);
			client_leave(&first);
			client_leave(&second);
			buf_fini(&whole);
			world_free(world);
		}
	}
}

static void
test_share__text_bytes_are_those_before_compression(void **state)
{
	(void)state;
	struct world *world = world_new(SERIES_FEW);
	struct buf whole = render(world, plain);
	struct client client;
	client_begin(world, packed, &client);
	client_take_all(&client);
	assert_int_equal(rendering_text_bytes(&client.consumer), whole.len);
	assert_true(client.got.len < whole.len);
	client_leave(&client);
	buf_fini(&whole);
	world_free(world);
}

/* The clients of one random run: whoever comes takes what belongs to it, whoever else goes when. */
static void
random_run(struct world *world, const struct buf *whole, unsigned seed)
{
	enum { CLIENTS = 5 };
	struct client clients[CLIENTS];
	bool is_here[CLIENTS] = {false};
	for (unsigned turn = 0; turn < 60; turn++) {
		unsigned i = next_random(&seed) % CLIENTS;
		struct client *client = &clients[i];
		if (!is_here[i]) {
			if (!client_join(world, plain, client))
				client_begin(world, plain, client);
			is_here[i] = true;
		} else if (next_random(&seed) % 8 == 0) {
			client_leave(client);
			is_here[i] = false;
		} else if (client_take(client)) {
			assert_true(client->got.len <= whole->len);
			assert_memory_equal(client->got.ptr, whole->ptr, client->got.len);
		} else {
			assert_whole(client, whole);
		}
	}
	for (unsigned i = 0; i < CLIENTS; i++)
		if (is_here[i])
			client_leave(&clients[i]);
	assert_true(LIST_EMPTY(&world->all.list));
	assert_int_equal(world->all.held, 0);
}

static void
test_share__come_and_go_in_any_order(void **state)
{
	(void)state;
	struct world *world = world_new(SERIES_FEW);
	struct buf whole = render(world, plain);
	unsigned runs = 300;
	for (unsigned seed = 0; seed < runs; seed++)
		random_run(world, &whole, seed);
	assert_true(world->begun > runs && world->joined > runs);
	buf_fini(&whole);
	world_free(world);
}

/* ---- Who cannot be joined. ---- */

static void
assert_joinable(struct world *world, struct rendering_kind kind, bool want)
{
	struct client late;
	bool joined = client_join(world, kind, &late);
	if (joined)
		client_leave(&late);
	assert_int_equal(joined, want);
}

static void
test_join__nothing_under_way(void **state)
{
	(void)state;
	struct world *world = world_new(SERIES_FEW);
	assert_joinable(world, plain, false);
	learn(world, plain);
	assert_joinable(world, plain, false);
	world_free(world);
}

static void
test_join__size_unknown(void **state)
{
	(void)state;
	struct world *world = world_new(SERIES_FEW);
	struct client first;
	client_begin(world, plain, &first);
	assert_joinable(world, plain, false);
	client_leave(&first);
	world_free(world);
}

/* Whose clients all leave early; the text of another kind tells how large it can be. */
static void
test_join__size_of_kind_unknown(void **state)
{
	(void)state;
	size_t half = RENDERING_HELD_BYTES / 2 / SERIES_BYTES;
	for (unsigned more = 0; more < 4; more += 2) {
		struct world *world = world_new(half - 1 + more);
		struct client first;
		struct buf whole = render(world, plain);
		buf_fini(&whole);
		for (unsigned i = 0; i < 2; i++) {
			client_begin(world, packed, &first);
			client_take_some(&first, 1);
			assert_joinable(world, packed, more == 0);
			client_leave(&first);
		}
		whole = render(world, packed);
		assert_true(whole.len < RENDERING_HELD_BYTES / 2);
		buf_fini(&whole);
		client_begin(world, packed, &first);
		assert_joinable(world, packed, true);
		client_leave(&first);
		world_free(world);
	}
}

/* A rendering that was left before its end says nothing about the size. */
static void
test_join__last_one_was_not_complete(void **state)
{
	(void)state;
	struct world *world = world_new(SERIES_FEW);
	struct client first;
	client_begin(world, plain, &first);
	client_take_some(&first, 2);
	client_leave(&first);
	client_begin(world, plain, &first);
	assert_joinable(world, plain, false);
	client_leave(&first);
	world_free(world);
}

static void
test_join__last_one_was_large(void **state)
{
	(void)state;
	size_t half = RENDERING_HELD_BYTES / 2 / SERIES_BYTES;
	struct world *world = world_new(half - 1);
	struct client first;
	for (unsigned more = 0; more < 4; more += 2) {
		world->family.series_count = half - 1 + more;
		struct buf whole = render(world, plain);
		assert_int_equal(whole.len <= RENDERING_HELD_BYTES / 2, more == 0);
		buf_fini(&whole);
		client_begin(world, plain, &first);
		assert_joinable(world, plain, more == 0);
		client_leave(&first);
	}
	world_free(world);
}

static void
test_join__other_kind(void **state)
{
	(void)state;
	struct world *world = world_new(SERIES_FEW);
	struct client first;
	learn(world, plain);
	learn(world, packed);
	client_begin(world, packed, &first);
	assert_joinable(world, plain, false);
	assert_joinable(world, packed, true);
	client_leave(&first);
	client_begin(world, plain, &first);
	for (unsigned format = 0; format < EXPOSITION_FORMATS; format++) {
		struct rendering_kind kind = {(enum exposition_format)format, false, false};
		assert_joinable(world, kind, format == EXPOSITION_TEXT_0_0_4);
		kind.has_dots = true;
		assert_joinable(world, kind, false);
	}
	client_leave(&first);
	world_free(world);
}

/* Whether its end comes with its last piece or behind it. */
static void
test_join__complete(void **state)
{
	(void)state;
	const size_t last_bytes[] = {SERIES_BYTES, 10};
	for (size_t i = 0; i < 2; i++) {
		struct world *world = world_new(SERIES_FEW);
		struct client first;
		world->series[SERIES_FEW - 1].labels.len = last_bytes[i];
		learn(world, plain);
		client_begin(world, plain, &first);
		client_take_some(&first, SERIES_FEW - 1);
		assert_joinable(world, plain, true);
		client_take_some(&first, 1);
		assert_joinable(world, plain, last_bytes[i] == SERIES_BYTES);
		assert_false(client_take(&first));
		assert_joinable(world, plain, false);
		assert_int_equal(world->all.held, 0);
		client_leave(&first);
		world_free(world);
	}
}

/* Nobody makes everybody's values old by not reading. */
static void
test_join__too_old(void **state)
{
	(void)state;
	struct world *world = world_new(SERIES_FEW);
	struct client first;
	learn(world, plain);
	client_begin(world, plain, &first);
	client_take_some(&first, 1);
	clock_fake(RENDERING_JOIN_US);
	assert_joinable(world, plain, true);
	clock_fake(RENDERING_JOIN_US + 1);
	assert_joinable(world, plain, false);
	client_take_some(&first, 1);
	assert_int_equal(world->all.held, 0);
	client_leave(&first);
	world_free(world);
}

static void
test_join__too_far(void **state)
{
	(void)state;
	struct world *world = world_new(SERIES_MANY);
	struct client first;
	learn(world, plain);
	client_begin(world, plain, &first);
	while (first.got.len + SERIES_BYTES + 100 < RENDERING_START_BYTES) {
		assert_true(client_take(&first));
		assert_joinable(world, plain, true);
	}
	assert_true(world->all.held >= first.got.len);
	client_take_some(&first, 2);
	assert_joinable(world, plain, false);
	assert_int_equal(world->all.held, 0);
	client_leave(&first);
	world_free(world);
}

/* Of two that are under way the newer is joined, and the older never again. */
static void
test_join__newer_one(void **state)
{
	(void)state;
	struct world *world = world_new(SERIES_FEW);
	struct client first, second, third;
	learn(world, plain);
	client_begin(world, plain, &first);
	client_take_some(&first, 2);
	client_begin(world, plain, &second);
	assert_int_equal(world->all.held, 0);
	assert_true(client_join(world, plain, &third));
	assert_ptr_equal(third.consumer.rendering, second.consumer.rendering);
	client_leave(&third);
	client_leave(&second);
	assert_joinable(world, plain, false);
	client_leave(&first);
	world_free(world);
}

/* The end of an older one does not keep anybody from the newer. */
static void
test_join__older_one_ends(void **state)
{
	(void)state;
	struct world *world = world_new(SERIES_FEW);
	struct client first, second;
	learn(world, plain);
	client_begin(world, plain, &first);
	client_begin(world, plain, &second);
	client_leave(&first);
	assert_joinable(world, plain, true);
	client_leave(&second);
	assert_joinable(world, plain, false);
	world_free(world);
}

/* ---- Limits. ---- */

static void
test_limit__alone_nothing_is_held(void **state)
{
	(void)state;
	struct world *world = world_new(SERIES_FEW);
	struct client alone;
	client_begin(world, plain, &alone);
	while (client_take(&alone))
		assert_int_equal(world->all.held, 0);
	client_leave(&alone);
	world_free(world);
}

static void
test_limit__slow_one_is_ended_and_others_finish(void **state)
{
	(void)state;
	struct world *world = world_new(SERIES_MANY);
	struct client fast, close, slow;
	struct buf whole = render(world, plain);
	learn(world, plain);
	client_begin(world, plain, &fast);
	assert_true(client_join(world, plain, &slow));
	assert_true(client_join(world, plain, &close));
	client_take_some(&slow, 1);
	size_t most = 0;
	while (client_take(&fast)) {
		most = world->all.held > most ? world->all.held : most;
		bool fits = fast.got.len < RENDERING_HELD_BYTES;
		assert_true(slow.consumer.rendering || !fits);
		if (fast.got.len > 2 * SERIES_BYTES)
			client_take_some(&close, 1);
	}
	assert_true(most <= RENDERING_HELD_BYTES);
	assert_false(client_take(&slow));
	assert_true(slow.is_ended);
	assert_int_equal(rendering_text_bytes(&slow.consumer), 0);
	client_take_all(&close);
	assert_whole(&fast, &whole);
	assert_whole(&close, &whole);
	client_leave(&slow);
	client_leave(&close);
	client_leave(&fast);
	buf_fini(&whole);
	world_free(world);
}

/* A reader that takes a millisecond for each batch. */
static size_t (*plain_next_batch)(struct reader *reader, struct series_view *out, size_t max);

static size_t
slow_next_batch(struct reader *reader, struct series_view *out, size_t max)
{
	clock_fake(clock_mono().us + 1000);
	return plain_next_batch(reader, out, max);
}

/* What pieces take is waited for before the next rendering, beside what a scrape takes elsewhere. */
static void
test_wait__as_long_as_pieces_took(void **state)
{
	(void)state;
	struct world *world = world_new(SERIES_FEW);
	struct reader *reader = fake_reader_new(&world->family, 1, &world->frees);
	struct reader_ops slow = *reader->ops;
	struct client client = {.got = BUF_INIT};
	plain_next_batch = slow.next_batch;
	slow.next_batch = slow_next_batch;
	reader->ops = &slow;
	struct exposition_writer *writer = exposition_writer_new(plain.format, false, &reader);
	world->begun++;
	rendering_begin(&world->all, plain, &writer, &client.consumer);
	assert_int_equal(renderings_wait_us(&world->all), 0);
	client_take_some(&client, 1);
	int64_t took_us = clock_mono().us;
	assert_in_range(took_us, 1000, RENDERING_SPENT_MAX_US);
	assert_int_equal(renderings_wait_us(&world->all), took_us);
	struct mono since = clock_mono();
	clock_fake(since.us + 5);
	renderings_spend(&world->all, since);
	assert_int_equal(renderings_wait_us(&world->all), took_us);
	/* Stopped in the middle, and woken up after an hour. */
	clock_fake(since.us + INT64_C(3600000000));
	renderings_spend(&world->all, since);
	assert_int_equal(renderings_wait_us(&world->all), RENDERING_SPENT_MAX_US);
	client_leave(&client);
	world_free(world);
}

/* A piece that nobody can be given room for goes to the one who asked for it, whoever that is. */
static void
test_limit__one_piece_is_too_large(void **state)
{
	(void)state;
	char *text = xcalloc(1, RENDERINGS_HELD_BYTES);
	for (unsigned asks = 0; asks < 2; asks++) {
		struct world *world = world_new(SERIES_FEW);
		struct client clients[2], *fast = &clients[asks], *slow = &clients[!asks];
		learn(world, plain);
		world->series[2].labels = span_of(text, RENDERINGS_HELD_BYTES);
		client_begin(world, plain, &clients[0]);
		assert_true(client_join(world, plain, &clients[1]));
		client_take_some(fast, 2);
		client_take_some(slow, 2);
		client_take_some(fast, 1);
		assert_int_equal(world->all.held, 0);
		assert_false(client_take(slow));
		assert_true(slow->is_ended);
		client_take_some(fast, SERIES_FEW - 3);
		assert_false(client_take(fast));
		assert_false(fast->is_ended);
		client_leave(fast);
		client_leave(slow);
		world_free(world);
	}
	free(text);
}

/* A slow client behind one that made so many pieces and left. */
static void
client_hold_back(struct world *world, struct client *slow, unsigned pieces)
{
	struct client fast;
	client_begin(world, plain, &fast);
	assert_true(client_join(world, plain, slow));
	client_take_some(&fast, pieces);
	client_leave(&fast);
}

/* Two whose renderings are full, of which the first is a bit larger: only the second, who is behind
 * one that wants more, is ended. */
static void
test_limit__own_limit_is_nobody_elses(void **state)
{
	(void)state;
	struct world *world = world_new(SERIES_MANY);
	struct client slow[2], fast[2];
	learn(world, plain);
	for (unsigned i = 0; i < 2; i++) {
		size_t before = world->all.held, piece;
		client_begin(world, plain, &fast[i]);
		assert_true(client_join(world, plain, &slow[i]));
		client_take_some(&fast[i], 1);
		for (piece = world->all.held - before;
		     world->all.held - before + piece <= RENDERING_HELD_BYTES;)
			client_take_some(&fast[i], 1);
		for (size_t s = 0; s < SERIES_MANY; s++)
			world->series[s].labels.len--;
	}
	client_take_some(&fast[1], 1);
	assert_non_null(slow[0].consumer.rendering);
	assert_null(slow[1].consumer.rendering);
	for (unsigned i = 0; i < 2; i++) {
		client_leave(&slow[i]);
		client_leave(&fast[i]);
	}
	world_free(world);
}

#define HOGS_MAX 40
#define HOG_PIECES 40

/* Slow clients that leave room for a bit more than any of them holds back. @return how many */
static unsigned
hold_back_most(struct world *world, struct client slow[HOGS_MAX])
{
	enum { PIECE = SERIES_BYTES + 100 };
	unsigned hogs = 0;
	while (world->all.held + (2 * HOG_PIECES + 2) * PIECE < RENDERINGS_HELD_BYTES)
		client_hold_back(world, &slow[hogs++], HOG_PIECES);
	size_t left = RENDERINGS_HELD_BYTES - world->all.held;
	client_hold_back(world, &slow[hogs++], left / PIECE - HOG_PIECES - 2);
	return hogs;
}

/* What is kept for those who may come goes before anybody is ended, whoever needs the room. */
static void
test_limit__in_total_a_start_gives_way_first(void **state)
{
	(void)state;
	const struct rendering_kind other = {EXPOSITION_TEXT_0_0_4, true, false};
	for (unsigned is_other = 0; is_other < 2; is_other++) {
		struct world *world = world_new(SERIES_MANY);
		struct client slow[HOGS_MAX], newest, next;
		learn(world, plain);
		learn(world, other);
		unsigned hogs = hold_back_most(world, slow);
		client_begin(world, plain, &newest);
		client_take_some(&newest, HOG_PIECES + 2);
		client_begin(world, other, &next);
		assert_joinable(world, plain, true);
		client_take_some(is_other ? &next : &newest, 2);
		assert_joinable(world, plain, false);
		assert_joinable(world, other, true);
		assert_true(newest.got.len < RENDERING_START_BYTES);
		assert_non_null(newest.consumer.rendering);
		for (unsigned i = 0; i < hogs; i++) {
			assert_non_null(slow[i].consumer.rendering);
			client_leave(&slow[i]);
		}
		client_leave(&newest);
		client_leave(&next);
		world_free(world);
	}
}

/* Those who hold back most in total give way, not the scrape that comes last. */
static void
test_limit__in_total_the_largest_gives_way(void **state)
{
	(void)state;
	enum { HOGS = RENDERINGS_HELD_BYTES / RENDERING_HELD_BYTES };
	struct world *world = world_new(SERIES_HELD + 1);
	struct client slow[HOGS], honest[2];
	unsigned ended = 0;
	learn(world, plain);
	for (unsigned i = 0; i < HOGS; i++)
		client_hold_back(world, &slow[i], SERIES_HELD);
	world->family.series_count = SERIES_FEW * 2;
	client_begin(world, plain, &honest[0]);
	assert_true(client_join(world, plain, &honest[1]));
	while (client_take(&honest[0]))
		assert_true(world->all.held <= RENDERINGS_HELD_BYTES);
	client_take_all(&honest[1]);
	struct buf whole = render(world, plain);
	for (unsigned i = 0; i < 2; i++) {
		assert_whole(&honest[i], &whole);
		client_leave(&honest[i]);
	}
	for (unsigned i = 0; i < HOGS; i++) {
		ended += !slow[i].consumer.rendering;
		client_leave(&slow[i]);
	}
	assert_int_equal(ended, 1);
	buf_fini(&whole);
	world_free(world);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_share__same_whole_answer),
	    cmocka_unit_test(test_share__text_bytes_are_those_before_compression),
	    cmocka_unit_test(test_share__come_and_go_in_any_order),
	    cmocka_unit_test(test_join__nothing_under_way),
	    cmocka_unit_test(test_join__size_unknown),
	    cmocka_unit_test(test_join__size_of_kind_unknown),
	    cmocka_unit_test(test_join__last_one_was_not_complete),
	    cmocka_unit_test(test_join__last_one_was_large),
	    cmocka_unit_test(test_join__other_kind),
	    cmocka_unit_test(test_join__complete),
	    cmocka_unit_test(test_join__too_old),
	    cmocka_unit_test(test_join__too_far),
	    cmocka_unit_test(test_join__newer_one),
	    cmocka_unit_test(test_join__older_one_ends),
	    cmocka_unit_test(test_limit__alone_nothing_is_held),
	    cmocka_unit_test(test_limit__slow_one_is_ended_and_others_finish),
	    cmocka_unit_test(test_wait__as_long_as_pieces_took),
	    cmocka_unit_test(test_limit__one_piece_is_too_large),
	    cmocka_unit_test(test_limit__own_limit_is_nobody_elses),
	    cmocka_unit_test(test_limit__in_total_a_start_gives_way_first),
	    cmocka_unit_test(test_limit__in_total_the_largest_gives_way),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
