/* SPDX-License-Identifier: MIT */
/*
 * Tests of worker/on_cmd.c: what each operation of both dialects answers (PROTOCOL.md sections 4
 * and 6).
 */
#include "worker_fixture.h"

#include "worker/deliver.h"
#include "worker/on_cmd.h"
#include "worker/on_priv.h"
#include "worker/presence.h"
#include "worker/ws_conn.h"

static struct client n, r;

static int setup(void **state)
{
	stand_setup(state);
	enter_raw(&r, "Alice", 5, 10);
	enter_native(&n, "Nina", 8);
	say(&n, "{\"op\":\"sub\",\"id\":2,\"c\":42}");
	pass_ms(1000);
	told_all(&n);
	told_all(&r);
	return 0;
}

static int teardown(void **state)
{
	client_close(&n);
	client_close(&r);
	return stand_teardown(state);
}

static void expect_err(const char *request, const char *code)
{
	char text[128];

	say(&n, request);
	snprintf(text, sizeof(text), "{\"op\":\"err\",\"re\":7,\"code\":\"%s\"", code);
	assert_contains(str_of(told(&n)), text);
	assert_string_equal(told(&n), "");
	assert_int_equal(client_conn(&n)->state, CONN_WS);
}

/* "unknown operations answered with an error, never by a close" (section 1) */
static void test_refusals(void **state)
{
	(void)state;
	expect_err("{\"op\":\"dance\",\"id\":7}", "unknown_op");
	expect_err("{\"op\":\"hello\",\"id\":7,\"name\":\"Other\"}", "conflict");
	expect_err("{\"op\":\"sub\",\"id\":7,\"c\":42}", "conflict");
	expect_err("{\"op\":\"unsub\",\"id\":7,\"c\":43}", "not_subscribed");
	expect_err("{\"op\":\"send\",\"id\":7,\"c\":43,\"content\":\"x\"}", "not_subscribed");
	expect_err("{\"op\":\"typing\",\"id\":7,\"c\":43,\"on\":true}", "not_subscribed");
	expect_err("{\"op\":\"send\",\"id\":7,\"c\":42,\"content\":\"\"}", "invalid");
}

static void test_not_before_hello(void **state)
{
	struct client early;

	(void)state;
	client_open(&early, DIALECT_NATIVE, 0);
	say(&early, "{\"op\":\"sub\",\"id\":3,\"c\":42}");
	assert_contains(str_of(told(&early)), "{\"op\":\"err\",\"re\":3,\"code\":\"unauthorized\"");
	assert_contains(str_of(told(&early)), "close 4401 ");
	client_close(&early);
}

/* Section 8: 4401 credentials that are not accepted. */
static void test_hello_with_a_token_only(void **state)
{
	struct client early;

	(void)state;
	client_open(&early, DIALECT_NATIVE, 0);
	say(&early, "{\"op\":\"hello\",\"id\":1,\"token\":\"x\"}");
	assert_contains(str_of(told(&early)), "\"code\":\"unauthorized\"");
	assert_contains(str_of(told(&early)), "close 4401 ");
	client_close(&early);
}

/* Section 8: 1013 overloaded, reconnect later. */
static void test_hello_without_the_database(void **state)
{
	struct client early;

	(void)state;
	client_open(&early, DIALECT_NATIVE, 0);
	say(&early, "{\"op\":\"hello\",\"id\":1,\"name\":\"Olga\"}");
	db_guest_error(-ERR_UNAVAILABLE);
	turn();
	assert_contains(str_of(told(&early)), "{\"op\":\"err\",\"re\":1,");
	assert_contains(str_of(told(&early)), "close 1013 ");
	client_close(&early);
}

static void test_welcome(void **state)
{
	struct client other;
	struct str text;

	(void)state;
	client_open(&other, DIALECT_NATIVE, 0);
	say(&other, "{\"op\":\"hello\",\"id\":\"x\",\"name\":\"Olga\"}");
	db_guest(9, "Olga");
	turn();
	text = str_of(told(&other));
	assert_contains(text, "{\"op\":\"welcome\",\"re\":\"x\",\"session\":\"");
	assert_contains(text, "\"ping\":25");
	assert_contains(text, "\"limits\":{");
	assert_contains(text, "\"name\":\"Olga\"");
	client_close(&other);
}

