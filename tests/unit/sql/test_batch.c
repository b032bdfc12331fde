/* SPDX-License-Identifier: MIT */
/*
 * Batches: numbers without gap, keys stored once, bad rows alone, killed connections without loss.
 */
#include "pg.h"

#include "base/clock.h"
#include "sql/batch.h"
#include "sql/changes.h"

#include <sys/wait.h>
#include <unistd.h>

static char url[PG_URL_MAX];
static PGconn *pg;

#define ROWS_MAX 1024

struct outcome {
	int n; /* callbacks */
	size_t n_rows;
	struct batch_answer rows[ROWS_MAX];
	char text[8][16], attachment[8][16]; /* of the first answers */
};

static void copy_text(char text[static 16], struct str s)
{
	snprintf(text, 16, "%.*s", (int)s.len, s.p ? s.p : "");
}

static void on_batch(void *arg, const struct batch_answer *answers, size_t n)
{
	struct outcome *o = arg;

	assert(n <= ROWS_MAX);
	o->n++;
	o->n_rows = n;
	memcpy(o->rows, answers, n * sizeof(*answers));
	for (size_t i = 0; i < n && i < ARRAY_LEN(o->text); i++) {
		copy_text(o->text[i], answers[i].content);
		copy_text(o->attachment[i], answers[i].attachment);
	}
}

static void on_change(void *arg, const struct log_change_answer *a)
{
	assert_int_equal(a->status, CHANGE_STORED);
	++*(int *)arg;
}

static int setup(void **state)
{
	pg_setup(state);
	pg_database(url);
	pg = pg_open(url);
	return 0;
}

static int teardown(void **state)
{
	PQfinish(pg);
	return pg_teardown(state);
}

static struct uuid key_of(int n)
{
	return uuid_hash(&n, sizeof(n));
}

static struct batch_row row_of(int64_t conv, int key, const char *content)
{
	return (struct batch_row){.conv = conv,
				  .sender = 1,
				  .client_msg_id = key_of(key),
				  .content = str_of(content)};
}

/* Sends and waits. */
static void run_batch(struct link *l, const struct batch_row *rows, size_t n, struct outcome *o)
{
	o->n = 0;
	assert_int_equal(batch_submit(l->db, rows, n, 0, on_batch, o), 0);
	assert_int_equal(o->n, 0);
	link_until(l, &o->n, 1);
	assert_int_equal(o->n, 1);
	assert_int_equal(o->n_rows, n);
}

static void expect(const struct batch_answer *a, enum batch_status status, int64_t rev, int64_t seq)
{
	assert_int_equal(a->status, status);
	assert_int_equal(a->rev, rev);
	assert_int_equal(a->seq, seq);
}

/* What must hold of every log at any time; the number of violations. */
static int64_t count_violations(void)
{
	int64_t n = 0;

	n += pg_number(pg, "SELECT count(*) FROM (SELECT conversation_id, count(*) AS n,"
			   " min(rev) AS low, max(rev) AS high FROM events GROUP BY 1) t"
			   " WHERE low <> 1 OR high <> n");
	n += pg_number(pg, "SELECT count(*) FROM (SELECT seq, count(*) FILTER (WHERE kind = 1) OVER"
			   " (PARTITION BY conversation_id ORDER BY rev) AS want FROM events) t"
			   " WHERE seq <> want");
	n += pg_number(pg,
		       "SELECT count(*) FROM (SELECT 1 FROM events WHERE client_msg_id IS NOT NULL"
		       " GROUP BY client_msg_id, actor_id HAVING count(*) > 1) t");
	n += pg_number(pg, "SELECT count(*) FROM (SELECT at, lag(at) OVER (PARTITION BY"
			   " conversation_id ORDER BY rev) AS before FROM events) t"
			   " WHERE at < before");
	n += pg_number(pg, "SELECT count(*) FROM events e JOIN conversations c"
			   " ON c.id = e.conversation_id JOIN events x ON x.conversation_id = c.id"
			   " AND x.kind = 11 WHERE e.rev > x.rev");
	return n;
}

/* ---- One at a time ---- */

