/* SPDX-License-Identifier: MIT */
/*
 * Tests of worker/persist.c: batches gather while one is under way, every send is answered exactly
 * once, and nothing is announced or acknowledged before its commit.
 */
#include "worker_fixture.h"

#include <stdatomic.h>
#include <threads.h>

#include "shm/lock.h"
#include "shm/recover.h"
#include "shm/ring.h"
#include "shm/slots.h"
#include "worker/fanout.h"
#include "worker/persist.h"

#define SENDS_MAX 64

static struct sent {
	int answers;
	enum proto_error error;
	bool is_duplicate;
	int64_t rev;
} sents[SENDS_MAX];
static struct client reader;

static int setup(void **state)
{
	stand_setup(state);
	memset(sents, 0, sizeof(sents));
	enter_raw(&reader, "Alice", 5, 10);
	return 0;
}

static int teardown(void **state)
{
	client_close(&reader);
	return stand_teardown(state);
}

static void on_done(struct worker *w, void *arg, const struct persist_result *res)
{
	struct sent *s = arg;

	assert_ptr_equal(w, wk);
	s->answers++;
	s->error = res->error;
	s->is_duplicate = res->is_duplicate;
	s->rev = res->event->rev;
}

static int try_send(int i, int64_t conv)
{
	char text[16];
	const struct event ev = {.conv = conv,
				 .actor = 7,
				 .actor_name = STR("Dora"),
				 .content = {text, (size_t)snprintf(text, sizeof(text), "m%d", i)}};

	return persist_send(wk, &ev, NULL, on_done, &sents[i]);
}

static void send(int i)
{
	assert_int_equal(try_send(i, ROOM), 0);
	assert_int_equal(sents[i].answers, 0);
}

static void expect_row(size_t row, int i)
{
	char text[16];

	snprintf(text, sizeof(text), "m%d", i);
	assert_true(row < asked(ASK_BATCH)->n);
	assert_text(asked(ASK_BATCH)->rows[row].content, text);
}

static uint32_t inflight(void)
{
	struct slot_info info;

	assert_int_equal(slot_read(wk->shm, 0, &info), 0);
	return info.inflight;
}

static void test_gathers_while_one_is_under_way(void **state)
{
	(void)state;
	send(0);
	turns(2);
	assert_int_equal(asked(ASK_BATCH)->n, 1);
	for (int i = 1; i < 6; i++) {
		send(i);
		turn();
	}
	assert_int_equal(asked_count(ASK_BATCH), 1);
	db_batch_stored(11);
	assert_int_equal(asked(ASK_BATCH)->n, 5);
	for (int i = 1; i < 6; i++)
		expect_row((size_t)i - 1, i);
	db_batch_stored(12);
	assert_true(persist_is_idle(wk));
	for (int i = 0; i < 6; i++) {
		assert_int_equal(sents[i].answers, 1);
		assert_int_equal(sents[i].error, E_NONE);
		assert_int_equal(sents[i].rev, 11 + i);
	}
	turns(2);
	assert_string_equal(told_revs(&reader), "11 12 13 14 15 16");
}

static void test_batch_max(void **state)
{
	(void)state;
	stand_set("persist.batch_max=3");
	for (int i = 0; i < 7; i++)
		send(i);
	turn();
	assert_int_equal(asked(ASK_BATCH)->n, 3);
	db_batch_stored(11);
	assert_int_equal(asked(ASK_BATCH)->n, 3);
	expect_row(0, 3);
	db_batch_stored(14);
	assert_int_equal(asked(ASK_BATCH)->n, 1);
	db_batch_stored(17);
	assert_int_equal(sents[6].rev, 17);
}

/* PROTOCOL.md section 7: acknowledgement after commit; uncommitted rows are announced to nobody. */
static void test_nothing_before_the_commit(void **state)
{
	(void)state;
	send(0);
	pass_ms(100);
	assert_int_equal(sents[0].answers, 0);
	assert_string_equal(told(&reader), "");
	assert_int_equal(inflight(), 1); /* survivors of a crash look there */
	db_batch_stored(11);
	turn();
	assert_int_equal(sents[0].answers, 1);
	assert_string_equal(told_revs(&reader), "11");
	assert_int_equal(inflight(), 0);
}

