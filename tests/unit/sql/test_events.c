/* SPDX-License-Identifier: MIT */
/*
 * The log: other events are numbered like messages, and ranges come back whole and in order.
 */
#include "fixture.h"

#include "base/clock.h"
#include "sql/batch.h"
#include "sql/events.h"
#include "sql/rooms.h"

struct got {
	int n, err;
	struct event_numbers numbers;
};

struct range {
	int n, err, rows;
	struct event_row row[64];
	char content[64][32], name[64][32], meta[64][64], key[64][32], subject[64][32];
};

static void on_event(void *arg, int err, const struct event_numbers *numbers)
{
	struct got *g = arg;

	g->n++;
	g->err = err;
	assert_true((err == 0) == (numbers != NULL));
	if (numbers)
		g->numbers = *numbers;
}

static void copy_or_null(char *ret, size_t size, struct str s)
{
	if (s.p)
		snprintf(ret, size, "%.*s", (int)s.len, s.p);
	else
		snprintf(ret, size, "(null)");
}

static void on_range(void *arg, int err, const struct db_result *res)
{
	struct range *r = arg;

	r->n++;
	r->err = err;
	r->rows = err ? 0 : db_rows(res);
	for (int i = 0; i < r->rows && i < 64; i++) {
		event_row_get(res, i, &r->row[i]);
		copy_or_null(r->content[i], sizeof(r->content[i]), r->row[i].content);
		copy_or_null(r->name[i], sizeof(r->name[i]), r->row[i].actor_name);
		copy_or_null(r->meta[i], sizeof(r->meta[i]), r->row[i].meta_json);
		copy_or_null(r->key[i], sizeof(r->key[i]), r->row[i].key);
		copy_or_null(r->subject[i], sizeof(r->subject[i]), r->row[i].subject_name);
	}
}

static void on_batch(void *arg, const struct batch_answer *answers UNUSED, size_t n UNUSED)
{
	++*(int *)arg;
}

static void on_closed(void *arg, int err UNUSED, const struct room_closed *closed UNUSED)
{
	++*(int *)arg;
}

static void send(int64_t room, int64_t sender, const char *content, const struct uuid *key)
{
	struct batch_row row = {.conv = room, .sender = sender, .content = str_of(content)};
	int n = 0;

	if (key)
		row.client_msg_id = *key;
	assert_int_equal(batch_submit(l.db, &row, 1, 0, on_batch, &n), 0);
	link_until(&l, &n, 1);
}

static struct got persist(struct event_new ev)
{
	struct got g = {0};

	assert_int_equal(event_persist(l.db, &ev, 0, on_event, &g, NULL), 0);
	link_until(&l, &g.n, 1);
	return g;
}

static struct range after(int64_t room, int64_t rev, int limit)
{
	struct range r = {0};

	assert_int_equal(events_after(l.db, room, rev, limit, 0, on_range, &r, NULL), 0);
	link_until(&l, &r.n, 1);
	return r;
}

static struct range between(int64_t room, int64_t first, int64_t last)
{
	struct range r = {0};

	assert_int_equal(events_between(l.db, room, first, last, 0, on_range, &r, NULL), 0);
	link_until(&l, &r.n, 1);
	return r;
}

static void test_persist(void **state UNUSED)
{
	int64_t room = pg_room(pg, "persist"), who = pg_account(pg, "anna");
	struct event_new ev = {.conv = room, .kind = KIND_MEMBER_JOIN, .actor = who};
	struct got g;

	g = persist(ev);
	assert_int_equal(g.err, 0);
	assert_int_equal(g.numbers.rev, 1);
	assert_int_equal(g.numbers.seq, 0); /* no message */
	send(room, who, "hello", NULL);
	ev.kind = KIND_REACTION_SET;
	ev.target_rev = 2;
	ev.content = STR("+1");
	ev.meta_json = STR("{\"a\":1}");
	ev.client_msg_id = uuid_v7();
	g = persist(ev);
	assert_int_equal(g.numbers.rev, 3);
	assert_int_equal(g.numbers.seq, 1);
	assert_int_equal(g.numbers.conv, room);
	assert_false(g.numbers.is_duplicate);
	assert_true(llabs(g.numbers.at_ms - clock_wall_ms()) < 60000);
	g = persist(ev); /* the same key */
	assert_int_equal(g.numbers.rev, 3);
	assert_true(g.numbers.is_duplicate);
	send(room, who, "next", NULL);
	assert_int_equal(after(room, 3, 10).row[0].rev, 4);
	assert_int_equal(after(room, 3, 10).row[0].seq, 2);
}

