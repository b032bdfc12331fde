/* SPDX-License-Identifier: MIT */
/* The least that a chat server can cost: WebSocket, rooms by path, each text frame to everybody in
 * the room, nothing kept. One thread, epoll; with --join one send per receiver and turn. */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/frame.h"

#define READ_LEN (256 << 10)
#define BUCKETS 4096
#define EVENTS_MAX 512
#define PATH_LEN_MAX 200
/* Unsent bytes of one reader; a slower one is closed. */
#define BEHIND_MAX (64u << 20)

struct conn {
	int fd;
	uint32_t at;               /* index in room->fds */
	struct room *room;         /* NULL before the upgrade */
	uint32_t left_len, out_len, out_off, out_room;
	uint8_t *left, *out;       /* unfinished input, unsent output; owned */
};

struct room {
	struct room *next;
	char *path;
	int *fds;                  /* all that the sending loop touches */
	uint32_t count, capacity;
	uint8_t *joined;           /* frames of this turn */
	uint32_t joined_len, joined_room;
	struct room *next_dirty;
	bool is_dirty;
};

static struct conn **conns;        /* by descriptor */
static bool *is_behind;            /* by descriptor: has unsent output */
static size_t conns_max;
static struct room *rooms[BUCKETS], *dirty;
static uint8_t in[FRAME_LEN_MAX + FRAME_HEAD_MAX + READ_LEN]; /* mostly never touched */
static int epoll_fd;
static bool is_joining;

static void *grown(void *p, size_t n)
{
	p = realloc(p, n);
	if (!p)
		abort();
	return p;
}

static struct room *room_find(const char *path, size_t len)
{
	struct room **head, *r;
	uint32_t hash = 2166136261u;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (uint8_t)path[i]) * 16777619u;
	head = &rooms[hash % BUCKETS];
	for (r = *head; r; r = r->next)
		if (strlen(r->path) == len && memcmp(r->path, path, len) == 0)
			return r;
	r = calloc(1, sizeof(*r));
	if (!r)
		abort();
	r->path = strndup(path, len);
	r->next = *head;
	*head = r;
	return r;
}

static void room_add(struct room *r, struct conn *c)
{
	if (r->count == r->capacity) {
		r->capacity = r->capacity ? r->capacity * 2 : 8;
		r->fds = grown(r->fds, r->capacity * sizeof(*r->fds));
	}
	c->room = r;
	c->at = r->count;
	r->fds[r->count++] = c->fd;
}

static void conn_close(struct conn *c)
{
	struct room *r = c->room;

	if (r) {
		r->fds[c->at] = r->fds[--r->count];
		conns[r->fds[c->at]]->at = c->at;
	}
	conns[c->fd] = NULL;
	is_behind[c->fd] = false;
	close(c->fd);
	free(c->left);
	free(c->out);
	free(c);
}

/* Keeps what the socket did not take; EPOLLOUT is always armed, edge-triggered. */
static void conn_keep(struct conn *c, const uint8_t *data, size_t len)
{
	if (c->out_len + len > BEHIND_MAX) {
		shutdown(c->fd, SHUT_RDWR);
		return;
	}
	if (c->out_len + len > c->out_room) {
		c->out_room = (uint32_t)(c->out_len + len);
		c->out = grown(c->out, c->out_room);
	}
	memcpy(c->out + c->out_len, data, len);
	c->out_len += (uint32_t)len;
	is_behind[c->fd] = true;
}

/* Rare case of fd_send: a reader that is behind, a full socket, or an error. */
static void fd_send_rest(int fd, const uint8_t *data, size_t len, ssize_t sent)
{
	struct conn *c = conns[fd];

	if (sent < 0 && errno != EAGAIN)
		return; /* the read side notices */
	conn_keep(c, data + (sent > 0 ? sent : 0), len - (size_t)(sent > 0 ? sent : 0));
}

static void room_send(struct room *r, const uint8_t *data, size_t len)
{
	ssize_t n;

	for (uint32_t i = 0; i < r->count; i++) {
		if (is_behind[r->fds[i]]) {
			conn_keep(conns[r->fds[i]], data, len);
			continue;
		}
		n = send(r->fds[i], data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n != (ssize_t)len)
			fd_send_rest(r->fds[i], data, len, n);
	}
}

