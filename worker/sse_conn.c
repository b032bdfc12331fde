/* SPDX-License-Identifier: MIT */
/*
 * Writes native frames as blocks of an event stream.
 * Requests for streams are answered elsewhere; deadlines and closing are conn.c's.
 */
#include "worker/sse_conn.h"

void sse_conn_frame(struct conn *c, struct str json)
{
	struct buf *b = conn_reply(c);

	buf_add(b, "data: ", 6);
	buf_add(b, json.p, json.len);
	buf_add(b, "\n\n", 2);
}

void sse_conn_event(struct sub *sub, const struct event *ev, struct str json)
{
	(void)ev;
	sse_conn_frame(sub->conn, json);
}

void sse_conn_timeout(struct conn *c, enum conn_wait wait)
{
	(void)wait;
	conn_kill(c, CONN_END_LOST);
}

void sse_conn_drain(struct conn *c)
{
	conn_finish(c, CONN_END_CLEAN);
}

void sse_conn_done(struct conn *c)
{
	(void)c;
}
