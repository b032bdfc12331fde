/* SPDX-License-Identifier: MIT */
/*
 * Rooms: create, race for a name, look up, list, close; room and audit row stand or fall together.
 */
#include "fixture.h"

#include "base/clock.h"
#include "sql/events.h"
#include "sql/rooms.h"

struct got {
	int n, err;
	int64_t id, created_at_ms, created_by, rev, seq;
	struct uuid uid;
	bool is_closed;
	char kind[16], name[128], description[128];
};

static void on_room(void *arg, int err, const struct room *room)
{
	struct got *g = arg;

	g->n++;
	g->err = err;
	assert_true((err == 0) == (room != NULL));
	if (!room)
		return;
	g->id = room->id;
	g->uid = room->uid;
	g->created_at_ms = room->created_at_ms;
	g->created_by = room->created_by;
	g->is_closed = room->is_closed;
	g->rev = room->rev;
	g->seq = room->seq;
	copy(g->kind, sizeof(g->kind), room->kind);
	copy(g->name, sizeof(g->name), room->name);
	copy(g->description, sizeof(g->description), room->description);
}

static void on_closed(void *arg, int err, const struct room_closed *closed)
{
	struct got *g = arg;

	g->n++;
	g->err = err;
	if (!closed)
		return;
	g->id = closed->id;
	g->rev = closed->rev;
	g->seq = closed->seq;
	g->created_at_ms = closed->at_ms;
}

static struct got create(const char *name, const char *description, int64_t by)
{
	struct got g = {0};

	assert_int_equal(
		room_create(l.db, str_of(name), str_of(description), by, 0, on_room, &g, NULL), 0);
	link_until(&l, &g.n, 1);
	return g;
}

static struct got info(int64_t id, const struct uuid *uid)
{
	struct got g = {0};

	assert_int_equal(room_info(l.db, id, uid, 0, on_room, &g, NULL), 0);
	link_until(&l, &g.n, 1);
	return g;
}

static struct got close_room(int64_t id, int64_t actor)
{
	struct got g = {0};

	assert_int_equal(room_close(l.db, id, actor, 0, on_closed, &g, NULL), 0);
	link_until(&l, &g.n, 1);
	return g;
}

static void test_create(void **state UNUSED)
{
	struct got made = create("General", "General chat", 0), seen;
	char sql[256];

	assert_int_equal(made.err, 0);
	assert_true(made.id > 0);
	assert_string_equal(made.kind, "room");
	assert_string_equal(made.name, "General");
	assert_string_equal(made.description, "General chat");
	assert_true(llabs(made.created_at_ms - clock_wall_ms()) < 60000);
	seen = info(made.id, NULL);
	assert_memory_equal(&seen.uid, &made.uid, sizeof(made.uid));
	assert_int_equal(seen.created_at_ms, made.created_at_ms);
	assert_false(seen.is_closed);
	assert_int_equal(seen.rev + seen.seq, 0);
	assert_int_equal(info(0, &made.uid).id, made.id);
	snprintf(sql, sizeof(sql),
		 "SELECT count(*) FROM audit WHERE action = 'conversation.create'"
		 " AND conversation_id = %" PRId64,
		 made.id);
	assert_int_equal(pg_number(pg, sql), 1);
	snprintf(sql, sizeof(sql),
		 "SELECT name || '|' || description FROM compat.chat_rooms"
		 " WHERE id = %" PRId64,
		 made.id);
	assert_string_equal(pg_value(pg, sql), "General|General chat");
}

static void test_create_by_account(void **state UNUSED)
{
	int64_t owner = pg_account(pg, "owner");
	struct got made = create("Owned", "", owner);
	char sql[128];

	assert_int_equal(made.created_by, owner);
	snprintf(sql, sizeof(sql),
		 "SELECT role FROM members WHERE conversation_id = %" PRId64
		 " AND user_id = %" PRId64,
		 made.id, owner);
	assert_string_equal(pg_value(pg, sql), "owner");
}

