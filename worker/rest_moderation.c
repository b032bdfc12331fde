/* SPDX-License-Identifier: MIT */
/*
 * A conversation's own settings over REST (name, description, slow mode, closing), and the queue
 * of reports. People are rest_members.c's.
 */
#include "proto/cmd.h"
#include "proto/http_field.h"
#include "proto/json.h"
#include "proto/names.h"
#include "proto/utf8.h"
#include "sql/changes.h"
#include "sql/conversations.h"
#include "sql/members.h"
#include "worker/audit.h"
#include "worker/credentials.h"
#include "worker/dbio.h"
#include "worker/persist.h"
#include "worker/rest.h"
#include "worker/revoke.h"
#include "worker/routes.h"

#define SLOW_MAX_S 21600 /* six hours between two messages */
#define REASON_MAX 1000
#define LIST_DEFAULT 50
#define LIST_MAX 200

/* ---- Settings ---- */

enum { SET_NAME, SET_DESCRIPTION, SET_SLOW, SETS, IF_MATCH = SETS, PARTS };

static const struct {
	const char *key;
	enum authz_action action;
} sets[SETS] = {
	[SET_NAME] = {"name", MAY_UPDATE},
	[SET_DESCRIPTION] = {"description", MAY_UPDATE},
	[SET_SLOW] = {"slow_mode", MAY_SLOW},
};

/*
 * New values and the field If-Match, one after the other; one block, which rest.c frees when it
 * refuses.
 */
struct patch {
	int64_t conv;
	struct authz_actor actor; /* the caller, as it was when the room was found */
	int next; /* of them is stored next */
	bool is_closing; /* and has no values */
	char seen[ETAG_LEN + 1]; /* the tag that the room must have; empty: any */
	struct {
		bool is_set;
		size_t at, len;
	} values[PARTS];
	char bytes[];
};

static void store_next(struct call *call);
static void close_room(struct call *call);

static void fail(struct call *call, enum proto_error error)
{
	free(call->state);
	call->state = NULL;
	call_error(call, error, NULL);
}

/* What comes next is compared with what has just been stored. */
static void on_set(struct worker *wk, void *arg, const struct persist_result *res)
{
	struct call *call = arg;
	struct patch *p = call->state;

	(void)wk;
	if (p->seen[0] && res->answer && res->answer->tag.p) {
		etag_of_state(res->answer->tag, p->seen);
		memcpy(call->etag, p->seen, sizeof(call->etag));
	}
	if (res->error)
		fail(call, res->error == E_CONFLICT ? E_DUPLICATE : res->error);
	else
		store_next(call);
}

static void on_shown(void *arg, int err, struct str json)
{
	struct call *call = arg;

	if (err == 0)
		etag_of_conversation(json, call->etag);
	rest_page(call, err, json);
}

static void show(struct call *call)
{
	const struct patch *p = call->state;
	int64_t conv = p->conv;
	int r;

	free(call->state);
	call->state = NULL;
	revoke_member(call->wk, conv, 0);
	r = conversation_get(dbio_writer(call->wk), conv, NULL, call->who.user,
			     dbio_deadline(call->wk), on_shown, call, NULL);
	if (r < 0)
		call_db_error(call, r);
}

/* Between the quotes of the tag; p == NULL: any. */
static struct str seen_state(const struct patch *p)
{
	return p->seen[0] ? (struct str){p->seen + 1, strlen(p->seen) - 2} : (struct str){NULL, 0};
}

/* Each value is an event of its own. */
static void store_next(struct call *call)
{
	struct patch *p = call->state;
	int i = p->next;

	while (i < SETS && !p->values[i].is_set)
		i++;
	p->next = i + 1;
	if (i < SETS) {
		const struct log_change change = {
			.kind = KIND_CONVERSATION_UPDATE,
			.conv = p->conv,
			.actor = call->who.user,
			.key = str_of(sets[i].key),
			.content = {p->bytes + p->values[i].at, p->values[i].len},
			.address = str_of(call->address),
			.may_moderate = true,
			.need.least = authz_least(&p->actor, sets[i].action),
			.seen = seen_state(p),
		};

		if (persist_change(call->wk, &change, str_of(call->who.name), &call->who.session,
				   on_set, call) < 0)
			fail(call, E_UNAVAILABLE);
		return;
	}
	show(call);
}

/*
 * RFC 9110 section 13.1.1: what the client saw must be what there is. Which of its tags that is,
 * is known now; that it still is, the change makes sure of.
 */
