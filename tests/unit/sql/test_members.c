/* SPDX-License-Identifier: MIT */
/*
 * What workers are told of members and when; bans, last owners, mutes and reports in the schema;
 * rows and pages of the audit log. Forgeries of its chain are tests/integration/test_audit.py's.
 */
#include "fixture.h"

#include "base/clock.h"
#include "sql/audit.h"
#include "sql/changes.h"
#include "sql/members.h"

static int64_t anna, berta, carla, room;

/* ---- Answers ---- */

static struct {
	int n, err, rows;
	struct member_row row[16];
	char role[16][20];
	char seen[200];
	bool is_other;
	struct right_change change[RIGHTS_CHANGED_MAX];
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

static void on_places(void *arg UNUSED, int err, const struct db_result *res)
{
	size_t len = 0;

	got.n++;
	got.err = err;
	for (int i = 0; !err && i < db_rows(res) && len < sizeof(got.json); i++) {
		int64_t conv, rev;

		member_place_get(res, i, &conv, &rev);
		len += (size_t)snprintf(got.json + len, sizeof(got.json) - len,
					"%" PRId64 "@%" PRId64 " ", conv, rev);
	}
}

static void on_changes(void *arg UNUSED, int err, struct str seen, bool is_other,
		       const struct db_result *res)
{
	got.n++;
	got.err = err;
	got.is_other = is_other;
	copy(got.seen, sizeof(got.seen), seen);
	got.rows = err ? 0 : rights_changed_rows(res);
	for (int i = 0; i < got.rows; i++)
		rights_changed_row(res, i, &got.change[i]);
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
	copy(got.json, sizeof(got.json), json);
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
	fixture_open(state);
	anna = pg_account(pg, "anna");
	berta = pg_account(pg, "berta");
	carla = pg_account(pg, "carla");
	return 0;
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
/* What changed since SEEN, which becomes the snapshot of this look. */
static void look_since(char *seen)
{
	const struct right_change start = {0};

	ASK(rights_changed(l.db, str_of(*seen ? seen : NULL), &start, 0, on_changes, NULL, NULL));
	assert_int_equal(got.err, 0);
	memcpy(seen, got.seen, sizeof(got.seen));
}

static bool is_told(int64_t user)
{
	int n = 0;

	for (int i = 0; i < got.rows; i++)
		n += got.change[i].conv == room && got.change[i].user == user;
	assert_true(n <= 1);
	return n == 1;
}

static void test_changes_are_told(void **state UNUSED)
{
	PGconn *late = pg_open(url);
	char seen[200] = "";

	look_since(seen);
	assert_int_equal(got.rows, 0); /* a look begins with the present */
	PQclear(PQexec(late, "BEGIN"));
	pg_valuef(late, "SELECT member_mute(%" PRId64 ", %" PRId64 ", %" PRId64
		  ", 9223372036854775807, '', '')", room, anna, carla);
	PQclear(PQexec(pg, "UPDATE users SET full_name = 'x'")); /* numbers go on meanwhile */
	look_since(seen);
	assert_false(is_told(carla));
	PQclear(PQexec(late, "COMMIT"));
	assert_int_equal(change(KIND_MEMBER_ROLE, berta, "banned", 0), CHANGE_STORED);
	pg_valuef(pg, "SELECT mark_set(%" PRId64 ", %" PRId64 ", 'read', 1)", room, anna);
	look_since(seen);
	assert_true(is_told(carla)); /* begun long before, committed now */
	assert_true(is_told(berta));
	assert_false(is_told(anna)); /* a mark is no right */
	look_since(seen);
	assert_false(is_told(carla) || is_told(berta)); /* once */
	PQfinish(late);
}

static void test_settings_are_told(void **state UNUSED)
{
	char seen[200] = "";

	look_since(seen);
	pg_valuef(pg, "UPDATE conversations SET settings = '{\"slow_mode\": 9}' WHERE id = %" PRId64
		  " RETURNING id", room);
	look_since(seen);
	assert_true(is_told(0));
	pg_valuef(pg, "UPDATE conversations SET updated_at = now() WHERE id = %" PRId64
		  " RETURNING id", room);
	look_since(seen);
	assert_false(is_told(0));
}

/* More than one answer holds, all of one transaction. */
static void test_many_changes_come_in_pages(void **state UNUSED)
{
	const int n = RIGHTS_CHANGED_MAX + 500;
	char seen[200] = "", before[200];
	struct right_change at = {0};
	int total = 0;

	look_since(seen);
	pg_valuef(pg, "WITH u AS (INSERT INTO users (kind, name) SELECT 'guest', 'crowd ' || i"
		  " FROM generate_series(1, %d) AS i RETURNING id)"
		  " INSERT INTO members (conversation_id, user_id, role, left_at)"
		  " SELECT %" PRId64 ", id, 'banned', now() FROM u RETURNING user_id", n, room);
	memcpy(before, seen, sizeof(seen));
	do {
		ASK(rights_changed(l.db, str_of(before), &at, 0, on_changes, NULL, NULL));
		assert_true(got.rows <= RIGHTS_CHANGED_MAX);
		for (int i = 0; i < got.rows; i++) {
			const struct right_change *c = &got.change[i];

			assert_true(c->xid > at.xid || (c->xid == at.xid && c->user > at.user));
			at = *c;
			total += c->conv == room;
		}
	} while (got.rows == RIGHTS_CHANGED_MAX);
	assert_int_equal(total, n);
}

/* A snapshot of a database whose transactions are far ahead: restored from elsewhere. */
static void test_another_database_is_told(void **state UNUSED)
{
	char seen[200] = "900000000000:900000000000:";

	look_since(seen);
	assert_true(got.is_other);
	look_since(seen);
	assert_false(got.is_other);
}

static enum log_change_status ban_by(int64_t actor, int64_t subject, const char *role,
				     struct role_need need)
{
	const struct log_change c = {.kind = KIND_MEMBER_ROLE,
				     .conv = room,
				     .actor = actor,
				     .subject = subject,
				     .key = str_of(role),
				     .need = need,
				     .may_moderate = true};

	ASK(log_change_submit(l.db, &c, 0, on_changed, NULL, NULL));
	return got.status;
}

static int mute_by(int64_t actor, int64_t subject, struct role_need need)
{
	const struct mute m = {room, actor, subject, MEMBER_FOR_EVER, STR(""), STR(""), need};

	ASK(member_mute(l.db, &m, 0, on_done, NULL, NULL));
	return got.err;
}

static void test_rights_are_asked_for_again(void **state UNUSED)
{
	const struct role_need moderator = {"moderator", true}, admin = {"admin", true};

	assert_int_equal(change(KIND_MEMBER_JOIN, berta, "moderator", 0), CHANGE_STORED);
	assert_int_equal(ban_by(carla, berta, "banned", moderator), CHANGE_DENIED);
	assert_int_equal(mute_by(carla, berta, moderator), -ERR_DENIED);
	assert_int_equal(ban_by(berta, carla, "banned", admin), CHANGE_DENIED);
	assert_int_equal(ban_by(berta, carla, "banned", moderator), CHANGE_STORED);
	assert_int_equal(mute_by(berta, carla, moderator), 0);
	assert_int_equal(ban_by(berta, anna, "banned", moderator), CHANGE_DENIED); /* above */
	assert_int_equal(mute_by(berta, anna, moderator), -ERR_DENIED);
	assert_int_equal(ban_by(anna, berta, "owner", admin), CHANGE_STORED);
	assert_int_equal(ban_by(berta, anna, "moderator", admin), CHANGE_STORED); /* owners */
	assert_int_equal(ban_by(anna, carla, "owner", moderator), CHANGE_DENIED); /* his? no */
	pg_valuef(pg, "UPDATE users SET is_admin = true WHERE id = %" PRId64 " RETURNING id",
		  carla);
	assert_int_equal(ban_by(carla, anna, "member", admin), CHANGE_STORED);
	pg_valuef(pg, "UPDATE users SET is_admin = false, disabled_at = now() WHERE id IN (%" PRId64
		  ", %" PRId64 ") RETURNING id", carla, berta);
	assert_int_equal(ban_by(berta, anna, "moderator", admin), CHANGE_DENIED);
	pg_value(pg, "UPDATE users SET disabled_at = NULL RETURNING id");
}

static void test_what_has_ended_is_not_shown(void **state UNUSED)
{
	assert_int_equal(change(KIND_MEMBER_ROLE, berta, "banned", clock_wall_ms() - 1),
			 CHANGE_STORED);
	ASK(members_get(l.db, room, berta, true, 0, on_page, NULL, NULL));
	assert_non_null(strstr(got.json, "\"none\""));
	assert_null(strstr(got.json, "because"));
	assert_non_null(strstr(got.json, "\"banned_until\": null"));
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

static int mute(int64_t user, int64_t until_ms)
{
	const struct mute m = {room, anna, user, until_ms, STR("loud"), STR("192.0.2.1"), {0}};

	ASK(member_mute(l.db, &m, 0, on_done, NULL, NULL));
	return got.err;
}

static void test_mutes(void **state UNUSED)
{
	int64_t until = clock_wall_ms() + 60000;

	assert_int_equal(mute(carla, until), 0);
	look(carla);
	assert_int_equal(got.row[find(carla)].muted_until_ms, until);
	assert_false(got.row[find(carla)].is_member); /* a visitor stays one */
	mute(carla, MEMBER_FOR_EVER);
	look(carla);
	assert_true(got.row[find(carla)].muted_until_ms == MEMBER_FOR_EVER);
	mute(carla, 0);
	look(carla);
	assert_int_equal(got.row[find(carla)].muted_until_ms, 0);
	assert_int_equal(mute(2000000000, until), -ERR_NOENT);
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

static void places(int64_t user, int64_t since_ms, int limit)
{
	ASK(member_places(l.db, user, since_ms, limit, 0, on_places, NULL, NULL));
	assert_int_equal(got.err, 0);
}

/* The newest first; a closed one and one that was left are none. */
static void test_places(void **state)
{
	int64_t dora = pg_account(pg, "dora"), first = room;
	int64_t made = clock_wall_ms() - 60000;
	char expected[100];

	assert_int_equal(change(KIND_MEMBER_JOIN, dora, "member", 0), CHANGE_STORED);
	new_room(state);
	assert_int_equal(change(KIND_MEMBER_JOIN, dora, "member", 0), CHANGE_STORED);
	pg_valuef(pg, "UPDATE conversations SET created_at = created_at - interval '1 hour'"
		      " WHERE id = %" PRId64 " RETURNING id", first);
	places(dora, 0, 10);
	snprintf(expected, sizeof(expected), "%" PRId64 "@2 %" PRId64 "@2 ", room, first);
	assert_string_equal(got.json, expected);
	places(dora, made, 10);
	snprintf(expected, sizeof(expected), "%" PRId64 "@0 %" PRId64 "@2 ", room, first);
	assert_string_equal(got.json, expected);
	places(dora, 0, 1);
	snprintf(expected, sizeof(expected), "%" PRId64 "@2 ", room);
	assert_string_equal(got.json, expected);
	assert_int_equal(change(KIND_MEMBER_LEAVE, dora, NULL, 0), CHANGE_STORED);
	pg_valuef(pg, "UPDATE conversations SET closed_at = now() WHERE id = %" PRId64
		      " RETURNING id", first);
	places(dora, made, 10);
	assert_string_equal(got.json, "");
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
		ROOM_TEST(test_settings_are_told),
		ROOM_TEST(test_many_changes_come_in_pages),
		ROOM_TEST(test_another_database_is_told),
		ROOM_TEST(test_rights_are_asked_for_again),
		ROOM_TEST(test_what_has_ended_is_not_shown),
		ROOM_TEST(test_bans_end),
		ROOM_TEST(test_the_last_owner_stays),
		ROOM_TEST(test_mutes),
		ROOM_TEST(test_lists),
		ROOM_TEST(test_reports),
		ROOM_TEST(test_places),
		ROOM_TEST(test_audit),
	};

	return cmocka_run_group_tests(tests, setup, fixture_close);
}
