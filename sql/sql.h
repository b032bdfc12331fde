/* SPDX-License-Identifier: MIT */
/*
 * The face of sql/: PostgreSQL for everybody above, without event loop, log or policy.
 * The caller watches sockets and time and decides what a client is told.
 *
 *   db.h             one asynchronous connection: queue, pipeline, reconnect, results
 *   stmt.h           the statements by number; statements.def is the only place of SQL text at
 * run time
 *   batch.h          many messages in one transaction, one answer per message
 *   events.h         the log of a conversation: other durable events, catch-up, holes
 *   changes.h        durable changes: edit, delete, recover, react, members, update, close
 *   members.h        what people are in conversations, mutes, reports
 *   audit.h          the audit log: add, chain, show, verify
 *   marks.h          read and delivered marks, unread counters
 *   sync.h           what happened in many conversations since a client's positions
 *   resume.h         the subscriptions of sessions
 *   messages.h       pages of messages as JSON text
 *   rooms.h          named open rooms: create, list, look up, close
 *   conversations.h  the native surface's view of conversations as JSON text
 *   users.h          guests by name
 *   accounts.h       accounts: made, found, changed, closed; profiles as JSON text
 *   logins.h         sessions, refresh tokens for one use, what was ended
 *   factors.h        second factors and recovery codes
 *   resets.h         tokens for forgotten passwords
 *   verify.h         recounts the log and the counters, synchronous, for the operator only
 *   database.h       the database itself: makes it, synchronous, for the operator only
 *   await.h          one connection to wait for, for the operator only
 *   migrate.h        the schema: apply or check, synchronous, for short-lived processes only
 *
 * Life cycle: db_new, db_start, then the owner calls db_on_readable, db_on_writable and
 * db_on_timer as its hooks asked; db_free answers what is still open. Nothing here is thread-safe.
 */
#ifndef SQL_SQL_H
#define SQL_SQL_H

#include "base/base.h"

struct db;
struct db_result;
struct db_args;
struct batch_row;
struct batch_answer;

/*
 * Every *_submit-like function of this folder takes where to answer and until when:
 * no call is answered before it has returned, and each is answered exactly once unless cancelled.
 */

#endif
