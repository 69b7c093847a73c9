#include "test.h"

#include "base/buf.h"
#include "base/clock.h"
#include "http/auth.h"
#include "http/counted_crypt.h"
#include "http/turns.h"
#include "neighbour.h"

#include <ev.h>
#include <stdlib.h>
#include <sys/socket.h>

/* ---- Clients that show passwords. ---- */

#define REQUESTS_MAX 200
#define WAITS 1000 /* no status */
#define T0_US ((int64_t)1000 * 1000 * 1000)

struct request {
	struct fixture *fixture;
	struct auth_check *check;
	unsigned status, place; /* among those that were answered later; from 1 */
};

struct fixture {
	struct ev_loop *loop;
	struct http_stats stats;
	struct auth *auth;
	struct request requests[REQUESTS_MAX];
	size_t count;
	unsigned answered; /* later */
};

/* A user of the tests: name, password, cost of the hash. */
struct known {
	const char *name, *password;
	int cost;
};

static void
set_users(struct fixture *f, const struct known *known, size_t count)
{
	struct http_user *users = calloc(count + 1, sizeof(*users));
	for (size_t i = 0; i < count; i++) {
		char setting[SALT_END + 1];
		snprintf(setting, sizeof(setting), "$2b$%02d$abcdefghijklmnopqrstuu",
			 known[i].cost);
		users[i].name = strdup(known[i].name);
		users[i].hash = malloc(PASSWORD_HASH_LEN + 1);
		make_hash(known[i].password, setting, users[i].hash);
	}
	auth_set_users(f->auth, users, count);
	for (size_t i = 0; i < count; i++) {
		free(users[i].name);
		free(users[i].hash);
	}
	free(users);
}

#define SET_USERS(f, ...)                                                   \
	do {                                                                \
		static const struct known known_[] = {__VA_ARGS__};         \
		set_users((f), known_, sizeof(known_) / sizeof(known_[0])); \
	} while (0)

static struct fixture *
start(void)
{
	struct fixture *f = calloc(1, sizeof(*f));
	clock_fake(T0_US);
	hold(false);
	work_reset();
	f->loop = ev_loop_new(EVFLAG_AUTO);
	f->auth = auth_new(f->loop, &f->stats);
	SET_USERS(f, {"ann", "a", 4}, {"bob", "b", 6}, {"cid", "c", 9});
	return f;
}

static void
stop(struct fixture *f)
{
	hold(false);
	for (size_t i = 0; i < f->count; i++)
		auth_forget(&f->requests[i].check);
	auth_free(&f->auth);
	assert_null(f->auth);
	ev_loop_destroy(f->loop);
	clock_fake(-1);
	free(f);
}

