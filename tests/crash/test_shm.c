/* SPDX-License-Identifier: MIT */
/*
 * Kills a process at every pass of every fault point of shm/, and checks what the survivors find.
 * The library under test is compiled with the fault points in; the daemon's are not needed.
 */
#include "harness.h"

#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "shm/recover.h"
#include "shm/ring.h"
#include "shm/rooms.h"
#include "shm/typing.h"
#include "shm/users.h"

/*
 * The cast: survivor (this process), victim (killed at the fault point), bystander (connected, does
 * nothing), ghost (died before, is recovered by the victim), holder (died with a shard's lock,
 * which the victim inherits).
 */
enum { SURVIVOR, VICTIM, BYSTANDER, GHOST, HOLDER, SLOTS };

#define ROOM 1	    /* all are in it */
#define OWN_ROOM 2  /* the victim alone, for a while */
#define FULL_ROOM 3 /* a crowd of the survivor's: the index grows by a bucket for the victim */
#define CROWD 32    /* as many as an index takes before that */
#define GRACE 50000 /* of the dead, in a time that the test makes up */

static const char long_name[] = "a name that is longer than what fits into the record of a user";

static void attach(struct shm *shm, unsigned me, int64_t conv, int64_t user)
{
	bool is_first;

	CHECK(member_attach(shm, me, conv, user, str_of(user % 2 ? long_name : "short"),
			    &is_first) == 0);
}

static void on_left(void *arg, int64_t conv, int64_t user, struct str name)
{
	(void)arg, (void)conv, (void)user;
	CHECK(name.len > 0);
}

static void on_changed(void *arg, int64_t conv)
{
	(void)arg;
	CHECK(conv == ROOM);
}

static void publish(struct shm *shm, unsigned me, int64_t first_rev)
{
	uint64_t wake;

	ring_publish_begin(shm, me);
	for (int64_t i = 0; i < 3; i++)
		CHECK(ring_publish_add(shm, me, ROOM, first_rev + i, 0, "0123456789", 10, NULL) ==
		      0);
	CHECK(ring_publish_end(shm, me, &wake) == 0);
}

static void be_a_ghost(void *arg)
{
	struct shm *shm = arg;
	int64_t inflight[] = {901, 902};
	bool b;

	(void)slot_enter(shm, GHOST);
	attach(shm, GHOST, ROOM, 20);
	attach(shm, GHOST, ROOM, 21);
	attach(shm, GHOST, ROOM, 3); /* the survivor's user too */
	CHECK(typing_set(shm, GHOST, ROOM, 20, STR("x"), UINT64_MAX, &b) == 0);
	slot_inflight_set(shm, GHOST, inflight, 2);
	(void)raise(SIGKILL);
}

static void be_a_holder(void *arg)
{
	struct shm *shm = arg;

	(void)slot_enter(shm, HOLDER);
	CHECK(fault_arm("member.listed") == 0);
	attach(shm, HOLDER, ROOM, 30);
}

/* Passes every fault point at least once. Returns normally when none of them is armed. */
static void be_a_victim(struct shm *shm)
{
	static const struct recover_calls calls = {NULL, on_changed};
	int64_t inflight[] = {801, 802};
	struct recover_result result;
	bool b;

	(void)slot_enter(shm, VICTIM);
	attach(shm, VICTIM, ROOM, 10); /* inherits the holder's lock */
	attach(shm, VICTIM, ROOM, 11);
	attach(shm, VICTIM, ROOM, 11);
	attach(shm, VICTIM, ROOM, 3);
	attach(shm, VICTIM, OWN_ROOM, 10);
	attach(shm, VICTIM, OWN_ROOM, 13);
	attach(shm, VICTIM, FULL_ROOM, 13);
	CHECK(typing_set(shm, VICTIM, ROOM, 11, STR("x"), 1000, &b) == 0);
	CHECK(typing_set(shm, VICTIM, ROOM, 3, STR("x"), 1000, &b) == 0);
	slot_inflight_set(shm, VICTIM, inflight, 2);
	publish(shm, VICTIM, 1);
	slot_inflight_clear(shm, VICTIM);
	CHECK(typing_clear(shm, VICTIM, ROOM, 3, &b) == 0);
	CHECK(typing_expire(shm, VICTIM, 1000, 10, on_changed, NULL, &b) == 1);
	CHECK(member_detach(shm, VICTIM, OWN_ROOM, 10, 500, &b) == 0);
	CHECK(member_detach(shm, VICTIM, OWN_ROOM, 13, 500, &b) == 0);
	CHECK(member_detach(shm, VICTIM, FULL_ROOM, 13, 500, &b) == 0);
	CHECK(member_detach(shm, VICTIM, ROOM, 3, 500, &b) == 0);
	CHECK(member_expire(shm, VICTIM, 600, 10, on_left, NULL, &b) == 4);
	attach(shm, VICTIM, ROOM, 14); /* a used record again */
	CHECK(member_detach(shm, VICTIM, ROOM, 14, 90000, &b) == 0);
	CHECK(recover_slot(shm, VICTIM, GHOST, GRACE, &calls, &result) == 0);
}

