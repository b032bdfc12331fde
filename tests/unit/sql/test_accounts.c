/* SPDX-License-Identifier: MIT */
/*
 * Accounts: one winner per name and address, hashes that stay inside, guests who become accounts.
 * Seen red: with plain unique indexes instead of those by name_fold, without the look for the same
 * hash, and with an upgrade that makes a new row.
 */
#include "fixture.h"

#include "sql/accounts.h"
#include "sql/users.h"

struct got {
	int n, err;
	enum account_clash clash;
	int64_t id, credentials;
	struct uuid uid;
	bool is_admin, is_disabled;
	size_t n_ended;
	struct uuid ended[16];
	char name[512], hash[128], text[8192];
};

/* ---- Calls that wait ---- */

static void on_made(void *arg, int err, enum account_clash clash, const struct account *account)
{
	struct got *g = arg;

	g->n++;
	g->err = err;
	g->clash = clash;
	assert_true((err == 0) == (account != NULL));
	if (!account)
		return;
	g->id = account->id;
	g->uid = account->uid;
	g->is_admin = account->is_admin;
	copy(g->name, sizeof(g->name), account->name);
}

static struct got create(struct account_new n)
{
	struct got g = {0};

	assert_int_equal(account_create(l.db, &n, 0, on_made, &g, NULL), 0);
	link_until(&l, &g.n, 1);
	return g;
}

static struct got register_as(const char *username, const char *email, const char *hash)
{
	return create((struct account_new){.username = str_of(username),
					   .email = email ? str_of(email) : (struct str){0},
					   .hash = hash ? str_of(hash) : (struct str){0}});
}

static void on_login(void *arg, int err, const struct account_login *login)
{
	struct got *g = arg;

	g->n++;
	g->err = err;
	assert_true((err == 0) == (login != NULL));
	if (!login)
		return;
	g->id = login->id;
	g->uid = login->uid;
	g->credentials = login->credentials;
	g->is_admin = login->is_admin;
	g->is_disabled = login->is_disabled;
	assert_null(login->totp.p);
	copy(g->name, sizeof(g->name), login->name);
	copy(g->hash, sizeof(g->hash), login->hash);
}

static struct got find(const char *text)
{
	struct got g = {0};

	assert_int_equal(account_find_login(l.db, str_of(text), 0, on_login, &g, NULL), 0);
	link_until(&l, &g.n, 1);
	return g;
}

static struct got credentials(int64_t user)
{
	struct got g = {0};

	assert_int_equal(account_credentials(l.db, user, 0, on_login, &g, NULL), 0);
	link_until(&l, &g.n, 1);
	return g;
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

static void on_page(void *arg, int err, struct str json)
{
	struct got *g = arg;

	g->n++;
	g->err = err;
	copy(g->text, sizeof(g->text), json);
}

static struct got profile(int64_t user, bool is_self)
{
	struct got g = {0};

	assert_int_equal(account_get(l.db, user, NULL, is_self, 0, on_page, &g, NULL), 0);
	link_until(&l, &g.n, 1);
	return g;
}

static void on_user(void *arg, int err, const struct user *user)
{
	struct got *g = arg;

	g->n++;
	g->err = err;
	if (user)
		g->id = user->id;
}

static struct got guest(const char *name)
{
	struct got g = {0};

	assert_int_equal(user_guest_get(l.db, str_of(name), 0, on_user, &g, NULL), 0);
	link_until(&l, &g.n, 1);
	return g;
}

/* A session of USER in the table. */
static struct uuid session_of(int64_t user)
{
	struct uuid id = uuid_v7();
	char text[UUID_TEXT_LEN + 1];

