/* SPDX-License-Identifier: MIT */
/*
 * Tags of conversations and profiles: what If-Match compares, so that nobody writes over a change
 * they have not seen. When they are compared is the handlers'.
 */
#ifndef WORKER_ETAG_H
#define WORKER_ETAG_H

#include "base/base.h"

#define ETAG_LEN 19 /* 17 digits in quotes */

/* The tag of a state of a conversation, as the database names it: log_change_answer.tag. */
void etag_of_state(struct str state, char ret[ETAG_LEN + 1]);

/*
 * The tag of a conversation as JSON: of what a PATCH can change, so that messages leave it alone.
 * The same on every node. What stands between its quotes is what log_change.seen takes.
 */
void etag_of_conversation(struct str json, char ret[ETAG_LEN + 1]);

/*
 * The tag of an account's profile as JSON, of account_get with IS_SELF: of what a PATCH can change.
 * What stands between its quotes is what account_patch.seen takes.
 */
void etag_of_profile(struct str json, char ret[ETAG_LEN + 1]);

#endif