static void on_present(void *arg, int err, struct str json)
{
	struct call *call = arg;
	struct patch *p = call->state;
	const struct str seen = {p->bytes + p->values[IF_MATCH].at, p->values[IF_MATCH].len};

	if (err < 0) {
		free(call->state);
		call->state = NULL;
		call_db_error(call, err);
		return;
	}
	etag_of_conversation(json, call->etag);
	if (!http_etag_match(seen, str_of(call->etag), false)) {
		fail(call, E_CHANGED);
		return;
	}
	if (!str_eq(seen, STR("*")))
		memcpy(p->seen, call->etag, sizeof(p->seen));
	if (p->is_closing)
		close_room(call);
	else
		store_next(call);
}

static void compare(struct call *call)
{
	const struct patch *p = call->state;
	int r = conversation_get(dbio_writer(call->wk), p->conv, NULL, call->who.user,
				 dbio_deadline(call->wk), on_present, call, NULL);

	if (r < 0)
		on_present(call, r, STR(""));
}

/* The rights to all that is to change, before anything does. */
static void change_room(struct call *call, const struct room *room)
{
	struct patch *p = call->state;
	struct rights r = rest_rights(call, room->id);

	p->conv = room->id;
	p->actor = r.actor;
	for (int i = 0; i < SETS; i++)
		if (p->values[i].is_set && !authz_allows(&r.actor, sets[i].action)) {
			rest_refuse(call, &r.actor, sets[i].action, room->id, 0);
			return;
		}
	if (p->values[IF_MATCH].is_set)
		compare(call);
	else
		store_next(call);
}

static int take_texts(const struct call *call, const struct json_value *body, struct str *values,
		      struct fault *fault)
{
	const struct settings *s = call->wk->settings;
	const struct json_str_rule rule = {0, (uint32_t)s->chat_description_max, false};
	int r = names_get(body, "name", (uint32_t)s->chat_name_max, false, &values[SET_NAME],
			  fault);

	if (r == 0 || r == -ERR_NOENT)
		r = json_get_str(body, "description", &rule, &values[SET_DESCRIPTION], fault);
	if (r == 0 && !names_is_line(values[SET_DESCRIPTION], true)) {
		fault_field(fault, FAULT_VALUE, "description", 0);
		return -ERR_INVAL;
	}
	return r == -ERR_NOENT ? 0 : r;
}

static struct patch *patch_new(const struct str *values)
{
	size_t len = 0, at = 0;
	struct patch *p;

	for (int i = 0; i < PARTS; i++)
		len += values[i].len;
	p = xcalloc(1, sizeof(*p) + len + 1);
	for (int i = 0; i < PARTS; i++) {
		p->values[i].is_set = values[i].p != NULL;
		p->values[i].at = at;
		p->values[i].len = values[i].len;
		if (values[i].len)
			memcpy(p->bytes + at, values[i].p, values[i].len);
		at += values[i].len;
	}
	return p;
}

/* The field If-Match, kept in SEEN, if there is one. */
static void take_seen(const struct call *call, struct buf *seen, struct str *values)
{
	if (http_header_join(call->req, "If-Match", seen))
		values[IF_MATCH] = seen->len ? buf_str(seen) : STR("");
}

void rest_conversations_patch(struct call *call)
{
	const struct json_int_rule rule = {0, SLOW_MAX_S, false, false};
	struct str values[PARTS] = {{0}};
	struct buf seen = BUF_INIT;
	struct json_doc *doc = NULL;
	const struct json_value *body = credentials_body(call, &doc);
	struct fault fault;
	char slow[24];
	int64_t n;
	int r;

	if (!body)
		return;
	r = take_texts(call, body, values, &fault);
	if (r == 0) {
		r = json_get_i64(body, "slow_mode", &rule, &n, &fault);
		if (r == 0) {
			snprintf(slow, sizeof(slow), "%" PRId64, n);
			values[SET_SLOW] = str_of(slow);
		}
	}
	take_seen(call, &seen, values);
	if (r == 0 || r == -ERR_NOENT)
		call->state = patch_new(values);
	buf_done(&seen);
	json_doc_free(&doc);
	if (!call->state)
		call_fault(call, &fault, NULL);
	else
		rest_room(call, change_room);
}

/* ---- Closing ---- */

static void on_closed(struct worker *wk, void *arg, const struct persist_result *res)
{
	struct call *call = arg;

	(void)wk;
	if (res->error == E_CHANGED && res->answer && res->answer->tag.p)
		etag_of_state(res->answer->tag, call->etag);
	if (res->error) {
		fail(call, res->error);
		return;
	}
	free(call->state);
	call->state = NULL;
	call->etag[0] = '\0';
	call_answer(call, 204, NULL, NULL, STR(""));
}

