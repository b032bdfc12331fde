/* SPDX-License-Identifier: MIT */
/*
 * Tests of worker/rest.c: markers and numbers of a query, and who gets to see which room.
 * Message ids are conversation times 2^32 plus rev; the UUID form is made by base/ids.c.
 */
#include "http_stand.h"

#include "worker/rest.h"

/* ---- Queries ---- */

static struct http_in *in;

static const struct http_request *request(const char *text)
{
	const struct http_limits limits = {.header_max = 1024, .target_max = 512, .body_max = 16};
	struct buf head = BUF_INIT;
	size_t used;

	http_in_free(&in);
	in = http_in_new(&limits);
	buf_printf(&head, "GET /?%s HTTP/1.1\r\nHost: a\r\n\r\n", text);
	assert_int_equal(http_feed(in, head.p, head.len, &used), 0);
	buf_done(&head);
	return http_request(in);
}

static void check_marker(const char *text, int err, int64_t conv, int64_t rev)
{
	struct rest_marker marker = {-1, -1};
	struct fault fault;
	int r = rest_query_marker(request(text), "before", &marker, &fault);

	if (r != err || marker.conv != conv || marker.rev != rev)
		fail_msg("%s: %d, %" PRId64 ", %" PRId64, text, r, marker.conv, marker.rev);
	if (r == -ERR_INVAL) {
		assert_string_equal(fault.field, "before");
		assert_int_equal(fault.error, E_INVALID);
	}
	http_in_free(&in);
}

static void test_markers(void **state)
{
	struct uuid uuid = msgid_to_uuid(7, 9);
	char by_uuid[64] = "before=";

	(void)state;
	check_marker("before=0", 0, 0, 0);
	check_marker("before=12", 0, 0, 12);
	check_marker("x=1&before=12&before=13", 0, 0, 12);
	check_marker("before=4294967295", 0, 0, 4294967295);
	check_marker("before=4294967297", 0, 1, 1);
	check_marker("before=30064771081", 0, 7, 9);
	uuid_format(&uuid, by_uuid + 7);
	check_marker(by_uuid, 0, 7, 9);
	check_marker("after=3", -ERR_NOENT, -1, -1);
	check_marker("", -ERR_NOENT, -1, -1);
	check_marker("before=", -ERR_INVAL, -1, -1);
	check_marker("before=-1", -ERR_INVAL, -1, -1);
	check_marker("before=1x", -ERR_INVAL, -1, -1);
	check_marker("before=4294967296", -ERR_INVAL, -1, -1); /* rev 0 names no message */
	check_marker("before=99999999999999999999", -ERR_INVAL, -1, -1);
	check_marker("before=" UUID_TEXT, -ERR_INVAL, -1, -1); /* of another kind */
}

static void check_number(const char *text, int err, int64_t want, enum fault_kind kind)
{
	int64_t n = -7;
	struct fault fault;
	int r = rest_query_number(request(text), "limit", 1, 100, &n, &fault);

	if (r != err || n != want)
		fail_msg("%s: %d, %" PRId64, text, r, n);
	if (r == -ERR_INVAL) {
		assert_string_equal(fault.field, "limit");
		assert_int_equal(fault.kind, kind);
	}
	http_in_free(&in);
}

static void test_numbers(void **state)
{
	(void)state;
	check_number("limit=1", 0, 1, FAULT_OTHER);
	check_number("limit=100", 0, 100, FAULT_OTHER);
	check_number("limit=1000", 0, 100, FAULT_OTHER);
	check_number("limit=0", -ERR_INVAL, -7, FAULT_TOO_SMALL);
	check_number("limit=-3", -ERR_INVAL, -7, FAULT_TOO_SMALL);
	check_number("limit=ten", -ERR_INVAL, -7, FAULT_TYPE);
	check_number("limit=", -ERR_INVAL, -7, FAULT_TYPE);
	check_number("limit=%zz", -ERR_INVAL, -7, FAULT_TYPE);
	check_number("", -ERR_NOENT, -7, FAULT_OTHER);
}

/* ---- Rooms ---- */

static int shown;

static void on_found(struct call *call, const struct room *room)
{
	assert_int_equal(room->id, 5);
	shown++;
	free(call->state);
	call_json(call, 200, STR("{}"));
}

/* Asks for a room by id or UUID and lets the database answer ERR and ROOM; returns the status. */
static int look_up(int64_t id, bool by_uuid, int err, const struct room *room)
{
	struct call *call;

	stand_reset();
	shown = 0;
	query.done = NULL;
	call = call_new(conn, NULL);
	call->path_id[0] = id;
	if (by_uuid)
		call->path_uuid[0] = msgid_to_uuid(1, 1);
	call->state = xmalloc(1); /* to be freed whatever comes */
	rest_room(call, on_found);
	if (query.done)
		query.done(query.arg, err, room);
	stand_flush();
	return answer_status(stand_sent());
}

static void test_room(void **state)
{
	struct room room = {.id = 5, .kind = STR("room")};

	(void)state;
	assert_int_equal(look_up(5, false, 0, &room), 200);
	assert_int_equal(shown, 1);
	assert_int_equal(look_up(0, true, 0, &room), 200);
	assert_int_equal(shown, 1);
	assert_int_equal(look_up(5, false, -ERR_NOENT, NULL), 404);
	assert_int_equal(look_up(5, false, -ERR_UNAVAILABLE, NULL), 503);
	assert_int_equal(look_up(0, false, 0, &room), 404);
	assert_null(query.done); /* what is no id costs no question */
	room.is_closed = true;
	assert_int_equal(look_up(5, false, 0, &room), 404);
	assert_int_equal(shown, 0);
	room.is_closed = false;
	room.kind = STR("direct");
	stand_role = ROLE_NONE;
	assert_int_equal(look_up(5, false, 0, &room), 404);
	assert_int_equal(shown, 0);
	stand_role = ROLE_BANNED;
	assert_int_equal(look_up(5, false, 0, &room), 403);
	assert_int_equal(shown, 0);
	stand_role = ROLE_READ_ONLY;
	assert_int_equal(look_up(5, false, 0, &room), 200);
	assert_int_equal(shown, 1);
	stand_role = ROLE_VISITOR;
}

