/* SPDX-License-Identifier: MIT */
/*
 * Tests of worker/persist_judge.c, filter.c and filter_hook.c: what is blocked is not stored, what
 * is masked is stored so, and nothing overtakes a text that waits for its judge.
 */
#include "worker_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "worker/filter.h"
#include "worker/persist.h"

#define SENDS_MAX 16

static struct sent {
	int answers, at; /* when it was answered, counting all answers */
	enum proto_error error;
	char detail[64];
} sents[SENDS_MAX];
static int n_answers;

static const struct filter_row rules[] = {
	{.id = 1, .version = 1, .kind = STR("word"), .action = STR("block"),
	 .pattern = STR("bad"), .reason = STR("be nice")},
	{.id = 2, .version = 2, .kind = STR("word"), .action = STR("mask"), .pattern = STR("odd")},
	{.id = 3, .version = 3, .kind = STR("word"), .action = STR("flag"), .pattern = STR("hm"),
	 .reason = STR("look")},
	{.id = 4, .version = 4, .conv = ROOM + 1, .kind = STR("word"), .action = STR("block"),
	 .pattern = STR("here")},
	{.id = 5, .version = 5, .kind = STR("regex"), .action = STR("block"),
	 .pattern = STR("(x+)+$")},
};

/* The fake program of the operator. */
static char path[64];
static int listener = -1, hook = -1;

static int setup(void **state)
{
	int r;

	stand_filters = (struct stand_filters){0};
	memset(sents, 0, sizeof(sents));
	n_answers = 0;
	r = stand_setup(state);
	if (r == 0)
		wk->settings->filters_turn_max = 1000; /* on a busy machine, too, one turn does */
	return r;
}

static void close_hook(void)
{
	if (hook >= 0)
		close(hook);
	if (listener >= 0)
		close(listener);
	hook = listener = -1;
	unlink(path);
}

static int teardown(void **state)
{
	int r;

	stand_filters = (struct stand_filters){0};
	r = stand_teardown(state);
	close_hook();
	return r;
}

static void set_rules(int n)
{
	stand_filters.rows = rules;
	stand_filters.n = n;
	stand_filters.version++;
	stand_filters.removed++; /* all from the beginning */
	filter_look(wk);
}

static void on_done(struct worker *w, void *arg, const struct persist_result *res)
{
	struct sent *s = arg;

	(void)w;
	s->answers++;
	s->at = ++n_answers;
	s->error = res->error;
	snprintf(s->detail, sizeof(s->detail), "%s", res->detail ? res->detail : "");
}

static void put_text(int i, int64_t conv, const char *text)
{
	const struct event ev = {
		.conv = conv, .actor = 7, .actor_name = STR("Dora"), .content = str_of(text)};

	assert_int_equal(persist_send(wk, &ev, NULL, on_done, &sents[i]), 0);
	assert_int_equal(sents[i].answers, 0);
}

static void edit(int i, int64_t conv, const char *text)
{
	const struct log_change change = {.kind = KIND_MESSAGE_EDIT,
					  .conv = conv,
					  .actor = 7,
					  .target_rev = 3,
					  .content = str_of(text)};

	assert_int_equal(persist_change(wk, &change, STR("Dora"), NULL, on_done, &sents[i]), 0);
	assert_int_equal(sents[i].answers, 0);
}

static void expect_rows(const char *first, const char *second)
{
	assert_int_equal(asked(ASK_BATCH)->n, second ? 2 : 1);
	assert_text(asked(ASK_BATCH)->rows[0].content, first);
	if (second)
		assert_text(asked(ASK_BATCH)->rows[1].content, second);
}

static void test_without_filters_nothing_waits(void **state)
{
	(void)state;
	assert_false(filter_is_wanted(wk, ROOM));
	put_text(0, ROOM, "bad");
	turn();
	expect_rows("bad", NULL);
}

static void test_blocked_is_not_stored(void **state)
{
	(void)state;
	set_rules(3);
	put_text(0, ROOM, "so bad");
	put_text(1, ROOM, "so good");
	turn();
	assert_int_equal(sents[0].answers, 1);
	assert_int_equal(sents[0].error, E_BLOCKED);
	assert_string_equal(sents[0].detail, "be nice");
	expect_rows("so good", NULL);
}

