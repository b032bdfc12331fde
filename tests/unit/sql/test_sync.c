/* SPDX-License-Identifier: MIT */
/*
 * A page over many conversations: whole, in order, once, named gaps, only what the user may read.
 */
#include "fixture.h"

#include "sql/sync.h"

static int64_t anna, berta;

#define ROWS 64

struct got {
	int n_calls, err, n;
	bool is_more;
	struct event_row row[ROWS];
	char content[ROWS][32], name[ROWS][32];
};

static struct got got;

static void on_page(void *arg UNUSED, int err, const struct db_result *res, int n, bool is_more)
{
	got.n_calls++;
	got.err = err;
	got.n = n;
	got.is_more = is_more;
	assert_true(n <= ROWS);
	for (int i = 0; i < n; i++) {
		struct event_row *r = &got.row[i];

		event_row_get(res, i, r);
		snprintf(got.content[i], 32, "%.*s", (int)r->content.len, r->content.p ?: "");
		snprintf(got.name[i], 32, "%.*s", (int)r->actor_name.len, r->actor_name.p ?: "");
	}
}

static int setup(void **state)
{
	fixture_open(state);
	anna = pg_account(pg, "anna");
	berta = pg_account(pg, "berta");
	return 0;
}

static void sync(int64_t user, const struct sync_position *positions, size_t n, int limit)
{
	got = (struct got){0};
	assert_int_equal(sync_page(l.db, user, positions, n, limit, 0, on_page, NULL, NULL), 0);
	link_until(&l, &got.n_calls, 1);
	assert_int_equal(got.err, 0);
}

/* "conv:rev conv:rev …", a gap as "conv<rev", and "+" when there are more. */
static void expect(const char *want, const int64_t *convs)
{
	char text[512] = "";
	size_t len = 0;

	for (int i = 0; i < got.n; i++) {
		char which = '?';

		for (char j = 0; j < 8; j++)
			if (convs[(int)j] == got.row[i].conv)
				which = (char)('a' + j);
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%c%s%" PRId64,
					i ? " " : "", which,
					got.row[i].kind == KIND_BASE ? "<" : ":", got.row[i].rev);
	}
	if (got.is_more)
		snprintf(text + len, sizeof(text) - len, "+");
	assert_string_equal(text, want);
}

static int64_t conversation(const char *kind, const char *name, int n_messages)
{
	int64_t id = pg_numberf(
		pg, "INSERT INTO conversations (kind, name) VALUES ('%s', '%s') RETURNING id", kind,
		name);

	for (int i = 0; i < n_messages; i++)
		pg_send(pg, id, berta, "text");
	return id;
}

static void test_order_and_pages(void **state UNUSED)
{
	int64_t c[8] = {conversation("room", "a", 3), conversation("room", "b", 2),
			conversation("room", "c", 4)};
	struct sync_position at[] = {{c[1], 0}, {c[2], 3}, {c[0], 1}};

	sync(anna, at, 3, 100);
	expect("b:1 b:2 c:4 a:2 a:3", c);
	assert_string_equal(got.content[0], "text");
	assert_string_equal(got.name[0], "berta");
	assert_int_equal(got.row[0].kind, KIND_MESSAGE_NEW);
	assert_int_equal(got.row[4].seq, 3);
	sync(anna, at, 3, 5);
	expect("b:1 b:2 c:4 a:2 a:3", c); /* just enough */
	sync(anna, at, 3, 4);
	expect("b:1 b:2 c:4 a:2+", c);
	sync(anna, at, 3, 1);
	expect("b:1+", c);
	at[0].rev = 2;
	at[1].rev = 4;
	at[2].rev = 2;
	sync(anna, at, 3, 1);
	expect("a:3", c);
	at[2].rev = 3;
	sync(anna, at, 3, 1);
	expect("", c);
	assert_false(got.is_more);
	at[2].rev = 99; /* ahead of the log */
	sync(anna, at, 3, 1);
	expect("", c);
	sync(anna, NULL, 0, 10);
	expect("", c);
	sync(0, at, 3, 0);
	expect("", c);
	assert_int_equal(sync_page(l.db, 1, at, SYNC_POSITIONS_MAX + 1, 1, 0, on_page, NULL, NULL),
			 -ERR_INVAL);
}

