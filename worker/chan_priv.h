/* SPDX-License-Identifier: MIT */
/*
 * What the chan*.c files share of a subscription's life; not for others.
 */
#ifndef WORKER_CHAN_PRIV_H
#define WORKER_CHAN_PRIV_H

#include "worker/chan.h"

/* Names a subscription in a database callback: it may be gone or replaced by then. */
struct sub_ref {
	struct worker *wk;
	uint64_t conn_id, serial;
	int64_t conv;
	int64_t rev; /* the channel's when the query was made: all up to here was committed then */
};

struct sub_ref *sub_ref_new(const struct sub *sub);

/* The subscription, or NULL when it has gone. Frees REF. */
struct sub *sub_ref_take(struct sub_ref *ref);

/* Takes a subscription that is in no list as far as it gets without waiting. */
void sub_go_on(struct sub *sub);

/* Asks for the head of a channel that does not know it; subscriptions wait meanwhile. */
void chan_load(struct chan *ch);

/* Frees a channel that nobody follows. */
void chan_free(struct chan *ch);

/* Out of the array of receivers. */
void sub_take_off(struct sub *sub);

#endif
