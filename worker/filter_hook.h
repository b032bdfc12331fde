/* SPDX-License-Identifier: MIT */
/*
 * A program of the operator's that judges texts too: questions and answers as lines of JSON over a
 * UNIX socket. Within a time, as many at once as allowed; what its silence means is the caller's.
 */
#ifndef WORKER_FILTER_HOOK_H
#define WORKER_FILTER_HOOK_H

#include "base/base.h"
#include "worker/worker.h"

struct filter_question {
	int64_t conv, user;
	bool is_edit;
	struct str name, text, attachment; /* borrowed during the call */
};

enum filter_hook_result {
	HOOK_PASS,
	HOOK_BLOCK, /* REASON is for the sender */
	HOOK_MASK,  /* TEXT is to be stored */
	HOOK_FLAG,  /* REASON is for the moderators */
	HOOK_FAILED, /* no answer in time, or none that can be used */
};

/* Strings are borrowed during the call. */
struct filter_hook_answer {
	enum filter_hook_result result;
	struct str text, reason;
};

typedef void filter_hook_fn(struct worker *wk, void *arg, const struct filter_hook_answer *answer);

void filter_hook_open(struct worker *wk);

/* Who still waits hears nothing any more. */
void filter_hook_close(struct worker *wk);

/* Whether filters.hook names a socket. */
bool filter_hook_is_on(const struct worker *wk);

/*
 * Asks. DONE is called exactly once, after at most filters.hook_timeout and never from inside this
 * call, unless the ticket that is returned (never 0) is given to filter_hook_forget.
 */
uint64_t filter_hook_ask(struct worker *wk, const struct filter_question *q, filter_hook_fn *done,
			 void *arg);
void filter_hook_forget(struct worker *wk, uint64_t ticket);

#endif
