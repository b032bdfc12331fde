/* SPDX-License-Identifier: MIT */
/*
 * Marks only rise, sending reads, and after any mixture of acts the counters equal a recount.
 */
#include "fixture.h"

#include "base/clock.h"
#include "sql/batch.h"
#include "sql/marks.h"

static int64_t anna, berta;

struct got {
	int n, err;
	struct mark_answer a;
	struct unread unread; /* in all */
	struct unread_row count[4];
	int rows;
	struct mark_row row[2 * MARKS_PAGE_MAX];
	char name[2 * MARKS_PAGE_MAX][32];
};

static struct got got;

static void on_mark(void *arg UNUSED, int err, const struct mark_answer *answer)
{
	got.n++;
	got.err = err;
	assert_true((err == 0) == (answer != NULL));
	if (answer)
		got.a = *answer;
}

static void on_marks(void *arg UNUSED, int err, const struct db_result *res)
{
	got.n++;
	got.err = err;
	got.rows = err ? 0 : db_rows(res);
	assert_true(got.rows <= 2 * MARKS_PAGE_MAX);
	for (int i = 0; i < got.rows; i++) {
		mark_row_get(res, i, &got.row[i]);
		snprintf(got.name[i], sizeof(got.name[i]), "%.*s", (int)got.row[i].name.len,
			 got.row[i].name.p);
	}
}

static void on_counts(void *arg UNUSED, int err, const struct db_result *res)
{
	got.n++;
	got.err = err;
	got.rows = err ? 0 : db_rows(res);
	for (int i = 0; i < got.rows; i++)
		unread_row_get(res, i, &got.count[i]);
}

static void on_unread(void *arg UNUSED, int err, const struct unread *unread)
{
	got.n++;
	got.err = err;
	assert_true((err == 0) == (unread != NULL));
	if (unread)
		got.unread = *unread;
}

static int setup(void **state)
{
	fixture_open(state);
	anna = pg_account(pg, "anna");
	berta = pg_account(pg, "berta");
	return 0;
}

static int mark_at(int64_t conv, int64_t user, enum mark_kind kind, const struct mark_place *place)
{
	got = (struct got){0};
	assert_int_equal(mark_set(l.db, conv, user, kind, place, 0, on_mark, NULL, NULL), 0);
	link_until(&l, &got.n, 1);
	return got.err;
}

static int mark(int64_t conv, int64_t user, enum mark_kind kind, int64_t seq)
{
	return mark_at(conv, user, kind, &(struct mark_place){.seq = seq});
}

static void expect(int64_t seq, int64_t unread, bool is_changed)
{
	assert_int_equal(got.err, 0);
	assert_int_equal(got.a.seq, seq);
	assert_int_equal(got.a.unread, unread);
	assert_int_equal(got.a.is_changed, is_changed);
	assert_int_equal(got.a.at_ms != 0, is_changed);
}

static void unread(int64_t conv, int64_t user)
{
	got = (struct got){0};
	assert_int_equal(unread_get(l.db, &conv, &user, 1, 0, on_counts, NULL, NULL), 0);
	link_until(&l, &got.n, 1);
	assert_int_equal(got.err, 0);
	got.unread.unread = got.rows ? got.count[0].unread : 0;
}

static void page(int64_t conv, int64_t after_rev)
{
	got = (struct got){0};
	assert_int_equal(marks_page(l.db, &conv, &after_rev, 1, 0, on_marks, NULL, NULL), 0);
	link_until(&l, &got.n, 1);
	assert_int_equal(got.err, 0);
}

static void change(int64_t conv, int kind, int64_t actor, int64_t target, int64_t subject)
{
	pg_valuef(pg,
		  "SELECT log_change(%" PRId64 ", %d::smallint, %" PRId64
		  ", uuid_v7(), nullif(%" PRId64 ", 0), nullif(%" PRId64
		  ", 0), NULL, 'member', true, 0)",
		  conv, kind, actor, target, subject);
}

static int64_t receipts(int64_t conv)
{
	return pg_numberf(pg, "SELECT count(*) FROM receipt_log WHERE conversation_id = %" PRId64,
			  conv);
}