static void test_persist_refused(void **state UNUSED)
{
	struct event_new ev = {.conv = pg_room(pg, "refused"), .kind = KIND_MESSAGE_NEW};
	struct got g = {0};

	assert_int_equal(event_persist(l.db, &ev, 0, on_event, &g, NULL), -ERR_INVAL);
	ev.kind = (enum kind)99;
	assert_int_equal(event_persist(l.db, &ev, 0, on_event, &g, NULL), -ERR_INVAL);
	assert_int_equal(g.n, 0);
	ev.kind = KIND_MEMBER_JOIN;
	ev.meta_json = STR("{");
	assert_int_equal(persist(ev).err, -ERR_INVAL);
	ev.meta_json = (struct str){NULL, 0};
	ev.conv = 555555;
	assert_int_equal(persist(ev).err, -ERR_NOENT);
}

static void test_ranges(void **state UNUSED)
{
	int64_t room = pg_room(pg, "ranges"), who = pg_account(pg, "berta");
	struct uuid key = uuid_v7();
	struct range r;
	char sql[256];
	int n = 0;

	for (int i = 0; i < 10; i++) {
		char text[16];

		snprintf(text, sizeof(text), "m%d", i + 1);
		send(room, i == 4 ? 0 : who, text, i == 2 ? &key : NULL);
	}
	snprintf(sql, sizeof(sql),
		 "UPDATE events SET deleted_at = now_ms(), meta = '{}'"
		 " WHERE conversation_id = %" PRId64 " AND rev = 6",
		 room);
	pg_value(pg, sql);
	assert_int_equal(room_close(l.db, room, who, 0, on_closed, &n, NULL), 0);
	link_until(&l, &n, 1);

	r = after(room, 0, 100);
	assert_int_equal(r.rows, 11);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(r.row[i].rev, i + 1);
		assert_int_equal(r.row[i].seq, i + 1);
		assert_int_equal(r.row[i].kind, KIND_MESSAGE_NEW);
	}
	assert_string_equal(r.content[0], "m1");
	assert_string_equal(r.name[0], "berta");
	assert_int_equal(r.row[0].actor, who);
	assert_string_equal(r.meta[0], "(null)");
	assert_memory_equal(&r.row[2].client_msg_id, &key, sizeof(key));
	assert_int_equal(r.row[4].actor, 0);
	assert_string_equal(r.name[4], "(null)");
	assert_string_equal(r.content[5], "(null)"); /* deleted: no text leaves */
	assert_string_equal(r.meta[5], "(null)");
	assert_true(r.row[5].deleted_at_ms > 0);
	assert_int_equal(r.row[10].kind, KIND_CONVERSATION_CLOSE); /* closed: still readable */
	assert_int_equal(r.row[10].seq, 10);

	r = after(room, 7, 2);
	assert_int_equal(r.rows, 2);
	assert_int_equal(r.row[0].rev, 8);
	r = between(room, 3, 5);
	assert_int_equal(r.rows, 3);
	assert_int_equal(r.row[0].rev, 3);
	assert_int_equal(r.row[2].rev, 5);
	assert_int_equal(after(room, 11, 10).rows, 0);
	assert_int_equal(after(room, INT64_MAX, 10).rows, 0);
	assert_int_equal(after(777777, 0, 10).rows, 0);
	assert_int_equal(between(room, 5, 3).rows, 0);
}

/* ---- What changes look like in a range ---- */