/* What happened before the victim was born. READER stands where the victim begins to publish,
 * asleep. */
static struct shm *stage(struct ring_reader *reader)
{
	struct shm *shm = segment_new(SLOTS);

	(void)slot_enter(shm, SURVIVOR);
	(void)slot_enter(shm, BYSTANDER);
	attach(shm, SURVIVOR, ROOM, 3);
	attach(shm, BYSTANDER, ROOM, 4);
	attach(shm, BYSTANDER, ROOM, 3);
	for (int64_t user = 100; user < 100 + CROWD; user++)
		attach(shm, SURVIVOR, FULL_ROOM, user);
	ring_reader_init(shm, SURVIVOR, reader);
	CHECK(ring_sleep_prepare(reader));
	assert_int_equal(child_wait(child_start(be_a_ghost, shm)), 128 + SIGKILL);
	assert_int_equal(child_wait(child_start(be_a_holder, shm)), 128 + SIGKILL);
	return shm;
}

/* The batch is there whole or not at all; and if it is, nobody sleeps over it. */
static void check_ring(struct shm *shm, struct ring_reader *reader, uint64_t wake)
{
	struct ring_rec rec;
	int64_t n = 0;

	while (ring_peek(reader, &rec) == 0) {
		assert_int_equal(rec.conv, ROOM);
		assert_int_equal(rec.rev, ++n);
		assert_int_equal(rec.origin, VICTIM);
		assert_int_equal(rec.len, 10);
		assert_memory_equal(rec.payload, "0123456789", 10);
		assert_int_equal(ring_check(reader), 0);
		ring_advance(reader);
	}
	assert_true(n == 0 || n == 3);
	assert_true(n == 0 || (wake & slot_bit(SURVIVOR)));
	publish(shm, SURVIVOR, 50);
	for (int64_t i = 0; i < 3; i++) {
		assert_int_equal(ring_peek(reader, &rec), 0);
		assert_int_equal(rec.rev, 50 + i);
		ring_advance(reader);
	}
	assert_int_equal(ring_peek(reader, &rec), -ERR_AGAIN);
}

static void check_walk(struct shm *shm)
{
	struct ring_rec rec;
	uint64_t at = 0;
	int64_t rev = 52;

	assert_int_equal(ring_room_newest(shm, SURVIVOR, ROOM, &at), 0);
	while (ring_room_prev(shm, ROOM, at, &rec) == 0) {
		assert_int_equal(rec.rev, rev);
		rev = rev == 50 ? 3 : rev - 1;
		at = rec.prev;
	}
	assert_true(rev == 3 || rev == 0); /* the victim's batch too, or not */
}

/* Conversations in flight of the ghost are certain, the victim's all or none. */
static void check_inherited(struct shm *shm)
{
	int64_t convs[64];
	unsigned n901 = 0, n902 = 0, n801 = 0, n802 = 0;
	bool is_all;
	uint32_t n = recover_inherited(shm, SURVIVOR, convs, 64, &is_all);

	for (uint32_t i = 0; i < n; i++) {
		n901 += convs[i] == 901;
		n902 += convs[i] == 902;
		n801 += convs[i] == 801;
		n802 += convs[i] == 802;
	}
	assert_int_equal(n, n901 + n902 + n801 + n802); /* nobody else's */
	assert_true(n901 > 0 && n902 > 0);
	assert_int_equal(n801, n802);
	assert_false(is_all);
}

