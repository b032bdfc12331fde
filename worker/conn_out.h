/* SPDX-License-Identifier: MIT */
/*
 * What a socket did not take at once: a queue of shared, counted bytes. Only conn.c uses it.
 */
#ifndef WORKER_CONN_OUT_H
#define WORKER_CONN_OUT_H

#include "base/base.h"
#include "base/blob.h"
#include "base/buf.h"
#include "base/list.h"

struct outseg {
	struct blob *blob; /* one reference */
	uint32_t off;	   /* sent so far */
};

struct conn;

struct outq {
	struct list node;  /* in worker.outqs */
	struct conn *conn; /* whose it is */
	struct outseg *segs; /* owned ring of CAP, a power of two */
	uint32_t head, n, cap;
	size_t bytes; /* unsent */
	uint64_t since_ms; /* when the socket last took anything */
};

struct outq *outq_new(struct conn *conn, uint64_t now_ms);
void outq_free(struct outq **q);

/* Adds the bytes of BLOB from OFF on; takes a reference. */
void outq_add(struct outq *q, struct blob *blob, size_t off);

/* Drops everything but a segment that is partly sent: the peer must see its frames whole. */
void outq_cut(struct outq *q);

/* Appends the unsent bytes of the first MAX segments to B. */
void outq_copy(struct outq *q, uint32_t max, struct buf *b);

/* The first LEN bytes, of those that there are, have been taken. */
void outq_drop(struct outq *q, size_t len, uint64_t now_ms);

/*
 * Writes until the queue is empty or the socket is full; *CALLS counts system calls. Returns 0 when
 * empty, -ERR_AGAIN when bytes are left, -ERR_IO when the link is broken.
 */
int outq_write(struct outq *q, int fd, uint64_t now_ms, uint64_t *calls) MUST_CHECK;

/*
 * Where nothing is queued: sends two pieces, either of which may be empty, with one call. Returns
 * the bytes taken, 0 when the socket is full, or -1 when the link is broken.
 */
ssize_t outq_bypass(int fd, const uint8_t *p, size_t len, const uint8_t *q, size_t qlen) MUST_CHECK;

#endif