static void test_name_that_is_taken(void **state)
{
	struct client other;

	(void)state;
	client_open(&other, DIALECT_NATIVE, 0);
	say(&other, "{\"op\":\"hello\",\"id\":1,\"name\":\"Olga\"}");
	db_guest_error(-ERR_EXISTS);
	turn();
	assert_contains(str_of(told(&other)), "\"code\":\"name_taken\"");
	assert_contains(str_of(told(&other)), "close 4409 ");
	client_close(&other);
}

static void test_send(void **state)
{
	(void)state;
	say(&n, "{\"op\":\"send\",\"id\":3,\"c\":42,\"content\":\"hi\",\"reply_to\":null}");
	assert_int_equal(asked(ASK_BATCH)->n, 1);
	assert_int_equal(asked(ASK_BATCH)->rows[0].conv, ROOM);
	assert_int_equal(asked(ASK_BATCH)->rows[0].sender, 8);
	assert_text(asked(ASK_BATCH)->rows[0].content, "hi");
	assert_string_equal(told(&n), ""); /* ack after commit */
	db_batch_stored(11);
	turns(2);
	assert_contains(str_of(told_until(&n, "\"op\":\"ok\"")),
			"{\"op\":\"ok\",\"re\":3,\"message\":{\"id\":\"180388626443\"");
	assert_contains(str_of(told_until(&r, "\"type\":\"message\"")),
			"\"username\":\"Nina\",\"content\":\"hi\"");
}

/* Section 4: to all including the sender, with the sender's own client_id. */
static void test_raw_send(void **state)
{
	(void)state;
	say(&r, "{\"type\":\"message\",\"content\":\"hi\",\"client_id\":\"k1\"}");
	db_batch_stored(11);
	turns(2);
	assert_contains(str_of(told_until(&r, "\"type\":\"message\"")), "\"client_id\":\"k1\"");
	assert_contains(str_of(told_until(&n, "message.new")), "\"content\":\"hi\"");
}

static void test_raw_duplicate_is_confirmed_to_the_sender_alone(void **state)
{
	const struct batch_answer again = {.status = BATCH_DUPLICATE,
					   .conv = ROOM,
					   .content = STR("hi"),
					   .rev = 11,
					   .seq = 11,
					   .at_ms = STAND_AT_MS};

	(void)state;
	publish(11);
	told_all(&n);
	told_all(&r);
	say(&r, "{\"type\":\"message\",\"content\":\"hi\",\"client_id\":\"k1\"}");
	db_batch(&again);
	turns(2);
	assert_contains(str_of(told(&r)), "\"rev\":11,\"client_id\":\"k1\"");
	assert_string_equal(told(&r), "");
	assert_string_equal(told(&n), "");
}

/* The commit's first answer was lost: the room had the message before its sender was answered. */
static void test_raw_duplicate_that_is_news_comes_once(void **state)
{
	const struct batch_answer again = {.status = BATCH_DUPLICATE,
					   .conv = ROOM,
					   .content = STR("hi"),
					   .rev = 11,
					   .seq = 11,
					   .at_ms = STAND_AT_MS};

	(void)state;
	say(&r, "{\"type\":\"message\",\"content\":\"hi\",\"client_id\":\"k1\"}");
	publish(11);
	assert_contains(str_of(told(&r)), "\"rev\":11");
	db_batch(&again);
	turns(2);
	assert_string_equal(told(&r), "");
}

static void test_native_duplicate(void **state)
{
	const struct batch_answer again = {.status = BATCH_DUPLICATE,
					   .conv = ROOM,
					   .content = STR("hi"),
					   .rev = 11,
					   .seq = 11,
					   .at_ms = STAND_AT_MS};

	(void)state;
	publish(11);
	told_all(&n);
	say(&n, "{\"op\":\"send\",\"id\":3,\"c\":42,\"content\":\"hi\",\"k\":\"k1\"}");
	db_batch(&again);
	turns(2);
	assert_contains(str_of(told(&n)), "\"duplicate\":true");
}

