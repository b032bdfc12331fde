/* SPDX-License-Identifier: MIT */
/*
 * Requests that would be refused now although they may have been stored before: the first answer
 * is looked up by the client's key, and the refusal given only to those that were never stored.
 * Requests that are not refused do not come here: storing finds their keys.
 *
 * What is asked in one turn is one statement, and one is under way at a time, so that refused
 * requests cost the database less than accepted ones.
 */
#ifndef WORKER_REPEAT_H
#define WORKER_REPEAT_H

#include "base/base.h"
#include "base/ids.h"
#include "proto/errors.h"
#include "proto/event.h"
#include "worker/persist.h"
#include "worker/worker.h"

struct item;

/* A request, and why it is refused. Strings are borrowed during the call. */
struct repeat {
	int64_t conv, actor;
	struct uuid key;	/* the client's; zero: it gave none, and is refused at once */
	enum event_type type;	/* what it would have made */
	int64_t target_rev;	/* the message that it would have changed; 0: none */
	struct str emoji;	/* of a reaction */
	enum proto_error error; /* not E_NONE */
	const char *detail;	/* in the place of the error's own text, or NULL */
};

/*
 * DONE is called exactly once, also from inside this call: with what is stored, as a duplicate,
 * when such an event of this actor is under the key; else with the error. Mutes, missing voices,
 * slow mode, limits and filters are looked behind; who was put out is told so at once.
 *
 * When nobody can look now (the database is away, or too many wait: REPEAT_ACTOR_MAX of one actor,
 * REPEAT_MAX of all), refusals that say themselves when to come again are given as they are, and
 * others become E_UNAVAILABLE: nobody is told for good that something was not stored which may
 * have been.
 */
#define REPEAT_ACTOR_MAX 64
#define REPEAT_MAX 1024
void repeat_ask(struct worker *wk, const struct repeat *what, persist_done_fn *done, void *arg);

/*
 * The same for something of persist.c's queue, whose answer it takes over. False when there is
 * nothing to look up: the item has its answer still.
 */
bool repeat_ask_item(struct worker *wk, struct item *it, enum proto_error error,
		     const char *detail);

/* For persist.c alone. */
void repeat_open(struct worker *wk);
void repeat_flush(struct worker *wk);	    /* once a turn, behind what is to be stored */
bool repeat_is_idle(const struct worker *wk);
void repeat_close(struct worker *wk);

#endif
