/* SPDX-License-Identifier: MIT */
/*
 * Repairs: derived data is spoilt by hand, and must come back from the records.
 * Deaths that spoil it for real are in tests/crash.
 */
#include "harness.h"

#include "shm/recover.h"
#include "shm/rooms.h"
#include "shm/typing.h"

static void on_left(void *arg, int64_t conv, int64_t user, struct str name)
{
	(void)arg, (void)user, (void)name;
	assert_int_equal(conv, 7);
}

/* 30 rooms, 20 users, three slots, some lingering, some typing, some records freed. */
static struct shm *busy_segment(void)
{
	struct shm *shm = segment_opened(3);
	bool b, more;

	for (int64_t r = 1; r <= 30; r++)
		for (int64_t u = 1; u <= 20; u++)
			if ((r * u) % 3)
				(void)join(shm, (unsigned)(r + u) % 3, r, u);
	for (int64_t r = 1; r <= 30; r += 3)
		(void)leave(shm, (unsigned)(r + 1) % 3, r, 1, r == 7 ? 50 : 100000);
	for (int64_t r = 1; r <= 30; r++)
		CHECK(typing_set(shm, 0, r, 1 + r % 4, STR("t"), 5000, &b) == 0);
	CHECK(member_expire(shm, 2, 50, 100, on_left, NULL, &more) == 1); /* user 1 in room 7 */
	assert_int_equal(shm_verify(shm, 0), 0);
	return shm;
}

static void test_spoilt_rooms_come_back(void **state)
{
	struct shm *shm = busy_segment();
	struct room_info before, after;
	struct people p = {0}, q = {0};

	(void)state;
	assert_int_equal(room_read(shm, 0, 8, &before), 0);
	assert_true(roster_read(shm, 0, 8, on_person, &p) > 5);
	for (uint32_t i = 1; i <= pool_high(shm, POOL_ROOMS); i++) {
		struct shm_room *room = room_at(shm, i);

		room->members = room->typing = 0;
		room->n_users += 3;
		room->n_connections = 0;
		room->slots = 0;
		room->slot_members[1] = 77;
		room->rec.next = 0;
	}
	assert_int_equal(shm_verify(shm, 0), -ERR_CORRUPT);
	assert_int_equal(shm_rebuild(shm, 0), 0);
	assert_int_equal(shm_verify(shm, 0), 0);
	assert_int_equal(room_read(shm, 0, 8, &after), 0);
	assert_memory_equal(&before, &after, sizeof(before));
	assert_int_equal(roster_read(shm, 0, 8, on_person, &q), p.n);
	for (unsigned i = 0; i < p.n; i++)
		assert_true(has_person(&q, p.ids[i]));
	segment_done(&shm);
}

static void test_spoilt_chains_come_back(void **state)
{
	struct shm *shm = busy_segment();

	(void)state;
	memset(shm->buckets, 0, 4 * (size_t)shm->buckets_n);
	assert_int_equal(shm_verify(shm, 0), -ERR_CORRUPT);
	assert_int_equal(shm_rebuild(shm, 0), 0);
	segment_done(&shm);
}

static void test_spoilt_free_lists_come_back(void **state)
{
	struct shm *shm = busy_segment();
	uint32_t used = shm->pools[POOL_MEMBERS].used;

	(void)state;
	shm->pools[POOL_MEMBERS].free = 0;
	shm->pools[POOL_MEMBERS].used = 5;
	shm->pools[POOL_ROOMS].used++;
	assert_int_equal(shm_verify(shm, 0), -ERR_CORRUPT);
	assert_int_equal(shm_rebuild(shm, 0), 0);
	assert_int_equal(shm->pools[POOL_MEMBERS].used, used);
	segment_done(&shm);
}

static void test_claimed_records_are_freed(void **state)
{
	struct shm *shm = busy_segment();
	uint32_t idx;

	(void)state;
	assert_int_equal(pool_get(shm, 0, POOL_MEMBERS, 8, &idx), 0); /* half an attach */
	assert_int_equal(pool_get(shm, 0, POOL_USERS, 4711, &idx), 0);
	assert_int_equal(pool_get(shm, 0, POOL_NAMES, 4711, &idx), 0);
	assert_int_equal(pool_get(shm, 0, POOL_ROOMS, 4711, &idx), 0);
	assert_int_equal(shm_verify(shm, 0), -ERR_CORRUPT);
	assert_int_equal(shm_rebuild(shm, 0), 0);
	segment_done(&shm);
}

static void test_leaked_references_are_settled(void **state)
{
	struct shm *shm = busy_segment();
	uint32_t idx;

	(void)state;
	assert_int_equal(user_ref(shm, 0, 3, STR("x"), &idx), 0);
	assert_int_equal(user_ref(shm, 0, 4711, STR("nobody's"), &idx), 0);
	assert_int_equal(shm_verify(shm, 0), -ERR_CORRUPT);
	assert_int_equal(shm_rebuild(shm, 0), 0);
	segment_done(&shm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spoilt_rooms_come_back),
		cmocka_unit_test(test_spoilt_chains_come_back),
		cmocka_unit_test(test_spoilt_free_lists_come_back),
		cmocka_unit_test(test_claimed_records_are_freed),
		cmocka_unit_test(test_leaked_references_are_settled),
	};

	return cmocka_run_group_tests_name("repair", tests, NULL, NULL);
}