static void close_room(struct call *call)
{
	const struct patch *p = call->state;
	const struct log_change change = {.kind = KIND_CONVERSATION_CLOSE,
					  .conv = p->conv,
					  .actor = call->who.user,
					  .address = str_of(call->address),
					  .may_moderate = true,
					  .need.least = authz_least(&p->actor, MAY_CLOSE),
					  .seen = seen_state(p)};

	if (persist_change(call->wk, &change, str_of(call->who.name), &call->who.session,
			   on_closed, call) < 0)
		fail(call, E_UNAVAILABLE);
}

static void close_allowed(struct call *call, const struct room *room)
{
	struct patch *p = call->state;

	p->conv = room->id;
	p->actor = rest_rights(call, room->id).actor;
	if (p->values[IF_MATCH].is_set)
		compare(call);
	else
		close_room(call);
}

void rest_conversations_close(struct call *call)
{
	struct str values[PARTS] = {{0}};
	struct buf seen = BUF_INIT;
	struct patch *p;

	take_seen(call, &seen, values);
	p = patch_new(values);
	p->is_closing = true;
	buf_done(&seen);
	call->state = p;
	rest_room_for(call, MAY_CLOSE, close_allowed);
}

/* ---- Reports ---- */

struct reporting {
	struct report_new report;
	char reason[];
};

static void on_report(void *arg, int err, struct str json)
{
	struct call *call = arg;

	if (err == -ERR_NOENT)
		call_error(call, E_NOT_FOUND, NULL);
	else if (err)
		call_db_error(call, err);
	else
		call_json(call, 201, json);
}

static void make_report(struct call *call, const struct room *room)
{
	struct reporting *rp = call->state;
	int r;

	rp->report.conv = room->id;
	rp->report.reporter = call->who.user;
	rp->report.address = str_of(call->address);
	r = report_create(dbio_writer(call->wk), &rp->report, dbio_deadline(call->wk), on_report,
			  call, NULL);
	free(call->state);
	call->state = NULL;
	if (r < 0)
		call_db_error(call, r);
}

/* The person, if it is one, has a number now. */
static void report_named(struct call *call, int64_t user)
{
	struct reporting *rp = call->state;

	rp->report.user = user;
	rest_room_for(call, MAY_REPORT, make_report);
}

/* "message_id" names its conversation. Returns -ERR_NOENT without one. */
static int take_message(const struct json_value *body, struct report_new *ret, struct fault *fault)
{
	const struct json_value *id = json_get(body, "message_id");

	if (!id || json_kind_of(id) == JSON_KIND_NULL)
		return -ERR_NOENT;
	if (cmd_msgid(id, &ret->conv, &ret->rev))
		return 0;
	fault_field(fault, FAULT_VALUE, "message_id", 0);
	return -ERR_INVAL;
}

/* What is reported: a message, or a person in a conversation, which are named alike. */
static int take_report(const struct json_value *body, struct report_new *ret,
		       struct rest_user *ret_conv, struct rest_user *ret_user, struct fault *fault)
{
	const struct json_str_rule rule = {1, REASON_MAX, true};
	int r = json_get_str(body, "reason", &rule, &ret->reason, fault);

	if (r < 0)
		return r;
	r = take_message(body, ret, fault);
	ret_conv->id = ret->conv;
	if (r != -ERR_NOENT)
		return r;
	r = rest_user_get(body, "conversation_id", ret_conv, fault);
	return r == 0 ? rest_user_get(body, "user_id", ret_user, fault) : r;
}

void rest_reports_create(struct call *call)
{
	struct json_doc *doc = NULL;
	const struct json_value *body = credentials_body(call, &doc);
	struct report_new report = {0};
	struct rest_user conv = {0}, user = {0};
	struct reporting *rp;
	struct fault fault;

	if (!body)
		return;
	if (take_report(body, &report, &conv, &user, &fault) < 0) {
		json_doc_free(&doc);
		call_fault(call, &fault, NULL);
		return;
	}
	rp = xcalloc(1, sizeof(*rp) + report.reason.len);
	rp->report = report;
	memcpy(rp->reason, report.reason.p, report.reason.len);
	rp->report.reason = (struct str){rp->reason, report.reason.len};
	json_doc_free(&doc);
	call->state = rp;
	call->path_id[0] = conv.id;
	call->path_uuid[0] = conv.uid;
	if (report.rev)
		report_named(call, 0);
	else
		rest_user(call, &user, report_named);
}

struct listing {
	int64_t after, limit;
	char status[16];
};

static bool is_status(struct str s)
{
	return str_eq(s, STR("open")) || str_eq(s, STR("resolved")) || str_eq(s, STR("dismissed"));
}

