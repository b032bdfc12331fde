/* SPDX-License-Identifier: MIT */
/*
 * Tests of worker/deliver.c: an event is encoded once per dialect, a turn's frames leave in one
 * send, and a socket that is full gets the same bytes later and in order.
 */
#include "worker_fixture.h"

#include <sys/socket.h>
#include <unistd.h>

#include "worker/conn_out.h"
#include "worker/deliver.h"

static struct client a, b, native;

static int setup(void **state)
{
	stand_setup(state);
	enter_raw(&a, "Alice", 5, 10);
	enter_raw(&b, "Bob", 6, 10);
	enter_native(&native, "Nina", 8);
	say(&native, "{\"op\":\"sub\",\"id\":2,\"c\":42}");
	pass_ms(1000);
	told_all(&a);
	told_all(&b);
	told_all(&native);
	return 0;
}

static int teardown(void **state)
{
	client_close(&a);
	client_close(&b);
	client_close(&native);
	return stand_teardown(state);
}

static void publish_quietly(int64_t rev)
{
	const struct event ev = message(ROOM, rev);

	publish_as(1, &ev);
}

/* PROTOCOL.md section 4, S1, and section 6. */
static void test_frames_of_both_dialects(void **state)
{
	(void)state;
	publish(11);
	assert_string_equal(
		told(&a), "{\"type\":\"message\",\"id\":\"180388626443\",\"room_id\":42,"
			  "\"username\":\"Dora\",\"content\":\"m11\","
			  "\"created_at\":\"2026-01-02T03:04:05.678Z\",\"seq\":11,\"rev\":11}");
	assert_contains(str_of(told(&native)),
			"{\"op\":\"ev\",\"c\":42,\"rev\":11,\"t\":\"message.new\",\"d\":{");
	assert_string_equal(told(&a), "");
	assert_string_equal(told(&native), "");
}

static void test_encoded_once_per_dialect(void **state)
{
	int64_t raw = counted(M_ENCODES_RAW), nat = counted(M_ENCODES_NATIVE);

	(void)state;
	publish(11);
	assert_int_equal(counted(M_ENCODES_RAW), raw + 1); /* two receivers */
	assert_int_equal(counted(M_ENCODES_NATIVE), nat + 1);
	client_close(&native);
	publish(12);
	assert_int_equal(counted(M_ENCODES_RAW), raw + 2);
	assert_int_equal(counted(M_ENCODES_NATIVE), nat + 1); /* nobody left to encode for */
}

static void test_a_turn_is_one_send(void **state)
{
	int64_t sends = counted(M_SENDS);

	(void)state;
	for (int64_t rev = 11; rev <= 20; rev++)
		publish_quietly(rev);
	turn();
	assert_int_equal(counted(M_SENDS), sends + 3);
	assert_string_equal(told_revs(&a), "11 12 13 14 15 16 17 18 19 20");
	assert_string_equal(told_revs(&b), "11 12 13 14 15 16 17 18 19 20");
	assert_string_equal(told_revs(&native), "11 12 13 14 15 16 17 18 19 20");
}

static uint32_t flags_of(const struct client *cl)
{
	struct conn *c = client_conn(cl);
	struct sub *sub = sub_find(c, ROOM);

	assert_int_equal(sub->state, SUB_LIVE);
	return sub->chan->sides[c->dialect].entries[sub->index].flags;
}

static struct event big(int64_t rev)
{
	static char text[6000];
	struct event ev = message(ROOM, rev);

	memset(text, 'x', sizeof(text));
	ev.content = (struct str){text, sizeof(text)};
	return ev;
}

static void fill(const struct client *cl, int64_t *rev)
{
	while (!client_conn(cl)->out) {
		for (int i = 0; i < 3; i++) { /* together more than a socket takes at once */
			struct event ev = big(++*rev);

			publish_as(1, &ev);
		}
		turns(2);
		told_all(&a);
		told_all(&native);
		assert_true(*rev < 2000);
	}
}

static char *revs_between(int64_t first, int64_t last)
{
	static char text[8192];
	size_t at = 0;

	for (int64_t rev = first; rev <= last; rev++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%lld", at ? " " : "",
				       (long long)rev);
	return text;
}