static void test_numbers(void **state UNUSED)
{
	int64_t a = pg_room(pg, "numbers a"), b = pg_room(pg, "numbers b");
	struct batch_row rows[] = {
		row_of(b, 1, "b1"), row_of(a, 2, "a1"), row_of(b, 3, "b2"),
		row_of(a, 4, "a2"), row_of(b, 5, ""),
	};
	int args[5];
	struct outcome o;
	struct link l;
	char sql[256];
	int64_t before = clock_wall_ms();

	rows[2].reply_to_rev = 1;
	rows[3].meta_json = STR("{\"client_id\": \"x\"}");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		rows[i].arg = &args[i];
	link_open(&l, url, NULL);
	run_batch(&l, rows, ARRAY_LEN(rows), &o);
	expect(&o.rows[0], BATCH_STORED, 1, 1);
	expect(&o.rows[1], BATCH_STORED, 1, 1);
	expect(&o.rows[2], BATCH_STORED, 2, 2);
	expect(&o.rows[3], BATCH_STORED, 2, 2);
	expect(&o.rows[4], BATCH_STORED, 3, 3);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_ptr_equal(o.rows[i].arg, &args[i]);
		assert_int_equal(o.rows[i].conv, rows[i].conv);
		assert_memory_equal(&o.rows[i].client_msg_id, &rows[i].client_msg_id, 16);
		assert_true(llabs(o.rows[i].at_ms - before) < 60000);
		snprintf(
			sql, sizeof(sql),
			"SELECT content = '%s' AND kind = 1 AND actor_id = 1"
			" AND epoch_ms(at) = %" PRId64
			" FROM events WHERE conversation_id = %" PRId64 " AND rev = %" PRId64,
			rows[i].content.p, o.rows[i].at_ms, o.rows[i].conv, o.rows[i].rev);
		assert_string_equal(pg_value(pg, sql), "t");
	}
	snprintf(sql, sizeof(sql),
		 "SELECT target_rev FROM events WHERE conversation_id = %" PRId64 " AND rev = 2",
		 b);
	assert_int_equal(pg_number(pg, sql), 1);
	snprintf(sql, sizeof(sql),
		 "SELECT meta->>'client_id' FROM events WHERE conversation_id = %" PRId64
		 " AND rev = 2",
		 a);
	assert_string_equal(pg_value(pg, sql), "x");
	link_close(&l);
}

/* Retention may empty a log: the numbers go on from the conversation's row. */
static void test_numbers_after_retention(void **state UNUSED)
{
	int64_t room = pg_room(pg, "trimmed");
	struct batch_row row = row_of(room, 10, "next");
	struct outcome o;
	struct link l;
	char sql[128];

	snprintf(sql, sizeof(sql),
		 "UPDATE conversations SET base_rev = 70, base_seq = 50"
		 " WHERE id = %" PRId64,
		 room);
	pg_value(pg, sql);
	link_open(&l, url, NULL);
	run_batch(&l, &row, 1, &o);
	expect(&o.rows[0], BATCH_STORED, 71, 51);
	link_close(&l);
	snprintf(sql, sizeof(sql), "DELETE FROM events WHERE conversation_id = %" PRId64, room);
	pg_value(pg, sql); /* its numbers do not begin at 1, as the other tests expect */
}

static void test_keys_are_given(void **state UNUSED)
{
	struct batch_row rows[2] = {row_of(pg_room(pg, "no keys"), 0, "x")};
	struct uuid zero = {{0}};
	struct outcome o;
	struct link l;

	rows[0].client_msg_id = zero;
	rows[1] = rows[0];
	link_open(&l, url, NULL);
	run_batch(&l, rows, 2, &o);
	expect(&o.rows[0], BATCH_STORED, 1, 1);
	expect(&o.rows[1], BATCH_STORED, 2, 2);
	assert_false(uuid_is_zero(&o.rows[0].client_msg_id));
	assert_memory_not_equal(&o.rows[0].client_msg_id, &o.rows[1].client_msg_id, 16);
	link_close(&l);
}

static void test_sizes(void **state UNUSED)
{
	static struct batch_row rows[BATCH_ROWS_MAX + 1];
	struct outcome o = {0};
	struct link l;

	link_open(&l, url, NULL);
	assert_int_equal(batch_submit(l.db, rows, 0, 0, on_batch, &o), -ERR_INVAL);
	assert_int_equal(batch_submit(l.db, rows, BATCH_ROWS_MAX + 1, 0, on_batch, &o), -ERR_INVAL);
	assert_int_equal(o.n, 0);
	link_close(&l);
}

