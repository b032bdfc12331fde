/* SPDX-License-Identifier: MIT */
/*
 * What clients ask for over Socket.IO: events to commands. Those that name a conversation or a
 * person in a way that only the database understands wait for it, and their client's next ones
 * behind them. Packets and connecting are sio.c's, what commands do is on_cmd.h's.
 */
#include "worker/sio.h"

#include "proto/dialect_raw.h"
#include "proto/s0.h"
#include "proto/s4.h"
#include "sql/direct.h"
#include "sql/rooms.h"
#include "worker/dbio.h"
#include "worker/direct.h"
#include "worker/limits.h"
#include "worker/on_cmd.h"
#include "worker/revoke.h"
#include "worker/roles.h"
#include "worker/ws_conn.h"

/* ---- Running ---- */

static void refuse(struct conn *c, const struct cmd *cmd, const struct fault *fault)
{
	struct cmd_id key = {0};

	if (cmd->has_key)
		raw_key_of(cmd, &key);
	ws_conn_fault(c, fault, &cmd->id, &key, cmd->conv);
}

static void refuse_field(struct conn *c, const struct cmd *cmd, enum proto_error error,
			 const char *field)
{
	struct fault fault;

	fault_set(&fault, error);
	fault.field = field;
	refuse(c, cmd, &fault);
}

/* Joining twice changes nothing: how the conversation stands is said again. */
static void run(struct conn *c, const struct cmd *cmd)
{
	struct sub *sub = cmd->op == OP_SUB ? sub_find(c, cmd->conv) : NULL;

	if (cmd->op == OP_UNSUB)
		sio_all_stop(c); /* its client decides */
	if (sub)
		on_mark_again(sub, &cmd->id);
	else
		on_cmd(c, cmd);
}

/* ---- Waiting for the database ---- */

/* A command that is not understood yet; one block. */
struct waiting {
	struct worker *wk;
	uint64_t conn_id;
	struct cmd cmd;
	char bytes[]; /* its strings */
};

static void go_on(struct waiting *w);

static struct waiting *waiting_new(struct conn *c, const struct cmd *cmd)
{
	struct waiting *w = xcalloc(1, sizeof(*w) + cmd->content.len + cmd->key.len +
					       cmd->attachment.len);
	char *at = w->bytes;

	w->wk = conn_worker(c);
	w->conn_id = c->id;
	w->cmd = *cmd;
	w->cmd.content = str_put(&at, cmd->content);
	w->cmd.key = str_put(&at, cmd->key);
	w->cmd.attachment = str_put(&at, cmd->attachment);
	return w;
}

/* The connection that asked; NULL (and W is freed) when it has gone. It is not blocked by W now. */
static struct conn *take_conn(struct waiting *w)
{
	struct conn *c = conn_find(w->wk, w->conn_id);

	if (c)
		c->n_entering--;
	if (c && c->state == CONN_WS && conn_make_room(c))
		return c;
	if (c && c->is_blocked)
		roles_unblock(c);
	free(w);
	return NULL;
}

/* W is answered. */
static void end(struct conn *c, struct waiting *w)
{
	free(w);
	if (c->is_blocked)
		roles_unblock(c);
}

static void end_refused(struct conn *c, struct waiting *w, enum proto_error error,
			const char *field)
{
	refuse_field(c, &w->cmd, error, field);
	end(c, w);
}

/* ---- Conversations by UUID ---- */

static void on_room(void *arg, int err, const struct room *room)
{
	struct waiting *w = arg;
	struct conn *c = take_conn(w);

	if (!c)
		return;
	if (err) {
		end_refused(c, w, err == -ERR_NOENT ? E_NO_SUCH_ROOM : E_UNAVAILABLE, NULL);
		return;
	}
	w->cmd.conv = room->id;
	w->cmd.has_conv_uid = false;
	c->n_entering++;
	go_on(w);
}

/* ---- Direct conversations ---- */

static void on_direct(void *arg, int err, const struct direct *direct)
{
	struct waiting *w = arg;
	struct conn *c = take_conn(w);
	struct fault fault;

	if (!err && direct->is_new) {
		revoke_member(w->wk, direct->conv, c ? c->user : 0);
		revoke_member(w->wk, direct->conv, direct->peer);
	}
	if (!c)
		return;
	if (err) {
		if (!direct_fault(err, "receiverId", &fault))
			fault_set(&fault, E_UNAVAILABLE);
		refuse(c, &w->cmd, &fault);
		end(c, w);
		return;
	}
	w->cmd.conv = direct->conv;
	w->cmd.peer = direct->peer;
	w->cmd.has_peer_uid = false;
	c->n_entering++;
	go_on(w);
}

/* ---- Rights ---- */

/* A message to a conversation that the connection, whose client is no page, does not follow. */
static bool is_unfollowed(const struct conn *c, const struct cmd *cmd)
{
	return cmd->op == OP_SEND && !cmd->peer && !cmd->has_peer_uid && cmd->conv != c->room &&
	       !sub_find(c, cmd->conv);
}