/* It is tried again until persist.wait_max has passed. */
static void test_send_that_cannot_be_stored(void **state)
{
	const struct batch_answer unsent = {.status = BATCH_UNSENT};
	struct str text;

	(void)state;
	say(&r, "{\"type\":\"message\",\"content\":\"hi\",\"client_id\":\"k1\"}");
	now_ms += 60000;
	db_batch(&unsent);
	turn();
	text = str_of(told(&r));
	assert_contains(text, "{\"type\":\"error\",\"code\":\"unavailable\"");
	assert_contains(text, "\"retry_after\":");
	assert_contains(text, "\"client_id\":\"k1\""); /* names the message */
	say(&n, "{\"op\":\"send\",\"id\":7,\"c\":42,\"content\":\"x\"}");
	now_ms += 60000;
	db_batch(&unsent);
	turn();
	assert_contains(str_of(told(&n)), "{\"op\":\"err\",\"re\":7,\"code\":\"unavailable\"");
}

static void test_send_with_the_queue_full(void **state)
{
	(void)state;
	is_db_connected = false;
	stand_set("persist.queue_max=1");
	say(&n, "{\"op\":\"send\",\"id\":6,\"c\":42,\"content\":\"x\"}");
	expect_err("{\"op\":\"send\",\"id\":7,\"c\":42,\"content\":\"x\"}", "unavailable");
	is_db_connected = true;
	turn();
	db_batch_stored(11);
}

static void test_sender_that_has_gone(void **state)
{
	(void)state;
	say(&n, "{\"op\":\"send\",\"id\":3,\"c\":42,\"content\":\"hi\"}");
	client_close(&n);
	n.fd = -1;
	db_batch_stored(11);
	turns(2);
	assert_string_equal(told_revs(&r), "11");
}

/* RFC 6455 section 5.5.1: nothing is sent behind a close frame. */
static void test_sent_behind_the_close(void **state)
{
	(void)state;
	say(&n, "{\"op\":\"send\",\"id\":3,\"c\":42,\"content\":\"hi\"}");
	turns(3);
	ws_conn_close_code(client_conn(&n), 1000, "");
	turns(3);
	assert_contains(str_of(told(&n)), "close 1000");
	db_batch_stored(11);
	turns(3);
	assert_string_equal(told(&n), "");
}

static void test_unsub(void **state)
{
	(void)state;
	say(&n, "{\"op\":\"unsub\",\"id\":3,\"c\":42}");
	assert_string_equal(told(&n), "{\"op\":\"ok\",\"re\":3}");
	publish(11);
	assert_string_equal(told_revs(&n), "");
	assert_string_equal(told_revs(&r), "11");
}

static void test_subscriptions_max(void **state)
{
	(void)state;
	stand_set("websocket.subscriptions_max=1");
	expect_err("{\"op\":\"sub\",\"id\":7,\"c\":43}", "too_many_subscriptions");
}

/*
 * Scope "shared": only people in one's own conversations are told of, and what a question costs is
 * bounded by refusing it, not by leaving people out.
 */