static void test_duplicates(void **state UNUSED)
{
	int64_t a = pg_room(pg, "dup a"), b = pg_room(pg, "dup b");
	struct batch_row first[] = {row_of(a, 20, "one"), row_of(a, 21, "two"),
				    row_of(a, 20, "one")};
	struct batch_row again[] = {row_of(a, 22, "three"), row_of(a, 21, "two"),
				    row_of(b, 20, "one"), row_of(a, 23, "four"),
				    row_of(b, 24, "b one")};
	struct batch_row other = row_of(a, 20, "another sender's");
	struct outcome o;
	struct link l;
	int64_t at_ms;

	link_open(&l, url, NULL);
	run_batch(&l, first, 3, &o);
	expect(&o.rows[0], BATCH_STORED, 1, 1);
	expect(&o.rows[1], BATCH_STORED, 2, 2);
	expect(&o.rows[2], BATCH_DUPLICATE, 1, 1);
	at_ms = o.rows[0].at_ms;
	run_batch(&l, again, 5, &o);
	expect(&o.rows[0], BATCH_STORED, 3, 3);
	expect(&o.rows[1], BATCH_DUPLICATE, 2, 2);
	expect(&o.rows[2], BATCH_DUPLICATE, 1, 1);
	assert_int_equal(o.rows[2].conv, a); /* where the first one is */
	assert_int_equal(o.rows[2].at_ms, at_ms);
	expect(&o.rows[3], BATCH_STORED, 4, 4);
	expect(&o.rows[4], BATCH_STORED, 1, 1);
	other.sender = 2; /* keys belong to their sender */
	run_batch(&l, &other, 1, &o);
	expect(&o.rows[0], BATCH_STORED, 5, 5);
	link_close(&l);
}

/*
 * The log's text, attachment and reply, as they are now, whatever the repetition says. Seen red
 * with nothing taken of what is stored, and with the row's own text given to a doubled one.
 */
static void test_duplicates_are_told_what_is_stored(void **state UNUSED)
{
	int64_t room = pg_room(pg, "told");
	struct batch_row rows[] = {row_of(room, 41, "one"), row_of(room, 42, "two"),
				   row_of(room, 42, "doubled"), row_of(room, 43, "gone")};
	struct batch_row again[] = {row_of(room, 41, "other"), row_of(room, 42, "other"),
				    row_of(room, 43, "other"), row_of(room, 44, "new"),
				    row_of(room, 42, "doubled")};
	struct outcome o;
	struct link l;

	link_open(&l, url, NULL);
	rows[1].reply_to_rev = 1;
	rows[1].meta_json = rows[3].meta_json = STR("{\"attachment_url\":\"/two\"}");
	rows[1].attachment = rows[3].attachment = STR("/two");
	run_batch(&l, rows, ARRAY_LEN(rows), &o);
	expect(&o.rows[2], BATCH_DUPLICATE, 2, 2);
	assert_string_equal(o.text[2], "two");
	assert_string_equal(o.attachment[2], "/two");
	assert_int_equal(o.rows[2].reply_to_rev, 1);
	pg_valuef(pg,
		  "UPDATE events SET content = 'edited' WHERE conversation_id = %" PRId64
		  " AND rev = 1",
		  room);
	pg_valuef(pg,
		  "UPDATE events SET deleted_at = now() WHERE conversation_id = %" PRId64
		  " AND rev = 3",
		  room);
	again[0].reply_to_rev = 2;
	run_batch(&l, again, ARRAY_LEN(again), &o);
	expect(&o.rows[0], BATCH_DUPLICATE, 1, 1);
	assert_string_equal(o.text[0], "edited");
	assert_string_equal(o.attachment[0], "");
	assert_int_equal(o.rows[0].reply_to_rev, 0);
	expect(&o.rows[1], BATCH_DUPLICATE, 2, 2);
	assert_string_equal(o.text[1], "two");
	assert_int_equal(o.rows[1].reply_to_rev, 1);
	expect(&o.rows[2], BATCH_DUPLICATE, 3, 3);
	assert_null(o.rows[2].content.p);
	assert_string_equal(o.attachment[1], "/two");
	assert_string_equal(o.attachment[2], "");
	expect(&o.rows[3], BATCH_STORED, 4, 4);
	assert_string_equal(o.text[4], "two");
	assert_string_equal(o.attachment[4], "/two");
	link_close(&l);
}

