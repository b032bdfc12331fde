/* SPDX-License-Identifier: MIT */
/*
 * From event to bytes on sockets: encode once per dialect, join what a turn brings, one send per
 * receiver.
 */
#ifndef WORKER_DELIVER_H
#define WORKER_DELIVER_H

#include "base/base.h"
#include "proto/event.h"
#include "worker/chan.h"

/*
 * Adds an event's frame for all receivers of the channel. Ephemeral ones do not move the
 * channel's rev.
 */
void deliver_event(struct chan *ch, const struct event *ev);

/*
 * Appends the event's WebSocket frame in one dialect (not DIALECT_SSE), as it is for everybody;
 * false (nothing added) when the dialect does not show it.
 */
bool deliver_encode(const struct worker *wk, struct buf *b, enum dialect dialect,
		    const struct event *ev);

/* The event for one subscription alone, with its connection's next flush. */
void deliver_single(struct sub *sub, const struct event *ev);

/*
 * A place to append one more frame of state for the receivers of a dialect, or NULL when there
 * are none. DIALECT_NATIVE stands for every notation of the native frames.
 */
struct buf *deliver_begin(struct chan *ch, enum dialect dialect, size_t *ret_begin);
void deliver_end(struct chan *ch, enum dialect dialect, size_t begin);

/*
 * Whether LEN bytes more may be queued for the socket of a live subscription. If not, it falls
 * behind when they are LASTING (have a rev), and goes without them until it has drained when they
 * are not.
 */
bool deliver_has_room(struct sub *sub, size_t len, bool is_lasting);

/* The socket of a live subscription has drained: it is sent the newest of what it went without. */
void deliver_make_good(struct sub *sub);

/* SUB goes without something from now on; it is owed nothing any more. */
void deliver_owe(struct sub *sub);
void deliver_forgive(struct sub *sub);

/* Remembers a mark (read, delivered) for whoever may go without it; nothing for other events. */
void deliver_marks_note(struct chan *ch, const struct event *ev);
void deliver_marks_clear(struct chan *ch);

/*
 * Whether EV is a mark that its user has gone beyond, as was announced here before: whoever is told
 * of it now would see the mark go back.
 */
bool deliver_mark_is_stale(const struct chan *ch, const struct event *ev);

/*
 * Sends a connection's replies, and with them what one of its channels would send it this turn.
 * False: there is nothing to join, and nothing was done.
 */
bool deliver_join(struct conn *c);

/*
 * C is about to follow one more conversation: where it follows others, its frames must tell its
 * positions in all of them, so they are its own from now on. False: C has ended, as what it was
 * owed was sent before.
 */
bool deliver_part(struct conn *c) MUST_CHECK;

/* Whether frames of C's live subscriptions are its own. */
bool deliver_is_parted(const struct conn *c);

/*
 * What SUB's connection, a native socket, was told so far comes before the channel's next frames,
 * even if those are flushed first.
 */
void deliver_after_replies(struct sub *sub);

/*
 * What SUB's connection was told since it went live goes out with its next reply, or before the
 * channel's next frames. Only while an answer is certain to come.
 */
void deliver_hold(struct sub *sub);

/*
 * Memory for a side's frames until they are flushed, from what other sides have used; what is kept
 * for that is freed when nobody may need it (heap.c).
 */
void deliver_side_open(struct worker *wk, struct chan_side *side);
void deliver_spares_free(struct worker *wk);

/* Sends what the channel's receivers are owed, now. */
void deliver_flush(struct chan *ch);

/* Sends for all channels that owe something and are not held off. Called once a turn. */
void deliver_flush_all(struct worker *wk);

#endif
