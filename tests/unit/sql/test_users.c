/* SPDX-License-Identifier: MIT */
/*
 * Guests by name: one per name whatever the haste, never an account's name.
 */
#include "fixture.h"

#include "sql/users.h"

struct got {
	int n, err;
	int64_t id;
	struct uuid uid;
	char name[512];
};

static void on_user(void *arg, int err, const struct user *user)
{
	struct got *g = arg;

	g->n++;
	g->err = err;
	assert_true((err == 0) == (user != NULL));
	if (!user)
		return;
	g->id = user->id;
	g->uid = user->uid;
	copy(g->name, sizeof(g->name), user->name);
}

static struct got guest(const char *name)
{
	struct got g = {0};

	assert_int_equal(user_guest_get(l.db, str_of(name), 0, on_user, &g, NULL), 0);
	link_until(&l, &g.n, 1);
	return g;
}

static void test_one_per_name(void **state UNUSED)
{
	struct got first = guest("Alice"), again = guest("Alice"), lower = guest("aLICE");

	assert_int_equal(first.err, 0);
	assert_true(first.id > 0);
	assert_false(uuid_is_zero(&first.uid));
	assert_string_equal(first.name, "Alice");
	assert_int_equal(again.id, first.id);
	assert_int_equal(lower.id, first.id); /* one person however it is written */
	assert_string_equal(lower.name, "Alice");
	assert_int_equal(guest("Al\xe2\x80\x8bice").id, first.id); /* a zero-width space */
	assert_int_equal(guest("\xef\xbc\xa1lice").id, first.id);   /* full width */
	assert_int_not_equal(guest("Alicia").id, first.id);
	assert_int_equal(guest("\xc3\x84nne").id, guest("\xc3\x84nne").id); /* beyond ASCII too */
}

static void on_ids(void *arg, int err, const int64_t *ids, size_t n)
{
	struct got *got = arg;

	assert_int_equal(err, 0);
	assert_int_equal(n, 3);
	assert_int_equal(ids[1], 0); /* nobody */
	assert_int_equal(ids[0], ids[2]);
	got->id = ids[0];
	got->n++;
}

static void test_numbers_of_uuids(void **state UNUSED)
{
	struct got one = guest("Somebody"), g = {0};
	struct uuid uids[3] = {one.uid, one.uid, one.uid};

	uids[1].b[15] ^= 1;
	assert_int_equal(user_ids(l.db, uids, 3, 0, on_ids, &g, NULL), 0);
	link_until(&l, &g.n, 1);
	assert_int_equal(g.id, one.id);
	assert_int_equal(user_ids(l.db, uids, 0, 0, on_ids, &g, NULL), -ERR_INVAL);
}

static void test_account_names(void **state UNUSED)
{
	pg_account(pg, "Boss");
	pg_value(pg,
		 "INSERT INTO users (kind, username, name) VALUES ('bot', 'helper', 'Shown Name')");
	assert_int_equal(guest("Boss").err, -ERR_EXISTS);
	assert_int_equal(guest("bOSS").err, -ERR_EXISTS);
	assert_int_equal(guest("HELPER").err, -ERR_EXISTS);
	assert_int_equal(guest("shown name").err, -ERR_EXISTS);
	assert_int_equal(guest("Carol").err, 0);
	pg_account(pg, "carol"); /* registered later: the guest loses the name */
	assert_int_equal(guest("Carol").err, -ERR_EXISTS);
}

static void test_refused(void **state UNUSED)
{
	char longest[102];

	assert_int_equal(guest("Troll").err, 0);
	pg_value(pg, "UPDATE users SET disabled_at = now() WHERE name = 'Troll'");
	assert_int_equal(guest("Troll").err, -ERR_DENIED);
	memset(longest, 'x', sizeof(longest));
	longest[101] = '\0';
	assert_int_equal(guest(longest).err, -ERR_INVAL);
	longest[100] = '\0';
	assert_int_equal(guest(longest).err, 0);
	assert_int_equal(guest("").err, -ERR_INVAL);
	assert_int_equal(guest("\xc3(").err, -ERR_INVAL);
}

static void test_race(void **state UNUSED)
{
	struct link links[8], *refs[8];
	struct got g[80] = {{0}};
	int n_answers = 0;

	for (int i = 0; i < 8; i++) {
		link_open(&links[i], url, NULL);
		refs[i] = &links[i];
	}
	for (int i = 0; i < 80; i++)
		assert_int_equal(
			user_guest_get(links[i % 8].db, STR("Rush"), 0, on_user, &g[i], NULL), 0);
	while (n_answers < 80) {
		links_turn(refs, 8, 1000);
		n_answers = 0;
		for (int i = 0; i < 80; i++)
			n_answers += g[i].n;
	}
	for (int i = 0; i < 80; i++) {
		assert_int_equal(g[i].err, 0);
		assert_int_equal(g[i].id, g[0].id);
	}
	for (int i = 0; i < 8; i++)
		link_close(&links[i]);
}

/* ---- Many at once ---- */

struct many {
	int n, err, rows;
	int errs[16];
	int64_t ids[16];
	char names[16][16];
};