/* A key that stands for a change does not stand for a message: it was never stored. */
static void test_key_of_a_change(void **state UNUSED)
{
	int64_t room = pg_room(pg, "keys of changes");
	struct batch_row rows[] = {row_of(room, 25, "one"), row_of(room, 26, "two"),
				   row_of(room, 27, "three")};
	struct log_change c = {.kind = KIND_REACTION_SET,
			       .conv = room,
			       .actor = 1,
			       .client_msg_id = key_of(26),
			       .target_rev = 1,
			       .key = STR("+1")};
	struct outcome o;
	struct link l;
	int n = 0;

	link_open(&l, url, NULL);
	run_batch(&l, rows, 1, &o);
	assert_int_equal(log_change_submit(l.db, &c, 0, on_change, &n, NULL), 0);
	link_until(&l, &n, 1);
	run_batch(&l, rows, 3, &o);
	expect(&o.rows[0], BATCH_DUPLICATE, 1, 1);
	assert_int_equal(o.rows[0].conv, room);
	expect(&o.rows[1], BATCH_DUPLICATE, 2, 1);
	assert_int_equal(o.rows[1].conv, 0); /* of no conversation: no message has it */
	expect(&o.rows[2], BATCH_STORED, 3, 2);
	link_close(&l);
}

static void test_no_conversation(void **state UNUSED)
{
	int64_t open = pg_room(pg, "open"), closed = pg_room(pg, "closed");
	struct batch_row rows[] = {row_of(999999, 30, "x"), row_of(open, 31, "x"),
				   row_of(closed, 32, "x"), row_of(-5, 33, "x"),
				   row_of(0, 34, "x")};
	char sql[128];
	struct outcome o;
	struct link l;

	snprintf(sql, sizeof(sql), "SELECT conversation_close(%" PRId64 ", 0)", closed);
	pg_value(pg, sql);
	link_open(&l, url, NULL);
	run_batch(&l, rows, ARRAY_LEN(rows), &o);
	expect(&o.rows[0], BATCH_NO_CONV, 0, 0);
	expect(&o.rows[1], BATCH_STORED, 1, 1);
	expect(&o.rows[2], BATCH_NO_CONV, 0, 0);
	expect(&o.rows[3], BATCH_NO_CONV, 0, 0);
	expect(&o.rows[4], BATCH_NO_CONV, 0, 0);
	run_batch(&l, rows, ARRAY_LEN(rows), &o); /* the same where a key is stored already */
	expect(&o.rows[0], BATCH_NO_CONV, 0, 0);
	expect(&o.rows[1], BATCH_DUPLICATE, 1, 1);
	expect(&o.rows[2], BATCH_NO_CONV, 0, 0);
	link_close(&l);
}

static void test_poisoned_rows(void **state UNUSED)
{
	static struct batch_row rows[101];
	int64_t rooms[] = {pg_room(pg, "poison a"), pg_room(pg, "poison b"),
			   pg_room(pg, "poison c")};
	int64_t seq[3] = {0};
	struct outcome o;
	struct link l;

	for (int i = 0; i < 101; i++)
		rows[i] = row_of(rooms[i % 3], 100 + i, "good");
	rows[3].content = STR("nul \0 byte");
	rows[40].content = STR("bad \xff\xfe utf-8");
	rows[41].meta_json = STR("{\"open\":");
	rows[42].meta_json = STR("{\"nul\":\"\\u0000\"}");
	rows[100].content = STR("\xed\xa0\x80"); /* a surrogate */
	link_open(&l, url, NULL);
	run_batch(&l, rows, 101, &o);
	for (int i = 0; i < 101; i++) {
		if (i == 3 || (i >= 40 && i <= 42) || i == 100) {
			expect(&o.rows[i], BATCH_FAILED, 0, 0);
			continue;
		}
		seq[i % 3]++;
		expect(&o.rows[i], BATCH_STORED, seq[i % 3], seq[i % 3]); /* and in order */
	}
	assert_int_equal(l.n_lost, 0);
	link_close(&l);
}

/* Turns L until its server process waits for a lock. */
static void wait_blocked(struct link *l)
{
	uint64_t until = clock_mono_ms() + PG_PATIENCE_MS;

	while (pg_number(pg,
			 "SELECT count(*) FROM pg_stat_activity"
			 " WHERE application_name = 'racer' AND wait_event_type = 'Lock'") == 0) {
		links_turn(&l, 1, 1);
		if (clock_mono_ms() > until)
			fail_msg("the batch does not wait");
	}
}

/*
 * A key that another transaction is storing in another conversation: seen by no probe. The last of
 * the rows has it.
 */
