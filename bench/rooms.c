/* SPDX-License-Identifier: MIT */
/* A small blocking HTTP client for POST, GET and DELETE of rooms.
 * Leaves WebSockets to link.c. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "bench/rooms.h"

#define ANSWER_MAX (64u << 20)

struct http {
	const struct conf *conf;
	int fd;                /* -1 when not connected */
	char *answer;          /* header and body, NUL-terminated */
	size_t len, room;
	const char *body;
	int status;
};

static int http_connect(struct http *h)
{
	struct timeval tv = {.tv_sec = 20};

	h->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (h->fd < 0)
		return -1;
	setsockopt(h->fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	if (connect(h->fd, (const struct sockaddr *)&h->conf->server,
		    sizeof(h->conf->server)) == 0)
		return 0;
	close(h->fd);
	h->fd = -1;
	return -1;
}

static int http_more(struct http *h)
{
	ssize_t n;

	if (h->len + 65536 > h->room) {
		h->room = 2 * h->room + 131072;
		h->answer = realloc(h->answer, h->room);
		if (!h->answer || h->room > ANSWER_MAX)
			abort();
	}
	n = recv(h->fd, h->answer + h->len, h->room - h->len - 1, 0);
	if (n <= 0)
		return -1;
	h->len += (size_t)n;
	h->answer[h->len] = 0;
	return 0;
}

/* Chunks are joined in place once the last one is there. */
static int read_chunks(struct http *h, size_t head)
{
	size_t at = head, to = head, size;
	char *line, *end;

	for (;;) {
		while (!(line = memmem(h->answer + at, h->len - at, "\r\n", 2)))
			if (http_more(h) < 0)
				return -1;
		size = strtoul(h->answer + at, &end, 16);
		at = (size_t)(line - h->answer) + 2;
		while (h->len < at + size + 2)
			if (http_more(h) < 0)
				return -1;
		if (!size)
			break;
		memmove(h->answer + to, h->answer + at, size);
		to += size;
		at += size + 2;
	}
	h->answer[to] = 0;
	return 0;
}

static int read_answer(struct http *h)
{
	size_t head, want;
	char *end, *field;

	h->len = 0;
	do {
		if (http_more(h) < 0)
			return -1;
	} while (!(end = memmem(h->answer, h->len, "\r\n\r\n", 4)));
	head = (size_t)(end - h->answer) + 4;
	if (sscanf(h->answer, "HTTP/1.%*c %d", &h->status) != 1)
		return -1;
	h->answer[head - 1] = 0;
	field = strcasestr(h->answer, "\ncontent-length:");
	if (!field && strcasestr(h->answer, "\ntransfer-encoding: chunked")) {
		if (read_chunks(h, head) < 0)
			return -1;
	} else {
		want = field ? strtoul(field + 16, NULL, 10) : 0;
		while (h->len < head + want)
			if (http_more(h) < 0)
				return -1;
	}
	h->body = h->answer + head;
	if (strcasestr(h->answer, "\nconnection: close")) {
		close(h->fd);
		h->fd = -1;
	}
	return 0;
}

/* One request and its answer; tries once more if a kept connection was closed meanwhile. */
static int http_do(struct http *h, const char *method, const char *path, const char *body)
{
	char buf[1024];
	int n = snprintf(buf, sizeof(buf),
			 "%s %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n"
			 "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
			 method, path, ntohs(h->conf->server.sin_port), strlen(body), body);

	for (int i = 0; i < 2; i++) {
		if (h->fd < 0 && http_connect(h) < 0)
			return -1;
		if (send(h->fd, buf, (size_t)n, MSG_NOSIGNAL) == n && read_answer(h) == 0)
			return 0;
		close(h->fd);
		h->fd = -1;
	}
	return -1;
}

/* The value of "id" in the object that starts at or after p. */
static int take_id(const char *p, struct room *room)
{
	size_t len;

	p = strstr(p, "\"id\"");
	if (!p)
		return -1;
	p += 4 + strspn(p + 4, ": \t");
	room->is_text = *p == '"';
	p += room->is_text;
	len = strcspn(p, room->is_text ? "\"" : ", }\r\n");
	if (!len || len >= ROOM_ID_MAX)
		return -1;
	memcpy(room->id, p, len);
	room->id[len] = 0;
	return 0;
}

/* The room exists: look for its name in the list and take the id of the same object. */
static int find_room(struct http *h, const char *name, struct room *room)
{
	char quoted[ROOM_ID_MAX * 2];
	const char *at;

	if (http_do(h, "GET", "/api/chat/rooms", "") < 0 || h->status != 200)
		return -1;
	snprintf(quoted, sizeof(quoted), "\"%s\"", name);
	at = strstr(h->body, quoted);
	if (!at)
		return -1;
	while (at > h->body && *at != '{')
		at--;
	return take_id(at, room);
}

static int make_room(struct http *h, const struct conf *cf, unsigned i, struct room *room)
{
	char name[ROOM_ID_MAX], body[ROOM_ID_MAX * 2];

	snprintf(name, sizeof(name), "%s-%u", cf->prefix, i);
	snprintf(body, sizeof(body), "{\"name\":\"%s\",\"description\":\"\"}", name);
	if (http_do(h, "POST", "/api/chat/rooms", body) < 0) {
		fprintf(stderr, "roombench: POST /api/chat/rooms: %s\n",
			errno ? strerror(errno) : "no answer");
		return -1;
	}
	room->is_ours = h->status == 201 || h->status == 200;
	if (room->is_ours && take_id(h->body, room) == 0)
		return 0;
	if (!room->is_ours && find_room(h, name, room) == 0)
		return 0;
	fprintf(stderr, "roombench: POST /api/chat/rooms answered %d: %.200s\n", h->status,
		h->body);
	return -1;
}

/* Registers the account of this run and keeps its token. */
static int make_account(struct http *h, struct conf *cf)
{
	char body[200];
	const char *at;
	size_t len;

	snprintf(body, sizeof(body), "{\"username\":\"%s\",\"password\":\"%s and %d\"}",
		 cf->prefix, cf->prefix, (int)getpid());
	if (http_do(h, "POST", "/api/v1/auth/register", body) < 0 || h->status != 201) {
		fprintf(stderr, "roombench: POST /api/v1/auth/register answered %d: %.200s\n",
			h->status, h->answer ? h->answer : "");
		return -1;
	}
	at = strstr(h->body, "\"token\"");
	at = at ? strchr(at + 7, '"') : NULL;
	len = at ? strcspn(at + 1, "\"") : 0;
	if (!len || len >= sizeof(cf->token))
		return -1;
	memcpy(cf->token, at + 1, len);
	return 0;
}

int rooms_make(struct conf *cf)
{
	struct http h = {.conf = cf, .fd = -1};
	int r = 0;

	cf->room = calloc(cf->rooms, sizeof(*cf->room));
	if (!cf->room)
		abort();
	if (cf->dialect == DIALECT_SOCKETIO)
		r = make_account(&h, cf);
	for (unsigned i = 0; i < cf->rooms && r == 0; i++) {
		if (cf->dialect == DIALECT_FLOOR)
			snprintf(cf->room[i].id, ROOM_ID_MAX, "%s-%u", cf->prefix, i);
		else
			r = make_room(&h, cf, i, &cf->room[i]);
	}
	if (h.fd >= 0)
		close(h.fd);
	free(h.answer);
	return r;
}

void rooms_remove(struct conf *cf)
{
	struct http h = {.conf = cf, .fd = -1};
	char path[ROOM_ID_MAX + 32];

	for (unsigned i = 0; cf->room && i < cf->rooms && !cf->keep_rooms; i++) {
		if (!cf->room[i].is_ours)
			continue;
		snprintf(path, sizeof(path), "/api/chat/rooms/%s", cf->room[i].id);
		if (http_do(&h, "DELETE", path, "") < 0)
			break;
	}
	if (h.fd >= 0)
		close(h.fd);
	free(h.answer);
	free(cf->room);
	cf->room = NULL;
}
