/* SPDX-License-Identifier: MIT */
/*
 * Recovery of dead slots by survivors and by the next process of the slot; the inherited list.
 * Deaths in the middle are in tests/crash.
 */
#include "harness.h"

#include <signal.h>
#include <unistd.h>

#include "shm/recover.h"
#include "shm/ring.h"
#include "shm/rooms.h"
#include "shm/typing.h"
#include "shm/users.h"

static const struct recover_calls no_calls;

static int recover(struct shm *shm, unsigned me, unsigned dead, struct recover_result *ret)
{
	return recover_slot(shm, me, dead, 5000, &no_calls, ret);
}

static void test_living_and_clean_slots_are_left_alone(void **state)
{
	struct shm *shm = segment_new(3);
	struct recover_result r;
	unsigned slot;

	(void)state;
	(void)slot_enter(shm, 0);
	(void)slot_enter(shm, 1);
	assert_int_equal(recover_next(shm, 0, &slot), -ERR_NOENT);
	assert_int_equal(recover(shm, 0, 1, &r), -ERR_NOENT);
	assert_int_equal(recover(shm, 0, 2, &r), -ERR_NOENT);
	assert_int_equal(recover(shm, 0, 3, &r), -ERR_NOENT);
	assert_int_equal(recover(shm, 0, 0, &r), -ERR_NOENT);
	shm_detach(&shm);
}

static void live_a_little(void *arg)
{
	struct shm *shm = arg;
	int64_t convs[] = {1, 2, 3};
	struct ring_reader r;
	bool b;

	(void)slot_enter(shm, 1);
	ring_reader_init(shm, 1, &r);
	(void)join(shm, 1, 1, 10);
	(void)join(shm, 1, 1, 11);
	(void)join(shm, 1, 2, 10);
	CHECK(typing_set(shm, 1, 1, 10, STR("x"), UINT64_MAX, &b) == 0);
	slot_inflight_set(shm, 1, convs, 3);
	metric_add(shm, 1, M_MESSAGES_IN, 5);
	metric_add(shm, 1, M_CONNECTIONS_RAW, 3);
	CHECK(ring_sleep_prepare(&r));
	(void)raise(SIGKILL);
}

static struct shm *segment_with_dead_slot(void)
{
	struct shm *shm = segment_new(3);

	(void)slot_enter(shm, 0);
	(void)slot_enter(shm, 2);
	(void)join(shm, 0, 1, 10);
	assert_int_equal(child_wait(child_start(live_a_little, shm)), 128 + SIGKILL);
	return shm;
}

static void on_typing(void *arg, int64_t conv)
{
	*(int64_t *)arg += conv;
}

static void test_survivor_recovers_everything(void **state)
{
	struct shm *shm = segment_with_dead_slot();
	int64_t typing_sum = 0, convs[10];
	struct recover_calls calls = {&typing_sum, on_typing};
	struct recover_result r;
	struct room_info room;
	struct slot_info info;
	unsigned slot = 9;
	bool is_all;

	(void)state;
	assert_int_equal(recover_next(shm, 0, &slot), 0);
	assert_int_equal(slot, 1);
	assert_int_equal(recover_slot(shm, 0, 1, 5000, &calls, &r), 0);
	assert_int_equal(r.members, 3);
	assert_int_equal(r.inflight, 3);
	assert_int_equal(typing_sum, 1);
	assert_int_equal(recover_next(shm, 0, &slot), -ERR_NOENT);
	assert_int_equal(recover(shm, 0, 1, &r), -ERR_NOENT);
	assert_int_equal(room_read(shm, 0, 1, &room), 0);
	assert_int_equal(room.slots, 1);
	assert_int_equal(room.connections, 1);
	assert_int_equal(room.users, 2);
	assert_int_equal(slot_read(shm, 1, &info), 0);
	assert_true(info.is_clean);
	assert_false(info.is_asleep);
	assert_int_equal(info.inflight, 0);
	assert_int_equal(metric_sum(shm, M_MESSAGES_IN), 5); /* what was counted stays */
	assert_int_equal(metric_sum(shm, M_CONNECTIONS_RAW), 0);
	assert_int_equal(recover_inherited(shm, 0, convs, 10, &is_all), 3);
	assert_int_equal(convs[0] + convs[1] + convs[2], 6);
	assert_false(is_all);
	recover_announced(shm, 0, 2);
	recover_announced(shm, 0, 99);
	assert_int_equal(recover_inherited(shm, 0, convs, 10, &is_all), 2);
	assert_int_equal(convs[0] + convs[1], 4);
	segment_done(&shm);
}

