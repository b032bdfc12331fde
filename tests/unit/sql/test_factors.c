/* SPDX-License-Identifier: MIT */
/*
 * Second factors, recovery codes and reset tokens: each code counts once.
 * Seen red: with "last_step <= " in totp_use, without "used_at IS NULL", and with a reset_use that
 * does not look at expires_at.
 */
#include "fixture.h"

#include "sql/factors.h"
#include "sql/resets.h"

static const uint8_t codes[3][FACTOR_HASH_LEN] = {{1}, {2}, {3}};

struct got {
	int n, err;
	int64_t user, codes_left, step;
	size_t n_ended;
	char text[512], name[128];
};

static void on_done(void *arg, int err)
{
	struct got *g = arg;

	g->n++;
	g->err = err;
}

static void on_sealed(void *arg, int err, struct str sealed)
{
	on_done(arg, err);
	assert_true((err == 0) == (sealed.p != NULL));
	copy(((struct got *)arg)->text, 512, sealed);
}

static void on_left(void *arg, int err, int64_t left)
{
	on_done(arg, err);
	((struct got *)arg)->codes_left = left;
}

static void on_login(void *arg, int err, const struct account_login *login)
{
	struct got *g = arg;

	on_done(arg, err);
	if (!login)
		return;
	g->user = login->id;
	g->step = login->totp_step;
	copy(g->text, sizeof(g->text), login->totp);
}

static void on_ended(void *arg, int err, const struct uuid *sessions UNUSED, size_t n)
{
	on_done(arg, err);
	((struct got *)arg)->n_ended = n;
}

static void on_mail(void *arg, int err, const struct reset_mail *mail)
{
	struct got *g = arg;

	on_done(arg, err);
	assert_true((err == 0) == (mail != NULL));
	if (!mail)
		return;
	g->user = mail->user;
	copy(g->text, sizeof(g->text), mail->email);
	copy(g->name, sizeof(g->name), mail->name);
}

/* Sends CALL, whose answer goes to g, and waits for it. */
#define AWAIT(call)                                                                                \
	({                                                                                         \
		struct got g = {0};                                                                \
		assert_int_equal(call, 0);                                                         \
		link_until(&l, &g.n, 1);                                                           \
		g;                                                                                 \
	})

static struct got begin(int64_t user, const char *sealed)
{
	return AWAIT(factor_totp_begin(l.db, user, str_of(sealed), 0, on_done, &g, NULL));
}

static struct got waiting(int64_t user)
{
	return AWAIT(factor_totp_waiting(l.db, user, 0, on_sealed, &g, NULL));
}

static struct got confirm_of(int64_t user, const char *sealed, int64_t step)
{
	return AWAIT(factor_totp_confirm(l.db, user, str_of(sealed), step, codes, 3,
					 (struct str){0}, 0, on_done, &g, NULL));
}

/* The one that waits. */
static struct got confirm(int64_t user, int64_t step)
{
	struct got now = waiting(user);

	return confirm_of(user, now.err ? "none" : now.text, step);
}

static struct got use(int64_t user, int64_t step)
{
	return AWAIT(factor_totp_use(l.db, user, step, 0, on_done, &g, NULL));
}

static struct got recover(int64_t user, const uint8_t *hash)
{
	return AWAIT(factor_recovery_use(l.db, user, hash, STR("192.0.2.1"), 0, on_left, &g, NULL));
}

static struct got set_codes(int64_t user, const uint8_t (*hashes)[FACTOR_HASH_LEN], size_t n)
{
	return AWAIT(factor_recovery_set(l.db, user, hashes, n, 0, on_done, &g, NULL));
}

static struct got remove_factor(int64_t user)
{
	return AWAIT(factor_totp_remove(l.db, user, 0, (struct str){0}, 0, on_done, &g, NULL));
}

static struct got find(const char *text)
{
	return AWAIT(account_find_login(l.db, str_of(text), 0, on_login, &g, NULL));
}

/* ---- Second factors ---- */

