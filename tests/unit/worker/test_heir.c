/* SPDX-License-Identifier: MIT */
/*
 * Tests of worker/heir.c: a killed worker's members linger, what it had in flight is read from the
 * log and announced, and who waits for a wake-up that it owed is woken.
 */
#include "worker_fixture.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shm/presence.h"
#include "shm/recover.h"
#include "shm/ring.h"
#include "shm/rooms.h"
#include "shm/slots.h"
#include "shm/typing.h"
#include "worker/heir.h"
#include "worker/roster.h"

#define DEAD 2

static struct client a;

static int setup(void **state)
{
	stand_setup(state);
	enter_raw(&a, "Alice", 5, 10);
	publish(11); /* this node has announced up to here */
	told_all(&a);
	return 0;
}

static int teardown(void **state)
{
	client_close(&a);
	return stand_teardown(state);
}

/* A process that opens the slot, does BODY and is killed. */
static void live_and_die(void (*body)(void))
{
	struct slot_info info;
	int status;
	pid_t pid;

	assert_int_equal(slot_read(wk->shm, DEAD, &info), 0);
	pid = fork();
	if (pid == 0) {
		if (slot_open(wk->shm, DEAD, getpid(), info.generation) == 0) {
			body();
			raise(SIGKILL);
		}
		_exit(1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	slot_close(wk->shm, DEAD, info.generation); /* as the master does */
}

static void die_idle(void)
{
}

static void die_with_a_member(void)
{
	bool is_first;

	if (member_attach(wk->shm, DEAD, ROOM, 6, STR("Bob"), &is_first) < 0)
		_exit(2);
}

static void die_typing(void)
{
	bool is_changed;

	die_with_a_member();
	if (typing_set(wk->shm, DEAD, ROOM, 6, STR("Bob"), now_ms + 6000, &is_changed) < 0)
		_exit(2);
}

static void die_committing(void)
{
	const int64_t convs[] = {ROOM, ROOM + 1};

	slot_inflight_set(wk->shm, DEAD, convs, 2);
}

static void die_before_waking(void)
{
	const struct event ev = message(ROOM, 12);
	struct buf b = BUF_INIT;
	uint64_t wake;

	event_encode(&ev, &b);
	ring_publish_begin(wk->shm, DEAD);
	if (ring_publish_add(wk->shm, DEAD, ROOM, 12, 0, b.p, b.len, NULL) < 0 ||
	    ring_publish_end(wk->shm, DEAD, &wake) < 0 || !(wake & 2))
		_exit(2);
}

static const char *frames(void)
{
	static char all[65536];
	const char *text;
	size_t at = 0;

	all[0] = '\0';
	while (*(text = told(&a)))
		at += (size_t)snprintf(all + at, sizeof(all) - at, "%s\n", text);
	return all;
}

/* Recovery goes on for a few milliseconds a turn: a slow build needs more of them. */
static void look(void)
{
	heir_look(wk);
	for (int i = 0; i < 100; i++)
		heir_run(wk);
}

static void test_nothing_to_do(void **state)
{
	(void)state;
	look();
	turn();
	assert_string_equal(told(&a), "");
	assert_int_equal(asked_count(ASK_SETTLE), 0);
}

static void test_slot_can_be_used_again(void **state)
{
	uint32_t generation;

	(void)state;
	live_and_die(die_idle);
	look();
	assert_int_equal(slot_reserve(wk->shm, DEAD, &generation), 0);
	assert_int_equal(slot_open(wk->shm, DEAD, getpid(), generation), 0);
}

/* PROTOCOL.md 9.15: a lost link leaves after 15 s. */
static void test_members_linger(void **state)
{
	struct room_info info;
	bool is_present = false;

	(void)state;
	live_and_die(die_with_a_member);
	look();
	assert_int_equal(room_read(wk->shm, 0, ROOM, &info), 0);
	assert_int_equal(info.users, 2);
	assert_int_equal(info.connections, 1);
	assert_int_equal(info.slots, 1);
	now_ms += 14999;
	roster_expire(wk);
	turns(3);
	assert_null(strstr(frames(), "left"));
	now_ms += 1;
	roster_expire(wk);
	turns(3);
	pass_ms(1000); /* departures are told together */
	assert_contains(str_of(frames()), "\"content\":\"Bob left\",\"event\":\"leave\"");
	assert_int_equal(member_is_present(wk->shm, 0, ROOM, 6, true, &is_present), 0);
	assert_false(is_present);
}

static void test_who_comes_back_never_left(void **state)
{
	struct client b;

	(void)state;
	live_and_die(die_with_a_member);
	look();
	enter_raw(&b, "Bob", 6, 11);
	now_ms += 20000;
	roster_expire(wk);
	turns(3);
	assert_null(strstr(frames(), "\"type\":\"system\""));
	client_close(&b);
}

static void test_typing_marks_go(void **state)
{
	(void)state;
	live_and_die(die_typing);
	look();
	turns(3);
	assert_contains(str_of(frames()), "{\"type\":\"typing\",\"users\":[]}");
}

/* A transaction may still run when its client is dead: the log is read only after it has ended. */
static void test_commits_in_flight_are_announced(void **state)
{
	int64_t convs[8];
	bool is_all = false;

	(void)state;
	live_and_die(die_committing);
	look();
	assert_int_equal(asked_count(ASK_SETTLE), 2);
	assert_int_equal(asked_count(ASK_EVENTS), 0);
	assert_int_equal(recover_inherited(wk->shm, 0, convs, 8, &is_all), 2);
	db_settled(0);
	db_settled(0); /* the other conversation has nobody here */
	assert_int_equal(recover_inherited(wk->shm, 0, convs, 8, &is_all), 1);
	assert_int_equal(convs[0], ROOM);
	assert_int_equal(asked(ASK_EVENTS)->conv, ROOM);
	assert_int_equal(asked(ASK_EVENTS)->after, 11);
	db_events(12, 13);
	turns(3);
	assert_string_equal(told_revs(&a), "12 13");
	assert_int_equal(recover_inherited(wk->shm, 0, convs, 8, &is_all), 0);
	look();
	assert_int_equal(asked_count(ASK_SETTLE), 0);
}

static void die_having_sent(void)
{
	die_committing();
	slot_backend_add(wk->shm, DEAD, 4711);
}

/*
 * What it had sent may lie unread in a server process's socket: no lock shows it until that has
 * ended.
 */
static void test_server_process_is_waited_for(void **state)
{
	int32_t pids[SLOT_BACKENDS_MAX];

	(void)state;
	live_and_die(die_having_sent);
	look();
	assert_int_equal(asked(ASK_ALIVE)->conv, 4711);
	assert_int_equal(asked_count(ASK_SETTLE), 0);
	for (int i = 0; i < 3; i++) {
		db_alive(1);
		assert_int_equal(asked_count(ASK_SETTLE), 0);
		while (asked_count(ASK_ALIVE) == 0)
			turn(); /* soon asked again */
	}
	assert_int_equal(slot_backends(wk->shm, 0, pids), 1); /* for the heir of this one */
	db_alive(0);
	assert_int_equal(asked_count(ASK_SETTLE), 2);
	assert_int_equal(slot_backends(wk->shm, 0, pids), 0);
	db_settled(0);
	db_settled(0);
	db_events(12, 12);
	turns(3);
	assert_string_equal(told_revs(&a), "12");
}

/* Ids are used again: one that stays for long is somebody else's. */
static void test_server_process_is_not_waited_for_for_ever(void **state)
{
	(void)state;
	live_and_die(die_having_sent);
	look();
	now_ms += 10000;
	db_alive(1);
	assert_int_equal(asked_count(ASK_SETTLE), 2);
}

static void test_nothing_was_committed(void **state)
{
	(void)state;
	live_and_die(die_committing);
	look();
	db_settled(0);
	db_settled(0);
	db_events(12, 11);
	turns(3);
	assert_string_equal(told_revs(&a), "");
	publish(12);
	assert_string_equal(told_revs(&a), "12");
}

/* Worker 1 sleeps and has something to read: the dead one cannot ring any more. */
static void test_owed_wakeups_are_made_good(void **state)
{
	struct ring_reader reader;
	bool is_first;
	uint64_t n = 0;

	(void)state;
	assert_int_equal(member_attach(wk->shm, 1, ROOM, 6, STR("Bob"), &is_first), 0);
	ring_reader_init(wk->shm, 1, &reader);
	assert_true(ring_sleep_prepare(&reader));
	live_and_die(die_before_waking);
	assert_int_equal(read(wake_fds[1], &n, sizeof(n)), -1);
	look();
	assert_int_equal(read(wake_fds[1], &n, sizeof(n)), sizeof(n));
	turns(2);
	assert_string_equal(told_revs(&a), "12");
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_nothing_to_do),
		T(test_slot_can_be_used_again),
		T(test_members_linger),
		T(test_who_comes_back_never_left),
		T(test_typing_marks_go),
		T(test_commits_in_flight_are_announced),
		T(test_server_process_is_waited_for),
		T(test_server_process_is_not_waited_for_for_ever),
		T(test_nothing_was_committed),
		T(test_owed_wakeups_are_made_good),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