static void test_refused_when_full(void **state)
{
	(void)state;
	is_db_connected = false;
	stand_set("persist.queue_max=2");
	send(0);
	send(1);
	assert_int_equal(try_send(2, ROOM), -ERR_FULL);
	assert_int_equal(sents[2].answers, 0);
	is_db_connected = true;
	turn();
	assert_int_equal(asked(ASK_BATCH)->n, 2);
	send(3); /* those under way do not fill the queue */
	db_batch_stored(11);
	db_batch_stored(13);
	assert_int_equal(sents[3].answers, 1);
}

static void test_waiting_too_long(void **state)
{
	(void)state;
	is_db_connected = false;
	send(0);
	now_ms += 3000;
	send(1);
	turn();
	assert_int_equal(asked_count(ASK_BATCH), 0);
	now_ms += 1999; /* persist.wait_max is 5 s */
	persist_expire(wk);
	assert_int_equal(sents[0].answers, 0);
	now_ms += 1;
	persist_expire(wk);
	assert_int_equal(sents[0].answers, 1);
	assert_int_equal(sents[0].error, E_UNAVAILABLE);
	assert_int_equal(sents[1].answers, 0);
	is_db_connected = true;
	turn();
	assert_int_equal(asked(ASK_BATCH)->n, 1); /* what was refused is not stored afterwards */
	expect_row(0, 1);
	db_batch_stored(11);
	assert_int_equal(sents[1].error, E_NONE);
}

/* The sender is told in time; what is committed late is announced all the same. */
static void test_late_answer(void **state)
{
	(void)state;
	send(0);
	turn();
	now_ms += 5000;
	persist_expire(wk);
	assert_int_equal(sents[0].answers, 1);
	assert_int_equal(sents[0].error, E_UNAVAILABLE);
	db_batch_stored(11);
	turns(2);
	assert_int_equal(sents[0].answers, 1);
	assert_string_equal(told_revs(&reader), "11");
}

/* PROTOCOL.md section 7: same key, same ack. */
static void test_duplicate_is_answered_and_not_announced(void **state)
{
	const struct batch_answer answer = {
		.status = BATCH_DUPLICATE, .conv = ROOM, .rev = 9, .seq = 8, .at_ms = STAND_AT_MS};

	uint64_t oldest, before, after;

	(void)state;
	publish(11); /* so this node has announced more than rev 9 */
	told_all(&reader);
	ring_bounds(wk->shm, &oldest, &before);
	send(0);
	turn();
	db_batch(&answer);
	turns(2);
	ring_bounds(wk->shm, &oldest, &after);
	assert_int_equal(after, before);
	assert_int_equal(sents[0].error, E_NONE);
	assert_true(sents[0].is_duplicate);
	assert_int_equal(sents[0].rev, 9);
	assert_string_equal(told_revs(&reader), "");
	assert_int_equal(asked_count(ASK_SETTLE), 0);
}

/* Stored by a worker that died before it announced: the duplicate makes this one do it. */
static void test_duplicate_that_was_never_announced(void **state)
{
	const struct batch_answer answer = {.status = BATCH_DUPLICATE,
					    .conv = ROOM,
					    .rev = 12,
					    .seq = 12,
					    .at_ms = STAND_AT_MS};

	(void)state;
	publish(11);
	send(0);
	turn();
	db_batch(&answer);
	assert_int_equal(asked(ASK_SETTLE)->conv, ROOM);
	db_settled(0);
	assert_int_equal(asked(ASK_EVENTS)->after, 11);
	db_events(12, 12);
	turns(2);
	assert_string_equal(told_revs(&reader), "11 12");
}

static void test_one_bad_row_is_refused_alone(void **state)
{
	struct batch_answer answers[3] = {
		{.status = BATCH_STORED, .conv = ROOM, .rev = 11, .seq = 11, .at_ms = STAND_AT_MS},
		{.status = BATCH_FAILED},
		{.status = BATCH_STORED, .conv = ROOM, .rev = 12, .seq = 12, .at_ms = STAND_AT_MS},
	};

	(void)state;
	for (int i = 0; i < 3; i++)
		send(i);
	turn();
	db_batch(answers);
	turns(2);
	assert_int_equal(sents[0].error, E_NONE);
	assert_int_equal(sents[1].error, E_INVALID);
	assert_int_equal(sents[2].error, E_NONE);
	assert_int_equal(sents[2].rev, 12);
	assert_string_equal(told_revs(&reader), "11 12");
	assert_int_equal(counted(M_MESSAGES_IN), 2);
}

