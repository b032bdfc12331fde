/* SPDX-License-Identifier: MIT */
/*
 * Connections on their way to another worker, and those that come from one.
 * A connection moves between requests only: what it is, is its socket, its addresses and its bytes.
 */
#include "worker/inbox.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fdpass.h"
#include "base/log.h"
#include "worker/admission.h"
#include "worker/conn.h"
#include "worker/peer.h"
#include "worker/ws_conn.h"

#define TAKE_BUDGET 64		 /* connections in one turn */
#define INLINE_MAX (32 * 1024) /* more bytes than this travel in a file in memory */

/* What precedes the bytes. Both ends are the same program: no other form is ever read. */
struct parcel {
	uint64_t len; /* of the bytes, wherever they are */
	struct addr addr, link;
	uint32_t requests;
	bool is_tls, is_link_tls, is_in_file;
};

/* A connection that waits for the end of the turn: the request as bytes, and where to. */
struct move {
	int slot;
	struct buf bytes;
};

void inbox_forget(struct conn *c)
{
	if (c->move)
		buf_done(&c->move->bytes);
	free(c->move);
	c->move = NULL;
}

/* ---- Away ---- */

/* RFC 9112: the request as it can be read again; a body has its length whatever form it had. */
static void add_request(struct buf *b, const struct http_request *req)
{
	buf_add_str(b, req->method_name);
	buf_add_char(b, ' ');
	buf_add_str(b, req->target);
	buf_printf(b, " HTTP/1.%d\r\n", req->minor);
	for (size_t i = 0; i < req->nfields; i++) {
		struct str name = req->fields[i].name;

		if (str_ieq(name, STR("Transfer-Encoding")) ||
		    str_ieq(name, STR("Content-Length")) || str_ieq(name, STR("Expect")))
			continue;
		buf_add_str(b, name);
		buf_add_cstr(b, ": ");
		buf_add_str(b, req->fields[i].value);
		buf_add_cstr(b, "\r\n");
	}
	if (req->body.len)
		buf_printf(b, "Content-Length: %zu\r\n", req->body.len);
	buf_add_cstr(b, "\r\n");
	buf_add_str(b, req->body);
}

void inbox_move(struct call *call, int slot)
{
	struct conn *c = call_conn(call);

	c->move = xcalloc(1, sizeof(*c->move));
	c->move->slot = slot;
	add_request(&c->move->bytes, call->req);
	conn_block(c); /* nothing behind the request is looked at here */
	list_remove(&c->work);
	list_append(&call->wk->conns_moving, &c->work);
	worker_kick(call->wk);
	call_done(call);
}

/* A file in memory with the bytes, or -1. */
static int file_of(struct str bytes)
{
	int fd = memfd_create("roomd-request", MFD_CLOEXEC);
	size_t done = 0;

	while (fd >= 0 && done < bytes.len) {
		ssize_t n = write(fd, bytes.p + done, bytes.len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			close(fd);
			return -1;
		}
		done += (size_t)n;
	}
	return fd;
}

/* One packet: the parcel, its bytes unless they are in a file, and the descriptors. */
static bool send_parcel(int to, const struct parcel *parcel, struct str bytes, const int *fds,
			size_t n)
{
	struct iovec iov[] = {{(void *)parcel, sizeof(*parcel)}, {(char *)bytes.p, bytes.len}};

	return fdpass_send(to, iov, parcel->is_in_file ? 1 : 2, fds, n) >= 0;
}

static bool hand_over(struct conn *c)
{
	struct worker *wk = conn_worker(c);
	struct buf *b = &c->move->bytes;
	struct parcel parcel = {
		.addr = c->addr,
		.link = c->link,
		.requests = c->requests,
		.is_tls = c->is_tls,
		.is_link_tls = c->is_link_tls,
	};
	int fds[FDPASS_MAX] = {c->io.fd, -1}; /* the socket, and a file with the bytes */
	bool is_sent;

	if (c->in)
		buf_add_str(b, buf_str(c->in));
	parcel.len = b->len;
	if (b->len > INLINE_MAX) {
		parcel.is_in_file = true;
		fds[1] = file_of(buf_str(b));
		if (fds[1] < 0)
			return false;
	}
	is_sent = send_parcel(wk->boot->inboxes[c->move->slot].in, &parcel, buf_str(b), fds,
			      fds[1] < 0 ? 1 : 2);
	if (fds[1] >= 0)
		close(fds[1]);
	return is_sent;
}