static void test_gaps(void **state UNUSED)
{
	int64_t c[8] = {conversation("room", "emptied", 0), conversation("room", "cut", 6),
			conversation("room", "whole", 2)};
	struct sync_position at[] = {{c[0], 5}, {c[1], 2}, {c[2], 0}};

	pg_valuef(pg, "UPDATE conversations SET base_rev = 7, base_seq = 7 WHERE id = %" PRId64,
		  c[0]);
	pg_valuef(pg, "DELETE FROM events WHERE rev <= 4 AND conversation_id = %" PRId64, c[1]);
	sync(anna, at, 3, 100);
	expect("a<7 b<4 b:5 b:6 c:1 c:2", c);
	sync(anna, at, 3, 2);
	expect("a<7 b<4+", c);
	at[0].rev = 7;
	at[1].rev = 4;
	sync(anna, at, 3, 2);
	expect("b:5 b:6+", c);
	at[1].rev = 6;
	sync(anna, at, 3, 2);
	expect("c:1 c:2", c);
}

static void test_rights(void **state UNUSED)
{
	int64_t user = pg_account(pg, "rights");
	int64_t c[8] = {conversation("group", "stranger", 1), conversation("group", "member", 2),
			conversation("group", "left", 1),     conversation("room", "banned", 1),
			conversation("room", "open", 1),      conversation("group", "partly", 3)};
	struct sync_position at[7];

	for (int i = 0; i < 6; i++)
		at[i] = (struct sync_position){c[i], 0};
	at[6] = (struct sync_position){999999, 0};
	pg_valuef(pg,
		  "INSERT INTO members (conversation_id, user_id, role, left_at, visible_from_rev)"
		  " VALUES (%" PRId64 ", %" PRId64 ", 'member', NULL, 0), (%" PRId64 ", %" PRId64
		  ", 'member', now(), 0), (%" PRId64 ", %" PRId64 ", 'banned', NULL, 0), (%" PRId64
		  ", %" PRId64 ", 'member', NULL, 2)",
		  c[1], user, c[2], user, c[3], user, c[5], user);
	sync(user, at, 7, 100);
	expect("b:1 b:2 e:1 f:3", c); /* before visible_from_rev there is nothing to miss */
	pg_valuef(pg, "SELECT conversation_close(%" PRId64 ", 0)", c[4]);
	at[4].rev = 1;
	sync(user, at, 7, 100);
	expect("b:1 b:2 e:2 f:3", c);
	assert_int_equal(got.row[2].kind, KIND_CONVERSATION_CLOSE);
}

static void test_beyond_the_positions(void **state UNUSED)
{
	int64_t user = pg_account(pg, "beyond");
	int64_t c[8] = {conversation("group", "known", 1), conversation("group", "joined", 2),
			conversation("group", "from the start", 1),
			conversation("group", "shut", 1)};
	struct sync_position at[] = {{c[0], 1}};

	pg_valuef(pg,
		  "INSERT INTO members (conversation_id, user_id) SELECT unnest(ARRAY[%" PRId64
		  ", %" PRId64 ", %" PRId64 "]), %" PRId64,
		  c[0], c[2], c[3], user);
	pg_valuef(pg,
		  "SELECT log_change(%" PRId64 ", 7::smallint, %" PRId64
		  ", uuid_v7(), NULL, %" PRId64 ", NULL, 'member', true, 0)",
		  c[1], user, user);
	pg_valuef(pg, "SELECT conversation_close(%" PRId64 ", 0)", c[3]);
	pg_send(pg, c[1], berta, "after");
	sync(user, at, 1, 100);
	expect("b:3 b:4 c:1", c); /* from the joining on, and what one made oneself */
	assert_int_equal(got.row[0].kind, KIND_MEMBER_JOIN);
	assert_int_equal(got.row[0].subject, user);
	sync(user, at, 1, 2);
	expect("b:3 b:4+", c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order_and_pages),
		cmocka_unit_test(test_gaps),
		cmocka_unit_test(test_rights),
		cmocka_unit_test(test_beyond_the_positions),
	};

	return cmocka_run_group_tests(tests, setup, fixture_close);
}