static void test_refusals(void **state)
{
	const struct batch_answer answers[1] = {{.status = BATCH_NO_CONV}};

	(void)state;
	send(0);
	turn();
	db_batch(answers);
	assert_int_equal(sents[0].error, E_NO_SUCH_ROOM);
	assert_string_equal(told(&reader), "");
}

/*
 * The server has no room or no time: sends go again in their order, after a pause, until they are
 * late.
 */
static void test_server_trouble(void **state)
{
	const struct batch_answer answers[2] = {{.status = BATCH_UNSENT}, {.status = BATCH_UNSENT}};

	(void)state;
	send(0);
	send(1);
	turn();
	send(2);
	db_batch(answers);
	turns(2);
	assert_int_equal(asked_count(ASK_BATCH), 0); /* not at once */
	assert_int_equal(inflight(), 0);
	pass_ms(100);
	assert_int_equal(asked(ASK_BATCH)->n, 3);
	for (int i = 0; i < 3; i++)
		expect_row((size_t)i, i);
	db_batch_stored(11);
	assert_string_equal(told_revs(&reader), "11 12 13");
	for (int i = 0; i < 3; i++)
		assert_int_equal(sents[i].error, E_NONE);
	send(3);
	turn();
	now_ms += 5000;
	db_batch(answers);
	assert_int_equal(sents[3].answers, 1);
	assert_int_equal(sents[3].error, E_UNAVAILABLE);
	pass_ms(2000);
	assert_int_equal(asked_count(ASK_BATCH), 0); /* a refused one is not stored afterwards */
}

/* Senders hear when their time is over, not with the next second's look. */
static void test_senders_hear_in_time(void **state)
{
	(void)state;
	send(0);
	turn();
	pass_ms(4999);
	assert_int_equal(sents[0].answers, 0);
	pass_ms(1);
	assert_int_equal(sents[0].answers, 1);
	assert_int_equal(sents[0].error, E_UNAVAILABLE);
	db_batch_stored(11);
	turn();
	assert_string_equal(told_revs(&reader), "11");
}

/* ---- Changes ---- */

static void change(int i, int64_t actor, enum kind kind)
{
	const struct log_change c = {
		.kind = kind, .conv = ROOM, .actor = actor, .target_rev = 3, .key = STR("x")};

	assert_int_equal(persist_change(wk, &c, STR("Dora"), NULL, on_done, &sents[i]), 0);
	assert_int_equal(sents[i].answers, 0);
}

/* Of the largest round each conversation is noted, also one that has no members here. */
static void test_largest_round_is_noted(void **state)
{
	(void)state;
	stand_set("persist.batch_max=4096");
	for (int i = 0; i < 4096; i++)
		assert_int_equal(try_send(0, 1000 + i), 0);
	change(1, 8, KIND_MESSAGE_EDIT);
	turn();
	assert_int_equal(asked(ASK_BATCH)->n, 4096);
	assert_int_equal(inflight(), 4097);
	db_batch_stored(1);
	db_change(CHANGE_STORED, 11);
	assert_int_equal(inflight(), 0);
}

static void test_change_is_announced_after_its_commit(void **state)
{
	(void)state;
	change(0, 7, KIND_REACTION_SET);
	turn();
	assert_int_equal(inflight(), 1);
	assert_int_equal(sents[0].answers, 0);
	assert_false(uuid_is_zero(&asked(ASK_CHANGE)->change.client_msg_id));
	assert_int_equal(asked(ASK_CHANGE)->change.target_rev, 3);
	publish(11);
	db_change(CHANGE_STORED, 12);
	turn();
	assert_int_equal(inflight(), 0);
	assert_int_equal(sents[0].rev, 12);
	publish(13); /* delivered only if 12 came before it */
	assert_string_equal(told_revs(&reader), "11 13");
}

