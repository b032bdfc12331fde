/* SPDX-License-Identifier: MIT */
/*
 * Grace, rosters, and taking over a dead slot's members.
 * Deaths in the middle of it are in tests/crash.
 */
#include "harness.h"

#include "shm/recover.h"
#include "shm/rooms.h"
#include "shm/typing.h"

static bool is_there(struct shm *shm, int64_t conv, int64_t user, bool with_lingering)
{
	bool is_present = false;

	assert_int_equal(member_is_present(shm, 0, conv, user, with_lingering, &is_present), 0);
	return is_present;
}

static void test_grace(void **state)
{
	struct shm *shm = segment_opened(2);
	bool more;

	(void)state;
	(void)join(shm, 0, 1, 10);
	(void)leave(shm, 0, 1, 10, 5000);
	assert_int_equal(member_lingering(shm, 0), 1);
	assert_true(is_there(shm, 1, 10, true));
	assert_false(is_there(shm, 1, 10, false));
	assert_false(join(shm, 1, 1, 10)); /* back in time, elsewhere */
	assert_int_equal(member_expire(shm, 0, 4999, 10, NULL, NULL, &more), 0);
	assert_int_equal(member_expire(shm, 0, 5000, 10, NULL, NULL, &more), 1); /* tells nobody */
	assert_false(more);
	assert_int_equal(member_lingering(shm, 0), 0);
	assert_true(is_there(shm, 1, 10, false));
	segment_done(&shm);
}

static int64_t last_conv;

static void on_left(void *arg, int64_t conv, int64_t user, struct str name)
{
	on_person(arg, user, name);
	last_conv = conv;
}

static void test_departure_is_told_once_with_its_name(void **state)
{
	struct shm *shm = segment_opened(2);
	struct people p = {0};
	struct room_info i;
	bool more;

	(void)state;
	(void)join(shm, 0, 8, 10);
	(void)join(shm, 1, 8, 10);
	(void)leave(shm, 0, 8, 10, 100);
	(void)leave(shm, 1, 8, 10, 200);
	assert_int_equal(member_expire(shm, 0, 300, 10, on_left, &p, &more), 1);
	assert_int_equal(p.n, 0); /* the other slot's record lingers */
	assert_int_equal(member_expire(shm, 1, 300, 10, on_left, &p, &more), 1);
	assert_int_equal(p.n, 1);
	assert_int_equal(p.ids[0], 10);
	assert_int_equal(last_conv, 8);
	assert_string_equal(p.name, "user 10");
	assert_int_equal(room_read(shm, 0, 8, &i), -ERR_NOENT);
	segment_done(&shm);
}

static void test_budget(void **state)
{
	struct shm *shm = segment_opened(1);
	struct people p = {0};
	bool more = false;

	(void)state;
	for (int64_t u = 1; u <= 500; u++) {
		(void)join(shm, 0, 1 + u % 3, u);
		(void)leave(shm, 0, 1 + u % 3, u, 1000 + (uint64_t)u);
	}
	assert_int_equal(member_expire(shm, 0, 1250, 100, on_left, &p, &more), 100);
	assert_true(more);
	assert_int_equal(member_expire(shm, 0, 1250, 1000, on_left, &p, &more), 150);
	assert_false(more);
	assert_int_equal(member_lingering(shm, 0), 250);
	/* Far beyond one turn of the wheel. */
	assert_int_equal(member_expire(shm, 0, 90000000, 1000, on_left, &p, &more), 250);
	assert_int_equal(p.n, 500);
	segment_done(&shm);
}

static void test_deadlines_beyond_one_turn_wait(void **state)
{
	struct shm *shm = segment_opened(1);
	struct people p = {0};
	bool more;

	(void)state;
	(void)join(shm, 0, 1, 1);
	(void)leave(shm, 0, 1, 1, 600000);
	for (uint64_t now = 0; now < 600000; now += 50)
		assert_int_equal(member_expire(shm, 0, now, 10, on_left, &p, &more), 0);
	assert_int_equal(member_expire(shm, 0, 600000, 10, on_left, &p, &more), 1);
	segment_done(&shm);
}

