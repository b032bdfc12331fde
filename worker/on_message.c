/* SPDX-License-Identifier: MIT */
/*
 * Messages of a socket: send, and pages of history.
 * Storing and announcing is persist.c's.
 */
#include "worker/on_priv.h"

#include "sql/messages.h"
#include "worker/audit.h"
#include "worker/dbio.h"
#include "worker/deliver.h"
#include "worker/limits.h"
#include "worker/sio.h"
#include "worker/stale.h"
#include "worker/typers.h"

#define HISTORY_PAGE 50

/*
 * The connection had the event before it sent this, and will not see it again. A duplicate that
 * is news to it comes, or has come, with the conversation: the commit's first answer was lost,
 * not the message.
 */
static bool was_seen(const struct conn *c, const struct pending *p, const struct event *ev)
{
	const struct sub *sub = sub_find(c, ev->conv);

	return sub && ev->rev <= p->seen && ev->rev <= sub->chan->rev;
}

/* The sender's subscription may have waited for this one. */
static void place(const struct pending *p, const struct persist_result *res)
{
	struct conn *c = p->unplaced ? conn_find(p->wk, p->conn_id) : NULL;
	struct sub *sub = c ? sub_find(c, p->conv) : NULL;

	if (sub && sub->serial == p->unplaced)
		sub_place(sub, res->error || res->is_duplicate ? 0 : res->event->rev);
}

static void on_sent(struct worker *wk, void *arg, const struct persist_result *res)
{
	struct pending *p = arg;
	struct conn *c = pending_conn(p);
	size_t mark;
	struct buf *b;

	if (res->error || res->is_duplicate) /* nothing new was said */
		pace_give_back(wk, &p->pace);
	if (c && res->error) {
		pending_refuse_as(p, res->error, res->detail);
	} else if (c && dialect_is_sio(c->dialect)) {
		sio_say_sent(c, &p->re, res->event, res->is_duplicate);
	} else if (c && dialect_is_native(c->dialect)) {
		b = ws_reply_begin(c, &mark);
		native_add_sent(b, &p->re, res->event, res->is_duplicate);
		ws_reply_end(c, b, mark);
	} else if (c && res->is_duplicate && res->event->on) {
		pending_refuse(p, E_MESSAGE_DELETED); /* there is no copy any more */
	} else if (c && res->is_duplicate && was_seen(c, p, res->event)) {
		/* the room will not see it again: the sender's confirmation is its own copy */
		deliver_encode(p->wk, conn_reply(c), c->dialect, res->event);
	}
	place(p, res);
	free(p);
}

void on_send(struct conn *c, const struct cmd *cmd)
{
	struct worker *wk = conn_worker(c);
	/* whoever names a person need not follow the conversation of the two */
	struct sub *sub = cmd->peer ? sub_find(c, cmd->conv) : cmd_sub(c, cmd);
	enum proto_error error;
	struct pending *p;
	struct rights r;
	struct event ev = {
		.conv = cmd_conv(c, cmd),
		.actor = c->user,
		.actor_name = str_of(c->name),
		.client_msg_id = cmd->key_uuid,
		.client_id = cmd->key,
		.content = cmd->content,
		.key = cmd->attachment,
		.reply_to_rev = cmd->reply_to_rev,
	};

	if (!sub && !cmd->peer)
		return;
	p = pending_new(c, cmd, ev.conv);
	p->seen = !sub || sub_position(sub) < 0 ? INT64_MAX : sub_position(sub);
	error = cmd_may_make(c, MAY_SEND, p, &r);
	if (error) {
		cmd_refuse_new(c, cmd, EVT_MESSAGE_NEW, p, error, on_sent);
		return;
	}
	if (sub) {
		typers_stop(sub);
		p->unplaced = sub_begin_before_own(sub);
	}
	ev.subject = r.peer;
	if (persist_send(wk, &ev, &c->session_id, on_sent, p) < 0) {
		if (p->unplaced)
			sub_place(sub, 0);
		limits_unsend(wk, c->user, ev.conv);
		pace_give_back(wk, &p->pace);
		free(p);
		cmd_refuse(c, cmd, E_UNAVAILABLE);
	}
}

/* ---- History ---- */

static void answer_page(struct pending *p, int err, struct str json)
{
	struct conn *c = pending_conn(p);
	size_t mark;
	struct buf *b;

	if (err) {
		pending_refuse(p, err == -ERR_NOENT ? E_NOT_FOUND : E_UNAVAILABLE);
	} else if (c) {
		b = ws_reply_begin(c, &mark);
		native_add_history(b, &p->re, p->conv, json);
		ws_reply_end(c, b, mark);
	}
	if (c)
		conn_unblock(c);
	free(p);
}

/* The page that was kept, with one more member; JSON is an object. */
static void answer_stale(struct pending *p, struct str json)
{
	struct buf page = BUF_INIT;

	buf_add_cstr(&page, "{\"stale\":true,");
	buf_add(&page, json.p + 1, json.len - 1);
	answer_page(p, 0, buf_str(&page));
	buf_done(&page);
}

static void on_page(void *arg, int err, struct str json)
{
	struct pending *p = arg;
	uint64_t age_ms;

	if (!err)
		stale_keep(p->wk, &p->page, json);
	if (err && err != -ERR_NOENT && stale_find(p->wk, &p->page, &json, &age_ms))
		answer_stale(p, json);
	else
		answer_page(p, err, json);
}

static void on_rights(struct worker *wk, void *arg, int err, const struct rights *r)
{
	struct pending *p = arg;
	const struct stale_key *page = &p->page;
	struct conn *c = pending_conn(p);

	if (!err && !authz_allows(&r->actor, MAY_READ)) {
		pending_refuse(p, authz_refusal(&r->actor, MAY_READ));
		if (c) {
			audit_denied_conn(c, MAY_READ, p->conv);
			conn_unblock(c);
		}
		free(p);
		return;
	}
	if (!err)
		err = messages_page_native(dbio_reader(wk), p->conv, (enum page_from)page->from,
					   page->rev, page->limit, stale_deadline(wk, page),
					   on_page, p, NULL);
	if (err < 0)
		answer_page(p, err, STR(""));
}

void on_history(struct conn *c, const struct cmd *cmd)
{
	struct pending *p = pending_new(c, cmd, cmd->conv);
	enum page_from from = cmd->after ? PAGE_AFTER : PAGE_BEFORE;
	int limit = (int)(cmd->limit > 0 ? MIN(cmd->limit, HISTORY_PAGE_MAX) : HISTORY_PAGE);
	int64_t rev = cmd->after ? cmd->after : cmd->before;

	conn_block(c); /* a page may be large: one is under way at a time */
	p->page = (struct stale_key){.what = STALE_PAGE_NATIVE,
				     .from = (int)from,
				     .limit = limit,
				     .conv = cmd->conv,
				     .rev = rev};
	roles_get(conn_worker(c), cmd->conv, c->user, c->is_admin, on_rights, p);
}