static void test_read(void **state UNUSED)
{
	int64_t room = pg_room(pg, "read");

	for (int i = 0; i < 10; i++)
		pg_send(pg, room, berta, "x");
	assert_int_equal(mark(room, anna, MARK_READ, 4), 0);
	expect(4, 6, true);
	assert_int_equal(got.a.conv, room);
	assert_int_equal(got.a.user, anna);
	assert_true(llabs(got.a.at_ms - clock_wall_ms()) < 60000);
	assert_string_equal(
		pg_valuef(pg,
			  "SELECT (left_at IS NOT NULL)::text || read_rev || delivered_seq"
			  " FROM members WHERE conversation_id = %" PRId64,
			  room),
		"true40");
	mark(room, anna, MARK_READ, 4);
	expect(4, 6, false);
	mark(room, anna, MARK_READ, 2); /* never back */
	expect(4, 6, false);
	mark(room, anna, MARK_DELIVERED, 3); /* read, so delivered too */
	expect(4, 6, false);
	mark(room, anna, MARK_DELIVERED, 7);
	expect(7, 6, true);
	assert_int_equal(receipts(room), 2);
	mark(room, anna, MARK_READ, INT64_MAX); /* not above the newest */
	expect(10, 0, true);
	mark(room, anna, MARK_READ, 11);
	expect(10, 0, false);
	assert_int_equal(receipts(room), 3);
	assert_string_equal(pg_valuef(pg,
				      "SELECT string_agg(kind || up_to_seq, ' ' ORDER BY at, kind)"
				      " FROM receipt_log WHERE user_id = %" PRId64
				      " AND conversation_id = %" PRId64,
				      anna, room),
			    "read4 delivered7 read10");
	assert_int_equal(mark_set(l.db, room, 0, MARK_READ, &(struct mark_place){.seq = 1}, 0,
				  on_mark, NULL, NULL), -ERR_INVAL);
	assert_int_equal(mark_set(l.db, room, 1, MARK_READ, &(struct mark_place){.seq = 0}, 0,
				  on_mark, NULL, NULL), -ERR_INVAL);
	assert_int_equal(mark(room, 999999, MARK_READ, 1), -ERR_NOENT);
	assert_int_equal(mark(999999, anna, MARK_READ, 1), -ERR_NOENT);
	change(room, 11, 0, 0, 0);
	assert_int_equal(mark(room, anna, MARK_READ, 1), -ERR_NOENT);
}

/* By the place of a message in the log, where other rows lie between the messages. */
static void test_by_message(void **state UNUSED)
{
	int64_t room = pg_room(pg, "by message");

	pg_send(pg, room, berta, "one");
	change(room, 5, anna, 1, 0);
	pg_send(pg, room, berta, "two");
	pg_send(pg, room, berta, "three");
	change(room, 5, anna, 4, 0);
	assert_int_equal(mark_at(room, anna, MARK_READ, &(struct mark_place){.rev = 1}), 0);
	expect(1, 2, true);
	assert_int_equal(got.a.rev, 1);
	assert_int_equal(got.a.count, 1);
	assert_int_equal(mark_at(room, anna, MARK_DELIVERED, &(struct mark_place){.rev = 3}), 0);
	expect(2, 2, true);
	assert_int_equal(got.a.rev, 3);
	assert_int_equal(got.a.count, 0);
	pg_valuef(pg, "SELECT log_change(%" PRId64 ", 3::smallint, %" PRId64 ", uuid_v7(), 3,"
		  " NULL, NULL, NULL, true, 0)", room, berta);
	assert_int_equal(mark_at(room, anna, MARK_READ,
				 &(struct mark_place){.seq = MARK_ALL, .wants_rev = true}), 0);
	expect(3, 0, true);
	assert_int_equal(got.a.rev, 4); /* the message, not the reaction behind it */
	assert_int_equal(got.a.count, 1); /* the deleted one was not unread any more */
	assert_int_equal(mark_at(room, anna, MARK_READ,
				 &(struct mark_place){.rev = 1, .wants_rev = true}), 0);
	expect(3, 0, false);
	assert_int_equal(got.a.rev, 4);
	assert_int_equal(got.a.count, 0);
	for (int64_t rev = 2; rev < 99; rev += 96) /* a reaction; nothing */
		assert_int_equal(mark_at(room, anna, MARK_READ, &(struct mark_place){.rev = rev}),
				 -ERR_INVAL);
}

