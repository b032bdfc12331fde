/* SPDX-License-Identifier: MIT */
/*
 * Gathers sends into batches, commits them, then acknowledges and announces. The only way of a
 * message into the log.
 */
#ifndef WORKER_PERSIST_H
#define WORKER_PERSIST_H

#include "base/base.h"
#include "base/ids.h"
#include "proto/errors.h"
#include "proto/event.h"
#include "worker/worker.h"

struct log_change; /* sql/changes.h */
struct log_change_answer;

/*
 * What became of a send or a change; EVENT is complete when error is E_NONE. Its rev is 0 when a
 * change was in force already: then nothing was announced. Borrowed during the call.
 */
struct persist_result {
	enum proto_error error;
	bool is_duplicate;
	const struct event *event;
	/* of a change that the database answered; else NULL */
	const struct log_change_answer *answer;
	const char *detail; /* why it is refused, for its sender; NULL: the error's own text */
};

typedef void persist_done_fn(struct worker *wk, void *arg, const struct persist_result *res);

void persist_open(struct worker *wk);

/* Whatever waits is answered E_UNAVAILABLE; the connections are gone already. */
void persist_close(struct worker *wk);

/*
 * Queues a message: it is stored unless a content filter blocks it, and as the filters leave it.
 * EVENT has conv, actor, actor_name, content, client_msg_id (zero: given here),
 * client_id, key (an attachment), reply_to_rev; all copied, as SESSION (NULL: none) is, in which it
 * was said. DONE is called exactly once, after the commit or when it is certain that it will not be
 * answered in time; never from inside this call. Returns 0; -ERR_FULL when persist.queue_max is
 * reached; -ERR_UNAVAILABLE when the database has been away for persist.wait_max.
 */
int persist_send(struct worker *wk, const struct event *event, const struct uuid *session,
		 persist_done_fn *done, void *arg) MUST_CHECK;

/*
 * Queues a change of the log that is no message: an edit, a reaction, a closing. Keeps the
 * promises of persist_send: CHANGE, ACTOR_NAME and SESSION are copied, DONE comes exactly once and
 * never from inside this call; its row is announced to the conversation after the commit and before
 * DONE, also when this process dies between the two. What one actor sends and changes in one
 * conversation is stored in the order of these calls. Returns 0, -ERR_FULL or -ERR_UNAVAILABLE.
 */
int persist_change(struct worker *wk, const struct log_change *change, struct str actor_name,
		   const struct uuid *session, persist_done_fn *done, void *arg) MUST_CHECK;

/*
 * The rights of USER (0: of everybody) in CONV have changed: what they said there and still waits
 * is refused with what MAY_SPEAK says, unless that is E_NONE. What is under way goes on.
 */
typedef enum proto_error persist_may_fn(struct worker *wk, int64_t conv, int64_t user);
void persist_recheck(struct worker *wk, int64_t conv, int64_t user, persist_may_fn *may_speak);

/* Whether something of USER (0: of anybody) in CONV waits to be judged so. */
bool persist_waits(const struct worker *wk, int64_t conv, int64_t user);

/*
 * USER, or who is in SESSION (NULL: whatever the session), may not act any more: what they said and
 * changed and still waits is refused with E_UNAUTHORIZED. What the database was given before this
 * call is stored or not as if it had come before; if it could not be stored, it is not given again.
 */
void persist_revoke(struct worker *wk, int64_t user, const struct uuid *session);

/* Sends the next batch if none is under way. Called once a turn. */
void persist_flush(struct worker *wk);

/* Gives up what has waited longer than persist.wait_max. Called each second. */
void persist_expire(struct worker *wk);

/* True when nothing waits and nothing is in flight. */
bool persist_is_idle(const struct worker *wk);

#endif