static void test_presence_of_strangers(void **state)
{
	struct client other;
	struct buf text = BUF_INIT;

	(void)state;
	enter_native(&other, "Olga", 9);
	stand_set("presence.scope=shared");
	presence_look(wk);
	turns(2);
	told_all(&n);
	say(&n, "{\"op\":\"presence\",\"id\":7,\"users\":[9]}");
	assert_string_equal(told(&n), "{\"op\":\"ok\",\"re\":7,\"presence\":"
				      "[{\"u\":9,\"s\":\"offline\"}]}");
	say(&other, "{\"op\":\"sub\",\"id\":2,\"c\":42}");
	pass_ms(1000);
	told_all(&n);
	say(&n, "{\"op\":\"presence\",\"id\":7,\"users\":[9]}");
	assert_contains(str_of(told(&n)), "{\"u\":9,\"name\":\"Olga\",\"s\":\"online\"}");
	for (int conv = 100; conv < 149; conv++) {
		char sub[64];

		snprintf(sub, sizeof(sub), "{\"op\":\"sub\",\"id\":2,\"c\":%d}", conv);
		say(&n, sub);
		db_room(1, 1);
	}
	told_all(&n);
	buf_add_cstr(&text, "{\"op\":\"presence\",\"id\":7,\"users\":[9");
	for (int i = 0; i < 400; i++)
		buf_add_cstr(&text, ",9");
	buf_add_cstr(&text, "]}");
	client_frame(&n, 1, text.p, text.len);
	assert_contains(str_of(told_until(&n, "\"op\":\"err\"")), "\"field\":\"users\"");
	buf_done(&text);
	client_close(&other);
}

static void test_pings(void **state)
{
	(void)state;
	say(&n, "{\"op\":\"ping\",\"id\":\"a\"}");
	assert_contains(str_of(told(&n)), "{\"op\":\"pong\",\"re\":\"a\",\"cursor\":\"");
	say(&r, "{\"type\":\"ping\"}");
	assert_string_equal(told(&r), "{\"type\":\"pong\"}");
}

/* ---- Changes and marks ---- */

static void test_a_change_is_answered_after_the_commit(void **state)
{
	(void)state;
	say(&n, "{\"op\":\"edit\",\"id\":3,\"c\":42,\"rev\":4,\"content\":\"new\"}");
	assert_int_equal(asked(ASK_CHANGE)->change.actor, 8);
	assert_int_equal(asked(ASK_CHANGE)->change.target_rev, 4);
	assert_string_equal(told(&n), "");
	db_change(CHANGE_STORED, 11);
	turns(2);
	assert_contains(str_of(told_until(&n, "\"op\":\"ok\"")),
			"{\"op\":\"ok\",\"re\":3,\"c\":42,\"rev\":11,\"id\":\"180388626436\"");
}

static void test_a_change_that_is_refused(void **state)
{
	static const struct {
		enum log_change_status status;
		const char *code;
	} rows[] = {
		{CHANGE_NO_CONV, "no_such_room"}, {CHANGE_NO_TARGET, "not_found"},
		{CHANGE_DENIED, "forbidden"},	  {CHANGE_CONFLICT, "conflict"},
		{CHANGE_FAILED, "invalid"},	  {CHANGE_DELETED, "message_deleted"},
		{CHANGE_UNSEEN, "changed"},
	};
	char text[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		say(&n, "{\"op\":\"delete\",\"id\":3,\"c\":42,\"rev\":4}");
		db_change(rows[i].status, 0);
		turns(2);
		snprintf(text, sizeof(text), "{\"op\":\"err\",\"re\":3,\"code\":\"%s\"",
			 rows[i].code);
		assert_contains(str_of(told(&n)), text);
		assert_int_equal(client_conn(&n)->state, CONN_WS);
	}
}

/* Section 6: state, no rev; the newest value wins. */
static void test_a_mark_is_told_to_everybody(void **state)
{
	(void)state;
	say(&n, "{\"op\":\"read\",\"id\":3,\"c\":42,\"seq\":9}");
	assert_int_equal(asked(ASK_MARK)->user, 8);
	assert_int_equal(asked(ASK_MARK)->after, 9);
	assert_int_equal(asked(ASK_MARK)->limit, MARK_READ);
	db_mark(0, 9, 1, true);
	turns(2);
	assert_string_equal(told_until(&n, "\"op\":\"ok\""),
			    "{\"op\":\"ok\",\"re\":3,\"c\":42,\"seq\":9,\"unread\":1}");
	assert_string_equal(
		told_until(&n, "\"t\":\"read\""),
		"{\"op\":\"eph\",\"c\":42,\"t\":\"read\",\"d\":{\"user\":8,\"seq\":9}}");
	say(&n, "{\"op\":\"delivered\",\"c\":42,\"seq\":5}"); /* without an id: no answer */
	assert_int_equal(asked(ASK_MARK)->limit, MARK_DELIVERED);
	db_mark(0, 9, 1, false);
	turns(2);
	assert_string_equal(told(&n), "");
}

