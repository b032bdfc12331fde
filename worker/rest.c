/* SPDX-License-Identifier: MIT */
/*
 * Path and query of REST requests turned into rooms, places and numbers.
 * Bodies are decoded by proto's dialects.
 */
#include "worker/rest.h"

#include "worker/audit.h"
#include "worker/codes.h"
#include "worker/dbio.h"

/* Ids that this build gives out are below 2^31; message ids carry one in their upper half. */
#define REV_LIMIT (INT64_C(1) << 32)

#define ASK_MOST 8

struct lookup {
	struct call *call;
	enum authz_action action;
	rest_room_fn *next;
	int asked; /* for the rights, so often: what changes meanwhile is asked for again */
};

static void look_up(struct lookup *look);

static void refuse(struct call *call, int err)
{
	free(call->state);
	call->state = NULL;
	call_db_error(call, err);
}

void rest_refuse(struct call *call, const struct authz_actor *a, enum authz_action action,
		 int64_t conv, int64_t target)
{
	free(call->state);
	call->state = NULL;
	audit_denied_call(call, action, conv, target);
	call_error(call, authz_refusal(a, action), NULL);
}

int64_t rest_owner(const struct call *call)
{
	return call->who.is_account ? call->who.user : 0;
}

struct rights rest_rights(const struct call *call, int64_t conv)
{
	struct rights r;

	if (!roles_peek(call->wk, conv, call->who.user, call->who.is_admin, &r))
		r = (struct rights){.actor = {.user = call->who.user, .role = ROLE_NONE}};
	return r;
}

/* The rights are known; what the room is like is read once more, because that was lent. */
static void on_rights(struct worker *wk, void *arg, int err, const struct rights *r)
{
	struct lookup *look = arg;

	(void)wk;
	(void)r;
	if (!err) {
		look->asked++;
		look_up(look);
		return;
	}
	refuse(look->call, err);
	free(look);
}

/* The database is away: another time it would have answered. */
static bool is_passing(int err)
{
	return err == -ERR_UNAVAILABLE || err == -ERR_TIMEOUT || err == -ERR_FULL;
}

/* Whoever knows a room's code may become a member of it. */
static bool knows_code(const struct lookup *look, const struct rights *r)
{
	return look->call->path_code[0] && look->action == MAY_JOIN && r->actor.role == ROLE_NONE;
}

/* Closed to strangers is as good as not there. */
static void go_on(struct lookup *look, const struct room *room, const struct rights *r)
{
	struct call *call = look->call;

	if (knows_code(look, r))
		look->next(call, room);
	else if (!authz_allows(&r->actor, look->action) && r->actor.role != ROLE_NONE)
		rest_refuse(call, &r->actor, look->action, room->id, 0);
	else if (!authz_allows(&r->actor, look->action))
		refuse(call, -ERR_NOENT);
	else
		look->next(call, room);
	free(look);
}

/* ---- Rooms that were known ---- */

/* A room in one piece: the structure, then its strings, whose pointers mean nothing. */
static struct str *strings_of(struct room *room, size_t i)
{
	return (struct str *[]){&room->kind, &room->name, &room->description}[i];
}

static void keep_room(struct worker *wk, const struct room *room)
{
	const struct stale_key key = {.what = STALE_ROOM, .conv = room->id};
	struct room copy = *room;
	struct buf b = BUF_INIT;

	if (room->is_closed) {
		stale_forget(wk, room->id);
		return;
	}
	buf_add(&b, &copy, sizeof(copy));
	for (size_t i = 0; i < 3; i++)
		buf_add_str(&b, *strings_of(&copy, i));
	stale_keep(wk, &key, buf_str(&b));
	buf_done(&b);
}

/* Goes on with what was known of the room; false when that, or who asks, is not known. */
static bool go_on_stale(struct lookup *look)
{
	struct call *call = look->call;
	const struct stale_key key = {.what = STALE_ROOM, .conv = call->path_id[0]};
	struct buf bytes = BUF_INIT;
	struct room room;
	struct rights r;
	uint64_t age_ms;
	struct str s;
	const char *at;

	if (call->stale.what == STALE_NOTHING || !key.conv ||
	    !roles_peek(call->wk, key.conv, call->who.user, call->who.is_admin, &r) ||
	    !stale_find(call->wk, &key, &s, &age_ms))
		return false;
	buf_add_str(&bytes, s); /* NEXT may keep something, and push this out */
	memcpy(&room, bytes.p, sizeof(room));
	at = (const char *)bytes.p + sizeof(room);
	for (size_t i = 0; i < 3; i++) {
		struct str *part = strings_of(&room, i);

		part->p = part->p ? at : NULL;
		at += part->len;
	}
	call->is_stale = true;
	call->age_ms = age_ms;
	go_on(look, &room, &r);
	buf_done(&bytes);
	return true;
}

/* ---- Finding ---- */

