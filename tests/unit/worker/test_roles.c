/* SPDX-License-Identifier: MIT */
/*
 * Tests of worker/roles.c: what is asked for once, what is never asked, answers that are too old,
 * bans and mutes that end, and what is thrown out. The database is the test's.
 */
#include "worker_test.h"

#include "sql/members.h"
#include "worker/chan.h"
#include "worker/dbio.h"
#include "worker/roles.h"

#define OPEN_ROOM 1
#define GROUP 2
#define NOWHERE 3
#define OWNER 10
#define BANNED 11
#define MUTED 12
#define READER 13
#define MEMBER 14
#define STRANGER 99

static struct settings settings;
static struct worker worker, *wk = &worker;
static int64_t wall_ms, followed; /* conversation that has a channel */
static int n_swept;
static bool is_connected;
static uint64_t woken_in_ms;

/* The question that waits for an answer. */
static struct {
	int64_t convs[MEMBERS_ROLES_MAX], users[MEMBERS_ROLES_MAX];
	size_t n;
	db_rows_fn *done;
	void *arg;
} question;
static int n_questions;

/* The answer: every row that the schema would give. */
static struct member_row rows[64];
static int n_rows;

/* ---- In the places of others ---- */

int64_t __wrap_clock_wall_ms(void);
int64_t __wrap_clock_wall_ms(void)
{
	return wall_ms;
}

struct chan *chan_find(struct worker *w, int64_t conv)
{
	(void)w;
	return conv == followed ? (struct chan *)&followed : NULL;
}

void roles_sweep(struct worker *w, int64_t conv, int64_t user)
{
	(void)w;
	(void)conv;
	(void)user;
	n_swept++;
}

bool roles_is_awaited(const struct worker *w, int64_t conv, int64_t user)
{
	(void)w;
	(void)conv;
	(void)user;
	return false;
}

struct db *dbio_reader(const struct worker *w)
{
	(void)w;
	return NULL;
}

uint64_t dbio_deadline(const struct worker *w)
{
	(void)w;
	return 0;
}

void worker_kick(struct worker *w)
{
	(void)w;
}

bool db_is_connected(const struct db *db)
{
	(void)db;
	return is_connected;
}

void worker_wake_in(struct worker *w, uint64_t ms)
{
	(void)w;
	woken_in_ms = ms;
}

void worker_stop(struct worker *w, enum worker_exit code)
{
	w->exit_code = code;
}

int db_rows(const struct db_result *res)
{
	(void)res;
	return n_rows;
}

int members_roles(struct db *db, const int64_t *convs, const int64_t *users, size_t n,
		  uint64_t deadline_ms, db_rows_fn *done, void *arg, uint64_t *ret_token)
{
	(void)db;
	(void)deadline_ms;
	(void)ret_token;
	memcpy(question.convs, convs, n * sizeof(*convs));
	memcpy(question.users, users, n * sizeof(*users));
	question.n = n;
	question.done = done;
	question.arg = arg;
	n_questions++;
	return 0;
}

void members_roles_row(const struct db_result *res, int i, struct member_row *ret)
{
	(void)res;
	*ret = rows[i];
}

/* ---- The stand ---- */

static struct member_row base(int64_t conv)
{
	return (struct member_row){.conv = conv, .is_open = conv == OPEN_ROOM, .is_owned = true,
				   .role = STR("member")};
}

static void row(int64_t conv, int64_t user, const char *role, bool is_member)
{
	rows[n_rows] = base(conv);
	rows[n_rows].user = user;
	rows[n_rows].role = str_of(role);
	rows[n_rows++].is_member = is_member;
}

static bool is_asked(int64_t conv, int64_t user)
{
	for (size_t i = 0; i < question.n; i++)
		if (question.convs[i] == conv && question.users[i] == user)
			return true;
	return false;
}

/* Lets the database answer with the rows of the two conversations. */
static void answer(void)
{
	db_rows_fn *done = question.done;

	n_rows = 0;
	row(OPEN_ROOM, OWNER, "owner", true);
	row(OPEN_ROOM, BANNED, "banned", false);
	rows[1].banned_until_ms = 5000;
	row(OPEN_ROOM, MUTED, "member", true);
	rows[2].muted_until_ms = 5000;
	row(OPEN_ROOM, READER, "read-only", false);
	row(GROUP, 0, "", false);
	if (is_asked(GROUP, MEMBER))
		row(GROUP, MEMBER, "member", true);
	question.done = NULL;
	done(question.arg, 0, NULL);
}

