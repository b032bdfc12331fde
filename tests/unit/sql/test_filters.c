/* SPDX-License-Identifier: MIT */
/*
 * Content filters: made, listed and deleted in one place; who reads by version misses nothing; a
 * flagged message is found by its key.
 */
#include "fixture.h"

#include "sql/filters.h"

static int64_t room;

static struct got {
	int n, err;
	char json[4096];
	int64_t version, removed;
	int rows;
	struct {
		int64_t id, version, conv;
		bool is_deleted;
		char pattern[64];
	} row[8];
} got;

static void on_json(void *arg UNUSED, int err, struct str json)
{
	got.n++;
	got.err = err;
	copy(got.json, sizeof(got.json), json);
}

static void on_deleted(void *arg UNUSED, int err)
{
	got.n++;
	got.err = err;
}

static void on_read(void *arg UNUSED, int err, const struct filters_page *page)
{
	struct filter_row row;

	got.n++;
	got.err = err;
	assert_non_null(page);
	got.version = page->version;
	got.removed = page->removed;
	got.rows = page->n;
	for (int i = 0; i < page->n && i < (int)ARRAY_LEN(got.row); i++) {
		filters_row(page->res, i, &row);
		got.row[i].id = row.id;
		got.row[i].version = row.version;
		got.row[i].conv = row.conv;
		got.row[i].is_deleted = row.is_deleted;
		copy(got.row[i].pattern, sizeof(got.row[i].pattern), row.pattern);
	}
}

static void wait_answer(void)
{
	link_until(&l, &got.n, 1);
}

static int add(int64_t conv, const char *pattern, int max)
{
	const struct filter_form form = {.conv = conv,
					 .kind = STR("word"),
					 .action = STR("mask"),
					 .pattern = str_of(pattern),
					 .reason = STR("be nice")};

	got.n = 0;
	assert_int_equal(filter_add(l.db, &form, max, 0, on_json, NULL), 0);
	wait_answer();
	return got.err;
}

static int delete(int64_t conv, int64_t id)
{
	got.n = 0;
	assert_int_equal(filter_delete(l.db, conv, id, 0, 0, on_deleted, NULL), 0);
	wait_answer();
	return got.err;
}

static void read_after(int64_t version)
{
	got.n = 0;
	assert_int_equal(filters_read(l.db, version, 0, on_read, NULL), 0);
	wait_answer();
	assert_int_equal(got.err, 0);
}

static const char *list(int64_t conv)
{
	got.n = 0;
	assert_int_equal(filters_list(l.db, conv, 0, on_json, NULL), 0);
	wait_answer();
	assert_int_equal(got.err, 0);
	return got.json;
}

static int setup(void **state)
{
	fixture_open(state);
	room = pg_room(pg, "Filtered");
	return 0;
}

static void test_nothing_costs_one_row(void **state UNUSED)
{
	read_after(0);
	assert_int_equal(got.rows, 0);
	assert_int_equal(got.version, 0);
	assert_string_equal(list(0), "{\"filters\":[]}");
}

static void test_made_and_listed(void **state UNUSED)
{
	assert_int_equal(add(room, "one", 2), 0);
	assert_non_null(strstr(got.json, "\"pattern\" : \"one\""));
	assert_non_null(strstr(got.json, "\"reason\" : \"be nice\""));
	assert_int_equal(add(room, "one", 2), -ERR_EXISTS);
	assert_int_equal(add(0, "one", 2), 0); /* everywhere is another place */
	assert_int_equal(add(room, "two", 2), 0);
	assert_int_equal(add(room, "three", 2), -ERR_FULL);
	assert_int_equal(add(room + 1000, "one", 2), -ERR_NOENT);
	assert_non_null(strstr(list(room), "two"));
	assert_null(strstr(list(0), "two"));
	read_after(0);
	assert_int_equal(got.rows, 3);
	assert_int_equal(got.row[0].conv, room);
	assert_int_equal(got.row[1].conv, 0);
	assert_string_equal(got.row[2].pattern, "two");
	assert_int_equal(got.row[2].version, got.version);
}

static void test_deleted_is_news(void **state UNUSED)
{
	int64_t before, id;

	read_after(0);
	before = got.version;
	id = got.row[2].id;
	assert_int_equal(delete(0, id), -ERR_NOENT); /* it is not there */
	assert_int_equal(delete(room, id), 0);
	assert_int_equal(delete(room, id), -ERR_NOENT);
	read_after(before);
	assert_int_equal(got.rows, 1);
	assert_int_equal(got.row[0].id, id);
	assert_true(got.row[0].is_deleted);
	read_after(got.version);
	assert_int_equal(got.rows, 0);
	read_after(0); /* to who begins it is none */
	assert_int_equal(got.rows, 2);
	assert_int_equal(add(room, "two", 2), 0);
}

