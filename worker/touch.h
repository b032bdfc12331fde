/* SPDX-License-Identifier: MIT */
/*
 * Notes which logins are in use, so that they live on and their list is true.
 * Written a second later, many in one statement; nobody waits for it.
 */
#ifndef WORKER_TOUCH_H
#define WORKER_TOUCH_H

#include "base/base.h"
#include "base/ids.h"
#include "worker/worker.h"

/* A socket or a stream was opened in SESSION; zero is ignored. */
void touch_note(struct worker *wk, const struct uuid *session);

/* Writes what was noted. Called each second. */
void touch_flush(struct worker *wk);

void touch_close(struct worker *wk);

#endif