static void change(int64_t room, int kind, int64_t actor, int64_t target, const char *content,
		   const char *key, int64_t subject)
{
	pg_valuef(pg,
		  "SELECT log_change(%" PRId64 ", %d::smallint, %" PRId64
		  ", uuid_v7(), nullif(%" PRId64 ", 0), nullif(%" PRId64 ", 0), %s, %s, true, 0)",
		  room, kind, actor, target, subject, content, key);
}

static void is_row(const struct range *r, int i, int kind, int64_t target, const char *content)
{
	assert_int_equal(r->row[i].rev, i + 1);
	assert_int_equal(r->row[i].kind, kind);
	assert_int_equal(r->row[i].target_rev, target);
	assert_string_equal(r->content[i], content);
}

static void test_changes_in_a_range(void **state UNUSED)
{
	int64_t room = pg_room(pg, "changes"), who = pg_account(pg, "carla");
	struct range r;

	send(room, who, "one", NULL);
	send(room, who, "two", NULL);
	change(room, 2, who, 1, "'one b'", "NULL", 0);
	change(room, 2, who, 1, "'one c'", "NULL", 0);
	change(room, 3, who, 2, "NULL", "NULL", 0);
	change(room, 4, who, 2, "NULL", "NULL", 0);
	change(room, 5, who, 2, "NULL", "'+1'", 0);
	change(room, 6, who, 2, "NULL", "'+1'", 0);
	change(room, 7, 0, 0, "NULL", "'member'", who);
	change(room, 9, 0, 0, "NULL", "'admin'", who);
	change(room, 8, who, 0, "NULL", "NULL", who);
	change(room, 10, who, 0, "'what for'", "'description'", 0);
	change(room, 11, who, 0, "NULL", "NULL", 0);
	r = after(room, 0, 64);
	assert_int_equal(r.rows, 13);
	is_row(&r, 0, KIND_MESSAGE_NEW, 0, "one c"); /* the present text */
	assert_true(r.row[0].edited_at_ms > 0);
	is_row(&r, 1, KIND_MESSAGE_NEW, 0, "two"); /* deleted and back */
	is_row(&r, 2, KIND_MESSAGE_EDIT, 1, "one b");
	is_row(&r, 3, KIND_MESSAGE_EDIT, 1, "one c");
	is_row(&r, 4, KIND_MESSAGE_DELETE, 2, "(null)");
	is_row(&r, 5, KIND_MESSAGE_RECOVER, 2, "two");
	is_row(&r, 6, KIND_REACTION_SET, 2, "(null)");
	assert_string_equal(r.key[6], "+1");
	is_row(&r, 7, KIND_REACTION_UNSET, 2, "(null)");
	assert_string_equal(r.key[7], "+1");
	is_row(&r, 8, KIND_MEMBER_JOIN, 0, "(null)");
	assert_string_equal(r.key[8], "member");
	assert_int_equal(r.row[8].subject, who);
	assert_string_equal(r.subject[8], "carla");
	assert_int_equal(r.row[8].actor, 0);
	is_row(&r, 9, KIND_MEMBER_ROLE, 0, "(null)");
	assert_string_equal(r.key[9], "admin");
	is_row(&r, 10, KIND_MEMBER_LEAVE, 0, "(null)");
	assert_int_equal(r.row[10].subject, who);
	is_row(&r, 11, KIND_CONVERSATION_UPDATE, 0, "what for");
	assert_string_equal(r.key[11], "description");
	is_row(&r, 12, KIND_CONVERSATION_CLOSE, 0, "(null)");
	for (int i = 0; i < 13; i++) {
		assert_int_equal(r.row[i].conv, room);
		assert_int_equal(r.row[i].seq, MIN(i + 1, 2)); /* changes take no seq */
	}
}

/* No text of a deleted message leaves: not its own, not its edits', not its recovery's. */
static void test_deleted_text_stays(void **state UNUSED)
{
	int64_t room = pg_room(pg, "secret"), who = pg_account(pg, "dora");
	struct range r;

	send(room, who, "secret", NULL);
	change(room, 2, who, 1, "'secret too'", "NULL", 0);
	change(room, 3, who, 1, "NULL", "NULL", 0);
	change(room, 4, who, 1, "NULL", "NULL", 0);
	change(room, 3, who, 1, "NULL", "NULL", 0);
	r = after(room, 0, 64);
	assert_int_equal(r.rows, 5);
	for (int i = 0; i < 5; i++)
		assert_string_equal(r.content[i], "(null)");
}