#define CROWD 500
#define PIECE 32 /* records */

static void be_a_crowd(void *arg)
{
	struct shm *shm = arg;

	(void)slot_enter(shm, 1);
	for (int64_t i = 0; i < CROWD; i++)
		(void)join(shm, 1, 1 + i % 7, 1000 + i);
	(void)raise(SIGKILL);
}

struct rival {
	struct shm *shm;
	_Atomic uint32_t may_try, has_tried;
};

static void find_it_claimed(void *arg)
{
	struct rival *rival = arg;
	struct recover_run run;

	flag_await(&rival->may_try, 1);
	CHECK(recover_begin(rival->shm, 2, 1, 5000, &run) == -ERR_AGAIN);
	atomic_store(&rival->has_tried, 1);
}

/*
 * Between the pieces of a recovery everything goes on, and nobody else begins with the same slot.
 */
static void test_in_pieces(void **state)
{
	struct shm *shm = segment_with_dead_slot();
	struct recover_run run, other;
	struct recover_result res;
	struct room_info room;
	struct rival *rival = shared_alloc(sizeof(*rival));
	unsigned pieces = 0;
	pid_t pid;
	int r;

	(void)state;
	assert_int_equal(recover(shm, 0, 1, &res), 0);
	slot_close(shm, 1, 1);
	assert_int_equal(child_wait(child_start(be_a_crowd, shm)), 128 + SIGKILL);
	rival->shm = shm;
	pid = child_start(find_it_claimed, rival);
	assert_int_equal(recover_begin(shm, 0, 1, 5000, &run), 0);
	while ((r = recover_step(shm, 0, &no_calls, PIECE, &run)) == -ERR_AGAIN) {
		pieces++;
		if (pieces == 5) {
			atomic_store(&rival->may_try, 1);
			flag_await(&rival->has_tried, 1);
		}
		(void)join(shm, 0, 1, 5000 + pieces);
		assert_int_equal(shm_verify(shm, 0), 0);
	}
	assert_int_equal(r, 0);
	assert_int_equal(run.result.members, CROWD);
	assert_true(pieces > 2 * CROWD / PIECE); /* members and users, a piece at a time */
	assert_int_equal(child_wait(pid), 0);
	assert_int_equal(recover_begin(shm, 2, 1, 5000, &other), -ERR_NOENT);
	assert_int_equal(member_lingering(shm, 0), CROWD + 2);
	assert_int_equal(room_read(shm, 0, 7, &room), 0);
	assert_int_equal(room.users, CROWD / 7);
	assert_int_equal(room.connections, 0);
	segment_done(&shm);
}

/* What one began and left, another does from the start; nobody is lost or counted twice. */
static void test_abandoned_in_every_piece(void **state)
{
	struct shm *shm = segment_with_dead_slot();
	struct recover_result res;
	struct shm_usage usage;
	struct recover_run run;
	unsigned steps = 0;

	(void)state;
	assert_int_equal(recover(shm, 0, 1, &res), 0);
	slot_close(shm, 1, 1);
	assert_int_equal(child_wait(child_start(be_a_crowd, shm)), 128 + SIGKILL);
	for (unsigned n = 0; recover_begin(shm, n % 2 ? 0 : 2, 1, 5000, &run) == 0; n++) {
		int r = -ERR_AGAIN;

		for (unsigned i = 0; i < n && r == -ERR_AGAIN; i++, steps++)
			r = recover_step(shm, n % 2 ? 0 : 2, &no_calls, PIECE, &run);
		if (r == -ERR_AGAIN)
			recover_abandon(shm, n % 2 ? 0 : 2, &run);
		assert_int_equal(shm_verify(shm, 0), 0);
	}
	assert_true(steps > 10);
	assert_int_equal(member_lingering(shm, 0) + member_lingering(shm, 2), CROWD + 2);
	shm_usage(shm, &usage);
	assert_int_equal(usage.members, CROWD + 3);
	segment_done(&shm);
}

