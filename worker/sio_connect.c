/* SPDX-License-Identifier: MIT */
/*
 * Sessions of Socket.IO: who connects, and coming back to what an earlier connection followed.
 * Events and answers are sio.c's; sessions are kept by resume.c.
 */
#include "worker/sio_priv.h"

#include <sys/random.h>

#include "base/base64.h"
#include "proto/cursor.h"
#include "worker/authn.h"
#include "worker/eio_priv.h"
#include "worker/limits.h"
#include "worker/presence.h"
#include "worker/restore.h"
#include "worker/resume.h"
#include "worker/roles.h"
#include "worker/ws_conn.h"

/* ---- Answers ---- */

void sio_refuse_connect(struct conn *c, struct str nsp, struct str message, const char *code)
{
	struct buf data = BUF_INIT, *b;
	size_t mark;

	if (code) {
		buf_add_char(&data, '{');
		json_add_key_cstr(&data, "code", code);
		buf_add_char(&data, '}');
	}
	b = sio_frame_begin(c, &mark);
	sio_add_connect_error(b, nsp, message, buf_str(&data));
	sio_frame_end(b, mark);
	buf_done(&data);
}

/* The connection's id and, as "pid", what it comes back with: a cursor that has no position. */
static void say_connected(struct conn *c, const struct uuid *session, bool can_return)
{
	struct buf sid = BUF_INIT, pid = BUF_INIT, *b;
	size_t mark;

	base64_add(&sid, BASE64_URL, session->b, sizeof(session->b));
	if (can_return)
		cursor_encode(&pid, &(struct cursor){.session = *session, .user = c->user});
	b = sio_frame_begin(c, &mark);
	sio_add_connect(b, STR(SIO_NSP_MAIN), buf_str(&sid), buf_str(&pid));
	sio_frame_end(b, mark);
	buf_done(&pid);
	buf_done(&sid);
}

/* ---- Coming in ---- */

/* What a page's session may come back to: its room. */
static struct resume_known room_alone(const struct conn *c, const struct resume_known *known,
				      struct cursor_pos *ret)
{
	const struct cursor all = {.pos = (struct cursor_pos *)known->pos, .n = known->n};
	const struct cursor kept = {.pos = (struct cursor_pos *)known->kept, .n = known->n_kept};
	const struct cursor_pos *pos = cursor_find(&all, c->room);

	if (!pos)
		return (struct resume_known){.is_known = known->is_known};
	*ret = *pos;
	return (struct resume_known){
		.is_known = known->is_known,
		.pos = ret,
		.n = 1,
		.kept = ret,
		.n_kept = cursor_find(&kept, c->room) ? 1 : 0,
	};
}

void sio_entered(struct conn *c)
{
	if (!c->eio->is_entering)
		return;
	c->eio->is_entering = false;
	c->n_entering--;
	roles_unblock(c);
}

/*
 * A page is in its room whatever else happened. A client that is in one besides follows it when it
 * comes first, and may leave it.
 */
static void follow(struct conn *c, const struct resume_known *known)
{
	const struct cmd_id none = {0};
	struct resume_known mine;
	struct cursor_pos room;

	if (!c->room || (known && c->dialect == DIALECT_S4)) {
		if (known)
			restore_subs(c, known);
		return;
	}
	c->eio->is_entering = true; /* it may not miss what it says itself */
	c->n_entering++;
	conn_block(c);
	if (known)
		mine = room_alone(c, known, &room);
	if (known && mine.n)
		restore_subs(c, &mine);
	else
		roles_enter(c, c->room, false, 0, &none);
}

/*
 * The client is in. SESSION: what it comes back to, and what that followed; NULL for a new one.
 */
static void enter(struct conn *c, const struct uuid *session, const struct resume_known *known)
{
	struct worker *wk = conn_worker(c);
	bool is_owed = session && resume_take_over(wk, session);
	bool can_return = session || wk->settings->engineio_recovery;
	struct uuid id;

	if (can_return)
		resume_start(c, session, &id);
	else
		id = uuid_v7();
	if (can_return && !session)
		resume_mark(c); /* it can come back before it follows anything */
	say_connected(c, &id, can_return);
	presence_enter(c);
	follow(c, known);
	if (is_owed)
		resume_mark(c);
	if (c->dialect == DIALECT_S0)
		return;
	c->is_presence_stale = true; /* knows nobody yet */
	presence_catch_up(c);
	sio_all_enter(c, session, known);
}

void sio_all_known(struct conn *c)
{
	enter(c, NULL, NULL);
}

static void enter_new(struct conn *c)
{
	if (c->eio->all)
		sio_all_begin(c);
	else
		enter(c, NULL, NULL);
}

/* A client that comes back, while its session is looked up. */
struct sio_return {
	uint64_t conn_id;
	struct cursor cur; /* positions owned */
};

static void return_free(struct sio_return *r)
{
	cursor_done(&r->cur);
	free(r);
}

static void on_known(struct worker *wk, void *arg, int err, const struct resume_known *known)
{
	struct sio_return *r = arg;
	struct conn *c = conn_find(wk, r->conn_id);

	if (c && c->state == CONN_WS) {
		if (err) /* it comes again: better than a session without its conversations */
			ws_conn_close_code(c, WS_CLOSE_TRY_LATER, error_info(E_UNAVAILABLE)->text);
		else if (known->is_known)
			enter(c, &r->cur.session, known);
		else
			enter_new(c);
		roles_unblock(c);
	}
	return_free(r);
}

