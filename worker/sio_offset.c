/* SPDX-License-Identifier: MIT */
/*
 * Offsets: the last argument of an event, which tells how far its receiver has come.
 * Who comes back with one is sio_connect.c's.
 */
#include "worker/sio.h"

#include "proto/cursor.h"
#include "worker/chan.h"

void sio_add_offset(struct buf *b, const struct event *ev)
{
	struct cursor_pos pos = {ev->conv, ev->rev};

	cursor_encode(b, &(struct cursor){.pos = &pos, .n = 1});
}

void sio_add_first_offset(struct buf *b, const struct conn *c)
{
	if (dialect_is_sio(c->dialect) && c->resume && !c->subs)
		cursor_encode(b, &(struct cursor){0});
}

/* The same in everything that C follows; all of it was queued before EV. */
static void add_own_offset(struct buf *b, const struct conn *c, const struct event *ev)
{
	struct cursor cur = {.pos = xcalloc(c->n_subs + 1, sizeof(*cur.pos))};

	cur.pos[cur.n++] = (struct cursor_pos){ev->conv, ev->rev};
	for (const struct sub *sub = c->subs; sub; sub = sub->next_of_conn)
		if (sub->chan->conv != ev->conv && sub_position(sub) >= 0)
			cur.pos[cur.n++] =
				(struct cursor_pos){sub->chan->conv, sub_position(sub)};
	cursor_encode(b, &cur);
	free(cur.pos);
}

void sio_send_packet(struct sub *sub, const struct event *ev, struct str packet)
{
	struct conn *c = sub->conn;
	struct buf offset = BUF_INIT;

	if (c->resume && ev->rev)
		add_own_offset(&offset, c, ev);
	sio_add_frame(conn_reply(c), packet, buf_str(&offset));
	buf_done(&offset);
}
