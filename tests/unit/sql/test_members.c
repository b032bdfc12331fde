/* SPDX-License-Identifier: MIT */
/*
 * What workers are told of members and when; bans, last owners, mutes and reports in the schema;
 * rows and pages of the audit log. Forgeries of its chain are tests/integration/test_audit.py's.
 */
#include "pg.h"

#include "base/clock.h"
#include "sql/audit.h"
#include "sql/changes.h"
#include "sql/members.h"

static char url[PG_URL_MAX];
static PGconn *pg;
static struct link l;
static int64_t anna, berta, carla, room;

/* ---- Answers ---- */

static struct {
	int n, err, rows;
	int64_t now_ms;
	struct member_row row[16];
	char role[16][20];
	struct member_change change[16];
	enum log_change_status status;
	char json[4096];
} got;

static void on_roles(void *arg UNUSED, int err, const struct db_result *res)
{
	got.n++;
	got.err = err;
	got.rows = err ? 0 : db_rows(res);
	for (int i = 0; i < got.rows && i < 16; i++) {
		members_roles_row(res, i, &got.row[i]);
		snprintf(got.role[i], sizeof(got.role[i]), "%.*s", (int)got.row[i].role.len,
			 got.row[i].role.p);
	}
}

static void on_changes(void *arg UNUSED, int err, int64_t now_ms, const struct db_result *res)
{
	got.n++;
	got.err = err;
	got.now_ms = now_ms;
	got.rows = err ? 0 : members_changed_rows(res);
	for (int i = 0; i < got.rows && i < 16; i++)
		members_changed_row(res, i, &got.change[i]);
}

static void on_changed(void *arg UNUSED, const struct log_change_answer *a)
{
	got.n++;
	got.status = a->status;
}

static void on_done(void *arg UNUSED, int err)
{
	got.n++;
	got.err = err;
}

static void on_linked(void *arg UNUSED, int err, int64_t n)
{
	got.n++;
	got.err = err;
	got.rows = (int)n;
}

static void on_page(void *arg UNUSED, int err, struct str json)
{
	got.n++;
	got.err = err;
	snprintf(got.json, sizeof(got.json), "%.*s", (int)json.len, json.p ? json.p : "");
}

static void await(int r)
{
	assert_int_equal(r, 0);
	link_until(&l, &got.n, 1);
}

#define ASK(call) (memset(&got, 0, sizeof(got)), await(call))

/* ---- Acts ---- */

static enum log_change_status change(enum kind kind, int64_t subject, const char *role,
				     int64_t until_ms)
{
	const struct log_change c = {.kind = kind,
				     .conv = room,
				     .actor = anna,
				     .subject = subject,
				     .key = {role, role ? strlen(role) : 0},
				     .until_ms = until_ms,
				     .reason = STR("because"),
				     .address = STR("192.0.2.1"),
				     .may_moderate = true};

	ASK(log_change_submit(l.db, &c, 0, on_changed, NULL, NULL));
	return got.status;
}

static void look(int64_t user)
{
	ASK(members_roles(l.db, &room, &user, 1, 0, on_roles, NULL, NULL));
	assert_int_equal(got.err, 0);
}

static int find(int64_t user)
{
	for (int i = 0; i < got.rows; i++)
		if (got.row[i].user == user)
			return i;
	return -1;
}

static int setup(void **state)
{
	pg_setup(state);
	pg_database(url);
	pg = pg_open(url);
	link_open(&l, url, NULL);
	anna = pg_account(pg, "anna");
	berta = pg_account(pg, "berta");
	carla = pg_account(pg, "carla");
	return 0;
}

static int teardown(void **state)
{
	link_close(&l);
	PQfinish(pg);
	return pg_teardown(state);
}

/* A room with an owner. */
static int new_room(void **state UNUSED)
{
	static int n;
	char name[20];

	snprintf(name, sizeof(name), "room %d", ++n);
	room = pg_room(pg, name);
	assert_int_equal(change(KIND_MEMBER_JOIN, anna, "owner", 0), CHANGE_STORED);
	return 0;
}

/* ---- Tests ---- */

