/* SPDX-License-Identifier: MIT */
/*
 * How often somebody may be wrong about a password: by address, by account and address, by account.
 * What is right or wrong is found out by credentials_proof.c.
 */
#ifndef WORKER_ATTEMPTS_H
#define WORKER_ATTEMPTS_H

#include "base/base.h"
#include "base/list.h"
#include "proto/errors.h"
#include "worker/limits.h"

struct call;
struct worker;

typedef void attempt_fn(void *arg, enum proto_error error);

/* One attempt, part of what the caller allocates, zeroed. Strings are its own. */
struct attempt {
	struct list node; /* among those that wait */
	struct worker *wk;
	struct call *call;
	int64_t user; /* 0: there is no such account */
	char *account, *pair; /* whose allowances it draws from */
	bool is_held, is_owner, was_asked;
	uint64_t until_ms;
	attempt_fn *go;
	void *arg;
};

/*
 * Takes an attempt at USER or, if that is 0, at the account that was called LOGIN. While attempts
 * that may turn out right are all that stands in the way, it waits for them. GO is called exactly
 * once, possibly before this returns, with E_NONE, E_RATE_LIMITED, E_OVERLOADED or E_UNAVAILABLE;
 * after E_NONE the attempt has to be ended.
 */
void attempt_begin(struct attempt *a, struct call *call, int64_t user, struct str login,
		   attempt_fn *go, void *arg);

/*
 * Over: a failure counts, and is noted in the audit if there is such an account. Frees what is A's.
 */
void attempt_end(struct attempt *a, bool is_failure);

/* The operator's word: failures at the account until now do not count. */
void attempts_forgive(struct worker *wk, int64_t user);

/* Whoever waits is refused. */
void attempts_close(struct worker *wk);

#endif
