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
	char hash[PASSWORD_HASH_LEN + 1]; /* of "right", with cost 4 */
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
	f->checker = password_checker_new(f->loop, on_done, f);
	struct crypt_data data = {0};
	strcpy(f->hash, crypt_r("right", "$2b$04$abcdefghijklmnopqrstuu", &data));
}

static void
stop(struct fixture *f)
{
	password_checker_free(&f->checker);
	assert_null(f->checker);
	ev_loop_destroy(f->loop);
}

static bool
check(struct fixture *f, const char *password, uint32_t costs)
{
	unsigned right = f->right, before = right + f->wrong;
	password_check(f->checker, f->hash, span_text(password), costs);
	while (f->right + f->wrong == before)
		ev_run(f->loop, EVRUN_ONCE);
	return f->right > right;
}

static void
test_check__right_and_wrong(void **state)
{
	(void)state;
	static const struct {
		const char *password;
		bool is_right;
	} rows[] = {
	    {"right", true}, {"wrong", false}, {"", false}, {"right ", false}, {"right", true},
	};
	struct fixture f;
	start(&f);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		assert_int_equal(check(&f, rows[i].password, 1u << 4), rows[i].is_right);
		assert_int_equal(check(&f, rows[i].password, 1u << 4 | 1u << 5), rows[i].is_right);
	}
	stop(&f);
}

/* What comes of it is the answer of its own hash, also when the hash of no password is meant. */
static void
test_check__hash_of_nothing(void **state)
{
	(void)state;
	struct fixture f;
	start(&f);
	memset(f.hash + 7, '.', PASSWORD_HASH_LEN - 7);
	assert_false(check(&f, "", 1u << 4));
	assert_false(check(&f, "right", 1u << 4 | 1u << 6));
	stop(&f);
}

static void
test_free__with_a_check_under_way(void **state)
{
	(void)state;
	struct fixture f;
	start(&f);
	password_check(f.checker, f.hash, SPAN("right"), 1u << 4);
	stop(&f);
	assert_int_equal(f.right + f.wrong, 0);
}

static void
test_free__of_none(void **state)
{
	(void)state;
	struct password_checker *none = NULL;
	password_checker_free(&none);
	assert_null(none);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_hash_cost),
	    cmocka_unit_test(test_check__right_and_wrong),
	    cmocka_unit_test(test_check__hash_of_nothing),
	    cmocka_unit_test(test_free__with_a_check_under_way),
	    cmocka_unit_test(test_free__of_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