static void race(const char *name, const struct batch_row *rows, size_t n, struct outcome *o)
{
	int64_t there = pg_room(pg, name);
	struct db_config cfg = {.is_prepared = true, .application_name = "racer"};
	PGconn *other = pg_open(url);
	char text[UUID_TEXT_LEN + 1], sql[256];
	struct link l;

	uuid_format(&rows[n - 1].client_msg_id, text);
	snprintf(sql, sizeof(sql),
		 "BEGIN; INSERT INTO events (conversation_id, rev, seq, actor_id, at, kind,"
		 " client_msg_id) VALUES (%" PRId64 ", 1, 1, 1, now_ms(), 1, '%s')",
		 there, text);
	pg_value(other, sql);
	link_open(&l, url, &cfg);
	o->n = 0;
	assert_int_equal(batch_submit(l.db, rows, n, 0, on_batch, o), 0);
	wait_blocked(&l);
	pg_value(other, "COMMIT");
	link_until(&l, &o->n, 1);
	expect(&o->rows[n - 1], BATCH_DUPLICATE, 1, 1);
	assert_int_equal(o->rows[n - 1].conv, there);
	PQfinish(other);
	link_close(&l);
}

static void test_key_race(void **state UNUSED)
{
	int64_t here = pg_room(pg, "race here");
	struct batch_row rows[] = {row_of(here, 300, "x"), row_of(here, 301, "y")};
	struct batch_row alone = row_of(here, 302, "z");
	struct outcome o;

	race("race there", rows, 2, &o);
	expect(&o.rows[0], BATCH_STORED, 1, 1);
	race("race elsewhere", &alone, 1, &o);
}

static void test_unusable_server(void **state UNUSED)
{
	char empty[PG_URL_MAX];
	struct batch_row rows[2] = {row_of(1, 1, "x"), row_of(2, 2, "y")};
	struct outcome o = {0}, freed = {0};
	struct link l;

	pg_database_empty(empty);
	link_open(&l, empty, NULL); /* no schema: no row's fault */
	run_batch(&l, rows, 2, &o);
	expect(&o.rows[0], BATCH_UNSENT, 0, 0);
	expect(&o.rows[1], BATCH_UNSENT, 0, 0);
	link_close(&l);

	link_open(&l, "host=/nonexistent user=x", NULL);
	o.n = 0;
	assert_int_equal(batch_submit(l.db, rows, 2, clock_mono_ms() + 50, on_batch, &o), 0);
	assert_int_equal(batch_submit(l.db, rows, 2, 0, on_batch, &freed), 0);
	link_until(&l, &o.n, 1);
	expect(&o.rows[1], BATCH_UNSENT, 0, 0);
	link_close(&l);
	assert_int_equal(freed.n, 1);
	expect(&freed.rows[0], BATCH_UNSENT, 0, 0);
}

/* ---- Several writers ---- */

#define WRITERS 4
#define ROUNDS 60
#define ROOMS 25

static int64_t rooms[ROOMS];

/* Random rooms, keys shared with the other writers, so that some rows are doubled at the same time.
 */
static struct batch_row random_row(unsigned int *seed)
{
	int key = 1000 + rand_r(seed) % 6000;
	/* a key belongs to one room, so that duplicates meet under its lock; every tenth does not
	 */
	int64_t room = rooms[rand_r(seed) % 10 ? key % ROOMS : rand_r(seed) % ROOMS];

	return row_of(room, key, "from a writer");
}

static void write_rounds(unsigned int seed)
{
	struct batch_row rows[64];
	struct outcome *o = xcalloc(1, sizeof(*o));
	struct link l;

	link_open(&l, url, NULL);
	for (int round = 0; round < ROUNDS; round++) {
		size_t n = 1 + (size_t)rand_r(&seed) % ARRAY_LEN(rows);

		for (size_t i = 0; i < n; i++)
			rows[i] = random_row(&seed);
		run_batch(&l, rows, n, o);
		for (size_t i = 0; i < n; i++)
			if (o->rows[i].status > BATCH_NO_CONV)
				_exit(10 + (int)o->rows[i].status);
	}
	link_close(&l);
	free(o);
}

static void close_some(PGconn *conn)
{
	char sql[128];

	for (int i = 0; i < ROOMS; i += 8) {
		snprintf(sql, sizeof(sql), "SELECT conversation_close(%" PRId64 ", 0)", rooms[i]);
		pg_value(conn, sql);
	}
}

