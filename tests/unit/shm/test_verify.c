/* SPDX-License-Identifier: MIT */
/*
 * The verifier itself: each kind of damage is noticed.
 * Mending it is tested in test_repair.c.
 */
#include "harness.h"

#include "shm/recover.h"

/* Spoils VAR, expects to be found out, puts it right again. */
#define EXPECT_NOTICED(shm, var)                                      \
	do {                                                          \
		(var)++;                                              \
		assert_int_equal(shm_verify((shm), 0), -ERR_CORRUPT); \
		(var)--;                                              \
		assert_int_equal(shm_verify((shm), 0), 0);            \
	} while (0)

static void test_damage_is_noticed(void **state)
{
	struct shm *shm = segment_opened(2);
	struct shm_entry *e;
	struct shm_room *room;
	struct shm_user *user;

	(void)state;
	for (int64_t u = 1; u <= 5; u++)
		(void)join(shm, u % 2, 1, u);
	room = room_at(shm, 1);
	e = entry_at(shm, POOL_MEMBERS, 2);
	user = user_at(shm, 2);
	EXPECT_NOTICED(shm, room->n_users);
	EXPECT_NOTICED(shm, room->n_records);
	EXPECT_NOTICED(shm, room->n_connections);
	EXPECT_NOTICED(shm, room->n_typing);
	EXPECT_NOTICED(shm, room->slot_members[0]);
	EXPECT_NOTICED(shm, room->members);
	EXPECT_NOTICED(shm, room->slots);
	EXPECT_NOTICED(shm, e->count);
	EXPECT_NOTICED(shm, e->user);
	EXPECT_NOTICED(shm, e->user_idx);
	EXPECT_NOTICED(shm, e->room_next);
	EXPECT_NOTICED(shm, e->is_primary);
	EXPECT_NOTICED(shm, user->refs[1]);
	EXPECT_NOTICED(shm, shm->pools[POOL_USERS].used);
	EXPECT_NOTICED(shm, shm->pools[POOL_NAMES].used);
	segment_done(&shm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_damage_is_noticed),
	};

	return cmocka_run_group_tests_name("verify", tests, NULL, NULL);
}