static void test_full_socket_gets_everything_in_order(void **state)
{
	int small = 4096;
	int64_t rev = 10;

	(void)state;
	setsockopt(client_conn(&b)->io.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	fill(&b, &rev);
	assert_int_equal(flags_of(&b), ENTRY_QUEUED);
	assert_int_equal(flags_of(&a), 0);
	for (int i = 0; i < 5; i++) {
		publish_quietly(++rev);
		turns(2);
		/* the others do not wait */
		assert_string_equal(told_revs(&a), revs_between(rev, rev));
	}
	for (int i = 0; i < 2000 && client_conn(&b)->out; i++) {
		static char got[300000];
		ssize_t n = recv(b.fd, got, sizeof(got), 0);

		if (n > 0)
			buf_add(&b.in, got, (size_t)n);
		turn();
	}
	assert_null(client_conn(&b)->out);
	assert_int_equal(flags_of(&b), 0);
	assert_string_equal(told_revs(&b), revs_between(11, rev));
	publish(++rev);
	assert_string_equal(told_revs(&b), revs_between(rev, rev));
}

/* Reads everything that has been queued for B; frames are kept for told(). */
static void read_all(struct client *cl)
{
	for (int idle = 0; idle < 20;) {
		static char got[300000];
		ssize_t n = recv(cl->fd, got, sizeof(got), MSG_DONTWAIT);

		if (n > 0)
			buf_add(&cl->in, got, (size_t)n);
		idle = n > 0 ? 0 : idle + 1;
		turn();
	}
}

static void publish_typing(bool on)
{
	const struct event ev = {
		.type = EVT_PRESENCE,
		.conv = ROOM,
		.at_ms = STAND_AT_MS,
		.actor = 7,
		.actor_name = STR("Dora"),
		.on = on,
	};

	publish_as(1, &ev);
	turns(2);
	told_all(&a);
	told_all(&native);
}

static void publish_big(int64_t *rev)
{
	struct event ev = big(++*rev);

	publish_as(1, &ev);
	turns(2);
	told_all(&a);
	told_all(&native);
}

/*
 * C14: the queue of a reader that stops is bounded in bytes; it is left out until it has read
 * what is queued, and then gets the rest, once and in order.
 */
static void test_behind_and_back(void **state)
{
	int small = 4096;
	int64_t rev = 10, committed;

	(void)state;
	stand_set("deliver.queue_max=65536");
	setsockopt(client_conn(&b)->io.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	while (sub_find(client_conn(&b), ROOM)->state == SUB_LIVE) {
		publish_big(&rev);
		assert_true(rev < 2000);
	}
	assert_int_equal(sub_find(client_conn(&b), ROOM)->state, SUB_BEHIND);
	assert_true(conn_queued(client_conn(&b)) <= 65536);
	committed = rev;
	for (int i = 0; i < 5; i++) { /* costs it nothing any more */
		size_t queued = conn_queued(client_conn(&b));

		publish_quietly(++rev);
		turns(2);
		assert_string_equal(told_revs(&a), revs_between(rev, rev));
		assert_int_equal(conn_queued(client_conn(&b)), queued);
	}
	assert_true(rev > committed);
	while (sub_find(client_conn(&b), ROOM)->state != SUB_LIVE) {
		read_all(&b);
		if (asked_count(ASK_EVENTS)) /* what the small ring of this stand has not */
			db_events(asked(ASK_EVENTS)->after + 1, rev);
	}
	read_all(&b);
	assert_string_equal(told_revs(&b), revs_between(11, rev));
	publish(++rev);
	assert_string_equal(told_revs(&b), revs_between(rev, rev));
	assert_int_equal(counted(M_BEHIND), 1);
	assert_int_equal(counted(M_CLOSED_SLOW), 0);
}

/* PROTOCOL.md section 6: native sockets are told. */
static void test_behind_is_said(void **state)
{
	int small = 4096;
	int64_t rev = 10;
	const char *text;

	(void)state;
	stand_set("deliver.queue_max=65536");
	setsockopt(client_conn(&native)->io.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	while (sub_find(client_conn(&native), ROOM)->state == SUB_LIVE) {
		struct event ev = big(++rev);

		publish_as(1, &ev);
		turns(2);
		told_all(&a);
		told_all(&b);
		assert_true(rev < 2000);
	}
	read_all(&native);
	text = told_until(&native, "\"op\":\"behind\"");
	assert_contains(str_of(text), "{\"op\":\"behind\",\"c\":42,\"rev\":");
	while (asked_count(ASK_EVENTS)) {
		db_events(asked(ASK_EVENTS)->after + 1, rev);
		read_all(&native);
	}
	told_until(&native, "{\"op\":\"live\",\"c\":42,\"rev\":"); /* answers nothing: no "re" */
}

static void publish_mark(enum event_type type, int64_t user, int64_t seq)
{
	const struct event ev = {
		.type = type, .conv = ROOM, .seq = seq, .at_ms = STAND_AT_MS, .actor = user};

	publish_as(1, &ev);
	turns(2);
}

/*
 * PROTOCOL.md section 7, 8: two workers that raise one user's mark may announce it the other way
 * round, in different turns. Seen red without deliver_mark_is_stale: the mark went back.
 */
static void test_marks_never_go_back(void **state)
{
	(void)state;
	publish_mark(EVT_READ, 7, 9);
	publish_mark(EVT_READ, 7, 8);
	publish_mark(EVT_DELIVERED, 7, 8); /* of another kind */
	publish_mark(EVT_READ, 8, 5);	   /* of somebody else */
	publish_mark(EVT_READ, 7, 10);
	assert_contains(str_of(told_until(&native, "\"t\":\"read\"")), "\"user\":7,\"seq\":9");
	assert_contains(str_of(told_until(&native, "\"op\"")), "\"t\":\"delivered\"");
	assert_contains(str_of(told_until(&native, "\"op\"")), "\"user\":8,\"seq\":5");
	assert_contains(str_of(told_until(&native, "\"op\"")), "\"user\":7,\"seq\":10");
}

/* C14: ephemeral events go first. */
static void test_ephemeral_first(void **state)
{
	int small = 4096;
	int64_t rev = 10, dropped;
	size_t queued;

	(void)state;
	stand_set("deliver.shed_at=16384");
	setsockopt(client_conn(&b)->io.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	while (conn_queued(client_conn(&b)) < 16384)
		publish_big(&rev);
	dropped = counted(M_DELIVERIES_DROPPED);
	queued = conn_queued(client_conn(&b));
	publish_typing(false);
	assert_int_equal(conn_queued(client_conn(&b)), queued);
	assert_true(counted(M_DELIVERIES_DROPPED) > dropped);
	publish_big(&rev); /* and messages do not */
	assert_true(conn_queued(client_conn(&b)) > queued + 6000);
	assert_int_equal(sub_find(client_conn(&b), ROOM)->state, SUB_LIVE);
	read_all(&b);
	pass_ms(1000);
	read_all(&b);
	/* the newest state makes it good */
	assert_contains(buf_str(&b.in), "\"type\":\"users_list\"");
	assert_string_equal(told_revs(&b), revs_between(11, rev));
}

/* PROTOCOL.md section 8: 4480 too slow, for whoever stays behind. Frames before it are whole. */
static void test_who_stays_behind_is_cut_off(void **state)
{
	int small = 4096;
	int64_t rev = 10, last = 10;
	const char *text = "";

	(void)state;
	stand_set("deliver.queue_max=65536");
	setsockopt(client_conn(&b)->io.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	while (sub_find(client_conn(&b), ROOM)->state == SUB_LIVE)
		publish_big(&rev);
	now_ms += 29999;
	conn_check_slow(wk);
	assert_int_equal(client_conn(&b)->state, CONN_WS);
	now_ms += 1;
	conn_check_slow(wk);
	assert_int_equal(counted(M_CLOSED_SLOW), 1);
	assert_int_equal(client_conn(&b)->n_subs, 0);
	for (int i = 0; i < 10000 && strncmp(text, "close ", 6) != 0; i++) {
		text = told(&b);
		turn();
		if (strstr(text, "\"type\":\"message\""))
			assert_int_equal(strtoll(strstr(text, "\"rev\":") + 6, NULL, 10), ++last);
	}
	assert_memory_equal(text, "close 4480 ", 11);
	assert_true(last > 10 && last < rev);
	turns(3);
	assert_string_equal(told(&b), "(end)");
	publish(++rev);
	assert_string_equal(told_revs(&a), revs_between(rev, rev));
}

/* It reads, but never enough to come back. */
static void test_who_reads_too_little_is_cut_off(void **state)
{
	static char some[20000];
	int small = 4096;
	int64_t rev = 10;

	(void)state;
	stand_set("deliver.queue_max=65536");
	setsockopt(client_conn(&b)->io.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	while (sub_find(client_conn(&b), ROOM)->state == SUB_LIVE)
		publish_big(&rev);
	for (int i = 0; i < 2; i++) {
		size_t queued = conn_queued(client_conn(&b));

		now_ms += 14000;
		conn_check_slow(wk);
		assert_int_equal(client_conn(&b)->state, CONN_WS);
		assert_true(recv(b.fd, some, sizeof(some), 0) > 0);
		turns(2);
		assert_true(conn_queued(client_conn(&b)) < queued);
	}
	now_ms += 2000;
	conn_check_slow(wk);
	assert_int_not_equal(client_conn(&b)->state, CONN_WS);
	assert_int_equal(counted(M_CLOSED_SLOW), 1);
}

static void test_reader_that_takes_nothing_for_long(void **state)
{
	int small = 4096;
	int64_t rev = 10;

	(void)state;
	setsockopt(client_conn(&b)->io.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	fill(&b, &rev);
	now_ms += 29999; /* deliver.behind_timeout is 30 s */
	conn_check_slow(wk);
	assert_int_equal(client_conn(&b)->state, CONN_WS);
	now_ms += 1;
	conn_check_slow(wk);
	assert_int_not_equal(client_conn(&b)->state, CONN_WS);
	assert_int_equal(counted(M_CLOSED_SLOW), 1);
}

/* The sender's answer and the room's frames of the same turn are one send. */
static void test_replies_leave_with_the_rooms_frames(void **state)
{
	int64_t sends;

	(void)state;
	say(&native, "{\"op\":\"send\",\"id\":3,\"c\":42,\"content\":\"hi\"}");
	sends = counted(M_SENDS);
	db_batch_stored(11);
	turns(2);
	assert_int_equal(counted(M_SENDS), sends + 3); /* one for each of the three sockets */
	assert_contains(str_of(told(&native)), "{\"op\":\"ok\",\"re\":3,");
	assert_string_equal(told_revs(&native), "11");
	assert_string_equal(told_revs(&a), "11");
	publish(12); /* nobody is left out afterwards */
	assert_string_equal(told_revs(&native), "12");
}

/* What was encoded before a receiver came is not for it. */
static void test_no_frames_from_before(void **state)
{
	struct client late;
	const char *sub = "{\"op\":\"sub\",\"id\":2,\"c\":42}", *text;

	(void)state;
	enter_native(&late, "Lena", 9);
	client_write(&late, 1, sub, strlen(sub));
	turn(); /* its arrival is on its way through the ring */
	assert_int_equal(sub_find(client_conn(&late), ROOM)->state, SUB_ENTERING);
	publish_quietly(11);
	turns(3);
	while (!strstr(text = told(&late), "\"op\":\"live\",\"re\":2,\"c\":42,\"rev\":11")) {
		assert_string_not_equal(text, "");
		assert_null(strstr(text, "\"op\":\"ev\""));
	}
	assert_string_equal(told_revs(&late), "");
	publish(12);
	assert_string_equal(told_revs(&late), "12");
	assert_string_equal(told_revs(&a), "11 12");
	client_close(&late);
}

static void test_broken_link_leaves_the_others(void **state)
{
	(void)state;
	close(b.fd);
	b.fd = -1;
	publish_quietly(11);
	turns(3);
	assert_null(client_conn(&b));
	assert_string_equal(told_revs(&a), "11");
	publish(12);
	assert_string_equal(told_revs(&a), "12");
	assert_int_equal(chan_find(wk, ROOM)->sides[DIALECT_RAW].n, 1);
}

/* A link that breaks while its socket goes back in the log: the others stay in the array. */
static void test_broken_link_at_a_rewind(void **state)
{
	const char resume[] = "{\"type\":\"resume\",\"rev\":10}";

	(void)state;
	client_write(&b, 9, "x", 1);
	client_write(&b, 1, resume, strlen(resume));
	close(b.fd);
	b.fd = -1;
	turns(3);
	assert_null(client_conn(&b));
	assert_int_equal(chan_find(wk, ROOM)->sides[DIALECT_RAW].n, 1);
	publish(11);
	assert_string_equal(told_revs(&a), "11");
}

/* Answers to many requests come together, more than fit, while the connection joins again. */
static void join_with_many_answers(bool has_rev, int64_t rev)
{
	struct conn *c = client_conn(&native);
	const struct cmd_id none = {0};

	chan_leave(sub_find(c, ROOM), CONN_END_BYE);
	for (int i = 0; i < 150; i++)
		ws_add_frame(conn_reply(c), WS_OP_PONG, STR("an answer that fills some space: ...."
							    "................................"));
	chan_join(c, ROOM, has_rev, rev, &none);
	turns(3);
}

/* Whoever is cut off for its replies as it would go live is in no array afterwards. */
static void test_cut_off_at_going_live(void **state)
{
	struct client other;
	int small = 4096;
	int64_t rev = 10;

	(void)state;
	enter_native(&other, "Nina", 8);
	say(&other, "{\"op\":\"sub\",\"id\":2,\"c\":42}");
	pass_ms(1000);
	stand_set("deliver.queue_max=65536");
	setsockopt(client_conn(&native)->io.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	while (sub_find(client_conn(&native), ROOM)->state == SUB_LIVE) {
		struct event ev = big(++rev);

		publish_as(1, &ev);
		turns(2);
		told_all(&a);
		told_all(&b);
		told_all(&other);
		assert_true(rev < 2000);
	}
	assert_int_equal(chan_find(wk, ROOM)->sides[DIALECT_NATIVE].n, 1);
	join_with_many_answers(false, 0);
	assert_int_equal(counted(M_CLOSED_SLOW), 1);
	assert_int_equal(chan_find(wk, ROOM)->sides[DIALECT_NATIVE].n, 1);
	publish(++rev);
	assert_string_equal(told_revs(&other), revs_between(rev, rev));
	client_close(&other);
}

/* The same in the middle of a catch-up: nothing is left of the subscription. */
static void test_cut_off_at_catching_up(void **state)
{
	struct client other;
	int small = 4096;
	int64_t rev = 10;

	(void)state;
	enter_native(&other, "Nina", 8);
	say(&other, "{\"op\":\"sub\",\"id\":2,\"c\":42}");
	pass_ms(1000);
	stand_set("deliver.queue_max=65536");
	setsockopt(client_conn(&native)->io.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	while (sub_find(client_conn(&native), ROOM)->state == SUB_LIVE) {
		struct event ev = big(++rev);

		publish_as(1, &ev);
		turns(2);
		told_all(&a);
		told_all(&b);
		told_all(&other);
		assert_true(rev < 2000);
	}
	join_with_many_answers(true, 5);
	assert_int_equal(counted(M_CLOSED_SLOW), 1);
	assert_true(list_empty(&wk->subs_waiting));
	client_close(&other);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_frames_of_both_dialects),
		T(test_encoded_once_per_dialect),
		T(test_a_turn_is_one_send),
		T(test_full_socket_gets_everything_in_order),
		T(test_behind_and_back),
		T(test_behind_is_said),
		T(test_marks_never_go_back),
		T(test_ephemeral_first),
		T(test_who_stays_behind_is_cut_off),
		T(test_replies_leave_with_the_rooms_frames),
		T(test_who_reads_too_little_is_cut_off),
		T(test_reader_that_takes_nothing_for_long),
		T(test_no_frames_from_before),
		T(test_broken_link_leaves_the_others),
		T(test_broken_link_at_a_rewind),
		T(test_cut_off_at_going_live),
		T(test_cut_off_at_catching_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