static void test_roster_names_everybody_once(void **state)
{
	struct shm *shm = segment_opened(3);
	char name[SHM_NAME_MAX + 1] = {0};
	struct people p = {0};
	bool b;

	(void)state;
	memset(name, 'n', SHM_NAME_MAX);
	assert_int_equal(member_attach(shm, 0, 1, 999, str_of(name), &b), 0);
	assert_int_equal(roster_read(shm, 0, 1, on_person, &p), 1);
	assert_string_equal(p.name, name);
	for (unsigned s = 0; s < 3; s++)
		for (int64_t u = 1; u <= 100; u++)
			(void)join(shm, s, 1, u);
	(void)leave(shm, 1, 1, 50, 100000);
	p.n = 0;
	assert_int_equal(roster_read(shm, 0, 1, on_person, &p), 101);
	for (int64_t u = 1; u <= 100; u++)
		assert_true(has_person(&p, u));
	p.n = 0;
	assert_int_equal(roster_read(shm, 0, 2, on_person, &p), 0);
	segment_done(&shm);
}

struct nested {
	struct shm *shm;
	int inner;
};

static void on_outer(void *arg, int64_t user, struct str name)
{
	struct nested *n = arg;
	struct people p = {0};

	assert_memory_equal(name.p, "user ", 5);
	n->inner += roster_read(n->shm, 0, user + 100, on_person, &p);
	assert_memory_equal(name.p, "user ", 5); /* still there */
}

static void test_roster_inside_roster(void **state)
{
	struct shm *shm = segment_opened(1);
	struct nested n = {shm, 0};

	(void)state;
	for (int64_t u = 1; u <= 20; u++) {
		(void)join(shm, 0, 1, u);
		for (int64_t k = 1; k <= u; k++)
			(void)join(shm, 0, u + 100, k);
	}
	assert_int_equal(roster_read(shm, 0, 1, on_outer, &n), 20);
	assert_int_equal(n.inner, 20 * 21 / 2);
	segment_done(&shm);
}

static unsigned n_typing;

static void on_typing(void *arg, int64_t conv)
{
	(void)arg;
	assert_int_equal(conv, 1);
	n_typing++;
}

static void test_dropping_a_slot_can_be_repeated(void **state)
{
	struct shm *shm = segment_opened(3);
	struct room_info i;
	struct people p = {0};
	bool b, more;

	(void)state;
	(void)join(shm, 0, 1, 10); /* also here: stays */
	(void)join(shm, 1, 1, 10);
	(void)join(shm, 1, 1, 11); /* only there: lingers here */
	(void)join(shm, 1, 1, 11);
	(void)join(shm, 1, 1, 12);
	(void)leave(shm, 1, 1, 12, 200); /* lingers there */
	(void)join(shm, 0, 1, 13);
	(void)leave(shm, 0, 1, 13, 200); /* lingers here */
	(void)join(shm, 1, 1, 13);
	(void)join(shm, 2, 1, 14); /* elsewhere: not concerned */
	assert_int_equal(typing_set(shm, 1, 1, 11, STR("user 11"), 1000, &b), 0);
	assert_int_equal(presence_drop_slot(shm, 0, 1, 5000, on_typing, NULL), 4);
	assert_int_equal(n_typing, 1);
	assert_int_equal(presence_drop_slot(shm, 0, 1, 5000, on_typing, NULL), 0);
	assert_int_equal(n_typing, 1);
	assert_int_equal(room_read(shm, 0, 1, &i), 0);
	assert_int_equal(i.slots, 5);
	assert_int_equal(i.connections, 2);
	assert_int_equal(i.users, 5);
	assert_int_equal(i.typing, 0);
	assert_int_equal(shm_verify(shm, 0), 0);
	assert_int_equal(member_expire(shm, 0, 4999, 10, on_left, &p, &more), 0);
	assert_int_equal(member_expire(shm, 0, 5000, 10, on_left, &p, &more), 3);
	assert_int_equal(p.n, 3);
	assert_true(has_person(&p, 11) && has_person(&p, 12) && has_person(&p, 13));
	segment_done(&shm);
}

