/* SPDX-License-Identifier: MIT */
/*
 * Typing marks: set, renewed, cleared, expired, read.
 * Their fall with a dead slot is in test_presence.c and tests/crash.
 */
#include "harness.h"

#include "shm/rooms.h"
#include "shm/typing.h"

static bool set(struct shm *shm, unsigned slot, int64_t conv, int64_t user, uint64_t until)
{
	bool changed = false;

	assert_int_equal(typing_set(shm, slot, conv, user, STR("writer"), until, &changed), 0);
	return changed;
}

static bool clear(struct shm *shm, unsigned slot, int64_t conv, int64_t user)
{
	bool changed = true;

	assert_int_equal(typing_clear(shm, slot, conv, user, &changed), 0);
	return changed;
}

static void test_set_is_changed_by_the_first_and_the_last_mark(void **state)
{
	struct shm *shm = segment_opened(2);
	struct people p = {0};

	(void)state;
	(void)join(shm, 0, 1, 10);
	assert_true(set(shm, 0, 1, 10, 1000));
	assert_false(set(shm, 0, 1, 10, 2000)); /* renewed */
	assert_false(set(shm, 1, 1, 10, 1500)); /* the user's other device */
	assert_true(set(shm, 1, 1, 11, 1500));
	assert_int_equal(typing_read(shm, 0, 1, 100, on_person, &p), 2);
	assert_int_equal(p.ids[0], 10); /* oldest first */
	assert_int_equal(p.ids[1], 11);
	assert_string_equal(p.name, "writer");
	assert_false(clear(shm, 0, 1, 10));
	assert_true(clear(shm, 1, 1, 10));
	assert_false(clear(shm, 1, 1, 10));
	assert_true(clear(shm, 1, 1, 11));
	assert_int_equal(typing_read(shm, 0, 1, 100, on_person, &p), 0);
	segment_done(&shm);
}

static void test_marks_end_by_themselves(void **state)
{
	struct shm *shm = segment_opened(1);
	struct people p = {0};

	(void)state;
	(void)join(shm, 0, 1, 10);
	(void)set(shm, 0, 1, 10, 1000);
	(void)set(shm, 0, 1, 11, 1200);
	assert_int_equal(typing_read(shm, 0, 1, 999, on_person, &p), 2);
	assert_int_equal(typing_read(shm, 0, 1, 1000, on_person, &p), 1);
	assert_int_equal(typing_read(shm, 0, 1, 1200, on_person, &p), 0);
	(void)clear(shm, 0, 1, 10);
	(void)clear(shm, 0, 1, 11);
	segment_done(&shm);
}

static unsigned n_changed;

static void on_changed(void *arg, int64_t conv)
{
	(void)arg;
	assert_int_equal(conv, 1);
	n_changed++;
}

static void test_expiry(void **state)
{
	struct shm *shm = segment_opened(2);
	bool more;

	(void)state;
	(void)join(shm, 0, 1, 10);
	(void)set(shm, 0, 1, 10, 1000);
	(void)set(shm, 0, 1, 11, 3000);
	(void)set(shm, 0, 1, 10, 2000); /* renewed in time */
	(void)set(shm, 1, 1, 10, 5000);
	assert_int_equal(typing_expire(shm, 0, 1500, 10, on_changed, NULL, &more), 0);
	assert_int_equal(typing_expire(shm, 0, 2000, 10, on_changed, NULL, &more), 1);
	assert_int_equal(n_changed, 0); /* slot 1 still shows the user */
	assert_int_equal(typing_expire(shm, 0, 3000, 10, on_changed, NULL, &more), 1);
	assert_int_equal(n_changed, 1);
	assert_int_equal(typing_expire(shm, 1, 5000, 10, on_changed, NULL, &more), 1);
	assert_int_equal(n_changed, 2);
	assert_false(more);
	segment_done(&shm);
}

static void test_rooms_without_members_keep_no_marks(void **state)
{
	struct shm *shm = segment_opened(1);
	struct room_info i;

	(void)state;
	assert_false(set(shm, 0, 1, 10, 1000));
	assert_int_equal(room_read(shm, 0, 1, &i), -ERR_NOENT);
	segment_done(&shm);
}

static void on_left(void *arg, int64_t conv, int64_t user, struct str name)
{
	(void)arg, (void)conv, (void)user, (void)name;
}

static void test_mark_outlives_the_last_member(void **state)
{
	struct shm *shm = segment_opened(1);
	struct people p = {0};
	struct room_info i;
	bool more;

	(void)state;
	(void)join(shm, 0, 1, 10);
	(void)set(shm, 0, 1, 10, 1000);
	(void)leave(shm, 0, 1, 10, 0);
	assert_int_equal(member_expire(shm, 0, 1, 10, on_left, NULL, &more), 1);
	assert_int_equal(typing_read(shm, 0, 1, 1, on_person, &p), 1);
	assert_string_equal(p.name, "user 10"); /* the mark keeps the user */
	assert_int_equal(room_read(shm, 0, 1, &i), 0);
	assert_int_equal(i.typing, 1);
	assert_true(clear(shm, 0, 1, 10));
	assert_int_equal(room_read(shm, 0, 1, &i), -ERR_NOENT);
	segment_done(&shm);
}

static void test_bad_calls_and_full_table(void **state)
{
	struct shm *shm = segment_opened(1);
	bool b;

	(void)state;
	assert_int_equal(typing_set(shm, 0, 0, 1, STR("x"), 1, &b), -ERR_INVAL);
	assert_int_equal(typing_set(shm, 0, 1, 0, STR("x"), 1, &b), -ERR_INVAL);
	assert_int_equal(typing_set(shm, 0, 1, 1, STR(""), 1, &b), -ERR_INVAL);
	for (int64_t room = 1; room <= 2; room++)
		(void)join(shm, 0, room, 1);
	for (int64_t user = 1; user <= 500; user++) {
		assert_true(set(shm, 0, 1, user, 1000));
		assert_true(set(shm, 0, 2, user, 1000));
	}
	assert_int_equal(typing_set(shm, 0, 1, 501, STR("x"), 1, &b), -ERR_FULL);
	segment_done(&shm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_set_is_changed_by_the_first_and_the_last_mark),
		cmocka_unit_test(test_marks_end_by_themselves),
		cmocka_unit_test(test_expiry),
		cmocka_unit_test(test_rooms_without_members_keep_no_marks),
		cmocka_unit_test(test_mark_outlives_the_last_member),
		cmocka_unit_test(test_bad_calls_and_full_table),
	};

	return cmocka_run_group_tests_name("typing", tests, NULL, NULL);
}
