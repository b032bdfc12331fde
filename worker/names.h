/* SPDX-License-Identifier: MIT */
/*
 * A set of users copied out of shared memory, for those who sort it and hand it to an encoder.
 * Where it comes from is the caller's business.
 */
#ifndef WORKER_NAMES_H
#define WORKER_NAMES_H

#include "base/base.h"
#include "base/buf.h"

struct name_row {
	int64_t user;
	struct str name; /* owned */
};

/* Zero-initialised is empty. NEXT is where names_next goes on. */
struct names {
	struct name_row *rows; /* owned */
	size_t n, cap, next;
};

/* Appends a copy; for roster_read and typing_read. */
void names_add(void *names, int64_t user, struct str name);

/* By name, equal ones by id. */
void names_sort(struct names *n);

/* The next one, false after the last: for the encoders of native and raw frames. */
bool names_next_user(void *names, int64_t *ret_user, struct str *ret_name);
bool names_next(void *names, struct str *ret_name);

void names_done(struct names *n);

#endif
