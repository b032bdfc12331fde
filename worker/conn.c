/* SPDX-License-Identifier: MIT */
/*
 * Reads, queues and writes client sockets; nothing else touches them.
 * Bytes go to http_conn.c or ws_conn.c, deadlines are kept by conn_timeout.c, connections begin and
 * end in conn_life.c.
 */
#include "worker/conn_priv.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "worker/chan.h"
#include "worker/chan_replay.h"
#include "worker/conn_out.h"
#include "worker/conn_timeout.h"
#include "worker/deflate.h"
#include "worker/deliver.h"
#include "worker/eio.h"
#include "worker/http_conn.h"
#include "worker/on_cmd.h"
#include "worker/peer.h"
#include "worker/ws_conn.h"

#define READ_MIN (64 * 1024)	  /* room for one read beside what was kept */
#define SPARE_CAP_MAX (64 * 1024) /* a reply buffer above this is not kept for reuse */
/* Parts of deliver.queue_max: of replies that are sent at once, … */
#define REPLIES_PART 8
/* … of a queue above which no request is read, so that what is under way still has room, … */
#define FULL_PART 2
/* … and below which they are read again. */
#define AGAIN_PART 4

static void set_events(struct conn *c, int events)
{
	struct worker *wk = conn_worker(c);

	if (c->io.fd < 0 || (c->io.events == events && ev_is_active(&c->io)))
		return;
	ev_io_stop(wk->loop, &c->io);
	ev_io_modify(&c->io, events); /* not ev_io_set, which has the kernel told in any case */
	if (events)
		ev_io_start(wk->loop, &c->io);
}

bool conn_is_stopped(const struct conn *c)
{
	return c->is_blocked || (c->is_full && c->state == CONN_WS);
}

/*
 * Which readiness matters now: input unless stopped, output while bytes wait. Most connections are
 * stopped for less time than their client is silent: the kernel is told only when there is input.
 */
static void update_events(struct conn *c)
{
	int input = ev_is_active(&c->io) ? c->io.events & EV_READ : 0;

	if (c->state == CONN_DEAD)
		return;
	if (!conn_is_stopped(c) || c->is_watched)
		input = EV_READ;
	set_events(c, input | (c->out ? EV_WRITE : 0));
}

/* ---- Output ---- */

struct buf *conn_reply(struct conn *c)
{
	struct worker *wk = conn_worker(c);

	if (!c->reply) {
		c->reply = wk->spare ? wk->spare : xcalloc(1, sizeof(*c->reply));
		wk->spare = NULL;
	}
	if (c->state != CONN_DEAD && list_empty(&c->dirty))
		list_append(&wk->conns_dirty, &c->dirty);
	return c->reply;
}

void conn_reply_done(struct conn *c)
{
	struct worker *wk = conn_worker(c);

	if (!c->reply)
		return;
	if (!wk->spare && c->reply->cap <= SPARE_CAP_MAX) {
		buf_clear(c->reply);
		wk->spare = c->reply;
	} else {
		buf_done(c->reply);
		free(c->reply);
	}
	c->reply = NULL;
}

static void queue_blob(struct conn *c, struct blob *blob, size_t off)
{
	struct worker *wk = conn_worker(c);

	if (!c->out) {
		c->out = outq_new(c, clock_mono_ms());
		list_append(&wk->outqs, &c->out->node);
		chan_mark_queued(c, true);
		update_events(c);
	}
	outq_add(c->out, blob, off);
	if (c->io.fd < 0)
		eio_has_output(c);
}

size_t conn_queued(const struct conn *c)
{
	return c->out ? c->out->bytes : 0;
}

/* A reader that does not keep up: it gets whole frames, then 4480, and may resume. */
static void cut_off(struct conn *c)
{
	struct worker *wk = conn_worker(c);
	uint64_t held;

	if (c->state != CONN_WS && c->state != CONN_SSE) {
		conn_kill(c, CONN_END_LOST);
		return;
	}
	worker_count(wk, M_CLOSED_SLOW, 1);
	if (log_rate_pass(&wk->slow_log, 60000, &held))
		log_info("a reader did not keep up: closed", LF_INT("connection", (int64_t)c->id),
			 LF_INT("suppressed", (int64_t)held));
	if (c->io.fd < 0) { /* nobody comes for it */
		conn_kill(c, CONN_END_LOST);
		return;
	}
	if (c->out)
		outq_cut(c->out);
	if (c->reply)
		buf_clear(c->reply);
	if (c->state == CONN_WS)
		ws_conn_close_frame(conn_reply(c), E_TOO_SLOW);
	conn_finish(c, CONN_END_LOST);
}

