/* SPDX-License-Identifier: MIT */
/*
 * Path and query of REST requests turned into rooms, places and numbers.
 * Bodies are decoded by proto's dialects.
 */
#include "worker/rest.h"

#include "worker/dbio.h"

/* Ids that this build gives out are below 2^31; message ids carry one in their upper half. */
#define REV_LIMIT (INT64_C(1) << 32)

struct lookup {
	struct call *call;
	rest_room_fn *next;
};

static void refuse(struct call *call, int err)
{
	free(call->state);
	call->state = NULL;
	call_db_error(call, err);
}

/* Guests see rooms; every other kind belongs to its members. */
static bool is_readable(const struct room *room)
{
	return !room->is_closed && str_eq(room->kind, STR("room"));
}

/* The database is away: another time it would have answered. */
static bool is_passing(int err)
{
	return err == -ERR_UNAVAILABLE || err == -ERR_TIMEOUT || err == -ERR_FULL;
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

/* Goes on with what was known of the room; false when there is nothing. */
static bool go_on_stale(const struct lookup *look)
{
	const struct stale_key key = {.what = STALE_ROOM, .conv = look->call->path_id[0]};
	struct buf bytes = BUF_INIT;
	struct room room;
	uint64_t age_ms;
	struct str s;
	const char *at;

	if (look->call->stale.what == STALE_NOTHING || !key.conv ||
	    !stale_find(look->call->wk, &key, &s, &age_ms))
		return false;
	buf_add_str(&bytes, s); /* NEXT may keep something, and push this out */
	memcpy(&room, bytes.p, sizeof(room));
	at = (const char *)bytes.p + sizeof(room);
	for (size_t i = 0; i < 3; i++) {
		struct str *part = strings_of(&room, i);

		part->p = part->p ? at : NULL;
		at += part->len;
	}
	look->call->is_stale = true;
	look->call->age_ms = age_ms;
	look->next(look->call, &room);
	buf_done(&bytes);
	return true;
}

static void on_room(void *arg, int err, const struct room *room)
{
	struct lookup look = *(struct lookup *)arg;

	free(arg);
	if (err == 0)
		keep_room(look.call->wk, room);
	if (err == 0 && !is_readable(room))
		err = -ERR_NOENT;
	if (err == 0)
		look.next(look.call, room);
	else if (!is_passing(err) || !go_on_stale(&look))
		refuse(look.call, err);
}

void rest_room(struct call *call, rest_room_fn *next)
{
	const struct stale_key key = {.what = STALE_ROOM, .conv = call->path_id[0]};
	const struct uuid *uid = &call->path_uuid[0];
	struct lookup *look;
	int r;

	if (!call->path_id[0] && uuid_is_zero(uid)) {
		refuse(call, -ERR_NOENT);
		return;
	}
	look = xmalloc(sizeof(*look));
	*look = (struct lookup){call, next};
	r = room_info(dbio_reader(call->wk), call->path_id[0], uid, stale_deadline(call->wk, &key),
		      on_room, look, NULL);
	if (r < 0) {
		free(look);
		refuse(call, r);
	}
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