	uuid_format(&id, text);
	pg_valuef(pg,
		  "INSERT INTO sessions (id, user_id, kind, expires_at)"
		  " VALUES ('%s', %lld, 'cookie', now() + interval '7 days')",
		  text, (long long)user);
	return id;
}

/* ---- Making and finding ---- */

static void test_make_and_find(void **state UNUSED)
{
	struct got made = register_as("Ann", "Ann@Example.org", "$hash$ann"), found;

	assert_int_equal(made.err, 0);
	assert_string_equal(made.name, "Ann");
	assert_false(made.is_admin);
	for (size_t i = 0; i < 4; i++) {
		found = find((const char *[]){"Ann", "aNN", "Ann@Example.org",
					      "ANN@eXAMPLE.ORG"}[i]);
		assert_int_equal(found.err, 0);
		assert_int_equal(found.id, made.id);
		assert_string_equal(found.name, "Ann");
		assert_string_equal(found.hash, "$hash$ann");
		assert_false(found.is_disabled);
	}
	assert_memory_equal(&found.uid, &made.uid, sizeof(made.uid));
	assert_int_equal(credentials(made.id).id, made.id);
	assert_int_equal(find("Anna").err, -ERR_NOENT);
	assert_int_equal(find("").err, -ERR_NOENT);
	assert_int_equal(find("@").err, -ERR_NOENT);
	assert_int_equal(find("\xff").err, -ERR_INVAL);
	assert_int_equal(credentials(made.id + 1000).err, -ERR_NOENT);
	assert_int_equal(register_as("nohash", NULL, NULL).err, 0);
	assert_string_equal(find("nohash").hash, "");
	guest("Only a guest");
	assert_int_equal(find("Only a guest").err, -ERR_NOENT);
	assert_int_equal(pg_numberf(pg,
				    "SELECT count(*) FROM audit WHERE action = 'account.create'"
				    " AND actor_id = %lld AND target_user_id = %lld",
				    (long long)made.id, (long long)made.id),
			 1);
}

/* Names are compared as Unicode folds them, whatever the locale of the database. */
static void test_clashes(void **state UNUSED)
{
	static const char *const same[][2] = {
		{"bob", "BOB"},
		{"\xc3\x84nne", "\xc3\xa4NNE"},			   /* a with diaeresis */
		{"stra\xc3\x9f" "e", "STRASSE"},		   /* sharp s */
		{"\xef\xbd\x83\xef\xbd\x81\xef\xbd\x94", "cat"},   /* full width */
		{"\xcf\x83\xce\xbf\xcf\x86\xcf\x8c\xcf\x82",	   /* final sigma */
		 "\xce\xa3\xce\x9f\xce\xa6\xce\x8c\xce\xa3"},
		{"\xd0\x9e\xd0\xbb\xd1\x8f", "\xd0\xbe\xd0\xbb\xd1\x8f"}, /* Cyrillic */
	};
	struct got g;

	for (size_t i = 0; i < ARRAY_LEN(same); i++) {
		assert_int_equal(register_as(same[i][0], NULL, "$h$1").err, 0);
		g = register_as(same[i][1], NULL, "$h$2");
		assert_int_equal(g.err, -ERR_EXISTS);
		assert_int_equal(g.clash, ACCOUNT_CLASH_USERNAME);
		assert_int_equal(guest(same[i][0]).err, -ERR_EXISTS);
		assert_int_equal(guest(same[i][1]).err, -ERR_EXISTS);
		assert_int_equal(find(same[i][1]).err, 0);
	}
	assert_int_equal(register_as("carl", "carl@example.org", "$h$1").err, 0);
	g = register_as("karl", "CARL@example.ORG", "$h$2");
	assert_int_equal(g.err, -ERR_EXISTS);
	assert_int_equal(g.clash, ACCOUNT_CLASH_EMAIL);
	g = register_as("Carl", "carl@example.org", "$h$2");
	assert_int_equal(g.clash, ACCOUNT_CLASH_USERNAME);
	pg_value(pg, "INSERT INTO users (kind, username, name) VALUES ('bot', 'b', 'Room Bot')");
	assert_int_equal(register_as("room bot", NULL, "$h$3").clash, ACCOUNT_CLASH_USERNAME);
}

static void test_refused(void **state UNUSED)
{
	char longest[102];

	memset(longest, 'x', 101);
	longest[101] = '\0';
	assert_int_equal(register_as("someone@example.org", NULL, "$h$").err, -ERR_INVAL);
	assert_int_equal(register_as("", NULL, "$h$").err, -ERR_INVAL);
	assert_int_equal(register_as(longest, NULL, "$h$").err, -ERR_INVAL);
	assert_int_equal(register_as("\xff", NULL, "$h$").err, -ERR_INVAL);
	assert_int_equal(register_as(longest + 1, NULL, "$h$").err, 0);
}

/* Sends N requests over eight connections at once; how many were answered with ERR. */
static int rush(const struct account_new *requests, struct got *answers, int n, int err)
{
	struct link links[8], *refs[8];
	int answered = 0, count = 0;

	for (int i = 0; i < 8; i++) {
		link_open(&links[i], url, NULL);
		refs[i] = &links[i];
	}
	for (int i = 0; i < n; i++)
		assert_int_equal(account_create(links[i % 8].db, &requests[i], 0, on_made,
						&answers[i], NULL),
				 0);
	while (answered < n) {
		links_turn(refs, 8, 1000);
		answered = 0;
		for (int i = 0; i < n; i++)
			answered += answers[i].n;
	}
	for (int i = 0; i < 8; i++)
		link_close(&links[i]);
	for (int i = 0; i < n; i++)
		count += answers[i].err == err;
	return count;
}

static void test_one_winner(void **state UNUSED)
{
	static struct got by_name[80], by_email[80];
	static char hashes[80][16], names[80][16];
	struct account_new requests[80];

	for (int i = 0; i < 80; i++) {
		snprintf(hashes[i], sizeof(hashes[i]), "$h$%d", i);
		snprintf(names[i], sizeof(names[i]), "rush%d", i);
		requests[i] = (struct account_new){.username = i % 2 ? STR("Rush") : STR("rUSH"),
						   .hash = str_of(hashes[i])};
	}
	assert_int_equal(rush(requests, by_name, 80, 0), 1);
	for (int i = 0; i < 80; i++)
		if (by_name[i].err)
			assert_int_equal(by_name[i].clash, ACCOUNT_CLASH_USERNAME);
	for (int i = 0; i < 80; i++) {
		requests[i].username = str_of(names[i]);
		requests[i].email = i % 2 ? STR("rush@example.org") : STR("Rush@Example.ORG");
	}
	assert_int_equal(rush(requests, by_email, 80, 0), 1);
	for (int i = 0; i < 80; i++)
		if (by_email[i].err)
			assert_int_equal(by_email[i].clash, ACCOUNT_CLASH_EMAIL);
	assert_int_equal(pg_number(pg, "SELECT count(*) FROM users WHERE kind = 'account'"
				       " AND username ILIKE 'rush%'"),
			 2);
}

/* A request whose answer was lost may come again: it is known by the salt in its hash. */
static void test_same_request_again(void **state UNUSED)
{
	struct got first = register_as("dora", "dora@example.org", "$h$dora"),
		   again = register_as("dora", "dora@example.org", "$h$dora");

	assert_int_equal(again.err, 0);
	assert_int_equal(again.id, first.id);
	assert_int_equal(pg_numberf(pg, "SELECT count(*) FROM audit WHERE target_user_id = %lld",
				    (long long)first.id),
			 1);
}

/* ---- Guests who become accounts ---- */

static void test_upgrade(void **state UNUSED)
{
	int64_t room = pg_room(pg, "history"), eve = guest("Eve").id, rev;
	struct account_new n = {.username = STR("eve"), .hash = STR("$h$eve"), .guest = eve};
	struct got g;

	rev = pg_send(pg, room, eve, "from before");
	register_as("taken", NULL, "$h$t");
	n.username = STR("Taken");
	g = create(n);
	assert_int_equal(g.clash, ACCOUNT_CLASH_USERNAME);
	assert_int_equal(guest("Eve").id, eve); /* still the guest */
	n.username = STR("eve");
	g = create(n);
	assert_int_equal(g.err, 0);
	assert_int_equal(g.id, eve);
	assert_int_equal(create(n).id, eve); /* the same request again */
	assert_string_equal(pg_valuef(pg,
				      "SELECT kind || ' ' || username || ' ' || name FROM users"
				      " WHERE id = (SELECT actor_id FROM events WHERE rev = %lld"
				      " AND conversation_id = %lld)",
				      (long long)rev, (long long)room),
			    "account eve eve");
	assert_int_equal(guest("Eve").err, -ERR_EXISTS);
	n.hash = STR("$h$other");
	n.username = STR("eve2");
	assert_int_equal(create(n).err, -ERR_NOENT); /* no guest any more */
	n.guest = guest("Shut").id;
	pg_value(pg, "UPDATE users SET disabled_at = now() WHERE name = 'Shut'");
	assert_int_equal(create(n).err, -ERR_NOENT);
	assert_int_equal(pg_numberf(pg,
				    "SELECT count(*) FROM audit WHERE action = 'account.upgrade'"
				    " AND target_user_id = %lld",
				    (long long)eve),
			 1);
}

/* ---- What ends sessions ---- */

static struct got change_password(int64_t user, const char *hash, const struct uuid *keep,
				  int64_t credentials)
{
	struct got g = {0};

	assert_int_equal(account_set_password(l.db, user, str_of(hash), keep, user, credentials,
					      STR("192.0.2.7"), 0, on_ended, &g, NULL),
			 0);
	link_until(&l, &g.n, 1);
	return g;
}

static struct got set_password(int64_t user, const char *hash, const struct uuid *keep)
{
	return change_password(user, hash, keep, ACCOUNT_CREDENTIALS_ANY);
}

static void on_done(void *arg, int err)
{
	struct got *g = arg;

	g->n++;
	g->err = err;
}

static void test_password(void **state UNUSED)
{
	int64_t fay = register_as("fay", NULL, "$h$1").id;
	struct uuid one = session_of(fay), two = session_of(fay);
	int64_t before = credentials(fay).credentials;
	struct got g = set_password(fay, "$h$2", &two);

	assert_int_equal(g.err, 0);
	assert_int_equal(g.n_ended, 1);
	assert_memory_equal(&g.ended[0], &one, sizeof(one));
	assert_string_equal(find("fay").hash, "$h$2");
	assert_int_not_equal(find("fay").credentials, before);
	assert_int_equal(set_password(fay, "$h$3", NULL).n_ended, 1);
	assert_int_equal(set_password(fay, "$h$3", NULL).n_ended, 0);
	assert_int_equal(set_password(fay + 1000, "$h$", NULL).err, -ERR_NOENT);
	assert_int_equal(set_password(guest("no account").id, "$h$", NULL).err, -ERR_NOENT);
	assert_int_equal(account_set_password(l.db, fay, STR(""), NULL, 0, ACCOUNT_CREDENTIALS_ANY,
					      STR(""), 0, on_ended, &g, NULL),
			 -ERR_INVAL);
	/* of two who proved the same password, the second proved one that is gone */
	assert_int_equal(change_password(fay, "$h$4", NULL, before).err, -ERR_NOENT);
	assert_string_equal(find("fay").hash, "$h$3");
	assert_int_equal(
		change_password(fay, "$h$3", NULL, credentials(fay).credentials).err, 0);
	assert_string_equal(pg_valuef(pg,
				      "SELECT detail->>'address' FROM audit WHERE"
				      " action = 'password.change' AND target_user_id = %lld"
				      " LIMIT 1",
				      (long long)fay),
			    "192.0.2.7");

	/* a better hash of the same password: nothing ends, and a newer password stays */
	before = credentials(fay).credentials;
	g.n = 0;
	assert_int_equal(account_rehash(l.db, fay, STR("$h$3"), STR("$h$3b"), 0, on_done, &g, NULL),
			 0);
	link_until(&l, &g.n, 1);
	assert_string_equal(find("fay").hash, "$h$3b");
	assert_int_equal(account_rehash(l.db, fay, STR("$h$3"), STR("$h$3c"), 0, on_done, &g, NULL),
			 0);
	link_until(&l, &g.n, 2);
	assert_string_equal(find("fay").hash, "$h$3b");
	assert_int_equal(credentials(fay).credentials, before);
}

static struct got set_flag(typeof(account_set_disabled) *set, int64_t user, bool flag)
{
	struct got g = {0};