static void test_put_in_force(void **state UNUSED)
{
	int64_t ann = pg_account(pg, "ann");
	struct got g;

	assert_int_equal(waiting(ann).err, -ERR_NOENT);
	assert_int_equal(confirm(ann, 5).err, -ERR_NOENT);
	assert_int_equal(begin(ann, "first").err, 0);
	assert_int_equal(begin(ann, "second").err, 0);
	assert_string_equal(waiting(ann).text, "second");
	assert_string_equal(find("ann").text, ""); /* a login needs no code yet */
	assert_int_equal(use(ann, 9).err, -ERR_DENIED);
	assert_int_equal(confirm_of(ann, "first", 5).err, -ERR_NOENT); /* replaced meanwhile */
	assert_int_equal(confirm(ann, 5).err, 0);
	g = find("ann");
	assert_string_equal(g.text, "second");
	assert_int_equal(g.step, 5);
	assert_int_equal(begin(ann, "third").err, -ERR_EXISTS);
	assert_int_equal(waiting(ann).err, -ERR_NOENT);
	assert_int_equal(confirm(ann, 6).err, -ERR_NOENT);
	assert_int_equal(begin(ann + 1000, "x").err, -ERR_NOENT);
	assert_int_equal(factor_totp_begin(l.db, ann, STR(""), 0, on_done, &g, NULL), -ERR_INVAL);
	assert_int_equal(factor_totp_confirm(l.db, ann, STR("x"), 1, codes, 0,
					     (struct str){0}, 0, on_done, &g, NULL),
			 -ERR_INVAL);
}

static void test_a_step_counts_once(void **state UNUSED)
{
	int64_t bob = pg_account(pg, "bob");
	struct link other, *refs[] = {&l, &other};
	struct got a = {0}, b = {0};

	assert_int_equal(begin(bob, "s").err, 0);
	assert_int_equal(confirm(bob, 5).err, 0);
	assert_int_equal(use(bob, 5).err, -ERR_DENIED); /* the code that confirmed it */
	assert_int_equal(use(bob, 7).err, 0);
	assert_int_equal(use(bob, 7).err, -ERR_DENIED);
	assert_int_equal(use(bob, 6).err, -ERR_DENIED);
	assert_int_equal(find("bob").step, 7);
	link_open(&other, url, NULL);
	assert_int_equal(factor_totp_use(l.db, bob, 8, 0, on_done, &a, NULL), 0);
	assert_int_equal(factor_totp_use(other.db, bob, 8, 0, on_done, &b, NULL), 0);
	while (!a.n || !b.n)
		links_turn(refs, 2, 100);
	link_close(&other);
	assert_int_equal(a.err + b.err, -ERR_DENIED);
	assert_int_equal(a.err * b.err, 0);
}

static void test_recovery(void **state UNUSED)
{
	int64_t eve = pg_account(pg, "eve"), fay = pg_account(pg, "fay");
	static const uint8_t fresh[2][FACTOR_HASH_LEN] = {{8}, {9}};
	struct got g;

	assert_int_equal(set_codes(eve, fresh, 2).err, -ERR_NOENT);
	begin(eve, "s");
	confirm(eve, 1);
	begin(fay, "s");
	confirm(fay, 1);
	g = recover(eve, codes[1]);
	assert_int_equal(g.err, 0);
	assert_int_equal(g.codes_left, 2);
	assert_int_equal(recover(eve, codes[1]).err, -ERR_DENIED);
	assert_int_equal(recover(eve, fresh[0]).err, -ERR_DENIED);
	assert_int_equal(set_codes(eve, fresh, 2).err, 0);
	assert_int_equal(recover(eve, codes[0]).err, -ERR_DENIED);
	assert_int_equal(recover(eve, fresh[0]).codes_left, 1);
	assert_int_equal(recover(fay, codes[1]).codes_left, 2); /* untouched by eve's */

	assert_int_equal(remove_factor(eve).err, 0);
	assert_int_equal(remove_factor(eve).err, -ERR_NOENT);
	assert_int_equal(recover(eve, fresh[1]).err, -ERR_DENIED);
	assert_string_equal(find("eve").text, "");
	assert_int_equal(begin(eve, "again").err, 0);
	assert_string_equal(pg_valuef(pg,
				      "SELECT string_agg(action, ' ' ORDER BY id) FROM audit"
				      " WHERE target_user_id = %lld",
				      (long long)eve),
			    "totp.on recovery.use recovery.use totp.off");
}

/* ---- Forgotten passwords ---- */

static struct got request(const char *email, uint8_t token)
{
	const uint8_t hash[RESET_HASH_LEN] = {token};

	return AWAIT(reset_create(l.db, str_of(email), hash, 3600 * 1000, STR("192.0.2.1"), 0,
				  on_mail, &g, NULL));
}

static struct got check(uint8_t token)
{
	const uint8_t hash[RESET_HASH_LEN] = {token};

	return AWAIT(reset_check(l.db, hash, 0, on_mail, &g, NULL));
}

static struct got reset(uint8_t token, const char *phc)
{
	const uint8_t hash[RESET_HASH_LEN] = {token};

