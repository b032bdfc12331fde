/* SPDX-License-Identifier: MIT */
/*
 * Fields that tell browsers what they must not do with an answer.
 * Whether a request may act at all is origin.h's.
 */
#ifndef WORKER_DEFENCE_H
#define WORKER_DEFENCE_H

#include "base/base.h"
#include "base/buf.h"

struct conn;
struct http_request;

/*
 * Appends them for an answer of media type TYPE (NULL: no body) to C. Documents get a policy for
 * their own needs, everything else one that lets nothing run, should a browser show it after all.
 * REQ may be NULL.
 */
void defence_add_fields(struct buf *fields, const struct conn *c, const struct http_request *req,
			const char *type);

#endif