/* An unchanged mark writes nothing, so that it costs nothing later either. */
static void test_unchanged_touches_no_row(void **state UNUSED)
{
	int64_t room = pg_room(pg, "untouched");
	char before[64];

	pg_send(pg, room, berta, "x");
	mark(room, anna, MARK_READ, 1);
	snprintf(
		before, sizeof(before), "%s",
		pg_valuef(pg,
			  "SELECT ctid::text || xmin FROM members WHERE conversation_id = %" PRId64,
			  room));
	mark(room, anna, MARK_READ, 1);
	mark(room, anna, MARK_DELIVERED, 1);
	assert_string_equal(
		pg_valuef(pg,
			  "SELECT ctid::text || xmin FROM members WHERE conversation_id = %" PRId64,
			  room),
		before);
}

/* read_rev is the row of the message although other rows lie between. */
static void test_read_rev(void **state UNUSED)
{
	int64_t room = pg_room(pg, "revs");

	for (int i = 0; i < 20; i++) {
		pg_send(pg, room, berta, "x");
		for (int j = 0; j < i % 4; j++)
			change(room, j % 2 ? 3 : 4, berta, 1, 0);
		change(room, 3, berta, 1, 0);
	}
	for (int seq = 1; seq < 20; seq++) {
		mark(room, anna, MARK_READ, seq);
		assert_true(got.a.is_changed);
		assert_int_equal(
			pg_numberf(pg,
				   "SELECT count(*) FROM members m JOIN events e ON"
				   " e.conversation_id = m.conversation_id AND e.rev = m.read_rev"
				   " WHERE e.kind = 1 AND e.seq = m.read_seq AND m.read_seq = %d"
				   " AND m.conversation_id = %" PRId64,
				   seq, room),
			1);
	}
}

/* The marks of who comes without: what one wrote, and what lies far back, has been read. */
static void test_first_mark(void **state UNUSED)
{
	int64_t room = pg_room(pg, "first"), large = pg_room(pg, "large");

	pg_send(pg, room, berta, "1");
	pg_send(pg, room, anna, "2");
	pg_send(pg, room, berta, "3");
	unread(room, anna);
	assert_int_equal(got.rows, 0); /* no marks */
	mark(room, anna, MARK_DELIVERED, 3);
	expect(3, 1, true);
	mark(room, anna, MARK_READ, 1); /* she wrote number 2 */
	expect(2, 1, false);
	unread(room, anna);
	assert_int_equal(got.rows, 1);
	assert_int_equal(got.unread.unread, 1);
	assert_int_equal(got.count[0].read_seq, 2);

	pg_valuef(pg,
		  "INSERT INTO events (conversation_id, rev, seq, kind, actor_id, at, content)"
		  " SELECT %" PRId64 ", g, g, 1, %" PRId64 ", now_ms(), 'x'"
		  " FROM generate_series(1, 1500) g",
		  large, berta);
	mark(large, anna, MARK_DELIVERED, 1500);
	expect(1500, 1000, true);
}

/* ---- Sending ---- */

static void on_batch(void *arg, const struct batch_answer *answers UNUSED, size_t n UNUSED)
{
	++*(int *)arg;
}

static const char *read_marks(int64_t room)
{
	return pg_valuef(pg,
			 "SELECT string_agg(u.name || ' ' || m.read_seq || '/' || m.read_rev, ', '"
			 " ORDER BY u.name) FROM members m JOIN users u ON u.id = m.user_id"
			 " WHERE m.conversation_id = %" PRId64,
			 room);
}

