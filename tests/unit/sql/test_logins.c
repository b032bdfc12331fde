/* SPDX-License-Identifier: MIT */
/*
 * Sessions: a refresh token counts once, a used one ends its session, ended ones are found.
 * Seen red: without the branch for reuse in session_refresh, without the comparison of families,
 * without the grace, with a session_begin that does not lock the user, and with a margin of 0.
 */
#include "fixture.h"

#include <sys/socket.h>

#include "base/clock.h"
#include "sql/logins.h"

#define WEEK_MS (7ll * 24 * 3600 * 1000)
#define GRACE_MS 10000

static const uint8_t key[32] = {1, 2, 3, [31] = 4};
static int64_t ann;

struct got {
	int n, err, rows;
	struct uuid session, uid;
	int64_t user, expires_ms;
	bool is_account, is_admin, is_repeat;
	char name[128], text[8192];
	size_t n_ended;
	struct uuid ended[16];
};

static int setup(void **state)
{
	fixture_open(state);
	ann = pg_account(pg, "ann");
	return 0;
}

/* ---- Calls that wait ---- */

static void on_login(void *arg, int err, const struct login *login)
{
	struct got *g = arg;

	g->n++;
	g->err = err;
	assert_true((err == 0) == (login != NULL));
	if (!login)
		return;
	g->session = login->session;
	g->user = login->user;
	g->uid = login->uid;
	g->expires_ms = login->expires_ms;
	g->is_account = login->is_account;
	g->is_admin = login->is_admin;
	g->is_repeat = login->is_repeat;
	copy(g->name, sizeof(g->name), login->name);
}

static void on_ended(void *arg, int err, const struct uuid *sessions, size_t n)
{
	struct got *g = arg;

	g->n++;
	g->err = err;
	g->n_ended = n;
	assert_true(n <= ARRAY_LEN(g->ended));
	if (n)
		memcpy(g->ended, sessions, n * sizeof(*sessions));
}

static void on_done(void *arg, int err)
{
	struct got *g = arg;

	g->n++;
	g->err = err;
}

static void on_page(void *arg, int err, struct str json)
{
	struct got *g = arg;

	g->n++;
	g->err = err;
	copy(g->text, sizeof(g->text), json);
}

static struct login_new new_of(int64_t user, enum login_kind kind)
{
	struct login_new n = {.user = user,
			      .kind = kind,
			      .credentials = -1,
			      .device = STR("Browser 1.0"),
			      .address = STR("192.0.2.1"),
			      .ttl_ms = WEEK_MS};

	assert_int_equal(login_token_new(&n.token), 0);
	return n;
}

static struct got begin(const struct login_new *n)
{
	struct got g = {0};

	assert_int_equal(login_create(l.db, n, 0, on_login, &g, NULL), 0);
	link_until(&l, &g.n, 1);
	return g;
}

/* The token of a new session of USER. */
static struct login_token begun(int64_t user)
{
	struct login_new n = new_of(user, LOGIN_REFRESH);

	assert_int_equal(begin(&n).err, 0);
	return n.token;
}

static struct login_token next_of(struct login_token t)
{
	struct login_token next;

	login_token_next(&t, key, sizeof(key), &next);
	return next;
}

static struct got refresh(struct login_token shown)
{
	struct login_token next = next_of(shown);
	struct got g = {0};

	assert_int_equal(login_refresh(l.db, &shown, &next, WEEK_MS, GRACE_MS, STR("192.0.2.2"), 0,
				       on_login, &g, NULL),
			 0);
	link_until(&l, &g.n, 1);
	return g;
}

static const char *text_of(const struct uuid *u)
{
	static char text[UUID_TEXT_LEN + 1];

	uuid_format(u, text);
	return text;
}