void conn_queue_shared(struct conn *c, const uint8_t *p, size_t len, size_t off, struct blob **blob)
{
	if (c->state == CONN_DEAD || c->state == CONN_LINGER)
		return;
	if (!*blob)
		*blob = blob_new(p, len);
	queue_blob(c, *blob, off);
}

/* All of it, with what is sent already: the queue must know that the peer has begun to read it. */
static void queue_copy(struct conn *c, const uint8_t *p, size_t len, size_t off)
{
	struct blob *blob;

	if (off == len)
		return;
	blob = blob_new(p, len);
	queue_blob(c, blob, off);
	blob_unref(&blob);
}

/*
 * Replies cannot be caught up with: whoever lets them pile up behind a full queue is cut off. One
 * may be larger than a queue, if it was asked for while there was room.
 */
static bool has_room_for_replies(const struct conn *c)
{
	size_t max = (size_t)conn_worker(c)->settings->deliver_queue_max;

	return !c->out || (c->state != CONN_WS && c->state != CONN_SSE) ||
	       c->out->bytes <= max / FULL_PART || c->out->bytes + c->reply->len <= max;
}

void conn_flush(struct conn *c)
{
	conn_flush_with(c, NULL, 0);
}

void conn_flush_with(struct conn *c, const uint8_t *p, size_t len)
{
	struct buf *reply = c->reply;
	size_t n;
	ssize_t sent = 0;

	if (c->deflate_bits && reply)
		deflate_reply(c);
	n = reply ? reply->len : 0;
	list_remove(&c->dirty);
	if (n + len == 0 || c->state == CONN_DEAD) {
		conn_reply_done(c);
		return;
	}
	if (!c->out && c->io.fd >= 0) {
		sent = outq_bypass(c->io.fd, n ? reply->p : NULL, n, p, len);
		worker_count(conn_worker(c), M_SENDS, 1);
	}
	if (sent < 0) {
		conn_kill(c, CONN_END_LOST);
		return;
	}
	if (n && !has_room_for_replies(c)) {
		cut_off(c); /* comes here again, with the close frame */
		return;
	}
	if (n)
		queue_copy(c, reply->p, n, MIN((size_t)sent, n));
	queue_copy(c, p, len, (size_t)sent - MIN((size_t)sent, n));
	conn_reply_done(c);
}

bool conn_make_room(struct conn *c)
{
	size_t max = (size_t)conn_worker(c)->settings->deliver_queue_max;

	if (c->reply && c->reply->len >= max / REPLIES_PART)
		conn_flush(c);
	return c->state == CONN_WS;
}

bool conn_takes_more(struct conn *c)
{
	size_t max = (size_t)conn_worker(c)->settings->deliver_queue_max;

	if (c->state == CONN_WS && !conn_is_stopped(c) && conn_make_room(c) &&
	    conn_queued(c) > max / FULL_PART) {
		c->is_full = true;
		update_events(c);
	}
	return !conn_is_stopped(c);
}

/* What has been read already is shown to the protocols with the next turn. */
static void read_on(struct conn *c)
{
	struct worker *wk = conn_worker(c);

	update_events(c);
	if ((c->in || c->rest) && list_empty(&c->work)) {
		list_append(&wk->conns_ready, &c->work);
		worker_kick(wk);
	}
}

/* The socket has taken some of what kept requests waiting. */
static void look_if_full(struct conn *c)
{
	size_t max = (size_t)conn_worker(c)->settings->deliver_queue_max;

	if (!c->is_full || c->state != CONN_WS || conn_queued(c) > max / AGAIN_PART)
		return;
	c->is_full = false;
	read_on(c);
}

