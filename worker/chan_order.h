/* SPDX-License-Identifier: MIT */
/*
 * One order for everybody: events of a channel are delivered by rev without gap or repeat. What
 * comes early waits, what does not come is read from the database.
 */
#ifndef WORKER_CHAN_ORDER_H
#define WORKER_CHAN_ORDER_H

#include "base/base.h"
#include "proto/cmd.h"
#include "proto/event.h"
#include "sql/events.h"
#include "worker/chan.h"

/* The text of a message's key, for as long as its event is used. */
struct key_text {
	char text[CMD_KEY_MAX + 1];
};

/*
 * A row of the log as an event; false for a kind that this version does not know. Borrows from
 * ROW and from KEY, which receives the sender's own key: who sent it before a reconnect
 * recognises it.
 */
bool chan_order_from_row(int64_t conv, const struct event_row *row, struct key_text *key,
			 struct event *ret);

/* Delivers what has waited and now has its turn. */
void chan_order_release(struct chan *ch);

/* Reads everything after the delivered rev from the database. */
void chan_order_fill(struct chan *ch);

/* Somebody knows of more than was delivered: if it does not come soon, the database is read. */
void chan_order_doubt(struct chan *ch);

/* Fills the hole when its time has come. Returns the time of the next look, UINT64_MAX for none. */
uint64_t chan_order_run(struct chan *ch, uint64_t now_ms);

/* Drops what waits. */
void chan_order_done(struct chan *ch);

#endif
