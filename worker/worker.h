/* SPDX-License-Identifier: MIT */
/*
 * The face of worker/: one process that accepts, speaks every dialect, persists and delivers.
 * The master (daemon/) makes everything that must exist before the fork and hands it over in
 * worker_boot.
 */
#ifndef WORKER_WORKER_H
#define WORKER_WORKER_H

#include <ev.h>

#include "base/base.h"
#include "base/buf.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "base/settings.h"
#include "shm/metrics.h"
#include "worker/admission.h"

struct addr_net;
struct audit;
struct codes;
struct conn;
struct dbio;
struct fanout;
struct heir;
struct drain;
struct filter_hook;
struct filters;
struct keyring;
struct attempts;
struct mails;
struct notices;
struct persist;
struct presence;
struct pwhash;
struct renewals;
struct resumes;
struct revoke;
struct ringpump;
struct roles;
struct shm;
struct site;
struct slab;
struct stale;
struct timeouts;
struct touches;

/* Exit codes that the master understands; any other non-zero code is an ordinary crash. */
enum worker_exit {
	WORKER_EXIT_OK = 0,
	WORKER_EXIT_FATAL = 70, /* starting again cannot help: the master stops the node */
	WORKER_EXIT_SHM = 71,	/* a lost precondition in shared memory: start again */
	WORKER_EXIT_ORPHAN = 72, /* the master is gone */
};

/* A pair of SOCK_SEQPACKET sockets: connections that move to the slot go in there. */
struct worker_inbox {
	int in, out;
};

/* What the master hands to a worker; all of it lives as long as the process. */
struct worker_boot {
	struct settings *settings; /* the worker's own from here on */
	struct shm *shm;
	int slot;
	uint32_t generation;
	int n_slots;
	const int *wake_fds; /* eventfd of each slot */
	const struct worker_inbox *inboxes; /* of each slot: inbox.h */
	int n_listen;
	const int *listen_fds; /* non-blocking, listening */
	int n_ops;
	const int *ops_fds; /* the same for operations, shared with the other workers */
	int control_fd;	       /* SOCK_SEQPACKET to the master */
	int lifeline_fd;       /* reads EOF when the master is gone */
	const struct site *site;
	bool is_conformance; /* echoes instead of the chat: conformance.h */
};

#define SPARE_OUTS 16 /* buffers for frames, kept for the next channels that are written to */

struct ws_deflater;
struct ws_inflater;

struct worker {
	const struct worker_boot *boot;
	struct settings *settings; /* owned; replaced by a reload */
	struct ev_loop *loop;	   /* owned */
	struct shm *shm;	   /* borrowed */
	const struct site *site;   /* borrowed */
	int slot;
	bool draining;
	int exit_code;

	uint8_t *rbuf; /* owned: one read buffer for every connection */
	size_t rbuf_cap;

	struct slab *conn_slab, *sub_slab; /* owned */
	struct map conns;		   /* connection id -> struct conn */
	uint64_t next_conn_id;
	uint32_t n_conns;
	uint32_t n_ops_conns; /* of them, on the operations listener */
	struct list closing;	/* struct conn.work: freed by the sweep */
	struct list conns_dirty; /* struct conn.dirty: have unsent replies */
	struct list conns_ready; /* struct conn.work: unblocked, have bytes to look at again */
	struct list outqs;	 /* struct outq.node: sockets that are full */
	struct list conns_moving; /* struct conn.work: to other workers, inbox.c's */
	char *eio_path; /* owned: engineio.path; does not change with the settings */
	struct map eios;	  /* first half of a sid -> struct conn of the session: eio.c's */
	struct list eios_ready;	  /* struct eio.ready: have output for a poll that waits */
	struct log_rate slow_log; /* lines about readers that were cut off */
	struct buf frame;	 /* the native payload that is being written for a channel */
	struct buf reply_frame;	 /* the same for one connection, perhaps meanwhile */
	struct ws_inflater *inflater; /* owned: deflate.c; NULL: nobody compresses */
	struct ws_deflater *deflater; /* owned: deflate.c; the same */
	struct buf *spare;	 /* owned: a reply buffer kept for reuse, or NULL */
	struct buf spare_outs[SPARE_OUTS]; /* owned: deliver_flush.c, of channels */
	unsigned n_spare_outs;
	struct timeouts *timeouts; /* owned: conn_timeout.c */
	struct admission admission;
	struct addr_net *trusted; /* owned: http.trusted_proxies, peer.c's */
	size_t n_trusted;
	int64_t auth_end_ms; /* wall clock: when the first socket's credentials end; 0: none do */
	struct drain *drain; /* owned: drain.c; NULL until the worker drains */

	struct list replies; /* struct reply.node: answers to the operator that wait (ctl.c) */
	unsigned n_replies;

