/* SPDX-License-Identifier: MIT */
/*
 * Durable changes: each with its row of the log, once per key, by whom it is allowed, never moving
 * a message; two writers at once leave no gap; a transaction cut anywhere leaves nothing.
 */
#include "fixture.h"

#include "base/clock.h"
#include "sql/batch.h"
#include "sql/changes.h"

static int64_t anna, berta;

struct got {
	int n;
	struct log_change_answer a;
	char content[64], subject_name[64], key[64];
};

static void copy_or_null(char *ret, struct str s)
{
	snprintf(ret, 64, "%.*s", s.p ? (int)s.len : 6, s.p ? s.p : "(null)");
}

static void on_changed(void *arg, const struct log_change_answer *answer)
{
	struct got *g = arg;

	g->n++;
	g->a = *answer;
	copy_or_null(g->content, answer->content);
	copy_or_null(g->subject_name, answer->subject_name);
	copy_or_null(g->key, answer->key);
}

static int setup(void **state)
{
	fixture_open(state);
	anna = pg_account(pg, "anna");
	berta = pg_account(pg, "berta");
	return 0;
}

static struct got change(struct log_change c)
{
	struct got g = {0};

	assert_int_equal(log_change_submit(l.db, &c, 0, on_changed, &g, NULL), 0);
	assert_int_equal(g.n, 0);
	link_until(&l, &g.n, 1);
	return g;
}

static struct got expect(struct log_change c, enum log_change_status status, int64_t rev,
			 int64_t seq)
{
	struct got g = change(c);

	assert_int_equal(g.a.status, status);
	assert_int_equal(g.a.rev, rev);
	assert_int_equal(g.a.seq, seq);
	if (status <= CHANGE_UNCHANGED)
		assert_int_equal(g.a.conv, c.conv);
	return g;
}

static void refuse(struct log_change c, enum log_change_status status)
{
	int64_t before = pg_numberf(
		pg, "SELECT count(*) FROM events WHERE conversation_id = %" PRId64, c.conv);

	expect(c, status, 0, 0);
	assert_int_equal(pg_numberf(pg,
				    "SELECT count(*) FROM events WHERE conversation_id = %" PRId64,
				    c.conv),
			 before);
}

static void verify(void)
{
	assert_string_equal(pg_value(pg, "SELECT string_agg(v::text, ' ') FROM verify_log() v"),
			    "");
	assert_string_equal(pg_value(pg, "SELECT string_agg(v::text, ' ') FROM verify_unread() v"),
			    "");
}

/* One column of a row of the log. */
static const char *row(int64_t conv, int64_t rev, const char *what)
{
	return pg_valuef(
		pg, "SELECT %s FROM events WHERE conversation_id = %" PRId64 " AND rev = %" PRId64,
		what, conv, rev);
}

/* ---- Messages ---- */

static void test_edit(void **state UNUSED)
{
	int64_t room = pg_room(pg, "edit");
	struct log_change c = {.conv = room,
			       .kind = KIND_MESSAGE_EDIT,
			       .actor = anna,
			       .target_rev = 1,
			       .content = STR("better")};
	struct got g;

	pg_send(pg, room, anna, "good");
	pg_send(pg, room, berta, "hers");
	g = expect(c, CHANGE_STORED, 3, 2); /* a rev of its own, no seq */
	assert_string_equal(g.content, "better");
	assert_int_equal(g.a.target_rev, 1);
	assert_int_equal(g.a.target_seq, 1);
	assert_int_equal(g.a.target_author, anna);
	assert_true(llabs(g.a.at_ms - clock_wall_ms()) < 60000);
	assert_string_equal(row(room, 1, "content || rev || seq || kind"), "better111");
	assert_int_equal(strtoll(row(room, 1, "epoch_ms(edited_at)"), NULL, 10), g.a.at_ms);
	assert_string_equal(row(room, 3, "content || target_rev || kind || seq"), "better122");
	assert_string_equal(
		pg_valuef(pg,
			  "SELECT v.content || (v.valid_from = e.at) FROM"
			  " message_versions v JOIN events e USING (conversation_id, rev)"
			  " WHERE v.edit_rev = 3 AND e.rev = 1 AND e.conversation_id"
			  " = %" PRId64,
			  room),
		"goodtrue");
	g = expect(c, CHANGE_UNCHANGED, 3, 2); /* the same text again: where the log stands */
	assert_int_equal(g.a.at_ms, strtoll(row(room, 1, "epoch_ms(edited_at)"), NULL, 10));
	c.content = STR("best");
	expect(c, CHANGE_STORED, 4, 2);
	c.target_rev = 2;
	refuse(c, CHANGE_DENIED); /* another's */
	c.may_moderate = true;
	expect(c, CHANGE_STORED, 5, 2);
	c.target_rev = 3;
	refuse(c, CHANGE_NO_TARGET); /* no message */
	c.target_rev = 99;
	refuse(c, CHANGE_NO_TARGET);
	c.conv = 999999;
	refuse(c, CHANGE_NO_CONV);
	assert_int_equal(pg_number(pg, "SELECT count(*) FROM message_versions"), 3);
	verify();
}

