/* SPDX-License-Identifier: MIT */
/*
 * Content filters over REST: the global ones for the server's administrators, those of a
 * conversation for its moderators. What a filter does is filter.c's.
 */
#include "proto/json.h"
#include "proto/utf8.h"
#include "sql/filters.h"
#include "worker/call.h"
#include "worker/dbio.h"
#include "worker/filter.h"
#include "worker/filter_set.h"
#include "worker/rest.h"
#include "worker/routes.h"

#define PATTERN_MAX 500 /* characters */

static void list(struct call *call, int64_t conv)
{
	int r = filters_list(dbio_reader(call->wk), conv, dbio_deadline(call->wk), rest_page, call);

	if (r < 0)
		call_db_error(call, r);
}

void rest_filters_list(struct call *call)
{
	list(call, 0);
}

static void list_room(struct call *call, const struct room *room)
{
	list(call, room->id);
}

void rest_room_filters_list(struct call *call)
{
	rest_room_for(call, MAY_FILTER, list_room);
}

/* ---- Make ---- */

static int refuse(struct fault *ret_fault, const char *field, const char *text)
{
	fault_field(ret_fault, FAULT_VALUE, field, 0);
	if (text)
		snprintf(ret_fault->text, sizeof(ret_fault->text), "%s cannot be used: %s.", field,
			 text);
	return -ERR_INVAL;
}

/* A text as it is kept: no control characters; the reason may be empty. */
static int take_text(const struct json_value *v, const char *key, const struct json_str_rule *rule,
		     struct str *ret, struct fault *ret_fault)
{
	struct str text = STR("");
	int r = json_get_str(v, key, rule, &text, ret_fault);

	if (r == -ERR_NOENT)
		return 0;
	if (r < 0)
		return r;
	if (utf8_message(text, rule->max) == -ERR_INVAL)
		return refuse(ret_fault, key, NULL);
	*ret = text;
	return 0;
}

static int take_form(const struct json_value *v, struct filter_form *form, struct fault *ret_fault)
{
	static const struct json_str_rule word = {1, 16, true}, pattern = {1, PATTERN_MAX, true},
					  reason = {0, FILTER_REASON_MAX, false};
	enum filter_action action;
	enum filter_kind kind;
	char why[128];
	int r = json_get_str(v, "kind", &word, &form->kind, ret_fault);

	if (r == 0)
		r = json_get_str(v, "action", &word, &form->action, ret_fault);
	if (r == 0)
		r = take_text(v, "pattern", &pattern, &form->pattern, ret_fault);
	if (r == 0)
		r = take_text(v, "reason", &reason, &form->reason, ret_fault);
	if (r < 0)
		return r;
	if (filter_kind_parse(form->kind, &kind) < 0)
		return refuse(ret_fault, "kind", NULL);
	if (filter_action_parse(form->action, &action) < 0)
		return refuse(ret_fault, "action", NULL);
	if (form->reason.len > FILTER_REASON_MAX) {
		fault_field(ret_fault, FAULT_TOO_LONG, "reason", FILTER_REASON_MAX);
		return -ERR_INVAL;
	}
	if (filter_pattern_check(kind, form->pattern, why, sizeof(why)) < 0)
		return refuse(ret_fault, "pattern", why);
	return 0;
}

static void on_made(void *arg, int err, struct str json)
{
	struct call *call = arg;

	if (err == -ERR_FULL) {
		call_error(call, E_CONFLICT, "There are as many filters as there may be.");
	} else if (err < 0) {
		call_db_error(call, err);
	} else {
		filter_look(call->wk); /* the others look soon */
		call_json(call, 201, json);
	}
}

static void make(struct call *call, int64_t conv, struct str body)
{
	const struct settings *s = call->wk->settings;
	struct filter_form form = {.conv = conv, .user = call->who.user};
	struct json_doc *doc = NULL;
	struct fault fault;
	int r;

	if (json_parse(body, (uint32_t)s->websocket_json_depth_max, &doc, &fault) < 0 ||
	    take_form(json_root(doc), &form, &fault) < 0) {
		json_doc_free(&doc);
		call_fault(call, &fault, NULL);
		return;
	}
	r = filter_add(dbio_writer(call->wk), &form, (int)s->filters_rules_max,
		       dbio_deadline(call->wk), on_made, call);
	json_doc_free(&doc);
	if (r < 0)
		call_db_error(call, r);
}

void rest_filters_create(struct call *call)
{
	make(call, 0, call->req->body);
}

/* The body outlives the request: one block, which rest.c frees when it refuses. */
struct waiting {
	size_t len;
	char body[];
};

static void make_room(struct call *call, const struct room *room)
{
	struct waiting *w = call->state;

	call->state = NULL;
	make(call, room->id, (struct str){w->body, w->len});
	free(w);
}

void rest_room_filters_create(struct call *call)
{
	const struct str body = call->req->body;
	struct waiting *w = xmalloc(sizeof(*w) + body.len);

	w->len = body.len;
	if (body.len)
		memcpy(w->body, body.p, body.len);
	call->state = w;
	rest_room_for(call, MAY_FILTER, make_room);
}

/* ---- Delete ---- */

static void on_deleted(void *arg, int err)
{
	struct call *call = arg;

	if (err == -ERR_NOENT) {
		call_error(call, E_NOT_FOUND, "There is no such filter.");
	} else if (err < 0) {
		call_db_error(call, err);
	} else {
		filter_look(call->wk);
		call_answer(call, 204, NULL, NULL, STR(""));
	}
}

static void remove_one(struct call *call, int64_t conv, int64_t id)
{
	int r = filter_delete(dbio_writer(call->wk), conv, id, call->who.user,
			      dbio_deadline(call->wk), on_deleted, call);

	if (r < 0)
		call_db_error(call, r);
}

void rest_filters_delete(struct call *call)
{
	remove_one(call, 0, call->path_id[0]);
}

static void remove_room(struct call *call, const struct room *room)
{
	remove_one(call, room->id, call->path_id[1]);
}

void rest_room_filters_delete(struct call *call)
{
	rest_room_for(call, MAY_FILTER, remove_room);
}