static void test_masked_and_flagged_are_stored(void **state)
{
	(void)state;
	set_rules(3);
	stand_filters.reports = 0;
	put_text(0, ROOM, "an odd one");
	put_text(1, ROOM, "hm, odd");
	turn();
	expect_rows("an *** one", "hm, ***");
	assert_int_equal(stand_filters.hits, 1);
	assert_int_equal(stand_filters.hit_rule, 3);
	assert_int_equal(stand_filters.reports, 0);
	db_batch_stored(11);
	assert_int_equal(sents[0].error, E_NONE);
	assert_int_equal(sents[1].error, E_NONE);
	assert_int_equal(stand_filters.reports, 1);
}

static void test_edits_too(void **state)
{
	(void)state;
	set_rules(3);
	edit(0, ROOM, "bad");
	edit(1, ROOM + 5, "odd hm");
	turn();
	assert_int_equal(sents[0].error, E_BLOCKED);
	assert_int_equal(asked_count(ASK_CHANGE), 1);
	assert_text(asked(ASK_CHANGE)->change.content, "*** hm");
	assert_int_equal(stand_filters.hits, 1);
}

static void test_a_conversations_own_filters(void **state)
{
	(void)state;
	set_rules(4);
	put_text(0, ROOM, "here");
	put_text(1, ROOM + 1, "here");
	put_text(2, ROOM + 1, "bad");
	turn();
	expect_rows("here", NULL);
	assert_int_equal(sents[1].error, E_BLOCKED);
	assert_string_equal(sents[1].detail, "");
	assert_int_equal(sents[2].error, E_BLOCKED);
	/* and when they are gone */
	set_rules(0);
	assert_false(filter_is_wanted(wk, ROOM + 1));
}

/* Before the filters are known nothing is stored; then everything, in its order. */
static void test_waits_for_the_filters(void **state)
{
	(void)state;
	stand_teardown(state);
	stand_filters = (struct stand_filters){.is_held = true};
	stand_setup(state);
	assert_false(filter_is_ready(wk));
	put_text(0, ROOM, "one");
	put_text(1, ROOM, "bad");
	put_text(2, ROOM, "two");
	turns(3);
	assert_int_equal(asked_count(ASK_BATCH), 0);
	now_ms += 6000;
	turn();
	for (int i = 0; i < 3; i++)
		assert_int_equal(sents[i].error, E_UNAVAILABLE);
	assert_true(persist_is_idle(wk));
}

/* An expression that cannot be decided: filters.fail says what that means. */
static void test_undecided(void **state)
{
	char text[3000];

	(void)state;
	memset(text, 'x', sizeof(text) - 2);
	memcpy(text + sizeof(text) - 2, "!", 2);
	set_rules(5);
	put_text(0, ROOM, text);
	turn();
	assert_int_equal(sents[0].error, E_BLOCKED);
	stand_set("filters.fail=open");
	put_text(1, ROOM, text);
	turn();
	assert_int_equal(asked(ASK_BATCH)->n, 1);
	assert_int_equal(stand_filters.hits, 1);
	assert_int_equal(stand_filters.hit_rule, 5);
}

/* ---- The hook ---- */

static void open_hook(void)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	char assignment[128];

	snprintf(path, sizeof(path), "/tmp/roomd-hook-%d.sock", (int)getpid());
	unlink(path);
	memcpy(sa.sun_path, path, strlen(path));
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(listener, 8), 0);
	snprintf(assignment, sizeof(assignment), "filters.hook=%s", path);
	stand_set(assignment);
}

/* The lines that the hook was sent, at least N of them. */
static const char *hear(int n)
{
	static char text[8192];
	size_t len = 0;
	int lines = 0;

	if (hook < 0)
		hook = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	assert_true(hook >= 0);
	for (int i = 0; i < 1000 && lines < n; i++) {
		ssize_t got;

		turn();
		poll(&(struct pollfd){.fd = hook, .events = POLLIN}, 1, 10);
		got = read(hook, text + len, sizeof(text) - len - 1);
		for (; got > 0; got--)
			lines += text[len++] == '\n';
	}
	assert_int_equal(lines, n);
	text[len] = '\0';
	return text;
}

