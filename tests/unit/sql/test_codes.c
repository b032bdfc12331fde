/* SPDX-License-Identifier: MIT */
/*
 * Rooms with codes: opening, finding, pages, history over closed rooms, and when a room ends.
 */
#include "fixture.h"

#include "sql/codes.h"

#define GRACE_MS 60000
#define AGAIN_MS 30000

struct got {
	int n, err;
	int64_t conv, list[CODES_MAX];
	size_t n_list;
	char text[4096];
};

static void on_code(void *arg, int err, int64_t conv, struct str code)
{
	struct got *g = arg;

	g->n++;
	g->err = err;
	g->conv = conv;
	copy(g->text, sizeof(g->text), code);
}

static void on_page(void *arg, int err, struct str json)
{
	struct got *g = arg;

	g->n++;
	g->err = err;
	copy(g->text, sizeof(g->text), json);
}

static void on_noted(void *arg, int err)
{
	struct got *g = arg;

	g->n++;
	g->err = err;
}

static void on_list(void *arg, int err, const int64_t *convs, size_t n)
{
	struct got *g = arg;

	g->n++;
	g->err = err;
	g->n_list = n;
	memcpy(g->list, convs, n * sizeof(*convs));
}

static struct got open_room(int64_t owner)
{
	struct got g = {0};

	assert_int_equal(code_open(l.db, owner, GRACE_MS, 0, on_code, &g, NULL), 0);
	link_until(&l, &g.n, 1);
	assert_int_equal(g.err, 0);
	return g;
}

static struct got enter(const char *code)
{
	struct got g = {0};

	assert_int_equal(code_enter(l.db, str_of(code), GRACE_MS, 0, on_code, &g, NULL), 0);
	link_until(&l, &g.n, 1);
	return g;
}

static struct got history(int64_t user, int64_t conv, int64_t rev, int limit)
{
	struct got g = {0};

	assert_int_equal(code_history(l.db, user, conv, rev, limit, 0, on_page, &g, NULL), 0);
	link_until(&l, &g.n, 1);
	assert_int_equal(g.err, 0);
	return g;
}

/* The page, as USER (0: nobody) sees it. */
static struct got page(int64_t conv, int64_t before, int limit, int64_t user, int64_t hold_ms)
{
	const struct code_view view = {conv, before, limit, user, hold_ms};
	struct got g = {0};

	assert_int_equal(code_page(l.db, &view, 0, on_page, &g, NULL), 0);
	link_until(&l, &g.n, 1);
	return g;
}

static void left(int64_t conv, int64_t user)
{
	struct got g = {0};

	assert_int_equal(code_left(l.db, &conv, &user, 1, GRACE_MS, 0, on_noted, &g, NULL), 0);
	link_until(&l, &g.n, 1);
	assert_int_equal(g.err, 0);
}

static void forget(int64_t conv)
{
	struct got g = {0};

	assert_int_equal(code_forget(l.db, &conv, 1, 0, on_noted, &g, NULL), 0);
	link_until(&l, &g.n, 1);
	assert_int_equal(g.err, 0);
}

/* The time of the room is up, as if it had passed. */
static void let_time_pass(int64_t conv)
{
	pg_valuef(pg,
		  "UPDATE code_rooms SET held_until = now() - interval '1 second'"
		  " WHERE conversation_id = %" PRId64,
		  conv);
}

/* True when the room is to be closed. */
static bool settle(int64_t conv, int64_t users)
{
	struct got g = {0};

	assert_int_equal(code_settle(l.db, &conv, &users, 1, GRACE_MS, AGAIN_MS, 0, on_list, &g,
				     NULL),
			 0);
	link_until(&l, &g.n, 1);
	assert_int_equal(g.err, 0);
	assert_true(g.n_list == 0 || g.list[0] == conv);
	return g.n_list == 1;
}

/* Milliseconds until the room is looked at again. */
static int64_t held_ms(int64_t conv)
{
	return pg_numberf(pg,
			  "SELECT (extract(epoch FROM held_until - now()) * 1000)::bigint"
			  " FROM code_rooms WHERE conversation_id = %" PRId64,
			  conv);
}

static void close_room(int64_t conv)
{
	pg_valuef(pg,
		  "SELECT status FROM log_change(%" PRId64 ", 11::smallint, 0, gen_random_uuid(),"
		  " NULL, NULL, NULL, NULL, true, 0)",
		  conv);
}