static void on_users(void *arg, int err, const struct db_result *res)
{
	struct many *m = arg;
	struct user u;

	m->n++;
	m->err = err;
	m->rows = err ? 0 : db_rows(res);
	for (int i = 0; i < m->rows && i < 16; i++) {
		m->errs[i] = user_guests_row(res, i, &u);
		if (m->errs[i] == 0) {
			m->ids[i] = u.id;
			snprintf(m->names[i], 16, "%.*s", (int)u.name.len, u.name.p);
		}
	}
	if (!err)
		assert_int_equal(user_guests_row(res, m->rows, &u), -ERR_DB);
}

static void test_many(void **state UNUSED)
{
	static struct str names[USER_GUESTS_MAX + 1];
	char text[USER_GUESTS_MAX][16], longest[102];
	struct many m = {0};
	int64_t old = guest("was there").id;

	memset(longest, 'x', 101);
	longest[101] = '\0';
	pg_account(pg, "Owner");
	guest("shut");
	pg_value(pg, "UPDATE users SET disabled_at = now() WHERE name = 'shut'");
	names[0] = STR("zoe");
	names[1] = STR("was there");
	names[2] = STR("OWNER");
	names[3] = STR("zoe");
	names[4] = STR("");
	names[5] = STR("shut");
	names[6] = str_of(longest);
	names[7] = STR("abe");
	names[8] = STR("ZOE");
	assert_int_equal(user_guests_get(l.db, names, 9, 0, on_users, &m, NULL), 0);
	link_until(&l, &m.n, 1);
	assert_int_equal(m.rows, 9);
	assert_int_equal(m.ids[8], m.ids[0]);
	assert_string_equal(m.names[8], "zoe");
	assert_string_equal(m.names[0], "zoe");
	assert_int_equal(m.ids[1], old);
	assert_int_equal(m.errs[2], -ERR_EXISTS);
	assert_int_equal(m.ids[3], m.ids[0]);
	assert_int_equal(m.errs[4], -ERR_INVAL);
	assert_int_equal(m.errs[5], -ERR_DENIED);
	assert_int_equal(m.errs[6], -ERR_INVAL);
	assert_string_equal(m.names[7], "abe");
	assert_int_equal(guest("zoe").id, m.ids[0]);

	for (int i = 0; i < USER_GUESTS_MAX; i++) {
		snprintf(text[i], sizeof(text[i]), "guest %d", i);
		names[i] = str_of(text[i]);
	}
	assert_int_equal(user_guests_get(l.db, names, 0, 0, on_users, &m, NULL), -ERR_INVAL);
	assert_int_equal(user_guests_get(l.db, names, USER_GUESTS_MAX + 1, 0, on_users, &m, NULL),
			 -ERR_INVAL);
	for (int round = 0; round < 2; round++) {
		assert_int_equal(
			user_guests_get(l.db, names, USER_GUESTS_MAX, 0, on_users, &m, NULL), 0);
		link_until(&l, &m.n, 2 + round);
		assert_int_equal(m.rows, USER_GUESTS_MAX);
	}
	assert_int_equal(pg_number(pg, "SELECT count(*) FROM users WHERE name LIKE 'guest %'"),
			 USER_GUESTS_MAX);
	names[0] = STR("\xff");
	assert_int_equal(user_guests_get(l.db, names, 1, 0, on_users, &m, NULL), 0);
	link_until(&l, &m.n, 4);
	assert_int_equal(m.err, -ERR_INVAL);
}

/* Two ask for the same new names in opposite orders: neither waits for the other in a circle. */
static void test_many_from_two(void **state UNUSED)
{
	char text[300][16];
	struct str up[300], down[300];
	struct many m[2] = {{0}};
	struct link other, *links[] = {&l, &other};

	link_open(&other, url, NULL);
	for (int i = 0; i < 300; i++) {
		snprintf(text[i], sizeof(text[i]), "both %d", i);
		up[i] = down[299 - i] = str_of(text[i]);
	}
	assert_int_equal(user_guests_get(l.db, up, 300, 0, on_users, &m[0], NULL), 0);
	assert_int_equal(user_guests_get(other.db, down, 300, 0, on_users, &m[1], NULL), 0);
	while (!m[0].n || !m[1].n)
		links_turn(links, 2, 100);
	link_close(&other);
	for (int k = 0; k < 2; k++) {
		assert_int_equal(m[k].err, 0);
		assert_int_equal(m[k].rows, 300);
		for (int i = 0; i < 16; i++)
			assert_int_equal(m[k].errs[i], 0);
	}
	assert_string_equal(m[0].names[3], "both 3");
	assert_string_equal(m[1].names[3], "both 296");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_per_name), cmocka_unit_test(test_account_names),
		cmocka_unit_test(test_refused),	     cmocka_unit_test(test_race),
		cmocka_unit_test(test_many),	     cmocka_unit_test(test_many_from_two),
		cmocka_unit_test(test_numbers_of_uuids),
	};

	return cmocka_run_group_tests(tests, fixture_open, fixture_close);
}