static void test_exceptions_of_an_open_room(void **state UNUSED)
{
	int64_t until = clock_wall_ms() + 60000;

	look(carla);
	assert_int_equal(got.rows, 1); /* the owner alone */
	assert_true(got.row[0].is_open && got.row[0].is_owned && got.row[0].is_member);
	assert_string_equal(got.role[0], "owner");
	assert_int_equal(change(KIND_MEMBER_ROLE, berta, "banned", until), CHANGE_STORED);
	assert_int_equal(change(KIND_MEMBER_JOIN, carla, "member", 0), CHANGE_STORED);
	look(berta);
	assert_int_equal(got.rows, 2);
	assert_string_equal(got.role[find(berta)], "banned");
	assert_int_equal(got.row[find(berta)].banned_until_ms, until);
	assert_false(got.row[find(berta)].is_member);
	look(carla); /* simply a member: told to those who ask */
	assert_string_equal(got.role[find(carla)], "member");
}

static void test_a_room_without_exceptions_is_one_row(void **state UNUSED)
{
	room = pg_room(pg, "of nobody");
	look(carla);
	assert_int_equal(got.rows, 1);
	assert_int_equal(got.row[0].user, 0);
	assert_false(got.row[0].is_owned);
	room = 2000000000;
	look(carla);
	assert_int_equal(got.rows, 0);
}

/* Kept by a trigger, so that no program can forget it; marks change nobody's rights. */
static void test_changes_are_told(void **state UNUSED)
{
	int64_t since = clock_wall_ms();
	int n = 0;

	assert_int_equal(change(KIND_MEMBER_ROLE, berta, "banned", 0), CHANGE_STORED);
	pg_valuef(pg, "SELECT mark_set(%" PRId64 ", %" PRId64 ", 'read', 1)", room, carla);
	ASK(members_changed_since(l.db, since, 0, on_changes, NULL, NULL));
	assert_true(llabs(got.now_ms - clock_wall_ms()) < 60000);
	for (int i = 0; i < got.rows && i < 16; i++) {
		assert_false(got.change[i].conv == room && got.change[i].user == carla);
		n += got.change[i].conv == room && got.change[i].user == berta;
	}
	assert_int_equal(n, 1);
	ASK(members_changed_since(l.db, since + 3600000, 0, on_changes, NULL, NULL));
	assert_int_equal(got.rows, 0);
}

static void test_bans_end(void **state UNUSED)
{
	int64_t soon = clock_wall_ms() + 60000, past = clock_wall_ms() - 1;

	assert_int_equal(change(KIND_MEMBER_ROLE, berta, "banned", soon), CHANGE_STORED);
	assert_int_equal(change(KIND_MEMBER_ROLE, berta, "banned", soon), CHANGE_UNCHANGED);
	assert_int_equal(change(KIND_MEMBER_ROLE, berta, "banned", past), CHANGE_STORED);
	assert_int_equal(pg_numberf(pg, "SELECT (log_change(%" PRId64 ", 7::smallint, %" PRId64
				    ", uuid_v7(), NULL, %" PRId64
				    ", NULL, 'member', false, 0)).status",
				    room, berta, berta), CHANGE_STORED);
	assert_int_equal(change(KIND_MEMBER_ROLE, berta, "banned", 0), CHANGE_STORED);
	assert_int_equal(change(KIND_MEMBER_ROLE, berta, "member", 0), CHANGE_STORED);
	look(berta);
	assert_false(got.row[find(berta)].is_member); /* let in again, not brought in */
}

static void test_the_last_owner_stays(void **state UNUSED)
{
	assert_int_equal(change(KIND_MEMBER_ROLE, anna, "member", 0), CHANGE_CONFLICT);
	assert_int_equal(change(KIND_MEMBER_LEAVE, anna, NULL, 0), CHANGE_CONFLICT);
	assert_int_equal(change(KIND_MEMBER_JOIN, berta, "owner", 0), CHANGE_STORED);
	assert_int_equal(change(KIND_MEMBER_LEAVE, anna, NULL, 0), CHANGE_STORED);
}

static void test_mutes(void **state UNUSED)
{
	int64_t until = clock_wall_ms() + 60000;

	ASK(member_mute(l.db, room, anna, carla, until, STR("loud"), STR("192.0.2.1"), 0, on_done,
			NULL, NULL));
	assert_int_equal(got.err, 0);
	look(carla);
	assert_int_equal(got.row[find(carla)].muted_until_ms, until);
	assert_false(got.row[find(carla)].is_member); /* a visitor stays one */
	ASK(member_mute(l.db, room, anna, carla, MEMBER_FOR_EVER, STR("loud"), STR("::1"), 0,
			on_done, NULL, NULL));
	look(carla);
	assert_true(got.row[find(carla)].muted_until_ms == MEMBER_FOR_EVER);
	ASK(member_mute(l.db, room, anna, carla, 0, STR(""), STR("::1"), 0, on_done, NULL, NULL));
	look(carla);
	assert_int_equal(got.row[find(carla)].muted_until_ms, 0);
	ASK(member_mute(l.db, room, anna, 2000000000, until, STR(""), STR(""), 0, on_done, NULL,
			NULL));
	assert_int_equal(got.err, -ERR_NOENT);
}