static void test_delete_and_recover(void **state UNUSED)
{
	int64_t room = pg_room(pg, "delete");
	struct log_change del = {
		.conv = room, .kind = KIND_MESSAGE_DELETE, .actor = anna, .target_rev = 1};
	struct log_change back = {.conv = room,
				  .kind = KIND_MESSAGE_RECOVER,
				  .actor = anna,
				  .target_rev = 1,
				  .recover_days = 30};
	struct log_change edit = {.conv = room,
				  .kind = KIND_MESSAGE_EDIT,
				  .actor = anna,
				  .target_rev = 1,
				  .content = STR("x")};
	struct got g;

	pg_send(pg, room, anna, "gone and back");
	g = expect(back, CHANGE_UNCHANGED, 1, 1); /* it is there */
	assert_string_equal(g.content, "gone and back");
	del.actor = berta;
	refuse(del, CHANGE_DENIED);
	del.actor = anna;
	g = expect(del, CHANGE_STORED, 2, 1);
	assert_string_equal(row(room, 1, "deleted_by::text || rev || seq"),
			    pg_valuef(pg, "SELECT '%" PRId64 "11'", anna));
	assert_int_equal(strtoll(row(room, 1, "epoch_ms(deleted_at)"), NULL, 10), g.a.at_ms);
	g = expect(del, CHANGE_UNCHANGED, 2, 1);
	refuse(edit, CHANGE_DELETED);
	back.actor = berta;
	refuse(back, CHANGE_DENIED);
	back.actor = anna;
	g = expect(back, CHANGE_STORED, 3, 1);
	assert_string_equal(g.content, "gone and back");
	assert_string_equal(row(room, 1, "content || (deleted_at IS NULL) || (deleted_by IS NULL)"),
			    "gone and backtruetrue");
	assert_int_equal(pg_numberf(pg,
				    "SELECT count(*) FROM audit WHERE conversation_id = %" PRId64
				    " AND action IN ('message.delete', 'message.recover')"
				    " AND detail = '{\"rev\": 1}'",
				    room),
			 2);

	/* what a moderator took away, the author does not bring back */
	del.actor = berta;
	del.may_moderate = true;
	expect(del, CHANGE_STORED, 4, 1);
	refuse(back, CHANGE_DENIED);
	back.may_moderate = true;
	pg_valuef(pg,
		  "UPDATE events SET deleted_at = deleted_at - interval '721 hours'"
		  " WHERE conversation_id = %" PRId64 " AND rev = 1",
		  room);
	refuse(back, CHANGE_GONE); /* thirty days are 720 hours */
	back.recover_days = 31;
	expect(back, CHANGE_STORED, 5, 1);
	verify();
}