static void reply(const char *text)
{
	assert_int_equal(write(hook, text, strlen(text)), (ssize_t)strlen(text));
	assert_true(write(hook, "\n", 1) == 1);
}

static void until_answered(int i)
{
	for (int k = 0; k < 1000 && !sents[i].answers; k++) {
		turn();
		poll(NULL, 0, 1);
	}
	assert_int_equal(sents[i].answers, 1);
}

static void until_asked(enum ask what, int n)
{
	for (int k = 0; k < 1000 && asked_count(what) < n; k++) {
		turn();
		poll(NULL, 0, 1);
	}
	assert_int_equal(asked_count(what), n);
}

static void test_the_hook_is_asked(void **state)
{
	(void)state;
	set_rules(3);
	open_hook();
	put_text(0, ROOM, "an odd \"one\"");
	put_text(1, ROOM, "bad");
	turn();
	assert_int_equal(sents[1].error, E_BLOCKED); /* that is decided already */
	assert_string_equal(hear(1),
			    "{\"id\":1,\"event\":\"send\",\"conversation\":\"42\",\"user\":\"7\","
			    "\"name\":\"Dora\",\"text\":\"an *** \\\"one\\\"\"}\n");
	reply("{\"id\":1,\"action\":\"block\",\"reason\":\"not today\"}");
	until_answered(0);
	assert_int_equal(sents[0].error, E_BLOCKED);
	assert_string_equal(sents[0].detail, "not today");
	assert_int_equal(asked_count(ASK_BATCH), 0);
}

/* Later texts of the conversation wait, whoever sent them; other conversations do not. */
static void test_nothing_overtakes(void **state)
{
	(void)state;
	open_hook();
	put_text(0, ROOM, "first");
	put_text(1, ROOM, "second");
	put_text(2, ROOM + 1, "elsewhere");
	turn();
	hear(3);
	reply("{\"id\":2,\"action\":\"mask\",\"text\":\"2nd\"}");
	reply("{\"id\":3,\"action\":\"pass\"}");
	until_asked(ASK_BATCH, 1);
	expect_rows("elsewhere", NULL);
	db_batch_stored(5);
	turns(3);
	assert_int_equal(asked_count(ASK_BATCH), 0);
	reply("{\"id\":1,\"action\":\"flag\",\"reason\":\"hm\"}");
	until_asked(ASK_BATCH, 1);
	expect_rows("first", "2nd");
	assert_int_equal(stand_filters.hits, 1);
	assert_int_equal(stand_filters.hit_rule, 0);
}

static void react(int i, int64_t conv, int64_t actor, const struct uuid *session)
{
	const struct log_change change = {.kind = KIND_REACTION_SET,
					  .conv = conv,
					  .actor = actor,
					  .target_rev = 3,
					  .key = STR("x")};

	assert_int_equal(persist_change(wk, &change, STR("Dora"), session, on_done, &sents[i]), 0);
}

/* However much of one conversation waits for its judge. */
static void test_a_crowd_that_waits_hinders_nobody_else(void **state)
{
	static struct sent many;
	const struct event ev = {
		.conv = ROOM, .actor = 7, .actor_name = STR("Dora"), .content = STR("held")};

	(void)state;
	open_hook();
	put_text(0, ROOM, "first");
	turn();
	hear(1);
	for (int i = 0; i < 12000; i++)
		assert_int_equal(persist_send(wk, &ev, NULL, on_done, &many), 0);
	turns(3);
	react(1, ROOM + 1, 9, NULL);
	until_asked(ASK_CHANGE, 1);
	assert_int_equal(asked(ASK_CHANGE)->change.conv, ROOM + 1);
	db_change(CHANGE_STORED, 5);
	until_answered(1);
	react(2, ROOM, 9, NULL); /* it stands behind them */
	turns(3);
	assert_int_equal(asked_count(ASK_CHANGE), 0);
	reply("{\"id\":1,\"action\":\"pass\"}");
	until_asked(ASK_BATCH, 1); /* the first goes on when it may */
	assert_text(asked(ASK_BATCH)->rows[0].content, "first");
}