/* Makes the newest use of SESSION that long ago. */
static void age(const struct uuid *session, const char *interval)
{
	pg_valuef(pg,
		  "UPDATE sessions SET last_seen_at = last_seen_at - interval '%s',"
		  " expires_at = expires_at - interval '%s',"
		  " refreshed_at = refreshed_at - interval '%s' WHERE id = '%s'",
		  interval, interval, interval, text_of(session));
}

static bool is_ended(const struct uuid *session)
{
	return pg_numberf(pg,
			  "SELECT count(*) FROM sessions WHERE id = '%s'"
			  " AND revoked_at IS NOT NULL",
			  text_of(session)) == 1;
}

/* ---- The token ---- */

static void test_token(void **state UNUSED)
{
	struct login_token t, u, next, again;
	char text[LOGIN_TOKEN_LEN + 1], other[LOGIN_TOKEN_LEN + 1];

	assert_int_equal(login_token_new(&t), 0);
	assert_int_equal(login_token_new(&u), 0);
	assert_memory_not_equal(t.family, u.family, sizeof(t.family));
	assert_memory_not_equal(t.secret, u.secret, sizeof(t.secret));
	login_token_format(&t, text);
	assert_int_equal(strlen(text), LOGIN_TOKEN_LEN);
	assert_int_equal(strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789-_"),
			 LOGIN_TOKEN_LEN);
	assert_int_equal(login_token_parse(str_of(text), &u), 0);
	assert_memory_equal(&t, &u, sizeof(t));
	assert_int_equal(login_token_parse((struct str){text, LOGIN_TOKEN_LEN - 1}, &u),
			 -ERR_INVAL);
	assert_int_equal(login_token_parse(STR(""), &u), -ERR_INVAL);
	text[3] = '+';
	assert_int_equal(login_token_parse(str_of(text), &u), -ERR_INVAL);

	next = next_of(t);
	again = next_of(t);
	assert_memory_equal(&next, &again, sizeof(next));
	assert_memory_equal(&next.session, &t.session, sizeof(t.session));
	assert_memory_equal(next.family, t.family, sizeof(t.family));
	assert_memory_not_equal(next.secret, t.secret, sizeof(t.secret));
	login_token_next(&t, key, sizeof(key) - 1, &again);
	assert_memory_not_equal(next.secret, again.secret, sizeof(next.secret));
	login_token_format(&next, other);
	assert_string_not_equal(text, other);
}

/* ---- One use ---- */

static void test_chain(void **state UNUSED)
{
	struct login_new n = new_of(ann, LOGIN_REFRESH);
	struct got g = begin(&n);
	struct login_token t = n.token;

	assert_int_equal(g.err, 0);
	assert_int_equal(g.user, ann);
	assert_true(g.is_account);
	assert_false(g.is_admin);
	assert_string_equal(g.name, "ann");
	assert_memory_equal(&g.session, &t.session, sizeof(t.session));
	pg_valuef(pg, "UPDATE users SET is_admin = true WHERE id = %lld", (long long)ann);
	for (int i = 0; i < 3; i++) {
		g = refresh(t);
		assert_int_equal(g.err, 0);
		assert_false(g.is_repeat);
		assert_true(g.is_admin); /* as it is now */
		assert_memory_equal(&g.session, &t.session, sizeof(t.session));
		t = next_of(t);
	}
	pg_valuef(pg, "UPDATE users SET is_admin = false WHERE id = %lld", (long long)ann);
	/* neither token is in the database */
	assert_int_equal(pg_numberf(pg,
				    "SELECT count(*) FROM sessions WHERE octet_length(refresh_hash)"
				    " = 32 AND octet_length(family_hash) = 32 AND id = '%s'",
				    text_of(&t.session)),
			 1);
}