static void test_reactions(void **state UNUSED)
{
	int64_t room = pg_room(pg, "react");
	struct log_change set = {.conv = room,
				 .kind = KIND_REACTION_SET,
				 .actor = berta,
				 .target_rev = 1,
				 .key = STR("\xf0\x9f\x91\x8d")};
	struct log_change unset = set;
	char text[66 * 4 + 1] = "";
	struct got g;

	unset.kind = KIND_REACTION_UNSET;
	pg_send(pg, room, anna, "like me");
	expect(unset, CHANGE_UNCHANGED, 1, 1);
	g = expect(set, CHANGE_STORED, 2, 1);
	assert_string_equal(g.key, "\xf0\x9f\x91\x8d");
	assert_int_equal(g.a.target_author, anna);
	assert_string_equal(row(room, 2, "key || target_rev"), "\xf0\x9f\x91\x8d"
							       "1");
	expect(set, CHANGE_UNCHANGED, 2, 1);
	set.actor = anna; /* everybody has their own */
	expect(set, CHANGE_STORED, 3, 1);
	expect(unset, CHANGE_STORED, 4, 1);
	assert_int_equal(
		pg_numberf(pg,
			   "SELECT count(*) FROM reactions WHERE conversation_id = %" PRId64
			   " AND rev = 1 AND user_id = %" PRId64,
			   room, anna),
		1);
	set.key = STR("");
	refuse(set, CHANGE_FAILED);
	for (size_t i = 0; i < 65; i++)
		memcpy(text + i * 4, "\xf0\x9f\x91\x8d", 5);
	set.key = str_of(text);
	refuse(set, CHANGE_FAILED); /* 65 characters */
	set.key.len -= 4;
	expect(set, CHANGE_STORED, 5, 1);
	for (int i = 2; i < 32; i++) {
		snprintf(text, sizeof(text), "e%d", i);
		set.key = str_of(text);
		expect(set, CHANGE_STORED, 4 + i, 1);
	}
	set.key = STR("one too many");
	refuse(set, CHANGE_CONFLICT);
	set.target_rev = 2;
	refuse(set, CHANGE_NO_TARGET);
	verify();
}

/* ---- Members and conversations ---- */

static const char *member(int64_t room, int64_t user)
{
	return pg_valuef(pg,
			 "SELECT role || CASE WHEN left_at IS NULL THEN '' ELSE ' left' END ||"
			 " ' ' || read_seq FROM members WHERE conversation_id = %" PRId64
			 " AND user_id = %" PRId64,
			 room, user);
}

static void test_members(void **state UNUSED)
{
	int64_t room = pg_room(pg, "members");
	struct log_change join = {.conv = room, .kind = KIND_MEMBER_JOIN, .actor = anna};
	struct log_change leave = {.conv = room, .kind = KIND_MEMBER_LEAVE, .actor = anna};
	struct log_change role = {
		.conv = room, .kind = KIND_MEMBER_ROLE, .actor = berta, .subject = anna};
	struct got g;

	pg_send(pg, room, berta, "before");
	expect(leave, CHANGE_UNCHANGED, 1, 1);
	g = expect(join, CHANGE_STORED, 2, 1);
	assert_int_equal(g.a.subject, anna);
	assert_string_equal(g.subject_name, "anna");
	assert_string_equal(g.key, "member");
	assert_string_equal(member(room, anna), "member 1"); /* nothing before is unread */
	assert_string_equal(row(room, 2, "key || ' ' || (subject_id = actor_id)"), "member true");
	expect(join, CHANGE_UNCHANGED, 2, 1);
	role.key = STR("admin");
	refuse(role, CHANGE_DENIED);
	role.may_moderate = true;
	g = expect(role, CHANGE_STORED, 3, 1);
	assert_string_equal(g.key, "admin");
	expect(role, CHANGE_UNCHANGED, 3, 1);
	assert_string_equal(member(room, anna), "admin 1");
	role.key = STR("king");
	refuse(role, CHANGE_FAILED);
	leave.actor = berta;
	leave.subject = anna;
	refuse(leave, CHANGE_DENIED);
	leave.actor = anna;
	expect(leave, CHANGE_STORED, 4, 1);
	role.key = STR("member");
	refuse(role, CHANGE_NO_TARGET); /* has left */
	pg_send(pg, room, berta, "meanwhile");
	expect(join, CHANGE_STORED, 6, 2);
	assert_string_equal(member(room, anna), "member 2");

	role.key = STR("banned");
	expect(role, CHANGE_STORED, 7, 2);
	assert_string_equal(member(room, anna), "banned left 2");
	refuse(join, CHANGE_DENIED);
	role.key = STR("member"); /* not a member again, but may join */
	expect(role, CHANGE_STORED, 8, 2);
	assert_string_equal(member(room, anna), "member left 2");
	join.key = STR("owner");
	refuse(join, CHANGE_DENIED);
	join.may_moderate = true;
	join.actor = berta;
	join.subject = anna;
	expect(join, CHANGE_STORED, 9, 2);
	assert_string_equal(member(room, anna), "owner 2");
	join.subject = 999999;
	refuse(join, CHANGE_NO_TARGET);
	assert_int_equal(
		pg_numberf(pg, "SELECT count(*) FROM audit WHERE conversation_id = %" PRId64, room),
		4); /* two roles, one ban, one joined by another */
	verify();
}