static void test_sending_reads(void **state UNUSED)
{
	int64_t a = pg_room(pg, "sending a"), b = pg_room(pg, "sending b");
	struct batch_row rows[5];
	int n = 0;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		rows[i] = (struct batch_row){.conv = i % 2 ? b : a,
					     .sender = i < 3 ? anna : berta,
					     .client_msg_id = uuid_v7(),
					     .content = STR("x")};
	change(a, 7, anna, 0, anna);
	change(b, 7, anna, 0, anna);
	change(a, 7, berta, 0, berta);
	/* a: joins 1, 2, then anna 3, anna 4, berta 5; b: join 1, then anna 2, berta (no row) 3 */
	assert_int_equal(batch_submit(l.db, rows, ARRAY_LEN(rows), 0, on_batch, &n), 0);
	link_until(&l, &n, 1);
	assert_string_equal(read_marks(a), "anna 2/4, berta 3/5");
	assert_string_equal(read_marks(b), "anna 1/2");
	unread(a, anna);
	assert_int_equal(got.unread.unread, 1);
	/* the same keys again, with one more: numbers by key, no mark falls */
	rows[0].client_msg_id = uuid_v7();
	assert_int_equal(batch_submit(l.db, rows, ARRAY_LEN(rows), 0, on_batch, &n), 0);
	link_until(&l, &n, 2);
	assert_string_equal(read_marks(a), "anna 4/6, berta 3/5");
	assert_string_equal(read_marks(b), "anna 1/2");
	assert_int_equal(receipts(a) + receipts(b), 0); /* the message says it */
}

/*
 * A send with the key of a change is answered as a conflict and stores nothing: nobody has read
 * anything by it. Seen red without the kind in senders_have_read.
 */
static void test_key_of_a_change_reads_nothing(void **state UNUSED)
{
	int64_t room = pg_room(pg, "keys of changes");
	struct batch_row row = {
		.conv = room, .sender = anna, .client_msg_id = uuid_v7(), .content = STR("x")};
	char key[UUID_TEXT_LEN + 1];
	int n = 0;

	change(room, 7, anna, 0, anna);
	pg_send(pg, room, berta, "x");
	uuid_format(&row.client_msg_id, key);
	pg_valuef(pg,
		  "SELECT log_change(%" PRId64 ", 5::smallint, %" PRId64
		  ", '%s', 2, NULL, NULL, '+1', true, 0)",
		  room, anna, key);
	assert_int_equal(batch_submit(l.db, &row, 1, 0, on_batch, &n), 0);
	link_until(&l, &n, 1);
	assert_string_equal(read_marks(room), "anna 0/1");
}

/* A row made by hand, as by a room with an owner, is noted as well. */
static void test_members_are_noted(void **state UNUSED)
{
	int64_t room = pg_room(pg, "noted");

	pg_valuef(pg,
		  "INSERT INTO members (conversation_id, user_id) VALUES (%" PRId64 ", %" PRId64
		  ")",
		  room, anna);
	pg_send(pg, room, anna, "x");
	assert_string_equal(read_marks(room), "anna 1/1");
}

/* ---- Others' marks ---- */

static void test_page(void **state UNUSED)
{
	int64_t room = pg_room(pg, "page"), carla = pg_account(pg, "carla"), user = 0;

	page(room, 0);
	assert_int_equal(got.rows, 0);
	pg_send(pg, room, berta, "1");
	pg_send(pg, room, berta, "2");
	mark(room, anna, MARK_READ, 1);
	mark(room, carla, MARK_DELIVERED, 2);
	mark(room, berta, MARK_READ, 2); /* she wrote it: nothing to tell */
	page(room, 0);
	assert_int_equal(got.rows, 2);
	assert_string_equal(got.name[0], "anna"); /* the oldest change first */
	assert_int_equal(got.row[0].user, anna);
	assert_int_equal(got.row[0].read_seq, 1);
	assert_int_equal(got.row[0].delivered_seq, 1);
	assert_int_equal(got.row[1].read_seq, 0);
	assert_int_equal(got.row[1].delivered_seq, 2);
	assert_true(got.row[1].at_ms >= got.row[0].at_ms);

	/* what changed since a row was written */
	pg_valuef(pg,
		  "UPDATE members SET marks_at = marks_at - interval '1 hour'"
		  " WHERE conversation_id = %" PRId64 " AND user_id = %" PRId64,
		  room, anna);
	page(room, 2);
	assert_int_equal(got.rows, 1);
	assert_int_equal(got.row[0].user, carla);
	page(room, 99); /* unknown position: all */
	assert_int_equal(got.rows, 2);

	for (int i = 0; i < MARKS_PAGE_MAX; i++) {
		user = pg_numberf(pg,
				  "INSERT INTO users (kind, name) VALUES ('guest', 'page %d')"
				  " RETURNING id",
				  i);
		mark(room, user, MARK_READ, 2);
	}
	page(room, 0);
	assert_int_equal(got.rows, MARKS_PAGE_MAX);
	assert_int_equal(got.row[MARKS_PAGE_MAX - 1].user, user); /* the newest are kept */
}

