/* SPDX-License-Identifier: MIT */
/*
 * Native REST, messages of a conversation: pages, and sending.
 * The send itself takes the same way as one from a socket (persist.c).
 */
#include "proto/dialect_native.h"
#include "proto/json.h"
#include "proto/names.h"
#include "sql/messages.h"
#include "worker/audit.h"
#include "worker/call.h"
#include "worker/dbio.h"
#include "worker/limits.h"
#include "worker/pace.h"
#include "worker/persist.h"
#include "worker/repeat.h"
#include "worker/rest.h"
#include "worker/routes.h"
#include "worker/session.h"
#include "worker/ws_conn.h"

#define PAGE_DEFAULT 50
#define PAGE_LIMIT_MAX 200

/* ---- Pages ---- */

struct page {
	enum page_from from;
	const char *name; /* static; of the parameter that was given */
	struct rest_marker marker;
	int64_t limit;
};

static void read_page(struct call *call, const struct room *room)
{
	struct page page = *(struct page *)call->state;
	struct fault fault;
	int r;

	free(call->state);
	call->state = NULL;
	if (page.marker.conv && page.marker.conv != room->id) {
		fault_field(&fault, FAULT_VALUE, page.name, 0);
		call_fault(call, &fault, NULL);
		return;
	}
	call->stale = (struct stale_key){.what = STALE_PAGE_NATIVE,
					 .from = (int)page.from,
					 .limit = (int)page.limit,
					 .conv = room->id,
					 .rev = page.marker.rev};
	r = messages_page_native(dbio_reader(call->wk), room->id, page.from, page.marker.rev,
				 (int)page.limit, rest_deadline(call), rest_page, call, NULL);
	if (r < 0)
		rest_fail(call, r);
}

/* At most one of before, after and around; none means before the end. Returns 0 or -ERR_INVAL. */
static int page_parse(const struct http_request *req, struct page *page, struct fault *ret_fault)
{
	static const struct {
		const char *name;
		enum page_from from;
	} places[] = {{"before", PAGE_BEFORE}, {"after", PAGE_AFTER}, {"around", PAGE_AROUND}};

	*page = (struct page){.from = PAGE_BEFORE, .limit = PAGE_DEFAULT};
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		int r = rest_query_marker(req, places[i].name, &page->marker, ret_fault);

		if (r == -ERR_NOENT)
			continue;
		if (r == 0 && page->name)
			fault_field(ret_fault, FAULT_VALUE, places[i].name, 0);
		if (r < 0 || page->name)
			return -ERR_INVAL;
		page->name = places[i].name;
		page->from = places[i].from;
	}
	return rest_query_number(req, "limit", 1, PAGE_LIMIT_MAX, &page->limit, ret_fault) ==
			       -ERR_INVAL
		       ? -ERR_INVAL
		       : 0;
}

void rest_messages_list(struct call *call)
{
	struct fault fault;
	struct page page;

	if (page_parse(call->req, &page, &fault) < 0) {
		call_fault(call, &fault, NULL);
		return;
	}
	call->state = xmalloc(sizeof(page));
	memcpy(call->state, &page, sizeof(page));
	call->stale.what = STALE_PAGE_NATIVE;
	rest_room(call, read_page);
}

/* ---- Send ---- */

/* A send on its way: one block, so that whoever gives it up can free() it. */
struct sending {
	size_t body_len, key_len;
	bool has_key;
	char bytes[]; /* body, then key */
};

/* The send of this call while its sender is looked up. DOC owns the strings of CMD. */
struct posting {
	struct call *call;
	struct sending *sending; /* owned */
	struct json_doc *doc;	 /* owned */
	struct cmd cmd;
	int64_t user; /* the sender, when it is known */
	char *name;   /* owned */
};

static void posting_free(struct posting *p)
{
	json_doc_free(&p->doc);
	free(p->sending);
	free(p->name);
	free(p);
}

/* What is left of a posting while it is stored, or looked up. */
struct sent {
	struct call *call;
	struct pace pace;
	int64_t user, conv;
	bool is_denied; /* a refusal is noted in the audit log */
};

static void refuse_sent(struct worker *wk, const struct sent *s, const struct persist_result *res)
{
	if (s->is_denied && res->error != E_UNAVAILABLE)
		audit_denied(wk, s->user, MAY_SEND, s->conv, 0, str_of(s->call->address));
	call_error(s->call, res->error, res->detail);
}

static void on_sent(struct worker *wk, void *arg, const struct persist_result *res)
{
	struct sent *s = arg;
	struct call *call = s->call;
	struct buf body = BUF_INIT;

	if (res->error || res->is_duplicate) /* nothing new was said */
		pace_give_back(wk, &s->pace);
	if (res->error) {
		refuse_sent(wk, s, res);
		free(s);
		return;
	}
	free(s);
	call->limit.retry_ms = 0; /* it may have been refused before it was found */
	native_add_message(&body, res->event);
	body.len--; /* reopened for one more member */
	json_add_key_bool(&body, "duplicate", res->is_duplicate);
	buf_add_char(&body, '}');
	call_json(call, res->is_duplicate ? 200 : 201, buf_str(&body));
	buf_done(&body);
}

