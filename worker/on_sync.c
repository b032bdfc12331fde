/* SPDX-License-Identifier: MIT */
/*
 * The operation "sync": a page of what happened since a cursor, without following anything.
 * Pages are made by sync.c.
 */
#include "worker/on_priv.h"

#include "worker/sync.h"

static void on_answer(struct worker *wk, void *arg, enum proto_error error,
		      const struct sync_answer *answer)
{
	struct pending *p = arg;
	struct conn *c = pending_conn(p);

	(void)wk;
	if (error) {
		pending_refuse(p, error);
	} else if (c) {
		size_t mark;
		struct buf *b = ws_reply_begin(c, &mark);

		native_add_sync(b, &p->re, answer->events, answer->cursor, answer->is_more);
		ws_reply_end(c, b, mark);
	}
	if (c)
		conn_unblock(c);
	free(p);
}

void on_sync(struct conn *c, const struct cmd *cmd)
{
	conn_block(c); /* a page may be large: one is under way at a time */
	sync_ask(conn_worker(c), cmd->cursor, c->user, cmd->limit, on_answer,
		 pending_new(c, cmd, 0));
}