/* The other worker's inbox is full, or this socket takes no more answers. */
static void give_up(struct conn *c)
{
	struct worker *wk = conn_worker(c);

	log_debug("a connection was not moved", LF_INT("slot", c->move->slot));
	admission_add_refusal(wk, conn_reply(c));
	conn_finish(c, CONN_END_CLEAN);
}

void inbox_run(struct worker *wk)
{
	struct list *node;

	while ((node = list_first(&wk->conns_moving))) {
		struct conn *c = list_entry(node, struct conn, work);

		list_remove(node);
		conn_flush(c); /* answers to earlier requests go first */
		if (c->state != CONN_HTTP)
			continue;
		if (c->out || !hand_over(c)) {
			give_up(c);
			continue;
		}
		worker_count(wk, M_CONNECTIONS_MOVED, 1);
		conn_kill(c, CONN_END_CLEAN); /* closes this process's descriptor alone */
	}
}

/* ---- Here ---- */

static void receive(struct worker *wk, const struct parcel *parcel, int fd, uint8_t *bytes)
{
	struct conn *c = conn_open(wk, fd);

	if (!c) {
		close(fd); /* full: the client comes again */
		worker_count(wk, M_CONNECTIONS_REFUSED, 1);
		return;
	}
	c->addr = parcel->addr;
	c->link = parcel->link;
	c->is_tls = parcel->is_tls;
	c->is_link_tls = parcel->is_link_tls;
	c->requests = parcel->requests - (parcel->requests > 0); /* this one counts once */
	conn_input(c, bytes, parcel->len);
}

/* The parcel's bytes out of its file; owned, or NULL. */
static uint8_t *read_file(int fd, size_t len)
{
	uint8_t *bytes = xmalloc(len + 1);

	if (pread(fd, bytes, len, 0) == (ssize_t)len)
		return bytes;
	free(bytes);
	return NULL;
}

static void open_parcel(struct worker *wk, uint8_t *packet, size_t len, const int *fds, size_t n)
{
	struct parcel parcel;
	uint8_t *bytes = NULL;

	if (n == 0 || len < sizeof(parcel))
		return;
	memcpy(&parcel, packet, sizeof(parcel));
	if (parcel.is_in_file && n == 2) {
		bytes = read_file(fds[1], parcel.len);
		close(fds[1]);
	}
	if (bytes || (!parcel.is_in_file && parcel.len == len - sizeof(parcel)))
		receive(wk, &parcel, fds[0], bytes ? bytes : packet + sizeof(parcel));
	else
		close(fds[0]);
	free(bytes);
}

static void on_inbox(EV_P_ ev_io *w, int revents)
{
	struct worker *wk = w->data;
	const size_t max = sizeof(struct parcel) + INLINE_MAX;
	uint8_t *packet = xmalloc(max);

	(void)loop;
	(void)revents;
	for (int i = 0; i < TAKE_BUDGET; i++) {
		int fds[FDPASS_MAX];
		size_t n_fds;
		ssize_t n = fdpass_receive(w->fd, packet, max, fds, &n_fds);

		if (n <= 0)
			break;
		open_parcel(wk, packet, (size_t)n, fds, n_fds);
	}
	free(packet);
}

void inbox_open(struct worker *wk)
{
	ev_io_init(&wk->inbox_io, on_inbox, wk->boot->inboxes[wk->slot].out, EV_READ);
	wk->inbox_io.data = wk;
	ev_io_start(wk->loop, &wk->inbox_io);
}

void inbox_close(struct worker *wk)
{
	ev_io_stop(wk->loop, &wk->inbox_io);
}
