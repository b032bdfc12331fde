/* SPDX-License-Identifier: MIT */
/*
 * One conversation for each pair whoever asks and whenever, who is kept from writing, and what is
 * announced to whom.
 */
#include "fixture.h"

#include "sql/direct.h"
#include "sql/events.h"
#include "sql/members.h"

static int64_t anna, berta, clara;

struct got {
	int n, err;
	struct direct d;
	int64_t conv;
	char json[4096];
	int rows;
	struct notice_member member[8];
	int64_t rev[8];
	char role[32];
	int64_t pair[2];
};

static struct got got;

static void on_direct(void *arg UNUSED, int err, const struct direct *d)
{
	got.n++;
	got.err = err;
	assert_true((err == 0) == (d != NULL));
	if (d)
		got.d = *d;
}

static void on_block(void *arg UNUSED, int err, int64_t conv)
{
	got.n++;
	got.err = err;
	got.conv = conv;
}

static void on_list(void *arg UNUSED, int err, struct str json)
{
	got.n++;
	got.err = err;
	copy(got.json, sizeof(got.json), json);
}

static void on_members(void *arg UNUSED, int err, const struct db_result *res)
{
	got.n++;
	got.err = err;
	got.rows = err ? 0 : db_rows(res);
	for (int i = 0; i < got.rows; i++)
		notices_member_get(res, i, &got.member[i]);
}

static void on_events(void *arg UNUSED, int err, const struct db_result *res)
{
	struct event_row row;

	got.n++;
	got.err = err;
	got.rows = err ? 0 : db_rows(res);
	for (int i = 0; i < got.rows; i++) {
		event_row_get(res, i, &row);
		got.rev[i] = row.rev;
	}
}

static void on_roles(void *arg UNUSED, int err, const struct db_result *res)
{
	struct member_row row;

	got.n++;
	got.err = err;
	got.rows = err ? 0 : db_rows(res);
	if (!got.rows)
		return;
	members_roles_row(res, 0, &row);
	copy(got.role, sizeof(got.role), row.role);
	memcpy(got.pair, row.pair, sizeof(got.pair));
}

static int setup(void **state)
{
	fixture_open(state);
	anna = pg_account(pg, "anna");
	berta = pg_account(pg, "berta");
	clara = pg_account(pg, "clara");
	return 0;
}

static int open_with(int64_t user, int64_t peer, const struct uuid *uid)
{
	got = (struct got){0};
	assert_int_equal(direct_open(l.db, user, peer, uid, 0, on_direct, NULL, NULL), 0);
	link_until(&l, &got.n, 1);
	return got.err;
}

static int block(int64_t user, int64_t other, bool on)
{
	got = (struct got){0};
	assert_int_equal(block_set(l.db, user, other, on, 0, on_block, NULL, NULL), 0);
	link_until(&l, &got.n, 1);
	return got.err;
}

static const char *role_of(int64_t conv, int64_t user)
{
	got = (struct got){0};
	assert_int_equal(members_roles(l.db, &conv, &user, 1, 0, on_roles, NULL, NULL), 0);
	link_until(&l, &got.n, 1);
	assert_int_equal(got.err, 0);
	return got.role;
}

static struct uuid uid_of(int64_t user)
{
	const char *text = pg_valuef(pg, "SELECT uid FROM users WHERE id = %" PRId64, user);
	struct uuid uid;

	assert_int_equal(uuid_parse(str_of(text), &uid), 0);
	return uid;
}

static void test_one_for_each_pair(void **state UNUSED)
{
	struct uuid uid = uid_of(anna);
	int64_t conv;

	assert_int_equal(open_with(anna, berta, NULL), 0);
	assert_true(got.d.is_new);
	assert_int_equal(got.d.peer, berta);
	conv = got.d.conv;
	assert_int_equal(open_with(berta, 0, &uid), 0);
	assert_false(got.d.is_new);
	assert_int_equal(got.d.conv, conv);
	assert_int_equal(got.d.peer, anna);
	assert_string_equal(
		pg_valuef(pg,
			  "SELECT kind || ' ' || (direct_key = '%" PRId64 ":%" PRId64 "') || ' ' ||"
			  " (SELECT string_agg(role, ',') FROM members WHERE conversation_id = id)"
			  " FROM conversations WHERE id = %" PRId64,
			  anna, berta, conv),
		"direct true member,member");
	assert_string_equal(role_of(conv, anna), "member");
	assert_int_equal(got.pair[0], anna);
	assert_int_equal(got.pair[1], berta);
	open_with(anna, clara, NULL);
	assert_int_not_equal(got.d.conv, conv);
}