static void check_people(struct shm *shm)
{
	struct people p = {0};
	struct room_info room;
	struct shm_usage usage;
	struct user_info user;
	bool more;

	for (int64_t user_id = 100; user_id < 100 + CROWD; user_id++)
		assert_int_equal(
			member_detach(shm, SURVIVOR, FULL_ROOM, user_id, 60000, &more), 0);
	assert_true(roster_read(shm, SURVIVOR, ROOM, on_person, &p) >= 4);
	assert_true(has_person(&p, 3) && has_person(&p, 4));
	assert_true(has_person(&p, 20) && has_person(&p, 21)); /* the ghost's people linger still */
	assert_true(member_expire(shm, SURVIVOR, 100000, 1000, on_left, NULL, &more) >= 2);
	assert_int_equal(room_read(shm, SURVIVOR, ROOM, &room), 0);
	assert_int_equal(room.slots, slot_bit(SURVIVOR) | slot_bit(BYSTANDER));
	assert_int_equal(room.connections, 3);
	assert_int_equal(room.users, 2);
	assert_int_equal(room.typing, 0);
	assert_int_equal(room_read(shm, SURVIVOR, OWN_ROOM, &room), -ERR_NOENT);
	assert_int_equal(room_read(shm, SURVIVOR, FULL_ROOM, &room), -ERR_NOENT);
	assert_int_equal(user_read(shm, SURVIVOR, 3, &user), 0);
	assert_int_equal(user.records, 2);
	assert_string_equal(user.name, long_name);
	shm_usage(shm, &usage);
	assert_int_equal(usage.rooms, 1);
	assert_int_equal(usage.members, 3);
	assert_int_equal(usage.users, 2);
	assert_int_equal(usage.typing, 0);
	assert_int_equal(shm->pools[POOL_NAMES].used, 1);
}

/* The survivor's duty, as a worker does it. */
static uint64_t recover_all(struct shm *shm)
{
	static const struct recover_calls calls = {NULL, on_changed};
	struct recover_result result;
	uint64_t wake = 0;
	unsigned slot;

	while (recover_next(shm, SURVIVOR, &slot) == 0) {
		assert_int_equal(recover_slot(shm, SURVIVOR, slot, GRACE, &calls, &result), 0);
		wake |= result.wake;
	}
	return wake;
}

/* Whatever lock the dead left dirty has been repaired. */
static void check_locks(struct shm *shm)
{
	for (unsigned id = 0; id < LOCK_IDS; id++)
		for (unsigned shard = 0; shard < lock_shards(id); shard++)
			if (id != LOCK_RECOVER)
				assert_false(lock_is_orphan(shm, id, shard));
}

static void check_survival(struct shm *shm, struct ring_reader *reader)
{
	uint64_t wake = recover_all(shm);
	uint32_t g;

	check_locks(shm);
	assert_int_equal(shm_verify(shm, SURVIVOR), 0);
	check_ring(shm, reader, wake);
	check_walk(shm);
	check_inherited(shm);
	check_people(shm);
	assert_int_equal(shm_verify(shm, SURVIVOR), 0);
	slot_close(shm, VICTIM, 1); /* the next process of the slot finds it clean */
	assert_int_equal(slot_reserve(shm, VICTIM, &g), 0);
	assert_int_equal(slot_open(shm, VICTIM, getpid(), g), 0);
	attach(shm, VICTIM, ROOM, 10);
}

struct attempt {
	struct shm *shm;
	const char *point;
	unsigned pass;
};

static void victim_main(void *arg)
{
	struct attempt *a = arg;
	char spec[64];

	(void)snprintf(spec, sizeof(spec), "%s:%u", a->point, a->pass);
	CHECK(fault_arm(spec) == 0);
	be_a_victim(a->shm);
}

/* One life and death. Returns false when the victim passed the point less often and lived. */
static bool kill_at(const char *point, unsigned pass)
{
	struct ring_reader reader;
	struct attempt a = {stage(&reader), point, pass};
	int status = child_wait(child_start(victim_main, &a));

	if (status == 128 + SIGKILL) {
		if (getenv("ROOMD_CRASH_VERBOSE"))
			print_message("%s:%u\n", point, pass);
		check_survival(a.shm, &reader);
	} else {
		assert_int_equal(status, 0);
	}
	shm_detach(&a.shm);
	return status != 0;
}

static bool is_of_shm(const char *point)
{
	static const char *const areas[] = {"lock.",   "pool.",	  "index.", "room.", "user.",
					    "member.", "typing.", "ring.",  "slot.", "recover."};

	for (unsigned i = 0; i < ARRAY_LEN(areas); i++)
		if (!strncmp(point, areas[i], strlen(areas[i])))
			return true;
	return false;
}

static void test_every_pass_of_every_point(void **state)
{
	unsigned deaths = 0;

	(void)state;
	for (unsigned i = 0; fault_name(i); i++) {
		unsigned pass = 0;

		if (!is_of_shm(fault_name(i)))
			continue;
		while (kill_at(fault_name(i), pass + 1))
			pass++;
		if (!pass)
			fail_msg("%s: no victim ever came by", fault_name(i));
		deaths += pass;
	}
	assert_true(deaths > 100); /* most of all at lock.taken */
}

/* Nobody survives the recovery at first: each recoverer is killed in turn, and the last one finds
 * all in order. */