static void test_emptied_log(void **state UNUSED)
{
	int64_t room = pg_room(pg, "emptied");
	struct range r;

	assert_int_equal(after(room, 0, 10).rows, 0); /* nothing was ever there */
	pg_valuef(pg, "UPDATE conversations SET base_rev = 40, base_seq = 30 WHERE id = %" PRId64,
		  room);
	r = after(room, 12, 10);
	assert_int_equal(r.rows, 1);
	assert_int_equal(r.row[0].kind, KIND_BASE);
	assert_int_equal(r.row[0].conv, room);
	assert_int_equal(r.row[0].rev, 40);
	assert_int_equal(r.row[0].seq, 30);
	assert_string_equal(kind_name(r.row[0].kind), "");
	assert_int_equal(after(room, 39, 10).rows, 1);
	assert_int_equal(after(room, 40, 10).rows, 0); /* nothing new */
	send(room, 0, "goes on", NULL);
	r = after(room, 12, 10);
	assert_int_equal(r.rows, 1);
	assert_int_equal(r.row[0].kind, KIND_MESSAGE_NEW);
	assert_int_equal(r.row[0].rev, 41); /* above the one asked for: what is between is gone */
}

struct by_key {
	int n, err, rows;
	size_t place[4];
	int64_t conv[4], rev[4];
	char content[4][32];
};

static void on_by_key(void *arg, int err, const struct db_result *res)
{
	struct by_key *b = arg;

	b->n++;
	b->err = err;
	b->rows = err ? 0 : db_rows(res);
	for (int i = 0; i < b->rows && i < 4; i++) {
		struct event_row row;

		event_row_get(res, i, &row);
		b->place[i] = event_by_key_place(res, i);
		b->conv[i] = row.conv;
		b->rev[i] = row.rev;
		copy_or_null(b->content[i], sizeof(b->content[i]), row.content);
	}
}

/* Keys are their senders' own; who asks for one that nobody has used gets no row. */
static void test_by_key(void **state UNUSED)
{
	int64_t a = pg_room(pg, "by key a"), b = pg_room(pg, "by key b");
	int64_t cleo = pg_account(pg, "cleo"), dan = pg_account(pg, "dan");
	const struct uuid keys[] = {uuid_v7(), uuid_v7(), uuid_v7()};
	const int64_t actors[] = {dan, cleo, cleo, dan, cleo};
	const struct uuid asked[] = {keys[0], keys[1], keys[2], keys[1], keys[0]};
	struct by_key got = {0};
	bool is_seen[5] = {false};

	send(a, cleo, "cleo's", &keys[0]);
	send(b, cleo, "elsewhere", &keys[1]);
	send(a, dan, "dan's", &keys[0]);
	assert_int_equal(events_by_key(l.db, actors, asked, 5, 0, on_by_key, &got, NULL), 0);
	link_until(&l, &got.n, 1);
	assert_int_equal(got.err, 0);
	assert_int_equal(got.rows, 3);
	for (int i = 0; i < 3; i++) {
		assert_true(got.place[i] < 5 && !is_seen[got.place[i]]);
		is_seen[got.place[i]] = true;
		assert_string_equal(got.content[i], got.place[i] == 0   ? "dan's"
						    : got.place[i] == 1 ? "elsewhere"
									: "cleo's");
		assert_int_equal(got.conv[i], got.place[i] == 1 ? b : a);
	}
	assert_true(is_seen[0] && is_seen[1] && is_seen[4]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_persist),
		cmocka_unit_test(test_persist_refused),
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_changes_in_a_range),
		cmocka_unit_test(test_deleted_text_stays),
		cmocka_unit_test(test_emptied_log),
		cmocka_unit_test(test_by_key),
	};

	return cmocka_run_group_tests(tests, fixture_open, fixture_close);
}