	return AWAIT(reset_use(l.db, hash, str_of(phc), STR("192.0.2.1"), 0, on_ended, &g, NULL));
}

static void expire(uint8_t token)
{
	pg_valuef(pg,
		  "UPDATE reset_tokens SET expires_at = now() - interval '1 second'"
		  " WHERE get_byte(token_hash, 0) = %d",
		  token);
}

static void test_reset(void **state UNUSED)
{
	int64_t gus = pg_account(pg, "gus");
	struct got g;

	pg_valuef(pg, "UPDATE users SET email = 'Gus@example.org' WHERE id = %lld", (long long)gus);
	pg_valuef(pg,
		  "INSERT INTO sessions (user_id, kind, expires_at)"
		  " VALUES (%lld, 'cookie', now() + interval '1 day')",
		  (long long)gus);
	assert_int_equal(request("nobody@example.org", 1).err, -ERR_NOENT);
	assert_int_equal(request("gus", 1).err, -ERR_NOENT);
	g = request("gus@EXAMPLE.org", 1);
	assert_int_equal(g.err, 0);
	assert_int_equal(g.user, gus);
	assert_string_equal(g.text, "Gus@example.org"); /* as it was given, not as asked */
	assert_string_equal(g.name, "gus");
	assert_int_equal(request("gus@example.org", 1).err, 0); /* the same once more */
	assert_int_equal(request("gus@example.org", 2).err, 0);
	assert_int_equal(request("gus@example.org", 3).err, 0);
	assert_int_equal(request("gus@example.org", 4).err, -ERR_FULL);
	assert_int_equal(check(3).user, gus);
	assert_int_equal(check(4).err, -ERR_NOENT);
	expire(3);
	assert_int_equal(check(3).err, -ERR_NOENT);
	assert_int_equal(reset(3, "$h$late").err, -ERR_NOENT);
	assert_int_equal(request("gus@example.org", 5).err, 0); /* there is room again */

	g = reset(1, "$h$new");
	assert_int_equal(g.err, 0);
	assert_int_equal(g.n_ended, 1);
	assert_string_equal(pg_valuef(pg, "SELECT password_hash FROM users WHERE id = %lld",
				      (long long)gus),
			    "$h$new");
	assert_int_equal(reset(1, "$h$again").err, -ERR_NOENT);
	assert_int_equal(reset(2, "$h$again").err, -ERR_NOENT); /* the others are void, too */
	assert_int_equal(check(2).err, -ERR_NOENT);
}

static void test_reset_by_two(void **state UNUSED)
{
	int64_t hal = pg_account(pg, "hal");
	const uint8_t hash[RESET_HASH_LEN] = {50};
	struct link other, *refs[] = {&l, &other};
	struct got a = {0}, b = {0};

	pg_valuef(pg, "UPDATE users SET email = 'hal@example.org' WHERE id = %lld", (long long)hal);
	assert_int_equal(request("hal@example.org", 50).err, 0);
	link_open(&other, url, NULL);
	assert_int_equal(reset_use(l.db, hash, STR("$h$a"), (struct str){0}, 0, on_ended, &a, NULL),
			 0);
	assert_int_equal(
		reset_use(other.db, hash, STR("$h$b"), (struct str){0}, 0, on_ended, &b, NULL), 0);
	while (!a.n || !b.n)
		links_turn(refs, 2, 100);
	link_close(&other);
	assert_int_equal(a.err + b.err, -ERR_NOENT);
	assert_int_equal(a.err * b.err, 0);
}

static void test_reset_of_a_disabled_account(void **state UNUSED)
{
	int64_t ida = pg_account(pg, "ida");

	pg_valuef(pg, "UPDATE users SET email = 'ida@example.org' WHERE id = %lld", (long long)ida);
	assert_int_equal(request("ida@example.org", 60).err, 0);
	pg_valuef(pg, "UPDATE users SET disabled_at = now() WHERE id = %lld", (long long)ida);
	assert_int_equal(request("ida@example.org", 61).err, -ERR_NOENT);
	assert_int_equal(check(60).err, -ERR_NOENT);
	assert_int_equal(reset(60, "$h$").err, -ERR_NOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_put_in_force),
		cmocka_unit_test(test_a_step_counts_once),
		cmocka_unit_test(test_recovery),
		cmocka_unit_test(test_reset),
		cmocka_unit_test(test_reset_by_two),
		cmocka_unit_test(test_reset_of_a_disabled_account),
	};

	return cmocka_run_group_tests(tests, fixture_open, fixture_close);
}