static void test_marks_that_fail(void **state)
{
	(void)state;
	say(&n, "{\"op\":\"read\",\"id\":7,\"c\":42,\"seq\":9}");
	db_mark(-ERR_UNAVAILABLE, 0, 0, false);
	assert_contains(str_of(told(&n)), "\"re\":7,\"code\":\"unavailable\"");
	say(&n, "{\"op\":\"read\",\"id\":7,\"c\":42,\"seq\":9}");
	db_mark(-ERR_NOENT, 0, 0, false);
	assert_contains(str_of(told(&n)), "\"re\":7,\"code\":\"no_such_room\"");
}

/* What was read is said up to the seq of "live", and events do not wait for it. */
static void test_live_waits_for_the_counter(void **state)
{
	struct client other;

	(void)state;
	enter_native(&other, "Olga", 9);
	told_all(&other);
	stand_marks.is_held = true;
	stand_marks.unread = 3;
	stand_marks.seq = 10;
	say(&other, "{\"op\":\"sub\",\"id\":2,\"c\":42}");
	turns(3);
	publish(11);
	turns(2);
	told_until(&other, "\"rev\":11");
	db_unread(0);
	assert_contains(str_of(told_until(&other, "\"op\":\"live\"")),
			"{\"op\":\"live\",\"re\":2,\"c\":42,\"rev\":11,\"seq\":11,\"unread\":4");
	client_close(&other);
}

/*
 * The list of a room goes out together with "live", or in front of what comes before that (seen red
 * without the mark on the receiver: the message overtook the list).
 */
static void test_list_waits_for_live(void **state)
{
	struct client first, other;

	(void)state;
	enter_native(&first, "Olga", 9);
	say(&first, "{\"op\":\"sub\",\"id\":2,\"c\":42}");
	turns(3); /* her arrival is told, and is not again */
	enter_native(&other, "Olga", 9);
	told_all(&other);
	stand_marks.is_held = true;
	say(&other, "{\"op\":\"sub\",\"id\":2,\"c\":42}");
	turns(3);
	assert_string_equal(told(&other), "");
	db_unread(0);
	turns(2);
	assert_contains(str_of(told(&other)), "\"t\":\"roster\"");
	assert_contains(str_of(told(&other)), "\"op\":\"live\"");
	say(&other, "{\"op\":\"unsub\",\"id\":3,\"c\":42}");
	told_all(&other);
	say(&other, "{\"op\":\"sub\",\"id\":4,\"c\":42}");
	turns(3);
	publish(11);
	turns(2);
	assert_contains(str_of(told(&other)), "\"t\":\"roster\"");
	assert_contains(str_of(told(&other)), "\"rev\":11");
	assert_string_equal(told(&other), "");
	db_unread(0);
	turns(2);
	assert_contains(str_of(told(&other)), "\"op\":\"live\"");
	client_close(&first);
	client_close(&other);
}

/*
 * "live" says how far its reader is: no later event may come before it, not even when the room's
 * events go out while it is still with the replies, as they do when another reader goes live. Seen
 * red without deliver_after_replies.
 */
static void test_live_comes_before_what_is_later(void **state UNUSED)
{
	const struct event later = message(ROOM, 11);
	const struct cmd_id re = {1, "2"};
	struct client cl;
	struct sub *sub;

	enter_native(&cl, "Olga", 9);
	say(&cl, "{\"op\":\"sub\",\"id\":2,\"c\":42}");
	turns(3);
	told_all(&cl);
	sub = client_conn(&cl)->subs;
	sub_say_live(sub, &re, 0);
	deliver_event(sub->chan, &later);
	deliver_flush(sub->chan);
	turn();
	assert_contains(str_of(told(&cl)), "\"op\":\"live\",\"re\":2,\"c\":42,\"rev\":10");
	assert_contains(str_of(told(&cl)), "\"rev\":11,\"t\":\"message.new\"");
	client_close(&cl);
}