static void
add_base64(struct buf *out, struct span text)
{
	static const char alphabet[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	for (size_t i = 0; i < text.len; i += 3) {
		unsigned char three[3] = {0};
		size_t len = text.len - i < 3 ? text.len - i : 3;
		memcpy(three, text.ptr + i, len);
		uint32_t bits = (uint32_t)three[0] << 16 | (uint32_t)three[1] << 8 | three[2];
		for (size_t j = 0; j < 4; j++)
			buf_add_byte(out, j <= len ? alphabet[bits >> (18 - 6 * j) & 63] : '=');
	}
}

static struct buf
header_of(const char *credentials)
{
	struct buf header = BUF_INIT;
	buf_add_text(&header, "Basic ");
	add_base64(&header, span_text(credentials));
	return header;
}

static enum auth_verdict
look(struct fixture *f, const char *credentials)
{
	struct buf header = header_of(credentials);
	enum auth_verdict verdict = auth_look(f->auth, buf_span(&header));
	buf_fini(&header);
	return verdict;
}

static void
on_done(void *ctx, unsigned status)
{
	struct request *request = ctx;
	assert_int_equal(request->status, WAITS);
	request->check = NULL;
	request->status = status;
	request->place = ++request->fixture->answered;
}

/* @client a number for each @return the request, whose status may be WAITS */
static struct request *
show(struct fixture *f, unsigned client, const char *credentials)
{
	assert_true(f->count < REQUESTS_MAX);
	struct request *request = &f->requests[f->count++];
	*request = (struct request){.fixture = f, .status = WAITS};
	struct buf header = header_of(credentials);
	struct address_group from = {.family = AF_INET, .id = client};
	unsigned status =
	    auth_begin(f->auth, buf_span(&header), from, &request->check, on_done, request);
	if (!request->check)
		request->status = status;
	buf_fini(&header);
	return request;
}

/* Awaits the answers of all that were not forgotten. */
static void
await_all(struct fixture *f)
{
	hold(false);
	for (size_t i = 0; i < f->count; i++)
		while (f->requests[i].check)
			ev_run(f->loop, EVRUN_ONCE);
}

static unsigned
show_and_await(struct fixture *f, unsigned client, const char *credentials)
{
	struct request *request = show(f, client, credentials);
	await_all(f);
	return request->status;
}

static size_t
count_status(const struct fixture *f, unsigned status)
{
	size_t count = 0;
	for (size_t i = 0; i < f->count; i++)
		count += f->requests[i].status == status;
	return count;
}

/* Shows passwords "<prefix>0", "<prefix>1" and so on. */
static void
show_many(struct fixture *f, unsigned client, const char *prefix, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		char credentials[64];
		snprintf(credentials, sizeof(credentials), "%s%u", prefix, i);
		show(f, client, credentials);
	}
}

/* ---- What is good. ---- */

static void
test_look__table(void **state)
{
	(void)state;
	static const struct {
		const char *credentials;
		unsigned status;
	} rows[] = {
	    {"ann:a", 0},      {"bob:b", 0}, {"cid:c", 0},    {"ann:b", 401}, {"ann:", 401},
	    {"nobody:a", 401}, {":a", 401},  {"ann:a:", 401}, {"Ann:a", 401},
	};
	struct fixture *f = start();
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		assert_int_equal(look(f, rows[i].credentials), AUTH_UNKNOWN);
		assert_int_equal(show_and_await(f, 1, rows[i].credentials), rows[i].status);
		assert_int_equal(look(f, rows[i].credentials),
				 rows[i].status ? AUTH_UNKNOWN : AUTH_GOOD);
	}
	assert_int_equal(f->stats.auth_refused[HTTP_AUTH_WRONG], 6);
	assert_int_equal(look(f, "no colon"), AUTH_REFUSED);
	assert_int_equal(auth_look(f->auth, span_of(NULL, 0)), AUTH_REFUSED);
	assert_int_equal(f->stats.auth_refused[HTTP_AUTH_MISSING], 2);
	/* Nobody is let in for want of a look. */
	assert_int_equal(show_and_await(f, 1, "no colon"), 401);
	assert_int_equal(f->stats.auth_refused[HTTP_AUTH_MISSING], 3);
	stop(f);
}

static void
test_look__without_users(void **state)
{
	(void)state;
	struct fixture *f = start();
	set_users(f, NULL, 0);
	assert_int_equal(auth_look(f->auth, span_of(NULL, 0)), AUTH_GOOD);
	assert_int_equal(look(f, "ann:a"), AUTH_GOOD);
	assert_int_equal(show_and_await(f, 1, "ann:wrong"), 0);
	assert_int_equal(work.hashes, 0);
	stop(f);
}

static void
test_remembered__as_many_as_users(void **state)
{
	(void)state;
	enum { USERS = 1000 };
	struct fixture *f = start();
	static char names[USERS][8];
	struct known *known = calloc(USERS, sizeof(*known));
	for (unsigned i = 0; i < USERS; i++) {
		snprintf(names[i], sizeof(names[i]), "u%u", i);
		known[i] = (struct known){names[i], names[i], 4};
	}
	set_users(f, known, USERS);
	for (int round = 0; round < 2; round++) {
		for (unsigned i = 0; i < USERS; i++) {
			char credentials[32];
			snprintf(credentials, sizeof(credentials), "u%u:u%u", i, i);
			f->count = 0;
			if (round == 0)
				assert_int_equal(show_and_await(f, i, credentials), 0);
			else
				assert_int_equal(look(f, credentials), AUTH_GOOD);
		}
	}
	free(known);
	stop(f);
}

