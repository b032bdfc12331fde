/* SPDX-License-Identifier: MIT */
/*
 * The queue of unsent bytes of one connection. Knows nothing of frames or limits: conn.c does.
 */
#include "worker/conn_out.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/buf.h"

#define OUTQ_IOV 64 /* segments in one system call */

struct outq *outq_new(struct conn *conn, uint64_t now_ms)
{
	struct outq *q = xcalloc(1, sizeof(*q));

	list_init(&q->node);
	q->conn = conn;
	q->since_ms = now_ms;
	return q;
}

static struct outseg *seg_at(struct outq *q, uint32_t i)
{
	return &q->segs[(q->head + i) & (q->cap - 1)];
}

void outq_free(struct outq **q)
{
	if (!*q)
		return;
	list_remove(&(*q)->node);
	for (uint32_t i = 0; i < (*q)->n; i++)
		blob_unref(&seg_at(*q, i)->blob);
	free((*q)->segs);
	free(*q);
	*q = NULL;
}

static void grow(struct outq *q)
{
	uint32_t cap = q->cap ? q->cap * 2 : 4;
	struct outseg *segs = xcalloc(cap, sizeof(*segs));

	for (uint32_t i = 0; i < q->n; i++)
		segs[i] = *seg_at(q, i);
	free(q->segs);
	q->segs = segs;
	q->head = 0;
	q->cap = cap;
}

void outq_add(struct outq *q, struct blob *blob, size_t off)
{
	if (q->n == q->cap)
		grow(q);
	*seg_at(q, q->n++) = (struct outseg){blob_ref(blob), (uint32_t)off};
	q->bytes += blob->len - off;
}

void outq_cut(struct outq *q)
{
	uint32_t keep = q->n && seg_at(q, 0)->off > 0 ? 1 : 0;

	for (uint32_t i = keep; i < q->n; i++) {
		struct outseg *s = seg_at(q, i);

		q->bytes -= s->blob->len - s->off;
		blob_unref(&s->blob);
	}
	q->n = keep;
}

static void consume(struct outq *q, size_t sent)
{
	q->bytes -= sent;
	while (sent > 0) {
		struct outseg *s = seg_at(q, 0);
		size_t left = s->blob->len - s->off;

		if (sent < left) {
			s->off += (uint32_t)sent;
			return;
		}
		sent -= left;
		blob_unref(&s->blob);
		q->head = (q->head + 1) & (q->cap - 1);
		q->n--;
	}
}

void outq_copy(struct outq *q, uint32_t max, struct buf *b)
{
	for (uint32_t i = 0; i < MIN(q->n, max); i++) {
		const struct outseg *s = seg_at(q, i);

		buf_add(b, s->blob->bytes + s->off, s->blob->len - s->off);
	}
}

void outq_drop(struct outq *q, size_t len, uint64_t now_ms)
{
	q->since_ms = now_ms;
	consume(q, len);
}

int outq_write(struct outq *q, int fd, uint64_t now_ms, uint64_t *calls)
{
	while (q->n > 0) {
		struct iovec iov[OUTQ_IOV];
		struct msghdr msg = {.msg_iov = iov};
		ssize_t sent;

		for (uint32_t i = 0; i < q->n && i < OUTQ_IOV; i++) {
			struct outseg *s = seg_at(q, i);

			iov[i] = (struct iovec){s->blob->bytes + s->off, s->blob->len - s->off};
			msg.msg_iovlen = i + 1;
		}
		sent = sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
		(*calls)++;
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return errno == EAGAIN || errno == EWOULDBLOCK ? -ERR_AGAIN : -ERR_IO;
		q->since_ms = now_ms;
		consume(q, (size_t)sent);
	}
	return 0;
}

ssize_t outq_bypass(int fd, const uint8_t *p, size_t len, const uint8_t *q, size_t qlen)
{
	struct iovec iov[] = {{(uint8_t *)p, len}, {(uint8_t *)q, qlen}};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};
	ssize_t n;

	do {
		if (len && qlen)
			n = sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
		else
			n = send(fd, len ? p : q, len + qlen, MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) ? 0 : n;
}