/* Whose session ended, or who was disabled, says nothing more; others of the same name go on. */
static void test_who_may_not_act_any_more(void **state)
{
	const struct uuid gone = uuid_v7(), stays = uuid_v7();

	(void)state;
	open_hook();
	put_text(0, ROOM, "held");
	react(1, ROOM, 8, &gone);
	react(2, ROOM, 8, &stays);
	react(3, ROOM, 9, &stays);
	turn();
	hear(1);
	persist_revoke(wk, 0, &gone);
	assert_int_equal(sents[1].error, E_UNAUTHORIZED);
	assert_int_equal(sents[1].answers, 1);
	assert_int_equal(sents[2].answers, 0);
	persist_revoke(wk, 7, NULL);
	assert_int_equal(sents[0].error, E_UNAUTHORIZED);
	until_asked(ASK_CHANGE, 2); /* what stood behind it goes on */
	assert_int_equal(sents[3].answers, 0);
}

/* No answer, nobody there, nonsense: filters.fail says what that means, and it never takes long. */
static void test_a_hook_that_fails(void **state)
{
	(void)state;
	open_hook();
	stand_set("filters.hook_timeout=20ms");
	put_text(0, ROOM, "silence");
	turn();
	hear(1);
	now_ms += 25;
	until_answered(0);
	assert_int_equal(sents[0].error, E_UNAVAILABLE);
	reply("{\"id\":1,\"action\":\"pass\"}"); /* too late */
	put_text(1, ROOM, "nonsense");
	turn();
	hear(1);
	reply("{\"id\":2,\"action\":\"maybe\"}");
	until_answered(1);
	assert_int_equal(sents[1].error, E_UNAVAILABLE);
	put_text(2, ROOM, "an empty mask");
	turn();
	hear(1);
	reply("{\"id\":3,\"action\":\"mask\",\"text\":\" \"}");
	until_answered(2);
	assert_int_equal(sents[2].error, E_UNAVAILABLE);
	assert_int_equal(asked_count(ASK_BATCH), 0);
	close_hook();
	put_text(3, ROOM, "nobody there");
	until_answered(3);
	assert_int_equal(sents[3].error, E_UNAVAILABLE);
	stand_set("filters.fail=open");
	put_text(4, ROOM, "let through");
	until_asked(ASK_BATCH, 1);
	expect_rows("let through", NULL);
}

/* A program that is started again is asked again: nothing is lost with the connection. */
static void test_a_hook_that_comes_back(void **state)
{
	(void)state;
	open_hook();
	put_text(0, ROOM, "one");
	put_text(1, ROOM, "two");
	turn();
	hear(2);
	close(hook);
	hook = -1;
	for (int i = 0; i < 1000 && hook < 0; i++) {
		turn();
		hook = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		poll(NULL, 0, 1);
	}
	assert_non_null(strstr(hear(2), "\"id\":1"));
	reply("{\"id\":1,\"action\":\"pass\"}\n{\"id\":2,\"action\":\"pass\"}");
	until_asked(ASK_BATCH, 1);
}

static void test_no_more_at_once_than_allowed(void **state)
{
	(void)state;
	open_hook();
	stand_set("filters.hook_inflight=2");
	for (int i = 0; i < 5; i++)
		put_text(i, ROOM + i, "x");
	turn();
	assert_non_null(strstr(hear(2), "\"id\":2"));
	turns(3);
	assert_true(read(hook, &(char){0}, 1) < 0 && errno == EAGAIN);
	reply("{\"id\":2,\"action\":\"pass\"}");
	assert_non_null(strstr(hear(1), "\"id\":3"));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_without_filters_nothing_waits),
		TEST(test_blocked_is_not_stored),
		TEST(test_masked_and_flagged_are_stored),
		TEST(test_edits_too),
		TEST(test_a_conversations_own_filters),
		TEST(test_waits_for_the_filters),
		TEST(test_undecided),
		TEST(test_the_hook_is_asked),
		TEST(test_nothing_overtakes),
		TEST(test_a_crowd_that_waits_hinders_nobody_else),
		TEST(test_who_may_not_act_any_more),
		TEST(test_a_hook_that_fails),
		TEST(test_a_hook_that_comes_back),
		TEST(test_no_more_at_once_than_allowed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
