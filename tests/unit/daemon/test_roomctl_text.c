/* SPDX-License-Identifier: MIT */
/*
 * The daemon's answers as text (daemon/roomctl_text.c).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "daemon/roomctl_text.h"

static struct buf out;

static int tear_down(void **state)
{
	(void)state;
	buf_done(&out);
	return 0;
}

static const char *taken(void)
{
	buf_add_char(&out, '\0');
	return (char *)out.p;
}

static const char *print(enum roomctl_id id, const char *answer)
{
	buf_clear(&out);
	assert_int_equal(roomctl_text_print(id, str_of(answer), &out), 0);
	return taken();
}

static const char *align(const char *tabbed)
{
	buf_clear(&out);
	roomctl_text_align(str_of(tabbed), &out);
	return taken();
}

static void test_columns(void **state)
{
	(void)state;
	assert_string_equal(align(""), "");
	assert_string_equal(align("a\tb\n"), "a  b\n");
	assert_string_equal(align("a\tb\nlong\tc\n"), "a     b\nlong  c\n");
	assert_string_equal(align("a\t\tc\nb\tx\ty\n"), "a     c\nb  x  y\n");
	assert_string_equal(align("a\t\t\nb\tx\ty\n"), "a\nb  x  y\n");
	assert_string_equal(align("a\n\nb\n"), "a\n\nb\n");
	/* a long last cell widens nothing, and letters count, not bytes */
	assert_string_equal(align("\xc3\xa4\tb\nlast of its row\nab\tc\n"),
			    "\xc3\xa4   b\nlast of its row\nab  c\n");
	assert_string_equal(align("no end"), "no end\n");
	assert_string_equal(align("1\t2\t3\t4\t5\t6\t7\t8\t9\t0\t1\t2\t3\t4\t5\t6\t7\t8\n"),
			    "1  2  3  4  5  6  7  8  9  0  1  2  3  4  5  6  7  8\n");
}

static void test_judge(void **state)
{
	(void)state;
	buf_clear(&out);
	assert_int_equal(roomctl_text_judge(STR("{\"rooms\":[]}"), &out), 0);
	assert_int_equal(roomctl_text_judge(STR("{\"ok\":true}"), &out), 0);
	assert_int_equal(roomctl_text_judge(STR("# HELP x\n"), &out), 0);
	assert_int_equal(roomctl_text_judge(STR("[1]"), &out), 0);
	assert_int_equal(roomctl_text_judge(STR("{\"ok\":false}"), &out), -ERR_INVAL);
	assert_int_equal(out.len, 0);
	assert_int_equal(roomctl_text_judge(STR("{\"error\":\"no \\u001b way\"}"), &out),
			 -ERR_DENIED);
	assert_string_equal(taken(), "no ? way");
}

static void test_room_show(void **state)
{
	(void)state;
	assert_string_equal(
		print(ROOMCTL_ROOM_SHOW,
		      "{\"conversation\":42,\"room\":\"conversation_42\",\"connections\":3,"
		      "\"members\":2,\"published_rev\":7,"
		      "\"closed\":false,\"workers\":[0,1],\"users\":[{\"id\":1,\"name\":\"Alice\"},"
		      "{\"id\":2,\"name\":\"Bob\"}],\"typing\":[{\"id\":2,\"name\":\"Bob\"}]}"),
		"room         42\n"
		"socket.io    conversation_42\n"
		"connections  3\n"
		"users        2  1, 2\n"
		"names        2  Alice, Bob\n"
		"typing       1  Bob\n"
		"workers      2  0, 1\n"
		"revision     7\n"
		"state        open\n");
	assert_non_null(strstr(print(ROOMCTL_ROOM_SHOW, "{\"closed\":true}"), "deleted"));
}

static void test_names_are_harmless(void **state)
{
	const char *text = print(ROOMCTL_ROOM_SHOW,
				 "{\"users\":[{\"id\":1,\"name\":"
				 "\"a\\u001b[2Jb\\tc\\nstate\\u009bx\\u007f\xc2\xa0\"}]}");

	(void)state;
	assert_non_null(strstr(text, "names        1  a?[2Jb?c?state?x?\xc2\xa0\n"));
}

static void test_room_list(void **state)
{
	(void)state;
	assert_string_equal(print(ROOMCTL_ROOM_LIST,
				  "{\"rooms\":[{\"conversation\":1000,\"connections\":20,"
				  "\"members\":3,\"published_rev\":4,"
				  "\"closed\":false,\"workers\":[0]},{\"conversation\":2,"
				  "\"connections\":1,\"members\":1,"
				  "\"published_rev\":0,\"closed\":true,\"workers\":[0,63]}]}"),
			    "ROOM  CONNECTIONS  USERS  REVISION  STATE    WORKERS\n"
			    "1000  20           3      4         open     0\n"
			    "2     1            1      0         deleted  0, 63\n");
}

static void test_status(void **state)
{
	(void)state;
	assert_string_equal(
		print(ROOMCTL_STATUS,
		      "{\"version\":\"1.2\",\"pid\":7,\"state\":\"running\",\"uptime_ms\":93784000,"
		      "\"sockets\":5,\"listen\":[\"127.0.0.1:80\",\"[::1]:80\"],\"database\":{"
		      "\"schema\":"
		      "\"up to "
		      "date\",\"attempts\":1,\"connections\":4},\"workers\":[{\"slot\":0,\"pid\":8,"
		      "\"generation\":2,\"state\":\"ready\",\"age_ms\":61000,\"ring_behind\":9,"
		      "\"heartbeat_age_ms\":250},{\"slot\":1,\"pid\":0,\"generation\":1,\"state\":"
		      "\"waiting\"}]}"),
		"roomd     1.2\n"
		"pid       7\n"
		"state     running\n"
		"up        1 d 2 h\n"
		"listen    127.0.0.1:80, [::1]:80\n"
		"sockets   5\n"
		"schema    up to date\n"
		"database  4 connections\n"
		"\n"
		"WORKER    PID  GENERATION  STATE    UP         HEARTBEAT  RING LAG\n"
		"0         8    2           ready    1 min 1 s  250 ms     9 bytes\n"
		"1         0    1           waiting                        0 bytes\n");
}

