/* SPDX-License-Identifier: MIT */
/* Client sockets: connect from a loopback address, read and write frames.
 * Leaves what comes before the first message to handshake.c, messages and accounts to load.c. */
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/frame.h"
#include "bench/handshake.h"
#include "bench/herd.h"
#include "bench/link.h"

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

void link_fail(struct gen *g, struct link *l, const char *why)
{
	bool was_live = l->state == LINK_LIVE;

	if (g->conf->mode == MODE_HERD && herd_failed(g, l, why))
		return;
	gen_trouble(g, "socket %u, %s: %s", l->id,
		    was_live ? "in its room" : "handshake", why);
	if (l->state == LINK_LIVE) {
		bump(&g->own->lost, 1);
		bump(&g->own->live, (uint64_t)-1);
		g->live--;
	} else if (l->state != LINK_CLOSING) {
		bump(&g->own->failed, 1);
		g->pending--;
	}
	link_close(g, l);
	l->state = LINK_DEAD;
}

void link_close(struct gen *g, struct link *l)
{
	(void)g;
	if (l->fd >= 0)
		close(l->fd);
	free(l->left);
	free(l->out);
	l->fd = -1;
	l->left = l->out = NULL;
	l->left_len = l->left_room = l->out_len = l->out_off = l->out_room = 0;
	l->state = LINK_FREE;
}

/* Connections are spread over 127.0.1.1, 127.0.1.2, …: each has its own 28,000 ports. */
static int bind_source(const struct gen *g, const struct link *l, int fd)
{
	struct sockaddr_in from = {.sin_family = AF_INET};
	uint32_t source = l->id % g->conf->sources;
	int on = 1;

	from.sin_addr.s_addr = htonl(0x7f000100u + source / 254 * 256 + source % 254 + 1);
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
	return bind(fd, (struct sockaddr *)&from, sizeof(from));
}

int link_open(struct gen *g, struct link *l)
{
	struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET};
	int on = 1;

	l->state = LINK_CONNECT;
	l->begin_ns = stamp_now();
	g->pending++;
	l->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (l->fd < 0 || bind_source(g, l, l->fd) < 0)
		goto fail;
	setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	ev.data.ptr = l;
	if (epoll_ctl(g->epoll, EPOLL_CTL_ADD, l->fd, &ev) < 0)
		goto fail;
	if (connect(l->fd, (const struct sockaddr *)&g->conf->server,
		    sizeof(g->conf->server)) < 0 && errno != EINPROGRESS)
		goto fail;
	return 0;
fail:
	link_fail(g, l, strerror(errno));
	return -1;
}

static void keep_out(struct link *l, const uint8_t *data, size_t len)
{
	if (l->out_len + len > l->out_room) {
		l->out_room = (uint32_t)(l->out_len + len);
		l->out = realloc(l->out, l->out_room);
		if (!l->out)
			abort();
	}
	memcpy(l->out + l->out_len, data, len);
	l->out_len += (uint32_t)len;
}

void link_send(struct gen *g, struct link *l, const void *data, size_t len)
{
	ssize_t n = 0;

	if (l->fd < 0)
		return;
	if (!l->out_len) {
		n = send(l->fd, data, len, MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN && errno != EINTR) {
			link_fail(g, l, strerror(errno));
			return;
		}
		if (n < 0)
			n = 0;
	}
	if ((size_t)n < len)
		keep_out(l, (const uint8_t *)data + n, len - (size_t)n);
}

static void flush_out(struct gen *g, struct link *l)
{
	ssize_t n;

	while (l->out_off < l->out_len) {
		n = send(l->fd, l->out + l->out_off, l->out_len - l->out_off, MSG_NOSIGNAL);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0) {
			link_fail(g, l, strerror(errno));
			return;
		}
		l->out_off += (uint32_t)n;
	}
	l->out_len = l->out_off = 0;
}

size_t link_frame(struct gen *g, size_t at, const char *text, size_t len)
{
	static const uint8_t mask[4] = {0x5a, 0xc3, 0x17, 0x9e};
	uint8_t *p;

	if (at + FRAME_HEAD_MAX + len > g->scratch_room) {
		g->scratch_room = 2 * (at + FRAME_HEAD_MAX + len);
		g->scratch = realloc(g->scratch, g->scratch_room);
		if (!g->scratch)
			abort();
	}
	p = g->scratch + at;
	p += frame_head(p, FRAME_TEXT, len, mask);
	memcpy(p, text, len);
	frame_mask(p, len, mask);
	return (size_t)(p - g->scratch) + len;
}

