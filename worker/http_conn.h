/* SPDX-License-Identifier: MIT */
/*
 * A connection that speaks HTTP: requests to handlers, one answer at a time.
 * The entry points that conn.c calls (http_conn_input and its kin) are declared in conn.h.
 */
#ifndef WORKER_HTTP_CONN_H
#define WORKER_HTTP_CONN_H

#include "base/base.h"
#include "worker/conn.h"

/*
 * The answer to the present request is queued: goes on with the next one, or closes. Called by
 * call.c only.
 */
void http_conn_answered(struct conn *c, bool keep_alive);

/* The queue of unsent bytes of a CONN_HTTP connection is empty again: requests may go on. */
void http_conn_drained(struct conn *c);

#endif