static struct rights got;
static int got_err, n_got;

static void on_rights(struct worker *w, void *arg, int err, const struct rights *r)
{
	(void)w;
	(void)arg;
	got_err = err;
	if (!err)
		got = *r;
	n_got++;
}

/* Asks and has it answered; what somebody is. */
static enum authz_role role_of(int64_t conv, int64_t user)
{
	int before = n_got;

	roles_get(wk, conv, user, false, on_rights, NULL);
	roles_flush(wk);
	if (question.done)
		answer();
	assert_int_equal(n_got, before + 1);
	return got_err ? ROLE_NOBODY : (enum authz_role)got.actor.role;
}

static int set_up(void **state)
{
	(void)state;
	settings = (struct settings){.chat_open_rooms = true};
	worker = (struct worker){.settings = &settings};
	roles_open(wk);
	n_questions = n_got = n_swept = 0;
	followed = 0;
	is_connected = true;
	woken_in_ms = 0;
	wall_ms = 1000;
	question.done = NULL;
	question.n = 0;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	roles_close(wk);
	return 0;
}

/* ---- Tests ---- */

static void test_an_open_room_is_asked_for_once(void **state)
{
	(void)state;
	assert_int_equal(role_of(OPEN_ROOM, STRANGER), ROLE_VISITOR);
	assert_int_equal(role_of(OPEN_ROOM, OWNER), ROLE_OWNER);
	assert_int_equal(role_of(OPEN_ROOM, BANNED), ROLE_BANNED);
	assert_int_equal(role_of(OPEN_ROOM, READER), ROLE_READ_ONLY);
	assert_int_equal(role_of(OPEN_ROOM, MEMBER), ROLE_VISITOR);
	assert_int_equal(role_of(OPEN_ROOM, 0), ROLE_VISITOR);
	assert_int_equal(n_questions, 1);
}

static void test_people_of_a_group_are_asked_for_one_by_one(void **state)
{
	(void)state;
	assert_int_equal(role_of(GROUP, MEMBER), ROLE_MEMBER);
	assert_int_equal(role_of(GROUP, STRANGER), ROLE_NONE);
	assert_int_equal(n_questions, 2);
	assert_int_equal(role_of(GROUP, STRANGER), ROLE_NONE); /* that there is nothing is known */
	assert_int_equal(role_of(GROUP, MEMBER), ROLE_MEMBER);
	assert_int_equal(n_questions, 2);
}

static void test_a_crowd_is_one_question(void **state)
{
	(void)state;
	for (int64_t user = 100; user < 600; user++)
		roles_get(wk, GROUP, user, false, on_rights, NULL);
	roles_flush(wk);
	assert_int_equal(n_questions, 1);
	answer();
	assert_int_equal(n_got, 500);
}

static void test_no_such_conversation(void **state)
{
	(void)state;
	assert_int_equal(role_of(NOWHERE, MEMBER), ROLE_NOBODY);
	assert_int_equal(got_err, -ERR_NOENT);
}

static void test_bans_and_mutes_end(void **state)
{
	(void)state;
	assert_int_equal(role_of(OPEN_ROOM, BANNED), ROLE_BANNED);
	assert_int_equal(role_of(OPEN_ROOM, MUTED), ROLE_MEMBER);
	assert_true(got.actor.is_muted);
	wall_ms = 5000;
	assert_int_equal(role_of(OPEN_ROOM, BANNED), ROLE_VISITOR);
	assert_int_equal(role_of(OPEN_ROOM, MUTED), ROLE_MEMBER);
	assert_false(got.actor.is_muted);
	assert_int_equal(n_questions, 1);
}

static void test_what_changed_is_asked_for_again(void **state)
{
	(void)state;
	assert_int_equal(role_of(OPEN_ROOM, STRANGER), ROLE_VISITOR);
	roles_changed(wk, OPEN_ROOM, STRANGER);
	assert_int_equal(role_of(OPEN_ROOM, STRANGER), ROLE_VISITOR);
	assert_int_equal(n_questions, 2);
}