static void test_own_doubts_are_inherited_once(void **state)
{
	struct shm *shm = segment_with_dead_slot();
	int64_t convs[10];
	bool is_all;

	(void)state;
	recover_inherit(shm, 0, 7);
	recover_inherit(shm, 0, 8);
	recover_inherit(shm, 0, 7);
	assert_int_equal(recover_inherited(shm, 0, convs, 10, &is_all), 2);
	recover_announced(shm, 0, 7);
	assert_int_equal(recover_inherited(shm, 0, convs, 10, &is_all), 1);
	assert_int_equal(convs[0], 8);
	segment_done(&shm);
}

static void test_all_rooms(void **state)
{
	struct shm *shm = segment_new(1);
	int64_t convs[3], sum = 0;
	uint32_t pos = 0, n;

	(void)state;
	(void)slot_enter(shm, 0);
	for (int64_t conv = 1; conv <= 10; conv++)
		(void)join(shm, 0, conv, 5);
	(void)leave(shm, 0, 10, 5, 0);
	while ((n = recover_rooms(shm, &pos, convs, 3)))
		for (uint32_t i = 0; i < n; i++)
			sum += convs[i];
	assert_true(sum == 55 || sum == 45); /* the last one may linger */
	segment_done(&shm);
}

static void test_next_process_recovers_itself(void **state)
{
	struct shm *shm = segment_with_dead_slot();
	struct recover_result r;
	struct user_info user;
	struct people p = {0};
	uint32_t g;
	bool is_all;
	int64_t convs[10];

	(void)state;
	slot_close(shm, 1, 1);
	assert_int_equal(slot_reserve(shm, 1, &g), 0);
	assert_int_equal(slot_open(shm, 1, getpid(), g), -ERR_DIRTY);
	assert_int_equal(recover(shm, 1, 1, &r), 0);
	assert_int_equal(slot_open(shm, 1, getpid(), g), 0);
	assert_int_equal(recover_inherited(shm, 1, convs, 10, &is_all), 3);
	assert_int_equal(member_lingering(shm, 1), 3);
	assert_int_equal(shm_verify(shm, 0), 0);
	assert_false(join(shm, 1, 1, 11)); /* it was away so shortly that nobody saw it */
	assert_int_equal(user_read(shm, 0, 11, &user), 0);
	assert_int_equal(user.records, 1);
	assert_int_equal(roster_read(shm, 0, 1, on_person, &p), 2);
	segment_done(&shm);
}

static void test_second_death_inherits_again(void **state)
{
	struct shm *shm = segment_with_dead_slot();
	struct recover_result r;
	int64_t convs[10];
	bool is_all;

	(void)state;
	assert_int_equal(recover(shm, 2, 1, &r), 0);
	slot_close(shm, 2, 1); /* the survivor ends before it announced anything */
	assert_int_equal(recover(shm, 0, 2, &r), 0);
	assert_int_equal(r.members, 3);
	assert_int_equal(member_lingering(shm, 0), 2); /* the third merged with slot 0's own */
	assert_int_equal(recover_inherited(shm, 0, convs, 10, &is_all), 3);
	assert_int_equal(recover_inherited(shm, 2, convs, 10, &is_all), 0);
	segment_done(&shm);
}

static void test_overlong_list_means_all_rooms(void **state)
{
	struct shm *shm = segment_opened(2);
	int64_t many[SLOT_INFLIGHT_MAX + 1] = {0}, convs[10];
	struct recover_result r;
	bool is_all;

	(void)state;
	(void)join(shm, 1, 71, 10);
	(void)join(shm, 1, 72, 10);
	(void)join(shm, 0, 73, 10);
	slot_inflight_set(shm, 1, many, ARRAY_LEN(many));
	slot_close(shm, 1, 1);
	assert_int_equal(recover(shm, 0, 1, &r), 0);
	assert_int_equal(recover_inherited(shm, 0, convs, 10, &is_all), 2);
	assert_int_equal(convs[0] + convs[1], 143);
	assert_false(is_all);
	segment_done(&shm);
}