static void test_reuse_ends_the_family(void **state UNUSED)
{
	struct login_token first = begun(ann), second = next_of(first), third = next_of(second);

	assert_int_equal(refresh(first).err, 0);
	assert_int_equal(refresh(second).err, 0);
	assert_int_equal(refresh(first).err, -ERR_CLOSED); /* older than the one before */
	assert_true(is_ended(&first.session));
	assert_int_equal(refresh(third).err, -ERR_DENIED);
	assert_int_equal(refresh(first).err, -ERR_DENIED);
	assert_int_equal(pg_numberf(pg,
				    "SELECT count(*) FROM audit WHERE action = 'session.reuse'"
				    " AND detail->>'session' = '%s'",
				    text_of(&first.session)),
			 1);

	first = begun(ann);
	second = next_of(first);
	assert_int_equal(refresh(first).err, 0);
	age(&first.session, "11 seconds");
	assert_int_equal(refresh(first).err, -ERR_CLOSED); /* the one before, but too late */
	assert_int_equal(refresh(second).err, -ERR_DENIED);
}

static void test_lost_answer(void **state UNUSED)
{
	struct login_token first = begun(ann), second = next_of(first);
	struct got g;

	assert_int_equal(refresh(first).err, 0);
	age(&first.session, "9 seconds");
	g = refresh(first);
	assert_int_equal(g.err, 0);
	assert_true(g.is_repeat);
	age(&first.session, "2 seconds"); /* the grace is of the first use, not of the last */
	g = refresh(second);
	assert_int_equal(g.err, 0);
	assert_false(g.is_repeat);
	assert_int_equal(refresh(first).err, -ERR_CLOSED);
}

/*
 * The server stored it, its answer is lost with the connection, and the statement is sent again: no
 * second use. Seen red when the number of the request is not compared.
 */
static void test_sent_again(void **state UNUSED)
{
	struct db_config cfg = {.application_name = "deaf", .retry_min_ms = 10};
	struct login_token t = begun(ann), next = next_of(t);
	uint64_t until = clock_mono_ms() + PG_PATIENCE_MS;
	struct link deaf;
	struct got g = {0};
	char answer[4096];

	link_open(&deaf, url, &cfg);
	link_until(&deaf, &deaf.n_connected, 1);
	pg_valuef(pg, "BEGIN; SELECT 1 FROM sessions WHERE id = '%s' FOR UPDATE",
		  text_of(&t.session));
	assert_int_equal(login_refresh(deaf.db, &t, &next, WEEK_MS, 0, (struct str){0}, 0, on_login,
				       &g, NULL),
			 0);
	while (!pg_number(pg, "SELECT count(*) FROM pg_locks WHERE NOT granted"))
		links_turn(&(struct link *){&deaf}, 1, 1);
	pg_value(pg, "ROLLBACK");
	while (!pg_numberf(pg, "SELECT count(*) FROM sessions WHERE id = '%s' AND previous_hash"
			       " IS NOT NULL", text_of(&t.session)))
		assert_true(clock_mono_ms() < until);
	assert_true(recv(deaf.fd, answer, sizeof(answer), 0) > 0);
	pg_value(pg, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
		     " WHERE application_name = 'deaf'");
	link_until(&deaf, &g.n, 1);
	assert_int_equal(deaf.n_repeated, 1);
	assert_int_equal(g.err, 0);
	link_close(&deaf);
	assert_int_equal(refresh(next).err, 0);
}

/* Who does not know the family cannot end the session by guessing. */
static void test_foreign_token(void **state UNUSED)
{
	struct login_token t = begun(ann), forged = t, other = begun(ann);

	forged.family[0] ^= 1;
	assert_int_equal(refresh(forged).err, -ERR_DENIED);
	forged = t;
	forged.session = other.session;
	assert_int_equal(refresh(forged).err, -ERR_DENIED);
	forged.session = uuid_v7();
	assert_int_equal(refresh(forged).err, -ERR_DENIED);
	assert_int_equal(refresh(t).err, 0);
	assert_int_equal(refresh(other).err, 0);
	forged = next_of(t);
	forged.secret[0] ^= 1;
	assert_int_equal(refresh(forged).err, -ERR_CLOSED); /* knows the family */
}