static void test_marks_of_others_come_before_live(void **state)
{
	const struct mark_row rows[] = {{.user = 5, .read_seq = 4, .delivered_seq = 6}};
	struct client other;

	(void)state;
	enter_native(&other, "Olga", 9);
	told_all(&other);
	stand_marks.rows = rows;
	stand_marks.n = 1;
	say(&other, "{\"op\":\"sub\",\"id\":2,\"c\":42,\"rev\":10}");
	turns(3);
	assert_int_equal(stand_marks.after, 10);
	told_until(&other, "\"t\":\"delivered\",\"d\":{\"user\":5,\"seq\":6}");
	told_until(&other, "\"t\":\"read\",\"d\":{\"user\":5,\"seq\":4}");
	told_until(&other, "\"op\":\"live\"");
	client_close(&other);
}

/*
 * What a turn confirms is asked for at once, whosever it is: resumed conversations, and everybody
 * after a restart. (Seen red with two questions for each.)
 */
static void test_one_question_for_many(void **state)
{
	struct client others[2];
	struct buf text = BUF_INIT;
	char sub[64];
	int lives = 0;

	(void)state;
	for (int i = 0; i < 2; i++) {
		snprintf(sub, sizeof(sub), "Olga%d", i);
		enter_native(&others[i], sub, 20 + i);
	}
	for (int conv = 100; conv < 110; conv++) { /* the node knows them then */
		snprintf(sub, sizeof(sub), "{\"op\":\"sub\",\"c\":%d}", conv);
		say(&n, sub);
		db_room(10, 10);
		buf_printf(&text, "%c{\"op\":\"sub\",\"c\":%d,\"rev\":10}",
			   conv == 100 ? '[' : ',', conv);
	}
	buf_add_char(&text, ']');
	turns(3);
	stand_marks.questions = 0;
	for (int i = 0; i < 2; i++)
		client_write(&others[i], 1, (char *)text.p, text.len);
	turns(5);
	assert_in_range(stand_marks.questions, 2, 4);
	for (int i = 0; i < 2; i++)
		for (const char *frame; *(frame = told(&others[i]));)
			lives += strstr(frame, "\"op\":\"live\"") != NULL;
	assert_int_equal(lives, 20);
	buf_done(&text);
	for (int i = 0; i < 2; i++)
		client_close(&others[i]);
}

/* More than one question takes: the others wait, and not all questions are put at once. */
static void test_questions_are_bounded(void **state)
{
	struct client other;
	char sub[64];
	int lives = 0;

	(void)state;
	enter_native(&other, "Olga", 9);
	stand_marks.is_held = true;
	for (int conv = 100; conv < 120; conv++) {
		snprintf(sub, sizeof(sub), "{\"op\":\"sub\",\"c\":%d}", conv);
		say(&other, sub);
		db_room(10, 10);
		turns(2);
	}
	assert_int_equal(asked_count(ASK_UNREAD), 4);
	for (int i = 0; i < 4; i++)
		db_unread(0);
	turns(2);
	assert_int_equal(asked_count(ASK_UNREAD), 1); /* for the sixteen others */
	assert_int_equal(asked(ASK_UNREAD)->n, 16);
	db_unread(0);
	turns(2);
	for (const char *frame; *(frame = told(&other));)
		lives += strstr(frame, "\"op\":\"live\"") != NULL;
	assert_int_equal(lives, 20);
	client_close(&other);
}

/*
 * What the database did not tell is left out of "live": 0 would be a lie, whichever of the two
 * questions failed, or none was asked.
 */
