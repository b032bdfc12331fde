/* SPDX-License-Identifier: MIT */
/*
 * One send or change on its way through persist.c, and what the database's answer makes of it.
 * Queueing, sending and announcing are persist.c's.
 */
#ifndef WORKER_PERSIST_PRIV_H
#define WORKER_PERSIST_PRIV_H

#include "base/list.h"
#include "sql/batch.h"
#include "sql/changes.h"
#include "worker/persist.h"

struct round;

struct item {
	struct list node;    /* in the queue, or none */
	struct round *round; /* under way in it; NULL: waits */
	struct event event;  /* what is announced; complete once it is stored */
	struct log_change change; /* a message has kind KIND_MESSAGE_NEW here, and nothing else */
	uint64_t queued_ms;
	persist_done_fn *done; /* NULL once answered */
	void *arg;
	enum proto_error error; /* the verdict, for the answer */
	bool is_duplicate;
	bool is_again; /* goes back to the queue when its round ends */
	char bytes[];  /* the strings of event and change */
};

enum verdict {
	VERDICT_STORED,	 /* by this attempt: to be announced */
	VERDICT_SETTLED, /* there is nothing to announce; error says whether it went well */
	VERDICT_AGAIN,	 /* certainly not stored, for a reason that may pass */
	VERDICT_UNKNOWN, /* stored or not */
};

/* Both copy everything, and the caller frees with free(). */
struct item *item_new_message(const struct event *ev);
struct item *item_new_change(const struct log_change *change, struct str actor_name);

bool item_is_change(const struct item *it);

/* Sender and conversation as one number: items with different ones may overtake each other. */
uint64_t item_key(const struct item *it);

/*
 * Complete the item by the answer of the database. The strings of a change's event are the
 * answer's.
 */
enum verdict item_judge_message(struct item *it, const struct batch_answer *a);
enum verdict item_judge_change(struct item *it, const struct log_change_answer *a);

/*
 * The row of a message; *METAS collects what the rows of a batch borrow, and moves: call
 * items_rows_settle when it is complete.
 */
void item_row(const struct item *it, struct batch_row *ret, struct buf *metas);
void items_rows_settle(struct batch_row *rows, size_t n, const struct buf *metas);

#endif
