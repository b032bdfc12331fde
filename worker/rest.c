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

static void on_room(void *arg, int err, const struct room *room)
{
	struct lookup look = *(struct lookup *)arg;

	free(arg);
	if (err == 0 && !is_readable(room))
		err = -ERR_NOENT;
	if (err < 0)
		refuse(look.call, err);
	else
		look.next(look.call, room);
}

void rest_room(struct call *call, rest_room_fn *next)
{
	const struct uuid *uid = &call->path_uuid[0];
	struct lookup *look;
	int r;

	if (!call->path_id[0] && uuid_is_zero(uid)) {
		refuse(call, -ERR_NOENT);
		return;
	}
	look = xmalloc(sizeof(*look));
	*look = (struct lookup){call, next};
	r = room_info(dbio_reader(call->wk), call->path_id[0], uid, dbio_deadline(call->wk),
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

void rest_page(void *call, int err, struct str json)
{
	if (err < 0)
		call_db_error(call, err);
	else
		call_json(call, 200, json);
}