/* ---- While the database is away ---- */

static void on_read(struct call *call, const struct room *room)
{
	struct buf body = BUF_INIT;

	shown++;
	buf_printf(&body, "%.*s/%.*s/%.*s", (int)room->kind.len, room->kind.p, (int)room->name.len,
		   room->name.p, (int)room->description.len, room->description.p);
	call_json(call, 200, buf_str(&body));
	buf_done(&body);
}

static struct str ask_room(int err, const struct room *room)
{
	struct call *call;

	stand_reset();
	shown = 0;
	call = call_new(conn, NULL);
	call->path_id[0] = 5;
	call->stale.what = STALE_PAGE_RAW;
	rest_room(call, on_read);
	query.done(query.arg, err, room);
	stand_flush();
	return stand_sent();
}

/* What was known of a room is good enough for reading, and says what it is. */
static void test_known_room(void **state)
{
	struct room room = {
		.id = 5, .kind = STR("room"), .name = STR("Tea"), .description = STR("hot")};
	struct str s;

	(void)state;
	assert_int_equal(answer_count(ask_room(0, &room), "X-Roomd-Stale"), 0);
	assert_int_equal(answer_status(ask_room(-ERR_UNAVAILABLE, NULL)), 503); /* not away */
	away_ms = 1;
	s = ask_room(-ERR_UNAVAILABLE, NULL);
	assert_int_equal(answer_status(s), 200);
	assert_int_equal(answer_count(s, "\r\nAge: 0\r\nX-Roomd-Stale: database\r\n"), 1);
	assert_text(answer_body(s), "room/Tea/hot");
	assert_int_equal(answer_status(ask_room(-ERR_NOENT, NULL)), 404);
	stand_set("stale.size=0");
	assert_int_equal(answer_status(ask_room(0, &room)), 200); /* the rest is given up */
	assert_int_equal(answer_status(ask_room(-ERR_UNAVAILABLE, NULL)), 503);
	stand_set("stale.size=64k");
	ask_room(0, &room);
	room.is_closed = true;
	assert_int_equal(answer_status(ask_room(0, &room)), 404);
	assert_int_equal(answer_status(ask_room(-ERR_UNAVAILABLE, NULL)), 503);
}

static struct str ask_page(int conv, int err, const char *json)
{
	struct call *call;

	stand_reset();
	call = call_new(conn, NULL);
	call->stale = (struct stale_key){.what = STALE_PAGE_RAW, .conv = conv};
	rest_page(call, err, str_of(json));
	stand_flush();
	return stand_sent();
}

/* Each question has its own answer; what changed is not served; the room for all is bounded. */
static void test_kept_pages(void **state)
{
	char big[600];

	(void)state;
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	stand_set("stale.size=2k");
	ask_page(5, 0, "[1]");
	ask_page(5, 0, "[1,2]");
	ask_page(6, 0, "[6]");
	away_ms = 1;
	assert_text(answer_body(ask_page(5, -ERR_UNAVAILABLE, "")), "[1,2]");
	assert_text(answer_body(ask_page(6, -ERR_TIMEOUT, "")), "[6]");
	assert_int_equal(answer_status(ask_page(7, -ERR_UNAVAILABLE, "")), 503);
	assert_int_equal(answer_status(ask_page(5, -ERR_DB, "")), 500);
	stale_forget(wk, 6);
	assert_int_equal(answer_status(ask_page(6, -ERR_UNAVAILABLE, "")), 503);
	ask_page(8, 0, big);
	ask_page(9, 0, big);
	assert_text(answer_body(ask_page(5, -ERR_UNAVAILABLE, "")), "[1,2]");
	ask_page(10, 0, big);
	assert_int_equal(answer_status(ask_page(5, -ERR_UNAVAILABLE, "")), 503);
	assert_text(answer_body(ask_page(10, -ERR_UNAVAILABLE, "")), big);
}

/* Reading on and on in one conversation leaves the others' answers where they are. */
static void test_pages_of_one_conversation(void **state)
{
	(void)state;
	ask_page(6, 0, "[6]");
	for (int i = 0; i < 20; i++) {
		const struct stale_key key = {.what = STALE_PAGE_RAW, .conv = 5, .rev = i};

		stale_keep(wk, &key, STR("[]"));
	}
	away_ms = 1;
	assert_text(answer_body(ask_page(6, -ERR_UNAVAILABLE, "")), "[6]");
	for (int i = 0; i < 20; i++) {
		const struct stale_key key = {.what = STALE_PAGE_RAW, .conv = 5, .rev = i};
		struct str s;
		uint64_t age_ms;

		assert_int_equal(stale_find(wk, &key, &s, &age_ms), i >= 12);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_markers),
		cmocka_unit_test(test_numbers),
		STAND_TEST(test_room),
		STAND_TEST(test_known_room),
		STAND_TEST(test_kept_pages),
		STAND_TEST(test_pages_of_one_conversation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