/* bcrypt looks at 72 bytes: one hash has several passwords, of which the newest is remembered. */
static void
test_remembered__newest_of_several(void **state)
{
	(void)state;
#define TEN "0123456789"
#define ALL TEN TEN TEN TEN TEN TEN TEN "12"
	struct fixture *f = start();
	SET_USERS(f, {"ann", ALL, 4});
	assert_int_equal(show_and_await(f, 1, "ann:" ALL), 0);
	assert_int_equal(show_and_await(f, 1, "ann:" ALL "more"), 0);
	assert_int_equal(look(f, "ann:" ALL "more"), AUTH_GOOD);
	assert_int_equal(look(f, "ann:" ALL), AUTH_UNKNOWN);
	assert_int_equal(show_and_await(f, 1, "ann:" ALL), 0);
	assert_int_equal(look(f, "ann:" ALL), AUTH_GOOD);
#undef ALL
#undef TEN
	stop(f);
}

static void
test_set_users__keeps_what_did_not_change(void **state)
{
	(void)state;
	struct fixture *f = start();
	show(f, 1, "ann:a");
	show(f, 1, "bob:b");
	show(f, 1, "cid:c");
	await_all(f);
	/* The same, of other order; a new hash of the same password; gone; new. */
	SET_USERS(f, {"new", "a", 4}, {"bob", "b", 5}, {"ann", "a", 4});
	assert_int_equal(look(f, "ann:a"), AUTH_GOOD);
	assert_int_equal(look(f, "bob:b"), AUTH_UNKNOWN);
	assert_int_equal(look(f, "cid:c"), AUTH_UNKNOWN);
	assert_int_equal(look(f, "new:a"), AUTH_UNKNOWN);
	assert_int_equal(look(f, "ann:b"), AUTH_UNKNOWN);
	/* Who was gone starts from nothing. */
	SET_USERS(f, {"ann", "a", 4}, {"cid", "c", 9});
	assert_int_equal(look(f, "ann:a"), AUTH_GOOD);
	assert_int_equal(look(f, "cid:c"), AUTH_UNKNOWN);
	stop(f);
}

/* ---- Users that change while passwords are checked. ---- */

static void
test_set_users__while_checked(void **state)
{
	(void)state;
	struct fixture *f = start();
	hold(true);
	struct request *gone = show(f, 1, "cid:c"), *rehashed = show(f, 2, "bob:b"),
		       *changed = show(f, 3, "ann:a"), *late = show(f, 4, "new:n");
	SET_USERS(f, {"ann", "other", 4}, {"bob", "b", 7}, {"new", "n", 4});
	await_all(f);
	assert_int_equal(gone->status, 401);
	assert_int_equal(rehashed->status, 0);
	assert_int_equal(changed->status, 401);
	assert_int_equal(late->status, 0);
	assert_int_equal(look(f, "bob:b"), AUTH_GOOD);
	stop(f);
}

/* What is under way was compared with a hash that holds no longer. */
static void
test_set_users__changes_the_one_under_way(void **state)
{
	(void)state;
	struct fixture *f = start();
	hold(true);
	struct request *rehashed = show(f, 1, "ann:a");
	SET_USERS(f, {"ann", "a", 5});
	await_all(f);
	assert_int_equal(rehashed->status, 0);
	assert_int_equal(look(f, "ann:a"), AUTH_GOOD);
	hold(true);
	struct request *wrong_now = show(f, 1, "bob:b");
	SET_USERS(f, {"bob", "b", 5});
	await_all(f);
	assert_int_equal(wrong_now->status, 0);
	stop(f);
}