/* A channel goes on with what was true until the news are there; then connections are looked at. */
static void test_a_channel_never_waits(void **state)
{
	struct rights r;

	(void)state;
	followed = OPEN_ROOM;
	assert_int_equal(role_of(OPEN_ROOM, STRANGER), ROLE_VISITOR);
	roles_changed(wk, OPEN_ROOM, STRANGER);
	assert_true(roles_peek(wk, OPEN_ROOM, STRANGER, false, &r));
	roles_flush(wk);
	assert_int_equal(n_questions, 2);
	assert_int_equal(n_swept, 0);
	answer();
	assert_int_equal(n_swept, 1);
	assert_true(roles_peek(wk, OPEN_ROOM, STRANGER, false, &r));
}

/* Seen red with the look put back at once: each turn would have asked again. */
static void test_a_look_that_failed_waits_for_the_database(void **state)
{
	(void)state;
	followed = OPEN_ROOM;
	(void)role_of(OPEN_ROOM, STRANGER);
	roles_changed(wk, OPEN_ROOM, STRANGER);
	roles_flush(wk);
	is_connected = false;
	question.done(question.arg, -ERR_UNAVAILABLE, NULL);
	roles_flush(wk);
	assert_int_equal(n_questions, 2);
	is_connected = true;
	roles_flush(wk);
	assert_true(n_questions == 3 || woken_in_ms > 0);
	while (n_questions == 2)
		roles_flush(wk);
	answer();
	assert_int_equal(n_swept, 1);
}

/* Seen red without has_changed_since: an answer from before the change would have stayed. */
static void test_an_answer_that_is_too_old_is_not_believed(void **state)
{
	struct rights r;

	(void)state;
	roles_get(wk, OPEN_ROOM, STRANGER, false, on_rights, NULL);
	roles_flush(wk);
	roles_changed(wk, OPEN_ROOM, STRANGER);
	answer();
	assert_int_equal(n_got, 0);
	assert_false(roles_peek(wk, OPEN_ROOM, STRANGER, false, &r));
	roles_flush(wk);
	assert_int_equal(n_questions, 2);
	answer();
	assert_int_equal(n_got, 1);
}

static void test_doubt_throws_all_away(void **state)
{
	struct rights r;

	(void)state;
	followed = GROUP;
	(void)role_of(OPEN_ROOM, STRANGER);
	(void)role_of(GROUP, MEMBER);
	roles_doubt(wk);
	assert_false(roles_peek(wk, OPEN_ROOM, STRANGER, false, &r));
	assert_true(roles_peek(wk, GROUP, MEMBER, false, &r));
	roles_flush(wk);
	assert_true(is_asked(GROUP, MEMBER));
	answer();
}

static void on_warm(struct worker *w, void *arg)
{
	(void)w;
	++*(int *)arg;
}

static void test_warming_asks_for_what_is_not_known(void **state)
{
	const int64_t convs[] = {OPEN_ROOM, GROUP, NOWHERE};
	int n = 0;

	(void)state;
	(void)role_of(OPEN_ROOM, STRANGER);
	roles_warm(wk, convs, 3, MEMBER, on_warm, &n);
	roles_flush(wk);
	assert_int_equal(question.n, 2);
	assert_int_equal(n, 0);
	answer();
	assert_int_equal(n, 1);
	roles_warm(wk, convs, 2, MEMBER, on_warm, &n);
	assert_int_equal(n, 2);
}

static void test_who_waits_at_the_end_is_told(void **state)
{
	(void)state;
	roles_get(wk, GROUP, MEMBER, false, on_rights, NULL);
	roles_close(wk);
	assert_int_equal(got_err, -ERR_UNAVAILABLE);
	assert_int_equal(n_got, 1);
	roles_open(wk);
}

#define ROLES_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ROLES_TEST(test_an_open_room_is_asked_for_once),
		ROLES_TEST(test_people_of_a_group_are_asked_for_one_by_one),
		ROLES_TEST(test_a_crowd_is_one_question),
		ROLES_TEST(test_no_such_conversation),
		ROLES_TEST(test_bans_and_mutes_end),
		ROLES_TEST(test_what_changed_is_asked_for_again),
		ROLES_TEST(test_a_channel_never_waits),
		ROLES_TEST(test_a_look_that_failed_waits_for_the_database),
		ROLES_TEST(test_an_answer_that_is_too_old_is_not_believed),
		ROLES_TEST(test_doubt_throws_all_away),
		ROLES_TEST(test_warming_asks_for_what_is_not_known),
		ROLES_TEST(test_who_waits_at_the_end_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