static void test_names(void **state UNUSED)
{
	char longest[101 * 3 + 1] = "";
	struct got made;

	for (int i = 0; i < 100; i++)
		memcpy(longest + i * 2, "\xc3\xa9", 2); /* 100 characters, 200 bytes */
	made = create(longest, "", 0);
	assert_int_equal(made.err, 0);
	assert_int_equal(close_room(made.id, 0).err, 0);
	memcpy(longest + 200, "x", 2);
	assert_int_equal(create(longest, "", 0).err, -ERR_INVAL);
	assert_int_equal(create("", "", 0).err, -ERR_INVAL);
	assert_int_equal(create("nul\xff", "", 0).err, -ERR_INVAL);
	assert_int_equal(create("Case", "", 0).err, 0);
	assert_int_equal(create("Case", "", 0).err, -ERR_EXISTS);
	assert_int_equal(create("case", "", 0).err, 0); /* names are compared byte for byte */
	made = create("'; DROP TABLE users; --", "\\\"", 0);
	assert_int_equal(made.err, 0);
	assert_string_equal(made.name, "'; DROP TABLE users; --");
}

static void test_race_for_a_name(void **state UNUSED)
{
	struct link links[5], *refs[5];
	struct got g[50] = {{0}};
	int n_made = 0, n_refused = 0, n_answers = 0;

	for (int i = 0; i < 5; i++) {
		link_open(&links[i], url, NULL);
		refs[i] = &links[i];
	}
	for (int i = 0; i < 50; i++)
		assert_int_equal(room_create(links[i % 5].db, STR("Race"), STR(""), 0, 0, on_room,
					     &g[i], NULL),
				 0);
	while (n_answers < 50) {
		links_turn(refs, 5, 1000);
		n_answers = 0;
		for (int i = 0; i < 50; i++)
			n_answers += g[i].n;
	}
	for (int i = 0; i < 50; i++) {
		n_made += g[i].err == 0;
		n_refused += g[i].err == -ERR_EXISTS;
	}
	assert_int_equal(n_made, 1);
	assert_int_equal(n_refused, 49);
	assert_int_equal(pg_number(pg, "SELECT count(*) FROM conversations WHERE name = 'Race'"),
			 1);
	assert_int_equal(pg_number(pg, "SELECT count(*) FROM audit a JOIN conversations c"
				       " ON c.id = a.conversation_id WHERE c.name = 'Race'"),
			 1);
	for (int i = 0; i < 5; i++)
		link_close(&links[i]);
}

/* A fault between the room's row and the audit row leaves neither. */
static void test_audit_fault_rolls_back(void **state UNUSED)
{
	struct got kept = create("Kept open", "", 0), g;

	pg_value(pg, "CREATE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql AS"
		     " $$BEGIN RAISE EXCEPTION 'fault'; END$$");
	pg_value(pg, "CREATE TRIGGER fault BEFORE INSERT ON audit EXECUTE FUNCTION fault()");
	g = create("Faulty", "", 0);
	assert_int_equal(g.err, -ERR_DB);
	assert_int_equal(close_room(kept.id, 0).err, -ERR_DB);
	pg_value(pg, "DROP TRIGGER fault ON audit");
	assert_int_equal(pg_number(pg, "SELECT count(*) FROM conversations WHERE name = 'Faulty'"),
			 0);
	g = info(kept.id, NULL);
	assert_false(g.is_closed);
	assert_int_equal(g.rev, 0); /* no close event either */
	assert_int_equal(create("Faulty", "", 0).err, 0);
}

