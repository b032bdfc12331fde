/* SPDX-License-Identifier: MIT */
/*
 * The operator's questions that need shared locks: the master hands them to a worker with the
 * asker's socket.
 */
#ifndef WORKER_CTL_H
#define WORKER_CTL_H

#include "worker/worker.h"

/*
 * Answers COMMAND ("room show 42", "room list", "metrics") on FD with one JSON object, or the
 * Prometheus text for metrics, and leaves FD to the caller. Errors are {"error": …}. What the
 * socket does not take at once is written later; an asker that does not read for some seconds
 * loses the rest.
 */
void ctl_answer(struct worker *wk, struct str command, int fd);

/* Forgets the answers that are not written yet. */
void ctl_close_all(struct worker *wk);

#endif