static void
test_set_users__none_while_checked(void **state)
{
	(void)state;
	struct fixture *f = start();
	/* With the least cost, so that what no user has keeps its hash. */
	SET_USERS(f, {"ann", "a", 4});
	hold(true);
	struct request *running = show(f, 1, "nobody:x"), *waiting = show(f, 1, "ann:wrong");
	set_users(f, NULL, 0);
	assert_int_equal(waiting->status, 0);
	await_all(f);
	assert_int_equal(running->status, 0);
	assert_int_equal(f->stats.auth_refused[HTTP_AUTH_WRONG], 0);
	stop(f);
}

/* ---- Limits. ---- */

/* However many come at once, and more of them than may be wrong. */
static void
test_limit__right_ones_are_never_many(void **state)
{
	(void)state;
	struct fixture *f = start();
	hold(true);
	for (int i = 0; i < 5 * AUTH_WRONG_BURST; i++)
		show(f, 1, "ann:a");
	await_all(f);
	assert_int_equal(count_status(f, 0), 5 * AUTH_WRONG_BURST);
	assert_int_equal(work.hashes, 1);
	stop(f);
}

static void
test_limit__right_ones_of_many_users(void **state)
{
	(void)state;
	static const struct known known[] = {
	    {"u0", "p", 4},  {"u1", "p", 4},  {"u2", "p", 4},  {"u3", "p", 4},  {"u4", "p", 4},
	    {"u5", "p", 4},  {"u6", "p", 4},  {"u7", "p", 4},  {"u8", "p", 4},  {"u9", "p", 4},
	    {"u10", "p", 4}, {"u11", "p", 4}, {"u12", "p", 4}, {"u13", "p", 4}, {"u14", "p", 4},
	};
	enum { COUNT = sizeof(known) / sizeof(known[0]) };
	assert_true(COUNT > AUTH_WRONG_BURST);
	struct fixture *f = start();
	set_users(f, known, COUNT);
	hold(true);
	for (size_t i = 0; i < COUNT; i++) {
		char credentials[16];
		snprintf(credentials, sizeof(credentials), "%s:p", known[i].name);
		show(f, 1, credentials);
	}
	await_all(f);
	assert_int_equal(count_status(f, 0), COUNT);
	stop(f);
}

static void
test_limit__wrong_ones(void **state)
{
	(void)state;
	enum { MORE = 20 };
	struct fixture *f = start();
	show(f, 1, "ann:a");
	await_all(f);
	work_reset();
	hold(true);
	show_many(f, 1, "ann:wrong", AUTH_WRONG_BURST + MORE);
	struct request *other = show(f, 2, "ann:wrong");
	await_all(f);
	assert_int_equal(count_status(f, 401), AUTH_WRONG_BURST + 1);
	assert_int_equal(other->status, 401);
	assert_int_equal(count_status(f, 429), MORE);
	/* Two costs for each that was wrong are those of bob and cid. */
	assert_int_equal(work.hashes, 3 * (AUTH_WRONG_BURST + 1));
	assert_int_equal(f->stats.auth_refused[HTTP_AUTH_LIMITED], MORE);
	/* At once now, and for what is right, too, if it is not known yet. */
	assert_int_equal(show(f, 1, "bob:b")->status, 429);
	assert_int_equal(look(f, "ann:a"), AUTH_GOOD);
	clock_fake(T0_US + AUTH_WRONG_PERIOD_US);
	assert_int_equal(show_and_await(f, 1, "nobody:x"), 401);
	assert_int_equal(show(f, 1, "nobody:y")->status, 429);
	clock_fake(T0_US + 2 * AUTH_WRONG_PERIOD_US);
	assert_int_equal(show_and_await(f, 1, "bob:b"), 0);
	assert_int_equal(show_and_await(f, 1, "nobody:z"), 401);
	stop(f);
}