/* Of two people each writes to the other, whether he follows what they have or not. */
static void find_peer(struct cmd *cmd, const struct rights *r)
{
	if (cmd->op == OP_SEND && !cmd->peer && r->actor.role > ROLE_NONE)
		cmd->peer = r->peer;
}

/* They are known from now on, for as long as nothing else happens. */
static void on_rights(struct worker *wk, void *arg, int err, const struct rights *r)
{
	struct waiting *w = arg;
	struct conn *c = take_conn(w);

	(void)wk;
	if (!c)
		return;
	if (!err)
		find_peer(&w->cmd, r);
	if (err == -ERR_NOENT && is_unfollowed(c, &w->cmd))
		err = 0; /* refused as one that is there and somebody else's */
	if (err) {
		end_refused(c, w, err == -ERR_NOENT ? E_NO_SUCH_ROOM : E_UNAVAILABLE, NULL);
		return;
	}
	run(c, &w->cmd);
	end(c, w);
}

/* ---- In which order ---- */

static bool needs_rights(const struct conn *c, const struct cmd *cmd)
{
	return cmd->op == OP_READ || cmd->op == OP_DELIVERED ||
	       (cmd->op == OP_SEND && cmd->peer) || is_unfollowed(c, cmd);
}

static bool needs_peer(const struct cmd *cmd)
{
	return cmd->op == OP_SEND && !cmd->conv && (cmd->peer || cmd->has_peer_uid);
}

/* The next thing that is missing; W is taken. */
static void go_on(struct waiting *w)
{
	struct conn *c = conn_find(w->wk, w->conn_id);
	const struct cmd *cmd = &w->cmd;
	int r = 0;

	if (cmd->has_conv_uid)
		r = room_info(dbio_reader(w->wk), 0, &cmd->conv_uid, dbio_deadline(w->wk), on_room,
			      w, NULL);
	else if (needs_peer(cmd))
		r = direct_open(dbio_writer(w->wk), c->user, cmd->peer, &cmd->peer_uid,
				dbio_deadline(w->wk), on_direct, w, NULL);
	else if (cmd->reply_to_rev && cmd->reply_to_conv != cmd->conv) {
		c->n_entering--;
		end_refused(c, w, E_INVALID, "replyTo");
	} else
		roles_get(w->wk, cmd->conv, c->user, c->is_admin, on_rights, w);
	if (r < 0 && cmd->has_conv_uid)
		on_room(w, r, NULL);
	else if (r < 0)
		on_direct(w, r, NULL);
}

static void wait_for(struct conn *c, const struct cmd *cmd)
{
	struct waiting *w = waiting_new(c, cmd);

	c->n_entering++;
	conn_block(c);
	go_on(w);
}

/* ---- Events ---- */

/* The room of somebody's notifications: everybody is in his own, and in no other. */
static void enter_own(struct conn *c, const struct cmd *cmd)
{
	if (cmd->peer == c->user)
		sio_say_ok(c, &cmd->id);
	else
		refuse_field(c, cmd, E_FORBIDDEN, NULL);
}

static void dispatch(struct conn *c, const struct cmd *cmd)
{
	if (cmd->op == OP_SUB && cmd->peer)
		enter_own(c, cmd);
	else if (cmd->has_conv_uid || needs_peer(cmd) || needs_rights(c, cmd))
		wait_for(c, cmd);
	else
		run(c, cmd);
}

/* The room of a page is written to as pages do, by whomever. */
static bool is_for_page(const struct conn *c, const struct sio_packet *p)
{
	struct str name;

	return c->dialect == DIALECT_S0 ||
	       (c->room && sio_event_name(p, &name) && str_eq(name, STR(S0_EVENT)));
}

void sio_event(struct conn *c, const struct sio_packet *p)
{
	struct cmd_limits limits = worker_cmd_limits(conn_worker(c));
	struct fault fault;
	struct cmd_id key = {0};
	struct cmd cmd;
	int64_t retry_ms;
	enum limit_verdict verdict = limits_frame(c, LIMIT_OPERATIONS, &retry_ms);
	int r;

	limits.conv_uids = true;
	if (is_for_page(c, p)) {
		r = s0_cmd(p, &limits, &cmd, &fault);
		cmd.conv = c->room;
	} else {
		r = s4_cmd(p, &limits, &cmd, &fault);
	}
	if (cmd.has_key)
		raw_key_of(&cmd, &key);
	if (verdict == LIMIT_ABUSE)
		ws_conn_abused(c);
	else if (verdict == LIMIT_REFUSED)
		ws_conn_limited(c, retry_ms, &cmd.id, &key, cmd.conv);
	else if (r < 0)
		refuse(c, &cmd, &fault);
	else
		dispatch(c, &cmd);
}