static void test_inherited_list_has_an_end(void **state)
{
	struct shm *shm = segment_opened(4);
	int64_t many[SLOT_INFLIGHT_MAX], convs[10];
	struct recover_result r;
	bool is_all;

	(void)state;
	for (unsigned s = 1; s <= 3; s++) {
		for (unsigned i = 0; i < ARRAY_LEN(many); i++)
			many[i] = 1 + s * 10000 + i;
		slot_inflight_set(shm, s, many, ARRAY_LEN(many));
		slot_close(shm, s, 1);
		assert_int_equal(recover(shm, 0, s, &r), 0);
		(void)recover_inherited(shm, 0, convs, 10, &is_all);
		assert_true(is_all == (s == 3));
	}
	recover_announced(shm, 0, 0);
	assert_int_equal(recover_inherited(shm, 0, convs, 10, &is_all), 10);
	assert_false(is_all);
	segment_done(&shm);
}

static void claim_and_wait(void *arg)
{
	struct shm *shm = arg;

	(void)slot_enter(shm, 2);
	CHECK(lock_take(shm, LOCK_RECOVER, 1, 2, 0) == 0);
	(void)join(shm, 2, 500, 1); /* the sign */
	for (;;)
		(void)pause();
}

static void test_one_at_a_time_and_claims_are_inherited(void **state)
{
	struct shm *shm = segment_new(3);
	struct recover_result r;
	uint32_t connections = 0, users;
	pid_t pid;

	(void)state;
	(void)slot_enter(shm, 0);
	(void)slot_enter(shm, 1);
	slot_close(shm, 1, 1);
	pid = child_start(claim_and_wait, shm);
	while (!connections)
		assert_int_equal(room_counts(shm, 0, 500, &connections, &users), 0);
	assert_int_equal(recover(shm, 0, 1, &r), -ERR_AGAIN);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(child_wait(pid), 128 + SIGKILL);
	assert_int_equal(recover(shm, 0, 1, &r), 0);
	assert_int_equal(recover(shm, 0, 2, &r), 0);
	segment_done(&shm);
}

/* A publisher that died before it rang: recovery names the sleepers that have something to read. */
static void test_forgotten_sleepers_are_named(void **state)
{
	struct shm *shm = segment_opened(3);
	struct recover_result r;
	struct ring_reader reader;
	uint64_t wake = 0;

	(void)state;
	(void)join(shm, 0, 1, 10);
	ring_reader_init(shm, 0, &reader);
	assert_true(ring_sleep_prepare(&reader));
	ring_publish_begin(shm, 1);
	assert_int_equal(ring_publish_add(shm, 1, 1, 1, 0, "x", 1, NULL), 0);
	assert_int_equal(ring_publish_end(shm, 1, &wake), 0);
	assert_int_equal(wake, 1); /* and nobody rings */
	slot_close(shm, 1, 1);
	assert_int_equal(recover(shm, 2, 1, &r), 0);
	assert_int_equal(r.wake, 1);
	segment_done(&shm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_living_and_clean_slots_are_left_alone),
		cmocka_unit_test(test_survivor_recovers_everything),
		cmocka_unit_test(test_in_pieces),
		cmocka_unit_test(test_abandoned_in_every_piece),
		cmocka_unit_test(test_own_doubts_are_inherited_once),
		cmocka_unit_test(test_all_rooms),
		cmocka_unit_test(test_next_process_recovers_itself),
		cmocka_unit_test(test_second_death_inherits_again),
		cmocka_unit_test(test_overlong_list_means_all_rooms),
		cmocka_unit_test(test_inherited_list_has_an_end),
		cmocka_unit_test(test_one_at_a_time_and_claims_are_inherited),
		cmocka_unit_test(test_forgotten_sleepers_are_named),
	};

	return cmocka_run_group_tests_name("recover", tests, NULL, NULL);
}
