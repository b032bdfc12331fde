/* SPDX-License-Identifier: MIT */
/*
 * Mail leaves through a program that the operator names (mail.command), as sendmail -t takes it.
 * The loop never waits for it; who gets a mail is decided by the callers.
 */
#ifndef WORKER_MAIL_H
#define WORKER_MAIL_H

#include "base/base.h"
#include "worker/worker.h"

/* Whether there is a command. */
bool mail_is_on(const struct worker *wk);

/*
 * Sends the code for a forgotten password to TO, which was checked by credentials_email_valid when
 * it was stored, and is again. NAME is the account's. Failures are logged, without TOKEN.
 */
void mail_reset(struct worker *wk, int64_t user, struct str to, struct str name, struct str token);

/*
 * Tells the former address TO of an account that it is that no more. Whoever can lose it should
 * know.
 */
void mail_moved(struct worker *wk, int64_t user, struct str to, struct str name);

/* Ends what still runs. */
void mail_close(struct worker *wk);

#endif
