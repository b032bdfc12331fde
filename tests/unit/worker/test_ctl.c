/* SPDX-License-Identifier: MIT */
/*
 * Tests of worker/ctl.c: the operator's questions, and askers that do not read.
 */
#include "worker_fixture.h"

#include <sys/socket.h>
#include <unistd.h>

#include "shm/presence.h"
#include "shm/rooms.h"
#include "shm/typing.h"
#include "worker/ctl.h"

static int ends[2]; /* the asker reads from [0] */
static struct buf answer;

static int setup(void **state)
{
	stand_setup(state);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
	return 0;
}

static int teardown(void **state)
{
	close(ends[0]);
	close(ends[1]);
	buf_done(&answer);
	return stand_teardown(state);
}

static void read_some(void)
{
	ssize_t n;

	while ((n = read(ends[0], buf_reserve(&answer, 65536), 65536)) > 0)
		buf_commit(&answer, (size_t)n);
}

static struct str ask(const char *command)
{
	buf_clear(&answer);
	ctl_answer(wk, str_of(command), ends[1]);
	read_some();
	return buf_str(&answer);
}

static void fill_room(void)
{
	bool is;

	assert_int_equal(member_attach(wk->shm, 0, ROOM, 5, STR("Ali\"ce"), &is), 0);
	assert_int_equal(member_attach(wk->shm, 1, ROOM, 5, STR("Ali\"ce"), &is), 0);
	assert_int_equal(typing_set(wk->shm, 0, ROOM, 5, STR("Ali\"ce"), now_ms + 1000, &is), 0);
	assert_int_equal(room_publish_rev(wk->shm, 0, ROOM, 17), 0);
}

static void test_room_show(void **state)
{
	(void)state;
	fill_room();
	assert_text(
		ask("room show 42"),
		"{\"conversation\":42,\"room\":\"conversation_42\","
		"\"connections\":2,\"members\":1,\"published_rev\":17,"
		"\"closed\":false,\"workers\":[0,1],\"users\":[{\"id\":5,\"name\":\"Ali\\\"ce\"}],"
		"\"typing\":[{\"id\":5,\"name\":\"Ali\\\"ce\"}]}\n");
}

static void test_room_that_nobody_is_in(void **state)
{
	(void)state;
	assert_text(ask("room show 43"),
		    "{\"conversation\":43,\"room\":\"conversation_43\","
		    "\"connections\":0,\"members\":0,\"published_rev\":0,"
		    "\"closed\":false,\"workers\":[],\"users\":[],\"typing\":[]}\n");
}

static void test_room_list(void **state)
{
	(void)state;
	assert_text(ask("room list"), "{\"rooms\":[]}\n");
	fill_room();
	assert_text(ask("room list"),
		    "{\"rooms\":[{\"conversation\":42,\"room\":\"conversation_42\","
		    "\"connections\":2,\"members\":1,"
		    "\"published_rev\":17,\"closed\":false,\"workers\":[0,1]}]}\n");
}

static void test_errors(void **state)
{
	static const char *const bad[] = {"room show",	  "room show ",
					  "room show x",  "room show 0",
					  "room show -1", "room shown 4",
					  "rooms",	  "",
					  "metricsx",	  "room show 99999999999999999999",
					  "user unlock",  "user unlock x",
					  "user unlock 0"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_contains(ask(bad[i]), "{\"error\":\"");
}

static void test_metrics(void **state)
{
	struct str text = ask("metrics");

	(void)state;
	assert_contains(text, "# TYPE roomd_sends_total counter\n");
	assert_contains(text, "roomd_persist_queue");
}

/* Asks until an answer is not taken whole. Returns the number of questions. */
static size_t ask_until_full(void)
{
	int small = 4096;
	size_t n = 0;

	setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	while (wk->n_replies == 0) {
		ctl_answer(wk, STR("metrics"), ends[1]);
		assert_true(++n < 1000);
	}
	return n;
}

static void test_asker_that_reads_slowly(void **state)
{
	size_t len = ask("metrics").len, n;

	(void)state;
	buf_clear(&answer);
	n = ask_until_full();
	for (int i = 0; wk->n_replies && i < 10000; i++) {
		read_some();
		turn();
	}
	read_some();
	assert_int_equal(wk->n_replies, 0);
	assert_int_equal(answer.len, n * len);
	assert_memory_equal(answer.p + (n - 1) * len, answer.p, 200);
	assert_int_equal(answer.p[answer.len - 1], '\n');
}

static void test_asker_that_goes(void **state)
{
	(void)state;
	ask_until_full();
	assert_int_equal(wk->n_replies, 1);
	close(ends[0]);
	turns(3);
	assert_int_equal(wk->n_replies, 0);
	ctl_answer(wk, STR("metrics"), ends[1]);
	assert_int_equal(wk->n_replies, 0);
}

/* Answers that wait are few, and all are forgotten at the end (checked by the sanitizer). */
static void test_many_that_do_not_read(void **state)
{
	int small = 4096;

	(void)state;
	setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	for (int i = 0; i < 200; i++)
		ctl_answer(wk, STR("metrics"), ends[1]);
	assert_in_range(wk->n_replies, 1, 64);
	ctl_close_all(wk);
	assert_int_equal(wk->n_replies, 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_room_show),
		T(test_room_that_nobody_is_in),
		T(test_room_list),
		T(test_errors),
		T(test_metrics),
		T(test_asker_that_reads_slowly),
		T(test_asker_that_goes),
		T(test_many_that_do_not_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
