/* SPDX-License-Identifier: MIT */
/*
 * What the handlers of the sockets' operations share, and their list for the table of on_cmd.c.
 * Not for other files: they call on_cmd.h.
 */
#ifndef WORKER_ON_PRIV_H
#define WORKER_ON_PRIV_H

#include "base/base.h"
#include "base/buf.h"
#include "proto/cmd.h"
#include "proto/dialect_native.h"
#include "proto/dialect_raw.h"
#include "proto/errors.h"
#include "worker/chan.h"
#include "worker/conn.h"
#include "worker/on_cmd.h"
#include "worker/pace.h"
#include "worker/persist.h"
#include "worker/repeat.h"
#include "worker/stale.h"
#include "worker/ws_conn.h"

/* A request whose answer comes later. Freed by whoever answers it. */
struct pending {
	struct worker *wk;
	uint64_t conn_id;
	int64_t conv;
	int64_t seen; /* send: the newest rev the connection had; INT64_MAX: not known */
	uint64_t unplaced; /* send: the serial of a sub that waits for it, 0: none does */
	struct cmd_id re, key;
	struct stale_key page; /* history: what an old answer may do for */
	struct pace pace;      /* send: to be given back unless it is stored */
	int64_t retry_ms;      /* refused: when to come again */
	enum authz_action denied; /* is_denied: what a refusal is noted for in the audit log */
	bool is_denied;
};

struct pending *pending_new(const struct conn *c, const struct cmd *cmd, int64_t conv);

/* The connection that asked, or NULL when nobody waits for the answer any more. */
struct conn *pending_conn(const struct pending *p);

/* Answers the pending request with an error, in the connection's dialect. */
void pending_refuse(const struct pending *p, enum proto_error error);

/*
 * The same with DETAIL in the place of the error's own text, unless it is NULL; p->retry_ms tells
 * when to come again.
 */
void pending_refuse_as(const struct pending *p, enum proto_error error, const char *detail);

/* Answers a request with an error at once. */
void cmd_refuse(struct conn *c, const struct cmd *cmd, enum proto_error error);

/* {"op":"ok"} when the request has an id and the dialect such an answer. */
void cmd_say_ok(struct conn *c, const struct cmd *cmd);

/* The conversation that the request is about: the socket's own in DIALECT_RAW. */
int64_t cmd_conv(const struct conn *c, const struct cmd *cmd);

/* The subscription that the request needs; refused here and NULL when there is none. */
struct sub *cmd_sub(struct conn *c, const struct cmd *cmd);

/*
 * The subscription that the request needs if its sender may do ACTION there; refused here and NULL
 * otherwise.
 */
struct sub *cmd_may(struct conn *c, const struct cmd *cmd, enum authz_action action);

/*
 * Whether the sender of a mark may set it; refused here if not. Clients that are told of messages
 * without following their conversation (S4) need not follow it for that either.
 */
bool cmd_may_mark(struct conn *c, const struct cmd *cmd);

/*
 * May the request P, which wants to do ACTION and make an event in P's conversation, do so now:
 * rights, limits and for a message slow mode, in this order. *RET are its sender's rights if so.
 * False: E_NONE is not what it returns, and what is to be told besides is in P; nothing has been
 * taken from anybody's allowance. Tell it with cmd_refuse_new.
 */
enum proto_error cmd_may_make(struct conn *c, enum authz_action action, struct pending *p,
			      struct rights *ret);

/*
 * Refuses P for ERROR (and frees it, in DONE) unless what it asks for was stored before under its
 * key; TYPE is the event that it would make.
 */
void cmd_refuse_new(struct conn *c, const struct cmd *cmd, enum event_type type, struct pending *p,
		    enum proto_error error, persist_done_fn *done);

/* One for each operation; see the table of on_cmd.c. */
void on_hello(struct conn *c, const struct cmd *cmd);
void on_sub(struct conn *c, const struct cmd *cmd);
void on_unsub(struct conn *c, const struct cmd *cmd);
void on_resume(struct conn *c, const struct cmd *cmd);
void on_send(struct conn *c, const struct cmd *cmd);
void on_history(struct conn *c, const struct cmd *cmd);
void on_change(struct conn *c, const struct cmd *cmd); /* edit, delete, recover, react */
void on_mark(struct conn *c, const struct cmd *cmd);   /* read, delivered */
void on_sync(struct conn *c, const struct cmd *cmd);
void on_typing(struct conn *c, const struct cmd *cmd);
void on_ping(struct conn *c, const struct cmd *cmd);
void on_presence(struct conn *c, const struct cmd *cmd); /* rest_presence.c */

/*
 * Reads what belongs to the confirmation of a subscription that is level, then says it with
 * sub_say_live: answering RE, or of itself when RE is empty. What the database did not tell is not
 * said.
 */
#define UNREAD_UNKNOWN (-1)
void on_mark_confirm(struct sub *sub, const struct cmd_id *re);
void sub_say_live(struct sub *sub, const struct cmd_id *re, int64_t unread);

#endif