/* Slots are few: who meets a client in one of its own has its own limit all the same. */
static void
test_limit__clients_that_meet(void **state)
{
	(void)state;
	struct address_group one = {.family = AF_INET, .id = 1};
	for (size_t row = 0; row < ADDRESS_ROWS; row++) {
		struct fixture *f = start();
		show_many(f, 1, "ann:wrong", AUTH_WRONG_BURST);
		await_all(f);
		assert_int_equal(show(f, 1, "bob:b")->status, 429);
		unsigned other = (unsigned)neighbour_of(one, row, ADDRESS_SLOTS).id;
		assert_int_equal(show_and_await(f, other, "bob:b"), 0);
		stop(f);
	}
}

/* Where others are in each of a client's slots, it is held up no longer than by itself. */
static void
test_limit__is_forgotten_where_clients_meet(void **state)
{
	(void)state;
	struct address_group one = {.family = AF_INET, .id = 1};
	struct fixture *f = start();
	show_many(f, 1, "ann:wrong", AUTH_WRONG_BURST);
	await_all(f);
	for (size_t row = 0; row < ADDRESS_ROWS; row++) {
		unsigned other = (unsigned)neighbour_of(one, row, ADDRESS_SLOTS).id;
		show_many(f, other, "ann:wrong", AUTH_WRONG_BURST);
	}
	await_all(f);
	assert_int_equal(count_status(f, 429), 0);
	assert_int_equal(show(f, 1, "bob:b")->status, 429);
	clock_fake(T0_US + AUTH_WRONG_BURST * (int64_t)AUTH_WRONG_PERIOD_US);
	assert_int_equal(show_and_await(f, 1, "bob:b"), 0);
	stop(f);
}

/* One guess, however many requests show it. */
static void
test_limit__the_same_wrong_one(void **state)
{
	(void)state;
	struct fixture *f = start();
	hold(true);
	for (int i = 0; i < 5 * AUTH_WRONG_BURST; i++)
		show(f, 1, "cid:wrong");
	await_all(f);
	assert_int_equal(count_status(f, 401), 5 * AUTH_WRONG_BURST);
	assert_int_equal(f->stats.auth_refused[HTTP_AUTH_WRONG], 5 * AUTH_WRONG_BURST);
	assert_int_equal(work.hashes, 3);
	show_many(f, 1, "cid:other", AUTH_WRONG_BURST - 1);
	await_all(f);
	assert_int_equal(count_status(f, 429), 0);
	assert_int_equal(show(f, 1, "cid:last")->status, 429);
	stop(f);
}

/* Another client's password, and another user with the same one, are guesses of their own. */
static void
test_limit__what_is_not_the_same(void **state)
{
	(void)state;
	struct fixture *f = start();
	hold(true);
	show(f, 1, "nobody:x");
	show(f, 1, "somebody:x");
	show(f, 1, "ann:x");
	show(f, 2, "ann:x");
	await_all(f);
	assert_int_equal(work.hashes, 4 * 3);
	stop(f);
}

/* ---- Turns. ---- */

static void
test_turns__of_clients(void **state)
{
	(void)state;
	struct fixture *f = start();
	hold(true);
	show_many(f, 1, "ann:wrong", 5);
	struct request *good = show(f, 2, "ann:a"), *other = show(f, 3, "bob:wrong");
	await_all(f);
	assert_int_equal(f->requests[0].place, 1);
	assert_int_equal(good->place, 2);
	assert_int_equal(good->status, 0);
	assert_int_equal(other->place, 3);
	stop(f);
}

/* Another client's right password spares the hashing. */
static void
test_turns__known_by_another_meanwhile(void **state)
{
	(void)state;
	struct fixture *f = start();
	hold(true);
	for (unsigned client = 1; client <= 20; client++)
		show(f, client, "ann:a");
	await_all(f);
	assert_int_equal(count_status(f, 0), 20);
	assert_int_equal(work.hashes, 1);
	stop(f);
	/* And lets in who is behind others of whom nothing is known. */
	f = start();
	hold(true);
	show(f, 1, "ann:a");
	struct request *unknown = show(f, 2, "bob:wrong"), *known = show(f, 3, "ann:a");
	await_all(f);
	assert_int_equal(known->place, 2);
	assert_int_equal(known->status, 0);
	assert_int_equal(unknown->place, 3);
	stop(f);
}