static void room_publish(struct room *r, const uint8_t *text, size_t len)
{
	uint8_t *p;

	if (r->joined_len + FRAME_HEAD_MAX + len > r->joined_room) {
		r->joined_room = (uint32_t)(2 * (r->joined_len + FRAME_HEAD_MAX + len));
		r->joined = grown(r->joined, r->joined_room);
	}
	p = r->joined + r->joined_len;
	p += frame_head(p, FRAME_TEXT, len, NULL);
	memcpy(p, text, len);
	r->joined_len = (uint32_t)((size_t)(p - r->joined) + len);
	if (is_joining) {
		if (!r->is_dirty) {
			r->is_dirty = true;
			r->next_dirty = dirty;
			dirty = r;
		}
		return;
	}
	room_send(r, r->joined, r->joined_len);
	r->joined_len = 0;
}

static void flush_dirty(void)
{
	struct room *r;

	while ((r = dirty)) {
		dirty = r->next_dirty;
		r->is_dirty = false;
		room_send(r, r->joined, r->joined_len);
		r->joined_len = 0;
	}
}

/* RFC 6455 section 4.2.2: SHA-1 over key and GUID, in base 64. */
static void accept_of(const char *key, size_t len, char *ret_accept)
{
	static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
	unsigned char text[128], digest[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	memcpy(text, key, len);
	memcpy(text + len, guid, sizeof(guid) - 1);
	EVP_Digest(text, len + sizeof(guid) - 1, digest, &n, EVP_sha1(), NULL);
	EVP_EncodeBlock((unsigned char *)ret_accept, digest, (int)n);
}

/* Returns the bytes used, 0 if the request is not complete, -1 if it is none of ours. */
static ssize_t upgrade(struct conn *c, char *p, size_t n)
{
	char *end = memmem(p, n, "\r\n\r\n", 4), *path, *key, accept[64], answer[256];
	size_t path_len, key_len;
	int len;

	if (!end)
		return n > 8192 ? -1 : 0;
	*end = 0;
	if (strncmp(p, "GET ", 4) != 0)
		return -1;
	path = p + 4;
	path_len = strcspn(path, " ?\r");
	key = strcasestr(p, "\r\nsec-websocket-key:");
	if (!key || path_len > PATH_LEN_MAX)
		return -1;
	key += 20;
	key += strspn(key, " ");
	key_len = strcspn(key, " \r");
	if (key_len > 64)
		return -1;
	accept_of(key, key_len, accept);
	len = snprintf(answer, sizeof(answer),
		       "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
		       "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", accept);
	if (send(c->fd, answer, (size_t)len, MSG_NOSIGNAL) != len)
		return -1;
	room_add(room_find(path, path_len), c);
	return end + 4 - p;
}

/* Returns false if the connection is to be closed. */
static bool on_frame(struct conn *c, const struct frame *f, uint8_t *payload)
{
	uint8_t head[FRAME_HEAD_MAX + 125];
	size_t n;

	if (!f->is_masked || !f->is_fin)
		return false;
	frame_mask(payload, f->len, f->mask);
	switch (f->op) {
	case FRAME_TEXT:
	case FRAME_BINARY:
		room_publish(c->room, payload, f->len);
		return true;
	case FRAME_PING:
	case FRAME_CLOSE:
		if (f->len > 125)
			return false;
		n = frame_head(head, f->op == FRAME_PING ? FRAME_PONG : FRAME_CLOSE, f->len, NULL);
		memcpy(head + n, payload, f->len);
		return send(c->fd, head, n + f->len, MSG_NOSIGNAL) > 0 && f->op == FRAME_PING;
	default:
		return true;
	}
}

/* Uses what is whole of the n bytes at p; returns the bytes used or -1. */
static ssize_t take(struct conn *c, uint8_t *p, size_t n)
{
	struct frame f;
	size_t at = 0;
	ssize_t r;

	if (!c->room) {
		r = upgrade(c, (char *)p, n);
		if (r <= 0)
			return r;
		at = (size_t)r;
	}
	while (at < n) {
		r = frame_parse(p + at, n - at, &f);
		if (r < 0)
			return -1;
		if (r == 0 || f.head + (size_t)f.len > n - at)
			break;
		if (!on_frame(c, &f, p + at + f.head))
			return -1;
		at += f.head + (size_t)f.len;
	}
	return (ssize_t)at;
}

static void conn_keep_left(struct conn *c, const uint8_t *p, size_t n)
{
	free(c->left);
	c->left = NULL;
	c->left_len = (uint32_t)n;
	if (n) {
		c->left = grown(NULL, n);
		memcpy(c->left, p, n);
	}
}

static void conn_read(struct conn *c, bool has_end)
{
	size_t have;
	ssize_t n, used;

	do {
		have = c->left_len;
		if (have)
			memcpy(in, c->left, have);
		n = recv(c->fd, in + have, READ_LEN, 0);
		if (n < 0 && errno == EAGAIN)
			return;
		used = n > 0 ? take(c, in, have + (size_t)n) : -1;
		if (used < 0) {
			conn_close(c);
			return;
		}
		have += (size_t)n - (size_t)used;
		if (have || c->left)
			conn_keep_left(c, in + used, have);
	} while (n == READ_LEN || has_end);
}

static void conn_flush(struct conn *c)
{
	ssize_t n;

	while (c->out_off < c->out_len) {
		n = send(c->fd, c->out + c->out_off, c->out_len - c->out_off,
			 MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n <= 0)
			return;
		c->out_off += (uint32_t)n;
	}
	c->out_off = c->out_len = 0;
	is_behind[c->fd] = false;
}

static void accept_all(int listener)
{
	struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET};
	int fd, on = 1;

	for (int i = 0; i < 64; i++) {
		fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0)
			return;
		if ((size_t)fd >= conns_max) {
			close(fd);
			continue;
		}
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		conns[fd] = calloc(1, sizeof(struct conn));
		if (!conns[fd])
			abort();
		conns[fd]->fd = fd;
		ev.data.fd = fd;
		epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &ev);
	}
}