	assert_int_equal(
		set(l.db, user, flag, 0, (struct str){0}, 0, on_ended, &g, NULL), 0);
	link_until(&l, &g.n, 1);
	return g;
}

static void test_disabled(void **state UNUSED)
{
	int64_t gus = register_as("gus", NULL, "$h$").id;
	struct got g;

	session_of(gus);
	session_of(gus);
	g = set_flag(account_set_disabled, gus, true);
	assert_int_equal(g.err, 0);
	assert_int_equal(g.n_ended, 2);
	assert_true(find("gus").is_disabled);
	assert_int_equal(set_flag(account_set_disabled, gus, true).n_ended, 0);
	assert_int_equal(set_flag(account_set_disabled, gus, false).err, 0);
	assert_false(find("gus").is_disabled);
	assert_int_equal(set_flag(account_set_disabled, guest("a guest").id, true).err, 0);
	assert_int_equal(guest("a guest").err, -ERR_DENIED);
	assert_int_equal(set_flag(account_set_disabled, gus + 1000, true).err, -ERR_NOENT);
	assert_string_equal(pg_valuef(pg,
				      "SELECT string_agg(action, ' ' ORDER BY id) FROM audit"
				      " WHERE target_user_id = %lld"
				      " AND action LIKE 'account.%%able'",
				      (long long)gus),
			    "account.disable account.enable");
}

static void test_admin(void **state UNUSED)
{
	int64_t hal = create((struct account_new){.username = STR("hal"),
						  .is_admin = true,
						  .by_operator = true})
			      .id;

	assert_true(find("hal").is_admin);
	assert_int_equal(pg_numberf(pg, "SELECT actor_id FROM audit WHERE target_user_id = %lld",
				    (long long)hal),
			 0);
	session_of(hal);
	assert_int_equal(set_flag(account_set_admin, hal, true).n_ended, 0);
	assert_int_equal(set_flag(account_set_admin, hal, false).n_ended, 1);
	assert_false(find("hal").is_admin);
	assert_int_equal(set_flag(account_set_admin, hal, true).err, 0);
	assert_true(credentials(hal).is_admin);
	assert_int_equal(set_flag(account_set_admin, guest("mere guest").id, true).err, -ERR_NOENT);
}

/* ---- Profiles ---- */

/* TEXT: the address until now, if it has become another. */
static void on_patched(void *arg, int err, struct str old_email)
{
	struct got *g = arg;

	g->n++;
	g->err = err;
	copy(g->text, sizeof(g->text), old_email.p ? old_email : STR(""));
}

static struct got patch_as(int64_t user, struct account_patch p, int64_t credentials)
{
	struct got g = {0};