/* A change and a message of one person keep their order; others do not wait for them. */
static void test_changes_and_messages_in_order(void **state)
{
	(void)state;
	send(0);
	change(1, 7, KIND_MESSAGE_EDIT);
	send(2);
	change(3, 8, KIND_MESSAGE_EDIT);
	turn();
	assert_int_equal(asked(ASK_BATCH)->n, 1);
	expect_row(0, 0);
	assert_int_equal(asked_count(ASK_CHANGE), 1);
	assert_int_equal(asked(ASK_CHANGE)->change.actor, 8);
	db_batch_stored(11);
	assert_int_equal(asked_count(ASK_CHANGE), 1); /* rounds follow each other */
	db_change(CHANGE_STORED, 12);
	assert_int_equal(asked(ASK_CHANGE)->change.actor, 7);
	assert_int_equal(asked_count(ASK_BATCH), 0);
	db_change(CHANGE_STORED, 13);
	expect_row(0, 2);
	db_batch_stored(14);
	assert_true(persist_is_idle(wk));
	for (int i = 0; i < 4; i++)
		assert_int_equal(sents[i].answers, 1);
}

static void test_refused_changes(void **state)
{
	static const struct {
		enum log_change_status status;
		enum proto_error error;
	} cases[] = {
		{CHANGE_UNCHANGED, E_NONE},	{CHANGE_NO_CONV, E_NO_SUCH_ROOM},
		{CHANGE_NO_TARGET, E_NOT_FOUND}, {CHANGE_DENIED, E_FORBIDDEN},
		{CHANGE_GONE, E_GONE},		{CHANGE_CONFLICT, E_CONFLICT},
		{CHANGE_FAILED, E_INVALID},	{CHANGE_DELETED, E_MESSAGE_DELETED},
		{CHANGE_UNSEEN, E_CHANGED},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		change((int)i, 7, KIND_MESSAGE_DELETE);
		turn();
		db_change(cases[i].status, 0);
		assert_int_equal(sents[i].answers, 1);
		assert_int_equal(sents[i].error, cases[i].error);
	}
	assert_true(persist_is_idle(wk));
	assert_string_equal(told(&reader), "");
	assert_int_equal(asked_count(ASK_SETTLE), 0);
}

/* Stored or not: the sender is refused, and what the log holds is announced by asking it. */
static void test_change_of_unknown_fate(void **state)
{
	int64_t convs[4];
	bool is_all;

	(void)state;
	publish(11);
	change(0, 7, KIND_REACTION_SET);
	turn();
	db_change(CHANGE_UNKNOWN, 0);
	assert_int_equal(sents[0].error, E_UNAVAILABLE);
	assert_int_equal(inflight(), 0);
	/* should this worker die now, its heir knows */
	assert_int_equal(recover_inherited(wk->shm, 0, convs, 4, &is_all), 1);
	assert_int_equal(convs[0], ROOM);
	db_settled(0);
	assert_int_equal(asked(ASK_EVENTS)->after, 11);
	assert_int_equal(recover_inherited(wk->shm, 0, convs, 4, &is_all), 1);
	db_events(12, 12);
	assert_int_equal(recover_inherited(wk->shm, 0, convs, 4, &is_all), 0);
	turn();
	assert_string_equal(told_revs(&reader), "11 12");
}

static void test_change_goes_again(void **state)
{
	struct uuid key;

	(void)state;
	change(0, 7, KIND_MESSAGE_EDIT);
	turn();
	key = asked(ASK_CHANGE)->change.client_msg_id;
	db_change(CHANGE_UNSENT, 0);
	assert_int_equal(sents[0].answers, 0);
	pass_ms(100);
	assert_memory_equal(&asked(ASK_CHANGE)->change.client_msg_id, &key, sizeof(key));
	db_change(CHANGE_STORED, 11);
	assert_int_equal(sents[0].answers, 1);
	assert_int_equal(sents[0].error, E_NONE);
}

/* Senders hear in time also when messages of a failed round are newer than its changes. */
static void test_older_changes_hear_in_time(void **state)
{
	const struct batch_answer unsent = {.status = BATCH_UNSENT};

	(void)state;
	is_db_connected = false;
	change(0, 8, KIND_MESSAGE_EDIT);
	pass_ms(4000);
	send(1);
	is_db_connected = true;
	turn();
	db_batch(&unsent);
	db_change(CHANGE_UNSENT, 0);
	is_db_connected = false;
	pass_ms(1000);
	assert_int_equal(sents[0].answers, 1);
	assert_int_equal(sents[0].error, E_UNAVAILABLE);
	assert_int_equal(sents[1].answers, 0);
	pass_ms(4000);
	assert_int_equal(sents[1].answers, 1);
}