static void drained(struct conn *c)
{
	/* RFC 6455 section 7.1.1: the server closes at once; others may still be reading */
	if (c->state == CONN_LINGER && (c->io.fd < 0 || c->is_over))
		conn_kill(c, (enum conn_end)c->end);
	else if (c->state == CONN_LINGER)
		shutdown(c->io.fd, SHUT_WR);
	else if (c->state == CONN_HTTP)
		http_conn_drained(c);
}

void conn_flush_all(struct worker *wk)
{
	struct list *node;

	while ((node = list_first(&wk->conns_dirty))) {
		struct conn *c = list_entry(node, struct conn, dirty);

		if (!deliver_join(c))
			conn_flush(c);
		if (!c->out)
			drained(c);
	}
}

/* The queue has gone out. */
static void emptied(struct conn *c)
{
	outq_free(&c->out);
	chan_mark_queued(c, false);
	update_events(c);
	look_if_full(c);
	drained(c);
}

static void on_writable(struct conn *c)
{
	uint64_t calls = 0;
	int r = outq_write(c->out, c->io.fd, clock_mono_ms(), &calls);

	worker_count(conn_worker(c), M_SENDS, (int64_t)calls);
	if (r == -ERR_AGAIN) {
		if (c->state == CONN_LINGER)
			conn_wait(c, WAIT_CLOSE); /* it reads on: let it finish */
		look_if_full(c);
		return;
	}
	if (r < 0) {
		conn_kill(c, CONN_END_LOST);
		return;
	}
	emptied(c);
}

void conn_copy_out(const struct conn *c, uint32_t max, struct buf *b)
{
	if (c->out)
		outq_copy(c->out, max, b);
}

void conn_drop_out(struct conn *c, size_t len)
{
	if (!len)
		return;
	outq_drop(c->out, len, clock_mono_ms());
	if (c->out->bytes)
		look_if_full(c);
	else
		emptied(c);
}

/* ---- Input ---- */

static size_t dispatch_input(struct conn *c, uint8_t *data, size_t len)
{
	switch (c->state) {
	case CONN_HTTP:
		return c->awaits_proxy ? peer_input(c, data, len)
				       : http_conn_input(c, data, len);
	case CONN_WS:
	case CONN_WS_CLOSING:
		return c->io.fd < 0 ? eio_poll_input(c, data, len) : ws_conn_input(c, data, len);
	default:
		c->is_over = false;
		return len;
	}
}

/* Shows DATA to the protocols until none of them wants more of it; keeps the rest. */
static void feed(struct conn *c, uint8_t *data, size_t len)
{
	size_t used = 0;

	while (used < len && !conn_is_stopped(c) && c->state != CONN_DEAD) {
		uint8_t state = c->state;
		size_t n = dispatch_input(c, data + used, len - used);

		used += n;
		if (n == 0 && state == c->state)
			break;
	}
	if (c->in)
		buf_clear(c->in);
	if (used == len || c->state == CONN_DEAD) {
		if (c->in)
			buf_done(c->in);
		free(c->in);
		c->in = NULL;
		return;
	}
	if (!c->in)
		c->in = xcalloc(1, sizeof(*c->in));
	buf_add(c->in, data + used, len - used);
}

void conn_input(struct conn *c, uint8_t *data, size_t len)
{
	feed(c, data, len);
}

/* Who has finished sending may still read: an answer of this turn goes out first. */
static void on_eof(struct conn *c)
{
	conn_flush(c);
	conn_kill(c, c->state == CONN_LINGER ? (enum conn_end)c->end : CONN_END_LOST);
}

/* Room for the bytes kept from earlier reads and a good read more. */
static void rbuf_fit(struct worker *wk, size_t kept)
{
	size_t want = kept + READ_MIN;

	if (want <= wk->rbuf_cap)
		return;
	wk->rbuf = xrealloc(wk->rbuf, want);
	wk->rbuf_cap = want;
}

static void on_readable(struct conn *c)
{
	struct worker *wk = conn_worker(c);
	size_t kept = c->in ? c->in->len : 0;
	ssize_t n;

	rbuf_fit(wk, kept);
	n = read(c->io.fd, wk->rbuf + kept, wk->rbuf_cap - kept);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		on_eof(c);
		return;
	}
	worker_count(wk, M_BYTES_IN, n);
	if (c->state == CONN_LINGER)
		return;
	if (kept)
		memcpy(wk->rbuf, c->in->p, kept);
	feed(c, wk->rbuf, kept + (size_t)n);
}

