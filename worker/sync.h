/* SPDX-License-Identifier: MIT */
/*
 * What has happened since a cursor, page by page, for the socket and for REST.
 * The rows are sql/sync.h's; how a page is asked for and framed is on_sync.c's and rest_sync.c's.
 */
#ifndef WORKER_SYNC_H
#define WORKER_SYNC_H

#include "base/base.h"
#include "proto/errors.h"
#include "worker/worker.h"

#define SYNC_LIMIT_DEFAULT 200

/* One page. Borrowed during the call. */
struct sync_answer {
	/* An array: frames as on the socket, "ev" and "gap", each conversation in order. */
	struct str events;
	struct str cursor; /* where to go on */
	bool is_more;
};

/* ANSWER is NULL unless ERROR is E_NONE. */
typedef void sync_answer_fn(struct worker *wk, void *arg, enum proto_error error,
			    const struct sync_answer *answer);

#define SYNC_ANYBODY (-1)

/*
 * The durable events after CURSOR, at most LIMIT (0: the default). USER: whose cursor it must be,
 * and whose rights count; SYNC_ANYBODY: whoever's, and only what is open to all is shown. DONE is
 * called exactly once, possibly before this returns, with E_BAD_CURSOR for a text that is no
 * cursor, is somebody else's, or leads nowhere.
 */
void sync_ask(struct worker *wk, struct str cursor, int64_t user, int64_t limit,
	      sync_answer_fn *done, void *arg);

#endif
