/* SPDX-License-Identifier: MIT */
/*
 * text/event-stream, the form of server-sent events (HTML standard, section 9.2).
 * What the events are is the dialect's, when to send them the worker's.
 */
#ifndef PROTO_SSE_H
#define PROTO_SSE_H

#include "base/base.h"
#include "base/buf.h"

#define SSE_CONTENT_TYPE "text/event-stream"

/*
 * Appends one event, blank line included. NAME empty: the default type "message". ID empty: the
 * client's last event id stays. DATA is UTF-8 and may have several lines, which arrive joined by
 * line feeds. NAME and ID have no line breaks, and ID no NUL (asserted).
 */
void sse_add_event(struct buf *b, struct str name, struct str id, struct str data);

/* Sets the client's last event id without an event. */
void sse_add_id(struct buf *b, struct str id);

/* A comment, which clients skip: keeps the connection from looking idle. TEXT may have lines. */
void sse_add_comment(struct buf *b, struct str text);

/* How long the client waits before it connects again. */
void sse_add_retry(struct buf *b, int64_t ms);

/*
 * The value of a Last-Event-ID field as the text of a cursor (cursor.h), blanks at its ends taken
 * off. Returns 0; -ERR_NOENT when it is empty; -ERR_TOOBIG beyond MAX characters; -ERR_INVAL when
 * it has characters that no cursor has.
 */
int sse_last_event_id(struct str value, size_t max, struct str *ret) MUST_CHECK;

#endif