static void test_lists(void **state UNUSED)
{
	assert_int_equal(change(KIND_MEMBER_ROLE, berta, "banned", 0), CHANGE_STORED);
	ASK(members_list(l.db, room, false, false, 0, 10, 0, on_page, NULL, NULL));
	assert_non_null(strstr(got.json, "\"anna\""));
	assert_null(strstr(got.json, "\"berta\""));
	ASK(members_list(l.db, room, true, true, 0, 10, 0, on_page, NULL, NULL));
	assert_non_null(strstr(got.json, "because"));
	ASK(members_list(l.db, room, true, false, 0, 10, 0, on_page, NULL, NULL));
	assert_null(strstr(got.json, "because"));
	ASK(members_get(l.db, room, carla, true, 0, on_page, NULL, NULL));
	assert_int_equal(got.err, -ERR_NOENT);
}

static void test_reports(void **state UNUSED)
{
	struct report_new r = {
		.conv = room, .reporter = berta, .user = anna, .reason = STR("rude")};
	int64_t id;

	ASK(report_create(l.db, &r, 0, on_page, NULL, NULL));
	assert_int_equal(got.err, 0);
	id = pg_numberf(pg, "SELECT id FROM reports WHERE conversation_id = %" PRId64, room);
	ASK(report_create(l.db, &r, 0, on_page, NULL, NULL)); /* it is there already */
	assert_int_equal(pg_numberf(pg, "SELECT count(*) FROM reports WHERE conversation_id = %"
				    PRId64, room), 1);
	r.rev = 77;
	ASK(report_create(l.db, &r, 0, on_page, NULL, NULL));
	assert_int_equal(got.err, -ERR_NOENT);
	ASK(report_resolve(l.db, id, room, anna, STR("resolved"), STR("talked"), STR("::1"), 0,
			   on_page, NULL, NULL));
	assert_non_null(strstr(got.json, "\"resolved\""));
	ASK(report_resolve(l.db, id, room, anna, STR("resolved"), STR(""), STR("::1"), 0, on_page,
			   NULL, NULL));
	assert_int_equal(got.err, -ERR_NOENT);
}

static void test_audit(void **state UNUSED)
{
	const struct audit_entry entry = {.actor = berta,
					  .action = STR("denied"),
					  .conv = room,
					  .target = anna,
					  .detail = STR("{\"action\":\"member.ban\"}")};
	const struct audit_filter mine = {.conv = room, .action = STR("denied"), .limit = 10};

	ASK(audit_add(l.db, &entry, 0, on_done, NULL, NULL));
	assert_int_equal(got.err, 0);
	ASK(audit_page(l.db, &mine, 0, on_page, NULL, NULL));
	assert_non_null(strstr(got.json, "\"hash\":null"));
	ASK(audit_link(l.db, 500, 0, on_linked, NULL, NULL));
	assert_true(got.rows >= 1);
	ASK(audit_link(l.db, 500, 0, on_linked, NULL, NULL));
	assert_int_equal(got.rows, 0);
	ASK(audit_page(l.db, &mine, 0, on_page, NULL, NULL));
	assert_null(strstr(got.json, "\"hash\":null"));
	assert_int_equal(pg_number(pg, "SELECT count(*) FROM audit_verify()"), 0);
	assert_string_equal(pg_try(pg, "DELETE FROM audit"), "42501");
}

#define ROOM_TEST(f) cmocka_unit_test_setup(f, new_room)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ROOM_TEST(test_exceptions_of_an_open_room),
		ROOM_TEST(test_a_room_without_exceptions_is_one_row),
		ROOM_TEST(test_changes_are_told),
		ROOM_TEST(test_bans_end),
		ROOM_TEST(test_the_last_owner_stays),
		ROOM_TEST(test_mutes),
		ROOM_TEST(test_lists),
		ROOM_TEST(test_reports),
		ROOM_TEST(test_audit),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
