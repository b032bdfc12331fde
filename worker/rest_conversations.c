/* SPDX-License-Identifier: MIT */
/*
 * Native REST, conversations: list, make, show, find by code. Guests see and make open rooms; what
 * two people have is rest_direct.c's.
 * Messages of a conversation are in rest_messages.c.
 */
#include "proto/dialect_native.h"
#include "proto/json.h"
#include "sql/conversations.h"
#include "sql/rooms.h"
#include "worker/call.h"
#include "worker/codes.h"
#include "worker/dbio.h"
#include "worker/rest.h"
#include "worker/routes.h"
#include "worker/ws_conn.h"

#define LIST_DEFAULT 50
#define LIST_MAX 200

void rest_conversations_list(struct call *call)
{
	int64_t cursor = 0, limit = LIST_DEFAULT;
	struct fault fault;
	int r;

	if (rest_query_number(call->req, "cursor", 0, INT64_MAX, &cursor, &fault) == -ERR_INVAL ||
	    rest_query_number(call->req, "limit", 1, LIST_MAX, &limit, &fault) == -ERR_INVAL) {
		call_fault(call, &fault, NULL);
		return;
	}
	call->stale = (struct stale_key){.what = STALE_CONVERSATIONS,
					 .limit = (int)limit,
					 .rev = cursor,
					 .user = call->who.user};
	r = conversation_list(dbio_reader(call->wk), call->who.user, true, cursor, (int)limit,
			      rest_deadline(call), rest_page, call, NULL);
	if (r < 0)
		rest_fail(call, r);
}

/* As rest_page, with the tag that a change may name. */
static void on_json(void *arg, int err, struct str json)
{
	struct call *call = arg;

	if (err == 0)
		etag_of_conversation(json, call->etag);
	rest_page(call, err, json);
}

static void show(struct call *call, const struct room *room)
{
	int r;

	call->stale = (struct stale_key){
		.what = STALE_CONVERSATION, .conv = room->id, .user = call->who.user};
	r = conversation_get(dbio_reader(call->wk), room->id, NULL, call->who.user,
			     rest_deadline(call), on_json, call, NULL);
	if (r < 0)
		rest_fail(call, r);
}

void rest_conversations_get(struct call *call)
{
	call->stale.what = STALE_CONVERSATION;
	rest_room(call, show);
}

/* ---- Codes ---- */

static void on_code(void *arg, int err, int64_t conv)
{
	struct call *call = arg;
	struct buf body = BUF_INIT;

	if (err) {
		call_db_error(call, err);
		return;
	}
	buf_add_char(&body, '{');
	json_add_key_i64(&body, "id", conv);
	json_add_key_cstr(&body, "kind", "code");
	json_add_key_cstr(&body, "code", call->path_code);
	buf_add_char(&body, '}');
	call_json(call, 200, buf_str(&body));
	buf_done(&body);
}

/* What is said there is for members: whoever knows the code may become one. */
void rest_codes_get(struct call *call)
{
	if (!call->path_code[0])
		call_db_error(call, -ERR_NOENT);
	else if (codes_find(call, call->path_code, on_code, call) < 0)
		call_error(call, E_RATE_LIMITED, NULL);
}

/* ---- Make ---- */

void rest_conversation_got(struct call *call, int err, struct str json, bool is_new)
{
	char location[64];

	if (err < 0) {
		call_db_error(call, err);
		return;
	}
	etag_of_conversation(json, call->etag);
	snprintf(location, sizeof(location), "Location: /api/v1/conversations/%" PRId64 "\r\n",
		 call->path_id[0]);
	call_answer(call, is_new ? 201 : 200, "application/json", location, json);
}

static void on_new_json(void *arg, int err, struct str json)
{
	rest_conversation_got(arg, err, json, true);
}

/* Shown as every later reader sees it, by the same statement. */
static void on_created(void *arg, int err, const struct room *room)
{
	struct call *call = arg;

	if (err == 0) {
		call->path_id[0] = room->id;
		err = conversation_get(dbio_writer(call->wk), room->id, NULL, call->who.user,
				       dbio_deadline(call->wk), on_new_json, call, NULL);
	}
	if (err < 0)
		call_db_error(call, err);
}

/* Two people's: the caller's and the one he names. */
static void open_direct(struct call *call, const struct conversation_form *form)
{
	struct fault fault;

	if (form->peer || !uuid_is_zero(&form->peer_uid)) {
		rest_direct_open(call, form->peer, &form->peer_uid);
		return;
	}
	fault_field(&fault, FAULT_MISSING, "members", 0);
	call_fault(call, &fault, NULL);
}

/* Kinds that exist belong to people who are known; any other is a fault of the field. */
static void refuse_kind(struct call *call, struct str kind)
{
	static const char *const others[] = {"code", "group", "direct"};
	struct fault fault;

	for (size_t i = 0; i < ARRAY_LEN(others) && !call->who.is_account; i++) {
		if (!str_eq(kind, str_of(others[i])))
			continue;
		call_error(call, E_FORBIDDEN, "Without credentials only rooms can be made.");
		return;
	}
	fault_field(&fault, FAULT_VALUE, "kind", 0);
	call_fault(call, &fault, NULL);
}

void rest_conversations_create(struct call *call)
{
	struct cmd_limits limits = worker_cmd_limits(call->wk);
	struct conversation_form form;
	struct json_doc *doc = NULL;
	struct fault fault;
	int r;

	if (native_decode_conversation(call->req->body, &limits, &doc, &form, &fault) < 0) {
		call_fault(call, &fault, NULL);
		return;
	}
	if (str_eq(form.kind, STR("direct")) && call->who.user) {
		open_direct(call, &form);
		json_doc_free(&doc);
		return;
	}
	if (!str_eq(form.kind, STR("room"))) {
		refuse_kind(call, form.kind);
		json_doc_free(&doc);
		return;
	}
	r = room_create(dbio_writer(call->wk), form.name, form.description, rest_owner(call),
			dbio_deadline(call->wk), on_created, call, NULL);
	json_doc_free(&doc);
	if (r < 0)
		call_db_error(call, r);
}