void conn_watch(struct conn *c)
{
	c->is_watched = true;
	update_events(c);
}

/* Blocked: what comes is for later, unless it is the end. */
static void look_if_ended(struct conn *c)
{
	char byte;
	ssize_t n = recv(c->io.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	c->is_watched = false;
	if (n > 0)
		update_events(c);
	else
		on_eof(c);
}

static void on_conn_io(EV_P_ ev_io *w, int revents)
{
	struct conn *c = container_of(w, struct conn, io);

	(void)loop;
	if (revents & EV_WRITE && c->out)
		on_writable(c);
	if (!(revents & EV_READ) || c->state == CONN_DEAD)
		return;
	if (c->is_watched)
		look_if_ended(c);
	else if (conn_is_stopped(c))
		set_events(c, c->out ? EV_WRITE : 0); /* until update_events wants it again */
	else if (!c->rest) /* what waits there came before what is read */
		on_readable(c);
}

void conn_io_init(struct conn *c, int fd)
{
	ev_io_init(&c->io, on_conn_io, fd, EV_READ);
	if (fd >= 0)
		ev_io_start(conn_worker(c)->loop, &c->io);
}

void conn_block(struct conn *c)
{
	c->is_blocked = true;
	update_events(c);
}

void conn_unblock(struct conn *c)
{
	if ((!c->is_blocked && !c->is_full) || c->state == CONN_DEAD)
		return;
	c->is_blocked = c->is_watched = false;
	read_on(c);
}

void conn_resume_ready(struct worker *wk)
{
	struct list *node;
	int budget = 256;

	while (budget-- > 0 && (node = list_first(&wk->conns_ready))) {
		struct conn *c = list_entry(node, struct conn, work);
		size_t len = c->in ? c->in->len : 0;

		list_remove(node);
		if (!conn_is_stopped(c))
			on_frame_rest(c);
		if (!len || conn_is_stopped(c) || c->state == CONN_DEAD)
			continue;
		rbuf_fit(wk, len);
		memcpy(wk->rbuf, c->in->p, len);
		feed(c, wk->rbuf, len);
	}
	if (!list_empty(&wk->conns_ready))
		worker_kick(wk);
}

/* ---- The end ---- */

void conn_finish(struct conn *c, enum conn_end end)
{
	if (c->state == CONN_DEAD || c->state == CONN_LINGER)
		return;
	chan_leave_all(c, end);
	c->end = end;
	c->state = CONN_LINGER;
	c->is_blocked = false;
	conn_wait(c, WAIT_CLOSE);
	update_events(c);
	conn_reply(c); /* puts it on the list whose flush ends in drained() */
}

void conn_take_socket(struct conn *c, struct conn *from)
{
	struct worker *wk = conn_worker(c);

	ev_io_stop(wk->loop, &from->io);
	ev_io_set(&c->io, from->io.fd, EV_READ);
	from->io.fd = -1;
	ws_in_done(&c->ws);
	c->ws = from->ws;
	from->ws = (struct ws_in){0};
	c->deflate_bits = from->deflate_bits;
	from->took_over = c->id;
	chan_mark_socket(c);
	set_events(c, EV_READ | (c->out ? EV_WRITE : 0));
	conn_kill(from, CONN_END_CLEAN);
}

static void on_late(struct conn *c, void *arg)
{
	(void)arg;
	cut_off(c);
}

void conn_check_slow(struct worker *wk)
{
	uint64_t limit = (uint64_t)wk->settings->deliver_behind_timeout, now = clock_mono_ms();
	struct list *node, *tmp;

	list_each_safe(node, tmp, &wk->outqs) {
		struct outq *q = list_entry(node, struct outq, node);

		if (q->conn->state != CONN_WS && q->conn->state != CONN_SSE &&
		    q->conn->state != CONN_HTTP)
			continue;
		if (now - q->since_ms >= limit)
			cut_off(q->conn);
	}
	chan_replay_late(wk, now - limit, on_late, NULL);
}
