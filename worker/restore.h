/* SPDX-License-Identifier: MIT */
/*
 * Coming back to a session: what it followed, with the rights that its user has there now, and
 * following it again. How sessions are kept is resume.c's; who may come back, the callers'.
 */
#ifndef WORKER_RESTORE_H
#define WORKER_RESTORE_H

#include "base/base.h"
#include "worker/resume.h"

/*
 * As resume_recall; when DONE is called the rights of CUR's user in all positions are known, so
 * that restore_subs needs to ask nobody. DONE is called exactly once, possibly before this returns.
 */
void restore_recall(struct worker *wk, const struct cursor *cur, resume_known_fn *done, void *arg);

/*
 * Follows again what KNOWN tells, for a connection that has its session; each is confirmed by
 * itself, or refused by name.
 */
void restore_subs(struct conn *c, const struct resume_known *known);

#endif