/* The second waits for the first to commit, then finds what that made. */
static void test_two_at_once(void **state UNUSED)
{
	int64_t a = pg_account(pg, "atonce"), b = pg_account(pg, "twice"), conv;

	pg_value(pg, "BEGIN");
	conv = pg_numberf(pg, "SELECT conv FROM direct_open(%" PRId64 ", %" PRId64 ", NULL)", a, b);
	got = (struct got){0};
	assert_int_equal(direct_open(l.db, b, a, NULL, 0, on_direct, NULL, NULL), 0);
	for (int i = 0; i < 20 && !got.n; i++)
		links_turn((struct link *const[]){&l}, 1, 10);
	assert_int_equal(got.n, 0);
	pg_value(pg, "COMMIT");
	link_until(&l, &got.n, 1);
	assert_int_equal(got.err, 0);
	assert_int_equal(got.d.conv, conv);
	assert_false(got.d.is_new);
}

static void test_refusals(void **state UNUSED)
{
	struct uuid nobody = {{1}};
	int64_t gone = pg_account(pg, "gone");
	int64_t before = pg_number(pg, "SELECT count(*) FROM conversations");

	assert_int_equal(open_with(anna, anna, NULL), -ERR_INVAL);
	assert_int_equal(open_with(anna, 999999, NULL), -ERR_NOENT);
	assert_int_equal(open_with(anna, 0, &nobody), -ERR_NOENT);
	pg_valuef(pg, "UPDATE users SET disabled_at = now() WHERE id = %" PRId64, gone);
	assert_int_equal(open_with(anna, gone, NULL), -ERR_NOENT);
	assert_int_equal(pg_number(pg, "SELECT count(*) FROM conversations"), before);
	open_with(anna, clara, NULL);
	pg_valuef(pg, "UPDATE conversations SET closed_at = now() WHERE id = %" PRId64, got.d.conv);
	assert_int_equal(open_with(clara, anna, NULL), -ERR_CLOSED);
	pg_valuef(pg, "UPDATE conversations SET closed_at = NULL WHERE direct_key = '%" PRId64
		  ":%" PRId64 "'", anna, clara);
}

static void test_who_has_left_is_in_it_again(void **state UNUSED)
{
	int64_t conv;

	open_with(anna, clara, NULL);
	conv = got.d.conv;
	pg_valuef(pg, "UPDATE members SET left_at = now() WHERE user_id = %" PRId64
		  " AND conversation_id = %" PRId64, clara, conv);
	assert_int_equal(open_with(anna, clara, NULL), 0);
	assert_true(got.d.is_new);
	assert_int_equal(got.d.conv, conv);
	assert_int_equal(pg_numberf(pg, "SELECT count(*) FROM members WHERE left_at IS NULL"
				    " AND conversation_id = %" PRId64, conv), 2);
	pg_valuef(pg, "UPDATE members SET role = 'banned', left_at = now() WHERE user_id = %" PRId64
		  " AND conversation_id = %" PRId64, clara, conv);
	assert_int_equal(open_with(anna, clara, NULL), 0); /* a ban stays */
	assert_string_equal(role_of(conv, clara), "banned");
	pg_valuef(pg, "UPDATE members SET role = 'member', left_at = NULL WHERE user_id = %" PRId64
		  " AND conversation_id = %" PRId64, clara, conv);
}