static void test_conversation(void **state UNUSED)
{
	int64_t room = pg_room(pg, "old name"), other = pg_room(pg, "taken");
	struct log_change c = {.conv = room,
			       .kind = KIND_CONVERSATION_UPDATE,
			       .actor = anna,
			       .key = STR("name"),
			       .content = STR("new name")};
	struct log_change close = {.conv = room, .kind = KIND_CONVERSATION_CLOSE, .actor = anna};
	struct got g;

	refuse(c, CHANGE_DENIED);
	pg_valuef(pg, "UPDATE conversations SET created_by = %" PRId64 " WHERE id = %" PRId64, anna,
		  room);
	g = expect(c, CHANGE_STORED, 1, 0); /* by who made it */
	assert_string_equal(g.content, "new name");
	assert_string_equal(g.key, "name");
	assert_string_equal(row(room, 1, "key || ' ' || content"), "name new name");
	expect(c, CHANGE_UNCHANGED, 1, 0);
	c.content = STR("taken");
	refuse(c, CHANGE_CONFLICT);
	c.content = STR("");
	refuse(c, CHANGE_FAILED);
	c.content = STR("\xff");
	refuse(c, CHANGE_FAILED);
	c.content = STR("what for");
	c.key = STR("description");
	expect(c, CHANGE_STORED, 2, 0);
	c.key = STR("kind");
	refuse(c, CHANGE_FAILED);
	assert_string_equal(
		pg_valuef(pg,
			  "SELECT name || '|' || description || (updated_at > created_at)"
			  " FROM conversations WHERE id = %" PRId64,
			  room),
		"new name|what fortrue");

	close.actor = berta;
	refuse(close, CHANGE_DENIED);
	close.actor = anna;
	close.client_msg_id = uuid_v7();
	g = expect(close, CHANGE_STORED, 3, 0);
	assert_int_equal(
		pg_numberf(pg, "SELECT epoch_ms(closed_at) FROM conversations WHERE id = %" PRId64,
			   room),
		g.a.at_ms);
	assert_int_equal(pg_numberf(pg,
				    "SELECT count(*) FROM audit WHERE conversation_id = %" PRId64
				    " AND action = 'conversation.close' AND actor_id = %" PRId64,
				    room, anna),
			 1);
	expect(close, CHANGE_DUPLICATE, 3, 0); /* known by its key although it is closed now */
	close.client_msg_id = uuid_v7();
	refuse(close, CHANGE_NO_CONV);
	c.key = STR("name");
	refuse(c, CHANGE_NO_CONV);
	c.conv = other;
	c.may_moderate = true;
	c.content = STR("new name"); /* free again */
	expect(c, CHANGE_STORED, 1, 0);
	verify();
}

/* ---- Keys ---- */

static const struct log_change every[] = {
	{.kind = KIND_MESSAGE_EDIT, .target_rev = 1, .content = STR("edited")},
	{.kind = KIND_MESSAGE_DELETE, .target_rev = 1},
	{.kind = KIND_MESSAGE_RECOVER, .target_rev = 1},
	{.kind = KIND_REACTION_SET, .target_rev = 1, .key = STR("+1")},
	{.kind = KIND_REACTION_UNSET, .target_rev = 1, .key = STR("+1")},
	{.kind = KIND_MEMBER_JOIN},
	{.kind = KIND_MEMBER_ROLE, .key = STR("moderator")},
	{.kind = KIND_MEMBER_LEAVE},
	{.kind = KIND_CONVERSATION_UPDATE, .key = STR("description"), .content = STR("d")},
	{.kind = KIND_CONVERSATION_CLOSE},
};

static struct str tag_of(int64_t room, char ret[64])
{
	snprintf(ret, 64, "%s",
		 pg_valuef(pg,
			   "SELECT conversation_tag(updated_at) FROM conversations WHERE id ="
			   " %" PRId64,
			   room));
	return str_of(ret);
}