static void refresh_on_two(struct login_token t, int64_t grace_ms, struct got *a, struct got *b)
{
	struct login_token next = next_of(t);
	struct link other, *refs[] = {&l, &other};

	link_open(&other, url, NULL);
	*a = *b = (struct got){0};
	assert_int_equal(login_refresh(l.db, &t, &next, WEEK_MS, grace_ms, (struct str){0}, 0,
				       on_login, a, NULL),
			 0);
	assert_int_equal(login_refresh(other.db, &t, &next, WEEK_MS, grace_ms, (struct str){0}, 0,
				       on_login, b, NULL),
			 0);
	while (!a->n || !b->n)
		links_turn(refs, 2, 100);
	link_close(&other);
}

static void test_two_at_once(void **state UNUSED)
{
	struct login_token t = begun(ann);
	struct got a, b;

	refresh_on_two(t, GRACE_MS, &a, &b);
	assert_int_equal(a.err, 0);
	assert_int_equal(b.err, 0);
	assert_int_equal(a.is_repeat + b.is_repeat, 1);
	assert_int_equal(refresh(next_of(t)).err, 0); /* both hold it */

	t = begun(ann);
	refresh_on_two(t, 0, &a, &b);
	assert_int_equal(a.err + b.err, -ERR_CLOSED);
	assert_int_equal(a.err * b.err, 0);
}

/* ---- Seven days, sliding ---- */

static void test_seven_days(void **state UNUSED)
{
	struct login_token t = begun(ann);
	struct got g;

	age(&t.session, "6 days 23 hours");
	g = refresh(t);
	assert_int_equal(g.err, 0);
	assert_true(g.expires_ms >
		    pg_number(pg, "SELECT epoch_ms(now() + interval '6 days 23 h')"));
	t = next_of(t);
	age(&t.session, "6 days 23 hours");
	assert_int_equal(refresh(t).err, 0); /* two weeks after the login */
	t = next_of(t);
	age(&t.session, "7 days 1 second");
	assert_int_equal(refresh(t).err, -ERR_DENIED);
}

static void on_renewed(void *arg, int err, const struct db_result *res)
{
	struct got *g = arg;

	g->n++;
	g->rows = err ? 0 : login_renewed_rows(res);
	g->err = err ? err : g->rows ? 0 : -ERR_DENIED;
	for (int i = 0; i < g->rows; i++)
		g->user += login_renewed_row(res, i).user;
}

static struct got renew(const struct uuid *session)
{
	const struct login_renewal row = {*session, STR("2001:db8::1")};
	struct got g = {0};

	assert_int_equal(login_renew(l.db, &row, 1, WEEK_MS, 0, on_renewed, &g, NULL), 0);
	link_until(&l, &g.n, 1);
	return g;
}

/* Those that stand among those that do not, in one answer. */
static void test_cookies_together(void **state UNUSED)
{
	int64_t olga = pg_account(pg, "olga");
	struct login_new one = new_of(ann, LOGIN_COOKIE), two = new_of(olga, LOGIN_COOKIE);
	struct login_renewal rows[3];
	struct got g = {0};

	assert_int_equal(begin(&one).err, 0);
	assert_int_equal(begin(&two).err, 0);
	rows[0] = (struct login_renewal){one.token.session, {NULL, 0}};
	rows[1] = (struct login_renewal){uuid_v7(), STR("192.0.2.7")};
	rows[2] = (struct login_renewal){two.token.session, STR("192.0.2.8")};
	assert_int_equal(login_renew(l.db, rows, 3, WEEK_MS, 0, on_renewed, &g, NULL), 0);
	link_until(&l, &g.n, 1);
	assert_int_equal(g.rows, 2);
	assert_int_equal(g.user, ann + olga);
	assert_int_equal(login_renew(l.db, rows, 0, WEEK_MS, 0, on_renewed, &g, NULL), -ERR_INVAL);
}

