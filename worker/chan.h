/* SPDX-License-Identifier: MIT */
/*
 * Conversations as this worker sees them: who of its connections follows one, and how far each
 * has read. The node-wide truth about members is in shm/, the log is in the database.
 */
#ifndef WORKER_CHAN_H
#define WORKER_CHAN_H

#include "base/base.h"
#include "base/list.h"
#include "base/map.h"
#include "proto/cmd.h"
#include "proto/event.h"
#include "worker/conn.h"

enum sub_state {
	SUB_LOADING,  /* the channel's head is being read from the database */
	SUB_ENTERING, /* its own arrival is in the ring but not yet read back */
	SUB_CATCHUP,  /* gets what it missed from the ring or the database */
	SUB_BEHIND,   /* its socket is full: nothing is queued until it has drained, then CATCHUP */
	/* has seen more than this worker has delivered: gets single events until level */
	SUB_AHEAD,
	SUB_LIVE,     /* in the channel's array of receivers */
};

/* One connection follows one conversation. */
struct sub {
	struct conn *conn;
	struct chan *chan;
	struct sub *next_of_conn;
	/* chan.loading, chan.ahead, worker.entering, worker.subs_*, or none */
	struct list node;
	int64_t rev;		/* last event this connection has; LIVE: the channel's instead */
	/* resume.c's: the client surely has this; -1: nothing before the confirmation */
	int64_t known_rev;
	/* on_mark.c's: tells a late answer which confirmation it belongs to */
	uint64_t confirming;
	uint64_t serial;	/* tells a late answer that this is no longer the same sub */
	uint64_t joined;	/* the first SERIAL: the same for as long as it lasts */
	uint64_t entered_at;	/* ring position behind its own arrival */
	uint64_t behind_since_ms; /* while is_behind */
	struct cmd_id *re;	/* owned; the request to confirm, NULL when done */
	uint32_t index;		/* LIVE: place in the array */
	uint32_t list_version;	/* wave.c's: the list of a large room that it has; 0: none */
	uint32_t n_unplaced;	/* own messages that sub_place has not heard of yet */
	uint8_t state;		/* enum sub_state */
	bool is_announced;	/* its user's arrival was published (or nobody needed to know) */
	bool is_confirmed;	/* "connected" or "live" is said */
	bool is_typing;		/* a typing mark was set and not taken back */
	bool is_paused;		/* waits for the socket to drain */
	bool has_parked;	/* roster.c's: waited until its own arrival was told */
	bool is_behind;		/* was cut off from the stream and is not live again yet */
	/* ephemeral events were dropped: needs the newest state when there is room */
	bool owes_state;
	bool is_kept;		/* resume.c's: belongs to what its session resumes */
};

#define ENTRY_QUEUED 1u /* the socket is full: bytes must go through its queue */
#define ENTRY_DEAD 2u	/* the connection ends with this turn */
#define ENTRY_SENT 4u	/* had this turn's frames together with its replies */
#define ENTRY_PARTED 8u /* has frames of its own in its replies: nothing of the side's is for it */
#define ENTRY_HELD 16u /* replies may be held back, which come before the next frames */
#define ENTRY_DEFLATED 32u /* is sent this side's frames compressed */

/* What the fan-out loop reads: no pointer is followed while all goes well. */
struct chan_entry {
	int fd;
	uint32_t flags;
	struct sub *sub;
};

/* Which bytes of a side's frames are ephemeral. */
struct chan_span {
	uint32_t begin, end;
};
struct chan_spans {
	uint32_t n, cap;
	uint32_t frames;
	struct chan_span at[];
};

/* The live receivers of one dialect and the frames that they have not been sent yet. */
struct chan_side {
	struct chan_entry *entries; /* owned */
	uint32_t n, cap;
	uint32_t n_parted; /* entries with ENTRY_PARTED */
	struct buf out; /* opened by deliver_side_open, given back with the flush */
	struct chan_spans *ephemeral; /* owned; within OUT, NULL when there never were any */
};

/* An event that came before its predecessor. */
struct chan_early {
	int64_t rev;
	struct blob *bytes; /* canonical form */
};

enum chan_state { CHAN_LOADING, CHAN_OPEN, CHAN_CLOSED };