/* Returns the listing in call->state, or answers and returns false. */
static bool take_listing(struct call *call)
{
	struct listing *l = xcalloc(1, sizeof(*l));
	struct buf status = BUF_INIT;
	struct fault fault;
	bool is_good = true;

	l->limit = LIST_DEFAULT;
	if (rest_query_number(call->req, "cursor", 0, INT64_MAX, &l->after, &fault) ==
		    -ERR_INVAL ||
	    rest_query_number(call->req, "limit", 1, LIST_MAX, &l->limit, &fault) == -ERR_INVAL)
		is_good = false;
	if (is_good && http_query_get(call->req, "status", &status) == 0) {
		is_good = is_status(buf_str(&status));
		snprintf(l->status, sizeof(l->status), "%.*s", (int)status.len,
			 status.p ? (char *)status.p : "");
		fault_field(&fault, FAULT_VALUE, "status", 0);
	}
	buf_done(&status);
	call->state = l;
	if (is_good)
		return true;
	free(l);
	call->state = NULL;
	call_fault(call, &fault, NULL);
	return false;
}

static void list_reports(struct call *call, int64_t conv)
{
	struct listing l = *(struct listing *)call->state;
	int r;

	free(call->state);
	call->state = NULL;
	r = reports_list(dbio_reader(call->wk), conv, str_of(l.status), l.after, (int)l.limit,
			 dbio_deadline(call->wk), rest_page, call, NULL);
	if (r < 0)
		call_db_error(call, r);
}

static void list_of_room(struct call *call, const struct room *room)
{
	list_reports(call, room->id);
}

void rest_reports_list(struct call *call)
{
	if (take_listing(call))
		rest_room_for(call, MAY_REPORTS, list_of_room);
}

void rest_reports_list_all(struct call *call)
{
	if (take_listing(call))
		list_reports(call, 0);
}

/* ---- Resolving ---- */

struct resolving {
	int64_t id;
	size_t note_len;
	bool is_dismissed;
	char note[];
};

static void on_resolved(void *arg, int err, struct str json)
{
	struct call *call = arg;

	if (err == -ERR_NOENT)
		call_error(call, E_CONFLICT, "There is no such open report.");
	else if (err)
		call_db_error(call, err);
	else
		call_json(call, 200, json);
}

static void resolve(struct call *call, const struct room *room)
{
	struct resolving *rs = call->state;
	struct str note = {rs->note_len ? rs->note : NULL, rs->note_len};
	int r = report_resolve(dbio_writer(call->wk), rs->id, room->id, call->who.user,
			       rs->is_dismissed ? STR("dismissed") : STR("resolved"), note,
			       str_of(call->address), dbio_deadline(call->wk), on_resolved, call,
			       NULL);

	free(call->state);
	call->state = NULL;
	if (r < 0)
		call_db_error(call, r);
}

static void on_report_conv(void *arg, int err, int64_t conv)
{
	struct call *call = arg;

	if (err) {
		free(call->state);
		call->state = NULL;
		call_error(call, err == -ERR_NOENT ? E_NOT_FOUND : E_UNAVAILABLE, NULL);
		return;
	}
	call->path_id[0] = conv;
	rest_room_for(call, MAY_REPORTS, resolve);
}

void rest_reports_resolve(struct call *call)
{
	const struct json_str_rule status_rule = {1, 20, true}, note_rule = {0, REASON_MAX, false};
	struct json_doc *doc = NULL;
	const struct json_value *body = credentials_body(call, &doc);
	struct str status, note = STR("");
	struct resolving *rs;
	struct fault fault;
	int r;

	if (!body)
		return;
	r = json_get_str(body, "status", &status_rule, &status, &fault);
	if (r == 0 && !str_eq(status, STR("resolved")) && !str_eq(status, STR("dismissed"))) {
		fault_field(&fault, FAULT_VALUE, "status", 0);
		r = -ERR_INVAL;
	}
	if (r == 0 && json_get_str(body, "note", &note_rule, &note, &fault) == -ERR_INVAL)
		r = -ERR_INVAL;
	if (r < 0) {
		json_doc_free(&doc);
		call_fault(call, &fault, NULL);
		return;
	}
	rs = xcalloc(1, sizeof(*rs) + note.len + 1);
	rs->id = call->path_id[0];
	rs->is_dismissed = str_eq(status, STR("dismissed"));
	rs->note_len = note.len;
	if (note.len)
		memcpy(rs->note, note.p, note.len);
	json_doc_free(&doc);
	call->state = rs;
	r = report_conversation(dbio_reader(call->wk), rs->id, dbio_deadline(call->wk),
				on_report_conv, call, NULL);
	if (r < 0)
		on_report_conv(call, r, 0);
}
