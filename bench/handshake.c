/* SPDX-License-Identifier: MIT */
/* Handshakes: the upgrade, then a name or a token, then a room; until the socket is live.
 * Leaves bytes to link.c and messages to load.c. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "bench/handshake.h"
#include "bench/herd.h"
#include "bench/link.h"

/* The key and its answer from RFC 6455 section 1.3: the answer is checked without hashing. */
#define WS_KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define WS_ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

void handshake_upgrade(struct gen *g, struct link *l)
{
	const struct conf *cf = g->conf;
	const char *native = cf->dialect == DIALECT_NATIVE
				     ? "Sec-WebSocket-Protocol: roomd.v1\r\n" : "";
	char path[ROOM_ID_MAX + 32], buf[512];
	int n;

	if (cf->dialect == DIALECT_NATIVE)
		snprintf(path, sizeof(path), "/ws");
	else if (cf->dialect == DIALECT_SOCKETIO)
		snprintf(path, sizeof(path), "/socket.io/?EIO=4&transport=websocket");
	else
		snprintf(path, sizeof(path), "/ws/chat/%s", cf->room[l->room].id);
	n = snprintf(buf, sizeof(buf),
		     "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nUpgrade: websocket\r\n"
		     "Connection: Upgrade\r\nSec-WebSocket-Key: " WS_KEY "\r\n"
		     "Sec-WebSocket-Version: 13\r\n%s\r\n",
		     path, ntohs(cf->server.sin_port), native);
	l->state = LINK_UPGRADE;
	link_send(g, l, buf, (size_t)n);
}

static void enter_live(struct gen *g, struct link *l)
{
	g->pending--;
	hist_record(&g->own->handshake, stamp_now() - l->begin_ns);
	if (g->conf->mode == MODE_CONNECT) {
		bump(&g->own->handshakes, 1);
		link_bye(g, l);
		return;
	}
	l->state = LINK_LIVE;
	bump(&g->own->live, 1);
	g->live++;
	g->own->connect_ns = stamp_now();
}

static void send_hello(struct gen *g, struct link *l)
{
	const struct conf *cf = g->conf;
	char buf[1000];
	int n;

	l->state = LINK_HELLO;
	if (cf->dialect == DIALECT_FLOOR)
		enter_live(g, l);
	if (cf->dialect == DIALECT_FLOOR || cf->dialect == DIALECT_SOCKETIO)
		return; /* Engine.IO's server opens */
	if (l->cursor)
		n = herd_hello(g, l, buf, sizeof(buf));
	else
		n = snprintf(buf, sizeof(buf), cf->dialect == DIALECT_RAW
				     ? "{\"username\":\"%s-u%u\"}"
				     : "{\"op\":\"hello\",\"id\":1,\"name\":\"%s-u%u\"}",
			     cf->prefix, l->id);
	link_text(g, l, buf, (size_t)n);
}

size_t handshake_upgraded(struct gen *g, struct link *l, const uint8_t *p, size_t n)
{
	const uint8_t *end = memmem(p, n, "\r\n\r\n", 4);
	char shown[81];

	if (!end)
		return 0;
	if (n < 12 || memcmp(p, "HTTP/1.1 101", 12) != 0) {
		snprintf(shown, sizeof(shown), "%.*s", (int)(n < 80 ? n : 80), (const char *)p);
		shown[strcspn(shown, "\r\n")] = 0;
		link_fail(g, l, shown);
		return n;
	}
	if (!memmem(p, (size_t)(end - p), WS_ACCEPT, strlen(WS_ACCEPT))) {
		link_fail(g, l, "wrong Sec-WebSocket-Accept");
		return n;
	}
	send_hello(g, l);
	return (size_t)(end - p) + 4;
}

static void fail_by(struct gen *g, struct link *l, const char *text, size_t len)
{
	char shown[121];

	snprintf(shown, sizeof(shown), "%.*s", (int)len, text);
	link_fail(g, l, shown);
}