struct chan {
	struct worker *wk;
	int64_t conv;
	uint64_t serial;
	uint8_t state;	  /* enum chan_state */
	bool is_loading;  /* its head is being read from the database */
	bool is_filling;  /* a hole is being read from the database */
	bool is_behind;	  /* may have missed events: must read from the database */
	bool must_refill; /* has missed more since the question was put */
	bool roster_due, typing_due;
	int64_t rev, seq; /* delivered so far */
	int64_t flushed_rev; /* sent so far: what is after it is in the sides' buffers */
	uint32_t n_subs;
	struct chan_side sides[DIALECT_COUNT];
	struct list loading, ahead; /* struct sub.node */
	struct list dirty;	    /* in worker.chans_dirty, or none */
	struct list due;	    /* in worker.chans_due, or none */
	struct chan_early *early;   /* owned, ascending rev */
	uint32_t n_early, cap_early;
	uint64_t early_since_ms;
	uint64_t roster_at_ms; /* not before */
	struct roster *roster; /* owned; roster.c's, NULL while nothing happens */
	uint64_t flush_at_ns;  /* hold-off: not before */
	/* owned; user -> struct marks of the last seconds, or longer while somebody is owed */
	struct map *marks;
	uint64_t marked_at_ms; /* the newest of them */
	uint32_t n_owing;  /* live subscriptions that owe_state */
	struct replay *replay; /* owned; NULL when nobody has caught up lately */
};

struct chan *chan_find(struct worker *wk, int64_t conv);
struct sub *sub_find(const struct conn *c, int64_t conv);

/*
 * The last revision that this subscription has been sent, or will be with what is queued; -1: not
 * known yet.
 */
int64_t sub_position(const struct sub *sub);

/* The request that SUB's confirmation will answer, empty when there is none or it was passed on. */
struct cmd_id sub_re(const struct sub *sub);

/*
 * The subscriber sends a message to the conversation: whatever its subscription still waits for, it
 * begins before that one. Returns 0, or the serial of SUB when that cannot be told yet: then
 * sub_place is owed, with the message's revision, or 0 when it is not in the log or is not new.
 * sub_place may end the connection.
 */
uint64_t sub_begin_before_own(struct sub *sub) MUST_CHECK;
void sub_place(struct sub *sub, int64_t rev);

/*
 * Starts following. HAS_REV: first everything after REV, then live. RE (NULL for DIALECT_RAW) is
 * the request that the confirmation answers. Refusals (full, no such conversation, database away)
 * are said on the connection.
 */
void chan_join(struct conn *c, int64_t conv, bool has_rev, int64_t rev, const struct cmd_id *re);

/*
 * Goes back to REV on a connection that follows already: everything after it is sent (again),
 * then live.
 */
void chan_rewind(struct sub *sub, int64_t rev);

/* Stops following; END decides how long the user stays in the member list. */
void chan_leave(struct sub *sub, enum conn_end end);
void chan_leave_all(struct conn *c, enum conn_end end);

/* Keeps the fan-out away from a connection that ends with this turn. */
void chan_mute(struct conn *c);

/* The connection, a session that had none, has a socket now. */
void chan_mark_socket(struct conn *c);

/* The connection's socket became full, or took everything again. */
void chan_mark_queued(struct conn *c, bool is_queued);

/* An event of the ring, in canonical BYTES and decoded: delivered, held back or dropped. */
void chan_event(struct worker *wk, const struct event *ev, struct str bytes);

/* The ring was overtaken: every channel reads what it may have missed from the database. */
void chan_refill_all(struct worker *wk);

/* Subscriptions whose own arrival has been read back go on. Called once a turn after the ring. */
void chan_settle(struct worker *wk);

/* Holes, rosters and typing sets whose time has come. Called once a turn. */
void chan_run_due(struct worker *wk);

/* Puts a channel on the list that chan_run_due looks at. */
void chan_set_due(struct chan *ch);

/* After deliveries: connections that were ahead and are level now go live. */
void chan_level(struct chan *ch);

/* The database has no more than was delivered: who is ahead of that is told so. */
void chan_level_off(struct chan *ch);

/* Frees all channels; the connections are gone already. */
void chan_close_all(struct worker *wk);

#endif