static void
test_turns__too_many_wait(void **state)
{
	(void)state;
	struct fixture *f = start();
	hold(true);
	show_many(f, 1, "ann:wrong", 1 + AUTH_WAITING_MAX);
	assert_int_equal(count_status(f, WAITS), 1 + AUTH_WAITING_MAX);
	const struct request *last = &f->requests[AUTH_WAITING_MAX];
	/* One more of its own goes itself, and another client's takes the place of the last. */
	assert_int_equal(show(f, 1, "ann:more")->status, 503);
	assert_int_equal(last->status, WAITS);
	struct request *good = show(f, 2, "ann:a");
	assert_int_equal(good->status, WAITS);
	assert_int_equal(last->status, 503);
	assert_int_equal(f->stats.auth_refused[HTTP_AUTH_BUSY], 2);
	await_all(f);
	assert_int_equal(good->status, 0);
	stop(f);
}

/* Each holds a connection, also where many wait for one check. */
static void
test_turns__too_many_wait_for_one(void **state)
{
	(void)state;
	struct fixture *f = start();
	hold(true);
	show(f, 1, "bob:wrong");
	for (int i = 0; i < AUTH_WAITING_MAX; i++)
		show(f, 1, "ann:wrong");
	assert_int_equal(count_status(f, WAITS), 1 + AUTH_WAITING_MAX);
	const struct request *last = &f->requests[AUTH_WAITING_MAX];
	assert_int_equal(show(f, 1, "ann:wrong")->status, 503);
	struct request *good = show(f, 2, "ann:a");
	assert_int_equal(good->status, WAITS);
	assert_int_equal(last->status, 503);
	assert_int_equal(count_status(f, 503), 2);
	/* Who leaves makes room. */
	auth_forget(&f->requests[1].check);
	assert_int_equal(show(f, 1, "ann:wrong")->status, WAITS);
	await_all(f);
	assert_int_equal(good->status, 0);
	assert_int_equal(f->stats.auth_refused[HTTP_AUTH_WRONG], AUTH_WAITING_MAX);
	stop(f);
}

/* ---- Clients that leave. ---- */

static void
test_forget__before_its_turn(void **state)
{
	(void)state;
	struct fixture *f = start();
	hold(true);
	struct request *running = show(f, 1, "ann:wrong"), *gone = show(f, 1, "ann:other"),
		       *one = show(f, 1, "bob:b"), *two = show(f, 1, "bob:b");
	assert_false(auth_is_waiting(running->check));
	assert_true(auth_is_waiting(gone->check));
	assert_true(auth_is_waiting(two->check));
	auth_forget(&gone->check);
	assert_null(gone->check);
	/* Somebody else waits for that one. */
	auth_forget(&one->check);
	await_all(f);
	assert_int_equal(running->status, 401);
	assert_int_equal(two->status, 0);
	assert_int_equal(gone->status, WAITS);
	assert_int_equal(one->status, WAITS);
	assert_int_equal(work.hashes, 3 + 1);
	auth_forget(&gone->check);
	stop(f);
}

/* Else a client could guess as it likes, and hang up each time. */
static void
test_forget__under_way_counts(void **state)
{
	(void)state;
	struct fixture *f = start();
	for (unsigned i = 0; i < AUTH_WRONG_BURST; i++) {
		char credentials[32];
		snprintf(credentials, sizeof(credentials), "ann:wrong%u", i);
		hold(true);
		struct request *request = show(f, 1, credentials);
		auth_forget(&request->check);
		/* Another client's comes after that, and costs that one nothing. */
		assert_int_equal(show_and_await(f, 2 + i, "nobody:x"), 401);
	}
	assert_int_equal(show(f, 1, "ann:a")->status, 429);
	stop(f);
}

