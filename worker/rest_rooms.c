/* SPDX-License-Identifier: MIT */
/*
 * S1's rooms over REST: list, make, show, delete, and the latest messages.
 * The same rooms in native form are in rest_conversations.c.
 */
#include "proto/dialect_raw.h"
#include "proto/json.h"
#include "shm/rooms.h"
#include "sql/changes.h"
#include "sql/messages.h"
#include "sql/rooms.h"
#include "worker/audit.h"
#include "worker/call.h"
#include "worker/dbio.h"
#include "worker/persist.h"
#include "worker/rest.h"
#include "worker/routes.h"
#include "worker/ws_conn.h"

#define PAGE_MAX 100

static void answer_json(struct call *call, int status, struct buf *body)
{
	call_json(call, status, buf_str(body));
	buf_done(body);
}

/* ---- List ---- */

/* The database's object with one more member; what it says is not looked at. */
static void add_listed(struct buf *b, struct str object, uint32_t users)
{
	if (!object.len)
		return;
	json_add_sep(b);
	buf_add(b, object.p, object.len - 1);
	json_add_key_i64(b, "users", users);
	buf_add_char(b, '}');
}

/*
 * How many users each room of the list has now, owned by the caller; zeros when that cannot be
 * read.
 */
static uint32_t *count_users(struct worker *wk, const struct db_result *res, size_t n)
{
	uint32_t *users = xcalloc(n + 1, sizeof(*users));
	int64_t *ids = xcalloc(n + 1, sizeof(*ids));
	struct str object;

	for (size_t i = 0; i < n; i++)
		room_list_get(res, (int)i, &ids[i], &object);
	if (n && room_users_bulk(wk->shm, (unsigned)wk->slot, ids, n, users) < 0)
		memset(users, 0, n * sizeof(*users));
	free(ids);
	return users;
}

static void on_list(void *arg, int err, const struct db_result *res)
{
	struct call *call = arg;
	struct buf body = BUF_INIT;
	uint32_t *users;
	int n;

	if (err < 0) {
		rest_fail(call, err);
		return;
	}
	n = db_rows(res);
	users = count_users(call->wk, res, (size_t)n);
	buf_add_char(&body, '[');
	for (int i = 0; i < n; i++) {
		struct str object;
		int64_t id;

		room_list_get(res, i, &id, &object);
		add_listed(&body, object, users[i]);
	}
	buf_add_char(&body, ']');
	free(users);
	rest_answer(call, buf_str(&body));
	buf_done(&body);
}

void rest_rooms_list(struct call *call)
{
	int r;

	call->stale = (struct stale_key){.what = STALE_ROOMS};
	r = room_list(dbio_reader(call->wk), 0, 0, rest_deadline(call), on_list, call, NULL);
	if (r < 0)
		rest_fail(call, r);
}

/* ---- Make and show ---- */

static void add_room(struct buf *b, const struct room *room)
{
	buf_add_char(b, '{');
	json_add_key_i64(b, "id", room->id);
	json_add_key_str(b, "name", room->name);
	json_add_key_str(b, "description", room->description);
	json_add_key_time(b, "created_at", room->created_at_ms);
}

static void on_created(void *arg, int err, const struct room *room)
{
	struct call *call = arg;
	struct buf body = BUF_INIT;
	char location[64];

	if (err < 0) {
		call_db_error(call, err);
		return;
	}
	add_room(&body, room);
	buf_add_char(&body, '}');
	snprintf(location, sizeof(location), "Location: /api/chat/rooms/%" PRId64 "\r\n", room->id);
	call_answer(call, 201, "application/json", location, buf_str(&body));
	buf_done(&body);
}

void rest_rooms_create(struct call *call)
{
	struct cmd_limits limits = worker_cmd_limits(call->wk);
	struct json_doc *doc = NULL;
	struct room_form form;
	struct fault fault;
	int r;

	if (raw_decode_room(call->req->body, &limits, &doc, &form, &fault) < 0) {
		call_fault(call, &fault, NULL);
		return;
	}
	r = room_create(dbio_writer(call->wk), form.name, form.description, rest_owner(call),
			dbio_deadline(call->wk), on_created, call, NULL);
	json_doc_free(&doc);
	if (r < 0)
		call_db_error(call, r);
}