/* The room's bit for the slot and nothing else; it goes at once, and with a dead slot. */
static void test_a_watcher_is_a_target_only(void **state)
{
	struct shm *shm = segment_opened(2);
	struct people p = {0};
	struct room_info i;
	bool b, more;

	(void)state;
	assert_int_equal(member_attach(shm, 1, 7, 0, STR(""), &b), 0);
	assert_int_equal(member_attach(shm, 1, 7, 0, STR(""), &b), 0);
	assert_int_equal(room_read(shm, 0, 7, &i), 0);
	assert_int_equal(i.slots, 2);
	assert_int_equal(i.connections, 0);
	assert_int_equal(i.users, 0);
	assert_int_equal(roster_read(shm, 0, 7, on_person, &p), 0);
	assert_int_equal(shm_verify(shm, 0), 0);
	assert_true(join(shm, 0, 7, 10));
	assert_int_equal(shm_rebuild(shm, 0), 0);
	assert_int_equal(shm_verify(shm, 0), 0);
	assert_int_equal(room_read(shm, 0, 7, &i), 0);
	assert_int_equal(i.slots, 3);
	assert_int_equal(i.connections, 1);
	assert_int_equal(i.users, 1);
	assert_false(leave(shm, 1, 7, 0, 1000));
	assert_true(leave(shm, 1, 7, 0, 1000));
	assert_int_equal(member_detach(shm, 1, 7, 0, 1000, &b), -ERR_NOENT);
	assert_int_equal(room_read(shm, 0, 7, &i), 0);
	assert_int_equal(i.slots, 1);
	assert_int_equal(member_attach(shm, 1, 7, 0, STR(""), &b), 0);
	assert_int_equal(presence_drop_slot(shm, 0, 1, 5000, NULL, NULL), 1);
	assert_int_equal(room_read(shm, 0, 7, &i), 0);
	assert_int_equal(i.slots, 1);
	assert_int_equal(member_expire(shm, 0, 6000, 10, on_left, &p, &more), 0);
	segment_done(&shm);
}

static void test_pages_are_ascending_and_complete(void **state)
{
	struct shm *shm = segment_opened(2);
	int64_t users[300], after = 0;
	unsigned n = 0;
	int got;

	(void)state;
	for (int64_t u = 1; u <= 250; u++)
		/* every number below 251, in no order */
		(void)join(shm, u % 2, MEMBER_NODE, u * 37 % 251);
	for (int64_t u = 1; u <= 50; u++) {
		(void)join(shm, 0, MEMBER_NODE, u);
		(void)join(shm, 1, 9, u + 1000); /* elsewhere: not meant */
	}
	(void)leave(shm, 0, MEMBER_NODE, 3, 100000); /* lingers: still there */
	while ((got = roster_page(shm, 0, MEMBER_NODE, after, 60, users)) > 0) {
		for (int i = 0; i < got; i++)
			assert_int_equal(users[i], ++n);
		after = users[got - 1];
	}
	assert_int_equal(n, 250);
	assert_int_equal(roster_page(shm, 0, 12345, 0, 60, users), 0);
	segment_done(&shm);
}

static bool crowded(struct shm *shm, uint32_t limit)
{
	bool is_crowded = true;

	assert_int_equal(node_is_crowded(shm, 1, limit, &is_crowded), 0);
	return is_crowded;
}

static void test_crowded_with_hysteresis(void **state)
{
	struct shm *shm = segment_opened(2);

	(void)state;
	assert_false(crowded(shm, 20)); /* nobody */
	for (int64_t u = 1; u <= 19; u++)
		(void)join(shm, u % 2, MEMBER_NODE, u);
	assert_false(crowded(shm, 20));
	(void)join(shm, 1, MEMBER_NODE, 19); /* a second connection counts */
	assert_true(crowded(shm, 20));
	(void)leave(shm, 1, MEMBER_NODE, 1, 0);
	(void)leave(shm, 1, MEMBER_NODE, 3, 0);
	assert_true(crowded(shm, 20)); /* 18: not yet */
	(void)leave(shm, 1, MEMBER_NODE, 5, 0);
	assert_false(crowded(shm, 20));
	(void)join(shm, 1, MEMBER_NODE, 5);
	assert_false(crowded(shm, 20)); /* 18 again, from below */
	segment_done(&shm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_grace),
		cmocka_unit_test(test_departure_is_told_once_with_its_name),
		cmocka_unit_test(test_budget),
		cmocka_unit_test(test_deadlines_beyond_one_turn_wait),
		cmocka_unit_test(test_roster_names_everybody_once),
		cmocka_unit_test(test_roster_inside_roster),
		cmocka_unit_test(test_dropping_a_slot_can_be_repeated),
		cmocka_unit_test(test_a_watcher_is_a_target_only),
		cmocka_unit_test(test_pages_are_ascending_and_complete),
		cmocka_unit_test(test_crowded_with_hysteresis),
	};

	return cmocka_run_group_tests_name("presence", tests, NULL, NULL);
}