/* Seen red without the look at the tag in log_change_seen: what was seen no more was changed. */
static void test_seen(void **state UNUSED)
{
	int64_t room = pg_room(pg, "seen");
	char tags[3][64];
	struct log_change c = {.conv = room,
			       .kind = KIND_CONVERSATION_UPDATE,
			       .actor = anna,
			       .key = STR("description"),
			       .content = STR("one"),
			       .may_moderate = true,
			       .client_msg_id = uuid_v7(),
			       .seen = tag_of(room, tags[0])};

	expect(c, CHANGE_STORED, 1, 0);
	expect(c, CHANGE_DUPLICATE, 1, 0); /* not compared with itself */
	c.client_msg_id = uuid_v7();
	refuse(c, CHANGE_UNSEEN);
	c.seen = tag_of(room, tags[1]);
	assert_string_not_equal(tags[0], tags[1]);
	expect(c, CHANGE_UNCHANGED, 1, 0);
	/* the state has its own tag also when it is of the same time, or of an earlier one */
	pg_valuef(pg,
		  "UPDATE conversations SET updated_at = updated_at + interval '1 hour'"
		  " WHERE id = %" PRId64,
		  room);
	c.seen = tag_of(room, tags[1]);
	c.content = STR("two");
	expect(c, CHANGE_STORED, 2, 0);
	tag_of(room, tags[2]);
	assert_true(strcmp(tags[2], tags[1]) > 0);
}

static void test_repeat(void **state UNUSED)
{
	int64_t room = pg_room(pg, "repeat"), elsewhere = pg_room(pg, "elsewhere");
	struct uuid keys[ARRAY_LEN(every)];
	struct got first[ARRAY_LEN(every)];

	pg_send(pg, room, anna, "text");
	for (size_t round = 0; round < 2; round++)
		for (size_t i = 0; i < ARRAY_LEN(every); i++) {
			struct log_change c = every[i];
			struct got g;

			if (round == 0)
				keys[i] = uuid_v7();
			c.conv = room;
			c.actor = anna;
			c.may_moderate = true;
			c.client_msg_id = keys[i];
			if (round == 0)
				first[i] = expect(c, CHANGE_STORED, 2 + (int64_t)i, 1);
			g = expect(c, CHANGE_DUPLICATE, 2 + (int64_t)i, 1);
			assert_int_equal(g.a.at_ms, first[i].a.at_ms);
			assert_memory_equal(&g.a.client_msg_id, &keys[i], sizeof(keys[i]));
			assert_string_equal(g.content, first[i].content);
			assert_string_equal(g.key, first[i].key);
			assert_int_equal(g.a.subject, first[i].a.subject);
			assert_int_equal(g.a.target_author, first[i].a.target_author);
		}
	assert_int_equal(pg_numberf(pg,
				    "SELECT max(rev) FROM events WHERE conversation_id = %" PRId64,
				    room),
			 1 + (int64_t)ARRAY_LEN(every));

	/* a key stands for one change of one actor */
	for (size_t i = 0; i < ARRAY_LEN(every); i++) {
		struct log_change c = every[i];

		c.conv = room;
		c.actor = anna;
		c.may_moderate = true;
		c.client_msg_id = keys[(i + 1) % ARRAY_LEN(every)];
		expect(c, CHANGE_CONFLICT, 0, 0);
		c.client_msg_id = keys[i];
		c.conv = elsewhere;
		refuse(c, CHANGE_CONFLICT);
	}
	verify();
}

static void test_refused_at_once(void **state UNUSED)
{
	struct log_change c = {.conv = 1, .kind = KIND_MESSAGE_NEW};
	struct got g = {0};

	assert_int_equal(log_change_submit(l.db, &c, 0, on_changed, &g, NULL), -ERR_INVAL);
	c.kind = (enum kind)0;
	assert_int_equal(log_change_submit(l.db, &c, 0, on_changed, &g, NULL), -ERR_INVAL);
	c.kind = (enum kind)99;
	assert_int_equal(log_change_submit(l.db, &c, 0, on_changed, &g, NULL), -ERR_INVAL);
	assert_int_equal(g.n, 0);
}

static void test_no_connection(void **state UNUSED)
{
	struct log_change c = {.conv = 1, .kind = KIND_MESSAGE_DELETE, .target_rev = 1};
	struct link lost;
	struct got g = {0};

	link_open(&lost, "host=/nonexistent", NULL);
	assert_int_equal(log_change_submit(lost.db, &c, clock_mono_ms() + 1, on_changed, &g, NULL),
			 0);
	link_until(&lost, &g.n, 1);
	assert_int_equal(g.a.status, CHANGE_UNSENT);
	link_close(&lost);
}

