/* SPDX-License-Identifier: MIT */
/*
 * One send or change on its way through persist.c, and what the database's answer makes of it.
 * Queueing, sending and announcing are persist.c's.
 */
#ifndef WORKER_PERSIST_PRIV_H
#define WORKER_PERSIST_PRIV_H

#include "base/buf.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "sql/batch.h"
#include "sql/changes.h"
#include "worker/persist.h"

struct repeats;
struct round;

struct persist {
	struct list queue; /* struct item.node */
	size_t n_queued, n_changes; /* all; the changes among them */
	size_t n_due, n_held; /* to be judged; all that are not judged, those included */
	/*
	 * All before SKIP (NULL: nothing) waits for a judgement, of its own or of something earlier
	 * in its conversation: HELD has those.
	 */
	struct list *skip;
	struct map held;
	struct round *round; /* NULL: the writer is free */
	struct repeats *repeats; /* repeat.c's */
	bool has_notes; /* something flagged was stored in this round */
	uint64_t expire_ms;  /* the end of the oldest that is not answered; 0 = look */
	uint64_t pause_ms, pause_until_ms;
	struct log_rate rate;
};

/* What is under way in the database. */
struct round {
	struct worker *wk;
	size_t n_rows, n_changes;
	unsigned n_open; /* the batch and the changes that are not answered */
	struct item *items[]; /* owned; rows in the order of the batch's answers, then changes */
};

/* How far the content filters are with an item. */
enum judgement {
	JUDGE_DONE,  /* or there is nothing to judge */
	JUDGE_DUE,   /* the filters have not seen it */
	JUDGE_ASKED, /* the hook has it */
};

struct item {
	struct list node;    /* in the queue, or none */
	struct round *round; /* under way in it; NULL: waits */
	struct event event;  /* what is announced; complete once it is stored */
	struct log_change change; /* a message has kind KIND_MESSAGE_NEW here, and nothing else */
	uint64_t queued_ms;
	persist_done_fn *done; /* NULL once answered */
	void *arg;
	enum proto_error error; /* the verdict, for the answer */
	enum judgement judgement;
	uint64_t ticket; /* of the hook, while it is asked */
	struct buf text; /* owned: what is stored in the place of the sender's text */
	struct filter_note *note; /* owned: what a filter remarked, or NULL */
	bool has_key; /* the client's own: it may come again under it */
	bool is_duplicate;
	bool is_again; /* goes back to the queue when its round ends */
	bool is_revoked; /* but this does not: its sender may not act any more */
	struct uuid session; /* in which it was said; zero: none */
	char bytes[];  /* the strings of event and change */
};

enum verdict {
	VERDICT_STORED,	 /* by this attempt: to be announced */
	VERDICT_SETTLED, /* there is nothing to announce; error says whether it went well */
	VERDICT_AGAIN,	 /* certainly not stored, for a reason that may pass */
	VERDICT_UNKNOWN, /* stored or not */
};

/* Why a stored text was flagged. */
struct filter_note {
	int64_t rule; /* 0: the hook */
	size_t len;
	char reason[];
};

/* Both copy everything; freed with item_free. */
struct item *item_new_message(const struct event *ev);
struct item *item_new_change(const struct log_change *change, struct str actor_name);
void item_free(struct item *it);

/* Something done to somebody else's membership. */
bool item_is_moderation(const struct item *it);

/* The text that the content filters judge; p NULL for what has none. */
struct str item_text(const struct item *it);

/* The address that a message brings with it; empty for all else. */
struct str item_attachment(const struct item *it);

/* TEXT, copied, is stored in its place. */
void item_set_text(struct item *it, struct str text);
void item_set_note(struct item *it, int64_t rule, struct str reason);

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

/*
 * persist_judge.c. A new item of the queue is to be judged if some filter is about it; judge_run
 * does so for those whose turn has come, judge_forget when one leaves the queue unjudged.
 */
void judge_enter(struct worker *wk, struct item *it);
void judge_run(struct worker *wk);
void judge_forget(struct worker *wk, struct item *it);

/* ---- The queue (persist_queue.c) ---- */

/* Puts the queue's length into the metrics. */
void persist_show(const struct worker *wk);

/* What waits at the front of the queue may go on: it is looked at again from there. */
void persist_look_again(struct persist *p);

/* Takes an item out of the queue, or puts it in before a place. The item stays the caller's. */
void persist_take(struct persist *p, struct item *it);
void persist_put(struct persist *p, struct item *it, struct list *before);

/* Takes an item out of the queue, answers and frees it. DETAIL may be NULL. */
void persist_drop(struct worker *wk, struct item *it, enum proto_error error, const char *detail);

/* Until when the item may wait, as clock_mono_ms. */
uint64_t item_expires_at(const struct worker *wk, const struct item *it);

/* Answers the sender, once: the item's error, and A, the answer to a change; both may be none. */
void item_answer(struct worker *wk, struct item *it, const struct log_change_answer *a,
		 const char *detail);
void item_refuse(struct worker *wk, struct item *it, enum proto_error error);

#endif