static void test_cookies(void **state UNUSED)
{
	struct login_new n = new_of(ann, LOGIN_COOKIE);
	struct login_token refreshed = begun(ann);

	assert_int_equal(begin(&n).err, 0);
	assert_int_equal(refresh(n.token).err, -ERR_DENIED); /* no refresh token */
	age(&n.token.session, "6 days");
	assert_int_equal(renew(&n.token.session).user, ann);
	age(&n.token.session, "6 days");
	assert_int_equal(renew(&n.token.session).err, 0);
	age(&n.token.session, "8 days");
	assert_int_equal(renew(&n.token.session).err, -ERR_DENIED);
	assert_int_equal(renew(&refreshed.session).err, -ERR_DENIED);
}

static void test_touch(void **state UNUSED)
{
	struct login_token a = begun(ann), b = begun(ann), old = begun(ann);
	struct login_touch touches[] = {{.session = a.session, .socket = uuid_v7()},
					{.session = a.session},
					{.session = b.session},
					{.session = old.session},
					{.session = uuid_v7()}};
	struct got g = {0};
	const char *socket_id;

	age(&a.session, "6 days");
	age(&b.session, "6 days");
	age(&old.session, "8 days");
	assert_int_equal(login_touch(l.db, touches, 5, WEEK_MS, 0, on_done, &g, NULL), 0);
	link_until(&l, &g.n, 1);
	assert_int_equal(g.err, 0);
	age(&a.session, "6 days");
	age(&b.session, "6 days");
	assert_int_equal(refresh(a).err, 0);
	assert_int_equal(refresh(b).err, 0);
	assert_int_equal(refresh(old).err, -ERR_DENIED); /* over is over */
	assert_int_equal(login_touch(l.db, touches, 0, WEEK_MS, 0, on_done, &g, NULL), -ERR_INVAL);
	assert_int_equal(
		login_touch(l.db, touches, LOGIN_TOUCH_MAX + 1, WEEK_MS, 0, on_done, &g, NULL),
		-ERR_INVAL);
	socket_id = pg_valuef(pg, "SELECT socket_id FROM sessions WHERE id = '%s'",
			      text_of(&a.session));
	assert_string_equal(socket_id, text_of(&touches[0].socket));
}

/* ---- Who may begin ---- */

static void test_who_may_begin(void **state UNUSED)
{
	int64_t bob = pg_account(pg, "bob");
	struct login_new n = new_of(bob, LOGIN_REFRESH);
	struct login_token t;

	n.credentials = 0;
	assert_int_equal(begin(&n).err, 0);
	assert_int_equal(begin(&n).err, 0); /* the same request again */
	assert_int_equal(pg_numberf(pg, "SELECT count(*) FROM sessions WHERE user_id = %lld",
				    (long long)bob),
			 1);
	n.token = begun(ann); /* another's session */
	assert_int_equal(begin(&n).err, -ERR_DENIED);
	n = new_of(bob, LOGIN_REFRESH);
	n.credentials = 1;
	assert_int_equal(begin(&n).err, -ERR_DENIED);
	n.credentials = -1;
	n.address = STR("not an address");
	assert_int_equal(begin(&n).err, -ERR_INVAL);
	n.address = (struct str){0};
	n.user = bob + 1000;
	assert_int_equal(begin(&n).err, -ERR_DENIED);

	t = begun(bob);
	pg_valuef(pg, "UPDATE users SET disabled_at = now() WHERE id = %lld", (long long)bob);
	assert_int_equal(refresh(t).err, -ERR_DENIED);
	n.user = bob;
	assert_int_equal(begin(&n).err, -ERR_DENIED);
}