static void test_blocks(void **state UNUSED)
{
	int64_t fremd = pg_account(pg, "fremd"), conv;

	open_with(anna, berta, NULL);
	conv = got.d.conv;
	assert_int_equal(block(berta, anna, true), 0);
	assert_int_equal(got.conv, conv);
	assert_string_equal(role_of(conv, anna), "read-only");
	assert_string_equal(role_of(conv, berta), "member");
	assert_int_equal(block(berta, anna, true), 0);
	assert_int_equal(got.conv, 0); /* nothing changed */
	assert_int_equal(open_with(anna, berta, NULL), 0); /* it is there: her role tells */
	assert_int_equal(block(berta, fremd, true), 0);
	assert_int_equal(got.conv, 0);
	assert_int_equal(open_with(fremd, berta, NULL), -ERR_DENIED);
	assert_int_equal(block(berta, berta, true), -ERR_INVAL);
	assert_int_equal(block(berta, 999999, true), -ERR_NOENT);
	got = (struct got){0};
	assert_int_equal(block_list(l.db, berta, 0, on_list, NULL, NULL), 0);
	link_until(&l, &got.n, 1);
	assert_non_null(strstr(got.json, "{\"blocks\" : [{\"user\" : {\"id\" : "));
	assert_non_null(strstr(got.json, "fremd"));
	assert_int_equal(block(berta, anna, false), 0);
	assert_int_equal(got.conv, conv);
	assert_string_equal(role_of(conv, anna), "member");
	assert_int_equal(block(berta, fremd, false), 0);
	assert_int_equal(open_with(fremd, berta, NULL), 0);
	block(fremd, anna, true);
	pg_valuef(pg, "SELECT account_erase(%" PRId64 ", -1, NULL)", fremd);
	assert_int_equal(pg_numberf(pg, "SELECT count(*) FROM user_blocks WHERE user_id = %" PRId64,
				    fremd), 0);
}

static void test_announcements(void **state UNUSED)
{
	int64_t a = pg_account(pg, "rufer"), b = pg_account(pg, "hoerer"), conv;
	const int64_t none = 0, two = 2, three = 3;

	open_with(a, b, NULL);
	conv = got.d.conv;
	pg_send(pg, conv, a, "one");
	pg_valuef(pg, "SELECT log_change(%" PRId64 ", 5::smallint, %" PRId64
		  ", uuid_v7(), 1, NULL, NULL, 'x', true, 0)", conv, b);
	pg_send(pg, conv, a, "two");
	got = (struct got){0};
	assert_int_equal(notices_members(l.db, &conv, 1, 0, on_members, NULL, NULL), 0);
	link_until(&l, &got.n, 1);
	assert_int_equal(got.rows, 2);
	assert_int_equal(got.member[0].user, a);
	assert_int_equal(got.member[0].unread, 0);
	assert_int_equal(got.member[0].peer, b);
	assert_int_equal(got.member[1].user, b);
	assert_int_equal(got.member[1].unread, 2);
	assert_int_equal(got.member[1].conv, conv);
	assert_int_equal(pg_numberf(pg, "SELECT count(*) FROM verify_log() WHERE conv = %" PRId64,
				    conv),
			 0);
	assert_int_equal(pg_numberf(pg,
				    "SELECT count(*) FROM verify_unread() WHERE conv = %" PRId64,
				    conv),
			 0);
	pg_valuef(pg, "UPDATE members SET notify = 'none' WHERE user_id = %" PRId64, b);
	got = (struct got){0};
	assert_int_equal(notices_members(l.db, &conv, 1, 0, on_members, NULL, NULL), 0);
	link_until(&l, &got.n, 1);
	assert_int_equal(got.rows, 1);
	got = (struct got){0};
	assert_int_equal(notices_events(l.db, &conv, &none, &none, 1, 0, on_events, NULL, NULL), 0);
	link_until(&l, &got.n, 1);
	assert_int_equal(got.rows, 2);
	assert_int_equal(got.rev[0], 1);
	assert_int_equal(got.rev[1], 3);
	got = (struct got){0};
	assert_int_equal(notices_events(l.db, &conv, &two, &none, 1, 0, on_events, NULL, NULL), 0);
	link_until(&l, &got.n, 1);
	assert_int_equal(got.rows, 1);
	pg_valuef(pg, "UPDATE events SET at = at - interval '2 seconds' WHERE rev = 1"
		  " AND conversation_id = %" PRId64, conv);
	got = (struct got){0};
	assert_int_equal(notices_events(l.db, &conv, &none, &three, 1, 0, on_events, NULL, NULL),
			 0);
	link_until(&l, &got.n, 1);
	assert_int_equal(got.rows, 1);
	assert_int_equal(got.rev[0], 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_for_each_pair),
		cmocka_unit_test(test_two_at_once),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_who_has_left_is_in_it_again),
		cmocka_unit_test(test_blocks),
		cmocka_unit_test(test_announcements),
	};

	return cmocka_run_group_tests(tests, setup, fixture_close);
}