/* Slow mode comes last: what is refused has cost its sender nothing. */
static enum proto_error judge(struct posting *p, const struct rights *r, struct sent *s)
{
	struct call *call = p->call;
	struct identity who;

	if (call->who.user && authn_again(call->wk, &call->who, &who)) /* ended since it came */
		return E_UNAUTHORIZED;
	if (!authz_allows(&r->actor, MAY_SEND)) {
		s->is_denied = true;
		return authz_refusal(&r->actor, MAY_SEND);
	}
	if (!limits_call_send(call, p->user, p->cmd.conv))
		return E_RATE_LIMITED;
	if (pace_take(call->wk, p->cmd.conv, r, &s->pace, &call->limit.retry_ms))
		return E_NONE;
	limits_unsend(call->wk, p->user, p->cmd.conv);
	return E_SLOW_MODE;
}

static int store(struct worker *wk, const struct posting *p, const struct rights *r,
		 struct sent *s)
{
	const struct event event = {
		.type = EVT_MESSAGE_NEW,
		.conv = p->cmd.conv,
		.actor = p->user,
		.actor_name = str_of(p->name),
		.subject = r->peer,
		.content = p->cmd.content,
		.key = p->cmd.attachment,
		.client_msg_id = p->cmd.key_uuid,
		.client_id = p->cmd.key,
		.reply_to_rev = p->cmd.reply_to_rev,
	};

	return persist_send(wk, &event, &p->call->who.session, on_sent, s);
}

static void on_rights(struct worker *wk, void *arg, int err, const struct rights *r)
{
	struct posting *p = arg;
	struct sent *s = xcalloc(1, sizeof(*s));
	struct repeat what = {.conv = p->cmd.conv,
			      .actor = p->user,
			      .key = p->cmd.key_uuid,
			      .type = EVT_MESSAGE_NEW};

	*s = (struct sent){.call = p->call, .user = p->user, .conv = p->cmd.conv};
	what.error = err == -ERR_NOENT ? E_NO_SUCH_ROOM : err ? E_UNAVAILABLE : judge(p, r, s);
	if (!what.error && store(wk, p, r, s) < 0) {
		limits_unsend(wk, p->user, p->cmd.conv);
		pace_give_back(wk, &s->pace);
		what.error = E_UNAVAILABLE;
	}
	posting_free(p);
	if (what.error)
		repeat_ask(wk, &what, on_sent, s);
}

static void on_sender(struct worker *wk, void *arg, enum proto_error error, int64_t user,
		      struct str name)
{
	struct posting *p = arg;
	struct call *call = p->call;

	if (error) {
		posting_free(p);
		call_error(call, error, NULL);
		return;
	}
	p->user = user;
	p->name = xstrndup(name.p, name.len);
	roles_get(wk, p->cmd.conv, user, call->who.is_admin, on_rights, p);
}

/*
 * Without credentials the body says who speaks; it may also say another name than a guest's cookie,
 * but not than an account's token. *RET_NAME is empty when the caller is known.
 */
static int take_name(const struct posting *p, const struct cmd_limits *limits, struct str *ret_name,
		     struct fault *ret_fault)
{
	const struct identity *who = &p->call->who;
	int r;

	*ret_name = STR("");
	if (who->is_account)
		return 0;
	r = names_get(json_root(p->doc), "name", limits->name_max, !who->user, ret_name, ret_fault);
	if (r == 0 && who->user && str_eq(*ret_name, str_of(who->name)))
		*ret_name = STR("");
	return r == -ERR_NOENT ? 0 : r;
}

static void send_message(struct call *call, const struct room *room)
{
	struct cmd_limits limits = worker_cmd_limits(call->wk);
	struct posting *p = xcalloc(1, sizeof(*p));
	struct sending *s = call->state;
	struct str key = {s->has_key ? s->bytes + s->body_len : NULL, s->key_len};
	struct fault fault;
	struct str name;

	call->state = NULL;
	p->call = call;
	p->sending = s;
	if (native_decode_message((struct str){s->bytes, s->body_len}, room->id, key, &limits,
				  &p->doc, &p->cmd, &fault) < 0 ||
	    take_name(p, &limits, &name, &fault) < 0) {
		posting_free(p);
		call_fault(call, &fault, NULL);
		return;
	}
	if (name.len)
		session_guest(call->wk, name, on_sender, p);
	else
		on_sender(call->wk, p, E_NONE, call->who.user, str_of(call->who.name));
}

void rest_messages_send(struct call *call)
{
	struct str body = call->req->body, key = http_header(call->req, "Idempotency-Key");
	struct sending *s = xcalloc(1, sizeof(*s) + body.len + key.len + 1);

	s->body_len = body.len;
	s->key_len = key.len;
	s->has_key = key.p != NULL;
	if (body.len)
		memcpy(s->bytes, body.p, body.len);
	if (key.len)
		memcpy(s->bytes + body.len, key.p, key.len);
	call->state = s;
	rest_room(call, send_message);
}