/* ---- Counters ---- */

/* Several conversations in one question: each row says of which it is. */
static void test_many_at_once(void **state UNUSED)
{
	const int64_t convs[] = {pg_room(pg, "one"), pg_room(pg, "two"), pg_room(pg, "three")};
	const int64_t users[] = {anna, anna, berta}, revs[] = {0, 0, 0};

	for (int i = 0; i < 2; i++) {
		pg_send(pg, convs[i], berta, "x");
		pg_send(pg, convs[i], berta, "y");
		mark(convs[i], anna, MARK_READ, i + 1);
	}
	got = (struct got){0};
	assert_int_equal(unread_get(l.db, convs, users, 3, 0, on_counts, NULL, NULL), 0);
	link_until(&l, &got.n, 1);
	assert_int_equal(got.rows, 2);
	for (int i = 0; i < 2; i++) {
		const struct unread_row *row = &got.count[got.count[0].at == (size_t)i ? 0 : 1];

		assert_int_equal(row->at, i);
		assert_int_equal(row->read_seq, i + 1);
		assert_int_equal(row->unread, 1 - i);
		assert_int_equal(row->seq, 2);
	}
	got = (struct got){0};
	assert_int_equal(marks_page(l.db, convs, revs, 3, 0, on_marks, NULL, NULL), 0);
	link_until(&l, &got.n, 1);
	assert_int_equal(got.rows, 2);
	for (int i = 0; i < 2; i++) { /* in the order of the question */
		assert_int_equal(got.row[i].at, i);
		assert_int_equal(got.row[i].user, anna);
		assert_int_equal(got.row[i].read_seq, i + 1);
	}
	assert_int_equal(marks_page(l.db, convs, revs, 0, 0, on_marks, NULL, NULL), -ERR_INVAL);
	assert_int_equal(unread_get(l.db, convs, users, MARKS_CONVS_MAX + 1, 0, on_counts, NULL,
				    NULL),
			 -ERR_INVAL);
}

static void test_deleted(void **state UNUSED)
{
	int64_t room = pg_room(pg, "deleted");

	for (int i = 0; i < 5; i++)
		pg_send(pg, room, berta, "x");
	mark(room, anna, MARK_READ, 2);
	expect(2, 3, true);
	change(room, 3, berta, 4, 0); /* unread */
	unread(room, anna);
	assert_int_equal(got.unread.unread, 2);
	change(room, 3, berta, 1, 0); /* read already */
	unread(room, anna);
	assert_int_equal(got.unread.unread, 2);
	change(room, 4, berta, 4, 0);
	unread(room, anna);
	assert_int_equal(got.unread.unread, 3);
	change(room, 3, berta, 5, 0);
	mark(room, anna, MARK_READ, 5);
	expect(5, 0, true);
	change(room, 4, berta, 5, 0); /* came back, but below the mark */
	unread(room, anna);
	assert_int_equal(got.unread.unread, 0);
}

