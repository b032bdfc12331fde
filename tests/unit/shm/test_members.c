/* SPDX-License-Identifier: MIT */
/*
 * Attaching and detaching: single steps, limits, and a random walk against a plain model.
 * Grace and rosters are in test_presence.c.
 */
#include "harness.h"

#include "shm/recover.h"
#include "shm/rooms.h"

static void test_first_and_last(void **state)
{
	struct shm *shm = segment_opened(2);

	(void)state;
	assert_true(join(shm, 0, 1, 10));
	assert_false(join(shm, 0, 1, 10));
	assert_false(join(shm, 1, 1, 10)); /* another slot's connection of the same user */
	assert_true(join(shm, 1, 1, 11));
	assert_true(join(shm, 1, 2, 10)); /* another room */
	assert_false(leave(shm, 0, 1, 10, 0));
	assert_true(leave(shm, 0, 1, 10, 0));
	assert_true(leave(shm, 1, 1, 10, 0));
	segment_done(&shm);
}

static void test_targets_follow_live_members(void **state)
{
	struct shm *shm = segment_opened(3);
	struct room_info i;

	(void)state;
	(void)join(shm, 0, 1, 10);
	(void)join(shm, 2, 1, 10);
	(void)join(shm, 2, 1, 11);
	assert_int_equal(room_read(shm, 0, 1, &i), 0);
	assert_int_equal(i.slots, 5);
	assert_int_equal(i.connections, 3);
	assert_int_equal(i.users, 2);
	(void)leave(shm, 2, 1, 10, 1000);
	assert_int_equal(room_read(shm, 0, 1, &i), 0);
	assert_int_equal(i.slots, 5);
	(void)leave(shm, 2, 1, 11, 1000);
	assert_int_equal(room_read(shm, 0, 1, &i), 0);
	assert_int_equal(i.slots, 1);
	assert_int_equal(i.connections, 1);
	assert_int_equal(i.users, 2); /* one lingers */
	(void)join(shm, 2, 1, 11);
	assert_int_equal(room_read(shm, 0, 1, &i), 0);
	assert_int_equal(i.slots, 5);
	segment_done(&shm);
}

static void test_bad_calls(void **state)
{
	struct shm *shm = segment_opened(1);
	char name[SHM_NAME_MAX + 1];
	bool b;

	(void)state;
	memset(name, 'n', sizeof(name));
	assert_int_equal(member_attach(shm, 0, 0, 1, STR("x"), &b), -ERR_INVAL);
	assert_int_equal(member_attach(shm, 0, 1, -1, STR("x"), &b), -ERR_INVAL);
	assert_int_equal(member_attach(shm, 0, 1, 1, STR(""), &b), -ERR_INVAL);
	assert_int_equal(member_attach(shm, 0, 1, 1, (struct str){name, sizeof(name)}, &b),
			 -ERR_INVAL);
	assert_int_equal(member_detach(shm, 0, 1, 1, 0, &b), -ERR_NOENT);
	(void)join(shm, 0, 1, 1);
	assert_int_equal(member_detach(shm, 0, 1, 2, 0, &b), -ERR_NOENT);
	(void)leave(shm, 0, 1, 1, 1000);
	assert_int_equal(member_detach(shm, 0, 1, 1, 0, &b), -ERR_NOENT); /* it only lingers */
	segment_done(&shm);
}

static void on_left(void *arg, int64_t conv, int64_t user, struct str name)
{
	(void)arg, (void)name;
	assert_int_equal(conv, 1);
	assert_int_equal(user, 2);
}

static void test_full_tables_refuse_and_recover(void **state)
{
	struct shm_geometry geo = {.n_slots = 1,
				   .rooms_max = 64,
				   .members_max = 100,
				   .users_max = 64,
				   .typing_max = 64,
				   .ring_bytes = 65536};
	struct shm_usage u;
	struct shm *shm;
	bool b, more;

	(void)state;
	assert_int_equal(shm_create(&geo, &shm), 0);
	(void)slot_enter(shm, 0);
	for (int64_t i = 1; i <= 64; i++)
		(void)join(shm, 0, i, i);
	assert_int_equal(member_attach(shm, 0, 65, 1, STR("x"), &b), -ERR_FULL); /* rooms */
	assert_int_equal(member_attach(shm, 0, 1, 65, STR("x"), &b), -ERR_FULL); /* users */
	for (int64_t i = 2; i <= 37; i++)
		(void)join(shm, 0, 1, i);
	assert_int_equal(member_attach(shm, 0, 1, 38, STR("x"), &b), -ERR_FULL); /* members */
	shm_usage(shm, &u);
	assert_int_equal(u.members, 100);
	assert_int_equal(u.users, 64);
	assert_int_equal(shm_verify(shm, 0), 0);
	(void)leave(shm, 0, 1, 2, 0);
	assert_int_equal(member_expire(shm, 0, 1000, 10, on_left, NULL, &more), 1);
	assert_true(join(shm, 0, 1, 38));
	segment_done(&shm);
}