	assert_int_equal(account_patch(l.db, user, &p, credentials, STR("192.0.2.8"), 0, on_patched,
				       &g, NULL),
			 0);
	link_until(&l, &g.n, 1);
	return g;
}

static struct got patch(int64_t user, struct account_patch p)
{
	return patch_as(user, p, ACCOUNT_CREDENTIALS_ANY);
}

static const char *json(const char *text, const char *path)
{
	return pg_valuef(pg, "SELECT ('%s'::json) #>> '{%s}'", text, path);
}

static void test_profiles(void **state UNUSED)
{
	int64_t ida = register_as("ida", "ida@example.org", "$argon2id$secret").id;
	struct got self = profile(ida, true), other = profile(ida, false);

	assert_string_equal(json(self.text, "email"), "ida@example.org");
	assert_string_equal(json(self.text, "has_password"), "true");
	assert_string_equal(json(self.text, "totp"), "false");
	assert_string_equal(json(other.text, "username"), "ida");
	assert_null(strstr(other.text, "email"));
	assert_null(strstr(other.text, "example.org"));
	assert_int_equal(profile(ida + 1000, false).err, -ERR_NOENT);
	assert_string_equal(json(profile(guest("visitor").id, false).text, "kind"), "guest");

	assert_int_equal(patch(ida, (struct account_patch){
						  .full_name = STR("Ida \"R\""),
						  .avatar_url = STR("https://x.example/a.png")})
				 .err,
			 0);
	self = profile(ida, true);
	assert_string_equal(json(self.text, "full_name"), "Ida \"R\"");
	assert_string_equal(json(self.text, "email"), "ida@example.org");
	assert_int_equal(patch(ida, (struct account_patch){.full_name = STR("")}).err, 0);
	self = profile(ida, true);
	assert_string_equal(json(self.text, "full_name"), "");
	assert_string_equal(json(self.text, "avatar_url"), "https://x.example/a.png");
	assert_int_equal(patch(ida, (struct account_patch){0}).err, 0);
	assert_int_equal(patch(guest("visitor").id, (struct account_patch){0}).err, -ERR_NOENT);
	register_as("joe", "joe@example.org", "$h$");
	assert_int_equal(patch(ida, (struct account_patch){.email = STR("JOE@example.org")}).err,
			 -ERR_EXISTS);
	assert_int_equal(patch_as(ida, (struct account_patch){.email = STR("")},
				  credentials(ida).credentials + 1)
				 .err,
			 -ERR_NOENT);
	self = patch(ida, (struct account_patch){.email = STR("ida@example.org")});
	assert_string_equal(self.text, ""); /* it is the same */
	pg_valuef(pg,
		  "INSERT INTO reset_tokens (token_hash, user_id, expires_at)"
		  " VALUES ('x', %lld, now() + interval '1 hour')",
		  (long long)ida);
	self = patch(ida, (struct account_patch){.email = STR("")});
	assert_int_equal(self.err, 0);
	assert_string_equal(self.text, "ida@example.org");
	assert_int_equal(pg_number(pg, "SELECT count(*) FROM reset_tokens"), 0);
	assert_int_equal(pg_numberf(pg,
				    "SELECT count(*) FROM audit WHERE action = 'account.email'"
				    " AND target_user_id = %lld",
				    (long long)ida),
			 1);
	assert_int_equal(find("ida@example.org").err, -ERR_NOENT);
}

static struct got search(const char *query, int limit)
{
	struct got g = {0};