static void test_total(void **state UNUSED)
{
	int64_t user = pg_account(pg, "total");
	int64_t rooms[4];

	for (int i = 0; i < 4; i++) {
		char name[16];

		snprintf(name, sizeof(name), "total %d", i);
		rooms[i] = pg_room(pg, name);
		if (i < 3)
			change(rooms[i], 7, user, 0, user);
		else
			mark(rooms[i], user, MARK_READ, 1); /* state, no membership */
		for (int j = 0; j < i * 2; j++)
			pg_send(pg, rooms[i], berta, "x");
	}
	got = (struct got){0};
	assert_int_equal(unread_total(l.db, user, 0, on_unread, NULL, NULL), 0);
	link_until(&l, &got.n, 1);
	assert_int_equal(got.unread.unread, 0 + 2 + 4);
	assert_int_equal(got.unread.conversations, 2);
	change(rooms[2], 11, 0, 0, 0); /* closed */
	change(rooms[0], 8, user, 0, user);
	assert_int_equal(unread_total(l.db, user, 0, on_unread, NULL, NULL), 0);
	link_until(&l, &got.n, 2);
	assert_int_equal(got.unread.unread, 2);
	assert_int_equal(unread_total(l.db, 999999, 0, on_unread, NULL, NULL), 0);
	link_until(&l, &got.n, 3);
	assert_int_equal(got.unread.unread, 0);
}

#define STEPS 3000
#define PEOPLE 5
#define ROOMS 3

static unsigned int seed;

static int64_t pick(int64_t n)
{
	return rand_r(&seed) % n;
}

static void random_step(const int64_t *rooms, const int64_t *people)
{
	int64_t room = rooms[pick(ROOMS)], user = people[pick(PEOPLE)];
	int64_t head = pg_numberf(
		pg, "SELECT coalesce(max(rev), 0) FROM events WHERE conversation_id = %" PRId64,
		room);

	switch (pick(8)) {
	case 0:
	case 1:
	case 2:
		pg_send(pg, room, user, "x");
		break;
	case 3:
		change(room, 3, user, 1 + pick(head + 1), 0);
		break;
	case 4:
		change(room, 4, user, 1 + pick(head + 1), 0);
		break;
	case 5:
		change(room, pick(3) ? 7 : 8, user, 0, user);
		break;
	default:
		pg_valuef(pg, "SELECT mark_set(%" PRId64 ", %" PRId64 ", '%s', %" PRId64 ")", room,
			  user, pick(2) ? "read" : "delivered", 1 + pick(head + 2));
	}
}

/*
 * The recount is written out here, apart from verify_unread: what others wrote above the mark and
 * did not delete. Seen red without "PERFORM senders_have_read" and with the count of deleted
 * messages left out of unread_of.
 */
static void test_any_mixture(void **state UNUSED)
{
	int64_t rooms[ROOMS], people[PEOPLE];

	seed = (unsigned int)clock_wall_ms();
	print_message("seed %u\n", seed);
	for (int i = 0; i < ROOMS; i++) {
		char name[16];

		snprintf(name, sizeof(name), "mixture %d", i);
		rooms[i] = pg_room(pg, name);
	}
	for (int i = 0; i < PEOPLE; i++) {
		char name[16];

		snprintf(name, sizeof(name), "person%d", i);
		people[i] = pg_account(pg, name);
	}
	for (int i = 0; i < STEPS; i++) {
		random_step(rooms, people);
		if (i % 50)
			continue;
		assert_int_equal(
			pg_number(
				pg,
				"SELECT count(*) FROM members m WHERE unread_of(m.conversation_id,"
				" m.user_id) <> (SELECT count(*) FROM events e"
				"  WHERE e.conversation_id = m.conversation_id AND e.kind = 1"
				"  AND e.seq > m.read_seq AND e.deleted_at IS NULL"
				"  AND e.actor_id <> m.user_id)"),
			0);
	}
	assert_string_equal(pg_value(pg, "SELECT string_agg(v::text, ' ') FROM verify_unread() v"),
			    "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_by_message),
		cmocka_unit_test(test_unchanged_touches_no_row),
		cmocka_unit_test(test_read_rev),
		cmocka_unit_test(test_first_mark),
		cmocka_unit_test(test_sending_reads),
		cmocka_unit_test(test_key_of_a_change_reads_nothing),
		cmocka_unit_test(test_members_are_noted),
		cmocka_unit_test(test_page),
		cmocka_unit_test(test_many_at_once),
		cmocka_unit_test(test_deleted),
		cmocka_unit_test(test_total),
		cmocka_unit_test(test_any_mixture),
	};

	return cmocka_run_group_tests(tests, setup, fixture_close);
}
