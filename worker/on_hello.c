/* SPDX-License-Identifier: MIT */
/*
 * The first frame of a socket: who speaks, what an earlier session of theirs followed, and the
 * welcome. Who a guest is was decided by session.c; what sessions follow is kept by resume.c.
 */
#include "worker/on_priv.h"

#include "proto/cursor.h"
#include "worker/presence.h"
#include "worker/resume.h"
#include "worker/session.h"

/* A cursor may be older than the limit on subscriptions in force. */
#define CURSOR_POSITIONS_MAX 4096

/* A hello whose sender is being looked up, or the session that is resumed. */
struct hello {
	struct pending *p;
	bool has_cursor;
	/* positions owned: the cursor's and the client's own, the further of each */
	struct cursor cur;
};

static void hello_free(struct hello *h)
{
	cursor_done(&h->cur);
	free(h->p);
	free(h);
}

/* ---- Reading ---- */

/* Takes the positions that the client knows beside its cursor's. */
static void take_seen(struct hello *h, const struct cmd *cmd)
{
	struct cursor all = h->cur;
	struct cursor_pos seen;
	struct buf text = BUF_INIT;
	size_t pos = 0;

	if (!cmd->nseen)
		return;
	all.pos = xcalloc(h->cur.n + cmd->nseen, sizeof(*all.pos));
	if (h->cur.n)
		memcpy(all.pos, h->cur.pos, h->cur.n * sizeof(*all.pos));
	while (all.n < h->cur.n + cmd->nseen && cmd_seen_next(cmd, &pos, &seen.conv, &seen.rev))
		all.pos[all.n++] = seen;
	cursor_encode(&text, &all); /* sorts, and of two positions keeps the further */
	free(all.pos);
	cursor_done(&h->cur);
	if (cursor_decode(buf_str(&text), all.n, &h->cur) < 0)
		h->has_cursor = false;
	buf_done(&text);
}

/* Returns 0, or -ERR_INVAL for what is no cursor. One of a newer version is as good as none. */
static int take_cursor(struct hello *h, const struct cmd *cmd)
{
	int r;

	if (!cmd->resume.len)
		return 0;
	r = cursor_decode(cmd->resume, CURSOR_POSITIONS_MAX, &h->cur);
	if (r < 0)
		return r == -ERR_UNSUPPORTED ? 0 : -ERR_INVAL;
	h->has_cursor = true;
	take_seen(h, cmd);
	return 0;
}

/* ---- Answering ---- */

static void say_welcome(struct conn *c, const struct cmd_id *re, const struct cursor *cur,
			bool resumed)
{
	const struct worker *wk = conn_worker(c);
	struct buf cursor = BUF_INIT, *b;
	char session[UUID_TEXT_LEN + 1];
	size_t mark;

	uuid_format(&cur->session, session);
	cursor_encode(&cursor, cur);
	b = ws_reply_begin(c, &mark);
	native_add_welcome(b, re,
			   &(struct native_welcome){
				   .session = str_of(session),
				   .user = c->user,
				   .user_name = str_of(c->name),
				   .guest = true,
				   .ping_ms = wk->settings->websocket_ping_interval,
				   .limits = on_cmd_limits(wk),
				   .cursor = buf_str(&cursor),
				   .scope = presence_scope(wk),
				   .resumed = resumed,
			   });
	ws_reply_end(c, b, mark);
	buf_done(&cursor);
}

/*
 * Follows again what the session followed; each is confirmed by its own "live", or refused by
 * name.
 */
static void restore(struct conn *c, const struct resume_known *known)
{
	const uint32_t max = (uint32_t)conn_worker(c)->settings->websocket_subscriptions_max;
	const struct cmd_id none = {0};

	resume_restore_begin(c);
	for (size_t i = 0; i < known->n && c->state == CONN_WS; i++) {
		const struct cursor_pos *pos = &known->pos[i];

		if (c->n_subs < max)
			chan_join(c, pos->conv, true, pos->rev, &none);
		else
			ws_conn_error(c, E_TOO_MANY_SUBSCRIPTIONS, &none, NULL, pos->conv);
	}
	if (c->state == CONN_WS)
		resume_restore_end(c, known->kept, known->n_kept);
}

/* KNOWN is NULL for a hello that resumes nothing. */
static void welcome(struct conn *c, struct hello *h, const struct resume_known *known)
{
	struct cursor cur = {.user = c->user};
	bool is_back = known && (known->is_known || known->n > 0), is_owed = false;

	if (is_back) {
		cur.pos = (struct cursor_pos *)known->pos;
		cur.n = known->n;
	}
	if (is_back && known->is_known)
		is_owed = resume_take_over(conn_worker(c), &h->cur.session);
	resume_start(c, is_back && known->is_known ? &h->cur.session : NULL, &cur.session);
	say_welcome(c, &h->p->re, &cur, is_back);
	presence_enter(c);
	if (is_back)
		restore(c, known);
	if (is_owed)
		resume_mark(c);
	conn_unblock(c);
}

static void on_known(struct worker *wk, void *arg, int err, const struct resume_known *known)
{
	struct hello *h = arg;
	struct conn *c = pending_conn(h->p);

	(void)wk;
	if (c && err)
		/* better than a session without its conversations */
		ws_conn_try_later(c, &h->p->re);
	else if (c)
		welcome(c, h, known);
	hello_free(h);
}

static void on_unidentified(struct conn *c, const struct hello *h, enum proto_error error)
{
	if (error == E_UNAVAILABLE)
		ws_conn_try_later(c, &h->p->re);
	else
		ws_conn_error(c, error, &h->p->re, NULL, 0);
}

static void on_identified(struct worker *wk, void *arg, enum proto_error error, int64_t user,
			  struct str name)
{
	struct hello *h = arg;
	struct conn *c = pending_conn(h->p);

	if (!c || error) {
		if (c)
			on_unidentified(c, h, error);
		hello_free(h);
		return;
	}
	c->user = user;
	c->name = xstrndup(name.p, name.len);
	c->is_helloed = true;
	conn_wait(c, WAIT_PING);
	if (h->has_cursor && h->cur.user == user) {
		resume_recall(wk, &h->cur, on_known, h);
		return;
	}
	if (c->dialect == DIALECT_RAW) {
		chan_join(c, c->room, false, 0, NULL);
		presence_enter(c);
		conn_unblock(c);
	} else {
		welcome(c, h, NULL);
	}
	hello_free(h);
}

void on_hello(struct conn *c, const struct cmd *cmd)
{
	struct hello *h;
	struct fault fault;

	/* blocked: an earlier one of this frame is being looked up */
	if (c->is_helloed || c->is_blocked) {
		cmd_refuse(c, cmd, E_CONFLICT);
		return;
	}
	if (cmd->name.len == 0) {
		cmd_refuse(c, cmd, E_UNAUTHORIZED);
		return;
	}
	h = xcalloc(1, sizeof(*h));
	h->p = pending_new(c, cmd, 0);
	if (take_cursor(h, cmd) < 0) {
		fault_set(&fault, E_BAD_CURSOR);
		fault.field = "resume";
		ws_conn_fault(c, &fault, &cmd->id, NULL, 0);
		hello_free(h);
		return;
	}
	conn_wait(c, WAIT_NONE); /* the client has done its part */
	conn_block(c);		 /* what follows is understood only by somebody known */
	session_guest(conn_worker(c), cmd->name, on_identified, h);
}