static void member(int64_t conv, int64_t user)
{
	pg_valuef(pg,
		  "INSERT INTO members (conversation_id, user_id) VALUES (%" PRId64 ", %" PRId64
		  ") ON CONFLICT DO NOTHING",
		  conv, user);
}

static void test_open(void **state UNUSED)
{
	int64_t owner = pg_account(pg, "codeowner");
	struct got a = open_room(0), b = open_room(owner);

	assert_string_not_equal(a.text, b.text);
	assert_int_equal(strlen(a.text), CODE_LEN);
	assert_int_equal(strspn(a.text, "ABCDEFGHJKLMNPQRSTUVWXYZ"), CODE_LEN);
	assert_int_equal(enter(a.text).conv, a.conv);
	assert_int_equal(pg_numberf(pg, "SELECT count(*) FROM members WHERE conversation_id = %"
				    PRId64, a.conv), 0);
	assert_int_equal(pg_numberf(pg, "SELECT count(*) FROM members WHERE role = 'owner'"
				    " AND user_id = %" PRId64 " AND conversation_id = %" PRId64,
				    owner, b.conv), 1);
	assert_int_equal(pg_numberf(pg, "SELECT count(*) FROM audit"
				    " WHERE action = 'conversation.create' AND actor_id = 0"
				    " AND conversation_id = %" PRId64, a.conv), 1);
	assert_int_equal(enter("QQQ").err, -ERR_NOENT);
}

/* Every number has a code of its own. */
static void test_all_codes(void **state UNUSED)
{
	assert_int_equal(pg_number(pg, "SELECT count(DISTINCT code_text(n))"
				   " FROM generate_series(0, 331775) AS n"), 331776);
	assert_string_equal(pg_value(pg, "SELECT code_text(0) || code_text(331775)"), "AAAAZZZZ");
}

static void test_no_code_left(void **state UNUSED)
{
	struct got g = {0};

	pg_value(pg, "INSERT INTO conversations (kind, code) SELECT 'code', code_text(n)"
		     " FROM generate_series(0, 331775) AS n"
		     " ON CONFLICT (code) WHERE closed_at IS NULL DO NOTHING");
	assert_int_equal(code_open(l.db, 0, GRACE_MS, 0, on_code, &g, NULL), 0);
	link_until(&l, &g.n, 1);
	assert_int_equal(g.err, -ERR_FULL);
	pg_value(pg, "DELETE FROM conversations c WHERE kind = 'code' AND NOT EXISTS"
		     " (SELECT 1 FROM code_rooms r WHERE r.conversation_id = c.id)");
}

static void test_page(void **state UNUSED)
{
	int64_t ann = pg_account(pg, "pageann"), conv = open_room(0).conv;
	struct got g;

	for (int i = 1; i <= 3; i++) {
		char text[16];

		snprintf(text, sizeof(text), "text %d", i);
		pg_send(pg, conv, ann, text);
	}
	assert_null(strstr(strstr(page(conv, 0, 2, ann, GRACE_MS).text, "visitors"), "pageann"));
	g = page(conv, 0, 2, 0, GRACE_MS);
	assert_int_equal(g.err, 0);
	assert_null(strstr(g.text, "text 1"));
	assert_true(strstr(g.text, "text 2") < strstr(g.text, "text 3"));
	assert_non_null(strstr(g.text, "\"has_before\" : true"));
	assert_non_null(strstr(strstr(g.text, "visitors"), "pageann"));
	g = page(conv, 2, 2, 0, 0);
	assert_non_null(strstr(g.text, "text 1"));
	assert_null(strstr(g.text, "text 2"));
	assert_non_null(strstr(g.text, "\"has_before\" : false"));
	close_room(conv);
	assert_int_equal(page(conv, 0, 2, ann, GRACE_MS).err, -ERR_NOENT);
}