void link_text(struct gen *g, struct link *l, const char *text, size_t len)
{
	size_t n = link_frame(g, 0, text, len);

	link_send(g, l, g->scratch, n);
}

static void send_control(struct gen *g, struct link *l, unsigned op, const void *data, size_t len)
{
	static const uint8_t mask[4] = {1, 2, 3, 4};
	uint8_t buf[FRAME_HEAD_MAX + 125];
	size_t head;

	head = frame_head(buf, op, len, mask);
	memcpy(buf + head, data, len);
	frame_mask(buf + head, len, mask);
	link_send(g, l, buf, head + len);
}

void link_bye(struct gen *g, struct link *l)
{
	static const uint8_t normal[2] = {1000 >> 8, 1000 & 255};

	l->state = LINK_CLOSING;
	send_control(g, l, FRAME_CLOSE, normal, sizeof(normal));
}

static void on_frame(struct gen *g, struct link *l, const struct frame *f, const uint8_t *payload)
{
	switch (f->op) {
	case FRAME_TEXT:
	case FRAME_CONT:
	case FRAME_BINARY:
		if (handshake_is_ping(g, payload, f->len))
			link_text(g, l, "3", 1);
		else if (l->state == LINK_LIVE)
			load_text(g, l, (const char *)payload, f->len);
		else if (l->state != LINK_CLOSING)
			handshake_text(g, l, (const char *)payload, f->len);
		break;
	case FRAME_PING:
		if (f->len <= 125)
			send_control(g, l, FRAME_PONG, payload, f->len);
		break;
	case FRAME_CLOSE:
		if (l->state != LINK_CLOSING)
			link_fail(g, l, "the server sent a close frame");
		break;
	default:
		break;
	}
}

/* Takes whole frames from the n bytes at p; returns how many bytes it used. */
static size_t take_frames(struct gen *g, struct link *l, const uint8_t *p, size_t n)
{
	struct frame f;
	size_t at = 0;
	int r;

	if (l->state == LINK_UPGRADE) {
		at = handshake_upgraded(g, l, p, n);
		if (!at)
			return 0;
	}
	while (at < n && l->fd >= 0) {
		r = frame_parse(p + at, n - at, &f);
		if (r < 0) {
			link_fail(g, l, "not a WebSocket frame");
			return n;
		}
		if (r == 0 || f.head + (size_t)f.len > n - at)
			break;
		on_frame(g, l, &f, p + at + f.head);
		at += f.head + (size_t)f.len;
	}
	return at;
}

static void keep_left(struct link *l, const uint8_t *p, size_t n)
{
	if (n > l->left_room) {
		free(l->left);
		l->left = malloc(n);
		if (!l->left)
			abort();
		l->left_room = (uint32_t)n;
	}
	if (n)
		memcpy(l->left, p, n);
	l->left_len = (uint32_t)n;
}

/* Events are edge-triggered: a short read means empty, unless the end of the stream is known to
 * wait behind it. The buffer has room for one unfinished frame before what is read now. */
static void link_read(struct gen *g, struct link *l, bool has_end)
{
	size_t have, used;
	ssize_t n;

	do {
		have = l->left_len;
		if (have)
			memcpy(g->in, l->left, have);
		n = recv(l->fd, g->in + have, GEN_READ_LEN, 0);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0 && l->state == LINK_CLOSING) {
			link_close(g, l);
			return;
		}
		if (n <= 0) {
			link_fail(g, l, n ? strerror(errno) : "end of stream");
			return;
		}
		g->now = stamp_now();
		bump(&g->own->reads, 1);
		bump(&g->own->bytes, (uint64_t)n);
		have += (size_t)n;
		used = take_frames(g, l, g->in, have);
		if (l->fd < 0)
			return;
		keep_left(l, g->in + used, have - used);
	} while (n == GEN_READ_LEN || has_end);
}

void link_event(struct gen *g, struct link *l, unsigned events)
{
	socklen_t len = sizeof(int);
	int error = 0;

	if (l->state == LINK_CONNECT) {
		getsockopt(l->fd, SOL_SOCKET, SO_ERROR, &error, &len);
		if (error)
			link_fail(g, l, strerror(error));
		else if (events & EPOLLOUT)
			handshake_upgrade(g, l);
		return;
	}
	if ((events & EPOLLOUT) && l->out_len)
		flush_out(g, l);
	if (l->fd >= 0 && (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)))
		link_read(g, l, events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR));
}
