/* SPDX-License-Identifier: MIT */
/*
 * The hash indexes, as the tables use them: everybody is found however many there are, chains stay
 * short where all are in one room, and a small node's segment stays small.
 */
#include "harness.h"

#include "shm/recover.h"
#include "shm/rooms.h"
#include "shm/users.h"

/* Tables of N records. */
static struct shm *segment_of(uint32_t n)
{
	const struct shm_geometry geo = {
		.n_slots = 2,
		.rooms_max = n,
		.members_max = n,
		.users_max = n,
		.typing_max = 64,
		.ring_bytes = 65536,
	};
	struct shm *shm;

	assert_int_equal(shm_create(&geo, &shm), 0);
	for (unsigned i = 0; i < geo.n_slots; i++)
		(void)slot_enter(shm, i);
	return shm;
}

static void on_left(void *arg, int64_t conv, int64_t user, struct str name)
{
	(void)arg, (void)conv, (void)user, (void)name;
}

/* Records in the chain where USER's record of the room lies. */
static unsigned chain_len(const struct shm *shm, int64_t conv, int64_t user)
{
	unsigned n = 0;

	for (uint32_t i = index_first(shm, INDEX_MEMBERS, conv, user); i;
	     i = rec_at(shm, POOL_MEMBERS, i)->next)
		n++;
	return n;
}

static void test_chains_stay_short_in_one_room(void **state)
{
	enum { N = 20000 };
	struct shm *shm = segment_of(N);
	uint64_t sum = 0;

	(void)state;
	for (int64_t user = 1; user <= N; user++)
		assert_true(join(shm, 0, 7, user));
	for (int64_t user = 1; user <= N; user++)
		sum += chain_len(shm, 7, user);
	/* with four to a bucket a record's chain has five, and more in a bucket whose turn to be
	 * split has not come */
	assert_true(sum / N >= 3 && sum / N <= 7);
	assert_int_equal(shm_verify(shm, 0), 0);
	for (int64_t user = 1; user <= N; user++)
		assert_true(leave(shm, 0, 7, user, 1));
	segment_done(&shm);
}

static void test_all_are_found_while_it_grows(void **state)
{
	enum { N = 600 };
	struct shm *shm = segment_of(1024);
	struct user_info info;

	(void)state;
	for (int64_t user = 1; user <= N; user++) {
		assert_true(join(shm, 0, 7, user));
		for (int64_t known = 1; known <= user; known++) {
			assert_false(member_find(shm, 7, known, 0) == 0);
			assert_int_equal(user_read(shm, 0, known, &info), 0);
		}
		assert_true(member_find(shm, 7, user + 1, 0) == 0);
		assert_int_equal(user_read(shm, 0, user + 1, &info), -ERR_NOENT);
	}
	segment_done(&shm);
}

/* Nobody is refused for want of buckets: chains get longer. */
static void test_without_more_buckets(void **state)
{
	enum { N = 1000 };
	struct shm *shm = segment_of(N);

	(void)state;
	shm->buckets_n = INDEX_FIRST * INDEXES_TOTAL;
	for (int64_t user = 1; user <= N; user++)
		assert_true(join(shm, 0, 7, user));
	assert_int_equal(atomic_load(shm->buckets_used), 0);
	assert_int_equal(shm_verify(shm, 0), 0);
	for (int64_t user = 1; user <= N; user++)
		assert_true(leave(shm, 0, 7, user, 1));
	segment_done(&shm);
}

/* As after a death, once it has grown. */
static void test_a_large_index_is_rebuilt(void **state)
{
	enum { N = 1000 };
	struct shm *shm = segment_of(N);

	(void)state;
	for (int64_t user = 1; user <= N; user++)
		assert_true(join(shm, 0, 7, user));
	assert_int_equal(shm_rebuild(shm, 0), 0);
	assert_int_equal(shm_verify(shm, 0), 0);
	for (int64_t user = 1; user <= N; user++)
		assert_true(leave(shm, 0, 7, user, 1));
	segment_done(&shm);
}

/* What many come and go with is used again. */
static void test_buckets_are_not_used_up(void **state)
{
	struct shm *shm = segment_of(1024);
	uint32_t used = 0;
	bool more;

	(void)state;
	for (unsigned round = 0; round < 20; round++) {
		for (int64_t user = 1; user <= 1000; user++)
			(void)join(shm, 0, 7, user);
		for (int64_t user = 1; user <= 1000; user++)
			(void)leave(shm, 0, 7, user, 1);
		while (member_expire(shm, 0, 2, 1000, on_left, NULL, &more) > 0)
			;
		assert_true(!used || used == atomic_load(shm->buckets_used));
		used = atomic_load(shm->buckets_used);
	}
	segment_done(&shm);
}

/* Tables for a million, of which ten thousand are there. */
static void test_a_small_node_touches_little(void **state)
{
	enum { N = 10000 };
	struct shm *shm = segment_of(1 << 20);
	uint64_t mapped, before, after;

	(void)state;
	(void)join(shm, 0, 1, 1);
	shm_size(shm, &mapped, &before);
	for (int64_t i = 2; i <= N; i++)
		(void)join(shm, 0, i, i);
	shm_size(shm, &mapped, &after);
	assert_true(mapped > 100 << 20);
	/* a room of 192 bytes, a record of 64, a user of 128; the indexes, and heads of chains */
	assert_true(after - before < N * (192 + 64 + 128 + 8) + 65536);
	segment_done(&shm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chains_stay_short_in_one_room),
		cmocka_unit_test(test_all_are_found_while_it_grows),
		cmocka_unit_test(test_without_more_buckets),
		cmocka_unit_test(test_a_large_index_is_rebuilt),
		cmocka_unit_test(test_buckets_are_not_used_up),
		cmocka_unit_test(test_a_small_node_touches_little),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