/* By hand, and with a conversation: rows that vanish have everybody read all again. */
static void test_vanished_rows_are_told(void **state UNUSED)
{
	int64_t removed, version;

	read_after(0);
	removed = got.removed;
	version = got.version;
	pg_value(pg, "DELETE FROM filters WHERE pattern = 'two'");
	read_after(version);
	assert_int_not_equal(got.removed, removed);
	assert_true(got.version > version);
	pg_value(pg, "INSERT INTO filters (kind, action, pattern)"
		     " VALUES ('link', 'block', 'x.test')");
	read_after(got.version);
	assert_int_equal(got.rows, 1);
	assert_string_equal(got.row[0].pattern, "x.test");
	assert_string_equal(pg_try(pg, "UPDATE filters SET conversation_id = 1"), "23514");
	assert_string_equal(
		pg_try(pg, "INSERT INTO filters (kind, action, pattern) VALUES ('x', 'mask', 'y')"),
		"23514");
}

/*
 * Two who make filters at once: the second waits, so that versions are committed in their order.
 * Seen red with a sequence in the place of the locked row.
 */
static void test_versions_come_in_order(void **state UNUSED)
{
	int64_t version;

	read_after(0);
	version = got.version;
	pg_value(pg, "BEGIN");
	pg_value(pg, "INSERT INTO filters (kind, action, pattern)"
		     " VALUES ('word', 'flag', 'first')");
	got.n = 0;
	assert_int_equal(filter_add(l.db,
				    &(struct filter_form){.kind = STR("word"),
							  .action = STR("flag"),
							  .pattern = STR("second")},
				    100, 0, on_json, NULL),
			 0);
	for (int i = 0; i < 20; i++)
		links_turn(&(struct link *){&l}, 1, 10);
	assert_int_equal(got.n, 0);
	pg_value(pg, "COMMIT");
	wait_answer();
	assert_int_equal(got.err, 0);
	read_after(version);
	assert_int_equal(got.rows, 2);
	assert_string_equal(got.row[0].pattern, "first");
	assert_string_equal(got.row[1].pattern, "second");
}

static void test_hits(void **state UNUSED)
{
	int64_t user = pg_account(pg, "flagged");
	struct filter_hit hit = {.actor = user,
				 .conv = room,
				 .client_msg_id = uuid_v7(),
				 .reason = STR("odd")};
	char report[128], key[UUID_TEXT_LEN + 1];
	int64_t rev;

	rev = pg_send(pg, room, user, "odd words");
	snprintf(key, sizeof(key), "%s",
		 pg_valuef(pg, "SELECT client_msg_id FROM events WHERE conversation_id = %" PRId64
			       " AND rev = %" PRId64, room, rev));
	assert_int_equal(filter_hit_add(l.db, &hit), 0); /* of what was never stored */
	assert_int_equal(uuid_parse(str_of(key), &hit.client_msg_id), 0);
	assert_int_equal(filter_hit_add(l.db, &hit), 0);
	assert_int_equal(filter_hit_add(l.db, &hit), 0);
	assert_int_equal(filter_hits_report(l.db), 0);
	assert_int_equal(filter_hits_report(l.db), 0); /* each once */
	list(room); /* behind them */
	snprintf(report, sizeof(report), "%" PRId64 ",0,%" PRId64 ",%" PRId64 ",odd", room, rev,
		 user);
	assert_string_equal(pg_value(pg, "SELECT concat_ws(',', conversation_id, reporter_id,"
					 " target_rev, target_user_id, reason) FROM reports"),
			    report);
	assert_int_equal(pg_number(pg, "SELECT count(*) FROM reports"), 1);
	assert_int_equal(pg_number(pg, "SELECT count(*) FROM filter_hits"), 2);
	pg_value(pg, "UPDATE filter_hits SET at = at - interval '25 hours'");
	assert_int_equal(filter_hits_report(l.db), 0);
	list(room);
	assert_int_equal(pg_number(pg, "SELECT count(*) FROM filter_hits"), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_costs_one_row),
		cmocka_unit_test(test_made_and_listed),
		cmocka_unit_test(test_deleted_is_news),
		cmocka_unit_test(test_vanished_rows_are_told),
		cmocka_unit_test(test_versions_come_in_order),
		cmocka_unit_test(test_hits),
	};

	return cmocka_run_group_tests(tests, setup, fixture_close);
}