/* A login that was begun with the former password does not outlive its change. */
static void test_login_during_a_change(void **state UNUSED)
{
	int64_t eve = pg_account(pg, "eve");
	struct login_new n = new_of(eve, LOGIN_REFRESH);
	struct got g = {0};

	n.credentials = 0;
	pg_value(pg, "BEGIN");
	pg_valuef(pg,
		  "SELECT * FROM account_password(%lld, '$h$', NULL, 0, 'password.change', NULL)",
		  (long long)eve);
	assert_int_equal(login_create(l.db, &n, 0, on_login, &g, NULL), 0);
	while (!g.n && pg_number(pg, "SELECT count(*) FROM pg_locks WHERE NOT granted") == 0)
		links_turn((struct link *[]){&l}, 1, 20);
	pg_value(pg, "COMMIT");
	link_until(&l, &g.n, 1);
	assert_int_equal(g.err, -ERR_DENIED);
}

static void test_at_most_so_many(void **state UNUSED)
{
	int64_t fay = pg_account(pg, "fay");
	struct login_token oldest = begun(fay), older = begun(fay);
	struct login_new n = new_of(fay, LOGIN_REFRESH);

	age(&oldest.session, "2 days");
	age(&older.session, "1 day");
	n.sessions_max = 2;
	assert_int_equal(begin(&n).err, 0);
	assert_true(is_ended(&oldest.session));
	assert_false(is_ended(&older.session));
	assert_int_equal(refresh(n.token).err, 0);
}

/* ---- Showing and ending ---- */

static void test_list(void **state UNUSED)
{
	int64_t gus = pg_account(pg, "gus");
	struct login_token phone = begun(gus), desk = begun(gus), gone = begun(gus);
	struct login_touch touch = {.session = desk.session, .socket = uuid_v7()};
	struct got g = {0};

	age(&phone.session, "1 hour");
	age(&gone.session, "8 days");
	begun(ann);
	assert_int_equal(login_touch(l.db, &touch, 1, WEEK_MS, 0, on_done, &g, NULL), 0);
	link_until(&l, &g.n, 1);
	assert_int_equal(login_list(l.db, gus, &phone.session, 0, on_page, &g, NULL), 0);
	link_until(&l, &g.n, 2);
	assert_int_equal(pg_valuef(pg, "SELECT json_array_length('%s')", g.text)[0], '2');
#define FIELD(i, name) pg_valuef(pg, "SELECT ('%s'::json)->%d->>'%s'", g.text, i, name)
	assert_string_equal(FIELD(0, "id"), text_of(&desk.session));
	assert_string_equal(FIELD(0, "socketId"), text_of(&touch.socket));
	assert_int_equal(strtoll(FIELD(0, "userId"), NULL, 10), gus);
	assert_string_equal(FIELD(0, "device"), "Browser 1.0");
	assert_string_equal(FIELD(0, "address"), "192.0.2.1");
	assert_string_equal(FIELD(0, "is_current"), "false");
	assert_string_equal(FIELD(1, "is_current"), "true");
	assert_string_equal(FIELD(1, "socketId"), "");
	assert_string_equal(FIELD(1, "connectedAt"), FIELD(1, "created_at"));
	for (int i = 0; i < 3; i++)
		assert_int_equal(strlen(FIELD(0, ((const char *[]){"connectedAt", "last_seen_at",
								   "expires_at"}[i]))),
				 strlen("2026-01-02T03:04:05.678Z"));
	assert_null(strstr(g.text, "hash"));
}

static struct got revoke(int64_t user, const struct uuid *session)
{
	struct got g = {0};

	assert_int_equal(login_revoke(l.db, user, session, (struct str){0}, 0, on_ended, &g, NULL),
			 0);
	link_until(&l, &g.n, 1);
	return g;
}

static struct got revoke_all(int64_t user, const struct uuid *except)
{
	struct got g = {0};

	assert_int_equal(
		login_revoke_all(l.db, user, except, (struct str){0}, 0, on_ended, &g, NULL), 0);
	link_until(&l, &g.n, 1);
	return g;
}