/* Stored by a worker that died before it announced. */
static void test_duplicate_change_is_ensured(void **state)
{
	(void)state;
	publish(11);
	change(0, 7, KIND_MESSAGE_EDIT);
	turn();
	db_change(CHANGE_DUPLICATE, 12);
	assert_true(sents[0].is_duplicate);
	assert_int_equal(sents[0].rev, 12);
	assert_int_equal(asked_count(ASK_SETTLE), 1);
}

/* Nobody knows whether it was stored: the sender tries again, the log is asked. */
static void test_unknown_outcome(void **state)
{
	const struct batch_answer answer = {.status = BATCH_UNKNOWN};

	(void)state;
	publish(11);
	send(0);
	turn();
	db_batch(&answer);
	assert_int_equal(sents[0].error, E_UNAVAILABLE);
	db_settled(0);
	db_events(12, 12);
	turns(2);
	assert_string_equal(told_revs(&reader), "11 12");
}

/* Worker 1 stands still with the ring's lock in hand, while time passes. */
static atomic_bool is_locked, is_released;

static int hold_ring(void *arg)
{
	(void)arg;
	assert_int_equal(lock_take(wk->shm, LOCK_RING, 0, 1, UINT64_MAX), 0);
	atomic_store(&is_locked, true);
	while (!atomic_load(&is_released)) {
		now_ms += 10;
		thrd_yield();
	}
	lock_drop(wk->shm, LOCK_RING, 0, 1);
	return 0;
}

/* What is committed and cannot be announced is left to the heir. */
static void test_ring_that_cannot_be_written(void **state)
{
	int64_t convs[4];
	bool is_all;
	thrd_t thread;

	(void)state;
	send(0);
	turn();
	atomic_store(&is_locked, false);
	atomic_store(&is_released, false);
	assert_int_equal(thrd_create(&thread, hold_ring, NULL), thrd_success);
	while (!atomic_load(&is_locked))
		thrd_yield();
	db_batch_stored(11);
	fanout_republish(wk, ROOM); /* an attempt that fails likewise */
	db_settled(0);
	db_room(11, 11);
	db_events(11, 11);
	atomic_store(&is_released, true);
	assert_int_equal(thrd_join(thread, NULL), thrd_success);
	assert_int_equal(wk->exit_code, WORKER_EXIT_SHM);
	assert_int_equal(recover_inherited(wk->shm, 0, convs, 4, &is_all), 1);
	assert_int_equal(convs[0], ROOM);
}

static void test_delay(void **state)
{
	(void)state;
	stand_set("persist.delay=20ms");
	stand_set("persist.batch_max=3");
	send(0);
	pass_ms(19);
	assert_int_equal(asked_count(ASK_BATCH), 0);
	pass_ms(1);
	assert_int_equal(asked(ASK_BATCH)->n, 1);
	db_batch_stored(11);
	for (int i = 1; i < 4; i++)
		send(i);
	turn();
	assert_int_equal(asked(ASK_BATCH)->n, 3); /* a full batch does not wait */
	db_batch_stored(12);
}

static void test_keys_are_given_once(void **state)
{
	(void)state;
	send(0);
	send(1);
	turn();
	assert_false(uuid_is_zero(&asked(ASK_BATCH)->rows[0].client_msg_id));
	assert_memory_not_equal(&asked(ASK_BATCH)->rows[0].client_msg_id,
				&asked(ASK_BATCH)->rows[1].client_msg_id, sizeof(struct uuid));
	db_batch_stored(11);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_gathers_while_one_is_under_way),
		T(test_batch_max),
		T(test_nothing_before_the_commit),
		T(test_refused_when_full),
		T(test_waiting_too_long),
		T(test_late_answer),
		T(test_duplicate_is_answered_and_not_announced),
		T(test_duplicate_that_was_never_announced),
		T(test_one_bad_row_is_refused_alone),
		T(test_refusals),
		T(test_server_trouble),
		T(test_senders_hear_in_time),
		T(test_largest_round_is_noted),
		T(test_change_is_announced_after_its_commit),
		T(test_changes_and_messages_in_order),
		T(test_refused_changes),
		T(test_change_of_unknown_fate),
		T(test_change_goes_again),
		T(test_older_changes_hear_in_time),
		T(test_duplicate_change_is_ensured),
		T(test_unknown_outcome),
		T(test_ring_that_cannot_be_written),
		T(test_delay),
		T(test_keys_are_given_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
