#include "test.h"

#include "http/turns.h"
#include "neighbour.h"

#define WAITING_MAX 64
#define ENOUGH (WAITING_MAX + 2)

struct fixture {
	struct turns turns;
	struct turn all[ENOUGH];
	char names[ENOUGH]; /* of who owns them */
	size_t count;
};

static void
start(struct fixture *f)
{
	*f = (struct fixture){0};
	turns_init(&f->turns, WAITING_MAX);
}

/* @name what to call it */
static void
add_client(struct fixture *f, struct address_group client, char name)
{
	f->names[f->count] = name;
	f->all[f->count] = turn_new(client, &f->names[f->count]);
	turns_wait(&f->turns, &f->all[f->count++]);
}

static struct address_group
client_of_letter(char name)
{
	return (struct address_group){.family = AF_UNIX, .id = (uint64_t)name};
}

/* @name a letter for each client */
static void
add(struct fixture *f, char name)
{
	add_client(f, client_of_letter(name), name);
}

static void
test_next__clients_take_turns(void **state)
{
	(void)state;
	static const struct {
		const char *come, *served;
	} rows[] = {
	    {"", ""},
	    {"a", "a"},
	    {"abc", "abc"},
	    {"aaab", "abaa"},
	    {"aaabbbc", "abcabab"},
	    {"aaaaaaaaaaedcb", "aedcbaaaaaaaaa"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct fixture f;
		start(&f);
		for (const char *name = rows[i].come; *name; name++)
			add(&f, *name);
		char served[ENOUGH] = "";
		struct turn *turn;
		for (size_t j = 0; (turn = turns_next(&f.turns)); j++) {
			turns_leave(&f.turns, turn);
			turns_note(&f.turns, turn);
			served[j] = *(char *)turn->owner;
		}
		assert_string_equal(served, rows[i].served);
		assert_int_equal(f.turns.requests, 0);
	}
}

/* Who had a turn without waiting had it all the same. */
static void
test_next__after_a_turn_without_waiting(void **state)
{
	(void)state;
	struct fixture f;
	start(&f);
	add(&f, 'a');
	add(&f, 'b');
	turns_note(&f.turns, &f.all[0]);
	assert_ptr_equal(turns_next(&f.turns), &f.all[1]);
}

static void
test_next__of_one_client_in_their_order(void **state)
{
	(void)state;
	struct fixture f;
	start(&f);
	for (size_t i = 0; i < 3; i++)
		add(&f, 'a');
	turns_leave(&f.turns, &f.all[0]);
	assert_ptr_equal(turns_next(&f.turns), &f.all[1]);
}

static void
test_excess__last_of_the_client_with_the_most(void **state)
{
	(void)state;
	static const struct {
		const char *first; /* then as many of 'a' as make them full */
		const char *then;
		size_t excess; /* index */
	} rows[] = {
	    {"", "a", WAITING_MAX},
	    {"", "b", WAITING_MAX - 1},
	    {"bbb", "b", WAITING_MAX - 1},
	    {"bbb", "c", WAITING_MAX - 1},
	    /* As many of each: who came last. */
	    {"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", "b", WAITING_MAX},
	    {"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", "a", WAITING_MAX},
	    {"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", "c", WAITING_MAX - 1},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct fixture f;
		start(&f);
		for (const char *name = rows[i].first; *name; name++)
			add(&f, *name);
		while (f.count < WAITING_MAX)
			add(&f, 'a');
		assert_null(turns_excess(&f.turns));
		add(&f, *rows[i].then);
		assert_ptr_equal(turns_excess(&f.turns), &f.all[rows[i].excess]);
		turns_leave(&f.turns, turns_excess(&f.turns));
		assert_null(turns_excess(&f.turns));
	}
}

/* Slots are few: a client that meets another in one of its own is not taken for that one. */
static void
test_clients__that_meet(void **state)
{
	(void)state;
	for (size_t row = 0; row < ADDRESS_ROWS; row++) {
		struct fixture f;
		start(&f);
		while (f.count < WAITING_MAX)
			add(&f, 'a');
		add_client(&f, neighbour_of(client_of_letter('a'), row, TURNS_SLOTS), 'n');
		assert_ptr_equal(turns_excess(&f.turns), &f.all[WAITING_MAX - 1]);
		turns_note(&f.turns, &f.all[0]);
		assert_ptr_equal(turns_next(&f.turns), &f.all[WAITING_MAX]);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_next__clients_take_turns),
	    cmocka_unit_test(test_next__after_a_turn_without_waiting),
	    cmocka_unit_test(test_next__of_one_client_in_their_order),
	    cmocka_unit_test(test_excess__last_of_the_client_with_the_most),
	    cmocka_unit_test(test_clients__that_meet),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