static void test_revoke(void **state UNUSED)
{
	int64_t hal = pg_account(pg, "hal");
	struct login_token one = begun(hal), two = begun(hal), used;
	struct got g = revoke(ann, &one.session);

	assert_int_equal(g.err, -ERR_NOENT); /* not hers */
	g = revoke(hal, &one.session);
	assert_int_equal(g.err, 0);
	assert_int_equal(g.n_ended, 1);
	assert_memory_equal(&g.ended[0], &one.session, sizeof(one.session));
	assert_int_equal(revoke(hal, &one.session).err, -ERR_NOENT);
	assert_int_equal(refresh(one).err, -ERR_DENIED);
	assert_int_equal(refresh(two).err, 0);
	assert_int_equal(login_revoke(l.db, hal, &(struct uuid){{0}}, (struct str){0}, 0, on_ended,
				      &g, NULL),
			 -ERR_INVAL);

	begun(hal);
	begun(hal);
	assert_int_equal(revoke_all(hal, &two.session).n_ended, 2);
	assert_int_equal(refresh(next_of(two)).err, 0);
	assert_int_equal(revoke_all(hal, NULL).n_ended, 1);
	g = revoke_all(hal, NULL);
	assert_int_equal(g.err, 0);
	assert_int_equal(g.n_ended, 0);

	used = begun(hal);
	assert_int_equal(refresh(used).err, 0);
	g.n = 0;
	two = used;
	two.family[3] ^= 1;
	assert_int_equal(login_revoke_token(l.db, &two, (struct str){0}, 0, on_ended, &g, NULL), 0);
	link_until(&l, &g.n, 1);
	assert_int_equal(g.err, -ERR_NOENT);
	assert_int_equal(login_revoke_token(l.db, &used, (struct str){0}, 0, on_ended, &g, NULL),
			 0);
	link_until(&l, &g.n, 2);
	assert_int_equal(g.err, 0);
	assert_true(is_ended(&used.session));
}

/* ---- What every worker must know ---- */

struct seen {
	int n, err, rows;
	int64_t now_ms;
	struct login_revoked row[64];
};

static void on_revoked(void *arg, int err, int64_t now_ms, const struct db_result *res)
{
	struct seen *s = arg;

	s->n++;
	s->err = err;
	s->now_ms = now_ms;
	s->rows = res ? logins_revoked_rows(res) : 0;
	assert_true(s->rows <= (int)ARRAY_LEN(s->row));
	for (int i = 0; i < s->rows; i++)
		logins_revoked_row(res, i, &s->row[i]);
}

static struct seen revoked_since(int64_t since_ms)
{
	struct seen s = {0};

	assert_int_equal(logins_revoked_since(l.db, since_ms, 0, on_revoked, &s, NULL), 0);
	link_until(&l, &s.n, 1);
	assert_int_equal(s.err, 0);
	return s;
}

static bool has_seen(const struct seen *s, const struct uuid *session, int64_t user)
{
	for (int i = 0; i < s->rows; i++)
		if (memcmp(&s->row[i].session, session, sizeof(*session)) == 0 &&
		    s->row[i].user == user)
			return true;
	return false;
}

