/* SPDX-License-Identifier: MIT */
/*
 * Clients of the worker under test: the other ends of its sockets, and what they were told.
 * The worker itself and the database behind it are worker_fixture.c's.
 */
#include "worker_fixture.h"

#include <sys/socket.h>
#include <unistd.h>

#include "worker/worker_priv.h"
#include "worker/ws_conn.h"

void client_open(struct client *cl, enum dialect dialect, int64_t room)
{
	struct conn *c;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair),
			 0);
	*cl = (struct client){.fd = pair[0]};
	c = conn_open(wk, pair[1]);
	assert_non_null(c);
	cl->id = c->id;
	ws_conn_start(c, dialect, room);
	turn();
}

void client_close(struct client *cl)
{
	if (cl->fd >= 0)
		close(cl->fd);
	cl->fd = -1;
	buf_done(&cl->in);
	turns(2);
}

struct conn *client_conn(const struct client *cl)
{
	return conn_find(wk, cl->id);
}

void client_write(struct client *cl, unsigned op, const char *payload, size_t len)
{
	static const uint8_t mask[4] = {0x37, 0xfa, 0x21, 0x3d};
	struct buf b = BUF_INIT;

	buf_add_char(&b, (char)(0x80 | op));
	if (len < 126) {
		buf_add_char(&b, (char)(0x80 | len));
	} else {
		assert_true(len < 65536);
		buf_add_char(&b, (char)(0x80 | 126));
		buf_add_char(&b, (char)(len >> 8));
		buf_add_char(&b, (char)len);
	}
	buf_add(&b, mask, 4);
	for (size_t i = 0; i < len; i++)
		buf_add_char(&b, (char)((uint8_t)payload[i] ^ mask[i % 4]));
	assert_int_equal(write(cl->fd, b.p, b.len), (ssize_t)b.len);
	buf_done(&b);
}

void client_frame(struct client *cl, unsigned op, const void *payload, size_t len)
{
	client_write(cl, op, payload, len);
	turns(3);
}

void say(struct client *cl, const char *text)
{
	client_frame(cl, 1, text, strlen(text));
}

static char heard[300000];

/*
 * The header of a server's frame: whole, without mask or reserved bits. Returns its length, 0 when
 * more is needed.
 */
static size_t frame_header(const struct buf *b, size_t *ret_len)
{
	if (b->len < 2)
		return 0;
	assert_int_equal(b->p[0] & 0xf0, 0x80);
	assert_int_equal(b->p[1] & 0x80, 0);
	*ret_len = b->p[1];
	if (*ret_len < 126)
		return 2;
	if (b->len < 10)
		return 0;
	if (*ret_len == 126) {
		*ret_len = (size_t)b->p[2] << 8 | b->p[3];
		return 4;
	}
	*ret_len = 0;
	for (int i = 2; i < 10; i++)
		*ret_len = *ret_len << 8 | b->p[i];
	return 10;
}

const char *told(struct client *cl)
{
	size_t len = 0, header;
	const char *payload;
	ssize_t n = 0;

	while (cl->fd >= 0 && (n = read(cl->fd, buf_reserve(&cl->in, 65536), 65536)) > 0)
		buf_commit(&cl->in, (size_t)n);
	header = frame_header(&cl->in, &len);
	if (!header || cl->in.len < header + len)
		return cl->in.len ? "(part)" : n == 0 ? "(end)" : "";
	assert_true(len + 64 < sizeof(heard));
	payload = (const char *)cl->in.p + header;
	switch (cl->in.p[0] & 15) {
	case 1:
		snprintf(heard, sizeof(heard), "%.*s", (int)len, payload);
		break;
	case 8:
		if (len < 2)
			snprintf(heard, sizeof(heard), "close");
		else
			snprintf(heard, sizeof(heard), "close %d %.*s",
				 (uint8_t)payload[0] << 8 | (uint8_t)payload[1], (int)len - 2,
				 payload + 2);
		break;
	case 9:
		snprintf(heard, sizeof(heard), "ping %.*s", (int)len, payload);
		break;
	case 10:
		snprintf(heard, sizeof(heard), "pong %.*s", (int)len, payload);
		break;
	default:
		fail_msg("opcode %d from the server", cl->in.p[0] & 15);
	}
	buf_consume(&cl->in, header + len);
	return heard;
}

static bool is_frame(const char *text)
{
	return *text && strcmp(text, "(part)") != 0 && strcmp(text, "(end)") != 0;
}

const char *told_until(struct client *cl, const char *needle)
{
	const char *text;

	do {
		text = told(cl);
		if (strstr(text, needle))
			return text;
	} while (is_frame(text));
	fail_msg("never told: %s", needle);
	return NULL;
}

void told_all(struct client *cl)
{
	while (is_frame(told(cl)))
		;
}

const char *told_revs(struct client *cl)
{
	static char revs[4096];
	const char *text;
	size_t at = 0;

	revs[0] = '\0';
	while (is_frame(text = told(cl))) {
		const char *rev = strstr(text, "\"rev\":");

		if (!rev ||
		    !(strstr(text, "\"type\":\"message\"") || strstr(text, "\"op\":\"ev\"")))
			continue;
		at += (size_t)snprintf(revs + at, sizeof(revs) - at, "%s%lld", at ? " " : "",
				       strtoll(rev + 6, NULL, 10));
		assert_true(at < sizeof(revs));
	}
	return revs;
}

void enter_raw(struct client *cl, const char *name, int64_t user, int64_t head)
{
	char hello[128];

	client_open(cl, DIALECT_RAW, ROOM);
	snprintf(hello, sizeof(hello), "{\"username\":\"%s\"}", name);
	say(cl, hello);
	if (asked_count(ASK_GUEST))
		db_guest(user, name);
	while (asked_count(ASK_ROOM))
		db_room(head, head);
	pass_ms(1000); /* longer than any pause between user lists here */
	told_until(cl, "\"type\":\"connected\"");
	told_all(cl);
}

void enter_native(struct client *cl, const char *name, int64_t user)
{
	char hello[128];

	client_open(cl, DIALECT_NATIVE, 0);
	snprintf(hello, sizeof(hello), "{\"op\":\"hello\",\"id\":1,\"name\":\"%s\"}", name);
	say(cl, hello);
	if (asked_count(ASK_GUEST))
		db_guest(user, name);
	turns(3);
	told_until(cl, "\"op\":\"welcome\"");
	told_all(cl); /* who is online */
}
