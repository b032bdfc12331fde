/* SPDX-License-Identifier: MIT */
/*
 * Rooms as others see them: appearing, counting, listing, going.
 * Attaching is tested in test_members.c.
 */
#include "harness.h"

#include "shm/ring.h"
#include "shm/rooms.h"

static void on_left(void *arg, int64_t conv, int64_t user, struct str name)
{
	(void)arg, (void)name;
	assert_int_equal(conv, 5);
	assert_int_equal(user, 1);
}

static void test_room_comes_and_goes(void **state)
{
	struct shm *shm = segment_opened(1);
	struct room_info i;
	uint32_t connections = 9, users = 9;
	bool more;

	(void)state;
	assert_int_equal(room_read(shm, 0, 5, &i), -ERR_NOENT);
	assert_int_equal(room_counts(shm, 0, 5, &connections, &users), 0);
	assert_int_equal(connections + users, 0);
	assert_int_equal(room_publish_rev(shm, 0, 5, 3), 0); /* nobody to remember it for */
	(void)join(shm, 0, 5, 1);
	assert_int_equal(room_read(shm, 0, 5, &i), 0);
	assert_int_equal(i.published_rev, 0);
	assert_int_equal(i.newest, 0);
	assert_false(i.is_closed);
	(void)leave(shm, 0, 5, 1, 0);
	assert_int_equal(room_read(shm, 0, 5, &i), 0); /* it lingers */
	assert_int_equal(member_expire(shm, 0, 1, 10, on_left, NULL, &more), 1);
	assert_int_equal(room_read(shm, 0, 5, &i), -ERR_NOENT);
	segment_done(&shm);
}

static void test_counts_in_bulk(void **state)
{
	struct shm *shm = segment_opened(1);
	int64_t convs[] = {3, 404, 1, 2};
	uint32_t users[4];

	(void)state;
	for (int64_t room = 1; room <= 3; room++)
		for (int64_t user = 1; user <= room * 10; user++)
			(void)join(shm, 0, room, user);
	assert_int_equal(room_users_bulk(shm, 0, convs, 4, users), 0);
	assert_int_equal(users[0], 30);
	assert_int_equal(users[1], 0);
	assert_int_equal(users[2], 10);
	assert_int_equal(users[3], 20);
	segment_done(&shm);
}

struct seen {
	unsigned n;
	int64_t sum;
	int stop_at;
};

static int on_room(void *arg, int64_t conv, const struct room_info *info)
{
	struct seen *s = arg;

	s->n++;
	s->sum += conv;
	assert_int_equal(info->connections, 1);
	return (int)s->n == s->stop_at ? 42 : 0;
}

static void test_listing(void **state)
{
	struct shm *shm = segment_opened(1);
	struct seen s = {0};

	(void)state;
	for (int64_t room = 1; room <= 500; room++)
		(void)join(shm, 0, room, room);
	assert_int_equal(room_each(shm, 0, on_room, &s), 0);
	assert_int_equal(s.n, 500);
	assert_int_equal(s.sum, 500 * 501 / 2);
	s = (struct seen){.stop_at = 3};
	assert_int_equal(room_each(shm, 0, on_room, &s), 42);
	assert_int_equal(s.n, 3);
	segment_done(&shm);
}

static void publish(struct shm *shm, unsigned me, int64_t rev)
{
	uint64_t wake;

	ring_publish_begin(shm, me);
	assert_int_equal(ring_publish_add(shm, me, 5, rev, 0, "x", 1, NULL), 0);
	assert_int_equal(ring_publish_end(shm, me, &wake), 0);
}

/* Whoever follows from the head on must be sent everything after it: shm/rooms.h. */
static void test_head(void **state)
{
	struct shm *shm = segment_opened(2);
	int64_t rev = 0, seq = 0;
	uint64_t wake;

	(void)state;
	assert_int_equal(room_note_head(shm, 0, 5, 7, 6), 0); /* nobody is there */
	(void)join(shm, 0, 5, 1);
	assert_int_equal(room_head(shm, 0, 5, &rev, &seq), -ERR_NOENT);
	assert_int_equal(room_note_head(shm, 0, 5, 0, 0), 0); /* an empty log is known too */
	assert_int_equal(room_head(shm, 0, 5, &rev, &seq), 0);
	assert_int_equal(rev, 0);
	assert_int_equal(room_note_head(shm, 0, 5, 7, 6), 0);
	assert_int_equal(room_note_head(shm, 1, 5, 4, 3), 0); /* an older look */
	assert_int_equal(room_head(shm, 1, 5, &rev, &seq), 0);
	assert_int_equal(rev, 7);
	assert_int_equal(seq, 6);
	publish(shm, 1, 8);
	assert_int_equal(room_head(shm, 0, 5, &rev, &seq), 0);
	assert_int_equal(rev, 8);
	assert_int_equal(seq, -1); /* the record has it */

	/*
	 * targets are chosen, the record is not there yet: whoever attaches now is not among them
	 */
	ring_publish_begin(shm, 1);
	assert_int_equal(ring_publish_add(shm, 1, 5, 9, 0, "x", 1, NULL), 0);
	assert_int_equal(room_head(shm, 0, 5, &rev, &seq), -ERR_NOENT);
	assert_int_equal(room_note_head(shm, 0, 5, 9, 9), 0); /* the database had it */
	assert_int_equal(room_head(shm, 0, 5, &rev, &seq), 0);
	assert_int_equal(rev, 9);
	assert_int_equal(seq, 9);
	assert_int_equal(ring_publish_end(shm, 1, &wake), 0);
	segment_done(&shm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_room_comes_and_goes),
		cmocka_unit_test(test_counts_in_bulk),
		cmocka_unit_test(test_listing),
		cmocka_unit_test(test_head),
	};

	return cmocka_run_group_tests_name("rooms", tests, NULL, NULL);
}
