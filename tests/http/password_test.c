#include "test.h"

#include "http/password.h"

#include <crypt.h>
#include <ev.h>

static void
test_hash_cost(void **state)
{
	(void)state;
	static const struct {
		const char *hash;
		int cost;
	} rows[] = {
	    {"$2b$10$7EV1O9EjfX0xuxzF7TlYsOsuyJhJs1Sq7Sq7xwWw2Rbl9dSzT6qmO", 10},
	    {"$2a$04$7EV1O9EjfX0xuxzF7TlYsOsuyJhJs1Sq7Sq7xwWw2Rbl9dSzT6q./", 4},
	    {"$2y$31$7EV1O9EjfX0xuxzF7TlYsOsuyJhJs1Sq7Sq7xwWw2Rbl9dSzT6qmO", 31},
	    {"$2x$10$7EV1O9EjfX0xuxzF7TlYsOsuyJhJs1Sq7Sq7xwWw2Rbl9dSzT6qmO", -1},
	    {"$2b$1x$7EV1O9EjfX0xuxzF7TlYsOsuyJhJs1Sq7Sq7xwWw2Rbl9dSzT6qmO", -1},
	    {"$2b$10$7EV1O9EjfX0xuxzF7TlYsOsuyJhJs1Sq7Sq7xwWw2Rbl9dSzT6qm", -1},
	    {"$2b$10$7EV1O9EjfX0xuxzF7TlYsOsuyJhJs1Sq7Sq7xwWw2Rbl9dSzT6qmOO", -1},
	    {"$2b$10$7EV1O9EjfX0xuxzF7TlYsOsuyJhJs1Sq7Sq7xwWw2Rbl9dSzT6qm-", -1},
	    {"$2b$10:7EV1O9EjfX0xuxzF7TlYsOsuyJhJs1Sq7Sq7xwWw2Rbl9dSzT6qmO", -1},
	    {"", -1},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		assert_int_equal(password_hash_cost(span_text(rows[i].hash)), rows[i].cost);
}

struct fixture {
	struct ev_loop *loop;
	struct password_checker *checker;
	char hash[PASSWORD_HASH_LEN + 1]; /* of "right" */
	unsigned right, wrong;
};

static void
on_done(void *ctx, bool is_right)
{
	struct fixture *f = ctx;
	if (is_right)
		f->right++;
	else
		f->wrong++;
}

static void
start(struct fixture *f)
{
	*f = (struct fixture){.loop = ev_loop_new(EVFLAG_AUTO)};
	f->checker = password_checker_new(f->loop);
	struct crypt_data data = {0};
	strcpy(f->hash, crypt_r("right", "$2b$04$abcdefghijklmnopqrstuu", &data));
}

static void
stop(struct fixture *f)
{
	password_checker_free(&f->checker);
	ev_loop_destroy(f->loop);
}

static struct password_check *
begin(struct fixture *f, const char *password)
{
	return password_check_begin(f->checker, f->hash, span_text(password), on_done, f);
}

static void
await_done(struct fixture *f, unsigned count)
{
	while (f->right + f->wrong < count)
		ev_run(f->loop, EVRUN_ONCE);
}

static void
test_check__right_and_wrong(void **state)
{
	(void)state;
	struct fixture f;
	start(&f);
	assert_non_null(begin(&f, "right"));
	assert_non_null(begin(&f, "wrong"));
	assert_non_null(begin(&f, ""));
	await_done(&f, 3);
	assert_int_equal(f.right, 1);
	stop(&f);
}

static void
test_check__forgotten(void **state)
{
	(void)state;
	struct fixture f;
	start(&f);
	struct password_check *checks[20];
	for (size_t i = 0; i < 20; i++)
		checks[i] = begin(&f, "right");
	/* The first one may be under way. */
	for (size_t i = 0; i < 20; i++)
		password_check_forget(&checks[i]);
	assert_null(checks[0]);
	password_check_forget(&checks[0]);
	assert_non_null(begin(&f, "wrong"));
	await_done(&f, 1);
	assert_int_equal(f.right, 0);
	stop(&f);
}

static void
test_check__queue_is_bounded(void **state)
{
	(void)state;
	struct fixture f;
	start(&f);
	struct password_check *checks[3 * PASSWORD_CHECKS_MAX];
	size_t begun = 0;
	for (size_t i = 0; i < 3 * PASSWORD_CHECKS_MAX; i++)
		begun += (checks[i] = begin(&f, "right")) != NULL;
	assert_true(begun >= PASSWORD_CHECKS_MAX);
	await_done(&f, (unsigned)begun);
	assert_int_equal(f.right, begun);
	stop(&f);
}

static void
test_free__with_checks_under_way(void **state)
{
	(void)state;
	struct fixture f;
	start(&f);
	struct password_check *checks[10];
	for (size_t i = 0; i < 10; i++)
		checks[i] = begin(&f, "right");
	for (size_t i = 0; i < 10; i++)
		password_check_forget(&checks[i]);
	stop(&f);
	assert_int_equal(f.right, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_hash_cost),
	    cmocka_unit_test(test_check__right_and_wrong),
	    cmocka_unit_test(test_check__forgotten),
	    cmocka_unit_test(test_check__queue_is_bounded),
	    cmocka_unit_test(test_free__with_checks_under_way),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