static void raw_text(struct gen *g, struct link *l, const char *text, size_t len)
{
	if (stamp_has(text, len, "\"connected\""))
		enter_live(g, l);
	else if (stamp_has(text, len, "\"error\""))
		fail_by(g, l, text, len);
	else
		bump(&g->own->others, 1);
}

static void send_sub(struct gen *g, struct link *l)
{
	const struct room *room = &g->conf->room[l->room];
	const char *quote = room->is_text ? "\"" : "";
	char buf[ROOM_ID_MAX + 80];
	int n;

	n = snprintf(buf, sizeof(buf), "{\"op\":\"sub\",\"id\":2,\"c\":%s%s%s,\"rev\":%llu}",
		     quote, room->id, quote, (unsigned long long)l->rev);
	l->state = LINK_SUB;
	link_text(g, l, buf, (size_t)n);
}

static void native_text(struct gen *g, struct link *l, const char *text, size_t len)
{
	bool is_herd = g->conf->mode == MODE_HERD;

	if (l->state == LINK_HELLO && stamp_has(text, len, "\"welcome\"")) {
		if (is_herd && herd_welcome(l, text, len))
			l->state = LINK_SUB; /* "live" comes unasked */
		else
			send_sub(g, l);
	} else if (l->state == LINK_SUB && stamp_has(text, len, "\"live\"")) {
		if (is_herd)
			herd_live(g, l, text, len);
		enter_live(g, l);
	} else if (l->state == LINK_SUB && stamp_has(text, len, "\"ev\"")) {
		load_text(g, l, text, len); /* what it missed */
	} else if (stamp_has(text, len, "\"err\"")) {
		fail_by(g, l, text, len);
	} else {
		bump(&g->own->others, 1);
	}
}

static bool starts(const char *text, size_t len, const char *with)
{
	return len >= strlen(with) && memcmp(text, with, strlen(with)) == 0;
}

/* Engine.IO's open, Socket.IO's CONNECT of "/", an event and its acknowledgement 0. */
static void socketio_text(struct gen *g, struct link *l, const char *text, size_t len)
{
	const struct room *room = &g->conf->room[l->room];
	const char *quote = room->is_text ? "\"" : "";
	char buf[TOKEN_MAX + ROOM_ID_MAX + 80];
	int n;

	if (l->state == LINK_HELLO && starts(text, len, "0{")) {
		n = snprintf(buf, sizeof(buf), "40{\"token\":\"%s\"}", g->conf->token);
		link_text(g, l, buf, (size_t)n);
	} else if (l->state == LINK_HELLO && starts(text, len, "40{")) {
		n = snprintf(buf, sizeof(buf),
			     "420[\"join_conversation\",{\"conversationId\":%s%s%s}]", quote,
			     room->id, quote);
		l->state = LINK_SUB;
		link_text(g, l, buf, (size_t)n);
	} else if (l->state == LINK_SUB && starts(text, len, "430[") &&
		   stamp_has(text, len, "\"ok\":true")) {
		enter_live(g, l);
	} else if (starts(text, len, "430[") || starts(text, len, "44{")) {
		fail_by(g, l, text, len);
	} else {
		bump(&g->own->others, 1);
	}
}

void handshake_text(struct gen *g, struct link *l, const char *text, size_t len)
{
	switch (g->conf->dialect) {
	case DIALECT_RAW: raw_text(g, l, text, len); break;
	case DIALECT_NATIVE: native_text(g, l, text, len); break;
	case DIALECT_SOCKETIO: socketio_text(g, l, text, len); break;
	case DIALECT_FLOOR: break; /* live since the upgrade */
	}
}

bool handshake_is_ping(const struct gen *g, const uint8_t *payload, size_t len)
{
	return g->conf->dialect == DIALECT_SOCKETIO && len == 1 && payload[0] == '2';
}