static void test_live_does_not_guess(void **state)
{
	static const char live[] = "{\"op\":\"live\",\"re\":2,\"c\":42,\"rev\":10,\"seq\":10,"
				   "\"members\":";
	struct client other;

	(void)state;
	enter_native(&other, "Olga", 9);
	for (int i = 0; i < 3; i++) {
		told_all(&other);
		stand_marks.is_held = i == 0;
		stand_marks.err = i == 1 ? -ERR_UNAVAILABLE : 0;
		is_db_connected = i != 2;
		say(&other, "{\"op\":\"sub\",\"id\":2,\"c\":42,\"rev\":10}");
		turns(3);
		if (i == 0)
			db_unread(-ERR_UNAVAILABLE);
		assert_contains(str_of(told_until(&other, "\"op\":\"live\"")), live);
		say(&other, "{\"op\":\"unsub\",\"id\":3,\"c\":42}");
		turns(2);
	}
	client_close(&other);
}

/* Who speaks is asked for once, even when a frame says hello twice. */
static void test_two_hellos_in_one_frame(void **state)
{
	struct client twice;

	(void)state;
	client_open(&twice, DIALECT_NATIVE, 0);
	say(&twice, "[{\"op\":\"hello\",\"id\":1,\"name\":\"Ada\"},"
		    "{\"op\":\"hello\",\"id\":2,\"name\":\"Bob\"}]");
	turn();
	assert_int_equal(asked_count(ASK_GUEST), 1);
	db_guest(20, "Ada");
	turn();
	assert_contains(str_of(told(&twice)), "{\"op\":\"welcome\",\"re\":1");
	assert_contains(str_of(told(&twice)), "{\"op\":\"err\",\"re\":2,\"code\":\"conflict\"");
	assert_int_equal(asked_count(ASK_GUEST), 0);
	client_close(&twice);
}

/* Section 5: 50, up to 200. */
static void test_history(void **state)
{
	(void)state;
	say(&n, "{\"op\":\"history\",\"id\":3,\"c\":42,\"before\":9}");
	assert_int_equal(asked(ASK_PAGE)->conv, ROOM);
	assert_int_equal(asked(ASK_PAGE)->after, -9);
	assert_int_equal(asked(ASK_PAGE)->limit, 50);
	db_page(0, "{\"messages\":[],\"rev\":10}");
	assert_contains(str_of(told(&n)),
			"{\"op\":\"ok\",\"re\":3,\"c\":42,\"messages\":[],\"rev\":10}");
	say(&n, "{\"op\":\"history\",\"id\":3,\"c\":42,\"after\":9,\"limit\":200}");
	assert_int_equal(asked(ASK_PAGE)->after, 9);
	assert_int_equal(asked(ASK_PAGE)->limit, 200);
	db_page(-ERR_UNAVAILABLE, "");
	assert_contains(str_of(told(&n)), "\"re\":3,\"code\":\"unavailable\"");
	say(&n, "{\"op\":\"history\",\"id\":4,\"c\":99}");
	db_page(-ERR_NOENT, "");
	assert_contains(str_of(told(&n)), "\"re\":4,\"code\":\"not_found\"");
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_refusals),
		T(test_not_before_hello),
		T(test_hello_with_a_token_only),
		T(test_hello_without_the_database),
		T(test_welcome),
		T(test_name_that_is_taken),
		T(test_send),
		T(test_raw_send),
		T(test_raw_duplicate_is_confirmed_to_the_sender_alone),
		T(test_raw_duplicate_that_is_news_comes_once),
		T(test_native_duplicate),
		T(test_send_that_cannot_be_stored),
		T(test_send_with_the_queue_full),
		T(test_sender_that_has_gone),
		T(test_sent_behind_the_close),
		T(test_unsub),
		T(test_subscriptions_max),
		T(test_presence_of_strangers),
		T(test_pings),
		T(test_a_change_is_answered_after_the_commit),
		T(test_a_change_that_is_refused),
		T(test_a_mark_is_told_to_everybody),
		T(test_marks_that_fail),
		T(test_live_waits_for_the_counter),
		T(test_marks_of_others_come_before_live),
		T(test_list_waits_for_live),
		T(test_live_comes_before_what_is_later),
		T(test_one_question_for_many),
		T(test_questions_are_bounded),
		T(test_live_does_not_guess),
		T(test_two_hellos_in_one_frame),
		T(test_history),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