static void show(struct call *call, const struct room *room)
{
	struct worker *wk = call->wk;
	struct buf body = BUF_INIT;
	uint32_t connections, users = 0;

	if (room_counts(wk->shm, (unsigned)wk->slot, room->id, &connections, &users) < 0)
		users = 0;
	add_room(&body, room);
	json_add_key_i64(&body, "users", users);
	buf_add_char(&body, '}');
	answer_json(call, 200, &body);
}

void rest_rooms_get(struct call *call)
{
	call->stale.what = STALE_ROOM;
	rest_room(call, show);
}

/* ---- Delete ---- */

static void on_closed(struct worker *wk, void *arg, const struct persist_result *res)
{
	struct call *call = arg;

	(void)wk;
	if (res->error == E_NO_SUCH_ROOM)
		call_error(call, res->error, "Room not found");
	else if (res->error)
		call_error(call, res->error, NULL);
	else
		call_json(call, 200, STR("{\"detail\":\"Room deleted\"}"));
}

static void close_room(struct call *call, const struct room *room)
{
	const struct rights r = rest_rights(call, room->id);
	const struct log_change change = {.kind = KIND_CONVERSATION_CLOSE,
					  .conv = room->id,
					  .actor = call->who.user,
					  .address = str_of(call->address),
					  .may_moderate = true,
					  .need.least = authz_least(&r.actor, MAY_CLOSE)};

	if (!authz_allows(&r.actor, MAY_CLOSE)) {
		audit_denied_call(call, MAY_CLOSE, room->id, 0);
		call_error(call, E_FORBIDDEN, "Only its owner may delete this room");
	} else if (persist_change(call->wk, &change, str_of(call->who.name), &call->who.session,
			   on_closed, call) < 0) {
		call_error(call, E_UNAVAILABLE, NULL);
	}
}

void rest_rooms_delete(struct call *call)
{
	rest_room(call, close_room);
}

/* ---- Messages ---- */

struct page {
	struct rest_marker before;
	int64_t limit;
};

/* {"detail":[{"loc":["query",NAME],"msg","type"}]}: proto's form names the body. */
static void answer_bad_query(struct call *call, const struct fault *fault)
{
	struct buf body = BUF_INIT;

	buf_add_cstr(&body, "{\"detail\":[{\"loc\":[\"query\",");
	json_add_str(&body, str_of(fault->field));
	buf_add_char(&body, ']');
	json_add_key_cstr(&body, "msg", fault->text);
	json_add_key_cstr(&body, "type", "value_error");
	buf_add_cstr(&body, "}]}");
	answer_json(call, 422, &body);
}

static void read_page(struct call *call, const struct room *room)
{
	struct page page = *(struct page *)call->state;
	struct fault fault;
	int r;

	free(call->state);
	call->state = NULL;
	if (page.before.conv && page.before.conv != room->id) {
		fault_field(&fault, FAULT_VALUE, "before", 0);
		answer_bad_query(call, &fault);
		return;
	}
	call->stale = (struct stale_key){.what = STALE_PAGE_RAW,
					 .limit = (int)page.limit,
					 .conv = room->id,
					 .rev = page.before.rev};
	r = messages_page_raw(dbio_reader(call->wk), room->id, page.before.rev, (int)page.limit,
			      rest_deadline(call), rest_page, call, NULL);
	if (r < 0)
		rest_fail(call, r);
}

void rest_rooms_messages(struct call *call)
{
	struct page page = {.limit = MIN(PAGE_MAX, call->wk->settings->chat_history_page)};
	struct fault fault;

	if (rest_query_marker(call->req, "before", &page.before, &fault) == -ERR_INVAL ||
	    rest_query_number(call->req, "limit", 1, page.limit, &page.limit, &fault) ==
		    -ERR_INVAL) {
		answer_bad_query(call, &fault);
		return;
	}
	call->state = xmalloc(sizeof(page));
	memcpy(call->state, &page, sizeof(page));
	call->stale.what = STALE_PAGE_RAW;
	rest_room(call, read_page);
}