/* ---- Two writers ---- */

#define N_CHANGES 300
#define N_BATCHES 60

struct race {
	int n_changes, n_batches;
	int64_t revs[N_CHANGES];
	int n_revs;
	int64_t n_stored_rows;
};

static void on_race_change(void *arg, const struct log_change_answer *answer)
{
	struct race *r = arg;

	r->n_changes++;
	if (answer->status == CHANGE_STORED)
		r->revs[r->n_revs++] = answer->rev;
	else
		assert_int_equal(answer->status, CHANGE_UNCHANGED);
}

static void on_race_batch(void *arg, const struct batch_answer *answers, size_t n)
{
	struct race *r = arg;

	r->n_batches++;
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(answers[i].status, BATCH_STORED);
		r->n_stored_rows++;
	}
}

static void race_change(struct race *r, int64_t room, int i)
{
	static const enum kind kinds[] = {KIND_MESSAGE_EDIT, KIND_MESSAGE_DELETE, KIND_REACTION_SET,
					  KIND_MESSAGE_RECOVER, KIND_REACTION_UNSET};
	struct log_change c = {.conv = room,
			       .kind = kinds[i % ARRAY_LEN(kinds)],
			       .actor = anna,
			       .may_moderate = true,
			       .target_rev = 1,
			       .key = STR("!")};
	char text[16];

	snprintf(text, sizeof(text), "text %d", i);
	c.content = str_of(text);
	if (c.kind == KIND_REACTION_SET || c.kind == KIND_REACTION_UNSET ||
	    c.kind == KIND_MESSAGE_EDIT)
		c.target_rev = 2;
	assert_int_equal(log_change_submit(l.db, &c, 0, on_race_change, r, NULL), 0);
}

/* Changes on one connection, batches on another, one conversation. */
static void test_two_writers(void **state UNUSED)
{
	int64_t room = pg_room(pg, "race");
	struct race r = {0};
	struct link other, *links[] = {&l, &other};
	struct batch_row rows[5];

	pg_send(pg, room, anna, "one");
	pg_send(pg, room, anna, "two");
	link_open(&other, url, NULL);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		rows[i] = (struct batch_row){.conv = room, .sender = berta, .content = STR("m")};
	for (int i = 0; i < N_CHANGES; i++)
		race_change(&r, room, i);
	for (int i = 0; i < N_BATCHES; i++)
		assert_int_equal(
			batch_submit(other.db, rows, ARRAY_LEN(rows), 0, on_race_batch, &r), 0);
	for (uint64_t until = clock_mono_ms() + PG_PATIENCE_MS;
	     r.n_changes < N_CHANGES || r.n_batches < N_BATCHES;) {
		assert_true(clock_mono_ms() < until);
		links_turn(links, 2, 100);
	}
	link_close(&other);
	assert_int_equal(r.n_stored_rows, N_BATCHES * ARRAY_LEN(rows));
	for (int i = 1; i < r.n_revs; i++)
		assert_true(r.revs[i] > r.revs[i - 1]);
	assert_int_equal(pg_numberf(pg,
				    "SELECT max(rev) FROM events WHERE conversation_id = %" PRId64,
				    room),
			 2 + r.n_revs + r.n_stored_rows);
	assert_int_equal(pg_numberf(pg,
				    "SELECT max(seq) FROM events WHERE conversation_id = %" PRId64,
				    room),
			 2 + r.n_stored_rows);
	/* they did meet */
	assert_true(r.revs[0] < r.revs[r.n_revs - 1] - r.n_revs + 1);
	verify();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_edit),
		cmocka_unit_test(test_delete_and_recover),
		cmocka_unit_test(test_reactions),
		cmocka_unit_test(test_members),
		cmocka_unit_test(test_conversation),
		cmocka_unit_test(test_seen),
		cmocka_unit_test(test_repeat),
		cmocka_unit_test(test_refused_at_once),
		cmocka_unit_test(test_no_connection),
		cmocka_unit_test(test_two_writers),
	};

	return cmocka_run_group_tests(tests, setup, fixture_close);
}
