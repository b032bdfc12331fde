/* SPDX-License-Identifier: MIT */
/*
 * Guests by name: one per name whatever the haste, never an account's name.
 */
#include "pg.h"

#include "sql/users.h"

static char url[PG_URL_MAX];
static PGconn *pg;
static struct link l;

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
	snprintf(g->name, sizeof(g->name), "%.*s", (int)user->name.len, user->name.p);
}

static int setup(void **state)
{
	pg_setup(state);
	pg_database(url);
	pg = pg_open(url);
	link_open(&l, url, NULL);
	return 0;
}

static int teardown(void **state)
{
	link_close(&l);
	PQfinish(pg);
	return pg_teardown(state);
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
	assert_int_not_equal(lower.id, first.id); /* people choose how they are written */
	assert_string_equal(lower.name, "aLICE");
	assert_int_not_equal(guest("Alicia").id, first.id);
	assert_int_equal(guest("\xc3\x84nne").id, guest("\xc3\x84nne").id); /* beyond ASCII too */
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
		assert_int_equal(user_guest_get(links[i % 8].db, STR("Rush"), 0, on_user, &g[i],
						NULL),
				 0);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_per_name),
		cmocka_unit_test(test_account_names),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_race),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