static void on_room(void *arg, int err, const struct room *room)
{
	struct lookup *look = arg;
	struct call *call = look->call;
	struct rights r;

	if (err == 0)
		keep_room(call->wk, room);
	if (err == 0 && room->is_closed)
		err = -ERR_NOENT;
	if (err == 0 &&
	    roles_peek(call->wk, room->id, call->who.user, call->who.is_admin, &r)) {
		go_on(look, room, &r);
		return;
	}
	if (err == 0 && look->asked < ASK_MOST) {
		roles_get(call->wk, room->id, call->who.user, call->who.is_admin, on_rights, look);
		return;
	}
	if (is_passing(err) && go_on_stale(look))
		return;
	refuse(call, err ? err : -ERR_UNAVAILABLE);
	free(look);
}

static void look_up(struct lookup *look)
{
	struct call *call = look->call;
	const struct stale_key key = {.what = STALE_ROOM, .conv = call->path_id[0]};
	int r = room_info(dbio_reader(call->wk), call->path_id[0], &call->path_uuid[0],
			  stale_deadline(call->wk, &key), on_room, look, NULL);

	if (r < 0) {
		free(look);
		refuse(call, r);
	}
}

static void on_code(void *arg, int err, int64_t conv)
{
	struct lookup *look = arg;

	if (!err) {
		look->call->path_id[0] = conv;
		look_up(look);
		return;
	}
	refuse(look->call, err);
	free(look);
}

static void look_up_code(struct lookup *look)
{
	struct call *call = look->call;

	if (codes_find(call, call->path_code, on_code, look) == 0)
		return;
	free(look);
	free(call->state);
	call->state = NULL;
	call_error(call, E_RATE_LIMITED, NULL);
}

void rest_room_for(struct call *call, enum authz_action action, rest_room_fn *next)
{
	struct lookup *look;

	if (!call->path_id[0] && uuid_is_zero(&call->path_uuid[0]) && !call->path_code[0]) {
		refuse(call, -ERR_NOENT);
		return;
	}
	look = xmalloc(sizeof(*look));
	*look = (struct lookup){.call = call, .action = action, .next = next};
	if (call->path_code[0])
		look_up_code(look);
	else
		look_up(look);
}

void rest_room(struct call *call, rest_room_fn *next)
{
	rest_room_for(call, MAY_READ, next);
}

static int marker_parse(struct str s, struct rest_marker *ret)
{
	struct uuid uuid;
	int64_t n;

	*ret = (struct rest_marker){0};
	if (str_to_i64(s, &n) == 0) {
		if (n < 0)
			return -ERR_INVAL;
		ret->rev = n;
		return n < REV_LIMIT ? 0 : msgid_split(n, &ret->conv, &ret->rev);
	}
	if (uuid_parse(s, &uuid) < 0)
		return -ERR_INVAL;
	return msgid_from_uuid(&uuid, &ret->conv, &ret->rev);
}

int rest_query_marker(const struct http_request *req, const char *name, struct rest_marker *ret,
		      struct fault *ret_fault)
{
	struct buf text = BUF_INIT;
	struct rest_marker marker;
	int r = http_query_get(req, name, &text);

	if (r == 0)
		r = marker_parse(buf_str(&text), &marker);
	buf_done(&text);
	if (r == 0)
		*ret = marker;
	else if (r != -ERR_NOENT)
		fault_field(ret_fault, FAULT_VALUE, name, 0);
	return r == 0 || r == -ERR_NOENT ? r : -ERR_INVAL;
}

int rest_query_number(const struct http_request *req, const char *name, int64_t min, int64_t max,
		      int64_t *ret, struct fault *ret_fault)
{
	struct buf text = BUF_INIT;
	int r = http_query_get(req, name, &text);
	int64_t n = 0;

	if (r == 0)
		r = str_to_i64(buf_str(&text), &n);
	buf_done(&text);
	if (r == -ERR_NOENT)
		return r;
	if (r < 0) {
		fault_field(ret_fault, FAULT_TYPE, name, 0);
		return -ERR_INVAL;
	}
	if (n < min) {
		fault_field(ret_fault, FAULT_TOO_SMALL, name, min);
		return -ERR_INVAL;
	}
	*ret = MIN(n, max);
	return 0;
}

/* ---- Answers that may be old ---- */

static void answer_stale(struct call *call, struct str json, uint64_t age_ms)
{
	struct buf body = BUF_INIT;

	call->is_stale = true;
	call->age_ms = age_ms;
	buf_add_str(&body, json); /* the original is borrowed for a moment only */
	call_json(call, 200, buf_str(&body));
	buf_done(&body);
}

void rest_answer(struct call *call, struct str json)
{
	stale_keep(call->wk, &call->stale, json);
	call_json(call, 200, json);
}

void rest_fail(struct call *call, int err)
{
	struct str json;
	uint64_t age_ms;

	if (is_passing(err) && stale_find(call->wk, &call->stale, &json, &age_ms))
		answer_stale(call, json, age_ms);
	else
		call_db_error(call, err);
}

void rest_page(void *call, int err, struct str json)
{
	if (err < 0)
		rest_fail(call, err);
	else
		rest_answer(call, json);
}

uint64_t rest_deadline(const struct call *call)
{
	return stale_deadline(call->wk, &call->stale);
}