static void test_closed_room_refuses(void **state)
{
	struct shm *shm = segment_opened(1);
	bool b;

	(void)state;
	assert_int_equal(room_mark_closed(shm, 0, 1), -ERR_NOENT);
	(void)join(shm, 0, 1, 10);
	assert_int_equal(room_mark_closed(shm, 0, 1), 0);
	assert_int_equal(member_attach(shm, 0, 1, 11, STR("x"), &b), -ERR_CLOSED);
	assert_true(leave(shm, 0, 1, 10, 0));
	segment_done(&shm);
}

#define SLOTS 3
#define ROOMS 5
#define USERS 6
#define STEPS 200000

/* The model: connections, and the deadline of what lingers (0 = nothing there). */
static unsigned model[SLOTS][ROOMS][USERS];
static uint64_t until[SLOTS][ROOMS][USERS];

static bool model_has(unsigned room, unsigned user)
{
	for (unsigned s = 0; s < SLOTS; s++)
		if (model[s][room][user] || until[s][room][user])
			return true;
	return false;
}

static void model_left(void *arg, int64_t conv, int64_t user, struct str name)
{
	unsigned *n = arg;

	(void)name;
	assert_false(model_has((unsigned)conv - 1, (unsigned)user - 1));
	++*n;
}

static void model_expire(struct shm *shm, unsigned slot, uint64_t now)
{
	bool had[ROOMS][USERS], more;
	unsigned due = 0, gone = 0, told = 0;

	for (unsigned r = 0; r < ROOMS; r++)
		for (unsigned u = 0; u < USERS; u++) {
			had[r][u] = model_has(r, u);
			if (until[slot][r][u] && until[slot][r][u] <= now) {
				until[slot][r][u] = 0;
				due++;
			}
			gone += had[r][u] && !model_has(r, u);
		}
	assert_int_equal(member_expire(shm, slot, now, 1000, model_left, &told, &more), due);
	assert_int_equal(told, gone);
	assert_false(more);
}

static void model_compare(struct shm *shm)
{
	for (unsigned r = 0; r < ROOMS; r++) {
		uint32_t connections, users, want_connections = 0, want_users = 0;
		struct people p = {0};

		for (unsigned u = 0; u < USERS; u++) {
			want_users += model_has(r, u);
			for (unsigned s = 0; s < SLOTS; s++)
				want_connections += model[s][r][u];
		}
		assert_int_equal(room_counts(shm, 0, r + 1, &connections, &users), 0);
		assert_int_equal(connections, want_connections);
		assert_int_equal(users, want_users);
		assert_int_equal(roster_read(shm, 0, r + 1, on_person, &p), want_users);
		for (unsigned u = 0; u < USERS; u++)
			assert_true(has_person(&p, u + 1) == model_has(r, u));
	}
}

static void test_random_walk(void **state)
{
	struct shm *shm = segment_opened(SLOTS);
	uint64_t now = 1000000;
	uint32_t x = 12345; /* always the same walk */

	(void)state;
	for (unsigned i = 0; i < STEPS; i++) {
		unsigned s, r, u;

		x = x * 1664525 + 1013904223;
		s = x >> 24 & 0xff, s %= SLOTS, r = (x >> 16 & 0xff) % ROOMS,
		u = (x >> 8 & 0xff) % USERS;
		now += x >> 28;
		if (x % 7 < 3) {
			assert_true(join(shm, s, r + 1, u + 1) == !model_has(r, u));
			model[s][r][u]++;
			until[s][r][u] = 0;
		} else if (model[s][r][u]) {
			uint64_t end = now + (x >> 20) % 20000;

			assert_true(leave(shm, s, r + 1, u + 1, end) == (model[s][r][u] == 1));
			if (!--model[s][r][u])
				until[s][r][u] = end;
		}
		if (x % 11 == 0)
			model_expire(shm, s, now);
		if (i % 1000 == 0) {
			model_compare(shm);
			assert_int_equal(shm_verify(shm, 0), 0);
		}
	}
	segment_done(&shm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_and_last),
		cmocka_unit_test(test_targets_follow_live_members),
		cmocka_unit_test(test_bad_calls),
		cmocka_unit_test(test_full_tables_refuse_and_recover),
		cmocka_unit_test(test_closed_room_refuses),
		cmocka_unit_test(test_random_walk),
	};

	return cmocka_run_group_tests_name("members", tests, NULL, NULL);
}
