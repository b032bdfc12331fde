/* SPDX-License-Identifier: MIT */
/*
 * The first frame of a socket: who speaks, what an earlier session of theirs followed, and the
 * welcome. Who a guest is was decided by session.c; what sessions follow is kept by resume.c.
 */
#include "worker/on_priv.h"

#include "proto/cursor.h"
#include "proto/names.h"
#include "shm/presence.h"
#include "worker/authn.h"
#include "worker/limits.h"
#include "worker/presence.h"
#include "worker/restore.h"
#include "worker/resume.h"
#include "worker/session.h"

/* A cursor may be older than the limit on subscriptions in force. */
#define CURSOR_POSITIONS_MAX 4096

/* A hello whose sender is being looked up, or the session that is resumed. */
struct hello {
	struct pending *p;
	bool has_cursor;
	bool must_know; /* somebody else may be using the name: only an earlier session lets in */
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
				   .guest = !c->is_account,
				   .ping_ms = wk->settings->websocket_ping_interval,
				   .limits = on_cmd_limits(wk),
				   .cursor = buf_str(&cursor),
				   .scope = presence_scope(wk),
				   .resumed = resumed,
			   });
	ws_reply_end(c, b, mark);
	buf_done(&cursor);
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
		restore_subs(c, known);
	if (is_owed)
		resume_mark(c);
	roles_unblock(c);
}

static void on_known(struct worker *wk, void *arg, int err, const struct resume_known *known)
{
	struct hello *h = arg;
	struct conn *c = pending_conn(h->p);

	(void)wk;
	if (c && !err && (known->is_known || !h->must_know))
		welcome(c, h, known);
	else if (c) /* better than a session without its conversations */
		ws_conn_try_later(c, &h->p->re);
	hello_free(h);
}

static void on_unidentified(struct conn *c, const struct hello *h, enum proto_error error)
{
	if (error == E_UNAVAILABLE)
		ws_conn_try_later(c, &h->p->re);
	else
		ws_conn_error(c, error, &h->p->re, NULL, 0);
}

/* The sender is WHO. Frees H, at once or later. */
static void enter(struct conn *c, struct hello *h, const struct identity *who)
{
	authn_adopt(c, who);
	authn_forget(c);
	c->is_helloed = true;
	conn_wait(c, WAIT_PING);
	if (h->has_cursor && h->cur.user == c->user) {
		restore_recall(conn_worker(c), &h->cur, on_known, h);
		return;
	}
	if (c->dialect == DIALECT_RAW) {
		roles_enter(c, c->room, false, 0, NULL);
		presence_enter(c);
		roles_unblock(c);
	} else {
		welcome(c, h, NULL);
	}
	hello_free(h);
}

/*
 * Without a cookie nobody can tell whether it is the same person again: chat.allow_same_name
 * decides. Who goes on with an earlier session has its cursor to show, which anybody can write: the
 * session in it must be known.
 */
static bool is_taken_here(const struct conn *c, struct hello *h, int64_t user)
{
	struct worker *wk = conn_worker(c);
	int64_t conv = c->dialect == DIALECT_RAW ? c->room : MEMBER_NODE;
	bool is_here = false;

	if (wk->settings->chat_allow_same_name)
		return false;
	if (member_is_present(wk->shm, (unsigned)wk->slot, conv, user, false, &is_here) < 0)
		return true;
	h->must_know = is_here && h->has_cursor && h->cur.user == user;
	return is_here && !h->must_know;
}

static void on_guest(struct worker *wk, void *arg, enum proto_error error, int64_t user,
		     struct str name)
{
	struct hello *h = arg;
	struct conn *c = pending_conn(h->p);
	struct identity who = {.user = user};

	(void)wk;
	if (c && !error && is_taken_here(c, h, user))
		error = E_NAME_TAKEN;
	if (!c || error) {
		if (c)
			on_unidentified(c, h, error);
		hello_free(h);
		return;
	}
	memcpy(who.name, name.p, MIN(name.len, sizeof(who.name) - 1));
	enter(c, h, &who);
}

/* ---- Who ---- */

/*
 * What the frame and the handshake say about the sender. E_NONE with nobody in *RET: a guest by
 * the name in the frame.
 */
static enum proto_error tell_who(struct conn *c, const struct cmd *cmd, struct identity *ret)
{
	struct worker *wk = conn_worker(c);

	*ret = (struct identity){0};
	if (cmd->token.len)
		return authn_token(wk, cmd->token, ret);
	if (c->who && (c->who->is_account || c->who->user == 0 || cmd->name.len == 0 ||
		       names_same(cmd->name, str_of(c->who->name))))
		return authn_again(wk, c->who, ret);
	return cmd->name.len && wk->settings->chat_guests ? E_NONE : E_UNAUTHORIZED;
}

/* Who is nobody counts as a request without valid credentials does. */
static void refuse_hello(struct conn *c, const struct cmd *cmd, enum proto_error error)
{
	int64_t retry_ms;

	if (error != E_UNAUTHORIZED ||
	    limits_take(conn_worker(c), LIMIT_ANONYMOUS, limit_by_addr(&c->addr), &retry_ms)) {
		cmd_refuse(c, cmd, error);
		return;
	}
	ws_conn_limited(c, retry_ms, &cmd->id, NULL, 0);
	ws_conn_close(c, E_RATE_LIMITED);
}

void on_hello(struct conn *c, const struct cmd *cmd)
{
	struct identity who;
	enum proto_error error;
	struct hello *h;
	struct fault fault;

	/* blocked: an earlier one of this frame is being looked up */
	if (c->is_helloed || c->is_blocked) {
		cmd_refuse(c, cmd, E_CONFLICT);
		return;
	}
	error = tell_who(c, cmd, &who);
	if (error) {
		refuse_hello(c, cmd, error);
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
	if (who.user)
		enter(c, h, &who);
	else
		session_guest(conn_worker(c), cmd->name, on_guest, h);
}
