/* SPDX-License-Identifier: MIT */
/*
 * What notices.c (finding whom to tell what) and notices_show.c (telling it) share.
 * Not for other files: they call notices.h.
 */
#ifndef WORKER_NOTICES_PRIV_H
#define WORKER_NOTICES_PRIV_H

#include "worker/notices.h"

#define NOTICE_MAGIC_LEN 8
#define NOTICE_BELL "roombell" /* struct notice_bell: there is something to announce */
#define NOTICE_TELL "roomtell" /* struct notice_tell, its receivers, and the event */

struct notice_bell {
	char magic[NOTICE_MAGIC_LEN];
	int64_t conv, rev;
};

struct notice_receiver {
	int64_t user;
	int64_t unread;
};

#define NOTICE_RECEIVERS_MAX 256 /* in one record: more are told with the next part */

struct notice_tell {
	char magic[NOTICE_MAGIC_LEN];
	uint32_t part, n;
};

struct notices {
	struct worker *wk;
	/* telling */
	struct map people; /* user -> struct noted, owned */
	uint32_t n_conns;
	struct map shown; /* conversation -> the last part that was told here, as a number */
	/* finding */
	struct map places; /* conversation -> struct place, owned */
	struct list due;   /* struct place.node */
	uint64_t again_ms; /* not before, when the database failed */
	bool is_asking;
};

/* Tells the receivers of a record who are connected to this worker. */
void notices_show(struct worker *wk, struct str bytes);
void notices_show_done(struct notices *ns);

#endif