static void recover_until_killed(void *arg)
{
	static const struct recover_calls calls = {NULL, on_changed};
	struct attempt *a = arg;
	struct recover_result result;

	(void)slot_enter(a->shm, VICTIM);
	CHECK(fault_arm(a->point) == 0);
	(void)!recover_slot(a->shm, VICTIM, GHOST, GRACE, &calls, &result);
}

static void test_chain_of_dead_recoverers(void **state)
{
	static const char *const points[] = {
		"recover.claimed", "recover.inherited",	   "recover.converting", "member.gone",
		"user.unlinked",   "recover.converting:2", "recover.dropped"};
	struct ring_reader reader;
	struct attempt a = {stage(&reader), NULL, 0};

	(void)state;
	for (unsigned i = 0; i < ARRAY_LEN(points); i++) {
		struct recover_result result;
		static const struct recover_calls calls = {NULL, on_changed};
		int status;

		a.point = points[i];
		status = child_wait(child_start(recover_until_killed, &a));
		assert_true(status == 128 + SIGKILL || status == 0);
		/* The bystander takes over from the dead recoverer, but not from the ghost. */
		assert_int_equal(recover_slot(a.shm, BYSTANDER, VICTIM, GRACE, &calls, &result), 0);
		slot_close(a.shm, VICTIM, i + 1);
	}
	(void)recover_all(a.shm);
	check_locks(a.shm);
	assert_int_equal(shm_verify(a.shm, SURVIVOR), 0);
	shm_detach(&a.shm);
}

/* Killed from outside at any instruction, not at a point of our choosing. */
static void churn(void *arg)
{
	struct shm *shm = arg;
	uint32_t g, x = 1;
	bool b;

	CHECK(slot_reserve(shm, VICTIM, &g) == 0);
	CHECK(slot_open(shm, VICTIM, getpid(), g) == 0);
	for (;;) {
		x = x * 1664525 + 1013904223;
		attach(shm, VICTIM, ROOM + (x >> 16) % 3, 10 + (x >> 20) % 9);
		if (x % 3)
			CHECK(member_detach(shm, VICTIM, ROOM + (x >> 16) % 3, 10 + (x >> 20) % 9,
					    x >> 24, &b) == 0);
		if (x % 5 == 0)
			CHECK(typing_set(shm, VICTIM, ROOM, 10 + (x >> 20) % 9, STR("t"), x >> 24,
					 &b) == 0);
		CHECK(typing_expire(shm, VICTIM, x >> 24, 10, on_changed, NULL, &b) >= 0);
		CHECK(member_expire(shm, VICTIM, x >> 24, 10, on_left, NULL, &b) >= 0);
		publish(shm, VICTIM, 1);
	}
}

#define ROUNDS 300

static void test_killed_anywhere(void **state)
{
	struct shm *shm = segment_new(SLOTS);
	struct ring_reader reader;
	struct ring_rec rec;

	(void)state;
	(void)slot_enter(shm, SURVIVOR);
	attach(shm, SURVIVOR, ROOM, 3);
	ring_reader_init(shm, SURVIVOR, &reader);
	for (uint32_t round = 1; round <= ROUNDS; round++) {
		pid_t pid = child_start(churn, shm);
		uint64_t seen = 0, from = (uint64_t)metric_get(shm, VICTIM, M_RING_RECORDS);
		int r;
		bool more;

		/* Some different distance into its life each time. */
		while (seen < 3 + round * 3 % 200)
			seen = (uint64_t)metric_get(shm, VICTIM, M_RING_RECORDS) - from;
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(child_wait(pid), 128 + SIGKILL);
		slot_close(shm, VICTIM, round);
		(void)recover_all(shm);
		while ((r = ring_peek(&reader, &rec)) != -ERR_AGAIN)
			if (!r) {
				assert_memory_equal(rec.payload, "0123456789", 10);
				ring_advance(&reader);
			}
		assert_true(member_expire(shm, SURVIVOR, 10 * GRACE, 1000, on_left, NULL, &more) >=
			    0);
		check_locks(shm);
		assert_int_equal(shm_verify(shm, SURVIVOR), 0);
		assert_int_equal(shm->pools[POOL_MEMBERS].used, 1);
		assert_int_equal(shm->pools[POOL_USERS].used, 1);
		assert_int_equal(shm->pools[POOL_ROOMS].used, 1);
		assert_int_equal(shm->pools[POOL_TYPING].used, 0);
	}
	shm_detach(&shm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_pass_of_every_point),
		cmocka_unit_test(test_chain_of_dead_recoverers),
		cmocka_unit_test(test_killed_anywhere),
	};

	return cmocka_run_group_tests_name("crash_shm", tests, NULL, NULL);
}