static void test_orders(void **state)
{
	(void)state;
	assert_string_equal(
		print(ROOMCTL_RELOAD, "{\"ok\":true,\"applied\":[],\"restart\":[],\"faults\":[]}"),
		"nothing has changed\n");
	assert_string_equal(
		print(ROOMCTL_RELOAD, "{\"ok\":true,\"applied\":[\"a.b\"],\"restart\":[\"c.d\"]}"),
		"applied        a.b\nneeds restart  c.d\n");
	assert_string_equal(
		print(ROOMCTL_RELOAD, "{\"ok\":false,\"faults\":[\"f:1: x\"]}"),
		"fault  f:1: x\nthe configuration has faults: the old one stays in force\n");
	assert_string_equal(print(ROOMCTL_STOP, "{\"ok\":true,\"state\":\"stopping\"}"),
			    "stopping\n");
	assert_string_equal(print(ROOMCTL_LOG_LEVEL, "{\"ok\":true,\"level\":\"info\"}"),
			    "log level  info\n");
	assert_string_equal(print(ROOMCTL_METRICS, "# text\nas it is\n"), "# text\nas it is\n");
}

/* A daemon of another version may answer anything. */
static void test_odd_answers(void **state)
{
	(void)state;
	buf_clear(&out);
	for (int id = 0; id < ROOMCTL_COMMANDS; id++) {
		if (!roomctl_commands[id].asks_daemon || id == ROOMCTL_METRICS)
			continue;
		assert_int_equal(roomctl_text_print(id, STR(""), &out), -ERR_PROTO);
		assert_int_equal(roomctl_text_print(id, STR("[]"), &out), -ERR_PROTO);
		assert_int_equal(roomctl_text_print(id, STR("{\"a\":"), &out), -ERR_PROTO);
		assert_int_equal(out.len, 0);
		assert_int_equal(
			roomctl_text_print(id,
					   STR("{\"users\":5,\"rooms\":[1,null],\"workers\":{},"
					       "\"listen\":[[]],\"pid\":\"x\"}"),
					   &out),
			0);
		buf_clear(&out);
	}
}

static void test_accounts(void **state)
{
	(void)state;
	assert_string_equal(print(ROOMCTL_USER_PASSWD,
				  "{\"ok\":true,\"user\":\"ann\",\"done\":\"password set\","
				  "\"sessions_ended\":2}"),
			    "ann: password set, 2 sessions ended\n");
	assert_string_equal(print(ROOMCTL_USER_DISABLE,
				  "{\"user\":\"ann\",\"done\":\"disabled\",\"sessions_ended\":1}"),
			    "ann: disabled, 1 session ended\n");
	assert_string_equal(print(ROOMCTL_USER_ADD, "{\"user\":\"ann\",\"done\":\"added\"}"),
			    "ann: added\n");
	assert_string_equal(print(ROOMCTL_USER_LIST,
				  "{\"users\":[{\"id\":7,\"username\":\"ann\",\"is_admin\":true,"
				  "\"totp\":true,\"disabled_at\":null,\"sessions\":3,"
				  "\"last_seen_at\":\"2026-01-02\",\"email\":\"a@b\"},"
				  "{\"id\":10,\"username\":\"bob\",\"is_admin\":false,"
				  "\"totp\":false,\"disabled_at\":\"2026-01-01\",\"sessions\":0,"
				  "\"last_seen_at\":null,\"email\":null}]}"),
			    "ID  NAME  ROLE   TOTP  STATE     SESSIONS  LAST SEEN   EMAIL\n"
			    "7   ann   admin  on    active    3         2026-01-02  a@b\n"
			    "10  bob   user   off   disabled  0\n");
	assert_string_equal(print(ROOMCTL_USER_SESSIONS,
				  "{\"sessions\":[{\"id\":\"u-1\",\"kind\":\"cookie\","
				  "\"address\":\"192.0.2.1\",\"connectedAt\":\"t1\","
				  "\"last_seen_at\":\"t2\",\"device\":\"X\\u001b[2J\"}]}"),
			    "SESSION  KIND    ADDRESS    CONNECTED  LAST SEEN  DEVICE\n"
			    "u-1      cookie  192.0.2.1  t1         t2         X?[2J\n");
	assert_string_equal(print(ROOMCTL_USER_SHOW,
				  "{\"id\":7,\"uid\":\"u\",\"username\":\"ann\",\"email\":\"a@b\","
				  "\"full_name\":null,\"avatar_url\":null,\"created_at\":\"t\","
				  "\"is_disabled\":true,\"is_admin\":true,\"totp\":true,"
				  "\"has_password\":true}"),
			    "name       ann\nid         7\nuid        u\nemail      a@b\n"
			    "full name\navatar\ncreated    t\nrole       admin\npassword   set\n"
			    "totp       on\nstate      disabled\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_columns),	   cmocka_unit_test(test_judge),
		cmocka_unit_test(test_room_show),  cmocka_unit_test(test_names_are_harmless),
		cmocka_unit_test(test_room_list),  cmocka_unit_test(test_status),
		cmocka_unit_test(test_orders),	   cmocka_unit_test(test_odd_answers),
		cmocka_unit_test(test_accounts),
	};

	return cmocka_run_group_tests_name("roomctl_text", tests, NULL, tear_down);
}
