/* SPDX-License-Identifier: MIT */
/*
 * The content filters in force: read from the database, kept compiled per conversation, applied to
 * texts before they are stored. Where texts wait for that is persist_judge.c's.
 */
#ifndef WORKER_FILTER_H
#define WORKER_FILTER_H

#include "base/base.h"
#include "base/buf.h"
#include "worker/worker.h"

#define FILTER_REASON_MAX 200 /* bytes */

/* What becomes of a text. Starts as {0}; filter_verdict_done frees. */
struct filter_verdict {
	bool is_blocked; /* nothing is stored; REASON is for the sender, may be empty */
	bool is_masked;	 /* TEXT is stored in its place */
	bool is_flagged; /* stored, and noted as found by RULE for REASON */
	struct buf text; /* owned */
	int64_t rule;	 /* the filter that blocks or flags */
	char reason[FILTER_REASON_MAX + 1];
};

void filter_verdict_done(struct filter_verdict *v);

void filter_open(struct worker *wk);
void filter_close(struct worker *wk);

/* Whether all filters have been read at least once: before that nothing can be judged. */
bool filter_is_ready(const struct worker *wk);

/* Whether a text for CONV has to be judged at all. Costs nothing to speak of. */
bool filter_is_wanted(const struct worker *wk, int64_t conv);

/* Judges TEXT for CONV by the global filters and the conversation's own. */
void filter_apply(struct worker *wk, int64_t conv, struct str text, struct filter_verdict *v);

/* Asks the database for changes now; by itself it does so every filters.poll. */
void filter_look(struct worker *wk);

#endif