	struct map chans;	 /* conversation id -> struct chan */
	struct list chans_dirty; /* struct chan.dirty: have frames to flush */
	struct list chans_later; /* struct chan.due: the same, but not before chans_later_ms */
	uint64_t chans_later_ms; /* the nearest of their times; UINT64_MAX: none */
	/* struct chan.due: owe a roster or a typing set, or hold early events */
	struct list chans_due;
	struct list entering;	 /* struct sub.node: wait to read their own arrival in the ring */
	struct list subs_replaying; /* struct sub.node: catch up, can go on now */
	/* struct sub.node: catch up, wait for the database or their socket */
	struct list subs_waiting;
	struct list subs_paging;    /* struct sub.node: catch up, wait for their turn to ask it */
	struct list subs_retrying;  /* struct sub.node: catch up, the database refused */
	uint32_t n_pages;	    /* that it is asked for: chan_replay.c's */
	struct list confirming;	    /* on_mark.c's: wait for what their "live" says */
	uint32_t n_confirming;	    /* questions under way for others of them */
	uint64_t retry_at_ms;	    /* when it is asked again for those */
	uint64_t next_serial;	 /* for channels and subscriptions */

	struct dbio *writer, *reader; /* owned */
	struct persist *persist;      /* owned */
	struct filters *filters;      /* owned: filter.c */
	struct filter_hook *filter_hook; /* owned: filter_hook.c */
	struct fanout *fanout;	      /* owned; NULL: nothing was announced from the log yet */
	struct heir *heir;	      /* owned; NULL: nobody died yet */
	struct resumes *resumes;      /* owned: resume.c */
	struct ringpump *ringpump;    /* owned */
	struct presence *presence;    /* owned */
	struct roles *roles;	      /* owned */
	struct renewals *renewals;    /* owned: renew.c; NULL: none has come yet */
	struct revoke *revoke;	      /* owned */
	struct audit *audit;	      /* owned */
	struct attempts *attempts;    /* owned: attempts.c; NULL: none has waited yet */
	struct codes *codes;	      /* owned */
	struct notices *notices;      /* owned; NULL: nobody is told of messages */
	struct mails *mails;	      /* owned: mail.c; NULL: none was sent yet */
	struct touches *touches;      /* owned: touch.c; NULL: nothing to write yet */
	struct keyring *keyring;      /* owned; immutable, replaced by a reload */
	struct pwhash *pwhash;	      /* owned */
	struct stale *stale;	      /* owned */
	struct strmap guests;	      /* guest name -> struct guest, a bounded cache */
	struct strmap reserved;	      /* folded names of auth.reserved_names, whose text is … */
	char *reserved_of;	      /* … this; owned; NULL: not looked at yet */
	/* struct lookup.node: guests to ask the database for (session.c) */
	struct list lookups;
	/* struct recall.node: sessions to ask the database for (resume_recall.c) */
	struct list recalls;
	unsigned n_recalling; /* statements that ask for some, under way */

	ev_prepare prepare; /* runs worker_turn before the loop may sleep */
	ev_idle busy;	    /* active while a turn left work behind */
	ev_io *listen_io;   /* owned: boot->n_listen watchers */
	ev_io *ops_io;	    /* owned: boot->n_ops watchers */
	ev_io control_io, lifeline_io, inbox_io;
	ev_timer second; /* heartbeat and slow sweeps */
	ev_timer soon;	 /* the nearest deadline of the channels */
	ev_timer tick;	 /* runs while lingering members or typing marks may expire */
	ev_timer stop;	 /* end of a drain */

	bool is_looking, has_looked; /* readiness.c: at the schema, is not answered yet; once was */
	uint64_t trim_at_ms; /* heap.c: the next look; 0: none yet */
	uint64_t typing_until_ms; /* the latest end of a typing mark of this worker */
	char date[32]; /* HTTP Date of this second */
};

/*
 * The life of a worker process, from the fork to its end. Returns the process's exit code: one of
 * enum worker_exit.
 */
int worker_main(const struct worker_boot *boot);

/* Ends the loop with CODE after this turn; every connection is closed without ceremony. */
void worker_stop(struct worker *wk, enum worker_exit code);

/* Stops accepting and says good-bye to every connection; the loop ends when the last is gone. */
void worker_drain(struct worker *wk);

/* Makes the loop turn once more without sleeping: somebody left work for worker_turn. */
void worker_kick(struct worker *wk);

/* Makes the loop turn again after MS milliseconds at the latest. */
void worker_wake_in(struct worker *wk, uint64_t ms);

/* Members or typing marks may expire: look at them often until there are none. */
void worker_tick_on(struct worker *wk);

/* Adds N to one of this worker's metrics (shm/metrics.def). */
#define worker_count(wk, metric, n) metric_add((wk)->shm, (unsigned)(wk)->slot, (metric), (n))

#endif