void sio_return(struct conn *c)
{
	struct sio_return *r = c->eio->back;

	c->eio->back = NULL;
	restore_recall(conn_worker(c), &r->cur, on_known, r);
}

void sio_return_forget(struct conn *c)
{
	if (c->eio->back)
		return_free(c->eio->back);
	c->eio->back = NULL;
}

#define POSITIONS_MAX 4096 /* an offset may be older than the limit on subscriptions in force */

/*
 * What the client wants to come back to: the session of "pid", with the positions of "offset". What
 * is none of ours, or somebody else's, is as good as none. Positions owned.
 */
static bool read_return(const struct conn *c, const struct sio_auth *auth, struct cursor *ret)
{
	struct cursor pid, offset;
	bool is_mine;

	if (!conn_worker(c)->settings->engineio_recovery || !auth->pid.len ||
	    cursor_decode(auth->pid, POSITIONS_MAX, &pid) < 0)
		return false;
	is_mine = !uuid_is_zero(&pid.session) && pid.user == c->user;
	if (is_mine && cursor_decode(auth->offset, POSITIONS_MAX, &offset) == 0) {
		*ret = offset;
		ret->session = pid.session;
		ret->user = pid.user;
		cursor_done(&pid);
	} else if (is_mine) {
		*ret = pid;
	} else {
		cursor_done(&pid);
	}
	return is_mine;
}

/* A client without a room of its own follows what it says, or what the setting does. */
static bool wants_all(const struct conn *c, const struct sio_auth *auth)
{
	bool all = auth->has_autojoin ? auth->autojoin
				      : conn_worker(c)->settings->engineio_autojoin;

	return all && c->dialect == DIALECT_S4;
}

static void come_in(struct conn *c, const struct sio_auth *auth)
{
	struct sio_return *r;
	struct cursor cur;

	if (wants_all(c, auth))
		sio_all_start(c);
	if (!read_return(c, auth, &cur)) {
		enter_new(c);
		return;
	}
	r = xmalloc(sizeof(*r));
	*r = (struct sio_return){c->id, cur};
	c->eio->back = r;
	conn_block(c); /* what follows is understood only by somebody who is in */
	if (resume_is_here(conn_worker(c), &cur.session))
		sio_return(c);
	else
		conn_wait(c, WAIT_EIO_RETURN);
}

/* ---- Packets ---- */

/*
 * Who the packet and the handshake say that it is. A token in the packet counts; of the handshake's
 * cookie the room then, if it is the same person's.
 */
static enum proto_error tell_who(struct conn *c, const struct sio_auth *auth, struct identity *ret)
{
	struct worker *wk = conn_worker(c);
	enum proto_error error;

	if (!auth->token.len)
		return c->who ? authn_again(wk, c->who, ret) : E_UNAUTHORIZED;
	error = authn_token(wk, auth->token, ret);
	if (!error && c->who && c->who->user == ret->user)
		ret->room = c->who->room;
	return error;
}

/* Who is nobody counts as a request without valid credentials does. */
static void refuse_who(struct conn *c, struct str nsp, enum proto_error error)
{
	int64_t retry_ms;
	bool is_limited = error == E_UNAUTHORIZED &&
			  !limits_take(conn_worker(c), LIMIT_ANONYMOUS, limit_by_addr(&c->addr),
				       &retry_ms);
	const struct error_info *info = error_info(is_limited ? E_RATE_LIMITED : error);

	sio_refuse_connect(c, nsp, str_of(info->text), info->code);
	if (is_limited)
		ws_conn_close(c, E_RATE_LIMITED);
}

void sio_connect(struct conn *c, const struct sio_packet *p)
{
	struct sio_auth auth;
	struct identity who;
	enum proto_error error;

	if (!str_eq(p->nsp, STR(SIO_NSP_MAIN))) {
		sio_refuse_connect(c, p->nsp, STR("Invalid namespace"), NULL);
		return;
	}
	if (c->is_helloed) /* it is there already */
		return;
	sio_auth_read(p, &auth);
	error = tell_who(c, &auth, &who);
	if (error) {
		refuse_who(c, p->nsp, error);
		return;
	}
	authn_adopt(c, &who);
	authn_forget(c);
	c->is_helloed = true;
	c->room = who.room;
	c->dialect = c->room && who.by == BY_COOKIE ? DIALECT_S0 : DIALECT_S4;
	come_in(c, &auth);
}

void sio_disconnect(struct conn *c, const struct sio_packet *p)
{
	if (!str_eq(p->nsp, STR(SIO_NSP_MAIN)) || !c->is_helloed)
		return;
	ws_conn_shut(c, WS_CLOSE_NORMAL, ""); /* there is no other namespace to go on with */
}

void sio_say_disconnect(struct conn *c)
{
	size_t mark;
	struct buf *b;

	if (!c->is_helloed)
		return;
	b = sio_frame_begin(c, &mark);
	sio_add_disconnect(b, STR(SIO_NSP_MAIN));
	sio_frame_end(b, mark);
}