static void test_writers_at_once(void **state UNUSED)
{
	pid_t pids[WRITERS];
	char name[32];

	for (int i = 0; i < ROOMS; i++) {
		snprintf(name, sizeof(name), "crowd %d", i);
		rooms[i] = pg_room(pg, name);
	}
	for (int i = 0; i < WRITERS; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			write_rounds((unsigned int)i + 1);
			_exit(0);
		}
	}
	while (pg_number(pg, "SELECT count(*) FROM events WHERE content = 'from a writer'") < 500)
		;
	close_some(pg);
	for (int i = 0; i < WRITERS; i++) {
		int status = -1;

		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	assert_int_equal(count_violations(), 0);
	assert_true(pg_number(pg, "SELECT count(*) FROM events WHERE content = 'from a writer'") >
		    1500);
}

/* ---- Lost connections ---- */

/*
 * Backends are terminated while batches are in flight: every row is answered as stored, once,
 * with the numbers that are in the table.
 */
static void test_killed_in_flight(void **state UNUSED)
{
	struct db_config cfg = {.is_prepared = true,
				.is_writer = true,
				.retry_min_ms = 1,
				.retry_max_ms = 10,
				.application_name = "target"};
	int64_t room = pg_room(pg, "killed");
	struct outcome *o = xcalloc(1, sizeof(*o));
	struct batch_row rows[40];
	struct link l;
	char sql[256];
	int key = 100000, n_stored = 0;

	link_open(&l, url, &cfg);
	for (int round = 0; round < 100; round++) {
		struct link *links[] = {&l};

		for (size_t i = 0; i < ARRAY_LEN(rows); i++)
			rows[i] = row_of(room, key++, "survives");
		o->n = 0;
		assert_int_equal(batch_submit(l.db, rows, ARRAY_LEN(rows), 0, on_batch, o), 0);
		if (round % 2)
			links_turn(links, 1, round % 5);
		pg_value(pg, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
			     " WHERE application_name = 'target'");
		link_until(&l, &o->n, 1);
		for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
			assert_true(o->rows[i].status <= BATCH_DUPLICATE);
			assert_int_equal(o->rows[i].rev, ++n_stored);
		}
	}
	assert_true(l.n_lost >= 10);
	snprintf(sql, sizeof(sql), "SELECT count(*) FROM events WHERE conversation_id = %" PRId64,
		 room);
	assert_int_equal(pg_number(pg, sql), n_stored);
	assert_int_equal(count_violations(), 0);
	link_close(&l);
	free(o);
}

/* The first attempt holds its locks while the second arrives: it waits, then finds the rows. */
static void test_first_attempt_still_running(void **state UNUSED)
{
	int64_t room = pg_room(pg, "slow");
	struct batch_row row = row_of(room, 200000, "slow");
	struct outcome o = {0};
	char sql[512], text[UUID_TEXT_LEN + 1];
	PGconn *first = pg_open(url);
	struct link l;

	uuid_format(&row.client_msg_id, text);
	snprintf(
		sql, sizeof(sql),
		"BEGIN; SELECT * FROM persist_batch(ARRAY[%" PRId64 "], ARRAY[%" PRId64
		"], ARRAY[1], ARRAY[1::bigint], ARRAY['%s'::uuid], ARRAY['slow'],"
		" ARRAY[NULL::bigint],"
		" ARRAY[NULL::text])",
		room, room, text);
	pg_value(first, sql);
	link_open(&l, url, NULL);
	link_until(&l, &l.n_connected, 1);
	assert_int_equal(batch_submit(l.db, &row, 1, 0, on_batch, &o), 0);
	pg_value(first, "COMMIT");
	link_until(&l, &o.n, 1);
	expect(&o.rows[0], BATCH_DUPLICATE, 1, 1);
	PQfinish(first);
	link_close(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_numbers_after_retention),
		cmocka_unit_test(test_keys_are_given),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_duplicates),
		cmocka_unit_test(test_duplicates_are_told_what_is_stored),
		cmocka_unit_test(test_key_of_a_change),
		cmocka_unit_test(test_no_conversation),
		cmocka_unit_test(test_poisoned_rows),
		cmocka_unit_test(test_unusable_server),
		cmocka_unit_test(test_first_attempt_still_running),
		cmocka_unit_test(test_writers_at_once),
		cmocka_unit_test(test_killed_in_flight),
		cmocka_unit_test(test_key_race),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
