/* SPDX-License-Identifier: MIT */
/*
 * Users: names of the first attach, presence state, references per slot.
 * What keeps them is tested in test_members.c and test_typing.c.
 */
#include "harness.h"

#include "shm/users.h"

static void on_left(void *arg, int64_t conv, int64_t user, struct str name)
{
	(void)arg, (void)conv, (void)user, (void)name;
}

static void test_user_lives_as_long_as_it_is_somewhere(void **state)
{
	struct shm *shm = segment_opened(3);
	struct user_info i;
	bool more;

	(void)state;
	assert_int_equal(user_read(shm, 0, 10, &i), -ERR_NOENT);
	(void)join(shm, 0, 1, 10);
	(void)join(shm, 0, 1, 10); /* the same record */
	(void)join(shm, 0, 2, 10);
	(void)join(shm, 2, 1, 10);
	assert_int_equal(user_read(shm, 0, 10, &i), 0);
	assert_int_equal(i.records, 3);
	assert_int_equal(i.slots, 5);
	assert_string_equal(i.name, "user 10");
	assert_int_equal(i.name_len, 7);
	(void)leave(shm, 2, 1, 10, 100);
	(void)leave(shm, 0, 2, 10, 100);
	assert_int_equal(member_expire(shm, 2, 100, 10, on_left, NULL, &more), 1);
	assert_int_equal(member_expire(shm, 0, 100, 10, on_left, NULL, &more), 1);
	assert_int_equal(user_read(shm, 0, 10, &i), 0);
	assert_int_equal(i.records, 1);
	assert_int_equal(i.slots, 1);
	(void)leave(shm, 0, 1, 10, 100);
	(void)leave(shm, 0, 1, 10, 100);
	assert_int_equal(member_expire(shm, 0, 100, 10, on_left, NULL, &more), 1);
	assert_int_equal(user_read(shm, 0, 10, &i), -ERR_NOENT);
	segment_done(&shm);
}

static void expect_name(struct shm *shm, int64_t user, size_t len)
{
	char name[SHM_NAME_MAX];
	struct user_info i;
	bool b, more;

	memset(name, 'a' + (int)(len % 26), len);
	assert_int_equal(member_attach(shm, 0, 1, user, (struct str){name, len}, &b), 0);
	assert_int_equal(member_attach(shm, 1, 1, user, STR("second name"), &b), 0);
	assert_int_equal(user_read(shm, 0, user, &i), 0);
	assert_int_equal(i.name_len, len);
	assert_memory_equal(i.name, name, len);
	assert_int_equal(i.name[len], '\0');
	assert_int_equal(shm_geometry(shm)->users_max, 1000);
	(void)leave(shm, 0, 1, user, 0);
	(void)leave(shm, 1, 1, user, 0);
	assert_int_equal(member_expire(shm, 0, 1, 10, on_left, NULL, &more), 1);
	assert_int_equal(member_expire(shm, 1, 1, 10, on_left, NULL, &more), 1);
	assert_int_equal(shm->pools[POOL_NAMES].used, 0);
}

static void test_names_of_every_length(void **state)
{
	struct shm *shm = segment_opened(2);

	(void)state;
	for (size_t len = 1; len <= SHM_NAME_MAX; len++)
		expect_name(shm, (int64_t)len, len);
	segment_done(&shm);
}

static void test_presence_and_activity(void **state)
{
	struct shm *shm = segment_opened(1);
	struct user_info i;
	bool changed;

	(void)state;
	assert_int_equal(user_presence_set(shm, 0, 10, USER_AWAY, &changed), -ERR_NOENT);
	assert_int_equal(user_touch(shm, 0, 10, 5), -ERR_NOENT);
	(void)join(shm, 0, 1, 10);
	assert_int_equal(user_presence_set(shm, 0, 10, USER_AWAY, &changed), 0);
	assert_true(changed);
	assert_int_equal(user_presence_set(shm, 0, 10, USER_AWAY, &changed), 0);
	assert_false(changed);
	assert_int_equal(user_presence_set(shm, 0, 10, USER_INVISIBLE + 1, &changed), -ERR_INVAL);
	assert_int_equal(user_touch(shm, 0, 10, 500), 0);
	assert_int_equal(user_touch(shm, 0, 10, 400), 0);
	assert_int_equal(user_read(shm, 0, 10, &i), 0);
	assert_int_equal(i.presence, USER_AWAY);
	assert_int_equal(i.active_ms, 500);
	segment_done(&shm);
}

static void test_online_in_bulk(void **state)
{
	struct shm *shm = segment_opened(1);
	int64_t users[] = {1, 2, 3};
	bool online[3];

	(void)state;
	(void)join(shm, 0, 1, 1);
	(void)join(shm, 0, 1, 3);
	assert_int_equal(user_online_bulk(shm, 0, users, 3, online), 0);
	assert_true(online[0] && !online[1] && online[2]);
	segment_done(&shm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_user_lives_as_long_as_it_is_somewhere),
		cmocka_unit_test(test_names_of_every_length),
		cmocka_unit_test(test_presence_and_activity),
		cmocka_unit_test(test_online_in_bulk),
	};

	return cmocka_run_group_tests_name("users", tests, NULL, NULL);
}