	assert_int_equal(account_search(l.db, str_of(query), limit, 0, on_page, &g, NULL), 0);
	link_until(&l, &g.n, 1);
	assert_int_equal(g.err, 0);
	return g;
}

static const char *names_of(struct got g)
{
	return pg_valuef(pg,
			 "SELECT string_agg(e->>'username', ' ')"
			 " FROM json_array_elements('%s') e",
			 g.text);
}

static void test_search(void **state UNUSED)
{
	int64_t shut = register_as("zoe_shut", NULL, "$h$").id;

	register_as("Zoe", "zoe@example.org", "$h$");
	register_as("zoe_b", NULL, "$h$");
	register_as("zoea", NULL, "$h$");
	register_as("zo%", NULL, "$h$");
	guest("zoe the guest");
	set_flag(account_set_disabled, shut, true);
	assert_string_equal(names_of(search("ZOE", 50)), "Zoe zoe_b zoea");
	assert_string_equal(names_of(search("zoe_", 50)), "zoe_b"); /* no pattern */
	assert_string_equal(names_of(search("zo%", 50)), "zo%");
	assert_string_equal(names_of(search("zoe", 2)), "Zoe zoe_b");
	assert_string_equal(search("", 50).text, "[]");
	assert_null(strstr(search("zoe", 50).text, "example.org"));
	assert_null(strstr(search("zoe", 50).text, "hash"));
}

static void test_list(void **state UNUSED)
{
	struct got g = {0}, all = {0};
	int64_t first, kim = register_as("kim", "kim@example.org", "$h$hidden").id;

	session_of(kim);
	assert_int_equal(account_list(l.db, kim - 1, 5, 0, on_page, &all, NULL), 0);
	link_until(&l, &all.n, 1);
	assert_string_equal(json(all.text, "users,0,username"), "kim");
	assert_string_equal(json(all.text, "users,0,sessions"), "1");
	assert_string_equal(json(all.text, "next"), "");
	assert_null(strstr(all.text, "hidden"));
	assert_int_equal(account_list(l.db, 0, 1, 0, on_page, &g, NULL), 0);
	link_until(&l, &g.n, 1);
	first = strtoll(json(g.text, "next"), NULL, 10);
	assert_int_equal(first, pg_number(pg, "SELECT min(id) FROM users WHERE kind = 'account'"));
}

/* ---- Hashes stay inside, names are looked up by index ---- */

/* No statement answers a hash but the two that a login needs. */
static void test_who_reads_hashes(void **state UNUSED)
{
	int n = 0;

	for (int i = 0; i < STMT_COUNT; i++) {
		const struct stmt *s = stmt_get((enum stmt_id)i);

		if (i == STMT_ACCOUNT_FIND_LOGIN || i == STMT_ACCOUNT_CREDENTIALS)
			n += strstr(s->sql, "u.password_hash,") != NULL;
		else if (strstr(s->sql, "password_hash") && i != STMT_ACCOUNT_REHASH)
			assert_non_null(
				strstr(s->sql, "password_hash IS NOT NULL AS has_password"));
	}
	assert_int_equal(n, 2);
}

static void assert_plan(const char *index, const char *sql)
{
	PGresult *res = PQexec(pg, sql);
	bool is_used = false;

	for (int i = 0; i < PQntuples(res); i++)
		is_used |= strstr(PQgetvalue(res, i, 0), index) != NULL;
	if (!is_used)
		fail_msg("%s does not serve %s", index, sql);
	PQclear(res);
}

static void test_indexes_serve(void **state UNUSED)
{
	pg_value(pg, "SET enable_seqscan = off; SET enable_bitmapscan = off");
	assert_plan("users_username_fold_key",
		    "EXPLAIN SELECT id FROM users WHERE username IS NOT NULL"
		    " AND name_fold(username) = name_fold('x')");
	assert_plan("users_username_fold_key",
		    "EXPLAIN SELECT id FROM users WHERE username IS NOT NULL"
		    " AND name_fold(username) ~>=~ name_fold('x')"
		    " AND name_fold(username) ~<~ (name_fold('x') || 'y')");
	assert_plan("users_email_fold_key", "EXPLAIN SELECT id FROM users WHERE email IS NOT NULL"
					    " AND name_fold(email) = name_fold('x')");
	assert_plan("users_name_fold_idx", "EXPLAIN SELECT id FROM users WHERE kind <> 'guest'"
					   " AND name_fold(name) = name_fold('x')");
	pg_value(pg, "RESET ALL");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_make_and_find),
		cmocka_unit_test(test_clashes),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_one_winner),
		cmocka_unit_test(test_same_request_again),
		cmocka_unit_test(test_upgrade),
		cmocka_unit_test(test_password),
		cmocka_unit_test(test_disabled),
		cmocka_unit_test(test_admin),
		cmocka_unit_test(test_profiles),
		cmocka_unit_test(test_search),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_who_reads_hashes),
		cmocka_unit_test(test_indexes_serve),
	};

	return cmocka_run_group_tests(tests, fixture_open, fixture_close);
}