/* The code is free again, the history stays, and the new room has none of it. */
static void test_a_code_is_used_again(void **state UNUSED)
{
	int64_t ann = pg_account(pg, "twiceann"), bob = pg_account(pg, "twicebob");
	struct got first = open_room(0), second, g;

	member(first.conv, ann);
	pg_send(pg, first.conv, ann, "old one");
	pg_send(pg, first.conv, bob, "of bob");
	let_time_pass(first.conv);
	assert_true(settle(first.conv, 0));
	assert_int_equal(enter(first.text).err, -ERR_NOENT);
	close_room(first.conv);
	forget(first.conv);
	assert_int_equal(pg_numberf(pg, "SELECT count(*) FROM code_rooms WHERE conversation_id = %"
				    PRId64, first.conv), 0);

	second = open_room(0);
	pg_valuef(pg, "UPDATE conversations SET code = '%s' WHERE id = %" PRId64, first.text,
		  second.conv);
	assert_int_equal(enter(first.text).conv, second.conv);
	member(second.conv, ann);
	pg_send(pg, second.conv, ann, "new one");
	g = history(ann, 0, 0, 50);
	assert_true(strstr(g.text, "new one") < strstr(g.text, "old one"));
	assert_null(strstr(g.text, "of bob"));
	assert_non_null(strstr(g.text, first.text));
	g = history(ann, 0, 0, 1);
	assert_null(strstr(g.text, "old one"));
	g = history(ann, second.conv, 1, 50);
	assert_null(strstr(g.text, "new one"));
	assert_non_null(strstr(g.text, "old one"));
	assert_string_equal(history(ann, first.conv, 1, 50).text, "[]");
	assert_string_equal(history(ann, first.conv, 77, 50).text, "[]");
	assert_string_equal(history(bob, 0, 0, 50).text, "[]"); /* was never a member */
}

static void test_life(void **state UNUSED)
{
	int64_t ann = pg_account(pg, "lifeann"), conv = open_room(0).conv;

	assert_false(settle(conv, 0)); /* not due */
	assert_in_range(held_ms(conv), 1, GRACE_MS);
	let_time_pass(conv);
	assert_false(settle(conv, 1)); /* somebody is there */
	assert_in_range(held_ms(conv), 1, AGAIN_MS);
	let_time_pass(conv);
	assert_false(settle(conv, 0)); /* gone unnoticed: the grace begins now */
	assert_in_range(held_ms(conv), AGAIN_MS, GRACE_MS);
	page(conv, 0, 1, ann, 10 * GRACE_MS);
	let_time_pass(conv);
	assert_false(settle(conv, 0)); /* the page is looked at */
	assert_in_range(held_ms(conv), 9 * GRACE_MS, 10 * GRACE_MS);
	left(conv, ann);
	assert_in_range(held_ms(conv), 1, GRACE_MS);
	let_time_pass(conv);
	assert_true(settle(conv, 0));
	assert_in_range(held_ms(conv), 1, AGAIN_MS);
	left(conv, ann);
	let_time_pass(conv);
	assert_true(settle(conv, 0)); /* again, until it is closed */
	forget(conv);
	assert_int_equal(pg_numberf(pg, "SELECT count(*) FROM code_rooms WHERE conversation_id = %"
				    PRId64, conv), 1);
}

static void test_due(void **state UNUSED)
{
	int64_t conv = open_room(0).conv, other = open_room(0).conv;
	struct got g = {0};

	let_time_pass(conv);
	assert_int_equal(code_due(l.db, 0, on_list, &g, NULL), 0);
	link_until(&l, &g.n, 1);
	assert_int_equal(g.err, 0);
	assert_true(g.n_list >= 1);
	for (size_t i = 0; i < g.n_list; i++)
		assert_int_not_equal(g.list[i], other);
	assert_int_equal(g.list[g.n_list - 1], conv);
}

static void test_others_are_passed_over(void **state UNUSED)
{
	int64_t room = pg_room(pg, "No code"), ann = pg_account(pg, "overann");

	assert_int_equal(page(room, 0, 1, ann, GRACE_MS).err, -ERR_NOENT);
	left(room, ann);
	assert_int_equal(pg_numberf(pg, "SELECT count(*) FROM code_visits"
				    " WHERE conversation_id = %" PRId64, room), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_open),
		cmocka_unit_test(test_all_codes),
		cmocka_unit_test(test_page),
		cmocka_unit_test(test_a_code_is_used_again),
		cmocka_unit_test(test_life),
		cmocka_unit_test(test_due),
		cmocka_unit_test(test_others_are_passed_over),
		cmocka_unit_test(test_no_code_left),
	};

	return cmocka_run_group_tests(tests, fixture_open, fixture_close);
}
