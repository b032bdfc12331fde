/* SPDX-License-Identifier: MIT */
/*
 * The last good answers of the database, for the time when it is away: rooms, lists, pages of
 * history. Who may read what was decided before it is looked for here.
 */
#ifndef WORKER_STALE_H
#define WORKER_STALE_H

#include "base/base.h"
#include "worker/worker.h"

enum stale_what {
	STALE_NOTHING, /* is never kept */
	STALE_ROOM,
	STALE_ROOMS,
	STALE_CONVERSATION,
	STALE_CONVERSATIONS,
	STALE_PAGE_RAW,
	STALE_PAGE_NATIVE,
	STALE_PAGE_CODE,
};

/*
 * What an answer is to. Conversation 0: to something about many. User 0: the answer is the same for
 * everybody who may ask.
 */
struct stale_key {
	enum stale_what what;
	int from, limit;
	int64_t conv, rev, user;
};

void stale_open(struct worker *wk);
void stale_close(struct worker *wk);

/* Keeps BYTES, copied, as the latest answer to KEY; others make room for it. */
void stale_keep(struct worker *wk, const struct stale_key *key, struct str bytes);

/*
 * The answer that was kept, while the database is away and only then. *RET is borrowed until the
 * next call of any function here; *RET_AGE_MS is how long ago the database gave it. False when
 * there is none, or only one older than stale.age_max.
 */
bool stale_find(struct worker *wk, const struct stale_key *key, struct str *ret,
		uint64_t *ret_age_ms) MUST_CHECK;

/* CONV has changed in a way that must not be undone: nothing about it is served from here. */
void stale_forget(struct worker *wk, int64_t conv);

/*
 * dbio_deadline for a question that KEY could answer instead: while the database is away, that
 * waits no longer than a reconnection takes.
 */
uint64_t stale_deadline(struct worker *wk, const struct stale_key *key);

#endif