static int listen_on(const char *host, unsigned port)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	struct epoll_event ev = {.events = EPOLLIN};
	int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (inet_pton(AF_INET, host, &sa.sin_addr) != 1 ||
	    ntohl(sa.sin_addr.s_addr) >> 24 != 127) {
		fprintf(stderr, "floor: listens on 127.0.0.0/8 only\n");
		exit(2);
	}
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 || listen(fd, 4096) < 0) {
		perror("floor: listen");
		exit(1);
	}
	ev.data.fd = fd;
	epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &ev);
	return fd;
}

static void on_event(int listener, int fd, unsigned events)
{
	if (fd == listener) {
		accept_all(fd);
		return;
	}
	if (!conns[fd]) /* closed earlier in this turn */
		return;
	if ((events & EPOLLOUT) && conns[fd]->out_len)
		conn_flush(conns[fd]);
	if (events & ~(unsigned)EPOLLOUT)
		conn_read(conns[fd], events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR));
}

static void serve(int listener) __attribute__((noreturn));

static void serve(int listener)
{
	static struct epoll_event events[EVENTS_MAX];

	for (;;) {
		int n = epoll_wait(epoll_fd, events, EVENTS_MAX, -1);

		for (int i = 0; i < n; i++)
			on_event(listener, events[i].data.fd, events[i].events);
		flush_dirty();
	}
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"join", 0, NULL, 'j'}, {"port", 1, NULL, 'p'}, {"host", 1, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	const char *host = "127.0.0.1";
	struct rlimit limit = {0};
	unsigned port = 8090;
	int opt;

	while ((opt = getopt_long(argc, argv, "jp:h:", options, NULL)) != -1) {
		if (opt == 'j') {
			is_joining = true;
		} else if (opt == 'p') {
			port = (unsigned)strtoul(optarg, NULL, 10);
		} else if (opt == 'h') {
			host = optarg;
		} else {
			fprintf(stderr, "usage: floor [--join] [--host 127.x.x.x] [--port N]\n");
			return 2;
		}
	}
	signal(SIGPIPE, SIG_IGN);
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	conns_max = limit.rlim_cur;
	conns = calloc(conns_max, sizeof(*conns));
	is_behind = calloc(conns_max, sizeof(*is_behind));
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (!conns || !is_behind || epoll_fd < 0)
		abort();
	serve(listen_on(host, port));
}