static void test_revoked_since(void **state UNUSED)
{
	int64_t ida = pg_account(pg, "ida"), now_ms, db_ms;
	struct uuid none = {{0}};
	struct login_token t, late;
	struct seen s;

	pg_value(pg, "UPDATE sessions SET revoked_at = NULL; UPDATE users SET disabled_at = NULL");
	s = revoked_since(0);
	assert_int_equal(s.rows, 0);
	db_ms = pg_number(pg, "SELECT epoch_ms(clock_timestamp())");
	assert_true(s.now_ms <= db_ms && s.now_ms > db_ms - PG_PATIENCE_MS);
	now_ms = s.now_ms;
	t = begun(ida);
	assert_int_equal(revoke(ida, &t.session).err, 0);
	pg_valuef(pg, "SELECT * FROM account_disable(%lld, true, 0, NULL)", (long long)ida);
	s = revoked_since(now_ms);
	assert_int_equal(s.rows, 2);
	assert_true(has_seen(&s, &t.session, ida));
	assert_true(has_seen(&s, &none, ida));
	assert_true(s.row[0].at_ms <= s.row[1].at_ms);

	/* one that noted its time five seconds before it could be seen */
	late = begun(ann);
	pg_valuef(pg,
		  "UPDATE sessions SET revoked_at = now() - interval '5 seconds' WHERE id = '%s'",
		  text_of(&late.session));
	s = revoked_since(s.now_ms);
	assert_true(has_seen(&s, &late.session, ann));

	/* a worker that starts asks for the life of an access token */
	pg_value(pg, "UPDATE sessions SET revoked_at = now() - interval '14 minutes'"
		     " WHERE revoked_at IS NOT NULL");
	pg_value(pg, "UPDATE users SET disabled_at = now() - interval '2 hours'"
		     " WHERE disabled_at IS NOT NULL");
	s = revoked_since(-15 * 60 * 1000);
	assert_int_equal(s.rows, 2);
	assert_true(has_seen(&s, &t.session, ida));
	assert_int_equal(revoked_since(s.now_ms).rows, 0);
	assert_int_equal(revoked_since(-5 * 60 * 1000).rows, 0);
	pg_value(pg, "UPDATE users SET disabled_at = NULL");
}

static void test_indexes_serve(void **state UNUSED)
{
	PGresult *res;
	char plan[8192] = "";

	pg_value(pg, "SET enable_seqscan = off");
	PQclear(PQprepare(pg, "since", stmt_get(STMT_LOGINS_REVOKED_SINCE)->sql, 0, NULL));
	res = PQexec(pg, "EXPLAIN EXECUTE since(1, 10000)");
	for (int i = 0; i < PQntuples(res); i++)
		snprintf(plan + strlen(plan), sizeof(plan) - strlen(plan), "%s\n",
			 PQgetvalue(res, i, 0));
	PQclear(res);
	if (!strstr(plan, "sessions_revoked_idx") || !strstr(plan, "users_disabled_idx"))
		fail_msg("%s", plan);
	pg_value(pg, "RESET ALL");
}

static void test_old_ones_go(void **state UNUSED)
{
	pg_valuef(pg,
		  "INSERT INTO sessions (user_id, kind, expires_at)"
		  " SELECT %lld, 'cookie', now() - interval '8 days' FROM generate_series(1, 30)",
		  (long long)ann);
	pg_value(pg, "UPDATE sessions SET expires_at = now() - interval '6 days'"
		     " WHERE revoked_at IS NULL AND expires_at > now() - interval '7 days'");
	begun(ann);
	begun(ann);
	assert_int_equal(pg_number(pg, "SELECT count(*) FROM sessions"
				       " WHERE expires_at < now() - interval '7 days'"),
			 0);
	assert_true(pg_number(pg, "SELECT count(*) FROM sessions"
				  " WHERE expires_at < now() - interval '5 days'") > 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_token),
		cmocka_unit_test(test_chain),
		cmocka_unit_test(test_reuse_ends_the_family),
		cmocka_unit_test(test_lost_answer),
		cmocka_unit_test(test_foreign_token),
		cmocka_unit_test(test_two_at_once),
		cmocka_unit_test(test_sent_again),
		cmocka_unit_test(test_seven_days),
		cmocka_unit_test(test_cookies),
		cmocka_unit_test(test_cookies_together),
		cmocka_unit_test(test_touch),
		cmocka_unit_test(test_who_may_begin),
		cmocka_unit_test(test_login_during_a_change),
		cmocka_unit_test(test_at_most_so_many),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_revoke),
		cmocka_unit_test(test_revoked_since),
		cmocka_unit_test(test_indexes_serve),
		cmocka_unit_test(test_old_ones_go),
	};

	return cmocka_run_group_tests(tests, setup, fixture_close);
}
