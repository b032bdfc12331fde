/* SPDX-License-Identifier: MIT */
/*
 * Tests of worker/wave.c: the list of a large room goes to few sockets at a time, and in the end
 * all have the last one.
 */
#include "worker_fixture.h"

#include <sys/socket.h>

#include "worker/roster.h"

#define N 8

static struct client clients[N];

static int setup(void **state)
{
	char name[16];

	stand_setup(state);
	stand_set("presence.roster_max=2");
	/* below one list in each part: one socket at a time */
	stand_set("presence.room_rate=1024");
	for (int i = 0; i < N; i++) {
		snprintf(name, sizeof(name), "P%d", i);
		enter_raw(&clients[i], name, 10 + i, 10);
	}
	pass_ms(5000);
	for (int i = 0; i < 100; i++)
		pass_ms(100);
	for (int i = 0; i < N; i++)
		told_all(&clients[i]);
	return 0;
}

static int teardown(void **state)
{
	for (int i = 0; i < N; i++)
		client_close(&clients[i]);
	return stand_teardown(state);
}

/* Longer than presence.grace_lost; the list is made. */
static void end_grace(void)
{
	now_ms += 16000;
	roster_expire(wk);
	turns(2);
}

/* How many sockets were sent something; all of it must be lists that end with LAST. */
static int got_list(const char *last)
{
	const char *text;
	int n = 0;

	for (int i = 0; i < N; i++) {
		if (clients[i].fd < 0)
			continue;
		while (*(text = told(&clients[i]))) {
			assert_contains(str_of(text), "\"type\":\"users_list\"");
			assert_contains(str_of(text), last);
			n++;
		}
	}
	return n;
}

static void test_one_after_the_other(void **state)
{
	(void)state;
	client_close(&clients[0]);
	end_grace();
	assert_in_range(got_list("\"users\":[\"P1\",\"P2\",\"P3\",\"P4\",\"P5\",\"P6\",\"P7\"]"), 0,
			2);
	for (int i = 0; i < 2; i++) {
		pass_ms(100);
		assert_int_equal(got_list("\"users\":[\"P1\","), 1);
	}
	for (int i = 0; i < 20; i++)
		pass_ms(100);
	assert_in_range(got_list("\"users\":[\"P1\","), N - 5, N - 3);
	for (int i = 0; i < 20; i++)
		pass_ms(100);
	assert_int_equal(got_list(""), 0);
}

/* A change half way: everybody ends up with the new list. */
static void test_changed_half_way(void **state)
{
	const char *text;

	(void)state;
	client_close(&clients[0]);
	end_grace();
	client_close(&clients[1]);
	end_grace();
	for (int i = 0; i < 60; i++)
		pass_ms(100);
	for (int i = 2; i < N; i++) {
		char last[1024] = "";

		while (*(text = told(&clients[i])))
			snprintf(last, sizeof(last), "%s", text);
		assert_string_equal(
			last, "{\"type\":\"users_list\",\"users\":[\"P2\",\"P3\",\"P4\",\"P5\","
			      "\"P6\",\"P7\"]}");
	}
}

/*
 * A socket that takes nothing is not waited for, and gets the last list when it has drained. (Seen
 * red with a wave that went on every 100 ms.)
 */
static void test_a_full_socket(void **state)
{
	struct conn *c = client_conn(&clients[1]);
	char last[1024] = "";
	const char *text;
	int small = 4096;

	(void)state;
	setsockopt(c->io.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	for (int64_t rev = 11; !c->out; rev++) {
		publish(rev);
		for (int i = 2; i < N; i++)
			told_all(&clients[i]);
	}
	client_close(&clients[0]);
	end_grace();
	for (int i = 0; i < 60; i++)
		pass_ms(100);
	assert_true(c->out != NULL);
	assert_true(wk->chans_later_ms > now_ms + 100); /* nobody is waited for */
	for (int i = 0; i < 60; i++) {
		while (*(text = told(&clients[1])))
			if (strstr(text, "users_list"))
				snprintf(last, sizeof(last), "%s", text);
		pass_ms(100);
	}
	assert_string_equal(last, "{\"type\":\"users_list\",\"users\":[\"P1\",\"P2\",\"P3\",\"P4\","
				  "\"P5\",\"P6\",\"P7\"]}");
}

/* Lines of comings and goings are for small rooms. */
static void test_no_lines(void **state)
{
	struct client b;

	(void)state;
	enter_raw(&b, "Zoe", 30, 10);
	for (int i = 0; i < 40; i++)
		pass_ms(100);
	assert_in_range(got_list("\"Zoe\"]}"), N, N);
	client_close(&b);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_one_after_the_other),
		T(test_changed_half_way),
		T(test_a_full_socket),
		T(test_no_lines),
	};

	return cmocka_run_group_tests_name("wave", tests, NULL, NULL);
}