static void
test_forget__right_one_is_remembered(void **state)
{
	(void)state;
	struct fixture *f = start();
	hold(true);
	struct request *gone = show(f, 1, "ann:a");
	auth_forget(&gone->check);
	assert_int_equal(show_and_await(f, 1, "bob:b"), 0);
	assert_int_equal(look(f, "ann:a"), AUTH_GOOD);
	assert_int_equal(gone->status, WAITS);
	stop(f);
}

static void
test_free__in_the_middle_of_everything(void **state)
{
	(void)state;
	struct fixture *f = start();
	hold(true);
	show(f, 1, "ann:a");
	show_many(f, 1, "bob:wrong", 5);
	stop(f);
	f = start();
	auth_free(&f->auth);
	stop(f);
}

/* ---- Work. ---- */

/* A wrong password costs the same whoever it is for, and whether there is such a user. */
static void
test_work__tells_nothing_of_users(void **state)
{
	(void)state;
	static const char *const wrong[] = {"ann:x", "bob:x", "cid:x", "nobody:x", ":", "ann:"};
	struct fixture *f = start();
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		work_reset();
		assert_int_equal(show_and_await(f, 1, wrong[i]), 401);
		assert_int_equal(work.hashes, 3);
		assert_int_equal(work.rounds, (1 << 4) + (1 << 6) + (1 << 9));
	}
	stop(f);
}

static void
test_work__of_one_cost(void **state)
{
	(void)state;
	static const char *const wrong[] = {"ann:x", "bob:x", "nobody:x"};
	struct fixture *f = start();
	SET_USERS(f, {"ann", "a", 8}, {"bob", "b", 8});
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		work_reset();
		assert_int_equal(show_and_await(f, 1, wrong[i]), 401);
		assert_int_equal(work.hashes, 1);
		assert_int_equal(work.rounds, 1 << 8);
	}
	stop(f);
}

/* Who is let in may as well be at once. */
static void
test_work__of_right_ones(void **state)
{
	(void)state;
	struct fixture *f = start();
	assert_int_equal(show_and_await(f, 1, "bob:b"), 0);
	assert_int_equal(work.rounds, 1 << 6);
	assert_int_equal(show_and_await(f, 1, "bob:b"), 0);
	assert_int_equal(work.hashes, 1);
	stop(f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_look__table),
	    cmocka_unit_test(test_look__without_users),
	    cmocka_unit_test(test_remembered__as_many_as_users),
	    cmocka_unit_test(test_remembered__newest_of_several),
	    cmocka_unit_test(test_set_users__keeps_what_did_not_change),
	    cmocka_unit_test(test_set_users__while_checked),
	    cmocka_unit_test(test_set_users__changes_the_one_under_way),
	    cmocka_unit_test(test_set_users__none_while_checked),
	    cmocka_unit_test(test_limit__right_ones_are_never_many),
	    cmocka_unit_test(test_limit__right_ones_of_many_users),
	    cmocka_unit_test(test_limit__wrong_ones),
	    cmocka_unit_test(test_limit__the_same_wrong_one),
	    cmocka_unit_test(test_limit__what_is_not_the_same),
	    cmocka_unit_test(test_limit__clients_that_meet),
	    cmocka_unit_test(test_limit__is_forgotten_where_clients_meet),
	    cmocka_unit_test(test_turns__of_clients),
	    cmocka_unit_test(test_turns__known_by_another_meanwhile),
	    cmocka_unit_test(test_turns__too_many_wait),
	    cmocka_unit_test(test_turns__too_many_wait_for_one),
	    cmocka_unit_test(test_forget__before_its_turn),
	    cmocka_unit_test(test_forget__under_way_counts),
	    cmocka_unit_test(test_forget__right_one_is_remembered),
	    cmocka_unit_test(test_free__in_the_middle_of_everything),
	    cmocka_unit_test(test_work__tells_nothing_of_users),
	    cmocka_unit_test(test_work__of_one_cost),
	    cmocka_unit_test(test_work__of_right_ones),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