static void test_close(void **state UNUSED)
{
	struct got made = create("Closing", "", 0), closed, seen;
	int64_t actor = pg_account(pg, "closer");
	char sql[256];

	closed = close_room(made.id, actor);
	assert_int_equal(closed.err, 0);
	assert_int_equal(closed.id, made.id);
	assert_int_equal(closed.rev, 1);
	assert_int_equal(closed.seq, 0);
	snprintf(sql, sizeof(sql),
		 "SELECT kind || ':' || actor_id FROM events"
		 " WHERE conversation_id = %" PRId64,
		 made.id);
	{
		char want[32];

		snprintf(want, sizeof(want), "%d:%" PRId64, KIND_CONVERSATION_CLOSE, actor);
		assert_string_equal(pg_value(pg, sql), want);
	}
	seen = info(made.id, NULL);
	assert_int_equal(seen.err, 0);
	assert_true(seen.is_closed);
	assert_int_equal(seen.rev, 1);
	assert_int_equal(close_room(made.id, actor).err, -ERR_NOENT);
	assert_int_equal(close_room(123456, actor).err, -ERR_NOENT);
	assert_int_equal(info(123456, NULL).err, -ERR_NOENT);
	assert_int_equal(info(0, NULL).err, -ERR_NOENT);
	assert_int_equal(create("Closing", "", 0).err, 0); /* the name is free again */
	snprintf(sql, sizeof(sql),
		 "SELECT count(*) FROM audit WHERE action = 'conversation.close'"
		 " AND conversation_id = %" PRId64 " AND actor_id = %" PRId64,
		 made.id, actor);
	assert_int_equal(pg_number(pg, sql), 1);
}

struct list_got {
	int n, err, rows;
	int64_t ids[256];
	char first[512];
};

static void on_list(void *arg, int err, const struct db_result *res)
{
	struct list_got *g = arg;
	struct str body;

	g->n++;
	g->err = err;
	g->rows = err ? 0 : db_rows(res);
	for (int i = 0; i < g->rows && i < 256; i++) {
		room_list_get(res, i, &g->ids[i], &body);
		assert_true(body.len > 2 && body.p[0] == '{' && body.p[body.len - 1] == '}');
		if (i == 0)
			copy(g->first, sizeof(g->first), body);
	}
}

static void test_list(void **state UNUSED)
{
	struct list_got all = {0}, some = {0};
	struct got gone = create("List gone", "", 0), mine = create("List \"me\"", "tab\there", 0);
	char sql[1024], iso[CLOCK_RFC3339_LEN + 1];

	assert_int_equal(close_room(gone.id, 0).err, 0);
	assert_int_equal(room_list(l.db, 0, 0, 0, on_list, &all, NULL), 0);
	link_until(&l, &all.n, 1);
	assert_int_equal(all.rows, pg_number(pg, "SELECT count(*) FROM conversations"
						 " WHERE closed_at IS NULL AND kind = 'room'"));
	for (int i = 1; i < all.rows; i++)
		assert_true(all.ids[i] > all.ids[i - 1]);
	for (int i = 0; i < all.rows; i++)
		assert_int_not_equal(all.ids[i], gone.id);
	assert_int_equal(room_list(l.db, mine.id - 1, 1, 0, on_list, &some, NULL), 0);
	link_until(&l, &some.n, 1);
	assert_int_equal(some.rows, 1);
	assert_int_equal(some.ids[0], mine.id);
	clock_format(mine.created_at_ms, iso);
	snprintf(
		sql, sizeof(sql),
		"SELECT j->>'id' = '%" PRId64 "' AND j->>'name' = 'List \"me\"' AND"
		" j->>'description' = E'tab\\there' AND j->>'created_at' = '%s' AND"
		" (SELECT count(*) FROM json_object_keys(j)) = 4"
		" FROM (SELECT $j$%s$j$::json AS j) t",
		mine.id, iso, some.first);
	assert_string_equal(pg_value(pg, sql), "t");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_create),
		cmocka_unit_test(test_create_by_account),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_race_for_a_name),
		cmocka_unit_test(test_audit_fault_rolls_back),
		cmocka_unit_test(test_close),
		cmocka_unit_test(test_list),
	};

	return cmocka_run_group_tests(tests, fixture_open, fixture_close);
}
