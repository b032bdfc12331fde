/* SPDX-License-Identifier: MIT */
/*
 * Socket.IO on top of a session of Engine.IO: namespaces, who connects, events to commands and
 * answers to acknowledgements. Packets are proto/socketio.h's, what commands do is on_cmd.h's.
 *
 * Whom a session belongs to decides what it speaks: with the cookie of a page that is in a room it
 * is that page's (DIALECT_S0), with anything else an account's or a guest's client (DIALECT_S4).
 * With a token and such a cookie of the same account it is the latter, and follows the room.
 */
#ifndef WORKER_SIO_H
#define WORKER_SIO_H

#include "base/base.h"
#include "proto/cmd.h"
#include "proto/errors.h"
#include "proto/event.h"
#include "worker/chan.h"
#include "worker/conn.h"
#include "worker/resume.h"

/* One message of the session. */
void sio_message(struct conn *c, struct str data, bool is_binary);

/* An event of a connection that has connected: runs what it asks for, or refuses it. */
struct sio_packet;
void sio_event(struct conn *c, const struct sio_packet *p);

/*
 * How long a client that comes back waits, so that the worker that it was connected to has written
 * what it followed.
 */
#define SIO_RETURN_MS (RESUME_SAVE_MS + 100)

/* That time is over. */
void sio_return(struct conn *c);

/* Drops who waits for it. */
void sio_return_forget(struct conn *c);

/*
 * USER may have become a member of another conversation: his clients that follow all of them look.
 */
void sio_all_changed(struct worker *wk, int64_t user);

/* The same for one client, which follows all or not. */
void sio_all_look(struct conn *c);

/* From now on it follows what it joins. */
void sio_all_stop(struct conn *c);

/* The session ends and shall not come back by itself: leaves the main namespace. */
void sio_say_disconnect(struct conn *c);

/*
 * Answers, as the acknowledgement that RE asks for; a fault without one is the event
 * message_error, which names KEY. Others are not said without RE.
 */
void sio_say_fault(struct conn *c, const struct fault *f, const struct cmd_id *re,
		   const struct cmd_id *key, int64_t retry_ms);
void sio_say_ok(struct conn *c, const struct cmd_id *re);
void sio_say_sent(struct conn *c, const struct cmd_id *re, const struct event *ev,
		  bool is_duplicate);
void sio_say_marked(struct conn *c, const struct cmd_id *re, int64_t count, int64_t conv,
		    int64_t rev);
void sio_say_joined(struct sub *sub, const struct cmd_id *re, int64_t unread, int64_t rev);

/*
 * What an S4 client is told of who is on the node; appended as whole frames. OFFSET: of a client
 * that has just connected and follows nothing yet, else empty.
 */
struct names;
struct native_presence;
void sio_add_presence(struct buf *b, const struct native_presence *change);
void sio_add_online(struct buf *b, struct names *online, struct str offset);

/* A whole frame: somebody begins or stops typing. */
void sio_add_typing(struct buf *b, int64_t conv, int64_t user, struct str name, bool on);

/*
 * Appends the packet of an event for one of the two dialects, without an offset; false when the
 * dialect does not show it.
 */
bool sio_add_packet(struct buf *b, enum dialect dialect, const struct event *ev);

/* The first offset of C, whose place is nowhere yet; nothing when it has one, or needs none. */
void sio_add_first_offset(struct buf *b, const struct conn *c);

/* Appends the frame of such a packet with OFFSET, which may be empty. */
void sio_add_frame(struct buf *b, struct str packet, struct str offset);

/* The PACKET of EV for one subscription alone, with its connection's next flush. */
void sio_send_packet(struct sub *sub, const struct event *ev, struct str packet);

/*
 * Appends where a client stands that has read up to EV, as text that it gives back when it comes
 * again: in EV's conversation alone, which serves everybody who follows no other.
 */
void sio_add_offset(struct buf *b, const struct event *ev);

#endif
